//! Test doubles: a host that is this machine's own files under a temporary directory, and real parts for tests.

mod api_standin;
mod certs;
mod etcd;
mod mariadb;
mod returned;
mod systemd;
mod target;

pub use api_standin::{ApiStandIn, Asked, Reply, kubeconfig};
pub use certs::{Issue, ca, leaf};
pub use etcd::EtcdMember;
pub use mariadb::{MariaDb, PASSWORD as DB_PASSWORD};
pub use returned::check as check_result;
pub use systemd::Systemd;
pub use target::FakeTarget;

use crate::support::files::sha256;
use async_trait::async_trait;
use keybook_api::{
    Action, Args, Cancel, Command, Ctx, Exit, Fault, HostAccess, HostSpec, Receipt, RunId, Sink, StreamName,
    Target, UnitId, Value, WayBack, value::map,
};
use std::{
    collections::HashMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::{Arc, Mutex},
    time::Duration,
};

/// Gives a command's end instead of running it; `None` runs it.
pub type Answer = Box<dyn Fn(&Command) -> Option<Result<Exit, Fault>> + Send + Sync>;

/// Arguments from pairs.
pub fn args<const N: usize>(pairs: [(&str, Value); N]) -> Args {
    Args(map(pairs))
}

/// An exit with this output.
pub fn exit(status: i32, stdout: &str, stderr: &str) -> Exit {
    let bytes = |text: &str| text.as_bytes().to_vec();
    let took = Duration::ZERO;
    Exit { status, stdout: bytes(stdout), stderr: bytes(stderr), truncated: false, took }
}

