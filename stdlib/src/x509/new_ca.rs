use super::{
    BACKDATE, End, end, fault,
    new_csr::refuse_foreign_key,
    one,
    pair::{Files, OUT_KEY, RETURNS, staged_key, staged_path, write_key},
    wanted::{DAYS, KEY_FORM, KEY_KIND, NOT_AFTER, key_form, key_kind, subject},
};
use crate::support::{
    change::{FileChange, Wanted, basis},
    files::{Current, Mark},
    tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Secret, Value,
    WayBack,
};
use keybook_pki::{CaRequest, Certificate, KeyForm, KeyKind, PrivateKey, Subject, issue_ca, issue_ca_like};

/// Makes a CA.
pub struct NewCa;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.new_ca",
    summary: "Makes a new self-signed CA with a new key.",
    doc: "For the rotation of a CA with its key: what the old CA verified does not verify against the new one, so daemons must trust both \
for a while (`x509.bundle`). `like` names the old CA, whose subject, extensions and kind of key are taken over; its key identifiers become \
the new key's. Without `like`: keyUsage cert sign and crl sign, basicConstraints CA:TRUE. A subject key identifier is always there, because \
without it two CAs of one name cannot be told apart. Random serial number, five minutes of backdating.\n\n\
The key is made once for each unit of a run, as `x509.issue_leaf` does, and written 0600, before the certificate. Neither file may exist: a \
CA is never replaced by this action. No result holds the key.\n\n\
After a crash: a self-signed CA in `out_cert` that belongs to the key in `out_key`, done; no `out_cert`, not done; anything else, a person \
must look.\n\n\
Errors: something at `out_cert` or `out_key`; neither `like` nor `subject`; a `like` that is no CA; no directory for the files \
([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::optional(
            "like",
            ArgKind::Path,
            "",
            "A PEM file with the CA to take after; it may have expired.",
        ),
        ArgSpec::optional("subject", ArgKind::Any, "that of `like`", "As in `x509.issue_leaf`."),
        DAYS,
        NOT_AFTER,
        KEY_KIND,
        KEY_FORM,
        ArgSpec::required("out_cert", ArgKind::Path, "The certificate file to write (0644)."),
        OUT_KEY,
    ],
    returns: RETURNS,
    way_back: WayBack::Files,
    example: "x509.new_ca:\n  like: /etc/kubernetes/pki/ca.crt\n  days: 3650\n  out_cert: /root/rotation/ca.crt\n  \
out_key: /root/rotation/ca.key\n",
};

