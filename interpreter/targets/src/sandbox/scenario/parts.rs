//! Certificates, files, daemons, commands and faults of a scenario.

use super::decode::entries;
use super::names;
use super::places::{Choices, key_kind, mode, offset, owner, path};
use super::{CertificateSpec, CommandAnswer, Content, DaemonSpec, FaultHow, FaultOn, FaultRule, FileSpec};
use crate::sandbox::{glob::Glob, natives};
use indexmap::IndexMap;
use keybook_api::{Diagnostic, SourceText, Span};
use keybook_pki::{KeyForm, KeyKind, San, Usages};
use keybook_script::{ScriptHost, Template};
use keybook_source::{MapReader, Node, NodeValue, Problems, advice, read, suggest};
use std::time::Duration;

/// What templates of files may name.
const NAMES: [&str; 4] = ["host", "hosts", "groups", "cluster"];
/// What the templates of a certificate's names may name: a certificate is of no host.
const SAN_NAMES: [&str; 3] = ["hosts", "groups", "cluster"];
/// What answers may name.
pub(crate) const ANSWER_NAMES: [&str; 10] =
    ["argv", "args", "line", "script", "env", "stdin_text", "host", "hosts", "groups", "cluster"];
/// Without `valid`: ten years.
const VALID: (i64, i64) = (-86_400, 3650 * 86_400);

/// Decodes the parts.
pub(super) struct Parts<'s> {
    choices: Choices<'s>,
    engine: &'s ScriptHost,
}

type Certificates = IndexMap<String, CertificateSpec>;

impl<'s> Parts<'s> {
    pub fn new(choices: Choices<'s>, engine: &'s ScriptHost) -> Self {
        Self { choices, engine }
    }

    fn template(&self, text: &SourceText, names: &[&str], problems: &mut Problems) -> Option<Template> {
        let template = self.engine.template(text, names).map_err(|found| problems.extend(found)).ok()?;
        template.names_used().for_each(|used| names::known(used, &self.choices, problems));
        Some(template)
    }

    fn hosts(&self, map: &mut MapReader, problems: &mut Problems) -> Vec<String> {
        map.required("hosts", problems).map(|node| self.choices.read(node, problems)).unwrap_or_default()
    }

    pub fn certificates(&self, node: &Node, problems: &mut Problems) -> Certificates {
        let mut all = Certificates::new();
        for (key, value) in entries(node, "`certificates`", problems) {
            read::check_identifier(&key.name, "name of a certificate", &key.span, problems);
            if let Some(spec) = self.certificate(value, problems) {
                all.insert(key.name.clone(), spec);
            }
        }
        check_issuers(&all, problems);
        all
    }

    fn certificate(&self, node: &Node, problems: &mut Problems) -> Option<CertificateSpec> {
        let mut map = MapReader::new(node, "a certificate", problems)?;
        let is_ca = map.optional("ca").and_then(|node| read::bool(node, problems)).unwrap_or(false);
        let issuer = map.optional("issuer");
        let subject = map.required("subject", problems);
        let [sans, usages, kind, valid, path_len] =
            ["sans", "usages", "key", "valid", "path_len"].map(|key| map.optional(key));
        map.finish(problems);
        let odd = [("issuer", issuer), ("sans", sans), ("usages", usages), ("path_len", path_len)];
        for (key, node) in odd.into_iter().filter(|(key, _)| (*key != "path_len") == is_ca) {
            let Some(node) = node else { continue };
            let what = if is_ca { "a CA is self-signed and has no" } else { "only a CA has a" };
            problems.push(Diagnostic::error("not-here", format!("{what} `{key}`"), node.span.clone()));
        }
        if !is_ca && issuer.is_none() {
            let problem = Diagnostic::error("missing-key", "a certificate needs `issuer`", node.span.clone());
            problems.push(problem.help("add `issuer: …`, or `ca: true`"));
        }
        let (from, to) = valid.and_then(|node| dates(node, problems)).unwrap_or(VALID);
        let sans = sans.and_then(|node| read::strings(node, problems)).unwrap_or_default();
        Some(CertificateSpec {
            issuer: issuer.and_then(|node| read::string(node, problems)),
            issuer_span: issuer.unwrap_or(node).span.clone(),
            subject: subject.map(|node| attributes(node, problems)).unwrap_or_default(),
            sans: sans.into_iter().filter_map(|text| self.san(text, problems)).collect(),
            usages: read_usages(usages, problems)?,
            kind: kind.map_or(Some(KeyKind::Rsa(2048)), |node| key_kind(node, problems))?,
            path_len: path_len
                .and_then(|node| read::int(node, 0..=16, problems))
                .and_then(|length| u32::try_from(length).ok()),
            from,
            to,
            span: node.span.clone(),
        })
    }

