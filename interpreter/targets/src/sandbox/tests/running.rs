//! Daemons, commands, receipts, faults.

use super::*;
use keybook_api::FaultKind;
use keybook_pki::Certificate;
use std::time::Duration;

/// The subject of what the daemon serves, and the names of what it has read.
async fn serves(host: &Arc<dyn Target>) -> (String, String) {
    let said = out(host, "serves").await;
    let subject = Certificate::load_all_pem(said.as_bytes()).unwrap()[0].subject().to_owned();
    (subject, said.lines().last().unwrap().to_owned())
}

#[tokio::test]
async fn a_daemon_keeps_what_it_read_until_it_is_restarted() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    assert_eq!(out(&host, "state h1").await, "true 1 ");
    let (subject, read) = serves(&host).await;
    assert_eq!(
        (subject.as_str(), read.as_str()),
        ("CN=leaf", r#"["certificate", "client_ca"]"#),
        "the key is not shown"
    );
    // The first start is of the scenario itself; new files change nothing until the file is away and back.
    for (from, to) in [("/srv/new.pem", "/srv/leaf.pem"), ("/srv/new-key.pem", "/srv/leaf-key.pem")] {
        let content = host.read(from, 1 << 20).await.unwrap();
        host.write(to, Write::keep(content)).await.unwrap();
    }
    assert_eq!(serves(&host).await.0, "CN=leaf");
    host.rename("/manifests/server", "/parked").await.unwrap();
    assert_eq!(out(&host, "state h1").await, "false 1 ");
    let world = world.again();
    let host = world.host("h1").await;
    host.rename("/parked", "/manifests/server").await.unwrap();
    assert_eq!(out(&host, "state h1").await, "true 2 ");
    assert_eq!(serves(&host).await.0, "CN=other");
    assert_eq!(out(&host, "state h2").await, "true 1 ", "the other host was left alone");
    // As a kubelet: another content of the file is another pod.
    put(&host, "/manifests/server", "v2").await;
    assert_eq!(out(&host, "state h1").await, "true 3 ");
    assert_eq!(out(&host, "state h1").await, "true 3 ");
}

#[tokio::test]
async fn away_and_back_without_a_look_between_is_a_restart() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    host.rename("/manifests/server", "/parked").await.unwrap();
    host.rename("/parked", "/manifests/server").await.unwrap();
    assert_eq!(out(&host, "state h1").await, "true 2 ");
}

#[tokio::test]
async fn a_daemon_that_cannot_read_its_files_does_not_run() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    let good = host.read("/srv/leaf-key.pem", 1 << 20).await.unwrap();
    let other = host.read("/srv/new-key.pem", 1 << 20).await.unwrap();
    host.write("/srv/leaf-key.pem", Write::keep(other)).await.unwrap();
    put(&host, "/manifests/server", "v2").await;
    assert_eq!(out(&host, "state h1").await, "false 1 tls: private key does not match public key");
    host.remove("/srv/leaf-key.pem").await.unwrap();
    let absent = "false 1 open /srv/leaf-key.pem: no such file or directory";
    assert_eq!(out(&host, "state h1").await, absent);
    put(&host, "/srv/leaf-key.pem", "rubbish").await;
    assert!(out(&host, "state h1").await.starts_with("false 1 key: "));
    host.write("/srv/leaf-key.pem", Write::keep(good)).await.unwrap();
    assert_eq!(out(&host, "state h1").await, "true 2 ");
}

#[tokio::test]
async fn a_start_may_take_time() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    put(&host, "/manifests/slow", "x").await;
    assert_eq!(out(&host, "slow").await, "false 0 true");
    // As if an hour had passed.
    let records = world.folder.path().join("sb/h1/state/daemons.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&records).unwrap()).unwrap();
    json["slow"]["appeared"] =
        serde_json::Value::from(json["slow"]["appeared"].as_i64().unwrap() - 3_600_000);
    std::fs::write(&records, json.to_string()).unwrap();
    assert_eq!(out(&host, "slow").await, "true 1 true");
}

