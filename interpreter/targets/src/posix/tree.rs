//! Everything below some paths, as backups and comparisons need it.

use super::exec::Job;
use super::files::{bare, not_utf8, parse_stat};
use super::output::Capture;
use super::shell::RawShell;
use super::{PosixTarget, TREE_LIMIT, scripts};
use keybook_api::{Fault, FileKind, TreeEntry};
use std::collections::BTreeMap;

/// More than any tree that a runbook backs up prints.
const LARGEST: usize = 256 << 20;

pub(super) async fn tree<S: RawShell>(
    target: &PosixTarget<S>,
    paths: &[String],
) -> Result<Vec<TreeEntry>, Fault> {
    let attempted = format!("read the trees {}", paths.join(", "));
    let paths = paths.iter().map(|path| target.path(&attempted, path)).collect::<Result<Vec<_>, _>>()?;
    let outcome = target
        .script(&attempted, scripts::TREE, &paths, |job| Job {
            stdout: Capture::beginning(LARGEST),
            timeout: Some(TREE_LIMIT),
            ..bare(job)
        })
        .await?;
    if outcome.status != 0 {
        return Err(target.failure(&attempted, &outcome));
    }
    if outcome.stdout.truncated() {
        return Err(target.unreadable(&attempted, "the tree is too large"));
    }
    let bytes = outcome.stdout.into_bytes();
    let entries = parse(&bytes).map_err(|error| match error {
        Unreadable::NotUtf8(name) => not_utf8(target, &attempted, &name),
        Unreadable::Other(what) => target.unreadable(&attempted, what),
    })?;
    // A file without a hash was gone before it could be read.
    let there = |entry: &TreeEntry| entry.stat.kind != FileKind::File || !entry.sha256.is_empty();
    Ok(entries.into_values().filter(there).collect())
}

#[derive(Debug)]
enum Unreadable {
    NotUtf8(Vec<u8>),
    Other(&'static str),
}

/// A path that was asked for, and where it is on the machine.
#[derive(Default)]
struct Start {
    path: String,
    place: Vec<u8>,
}

impl Start {
    /// The path on the host of a place on the machine.
    fn path_of(&self, place: &[u8]) -> Result<String, Unreadable> {
        let below = place.strip_prefix(self.place.as_slice()).ok_or(Unreadable::Other("a path outside"))?;
        let below = text(below)?;
        Ok(self.join(below.trim_start_matches('/')))
    }

    fn join(&self, below: &str) -> String {
        if below.is_empty() {
            self.path.clone()
        } else {
            format!("{}/{below}", self.path.trim_end_matches('/'))
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|_| Unreadable::NotUtf8(bytes.to_vec()))
}

/// Reads what scripts/tree.sh prints.
fn parse(bytes: &[u8]) -> Result<BTreeMap<String, TreeEntry>, Unreadable> {
    let mut fields = bytes.split(|b| *b == 0);
    let mut entries: BTreeMap<String, TreeEntry> = BTreeMap::new();
    let mut start = Start::default();
    while let Some(field) = fields.next() {
        match field {
            b"P" => {
                start.path = text(fields.next().unwrap_or_default())?.to_owned();
                start.place = fields.next().unwrap_or_default().to_vec();
            }
            b"E" => {
                let entry = entry(&start, &mut fields)?;
                entries.insert(entry.path.clone(), entry);
            }
            b"H" => hashes(&start, fields.next().unwrap_or_default(), &mut entries)?,
            b"A" => acls(&start, fields.next().unwrap_or_default(), &mut entries)?,
            b"" => {}
            _ => return Err(Unreadable::Other("an unknown field")),
        }
    }
    Ok(entries)
}

fn entry<'b>(start: &Start, fields: &mut impl Iterator<Item = &'b [u8]>) -> Result<TreeEntry, Unreadable> {
    let mut parts: Vec<&[u8]> = fields.take(9).collect();
    let below = text(parts.pop().unwrap_or_default())?;
    let selinux = text(parts.pop().unwrap_or_default())?.to_owned();
    if let Some(link) = parts.last() {
        text(link)?;
    }
    let stat = parse_stat(&mut parts.into_iter()).ok_or(Unreadable::Other("an entry"))?;
    Ok(TreeEntry { path: start.join(below), stat, sha256: String::new(), selinux, acl: String::new() })
}

/// Reads sha256sum's lines. A line for a name with a backslash or a line break begins with a backslash and
/// has them escaped.
fn hashes(start: &Start, lines: &[u8], entries: &mut BTreeMap<String, TreeEntry>) -> Result<(), Unreadable> {
    for line in lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let (line, escaped) = match line.strip_prefix(b"\\") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let (hash, place) = line.split_at_checked(66).ok_or(Unreadable::Other("a hash"))?;
        let hash = text(hash)?.trim_end_matches([' ', '*']);
        let place = if escaped { unescape(place) } else { place.to_vec() };
        let path = start.path_of(&place)?;
        // A file that appeared between listing and hashing has no entry.
        if let Some(entry) = entries.get_mut(&path) {
            entry.sha256 = hash.to_owned();
        }
    }
    Ok(())
}

/// Reads getfacl's blocks: a line `# file: NAME` (odd bytes as a backslash and three octal digits), then the rest.
fn acls(start: &Start, blocks: &[u8], entries: &mut BTreeMap<String, TreeEntry>) -> Result<(), Unreadable> {
    let blocks = text(blocks)?;
    for block in blocks.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let (name, acl) = block
            .trim_start_matches('\n')
            .strip_prefix("# file: ")
            .and_then(|block| block.split_once('\n'))
            .ok_or(Unreadable::Other("an ACL"))?;
        let path = start.path_of(&unescape(name.as_bytes()))?;
        if let Some(entry) = entries.get_mut(&path) {
            entry.acl = acl.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        }
    }
    Ok(())
}

/// Undoes `\\`, `\n`, `\r` and `\ooo`.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let octal = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match (octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()), rest.split_first()) {
            (Some(byte), _) => {
                out.push(byte);
                rest = rest.get(3..).unwrap_or_default();
            }
            (None, Some((letter, after))) => {
                out.push(match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    other => *other,
                });
                rest = after;
            }
            (None, None) => out.push(b'\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_escapes_read_back() {
        assert_eq!(unescape(br"a\040b\\c\nd\"), b"a b\\c\nd\\");
    }

    /// As getfacl 2.3 prints them (`getfacl -R -P -n -p -s`).
    #[test]
    fn acls_find_their_entries() {
        let listing = b"P\0/etc\0/root/etc\0\
            E\0d\x00755\x000\x000\x004096\x001.5\0\0\0\0\
            E\0f\x00640\x000\x000\x001\x002.5\0\0\0a b\0\
            H\0\0A\0# file: /root/etc/a\\040b\n# owner: 0\n# group: 0\nuser::rw-\nuser:1000:r--\ngroup::r--\n\
            mask::r--\nother::---\n\n\0";
        let entries = parse(listing).unwrap();
        assert_eq!(entries["/etc"].acl, "");
        assert_eq!(entries["/etc/a b"].acl, "user::rw-\nuser:1000:r--\ngroup::r--\nmask::r--\nother::---");
        assert_eq!(entries["/etc/a b"].stat.mode, 0o640);
    }
}
