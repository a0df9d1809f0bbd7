//! YAML text → a tree whose every part knows its place in the file.
//!
//! `serde_yaml` (the maintained fork `yaml_serde`) decides what unquoted scalars mean; `saphyr-parser` says where
//! everything stands. [`parse`] builds the tree and reports syntax errors, duplicate keys and hostile documents;
//! [`MapReader`] and [`read`] decode it and collect every problem, not only the first; [`edit`] changes one value
//! of a YAML or JSON text and keeps every other byte.

pub mod edit;
mod json;
mod map_reader;
mod node;
mod parse;
pub mod read;
mod resolve;
mod scalar;
mod suggest;
mod surprise;
mod syntax;
mod text;
mod tree;

pub use map_reader::{MapReader, Problems};
pub use node::{Key, Node, NodeValue};
pub use parse::{decode, parse};
pub use suggest::{advice, suggest};
pub use surprise::surprises;

/// The version of the language that this program reads, of every kind of file (`keybook: 1`).
pub const LANGUAGE: i64 = 1;

/// The largest file that is read, in bytes (8 MiB).
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// How deep lists and maps may nest.
pub const MAX_DEPTH: usize = 64;
/// How many values a document may have, each alias counted with everything that it stands for.
pub const MAX_NODES: usize = 200_000;
