//! What is wrong in a runbook is said at its place.

use crate::support::{actions, bench::HEAD};
use keybook_api::Diagnostic;
use keybook_core::model::load::{LoadError, load};
use keybook_script::{Limits, ScriptHost};

fn problems(files: &[(&str, &str)]) -> Vec<Diagnostic> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let script = ScriptHost::new(Limits::default(), &[]);
    let mut found = match load(dir.path(), "book/", &actions::registry(), &script) {
        Ok(loaded) => loaded.warnings,
        Err(LoadError::Invalid { problems, sources }) => {
            assert!(sources.contains_key("book/runbook.yaml"));
            problems
        }
        Err(LoadError::Fault(fault)) => panic!("{fault}"),
    };
    // The head has groups for all tests.
    found.retain(|problem| problem.code != "idle-group");
    found
}

/// `code line:column message` of every problem in steps that follow [`HEAD`] (9 lines with `steps:`).
fn told(steps: &str) -> Vec<String> {
    told_whole(&format!("{HEAD}steps:\n{steps}"))
}

fn told_whole(yaml: &str) -> Vec<String> {
    let show = |problem: &Diagnostic| {
        let help = problem.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
        assert_eq!(problem.span.file.as_ref(), "book/runbook.yaml");
        format!("{} {}:{} {}{help}", problem.code, problem.span.line, problem.span.column, problem.message)
    };
    problems(&[("runbook.yaml", yaml)]).iter().map(show).collect()
}

#[test]
fn a_whole_runbook_without_a_problem() {
    assert!(told("  - { id: s, hosts: master, t.note: { text: x } }\n").is_empty());
}

#[test]
fn unknown_keys_are_named_with_a_suggestion() {
    assert_eq!(
        told("  - id: s\n    hots: master\n    t.note: { text: x }\n"),
        ["unknown-key 11:5 a step has no key `hots` | did you mean `hosts`?"]
    );
    let yaml = "keybook: 1\nname: test\nversion: 1.0.0\ntitle: t\nstep: []\n";
    let found = told_whole(yaml);
    assert_eq!(found, ["unknown-key 5:1 a runbook has no key `step` | did you mean `steps`?"]);
}

#[test]
fn wrong_types_are_named_at_the_value() {
    assert_eq!(
        told("  - id: s\n    atomic: yes\n    timeout: 30\n    t.note: { text: x }\n"),
        [
            "wrong-type 12:14 expected a duration, this is a whole number | add the unit: 30s, 30m, 30h or 30ms",
            "wrong-type 11:13 expected true or false, this is a string | write true",
        ]
    );
    assert_eq!(
        told("  - id: s\n    t.put: { path: [a], content: x }\n"),
        ["wrong-type 11:20 the argument `path`: expected a path, got list"]
    );
    assert_eq!(
        told("  - id: s\n    t.note: x\n"),
        ["wrong-type 11:13 `t.note` must be a map, this is a string"]
    );
}

#[test]
fn actions_and_their_arguments_are_checked() {
    assert_eq!(
        told("  - id: s\n    t.nore: { text: x }\n"),
        ["unknown-action 11:5 there is no action `t.nore` | did you mean `t.note`?"]
    );
    assert_eq!(
        told("  - id: s\n    t.note: { texxt: x }\n"),
        ["unknown-argument 11:15 `t.note` has no argument `texxt` | did you mean `text`?"],
        "the argument that was meant is not missed as well"
    );
    assert_eq!(
        told("  - id: s\n    t.note: { text: x }\n    t.run: { script: x }\n"),
        ["two-actions 12:5 a step does exactly one thing | make two steps of it, or put both under `steps:`"]
    );
    assert_eq!(
        told("  - id: s\n    title: nothing\n"),
        [
            "missing-action 10:5 this step does nothing | give it an action such as `file.put:`, `steps:`, `script:` or `use:`"
        ]
    );
    let found = told_whole(
        "keybook: 1\nname: test\nversion: 1.0.0\ntitle: t\nrequires: { actions: [t, x509] }\nsteps:\n  - { id: s, t.note: { text: x } }\n",
    );
    assert_eq!(found, ["unknown-action 5:26 there are no `x509` actions"]);
}

