//! The example of the book does what the book says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::Event;
use keybook_tests::{
    cli::root,
    sandbox::{Bench, copy},
};
use serde_json::Value as Json;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
};

#[test]
fn book_example_is_valid_runs_and_is_taken_back() {
    let bench = Bench::new();
    let folder = root().join("book/examples/change-banner");
    let (folder, answers) = (folder.to_str().unwrap(), folder.join("scenarios/answers.yaml"));
    let found = bench.keybook.call(["validate", "--format", "json", folder]).with(0);
    let found: Json = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((&found["errors"], &found["warnings"]), (&0.into(), &0.into()), "{found:#}");

    let unattended = ["--unattended", "--answers", answers.to_str().unwrap()];
    bench.keybook.call([&["run", folder, "--sandbox"], &unattended[..]].concat()).with(0);
    let banner = |host: &str| fs::read_to_string(bench.on_host(host, "/etc/motd")).unwrap();
    for host in ["web-1", "web-2", "boss"] {
        assert_eq!(banner(host), format!("Authorised use only ({host})\n"));
    }
    let done = bench.keybook.units(|event| matches!(event, Event::UnitDone { .. }));
    for unit in ["reload/each/reload@web-1#login-screen", "reload/each/runs@web-2#web-console"] {
        assert!(done.iter().any(|known| known == unit), "{unit}: {done:#?}");
    }

    bench.on_run("rollback", &unattended).with(5);
    for host in ["web-1", "web-2", "boss"] {
        assert_eq!(banner(host), "Property of Old Company Ltd.\n");
    }
}

/// The chapter about scenarios: certificates, a daemon, and a connection that breaks once.
#[test]
fn book_example_of_a_scenario_loses_its_connection_goes_on_and_is_taken_back() {
    let bench = Bench::new();
    let folder = root().join("book/examples/web-certificate");
    let (folder, answers) = (folder.to_str().unwrap(), folder.join("scenarios/answers.yaml"));
    let found = bench.keybook.call(["validate", "--format", "json", folder]).with(0);
    let found: Json = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((&found["errors"], &found["warnings"]), (&0.into(), &0.into()), "{found:#}");

    let unattended = ["--unattended", "--answers", answers.to_str().unwrap()];
    bench.keybook.call([&["run", folder, "--sandbox", "lost-connection"], &unattended[..]].concat()).with(4);
    let pair =
        || ["web-1", "web-2"].map(|host| fs::read(bench.on_host(host, "/etc/web/server.pem")).unwrap());
    let [renewed, also_renewed] = pair();
    assert_ne!(renewed, also_renewed, "each has its own");

    bench.on_run("resume", &unattended).with(0);
    assert_eq!(pair(), [renewed.clone(), also_renewed], "nothing was issued or copied again");
    bench.on_run("rollback", &unattended).with(5);
    let [old, also_old] = pair();
    assert!(old == also_old && old != renewed, "both have the one they shared");
}

/// Two daemons on each host, in a loop: each owes its restart and is restarted for itself, on the way back too.
#[test]
fn book_example_of_two_daemons_restarts_those_whose_files_were_changed() {
    let bench = Bench::new();
    let folder = root().join("book/examples/two-daemons");
    let (folder, answers) = (folder.to_str().unwrap(), folder.join("scenarios/answers.yaml"));
    let found = bench.keybook.call(["validate", "--format", "json", folder]).with(0);
    let found: Json = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((&found["errors"], &found["warnings"]), (&0.into(), &0.into()), "{found:#}");

    let unattended = ["--unattended", "--answers", answers.to_str().unwrap()];
    let restarted = |host: &str| -> Vec<String> {
        let log = bench.run_folder().join(format!("sandbox/{host}/state/commands.log"));
        let log = fs::read_to_string(log).unwrap_or_default();
        let lines = log.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
        lines.map(|line| line["argv"][2].as_str().unwrap().to_owned()).collect()
    };
    let pairs = || -> Vec<Vec<u8>> {
        let of = |host, daemon| fs::read(bench.on_host(host, &format!("/etc/mail/{daemon}.pem"))).unwrap();
        [("mail-1", "imap"), ("mail-1", "smtp"), ("mail-2", "imap"), ("mail-2", "smtp")]
            .map(|(host, daemon)| of(host, daemon))
            .into()
    };
    let run = ["run", folder, "--sandbox", "smtp-fails"];
    let ended = bench.keybook.call([&run[..], &unattended].concat()).with(1);
    assert!(ended.stdout.contains("restart@mail-1#smtp"), "it alone is owed: {}", ended.stdout);
    assert!(!ended.stdout.contains("restart@mail-1#imap"), "{}", ended.stdout);
    bench.on_run("rollback", &unattended).with(5);
    assert_eq!(restarted("mail-1"), ["imap", "smtp", "imap"], "on the way back both, the latest first");
    assert_eq!(restarted("mail-2"), [""; 0]);

    bench.keybook.call([&run[..3], &unattended].concat()).with(0);
    let new = pairs();
    assert!(new.iter().enumerate().all(|(at, one)| !new[..at].contains(one)), "each has its own");
    bench.on_run("rollback", &unattended).with(5);
    let old = pairs();
    assert!(old.iter().all(|one| *one == old[0]) && !new.contains(&old[0]), "all have the one they shared");
    for host in ["mail-1", "mail-2"] {
        assert_eq!(restarted(host), ["imap", "smtp", "smtp", "imap"], "{host}");
    }
}

