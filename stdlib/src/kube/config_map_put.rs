use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, NAMESPACE, SERVER,
    api::Api,
    change::{Change, MANAGER, MERGE, RESULT, json_of},
    resource::{Kind, name, opt_name},
};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack,
};
use serde_json::json;

/// Writes keys of a ConfigMap.
pub struct ConfigMapPut;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.config_map_put",
    summary: "Writes keys of a ConfigMap; the others stay.",
    doc: "A ConfigMap that is not there is made. A key whose value is null is taken away. The server rehearses it, as for `kube.patch`.\n\n\
Undo sets the keys to what they were, unless someone else changed them since; a ConfigMap that was made is deleted when it still is as \
it was made.\n\n\
After a crash the keys tell, as for `kube.patch`.\n\n\
Errors: values that are no text; private keys (use `kube.secret_put`); whatever the server refuses, such as the change of an immutable one \
([ConfigMaps](https://kubernetes.io/docs/concepts/configuration/configmap/)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("name", ArgKind::Text, "Its name."),
        NAMESPACE,
        ArgSpec::required("data", ArgKind::Map, "Keys with their texts."),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(RESULT),
    way_back: WayBack::Undo,
    example: "kube.config_map_put:\n  name: extra-roots\n  namespace: kube-system\n  data: {note: \"renewed\"}\n",
};

#[async_trait]
impl Action for ConfigMapPut {
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
    let (wanted, namespace) =
        (name(args, "name")?.to_owned(), opt_name(args, "namespace")?.map(str::to_owned));
    let data = json_of("data", args.get("data").unwrap_or(&Value::Null))?;
    let entries = data.as_object().into_iter().flatten();
    let mut odd = entries.clone().filter(|(_, value)| !value.is_string() && !value.is_null());
    if let Some((key, _)) = odd.next() {
        let why = format!("`{}` is no text; a ConfigMap holds only text", key.escape_debug());
        return Err(Fault::usage("read the argument `data`", why));
    }
    let there: serde_json::Map<_, _> = entries
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let api = Api::from_args(ctx, args).await?;
    let namespace = namespace.unwrap_or_else(|| api.access.namespace.clone());
    let new = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": wanted, "namespace": namespace},
        "data": there});
    Ok(Change {
        kind: Kind::core("configmaps", "ConfigMap"),
        namespace,
        api,
        name: wanted,
        media: MERGE,
        patch: json!({"data": data}),
        new: Some(new),
        makes: false,
        manager: MANAGER.to_owned(),
        force: false,
    })
}
