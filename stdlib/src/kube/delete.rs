use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, NAMESPACE, RESOURCE, SERVER,
    api::{Api, Ask},
    list::{SELECTOR, Select, list},
    resource::{Kind, opt_name},
    wait::passes,
};
use crate::{
    kubectl,
    support::{
        tell::{self, failed, missing},
        waiting,
    },
};
use async_trait::async_trait;
use http::Method;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack, returns::Key, value::map,
};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Deletes objects.
pub struct Delete;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.delete",
    summary: "Deletes objects at the API server, such as pods that must start anew.",
    doc: "Deletes the object of a name, or all that a selector matches in one namespace, each by its UID, and waits until they are gone. The \
plan names each of them; when others are there by the time it is carried out, nothing is deleted. A name that is not there is fine; a \
selector that matches nothing is an error. With `uid` only that very object is deleted. What waits for a finalizer is named with it when \
the time is up. A static pod does not restart this way (its mirror is made again): use `static_pod.stop`.\n\n\
After a crash the objects' UIDs tell: every planned one gone, done; else not done.\n\n\
Errors: neither or both of `name` and `selector`, an empty selection, an object that is still there when the time is up, whatever the \
server refuses ([deletion](https://kubernetes.io/docs/concepts/architecture/garbage-collection/)).",
    effect: Effect::Changes,
    args: &[
        RESOURCE,
        ArgSpec::optional("name", ArgKind::Text, "", "The object's name."),
        SELECTOR,
        NAMESPACE,
        ArgSpec::optional("uid", ArgKind::Text, "", "With `name`: the UID that it must have."),
        ArgSpec::optional(
            "grace",
            ArgKind::Duration,
            "the object's own",
            "How long its containers may take to end.",
        ),
        ArgSpec::optional("wait", ArgKind::Bool, "true", "Wait until they are gone."),
        ArgSpec::optional("timeout", ArgKind::Duration, "2m", "How long they may take to be gone."),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(&[Key::plain("deleted", "The objects' names; null after a crash.")]),
    way_back: WayBack::None,
    example: "kube.delete:\n  resource: pods\n  selector: k8s-app=kube-proxy\n  namespace: kube-system\n",
};

/// How often it is looked whether they are gone.
const BEAT: Duration = Duration::from_secs(1);

#[async_trait]
impl Action for Delete {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let found = async {
            let job = Job::from_args(ctx, args).await?;
            let found = job.find(ctx).await?;
            Ok::<_, Fault>((job, found))
        };
        let (job, found) = match found.await {
            Ok(found) => found,
            Err(fault) => return tell::planned(ctx, self, args, Err(fault)),
        };
        if found.is_empty() {
            return Ok(Plan {
                basis: "none".to_owned(),
                ..Plan::wont(format!("there is no {}", job.what()))
            });
        }
        let uids: Vec<&str> = found.iter().map(|one| one.uid.as_str()).collect();
        let (basis, memo) = (uids.join(" "), Value::Map(map([("uids", uids.into())])));
        let lines = found.iter().map(|one| format!("delete {} (uid {})", job.words(&one.name), one.uid));
        Ok(Plan { basis, memo, ..Plan::will(lines.collect::<Vec<_>>()) })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let job = Job::from_args(ctx, args).await?;
        let found = job.find(ctx).await?;
        let approved = uids(&ctx.planned);
        if ctx.planned.get("uids").is_some() && found.iter().any(|one| !approved.contains(&one.uid.as_str()))
        {
            return Err(failed(ctx, job.doing(), "other objects are there than when this was planned")
                .now("nothing was deleted")
                .hint("When you resume, it is planned again from what is there then."));
        }
        let names: Vec<String> = found.iter().map(|one| one.name.clone()).collect();
        for one in &found {
            job.delete(ctx, one).await?;
        }
        if job.wait {
            job.gone(ctx, &found).await?;
        }
        let result = map([("deleted", names.into())]);
        Ok(if found.is_empty() { Applied::unchanged(result) } else { Applied::changed(result) })
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let job = Job::from_args(ctx, args).await?;
        let left = job.there(ctx).await?.iter().any(|object| uids(memo).contains(&uid(object)));
        Ok(match left {
            true => Reconcile::NotDone,
            false => Reconcile::Done(Value::Map(map([("deleted", Value::Null)]))),
        })
    }
}

