//! Scripts that only look, in the very shell that reads them.

use super::safety::Tools;
use super::*;
use crate::posix::files::ABSENT;
use std::sync::atomic::Ordering;

/// A machine whose shells are started in a process group that another process leads, as sudo does.
struct Shared(LocalShell);

#[async_trait]
impl RawShell for Shared {
    fn host(&self) -> &str {
        self.0.host()
    }
    async fn start(&self, boot: &str, urgent: bool) -> Result<Started, Fault> {
        self.0.start(&format!("({boot}); exit $?"), urgent).await
    }
    async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Box<dyn Stream>, Fault> {
        self.0.open(host, port, timeout).await
    }
    async fn close(&self) {}
}

/// Runs a script as an operation does that only looks, for this long at most.
async fn look<S: RawShell>(
    host: &PosixTarget<S>,
    script: &str,
    args: &[&str],
    limit: Duration,
) -> Result<Outcome, Fault> {
    let body = payload::script(&host.root, &[script], args).unwrap();
    host.run(Job::looking("look", body, limit)).await
}

#[tokio::test]
async fn a_shell_without_a_group_of_its_own_gets_one() {
    let lab = Lab::new().await;
    lab.put("/f", "text", 0o640);
    let host = PosixTarget::unidentified(Shared(LocalShell::new("h")), lab.host.root.clone(), false);
    assert_eq!(host.read("/f", 9).await.unwrap(), Secret::new("text"));
    assert!(!host.bare.load(Ordering::Relaxed), "the shell was not alone in its group");
    assert_eq!(host.stat("/f").await.unwrap(), lab.host.stat("/f").await.unwrap());
    assert!(lab.host.bare.load(Ordering::Relaxed));
    let fault = look(&host, "sleep 300", &[], Duration::from_millis(500)).await.err().unwrap();
    assert_eq!(fault.now_true.as_deref(), Some("the command was ended (status 143)"));
}

#[tokio::test]
async fn what_hangs_while_looking_is_ended_and_so_are_its_children() {
    let lab = Lab::new().await;
    let pid = lab.at("pid");
    // Like a tool on a file system whose server is gone; the second one does not even mind TERM.
    let hung = format!("echo $$ >'{0}.new'; mv '{0}.new' '{0}'; sleep 300", pid.display());
    for (line, now) in [
        (hung.clone(), "the command was ended (status 143)"),
        (format!("trap '' TERM\n{hung} & wait; sleep 300"), "the command was ended"),
    ] {
        lab.put("/f", "text", 0o600);
        let host = Tools::with(&lab, &[("find", &line)]);
        let script = [scripts::PRELUDE, scripts::STAT].concat();
        let (result, tool) =
            tokio::join!(look(&host, &script, &["/f"], Duration::from_secs(1)), pid_in(&pid));
        let fault = result.err().unwrap();
        assert_eq!((fault.kind, fault.now_true.as_deref()), (FaultKind::TimedOut, Some(now)));
        assert!(!runs(tool));
        std::fs::remove_file(&pid).unwrap();
    }
}

#[tokio::test]
async fn a_shell_that_is_killed_is_no_answer() {
    let lab = Lab::new().await;
    lab.put("/f", "text", 0o600);
    let host = Tools::with(&lab, &[("find", "kill -KILL $PPID; sleep 0.1")]);
    let fault = host.stat("/f").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unknown);
    let host = Tools::with(&lab, &[("find", "exit 7")]);
    assert!(host.stat("/f").await.unwrap_err().cause.contains("status 7"));
}

#[tokio::test]
async fn a_look_has_no_input_and_shows_no_argument_and_its_status_is_its_own() {
    let lab = Lab::new().await;
    for status in [0, 1, ABSENT, 143] {
        let script =
            format!("cat; tr '\\0' ' ' </proc/$$/cmdline; printf %s \"$1\"; echo said >&2; (exit {status})");
        let outcome = look(&lab.host, &script, &["a 'b'"], FILE_LIMIT).await.unwrap();
        assert_eq!((outcome.status, outcome.stdout.text().as_str()), (status, "/bin/sh a 'b'"));
        assert_eq!(outcome.stderr.text(), "said\n");
    }
    let outcome = look(&lab.host, "head -c 2000000 /dev/zero", &[], FILE_LIMIT).await.unwrap();
    assert!(outcome.stdout.truncated() && outcome.stdout.into_bytes().len() == 1 << 20);
}

#[test]
fn a_text_cut_anywhere_runs_nothing_whoever_reads_it() {
    use std::io::Write as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};
    let text = payload::bare_text("n", &payload::script("", &["echo ran"], &["x y"]).unwrap());
    for shell in ["dash", "bash"] {
        let run = |text: &str| {
            let mut command = Command::new(shell);
            command.env("PS1", "").process_group(0);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        };
        let whole = run(&text);
        assert!(String::from_utf8(whole.stdout).unwrap().contains("\nran\n\u{1e}n:end:0\n"), "{shell}");
        // Without its last line break it is whole.
        for end in (0..text.len() - 1).filter(|end| end % 61 == 0 || *end > text.len() - 30) {
            let cut = run(text.get(..end).unwrap());
            assert_eq!(cut.stdout, b"", "{shell}, cut at {end}");
        }
    }
}
