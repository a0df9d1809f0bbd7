use super::{
    CONTEXT, KUBECONFIG, KUBECTL, NAMESPACE, REQUEST,
    rollout::{NAME, RESOURCE, Workload},
    text, trouble,
};
use crate::support::tell::{self, failed, missing};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value, WayBack,
    returns::Key, value::map,
};

/// Restarts a workload's pods.
pub struct RolloutRestart;

const SPEC: ActionSpec = ActionSpec {
    name: "kubectl.rollout_restart",
    summary: "Restarts a workload's pods by and by.",
    doc: "`kubectl rollout restart`: it writes the time into the pod template, and the controller replaces the pods as the workload's \
strategy says. It does not wait: let `kubectl.rollout_status` follow.\n\n\
After a crash the annotation `kubectl.kubernetes.io/restartedAt` tells: another than when this was planned, done; the same, not done.\n\n\
Errors: a workload that is not there or is paused; whatever the server refuses \
([kubectl rollout restart](https://kubernetes.io/docs/reference/kubectl/generated/kubectl_rollout/kubectl_rollout_restart/)).",
    effect: Effect::Changes,
    args: &[RESOURCE, NAME, NAMESPACE, KUBECONFIG, CONTEXT, KUBECTL],
    returns: Returns::map(&[
        Key::plain("name", "The workload, such as `daemonset/kube-proxy`."),
        Key::plain("restarted_at", "When, as the API server has it."),
    ]),
    way_back: WayBack::Nothing,
    example: "kubectl.rollout_restart:\n  resource: daemonset\n  name: kube-proxy\n  namespace: kube-system\n  \
kubeconfig: /etc/kubernetes/admin.conf\n",
};

const RESTARTED: &str = "/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt";

#[async_trait]
impl Action for RolloutRestart {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let workload = Workload::from_args(args)?;
        let restarted = match restarted(ctx, &workload).await {
            Ok(restarted) => restarted,
            Err(fault) => return tell::planned(ctx, self, args, Err(fault)),
        };
        let line = workload.kubectl.line(&["rollout", "restart", &workload.what]);
        let memo = Value::Map(map([("restarted_at", restarted.as_str().into())]));
        Ok(Plan { basis: restarted, memo, ..Plan::will([line]) })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let workload = Workload::from_args(args)?;
        let exit = workload.kubectl.run(ctx, &["rollout", "restart", &workload.what], REQUEST).await?;
        match exit.ok() {
            true => Ok(Applied::changed(result(&workload, &restarted(ctx, &workload).await?))),
            false => Err(failed(ctx, format!("restart {}", workload.what), trouble(&exit))),
        }
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let workload = Workload::from_args(args)?;
        let now = restarted(ctx, &workload).await?;
        Ok(match memo.get("restarted_at").and_then(Value::as_str) {
            Some(before) if before == now => Reconcile::NotDone,
            Some(_) => Reconcile::Done(result(&workload, &now)),
            None => Reconcile::Unknown("the journal does not say when it was restarted before".to_owned()),
        })
    }
}

/// When the workload was restarted last; empty for never.
async fn restarted(ctx: &Ctx, workload: &Workload) -> Result<String, Fault> {
    let found = workload.kubectl.get(ctx, std::slice::from_ref(&workload.what)).await?;
    let found =
        found.ok_or_else(|| failed(ctx, format!("restart {}", workload.what), missing(&workload.what)))?;
    Ok(text(&found, RESTARTED).to_owned())
}

fn result(workload: &Workload, restarted: &str) -> Value {
    Value::Map(map([("name", workload.what.as_str().into()), ("restarted_at", restarted.into())]))
}
