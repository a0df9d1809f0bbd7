//! The schema of `trust:`.

use super::{named, object, one_or_more_texts, text};
use serde_json::{Value, json};

/// The keys of `trust`.
pub(super) fn keys() -> Value {
    let hosts = one_or_more_texts("The hosts that it is on, as under `hosts` of a step.");
    let started = json!({
        "$ref": "#/$defs/call",
        "description": "A reading that tells when its process began, so that what it holds can be told from its files: its result is the second since 1970, or a map with that as `started` or `stdout`.",
    });
    let bundle = json!({ "oneOf": [
        object(&["file"], json!({ "file": text("A PEM file; every certificate in it is trusted.") })),
        object(&["kubeconfig"], json!({ "kubeconfig": text("A kubeconfig; the CAs of its current context's cluster are trusted.") })),
        object(&["named_in", "after"], json!({
            "named_in": text("A file that names the PEM file, such as a static pod's manifest or the kubelet's configuration."),
            "after": text("What stands right before the path in it, such as `--client-ca-file=`."),
        })),
    ] });
    let reads = json!({ "enum": ["each-time", "at-start"], "description": "When it reads its files." });
    let server = object(
        &["on", "port", "cert"],
        json!({
            "on": hosts,
            "address": text("Where its clients reach it; the host's own address when absent."),
            "port": { "type": ["integer", "string"], "description": "The port that it listens on; may be a template." },
            "server_name": text("The name that its certificate must have; the address when absent."),
            "cert": text("The PEM file with its certificate."),
            "key": text("The file with its key; an edge is broken when it does not fit the certificate."),
            "clients": text("The bundle that it verifies its clients with."),
            "reads": reads,
            "started": started,
        }),
    );
    let client = object(
        &["on", "uses", "trusts"],
        json!({
            "on": hosts,
            "uses": { "type": "array", "items": { "type": "string" }, "description": "The servers it connects to." },
            "trusts": text("The bundle that it verifies them with."),
            "cert": text("The PEM file with its own certificate."),
            "key": text("The file with its key; an edge is broken when it does not fit the certificate."),
            "reads": reads,
            "started": started,
        }),
    );
    let keys = json!({ "bundles": named("The certificates that somebody trusts, by name.", bundle), "servers": named("What serves TLS, by name.", server), "clients": named("What connects to them, by name.", client) });
    object(&["servers", "clients"], keys)
}
