//! Actions: what a step does on a host.

use crate::{
    Args, Cancel, Fault, HostSpec, Map, ReceiptId, Returns, RunId, Secret, StreamName, Target, UnitId, Value,
};
use async_trait::async_trait;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// What an action may do to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Reads only; usable as a fact and in hooks.
    Reads,
    /// Changes something on a host.
    Changes,
    /// Changes only what the run itself knows or shows (waiting, notes, hosts of the run).
    Run,
    /// Tells people outside; changes nothing on a host. Usable in hooks. A failure of [`Action::apply`] becomes a
    /// note, never a failed unit, and a sandbox carries none of them out.
    Tells,
}

/// How a rollback takes back what an action did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayBack {
    /// [`Action::undo`] works.
    Undo,
    /// Everything that it changes is named by [`Plan::touches`], so the executor keeps and restores it.
    Files,
    /// Nothing lasting is left to take back, such as after a restart, a wait or a look.
    Nothing,
    /// It cannot be taken back by itself: its step says how, or that it is irreversible.
    None,
    /// As [`WayBack::None`], unless the argument of this name (true or false) is written as `false`: so the runbook
    /// says that there is nothing to take back.
    NoneIf(&'static str),
}

/// The kind of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// Text.
    Text,
    /// An absolute path on the host.
    Path,
    /// A whole number.
    Int,
    /// true or false.
    Bool,
    /// A duration, such as `30s`.
    Duration,
    /// Octal permission bits as text, such as `"0644"`.
    Mode,
    /// A list of texts (one text counts as a list of one).
    Texts,
    /// A list of any values.
    List,
    /// A map.
    Map,
    /// A secret. Text is accepted and becomes one ([`seal_args`]).
    Secret,
    /// Text, which is shown, or a secret, which is not.
    TextOrSecret,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// Anything.
    Any,
}

/// One argument of an action.
#[derive(Clone, Copy, Debug)]
pub struct ArgSpec {
    /// Its key.
    pub name: &'static str,
    /// Its kind.
    pub kind: ArgKind,
    /// Must it be given?
    pub required: bool,
    /// What holds when it is absent, as the reference shows it; empty for nothing.
    pub default: &'static str,
    /// What it means.
    pub doc: &'static str,
}

impl ArgSpec {
    /// A required argument.
    pub const fn required(name: &'static str, kind: ArgKind, doc: &'static str) -> Self {
        Self { name, kind, required: true, default: "", doc }
    }

    /// An optional argument with its default as shown in the reference.
    pub const fn optional(
        name: &'static str,
        kind: ArgKind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { name, kind, required: false, default, doc }
    }
}

/// What is known of an action without running it. The reference page is made from it.
#[derive(Clone, Copy, Debug)]
pub struct ActionSpec {
    /// `family.verb`.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Markdown: behaviour, errors, sources.
    pub doc: &'static str,
    /// What it may do.
    pub effect: Effect,
    /// Its arguments.
    pub args: &'static [ArgSpec],
    /// What its result holds.
    pub returns: Returns,
    /// How its effect is taken back.
    pub way_back: WayBack,
    /// A step in YAML; run as a test.
    pub example: &'static str,
}

/// Will an action change something?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", content = "reason", rename_all = "kebab-case")]
pub enum Change {
    /// It will.
    Will,
    /// It will not: everything is already so.
    Wont,
    /// That cannot be known before; the reason says why.
    CannotKnow(String),
}

/// One file's change. Never holds key material: for such a file `before` and `after` are descriptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The file.
    pub path: String,
    /// What is there; `None` when there is nothing.
    pub before: Option<String>,
    /// What will be there; `None` when it will be removed.
    pub after: Option<String>,
    /// True when before and after describe secret content instead of showing it.
    pub described: bool,
}

/// What an action is about to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Will it change something?
    pub change: Change,
    /// What it does, as commands or sentences, exact and in order.
    pub lines: Vec<String>,
    /// Files it changes, as far as they are known before.
    pub diffs: Vec<Diff>,
    /// Paths that it creates, replaces or removes. The executor notes which of them exist, restores those
    /// that a backup holds and removes on rollback those that the run created.
    pub touches: Vec<String>,
    /// What the plan was based on, such as the digests of the files it read: when it differs at the re-read,
    /// the gate is asked again.
    pub basis: String,
    /// What `reconcile` and `undo` will need; goes to the journal with the intent, so never a secret.
    pub memo: Value,
}

impl Plan {
    /// A plan that changes something.
    pub fn will(lines: impl IntoIterator<Item = String>) -> Self {
        Self {
            change: Change::Will,
            lines: lines.into_iter().collect(),
            diffs: Vec::new(),
            touches: Vec::new(),
            basis: String::new(),
            memo: Value::Null,
        }
    }

    /// A plan that changes nothing.
    pub fn wont(line: impl Into<String>) -> Self {
        Self { change: Change::Wont, ..Self::will([line.into()]) }
    }
}

