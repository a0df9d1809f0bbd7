//! `kubectl`: objects of a Kubernetes API server, by kubectl on the node.

mod delete;
mod get;
mod rollout;
mod rollout_restart;
mod rollout_status;

pub(crate) use get::value;

use crate::support::{
    program,
    tell::{command_line, failed, tail},
};
use keybook_api::{ArgKind, ArgSpec, Args, Command, Ctx, Exit, Fault, Registry, duration};
use serde_json::Value as Json;
use std::time::Duration;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(get::Get);
    all.add(delete::Delete);
    all.add(rollout_restart::RolloutRestart);
    all.add(rollout_status::RolloutStatus);
}

const NAMESPACE: ArgSpec = ArgSpec::optional(
    "namespace",
    ArgKind::Text,
    "the kubeconfig's",
    "The namespace; leave it out for objects that are in none.",
);
const KUBECONFIG: ArgSpec = ArgSpec::optional(
    "kubeconfig",
    ArgKind::Path,
    "the one that kubectl finds",
    "The kubeconfig on the host.",
);
const CONTEXT: ArgSpec =
    ArgSpec::optional("context", ArgKind::Text, "the kubeconfig's current one", "The context to use.");
const KUBECTL: ArgSpec = ArgSpec::optional(
    "kubectl",
    ArgKind::Texts,
    "kubectl",
    "The program, or a list of words that begins the command.",
);

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);

/// How much longer than its own time-out kubectl may take before it is ended.
const GRACE: Duration = Duration::from_secs(10);

/// How to ask.
struct Kubectl {
    begin: Vec<String>,
    namespace: Option<String>,
}

impl Kubectl {
    fn from_args(args: &Args) -> Result<Self, Fault> {
        let mut begin = program::words(args, "kubectl", "kubectl")?;
        begin.extend(args.opt_path("kubeconfig")?.map(|path| format!("--kubeconfig={path}")));
        begin.extend(args.opt_text("context")?.map(|context| format!("--context={context}")));
        begin.push(format!("--request-timeout={}", duration::format(REQUEST)));
        let namespace = word(args, "namespace")?;
        begin.extend(namespace.as_ref().map(|namespace| format!("--namespace={namespace}")));
        Ok(Self { begin, namespace })
    }

    fn words<T: AsRef<str>>(&self, rest: &[T]) -> Vec<String> {
        self.begin.iter().cloned().chain(rest.iter().map(|word| word.as_ref().to_owned())).collect()
    }

    fn line<T: AsRef<str>>(&self, rest: &[T]) -> String {
        command_line(self.words(rest))
    }

    async fn run<T: AsRef<str>>(&self, ctx: &Ctx, rest: &[T], timeout: Duration) -> Result<Exit, Fault> {
        let mut command = Command::argv(self.words(rest)).timeout(timeout.saturating_add(GRACE));
        command.keep_output = 16 << 20;
        let exit = ctx.target.exec(command.cancel(&ctx.cancel), &|_, _| {}).await?;
        match exit.truncated {
            true => Err(failed(ctx, "read kubectl's answer", "it is more than 16 MiB")),
            false => Ok(exit),
        }
    }

    /// The object of a name, or the list of a selection; `None` for a name that is not there.
    async fn get(&self, ctx: &Ctx, selection: &[String]) -> Result<Option<Json>, Fault> {
        let mut rest = vec!["get".to_owned()];
        rest.extend_from_slice(selection);
        rest.extend(["--ignore-not-found", "--output=json"].map(str::to_owned));
        let exit = self.run(ctx, &rest, REQUEST).await?;
        let attempted = || format!("get {} from the API server", selection.join(" "));
        if !exit.ok() {
            return Err(failed(ctx, attempted(), trouble(&exit)));
        }
        let out = exit.out();
        if out.trim().is_empty() {
            return Ok(None);
        }
        serde_json::from_str(&out)
            .map(Some)
            .map_err(|error| failed(ctx, attempted(), format!("no JSON: {error}")))
    }
}

/// What kubectl says went wrong.
fn trouble(exit: &Exit) -> String {
    tail(&exit.err(), &format!("kubectl ended with status {}", exit.status))
}

/// An argument that kubectl must not take for an option or for several things.
fn word(args: &Args, name: &str) -> Result<Option<String>, Fault> {
    let Some(text) = args.opt_text(name)? else { return Ok(None) };
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    if text.is_empty() || text.starts_with('-') || (text.contains(bad) && name != "selector") {
        let why = format!("`{}` is not one name", text.escape_debug());
        return Err(Fault::usage(format!("read the argument `{name}`"), why));
    }
    Ok(Some(text.to_owned()))
}

/// A required [`word`].
fn required(args: &Args, name: &str) -> Result<String, Fault> {
    args.text(name)?;
    Ok(word(args, name)?.unwrap_or_default())
}

/// The objects in an answer: those of a list, or the one.
fn items(answer: Option<Json>) -> Vec<Json> {
    match answer {
        None => Vec::new(),
        Some(mut answer) => match answer.get_mut("items").map(Json::take) {
            Some(Json::Array(items)) => items,
            _ => vec![answer],
        },
    }
}

/// A text somewhere inside of an object, such as `/metadata/uid`.
pub(crate) fn text<'a>(object: &'a Json, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
