//! What a person took back by hand, because the rollback could not.

use crate::run::{session::Session, stop::Stop, unit::Attempt};
use keybook_api::{Event, Fault, FaultKind, UnitId};
use std::sync::Arc;

/// How a unit was taken back that a person answers for.
pub(super) const BY_HAND: &str = "by hand";

impl Session {
    /// Nothing is done that could spoil the repair: what an earlier undo left running is ended, and what can be compared must
    /// be as it was.
    pub(super) async fn by_hand(
        self: &Arc<Self>,
        attempt: &Attempt<'_>,
        paths: &[String],
        owes: Option<&str>,
    ) -> Result<(), Stop> {
        let unit = &attempt.unit;
        self.owe(unit, owes)?;
        let begun = self.log.state(|state| state.unit(unit).map(|known| known.intents.clone()));
        self.end_undos(attempt, &begun.unwrap_or_default()).await?;
        let target = self.hosts.get(&unit.host).await?;
        let paths = self.paths_below(&unit.host, paths);
        let differing = self.differing(&unit.host, &target, &paths).await?;
        if differing.is_empty() {
            return Ok(());
        }
        let differing: Vec<String> =
            differing.into_iter().map(|(path, how)| format!("{path}: {how}")).collect();
        Err(Fault::failed(format!("find {unit} taken back by hand"), differing.join("; "))
            .now("nothing was changed")
            .hint("put back what differs, as it is in the run's backup folder; then say so again")
            .hint("or roll back without --taken-back: the rollback puts files back itself")
            .into())
    }

    /// A call of a script could not be taken back: where a person answers for the unit, the calls before it are taken back
    /// all the same.
    pub(super) fn passes_over(&self, unit: &UnitId, action: &str, fault: &Fault) -> Result<bool, Fault> {
        let by_hand = self.is_taken_back_by_hand(unit)
            && matches!(fault.kind, FaultKind::Failed | FaultKind::TimedOut | FaultKind::Usage);
        if by_hand {
            let name = self.person.name();
            let text = format!(
                "`{action}` of {unit} could not be taken back again ({}): {name} answers for it",
                fault.cause
            );
            self.log.run(Event::RunNote { text })?;
        }
        Ok(by_hand)
    }
}
