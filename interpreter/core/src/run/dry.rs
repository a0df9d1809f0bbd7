//! What a run would do, without doing it. Steps that only read are really read, so that later steps can be
//! planned with what they find; of a step that changes something only its plan is made. Three answers: will
//! change, will not, cannot know (with the reason).

use super::{
    effect::into_fault,
    machine::UnitState,
    scope::ToCome,
    session::Session,
    stop::Stop,
    unit::{Attempt, planned},
    walk::Place,
};
use crate::model::{Call, HostChoice, SCRIPT, Step, Work};
use futures::future::BoxFuture;
use indexmap::IndexMap;
use keybook_api::{
    Args, Cancel, Change, Effect, Event, Fault, FaultKind, Plan, Target, UnitId, Value, event::StepInfo,
};
use keybook_script::Script;
use std::sync::Arc;

/// One unit of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The unit.
    pub unit: UnitId,
    /// Its step.
    pub step: StepInfo,
    /// What it would do.
    pub plan: Plan,
    /// The gate's question, where there is a gate.
    pub gate: Option<String>,
    /// The unit would be left out, and why.
    pub left_out: Option<String>,
    /// The run would stop here, and why.
    pub stops: Option<String>,
    /// It may change its host, so that what is there now says nothing certain about later units.
    unsettles: bool,
    /// Its action can change hosts.
    changes: bool,
    /// It only looks: its action, or what its script calls, changes nothing by its nature.
    reads: bool,
    /// It is left out by its `check`, which looks at the host.
    by_check: bool,
}

impl Planned {
    /// The unit looks, and never changes its host.
    pub fn only_looks(&self) -> bool {
        self.reads && self.plan.change == Change::Wont
    }

    /// What only reads changes nothing: that is known, whatever its checks will say.
    fn may_stop(&mut self, passes: Result<Option<String>, Stop>) {
        match passes {
            Ok(stops) => self.stops = stops,
            Err(stop) => {
                self.plan.lines.push(format!("(whether it will pass cannot be known: {})", stop.reason()));
            }
        }
    }

    /// An earlier unit changes this host first: what holds now may not hold then.
    fn comes_after(&mut self, earlier: &UnitId) {
        let why = format!("`{earlier}` comes first and may change that");
        if let Some(stop) = self.stops.take() {
            self.plan.lines.push(format!("(now {stop}; {why})"));
        }
        let checked_out = self.by_check && self.left_out.take().is_some();
        if checked_out || (self.changes && self.plan.change == Change::Wont) {
            self.plan.change = Change::CannotKnow(why);
            self.unsettles = true;
        }
    }
}

fn share_a_path(one: &Plan, other: &Plan) -> bool {
    one.touches.iter().any(|path| other.touches.contains(path))
}

/// The plans of the steps inside a step, as one.
struct Inside {
    plan: Plan,
    /// An earlier one of them changes something.
    changes: bool,
    /// What they have given when a later one begins.
    to_come: ToCome,
}

/// The plans of the steps before, and what they will give.
#[derive(Default)]
struct Plans {
    all: Vec<Planned>,
    to_come: ToCome,
}

impl Inside {
    /// `can_change`: what it does may make another plan of what comes later.
    fn unknown(&mut self, title: &str, why: &str, can_change: bool) {
        self.changes |= can_change;
        self.plan.lines.push(format!("{title} (the exact plan cannot be known yet: {why})"));
    }

    /// What it does then is shown all the same.
    fn unsure(&mut self, title: &str, why: &str) {
        self.plan.lines.push(format!("{title} (whether it is carried out cannot be known yet: {why})"));
    }

    fn add(&mut self, title: &str, plan: Plan, can_change: bool) {
        self.plan.basis.push_str(&plan.basis);
        // What is so already may not be so any more when the steps before it are through.
        if self.changes && plan.change == Change::Wont && can_change {
            return self.plan.lines.push(format!("{title} (after that)"));
        }
        self.changes |= plan.change != Change::Wont && can_change;
        self.plan.lines.extend(plan.lines);
        self.plan.diffs.extend(plan.diffs);
    }
}

