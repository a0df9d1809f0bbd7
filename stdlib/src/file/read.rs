use super::FIELDS;
use crate::support::{files, shown, tell};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::{Key, Keys},
};

/// Reads a file.
pub struct Read;

const SPEC: ActionSpec = ActionSpec {
    name: "file.read",
    summary: "Reads a whole file.",
    doc: "Symbolic links are followed. The text of a file that holds a private key is a secret; `secret: true` makes it one for any \
other file.\n\nErrors: no such file, a directory, more than 64 MiB.",
    effect: Effect::Reads,
    args: &[
        ArgSpec::required("path", ArgKind::Path, "The file."),
        ArgSpec::optional("secret", ArgKind::Bool, "false", "Treat the text as a secret."),
    ],
    returns: Returns::keys(
        Keys::of("`file.put`", FIELDS)
            .and(&[Key::plain("text", "What the file holds; null when it is not UTF-8.")]),
    ),
    way_back: WayBack::Nothing,
    example: "file.read:\n  path: /etc/machine-id\n",
};

#[async_trait]
impl Action for Read {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    fn secret_results(&self, fixed: &dyn Fn(&str) -> Option<Value>) -> &'static [&'static str] {
        if fixed("secret") == Some(Value::Bool(true)) { &["text"] } else { &[] }
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads(format!("read {}", args.path("path")?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let path = args.path("path")?;
        let file = files::need(&*ctx.target, path).await?;
        let mut result = file.result(path);
        let secret = args.bool_or("secret", false)? || shown::is_key(path, &file.content, file.stat.mode);
        let text = match file.content.expose_str() {
            None => Value::Null,
            Some(_) if secret => Value::Secret(file.content.clone()),
            Some(text) => text.into(),
        };
        result.insert("text".to_owned(), text);
        Ok(Applied::unchanged(result))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};

    #[tokio::test]
    async fn text_is_read_and_keys_are_secrets() {
        let bench = Bench::new();
        let read = async |path: &str| {
            let args = args([("path", path.into())]);
            bench.describe(&Read, &args).await.unwrap();
            bench.apply(&Read, &args).await.map(|applied| applied.value)
        };
        let value = read(&bench.file("a", "hi\n")).await.unwrap();
        assert_eq!(value.get("text"), Some(&"hi\n".into()));
        assert_eq!(value.get("mode"), Some(&"0644".into()));
        assert_eq!(value.get("sha256"), Some(&files::sha256(b"hi\n").into()));
        let key = read(&bench.file("k", "-----BEGIN PRIVATE KEY-----\nx")).await.unwrap();
        assert!(key.has_secret());
        assert_eq!(read(&bench.file("b", [0xff])).await.unwrap().get("text"), Some(&Value::Null));
        let missing = read(&bench.path("missing")).await.unwrap_err();
        assert!(missing.cause.starts_with("there is no "), "{missing}");
        assert!(read(&bench.path("")).await.unwrap_err().cause.contains("not a regular file"));
    }
}