#[tokio::test]
async fn answers_see_the_command_and_the_hosts() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    let mut command = Command::shell("A=b exec \"$1\"").args(["where", "z"]).stdin(Secret::new("in"));
    command.env.push(("V".into(), "w".into()));
    let seen = std::sync::Mutex::new(Vec::new());
    let exit =
        host.exec(command, &|name, line| seen.lock().unwrap().push((name, line.to_owned()))).await.unwrap();
    let expected = r#"h1 ["all", "first"] 10.0.0.2 ["h1"] sandbox ["where"] ["where", "z"] where #{"A": "b", "V": "w"} in"#;
    assert_eq!(exit.out(), expected);
    assert_eq!(seen.into_inner().unwrap(), [(StreamName::Stdout, expected.to_owned())]);

    assert_eq!(out(&world.host("h2").await, "only h2").await, "h2\n");
    let exit = run(&host, "only  h2").await.unwrap();
    assert_eq!((exit.status, exit.out().as_str(), exit.err().as_str()), (3, "not h2\n", "warned\n"));
    let mut long = Command::argv(["long"]);
    long.keep_output = 100;
    let exit = host.exec(long, &quiet).await.unwrap();
    assert!(exit.truncated && exit.stdout.len() == 100, "{exit:?}");
    assert_eq!(out(&host, "option --a=1 -b 'x y'").await, "1 x y true");
}

#[tokio::test]
async fn answers_act_on_the_hosts() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    assert_eq!(out(&host, "count").await, "1");
    assert_eq!(out(&world.host("h2").await, "count").await, "1", "each host has values of its own");
    let world = world.again();
    let host = world.host("h1").await;
    assert_eq!(out(&host, "count").await, "2");
    assert_eq!(out(&host, "peek h2 /etc/motd").await, "I am h2 at 10.0.0.2 of 2\n");
    assert_eq!(out(&host, "files").await, r#"true false ["server"]"#);
    assert_eq!(host.read("/srv/made", 9).await.unwrap(), Secret::new("x"));
    assert_eq!(host.stat("/srv/leaf.pem").await.unwrap(), None);
    let fault = run(&host, "peek h9 /x").await.unwrap_err();
    assert!(fault.cause.contains("the sandbox has no host `h9`"), "{fault}");
    let lines: Vec<String> =
        world.log("h1").iter().map(|entry| entry["line"].as_str().unwrap().to_owned()).collect();
    assert_eq!(lines, ["count", "count", "peek h2 /etc/motd", "files"]);
}

#[tokio::test]
async fn nothing_runs_without_an_answer() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    let id = receipt_id(0);
    let script = format!("touch {}/proof", world.folder.path().display());
    let fault = host.exec(Command::shell(&script).receipt(id.clone()), &quiet).await.unwrap_err();
    assert_eq!(fault.cause, format!("the scenario has no answer for `{script}`"));
    assert_eq!((fault.host.as_deref(), fault.kind), (Some("h1"), FaultKind::Failed));
    assert!(fault.hints[0].contains("`commands` in s.yaml"), "{fault:?}");
    assert_eq!(
        fault.at.unwrap().line as usize,
        WORLD.lines().position(|line| line == "commands:").unwrap() + 2
    );
    assert_eq!(host.receipt(&id).await.unwrap(), Receipt::Absent);
    assert!(!world.folder.path().join("proof").exists());
    assert_eq!(world.log("h1"), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn receipts_say_what_happened_after_a_kill() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    assert_eq!(host.receipt(&receipt_id(9)).await.unwrap(), Receipt::Absent);
    let fault = host.exec(Command::argv(["effect", "1"]).receipt(receipt_id(9)), &quiet).await.unwrap_err();
    assert_eq!(
        fault.now_true.as_deref(),
        Some("the command did not begin"),
        "it was said that it never began"
    );
    assert_eq!(host.receipt(&receipt_id(9)).await.unwrap(), Receipt::Absent);
    assert_eq!(world.log("h1").len(), 0);
    let exit = host.exec(Command::argv(["effect", "1"]).receipt(receipt_id(0)), &quiet).await.unwrap();
    assert_eq!(exit.status, 4);
    let world = world.again();
    let host = world.host("h1").await;
    assert_eq!(host.receipt(&receipt_id(0)).await.unwrap(), Receipt::Ended(4));
    assert_eq!(host.end(&receipt_id(0)).await.unwrap(), Receipt::Ended(4));
    let fault = host.exec(Command::argv(["effect", "1"]).receipt(receipt_id(0)), &quiet).await.unwrap_err();
    assert!(fault.cause.contains("began before"), "{fault}");
    // The POSIX layer finds the same receipt where it looks on a real host.
    let base = world.at("h1", "/var/lib/keybook/r1/receipts").join(receipt_id(0).file_name());
    assert_eq!(std::fs::read_to_string(format!("{}.ended", base.display())).unwrap(), "4\n");
    let begun = std::fs::read_to_string(format!("{}.begun", base.display())).unwrap();
    assert_eq!(begun.split_whitespace().count(), 6, "{begun}");
    let entry = &world.log("h1")[0];
    assert_eq!(
        (entry["unit"].as_str(), entry["attempt"].as_i64(), entry["status"].as_i64()),
        (Some("a/b@h1#x y"), Some(1), Some(4))
    );
    assert_eq!(world.log("h1").len(), 1);
}

