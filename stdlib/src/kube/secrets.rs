//! Keys of a Secret: planned and told by keyed hashes only, which nobody can guess the values by.

use super::{
    api::{Answer, Api, Ask},
    change::{MANAGER, MERGE},
    made,
    resource::{Kind, name, opt_name, query},
};
use crate::{
    kubectl,
    support::{
        files::{self, sha256},
        tell::failed,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use keybook_api::{
    Applied, Args, Ctx, Fault, Map, Plan, Reconcile, Secret, Value, Write, returns::Key, value::map,
};
use serde_json::{Value as Json, json};

/// What `kube.secret_put` returns.
pub const RESULT: &[Key] = &[
    made::NAME,
    made::UID,
    made::VERSION,
    made::CREATED,
    made::MADE,
    Key::anything(
        "keys",
        "A map from the key to the keyed hash of its value; null for one that was taken away.",
    ),
];

/// How often a change, or a way back, is tried again when somebody else changes the object meanwhile.
const TRIES: u32 = 5;

/// Keys of one Secret, and what they shall hold; `None` for those to be taken away.
pub struct Job {
    api: Api,
    namespace: String,
    name: String,
    data: Vec<(String, Option<Secret>)>,
    kind: String,
}

/// Keys with the keyed hashes of their values; `None` for a key that is not there.
type Digests = Vec<(String, Option<String>)>;

/// What is known of a Secret: its UID, its version, and the digests of the keys that count here.
struct Found {
    object: Json,
    digests: Digests,
}

impl Job {
    /// Reads the arguments.
    pub async fn from_args(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let (wanted, namespace) =
            (name(args, "name")?.to_owned(), opt_name(args, "namespace")?.map(str::to_owned));
        let value = |(key, value): (&String, &Value)| match value {
            Value::Null => Ok((key.clone(), None)),
            Value::Text(text) => Ok((key.clone(), Some(Secret::new(text.as_bytes())))),
            Value::Secret(secret) => Ok((key.clone(), Some(secret.clone()))),
            other => Err(Fault::usage(
                "read the argument `data`",
                format!("`{}` is {}, neither text nor secret", key.escape_debug(), other.type_name()),
            )),
        };
        let data = args.get("data").and_then(Value::as_map).into_iter().flatten().map(value);
        let data = data.collect::<Result<_, _>>()?;
        let api = Api::from_args(ctx, args).await?;
        let namespace = namespace.unwrap_or_else(|| api.access.namespace.clone());
        let kind = args.opt_text("type")?.unwrap_or("Opaque").to_owned();
        Ok(Self { api, namespace, name: wanted, data, kind })
    }

    fn words(&self) -> String {
        Self::kind().words(Some(&self.namespace), &self.name)
    }

    fn doing(&self) -> String {
        format!("change {}", self.words())
    }

    fn path(&self) -> String {
        Self::kind().object(Some(&self.namespace), &self.name)
    }

    fn kind() -> Kind {
        Kind::core("secrets", "Secret")
    }

    async fn find(&self, ctx: &Ctx) -> Result<Option<Found>, Fault> {
        let found = self.api.find(ctx, &format!("get {}", self.words()), &self.path()).await?;
        Ok(found.map(|object| Found {
            digests: self
                .data
                .iter()
                .map(|(key, _)| (key.clone(), held(&object, key).map(|held| held.keyed_hash(&ctx.salt))))
                .collect(),
            object,
        }))
    }

    fn after(&self, ctx: &Ctx) -> Digests {
        let digest = |value: &Secret| value.keyed_hash(&ctx.salt);
        self.data.iter().map(|(key, value)| (key.clone(), value.as_ref().map(digest))).collect()
    }

    /// Where the old values are kept: another file for other old values, so that a second attempt never writes over the
    /// first one's.
    fn kept(&self, ctx: &Ctx, before: &Digests) -> String {
        let what = format!("{} {} {before:?}", self.api.access.server.url, self.path());
        let digest = sha256(what.as_bytes());
        format!("{}/secret-{}-{}.json", ctx.staging(), self.name, digest.get(..16).unwrap_or_default())
    }

    /// The plan, with digests for values.
    pub async fn plan(&self, ctx: &Ctx) -> Result<Plan, Fault> {
        let found = self.find(ctx).await?;
        let after = self.after(ctx);
        let none = || after.iter().map(|(key, _)| (key.clone(), None)).collect();
        let before = found.as_ref().map_or_else(none, |found| found.digests.clone());
        let memo = Value::Map(map([
            ("created", found.is_none().into()),
            ("uid", found.as_ref().map(|found| kubectl::text(&found.object, "/metadata/uid")).into()),
            ("before", told(&before)),
            ("after", told(&after)),
            ("kept", found.as_ref().map(|_| self.kept(ctx, &before)).into()),
        ]));
        let basis = sha256(memo.to_string().as_bytes());
        if found.is_some() && before == after {
            return Ok(Plan { basis, memo, ..Plan::wont(format!("{} already holds that", self.words())) });
        }
        let short = |digest: &Option<String>| match digest {
            Some(digest) => format!("keyed hash {}…", digest.get(..12).unwrap_or_default()),
            None => "nothing".to_owned(),
        };
        let verb = if found.is_some() { "change" } else { "create" };
        let keys = before.iter().zip(&after).filter(|(old, new)| old != new);
        let lines =
            keys.map(|((key, old), (_, new))| format!("{key}: {} becomes {}", short(old), short(new)));
        let lines: Vec<String> = [format!("{verb} {}", self.words())].into_iter().chain(lines).collect();
        Ok(Plan { basis, memo, ..Plan::will(lines) })
    }

    /// Keeps the old values, then writes the new ones.
    pub async fn apply(&self, ctx: &Ctx) -> Result<Applied, Fault> {
        for _ in 0..TRIES {
            let found = self.find(ctx).await?;
            if let Some(found) = found.as_ref().filter(|found| found.digests == self.after(ctx)) {
                let all = made::kept(&self.name, &found.object);
                return Ok(Applied::unchanged(self.result(ctx, all)));
            }
            self.refuse_other(ctx, found.as_ref())?;
            let answer = match &found {
                Some(found) => self.write(ctx, found).await?,
                None => self.create(ctx).await?,
            };
            if answer.status.is_success() {
                let all = match found {
                    Some(_) => made::kept(&self.name, &answer.json),
                    None => made::made(ctx, &self.name, &answer.json),
                };
                return Ok(Applied::changed(self.result(ctx, all)));
            }
            // Changed or made since it was looked at: what that means is seen by looking again.
            if !answer.is_conflict() {
                return Err(self.api.refused(ctx, &self.doing(), &answer));
            }
        }
        Err(failed(ctx, self.api.attempted(&self.doing()), "it is changed all the time")
            .now("it is as others have made it"))
    }

    /// A fault when it does not hold what it held when this was planned.
    fn refuse_other(&self, ctx: &Ctx, found: Option<&Found>) -> Result<(), Fault> {
        let (before, uid) = (ctx.planned.get("before"), ctx.planned.get("uid").and_then(Value::as_str));
        let other = |found: &Found| {
            before.is_some_and(|before| *before != told(&found.digests))
                || uid.is_some_and(|uid| uid != kubectl::text(&found.object, "/metadata/uid"))
        };
        let made = ctx.planned.get("created").and_then(Value::as_bool);
        if made.is_some_and(|made| made != found.is_none()) || found.is_some_and(other) {
            return Err(failed(ctx, self.doing(), "it does not hold what it held when this was planned")
                .now("nothing was changed")
                .hint("When you resume, it is planned again from what is there then."));
        }
        Ok(())
    }

    async fn write(&self, ctx: &Ctx, found: &Found) -> Result<Answer, Fault> {
        self.keep(ctx, found).await?;
        self.api.ask(ctx, patch(&self.doing(), self.path(), &found.object, self.body())).await
    }

    async fn create(&self, ctx: &Ctx) -> Result<Answer, Fault> {
        let mut body = json!({"apiVersion": "v1", "kind": "Secret", "type": self.kind, "data": self.body(),
            "metadata": {"name": self.name, "namespace": self.namespace}});
        if let Some(Json::Object(data)) = body.get_mut("data") {
            data.retain(|_, value| !value.is_null());
        }
        let collection = Self::kind().collection(Some(&self.namespace));
        let path = format!("{collection}{}", query(&[("fieldManager", Some(MANAGER))]));
        let doing = format!("create {}", self.words());
        self.api.ask(ctx, Ask::send(&doing, Method::POST, path, body)).await
    }

    fn body(&self) -> Json {
        let coded = |value: &Option<Secret>| value.as_ref().map(|value| STANDARD.encode(value.expose()));
        self.data.iter().map(|(key, value)| (key.clone(), Json::from(coded(value)))).collect()
    }

    async fn keep(&self, ctx: &Ctx, found: &Found) -> Result<(), Fault> {
        let path = self.kept(ctx, &found.digests);
        let old = |key: &String| found.object.pointer("/data").and_then(|data| data.get(key)).cloned();
        let old: Json =
            self.data.iter().map(|(key, _)| (key.clone(), old(key).unwrap_or_default())).collect();
        let content = Secret::new(old.to_string());
        ctx.target.make_dir(&ctx.staging(), 0o700).await?;
        ctx.target.write(&path, Write { content, mode: Some(0o600), owner: None, create_new: false }).await
    }

    fn result(&self, ctx: &Ctx, mut all: Map) -> Value {
        all.insert("keys".to_owned(), told(&self.after(ctx)));
        Value::Map(all)
    }

    /// What became of it: the digests tell.
    pub async fn reconcile(&self, ctx: &Ctx, memo: &Value) -> Result<Reconcile, Fault> {
        let created = memo.get("created").and_then(Value::as_bool).unwrap_or(false);
        let Some(found) = self.find(ctx).await? else {
            return Ok(match created {
                true => Reconcile::NotDone,
                false => Reconcile::Unknown(format!("{} is gone: someone else deleted it", self.words())),
            });
        };
        let now = Some(told(&found.digests));
        Ok(match (now == memo.get("after").cloned(), now == memo.get("before").cloned()) {
            (true, _) => {
                let all = match created {
                    true => made::found(ctx, &self.name, &found.object, MANAGER),
                    false => made::kept(&self.name, &found.object),
                };
                Reconcile::Done(self.result(ctx, all))
            }
            (_, true) if !created => Reconcile::NotDone,
            _ => Reconcile::Unknown(format!(
                "{} holds neither what it held nor what this step writes",
                self.words()
            )),
        })
    }

    /// Writes the old values, or deletes what was made.
    pub async fn undo(&self, ctx: &Ctx, memo: &Value, done: &Value) -> Result<(), Fault> {
        let created = memo.get("created").and_then(Value::as_bool).unwrap_or(false);
        for _ in 0..TRIES {
            let Some(found) = self.find(ctx).await? else {
                return if created { Ok(()) } else { Err(self.foreign(ctx, "it is gone")) };
            };
            let now = Some(told(&found.digests));
            if !created && now == memo.get("before").cloned() {
                return Ok(());
            }
            if now != memo.get("after").cloned() {
                return Err(self.foreign(ctx, "someone else changed it since"));
            }
            let answer = if created {
                let kind = Self::kind();
                let deleted = made::delete(ctx, &self.api, &kind, &self.namespace, &found.object, done);
                deleted.await?.map_err(|why| self.foreign(ctx, why))?
            } else {
                self.set_back(ctx, memo, &found).await?
            };
            if answer.status.is_success() || (created && answer.is_absent()) {
                return Ok(());
            }
            if !answer.is_conflict() {
                return Err(self.api.refused(ctx, &self.undoing(), &answer));
            }
        }
        Err(self.foreign(ctx, "it is changed all the time"))
    }

    async fn set_back(&self, ctx: &Ctx, memo: &Value, found: &Found) -> Result<Answer, Fault> {
        let uid = memo.get("uid").and_then(Value::as_str);
        if uid.is_some_and(|uid| uid != kubectl::text(&found.object, "/metadata/uid")) {
            return Err(self.foreign(ctx, "the one that is there now is another one of that name"));
        }
        let kept = memo.get("kept").and_then(Value::as_str).unwrap_or_default();
        let file = files::need(&*ctx.target, kept).await?;
        let old: Json = serde_json::from_slice(file.content.expose())
            .map_err(|_| self.foreign(ctx, "the file with the old values cannot be read"))?;
        self.api.ask(ctx, patch(&self.undoing(), self.path(), &found.object, old)).await
    }

    fn undoing(&self) -> String {
        format!("set {} back", self.words())
    }

    fn foreign(&self, ctx: &Ctx, why: &str) -> Fault {
        failed(ctx, self.undoing(), why)
            .now("it was left as it is")
            .hint("Look at it, and set back by hand what is needed.")
    }
}

/// A merge patch of what it holds, good only for the very object that was looked at.
fn patch<'a>(doing: &'a str, path: String, object: &Json, data: Json) -> Ask<'a> {
    let own = |key: &str| object.pointer(&format!("/metadata/{key}")).cloned().unwrap_or_default();
    let metadata = json!({"uid": own("uid"), "resourceVersion": own("resourceVersion")});
    let path = format!("{path}{}", query(&[("fieldManager", Some(MANAGER))]));
    let body = json!({"metadata": metadata, "data": data});
    Ask { body: Some((MERGE, body)), ..Ask::send(doing, Method::PATCH, path, Json::Null) }
}

/// What a Secret holds under a key; what is no base64 counts as it stands.
fn held(object: &Json, key: &str) -> Option<Secret> {
    let coded = object.get("data")?.get(key)?.as_str()?;
    Some(Secret::new(STANDARD.decode(coded).unwrap_or_else(|_| coded.as_bytes().to_vec())))
}

fn told(digests: &Digests) -> Value {
    Value::Map(digests.iter().map(|(key, digest)| (key.clone(), digest.clone().into())).collect())
}
