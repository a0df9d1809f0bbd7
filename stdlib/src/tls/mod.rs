//! `tls`: what servers present.

pub(crate) mod handshake;
mod served;
#[cfg(test)]
mod tests;

use keybook_api::{Args, Fault, Registry};
use keybook_pki::{Certificate, Usage, covers, verify};

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(served::Served);
}

/// The argument `port`.
pub(crate) fn port(args: &Args) -> Result<u16, Fault> {
    let attempted = "read the argument `port`";
    let number = args.opt_int("port")?.ok_or_else(|| Fault::usage(attempted, "it is missing"))?;
    u16::try_from(number)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Fault::usage(attempted, format!("{number} is no port; ports are 1 to 65535")))
}

/// Does a client that trusts these roots accept a server's certificate, for this name where one counts? `now` in
/// seconds since 1970 (UTC). The error says why not.
pub(crate) fn accepts(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    now: i64,
    name: Option<&str>,
) -> Result<(), String> {
    verify(leaf, intermediates, roots, now, Usage::Server).map_err(|failure| failure.to_string())?;
    match name.filter(|name| !covers(leaf, name)) {
        Some(name) => Err(format!("the certificate does not name {name}")),
        None => Ok(()),
    }
}