#[tokio::test]
async fn a_command_that_was_cut_off_is_not_known_to_have_ended() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    let fault = host.exec(Command::shell("broken").receipt(receipt_id(0)), &quiet).await.unwrap_err();
    assert!(fault.cause.contains("it broke"), "{fault}");
    assert_eq!(
        fault.at.unwrap().line as usize,
        WORLD.lines().position(|line| line.contains("\"broken\"")).unwrap() + 1
    );
    assert_eq!(host.receipt(&receipt_id(0)).await.unwrap(), Receipt::Cut);

    let task = tokio::spawn({
        let host = host.clone();
        async move { host.exec(Command::shell("sleepy").receipt(receipt_id(1)), &quiet).await }
    });
    let begun = world.at("h1", "/var/lib/keybook/r1/receipts").join(receipt_id(1).file_name() + ".begun");
    while !begun.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(host.receipt(&receipt_id(1)).await.unwrap(), Receipt::Running);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    drop(host);
    let world = world.again();
    assert_eq!(world.host("h1").await.receipt(&receipt_id(1)).await.unwrap(), Receipt::Cut);
}

#[tokio::test]
async fn a_slow_command_is_ended_by_time_and_by_cancelling() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    let command = Command::shell("sleepy").timeout(Duration::from_millis(20)).receipt(receipt_id(0));
    let fault = host.exec(command, &quiet).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TimedOut);
    assert_eq!(host.receipt(&receipt_id(0)).await.unwrap(), Receipt::Ended(143));
    let cancel = keybook_api::Cancel::new();
    let command = Command::shell("sleepy").cancel(&cancel);
    let (fault, ()) = tokio::join!(host.exec(command, &quiet), async { cancel.cancel() });
    assert_eq!(fault.unwrap_err().kind, FaultKind::Stopped);
    let fault = host.exec(Command::shell("count").cancel(&cancel), &quiet).await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.now_true.as_deref()),
        (FaultKind::Stopped, Some("the command did not begin"))
    );
}

#[tokio::test]
async fn faults_happen_once_also_after_a_kill() {
    let faults = "faults:\n  - { hosts: h1, command: count, nth: 2, kind: disconnect }\n  \
        - { hosts: all, path: /srv/*, kind: disk-full }\n  - { hosts: h1, command: files, kind: fail }\n";
    let world = World::new(&format!("{WORLD}{faults}"));
    let host = world.host("h1").await;
    assert_eq!(out(&host, "count").await, "1");
    let world = world.again();
    let host = world.host("h1").await;
    assert_eq!(run(&host, "count").await.unwrap_err().kind, FaultKind::Unreachable);
    assert_eq!(out(&host, "count").await, "2", "the one that failed did nothing");
    assert_eq!(run(&host, "files").await.unwrap_err().kind, FaultKind::Failed);
    let fault = host.write("/srv/leaf.pem", Write::keep(Secret::new("x"))).await.unwrap_err();
    assert!(fault.cause.contains("disk is full"), "{fault}");
    put(&host, "/tmp/x", "x").await;
    put(&host, "/srv/leaf.pem", "x").await;
}

