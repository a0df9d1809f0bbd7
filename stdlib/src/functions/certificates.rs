//! Comparing certificates.

use super::{arg, dates::date};
use keybook_api::Value;
use keybook_pki::{Certificate, Usage, sans_missing, verify};
use keybook_script::Function;

pub const VERIFIES: Function = Function {
    name: "verifies",
    params: &["ca", "leaf"],
    doc: "Does the certificate chain to the CA, or to one of a list or PEM text of CAs, by names, key identifiers and signature? Of the \
dates only this counts: both must be valid at the later of their beginnings, so that an expired certificate is told apart from one of \
another key. `ca` and `leaf` are certificate maps or PEM texts.",
    returns: "bool",
    example: "new_ca.verifies(leaf) && !verifies(other_ca, leaf) && verifies([other_ca, new_ca], leaf)",
    call: |args| {
        let leaf = one(arg(args, 1))?;
        let verifies = |ca: &Certificate| {
            let at = ca.not_before().max(leaf.not_before());
            verify(&leaf, &[], std::slice::from_ref(ca), at, Usage::Any).is_ok()
        };
        Ok(every(arg(args, 0))?.iter().any(verifies).into())
    },
};

pub const VERIFIES_AT: Function = Function {
    name: "verifies_at",
    params: &["ca", "leaf", "date"],
    doc: "Like `verifies`, with everything valid at this time (RFC 3339 text).",
    returns: "bool",
    example: "new_ca.verifies_at(leaf, leaf.not_before) && !new_ca.verifies_at(leaf, \"9999-01-01T00:00:00Z\")",
    call: |args| {
        let at = date(arg(args, 2))?;
        let (roots, leaf) = (every(arg(args, 0))?, one(arg(args, 1))?);
        Ok(verify(&leaf, &[], &roots, at, Usage::Any).is_ok().into())
    },
};

pub const COVERS: Function = Function {
    name: "covers",
    params: &["new", "old"],
    doc: "Does the new certificate have every subject alternative name of the old one?",
    returns: "bool",
    example: "leaf.covers(leaf) && leaf.covers(new_ca) && !new_ca.covers(leaf)",
    call: |args| Ok(sans_missing(&one(arg(args, 0))?, &one(arg(args, 1))?).is_empty().into()),
};

pub const SANS_MISSING: Function = Function {
    name: "sans_missing",
    params: &["new", "old"],
    doc: "The subject alternative names of the old certificate that the new one lacks.",
    returns: "A list of texts such as `DNS:a.example` and `IP:10.0.0.1`.",
    example: "new_ca.sans_missing(leaf) == leaf.sans && leaf.sans_missing(leaf) == []",
    call: |args| Ok(sans_missing(&one(arg(args, 0))?, &one(arg(args, 1))?).into()),
};

pub const SAME_KEY: Function = Function {
    name: "same_key",
    params: &["a", "b"],
    doc: "Do two certificates have the same public key?",
    returns: "bool",
    example: "old_ca.same_key(new_ca) && !old_ca.same_key(other_ca)",
    call: |args| Ok((one(arg(args, 0))?.spki_sha256() == one(arg(args, 1))?.spki_sha256()).into()),
};

pub const CERTIFICATE: Function = Function {
    name: "certificate",
    params: &["pem"],
    doc: "What the one certificate of a PEM text says: the map that the action x509.read gives, without `path`.",
    returns: "A certificate map.",
    example: "certificate(leaf.pem).not_after == leaf.not_after && certificate(new_ca.pem).is_ca",
    call: |args| Ok(one(arg(args, 0))?.to_value()),
};

/// One certificate: a map or PEM text.
pub fn one(value: &Value) -> Result<Certificate, String> {
    match value {
        Value::Text(pem) => Certificate::one_pem(pem.as_bytes()),
        other => Certificate::from_value(other),
    }
    .map_err(|error| error.to_string())
}

/// One or more certificates: a map, PEM text, or a list of these; never none.
fn every(value: &Value) -> Result<Vec<Certificate>, String> {
    match value {
        Value::List(list) if list.is_empty() => Err("the list of CAs is empty".to_owned()),
        Value::List(list) => list.iter().map(one).collect(),
        Value::Text(pem) => Certificate::load_all_pem(pem.as_bytes()).map_err(|error| error.to_string()),
        other => one(other).map(|certificate| vec![certificate]),
    }
}
