//! Values that cannot be had: each use of one fails, and what failed says which it was.

use crate::{
    NameUse, ScriptError,
    convert::{Absent, CANNOT, UNKNOWN_VALUE},
};
use keybook_api::Map;
use rhai::{AST, ASTNode, Expr as Node, Stmt};

/// May a text take another way because of a value that cannot be had, instead of failing? `switch` takes its last case
/// for what it does not know, `type_of` names any type, and `catch` hides what failed.
pub(crate) fn goes_on(ast: &AST) -> bool {
    let mut found = false;
    ast.walk(&mut |path| {
        found |= match path.last() {
            Some(ASTNode::Stmt(Stmt::Switch(..) | Stmt::TryCatch(..))) => true,
            Some(ASTNode::Stmt(Stmt::FnCall(call, _))) => call.name == "type_of",
            Some(ASTNode::Expr(Node::FnCall(call, _) | Node::MethodCall(call, _))) => call.name == "type_of",
            _ => false,
        };
        !found
    });
    found
}

/// What is read and cannot be had, the first of several: which, and why.
pub(crate) fn read(names: &[NameUse], scope: &Map) -> Option<ScriptError> {
    names.iter().find_map(|used| {
        let (path, why) = found(used, scope)?;
        Some(ScriptError { message: format!("`{path}` {CANNOT}: {why}"), span: used.span.clone() })
    })
}

/// The path of the first value that a use reads and that cannot be had, and why.
fn found<'s>(used: &'s NameUse, scope: &'s Map) -> Option<(String, &'s str)> {
    let mut value = scope.get(&used.name)?;
    let mut path = vec![used.name.as_str()];
    for key in &used.path {
        // A property of what is no map, or a key that it does not have: the evaluation says so.
        let Some(inner) = value.get(key) else { break };
        value = inner;
        path.push(key);
    }
    let (keys, why) = value.unknown()?;
    Some((path.into_iter().chain(keys).collect::<Vec<_>>().join("."), why))
}

/// An error that names what could not be had, where it comes of that.
pub(crate) fn named(error: ScriptError, names: &[NameUse], scope: &Map) -> ScriptError {
    let Some((path, why)) = names.iter().find_map(|used| found(used, scope)) else { return error };
    let whole = Absent(why.to_owned()).message();
    let message = match error.message.contains(UNKNOWN_VALUE) {
        true => format!("{}; `{path}` {CANNOT}: {why}", error.message),
        false => error.message.replace(&whole, &format!("`{path}` {CANNOT}: {why}")),
    };
    ScriptError { message, ..error }
}
