//! What is wrong in a scenario is told at its place.

use super::*;

const HEAD: &str = "keybook: 1\nscenario: s\ncluster: c\nhosts: { h1: { address: 10.0.0.1 }, h2: {} }\n\
    groups: { master: [h1, h2], none: [] }\ncertificates:\n  ca: { ca: true, subject: { CN: ca } }\n\
    \x20 leaf: { issuer: ca, subject: { CN: x }, key: ecdsa-p256 }\n";

/// Expects these problems (`code message`), each at the place of a `«` in the text, in the order of the marks.
#[track_caller]
fn wrong_text(marked: &str, expected: &[&str]) {
    let (mut places, mut line, mut column) = (Vec::new(), 1, 1);
    for letter in marked.chars() {
        match letter {
            '«' => places.push((line, column)),
            '\n' => (line, column) = (line + 1, 1),
            _ => column += 1,
        }
    }
    let text = marked.replace('«', "");
    let mut found = Scenario::load("s.yaml", &text).err().unwrap_or_default();
    found.sort_by_key(|problem| (problem.span.line, problem.span.column));
    let found: Vec<_> = found
        .iter()
        .map(|problem| {
            ((problem.span.line, problem.span.column), format!("{} {}", problem.code, problem.message))
        })
        .collect();
    let expected: Vec<_> = places.into_iter().zip(expected.iter().map(|text| (*text).to_owned())).collect();
    assert_eq!(found, expected, "\n{text}");
}

#[track_caller]
fn wrong(part: &str, expected: &[&str]) {
    wrong_text(&format!("{HEAD}{part}"), expected);
}

#[test]
fn a_good_scenario_gives_its_inventory() {
    let scenario = load(WORLD);
    let names = [&scenario.name, &scenario.title, &scenario.cluster];
    assert_eq!(names, ["small", "Two hosts", "sandbox"]);
    assert_eq!(scenario.hosts["h1"].address, "10.0.0.1");
    assert_eq!(scenario.hosts["h1"].user, None, "reaching keys are ignored");
    assert_eq!(scenario.groups["all"], ["h1", "h2"]);
    assert_eq!(scenario.inputs["settle"].as_str(), Some("1s"));
    assert_eq!(scenario.inputs["count"].as_int(), Some(3));
    assert_eq!(scenario.tools, ["etcdctl"]);
    assert_eq!(scenario.warnings, []);
    wrong("", &[]);
}

#[test]
fn keys_are_strict_everywhere() {
    wrong_text(
        "«keybook: «2\nscenario: «S 1\nhosts: { h1: { «adress: x } }\n«file: []\n",
        &[
            "missing-key a scenario needs `cluster`",
            "language-version this file is written in language version 2",
            "bad-name `S 1` is no name of a scenario",
            "unknown-key a host has no key `adress`",
            "unknown-key a scenario has no key `file`",
        ],
    );
    wrong(
        "files:\n  - { hosts: master, path: /a, text: x, «mod: \"1\" }\n",
        &["unknown-key a file has no key `mod`"],
    );
    wrong(
        "daemons:\n  - { hosts: h1, name: d, while: /x, «prt: 1 }\n",
        &["unknown-key a daemon has no key `prt`"],
    );
    wrong("commands:\n  - { match: x, «anser: '1' }\n", &["unknown-key a command has no key `anser`"]);
    wrong(
        "commands:\n  - { «match: x, «reply: '1' }\n",
        &["missing-key a command needs `answer`", "unknown-key a command has no key `reply`"],
    );
    wrong(
        "faults:\n  - { hosts: h1, command: x, kind: «fial }\n",
        &["unknown-word `fial` is no kind of fault here"],
    );
}

