use super::{
    CONTEXT, KUBECONFIG, KUBECTL, Kubectl, NAMESPACE, get::selection, items, required, text, trouble,
};
use crate::support::tell::{self, failed, missing};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack, duration, returns::Key, value::map,
};
use serde_json::Value as Json;
use std::time::Duration;

/// Deletes objects.
pub struct Delete;

const SPEC: ActionSpec = ActionSpec {
    name: "kubectl.delete",
    summary: "Deletes objects from the API server, such as pods that must start anew.",
    doc: "Deletes the object of a name, or all that a selector matches in one namespace, by their names, and waits until they are gone. \
The plan names each of them; when others are there by the time it is carried out, nothing is deleted. A name that is not there is fine; a \
selector that matches nothing is an error. A static pod does not restart this way (its mirror is made again): use `static_pod.stop`.\n\n\
After a crash the objects' UIDs tell: every planned one gone, done; else not done.\n\n\
Errors: neither or both of `name` and `selector`, an empty selection, an object that is still there when the time is up, whatever the server \
refuses ([kubectl delete](https://kubernetes.io/docs/reference/kubectl/generated/kubectl_delete/)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("resource", ArgKind::Text, "The kind, such as `pods`."),
        ArgSpec::optional("name", ArgKind::Text, "", "The object's name."),
        ArgSpec::optional("selector", ArgKind::Text, "", "Labels, such as `app=flannel`."),
        NAMESPACE,
        ArgSpec::optional("timeout", ArgKind::Duration, "2m", "How long they may take to be gone."),
        KUBECONFIG,
        CONTEXT,
        KUBECTL,
    ],
    returns: Returns::map(&[Key::plain("deleted", "The objects' names; null after a crash.")]),
    way_back: WayBack::None,
    example: "kubectl.delete:\n  resource: pods\n  selector: k8s-app=kube-proxy\n  namespace: kube-system\n  \
kubeconfig: /etc/kubernetes/admin.conf\n",
};

#[async_trait]
impl Action for Delete {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let job = Job::from_args(args)?;
        let found = match job.find(ctx).await {
            Ok(found) => found,
            Err(fault) => return tell::planned(ctx, self, args, Err(fault)),
        };
        if found.is_empty() {
            return Ok(Plan {
                basis: "none".to_owned(),
                ..Plan::wont(format!("there is no {}", job.what()))
            });
        }
        let uids: Vec<&str> = found.iter().map(|(_, uid)| uid.as_str()).collect();
        let (basis, memo) = (uids.join(" "), Value::Map(map([("uids", uids.into())])));
        Ok(Plan { basis, memo, ..Plan::will([job.kubectl.line(&job.words(&found))]) })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let job = Job::from_args(args)?;
        let found = job.find(ctx).await?;
        let attempted = || format!("delete {}", job.what());
        let approved = uids(&ctx.planned);
        if ctx.planned.get("uids").is_some() && found.iter().any(|(_, uid)| !approved.contains(&uid.as_str()))
        {
            return Err(failed(ctx, attempted(), "other objects are there than when this was planned")
                .now("nothing was deleted")
                .hint("When you resume, it is planned again from what is there then."));
        }
        let names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return Ok(Applied::unchanged(map([("deleted", names.into())])));
        }
        let exit = job.kubectl.run(ctx, &job.words(&found), job.timeout).await?;
        match exit.ok() {
            true => Ok(Applied::changed(map([("deleted", names.into())]))),
            false => Err(failed(ctx, attempted(), trouble(&exit)).now("some of them may be gone")),
        }
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        let job = Job::from_args(args)?;
        let now = items(job.kubectl.get(ctx, &selection(args)?).await?);
        let left = now.iter().any(|object| uids(memo).contains(&text(object, "/metadata/uid")));
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

struct Job {
    kubectl: Kubectl,
    resource: String,
    selection: Vec<String>,
    by_name: bool,
    timeout: Duration,
}

impl Job {
    fn from_args(args: &Args) -> Result<Self, Fault> {
        let by_name = args.get("name").is_some();
        if !by_name && args.get("selector").is_none() {
            return Err(Fault::usage("read the arguments", "give `name` or `selector`"));
        }
        Ok(Self {
            kubectl: Kubectl::from_args(args)?,
            resource: required(args, "resource")?,
            selection: selection(args)?,
            by_name,
            timeout: args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(120)),
        })
    }

    fn what(&self) -> String {
        let place = self.kubectl.namespace.as_ref().map_or_else(String::new, |name| format!(" in {name}"));
        format!("{}{place}", self.selection.join(" "))
    }

    /// Name and UID of each object.
    async fn find(&self, ctx: &Ctx) -> Result<Vec<(String, String)>, Fault> {
        let found = items(self.kubectl.get(ctx, &self.selection).await?);
        if found.is_empty() && !self.by_name {
            return Err(failed(
                ctx,
                format!("delete {}", self.what()),
                missing("object that the selector matches"),
            )
            .now("nothing was deleted"));
        }
        let of = |object: &Json, field: &str| text(object, field).to_owned();
        Ok(found.iter().map(|object| (of(object, "/metadata/name"), of(object, "/metadata/uid"))).collect())
    }

    fn words(&self, found: &[(String, String)]) -> Vec<String> {
        let mut words = vec!["delete".to_owned(), self.resource.clone()];
        words.extend(found.iter().map(|(name, _)| name.clone()));
        words.extend(["--wait=true".to_owned(), "--ignore-not-found".to_owned()]);
        words.push(format!("--timeout={}", duration::format(self.timeout)));
        words
    }
}
