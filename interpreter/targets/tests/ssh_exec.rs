//! Commands on real OpenSSH servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use keybook_api::{Cancel, Command, FaultKind, Receipt, ReceiptId, RunId, Secret, StreamName, UnitId};
use std::sync::Mutex;
use std::time::Duration;
use support::{Setup, Sshd, connect, number_in, quiet, runs, sh};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn receipt_id(sshd: &Sshd, ordinal: u32) -> ReceiptId {
    // Root's receipts are in /var/lib/keybook of this machine, so each server has a run of its own.
    let run = RunId::new(format!("test-{}-{}", std::process::id(), sshd.port)).unwrap();
    ReceiptId { run, unit: UnitId::parse("a/b@node#x").unwrap(), attempt: 1, ordinal }
}

/// Removes a run's receipts.
struct Cleaned(ReceiptId);

impl Drop for Cleaned {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(format!("/var/lib/keybook/{}", self.0.run));
        let _ = std::fs::remove_dir("/var/lib/keybook");
    }
}

#[tokio::test]
async fn commands_run_and_lines_stream() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    assert_eq!(host.identity().transport, format!("ssh root@127.0.0.1:{}", sshd.port));
    assert!(host.identity().host_key.starts_with("SHA256:"));
    assert_eq!(host.identity().hostname, support::must("uname", &["-n"]).trim());
    let seen = Mutex::new(Vec::new());
    let sink = |name: StreamName, line: &str| seen.lock().unwrap().push((name, line.to_owned()));
    let mut command =
        Command::shell("echo \"$1\"; printf '%s' \"$V\" >&2; cat; exit 9").args(["it's $x\nand"]);
    command.env.push(("V".into(), "v".into()));
    let exit = host.exec(command.stdin(Secret::new("input")), &sink).await.unwrap();
    assert_eq!((exit.status, exit.out().as_str(), exit.err().as_str()), (9, "it's $x\nand\ninput", "v"));
    let seen = seen.into_inner().unwrap();
    assert!(
        seen.contains(&(StreamName::Stdout, "and".into()))
            && seen.contains(&(StreamName::Stderr, "v".into()))
    );
    assert_eq!(sh(&*host, "kill -TERM $$").await.unwrap().status, 143);
    assert_eq!(sh(&*host, "nosuchprogram").await.unwrap().status, 127);
}

#[tokio::test]
async fn start_up_files_that_print_do_no_harm() {
    let sshd = Sshd::start();
    let noise = "echo noise; echo more noise >&2; printf '\\036 half'\n";
    std::fs::write(sshd.path("home/.bashrc"), noise).unwrap();
    let host = connect(&sshd.spec()).await.unwrap();
    let exit = sh(&*host, "echo out; echo err >&2").await.unwrap();
    assert_eq!((exit.out().as_str(), exit.err().as_str()), ("out\n", "err\n"));

    let path = sshd.text("file");
    host.write(&path, keybook_api::Write::keep(Secret::new("x"))).await.unwrap();
    assert_eq!(host.read(&path, 10).await.unwrap(), Secret::new("x"));
}

#[tokio::test]
async fn megabytes_come_and_are_bounded() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    let exit = sh(&*host, "head -c 50000000 /dev/zero | tr '\\0' x; echo; echo end").await.unwrap();
    assert!(exit.truncated);
    assert_eq!(exit.stdout.len(), 1 << 20);
    assert!(exit.out().ends_with("x\nend\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_megabytes_go_there_and_back() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    let bytes: Vec<u8> = (0..64 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut command = Command::shell("cat");
    command.keep_output = 64 << 20;
    let exit = host.exec(command.stdin(Secret::new(bytes.clone())), &quiet).await.unwrap();
    assert!(!exit.truncated && exit.stdout == bytes);
    // A command that does not read its input ends all the same.
    let exit = host.exec(Command::shell("echo no").stdin(Secret::new(bytes)), &quiet).await.unwrap();
    assert_eq!(exit.out(), "no\n");
}

#[tokio::test]
async fn a_background_child_does_not_hold_a_command() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    let running = tokio::time::timeout(Duration::from_secs(30), sh(&*host, "sleep 300 & echo $!"));
    let exit = running.await.unwrap().unwrap();
    let pid = exit.out().trim().parse().unwrap();
    assert!(runs(pid), "a daemon that a command starts lives on");
    support::signal(pid, "KILL");
}

