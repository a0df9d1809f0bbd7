//! The functions that a scenario's answers can call besides those of expressions. Where `on_host` holds, a first
//! argument more names another host of the sandbox.

mod calls;
mod tls;

use super::world::Sandbox;
use calls::Call;
use keybook_api::Value;
use keybook_script::NativeFn;
use std::sync::Arc;

/// One function, for the book.
#[derive(Clone, Copy, Debug)]
pub struct NativeDoc {
    /// Its name.
    pub name: &'static str,
    /// The names of its parameters.
    pub params: &'static [&'static str],
    /// It also takes a host's name before them.
    pub on_host: bool,
    /// What it does and returns.
    pub doc: &'static str,
}

type Body = fn(&Call, &[Value]) -> Result<Value, String>;

/// Every function.
pub fn all() -> impl Iterator<Item = NativeDoc> {
    TABLE.iter().map(|(doc, _)| *doc)
}

const fn on_host(name: &'static str, params: &'static [&'static str], doc: &'static str) -> NativeDoc {
    NativeDoc { name, params, on_host: true, doc }
}

const fn plain(name: &'static str, params: &'static [&'static str], doc: &'static str) -> NativeDoc {
    NativeDoc { name, params, on_host: false, doc }
}

const TABLE: [(NativeDoc, Body); 12] = [
    (
        on_host("file_exists", &["path"], "Is anything at this absolute path (links followed)?"),
        calls::file_exists,
    ),
    (
        on_host("file_read", &["path"], "The text of a file, links followed. An error when there is none."),
        calls::file_read,
    ),
    (
        on_host(
            "file_write",
            &["path", "text"],
            "Replaces or creates a file, at once; a new one has mode 0644.",
        ),
        calls::file_write,
    ),
    (
        on_host("file_remove", &["path"], "Removes a file or link. Fine when there is nothing."),
        calls::file_remove,
    ),
    (
        on_host("file_list", &["path"], "The names in a directory, sorted. An error when there is none."),
        calls::file_list,
    ),
    (
        on_host(
            "daemon",
            &["name"],
            "A daemon of the scenario: a map with `host`, `name`, `running`, `id` (64 hexadecimal digits, new at each start), \
`starts`, `age` (seconds since its start), `port` (or null), `error` (why it does not run, or null) and `loaded`, the \
texts that it read at its start: `certificate`, `client_ca` and the names under `reads`, never the key.",
        ),
        calls::daemon,
    ),
    (on_host("daemons", &[], "All daemons of the host, as `daemon` gives them."), calls::daemons),
    (
        on_host(
            "state_get",
            &["key"],
            "A value that `state_set` kept for the host; null when there is none.",
        ),
        calls::state_get,
    ),
    (on_host("state_set", &["key", "value"], "Keeps a value for the host, on the disk."), calls::state_set),
    (
        plain(
            "tls_dial",
            &["address", "port", "ca", "certificate", "key"],
            "Would a TLS client on this host, with these three files, reach the daemon there? Null when it would, else the \
reason in Go's words. Both sides are judged: the server's certificate by the client's CA, dates and name, the \
client's by the daemon's `client_ca`.",
        ),
        tls::dial,
    ),
    (
        plain(
            "trusted",
            &["certificate", "ca", "usage"],
            "Does the first certificate of a PEM text verify against the CAs of another, now, as a `server` or a `client`?",
        ),
        tls::trusted,
    ),
    (
        plain(
            "option",
            &["argv", "name"],
            "The value of an option: what follows `--name=`, or the word after `--name`; null when it is not given.",
        ),
        calls::option,
    ),
];

/// Names and numbers of arguments, for checking a script.
pub(crate) fn arities() -> Vec<(&'static str, usize)> {
    TABLE.iter().flat_map(|(doc, _)| forms(doc).map(|(arity, _)| (doc.name, arity))).collect()
}

/// The functions for one answer on a host. The caller holds the sandbox's lock until the answer is there.
pub(crate) fn natives(sandbox: &Arc<Sandbox>, host: &str) -> Vec<NativeFn> {
    let form = |(doc, body): &(NativeDoc, Body)| {
        let (name, body) = (doc.name, *body);
        forms(doc)
            .map(|(arity, elsewhere)| {
                let own = Call { sandbox: sandbox.clone(), host: host.to_owned() };
                NativeFn::new(name, arity, move |args| match args.split_first().filter(|_| elsewhere) {
                    Some((other, rest)) => body(&own.on(other)?, rest),
                    None => body(&own, args),
                })
            })
            .collect::<Vec<_>>()
    };
    TABLE.iter().flat_map(form).collect()
}

/// The numbers of arguments, and whether the first names a host.
fn forms(doc: &NativeDoc) -> impl Iterator<Item = (usize, bool)> + use<> {
    let count = doc.params.len();
    std::iter::once((count, false)).chain(doc.on_host.then_some((count + 1, true)))
}
