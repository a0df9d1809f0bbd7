//! The event walk: YAML text → a raw tree with byte offsets, before scalars get types.

use crate::{MAX_BYTES, MAX_DEPTH, MAX_NODES, scalar::Style, syntax::syntax_error, text::Text};
use keybook_api::Diagnostic;
use saphyr_parser::{Event, Parser, ScalarStyle, Span as Mark, StrInput, Tag};
use std::collections::HashMap;

/// A value as written.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    /// Where it begins, after its anchor and tag: a scalar's first letter, quote or `|`, a bracket, a first item.
    pub start: usize,
    /// Behind its last letter; for block lists and maps behind that of their last item.
    pub end: usize,
    /// Its tag: `str` for `!!str`, `!name` for a tag of the document's own.
    pub tag: Option<String>,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    List { items: Vec<Item>, flow: bool },
    Map { entries: Vec<Entry>, flow: bool },
    Alias { target: Option<Box<Raw>> },
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub text: String,
    pub style: Style,
    /// For block scalars: where the first line with content begins, behind its indentation.
    pub body: usize,
}

/// One item of a list.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Behind the `-`; `None` in flow lists.
    pub slot: Option<usize>,
    pub value: Raw,
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: Raw,
    /// Behind the `:`; `None` where there is none.
    pub slot: Option<usize>,
    pub value: Raw,
}

impl Raw {
    /// An absent value.
    pub fn empty(at: usize) -> Self {
        let scalar = Scalar { text: String::new(), style: Style::Plain, body: at };
        Self { start: at, end: at, tag: None, kind: Kind::Scalar(scalar) }
    }
}

/// Reads the only document of a text. `None` for a text without any.
pub(crate) fn build(text: &Text) -> Result<Option<Raw>, Box<Diagnostic>> {
    if text.src.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", text.src.len());
        return Err(Box::new(Diagnostic::error("too-large", message, text.span(0, 1))));
    }
    let mut builder = Builder::new(text);
    let mut parser = Parser::new_from_str(text.src);
    while let Some(event) = next(&mut parser, text)? {
        let (event, mark) = event;
        let start = builder.byte(mark.start.index());
        let end = builder.byte(mark.end.index());
        builder.event(event, start, end)?;
    }
    Ok(builder.root)
}

type Step<'a> = Option<(Event<'a>, Mark)>;

fn next<'a>(parser: &mut Parser<'a, StrInput<'a>>, text: &Text) -> Result<Step<'a>, Box<Diagnostic>> {
    match parser.next_event() {
        None => Ok(None),
        Some(Ok(event)) => Ok(Some(event)),
        Some(Err(error)) => Err(Box::new(syntax_error(text, &error))),
    }
}

enum Frame {
    List { raw: Raw, items: Vec<Item>, flow: bool, anchor: usize, slot: Option<usize> },
    Map { raw: Raw, entries: Vec<Entry>, flow: bool, anchor: usize, key: Option<(Raw, Option<usize>)> },
}

struct Builder<'t, 'a> {
    text: &'t Text<'a>,
    bytes: Bytes<'a>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Raw, usize, usize)>,
    nodes: usize,
    documents: usize,
    /// Behind the last token that was used.
    cursor: usize,
    root: Option<Raw>,
}

impl<'t, 'a> Builder<'t, 'a> {
    fn new(text: &'t Text<'a>) -> Self {
        Self {
            text,
            bytes: Bytes { src: text.src, index: 0, byte: 0 },
            stack: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            documents: 0,
            cursor: 0,
            root: None,
        }
    }

    fn byte(&mut self, index: usize) -> usize {
        self.bytes.of(index)
    }

    fn fail<T>(
        &self,
        code: &'static str,
        message: String,
        at: usize,
        help: &str,
    ) -> Result<T, Box<Diagnostic>> {
        Err(Box::new(Diagnostic::error(code, message, self.text.span(at, at + 1)).help(help)))
    }

    fn event(&mut self, event: Event, start: usize, end: usize) -> Result<(), Box<Diagnostic>> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                self.cursor = end.max(self.cursor);
                if self.documents > 1 {
                    let message = "the file has more than one YAML document".to_owned();
                    return self.fail("several-documents", message, start, "keep one; remove this `---`");
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, start, end),
            Event::Scalar(value, style, anchor, tag) => {
                self.begin(start)?;
                let raw =
                    self.scalar(&value, style, (start, end), anchor > 0 || tag.is_some(), tag_name(tag));
                self.close(raw, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                let (raw, flow) = self.open(start, end, tag_name(tag))?;
                self.stack.push(Frame::List { raw, items: Vec::new(), flow, anchor, slot: None });
                Ok(())
            }
            Event::MappingStart(anchor, tag) => {
                let (raw, flow) = self.open(start, end, tag_name(tag))?;
                self.stack.push(Frame::Map { raw, entries: Vec::new(), flow, anchor, key: None });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(self.text.token_end(start, end)),
            _ => Ok(()),
        }
    }

