use super::{NAME, RETURNS, SYSTEMCTL, State, TIMEOUT, Unit, WAIT};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, Args, Change, Ctx, Effect, Fault, Plan, Reconcile, Value, WayBack,
};

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

const UNTIL: &str = "it is stopped";

#[async_trait]
impl Action for Stop {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let unit = Unit::from_args(args)?;
        let state = match unit.need(ctx, "stop").await {
            Ok(state) => state,
            Err(fault) => return tell::planned(ctx, self, args, Err(fault)),
        };
        let mut plan = Plan::will(unit.lines("stop", UNTIL));
        if state.is_stopped() {
            plan.change = Change::Wont;
            plan.lines = vec![format!("{} is {} already", state.id, state.active)];
        }
        Ok(Plan { basis: state.basis(), memo: state.memo(), ..plan })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let unit = Unit::from_args(args)?;
        let state = unit.need(ctx, "stop").await?;
        if state.is_stopped() {
            return Ok(Applied::unchanged(state.result()));
        }
        Ok(Applied::changed(unit.make(ctx, "stop", UNTIL, State::is_stopped).await?.result()))
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
        let unit = Unit::from_args(args)?;
        // What was so before the step stays so.
        if memo.get("active").and_then(Value::as_str).is_none_or(|before| before != "active") {
            return Ok(());
        }
        if unit.need(ctx, "start").await?.is_active() {
            return Ok(());
        }
        unit.make(ctx, "start", "it is active", State::is_active).await.map(drop)
    }
}
