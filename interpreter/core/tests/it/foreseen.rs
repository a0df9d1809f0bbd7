//! Values that an expression is bound to have are compared with what is expected before a run.

use crate::support::{bench::HEAD, problems};

const INPUTS: &str = "inputs:
  n: { type: int, default: 3 }
  b: { type: bool, default: true }
  s: { type: string, default: x }
  e: { type: enum, values: [one, two], default: one }
  l: { type: list, default: [x] }
";

/// What is wrong in a step with this, at line 16; warnings apart.
fn told(step: &str) -> Vec<String> {
    let yaml = format!("{HEAD}{INPUTS}steps:\n  - {{ id: s, hosts: master, {step} }}\n");
    let found = problems::told(&[("runbook.yaml", &yaml)]);
    found.into_iter().filter(|line| !line.starts_with("unused-input")).collect()
}

#[test]
fn a_condition_that_is_never_true_or_false_is_told() {
    for (written, got, column, length) in [
        ("when: 5", "int", 35, 1),
        ("when: inputs.n", "int", 35, 8),
        ("check: '\"yes\"'", "string", 37, 5),
        ("expect: inputs.s", "string", 37, 8),
        ("expect: [ \"true\", inputs.l ]", "list", 47, 8),
        ("retry: { times: 2, until: '#{}' }", "map", 56, 3),
    ] {
        let expected = format!("wrong-value 16:{column}+{length} expected true or false, got {got} | ");
        assert_eq!(told(&format!("{written}, t.note: {{ text: x }}")), [expected], "{written}");
    }
    for fits in ["when: inputs.b", "when: \"1 < 2\"", "check: inputs.n > 1", "when: 'inputs[`b`]'"] {
        assert_eq!(told(&format!("{fits}, t.note: {{ text: x }}")), [""; 0], "{fits}");
    }
}

#[test]
fn a_loop_over_what_is_no_list_is_told() {
    let of = |list: &str| told(&format!("for_each: {list}, t.note: {{ text: x }}"));
    assert_eq!(of("inputs.s"), ["wrong-value 16:39+8 expected a list, got string | "]);
    assert_eq!(of("inputs.l"), [""; 0]);
    assert_eq!(of("'[1, 2]'"), [""; 0]);
}

#[test]
fn a_word_that_an_input_never_is_is_told() {
    let of = |when: &str| told(&format!("when: '{when}', t.note: {{ text: x }}"));
    assert_eq!(
        of("inputs.e == \"tow\""),
        ["wrong-value 16:48+5 `inputs.e` is never `tow` | did you mean `two`?"]
    );
    assert_eq!(
        of("!(inputs.b && \"three\" != inputs.e)"),
        ["wrong-value 16:50+7 `inputs.e` is never `three` | it is one of `one`, `two`"]
    );
    assert_eq!(
        of("inputs.n == \"3\""),
        ["wrong-value 16:48+3 `inputs.n` cannot be compared with a string: it is of the type int | "]
    );
    for fits in [
        "inputs.e == \"two\"",
        "inputs.s == \"three\"",
        "inputs.e != inputs.s",
        "inputs.n == 3",
        "host.e == ()",
    ] {
        assert!(!of(fits).iter().any(|line| line.starts_with("wrong-value")), "{fits}");
    }
    assert_eq!(
        told("t.note: { text: \"${inputs.e == `three`}\" }").len(),
        1,
        "templates have expressions as well"
    );
}

#[test]
fn an_input_of_another_type_than_the_argument_is_told() {
    assert_eq!(
        told("t.run: { script: \"${inputs.n}\" }"),
        ["wrong-value 16:46+13 the argument `script`: expected a string, got int | "]
    );
    assert_eq!(told("t.run: { script: \"${inputs.e}\" }"), [""; 0]);
    assert_eq!(told("t.run: { script: \"n: ${inputs.n}\" }"), [""; 0], "as text");
}

#[test]
fn what_is_read_too_early_is_told_apart_from_what_is_not_there() {
    let steps = "  - { id: a, hosts: master, when: seen.x, t.note: { text: x } }
  - { id: b, hosts: master, facts: { f: { t.read: { path: /etc/f } } }, when: facts.f, t.note: { text: \"${result}\" } }
  - { id: c, hosts: master, t.note: { text: x }, register: seen }
";
    let told = problems::told(&[("runbook.yaml", &format!("{HEAD}steps:\n{steps}"))]);
    assert_eq!(
        told,
        [
            "unknown-variable 10:35+4 there is no variable `seen` here | a step registers `seen`, but not before this place",
            "unknown-variable 11:79+5 there is no variable `facts` here | a step's facts are asked for after its `when` and `for_each`: read them from `check` on, or register the result of a step before",
            "unknown-variable 11:107+6 there is no variable `result` here | only `expect`, `until` and `undo` read a step's own `result`; give it a name by `register` for the steps after it",
        ]
    );
}
