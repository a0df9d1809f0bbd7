//! The change of one object, rehearsed by the server (`dryRun=All`) before it is carried out: so the plan says what the
//! server itself would make of it, and its memo has what is needed to tell what became of it and to take it back.

use super::{
    api::{Answer, Api, Ask},
    made,
    objects::{Field, changes, managers, patch_back, set, wanted},
    resource::{Kind, query},
};
use crate::support::{
    files::sha256,
    shown::holds_key,
    tell::{failed, missing},
};
use http::{Method, StatusCode};
use keybook_api::{Applied, Ctx, Diff, Fault, Plan, Reconcile, Value, returns::Key, value::map};
use serde_json::{Value as Json, json};

/// Under which name the server notes what Keybook set (`metadata.managedFields`).
pub const MANAGER: &str = "keybook";

/// How often a change, or a way back, is tried again when somebody else changes the object meanwhile.
const TRIES: u32 = 5;

/// One object, and what is to be made of it.
pub struct Change {
    /// The server.
    pub api: Api,
    /// Its kind.
    pub kind: Kind,
    /// Its namespace, for kinds that are in one.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The media type of the patch.
    pub media: &'static str,
    /// The patch.
    pub patch: Json,
    /// The object that is made where there is none; where this is absent, the patch makes it, or nothing does.
    pub new: Option<Json>,
    /// Does the patch make an object that is not there, as server-side apply does?
    pub makes: bool,
    /// The name of the manager.
    pub manager: String,
    /// Take fields over from other managers.
    pub force: bool,
}

/// What a memo holds.
struct Memo {
    created: bool,
    uid: String,
    fields: Vec<Field>,
}

impl Memo {
    fn of(value: &Value) -> Option<Self> {
        let fields = value.get("changes")?.as_list()?.iter().map(Field::from_value).collect::<Option<_>>()?;
        let uid = value.get("uid").and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self { created: value.get("created")?.as_bool()?, uid, fields })
    }

    fn to_value(&self) -> Value {
        let fields: Vec<Value> = self.fields.iter().map(Field::to_value).collect();
        Value::Map(map([
            ("created", self.created.into()),
            ("uid", self.uid.as_str().into()),
            ("changes", Value::List(fields)),
        ]))
    }
}

fn uid(object: &Json) -> &str {
    crate::kubectl::text(object, "/metadata/uid")
}

impl Change {
    fn words(&self) -> String {
        self.kind.words(Some(&self.namespace), &self.name)
    }

    fn doing(&self) -> String {
        format!("change {}", self.words())
    }

    fn path(&self) -> String {
        self.kind.object(Some(&self.namespace), &self.name)
    }

    async fn find(&self, ctx: &Ctx) -> Result<Option<Json>, Fault> {
        self.api.find(ctx, &format!("get {}", self.words()), &self.path()).await
    }

    /// Sends the change, or rehearses it. What is not rehearsed is good only for the very object that was looked at.
    async fn send(&self, ctx: &Ctx, before: Option<&Json>, dry: bool) -> Result<Answer, Fault> {
        let words = query(&[
            ("fieldManager", Some(&self.manager)),
            ("force", self.force.then_some("true")),
            ("dryRun", dry.then_some("All")),
        ]);
        let doing = if dry { self.rehearsing() } else { self.doing() };
        let ask = match (&self.new, before) {
            (Some(new), None) => {
                let path = format!("{}{words}", self.kind.collection(Some(&self.namespace)));
                Ask::send(&doing, Method::POST, path, new.clone())
            }
            (_, before) => {
                let patch = match before.filter(|_| !dry) {
                    Some(before) => guarded(&self.patch, before),
                    None => self.patch.clone(),
                };
                Ask {
                    body: Some((self.media, patch)),
                    ..Ask::send(&doing, Method::PATCH, format!("{}{words}", self.path()), Json::Null)
                }
            }
        };
        self.api.ask(ctx, ask).await
    }

