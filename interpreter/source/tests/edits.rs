//! Edits change one value and no other byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Secret, Value, value::map};
use keybook_source::edit::{
    Step, get_json, get_yaml, parse_path, remove_json, remove_yaml, set_json, set_yaml,
};
use proptest::prelude::*;

const MANIFEST: &str = "\
# the API server
apiVersion: v1
kind: Pod
metadata:
  name: kube-apiserver   # mirror
  labels: {tier: control-plane, \"a.b/c\": 'x'}
spec:
  containers:
  - command:
    - kube-apiserver
    - --client-ca-file=/etc/kubernetes/pki/ca.crt   # trusted
    - \"--v=2\"

    # who we are
    image: 'registry/kube-apiserver:v1.14.6'
    name: kube-apiserver
    ports: []
  - name: sidecar
  hostNetwork: true
status: {}
";

fn path(text: &str) -> Vec<Step> {
    parse_path(text).unwrap()
}

/// The lines that an edit took out (-) and put in (+).
fn changes(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[same..].iter().rev().zip(new[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let gone = old[same..old.len() - tail].iter().map(|line| format!("-{line}"));
    gone.chain(new[same..new.len() - tail].iter().map(|line| format!("+{line}"))).collect()
}

fn set(at: &str, value: impl Into<Value>) -> Vec<String> {
    let value = value.into();
    let edited = set_yaml(MANIFEST, &path(at), &value).unwrap_or_else(|error| panic!("{at}: {error}"));
    changes(MANIFEST, &edited)
}

#[test]
fn values_are_replaced_in_their_own_style() {
    assert_eq!(set("kind", "Job"), ["-kind: Pod", "+kind: Job"]);
    assert_eq!(
        set("metadata.name", "x: y"),
        ["-  name: kube-apiserver   # mirror", "+  name: \"x: y\"   # mirror"]
    );
    assert_eq!(
        set("spec.containers[name=kube-apiserver].image", "it's"),
        ["-    image: 'registry/kube-apiserver:v1.14.6'", "+    image: 'it''s'"]
    );
    assert_eq!(
        set("spec.containers[0].command[--client-ca-file=]", "/new.crt"),
        [
            "-    - --client-ca-file=/etc/kubernetes/pki/ca.crt   # trusted",
            "+    - --client-ca-file=/new.crt   # trusted"
        ]
    );
    assert_eq!(set("spec.containers[0].command[--v=]", "4"), ["-    - \"--v=2\"", "+    - \"--v=4\""]);
    assert_eq!(
        set("metadata.labels[\"a.b/c\"]", "y"),
        [
            "-  labels: {tier: control-plane, \"a.b/c\": 'x'}",
            "+  labels: {tier: control-plane, \"a.b/c\": 'y'}"
        ]
    );
    assert_eq!(set("spec.hostNetwork", false), ["-  hostNetwork: true", "+  hostNetwork: false"]);
}

#[test]
fn missing_values_are_appended_like_their_siblings() {
    assert_eq!(set("metadata.namespace", "kube-system"), ["+  namespace: kube-system"]);
    assert_eq!(
        set("spec.containers[0].command[--root-ca-file=]", "/ca.crt"),
        ["+    - \"--root-ca-file=/ca.crt\""]
    );
    assert_eq!(set("spec.containers[name=sidecar].image", "s:1"), ["+    image: s:1"]);
    assert_eq!(set("spec.containers[name=new].image", "n:1"), ["+  - name: new", "+    image: n:1"]);
    assert_eq!(
        set("metadata.labels.x", "z"),
        [
            "-  labels: {tier: control-plane, \"a.b/c\": 'x'}",
            "+  labels: {tier: control-plane, \"a.b/c\": 'x', x: z}"
        ]
    );
    assert_eq!(set("status.phase.now", "on"), ["-status: {}", "+status:", "+  phase:", "+    now: \"on\""]);
    assert_eq!(set("spec.containers[0].ports[0]", 80), ["-    ports: []", "+    ports:", "+    - 80"]);
    assert_eq!(set("top", vec!["a", "b"]), ["+top:", "+- a", "+- b"]);
}

#[test]
fn kinds_of_values_replace_each_other() {
    let nested: Value = map([("a", vec!["x"].into()), ("b", Value::Null)]).into();
    assert_eq!(
        set("metadata.name", nested.clone()),
        ["-  name: kube-apiserver   # mirror", "+  name:   # mirror", "+    a:", "+    - x", "+    b: null"]
    );
    assert_eq!(
        set("metadata.labels", "x"),
        ["-  labels: {tier: control-plane, \"a.b/c\": 'x'}", "+  labels: x"]
    );
    let edited = set_yaml(MANIFEST, &path("spec.containers"), &"none".into()).unwrap();
    assert!(edited.contains("spec:\n  containers: none\n  hostNetwork: true\n"), "{edited}");
    let edited = set_yaml(MANIFEST, &path("spec.containers"), &Value::List(vec![nested])).unwrap();
    assert!(edited.contains("  containers:\n  - a:\n    - x\n    b: null\n  hostNetwork"), "{edited}");
    let pem = "-----BEGIN X-----\nAA\n-----END X-----\n";
    assert_eq!(
        set("kind", pem),
        ["-kind: Pod", "+kind: |", "+  -----BEGIN X-----", "+  AA", "+  -----END X-----"]
    );
    assert_eq!(
        changes(
            "a: |  # ca\n  one\n  two\nb: 1\n",
            &set_yaml("a: |  # ca\n  one\n  two\nb: 1\n", &path("a"), &"x".into()).unwrap()
        ),
        ["-a: |  # ca", "-  one", "-  two", "+a: x  # ca"]
    );
}

#[test]
fn removals_take_their_lines_along() {
    let remove = |at: &str| changes(MANIFEST, &remove_yaml(MANIFEST, &path(at)).unwrap());
    assert_eq!(remove("kind"), ["-kind: Pod"]);
    assert_eq!(remove("spec.containers[0].command[--v=]"), ["-    - \"--v=2\""]);
    assert_eq!(remove("spec.containers[name=sidecar]"), ["-  - name: sidecar"]);
    assert_eq!(
        remove("metadata.labels.tier"),
        ["-  labels: {tier: control-plane, \"a.b/c\": 'x'}", "+  labels: {\"a.b/c\": 'x'}"]
    );
    assert_eq!(
        remove("metadata.labels[\"a.b/c\"]"),
        ["-  labels: {tier: control-plane, \"a.b/c\": 'x'}", "+  labels: {tier: control-plane}"]
    );
    assert_eq!(remove("spec.containers[1].name"), ["-  - name: sidecar", "+  - {}"]);
    assert_eq!(remove("spec.nothing.there"), Vec::<String>::new());
    let first = remove_yaml(MANIFEST, &path("spec.containers[0].command")).unwrap();
    assert!(first.contains("  -\n\n    # who we are\n    image: "), "{first}");
}

#[test]
fn an_edit_without_effect_changes_no_byte() {
    for (at, value) in [("kind", "Pod"), ("metadata.labels.tier", "control-plane")] {
        assert_eq!(set_yaml(MANIFEST, &path(at), &value.into()).unwrap(), MANIFEST);
    }
    let spaced = "{ \"a\":1 ,\n\t\"b\" : [ ] }";
    assert_eq!(set_json(spaced, &path("a"), &1.into()).unwrap(), spaced);
}

#[test]
fn line_ends_and_marks_are_kept() {
    let windows = "\u{feff}a: 1\r\nb:\r\n  - x\r\n";
    assert_eq!(
        set_yaml(windows, &path("b[1]"), &"z".into()).unwrap(),
        "\u{feff}a: 1\r\nb:\r\n  - x\r\n  - z\r\n"
    );
    assert_eq!(set_yaml("a: 1", &path("b"), &2.into()).unwrap(), "a: 1\nb: 2");
    assert_eq!(set_yaml("", &path("a.b"), &1.into()).unwrap(), "a:\n  b: 1\n");
    assert_eq!(set_yaml("# c\n", &path("a"), &1.into()).unwrap(), "# c\na: 1\n");
}

#[test]
fn json_keeps_its_layout() {
    let text = "{\n  \"CN\": \"etcd\",\n  \"hosts\": [\n    \"10.0.0.1\"\n  ],\n  \"key\": {\"algo\": \"rsa\", \"size\": 2048}\n}\n";
    let set = |at: &str, value: Value| changes(text, &set_json(text, &path(at), &value).unwrap());
    assert_eq!(
        set("hosts[1]", "10.0.0.2".into()),
        ["-    \"10.0.0.1\"", "+    \"10.0.0.1\",", "+    \"10.0.0.2\""]
    );
    assert_eq!(
        set("key.size", 4096.into()),
        [
            "-  \"key\": {\"algo\": \"rsa\", \"size\": 2048}",
            "+  \"key\": {\"algo\": \"rsa\", \"size\": 4096}"
        ]
    );
    assert_eq!(
        set("ca.expiry", "87600h".into()),
        [
            "-  \"key\": {\"algo\": \"rsa\", \"size\": 2048}",
            "+  \"key\": {\"algo\": \"rsa\", \"size\": 2048},",
            "+  \"ca\": {",
            "+    \"expiry\": \"87600h\"",
            "+  }"
        ]
    );
    let removed = remove_json(text, &path("key")).unwrap();
    assert_eq!(removed, "{\n  \"CN\": \"etcd\",\n  \"hosts\": [\n    \"10.0.0.1\"\n  ]\n}\n");
    assert_eq!(remove_json("[1, 2]", &path("[0]")).unwrap(), "[2]");
    assert_eq!(remove_json("[1, 2]", &path("[1]")).unwrap(), "[1]");
    assert_eq!(remove_json("{\"a\": 1}", &path("a")).unwrap(), "{}");
    assert_eq!(get_json(text, &path("key.size")).unwrap(), Some(Value::Int(2048)));
}

#[test]
fn what_cannot_be_edited_says_why() {
    let refused = |text: &str, at: &str, value: Value| set_yaml(text, &path(at), &value).unwrap_err().message;
    assert_eq!(refused("a: 1\n", "a.b", 1.into()), "at `a.b`: expected a map, found a int");
    assert_eq!(refused("a: [x]\n", "a[3]", 1.into()), "at `a[3]`: the list has 1 items");
    assert_eq!(
        refused("a: [--x=1, --x=2]\n", "a[--x=]", "3".into()),
        "at `a[--x=]`: 2 items of the list fit"
    );
    assert_eq!(refused("a: [--x=1]\n", "a[--x=]", "--x=3".into()), "give only what follows `--x=`");
    assert!(refused("a: &x 1\nb: *x\n", "b", 2.into()).contains("alias"));
    assert!(refused("a: &x {c: 1}\nb: *x\n", "a.c", 2.into()).contains("without changing something else"));
    assert!(refused("a: 1\n", "b", Value::Secret(Secret::new("k"))).contains("secret"));
    assert!(refused("a: 1\na: 2\n", "b", 1.into()).contains("line 2, column 1"));
    assert!(refused("a: 1\n---\nb: 1\n", "b", 1.into()).contains("more than one"));
    assert!(set_json("{\"a\": 1,}", &path("a"), &1.into()).unwrap_err().message.contains("not JSON"));
}

#[test]
fn a_block_that_keeps_its_blank_lines_is_left_alone() {
    let text = "a: |+\n  x\n\n\nb: 1\n";
    let edited = set_yaml(text, &path("b"), &2.into()).unwrap();
    assert_eq!(edited, "a: |+\n  x\n\n\nb: 2\n");
    let nested = "m:\n  a: |+\n    x\n\nz: 1\n";
    assert_eq!(set_yaml(nested, &path("m.b"), &1.into()).unwrap(), "m:\n  a: |+\n    x\n\n  b: 1\nz: 1\n");
}

/// Random values of a runbook's or manifest's shape.
fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-z]{0,5}",
        "[a-z:# '\"\\\\,\\[\\]{}&*!|>%@-]{0,8}",
        Just("true".to_owned()),
        Just("0644".to_owned()),
        Just("two\nlines\n".to_owned()),
        "[ \n\tü\u{1}a]{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1000i32..1000).prop_map(|n| Value::Float(f64::from(n) / 8.0)),
        text.prop_map(Value::Text),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec(("[a-d]", inner), 0..4)
                .prop_map(|entries| Value::Map(entries.into_iter().collect())),
        ]
    })
}

