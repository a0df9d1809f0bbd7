//! A command as the scenario sees it: one line to match, and its words.

use keybook_api::Command;

/// What [`Command::argv`] makes.
const PLAIN: &str = "exec \"$@\"";

/// A command taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    /// The program and its arguments; empty for a script that is more than one plain command.
    pub argv: Vec<String>,
    /// What the answer's `match` is compared with.
    pub line: String,
    /// Variables set before the program's name.
    pub env: Vec<(String, String)>,
}

impl Words {
    /// Takes a command apart.
    pub fn of(command: &Command) -> Self {
        if command.script == PLAIN {
            return Self { argv: command.args.clone(), line: command.args.join(" "), env: Vec::new() };
        }
        match split(&command.script, &command.args) {
            Some(words) => Self::plain(words),
            None => {
                let line = command.script.split_whitespace().collect::<Vec<_>>().join(" ");
                Self { argv: Vec::new(), line, env: Vec::new() }
            }
        }
    }

    /// `A=b exec program argument…`
    fn plain(words: Vec<String>) -> Self {
        let mut env = Vec::new();
        let mut words = words.into_iter().peekable();
        while let Some((name, value)) = words.peek().and_then(|word| assignment(word)) {
            env.push((name.to_owned(), value.to_owned()));
            words.next();
        }
        words.next_if(|word| word == "exec");
        let argv: Vec<String> = words.collect();
        Self { line: argv.join(" "), argv, env }
    }
}

fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    fits.then_some((name, value))
}

/// A line for messages.
pub(crate) fn shortened(line: &str) -> String {
    const SHOWN: usize = 160;
    if line.chars().count() <= SHOWN {
        return line.to_owned();
    }
    format!("{}…", line.chars().take(SHOWN).collect::<String>())
}

/// Splits a shell command that uses no more of the shell than quotes and positional arguments; `None` for
/// anything else.
fn split(script: &str, args: &[String]) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = script.trim();
    while let Some(letter) = rest.chars().next() {
        rest = rest.get(letter.len_utf8()..)?;
        match letter {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let (inside, after) = rest.split_once('\'')?;
                word.get_or_insert_default().push_str(inside);
                rest = after;
            }
            '"' => {
                let (inside, after) = rest.split_once('"')?;
                word.get_or_insert_default().push_str(&filled(inside, args)?);
                rest = after;
            }
            '$' | '`' | '\\' | ';' | '|' | '&' | '<' | '>' | '(' | ')' | '{' | '}' | '*' | '?' | '['
            | '#' | '~' | '\n' => return None,
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Some(words)
}

/// Fills in `$1` to `$9` between double quotes.
fn filled(text: &str, args: &[String]) -> Option<String> {
    let mut parts = text.split('$');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let number = part.chars().next()?.to_digit(10).filter(|number| *number > 0)?;
        out.push_str(args.get(usize::try_from(number).ok()? - 1).map_or("", String::as_str));
        out.push_str(part.get(1..)?);
    }
    (!text.contains(['`', '\\'])).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_commands_have_words() {
        let words = Words::of(&Command::argv(["docker", "ps", "a b"]));
        assert_eq!((words.line.as_str(), words.argv.len()), ("docker ps a b", 3));
        let words = Words::of(&Command::shell("docker ps  --format='{{.Names}} x' \"\"\n"));
        assert_eq!(words.argv, ["docker", "ps", "--format={{.Names}} x", ""]);
    }

    #[test]
    fn arguments_and_variables_are_filled_in() {
        let script = "ETCDCTL_API=3 A='' exec \"$1\" --cacert \"$2/ca.pem\" \"https://$3:$4,$9\" a=b";
        let words = Words::of(&Command::shell(script).args(["etcdctl", "/srv x", "h", "4001"]));
        assert_eq!(words.argv, ["etcdctl", "--cacert", "/srv x/ca.pem", "https://h:4001,", "a=b"]);
        assert_eq!(words.line, "etcdctl --cacert /srv x/ca.pem https://h:4001, a=b");
        assert_eq!(words.env, [("ETCDCTL_API".into(), "3".into()), ("A".into(), String::new())]);
    }

    #[test]
    fn more_of_the_shell_stays_a_script() {
        for script in
            ["a | b", "echo $1", "echo \"$x\"", "echo \"$0\"", "a\nb", "a 'b", "a \"b", "a \"\\\"\" b\""]
        {
            let words = Words::of(&Command::shell(script).args(["one"]));
            assert_eq!(words.argv, Vec::<String>::new(), "{script}");
        }
        assert_eq!(Words::of(&Command::shell("set -e\n  a |\n\tb\n")).line, "set -e a | b");
    }
}