/// What an action did.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Its result, for `expect` and `register`. Journaled, so a secret in it is lost on resume.
    pub value: Value,
    /// Whether anything changed.
    pub changed: bool,
    /// Hosts to add to a group for the steps that follow (`host.add`).
    pub add_hosts: Vec<(String, HostSpec)>,
}

impl Applied {
    /// A result after a change.
    pub fn changed(value: impl Into<Value>) -> Self {
        Self { value: value.into(), changed: true, add_hosts: Vec::new() }
    }

    /// A result without a change.
    pub fn unchanged(value: impl Into<Value>) -> Self {
        Self { value: value.into(), changed: false, add_hosts: Vec::new() }
    }
}

/// What became of an intent whose outcome was never recorded.
#[derive(Clone, Debug, PartialEq)]
pub enum Reconcile {
    /// The effect happened wholly; this is the result.
    Done(Value),
    /// Nothing of it happened, or what happened is harmlessly done again from the start.
    NotDone,
    /// Nothing of it happened: it never began, and never will. Only where that is certain, because a rollback goes past a
    /// point of no return then.
    NotBegun,
    /// Nobody can tell; the reason says why.
    Unknown(String),
}

/// What an action tells while it works.
pub trait Sink: Send + Sync {
    /// A line of a command's output.
    fn line(&self, stream: StreamName, line: &str);
    /// What is being done now, such as `waiting for tos-etcd to stop (4 s)`.
    fn progress(&self, text: &str);
    /// Something for the operator and the report.
    fn note(&self, text: &str);
}

/// The other hosts of the run.
#[async_trait]
pub trait HostAccess: Send + Sync {
    /// The connected target of a host, by inventory name.
    async fn target(&self, name: &str) -> Result<Arc<dyn Target>, Fault>;
    /// The hosts of a group, by name, in order; `None` when there is no such group.
    fn group(&self, name: &str) -> Option<Vec<String>>;
    /// The settings of a host of the run, by inventory name (for `via`).
    fn spec(&self, name: &str) -> Option<HostSpec>;
}

/// What an action call gets to work with.
pub struct Ctx {
    /// The host; for steps without hosts, this machine.
    pub target: Arc<dyn Target>,
    /// The other hosts.
    pub hosts: Arc<dyn HostAccess>,
    /// The run.
    pub run: RunId,
    /// The unit.
    pub unit: UnitId,
    /// Its attempt, from 1.
    pub attempt: u32,
    /// The run's folder on the host (0700): `receipts/`, `backup/` and `staging/` are in it.
    pub state_dir: String,
    /// True for real runs; false while planning and for facts: then nothing may be changed and no receipt left.
    pub may_change: bool,
    /// The memo of the plan that is carried out, so that `apply` can refuse what was changed since it was made;
    /// null where nothing is carried out.
    pub planned: Value,
    /// The key of this run's keyed hashes ([`Secret::keyed_hash`]): by such a hash, what plan and journal say of a secret
    /// can be compared, and not guessed.
    pub salt: String,
    /// Cancelled when the operator stops the run.
    pub cancel: Cancel,
    /// Where output goes.
    pub sink: Arc<dyn Sink>,
    /// Seconds since 1970 (UTC) now, on this machine.
    pub now: i64,
    /// The number of its first receipt: 0, but for the calls of a script, which share an attempt.
    pub first_receipt: u32,
    /// For `reconcile`: how often the attempt was tried, as far as is known. A try that did not begin leaves no receipt.
    pub tries: u32,
    /// Counts the commands of this attempt (of this call, in a script), for receipts.
    pub ordinal: AtomicU32,
}

impl Ctx {
    /// The next command's receipt; `None` when nothing may be changed.
    pub fn next_receipt(&self) -> Option<ReceiptId> {
        self.may_change.then(|| self.receipt(self.ordinal.fetch_add(1, Ordering::SeqCst)))
    }

    /// The receipt with this ordinal, for `reconcile`.
    pub fn receipt(&self, ordinal: u32) -> ReceiptId {
        let ordinal = self.first_receipt.saturating_add(ordinal);
        ReceiptId { run: self.run.clone(), unit: self.unit.clone(), attempt: self.attempt, ordinal }
    }

    /// Where new keys are staged on this host: `<state_dir>/staging`.
    pub fn staging(&self) -> String {
        format!("{}/staging", self.state_dir)
    }
}

/// One action. Implementations are stateless.
#[async_trait]
pub trait Action: Send + Sync {
    /// Its name, arguments and documentation.
    fn spec(&self) -> &'static ActionSpec;

