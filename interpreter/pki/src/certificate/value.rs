//! A certificate as a value of the language.

use super::Certificate;
use crate::{dates::rfc3339, error::PkiError, san::San};
use keybook_api::{
    Value,
    value::{Map, map},
};

impl Certificate {
    /// A map with `kind: "certificate"` and what the certificate says. Keys: pem, subject, issuer, serial (decimal
    /// text), not_before, not_after (RFC 3339 UTC), not_before_unix, not_after_unix (seconds), sans (list of
    /// text), is_ca, ski, aki (hexadecimal or null), key, signature, usages (list of text), sha256, spki_sha256,
    /// self_signed.
    pub fn to_value(&self) -> Value {
        let aki = self.aki().and_then(super::AuthorityKeyId::key_id);
        let sans: Vec<String> = self.sans().iter().map(San::to_string).collect();
        let fields: Map = map([
            ("kind", "certificate".into()),
            ("pem", self.to_pem().into()),
            ("subject", self.subject().into()),
            ("issuer", self.issuer().into()),
            ("serial", self.serial().into()),
            ("not_before", rfc3339(self.not_before()).into()),
            ("not_after", rfc3339(self.not_after()).into()),
            ("not_before_unix", self.not_before().into()),
            ("not_after_unix", self.not_after().into()),
            ("sans", sans.into()),
            ("is_ca", self.is_ca().into()),
            ("ski", self.ski().into()),
            ("aki", aki.into()),
            ("key", self.key().into()),
            ("signature", self.signature().into()),
            ("usages", self.usages().words().into()),
            ("sha256", self.sha256().into()),
            ("spki_sha256", self.spki_sha256().into()),
            ("self_signed", self.self_signed().into()),
        ]);
        fields.into()
    }

    /// Reads the certificate back from a map that [`Certificate::to_value`] made: only its `pem` counts.
    /// Errors when it is no such map or `pem` is not exactly one certificate.
    pub fn from_value(value: &Value) -> Result<Self, PkiError> {
        let refuse = |found: &str| PkiError::Refused(format!("a certificate is expected here, not {found}"));
        if value.as_map().is_none() {
            return Err(refuse(&format!("a value of type {}", value.type_name())));
        }
        if value.get("kind").and_then(Value::as_str) != Some("certificate") {
            return Err(refuse("another kind of map"));
        }
        let pem = value.get("pem").and_then(Value::as_str).ok_or_else(|| refuse("a map without `pem`"))?;
        Self::one_pem(pem.as_bytes())
    }
}
