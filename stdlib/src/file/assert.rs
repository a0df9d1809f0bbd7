use super::{MODE, OWNER, kind};
use crate::support::{
    files::{self, mode_text, owner_text},
    owner, tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, FileKind, Plan, Returns, Secret,
    Stat, WayBack, returns::Key, value::map,
};

/// Demands that a path is as said.
pub struct Assert;

const SPEC: ActionSpec = ActionSpec {
    name: "file.assert",
    summary: "Demands that a path is as it is said to be.",
    doc: "Every difference is named at once. A symbolic link is not followed for `type`; for all else it is, when `type` is not \
`symlink`. The content itself is never shown.\n\n\
Errors: any difference; nothing demanded; `exists: false` beside another demand.",
    effect: Effect::Reads,
    args: &[
        ArgSpec::required("path", ArgKind::Path, "The path."),
        ArgSpec::optional("exists", ArgKind::Bool, "true", "Whether anything must be there."),
        ArgSpec::optional("sha256", ArgKind::Text, "", "The SHA-256 of the content, in hexadecimal."),
        ArgSpec { default: "", ..MODE },
        ArgSpec { default: "", ..OWNER },
        ArgSpec::optional("contains", ArgKind::Texts, "", "Texts that must all be in the content."),
        ArgSpec::optional(
            "type",
            ArgKind::Enum(&["file", "directory", "symlink", "other"]),
            "",
            "What it must be.",
        ),
    ],
    returns: Returns::map(&[
        Key::plain("path", "The path, as it was given."),
        Key::plain("exists", "Whether anything is there."),
    ]),
    way_back: WayBack::Nothing,
    example: "file.assert:\n  path: /srv/kubernetes/etcd-key.pem\n  type: file\n  mode: \"0600\"\n  owner: \"0:0\"\n",
};

/// The arguments that say something about what is there.
const DEMANDS: [&str; 5] = ["sha256", "mode", "owner", "contains", "type"];

#[async_trait]
impl Action for Assert {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        check(args)?;
        Ok(tell::reads(format!("compare {} with what is demanded", args.path("path")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let exists = check(args)?;
        let path = args.path("path")?;
        let found = ctx.target.stat(path).await?;
        let differences = match (&found, exists) {
            (None, true) => vec!["there is nothing".to_owned()],
            (Some(stat), false) => vec![format!("there is {}, where nothing must be", kind(stat.kind))],
            (None, false) => Vec::new(),
            (Some(stat), true) => differences(ctx, args, path, stat).await?,
        };
        if differences.is_empty() {
            return Ok(Applied::unchanged(map([("path", path.into()), ("exists", found.is_some().into())])));
        }
        Err(tell::failed(ctx, format!("find {path} as it must be"), differences.join("; ")))
    }
}

/// Are the demands consistent? Returns `exists`.
fn check(args: &Args) -> Result<bool, Fault> {
    let exists = args.bool_or("exists", true)?;
    let given: Vec<&str> = DEMANDS.into_iter().filter(|name| args.get(name).is_some()).collect();
    let wrong = |why: String| Err(Fault::usage("read the arguments", why));
    match (exists, given.first()) {
        (false, Some(name)) => wrong(format!("`{name}` says something about what must not exist")),
        (true, None) if args.get("exists").is_none() => {
            wrong(format!("nothing is demanded; give one of exists, {}", DEMANDS.join(", ")))
        }
        _ if args.get("contains").is_some() && args.texts("contains")?.iter().all(String::is_empty) => {
            wrong("`contains` names no text, so it would always hold".to_owned())
        }
        _ => Ok(exists),
    }
}

async fn differences(ctx: &Ctx, args: &Args, path: &str, stat: &Stat) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    let mut compare = |what: &str, wanted: Option<String>, now: String| {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != now) {
            found.push(format!("{what} is {now}, must be {wanted}"));
        }
    };
    let wanted_kind = args.opt_text("type")?;
    compare("the type", wanted_kind.map(str::to_owned), kind(stat.kind).to_owned());
    let followed = match wanted_kind {
        Some("symlink") => Some(stat.clone()),
        _ => files::follow(&*ctx.target, path).await?.1,
    };
    let Some(stat) = followed else {
        found.push("it is a symbolic link that leads nowhere".to_owned());
        return Ok(found);
    };
    compare("the mode", args.opt_mode("mode")?.map(mode_text), mode_text(stat.mode));
    compare("the owner", owner::wanted(ctx, args).await?.map(owner_text), owner_text(stat.owner));
    if args.get("sha256").is_none() && args.get("contains").is_none() {
        return Ok(found);
    }
    if !matches!(stat.kind, FileKind::File | FileKind::Symlink) {
        found.push(format!("it is {}, which has no content", kind(stat.kind)));
        return Ok(found);
    }
    let content = ctx.target.read(path, files::MAX_FILE).await?;
    let digest = args.opt_text("sha256")?.map(str::to_ascii_lowercase);
    compare("the sha256", digest, files::sha256(content.expose()));
    let texts = args.texts("contains")?;
    let lacking = texts.iter().filter(|text| !holds(&content, text));
    found.extend(lacking.map(|text| format!("the content does not hold `{}`", text.escape_debug())));
    Ok(found)
}

