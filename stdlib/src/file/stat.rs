use super::kind;
use crate::support::{files, tell};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, FileKind, Plan, Returns, Value,
    WayBack, returns::Key, value::map,
};

/// Tells what a path is.
pub struct Stat;

const SPEC: ActionSpec = ActionSpec {
    name: "file.stat",
    summary: "Tells what a path is, without following a symbolic link.",
    doc: "A path that names nothing is no error: `exists` is false then, and the rest is null.\n\n\
Errors: a regular file that the login may not read (its digest is part of the result), or of more than 64 MiB.",
    effect: Effect::Reads,
    args: &[ArgSpec::required("path", ArgKind::Path, "The path.")],
    returns: Returns::map(&[
        Key::plain("path", "The path, as it was given."),
        Key::plain("exists", "Whether anything is there."),
        Key::plain("kind", "`file`, `directory`, `symlink` or `other`."),
        Key::plain("mode", "Such as `\"0644\"`."),
        Key::plain("uid", "The owner, as a number."),
        Key::plain("gid", "The group, as a number."),
        Key::plain("size", "In bytes."),
        Key::plain("sha256", "Of a regular file's content, in hexadecimal."),
        Key::plain("link", "Where a symbolic link points."),
        Key::plain("modified", "In seconds since 1970."),
    ]),
    way_back: WayBack::Nothing,
    example: "file.stat:\n  path: /var/lib/kubelet/pki/kubelet-client-current.pem\n",
};

#[async_trait]
impl Action for Stat {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads(format!("look at {}", args.path("path")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let path = args.path("path")?;
        let stat = ctx.target.stat(path).await?;
        let sha256 = match &stat {
            Some(stat) if stat.kind == FileKind::File => {
                let content = ctx.target.read(path, files::MAX_FILE).await?;
                Value::Text(files::sha256(content.expose()))
            }
            _ => Value::Null,
        };
        let field = |of: fn(&keybook_api::Stat) -> Value| stat.as_ref().map_or(Value::Null, of);
        Ok(Applied::unchanged(map([
            ("path", path.into()),
            ("exists", stat.is_some().into()),
            ("kind", field(|stat| kind(stat.kind).into())),
            ("mode", field(|stat| files::mode_text(stat.mode).into())),
            ("uid", field(|stat| Value::Int(stat.owner.uid.into()))),
            ("gid", field(|stat| Value::Int(stat.owner.gid.into()))),
            ("size", field(|stat| files::size(stat.size))),
            ("sha256", sha256),
            ("link", field(|stat| stat.link.clone().into())),
            ("modified", field(|stat| Value::Int(stat.modified))),
        ])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};

    #[tokio::test]
    async fn every_kind_of_path_is_told() {
        let bench = Bench::new();
        bench.file("f", "x");
        std::os::unix::fs::symlink("f", bench.path("l")).unwrap();
        let stat = async |name: &str| {
            let args = args([("path", bench.path(name).into())]);
            bench.describe(&Stat, &args).await.unwrap();
            bench.apply(&Stat, &args).await.unwrap().value
        };
        let file = stat("f").await;
        assert_eq!((file.get("kind"), file.get("mode")), (Some(&"file".into()), Some(&"0644".into())));
        assert_eq!(file.get("sha256"), Some(&files::sha256(b"x").into()));
        let link = stat("l").await;
        assert_eq!((link.get("kind"), link.get("link")), (Some(&"symlink".into()), Some(&"f".into())));
        assert_eq!(stat("").await.get("kind"), Some(&"directory".into()));
        let nothing = stat("none").await;
        assert_eq!((nothing.get("exists"), nothing.get("kind")), (Some(&false.into()), Some(&Value::Null)));
    }
}
