//! Against a real member with TLS.

use super::{health::Health, leader::Leader, members::Members, snapshot::Snapshot, status::Status, *};
use crate::testing::{Bench, EtcdMember, args, exit};
use keybook_api::{Action, Value};

fn ask(member: &EtcdMember, endpoints: Vec<String>, timeout: &str) -> Args {
    args([
        ("endpoints", endpoints.into()),
        ("cacert", member.pki("ca.pem").into()),
        ("cert", member.pki("leaf.pem").into()),
        ("key", member.pki("leaf-key.pem").into()),
        ("timeout", timeout.into()),
    ])
}

#[tokio::test]
async fn a_dead_member_neither_hangs_nor_hides_the_living() {
    let bench = Bench::new();
    let member = EtcdMember::start(&bench).await;
    let dead = "https://127.0.0.1:1".to_owned();
    let asked = ask(&member, vec![dead, member.url.clone()], "2s");

    let plan = bench.describe(&Health, &asked).await.unwrap();
    assert!(plan.lines[0].starts_with("ETCDCTL_API=3 etcdctl --endpoints=https://127.0.0.1:1 --cacert="));
    let health = bench.apply(&Health, &asked).await.unwrap().value;
    assert_eq!((health.get("healthy"), health.get("total")), (Some(&Value::Int(1)), Some(&Value::Int(2))));
    assert_eq!((health.get("all"), health.get("quorum")), (Some(&false.into()), Some(&false.into())));

    bench.describe(&Status, &asked).await.unwrap();
    let status = bench.apply(&Status, &asked).await.unwrap().value;
    assert_eq!(
        (status.get("reachable"), status.get("one_leader")),
        (Some(&Value::Int(1)), Some(&true.into()))
    );
    let members = status.get("members").and_then(Value::as_list).unwrap();
    assert_eq!(members[0].get("reachable"), Some(&false.into()));
    assert!(members[0].get("error").unwrap().as_str().is_some());
    assert_eq!(members[1].get("leader"), Some(&true.into()));
    assert!(members[1].get("version").unwrap().as_str().unwrap().starts_with("3."));
    assert!(members[1].get("db_size").unwrap().as_int().unwrap() > 0);
}

#[tokio::test]
async fn a_client_of_another_ca_is_refused() {
    let bench = Bench::new();
    let member = EtcdMember::start(&bench).await;
    let mut asked = ask(&member, vec![member.url.clone()], "1s");
    for (name, expected) in [("leaf.pem", true), ("other.pem", false)] {
        let key = name.replace(".pem", "-key.pem");
        asked.0.insert("cert".into(), member.pki(name).into());
        asked.0.insert("key".into(), member.pki(&key).into());
        let health = bench.apply(&Health, &asked).await.unwrap().value;
        assert_eq!(health.get("all"), Some(&expected.into()), "{name}: {health}");
    }
}

#[tokio::test]
async fn a_missing_program_is_a_fault() {
    let bench = Bench::new();
    let mut asked = args([
        ("endpoints", "https://127.0.0.1:1".into()),
        ("cacert", "/ca".into()),
        ("cert", "/c".into()),
        ("key", "/k".into()),
        ("etcdctl", "/nowhere/etcdctl".into()),
    ]);
    assert!(bench.apply(&Health, &asked).await.unwrap_err().attempted.contains("/nowhere/etcdctl"));
    for endpoints in [Value::List(vec![]), vec!["a", "b", "a"].into(), "a,b".into()] {
        asked.0.insert("endpoints".into(), endpoints);
        assert!(bench.describe(&Status, &asked).await.is_err());
    }
}

#[tokio::test]
async fn a_member_that_outlasts_every_time_out_is_unhealthy() {
    let bench = Bench::new();
    bench.answer(|command| {
        let first = command.args.contains(&"--endpoints=https://a:1".to_owned());
        let fault = || Fault::new(FaultKind::TimedOut, "run etcdctl", "it was ended");
        Some(if first { Err(fault()) } else { Ok(exit(0, "[{\"health\":true}]\n", "")) })
    });
    let asked = args([
        ("endpoints", vec!["https://a:1", "https://b:1", "https://c:1"].into()),
        ("cacert", "/ca".into()),
        ("cert", "/c".into()),
        ("key", "/k".into()),
    ]);
    let health = bench.apply(&Health, &asked).await.unwrap().value;
    assert_eq!((health.get("quorum"), health.get("all")), (Some(&true.into()), Some(&false.into())));
    let members = health.get("members").and_then(Value::as_list).unwrap();
    assert_eq!(members[0].get("error"), Some(&"no answer within 10s".into()));
}

