use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, SERVER, TIMEOUT,
    api::{Api, Ask, REQUEST},
};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::Key, value::map,
};

/// Reads what is under a path.
pub struct Raw;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.raw",
    summary: "Reads what the API server has under a path, such as `/readyz?verbose`.",
    doc: "A GET. Whatever the server answers is the result, also that it is not ready (500), does not know us (401) or refuses (403): demand \
`result.status == 200`. `body` is what JSON says, or the text of anything else. Secrets, proxies and what runs in pods are not read this \
way.\n\n\
Errors: the server cannot be reached, or is not the one that the kubeconfig trusts \
([health](https://kubernetes.io/docs/reference/using-api/health-checks/)).",
    effect: Effect::Reads,
    args: &[
        ArgSpec::required("path", ArgKind::Text, "The path, with its query."),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
        TIMEOUT,
    ],
    returns: Returns::map(&[
        Key::plain("status", "The HTTP status."),
        Key::anything("body", "JSON as a value, anything else as text."),
    ]),
    way_back: WayBack::Nothing,
    example: "kube.raw:\n  path: /readyz?verbose\n  server: https://10.0.0.1:6443\n",
};

/// Parts of paths under which Secrets are, or where a GET does more than to read.
const KEPT_AWAY: [&str; 6] = ["secrets", "proxy", "exec", "attach", "portforward", "watch"];

#[async_trait]
impl Action for Raw {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads(format!("get {} from the API server", path(args)?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let path = path(args)?;
        let api = Api::with_timeout(ctx, args, args.opt_duration("timeout")?.unwrap_or(REQUEST)).await?;
        let answer = api.ask(ctx, Ask::get(&format!("get {path}"), path)).await?;
        let body = match answer.json.is_null() {
            true => String::from_utf8_lossy(&answer.bytes).into_owned().into(),
            false => Value::from_json(&answer.json),
        };
        Ok(Applied::unchanged(map([("status", Value::Int(answer.status.as_u16().into())), ("body", body)])))
    }
}

fn path(args: &Args) -> Result<&str, Fault> {
    let path = args.text("path")?;
    let wrong =
        |why: &str| Err(Fault::usage("read the argument `path`", format!("`{}` {why}", path.escape_debug())));
    if !path.starts_with('/') || !path.chars().all(|c| c.is_ascii_graphic()) || path.contains('#') {
        return wrong("is no path such as /readyz?verbose");
    }
    let (parts, query) = path.split_once('?').unwrap_or((path, ""));
    // An escaped word is one, too, and no path of an API server needs escapes.
    if parts.contains('%')
        || parts.split('/').any(|part| KEPT_AWAY.contains(&part))
        || query.contains("watch")
    {
        return wrong("is not read this way; for Secrets there is kube.get");
    }
    Ok(path)
}