    /// Counts a value, and in a block list finds the `-` before it.
    fn begin(&mut self, at: usize) -> Result<(), Box<Diagnostic>> {
        self.spend(1, at)?;
        let mut found = None;
        if let Some(Frame::List { flow: false, .. }) = self.stack.last() {
            let dash = skip_space(self.text, self.cursor);
            found = self.text.from(dash).starts_with('-').then_some(dash + 1);
        }
        if let (Some(found), Some(Frame::List { slot, raw, items, .. })) = (found, self.stack.last_mut()) {
            *slot = Some(found);
            if items.is_empty() {
                raw.start = found - 1;
            }
            self.cursor = found;
        }
        Ok(())
    }

    fn spend(&mut self, nodes: usize, at: usize) -> Result<(), Box<Diagnostic>> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            let message = format!("the document has more than {MAX_NODES} values, aliases expanded");
            return self.fail("too-large", message, at, "split the file, or do not nest aliases");
        }
        Ok(())
    }

    fn open(
        &mut self,
        start: usize,
        end: usize,
        tag: Option<String>,
    ) -> Result<(Raw, bool), Box<Diagnostic>> {
        self.begin(start)?;
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("lists and maps nest deeper than {MAX_DEPTH}");
            return self.fail("too-deep", message, start, "flatten the document");
        }
        let end = self.text.token_end(start, end);
        let bracket = end.saturating_sub(1).max(start);
        let flow = end > start && matches!(self.text.part(bracket, end), "{" | "[");
        let begin = if flow { bracket } else { end };
        self.cursor = if flow { end } else { skip_properties(self.text, self.cursor) };
        Ok((Raw { start: begin, end, tag, kind: Kind::Alias { target: None } }, flow))
    }

    fn end(&mut self, end: usize) -> Result<(), Box<Diagnostic>> {
        let (mut raw, flow, anchor, kind, last) = match self.stack.pop() {
            Some(Frame::List { raw, items, flow, anchor, .. }) => {
                let last = items.last().map(|item| item.value.end.max(item.slot.unwrap_or(0)));
                (raw, flow, anchor, Kind::List { items, flow }, last)
            }
            Some(Frame::Map { raw, entries, flow, anchor, .. }) => {
                let last = entries.last().map(|entry| entry.value.end.max(entry.slot.unwrap_or(0)));
                (raw, flow, anchor, Kind::Map { entries, flow }, last)
            }
            None => return Ok(()),
        };
        raw.end = if flow { end } else { last.unwrap_or(raw.start) };
        raw.kind = kind;
        self.close(raw, anchor)
    }

    fn alias(&mut self, anchor: usize, start: usize, end: usize) -> Result<(), Box<Diagnostic>> {
        self.begin(start)?;
        let Some((target, size, depth)) = self.anchors.get(&anchor).cloned() else {
            let message = "the alias stands inside what it refers to".to_owned();
            return self.fail("yaml-alias", message, start, "write the value out");
        };
        self.spend(size, start)?;
        if self.stack.len() + depth > MAX_DEPTH {
            let message = format!("with this alias, lists and maps nest deeper than {MAX_DEPTH}");
            return self.fail("too-deep", message, start, "write the value out");
        }
        self.close(Raw { start, end, tag: None, kind: Kind::Alias { target: Some(Box::new(target)) } }, 0)
    }

    fn scalar(
        &mut self,
        value: &str,
        style: ScalarStyle,
        (start, end): (usize, usize),
        properties: bool,
        tag: Option<String>,
    ) -> Raw {
        let style = Style::from(style);
        if style.is_block() {
            let head = skip_properties(self.text, skip_space(self.text, self.cursor));
            // Without any content the scanner's span begins at the header.
            let body = if start <= head { self.text.next_line(head) } else { start };
            let end = block_end(self.text, head, body, end);
            let scalar = Scalar { text: value.to_owned(), style, body };
            return Raw { start: head, end, tag, kind: Kind::Scalar(scalar) };
        }
        let begin = if properties { skip_properties(self.text, start).min(end) } else { start };
        let end = self.text.scalar_end(begin, end);
        if style == Style::Plain && value.is_empty() {
            // The scanner's span of an absent value covers the next token.
            let at = if properties { end } else { self.cursor };
            return Raw { tag, ..Raw::empty(at) };
        }
        let scalar = Scalar { text: value.to_owned(), style, body: begin };
        Raw { start: begin, end, tag, kind: Kind::Scalar(scalar) }
    }

    /// Hands a finished value to what surrounds it.
    fn close(&mut self, raw: Raw, anchor: usize) -> Result<(), Box<Diagnostic>> {
        self.cursor = self.cursor.max(raw.end);
        if anchor > 0 {
            let (size, depth) = measure(&raw);
            self.spend(size, raw.start)?;
            self.anchors.insert(anchor, (raw.clone(), size, depth));
        }
        match self.stack.last_mut() {
            None => self.root = Some(raw),
            Some(Frame::List { items, slot, .. }) => items.push(Item { slot: slot.take(), value: raw }),
            Some(Frame::Map { entries, key, raw: map, flow, .. }) => match key.take() {
                Some((key, slot)) => entries.push(Entry { key, slot, value: raw }),
                None => {
                    if entries.is_empty() && !*flow {
                        map.start = raw.start;
                    }
                    let colon = skip_space(self.text, raw.end);
                    let slot = self.text.from(colon).starts_with(':').then_some(colon + 1);
                    self.cursor = slot.unwrap_or(self.cursor);
                    *key = Some((raw, slot));
                }
            },
        }
        Ok(())
    }
}