fn uids(memo: &Value) -> Vec<&str> {
    let list = memo.get("uids").and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

fn uid(object: &Json) -> &str {
    kubectl::text(object, "/metadata/uid")
}

/// One object to delete.
struct Doomed {
    name: String,
    uid: String,
}

struct Job {
    api: Api,
    kind: Kind,
    namespace: String,
    name: Option<String>,
    selector: Option<String>,
    uid: Option<String>,
    grace: Option<Duration>,
    wait: bool,
    timeout: Duration,
}

impl Job {
    async fn from_args(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let text = |name: &str| args.opt_text(name).map(|text| text.map(str::to_owned));
        let (name, selector) = (opt_name(args, "name")?.map(str::to_owned), text("selector")?);
        if name.is_some() == selector.is_some()
            || selector.as_deref().is_some_and(|text| text.trim().is_empty())
        {
            return Err(Fault::usage("read the arguments", "give `name` or `selector`, and not both"));
        }
        let uid = text("uid")?;
        if uid.is_some() && name.is_none() {
            return Err(Fault::usage("read the arguments", "`uid` goes with `name`"));
        }
        let namespace = opt_name(args, "namespace")?.map(str::to_owned);
        let api = Api::from_args(ctx, args).await?;
        Ok(Self {
            kind: Kind::from_args(ctx, &api, args).await?,
            namespace: namespace.unwrap_or_else(|| api.access.namespace.clone()),
            api,
            name,
            selector,
            uid,
            grace: args.opt_duration("grace")?,
            wait: args.bool_or("wait", true)?,
            timeout: args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(120)),
        })
    }

    fn words(&self, name: &str) -> String {
        self.kind.words(Some(&self.namespace), name)
    }

    fn what(&self) -> String {
        match (&self.name, &self.selector) {
            (Some(name), _) => self.words(name),
            (None, selector) => {
                format!("{} with {}", self.kind.plural, selector.as_deref().unwrap_or_default())
            }
        }
    }

    fn doing(&self) -> String {
        format!("delete {}", self.what())
    }

    /// The objects that are there.
    async fn there(&self, ctx: &Ctx) -> Result<Vec<Json>, Fault> {
        match &self.name {
            Some(name) => {
                let path = self.kind.object(Some(&self.namespace), name);
                let found = self.api.find(ctx, &format!("get {}", self.what()), &path).await?;
                let right = |object: &Json| self.uid.as_deref().is_none_or(|wanted| wanted == uid(object));
                Ok(found.into_iter().filter(right).collect())
            }
            None => {
                let select = Select { labels: self.selector.as_deref(), fields: None };
                Ok(list(ctx, &self.api, &self.kind, Some(&self.namespace), &select).await?.0)
            }
        }
    }

    async fn find(&self, ctx: &Ctx) -> Result<Vec<Doomed>, Fault> {
        let found = self.there(ctx).await?;
        if found.is_empty() && self.name.is_none() {
            let why = missing("object that the selector matches");
            return Err(failed(ctx, self.api.attempted(&self.doing()), why).now("nothing was deleted"));
        }
        let doomed = |object: &Json| Doomed {
            name: kubectl::text(object, "/metadata/name").to_owned(),
            uid: uid(object).to_owned(),
        };
        Ok(found.iter().map(doomed).collect())
    }

    async fn delete(&self, ctx: &Ctx, one: &Doomed) -> Result<(), Fault> {
        let doing = format!("delete {}", self.words(&one.name));
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": {"uid": one.uid}});
        if let (Some(grace), Json::Object(options)) = (self.grace, &mut body) {
            options.insert("gracePeriodSeconds".to_owned(), grace.as_secs().into());
        }
        let path = self.kind.object(Some(&self.namespace), &one.name);
        let answer = self.api.ask(ctx, Ask::send(&doing, Method::DELETE, path, body)).await?;
        // One that is gone, or another one of that name, is what was wanted.
        match answer.status.is_success() || answer.is_absent() || answer.is_conflict() {
            true => Ok(()),
            false => Err(self.api.refused(ctx, &doing, &answer).now("some of them may be gone")),
        }
    }

    async fn gone(&self, ctx: &Ctx, doomed: &[Doomed]) -> Result<(), Fault> {
        let doing = format!("wait until {} is gone", self.what());
        waiting::until(ctx, &doing, self.timeout, BEAT, || async {
            let there = match self.there(ctx).await {
                // A server that is away comes back; what it refuses stays refused.
                Err(fault) if passes(&fault) => return Ok(Err(fault.cause)),
                there => there?,
            };
            let left = there.iter().filter(|object| doomed.iter().any(|one| one.uid == uid(object)));
            let left: Vec<String> = left.map(|object| self.still(object)).collect();
            Ok(if left.is_empty() { Ok(()) } else { Err(left.join(", ")) })
        })
        .await
    }

    /// What keeps an object.
    fn still(&self, object: &Json) -> String {
        let name = kubectl::text(object, "/metadata/name");
        let finalizers =
            object.pointer("/metadata/finalizers").and_then(Json::as_array).into_iter().flatten();
        let finalizers: Vec<&str> = finalizers.filter_map(Json::as_str).collect();
        match finalizers.as_slice() {
            [] => format!("{name} is still there"),
            some => format!("{name} waits for its finalizers {}", some.join(", ")),
        }
    }
}