#[test]
fn hosts_groups_and_choices() {
    wrong_text(
        "keybook: 1\nscenario: s\ncluster: c\nhosts: { a: {}, «.b: {}, «local: {}, c: { address: «a } }\n\
         groups: { g: [a, «x, «a] }\n",
        &[
            "bad-name `.b` cannot be the name of a sandbox host",
            "bad-name `local` cannot be the name of a sandbox host",
            "duplicate-address `a` has the same address",
            "unknown-host there is no host `x`",
            "duplicate-host `a` stands twice in the group",
        ],
    );
    let choice = |hosts: &str| format!("files:\n  - {{ hosts: {hosts}, path: /a, text: x }}\n");
    wrong(&choice("[master, h1, \"master[0]\", \"master[:1]\"]"), &[]);
    wrong(&choice("«mastr"), &["unknown-host there is no group or host `mastr`"]);
    wrong(&choice("«none"), &["no-hosts `none` chooses no host"]);
    wrong(&choice("[h1, \"«master[7]\"]"), &["no-hosts `master[7]` chooses no host"]);
    wrong(
        &choice("\"«master[x]\""),
        &[
            "unknown-host `master[x]` is no host choice; write a host, a group, group[0], group[1:] or group[:2]",
        ],
    );
}

#[test]
fn certificates_are_checked() {
    for (inside, problem) in [
        ("/subject: { CN: x }", "missing-key a certificate needs `issuer`"),
        ("issuer: «co, subject: { CN: x }", "unknown-certificate there is no certificate `co`"),
        ("issuer: «leaf, subject: { CN: x }", "unknown-certificate `leaf` is no CA"),
        ("ca: true, issuer: «ca, subject: { CN: x }", "not-here a CA is self-signed and has no `issuer`"),
        ("ca: true, subject: { CN: x }, key: «rsa-1024", "unknown-word `rsa-1024` is no kind of key"),
        (
            "ca: true, subject: { CN: x }, valid: { from: 1d, to: «-1d }",
            "bad-date it would end before it begins",
        ),
        (
            "ca: true, subject: { CN: x }, valid: { from: «soon, to: 1d }",
            "bad-date `soon` is no time from now",
        ),
        (
            "issuer: ca, subject: { CN: x }, sans: [«IP:1.2]",
            "bad-san `IP:1.2` is not a subject alternative name",
        ),
        (
            "issuer: ca, subject: { CN: x }, usages: [«serve]",
            "bad-usage `serve` is not a usage of a certificate",
        ),
        (
            "issuer: ca, subject: { CN: x }, sans: [\"${«grops}\"]",
            "unknown-variable there is no variable `grops` here",
        ),
        ("issuer: ca, subject: { CN: x }, path_len: «1", "not-here only a CA has a `path_len`"),
    ] {
        // A map begins at its brace.
        let text = match inside.strip_prefix('/') {
            Some(inside) => format!("  bad: «{{ {inside} }}\n"),
            None => format!("  bad: {{ {inside} }}\n"),
        };
        wrong(&text, &[problem]);
    }
}

#[test]
fn files_are_exactly_one_thing() {
    wrong(
        "files:\n  - «{ hosts: h1, path: /a, text: x, link: z }\n",
        &["one-content a file is exactly one thing"],
    );
    wrong(
        "files:\n  - «{ hosts: h1, path: /a, mode: \"0600\" }\n",
        &["one-content a file is exactly one thing"],
    );
    for (inside, problem) in [
        ("path: /a, certificate: «c", "unknown-certificate there is no certificate `c`"),
        ("path: /a, key: leaf, form: «pkcs1", "wrong-form a key of the kind ECDSA-P256 has no form pkcs1"),
        ("path: /a, text: x, form: «pkcs1", "not-here only a `key` has a form"),
        ("path: /a, text: x, mode: «\"0999\"", "bad-mode `0999` is no file mode"),
        ("path: /a, text: x, owner: «root", "bad-owner `root` is no owner"),
        ("path: /a, directory: «false", "not-here `directory: false` makes nothing"),
        (
            "path: «/a/../b, text: x",
            "bad-path `/a/../b` is not an absolute path without `.`, `..` and doubled slashes",
        ),
        ("path: /a, text: \"a ${host.name +«} b\"", "script-syntax the expression is incomplete"),
    ] {
        wrong(&format!("files:\n  - {{ hosts: h1, {inside} }}\n"), &[problem]);
    }
}

