//! What of an event is free text, in which secrets are hidden, and what is the run's own structure, in which they are not.
//!
//! A secret may be a word that also is a host's or a step's name. Hidden there, obligations could not be paid and files not be
//! restored; and it hides nothing, since the name stands in the runbook or the inventory.

use keybook_api::{Event, Fault, Redactor, value::REDACTED};
use serde_json::Value as Json;
use std::sync::Arc;

/// Names from the runbook and the inventory, and words of the journal's own.
const NAMES: &[&str] = &[
    "type", "host", "hosts", "group", "limit", "cluster", "runbook", "step", "steps", "action", "what",
    "owed", "item", "verdict", "how", "status", "stream", "answer", "via",
];

/// Words of the journal's own, and a `reason` that is free text.
const REASONED: &[&str] = &["change", "edges"];

/// Where files are: taken from expressions, and needed as they are to restore.
const PLACES: &[&str] = &["touches", "paths", "store"];

/// What a backup found on the host, by the names that the files have there.
const FOUND: &str = "entries";

/// Parts with keys of the journal's own. In each, the keys whose values are names, words of the journal's own, or digests.
const PARTS: &[(&str, &[&str])] = &[
    ("fault", &["kind", "host"]),
    ("diffs", &[]),
    ("pinned", &[]),
    ("identity", &[]),
    ("wrote", &["kind", "sha256"]),
];

/// Hides secrets in events.
pub struct Cleaner {
    /// Knows the secrets.
    pub redactor: Arc<Redactor>,
    /// The runbook's own text: a word that stands in it is no secret where it is a name.
    pub plain: Vec<String>,
}

impl Cleaner {
    /// The event with its secrets hidden.
    ///
    /// # Errors
    /// A secret is part of a path or of a host that was added: hidden, nobody could take the change back; shown, it would be
    /// in the journal. The caller must not have changed anything yet.
    pub fn clean(&self, event: &Event) -> Result<Event, Fault> {
        let lost = |error: serde_json::Error| Fault::failed(ATTEMPTED, error);
        let mut json = serde_json::to_value(event).map_err(lost)?;
        let added = matches!(event, Event::HostAdded { .. });
        // What is taken back was recorded when it was done.
        let recorded = matches!(event, Event::UnitUndoIntent { .. });
        let word_of_ours = matches!(event, Event::UnitSkipped { .. });
        for (key, value) in json.as_object_mut().into_iter().flatten() {
            let key = key.as_str();
            if key == "type"
                || key == FOUND
                || (NAMES.contains(&key) && !added)
                || key == "reason" && word_of_ours
            {
                continue;
            }
            if let Some((part, kept)) = PARTS.iter().find(|(part, _)| *part == key) {
                // Where files are was judged before they were changed.
                self.hide_values(value, kept, *part == "wrote");
            } else if key == "memo" {
                self.hide_noted(value);
            } else if REASONED.contains(&key) {
                self.hide_reasons(value);
            } else if added || PLACES.contains(&key) {
                if !recorded {
                    self.must_be_plain(value)?;
                }
            } else {
                *value = self.redactor.json(value);
            }
        }
        serde_json::from_value(json).map_err(lost)
    }

    fn hide_reasons(&self, json: &mut Json) {
        match json {
            Json::Array(list) => list.iter_mut().for_each(|item| self.hide_reasons(item)),
            Json::Object(map) => {
                if let Some(reason) = map.get_mut("reason") {
                    *reason = self.redactor.json(reason);
                }
            }
            _ => {}
        }
    }

    /// Hides texts, and no keys. `places`: a text stays whose secret is a word of the runbook's.
    fn hide_values(&self, json: &mut Json, kept: &[&str], places: bool) {
        match json {
            Json::String(text) if places => *text = self.hidden(text).unwrap_or_else(|| text.clone()),
            Json::String(text) => *text = self.redactor.text(text),
            Json::Array(list) => list.iter_mut().for_each(|item| self.hide_values(item, kept, places)),
            Json::Object(map) => {
                let values = map.iter_mut().filter(|(key, _)| !kept.contains(&key.as_str()));
                values.for_each(|(_, item)| self.hide_values(item, kept, places));
            }
            _ => {}
        }
    }

    /// Hides what an action noted for the way back: it may be the path of what is to be removed, and may be a password.
    fn hide_noted(&self, json: &mut Json) {
        match json {
            Json::String(text) if text.starts_with('/') && self.hidden(text).is_none() => {}
            Json::Array(list) => list.iter_mut().for_each(|item| self.hide_noted(item)),
            Json::Object(map) if map.keys().all(|key| self.hidden(key).is_none()) => {
                map.values_mut().for_each(|item| self.hide_noted(item));
            }
            other => *other = self.redactor.json(other),
        }
    }

