//! What `file.edit_json` and `file.edit_yaml` share.

use super::apply_file;
use crate::support::{
    change::{FileChange, Wanted},
    files::{self, Current},
    tell,
};
use keybook_api::{Action, Applied, ArgKind, ArgSpec, Args, Ctx, Fault, Plan, Secret, Value};
use keybook_source::edit::{EditError, Step, parse_path};

pub const PATH: ArgSpec = ArgSpec::required("path", ArgKind::Path, "The file.");
pub const SET: ArgSpec = ArgSpec::optional(
    "set",
    ArgKind::Map,
    "{}",
    "A map from the place of a value to the value it shall have, such as `signing.default.expiry: 876000h`. Quote a place with `:` or `[`.",
);
pub const REMOVE: ArgSpec =
    ArgSpec::optional("remove", ArgKind::Texts, "[]", "Places to remove, with their keys.");

/// The functions of one format.
pub struct Format {
    pub set: fn(&str, &[Step], &Value) -> Result<String, EditError>,
    pub remove: fn(&str, &[Step]) -> Result<String, EditError>,
}

pub async fn describe(ctx: &Ctx, args: &Args, action: &dyn Action, format: &Format) -> Result<Plan, Fault> {
    let lines = lines(args)?;
    match files::look(&*ctx.target, args.path("path")?).await? {
        (_, Some(file)) => Ok(change(ctx, args, format, &file).await?.plan(lines)),
        (_, None) => tell::planned(ctx, action, args, Err(files::missing(&*ctx.target, args.path("path")?))),
    }
}

pub async fn apply(ctx: &Ctx, args: &Args, format: &Format) -> Result<Applied, Fault> {
    let path = args.path("path")?;
    let file = files::need(&*ctx.target, path).await?;
    apply_file(ctx, path, &change(ctx, args, format, &file).await?).await
}

async fn change(ctx: &Ctx, args: &Args, format: &Format, file: &Current) -> Result<FileChange, Fault> {
    let path = args.path("path")?;
    // Also when nothing was described before: an edit of nothing is a mistake.
    lines(args)?;
    let refuse = |why: String| tell::failed(ctx, format!("edit {path}"), why).now("the file is as it was");
    let text = file.content.expose_str().ok_or_else(|| refuse("it is not UTF-8 text".to_owned()))?;
    let mut text = wiped(text);
    for (place, value) in set(args)? {
        let edited = (format.set)(str_of(&text), &place, value);
        text = wiped(&edited.map_err(|error| refuse(error.to_string()))?);
    }
    for place in removals(args)? {
        let edited = (format.remove)(str_of(&text), &place);
        text = wiped(&edited.map_err(|error| refuse(error.to_string()))?);
    }
    FileChange::new(ctx, Wanted::content(path, text)).await
}

/// The file may hold a key (a kubeconfig), so every version of it is wiped.
fn wiped(text: &str) -> Secret {
    Secret::new(text)
}

fn str_of(text: &Secret) -> &str {
    text.expose_str().unwrap_or_default()
}

fn lines(args: &Args) -> Result<Vec<String>, Fault> {
    let set = args.get("set").and_then(Value::as_map).into_iter().flatten();
    let mut lines: Vec<String> = set.map(|(place, value)| format!("set {place} to {value}")).collect();
    lines.extend(args.texts("remove")?.iter().map(|place| format!("remove {place}")));
    if lines.is_empty() {
        return Err(Fault::usage("read the arguments", "nothing to edit: give `set` or `remove`"));
    }
    Ok(lines)
}

fn set(args: &Args) -> Result<Vec<(Vec<Step>, &Value)>, Fault> {
    let Some(map) = args.get("set").and_then(Value::as_map) else {
        return Ok(Vec::new());
    };
    let wrong = |why: String| Fault::usage("read the argument `set`", why);
    map.iter()
        .map(|(place, value)| match value.has_secret() {
            true => Err(wrong(format!("`{place}`: a secret cannot be set"))),
            false => Ok((parse_path(place).map_err(wrong)?, value)),
        })
        .collect()
}