    fn rehearsing(&self) -> String {
        format!("rehearse the change of {}", self.words())
    }

    fn refused(&self, ctx: &Ctx, doing: &str, answer: &Answer) -> Fault {
        let fault = self.api.refused(ctx, doing, answer).now("the object is as it was");
        let says = answer.says();
        if answer.is_others_field() {
            return fault.hint("`force: true` takes the fields over from who has set them.");
        }
        match says.contains("dry run") {
            true => fault.hint("A webhook of this cluster does not take part in rehearsals; use the `kubectl` family or `sh.run`."),
            false => fault,
        }
    }

    /// What is there, what the server would make of it, and the fields that this changes.
    async fn rehearse(&self, ctx: &Ctx) -> Result<(Option<Json>, Json, Memo), Fault> {
        let before = self.find(ctx).await?;
        if before.is_none() && self.new.is_none() && !self.makes {
            return Err(failed(ctx, self.api.attempted(&self.doing()), missing(self.words())));
        }
        let answer = self.send(ctx, before.as_ref(), true).await?;
        if !answer.status.is_success() {
            return Err(self.refused(ctx, &self.rehearsing(), &answer));
        }
        let after = answer.json;
        let old = before.as_ref().map_or(json!({}), wanted);
        let memo = Memo {
            created: before.is_none(),
            uid: before.as_ref().map_or_else(String::new, |object| uid(object).to_owned()),
            fields: changes(&old, &wanted(&after)),
        };
        if holds_key(memo.to_value().to_string().as_bytes()) {
            let why = format!("{} would hold, or holds, a private key where it changes", self.words());
            return Err(failed(ctx, self.doing(), why).now("nothing was changed").hint(
                "The plan and the journal would show it. Keys belong into Secrets, by `kube.secret_put`.",
            ));
        }
        Ok((before, after, memo))
    }

    /// The plan: what the server would change.
    pub async fn plan(&self, ctx: &Ctx) -> Result<Plan, Fault> {
        let (before, after, memo) = self.rehearse(ctx).await?;
        if memo.fields.is_empty() {
            return Ok(Plan {
                memo: memo.to_value(),
                ..Plan::wont(format!("{} is already so", self.words()))
            });
        }
        let verb = if before.is_some() { "change" } else { "create" };
        let fields: Vec<String> = memo.fields.iter().map(Field::words).collect();
        let line = match before {
            Some(_) => format!("{verb} {}: {}", self.words(), fields.join(", ")),
            None => format!("{verb} {}", self.words()),
        };
        let diff = diff(self.words(), before.as_ref(), &after);
        let basis = sha256(memo.to_value().to_string().as_bytes());
        Ok(Plan { diffs: vec![diff], basis, memo: memo.to_value(), ..Plan::will([line]) })
    }

    /// Carries it out, unless the server would make something else of it by now than was planned.
    pub async fn apply(&self, ctx: &Ctx) -> Result<Applied, Fault> {
        for _ in 0..TRIES {
            let (before, _, memo) = self.rehearse(ctx).await?;
            if let (Some(before), true) = (&before, memo.fields.is_empty()) {
                return Ok(Applied::unchanged(made::kept(&self.name, before)));
            }
            if Memo::of(&ctx.planned).is_some_and(|planned| planned.differs(&memo)) {
                let why = "the object, or what the server would make of it, is not what it was when this was planned";
                return Err(failed(ctx, self.doing(), why)
                    .now("nothing was changed")
                    .hint("When you resume, it is planned again from what is there then."));
            }
            let answer = self.send(ctx, before.as_ref(), false).await?;
            if answer.status.is_success() {
                return self.done(ctx, &answer, memo.created);
            }
            // Changed, made or deleted since the rehearsal: what that means is seen by the next one.
            if !answer.is_conflict() || answer.is_others_field() {
                return Err(self.refused(ctx, &self.doing(), &answer));
            }
        }
        Err(failed(ctx, self.api.attempted(&self.doing()), "it is changed all the time")
            .now("nothing was changed"))
    }