#[test]
fn daemons_and_answers_are_checked() {
    for (inside, problem) in [
        ("certificate: «/c", "missing-key a `certificate` needs its `key`"),
        ("key: «/k, port: 1", "missing-key a `key` needs its `certificate`"),
        ("client_ca: «/c", "missing-key `client_ca` needs `certificate` and `key`"),
        ("certificate: «/c, key: /k", "missing-key a server needs a `port`"),
        ("port: «0", "out-of-range 0 is out of range; write 1 to 65535"),
    ] {
        wrong(&format!("daemons:\n  - {{ hosts: h1, name: d, while: /x, {inside} }}\n"), &[problem]);
    }
    wrong(
        "daemons:\n  - { hosts: h1, name: a, while: /x, port: 1 }\n  - { hosts: master, name: b, while: /y, port: «1 }\n",
        &["duplicate-daemon `a` on the same host has this port already"],
    );
    // At its own line and column inside the block of Rhai.
    wrong(
        "commands:\n  - match: x\n    answer: |\n      let a = 1;\n      a + «no_such(a)\n",
        &["unknown-function there is no function `no_such`"],
    );
    wrong(
        "commands:\n  - match: x\n    answer: |\n      «daemon(\"a\", \"b\", 1)\n",
        &["wrong-arguments `daemon` takes 1 or 2 arguments, 3 given"],
    );
    wrong(
        "faults:\n  - «{ hosts: h1, command: x, path: /y, kind: fail }\n",
        &["one-content a fault is of a `command` or of a file (`path`)"],
    );
    wrong(
        "faults:\n  - { hosts: h1, command: x, kind: «disk-full }\n",
        &["unknown-word `disk-full` is no kind of fault here"],
    );
}

#[test]
fn one_scenario_extends_another() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    file(
        "base.yaml",
        "keybook: 1\nscenario: base\ncluster: c\nhosts: { a: {}, b: {} }\ngroups: { g: [a, b] }\ntools: [x]\n",
    );
    let own = "keybook: 1\nscenario: own\nextends: base.yaml\nhosts: { a: {} }\ngroups: { g: [a] }\n";
    let path = file("own.yaml", own);
    let scenario = Scenario::load(&path, own).unwrap();
    assert_eq!((scenario.name.as_str(), scenario.cluster.as_str(), scenario.tools.len()), ("own", "c", 1));
    assert_eq!(scenario.hosts.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(scenario.sources.len(), 2);

    // A problem in the base stands there: its group has a host that the new hosts lack.
    let own = "keybook: 1\nscenario: own\nextends: base.yaml\nhosts: { a: {} }\n";
    let path = file("own.yaml", own);
    let engine = keybook_script::ScriptHost::new(keybook_script::Limits::default(), &[]);
    let invalid = Scenario::open(std::path::Path::new(&path), "scenarios/own.yaml", &engine).unwrap_err();
    assert_eq!(invalid.problems[0].span.to_string(), "scenarios/base.yaml:5:18");
    assert!(invalid.sources.contains_key("scenarios/base.yaml"));

    for (extends, message) in [
        ("../x.yaml", "`extends` names a file in the same folder"),
        ("none.yaml", "none.yaml"),
        ("own.yaml", "that scenario extends another; only one step is allowed"),
    ] {
        let text = format!("keybook: 1\nscenario: own\nextends: {extends}\n");
        let problems = Scenario::load(&path, &text).unwrap_err();
        assert_eq!((problems[0].span.line, problems[0].span.column), (3, 10));
        assert!(problems[0].message.ends_with(message), "{problems:?}");
    }
}
