//! Runs in sandboxes: hosts are folders of the run, so a test can look into them and change them.

use crate::{
    cli::{Ended, Keybook, root},
    pty::Terminal,
};
use keybook_api::{Event, Record};
use keybook_core::journal::format::sha256_hex;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The masters of the scenarios, in order.
pub const MASTERS: [&str; 5] =
    ["jiujiu-tdh-10", "jiujiu-tdh-11", "jiujiu-tdh-12", "jiujiu-tdh-13", "jiujiu-tdh-14"];

/// The first master, on which the new files are made.
pub const FIRST: &str = MASTERS[0];

/// The prompt of every gate.
pub const GATE: &str = "[r]un, [s]kip, [d]etails, roll [b]ack, [q] stop here";

/// The prompt of a gate in a rollback.
pub const GATE_BACK: &str = "[r]un, [s]kip, [d]etails, [q] stop here";

/// The certificates of the runbook's scenarios, with keys that are made at once.
pub const QUICK_CERTIFICATES: &str = r#"certificates:
  ca:
    ca: true
    subject: { C: CN, O: k8s, OU: System, L: Shanghai, ST: Shanghai, CN: kubernetes }
    key: ecdsa-p256
    valid: { from: -3630d, to: 20d }
  etcd:
    issuer: ca
    subject: { C: CN, O: k8s, OU: System, L: Shanghai, ST: Shanghai, CN: etcd }
    key: ecdsa-p256
    sans: ["${groups.master}", "IP:127.0.0.1", "IP:10.10.10.1", "${groups.master.map(|name| hosts[name].address)}"]
    valid: { from: -1d, to: 3649d }
"#;

/// How long something that is on its way is waited for. Never what a test measures.
const PATIENCE: Duration = Duration::from_secs(120);