#[test]
fn groups_and_phases_must_be_declared() {
    assert_eq!(
        told("  - id: s\n    hosts: [master, \"mannager[0]\"]\n    t.note: { text: x }\n"),
        ["unknown-group 11:21 no group `mannager` is declared under `hosts` | did you mean `manager`?"]
    );
    assert_eq!(
        told("  - id: s\n    hosts: \"master[x]\"\n    t.note: { text: x }\n"),
        ["hosts 11:12 `master[x]` is no host choice; write a group, group[0], group[1:] or group[:2]"]
    );
    assert_eq!(
        told("  - id: s\n    owes: { what: restart, on: masters }\n    t.note: { text: x }\n"),
        ["unknown-group 11:32 no group `masters` is declared under `hosts` | did you mean `master`?"]
    );
    let yaml = "keybook: 1\nname: test\nversion: 1.0.0\ntitle: t\nphases: [check]\nsteps:\n  - { id: s, phase: chek, t.note: { text: x } }\n";
    assert_eq!(told_whole(yaml), ["unknown-phase 7:21 no phase `chek` is declared | did you mean `check`?"]);
}

#[test]
fn ids_are_unique_among_siblings() {
    assert_eq!(
        told("  - { id: s, t.note: { text: x } }\n  - { id: s, t.note: { text: x } }\n"),
        ["duplicate-id 11:11 the id `s` is taken"]
    );
    assert!(told("  - { id: s, steps: [ { id: s, t.note: { text: x } } ] }\n").is_empty());
    assert_eq!(
        told("  - { id: Not An Id, t.note: { text: x } }\n")[0],
        "bad-name 10:11 `Not An Id` is no step id | use lower-case letters, digits, `-` and `_`, at most 64, beginning with a letter or digit; for example `not-an-id`"
    );
    assert_eq!(
        told("  - { hosts: master, steps: [ { t.note: { text: x } } ] }\n"),
        ["missing-key 10:5 this step has no `id` | only a step with an action may leave its id out"]
    );
}

#[test]
fn a_repeated_key_is_an_error() {
    let found = told("  - id: s\n    id: t\n    t.note: { text: x }\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("duplicate-key 11:5"), "{found:?}");
}

#[test]
fn expressions_are_placed_inside_quoted_and_block_text() {
    for (yaml, place, code) in [
        ("  - id: s\n    when: inputs.a && nothing\n    t.note: { text: x }\n", "11:23", "unknown-variable"),
        (
            "  - id: s\n    when: \"inputs.a && \\\"x\\\" == nothing\"\n    t.note: { text: x }\n",
            "11:33",
            "unknown-variable",
        ),
        (
            "  - id: s\n    when: >-\n      inputs.a\n      && nothing\n    t.note: { text: x }\n",
            "13:10",
            "unknown-variable",
        ),
        (
            "  - id: s\n    t.note:\n      text: |\n        one\n        two ${nothing} three\n",
            "14:15",
            "unknown-variable",
        ),
        ("  - id: s\n    t.note: { text: \"a\\tb ${nothing}\" }\n", "11:29", "unknown-variable"),
        ("  - id: s\n    t.note: { text: 'it''s ${nothing}' }\n", "11:30", "unknown-variable"),
        ("  - id: s\n    t.note: { text: \"${1 +}\" }\n", "11:27", "script-syntax"),
        ("  - id: s\n    check: nofunction(3)\n    t.note: { text: x }\n", "11:12", "unknown-function"),
        ("  - id: s\n    t.note: { text: \"${inputs.a\" }\n", "11:22", "template-syntax"),
    ] {
        let found = told(yaml);
        assert_eq!(found.len(), 1, "{yaml}: {found:?}");
        assert!(found[0].starts_with(&format!("{code} {place} ")), "{yaml}: {found:?}");
    }
}

#[test]
fn names_are_known_where_they_have_a_value_and_nowhere_else() {
    for (key, name, fine) in [
        ("when", "facts", false),
        ("check", "facts", true),
        ("check", "result", false),
        ("expect", "result", true),
        ("for_each", "facts", false),
        ("expect", "later", false),
    ] {
        let yaml = format!(
            "  - {{ id: s, {key}: {name} != 1, t.note: {{ text: x }} }}\n  - {{ id: t, t.note: {{ text: x }}, register: later }}\n"
        );
        assert_eq!(told(&yaml).is_empty(), fine, "{key} {name}: {:?}", told(&yaml));
    }
    let yaml =
        "  - { id: s, t.note: { text: x }, register: mine }\n  - { id: t, t.note: { text: \"${mine}\" } }\n";
    assert!(told(yaml).is_empty());
}

#[test]
fn registered_names_are_plain_and_new() {
    let step = |name: &str| format!("  - {{ id: {name}, t.note: {{ text: x }}, register: {name} }}\n");
    assert_eq!(told(&step("host")), ["register 10:48 the name `host` is taken"]);
    assert_eq!(told(&step("facts")), ["register 10:49 the name `facts` is taken"]);
    assert_eq!(
        told(&step("new-ca")),
        [
            "register 10:50 `new-ca` is no name for a result: lower-case letters, digits and `_`, and no word of Rhai's"
        ]
    );
    let twice =
        "  - { id: a, t.note: { text: x }, register: x }\n  - { id: b, t.note: { text: x }, register: x }\n";
    assert_eq!(told(twice), ["register 11:45 the name `x` is taken"]);
}

#[test]
fn steps_inside_a_step_with_hosts_have_none() {
    assert_eq!(
        told(
            "  - id: s\n    hosts: master\n    steps:\n      - { id: t, hosts: manager, t.note: { text: x } }\n"
        ),
        [
            "nested-hosts 13:25 a step inside a step with `hosts` has none of its own | move it out, or give `hosts` to the inner steps only"
        ]
    );
    assert!(
        told("  - id: s\n    steps:\n      - { id: t, hosts: manager, t.note: { text: x } }\n").is_empty()
    );
}

#[test]
fn keys_of_an_action_are_not_ignored_beside_steps() {
    for key in ["expect: \"true\"", "register: x", "retry: { times: 2 }", "timeout: 5s", "secret: true"] {
        let found =
            told(&format!("  - id: s\n    {key}\n    steps:\n      - {{ id: t, t.note: {{ text: x }} }}\n"));
        let name = key.split(':').next().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("with-steps 11:"), "{found:?}");
        assert!(found[0].contains(&format!("`{name}` does not go with `steps`")), "{found:?}");
    }
}

