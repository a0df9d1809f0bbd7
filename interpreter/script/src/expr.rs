//! A compiled expression.

use crate::{NameUse, error::Sources};
use keybook_api::SourceText;
use rhai::AST;
use std::{collections::BTreeSet, fmt, sync::Arc};

/// A compiled expression; cheap to clone. [`crate::ScriptHost::eval`] evaluates it.
#[derive(Clone)]
pub struct Expr(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub text: SourceText,
    pub ast: AST,
    pub names: Vec<NameUse>,
    /// See [`crate::unknown::goes_on`].
    pub goes_on: bool,
    /// The hooks whose functions it may call, and their names.
    pub hooks: Option<(SourceText, BTreeSet<String>)>,
}

impl Expr {
    /// The expression as written.
    pub fn text(&self) -> &SourceText {
        &self.0.text
    }

    /// The variables that it reads, in order of their places.
    pub fn names(&self) -> &[NameUse] {
        &self.0.names
    }
}

impl Sources for Inner {
    fn of_function(&self, name: &str) -> Option<&SourceText> {
        self.hooks.as_ref().filter(|(_, names)| names.contains(name)).map(|(text, _)| text)
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.0.text.as_str()).finish()
    }
}
