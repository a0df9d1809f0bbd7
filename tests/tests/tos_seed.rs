//! The outputs that the vendor's document shows (tests/fixtures/tos-seed), read by the runbook's functions and by the actions;
//! and what those functions say of versions, machines and files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Map, SourceText, Value, value::map};
use keybook_script::{Limits, ScriptHost};
use keybook_tests::{
    cli::root,
    sandbox::{Bench, FIRST, arg, openssl},
};
use std::fs;

fn seed(name: &str) -> String {
    fs::read_to_string(root().join("tests/fixtures/tos-seed").join(name)).unwrap()
}

/// The runbook's functions.
fn functions() -> ScriptHost {
    let text = fs::read_to_string(root().join("runbooks/tos-etcd-ca/hooks.rhai")).unwrap();
    let host = keybook_stdlib::script_host(Limits::default());
    let hooks = host.hooks(&SourceText::elsewhere(&text, "hooks.rhai")).unwrap();
    host.with_hooks(&hooks)
}

fn eval(host: &ScriptHost, text: &str, scope: &Map) -> Value {
    let names: Vec<&str> = scope.keys().map(String::as_str).collect();
    let expr = host
        .expr(&SourceText::elsewhere(text, "test"), &names)
        .unwrap_or_else(|found| panic!("{text}: {found:?}"));
    host.eval(&expr, scope).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// Panics unless every expression is true of these values.
#[track_caller]
fn all_true(scope: &Map, expressions: &[&str]) {
    let host = functions();
    for text in expressions {
        assert_eq!(eval(&host, text, scope), Value::Bool(true), "{text}");
    }
}

/// Pods as the API gives them, from the columns of `kubectl get po -owide`.
fn pods(table: &str) -> Value {
    let pod = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let metadata = map([("name", words[0].into()), ("uid", words[0].into())]);
        let status = map([("phase", words[2].into()), ("hostIP", words[5].into())]);
        let spec = map([("nodeName", words[6].into())]);
        Value::Map(map([
            ("metadata", Value::Map(metadata)),
            ("status", Value::Map(status)),
            ("spec", Value::Map(spec)),
        ]))
    };
    Value::List(table.lines().map(pod).collect())
}

#[test]
fn tos_seed_versions() {
    let scope = map([("said", seed("kubectl-version.txt").into())]);
    all_true(
        &scope,
        &[
            r#"tos_version(said) == "v2.1.0-tos-final-build-20220805-tdh""#,
            r#"flavor_of(tos_version(said)) == "tdh""#,
            r#"not_affected("tdh", tos_version(said), ()) == ()"#,
            // Without a server only a client of TOS counts.
            r#"tos_version(said.split("\n")[0]) == "v2.1.0-tos-final-build-20220805-tdh""#,
            r#"tos_version("Client Version: v1.32.4\nKustomize Version: v5.5.0") == ()"#,
            r#"tos_version("Client Version: v1.32.4\nServer Version: v2.0.1-tos-tdc") == "v2.0.1-tos-tdc""#,
            r#"flavor_of("v2.0.1-tos-tdc") == "tdc" && flavor_of("v2.1.0") == ()"#,
            // The affected ranges, with their ends.
            r#"["1.9", "v1.9.3-tos", "2.0.9", "2.1", "2.1.99"].all(|v| not_affected("tdh", v, ()) == ())"#,
            r#"["1.8.9", "2.2.0", "v3.0"].all(|v| not_affected("tdh", v, ()).contains("outside of 1.9.x to 2.1.x"))"#,
            r#"["1.9.0", "2.0.12"].all(|v| not_affected("tdc", v, "2.3.9") == ())"#,
            r#"not_affected("tdc", "2.1.0", "2.3").contains("outside of 1.9.x to 2.0.x")"#,
            r#"not_affected("tdc", "2.0.0", "2.4").contains("TDC 2.4 is not affected")"#,
            r#"not_affected("tdc", "2.0.0", ()).contains("must be given")"#,
        ],
    );
}

#[test]
fn tos_seed_pods() {
    let hosts: Map = (10..13)
        .map(|n| (format!("jiujiu-tdh-{n}"), Value::Map(map([("address", format!("172.22.25.{n}").into())]))))
        .collect();
    let names: Vec<String> = hosts.keys().cloned().collect();
    let scope = map([
        ("etcd", pods(&seed("kubectl-pods-etcd.txt"))),
        ("flannel", pods(&seed("kubectl-pods-flannel.txt"))),
        ("hosts", Value::Map(hosts)),
        ("names", names.into()),
    ]);
    all_true(
        &scope,
        &[
            "etcd_pods(etcd).len() == 3 && etcd_pods(flannel).is_empty()",
            "not_covered(etcd, names, hosts).is_empty()",
            r#"not_covered(etcd, ["jiujiu-tdh-10", "jiujiu-tdh-12"], hosts) == ["jiujiu-tdh-11"]"#,
            // What `grep flannel` finds, and what of it is flannel.
            r#"flannel.len() == 6 && flannel.all(|pod| pod.metadata.name.contains("flannel"))"#,
            r#"flannel_pods(flannel, "flanneld-flannel-").map(|pod| pod.metadata.name)
               == ["flanneld-flannel-kg54q", "flanneld-flannel-xcsq5", "flanneld-flannel-z5rv7"]"#,
            r#"running(flannel_pods(flannel, "flanneld-flannel-")).map(|pod| node_of(pod)).len() == 3"#,
            r#"flannel_pods(flannel, "kube-dns").is_empty() && flannel_pods(flannel, "flannel-").is_empty()"#,
        ],
    );
}

