//! What Rhai finds out only when it runs: calls of functions that do not exist. The tree of the source is walked and
//! every call compared with what is registered or defined in the script.

use crate::{engine::FORBIDDEN, error::span_of};
use keybook_api::{Diagnostic, SourceText};
use rhai::{AST, ASTNode, Engine, Expr as Node, FnCallExpr, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// The functions that can be called, with the numbers of arguments that each takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    known: BTreeMap<String, BTreeSet<usize>>,
}

/// Functions that the language itself provides, with any number of arguments.
const LANGUAGE: [&str; 9] =
    ["type_of", "Fn", "call", "curry", "is_def_var", "is_def_fn", "is_shared", "print", "debug"];

impl Catalog {
    /// Everything that an engine has registered.
    pub fn of(engine: &Engine) -> Self {
        let found = engine.collect_fn_metadata(
            None,
            |info| Some((info.metadata.name.to_string(), info.metadata.num_params)),
            true,
        );
        let mut known: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for (name, arity) in found {
            if rhai::is_valid_function_name(&name) {
                known.entry(name).or_default().insert(arity);
            }
        }
        Self { known }
    }

    /// Adds a function.
    pub fn add(&mut self, name: &str, arity: usize) {
        self.known.entry(name.to_owned()).or_default().insert(arity);
    }
}

/// Functions that a script defines: name and number of parameters. Called as a method they get their receiver as
/// `this`, not as a parameter.
pub(crate) type Defined = BTreeSet<(String, usize)>;

/// The functions that a script defines.
pub(crate) fn defined(ast: &AST) -> Defined {
    ast.iter_functions().map(|function| (function.name.to_owned(), function.params.len())).collect()
}

/// Where a text stands and what it may do.
pub(crate) struct Rules<'a> {
    pub catalog: &'a Catalog,
    /// Functions of this text and of the hooks.
    pub defined: &'a Defined,
    /// Functions of the hooks that call actions, directly or not.
    pub acting: &'a BTreeSet<String>,
    /// What it may reach.
    pub reach: Reach,
}

/// What a text may reach besides what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Nothing: expressions and library functions.
    Nothing,
    /// `act`, `note` and `print`: scripts.
    Actions,
    /// `secret` as well: hooks.
    Secrets,
}

/// Problems in a compiled text.
pub(crate) fn check(ast: &AST, text: &SourceText, rules: &Rules) -> Vec<Diagnostic> {
    let mut found: Vec<(Position, Diagnostic)> = Vec::new();
    ast.walk(&mut |path| {
        let problem = match path.last() {
            Some(ASTNode::Expr(Node::FnCall(call, at))) => call_problem(call, *at, false, text, rules),
            Some(ASTNode::Expr(Node::MethodCall(call, at))) => call_problem(call, *at, true, text, rules),
            Some(ASTNode::Stmt(Stmt::FnCall(call, at))) => call_problem(call, *at, false, text, rules),
            Some(ASTNode::Expr(Node::FloatConstant(_, at))) => float_problem(*at, text),
            Some(ASTNode::Stmt(Stmt::Import(_, at) | Stmt::Export(_, at))) => Some((
                *at,
                Diagnostic::error("script-module", "modules cannot be loaded", span_of(text, *at)),
            )),
            _ => None,
        };
        found.extend(problem);
        true
    });
    found.sort_by_key(|(at, _)| (at.line(), at.position()));
    found.dedup();
    found.into_iter().map(|(_, problem)| problem).collect()
}

/// A whole number beyond 64 bits silently becomes a float in Rhai.
fn float_problem(at: Position, text: &SourceText) -> Option<(Position, Diagnostic)> {
    let line = text.as_str().split('\n').nth(at.line()?.saturating_sub(1))?;
    let word: String = line
        .chars()
        .skip(at.position()?.saturating_sub(1))
        .take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '.'))
        .collect();
    let whole = !word.is_empty() && word.chars().all(|letter| letter.is_ascii_digit() || letter == '_');
    let problem =
        || Diagnostic::error("number-too-large", "the number does not fit into 64 bits", span_of(text, at));
    whole.then(|| (at, problem()))
}

fn call_problem(
    call: &FnCallExpr,
    at: Position,
    method: bool,
    text: &SourceText,
    rules: &Rules,
) -> Option<(Position, Diagnostic)> {
    let name = call.name.as_str();
    if call.op_token.is_some() || !rhai::is_valid_function_name(name) && !LANGUAGE.contains(&name) {
        return None;
    }
    let problem = refusal(call, at, text, rules).or_else(|| mismatch(call, at, method, text, rules))?;
    Some((at, problem))
}

