//! What goes wrong with a real cluster: nodes that cannot be reached, at the start and all of a sudden; with `--full`, one fault
//! after the other, and the table of what came of each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_api::Event;
use keybook_tests::{
    cli::{Ended, Keybook},
    lab::{Lab, TOS, answers},
    manager::{rows_are_the_files, table},
    proof::Before,
    tables::row,
};
use std::{
    ffi::OsStr,
    fs,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::{sleep, spawn},
    time::Duration,
};

const LAST: &str = "jiujiu-tdh-12";

const GATES: [&str; 3] = ["install@*: run", "bounce@*: run", "rollback: run"];

/// What a child of ours printed, and its exit code.
fn ended(child: Child) -> Ended {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

struct Scene {
    lab: Lab,
    keybook: Keybook,
    answers: String,
}

impl Scene {
    fn up(index: u8, options: &[&str], gates: &[&str]) -> Self {
        let lab = Lab::up(index, options);
        let keybook = Keybook::new(lab.scratch());
        let answers = answers(lab.scratch(), gates);
        Self { answers: answers.to_str().unwrap().to_owned(), lab, keybook }
    }

    fn run(&self) -> Ended {
        ended(self.start().spawn().unwrap())
    }

    fn on_run(&self, verb: &str, run: &str) -> Ended {
        ended(self.command([verb, run]).spawn().unwrap())
    }

    fn command<S: AsRef<OsStr>>(&self, verb: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.keybook.command(verb);
        command.args(["--unattended", "--answers", &self.answers]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Command {
        self.command(self.lab.renewal(TOS))
    }

    /// Whether each thing that the latest run's preflight looked at was as it should be, on one host.
    fn preflight(&self, name: &str) -> Vec<bool> {
        let records = self.keybook.records();
        let found = |event: &Event| match event {
            Event::PreflightChecked { host, ok, .. } if host == name => Some(*ok),
            _ => None,
        };
        records.iter().filter_map(|record| found(&record.event)).collect()
    }

    /// Runs it, and cuts a node off as soon as a unit is under way.
    fn cut(&self, command: &mut Command, node: &str, unit: &str) -> Ended {
        let runs = self.keybook.runs().len();
        let fresh = command.get_args().next().is_some_and(|verb| verb == "run");
        let mut child = command.spawn().unwrap();
        let intents = || self.keybook.units(|event| matches!(event, Event::UnitIntent { .. }));
        let under_way =
            || (!fresh || self.keybook.runs().len() > runs) && intents().iter().any(|begun| begun == unit);
        while !under_way() {
            if child.try_wait().unwrap().is_some() {
                panic!("it ended before {unit}: {:#?}", ended(child));
            }
            sleep(Duration::from_millis(10));
        }
        self.lab.node(node, &["lab-sshd", "cut"]);
        ended(child)
    }
}

#[test]
fn lab_faults_unreachable_nodes() {
    let scene = Scene::up(111, &["--nodes", "3"], &GATES);
    let lab = &scene.lab;
    let before = Before::of(lab);
    let client = lab.client();

    // At the start: the others are looked at all the same, and nothing is changed on any.
    lab.node(LAST, &["lab-sshd", "stop"]);
    ended(scene.start().spawn().unwrap())
        .with(4)
        .says("unreachable: could not pass the preflight")
        .says(&format!("why {LAST}: reach: could not connect to 127.66.111.12:22 on {LAST}"))
        .says("nothing listens there")
        .says("now no step was begun");
    for name in &lab.masters {
        let found = scene.preflight(name);
        assert_eq!(found.len() > 1, name != LAST, "{name}: {found:?}");
        assert!(found.iter().all(|ok| *ok == (name != LAST)), "{name}: {found:?}");
        let traces = lab.node(name, &["sh", "-c", "find /var/lib/keybook 2>/dev/null || true"]);
        assert_eq!(traces, "", "{name} has traces of a run that did not begin");
    }
    before.untouched(lab);
    lab.start_sshd(LAST);

    // In mid-distribution, before the node's turn has come.
    scene
        .cut(&mut scene.start(), LAST, "install/ca@jiujiu-tdh-11")
        .with(4)
        .says("status host unreachable (exit 4)")
        .says(&format!("127.66.111.12:22 on {LAST}"))
        .says("nothing listens there")
        .says("Still owed - restart-etcd@jiujiu-tdh-10 - restart-etcd@jiujiu-tdh-11");
    let run = scene.keybook.latest();
    ended(scene.command(["resume", &run]).spawn().unwrap())
        .with(4)
        .says(&format!("why {LAST}: reach: could not connect to 127.66.111.12:22"))
        .says("now no step was begun");
    lab.start_sshd(LAST);

    // In the middle of a restart: whether the pods were stopped cannot be found out, which is worse than unreachable.
    scene
        .cut(&mut scene.command(["resume", &run]), "jiujiu-tdh-11", "bounce/stop@jiujiu-tdh-11")
        .with(9)
        .says("Stop tos-etcd and tos-apiserver: failed after")
        .says("unreachable: could not")
        .says("outcome unknown: nobody can tell whether this happened: go on past bounce/stop@jiujiu-tdh-11")
        .says("now it was not done again")
        .says("Still owed - restart-etcd@jiujiu-tdh-11 - restart-etcd@jiujiu-tdh-12");
    lab.start_sshd("jiujiu-tdh-11");
    ended(scene.command(["resume", &run]).spawn().unwrap()).with(0).says("status done (exit 0)");
    client.lost_nothing();
    before.renewed(lab);
    scene.keybook.call(["verify", &run]).with(0);
}

/// A line of the table: what is said must be what is told of it.
#[track_caller]
fn told(key: &str, fault: &str, ended: Ended, code: i32, said: &str, afterwards: &str) {
    ended.with(code).says(said);
    row("real-faults", key, &[fault, "1", said, &code.to_string(), afterwards]);
}

const NOTHING: &str = "nothing was changed on any node";

#[test]
fn full_lab_fault_before_the_first_change() {
    let scene = Scene::up(121, &["--nodes", "3"], &GATES);
    let lab = &scene.lab;
    let before = Before::of(lab);
    let client = lab.client();

    // Another host answers in its place.
    let file = lab.dir().join("known_hosts");
    let known = fs::read_to_string(&file).unwrap();
    let lines = |name: &str| -> Vec<&str> {
        known.lines().filter(|line| line.split([' ', ',']).next() == Some(&lab.address(name))).collect()
    };
    assert!(!lines(LAST).is_empty(), "{known}");
    let mut changed: Vec<String> =
        known.lines().filter(|line| !lines(LAST).contains(line)).map(str::to_owned).collect();
    let other = lines("jiujiu-tdh-11").into_iter();
    changed.extend(other.map(|line| line.replace(&lab.address("jiujiu-tdh-11"), &lab.address(LAST))));
    fs::write(&file, changed.join("\n") + "\n").unwrap();
    told("01", "a node has another host key", scene.run(), 4, "HAS CHANGED", NOTHING);
    fs::write(&file, &known).unwrap();
    before.untouched(lab);

    // Only `date` is an hour off: a namespace has no clock of its own.
    let date = "printf '#!/bin/sh\\nexec /usr/bin/date -d \"+1 hour\" \"$@\"\\n' >/usr/local/bin/date; chmod 755 /usr/local/bin/date";
    lab.node(LAST, &["sh", "-c", date]);
    told("02", "a node's clock is an hour off (its `date` says so)", scene.run(), 1, "clock", NOTHING);
    lab.node(LAST, &["rm", "/usr/local/bin/date"]);
    before.untouched(lab);

    lab.node(LAST, &["lab-sshd", "stop"]);
    told("03", "a node is down", scene.run(), 4, "nothing listens there", NOTHING);
    lab.start_sshd(LAST);
    before.untouched(lab);

    // A run that waits for a person holds the cluster.
    let none = answers(lab.scratch(), &["rollback: run"]);
    let mut waiting = scene.keybook.command(lab.renewal(TOS));
    waiting.args(["--unattended", "--answers", none.to_str().unwrap()]).stdin(Stdio::null());
    ended(waiting.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).with(3);
    let holder = scene.keybook.latest();
    told("04", "another run holds the cluster", scene.run(), 7, &format!("run {holder} of"), NOTHING);
    scene.on_run("rollback", &holder).with(5);
    before.untouched(lab);
    client.lost_nothing();

    // Two of three members hang, so there is no quorum.
    let two = ["jiujiu-tdh-11", LAST];
    for name in two {
        lab.node(name, &["pkill", "-STOP", "-x", "etcd"]);
    }
    // Without it kubectl is asked, whose API server waits for etcd.
    let mut command = scene.start();
    command.args(["-e", "tos_version=v2.0.0-tos-final-tdh"]);
    let failed = ended(command.spawn().unwrap());
    for name in two {
        lab.node(name, &["pkill", "-CONT", "-x", "etcd"]);
    }
    told(
        "05",
        "etcd has no quorum (two members hang)",
        failed,
        1,
        "Check that etcd has exactly one leader: failed",
        "no file was changed on any node",
    );
    scene.on_run("rollback", &scene.keybook.latest()).with(5);
    // API servers end by themselves without it.
    before.same_files(lab);
}

/// Carries bytes both ways, each piece a tenth of a second late.
fn slowly(from: &str, to: &str) {
    let (listener, to) = (TcpListener::bind(from).unwrap(), to.to_owned());
    let copy = |mut from: TcpStream, mut to: TcpStream| {
        let mut bytes = [0; 65536];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            sleep(Duration::from_millis(100));
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    };
    spawn(move || {
        for near in listener.incoming().flatten() {
            let far = TcpStream::connect(&to).unwrap();
            let (near_too, far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            spawn(move || copy(near, far));
            spawn(move || copy(far_too, near_too));
        }
    });
}

#[test]
fn full_lab_fault_slow_node() {
    let scene = Scene::up(122, &["--nodes", "3"], &GATES);
    let lab = &scene.lab;
    let before = Before::of(lab);
    let client = lab.client();
    let address = lab.address(LAST);
    slowly(&format!("{address}:2222"), &format!("{address}:22"));
    let known = lab.dir().join("known_hosts");
    let text = fs::read_to_string(&known).unwrap();
    let line = text.lines().find(|line| line.starts_with(&address)).unwrap();
    fs::write(&known, format!("{text}{}\n", line.replacen(&address, &format!("[{address}]:2222"), 1)))
        .unwrap();
    let text = fs::read_to_string(lab.inventory()).unwrap();
    let slow = text.replace(&format!("address: {address}"), &format!("address: {address}, port: 2222"));
    assert_ne!(text, slow);
    fs::write(lab.inventory(), slow).unwrap();
    let ended = scene.run();
    told(
        "06",
        "every answer of a node takes 0.2 s longer",
        ended,
        0,
        "status done (exit 0)",
        "renewed, as on a quick node",
    );
    client.lost_nothing();
    before.renewed(lab);
}

#[test]
fn full_lab_fault_database_gone_in_mid_transaction() {
    let gates = [GATES.as_slice(), &["database/write@*: run", "outage@*: run"]].concat();
    let scene = Scene::up(123, &["--nodes", "1", "--database", "1"], &gates);
    let lab = &scene.lab;
    let (before, manager) = (Before::of(lab), &lab.settings["MANAGER"]);
    let rows = table(lab, "manager_info");
    // Somebody else holds the last row, so the transaction waits in its middle.
    let hold = "setsid sh -c 'echo \"BEGIN; SELECT * FROM manager_info WHERE id = 3 LOCK IN SHARE MODE; DO SLEEP(600);\" | \
                mysql -uroot transwarp_manager' >/dev/null 2>&1 </dev/null &";
    let inventory = lab.inventory();
    let args = [
        "run",
        TOS,
        "-i",
        inventory.to_str().unwrap(),
        "-e",
        "settle=1s",
        "-e",
        "database=sql",
        "-e",
        "db_user=root",
    ];
    lab.node(manager, &["sh", "-c", hold]);
    let child = scene.command(args).spawn().unwrap();
    let working = || {
        let list = lab.node(manager, &["mysql", "-uroot", "-N", "-B", "-e", "SHOW FULL PROCESSLIST"]);
        list.lines().any(|line| line.contains("UPDATE `manager_info`"))
    };
    lab.until("the transaction waits for the row", working);
    lab.node(manager, &["pkill", "-KILL", "mariadbd"]);
    let failed = ended(child);
    let start = "setsid mariadbd --no-defaults --user=root --skip-networking --datadir=/var/lib/mysql \
                 --socket=/run/mysqld/mysqld.sock >/var/log/mariadb.log 2>&1 </dev/null &";
    lab.node(manager, &["sh", "-c", start]);
    lab.until("the database is there", || {
        lab.node(manager, &["sh", "-c", "mysql -uroot -N -e 'SELECT 7' 2>/dev/null || true"]).trim() == "7"
    });
    assert_eq!(table(lab, "manager_info"), rows, "none of the transaction's changes stayed");
    let run = scene.keybook.latest();
    told(
        "07",
        "the database ends in mid-transaction",
        failed,
        9,
        "the connection to the server was lost",
        "the old rows; a resume wrote the new ones",
    );
    scene.on_run("resume", &run).with(0);
    before.renewed(lab);
    rows_are_the_files(lab);
}
