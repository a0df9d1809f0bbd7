//! Keeps secrets out of whatever is written or shown.

use crate::{Secret, value::REDACTED};
use base64::{Engine, engine::general_purpose};
use serde_json::Value as Json;
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// Shortest secret (and shortest line of one) that is looked for; shorter text would hide half of every line.
const SHORTEST: usize = 6;

/// Replaces known secrets, and anything that looks like a PEM private key, by `[secret]`.
///
/// Looked for are, of every secret: the bytes as text, each line of a text with several, base64 in the standard
/// and URL alphabets (whole and without padding), and the JSON- and URL-escaped forms. What is not looked for:
/// other transformations that a command may apply to a secret before printing it.
#[derive(Default)]
pub struct Redactor {
    needles: Mutex<Vec<Zeroizing<String>>>,
}

impl Redactor {
    /// Remembers a secret.
    pub fn add(&self, secret: &Secret) {
        let bytes = secret.expose();
        let mut forms: Vec<Zeroizing<String>> = Vec::new();
        for engine in [&general_purpose::STANDARD, &general_purpose::URL_SAFE] {
            let coded = engine.encode(bytes);
            forms.push(Zeroizing::new(coded.trim_end_matches('=').to_owned()));
        }
        if let Some(text) = secret.expose_str() {
            for line in std::iter::once(text).chain(text.lines()) {
                let line = line.trim();
                forms.push(Zeroizing::new(line.to_owned()));
                if let Ok(json) = serde_json::to_string(line) {
                    forms.push(Zeroizing::new(json.trim_matches('"').to_owned()));
                }
                forms.push(Zeroizing::new(url_escaped(line)));
            }
        }
        let mut needles = self.needles.lock().unwrap_or_else(PoisonError::into_inner);
        for form in forms {
            let common = form.starts_with("-----BEGIN ") || form.starts_with("-----END ");
            if form.len() >= SHORTEST && !common && !needles.contains(&form) {
                needles.push(form);
            }
        }
        // Longest first, so that a form inside another does not leave the rest of it behind.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    }

    /// The text with every known secret and every PEM private key replaced.
    pub fn text(&self, text: &str) -> String {
        let mut clean = hide_private_keys(text);
        for needle in self.needles.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if clean.contains(needle.as_str()) {
                clean = clean.replace(needle.as_str(), REDACTED);
            }
        }
        clean
    }

    /// JSON with every text in it cleaned, keys included.
    pub fn json(&self, json: &Json) -> Json {
        match json {
            Json::String(text) => Json::String(self.text(text)),
            Json::Array(list) => Json::Array(list.iter().map(|item| self.json(item)).collect()),
            Json::Object(map) => {
                Json::Object(map.iter().map(|(key, value)| (self.text(key), self.json(value))).collect())
            }
            other => other.clone(),
        }
    }
}

fn url_escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Hides private keys in a stream that arrives line by line: from a key's first line to its last.
#[derive(Debug, Default)]
pub struct KeyLines {
    inside: bool,
}

impl KeyLines {
    /// The line as it may be shown; `None` inside a key.
    pub fn line<'l>(&mut self, line: &'l str) -> Option<&'l str> {
        if self.inside {
            self.inside = find_mark(line, "-----END ").is_none();
            return None;
        }
        if let Some((start, after)) = find_mark(line, "-----BEGIN ") {
            self.inside = find_mark(&line[after..], "-----END ").is_none();
            let before = line[..start].trim();
            return Some(if before.is_empty() { REDACTED } else { before });
        }
        Some(line)
    }
}

/// Replaces everything from a private key's first line to its last (or to the end of the text). A last line without
/// a first one hides everything before it: the text is the end of something longer.
fn hide_private_keys(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    if let Some((end, after)) = find_mark(text, "-----END ")
        && find_mark(&text[..end], "-----BEGIN ").is_none()
    {
        clean.push_str(REDACTED);
        rest = &text[after..];
    }
    while let Some((start, after)) = find_mark(rest, "-----BEGIN ") {
        clean.push_str(&rest[..start]);
        clean.push_str(REDACTED);
        rest = &rest[after..];
        let end = rest.find("-----END ").and_then(|at| {
            let tail = at + "-----END ".len();
            rest[tail..].find("-----").map(|stop| tail + stop + "-----".len())
        });
        rest = end.map_or("", |end| &rest[end..]);
    }
    clean.push_str(rest);
    clean
}

/// Where a `-----BEGIN … PRIVATE KEY-----` (or END) begins and ends.
fn find_mark(text: &str, mark: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = text[from..].find(mark) {
        let start = from + found;
        let label = start + mark.len();
        let stop = label + text[label..].find("-----")?;
        if text[label..stop].ends_with("PRIVATE KEY") {
            return Some((start, stop + "-----".len()));
        }
        from = label;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_secret_is_hidden() {
        let redactor = Redactor::default();
        redactor.add(&Secret::new("pa ss\"wörd"));
        for shown in [
            "x pa ss\"wörd y".to_owned(),
            serde_json::to_string("pa ss\"wörd").unwrap(),
            format!("q={}", url_escaped("pa ss\"wörd")),
            format!("Basic {}", general_purpose::STANDARD.encode("pa ss\"wörd")),
        ] {
            let clean = redactor.text(&shown);
            assert!(clean.contains(REDACTED), "{shown} -> {clean}");
            assert!(!clean.contains("ss"), "{shown} -> {clean}");
        }
    }

    #[test]
    fn private_keys_are_hidden_even_when_unknown_or_cut() {
        let redactor = Redactor::default();
        let key = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----";
        assert_eq!(redactor.text(&format!("a {key} b")), "a [secret] b");
        assert_eq!(redactor.text("a -----BEGIN PRIVATE KEY-----\nMHcC"), "a [secret]");
        let cert = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----";
        assert_eq!(redactor.text(cert), cert);
        assert_eq!(redactor.text(&format!("{cert}\n{key}\nz")), format!("{cert}\n[secret]\nz"));
    }

    #[test]
    fn lines_of_a_key_are_hidden_one_by_one() {
        let redactor = Redactor::default();
        redactor
            .add(&Secret::new("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----\n"));
        assert_eq!(redactor.text("MIIEvQIBADANBg"), REDACTED);
    }

    #[test]
    fn a_key_that_arrives_line_by_line_is_hidden() {
        let mut lines = KeyLines::default();
        let text = "a\nx: -----BEGIN RSA PRIVATE KEY-----\nMIIE\nabcd\n-----END RSA PRIVATE KEY-----\nb";
        let shown: Vec<_> = text.lines().filter_map(|line| lines.line(line)).collect();
        assert_eq!(shown, ["a", "x:", "b"]);
        let mut lines = KeyLines::default();
        assert_eq!(lines.line("-----BEGIN PRIVATE KEY-----"), Some(REDACTED));
        assert_eq!(
            lines.line("-----BEGIN CERTIFICATE-----"),
            None,
            "nothing of a key that does not end is shown"
        );
    }

    #[test]
    fn the_end_of_a_key_hides_what_comes_before_it() {
        let redactor = Redactor::default();
        assert_eq!(redactor.text("MHcC\nabcd\n-----END PRIVATE KEY-----\nz"), format!("{REDACTED}\nz"));
    }
}
