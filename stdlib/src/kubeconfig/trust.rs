use super::{Kubeconfig, current, refused};
use crate::{
    file::FIELDS,
    support::{
        certs,
        change::{Became, FileChange, Wanted, became},
        files::{self, Current},
        tell,
    },
    x509::{each_of, paths},
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns,
    Secret, Value, WayBack,
    returns::{Key, Keys},
};
use keybook_pki::{Certificate, bundle};

const DATA: &str = "certificate-authority-data";

/// Sets what a kubeconfig trusts.
pub struct Trust;

const SPEC: ActionSpec = ActionSpec {
    name: "kubeconfig.trust",
    summary: "Sets which CAs a kubeconfig trusts.",
    doc: "The certificates of all files in `cas`, each once, in their order, become the `certificate-authority-data` of the cluster that the \
current context names (without a current context of the only one). Every other byte stays. While a CA is rotated, give the old and the \
new one: clients that have the file take both; who reads it only at its start must be restarted. `kubeadm certs renew` does not \
renew this part of a kubeconfig.\n\nAfter a crash the file's digest tells what became of it, as for `file.put`.\n\n\
Errors: no kubeconfig; a cluster that names a file (`certificate-authority`), which is to be changed itself; something in `cas` that is \
no CA; what `x509.read` refuses ([kubeconfig](https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("path", ArgKind::Path, "The kubeconfig."),
        ArgSpec::required("cas", ArgKind::Texts, "PEM files on the host with one or more CAs each."),
    ],
    returns: Returns::keys(Keys::of("`file.put`", FIELDS).and(&[
        Key::plain("count", "How many CAs it trusts."),
        Key::plain("cluster", "The cluster's name in the file."),
    ])),
    way_back: WayBack::Files,
    example: "kubeconfig.trust:\n  path: /etc/kubernetes/admin.conf\n  cas: [/etc/kubernetes/pki/ca.crt, /etc/kubernetes/pki/ca-new.crt]\n",
};

#[async_trait]
impl Action for Trust {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let cas = load(ctx, args).await?;
        let (now, changed) = change(ctx, args, &cas).await?.apply(ctx).await?;
        Ok(Applied { changed, ..Applied::changed(result(ctx, args, now, cas.len())?) })
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        Ok(match became(ctx, memo).await? {
            Became::Written(now) => {
                let cas = load(ctx, args).await?;
                Reconcile::Done(result(ctx, args, *now, cas.len())?)
            }
            Became::Untouched => Reconcile::NotDone,
            Became::Other(why) => Reconcile::Unknown(why),
        })
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let cas = load(ctx, args).await?;
    let lines = cas.iter().map(|ca| format!("trust {}", certs::line(ca)));
    let mut plan = change(ctx, args, &cas).await?.plan(lines);
    let digests: Vec<String> = cas.iter().map(Certificate::sha256).collect();
    plan.basis = format!("{}; {}", digests.join(" "), plan.basis);
    Ok(plan)
}

async fn load(ctx: &Ctx, args: &Args) -> Result<Vec<Certificate>, Fault> {
    let cas = each_of(&*ctx.target, &paths(args, "cas")?).await?;
    match cas.iter().find(|ca| !ca.is_ca()) {
        None => Ok(cas),
        Some(leaf) => Err(refused(ctx, args.path("path")?, format!("`{}` is no CA", leaf.subject()))),
    }
}

async fn change(ctx: &Ctx, args: &Args, cas: &[Certificate]) -> Result<FileChange, Fault> {
    let path = args.path("path")?;
    let file = Kubeconfig::of(ctx, path, files::need(&*ctx.target, path).await?)?;
    let (name, cluster) = current::cluster(&file.content).map_err(|why| refused(ctx, path, why))?;
    let own = cluster.get(DATA).and_then(|data| data.as_str()).is_some_and(|data| !data.is_empty());
    if let (false, Some(ca)) = (own, cluster.get("certificate-authority").and_then(|file| file.as_str())) {
        return Err(refused(ctx, path, format!("its cluster trusts the file {ca}")).hint("Change that file."));
    }
    let data = Secret::new(STANDARD.encode(bundle(cas)));
    let content =
        file.with("clusters", name, "cluster", &[(DATA, &data)]).map_err(|why| refused(ctx, path, why))?;
    FileChange::new(ctx, Wanted { secret: true, ..Wanted::content(path, content) }).await
}