#[tokio::test]
async fn time_out_and_cancel_end_the_remote_process() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    let file = sshd.path("pid");
    let script = "sh -c 'echo $$ >\"$1\"; sleep 300; :' sh \"$1\"; :";
    let command = Command::shell(script).args([sshd.text("pid")]);
    let fault = host.exec(command.clone().timeout(Duration::from_secs(1)), &quiet).await.unwrap_err();
    assert_eq!((fault.kind, fault.host.as_deref()), (FaultKind::TimedOut, Some("node")));
    assert_eq!(fault.now_true.as_deref(), Some("the command was ended (status 143)"));
    assert!(!runs(number_in(&file).await));

    std::fs::remove_file(&file).unwrap();
    let cancel = Cancel::new();
    let (result, pid) = tokio::join!(host.exec(command.cancel(&cancel), &quiet), async {
        let pid = number_in(&file).await;
        cancel.cancel();
        pid
    });
    assert_eq!(result.unwrap_err().kind, FaultKind::Stopped);
    assert!(!runs(pid));
}

#[tokio::test]
async fn a_command_outlives_its_connection_and_its_receipt_tells() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    let cleaned = Cleaned(receipt_id(&sshd, 0));
    let id = cleaned.0.clone();
    let (pid_file, go) = (sshd.path("pid"), sshd.path("go"));
    let script = "echo $$ >\"$1\"; while [ ! -e \"$2\" ]; do sleep 0.05; done; echo late; exit 5";
    let command = Command::shell(script).args([sshd.text("pid"), sshd.text("go")]).receipt(id.clone());
    let (result, pid) = tokio::join!(host.exec(command.clone(), &quiet), async {
        let pid = number_in(&pid_file).await;
        sshd.cut();
        pid
    });
    let fault = result.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.now_true.as_deref().unwrap().contains("what became of it is not known"), "{fault:?}");
    // The next call makes a new connection by itself.
    assert_eq!(host.receipt(&id).await.unwrap(), Receipt::Running);
    assert!(runs(pid));
    std::fs::write(go, "").unwrap();
    while host.receipt(&id).await.unwrap() == Receipt::Running {}
    assert_eq!(host.receipt(&id).await.unwrap(), Receipt::Ended(5));
    let fault = host.exec(command, &quiet).await.unwrap_err();
    assert_eq!(fault.now_true.as_deref(), Some("it was not run a second time"));
}

#[tokio::test]
async fn a_command_can_be_ended_over_a_new_connection() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    let cleaned = Cleaned(receipt_id(&sshd, 1));
    let id = cleaned.0.clone();
    let file = sshd.path("pid");
    let command = Command::shell("echo $$ >\"$1\"; sleep 300").args([sshd.text("pid")]).receipt(id.clone());
    let (result, pid) = tokio::join!(host.exec(command, &quiet), async {
        let pid = number_in(&file).await;
        sshd.cut();
        pid
    });
    assert!(result.is_err() && runs(pid));
    assert_eq!(host.end(&id).await.unwrap(), Receipt::Ended(143));
    assert!(!runs(pid));
}

#[tokio::test]
async fn a_frozen_host_does_not_hang_anything() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    let large = Command::shell("cat >/dev/null").stdin(Secret::new(vec![0; 64 << 20]));
    let (reading, writing, ()) = tokio::join!(sh(&*host, "sleep 20"), host.exec(large, &quiet), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sshd.freeze();
    });
    assert_eq!(reading.unwrap_err().kind, FaultKind::Unreachable);
    // It may have been through before the host froze.
    if let Err(fault) = writing {
        assert_eq!(fault.kind, FaultKind::Unreachable);
    }
    let mut spec = sshd.spec();
    spec.connect_timeout = Duration::from_secs(1);
    let fault = support::refusal(&spec).await;
    assert!(fault.cause.contains("took longer than 1s"), "{fault}");
}

