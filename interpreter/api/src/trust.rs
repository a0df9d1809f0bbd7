//! Trust: who verifies whom with which files. A runbook declares its servers, clients and bundles; a judge says of
//! each edge between them whether it holds and how that is known.

use crate::{Cancel, Fault, HostAccess};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The CAs that someone trusts, as they are kept on a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bundle {
    /// A PEM file; every certificate in it is trusted.
    File(String),
    /// What a kubeconfig's current context trusts: `certificate-authority-data`, or the file that
    /// `certificate-authority` names, of its cluster (kubernetes.io, Config v1). Without a current context the only
    /// cluster counts.
    Kubeconfig(String),
    /// The PEM file whose path stands in another file, as a flag in a manifest or a field of a configuration.
    Named {
        /// The file in which the path stands.
        holder: String,
        /// What stands right before it, such as `--client-ca-file=`. It ends before white space, a quote, `,` or `;`.
        after: String,
    },
}

impl Bundle {
    /// The file that holds it, or that names the file.
    pub fn path(&self) -> &str {
        match self {
            Self::File(path) | Self::Kubeconfig(path) | Self::Named { holder: path, .. } => path,
        }
    }
}

/// When a process reads its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Each time that it connects or is connected to: what is on disk counts.
    EachTime,
    /// When it starts; this is when it did, in seconds since 1970 (UTC), as the host's clock has it.
    StartedAt(i64),
    /// When it starts, and nobody can tell when that was: why; empty where nobody was asked.
    CannotTell(String),
}

/// A server on one host.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustServer {
    /// Its name in the runbook.
    pub name: String,
    /// Its host, by inventory name.
    pub host: String,
    /// Where its clients reach it: an address or a name.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The name that its certificate must have; the address when absent.
    pub server_name: Option<String>,
    /// The PEM file with its certificate (chain).
    pub cert: String,
    /// The file with its key; absent when nobody looks whether it fits.
    pub key: Option<String>,
    /// What it verifies its clients with; absent when it asks for no certificate.
    pub clients: Option<Bundle>,
    /// When it reads its files.
    pub reads: Reads,
}

/// A client on one host.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustClient {
    /// Its name in the runbook.
    pub name: String,
    /// Its host, by inventory name.
    pub host: String,
    /// The servers it connects to, by name; on every host that has them.
    pub uses: Vec<String>,
    /// What it verifies them with.
    pub trusts: Bundle,
    /// The PEM file with its own certificate (chain), when it shows one.
    pub cert: Option<String>,
    /// The file with its key.
    pub key: Option<String>,
    /// When it reads its files.
    pub reads: Reads,
}

/// All servers and clients of a run, host by host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrustMatrix {
    /// The servers.
    pub servers: Vec<TrustServer>,
    /// The clients.
    pub clients: Vec<TrustClient>,
}

/// Which of the two verifies the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The client verifies the server's certificate.
    Server,
    /// The server verifies the client's certificate.
    Client,
}

/// Does an edge hold?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrustVerdict {
    /// It verifies.
    Holds,
    /// It does not; so it is too when a file of a host that answers is missing, empty or not to be read as what it is.
    Broken,
    /// A host or a file cannot be looked at.
    Unknown,
}

/// How a verdict is known, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HowKnown {
    /// A TLS handshake with the server, by the client's files, showed it.
    Handshake,
    /// The files show it, and each process whose part no handshake shows started after its files changed.
    Inferred,
    /// The files say so, but nobody can tell whether the processes have read them.
    Unknown,
}

/// One edge and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustEdge {
    /// `name@host` of the server.
    pub server: String,
    /// `name@host` of the client.
    pub client: String,
    /// Whose certificate is verified.
    pub side: Side,
    /// Does it hold?
    pub verdict: TrustVerdict,
    /// How that is known.
    pub known: HowKnown,
    /// Why it does not hold or is not known better; empty where there is nothing to say.
    pub reason: String,
    /// The server was reached from the client's host and presented a certificate.
    pub answered: bool,
    /// The server runs with something else than its files hold now: another certificate, or another bundle.
    pub stale: bool,
    /// The last second in which the certificates verify, since 1970 (UTC): in the past when an edge is broken by
    /// their dates alone; absent when something else is wrong or nothing could be verified.
    pub until: Option<i64>,
}

impl TrustEdge {
    /// What makes an edge the same edge: its ends and whose certificate is verified.
    pub fn key(&self) -> (&str, &str, Side) {
        (&self.server, &self.client, self.side)
    }

    /// The edge in words: who verifies whom.
    pub fn title(&self) -> String {
        match self.side {
            Side::Server => format!("{} verifies {}", self.client, self.server),
            Side::Client => format!("{} verifies {}", self.server, self.client),
        }
    }
}

/// Says of each edge whether it holds. It reads and connects; it changes nothing.
#[async_trait]
pub trait TrustJudge: Send + Sync {
    /// Judges the edges of a matrix whose server or client is on one of the hosts, all of them when `only` is absent.
    /// A host that cannot be reached or looked at makes its edges [`TrustVerdict::Unknown`], with the reason; a host
    /// that does not answer in time does so too, so that a judgement takes no longer than two minutes. The order is that of the matrix: clients, their servers, the server's side first. `now` is in seconds
    /// since 1970 (UTC).
    ///
    /// # Errors
    /// Only that the run was stopped.
    async fn judge(
        &self,
        hosts: Arc<dyn HostAccess>,
        matrix: &TrustMatrix,
        only: Option<&[String]>,
        now: i64,
        cancel: &Cancel,
    ) -> Result<Vec<TrustEdge>, Fault>;
}
