//! Whole scripts: `script:` steps and the command answers of sandbox scenarios.

use crate::{ActCall, GivenText, NameUse, acts, error::Sources};
use keybook_api::{SourceText, Value};
use rhai::AST;
use std::{collections::BTreeSet, fmt, sync::Arc};

/// A compiled script; cheap to clone.
#[derive(Clone)]
pub struct Script(pub(crate) Arc<ScriptInner>);

pub(crate) struct ScriptInner {
    pub text: SourceText,
    pub ast: AST,
    pub hooks: Option<(SourceText, BTreeSet<String>)>,
    pub names: Vec<NameUse>,
    /// See [`crate::unknown::goes_on`].
    pub goes_on: bool,
    pub acts: Vec<ActCall>,
}

impl Script {
    /// The script as written.
    pub fn text(&self) -> &SourceText {
        &self.0.text
    }

    /// The variables that it reads and does not declare itself, in order of their places.
    pub fn names_used(&self) -> &[NameUse] {
        &self.0.names
    }

    /// The calls of actions that it writes out.
    pub fn acts(&self) -> &[ActCall] {
        &self.0.acts
    }

    /// Has it a function of its own of this name?
    pub fn defines(&self, function: &str) -> bool {
        self.0.ast.iter_functions().any(|own| own.name == function)
    }

    /// The arguments of each call of a function that it writes out; `None` for one that is no text written out.
    pub fn texts_given(&self, function: &str) -> Vec<Vec<Option<GivenText>>> {
        acts::texts_given(&self.0.ast, &self.0.text, function)
    }
}

impl Sources for ScriptInner {
    fn of_function(&self, name: &str) -> Option<&SourceText> {
        self.hooks.as_ref().filter(|(_, names)| names.contains(name)).map(|(text, _)| text)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.0.text.as_str()).finish()
    }
}

/// What a [`NativeFn`] does.
pub type NativeCall = Arc<dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync>;

/// A function that one script gets besides the host's own.
#[derive(Clone)]
pub struct NativeFn {
    /// Its name.
    pub name: String,
    /// How many arguments it takes.
    pub arity: usize,
    /// What it does. The error becomes a Rhai error that the script may catch.
    pub call: NativeCall,
}

impl NativeFn {
    /// A function of a name, a number of arguments and what it does.
    pub fn new(
        name: impl Into<String>,
        arity: usize,
        call: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), arity, call: Arc::new(call) }
    }
}

impl fmt::Debug for NativeFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.arity)
    }
}