#[test]
fn facts_only_read_and_undo_is_one_action() {
    assert_eq!(
        told("  - id: s\n    facts: { x: { t.run: { script: x } } }\n    t.note: { text: x }\n"),
        ["fact-changes 11:19 `t.run` is not read-only, so it cannot be a fact"]
    );
    assert_eq!(
        told("  - id: s\n    undo: { t.note: { text: x }, t.run: { script: x } }\n    t.note: { text: x }\n"),
        ["one-action 11:11 `undo` is exactly one action with its arguments"]
    );
}

#[test]
fn batch_and_max_failures_go_with_parallel() {
    assert_eq!(
        told("  - id: s\n    hosts: master\n    batch: 2\n    t.note: { text: x }\n"),
        ["order 12:12 `batch` and `max_failures` go with `order: parallel`"]
    );
    assert!(
        told("  - { id: s, hosts: master, order: parallel, batch: 2, t.note: { text: x } }\n").is_empty()
    );
}

#[test]
fn another_language_version_is_refused_at_once() {
    assert_eq!(
        told_whole("keybook: 2\nnonsense: true\n"),
        ["language-version 1:10 this file is written in language version 2"]
    );
    let found = told_whole(
        "keybook: 1\nname: t\nversion: 1.0.0\ntitle: t\nrequires: { keybook: \">=99\" }\nsteps:\n  - { id: s, t.note: { text: x } }\n",
    );
    assert!(found[0].starts_with("requires 5:22 this runbook needs keybook >=99"), "{found:?}");
}

#[test]
fn problems_of_hooks_are_placed_in_their_file() {
    let yaml = format!("{HEAD}steps:\n  - {{ id: s, when: helps(1), t.note: {{ text: x }} }}\n");
    assert!(problems(&[("runbook.yaml", &yaml), ("hooks.rhai", "fn helps(x) {\n    x > 0\n}\n")]).is_empty());
    let found = problems(&[("runbook.yaml", &yaml), ("hooks.rhai", "fn helps(x) {\n    y > 0\n}\n")]);
    let hooks = found.iter().find(|problem| problem.span.file.as_ref() == "book/hooks.rhai").unwrap();
    assert_eq!((hooks.code, hooks.span.line, hooks.span.column), ("unknown-variable", 2, 5));
}

#[test]
fn a_secret_that_hooks_ask_for_and_the_runbook_does_not_have_is_found() {
    let yaml = format!(
        "{HEAD}inputs: {{ token: {{ type: secret }}, open: {{ type: string }} }}\nsteps:\n  - {{ id: s, t.note: {{ text: \"${{inputs.open}}\" }} }}\n"
    );
    let hooks = "fn f() { secret(\"tokem\"); secret(\"open\"); secret(\"token\"); }";
    let found = problems(&[("runbook.yaml", &yaml), ("hooks.rhai", hooks)]);
    let told: Vec<_> = found
        .iter()
        .map(|one| {
            (one.code, one.span.to_string(), one.message.as_str(), one.help.as_deref().unwrap_or_default())
        })
        .collect();
    let unknown = |at: &str, message, help| ("unknown-input", format!("book/hooks.rhai:{at}"), message, help);
    assert_eq!(
        told,
        [
            unknown("1:17", "the runbook has no secret input `tokem`", "did you mean `token`?"),
            unknown(
                "1:34",
                "the runbook has no secret input `open`",
                "the input is no secret: hooks have it as `run.inputs.open`"
            ),
        ]
    );
}

