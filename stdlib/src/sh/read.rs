use super::{ARGS, ENV, OK_STATUS, OUTPUT, PARSE, SCRIPT, STDIN, Script, TIMEOUT};
use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{Action, ActionSpec, Applied, Args, Ctx, Effect, Fault, Plan, Returns, WayBack};

/// Runs a shell script that only reads.
pub struct Read;

const SPEC: ActionSpec = ActionSpec {
    name: "sh.read",
    summary: "Runs a shell script that only reads, as a fact.",
    doc: "Like `sh.run`, for facts and hooks: the runbook's author vouches that the script changes nothing. It also runs while planning, \
and leaves no receipt.\n\nErrors: an exit status outside `ok_status`, a time-out, output that `parse: json` cannot read.",
    effect: Effect::Reads,
    args: &[SCRIPT, ARGS, ENV, STDIN, TIMEOUT, OK_STATUS, PARSE],
    returns: Returns::map(OUTPUT),
    way_back: WayBack::Nothing,
    example: "sh.read:\n  script: kubectl version -o json\n  parse: json\n",
};

#[async_trait]
impl Action for Read {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let lines = Script::from_args(args)?.lines();
        Ok(Plan { lines, ..tell::reads("") })
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        Ok(Applied::unchanged(Script::from_args(args)?.run(ctx, None).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use keybook_api::{Change, Receipt, Target};

    #[tokio::test]
    async fn reading_leaves_no_receipt() {
        let bench = Bench::new();
        let args = args([("script", "echo 1".into())]);
        let plan = bench.describe(&Read, &args).await.unwrap();
        assert_eq!((plan.change, plan.lines), (Change::Wont, vec!["echo 1".to_owned()]));
        let applied = Read.apply(&bench.planning(), &args).await.unwrap();
        assert_eq!(applied.value.get("stdout"), Some(&"1".into()));
        let receipt = bench.target().receipt(&bench.ctx().receipt(0)).await.unwrap();
        assert_eq!(receipt, Receipt::Absent);
    }
}
