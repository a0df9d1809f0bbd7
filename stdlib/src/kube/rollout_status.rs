use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, NAMESPACE, SERVER,
    rollout::{NAME, RESOURCE, Workload, progress},
    wait::passes,
};
use crate::support::{
    tell::{self, failed},
    waiting,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, WayBack,
    returns::Key, value::map,
};
use std::time::Duration;

/// Waits for a rollout.
pub struct RolloutStatus;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.rollout_status",
    summary: "Waits until a workload's pods are all of its newest template, and available.",
    doc: "Looks again and again at what `kubectl rollout status` looks at, so that a connection that breaks while an API server restarts is \
no end of it.\n\n\
Errors: a workload that is not there or cannot make progress; the time is up \
([deployments](https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status)).",
    effect: Effect::Reads,
    args: &[
        RESOURCE,
        NAME,
        NAMESPACE,
        ArgSpec::optional("timeout", ArgKind::Duration, "5m", "How long it may take."),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(&[
        Key::plain("name", "The workload, such as `daemonset/kube-proxy`."),
        Key::plain("message", "How many pods there are."),
    ]),
    way_back: WayBack::Nothing,
    example: "kube.rollout_status:\n  resource: deployment\n  name: coredns\n  namespace: kube-system\n  timeout: 10m\n",
};

const BEAT: Duration = Duration::from_secs(2);

#[async_trait]
impl Action for RolloutStatus {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads(format!("wait for the rollout of {}/{}", args.text("resource")?, args.text("name")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let workload = Workload::from_args(ctx, args).await?;
        let timeout = args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(300));
        let doing = format!("wait for the rollout of {}", workload.what);
        let message = waiting::until(ctx, &doing, timeout, BEAT, || async {
            let object = match workload.get(ctx, &doing).await {
                Ok(object) => object,
                Err(fault) if passes(&fault) => return Ok(Err(fault.cause)),
                Err(fault) => return Err(fault),
            };
            match progress(&object) {
                Ok(Ok(message)) => Ok(Ok(message)),
                Ok(Err(never)) => Err(failed(ctx, workload.api.attempted(&doing), never)),
                Err(not_yet) => Ok(Err(not_yet)),
            }
        })
        .await?;
        Ok(Applied::unchanged(map([("name", workload.what.as_str().into()), ("message", message.into())])))
    }
}
