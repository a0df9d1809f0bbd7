//! What the rollout actions share.

use super::{
    api::Api,
    resource::{Kind, name, opt_name},
};
use crate::{
    kubectl,
    support::tell::{failed, missing},
};
use keybook_api::{ArgKind, ArgSpec, Args, Ctx, Fault};
use serde_json::Value as Json;

/// The argument `resource`, in the words of the kubectl family.
pub const RESOURCE: ArgSpec = ArgSpec::required(
    "resource",
    ArgKind::Enum(&["deployment", "daemonset", "statefulset"]),
    "The kind of workload.",
);
/// The argument `name`.
pub const NAME: ArgSpec = ArgSpec::required("name", ArgKind::Text, "The workload's name.");

/// One workload.
pub struct Workload {
    /// The server.
    pub api: Api,
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Such as `deployment/coredns`.
    pub what: String,
}

impl Workload {
    /// The workload that the arguments name.
    pub async fn from_args(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let (resource, own) = (args.text("resource")?, name(args, "name")?);
        let namespace = opt_name(args, "namespace")?.map(str::to_owned);
        let api = Api::from_args(ctx, args).await?;
        // apps/v1 has all three since 1.9.
        let kind = Kind { version: "apps/v1".to_owned(), ..Kind::core(&format!("{resource}s"), resource) };
        Ok(Self {
            kind,
            namespace: namespace.unwrap_or_else(|| api.access.namespace.clone()),
            api,
            what: format!("{resource}/{own}"),
            name: own.to_owned(),
        })
    }

    /// Its path.
    pub fn path(&self) -> String {
        self.kind.object(Some(&self.namespace), &self.name)
    }

    /// The object.
    pub async fn get(&self, ctx: &Ctx, doing: &str) -> Result<Json, Fault> {
        let found = self.api.find(ctx, doing, &self.path()).await?;
        found.ok_or_else(|| failed(ctx, self.api.attempted(doing), missing(&self.what)))
    }
}

/// A number somewhere inside of an object; 0 when there is none.
pub fn number(object: &Json, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Json::as_i64).unwrap_or(0)
}

/// Is the rollout through? Looks at what `kubectl rollout status` looks at. `Err` is what is still missing; `Ok(Err)`
/// is that it will never be through.
pub fn progress(object: &Json) -> Result<Result<String, String>, String> {
    let metadata = number(object, "/metadata/generation");
    if number(object, "/status/observedGeneration") < metadata {
        return Err("its controller has not seen the newest template yet".to_owned());
    }
    match kubectl::text(object, "/kind") {
        "DaemonSet" => daemon_set(object).map(Ok),
        "StatefulSet" => stateful_set(object).map(Ok),
        _ => deployment(object),
    }
}

fn deployment(object: &Json) -> Result<Result<String, String>, String> {
    let conditions = object.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
    let mut progressing = conditions.filter(|one| kubectl::text(one, "/type") == "Progressing");
    if progressing.any(|one| kubectl::text(one, "/reason") == "ProgressDeadlineExceeded") {
        return Ok(Err("it has exceeded its progress deadline".to_owned()));
    }
    let wanted = object.pointer("/spec/replicas").and_then(Json::as_i64).unwrap_or(1);
    let status = |field: &str| number(object, &format!("/status/{field}"));
    let (all, updated, available) =
        (status("replicas"), status("updatedReplicas"), status("availableReplicas"));
    if updated < wanted {
        return Err(format!("{updated} of {wanted} pods are of the newest template"));
    }
    if all > updated {
        return Err(format!("{} old pods are left", all - updated));
    }
    if available < updated {
        return Err(format!("{available} of {updated} pods are available"));
    }
    Ok(Ok(format!("{available} pods of the newest template are available")))
}

fn daemon_set(object: &Json) -> Result<String, String> {
    let status = |field: &str| number(object, &format!("/status/{field}"));
    let wanted = status("desiredNumberScheduled");
    let (updated, available) = (status("updatedNumberScheduled"), status("numberAvailable"));
    if kubectl::text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Err("its strategy is OnDelete: its pods stay until somebody deletes them".to_owned());
    }
    if updated < wanted {
        return Err(format!("{updated} of {wanted} pods are of the newest template"));
    }
    if available < wanted {
        return Err(format!("{available} of {wanted} pods are available"));
    }
    Ok(format!("{available} pods of the newest template are available"))
}

fn stateful_set(object: &Json) -> Result<String, String> {
    let wanted = object.pointer("/spec/replicas").and_then(Json::as_i64).unwrap_or(1);
    let status = |field: &str| number(object, &format!("/status/{field}"));
    let (updated, ready) = (status("updatedReplicas"), status("readyReplicas"));
    if kubectl::text(object, "/spec/updateStrategy/type") == "OnDelete" {
        return Err("its strategy is OnDelete: its pods stay until somebody deletes them".to_owned());
    }
    if ready < wanted {
        return Err(format!("{ready} of {wanted} pods are ready"));
    }
    // Pods below a partition keep the old template on purpose.
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    if updated < wanted.saturating_sub(partition) {
        return Err(format!("{updated} of {} pods are of the newest template", wanted - partition));
    }
    let same =
        kubectl::text(object, "/status/updateRevision") == kubectl::text(object, "/status/currentRevision");
    if partition == 0 && !same {
        return Err("its pods are not all of the newest revision".to_owned());
    }
    Ok(format!("{ready} pods of the newest template are ready"))
}
