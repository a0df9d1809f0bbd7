use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, NAMESPACE, RESOURCE, SERVER,
    api::Api,
    list::{SELECTOR, Select, list},
    resource::{Kind, opt_name, query},
};
use crate::{
    kubectl,
    support::{
        tell::{self, stopped},
        waiting,
    },
};
use async_trait::async_trait;
use futures::TryStreamExt;
use http::Request;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, FaultKind, Plan, Returns,
    WayBack, duration, returns::Key, value::map,
};
use kube::core::WatchEvent;
use serde_json::Value as Json;
use std::time::Duration;
use tokio::{sync::OnceCell, time::Instant};

/// Waits for objects.
pub struct Wait;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.wait",
    summary: "Waits until objects have a condition, or are gone.",
    doc: "Looks once, then watches; a watch that ends, breaks off or is too old (410 Gone) is begun again from a new look, so that an API \
server which restarts meanwhile is no end of it. Of the objects of a selector all must be so, and there must be at least one, unless they \
shall be `gone`.\n\n\
Errors: the time is up, with what is not so yet; neither or both of `condition` and `gone`; what the server refuses \
([conditions](https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions)).",
    effect: Effect::Reads,
    args: &[
        RESOURCE,
        ArgSpec::optional("name", ArgKind::Text, "", "The object's name."),
        SELECTOR,
        NAMESPACE,
        ArgSpec::optional("condition", ArgKind::Text, "", "The type of the condition, such as `Ready`."),
        ArgSpec::optional("status", ArgKind::Text, "True", "The status that it shall have."),
        ArgSpec::optional("gone", ArgKind::Bool, "false", "Wait until there is none."),
        ArgSpec::optional("timeout", ArgKind::Duration, "5m", "How long it may take."),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(&[Key::plain("names", "The objects' names.")]),
    way_back: WayBack::Nothing,
    example: "kube.wait:\n  resource: nodes\n  name: cp1\n  condition: Ready\n  timeout: 10m\n",
};

/// How long after a failure it looks again.
const BEAT: Duration = Duration::from_secs(2);

/// The longest that one watch is asked for, and that it may stay silent.
const WATCH: Duration = Duration::from_secs(240);

#[async_trait]
impl Action for Wait {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let wanted = Wanted::from_args(args)?;
        let what = opt_name(args, "name")?.or(args.opt_text("selector")?).unwrap_or_default();
        let resource = args.text("resource")?;
        Ok(tell::reads(format!("wait until {resource} {what} {}", wanted.words())))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let waiting = Waiting::from_args(ctx, args).await?;
        let names = waiting.until_so(ctx).await?;
        Ok(Applied::unchanged(map([("names", names.into())])))
    }
}

/// What shall be so.
struct Wanted {
    condition: Option<String>,
    status: String,
}

impl Wanted {
    fn from_args(args: &Args) -> Result<Self, Fault> {
        let condition = args.opt_text("condition")?.map(str::to_owned);
        if condition.is_some() == args.bool_or("gone", false)? {
            return Err(Fault::usage("read the arguments", "give `condition` or `gone: true`, and not both"));
        }
        if opt_name(args, "name")?.is_some() == args.opt_text("selector")?.is_some() {
            return Err(Fault::usage("read the arguments", "give `name` or `selector`, and not both"));
        }
        Ok(Self { condition, status: args.opt_text("status")?.unwrap_or("True").to_owned() })
    }

    fn words(&self) -> String {
        match &self.condition {
            Some(condition) => format!("is {condition}={}", self.status),
            None => "is gone".to_owned(),
        }
    }

    /// The names of the objects when it is so; else what is not so yet.
    fn judge(&self, objects: &[Json]) -> Result<Vec<String>, String> {
        let name = |object: &Json| kubectl::text(object, "/metadata/name").to_owned();
        let Some(condition) = &self.condition else {
            let left: Vec<String> = objects.iter().map(name).collect();
            return if left.is_empty() { Ok(left) } else { Err(format!("still there: {}", left.join(", "))) };
        };
        if objects.is_empty() {
            return Err("there is none".to_owned());
        }
        let not: Vec<String> = objects.iter().filter_map(|object| self.lacks(object, condition)).collect();
        if not.is_empty() { Ok(objects.iter().map(name).collect()) } else { Err(not.join("; ")) }
    }

