mod cfssl;
mod order;
#[cfg(test)]
mod tests;

use super::{
    one,
    pair::{Files, OUT_KEY, RETURNS, staged_key, staged_path, write_key},
    wanted::{DAYS, KEY_FORM, KEY_KIND, NOT_AFTER},
};
use crate::support::{
    change::{FileChange, Wanted},
    files::{Current, Mark},
    tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Secret, Value,
    WayBack,
};
use keybook_pki::issue_leaf;
use order::Order;

/// Issues a certificate.
pub struct IssueLeaf;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.issue_leaf",
    summary: "Makes a key and issues a certificate for it, signed by a CA whose key is on the host.",
    doc: "As `cfssl gencert` does: a random serial number, five minutes of backdating, key identifiers, the digest that suits the CA's \
key. `like` names an existing certificate (PEM, may have expired) whose subject, alternative names, usages and kind of key are taken over \
where the arguments do not say otherwise. `cfssl_csr` and `cfssl_config` are the files that cfssl itself would be given: subject, kind of \
key, usages, backdating and length of validity are then those that `cfssl gencert` would give, and go before those of `like`; the names under \
`hosts` count where `sans` is not given, as with `cfssl gencert -hostname`.\n\n\
The new key is made once for each unit of a run: it is first written, 0600, to the run's staging folder on this host, and a \
later attempt of the same unit uses it again; when both files are written the staged copy is removed. `out_key` is always 0600, and no \
result holds the key. `out_key` is written before `out_cert`: give paths that no daemon reads, and install them by `file.copy`. A \
certificate that ends after its CA is issued nevertheless, with a note (cfssl does the same).\n\n\
After a crash: a certificate in `out_cert` that was not there before, belongs to the key in `out_key` and is signed by the CA, done; \
`out_cert` as before, not done; anything else, a person must look.\n\n\
Errors: what `x509.read` and `x509.check_key` refuse; a key that is not the CA's, a CA that is none; neither a subject nor alternative \
names; no usages; no directory for the files; something in cfssl's files that would make its certificate another one than this, such as \
a CRL's URL or a profile that makes CAs.",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("ca", ArgKind::Path, "The PEM file with the CA."),
        ArgSpec::required("ca_key", ArgKind::Path, "The file with its key."),
        ArgSpec::optional("passphrase", ArgKind::Secret, "", "Opens an encrypted CA key."),
        ArgSpec::optional("like", ArgKind::Path, "", "A PEM file with a certificate to take after."),
        ArgSpec::optional("cfssl_csr", ArgKind::Path, "", "cfssl's request, such as `kubernetes-csr.json`."),
        ArgSpec::optional("cfssl_config", ArgKind::Path, "", "cfssl's configuration, such as `config.json`."),
        ArgSpec::optional("cfssl_profile", ArgKind::Text, "", "The profile of `cfssl_config` to follow."),
        ArgSpec::optional(
            "subject",
            ArgKind::Any,
            "that of `like`; else empty",
            "A map such as `{O: etcd, CN: kubernetes}`, or a list of maps to repeat an attribute; RFC 4514's short names or OIDs.",
        ),
        ArgSpec::optional(
            "sans",
            ArgKind::Texts,
            "those of `like`",
            "Alternative names: `DNS:…`, `IP:…`, `email:…`, `URI:…`, or without the prefix as cfssl tells them apart.",
        ),
        ArgSpec::optional("extra_sans", ArgKind::Texts, "[]", "Alternative names to add."),
        ArgSpec::optional(
            "usages",
            ArgKind::Texts,
            "those of `like`",
            "In cfssl's words, such as `signing`, `key encipherment`, `server auth`, `client auth`.",
        ),
        DAYS,
        NOT_AFTER,
        KEY_KIND,
        KEY_FORM,
        ArgSpec::required("out_cert", ArgKind::Path, "The certificate file to write (0644 when new)."),
        OUT_KEY,
    ],
    returns: RETURNS,
    way_back: WayBack::Files,
    example: "x509.issue_leaf:\n  ca: /root/gencerts/etcd-ca-new.pem\n  ca_key: /root/gencerts/etcd-ca-key.pem\n  \
like: /srv/kubernetes/etcd.pem\n  extra_sans: [127.0.0.1]\n  out_cert: /root/gencerts/etcd.pem\n  out_key: /root/gencerts/etcd-key.pem\n",
};

#[async_trait]
impl Action for IssueLeaf {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let order = Order::load(ctx, args).await?;
        let files = Files::look(ctx, args).await?;
        let (staged, key) = staged_key(ctx, order.key_kind, order.key_form, &files.key_path).await?;
        let certificate = issue_leaf(&order.request, &order.ca, &order.ca_key, &key)
            .map_err(|error| super::fault(&*ctx.target, format!("issue {}", files.cert_path), &error))?;
        if let Some(warning) = order.outlives_ca() {
            ctx.sink.note(&format!("{}: {warning}", files.cert_path));
        }
        write_key(ctx, &files.key_path, &key, order.key_form).await?;
        let pem = Secret::new(certificate.to_pem());
        let cert_file = Wanted { new_mode: 0o644, ..Wanted::content(&files.cert_path, pem) };
        let cert_file = FileChange::new(ctx, cert_file).await?;
        if let Some(planned) = ctx.planned.get("cert") {
            cert_file.refuse_if_changed(ctx, planned)?;
        }
        cert_file.apply(ctx).await?;
        ctx.target.remove(&staged).await?;
        Ok(Applied::changed(files.result(&certificate)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let files = Files::look(ctx, args).await?;
        let before = memo.get("cert").and_then(Mark::from_value);
        if files.cert.as_ref().map(Current::mark) == before {
            return Ok(Reconcile::NotDone);
        }
        let (_, ca) = one(&*ctx.target, args.path("ca")?).await?;
        let pair = files
            .pair()
            .filter(|(certificate, key)| key.matches(certificate) && certificate.signed_by(&ca) == Ok(true));
        Ok(match pair {
            Some((certificate, _)) => {
                // The attempt may have ended just before it did this itself.
                ctx.target.remove(&staged_path(ctx, &files.key_path)).await?;
                Reconcile::Done(files.result(&certificate))
            }
            None => Reconcile::Unknown(format!(
                "{} is neither what it was nor a certificate of this CA for the key in {}: someone else changed it",
                files.cert_path, files.key_path
            )),
        })
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let order = Order::load(ctx, args).await?;
    let files = Files::look(ctx, args).await?;
    Ok(Plan {
        diffs: files.diffs(format!("a new {} key", order.key_kind), order.certificate_text()),
        touches: vec![files.key_real.clone(), files.cert_real.clone(), staged_path(ctx, &files.key_path)],
        basis: format!("{}; {}", order.basis(), files.basis()),
        memo: files.memo(),
        ..Plan::will(order.lines(&files.cert_path, &files.key_path))
    })
}
