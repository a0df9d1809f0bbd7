//! The items of loops that began, against those that they would have now.

use super::{
    super::{
        hosts::LOCAL, loops::Loop, loops::item_name, machine::UnitState, record::UnitRecord, scope::kept,
        session::Session, walk::inside_item,
    },
    Accepted, named,
};
use crate::model::{Step, Work};
use keybook_api::{Span, UnitId, Value, event::SkipReason};
use keybook_script::Expr;
use serde_json::Value as Json;

/// A loop that began.
struct Begun<'s> {
    key: &'s str,
    path: &'s str,
    one: Loop<'s>,
    items: &'s [Json],
    /// Its list reads only what is given: what is different there was changed by somebody.
    given: bool,
    at: &'s Span,
}

impl Begun<'_> {
    /// ` on HOST`, where it is on one.
    fn on(&self) -> String {
        if self.one.host() == LOCAL { String::new() } else { format!(" on {}", self.one.host()) }
    }

    /// The whole name of an item.
    fn whole(&self, name: &str) -> String {
        format!("{}{name}", self.one.outer())
    }
}

impl Session {
    pub(super) fn weigh_items(
        &self,
        key: &str,
        path: &str,
        step: &Step,
        items: &[Json],
        found: &mut Accepted,
    ) {
        let (Some(for_each), Some(one)) = (&step.for_each, Loop::read(key, items)) else { return };
        let given = self.is_given(path, keybook_script::names_used(for_each));
        let now = self.items_now(path, for_each, &one);
        let began_with = items.iter().map(kept).collect::<Option<Vec<_>>>();
        let at = for_each.text().whole();
        let begun = Begun { key, path, one, items, given, at: &at };
        let (Some(began_with), Some(now)) = (began_with, now) else {
            let on = begun.on();
            let note =
                format!("`{path}` goes on{on} with the items that it began with; they cannot be compared");
            return found.notes.push(note);
        };
        self.weigh_names(&begun, &began_with, &now, found);
        self.weigh_values(&begun, &began_with, &now, found);
    }

    fn weigh_names(&self, begun: &Begun<'_>, began_with: &[Value], now: &[Value], found: &mut Accepted) {
        let (path, on) = (begun.path, begun.on());
        let names = |items: &[Value]| items.iter().map(item_name).collect::<Vec<_>>();
        let whole = |names: Vec<String>| names.iter().map(|name| begun.whole(name)).collect::<Vec<_>>();
        let changed = self.difference(&names(began_with), &names(now));
        let (added, gone) = (whole(changed.added), whole(changed.gone));
        if !gone.is_empty() {
            found.notes.push(format!("`{path}` goes on{on} with {}, as it began", named("item", &gone)));
        }
        if added.is_empty() {
            return;
        }
        match begun.given {
            true => found.refuse(format!("`{path}` began{on} without {}", named("item", &added)), begun.at),
            // The run itself may have found them meanwhile.
            false => found.notes.push(format!(
                "`{path}` goes on{on} without {}, which its loop would have by now",
                named("item", &added)
            )),
        }
    }

    /// Items that kept their names and are others now. One with which nothing was done is the new one from here on.
    fn weigh_values(&self, begun: &Begun<'_>, began_with: &[Value], now: &[Value], found: &mut Accepted) {
        let (path, on) = (begun.path, begun.on());
        let mut values = begun.items.to_vec();
        for (pinned, value) in values.iter_mut().zip(began_with) {
            let name = item_name(value);
            let Some(new) = now.iter().find(|new| item_name(new) == name) else { continue };
            let (plain, journaled) = (new.to_json(), self.redactor.json(&new.to_json()));
            if journaled == *pinned {
                continue;
            }
            let item = begun.whole(&name);
            if !begun.given {
                found
                    .notes
                    .push(format!("`{path}` goes on{on} with the item {item} as it was when it began"));
            } else if new.has_secret() || plain != journaled {
                let what =
                    format!("`{path}` began{on} with another item {item}, and the new one holds a secret");
                found.refuse(what, begun.at);
            } else if self.untouched(&begun.one, &item) {
                found.notes.push(format!(
                    "`{path}` takes the item {item}{on} as it is now: nothing was done with it yet"
                ));
                *pinned = plain;
            } else {
                let what = format!(
                    "`{path}` began{on} with another item {item}, with which something was done already"
                );
                found.refuse(what, begun.at);
            }
        }
        if values != begun.items {
            found.items.insert(begun.key.to_owned(), values);
        }
    }

    /// The items that a loop would have now; `None` where that cannot be known.
    fn items_now(&self, path: &str, for_each: &Expr, one: &Loop<'_>) -> Option<Vec<Value>> {
        let item = one.around().map(str::to_owned);
        let asking = UnitId { step: path.to_owned(), host: one.host().to_owned(), item };
        let (item, _) = self.item_around(&asking, path);
        let value = self.script.eval(for_each, &self.scope(&asking, &item)).ok()?;
        Some(value.as_list()?.to_vec())
    }

    /// Was nothing done with an item of a loop, and nothing made of it?
    fn untouched(&self, one: &Loop<'_>, item: &str) -> bool {
        let within = |name: &str| name == item || inside_item(name, item);
        self.log.state(|state| {
            let inner = state
                .loops()
                .any(|inner| one.is_around(&inner.path, inner.host()) && inner.around().is_some_and(within));
            let mut units = state.units.iter().filter(|(id, _)| {
                one.is_around(&id.step, &id.host) && id.item.as_deref().is_some_and(within)
            });
            !inner && units.all(|(id, known)| self.did_nothing(id, known))
        })
    }

    /// May this unit be carried out as if it had not begun?
    fn did_nothing(&self, unit: &UnitId, known: &UnitRecord) -> bool {
        let own = known.intents.iter().any(|intent| !intent.action.is_empty());
        let step = self.runbook.step_at(&unit.step);
        !own && match known.state {
            UnitState::Pending
            | UnitState::Ready
            | UnitState::Planned
            | UnitState::Asked
            | UnitState::Approved
            | UnitState::FailedClean => true,
            UnitState::Skipped => known.skipped_for(SkipReason::When),
            // A step with steps is gone on with, with the facts and the backup that it has.
            UnitState::Intended | UnitState::Kept => step.is_some_and(|step| {
                matches!(step.work, Work::Steps(_)) && step.facts.is_empty() && step.backup.is_empty()
            }),
            _ => false,
        }
    }
}
