//! The reference pages of the book are made from the code. With `UPDATE_BOOK=1` they are written, otherwise compared.
#![allow(clippy::unwrap_used, clippy::panic)]

use keybook_api::{
    ActionSpec, ArgKind, Effect, WayBack,
    event::RunStatus,
    returns::{Holds, Keys},
};
use keybook_core::run::{
    machine::{RUN_TABLE, UNIT_TABLE},
    stop::exit_code,
};
use keybook_script::Limits;
use keybook_tests::book::check;
use std::fmt::Write;

/// `FoundNotDone` → `found not done`.
fn words(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push(' ');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

fn table<A: std::fmt::Debug, B: std::fmt::Debug>(rows: &[(A, B, A)]) -> String {
    let mut text = String::from("| from | what happens | to |\n|---|---|---|\n");
    for (from, signal, to) in rows {
        let [from, signal, to] =
            [format!("{from:?}"), format!("{signal:?}"), format!("{to:?}")].map(|name| words(&name));
        writeln!(text, "| {from} | {signal} | {to} |").unwrap();
    }
    text
}

#[test]
fn states() {
    let mut text = String::from(
        "# States of units and runs\n\nMade from the tables in `interpreter/core/src/run/machine.rs`, which the program obeys: what is not in a \
         table cannot happen, and a journal in which it happened is refused.\n\n## A unit\n\n",
    );
    text.push_str(&table(UNIT_TABLE));
    text.push_str("\n## A run\n\n");
    text.push_str(&table(RUN_TABLE));
    check("states.md", &text);
}

#[test]
fn exit_codes() {
    let statuses = [
        (RunStatus::Done, "the run is done"),
        (RunStatus::PhaseReached, "the phase of `--until` is reached"),
        (RunStatus::Failed, "a unit failed; the run rests"),
        (RunStatus::Waiting, "a person must answer; the run rests"),
        (RunStatus::Unreachable, "a host could not be reached; the run rests"),
        (RunStatus::RolledBack, "everything was taken back and verified"),
        (RunStatus::RollbackIncomplete, "not everything could be taken back"),
        (RunStatus::Stopped, "the operator stopped the run (the first Ctrl-C too); it rests"),
        (RunStatus::Unknown, "nobody knows whether a unit's effect happened; the run rests"),
    ];
    let mut rows: Vec<(i32, String)> =
        statuses.iter().map(|(status, text)| (exit_code(*status), (*text).to_owned())).collect();
    rows.push((
        2,
        "the command line, runbook, inputs or inventory are wrong; nothing was touched".to_owned(),
    ));
    rows.push((7, "another run holds the cluster, or another process this run".to_owned()));
    rows.push((
        1,
        "`plan`: the run would stop before its end; `history`, `verify`: a journal is damaged, or was rewritten; \
         `trust`: an edge is broken; `certs`: something could not be read, or no certificate was found"
            .to_owned(),
    ));
    rows.push((9, "`trust`: no edge is broken, and of some nobody can tell".to_owned()));
    rows.push((10, "`certs`: a certificate ends within the time of `--within`".to_owned()));
    rows.push((130, "second Ctrl-C: the program ended at once".to_owned()));
    rows.push((143, "SIGTERM: the program ended at once".to_owned()));
    rows.push((
        129,
        "SIGHUP before a run was under way, or the second one: the program ended at once".to_owned(),
    ));
    rows.sort();
    let mut text = String::from(
        "# Exit codes\n\nA contract: they do not change their meaning. Where several hold, the first of 9, 6, 4, 1 is given.\n\n| code | meaning |\n|---|---|\n",
    );
    for (code, meaning) in rows {
        writeln!(text, "| {code} | {meaning} |").unwrap();
    }
    check("exit-codes.md", &text);
}

fn kind(kind: ArgKind) -> String {
    match kind {
        ArgKind::Enum(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        other => words(&format!("{other:?}")).replace("texts", "list of texts"),
    }
}

/// How it is taken back, for what changes hosts.
fn way_back(spec: &ActionSpec) -> String {
    if spec.effect != Effect::Changes {
        return String::new();
    }
    match spec.way_back {
        WayBack::Undo => " Way back: an undo of its own.".to_owned(),
        WayBack::Files => " Way back: its files are kept and restored.".to_owned(),
        WayBack::Nothing => " Way back: nothing lasting is left to take back.".to_owned(),
        WayBack::None => " Way back: none of its own; the step needs one.".to_owned(),
        WayBack::NoneIf(arg) => {
            format!(" Way back: none of its own; the step needs one, unless `{arg}: false`.")
        }
    }
}

/// The keys of an action's result.
fn result(spec: &ActionSpec, text: &mut String) {
    let Holds::Map(keys) = spec.returns.holds else { return };
    text.push_str("Result");
    if let Some(argument) = spec.returns.list_with {
        write!(text, " (with `{argument}` a list of such)").unwrap();
    }
    match (keys.shared, keys.own.is_empty()) {
        (Some((name, _)), true) => write!(text, ": the keys of {name}.\n\n").unwrap(),
        (Some((name, _)), false) => write!(text, ": the keys of {name}, and\n\n").unwrap(),
        (None, _) => text.push_str(":\n\n"),
    }
    if !keys.own.is_empty() {
        text.push_str("| key | meaning |\n|---|---|\n");
        rows(&keys, "", text);
        text.push('\n');
    }
}

/// The rows of the keys that are described here, those inside a map or a list behind it.
fn rows(keys: &Keys, before: &str, text: &mut String) {
    for key in keys.own {
        let (inside, each, whose) = match key.holds {
            Holds::Map(keys) => (Some(keys), ".", " With the keys of"),
            Holds::List(keys) => (Some(keys), "[n].", " Each with the keys of"),
            Holds::Plain | Holds::Anything => (None, "", ""),
        };
        let shared = inside.and_then(|keys| keys.shared).map(|(name, _)| format!("{whose} {name}."));
        let doc = key.doc.replace('|', "\\|");
        writeln!(text, "| `{before}{}` | {doc}{} |", key.name, shared.unwrap_or_default()).unwrap();
        if let Some(keys) = inside {
            rows(&keys, &format!("{before}{}{each}", key.name), text);
        }
    }
}

#[test]
fn actions() {
    let mut text = String::from("# Actions\n\nMade from the actions' own descriptions in `stdlib`.\n");
    for action in keybook_stdlib::registry().iter() {
        let spec = action.spec();
        let effect = match spec.effect {
            Effect::Reads => "Reads only; usable as a fact.",
            Effect::Changes => "Changes hosts.",
            Effect::Run => "Changes only what the run knows or shows.",
            Effect::Tells => "Tells people outside; usable in hooks.",
        };
        let (summary, doc, back) = (spec.summary, spec.doc.trim(), way_back(spec));
        write!(text, "\n## {}\n\n{summary} {effect}{back}\n\n{doc}\n\n", spec.name).unwrap();
        if !spec.args.is_empty() {
            text.push_str("| argument | kind | default | meaning |\n|---|---|---|---|\n");
            for arg in spec.args {
                let default = match (arg.required, arg.default) {
                    (true, _) => "required".to_owned(),
                    (false, "") => String::new(),
                    (false, default) => format!("`{default}`"),
                };
                let doc = arg.doc.replace('|', "\\|");
                writeln!(text, "| `{}` | {} | {default} | {doc} |", arg.name, kind(arg.kind)).unwrap();
            }
            text.push('\n');
        }
        result(spec, &mut text);
        write!(text, "```yaml\n{}\n```\n", spec.example.trim_end()).unwrap();
    }
    check("actions.md", &text);
}

#[test]
fn functions() {
    let host = keybook_stdlib::script_host(Limits::default());
    let mut text = String::from(
        "# Functions in expressions\n\nCallable as `f(a, b)` and as `a.f(b)` in every expression, hook and script; a function of the same name in hooks.rhai wins there. Each example is true. Besides these, Rhai's own functions for numbers, texts, lists and maps.\n",
    );
    for function in host.functions().into_iter().filter(|function| !function.built_in) {
        let (name, params, doc) = (&function.name, function.params.join(", "), &function.doc);
        write!(text, "\n## {name}({params})\n\n{doc}\n\n").unwrap();
        write!(text, "Result: {}\n\n```rhai\n{}\n```\n", function.returns, function.example).unwrap();
    }
    check("functions.md", &text);
}
