//! A host of the [`World`] as a target.

use super::world::{Host, How, Node, World};
use async_trait::async_trait;
use keybook_api::{
    Command, Connector, Exit, Fault, FaultKind, FileKind, HostSpec, Identity, Receipt, ReceiptId, Secret,
    Stat, Stream, StreamName, Survey, Target, TreeEntry, Write, target::LineSink,
};
use keybook_core::journal::format::sha256_hex;
use std::{sync::Arc, time::Duration};

pub struct FakeConnector(pub Arc<World>);

#[async_trait]
impl Connector for FakeConnector {
    async fn connect(&self, spec: &HostSpec) -> Result<Arc<dyn Target>, Fault> {
        if self.0.strike(&spec.name, "connect", "").is_some() {
            return Err(Fault::unreachable(format!("connect to {}", spec.address), "no route to host"));
        }
        let identity = self.0.on(&spec.name, |host| host.identity.clone());
        Ok(Arc::new(FakeTarget { name: spec.name.clone(), world: Arc::clone(&self.0), identity }))
    }

    fn notes_at_start(&self) -> Vec<String> {
        self.0.notes.lock().unwrap().iter().map(|note| format!("{note} at the start")).collect()
    }

    fn notes_at_end(&self) -> Vec<String> {
        self.0.notes.lock().unwrap().iter().map(|note| format!("{note} at the end")).collect()
    }
}

pub struct FakeTarget {
    name: String,
    world: Arc<World>,
    identity: Identity,
}

impl FakeTarget {
    fn lost(&self, call: &str) -> Fault {
        Fault::unreachable(call, "the connection was lost").on(&self.name)
    }

    /// A call that only looks.
    fn look<T>(&self, call: &str, about: &str, with: impl FnOnce(&Host) -> T) -> Result<T, Fault> {
        match self.world.strike(&self.name, call, about) {
            None => Ok(self.world.on(&self.name, |host| with(host))),
            Some(How::Fails(why)) => Err(Fault::failed(call, why).on(&self.name)),
            Some(_) => Err(self.lost(call)),
        }
    }

    /// A call that changes something.
    fn change<T>(
        &self,
        call: &str,
        about: &str,
        with: impl FnOnce(&mut Host) -> Result<T, String>,
    ) -> Result<T, Fault> {
        let how = self.world.strike(&self.name, call, about);
        match how {
            Some(How::LostBefore) => return Err(self.lost(call)),
            Some(How::Fails(why)) => return Err(Fault::failed(call, why).on(&self.name)),
            _ => {}
        }
        let result = self.world.change(&self.name, with);
        if how == Some(How::LostAfter) {
            return Err(self.lost(call));
        }
        result.map_err(|why| Fault::failed(format!("{call} {about}"), why).on(&self.name))
    }

    async fn line(
        &self,
        line: &str,
        command: &Command,
        lines: LineSink<'_>,
        out: &mut Vec<u8>,
    ) -> Result<i32, Fault> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "effect" => self.change("effect", rest, |host| {
                *host.effects.entry(rest.to_owned()).or_default() += 1;
                Ok(())
            })?,
            "put" => {
                let (path, content) = rest.split_once(' ').unwrap_or((rest, ""));
                self.change("put", path, |host| {
                    host.files.insert(path.to_owned(), Node::file(content, 0o600, 0));
                    Ok(())
                })?;
            }
            "say" => {
                lines(StreamName::Stdout, rest);
                out.extend_from_slice(rest.as_bytes());
            }
            "exit" => return Ok(rest.parse().unwrap()),
            "block" => {
                command.cancel.cancelled().await;
                return Err(Fault::new(FaultKind::Stopped, "run a command", "it was ended").on(&self.name));
            }
            "hang" => std::future::pending::<()>().await,
            other => panic!("the fake shell has no `{other}`"),
        }
        Ok(0)
    }
}

fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

fn stat_of(node: &Node) -> Stat {
    Stat {
        kind: node.kind,
        mode: node.mode,
        owner: node.owner,
        size: node.content.len() as u64,
        modified: node.modified,
        link: (node.kind == FileKind::Symlink).then(|| String::from_utf8(node.content.clone()).unwrap()),
    }
}

fn below(path: &str, root: &str) -> bool {
    path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/') || root == "/")
}

#[async_trait]
impl Target for FakeTarget {
    fn name(&self) -> &str {
        &self.name
    }

    fn identity(&self) -> &Identity {
        &self.identity
    }

    async fn exec(&self, command: Command, lines: LineSink<'_>) -> Result<Exit, Fault> {
        let how = self.world.strike(&self.name, "exec", &command.script);
        match how {
            Some(How::LostBefore) => return Err(self.lost("exec")),
            Some(How::Fails(why)) => return Err(Fault::failed("exec", why).on(&self.name)),
            _ => {}
        }
        let receipt = command.receipt.as_ref().map(ReceiptId::file_name);
        if receipt
            .as_ref()
            .is_some_and(|name| self.world.on(&self.name, |host| host.receipts.contains_key(name)))
        {
            return Err(Fault::failed("exec", "its receipt says that it began before").on(&self.name));
        }
        if let Some(name) = &receipt {
            self.world.change(&self.name, |host| host.receipts.insert(name.clone(), None));
        }
        let (mut status, mut out) = (0, Vec::new());
        for line in command.script.lines().map(str::trim) {
            status = self.line(line, &command, lines, &mut out).await?;
            if status != 0 {
                break;
            }
        }
        if let Some(name) = receipt {
            self.world.change(&self.name, |host| host.receipts.insert(name, Some(status)));
        }
        if how == Some(How::LostAfter) {
            return Err(self.lost("exec"));
        }
        Ok(Exit { status, stdout: out, stderr: Vec::new(), truncated: false, took: Duration::ZERO })
    }

