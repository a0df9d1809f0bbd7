//! Values that cannot be had: what needs one fails, and what does not goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Cancel, Map, SourceText, Value, value::map};
use keybook_script::{HostCalls, Limits, ScriptError, ScriptHost};

fn scope() -> Map {
    let key = map([("text", Value::Unknown("it was secret".into())), ("path", "/etc/key".into())]);
    let list = Value::List(vec![Value::Unknown("it was secret".into()), 1.into()]);
    map([
        ("key", key.clone().into()),
        ("by_host", map([("key", map([("a", key.into())]).into())]).into()),
        ("list", list),
    ])
}

const NAMES: &[&str] = &["key", "by_host", "list"];

fn text(source: &str) -> SourceText {
    SourceText::verbatim(source, "f.yaml", 1, 1)
}

fn eval(source: &str) -> Result<Value, ScriptError> {
    let host = ScriptHost::new(Limits::default(), &[]);
    host.eval(&host.expr(&text(source), NAMES).unwrap(), &scope())
}

#[test]
fn what_is_around_a_value_that_cannot_be_had_is_as_it_was() {
    for source in [
        "key.path == \"/etc/key\"",
        "\"text\" in key",
        "key.len() == 2 && key.keys().len() == 2",
        "by_host.key[\"a\"].path == \"/etc/key\"",
        "by_host.key.values().all(|key| key.path == \"/etc/key\")",
        "list.len() == 2 && list[1] == 1",
        "key.text != ()",
        "key != #{ path: \"/etc/key\" }",
    ] {
        assert_eq!(eval(source), Ok(Value::Bool(true)), "{source}");
    }
}

#[test]
fn what_needs_it_fails_and_says_which_it_was() {
    for source in [
        "key.text",
        "key",
        "[key]",
        "key.values()",
        "by_host.key",
        "key.text == \"x\"",
        "key.text.len()",
        "key.text.foo",
        "key.text < 1",
        "key == #{ path: \"/etc/key\", text: \"x\" }",
        "if key.text { 1 } else { 2 }",
        "\"x\" + key.text",
        "`${key.text}`",
        "`${key}`",
        "key.to_string()",
        "key.to_json()",
        "\"x\" in key.text",
        "list.contains(2)",
        "list.index_of(2) == -1",
        "[\"x\"].contains(key.text)",
        "key.text ?? 1",
        "type_of(key.text) == \"string\"",
        "switch key.text { \"x\" => 1, _ => 2 }",
        "list[0]",
    ] {
        let error = eval(source).expect_err(source).message;
        assert!(error.contains("cannot be had: it was secret"), "{source}: {error}");
        let named = ["`key.text`", "`by_host.key.a.text`", "`list`"];
        assert!(named.iter().any(|name| error.contains(name)), "{source}: {error}");
    }
}

#[test]
fn a_template_does_not_show_it() {
    let host = ScriptHost::new(Limits::default(), &[]);
    for source in ["${key.text}", "a ${key.text}"] {
        let error = host.render(&host.template(&text(source), NAMES).unwrap(), &scope()).unwrap_err();
        assert_eq!(error.message, "`key.text` cannot be had: it was secret", "{source}");
    }
    let path = host.template(&text("${key.path}"), NAMES).unwrap();
    assert_eq!(host.render(&path, &scope()).unwrap(), "/etc/key".into());
}

struct NoCalls;

impl HostCalls for NoCalls {
    fn call(&self, _action: &str, _args: Map) -> Result<Value, String> {
        Err("it is not reached".into())
    }

    fn note(&self, _text: &str) {}
}

#[test]
fn a_script_does_not_go_another_way_because_of_it() {
    let host = ScriptHost::new(Limits::default(), &[]);
    let run = |source: &str| {
        let script = host.script(&text(source), NAMES).unwrap();
        host.run_script(&script, &scope(), &NoCalls, &Cancel::new())
    };
    assert_eq!(run("let k = key; k.path"), Ok("/etc/key".into()));
    for source in [
        "let k = key; k.text.len()",
        "act(\"t.put\", key)",
        "let k = key; let n = 0; try { n = k.text.len(); } catch { n = 1; } n",
    ] {
        let error = run(source).expect_err(source).message;
        assert!(error.contains("`key.text` cannot be had: it was secret"), "{source}: {error}");
    }
}
