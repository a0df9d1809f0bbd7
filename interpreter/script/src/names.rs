//! Which variables an expression reads.

use crate::{
    Expr,
    check::{self, Defined},
    error::span_of,
    own::Own,
};
use keybook_api::{SourceText, Span};
use rhai::{AST, ASTNode, Expr as Node, Position};
use std::collections::{BTreeMap, BTreeSet};

/// One use of a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct NameUse {
    /// The variable, such as `facts`.
    pub name: String,
    /// The keys that are read from it by dots, as far as they are written out: `["leaf", "not_after"]` for
    /// `facts.leaf.not_after`.
    pub path: Vec<String>,
    /// Where each of these keys stands.
    pub path_spans: Vec<Span>,
    /// How many of these keys must be there: those behind them may have been added by the text itself, or it asks whether they
    /// are there.
    pub sure: usize,
    /// Where the variable stands.
    pub span: Span,
}

/// The variables that an expression reads, in order of their places.
pub fn names_used(expr: &Expr) -> &[NameUse] {
    expr.names()
}

/// True when a name can be used as a variable in expressions: a letter or `_`, then letters, digits and `_`, and no
/// word of the language.
pub fn is_variable_name(name: &str) -> bool {
    let plain = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    // Words that Rhai keeps for later are told only by its parser.
    plain && name != "global" && rhai::Engine::new_raw().compile_expression(name).is_ok()
}

fn collect(ast: &AST, text: &SourceText) -> Vec<NameUse> {
    let mut found = Found::new();
    for statement in ast.statements() {
        statement.walk(&mut Vec::new(), &mut |path| {
            note(path.last(), text, &mut found);
            true
        });
    }
    with_closures(found, &check::each_function(ast), text)
}

/// Adds what closures read. What a closure takes from around it stands there already, at the same place and without its
/// keys. Its parameters do not.
fn with_closures(mut found: Found, functions: &BTreeMap<String, AST>, text: &SourceText) -> Vec<NameUse> {
    let outside = found.clone();
    for (_, closure) in functions.iter().filter(|(name, _)| name.starts_with("anon$")) {
        let mut inner = Found::new();
        closure.walk(&mut |path| {
            note(path.last(), text, &mut inner);
            true
        });
        let here = |(at, used): (&Place, &NameUse)| {
            outside.get(at).filter(|outer| outer.name == used.name).map(|outer| outer.name.clone())
        };
        let taken: BTreeSet<String> = inner.iter().filter_map(here).collect();
        found.extend(inner.into_iter().filter(|(_, used)| taken.contains(&used.name)));
    }
    found.into_values().collect()
}

/// What a function of a text reads of its parameters, without those that it declares again.
pub(crate) fn of_params(
    name: &str,
    params: &[String],
    functions: &BTreeMap<String, AST>,
    defined: &Defined,
    text: &SourceText,
) -> Vec<NameUse> {
    let (mut found, mut own) = (Found::new(), Own::new(Defined::new(), Some(defined)));
    if let Some(function) = functions.get(name) {
        function.walk(&mut |path| {
            note(path.last(), text, &mut found);
            own.note(path.last());
            true
        });
    }
    found.retain(|_, used| params.contains(&used.name));
    for (_, closure) in functions.iter().filter(|(name, _)| name.starts_with("anon$")) {
        own.note_inner(closure);
    }
    own.known(with_closures(found, functions, text))
}

/// A line and a column.
type Place = (Option<usize>, Option<usize>);

/// Uses by their places.
type Found = BTreeMap<Place, NameUse>;

fn note(node: Option<&ASTNode>, text: &SourceText, found: &mut Found) {
    let (variable, keys) = match node {
        Some(ASTNode::Expr(node @ Node::Variable(..))) => (*node, Vec::new()),
        Some(ASTNode::Expr(Node::Dot(pair, ..))) => (&pair.lhs, keys(&pair.rhs).0),
        _ => return,
    };
    if let Node::Variable(info, _, at) = variable {
        let used = name_use(info.1.to_string(), span_of(text, *at), keys, text);
        // The whole chain is visited before the variable in it.
        found.entry((at.line(), at.position())).or_insert(used);
    }
}

fn name_use(name: String, span: Span, keys: Vec<(String, Position)>, text: &SourceText) -> NameUse {
    let (path, places): (Vec<String>, Vec<_>) = keys.into_iter().unzip();
    let path_spans = places.into_iter().map(|at| span_of(text, at)).collect();
    NameUse { name, sure: path.len(), path, path_spans, span }
}

/// What is read behind something that is no variable.
pub(crate) fn read_behind(name: String, span: Span, rest: &Node, text: &SourceText) -> NameUse {
    name_use(name, span, keys(rest).0, text)
}

/// As [`collect`], without the variables of names that the script declares anywhere itself.
pub(crate) fn collect_undeclared(ast: &AST, text: &SourceText, hooks: Option<&Defined>) -> Vec<NameUse> {
    Own::of_script(ast, hooks).known(collect(ast, text))
}

/// A variable with all the properties that are read behind it; `None` when anything else is in the chain.
pub(crate) fn chain(node: &Node) -> Option<Vec<String>> {
    let Node::Dot(pair, ..) = node else { return None };
    let Node::Variable(info, ..) = &pair.lhs else { return None };
    let (keys, whole) = keys(&pair.rhs);
    let path = std::iter::once(info.1.to_string()).chain(keys.into_iter().map(|(key, _)| key));
    whole.then(|| path.collect())
}

/// The property names of a chain `a.b.c` up to the first thing that is no property, and whether they are all of it.
fn keys(mut node: &Node) -> (Vec<(String, Position)>, bool) {
    let mut keys = Vec::new();
    loop {
        match node {
            Node::Property(property, at) => {
                keys.push((property.2.to_string(), *at));
                return (keys, true);
            }
            Node::Dot(pair, ..) | Node::Index(pair, ..) => match &pair.lhs {
                Node::Property(property, at) => {
                    keys.push((property.2.to_string(), *at));
                    if matches!(node, Node::Index(..)) {
                        return (keys, false);
                    }
                    node = &pair.rhs;
                }
                _ => return (keys, false),
            },
            _ => return (keys, false),
        }
    }
}
