use super::{NAME, RETURNS, SYSTEMCTL, TIMEOUT, Unit, WAIT};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{Action, ActionSpec, Applied, Args, Ctx, Effect, Fault, Plan, Reconcile, Value, WayBack};

/// Restarts a service.
pub struct Restart;

const SPEC: ActionSpec = ActionSpec {
    name: "service.restart",
    summary: "Restarts a service, so that it reads its files anew.",
    doc: "`systemctl restart`, then waits until the unit is active with another main process than before; that it exits with 0 proves \
neither. A unit that was stopped is started.\n\n\
After a crash systemd tells: active, and with another main process or start than when this was planned, done; the same, or stopped, not \
done; on its way, a person must look.\n\n\
Errors: a unit that systemd does not know, masked or broken; a job that fails; the time is up \
([systemctl(1)](https://www.freedesktop.org/software/systemd/man/latest/systemctl.html)).",
    effect: Effect::Changes,
    args: &[NAME, WAIT, TIMEOUT, SYSTEMCTL],
    returns: RETURNS,
    way_back: WayBack::Nothing,
    example: "service.restart:\n  name: kubelet\n  timeout: 2m\n",
};

const UNTIL: &str = "it is active with another main process";

#[async_trait]
impl Action for Restart {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let unit = Unit::from_args(args)?;
        match unit.need(ctx, "restart").await {
            Ok(state) => {
                let mut lines =
                    vec![format!("{} is {}, main process {}", state.id, state.active, state.main_pid)];
                lines.extend(unit.lines("restart", UNTIL));
                Ok(Plan { basis: state.basis(), memo: state.memo(), ..Plan::will(lines) })
            }
            Err(fault) => tell::planned(ctx, self, args, Err(fault)),
        }
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let unit = Unit::from_args(args)?;
        let before = unit.need(ctx, "restart").await?.memo();
        let reached = |now: &super::State| now.is_active() && now.is_another_than(&before);
        Ok(Applied::changed(unit.make(ctx, "restart", UNTIL, reached).await?.result()))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let state = Unit::from_args(args)?.look(ctx).await?;
        Ok(match state.moving() {
            Some(why) => Reconcile::Unknown(why),
            None if state.is_active() && state.is_another_than(memo) => Reconcile::Done(state.result()),
            None => Reconcile::NotDone,
        })
    }
}
