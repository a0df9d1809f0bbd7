//! What `file.edit_json` and `file.edit_yaml` share.

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
        (_, None) => tell::not_there_yet(ctx, action, files::missing(&*ctx.target, args.path("path")?)),
    }
}

pub async fn apply(ctx: &Ctx, args: &Args, format: &Format) -> Result<Applied, Fault> {
    let path = args.path("path")?;
    let file = files::need(&*ctx.target, path).await?;
    let (now, changed) = change(ctx, args, format, &file).await?.apply(ctx).await?;
    Ok(Applied { changed, ..Applied::changed(now.result(path)) })
}

async fn change(ctx: &Ctx, args: &Args, format: &Format, file: &Current) -> Result<FileChange, Fault> {
    let path = args.path("path")?;
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