/// A way back that is wrong in the runbook itself: the run is taken back with a mended one.
#[test]
fn book_example_with_a_wrong_way_back_is_taken_back_when_it_is_mended() {
    let bench = Bench::new();
    copy(&root().join("book/examples/web-certificate"), &bench.path("web-certificate"));
    let (folder, answers) =
        (bench.text("web-certificate"), bench.text("web-certificate/scenarios/answers.yaml"));
    let file = bench.path("web-certificate/runbook.yaml");
    let right = fs::read_to_string(&file).unwrap();
    let wrong = right
        .replace("to: /etc/web/server.pem }", "to: /etc/web/server.pem }\n            register: put")
        .replace(
            "script: systemctl restart web",
            "script: 'systemctl restart ${if by_host[\"put\"][host.name].size > 0 { \"web\" } else { \"\" }}'",
        );
    assert_ne!(wrong, right);
    fs::write(&file, wrong).unwrap();
    let unattended = ["--unattended", "--answers", &answers];
    bench.keybook.call([&["run", &folder, "--sandbox"], &unattended[..]].concat()).with(0);
    let stuck = bench.on_run("rollback", &unattended).with(6);
    assert!(stuck.stdout.contains("--accept-changes"), "{}", stuck.stdout);

    fs::write(&file, right).unwrap();
    bench.on_run("rollback", &unattended).with(6);
    bench.on_run("rollback", &[&unattended[..], &["--accept-changes"]].concat()).with(5);
    let accepted = bench.keybook.records().into_iter().any(|record| {
        matches!(record.event, Event::RollbackStarted { accepted, pinned: Some(_), .. } if !accepted.is_empty())
    });
    assert!(accepted, "it is in the journal");
}

/// What was said in a chat room: the path that each message was posted to, and the message.
type Said = Arc<Mutex<Vec<(String, Json)>>>;