    fn done(&self, ctx: &Ctx, answer: &Answer, created: bool) -> Result<Applied, Fault> {
        if !created {
            return Ok(Applied::changed(made::kept(&self.name, &answer.json)));
        }
        // Server-side apply cannot be told to make something or else do nothing.
        if answer.status != StatusCode::CREATED {
            return Err(failed(ctx, self.api.attempted(&self.doing()), "somebody else made it just before")
                .now("what the manifest says is set on the object that somebody else made")
                .hint("Look at it; when you resume, it is planned again from what is there then."));
        }
        Ok(Applied::changed(made::made(ctx, &self.name, &answer.json)))
    }

    /// What became of it: the fields tell, and of a new object who made it.
    pub async fn reconcile(&self, ctx: &Ctx, memo: &Value) -> Result<Reconcile, Fault> {
        let Some(memo) = Memo::of(memo) else {
            return Ok(Reconcile::Unknown("the journal does not say what was to be changed".to_owned()));
        };
        let now = self.find(ctx).await?;
        let unknown = |why: &str| Ok(Reconcile::Unknown(format!("{} {why}", self.words())));
        match (now, memo.created) {
            (None, true) => Ok(Reconcile::NotDone),
            (None, false) => unknown("is gone: someone else deleted it"),
            (Some(now), true) if self.is_own(&now, &memo) => {
                Ok(Reconcile::Done(made::found(ctx, &self.name, &now, &self.manager).into()))
            }
            (Some(_), true) => unknown("is there, and not as this step makes it"),
            (Some(now), false) if uid(&now) != memo.uid => unknown("is another one of that name by now"),
            (Some(now), false) if memo.holds(&now) => {
                Ok(Reconcile::Done(made::kept(&self.name, &now).into()))
            }
            (Some(now), false) if memo.fields.iter().all(|field| field.of(&now) == field.before.as_ref()) => {
                Ok(Reconcile::NotDone)
            }
            _ => unknown("is neither what it was nor what this step makes of it: someone else changed it"),
        }
    }

    /// Is it one that this manager made, as far as the server tells? One that keeps no managers has the fields to tell.
    fn is_own(&self, now: &Json, memo: &Memo) -> bool {
        match managers(now) {
            Some(all) => all.contains(&self.manager.as_str()),
            None => memo.holds(now),
        }
    }

    /// Sets the fields to what they were, or deletes the object that it made.
    pub async fn undo(&self, ctx: &Ctx, memo: &Value, done: &Value) -> Result<(), Fault> {
        let Some(memo) = Memo::of(memo) else { return Ok(()) };
        for _ in 0..TRIES {
            let now = self.find(ctx).await?;
            let answer = match (now, memo.created) {
                (None, true) => return Ok(()),
                (None, false) => return Err(self.foreign(ctx, "it is gone")),
                (Some(now), true) => {
                    let deleted = made::delete(ctx, &self.api, &self.kind, &self.namespace, &now, done);
                    deleted.await?.map_err(|why| self.foreign(ctx, why))?
                }
                (Some(now), false) => match self.set_back(ctx, &memo, &now).await? {
                    Some(answer) => answer,
                    None => return Ok(()),
                },
            };
            if answer.status.is_success() || (memo.created && answer.is_absent()) {
                return Ok(());
            }
            if !answer.is_conflict() {
                return Err(self.api.refused(
                    ctx,
                    &format!("take back the change of {}", self.words()),
                    &answer,
                ));
            }
        }
        Err(self.foreign(ctx, "it is changed all the time"))
    }

