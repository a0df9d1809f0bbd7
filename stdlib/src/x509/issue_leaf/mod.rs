mod order;
#[cfg(test)]
mod tests;

use super::{certificate_value, one};
use crate::support::{
    change::{FileChange, Wanted, basis, missing_dirs, refuse_missing},
    files::{self, Current, Mark},
    shown, tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Diff, Effect, Fault, Plan, Reconcile, Secret,
    Value, Write, value::map,
};
use keybook_pki::{Certificate, PrivateKey, issue_leaf};
use order::Order;

/// Issues a certificate.
pub struct IssueLeaf;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.issue_leaf",
    summary: "Makes a key and issues a certificate for it, signed by a CA whose key is on the host.",
    doc: "As `cfssl gencert` does: a random serial number, five minutes of backdating, key identifiers, the digest that suits the CA's \
key. `like` names an existing certificate (PEM, may have expired) whose subject, alternative names, usages and kind of key are taken over \
where the arguments do not say otherwise.\n\n\
The new key is made once for each unit of a run: it is first written, 0600, to the run's staging folder on this host, and a \
later attempt of the same unit uses it again; when both files are written the staged copy is removed. `out_key` is always 0600, and no \
result holds the key. `out_key` is written before `out_cert`: give paths that no daemon reads, and install them by `file.copy`. A \
certificate that ends after its CA is issued nevertheless, with a note (cfssl does the same).\n\n\
After a crash: a certificate in `out_cert` that was not there before, belongs to the key in `out_key` and is signed by the CA, done; \
`out_cert` as before, not done; anything else, a person must look.\n\n\
Errors: what `x509.read` and `x509.check_key` refuse; a key that is not the CA's, a CA that is none; neither a subject nor alternative \
names; no usages; no directory for the files.",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("ca", ArgKind::Path, "The PEM file with the CA."),
        ArgSpec::required("ca_key", ArgKind::Path, "The file with its key."),
        ArgSpec::optional("passphrase", ArgKind::Secret, "", "Opens an encrypted CA key."),
        ArgSpec::optional("like", ArgKind::Path, "", "A PEM file with a certificate to take after."),
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
        ArgSpec::optional("days", ArgKind::Int, "3650", "The end, in days from now."),
        ArgSpec::optional("not_after", ArgKind::Text, "", "The end, as RFC 3339 text, instead of `days`."),
        ArgSpec::optional(
            "key_kind",
            ArgKind::Text,
            "that of `like`; else RSA-2048",
            "`RSA-2048`, `RSA-3072`, `RSA-4096`, `ECDSA-P256`, `ECDSA-P384` or `ECDSA-P521`.",
        ),
        ArgSpec::optional(
            "key_form",
            ArgKind::Enum(&["pkcs1", "pkcs8", "sec1"]),
            "pkcs1 for RSA, sec1 for ECDSA",
            "The encoding of the key file.",
        ),
        ArgSpec::required("out_cert", ArgKind::Path, "The certificate file to write (0644 when new)."),
        ArgSpec::required("out_key", ArgKind::Path, "The key file to write (0600)."),
    ],
    returns: "The new certificate's map, as `x509.read` gives it (with the path of `out_cert`), and `key_path`.",
    undo: false,
    example: "x509.issue_leaf:\n  ca: /root/gencerts/etcd-ca-new.pem\n  ca_key: /root/gencerts/etcd-ca-key.pem\n  \
like: /srv/kubernetes/etcd.pem\n  extra_sans: [127.0.0.1]\n  out_cert: /root/gencerts/etcd.pem\n  out_key: /root/gencerts/etcd-key.pem\n",
};

#[async_trait]
impl Action for IssueLeaf {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let order = Order::load(ctx, args).await?;
        let files = Files::look(ctx, args).await?;
        let (staged, key) = staged_key(ctx, &order, &files.key_path).await?;
        let certificate = issue_leaf(&order.request, &order.ca, &order.ca_key, &key)
            .map_err(|error| super::fault(&*ctx.target, format!("issue {}", files.cert_path), &error))?;
        if let Some(warning) = order.outlives_ca() {
            ctx.sink.note(&format!("{}: {warning}", files.cert_path));
        }
        let pem = key
            .to_pem(order.key_form)
            .map_err(|error| super::fault(&*ctx.target, format!("write {}", files.key_path), &error))?;
        let key_file = Wanted { mode: Some(0o600), ..Wanted::content(&files.key_path, pem) };
        FileChange::new(ctx, key_file).await?.apply(ctx).await?;
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
        diffs: files.diffs(&order),
        touches: vec![files.key_real.clone(), files.cert_real.clone(), staged_path(ctx, &files.key_path)],
        basis: format!("{}; {}", order.basis(), files.basis()),
        memo: files.memo(),
        ..Plan::will(order.lines(&files.cert_path, &files.key_path))
    })
}

