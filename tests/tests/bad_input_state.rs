//! The state directory and the journal in it: not usable, of somebody else, full, newer, torn, edited, reordered; and
//! two processes at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::Event;
use keybook_tests::{
    cli::Ended,
    sandbox::{Bench, FIRST, assert_same, signal, tree},
};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
};

/// A begun run must not have happened.
fn nothing_begun(bench: &Bench) {
    let begun = bench
        .keybook
        .runs()
        .iter()
        .any(|run| run.join("journal.jsonl").exists() || run.join("sandbox").exists());
    assert!(!begun, "a run was begun");
}

#[test]
fn bad_input_state_directory_that_is_a_file() {
    let bench = Bench::new();
    bench.write("state/keybook", "in the way");
    let ended = bench.run("quick-one", &[]).with(1).says("could not make the run's folder");
    ended
        .says("now nothing was changed")
        .says("make the state directory writable, or set XDG_STATE_HOME to one that is");
    assert_eq!(fs::read_to_string(bench.path("state/keybook")).unwrap(), "in the way");
}

#[test]
fn bad_input_state_directory_read_only() {
    let bench = Bench::new();
    let read_only = "mount --bind \"$1/state\" \"$1/state\"; mount -o remount,bind,ro \"$1/state\"";
    let args = bench.unattended("quick-one", &[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ended = bench.on_this_machine(read_only, &args).with(1);
    ended
        .says("could not make the run's folder")
        .says("Read-only file system")
        .says("now nothing was changed");
    nothing_begun(&bench);
    // A run that rests there is not lost: it can be looked at, and goes on when the directory is writable again.
    bench.run("quick-one", &["--until", "check"]).with(0);
    let before = tree(&bench.path("state"));
    let id = bench.keybook.latest();
    let resume = ["resume", &id, "--unattended", "--answers", &bench.answers()];
    bench
        .on_this_machine(read_only, &resume)
        .with(1)
        .says(&format!("could not take hold of run {id}"))
        .says("Read-only file system");
    bench.on_this_machine(read_only, &["show", &id]).with(0);
    assert_same(&before, &tree(&bench.path("state")));
    bench.resume().with(0);
}

/// A file system of this size on the state directory.
fn small_disk(size: &str) -> String {
    format!("mount -t tmpfs -o size={size},mode=0700 none \"$1/state\"")
}

#[test]
fn bad_input_state_directory_full_from_the_beginning() {
    let bench = Bench::new();
    let (runbook, inventory) = (
        bench.small_runbook(
            "  - { id: a, hosts: node, undo: { note.write: { text: back } }, sh.run: { script: \"touch /var/lib/keybook/done\" } }\n",
        ),
        bench.this_machine(),
    );
    // Room for the run's folder, not for the journal's reserve.
    let ended = bench
        .on_this_machine(&small_disk("256k"), &["run", &runbook, "-i", &inventory, "--unattended"])
        .with(1);
    ended.says("could not write the journal").says("No space left on device");
    assert!(!bench.path("varlib/done").exists() && !bench.path("varlib/lock-here.json").exists());
    // Not even room for the folder.
    let ended = bench
        .on_this_machine(&small_disk("4k"), &["run", &runbook, "-i", &inventory, "--unattended"])
        .with(1);
    ended.says("No space left on device").says("now nothing was changed");
}

/// The disk becomes full while the run goes on: it stops, says so, and goes on when there is room.
#[test]
fn bad_input_state_directory_that_fills_up_stops_the_run() {
    let bench = Bench::new();
    // Each unit prints so much that the journal needs more than its reserve; the command of the second one fills the disk.
    let noisy = "i=0; while [ $i -lt 2000 ]; do printf '%01000d\\\\n' $i; i=$((i+1)); done";
    let steps: String = (0..4)
        .map(|number| {
            let fill = format!("if [ {number} = 1 ] && [ ! -e $1/state/fill ]; then head -c 100000000 /dev/zero > $1/state/fill || true; fi");
            format!("  - id: s{number}\n    hosts: node\n    undo: {{ note.write: {{ text: back }} }}\n    sh.run: {{ script: \"{fill}; echo {number} >> /var/lib/keybook/done; {noisy}\", args: [\"{}\"] }}\n", bench.text("").trim_end_matches('/'))
        })
        .collect();
    let (runbook, inventory) = (bench.small_runbook(&steps), bench.this_machine());
    let answers = bench.answers_none();
    // One namespace for both calls, so that the disk stays.
    let program = keybook_tests::cli::binary();
    let script = format!(
        "{}\nset +e\n{p} run {runbook} -i {inventory} --unattended >$1/out1 2>$1/err1; echo $? >$1/code1\n\
         cat $1/varlib/done >$1/done1; rm $1/state/fill\n\
         run=$(ls $1/state/keybook/runs)\n{p} verify $run >$1/verify 2>&1; echo $? >>$1/verify\n\
         {p} resume $run --unattended --answers {answers} >$1/out2 2>$1/err2; code=$?\n\
         cp $1/state/keybook/runs/$run/journal.jsonl $1/journal; exit $code",
        small_disk("24m"),
        p = program.display(),
    );
    let ended = bench.on_this_machine(&script, &["--version"]);
    let read = |name: &str| fs::read_to_string(bench.path(name)).unwrap();
    let first = Ended { code: read("code1").trim().parse().ok(), stdout: read("out1"), stderr: read("err1") };
    first.with(1).says("could not write the journal").says("No space left on device");
    assert!(read("verify").ends_with("\n0\n"), "{}", read("verify"));
    assert!(ended.code == Some(0), "{:?}\n{}\n{}", ended.code, read("out2"), read("err2"));
    assert_eq!(
        read("varlib/done"),
        "0\n1\n2\n3\n",
        "no command ran twice; after the first part: {}",
        read("done1")
    );
}

#[test]
fn bad_input_state_directory_of_somebody_else() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "check"]).with(0);
    let runs = bench.path("state/keybook/runs");
    let before = tree(&bench.run_folder());
    chown(&runs, Some(12345), None).unwrap();
    let why = "why it belongs to uid 12345, this program runs as uid 0 now nothing was changed what you can do: \
               - set XDG_STATE_HOME to a directory of your own";
    for ended in
        [bench.run("quick-one", &[]), bench.resume(), bench.roll_back(), bench.keybook.call(["history"])]
    {
        ended.with(2).says(why);
    }
    chown(&runs, Some(0), None).unwrap();
    fs::set_permissions(&runs, fs::Permissions::from_mode(0o777)).unwrap();
    bench.resume().with(2).says("why others can write to it now nothing was changed").says("chmod 700");
    assert_same(&before, &tree(&bench.run_folder()));
    fs::set_permissions(&runs, fs::Permissions::from_mode(0o700)).unwrap();
    bench.resume().with(0);
    bench
        .keybook
        .command(["history"])
        .env("XDG_STATE_HOME", "relative")
        .status()
        .map(|status| assert_eq!(status.code(), Some(2)))
        .unwrap();
}

