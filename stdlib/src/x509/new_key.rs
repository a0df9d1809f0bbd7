use super::{
    key as key_of,
    new_csr::refuse_foreign_key,
    pair::{OUT_KEY, staged_key, staged_path, write_key},
    wanted::{KEY_FORM, KEY_KIND, key_form, key_kind},
};
use crate::support::{
    change::{FileChange, Wanted, basis, missing_dirs, refuse_missing},
    files::{self, Current, Mark},
    shown, tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Diff, Effect, Fault, Plan, Reconcile, Returns,
    Secret, Value, WayBack, returns::Key, value::map,
};
use keybook_pki::PrivateKey;

/// Makes a key pair.
pub struct NewKey;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.new_key",
    summary: "Makes a new key, and writes its public key beside it.",
    doc: "For keys that no certificate belongs to, such as those by which a Kubernetes API server signs the tokens of ServiceAccounts. The \
key is made once for each unit of a run, as `x509.issue_leaf` does, and written 0600, before the public key. `out_key` may not exist: a key \
is never replaced by this action. No result holds the key.\n\n\
After a crash: a key in `out_key` whose public key is in `out_public`, done; `out_public` as it was, not done; anything else, a person must \
look.\n\n\
Errors: something at `out_key` or `out_public`; no directory for the files \
([RFC 5958](https://www.rfc-editor.org/rfc/rfc5958), [RFC 7468](https://www.rfc-editor.org/rfc/rfc7468#section-13)).",
    effect: Effect::Changes,
    args: &[
        KEY_KIND,
        KEY_FORM,
        OUT_KEY,
        ArgSpec::required("out_public", ArgKind::Path, "The file of the public key to write (0644)."),
    ],
    returns: Returns::map(&[
        Key::plain("key_path", "The path of `out_key`."),
        Key::plain("public_path", "The path of `out_public`."),
        Key::plain("kind", "The kind of key, such as `RSA-2048`."),
        Key::plain("spki_sha256", "SHA-256 of the SubjectPublicKeyInfo, hexadecimal."),
    ]),
    way_back: WayBack::Files,
    example: "x509.new_key:\n  key_kind: RSA-2048\n  out_key: /etc/kubernetes/pki/sa-new.key\n  \
out_public: /etc/kubernetes/pki/sa-new.pub\n",
};

