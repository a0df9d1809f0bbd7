use super::{CREATE_DIRS, MODE, OWNER, RETURNS, apply_file, reconcile_file, with_content};
use crate::support::{change::FileChange, tell};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Map, Plan, Reconcile, Secret,
    Value, WayBack,
};

/// Writes a file from a template.
pub struct Template;

const SPEC: ActionSpec = ActionSpec {
    name: "file.template",
    summary: "Writes a file from a text with placeholders.",
    doc: "Each `{{name}}` in the template becomes the value of that name; spaces inside the braces are fine. There is nothing else: no \
conditions, no loops, and a value is never looked through for placeholders. Two opening braces that are meant literally are written \
`{{{{`. A secret among the values makes the whole file secret: it is never shown. Everything else is as in `file.put`, the reconciling \
included.\n\n\
Errors: a placeholder without a value, a value without a placeholder, braces that are not closed, a value that is neither text nor a number \
nor true or false nor a secret; what `file.put` refuses.",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("path", ArgKind::Path, "The file."),
        ArgSpec::required("template", ArgKind::Text, "The text."),
        ArgSpec::required("values", ArgKind::Map, "What stands for each placeholder."),
        MODE,
        OWNER,
        CREATE_DIRS,
    ],
    returns: RETURNS,
    way_back: WayBack::Files,
    example: "file.template:\n  path: /etc/etcd.env\n  template: |\n    ETCD_NAME={{ name }}\n    ETCD_PORT={{ port }}\n  \
values: { name: m1, port: 2379 }\n  mode: \"0644\"\n",
};

#[async_trait]
impl Action for Template {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, change(ctx, args).await.map(|change| change.plan([])))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        apply_file(ctx, args.path("path")?, &change(ctx, args).await?).await
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        reconcile_file(ctx, args.path("path")?, memo).await
    }
}

async fn change(ctx: &Ctx, args: &Args) -> Result<FileChange, Fault> {
    let empty = Map::new();
    let values = args.get("values").and_then(Value::as_map).unwrap_or(&empty);
    let content = render(args.text("template")?, values)
        .map_err(|why| Fault::usage("fill in the template", why).now("nothing was written"))?;
    with_content(ctx, args, content, values.values().any(Value::has_secret)).await
}

/// The template with its placeholders filled in; the error says which line or name is wrong.
fn render(template: &str, values: &Map) -> Result<Secret, String> {
    let mut out: Vec<u8> = Vec::with_capacity(template.len());
    let mut used: Vec<&str> = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        out.extend_from_slice(before.as_bytes());
        if let Some(after) = after.strip_prefix("{{") {
            out.extend_from_slice(b"{{");
            rest = after;
            continue;
        }
        let line = template.len().saturating_sub(after.len());
        let line = template.get(..line).unwrap_or_default().matches('\n').count() + 1;
        let name = after.split_once("}}").filter(|(name, _)| !name.contains(['\n', '{']));
        let (name, after) =
            name.ok_or_else(|| format!("the braces that open at line {line} are not closed"))?;
        let name = name.trim();
        let (name, value) = values
            .get_key_value(name)
            .ok_or_else(|| format!("the placeholder `{{{{{name}}}}}` at line {line} has no value"))?;
        out.extend_from_slice(Secret::expose(&text(name, value)?));
        used.push(name);
        rest = after;
    }
    out.extend_from_slice(rest.as_bytes());
    let out = Secret::new(out);
    match values.keys().find(|name| !used.contains(&name.as_str())) {
        Some(name) => Err(format!("there is no placeholder `{{{{{name}}}}}` for the value `{name}`")),
        None => Ok(out),
    }
}

fn text(name: &str, value: &Value) -> Result<Secret, String> {
    match value {
        Value::Secret(secret) => Ok(secret.clone()),
        Value::Text(text) => Ok(Secret::new(text.as_bytes())),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => Ok(Secret::new(value.to_string())),
        other => Err(format!(
            "the value `{name}`: expected a string, a number, true or false, got {}",
            other.type_name()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use keybook_api::{Change, value::map};

    fn rendered(template: &str, values: Map) -> Result<String, String> {
        render(template, &values).map(|text| text.expose_str().unwrap().to_owned())
    }

    #[test]
    fn placeholders_are_filled_in_once() {
        let values = || map([("a", "{{b}}".into()), ("b", Value::Int(3)), ("c", true.into())]);
        assert_eq!(rendered("x={{a}} {{ b }}\n{{c}}{{a}}}", values()).unwrap(), "x={{b}} 3\ntrue{{b}}}");
        assert_eq!(rendered("{{{{ .Names }}", Map::new()).unwrap(), "{{ .Names }}");
        assert_eq!(rendered("${x} {y}", Map::new()).unwrap(), "${x} {y}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let one = || map([("a", "1".into())]);
        for (template, values, message) in [
            ("\n{{a}} {{b}}", one(), "`{{b}}` at line 2 has no value"),
            ("{{}}", Map::new(), "`{{}}` at line 1 has no value"),
            ("x", one(), "no placeholder `{{a}}`"),
            ("a\n{{a", one(), "open at line 2 are not closed"),
            ("{{a\n}}", one(), "open at line 1 are not closed"),
            ("{{a}}", map([("a", Value::List(vec![]))]), "got list"),
            ("{{a}}", map([("a", Value::Null)]), "got null"),
        ] {
            let why = rendered(template, values).unwrap_err();
            assert!(why.contains(message), "{template}: {why}");
        }
    }

    #[tokio::test]
    async fn a_file_is_written_as_by_put() {
        let bench = Bench::new();
        let path = bench.file("env", "NAME=old\n");
        let with = |value: Value| {
            let values = Value::Map(map([("name", value)]));
            args([("path", path.as_str().into()), ("template", "NAME={{name}}\n".into()), ("values", values)])
        };
        let plan = bench.describe(&Template, &with("m1".into())).await.unwrap();
        assert_eq!(plan.diffs[0].after.as_deref(), Some("NAME=m1\n"));
        let reconcile =
            async || Template.reconcile(&bench.ctx(), &with("m1".into()), &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let applied = bench.apply(&Template, &with("m1".into())).await.unwrap();
        assert_eq!(bench.read("env"), "NAME=m1\n");
        assert_eq!(reconcile().await, Reconcile::Done(applied.value));
        assert_eq!(bench.describe(&Template, &with("m1".into())).await.unwrap().change, Change::Wont);
        let secret = bench.describe(&Template, &with(Value::Secret(Secret::new("hunter2")))).await.unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
        let missing = args([
            ("path", path.as_str().into()),
            ("template", "{{b}}".into()),
            ("values", Value::Map(Map::new())),
        ]);
        assert!(bench.apply(&Template, &missing).await.unwrap_err().cause.contains("has no value"));
        assert_eq!(bench.read("env"), "NAME=m1\n");
    }
}
