use super::{CACERT, CERT, Client, ETCDCTL, KEY, trouble};
use crate::support::{
    change::{missing_dirs, refuse_missing},
    files::{base, join, parent, size},
    program,
    tell::{self, command_line, failed},
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Command, Ctx, Effect, Exit, Fault, FaultKind,
    FileKind, Plan, Reconcile, Returns, Value, WayBack, returns::Key, value::map,
};
use serde_json::Value as Json;
use std::time::Duration;

/// Saves an etcd member's data.
pub struct Snapshot;

const SPEC: ActionSpec = ActionSpec {
    name: "etcd.snapshot",
    summary: "Saves a snapshot of an etcd member's data to a file on the host, and verifies it.",
    doc: "Runs `etcdctl snapshot save` to a file beside `out` whose name begins with a dot, then `snapshot status` on it (by etcdutl \
where etcdctl has no such command any more, from 3.6), and only then gives it its name: what is at `out` was verified. The file is 0600, \
since it holds every Secret of the cluster. An existing file is never replaced. When `etcdctl` runs in a container, `out` must be the same \
path there and on the host.\n\n\
After a crash: the file is at `out`, done; it is not, not done.\n\n\
Errors: something at `out`, no directory for it, an endpoint that does not answer, a snapshot that cannot be verified, the time is up \
([etcd's disaster recovery](https://etcd.io/docs/v3.4/op-guide/recovery/)).",
    effect: Effect::Changes,
    args: &[
        ArgSpec::required("endpoint", ArgKind::Text, "The client URL of one member."),
        ArgSpec::required("out", ArgKind::Path, "The file to write."),
        CACERT,
        CERT,
        KEY,
        ETCDCTL,
        ArgSpec::optional("etcdutl", ArgKind::Texts, "etcdutl", "As `etcdctl`, for etcdutl."),
        ArgSpec::optional("timeout", ArgKind::Duration, "5m", "How long saving may take."),
    ],
    returns: Returns::map(&[
        Key::plain("path", "The snapshot."),
        Key::plain("sha256", "The file's, in hexadecimal."),
        Key::plain("size", "In bytes."),
        Key::plain("revision", "As `snapshot status` tells."),
        Key::plain("total_key", "As `snapshot status` tells."),
        Key::plain("hash", "As `snapshot status` tells."),
    ]),
    way_back: WayBack::Files,
    example: "etcd.snapshot:\n  endpoint: https://10.0.0.1:4001\n  out: /root/rotation/etcd.db\n  cacert: /srv/kubernetes/etcd-ca.pem\n  \
cert: /srv/kubernetes/etcd.pem\n  key: /srv/kubernetes/etcd-key.pem\n",
};

/// $1: the file that is being written; the rest is the command.
const SAVE: &str = r#"umask 077
rm -f -- "$1" "$1.part" || exit 1
shift
exec "$@""#;

#[async_trait]
impl Action for Snapshot {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        tell::planned(ctx, self, args, plan(ctx, args).await)
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let job = Job::from_args(args)?;
        job.refuse_existing(ctx).await?;
        job.save(ctx).await?;
        let verified = job.verify(ctx, &job.part).await;
        if verified.is_err() {
            ctx.target.remove(&job.part).await?;
        }
        let result = verified?;
        ctx.target.rename(&job.part, &job.out).await?;
        Ok(Applied::changed(result))
    }

    async fn reconcile(&self, ctx: &Ctx, args: &Args, _memo: &Value) -> Result<Reconcile, Fault> {
        let job = Job::from_args(args)?;
        match ctx.target.stat(&job.out).await? {
            None => Ok(Reconcile::NotDone),
            Some(_) => match job.verify(ctx, &job.out).await {
                Err(fault) if fault.kind == FaultKind::Failed => Ok(Reconcile::Unknown(fault.cause)),
                other => Ok(Reconcile::Done(other?)),
            },
        }
    }
}

async fn plan(ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
    let job = Job::from_args(args)?;
    job.refuse_existing(ctx).await?;
    let save = format!("ETCDCTL_API=3 {}", command_line(job.save_words()));
    let status = format!("ETCDCTL_API=3 {}", command_line(status_words(&job.client.etcdctl, &job.part)));
    let lines = [save, status, format!("rename {} to {} (mode 0600)", job.part, job.out)];
    // etcdctl itself writes to a third name before.
    let touches = vec![job.out.clone(), job.part.clone(), format!("{}.part", job.part)];
    Ok(Plan { touches, basis: "none".to_owned(), ..Plan::will(lines) })
}

struct Job {
    client: Client,
    etcdutl: Vec<String>,
    out: String,
    /// The file until it is verified.
    part: String,
    timeout: Duration,
}