impl Attempt<'_> {
    /// The plans of all the steps inside, together, as far as they can be known now.
    pub(super) async fn plan_inside(&self) -> Plan {
        let mut inside = Inside { plan: Plan::will(Vec::new()), changes: false, to_come: ToCome::default() };
        let mut around = self.session.runbook.steps_to(&self.unit.step);
        let place = Place {
            prefix: self.unit.step.clone(),
            host: around.any(|(_, step)| step.hosts.is_some()).then(|| self.unit.host.clone()),
            item: self.scope.get("item").cloned().unwrap_or_default(),
            item_name: self.unit.item.clone(),
            ..Place::default()
        };
        self.plan_steps(self.step.children(), place, &mut inside).await;
        inside.plan
    }

    fn plan_steps<'a>(
        &'a self,
        steps: &'a [Step],
        place: Place,
        inside: &'a mut Inside,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for step in steps.iter().filter(|step| self.is_part(&place.path(step))) {
                let (chosen, more) = self.session.foresee_hosts(step, &place, &inside.to_come);
                if let Some(why) = more {
                    inside.unknown(&step.title, &why, self.session.may_change(step, &place.path(step)));
                }
                match chosen {
                    Ok(hosts) => {
                        let path = place.path(step);
                        let settling = self.settling.as_ref().filter(|settling| settling.is_around(&path));
                        let there =
                            |host: &String| settling.is_none_or(|settling| settling.is_on(step, &path, host));
                        for host in hosts.into_iter().filter(there) {
                            self.plan_on(step, &host, place.on(step, &host), inside).await;
                        }
                    }
                    Err(why) => {
                        inside.unknown(&step.title, &why, self.session.may_change(step, &place.path(step)));
                        self.session.comes(&place.path(step), &mut inside.to_come);
                    }
                }
            }
        })
    }

    /// A rollback carries out of a step around a settling one only that.
    fn is_part(&self, path: &str) -> bool {
        self.settling.as_ref().is_none_or(|settling| settling.concerns(path))
    }

    async fn plan_on(&self, step: &Step, host: &str, place: Place, inside: &mut Inside) {
        let path = place.path(step);
        match self.session.foresee_items(step, &path, host, &place, &inside.to_come) {
            Ok(places) => {
                let settling = self.settling.as_ref().filter(|settling| settling.is_around(&path));
                let places = match settling {
                    Some(settling) => settling.of(step, places),
                    None => places,
                };
                for there in places {
                    self.plan_step(step, &path, host, &there, inside).await;
                }
            }
            Err(stop) => {
                inside.unknown(
                    &self.title(step, host, None),
                    &stop.reason(),
                    self.session.may_change(step, &path),
                );
                self.session.comes(&path, &mut inside.to_come);
            }
        }
    }

    /// A gate around a loop, or on a step without hosts, is about several: a line that says nothing itself says which.
    fn title(&self, step: &Step, host: &str, item: Option<&str>) -> String {
        let host = Some(host).filter(|host| *host != self.unit.host);
        let item = item.filter(|item| Some(*item) != self.unit.item.as_deref());
        let place: Vec<&str> = host.into_iter().chain(item).collect();
        if place.is_empty() { step.title.clone() } else { format!("{}: {}", place.join(", "), step.title) }
    }

    async fn plan_step(&self, step: &Step, path: &str, host: &str, place: &Place, inside: &mut Inside) {
        let title = self.title(step, host, place.item_name.as_deref());
        let unit = UnitId { step: path.to_owned(), host: host.to_owned(), item: place.item_name.clone() };
        let outside = self.settling.as_ref().is_some_and(|settling| settling.is_outside(path));
        if outside && self.session.was_left_out(step, &unit, &place.item) {
            return;
        }
        let mut attempt =
            Attempt::foreseen(self.session, step, unit, &place.item, self.cancel.clone(), &inside.to_come);
        match step.when.as_ref().map(|when| attempt.truth(when, "when")) {
            Some(Ok(false)) => return,
            Some(Err(stop)) => inside.unsure(&title, &stop.reason()),
            Some(Ok(true)) | None => {}
        }
        match attempt.is_so_already().await {
            // What is so now may not be so any more when the steps before it are through.
            Ok(true) if inside.changes => {
                inside.unsure(&title, "its check says that it is so already, before the steps above")
            }
            Ok(true) => return,
            Ok(false) => {}
            Err(why) => inside.unsure(&title, &why),
        }
        if let Work::Steps(children) = &step.work {
            let there = Place { prefix: path.to_owned(), ..place.clone() };
            return self.plan_steps(children, there, inside).await;
        }
        match attempt.plan_quietly().await {
            Ok(mut plan) => {
                // A gate on a step without hosts is about several: each line says which.
                if host != self.unit.host {
                    plan.lines.iter_mut().for_each(|line| *line = format!("{host}: {line}"));
                    plan.diffs.iter_mut().for_each(|diff| diff.path = format!("{host}: {}", diff.path));
                }
                inside.add(&title, plan, self.session.can_change(path));
            }
            Err(why) => inside.unknown(&title, &why, self.session.can_change(path)),
        }
        self.session.comes(path, &mut inside.to_come);
    }

    /// What its check says now; false without one.
    async fn is_so_already(&mut self) -> Result<bool, String> {
        let Some(check) = self.step.check.as_ref().filter(|_| !self.settles_again()) else {
            return Ok(false);
        };
        self.look_quietly().await?;
        self.truth(check, "check").map_err(|stop| stop.reason())
    }

    /// Reads the facts without any record.
    async fn look_quietly(&mut self) -> Result<Arc<dyn Target>, String> {
        let target = self.session.hosts.get(&self.unit.host).await.map_err(|fault| fault.to_string())?;
        let facts = self.read_facts(&target).await.map_err(|stop| stop.reason())?;
        self.scope.insert("facts".to_owned(), Value::Map(facts));
        Ok(target)
    }

    /// A plan without any record; the error says why it cannot be known.
    async fn plan_quietly(&mut self) -> Result<Plan, String> {
        let target = self.look_quietly().await?;
        let args = match &self.step.work {
            Work::Action(call) => self.args(call).map_err(|stop| stop.reason())?,
            Work::Steps(_) | Work::Script(_) => Args::default(),
        };
        self.plan_work(&target, &args).await.map(|(plan, _)| plan).map_err(|stop| stop.reason())
    }
}

