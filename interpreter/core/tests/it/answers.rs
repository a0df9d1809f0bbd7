//! Answers given beforehand, compared with the runbook: what could never count is said before the run.

use crate::support::{actions, bench::HEAD};
use keybook_core::model::{Answers, load::load};
use keybook_script::{Limits, ScriptHost};
use keybook_source::Problems;

const STEPS: &str = r#"
  - { id: plain, hosts: master, gate: { ask: "?" }, t.put: { path: /p, content: x } }
  - { id: each, hosts: master, gate: { ask: "?" }, for_each: '["a#1", "b"]', t.put: { path: "/${item}", content: x } }
  - { id: later, hosts: master, gate: { ask: "?" }, for_each: groups.master, t.put: { path: "/${item}", content: x } }
  - id: outer
    hosts: master
    for_each: '["o"]'
    steps:
      - { id: inner, gate: { ask: "?" }, for_each: 'item + "x"', t.put: { path: "/${item}", content: x } }
      - { id: single, gate: { ask: "?" }, t.put: { path: /q, content: x } }
"#;

/// `code column message | help` of what is said of one answer.
fn said(unit: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("runbook.yaml"), format!("{HEAD}steps:{STEPS}")).unwrap();
    let script = ScriptHost::new(Limits::default(), &[]);
    let loaded = load(dir.path(), "book", &actions::registry(), &script).unwrap();
    let text = format!("keybook: 1\nanswers:\n  {unit}: run\n");
    let mut problems = Problems::default();
    let answers = Answers::decode(&keybook_source::parse("answers", &text).unwrap(), &mut problems).unwrap();
    let found = answers.review(&loaded.runbook, &loaded.script);
    let help = |help: &Option<String>| help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
    found
        .iter()
        .map(|one| format!("{} {} {}{}", one.code, one.span.column, one.message, help(&one.help)))
        .collect()
}

#[test]
fn answers_that_can_count_are_accepted() {
    for unit in [
        "plain@a",
        "plain@*",
        "each@a#b",
        "\"each@a#a%231\"",
        "each@*",
        "later@a#whatever",
        "outer/inner@a#o#z",
        "outer/single@a#o",
        "outer/single@*",
        "rollback: run\n  plain@b",
    ] {
        assert_eq!(said(unit), Vec::<String>::new(), "{unit}");
    }
}

#[test]
fn an_answer_for_a_unit_in_a_loop_names_its_item() {
    assert_eq!(
        said("each@a"),
        [
            "unit 3 `each` is asked about for each item, and this names none | write each@a#ITEM, or each@* for all"
        ]
    );
    assert_eq!(
        said("outer/single@a"),
        [
            "unit 3 `outer/single` is asked about for each item, and this names none | write outer/single@a#ITEM, or outer/single@* for all"
        ]
    );
    assert_eq!(
        said("outer/inner@a#o"),
        [
            "unit 3 `outer/inner` has 2 loops around it, so it has as many items | write outer/inner@a#ITEM#ITEM, the outermost first"
        ]
    );
    assert_eq!(said("plain@a#b"), ["unit 3 `plain` is in no loop, so it has no items | write plain@a"]);
    assert_eq!(
        said("each@*#b"),
        ["unit 3 a wildcard stands for every host and every item | write each@*, or name the host"]
    );
}

#[test]
fn an_item_that_a_loop_can_never_have_is_named() {
    assert_eq!(
        said("each@a#bb"),
        ["unknown-item 10 the loop of `each` has no item `bb` | did you mean `b`?"]
    );
    assert_eq!(
        said("outer/single@a#p"),
        ["unknown-item 18 the loop of `outer/single` has no item `p` | there are: o"]
    );
}
