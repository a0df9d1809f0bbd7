use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, SERVER,
    lease::{HOLDER, Held, Lease, NAME, NAMESPACE, TRIES},
};
use crate::support::tell::{self, failed};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack, returns::Key, value::map,
};
use keybook_pki::rfc3339;
use serde_json::json;
use std::time::Duration;

/// Takes a lease.
pub struct LeaseAcquire;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.lease_acquire",
    summary: "Takes a lease at the API server, as a lock that all can see.",
    doc: "A Lease that is not there is made. One that nobody holds, whose time is over, or that this holder has is taken (again) for \
`duration` from now; nobody renews it meanwhile. Two that try at once: only one gets it. Whether a lease has ended is told by this \
machine's clock, as all who take leases tell it by theirs.\n\n\
Undo releases it, where this holder still has it.\n\n\
After a crash the lease tells: renewed by this holder since it was planned, done; else not done.\n\n\
Errors: somebody else holds it, who is named; whatever the server refuses \
([leases](https://kubernetes.io/docs/concepts/architecture/leases/)).",
    effect: Effect::Changes,
    args: &[
        NAME,
        NAMESPACE,
        HOLDER,
        ArgSpec::optional("duration", ArgKind::Duration, "1h", "For how long."),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(&[
        Key::plain("name", "The lease's name."),
        Key::plain("holder", "Who holds it."),
        Key::plain("until", "When it ends; null when it does not say."),
    ]),
    way_back: WayBack::Undo,
    example: "kube.lease_acquire:\n  name: certificate-rotation\n  holder: keybook-${run.id}\n  duration: 4h\n",
};

#[async_trait]
impl Action for LeaseAcquire {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let plan = async {
            let lease = Lease::from_args(ctx, args).await?;
            let held = lease.find(ctx).await?;
            let taken = held.as_ref().filter(|held| held.is_taken(&lease.holder, ctx.now));
            let warning = taken.map(|held| format!("now this would not be done: {}", held.words()));
            let line = format!("take {} for {}", lease.words(), lease.holder);
            let renewed = held.map_or_else(String::new, |held| held.renewed);
            let memo = Value::Map(map([("renewed", renewed.as_str().into())]));
            Ok(Plan { memo, ..Plan::will([line].into_iter().chain(warning)) })
        };
        tell::planned(ctx, self, args, plan.await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let lease = Lease::from_args(ctx, args).await?;
        let duration = args.opt_duration("duration")?.unwrap_or(Duration::from_secs(3600)).as_secs().max(1);
        let doing = format!("take {}", lease.words());
        for _ in 0..TRIES {
            let held = lease.find(ctx).await?;
            if let Some(held) = held.as_ref().filter(|held| held.is_taken(&lease.holder, ctx.now)) {
                return Err(failed(ctx, lease.attempted(&doing), held.words())
                    .now("it was left as it is")
                    .hint("Wait until it is released or ends, or find out whether its holder still works."));
            }
            let now = rfc3339(ctx.now).replace('Z', ".000000Z");
            let spec = json!({"holderIdentity": lease.holder, "leaseDurationSeconds": duration, "acquireTime": now,
                "renewTime": now});
            let answer = lease.write(ctx, &doing, held.as_ref(), spec).await?;
            if answer.status.is_success() {
                return Ok(Applied::changed(lease.result(&Held::from(answer.json))));
            }
            lease.go_on(ctx, &doing, &answer)?;
        }
        Err(failed(ctx, lease.attempted(&doing), "others try to take it all the time"))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let lease = Lease::from_args(ctx, args).await?;
        let before = memo.get("renewed").and_then(Value::as_str).unwrap_or_default();
        let held = lease.find(ctx).await?;
        let own = held.filter(|held| held.holder == lease.holder && held.renewed != before);
        Ok(own.map_or(Reconcile::NotDone, |held| Reconcile::Done(lease.result(&held))))
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, _memo: &Value, _result: &Value) -> Result<(), Fault> {
        Lease::from_args(ctx, args).await?.release(ctx).await.map(drop)
    }
}
