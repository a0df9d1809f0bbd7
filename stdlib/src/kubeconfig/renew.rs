use super::{Kubeconfig, current, refused};
use crate::{
    support::{
        certs,
        change::{FileChange, Wanted, basis},
        files::{self, Current, Mark},
        tell,
    },
    x509::{
        BACKDATE, CERTIFICATE, End, certificate_map, end, fault, key, one,
        pair::{staged_key, staged_path},
        wanted::NOT_AFTER,
    },
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Diff, Effect, Fault, Plan, Reconcile, Returns,
    Secret, Value, WayBack, returns::Key, value::map,
};
use keybook_pki::{Certificate, KeyForm, KeyKind, LeafRequest, PrivateKey, Subject, issue_leaf};

const CERT: &str = "client-certificate-data";
const KEY: &str = "client-key-data";

/// The end without `days` and `not_after`: a year, as kubeadm's certificates.
const DEFAULT_DAYS: i64 = 365;

/// Renews the client certificate of a kubeconfig.
pub struct Renew;

const SPEC: ActionSpec = ActionSpec {
    name: "kubeconfig.renew",
    summary: "Renews the client certificate and key inside a kubeconfig.",
    doc: "A new key of the same kind, and a certificate for it with the subject, names and usages of the old one, which may have expired, \
signed by a CA whose key is on the host: the old one's CA, or another that takes its place. Both replace those of the user of the current \
context (without a current context of the only user); every other byte stays. What the kubeconfig trusts is left as it is: see \
`kubeconfig.trust`. The new key is made once for each unit of a run, as `x509.issue_leaf` does, and no result holds it.\n\n\
After a crash: another client certificate in the file than before, of this CA and for the key beside it, done; the file as it was, not \
done; anything else, a person must look.\n\n\
Errors: no kubeconfig; a user without a certificate of its own, or with files, which are to be renewed by `x509.issue_leaf`; what \
`x509.read` and `x509.check_key` refuse; a key that is not the CA's, a CA that is none ([kubeconfig](https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("path", ArgKind::Path, "The kubeconfig."),
        ArgSpec::required("ca", ArgKind::Path, "The PEM file with the CA."),
        ArgSpec::required("ca_key", ArgKind::Path, "The file with its key."),
        ArgSpec::optional("passphrase", ArgKind::Secret, "", "Opens an encrypted CA key."),
        ArgSpec::optional("days", ArgKind::Int, "365", "The end, in days from now."),
        NOT_AFTER,
    ],
    returns: Returns::keys(
        CERTIFICATE.and(&[
            Key::plain("path", "The kubeconfig."),
            Key::plain("user", "The user's name in the file."),
        ]),
    ),
    way_back: WayBack::Files,
    example: "kubeconfig.renew:\n  path: /etc/kubernetes/admin.conf\n  ca: /etc/kubernetes/pki/ca.crt\n  ca_key: /etc/kubernetes/pki/ca.key\n",
};

