use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, FaultKind, FileKind, Plan,
    Returns, WayBack, returns::Key, value::map,
};

/// Lists the names in a directory.
pub struct List;

const SPEC: ActionSpec = ActionSpec {
    name: "file.list",
    summary: "Lists the names in a directory.",
    doc: "Names that begin with a dot are among them, `.` and `..` are not; symbolic links are followed to the directory, not inside it. \
`ending` keeps those that end so. An empty list is no error, so that a `when` can ask for it; a `for_each` over it is.\n\n\
Errors: nothing there, or something else than a directory.",
    effect: Effect::Reads,
    args: &[
        ArgSpec::required("path", ArgKind::Path, "The directory."),
        ArgSpec::optional("ending", ArgKind::Text, "", "Only names with this ending, such as `.conf`."),
    ],
    returns: Returns::map(&[
        Key::plain("path", "The directory."),
        Key::plain("names", "The names, sorted."),
        Key::plain("paths", "The same with the directory before them."),
    ]),
    way_back: WayBack::Nothing,
    example: "file.list:\n  path: /etc/kubernetes\n  ending: .conf\n",
};

#[async_trait]
impl Action for List {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads(format!("list {}", args.path("path")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        // Of `/` nothing is left, so that names are put behind it with one slash.
        let path = args.path("path")?.trim_end_matches('/');
        let ending = args.opt_text("ending")?.unwrap_or_default();
        let inside = format!("{path}/.");
        if ctx.target.stat(&inside).await?.is_none_or(|stat| stat.kind != FileKind::Directory) {
            let why = "there is no directory";
            return Err(Fault::new(FaultKind::Failed, format!("list {path}"), why).on(ctx.target.name()));
        }
        let mut names = ctx.target.list(if path.is_empty() { "/" } else { path }).await?;
        names.retain(|name| name.ends_with(ending));
        let paths: Vec<String> = names.iter().map(|name| format!("{path}/{name}")).collect();
        Ok(Applied::unchanged(map([("path", path.into()), ("names", names.into()), ("paths", paths.into())])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};

    #[tokio::test]
    async fn names_are_listed_by_their_ending() {
        let bench = Bench::new();
        for name in ["d/b.conf", "d/a.conf", "d/.c.conf", "d/other", "f"] {
            bench.file(name, "x");
        }
        std::os::unix::fs::symlink("d", bench.path("l")).unwrap();
        let list = async |name: &str, ending: &str| {
            let args = args([("path", bench.path(name).into()), ("ending", ending.into())]);
            bench.describe(&List, &args).await.unwrap();
            bench.apply(&List, &args).await.map(|applied| applied.value)
        };
        for folder in ["d", "l"] {
            let found = list(folder, ".conf").await.unwrap();
            assert_eq!(
                found.get("names").unwrap().to_json(),
                serde_json::json!([".c.conf", "a.conf", "b.conf"])
            );
            let first = format!("{}/.c.conf", bench.path(folder));
            assert_eq!(found.get("paths").unwrap().to_json()[0], first);
        }
        assert_eq!(list("d", "").await.unwrap().get("names").unwrap().as_list().unwrap().len(), 4);
        assert_eq!(list("d", ".none").await.unwrap().get("names").unwrap().as_list().unwrap().len(), 0);
        for missing in ["none", "f"] {
            assert_eq!(list(missing, "").await.unwrap_err().cause, "there is no directory", "{missing}");
        }
    }
}