/// Every verb that reads the journal refuses it, and neither it nor a host is changed.
#[track_caller]
fn refused(bench: &Bench, journal: &[u8], why: &str) {
    let path = bench.journal();
    let good = fs::read(&path).unwrap();
    fs::write(&path, journal).unwrap();
    let before = tree(&bench.run_folder());
    for ended in [
        bench.resume(),
        bench.roll_back(),
        bench.on_run("verify", &[]),
        bench.on_run("show", &[]),
        bench.on_run("status", &[]),
    ] {
        ended
            .with(1)
            .says(&format!("could not read the journal {} why {why}", path.display()))
            .says("nothing was changed, and the journal was left as it is");
    }
    let id = bench.keybook.latest();
    bench.keybook.call(["history"]).with(1).says(why).says(&format!("{id} cannot be read"));
    let list = bench.keybook.call(["history", "--format", "json"]).with(1);
    let list: serde_json::Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!((&list["unreadable"][0]["run"], &list["runs"]), (&id.into(), &serde_json::json!([])));
    assert_same(&before, &tree(&bench.run_folder()));
    fs::write(&path, good).unwrap();
}

#[test]
fn bad_input_journal_edited_reordered_shortened_or_newer() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "check"]).with(0);
    let text = fs::read_to_string(bench.journal()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let join = |lines: &[&str]| (lines.join("\n") + "\n").into_bytes();
    let chain = "its hash of the line before is wrong: a line was changed, moved, added or removed";

    let mut edited = lines.clone();
    let other = edited[1].replace(FIRST, "jiujiu-tdh-99");
    edited[1] = &other;
    refused(&bench, &join(&edited), &format!("line 3: {chain}"));
    let mut swapped = lines.clone();
    swapped.swap(10, 11);
    refused(&bench, &join(&swapped), &format!("line 11: {chain}"));
    let mut removed = lines.clone();
    removed.remove(5);
    refused(&bench, &join(&removed), &format!("line 6: {chain}"));
    let mut doubled = lines.clone();
    doubled.insert(4, lines[3]);
    refused(&bench, &join(&doubled), &format!("line 5: {chain}"));
    let mut damaged = lines.clone();
    damaged[7] = "{\"v\":1,";
    refused(&bench, &join(&damaged), "line 8: it is damaged");
    let newer = lines[0].replacen("\"v\":1", "\"v\":7", 1);
    let mut new = lines.clone();
    new[0] = &newer;
    refused(&bench, &join(&new), "line 1: it is of format 7; this program reads up to 1");
    bench.resume().with(0);
}