#[test]
fn a_folder_without_a_runbook_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let script = ScriptHost::new(Limits::default(), &[]);
    let Err(LoadError::Fault(fault)) = load(dir.path(), "nowhere", &actions::registry(), &script) else {
        panic!()
    };
    assert_eq!(fault.attempted, "read nowhere/runbook.yaml");
    let file = dir.path().join("runbook.yaml");
    std::fs::write(&file, "keybook: 1").unwrap();
    let Err(LoadError::Fault(fault)) = load(&file, "x", &actions::registry(), &script) else { panic!() };
    assert!(fault.hints[0].contains("by its folder"), "{fault:?}");
}

#[test]
fn the_digest_covers_runbook_and_hooks() {
    let digest = |hooks: Option<&str>| {
        let dir = tempfile::tempdir().unwrap();
        let yaml = format!("{HEAD}steps:\n  - {{ id: s, t.note: {{ text: x }} }}\n");
        std::fs::write(dir.path().join("runbook.yaml"), yaml).unwrap();
        if let Some(hooks) = hooks {
            std::fs::write(dir.path().join("hooks.rhai"), hooks).unwrap();
        }
        load(dir.path(), "b", &actions::registry(), &ScriptHost::new(Limits::default(), &[])).unwrap().digest
    };
    let all = [digest(None), digest(Some("fn a() { 1 }")), digest(Some("fn a() { 2 }"))];
    assert_eq!(digest(None), all[0]);
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
}

#[test]
fn what_cannot_be_taken_back_needs_a_gate() {
    let step = "  - id: s\n    irreversible: it is gone\n    t.note: { text: x }\n";
    assert_eq!(
        told(step),
        [
            "irreversible-without-gate 11:5 a step that cannot be taken back needs a `gate` | add `gate: { ask: … }` to this step, so that a person says yes to it"
        ]
    );
    assert!(told(&format!("{step}    gate: {{ ask: ok }}\n")).is_empty());
}

#[test]
fn a_gate_asks_something() {
    let step = |gate: &str| format!("  - id: s\n    gate: {gate}\n    t.note: {{ text: x }}\n");
    assert_eq!(
        told(&step("{ ask: \" \" }")),
        [
            "gate-without-question 11:18 the gate asks nothing | write what a person decides here, as a question"
        ]
    );
    assert_eq!(told(&step("{ show: [diff] }")), ["missing-key 11:13 `gate` needs `ask` | add `ask: …`"]);
}

/// What is demanded of a result is an expression, bare or with what is said when it is false.
#[test]
fn a_demand_of_another_shape_says_so() {
    for (demand, wanted) in [
        ("{ that: result == 1, else: \"it is ${result}\" }", ""),
        ("{ odd: 1 }", "wrong-type"),
        ("{ that: result == 1 }", "missing-key"),
        ("{ else: bad }", "missing-key"),
        ("{ that: result == 1, else: bad, more: 1 }", "unknown-key"),
        ("{ that: result == 1, else: \"${nothing}\" }", "unknown-variable"),
        ("{ that: 1, else: bad }", "wrong-value"),
    ] {
        for key in [format!("expect: {demand}"), format!("retry: {{ times: 2, until: {demand} }}")] {
            let told = told(&format!("  - {{ id: s, t.count: {{ path: /etc/n }}, {key} }}\n"));
            let codes: Vec<&str> = told.iter().filter_map(|line| line.split(' ').next()).collect();
            let expected: Vec<&str> = [wanted].into_iter().filter(|code| !code.is_empty()).collect();
            assert_eq!(codes, expected, "{key}: {told:#?}");
        }
    }
}