    fn san(&self, text: &SourceText, problems: &mut Problems) -> Option<Template> {
        let template = self.template(text, &SAN_NAMES, problems)?;
        if template.is_constant()
            && let Err(error) = text.as_str().parse::<San>()
        {
            let problem = Diagnostic::error("bad-san", error.to_string(), text.whole());
            problems.push(problem.help("write DNS:name, IP:address, or either without the prefix"));
        }
        Some(template)
    }

    pub fn files(&self, node: &Node, certificates: &Certificates, problems: &mut Problems) -> Vec<FileSpec> {
        let items = read::list(node, problems).unwrap_or_default();
        items.into_iter().filter_map(|item| self.file(item, certificates, problems)).collect()
    }

    fn file(&self, node: &Node, certificates: &Certificates, problems: &mut Problems) -> Option<FileSpec> {
        const KINDS: [&str; 5] = ["certificate", "key", "text", "link", "directory"];
        let mut map = MapReader::new(node, "a file", problems)?;
        let hosts = self.hosts(&mut map, problems);
        let at = map.required("path", problems).and_then(|node| path(node, problems));
        let kinds = KINDS.map(|key| map.optional(key));
        let form = map.optional("form");
        let mode_node = map.optional("mode");
        let owner = map.optional("owner").and_then(|node| owner(node, problems));
        map.finish(problems);
        let mut given = KINDS.iter().zip(kinds).filter_map(|(kind, node)| Some((*kind, node?)));
        let (first, second) = (given.next(), given.next());
        let (Some((kind, value)), None) = (first, second) else {
            let problem = Diagnostic::error("one-content", "a file is exactly one thing", node.span.clone());
            problems.push(
                problem.help(format!("give one of {}", KINDS.map(|kind| format!("`{kind}`")).join(", "))),
            );
            return None;
        };
        if let Some(form) = form.filter(|_| kind != "key") {
            problems.push(Diagnostic::error("not-here", "only a `key` has a form", form.span.clone()));
        }
        let content = self.content(kind, value, form, certificates, problems)?;
        let default = match content {
            Content::Key(..) => 0o600,
            Content::Directory => 0o755,
            _ => 0o644,
        };
        let mode = mode_node.map_or(Some(default), |node| mode(node, problems))?;
        Some(FileSpec { hosts, path: at?, content, mode, owner, span: node.span.clone() })
    }

    fn content(
        &self,
        kind: &str,
        value: &Node,
        form: Option<&Node>,
        certificates: &Certificates,
        problems: &mut Problems,
    ) -> Option<Content> {
        match kind {
            "certificate" => {
                let names = read::strings(value, problems)?;
                let known = names.iter().all(|name| known(name, certificates, problems));
                known.then(|| {
                    Content::Certificates(names.iter().map(|name| name.as_str().to_owned()).collect())
                })
            }
            "key" => {
                let name = read::text(value, problems)?;
                known(name, certificates, problems);
                let spec = certificates.get(name.as_str())?;
                let form = key_form(spec.kind, form, problems)?;
                Some(Content::Key(name.as_str().to_owned(), form))
            }
            "text" => Some(Content::Text(self.template(read::text(value, problems)?, &NAMES, problems)?)),
            "link" => Some(Content::Link(read::string(value, problems)?)),
            _ => {
                if read::bool(value, problems)? {
                    return Some(Content::Directory);
                }
                let problem =
                    Diagnostic::error("not-here", "`directory: false` makes nothing", value.span.clone());
                problems.push(problem.help("leave the file out, or say what it is"));
                None
            }
        }
    }

    pub fn daemons(&self, node: &Node, problems: &mut Problems) -> Vec<DaemonSpec> {
        let mut all: Vec<DaemonSpec> = Vec::new();
        for item in read::list(node, problems).unwrap_or_default() {
            let Some(daemon) = self.daemon(item, problems) else { continue };
            let shares_host =
                |other: &&DaemonSpec| other.hosts.iter().any(|host| daemon.hosts.contains(host));
            let clash = |other: &&DaemonSpec| {
                other.name == daemon.name || (other.port.is_some() && other.port == daemon.port)
            };
            if let Some(other) = all.iter().filter(shares_host).find(clash) {
                let what = if other.name == daemon.name { "name" } else { "port" };
                let message = format!("`{}` on the same host has this {what} already", other.name);
                let at = item.get(what).unwrap_or(item);
                problems.push(Diagnostic::error("duplicate-daemon", message, at.span.clone()));
            }
            all.push(daemon);
        }
        all
    }

