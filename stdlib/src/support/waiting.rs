//! Waiting that shows itself, ends at a deadline and can be stopped.

use super::tell::stopped;
use keybook_api::{Ctx, Fault, FaultKind, duration};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep};

/// Waits one beat; a fault when the run is stopped meanwhile.
pub async fn pause(ctx: &Ctx, beat: Duration, doing: &str) -> Result<(), Fault> {
    tokio::select! {
        () = ctx.cancel.cancelled() => Err(stopped(ctx, doing)),
        () = sleep(beat) => Ok(()),
    }
}

/// Asks again and again until the answer is `Ok(Some(..))`. `Ok(None)` and the text left in the second value
/// mean "not yet". A fault ends it; so does the deadline, with what was seen last.
pub async fn until<T, F, Fut>(
    ctx: &Ctx,
    doing: &str,
    timeout: Duration,
    beat: Duration,
    mut ask: F,
) -> Result<T, Fault>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Result<T, String>, Fault>>,
{
    let begun = Instant::now();
    loop {
        let not_yet = match ask().await? {
            Ok(answer) => return Ok(answer),
            Err(not_yet) => not_yet,
        };
        let passed = begun.elapsed();
        if passed >= timeout {
            let cause = format!("not done after {}: {not_yet}", duration::format(timeout));
            return Err(Fault::new(FaultKind::TimedOut, doing, cause).on(ctx.target.name()));
        }
        ctx.sink.progress(&format!("{doing} ({} s): {not_yet}", passed.as_secs()));
        pause(ctx, beat.min(timeout.saturating_sub(passed)).max(Duration::from_millis(1)), doing).await?;
    }
}
