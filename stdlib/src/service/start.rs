use super::{NAME, RETURNS, SYSTEMCTL, State, TIMEOUT, Unit, WAIT};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, Args, Change, Ctx, Effect, Fault, Plan, Reconcile, Value, WayBack,
};

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

const UNTIL: &str = "it is active";

#[async_trait]
impl Action for Start {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let unit = Unit::from_args(args)?;
        let state = match unit.need(ctx, "start").await {
            Ok(state) => state,
            Err(fault) => return tell::planned(ctx, self, args, Err(fault)),
        };
        let mut plan = Plan::will(unit.lines("start", UNTIL));
        if state.is_active() {
            plan.change = Change::Wont;
            plan.lines = vec![format!("{} is {} already", state.id, state.active)];
        }
        Ok(Plan { basis: state.basis(), memo: state.memo(), ..plan })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let unit = Unit::from_args(args)?;
        let state = unit.need(ctx, "start").await?;
        if state.is_active() {
            return Ok(Applied::unchanged(state.result()));
        }
        Ok(Applied::changed(unit.make(ctx, "start", UNTIL, State::is_active).await?.result()))
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
        let unit = Unit::from_args(args)?;
        // What was so before the step stays so.
        if memo.get("active").and_then(Value::as_str) == Some("active") {
            return Ok(());
        }
        if unit.need(ctx, "stop").await?.is_stopped() {
            return Ok(());
        }
        unit.make(ctx, "stop", "it is stopped", State::is_stopped).await.map(drop)
    }
}