#[async_trait]
impl Action for Renew {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let order = Order::load(ctx, args).await?;
        let path = args.path("path")?;
        let (staged, key) = staged_key(ctx, order.key_kind, order.key_form, path).await?;
        let wrong = |error| fault(&*ctx.target, format!("renew the user of {path}"), &error);
        let certificate = issue_leaf(&order.request(ctx), &order.ca, &order.ca_key, &key).map_err(wrong)?;
        let cert_data = Secret::new(STANDARD.encode(certificate.to_pem()));
        let key_data = Secret::new(STANDARD.encode(key.to_pem(order.key_form).map_err(wrong)?.expose()));
        let fields = [(CERT, &cert_data), (KEY, &key_data)];
        let content =
            order.conf.with("users", &order.user, "user", &fields).map_err(|why| refused(ctx, path, why))?;
        let file = FileChange::new(ctx, Wanted { secret: true, ..Wanted::content(path, content) }).await?;
        if let Some(planned) = ctx.planned.get("file") {
            file.refuse_if_changed(ctx, planned)?;
        }
        file.apply(ctx).await?;
        ctx.target.remove(&staged).await?;
        Ok(Applied::changed(result(path, &order.user, &certificate)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let path = args.path("path")?;
        let (_, now) = files::look(&*ctx.target, path).await?;
        if now.as_ref().map(Current::mark) == memo.get("file").and_then(Mark::from_value) {
            return Ok(Reconcile::NotDone);
        }
        let other = || {
            Reconcile::Unknown(format!(
                "{path} is neither what it was nor what this step writes: someone else changed it"
            ))
        };
        let Some(now) = now else { return Ok(other()) };
        let (_, ca) = one(&*ctx.target, args.path("ca")?).await?;
        let user = Kubeconfig::of(ctx, path, now).ok().and_then(|conf| User::of(&conf).ok());
        let before = memo.get("before").and_then(Value::as_str);
        Ok(match user {
            Some(user)
                if user.key.matches(&user.certificate)
                    && user.certificate.signed_by(&ca) == Ok(true)
                    && Some(user.certificate.sha256().as_str()) != before =>
            {
                // The attempt may have ended just before it did this itself.
                ctx.target.remove(&staged_path(ctx, path)).await?;
                Reconcile::Done(result(path, &user.name, &user.certificate))
            }
            _ => other(),
        })
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let order = Order::load(ctx, args).await?;
    let path = args.path("path")?;
    let mark = order.conf.file.mark();
    Ok(Plan {
        diffs: vec![Diff {
            path: order.conf.file.path.clone(),
            before: Some(format!("user {}: {}", order.user, certs::line(&order.old))),
            after: Some(format!("user {}: {}, until {}", order.user, order.old.subject(), order.end)),
            described: true,
        }],
        touches: vec![order.conf.file.path.clone(), staged_path(ctx, path)],
        basis: format!("{}; {}; {}", order.ca.sha256(), order.end, basis(&mark)),
        memo: Value::Map(map([("file", mark.to_value()), ("before", order.old.sha256().as_str().into())])),
        ..Plan::will(vec![
            format!(
                "make an {} key and issue a certificate for {} with the CA {}",
                order.key_kind,
                order.old.subject(),
                order.ca.subject()
            ),
            format!("until {}; write both into {path}", order.end),
        ])
    })
}

/// A user with a certificate of its own.
struct User {
    name: String,
    certificate: Certificate,
    key: PrivateKey,
}

impl User {
    fn of(conf: &Kubeconfig) -> Result<Self, String> {
        let (name, user) = current::user(&conf.content)?;
        let data = |field: &str| {
            let text = user.get(field).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
            match (text, user.get(field.trim_end_matches("-data")).and_then(|file| file.as_str())) {
                (Some(text), _) => {
                    STANDARD.decode(text.trim()).map_err(|_| format!("its {field} is no base64"))
                }
                (None, Some(file)) => Err(format!("its user shows the file {file}")),
                (None, None) => Err(format!("its user {name} has no {field}")),
            }
        };
        let certificate =
            Certificate::one_pem(&data(CERT)?).map_err(|error| format!("its {CERT}: {error}"))?;
        let key = PrivateKey::load(&Secret::new(data(KEY)?), None)
            .map_err(|error| format!("its {KEY}: {error}"))?;
        Ok(Self { name: name.to_owned(), certificate, key })
    }
}

/// What is to be issued.
struct Order {
    conf: Kubeconfig,
    user: String,
    old: Certificate,
    ca: Certificate,
    ca_key: PrivateKey,
    key_kind: KeyKind,
    key_form: KeyForm,
    end: End,
}

impl Order {
    async fn load(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let path = args.path("path")?;
        let passphrase = args.opt_secret("passphrase")?;
        let (_, ca) = one(&*ctx.target, args.path("ca")?).await?;
        let (_, ca_key) = key(&*ctx.target, args.path("ca_key")?, passphrase.as_ref()).await?;
        let conf = Kubeconfig::of(ctx, path, files::need(&*ctx.target, path).await?)?;
        let user = User::of(&conf).map_err(|why| refused(ctx, path, why))?;
        if !ca_key.matches(&ca) {
            return Err(refused(
                ctx,
                path,
                format!("the key {} is not that of the CA", args.path("ca_key")?),
            ));
        }
        if !ca.is_ca() {
            return Err(refused(ctx, path, format!("`{}` is not a CA", ca.subject())));
        }
        let end = end(ctx, args)?.unwrap_or_else(|| End::in_days(ctx, DEFAULT_DAYS));
        let (key_kind, key_form) = (user.key.kind(), user.key.original_form());
        Ok(Self { conf, user: user.name, old: user.certificate, ca, ca_key, key_kind, key_form, end })
    }

    fn request(&self, ctx: &Ctx) -> LeafRequest {
        LeafRequest {
            subject: Subject::Der(self.old.subject_der().to_vec()),
            sans: self.old.sans().to_vec(),
            usages: self.old.usages().clone(),
            not_before: ctx.now.saturating_sub(BACKDATE),
            not_after: self.end.at,
        }
    }
}

fn result(path: &str, user: &str, certificate: &Certificate) -> Value {
    let mut result = certificate_map(certificate);
    result.insert("path".to_owned(), path.into());
    result.insert("user".to_owned(), user.into());
    Value::Map(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, Issue, args, ca, leaf};

    fn conf(bench: &Bench) -> String {
        let coded = |name: &str| STANDARD.encode(bench.read(name));
        format!(
            "apiVersion: v1\nclusters: [{{name: k, cluster: {{server: s}}}}]\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
current-context: c\nusers:\n- name: u\n  user:\n    client-certificate-data: {} # mine\n    client-key-data: {}\n",
            coded("leaf.pem"),
            coded("leaf-key.pem")
        )
    }

    fn asked(bench: &Bench) -> Args {
        let old = ca(bench, "old", &Issue::default());
        ca(bench, "new", &Issue { cn: "new", ..Issue::default() });
        leaf(bench, &old, "leaf", &Issue { cn: "kubernetes-admin", not_after: -86_400, ..Issue::default() });
        let path = bench.file("admin.conf", conf(bench));
        bench.chmod("admin.conf", 0o600);
        args([
            ("path", path.into()),
            ("ca", bench.path("new.pem").into()),
            ("ca_key", bench.path("new-key.pem").into()),
        ])
    }

    #[tokio::test]
    async fn the_user_gets_a_key_and_a_certificate_of_the_new_ca() {
        let bench = Bench::new();
        let args = asked(&bench);
        let plan = bench.describe(&Renew, &args).await.unwrap();
        let reconcile = async || Renew.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let applied = bench.apply(&Renew, &args).await.unwrap();
        assert!(!format!("{plan:?}{applied:?}").contains("PRIVATE KEY"));
        assert_eq!(reconcile().await, Reconcile::Done(applied.value.clone()));
        assert!(std::fs::read_dir(bench.ctx().staging()).unwrap().next().is_none());
        let file = files::need(&*bench.ctx().target, &bench.path("admin.conf")).await.unwrap();
        let user = User::of(&Kubeconfig::of(&bench.ctx(), "x", file).unwrap()).unwrap();
        let of = |name: &str| Certificate::one(bench.read(name).as_bytes()).unwrap();
        assert!(user.key.matches(&user.certificate));
        assert_eq!(user.certificate.signed_by(&of("new.pem")), Ok(true));
        let old = of("leaf.pem");
        assert_eq!(
            (user.certificate.subject_der(), user.certificate.usages()),
            (old.subject_der(), old.usages())
        );
        assert_ne!(user.certificate.spki_sha256(), old.spki_sha256());
        assert_eq!((user.certificate.not_after() - bench.ctx().now) / 86_400, 365);
        assert!(bench.read("admin.conf").contains(" # mine\n"));
        assert_eq!(bench.mode("admin.conf"), 0o600);
        bench.file("admin.conf", conf(&bench) + "# somebody\n");
        assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
    }

    #[tokio::test]
    async fn what_has_no_certificate_of_its_own_is_as_it_was() {
        let bench = Bench::new();
        let good = asked(&bench);
        let now = conf(&bench);
        let key = bench.path("old-key.pem");
        for (text, ca_key, message) in [
            (
                now.replace("client-certificate-data: ", "client-certificate: /var/lib/x.pem\n    x: "),
                None,
                "the file /var/lib/x.pem",
            ),
            (now.replace("client-key-data", "other"), None, "has no client-key-data"),
            (now.replace("user: u", "user: v"), None, "no user `v`"),
            (now.clone(), Some(key), "is not that of the CA"),
        ] {
            bench.file("admin.conf", &text);
            let mut args = good.clone();
            if let Some(key) = ca_key {
                args.0.insert("ca_key".into(), key.into());
            }
            let fault = bench.apply(&Renew, &args).await.unwrap_err();
            assert!(fault.cause.contains(message), "{fault}");
            assert_eq!(bench.read("admin.conf"), text);
        }
    }
}
