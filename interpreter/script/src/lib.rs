//! The Rhai host: expressions, `${…}` templates, hooks and scripts, bounded in time and size, without I/O of their
//! own, with every error at its own place of the YAML or Rhai file.
//!
//! Expressions and templates are pure. Hooks and `script:` steps can call actions through [`HostCalls`]; a sandbox
//! scenario's command answers get functions of their own through [`NativeFn`].

mod acts;
mod check;
mod compare;
mod convert;
mod docs;
mod engine;
mod error;
mod expr;
mod hooks;
mod host;
mod known;
mod library;
mod limits;
mod names;
mod own;
mod script;
mod session;
mod template;
mod unknown;

pub use acts::{ActArg, ActCall, GivenText};
pub use docs::FunctionDoc;
pub use error::ScriptError;
pub use expr::Expr;
pub use hooks::{HookFn, Hooks};
pub use host::{Function, ScriptHost};
pub use known::Comparison;
pub use library::LibraryFile;
pub use limits::Limits;
pub use names::{NameUse, is_variable_name, names_used};
pub use script::{NativeCall, NativeFn, Script};
pub use session::HostCalls;
pub use template::Template;
