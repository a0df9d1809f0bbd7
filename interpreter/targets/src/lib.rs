//! Hosts: this machine, and machines behind SSH. One POSIX layer ([`posix`]) does the work on all of them,
//! through /bin/sh and GNU tools; what differs is how a shell is started there.

mod connector;
mod local;
pub mod posix;
pub mod sandbox;
mod ssh;

pub use connector::SystemConnector;
pub use local::LocalShell;
pub use ssh::{HostKeyPolicy, KnownHosts, RefuseUnknown, SshSettings};
