//! The schema of `trust:`.

use super::{named, object, one_or_more, text};
use serde_json::{Value, json};

/// The keys of `trust`.
pub(super) fn keys() -> Value {
    let hosts = one_or_more(&json!({ "type": "string" }));
    let bundle = json!({ "oneOf": [
        object(&["file"], json!({ "file": text("A PEM file; every certificate in it is trusted.") })),
        object(&["kubeconfig"], json!({ "kubeconfig": text("A kubeconfig with certificate-authority-data.") })),
    ] });
    let reads = json!({ "enum": ["each-time", "at-start"], "description": "When it reads its files." });
    let server = object(
        &["on", "port", "cert"],
        json!({
            "on": hosts,
            "address": text("Where its clients reach it; the host's own address when absent."),
            "port": { "type": ["integer", "string"] },
            "server_name": text("The name that its certificate must have; the address when absent."),
            "cert": text("The PEM file with its certificate."),
            "clients": text("The bundle that it verifies its clients with."),
            "reads": reads,
            "started": { "$ref": "#/$defs/call" },
        }),
    );
    let client = object(
        &["on", "uses", "trusts"],
        json!({
            "on": hosts,
            "uses": { "type": "array", "items": { "type": "string" }, "description": "The servers it connects to." },
            "trusts": text("The bundle that it verifies them with."),
            "cert": text("The PEM file with its own certificate."),
            "key": text("The file with its key."),
            "reads": reads,
            "started": { "$ref": "#/$defs/call" },
        }),
    );
    let keys = json!({ "bundles": named(bundle), "servers": named(server), "clients": named(client) });
    object(&["servers", "clients"], keys)
}