impl Session {
    /// Plans every step on every host.
    pub async fn dry_run(self: &Arc<Self>) -> Result<Vec<Planned>, Stop> {
        let mut plans = Plans::default();
        self.dry_steps(&self.runbook.steps, Place::default(), &mut plans).await?;
        Ok(plans.all)
    }

    fn dry_steps<'s>(
        self: &'s Arc<Self>,
        steps: &'s [Step],
        place: Place,
        plans: &'s mut Plans,
    ) -> BoxFuture<'s, Result<(), Stop>> {
        Box::pin(async move {
            for step in steps {
                let path = place.path(step);
                let (chosen, more) = self.foresee_hosts(step, &place, &plans.to_come);
                let hosts = chosen.map_err(|why| {
                    Fault::failed(format!("choose the hosts of {path}"), why)
                        .at(step.hosts.as_ref().map_or(&step.span, |choice| &choice.span))
                })?;
                for host in hosts {
                    self.dry_items(step, &path, &host, place.on(step, &host), plans).await?;
                }
                if let (Some(why), Some(choice)) = (more, &step.hosts) {
                    self.dry_on_more(step, &path, choice, why, plans);
                }
            }
            Ok(())
        })
    }

    /// Can a step, or one inside it, change a host?
    fn may_change(&self, step: &Step, path: &str) -> bool {
        let inside = |child: &Step| self.may_change(child, &format!("{path}/{}", child.id.value));
        self.can_change(path) || step.children().iter().any(inside)
    }

    /// The hosts of a step that there are, and whether steps that are to come may add more.
    fn foresee_hosts(
        &self,
        step: &Step,
        place: &Place,
        to_come: &ToCome,
    ) -> (Result<Vec<String>, String>, Option<String>) {
        let chosen = self.choose_hosts(step, place);
        let choice = step.hosts.as_ref().filter(|_| place.host.is_none());
        let Some((choice, (path, group))) =
            choice.and_then(|choice| Some((choice, to_come.may_grow(choice)?)))
        else {
            return (chosen, None);
        };
        let more = format!("it is for the hosts, too, that `{path}` adds to the group `{group}`");
        (chosen.or_else(|_| Ok(choice.there(&self.hosts.groups()))), Some(more))
    }

    /// A step on the hosts that a group will get. They have no names yet: that of the group stands there.
    fn dry_on_more(&self, step: &Step, path: &str, choice: &HostChoice, why: String, plans: &mut Plans) {
        let groups: Vec<&str> = choice.picks.iter().map(|pick| pick.group.as_str()).collect();
        let unit = UnitId { step: path.to_owned(), host: groups.join("+"), item: None };
        let mut planned = self.to_plan(step, path, unit, None);
        planned.plan.change = Change::CannotKnow(why);
        planned.unsettles = true;
        plans.all.push(planned);
        self.comes(path, &mut plans.to_come);
    }

    /// A step on one host: each item of its loop, where that is known.
    async fn dry_items(
        self: &Arc<Self>,
        step: &Step,
        path: &str,
        host: &str,
        place: Place,
        plans: &mut Plans,
    ) -> Result<(), Stop> {
        match self.foresee_items(step, path, host, &place, &plans.to_come) {
            Ok(places) => {
                for there in places {
                    self.dry_unit(step, path, host, there, plans).await?;
                }
                Ok(())
            }
            Err(stop) => {
                let unit = UnitId { step: path.to_owned(), host: host.to_owned(), item: None };
                let mut planned = self.to_plan(step, path, unit, None);
                let why = format!("the items of its loop are not known yet: {}", stop.reason());
                planned.plan.change = Change::CannotKnow(why);
                planned.unsettles = true;
                plans.all.push(planned);
                self.comes(path, &mut plans.to_come);
                Ok(())
            }
        }
    }

    /// What only looks has given its result to the plan. A step with steps gives none itself; where it may not be carried
    /// out, those inside may not be.
    fn gives_later(&self, step: &Step, planned: &Planned) -> bool {
        match &step.work {
            Work::Steps(_) => matches!(planned.plan.change, Change::CannotKnow(_)),
            _ => self.log.state(|state| state.unit_state(&planned.unit)) != UnitState::Done,
        }
    }

    fn to_plan(&self, step: &Step, path: &str, unit: UnitId, gate: Option<String>) -> Planned {
        Planned {
            unit,
            step: self.runbook.info(path, step),
            plan: Plan::will(Vec::new()),
            gate,
            left_out: None,
            stops: None,
            unsettles: false,
            changes: false,
            reads: false,
            by_check: false,
        }
    }

    async fn dry_unit(
        self: &Arc<Self>,
        step: &Step,
        path: &str,
        host: &str,
        place: Place,
        plans: &mut Plans,
    ) -> Result<(), Stop> {
        let unit = UnitId { step: path.to_owned(), host: host.to_owned(), item: place.item_name.clone() };
        let cancel = Cancel::new();
        let mut attempt = Attempt::foreseen(self, step, unit.clone(), &place.item, cancel, &plans.to_come);
        let gate = step.gate.as_ref().map(|gate| attempt.asked(gate));
        let mut planned = self.to_plan(step, path, unit, gate);
        let mut wrong = None;
        if let Err(stop) = attempt.dry(&mut planned).await {
            planned.plan.change = Change::CannotKnow(stop.reason());
            // Wrong arguments stay wrong, whatever the steps before it do.
            wrong =
                matches!(&stop, Stop::Fault(fault) if fault.kind == FaultKind::Usage).then(|| stop.reason());
        }
        planned.unsettles |=
            planned.changes && planned.left_out.is_none() && planned.plan.change != Change::Wont;
        let mut before = plans.all.iter().filter(|earlier| earlier.unsettles && earlier.unit.host == host);
        let first = before.clone().next();
        // One that is known to change the same file is the better reason.
        if let Some(earlier) = before.find(|earlier| share_a_path(&earlier.plan, &planned.plan)).or(first) {
            planned.comes_after(&earlier.unit.clone());
        }
        planned.stops = wrong.or(planned.stops);
        let go_inside = planned.left_out.is_none();
        if go_inside && self.gives_later(step, &planned) {
            self.comes(path, &mut plans.to_come);
        }
        plans.all.push(planned);
        match &step.work {
            Work::Steps(children) if go_inside => {
                self.dry_steps(children, Place { prefix: path.to_owned(), ..place }, plans).await
            }
            _ => Ok(()),
        }
    }
}

