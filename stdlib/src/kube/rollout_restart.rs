use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, NAMESPACE, SERVER,
    api::Ask,
    budget,
    change::MANAGER,
    resource::{name, query},
    rollout::{NAME, RESOURCE, Workload},
};
use crate::support::tell::{self, failed};
use async_trait::async_trait;
use http::Method;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack, returns::Key, value::map,
};
use keybook_pki::rfc3339;
use serde_json::{Value as Json, json};

/// Restarts a workload's pods.
pub struct RolloutRestart;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.rollout_restart",
    summary: "Restarts a workload's pods by and by.",
    doc: "As `kubectl rollout restart`: it writes the time into the pod template, and the controller replaces the pods as the workload's \
strategy says. The controllers do not ask PodDisruptionBudgets; so before anything is changed, each budget that selects the workload's \
pods must allow a disruption, or nothing is restarted and the budget is named. It does not wait: let `kube.rollout_status` follow.\n\n\
After a crash the annotation tells: another than when this was planned, done; the same, not done.\n\n\
Errors: a workload that is not there or is paused; a budget that allows no disruption; whatever the server refuses \
([disruptions](https://kubernetes.io/docs/concepts/workloads/pods/disruptions/)).",
    effect: Effect::Changes,
    args: &[
        RESOURCE,
        NAME,
        NAMESPACE,
        ArgSpec::optional(
            "annotation",
            ArgKind::Text,
            "kubectl.kubernetes.io/restartedAt",
            "The annotation of the pod template that is written.",
        ),
        ArgSpec::optional(
            "respect_pdb",
            ArgKind::Bool,
            "true",
            "Restart nothing while a budget allows no disruption.",
        ),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(&[
        Key::plain("name", "The workload, such as `daemonset/kube-proxy`."),
        Key::plain("restarted_at", "When, as the API server has it."),
    ]),
    way_back: WayBack::Nothing,
    example: "kube.rollout_restart:\n  resource: daemonset\n  name: kube-proxy\n  namespace: kube-system\n",
};

#[async_trait]
impl Action for RolloutRestart {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let plan = async {
            let job = Job::from_args(ctx, args).await?;
            let object = job.workload.get(ctx, &job.doing()).await?;
            let budgets = job.budgets(ctx, &object).await?;
            let restarted = job.restarted(&object);
            let warning = (!budgets.is_empty()).then(|| {
                format!("now this would not be done: no disruption is allowed by {}", budgets.join(", "))
            });
            let line = format!(
                "restart {}: write the time into its pod template ({})",
                job.workload.what, job.annotation
            );
            let memo = Value::Map(map([("restarted_at", restarted.as_str().into())]));
            Ok(Plan { basis: restarted, memo, ..Plan::will([line].into_iter().chain(warning)) })
        };
        tell::planned(ctx, self, args, plan.await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let job = Job::from_args(ctx, args).await?;
        let doing = job.doing();
        let object = job.workload.get(ctx, &doing).await?;
        if object.pointer("/spec/paused").and_then(Json::as_bool) == Some(true) {
            let why = format!("{} is paused: its pods would stay", job.workload.what);
            return Err(failed(ctx, job.workload.api.attempted(&doing), why).now("nothing was restarted"));
        }
        let budgets = job.budgets(ctx, &object).await?;
        if !budgets.is_empty() {
            let why = format!("no disruption of its pods is allowed now by {}", budgets.join(", "));
            return Err(failed(ctx, job.workload.api.attempted(&doing), why)
                .now("nothing was restarted")
                .hint("See that its pods are healthy, then resume; `respect_pdb: false` restarts it all the same."));
        }
        let patch = json!({"spec": {"template": {"metadata": {"annotations": {job.annotation.as_str(): rfc3339(ctx.now)}}}}});
        let path = format!("{}{}", job.workload.path(), query(&[("fieldManager", Some(MANAGER))]));
        let ask = Ask {
            body: Some((super::change::MERGE, patch)),
            ..Ask::send(&doing, Method::PATCH, path, Json::Null)
        };
        let done = job.workload.api.need(ctx, ask).await?;
        Ok(Applied::changed(job.result(&done)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let job = Job::from_args(ctx, args).await?;
        let object = job.workload.get(ctx, &job.doing()).await?;
        Ok(match memo.get("restarted_at").and_then(Value::as_str) {
            Some(before) if before == job.restarted(&object) => Reconcile::NotDone,
            Some(_) => Reconcile::Done(job.result(&object)),
            None => Reconcile::Unknown("the journal does not say when it was restarted before".to_owned()),
        })
    }
}

struct Job {
    workload: Workload,
    annotation: String,
    respect: bool,
}

impl Job {
    async fn from_args(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let annotation = match args.opt_text("annotation")? {
            Some(text) => {
                let short = text.rsplit_once('/').map_or(text, |(_, short)| short);
                let checked = keybook_api::Args(map([("annotation", short.into())]));
                name(&checked, "annotation").map(|_| text)?
            }
            None => "kubectl.kubernetes.io/restartedAt",
        };
        Ok(Self {
            workload: Workload::from_args(ctx, args).await?,
            annotation: annotation.to_owned(),
            respect: args.bool_or("respect_pdb", true)?,
        })
    }

    fn doing(&self) -> String {
        format!("restart {}", self.workload.what)
    }

    async fn budgets(&self, ctx: &Ctx, object: &Json) -> Result<Vec<String>, Fault> {
        if self.respect { budget::exhausted(ctx, &self.workload, object).await } else { Ok(Vec::new()) }
    }

    /// When it was restarted last; empty for never.
    fn restarted(&self, object: &Json) -> String {
        let all = object.pointer("/spec/template/metadata/annotations");
        let own = all.and_then(|all| all.get(&self.annotation)).and_then(Json::as_str);
        own.unwrap_or_default().to_owned()
    }

    fn result(&self, object: &Json) -> Value {
        let restarted = self.restarted(object);
        Value::Map(map([("name", self.workload.what.as_str().into()), ("restarted_at", restarted.into())]))
    }
}
