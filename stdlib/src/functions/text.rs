//! Texts and lists.

use super::{list_arg, text_arg};
use crate::support::files;
use keybook_api::Value;
use keybook_script::Function;
use std::net::IpAddr;

pub const SHA256: Function = Function {
    name: "sha256",
    params: &["text"],
    doc: "SHA-256 of a text's UTF-8 bytes.",
    returns: "Lower-case hexadecimal.",
    example: "sha256(\"abc\") == \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
    call: |args| Ok(files::sha256(text_arg(args, 0, "a string")?.as_bytes()).into()),
};

pub const BASENAME: Function = Function {
    name: "basename",
    params: &["path"],
    doc: "The last part of a path.",
    returns: "string",
    example: "\"/srv/kubernetes/etcd.pem\".basename() == \"etcd.pem\" && basename(\"etcd.pem\") == \"etcd.pem\"",
    call: |args| Ok(files::base(text_arg(args, 0, "a path")?).into()),
};

pub const DIRNAME: Function = Function {
    name: "dirname",
    params: &["path"],
    doc: "A path without its last part; `.` when it has only one.",
    returns: "string",
    example: "dirname(\"/srv/kubernetes/etcd.pem\") == \"/srv/kubernetes\" && dirname(\"/a\") == \"/\" && dirname(\"a\") == \".\"",
    call: |args| {
        let path = text_arg(args, 0, "a path")?;
        Ok(if path.contains('/') { files::parent(path) } else { "." }.into())
    },
};

pub const VERSION_AT_LEAST: Function = Function {
    name: "version_at_least",
    params: &["version", "minimum"],
    doc: "Compares two versions number by number; a missing number counts as 0. A `v` before and anything after the numbers (`-tos-final`, \
`-rc.1`, `+build`) is left out.",
    returns: "bool",
    example: "version_at_least(\"v2.1.0-tos-final-build-20220805-tdh\", \"1.9\") && !version_at_least(\"1.9\", \"1.10\") && \
version_at_least(\"1.19\", \"1.19.0\")",
    call: |args| {
        let version = numbers(text_arg(args, 0, "a version")?)?;
        let minimum = numbers(text_arg(args, 1, "a version")?)?;
        Ok((version >= minimum).into())
    },
};

pub const IS_IP: Function = Function {
    name: "is_ip",
    params: &["text"],
    doc: "Is the text an IPv4 or IPv6 address?",
    returns: "bool",
    example: "is_ip(\"10.0.0.1\") && is_ip(\"::1\") && !is_ip(\"10.0.0\") && !is_ip(\"a.example\")",
    call: |args| Ok(text_arg(args, 0, "a string")?.parse::<IpAddr>().is_ok().into()),
};

pub const UNIQUE: Function = Function {
    name: "unique",
    params: &["list"],
    doc: "A list with each value once, in the order of their first places.",
    returns: "list",
    example: "[2, 1, 2, \"a\", \"a\"].unique() == [2, 1, \"a\"]",
    call: |args| {
        let mut once: Vec<Value> = Vec::new();
        for value in list_arg(args, 0)? {
            if !once.contains(value) {
                once.push(value.clone());
            }
        }
        Ok(Value::List(once))
    },
};

pub const FLATTEN: Function = Function {
    name: "flatten",
    params: &["list"],
    doc: "A list whose items that are lists are replaced by what is in them, one level deep.",
    returns: "list",
    example: "[1, [2, [3]], []].flatten() == [1, 2, [3]]",
    call: |args| {
        let items = list_arg(args, 0)?.iter().flat_map(|item| match item {
            Value::List(inner) => inner.clone(),
            other => vec![other.clone()],
        });
        Ok(Value::List(items.collect()))
    },
};

/// The numbers of a version, without zeros at the end.
fn numbers(version: &str) -> Result<Vec<u64>, String> {
    let wrong = || format!("`{version}` is no version; versions begin with numbers, such as 1.19.3");
    let plain = version.trim().trim_start_matches(['v', 'V']);
    let end = plain.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(plain.len());
    let plain = plain.get(..end).unwrap_or_default().trim_end_matches('.');
    let mut numbers: Vec<u64> =
        plain.split('.').map(|part| part.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Ok(numbers)
}
