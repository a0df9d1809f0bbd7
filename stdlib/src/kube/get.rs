use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, NAMESPACE, RESOURCE, SERVER, TIMEOUT,
    api::{Api, REQUEST},
    names_secrets,
    objects::shown,
    resource::{Kind, name, opt_name},
};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::Key, value::map,
};

/// Reads one object.
pub struct Get;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.get",
    summary: "Reads one object from the API server.",
    doc: "Asks the API server itself, through the host's connection. An object that is not there is no error: demand `result.found`. What a \
Secret holds (`data`, `stringData`, and the copy in the last-applied annotation) is a secret here, too: it is neither shown nor kept, so it \
is lost on resume. `metadata.managedFields` is left out.\n\n\
Every action of this family reads the kubeconfig, and each file that it names, anew: a new CA or certificate is used at once. A kind \
without a group is looked for in the core group first, then in all others. What kubeconfigs get by programs (`exec`) is left to the \
`kubectl` family, as are proxies and acting as somebody else.\n\n\
Errors: the server cannot be reached or is not the one that the kubeconfig trusts; a kind that it does not have, or several of that name; \
what it refuses ([Kubernetes API](https://kubernetes.io/docs/reference/using-api/api-concepts/)).",
    effect: Effect::Reads,
    args: &[
        RESOURCE,
        ArgSpec::required("name", ArgKind::Text, "The object's name."),
        NAMESPACE,
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
        TIMEOUT,
    ],
    returns: Returns::map(&[
        Key::plain("found", "Whether it is there."),
        Key::anything("object", "The object; null when there is none."),
    ]),
    way_back: WayBack::Nothing,
    example: "kube.get:\n  resource: deployments.apps\n  name: coredns\n  namespace: kube-system\n",
};

#[async_trait]
impl Action for Get {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn secret_results(&self, fixed: &dyn Fn(&str) -> Option<Value>) -> &'static [&'static str] {
        if names_secrets(fixed) { &["object"] } else { &[] }
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let place = opt_name(args, "namespace")?.map_or_else(String::new, |place| format!(" in {place}"));
        Ok(tell::reads(format!(
            "get {}/{}{place} from the API server",
            args.text("resource")?,
            name(args, "name")?
        )))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let (wanted, namespace) = (name(args, "name")?, opt_name(args, "namespace")?);
        let api = Api::with_timeout(ctx, args, args.opt_duration("timeout")?.unwrap_or(REQUEST)).await?;
        let kind = Kind::from_args(ctx, &api, args).await?;
        let namespace = namespace.or(Some(&api.access.namespace));
        let doing = format!("get {}", kind.words(namespace, wanted));
        let found = api.find(ctx, &doing, &kind.object(namespace, wanted)).await?;
        let object = found.as_ref().map(shown);
        Ok(Applied::unchanged(map([("found", object.is_some().into()), ("object", object.into())])))
    }
}