/// A document in block or flow style with comments, and its value. Built by setting random things one by one.
fn written(value: &Value, indent: usize, out: &mut String, salt: &mut u32) {
    let pad = " ".repeat(indent);
    *salt = salt.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let choice = (*salt >> 24) % 4;
    let scalar = |value: &Value| serde_json::to_string(&value.to_json()).unwrap();
    match value {
        Value::Map(map) if !map.is_empty() && choice != 0 => {
            out.push('\n');
            for (key, item) in map {
                if choice == 1 {
                    out.push_str(&format!("{pad}# about {key}\n"));
                }
                out.push_str(&format!("{pad}{key}:"));
                written(item, indent + 2, out, salt);
            }
        }
        Value::List(list) if !list.is_empty() && choice != 0 => {
            out.push('\n');
            for item in list {
                out.push_str(&format!("{pad}-"));
                if let (Value::Map(_), 2) = (item, choice) {
                    let mut inner = String::new();
                    written(item, indent + 2, &mut inner, salt);
                    match inner.strip_prefix(&format!("\n{pad}  ")) {
                        Some(compact) if !compact.starts_with('#') => out.push_str(&format!(" {compact}")),
                        _ => out.push_str(&inner),
                    }
                } else {
                    written(item, indent + 2, out, salt);
                }
            }
        }
        other => {
            let comment = if choice == 3 { "  # note" } else { "" };
            out.push_str(&format!(" {}{comment}\n", scalar(other)));
        }
    }
}