/// How many values a value consists of, and how deep it nests; aliases count with what they stand for.
fn measure(raw: &Raw) -> (usize, usize) {
    let (mut size, mut depth) = (1, 0);
    let mut add = |child: &Raw| {
        let (more, below) = measure(child);
        size += more;
        depth = depth.max(below + 1);
    };
    match &raw.kind {
        Kind::Scalar(_) => {}
        Kind::List { items, .. } => items.iter().for_each(|item| add(&item.value)),
        Kind::Map { entries, .. } => entries.iter().for_each(|entry| {
            add(&entry.key);
            add(&entry.value);
        }),
        Kind::Alias { target } => {
            if let Some(target) = target {
                return measure(target);
            }
        }
    }
    (size, depth)
}

fn tag_name(tag: Option<std::borrow::Cow<'_, Tag>>) -> Option<String> {
    tag.map(|tag| if tag.is_yaml_core_schema() { tag.suffix.clone() } else { tag.to_string() })
}

/// Skips white space, line ends and comments.
pub(crate) fn skip_space(text: &Text, from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = text.from(at);
        at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        let fresh = at == 0 || matches!(text.src.as_bytes().get(at - 1), Some(b' ' | b'\t' | b'\n' | b'\r'));
        if !(fresh && text.from(at).starts_with('#')) {
            return at;
        }
        at = text.next_line(at);
    }
}

/// Skips white space, comments, anchors and tags.
fn skip_properties(text: &Text, from: usize) -> usize {
    let mut at = skip_space(text, from);
    while text.from(at).starts_with(['&', '!']) {
        let rest = text.from(at);
        at = skip_space(text, at + rest.find([' ', '\t', '\r', '\n']).unwrap_or(rest.len()));
    }
    at
}

/// Where a block scalar ends: behind its last line with content, or for `|+` behind its last blank line. `body` is
/// where its content begins, `end` where the scanner stopped: perhaps inside the next line's indentation.
fn block_end(text: &Text, head: usize, body: usize, end: usize) -> usize {
    let header = text.part(head, text.line_end(head));
    let keep = header.split([' ', '\t']).next().is_some_and(|indicators| indicators.contains('+'));
    let last = text.line_start(end);
    let limit = if text.part(last, end).trim().is_empty() { last } else { end };
    let indent = body - text.line_start(body);
    let mut content = head + header.len();
    let mut at = text.next_line(head);
    while at < limit {
        let line = text.part(at, text.line_end(at));
        let blank = line.len() <= indent && line.trim_start_matches(' ').is_empty();
        if keep || !blank {
            content = text.line_end(at);
        }
        at = text.next_line(at);
    }
    content
}

/// Character index → byte offset, for indices that come in nearly rising order.
struct Bytes<'a> {
    src: &'a str,
    index: usize,
    byte: usize,
}

impl Bytes<'_> {
    fn of(&mut self, index: usize) -> usize {
        if index < self.index {
            let back = self.src.get(..self.byte).unwrap_or("");
            let steps = self.index - index;
            let width: usize = back.chars().rev().take(steps).map(char::len_utf8).sum();
            self.byte -= width;
        } else {
            let ahead = self.src.get(self.byte..).unwrap_or("");
            let width: usize = ahead.chars().take(index - self.index).map(char::len_utf8).sum();
            self.byte += width;
        }
        self.index = index;
        self.byte
    }
}
