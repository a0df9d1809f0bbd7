use super::{each_of, paths};
use crate::{
    file::FIELDS,
    support::{
        certs,
        change::{Became, FileChange, Wanted, became},
        tell,
    },
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns,
    Secret, Value, WayBack,
    returns::{Key, Keys},
};
use keybook_pki::{Certificate, bundle};

/// Joins certificates into one file.
pub struct Bundle;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.bundle",
    summary: "Joins the certificates of several files into one PEM bundle.",
    doc: "In the order given, each certificate once; text between the PEM blocks is dropped. An existing `out` keeps its mode and \
owner; a new one is 0644. Some programs take exactly one certificate, such as the signing CA of kube-controller-manager and `kubeadm join`: \
do not give them a bundle.\n\nAfter a crash the file's digest tells what became of it, as for `file.put`.\n\n\
Errors: what `x509.read` refuses; no directory for `out`.",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("certs", ArgKind::Texts, "PEM files with one or more certificates each."),
        ArgSpec::required("out", ArgKind::Path, "The file to write; it may be one of `certs`."),
    ],
    returns: Returns::keys(
        Keys::of("`file.put`", FIELDS).and(&[Key::plain("count", "How many certificates it has.")]),
    ),
    way_back: WayBack::Files,
    example: "x509.bundle:\n  certs: [/etc/kubernetes/pki/ca.crt, /root/rotation/ca-new.crt]\n  out: /root/rotation/ca-both.crt\n",
};

#[async_trait]
impl Action for Bundle {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let all = load(ctx, args).await?;
        let (now, changed) = change(ctx, args, &all).await?.apply(ctx).await?;
        Ok(Applied { changed, ..Applied::changed(result(&now, args)?) })
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        Ok(match became(ctx, memo).await? {
            Became::Written(now) => Reconcile::Done(result(&now, args)?),
            Became::Untouched => Reconcile::NotDone,
            Became::Other(why) => Reconcile::Unknown(why),
        })
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let all = load(ctx, args).await?;
    let mut plan = change(ctx, args, &all).await?.plan(all.iter().map(certs::line));
    let digests: Vec<String> = all.iter().map(Certificate::sha256).collect();
    plan.basis = format!("{}; {}", digests.join(" "), plan.basis);
    Ok(plan)
}

async fn load(ctx: &Ctx, args: &Args) -> Result<Vec<Certificate>, Fault> {
    each_of(&*ctx.target, &paths(args, "certs")?).await
}

async fn change(ctx: &Ctx, args: &Args, all: &[Certificate]) -> Result<FileChange, Fault> {
    let content = Secret::new(bundle(all));
    FileChange::new(ctx, Wanted { new_mode: 0o644, ..Wanted::content(args.path("out")?, content) }).await
}

fn result(now: &crate::support::files::Current, args: &Args) -> Result<Value, Fault> {
    let mut result = now.result(args.path("out")?);
    let count = Certificate::load_all_pem(now.content.expose()).map_or(0, |all| all.len());
    result.insert("count".to_owned(), Value::Int(count as i64));
    Ok(Value::Map(result))
}