    /// What an object lacks, with what the server says of it.
    fn lacks(&self, object: &Json, condition: &str) -> Option<String> {
        let all = object.pointer("/status/conditions").and_then(Json::as_array).into_iter().flatten();
        let own = all.into_iter().find(|one| kubectl::text(one, "/type").eq_ignore_ascii_case(condition));
        let name = kubectl::text(object, "/metadata/name");
        let Some(own) = own else { return Some(format!("{name} has no condition {condition}")) };
        let (status, message) = (kubectl::text(own, "/status"), kubectl::text(own, "/message"));
        if status.eq_ignore_ascii_case(&self.status) {
            return None;
        }
        let why = if message.is_empty() { String::new() } else { format!(" ({message})") };
        Some(format!("{name} is {condition}={status}{why}"))
    }
}

/// A wait that is under way.
struct Waiting {
    api: Api,
    resource: String,
    /// What the server says that `resource` is, once it has answered.
    kind: OnceCell<Kind>,
    namespace: String,
    name: Option<String>,
    labels: Option<String>,
    fields: Option<String>,
    wanted: Wanted,
    timeout: Duration,
    begun: Instant,
}

/// How a watch ended.
enum Ended {
    So(Vec<String>),
    /// To be begun again, after a pause when it was a failure.
    Again {
        failed: bool,
    },
}

