//! What is wrong in a scenario is told at its place.

use super::*;

/// Problems as `line:column code message`.
fn problems(text: &str) -> Vec<String> {
    let show =
        |p: keybook_api::Diagnostic| format!("{}:{} {} {}", p.span.line, p.span.column, p.code, p.message);
    match Scenario::load("s.yaml", text) {
        Ok(_) => Vec::new(),
        Err(found) => found.into_iter().map(show).collect(),
    }
}

const HEAD: &str = "keybook: 1\nscenario: s\ncluster: c\nhosts: { h1: { address: 10.0.0.1 }, h2: {} }\n\
    groups: { master: [h1, h2], none: [] }\ncertificates:\n  ca: { ca: true, subject: { CN: ca } }\n\
    \x20 leaf: { issuer: ca, subject: { CN: x }, key: ecdsa-p256 }\n";

#[track_caller]
fn wrong(part: &str, expected: &[&str]) {
    let text = format!("{HEAD}{part}");
    assert_eq!(problems(&text), expected, "\n{text}");
}

#[test]
fn a_good_scenario_gives_its_inventory() {
    let scenario = load(WORLD);
    assert_eq!(
        (scenario.name.as_str(), scenario.title.as_str(), scenario.cluster.as_str()),
        ("small", "Two hosts", "sandbox")
    );
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
    assert_eq!(
        problems("keybook: 2\nscenario: S 1\nhosts: { h1: { adress: x } }\nfile: []\n"),
        [
            "1:1 missing-key a scenario needs `cluster`",
            "4:1 unknown-key a scenario has no key `file`",
            "1:10 language-version this program reads version 1",
            "2:11 bad-name `S 1` is no name of a scenario",
            "3:16 unknown-key a host has no key `adress`",
        ]
    );
    wrong(
        "files:\n  - { hosts: master, path: /a, text: x, mod: \"1\" }\n",
        &["10:41 unknown-key a file has no key `mod`"],
    );
    wrong(
        "daemons:\n  - { hosts: h1, name: d, while: /x, prt: 1 }\n",
        &["10:39 unknown-key a daemon has no key `prt`"],
    );
    wrong(
        "commands:\n  - { match: x, anser: '1' }\n",
        &["10:5 missing-key a command needs `answer`", "10:17 unknown-key a command has no key `anser`"],
    );
    wrong(
        "faults:\n  - { hosts: h1, command: x, kind: fial }\n",
        &["10:36 unknown-word `fial` is no kind of fault here"],
    );
}

#[test]
fn hosts_groups_and_choices() {
    assert_eq!(
        problems(
            "keybook: 1\nscenario: s\ncluster: c\nhosts: { a: {}, .b: {}, local: {}, c: { address: a } }\ngroups: { g: [a, x, a] }\n"
        ),
        [
            "4:17 bad-name `.b` cannot be the name of a sandbox host",
            "4:25 bad-name `local` cannot be the name of a sandbox host",
            "4:39 duplicate-address `a` has the same address",
            "5:18 unknown-host there is no host `x`",
            "5:21 duplicate-host `a` stands twice in the group",
        ]
    );
    let choice = |hosts: &str| format!("files:\n  - {{ hosts: {hosts}, path: /a, text: x }}\n");
    wrong(&choice("[master, h1, \"master[0]\", \"master[:1]\"]"), &[]);
    wrong(&choice("mastr"), &["10:14 unknown-host there is no group or host `mastr`"]);
    wrong(&choice("none"), &["10:14 no-hosts `none` chooses no host"]);
    wrong(&choice("[h1, \"master[7]\"]"), &["10:20 no-hosts `master[7]` chooses no host"]);
    let help = "`master[x]` is no host choice; write a host, a group, group[0], group[1:] or group[:2]";
    wrong(&choice("\"master[x]\""), &[format!("10:15 unknown-host {help}").as_str()]);
}