/// The two files to write, as they are now.
struct Files {
    cert_path: String,
    cert_real: String,
    cert: Option<Current>,
    key_path: String,
    key_real: String,
    key: Option<Current>,
}

impl Files {
    async fn look(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let (cert_path, key_path) = (args.path("out_cert")?.to_owned(), args.path("out_key")?.to_owned());
        if cert_path == key_path {
            return Err(Fault::usage("read the arguments", "`out_cert` and `out_key` are the same file"));
        }
        for path in [&cert_path, &key_path] {
            refuse_missing(ctx, path, &missing_dirs(ctx, path).await?)?;
        }
        let (cert_real, cert) = files::look(&*ctx.target, &cert_path).await?;
        let (key_real, key) = files::look(&*ctx.target, &key_path).await?;
        Ok(Self { cert_path, cert_real, cert, key_path, key_real, key })
    }

    fn pair(&self) -> Option<(Certificate, PrivateKey)> {
        let certificate = Certificate::one_pem(self.cert.as_ref()?.content.expose()).ok()?;
        Some((certificate, PrivateKey::load(&self.key.as_ref()?.content, None).ok()?))
    }

    fn diffs(&self, order: &Order) -> Vec<Diff> {
        let diff = |path: &str, file: &Option<Current>, after: String| Diff {
            path: path.to_owned(),
            before: file.as_ref().map(shown::described),
            after: Some(after),
            described: true,
        };
        vec![
            diff(&self.key_real, &self.key, format!("a new {} key", order.key_kind)),
            diff(&self.cert_real, &self.cert, order.certificate_text()),
        ]
    }

    fn basis(&self) -> String {
        let one = |file: &Option<Current>| {
            file.as_ref().map_or_else(|| "none".to_owned(), |file| basis(&file.mark()))
        };
        format!("{}; {}", one(&self.cert), one(&self.key))
    }

    fn memo(&self) -> Value {
        let mark = |file: &Option<Current>| Value::from(file.as_ref().map(|file| file.mark().to_value()));
        Value::Map(map([("cert", mark(&self.cert)), ("key", mark(&self.key))]))
    }

    fn result(&self, certificate: &Certificate) -> Value {
        let mut result = certificate_value(certificate, &self.cert_path);
        result.insert("key_path".to_owned(), self.key_path.as_str().into());
        Value::Map(result)
    }
}

/// Where the key of this unit for a key file is staged.
fn staged_path(ctx: &Ctx, out: &str) -> String {
    let name = files::sha256(format!("{}\n{out}", ctx.unit).as_bytes());
    files::join(&ctx.staging(), &format!("{}.key", name.get(..16).unwrap_or(&name)))
}

/// The key of this unit, made once: from the staging folder when an earlier attempt left it there, else new.
/// The first value is its path there.
async fn staged_key(ctx: &Ctx, order: &Order, out: &str) -> Result<(String, PrivateKey), Fault> {
    let path = staged_path(ctx, out);
    if ctx.target.stat(&path).await?.is_some() {
        let (_, key) = super::key(&*ctx.target, &path, None).await?;
        if key.kind() == order.key_kind {
            return Ok((path, key));
        }
        // Left by an attempt with other arguments; nothing was issued for it.
        ctx.target.remove(&path).await?;
    }
    let kind = order.key_kind;
    let attempted = || format!("make a {kind} key");
    let key = tokio::task::spawn_blocking(move || PrivateKey::generate(kind))
        .await
        .map_err(|error| tell::failed(ctx, attempted(), error))?
        .map_err(|error| super::fault(&*ctx.target, attempted(), &error))?;
    let content =
        key.to_pem(order.key_form).map_err(|error| super::fault(&*ctx.target, attempted(), &error))?;
    ctx.target.make_dir(&ctx.staging(), 0o700).await?;
    let write = Write { mode: Some(0o600), create_new: true, ..Write::keep(content) };
    ctx.target.write(&path, write).await?;
    Ok((path, key))
}