impl Job {
    fn from_args(args: &Args) -> Result<Self, Fault> {
        let mut own = args.clone();
        let timeout = own.0.shift_remove("timeout");
        own.0.insert("endpoints".to_owned(), args.text("endpoint")?.into());
        let client = Client::from_args(&own)?;
        let timeout = timeout.filter(|timeout| *timeout != Value::Null).and(args.opt_duration("timeout")?);
        let out = args.path("out")?.to_owned();
        let part = join(parent(&out), &format!(".{}.keybook", base(&out)));
        let etcdutl = program::words(args, "etcdutl", "etcdutl")?;
        Ok(Self { client, etcdutl, out, part, timeout: timeout.unwrap_or(Duration::from_secs(300)) })
    }

    async fn refuse_existing(&self, ctx: &Ctx) -> Result<(), Fault> {
        refuse_missing(ctx, &self.out, &missing_dirs(ctx, &self.out).await?)?;
        if ctx.target.stat(&self.out).await?.is_none() {
            return Ok(());
        }
        Err(failed(ctx, self.attempted(), "there is a file already, and a snapshot is never replaced")
            .now("nothing was written")
            .hint("Name a new file, for example with the run's name in it."))
    }

    fn attempted(&self) -> String {
        format!("save a snapshot to {}", self.out)
    }

    fn save_words(&self) -> Vec<String> {
        let endpoint = self.client.endpoints.first().map(String::as_str).unwrap_or_default();
        let mut words = self.client.words(endpoint, &["snapshot", "save", &self.part]);
        // It would bound the whole transfer in some versions; the command as a whole has its own time-out.
        words.retain(|word| !word.starts_with("--command-timeout="));
        words
    }

    async fn save(&self, ctx: &Ctx) -> Result<(), Fault> {
        if parent(&self.out).starts_with(&ctx.state_dir) {
            ctx.target.make_dir(parent(&self.out), 0o700).await?;
        }
        let mut command = Command::shell(SAVE).args([self.part.clone()]).args(self.save_words());
        command.env.push(("ETCDCTL_API".to_owned(), "3".to_owned()));
        command = command.timeout(self.timeout).cancel(&ctx.cancel);
        let exit =
            ctx.target.exec(command, &|stream, line| ctx.sink.line(stream, line)).await.map_err(|fault| {
                fault.now(format!("{} was not made; {} may be there in part", self.out, self.part))
            })?;
        match exit.ok() {
            true => Ok(()),
            false => Err(failed(ctx, self.attempted(), trouble(&exit)).now("nothing is at that path")),
        }
    }

    /// What the file holds, by etcd's own tools and by its digest.
    async fn verify(&self, ctx: &Ctx, path: &str) -> Result<Value, Fault> {
        let attempted = || format!("verify the snapshot {path}");
        let (mut status, mut troubles) = (None, Vec::new());
        for program in [&self.client.etcdctl, &self.etcdutl] {
            let mut command =
                Command::argv(status_words(program, path)).timeout(self.timeout).cancel(&ctx.cancel);
            command.env.push(("ETCDCTL_API".to_owned(), "3".to_owned()));
            let exit = ctx.target.exec(command, &|_, _| {}).await?;
            status = read(&exit);
            if status.is_some() {
                break;
            }
            troubles.push(trouble(&exit));
        }
        let Some(status) = status else {
            return Err(failed(ctx, attempted(), troubles.join("; ")).now("it was not given its name"));
        };
        let entries = ctx.target.tree(&[path.to_owned()]).await?;
        let file = entries.first().filter(|entry| entry.stat.kind == FileKind::File).ok_or_else(|| {
            failed(ctx, attempted(), format!("etcdctl wrote no file that the host has at {path}"))
        })?;
        let number = |name: &str| Value::from(status.get(name).and_then(Json::as_i64));
        Ok(Value::Map(map([
            ("path", self.out.as_str().into()),
            ("sha256", file.sha256.as_str().into()),
            ("size", size(file.stat.size)),
            ("revision", number("revision")),
            ("total_key", number("totalKey")),
            ("hash", number("hash")),
        ])))
    }
}

fn status_words(program: &[String], path: &str) -> Vec<String> {
    let rest = ["--write-out=json", "snapshot", "status", path].map(str::to_owned);
    program.iter().cloned().chain(rest).collect()
}

/// `{"hash":…,"revision":…,"totalKey":…,"totalSize":…}`, with warnings around it.
fn read(exit: &Exit) -> Option<Json> {
    let out = exit.out();
    let status = out.lines().find_map(|line| serde_json::from_str::<Json>(line.trim()).ok());
    status.filter(|status| exit.ok() && status.get("totalSize").and_then(Json::as_i64) > Some(0))
}
