//! Small actions that behave as the contracts ask.

use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Change, Command, Ctx, Diff, Effect, Fault, HostSpec,
    Plan, Receipt, Reconcile, Registry, Returns, Value, WayBack, Write, value::map,
};
use keybook_core::journal::format::sha256_hex;

pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add(Put);
    registry.add(Pair);
    registry.add(Run);
    registry.add(Read);
    registry.add(Move);
    registry.add(Note);
    registry.add(Flaky);
    registry.add(Count);
    registry.add(Judged);
    registry.add(AddHost);
    registry.add(Leak);
    registry.add(Burn);
    registry.add(Tell);
    registry.add(ReadSecret);
    registry.add(Keyed);
    registry.add(super::printed::Printed);
    registry.add(super::shaped::Shaped);
    registry
}

const fn spec(name: &'static str, effect: Effect, args: &'static [ArgSpec], way_back: WayBack) -> ActionSpec {
    ActionSpec { name, summary: "", doc: "", effect, args, returns: Returns::ANYTHING, way_back, example: "" }
}

const fn need(name: &'static str, kind: ArgKind) -> ArgSpec {
    ArgSpec::required(name, kind, "")
}

const fn may(name: &'static str, kind: ArgKind) -> ArgSpec {
    ArgSpec::optional(name, kind, "", "")
}

async fn digest(ctx: &Ctx, path: &str) -> Result<String, Fault> {
    match ctx.target.stat(path).await? {
        None => Ok("none".into()),
        Some(_) => Ok(sha256_hex(ctx.target.read(path, 1 << 20).await?.expose())),
    }
}

async fn text(ctx: &Ctx, path: &str) -> Result<Option<String>, Fault> {
    match ctx.target.stat(path).await? {
        None => Ok(None),
        Some(_) => {
            Ok(Some(String::from_utf8_lossy(ctx.target.read(path, 1 << 20).await?.expose()).into_owned()))
        }
    }
}

/// Writes a file: plan, diff, touches, basis, reconciled by digest.
pub struct Put;

static PUT: ActionSpec = spec(
    "t.put",
    Effect::Changes,
    &[need("path", ArgKind::Path), need("content", ArgKind::TextOrSecret), may("mode", ArgKind::Mode)],
    WayBack::Files,
);

#[async_trait]
impl Action for Put {
    fn spec(&self) -> &'static ActionSpec {
        &PUT
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let path = args.path("path")?;
        let wanted = args.opt_secret("content")?.unwrap_or_default();
        let (before, after) = (digest(ctx, path).await?, sha256_hex(wanted.expose()));
        if before == after {
            return Ok(Plan::wont(format!("{path} is so already")));
        }
        let shown = !matches!(args.get("content"), Some(Value::Secret(_)));
        let diff = Diff {
            path: path.into(),
            before: if shown { text(ctx, path).await? } else { None },
            after: Some(if shown { args.text("content")?.to_owned() } else { "a secret".into() }),
            described: !shown,
        };
        Ok(Plan {
            diffs: vec![diff],
            touches: vec![path.into()],
            basis: before.clone(),
            memo: Value::Map(map([("before", before.into()), ("after", after.into())])),
            ..Plan::will([format!("write {path}")])
        })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let content = args.opt_secret("content")?.unwrap_or_default();
        let write = Write { mode: args.opt_mode("mode")?, ..Write::keep(content) };
        ctx.target.write(args.path("path")?, write).await?;
        Ok(Applied::changed(digest(ctx, args.path("path")?).await?))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let now = digest(ctx, args.path("path")?).await?;
        let is = |key| memo.get(key).and_then(Value::as_str) == Some(now.as_str());
        Ok(match (is("after"), is("before")) {
            (true, _) => Reconcile::Done(now.into()),
            (_, true) => Reconcile::NotDone,
            _ => Reconcile::Unknown("it is another file".into()),
        })
    }
}

/// Writes two files; half of it is done again from the start.
pub struct Pair;

static PAIR: ActionSpec = spec(
    "t.pair",
    Effect::Changes,
    &[need("first", ArgKind::Path), need("second", ArgKind::Path), need("content", ArgKind::Text)],
    WayBack::Files,
);

#[async_trait]
impl Action for Pair {
    fn spec(&self) -> &'static ActionSpec {
        &PAIR
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let paths = [args.path("first")?, args.path("second")?];
        let mut basis = String::new();
        for path in paths {
            basis.push_str(&digest(ctx, path).await?);
        }
        let touches = paths.map(str::to_owned).to_vec();
        Ok(Plan { touches, basis, ..Plan::will(["write both".to_owned()]) })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        for key in ["first", "second"] {
            let write = Write::keep(keybook_api::Secret::new(args.text("content")?));
            ctx.target.write(args.path(key)?, write).await?;
        }
        Ok(Applied::changed("both"))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let wanted = sha256_hex(args.text("content")?.as_bytes());
        for key in ["first", "second"] {
            if digest(ctx, args.path(key)?).await? != wanted {
                return Ok(Reconcile::NotDone);
            }
        }
        Ok(Reconcile::Done("both".into()))
    }
}

