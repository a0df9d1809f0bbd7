//! Ctrl-C, SIGTERM, and SIGHUP of a terminal that is gone. Before a run is under way each ends the program (130, 143, 129).
//! Then the first Ctrl-C stops the run in order and only the second ends the program: the journal tells on resume what was
//! under way. So does the first SIGHUP; under `nohup`, which ignores it, the run goes on.

use keybook_api::{Cancel, RunId};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::{sync::OnceLock, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// The stop of the run, once there is one, and the run's id.
static RUN: OnceLock<(Cancel, String)> = OnceLock::new();

/// What the first Ctrl-C says, on a line of its own.
const STOPPING: &str = "\nstopping in order: a host inside an atomic step is brought through first.\n\
                        Ctrl-C again ends the program at once";

/// How long telling may take.
const TELL: Duration = Duration::from_millis(200);

/// Hears signals from here on. To be called in the runtime, before anything is asked.
pub fn watch() {
    // A prompt that is left in its middle has changed how the terminal takes keys.
    let terminal = tcgetattr(std::io::stdin()).ok();
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        let mut hangup = if ignores_hangup() { None } else { signal(SignalKind::hangup()).ok() };
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = interrupt.recv() => match RUN.get().filter(|(run, _)| !run.is_cancelled()) {
                    None => leave(130, terminal.as_ref()).await,
                    Some((run, _)) => {
                        // Before anything else is printed, as a prompt may be waiting on this line.
                        tell(|| drop(console::Term::stderr().write_line(STOPPING))).await;
                        run.cancel();
                    }
                },
                _ = terminate.recv() => leave(143, terminal.as_ref()).await,
                // Nobody is there to be told anything.
                _ = hung_up => match RUN.get().filter(|(run, _)| !run.is_cancelled()) {
                    None => leave(129, terminal.as_ref()).await,
                    Some((run, _)) => run.cancel(),
                },
            }
        }
    });
}

/// Was SIGHUP ignored by whoever started this program (proc_pid_status(5): the mask `SigIgn`)?
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// A token that the first Ctrl-C cancels from now on.
pub fn listen(run: &RunId) -> Cancel {
    RUN.get_or_init(|| (Cancel::new(), run.to_string())).0.clone()
}

/// Prints on a thread of its own: a terminal that takes no text holds nobody up for longer than [`TELL`].
async fn tell(print: impl FnOnce() + Send + 'static) {
    let (through, heard) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        print();
        let _ = through.send(());
    });
    let _ = tokio::time::timeout(TELL, heard).await;
}

async fn leave(code: i32, terminal: Option<&Termios>) -> ! {
    if let Some(settings) = terminal {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, settings);
    }
    tell(|| {
        let term = console::Term::stderr();
        if term.is_term() {
            // A progress bar hides the cursor.
            let _ = term.show_cursor();
        }
        if let Some((_, run)) = RUN.get() {
            let _ = term.write_line(&format!(
                "\nended at once; what was under way may be half done. Find out and go on:\n  keybook resume {run}\n\
                 or take it back:\n  keybook rollback {run}"
            ));
        }
    })
    .await;
    std::process::exit(code)
}
