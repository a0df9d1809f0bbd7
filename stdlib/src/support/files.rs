//! Files as they are now.

use keybook_api::{Ctx, Fault, Map, Owner, Secret, Stat, Target, Value, value::map};
use sha2::{Digest, Sha256};

pub use keybook_api::target::follow;

/// The largest file that an action reads into memory.
pub const MAX_FILE: u64 = 64 << 20;

/// A regular file as it is.
#[derive(Clone, Debug)]
pub struct Current {
    /// Its path with symbolic links of the last part followed.
    pub path: String,
    /// What is known of it.
    pub stat: Stat,
    /// Its bytes.
    pub content: Secret,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Current {
    /// Digest, mode and owner, for memos and comparisons.
    pub fn mark(&self) -> Mark {
        Mark { sha256: self.sha256.clone(), mode: self.stat.mode, owner: self.stat.owner }
    }

    /// The fields that every file action returns.
    pub fn result(&self, asked: &str) -> Map {
        map([
            ("path", asked.into()),
            ("sha256", self.sha256.as_str().into()),
            ("mode", mode_text(self.stat.mode).into()),
            ("owner", owner_text(self.stat.owner).into()),
            ("size", size(self.stat.size)),
        ])
    }
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub owner: Owner,
}

impl Mark {
    /// The mark for a memo.
    pub fn to_value(&self) -> Value {
        Value::Map(map([
            ("sha256", self.sha256.as_str().into()),
            ("mode", mode_text(self.mode).into()),
            ("owner", owner_text(self.owner).into()),
        ]))
    }

    /// A mark from a memo; `None` when it holds none.
    pub fn from_value(value: &Value) -> Option<Self> {
        let text = |key| value.get(key).and_then(Value::as_str);
        let (uid, gid) = text("owner")?.split_once(':')?;
        Some(Self {
            sha256: text("sha256")?.to_owned(),
            mode: u32::from_str_radix(text("mode")?, 8).ok()?,
            owner: Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? },
        })
    }
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `0644`.
pub fn mode_text(mode: u32) -> String {
    format!("{mode:04o}")
}

/// `uid:gid`.
pub fn owner_text(owner: Owner) -> String {
    format!("{}:{}", owner.uid, owner.gid)
}

/// A size as a value.
pub fn size(bytes: u64) -> Value {
    Value::Int(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// The directory a path is in; `/` for the root's entries.
pub fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((dir, _)) => dir,
    }
}

/// The last part of a path.
pub fn base(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// A name in a directory.
pub fn join(dir: &str, name: &str) -> String {
    format!("{}/{name}", dir.trim_end_matches('/'))
}

/// The file at a path, links followed, with the path that was reached; `None` when there is nothing.
/// A directory or device is a fault.
pub async fn look(target: &dyn Target, path: &str) -> Result<(String, Option<Current>), Fault> {
    let found = target.look(path, MAX_FILE).await?;
    let current = found.file.map(|(stat, content)| {
        let sha256 = sha256(content.expose());
        Current { path: found.path.clone(), stat, content, sha256 }
    });
    Ok((found.path, current))
}

/// The file at a path, links followed; a fault when there is nothing.
pub async fn need(target: &dyn Target, path: &str) -> Result<Current, Fault> {
    look(target, path).await?.1.ok_or_else(|| missing(target, path))
}

/// The fault for a file that is not there.
pub fn missing(target: &dyn Target, path: &str) -> Fault {
    Fault::failed(format!("read {path}"), super::tell::missing(path)).on(target.name())
}

/// The target of a named host, or the step's own.
pub async fn host_or_own(ctx: &Ctx, name: Option<&str>) -> Result<std::sync::Arc<dyn Target>, Fault> {
    match name {
        Some(name) if name != ctx.target.name() => ctx.hosts.target(name).await,
        _ => Ok(ctx.target.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use std::os::unix::fs::symlink;

    #[test]
    fn parts_of_paths() {
        assert_eq!((parent("/a/b"), base("/a/b")), ("/a", "b"));
        assert_eq!((parent("/a"), base("/a")), ("/", "a"));
        assert_eq!(join("/", "a"), "/a");
    }

    #[test]
    fn marks_survive_the_journal() {
        let mark = Mark { sha256: "ab".into(), mode: 0o640, owner: Owner { uid: 1, gid: 2 } };
        let journaled = Value::from_json(&mark.to_value().to_json());
        assert_eq!(Mark::from_value(&journaled), Some(mark));
        assert_eq!(Mark::from_value(&Value::Null), None);
    }

    #[tokio::test]
    async fn links_are_followed_and_loops_end() {
        let bench = Bench::new();
        bench.file("real", "x");
        symlink("real", bench.path("link")).unwrap();
        symlink("loop", bench.path("loop")).unwrap();
        let target = bench.target();
        assert_eq!(need(&*target, &bench.path("link")).await.unwrap().path, bench.path("real"));
        let fault = need(&*target, &bench.path("loop")).await.unwrap_err();
        assert!(fault.cause.contains("symbolic links"), "{fault}");
        let fault = need(&*target, &bench.path("")).await.unwrap_err();
        assert!(fault.cause.contains("not a regular file"), "{fault}");
    }
}
