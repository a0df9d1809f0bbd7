//! What is wrong in hooks.rhai is said at its place there, as far as it is written out.

use crate::support::{bench::HEAD, problems};

/// `code line:column+length message | help` of every problem of a hooks.rhai beside a runbook of one step, whose `requires` and
/// expression are given.
fn told_beside(requires: &str, text: &str, hooks: &str) -> Vec<String> {
    let yaml = format!("{HEAD}{requires}steps:\n  - {{ id: s, t.note: {{ text: \"{text}\" }} }}\n");
    problems::told(&[("runbook.yaml", &yaml), ("hooks.rhai", hooks)])
}

fn told(hooks: &str) -> Vec<String> {
    told_beside("", "x", hooks)
}

#[test]
fn calls_that_hooks_write_out_are_checked() {
    let missing = "unknown-action 1:28+8 there is no action `t.raed` | did you mean `t.read`?";
    assert_eq!(told("fn before_step(unit) { act(\"t.raed\", #{ path: \"/etc/f\" }); }"), [missing]);
    let misspelt = "unknown-argument 2:20+3 `t.read` has no argument `pth` | did you mean `path`?";
    assert_eq!(told("fn look(file) {\n  act(\"t.read\", #{ pth: file })\n}"), [misspelt]);
    assert_eq!(told("fn before_step(unit) { act(\"t.read@a\", #{ path: \"/etc/f\" }); }"), [""; 0]);
    assert_eq!(told("fn after_run(run, outcome) { act(run.id, #{}); }"), [""; 0], "known only while running");
}

#[test]
fn a_hook_calls_nothing_that_changes_something() {
    let help = "what changes something belongs in a step, where it has a gate, a backup and a way back";
    let refused =
        |at: &str| format!("hook-changes {at} `t.put` is not read-only, so a hook cannot call it | {help}");
    let put = |host: &str| format!("act(\"t.put{host}\", #{{ path: \"/etc/f\", content: \"x\" }});");
    assert_eq!(told(&format!("fn before_step(unit) {{ {} }}", put(""))), [refused("1:28+7")]);
    assert_eq!(told(&format!("fn before_step(unit) {{ {} }}", put("@a"))), [refused("1:28+9")]);
    let through = |caller: &str| {
        format!(
            "fn put() {{ {} }}\nfn {caller} {{ [1].map(|x| twice(x)); }}\nfn twice(x) {{ put(); }}",
            put("")
        )
    };
    assert_eq!(told(&through("on_failure(unit, fault)")), [refused("1:16+7")], "also through others");
    assert_eq!(told(&through("helper(unit)")), [""; 0], "what only scripts call may change something");
}

#[test]
fn a_function_that_is_nearly_a_hook_and_never_called_is_told() {
    let meant = "unknown-hook 1:4+8 nothing calls `after_rn`: it is no hook | did you mean `after_run`?";
    assert_eq!(told("fn after_rn(run, outcome) { note(\"x\"); }"), [meant]);
    let called = "fn after_rn(x) { 1 }\nfn other() { after_rn(2) }";
    assert_eq!(told(called), [""; 0]);
    assert_eq!(told_beside("", "${after_rn(1)}", "fn after_rn(x) { 1 }"), [""; 0]);
    assert_eq!(told("fn after_run(run, outcome) { note(\"x\"); }\nfn helper() { 1 }"), [""; 0]);
}

#[test]
fn what_a_host_and_the_run_do_not_have_is_told() {
    for (text, told) in [
        ("${host.nam}", "unknown-name 10:38+3 `host` has no `nam` | did you mean `name`?"),
        (
            "${host.port}",
            "unknown-name 10:38+4 `host` has no `port` | known here: `name`, `address`, `groups`",
        ),
        ("${run.stagin}", "unknown-name 10:37+6 `run` has no `stagin` | did you mean `staging`?"),
    ] {
        assert_eq!(told_beside("", text, ""), [told]);
    }
    for text in ["${host.name.len()} ${host.keys()} ${hosts.a.name}", "${run.id} ${run.sandbox}"] {
        assert_eq!(told_beside("", text, "fn f() { 1 }"), [""; 0], "{text}");
    }
}

#[test]
fn what_a_hook_is_not_given_is_told() {
    let unit = "unknown-name 1:34+3 `unit` has no `stp` | did you mean `step`?";
    assert_eq!(told("fn before_step(unit) { note(unit.stp); }"), [unit]);
    let called = "unknown-name 1:28+3 `u` has no `stp` | did you mean `step`?";
    assert_eq!(told("fn before_step(u) { note(u.stp); }"), [called], "whatever it is called");
    let run = "unknown-name 1:38+4 `unit.run` has no `nome` | known here: `id`, `runbook`, `cluster`, `sandbox`, `unattended`, `inputs`, `groups`";
    assert_eq!(told("fn before_step(unit) { note(unit.run.nome); }"), [run]);
    for hook in ["after_run(run, it)", "on_failure(unit, it)"] {
        let found = told(&format!("fn {hook} {{ note(`${{[1].map(|x| it.nothing)}}`); }}"));
        assert!(found.len() == 1 && found[0].contains("`it` has no `nothing`"), "{found:?}");
    }
    for own in [
        "fn mark() { this.seen = true; }\nfn before_step(unit) { unit.mark(); note(unit.seen); }",
        "fn before_step(unit) { let f = || { this.seen = true; }; unit.call(f); note(unit.seen); }",
        "fn before_step(unit) { if \"labels\" in unit { note(unit.labels); } }",
        "fn before_step(unit) { if unit.run.contains(\"labels\") { note(unit.run.labels); } }",
    ] {
        assert_eq!(told(own), [""; 0], "{own}");
    }
    let asked = "fn before_step(unit) { if unit.run.contains(\"labels\") { note(unit.labels); } }";
    assert_eq!(told(asked).len(), 1, "of another map");
    let counted = "fn after_run(outcome) { note(outcome.status); }";
    assert!(told(counted).len() == 1 && told(counted)[0].starts_with("hook-params"), "{:?}", told(counted));
    assert_eq!(told("fn on_waiting(a, b, c) { note(`${a.host} ${b.cluster}`); }").len(), 2);
}

#[test]
fn what_a_hook_may_have_is_not_told() {
    for fits in [
        "fn after_step(unit, result) { note(`${result.stdout} ${unit.run.inputs.a} ${unit.run.groups.b}`); }",
        "fn on_waiting(run, unit, question) { note(`${question.len} ${unit.keys()} ${unit[`stp`]}`); }",
        "fn before_step(unit) { let unit = #{ stp: 1 }; note(`${unit.stp}`); }",
        "fn before_step(unit) { unit.stp = 1; note(`${unit.stp}`); }",
        "fn before_step(unit) { note(`${[#{ stp: 1 }].map(|unit| unit.stp)}`); }",
        "fn before_step(unit) { note(`${of(unit)}`); } fn of(it) { it.stp }",
        "fn helper(unit) { unit.stp }",
    ] {
        assert_eq!(told(fits), [""; 0], "{fits}");
    }
}
