//! A reading that answers as a command does.

use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, WayBack,
    returns::Key, value::map,
};

/// A file's text as `stdout`; the text `hang` never comes.
pub struct Printed;

static PRINTED: ActionSpec = ActionSpec {
    name: "t.printed",
    summary: "",
    doc: "",
    effect: Effect::Reads,
    args: &[ArgSpec::required("path", ArgKind::Path, "")],
    returns: Returns::map(&[Key::plain("stdout", ""), Key::plain("status", "")]),
    way_back: WayBack::Nothing,
    example: "",
};

#[async_trait]
impl Action for Printed {
    fn spec(&self) -> &'static ActionSpec {
        &PRINTED
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::wont(format!("print {}", args.path("path")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let secret = ctx.target.read(args.path("path")?, 1 << 20).await?;
        let text = String::from_utf8_lossy(secret.expose()).into_owned();
        if text == "hang" {
            return std::future::pending().await;
        }
        Ok(Applied::unchanged(map([("stdout", text.into()), ("status", 0.into())])))
    }
}