/// A chat room on a port of its own.
fn chat_room() -> (u16, Said) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, said) = (listener.local_addr().unwrap().port(), Said::default());
    let sink = said.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(&stream);
            let (mut line, mut path, mut length) = (String::new(), String::new(), 0);
            while reader.read_line(&mut line).unwrap_or(0) > 0 && line.trim() != "" {
                if path.is_empty() {
                    path = line.split(' ').nth(1).unwrap().to_owned();
                }
                if let Some(count) = line.to_lowercase().strip_prefix("content-length:") {
                    length = count.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            sink.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
            (&stream).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    (port, said)
}

#[test]
fn book_example_tells_people_when_it_waits_fails_and_ends() {
    let bench = Bench::new();
    copy(&root().join("book/examples/tell-people"), &bench.path("tell-people"));
    let folder = bench.text("tell-people");
    let found = bench.keybook.call(["validate", "--format", "json", &folder]).with(0);
    let found: Json = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((&found["errors"], &found["warnings"]), (&0.into(), &0.into()), "{found:#}");

    let (port, said) = chat_room();
    let webhook = bench.write("webhook", format!("http://127.0.0.1:{port}/hooks/T0KEN\n"));
    let secret = format!("webhook=@{webhook}");
    let inventory = bench.write(
        "inventory.yaml",
        "keybook: 1\ncluster: here\nhosts: { web-1: { local: true } }\ngroups: { web: [web-1] }\n",
    );
    let banner = bench.write("motd", "Property of Old Company Ltd.\n");
    let answers = bench.text("tell-people/scenarios/answers.yaml");
    let here = |args: &[&str]| bench.on_this_machine("true", args);
    let told = || -> Vec<String> {
        let all = std::mem::take(&mut *said.lock().unwrap());
        let text = |(path, body): (String, Json)| {
            assert_eq!(
                (path.as_str(), body["run"].as_str()),
                ("/hooks/T0KEN", Some(bench.keybook.latest().as_str()))
            );
            body["text"].as_str().unwrap().to_owned()
        };
        all.into_iter().map(text).collect()
    };
    let mut shown = Vec::new();

    let path = format!("banner={banner}");
    let begin = ["run", &folder, "-i", &inventory, "--unattended", "-e", &secret, "-e", &path];
    shown.push(here(&begin).with(3));
    let waiting = "tell-people on here: a person must answer: Replace the banner of web-1?";
    assert_eq!(told(), [waiting, "tell-people on here: the run is waiting"]);
    let run = bench.keybook.latest();
    shown.push(here(&["resume", &run, "--unattended", "--answers", &answers, "-e", &secret]).with(0));
    assert_eq!(told(), ["tell-people on here: the run is done"]);
    assert_eq!(fs::read_to_string(&banner).unwrap(), "Authorised use only\n");
    let of_done = bench.journal();

    // The file cannot be read: the unit fails.
    let folder_instead = format!("banner={}", bench.text("tell-people"));
    let fails = [
        "run",
        &folder,
        "-i",
        &inventory,
        "--unattended",
        "--answers",
        &answers,
        "-e",
        &secret,
        "-e",
        &folder_instead,
    ];
    shown.push(here(&fails).with(1));
    let failed = told();
    assert!(
        failed[0].starts_with("tell-people on here: \"Put the new banner in place\" failed on web-1: "),
        "{failed:#?}"
    );
    assert_eq!(failed[1..], ["tell-people on here: the run is failed"]);

    let run = bench.keybook.latest();
    shown.push(here(&["rollback", &run, "--unattended", "--answers", &answers, "-e", &secret]).with(5));
    assert_eq!(told(), ["tell-people on here: the run is rolled-back"]);

    // Nobody listens any more: that is noted, and the run goes on.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    bench.write("webhook", format!("http://127.0.0.1:{closed}/hooks/T0KEN\n"));
    fs::write(&banner, "Property of Old Company Ltd.\n").unwrap();
    let alone =
        ["run", &folder, "-i", &inventory, "--unattended", "--answers", &answers, "-e", &secret, "-e", &path];
    shown.push(here(&alone).with(0));
    let notes: Vec<String> = bench
        .keybook
        .records()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::RunNote { text } => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(notes, ["could not post to a secret URL: connection refused (3 tries)"]);

    for text in shown
        .iter()
        .flat_map(|ended| [&ended.stdout, &ended.stderr])
        .cloned()
        .chain([of_done, bench.journal()].iter().map(|journal| fs::read_to_string(journal).unwrap()))
    {
        assert!(!text.contains("T0KEN"), "{text}");
    }
}

#[test]
fn book_example_tells_nobody_from_a_sandbox() {
    let bench = Bench::new();
    copy(&root().join("book/examples/tell-people"), &bench.path("tell-people"));
    let (folder, answers) = (bench.text("tell-people"), bench.text("tell-people/scenarios/answers.yaml"));
    let (port, said) = chat_room();
    let webhook = bench.write("webhook", format!("http://127.0.0.1:{port}/hooks/T0KEN\n"));
    let run = ["run", &folder, "--sandbox", "--unattended", "--answers", &answers];
    bench.keybook.call(run).with(0);
    assert!(!bench.keybook.records().iter().any(|record| matches!(record.event, Event::RunNote { .. })));
    let secret = format!("webhook=@{webhook}");
    bench.keybook.call([&run[..], &["-e", &secret]].concat()).with(0);
    let noted = "could not tell anybody: a sandbox sends nothing; a real run would: post";
    assert!(bench.keybook.records().iter().any(|record| {
        matches!(&record.event, Event::RunNote { text } if text.starts_with(noted) && text.contains("a secret URL"))
    }));
    assert!(said.lock().unwrap().is_empty());
}
