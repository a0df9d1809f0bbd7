//! Names that a script declares or changes itself: what they hold there, nobody knows beforehand.

use crate::{
    NameUse,
    check::{self, Defined},
};
use rhai::{AST, ASTNode, Expr as Node, Stmt};
use std::collections::BTreeSet;

/// Functions that add keys to the map that they are called on, or have a function pointer do so.
const ADDING: [&str; 4] = ["set", "mixin", "fill_with", "call"];

/// What asks whether a map has a key; so does `key in map`.
const ASKING: &str = "contains";

pub(crate) struct Own<'h> {
    declared: BTreeSet<String>,
    changed: BTreeSet<String>,
    /// Maps that are asked for their keys, as the variable and the keys behind it.
    asked: BTreeSet<Vec<String>>,
    /// Functions of the text and of the hooks: called on a map, they may add keys to `this`.
    functions: Defined,
    hooks: Option<&'h Defined>,
}

impl<'h> Own<'h> {
    /// Nothing yet.
    pub fn new(functions: Defined, hooks: Option<&'h Defined>) -> Self {
        let (declared, changed, asked) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { declared, changed, asked, functions, hooks }
    }

    /// What a script does in its statements. What functions and closures in it declare is theirs, so that of the
    /// script's own variables of such names only the keys are not known.
    pub fn of_script(ast: &AST, hooks: Option<&'h Defined>) -> Self {
        let mut own = Self::new(check::defined(ast), hooks);
        for statement in ast.statements() {
            statement.walk(&mut Vec::new(), &mut |path| {
                own.note(path.last());
                true
            });
        }
        own.note_inner(ast);
        own
    }

    /// Notes what a text does, its functions included, as what makes keys unknown.
    pub fn note_inner(&mut self, ast: &AST) {
        let outer = std::mem::take(&mut self.declared);
        ast.walk(&mut |path| {
            self.note(path.last());
            true
        });
        self.changed.append(&mut self.declared);
        self.declared = outer;
    }

    pub fn note(&mut self, node: Option<&ASTNode>) {
        match node {
            Some(ASTNode::Stmt(Stmt::Var(variable, ..))) => {
                self.declared.insert(variable.0.name.to_string());
            }
            Some(ASTNode::Stmt(Stmt::For(each, _))) => {
                self.declared.insert(each.0.name.to_string());
                self.declared.extend(each.1.as_ref().map(|counter| counter.name.to_string()));
            }
            Some(ASTNode::Stmt(Stmt::TryCatch(caught, _))) => {
                if let Node::Variable(variable, ..) = &caught.expr {
                    self.declared.insert(variable.1.to_string());
                }
            }
            Some(ASTNode::Stmt(Stmt::Assignment(pair))) => self.changed.extend(root(&pair.1.lhs)),
            Some(
                ASTNode::Expr(Node::FnCall(call, _) | Node::MethodCall(call, _))
                | ASTNode::Stmt(Stmt::FnCall(call, _)),
            ) => {
                if ADDING.contains(&call.name.as_str()) {
                    self.changed.extend(call.args.first().and_then(root));
                } else if call.name == ASKING {
                    self.asked.extend(call.args.first().map(|map| path(map).0));
                }
            }
            Some(ASTNode::Expr(node @ Node::Dot(pair, ..))) => {
                if self.adds(&pair.rhs) {
                    self.changed.extend(root(node));
                }
                if let (path, true) = path(node) {
                    self.asked.insert(path);
                }
            }
            _ => {}
        }
    }

    /// Does the rest of a chain call a function that adds keys?
    fn adds(&self, mut node: &Node) -> bool {
        let mut functions = self.hooks.into_iter().chain([&self.functions]).flatten();
        let mut adding =
            |name: &str| ADDING.contains(&name) || functions.any(|(function, _)| function == name);
        loop {
            let (here, rest) = match node {
                Node::Dot(pair, ..) | Node::Index(pair, ..) => (&pair.lhs, Some(&pair.rhs)),
                other => (other, None),
            };
            if matches!(here, Node::MethodCall(call, _) if adding(&call.name)) {
                return true;
            }
            let Some(rest) = rest else { return false };
            node = rest;
        }
    }

    /// The uses of what the script does not declare. Of what it changes the keys are not known, nor are those of a map
    /// that it asks for its keys: what is read there may stand behind the answer.
    pub fn known(&self, uses: Vec<NameUse>) -> Vec<NameUse> {
        let uses = uses.into_iter().filter(|used| !self.declared.contains(&used.name));
        uses.map(|used| {
            let sure = if self.changed.contains(&used.name) { 0 } else { self.known_keys(&used) };
            NameUse { sure, ..used }
        })
        .collect()
    }

    /// How many of the keys on a path are in maps that are not asked for theirs.
    fn known_keys(&self, used: &NameUse) -> usize {
        let of_map = |asked: &&Vec<String>| {
            let (name, keys) = asked.split_first()?;
            (*name == used.name && used.path.starts_with(keys)).then_some(keys.len())
        };
        self.asked.iter().filter_map(|asked| of_map(&asked)).min().unwrap_or(used.path.len())
    }
}

/// The variable and the keys that a chain begins with, and whether what comes behind them asks for a key.
fn path(mut node: &Node) -> (Vec<String>, bool) {
    let mut path = Vec::new();
    loop {
        let (here, rest) = match node {
            Node::Dot(pair, ..) => (&pair.lhs, Some(&pair.rhs)),
            other => (other, None),
        };
        match here {
            Node::Variable(variable, ..) if path.is_empty() => path.push(variable.1.to_string()),
            Node::Property(property, _) if !path.is_empty() => path.push(property.2.to_string()),
            Node::MethodCall(call, _) => return (path, call.name == ASKING),
            _ => return (path, false),
        }
        let Some(rest) = rest else { return (path, false) };
        node = rest;
    }
}

/// The variable that a chain `a.b[c]` begins with.
fn root(mut node: &Node) -> Option<String> {
    loop {
        match node {
            Node::Variable(variable, ..) => return Some(variable.1.to_string()),
            Node::Dot(pair, ..) | Node::Index(pair, ..) => node = &pair.lhs,
            _ => return None,
        }
    }
}
