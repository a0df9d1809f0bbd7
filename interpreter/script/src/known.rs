//! What an expression says of itself before it is evaluated: its value, and which words it compares a value with.

use crate::{Expr, GivenText, acts::given_text, names::chain};
use rhai::{ASTNode, Expr as Node, FnCallExpr, Stmt};

/// `a.b == "word"` or `a.b != "word"`, in either order.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The variable and the keys behind it: `["inputs", "mode"]`.
    pub path: Vec<String>,
    /// The word.
    pub word: GivenText,
}

impl Expr {
    /// The type of the value, when it is written out: `int` for `5`. `None` for what is computed.
    pub fn type_written(&self) -> Option<&'static str> {
        let [Stmt::Expr(node)] = self.0.ast.statements() else { return None };
        match node.as_ref() {
            Node::BoolConstant(..) => Some("bool"),
            Node::IntegerConstant(..) => Some("int"),
            Node::FloatConstant(..) => Some("float"),
            Node::StringConstant(..) | Node::CharConstant(..) | Node::InterpolatedString(..) => {
                Some("string")
            }
            Node::Array(..) => Some("list"),
            Node::Map(..) => Some("map"),
            Node::Unit(..) => Some("null"),
            _ => None,
        }
    }

    /// The words that it compares values with.
    pub fn comparisons(&self) -> Vec<Comparison> {
        let text = self.text();
        if !text.as_str().contains("==") && !text.as_str().contains("!=") {
            return Vec::new();
        }
        let mut found = Vec::new();
        for statement in self.0.ast.statements() {
            statement.walk(&mut Vec::new(), &mut |path| {
                // A statement that is a call has no expression of its own for it.
                if let Some(ASTNode::Expr(Node::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) =
                    path.last()
                {
                    found.extend(self.comparison(call));
                }
                true
            });
        }
        found
    }

    fn comparison(&self, call: &FnCallExpr) -> Option<Comparison> {
        let [left, right] = call.args.as_slice() else { return None };
        if !matches!(call.name.as_str(), "==" | "!=") {
            return None;
        }
        let both = [(left, right), (right, left)];
        both.into_iter().find_map(|(value, word)| {
            Some(Comparison { path: chain(value)?, word: given_text(word, self.text())? })
        })
    }
}
