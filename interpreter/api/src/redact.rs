//! Keeps secrets out of whatever is written or shown.

use crate::{Secret, value::REDACTED};
use base64::{Engine, engine::general_purpose};
use serde_json::Value as Json;
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};
use zeroize::Zeroizing;

/// Shortest secret (and shortest line of one) that is looked for; shorter text would hide half of every line.
const SHORTEST: usize = 6;

/// Replaces known secrets, and anything that looks like a PEM private key, by `[secret]`.
///
/// Looked for are, of every secret: the bytes as text, each line of a text with several, and of both the JSON- and URL-escaped
/// forms; base64 in the standard and URL alphabets, also of a longer text that the secret is a part of (`user:password`), and
/// broken into lines anywhere, but for ends of lines that have less than 16 characters of it. What is not looked for: other
/// transformations that a command may apply to a secret before printing it.
#[derive(Default)]
pub struct Redactor {
    known: Mutex<Known>,
}

/// What is looked for.
#[derive(Default)]
struct Known {
    /// As it stands, the longest first.
    needles: Vec<Zeroizing<String>>,
    /// Keyed hashes of every [`PIECE`] of longer base64.
    pieces: HashSet<u64>,
    hasher: RandomState,
}

/// Bytes of base64 that are enough to know it by.
const PIECE: usize = 16;

impl Known {
    fn add(&mut self, forms: Vec<Zeroizing<String>>, coded: &[Zeroizing<String>]) {
        let common = |form: &str| form.starts_with("-----BEGIN ") || form.starts_with("-----END ");
        let (long, short): (Vec<_>, Vec<_>) = coded.iter().partition(|form| form.len() >= 2 * PIECE);
        for form in long {
            let pieces = form.as_bytes().windows(PIECE).map(|piece| self.hasher.hash_one(piece));
            self.pieces.extend(pieces);
        }
        self.needles.extend(forms.into_iter().chain(short.into_iter().cloned()));
        self.needles.retain(|form| form.len() >= SHORTEST && !common(form));
        // Longest first, so that a form inside another does not leave the rest of it behind.
        self.needles.sort_by(|one, other| (other.len(), other.as_str()).cmp(&(one.len(), one.as_str())));
        self.needles.dedup();
    }

    /// Without the stretches of base64 in which a piece is known.
    fn without_pieces(&self, text: String) -> String {
        if self.pieces.is_empty() {
            return text;
        }
        let coded = |letter: char| letter.is_ascii_alphanumeric() || "+/-_=".contains(letter);
        let known = |stretch: &str| {
            stretch.as_bytes().windows(PIECE).any(|piece| self.pieces.contains(&self.hasher.hash_one(piece)))
        };
        let mut clean = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let end = rest.find(|letter| !coded(letter)).unwrap_or(rest.len());
            let (stretch, after) = rest.split_at(end);
            clean.push_str(if known(stretch) { REDACTED } else { stretch });
            let next = after.find(coded).unwrap_or(after.len());
            let (between, after) = after.split_at(next);
            clean.push_str(between);
            rest = after;
        }
        clean
    }
}

impl Redactor {
    /// Remembers a secret.
    pub fn add(&self, secret: &Secret) {
        let text = secret.expose_str();
        let coded = base64_forms(text.map_or(secret.expose(), |text| text.trim_end().as_bytes()));
        let mut forms = Vec::new();
        if let Some(text) = text {
            for line in std::iter::once(text).chain(text.lines()) {
                forms.extend(text_forms(line.trim()));
            }
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).add(forms, &coded);
    }

