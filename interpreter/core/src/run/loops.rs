//! Loops as the journal names them: `path@host#outer`, with the items that they have there.

use super::{hosts::LOCAL, scope::kept};
use crate::backup::inside;
use keybook_api::{Value, ids::canonical};
use serde_json::Value as Json;

/// Stands between the names of items of loops inside each other. No name of an item has it.
pub const NESTED: char = '#';

/// A loop on a host.
pub struct Loop<'s> {
    /// The path of its step in the runbook.
    pub path: String,
    host: &'s str,
    /// What the names of its items begin with: those of the loops around it.
    outer: &'s str,
    items: &'s [Json],
}

/// The name of an item: its field `id`, else `name`, else all of it.
pub fn item_name(value: &Value) -> String {
    let name = value.get("id").or_else(|| value.get("name")).unwrap_or(value);
    name.to_string().replace(NESTED, "%23")
}

/// The key of a loop, the same in the run and in what a rollback carries out again.
pub fn key(path: &str, host: &str, outer: &str) -> String {
    format!("{}@{host}#{outer}", canonical(path))
}

/// What the names of a loop's items begin with, inside this item of another loop.
pub fn outer(item: Option<&str>) -> String {
    item.map_or_else(String::new, |name| format!("{name}{NESTED}"))
}

impl<'s> Loop<'s> {
    /// Reads the key of pinned items.
    pub fn read(key: &'s str, items: &'s [Json]) -> Option<Self> {
        let (path, rest) = key.split_once('@')?;
        let (host, outer) = rest.split_once('#')?;
        Some(Self { path: canonical(path), host, outer, items })
    }

    /// Is the step at a path its own, or inside it, on this host? A loop of a step without hosts is on this machine; a
    /// step inside it may be on another one.
    pub fn is_around(&self, path: &str, host: &str) -> bool {
        (self.host == host || self.host == LOCAL) && inside(path, &self.path)
    }

    /// The host that it is on.
    pub fn host(&self) -> &'s str {
        self.host
    }

    /// What the names of its items begin with.
    pub fn outer(&self) -> &'s str {
        self.outer
    }

    /// The name of the item around it.
    pub fn around(&self) -> Option<&'s str> {
        self.outer.strip_suffix(NESTED)
    }

    /// Its key.
    pub fn key(&self) -> String {
        key(&self.path, self.host, self.outer)
    }

    /// Its items with their names.
    pub fn named(&self) -> impl Iterator<Item = (Value, String)> + use<'_, 's> {
        self.items.iter().filter_map(kept).map(|value| {
            let name = format!("{}{}", self.outer, item_name(&value));
            (value, name)
        })
    }
}