#[test]
fn bad_input_journal_torn_in_its_last_line_is_cut_and_goes_on() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "check"]).with(0);
    let text = fs::read(bench.journal()).unwrap();
    fs::write(bench.journal(), &text[..text.len() - 30]).unwrap();
    bench
        .on_run("verify", &[])
        .with(0)
        .says("The last line was cut off in mid-write; a resume cuts it away.");
    bench.resume().with(0);
    let ended = bench.on_run("verify", &[]).with(0);
    assert!(!ended.stdout.contains("cut off"), "{}", ended.stdout);
}

#[test]
fn bad_input_journal_without_a_beginning_says_that_nothing_began() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "check"]).with(0);
    let before = bench.trees();
    fs::write(bench.journal(), "{\"v\":1,\"se").unwrap();
    for ended in [bench.resume(), bench.roll_back()] {
        ended.with(1).says("its journal has no `run.opened` record now the run never began, so nothing is to be resumed or taken back");
    }
    assert_same(&before, &bench.trees());
}

#[test]
fn bad_input_copy_of_the_runbook_that_was_edited_is_refused() {
    let bench = Bench::new();
    bench.run("quick-one", &["--until", "check"]).with(0);
    let before = bench.trees();
    let pinned = bench.run_folder().join("pinned/runbook.yaml");
    let good = fs::read_to_string(&pinned).unwrap();
    fs::write(&pinned, good.replace("times: 90", "times: 91")).unwrap();
    for ended in [bench.resume(), bench.roll_back()] {
        ended.with(1).says(
            "could not read the run's copy of the runbook why it is not the one that the journal names",
        );
    }
    assert_same(&before, &bench.trees());
    fs::write(&pinned, good).unwrap();
    // The folder's own runbook may change: that is shown, and meant or not.
    let own = bench.path("tos-etcd-ca/runbook.yaml");
    let text = fs::read_to_string(&own).unwrap();
    fs::write(&own, text.replace("times: 90", "times: 91")).unwrap();
    bench.resume().with(2).says("changed since the run began").says("--accept-changes");
    assert_same(&before, &bench.trees());
    bench.on_run("resume", &["--unattended", "--answers", &bench.answers(), "--accept-changes"]).with(0);
}

#[test]
fn bad_input_two_processes_for_one_run() {
    let bench = Bench::new();
    let args = ["run", &bench.runbook(), "--sandbox", "quick-one", "--unattended", "--wait", "10m"];
    let mut child = bench.start(&args.map(str::to_owned));
    bench.wait_for("the gate", |record| matches!(record.event, Event::GateAsked { .. }));
    let before = tree(&bench.run_folder());
    let id = bench.keybook.latest();
    let why = format!(
        "locked: could not take hold of run {id} why another keybook process is working on it now nothing was changed"
    );
    bench.resume().with(7).says(&why);
    bench.roll_back().with(7).says(&why);
    assert_same(&before, &tree(&bench.run_folder()));
    signal(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(8), "{}", bench.printed());
    bench.resume().with(0);
}

/// A link in the place of the runs' folder leads to a directory that is judged like any other.
#[test]
fn bad_input_state_directory_behind_a_link() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("elsewhere")).unwrap();
    fs::set_permissions(bench.path("elsewhere"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::create_dir_all(bench.path("state/keybook")).unwrap();
    symlink(bench.path("elsewhere"), bench.path("state/keybook/runs")).unwrap();
    bench.run("quick-one", &[]).with(2).says("others can write to it");
    nothing_begun(&bench);
}