#[tokio::test]
async fn a_lost_host_is_no_unhealthy_member() {
    let bench = Bench::new();
    bench.answer(|_| Some(Err(Fault::unreachable("run etcdctl", "the connection broke"))));
    let asked = args([
        ("endpoints", "https://a:1".into()),
        ("cacert", "/ca".into()),
        ("cert", "/c".into()),
        ("key", "/k".into()),
    ]);
    assert_eq!(bench.apply(&Health, &asked).await.unwrap_err().kind, FaultKind::Unreachable);
}

#[tokio::test]
async fn members_and_leader_are_told_by_whom_answers() {
    let bench = Bench::new();
    let member = EtcdMember::start(&bench).await;
    let dead = "https://127.0.0.1:1".to_owned();
    let asked = ask(&member, vec![dead.clone(), member.url.clone()], "2s");
    bench.describe(&Members, &asked).await.unwrap();
    let value = bench.apply(&Members, &asked).await.unwrap().value;
    let members = value.get("members").and_then(Value::as_list).unwrap();
    assert_eq!((value.get("total"), members[0].get("name")), (Some(&Value::Int(1)), Some(&"one".into())));
    assert_eq!(members[0].get("client_urls"), Some(&vec![member.url.clone()].into()));
    bench.describe(&Leader, &asked).await.unwrap();
    let leader = bench.apply(&Leader, &asked).await.unwrap().value;
    assert_eq!(leader.get("endpoint"), Some(&member.url.as_str().into()));
    assert_eq!(
        (leader.get("id"), leader.get("others")),
        (members[0].get("id"), Some(&vec![dead.clone()].into()))
    );

    let none = ask(&member, vec![dead], "1s");
    assert!(bench.apply(&Members, &none).await.is_err());
    let fault = bench.apply(&Leader, &none).await.unwrap_err();
    assert!(fault.cause.starts_with("0 of 1 members lead: https://127.0.0.1:1: "), "{fault}");
}

#[tokio::test]
async fn a_snapshot_is_verified_before_it_has_its_name() {
    let bench = Bench::new();
    let member = EtcdMember::start(&bench).await;
    let out = bench.path("etcd.db");
    let mut asked = ask(&member, vec![], "30s");
    asked.0.shift_remove("endpoints");
    asked.0.insert("endpoint".into(), member.url.as_str().into());
    asked.0.insert("out".into(), out.as_str().into());
    let plan = bench.describe(&Snapshot, &asked).await.unwrap();
    let parts = [".etcd.db.keybook", ".etcd.db.keybook.part"].map(|name| bench.path(name));
    assert_eq!(plan.touches, [std::slice::from_ref(&out), &parts[..]].concat());
    let reconcile = async || Snapshot.reconcile(&bench.ctx(), &asked, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, keybook_api::Reconcile::NotDone);
    // What an attempt that was cut short left behind.
    bench.file(".etcd.db.keybook", "half");
    let applied = bench.apply(&Snapshot, &asked).await.unwrap();
    assert_eq!((bench.mode("etcd.db"), bench.exists(".etcd.db.keybook")), (0o600, false));
    let digest = crate::support::files::sha256(&std::fs::read(&out).unwrap());
    assert_eq!(applied.value.get("sha256"), Some(&digest.into()));
    assert!(applied.value.get("hash").unwrap().as_int().is_some(), "{}", applied.value);
    assert_eq!(reconcile().await, keybook_api::Reconcile::Done(applied.value));
    let fault = bench.apply(&Snapshot, &asked).await.unwrap_err();
    assert!(fault.cause.contains("never replaced"), "{fault}");

    // A file that no tool of etcd can read is never given the name.
    let bad = bench.file(
        "etcdctl",
        "#!/bin/sh\ncase \"$*\" in *save*) for last; do :; done; echo x >\"$last\" ;; *) exit 1 ;; esac\n",
    );
    bench.chmod("etcdctl", 0o755);
    asked.0.insert("etcdctl".into(), bad.into());
    asked.0.insert("etcdutl".into(), "/nowhere/etcdutl".into());
    asked.0.insert("out".into(), bench.path("bad.db").into());
    let fault = bench.apply(&Snapshot, &asked).await.unwrap_err();
    assert!(fault.attempted.starts_with("verify the snapshot"), "{fault}");
    assert!(!bench.exists("bad.db") && !bench.exists(".bad.db.keybook"));
    asked.0.insert("endpoint".into(), "https://127.0.0.1:1".into());
    asked.0.insert("etcdctl".into(), Value::Null);
    asked.0.insert("timeout".into(), "3s".into());
    assert!(bench.apply(&Snapshot, &asked).await.is_err());
    assert!(!bench.exists("bad.db"));
}