#[tokio::test]
async fn what_was_done_before_the_connection_broke_stays_done() {
    let faults = "faults:\n  - { hosts: h1, command: count, kind: disconnect-after }\n  \
        - { hosts: h1, path: /srv/made, kind: disconnect-after }\n  \
        - { hosts: h1, path: /srv/copy, kind: fail }\n  - { hosts: h1, path: /srv/moved, kind: disconnect }\n  \
        - { hosts: h1, path: /srv/leaf.pem, kind: fail }\n  - { hosts: h1, path: /srv/dir, kind: disk-full }\n";
    let world = World::new(&format!("{WORLD}{faults}"));
    let host = world.host("h1").await;
    assert_eq!(run(&host, "count").await.unwrap_err().kind, FaultKind::Unreachable);
    assert_eq!(out(&host, "count").await, "2", "the first one did its work");
    let fault = host.write("/srv/made", Write::keep(Secret::new("x"))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert_eq!(host.read("/srv/made", 9).await.unwrap().expose(), b"x");
    // Every way to change a file can go wrong, and then it did not happen.
    host.copy("/srv/made", "/srv/copy").await.unwrap_err();
    host.rename("/srv/made", "/srv/moved").await.unwrap_err();
    host.remove("/srv/leaf.pem").await.unwrap_err();
    host.make_dir("/srv/dir", 0o700).await.unwrap_err();
    for (path, there) in [
        ("/srv/copy", false),
        ("/srv/moved", false),
        ("/srv/made", true),
        ("/srv/leaf.pem", true),
        ("/srv/dir", false),
    ] {
        assert_eq!(host.stat(path).await.unwrap().is_some(), there, "{path}");
    }
}

#[tokio::test]
async fn a_host_that_boots_starts_its_daemons_with_the_files_that_are_there() {
    let faults = "faults: [{ hosts: h1, command: where, kind: reboot }]\n";
    let world = World::new(&format!("{WORLD}{faults}"));
    let host = world.host("h1").await;
    for (from, to) in [("/srv/new.pem", "/srv/leaf.pem"), ("/srv/new-key.pem", "/srv/leaf-key.pem")] {
        let content = host.read(from, 1 << 20).await.unwrap();
        host.write(to, Write::keep(content)).await.unwrap();
    }
    assert_eq!(serves(&host).await.0, "CN=leaf");
    assert_eq!(run(&host, "where").await.unwrap_err().kind, FaultKind::Unreachable);
    assert_eq!(out(&host, "state h1").await, "true 2 ");
    assert_eq!(serves(&host).await.0, "CN=other");
    assert_eq!(out(&host, "state h2").await, "true 1 ", "the other host was left alone");
}

#[tokio::test]
async fn a_receipt_of_another_process_counts_while_that_one_lives() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    host.exec(Command::argv(["effect", "1"]).receipt(receipt_id(0)), &quiet).await.unwrap();
    let base = world.at("h1", "/var/lib/keybook/r1/receipts").join(receipt_id(0).file_name());
    std::fs::remove_file(format!("{}.ended", base.display())).unwrap();
    assert_eq!(host.receipt(&receipt_id(0)).await.unwrap(), Receipt::Cut, "this process answers it no more");
    let mut other = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", other.id())).unwrap();
    let since = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().to_owned();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let line = |since: &str| format!("{0} {since} {1} {0} {since} x\n", other.id(), boot.trim());
    let begun = format!("{}.begun", base.display());
    std::fs::write(&begun, line(&since)).unwrap();
    assert_eq!(host.receipt(&receipt_id(0)).await.unwrap(), Receipt::Running);
    std::fs::write(&begun, line("1")).unwrap();
    assert_eq!(
        host.receipt(&receipt_id(0)).await.unwrap(),
        Receipt::Cut,
        "its number is another process's now"
    );
    std::fs::write(&begun, line(&since)).unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(host.receipt(&receipt_id(0)).await.unwrap(), Receipt::Cut);
}

#[tokio::test]
async fn commands_at_the_same_time_do_not_lose_each_other() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    let all = futures::future::join_all((0..8).map(|_| out(&host, "count"))).await;
    let mut numbers: Vec<u32> = all.iter().map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    assert_eq!(world.log("h1").len(), 8);
}

/// What the scenario asked for and did not come about is told with its place; what struck on one host has struck.
#[tokio::test]
async fn what_did_not_come_about_is_told() {
    let text = format!(
        "{WORLD}faults:
  - {{ hosts: all, command: \"count\", kind: fail }}
  - {{ hosts: all, path: /srv/never, kind: fail }}
  - {{ hosts: h1, command: \"where\", nth: 3, kind: disconnect }}
"
    );
    let line = |words: &str| text.lines().position(|line| line.contains(words)).unwrap() + 1;
    let world = World::new(&text);
    assert_eq!(world.connector.notes_at_start(), [""; 0]);
    let host = world.host("h1").await;
    assert_eq!(run(&host, "count").await.unwrap_err().kind, FaultKind::Failed);
    out(&host, "where").await;
    let told = [
        format!("the fault at s.yaml:{} did not strike in this run: nothing fitted it", line("/srv/never")),
        format!(
            "the fault at s.yaml:{} did not strike in this run: what it fits came 1 of 3 times",
            line("nth: 3")
        ),
    ];
    assert_eq!(world.again().connector.notes_at_end(), told);

    let text = text.replace("key: /srv/leaf-key.pem", "key: /srv/no-key.pem");
    let line = text.lines().position(|line| line.contains("/srv/no-key.pem")).unwrap() + 1;
    let world = World::new(&text);
    let told = |host: &str| {
        let why = "open /srv/no-key.pem: no such file or directory";
        format!("the daemon `server` (s.yaml:{line}) does not start on {host}: {why}")
    };
    assert_eq!(world.connector.notes_at_start(), [told("h1"), told("h2")]);
}
