use super::{DIR, PS, containers, manifests, ps, ps_command};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::{Key, Keys},
    value::map,
};

/// Lists static pods.
pub struct List;

const SPEC: ActionSpec = ActionSpec {
    name: "static_pod.list",
    summary: "Lists the static pods of a manifest directory and their running containers.",
    doc: "Reads every manifest as the kubelet does: files whose name does not begin with a dot. How containers are found is told at \
`static_pod.stop`. A pod without containers is listed with `running: false`.\n\n\
Errors: no such directory; a listing command that fails.",
    effect: Effect::Reads,
    args: &[DIR, PS],
    returns: Returns::map(&[Key::list(
        "pods",
        "One for each manifest.",
        Keys::own(&[
            Key::plain("name", "The file's, without extension."),
            Key::plain("file", "The manifest's file."),
            Key::plain("sha256", "The manifest's, in hexadecimal."),
            Key::plain("pod", "`metadata.name`."),
            Key::plain("namespace", "The namespace."),
            Key::plain("running", "Whether as many containers run as the manifest has."),
            Key::plain("containers", "Their ids, without the sandbox's."),
        ]),
    )]),
    way_back: WayBack::Nothing,
    example: "static_pod.list:\n  dir: /etc/kubernetes/manifests\n",
};

#[async_trait]
impl Action for List {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let (dir, script) = (args.path("dir")?, ps_command(args)?.to_owned());
        Ok(Plan { lines: vec![format!("read the manifests in {dir}"), script], ..tell::reads("") })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let all = manifests::every(ctx, args.path("dir")?).await?;
        let listed = containers::parse(&ps(ctx, args).await?.out());
        let pods = all.iter().map(|manifest| {
            let own = |one: &&containers::Container| {
                one.name != "POD"
                    && manifests::owner(&all, one).is_some_and(|owner| owner.file == manifest.file)
            };
            let ids: Vec<&str> = listed.iter().filter(own).map(|one| one.id.as_str()).collect();
            Value::Map(map([
                ("name", manifest.asked.as_str().into()),
                ("file", manifest.file.as_str().into()),
                ("sha256", manifest.sha256.as_str().into()),
                ("pod", manifest.pod.as_str().into()),
                ("namespace", manifest.namespace.clone().into()),
                ("running", (ids.len() >= manifest.containers).into()),
                ("containers", ids.into()),
            ]))
        });
        Ok(Applied::unchanged(map([("pods", Value::List(pods.collect()))])))
    }
}
