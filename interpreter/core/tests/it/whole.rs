//! What can be said only of a whole runbook; and a whole run that was killed while `finally` could not do its work.

use crate::support::{Bench, actions, bench::HEAD, problems::problems};
use keybook_api::Event;
use keybook_core::model::{
    load::{LoadError, load},
    schema::{File, schema},
};
use keybook_script::{Limits, ScriptHost};
use std::sync::Arc;

fn told(steps: &str) -> Vec<String> {
    let found = problems(&[("runbook.yaml", &format!("{HEAD}steps:\n{steps}"))]);
    let show = |problem: &keybook_api::Diagnostic| {
        let help = problem.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
        format!("{} {}:{} {}{help}", problem.code, problem.span.line, problem.span.column, problem.message)
    };
    found.iter().map(show).collect()
}

#[test]
fn what_is_owed_is_settled_later_and_on_the_same_hosts() {
    let owing = |owes: &str, settle: &str| {
        format!(
            "  - {{ id: a, hosts: [master, manager], t.note: {{ text: x }}, owes: {owes} }}\n  - {{ id: b, {settle}, t.note: {{ text: x }} }}\n"
        )
    };
    let fine = owing("{ what: restart }", "hosts: [manager, master], settles: restart");
    assert!(told(&fine).is_empty(), "{:?}", told(&fine));
    assert!(told(&owing("{ what: restart, on: master }", "hosts: master, settles: restart")).is_empty());
    assert_eq!(
        told(&owing("{ what: restart }", "hosts: master, settles: restrat")),
        [
            "never-settled 10:75 no step settles `restart` | did you mean `restrat`?",
            "nothing-owed 11:38 no step owes `restrat` | did you mean `restart`?",
        ]
    );
    assert_eq!(
        told(&owing("{ what: restart }", "hosts: master, settles: restart")),
        [
            "settled-elsewhere 10:75 no step settles `restart` on the hosts of `manager` | give the settling step these hosts as well, or say `on: GROUP` here"
        ]
    );
    let early = "  - { id: b, hosts: master, settles: restart, t.note: { text: x } }\n  - { id: a, hosts: master, owes: { what: restart }, t.note: { text: x } }\n";
    assert_eq!(
        told(early),
        [
            "settled-too-early 11:43 `restart` is settled before this step owes it | move the step that settles it behind this one"
        ]
    );
}

#[test]
fn names_that_only_a_run_would_miss_are_told_before() {
    let cases = [
        ("t.note: { text: \"${inputs.nope}\" }", "unknown-name 10:55 there is no input `nope`"),
        (
            "t.note: { text: \"${groups.mastre}\" }",
            "unknown-name 10:55 there is no group `mastre` | did you mean `master`?",
        ),
        (
            "facts: { leaf: { t.read: { path: /f } } }, t.note: { text: \"${facts.lef}\" }",
            "unknown-name 10:97 there is no fact of this step `lef` | did you mean `leaf`?",
        ),
        (
            "t.note: { text: \"${by_host.gone.len()}\" }",
            "unknown-name 10:56 there is no registered result `gone`",
        ),
    ];
    for (step, wanted) in cases {
        assert_eq!(told(&format!("  - {{ id: a, hosts: master, {step} }}\n")), [wanted]);
    }
    assert!(
        told("  - { id: a, hosts: master, t.note: { text: \"${inputs.keys().len()} ${groups.len()}\" } }\n")
            .is_empty()
    );
}

