//! How a script reaches `/bin/sh` on the other side: as text on its standard input, never on a command line.
//!
//! The login shell sees only [`boot`], which every shell reads alike. The text that follows is one compound
//! command in braces: when the connection breaks half-way through it, the shell finds a syntax error and runs
//! nothing. It is followed by the text of the command itself, in the same form, and by the command's own input.
//!
//! Where no input follows, a [`bare`] shell reads the text by itself. A script of ours that needs nobody to watch over it
//! is all of that text.

use super::scripts;
use keybook_api::{Command, Fault, ReceiptId};
use std::fmt::Write;

/// Quotes a word for /bin/sh: within single quotes, where only the quote itself needs care.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What a command's two texts are made of.
pub(crate) struct Payload {
    /// For the first shell.
    pub wrapper: String,
    /// For the second shell, which becomes the command. It comes on standard input, not in an argument and not in the environment:
    /// arguments that are secret would be seen there for as long as the command runs (proc_pid_environ(5)).
    pub command: String,
}

impl Payload {
    /// Puts the texts together. `body` is what [`script`] or [`command`] made; `vetted` says that the folders of the run's
    /// receipts were looked at before.
    pub fn new(root: &str, nonce: &str, receipt: Option<&ReceiptId>, body: &str, vetted: bool) -> Self {
        let command = format!(
            "{{\nkb_nonce={nonce}\n{}{}\n{}\n{body}\n}}\n",
            scripts::PRELUDE,
            scripts::CHILD,
            "unset -f kb_since"
        );
        let (run, name) = receipt.map(|id| (id.run.as_str(), id.file_name())).unwrap_or_default();
        let wrapper = format!(
            "{{\nKB_ROOT={}\nkb_nonce={nonce}\nkb_length={}\nkb_vetted={}\nkb_run={}\nkb_name={}\n{}{}{}{}\n}}\n",
            quote(root),
            command.len(),
            if vetted { "1" } else { "" },
            quote(run),
            quote(&name),
            scripts::PRELUDE,
            scripts::STATE,
            scripts::PATH,
            scripts::WRAPPER,
        );
        Self { wrapper, command }
    }

    /// Both texts, as they go to standard input.
    pub fn text(&self) -> String {
        format!("{}{}", self.wrapper, self.command)
    }
}

/// What the login shell is asked to run: constant but for a number, without a character that any shell
/// (bash, dash, zsh, csh, fish) reads differently between single quotes.
pub(crate) fn boot(length: usize, sudo: bool) -> String {
    format!("{} -c 'eval \"$(head -c {length})\"'", bare(sudo))
}

/// The same for a shell that reads its text from standard input by itself, possibly far beyond its end.
pub(crate) fn bare(sudo: bool) -> &'static str {
    if sudo { "exec env LC_ALL=C sudo -n -- /bin/sh" } else { "exec /bin/sh" }
}

/// The text for a [`bare`] shell. `body` is what [`script`] made.
pub(crate) fn bare_text(nonce: &str, body: &str) -> String {
    format!("{{\nkb_nonce={nonce}\n{}{}{}{body}\nexit\n}}\n", scripts::PRELUDE, scripts::PATH, scripts::BARE)
}

/// The text of one of our own scripts with its positional arguments.
pub(crate) fn script(root: &str, parts: &[&str], args: &[&str]) -> Result<String, Fault> {
    let mut text = format!("{}KB_ROOT={}\n", scripts::ENVIRONMENT, quote(root));
    set_args(&mut text, args)?;
    parts.iter().for_each(|part| text.push_str(part));
    Ok(text)
}

/// The text of a command that someone else wrote.
pub(crate) fn command(command: &Command) -> Result<String, Fault> {
    let mut text = String::new();
    for (name, value) in &command.env {
        let mut bytes = name.bytes();
        let fits = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            return Err(Fault::usage(
                "run a command",
                format!("`{name}` is no name for an environment variable"),
            ));
        }
        check(value)?;
        let _ = writeln!(text, "export {name}={}", quote(value));
    }
    check(&command.script)?;
    set_args(&mut text, &command.args.iter().map(String::as_str).collect::<Vec<_>>())?;
    let _ = writeln!(text, "eval {}", quote(&command.script));
    Ok(text)
}

fn set_args(text: &mut String, args: &[&str]) -> Result<(), Fault> {
    text.push_str("set --");
    for arg in args {
        check(arg)?;
        text.push(' ');
        text.push_str(&quote(arg));
    }
    text.push('\n');
    Ok(())
}

/// No shell can hold a NUL byte in a word.
fn check(word: &str) -> Result<(), Fault> {
    if word.contains('\0') {
        return Err(Fault::usage("run a command", "its text, an argument or a variable contains a NUL byte"));
    }
    Ok(())
}

/// Sixteen random bytes in hexadecimal.
pub(crate) fn nonce() -> Result<String, Fault> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| Fault::failed("get random bytes", e))?;
    Ok(bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_survives_a_real_shell() {
        for word in ["", "a b", "it's", "$(x)`y`\"\\", "a\nb\n", "-n", "é😀", "''"] {
            let script = format!("printf %s {}", quote(word));
            let out = std::process::Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }

    #[test]
    fn a_text_cut_anywhere_runs_nothing() {
        let body = command(&Command::shell("echo ran").args(["x y"])).unwrap();
        let text = Payload::new("", "n", None, &body, false).text();
        let wrapper = Payload::new("", "n", None, &body, false).wrapper.len();
        for end in (1..wrapper - 3).step_by(97) {
            let Some(cut) = text.get(..end) else { continue };
            let out = std::process::Command::new("/bin/sh").arg("-c").arg(cut).output().unwrap();
            assert_eq!(out.stdout, b"", "cut at {end}");
            assert_ne!(out.status.code(), Some(0));
        }
    }

    #[test]
    fn bad_names_and_nul_bytes_are_refused() {
        let mut bad = Command::shell("true");
        bad.env.push(("A-B".into(), String::new()));
        assert!(command(&bad).is_err());
        assert!(command(&Command::shell("a\0b")).is_err());
        assert!(command(&Command::shell("a").args(["\0"])).is_err());
    }
}
