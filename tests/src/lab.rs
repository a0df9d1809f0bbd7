//! A lab of real nodes (tests/lab/tos), looked at without the program under test.

use crate::cli::root;
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longest that a test waits for something of the lab.
const PATIENCE: Duration = Duration::from_secs(90);

/// The runbook that these labs are for.
pub const TOS: &str = "runbooks/tos-etcd-ca";

/// A running lab in a temporary folder. It is brought down when this goes away, or the process dies in whatever way.
pub struct Lab {
    /// The names of the masters.
    pub masters: Vec<String>,
    /// The names of all nodes.
    pub names: Vec<String>,
    /// What `env` of the lab says, without `LAB_`.
    pub settings: BTreeMap<String, String>,
    /// Goes first: the lab must be down before its folder goes.
    _guard: Guard,
    folder: TempDir,
}

/// A process that waits for the end of its input, then brings the lab down.
struct Guard {
    process: Child,
    input: Option<ChildStdin>,
}

/// The path of one of the lab's commands.
fn tool(name: &str) -> PathBuf {
    root().join("tests/lab/tos").join(name)
}

/// Runs a command to its end; panics with what it said unless it succeeded.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = said(&output);
    assert!(output.status.success(), "{command:?}: {}\n{text}", output.status);
    String::from_utf8(output.stdout).expect("the tools print UTF-8")
}

/// Both streams of a command as text.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Guard {
    fn new(folder: &Path) -> Self {
        let script = r#"cat >/dev/null; "$0" "$1/lab" || exit; rm -rf "$1""#;
        let mut process = Command::new("bash")
            .args(["-c", script])
            .arg(tool("down"))
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0) // what ends the test's group shall not end this
            .spawn()
            .expect("bash starts");
        let input = process.stdin.take();
        Self { process, input }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.input.take());
        let ended = self.process.wait();
        if !ended.as_ref().is_ok_and(std::process::ExitStatus::success) {
            eprintln!("the lab was not brought down: {ended:?}");
        }
    }
}

