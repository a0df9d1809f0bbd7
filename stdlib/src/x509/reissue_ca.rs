use super::{BACKDATE, DAY, End, certificate_value, end, fault, key, one, told::CERTIFICATE_FILE};
use crate::support::{
    certs,
    change::{FileChange, Wanted, basis},
    files::{self, Current, Mark},
    tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns,
    Secret, Value, WayBack, value::map,
};
use keybook_pki::{Certificate, PrivateKey, Reissued, reissue, rfc3339};

/// Reissues a CA.
pub struct ReissueCa;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.reissue_ca",
    summary: "Reissues a self-signed CA with its own key and a later end.",
    doc: "Every byte of the certificate stays (serial number, subject, key identifiers, extensions), except notAfter, notBefore unless \
`keep_not_before`, and the signature; so every certificate that the old CA verified goes on verifying. A signature made with SHA-1 or MD5 \
becomes SHA-256, and a note says so. The key passes through this program's memory and is wiped. The CA may have expired: that is what this \
is for. An existing `out` keeps its mode and owner; a new one is 0644. Nothing is written when `out` is such a reissue already and ends at \
most a day earlier than asked.\n\n\
After a crash `out` tells: a reissue of `cert` that was not there before, done; what was there before, not done; anything else, a person \
must look.\n\n\
Errors: what `x509.read` and `x509.check_key` refuse; a key that is not the certificate's, a certificate that is no CA or not self-signed, \
an end that is not later than the present one ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("cert", ArgKind::Path, "The PEM file with the CA."),
        ArgSpec::required("key", ArgKind::Path, "The file with its key."),
        ArgSpec::optional("passphrase", ArgKind::Secret, "", "Opens an encrypted key."),
        ArgSpec::required("out", ArgKind::Path, "The file to write; it may be `cert` itself."),
        ArgSpec::optional(
            "days",
            ArgKind::Int,
            "",
            "The new end, in days from now; this or `not_after` must be given.",
        ),
        ArgSpec::optional("not_after", ArgKind::Text, "", "The new end, as RFC 3339 text."),
        ArgSpec::optional(
            "keep_not_before",
            ArgKind::Bool,
            "true",
            "Keep the old beginning, so that what was issued since stays within; else it begins five minutes ago.",
        ),
    ],
    returns: Returns::keys(CERTIFICATE_FILE),
    way_back: WayBack::Files,
    example: "x509.reissue_ca:\n  cert: /root/gencerts/etcd-ca.pem\n  key: /root/gencerts/etcd-ca-key.pem\n  \
out: /root/gencerts/etcd-ca-new.pem\n  days: 36500\n",
};

