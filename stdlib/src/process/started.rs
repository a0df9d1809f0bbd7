use crate::support::tell;
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Command, Ctx, Effect, Fault, Plan, Returns, Value,
    WayBack, returns::Key, value::map,
};
use std::time::Duration;

/// When a process started.
pub struct Started;

const SPEC: ActionSpec = ActionSpec {
    name: "process.started",
    summary: "Tells when a process started.",
    doc: "Finds the one process of a program, or the one that a file of its daemon names, and reads from `/proc/PID/stat` when it \
started. It is meant for `started:` in `trust`, which infers from it whether a process has read a file as it is now. The process may \
be in a container, as long as the host sees it.\n\n\
The kernel keeps the first 15 characters of a program's name; of a longer name the first word of the command line must end in it, \
too. The second is rounded down, by up to two seconds. A host whose clock was set meanwhile tells another second than the clock \
showed when the process started.\n\n\
Errors: no such process, more than one (name an `argument` of the one that is meant, or a `pid_file`), a `pid_file` that names no \
running process, a host without /proc ([proc(5)](https://man7.org/linux/man-pages/man5/proc.5.html)).",
    effect: Effect::Reads,
    args: &[
        ArgSpec::optional("name", ArgKind::Text, "", "The program's name, such as `kube-apiserver`."),
        ArgSpec::optional("argument", ArgKind::Text, "", "A word of its command line, as `--name=one`."),
        ArgSpec::optional("pid_file", ArgKind::Path, "", "Instead of a name: the file with its process id."),
    ],
    returns: Returns::map(&[
        Key::plain("started", "In seconds since 1970 (UTC)."),
        Key::plain("pid", "Its process id."),
    ]),
    way_back: WayBack::Nothing,
    example: "process.started:\n  name: kube-apiserver\n",
};

/// Prints the second of the boot, the ticks a second has, and process id and start (in ticks since the boot) of each
/// process that is meant.
const LOOK: &str = r#"
name=$1 argument=$2 file=$3 short=$4
one() {
  read -r stat < "/proc/$1/stat" || return 0
  pid=$1
  # A program's name may hold anything, brackets and blanks too.
  set -- ${stat##*) }
  echo "$pid ${20}"
}
while read -r key value; do
  [ "$key" = btime ] && echo "$value"
done < /proc/stat
getconf CLK_TCK 2> /dev/null || echo 100
if [ -n "$file" ]; then
  pid=
  read -r pid rest < "$file" || [ -n "$pid" ] || exit 3
  case $pid in '' | *[!0-9]*) exit 3 ;; esac
  [ -z "$rest" ] || exit 3
  [ -e "/proc/$pid/stat" ] && one "$pid"
  exit 0
fi
for dir in /proc/[0-9]*; do
  read -r comm 2> /dev/null < "$dir/comm" || continue
  [ "$comm" = "$short" ] || continue
  if [ "$name" != "$short" ] || [ -n "$argument" ]; then
    words=$(tr '\0' '\n' 2> /dev/null < "$dir/cmdline") || continue
    first=${words%%"
"*}
    [ "$name" = "$short" ] || [ "${first##*/}" = "$name" ] || continue
    [ -z "$argument" ] || printf '%s\n' "$words" | grep -qxF -e "$argument" || continue
  fi
  one "${dir##*/}"
done 2> /dev/null
exit 0
"#;

/// How much of a program's name the kernel keeps (TASK_COMM_LEN, without its NUL).
const COMM: usize = 15;

/// Which process is meant.
enum Wanted<'a> {
    Program { name: &'a str, argument: &'a str },
    PidFile(&'a str),
}

impl<'a> Wanted<'a> {
    fn from_args(args: &'a Args) -> Result<Self, Fault> {
        let argument = args.opt_text("argument")?.unwrap_or_default();
        match (args.opt_text("name")?.filter(|name| !name.is_empty()), args.opt_path("pid_file")?) {
            (Some(name), None) => Ok(Self::Program { name, argument }),
            (None, Some(file)) if argument.is_empty() => Ok(Self::PidFile(file)),
            _ => Err(Fault::usage(
                "read the arguments",
                "a process is told by `name`, with an `argument` where that is needed, or by `pid_file`",
            )),
        }
    }

    fn words(&self) -> [&'a str; 4] {
        match self {
            Self::Program { name, argument } => {
                let mut end = name.len().min(COMM);
                while !name.is_char_boundary(end) {
                    end -= 1;
                }
                [name, argument, "", name.get(..end).unwrap_or(name)]
            }
            Self::PidFile(file) => ["", "", file, ""],
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Program { name, argument: "" } => format!("the process of {name}"),
            Self::Program { name, argument } => format!("the process of {name} with {argument}"),
            Self::PidFile(file) => format!("the process that {file} names"),
        }
    }
}

#[async_trait]
impl Action for Started {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads(format!("read when {} started", Wanted::from_args(args)?.told())))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let wanted = Wanted::from_args(args)?;
        let failed = |why: &str| tell::failed(ctx, format!("find out when {} started", wanted.told()), why);
        let command = Command::shell(LOOK).args(wanted.words()).timeout(Duration::from_secs(30));
        let exit = ctx.target.exec(command.cancel(&ctx.cancel), &|_, _| {}).await?;
        if !exit.ok() {
            return Err(failed(match exit.status {
                3 => "the file is not there, or holds no process id",
                _ => "the host does not tell what runs on it",
            }));
        }
        let out = exit.out();
        let found = read(&out).ok_or_else(|| failed("the answer of /proc makes no sense"))?;
        match found[..] {
            [(pid, started)] => {
                Ok(Applied::unchanged(map([("started", Value::Int(started)), ("pid", Value::Int(pid))])))
            }
            [] => Err(failed("there is no such process")),
            _ => {
                let pids: Vec<String> = found.iter().map(|(pid, _)| pid.to_string()).collect();
                Err(failed(&format!("there are {}: {}", pids.len(), pids.join(", "))))
            }
        }
    }
}