impl Lab {
    /// Starts a lab; `index` (1 to 254) must be used by no other test, `options` are those of tests/lab/tos/up.
    pub fn up(index: u8, options: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("keybook-lab-").tempdir().expect("a folder for the lab");
        let dir = folder.path().join("lab");
        let guard = Guard::new(folder.path());
        run(Command::new(tool("up")).arg(&dir).args(["--index", &index.to_string()]).args(options));
        let env = fs::read_to_string(dir.join("env")).expect("the lab's env");
        let setting = |line: &str| {
            let (name, value) = line.strip_prefix("LAB_")?.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('\'').to_owned()))
        };
        let settings: BTreeMap<String, String> = env.lines().filter_map(setting).collect();
        let words = |name: &str| settings[name].split(' ').map(str::to_owned).collect::<Vec<_>>();
        Self { masters: words("MASTERS"), names: words("NAMES"), settings, _guard: guard, folder }
    }

    /// A folder for the test's own files, away from the lab's.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// The lab's folder.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("lab")
    }

    /// The inventory that logs in as root.
    pub fn inventory(&self) -> PathBuf {
        self.dir().join("inventory.yaml")
    }

    /// The arguments of a run of a runbook (that of TOS, or a changed copy) that settles quickly and leaves databases alone.
    pub fn renewal(&self, runbook: &str) -> Vec<String> {
        let inventory = self.inventory().to_str().expect("the lab's folder is UTF-8").to_owned();
        let args = ["run", runbook, "-i", &inventory, "-e", "settle=1s", "-e", "database=none"];
        args.map(str::to_owned).to_vec()
    }

    /// An inventory that logs in as `ops` and uses sudo.
    pub fn inventory_with_sudo(&self) -> PathBuf {
        let text = fs::read_to_string(self.inventory()).expect("the inventory");
        let changed = text.replace("user: root", "user: ops, sudo: true");
        assert_ne!(text, changed, "the inventory has no `user: root`");
        let file = self.dir().join("inventory-ops.yaml");
        fs::write(&file, changed).expect("the lab's folder is writable");
        file
    }

    /// The address of a master.
    pub fn address(&self, master: &str) -> String {
        let at = self.masters.iter().position(|name| name == master).expect("a master");
        self.settings["ADDRESSES"].split(' ').nth(at).expect("its address").to_owned()
    }

    /// Puts every node back to its state right after the start.
    pub fn reset(&self) {
        run(Command::new(tool("reset")).arg(self.dir()));
    }

    /// Runs a command as root inside a node, without ssh.
    #[track_caller]
    pub fn node(&self, name: &str, command: &[&str]) -> String {
        run(Command::new(tool("node")).arg(self.dir()).arg(name).args(command))
    }

    /// Makes a master reachable again after `lab-sshd stop` or `cut`.
    pub fn start_sshd(&self, master: &str) {
        self.node(master, &["lab-sshd", "start"]);
        // It leaves the foreground before it listens.
        let address = format!("{}:22", self.address(master));
        self.until("sshd listens", || TcpStream::connect(&address).is_ok());
    }

    /// Every path below the certificates', manifests' and metainfo folders of every node, with kind, mode, owner, group, size, link
    /// target and digest, one a line.
    pub fn files(&self) -> BTreeMap<String, String> {
        let script = "set -- /srv/kubernetes /opt/kubernetes /root/gencerts /var/lib/transwarp-manager
            find \"$@\" -printf '%p %y %m %U %G %l\\n' 2>/dev/null | sort
            find \"$@\" -type f -print0 2>/dev/null | sort -z | xargs -0 sha256sum";
        self.names.iter().map(|name| (name.clone(), self.node(name, &["sh", "-c", script]))).collect()
    }

    /// The digest, inode and time of modification of each regular file in these folders of a node, by path.
    pub fn versions(&self, name: &str, folders: &str) -> BTreeMap<String, (String, String)> {
        let script = format!(
            "find {folders} -type f -name '*.pem' 2>/dev/null | sort | while read -r f; do
                echo \"$f $(sha256sum <\"$f\" | cut -c1-64) $(stat -c %i/%y \"$f\" | tr ' ' _)\"; done"
        );
        let listed = self.node(name, &["bash", "-c", &script]);
        let entry = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            Some((words.next()?, (words.next()?, words.next()?)))
        };
        listed.lines().filter_map(entry).collect()
    }

    /// Ids of the running containers of a node by the name in their manifest (`tos-etcd-tos`).
    pub fn containers(&self, name: &str) -> BTreeMap<String, String> {
        let listed = self.node(name, &["docker", "ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}"]);
        let entry = |line: &str| {
            let (full, id) = line.split_once(' ')?;
            let container = full.split('_').nth(1)?;
            (container != "POD").then(|| (container.to_owned(), id.to_owned()))
        };
        listed.lines().filter_map(entry).collect()
    }

    /// How often a container of a node was started since the lab is up (or was reset). One that ended by itself and was
    /// started again, as any kubelet does, was not started once more: nobody who stops pods does that.
    pub fn starts(&self, name: &str, container: &str) -> usize {
        let log = self.node(name, &["cat", "/var/log/kubelet-standin.log"]);
        let (mut count, mut stopped, mut died) = (0, false, false);
        for line in log.lines() {
            let of = |what: &str| line.contains(&format!(" {what} {container}"));
            if of("stop") {
                stopped = true;
            } else if of("ended") {
                died |= !stopped;
            } else if of("start") {
                count += usize::from(!died);
                (stopped, died) = (false, false);
            }
        }
        count
    }

    /// When a container of a node was started, in seconds since 1970.
    pub fn started(&self, name: &str, container: &str) -> f64 {
        let id = &self.containers(name)[container];
        let at = self.node(name, &["docker", "inspect", "--format", "{{.State.StartedAt}}", id]);
        self.node(name, &["date", "+%s.%N", "-d", at.trim()]).trim().parse().expect("seconds")
    }

    /// Waits until something holds; panics after a generous time.
    #[track_caller]
    pub fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}");
            sleep(Duration::from_millis(100));
        }
    }

    /// Starts a client that writes and reads all the while.
    pub fn client(&self) -> Client {
        let log = self.scratch().join("client.log");
        // A test that is killed takes its client with it.
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "TERM"])
            .arg(tool("client"))
            .arg(self.dir())
            .arg(&log)
            .args(["--for", "900"])
            .stdin(Stdio::null())
            .spawn()
            .expect("the client starts");
        let client = Client { process, log };
        self.until("the client's first attempt", || {
            fs::read_to_string(&client.log).is_ok_and(|log| !log.is_empty())
        });
        client
    }
}

/// A client of the lab's etcd; ended with its test.
pub struct Client {
    process: Child,
    log: PathBuf,
}

impl Client {
    /// Ends the client. No write was ever lost, and no attempt failed on all endpoints: quorum was kept.
    #[track_caller]
    pub fn lost_nothing(mut self) {
        run(Command::new("kill").arg(self.process.id().to_string()));
        let status = self.process.wait().expect("the client ends");
        let log = fs::read_to_string(&self.log).expect("the client's log");
        let end = log.lines().last().unwrap_or_default();
        let bad: Vec<&str> =
            log.lines().filter(|line| line.contains(" FAILED ") || line.contains(" LOST ")).collect();
        assert!(end.contains(" failed=0 lost=0 "), "{end}\n{}", bad.join("\n"));
        assert!(status.success(), "the client ended with {status}");
        assert!(log.lines().count() > 20, "the client hardly worked:\n{log}");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes an answers file with these lines below `answers:`.
pub fn answers(folder: &Path, lines: &[&str]) -> PathBuf {
    let path = folder.join(format!("answers-{}.yaml", fs::read_dir(folder).expect("the folder").count()));
    let mut file = fs::File::create(&path).expect("the folder is writable");
    writeln!(file, "keybook: 1\nanswers:").expect("the file is writable");
    for line in lines {
        writeln!(file, "  {line}").expect("the file is writable");
    }
    path
}
