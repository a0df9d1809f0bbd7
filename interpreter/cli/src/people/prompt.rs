//! Questions at the terminal.

use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

/// The terminal while questions are open.
struct Keys {
    /// How many questions are open: those of two hosts may be at once.
    open: usize,
    /// The terminal's settings before the first one; none where there is no terminal.
    before: Option<Termios>,
}

static KEYS: Mutex<Keys> = Mutex::new(Keys { open: 0, before: None });

/// A question, from before its first line is printed until it is answered.
///
/// Whoever sees a question may answer it at once, before the prompt reads keys. Until then the terminal would echo them, and make
/// Ctrl-C a signal that the prompt does not hear of; so from here on it hands keys over as they are.
pub struct Question {
    ended: AtomicBool,
}

impl Question {
    /// Begins a question. What was typed so far is thrown away: nobody can have meant it as the answer.
    pub fn begin() -> Self {
        let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
        keys.open += 1;
        if keys.open == 1 {
            keys.before = tcgetattr(std::io::stdin()).ok();
        }
        if let Some(mut settings) = keys.before.clone() {
            settings.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &settings);
        }
        Self { ended: AtomicBool::new(false) }
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
        // Only a terminal has such a queue.
        let _ = tcflush(std::io::stdin(), QueueSelector::IFlush);
        if self.ended.load(Ordering::SeqCst) {
            // It was left in its middle, and its last key made the settings those of a question again.
            give_back(&KEYS.lock().unwrap_or_else(PoisonError::into_inner));
        }
        typed
    }

    /// Gives the terminal back as it was, unless another question is open. To be called where a prompt is left in its middle,
    /// which keeps its thread waiting for a key.
    pub fn end(&self) {
        if self.ended.swap(true, Ordering::SeqCst) {
            return;
        }
        let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
        keys.open -= 1;
        give_back(&keys);
    }
}

fn give_back(keys: &Keys) {
    if let (0, Some(before)) = (keys.open, &keys.before) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.end();
    }
}
