//! The hooks of hooks.rhai: functions that a run calls at fixed moments. They may look (read-only actions) and tell
//! (notes, and actions that tell people outside), never change: so nothing has to be taken back, and calling one again
//! on resume does no harm. What they are given holds no secret; a secret input they ask for by its name.
//!
//! | hook | called | when it fails |
//! |---|---|---|
//! | `before_run(run)` | after preflight and lock, also on resume | the run stops before its next step |
//! | `after_run(run, outcome)` | at the end, however it ended | a note |
//! | `before_step(unit)` | before a unit whose `when` holds | the unit fails, nothing was changed |
//! | `after_step(unit, result)` | after a unit is done | a note |
//! | `on_failure(unit, fault)` | after a unit failed | a note |
//! | `on_waiting(run, unit, question)` | when nobody is there to answer a gate | a note |

use super::{calls::without_secrets, hosts::LOCAL, session::Session, stop::Stop, tell::forgiven};
use crate::model::Step;
use keybook_api::{
    Args, Cancel, Effect, Event, Fault, Map, RunId, UnitId, Value,
    action::{check_args, seal_args},
    event::RunStatus,
    returns::{Holds, Key, Keys},
    value::map,
};
use keybook_script::{HostCalls, ScriptError};
use std::{sync::Arc, time::Duration};

/// The hooks, and what each of their parameters holds.
pub const HOOKS: [(&str, &[Holds]); 6] = [
    ("before_run", &[Holds::Map(RUN)]),
    ("after_run", &[Holds::Map(RUN), OUTCOME]),
    ("before_step", &[UNIT]),
    ("after_step", &[UNIT, Holds::Anything]),
    ("on_failure", &[UNIT, FAULT]),
    ("on_waiting", &[Holds::Map(RUN), UNIT, Holds::Plain]),
];

/// What [`Session::run_value`] makes.
const RUN: Keys = Keys::own(&[
    Key::plain("id", "The run's id."),
    Key::plain("runbook", "Its runbook's name."),
    Key::plain("cluster", "The inventory's `cluster`."),
    Key::plain("sandbox", "Whether the hosts are folders."),
    Key::plain("unattended", "Whether nobody is asked."),
    Key::anything("inputs", "Those that are not secret, by name."),
    Key::anything("groups", "The names of hosts, by group."),
]);

/// What [`Session::unit_value`] makes.
const UNIT: Holds = Holds::Map(Keys::own(&[
    Key::plain("id", "`step@host`, or `step@host#item`."),
    Key::plain("step", "The step's path."),
    Key::plain("title", "The step's title."),
    Key::plain("action", "The action's name."),
    Key::plain("host", "The host's name."),
    Key::plain("item", "The item's name, or null."),
    Key::plain("attempt", "From 1."),
    Key::map("run", "The run.", RUN),
]));

/// How a run ended.
const OUTCOME: Holds =
    Holds::Map(Keys::own(&[Key::plain("status", "As in the journal."), Key::plain("reason", "Why.")]));

/// Why a unit failed.
const FAULT: Holds = Holds::Map(Keys::own(&[
    Key::plain("kind", "The kind's word."),
    Key::plain("attempted", "What was attempted."),
    Key::plain("cause", "What went wrong."),
    Key::plain("now", "What is now true, or null."),
]));

/// How long a hook may take in all, its actions included.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a hook can reach: the session, for actions on hosts.
struct Calls {
    session: Arc<Session>,
    hook: &'static str,
    /// Whose hook it is; that of a run has none.
    unit: Option<UnitId>,
    attempt: u32,
    cancel: Cancel,
    runtime: tokio::runtime::Handle,
}

impl HostCalls for Calls {
    fn call(&self, action: &str, args: Map) -> Result<Value, String> {
        self.runtime.block_on(self.act(action, args)).map_err(|fault| fault.to_string())
    }

    fn note(&self, text: &str) {
        self.session.hook_note(self.unit.as_ref(), self.attempt, text);
    }

    fn secret(&self, name: &str) -> Result<Value, String> {
        match self.session.runbook.inputs.get(name) {
            Some(input) if input.is_secret() => {
                Ok(self.session.inputs.get(name).cloned().unwrap_or_default())
            }
            Some(_) => Err(format!("the input `{name}` is no secret: it is `run.inputs.{name}`")),
            None => Err(format!("the runbook has no input `{name}`")),
        }
    }
}

