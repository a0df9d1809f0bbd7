//! Keys that a result does not have are told before a run, and nothing that it may have.

use crate::support::{actions, bench::HEAD, problems};
use keybook_core::model::load::load_copy;
use keybook_script::{Limits, ScriptHost};

/// `code place message | help` of every problem of these steps, which begin at line 10. Other files by their names.
fn told_with(steps: &str, files: &[(&str, &str)]) -> Vec<String> {
    let yaml = format!("{HEAD}steps:\n{steps}");
    problems::told(&[&[("runbook.yaml", yaml.as_str())], files].concat())
}

fn told(steps: &str) -> Vec<String> {
    told_with(steps, &[])
}

/// A step that registers `seen`, and one that shows this at line 11.
fn after(registering: &str, shown: &str) -> Vec<String> {
    told(&format!(
        "  - {{ id: look, hosts: master, register: seen, {registering} }}\n  - {{ id: s, t.note: {{ text: \"{shown}\" }} }}\n"
    ))
}

#[test]
fn a_key_that_the_result_does_not_have_is_told() {
    let keys = |more: &str| told(&format!("  - {{ id: s, t.shaped: {{}}, {more} }}\n"));
    let at = |column: u32, length: u32, rest: &str| {
        [format!("unknown-name 10:{column}+{length} `result.leaf` has no {rest}")]
    };
    let days = "`daysleft` | did you mean `days_left`?";
    assert_eq!(keys("expect: result.leaf.daysleft > 5"), at(48, 8, days));
    assert_eq!(keys("expect: [ \"result.leaf.daysleft > 5\" ]"), at(51, 8, days));
    assert_eq!(keys("retry: { times: 2, until: \"result.leaf.daysleft > 5\" }"), at(67, 8, days));
    assert_eq!(keys("undo: { t.note: { text: \"${result.leaf.daysleft}\" } }"), at(67, 8, days));
    assert_eq!(keys("expect: result?.leaf?.daysleft > 5"), at(50, 8, days), "null is no such key either");
    assert_eq!(
        keys("expect: result.leaf.x.y == 1"),
        at(48, 1, "`x` | known here: `subject`, `days_left`"),
        "once, at the first"
    );
    assert_eq!(
        keys("expect: result.lef.subject == `x`"),
        ["unknown-name 10:43+3 `result` has no `lef` | did you mean `leaf`?"]
    );
}

/// The copy of a run that an earlier version began.
#[test]
fn a_copy_with_such_a_mistake_can_be_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let write = |step: &str| {
        std::fs::write(dir.path().join("runbook.yaml"), format!("{HEAD}steps:\n{step}")).unwrap()
    };
    let read = || {
        let script = ScriptHost::new(Limits::default(), &[]);
        load_copy(dir.path(), "book", &actions::registry(), &script).map(|loaded| loaded.warnings.len())
    };
    write("  - { id: s, t.shaped: {}, expect: result.leaf.daysleft > 5 }\n");
    assert!(matches!(read(), Ok(1)));
    write("  - { id: s, t.shaped: {}, expect: leaf.days_left > 5 }\n");
    assert!(read().is_err(), "what could not be compiled is no runbook");
}

#[test]
fn what_a_result_may_have_is_not_told() {
    for fits in [
        "!(`extra` in result) || result.extra == 1",
        "result.contains(`extra`) && result.extra == 1",
        "!(`extra` in result.leaf) || result.leaf.extra == 1",
        "result.leaf.days_left > 5",
        "result.leaf.subject.len > 5",
        "result.chain.len > 0",
        "result.chain[0].x == 1",
        "result.json.a.b == 1",
        "result.keys().len() == 1",
        "result[`leef`] == 1",
        "[1].all(|result| result.leef == 1)",
    ] {
        let step = format!("  - {{ id: s, t.shaped: {{}}, expect: \"{fits}\" }}\n");
        assert_eq!(told(&step), [""; 0], "{fits}");
    }
    let list = "  - { id: s, t.shaped: { all: true }, expect: \"result.leef == 1\" }\n";
    assert_eq!(told(list), [""; 0], "it is a list then");
    let script = "  - { id: s, script: \"#{ a: 1 }\", expect: \"result.leef == 1\" }\n";
    assert_eq!(told(script), [""; 0], "nobody knows what a script gives");
}

#[test]
fn facts_are_looked_at() {
    let fact = |call: &str, more: &str| {
        told(&format!(
            "  - {{ id: s, facts: {{ seen: {{ t.shaped: {call} }} }}, t.note: {{ text: x }}, {more} }}\n"
        ))
    };
    let misspelt = "`facts.seen.leaf` has no `subjct` | did you mean `subject`?";
    assert_eq!(
        fact("{}", "check: facts.seen.leaf.subjct == 1"),
        [format!("unknown-name 10:93+6 {misspelt}")]
    );
    assert_eq!(
        fact("{}", "gate: { ask: \"Is it ${facts.seen.leaf.subjct}?\" }"),
        [format!("unknown-name 10:108+6 {misspelt}")]
    );
    assert_eq!(fact("{ all: true }", "check: facts.seen.leaf.subjct == 1"), [""; 0]);
    assert_eq!(fact("{}", "check: facts.seen.leaf.subject == 1"), [""; 0]);
}

