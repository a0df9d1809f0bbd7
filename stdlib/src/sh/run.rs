use super::{ARGS, ENV, OK_STATUS, OUTPUT, PARSE, SCRIPT, STDIN, Script, TIMEOUT};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Change, Ctx, Effect, Fault, Plan, Receipt,
    Reconcile, Returns, Value, WayBack,
};

/// Runs a shell script that changes something.
pub struct Run;

const SPEC: ActionSpec = ActionSpec {
    name: "sh.run",
    summary: "Runs a shell script on the host.",
    doc: "The script is given to `/bin/sh -c` ([sh(1)](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html)); \
`args` are its `$1`, `$2`, …, which the shell does not interpret. It leaves a receipt on the host, so that after a crash it is known \
whether it ran. A script that never began runs again; one that ended well is done; for one that \
was cut short, or ended badly, a person must look, unless it had ended and the file `creates` tells that it was done. Of several tries \
(`retry`) the last one decides. Of the result only `status` is known then, and nothing when the script was not run because `creates` exists: \
the rest is null.\n\n\
Errors: an exit status outside `ok_status`, a time-out, output that `parse: json` cannot read.\n\n\
Give secrets as `stdin`: arguments and environment variables can be seen by others on the host.",
    effect: Effect::Changes,
    args: &[
        SCRIPT,
        ARGS,
        ENV,
        STDIN,
        TIMEOUT,
        OK_STATUS,
        ArgSpec::optional("creates", ArgKind::Path, "", "The script is not run when this path exists."),
        ArgSpec::optional(
            "changes",
            ArgKind::Bool,
            "true",
            "Set it to false when the script changes nothing.",
        ),
        PARSE,
    ],
    returns: Returns::map(OUTPUT),
    way_back: WayBack::NoneIf("changes"),
    example: "sh.run:\n  script: systemctl restart \"$1\"\n  args: [kubelet]\n  timeout: 2m\n",
};

#[async_trait]
impl Action for Run {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let script = Script::from_args(args)?;
        if let Some(path) = created(ctx, args).await? {
            return Ok(Plan::wont(format!("{path} exists, so the script is not run")));
        }
        let mut plan = Plan::will(script.lines());
        if !args.bool_or("changes", true)? {
            plan.change =
                Change::CannotKnow("the script is said to change nothing; it runs all the same".to_owned());
        }
        plan.touches.extend(args.opt_path("creates")?.map(str::to_owned));
        Ok(plan)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let script = Script::from_args(args)?;
        if created(ctx, args).await?.is_some() {
            return Ok(Applied::unchanged(script.unknown_output(None)));
        }
        let result = script.run(ctx, ctx.next_receipt()).await?;
        let changed = args.bool_or("changes", true)?;
        Ok(Applied { changed, ..Applied::changed(result) })
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let script = Script::from_args(args)?;
        Ok(match last_receipt(ctx).await? {
            Receipt::Absent => Reconcile::NotBegun,
            Receipt::Running => Reconcile::Unknown("the script still runs".to_owned()),
            Receipt::Ended(status) if script.ok.contains(&i64::from(status)) => {
                Reconcile::Done(script.unknown_output(Some(status)))
            }
            receipt => match (created(ctx, args).await?, receipt) {
                (Some(_), _) => Reconcile::Done(script.unknown_output(None)),
                (None, Receipt::Ended(status)) => Reconcile::Unknown(format!(
                    "the script ended with status {status}; what it did before it failed is not known"
                )),
                (None, _) => {
                    Reconcile::Unknown("the script began, and how it ended was not recorded".to_owned())
                }
            },
        })
    }
}

/// A try that never began leaves a gap among the receipts; so many in a row mean that there are no more.
const GAP: u32 = 4;

/// What the attempt's last try came to. Each `retry` of an attempt runs the script with a receipt of its own; one
/// that still runs counts before all others.
pub(crate) async fn last_receipt(ctx: &Ctx) -> Result<Receipt, Fault> {
    let (mut last, mut ordinal, mut absent) = (Receipt::Absent, 0, 0);
    while absent < GAP || ordinal < ctx.tries {
        match ctx.target.receipt(&ctx.receipt(ordinal)).await? {
            Receipt::Running => return Ok(Receipt::Running),
            Receipt::Absent => absent += 1,
            found => (last, absent) = (found, 0),
        }
        ordinal += 1;
    }
    Ok(last)
}

