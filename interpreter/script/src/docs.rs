//! What can be called, for the book and for `keybook schema`.

use crate::{Function, engine::FORBIDDEN, library::Library};
use rhai::{AST, Engine};
use std::collections::BTreeMap;

/// One function that expressions and scripts can call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionDoc {
    /// Its name.
    pub name: String,
    /// Its parameters; for a function of several forms those of the shortest.
    pub params: Vec<String>,
    /// What it does.
    pub doc: String,
    /// What it returns; empty where Rhai does not say.
    pub returns: String,
    /// A Rhai expression that is true; empty for functions of Rhai itself.
    pub example: String,
    /// It belongs to Rhai, not to Keybook.
    pub built_in: bool,
}

/// Keybook's functions in their order, those in Rhai last; then Rhai's by name.
pub(crate) fn list(engine: &Engine, functions: &[Function], library: &Library) -> Vec<FunctionDoc> {
    let mut all: Vec<FunctionDoc> =
        functions.iter().map(of_function).chain(library.docs().iter().cloned()).collect();
    let found = engine.collect_fn_metadata(
        None,
        |info| {
            let name = info.metadata.name.as_str();
            let hidden = !rhai::is_valid_function_name(name)
                || FORBIDDEN.iter().any(|(forbidden, _)| *forbidden == name)
                || all.iter().any(|function| function.name == name);
            let comments =
                info.metadata.comments.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n");
            (!hidden && !comments.is_empty()).then(|| FunctionDoc {
                name: name.to_owned(),
                params: params(&info.metadata.params_info),
                doc: first_paragraph(&comments),
                returns: String::new(),
                example: String::new(),
                built_in: true,
            })
        },
        true,
    );
    let mut built_in: BTreeMap<String, FunctionDoc> = BTreeMap::new();
    for doc in found {
        match built_in.get(&doc.name) {
            Some(known) if known.params.len() <= doc.params.len() => {}
            _ => {
                built_in.insert(doc.name.clone(), doc);
            }
        }
    }
    all.extend(built_in.into_values());
    all
}

fn of_function(function: &Function) -> FunctionDoc {
    FunctionDoc {
        name: function.name.to_owned(),
        params: function.params.iter().map(|param| (*param).to_owned()).collect(),
        doc: function.doc.to_owned(),
        returns: function.returns.to_owned(),
        example: function.example.to_owned(),
        built_in: false,
    }
}

/// The functions of a library file, in the order of their places.
pub(crate) fn of_library(ast: &AST, text: &str) -> Vec<FunctionDoc> {
    let public = ast.iter_functions().filter(|function| {
        function.access == rhai::FnAccess::Public && rhai::is_valid_function_name(function.name)
    });
    let mut all: Vec<(usize, FunctionDoc)> = public
        .map(|function| {
            let at = text.find(&format!("fn {}(", function.name)).unwrap_or(usize::MAX);
            let comments = function.comments.join("\n");
            let lines: Vec<&str> =
                comments.lines().map(|line| line.trim().trim_start_matches("///").trim()).collect();
            let marked = |mark: &str| {
                lines.iter().find_map(|line| line.strip_prefix(mark)).unwrap_or_default().trim().to_owned()
            };
            let doc = lines.iter().take_while(|line| !MARKS.iter().any(|mark| line.starts_with(mark)));
            let doc = doc.filter(|line| !line.is_empty()).copied().collect::<Vec<_>>().join(" ");
            let params = function.params.iter().map(|param| (*param).to_owned()).collect();
            let [returns, example] = MARKS.map(marked);
            (
                at,
                FunctionDoc {
                    name: function.name.to_owned(),
                    params,
                    doc,
                    returns,
                    example,
                    built_in: false,
                },
            )
        })
        .collect();
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, doc)| doc).collect()
}

/// What the last lines of a library function's doc comment begin with.
const MARKS: [&str; 2] = ["Returns:", "Example:"];

/// Rhai describes parameters as `name: Type`, and the return type last in some versions.
fn params(info: &[impl AsRef<str>]) -> Vec<String> {
    info.iter()
        .map(|param| param.as_ref().split(':').next().unwrap_or("").trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The first paragraph of a doc comment, on one line.
fn first_paragraph(comments: &str) -> String {
    let lines =
        comments.lines().map(|line| line.trim().trim_start_matches("///").trim_start_matches("/**").trim());
    let lines: Vec<&str> =
        lines.skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty()).collect();
    lines.join(" ")
}