    /// `None` where nothing is left to set back.
    async fn set_back(&self, ctx: &Ctx, memo: &Memo, now: &Json) -> Result<Option<Answer>, Fault> {
        if uid(now) != memo.uid {
            return Err(self.foreign(ctx, "the one that is there now is another one of that name"));
        }
        let open: Vec<&Field> =
            memo.fields.iter().filter(|field| field.of(now) != field.before.as_ref()).collect();
        if let Some(other) = open.iter().find(|field| field.of(now) != field.after.as_ref()) {
            return Err(self.foreign(ctx, &format!("{} was changed since by someone else", other.words())));
        }
        if open.is_empty() {
            return Ok(None);
        }
        let patch = guarded(&patch_back(open), now);
        let path = format!("{}{}", self.path(), query(&[("fieldManager", Some(MANAGER))]));
        let doing = format!("set {} back", self.words());
        let ask = Ask { body: Some((MERGE, patch)), ..Ask::send(&doing, Method::PATCH, path, Json::Null) };
        self.api.ask(ctx, ask).await.map(Some)
    }

    fn foreign(&self, ctx: &Ctx, why: &str) -> Fault {
        failed(ctx, format!("take back the change of {}", self.words()), why)
            .now("it was left as it is")
            .hint("Look at it, and set back by hand what is needed.")
    }
}

impl Memo {
    /// Is it another change than the one that is meant now? Of a new object the server makes up parts, and others at each
    /// rehearsal.
    fn differs(&self, now: &Self) -> bool {
        self.created != now.created || (!now.created && (self.uid != now.uid || self.fields != now.fields))
    }

    /// Is every field as this step makes it, whatever the server notes beside them?
    fn holds(&self, now: &Json) -> bool {
        let now = &wanted(now);
        self.fields.iter().all(|field| field.of(now) == field.after.as_ref())
    }
}

/// The object before and after. One that holds a private key, also where it does not change, is only described.
fn diff(path: String, before: Option<&Json>, after: &Json) -> Diff {
    let text = |object: &Json| serde_yaml::to_string(&wanted(object)).unwrap_or_default();
    let (before, after) = (before.map(text), text(after));
    let described =
        [before.as_deref(), Some(&after)].into_iter().flatten().any(|text| holds_key(text.as_bytes()));
    let show = |text: String| match described {
        true => format!("{} bytes with a private key, sha256 {}", text.len(), sha256(text.as_bytes())),
        false => text,
    };
    Diff { path, before: before.map(show), after: Some(show(after)), described }
}

/// The patch, which the server refuses (409) for any other object, and for the same one once it was changed.
fn guarded(patch: &Json, before: &Json) -> Json {
    let mut patch = patch.clone();
    for key in ["uid", "resourceVersion"] {
        let value = before.pointer(&format!("/metadata/{key}")).cloned().unwrap_or_default();
        match &mut patch {
            Json::Array(operations) => {
                operations.push(json!({"op": "replace", "path": format!("/metadata/{key}"), "value": value}));
            }
            map => set(map, &["metadata".to_owned(), key.to_owned()], value),
        }
    }
    patch
}

/// The media type of a merge patch (RFC 7396).
pub const MERGE: &str = "application/merge-patch+json";

/// The keys of the result of an action that changes one object.
pub const RESULT: &[Key] = &[made::NAME, made::UID, made::VERSION, made::CREATED, made::MADE];

/// The JSON of an argument, which must hold no secret.
pub fn json_of(argument: &str, value: &Value) -> Result<Json, Fault> {
    match value.has_secret() {
        true => Err(Fault::usage(
            format!("read the argument `{argument}`"),
            "it holds a secret, which the plan and the journal would show; for Secrets there is kube.secret_put",
        )),
        false => Ok(value.to_json()),
    }
}

/// Refuses Secrets, of which plans, memos and results would hold what is in them.
pub fn refuse_secrets(kind: &Kind) -> Result<(), Fault> {
    match kind.is_secret() {
        true => Err(Fault::usage("change a Secret", "plan and journal would show what it holds")
            .hint("Use `kube.secret_put`.")),
        false => Ok(()),
    }
}