#[tokio::test]
async fn an_idle_connection_that_was_lost_is_made_again() {
    let mut sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    for _ in 0..3 {
        sshd.cut();
        assert_eq!(sh(&*host, "echo again").await.unwrap().out(), "again\n");
    }
    sshd.restart();
    assert_eq!(sh(&*host, "echo again").await.unwrap().out(), "again\n");
    host.close().await;
    host.close().await;
    assert!(sshd.sessions().len() <= 2);
    assert_eq!(sh(&*host, "echo after close").await.unwrap().out(), "after close\n");
}

#[tokio::test]
async fn many_commands_share_few_channels() {
    for config in ["", "MaxSessions 2\n"] {
        let sshd = Sshd::with(Setup { config: config.into(), ..Setup::default() });
        let host = connect(&sshd.spec()).await.unwrap();
        let scripts: Vec<String> = (0..20).map(|i| format!("sleep 0.05; echo {i}")).collect();
        let results = futures::future::join_all(scripts.iter().map(|script| sh(&*host, script))).await;
        for (index, result) in results.into_iter().enumerate() {
            assert_eq!(result.unwrap().out(), format!("{index}\n"));
        }
    }
}

#[tokio::test]
async fn a_dead_host_does_not_hide_a_live_one() {
    let sshd = Sshd::start();
    let live = sshd.spec();
    let mut dead = sshd.spec();
    dead.name = "dead".into();
    dead.port = Some(support::free_port());
    let (live, dead) = tokio::join!(async { sh(&*connect(&live).await?, "echo here").await }, connect(&dead));
    assert_eq!(live.unwrap().out(), "here\n");
    let fault = dead.err().unwrap();
    assert_eq!((fault.kind, fault.host.as_deref()), (FaultKind::Unreachable, Some("dead")));
    assert!(fault.cause.contains("refused the connection"), "{fault}");
}

#[tokio::test]
async fn a_port_is_reached_through_the_host() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let mut stream = host.open("localhost", port, Duration::from_secs(10)).await.unwrap();
    stream.write_all(&[7; 100_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    assert_eq!(back, [7; 100_000]);
    echo.await.unwrap();
    let closed = support::free_port();
    let fault = host.open("127.0.0.1", closed, Duration::from_secs(10)).await.err().unwrap();
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert_eq!(sh(&*host, "echo still").await.unwrap().out(), "still\n");
}

#[tokio::test]
async fn an_unread_stream_does_not_freeze_the_connection() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let flood = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(&vec![1; 20 << 20]).await;
    });
    let stream = host.open("127.0.0.1", port, Duration::from_secs(10)).await.unwrap();
    flood.await.unwrap();
    assert_eq!(sh(&*host, "echo alive").await.unwrap().out(), "alive\n");
    drop(stream);
}

#[tokio::test]
async fn a_host_whose_sh_is_bash_behaves_alike() {
    let bash = "mount --bind /bin/bash /usr/bin/dash".to_owned();
    let sshd = Sshd::with(Setup { prepare: Some(bash), ..Setup::default() });
    let host = connect(&sshd.spec()).await.unwrap();
    assert!(sh(&*host, "echo \"$BASH_VERSION\"").await.unwrap().out().len() > 3, "this /bin/sh is bash");
    let cleaned = Cleaned(receipt_id(&sshd, 2));
    let command = Command::shell("echo \"$1\"; cat >&2; exit 4").args(["a\nb'c"]).stdin(Secret::new("in"));
    let exit = host.exec(command.receipt(cleaned.0.clone()), &quiet).await.unwrap();
    assert_eq!((exit.status, exit.out().as_str(), exit.err().as_str()), (4, "a\nb'c\n", "in"));
    assert_eq!(host.receipt(&cleaned.0).await.unwrap(), Receipt::Ended(4));
    let slow = Command::shell("sleep 300; :").timeout(Duration::from_millis(500));
    let fault = host.exec(slow, &quiet).await.unwrap_err();
    assert_eq!(fault.now_true.as_deref(), Some("the command was ended (status 143)"));
    let path = sshd.text("odd\nname");
    host.write(&path, keybook_api::Write::keep(Secret::new("x"))).await.unwrap();
    assert_eq!(host.tree(std::slice::from_ref(&path)).await.unwrap().len(), 1);
    std::os::unix::fs::symlink("odd\nname", sshd.path("link")).unwrap();
    let found = host.look(&sshd.text("link"), 10).await.unwrap();
    assert_eq!((found.path, found.file.unwrap().1), (path, Secret::new("x")));
}
