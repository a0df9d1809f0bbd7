//! Steps with a script. It runs on a thread of its own and asks for each call here, on the run's task. Interrupted
//! between two calls it is run again from its beginning: what the journal has of its calls it gets from there.

use super::{
    calls::{Caller, Calls, FROM_ITS_START},
    effect::bounded,
    first,
    machine::{UnitState, loses},
    session::Session,
    state::{CallOutcome, Intent},
    stop::Stop,
    unit::{Attempt, Ready},
};
use async_trait::async_trait;
use keybook_api::{
    Applied, Args, Cancel, Event, Fault, FaultKind, Map, Plan, Target, Value, value::REDACTED,
};
use keybook_script::{HostCalls, Script, ScriptError};
use serde_json::Value as Json;
use std::{sync::Arc, time::Instant};
use tokio::{
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::{JoinError, JoinHandle},
};

/// Why a call gives its script no result.
pub(super) enum Refusal {
    /// It failed; the script may catch that.
    Failed(Fault),
    /// The script ends here.
    Ends(Fault),
    /// The script ends here, and nothing is wrong: what was to be known is known.
    Enough,
}

/// Serves what a script asks for.
#[async_trait]
pub(super) trait Serves: Send {
    /// A call of an action: `family.verb` or `family.verb@host`.
    async fn call(&mut self, name: &str, args: Map) -> Result<Value, Refusal>;
    /// A remark.
    fn note(&mut self, text: &str);
}

enum Request {
    Call { name: String, args: Map, reply: oneshot::Sender<Result<Value, String>> },
    Note(String),
}

/// Brings what a script asks for from its thread to the run's task.
struct Bridge(UnboundedSender<Request>);

impl HostCalls for Bridge {
    fn call(&self, action: &str, args: Map) -> Result<Value, String> {
        let gone = "the run no longer listens to this script";
        let (reply, answer) = oneshot::channel();
        self.0.send(Request::Call { name: action.to_owned(), args, reply }).map_err(|_| gone)?;
        answer.blocking_recv().map_err(|_| gone)?
    }

    fn note(&self, text: &str) {
        // A run that is gone needs no notes.
        let _ = self.0.send(Request::Note(text.to_owned()));
    }
}

type Ran = Result<Result<Value, ScriptError>, JoinError>;

