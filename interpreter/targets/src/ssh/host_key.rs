//! Whether a server is the host it should be.

use super::known_hosts::{KnownHosts, Line, Purpose, SSH_PORT, fingerprint, line_for, patterns_match};
use async_trait::async_trait;
use keybook_api::Fault;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};
use std::path::PathBuf;

/// Decides about hosts that no known_hosts file names.
#[async_trait]
pub trait HostKeyPolicy: Send + Sync {
    /// True to trust the host by this fingerprint (`SHA256:…`) from now on. `host` is as known_hosts would name
    /// it. A changed or revoked key is never asked about.
    async fn unknown_host(&self, host: &str, fingerprint: &str) -> bool;
}

/// Trusts no host that is not known already.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefuseUnknown;

#[async_trait]
impl HostKeyPolicy for RefuseUnknown {
    async fn unknown_host(&self, _host: &str, _fingerprint: &str) -> bool {
        false
    }
}

/// What known_hosts says of a server's key.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It is the host's.
    Known { fingerprint: String },
    /// No line names the host.
    Unknown { key: PublicKey },
    /// Lines name the host with other keys.
    Changed { key: PublicKey, lines: Vec<Line> },
    /// A line revokes the key.
    Revoked { key: PublicKey, line: Line },
    /// Lines name authorities for the host, and the server has no certificate of theirs.
    Uncertified { key: PublicKey, lines: Vec<Line> },
    /// The server's certificate is of a known authority, but not good.
    BadCertificate { line: Line, reason: String },
}

/// Judges the keys of one host.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    pub known: KnownHosts,
    pub host: String,
    pub port: u16,
    /// The files that `known` was read from; an accepted key goes into the first.
    pub files: Vec<PathBuf>,
}

impl Verifier {
    /// Judges what the server presented, having proved that it holds the private key.
    pub fn judge(&self, presented: &PublicKeyOrCertificate) -> Verdict {
        let verdict = self.judge_at(presented, self.port);
        // ssh(1) does the same: a line without a port is good for the key it names, and proves nothing else.
        if self.port != SSH_PORT && matches!(verdict, Verdict::Unknown { .. }) {
            let plain = self.judge_at(presented, SSH_PORT);
            if matches!(
                plain,
                Verdict::Known { .. } | Verdict::Revoked { .. } | Verdict::BadCertificate { .. }
            ) {
                return plain;
            }
        }
        verdict
    }

    fn judge_at(&self, presented: &PublicKeyOrCertificate, port: u16) -> Verdict {
        let lines = self.known.matching(&self.host, port);
        let key = presented.public_key();
        let of = |purpose| lines.iter().copied().filter(move |line: &&Line| line.purpose == purpose);
        let same = |line: &&Line, key: &PublicKey| line.key.key_data() == key.key_data();
        if let Some(line) = of(Purpose::Revoked).find(|line| same(line, &key)) {
            return Verdict::Revoked { key, line: line.clone() };
        }
        if let Some(certificate) = presented.certificate() {
            let authority = PublicKey::from(certificate.signature_key().clone());
            if let Some(line) = of(Purpose::Revoked).find(|line| same(line, &authority)) {
                return Verdict::Revoked { key: authority, line: line.clone() };
            }
            if let Some(line) = of(Purpose::Authority).find(|line| same(line, &authority)) {
                return match check_certificate(certificate, &authority, &self.host) {
                    Ok(()) => Verdict::Known { fingerprint: fingerprint(&key) },
                    Err(reason) => Verdict::BadCertificate { line: line.clone(), reason },
                };
            }
        }
        if of(Purpose::HostKey).any(|line| same(&line, &key)) {
            return Verdict::Known { fingerprint: fingerprint(&key) };
        }
        let others: Vec<Line> = of(Purpose::HostKey).cloned().collect();
        let authorities: Vec<Line> = of(Purpose::Authority).cloned().collect();
        match (others.is_empty(), authorities.is_empty()) {
            (false, _) => Verdict::Changed { key, lines: others },
            (true, false) => Verdict::Uncertified { key, lines: authorities },
            (true, true) => Verdict::Unknown { key },
        }
    }

