//! Names of runs, units and receipts.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The name of one run: the time it began (UTC) and four random hexadecimal digits,
/// for example `20230110-101532-9f3a`. Safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// Accepts a name of letters, digits, `-` and `_`, at most 64 characters; `None` for anything else.
    pub fn new(name: impl Into<String>) -> Option<Self> {
        let name = name.into();
        let fits = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then_some(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One unit of work: a step (by the path of ids that leads to it) on one host, for one item.
/// Written `outer/inner@host#item`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitId {
    /// The ids of the enclosing steps and of the step, joined by `/`.
    pub step: String,
    /// The inventory name of the host; `local` for steps without hosts.
    pub host: String,
    /// The item of `for_each`, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
}

impl UnitId {
    /// Reads `step@host#item` back; `None` when there is no `@`.
    pub fn parse(text: &str) -> Option<Self> {
        let (step, rest) = text.split_once('@')?;
        let (host, item) = match rest.split_once('#') {
            Some((host, item)) => (host, Some(item.to_owned())),
            None => (rest, None),
        };
        (!step.is_empty() && !host.is_empty()).then(|| Self {
            step: step.to_owned(),
            host: host.to_owned(),
            item,
        })
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.step, self.host)?;
        match &self.item {
            Some(item) => write!(f, "#{item}"),
            None => Ok(()),
        }
    }
}

/// Names the receipt that one command leaves on its host.
/// The file is `<state>/<run>/receipts/<name>` (see [`ReceiptId::file_name`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReceiptId {
    /// The run.
    pub run: RunId,
    /// The unit that ran the command.
    pub unit: UnitId,
    /// The unit's attempt, from 1.
    pub attempt: u32,
    /// The command's place among the attempt's commands, from 0.
    pub ordinal: u32,
}

impl ReceiptId {
    /// A file name without `/`, spaces or a leading dot: every byte of the unit's name outside
    /// `[A-Za-z0-9._-]` is written as `%XX`.
    pub fn file_name(&self) -> String {
        let mut name = String::from("u-");
        for byte in self.unit.to_string().bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
                name.push(char::from(byte));
            } else {
                name.push_str(&format!("%{byte:02X}"));
            }
        }
        format!("{name}.{}.{}", self.attempt, self.ordinal)
    }
}

/// The path of a step in the runbook behind a unit's path: `finally-2/x` is `finally/x`, and
/// `rollback/install/bounce/stop` (the settling of `install`'s obligation) is `bounce/stop`.
pub fn canonical(path: &str) -> String {
    if let Some(rest) = path.strip_prefix("rollback/") {
        // The part after the restored step's name, which has no slash of its own here (slashes become `.`).
        return rest.split_once('/').map_or_else(String::new, |(_, settling)| canonical(settling));
    }
    match path.split_once('/') {
        Some((first, rest)) if first.starts_with("finally-") => format!("finally/{rest}"),
        _ => path.to_owned(),
    }
}

/// The paths of the steps around a step, the outermost first, and its own.
pub fn steps_to(path: &str) -> impl DoubleEndedIterator<Item = &str> + Clone {
    path.match_indices('/').filter_map(|(end, _)| path.get(..end)).chain([path])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_ids_read_back_as_written() {
        for text in ["bounce/stop@cp-1", "install@m1#etcd.pem", "x@local"] {
            assert_eq!(UnitId::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(UnitId::parse("nohost"), None);
        assert_eq!(UnitId::parse("@h"), None);
    }

    #[test]
    fn run_ids_are_safe_file_names() {
        assert!(RunId::new("20230110-101532-9f3a").is_some());
        for bad in ["", "../x", "a/b", "a b", "a\nb"] {
            assert!(RunId::new(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn receipt_names_have_no_separator() {
        let id = ReceiptId {
            run: RunId::new("r").unwrap(),
            unit: UnitId::parse("a/b@h#x y").unwrap(),
            attempt: 2,
            ordinal: 0,
        };
        assert_eq!(id.file_name(), "u-a%2Fb%40h%23x%20y.2.0");
    }

    #[test]
    fn unit_paths_lead_back_to_their_step() {
        assert_eq!(canonical("a/b"), "a/b");
        assert_eq!(canonical("finally-3/b/c"), "finally/b/c");
        assert_eq!(canonical("rollback/install.put/bounce/stop"), "bounce/stop");
    }
}
