//! `sh`: scripts on the host.

mod read;
mod run;

pub(crate) use run::last_receipt;

use crate::support::tell::{command_line, failed, tail};
use keybook_api::{
    ArgKind, ArgSpec, Args, Command, Ctx, Fault, Map, ReceiptId, Registry, Secret, Value, returns::Key,
    value::map,
};
use std::time::Duration;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(run::Run);
    all.add(read::Read);
}

const SCRIPT: ArgSpec = ArgSpec::required("script", ArgKind::Text, "The script.");
const ARGS: ArgSpec = ArgSpec::optional("args", ArgKind::Texts, "[]", "Its arguments: `$1`, `$2` and so on.");
const ENV: ArgSpec =
    ArgSpec::optional("env", ArgKind::Map, "{}", "Environment variables to add; no secrets.");
const STDIN: ArgSpec =
    ArgSpec::optional("stdin", ArgKind::TextOrSecret, "", "What the script reads from its standard input.");
const TIMEOUT: ArgSpec =
    ArgSpec::optional("timeout", ArgKind::Duration, "", "End the script after this time.");
const OK_STATUS: ArgSpec =
    ArgSpec::optional("ok_status", ArgKind::List, "[0]", "Exit statuses that count as success.");
const PARSE: ArgSpec = ArgSpec::optional(
    "parse",
    ArgKind::Enum(&["text", "json", "lines"]),
    "text",
    "What standard output is: `json` adds `result.json`, `lines` adds `result.lines`.",
);

/// What the actions return.
const OUTPUT: &[Key] = &[
    Key::plain("status", "The exit status."),
    Key::plain("stdout", "Standard output, without one trailing line feed."),
    Key::plain("stderr", "Standard error, without one trailing line feed."),
    Key::plain("truncated", "Whether more than 1 MiB was printed."),
    Key::anything(
        "json",
        "With `parse: json`: what standard output says; null when that is not known any more.",
    )
    .sometimes(),
    Key::plain(
        "lines",
        "With `parse: lines`: the lines of standard output; null when they are not known any more.",
    )
    .sometimes(),
];

/// How standard output becomes part of the result.
#[derive(Clone, Copy, PartialEq)]
enum Parse {
    Text,
    Json,
    Lines,
}

/// A script with everything that its call says.
struct Script {
    script: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Option<Secret>,
    timeout: Option<Duration>,
    ok: Vec<i64>,
    parse: Parse,
}

impl Script {
    fn from_args(args: &Args) -> Result<Self, Fault> {
        Ok(Self {
            script: args.text("script")?.to_owned(),
            args: args.texts("args")?,
            env: environment(args)?,
            stdin: args.opt_secret("stdin")?,
            timeout: args.opt_duration("timeout")?,
            ok: ok_status(args)?,
            parse: match args.opt_text("parse")? {
                Some("json") => Parse::Json,
                Some("lines") => Parse::Lines,
                _ => Parse::Text,
            },
        })
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.script.trim_end_matches('\n').to_owned()];
        if !self.args.is_empty() {
            lines.push(format!("with arguments: {}", command_line(&self.args)));
        }
        lines.extend(self.env.iter().map(|(name, value)| format!("with {name}={value}")));
        if self.stdin.is_some() {
            lines.push("with a secret as its input".to_owned());
        }
        lines
    }

    async fn run(&self, ctx: &Ctx, receipt: Option<ReceiptId>) -> Result<Map, Fault> {
        let mut command = Command::shell(&self.script).args(self.args.clone()).cancel(&ctx.cancel);
        command.env.clone_from(&self.env);
        command.stdin.clone_from(&self.stdin);
        command.timeout = self.timeout;
        command.receipt = receipt;
        let exit = ctx.target.exec(command, &|stream, line| ctx.sink.line(stream, line)).await?;
        let (stdout, stderr) = (exit.out(), exit.err());
        if !self.ok.contains(&i64::from(exit.status)) {
            let cause = format!(
                "it ended with status {}: {}",
                exit.status,
                tail(&stderr, &tail(&stdout, "no output"))
            );
            return Err(failed(ctx, "run the script", cause)
                .now("the script has run; what it did before it failed is not known"));
        }
        let mut result = map([
            ("status", Value::Int(exit.status.into())),
            ("stdout", chomp(&stdout).into()),
            ("stderr", chomp(&stderr).into()),
            ("truncated", exit.truncated.into()),
        ]);
        self.parsed(ctx, &stdout, exit.truncated, &mut result)?;
        Ok(result)
    }

    /// The result of a script that was not run, or whose output nobody knows any more: it has the same keys.
    fn unknown_output(&self, status: Option<i32>) -> Value {
        let status = status.map_or(Value::Null, |status| Value::Int(status.into()));
        let parsed = match self.parse {
            Parse::Text => None,
            Parse::Lines => Some("lines"),
            Parse::Json => Some("json"),
        };
        let mut result = map([("status", status)]);
        for key in ["stdout", "stderr", "truncated"].into_iter().chain(parsed) {
            result.insert(key.to_owned(), Value::Null);
        }
        Value::Map(result)
    }

    fn parsed(&self, ctx: &Ctx, stdout: &str, truncated: bool, result: &mut Map) -> Result<(), Fault> {
        let wrong = |cause: String| {
            failed(ctx, "read the script's output", cause)
                .now("the script has run and ended well; only its output is not as expected")
        };
        if self.parse != Parse::Text && truncated {
            return Err(wrong("it printed more than is kept (1 MiB)".to_owned()));
        }
        match self.parse {
            Parse::Text => {}
            Parse::Lines => {
                let lines: Vec<&str> = stdout.lines().collect();
                result.insert("lines".to_owned(), lines.into());
            }
            Parse::Json => {
                let json =
                    serde_json::from_str(stdout).map_err(|error| wrong(format!("no JSON: {error}")))?;
                result.insert("json".to_owned(), Value::from_json(&json));
            }
        }
        Ok(())
    }
}

/// Text without one line feed at its end.
fn chomp(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

fn environment(args: &Args) -> Result<Vec<(String, String)>, Fault> {
    let wrong = |why: String| Fault::usage("read the argument `env`", why);
    let Some(value) = args.get("env") else {
        return Ok(Vec::new());
    };
    let env = value.as_map().ok_or_else(|| wrong(format!("expected a map, got {}", value.type_name())))?;
    env.iter()
        .map(|(name, value)| {
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !plain || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(wrong(format!("`{}` is no name of a variable", name.escape_debug())));
            }
            match value {
                Value::Text(text) => Ok((name.clone(), text.clone())),
                Value::Int(_) | Value::Bool(_) => Ok((name.clone(), value.to_string())),
                Value::Secret(_) => Err(wrong(format!(
                    "`{name}` is a secret, and everyone on the host may see a process's environment; give it as `stdin`"
                ))),
                other => Err(wrong(format!("`{name}`: expected a string, got {}", other.type_name()))),
            }
        })
        .collect()
}

fn ok_status(args: &Args) -> Result<Vec<i64>, Fault> {
    match args.get("ok_status") {
        None => Ok(vec![0]),
        Some(Value::List(list)) if !list.is_empty() && list.iter().all(|one| one.as_int().is_some()) => {
            Ok(list.iter().filter_map(Value::as_int).collect())
        }
        Some(other) => Err(Fault::usage(
            "read the argument `ok_status`",
            format!("expected a list of whole numbers, got {other}"),
        )),
    }
}
