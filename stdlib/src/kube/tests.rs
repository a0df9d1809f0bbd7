//! Against a stand-in for an API server, over HTTP and TLS.

mod changes;
mod connection;
mod csr_rules;
mod leases;
mod races;
mod requests;
mod rollouts;
mod waits;

use super::*;
use crate::testing::{ApiStandIn, Bench, args};
use keybook_api::{Action, Args, Fault};

/// Arguments with the stand-in's kubeconfig.
fn with<const N: usize>(api: &ApiStandIn, extra: [(&str, Value); N]) -> Args {
    let mut all = args([("kubeconfig", api.kubeconfig.as_str().into())]);
    all.0.extend(extra.map(|(name, value)| (name.to_owned(), value)));
    all
}

/// What a reading action gives.
async fn read(bench: &Bench, action: &dyn Action, args: &Args) -> Result<Value, Fault> {
    bench.describe(action, args).await?;
    Ok(bench.apply(action, args).await?.value)
}