/// Runs a script of the fake shell and leaves a receipt.
pub struct Run;

static RUN: ActionSpec = spec("t.run", Effect::Changes, &[need("script", ArgKind::Text)], WayBack::Nothing);

#[async_trait]
impl Action for Run {
    fn spec(&self) -> &'static ActionSpec {
        &RUN
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::will([args.text("script")?.to_owned()]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let mut command = Command::shell(args.text("script")?).cancel(&ctx.cancel);
        command.receipt = ctx.next_receipt();
        let sink = ctx.sink.clone();
        let exit = ctx.target.exec(command, &move |stream, line| sink.line(stream, line)).await?;
        if !exit.ok() {
            return Err(Fault::failed("run the script", format!("it ended with {}", exit.status)));
        }
        Ok(Applied::changed(map([("stdout", exit.out().into())])))
    }

    async fn reconcile(&self, ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(match ctx.target.receipt(&ctx.receipt(0)).await? {
            Receipt::Absent => Reconcile::NotBegun,
            Receipt::Ended(0) => Reconcile::Done(Value::Null),
            other => Reconcile::Unknown(format!("its receipt says {other:?}")),
        })
    }
}

/// Reads a file.
pub struct Read;

static READ: ActionSpec = spec("t.read", Effect::Reads, &[need("path", ArgKind::Path)], WayBack::Nothing);

#[async_trait]
impl Action for Read {
    fn spec(&self) -> &'static ActionSpec {
        &READ
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::wont(format!("read {}", args.path("path")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let secret = ctx.target.read(args.path("path")?, 1 << 20).await?;
        Ok(Applied::unchanged(String::from_utf8_lossy(secret.expose()).into_owned()))
    }
}

/// Renames; undone by renaming back. Notes `label` for the way back.
pub struct Move;

static MOVE: ActionSpec = spec(
    "t.move",
    Effect::Changes,
    &[need("from", ArgKind::Path), need("to", ArgKind::Path), may("label", ArgKind::Any)],
    WayBack::Undo,
);

#[async_trait]
impl Action for Move {
    fn spec(&self) -> &'static ActionSpec {
        &MOVE
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        if ctx.target.stat(args.path("from")?).await?.is_none() {
            let memo = Value::Map(map([("moved", false.into())]));
            return Ok(Plan { memo, ..Plan::wont("it is moved already") });
        }
        let label = args.get("label").cloned().unwrap_or_default();
        let memo = Value::Map(map([("moved", true.into()), ("label", label)]));
        Ok(Plan { memo, ..Plan::will([format!("rename {}", args.path("from")?)]) })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        if ctx.target.stat(args.path("from")?).await?.is_none() {
            return Ok(Applied::unchanged(Value::Null));
        }
        ctx.target.rename(args.path("from")?, args.path("to")?).await?;
        Ok(Applied::changed(Value::Null))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let there = ctx.target.stat(args.path("from")?).await?.is_some();
        Ok(if there { Reconcile::NotDone } else { Reconcile::Done(Value::Null) })
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, memo: &Value, _result: &Value) -> Result<(), Fault> {
        let there = ctx.target.stat(args.path("to")?).await?.is_some();
        if there && memo.get("moved") != Some(&Value::Bool(false)) {
            ctx.target.rename(args.path("to")?, args.path("from")?).await?;
        }
        Ok(())
    }
}

/// Says something; changes only what the run shows.
pub struct Note;

static NOTE: ActionSpec = spec("t.note", Effect::Run, &[need("text", ArgKind::Any)], WayBack::Nothing);

#[async_trait]
impl Action for Note {
    fn spec(&self) -> &'static ActionSpec {
        &NOTE
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::will([format!("note {}", args.get("text").cloned().unwrap_or_default())]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let text = args.get("text").cloned().unwrap_or_default();
        ctx.sink.note(&text.to_string());
        if text.as_str() == Some("wait") {
            ctx.cancel.cancelled().await;
            return Err(Fault::new(keybook_api::FaultKind::Stopped, "wait", "the run was stopped"));
        }
        Ok(Applied::unchanged(text))
    }

    async fn reconcile(&self, _ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(Reconcile::NotDone)
    }
}

/// Fails so many times, then works; returns how often it was tried.
pub struct Flaky;

