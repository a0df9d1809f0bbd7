use super::fault;
use crate::support::{files, tell};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::{Key, Keys},
    value::map,
};
use keybook_pki::{RevocationList, Revoked, rfc3339};

/// Reads a revocation list.
pub struct ReadCrl;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.read_crl",
    summary: "Reads the certificate revocation list in a file.",
    doc: "PEM with any text around it, or DER. The signature is not checked, and dates are not judged: `overdue` says whether the next \
list is due already.\n\n\
Errors: no such file; a file without a revocation list, with several, or damaged \
([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280#section-5)).",
    effect: Effect::Reads,
    args: &[ArgSpec::required("path", ArgKind::Path, "The file.")],
    returns: Returns::map(&[
        Key::plain("path", "The file."),
        Key::plain("issuer", "The CA that issued it."),
        Key::plain("this_update", "RFC 3339."),
        Key::plain("next_update", "RFC 3339, or null."),
        Key::plain("overdue", "Whether the next list is due already."),
        Key::plain("number", "Decimal, or null."),
        Key::list(
            "revoked",
            "The certificates that are revoked.",
            Keys::own(&[
                Key::plain("serial", "Decimal, as `x509.read` writes it."),
                Key::plain("date", "RFC 3339."),
                Key::plain("reason", "RFC 5280's word, or null."),
            ]),
        ),
    ]),
    way_back: WayBack::Nothing,
    example: "x509.read_crl:\n  path: /etc/kubernetes/pki/ca.crl\n",
};

#[async_trait]
impl Action for ReadCrl {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads(format!("read the revocation list {}", args.path("path")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let path = args.path("path")?;
        let file = files::need(&*ctx.target, path).await?;
        let list = RevocationList::one(file.content.expose())
            .map_err(|error| fault(&*ctx.target, format!("read the revocation list {path}"), &error))?;
        let overdue = list.next_update.is_some_and(|next| next < ctx.now);
        Ok(Applied::unchanged(map([
            ("path", path.into()),
            ("issuer", list.issuer.into()),
            ("this_update", rfc3339(list.this_update).into()),
            ("next_update", list.next_update.map(rfc3339).into()),
            ("overdue", overdue.into()),
            ("number", list.number.into()),
            ("revoked", Value::List(list.revoked.iter().map(entry).collect())),
        ])))
    }
}

fn entry(revoked: &Revoked) -> Value {
    Value::Map(map([
        ("serial", revoked.serial.as_str().into()),
        ("date", rfc3339(revoked.date).into()),
        ("reason", revoked.reason.map(str::to_owned).into()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{Bench, Issue, args, ca},
        x509::tests::openssl,
    };
    use keybook_pki::KeyKind;

    #[tokio::test]
    async fn a_list_made_by_openssl_is_read() {
        let bench = Bench::new();
        ca(&bench, "ca", &Issue { kind: KeyKind::Rsa(2048), ..Issue::default() });
        let config = format!(
            "[ca]\ndefault_ca=d\n[d]\ndatabase={0}/index\ncrlnumber={0}/number\ndefault_md=sha256\ndefault_crl_days=3\n",
            bench.path("")
        );
        let config = bench.file("ca.cnf", config);
        bench.file("index", "R\t300101000000Z\t260102030405Z,superseded\t0ABC\tunknown\t/CN=a\n");
        bench.file("number", "07\n");
        let (path, cert, key) = (bench.path("crl.pem"), bench.path("ca.pem"), bench.path("ca-key.pem"));
        openssl(&["ca", "-gencrl", "-config", &config, "-cert", &cert, "-keyfile", &key, "-out", &path]);
        let asked = args([("path", path.as_str().into())]);
        bench.describe(&ReadCrl, &asked).await.unwrap();
        let value = bench.apply(&ReadCrl, &asked).await.unwrap().value;
        assert_eq!((value.get("number"), value.get("overdue")), (Some(&"7".into()), Some(&false.into())));
        let revoked = value.get("revoked").unwrap().to_string();
        assert_eq!(revoked, r#"[{"serial":"2748","date":"2026-01-02T03:04:05Z","reason":"superseded"}]"#);
        let later = Ctx { now: bench.ctx().now + 4 * 86_400, ..bench.ctx() };
        let value = ReadCrl.apply(&later, &asked).await.unwrap().value;
        assert_eq!(value.get("overdue"), Some(&true.into()));
        let fault = bench.apply(&ReadCrl, &args([("path", cert.into())])).await.unwrap_err();
        assert!(fault.cause.contains("no revocation list"), "{fault}");
    }
}