fn removals(args: &Args) -> Result<Vec<Vec<Step>>, Fault> {
    let wrong = |why: String| Fault::usage("read the argument `remove`", why);
    args.texts("remove")?.iter().map(|place| parse_path(place).map_err(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{edit_json::EditJson, edit_yaml::EditYaml};
    use super::*;
    use crate::testing::{Bench, args};
    use keybook_api::{Change, Reconcile, value::map};

    #[tokio::test]
    async fn one_value_of_json_changes_and_the_rest_stays() {
        let bench = Bench::new();
        let text = "{\n  \"signing\" : {\"default\": { \"expiry\": \"87600h\" },\n\t\"old\": 1}\n}\n";
        let path = bench.file("config.json", text);
        bench.chmod("config.json", 0o640);
        let set = Value::Map(map([("signing.default.expiry", "876000h".into())]));
        let args = args([("path", path.into()), ("set", set)]);
        let plan = bench.describe(&EditJson, &args).await.unwrap();
        assert_eq!(plan.lines[0], "set signing.default.expiry to 876000h");
        assert_eq!(plan.diffs[0].before.as_deref(), Some(text));
        let reconcile = async || EditJson.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        let applied = bench.apply(&EditJson, &args).await.unwrap();
        assert_eq!(bench.read("config.json"), text.replace("87600h", "876000h"));
        assert_eq!(bench.mode("config.json"), 0o640);
        assert_eq!(reconcile().await, Reconcile::Done(applied.value));
        assert_eq!(bench.describe(&EditJson, &args).await.unwrap().change, Change::Wont);
        assert!(!bench.apply(&EditJson, &args).await.unwrap().changed);
        bench.file("config.json", "{}");
        assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
    }

    #[tokio::test]
    async fn yaml_keeps_its_comments_and_loses_what_is_removed() {
        let bench = Bench::new();
        let text = "# kubelet\nauthentication:\n  x509: {clientCAFile: /a} # here\nrotateCertificates: false\nold: 1\n";
        let path = bench.file("config.yaml", text);
        let set = Value::Map(map([("rotateCertificates", true.into())]));
        let args = args([("path", path.into()), ("set", set), ("remove", vec!["old"].into())]);
        let plan = bench.describe(&EditYaml, &args).await.unwrap();
        assert_eq!(plan.lines[..2], ["set rotateCertificates to true", "remove old"]);
        let reconcile = async || EditYaml.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotDone);
        bench.apply(&EditYaml, &args).await.unwrap();
        assert_eq!(bench.read("config.yaml"), text.replace("false", "true").replace("old: 1\n", ""));
        assert!(matches!(reconcile().await, Reconcile::Done(_)));
        bench.file("config.yaml", "x: 1\n");
        assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
    }

    #[tokio::test]
    async fn a_wrong_edit_changes_nothing() {
        let bench = Bench::new();
        let path = bench.file("f", "a: [1\n");
        let binary = bench.file("b", [0xff]);
        let one = || Value::Map(map([("a", Value::Int(2))]));
        for (path, set, remove, message) in [
            (path.as_str(), one(), Value::Null, ""),
            (binary.as_str(), one(), Value::Null, "not UTF-8"),
            (path.as_str(), Value::Null, Value::Null, "nothing to edit"),
            (path.as_str(), Value::Map(map([("a[", Value::Null)])), Value::Null, ""),
            (
                path.as_str(),
                Value::Map(map([("a", Value::Secret(Secret::new("s")))])),
                Value::Null,
                "a secret cannot be set",
            ),
            (path.as_str(), Value::Null, vec!["a["].into(), ""),
            (&bench.path("none"), one(), Value::Null, "there is no "),
        ] {
            let args = args([("path", path.into()), ("set", set), ("remove", remove)]);
            for fault in [
                bench.describe(&EditYaml, &args).await.unwrap_err(),
                bench.apply(&EditYaml, &args).await.unwrap_err(),
            ] {
                assert!(fault.cause.contains(message), "{fault}");
            }
        }
        assert_eq!(bench.read("f"), "a: [1\n");
        let later = args([("path", bench.path("none").into()), ("set", one())]);
        let plan = EditJson.describe(&bench.planning(), &later).await.unwrap();
        assert!(matches!(plan.change, Change::CannotKnow(_)));
    }
}
