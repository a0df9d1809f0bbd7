//! A scenario: what the hosts of a sandbox are and how they behave.

mod decode;
mod names;
mod parts;
mod places;
mod schema;

pub use schema::schema;

use super::glob::Glob;
use indexmap::IndexMap;
use keybook_api::{Diagnostic, FileKind, HostSpec, Map, Owner, Span};
use keybook_pki::{KeyForm, KeyKind, Usages};
use keybook_script::{Limits, Script, ScriptHost, Template};
use keybook_source::{Node, NodeValue};
use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

/// The hosts of a sandbox: a runbook's `scenarios/<name>.yaml`, checked.
///
/// # The language
///
/// Keys are strict, as in a runbook; `hosts` in any list names groups (`master`, `master[0]`, `master[1:]`) or hosts.
///
/// ```yaml
/// keybook: 1
/// scenario: three-masters               # its name, as the file's
/// title: Three masters, the CA ends in 20 days
/// extends: base.yaml                    # optional: a scenario beside it, whose keys hold where this one has none
/// cluster: sandbox
/// hosts: { m1: { address: 172.22.25.10 }, m2: { address: 172.22.25.11 } }    # an inventory's keys; only address counts
/// groups: { master: [m1, m2], manager: [m1] }
/// inputs: { settle: 1s, token: made-up }    # values of the runbook's inputs in the sandbox, made-up secrets too
/// tools: [etcdctl, docker]              # programs that the preflight finds; no others
/// certificates:                         # made with new keys for every sandbox
///   ca:   { ca: true, subject: { CN: etcd-ca, O: [k8s, System] }, key: rsa-2048, valid: { from: -3630d, to: 20d } }
///   leaf: { issuer: ca, subject: { CN: etcd }, sans: [IP:127.0.0.1, "${groups.master}"], usages: [server, client] }
/// files:                                # in this order; directories above them are made, 0755
///   - { hosts: master, path: /srv/ca.pem, certificate: ca, mode: "0644" }
///   - { hosts: master, path: /srv/key.pem, key: leaf, form: pkcs1, mode: "0600" }
///   - { hosts: master, path: /etc/motd, text: "This is ${host.name} at ${host.address}", owner: "0:4" }
///   - { hosts: master, path: /srv/link, link: ca.pem }
///   - { hosts: master, path: /var/lib/etcd, directory: true, mode: "0700" }
/// daemons:                              # run while a file is there, serve what they read when they started
///   - hosts: master
///     name: etcd
///     while: /etc/kubernetes/manifests/etcd.yaml
///     port: 2379
///     certificate: /srv/etcd.pem
///     key: /srv/key.pem
///     client_ca: /srv/ca.pem
///     reads: { peer_ca: /srv/peer-ca.pem }
///     start_delay: 2s
/// commands:                             # the first whose `match` fits answers
///   - match: "etcdctl * endpoint health*"
///     hosts: master                     # optional: all hosts otherwise
///     takes: 2s                         # optional: how long it runs before it answers; 0s
///     answer: |
///       if daemon("etcd").running { "healthy\n" } else { #{ stderr: "unhealthy\n", status: 1 } }
/// faults:                               # for tests: what goes wrong, once each
///   - { hosts: master, command: "etcdctl *", nth: 2, kind: disconnect }
///   - { hosts: m1, path: /srv/*, kind: disk-full }
/// ```
///
/// **inputs** count in the sandbox only, before the environment and defaults; `-e` comes first. A text for a secret input is that secret, kept out of
/// journal and reports as any other, and so a made-up one: everybody can read a scenario.
///
/// **certificates**: `key` is `rsa-2048` (the default), `rsa-3072`, `rsa-4096`, `ecdsa-p256`, `ecdsa-p384` or
/// `ecdsa-p521`. `valid` is two signed durations from now, by default `-1d` to `3650d`. A `ca: true` is self-signed; every
/// other certificate names its `issuer`. `sans` are `DNS:…`, `IP:…` or bare; an item that is one `${…}` may give a
/// list. `usages` are `server`, `client` (either with `signing` and `key encipherment`, and both by default) and cfssl's words.
///
/// **files**: exactly one of `certificate` (a name, or a list for a bundle), `key` (with `form`: pkcs1, pkcs8 or sec1;
/// by default pkcs1 for RSA and sec1 for ECDSA), `text` (a template over `host`, `hosts`, `groups` and `cluster`),
/// `link` and `directory: true`. `mode` is 0644 by default, 0600 for keys and 0755 for directories. `owner` (`uid:gid`)
/// counts only where Keybook runs as root.
///
/// **daemons** are looked at before every command, change and connection: a daemon whose `while` file has appeared is
/// started after `start_delay` (a new id, one more start), one whose file is gone is stopped, one whose file has
/// another content is restarted, as a kubelet does with static pods. A daemon that cannot read its files, or whose
/// key does not fit its certificate, does not run, and is tried again. With a `port` it can be connected to: with
/// `certificate` and `key` it speaks TLS, and with `client_ca` it demands a client certificate.
///
/// **commands**: `match` is compared with the whole command line; `*` stands for any letters, `?` for one. The line is the
/// words joined by spaces: those of a program, and of a shell script that is one plain command without quotes,
/// with `"$1"` to `"$9"` filled in, and without variables and `exec` before the program. Of any other shell script it is the
/// text with white space folded. The answer is a Rhai script over the variables `line`, `argv` (the words; empty for
/// such other scripts), `args` (the command's arguments), `script`, `env`, `stdin_text`, `host` (`name`, `address`, `groups`),
/// `hosts` (the same, by name), `groups` (names, by group) and `cluster`, with the functions of [`super::natives`]. It
/// gives the standard output, or a map with `stdout`, `stderr` and `status`. A command without an answer is an error.
///
/// **faults**: the `nth` (default: first) command or file write that fits fails: `fail` (it does nothing and ends
/// with an error), `disconnect` (the connection breaks before it), `disk-full` (file writes only).
#[derive(Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it shows, one line.
    pub title: String,
    /// The file, as in messages.
    pub file: Arc<str>,
    /// Where `commands` stands, for messages about a command without an answer.
    pub(crate) span: Span,
    /// The cluster's name.
    pub cluster: String,
    /// The hosts by name, with their addresses.
    pub hosts: IndexMap<String, HostSpec>,
    /// Host names by group.
    pub groups: IndexMap<String, Vec<String>>,
    /// Values that replace a runbook's defaults.
    pub inputs: Map,
    /// Programs that the preflight finds.
    pub tools: Vec<String>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// What was read, by the names used in spans.
    pub sources: HashMap<String, String>,
    pub(crate) certificates: IndexMap<String, CertificateSpec>,
    pub(crate) files: Vec<FileSpec>,
    pub(crate) daemons: Vec<DaemonSpec>,
    pub(crate) commands: Vec<CommandAnswer>,
    pub(crate) faults: Vec<FaultRule>,
    pub(crate) engine: ScriptHost,
}

