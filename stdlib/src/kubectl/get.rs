use super::{CONTEXT, KUBECONFIG, KUBECTL, Kubectl, NAMESPACE, items, required, word};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Secret, Value,
    WayBack, returns::Key, value::map,
};
use serde_json::Value as Json;

/// Reads objects.
pub struct Get;

const SPEC: ActionSpec = ActionSpec {
    name: "kubectl.get",
    summary: "Reads objects from the API server.",
    doc: "`kubectl get -o json` on the host. With `name` one object, which need not exist; else all that the selector matches. Nothing \
found is no error: demand what is needed in `expect`, for example `result.count == 3`. What a Secret holds (`data`, `stringData`, and the \
copy in the last-applied annotation) is a secret here, too: it is neither shown nor kept, so it is lost on resume.\n\n\
Errors: kubectl cannot be run or reach the server; a kind that the server does not know; both `name` and `selector` \
([kubectl get](https://kubernetes.io/docs/reference/kubectl/generated/kubectl_get/)).",
    effect: Effect::Reads,
    args: &[
        ArgSpec::required("resource", ArgKind::Text, "The kind, such as `pods` or `deployments.apps`."),
        ArgSpec::optional("name", ArgKind::Text, "", "The object's name."),
        NAMESPACE,
        ArgSpec::optional("all_namespaces", ArgKind::Bool, "false", "Look in every namespace."),
        ArgSpec::optional("selector", ArgKind::Text, "", "Labels, such as `component=etcd`."),
        KUBECONFIG,
        CONTEXT,
        KUBECTL,
    ],
    returns: Returns::map(&[
        Key::plain("count", "How many objects there are."),
        Key::anything("items", "The objects."),
        Key::plain("exists", "With `name`: whether it is there.").sometimes(),
        Key::anything("object", "With `name`: the object; null when there is none.").sometimes(),
    ]),
    way_back: WayBack::Nothing,
    example: "kubectl.get:\n  resource: nodes\n  selector: node-role.kubernetes.io/control-plane=\n  \
kubeconfig: /etc/kubernetes/admin.conf\n",
};

#[async_trait]
impl Action for Get {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn secret_results(&self, fixed: &dyn Fn(&str) -> Option<Value>) -> &'static [&'static str] {
        match fixed("resource") {
            Some(Value::Text(kind)) if ["secret", "secrets"].contains(&kind.as_str()) => &["items", "object"],
            _ => &[],
        }
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let mut words = vec!["get".to_owned()];
        words.extend(selection(args)?);
        Ok(tell::reads(Kubectl::from_args(args)?.line(&words)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let found = Kubectl::from_args(args)?.get(ctx, &selection(args)?).await?;
        let items: Vec<Value> = items(found).iter().map(value).collect();
        let mut result = map([("count", Value::Int(items.len() as i64))]);
        if args.get("name").is_some() {
            result.insert("exists".to_owned(), (!items.is_empty()).into());
            result.insert("object".to_owned(), items.first().cloned().into());
        }
        result.insert("items".to_owned(), Value::List(items));
        Ok(Applied::unchanged(result))
    }
}

/// The words that name what is asked for.
pub(super) fn selection(args: &Args) -> Result<Vec<String>, Fault> {
    let mut words = vec![required(args, "resource")?];
    let (name, selector) = (word(args, "name")?, word(args, "selector")?);
    if name.is_some() && selector.is_some() {
        return Err(Fault::usage("read the arguments", "give `name` or `selector`, not both"));
    }
    let everywhere = args.bool_or("all_namespaces", false)?;
    if everywhere && (name.is_some() || args.get("namespace").is_some()) {
        let why = "`all_namespaces` goes with neither `name` nor `namespace`";
        return Err(Fault::usage("read the arguments", why));
    }
    words.extend(name);
    words.extend(selector.map(|selector| format!("--selector={selector}")));
    words.extend(everywhere.then(|| "--all-namespaces".to_owned()));
    Ok(words)
}

/// What a Secret may hold secrets in.
const SECRET_PLACES: [&[&str]; 3] = [
    &["data"],
    &["stringData"],
    &["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"],
];

/// An object as a result has it: what a Secret holds is secret.
pub(crate) fn value(object: &Json) -> Value {
    let mut value = Value::from_json(object);
    if object.get("kind").and_then(Json::as_str) == Some("Secret") {
        for place in SECRET_PLACES {
            let mut inner = Some(&mut value);
            for key in place {
                inner = match inner {
                    Some(Value::Map(map)) => map.get_mut(*key),
                    _ => None,
                };
            }
            if let Some(inner) = inner {
                hide(inner);
            }
        }
    }
    value
}

fn hide(value: &mut Value) {
    match value {
        Value::Text(text) => *value = Value::Secret(Secret::new(std::mem::take(text))),
        Value::Map(map) => map.values_mut().for_each(hide),
        _ => {}
    }
}
