//! What the rollout actions share.

use super::{Kubectl, required};
use keybook_api::{ArgKind, ArgSpec, Args, Fault};

pub const RESOURCE: ArgSpec = ArgSpec::required(
    "resource",
    ArgKind::Enum(&["deployment", "daemonset", "statefulset"]),
    "The kind of workload.",
);
pub const NAME: ArgSpec = ArgSpec::required("name", ArgKind::Text, "The workload's name.");

/// One workload.
pub struct Workload {
    pub kubectl: Kubectl,
    /// Such as `deployment/coredns`.
    pub what: String,
}

impl Workload {
    pub fn from_args(args: &Args) -> Result<Self, Fault> {
        let what = format!("{}/{}", args.text("resource")?, required(args, "name")?);
        Ok(Self { kubectl: Kubectl::from_args(args)?, what })
    }
}
