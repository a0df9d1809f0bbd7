//! Step libraries: `use:` in a runbook, lib/NAME.yaml beside it.

use crate::support::{Bench, actions};
use keybook_core::model::load::{LoadError, load};
use keybook_script::{Limits, ScriptHost};

const MARK: &str = "keybook: 1
library: mark
inputs:
  text: { type: string, help: what is written }
  again: { type: int, default: 2 }
steps:
  - { id: put, t.put: { path: \"/etc/${inputs.text}\", content: \"n${inputs.again}\" } }
  - { id: read, t.read: { path: \"/etc/${inputs.text}\" }, register: written }
  - { id: check, t.read: { path: \"/etc/${inputs.text}\" }, expect: result == written }
";

fn with_libraries(bench: &Bench, libraries: &[(&str, &str)]) {
    std::fs::create_dir_all(bench.dir.path().join("lib")).unwrap();
    for (name, text) in libraries {
        std::fs::write(bench.dir.path().join(format!("lib/{name}.yaml")), text).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_library_runs_with_what_it_is_given_in_each_place() {
    let bench = Bench::new(
        "steps:
  - { id: one, hosts: master, use: mark, with: { text: \"one-${host.name}\" } }
  - { id: many, hosts: manager, for_each: '[\"x\", \"y\"]', use: mark, with: { text: \"many-${item}\", again: 3 } }
",
    );
    with_libraries(&bench, &[("mark", MARK)]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/one-a").unwrap(), "n2");
    assert_eq!(bench.world.text("m", "/etc/many-x").unwrap(), "n3");
    assert_eq!(bench.world.text("m", "/etc/many-y").unwrap(), "n3");
    assert!(bench.ends().iter().any(|end| end.contains("many/put@m#y")), "{:?}", bench.ends());
}

#[tokio::test(start_paused = true)]
async fn libraries_in_libraries_and_loops_in_loops_see_their_own_items() {
    let outer = "keybook: 1
library: outer
inputs: { names: { type: list } }
steps:
  - { id: each, for_each: inputs.names, use: mark, with: { text: \"${item}-${inputs.names.len()}\" } }
";
    let bench = Bench::new(
        "steps:
  - { id: all, hosts: manager, for_each: '[\"p\", \"q\"]', use: outer, with: { names: [\"is-${item}\", b] } }
",
    );
    with_libraries(&bench, &[("mark", MARK), ("outer", outer)]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    for name in ["is-p-2", "is-q-2", "b-2"] {
        assert_eq!(bench.world.text("m", &format!("/etc/{name}")).unwrap(), "n2", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_library_that_gets_a_wrong_value_fails_where_it_is_used() {
    let bench = Bench::new(
        "steps:
  - { id: one, hosts: manager, use: mark, with: { text: x, again: \"${host.name}\" } }
",
    );
    with_libraries(&bench, &[("mark", MARK)]);
    let outcome = bench.start().await;
    assert_eq!(outcome.exit, 1, "{}", outcome.reason);
    assert!(outcome.reason.contains("expected int, got string"), "{}", outcome.reason);
    assert!(bench.world.text("m", "/etc/x").is_none());
}

fn problems(steps: &str, libraries: &[(&str, &str)]) -> Vec<String> {
    let bench = Bench::new("");
    with_libraries(&bench, libraries);
    std::fs::write(bench.dir.path().join("runbook.yaml"), format!("{}steps:\n{steps}", bench.yaml)).unwrap();
    let script = ScriptHost::new(Limits::default(), &[]);
    let found = match load(bench.dir.path(), "book", &actions::registry(), &script) {
        Ok(loaded) => loaded.warnings,
        Err(LoadError::Invalid { problems, .. }) => problems,
        Err(LoadError::Fault(fault)) => panic!("{fault}"),
    };
    found
        .iter()
        .filter(|problem| problem.code != "idle-group") // the head has groups for all tests
        .map(|problem| {
            let help = problem.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
            format!("{} {} {}{help}", problem.code, problem.span, problem.message)
        })
        .collect()
}

#[test]
fn wrong_uses_are_told_at_their_place() {
    let mark = ("mark", MARK);
    let cases: &[(&str, &[&str])] = &[
        (
            "  - { id: s, hosts: master, use: marc }\n",
            &["unknown-library book/runbook.yaml:10:34 there is no library `marc` | did you mean `mark`?"],
        ),
        (
            "  - { id: s, hosts: master, t.note: { text: x } }\n",
            &["unused-library book/lib/mark.yaml:2:10 no step uses the library `mark`"],
        ),
        (
            "  - { id: s, hosts: master, use: mark, with: { texd: x, again: [] } }\n",
            &[
                "unknown-argument book/runbook.yaml:10:48 the library `mark` has no input `texd` | did you mean `text`?",
                "wrong-type book/runbook.yaml:10:64 the input `again`: expected int, got list",
            ],
        ),
        (
            "  - { id: s, hosts: master, use: mark, with: { text: a }, t.note: { text: x } }\n",
            &[
                "two-actions book/runbook.yaml:10:59 a step does exactly one thing | make two steps of it, or put both under `steps:`",
            ],
        ),
        (
            "  - { id: s, hosts: master, t.note: { text: x }, with: { text: a } }\n",
            &[
                "with-without-use book/runbook.yaml:10:50 `with` goes with `use` | the arguments of an action stand under its name",
            ],
        ),
        (
            "  - { id: s, hosts: master, use: mark, with: { text: a } }\n  - { id: t, hosts: master, t.note: { text: \"${written}\" } }\n",
            &["unknown-variable book/runbook.yaml:11:48 there is no variable `written`"],
        ),
    ];
    for (steps, wanted) in cases {
        let found = problems(steps, &[mark]);
        for line in *wanted {
            assert!(found.iter().any(|found| found.starts_with(line)), "{line}\n{steps}{found:#?}");
        }
    }
}

#[test]
fn mistakes_inside_a_library_are_told_once_at_their_place_in_it() {
    let bad = MARK.replace("inputs.again", "inputs.agian");
    let steps = "  - { id: s, hosts: master, use: mark, with: { text: a } }\n  - { id: t, hosts: master, use: mark, with: { text: b } }\n";
    let found = problems(steps, &[("mark", &bad)]);
    assert_eq!(
        found,
        ["unknown-name book/lib/mark.yaml:7:74 there is no input `agian` | did you mean `again`?"]
    );

    let cycle = "keybook: 1\nlibrary: mark\nsteps:\n  - { id: s, use: mark }\n";
    let found = problems("  - { id: s, hosts: master, use: mark }\n", &[("mark", cycle)]);
    assert!(
        found[0].starts_with("library-cycle book/lib/mark.yaml:4:19 the library `mark` uses itself"),
        "{found:?}"
    );

    let named = MARK.replace("library: mark", "library: other");
    let found = problems("  - { id: s, hosts: master, use: mark, with: { text: a } }\n", &[("mark", &named)]);
    assert!(
        found[0].starts_with("library-name book/lib/mark.yaml:2:10 this file is the library `mark`"),
        "{found:?}"
    );

    let unused = MARK.replace("n${inputs.again}", "x");
    let found =
        problems("  - { id: s, hosts: master, use: mark, with: { text: a } }\n", &[("mark", &unused)]);
    assert_eq!(found, ["unused-input book/lib/mark.yaml:5:3 nothing reads the input `again`"]);
}

/// What is given to a library is compared with what it asks for, as far as its type is known.
#[test]
fn what_a_library_is_given_has_the_type_that_it_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("lib")).unwrap();
    std::fs::write(dir.path().join("lib/mark.yaml"), MARK).unwrap();
    let script = ScriptHost::new(Limits::default(), &[]);
    let said = |with: &str| {
        let head = "keybook: 1\nname: test\nversion: 1.0.0\ntitle: t\ninputs:\n  word: { type: enum, values: [a] }\n  \
                    number: { type: int }\n  pw: { type: secret, optional: true }\n";
        let note = "  - { id: n, t.note: { text: \"${inputs.word}${inputs.number}\" } }\n";
        let text = format!("{head}steps:\n  - {{ id: one, use: mark, with: {with} }}\n{note}");
        std::fs::write(dir.path().join("runbook.yaml"), text).unwrap();
        match load(dir.path(), "book", &actions::registry(), &script) {
            Ok(_) => String::new(),
            Err(LoadError::Invalid { problems, .. }) => problems[0].message.clone(),
            Err(LoadError::Fault(fault)) => panic!("{fault}"),
        }
    };
    for (with, wanted) in [
        ("{ text: \"${inputs.word}\", again: \"${inputs.number}\" }", ""),
        ("{ text: \"${inputs.number}!\", again: \"${inputs.number + 1}\" }", ""),
        ("{ text: \"${inputs.number}\" }", "the input `text`: expected string, got int"),
        ("{ text: \"${inputs.pw}\" }", "the input `text`: expected string, got secret"),
        ("{ text: x, again: \"${inputs.word}\" }", "the input `again`: expected int, got string"),
        ("{ text: x, again: \"1${inputs.number}\" }", "the input `again`: expected int, got string"),
    ] {
        assert_eq!(said(with), wanted, "{with}");
    }
}
