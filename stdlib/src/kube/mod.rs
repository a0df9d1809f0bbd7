//! `kube`: objects of a Kubernetes API server, asked through the host's connection; no kubectl is needed there.

mod api;
mod apply;
mod budget;
mod change;
mod config;
mod config_map_put;
mod csr;
mod csr_approve;
mod csr_list;
mod csr_rules;
mod delete;
mod dial;
mod get;
mod lease;
mod lease_acquire;
mod lease_release;
mod list;
mod made;
mod objects;
mod patch;
mod raw;
mod resource;
mod rollout;
mod rollout_restart;
mod rollout_status;
mod secret_put;
mod secrets;
mod trusted;
mod wait;

use keybook_api::{ArgKind, ArgSpec, Registry, Value};

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(get::Get);
    all.add(list::List);
    all.add(raw::Raw);
    all.add(wait::Wait);
    all.add(patch::Patch);
    all.add(apply::Apply);
    all.add(config_map_put::ConfigMapPut);
    all.add(secret_put::SecretPut);
    all.add(delete::Delete);
    all.add(rollout_restart::RolloutRestart);
    all.add(rollout_status::RolloutStatus);
    all.add(csr_list::CsrList);
    all.add(csr_approve::CsrApprove);
    all.add(lease_acquire::LeaseAcquire);
    all.add(lease_release::LeaseRelease);
}

const RESOURCE: ArgSpec = ArgSpec::required(
    "resource",
    ArgKind::Text,
    "The kind, such as `pods`, `deployments.apps` or `certificatesigningrequests.v1.certificates.k8s.io`.",
);
const NAMESPACE: ArgSpec = ArgSpec::optional(
    "namespace",
    ArgKind::Text,
    "the kubeconfig's",
    "The namespace; leave it out for objects that are in none.",
);
const KUBECONFIG: ArgSpec = ArgSpec::optional(
    "kubeconfig",
    ArgKind::Path,
    "/etc/kubernetes/admin.conf",
    "The kubeconfig on the host.",
);
const CONTEXT: ArgSpec =
    ArgSpec::optional("context", ArgKind::Text, "the kubeconfig's current one", "The context to use.");
const SERVER: ArgSpec = ArgSpec::optional(
    "server",
    ArgKind::Text,
    "the kubeconfig's",
    "The server's URL, such as `https://10.0.0.1:6443`, to ask one of several by itself. Its certificate must have that name.",
);
const ACCEPT_EXPIRED: ArgSpec = ArgSpec::optional(
    "accept_expired",
    ArgKind::Bool,
    "false",
    "Take a server certificate (or CA) that has ended, when its chain and name are right; a note says so.",
);
const TIMEOUT: ArgSpec =
    ArgSpec::optional("timeout", ArgKind::Duration, "30s", "How long one request may take.");

/// Is it Secrets that the argument `resource` names?
fn names_secrets(fixed: &dyn Fn(&str) -> Option<Value>) -> bool {
    let secrets = |kind: &str| ["secret", "secrets"].contains(&kind.split('.').next().unwrap_or(kind));
    matches!(fixed("resource"), Some(Value::Text(kind)) if secrets(&kind.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;
