//! Small runs as a journal would hold them.

use indexmap::IndexMap;
use keybook_api::{
    Change, Diff, Event, HowKnown, Identity, Record, RunId, Side, Span, StreamName, TrustEdge, TrustVerdict,
    UnitId,
    event::*,
    target::{FileKind, Owner, Stat, TreeEntry},
};
use serde_json::{Value as Json, json};

/// A journal being written; its clock starts at 2023-01-10 10:15:32 UTC.
pub struct Journal {
    pub records: Vec<Record>,
    pub now_ms: i64,
}

pub fn unit(text: &str) -> UnitId {
    UnitId::parse(text).unwrap()
}

fn step(path: &str, title: &str, why: &str, action: &str) -> StepInfo {
    StepInfo {
        path: path.into(),
        title: title.into(),
        why: why.into(),
        action: action.into(),
        irreversible: false,
    }
}

pub fn steps() -> Vec<StepInfo> {
    vec![
        step("look", "Read the certificates in use", "", "x509.read"),
        step(
            "reissue-ca",
            "Reissue the CA with the same key",
            "Leaf certificates that are in use go on verifying.",
            "x509.reissue_ca",
        ),
        step("install", "把新的 etcd 证书安装到每个节点", "旧证书已经过期，集群无法再提供服务。", "file.put"),
        step("bounce", "Restart etcd node by node", "The quorum must hold between two nodes.", ""),
        step("bounce/stop", "Stop the static pods", "", "static_pod.stop"),
        StepInfo { irreversible: true, ..step("drop-old", "Remove the old CA", "", "file.remove") },
    ]
}

pub fn certificate(path: &str, subject: &str, from: &str, to: &str, print: &str) -> Json {
    let unix = |date: &str| format!("{date}T00:00:00Z").parse::<jiff::Timestamp>().unwrap().as_second();
    json!({
        "kind": "certificate", "path": path, "subject": subject, "issuer": "CN=etcd-ca,O=Transwarp",
        "serial": "3f5a", "sha256": print.repeat(8), "sans": ["127.0.0.1", "tos-node-1"],
        "not_before": format!("{from}T00:00:00Z"), "not_after": format!("{to}T00:00:00Z"),
        "not_before_unix": unix(from), "not_after_unix": unix(to), "is_ca": subject.contains("ca"),
    })
}

fn map(pairs: &[(&str, Json)]) -> IndexMap<String, Json> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

pub fn entry(path: &str) -> TreeEntry {
    let stat = Stat {
        kind: FileKind::File,
        mode: 0o100_600,
        owner: Owner { uid: 0, gid: 0 },
        size: 1200,
        modified: 0,
        link: None,
    };
    TreeEntry {
        path: path.into(),
        stat,
        sha256: "ab12".repeat(16),
        selinux: String::new(),
        acl: String::new(),
    }
}

pub fn fault() -> FaultInfo {
    FaultInfo {
        kind: "failed".into(),
        attempted: "write /srv/kubernetes/etcd.pem".into(),
        cause: "the disk is full\n(0 of 4096 bytes written)".into(),
        host: Some("node-2".into()),
        at: Some(Span::new("runbooks/tos-etcd-ca/runbook.yaml", 42, 7, 8)),
        now_true: Some("the old file is still in place, byte for byte".into()),
        hints: vec!["make room below /srv".into(), "then resume the run".into()],
    }
}

impl Journal {
    pub fn open(nodes: usize, sandbox: bool) -> Self {
        let hosts: Vec<_> = (1..=nodes)
            .map(|number| HostInfo {
                name: format!("node-{number}"),
                address: format!("10.0.0.{number}"),
                groups: vec!["master".into()],
                replaceable: false,
            })
            .collect();
        let mut journal = Self { records: Vec::new(), now_ms: 1_673_345_732_000 };
        journal.add(Event::RunOpened {
            keybook: "0.1.0".into(),
            runbook: RunbookRef {
                name: "tos-etcd-ca".into(),
                version: "1.0.0".into(),
                title: "Renew the TOS etcd CA, keeping its key".into(),
                folder: "runbooks/tos-etcd-ca".into(),
                digest: "5c".repeat(32),
            },
            inputs: map(&[("flavor", json!("tdh")), ("db_url", json!({"keyed_hash": "77".repeat(32)}))]),
            cluster: "prod-tdh".into(),
            inventory_digest: "1d".repeat(32),
            inventory: "inventory.yaml".into(),
            hosts: hosts.clone(),
            steps: steps(),
            operator: "anna@bastion".into(),
            unattended: false,
            sandbox,
            limit: Vec::new(),
            until: None,
        });
        for host in hosts {
            journal.wait(120).add(Event::HostIdentified {
                host: host.name.clone(),
                identity: Identity {
                    transport: if sandbox {
                        "sandbox".into()
                    } else {
                        format!("ssh root@{}:22", host.address)
                    },
                    host_key: if sandbox { String::new() } else { format!("SHA256:{}", "q7".repeat(21)) },
                    machine_id: "0f".repeat(16),
                    hostname: host.name,
                    clock_offset_ms: -12,
                },
            });
        }
        journal
    }

