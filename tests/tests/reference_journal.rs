//! The reference page of the journal is made from the doc comments of its types. With `UPDATE_BOOK=1` it is written,
//! otherwise compared.
#![allow(clippy::unwrap_used, clippy::panic)]

use keybook_tests::{book, cli::root};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};
use syn::{Attribute, Expr, Field, Fields, GenericArgument, Item, Lit, Meta, PathArguments, Type};

/// Files that define what the journal holds.
const SOURCES: [&str; 8] =
    ["event.rs", "run_info.rs", "fault.rs", "action.rs", "host.rs", "span.rs", "target.rs", "trust.rs"];

/// Types that are written as text.
const TEXTS: [&str; 4] = ["RunId", "UnitId", "String", "ReceiptId"];

struct Page {
    types: BTreeMap<String, Item>,
    /// Types that are mentioned and not yet told.
    wanted: BTreeSet<String>,
}

fn doc(attributes: &[Attribute]) -> String {
    let line = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    attributes
        .iter()
        .filter_map(line)
        .collect::<Vec<_>>()
        .join(" ")
        .replace("[`TrustVerdict::Unknown`]", "`unknown`")
}

/// The text after `key =` in a serde attribute.
fn serde(attributes: &[Attribute], key: &str) -> Option<String> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("serde")).find_map(|attribute| {
        let Meta::List(list) = &attribute.meta else { return None };
        let text = list.tokens.to_string();
        let rest = text.split(key).nth(1)?.trim_start().strip_prefix('=')?;
        Some(rest.split('"').nth(1)?.to_owned())
    })
}

/// `RolledBack` → `rolled-back`.
fn cased(name: &str, rule: Option<&str>) -> String {
    let dash = if rule == Some("kebab-case") { "-" } else { "" };
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push_str(dash);
        }
        text.extend(letter.to_lowercase());
    }
    text
}

impl Page {
    /// A type as JSON has it.
    fn shown(&mut self, of: &Type) -> String {
        let Type::Path(path) = of else { return "anything".to_owned() };
        let last = path.path.segments.last().unwrap();
        let inner: Vec<Type> = match &last.arguments {
            PathArguments::AngleBracketed(arguments) => {
                let each = arguments.args.iter();
                each.filter_map(
                    |one| if let GenericArgument::Type(of) = one { Some(of.clone()) } else { None },
                )
                .collect()
            }
            _ => Vec::new(),
        };
        let name = last.ident.to_string();
        match (name.as_str(), inner.as_slice()) {
            ("Vec", [of]) => format!("list of {}", self.shown(of)),
            ("Option", [of]) => format!("{} or null", self.shown(of)),
            ("Box" | "Arc", [of]) => self.shown(of),
            ("IndexMap", [_, of]) => format!("map of {}", self.shown(of)),
            ("Json" | "Value", _) => "anything".to_owned(),
            ("bool", _) => "true or false".to_owned(),
            ("u16" | "u32" | "u64" | "i32" | "i64", _) => "number".to_owned(),
            ("str", _) => "text".to_owned(),
            (name, _) if TEXTS.contains(&name) => "text".to_owned(),
            (name, _) => {
                self.wanted.insert(name.to_owned());
                format!("[{name}](#{})", name.to_lowercase())
            }
        }
    }

    fn fields<'f>(&mut self, fields: impl Iterator<Item = &'f Field>) -> String {
        let mut text = String::new();
        for field in fields {
            let own = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
            let name = serde(&field.attrs, "rename").unwrap_or(own);
            let optional = serde(&field.attrs, "skip_serializing_if").map_or("", |_| ", may be absent");
            let shown = self.shown(&field.ty);
            writeln!(text, "| `{name}` | {shown}{optional} | {} |", doc(&field.attrs)).unwrap();
        }
        if text.is_empty() { text } else { format!("\n| field | value | meaning |\n|---|---|---|\n{text}") }
    }

    /// A struct or enum that events mention.
    fn told(&mut self, name: &str) -> String {
        let item =
            self.types.get(name).unwrap_or_else(|| panic!("`{name}` is in none of {SOURCES:?}")).clone();
        match item {
            Item::Struct(of) => format!("{}\n{}", doc(&of.attrs), self.fields(of.fields.iter())),
            Item::Enum(of) => {
                let rule = serde(&of.attrs, "rename_all");
                let tag = serde(&of.attrs, "tag")
                    .map(|tag| format!("An object whose `{tag}` is one of these words. "));
                let mut text = format!(
                    "{} {}\n\n| word | meaning |\n|---|---|\n",
                    doc(&of.attrs),
                    tag.unwrap_or_default()
                );
                for variant in &of.variants {
                    let word = cased(&variant.ident.to_string(), rule.as_deref());
                    writeln!(text, "| `{word}` | {} |", doc(&variant.attrs)).unwrap();
                }
                text
            }
            _ => unreachable!("only structs and enums are kept"),
        }
    }
}

#[test]
fn journal() {
    let mut types = BTreeMap::new();
    for source in SOURCES {
        let text = std::fs::read_to_string(root().join("interpreter/api/src").join(source)).unwrap();
        for item in syn::parse_file(&text).unwrap().items {
            match &item {
                Item::Struct(of) => types.insert(of.ident.to_string(), item.clone()),
                Item::Enum(of) => types.insert(of.ident.to_string(), item.clone()),
                _ => None,
            };
        }
    }
    let Some(Item::Enum(events)) = types.get("Event").cloned() else { panic!("no events") };
    let mut page = Page { types, wanted: BTreeSet::new() };
    let mut text = String::from(
        "# The journal and its events\n\nA run's `journal.jsonl`, and what `--format jsonl` prints, are lines of JSON, one record each. This page is made \
         from the types in `interpreter/api/src/event.rs`. Fields may be added in later versions, never renamed or given another meaning: a reader \
         ignores what it does not know. `keybook verify RUN` checks the chain of hashes.\n\n## Record\n\n",
    );
    text.push_str(&page.told("Record").replace("[Event](#event)", "one of the events below"));
    page.wanted.remove("Event");
    text.push_str("\n## Events\n\n`event` is an object; its `type` is the name of the event.\n");
    for variant in &events.variants {
        let name = serde(&variant.attrs, "rename").unwrap();
        let fields = match &variant.fields {
            Fields::Named(named) => page.fields(named.named.iter()),
            _ => String::new(),
        };
        writeln!(text, "\n### `{name}`\n\n{}\n{fields}", doc(&variant.attrs)).unwrap();
    }
    text.push_str("\n## Types\n");
    let mut done = BTreeSet::new();
    while let Some(name) = page.wanted.pop_first() {
        if name != "Event" && done.insert(name.clone()) {
            let told = page.told(&name);
            writeln!(text, "\n### {name}\n\n{told}").unwrap();
        }
    }
    let text =
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").replace("\n\n\n", "\n\n") + "\n";
    book::check("journal.md", &text);
}
