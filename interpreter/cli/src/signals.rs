//! Ctrl-C and SIGTERM. Before a run is under way each ends the program (130, 143). Then the first Ctrl-C stops the run
//! in order and only the second ends the program: the journal tells on resume what was under way.

use keybook_api::Cancel;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::sync::OnceLock;
use tokio::signal::unix::{SignalKind, signal};

/// The stop of the run, once there is one.
static RUN: OnceLock<Cancel> = OnceLock::new();

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
        loop {
            tokio::select! {
                _ = interrupt.recv() => match RUN.get().filter(|run| !run.is_cancelled()) {
                    None => leave(130, terminal.as_ref()),
                    Some(run) => {
                        run.cancel();
                        // On a line of its own: a prompt may be waiting on this one.
                        let stopping = "\nstopping in order; Ctrl-C again ends the program at once";
                        let _ = console::Term::stderr().write_line(stopping);
                    }
                },
                _ = terminate.recv() => leave(143, terminal.as_ref()),
            }
        }
    });
}

/// A token that the first Ctrl-C cancels from now on.
pub fn listen() -> Cancel {
    RUN.get_or_init(Cancel::new).clone()
}

fn leave(code: i32, terminal: Option<&Termios>) -> ! {
    if let Some(settings) = terminal {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, settings);
    }
    // A progress bar hides the cursor.
    let _ = console::Term::stderr().show_cursor();
    std::process::exit(code)
}