    pub fn wait(&mut self, ms: i64) -> &mut Self {
        self.now_ms += ms;
        self
    }

    pub fn add(&mut self, event: Event) -> &mut Self {
        self.push(None, 1, event)
    }

    pub fn unit(&mut self, id: &str, event: Event) -> &mut Self {
        self.push(Some(id), 1, event)
    }

    pub fn push(&mut self, id: Option<&str>, attempt: u32, event: Event) -> &mut Self {
        let time = jiff::Timestamp::from_millisecond(self.now_ms).unwrap();
        self.records.push(Record {
            v: FORMAT,
            seq: self.records.len() as u64,
            time: format!("{time:.3}"),
            run: RunId::new("20230110-101532-9f3a").unwrap(),
            unit: id.map(unit),
            attempt: id.map(|_| attempt),
            event,
            prev: "0".repeat(64),
        });
        self
    }

    /// What every run begins with: preflight, lock, and the certificates as they are.
    pub fn look(&mut self, nodes: usize) -> &mut Self {
        for number in 1..=nodes {
            self.wait(30).add(Event::PreflightChecked {
                host: format!("node-{number}"),
                check: "disk space".into(),
                ok: true,
                detail: "3.1 GiB free below /var/lib/keybook".into(),
            });
        }
        self.add(Event::LockTaken { hosts: (1..=nodes).map(|number| format!("node-{number}")).collect() });
        for number in 1..=nodes {
            let id = format!("look@node-{number}");
            let old = [
                certificate(
                    "/srv/kubernetes/etcd-ca.pem",
                    "CN=etcd-ca",
                    "2018-01-12",
                    "2023-01-10",
                    "a1a1a1a1",
                ),
                certificate("/srv/kubernetes/etcd.pem", "CN=etcd", "2018-01-12", "2023-01-10", "b2b2b2b2"),
            ];
            self.unit(
                &id,
                Event::UnitIntent {
                    action: "x509.read".into(),
                    args: map(&[("path", json!("/srv/kubernetes"))]),
                    args_digest: String::new(),
                    memo: Json::Null,
                    touches: Vec::new(),
                },
            );
            self.wait(210).unit(
                &id,
                Event::UnitDone {
                    result: json!({"files": old}),
                    changed: false,
                    wrote: Vec::new(),
                    took_ms: 210,
                },
            );
        }
        self
    }

    pub fn intent(&mut self, id: &str, attempt: u32, action: &str, created: &[&str]) -> &mut Self {
        let touches = created.iter().map(|path| Touched { path: (*path).into(), before: None }).collect();
        self.push(
            Some(id),
            attempt,
            Event::UnitIntent {
                action: action.into(),
                args: IndexMap::new(),
                args_digest: "9c".repeat(32),
                memo: Json::Null,
                touches,
            },
        )
    }

    pub fn done(&mut self, id: &str, attempt: u32, took_ms: u64, result: Json) -> &mut Self {
        self.wait(took_ms as i64).push(
            Some(id),
            attempt,
            Event::UnitDone {
                result,
                changed: true,
                wrote: vec![Touched {
                    path: "/srv/kubernetes/etcd.pem".into(),
                    before: Some(entry("/srv/kubernetes/etcd.pem")),
                }],
                took_ms,
            },
        )
    }

    pub fn reissue(&mut self) -> &mut Self {
        let id = "reissue-ca@node-1";
        let new = "/var/lib/keybook/r/staging/etcd-ca-new.pem";
        self.unit(
            id,
            Event::UnitPlanned {
                basis: String::new(),
                change: Change::Will,
                lines: vec![
                    "sign a new certificate for CN=etcd-ca with the key /srv/kubernetes/etcd-ca-key.pem"
                        .into(),
                ],
                diffs: Vec::new(),
            },
        );
        self.intent(id, 1, "x509.reissue_ca", &[new]);
        let made = certificate(new, "CN=etcd-ca", "2018-01-12", "2122-12-17", "c3c3c3c3");
        self.done(id, 1, 640, json!({"cert": made}))
    }