fn result(ctx: &Ctx, args: &Args, now: Current, count: usize) -> Result<Value, Fault> {
    let path = args.path("path")?;
    let mut result = now.result(path);
    let file = Kubeconfig::of(ctx, path, now)?;
    let (name, _) = current::cluster(&file.content).map_err(|why| refused(ctx, path, why))?;
    result.insert("count".to_owned(), Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
    result.insert("cluster".to_owned(), name.into());
    Ok(Value::Map(result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, Issue, args, ca, leaf};
    use keybook_api::Change;

    const CONF: &str = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: b2xk # the CA\n    \
server: https://a:6443\n  name: k\ncontexts:\n- {context: {cluster: k, user: u}, name: c}\ncurrent-context: c\n\
kind: Config\nusers:\n- {name: u, user: {token: t}}\n";

    fn asked(bench: &Bench) -> Args {
        for name in ["old", "new"] {
            ca(bench, name, &Issue::default());
        }
        let path = bench.file("admin.conf", CONF);
        bench.chmod("admin.conf", 0o600);
        let cas = vec![bench.path("old.pem"), bench.path("new.pem"), bench.path("old.pem")];
        args([("path", path.into()), ("cas", cas.into())])
    }

    #[tokio::test]
    async fn both_cas_are_trusted_and_the_rest_stays() {
        let bench = Bench::new();
        let args = asked(&bench);
        let plan = bench.describe(&Trust, &args).await.unwrap();
        assert_eq!(plan.lines.iter().filter(|line| line.starts_with("trust certificate")).count(), 2);
        let reconcile = async || Trust.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let applied = bench.apply(&Trust, &args).await.unwrap();
        let both = STANDARD.encode(format!("{}{}", bench.read("old.pem"), bench.read("new.pem")));
        assert_eq!(bench.read("admin.conf"), CONF.replace("b2xk", &both));
        assert_eq!(bench.mode("admin.conf"), 0o600);
        assert_eq!(
            (applied.value.get("count"), applied.value.get("cluster")),
            (Some(&Value::Int(2)), Some(&"k".into()))
        );
        assert_eq!(reconcile().await, Reconcile::Done(applied.value));
        assert_eq!(bench.describe(&Trust, &args).await.unwrap().change, Change::Wont);
        bench.file("admin.conf", CONF.replace("b2xk", "eA=="));
        assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
    }

    #[tokio::test]
    async fn what_cannot_be_changed_so_is_as_it_was() {
        let bench = Bench::new();
        let good = asked(&bench);
        let own = ca(&bench, "own", &Issue::default());
        leaf(&bench, &own, "leaf", &Issue::default());
        let leaf = vec![bench.path("own.pem"), bench.path("leaf.pem")];
        for (conf, cas, message) in [
            (CONF.replace("-data: b2xk # the CA", ": /etc/ca.pem"), None, "trusts the file /etc/ca.pem"),
            (CONF.replace("current-context: c", "current-context: d"), None, "no context `d`"),
            (CONF.replace("cluster: k", "cluster: j"), None, "no cluster `j`"),
            ("[".to_owned(), None, "no YAML"),
            (CONF.to_owned(), Some(leaf), "is no CA"),
        ] {
            bench.file("admin.conf", &conf);
            let mut args = good.clone();
            if let Some(cas) = cas {
                args.0.insert("cas".into(), cas.into());
            }
            let fault = bench.apply(&Trust, &args).await.unwrap_err();
            assert!(fault.cause.contains(message), "{fault}");
            assert_eq!(bench.read("admin.conf"), conf);
        }
    }
}
