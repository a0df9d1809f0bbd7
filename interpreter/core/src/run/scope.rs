//! What expressions see.

use super::{
    hosts::Hosts,
    loops::Loop,
    machine::UnitState,
    record::Intent,
    session::{Register, Session},
    walk::inside_item,
};
use crate::{
    backup::inside,
    model::{Dynamic, HostChoice, Library, Step, Work, canonical},
};
use keybook_api::{
    Map, UnitId, Value,
    value::{REDACTED, map},
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// What a plan does not have yet, because the steps that bring it come before what is planned.
#[derive(Default)]
pub(super) struct ToCome {
    /// The paths of registered results.
    results: BTreeSet<String>,
    /// Groups that may get more hosts, and the path of the step that adds them.
    groups: BTreeMap<String, String>,
}

impl ToCome {
    /// The step that may add hosts to one of the groups of a choice, and the group.
    pub fn may_grow<'a>(&'a self, choice: &'a HostChoice) -> Option<(&'a str, &'a str)> {
        choice
            .picks
            .iter()
            .find_map(|pick| Some((self.groups.get(&pick.group)?.as_str(), pick.group.as_str())))
    }
}

impl Session {
    /// The variables of a unit: inputs, host, item, hosts, groups, run, by_host and registered results.
    pub fn scope(&self, unit: &UnitId, item: &Value) -> Map {
        self.scope_after(&ToCome::default(), unit, item)
    }

    /// The same in a plan. What a step that is to come will give is unknown, and no empty map.
    pub(super) fn scope_after(&self, to_come: &ToCome, unit: &UnitId, item: &Value) -> Map {
        let mut scope = self.base_scope(unit, &self.hosts);
        for (group, path) in &to_come.groups {
            let unknown = || Value::Unknown(format!("the step `{path}` comes first and may add hosts"));
            scope.insert("hosts".to_owned(), unknown());
            if let Some(Value::Map(groups)) = scope.get_mut("groups") {
                groups.insert(group.clone(), unknown());
            }
        }
        scope.insert("host".to_owned(), self.hosts.as_value(&unit.host));
        scope.insert("item".to_owned(), item.clone());
        let library = self.runbook.library_around(&unit.step);
        if let Some((path, library)) = library {
            scope.insert("inputs".to_owned(), Value::Map(self.library_inputs(to_come, unit, path, library)));
        }
        let seen_in = library.map_or_else(String::new, |(path, _)| canonical(path));
        let mut by_host = Map::new();
        for Register { name, path, .. } in self.registers.iter().filter(|one| one.library == seen_in) {
            let mut results = self.results_of(path, unit);
            let comes = to_come.results.contains(path);
            if comes {
                // Of what is there, its own result alone is what it will be.
                results.retain(|(id, _)| id.host == unit.host && id.item == unit.item);
            }
            if let Some(value) = pick(&results, unit) {
                scope.insert(name.clone(), value);
            }
            by_host.insert(
                name.clone(),
                match comes {
                    true => Value::Unknown(format!("the step `{path}` comes first")),
                    false => Value::Map(spread(results)),
                },
            );
        }
        scope.insert("by_host".to_owned(), Value::Map(by_host));
        scope
    }

    /// The results of the step at a path, and of those inside it, are to come, and the hosts that they add.
    pub(super) fn comes(&self, path: &str, to_come: &mut ToCome) {
        let path = canonical(path);
        let there = self.registers.iter().filter(|one| inside(&one.path, &path));
        to_come.results.extend(there.map(|one| one.path.clone()));
        for (at, step) in self.runbook.walk().into_iter().filter(|(at, _)| inside(at, &path)) {
            let groups = self.grown_by(step);
            to_come.groups.extend(groups.into_iter().map(|group| (group, at.clone())));
        }
    }

    /// The groups to which a step may add hosts: all of them when its arguments do not say which.
    fn grown_by(&self, step: &Step) -> Vec<String> {
        let names_group = |action: &str| self.registry.get(action.split('@').next()?)?.adds_hosts_to();
        let named: Vec<Option<Value>> = match &step.work {
            Work::Action(call) => {
                let group =
                    names_group(&call.action).map(|arg| call.args.0.get(arg).and_then(Dynamic::fixed));
                group.into_iter().collect()
            }
            Work::Script(script) => {
                script.acts().iter().filter_map(|call| names_group(&call.action)).map(|_| None).collect()
            }
            Work::Steps(_) => Vec::new(),
        };
        let of = |group: Option<Value>| match group.as_ref().and_then(Value::as_str) {
            Some(group) => vec![group.to_owned()],
            None => self.runbook.hosts.keys().cloned().collect(),
        };
        named.into_iter().flat_map(of).collect()
    }

