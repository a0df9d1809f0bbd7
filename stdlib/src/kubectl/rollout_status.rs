use super::{
    CONTEXT, KUBECONFIG, KUBECTL, NAMESPACE, REQUEST,
    rollout::{NAME, RESOURCE, Workload},
    trouble,
};
use crate::support::{
    tell::{self, failed},
    waiting,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, FaultKind, Plan, Returns,
    WayBack, returns::Key, value::map,
};
use std::time::Duration;

/// Waits for a rollout.
pub struct RolloutStatus;

const SPEC: ActionSpec = ActionSpec {
    name: "kubectl.rollout_status",
    summary: "Waits until a workload's pods are all of its newest template, and available.",
    doc: "Asks `kubectl rollout status --watch=false` again and again, so that a connection that breaks while an API server restarts is \
no end of it.\n\n\
Errors: a workload that is not there or cannot make progress; the time is up \
([kubectl rollout status](https://kubernetes.io/docs/reference/kubectl/generated/kubectl_rollout/kubectl_rollout_status/)).",
    effect: Effect::Reads,
    args: &[
        RESOURCE,
        NAME,
        NAMESPACE,
        ArgSpec::optional("timeout", ArgKind::Duration, "5m", "How long it may take."),
        KUBECONFIG,
        CONTEXT,
        KUBECTL,
    ],
    returns: Returns::map(&[
        Key::plain("name", "The workload, such as `daemonset/kube-proxy`."),
        Key::plain("message", "kubectl's own."),
    ]),
    way_back: WayBack::Nothing,
    example: "kubectl.rollout_status:\n  resource: deployment\n  name: coredns\n  namespace: kube-system\n  timeout: 10m\n  \
kubeconfig: /etc/kubernetes/admin.conf\n",
};

const BEAT: Duration = Duration::from_secs(2);

/// How kubectl says that a rollout is through: deployments and daemon sets; stateful sets whole and in part.
const THROUGH: [&str; 3] = ["successfully rolled out", "rolling update complete", "roll out complete"];

#[async_trait]
impl Action for RolloutStatus {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let workload = Workload::from_args(args)?;
        Ok(tell::reads(workload.kubectl.line(&words(&workload))))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let workload = Workload::from_args(args)?;
        let timeout = args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(300));
        let doing = format!("wait for the rollout of {}", workload.what);
        let message = waiting::until(ctx, &doing, timeout, BEAT, || async {
            let exit = match workload.kubectl.run(ctx, &words(&workload), REQUEST).await {
                Err(fault) if fault.kind == FaultKind::TimedOut => {
                    return Ok(Err("the API server does not answer".to_owned()));
                }
                other => other?,
            };
            let (out, why) = (exit.out().trim().to_owned(), trouble(&exit));
            if exit.ok() {
                let through = THROUGH.iter().any(|words| out.contains(words));
                return Ok(if through { Ok(out) } else { Err(out) });
            }
            // The server's own answer is final; that it does not answer is not.
            match why.contains("(NotFound)") || why.contains("exceeded its progress deadline") {
                true => Err(failed(ctx, &doing, why)),
                false => Ok(Err(why)),
            }
        })
        .await?;
        Ok(Applied::unchanged(map([("name", workload.what.as_str().into()), ("message", message.into())])))
    }
}

fn words(workload: &Workload) -> [&str; 4] {
    ["rollout", "status", &workload.what, "--watch=false"]
}