static FLAKY: ActionSpec = spec(
    "t.flaky",
    Effect::Changes,
    &[need("name", ArgKind::Text), need("fails", ArgKind::Int)],
    WayBack::Nothing,
);

#[async_trait]
impl Action for Flaky {
    fn spec(&self) -> &'static ActionSpec {
        &FLAKY
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::will([format!("try {}", args.text("name")?)]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let name = args.text("name")?;
        ctx.target.exec(Command::shell(format!("effect {name}")), &|_, _| {}).await?;
        let path = format!("/etc/tries-{name}");
        let tries = text(ctx, &path).await?.and_then(|tries| tries.parse::<i64>().ok()).unwrap_or(0) + 1;
        ctx.target.write(&path, Write::keep(keybook_api::Secret::new(tries.to_string()))).await?;
        if tries <= args.opt_int("fails")?.unwrap_or(0) {
            return Err(Fault::failed(format!("try {name}"), format!("try {tries} does not work")));
        }
        Ok(Applied::changed(Value::Int(tries)))
    }
}

/// Reads how often it was read, from a file that the test writes.
pub struct Count;

static COUNT: ActionSpec = spec("t.count", Effect::Changes, &[need("path", ArgKind::Path)], WayBack::Files);

#[async_trait]
impl Action for Count {
    fn spec(&self) -> &'static ActionSpec {
        &COUNT
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan { touches: vec![args.path("path")?.into()], ..Plan::will(["count up".to_owned()]) })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let path = args.path("path")?;
        let number = text(ctx, path).await?.and_then(|text| text.parse::<i64>().ok()).unwrap_or(0) + 1;
        ctx.target.write(path, Write::keep(keybook_api::Secret::new(number.to_string()))).await?;
        Ok(Applied::changed(Value::Int(number)))
    }
}

/// Has an effect; what became of it, the file /verdict tells.
pub struct Judged;

static JUDGED: ActionSpec =
    spec("t.judged", Effect::Changes, &[need("name", ArgKind::Text)], WayBack::Nothing);

#[async_trait]
impl Action for Judged {
    fn spec(&self) -> &'static ActionSpec {
        &JUDGED
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        if text(ctx, "/plan").await?.as_deref() == Some("fault") {
            return Err(Fault::failed("plan", "the plan cannot be made"));
        }
        Ok(Plan::will([format!("do {}", args.text("name")?)]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let script = format!("effect {}", args.text("name")?);
        ctx.target.exec(Command::shell(script).cancel(&ctx.cancel), &|_, _| {}).await?;
        Ok(Applied::changed("applied"))
    }

    async fn reconcile(&self, ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(match text(ctx, "/verdict").await?.as_deref() {
            Some("done") => Reconcile::Done("found".into()),
            Some("not-done") => Reconcile::NotDone,
            Some("not-begun") => Reconcile::NotBegun,
            Some("fault") => return Err(Fault::failed("look", "the answer makes no sense")),
            _ => Reconcile::Unknown("nothing tells".into()),
        })
    }
}

/// Adds a host to a group.
pub struct AddHost;

static ADD: ActionSpec = spec(
    "t.add",
    Effect::Run,
    &[need("group", ArgKind::Text), need("name", ArgKind::Text)],
    WayBack::Nothing,
);

#[async_trait]
impl Action for AddHost {
    fn spec(&self) -> &'static ActionSpec {
        &ADD
    }

    fn adds_hosts_to(&self) -> Option<&'static str> {
        Some("group")
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan { change: Change::Will, ..Plan::will([format!("add {}", args.text("name")?)]) })
    }

    async fn apply(&self, _ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let spec = HostSpec { user: Some("ops".into()), ..HostSpec::named(args.text("name")?) };
        let group = args.text("group")?.to_owned();
        Ok(Applied { add_hosts: vec![(group, spec)], ..Applied::unchanged(Value::Null) })
    }

    async fn reconcile(&self, _ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(Reconcile::NotDone)
    }
}

/// Tells its secret everywhere it can.
pub struct Leak;

static LEAK: ActionSpec = spec(
    "t.leak",
    Effect::Changes,
    &[need("secret", ArgKind::Secret), may("fail", ArgKind::Bool)],
    WayBack::Nothing,
);

#[async_trait]
impl Action for Leak {
    fn spec(&self) -> &'static ActionSpec {
        &LEAK
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let known = told(args)?;
        let diff = Diff {
            path: "/etc/pw".into(),
            before: Some(known.clone()),
            after: Some(known.clone()),
            described: false,
        };
        Ok(Plan { diffs: vec![diff], memo: known.clone().into(), ..Plan::will([known]) })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let known = told(args)?;
        ctx.sink.line(keybook_api::StreamName::Stdout, &format!("password={known}"));
        ctx.sink.note(&known);
        if args.bool_or("fail", false)? {
            return Err(Fault::failed(format!("use {known}"), format!("{known} is wrong")).hint(known));
        }
        Ok(Applied::changed(map([("told", known.into())])))
    }
}

