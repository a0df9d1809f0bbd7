use super::{
    BEAT, DIR, MATCH, PODS, PS, TIMEOUT,
    containers::Container,
    pods::{Place, Pods, values},
    ps_command, timeout,
};
use crate::support::{files, tell, waiting};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Change, Ctx, Effect, Fault, FaultKind, Plan,
    Reconcile, Returns, Value, WayBack, duration,
    returns::{Key, Keys},
    value::map,
};

/// Starts static pods.
pub struct Start;

const SPEC: ActionSpec = ActionSpec {
    name: "static_pod.start",
    summary: "Starts static pods by moving their manifests back into the kubelet's directory.",
    doc: "Each manifest is renamed from the directory `from`; nothing is replaced. Then it waits until the container runtime lists, for \
every pod, as many containers as its manifest has, none of them in `old`. That a container runs does not say that its program is well: let \
a check of its service follow. Undo does nothing: the undo of `static_pod.stop` wants the manifests where this leaves them.\n\n\
After a crash: every manifest in its place and every container running, done; else it is done again from where it was; a manifest in both \
places or in none, a person must look.\n\n\
Errors: a manifest that is in neither directory, one that is in both, a listing command that fails, the time is up \
([static pods](https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/)).",
    effect: Effect::Changes,
    args: &[
        PODS,
        DIR,
        ArgSpec::optional("from", ArgKind::Path, "the parent of `dir`", "Where the manifests are parked."),
        ArgSpec::optional(
            "old",
            ArgKind::Texts,
            "[]",
            "Ids of containers that do not count, such as the `containers` that `static_pod.stop` returned.",
        ),
        PS,
        MATCH,
        TIMEOUT,
    ],
    returns: Returns::map(&[
        Key::plain("started", "The names in `pods`."),
        Key::list(
            "containers",
            "Those that run now.",
            Keys::own(&[
                Key::plain("pod", "The name in `pods`."),
                Key::plain("name", "The container's name."),
                Key::plain("id", "The container's id."),
            ]),
        ),
    ]),
    way_back: WayBack::Undo,
    example: "static_pod.start:\n  pods: [tos-etcd, tos-apiserver]\n  dir: /opt/kubernetes/manifests-multi\n",
};

#[async_trait]
impl Action for Start {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let pods = Pods::look(ctx, args, "from").await?;
        pods.refuse_both(ctx)?;
        let moves = pods.at(Place::Parked).map(|manifest| {
            let (from, to) = (pods.parked(manifest), pods.live(manifest));
            format!("mv {} {}", tell::quoted(&from), tell::quoted(files::parent(&to)))
        });
        let mut plan = Plan::will(moves);
        if plan.lines.is_empty() && running(ctx, args, &pods).await?.is_ok() {
            plan.change = Change::Wont;
            plan.lines.push(format!("{} are running", pods.names().join(", ")));
        } else {
            plan.lines.push(format!(
                "wait up to {} until `{}` lists the containers of {}",
                duration::format(timeout(args)?),
                ps_command(args)?,
                pods.names().join(", ")
            ));
        }
        plan.basis = pods.basis();
        Ok(plan)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let pods = Pods::look(ctx, args, "from").await?;
        pods.refuse_both(ctx)?;
        // Before anything is moved, so that a runtime that is down stops it here.
        let was_running = running(ctx, args, &pods).await?.is_ok();
        let mut changed = !was_running;
        for manifest in pods.at(Place::Parked) {
            ctx.target.rename(&pods.parked(manifest), &pods.live(manifest)).await?;
            changed = true;
        }
        let doing = format!("wait until {} run", pods.names().join(", "));
        let containers = waiting::until(ctx, &doing, timeout(args)?, BEAT, || running(ctx, args, &pods))
            .await
            .map_err(|fault| {
                fault
                    .now(format!("the manifests are in {}; the kubelet may still start the pods", pods.dir))
                    .hint("See the kubelet's log on this host.")
            })?;
        Ok(Applied { changed, ..Applied::changed(result(&pods, &containers)) })
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let pods = match Pods::look(ctx, args, "from").await {
            Ok(pods) => pods,
            Err(fault) if fault.kind == FaultKind::Failed => return Ok(Reconcile::Unknown(fault.cause)),
            Err(fault) => return Err(fault),
        };
        if let Err(fault) = pods.refuse_both(ctx) {
            return Ok(Reconcile::Unknown(fault.cause));
        }
        if pods.at(Place::Parked).next().is_some() {
            return Ok(Reconcile::NotDone);
        }
        Ok(match running(ctx, args, &pods).await? {
            Ok(containers) => Reconcile::Done(result(&pods, &containers)),
            Err(_) => Reconcile::NotDone,
        })
    }

    async fn undo(&self, _ctx: &Ctx, _args: &Args, _memo: &Value, _result: &Value) -> Result<(), Fault> {
        Ok(())
    }
}

/// The containers of the pods, without sandboxes, when every pod has all of its own; else what is missing.
async fn running(
    ctx: &Ctx,
    args: &Args,
    pods: &Pods,
) -> Result<Result<Vec<(String, Container)>, String>, Fault> {
    let old = args.texts("old")?;
    let mut found = pods.containers(ctx, args).await?;
    found.retain(|(_, container)| container.name != "POD" && !old.contains(&container.id));
    let lacking = pods.pods.iter().filter(|(manifest, _)| {
        found.iter().filter(|(pod, _)| *pod == manifest.asked).count() < manifest.containers
    });
    let lacking: Vec<&str> = lacking.map(|(manifest, _)| manifest.asked.as_str()).collect();
    Ok(if lacking.is_empty() { Ok(found) } else { Err(format!("not yet running: {}", lacking.join(", "))) })
}

fn result(pods: &Pods, containers: &[(String, Container)]) -> Value {
    Value::Map(map([("started", pods.names().into()), ("containers", values(containers))]))
}
