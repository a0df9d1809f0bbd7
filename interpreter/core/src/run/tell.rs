//! Actions that tell people outside ([`keybook_api::Effect::Tells`]): what goes wrong with them is noted and nothing
//! else, and a sandbox tells nobody.

use super::{session::Session, unit::Attempt};
use keybook_api::{Action, Applied, Args, Ctx, Effect, Event, Fault, FaultKind, Value, value::map};

impl Session {
    /// Tells, unless the hosts are folders.
    pub(super) async fn tell(&self, action: &dyn Action, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        if !self.options.sandbox {
            return action.apply(ctx, args).await;
        }
        let lines = action.describe(ctx, args).await?.lines.join("; ");
        Err(Fault::failed("tell anybody", format!("a sandbox sends nothing; a real run would: {lines}")))
    }
}

impl Attempt<'_> {
    /// Does what an action does.
    pub(super) async fn perform(
        &self,
        action: &dyn Action,
        ctx: &Ctx,
        args: &Args,
    ) -> Result<Applied, Fault> {
        match action.spec().effect {
            Effect::Tells => self.session.tell(action, ctx, args).await,
            Effect::Reads | Effect::Changes | Effect::Run => action.apply(ctx, args).await,
        }
    }

    /// The outcome of [`Attempt::perform`], which is never a failure where people are told.
    pub(super) fn forgive(
        &self,
        action: &dyn Action,
        outcome: Result<Applied, Fault>,
    ) -> Result<Applied, Fault> {
        if action.spec().effect != Effect::Tells {
            return outcome;
        }
        forgiven(outcome.map_err(|fault| self.concealed(fault)), |text| {
            // A journal that cannot be written is found at the next durable record.
            let _ = self.write(Event::UnitNote { text });
        })
    }
}

/// A failure becomes a note, and a result that says `told: false` and why. A stop of the run stays one.
pub(super) fn forgiven(outcome: Result<Applied, Fault>, note: impl FnOnce(String)) -> Result<Applied, Fault> {
    match outcome {
        Err(fault) if fault.kind != FaultKind::Stopped => {
            let why = fault.to_string();
            let result = Value::Map(map([("told", false.into()), ("why", why.as_str().into())]));
            note(why);
            Ok(Applied::unchanged(result))
        }
        other => other,
    }
}
