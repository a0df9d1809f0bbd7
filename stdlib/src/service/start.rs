use super::{NAME, RETURNS, START, STOP, SYSTEMCTL, TIMEOUT, Unit, WAIT};
use async_trait::async_trait;
use keybook_api::{Action, ActionSpec, Applied, Args, Ctx, Effect, Fault, Plan, Reconcile, Value, WayBack};

/// Starts a service.
pub struct Start;

const SPEC: ActionSpec = ActionSpec {
    name: "service.start",
    summary: "Starts a service.",
    doc: "`systemctl start`, then waits until the unit is active. One that is active already is left alone; a one-shot unit that ends at once \
never stays active: use `wait: false` for it. Undo stops the service, unless it was active before.\n\n\
After a crash systemd tells: active and not so when this was planned, done; stopped, not done.\n\n\
Errors: a unit that systemd does not know, masked or broken; a job that fails; the time is up \
([systemctl(1)](https://www.freedesktop.org/software/systemd/man/latest/systemctl.html)).",
    effect: Effect::Changes,
    args: &[NAME, WAIT, TIMEOUT, SYSTEMCTL],
    returns: RETURNS,
    way_back: WayBack::Undo,
    example: "service.start:\n  name: kubelet\n",
};

#[async_trait]
impl Action for Start {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        START.plan(ctx, self, args).await
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        START.make(ctx, args).await
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let state = Unit::from_args(args)?.look(ctx).await?;
        if let Some(why) = state.moving() {
            return Ok(Reconcile::Unknown(why));
        }
        Ok(match state.is_active() {
            true => Reconcile::Done(state.result()),
            false => Reconcile::NotDone,
        })
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, memo: &Value, _result: &Value) -> Result<(), Fault> {
        // What was so before the step stays so.
        if memo.get("active").and_then(Value::as_str) == Some("active") {
            return Ok(());
        }
        STOP.make(ctx, args).await.map(drop)
    }
}