impl Attempt<'_> {
    /// Runs a script; `None` when it was ended because enough is known.
    pub(super) async fn conduct(
        &self,
        script: &Script,
        server: &mut dyn Serves,
        cancel: &Cancel,
    ) -> Result<Option<Value>, Fault> {
        let (sender, mut requests) = unbounded_channel();
        // Of the script alone: cancelled, it ends the script even when that catches the error of its call.
        let token = cancel.child_token();
        let work = self.spawn(script, Bridge(sender), token.clone());
        let (mut failed, mut cut) = (None, None);
        while let Some(request) = requests.recv().await {
            let (name, args, reply) = match request {
                Request::Note(text) => {
                    server.note(&text);
                    continue;
                }
                Request::Call { name, args, reply } => (name, args, reply),
            };
            let answer = server.call(&name, args).await.map_err(|refusal| {
                let end = match refusal {
                    Refusal::Failed(fault) => return failed.insert(fault).to_string(),
                    Refusal::Ends(fault) => Err(fault),
                    Refusal::Enough => Ok(None),
                };
                cut = Some(end);
                token.cancel();
                "the script ends here".to_owned()
            });
            // A script that ended meanwhile needs no answer.
            let _ = reply.send(answer);
        }
        let ran = work.await;
        cut.unwrap_or_else(|| self.ended(ran, failed, cancel).map(Some))
    }

    fn spawn(
        &self,
        script: &Script,
        bridge: Bridge,
        token: Cancel,
    ) -> JoinHandle<Result<Value, ScriptError>> {
        let host = Arc::clone(&self.session.script);
        let (script, scope) = (script.clone(), self.scope.clone());
        tokio::task::spawn_blocking(move || host.run_script(&script, &scope, &bridge, &token))
    }

    /// The value of a script, or why there is none. `failed` is the last call that failed.
    fn ended(&self, ran: Ran, failed: Option<Fault>, cancel: &Cancel) -> Result<Value, Fault> {
        let attempted = || format!("run the script of {}", self.unit);
        match ran {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) if cancel.is_cancelled() => {
                Err(Fault::new(FaultKind::Stopped, attempted(), "the run was stopped"))
            }
            Ok(Err(error)) => match failed.filter(|fault| fault.to_string() == error.message) {
                // The script did not catch it, so that is what went wrong.
                Some(fault) if loses(fault.kind.word()) => {
                    Err(Fault { kind: FaultKind::Failed, ..fault }.at(&error.span))
                }
                Some(fault) => Err(fault.at(&error.span)),
                None => Err(Fault::failed(attempted(), &error.message).at(&error.span)),
            },
            Err(broken) => Err(Fault::failed(attempted(), broken)),
        }
    }

    /// The script, after its unit's intent, and its end.
    pub(super) async fn run_script(
        mut self,
        script: &Script,
        ready: Ready,
        begun: Instant,
    ) -> Result<(), Stop> {
        let value = match self.call_through(script, &ready).await {
            Ok(value) => value,
            Err(fault) => return Err(self.script_failed(fault, begun)),
        };
        Session::learn(&self.session.redactor, &value);
        let changed = self.changed_something();
        if self.state() != UnitState::Applied {
            self.write(Event::UnitApplied { result: self.journaled(&value).0, changed })?;
        }
        match self.check_expectations(Applied { value, changed, add_hosts: Vec::new() }) {
            Ok(applied) => self.finish(&ready, applied, begun).await,
            Err(fault) => Err(self.fail_after_effect(&ready, fault, begun).await),
        }
    }

    /// Goes on with a script that was interrupted between two calls, or after its last.
    pub(super) async fn carry_on(mut self, script: &Script) -> Result<(), Stop> {
        let begun = Instant::now();
        let target = self.session.hosts.get(&self.unit.host).await?;
        if let Err(fault) = self.recover_facts(&target, true).await {
            return Err(self.script_failed(fault, begun));
        }
        let plan = Plan::will(Vec::new());
        self.run_script(script, Ready { target, args: Args::default(), plan, approved: false }, begun).await
    }

    async fn call_through(&self, script: &Script, ready: &Ready) -> Result<Value, Fault> {
        let cancel = self.cancel.child_token();
        let approved = ready.approved.then(|| ready.plan.clone());
        let mut calls = Calls::new(self, Arc::clone(&ready.target), cancel.clone(), approved);
        let work = async {
            let value = self.conduct(script, &mut calls, &cancel).await?;
            calls.all_repeated()?;
            value.ok_or_else(|| Fault::failed(format!("run the script of {}", self.unit), "it has no end"))
        };
        self.in_time(work, &cancel).await
    }

    /// The step's time is that of the whole script.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Fault>>,
        cancel: &Cancel,
    ) -> Result<T, Fault> {
        match self.step.timeout {
            None => work.await,
            Some(limit) => bounded(work, limit, cancel).await,
        }
    }

    fn changed_something(&self) -> bool {
        self.session.log.state(|state| {
            let calls = state.unit(&self.unit).map(|known| known.calls.as_slice()).unwrap_or_default();
            calls.iter().any(|call| {
                call.attempt == self.number && matches!(call.outcome, CallOutcome::Done { changed: true, .. })
            })
        })
    }

    /// Records a script's failure. One that was only interrupted stays under way: it is gone on with.
    fn script_failed(&self, fault: Fault, begun: Instant) -> Stop {
        let called = self
            .session
            .log
            .state(|state| state.unit(&self.unit).is_some_and(|known| known.called(self.number)));
        let interrupted = loses(fault.kind.word());
        match self.state() {
            // Nobody knows what became of the call.
            UnitState::Calling if interrupted => self.fail(fault, false, begun),
            UnitState::Calling => self.fail(Fault { kind: FaultKind::Unknown, ..fault }, false, begun),
            _ if !called => self.fail(fault, true, begun),
            _ if interrupted => self.rest_between(fault),
            _ => self.fail(fault, false, begun),
        }
    }

    fn rest_between(&self, fault: Fault) -> Stop {
        let fault = self.concealed(fault).at(&self.step.span).now(
            "every call that its script began is done or has failed, and is recorded; it is gone on with from there",
        );
        let text = format!("the script rests between two calls: {}", fault.cause);
        match self.write(Event::UnitNote { text }) {
            Ok(()) => Stop::Fault(fault),
            Err(journal) => Stop::Fault(journal),
        }
    }

    /// What a script would do now, up to its first call that does not only read; its value when there is none.
    pub(super) async fn plan_script(
        &self,
        script: &Script,
        target: &Arc<dyn Target>,
    ) -> Result<(Plan, Option<Value>), Stop> {
        let cancel = self.cancel.child_token();
        let caller = Caller::new(self, Arc::clone(target), cancel.clone());
        let mut preview = Preview { caller, first: None };
        let value = self.in_time(self.conduct(script, &mut preview, &cancel), &cancel).await?;
        let nothing = || Plan::wont("its script calls nothing that changes anything");
        Ok((self.shown(preview.first.unwrap_or_else(nothing)), value))
    }

    /// The arguments of a call as it was begun. Where a secret keeps them out of the journal, the script is run
    /// against the journal once more, without touching anything, until it calls with them.
    pub(super) async fn call_args(mut self, script: &Script, intent: &Intent) -> Result<Args, Fault> {
        if !intent.withheld {
            let whole = Value::from_json(&intent.args);
            return Ok(Args(whole.as_map().cloned().unwrap_or_default()));
        }
        self.number = intent.attempt;
        self.scope.insert("facts".to_owned(), Value::from_json(&intent.facts));
        let target = self.session.hosts.get(&self.unit.host).await?;
        self.recover_facts(&target, false).await?;
        let mut calls = Calls::recalling(&self, target, self.cancel.clone());
        // However it ends: what it called until then counts.
        let ended = self.conduct(script, &mut calls, &self.cancel).await;
        let found = intent.call.and_then(|ordinal| calls.recalled(ordinal));
        found.ok_or_else(|| {
            let why = ended.err().map(|fault| format!(": {}", fault.cause)).unwrap_or_default();
            Fault::failed(
                format!("find the arguments of a call of {}", self.unit),
                format!(
                    "they hold a secret, which is not in the journal, and run again the script did not come to this call{why}"
                ),
            )
            .hint("give the same secret inputs as before")
        })
    }

    /// Facts of this attempt whose secrets are not in the journal are read again; with `same`, they must be what they
    /// were.
    pub(super) async fn recover_facts(&mut self, target: &Arc<dyn Target>, same: bool) -> Result<(), Fault> {
        let known = self.scope.get("facts").map(Value::to_json).unwrap_or_default();
        let digests = self.session.log.state(|state| {
            state.unit(&self.unit).map(|known| known.facts_withheld.clone()).unwrap_or_default()
        });
        let mut facts = Map::new();
        for (name, call) in &self.step.facts {
            let kept = known.get(name).unwrap_or(&Json::Null);
            let value = if self.step.secret || kept.to_string().contains(REDACTED) {
                let read = self.read_fact(call, target).await.map_err(super::effect::into_fault)?;
                self.filled(kept, read)
            } else {
                Value::from_json(kept)
            };
            if same && digests.get(name).is_some_and(|digest| *digest != self.session.digest(&value)) {
                return Err(self.other_fact(name));
            }
            facts.insert(name.clone(), value);
        }
        self.scope.insert("facts".to_owned(), Value::Map(facts));
        Ok(())
    }

    fn other_fact(&self, name: &str) -> Fault {
        Fault::failed(
            format!("go on with the script of {}", self.unit),
            format!("its fact `{name}` holds another secret than it held when the script was begun"),
        )
        .now("what it called before was not repeated, and nothing else was called")
        .hint(FROM_ITS_START)
    }

    /// A value as it was: what the journal has of it and, in the places of secrets, what was found again.
    pub(super) fn filled(&self, kept: &Json, found: Value) -> Value {
        if self.step.secret { found } else { filled(kept, found) }
    }
}