/// The path `creates` when it exists.
async fn created<'a>(ctx: &Ctx, args: &'a Args) -> Result<Option<&'a str>, Fault> {
    match args.opt_path("creates")? {
        Some(path) if ctx.target.stat(path).await?.is_some() => Ok(Some(path)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use keybook_api::{Secret, value::map};

    #[tokio::test]
    async fn a_script_runs_once_and_its_receipt_tells() {
        let bench = Bench::new();
        let args = args([
            ("script", "read line; echo \"$1 $line $X\" | tee \"$2\"; echo oops >&2".into()),
            ("args", vec!["a b".to_owned(), bench.path("out")].into()),
            ("env", Value::Map(map([("X", Value::Int(3))]))),
            ("stdin", Value::Secret(Secret::new("in\n"))),
        ]);
        let plan = bench.describe(&Run, &args).await.unwrap();
        assert_eq!(plan.change, Change::Will);
        assert_eq!(plan.lines[0], args.text("script").unwrap());
        assert!(plan.lines[1].starts_with("with arguments: 'a b' "));
        assert_eq!(plan.lines[2..], ["with X=3", "with a secret as its input"]);

        let reconcile = async || Run.reconcile(&bench.ctx(), &args, &Value::Null).await.unwrap();
        assert_eq!(reconcile().await, Reconcile::NotBegun);
        let applied = bench.apply(&Run, &args).await.unwrap();
        assert!(applied.changed);
        assert_eq!(applied.value.get("stdout"), Some(&"a b in 3".into()));
        assert_eq!(applied.value.get("stderr"), Some(&"oops".into()));
        assert_eq!(bench.read("out"), "a b in 3\n");
        assert!(
            matches!(reconcile().await, Reconcile::Done(value) if value.get("status") == Some(&Value::Int(0)))
        );
        // What an expression reads is there, also when it is not known any more.
        for (parse, key) in [("json", "json"), ("lines", "lines"), ("text", "stdout")] {
            let mut parsed = args.clone();
            parsed.0.insert("parse".to_owned(), parse.into());
            let done = Run.reconcile(&bench.ctx(), &parsed, &Value::Null).await.unwrap();
            assert!(
                matches!(done, Reconcile::Done(value) if value.get(key) == Some(&Value::Null)),
                "{parse}"
            );
        }
        assert!(bench.told.lines.lock().unwrap().contains(&"oops".to_owned()));
    }

    #[tokio::test]
    async fn a_cut_or_failed_script_is_unknown_unless_its_file_tells() {
        let bench = Bench::new();
        let args = args([("script", "exit 3".into()), ("creates", bench.path("made").into())]);
        let reconcile = async || Run.reconcile(&bench.ctx(), &args, &Value::Null).await.unwrap();
        let fault = bench.apply(&Run, &args).await.unwrap_err();
        assert_eq!(fault.cause, "it ended with status 3: no output");
        for receipt in [Receipt::Ended(3), Receipt::Cut, Receipt::Running] {
            bench.set_receipt(receipt);
            assert!(matches!(reconcile().await, Reconcile::Unknown(_)), "{receipt:?}");
        }
        bench.file("made", "");
        assert!(matches!(reconcile().await, Reconcile::Unknown(_)), "a running script is not done");
        bench.set_receipt(Receipt::Cut);
        assert!(matches!(reconcile().await, Reconcile::Done(_)));
        assert_eq!(bench.describe(&Run, &args).await.unwrap().change, Change::Wont);
        assert!(!bench.apply(&Run, &args).await.unwrap().changed);
    }

    #[tokio::test]
    async fn the_last_of_several_tries_decides() {
        let bench = Bench::new();
        let args = args([("script", "exit 3".into())]);
        let mut seen = Vec::new();
        for (ordinal, receipt) in [
            (0, Receipt::Ended(3)),
            (1, Receipt::Ended(0)),
            (2, Receipt::Ended(7)),
            // A try that could not begin lies between.
            (4, Receipt::Cut),
            (1, Receipt::Running),
        ] {
            bench.target().set_receipt(bench.ctx().receipt(ordinal), receipt);
            seen.push(match Run.reconcile(&bench.ctx(), &args, &Value::Null).await.unwrap() {
                Reconcile::Done(_) => "done".to_owned(),
                Reconcile::NotDone | Reconcile::NotBegun => "not done".to_owned(),
                Reconcile::Unknown(why) => why.split(';').next().unwrap().to_owned(),
            });
        }
        assert_eq!(
            seen,
            [
                "the script ended with status 3",
                "done",
                "the script ended with status 7",
                "the script began, and how it ended was not recorded",
                "the script still runs"
            ]
        );
    }

    /// However many tries before it could not begin, the one that began is found.
    #[tokio::test]
    async fn a_try_that_began_after_many_that_did_not_is_found() {
        let bench = Bench::new();
        let args = args([("script", "exit 3".into())]);
        let look = async |tries: u32| {
            let ctx = Ctx { tries, ..bench.ctx() };
            Run.reconcile(&ctx, &args, &Value::Null).await.unwrap()
        };
        assert_eq!(look(7).await, Reconcile::NotBegun);
        bench.target().set_receipt(bench.ctx().receipt(6), Receipt::Cut);
        assert!(matches!(look(7).await, Reconcile::Unknown(_)));
    }

    #[tokio::test]
    async fn output_is_parsed_or_refused() {
        let bench = Bench::new();
        let run = async |script: &str, parse: &str| {
            bench.apply(&Run, &args([("script", script.into()), ("parse", parse.into())])).await
        };
        let json = run("echo '{\"a\": [1]}'", "json").await.unwrap().value;
        assert_eq!(json.get("json").and_then(|json| json.get("a")), Some(&Value::List(vec![Value::Int(1)])));
        let lines = run("printf 'a\\nb\\n'", "lines").await.unwrap().value;
        assert_eq!(lines.get("lines"), Some(&vec!["a", "b"].into()));
        assert!(run("echo no", "json").await.unwrap_err().cause.contains("no JSON"));
        assert!(run("echo no", "xml").await.unwrap_err().cause.contains("one of text, json, lines"));
        let big = run("head -c 2000000 /dev/zero", "lines").await.unwrap_err();
        assert!(big.cause.contains("more than is kept"), "{big}");
    }

    #[tokio::test]
    async fn wrong_arguments_are_refused_before_anything_runs() {
        let bench = Bench::new();
        for (name, value, message) in [
            ("env", Value::Map(map([("A-B", "x".into())])), "no name of a variable"),
            ("env", Value::Map(map([("A", Value::Secret(Secret::new("s")))])), "give it as `stdin`"),
            ("env", Value::Map(map([("A", Value::List(vec![]))])), "expected a string"),
            ("ok_status", Value::List(vec![]), "list of whole numbers"),
            ("timeout", "5".into(), "not a duration"),
            ("creates", "x".into(), "not an absolute path"),
        ] {
            let script = format!("touch {}", bench.path("ran"));
            let fault =
                bench.apply(&Run, &args([("script", script.into()), (name, value)])).await.unwrap_err();
            assert!(fault.cause.contains(message), "{fault}");
        }
        assert!(!bench.exists("ran"));
    }

    #[tokio::test]
    async fn other_statuses_can_be_fine() {
        let bench = Bench::new();
        let args = args([
            ("script", "exit 1".into()),
            ("ok_status", Value::List(vec![Value::Int(0), Value::Int(1)])),
            ("changes", false.into()),
        ]);
        assert!(matches!(bench.describe(&Run, &args).await.unwrap().change, Change::CannotKnow(_)));
        let applied = bench.apply(&Run, &args).await.unwrap();
        assert_eq!((applied.value.get("status"), applied.changed), (Some(&Value::Int(1)), false));
    }
}
