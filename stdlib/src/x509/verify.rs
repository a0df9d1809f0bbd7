use super::{date, every, every_of, fault, paths};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::Key, value::map,
};
use keybook_pki::{PkiError, Usage, rfc3339, verify};

/// Verifies a chain.
pub struct Verify;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.verify",
    summary: "Verifies a certificate against the CAs in files.",
    doc: "Path validation as [RFC 5280 section 6](https://www.rfc-editor.org/rfc/rfc5280#section-6) has it, with the answers of \
`openssl verify -partial_chain`: every certificate in `roots` is trusted, whether self-signed or not, and the roots' dates count. The \
first certificate in `cert` is verified; others that follow in the same file serve as intermediates. Names are not compared. A certificate \
that does not verify is no error: demand `result.ok`.\n\nErrors: what `x509.read` refuses, in any of the files.",
    effect: Effect::Reads,
    args: &[
        ArgSpec::required("cert", ArgKind::Path, "The PEM file with the certificate."),
        ArgSpec::required("roots", ArgKind::Texts, "PEM files with the CAs to trust."),
        ArgSpec::optional(
            "intermediates",
            ArgKind::Texts,
            "[]",
            "PEM files with CAs that may stand in between.",
        ),
        ArgSpec::optional(
            "usage",
            ArgKind::Enum(&["any", "server", "client"]),
            "any",
            "What the certificate shall be good for.",
        ),
        ArgSpec::optional("at", ArgKind::Text, "now", "The time that counts, as RFC 3339 text."),
    ],
    returns: Returns::map(&[
        Key::plain("ok", "Whether it verifies."),
        Key::plain("reason", "Why not; null when ok."),
        Key::plain("at", "The time that it was verified for (RFC 3339)."),
    ]),
    way_back: WayBack::Nothing,
    example: "x509.verify:\n  cert: /srv/kubernetes/etcd.pem\n  roots: /root/gencerts/etcd-ca-new.pem\n  usage: server\n",
};

#[async_trait]
impl Action for Verify {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let roots = paths(args, "roots")?.join(", ");
        Ok(tell::reads(format!("verify {} against {roots}", args.path("cert")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let path = args.path("cert")?;
        let chain = every(&*ctx.target, path).await?;
        let (leaf, followers) = chain
            .split_first()
            .ok_or_else(|| fault(&*ctx.target, format!("read the certificate {path}"), &PkiError::Empty))?;
        let roots = every_of(&*ctx.target, &paths(args, "roots")?).await?;
        let mut intermediates = followers.to_vec();
        if args.get("intermediates").is_some() {
            intermediates.extend(every_of(&*ctx.target, &paths(args, "intermediates")?).await?);
        }
        let at = args.opt_text("at")?.map_or(Ok(ctx.now), |text| date("at", text))?;
        let usage = match args.opt_text("usage")? {
            Some("server") => Usage::Server,
            Some("client") => Usage::Client,
            _ => Usage::Any,
        };
        let failure = verify(leaf, &intermediates, &roots, at, usage).err();
        Ok(Applied::unchanged(map([
            ("ok", failure.is_none().into()),
            ("reason", Value::from(failure.map(|failure| failure.to_string()))),
            ("at", rfc3339(at).into()),
        ])))
    }
}
