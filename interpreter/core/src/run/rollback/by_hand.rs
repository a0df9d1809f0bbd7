//! What a person took back by hand, because the rollback could not.

use super::compare;
use crate::run::{effect::touched, session::Session, state::Intent, stop::Stop};
use keybook_api::{Event, Fault, FaultKind, UnitId};
use std::sync::Arc;

/// How a unit was taken back that a person answers for.
pub(super) const BY_HAND: &str = "by hand";

impl Session {
    /// Nothing is done that could spoil the repair: what an earlier undo left running is ended, and what can be compared must
    /// be as it was.
    pub(super) async fn by_hand(
        self: &Arc<Self>,
        unit: &UnitId,
        paths: &[String],
        owes: Option<&str>,
    ) -> Result<(), Stop> {
        self.owe(unit, owes)?;
        self.end_undos(unit).await?;
        let target = self.hosts.get(&unit.host).await?;
        let paths = self.paths_below(&unit.host, paths);
        let now = touched(&target, &paths).await?;
        let differing: Vec<String> = self.log.state(|state| {
            let differs = |(path, now): (&String, &keybook_api::event::Touched)| {
                let original = state.originals.get(&unit.host, path)?;
                Some(format!("{path}: {}", compare(original, now.before.as_ref())?))
            };
            paths.iter().zip(&now).filter_map(differs).collect()
        });
        if differing.is_empty() {
            return Ok(());
        }
        Err(Fault::failed(format!("find {unit} taken back by hand"), differing.join("; "))
            .now("nothing was changed")
            .hint("put back what differs, as it is in the run's backup folder; then say so again")
            .hint("or roll back without --taken-back: the rollback puts files back itself")
            .into())
    }

    /// Ends what an undo that failed or was killed left running.
    pub(super) async fn end_undos(self: &Arc<Self>, unit: &UnitId) -> Result<(), Stop> {
        let (intents, undos) = self.log.state(|state| {
            let known = state.unit(unit);
            let begun = |intent: &Intent| (intent.attempt, intent.receipts);
            known.map_or((Vec::new(), 0), |known| (known.intents.iter().map(begun).collect(), known.undos))
        });
        for earlier in 1..undos {
            for (attempt, receipts) in &intents {
                let first = receipts.saturating_add(earlier * super::UNDO_RECEIPTS);
                self.end_from(unit, *attempt, first).await?;
            }
        }
        Ok(())
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