    /// The text without its secrets; nothing when all that is secret in it stands in the runbook's text.
    fn hidden(&self, text: &str) -> Option<String> {
        let hidden = self.redactor.text(text);
        let plain = |part: &str| self.plain.iter().any(|source| source.contains(part));
        if hidden_parts(text, &hidden).into_iter().all(plain) { None } else { Some(hidden) }
    }

    fn must_be_plain(&self, json: &Json) -> Result<(), Fault> {
        match json {
            Json::String(text) => self.hidden(text).map_or(Ok(()), |hidden| Err(refused(&hidden))),
            Json::Array(list) => list.iter().try_for_each(|item| self.must_be_plain(item)),
            Json::Object(map) => map.values().try_for_each(|item| self.must_be_plain(item)),
            _ => Ok(()),
        }
    }
}

/// What stands in a text where `[secret]` stands in its hidden form.
fn hidden_parts<'t>(text: &'t str, hidden: &str) -> Vec<&'t str> {
    let mut kept = hidden.split(REDACTED);
    let Some(mut rest) = kept.next().and_then(|first| text.strip_prefix(first)) else { return vec![text] };
    let mut parts = Vec::new();
    let mut kept = kept.peekable();
    while let Some(next) = kept.next() {
        let at = if kept.peek().is_none() { rest.len().checked_sub(next.len()) } else { rest.find(next) };
        let Some((part, after)) = at.and_then(|at| rest.split_at_checked(at)) else { return vec![text] };
        parts.push(part);
        rest = after.get(next.len()..).unwrap_or_default();
    }
    parts
}

const ATTEMPTED: &str = "write a journal record";