/// Why a scenario cannot be used.
#[derive(Debug)]
pub struct Invalid {
    /// Every problem found.
    pub problems: Vec<Diagnostic>,
    /// What was read, by the names used in spans.
    pub sources: HashMap<String, String>,
}

/// A certificate to be made.
#[derive(Debug)]
pub(crate) struct CertificateSpec {
    /// `None` for a self-signed CA.
    pub issuer: Option<String>,
    pub issuer_span: Span,
    pub subject: Vec<(String, String)>,
    pub sans: Vec<Template>,
    pub usages: Usages,
    pub kind: KeyKind,
    pub path_len: Option<u32>,
    /// Seconds from now.
    pub from: i64,
    pub to: i64,
    pub span: Span,
}

/// A file to be made.
#[derive(Debug)]
pub(crate) struct FileSpec {
    pub hosts: Vec<String>,
    pub path: String,
    pub content: Content,
    pub mode: u32,
    pub owner: Option<Owner>,
    pub span: Span,
}

/// What a file is.
#[derive(Debug)]
pub(crate) enum Content {
    Certificates(Vec<String>),
    Key(String, KeyForm),
    Text(Template),
    Link(String),
    Directory,
}

impl Content {
    pub fn kind(&self) -> FileKind {
        match self {
            Self::Certificates(_) | Self::Key(..) | Self::Text(_) => FileKind::File,
            Self::Link(_) => FileKind::Symlink,
            Self::Directory => FileKind::Directory,
        }
    }
}

/// A process that runs while a file is there.
#[derive(Debug)]
pub(crate) struct DaemonSpec {
    pub hosts: Vec<String>,
    pub name: String,
    pub while_file: String,
    pub port: Option<u16>,
    /// Files that it reads at its start, by what they are: `certificate`, `key`, `client_ca` and others.
    pub reads: IndexMap<String, String>,
    pub start_delay: Duration,
    pub span: Span,
}

/// What a command answers.
#[derive(Debug)]
pub(crate) struct CommandAnswer {
    pub pattern: Glob,
    /// All hosts when absent.
    pub hosts: Option<Vec<String>>,
    pub takes: Duration,
    pub script: Script,
}