/// A copy of the TOS runbook with the tests' own scenarios, and a user of the program.
pub struct Bench {
    folder: Arc<TempDir>,
    /// The user.
    pub keybook: Keybook,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Bench {
    /// A fresh one, without runs.
    pub fn new() -> Self {
        Self::of(tempfile::tempdir().unwrap())
    }

    /// A fresh one on the disk on which everything is built: not every file system can do everything.
    pub fn on_disk() -> Self {
        let folder = root().join("target/tests");
        fs::create_dir_all(&folder).unwrap();
        Self::of(tempfile::tempdir_in(folder).unwrap())
    }

    fn of(folder: TempDir) -> Self {
        let folder = Arc::new(folder);
        let keybook = Keybook::new(folder.path());
        let bench = Self { folder, keybook };
        copy(&root().join("runbooks/tos-etcd-ca"), &bench.path("tos-etcd-ca"));
        // The request asks for an RSA key, which takes long to make.
        let file = bench.path("tos-etcd-ca/scenarios/three-masters.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let quick = text.replace(r#""algo": "rsa", "size": 2048"#, r#""algo": "ecdsa", "size": 256"#);
        assert_ne!(text, quick, "the scenario's request asks for no RSA key");
        fs::write(&file, quick).unwrap();
        bench.scenario("quick-one", 1, "");
        bench.scenario("quick-three", 3, "");
        // Each time that it is tried.
        let fault =
            |nth| format!(r#"{{ hosts: master, path: "/var/lib/keybook/lock-*", nth: {nth}, kind: fail }}"#);
        let faults: Vec<String> = (1..=4).map(fault).collect();
        bench.scenario("first-write-fails", 1, &format!("faults: [{}]", faults.join(", ")));
        bench
    }

    /// Writes a scenario that is as the runbook's own, but quick: elliptic keys, hardly any waiting. `more` are
    /// further keys of it, or other values of `inputs` and `certificates`. Without others the manager's own files are left
    /// alone.
    pub fn scenario(&self, name: &str, masters: usize, more: &str) {
        let masters = &MASTERS[..masters];
        let mut text = format!("keybook: 1\nscenario: {name}\nextends: three-masters.yaml\n{more}\nhosts:\n");
        for (number, host) in masters.iter().enumerate() {
            text += &format!("  {host}: {{ address: 172.22.25.{} }}\n", 10 + number);
        }
        text += &format!("groups: {{ master: [{}], manager: [{FIRST}] }}\n", masters.join(", "));
        for (key, value) in [
            ("inputs:", "inputs: { settle: 10ms, database: none, metainfo: false }\n"),
            ("certificates:", QUICK_CERTIFICATES),
        ] {
            if !more.contains(key) {
                text += value;
            }
        }
        self.write(&format!("tos-etcd-ca/scenarios/{name}.yaml"), text);
    }

    /// The same runs once more, as they are now: what becomes of them there changes nothing here.
    pub fn twin(&self, name: &str) -> Self {
        let twin = Self { folder: Arc::clone(&self.folder), keybook: Keybook::new(&self.path(name)) };
        copy(&self.path("state"), &twin.path(&format!("{name}/state")));
        twin
    }

    /// A place in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same, as an argument.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The runbook's folder, as an argument.
    pub fn runbook(&self) -> String {
        self.text("tos-etcd-ca")
    }

    /// Writes a file into the test's folder and gives its place as an argument.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// An answers file that says `run` to every gate, and to the rollback.
    pub fn answers(&self) -> String {
        self.answers_of(&MASTERS)
    }

    /// The same, only for the masters that this scenario's own file names: answers for others bring warnings.
    fn answers_for(&self, scenario: &str) -> String {
        let file = self.path(&format!("tos-etcd-ca/scenarios/{scenario}.yaml"));
        let text = fs::read_to_string(file).unwrap_or_default();
        let named: Vec<&str> = MASTERS.into_iter().filter(|master| text.contains(master)).collect();
        if named.is_empty() { self.answers() } else { self.answers_of(&named) }
    }

    fn answers_of(&self, masters: &[&str]) -> String {
        let gates = masters.iter().map(|host| format!("  install@{host}: run\n  bounce@{host}: run\n"));
        let gates: String = gates.collect();
        self.write("answers.yaml", format!("keybook: 1\nanswers:\n{gates}  rollback: run\n"))
    }

    /// An answers file that answers nothing.
    pub fn answers_none(&self) -> String {
        self.write("none.yaml", "keybook: 1\nanswers: {}\n")
    }

    /// The arguments of an unattended run whose gates are all answered.
    pub fn unattended(&self, scenario: &str, more: &[&str]) -> Vec<String> {
        let (runbook, answers) = (self.runbook(), self.answers_for(scenario));
        let args = ["run", &runbook, "--sandbox", scenario, "--unattended", "--answers", &answers];
        args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
    }

    /// Carries an unattended run out.
    pub fn run(&self, scenario: &str, more: &[&str]) -> Ended {
        self.keybook.call(self.unattended(scenario, more))
    }

    /// Calls another verb on the latest run: `verb RUN more…`.
    pub fn on_run(&self, verb: &str, more: &[&str]) -> Ended {
        let id = self.keybook.latest();
        self.keybook.call([verb, &id].iter().chain(more))
    }

    /// Resumes the latest run, unattended, with every gate answered.
    pub fn resume(&self) -> Ended {
        self.resume_with(&self.answers())
    }

    /// Resumes the latest run, unattended, with this answers file.
    pub fn resume_with(&self, answers: &str) -> Ended {
        self.on_run("resume", &["--unattended", "--answers", answers])
    }

    /// Takes the latest run back, unattended.
    pub fn roll_back(&self) -> Ended {
        self.on_run("rollback", &["--unattended", "--answers", &self.answers()])
    }

    /// Starts the program without waiting for it; what it prints goes into `out` and `err` of the test's folder.
    pub fn start(&self, args: &[String]) -> Child {
        self.spawn(self.keybook.command(args))
    }

    fn spawn(&self, mut command: Command) -> Child {
        let file = |name: &str| fs::File::create(self.path(name)).unwrap();
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        command.spawn().unwrap()
    }

    /// Starts an unattended run that, once its journal is begun, can write no file beyond this many bytes: for a journal that is
    /// what a full disk is, at a place that can be chosen. (What a run writes beside it from then on is smaller.)
    pub fn start_bounded(&self, args: &[String], bytes: u64) -> Child {
        let mut command = Command::new("sh");
        // Without the trap the system ends the program instead of telling it.
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
        wrap(&mut command, &self.keybook.command(args));
        let mut child = self.spawn(command);
        while !self.keybook.runs().iter().any(|run| run.join("journal.jsonl").exists()) {
            assert!(child.try_wait().unwrap().is_none(), "{}", self.printed());
            std::thread::sleep(Duration::from_micros(200));
        }
        let (pid, limit) = (child.id().to_string(), format!("--fsize={bytes}"));
        assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
        let written = fs::metadata(self.journal()).unwrap().len();
        assert!(written < bytes, "the limit came too late: {written} bytes are written");
        child
    }

    /// A guided run, at a terminal.
    pub fn guided(&self, scenario: &str, more: &[&str]) -> Terminal {
        let runbook = self.runbook();
        Terminal::start(self.keybook.command(["run", &runbook, "--sandbox", scenario].iter().chain(more)))
    }

    /// Another verb on the latest run, at a terminal.
    pub fn guided_on(&self, verb: &str, more: &[&str]) -> Terminal {
        let id = self.keybook.latest();
        Terminal::start(self.keybook.command([verb, &id].iter().chain(more)))
    }

    /// The program, not started, in a mount namespace of its own, in which `/var/lib/keybook` is a folder of the test and
    /// `prepare` (a shell script; `$1` is the test's folder) was run. So this machine can be a host.
    pub fn isolated<S: AsRef<OsStr>>(&self, prepare: &str, args: impl IntoIterator<Item = S>) -> Command {
        for folder in [Path::new("/var/lib/keybook"), &self.path("varlib")] {
            fs::create_dir_all(folder).unwrap();
        }
        let script = format!("mount --bind \"$1/varlib\" /var/lib/keybook\n{prepare}\nshift; exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-e", "-c", &script, "sh"]).arg(self.folder.path());
        wrap(&mut command, &self.keybook.command(args));
        command
    }

    /// Calls the program with this machine as a host.
    pub fn on_this_machine(&self, prepare: &str, args: &[&str]) -> Ended {
        let output = self.isolated(prepare, args).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// A runbook with these steps for the group `node`; gives its folder as an argument.
    pub fn small_runbook(&self, steps: &str) -> String {
        let head = "keybook: 1\nname: small\nversion: 0.1.0\nrequires: { keybook: \">=0.1\" }\ntitle: A small runbook\n\
                    hosts: { node: { min: 1, help: any host } }\nsteps:\n";
        self.write("small/runbook.yaml", format!("{head}{steps}"));
        self.text("small")
    }

    /// The default scenario of the small runbook: the host `n1`, and these further keys.
    pub fn small_scenario(&self, more: &str) {
        let head = "keybook: 1\nscenario: default\ncluster: sandbox\nhosts: { n1: { address: 172.22.25.10 } }\n\
                    groups: { node: [n1] }\n";
        self.write("small/scenarios/default.yaml", format!("{head}{more}"));
    }

    /// An inventory whose one host is this machine; gives its place as an argument.
    pub fn this_machine(&self) -> String {
        let text = "keybook: 1\ncluster: here\nhosts: { here: { local: true } }\ngroups: { node: [here] }\n";
        self.write("inventory.yaml", text)
    }

    /// The latest run's folder.
    pub fn run_folder(&self) -> PathBuf {
        self.keybook.runs().pop().expect("there is a run")
    }

    /// What a host of the latest run shows as `path`.
    pub fn on_host(&self, host: &str, path: &str) -> PathBuf {
        self.run_folder().join("sandbox").join(host).join("root").join(path.trim_start_matches('/'))
    }

    /// The trees of all hosts of the latest run.
    pub fn trees(&self) -> Tree {
        trees(&self.run_folder())
    }

    /// The journal of the latest run.
    pub fn journal(&self) -> PathBuf {
        self.run_folder().join("journal.jsonl")
    }

    /// Waits until the latest run's journal has a record like this.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Record) -> bool) {
        let patience = Instant::now() + PATIENCE;
        loop {
            if !self.keybook.runs().is_empty() && self.keybook.records().iter().any(&wanted) {
                return;
            }
            assert!(Instant::now() < patience, "{what} does not come: {}", self.printed());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What the program started last has printed so far.
    pub fn printed(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        format!("{}\n{}", read("out"), read("err"))
    }

    /// A run that rests before its first step, and whose host (one master) a test may change.
    pub fn before_first_step(&self) {
        self.run("first-write-fails", &[]).with(1).says("the scenario makes it fail");
        assert!(self.keybook.units(|event| matches!(event, Event::UnitFacts { .. })).is_empty());
    }
}

/// Has a command end with another one, which it starts; it gets that one's environment and folder.
fn wrap(command: &mut Command, inner: &Command) {
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear()
        .current_dir(inner.get_current_dir().unwrap())
        .envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
}

/// Copies the files of a folder and of those in it, with their modes and links.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let status = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(status.success(), "cp {} {}", from.display(), to.display());
}

/// What is at each path: kind, mode, owner, and content or where a link leads.
pub type Tree = BTreeMap<String, String>;

/// Everything below a folder.
pub fn tree(folder: &Path) -> Tree {
    let mut found = Tree::new();
    collect(folder, folder, &mut found);
    found
}

/// The trees of a run's hosts, without what the run keeps for itself in /var/lib/keybook.
pub fn trees(run: &Path) -> Tree {
    let mut all = Tree::new();
    for host in fs::read_dir(run.join("sandbox")).unwrap().flatten() {
        let root = host.path().join("root");
        if !root.is_dir() {
            continue;
        }
        let name = host.file_name().to_str().unwrap().to_owned();
        let own = |path: &str| path == "var/lib/keybook" || path.starts_with("var/lib/keybook/");
        all.extend(
            tree(&root)
                .into_iter()
                .filter(|(path, _)| !own(path))
                .map(|(path, what)| (format!("{name}:/{path}"), what)),
        );
    }
    all
}

fn collect(top: &Path, folder: &Path, found: &mut Tree) {
    // A file that is renamed while a run goes on may be gone when it is looked at.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let what = if meta.is_symlink() {
            format!("link to {}", fs::read_link(&path).map(|to| to.display().to_string()).unwrap_or_default())
        } else if meta.is_dir() {
            "folder".to_owned()
        } else {
            format!("file {}", sha256_hex(&fs::read(&path).unwrap_or_default()))
        };
        let mode = if meta.is_symlink() { 0 } else { meta.permissions().mode() & 0o7777 };
        let name = path.strip_prefix(top).unwrap().display().to_string();
        found.insert(name, format!("{mode:04o} {}:{} {what}", meta.uid(), meta.gid()));
        if meta.is_dir() {
            collect(top, &path, found);
        }
    }
}

/// Lines that one tree has and the other has not: empty when they are the same.
pub fn differences(before: &Tree, after: &Tree) -> Vec<String> {
    let gone = before.iter().filter(|(path, what)| after.get(*path) != Some(*what));
    let come = after.iter().filter(|(path, what)| before.get(*path) != Some(*what));
    let gone = gone.map(|(path, what)| format!("- {path} {what}"));
    gone.chain(come.map(|(path, what)| format!("+ {path} {what}"))).collect()
}

/// Panics, naming what differs, unless both are the same.
#[track_caller]
pub fn assert_same(before: &Tree, after: &Tree) {
    assert!(!before.is_empty(), "an empty tree proves nothing");
    let differing = differences(before, after);
    assert!(differing.is_empty(), "the trees differ:\n{}", differing.join("\n"));
}

/// Sends a signal to a process that the test started.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(status.success(), "kill -s {name} {pid}");
}

/// Runs openssl; its output when it succeeds.
pub fn openssl(args: &[&str]) -> Result<String, String> {
    let output =
        Command::new("openssl").args(args).stdin(Stdio::null()).output().expect("openssl is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{}{}", text(&output.stdout), text(&output.stderr)))
    }
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().expect("the tests' paths are UTF-8")
}
