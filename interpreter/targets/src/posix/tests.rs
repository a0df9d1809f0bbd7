//! The POSIX layer on this machine, with folders that stand for hosts and without.

mod bare;
mod look;
mod safety;

use super::*;
use crate::local::LocalShell;
use keybook_api::{Cancel, FaultKind, FileKind, Owner, RunId, StreamName, UnitId};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tempfile::TempDir;

/// Names that a careless script would break on.
const ODD: [&str; 8] =
    ["plain", "two words", "it's \"quoted\"", "line\nbreak", "back\\slash", "-n", "$(x)*", "é😀"];

struct Lab {
    folder: TempDir,
    host: PosixTarget<LocalShell>,
}

impl Lab {
    /// A host whose `/` is a temporary folder.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap().to_owned();
        let host = PosixTarget::identify(LocalShell::new("h"), root, false, "test".into(), String::new());
        Self { host: host.await.unwrap(), folder }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn put(&self, path: &str, text: &str, mode: u32) {
        std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
        std::fs::write(self.at(path), text).unwrap();
        std::fs::set_permissions(self.at(path), PermissionsExt::from_mode(mode)).unwrap();
    }

    /// Where a receipt's files are, without their endings.
    fn receipt(&self, id: &ReceiptId) -> PathBuf {
        self.at("/var/lib/keybook/r1/receipts").join(id.file_name())
    }

