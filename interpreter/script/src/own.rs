//! Names that a script declares or changes itself: what they hold there, nobody knows beforehand.

use crate::NameUse;
use rhai::{AST, ASTNode, Expr as Node, Stmt};
use std::collections::BTreeSet;

/// Functions that add keys to the map that they are called on.
const ADDING: [&str; 3] = ["set", "mixin", "fill_with"];

#[derive(Default)]
pub(crate) struct Own {
    declared: BTreeSet<String>,
    changed: BTreeSet<String>,
}

impl Own {
    /// What a script does in its statements. What functions and closures in it declare is theirs, so that of the
    /// script's own variables of such names only the keys are not known.
    pub fn of_script(ast: &AST) -> Self {
        let mut own = Self::default();
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
        let mut inner = Self::default();
        ast.walk(&mut |path| {
            inner.note(path.last());
            true
        });
        self.changed.extend(inner.declared.into_iter().chain(inner.changed));
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
            ) if ADDING.contains(&call.name.as_str()) => {
                self.changed.extend(call.args.first().and_then(root));
            }
            Some(ASTNode::Expr(node @ Node::Dot(pair, ..))) if adds(&pair.rhs) => {
                self.changed.extend(root(node));
            }
            _ => {}
        }
    }

    /// The uses of what the script does not declare. Of what it changes the keys are not known.
    pub fn known(&self, uses: Vec<NameUse>) -> Vec<NameUse> {
        let uses = uses.into_iter().filter(|used| !self.declared.contains(&used.name));
        uses.map(|used| match self.changed.contains(&used.name) {
            true => NameUse { path: Vec::new(), path_spans: Vec::new(), ..used },
            false => used,
        })
        .collect()
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

/// Does the rest of a chain call a function that adds keys?
fn adds(mut node: &Node) -> bool {
    loop {
        let (here, rest) = match node {
            Node::Dot(pair, ..) | Node::Index(pair, ..) => (&pair.lhs, Some(&pair.rhs)),
            other => (other, None),
        };
        if matches!(here, Node::MethodCall(call, _) if ADDING.contains(&call.name.as_str())) {
            return true;
        }
        let Some(rest) = rest else { return false };
        node = rest;
    }
}
