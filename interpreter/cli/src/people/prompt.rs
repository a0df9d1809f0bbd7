//! A line from the terminal.

use rustix::termios::{QueueSelector, tcflush};

/// Throws away what was typed so far: nobody can have meant it as the answer to a question that is about to be printed. To be
/// called before its first line is printed and not after, since whoever sees a question may answer it.
pub fn forget() {
    // Only a terminal has such a queue.
    let _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
}

/// Asks for a line on standard error; it may be empty. What was typed beyond that line answers no later question.
///
/// # Errors
/// Those of reading from the terminal; `Interrupted` after Ctrl-C.
pub fn ask(prompt: &str) -> Result<String, dialoguer::Error> {
    let typed = dialoguer::Input::<String>::new()
        .with_prompt(prompt)
        .allow_empty(true)
        .report(false)
        .interact_on(&console::Term::stderr());
    forget();
    typed
}