#[test]
fn registered_results_are_looked_at() {
    let misspelt = ["unknown-name 11:43+6 `seen.leaf` has no `subjct` | did you mean `subject`?"];
    assert_eq!(after("t.shaped: {}", "${seen.leaf.subjct}"), misspelt);
    assert_eq!(after("t.shaped: {}", "${seen.leaf.subject} ${by_host.seen[`a`].leef}"), [""; 0]);
    assert_eq!(after("script: \"1\"", "${seen.leaf.subjct}"), [""; 0]);
    assert_eq!(
        after("t.read: { path: /f }", "${seen.leaf.subjct}"),
        [""; 0],
        "the action says nothing of it"
    );
    assert_eq!(after("for_each: \"[1]\", t.shaped: {}", "${seen.leef}"), [""; 0], "a map by items");
    let around = "  - id: all\n    for_each: \"[1]\"\n    steps:\n      - { id: look, register: seen, t.shaped: {} }\n  - { id: s, t.note: { text: \"${seen.leef}\" } }\n";
    assert_eq!(told(around), [""; 0], "also when the loop is around it");
}

#[test]
fn scripts_read_results_and_may_have_names_of_their_own() {
    let script = |text: &str| {
        told(&format!(
            "  - {{ id: look, register: seen, t.shaped: {{}} }}\n  - id: s\n    script: |\n      {text}\n"
        ))
    };
    assert_eq!(
        script("note(seen.leaf.subjct)"),
        ["unknown-name 13:22+6 `seen.leaf` has no `subjct` | did you mean `subject`?"]
    );
    for own in [
        "let seen = #{ lef: 1 }; note(`${seen.lef}`)",
        "seen.lef = 1; note(`${seen.lef}`)",
        "seen = #{ lef: 1 }; note(`${seen.lef}`)",
        "seen.mixin(#{ lef: 1 }); note(`${seen.lef}`)",
        "seen.leaf.set(`lef`, 1); note(`${seen.leaf.lef}`)",
        "mixin(seen, #{ lef: 1 }); note(`${seen.lef}`)",
        "for seen in [#{ lef: 1 }] { note(`${seen.lef}`) }",
        "let all = [#{ lef: 1 }].map(|seen| seen.lef); note(`${all}`)",
        "let all = [1].map(|x| { let seen = #{ lef: x }; seen.lef }); note(`${all}`)",
        "fn of(seen) { seen.lef } note(`${of(#{ lef: 1 })}`)",
    ] {
        assert_eq!(script(own), [""; 0], "{own}");
    }
    assert_eq!(
        script("note(`${[1].map(|x| seen.lef + x)}`)").len(),
        1,
        "what a closure takes from around it"
    );
}

#[test]
fn libraries_and_translations_are_looked_at() {
    let library = "keybook: 1\nlibrary: look\nsteps:\n  - { id: a, register: seen, t.shaped: {} }\n  - { id: b, t.note: { text: \"${seen.lef}\" } }\n";
    let files = [("lib/look.yaml", library)];
    let used = |more: &str| told_with(&format!("  - {{ id: u, use: look{more} }}\n"), &files);
    assert_eq!(used(""), ["unknown-name 5:38+3 `seen` has no `lef` | did you mean `leaf`?"]);
    assert_eq!(used(", for_each: \"[1]\""), [""; 0]);
    let steps = "  - { id: look, register: seen, t.shaped: {} }\n  - { id: s, gate: { ask: \"Do ${seen.leaf.subject}?\" }, t.note: { text: x } }\n";
    let german = "keybook: 1\nlang: de\ntitle: T\nsteps: { s: { ask: \"${seen.leaf.subjct} ${seen.leaf.subject}?\" } }\n";
    assert_eq!(
        told_with(steps, &[("i18n/de.yaml", german)]),
        ["unknown-name 4:33+6 `seen.leaf` has no `subjct` | did you mean `subject`?"]
    );
}

#[test]
fn keys_right_behind_a_call_are_looked_at() {
    let stray = "`act(\"t.shaped\")` has no `lef` | did you mean `leaf`?";
    let script = |text: &str| told(&format!("  - {{ id: s, script: '{text}' }}\n"));
    assert_eq!(script("let x = act(\"t.shaped\").lef;"), [format!("unknown-name 10:47+3 {stray}")]);
    assert_eq!(script("act(\"t.shaped\", #{}).leaf.subject == `x`"), [""; 0]);
    assert_eq!(script("act(\"t.shaped\", #{ all: true }).lef"), [""; 0], "it is a list then");
    assert_eq!(script("let args = #{}; act(\"t.shaped\", args).lef"), [""; 0], "nobody knows the arguments");
    let hooks = "fn before_run(run) {\n  if act(\"t.shaped\").leaf.day_left < 5 { print(`x`); }\n}\n";
    assert_eq!(
        told_with("  - { id: s, t.note: { text: x } }\n", &[("hooks.rhai", hooks)]),
        ["unknown-name 2:27+8 `act(\"t.shaped\").leaf` has no `day_left` | did you mean `days_left`?"]
    );
}
