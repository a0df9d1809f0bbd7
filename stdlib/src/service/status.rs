use super::{NAME, PROPERTIES, RETURNS, SYSTEMCTL, Unit};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{Action, ActionSpec, Applied, Args, Ctx, Effect, Fault, Plan, WayBack};

/// What a service does.
pub struct Status;

const SPEC: ActionSpec = ActionSpec {
    name: "service.status",
    summary: "Tells whether a service runs, and since when.",
    doc: "Asks `systemctl show`. A unit that systemd does not know, or that has failed, is no error: demand what is needed in `expect`, for \
example `result.active`.\n\n\
Errors: systemctl cannot be run, or finds no systemd \
([systemctl(1)](https://www.freedesktop.org/software/systemd/man/latest/systemctl.html)).",
    effect: Effect::Reads,
    args: &[NAME, SYSTEMCTL],
    returns: RETURNS,
    way_back: WayBack::Nothing,
    example: "service.status:\n  name: kubelet\n",
};

#[async_trait]
impl Action for Status {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let words = Unit::from_args(args)?.words(&["show", "-p", PROPERTIES, "--"]);
        Ok(tell::reads(tell::command_line(words)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        Ok(Applied::unchanged(Unit::from_args(args)?.look(ctx).await?.result()))
    }
}
