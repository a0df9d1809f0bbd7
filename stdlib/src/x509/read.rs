use super::{certificate_value, every, one, told::OF_FILE};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
};

/// Reads certificates.
pub struct Read;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.read",
    summary: "Reads the certificate in a file.",
    doc: "The file must be PEM and hold exactly one certificate; with `all: true` one or more. Text around the PEM blocks and private \
keys beside the certificate are ignored (kubelet keeps both in one file). Dates are not judged: an expired certificate is read like any \
other.\n\n\
Errors: no such file; a file that is empty, DER, a bundle (without `all`), cut off, damaged, followed by other data, or a private key \
([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280), [RFC 7468](https://www.rfc-editor.org/rfc/rfc7468)).",
    effect: Effect::Reads,
    args: &[
        ArgSpec::required("path", ArgKind::Path, "The PEM file."),
        ArgSpec::optional("all", ArgKind::Bool, "false", "Read every certificate, and return a list."),
    ],
    returns: Returns::map(OF_FILE).listed_with("all"),
    way_back: WayBack::Nothing,
    example: "x509.read:\n  path: /srv/kubernetes/etcd.pem\n",
};

#[async_trait]
impl Action for Read {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads(format!("read the certificate {}", args.path("path")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let path = args.path("path")?;
        if args.bool_or("all", false)? {
            let all = every(&*ctx.target, path).await?;
            let values = all.iter().map(|one| Value::Map(certificate_value(one, path))).collect();
            return Ok(Applied::unchanged(Value::List(values)));
        }
        let (_, certificate) = one(&*ctx.target, path).await.map_err(|fault| {
            match fault.cause.contains("where exactly one is expected") {
                true => fault.hint("With `all: true` it is read as a list."),
                false => fault,
            }
        })?;
        Ok(Applied::unchanged(certificate_value(&certificate, path)))
    }
}
