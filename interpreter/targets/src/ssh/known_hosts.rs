//! known_hosts files, as sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT" describes them: plain and hashed names, wildcards
//! and negation, `[host]:port`, `@revoked` and `@cert-authority`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{HashAlg, PublicKey};
use sha1::Sha1;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// SSH's own port; names of hosts behind another are written `[host]:port`.
pub(crate) const SSH_PORT: u16 = 22;

/// What a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The host has this key.
    HostKey,
    /// Certificates that this key signed are good for the host.
    Authority,
    /// This key is not to be trusted.
    Revoked,
}

/// One line of a file.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its file.
    pub file: PathBuf,
    /// From 1.
    pub number: usize,
    /// What it is for.
    pub purpose: Purpose,
    names: String,
    /// The key.
    pub key: PublicKey,
}

/// `file:line`, where the operator looks.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.number)
    }
}

/// The lines of several files.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    lines: Vec<Line>,
}

impl KnownHosts {
    /// Reads the files. A file that does not exist holds nothing; lines that cannot be read are skipped, as
    /// ssh(1) does.
    ///
    /// # Errors
    /// A file that is there and cannot be read, with its path.
    pub fn load(files: &[PathBuf]) -> Result<Self, (PathBuf, io::Error)> {
        let mut known = Self::default();
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => known.add(file, &String::from_utf8_lossy(&bytes)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err((file.clone(), e)),
            }
        }
        Ok(known)
    }

    /// Reads the text of a file; lines that cannot be read are skipped, as ssh(1) does.
    pub fn parse(file: &Path, text: &str) -> Self {
        let mut known = Self::default();
        known.add(file, text);
        known
    }

    fn add(&mut self, file: &Path, text: &str) {
        for (index, line) in text.lines().enumerate() {
            if let Some((purpose, names, key)) = parse_line(line) {
                let (file, number) = (file.to_owned(), index + 1);
                self.lines.push(Line { file, number, purpose, names, key });
            }
        }
    }

    /// The lines that name the host at this port.
    pub fn matching(&self, host: &str, port: u16) -> Vec<&Line> {
        let name = entry_name(host, port);
        self.lines.iter().filter(|line| names_match(&line.names, &name)).collect()
    }
}

fn parse_line(line: &str) -> Option<(Purpose, String, PublicKey)> {
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let mut first = words.next().filter(|word| !word.starts_with('#'))?;
    let purpose = match first {
        "@cert-authority" => Purpose::Authority,
        "@revoked" => Purpose::Revoked,
        marker if marker.starts_with('@') => return None,
        _ => Purpose::HostKey,
    };
    if purpose != Purpose::HostKey {
        first = words.next()?;
    }
    let key_type = words.next()?;
    let key = PublicKey::from_bytes(&BASE64.decode(words.next()?).ok()?).ok()?;
    (key.algorithm().as_str() == key_type).then(|| (purpose, first.to_owned(), key))
}

/// How a host is named in these files.
pub(crate) fn entry_name(host: &str, port: u16) -> String {
    let host = host.to_lowercase();
    if port == SSH_PORT { host } else { format!("[{host}]:{port}") }
}

fn names_match(names: &str, name: &str) -> bool {
    if let Some(hashed) = names.strip_prefix("|1|") {
        return hash_matches(hashed, name).unwrap_or(false);
    }
    patterns_match(names.split(','), name)
}

/// True when a pattern matches and no negated one (`!pattern`) does.
pub(crate) fn patterns_match<'p>(patterns: impl Iterator<Item = &'p str>, name: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if wildcard(&negated.to_lowercase(), name) => return false,
            Some(_) => {}
            None => found |= wildcard(&pattern.to_lowercase(), name),
        }
    }
    found
}

/// `salt|hash`, both in base64: HMAC-SHA1 of the name, keyed by the salt.
fn hash_matches(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&BASE64.decode(salt).ok()?).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&BASE64.decode(hash).ok()?).is_ok())
}

/// `*` is any text, `?` any one character. Steps back to the last `*` only, so it takes no more than the
/// product of both lengths.
fn wildcard(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || Some(c) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// `SHA256:…`, as ssh-keygen -l shows it.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// The line that makes the host known.
pub(crate) fn line_for(host: &str, port: u16, key: &PublicKey) -> String {
    let blob = BASE64.encode(key.to_bytes().unwrap_or_default());
    format!("{} {} {blob}", entry_name(host, port), key.algorithm().as_str())
}

/// Appends a line to a file, which is made (0600, its directory 0700) when missing.
pub(crate) fn append(file: &Path, line: &str) -> io::Result<()> {
    if let Some(directory) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut file = std::fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(file)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    let start = if last == [b'\n'] { "" } else { "\n" };
    // One write, so that two that append at once do not mix.
    file.write_all(format!("{start}{line}\n").as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
