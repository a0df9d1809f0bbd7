//! The way to a value inside a document.

/// One step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The value of a key of a map.
    Key(String),
    /// The item of a list at a place counted from 0. Setting the place behind the last item appends.
    Index(usize),
    /// The item of a list of maps whose `key` has the text `value`. Setting what is not there appends a map.
    Match {
        /// The key that tells the items apart, such as `name`.
        key: String,
        /// Its text.
        value: String,
    },
    /// The item of a list of texts that begins with this, such as `--root-ca-file=`. It stands last; the value that
    /// is set is what follows the beginning. Setting what is not there appends a text.
    Prefix(String),
}

/// Reads a path such as `spec.containers[name=kube-apiserver].command[--client-ca-file=]`.
///
/// - `a.b` goes to the key `b` in the value of `a`; a key with dots or brackets is quoted: `labels["a.b/c"]`.
/// - `[0]` is the first item of a list.
/// - `[name=x]` is the item that is a map with `name: x`; the value may be quoted: `[name="a=b"]`.
/// - `[--flag=]`: what begins with `-` or ends with `=` is the beginning of a text in a list of texts;
///   `[^word]` says so for any other beginning. It stands last.
///
/// # Errors
/// What is wrong with the path and where, as one line.
pub fn parse_path(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let at = path.len() - rest.len() + 1;
        let wrong = |why: &str| format!("the path `{path}` is wrong at character {at}: {why}");
        if matches!(steps.last(), Some(Step::Prefix(_))) {
            return Err(wrong("nothing can follow the beginning of a text"));
        }
        if let Some(inner) = rest.strip_prefix('[') {
            let (content, after) = bracket(inner).ok_or_else(|| wrong("the `[` is not closed"))?;
            steps.push(bracket_step(content).map_err(|why| wrong(&why))?);
            rest = after;
            continue;
        }
        let key = match rest.strip_prefix('.') {
            Some(key) if !steps.is_empty() => key,
            Some(_) => return Err(wrong("a path does not begin with a dot")),
            None if steps.is_empty() => rest,
            None => return Err(wrong("expected `.` or `[`")),
        };
        let end = key.find(['.', '[', ']', '"']).unwrap_or(key.len());
        let (name, after) = key.split_at(end);
        if name.is_empty() {
            return Err(wrong("a key is missing; quote a key with dots as [\"a.b\"]"));
        }
        steps.push(Step::Key(name.to_owned()));
        rest = after;
    }
    if steps.is_empty() { Err("the path is empty".to_owned()) } else { Ok(steps) }
}

/// The content of a bracket and what follows it; quotes may hold brackets.
fn bracket(inner: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, letter) in inner.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some((inner.get(..at)?, inner.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

fn bracket_step(content: &str) -> Result<Step, String> {
    if content.is_empty() {
        return Err("the brackets are empty".to_owned());
    }
    if content.bytes().all(|byte| byte.is_ascii_digit()) {
        return content.parse().map(Step::Index).map_err(|_| "the number is too large".to_owned());
    }
    if content.starts_with('"') {
        return unquote(content).map(Step::Key);
    }
    if let Some(beginning) = content.strip_prefix('^') {
        return match beginning {
            "" => Err("a text must follow `^`".to_owned()),
            text => Ok(Step::Prefix(text.to_owned())),
        };
    }
    if content.starts_with('-') || content.ends_with('=') {
        return Ok(Step::Prefix(content.to_owned()));
    }
    match content.split_once('=') {
        Some(("", _)) => Err("a key is missing before `=`".to_owned()),
        Some((key, value)) if value.starts_with('"') => {
            Ok(Step::Match { key: key.to_owned(), value: unquote(value)? })
        }
        Some((key, value)) => Ok(Step::Match { key: key.to_owned(), value: value.to_owned() }),
        None => {
            Err(format!("`[{content}]` is no number, no \"key\", no key=value and no beginning of a text"))
        }
    }
}

fn unquote(text: &str) -> Result<String, String> {
    serde_json::from_str(text).map_err(|_| format!("{text} is not a text in double quotes"))
}

/// The path as [`parse_path`] reads it.
pub fn format_path(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Key(key) if key.is_empty() || key.contains(['.', '[', ']', '"']) => {
                out.push_str(&format!("[{}]", serde_json::Value::from(key.as_str())));
            }
            Step::Key(key) if out.is_empty() => out.push_str(key),
            Step::Key(key) => out.push_str(&format!(".{key}")),
            Step::Index(index) => out.push_str(&format!("[{index}]")),
            Step::Match { key, value } => {
                out.push_str(&format!("[{key}={}]", serde_json::Value::from(value.as_str())));
            }
            Step::Prefix(text) if text.starts_with('-') || text.ends_with('=') => {
                out.push_str(&format!("[{text}]"));
            }
            Step::Prefix(text) => out.push_str(&format!("[^{text}]")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_and_write() {
        for path in [
            "spec.containers[0].command[--root-ca-file=]",
            "spec.containers[name=\"kube-apiserver\"].image",
            "metadata.labels[\"a.b/c\"]",
            "args[^serve]",
            "[2].x",
            "a[x=\"y]\\\"z\"].b",
            "env[CA=]",
        ] {
            assert_eq!(format_path(&parse_path(path).unwrap()), path);
        }
        let bare = parse_path("a[name=etcd]").unwrap();
        assert_eq!(bare.last(), Some(&Step::Match { key: "name".into(), value: "etcd".into() }));
    }

    #[test]
    fn wrong_paths_say_where() {
        for (path, why) in [
            ("", "empty"),
            (".a", "dot"),
            ("a..b", "character 2"),
            ("a[", "not closed"),
            ("a[]", "empty"),
            ("a[x]", "no number"),
            ("a[--x=].b", "nothing can follow"),
            ("a[0]b", "expected `.`"),
            ("a[99999999999999999999999]", "too large"),
            ("a[\"x]", "not closed"),
            ("a[=b]", "key is missing"),
        ] {
            let error = parse_path(path).unwrap_err();
            assert!(error.contains(why), "{path}: {error}");
        }
    }
}
