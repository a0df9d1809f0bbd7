//! `tls`: what servers present.

pub(crate) mod handshake;
mod served;
#[cfg(test)]
mod tests;

pub use served::Served;

use keybook_api::{Args, Fault};

/// The argument `port`.
pub(crate) fn port(args: &Args) -> Result<u16, Fault> {
    let attempted = "read the argument `port`";
    let number = args.opt_int("port")?.ok_or_else(|| Fault::usage(attempted, "it is missing"))?;
    u16::try_from(number)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Fault::usage(attempted, format!("{number} is no port; ports are 1 to 65535")))
}