/// A path that leads to something in the value, or one step beside it.
fn pick(value: &Value, salt: &mut u32, path: &mut Vec<Step>) {
    *salt = salt.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let roll = *salt >> 16;
    match value {
        Value::Map(map) => {
            if map.is_empty() || roll.is_multiple_of(5) {
                path.push(Step::Key("new".to_owned()));
            } else {
                let (key, item) = map.get_index(roll as usize % map.len()).unwrap();
                path.push(Step::Key(key.clone()));
                if !roll.is_multiple_of(3) {
                    pick(item, salt, path);
                }
            }
        }
        Value::List(list) => {
            let at = roll as usize % (list.len() + 1);
            path.push(Step::Index(at));
            if let Some(item) = list.get(at).filter(|_| !roll.is_multiple_of(3)) {
                pick(item, salt, path);
            }
        }
        _ => {}
    }
}

fn comments(text: &str) -> usize {
    text.lines().filter(|line| line.trim_start().starts_with('#')).count()
}

proptest! {

    /// A set at a random place of a random document has exactly the meant effect: what it set can be read back,
    /// setting it again changes nothing, and undoing it gives the same value as before.
    #[test]
    fn a_set_has_exactly_its_effect(entries in prop::collection::vec(("[a-d]", value()), 1..4), new in value(), salt in any::<u32>()) {
        let before = Value::Map(entries.into_iter().collect());
        let mut salt = salt;
        let mut text = String::new();
        written(&before, 0, &mut text, &mut salt);
        let text = text.trim_start_matches(['\n', ' ']).to_owned();
        prop_assert_eq!(keybook_source::parse("f", &text).unwrap().to_value(), before.clone(), "{}", text);
        let mut path = Vec::new();
        pick(&before, &mut salt, &mut path);
        let edited = match set_yaml(&text, &path, &new) {
            Ok(edited) => edited,
            Err(error) => return Err(TestCaseError::fail(format!("{path:?} {new:?}: {error}\n{text}"))),
        };
        prop_assert_eq!(get_yaml(&edited, &path).unwrap(), Some(new.clone()), "{}\n->\n{}", text, edited);
        prop_assert_eq!(&set_yaml(&edited, &path, &new).unwrap(), &edited);
        let old = get_yaml(&text, &path).unwrap();
        let back = match &old {
            Some(old) => set_yaml(&edited, &path, old).unwrap(),
            None => remove_yaml(&edited, &path).unwrap(),
        };
        prop_assert_eq!(keybook_source::parse("f", &back).unwrap().to_value(), before);
        // A scalar for a scalar touches one line only (and texts of several lines have none of their own here).
        let scalar = |value: &Value| !matches!(value, Value::List(_) | Value::Map(_)) && !value.to_string().contains('\n');
        if old.as_ref().is_some_and(scalar) && scalar(&new) {
            prop_assert!(changes(&text, &edited).len() <= 2, "{}\n->\n{}", text, edited);
            prop_assert_eq!(comments(&text), comments(&edited));
        }
    }

    /// A removal takes out exactly what its path names.
    #[test]
    fn a_removal_has_exactly_its_effect(entries in prop::collection::vec(("[a-d]", value()), 1..4), salt in any::<u32>()) {
        let before = Value::Map(entries.into_iter().collect());
        let mut salt = salt;
        let mut text = String::new();
        written(&before, 0, &mut text, &mut salt);
        let text = text.trim_start_matches(['\n', ' ']).to_owned();
        let mut path = Vec::new();
        pick(&before, &mut salt, &mut path);
        let existed = get_yaml(&text, &path).unwrap().is_some();
        let edited = match remove_yaml(&text, &path) {
            Ok(edited) => edited,
            Err(error) => return Err(TestCaseError::fail(format!("{path:?}: {error}\n{text}"))),
        };
        if existed {
            prop_assert_ne!(keybook_source::parse("f", &edited).unwrap().to_value(), before);
        } else {
            prop_assert_eq!(edited, text);
        }
    }

    /// The same for JSON, compact and spread.
    #[test]
    fn json_edits_have_exactly_their_effect(entries in prop::collection::vec(("[a-d]", value()), 1..4), new in value(), salt in any::<u32>(), spread in any::<bool>()) {
        let before = Value::Map(entries.into_iter().collect());
        let text = if spread { serde_json::to_string_pretty(&before.to_json()) } else { serde_json::to_string(&before.to_json()) }.unwrap();
        let mut path = Vec::new();
        pick(&before, &mut { salt }, &mut path);
        let edited = set_json(&text, &path, &new).map_err(|error| TestCaseError::fail(format!("{path:?}: {error}\n{text}")))?;
        prop_assert_eq!(get_json(&edited, &path).unwrap(), Some(new));
        let removed = remove_json(&edited, &path).map_err(|error| TestCaseError::fail(format!("{path:?}: {error}\n{edited}")))?;
        serde_json::from_str::<serde_json::Value>(&removed).unwrap();
    }
}
