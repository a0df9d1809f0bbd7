use super::{
    RETURNS,
    edit::{self, Format, PATH, REMOVE, SET},
    reconcile_file,
};
use async_trait::async_trait;
use keybook_api::{Action, ActionSpec, Applied, Args, Ctx, Effect, Fault, Plan, Reconcile, Value, WayBack};
use keybook_source::edit::{remove_yaml, set_yaml};

/// Edits a YAML file.
pub struct EditYaml;

const FORMAT: Format = Format { set: set_yaml, remove: remove_yaml };

const SPEC: ActionSpec = ActionSpec {
    name: "file.edit_yaml",
    summary: "Changes values in a YAML file and keeps every other byte.",
    doc: "Comments, order, indentation, quotes and line ends of the rest stay as they are; the result is read again and compared before it is \
written. Mode and owner stay. First every `set`, then every `remove`. Places: `a.b` is the key `b` in the value of `a` (quoted when it has dots: `labels[\"a.b/c\"]`), `[0]` the first item of a list, `[name=x]` the item \
that is a map with `name: x`, `[--flag=]` the text in a list that begins so.\n\n\
After a crash the file's digest tells what became of it, as for `file.put`.\n\n\
Errors: no such file, not valid YAML, a place that leads nowhere or to several values.",
    effect: Effect::Changes,
    args: &[PATH, SET, REMOVE],
    returns: RETURNS,
    way_back: WayBack::Files,
    example: "file.edit_yaml:\n  path: /var/lib/kubelet/config.yaml\n  set:\n    rotateCertificates: true\n    serverTLSBootstrap: true\n",
};

#[async_trait]
impl Action for EditYaml {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        edit::describe(ctx, args, self, &FORMAT).await
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        edit::apply(ctx, args, &FORMAT).await
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, memo: &Value) -> Result<Reconcile, Fault> {
        reconcile_file(ctx, args.path("path")?, memo).await
    }
}