    /// What a library got from the step that uses it. That step itself failed when it could not be had; what cannot be
    /// had any more, or not yet, says so where it is read.
    fn library_inputs(&self, to_come: &ToCome, unit: &UnitId, path: &str, library: &Library) -> Map {
        let (item, name) = self.item_around(unit, path);
        let using = UnitId { step: path.to_owned(), host: unit.host.clone(), item: name };
        library.inputs_to_be_had(&self.script, &self.scope_after(to_come, &using, &item))
    }

    /// The item of the step at a path around a unit, and its name: that of the innermost loop there.
    pub(super) fn item_around(&self, unit: &UnitId, path: &str) -> (Value, Option<String>) {
        let Some(own) = &unit.item else { return (Value::Null, None) };
        // What a rollback carries out again has the loops of the run.
        let path = canonical(path);
        let foreseen = self.foreseen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let found = self.log.state(|state| {
            // The last of several counts: what is in the journal, where it is.
            let foreseen = foreseen.iter().filter_map(|(key, items)| Loop::read(key, items));
            let around = foreseen.chain(state.loops()).filter(|one| one.is_around(&path, &unit.host));
            let items = around.flat_map(|one| {
                let named = one.named().map(|(item, name)| (one.path.len(), one.key(), item, name));
                named.collect::<Vec<_>>()
            });
            items
                .filter(|(_, _, _, name)| name == own || inside_item(own, name))
                .max_by_key(|(depth, _, _, name)| (*depth, name.len()))
        });
        found.map_or((Value::Null, None), |(_, key, item, name)| {
            (self.live_item(&key, &name).unwrap_or(item), Some(name))
        })
    }

    /// Items that the journal does not have whole stay in this process.
    pub(super) fn keep_items<'v>(&self, key: &str, items: impl Iterator<Item = (&'v Value, String)>) {
        let mut live = self.live_items.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (item, name) in items {
            let json = item.to_json();
            if item.has_secret() || self.redactor.json(&json) != json {
                live.insert((key.to_owned(), name), item.clone());
            }
        }
    }

    /// An item as this process found it, where the journal does not have it whole.
    pub(super) fn live_item(&self, key: &str, name: &str) -> Option<Value> {
        let live = self.live_items.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        live.get(&(key.to_owned(), name.to_owned())).cloned()
    }

    fn base_scope(&self, unit: &UnitId, hosts: &Hosts) -> Map {
        let groups =
            hosts.groups().into_iter().map(|(name, members)| (name, members.into())).collect::<Map>();
        // Of what a rollback does itself: a unit of the run is taken back with the arguments that it was done with, and one of
        // the closing steps that was begun before the rollback is reconciled with its own.
        let round = || {
            let (number, _) = unit.step.strip_prefix("finally-")?.split_once('/')?;
            number.parse::<u32>().ok()
        };
        let of_rollback = unit.step.starts_with("rollback/")
            || round().is_some_and(|round| self.log.state(|state| state.finally_back.contains(&round)));
        let run = map([
            ("id", self.id.as_str().into()),
            ("state_dir", self.state_dir().into()),
            ("staging", format!("{}/staging", self.state_dir()).into()),
            ("sandbox", self.options.sandbox.into()),
            ("rollback", of_rollback.into()),
        ]);
        map([
            ("inputs", Value::Map(self.inputs.clone())),
            ("hosts", hosts.all_as_value()),
            ("groups", Value::Map(groups)),
            ("run", Value::Map(run)),
        ])
    }

    /// The finished results of a step, by host and item. Inside `finally` and rollback the unit's own round counts.
    fn results_of(&self, path: &str, asking: &UnitId) -> Vec<(UnitId, Value)> {
        let round =
            asking.step.strip_suffix(&canonical(&asking.step).replacen("finally/", "", 1)).unwrap_or("");
        self.log.state(|state| {
            let mut found: Vec<(UnitId, Value)> = Vec::new();
            for (id, record) in &state.units {
                let plain = id.step == path;
                let in_round = !round.is_empty() && id.step.starts_with(round) && canonical(&id.step) == path;
                // What only looked saw what it saw, also when a rollback has been past it: a settling may need it.
                let known = match record.state {
                    UnitState::Done => true,
                    UnitState::TakenBack => !record.intents.iter().any(Intent::may_have_changed),
                    _ => false,
                };
                if (plain || in_round) && known {
                    found.retain(|(other, _)| other.host != id.host || other.item != id.item);
                    if let Some(result) = self.result_of(id, &record.result) {
                        found.push((id.clone(), result));
                    }
                }
            }
            found
        })
    }

    /// The result as the action gave it (secrets included) in this process. From the journal otherwise, without what was
    /// secret in it: a step that needs that has no value for it, rather than another one.
    fn result_of(&self, id: &UnitId, journaled: &Json) -> Option<Value> {
        let live = self.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let withheld = || self.runbook.step_at(&id.step).is_some_and(|step| step.secret);
        live.get(id).cloned().or_else(|| if withheld() { None } else { kept(journaled) })
    }
}

