//! A sandbox host: files through the POSIX layer in its folder, commands by the scenario's answers.

use super::world::{Sandbox, trouble};
use super::{answer, faults, receipts, serve};
use crate::local::LocalShell;
use crate::posix::PosixTarget;
use async_trait::async_trait;
use keybook_api::target::{Found, LineSink};
use keybook_api::{
    Command, Exit, Fault, FaultKind, Identity, Owner, Receipt, ReceiptId, Secret, Stat, Stream, Survey,
    Target, TreeEntry, Write,
};
use std::sync::Arc;
use std::time::Duration;

/// One host of a sandbox.
pub(crate) struct SandboxTarget {
    sandbox: Arc<Sandbox>,
    posix: PosixTarget<LocalShell>,
    name: String,
    identity: Identity,
}

impl SandboxTarget {
    pub async fn connect(sandbox: Arc<Sandbox>, name: &str) -> Result<Self, Fault> {
        let root = sandbox.root_of(name);
        let root = root.to_str().ok_or_else(|| {
            Fault::usage("use the sandbox", format!("its path {} is not UTF-8", root.display()))
        })?;
        let transport = "sandbox".to_owned();
        let posix =
            PosixTarget::identify(LocalShell::new(name), root.to_owned(), false, transport, String::new())
                .await?;
        // The machine's own name and clock are not the host's.
        let identity = Identity { hostname: name.to_owned(), clock_offset_ms: 0, ..posix.identity().clone() };
        Ok(Self { sandbox, posix, name: name.to_owned(), identity })
    }

    /// Carries out a change of a file, unless the scenario makes it go wrong.
    async fn changing(
        &self,
        doing: &str,
        path: &str,
        change: impl Future<Output = Result<(), Fault>> + Send,
    ) -> Result<(), Fault> {
        self.settle().await?;
        let way_back = faults::change(&self.sandbox, &self.name, doing, path)?;
        way_back.bring(change.await)
    }

    /// Brings this host's daemons up to date, before a change: what they have read by now they keep serving.
    async fn settle(&self) -> Result<(), Fault> {
        let (sandbox, name) = (self.sandbox.clone(), self.name.clone());
        answer::in_background(move || {
            let settle = || sandbox.lock().and_then(|_lock| sandbox.settle(&name));
            settle().map(drop).map_err(|error| trouble(&name, &error))
        })
        .await
    }
}

/// Who Keybook runs as, when that is not root. All of a sandbox host's files are theirs, and are shown as root's,
/// as whom commands there pretend to run; files cannot be given away.
fn stand_in() -> Option<Owner> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    (!uid.is_root()).then(|| Owner { uid: uid.as_raw(), gid: gid.as_raw() })
}

fn shown(stat: Stat, stand_in: Option<Owner>) -> Stat {
    let Some(own) = stand_in else { return stat };
    let uid = if stat.owner.uid == own.uid { 0 } else { stat.owner.uid };
    let gid = if stat.owner.gid == own.gid { 0 } else { stat.owner.gid };
    Stat { owner: Owner { uid, gid }, ..stat }
}

#[async_trait]
impl Target for SandboxTarget {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_sandbox(&self) -> bool {
        true
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    async fn exec(&self, command: Command, lines: LineSink<'_>) -> Result<Exit, Fault> {
        answer::exec(&self.sandbox, &self.name, command, lines).await
    }

    async fn receipt(&self, id: &ReceiptId) -> Result<Receipt, Fault> {
        receipts::look_up(&self.sandbox, &self.name, id)
    }

    /// An answer comes to its own end soon; there is no process to end.
    async fn end(&self, id: &ReceiptId) -> Result<Receipt, Fault> {
        const BEAT: Duration = Duration::from_millis(50);
        const TURNS: u32 = 400;
        for _ in 0..TURNS {
            let receipt = self.receipt(id).await?;
            if receipt != Receipt::Running {
                return Ok(receipt);
            }
            tokio::time::sleep(BEAT).await;
        }
        Err(Fault::failed("end a command", "its answer takes longer than 20 s")
            .on(&self.name)
            .now("the command still runs"))
    }

    async fn stat(&self, path: &str) -> Result<Option<Stat>, Fault> {
        let stat = self.posix.stat(path).await?;
        Ok(stat.map(|stat| shown(stat, stand_in())))
    }

    async fn read(&self, path: &str, limit: u64) -> Result<Secret, Fault> {
        self.posix.read(path, limit).await
    }

    async fn look(&self, path: &str, limit: u64) -> Result<Found, Fault> {
        let found = self.posix.look(path, limit).await?;
        let file = found.file.map(|(stat, content)| (shown(stat, stand_in()), content));
        Ok(Found { file, ..found })
    }

    async fn write(&self, path: &str, write: Write) -> Result<(), Fault> {
        let owner = write.owner.filter(|_| stand_in().is_none());
        self.changing("write", path, self.posix.write(path, Write { owner, ..write })).await
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, Fault> {
        self.posix.list(path).await
    }

    async fn make_dir(&self, path: &str, mode: u32) -> Result<(), Fault> {
        self.changing("make the folder", path, self.posix.make_dir(path, mode)).await
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        self.changing("remove", path, self.posix.remove(path)).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.changing("rename to", to, self.posix.rename(from, to)).await
    }

    async fn tree(&self, paths: &[String]) -> Result<Vec<TreeEntry>, Fault> {
        let own = stand_in();
        let tree = self.posix.tree(paths).await?;
        Ok(tree.into_iter().map(|entry| TreeEntry { stat: shown(entry.stat, own), ..entry }).collect())
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.changing("copy to", to, self.posix.copy(from, to)).await
    }

    async fn replace(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.changing("replace", to, self.posix.replace(from, to)).await
    }

    /// The scenario's tools and this machine's free space: no program is looked for.
    async fn survey(&self, tools: &[String]) -> Result<Survey, Fault> {
        let free = rustix::fs::statvfs(self.sandbox.folder())
            .map_err(|error| Fault::failed("look at what the host has", error).on(&self.name))?;
        let free_mib = (free.f_bavail.saturating_mul(free.f_frsize)) >> 20;
        let known = &self.sandbox.scenario().tools;
        let place = |tool: &String| known.contains(tool).then(|| format!("/usr/bin/{tool}"));
        Ok(Survey { uid: 0, free_mib, tools: tools.iter().map(|tool| (tool.clone(), place(tool))).collect() })
    }

    async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Stream>, Fault> {
        let (sandbox, own, address) = (self.sandbox.clone(), self.name.clone(), host.to_owned());
        let connected = answer::in_background(move || serve::connect(&sandbox, &own, &address, port));
        tokio::time::timeout(timeout, connected).await.unwrap_or_else(|_| {
            let cause = format!("no answer within {timeout:?}");
            Err(Fault::new(FaultKind::TimedOut, format!("connect to {host}:{port}"), cause).on(&self.name))
        })
    }

    async fn close(&self) {
        self.posix.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybook_api::FileKind;

    #[test]
    fn an_ordinary_user_stands_for_root() {
        let owner = Owner { uid: 1000, gid: 100 };
        let stat = Stat { kind: FileKind::File, mode: 0o600, owner, size: 0, modified: 0, link: None };
        assert_eq!(shown(stat.clone(), None).owner, owner);
        assert_eq!(shown(stat.clone(), Some(owner)).owner, Owner { uid: 0, gid: 0 });
        assert_eq!(shown(stat, Some(Owner { uid: 1000, gid: 7 })).owner, Owner { uid: 0, gid: 100 });
    }
}