#[async_trait]
impl Action for ReissueCa {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let old = Old::load(ctx, args).await?;
        let out = args.path("out")?;
        if let Some(already) = &old.already {
            return Ok(Applied::unchanged(certificate_value(already, out)));
        }
        let new = old.reissue(ctx, args)?;
        if let Some((before, after)) = &new.signature_changed {
            ctx.sink.note(&format!("{out}: the signature algorithm {before} was replaced by {after}"));
        }
        let change = change(ctx, args, &new).await?;
        if let Some(planned) = ctx.planned.get("before") {
            change.refuse_if_changed(ctx, planned)?;
        }
        change.apply(ctx).await?;
        Ok(Applied::changed(certificate_value(&new.certificate, out)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let out = args.path("out")?;
        let before = memo.get("before").and_then(Mark::from_value);
        let (_, now) = files::look(&*ctx.target, out).await?;
        let mark = now.as_ref().map(Current::mark);
        if mark == before {
            return Ok(Reconcile::NotDone);
        }
        let certificate = now.and_then(|now| Certificate::one_pem(now.content.expose()).ok());
        Ok(match certificate {
            Some(new) if fits(memo, &new) => Reconcile::Done(Value::Map(certificate_value(&new, out))),
            _ => Reconcile::Unknown(format!(
                "{out} is neither what it was nor a reissue: someone else changed it"
            )),
        })
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let old = Old::load(ctx, args).await?;
    let out = args.path("out")?;
    let mut plan = match &old.already {
        Some(already) => Plan::wont(format!("{out} is already reissued: {}", certs::line(already))),
        None => {
            let new = old.reissue(ctx, args)?;
            let mut plan = change(ctx, args, &new).await?.plan(old.lines(args, &new)?);
            // Signature and time differ at each call: neither is something that changed on the host.
            for diff in &mut plan.diffs {
                diff.after = Some(old.new_text());
                diff.described = true;
            }
            plan
        }
    };
    plan.basis = format!("{}; {}", basis(&old.file.mark()), old.before_basis());
    plan.memo = old.memo();
    Ok(plan)
}

/// Is this the reissue that a memo tells of?
fn fits(memo: &Value, new: &Certificate) -> bool {
    let same = |name: &str, value: &str| memo.get(name).and_then(Value::as_str) == Some(value);
    let later = memo.get("not_after").and_then(Value::as_int).is_some_and(|old| new.not_after() > old);
    same("spki_sha256", &new.spki_sha256()) && same("serial", &new.serial()) && later && new.self_signed()
}

/// What is there before.
struct Old {
    file: Current,
    certificate: Certificate,
    key: PrivateKey,
    /// The file `out`.
    before: Option<Current>,
    /// The certificate in `out` when it already is what is asked for.
    already: Option<Certificate>,
    end: End,
}

impl Old {
    async fn load(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let end = end(ctx, args)?.ok_or_else(|| {
            Fault::usage("read the arguments", "one of `days` and `not_after` must be given")
        })?;
        let (file, certificate) = one(&*ctx.target, args.path("cert")?).await?;
        let passphrase = args.opt_secret("passphrase")?;
        let (_, key) = key(&*ctx.target, args.path("key")?, passphrase.as_ref()).await?;
        let (_, before) = files::look(&*ctx.target, args.path("out")?).await?;
        let found = before.as_ref().and_then(|file| Certificate::one_pem(file.content.expose()).ok());
        let wanted = |out: &Certificate| {
            key.matches(out) && is_reissue(&certificate, out) && out.not_after() >= end.at.saturating_sub(DAY)
        };
        let already = found.filter(wanted);
        Ok(Self { file, certificate, key, before, already, end })
    }

    fn reissue(&self, ctx: &Ctx, args: &Args) -> Result<Reissued, Fault> {
        let begin = (!args.bool_or("keep_not_before", true)?).then_some(ctx.now.saturating_sub(BACKDATE));
        reissue(&self.certificate, &self.key, self.end.at, begin).map_err(|error| {
            fault(&*ctx.target, format!("reissue {}", self.file.path), &error).now("nothing was written")
        })
    }

    fn lines(&self, args: &Args, new: &Reissued) -> Result<Vec<String>, Fault> {
        let old = &self.certificate;
        let mut lines = vec![
            format!("reissue {} ({}) with the same key and serial number", self.file.path, old.subject()),
            format!("not after {} → {}", rfc3339(old.not_after()), self.end),
        ];
        if !args.bool_or("keep_not_before", true)? {
            lines.push(format!("not before {} → five minutes ago", rfc3339(old.not_before())));
        }
        if let Some((before, after)) = &new.signature_changed {
            lines.push(format!("signature algorithm {before} → {after}"));
        }
        Ok(lines)
    }

    fn new_text(&self) -> String {
        format!(
            "certificate {}, serial {}, until {}",
            self.certificate.subject(),
            self.certificate.serial(),
            self.end
        )
    }

    fn before_basis(&self) -> String {
        self.before.as_ref().map_or_else(|| "none".to_owned(), |file| basis(&file.mark()))
    }

    fn memo(&self) -> Value {
        Value::Map(map([
            ("before", self.before.as_ref().map(|before| before.mark().to_value()).into()),
            ("spki_sha256", self.certificate.spki_sha256().into()),
            ("serial", self.certificate.serial().into()),
            ("not_after", Value::Int(self.certificate.not_after())),
        ]))
    }
}

fn is_reissue(old: &Certificate, out: &Certificate) -> bool {
    out.spki_sha256() == old.spki_sha256()
        && out.subject_der() == old.subject_der()
        && out.serial() == old.serial()
        && out.self_signed()
}

async fn change(ctx: &Ctx, args: &Args, new: &Reissued) -> Result<FileChange, Fault> {
    let content = Secret::new(new.certificate.to_pem());
    FileChange::new(ctx, Wanted { new_mode: 0o644, ..Wanted::content(args.path("out")?, content) }).await
}
