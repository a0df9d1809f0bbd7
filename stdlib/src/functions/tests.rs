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
    let host = script_host(Limits::default());
    let names: Vec<&str> = scope.keys().map(String::as_str).collect();
    let expr = host
        .expr(&SourceText::elsewhere(text, "example"), &names)
        .map_err(|found| found[0].message.clone())?;
    host.eval(&expr, scope).map_err(|error| error.message)
}

#[test]
fn every_example_is_true() {
    let scope = scope();
    let all = script_host(Limits::default()).functions();
    let own: Vec<_> = all.iter().filter(|function| !function.built_in).collect();
    assert!(own.len() > functions().len(), "those in Rhai are there too");
    for function in &own {
        let name = &function.name;
        assert_eq!(eval(&function.example, &scope), Ok(Value::Bool(true)), "{name}");
        assert!(function.example.contains(name.as_str()), "{name}");
        assert!(function.doc.ends_with(['.', '?']) && !function.returns.is_empty(), "{name}");
        assert_eq!(own.iter().filter(|other| other.name == *name).count(), 1, "{name} is there once");
    }
}

#[test]
fn the_files_in_rhai_compile_and_are_all_listed() {
    ScriptHost::with_library(Limits::default(), &functions(), &LIBRARY).unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rhai");
    let files =
        std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    let files: std::collections::BTreeSet<String> = files.map(|name| format!("keybook/{name}")).collect();
    let listed = LIBRARY.map(|file| file.name.to_owned()).into();
    assert_eq!(files, listed);
    let natives: Vec<&str> = functions().iter().map(|function| function.name).collect();
    for file in LIBRARY {
        assert!(!natives.iter().any(|name| file.text.contains(&format!("fn {name}("))), "{}", file.name);
    }
}

#[test]
fn versions_and_names_of_the_field_are_understood() {
    let scope = scope();
    for (text, wanted) in [
        ("version_between(\"1.9\", \"1.9\", \"2.1.x\")", true),
        ("version_between(\"v2.1.0-tos-final-build-20220805-tdh\", \"1.9\", \"2.1\")", true),
        ("version_between(\"2.1.99\", \"1.9\", \"2.1.x\")", true),
        ("version_between(\"2.10\", \"1.9\", \"2.1\")", false),
        ("version_between(\"2\", \"1.9\", \"2.0\")", true),
        ("version_between(\"1.8\", \"1.9\", \"2.1\")", false),
        ("version_numbers(\"V3.\") == [3]", true),
        ("subject_part(\"O=system:nodes+OU=x,CN=a\", \"OU\") == \"x\"", true),
        ("subject_part(\"\", \"CN\") == ()", true),
        ("sans_cover(sans_from([\"worker-1\", \"10.0.0.7\"]), [\"IP:10.0.0.7\", \"DNS:Worker-1\"])", true),
        ("sans_cover([], [\"DNS:a\"])", false),
        ("ends_first([leaf, new_ca]).sha256 == leaf.sha256", true),
        ("life_left(new_ca, old_ca.not_after) == 90", true),
    ] {
        assert_eq!(eval(text, &scope), Ok(Value::Bool(wanted)), "{text}");
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
        ("version_numbers(\"latest\")", "`version_numbers`: `latest` is no version"),
        (
            "version_between(1, \"1\", \"2\")",
            "`version_between`: `version_at_least`: expected a version, got int",
        ),
        ("ends_first([])", "`ends_first`: the list of certificates is empty"),
        ("dns_names(1)", "`dns_names`: expected a certificate or a list of alternative names"),
        ("day_stamp(\"yesterday\")", "is not a date"),
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