/// A process: its id, and the second of its start.
type Process = (i64, i64);

/// The processes that the host tells of.
fn read(out: &str) -> Option<Vec<Process>> {
    let mut lines = out.lines();
    let boot: i64 = lines.next()?.trim().parse().ok()?;
    let ticks: i64 = lines.next()?.trim().parse().ok().filter(|ticks| *ticks > 0)?;
    let process = |line: &str| {
        let (pid, start) = line.split_once(' ')?;
        let start: i64 = start.trim().parse().ok()?;
        Some((pid.parse().ok()?, boot.saturating_add(start / ticks)))
    };
    lines.map(process).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, args};
    use std::process::{Child, Stdio};

    /// A copy of `sleep` under a name of its own, so that no other process of this machine has it.
    struct Sleeper(Child);

    impl Sleeper {
        fn start(bench: &Bench, name: &str) -> Self {
            let program = bench.path(name);
            if !bench.exists(name) {
                std::fs::copy("/bin/sleep", &program).unwrap();
            }
            let child =
                std::process::Command::new(&program).arg("600").stdout(Stdio::null()).spawn().unwrap();
            Self(child)
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn named(name: &str) -> Args {
        args([("name", name.into())])
    }

    async fn started(bench: &Bench, args: &Args) -> (i64, i64) {
        let value = bench.apply(&Started, args).await.unwrap().value;
        let number = |key| value.get(key).and_then(Value::as_int).unwrap();
        (number("started"), number("pid"))
    }

    async fn cause(bench: &Bench, args: &Args) -> String {
        Started.apply(&bench.ctx(), args).await.unwrap_err().cause
    }

    /// Short names, names longer than the kernel keeps, and names that look like the end of the kernel's own field.
    #[tokio::test]
    async fn a_real_process_is_found_by_name_argument_and_pid_file() {
        let bench = Bench::new();
        let id = std::process::id();
        for name in [format!("kb{id}"), format!("kb-{id}-controller-manager"), format!("k) 1 2 ({id}")] {
            let before = jiff::Timestamp::now().as_second();
            let sleeper = Sleeper::start(&bench, &name);
            let pid = i64::from(sleeper.0.id());
            let (second, found) = started(&bench, &named(&name)).await;
            assert_eq!(found, pid, "{name}");
            // Rounded down by two seconds at most; /proc's clock is that of this machine.
            assert!((before - 2..=jiff::Timestamp::now().as_second()).contains(&second), "{second} {before}");
            let argument = |word: &str| args([("name", name.as_str().into()), ("argument", word.into())]);
            assert_eq!(started(&bench, &argument("600")).await.1, pid);
            assert_eq!(cause(&bench, &argument("60")).await, "there is no such process");
            let file = bench.file("daemon.pid", format!("{pid}\n"));
            assert_eq!(started(&bench, &args([("pid_file", file.as_str().into())])).await, (second, pid));

            let other = Sleeper::start(&bench, &name);
            let why = cause(&bench, &named(&name)).await;
            assert!(why.starts_with("there are 2: ") && why.contains(&other.0.id().to_string()), "{why}");
            drop((sleeper, other));
            assert_eq!(cause(&bench, &named(&name)).await, "there is no such process");
            let gone = args([("pid_file", file.into())]);
            assert_eq!(cause(&bench, &gone).await, "there is no such process");
        }
    }

    /// A process that starts later is told to have started later: what `trust` needs to know.
    #[tokio::test]
    async fn a_restart_is_seen() {
        let bench = Bench::new();
        let name = format!("kbr{}", std::process::id());
        let first = {
            let _sleeper = Sleeper::start(&bench, &name);
            started(&bench, &named(&name)).await.0
        };
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let _sleeper = Sleeper::start(&bench, &name);
        assert!(started(&bench, &named(&name)).await.0 > first);
    }

    #[tokio::test]
    async fn what_names_no_process_is_refused() {
        let bench = Bench::new();
        // The number of a process that surely is there does not help when something else stands beside it.
        for text in ["", "x1\n", "1 34x\n0", "1 1\n"] {
            let file = bench.file("bad.pid", text);
            let why = cause(&bench, &args([("pid_file", file.into())])).await;
            assert!(why.contains("no process id"), "{text}: {why}");
        }
        let missing = args([("pid_file", bench.path("gone.pid").into())]);
        assert_eq!(cause(&bench, &missing).await, "the file is not there, or holds no process id");
        let both = args([("name", "a".into()), ("pid_file", "/p".into())]);
        for wrong in [args([]), args([("name", "".into())]), both] {
            assert!(bench.describe(&Started, &wrong).await.unwrap_err().cause.contains("or by `pid_file`"));
        }
        assert!(read("1\n0\n").is_none() && read("x").is_none() && read("1\n100\nx").is_none());
        assert_eq!(read("1000\n100\n7 250\n"), Some(vec![(7, 1002)]));
    }
}
