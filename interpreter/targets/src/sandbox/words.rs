//! A command as the scenario sees it: one line to match, and its words.

use keybook_api::Command;

/// What [`Command::argv`] makes.
const PLAIN: &str = "exec \"$@\"";

/// The words of a command: the arguments of a program, or those of a shell script that is one plain command.
/// Empty for every other script.
pub(crate) fn argv(command: &Command) -> Vec<String> {
    if command.script == PLAIN { command.args.clone() } else { split(&command.script).unwrap_or_default() }
}

/// The command on one line: the words of a program, or a script with white space folded.
pub(crate) fn line(command: &Command) -> String {
    if command.script == PLAIN {
        return command.args.join(" ");
    }
    command.script.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line for messages.
pub(crate) fn shortened(line: &str) -> String {
    const SHOWN: usize = 160;
    if line.chars().count() <= SHOWN {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(SHOWN).collect::<String>())
}

/// Splits a shell command that uses no more of the shell than quotes; `None` for anything else.
fn split(script: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = script.trim().chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '\'' => break,
                        inside => word.push(inside),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next()? {
                        '"' => break,
                        '$' | '`' | '\\' => return None,
                        inside => word.push(inside),
                    }
                }
            }
            '$' | '`' | '\\' | ';' | '|' | '&' | '<' | '>' | '(' | ')' | '{' | '}' | '*' | '?' | '[' | '#' | '\n' => {
                return None;
            }
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_commands_have_words_and_scripts_have_none() {
        let program = Command::argv(["docker", "ps", "a b"]);
        assert_eq!(line(&program), "docker ps a b");
        assert_eq!(argv(&program), ["docker", "ps", "a b"]);
        let plain = Command::shell("docker ps  --format='{{.Names}} x' \"\"\n");
        assert_eq!(line(&plain), "docker ps --format='{{.Names}} x' \"\"");
        assert_eq!(argv(&plain), ["docker", "ps", "--format={{.Names}} x", ""]);
        for script in ["a | b", "echo \"$x\"", "a\nb", "a 'b", "a \"b"] {
            assert_eq!(argv(&Command::shell(script)), Vec::<String>::new(), "{script}");
        }
        assert_eq!(line(&Command::shell("set -e\n  a |\n\tb\n")), "set -e a | b");
    }
}
