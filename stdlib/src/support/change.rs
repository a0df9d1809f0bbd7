//! The replacement of one file: what every writing action plans, does and reconciles the same way.

use super::{
    files::{self, Current, Mark, mode_text, owner_text, parent},
    shown,
    tell::{failed, missing},
};
use keybook_api::{Change, Ctx, Fault, Owner, Plan, Secret, Value, Write, value::map};

/// The mode of directories made on the way to a new file.
const DIR_MODE: u32 = 0o755;

/// The mode of directories in the run's own folder.
const OWN_DIR_MODE: u32 = 0o700;

/// What a file is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where, as asked for.
    pub path: String,
    /// The whole content.
    pub content: Secret,
    /// The mode it must have; an existing file keeps its own when `None`.
    pub mode: Option<u32>,
    /// The owner it must have; an existing file keeps its own when `None`.
    pub owner: Option<Owner>,
    /// The mode of a new file when `mode` is `None`.
    pub new_mode: u32,
    /// The owner of a new file when `owner` is `None`; the login when this is `None` too.
    pub new_owner: Option<Owner>,
    /// Make missing parent directories.
    pub create_dirs: bool,
    /// Never show the content.
    pub secret: bool,
}

impl Wanted {
    /// New content for a path: existing mode and owner are kept, a new file is 0600, parents must exist.
    pub fn content(path: &str, content: Secret) -> Self {
        Self {
            path: path.to_owned(),
            content,
            mode: None,
            owner: None,
            new_mode: 0o600,
            new_owner: None,
            create_dirs: false,
            secret: false,
        }
    }
}

/// A wanted file beside what is there now.
pub struct FileChange {
    wanted: Wanted,
    real: String,
    before: Option<Current>,
    missing_dirs: Vec<String>,
    sha256: String,
}

impl FileChange {
    /// Looks at the host. A missing parent directory is a fault unless it may be made.
    pub async fn new(ctx: &Ctx, wanted: Wanted) -> Result<Self, Fault> {
        let (real, before) = files::look(&*ctx.target, &wanted.path).await?;
        let missing_dirs = if before.is_some() { Vec::new() } else { missing_dirs(ctx, &real).await? };
        if !wanted.create_dirs {
            refuse_missing(ctx, &wanted.path, &missing_dirs)?;
        }
        let sha256 = files::sha256(wanted.content.expose());
        Ok(Self { wanted, real, before, missing_dirs, sha256 })
    }

    /// False when content, mode and owner are already as wanted.
    pub fn needed(&self) -> bool {
        !self.before.as_ref().is_some_and(|before| self.fits(&before.mark()))
    }

    fn fits(&self, mark: &Mark) -> bool {
        mark.sha256 == self.sha256
            && self.wanted.mode.is_none_or(|mode| mode == mark.mode)
            && self.wanted.owner.is_none_or(|owner| owner == mark.owner)
    }

    fn mode_after(&self) -> u32 {
        let kept = self.before.as_ref().map_or(self.wanted.new_mode, |before| before.stat.mode);
        self.wanted.mode.unwrap_or(kept)
    }

    fn owner_after(&self) -> Option<Owner> {
        let kept = self.before.as_ref().map(|before| before.stat.owner);
        self.wanted.owner.or(kept).or(self.wanted.new_owner)
    }