/// A temporary directory, a host named `h1` that sees it, and what its sink was told.
pub struct Bench {
    dir: tempfile::TempDir,
    target: Arc<FakeTarget>,
    others: HashMap<String, Arc<FakeTarget>>,
    /// What the actions told.
    pub told: Arc<Told>,
    /// Stops the actions.
    pub cancel: Cancel,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let target = Arc::new(FakeTarget::named("h1"));
        Self { dir, target, others: HashMap::new(), told: Arc::default(), cancel: Cancel::new() }
    }

    /// Adds another host; its files are the same machine's.
    pub fn with_host(mut self, name: &str) -> Self {
        self.others.insert(name.to_owned(), Arc::new(FakeTarget::named(name)));
        self
    }

    pub fn path(&self, name: &str) -> String {
        let root = self.dir.path().to_str().unwrap();
        if name.is_empty() { root.to_owned() } else { format!("{root}/{name}") }
    }

    /// Writes a file with mode 0644 and returns its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        self.chmod(name, 0o644);
        path
    }

    pub fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn exists(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    pub fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().mode() & 0o7777
    }

    pub fn target(&self) -> Arc<FakeTarget> {
        self.target.clone()
    }

    /// Answers commands from now on.
    pub fn answer(&self, answer: impl Fn(&Command) -> Option<Result<Exit, Fault>> + Send + Sync + 'static) {
        *self.target.answer.lock().unwrap() = Some(Box::new(answer));
    }

    /// The same on a host of [`Bench::with_host`].
    pub fn answer_on(
        &self,
        name: &str,
        answer: impl Fn(&Command) -> Option<Result<Exit, Fault>> + Send + Sync + 'static,
    ) {
        *self.others[name].answer.lock().unwrap() = Some(Box::new(answer));
    }

    /// Sets what the first command's receipt of the attempt says.
    pub fn set_receipt(&self, receipt: Receipt) {
        self.target.set_receipt(self.ctx().receipt(0), receipt);
    }

    /// A real run's context.
    pub fn ctx(&self) -> Ctx {
        Ctx {
            target: self.target.clone(),
            hosts: Arc::new(FakeHosts(self.others.clone())),
            run: RunId::new("test").unwrap(),
            unit: UnitId::parse("step@h1").unwrap(),
            attempt: 1,
            state_dir: self.path("state"),
            may_change: true,
            planned: Value::Null,
            salt: "salt".to_owned(),
            cancel: self.cancel.clone(),
            sink: self.told.clone(),
            // The whole minute, so that a test may go some seconds on and is still on the same day.
            now: jiff::Timestamp::now().as_second().div_euclid(60) * 60,
            first_receipt: 0,
            tries: 1,
            ordinal: 0.into(),
        }
    }

    /// A context for planning and facts.
    pub fn planning(&self) -> Ctx {
        Ctx { may_change: false, ..self.ctx() }
    }

    /// Every file's path, mode and digest below the directory, to show that nothing changed.
    pub fn snapshot(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(&self.path(""), &mut |path, meta| {
            let digest = if meta.is_file() { sha256(&fs::read(path).unwrap()) } else { String::new() };
            found.push(format!("{path} {:o} {digest}", meta.mode()));
        });
        found
    }

    /// Describes, and checks that this changed nothing.
    pub async fn describe(&self, action: &dyn Action, args: &Args) -> Result<keybook_api::Plan, Fault> {
        keybook_api::action::check_args(action.spec(), &args.0)?;
        let before = self.snapshot();
        let plan = action.describe(&self.ctx(), args).await;
        assert_eq!(before, self.snapshot(), "describing `{}` changed something", action.spec().name);
        plan
    }

    /// Applies in a real run, and checks that the result is what the action says, and that an action whose way back are
    /// its files changes no others, whether it ends well or not.
    pub async fn apply(&self, action: &dyn Action, args: &Args) -> Result<keybook_api::Applied, Fault> {
        let applied = self.apply_to_files(action, args).await;
        applied.inspect(|applied| returned::check(action, &applied.value))
    }

    async fn apply_to_files(&self, action: &dyn Action, args: &Args) -> Result<keybook_api::Applied, Fault> {
        keybook_api::action::check_args(action.spec(), &args.0)?;
        if action.spec().way_back != WayBack::Files {
            return action.apply(&self.ctx(), args).await;
        }
        let plan = action.describe(&self.ctx(), args).await;
        let named = plan.map(|plan| plan.touches).unwrap_or_default();
        let before = self.snapshot();
        let applied = action.apply(&self.ctx(), args).await;
        let after = self.snapshot();
        let changed = before.iter().filter(|one| !after.contains(one));
        for entry in changed.chain(after.iter().filter(|one| !before.contains(one))) {
            let path = entry.split(' ').next().unwrap();
            // The run's own folders come and go with the run.
            let own = [self.path("state"), self.ctx().staging()].contains(&path.to_owned());
            assert!(own || named.iter().any(|one| one == path), "{}: {entry}: {named:?}", action.spec().name);
        }
        applied
    }
}

fn walk(path: &str, see: &mut dyn FnMut(&str, &fs::Metadata)) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    see(path, &meta);
    if meta.is_dir() {
        let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            walk(&format!("{path}/{}", name.to_str().unwrap()), see);
        }
    }
}

/// What a sink was told.
#[derive(Default)]
pub struct Told {
    pub lines: Mutex<Vec<String>>,
    pub progress: Mutex<Vec<String>>,
    pub notes: Mutex<Vec<String>>,
}

impl Sink for Told {
    fn line(&self, _: StreamName, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
    fn progress(&self, text: &str) {
        self.progress.lock().unwrap().push(text.to_owned());
    }
    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }
}

struct FakeHosts(HashMap<String, Arc<FakeTarget>>);

#[async_trait]
impl HostAccess for FakeHosts {
    async fn target(&self, name: &str) -> Result<Arc<dyn Target>, Fault> {
        match self.0.get(name) {
            Some(target) => Ok(target.clone()),
            None => Err(Fault::usage(format!("reach {name}"), "no such host")),
        }
    }
    fn group(&self, _: &str) -> Option<Vec<String>> {
        None
    }
    fn spec(&self, name: &str) -> Option<HostSpec> {
        self.0.contains_key(name).then(|| HostSpec::named(name))
    }
}