    /// The keys of its result that hold secrets when it is called so, as far as that is known beforehand: `fixed` gives an
    /// argument that is no expression. What is secret in a result is known to the process that got it, and not kept.
    fn secret_results(&self, _fixed: &dyn Fn(&str) -> Option<Value>) -> &'static [&'static str] {
        &[]
    }

    /// What it would do now. Reads the host, never changes it.
    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault>;

    /// The argument that names the group to which it adds hosts for the steps that follow. The default adds none.
    fn adds_hosts_to(&self) -> Option<&'static str> {
        None
    }

    /// Does it. For [`Effect::Reads`]: reads and returns the value, without a plan before.
    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault>;

    /// Decides what became of an earlier attempt: `ctx.attempt` is that attempt, `memo` its plan's.
    /// The default cannot tell.
    async fn reconcile(&self, _ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(Reconcile::Unknown(format!("`{}` leaves nothing to tell by", self.spec().name)))
    }

    /// Takes an effect back, for [`WayBack::Undo`]. `memo` is its plan's, `result` what it returned. Must be safe to
    /// call again, and where only a part of the effect happened, or nothing ([`Reconcile::NotDone`]).
    async fn undo(&self, _ctx: &Ctx, _args: &Args, _memo: &Value, _result: &Value) -> Result<(), Fault> {
        Err(Fault::failed(format!("undo `{}`", self.spec().name), "it has no undo of its own"))
    }
}

/// All actions by name.
#[derive(Clone, Default)]
pub struct Registry(IndexMap<&'static str, Arc<dyn Action>>);

impl Registry {
    /// Adds an action; a later one of the same name replaces an earlier one.
    pub fn add(&mut self, action: impl Action + 'static) {
        self.0.insert(action.spec().name, Arc::new(action));
    }

    /// The action of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Action>> {
        self.0.get(name)
    }

    /// All names, in the order they were added.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// All actions, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Action>> {
        self.0.values()
    }
}

/// Fills in nothing, but checks rendered arguments against the specs; the error names the argument.
pub fn check_args(spec: &ActionSpec, args: &Map) -> Result<(), Fault> {
    let attempted = || format!("use `{}`", spec.name);
    for name in args.keys() {
        if !spec.args.iter().any(|arg| arg.name == name) {
            return Err(Fault::usage(attempted(), format!("it has no argument `{name}`")));
        }
    }
    for arg in spec.args {
        match args.get(arg.name) {
            None | Some(Value::Null) if arg.required => {
                return Err(Fault::usage(attempted(), format!("the argument `{}` is missing", arg.name)));
            }
            None | Some(Value::Null) => {}
            Some(value) => {
                fits(arg.kind, value).map_err(|why| {
                    Fault::usage(attempted(), format!("the argument `{}`: {why}", arg.name))
                })?;
            }
        }
    }
    Ok(())
}

/// Arguments with every text that is given for an [`ArgKind::Secret`] made a secret, whoever wrote it down: neither
/// journal nor reports show it from then on.
pub fn seal_args(spec: &ActionSpec, args: Map) -> Map {
    let secret = |name: &str| spec.args.iter().any(|arg| arg.name == name && arg.kind == ArgKind::Secret);
    let seal = |(name, value): (String, Value)| match value {
        Value::Text(text) if secret(&name) => (name, Value::Secret(Secret::new(text))),
        value => (name, value),
    };
    args.into_iter().map(seal).collect()
}

/// Does a value fit a kind? The error says what was expected.
pub fn fits(kind: ArgKind, value: &Value) -> Result<(), String> {
    let expected = |what: &str| Err(format!("expected {what}, got {}", value.type_name()));
    match (kind, value) {
        (ArgKind::Any, _)
        | (ArgKind::Text, Value::Text(_))
        | (ArgKind::Int, Value::Int(_))
        | (ArgKind::Bool, Value::Bool(_))
        | (ArgKind::List | ArgKind::Texts, Value::List(_))
        | (ArgKind::Texts, Value::Text(_))
        | (ArgKind::Map, Value::Map(_))
        | (ArgKind::Secret | ArgKind::TextOrSecret, Value::Secret(_) | Value::Text(_)) => Ok(()),
        (ArgKind::Path, Value::Text(text)) => crate::args::plain_path(text),
        (ArgKind::Duration, Value::Text(text)) => crate::duration::parse(text).map(|_| ()),
        (ArgKind::Mode, Value::Text(text)) => match u32::from_str_radix(text, 8) {
            Ok(mode) if mode <= 0o7777 => Ok(()),
            _ => Err(format!("`{text}` is no mode; write octal digits in quotes, such as \"0644\"")),
        },
        (ArgKind::Enum(words), Value::Text(text)) if words.contains(&text.as_str()) => Ok(()),
        (ArgKind::Enum(words), _) => expected(&format!("one of {}", words.join(", "))),
        (ArgKind::Text, _) => expected("a string"),
        (ArgKind::Path, _) => expected("a path"),
        (ArgKind::Int, _) => expected("a whole number"),
        (ArgKind::Bool, _) => expected("true or false"),
        (ArgKind::Duration, _) => expected("a duration such as 30s"),
        (ArgKind::Mode, _) => expected("octal permission bits in quotes, such as \"0644\""),
        (ArgKind::Texts, _) => expected("a list of strings"),
        (ArgKind::List, _) => expected("a list"),
        (ArgKind::Map, _) => expected("a map"),
        (ArgKind::Secret, _) => expected("a secret"),
        (ArgKind::TextOrSecret, _) => expected("a string or a secret"),
    }
}
