//! Every example is true, in the real Rhai host.

use super::*;
use crate::testing::{Bench, Issue, ca, leaf};
use keybook_api::{Map, SourceText, value::map};
use keybook_pki::reissue;
use keybook_script::{Limits, ScriptHost};

/// The certificates that the examples speak of.
fn scope() -> Map {
    let bench = Bench::new();
    let old = ca(&bench, "old", &Issue { cn: "etcd-ca", not_after: 86_400, ..Issue::default() });
    let new = reissue(&old.0, &old.1, old.0.not_after() + 86_400 * 3650, None).unwrap().certificate;
    let other = ca(&bench, "other", &Issue { cn: "etcd-ca", ..Issue::default() });
    let leaf = leaf(&bench, &old, "leaf", &Issue { not_after: 86_400, ..Issue::default() });
    map([
        ("old_ca", old.0.to_value()),
        ("new_ca", new.to_value()),
        ("other_ca", other.0.to_value()),
        ("leaf", leaf.0.to_value()),
    ])
}

fn eval(text: &str, scope: &Map) -> Result<Value, String> {
    let host = ScriptHost::new(Limits::default(), &functions());
    let names: Vec<&str> = scope.keys().map(String::as_str).collect();
    let expr = host
        .expr(&SourceText::elsewhere(text, "example"), &names)
        .map_err(|found| found[0].message.clone())?;
    host.eval(&expr, scope).map_err(|error| error.message)
}

#[test]
fn every_example_is_true() {
    let scope = scope();
    for function in functions() {
        assert_eq!(eval(function.example, &scope), Ok(Value::Bool(true)), "{}", function.name);
        assert!(function.example.contains(function.name), "{}", function.name);
        assert!(!function.doc.is_empty() && !function.returns.is_empty(), "{}", function.name);
    }
}

#[test]
fn wrong_arguments_are_told() {
    let scope = scope();
    for (text, message) in [
        ("verifies([], leaf)", "the list of CAs is empty"),
        ("verifies(\"\", leaf)", "empty"),
        ("covers(1, leaf)", "a certificate is expected"),
        ("days_until(\"tomorrow\", \"2023-01-01T00:00:00Z\")", "is not a date"),
        ("days_until(1, 2)", "expected a date"),
        ("version_at_least(\"latest\", \"1\")", "is no version"),
        ("unique(1)", "expected a list, got int"),
        ("basename(1)", "expected a path, got int"),
    ] {
        let error = eval(text, &scope).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn an_expired_leaf_still_tells_its_ca() {
    let bench = Bench::new();
    let past = Issue { not_before: -86_400 * 900, not_after: -86_400 * 2, ..Issue::default() };
    let old = ca(&bench, "ca", &past);
    let expired = leaf(&bench, &old, "leaf", &past).0.to_value();
    let scope = map([("ca", old.0.to_value()), ("leaf", expired), ("now", "2099-01-01T00:00:00Z".into())]);
    assert_eq!(eval("ca.verifies(leaf)", &scope), Ok(Value::Bool(true)));
    assert_eq!(eval("ca.verifies_at(leaf, now)", &scope), Ok(Value::Bool(false)));
}
