//! What must hold when something else happens at the same moment, or happened half-way before.

use super::*;
use crate::posix::temporary::Temporary;

/// A machine whose commands wait, just before they begin, for somebody to write to a pipe.
struct Held {
    shell: LocalShell,
    folder: TempDir,
}

impl Held {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let made = std::process::Command::new("mkfifo").arg(at("go")).status().unwrap();
        assert!(made.success());
        // Only a receipt's beginning is linked.
        let ln = format!(
            "#!/bin/sh\nread -r stat <\"/proc/$PPID/stat\"\nset -- \"$PPID ${{stat##*) }}\" \"$@\"\n\
             echo \"$1\" >{0}.new\nmv {0}.new {0}\nread -r _ <{1}\nshift\nPATH=/usr/bin:/bin\nexec ln \"$@\"\n",
            at("held"),
            at("go")
        );
        std::fs::write(at("ln"), ln).unwrap();
        std::fs::set_permissions(at("ln"), PermissionsExt::from_mode(0o755)).unwrap();
        Self { shell: LocalShell::new("h"), folder }
    }

    /// The child that is about to begin, and its wrapper.
    async fn held(&self) -> (i32, i32) {
        loop {
            if let Ok(text) = std::fs::read_to_string(self.folder.path().join("held")) {
                let words: Vec<&str> = text.split_whitespace().collect();
                return (words[0].parse().unwrap(), words[2].parse().unwrap());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn go(&self, child: i32) {
        tokio::fs::write(self.folder.path().join("go"), "\n").await.unwrap();
        while runs(child) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[async_trait]
impl RawShell for Held {
    fn host(&self) -> &str {
        self.shell.host()
    }
    async fn start(&self, boot: &str, urgent: bool) -> Result<Started, Fault> {
        // Lookups, which are urgent, link as well.
        let path = format!("PATH={}:$PATH; export PATH; {boot}", self.folder.path().display());
        self.shell.start(if urgent { boot } else { &path }, urgent).await
    }
    async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Stream>, Fault> {
        self.shell.open(host, port, timeout).await
    }
    async fn close(&self) {}
}

fn held(lab: &Lab) -> PosixTarget<Held> {
    PosixTarget::unidentified(Held::new(), lab.host.root.clone(), false)
}

fn touch(lab: &Lab, id: &ReceiptId) -> Command {
    Command::shell("touch \"$1\"").args([lab.at("ran").to_str().unwrap()]).receipt(id.clone())
}

#[tokio::test]
async fn a_command_that_was_said_never_to_have_begun_does_not_begin_later() {
    let lab = Lab::new().await;
    let (slow, id) = (held(&lab), receipt_id(0));
    let (result, ()) = tokio::join!(slow.exec(touch(&lab, &id), &quiet), async {
        let (child, _) = slow.shell.held().await;
        assert_eq!(lab.host.receipt(&id).await.unwrap(), Receipt::Absent);
        slow.shell.go(child).await;
    });
    let fault = result.unwrap_err();
    assert_eq!(fault.now_true.as_deref(), Some("the command did not begin"), "{fault:?}");
    assert!(fault.cause.contains("given up"), "{fault:?}");
    assert!(!lab.at("ran").exists());
    assert_eq!(lab.host.receipt(&id).await.unwrap(), Receipt::Absent);
    assert_eq!(lab.host.end(&id).await.unwrap(), Receipt::Absent);
    assert_eq!(lab.host.exec(touch(&lab, &id), &quiet).await.unwrap_err().kind, FaultKind::Failed);
    assert_eq!(lab.names("/var/lib/keybook/r1/receipts"), [format!("{}.begun", id.file_name())]);
}

#[tokio::test]
async fn a_command_whose_wrapper_died_first_does_not_begin_after_the_verdict() {
    let lab = Lab::new().await;
    let (slow, id) = (held(&lab), receipt_id(0));
    let (result, child) = tokio::join!(slow.exec(touch(&lab, &id), &quiet), async {
        let (child, wrapper) = slow.shell.held().await;
        let wrapper = rustix::process::Pid::from_raw(wrapper).unwrap();
        rustix::process::kill_process(wrapper, rustix::process::Signal::KILL).unwrap();
        child
    });
    assert_eq!(result.unwrap_err().now_true.as_deref(), Some("the command did not begin"));
    slow.shell.go(child).await;
    assert!(!lab.at("ran").exists());
}

#[tokio::test]
async fn a_command_ended_before_it_was_heard_of_does_not_begin() {
    let lab = Lab::new().await;
    let (slow, id) = (held(&lab), receipt_id(0));
    let fault = slow.exec(touch(&lab, &id).timeout(Duration::from_millis(100)), &quiet).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::TimedOut);
    assert_eq!(fault.now_true.as_deref(), Some("the command did not begin"));
    let (child, _) = slow.shell.held().await;
    slow.shell.go(child).await;
    assert!(!lab.at("ran").exists());
}

#[tokio::test]
async fn a_state_folder_that_is_not_ours_alone_is_refused() {
    let lab = Lab::new().await;
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(lab.at("/var/lib")).unwrap();
    let state = lab.at("/var/lib/keybook");
    let refused = async |why: &str| {
        let fault = lab.host.exec(touch(&lab, &receipt_id(0)), &quiet).await.unwrap_err();
        assert_eq!(fault.now_true.as_deref(), Some("the command did not begin"));
        assert!(fault.cause.contains(why), "{fault:?}");
        let fault = lab.host.make_dir("/var/lib/keybook/r1/staging", 0o700).await.unwrap_err();
        assert!(fault.cause.contains(why), "{fault:?}");
        assert!(lab.host.receipt(&receipt_id(0)).await.is_err());
        assert!(!lab.at("ran").exists());
    };
    symlink(elsewhere.path(), &state).unwrap();
    refused("is a symbolic link").await;
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    std::os::unix::fs::chown(&state, Some(1234), None).unwrap();
    refused("belongs to user 1234").await;
    std::os::unix::fs::chown(&state, Some(0), None).unwrap();
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o775)).unwrap();
    refused("can be written by others").await;
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o755)).unwrap();
    symlink(elsewhere.path(), state.join("r1")).unwrap();
    refused("r1 is a symbolic link").await;
    std::fs::remove_file(state.join("r1")).unwrap();
    lab.host.exec(touch(&lab, &receipt_id(1)), &quiet).await.unwrap();
    assert_eq!((mode(&state.join("r1")), mode(&state.join("r1/receipts"))), (0o700, 0o700));
    lab.host.make_dir("/var/lib/keybook/r1/staging", 0o750).await.unwrap();
    // What was found to be ours is looked at again before every command.
    std::fs::remove_file(lab.at("ran")).unwrap();
    std::fs::rename(state.join("r1"), state.join("r2")).unwrap();
    symlink(state.join("r2"), state.join("r1")).unwrap();
    refused("r1 is a symbolic link").await;
    std::fs::remove_file(state.join("r1")).unwrap();
    std::fs::rename(state.join("r2"), state.join("r1")).unwrap();
    std::os::unix::fs::chown(state.join("r1"), Some(1234), None).unwrap();
    refused("belongs to user 1234").await;
    std::os::unix::fs::chown(state.join("r1"), Some(0), None).unwrap();
    assert_eq!(mode(&state.join("r1/staging")), 0o750);
}

