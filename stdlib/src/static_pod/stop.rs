use super::{
    BEAT, DIR, MATCH, PODS, PS, TIMEOUT,
    containers::Container,
    manifests::Manifest,
    pods::{Place, Pods},
    ps_command, timeout,
};
use crate::support::{files, tell, waiting};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Change, Ctx, Effect, Fault, FaultKind, Plan,
    Reconcile, Returns, Value, WayBack, duration, returns::Key, value::map,
};

/// Stops static pods.
pub struct Stop;

const SPEC: ActionSpec = ActionSpec {
    name: "static_pod.stop",
    summary: "Stops static pods by moving their manifests out of the kubelet's directory.",
    doc: "Each manifest is renamed to the directory `to`, which must be outside the manifest directory and on the same file system; \
nothing is replaced. Then it waits until the container runtime lists no container of these pods, their sandboxes (`k8s_POD_…`) included. A \
container belongs to a pod when its pod's name is the manifest's `metadata.name`, alone or followed by `-` (the kubelet appends the node's \
name), in the manifest's namespace; where several manifests fit, the longest name wins. Pods that are stopped already are fine. Undo moves \
the manifests back, without waiting.\n\n\
After a crash: every manifest parked and no container left, done; else it is done again from where it was; a manifest in both places or \
in none, a person must look.\n\n\
Errors: a manifest that is in neither directory, one that is in both, a listing command that fails (the runtime is down: that is never \
taken for \"no containers\"), the time is up ([static pods](https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/)).",
    effect: Effect::Changes,
    args: &[
        PODS,
        DIR,
        ArgSpec::optional("to", ArgKind::Path, "the parent of `dir`", "Where the manifests are parked."),
        PS,
        MATCH,
        TIMEOUT,
    ],
    returns: Returns::map(&[
        Key::plain("stopped", "The names in `pods`."),
        Key::plain("containers", "The ids of the containers that ran before."),
    ]),
    way_back: WayBack::Undo,
    example: "static_pod.stop:\n  pods: [tos-etcd, tos-apiserver]\n  dir: /opt/kubernetes/manifests-multi\n",
};

#[async_trait]
impl Action for Stop {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let pods = Pods::look(ctx, args, "to").await?;
        pods.refuse_both(ctx)?;
        let running = pods.containers(ctx, args).await?;
        let moves = pods.at(Place::Dir).map(|manifest| rename(&pods.live(manifest), &pods.parked(manifest)));
        let mut plan = Plan::will(moves);
        if plan.lines.is_empty() && running.is_empty() {
            plan.change = Change::Wont;
            plan.lines.push(format!("{} are stopped", pods.names().join(", ")));
        } else {
            plan.lines.push(format!(
                "wait up to {} until `{}` lists no container of {}",
                duration::format(timeout(args)?),
                ps_command(args)?,
                pods.names().join(", ")
            ));
        }
        plan.basis = pods.basis();
        plan.memo = memo(ctx, &pods, &running);
        Ok(plan)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let pods = Pods::look(ctx, args, "to").await?;
        pods.refuse_both(ctx)?;
        let running = pods.containers(ctx, args).await?;
        let mut moved: Vec<String> = Vec::new();
        for manifest in pods.at(Place::Dir) {
            let (live, parked) = (pods.live(manifest), pods.parked(manifest));
            ctx.sink.progress(&rename(&live, &parked));
            ctx.target.rename(&live, &parked).await.map_err(|fault| {
                fault
                    .now(if moved.is_empty() {
                        "nothing was moved".to_owned()
                    } else {
                        format!("moved: {}", moved.join(", "))
                    })
                    .hint("Give `to` a directory on the same file system as the manifests.")
            })?;
            moved.push(parked);
        }
        gone(ctx, args, &pods).await?;
        let changed = !(moved.is_empty() && running.is_empty());
        let ids = running.into_iter().map(|(_, container)| container.id).collect();
        Ok(Applied { changed, ..Applied::changed(result(&pods, ids)) })
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let pods = match Pods::look(ctx, args, "to").await {
            Ok(pods) => pods,
            Err(fault) if fault.kind == FaultKind::Failed => return Ok(Reconcile::Unknown(fault.cause)),
            Err(fault) => return Err(fault),
        };
        if let Err(fault) = pods.refuse_both(ctx) {
            return Ok(Reconcile::Unknown(fault.cause));
        }
        if pods.at(Place::Dir).next().is_some() || !pods.containers(ctx, args).await?.is_empty() {
            return Ok(Reconcile::NotDone);
        }
        Ok(Reconcile::Done(result(&pods, texts(memo, "containers"))))
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, memo: &Value, _result: &Value) -> Result<(), Fault> {
        let pods = Pods::look(ctx, args, "to").await?;
        let back = texts(memo, "back");
        for manifest in pods.at(Place::Parked).filter(|manifest| back.contains(&manifest.asked)) {
            ctx.target.rename(&pods.parked(manifest), &pods.live(manifest)).await?;
        }
        pods.refuse_both(ctx)
    }
}

async fn gone(ctx: &Ctx, args: &Args, pods: &Pods) -> Result<(), Fault> {
    let doing = format!("wait until {} stop", pods.names().join(", "));
    waiting::until(ctx, &doing, timeout(args)?, BEAT, || async {
        let left = pods.containers(ctx, args).await?;
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("still running: {}", names(&left))) })
    })
    .await
    .map_err(|fault| {
        fault.now(format!("the manifests are in {}; the kubelet may still stop the pods", pods.parking))
    })
}

fn names(containers: &[(String, Container)]) -> String {
    let one = |(_, container): &(String, Container)| format!("{} of {}", container.name, container.pod);
    containers.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn rename(from: &str, to: &str) -> String {
    format!("mv {} {}", tell::quoted(from), tell::quoted(files::parent(to)))
}

fn memo(ctx: &Ctx, pods: &Pods, running: &[(String, Container)]) -> Value {
    // What an earlier attempt of this unit has moved is moved back, too.
    let earlier = ctx.attempt > 1;
    let back = pods.pods.iter().filter(|(_, place)| earlier || *place == Place::Dir);
    let back: Vec<String> = back.map(|(Manifest { asked, .. }, _)| asked.clone()).collect();
    let ids: Vec<String> = running.iter().map(|(_, container)| container.id.clone()).collect();
    Value::Map(map([("back", back.into()), ("containers", ids.into())]))
}

fn texts(memo: &Value, key: &str) -> Vec<String> {
    let list = memo.get(key).and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn result(pods: &Pods, ids: Vec<String>) -> Value {
    Value::Map(map([("stopped", pods.names().into()), ("containers", ids.into())]))
}
