//! The part of ~/.ssh/config that is honoured: `Host`, `HostName`, `Port`, `User`, `IdentityFile`,
//! `IdentitiesOnly`, `ProxyJump` and `Include` (ssh_config(5)). `Match` blocks other than `Match all` are passed
//! over; other keywords mean nothing here. The first value found wins, except that identity files add up.

use super::known_hosts::patterns_match;
use std::path::{Path, PathBuf};

/// How deep `Include` may nest.
const DEPTH: usize = 8;

/// What the file says of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostConfig {
    pub host_name: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub identity_files: Vec<String>,
    pub identities_only: Option<bool>,
    pub proxy_jump: Option<String>,
}

/// Where a file's relative and `~` paths lead.
pub(crate) struct Reader<'a> {
    pub home: &'a Path,
}

impl Reader<'_> {
    /// Looks the host up in ~/.ssh/config.
    ///
    /// # Errors
    /// The file and line of a value that cannot be read.
    pub fn look_up(&self, host: &str) -> Result<HostConfig, String> {
        let mut found = HostConfig::default();
        self.file(&self.home.join(".ssh/config"), host, &mut found, 0)?;
        Ok(found)
    }

    fn file(&self, path: &Path, host: &str, found: &mut HostConfig, depth: usize) -> Result<(), String> {
        let Ok(bytes) = std::fs::read(path) else { return Ok(()) };
        if depth > DEPTH {
            return Err(format!("{}: Include goes too deep", path.display()));
        }
        let mut applies = true;
        for (index, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            let Some((keyword, values)) = split(line) else { continue };
            let at = || format!("{}:{}", path.display(), index + 1);
            match keyword.as_str() {
                "host" => applies = patterns_match(values.iter().map(String::as_str), &host.to_lowercase()),
                "match" => applies = values == ["all"],
                _ if !applies => {}
                "include" => {
                    for file in values.iter().flat_map(|value| self.included(value)) {
                        self.file(&file, host, found, depth + 1)?;
                    }
                }
                _ => found.set(&keyword, &values).map_err(|why| format!("{}: {why}", at()))?,
            }
        }
        Ok(())
    }

    /// The files that an `Include` names; wildcards only in the last part.
    fn included(&self, value: &str) -> Vec<PathBuf> {
        let path = match value.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => self.home.join(".ssh").join(value),
        };
        let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
            return Vec::new();
        };
        if !name.contains(['*', '?']) {
            return vec![path];
        }
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .filter(|entry| {
                entry.file_name().to_str().is_some_and(|file| patterns_match(std::iter::once(name), file))
            })
            .map(|entry| entry.path())
            .collect();
        files.sort();
        files
    }
}

impl HostConfig {
    fn set(&mut self, keyword: &str, values: &[String]) -> Result<(), String> {
        let Some(value) = values.first().cloned() else { return Ok(()) };
        match keyword {
            "hostname" => {
                self.host_name.get_or_insert(value);
            }
            "user" => {
                self.user.get_or_insert(value);
            }
            "port" => {
                let port = value.parse().map_err(|_| format!("`{value}` is not a port"))?;
                self.port.get_or_insert(port);
            }
            "identityfile" => self.identity_files.push(value),
            "identitiesonly" => {
                self.identities_only.get_or_insert(value.eq_ignore_ascii_case("yes"));
            }
            "proxyjump" => {
                self.proxy_jump.get_or_insert(value);
            }
            _ => {}
        }
        Ok(())
    }
}

/// `Keyword value "quoted value"` or `Keyword=value`; the keyword in lower case.
fn split(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=')?;
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let (mut values, mut value, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in rest.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                any = true;
            }
            c if c.is_whitespace() && !quoted => {
                if any {
                    values.push(std::mem::take(&mut value));
                }
                any = false;
            }
            c => {
                value.push(c);
                any = true;
            }
        }
    }
    if any {
        values.push(value);
    }
    Some((keyword.to_lowercase(), values))
}

/// Fills in `%h`, `%r`, `%u`, `%d`, `%%` and a leading `~/`.
pub(crate) fn expand(text: &str, home: &Path, host: &str, user: &str, login: &str) -> PathBuf {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('h') => out.push_str(host),
            Some('r') => out.push_str(user),
            Some('u') => out.push_str(login),
            Some('d') => out.push_str(&home.to_string_lossy()),
            Some('%') => out.push('%'),
            Some(other) => out.extend(['%', other]),
            None => out.push('%'),
        }
    }
    match out.strip_prefix("~/") {
        Some(rest) => home.join(rest),
        None => home.join(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(files: &[(&str, &str)], host: &str) -> Result<HostConfig, String> {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = home.path().join(".ssh").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Reader { home: home.path() }.look_up(host)
    }

    const CONFIG: &str = "# mine\nHost node-* !node-9\n  HostName=10.0.0.1\n  Port 2222\n\tuser ops\n\
        IdentityFile \"~/.ssh/a key\"\nHost *\n  User nobody\n  IdentityFile ~/.ssh/id_%h\n  ProxyJump jump:2200\n\
        Match host node-1\n  Port 1\nMatch all\n  IdentitiesOnly yes\n";

    #[test]
    fn the_first_value_wins_and_identities_add_up() {
        let found = look_up(&[("config", CONFIG)], "Node-1").unwrap();
        let expected = HostConfig {
            host_name: Some("10.0.0.1".into()),
            port: Some(2222),
            user: Some("ops".into()),
            identity_files: vec!["~/.ssh/a key".into(), "~/.ssh/id_%h".into()],
            identities_only: Some(true),
            proxy_jump: Some("jump:2200".into()),
        };
        assert_eq!(found, expected);
        let negated = look_up(&[("config", CONFIG)], "node-9").unwrap();
        assert_eq!((negated.host_name, negated.user.as_deref()), (None, Some("nobody")));
    }

    #[test]
    fn includes_are_read_where_they_stand() {
        let files = [
            ("config", "Include conf.d/*.conf\nHost *\n User last\n"),
            ("conf.d/10.conf", "Host a\nUser first\n"),
            ("conf.d/20.txt", "User never\n"),
            ("loop", "Include loop\n"),
        ];
        assert_eq!(look_up(&files, "a").unwrap().user.as_deref(), Some("first"));
        assert_eq!(look_up(&files, "b").unwrap().user.as_deref(), Some("last"));
        assert!(look_up(&[("config", "Include config\n")], "a").unwrap_err().contains("too deep"));
    }

    #[test]
    fn a_bad_value_is_located_and_no_file_is_fine() {
        assert!(
            look_up(&[("config", "Host a\nPort x\n")], "a")
                .unwrap_err()
                .ends_with("config:2: `x` is not a port")
        );
        assert_eq!(look_up(&[], "a").unwrap(), HostConfig::default());
    }

    #[test]
    fn tokens_are_filled_in() {
        let path = |text| expand(text, Path::new("/home/me"), "h", "r", "me");
        assert_eq!(path("~/.ssh/%h-%r-%u-%%"), Path::new("/home/me/.ssh/h-r-me-%"));
        assert_eq!(path("%d/k"), Path::new("/home/me/k"));
        assert_eq!(path("/abs/%x"), Path::new("/abs/%x"));
    }
}