#[test]
fn certificates_are_checked() {
    let one = |inside: &str| format!("  bad: {{ {inside} }}\n");
    wrong(&one("subject: { CN: x }"), &["9:10 missing-key a certificate needs `issuer`"]);
    wrong(&one("issuer: co, subject: { CN: x }"), &["9:10 unknown-certificate there is no certificate `co`"]);
    wrong(&one("issuer: leaf, subject: { CN: x }"), &["9:10 unknown-certificate `leaf` is no CA"]);
    wrong(
        &one("ca: true, issuer: ca, subject: { CN: x }"),
        &["9:28 not-here a CA is self-signed and has none"],
    );
    wrong(
        &one("ca: true, subject: { CN: x }, key: rsa-1024"),
        &["9:45 unknown-word `rsa-1024` is no kind of key"],
    );
    wrong(
        &one("ca: true, subject: { CN: x }, valid: { from: 1d, to: -1d }"),
        &["9:49 bad-date it would end before it begins"],
    );
    wrong(
        &one("ca: true, subject: { CN: x }, valid: { from: soon, to: 1d }"),
        &["9:55 bad-date `soon` is no time from now"],
    );
    wrong(
        &one("issuer: ca, subject: { CN: x }, sans: [IP:1.2]"),
        &["9:49 bad-san `IP:1.2` is not a subject alternative name"],
    );
    wrong(
        &one("issuer: ca, subject: { CN: x }, usages: [serve]"),
        &["9:51 bad-usage `serve` is not a usage of a certificate"],
    );
    wrong(
        &one("issuer: ca, subject: { CN: x }, sans: [\"${grops}\"]"),
        &["9:52 unknown-variable there is no variable `grops` here"],
    );
}

#[test]
fn files_are_exactly_one_thing() {
    let one = |inside: &str| format!("files:\n  - {{ hosts: h1, path: /a, {inside} }}\n");
    wrong(&one("text: x, link: y"), &["10:5 one-content a file is exactly one thing"]);
    wrong(&one("mode: \"0600\""), &["10:5 one-content a file is exactly one thing"]);
    wrong(&one("certificate: c"), &["10:40 unknown-certificate there is no certificate `c`"]);
    wrong(
        &one("key: leaf, form: pkcs1"),
        &["10:51 wrong-form a key of the kind ECDSA-P256 has no form pkcs1"],
    );
    wrong(&one("text: x, form: pkcs1"), &["10:49 not-here only a `key` has a form"]);
    wrong(&one("text: x, mode: \"0999\""), &["10:49 bad-mode `0999` is no file mode"]);
    wrong(&one("text: x, owner: root"), &["10:50 bad-owner `root` is no owner"]);
    wrong(
        "files:\n  - { hosts: h1, path: /a/../b, text: x }\n",
        &["10:26 bad-path `/a/../b` is not an absolute path without `.`, `..` and doubled slashes"],
    );
    wrong(&one("text: \"a ${host.nam + } b\""), &["10:51 script-syntax the expression is incomplete"]);
}

#[test]
fn daemons_and_answers_are_checked() {
    let one = |inside: &str| format!("daemons:\n  - {{ hosts: h1, name: d, while: /x, {inside} }}\n");
    wrong(&one("certificate: /c"), &["10:53 missing-key a `certificate` needs its `key`"]);
    wrong(&one("client_ca: /c"), &["10:51 missing-key `client_ca` needs `certificate` and `key`"]);
    wrong(&one("certificate: /c, key: /k"), &["10:53 missing-key a server needs a `port`"]);
    wrong(&one("port: 0"), &["10:45 out-of-range 0 is out of range; write 1 to 65535"]);
    let two = "daemons:\n  - { hosts: h1, name: a, while: /x, port: 1 }\n  - { hosts: master, name: b, while: /y, port: 1 }\n";
    wrong(two, &["11:5 duplicate-daemon `a` on the same host has this name or port already"]);
    // At its own line and column inside the block of Rhai.
    wrong(
        "commands:\n  - match: x\n    answer: |\n      let a = 1;\n      a + no_such(a)\n",
        &["13:11 unknown-function there is no function `no_such`"],
    );
    wrong(
        "commands:\n  - match: x\n    answer: |\n      daemon(\"a\", \"b\", 1)\n",
        &["12:7 wrong-arguments `daemon` takes 1 or 2 arguments, 3 given"],
    );
    wrong(
        "faults:\n  - { hosts: h1, command: x, path: /y, kind: fail }\n",
        &["10:5 one-content a fault is of a `command` or of a file write (`path`)"],
    );
    wrong(
        "faults:\n  - { hosts: h1, command: x, kind: disk-full }\n",
        &["10:36 unknown-word `disk-full` is no kind of fault here"],
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
        ("none.yaml", "none.yaml: No such file or directory (os error 2)"),
        ("own.yaml", "that scenario extends another; only one step is allowed"),
    ] {
        let text = format!("keybook: 1\nscenario: own\nextends: {extends}\n");
        let problems = Scenario::load(&path, &text).unwrap_err();
        assert_eq!((problems[0].span.line, problems[0].span.column), (3, 10));
        assert!(problems[0].message.ends_with(message), "{problems:?}");
    }
}