    pub fn gate(&mut self, id: &str, waited: i64) -> &mut Self {
        self.unit(
            id,
            Event::GateAsked { question: "Replace the etcd certificates?".into(), irreversible: false },
        );
        self.wait(waited).unit(
            id,
            Event::GateAnswered {
                answer: Answer::Run,
                by: "anna@bastion".into(),
                via: Via::Terminal,
                why: String::new(),
            },
        )
    }

    pub fn install_plan(&mut self, id: &str) -> &mut Self {
        self.unit(
            id,
            Event::UnitPlanned {
                basis: String::new(),
                change: Change::Will,
                lines: vec!["write 3 files below /srv/kubernetes".into()],
                diffs: diffs(),
            },
        )
    }

    pub fn install(&mut self, id: &str, waited: i64) -> &mut Self {
        self.install_plan(id).gate(id, waited).intent(id, 1, "file.put", &[]);
        let host = unit(id).host;
        self.wait(90).unit(
            id,
            Event::BackupTaken {
                host,
                store: "/var/lib/keybook/20230110-101532-9f3a/backup".into(),
                paths: vec!["/srv/kubernetes".into()],
                entries: vec![entry("/srv/kubernetes"), entry("/srv/kubernetes/etcd.pem")],
            },
        );
        self.unit(
            id,
            Event::ObligationRaised { what: "restart-etcd".into(), host: unit(id).host, item: None },
        );
        let new = [
            certificate("/srv/kubernetes/etcd-ca.pem", "CN=etcd-ca", "2018-01-12", "2122-12-17", "c3c3c3c3"),
            certificate("/srv/kubernetes/etcd.pem", "CN=etcd", "2023-01-10", "2033-01-07", "d4d4d4d4"),
        ];
        self.done(id, 1, 1_830, json!({"files": new}))
    }

    pub fn bounce(&mut self, node: usize) -> &mut Self {
        let id = format!("bounce/stop@node-{node}");
        self.intent(&id, 1, "static_pod.stop", &[]);
        self.wait(400).unit(
            &id,
            Event::UnitOutput { stream: StreamName::Stdout, line: "tos-etcd is still running".into() },
        );
        self.unit(
            &id,
            Event::UnitRetried { cause: "tos-etcd still runs".into(), attempt: 1, of: 60, delay_ms: 2_000 },
        );
        self.wait(2_000).done(&id, 1, 34_500, json!({"stopped": ["tos-etcd"]}));
        self.unit(
            &id,
            Event::ObligationSettled {
                what: "restart-etcd".into(),
                host: format!("node-{node}"),
                item: None,
                by: None,
            },
        );
        self.unit(
            &id,
            Event::TrustChecked {
                first: false,
                edges: vec![TrustEdge {
                    server: "etcd@node-1".into(),
                    client: "apiserver@node-1".into(),
                    side: Side::Server,
                    verdict: TrustVerdict::Holds,
                    known: HowKnown::Handshake,
                    reason: String::new(),
                    answered: true,
                    stale: false,
                    until: Some(1_988_000_000),
                }],
            },
        )
    }

    pub fn end(&mut self, status: RunStatus, exit: i32, reason: &str, owed: &[&str]) -> &mut Self {
        self.add(Event::RunEnded {
            status,
            exit,
            reason: reason.into(),
            owed: owed.iter().map(|owed| (*owed).to_owned()).collect(),
        })
    }
}

pub fn diffs() -> Vec<Diff> {
    vec![
        Diff {
            path: "/srv/kubernetes/config.json".into(),
            before: Some("{\n  \"signing\": {\n    \"expiry\": \"87600h\"\n  }\n}\n".into()),
            after: Some("{\n  \"signing\": {\n\t\"expiry\": \"876000h\"\n  }\n}".into()),
            described: false,
        },
        Diff {
            path: "/srv/kubernetes/etcd-key.pem".into(),
            before: Some("an RSA key of 2048 bits, SHA-256 of its public key 11aa".into()),
            after: Some("an RSA key of 2048 bits, SHA-256 of its public key 22bb".into()),
            described: true,
        },
    ]
}

/// Everything worked.
pub fn success(nodes: usize, sandbox: bool) -> Vec<Record> {
    let mut journal = Journal::open(nodes, sandbox);
    journal.look(nodes).reissue();
    for number in 1..=nodes {
        journal.install(&format!("install@node-{number}"), 21_000 / number as i64);
    }
    for number in 1..=nodes {
        journal.bounce(number);
    }
    let id = "drop-old@node-1";
    journal.unit(id, Event::GateAsked { question: "Remove the old CA for good?".into(), irreversible: true });
    journal.wait(9_000).unit(
        id,
        Event::GateAnswered {
            answer: Answer::Skip,
            by: "anna@bastion".into(),
            via: Via::Terminal,
            why: "kept until Friday".into(),
        },
    );
    journal.unit(id, Event::UnitSkipped { reason: SkipReason::Operator, detail: "kept until Friday".into() });
    journal.add(Event::LockReleased { hosts: vec!["node-1".into()] });
    journal.end(RunStatus::Done, 0, "all steps are done", &[]);
    journal.records
}