fn holds(content: &Secret, text: &str) -> bool {
    text.is_empty() || content.expose().windows(text.len()).any(|window| window == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use keybook_api::Value;
    use std::os::unix::fs::symlink;

    #[tokio::test]
    async fn what_is_as_demanded_passes() {
        let bench = Bench::new();
        let path = bench.file("f", "one\ntwo\n");
        symlink("f", bench.path("l")).unwrap();
        let whole = |path: String, kind: &str| {
            args([
                ("path", path.into()),
                ("type", kind.into()),
                ("mode", "0644".into()),
                ("owner", "root:0".into()),
                ("sha256", files::sha256(b"one\ntwo\n").to_uppercase().into()),
                ("contains", vec!["one", "two\n"].into()),
            ])
        };
        bench.describe(&Assert, &whole(path.clone(), "file")).await.unwrap();
        let value = bench.apply(&Assert, &whole(path, "file")).await.unwrap().value;
        assert_eq!(value.get("exists"), Some(&true.into()));
        let link =
            args([("path", bench.path("l").into()), ("type", "symlink".into()), ("contains", "one".into())]);
        bench.apply(&Assert, &link).await.unwrap();
        let gone = args([("path", bench.path("none").into()), ("exists", false.into())]);
        assert_eq!(bench.apply(&Assert, &gone).await.unwrap().value.get("exists"), Some(&false.into()));
    }

    #[tokio::test]
    async fn every_difference_is_named() {
        let bench = Bench::new();
        let path = bench.file("f", "secret text");
        let wrong = args([
            ("path", path.as_str().into()),
            ("type", "directory".into()),
            ("mode", "0600".into()),
            ("owner", "5:5".into()),
            ("sha256", "ab".into()),
            ("contains", vec!["text", "other"].into()),
        ]);
        let fault = bench.apply(&Assert, &wrong).await.unwrap_err();
        for part in [
            "the type is file, must be directory",
            "the mode is 0644, must be 0600",
            "the owner is 0:0, must be 5:5",
            "must be ab",
            "does not hold `other`",
        ] {
            assert!(fault.cause.contains(part), "{part}: {fault}");
        }
        assert!(!fault.cause.contains("secret text") && !fault.cause.contains("`text`"), "{fault}");

        symlink("nowhere", bench.path("l")).unwrap();
        for (name, extra, message) in [
            ("none", ("mode", Value::from("0600")), "there is nothing"),
            ("f", ("exists", false.into()), "there is file, where nothing must be"),
            ("l", ("mode", "0777".into()), "leads nowhere"),
            ("", ("contains", "x".into()), "has no content"),
        ] {
            let fault =
                bench.apply(&Assert, &args([("path", bench.path(name).into()), extra])).await.unwrap_err();
            assert!(fault.cause.contains(message), "{fault}");
        }
    }

    #[tokio::test]
    async fn demands_that_say_nothing_are_refused() {
        let bench = Bench::new();
        let path = || bench.path("f").into();
        for args in [
            args([("path", path())]),
            args([("path", path()), ("exists", false.into()), ("mode", "0600".into())]),
            args([("path", path()), ("contains", Value::List(vec![]))]),
            args([("path", path()), ("contains", "".into())]),
        ] {
            assert!(bench.describe(&Assert, &args).await.is_err());
            assert!(bench.apply(&Assert, &args).await.is_err());
        }
    }
}