    async fn receipt(&self, id: &ReceiptId) -> Result<Receipt, Fault> {
        self.look("receipt", "", |host| match host.receipts.get(&id.file_name()) {
            None => Receipt::Absent,
            Some(None) => Receipt::Cut,
            Some(Some(status)) => Receipt::Ended(*status),
        })
    }

    async fn end(&self, id: &ReceiptId) -> Result<Receipt, Fault> {
        self.receipt(id).await
    }

    async fn stat(&self, path: &str) -> Result<Option<Stat>, Fault> {
        self.look("stat", path, |host| host.files.get(path).map(stat_of))
    }

    async fn read(&self, path: &str, _limit: u64) -> Result<Secret, Fault> {
        let found = self.look("read", path, |host| host.files.get(path).map(|node| node.content.clone()))?;
        found
            .map(Secret::new)
            .ok_or_else(|| Fault::failed(format!("read {path}"), "there is no such file").on(&self.name))
    }

    async fn write(&self, path: &str, write: Write) -> Result<(), Fault> {
        self.change("write", path, |host| {
            if !host.files.contains_key(parent(path)) {
                return Err("there is no such directory".into());
            }
            let known = host.files.get(path).cloned();
            if write.create_new && known.is_some() {
                return Err("it exists".into());
            }
            let fresh = Node::file("", 0o600, 0);
            let known = known.unwrap_or(fresh);
            let node = Node {
                content: write.content.expose().to_vec(),
                mode: write.mode.unwrap_or(known.mode),
                owner: write.owner.unwrap_or(known.owner),
                modified: known.modified + 1,
                ..known
            };
            host.files.insert(path.to_owned(), node);
            Ok(())
        })
    }

    async fn list(&self, path: &str) -> Result<Vec<String>, Fault> {
        self.look("list", path, |host| {
            let inside = host.files.keys().filter(|file| parent(file) == path && *file != "/");
            inside.filter_map(|file| file.rsplit_once('/')).map(|(_, name)| name.to_owned()).collect()
        })
    }

    async fn make_dir(&self, path: &str, mode: u32) -> Result<(), Fault> {
        self.change("make_dir", path, |host| {
            let mut at = path.to_owned();
            while !host.files.contains_key(&at) {
                host.files.insert(at.clone(), Node::dir(mode));
                at = parent(&at).to_owned();
            }
            Ok(())
        })
    }

    async fn remove(&self, path: &str) -> Result<(), Fault> {
        self.change("remove", path, |host| {
            if host.files.keys().any(|file| file != path && below(file, path)) {
                return Err("it is not empty".into());
            }
            host.files.remove(path);
            Ok(())
        })
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.change("rename", from, |host| {
            if host.files.contains_key(to) {
                return Err("the new name exists".into());
            }
            let node = host.files.remove(from).ok_or("there is no such file")?;
            host.files.insert(to.to_owned(), node);
            Ok(())
        })
    }

    async fn tree(&self, paths: &[String]) -> Result<Vec<TreeEntry>, Fault> {
        self.look("tree", &paths.join(" "), |host| {
            let wanted = host.files.iter().filter(|(file, _)| paths.iter().any(|path| below(file, path)));
            let entry = |(path, node): (&String, &Node)| TreeEntry {
                path: path.clone(),
                stat: stat_of(node),
                sha256: if node.kind == FileKind::File { sha256_hex(&node.content) } else { String::new() },
                selinux: String::new(),
                acl: String::new(),
            };
            wanted.map(entry).collect()
        })
    }

    async fn copy(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.change("copy", from, |host| {
            if host.files.contains_key(to) || !host.files.contains_key(parent(to)) {
                return Err(format!("{to} cannot be made"));
            }
            let whole: Vec<_> = host
                .files
                .iter()
                .filter(|(file, _)| below(file, from))
                .map(|(f, n)| (f.clone(), n.clone()))
                .collect();
            for (file, node) in whole {
                host.files.insert(format!("{to}{}", &file[from.len()..]), node);
            }
            Ok(())
        })
    }

    async fn replace(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.change("replace", to, |host| {
            let node = host.files.get(from).cloned().ok_or_else(|| format!("there is no {from}"))?;
            if !host.files.contains_key(parent(to)) {
                return Err("there is no such directory".into());
            }
            host.files.insert(to.to_owned(), node);
            Ok(())
        })
    }

    async fn survey(&self, tools: &[String]) -> Result<Survey, Fault> {
        self.look("survey", "", |host| {
            let place =
                |tool: &String| (tool.clone(), host.tools.contains(tool).then(|| format!("/usr/bin/{tool}")));
            Survey { uid: host.uid, free_mib: host.free_mib, tools: tools.iter().map(place).collect() }
        })
    }

    async fn open(&self, _host: &str, _port: u16, _timeout: Duration) -> Result<Box<dyn Stream>, Fault> {
        Err(Fault::failed("open a connection", "a fake host has no network"))
    }

    async fn close(&self) {}
}