/// A unit failed on the second node; a person resumed and it failed again.
pub fn failure() -> Vec<Record> {
    let mut journal = Journal::open(3, false);
    journal.look(3).reissue().install("install@node-1", 3_000);
    let id = "install@node-2";
    journal.install_plan(id).gate(id, 1_500).intent(id, 1, "file.put", &[]);
    journal.unit(
        id,
        Event::UnitOutput { stream: StreamName::Stderr, line: "\u{1b}[31mNo space left\u{1b}[0m".into() },
    );
    journal.wait(300);
    journal.unit(
        id,
        Event::UnitFailed {
            fault: fault(),
            before_effect: false,
            only_trust: false,
            wrote: Vec::new(),
            took_ms: 300,
        },
    );
    journal.end(RunStatus::Failed, 1, "install failed on node-2", &["restart-etcd@node-1"]);
    journal.wait(3_600_000).add(Event::RunResumed {
        operator: "ci@runner".into(),
        unattended: true,
        accepted: vec!["inventory: node-3 has a new address".into()],
        pinned: None,
        until: None,
    });
    journal.push(
        Some(id),
        2,
        Event::UnitPlanned {
            change: Change::Will,
            lines: Vec::new(),
            diffs: Vec::new(),
            basis: String::new(),
        },
    );
    journal.wait(200).push(
        Some(id),
        2,
        Event::UnitFailed {
            fault: FaultInfo { kind: "unreachable".into(), cause: "connection refused".into(), ..fault() },
            before_effect: true,
            only_trust: false,
            wrote: Vec::new(),
            took_ms: 0,
        },
    );
    journal.end(RunStatus::Unreachable, 4, "node-2 cannot be reached", &["restart-etcd@node-1"]);
    journal.records
}

/// The process was killed while a unit was under way.
pub fn killed() -> Vec<Record> {
    let mut journal = Journal::open(2, false);
    journal.look(2).reissue().install("install@node-1", 3_000);
    journal.install_plan("install@node-2").gate("install@node-2", 700).intent(
        "install@node-2",
        1,
        "file.put",
        &[],
    );
    journal.records
}

/// Killed, then rolled back; one path differs from its original.
pub fn rolled_back(differing: &[&str]) -> Vec<Record> {
    let mut journal = Journal { records: killed(), ..Journal::open(2, false) };
    journal.now_ms += 900_000;
    journal.add(Event::RunResumed {
        operator: "boris@laptop".into(),
        unattended: false,
        accepted: Vec::new(),
        pinned: None,
        until: None,
    });
    journal.unit(
        "install@node-2",
        Event::UnitReconciled {
            verdict: "not-done".into(),
            reason: "the receipt says that it never began".into(),
            by: "action".into(),
            result: Json::Null,
            wrote: Vec::new(),
        },
    );
    journal.add(Event::RollbackStarted {
        by: "boris@laptop".into(),
        reason: "wrong window".into(),
        accepted: Vec::new(),
        pinned: None,
    });
    for (id, how, path) in [
        ("install@node-1", "restore", "/srv/kubernetes"),
        ("reissue-ca@node-1", "undo", "/var/lib/keybook/r/staging/etcd-ca-new.pem"),
    ] {
        journal.unit(id, Event::UnitUndoIntent { how: how.into(), paths: vec![path.into()] });
        journal.wait(800).unit(id, Event::UnitUndone { how: how.into() });
    }
    let differing: Vec<String> = differing.iter().map(|path| (*path).to_owned()).collect();
    let (status, exit) = match differing.len() {
        0 => (RunStatus::RolledBack, 5),
        _ => (RunStatus::RollbackIncomplete, 6),
    };
    journal.add(Event::RollbackVerified { compared: 14, differing });
    journal.end(status, exit, "", &[]);
    journal.records
}

/// The intent of a unit that names these paths, which were there before, or not.
pub fn intent(paths: &[&str], there: bool) -> Event {
    let touched = |path: &&str| Touched { path: (*path).to_owned(), before: there.then(|| entry(path)) };
    Event::UnitIntent {
        action: "sh.run".into(),
        args: IndexMap::new(),
        args_digest: String::new(),
        memo: Json::Null,
        touches: paths.iter().map(touched).collect(),
    }
}