#[test]
fn tos_seed_registry_tags() {
    let pod = |lines: &str| {
        let container = |line: &str| Value::Map(map([("image", line.trim_start_matches("Image: ").into())]));
        let containers = Value::List(lines.lines().map(container).collect());
        let name = Value::Map(map([("name", "tos-registry-tos-jiujiu-tdh-10".into())]));
        Value::Map(map([("metadata", name), ("spec", Value::Map(map([("containers", containers)])))]))
    };
    let (one, two) = (pod(&seed("registry-image-1.txt")), pod(&seed("registry-image-2.txt")));
    let with_port = pod("Image: registry.local:5000/transwarp/registry:tos-2.1");
    let scope = map([("one", one), ("two", two), ("with_port", with_port)]);
    all_true(
        &scope,
        &[
            r#"registry_tag([one]) == "manager-7.0.1910a-final""#,
            r#"registry_tag([two]) == "tos-2.1" && registry_tag([with_port, two]) == "tos-2.1""#,
            // Two tags, and none: nothing is guessed.
            "registry_tag([one, two]) == () && registry_tag([]) == ()",
        ],
    );
}

/// The vendor's configuration, with another profile.
const CONFIG: &str = r#"{"signing": {"default": {"expiry": "87600h"}, "profiles": {"etcd": {"usages": ["signing"], "expiry": "87600h"},
    "short": {"expiry": "8760h"}}}}"#;

#[test]
fn tos_seed_machines_archives_and_files() {
    let scope = map([("config", CONFIG.into())]);
    all_true(
        &scope,
        &[
            r#"wrong_machine(["x86_64", " 3e 00", " 3e 00"]) == () && wrong_machine(["aarch64", " b7 00"]) == ()"#,
            r#"wrong_machine(["x86_64"]) == ()"#,
            r#"wrong_machine(["x86_64", " b7 00"]).contains("not for x86_64")"#,
            r#"wrong_machine(["aarch64", " b7 00", " 3e 00"]).contains("not for aarch64")"#,
            r#"wrong_machine(["riscv64", " f3 00"]).contains("architecture riscv64")"#,
            r#"strangers(["gencerts/", "gencerts/etcd-ca.pem", "./gencerts/cfssl"]) == []"#,
            r#"strangers(["gencerts/../x", "/etc/passwd", "gencertsx/y"]).len() == 3"#,
            r#"lengthened(config, "87600h", "876000h") == #{ "signing.default.expiry": "876000h",
               "signing.profiles[\"etcd\"].expiry": "876000h" }"#,
            r#"expiries(config).len() == 3 && lengthened("{\"signing\": {}}", "87600h", "876000h") == #{}"#,
            r#"digests(["aa  /x/etcd.pem", "bb  etcd-ca.pem"]) == #{ "etcd.pem": "aa", "etcd-ca.pem": "bb" }"#,
        ],
    );
}

/// How well etcd must be after each restart of an expired cluster, and of one that is not.
#[test]
fn tos_seed_quorum_after_certificates_had_ended() {
    let state = |all: bool, quorum: bool| Value::Map(map([("all", all.into()), ("quorum", quorum.into())]));
    let ended = |count: i64| Value::Map(map([("expired", Value::Int(count))]));
    let dates = |count: i64| Value::Map(map([("a", ended(count))]));
    let scope = map([
        ("well", state(true, true)),
        ("most", state(false, true)),
        ("down", state(false, false)),
        ("renewed", ended(0)),
        ("old", ended(1)),
        ("were", dates(2)),
        ("not", dates(0)),
        ("five", vec!["a", "b", "c", "d", "e"].into()),
        ("three", vec!["a", "b", "c"].into()),
        ("one", vec!["a"].into()),
    ]);
    all_true(
        &scope,
        &[
            // Nothing had ended: all must be healthy after each.
            r#"["a", "b", "c"].all(|name| !well_enough(most, renewed, not, three, name) && well_enough(well, renewed, not, three, name))"#,
            // Before a majority runs the new files nothing can be asked, then a quorum, of the last one all.
            r#"well_enough(down, renewed, were, three, "a") && !well_enough(down, renewed, were, three, "b")"#,
            r#"well_enough(most, renewed, were, three, "b") && !well_enough(most, renewed, were, three, "c")"#,
            r#"well_enough(down, renewed, were, five, "b") && !well_enough(down, renewed, were, five, "c")"#,
            r#"!well_enough(down, renewed, were, one, "a") && well_enough(well, renewed, were, one, "a")"#,
            // Old files that have ended, as a rollback leaves them.
            r#"well_enough(down, old, were, three, "c")"#,
        ],
    );
}

