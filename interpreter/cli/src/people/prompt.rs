//! Questions at the terminal.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// A question, from before its first line is printed until it is answered.
///
/// Whoever sees a question may answer it at once, before the prompt reads keys. Until then the terminal would echo them, and make
/// Ctrl-C a signal that the prompt does not hear of; so from here on it hands keys over as they are.
pub struct Question {
    /// The terminal's settings before; none where there is no terminal.
    before: Option<Termios>,
}

impl Question {
    /// Begins a question. What was typed so far is thrown away: nobody can have meant it as the answer.
    pub fn begin() -> Self {
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(mut keys) = before.clone() {
            keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &keys);
        }
        Self { before }
    }

    /// Asks for a line on standard error; it may be empty. What was typed beyond that line answers no later question.
    ///
    /// # Errors
    /// Those of reading from the terminal; `Interrupted` after Ctrl-C.
    pub fn ask(&self, prompt: &str) -> Result<String, dialoguer::Error> {
        let typed = dialoguer::Input::<String>::new()
            .with_prompt(prompt)
            .allow_empty(true)
            .report(false)
            .interact_on(&console::Term::stderr());
        if self.before.is_some() {
            let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
        }
        typed
    }

    /// Gives the terminal back as it was. To be called where a prompt is left in its middle, which keeps its thread waiting for a
    /// key.
    pub fn end(&self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.end();
    }
}
