//! Objects as JSON: what is shown of them, and what a change makes of them.

use keybook_api::{Map, Value, value::map};
use serde_json::{Value as Json, json};

/// An object as a result has it: without the server's bookkeeping of who set what, and what a Secret holds is secret.
pub fn shown(object: &Json) -> Value {
    let mut object = object.clone();
    if let Some(Json::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    crate::kubectl::value(&object)
}

/// What the server writes into `metadata` by itself.
const BOOKKEEPING: [&str; 6] =
    ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"];

/// What of an object people and controllers want of it: neither bookkeeping nor status.
pub fn wanted(object: &Json) -> Json {
    let mut object = object.clone();
    if let Json::Object(top) = &mut object {
        top.remove("status");
    }
    if let Some(Json::Object(metadata)) = object.get_mut("metadata") {
        BOOKKEEPING.iter().for_each(|key| drop(metadata.remove(*key)));
    }
    object
}

/// One field that a change changes; what is absent is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The keys that lead to it. Lists are fields as a whole.
    pub path: Vec<String>,
    /// What is there.
    pub before: Option<Json>,
    /// What will be.
    pub after: Option<Json>,
}

/// The fields that differ.
pub fn changes(before: &Json, after: &Json) -> Vec<Field> {
    let mut found = Vec::new();
    compare(&mut Vec::new(), Some(before), Some(after), &mut found);
    found
}

fn compare(path: &mut Vec<String>, before: Option<&Json>, after: Option<&Json>, found: &mut Vec<Field>) {
    match (before, after) {
        (Some(Json::Object(one)), Some(Json::Object(two))) => {
            for key in one.keys().chain(two.keys().filter(|key| !one.contains_key(*key))) {
                path.push(key.clone());
                compare(path, one.get(key), two.get(key), found);
                path.pop();
            }
        }
        (before, after) if before == after => {}
        (before, after) => {
            found.push(Field { path: path.clone(), before: before.cloned(), after: after.cloned() });
        }
    }
}

impl Field {
    /// The field of an object as it is.
    pub fn of<'a>(&self, object: &'a Json) -> Option<&'a Json> {
        self.path.iter().try_fold(object, |inner, key| inner.get(key))
    }

    /// Such as `spec.replicas`.
    pub fn words(&self) -> String {
        self.path.join(".")
    }

    /// For a memo.
    pub fn to_value(&self) -> Value {
        let side = |json: &Option<Json>| json.as_ref().map(Value::from_json);
        let mut own = map([("path", self.path.clone().into())]);
        let sides = [("before", side(&self.before)), ("after", side(&self.after))];
        own.extend(sides.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        Value::Map(own)
    }

    /// From a memo.
    pub fn from_value(value: &Value) -> Option<Self> {
        let keys = value.get("path")?.as_list()?;
        let path = keys.iter().map(|key| key.as_str().map(str::to_owned)).collect::<Option<_>>()?;
        let side = |key: &str| value.get(key).map(Value::to_json);
        Some(Self { path, before: side("before"), after: side("after") })
    }
}

/// The merge patch (RFC 7396) that sets fields to what they were.
pub fn patch_back<'a>(fields: impl IntoIterator<Item = &'a Field>) -> Json {
    let mut patch = json!({});
    for field in fields {
        set(&mut patch, &field.path, field.before.clone().unwrap_or(Json::Null));
    }
    patch
}

/// Sets what is under a path, and makes the maps on the way.
pub fn set(into: &mut Json, path: &[String], value: Json) {
    let Some((first, rest)) = path.split_first() else {
        *into = value;
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    if let Json::Object(map) = into {
        set(map.entry(first.clone()).or_insert(Json::Null), rest, value);
    }
}

/// What an action that changes one object returns of it.
pub fn result(name: &str, object: &Json, created: bool) -> Map {
    let text = |pointer| Value::from(crate::kubectl::text(object, pointer));
    map([
        ("name", name.into()),
        ("uid", text("/metadata/uid")),
        ("resource_version", text("/metadata/resourceVersion")),
        ("created", created.into()),
    ])
}

/// Who has set anything of the object (`metadata.managedFields`), each once; `None` where the server does not keep that.
/// Status alone is the controllers' business and does not count.
pub fn managers(object: &Json) -> Option<Vec<&str>> {
    let all = object.pointer("/metadata/managedFields").and_then(Json::as_array)?;
    let fields = |one: &Json| one.get("fieldsV1").and_then(Json::as_object).cloned().unwrap_or_default();
    let status = |one: &Json| fields(one).keys().all(|key| key == "f:status");
    let mut names: Vec<&str> =
        all.iter().filter(|one| !status(one)).map(|one| crate::kubectl::text(one, "/manager")).collect();
    names.sort_unstable();
    names.dedup();
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_known_and_goes_back() {
        let before = json!({"a": {"b": 1, "c": [1]}, "gone": {"x": 1}, "same": null});
        let after = json!({"a": {"b": 2, "c": [1, 2], "new": {"y": 1}}, "same": null});
        let fields = changes(&before, &after);
        let words: Vec<String> = fields.iter().map(Field::words).collect();
        assert_eq!(words, ["a.b", "a.c", "a.new", "gone"]);
        let journaled: Vec<Field> = fields
            .iter()
            .filter_map(|field| Field::from_value(&Value::from_json(&field.to_value().to_json())))
            .collect();
        assert_eq!(journaled, fields);
        assert_eq!(patch_back(&fields), json!({"a": {"b": 1, "c": [1], "new": null}, "gone": {"x": 1}}));
        assert_eq!(fields[0].of(&after), Some(&json!(2)));
        assert_eq!(fields[3].of(&after), None);
    }

    #[test]
    fn bookkeeping_is_no_change() {
        let one = json!({"metadata": {"name": "a", "resourceVersion": "1"}, "status": {"x": 1}});
        let two = json!({"metadata": {"name": "a", "resourceVersion": "2", "generation": 2}});
        assert!(changes(&wanted(&one), &wanted(&two)).is_empty());
    }
}
