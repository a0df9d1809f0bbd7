//! `service`: systemd units on the host, by systemctl.

mod restart;
mod start;
mod status;
mod stop;

use crate::support::{
    program,
    tell::{command_line, failed, missing, planned, tail},
    waiting,
};
use keybook_api::{
    Action, Applied, ArgKind, ArgSpec, Args, Change, Command, Ctx, Fault, Plan, Registry, Returns, Value,
    duration, returns::Key, value::map,
};
use std::time::Duration;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(status::Status);
    all.add(start::Start);
    all.add(stop::Stop);
    all.add(restart::Restart);
}

const NAME: ArgSpec =
    ArgSpec::required("name", ArgKind::Text, "The unit, such as `kubelet` or `etcd.service`.");
const WAIT: ArgSpec = ArgSpec::optional(
    "wait",
    ArgKind::Bool,
    "true",
    "Wait until systemd says that it is so; false only asks for it.",
);
const TIMEOUT: ArgSpec =
    ArgSpec::optional("timeout", ArgKind::Duration, "90s", "How long asking and waiting may take together.");
const SYSTEMCTL: ArgSpec = ArgSpec::optional(
    "systemctl",
    ArgKind::Texts,
    "systemctl",
    "The program, or a list of words that begins the command, such as `[systemctl, --user]`.",
);

/// How often a state is looked at while waiting.
const BEAT: Duration = Duration::from_millis(500);

/// What is read of a unit (org.freedesktop.systemd1(5)).
const PROPERTIES: &str =
    "Id,LoadState,ActiveState,SubState,MainPID,ActiveEnterTimestampMonotonic,UnitFileState";

/// A unit to ask about or to change.
struct Unit {
    name: String,
    systemctl: Vec<String>,
    wait: bool,
    timeout: Duration,
}

/// What systemd says about a unit.
#[derive(Clone, Debug, PartialEq)]
struct State {
    id: String,
    load: String,
    active: String,
    sub: String,
    main_pid: i64,
    /// Microseconds since the host's boot; 0 for never.
    since: i64,
    file: String,
}

impl Unit {
    fn from_args(args: &Args) -> Result<Self, Fault> {
        let name = args.text("name")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
            let why = format!("`{}` is no name of a unit", name.escape_debug());
            return Err(Fault::usage("read the argument `name`", why));
        }
        let systemctl = program::words(args, "systemctl", "systemctl")?;
        Ok(Self {
            name: name.to_owned(),
            systemctl,
            wait: args.bool_or("wait", true)?,
            timeout: args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(90)),
        })
    }

    fn words(&self, verb: &[&str]) -> Vec<String> {
        let rest = verb.iter().map(|word| (*word).to_owned());
        self.systemctl.iter().cloned().chain(rest).chain([self.name.clone()]).collect()
    }

    /// The state of the unit, one that systemd does not know included.
    async fn look(&self, ctx: &Ctx) -> Result<State, Fault> {
        let words = self.words(&["show", "--no-pager", "-p", PROPERTIES, "--"]);
        let attempted = format!("ask systemd about {}", self.name);
        let command = Command::argv(words).timeout(Duration::from_secs(30)).cancel(&ctx.cancel);
        let exit = ctx.target.exec(command, &|_, _| {}).await?;
        let out = exit.out();
        match State::read(&out) {
            Some(state) if exit.ok() => Ok(state),
            _ => {
                let cause = tail(&exit.err(), &tail(&out, &format!("it ended with status {}", exit.status)));
                Err(failed(ctx, attempted, cause).hint("The host must be run by systemd."))
            }
        }
    }

    /// The state of a unit that must be there.
    async fn need(&self, ctx: &Ctx, doing: &str) -> Result<State, Fault> {
        let state = self.look(ctx).await?;
        match state.load.as_str() {
            "loaded" => Ok(state),
            "not-found" => {
                Err(failed(ctx, format!("{doing} {}", self.name), missing(format!("unit {}", self.name))))
            }
            other => {
                let why = format!("systemd cannot use the unit: it is {other}");
                Err(failed(ctx, format!("{doing} {}", self.name), why))
            }
        }
    }

    /// The command of a change and what is waited for, for plans.
    fn lines(&self, verb: &str, until: &str) -> Vec<String> {
        let mut lines = vec![command_line(self.words(&self.change(verb)))];
        if self.wait {
            lines.push(format!("wait up to {} until {until}", duration::format(self.timeout)));
        }
        lines
    }

    fn change<'a>(&self, verb: &'a str) -> Vec<&'a str> {
        if self.wait { vec![verb, "--"] } else { vec![verb, "--no-block", "--"] }
    }

    /// Asks systemd for a change, and waits until `reached` holds.
    async fn make(
        &self,
        ctx: &Ctx,
        verb: &str,
        until: &str,
        reached: impl Fn(&State) -> bool,
    ) -> Result<State, Fault> {
        let doing = format!("{verb} {}", self.name);
        let words = self.words(&self.change(verb));
        let command = Command::argv(words).timeout(self.timeout).cancel(&ctx.cancel);
        let exit = ctx.target.exec(command, &|stream, line| ctx.sink.line(stream, line)).await?;
        if !exit.ok() {
            let state = self.look(ctx).await?;
            let cause = tail(&exit.err(), &format!("systemctl ended with status {}", exit.status));
            return Err(failed(ctx, doing, cause)
                .now(format!("{} is {} ({})", self.name, state.active, state.sub))
                .hint(format!("Look at `journalctl -u {}` on the host.", self.name)));
        }
        if !self.wait {
            return self.look(ctx).await;
        }
        waiting::until(ctx, &doing, self.timeout, BEAT, || async {
            let state = self.look(ctx).await?;
            if reached(&state) {
                return Ok(Ok(state));
            }
            Ok(Err(format!("it is {} ({}), not yet: {until}", state.active, state.sub)))
        })
        .await
    }
}

