use super::{NAME, RETURNS, START, STOP, SYSTEMCTL, TIMEOUT, Unit, WAIT};
use async_trait::async_trait;
use keybook_api::{Action, ActionSpec, Applied, Args, Ctx, Effect, Fault, Plan, Reconcile, Value, WayBack};

/// Stops a service.
pub struct Stop;

const SPEC: ActionSpec = ActionSpec {
    name: "service.stop",
    summary: "Stops a service.",
    doc: "`systemctl stop`, then waits until the unit is inactive; one that has failed counts as stopped. Undo starts the service again, unless it \
was stopped before.\n\n\
After a crash systemd tells: stopped, done; active with the same main process as when this was planned, not done; active with another one, a \
person must look.\n\n\
Errors: a unit that systemd does not know, masked or broken; a job that fails; the time is up \
([systemctl(1)](https://www.freedesktop.org/software/systemd/man/latest/systemctl.html)).",
    effect: Effect::Changes,
    args: &[NAME, WAIT, TIMEOUT, SYSTEMCTL],
    returns: RETURNS,
    way_back: WayBack::Undo,
    example: "service.stop:\n  name: kubelet\n",
};

#[async_trait]
impl Action for Stop {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        STOP.plan(ctx, self, args).await
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        STOP.make(ctx, args).await
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let state = Unit::from_args(args)?.look(ctx).await?;
        if let Some(why) = state.moving() {
            return Ok(Reconcile::Unknown(why));
        }
        Ok(if state.is_stopped() {
            Reconcile::Done(state.result())
        } else if state.is_another_than(memo) {
            Reconcile::Unknown(format!("{} was started again since this was planned", state.id))
        } else {
            Reconcile::NotDone
        })
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, memo: &Value, _result: &Value) -> Result<(), Fault> {
        // What was so before the step stays so.
        if memo.get("active").and_then(Value::as_str).is_none_or(|before| before != "active") {
            return Ok(());
        }
        START.make(ctx, args).await.map(drop)
    }
}
