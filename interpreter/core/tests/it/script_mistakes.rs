//! What is wrong in a script is said at its place in runbook.yaml.

use crate::support::{bench::HEAD, problems::problems};
use keybook_api::Diagnostic;

/// `code line:column+length message | label | help` of every problem of a step with these keys, which begin at line 11.
fn told(keys: &str, hooks: &str) -> Vec<String> {
    let yaml = format!("{HEAD}steps:\n  - id: s\n{keys}");
    let mut files = vec![("runbook.yaml", yaml.as_str())];
    files.extend((!hooks.is_empty()).then_some(("hooks.rhai", hooks)));
    let problems = problems(&files);
    let show = |problem: &Diagnostic| {
        let span = &problem.span;
        let more: Vec<String> = [problem.label.as_str(), problem.help.as_deref().unwrap_or_default()]
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| format!(" | {text}"))
            .collect();
        let Diagnostic { code, message, .. } = problem;
        format!("{code} {}:{}+{} {message}{}", span.line, span.column, span.length, more.concat())
    };
    problems.iter().map(show).collect()
}

/// The same of a script, whose first line is line 12, column 7.
fn of(script: &str) -> Vec<String> {
    let lines: String = script.lines().map(|line| format!("      {line}\n")).collect();
    told(&format!("    script: |\n{lines}"), "")
}

#[test]
fn a_script_is_one_of_the_things_that_a_step_does() {
    assert_eq!(of("act(\"t.note\", #{ text: `on ${host.name}: ${inputs}` })"), [""; 0]);
    assert_eq!(
        told("    t.note: { text: x }\n    script: note(\"x\")\n", ""),
        [
            "two-actions 11:5+6 a step does exactly one thing | make two steps of it, or put both under `steps:`"
        ]
    );
    assert_eq!(
        told("    script: note(\"x\")\n    steps: [ { t.note: { text: x } } ]\n", ""),
        [
            "two-actions 11:13+9 a step does exactly one thing | make two steps of it, or put both under `steps:`"
        ]
    );
    assert_eq!(
        told("    script: \"\"\n", ""),
        ["empty 11:13+2 the script does nothing | call an action: act(\"family.verb\", #{ … })"]
    );
    assert!(told("    script: [x]\n", "")[0].starts_with("wrong-type 11:13"));
}

#[test]
fn a_script_is_not_tried_again_as_a_whole() {
    assert_eq!(
        told("    retry: { times: 2 }\n    script: note(\"x\")\n", ""),
        [
            "retry-with-script 11:12+12 `retry` does not go with `script` | what the script did before it failed would be done again | repeat what may be repeated inside the script, in a loop with `try`"
        ]
    );
}

#[test]
fn variables_and_functions_are_known_or_named() {
    let found = of("let a = 1;\nnothing + a");
    assert!(
        found[0].starts_with(
            "unknown-variable 13:7+7 there is no variable `nothing` here | known here: `inputs`"
        )
    );
    assert_eq!(
        of("let a = 1;\nnoet(a);"),
        ["unknown-function 13:7+4 there is no function `noet` | did you mean `note`?"]
    );
    assert_eq!(of("inputs.banner"), ["unknown-name 12:14+6 there is no input `banner`"]);
    assert_eq!(of("let facts = #{ a: 1 };\nfacts.a"), [""; 0], "a variable of its own");
    assert_eq!(of("facts.a"), ["unknown-name 12:13+1 there is no fact of this step `a`"]);
    assert!(of("import \"x\" as x;")[0].starts_with("script-syntax 12:7"));
    // A function of hooks.rhai that calls actions may be used; its variables are checked there.
    assert_eq!(
        told("    script: look(\"/etc/f\")\n", "fn look(path) { act(\"t.read\", #{ path: path }) }"),
        [""; 0]
    );
}

#[test]
fn calls_that_are_written_out_are_checked_like_actions() {
    assert_eq!(
        of("let x = 1;\nact(\"t.nore\", #{ text: x });"),
        ["unknown-action 13:11+8 there is no action `t.nore` | did you mean `t.note`?"]
    );
    assert_eq!(
        of("act(\"t.put\", #{ path: \"etc\", mode: 420, content: 1 + 1, conten: 2 })"),
        [
            "wrong-type 12:23+4 the argument `path`: `etc` is not an absolute path",
            "wrong-type 12:36+4 the argument `mode`: expected octal permission bits in quotes, such as \"0644\", got int",
            "unknown-argument 12:63+6 `t.put` has no argument `conten` | did you mean `content`?"
        ]
    );
    assert_eq!(
        of("if true { act(\"t.put\", #{ path: `/etc/${host.name}` }) }"),
        ["missing-argument 12:21+7 `t.put` needs the argument `content`"]
    );
    assert_eq!(of("act(\"t.note\")"), ["missing-argument 12:11+8 `t.note` needs the argument `text`"]);
    // What is computed is known only while running.
    assert_eq!(
        of("let name = \"t.nore\";\nlet args = #{};\nact(name, args);\nact(\"t.put\", args)"),
        [""; 0]
    );
    // Every problem in one go, in the order of their places.
    assert_eq!(
        of("act(\"t.a\");\nnone(1);\nact(\"t.b\");").iter().map(|told| &told[..22]).collect::<Vec<_>>(),
        ["unknown-action 12:11+5", "unknown-function 13:7+", "unknown-action 14:11+5"]
    );
}

#[test]
fn on_another_host_a_script_only_reads() {
    assert_eq!(of("act(\"t.read@b\", #{ path: \"/etc/f\" })"), [""; 0]);
    assert_eq!(
        of("act(\"t.run@b\", #{ script: \"x\" })"),
        [
            "act-elsewhere 12:11+9 `t.run` does not only read, so it cannot be called on another host | a step of its own, with `hosts`, has a gate, a backup and a way back there"
        ]
    );
}

#[test]
fn a_call_that_cannot_be_taken_back_needs_a_word_of_the_step() {
    let script = "    script: \"act(\\\"t.burn\\\", #{ name: \\\"x\\\" })\"\n";
    let found = told(script, "");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("no-way-back 11:18+8 `t.burn` cannot be taken back by itself"), "{found:?}");
    assert_eq!(told(&format!("    backup: /etc\n{script}"), ""), [""; 0]);
    assert_eq!(of("act(\"t.burn\", #{ name: \"x\", changes: false })"), [""; 0]);
}
