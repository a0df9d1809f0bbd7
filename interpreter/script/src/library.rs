//! Functions written in Rhai that belong to the program, as the native ones do: compiled once a host, and found by
//! every expression, hook and script, after its own functions.

use crate::{FunctionDoc, docs};
use rhai::{AST, Dynamic, Engine, Module, NativeCallContext, Scope, Shared};
use std::any::TypeId;

/// A file of functions in Rhai.
#[derive(Clone, Copy, Debug)]
pub struct LibraryFile {
    /// Its name, as problems in it show it.
    pub name: &'static str,
    /// Its text: functions, each with a doc comment that ends in lines `Returns: …` and `Example: …`.
    pub text: &'static str,
}

/// The source of a library function in Rhai's errors. No file has this name.
const SOURCE: &str = "\u{0}library";

/// Compiled library files. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Library {
    module: Option<Shared<Module>>,
    docs: Vec<FunctionDoc>,
}

impl Library {
    /// The library of these compiled files. All are one module: inside it their functions are found before those of
    /// whoever calls them.
    pub fn new(files: &[LibraryFile], asts: &[AST], engine: &Engine) -> Result<Self, String> {
        let mut whole = AST::empty();
        let mut docs = Vec::new();
        for (file, ast) in files.iter().zip(asts) {
            docs.extend(docs::of_library(ast, file.text));
            whole = whole.merge(ast);
        }
        whole.set_source(SOURCE);
        let module =
            Module::eval_ast_as_new(Scope::new(), &whole, engine).map_err(|error| error.to_string())?;
        Ok(Self { module: Some(module.into()), docs })
    }

    /// Makes the functions callable, as `f(a, b)` and as `a.f(b)`.
    pub fn register(&self, engine: &mut Engine) {
        if let Some(module) = &self.module {
            engine.register_global_module(module.clone());
        }
        for function in &self.docs {
            let name = function.name.clone();
            let params = vec![TypeId::of::<Dynamic>(); function.params.len()];
            // Rhai gives the receiver of a method call to a script's function as `this`, not as a parameter. A native
            // function of the same name is found by method calls only; it calls the other one.
            engine.register_raw_fn(&function.name, params, move |context: NativeCallContext, args| {
                let mut values: Vec<Dynamic> = args.iter().map(|arg| (**arg).clone()).collect();
                let mut args: Vec<&mut Dynamic> = values.iter_mut().collect();
                context.call_fn_raw(&name, false, false, &mut args)
            });
        }
    }

    /// Its functions, in their order.
    pub fn docs(&self) -> &[FunctionDoc] {
        &self.docs
    }
}

/// Is this the source of a library function?
pub(crate) fn is_source(source: &str) -> bool {
    source == SOURCE
}
