use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, RESOURCE, SERVER, TIMEOUT,
    api::{Api, Ask, REQUEST},
    names_secrets,
    objects::shown,
    resource::{Kind, opt_name, query},
};
use crate::support::tell::{self, failed};
use async_trait::async_trait;
use http::StatusCode;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::Key, value::map,
};
use serde_json::Value as Json;

/// Reads all objects of a kind.
pub struct List;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.list",
    summary: "Reads the objects of a kind from the API server.",
    doc: "All that the selectors match, 500 at a time, in one namespace or in all of them. Nothing found is no error: demand what is needed \
in `expect`, for example `result.total == 3`. What Secrets hold is secret here, as for `kube.get`.\n\n\
Errors: those of `kube.get`; objects that change faster than they can be listed.",
    effect: Effect::Reads,
    args: &[
        RESOURCE,
        ArgSpec::optional("namespace", ArgKind::Text, "all of them", "The namespace."),
        SELECTOR,
        ArgSpec::optional(
            "fields",
            ArgKind::Text,
            "",
            "Fields that the server can select by, such as `status.phase=Running`.",
        ),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
        TIMEOUT,
    ],
    returns: Returns::map(&[
        Key::anything("items", "The objects."),
        Key::plain("total", "How many they are."),
    ]),
    way_back: WayBack::Nothing,
    example: "kube.list:\n  resource: pods\n  namespace: kube-system\n  selector: component=etcd\n",
};

/// The argument `selector`.
pub const SELECTOR: ArgSpec =
    ArgSpec::optional("selector", ArgKind::Text, "", "Labels, such as `component=etcd`.");

/// Objects of one answer.
const PAGE: &str = "500";

#[async_trait]
impl Action for List {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn secret_results(&self, fixed: &dyn Fn(&str) -> Option<Value>) -> &'static [&'static str] {
        if names_secrets(fixed) { &["items"] } else { &[] }
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let place = opt_name(args, "namespace")?.map_or("all namespaces".to_owned(), str::to_owned);
        Ok(tell::reads(format!("list {} in {place}", args.text("resource")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let namespace = opt_name(args, "namespace")?;
        let api = Api::with_timeout(ctx, args, args.opt_duration("timeout")?.unwrap_or(REQUEST)).await?;
        let kind = Kind::from_args(ctx, &api, args).await?;
        let select = Select { labels: args.opt_text("selector")?, fields: args.opt_text("fields")? };
        let (items, _) = list(ctx, &api, &kind, namespace, &select).await?;
        let items: Vec<Value> = items.iter().map(shown).collect();
        let total = Value::Int(items.len() as i64);
        Ok(Applied::unchanged(map([("items", Value::List(items)), ("total", total)])))
    }
}

/// Which objects.
#[derive(Clone, Copy, Default)]
pub struct Select<'a> {
    /// By labels.
    pub labels: Option<&'a str>,
    /// By fields.
    pub fields: Option<&'a str>,
}

/// All objects that are selected, each with its version and kind, and the resource version of the list.
pub async fn list(
    ctx: &Ctx,
    api: &Api,
    kind: &Kind,
    namespace: Option<&str>,
    select: &Select<'_>,
) -> Result<(Vec<Json>, String), Fault> {
    let doing = format!("list {}", kind.plural);
    // A page may have been kept too long for the next one (410 Gone): then all is read again, once.
    for _ in 0..2 {
        let (mut items, mut next) = (Vec::new(), None::<String>);
        loop {
            let pairs = [
                ("limit", Some(PAGE)),
                ("labelSelector", select.labels),
                ("fieldSelector", select.fields),
                ("continue", next.as_deref()),
            ];
            let path = format!("{}{}", kind.collection(namespace), query(&pairs));
            let answer = api.ask(ctx, Ask::get(&doing, path)).await?;
            if answer.status == StatusCode::GONE && next.is_some() {
                break;
            }
            if !answer.status.is_success() {
                return Err(api.refused(ctx, &doing, &answer));
            }
            let mut page = answer.json;
            let Some(Json::Array(found)) = page.get_mut("items").map(Json::take) else {
                return Err(failed(ctx, api.attempted(&doing), "the answer is no list"));
            };
            items.extend(found.into_iter().map(|item| named(item, kind)));
            let text = |key: &str| page.pointer(key).and_then(Json::as_str).unwrap_or_default().to_owned();
            next = Some(text("/metadata/continue")).filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok((items, text("/metadata/resourceVersion")));
            }
        }
    }
    Err(failed(ctx, api.attempted(&doing), "the objects change faster than they can be listed"))
}

/// Objects of a list do not say what they are.
fn named(mut item: Json, kind: &Kind) -> Json {
    if let Json::Object(object) = &mut item {
        for (key, value) in [("apiVersion", &kind.version), ("kind", &kind.kind)] {
            object.entry(key).or_insert_with(|| value.as_str().into());
        }
    }
    item
}