impl Attempt<'_> {
    fn asked(&self, gate: &crate::model::Gate) -> String {
        let asked = self.session.script.render(&gate.ask, &self.scope);
        asked
            .map_or_else(|error| format!("(cannot be known yet: {})", error.message), |text| text.to_string())
    }

    async fn dry(&mut self, planned: &mut Planned) -> Result<(), Stop> {
        planned.changes = self.session.can_change(&self.unit.step);
        if let Some(when) = &self.step.when
            && !self.truth(when, "when")?
        {
            planned.left_out = Some("its condition is false".to_owned());
            return Ok(());
        }
        let target = self.session.hosts.get(&self.unit.host).await?;
        let facts = self.facts(&target).await?;
        self.scope.insert("facts".to_owned(), Value::Map(facts));
        if let Some(check) = &self.step.check
            && self.truth(check, "check")?
        {
            planned.by_check = true;
            planned.left_out = Some("its check says that it is so already".to_owned());
            return Ok(());
        }
        self.library_fits()?;
        let call = match &self.step.work {
            Work::Action(call) => call,
            Work::Script(script) => return self.dry_script(script, &target, planned).await,
            Work::Steps(_) => return Ok(()),
        };
        let args = self.args(call)?;
        planned.plan = self.describe(call, &target, &args).await?;
        if self.effect_of(call)? == Effect::Reads {
            planned.plan.change = Change::Wont;
            planned.reads = true;
            let passes = self.read_now(call, &planned.plan, &target).await;
            planned.may_stop(passes);
        }
        Ok(())
    }

    /// A script is followed up to its first change; one without any gives later steps its result.
    async fn dry_script(
        &mut self,
        script: &Script,
        target: &Arc<dyn keybook_api::Target>,
        planned: &mut Planned,
    ) -> Result<(), Stop> {
        if let Some(name) = self.unknown_yet(script) {
            planned.plan.change =
                Change::CannotKnow(format!("its script reads `{name}`, which is not known yet"));
            return Ok(());
        }
        match self.plan_script(script, target).await {
            Ok((plan, None)) => planned.plan = plan,
            Ok((plan, Some(value))) => {
                let passes = self.known_now(&plan, SCRIPT, value);
                planned.reads = plan.change == Change::Wont;
                planned.plan = plan;
                planned.may_stop(passes);
            }
            Err(stop) => {
                planned.plan.change = Change::Wont;
                planned.stops = Some(self.concealed(into_fault(stop)).to_string());
            }
        }
        Ok(())
    }

    /// A result of an earlier step that a script reads and that a plan does not have.
    fn unknown_yet(&self, script: &Script) -> Option<String> {
        let by_host = |name: &String| self.scope.get("by_host").and_then(|by_host| by_host.get(name));
        script.names_used().iter().find_map(|used| match (used.name.as_str(), used.path.first()) {
            ("by_host", Some(name)) if matches!(by_host(name), None | Some(Value::Unknown(_))) => {
                Some(format!("by_host.{name}"))
            }
            (name, _) => (!self.scope.contains_key(name)).then(|| name.to_owned()),
        })
    }

    /// Really reads, so that later steps know the result; the reason when the run would stop here.
    async fn read_now(
        &mut self,
        call: &Call,
        plan: &Plan,
        target: &Arc<dyn keybook_api::Target>,
    ) -> Result<Option<String>, Stop> {
        let args = self.args(call)?;
        let ctx = self.session.ctx(Arc::clone(target), &self.unit, self.number, false, Cancel::new());
        let applied = match self.action(call)?.apply(&ctx, &args).await {
            Ok(applied) => applied,
            Err(fault) => return Ok(Some(self.concealed(fault).to_string())),
        };
        self.known_now(plan, &call.action, applied.value)
    }

    /// Gives later steps a result; the reason when the run would stop here.
    fn known_now(&mut self, plan: &Plan, action: &str, value: Value) -> Result<Option<String>, Stop> {
        self.scope.insert("result".to_owned(), value.clone());
        for expect in &self.step.expect {
            if !self.truth(&expect.that, "expect")? {
                return Ok(Some(self.unmet_demand(expect)));
            }
        }
        let result = self.journaled(&value).0;
        self.write(planned(plan))?;
        self.write(Event::UnitIntent {
            action: action.to_owned(),
            args: IndexMap::new(),
            args_digest: String::new(),
            memo: serde_json::Value::Null,
            touches: Vec::new(),
        })?;
        self.write(Event::UnitApplied { result: result.clone(), changed: false })?;
        self.write(Event::UnitDone { result, changed: false, wrote: Vec::new(), took_ms: 0 })?;
        Ok(None)
    }
}
