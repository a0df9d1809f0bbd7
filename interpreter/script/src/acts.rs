//! The calls of actions that a script writes out: `act("family.verb", #{ key: value })`.

use crate::{NameUse, convert, error::span_of, names};
use keybook_api::{SourceText, Span, Value};
use rhai::{AST, ASTNode, Expr as Node, FnCallExpr, Position, Stmt};

/// One call of an action whose name stands there as text. A name that is computed is known only while running.
#[derive(Clone, Debug, PartialEq)]
pub struct ActCall {
    /// What is called: `family.verb` or `family.verb@host`.
    pub action: String,
    /// Where the name stands, quotes included.
    pub span: Span,
    /// Its arguments, by key, when they stand there as a map or are absent; `None` when they are computed.
    pub args: Option<Vec<(String, ActArg)>>,
    /// What is read from its result right behind it; the call itself is the variable.
    pub read: Option<NameUse>,
}

/// One argument of an [`ActCall`].
#[derive(Clone, Debug, PartialEq)]
pub struct ActArg {
    /// Where its key stands.
    pub span: Span,
    /// Its value, when nothing in it is computed.
    pub value: Option<Value>,
}

/// Every call in a script and in the functions that it defines, in the order of their places.
pub(crate) fn collect(ast: &AST, text: &SourceText) -> Vec<ActCall> {
    let mut found: Vec<(Position, ActCall)> = Vec::new();
    ast.walk(&mut |path| {
        // The whole chain is visited before the call in it.
        if let Some(ASTNode::Expr(Node::Dot(chain, ..))) = path.last()
            && let Node::FnCall(call, at) = &chain.lhs
            && call.name == "act"
            && let Some(written) = of_call(call, text)
        {
            let name = format!("act(\"{}\")", written.action);
            let read = names::read_behind(name, written.span.clone(), &chain.rhs, text);
            found.push((*at, ActCall { read: Some(read), ..written }));
        } else if let Some(ASTNode::Expr(Node::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at))) =
            path.last()
            && call.name == "act"
            && let Some(written) = of_call(call, text)
        {
            found.push((*at, written));
        }
        true
    });
    found.sort_by_key(|(at, _)| (at.line(), at.position()));
    // A statement that is a call is walked as both, and a call in a chain also alone.
    found.dedup_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, call)| call).collect()
}

/// A text that is written out as an argument.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenText {
    /// The text.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// The arguments of each call of a function, in the order of their places; `None` for one that is no text written out.
pub(crate) fn texts_given(ast: &AST, text: &SourceText, function: &str) -> Vec<Vec<Option<GivenText>>> {
    let mut found: Vec<(Position, Vec<Option<GivenText>>)> = Vec::new();
    ast.walk(&mut |path| {
        if let Some(ASTNode::Expr(Node::FnCall(call, at)) | ASTNode::Stmt(Stmt::FnCall(call, at))) =
            path.last()
            && call.name == function
        {
            found.push((*at, call.args.iter().map(|arg| given_text(arg, text)).collect()));
        }
        true
    });
    found.sort_by_key(|(at, _)| (at.line(), at.position()));
    // A statement that is a call is walked as both.
    found.dedup();
    found.into_iter().map(|(_, given)| given).collect()
}

pub(crate) fn given_text(arg: &Node, source: &SourceText) -> Option<GivenText> {
    let Node::StringConstant(given, at) = arg else { return None };
    Some(GivenText { text: given.to_string(), span: quoted(source, *at, given) })
}

fn of_call(call: &FnCallExpr, text: &SourceText) -> Option<ActCall> {
    let (Node::StringConstant(action, at), rest) = call.args.split_first()? else { return None };
    let args = match rest {
        [] => Some(Vec::new()),
        [Node::Map(map, _)] => {
            let arg =
                |(key, value): &(rhai::Ident, Node)| (key.name.to_string(), of_arg(key.pos, value, text));
            Some(map.0.iter().map(arg).collect())
        }
        _ => None,
    };
    Some(ActCall { action: action.to_string(), span: quoted(text, *at, action), args, read: None })
}

fn of_arg(at: Position, value: &Node, text: &SourceText) -> ActArg {
    let value = if value.is_constant() { value.get_literal_value(None) } else { None };
    ActArg { span: span_of(text, at), value: value.and_then(|value| convert::from_dynamic(&value).ok()) }
}

/// The span of a text with its two quotes; no name of an action needs an escape.
fn quoted(text: &SourceText, at: Position, content: &str) -> Span {
    let place = span_of(text, at);
    Span::new(place.file, place.line, place.column, u32::try_from(content.chars().count() + 2).unwrap_or(1))
}