    fn daemon(&self, node: &Node, problems: &mut Problems) -> Option<DaemonSpec> {
        let mut map = MapReader::new(node, "a daemon", problems)?;
        let hosts = self.hosts(&mut map, problems);
        let name = map.required("name", problems);
        let while_file = map.required("while", problems);
        let port = map.optional("port");
        let tls = ["certificate", "key", "client_ca"].map(|key| (key, map.optional(key)));
        let others = map.optional("reads");
        let delay = map.optional("start_delay");
        map.finish(problems);
        let mut reads = IndexMap::new();
        for (key, value) in tls {
            if let Some(path) = value.and_then(|node| path(node, problems)) {
                reads.insert(key.to_owned(), path);
            }
        }
        let [certificate, key, client_ca] = tls.map(|(_, node)| node);
        check_tls(certificate, key, client_ca, port, problems);
        for (key, value) in others.map(|node| entries(node, "`reads`", problems)).unwrap_or_default() {
            let named = read::check_identifier(&key.name, "name of a file that is read", &key.span, problems);
            let Some(path) = path(value, problems).filter(|_| named) else { continue };
            if reads.insert(key.name.clone(), path).is_some() {
                let message = format!("`{}` is given already", key.name);
                problems.push(Diagnostic::error("duplicate-key", message, key.span.clone()));
            }
        }
        Some(DaemonSpec {
            hosts,
            name: name.and_then(|node| read::identifier(node, "name of a daemon", problems))?,
            while_file: while_file.and_then(|node| path(node, problems))?,
            port: port
                .and_then(|node| read::int(node, 1..=65535, problems))
                .and_then(|port| u16::try_from(port).ok()),
            reads,
            start_delay: delay.and_then(|node| read::duration(node, problems)).unwrap_or_default(),
            span: node.span.clone(),
        })
    }

    pub fn commands(&self, node: &Node, problems: &mut Problems) -> Vec<CommandAnswer> {
        let items = read::list(node, problems).unwrap_or_default();
        items.into_iter().filter_map(|item| self.command(item, problems)).collect()
    }

    fn command(&self, node: &Node, problems: &mut Problems) -> Option<CommandAnswer> {
        let mut map = MapReader::new(node, "a command", problems)?;
        let pattern = map.required("match", problems);
        let hosts = map.optional("hosts").map(|node| self.choices.read(node, problems));
        let takes = map.optional("takes").and_then(|node| read::duration(node, problems));
        let answer = map.required("answer", problems);
        map.finish(problems);
        let pattern = read::string(pattern?, problems)?;
        let text = read::text(answer?, problems)?;
        let script = self.engine.script_with(text, &ANSWER_NAMES, &natives::arities());
        let script = script.map_err(|found| problems.extend(found)).ok()?;
        script.names_used().iter().for_each(|used| names::known(used, &self.choices, problems));
        Some(CommandAnswer {
            pattern: Glob::new(&pattern),
            hosts,
            takes: takes.unwrap_or(Duration::ZERO),
            script,
        })
    }

    pub fn faults(&self, node: &Node, problems: &mut Problems) -> Vec<FaultRule> {
        let items = read::list(node, problems).unwrap_or_default();
        items.into_iter().filter_map(|item| self.fault(item, problems)).collect()
    }

    fn fault(&self, node: &Node, problems: &mut Problems) -> Option<FaultRule> {
        let mut map = MapReader::new(node, "a fault", problems)?;
        let hosts = self.hosts(&mut map, problems);
        let [command, path] = ["command", "path"].map(|key| map.optional(key));
        let nth = map.optional("nth").map_or(Some(1), |node| read::int(node, 1..=1_000_000, problems))?;
        let kind = map.required("kind", problems);
        map.finish(problems);
        let mut words = vec!["fail", "disconnect", "disconnect-after", "reboot"];
        words.extend(path.is_some().then_some("disk-full"));
        let kind = match read::enum_word(kind?, &words, "kind of fault here", problems)? {
            "fail" => FaultHow::Fail,
            "disconnect" => FaultHow::Disconnect,
            "disconnect-after" => FaultHow::DisconnectAfter,
            "reboot" => FaultHow::Reboot,
            _ => FaultHow::DiskFull,
        };
        let on = match (command, path) {
            (Some(command), None) => FaultOn::Command(Glob::new(&read::string(command, problems)?)),
            (None, Some(path)) => FaultOn::Path(Glob::new(&read::string(path, problems)?)),
            _ => {
                let message = "a fault is of a `command` or of a file (`path`)";
                problems.push(Diagnostic::error("one-content", message, node.span.clone()));
                return None;
            }
        };
        Some(FaultRule { hosts, on, nth: nth.unsigned_abs(), kind, span: node.span.clone() })
    }
}

