//! A reading whose result has keys within keys.

use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::{Key, Keys},
    value::map,
};

/// What a certificate would say; a list of it with `all`.
pub struct Shaped;

const LEAF: Keys = Keys::own(&[Key::plain("subject", ""), Key::plain("days_left", "")]);

static SHAPED: ActionSpec = ActionSpec {
    name: "t.shaped",
    summary: "",
    doc: "",
    effect: Effect::Reads,
    args: &[ArgSpec::optional("all", ArgKind::Bool, "", "")],
    returns: Returns::map(&[
        Key::map("leaf", "", LEAF),
        Key::list("chain", "", LEAF),
        Key::anything("json", "").sometimes(),
    ])
    .listed_with("all"),
    way_back: WayBack::Nothing,
    example: "",
};

#[async_trait]
impl Action for Shaped {
    fn spec(&self) -> &'static ActionSpec {
        &SHAPED
    }

    async fn describe(&self, _ctx: &Ctx, _args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::wont("look"))
    }

    async fn apply(&self, _ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let leaf = Value::Map(map([("subject", "CN=a".into()), ("days_left", 3.into())]));
        let one = Value::Map(map([("leaf", leaf.clone()), ("chain", Value::List(vec![leaf]))]));
        Ok(Applied::unchanged(if args.bool_or("all", false)? { Value::List(vec![one]) } else { one }))
    }
}
