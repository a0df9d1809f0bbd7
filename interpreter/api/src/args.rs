//! The rendered arguments of one action call.

use crate::{Fault, Map, Secret, Value, duration};
use std::time::Duration;

/// Arguments after interpolation, checked against the action's [`crate::ArgSpec`]s: required ones are there
/// and every value has its kind. The accessors still return faults, never panic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Args(pub Map);

impl Args {
    /// The value, unless it is absent or null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !matches!(value, Value::Null))
    }

    fn wrong(name: &str, expected: &str, value: Option<&Value>) -> Fault {
        let got = value.map_or("nothing", Value::type_name);
        Fault::usage(format!("read the argument `{name}`"), format!("expected {expected}, got {got}"))
    }

    /// Required text.
    pub fn text(&self, name: &str) -> Result<&str, Fault> {
        self.opt_text(name)?.ok_or_else(|| Self::wrong(name, "a string", None))
    }

    /// Optional text.
    pub fn opt_text(&self, name: &str) -> Result<Option<&str>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            other => Err(Self::wrong(name, "a string", other)),
        }
    }

    /// A required absolute path without `..`, control characters or a trailing slash.
    pub fn path(&self, name: &str) -> Result<&str, Fault> {
        check_path(name, self.text(name)?)
    }

    /// An optional path, checked like [`Args::path`].
    pub fn opt_path(&self, name: &str) -> Result<Option<&str>, Fault> {
        self.opt_text(name)?.map(|path| check_path(name, path)).transpose()
    }

    /// An optional whole number.
    pub fn opt_int(&self, name: &str) -> Result<Option<i64>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Int(number)) => Ok(Some(*number)),
            other => Err(Self::wrong(name, "a whole number", other)),
        }
    }

    /// A truth value with a default.
    pub fn bool_or(&self, name: &str, default: bool) -> Result<bool, Fault> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(truth)) => Ok(*truth),
            other => Err(Self::wrong(name, "true or false", other)),
        }
    }

    /// An optional duration, written as [`crate::duration::parse`] reads it.
    pub fn opt_duration(&self, name: &str) -> Result<Option<Duration>, Fault> {
        self.opt_text(name)?
            .map(|text| {
                duration::parse(text).map_err(|why| Fault::usage(format!("read the argument `{name}`"), why))
            })
            .transpose()
    }

    /// A list of texts; empty when absent; a single text counts as a list of one.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Fault> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Text(text)) => Ok(vec![text.clone()]),
            Some(Value::List(list)) => list
                .iter()
                .map(|item| match item {
                    Value::Text(text) => Ok(text.clone()),
                    Value::Int(number) => Ok(number.to_string()),
                    other => Err(Self::wrong(name, "a list of strings", Some(other))),
                })
                .collect(),
            other => Err(Self::wrong(name, "a list of strings", other)),
        }
    }

    /// An optional secret; plain text is accepted too.
    pub fn opt_secret(&self, name: &str) -> Result<Option<Secret>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Secret(secret)) => Ok(Some(secret.clone())),
            Some(Value::Text(text)) => Ok(Some(Secret::new(text.as_bytes()))),
            other => Err(Self::wrong(name, "a secret", other)),
        }
    }

    /// Optional permission bits, written in octal as text: `"0644"`.
    pub fn opt_mode(&self, name: &str) -> Result<Option<u32>, Fault> {
        self.opt_text(name)?
            .map(|text| {
                u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).ok_or_else(|| {
                    Fault::usage(
                        format!("read the argument `{name}`"),
                        format!("`{text}` is no mode; write octal digits in quotes, such as \"0644\""),
                    )
                })
            })
            .transpose()
    }
}

fn check_path<'a>(name: &str, path: &'a str) -> Result<&'a str, Fault> {
    let wrong = |why: String| Fault::usage(format!("read the argument `{name}`"), why);
    plain_path(path).map_err(wrong).map(|()| path)
}

/// Is this an absolute path without `..`, control characters or a trailing slash? The error says what it is.
pub fn plain_path(path: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("`{}` {why}", path.escape_debug()));
    if !path.starts_with('/') {
        return wrong("is not an absolute path");
    }
    if path.len() > 1 && path.ends_with('/') {
        return wrong("ends with a slash; name the directory without it");
    }
    if path.contains("//") || path.split('/').any(|part| part == ".." || part == ".") {
        return wrong("has `//`, `.` or `..` in it; write the plain path");
    }
    if path.chars().any(char::is_control) {
        return wrong("has a control character in it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::map;

    #[test]
    fn paths_are_checked() {
        for (path, fine) in [
            ("/a/b", true),
            ("/", true),
            ("a", false),
            ("/a/", false),
            ("/a/../b", false),
            ("/a//b", false),
            ("/a\n", false),
            ("", false),
        ] {
            let args = Args(map([("p", path.into())]));
            assert_eq!(args.path("p").is_ok(), fine, "{path:?}");
        }
    }

    #[test]
    fn modes_are_octal_text() {
        let mode = |text: &str| Args(map([("m", text.into())])).opt_mode("m");
        assert_eq!(mode("0640").unwrap(), Some(0o640));
        assert!(mode("0888").is_err());
        assert!(mode("77777").is_err());
    }
}