#[tokio::test]
async fn a_tree_behind_a_link_is_shown_where_it_is() {
    let lab = Lab::new().await;
    lab.put("/data/k8s/ca.pem", "ca", 0o644);
    std::fs::create_dir_all(lab.at("/srv")).unwrap();
    symlink("/data/k8s", lab.at("/srv/kubernetes")).unwrap();
    symlink("k8s", lab.at("/data/again")).unwrap();
    symlink("/data", lab.at("/data/k8s/up")).unwrap();
    symlink("circle", lab.at("/srv/circle")).unwrap();
    symlink("/none", lab.at("/srv/dangling")).unwrap();
    let tree = async |paths: &[&str]| {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let tree = lab.host.tree(&paths).await.unwrap();
        tree.into_iter().map(|entry| (entry.path, entry.stat.kind)).collect::<Vec<_>>()
    };
    let entry = |path: &str, kind| (path.to_owned(), kind);
    let real = [
        entry("/data/k8s", FileKind::Directory),
        entry("/data/k8s/ca.pem", FileKind::File),
        entry("/data/k8s/up", FileKind::Symlink),
    ];
    let mut expected = real.to_vec();
    expected.push(entry("/srv/kubernetes", FileKind::Symlink));
    assert_eq!(tree(&["/srv/kubernetes"]).await, expected);
    assert_eq!(tree(&["/srv/kubernetes", "/data/k8s"]).await, expected);
    expected = vec![entry("/data/again", FileKind::Symlink)];
    expected.extend(real);
    assert_eq!(tree(&["/data/again"]).await, expected);
    for link in ["/srv/circle", "/srv/dangling", "/data/k8s/up/again/ca.pem"] {
        let kind = if link.ends_with(".pem") { FileKind::File } else { FileKind::Symlink };
        assert_eq!(tree(&[link]).await, [entry(link, kind)]);
    }
}

/// A machine whose `find` and `sha256sum` are other ones.
pub(super) struct Tools(LocalShell, TempDir);