    /// Waits until a command has begun; asking for its receipt earlier would keep it from beginning.
    async fn begun(&self, id: &ReceiptId) {
        while !PathBuf::from(format!("{}.begun", self.receipt(id).display())).exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.host.receipt(id).await.unwrap(), Receipt::Running);
    }

    fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.at(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

async fn machine() -> PosixTarget<LocalShell> {
    PosixTarget::identify(LocalShell::new("h"), String::new(), false, "local".into(), String::new())
        .await
        .unwrap()
}

fn quiet(_: StreamName, _: &str) {}

fn receipt_id(ordinal: u32) -> ReceiptId {
    ReceiptId {
        run: RunId::new("r1").unwrap(),
        unit: UnitId::parse("a/b@h#x y").unwrap(),
        attempt: 1,
        ordinal,
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[tokio::test]
async fn identity_is_this_machine() {
    let identity = machine().await.identity().clone();
    assert_eq!(identity.hostname, rustix::system::uname().nodename().to_str().unwrap());
    assert_eq!(identity.machine_id, std::fs::read_to_string("/etc/machine-id").unwrap_or_default().trim());
    assert!(identity.clock_offset_ms.abs() < 60_000, "{identity:?}");
}

#[tokio::test]
async fn commands_get_arguments_environment_and_input() {
    let mut command = Command::argv(["printf", "%s|", "a b", "it's", "$x", "line\nbreak"]);
    let exit = machine().await.exec(command.clone(), &quiet).await.unwrap();
    assert_eq!((exit.status, exit.out().as_str()), (0, "a b|it's|$x|line\nbreak|"));
    command =
        Command::shell("printf '%s ' \"$V\" \"$#\" \"$2\"; cat; echo oops >&2; exit 7").args(["one", "two"]);
    command.env.push(("V".into(), "v '1'".into()));
    let exit = machine().await.exec(command.stdin(Secret::new("input")), &quiet).await.unwrap();
    assert_eq!((exit.status, exit.out().as_str(), exit.err().as_str()), (7, "v '1' 2 two input", "oops\n"));
}

/// Its arguments may be secret: they stand neither in the environment nor in the arguments of a process.
#[tokio::test]
async fn a_script_may_be_long_and_is_seen_in_no_list_of_processes() {
    for length in [10, 300_000] {
        let look = "cat \"/proc/$$/environ\" \"/proc/$$/cmdline\" \"/proc/$PPID/environ\" \"/proc/$PPID/cmdline\" | tr '\\0' '\\n'";
        let script = format!(
            ": {}\n{look} | grep -c -e xxxx -e 'arg ' -e hush; printf %s \"$1\"; cat",
            "x".repeat(length)
        );
        let mut command = Command::shell(script).args(["arg "]).stdin(Secret::new("input"));
        command.env.push(("KB_TEST_WORD".into(), "hush".into()));
        let exit = machine().await.exec(command, &quiet).await.unwrap();
        assert_eq!(exit.out(), "0\narg input", "{length}: {}", exit.err());
    }
}

#[tokio::test]
async fn a_signal_is_told_and_a_missing_program_too() {
    let host = machine().await;
    assert_eq!(host.exec(Command::shell("kill -KILL $$"), &quiet).await.unwrap().status, 137);
    let exit = host.exec(Command::argv(["/no/such/program"]), &quiet).await.unwrap();
    assert_eq!(exit.status, 127);
    assert!(exit.err().contains("/no/such/program"), "{}", exit.err());
    assert_eq!(host.exec(Command::shell("if"), &quiet).await.unwrap().status, 2, "a syntax error");
}

#[tokio::test]
async fn lines_come_and_output_is_bounded() {
    let seen = Mutex::new(Vec::new());
    let sink = |name: StreamName, line: &str| seen.lock().unwrap().push((name, line.to_owned()));
    let mut command =
        Command::shell("i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; printf end >&2");
    command.keep_output = 100;
    let exit = machine().await.exec(command, &sink).await.unwrap();
    assert!(exit.truncated);
    assert_eq!(exit.stdout.len(), 100);
    assert!(
        exit.out().starts_with("line 0\nline 1\n") && exit.out().ends_with("line 4999\n"),
        "{}",
        exit.out()
    );
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.iter().filter(|(name, _)| *name == StreamName::Stdout).count(), 5000);
    assert!(seen.contains(&(StreamName::Stderr, "end".into())));
}

#[tokio::test]
async fn a_background_child_does_not_hold_a_command() {
    let host = machine().await;
    let exit = host.exec(Command::shell("sleep 300 & echo $!; echo done"), &quiet);
    let exit = tokio::time::timeout(Duration::from_secs(30), exit).await.unwrap().unwrap();
    let out = exit.out();
    let mut words = out.split_whitespace();
    let pid = words.next().unwrap().parse().unwrap();
    assert_eq!(words.next(), Some("done"));
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

#[tokio::test]
async fn much_input_comes_back_while_it_is_sent() {
    let mut command = Command::shell("cat");
    let bytes: Vec<u8> = (0..64 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    command.keep_output = 64 << 20;
    let exit = machine().await.exec(command.stdin(Secret::new(bytes.clone())), &quiet).await.unwrap();
    assert!(!exit.truncated && exit.stdout == bytes);
}

/// Runs until the pid file is there, then gives the pid.
async fn pid_in(path: &Path) -> i32 {
    loop {
        if let Ok(text) = std::fs::read_to_string(path)
            && text.ends_with('\n')
        {
            return text.trim().parse().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test]
async fn cancel_and_time_out_end_the_whole_group() {
    let host = machine().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = "sh -c 'echo $$ >\"$1\"; sleep 300; :' sh \"$1\"; :";
    let timed = Command::shell(script).args([file.to_str().unwrap()]).timeout(Duration::from_secs(1));
    let fault = host.exec(timed, &quiet).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TimedOut);
    assert_eq!(fault.now_true.as_deref(), Some("the command was ended (status 143)"));
    assert!(!runs(pid_in(&file).await));

    std::fs::remove_file(&file).unwrap();
    let cancel = Cancel::new();
    let cancelled = Command::shell(script).args([file.to_str().unwrap()]).cancel(&cancel);
    let (result, pid) = tokio::join!(host.exec(cancelled, &quiet), async {
        let pid = pid_in(&file).await;
        cancel.cancel();
        pid
    });
    assert_eq!(result.unwrap_err().kind, FaultKind::Stopped);
    assert!(!runs(pid));
}

#[tokio::test]
async fn what_ignores_term_is_killed() {
    let command =
        Command::shell("trap '' TERM; while :; do sleep 1; done").timeout(Duration::from_millis(500));
    let fault = machine().await.exec(command, &quiet).await.unwrap_err();
    assert_eq!(fault.now_true.as_deref(), Some("the command was ended (status 137)"));
}

#[tokio::test]
async fn receipts_tell_what_happened_and_nothing_happens_twice() {
    let lab = Lab::new().await;
    let id = receipt_id(0);
    let count = lab.at("count");
    let command =
        Command::shell("echo ran >>\"$1\"; exit 3").args([count.to_str().unwrap()]).receipt(id.clone());
    assert_eq!(lab.host.exec(command.clone(), &quiet).await.unwrap().status, 3);
    assert_eq!(lab.host.receipt(&id).await.unwrap(), Receipt::Ended(3));
    let fault = lab.host.exec(command, &quiet).await.unwrap_err();
    assert_eq!(fault.now_true.as_deref(), Some("it was not run a second time"));
    assert_eq!(std::fs::read_to_string(count).unwrap(), "ran\n");
    assert_eq!(lab.host.receipt(&id).await.unwrap(), Receipt::Ended(3));
    let folder = "/var/lib/keybook/r1/receipts";
    assert_eq!(mode(&lab.at(folder)), 0o700);
    let name = id.file_name();
    assert_eq!(lab.names(folder), [format!("{name}.begun"), format!("{name}.ended")]);
    assert_eq!(lab.host.end(&id).await.unwrap(), Receipt::Ended(3));
}

#[tokio::test]
async fn a_running_command_can_be_ended_by_its_receipt() {
    let lab = Lab::new().await;
    let id = receipt_id(1);
    let (result, _) =
        tokio::join!(lab.host.exec(Command::shell("sleep 300").receipt(id.clone()), &quiet), async {
            lab.begun(&id).await;
            assert_eq!(lab.host.end(&id).await.unwrap(), Receipt::Ended(143));
        });
    assert_eq!(result.unwrap().status, 143);
}

#[tokio::test]
async fn a_command_whose_wrapper_died_too_is_cut() {
    let lab = Lab::new().await;
    let id = receipt_id(2);
    let (result, ()) =
        tokio::join!(lab.host.exec(Command::shell("sleep 300").receipt(id.clone()), &quiet), async {
            lab.begun(&id).await;
            let begun = lab.at("/var/lib/keybook/r1/receipts").join(format!("{}.begun", id.file_name()));
            let text = std::fs::read_to_string(begun).unwrap();
            let fields: Vec<&str> = text.split_whitespace().collect();
            let pid = |field: &str| rustix::process::Pid::from_raw(field.parse().unwrap()).unwrap();
            rustix::process::kill_process(pid(fields[3]), rustix::process::Signal::KILL).unwrap();
            rustix::process::kill_process_group(pid(fields[0]), rustix::process::Signal::KILL).unwrap();
        });
    assert_eq!(result.unwrap_err().kind, FaultKind::Unknown);
    assert_eq!(lab.host.receipt(&id).await.unwrap(), Receipt::Cut);
    assert_eq!(lab.host.end(&id).await.unwrap(), Receipt::Cut);
}

#[tokio::test]
async fn a_background_child_does_not_hold_a_command_with_a_receipt() {
    let lab = Lab::new().await;
    let command = Command::shell("sleep 300 & echo $!; echo last >&2").receipt(receipt_id(4));
    let exit =
        tokio::time::timeout(Duration::from_secs(8), lab.host.exec(command, &quiet)).await.unwrap().unwrap();
    assert_eq!(exit.err(), "last\n");
    let pid: i32 = exit.out().trim().parse().unwrap();
    assert!(runs(pid));
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

#[tokio::test]
async fn a_receipt_tells_what_a_dead_wrapper_could_not() {
    let lab = Lab::new().await;
    let id = receipt_id(5);
    // The wrapper dies; its record appears all the same, as if it had died just after writing it.
    let record = lab.at("/var/lib/keybook/r1/receipts").join(format!("{}.ended", id.file_name()));
    let script = "echo out; echo 6 >\"$1\"; kill -KILL $PPID";
    let command = Command::shell(script).args([record.to_str().unwrap()]).receipt(id);
    let exit = lab.host.exec(command, &quiet).await.unwrap();
    assert_eq!((exit.status, exit.out().as_str(), exit.truncated), (6, "out\n", true));
}

#[tokio::test]
async fn a_command_does_not_begin_without_its_receipt() {
    let lab = Lab::new().await;
    lab.put("/var/lib/keybook", "a file in the way", 0o600);
    let marker = lab.at("ran");
    let command = Command::shell("touch \"$1\"").args([marker.to_str().unwrap()]).receipt(receipt_id(0));
    let fault = lab.host.exec(command, &quiet).await.unwrap_err();
    assert_eq!(fault.now_true.as_deref(), Some("the command did not begin"));
    assert!(fault.cause.contains("mkdir"), "{fault}");
    assert!(!marker.exists());
}

#[tokio::test]
async fn odd_names_work_everywhere() {
    let lab = Lab::new().await;
    lab.host.make_dir("/d", 0o750).await.unwrap();
    for name in ODD {
        let path = format!("/d/{name}");
        let write = Write { mode: Some(0o640), ..Write::keep(Secret::new(name)) };
        lab.host.write(&path, write).await.unwrap();
        let stat = lab.host.stat(&path).await.unwrap().unwrap();
        assert_eq!((stat.kind, stat.mode, stat.size), (FileKind::File, 0o640, name.len() as u64));
        assert_eq!(lab.host.read(&path, 100).await.unwrap(), Secret::new(name));
        lab.host.copy(&path, &format!("/{name}.copy")).await.unwrap();
        lab.host.rename(&format!("/{name}.copy"), &format!("/{name}.moved")).await.unwrap();
        lab.host.replace(&format!("/{name}.moved"), &path).await.unwrap();
    }
    let mut names = ODD.map(str::to_owned).to_vec();
    names.sort();
    assert_eq!(lab.host.list("/d").await.unwrap(), names);
    let tree = lab.host.tree(&["/d".into(), "/nothing".into(), "/d/plain".into()]).await.unwrap();
    let paths: Vec<String> = tree.iter().map(|entry| entry.path.clone()).collect();
    let expected: Vec<String> =
        std::iter::once("/d".to_owned()).chain(names.iter().map(|name| format!("/d/{name}"))).collect();
    assert_eq!(paths, expected);
    let plain = tree.iter().find(|entry| entry.path == "/d/plain").unwrap();
    // printf plain | sha256sum
    assert_eq!(plain.sha256, "a116c9ed46d6207734a43317d30fd88f52ac8634c37d904bbf4e41d865f90475");
    assert!(tree.iter().skip(1).all(|entry| entry.sha256.len() == 64));
    for name in ODD {
        lab.host.remove(&format!("/d/{name}")).await.unwrap();
        lab.host.remove(&format!("/d/{name}")).await.unwrap();
    }
    assert_eq!(lab.names("/d"), Vec::<String>::new());
}

#[tokio::test]
async fn a_write_keeps_owner_mode_and_link() {
    let lab = Lab::new().await;
    lab.put("/etc/real", "old", 0o4711);
    symlink("/etc/real", lab.at("/etc/absolute")).unwrap();
    symlink("real", lab.at("/etc/relative")).unwrap();
    std::os::unix::fs::chown(lab.at("/etc/real"), Some(12), Some(34)).unwrap();
    std::fs::set_permissions(lab.at("/etc/real"), PermissionsExt::from_mode(0o4711)).unwrap();
    for (path, text) in [("/etc/absolute", "one"), ("/etc/relative", "two"), ("/etc/real", "three")] {
        lab.host.write(path, Write::keep(Secret::new(text))).await.unwrap();
        assert_eq!(std::fs::read_to_string(lab.at("/etc/real")).unwrap(), text);
        let stat = lab.host.stat("/etc/real").await.unwrap().unwrap();
        assert_eq!((stat.mode, stat.owner), (0o4711, Owner { uid: 12, gid: 34 }));
    }
    assert_eq!(lab.host.stat("/etc/absolute").await.unwrap().unwrap().link.as_deref(), Some("/etc/real"));
    let given =
        Write { mode: Some(0o600), owner: Some(Owner { uid: 5, gid: 6 }), ..Write::keep(Secret::new("x")) };
    lab.host.write("/etc/real", given).await.unwrap();
    let stat = lab.host.stat("/etc/real").await.unwrap().unwrap();
    assert_eq!((stat.mode, stat.owner), (0o600, Owner { uid: 5, gid: 6 }));
    assert_eq!(lab.names("/etc"), ["absolute", "real", "relative"]);
}

#[tokio::test]
async fn a_new_file_is_private_and_create_new_never_replaces() {
    let lab = Lab::new().await;
    lab.host.write("/key", Write { create_new: true, ..Write::keep(Secret::new("k")) }).await.unwrap();
    assert_eq!(mode(&lab.at("/key")), 0o600);
    let again = Write { create_new: true, ..Write::keep(Secret::new("other")) };
    let fault = lab.host.write("/key", again.clone()).await.unwrap_err();
    assert!(fault.cause.contains("File exists"), "{fault}");
    assert_eq!(std::fs::read_to_string(lab.at("/key")).unwrap(), "k");
    symlink("/dangling", lab.at("/link")).unwrap();
    assert!(lab.host.write("/link", again.clone()).await.is_err());
    assert!(
        lab.host.write("/no/such/dir", again.clone()).await.unwrap_err().cause.contains("does not exist")
    );
    assert!(lab.host.write("relative", again).await.is_err());
    assert_eq!(lab.names("/"), ["key", "link"]);
}

#[tokio::test]
async fn links_never_lead_out_of_the_folder() {
    let lab = Lab::new().await;
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "outside").unwrap();
    symlink(outside.path(), lab.at("/out")).unwrap();
    symlink("../../../../../../../..", lab.at("/up")).unwrap();
    symlink("/loop", lab.at("/loop")).unwrap();
    assert!(lab.host.read("/out/secret", 100).await.is_err());
    let up = format!("/up{}/secret", outside.path().display());
    assert!(lab.host.read(&up, 100).await.is_err());
    assert!(lab.host.write("/out/new", Write::keep(Secret::new("x"))).await.is_err());
    assert!(lab.host.read("/loop", 100).await.unwrap_err().cause.contains("Too many levels"));
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn reading_is_bounded() {
    let lab = Lab::new().await;
    lab.put("/f", "12345", 0o600);
    assert_eq!(lab.host.read("/f", 5).await.unwrap().expose(), b"12345");
    assert!(lab.host.read("/f", 4).await.unwrap_err().cause.contains("more than"));
    assert!(lab.host.read("/", 4).await.unwrap_err().cause.contains("Not a regular file"));
    assert!(lab.host.read("/none", 4).await.unwrap_err().cause.contains("No such file"));
    assert_eq!(lab.host.stat("/none").await.unwrap(), None);
    assert_eq!(lab.host.stat("/f/below").await.unwrap(), None);
    assert!(machine().await.read("/proc/uptime", 4096).await.unwrap().expose().len() > 3);
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_file() {
    // /dev/full is a device, so the limit on file sizes stands in: the shell's tools fail half-way alike.
    let lab = Lab::new().await;
    lab.put("/f", "old", 0o600);
    let host = PosixTarget::unidentified(Limited(LocalShell::new("h")), lab.host.root.clone(), false);
    let fault = host.write("/f", Write::keep(Secret::new(vec![b'x'; 100_000]))).await.unwrap_err();
    assert_eq!(fault.now_true.as_deref(), Some("the old file is still in place"), "{fault:?}");
    assert_eq!(std::fs::read_to_string(lab.at("/f")).unwrap(), "old");
    assert_eq!(lab.names("/"), ["f"]);
}

/// A machine where no file can become larger than 4 KiB.
struct Limited(LocalShell);

#[async_trait]
impl RawShell for Limited {
    fn host(&self) -> &str {
        self.0.host()
    }
    async fn start(&self, boot: &str, urgent: bool) -> Result<Started, Fault> {
        self.0.start(&format!("trap '' XFSZ; ulimit -f 8; {boot}"), urgent).await
    }
    async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Stream>, Fault> {
        self.0.open(host, port, timeout).await
    }
    async fn close(&self) {}
}

#[tokio::test]
async fn copies_keep_everything_and_replace_brings_it_back() {
    let lab = Lab::new().await;
    lab.put("/src/a/key", "k", 0o640);
    lab.put("/src/b", "b", 0o604);
    symlink("a/key", lab.at("/src/link")).unwrap();
    std::os::unix::fs::chown(lab.at("/src/b"), Some(7), Some(8)).unwrap();
    std::fs::set_permissions(lab.at("/src/a"), PermissionsExt::from_mode(0o711)).unwrap();
    let before = lab.host.tree(&["/src".into()]).await.unwrap();
    lab.host.copy("/src", "/backup").await.unwrap();
    let under = |root: &str, mut tree: Vec<TreeEntry>| {
        tree.iter_mut().for_each(|entry| entry.path = entry.path.trim_start_matches(root).to_owned());
        tree
    };
    let copied = lab.host.tree(&["/backup".into()]).await.unwrap();
    assert_eq!(under("/src", before.clone()), under("/backup", copied));
    assert!(lab.host.copy("/src", "/backup").await.unwrap_err().cause.contains("File exists"));

    std::fs::remove_file(lab.at("/src/link")).unwrap();
    lab.put("/src/b", "changed", 0o777);
    std::fs::remove_dir_all(lab.at("/src/a")).unwrap();
    for entry in &before {
        let from = format!("/backup{}", entry.path.trim_start_matches("/src"));
        lab.host.replace(&from, &entry.path).await.unwrap();
    }
    // A directory's time changes when something is put into it, so directories come again, deepest first.
    for entry in before.iter().rev().filter(|entry| entry.stat.kind == FileKind::Directory) {
        let from = format!("/backup{}", entry.path.trim_start_matches("/src"));
        lab.host.replace(&from, &entry.path).await.unwrap();
    }
    assert_eq!(lab.host.tree(&["/src".into()]).await.unwrap(), before);
}

#[tokio::test]
async fn directories_and_renames() {
    let lab = Lab::new().await;
    lab.host.make_dir("/a/b/c", 0o711).await.unwrap();
    lab.host.make_dir("/a/b/c", 0o700).await.unwrap();
    assert_eq!((mode(&lab.at("/a")), mode(&lab.at("/a/b/c"))), (0o711, 0o711));
    lab.put("/a/f", "f", 0o600);
    lab.put("/a/g", "g", 0o600);
    assert!(lab.host.rename("/a/f", "/a/g").await.unwrap_err().cause.contains("File exists"));
    assert!(lab.host.rename("/a/none", "/a/x").await.unwrap_err().cause.contains("No such file"));
    assert!(lab.host.remove("/a").await.unwrap_err().cause.contains("not empty"));
    lab.host.rename("/a/b", "/moved").await.unwrap();
    lab.host.remove("/moved/c").await.unwrap();
    assert_eq!(lab.names("/moved"), Vec::<String>::new());
    assert!(lab.host.make_dir("/a/f/x", 0o700).await.is_err());
}

#[tokio::test]
async fn scripts_are_what_dash_and_bash_both_read() {
    for shell in ["dash", "bash"] {
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/posix/scripts")).unwrap() {
            let path = entry.unwrap().path();
            let out = std::process::Command::new(shell).arg("-n").arg(&path).output().unwrap();
            assert!(out.status.success(), "{shell} -n {}: {out:?}", path.display());
        }
    }
}

/// Needs setfacl and getfacl (Debian's package acl).
#[tokio::test]
async fn acls_are_read_kept_and_brought_back() {
    let lab = Lab::new().await;
    let grant = |path: &str, user: &str| {
        let status = std::process::Command::new("setfacl").args(["-m", user]).arg(lab.at(path)).status();
        assert!(status.expect("these tests need the package acl").success());
    };
    lab.put("/d/a b", "old", 0o640);
    grant("/d/a b", "u:1234:r");
    grant("/d", "u:1235:rx");
    let before = lab.host.tree(&["/d".into()]).await.unwrap();
    assert!(before[0].acl.contains("user:1235:r-x"), "{before:?}");
    assert!(before[1].acl.contains("user:1234:r--"), "{before:?}");
    lab.host.copy("/d", "/backup").await.unwrap();
    lab.host.write("/d/a b", Write::keep(Secret::new("new"))).await.unwrap();
    let acl = |tree: Vec<TreeEntry>| tree.into_iter().map(|entry| entry.acl).collect::<Vec<_>>();
    let kept = acl(lab.host.tree(&["/d".into()]).await.unwrap());
    assert_eq!(kept, acl(before.clone()));
    std::fs::remove_dir_all(lab.at("/d")).unwrap();
    for path in ["", "/a b", ""] {
        lab.host.replace(&format!("/backup{path}"), &format!("/d{path}")).await.unwrap();
    }
    assert_eq!(lab.host.tree(&["/d".into()]).await.unwrap(), before);
}

#[test]
fn no_part_of_the_path_is_the_current_directory() {
    let script = format!("{}printf %s \"$PATH\"", super::scripts::PATH);
    for shell in ["/bin/dash", "/bin/bash"] {
        for (given, begins) in
            [(None, "/"), (Some(""), "/usr/local/sbin:"), (Some("/opt/x/bin"), "/opt/x/bin:/usr/local/sbin:")]
        {
            let mut command = std::process::Command::new(shell);
            command.args(["-c", &script]).env_remove("PATH").envs(given.map(|path| ("PATH", path)));
            if given.is_none() && shell == "/bin/bash" {
                // What it takes then was settled when it was built.
                continue;
            }
            let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
            assert!(told.starts_with(begins) && told.ends_with(":/sbin:/bin"), "{shell} {given:?}: {told}");
            assert!(told.split(':').all(|part| part.starts_with('/')), "{shell} {given:?}: {told}");
        }
    }
}
