//! Everything one run shares: runbook, inputs, hosts, log, person.

use super::{drift::keyed_digest, hosts::Hosts, log::Log, person::Person};
use crate::model::{Answers, Call, Runbook};
use keybook_api::{
    ActionSpec, Args, Cancel, Ctx, Fault, HostAccess, KeyLines, Map, Redactor, Registry, RunId, Sink,
    StreamName, Target, TrustJudge, UnitId, Value,
    action::{check_args, seal_args},
};
use keybook_script::ScriptHost;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, atomic::AtomicU32},
    time::Duration,
};

/// Where a run keeps its things on a host: `STATE_ROOT/<run>`.
pub const STATE_ROOT: &str = "/var/lib/keybook";

/// The longest line of output that is journaled, in characters.
const LONGEST_LINE: usize = 4096;

/// How many lines of output one call may put into the journal.
const MOST_LINES: usize = 2000;

/// How a run is to be carried out.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Nobody is at a terminal: answers come from the file or the inbox.
    pub unattended: bool,
    /// Ask before every changing step, gate or not.
    pub ask_each: bool,
    /// Stop after this phase.
    pub until: Option<String>,
    /// Override for steps with `order: parallel` whose batch is 0.
    pub parallel: usize,
    /// The hosts are folders.
    pub sandbox: bool,
    /// Obligations that were settled by hand, `what@host` or `what@host#item`.
    pub settled: Vec<String>,
    /// Units that somebody skipped and that are to be begun again, `step@host` or `step@host#item`.
    pub again: Vec<String>,
    /// Units that could not be taken back, and that somebody took back by hand, `step@host` or `step@host#item`.
    pub taken_back: Vec<String>,
}

/// A registered name.
pub struct Register {
    /// The name.
    pub name: String,
    /// The path of the step whose result it is.
    pub path: String,
    /// The path of the step that uses the library it belongs to; empty outside libraries. It is seen only there.
    pub library: String,
}

/// One run under way.
pub struct Session {
    /// Its id.
    pub id: RunId,
    /// The runbook.
    pub runbook: Arc<Runbook>,
    /// Evaluates its expressions.
    pub script: Arc<ScriptHost>,
    /// Its inputs.
    pub inputs: Map,
    /// The actions.
    pub registry: Registry,
    /// Its hosts.
    pub hosts: Arc<Hosts>,
    /// Judges trust.
    pub trust: Arc<dyn TrustJudge>,
    /// Its log.
    pub log: Arc<Log>,
    /// Who answers.
    pub person: Arc<dyn Person>,
    /// Answers given beforehand.
    pub answers: Answers,
    /// How it is carried out.
    pub options: Options,
    /// Cancelled by the first Ctrl-C.
    pub cancel: Cancel,
    /// Knows every secret of the run.
    pub redactor: Arc<Redactor>,
    /// Salt of the run's keyed hashes.
    pub salt: String,
    /// Registered names.
    pub registers: Vec<Register>,
    /// Results of this process as the actions gave them.
    pub live: Mutex<HashMap<UnitId, Value>>,
    /// Items of loops of this process that the journal does not have whole: by the loop (see [`super::loops::key`]) and
    /// their names.
    pub live_items: Mutex<HashMap<(String, String), Value>>,
    /// Items of loops that were not begun yet, as a plan foresees them, by the same keys as those in the journal.
    pub foreseen: Mutex<BTreeMap<String, Vec<serde_json::Value>>>,
}

impl Session {
    /// The run's folder on a host.
    pub fn state_dir(&self) -> String {
        format!("{STATE_ROOT}/{}", self.id)
    }

    /// A digest of a value that only this run can make: see [`keyed_digest`].
    pub fn digest(&self, value: &Value) -> String {
        keyed_digest(value, &self.salt)
    }

    /// The arguments of a call: rendered, sealed where they are secrets, known to the redactor, and checked.
    pub fn args(&self, call: &Call, spec: &ActionSpec, scope: &Map) -> Result<Args, Fault> {
        let rendered = seal_args(spec, call.args.render(&self.script, scope)?);
        Self::learn(&self.redactor, &Value::Map(rendered.clone()));
        check_args(spec, &rendered).map_err(|fault| fault.at(&call.span))?;
        Ok(Args(rendered))
    }

