use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Reconcile, Returns, Value,
    WayBack, returns::Key, value::map,
};

/// Leaves a note.
pub struct Write;

const SPEC: ActionSpec = ActionSpec {
    name: "note.write",
    summary: "Leaves a note for the operator and the report.",
    doc: "Shown at once and kept in the run's journal. After a crash it may stand there twice.",
    effect: Effect::Run,
    args: &[ArgSpec::required("text", ArgKind::Text, "The note.")],
    returns: Returns::map(&[Key::plain("text", "The note.")]),
    way_back: WayBack::Nothing,
    example: "note.write:\n  text: The CA key came with a vendor's download; other customers may hold it too.\n",
};

#[async_trait]
impl Action for Write {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(Plan::will([format!("note: {}", args.text("text")?)]))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let text = args.text("text")?;
        ctx.sink.note(text);
        Ok(Applied::unchanged(map([("text", text.into())])))
    }

    async fn reconcile(&self, _ctx: &Ctx, _args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        Ok(Reconcile::NotDone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};

    #[tokio::test]
    async fn a_note_reaches_the_sink_only_when_applied() {
        let bench = Bench::new();
        let args = args([("text", "hello".into())]);
        assert_eq!(bench.describe(&Write, &args).await.unwrap().lines, ["note: hello"]);
        assert!(bench.told.notes.lock().unwrap().is_empty());
        bench.apply(&Write, &args).await.unwrap();
        assert_eq!(*bench.told.notes.lock().unwrap(), ["hello"]);
        assert_eq!(Write.reconcile(&bench.ctx(), &args, &Value::Null).await.unwrap(), Reconcile::NotDone);
    }
}
