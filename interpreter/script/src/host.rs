//! The host: compiles and evaluates.

use crate::{
    ActCall, Expr, FunctionDoc, Hooks, HostCalls, Limits, NativeFn, Script, ScriptError, Template, acts,
    check::{self, Catalog, Defined, Reach, Rules},
    convert, docs, engine, error,
    expr::Inner,
    hooks::HooksInner,
    library::{Library, LibraryFile},
    names,
    script::ScriptInner,
    session::{self, Request},
    template::{self, Part, Piece},
    unknown,
};
use keybook_api::{Cancel, Diagnostic, Map, Secret, SourceText, Value};
use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Scope};
use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock, mpsc::Sender},
};

/// A function that expressions and scripts can call, as `f(a, b)` and `a.f(b)`.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// The names of its parameters; all are required.
    pub params: &'static [&'static str],
    /// What it does, one or two sentences.
    pub doc: &'static str,
    /// What it returns.
    pub returns: &'static str,
    /// A Rhai expression that must be true; run as a test.
    pub example: &'static str,
    /// What it does. It must be pure; a panic in it becomes an error.
    pub call: fn(&[Value]) -> Result<Value, String>,
}

/// Compiles and evaluates; cheap to clone and usable from several threads.
#[derive(Clone)]
pub struct ScriptHost {
    inner: Arc<HostInner>,
    hooks: Option<Hooks>,
}

struct HostInner {
    engine: Engine,
    /// See [`engine::explain`]; built when it is first needed.
    explaining: OnceLock<Engine>,
    limits: Limits,
    functions: Vec<Function>,
    library: Library,
    catalog: Catalog,
}

/// Hooks that were joined to another text: theirs, and the names of their functions.
type Joined = (SourceText, BTreeSet<String>);
type Compiled<T> = Result<T, Vec<Diagnostic>>;
type Evaluated = Result<Dynamic, Box<EvalAltResult>>;

impl ScriptHost {
    /// A host with limits and functions of its own besides those of Rhai.
    pub fn new(limits: Limits, functions: &[Function]) -> Self {
        Self::build(limits, functions, Library::default())
    }

    fn build(limits: Limits, functions: &[Function], library: Library) -> Self {
        let engine = engine::build(&limits, functions, &library, &[]);
        let catalog = Catalog::of(&engine);
        let functions = functions.to_vec();
        let inner = HostInner { engine, explaining: OnceLock::new(), limits, functions, library, catalog };
        Self { inner: Arc::new(inner), hooks: None }
    }

    /// A host with functions that are written in Rhai besides. They only compute, and may call each other. A function
    /// of the same name and number of parameters in hooks.rhai or a script wins there.
    ///
    /// # Errors
    /// As for [`ScriptHost::hooks`], and `not-pure`.
    pub fn with_library(limits: Limits, functions: &[Function], files: &[LibraryFile]) -> Compiled<Self> {
        let host = Self::new(limits.clone(), functions);
        let texts: Vec<SourceText> =
            files.iter().map(|file| SourceText::verbatim(file.text, file.name, 1, 1)).collect();
        let mut asts = Vec::with_capacity(files.len());
        for text in &texts {
            asts.push(host.compile(text, &[], || host.inner.engine.compile(text.as_str()))?);
        }
        let defined = asts.iter().flat_map(check::defined).collect();
        let problems = asts
            .iter()
            .zip(&texts)
            .flat_map(|(ast, text)| host.check_functions(ast, text, Reach::Nothing, &defined));
        let problems: Vec<Diagnostic> = problems.collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let whole =
            |why| Diagnostic::error("script-library", why, SourceText::elsewhere("", "library").whole());
        let library = Library::new(files, &asts, &host.inner.engine).map_err(|why| vec![whole(why)])?;
        Ok(Self::build(limits, functions, library))
    }

    /// Everything that can be called: Keybook's functions, then those of Rhai that are allowed.
    pub fn functions(&self) -> Vec<FunctionDoc> {
        docs::list(&self.inner.engine, &self.inner.functions, &self.inner.library)
    }

