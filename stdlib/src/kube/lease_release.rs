use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, SERVER,
    lease::{HOLDER, Lease, NAME, NAMESPACE},
};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value, WayBack,
    returns::Key, value::map,
};

/// Gives a lease back.
pub struct LeaseRelease;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.lease_release",
    summary: "Gives a lease back at the API server.",
    doc: "Only when this holder has it: a lease that is not there, or that somebody else holds by now, is left alone, and `released` is \
false. A rollback does not take it again.\n\n\
After a crash the lease tells: held by this holder, not done; else done.\n\n\
Errors: whatever the server refuses ([leases](https://kubernetes.io/docs/concepts/architecture/leases/)).",
    effect: Effect::Changes,
    args: &[NAME, NAMESPACE, HOLDER, KUBECONFIG, CONTEXT, SERVER, ACCEPT_EXPIRED],
    returns: Returns::map(&[Key::plain("released", "Whether this holder had it; null after a crash.")]),
    way_back: WayBack::Nothing,
    example: "kube.lease_release:\n  name: certificate-rotation\n  holder: keybook-${run.id}\n",
};

#[async_trait]
impl Action for LeaseRelease {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let plan = async {
            let lease = Lease::from_args(ctx, args).await?;
            let held = lease.find(ctx).await?;
            Ok(match held.filter(|held| held.holder == lease.holder) {
                Some(_) => Plan::will([format!("release {}, which {} holds", lease.words(), lease.holder)]),
                None => Plan::wont(format!("{} does not hold {}", lease.holder, lease.words())),
            })
        };
        tell::planned(ctx, self, args, plan.await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let released = Lease::from_args(ctx, args).await?.release(ctx).await?;
        let result = map([("released", released.into())]);
        Ok(if released { Applied::changed(result) } else { Applied::unchanged(result) })
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let lease = Lease::from_args(ctx, args).await?;
        let held = lease.find(ctx).await?;
        Ok(match held.is_some_and(|held| held.holder == lease.holder) {
            true => Reconcile::NotDone,
            false => Reconcile::Done(Value::Map(map([("released", Value::Null)]))),
        })
    }
}
