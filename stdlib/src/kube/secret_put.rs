use super::{
    ACCEPT_EXPIRED, CONTEXT, KUBECONFIG, NAMESPACE, SERVER,
    secrets::{Job, RESULT},
};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack,
};

/// Writes keys of a Secret.
pub struct SecretPut;

const SPEC: ActionSpec = ActionSpec {
    name: "kube.secret_put",
    summary: "Writes keys of a Secret; the others stay.",
    doc: "The values are what the Secret shall hold, not base64. A Secret that is not there is made, with `type`. A key whose value is null \
is taken away. Of values, old or new, plan, journal and result have only hashes under a key of the run, which tell \
whether two are the same, and not what they are.\n\n\
Undo sets the keys to what they were, unless someone else changed them since; a Secret that was made is deleted when it still is as it was made. For that the old values \
are kept in a file of the run's own folder on the host (mode 0600) before anything is changed.\n\n\
After a crash the hashes tell: those of the new values, done; those of the old ones, not done; anything else, a person must look.\n\n\
Errors: a Secret that differs from what was planned; whatever the server refuses, such as the change of an immutable one \
([Secrets](https://kubernetes.io/docs/concepts/configuration/secret/)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("name", ArgKind::Text, "Its name."),
        NAMESPACE,
        ArgSpec::required("data", ArgKind::Map, "Keys with their values, which are texts or secrets."),
        ArgSpec::optional(
            "type",
            ArgKind::Text,
            "Opaque",
            "The type of a Secret that is made, such as `kubernetes.io/tls`.",
        ),
        KUBECONFIG,
        CONTEXT,
        SERVER,
        ACCEPT_EXPIRED,
    ],
    returns: Returns::map(RESULT),
    way_back: WayBack::Undo,
    example: "kube.secret_put:\n  name: webhook-tls\n  namespace: kube-system\n  data: {note: \"renewed\"}\n",
};

#[async_trait]
impl Action for SecretPut {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let plan = async { Job::from_args(ctx, args).await?.plan(ctx).await }.await;
        tell::planned(ctx, self, args, plan)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        Job::from_args(ctx, args).await?.apply(ctx).await
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        Job::from_args(ctx, args).await?.reconcile(ctx, memo).await
    }

    async fn undo(&self, ctx: &Ctx, args: &Args, memo: &Value, result: &Value) -> Result<(), Fault> {
        Job::from_args(ctx, args).await?.undo(ctx, memo, result).await
    }
}