/// Calls of what exists but cannot be used here.
fn refusal(call: &FnCallExpr, at: Position, text: &SourceText, rules: &Rules) -> Option<Diagnostic> {
    let name = call.name.as_str();
    let error = |code, message: String| Diagnostic::error(code, message, span_of(text, at));
    if call.is_qualified() {
        return Some(error("script-module", format!("`::` is not available, so neither is `{name}`")));
    }
    if let Some((_, instead)) = FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name) {
        return Some(error("unknown-function", format!("`{name}` is not available")).help(*instead));
    }
    if name == "secret" && rules.reach == Reach::Actions {
        let problem = error("hooks-only", "`secret` is for hooks".to_owned());
        return Some(problem.help("a script reads `inputs.NAME`"));
    }
    let acting = matches!(name, "act" | "note" | "secret" | "print" | "debug") || rules.acting.contains(name);
    (acting && rules.reach == Reach::Nothing).then(|| {
        error("not-pure", format!("`{name}` cannot be used in an expression"))
            .help("expressions compute only; hooks and `script:` steps may act")
    })
}

/// Calls of what does not exist, or not with so many arguments.
fn mismatch(
    call: &FnCallExpr,
    at: Position,
    method: bool,
    text: &SourceText,
    rules: &Rules,
) -> Option<Diagnostic> {
    let name = call.name.as_str();
    let given = call.args.len();
    let full = given + usize::from(method);
    let native = rules.catalog.known.get(name);
    let exists = LANGUAGE.contains(&name)
        || rules.defined.contains(&(name.to_owned(), given))
        || native.is_some_and(|arities| arities.contains(&full));
    if exists {
        return None;
    }
    let own: BTreeSet<usize> =
        rules.defined.iter().filter(|(defined, _)| defined == name).map(|(_, arity)| *arity).collect();
    Some(match native {
        // The receiver of a method is not one of the arguments that its author counts.
        Some(arities) if method => {
            let behind = arities.iter().filter_map(|arity| arity.checked_sub(1)).collect();
            wrong_count(name, given, &behind, text, at)
        }
        Some(arities) => wrong_count(name, given, arities, text, at),
        None if own.is_empty() => unknown(name, method, text, at, rules),
        None => wrong_count(name, given, &own, text, at),
    })
}

fn unknown(name: &str, method: bool, text: &SourceText, at: Position, rules: &Rules) -> Diagnostic {
    let problem =
        Diagnostic::error("unknown-function", format!("there is no function `{name}`"), span_of(text, at));
    let names = rules.catalog.known.keys().chain(rules.defined.iter().map(|(name, _)| name));
    let visible = names.map(String::as_str).filter(|name| rhai::is_valid_function_name(name));
    match keybook_source::suggest(name, visible) {
        Some(advice) => problem.help(advice),
        None if method => problem.help("a key of a map is read without brackets"),
        None => problem,
    }
}

fn wrong_count(
    name: &str,
    given: usize,
    takes: &BTreeSet<usize>,
    text: &SourceText,
    at: Position,
) -> Diagnostic {
    let counts = takes.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
    let noun = if counts == "1" { "argument" } else { "arguments" };
    let message = format!("`{name}` takes {counts} {noun}, {given} given");
    Diagnostic::error("wrong-arguments", message, span_of(text, at))
}

/// Each function that a script defines (closures count for themselves), alone: all of one name together.
pub(crate) fn each_function(ast: &AST) -> BTreeMap<String, AST> {
    let alone = |name: &str| {
        // Rhai 1.27's clone_functions_only_filtered ignores its filter when it begins with an empty module.
        let mut only = ast.clone_functions_only();
        only.retain_functions(|_, _, candidate, _| candidate == name);
        (name.to_owned(), only)
    };
    ast.iter_functions().map(|function| alone(function.name)).collect()
}

/// The names of all functions that functions call, by the function that calls them.
pub(crate) fn calls_by_function(functions: &BTreeMap<String, AST>) -> BTreeMap<String, BTreeSet<String>> {
    let mut calls = BTreeMap::new();
    for (name, only) in functions {
        let mut called = BTreeSet::new();
        only.walk(&mut |path| {
            match path.last() {
                Some(
                    ASTNode::Expr(Node::FnCall(call, _) | Node::MethodCall(call, _))
                    | ASTNode::Stmt(Stmt::FnCall(call, _)),
                ) => {
                    called.insert(call.name.to_string());
                }
                // A function pointer or closure counts as called.
                Some(ASTNode::Expr(Node::DynamicConstant(value, _))) => {
                    if let Some(pointer) = value.read_lock::<rhai::FnPtr>() {
                        called.insert(pointer.fn_name().to_owned());
                    }
                }
                _ => {}
            }
            true
        });
        calls.insert(name.clone(), called);
    }
    calls
}
