//! What a runbook declares of trust: which servers and clients there are, and with which files they verify each other.

use super::{Call, Dynamic, HostChoice};
use indexmap::IndexMap;
use keybook_api::Span;

/// The `trust:` of a runbook.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Servers by name.
    pub servers: IndexMap<String, Server>,
    /// Clients by name.
    pub clients: IndexMap<String, Client>,
}

impl Trust {
    /// Is anything declared?
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Is there a server or client of this name?
    pub fn knows(&self, name: &str) -> bool {
        self.servers.contains_key(name) || self.clients.contains_key(name)
    }
}

/// A server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The hosts that have it.
    pub on: HostChoice,
    /// Where its clients reach it; the host's own address when absent.
    pub address: Option<Dynamic>,
    /// The port.
    pub port: Dynamic,
    /// The name that its certificate must have; the address when absent.
    pub server_name: Option<Dynamic>,
    /// The PEM file with its certificate.
    pub cert: Dynamic,
    /// The file with its key.
    pub key: Option<Dynamic>,
    /// What it verifies its clients with.
    pub clients: Option<Bundle>,
    /// When it reads its files.
    pub reads: Reads,
    /// Where it stands.
    pub span: Span,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The hosts that have it.
    pub on: HostChoice,
    /// The servers it connects to.
    pub uses: Vec<String>,
    /// What it verifies them with.
    pub trusts: Bundle,
    /// The PEM file with its own certificate.
    pub cert: Option<Dynamic>,
    /// The file with its key.
    pub key: Option<Dynamic>,
    /// When it reads its files.
    pub reads: Reads,
    /// Where it stands.
    pub span: Span,
}

/// The CAs that someone trusts.
#[derive(Clone, Debug)]
pub enum Bundle {
    /// A PEM file.
    File(Dynamic),
    /// What a kubeconfig's current context trusts.
    Kubeconfig(Dynamic),
    /// The PEM file whose path stands in another file, right after some text.
    Named {
        /// The file in which the path stands.
        holder: Dynamic,
        /// The text.
        after: Dynamic,
    },
}

/// When a process reads its files.
#[derive(Clone, Debug)]
pub enum Reads {
    /// Each time that it connects or is connected to.
    EachTime,
    /// When it starts: the result of this call is when that was, as seconds since 1970 or a map with `started` or
    /// `stdout`.
    Started(Call),
    /// When it starts, and the runbook does not say how to learn when that was.
    CannotTell,
}
