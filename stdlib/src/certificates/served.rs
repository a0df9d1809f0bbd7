//! What the listening ports of a host present, and which file's certificate that is.

use crate::tls::handshake::{Versions, handshake};
use futures::future::join_all;
use keybook_api::{FoundCertificate, Loaded, Target};
use keybook_pki::Certificate;
use rustls::pki_types::ServerName;
use std::time::Duration;

/// How long a port may take to answer, and again to shake hands.
const PATIENCE: Duration = Duration::from_secs(5);

/// A certificate that a port presents.
pub(super) struct Served {
    pub port: u16,
    pub certificate: Certificate,
}

impl Served {
    /// The same certificate at the same port.
    pub fn is(&self, other: &Self) -> bool {
        (self.port, self.certificate.der()) == (other.port, other.certificate.der())
    }
}

/// Asks each port once; the second value is a port that presents nothing, and why.
pub(super) async fn ask(target: &dyn Target, at: &[(String, u16)]) -> Vec<(u16, Result<Served, String>)> {
    join_all(at.iter().map(async |(address, port)| (*port, one(target, address, *port).await))).await
}

async fn one(target: &dyn Target, address: &str, port: u16) -> Result<Served, String> {
    // Who listens everywhere answers on the loopback interface too; on IPv6 often for IPv4 as well.
    let addresses = match address {
        "0.0.0.0" => vec!["127.0.0.1"],
        "::" => vec!["127.0.0.1", "::1"],
        other => vec![other],
    };
    let mut why = String::new();
    for address in addresses {
        let name = ServerName::try_from(address.to_owned()).map_err(|error| error.to_string())?;
        let stream = match target.open(address, port, PATIENCE).await {
            Ok(stream) => stream,
            Err(fault) => {
                why = fault.cause;
                continue;
            }
        };
        let seen = handshake(stream, name, None, Versions::Both, PATIENCE)
            .await
            .map_err(|error| error.to_string())?;
        let Some(leaf) = seen.chain.first() else {
            return Err(seen.error.unwrap_or_else(|| "it presents no certificate".to_owned()));
        };
        let certificate = Certificate::from_der(leaf).map_err(|error| error.to_string())?;
        return Ok(Served { port, certificate });
    }
    Err(why)
}

/// Says of each certificate whether it is served; with `unfiled` what is served and in no file is added.
pub(super) fn compare(host: &str, found: &mut Vec<FoundCertificate>, served: &[Served], unfiled: bool) {
    for one in found.iter_mut() {
        let mut ports: Vec<u16> = served
            .iter()
            .filter(|served| served.certificate.sha256() == one.sha256)
            .map(|served| served.port)
            .collect();
        ports.sort_unstable();
        ports.dedup();
        if !ports.is_empty() {
            one.loaded = Loaded::Served { ports };
        }
    }
    let in_no_file: Vec<&Served> = served
        .iter()
        .filter(|served| found.iter().all(|one| one.sha256 != served.certificate.sha256()))
        .collect();
    for served in &in_no_file {
        let other = super::row(host, &served.certificate);
        let same_names = |one: &&mut FoundCertificate| {
            one.loaded == Loaded::Unknown
                && !one.is_ca
                && (&one.subject, &one.issuer, &one.sans) == (&other.subject, &other.issuer, &other.sans)
        };
        for one in found.iter_mut().filter(same_names) {
            one.loaded = Loaded::Stale { port: served.port, not_after: other.not_after };
        }
    }
    for served in in_no_file.into_iter().filter(|_| unfiled) {
        let loaded = Loaded::Served { ports: vec![served.port] };
        found.push(FoundCertificate { loaded, ..super::row(host, &served.certificate) });
    }
}