    /// What an action call gets.
    pub fn ctx(
        self: &Arc<Self>,
        target: Arc<dyn Target>,
        unit: &UnitId,
        attempt: u32,
        may_change: bool,
        cancel: Cancel,
    ) -> Ctx {
        Ctx {
            target,
            hosts: Arc::clone(&self.hosts) as Arc<dyn HostAccess>,
            run: self.id.clone(),
            unit: unit.clone(),
            attempt,
            state_dir: self.state_dir(),
            may_change,
            planned: keybook_api::Value::Null,
            salt: self.salt.clone(),
            cancel,
            sink: Arc::new(UnitSink {
                session: Arc::clone(self),
                unit: unit.clone(),
                attempt,
                quiet: !may_change || self.runbook.step_at(&unit.step).is_some_and(|step| step.secret),
                seen: Mutex::default(),
            }),
            now: jiff::Timestamp::now().as_second(),
            first_receipt: 0,
            tries: 1,
            ordinal: AtomicU32::new(0),
        }
    }

    /// Registered names with the paths of their steps.
    pub fn registers_of(runbook: &Runbook) -> Vec<Register> {
        let named = |(path, step): (String, &crate::model::Step)| {
            let library = runbook.library_around(&path).map_or("", |(around, _)| around).to_owned();
            Some(Register { name: step.register.as_ref()?.value.clone(), library, path })
        };
        runbook.walk().into_iter().filter_map(named).collect()
    }

    /// Remembers every secret inside a value.
    pub fn learn(redactor: &Redactor, value: &Value) {
        match value {
            Value::Secret(secret) => redactor.add(secret),
            Value::List(list) => list.iter().for_each(|item| Self::learn(redactor, item)),
            Value::Map(map) => map.values().for_each(|item| Self::learn(redactor, item)),
            _ => {}
        }
    }
}

/// Sleeps, unless cancelled first; false when cancelled.
pub async fn sleep(duration: Duration, cancel: &Cancel) -> bool {
    tokio::select! {
        () = cancel.cancelled() => false,
        () = tokio::time::sleep(duration) => true,
    }
}

struct UnitSink {
    session: Arc<Session>,
    unit: UnitId,
    attempt: u32,
    quiet: bool,
    /// A key that is being printed, on each stream; and how many lines were journaled.
    seen: Mutex<([KeyLines; 2], usize)>,
}

impl UnitSink {
    /// The line as it may be journaled; `None` when it is left out.
    fn shown(&self, stream: StreamName, line: &str) -> Option<String> {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (keys, count) = &mut *seen;
        let [out, err] = keys;
        let keys = if stream == StreamName::Stdout { out } else { err };
        let line = keys.line(line)?;
        *count += 1;
        match (*count).cmp(&MOST_LINES) {
            std::cmp::Ordering::Less => {
                // Redacted before it is cut: half a secret would not be found.
                Some(self.session.redactor.text(line).chars().take(LONGEST_LINE).collect())
            }
            std::cmp::Ordering::Equal => {
                Some(format!("(more than {MOST_LINES} lines: the rest is not journaled)"))
            }
            std::cmp::Ordering::Greater => None,
        }
    }
}

impl Sink for UnitSink {
    fn line(&self, stream: StreamName, line: &str) {
        if self.quiet {
            return;
        }
        let Some(line) = self.shown(stream, line) else { return };
        // A journal that cannot be written is found at the next durable record; output alone does not stop a run.
        let _ =
            self.session.log.unit(&self.unit, self.attempt, keybook_api::Event::UnitOutput { stream, line });
    }

    fn progress(&self, text: &str) {
        self.session.log.progress(&self.unit, text);
    }

    fn note(&self, text: &str) {
        if self.quiet {
            return;
        }
        let note = keybook_api::Event::UnitNote { text: text.to_owned() };
        let _ = self.session.log.unit(&self.unit, self.attempt, note);
    }
}