/// Why there is nothing where a secret stood.
const NOT_KEPT: &str = "it was secret, and secrets are not kept in the journal";

/// What the journal kept of a value; nothing when all of it was secret. What was secret inside is unknown there, so that
/// nobody takes the rest for the whole.
pub(super) fn kept(journaled: &Json) -> Option<Value> {
    Some(kept_within(journaled)).filter(|value| !matches!(value, Value::Unknown(_)))
}

pub(super) fn kept_within(journaled: &Json) -> Value {
    match journaled {
        Json::String(text) if text.contains(REDACTED) => Value::Unknown(NOT_KEPT.to_owned()),
        Json::Array(items) => Value::List(items.iter().map(kept_within).collect()),
        // Two keys may have become one.
        Json::Object(map) if map.keys().any(|key| key.contains(REDACTED)) => {
            Value::Unknown(NOT_KEPT.to_owned())
        }
        Json::Object(map) => {
            Value::Map(map.iter().map(|(key, value)| (key.clone(), kept_within(value))).collect())
        }
        other => Value::from_json(other),
    }
}

/// The value for this host and item; else that of the only host.
fn pick(results: &[(UnitId, Value)], unit: &UnitId) -> Option<Value> {
    let own: Vec<_> = results.iter().filter(|(id, _)| id.host == unit.host).cloned().collect();
    let exact = own.iter().find(|(id, _)| id.item == unit.item);
    let single = |list: &[(UnitId, Value)]| match list {
        [(id, value)] if id.item.is_none() => Some(value.clone()),
        _ => None,
    };
    if let Some((_, value)) = exact {
        return Some(value.clone());
    }
    if !own.is_empty() {
        return single(&own).or_else(|| spread(own).into_values().next());
    }
    single(results).or_else(|| {
        let hosts = spread(results.to_vec());
        if hosts.len() == 1 { hosts.into_values().next() } else { None }
    })
}

/// Host → value, or host → item → value for a step with `for_each`.
fn spread(results: Vec<(UnitId, Value)>) -> Map {
    let mut hosts = Map::new();
    for (id, value) in results {
        match id.item {
            None => {
                hosts.insert(id.host, value);
            }
            Some(item) => {
                let entry = hosts.entry(id.host).or_insert_with(|| Value::Map(Map::new()));
                if let Value::Map(items) = entry {
                    items.insert(item, value);
                }
            }
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(text: &str) -> UnitId {
        UnitId::parse(text).unwrap()
    }

    #[test]
    fn a_result_is_found_by_host_then_as_the_only_one() {
        let two = vec![(unit("s@a"), Value::Int(1)), (unit("s@b"), Value::Int(2))];
        assert_eq!(pick(&two, &unit("t@b")), Some(Value::Int(2)));
        assert_eq!(pick(&two, &unit("t@c")), None, "two hosts have one, and neither is this host");
        assert_eq!(pick(&two[..1], &unit("t@c")), Some(Value::Int(1)));
        let looped = vec![(unit("s@a#x"), Value::Int(1)), (unit("s@a#y"), Value::Int(2))];
        assert_eq!(pick(&looped, &unit("t@a#y")), Some(Value::Int(2)));
        assert_eq!(pick(&looped, &unit("t@a")).unwrap().get("x"), Some(&Value::Int(1)));
    }
}