/// A step's etcdctl and docker print what the document shows: version 3.1's text, with warnings before it.
#[test]
fn tos_seed_etcdctl_and_docker_are_read() {
    let bench = Bench::new();
    let ends = "cacert: /srv/ca.pem, cert: /srv/c.pem, key: /srv/k.pem, endpoints: [\"https://jiujiu-tdh-10:4001\", \
                \"https://jiujiu-tdh-11:4001\", \"https://jiujiu-tdh-12:4001\"]";
    let runbook = bench.small_runbook(&format!(
        "  - {{ id: status, hosts: node, etcd.status: {{ {ends} }}, expect: [result.one_leader, result.reachable == 3, \
         'result.members[1].leader && result.members[1].version == \"3.1.18\"'] }}\n  \
         - {{ id: health, hosts: node, etcd.health: {{ {ends} }}, expect: [result.all, result.quorum] }}\n  \
         - {{ id: pods, hosts: node, static_pod.list: {{ dir: /m }}, expect: ['result.pods.len() == 1', 'result.pods[0].running', \
         'result.pods[0].containers == [\"38ca327d181e\"]'] }}\n"
    ));
    let answer = |name: &str| {
        let text = format!("{:?}", seed(name));
        format!(
            "    answer: |\n      let wanted = option(argv, \"--endpoints\");\n      let said = \"\";\n      \
             for line in {text}.split(\"\\n\") {{\n        if wanted == () || line.contains(\"warning\") || \
             line.contains(wanted) {{ said += line + \"\\n\"; }}\n      }}\n      said\n"
        )
    };
    bench.small_scenario(&format!(
        "files:\n  - {{ hosts: node, path: /m/tos-apiserver.manifest, text: \"apiVersion: v1\\nkind: Pod\\nmetadata: {{ name: tos-apiserver-tos, \
         namespace: kube-system }}\\nspec: {{ containers: [ {{ name: tos-apiserver-tos, image: x }} ] }}\\n\" }}\ncommands:\n  \
         - match: \"*endpoint status*\"\n{}  - match: \"*endpoint health*\"\n{}  - match: \"docker ps*\"\n{}",
        answer("etcdctl-status.txt"),
        answer("etcdctl-health.txt"),
        answer("docker-ps-apiserver.txt")
    ));
    bench
        .keybook
        .call(["run", &runbook, "--sandbox", "--unattended", "--answers", &bench.answers_none()])
        .with(0);
}

/// A renewal in the sandbox, whose hosts are the document's, ends with what the document shows of it.
#[test]
fn tos_seed_names_and_days_of_the_new_certificates() {
    let bench = Bench::new();
    bench.run("quick-three", &[]).with(0);
    let (ca, leaf) = (
        bench.on_host(FIRST, "/srv/kubernetes/etcd-ca.pem"),
        bench.on_host(FIRST, "/srv/kubernetes/etcd.pem"),
    );
    let names = openssl(&["x509", "-in", arg(&leaf), "-noout", "-ext", "subjectAltName"]).unwrap();
    assert_eq!(names.lines().nth(1).unwrap().trim(), seed("openssl-sans.txt").trim());
    let verified = openssl(&["verify", "-CAfile", arg(&ca), arg(&leaf)]).unwrap();
    assert_eq!(verified.replace(arg(&leaf), "/srv/kubernetes/etcd.pem"), seed("openssl-verify.txt"));

    let seconds = |name: &str, line: &str| {
        let text = seed(name);
        let date = text
            .lines()
            .find_map(|one| one.strip_prefix(line))
            .unwrap()
            .trim_start_matches([' ', ':'])
            .to_owned();
        keybook_tests::lab::run(std::process::Command::new("date").args(["+%s", "-d", &date]))
            .trim()
            .parse::<i64>()
            .unwrap()
    };
    let new = "openssl-etcd-ca-new-dates.txt";
    assert_eq!(
        seconds(new, "Not After") - seconds(new, "Not Before"),
        36_500 * 86_400,
        "the default of ca_days"
    );
    let runbook = fs::read_to_string(root().join("runbooks/tos-etcd-ca/runbook.yaml")).unwrap();
    assert!(runbook.contains("ca_days: { type: int, default: 36500"));
    assert!(seconds("openssl-etcd-ca-dates.txt", "Not After") < seconds(new, "Not After"));
    // The request that the document's cfssl carries out.
    let scenario =
        fs::read_to_string(root().join("runbooks/tos-etcd-ca/scenarios/three-masters.yaml")).unwrap();
    assert!(seed("cfssl-gencert.txt").contains("generating key: rsa-2048"));
    assert!(scenario.contains(r#""algo": "rsa", "size": 2048"#));
    assert!(seed("kubectl-svc.txt").contains(" 10.10.10.1 ") && scenario.contains("\"IP:10.10.10.1\""));
}