fn told(args: &Args) -> Result<String, Fault> {
    let secret = args.opt_secret("secret")?.unwrap_or_default();
    Ok(secret.expose_str().unwrap_or_default().to_owned())
}

/// Changes what nothing can take back, unless `changes` is false.
pub struct Burn;

static BURN: ActionSpec = spec(
    "t.burn",
    Effect::Changes,
    &[need("name", ArgKind::Text), may("changes", ArgKind::Bool)],
    WayBack::NoneIf("changes"),
);

#[async_trait]
impl Action for Burn {
    fn spec(&self) -> &'static ActionSpec {
        &BURN
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::will([format!("burn {}", args.text("name")?)]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        ctx.target.exec(Command::shell(format!("effect {}", args.text("name")?)), &|_, _| {}).await?;
        Ok(Applied::changed(Value::Null))
    }
}

/// Tells somebody outside: what it told stands in a file of its host. `lost` cannot be told.
pub struct Tell;

static TELL: ActionSpec = spec(
    "t.tell",
    Effect::Tells,
    &[need("text", ArgKind::Any), may("to", ArgKind::Secret)],
    WayBack::Nothing,
);

#[async_trait]
impl Action for Tell {
    fn spec(&self) -> &'static ActionSpec {
        &TELL
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::will([format!("tell {}", args.get("text").cloned().unwrap_or_default())]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let told = args.get("text").cloned().unwrap_or_default();
        if told == "lost".into() {
            let to = args.opt_secret("to")?.and_then(|to| Some(format!(" at {}", to.expose_str()?)));
            return Err(Fault::failed("tell", format!("nobody listens{}", to.unwrap_or_default())));
        }
        let all = format!("{}{told}\n", text(ctx, "/told").await?.unwrap_or_default());
        ctx.target.write("/told", Write::keep(keybook_api::Secret::new(all))).await?;
        Ok(Applied::unchanged(map([("told", true.into())])))
    }

    async fn reconcile(&self, _ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(Reconcile::NotDone)
    }
}

/// Reads a file as a secret; with `beside`, another one in the open, both in a map.
pub struct ReadSecret;

static READ_SECRET: ActionSpec = spec(
    "t.secret",
    Effect::Reads,
    &[need("path", ArgKind::Path), may("beside", ArgKind::Path)],
    WayBack::Nothing,
);

#[async_trait]
impl Action for ReadSecret {
    fn spec(&self) -> &'static ActionSpec {
        &READ_SECRET
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::wont(format!("read {}", args.path("path")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let secret = Value::Secret(ctx.target.read(args.path("path")?, 1 << 20).await?);
        let Some(path) = args.opt_path("beside")? else { return Ok(Applied::unchanged(secret)) };
        let beside = text(ctx, path).await?.unwrap_or_default();
        Ok(Applied::unchanged(map([("secret", secret), ("beside", beside.into())])))
    }
}

/// Makes a file that only the same key takes away again.
pub struct Keyed;

static KEYED: ActionSpec = spec(
    "t.keyed",
    Effect::Changes,
    &[need("path", ArgKind::Path), need("key", ArgKind::Secret)],
    WayBack::Undo,
);

#[async_trait]
impl Action for Keyed {
    fn spec(&self) -> &'static ActionSpec {
        &KEYED
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::will([format!("lock {}", args.path("path")?)]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let key = args.opt_secret("key")?.unwrap_or_default();
        let lock = sha256_hex(key.expose());
        ctx.target.write(args.path("path")?, Write::keep(keybook_api::Secret::new(lock))).await?;
        Ok(Applied::changed(Value::Secret(key)))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let key = args.opt_secret("key")?.unwrap_or_default();
        Ok(match text(ctx, args.path("path")?).await? {
            None => Reconcile::NotDone,
            Some(lock) if lock == sha256_hex(key.expose()) => Reconcile::Done(Value::Secret(key)),
            Some(_) => Reconcile::Unknown("it is locked with another key".into()),
        })
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, memo: &Value, _result: &Value) -> Result<(), Fault> {
        match self.reconcile(ctx, args, memo).await? {
            Reconcile::Done(_) => ctx.target.remove(args.path("path")?).await,
            Reconcile::NotDone | Reconcile::NotBegun => Ok(()),
            Reconcile::Unknown(why) => Err(Fault::failed("unlock", why)),
        }
    }
}