    /// The text with every known secret and every PEM private key replaced.
    pub fn text(&self, text: &str) -> String {
        let mut clean = hide_private_keys(text);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for needle in &known.needles {
            if clean.contains(needle.as_str()) {
                clean = clean.replace(needle.as_str(), REDACTED);
            }
        }
        known.without_pieces(clean)
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

/// A text as it is, as JSON has it (with `/` and other than ASCII escaped or not), and as URLs have it.
fn text_forms(text: &str) -> Vec<Zeroizing<String>> {
    let mut forms = vec![text.to_owned(), url_escaped(text), url_escaped(text).replace("%20", "+")];
    forms.push(lower_escapes(&url_escaped(text)));
    if let Ok(json) = serde_json::to_string(text) {
        let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned();
        let slashes = json.replace('/', "\\/");
        forms.extend([ascii_only(&json), ascii_only(&slashes), json, slashes]);
    }
    forms.into_iter().map(Zeroizing::new).collect()
}

/// Base64 of bytes that stand alone or behind others: only the characters that come of these bytes alone.
fn base64_forms(bytes: &[u8]) -> Vec<Zeroizing<String>> {
    const BITS: usize = 6;
    let mut forms = Vec::new();
    for engine in [&general_purpose::STANDARD, &general_purpose::URL_SAFE] {
        for before in 0..3 {
            let mut padded = Zeroizing::new(vec![0; before]);
            padded.extend_from_slice(bytes);
            let (first, end) = ((before * 8).div_ceil(BITS), padded.len() * 8 / BITS);
            let coded = Zeroizing::new(engine.encode(&*padded));
            let own = coded.get(first..end).unwrap_or_default();
            forms.push(Zeroizing::new(own.to_owned()));
        }
    }
    forms
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

/// `%2F` as `%2f`.
fn lower_escapes(escaped: &str) -> String {
    let mut left = 0;
    let lower = |letter: char| {
        left = if letter == '%' { 3 } else { usize::saturating_sub(left, 1) };
        if left > 0 { letter.to_ascii_lowercase() } else { letter }
    };
    escaped.chars().map(lower).collect()
}

/// JSON in which everything but ASCII is escaped (RFC 8259, section 7), as many programs write it.
fn ascii_only(json: &str) -> String {
    let escaped = |letter: char| {
        let mut units = [0; 2];
        letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
    };
    json.chars().map(|letter| if letter.is_ascii() { letter.to_string() } else { escaped(letter) }).collect()
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
            format!("Basic {}", general_purpose::STANDARD.encode("u:pa ss\"wörd")),
            format!("Basic {}", general_purpose::URL_SAFE_NO_PAD.encode("us:pa ss\"wörd\n")),
            "{\"a\": \"pa ss\\\"w\\u00f6rd\"}".to_owned(),
            "q=pa+ss%22w%C3%B6rd".to_owned(),
            "q=pa%20ss%22w%c3%b6rd".to_owned(),
        ] {
            let clean = redactor.text(&shown);
            assert!(clean.contains(REDACTED), "{shown} -> {clean}");
            assert!(!clean.contains("ss"), "{shown} -> {clean}");
        }
    }

    #[test]
    fn a_secret_in_base64_that_is_broken_into_lines_is_hidden() {
        let secret: String = (0..60).map(|number| format!("line {number}\n")).collect();
        let redactor = Redactor::default();
        redactor.add(&Secret::new(secret.as_str()));
        for (width, shown) in
            [(64, secret.clone()), (76, format!("a{}", secret.trim_end())), (76, format!("ab{secret}"))]
        {
            let coded = general_purpose::STANDARD.encode(shown);
            let lines: Vec<&str> =
                (0..coded.len()).step_by(width).map(|at| &coded[at..coded.len().min(at + width)]).collect();
            let left: String = lines.iter().map(|line| redactor.text(line).replace(REDACTED, "")).collect();
            assert!(left.len() < PIECE, "{left}");
        }
    }

    #[test]
    fn slashes_may_be_escaped() {
        let redactor = Redactor::default();
        redactor.add(&Secret::new("abc/def/ghi"));
        assert_eq!(redactor.text(r#"{"key":"abc\/def\/ghi"}"#), r#"{"key":"[secret]"}"#);
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