/// `finally` fails as long as the new file is there. The rollback restores all the same, and then it works.
#[tokio::test(start_paused = true)]
async fn a_rollback_after_a_kill_restores_although_finally_fails_with_the_new_files() {
    let bench = Bench::new(
        "steps:
  - { id: work, hosts: \"master[0]\", t.put: { path: /etc/f, content: new } }
finally:
  - { id: tidy, hosts: \"master[0]\", t.read: { path: /etc/f }, expect: \"result == `old`\" }
",
    );
    bench.world.put("a", "/etc/f", "old");
    assert_eq!(bench.start().await.exit, 1);
    let text = std::fs::read_to_string(bench.journal()).unwrap();
    let end =
        text.find("\"unit.done\"").and_then(|at| text[at..].find('\n').map(|line| at + line + 1)).unwrap();
    let killed = bench.after(&text.as_bytes()[..end], Arc::clone(&bench.world));
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "new");
    let outcome = killed.roll_back().await;
    assert_eq!(outcome.exit, 5, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "old");
}

#[test]
fn schemas_name_exactly_the_registered_actions_and_arguments() {
    let registry = actions::registry();
    for file in [File::Runbook, File::Library] {
        let schema = schema(file, &registry);
        let defs = schema["$defs"].as_object().unwrap();
        let mut named: Vec<&str> =
            defs.keys().map(String::as_str).filter(|name| name.contains('.')).collect();
        let mut registered: Vec<&str> = registry.names().collect();
        named.sort_unstable();
        registered.sort_unstable();
        assert_eq!(named, registered);
        for action in registry.iter() {
            let spec = action.spec();
            let keys: Vec<&String> = defs[spec.name]["properties"].as_object().unwrap().keys().collect();
            assert_eq!(keys, spec.args.iter().map(|arg| arg.name).collect::<Vec<_>>(), "{}", spec.name);
            let step = schema["$defs"]["step"]["properties"].as_object().unwrap();
            assert!(step.contains_key(spec.name) && defs["call"]["properties"].get(spec.name).is_some());
        }
    }
}

/// Every key of a step that the schema has is a key that the decoder knows.
#[test]
fn the_schema_has_no_key_that_the_language_lacks() {
    let schema = schema(File::Runbook, &actions::registry());
    for key in schema["$defs"]["step"]["properties"].as_object().unwrap().keys() {
        let found = told(&format!("  - {{ id: a, hosts: master, {key}: [] }}\n"));
        assert!(!found.iter().any(|line| line.starts_with("unknown-key")), "{key}: {found:?}");
    }
    for key in schema["properties"].as_object().unwrap().keys() {
        let yaml = format!(
            "keybook: 1\nname: a\nversion: 1.0.0\ntitle: t\nsteps:\n  - {{ id: a, t.note: {{ text: x }} }}\n{key}: []\n"
        );
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("runbook.yaml"), yaml).unwrap();
        let script = ScriptHost::new(Limits::default(), &[]);
        if let Err(LoadError::Invalid { problems, .. }) = load(dir.path(), "b", &actions::registry(), &script)
        {
            assert!(!problems.iter().any(|problem| problem.code == "unknown-key"), "{key}: {problems:?}");
        }
    }
}

/// What the connector tells of its hosts: when the run begins, and when nothing more is to come.
#[tokio::test(start_paused = true)]
async fn what_the_hosts_tell_as_a_whole_is_noted() {
    let bench = Bench::new(
        "steps:\n  - { id: f, hosts: \"master[0]\", t.put: { path: /etc/f, content: new }, expect: inputs.fine }\n",
    );
    let notes = |bench: &Bench| -> Vec<String> {
        let text = |event| match event {
            Event::RunNote { text } => text,
            other => panic!("{other:?}"),
        };
        bench.events("run.note").into_iter().map(text).collect()
    };
    let mut bench = Bench { inputs: keybook_api::value::map([("fine", false.into())]), ..bench };
    bench.world.notes.lock().unwrap().push("told");
    assert_eq!(bench.start().await.exit, 1);
    assert_eq!(notes(&bench), ["told at the start"], "it rests: more may come");
    bench.inputs = keybook_api::value::map([("fine", true.into())]);
    assert_eq!(bench.resume().await.exit, 0);
    assert_eq!(notes(&bench), ["told at the start", "told at the end"]);
    assert_eq!(bench.roll_back().await.exit, 5);
    assert_eq!(notes(&bench).len(), 3);
    assert_eq!(crate::support::bench::name(bench.records().last().unwrap()), "run.ended");
}