#[async_trait]
impl RawShell for Tools {
    fn host(&self) -> &str {
        self.0.host()
    }
    async fn start(&self, boot: &str, urgent: bool) -> Result<Started, Fault> {
        self.0.start(&format!("PATH={}:$PATH; export PATH; {boot}", self.1.path().display()), urgent).await
    }
    async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Stream>, Fault> {
        self.0.open(host, port, timeout).await
    }
    async fn close(&self) {}
}

impl Tools {
    /// A host on which each tool runs a script of a line before the real one.
    pub(super) fn with(lab: &Lab, tools: &[(&str, &str)]) -> PosixTarget<Self> {
        let folder = tempfile::tempdir().unwrap();
        for (tool, line) in tools {
            let place = folder.path().join(tool);
            std::fs::write(&place, format!("#!/bin/sh\n{line}\nexec /usr/bin/{tool} \"$@\"\n")).unwrap();
            std::fs::set_permissions(place, PermissionsExt::from_mode(0o755)).unwrap();
        }
        PosixTarget::unidentified(Self(LocalShell::new("h"), folder), lab.host.root.clone(), false)
    }
}

#[tokio::test]
async fn a_file_that_vanishes_while_a_tree_is_read_is_left_out() {
    let lab = Lab::new().await;
    let tree = async |line: &str| {
        for name in ["0.wal", "1.wal", "sub/2.wal"] {
            lab.put(&format!("/wal/{name}"), "x", 0o600);
        }
        let line = line.replace("WAL", lab.at("/wal").to_str().unwrap());
        let host = Tools::with(&lab, &[("sha256sum", &line)]);
        host.tree(&["/wal".into()]).await
    };
    let paths = |tree: Vec<TreeEntry>| tree.into_iter().map(|entry| entry.path).collect::<Vec<_>>();
    assert_eq!(
        paths(tree("rm -f WAL/0.wal WAL/sub/2.wal").await.unwrap()),
        ["/wal", "/wal/1.wal", "/wal/sub"]
    );
    assert_eq!(paths(tree("rm -rf WAL").await.unwrap()), ["/wal", "/wal/sub"], "directories had been seen");
    let fault = tree("echo 'sha256sum: x: Input/output error' >&2; exit 1").await.unwrap_err();
    assert!(fault.cause.contains("Input/output error"), "{fault:?}");
    let fault = tree("exit 3").await.unwrap_err();
    assert!(fault.cause.contains("status"), "{fault:?}");
}

#[tokio::test]
async fn what_a_killed_write_left_goes_with_the_next_write() {
    let lab = Lab::new().await;
    lab.put("/etc/key", "old", 0o600);
    symlink("key", lab.at("/etc/link")).unwrap();
    std::os::unix::fs::chown(lab.at("/etc/key"), Some(1234), None).unwrap();
    // The content arrives, and the host's tools are killed before it takes its place.
    let killed = Tools::with(&lab, &[("mv", "kill -KILL $PPID; exit 1")]);
    // By either name it is the same file, so the second one removes what the first one left.
    for path in ["/etc/key", "/etc/link"] {
        assert!(killed.write(path, Write::keep(Secret::new("new"))).await.is_err());
    }
    let left = lab.names("/etc");
    assert_eq!(left.iter().filter(|name| name.starts_with(".keybook-")).count(), 1, "{left:?}");
    let stem = left[0].rsplit_once('-').unwrap().0.to_owned();
    let nonce = "0123456789abcdef0123456789abcdef";
    let busy = Temporary::new().unwrap();
    // Not this file's, not a name of ours, not a file, not ours, or in use.
    let kept = [
        format!(".keybook-0000000000000000-{nonce}"),
        format!("{stem}-short"),
        format!("{stem}-{nonce}-{nonce}"),
        format!("{stem}-{}", nonce.replace('0', "a")),
        format!("{stem}-{}", nonce.replace('0', "b")),
        format!("{stem}-{}", busy.nonce()),
    ];
    for name in &kept {
        lab.put(&format!("/etc/{name}"), "x", 0o600);
    }
    std::fs::remove_file(lab.at("/etc").join(&kept[3])).unwrap();
    symlink("key", lab.at("/etc").join(&kept[3])).unwrap();
    std::os::unix::fs::chown(lab.at("/etc").join(&kept[4]), Some(99), None).unwrap();
    lab.host.write("/etc/link", Write::keep(Secret::new("newer"))).await.unwrap();
    let mut expected: Vec<String> = kept.to_vec();
    expected.extend(["key".to_owned(), "link".to_owned()]);
    expected.sort();
    assert_eq!(lab.names("/etc"), expected);
    drop(busy);
    lab.put("/original", "original", 0o600);
    lab.host.replace("/original", "/etc/key").await.unwrap();
    expected.retain(|name| *name != kept[5]);
    assert_eq!(lab.names("/etc"), expected);
}