/// A change to a state in which the unit stays.
struct Turn {
    verb: &'static str,
    /// What is waited for, for people.
    until: &'static str,
    reached: fn(&State) -> bool,
}

const START: Turn = Turn { verb: "start", until: "it is active", reached: State::is_active };
const STOP: Turn = Turn { verb: "stop", until: "it is stopped", reached: State::is_stopped };

impl Turn {
    /// The plan of the action whose effect it is.
    async fn plan(&self, ctx: &Ctx, action: &dyn Action, args: &Args) -> Result<Plan, Fault> {
        let unit = Unit::from_args(args)?;
        let state = match unit.need(ctx, self.verb).await {
            Ok(state) => state,
            Err(fault) => return planned(ctx, action, args, Err(fault)),
        };
        let mut plan = Plan::will(unit.lines(self.verb, self.until));
        if (self.reached)(&state) {
            plan.change = Change::Wont;
            plan.lines = vec![format!("{} is {} already", state.id, state.active)];
        }
        Ok(Plan { basis: state.basis(), memo: state.memo(), ..plan })
    }

    /// Makes it, unless it is so already.
    async fn make(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let unit = Unit::from_args(args)?;
        let state = unit.need(ctx, self.verb).await?;
        if (self.reached)(&state) {
            return Ok(Applied::unchanged(state.result()));
        }
        Ok(Applied::changed(unit.make(ctx, self.verb, self.until, self.reached).await?.result()))
    }
}

impl State {
    fn read(out: &str) -> Option<Self> {
        let field = |name: &str| {
            out.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
        };
        let number = |name: &str| field(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(Self {
            id: field("Id")?,
            load: field("LoadState")?,
            active: field("ActiveState")?,
            sub: field("SubState")?,
            main_pid: number("MainPID"),
            since: number("ActiveEnterTimestampMonotonic"),
            file: field("UnitFileState").unwrap_or_default(),
        })
    }

    fn is_active(&self) -> bool {
        self.active == "active"
    }

    fn is_stopped(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed")
    }

    /// On its way from one state to another.
    fn moving(&self) -> Option<String> {
        let settled = self.is_active() || self.is_stopped();
        (!settled).then(|| format!("{} is {} ({}); see what becomes of it", self.id, self.active, self.sub))
    }

    /// True when the main process is another one, or entered its state at another time.
    fn is_another_than(&self, memo: &Value) -> bool {
        let same = |name: &str, now: i64| memo.get(name).and_then(Value::as_int) == Some(now);
        !(same("main_pid", self.main_pid) && same("since", self.since))
    }

    /// What tells one start from another, for memos.
    fn memo(&self) -> Value {
        Value::Map(map([
            ("active", self.active.as_str().into()),
            ("main_pid", Value::Int(self.main_pid)),
            ("since", Value::Int(self.since)),
        ]))
    }

    fn basis(&self) -> String {
        format!("{} {} {}", self.active, self.main_pid, self.since)
    }

    fn result(&self) -> Value {
        Value::Map(map([
            ("name", self.id.as_str().into()),
            ("exists", (self.load == "loaded").into()),
            ("active", self.is_active().into()),
            ("state", self.active.as_str().into()),
            ("sub_state", self.sub.as_str().into()),
            ("main_pid", Value::Int(self.main_pid)),
            ("since", Value::Int(self.since)),
            ("enabled", self.file.as_str().into()),
        ]))
    }
}

/// What every action of the family returns.
const RETURNS: Returns = Returns::map(&[
    Key::plain("name", "With its suffix."),
    Key::plain("exists", "Whether systemd has such a unit."),
    Key::plain("active", "Whether it is active."),
    Key::plain("state", "systemd's ActiveState."),
    Key::plain("sub_state", "systemd's SubState."),
    Key::plain("main_pid", "The main process; 0 when none runs."),
    Key::plain("since", "When it became active, in microseconds since the host's boot; 0 for never."),
    Key::plain("enabled", "systemd's UnitFileState."),
]);

#[cfg(test)]
mod tests;
