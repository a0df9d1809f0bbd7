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
        for (key, value) in json.as_object_mut().into_iter().flatten() {
            let key = key.as_str();
            if key == "type" || key == FOUND || (NAMES.contains(&key) && !added) {
                continue;
            }
            if REASONED.contains(&key) {
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
    fn what_was_hidden_is_found_again() {
        assert_eq!(hidden_parts("/srv/kube/x/kube", "/srv/[secret]/x/[secret]"), ["kube", "kube"]);
        assert_eq!(hidden_parts("kube", "[secret]"), ["kube"]);
        assert!(hidden_parts("/srv", "/srv").iter().all(|part| part.is_empty()));
        assert_eq!(hidden_parts("/a", "/b[secret]"), ["/a"], "whatever cannot be told is all of it");
    }
}
