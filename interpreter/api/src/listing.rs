//! The certificates that are found on hosts, for whoever lists them.

use serde::Serialize;

/// Whether a process works with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum Loaded {
    /// A server presents it.
    Served {
        /// At these ports, in order.
        ports: Vec<u16>,
    },
    /// A server presents another one with the same subject, issuer and names, which is in no file: it has not read the file since
    /// it changed.
    Stale {
        /// The first such port.
        port: u16,
        /// Until when the one that is presented is valid, in seconds since 1970.
        not_after: i64,
    },
    /// Nobody can tell from outside: it is a client's or a CA's, or no port that was asked presents it.
    Unknown,
}

/// One certificate at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundCertificate {
    /// The host, by inventory name.
    pub host: String,
    /// The file; `None` for one that is only served.
    pub path: Option<String>,
    /// Symbolic links that lead to the file.
    pub links: Vec<String>,
    /// `cluster NAME` or `user NAME` of a kubeconfig.
    pub entry: Option<String>,
    /// From 0, within the file or its entry.
    pub index: usize,
    /// Whose it is (RFC 4514).
    pub subject: String,
    /// Who signed it (RFC 4514).
    pub issuer: String,
    /// Decimal.
    pub serial: String,
    /// Its names, each once, such as `DNS:node-1` and `IP:10.0.0.1`.
    pub sans: Vec<String>,
    /// From when it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
    /// True for a CA.
    pub is_ca: bool,
    /// SHA-256 of the certificate, in hexadecimal.
    pub sha256: String,
    /// Whether a process works with it.
    pub loaded: Loaded,
}

/// What a host has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostListing {
    /// Its certificates.
    pub certificates: Vec<FoundCertificate>,
    /// Paths that were asked for and are not there.
    pub missing: Vec<String>,
    /// What could not be read, and why.
    pub problems: Vec<String>,
    /// What is worth knowing and no problem.
    pub notes: Vec<String>,
}
