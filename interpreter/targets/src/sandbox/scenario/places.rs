//! The small words of a scenario: host choices, paths, modes, owners, key kinds, dates.

use indexmap::IndexMap;
use keybook_api::{Diagnostic, HostSpec, Owner, SourceText, duration};
use keybook_pki::KeyKind;
use keybook_source::{Node, NodeValue, Problems, read, suggest};

/// The hosts that can be chosen from.
pub(super) struct Choices<'s> {
    pub hosts: &'s IndexMap<String, HostSpec>,
    pub groups: &'s IndexMap<String, Vec<String>>,
}

impl Choices<'_> {
    /// `master`, `master[0]`, `master[1:]`, `m1`, or a list of such; each host once.
    pub fn read(&self, node: &Node, problems: &mut Problems) -> Vec<String> {
        let mut chosen: Vec<String> = Vec::new();
        for text in read::strings(node, problems).unwrap_or_default() {
            match self.one(text.as_str()) {
                Ok(hosts) if hosts.is_empty() => {
                    let message = format!("`{}` chooses no host", text.as_str());
                    problems.push(Diagnostic::error("no-hosts", message, text.whole()));
                }
                Ok(hosts) => hosts.into_iter().for_each(|host| {
                    if !chosen.contains(&host) {
                        chosen.push(host);
                    }
                }),
                Err(why) => problems.push(self.unknown(text, &why)),
            }
        }
        chosen
    }

    fn one(&self, text: &str) -> Result<Vec<String>, String> {
        let wrong =
            || format!("`{text}` is no host choice; write a host, a group, group[0], group[1:] or group[:2]");
        let (name, range) = match text.split_once('[') {
            None => (text, None),
            Some((name, rest)) => (name, Some(rest.strip_suffix(']').ok_or_else(wrong)?)),
        };
        let Some(members) = self.groups.get(name) else {
            return match range {
                None if self.hosts.contains_key(name) => Ok(vec![name.to_owned()]),
                _ => Err(format!("there is no group or host `{name}`")),
            };
        };
        let number = |part: &str, default| match part {
            "" => Ok(default),
            digits => digits.parse::<usize>().map_err(|_| wrong()),
        };
        let (from, to) = match range.map(|range| (range, range.split_once(':'))) {
            None => (0, members.len()),
            Some((_, Some((from, to)))) => (number(from, 0)?, number(to, members.len())?),
            Some((at, None)) => {
                let at = at.parse::<usize>().map_err(|_| wrong())?;
                (at, at.saturating_add(1))
            }
        };
        Ok(members.get(from..to.min(members.len())).unwrap_or_default().to_vec())
    }

    fn unknown(&self, text: &SourceText, why: &str) -> Diagnostic {
        let problem = Diagnostic::error("unknown-host", why, text.whole());
        let name = text.as_str().split('[').next().unwrap_or_default();
        match suggest(name, self.groups.keys().chain(self.hosts.keys()).map(String::as_str)) {
            Some(advice) => problem.help(advice),
            None => problem,
        }
    }
}

/// An absolute path without `.`, `..`, doubled slashes or a slash at its end.
pub(super) fn path(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = read::string(node, problems)?;
    let mut parts = text.split('/');
    let fits = parts.next() == Some("")
        && parts.all(|part| !matches!(part, "" | "." | ".."))
        && !text.contains('\0');
    if !fits {
        let message = format!("`{text}` is not an absolute path without `.`, `..` and doubled slashes");
        problems.push(Diagnostic::error("bad-path", message, node.span.clone()));
    }
    fits.then_some(text)
}

/// Permission bits as text in octal.
pub(super) fn mode(node: &Node, problems: &mut Problems) -> Option<u32> {
    let written = node.as_written().map(SourceText::as_str).unwrap_or_default();
    let mode = u32::from_str_radix(written, 8).ok().filter(|mode| *mode <= 0o7777 && written.len() >= 3);
    if mode.is_none() {
        let problem =
            Diagnostic::error("bad-mode", format!("`{written}` is no file mode"), node.span.clone());
        problems.push(problem.help("write it in octal, in quotes: \"0644\""));
    }
    mode
}

/// `uid:gid`.
pub(super) fn owner(node: &Node, problems: &mut Problems) -> Option<Owner> {
    let text = read::string(node, problems)?;
    let owner = text
        .split_once(':')
        .and_then(|(uid, gid)| Some(Owner { uid: uid.parse().ok()?, gid: gid.parse().ok()? }));
    if owner.is_none() {
        let problem = Diagnostic::error("bad-owner", format!("`{text}` is no owner"), node.span.clone());
        problems.push(problem.help("write numbers: \"0:0\""));
    }
    owner
}

/// `rsa-2048`, `ecdsa-p256` and so on, of those that can be made.
pub(super) fn key_kind(node: &Node, problems: &mut Problems) -> Option<KeyKind> {
    const WORDS: [&str; 6] = ["rsa-2048", "rsa-3072", "rsa-4096", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521"];
    read::enum_word(node, &WORDS, "kind of key", problems)?.parse().ok()
}

/// A duration with a sign, in seconds.
pub(super) fn offset(node: &Node, problems: &mut Problems) -> Option<i64> {
    if let NodeValue::Int(number) = node.value {
        let message = format!("`{number}` is no time from now");
        let problem = Diagnostic::error("bad-date", message, node.span.clone());
        problems.push(problem.help(format!("add the unit: {number}d, or {number}h")));
        return None;
    }
    let text = read::string(node, problems)?;
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    match duration::parse(rest) {
        Ok(duration) => i64::try_from(duration.as_secs()).ok().map(|seconds| sign * seconds),
        Err(_) => {
            let problem =
                Diagnostic::error("bad-date", format!("`{text}` is no time from now"), node.span.clone());
            problems.push(problem.help("write a duration with a sign, such as -30d or 10d"));
            None
        }
    }
}