    /// A host whose expressions, templates and scripts can call the functions of a hooks.rhai.
    #[must_use]
    pub fn with_hooks(&self, hooks: &Hooks) -> Self {
        Self { inner: self.inner.clone(), hooks: Some(hooks.clone()) }
    }

    fn hook_functions(&self) -> Option<&Defined> {
        self.hooks.as_ref().map(|hooks| &hooks.0.defined)
    }

    /// Compiles an expression over the variables `names`.
    ///
    /// # Errors
    /// `script-syntax` (statements too), `unknown-variable`, `unknown-function`, `wrong-arguments`, `not-pure`,
    /// each at its own place.
    pub fn expr(&self, text: &SourceText, names: &[&str]) -> Compiled<Expr> {
        let compile = || self.inner.engine.compile_expression_with_scope(&declared(names), text.as_str());
        let ast = self.compile(text, names, compile)?;
        let names = names::collect_undeclared(&ast, text, self.hook_functions());
        let (ast, hooks) = self.finish(ast, text, Reach::Nothing, &[])?;
        let goes_on = unknown::goes_on(&ast);
        Ok(Expr(Arc::new(Inner { text: text.clone(), ast, names, goes_on, hooks })))
    }

    /// Compiles a text with `${…}`. `$${` is a literal `${`.
    ///
    /// # Errors
    /// `template-syntax` and everything of [`ScriptHost::expr`], for all its expressions.
    pub fn template(&self, text: &SourceText, names: &[&str]) -> Compiled<Template> {
        let pieces = template::split(text).map_err(|problem| vec![*problem])?;
        let mut problems = Vec::new();
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match piece {
                Piece::Text(plain) => parts.push(Part::Text(plain)),
                Piece::Expr(range) => match self.expr(&text.slice(range), names) {
                    Ok(expr) => parts.push(Part::Expr(expr)),
                    Err(found) => problems.extend(found),
                },
            }
        }
        if problems.is_empty() { Ok(Template { parts, source: text.clone() }) } else { Err(problems) }
    }

    /// Compiles a hooks.rhai, which holds functions only.
    ///
    /// # Errors
    /// `script-syntax`, `unknown-variable`, `unknown-function`, `wrong-arguments`, and `hooks-statement` for
    /// statements outside functions.
    pub fn hooks(&self, text: &SourceText) -> Compiled<Hooks> {
        let ast = self.compile(text, &[], || self.inner.engine.compile(text.as_str()))?;
        let problems = self.check_functions(&ast, text, Reach::Secrets, &check::defined(&ast));
        if problems.is_empty() {
            Ok(Hooks(Arc::new(HooksInner::new(text.clone(), ast))))
        } else {
            Err(problems)
        }
    }

    /// Checks a file that holds functions only.
    fn check_functions(
        &self,
        ast: &AST,
        text: &SourceText,
        reach: Reach,
        defined: &Defined,
    ) -> Vec<Diagnostic> {
        let mut problems = self.check(ast, text, reach, defined, &self.inner.catalog);
        if let Some(statement) = ast.statements().first() {
            let problem = Diagnostic::error(
                "hooks-statement",
                "hooks.rhai holds functions only",
                error::span_of(text, statement.position()),
            );
            problems.push(problem.help("move it into a function"));
        }
        problems
    }

    /// Compiles a `script:` step over the variables `names`; it may call `act` and `note`.
    ///
    /// # Errors
    /// As for [`ScriptHost::hooks`]; statements are fine.
    pub fn script(&self, text: &SourceText, names: &[&str]) -> Compiled<Script> {
        self.script_with(text, names, &[])
    }

    /// As [`ScriptHost::script`], with a judge of the calls of actions that the script writes out.
    ///
    /// # Errors
    /// As for [`ScriptHost::script`], and what the judge finds, all together in the order of their places.
    pub fn script_judged(
        &self,
        text: &SourceText,
        names: &[&str],
        judge: &dyn Fn(&ActCall) -> Vec<Diagnostic>,
    ) -> Compiled<Script> {
        self.compile_script(text, names, &[], judge)
    }

    /// Compiles a script that gets functions of its own: names and numbers of arguments.
    ///
    /// # Errors
    /// As for [`ScriptHost::script`].
    pub fn script_with(
        &self,
        text: &SourceText,
        names: &[&str],
        natives: &[(&str, usize)],
    ) -> Compiled<Script> {
        self.compile_script(text, names, natives, &|_| Vec::new())
    }

    fn compile_script(
        &self,
        text: &SourceText,
        names: &[&str],
        natives: &[(&str, usize)],
        judge: &dyn Fn(&ActCall) -> Vec<Diagnostic>,
    ) -> Compiled<Script> {
        let compile = || self.inner.engine.compile_with_scope(&declared(names), text.as_str());
        let ast = self.compile(text, names, compile)?;
        let (acts, names) =
            (acts::collect(&ast, text), names::collect_undeclared(&ast, text, self.hook_functions()));
        let judged: Vec<Diagnostic> = acts.iter().flat_map(judge).collect();
        match self.finish(ast, text, Reach::Actions, natives) {
            Ok((ast, hooks)) if judged.is_empty() => {
                let goes_on = unknown::goes_on(&ast);
                Ok(Script(Arc::new(ScriptInner { text: text.clone(), ast, hooks, names, goes_on, acts })))
            }
            Ok(_) => Err(judged),
            Err(mut found) => {
                found.extend(judged);
                found.sort_by_key(|problem| (problem.span.line, problem.span.column));
                Err(found)
            }
        }
    }

    fn compile(
        &self,
        text: &SourceText,
        names: &[&str],
        compile: impl FnOnce() -> Result<AST, rhai::ParseError>,
    ) -> Compiled<AST> {
        match session::contain(compile) {
            Ok(Ok(ast)) => Ok(ast),
            Ok(Err(problem)) => Err(vec![error::parse_diagnostic(&problem, text, names)]),
            Err(why) => Err(vec![Diagnostic::error("script-syntax", why, text.whole())]),
        }
    }

    fn check(
        &self,
        ast: &AST,
        text: &SourceText,
        reach: Reach,
        defined: &Defined,
        catalog: &Catalog,
    ) -> Vec<Diagnostic> {
        let none = BTreeSet::new();
        let acting = self.hooks.as_ref().map_or(&none, |hooks| &hooks.0.acting);
        check::check(ast, text, &Rules { catalog, defined, acting, reach })
    }

    /// Checks a compiled text and joins the hooks' functions to it.
    fn finish(
        &self,
        ast: AST,
        text: &SourceText,
        reach: Reach,
        natives: &[(&str, usize)],
    ) -> Compiled<(AST, Option<Joined>)> {
        let mut defined = check::defined(&ast);
        if let Some(hooks) = &self.hooks {
            defined.extend(hooks.0.defined.iter().cloned());
        }
        let problems = if natives.is_empty() {
            self.check(&ast, text, reach, &defined, &self.inner.catalog)
        } else {
            let mut catalog = self.inner.catalog.clone();
            natives.iter().for_each(|(name, arity)| catalog.add(name, *arity));
            self.check(&ast, text, reach, &defined, &catalog)
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(match &self.hooks {
            Some(hooks) => {
                // The text's own functions win over hooks of the same name.
                let own: BTreeSet<String> = check::defined(&ast).into_iter().map(|(name, _)| name).collect();
                let names = hooks.0.names().difference(&own).cloned().collect();
                (hooks.0.ast.merge(&ast), Some((hooks.0.text.clone(), names)))
            }
            None => (ast, None),
        })
    }

    /// Evaluates an expression; `scope` holds the values of its variables.
    ///
    /// # Errors
    /// What went wrong, at its place: in the expression, or in hooks.rhai when a function there failed.
    pub fn eval(&self, expr: &Expr, scope: &Map) -> Result<Value, ScriptError> {
        match unknown::read(expr.names(), scope).filter(|_| expr.0.goes_on) {
            Some(unknown) => Err(unknown),
            None => self.evaluated(expr, scope).map_err(|error| unknown::named(error, expr.names(), scope)),
        }
    }

    fn evaluated(&self, expr: &Expr, scope: &Map) -> Result<Value, ScriptError> {
        let result = self.eval_on(&self.inner.engine, expr, scope);
        let missing_key = result.as_ref().is_err_and(|error| error::is_missing_key(error));
        let first = outcome(result, &expr.0.text, expr.0.as_ref());
        if !missing_key {
            return first;
        }
        // Expressions are pure, so this one may be repeated to learn which keys there are.
        let repeated = self.eval_on(self.explaining(), expr, scope);
        match (first, outcome(repeated, &expr.0.text, expr.0.as_ref())) {
            (Err(first), Err(second)) if second.message.starts_with(&first.message) => Err(second),
            (first, _) => first,
        }
    }

    fn eval_on(&self, engine: &Engine, expr: &Expr, scope: &Map) -> Evaluated {
        let mut variables = Scope::new();
        for used in expr.names() {
            if let Some(value) = scope.get(&used.name)
                && !variables.contains(&used.name)
            {
                variables.push_dynamic(used.name.as_str(), convert::to_dynamic(value));
            }
        }
        let work = || engine.eval_ast_with_scope::<Dynamic>(&mut variables, &expr.0.ast);
        self.bounded(&Cancel::new(), None, work)
    }

    fn explaining(&self) -> &Engine {
        self.inner.explaining.get_or_init(|| {
            let mut engine =
                engine::build(&self.inner.limits, &self.inner.functions, &self.inner.library, &[]);
            engine::explain(&mut engine);
            engine
        })
    }

    /// Fills in a template. A template that is one `${…}` only keeps the value's type; otherwise the result is
    /// text, or a secret when one of its parts is.
    ///
    /// # Errors
    /// As for [`ScriptHost::eval`]; null, a list or a map inside longer text.
    pub fn render(&self, template: &Template, scope: &Map) -> Result<Value, ScriptError> {
        if let [Part::Expr(expr)] = template.parts.as_slice() {
            return self.eval(expr, scope);
        }
        let mut secret = false;
        let mut pieces: Vec<Secret> = Vec::with_capacity(template.parts.len());
        for part in &template.parts {
            let expr = match part {
                Part::Text(text) => {
                    pieces.push(Secret::new(text.as_bytes()));
                    continue;
                }
                Part::Expr(expr) => expr,
            };
            match self.eval(expr, scope)? {
                Value::Secret(hidden) => {
                    secret = true;
                    pieces.push(hidden);
                }
                value @ (Value::Null | Value::List(_) | Value::Map(_)) => {
                    let written = expr.text().as_str().trim();
                    let message =
                        format!("`{written}` is a {}, which cannot stand in a text", value.type_name());
                    return Err(ScriptError { message, span: expr.text().whole() });
                }
                value => pieces.push(Secret::new(value.to_string())),
            }
        }
        Ok(joined(&pieces, secret))
    }

    /// The hooks whose functions expressions can call.
    pub fn hooks_in_use(&self) -> Option<&Hooks> {
        self.hooks.as_ref()
    }

    /// Calls a function of hooks.rhai. `None` when it has none of that name. Blocks, also while actions run;
    /// `calls` is used on this thread.
    ///
    /// # Errors
    /// What went wrong, at its place in hooks.rhai; also a wrong number of arguments.
    pub fn call_hook(
        &self,
        hooks: &Hooks,
        name: &str,
        args: Vec<Value>,
        calls: &dyn HostCalls,
        cancel: &Cancel,
    ) -> Result<Option<Value>, ScriptError> {
        let Some(function) = hooks.0.functions.iter().find(|function| function.name == name) else {
            return Ok(None);
        };
        if !hooks.0.defined.contains(&(name.to_owned(), args.len())) {
            let message = format!(
                "the hook `{name}` must take {} parameters, it takes {}",
                args.len(),
                function.params.len()
            );
            return Err(ScriptError { message, span: function.span.clone() });
        }
        let args: Vec<Dynamic> = args.iter().map(convert::to_dynamic).collect();
        let options = CallFnOptions::new().eval_ast(false);
        let result = session::serve(calls, |requests| {
            self.bounded(cancel, Some(requests), || {
                let ast = &hooks.0.ast;
                self.inner.engine.call_fn_with_options::<Dynamic>(options, &mut Scope::new(), ast, name, args)
            })
        });
        outcome(result.unwrap_or_else(no_thread), &hooks.0.text, hooks.0.as_ref()).map(Some).map_err(
            |mut error| {
                if error.span == hooks.0.text.whole() {
                    error.span = function.span.clone();
                }
                error
            },
        )
    }

    /// Runs a `script:` step and returns the value of its last statement. Blocks, also while actions run; `calls`
    /// is used on this thread.
    ///
    /// # Errors
    /// What went wrong, at its place.
    pub fn run_script(
        &self,
        script: &Script,
        scope: &Map,
        calls: &dyn HostCalls,
        cancel: &Cancel,
    ) -> Result<Value, ScriptError> {
        let inner = &script.0;
        if let Some(unknown) = unknown::read(&inner.names, scope).filter(|_| inner.goes_on) {
            return Err(unknown);
        }
        let result = session::serve(calls, |requests| {
            let mut variables = all_variables(scope);
            self.bounded(cancel, Some(requests), || {
                self.inner.engine.eval_ast_with_scope::<Dynamic>(&mut variables, &inner.ast)
            })
        });
        outcome(result.unwrap_or_else(no_thread), &inner.text, inner.as_ref())
            .map_err(|error| unknown::named(error, &inner.names, scope))
    }

    /// Runs a script that gets functions of its own (see [`ScriptHost::script_with`]) but no actions. Blocks.
    ///
    /// # Errors
    /// What went wrong, at its place.
    pub fn run_with(
        &self,
        script: &Script,
        scope: &Map,
        natives: &[NativeFn],
        cancel: &Cancel,
    ) -> Result<Value, ScriptError> {
        let inner = &script.0;
        let engine = engine::build(&self.inner.limits, &self.inner.functions, &self.inner.library, natives);
        let mut variables = all_variables(scope);
        let work = || engine.eval_ast_with_scope::<Dynamic>(&mut variables, &inner.ast);
        let result = self.bounded(cancel, None, work);
        outcome(result, &inner.text, inner.as_ref())
    }

    /// Runs the engine within the limits and with panics contained.
    fn bounded(
        &self,
        cancel: &Cancel,
        requests: Option<Sender<Request>>,
        work: impl FnOnce() -> Evaluated,
    ) -> Evaluated {
        let wall = self.inner.limits.wall;
        let (result, raised) = session::run(wall, cancel, requests, || session::contain(work));
        match raised {
            Some((message, position)) => Err(Box::new(EvalAltResult::ErrorRuntime(message.into(), position))),
            None => result.unwrap_or_else(|why| Err(engine::failure(why))),
        }
    }
}

