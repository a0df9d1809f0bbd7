use crate::support::{files, tell};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, FileKind, Map, Plan, Returns,
    Value, WayBack, returns::Key, value::map,
};

/// Digests of files.
pub struct Digest;

const SPEC: ActionSpec = ActionSpec {
    name: "file.digest",
    summary: "Gives the SHA-256 of files, and one over all of them.",
    doc: "A directory stands for every regular file below it. A path that is a symbolic link is followed; links below a directory are \
not. `all` is the SHA-256 of the lines `<sha256>  <path>\\n`, as sha256sum(1) prints them, in the order of the paths: two hosts hold the \
same files under the same names exactly when it is equal.\n\nErrors: a path that names nothing, and paths that hold no file at all.",
    effect: Effect::Reads,
    args: &[ArgSpec::required("paths", ArgKind::Texts, "Absolute paths of files or directories.")],
    returns: Returns::map(&[
        Key::anything("files", "A map from path to SHA-256 in hexadecimal."),
        Key::plain("all", "One digest over all."),
    ]),
    way_back: WayBack::Nothing,
    example: "file.digest:\n  paths: [/srv/kubernetes/etcd-ca.pem, /srv/kubernetes/etcd.pem]\n",
};

#[async_trait]
impl Action for Digest {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let paths = paths(args)?;
        Ok(tell::reads(format!("read {}", paths.join(", "))))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let mut digests = Map::new();
        for path in paths(args)? {
            let Some(stat) = ctx.target.stat(&path).await? else {
                return Err(files::missing(&*ctx.target, &path));
            };
            if stat.kind == FileKind::Symlink {
                let file = files::need(&*ctx.target, &path).await?;
                digests.insert(path, file.sha256.into());
                continue;
            }
            // On the host, so that neither keys nor gigabytes travel.
            for entry in ctx.target.tree(&[path]).await? {
                if entry.stat.kind == FileKind::File {
                    digests.insert(entry.path, entry.sha256.into());
                }
            }
        }
        if digests.is_empty() {
            return Err(tell::failed(ctx, "take digests", "there is no file at or below these paths"));
        }
        let lines: String = digests.iter().map(|(path, sha256)| format!("{sha256}  {path}\n")).collect();
        let all = files::sha256(lines.as_bytes());
        Ok(Applied::unchanged(map([("files", Value::Map(digests)), ("all", all.into())])))
    }
}

/// The paths, each checked as [`Args::path`] does.
fn paths(args: &Args) -> Result<Vec<String>, Fault> {
    let paths = args.texts("paths")?;
    if paths.is_empty() {
        return Err(Fault::usage("read the argument `paths`", "the list is empty"));
    }
    for path in &paths {
        Args(map([("paths", path.as_str().into())])).path("paths")?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};

    #[tokio::test]
    async fn files_directories_and_links_have_digests() {
        let bench = Bench::new();
        let (a, b) = (bench.file("d/a", "1"), bench.file("d/b", "2"));
        std::os::unix::fs::symlink("d/a", bench.path("l")).unwrap();
        let digest = async |paths: Vec<String>| {
            let args = args([("paths", paths.into())]);
            bench.describe(&Digest, &args).await?;
            bench.apply(&Digest, &args).await.map(|applied| applied.value)
        };
        let one = digest(vec![bench.path("d")]).await.unwrap();
        let two = digest(vec![a.clone(), b.clone()]).await.unwrap();
        assert_eq!(one, two);
        let check = std::process::Command::new("sha256sum").args([&a, &b]).output().unwrap().stdout;
        assert_eq!(one.get("all"), Some(&files::sha256(&check).into()));
        let link = digest(vec![bench.path("l")]).await.unwrap();
        assert_eq!(link.get("files").unwrap().get(&bench.path("l")), Some(&files::sha256(b"1").into()));
    }

    #[tokio::test]
    async fn nothing_to_read_is_a_failure() {
        let bench = Bench::new();
        std::fs::create_dir(bench.path("empty")).unwrap();
        for (paths, message) in [
            (vec![], "the list is empty"),
            (vec![bench.path("none")], "there is no "),
            (vec![bench.path("empty")], "there is no file at or below"),
            (vec!["etc".to_owned()], "not an absolute path"),
        ] {
            let fault = bench.apply(&Digest, &args([("paths", paths.into())])).await.unwrap_err();
            assert!(fault.cause.contains(message), "{fault}");
        }
    }
}
