//! `etcd`: asking etcd members, by etcdctl on the node.

mod health;
mod leader;
mod members;
mod snapshot;
mod status;

use crate::support::{
    program,
    tell::{command_line, failed, tail},
};
use futures::future::join_all;
use keybook_api::{ArgKind, ArgSpec, Args, Command, Ctx, Exit, Fault, FaultKind, Registry, duration};
use serde_json::Value as Json;
use std::time::Duration;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(health::Health);
    all.add(status::Status);
    all.add(members::Members);
    all.add(leader::Leader);
    all.add(snapshot::Snapshot);
}

const ENDPOINTS: ArgSpec = ArgSpec::required(
    "endpoints",
    ArgKind::Texts,
    "Client URLs, such as `https://10.0.0.1:2379`; each once.",
);
const CACERT: ArgSpec =
    ArgSpec::required("cacert", ArgKind::Path, "The CA bundle that the servers must verify against.");
const CERT: ArgSpec = ArgSpec::required("cert", ArgKind::Path, "The client certificate.");
const KEY: ArgSpec = ArgSpec::required("key", ArgKind::Path, "Its key.");
const ETCDCTL: ArgSpec = ArgSpec::optional(
    "etcdctl",
    ArgKind::Texts,
    "etcdctl",
    "The program, or a list of words that begins the command, such as `[docker, exec, etcd, etcdctl]`.",
);
const TIMEOUT: ArgSpec =
    ArgSpec::optional("timeout", ArgKind::Duration, "5s", "How long each member may take.");

/// How much longer than its own time-out etcdctl may take before it is ended.
const GRACE: Duration = Duration::from_secs(5);

/// How to ask.
struct Client {
    etcdctl: Vec<String>,
    endpoints: Vec<String>,
    cacert: String,
    cert: String,
    key: String,
    timeout: Duration,
}

/// One member's answer: how etcdctl ended, or why it was ended.
type Answer = Result<Exit, String>;

impl Client {
    fn from_args(args: &Args) -> Result<Self, Fault> {
        let endpoints = args.texts("endpoints")?;
        let wrong = |why: String| Err(Fault::usage("read the argument `endpoints`", why));
        if endpoints.is_empty() {
            return wrong("the list is empty".to_owned());
        }
        for (at, endpoint) in endpoints.iter().enumerate() {
            if endpoint.is_empty()
                || endpoint.contains(|c: char| c == ',' || c.is_whitespace() || c.is_control())
            {
                return wrong(format!("`{}` is not one endpoint", endpoint.escape_debug()));
            }
            // Counted twice, one member could make a quorum of two.
            if endpoints.iter().skip(at + 1).any(|other| other == endpoint) {
                return wrong(format!("`{endpoint}` stands there twice"));
            }
        }
        let etcdctl = program::words(args, "etcdctl", "etcdctl")?;
        Ok(Self {
            etcdctl,
            endpoints,
            cacert: args.path("cacert")?.to_owned(),
            cert: args.path("cert")?.to_owned(),
            key: args.path("key")?.to_owned(),
            timeout: args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(5)),
        })
    }

    fn words(&self, endpoint: &str, verb: &[&str]) -> Vec<String> {
        let timeout = format!("{}ms", self.timeout.as_millis());
        let options = [
            format!("--endpoints={endpoint}"),
            format!("--cacert={}", self.cacert),
            format!("--cert={}", self.cert),
            format!("--key={}", self.key),
            format!("--dial-timeout={timeout}"),
            format!("--command-timeout={timeout}"),
            "--write-out=json".to_owned(),
        ];
        let verb = verb.iter().map(|word| (*word).to_owned());
        self.etcdctl.iter().cloned().chain(options).chain(verb).collect()
    }

    fn lines(&self, verb: &[&str]) -> Vec<String> {
        let line = |endpoint: &String| format!("ETCDCTL_API=3 {}", command_line(self.words(endpoint, verb)));
        self.endpoints.iter().map(line).collect()
    }

    /// Asks every endpoint by a call of its own, so that a dead one neither hangs nor hides the others.
    /// Faults: the host is lost, the run is stopped, etcdctl cannot be run.
    async fn ask(&self, ctx: &Ctx, verb: &[&str]) -> Result<Vec<(String, Answer)>, Fault> {
        let asked = self.endpoints.iter().map(|endpoint| async move {
            let answer = self.ask_one(ctx, endpoint, verb).await?;
            Ok((endpoint.clone(), answer))
        });
        join_all(asked).await.into_iter().collect()
    }

    async fn ask_one(&self, ctx: &Ctx, endpoint: &str, verb: &[&str]) -> Result<Answer, Fault> {
        let bound = self.timeout.saturating_add(GRACE);
        let mut command = Command::argv(self.words(endpoint, verb)).timeout(bound).cancel(&ctx.cancel);
        command.env.push(("ETCDCTL_API".to_owned(), "3".to_owned()));
        match ctx.target.exec(command, &|_, _| {}).await {
            Ok(exit) if matches!(exit.status, 126 | 127) => {
                let cause = tail(&exit.err(), "the program cannot be run");
                Err(failed(ctx, format!("run {}", command_line(&self.etcdctl)), cause)
                    .hint("Give the argument `etcdctl` the program's full path."))
            }
            Ok(exit) => Ok(Ok(exit)),
            Err(fault) if fault.kind == FaultKind::TimedOut => {
                Ok(Err(format!("no answer within {}", duration::format(bound))))
            }
            Err(fault) => Err(fault),
        }
    }
}

/// The first object of the JSON list that etcdctl printed; log lines may stand around it.
fn json(exit: &Exit) -> Option<Json> {
    let out = exit.out();
    let list: Vec<Json> = out.lines().find_map(|line| serde_json::from_str(line.trim()).ok())?;
    list.into_iter().next()
}

/// Why there is no answer to read.
fn trouble(exit: &Exit) -> String {
    tail(&exit.err(), &tail(&exit.out(), &format!("etcdctl ended with status {}", exit.status)))
}

#[cfg(test)]
mod tests;
