//! The schemas of what says which hosts there are: the inventory, and a runbook's groups.

use super::{document, object, one_or_more_texts, text, version, words};
use serde_json::{Value, json};

/// The keys of a group that a runbook needs.
pub(super) fn group() -> Value {
    let count = |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    let mut least = count("The smallest number of hosts.");
    least["default"] = 1.into();
    object(
        &[],
        json!({
            "min": least,
            "max": count("The largest number of hosts; any number when absent."),
            "exactly": count("The number of hosts, in the place of `min` and `max`."),
            "help": text("Which hosts they are."),
            "tools": words("Programs that preflight must find on each of them."),
            "free_mib": { "type": "integer", "minimum": 0, "default": 64, "description": "Free space that preflight must find where backups are kept, in MiB." },
            "replaceable": { "type": "boolean", "default": false, "description": "The runbook itself replaces these hosts: one that is gone later is no surprise." },
        }),
    )
}

/// The schema of an inventory.
pub(super) fn inventory() -> Value {
    let host = object(
        &[],
        json!({
            "address": text("Name or address; the host's own name when absent."),
            "user": text("The login; that of `~/.ssh/config`, else yours, when absent."),
            "port": { "type": "integer", "minimum": 1, "maximum": 65535, "default": 22, "description": "The port of its SSH server." },
            "key": text("The file with the login's private key; relative to the inventory."),
            "known_hosts": one_or_more_texts("Files with host keys, relative to the inventory, in the place of `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`."),
            "via": text("Another host of the inventory to jump through."),
            "password": text("The secret input that is the login's password."),
            "passphrase": text("The secret input that is the key's passphrase."),
            "sudo": { "type": "boolean", "default": false, "description": "Everything is done through `sudo`, which must ask for no password." },
            "local": { "type": "boolean", "default": false, "description": "This machine: no connection is made." },
            "connect_timeout": { "type": "string", "default": "20s", "description": "How long connecting and logging in may take." },
        }),
    );
    let hosts =
        json!({ "type": "object", "additionalProperties": host, "description": "The hosts, by name." });
    let groups = json!({
        "type": "object",
        "additionalProperties": { "type": "array", "items": { "type": "string" } },
        "description": "Names of hosts by group, in order. A host may be in several.",
    });
    let keys = json!({
        "keybook": version(),
        "cluster": text("The cluster's name: one run at a time holds it."),
        "hosts": hosts,
        "groups": groups,
    });
    document("inventory", "A Keybook inventory", object(&["keybook", "cluster", "hosts"], keys))
}
