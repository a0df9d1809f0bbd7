//! JSON text → the same raw tree as YAML's, for edits.

use crate::{
    scalar::Style,
    text::Text,
    tree::{Entry, Item, Kind, Raw, Scalar},
};

/// Reads a JSON document. `serde_json` decides whether it is one; this walk adds the places.
pub(crate) fn build(text: &Text) -> Result<Raw, String> {
    if text.src.len() > crate::MAX_BYTES {
        return Err(format!("the file has {} bytes; at most {} are read", text.src.len(), crate::MAX_BYTES));
    }
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text.src) {
        return Err(format!("this is not JSON: {error}"));
    }
    let mut walk = Walk { text, at: 0 };
    walk.value().ok_or_else(|| "this is not JSON".to_owned())
}

struct Walk<'t, 'a> {
    text: &'t Text<'a>,
    at: usize,
}

impl Walk<'_, '_> {
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.from(self.at);
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        self.text.src.as_bytes().get(self.at).copied()
    }

    /// Takes a byte when it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Option<Raw> {
        match self.peek()? {
            b'{' => self.map(),
            b'[' => self.list(),
            b'"' => self.string(),
            _ => {
                let rest = self.text.from(self.at);
                let length = rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(rest.len());
                Some(self.scalar(length, rest.get(..length)?.to_owned(), Style::Plain))
            }
        }
    }

    fn scalar(&mut self, length: usize, text: String, style: Style) -> Raw {
        let start = self.at;
        self.at += length;
        Raw { start, end: self.at, tag: None, kind: Kind::Scalar(Scalar { text, style, body: start }) }
    }

    fn string(&mut self) -> Option<Raw> {
        let rest = self.text.from(self.at);
        let mut escaped = false;
        let close = rest.char_indices().skip(1).find(|(_, letter)| {
            let closes = *letter == '"' && !escaped;
            escaped = *letter == '\\' && !escaped;
            closes
        })?;
        let written = rest.get(..=close.0)?;
        let text = serde_json::from_str(written).ok()?;
        Some(self.scalar(written.len(), text, Style::Double))
    }

    fn list(&mut self) -> Option<Raw> {
        let start = self.at;
        self.at += 1;
        let mut items = Vec::new();
        while !self.take(b']') {
            items.push(Item { slot: None, value: self.value()? });
            self.take(b',');
        }
        Some(Raw { start, end: self.at, tag: None, kind: Kind::List { items, flow: true } })
    }

    fn map(&mut self) -> Option<Raw> {
        let start = self.at;
        self.at += 1;
        let mut entries = Vec::new();
        while !self.take(b'}') {
            self.peek()?;
            let key = self.string()?;
            let slot = self.take(b':').then_some(self.at);
            entries.push(Entry { key, slot, value: self.value()? });
            self.take(b',');
        }
        Some(Raw { start, end: self.at, tag: None, kind: Kind::Map { entries, flow: true } })
    }
}
