use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, NAMESPACE, RESOURCE, SERVER,
    api::Api,
    change::{Change, MANAGER, MERGE, RESULT, json_of, refuse_secrets},
    resource::{Kind, name, opt_name},
};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack,
};

/// Changes fields of an object.
pub struct Patch;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.patch",
    summary: "Changes fields of an object at the API server.",
    doc: "`type: merge` (RFC 7396) sets the fields that `patch` has, takes away those that are null and replaces lists as a whole; `strategic` \
merges lists of known kinds by their keys; `json` (RFC 6902) is a list of operations. The server itself rehearses the patch \
(`dryRun=All`), so the plan shows what would become of the object, and a patch that changes nothing is none. When the object, or what the \
server would make of it, differs by the time it is carried out, nothing is changed: it is sent for that very version of the object, and rehearsed again when that is \
no longer the newest.\n\n\
Undo sets each field that the patch changed to what it was, unless someone else changed it since.\n\n\
After a crash the fields tell: as the patch makes them, done; as they were, not done; anything else, a person must look.\n\n\
Errors: an object that is not there; Secrets and private keys (use `kube.secret_put`); whatever the server refuses; webhooks that take no \
part in rehearsals ([patching](https://kubernetes.io/docs/reference/using-api/api-concepts/#patch-and-apply)).",
    effect: Effect::Changes,
    args: &[
        RESOURCE,
        ArgSpec::required("name", ArgKind::Text, "The object's name."),
        NAMESPACE,
        ArgSpec::optional(
            "type",
            ArgKind::Enum(&["merge", "strategic", "json"]),
            "merge",
            "How the patch is meant.",
        ),
        ArgSpec::required("patch", ArgKind::Any, "A map; with `type: json` a list of operations."),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(RESULT),
    way_back: WayBack::Undo,
    example: "kube.patch:\n  resource: deployments.apps\n  name: coredns\n  namespace: kube-system\n  \
patch: {spec: {template: {metadata: {annotations: {ca: renewed}}}}}\n",
};

#[async_trait]
impl Action for Patch {
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
    let patch = json_of("patch", args.get("patch").unwrap_or(&Value::Null))?;
    let media = match args.opt_text("type")? {
        Some("json") => "application/json-patch+json",
        Some("strategic") => "application/strategic-merge-patch+json",
        _ => MERGE,
    };
    let fits = if media.contains("json-patch") { patch.is_array() } else { patch.is_object() };
    if !fits {
        return Err(Fault::usage(
            "read the argument `patch`",
            "a map is needed; a list of operations with `type: json`",
        ));
    }
    let (wanted, namespace) =
        (name(args, "name")?.to_owned(), opt_name(args, "namespace")?.map(str::to_owned));
    let api = Api::from_args(ctx, args).await?;
    let kind = Kind::from_args(ctx, &api, args).await?;
    refuse_secrets(&kind)?;
    Ok(Change {
        kind,
        namespace: namespace.unwrap_or_else(|| api.access.namespace.clone()),
        api,
        name: wanted,
        media,
        patch,
        new: None,
        makes: false,
        manager: MANAGER.to_owned(),
        force: false,
    })
}