impl Calls {
    /// `family.verb` on the unit's host, or `family.verb@host`. What tells people does so from this machine: the unit's
    /// host may be the one that failed.
    async fn act(&self, asked: &str, args: Map) -> Result<Value, Fault> {
        let (name, host) = match asked.split_once('@') {
            Some((name, host)) => (name, host.to_owned()),
            None => (asked, self.unit.as_ref().map_or_else(|| LOCAL.to_owned(), |unit| unit.host.clone())),
        };
        let attempted = || format!("use `{name}` in a hook");
        let action = self.session.registry.get(name).cloned();
        let action = action.ok_or_else(|| Fault::usage(attempted(), "there is no such action"))?;
        let tells = action.spec().effect == Effect::Tells;
        if !tells && action.spec().effect != Effect::Reads {
            return Err(Fault::usage(attempted(), "it is not read-only").hint(
                "what changes something belongs in a step, where it has a gate, a backup and a way back",
            ));
        }
        check_args(action.spec(), &args)?;
        let args = seal_args(action.spec(), args);
        Session::learn(&self.session.redactor, &Value::Map(args.clone()));
        let target = self.session.hosts.get(if tells { LOCAL } else { &host }).await?;
        let unit = self.unit.clone().unwrap_or_else(|| UnitId {
            step: self.hook.to_owned(),
            host: host.clone(),
            item: None,
        });
        let ctx = self.session.ctx(target, &unit, self.attempt, false, self.cancel.clone());
        let applied = match tells {
            true => forgiven(self.session.tell(&*action, &ctx, &Args(args)).await, |text| self.note(&text))?,
            false => action.apply(&ctx, &Args(args)).await?,
        };
        Session::learn(&self.session.redactor, &applied.value);
        Ok(applied.value)
    }
}

impl Session {
    /// `before_run`: its failure stops the run.
    pub(super) async fn before_run(self: &Arc<Self>) -> Result<(), Stop> {
        Ok(self.hook("before_run", None, vec![self.run_value()]).await?)
    }

    /// `after_run`: the run has ended, whatever it says.
    pub(super) async fn after_run(self: &Arc<Self>, status: RunStatus, reason: &str) {
        let outcome = map([
            ("status", serde_json::to_value(status).map_or(Value::Null, |json| Value::from_json(&json))),
            ("reason", reason.into()),
        ]);
        let called = self.hook("after_run", None, vec![self.run_value(), Value::Map(outcome)]).await;
        self.told(None, 0, "after_run", called);
    }

    /// `before_step`: its failure fails the unit before anything is changed.
    pub(super) async fn before_step(
        self: &Arc<Self>,
        step: &Step,
        unit: &UnitId,
        attempt: u32,
    ) -> Result<(), Fault> {
        self.hook("before_step", Some((unit, attempt)), vec![self.unit_value(step, unit, attempt)]).await
    }

    /// `after_step`: the unit is done, whatever it says.
    pub(super) async fn after_step(
        self: &Arc<Self>,
        step: &Step,
        unit: &UnitId,
        attempt: u32,
        result: &Value,
    ) {
        let result = match step.secret {
            true => Value::Null,
            false => without_secrets(&self.redactor.json(&result.to_json())),
        };
        let args = vec![self.unit_value(step, unit, attempt), result];
        let called = self.hook("after_step", Some((unit, attempt)), args).await;
        self.told(Some(unit), attempt, "after_step", called);
    }

    /// `on_failure`: the unit has failed, whatever it says.
    pub(super) async fn on_failure(
        self: &Arc<Self>,
        step: &Step,
        unit: &UnitId,
        attempt: u32,
        fault: &Fault,
    ) {
        let text = |text: &str| Value::from(self.redactor.text(text));
        let told = map([
            ("kind", fault.kind.word().into()),
            ("attempted", text(&fault.attempted)),
            ("cause", text(&fault.cause)),
            ("now", fault.now_true.as_deref().map(text).unwrap_or_default()),
        ]);
        let args = vec![self.unit_value(step, unit, attempt), Value::Map(told)];
        let called = self.hook("on_failure", Some((unit, attempt)), args).await;
        self.told(Some(unit), attempt, "on_failure", called);
    }