#[async_trait]
impl Action for NewKey {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let kind = key_kind(args, None)?;
        let form = key_form(args, kind)?;
        let job = Job::look(ctx, args).await?;
        job.refuse_existing(ctx).await?;
        let (staged, key) = staged_key(ctx, kind, form, &job.key_path).await?;
        write_key(ctx, &job.key_path, &key, form).await?;
        let pem = Secret::new(key.public_pem());
        let public = Wanted { new_mode: 0o644, ..Wanted::content(&job.public_path, pem) };
        FileChange::new(ctx, public).await?.apply(ctx).await?;
        ctx.target.remove(&staged).await?;
        Ok(Applied::changed(job.result(&key)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let job = Job::look(ctx, args).await?;
        let before = memo.get("public").and_then(Mark::from_value);
        let Some(public) = job.public.as_ref().filter(|public| Some(public.mark()) != before) else {
            return Ok(Reconcile::NotDone);
        };
        let key = key_of(&*ctx.target, &job.key_path, None).await.ok().map(|(_, key)| key);
        let own = key.filter(|key| key.public_pem().as_bytes() == public.content.expose());
        Ok(match own {
            Some(key) => {
                // The attempt may have ended just before it did this itself.
                ctx.target.remove(&staged_path(ctx, &job.key_path)).await?;
                Reconcile::Done(job.result(&key))
            }
            None => Reconcile::Unknown(format!(
                "{} is not the public key of {}: someone else changed it",
                job.public_path, job.key_path
            )),
        })
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let kind = key_kind(args, None)?;
    let form = key_form(args, kind)?;
    let job = Job::look(ctx, args).await?;
    job.refuse_existing(ctx).await?;
    let lines = vec![
        format!("make an {kind} key and write it to {} (mode 0600, {form})", job.key_path),
        format!("write its public key to {}", job.public_path),
    ];
    let mark = job.public.as_ref().map(|file| file.mark().to_value());
    let key_before = job.key.as_ref().map_or_else(|| "none".to_owned(), |file| basis(&file.mark()));
    Ok(Plan {
        diffs: vec![
            Diff {
                path: job.key_real.clone(),
                before: job.key.as_ref().map(shown::described),
                after: Some(format!("a new {kind} key")),
                described: true,
            },
            Diff {
                path: job.public_real.clone(),
                before: None,
                after: Some("its public key".to_owned()),
                described: true,
            },
        ],
        touches: vec![job.key_real.clone(), job.public_real.clone(), staged_path(ctx, &job.key_path)],
        basis: format!("{kind}; {key_before}"),
        memo: Value::Map(map([("public", mark.into())])),
        ..Plan::will(lines)
    })
}

/// The two files, as they are.
struct Job {
    key_path: String,
    key_real: String,
    key: Option<Current>,
    public_path: String,
    public_real: String,
    public: Option<Current>,
}

impl Job {
    async fn look(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let (key_path, public_path) = (args.path("out_key")?.to_owned(), args.path("out_public")?.to_owned());
        if key_path == public_path {
            return Err(Fault::usage("read the arguments", "`out_key` and `out_public` are the same file"));
        }
        for path in [&key_path, &public_path] {
            refuse_missing(ctx, path, &missing_dirs(ctx, path).await?)?;
        }
        let (key_real, key) = files::look(&*ctx.target, &key_path).await?;
        let (public_real, public) = files::look(&*ctx.target, &public_path).await?;
        Ok(Self { key_path, key_real, key, public_path, public_real, public })
    }

    async fn refuse_existing(&self, ctx: &Ctx) -> Result<(), Fault> {
        if self.public.is_some() {
            let attempted = format!("write a new public key to {}", self.public_path);
            return Err(tell::failed(ctx, attempted, "there is a file already, and a key is never replaced")
                .now("nothing was written")
                .hint("Name a new file, or skip the step by `check` when that key is the one to use."));
        }
        refuse_foreign_key(ctx, &self.key_path).await
    }

    fn result(&self, key: &PrivateKey) -> Value {
        Value::Map(map([
            ("key_path", self.key_path.as_str().into()),
            ("public_path", self.public_path.as_str().into()),
            ("kind", key.kind().to_string().into()),
            ("spki_sha256", key.spki_sha256().into()),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{Bench, args},
        x509::tests::openssl,
    };
    use keybook_api::Change;
    use keybook_pki::KeyForm;

    fn asked(bench: &Bench, kind: &str) -> Args {
        args([
            ("key_kind", kind.into()),
            ("out_key", bench.path("sa.key").into()),
            ("out_public", bench.path("sa.pub").into()),
        ])
    }

    #[tokio::test]
    async fn a_key_and_its_public_key_as_openssl_sees_them() {
        for kind in ["RSA-2048", "ECDSA-P384"] {
            let bench = Bench::new();
            let asked = asked(&bench, kind);
            let plan = bench.describe(&NewKey, &asked).await.unwrap();
            assert_eq!((plan.change.clone(), plan.touches.len()), (Change::Will, 3));
            let reconcile = async || NewKey.reconcile(&bench.ctx(), &asked, &plan.memo).await.unwrap();
            assert_eq!(reconcile().await, Reconcile::NotDone);
            let applied = bench.apply(&NewKey, &asked).await.unwrap();
            crate::testing::check_result(&NewKey, &applied.value);
            assert_eq!((bench.mode("sa.key"), bench.mode("sa.pub")), (0o600, 0o644));
            assert!(!format!("{plan:?}{applied:?}").contains("PRIVATE KEY"));
            assert_eq!(applied.value.get("kind"), Some(&kind.into()));
            let public = openssl(&["pkey", "-pubout", "-in", &bench.path("sa.key")]);
            assert_eq!(public, bench.read("sa.pub"));
            assert_eq!(reconcile().await, Reconcile::Done(applied.value));
            let fault = bench.apply(&NewKey, &asked).await.unwrap_err();
            assert!(fault.cause.contains("a key is never replaced"), "{fault}");
            bench.file("sa.pub", "other");
            assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
        }
    }

    /// The key was written, and the process ended before the public key was.
    #[tokio::test]
    async fn an_attempt_that_ended_half_way_is_gone_on_with() {
        let bench = Bench::new();
        let asked = asked(&bench, "ECDSA-P256");
        let plan = bench.describe(&NewKey, &asked).await.unwrap();
        let (_, key) =
            staged_key(&bench.ctx(), "ECDSA-P256".parse().unwrap(), KeyForm::Sec1, &bench.path("sa.key"))
                .await
                .unwrap();
        write_key(&bench.ctx(), &bench.path("sa.key"), &key, KeyForm::Sec1).await.unwrap();
        assert_eq!(NewKey.reconcile(&bench.ctx(), &asked, &plan.memo).await.unwrap(), Reconcile::NotDone);
        bench.apply(&NewKey, &asked).await.unwrap();
        assert_eq!(bench.read("sa.pub"), key.public_pem());
        assert!(std::fs::read_dir(bench.path("state/staging")).unwrap().next().is_none());
    }

    #[tokio::test]
    async fn what_is_there_is_never_replaced() {
        for there in ["sa.key", "sa.pub"] {
            let bench = Bench::new();
            bench.file(there, "theirs");
            let asked = asked(&bench, "RSA-2048");
            assert!(bench.describe(&NewKey, &asked).await.is_err());
            assert!(bench.apply(&NewKey, &asked).await.is_err());
            assert_eq!(bench.read(there), "theirs");
        }
        let bench = Bench::new();
        let same = args([("out_key", bench.path("a").into()), ("out_public", bench.path("a").into())]);
        assert!(bench.describe(&NewKey, &same).await.unwrap_err().cause.contains("the same file"));
    }
}