/// A name of a certificate of the scenario; false when it was reported.
fn known(name: &SourceText, certificates: &Certificates, problems: &mut Problems) -> bool {
    let found = certificates.contains_key(name.as_str());
    if !found {
        problems.push(unknown(name.as_str(), name.whole(), certificates));
    }
    found
}

fn unknown(name: &str, span: Span, certificates: &Certificates) -> Diagnostic {
    let message = format!("there is no certificate `{name}`");
    let mut problem = Diagnostic::error("unknown-certificate", message, span);
    problem.help = suggest(name, certificates.keys().map(String::as_str));
    problem
}

fn check_issuers(all: &Certificates, problems: &mut Problems) {
    for spec in all.values() {
        let Some(issuer) = &spec.issuer else { continue };
        match all.get(issuer) {
            None => problems.push(unknown(issuer, spec.issuer_span.clone(), all)),
            Some(other) if other.issuer.is_some() => {
                let message = format!("`{issuer}` is no CA");
                let problem = Diagnostic::error("unknown-certificate", message, spec.issuer_span.clone());
                problems.push(problem.help("a CA has `ca: true`"));
            }
            Some(_) => {}
        }
    }
}

fn check_tls(
    certificate: Option<&Node>,
    key: Option<&Node>,
    client_ca: Option<&Node>,
    port: Option<&Node>,
    problems: &mut Problems,
) {
    let alone = match (certificate, key) {
        (Some(node), None) => Some((node, "a `certificate` needs its `key`")),
        (None, Some(node)) => Some((node, "a `key` needs its `certificate`")),
        (None, None) => client_ca.map(|node| (node, "`client_ca` needs `certificate` and `key`")),
        (Some(node), Some(_)) => port.is_none().then_some((node, "a server needs a `port`")),
    };
    if let Some((node, message)) = alone {
        let problem = Diagnostic::error("missing-key", message, node.span.clone());
        problems.push(problem.help("files that it reads without serving them stand under `reads`"));
    }
}

fn key_form(kind: KeyKind, node: Option<&Node>, problems: &mut Problems) -> Option<KeyForm> {
    let own = if matches!(kind, KeyKind::Rsa(_)) { KeyForm::Pkcs1 } else { KeyForm::Sec1 };
    let Some(node) = node else { return Some(own) };
    let form = read::enum_word(node, &["pkcs1", "pkcs8", "sec1"], "form of a key", problems)?.parse().ok()?;
    if form != KeyForm::Pkcs8 && form != own {
        let message = format!("a key of the kind {kind} has no form {form}");
        let problem = Diagnostic::error("wrong-form", message, node.span.clone());
        problems.push(problem.help(format!("write {own} or {}", KeyForm::Pkcs8)));
        return None;
    }
    Some(form)
}

/// `{ CN: x, O: [a, b] }`, in order.
fn attributes(node: &Node, problems: &mut Problems) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, value) in entries(node, "`subject`", problems) {
        for text in read::strings(value, problems).unwrap_or_default() {
            if text.as_str().contains("${") {
                let message = "a subject is plain text, no template";
                problems.push(
                    Diagnostic::error("not-here", message, text.whole()).help("`sans` may have templates"),
                );
            }
            found.push((key.name.clone(), text.as_str().to_owned()));
        }
    }
    found
}

fn dates(node: &Node, problems: &mut Problems) -> Option<(i64, i64)> {
    let mut map = MapReader::new(node, "`valid`", problems)?;
    let (from, to) = (map.required("from", problems), map.required("to", problems));
    map.finish(problems);
    let (from, to) = (offset(from?, problems)?, offset(to?, problems)?);
    if from >= to {
        let at = node.get("to").unwrap_or(node);
        problems.push(Diagnostic::error("bad-date", "it would end before it begins", at.span.clone()));
    }
    Some((from, to))
}

fn read_usages(node: Option<&Node>, problems: &mut Problems) -> Option<Usages> {
    const BOTH: [&str; 4] = ["signing", "key encipherment", "server auth", "client auth"];
    let Some(node) = node.filter(|node| !matches!(node.value, NodeValue::Null)) else {
        return Usages::from_words(BOTH).ok();
    };
    let mut words: Vec<&str> = Vec::new();
    for text in read::strings(node, problems)? {
        match text.as_str() {
            "server" => words.extend(["signing", "key encipherment", "server auth"]),
            "client" => words.extend(["signing", "key encipherment", "client auth"]),
            other => match Usages::from_words([other]) {
                Ok(_) => words.push(other),
                Err(error) => {
                    let mut problem = Diagnostic::error("bad-usage", error.to_string(), text.whole());
                    problem.help = advice(other, ["server", "client"].into_iter().chain(BOTH));
                    problems.push(problem);
                }
            },
        }
    }
    Usages::from_words(words).ok()
}