    /// `on_waiting`: nobody is there to answer the question of a gate.
    pub(super) async fn on_waiting(
        self: &Arc<Self>,
        step: &Step,
        unit: &UnitId,
        attempt: u32,
        question: &str,
    ) {
        let args = vec![self.run_value(), self.unit_value(step, unit, attempt), question.into()];
        let called = self.hook("on_waiting", Some((unit, attempt)), args).await;
        self.told(Some(unit), attempt, "on_waiting", called);
    }

    /// What went wrong in a hook that comes too late to stop anything is told.
    fn told(&self, unit: Option<&UnitId>, attempt: u32, hook: &str, called: Result<(), Fault>) {
        if let Err(fault) = called {
            self.hook_note(unit, attempt, &format!("the hook `{hook}` failed: {fault}"));
        }
    }

    fn hook_note(&self, unit: Option<&UnitId>, attempt: u32, text: &str) {
        let text = text.to_owned();
        // A journal that cannot be written is found at the next durable record.
        let _ = match unit {
            Some(unit) => self.log.unit(unit, attempt, Event::UnitNote { text }),
            None => self.log.run(Event::RunNote { text }),
        };
    }

    fn run_value(&self) -> Value {
        let groups = self.hosts.groups().into_iter().map(|(name, members)| (name, members.into()));
        // Whoever hands the whole map on must not hand a secret on: each is asked for by its name.
        let secret = |name: &String| self.runbook.inputs.get(name).is_some_and(|input| input.is_secret());
        let open_inputs = self.inputs.iter().filter(|(name, value)| !secret(name) && !value.has_secret());
        let open_inputs = open_inputs.map(|(name, value)| (name.clone(), value.clone()));
        Value::Map(map([
            ("id", RunId::as_str(&self.id).into()),
            ("runbook", self.runbook.name.value.as_str().into()),
            ("cluster", self.hosts.cluster().into()),
            ("sandbox", self.options.sandbox.into()),
            ("unattended", self.options.unattended.into()),
            ("inputs", Value::Map(open_inputs.collect())),
            ("groups", Value::Map(groups.collect())),
        ]))
    }

    fn unit_value(&self, step: &Step, unit: &UnitId, attempt: u32) -> Value {
        Value::Map(map([
            ("id", unit.to_string().into()),
            ("step", unit.step.as_str().into()),
            ("title", step.title.as_str().into()),
            ("action", step.action().into()),
            ("host", unit.host.as_str().into()),
            ("item", unit.item.as_deref().into()),
            ("attempt", i64::from(attempt).into()),
            ("run", self.run_value()),
        ]))
    }

    async fn hook(
        self: &Arc<Self>,
        name: &'static str,
        unit: Option<(&UnitId, u32)>,
        args: Vec<Value>,
    ) -> Result<(), Fault> {
        let Some(hooks) = self.script.hooks_in_use().filter(|hooks| hooks.params_of(name).is_some()).cloned()
        else {
            return Ok(());
        };
        // A stop ends none: atomic steps, `finally` and what was done just before are told of as ever. The second Ctrl-C ends all.
        let cancel = Cancel::new();
        let calls = Calls {
            session: Arc::clone(self),
            hook: name,
            unit: unit.map(|(unit, _)| unit.clone()),
            attempt: unit.map_or(0, |(_, attempt)| attempt),
            cancel: cancel.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let script = Arc::clone(&self.script);
        let token = cancel.clone();
        let work = tokio::task::spawn_blocking(move || script.call_hook(&hooks, name, args, &calls, &token));
        let attempted = || format!("call the hook `{name}`");
        let ended = match tokio::time::timeout(PATIENCE, work).await {
            Ok(ended) => ended,
            Err(_) => {
                cancel.cancel();
                return Err(Fault::failed(attempted(), "it takes longer than 10 minutes"));
            }
        };
        match ended {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(ScriptError { message, span })) => Err(Fault::failed(attempted(), message).at(&span)),
            Err(broken) => Err(Fault::failed(attempted(), broken)),
        }
    }
}
