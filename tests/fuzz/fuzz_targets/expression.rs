//! An expression, a template, a script and hooks of any text: compiled with every function, and evaluated within limits.
#![no_main]

use keybook_api::{Cancel, SourceText, Value, value::map};
use keybook_script::{Limits, ScriptHost};
use libfuzzer_sys::fuzz_target;
use std::{sync::LazyLock, time::Duration};

/// Smaller than the real limits, so that one input is through at once.
static SCRIPT: LazyLock<ScriptHost> = LazyLock::new(|| {
    let limits = Limits {
        operations: 20_000,
        string_size: 64 << 10,
        array_size: 2_000,
        map_size: 2_000,
        wall: Duration::from_secs(2),
        ..Limits::default()
    };
    keybook_stdlib::script_host(limits)
});

fuzz_target!(|text: &str| {
    let source = SourceText::verbatim(text, "runbook.yaml", 1, 1);
    let scope = map([
        ("inputs", Value::Map(map([("name", "x".into()), ("count", Value::Int(3))]))),
        ("item", Value::List(vec!["a".into(), Value::Null, Value::Bool(true)])),
    ]);
    let names = ["inputs", "item"];
    if let Ok(expr) = SCRIPT.expr(&source, &names) {
        let _ = SCRIPT.eval(&expr, &scope);
    }
    if let Ok(template) = SCRIPT.template(&source, &names) {
        let _ = SCRIPT.render(&template, &scope);
    }
    if let Ok(script) = SCRIPT.script_with(&source, &names, &[]) {
        let _ = SCRIPT.run_with(&script, &scope, &[], &Cancel::new());
    }
    let _ = SCRIPT.hooks(&source);
});