impl Waiting {
    async fn from_args(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let wanted = Wanted::from_args(args)?;
        let name = opt_name(args, "name")?;
        let labels = args.opt_text("selector")?.map(str::to_owned);
        let namespace = opt_name(args, "namespace")?.map(str::to_owned);
        let api = Api::from_args(ctx, args).await?;
        Ok(Self {
            resource: args.text("resource")?.to_owned(),
            kind: OnceCell::new(),
            name: name.map(str::to_owned),
            namespace: namespace.unwrap_or_else(|| api.access.namespace.clone()),
            fields: name.map(|name| format!("metadata.name={name}")),
            timeout: args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(300)),
            begun: Instant::now(),
            api,
            labels,
            wanted,
        })
    }

    fn doing(&self) -> String {
        let what = match (&self.name, self.kind.get()) {
            (Some(name), Some(kind)) => kind.words(Some(&self.namespace), name),
            (Some(name), None) => format!("{}/{name}", self.resource),
            (None, _) => format!("{} with {}", self.resource, self.labels.as_deref().unwrap_or_default()),
        };
        format!("wait until {what} {}", self.wanted.words())
    }

    /// The objects and the version of their list. What the kind is, is asked until the server has answered that once: it may
    /// be away at the beginning, too.
    async fn look(&self, ctx: &Ctx) -> Result<(&Kind, Vec<Json>, String), Fault> {
        let kind = self.kind.get_or_try_init(|| Kind::find(ctx, &self.api, &self.resource)).await?;
        let select = Select { labels: self.labels.as_deref(), fields: self.fields.as_deref() };
        let (objects, version) = list(ctx, &self.api, kind, Some(&self.namespace), &select).await?;
        Ok((kind, objects, version))
    }

    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.begun.elapsed())
    }

    async fn until_so(&self, ctx: &Ctx) -> Result<Vec<String>, Fault> {
        loop {
            let seen = match self.look(ctx).await {
                Ok((kind, objects, version)) => match self.wanted.judge(&objects) {
                    Ok(names) => return Ok(names),
                    Err(not_yet) => Ok((kind, objects, version, not_yet)),
                },
                // A server that is away comes back; what it refuses stays refused.
                Err(fault) if passes(&fault) => Err(fault.cause),
                Err(fault) => return Err(fault),
            };
            let not_yet = match &seen {
                Ok((.., not_yet)) | Err(not_yet) => not_yet.clone(),
            };
            if self.left().is_zero() {
                return Err(self.late(ctx, &not_yet));
            }
            self.tell(ctx, &not_yet);
            let ended = match seen {
                Ok((kind, objects, version, _)) => self.watch(ctx, kind, objects, &version).await?,
                Err(_) => Ended::Again { failed: true },
            };
            match ended {
                Ended::So(names) => return Ok(names),
                Ended::Again { failed: true } => {
                    waiting::pause(ctx, BEAT.min(self.left()), &self.doing()).await?
                }
                Ended::Again { failed: false } => {}
            }
        }
    }

    fn tell(&self, ctx: &Ctx, not_yet: &str) {
        ctx.sink.progress(&format!("{} ({} s): {not_yet}", self.doing(), self.begun.elapsed().as_secs()));
    }

    fn late(&self, ctx: &Ctx, not_yet: &str) -> Fault {
        let cause = format!("not so after {}: {not_yet}", duration::format(self.timeout));
        Fault::new(FaultKind::TimedOut, self.api.attempted(&self.doing()), cause).on(ctx.target.name())
    }

    /// Watches from a list on, until it is so, the watch ends or the time is up.
    async fn watch(
        &self,
        ctx: &Ctx,
        kind: &Kind,
        mut objects: Vec<Json>,
        version: &str,
    ) -> Result<Ended, Fault> {
        let limit = self.left().min(WATCH);
        let seconds = limit.as_secs().max(1).to_string();
        let path = kind.collection(Some(&self.namespace));
        let pairs = [
            ("watch", Some("true")),
            ("resourceVersion", Some(version)),
            ("timeoutSeconds", Some(seconds.as_str())),
            ("labelSelector", self.labels.as_deref()),
            ("fieldSelector", self.fields.as_deref()),
        ];
        let Ok(request) = Request::get(format!("{path}{}", query(&pairs))).body(Vec::new()) else {
            return Ok(Ended::Again { failed: true });
        };
        let watching = async {
            let Ok(events) = self.api.client.request_events::<Json>(request).await else {
                return Ended::Again { failed: true };
            };
            let mut events = std::pin::pin!(events);
            let mut any = false;
            while let Ok(Some(event)) = events.try_next().await {
                any = true;
                match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => replace(&mut objects, object),
                    WatchEvent::Deleted(object) => objects.retain(|one| uid(one) != uid(&object)),
                    WatchEvent::Bookmark(_) => {}
                    // Such as 410 Gone: what was listed is too old to go on from.
                    WatchEvent::Error(_) => break,
                }
                match self.wanted.judge(&objects) {
                    Ok(names) => return Ended::So(names),
                    Err(not_yet) => self.tell(ctx, &not_yet),
                }
            }
            // A server that ends each watch at once is asked no faster than by a look every while.
            Ended::Again { failed: !any }
        };
        tokio::select! {
            ended = tokio::time::timeout(limit, watching) => Ok(ended.unwrap_or(Ended::Again { failed: false })),
            () = ctx.cancel.cancelled() => Err(stopped(ctx, self.doing())),
        }
    }
}

/// Is it a failure that may pass: no connection, no answer, or a server that is starting or overloaded?
pub fn passes(fault: &Fault) -> bool {
    let busy = ["says 429", "says 500", "says 502", "says 503", "says 504"];
    matches!(fault.kind, FaultKind::Unreachable | FaultKind::TimedOut)
        || busy.iter().any(|words| fault.cause.contains(words))
}

fn uid(object: &Json) -> &str {
    kubectl::text(object, "/metadata/uid")
}

fn replace(objects: &mut Vec<Json>, object: Json) {
    match objects.iter_mut().find(|one| uid(one) == uid(&object)) {
        Some(old) => *old = object,
        None => objects.push(object),
    }
}
