use super::{
    fault, key as key_of, one,
    pair::{staged_key, staged_path, write_key},
    wanted::{KEY_FORM, KEY_KIND, key_form, key_kind, sans, subject},
};
use crate::support::{
    change::{FileChange, Wanted, basis, missing_dirs, refuse_missing},
    files::{self, Current, Mark},
    tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Diff, Effect, Fault, Plan, Reconcile, Returns,
    Secret, Value, WayBack, returns::Key, value::map,
};
use keybook_pki::{Certificate, CertificateRequest, KeyForm, KeyKind, PrivateKey, San, Subject};

/// Makes a certificate request.
pub struct NewCsr;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.new_csr",
    summary: "Makes a certificate request for a key that is there, or for a new one.",
    doc: "PKCS #10 ([RFC 2986](https://www.rfc-editor.org/rfc/rfc2986)) with the alternative names as an extension request, for a CA \
that is elsewhere. Give `key` to use a key that is on the host, or `out_key` for a new one, which is made once for each unit of a run, as \
`x509.issue_leaf` does, and written 0600 before the request; an existing file is never replaced by a new key. `like` names a certificate \
whose subject, alternative names and kind of key are taken over where the arguments do not say otherwise. An existing `out` is replaced.\n\n\
After a crash: a request in `out` that was not there before and belongs to the key, done; `out` as before, not done; anything else, a person \
must look.\n\n\
Errors: what `x509.read` and `x509.check_key` refuse; both or none of `key` and `out_key`; something at `out_key`; neither a subject nor \
alternative names; no directory for the files.",
    effect: Effect::Changes,
    args: &[
        ArgSpec::optional("key", ArgKind::Path, "", "The file with an existing key."),
        ArgSpec::optional("passphrase", ArgKind::Secret, "", "Opens an encrypted key."),
        ArgSpec::optional("out_key", ArgKind::Path, "", "The file for a new key (0600)."),
        ArgSpec { doc: "The kind of a new key, as in `x509.issue_leaf`.", ..KEY_KIND },
        ArgSpec { doc: "The encoding of a new key.", ..KEY_FORM },
        ArgSpec::optional("like", ArgKind::Path, "", "A PEM file with a certificate to take after."),
        ArgSpec::optional("subject", ArgKind::Any, "that of `like`; else empty", "As in `x509.issue_leaf`."),
        ArgSpec::optional(
            "sans",
            ArgKind::Texts,
            "those of `like`",
            "Alternative names, as in `x509.issue_leaf`.",
        ),
        ArgSpec::optional("extra_sans", ArgKind::Texts, "[]", "Alternative names to add."),
        ArgSpec::required("out", ArgKind::Path, "The request file to write (0644 when new)."),
    ],
    returns: Returns::map(&[
        Key::plain("path", "The request file."),
        Key::plain("pem", "The request."),
        Key::plain("subject", "Who asks."),
        Key::plain("sans", "The alternative names."),
        Key::plain("spki_sha256", "Of the public key."),
        Key::plain("key_path", "The key file."),
    ]),
    way_back: WayBack::Files,
    example: "x509.new_csr:\n  out_key: /root/rotation/apiserver.key\n  subject: { CN: kube-apiserver }\n  \
sans: [kubernetes, 10.96.0.1]\n  out: /root/rotation/apiserver.csr\n",
};