    /// The key types that the host is known by; those are asked for first, so that a server with keys of several
    /// types shows one that can be compared.
    pub fn known_types(&self) -> Vec<Algorithm> {
        self.lines_for(Purpose::HostKey).map(|line| line.key.algorithm()).collect()
    }

    /// True when an authority is known that may have signed the host's certificate.
    pub fn has_authority(&self) -> bool {
        self.lines_for(Purpose::Authority).next().is_some()
    }

    fn lines_for(&self, purpose: Purpose) -> impl Iterator<Item = &Line> {
        let mut lines = self.known.matching(&self.host, self.port);
        if lines.is_empty() {
            lines = self.known.matching(&self.host, SSH_PORT);
        }
        lines.into_iter().filter(move |line| line.purpose == purpose)
    }

    /// The fault for a verdict that is not `Known`.
    pub fn fault(&self, verdict: &Verdict, attempted: &str) -> Fault {
        let name = super::known_hosts::entry_name(&self.host, self.port);
        let file = self.files.first().map(|file| file.display().to_string()).unwrap_or_default();
        let list = |lines: &[Line]| {
            lines.iter().map(|l| format!("{l} ({})", fingerprint(&l.key))).collect::<Vec<_>>().join(", ")
        };
        let shown = |key: &PublicKey| format!("{} {}", key.algorithm().as_str(), fingerprint(key));
        let fault = |cause: String| Fault::unreachable(attempted, cause).now("nothing was sent to the host");
        match verdict {
            Verdict::Known { .. } => fault("the connection was given up".into()),
            Verdict::Unknown { key } => fault(format!("its host key is not known: {}", shown(key)))
                .hint("compare the fingerprint with what `ssh-keygen -lf` says of the key file on the host itself")
                .hint(format!("then add this line to {file}: {}", line_for(&self.host, self.port, key))),
            Verdict::Changed { key, lines } => fault(format!(
                "THE HOST KEY HAS CHANGED: it shows {}, but known for {name} is {}; this may be another machine",
                shown(key),
                list(lines)
            ))
            .hint("find out whether the host was reinstalled; if not, someone may be in between")
            .hint(format!("if it was, remove the old lines: ssh-keygen -R '{name}' -f {file}")),
            Verdict::Revoked { key, line } => fault(format!("its key {} is revoked by {line}", shown(key)))
                .hint("give the host a new key, or find out why the old one was revoked"),
            Verdict::Uncertified { key, lines } => fault(format!(
                "known_hosts trusts it by certificates only ({}), and it shows a bare key: {}",
                list(lines),
                shown(key)
            ))
            .hint("have the host's key signed (HostCertificate in its sshd_config)")
            .hint(format!("or add this line to {file}: {}", line_for(&self.host, self.port, key))),
            Verdict::BadCertificate { line, reason } => {
                fault(format!("its host certificate, of the authority at {line}, is not good: {reason}"))
                    .hint("sign the host's key again: ssh-keygen -s CA -I NAME -h -n HOST KEY.pub")
            }
        }
    }
}

/// PROTOCOL.certkeys of OpenSSH: a host certificate, for this name, now, signed by the authority, and without
/// critical options (none is defined for hosts).
fn check_certificate(certificate: &Certificate, authority: &PublicKey, host: &str) -> Result<(), String> {
    if certificate.cert_type() != CertType::Host {
        return Err("it is a user's certificate".into());
    }
    let principals = certificate.valid_principals();
    let host = host.to_lowercase();
    if !principals.iter().any(|principal| patterns_match(std::iter::once(principal.as_str()), &host)) {
        return Err(format!("it is for {}, not for {host}", principals.join(", ")));
    }
    if certificate.signature().algorithm() == (Algorithm::Rsa { hash: None }) {
        return Err("it is signed with SHA-1".into());
    }
    certificate.validate([&authority.fingerprint(HashAlg::Sha256)]).map_err(|_| {
        format!(
            "signature or time (valid from {} to {}, in seconds since 1970) do not hold",
            certificate.valid_after(),
            certificate.valid_before()
        )
    })
}