#[async_trait]
impl Action for NewCa {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let order = Order::load(ctx, args).await?;
        let files = Files::look(ctx, args).await?;
        refuse_existing(ctx, &files).await?;
        let (staged, key) = staged_key(ctx, order.key_kind, order.key_form, &files.key_path).await?;
        let wrong = |error| fault(&*ctx.target, format!("make the CA {}", files.cert_path), &error);
        let certificate = order.issue(ctx, &key).map_err(wrong)?;
        write_key(ctx, &files.key_path, &key, order.key_form).await?;
        let pem = Secret::new(certificate.to_pem());
        let cert_file = Wanted { new_mode: 0o644, ..Wanted::content(&files.cert_path, pem) };
        FileChange::new(ctx, cert_file).await?.apply(ctx).await?;
        ctx.target.remove(&staged).await?;
        Ok(Applied::changed(files.result(&certificate)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let files = Files::look(ctx, args).await?;
        let before = memo.get("cert").and_then(Mark::from_value);
        if files.cert.as_ref().map(Current::mark) == before {
            return Ok(Reconcile::NotDone);
        }
        let pair = files.pair().filter(|(certificate, key)| {
            key.matches(certificate) && certificate.is_ca() && certificate.self_signed()
        });
        Ok(match pair {
            Some((certificate, _)) => {
                // The attempt may have ended just before it did this itself.
                ctx.target.remove(&staged_path(ctx, &files.key_path)).await?;
                Reconcile::Done(files.result(&certificate))
            }
            None => Reconcile::Unknown(format!(
                "{} is no CA for the key in {}: someone else changed it",
                files.cert_path, files.key_path
            )),
        })
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let order = Order::load(ctx, args).await?;
    let files = Files::look(ctx, args).await?;
    refuse_existing(ctx, &files).await?;
    let text = format!("self-signed CA {}\nuntil {}", order.subject_text, order.end);
    let lines = vec![
        format!(
            "make an {} key and write it to {} (mode 0600, {})",
            order.key_kind, files.key_path, order.key_form
        ),
        format!(
            "make a self-signed CA for {} until {} and write it to {}",
            order.subject_text, order.end, files.cert_path
        ),
    ];
    Ok(Plan {
        diffs: files.diffs(format!("a new {} key", order.key_kind), text),
        touches: vec![files.key_real.clone(), files.cert_real.clone(), staged_path(ctx, &files.key_path)],
        basis: format!("{}; {}", order.basis, files.basis()),
        memo: files.memo(),
        ..Plan::will(lines)
    })
}

async fn refuse_existing(ctx: &Ctx, files: &Files) -> Result<(), Fault> {
    if files.cert.is_some() {
        let attempted = format!("write a new CA to {}", files.cert_path);
        return Err(tell::failed(ctx, attempted, "there is a file already, and a CA is never replaced")
            .now("nothing was written")
            .hint("Name a new file, or skip the step by `check` when that CA is the one to use."));
    }
    refuse_foreign_key(ctx, &files.key_path).await
}

/// What is to be made.
struct Order {
    like: Option<Certificate>,
    subject: Subject,
    subject_text: String,
    key_kind: KeyKind,
    key_form: KeyForm,
    end: End,
    basis: String,
}

/// The end without `days` and `not_after`: ten years, as kubeadm's CAs.
const DEFAULT_DAYS: i64 = 3650;

impl Order {
    async fn load(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let (mut basis_text, mut like) = ("none".to_owned(), None);
        if let Some(path) = args.opt_path("like")? {
            let (file, certificate) = one(&*ctx.target, path).await?;
            if !certificate.is_ca() {
                let why = format!("`{}` is not a CA", certificate.subject());
                return Err(
                    tell::failed(ctx, format!("make a CA like {path}"), why).now("nothing was written")
                );
            }
            basis_text = basis(&file.mark());
            like = Some(certificate);
        }
        let (subject, subject_text) = subject(args, like.as_ref())?;
        if subject_text.is_empty() {
            return Err(Fault::usage(
                "read the arguments",
                "the CA has no subject: give `like` or `subject`",
            ));
        }
        let key_kind = key_kind(args, like.as_ref())?;
        let key_form = key_form(args, key_kind)?;
        let end = end(ctx, args)?.unwrap_or_else(|| End::in_days(ctx, DEFAULT_DAYS));
        Ok(Self { like, subject, subject_text, key_kind, key_form, end, basis: basis_text })
    }

    fn issue(&self, ctx: &Ctx, key: &PrivateKey) -> Result<Certificate, keybook_pki::PkiError> {
        let (not_before, not_after) = (ctx.now.saturating_sub(BACKDATE), self.end.at);
        match &self.like {
            Some(like) => issue_ca_like(like, Some(&self.subject.to_der()?), key, not_before, not_after),
            None => {
                let request =
                    CaRequest { subject: self.subject.clone(), path_len: None, not_before, not_after };
                issue_ca(&request, key)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{Bench, Issue, args, ca},
        x509::tests::openssl,
    };
    use keybook_api::{Change, value::map};

    fn asked(bench: &Bench) -> Args {
        ca(bench, "old", &Issue { cn: "kubernetes", not_after: -86_400, ..Issue::default() });
        args([
            ("like", bench.path("old.pem").into()),
            ("out_cert", bench.path("new.pem").into()),
            ("out_key", bench.path("new-key.pem").into()),
        ])
    }

    #[tokio::test]
    async fn a_ca_takes_after_an_expired_one_with_a_key_of_its_own() {
        let bench = Bench::new();
        let args = asked(&bench);
        let plan = bench.describe(&NewCa, &args).await.unwrap();
        assert_eq!(plan.change, Change::Will);
        assert!(plan.diffs.iter().all(|diff| diff.described));
        let reconcile = async || NewCa.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let applied = bench.apply(&NewCa, &args).await.unwrap();
        assert_eq!((bench.mode("new-key.pem"), bench.mode("new.pem")), (0o600, 0o644));
        assert!(!format!("{plan:?}{applied:?}").contains("PRIVATE KEY"));
        assert!(std::fs::read_dir(bench.ctx().staging()).unwrap().next().is_none());
        assert_eq!(reconcile().await, Reconcile::Done(applied.value.clone()));
        let of = |name: &str| Certificate::one(bench.read(name).as_bytes()).unwrap();
        let (old, new) = (of("old.pem"), of("new.pem"));
        assert_eq!((old.subject_der(), old.key()), (new.subject_der(), new.key()));
        assert!(new.ski().is_some() && new.ski() != old.ski());
        let path = bench.path("new.pem");
        openssl(&["verify", "-check_ss_sig", "-CAfile", &path, &path]);
        let public = openssl(&["x509", "-in", &path, "-noout", "-pubkey"]);
        assert_eq!(openssl(&["pkey", "-in", &bench.path("new-key.pem"), "-pubout"]), public);

        let (cert, key) = (bench.read("new.pem"), bench.read("new-key.pem"));
        assert!(bench.apply(&NewCa, &args).await.unwrap_err().cause.contains("never replaced"));
        std::fs::remove_file(&path).unwrap();
        assert!(bench.apply(&NewCa, &args).await.unwrap_err().cause.contains("a key is never replaced"));
        assert_eq!((bench.exists("new.pem"), bench.read("new-key.pem")), (false, key));
        bench.file("new.pem", bench.read("old.pem"));
        assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
        bench.file("new.pem", cert);
    }

    #[tokio::test]
    async fn a_key_that_an_earlier_attempt_wrote_is_used() {
        let bench = Bench::new();
        let args = asked(&bench);
        // The certificate cannot be written, as after a crash between key and certificate.
        let order = Order::load(&bench.ctx(), &args).await.unwrap();
        let out = bench.path("new-key.pem");
        let (staged, first) = staged_key(&bench.ctx(), order.key_kind, order.key_form, &out).await.unwrap();
        std::fs::copy(&staged, &out).unwrap();
        let applied = bench.apply(&NewCa, &args).await.unwrap();
        assert_eq!(applied.value.get("spki_sha256"), Some(&first.spki_sha256().into()));
    }

    #[tokio::test]
    async fn a_subject_is_enough_and_a_wrong_order_is_refused() {
        let bench = Bench::new();
        let subject = Value::Map(map([("CN", "front-proxy-ca".into())]));
        let mut args = asked(&bench);
        for (name, value) in [
            ("like", Value::Null),
            ("subject", subject),
            ("key_kind", "ECDSA-P384".into()),
            ("days", Value::Int(9)),
        ] {
            args.0.insert(name.into(), value);
        }
        let value = bench.apply(&NewCa, &args).await.unwrap().value;
        assert_eq!(
            (value.get("subject"), value.get("is_ca")),
            (Some(&"CN=front-proxy-ca".into()), Some(&true.into()))
        );
        for (name, value, message) in [
            ("subject", Value::Null, "has no subject"),
            ("like", bench.path("none.pem").into(), "there is no"),
            ("days", Value::Int(0), "is not a number of days"),
            ("out_key", bench.path("new.pem").into(), "same file"),
        ] {
            let mut args = args.clone();
            args.0.insert(name.into(), value);
            let fault = bench.describe(&NewCa, &args).await.unwrap_err();
            assert!(fault.cause.contains(message), "{name}: {fault}");
        }
    }
}
