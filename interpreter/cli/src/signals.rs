//! Ctrl-C and SIGTERM. The first Ctrl-C stops the run in order; the second ends the program (130), SIGTERM as well
//! (143): then the journal tells on resume what was under way.

use keybook_api::Cancel;
use tokio::signal::unix::{SignalKind, signal};

/// A token that the first Ctrl-C cancels.
pub fn listen() -> Cancel {
    let cancel = Cancel::new();
    let token = cancel.clone();
    tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {
                    if token.is_cancelled() {
                        leave(130);
                    }
                    token.cancel();
                    let stopping = "stopping in order; Ctrl-C again ends the program at once";
                    let _ = console::Term::stderr().write_line(stopping);
                }
                _ = terminate.recv() => leave(143),
            }
        }
    });
    cancel
}

fn leave(code: i32) -> ! {
    // A progress bar hides the cursor.
    let _ = console::Term::stderr().show_cursor();
    std::process::exit(code)
}