    /// The plan: lines, diff, touches, basis and memo. `why` comes first when not empty.
    pub fn plan(&self, first: impl IntoIterator<Item = String>) -> Plan {
        let change = if self.needed() { Change::Will } else { Change::Wont };
        let mut lines: Vec<String> = first.into_iter().collect();
        if change == Change::Wont {
            lines.push(format!("{} is already so", self.wanted.path));
        } else {
            lines.extend(self.lines());
        }
        let mut plan = Plan { change, ..Plan::will(lines) };
        plan.basis = self.before.as_ref().map_or_else(|| "none".to_owned(), |file| basis(&file.mark()));
        plan.memo = self.memo();
        if self.needed() {
            let after = Some((&self.wanted.content, self.mode_after()));
            plan.diffs = vec![shown::diff(&self.real, self.before.as_ref(), after, self.wanted.secret)];
            plan.touches = self.missing_dirs.iter().chain([&self.real]).cloned().collect();
        }
        plan
    }

    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .missing_dirs
            .iter()
            .map(|dir| format!("make the directory {dir} (mode {})", mode_text(DIR_MODE)))
            .collect();
        let owner = self.owner_after().map_or_else(|| "the login".to_owned(), owner_text);
        let verb = if self.before.is_some() { "replace" } else { "create" };
        let size = self.wanted.content.expose().len();
        let mode = self.mode_after();
        lines.push(format!(
            "{verb} {} ({size} bytes, mode {}, owner {owner})",
            self.wanted.path,
            mode_text(mode)
        ));
        if self.real != self.wanted.path {
            lines.push(format!(
                "{} is a symbolic link; it stays, and {} is written",
                self.wanted.path, self.real
            ));
        }
        if mode & 0o077 != 0 && shown::is_key(&self.real, &self.wanted.content, mode) {
            lines.push(format!(
                "warning: a private key in a file that others may read (mode {})",
                mode_text(mode)
            ));
        }
        lines
    }

    fn memo(&self) -> Value {
        Value::Map(map([
            ("path", self.real.as_str().into()),
            ("before", self.before.as_ref().map(|before| before.mark().to_value()).into()),
            ("after", self.sha256.as_str().into()),
            ("mode", self.wanted.mode.map(mode_text).into()),
            ("owner", self.wanted.owner.map(owner_text).into()),
        ]))
    }

    /// Refuses a file that is no longer what it was when the plan was made; `planned` is its mark in the plan's memo.
    pub fn refuse_if_changed(&self, ctx: &Ctx, planned: &Value) -> Result<(), Fault> {
        let now = self.before.as_ref().map_or(Value::Null, |before| before.mark().to_value());
        if *planned == now {
            return Ok(());
        }
        Err(foreign(ctx, &self.wanted.path, "what is there is not what was there when this was planned"))
    }

    /// The plan is that of one file when its memo names one.
    fn refuse_another_plan(&self, ctx: &Ctx) -> Result<(), Fault> {
        let of = |name| ctx.planned.get(name);
        let (Some(path), Some(before), Some(after)) = (of("path"), of("before"), of("after")) else {
            return Ok(());
        };
        if path.as_str() != Some(&self.real) || after.as_str() != Some(&self.sha256) {
            return Err(foreign(ctx, &self.wanted.path, "what would be written now is not what was planned"));
        }
        self.refuse_if_changed(ctx, before)
    }

    /// Writes the file when needed, reads it back and compares. True when something changed. Refuses when the
    /// host is not as it was when this was planned.
    pub async fn apply(&self, ctx: &Ctx) -> Result<(Current, bool), Fault> {
        if let (false, Some(before)) = (self.needed(), &self.before) {
            return Ok((before.clone(), false));
        }
        self.refuse_another_plan(ctx)?;
        if !self.missing_dirs.is_empty() {
            ctx.target.make_dir(parent(&self.real), DIR_MODE).await?;
        } else if is_own(ctx, &self.real) {
            ctx.target.make_dir(parent(&self.real), OWN_DIR_MODE).await?;
        }
        let new = self.before.is_none();
        let write = Write {
            content: self.wanted.content.clone(),
            mode: self.wanted.mode.or(new.then_some(self.wanted.new_mode)),
            owner: self.wanted.owner.or(if new { self.wanted.new_owner } else { None }),
            // A link whose target is missing exists itself, so the host would refuse.
            create_new: new && self.real == self.wanted.path,
        };
        ctx.target.write(&self.wanted.path, write).await?;
        let now = files::need(&*ctx.target, &self.wanted.path).await?;
        if !self.fits(&now.mark()) {
            return Err(failed(
                ctx,
                format!("write {}", self.wanted.path),
                "what is there now is not what was written",
            )
            .hint("Find out who else writes this file, then resume."));
        }
        Ok((now, true))
    }
}

fn foreign(ctx: &Ctx, path: &str, cause: &str) -> Fault {
    failed(ctx, format!("write {path}"), format!("{cause}: someone else is at work here"))
        .now("nothing was written")
        .hint("Find out who else changes this file; when you resume, it is planned again from what is there then.")
}

/// Is a path in the run's own folder on the host, which is made when the run begins?
fn is_own(ctx: &Ctx, path: &str) -> bool {
    path.strip_prefix(&ctx.state_dir).is_some_and(|rest| rest.starts_with('/'))
}

/// The directories that are missing on the way to a path, parents first; never those of the run's own folder.
pub async fn missing_dirs(ctx: &Ctx, path: &str) -> Result<Vec<String>, Fault> {
    let mut missing = Vec::new();
    let mut dir = parent(path);
    while !is_own(ctx, path) && dir != "/" && ctx.target.stat(dir).await?.is_none() {
        missing.push(dir.to_owned());
        dir = parent(dir);
    }
    missing.reverse();
    Ok(missing)
}

/// A fault when directories are missing on the way to a file.
pub fn refuse_missing(ctx: &Ctx, path: &str, missing_dirs: &[String]) -> Result<(), Fault> {
    match missing_dirs.first() {
        Some(first) => Err(failed(ctx, format!("write {path}"), missing(format!("directory {first}")))),
        None => Ok(()),
    }
}

/// A mark as text, for a plan's basis.
pub fn basis(mark: &Mark) -> String {
    format!("{} {} {}", mark.sha256, mode_text(mark.mode), owner_text(mark.owner))
}

/// What became of a planned [`FileChange`].
#[derive(Debug)]
pub enum Became {
    /// The file is as the plan wanted it.
    Written(Box<Current>),
    /// The file is as it was before.
    Untouched,
    /// Neither; the reason says what is there.
    Other(String),
}

/// Compares the host with a plan's memo.
pub async fn became(ctx: &Ctx, memo: &Value) -> Result<Became, Fault> {
    let text = |key| memo.get(key).and_then(Value::as_str);
    let (Some(path), Some(after)) = (text("path"), text("after")) else {
        return Ok(Became::Other("the journal does not say what was to be written".to_owned()));
    };
    let before = memo.get("before").and_then(Mark::from_value);
    let (_, now) = files::look(&*ctx.target, path).await?;
    let Some(now) = now else {
        return Ok(match before {
            None => Became::Untouched,
            Some(_) => Became::Other(format!("{path} is gone: someone else removed it")),
        });
    };
    let mark = now.mark();
    let mode_fits = text("mode").is_none_or(|mode| mode == mode_text(mark.mode));
    let owner_fits = text("owner").is_none_or(|owner| owner == owner_text(mark.owner));
    if mark.sha256 == after && mode_fits && owner_fits {
        return Ok(Became::Written(Box::new(now)));
    }
    if before.as_ref() == Some(&mark) {
        return Ok(Became::Untouched);
    }
    Ok(Became::Other(format!(
        "{path} is neither what it was nor what this step writes: someone else changed it"
    )))
}