fn refused(hidden: &str) -> Fault {
    Fault::failed(ATTEMPTED, format!("a secret is part of a name that the journal must keep: `{hidden}`"))
        .now("this was not done")
        .hint("give the path or the host a name without the secret")
        .hint("it may be a line of a file that a step before has read as secret, or an ordinary word as a password")
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybook_api::{Change, Secret};

    fn cleaner(secret: &str, runbook: &str) -> Cleaner {
        let redactor = Redactor::default();
        redactor.add(&Secret::new(secret));
        Cleaner { redactor: Arc::new(redactor), plain: vec![runbook.to_owned()] }
    }

    fn taken(path: &str) -> Event {
        let paths = vec![path.to_owned()];
        Event::BackupTaken { host: "m".into(), store: "/var/x".into(), paths, entries: Vec::new() }
    }

    #[test]
    fn names_stay_and_texts_are_hidden() {
        let raised = Event::ObligationRaised { what: "restart".into(), host: "mail-one".into(), item: None };
        assert_eq!(cleaner("mail-one", "").clean(&raised).unwrap(), raised);
        assert_eq!(cleaner("obligation.raised", "").clean(&raised).unwrap(), raised);
        let note = Event::UnitNote { text: "mail-one is up".into() };
        let hidden = Event::UnitNote { text: "[secret] is up".into() };
        assert_eq!(cleaner("mail-one", "").clean(&note).unwrap(), hidden);
    }

    #[test]
    fn the_reason_of_a_plan_is_free_text() {
        let planned = |reason: &str| Event::UnitPlanned {
            change: Change::CannotKnow(reason.into()),
            lines: Vec::new(),
            diffs: Vec::new(),
            basis: String::new(),
        };
        let clean =
            cleaner("hunter2hunter2", "").clean(&planned("there is no /srv/hunter2hunter2/a")).unwrap();
        assert_eq!(clean, planned("there is no /srv/[secret]/a"));
        assert_eq!(cleaner("cannot-know", "").clean(&planned("why")).unwrap(), planned("why"));
    }

    #[test]
    fn a_path_with_a_secret_is_refused_while_nothing_is_done() {
        let secret = cleaner("kubernetes", "path: /srv/${inputs.word}/imap.pem");
        let fault = secret.clean(&taken("/srv/kubernetes/imap.pem")).unwrap_err();
        assert!(fault.cause.contains("`/srv/[secret]/imap.pem`"), "{fault}");
        assert!(!fault.to_string().contains("kubernetes"), "{fault}");
        assert_eq!(secret.clean(&taken("/srv/imap.pem")).unwrap(), taken("/srv/imap.pem"));
        // A rollback goes on: it is what was recorded before.
        let undo = Event::UnitUndoIntent { how: "restore".into(), paths: vec!["/srv/kubernetes".into()] };
        assert_eq!(secret.clean(&undo).unwrap(), undo);
    }

    #[test]
    fn a_word_of_the_runbook_is_no_secret_where_it_is_a_name() {
        let known = cleaner("kubernetes", "path: /srv/kubernetes/${item}");
        let event = taken("/srv/kubernetes/imap.pem");
        assert_eq!(known.clean(&event).unwrap(), event);
    }

    #[test]
    fn paths_of_plain_words_are_kept_for_the_way_back() {
        let noted = |path: &str, text: &str| Event::UnitIntent {
            action: "file.make_dir".into(),
            args: Default::default(),
            args_digest: String::new(),
            memo: serde_json::json!({ "made": [path], "label": text }),
            touches: Vec::new(),
        };
        let known = cleaner("kubernetes", "path: /srv/kubernetes/${item}");
        let clean = known.clean(&noted("/srv/kubernetes/a", "of kubernetes")).unwrap();
        assert_eq!(clean, noted("/srv/kubernetes/a", "of [secret]"));
        let secret = cleaner("hunter2hunter2", "path: /srv/kubernetes/${item}");
        assert_eq!(secret.clean(&noted("/srv/hunter2hunter2/a", "")).unwrap(), noted("/srv/[secret]/a", ""));
        let wrote = |path: &str| Event::UnitDone {
            result: Json::Null,
            changed: true,
            wrote: vec![keybook_api::event::Touched { path: path.into(), before: None }],
            took_ms: 1,
        };
        assert_eq!(known.clean(&wrote("/srv/kubernetes/a")).unwrap(), wrote("/srv/kubernetes/a"));
    }

    /// Whatever word is a secret, the record can be written.
    #[test]
    fn no_secret_makes_a_record_of_another_kind() {
        let entry = serde_json::json!({ "path": "/srv/a", "stat": { "kind": "symlink", "mode": 511, "owner": { "uid": 0, "gid": 0 },
            "size": 3, "modified": 1, "link": "target" }, "sha256": "00ff" });
        let fault = serde_json::json!({ "kind": "timed-out", "attempted": "to look", "cause": "because", "host": "m1" });
        for event in [
            serde_json::json!({ "type": "unit.skipped", "reason": "operator", "detail": "why not" }),
            serde_json::json!({ "type": "unit.skipped", "reason": "nothing-to-change", "detail": "it is so" }),
            serde_json::json!({ "type": "unit.failed", "fault": fault, "before_effect": true, "only_trust": false, "took_ms": 1,
                "wrote": [{ "path": "/srv/a", "before": entry }] }),
            serde_json::json!({ "type": "unit.planned", "change": { "verdict": "will" }, "lines": ["a line"],
                "diffs": [{ "path": "/srv/a", "before": "old", "after": "new", "described": false }] }),
            serde_json::json!({ "type": "gate.answered", "answer": "run", "by": "ann@desk", "via": "terminal", "why": "so" }),
        ] {
            let mut words = Vec::new();
            words_of(&event, &mut words);
            let Ok(event) = serde_json::from_value::<Event>(event.clone()) else { panic!("{event}") };
            for word in words {
                let clean = cleaner(&word, "").clean(&event);
                let clean = clean.unwrap_or_else(|fault| panic!("{word}: {fault}"));
                assert_eq!(std::mem::discriminant(&clean), std::mem::discriminant(&event), "{word}");
            }
        }
    }

    fn words_of(json: &Json, words: &mut Vec<String>) {
        match json {
            Json::String(text) => words.push(text.clone()),
            Json::Array(list) => list.iter().for_each(|item| words_of(item, words)),
            Json::Object(map) => map.iter().for_each(|(key, item)| {
                words.push(key.clone());
                words_of(item, words);
            }),
            _ => {}
        }
    }

    #[test]
    fn what_was_hidden_is_found_again() {
        assert_eq!(hidden_parts("/srv/kube/x/kube", "/srv/[secret]/x/[secret]"), ["kube", "kube"]);
        assert_eq!(hidden_parts("kube", "[secret]"), ["kube"]);
        assert!(hidden_parts("/srv", "/srv").iter().all(|part| part.is_empty()));
        assert_eq!(hidden_parts("/a", "/b[secret]"), ["/a"], "whatever cannot be told is all of it");
    }
}
