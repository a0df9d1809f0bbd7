//! Collects the certificates that facts and results mention.

use super::{CertificateSummary, Sighting};
use crate::time;
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};
use std::collections::HashSet;

/// Deepest nesting of facts and results that is searched.
const DEEPEST: usize = 64;

/// A place that shows a certificate: host, path or endpoint, and the place in a bundle from 0.
type Key = (String, String, usize);

/// All certificates seen so far.
#[derive(Default)]
pub(super) struct Certificates {
    seen: IndexMap<Key, CertificateSummary>,
    created: HashSet<(String, String)>,
    /// Paths that the run set out to change.
    touched: HashSet<(String, String)>,
    /// The run has changed something, or set out to, that may bear on what endpoints serve.
    begun: bool,
    /// What is searched now was searched just before: equal certificates are no new sightings.
    again: bool,
}

impl Certificates {
    /// Searches a fact or result of a unit on `host`.
    pub(super) fn look(&mut self, host: &str, at: &str, json: &Json) {
        self.search(host, at, json, 0);
    }

    /// The same for a result that repeats an earlier one.
    pub(super) fn look_again(&mut self, host: &str, at: &str, json: &Json) {
        self.again = true;
        self.look(host, at, json);
        self.again = false;
    }

    fn search(&mut self, host: &str, at: &str, json: &Json, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        match json {
            Json::Object(map) => {
                self.note(host, at, map, 0);
                for value in map.values() {
                    self.search(host, at, value, depth + 1);
                }
            }
            Json::Array(list) => self.search_list(host, at, list, depth),
            _ => {}
        }
    }

    /// Neighbours in a list with one place are a bundle, not one certificate seen several times.
    fn search_list(&mut self, host: &str, at: &str, list: &[Json], depth: usize) {
        let mut ordinals: IndexMap<String, usize> = IndexMap::new();
        for item in list {
            if let Json::Object(map) = item
                && let Some(place) = place_of(map)
            {
                let ordinal = ordinals.entry(place.to_owned()).or_insert(0);
                self.note(host, at, map, *ordinal);
                *ordinal += 1;
                for value in map.values() {
                    self.search(host, at, value, depth + 1);
                }
            } else {
                self.search(host, at, item, depth + 1);
            }
        }
    }

    fn note(&mut self, host: &str, at: &str, map: &Map<String, Json>, ordinal: usize) {
        let (Some(place), Some(sighting)) = (place_of(map), sighting(map, at)) else { return };
        let key = (host.to_owned(), place.to_owned(), ordinal);
        if let Some(known) = self.seen.get_mut(&key) {
            if !self.again || known.last.sha256 != sighting.sha256 {
                known.last = sighting;
            }
            known.taken_back = false;
            known.touched_since = false;
            return;
        }
        let named = |paths: &HashSet<(String, String)>| {
            paths.iter().any(|(on, path)| on == host && within(place, path))
        };
        let endpoint = !map.contains_key("path");
        let created = named(&self.created);
        let unseen_before = if endpoint { self.begun } else { !created && named(&self.touched) };
        let shown = if ordinal == 0 { place.to_owned() } else { format!("{place} (no. {})", ordinal + 1) };
        let summary = CertificateSummary {
            host: host.to_owned(),
            place: shown,
            created,
            endpoint,
            taken_back: false,
            touched_since: false,
            unseen_before,
            first: sighting.clone(),
            last: sighting,
        };
        self.seen.insert(key, summary);
    }

    /// The run is about to make this path.
    pub(super) fn will_create(&mut self, host: &str, path: &str) {
        self.created.insert((host.to_owned(), path.to_owned()));
    }

    /// The run is about to change this path: what was seen there may no longer be so.
    pub(super) fn will_touch(&mut self, host: &str, path: &str) {
        self.touched.insert((host.to_owned(), path.to_owned()));
        for ((on, place, _), certificate) in &mut self.seen {
            if on == host && within(place, path) {
                certificate.touched_since = true;
            }
        }
    }

    /// From now on what an endpoint serves may be the run's doing.
    pub(super) fn change_begins(&mut self) {
        self.begun = true;
    }

    /// What is served is another thing once the files are put back.
    pub(super) fn rollback_begins(&mut self) {
        for certificate in self.seen.values_mut().filter(|certificate| certificate.endpoint) {
            certificate.touched_since = true;
        }
    }

    /// A rollback put this path (or what is below it) back.
    pub(super) fn put_back(&mut self, host: &str, path: &str) {
        for ((on, place, _), certificate) in &mut self.seen {
            // What was first seen after the change is another one than is there now, too.
            let other = certificate.changed() || certificate.created || certificate.unseen_before;
            if on == host && within(place, path) && other {
                certificate.taken_back = true;
            }
            if on == host && within(place, path) {
                certificate.touched_since = false;
            }
        }
    }

    pub(super) fn finish(self) -> Vec<CertificateSummary> {
        self.seen.into_values().collect()
    }
}

/// Is a path the other one, or below it?
fn within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where a certificate map was seen; `None` when the map is no certificate or names no place.
fn place_of(map: &Map<String, Json>) -> Option<&str> {
    if map.get("kind").and_then(Json::as_str) != Some("certificate") {
        return None;
    }
    ["path", "endpoint"].iter().find_map(|key| map.get(*key).and_then(Json::as_str))
}

fn sighting(map: &Map<String, Json>, at: &str) -> Option<Sighting> {
    let text = |key: &str| map.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let moment = |unix: &str, written: &str| {
        let number = map.get(unix).and_then(Json::as_i64);
        number.or_else(|| Some(time::parse(&text(written))?.as_second()))
    };
    Some(Sighting {
        seen: at.to_owned(),
        subject: text("subject"),
        issuer: text("issuer"),
        serial: text("serial"),
        sha256: text("sha256"),
        not_before: text("not_before"),
        not_after: text("not_after"),
        not_before_unix: moment("not_before_unix", "not_before")?,
        not_after_unix: moment("not_after_unix", "not_after")?,
        sans: texts(map.get("sans")),
        is_ca: map.get("is_ca").and_then(Json::as_bool).unwrap_or(false),
    })
}

fn texts(json: Option<&Json>) -> Vec<String> {
    let list = json.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Json::as_str).map(str::to_owned).collect()
}
