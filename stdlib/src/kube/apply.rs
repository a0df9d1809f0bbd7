use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, SERVER,
    api::Api,
    change::{Change, MANAGER, RESULT, json_of, refuse_secrets},
    resource::{Kind, check_name, name},
};
use crate::{kubectl, support::tell};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack,
};

/// Makes an object as a manifest says.
pub struct Apply;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.apply",
    summary: "Makes an object at the API server as a manifest says.",
    doc: "Server-side apply: the fields of the manifest are set, those that an earlier manifest of this manager had and this one has not are \
taken away, and the rest is left to others. Where another manager has set a field to something else, it is refused unless `force: true`. An \
object that is not there is made. The server rehearses it, as for `kube.patch`.\n\n\
Undo sets each field that was changed to what it was, unless someone else changed it since; an object that was made is deleted when it \
still is as it was made. What is set back counts as an update of the manager `keybook`, no more as applied: a later manifest with another \
value there needs `force: true`.\n\n\
After a crash the fields tell, as for `kube.patch`, and of a new object who made it.\n\n\
Errors: an object that somebody else makes just then (of a manifest, the server cannot be told to make it or else do nothing: its fields \
are set, and the fault says so); a manifest without `apiVersion`, `kind` or `metadata.name`; conflicts with other managers; those of `kube.patch`; a server before \
1.16, which knows no server-side apply ([server-side apply](https://kubernetes.io/docs/reference/using-api/server-side-apply/)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required(
            "manifest",
            ArgKind::Map,
            "The object, with `apiVersion`, `kind` and `metadata.name`.",
        ),
        ArgSpec::optional(
            "field_manager",
            ArgKind::Text,
            "keybook",
            "Under which name the server notes what is set.",
        ),
        ArgSpec::optional("force", ArgKind::Bool, "false", "Take fields over from other managers."),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(RESULT),
    way_back: WayBack::Undo,
    example: "kube.apply:\n  manifest:\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: rotation, namespace: kube-system}\n    \
data: {state: begun}\n",
};

#[async_trait]
impl Action for Apply {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let plan = async { change(ctx, args).await?.plan(ctx).await }.await;
        tell::planned(ctx, self, args, plan)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        change(ctx, args).await?.apply(ctx).await
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        change(ctx, args).await?.reconcile(ctx, memo).await
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, memo: &Value, result: &Value) -> Result<(), Fault> {
        change(ctx, args).await?.undo(ctx, memo, result).await
    }
}

async fn change(ctx: &Ctx, args: &Args) -> Result<Change, Fault> {
    let mut patch = json_of("manifest", args.get("manifest").unwrap_or(&Value::Null))?;
    let text = |pointer: &str| kubectl::text(&patch, pointer).to_owned();
    let (version, kind, wanted) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
    for (field, value) in [("apiVersion", &version), ("kind", &kind), ("metadata.name", &wanted)] {
        if value.is_empty() {
            return Err(Fault::usage("read the argument `manifest`", format!("it has no {field}")));
        }
    }
    check_name("manifest", &wanted)?;
    if !version.chars().all(|c| c.is_ascii_alphanumeric() || "./-".contains(c)) || version.contains("..") {
        let why = format!("its apiVersion `{}` is none", version.escape_debug());
        return Err(Fault::usage("read the argument `manifest`", why));
    }
    let namespace = Some(text("/metadata/namespace")).filter(|namespace| !namespace.is_empty());
    namespace.iter().try_for_each(|namespace| check_name("manifest", namespace))?;
    let manager = match args.get("field_manager") {
        Some(_) => name(args, "field_manager")?,
        None => MANAGER,
    };
    let api = Api::from_args(ctx, args).await?;
    let kind = Kind::of_object(ctx, &api, &version, &kind).await?;
    refuse_secrets(&kind)?;
    if let Some(metadata) = patch.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    Ok(Change {
        kind,
        namespace: namespace.unwrap_or_else(|| api.access.namespace.clone()),
        api,
        name: wanted,
        media: "application/apply-patch+yaml",
        patch,
        new: None,
        makes: true,
        manager: manager.to_owned(),
        force: args.bool_or("force", false)?,
    })
}