#[test]
fn what_has_no_way_back_says_so() {
    let lost = "no-way-back 11:5 `t.burn` cannot be taken back by itself, and nothing says how it is | add `undo: { … }`, or \
                `backup: […]` for the files that it changes, or `settles: …` when it pays what a step before it owes, or \
                `irreversible: why` and a gate; or `changes: false` when there is nothing to take back";
    let burn = |more: &str| format!("  - id: s\n    t.burn: {{ name: x }}\n{more}");
    assert_eq!(told(&burn("")), [lost]);
    for way in [
        "    undo: { t.note: { text: x } }\n",
        "    backup: /etc\n",
        "    irreversible: gone\n    gate: { ask: ok }\n",
        "    settles: bounce\n    owes: { what: bounce }\n",
    ] {
        assert!(told(&burn(way)).is_empty(), "{way}: {:?}", told(&burn(way)));
        let around = format!(
            "  - id: outer\n{way}    steps:\n      - id: middle\n        steps:\n          - {{ id: s, t.burn: {{ name: x }} }}\n"
        );
        assert!(told(&around).is_empty(), "{way}");
    }
    let changes = |value: &str| format!("  - {{ id: s, t.burn: {{ name: x, changes: {value} }} }}\n");
    assert!(told(&changes("false")).is_empty());
    assert_eq!(told(&changes("true")).len(), 1);
    assert_eq!(told(&changes("\"${1 == 2}\"")).len(), 1, "what is computed is not known");
    // A neighbour's way back is no way back.
    let two = "  - { id: a, backup: /etc, t.burn: { name: x } }\n  - { id: b, t.burn: { name: x } }\n";
    assert_eq!(told(two).len(), 1);
    let last = "  - { id: a, t.note: { text: x } }\nfinally:\n  - { id: b, t.burn: { name: x } }\n";
    assert!(told(last).is_empty(), "what `finally` does is not taken back");
}

#[test]
fn paths_that_can_be_seen_to_be_no_plain_ones_are_refused() {
    assert_eq!(
        told("  - id: s\n    t.put: { path: etc/f, content: x }\n"),
        ["wrong-type 11:20 the argument `path`: `etc/f` is not an absolute path"]
    );
    for (path, why) in [
        ("/etc/../f", "`/etc/../f` has `//`, `.` or `..` in it; write the plain path"),
        ("etc/${host.name}", "`etc/…` is not an absolute path"),
        ("${host.name}/", "`/…/` ends with a slash; name the directory without it"),
    ] {
        let found = told(&format!(
            "  - id: s\n    backup: \"{path}\"\n    t.put: {{ path: \"{path}\", content: x }}\n"
        ));
        assert_eq!(
            found,
            [format!("bad-path 11:13 {why}"), format!("wrong-type 12:20 the argument `path`: {why}")],
            "{path}"
        );
    }
    for path in ["/${host.name}", "${host.name}", "${host.name}/.${host.name}", "/etc/a..${host.name}"] {
        let steps =
            format!("  - id: s\n    backup: [\"{path}\"]\n    t.put: {{ path: \"{path}\", content: x }}\n");
        assert_eq!(told(&steps), Vec::<String>::new(), "{path}");
    }
    assert_eq!(
        told("  - id: s\n    backup: [5]\n    t.put: { path: /f, content: x }\n"),
        ["bad-path 11:14 expected a path, got int"]
    );
}

#[test]
fn steps_come_in_the_order_of_the_phases() {
    let whole = |steps: &str| {
        told_whole(&format!(
            "keybook: 1\nname: test\nversion: 1.0.0\ntitle: t\nphases: [check, change]\nsteps:\n{steps}"
        ))
    };
    let step = |id: &str, phase: &str| format!("  - {{ id: {id}, phase: {phase}, t.note: {{ text: x }} }}\n");
    let (check, change) = (step("a", "check"), step("b", "change"));
    assert_eq!(whole(&format!("{check}{change}")), Vec::<String>::new());
    assert_eq!(
        whole(&format!("{change}{check}{}", step("c", "change"))),
        [
            "phase-order 8:11 `a` is of the phase `check` and comes after the phase `change` | list `phases` in the order in which the steps reach them"
        ]
    );
    let inner = "  - id: outer\n    phase: change\n    steps:\n      - { id: in, phase: check, t.note: { text: x } }\n";
    assert_eq!(whole(inner).len(), 1);
    let last = format!("{change}finally:\n{check}");
    assert_eq!(whole(&last), Vec::<String>::new());
}

#[test]
fn a_question_shows_no_secret() {
    let whole = |ask: &str| {
        told_whole(&format!(
            "keybook: 1\nname: test\nversion: 1.0.0\ntitle: t\ninputs:\n  pw: {{ type: secret, optional: true }}\nsteps:\n  - id: s\n    gate: {{ ask: '{ask}' }}\n    t.note: {{ text: x }}\n"
        ))
    };
    assert_eq!(
        whole("Use ${inputs.pw}?"),
        [
            "secret-in-question 9:25 `inputs.pw` is a secret, which no question can show | ask about what is no secret, such as a name or a fingerprint"
        ]
    );
    assert_eq!(whole("${if inputs.pw == () { \"Without\" } else { \"With\" }}?"), Vec::<String>::new());
}
