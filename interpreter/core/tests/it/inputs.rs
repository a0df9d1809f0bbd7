//! The types of inputs.

use crate::support::{Bench, actions};
use indexmap::IndexMap;
use keybook_api::{Map, Value};
use keybook_core::model::{
    Input, input,
    load::{LoadError, load},
};
use keybook_script::{Limits, ScriptHost};

/// The inputs of a runbook that reads all of them, or what is wrong with it.
fn inputs(yaml: &str) -> Result<IndexMap<String, Input>, Vec<String>> {
    let bench = Bench::new("");
    let text = format!(
        "{}inputs:\n{yaml}steps:\n  - {{ id: s, hosts: master, t.note: {{ text: \"${{inputs}}\" }} }}\n",
        bench.yaml
    );
    std::fs::write(bench.dir.path().join("runbook.yaml"), text).unwrap();
    let script = ScriptHost::new(Limits::default(), &[]);
    match load(bench.dir.path(), "book", &actions::registry(), &script) {
        Ok(loaded) => Ok(loaded.runbook.inputs),
        Err(LoadError::Invalid { problems, .. }) => Err(problems
            .iter()
            .map(|problem| {
                let help = problem.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
                format!(
                    "{} {}:{} {}{help}",
                    problem.code, problem.span.line, problem.span.column, problem.message
                )
            })
            .collect()),
        Err(LoadError::Fault(fault)) => panic!("{fault}"),
    }
}

fn one(yaml: &str) -> Input {
    inputs(&format!("  x: {yaml}\n")).unwrap().shift_remove("x").unwrap()
}

#[test]
fn a_pattern_holds_for_the_whole_value() {
    let unit = one("{ type: string, pattern: 'tos-[a-z]+|etcd', help: the unit }");
    for fits in ["tos-etcd", "etcd"] {
        assert!(unit.from_text(fits).is_ok(), "{fits}");
    }
    for wrong in ["tos-etcd2", "xetcd", "etcd\n", ""] {
        let why = unit.from_text(wrong).unwrap_err();
        assert_eq!(why, format!("`{wrong}` does not match the pattern `tos-[a-z]+|etcd` (the unit)"));
    }
}

#[test]
fn durations_and_numbers_have_bounds() {
    let settle = one("{ type: duration, min: 10s, max: 1h, default: 30s }");
    assert!(settle.from_text("10s").is_ok() && settle.from_text("60m").is_ok());
    assert_eq!(settle.from_text("61m").unwrap_err(), "1h1m is outside 10s..1h");
    assert_eq!(one("{ type: duration, max: 1m }").from_text("2m").unwrap_err(), "2m is outside ..1m");
    assert_eq!(one("{ type: int, min: -1 }").from_text("-2").unwrap_err(), "-2 is outside -1..");
}

#[test]
fn what_is_wrong_with_an_input_is_told_at_its_place() {
    for (yaml, wanted) in [
        (
            "{ type: string, pattern: '[a-z]+', default: A }",
            "wrong-type 10:50 `A` does not match the pattern `[a-z]+`",
        ),
        (
            "{ type: string, pattern: '([a-z]+' }",
            "bad-pattern 10:31 `([a-z]+` is no regular expression: unclosed group",
        ),
        (
            "{ type: string, pattern: 'a)|(b' }",
            "bad-pattern 10:31 `a)|(b` is no regular expression: unopened group",
        ),
        (
            "{ type: path, pattern: a }",
            "wrong-input-key 10:20 `pattern` means nothing for the type `path` | it goes with the type `string`",
        ),
        (
            "{ type: bool, max: 1 }",
            "wrong-input-key 10:20 `max` means nothing for the type `bool` | it goes with the type `int` or `duration`",
        ),
        (
            "{ type: string, values: [a] }",
            "wrong-input-key 10:22 `values` means nothing for the type `string` | it goes with the type `enum`",
        ),
        ("{ type: duration, min: 10s, default: 5s }", "wrong-type 10:43 5s is outside 10s.."),
        ("{ type: duration, min: 10 }", "wrong-type 10:29 expected a duration, this is a whole number"),
        ("{ type: int, min: 3, max: 2 }", "empty-range 10:32 no value fits: `max` is below `min`"),
        ("{ type: host, default: 1 }", "wrong-type 10:29 expected host, got int"),
    ] {
        let found = inputs(&format!("  x: {yaml}\n")).unwrap_err();
        assert!(found.len() == 1 && found[0].starts_with(wanted), "{wanted}\n{found:#?}");
    }
}

#[test]
fn a_host_is_one_of_the_inventory() {
    let inputs =
        inputs("  signer: { type: host, help: who signs }\n  other: { type: host, optional: true }\n")
            .unwrap();
    let hosts = ["master-1", "master-2", "web"];
    let check = |signer: &str| {
        let values: Map =
            [("signer".to_owned(), Value::from(signer)), ("other".to_owned(), Value::Null)].into();
        input::check_hosts(&inputs, &values, hosts)
    };
    assert!(check("master-2").is_ok());
    let fault = check("mastr-2").unwrap_err();
    assert_eq!(fault.cause, "there is no host `mastr-2` in the inventory");
    assert_eq!(fault.hints, ["did you mean `master-2`?"]);
    assert!(fault.to_string().contains("signer"), "{fault}");
    assert_eq!(check("zebra").unwrap_err().hints, ["who signs: the name of a host, as the inventory has it"]);
}

#[tokio::test(start_paused = true)]
async fn a_library_is_given_a_host_that_there_is() {
    let library = "keybook: 1\nlibrary: tell\ninputs: { to: { type: host } }\nsteps:\n  \
                   - { id: put, t.put: { path: \"/etc/${inputs.to}\", content: x } }\n";
    for (name, exit) in [("a", 0), ("c-3", 1)] {
        let bench = Bench::new(
            &format!(
                "steps:\n  - {{ id: s, hosts: manager, use: tell, with: {{ to: \"${{'{name}'}}\" }} }}\n"
            )
            .replace("'", "`"),
        );
        std::fs::create_dir_all(bench.dir.path().join("lib")).unwrap();
        std::fs::write(bench.dir.path().join("lib/tell.yaml"), library).unwrap();
        let outcome = bench.start().await;
        assert_eq!(outcome.exit, exit, "{}", outcome.reason);
        if exit == 1 {
            assert!(outcome.reason.contains("there is no host `c-3` in the inventory"), "{}", outcome.reason);
        }
    }
}