fn filled(kept: &Json, found: Value) -> Value {
    match (kept, found) {
        (Json::String(text), found) if text.contains(REDACTED) => found,
        (Json::Object(kept), Value::Map(mut found)) => {
            let item = |(key, kept): (&String, &Json)| {
                (key.clone(), filled(kept, found.shift_remove(key).unwrap_or_default()))
            };
            Value::Map(kept.iter().map(item).collect())
        }
        (Json::Array(kept), Value::List(found)) => {
            let mut found = found.into_iter();
            Value::List(kept.iter().map(|kept| filled(kept, found.next().unwrap_or_default())).collect())
        }
        (kept, _) => Value::from_json(kept),
    }
}

/// Follows a script up to its first call that does not only read.
struct Preview<'a, 's> {
    caller: Caller<'a, 's>,
    first: Option<Plan>,
}

#[async_trait]
impl Serves for Preview<'_, '_> {
    async fn call(&mut self, name: &str, args: Map) -> Result<Value, Refusal> {
        let asked = self.caller.asked(name, args)?;
        let outcome = match asked.reads() {
            true => self.caller.read(&asked).await.map(Some),
            false => self.caller.describe(&asked).await.map(|plan| {
                self.first = Some(first::planned(&asked, plan));
                None
            }),
        };
        match outcome {
            Ok(read) => read.ok_or(Refusal::Enough),
            Err(fault) => Err(self.caller.refusal(&asked, fault)),
        }
    }

    /// Nothing is told that was not carried out.
    fn note(&mut self, _text: &str) {}
}