impl std::fmt::Debug for ScriptHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptHost").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

fn no_thread() -> Evaluated {
    Err(engine::failure("the script's thread could not be started or ended unexpectedly"))
}

fn outcome(result: Evaluated, text: &SourceText, sources: &dyn error::Sources) -> Result<Value, ScriptError> {
    match result {
        Ok(value) => {
            convert::from_dynamic(&value).map_err(|message| ScriptError { message, span: text.whole() })
        }
        Err(problem) => Err(error::script_error(&problem, text, sources)),
    }
}

/// A scope that only says which variables exist.
fn declared(names: &[&str]) -> Scope<'static> {
    let mut scope = Scope::new();
    for name in names {
        scope.push_dynamic((*name).to_owned(), Dynamic::UNIT);
    }
    scope
}

fn all_variables(scope: &Map) -> Scope<'static> {
    let mut variables = Scope::new();
    for (name, value) in scope {
        variables.push_dynamic(name.clone(), convert::to_dynamic(value));
    }
    variables
}

/// Joins the pieces of a template; the buffer has its full size from the start, so that no copy of a secret stays
/// behind in freed memory.
fn joined(pieces: &[Secret], secret: bool) -> Value {
    let mut bytes = Vec::with_capacity(pieces.iter().map(|piece| piece.expose().len()).sum());
    for piece in pieces {
        bytes.extend_from_slice(piece.expose());
    }
    if secret {
        Value::Secret(Secret::new(bytes))
    } else {
        Value::Text(String::from_utf8_lossy(&bytes).into_owned())
    }
}
