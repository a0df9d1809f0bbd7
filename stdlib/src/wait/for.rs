use crate::support::waiting;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack, duration, returns::Key, value::map,
};
use std::time::Duration;
use tokio::time::Instant;

/// Waits a fixed time.
pub struct For;

const SPEC: ActionSpec = ActionSpec {
    name: "wait.for",
    summary: "Waits for a fixed time.",
    doc: "Shows the time left every second; a stop of the run ends it at once. After a crash it waits again from the start. To wait \
until something is so, give the step that looks at it a `retry` with `until`.\n\nErrors: the run was stopped.",
    effect: Effect::Run,
    args: &[ArgSpec::required("duration", ArgKind::Duration, "How long.")],
    returns: Returns::map(&[Key::plain("waited", "The duration.")]),
    way_back: WayBack::Nothing,
    example: "wait.for:\n  duration: 30s\n",
};

#[async_trait]
impl Action for For {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::will([format!("wait {}", duration::format(length(args)?))]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let length = length(args)?;
        let begun = Instant::now();
        while let Some(left) = length.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
            let seconds = Duration::from_secs(left.as_millis().div_ceil(1000) as u64);
            ctx.sink.progress(&format!("waiting, {} left", duration::format(seconds)));
            waiting::pause(ctx, left.min(Duration::from_secs(1)), "wait").await?;
        }
        Ok(Applied::unchanged(map([("waited", duration::format(length).into())])))
    }

    async fn reconcile(&self, _ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(Reconcile::NotDone)
    }
}

fn length(args: &Args) -> Result<Duration, Fault> {
    args.opt_duration("duration")?.ok_or_else(|| Fault::usage("wait", "the argument `duration` is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use keybook_api::FaultKind;

    #[tokio::test(start_paused = true)]
    async fn waiting_shows_the_time_left() {
        let bench = Bench::new();
        let args = args([("duration", "2500ms".into())]);
        assert_eq!(bench.describe(&For, &args).await.unwrap().lines, ["wait 2s500ms"]);
        let begun = Instant::now();
        bench.apply(&For, &args).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(2500));
        let progress = bench.told.progress.lock().unwrap().clone();
        assert_eq!(progress, ["waiting, 3s left", "waiting, 2s left", "waiting, 1s left"]);
        assert_eq!(For.reconcile(&bench.ctx(), &args, &Value::Null).await.unwrap(), Reconcile::NotDone);
    }

    #[tokio::test]
    async fn a_stop_ends_it() {
        let bench = Bench::new();
        bench.cancel.cancel();
        let fault = bench.apply(&For, &args([("duration", "1d".into())])).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Stopped);
    }
}
