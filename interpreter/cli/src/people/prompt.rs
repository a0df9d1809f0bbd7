//! A line from the terminal.

use rustix::termios::{QueueSelector, tcflush};

/// Asks for a line on standard error; it may be empty. What was typed before the question stood there is thrown away: nobody
/// can have meant it as the answer.
///
/// # Errors
/// Those of reading from the terminal; `Interrupted` after Ctrl-C.
pub fn ask(prompt: &str) -> Result<String, dialoguer::Error> {
    // Only a terminal has such a queue.
    let _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
    dialoguer::Input::<String>::new()
        .with_prompt(prompt)
        .allow_empty(true)
        .report(false)
        .interact_on(&console::Term::stderr())
}
