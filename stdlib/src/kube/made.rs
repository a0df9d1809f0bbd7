//! Objects that a step made, told by what they then were: a way back deletes only what is still so.

use super::{
    api::{Answer, Api, Ask},
    objects::{managers, result, wanted},
    resource::Kind,
};
use crate::kubectl;
use http::Method;
use keybook_api::{Ctx, Fault, Map, Secret, Value, returns::Key};
use serde_json::{Value as Json, json};

/// The keys of the result of an action that changes one object.
pub const NAME: Key = Key::plain("name", "The object's name.");
/// See [`NAME`].
pub const UID: Key = Key::plain("uid", "Its UID.");
/// See [`NAME`].
pub const VERSION: Key = Key::plain("resource_version", "Its version after that.");
/// See [`NAME`].
pub const CREATED: Key = Key::plain("created", "Whether it was made.");
/// See [`NAME`].
pub const MADE: Key = Key::plain(
    "made",
    "A keyed hash of what was made, by which undo tells whether it is still so; null where nothing was made, or where nobody can \
tell any more what it then was.",
);

/// What the cluster's own controllers write into an object soon after it was made, by its kind.
const CONTROLLERS: [(&str, &[&str]); 2] = [
    ("Deployment", &["metadata", "annotations", "deployment.kubernetes.io/revision"]),
    ("ServiceAccount", &["secrets"]),
];

/// A keyed hash of the object, but for status and bookkeeping.
fn digest(ctx: &Ctx, object: &Json) -> String {
    let mut object = wanted(object);
    let kind = kubectl::text(&object, "/kind").to_owned();
    for (_, path) in CONTROLLERS.iter().filter(|(own, _)| *own == kind) {
        take(&mut object, path);
    }
    Secret::new(object.to_string()).keyed_hash(&ctx.salt)
}

/// Takes a key away, and the maps around it that this leaves empty.
fn take(object: &mut Json, path: &[&str]) {
    let (Some((first, rest)), Json::Object(map)) = (path.split_first(), object) else { return };
    match map.get_mut(*first) {
        Some(inner) if !rest.is_empty() => {
            take(inner, rest);
            if inner.as_object().is_some_and(serde_json::Map::is_empty) {
                map.remove(*first);
            }
        }
        _ => drop(map.remove(*first)),
    }
}

/// The result for an object that was made just now.
pub fn made(ctx: &Ctx, name: &str, object: &Json) -> Map {
    told(name, object, true, Some(digest(ctx, object)))
}

/// The result for an object that was there before.
pub fn kept(name: &str, object: &Json) -> Map {
    told(name, object, false, None)
}

/// The result for an object that is found after a crash, and that this manager made: as it then was when nobody else has
/// set anything of it.
pub fn found(ctx: &Ctx, name: &str, object: &Json, manager: &str) -> Map {
    let own = managers(object).is_some_and(|all| all == [manager]);
    told(name, object, true, own.then(|| digest(ctx, object)))
}

fn told(name: &str, object: &Json, created: bool, made: Option<String>) -> Map {
    let mut all = result(name, object, created);
    all.insert("made".to_owned(), made.into());
    all
}

/// Deletes an object that was made, as it is now.
///
/// # Errors
/// Inside: why it is left. Outside: no answer came.
pub async fn delete(
    ctx: &Ctx,
    api: &Api,
    kind: &Kind,
    namespace: &str,
    now: &Json,
    done: &Value,
) -> Result<Result<Answer, &'static str>, Fault> {
    if let Err(why) = is_as_made(ctx, now, done) {
        return Ok(Err(why));
    }
    let name = kubectl::text(now, "/metadata/name");
    let text = |pointer| kubectl::text(now, pointer);
    let doing = format!("delete {}, which was made", kind.words(Some(namespace), name));
    let preconditions =
        json!({"uid": text("/metadata/uid"), "resourceVersion": text("/metadata/resourceVersion")});
    let body = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
        "preconditions": preconditions});
    let ask = Ask::send(&doing, Method::DELETE, kind.object(Some(namespace), name), body);
    api.ask(ctx, ask).await.map(Ok)
}

fn is_as_made(ctx: &Ctx, now: &Json, done: &Value) -> Result<(), &'static str> {
    match done.get("uid").and_then(Value::as_str) {
        None => return Err("nobody can tell whether the one that is there now is the one that was made"),
        Some(uid) if uid != kubectl::text(now, "/metadata/uid") => {
            return Err("the one that is there now is not the one that was made");
        }
        Some(_) => {}
    }
    match done.get("made").and_then(Value::as_str) {
        None => Err("nobody can tell whether it still is as it was made"),
        Some(made) if made == digest(ctx, now) => Ok(()),
        Some(_) => Err("someone else changed it since it was made"),
    }
}
