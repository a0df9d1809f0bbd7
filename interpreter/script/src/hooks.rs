//! hooks.rhai: functions for expressions, and the hooks themselves.

use crate::{ActCall, GivenText, NameUse, acts, check, error::Sources, names};
use keybook_api::{SourceText, Span};
use rhai::AST;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// A compiled hooks.rhai; cheap to clone.
#[derive(Clone)]
pub struct Hooks(pub(crate) Arc<HooksInner>);

pub(crate) struct HooksInner {
    pub text: SourceText,
    pub ast: AST,
    pub defined: check::Defined,
    /// Functions that call actions, note something or ask for a secret, directly or through others.
    pub acting: BTreeSet<String>,
    pub functions: Vec<HookFn>,
    /// The functions that each function calls.
    pub calls: BTreeMap<String, BTreeSet<String>>,
    /// The calls of actions that each function writes out.
    pub acts: BTreeMap<String, Vec<ActCall>>,
    /// See [`Hooks::secrets`].
    pub secrets: Vec<GivenText>,
}

/// A function that hooks.rhai defines.
#[derive(Clone, Debug, PartialEq)]
pub struct HookFn {
    /// Its name.
    pub name: String,
    /// Its parameters.
    pub params: Vec<String>,
    /// It calls `act`, `note` or `secret`, directly or through others, so expressions cannot use it.
    pub acts: bool,
    /// What it reads of its parameters, as far as it does not declare them again.
    pub reads: Vec<NameUse>,
    /// Where its name stands.
    pub span: Span,
}

impl Hooks {
    /// The functions that it defines, in the order of their names.
    pub fn functions(&self) -> &[HookFn] {
        &self.0.functions
    }

    /// The secret inputs that it asks for by `secret("name")`, and where each name stands, as far as they are written out.
    pub fn secrets(&self) -> &[GivenText] {
        &self.0.secrets
    }

    /// The calls of actions that its functions write out.
    pub fn acts(&self) -> impl Iterator<Item = &ActCall> {
        self.0.acts.values().flatten()
    }

    /// The calls of actions that a function of it writes out, itself or in others that it calls.
    pub fn acts_reached_from(&self, function: &str) -> Vec<&ActCall> {
        let mut reached = BTreeSet::from([function]);
        let mut next = vec![function];
        while let Some(calls) = next.pop().map(|name| self.0.calls.get(name)) {
            next.extend(calls.into_iter().flatten().map(String::as_str).filter(|name| reached.insert(*name)));
        }
        reached.into_iter().filter_map(|name| self.0.acts.get(name)).flatten().collect()
    }

    /// The number of parameters of a function; `None` when there is none of that name.
    pub fn params_of(&self, name: &str) -> Option<usize> {
        self.0.functions.iter().find(|function| function.name == name).map(|function| function.params.len())
    }
}

impl HooksInner {
    pub fn new(text: SourceText, ast: AST) -> Self {
        let defined = check::defined(&ast);
        let alone = check::each_function(&ast);
        let calls = check::calls_by_function(&alone);
        let acts = alone.iter().map(|(name, only)| (name.clone(), acts::collect(only, &text))).collect();
        let acting = acting(&calls);
        let mut functions: Vec<HookFn> = ast
            .iter_functions()
            .filter(|function| rhai::is_valid_function_name(function.name))
            .map(|function| {
                let params: Vec<String> = function.params.iter().map(|param| (*param).to_owned()).collect();
                HookFn {
                    name: function.name.to_owned(),
                    acts: acting.contains(function.name),
                    reads: names::of_params(function.name, &params, &alone, &defined, &text),
                    params,
                    span: place(&text, function.name),
                }
            })
            .collect();
        functions.sort_by(|a, b| (&a.name, a.params.len()).cmp(&(&b.name, b.params.len())));
        let secrets = acts::texts_given(&ast, &text, "secret").into_iter().flatten().flatten().collect();
        Self { text, ast, defined, acting, functions, calls, acts, secrets }
    }

    /// The names of its functions, closures included.
    pub fn names(&self) -> BTreeSet<String> {
        self.defined.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl Sources for HooksInner {
    fn of_function(&self, _name: &str) -> Option<&SourceText> {
        None
    }
}

/// Closes over the calls: who calls somebody who acts, acts.
fn acting(calls: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut acting: BTreeSet<String> = ["act", "note", "secret", "print", "debug"].map(str::to_owned).into();
    loop {
        let more: Vec<String> = calls
            .iter()
            .filter(|(name, called)| !acting.contains(*name) && !called.is_disjoint(&acting))
            .map(|(name, _)| name.clone())
            .collect();
        if more.is_empty() {
            return acting;
        }
        acting.extend(more);
    }
}

/// Where a function's name stands in its definition. Rhai does not keep the place.
fn place(text: &SourceText, name: &str) -> Span {
    let source = text.as_str();
    let found = source.match_indices(name).find(|(at, _)| {
        let before = source.get(..*at).unwrap_or("").trim_end();
        let after = source.get(at + name.len()..).unwrap_or("").trim_start();
        before.ends_with("fn") && after.starts_with('(')
    });
    let offset = found.map_or(0, |(at, _)| source.get(..at).unwrap_or("").chars().count());
    text.span(offset, name.chars().count())
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("file", self.0.text.file()).finish_non_exhaustive()
    }
}