/// What goes wrong.
#[derive(Debug)]
pub(crate) struct FaultRule {
    pub hosts: Vec<String>,
    pub on: FaultOn,
    pub nth: u64,
    pub kind: FaultHow,
    pub span: Span,
}

/// Where it goes wrong.
#[derive(Debug)]
pub(crate) enum FaultOn {
    Command(Glob),
    Path(Glob),
}

/// How it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultHow {
    Fail,
    Disconnect,
    /// It is done, and nobody hears of it.
    DisconnectAfter,
    DiskFull,
    /// The connection breaks before it, and every daemon starts anew.
    Reboot,
}

impl Scenario {
    /// Checks a scenario. `file` is where the text was read; a scenario that it extends is read beside it.
    ///
    /// # Errors
    /// Every problem found, each at its place.
    pub fn load(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut sources = HashMap::from([(file.to_owned(), text.to_owned())]);
        let root = keybook_source::parse(file, text)?;
        let root = merged(root, Path::new(file), file, &mut sources)?;
        decode::scenario(file, &root, sources, ScriptHost::new(Limits::default(), &[]))
    }

    /// Reads and checks a scenario's file. Spans name it `shown`, and a scenario that it extends as its neighbour.
    /// `engine` may have functions of its own, which answers and templates can call.
    ///
    /// # Errors
    /// Every problem found, each at its place; a file that cannot be read is one.
    pub fn open(path: &Path, shown: &str, engine: &ScriptHost) -> Result<Self, Invalid> {
        let mut sources = HashMap::new();
        let root = read_one(path, shown, Span::new(shown, 1, 1, 1), &mut sources)
            .and_then(|root| merged(root, path, shown, &mut sources));
        let invalid = |problems| Invalid { problems, sources: sources.clone() };
        decode::scenario(shown, &root.map_err(invalid)?, sources.clone(), engine.clone()).map_err(invalid)
    }

    /// The groups of a host.
    pub fn groups_of(&self, host: &str) -> Vec<String> {
        let member = |(_, members): &(&String, &Vec<String>)| members.iter().any(|name| name == host);
        self.groups.iter().filter(member).map(|(name, _)| name.clone()).collect()
    }

    /// The daemons of a host.
    pub(crate) fn daemons_of<'s>(&'s self, host: &'s str) -> impl Iterator<Item = &'s DaemonSpec> {
        self.daemons.iter().filter(move |daemon| daemon.hosts.iter().any(|name| name == host))
    }

    /// The host of a name or an address.
    pub(crate) fn host_at<'s>(&'s self, name_or_address: &str) -> Option<&'s str> {
        let fits =
            |(name, spec): &(&String, &HostSpec)| *name == name_or_address || spec.address == name_or_address;
        self.hosts.iter().find(fits).map(|(name, _)| name.as_str())
    }
}

/// Where a scenario extends another, puts that one's keys beside its own.
fn merged(
    own: Node,
    path: &Path,
    shown: &str,
    sources: &mut HashMap<String, String>,
) -> Result<Node, Vec<Diagnostic>> {
    let Some(extends) = own.get("extends") else { return Ok(own) };
    let at = extends.span.clone();
    let wrong = |message: &str| vec![Diagnostic::error("extends", message, at.clone())];
    let name = extends.as_text().map(|text| text.as_str()).unwrap_or_default();
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(wrong("`extends` names a file in the same folder"));
    }
    let beside = match shown.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{name}"),
        None => name.to_owned(),
    };
    let base = read_one(&path.with_file_name(name), &beside, at.clone(), sources)?;
    if base.get("extends").is_some() {
        return Err(wrong("that scenario extends another; only one step is allowed"));
    }
    let (Some(mine), Some(theirs)) = (own.entries(), base.entries()) else { return Ok(own) };
    let mut entries: Vec<_> = mine.iter().filter(|(key, _)| key.name != "extends").cloned().collect();
    entries.extend(theirs.iter().filter(|(key, _)| own.get(&key.name).is_none()).cloned());
    Ok(Node { value: NodeValue::Map(entries), ..own })
}

fn read_one(
    path: &Path,
    shown: &str,
    at: Span,
    sources: &mut HashMap<String, String>,
) -> Result<Node, Vec<Diagnostic>> {
    let unreadable = |error: std::io::Error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file {shown}"),
            std::io::ErrorKind::IsADirectory => format!("{shown} is a folder, not a file"),
            _ => format!("{shown} cannot be read: {error}"),
        };
        vec![Diagnostic::error("not-readable", message, at.clone())]
    };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    sources.insert(shown.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
    let text = keybook_source::decode(shown, &bytes).map_err(|problem| vec![*problem])?;
    keybook_source::parse(shown, text)
}