#[async_trait]
impl Action for NewCsr {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let order = Order::load(ctx, args).await?;
        let (staged, key) = match order.source {
            Source::Existing(key) => (None, key),
            Source::New { kind, form } => {
                let (staged, key) = staged_key(ctx, kind, form, &order.key_path).await?;
                write_key(ctx, &order.key_path, &key, form).await?;
                (Some(staged), key)
            }
        };
        let request = CertificateRequest::new(&order.subject, &order.sans, &key).map_err(|error| {
            fault(&*ctx.target, format!("make {}", order.out), &error).now("nothing was written")
        })?;
        let file = Wanted { new_mode: 0o644, ..Wanted::content(&order.out, Secret::new(request.to_pem())) };
        let file = FileChange::new(ctx, file).await?;
        if let Some(planned) = ctx.planned.get("out") {
            file.refuse_if_changed(ctx, planned)?;
        }
        file.apply(ctx).await?;
        if let Some(staged) = staged {
            ctx.target.remove(&staged).await?;
        }
        Ok(Applied::changed(result(&order.out, &order.key_path, &request)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let (out, key_path) = (args.path("out")?, key_path(args)?);
        let (_, now) = files::look(&*ctx.target, out).await?;
        if now.as_ref().map(Current::mark) == memo.get("out").and_then(Mark::from_value) {
            return Ok(Reconcile::NotDone);
        }
        let (_, key_file) = files::look(&*ctx.target, &key_path).await?;
        let passphrase = args.opt_secret("passphrase")?;
        let key = key_file.and_then(|file| PrivateKey::load(&file.content, passphrase.as_ref()).ok());
        let request = now.and_then(|file| CertificateRequest::one_pem(file.content.expose()).ok());
        Ok(match (request, key) {
            (Some(request), Some(key)) if request.spki_sha256() == key.spki_sha256() => {
                // The attempt may have ended just before it did this itself.
                ctx.target.remove(&staged_path(ctx, &key_path)).await?;
                Reconcile::Done(result(out, &key_path, &request))
            }
            _ => Reconcile::Unknown(format!(
                "{out} is neither what it was nor a request for the key in {key_path}: someone else changed it"
            )),
        })
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let order = Order::load(ctx, args).await?;
    let names = order.sans.iter().map(San::to_string).collect::<Vec<_>>().join(", ");
    let mut lines = Vec::new();
    let mut touches = vec![order.out_real.clone()];
    if let Source::New { kind, form } = &order.source {
        lines.push(format!("make an {kind} key and write it to {} (mode 0600, {form})", order.key_path));
        touches.extend([order.key_path.clone(), staged_path(ctx, &order.key_path)]);
    }
    lines.push(format!(
        "make a certificate request for {} with the key {} and write it to {}",
        order.subject_text, order.key_path, order.out
    ));
    lines.push(format!("names: {}", if names.is_empty() { "none" } else { &names }));
    let described = |text: &str| format!("certificate request {text}\nnames {names}");
    let before = order.before.as_ref().map(|file| format!("{} bytes", file.stat.size));
    let diff = Diff {
        path: order.out_real.clone(),
        before,
        after: Some(described(&order.subject_text)),
        described: true,
    };
    let mark = order.before.as_ref().map(|file| file.mark().to_value());
    Ok(Plan {
        diffs: vec![diff],
        touches,
        basis: order.basis,
        memo: Value::Map(map([("out", mark.into())])),
        ..Plan::will(lines)
    })
}

/// The key to make the request for.
enum Source {
    Existing(PrivateKey),
    New { kind: KeyKind, form: KeyForm },
}

/// What is to be made.
struct Order {
    source: Source,
    key_path: String,
    subject: Subject,
    subject_text: String,
    sans: Vec<San>,
    out: String,
    out_real: String,
    before: Option<Current>,
    basis: String,
}

impl Order {
    async fn load(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let (out, key_path) = (args.path("out")?.to_owned(), key_path(args)?);
        if out == key_path {
            return Err(Fault::usage("read the arguments", "the request and the key are the same file"));
        }
        let (out_real, before) = files::look(&*ctx.target, &out).await?;
        refuse_missing(ctx, &out, &missing_dirs(ctx, &out).await?)?;
        let mut basis_text = before.as_ref().map_or_else(|| "none".to_owned(), |file| basis(&file.mark()));
        let like = match args.opt_path("like")? {
            None => None,
            Some(path) => Some(one(&*ctx.target, path).await?),
        };
        if let Some((file, _)) = &like {
            basis_text.push_str(&format!("; {}", basis(&file.mark())));
        }
        let like = like.as_ref().map(|(_, certificate)| certificate);
        let source = source(ctx, args, &key_path, like, &mut basis_text).await?;
        let (subject, subject_text) = subject(args, like)?;
        let sans = sans(args, like)?;
        if subject_text.is_empty() && sans.is_empty() {
            let why = "neither a subject nor alternative names: give `like`, `subject` or `sans`";
            return Err(Fault::usage("read the arguments", why));
        }
        Ok(Self { source, key_path, subject, subject_text, sans, out, out_real, before, basis: basis_text })
    }
}

async fn source(
    ctx: &Ctx,
    args: &Args,
    path: &str,
    like: Option<&Certificate>,
    basis_text: &mut String,
) -> Result<Source, Fault> {
    if args.get("key").is_some() {
        let (file, key) = key_of(&*ctx.target, path, args.opt_secret("passphrase")?.as_ref()).await?;
        basis_text.push_str(&format!("; {}", basis(&file.mark())));
        return Ok(Source::Existing(key));
    }
    refuse_missing(ctx, path, &missing_dirs(ctx, path).await?)?;
    refuse_foreign_key(ctx, path).await?;
    let kind = key_kind(args, like)?;
    Ok(Source::New { kind, form: key_form(args, kind)? })
}

/// Refuses to put a new key where something is, unless an earlier attempt of this unit put it there.
pub(super) async fn refuse_foreign_key(ctx: &Ctx, path: &str) -> Result<(), Fault> {
    let (_, Some(there)) = files::look(&*ctx.target, path).await? else {
        return Ok(());
    };
    let (_, staged) = files::look(&*ctx.target, &staged_path(ctx, path)).await?;
    if staged.is_some_and(|staged| staged.sha256 == there.sha256) {
        return Ok(());
    }
    Err(tell::failed(
        ctx,
        format!("write a new key to {path}"),
        "there is a file already, and a key is never replaced",
    )
    .now("nothing was written")
    .hint("Name a new file, or skip the step by `check` when its key is the one to use."))
}

fn key_path(args: &Args) -> Result<String, Fault> {
    match (args.opt_path("key")?, args.opt_path("out_key")?) {
        (Some(path), None) | (None, Some(path)) => Ok(path.to_owned()),
        _ => Err(Fault::usage(
            "read the arguments",
            "give one of `key` (an existing key) and `out_key` (a new one)",
        )),
    }
}

fn result(out: &str, key_path: &str, request: &CertificateRequest) -> Value {
    let sans: Vec<String> = request.sans().iter().map(San::to_string).collect();
    Value::Map(map([
        ("path", out.into()),
        ("pem", request.to_pem().into()),
        ("subject", request.subject().into()),
        ("sans", sans.into()),
        ("spki_sha256", request.spki_sha256().into()),
        ("key_path", key_path.into()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{Bench, Issue, args, ca, leaf},
        x509::tests::openssl,
    };
    use keybook_api::Change;

    #[tokio::test]
    async fn a_request_for_a_new_key() {
        let bench = Bench::new();
        let subject = Value::Map(map([("O", "system:masters".into()), ("CN", "admin".into())]));
        let asked = args([
            ("out_key", bench.path("a.key").into()),
            ("key_kind", "ECDSA-P256".into()),
            ("subject", subject),
            ("sans", vec!["a.example", "10.0.0.1"].into()),
            ("out", bench.path("a.csr").into()),
        ]);
        let plan = bench.describe(&NewCsr, &asked).await.unwrap();
        assert_eq!((plan.change.clone(), plan.touches.len()), (Change::Will, 3));
        let reconcile = async || NewCsr.reconcile(&bench.ctx(), &asked, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let applied = bench.apply(&NewCsr, &asked).await.unwrap();
        assert_eq!((bench.mode("a.key"), bench.mode("a.csr")), (0o600, 0o644));
        assert!(!format!("{plan:?}{applied:?}").contains("PRIVATE KEY"));
        let text = openssl(&["req", "-noout", "-verify", "-text", "-in", &bench.path("a.csr")]);
        assert!(text.contains("DNS:a.example, IP Address:10.0.0.1"), "{text}");
        let public = openssl(&["req", "-noout", "-pubkey", "-in", &bench.path("a.csr")]);
        assert_eq!(openssl(&["pkey", "-pubout", "-in", &bench.path("a.key")]), public);
        assert_eq!(reconcile().await, Reconcile::Done(applied.value));
        let fault = bench.apply(&NewCsr, &asked).await.unwrap_err();
        assert!(fault.cause.contains("a key is never replaced"), "{fault}");
        bench.file("a.csr", "other");
        assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
    }

    #[tokio::test]
    async fn a_request_for_an_existing_key_takes_after_its_certificate() {
        let bench = Bench::new();
        let root = ca(&bench, "ca", &Issue::default());
        leaf(&bench, &root, "old", &Issue { cn: "kubelet", ..Issue::default() });
        let key = bench.read("old-key.pem");
        let asked = args([
            ("key", bench.path("old-key.pem").into()),
            ("like", bench.path("old.pem").into()),
            ("extra_sans", "n1".into()),
            ("out", bench.path("old.csr").into()),
        ]);
        let applied = bench.apply(&NewCsr, &asked).await.unwrap().value;
        assert_eq!(applied.get("subject"), Some(&"CN=kubelet,O=Keybook".into()));
        assert_eq!(applied.get("sans"), Some(&vec!["DNS:localhost", "IP:127.0.0.1", "DNS:n1"].into()));
        assert_eq!(bench.read("old-key.pem"), key);
        openssl(&["req", "-noout", "-verify", "-in", &bench.path("old.csr")]);
    }

    #[tokio::test]
    async fn a_wrong_order_is_refused() {
        let bench = Bench::new();
        let key = bench.path("a.key");
        let out = || ("out", Value::from(bench.path("a.csr")));
        for asked in [
            args([("sans", "a".into()), out()]),
            args([
                ("sans", "a".into()),
                ("key", key.as_str().into()),
                ("out_key", key.as_str().into()),
                out(),
            ]),
            args([("out_key", key.as_str().into()), out()]),
            args([("sans", "a".into()), ("out_key", key.as_str().into()), ("out", key.as_str().into())]),
            args([("sans", "a".into()), ("out_key", key.as_str().into()), ("out", bench.path("x/a").into())]),
        ] {
            assert!(bench.describe(&NewCsr, &asked).await.is_err(), "{asked:?}");
            assert!(bench.apply(&NewCsr, &asked).await.is_err());
        }
        assert!(!bench.exists("a.key"));
    }
}
