//! Builds the Rhai engine: which packages it has, what is forbidden, how Keybook's functions get in.

use crate::{
    Function, Limits, NativeFn, compare,
    convert::{self, Absent, Sealed},
    library::Library,
    session,
};
use keybook_api::Value;
use rhai::{
    Dynamic, Engine, EvalAltResult, ImmutableString, NativeCallContext, OptimizationLevel, Position,
    packages::{
        BasicArrayPackage, BasicMapPackage, BasicMathPackage, CorePackage, LogicPackage, MoreStringPackage,
        Package,
    },
};
use std::any::TypeId;

pub(crate) type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// How deep expressions may nest. Parsing and evaluation recurse; this stays below a 2 MiB stack in debug builds.
const EXPRESSION_DEPTH: usize = 32;

/// What a secret answers to everything that would show it.
pub(crate) const SECRET_TEXT: &str =
    "a secret cannot become text here; use it alone, or in a template as \"…${name}…\"";

/// An error with a message and no place yet; Rhai fills in the place of the call.
pub(crate) fn failure(message: impl Into<String>) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(message.into().into(), Position::NONE))
}

/// A new engine with the given functions. `natives` belong to one script, `functions` and `library` to the host.
pub(crate) fn build(
    limits: &Limits,
    functions: &[Function],
    library: &Library,
    natives: &[NativeFn],
) -> Engine {
    let mut engine = Engine::new_raw();
    for package in [
        CorePackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
    ] {
        engine.register_global_module(package);
    }
    configure(&mut engine, limits);
    compare::register(&mut engine);
    forbid(&mut engine);
    seal(&mut engine);
    opaque(&mut engine, convert::UNKNOWN_VALUE, Absent::message);
    calls(&mut engine);
    for function in functions {
        native(&mut engine, function.name, function.params.len(), function.call);
    }
    library.register(&mut engine);
    for function in natives {
        let call = function.call.clone();
        native(&mut engine, &function.name, function.arity, move |args| call(args));
    }
    engine
}

fn configure(engine: &mut Engine, limits: &Limits) {
    engine
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        // Rhai's built-in operators would hide ours for the types it knows.
        .set_fast_operators(false)
        .set_optimization_level(OptimizationLevel::None)
        .set_max_operations(limits.operations)
        .set_max_call_levels(limits.depth)
        .set_max_expr_depths(EXPRESSION_DEPTH, EXPRESSION_DEPTH)
        .set_max_string_size(limits.string_size)
        .set_max_array_size(limits.array_size)
        .set_max_map_size(limits.map_size)
        .set_max_modules(0)
        .disable_symbol("eval")
        .disable_symbol("import")
        .disable_symbol("export")
        .on_progress(session::progress)
        .on_print(session::note)
        .on_debug(|_, _, _| {});
}

/// Makes an engine say which keys a map has when one is missing. Rhai then refuses assignments to new keys too
/// (`m.x = 1`), so this engine only repeats what failed, to explain it.
pub(crate) fn explain(engine: &mut Engine) {
    engine.on_map_missing_property(|map, key, _| {
        let known: Vec<String> = map.keys().map(|key| format!("`{key}`")).collect();
        let advice = match keybook_source::suggest(key, map.keys().map(|key| key.as_str())) {
            Some(advice) => advice,
            None if known.is_empty() => "the map is empty".to_owned(),
            None => format!("it has {}", shortened(&known)),
        };
        Err(failure(format!("{}; {advice}", missing_key(key))))
    });
}

/// The message for a key that a map does not have.
pub(crate) fn missing_key(key: &str) -> String {
    format!("the map has no key `{key}`")
}

/// A list that stays readable.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

/// Functions of Rhai's packages that reach outside or stop the thread.
pub(crate) const FORBIDDEN: [(&str, &str); 4] = [
    ("sleep", "use the action `wait.for`"),
    ("exit", "end with the value instead"),
    ("timestamp", "scripts have no clock; use a fact or an input"),
    ("get_fn_metadata_list", "scripts cannot look at themselves"),
];

/// Registered too, because function pointers reach what the check of the source does not see.
fn forbid(engine: &mut Engine) {
    let refuse =
        |name: &'static str| move || Outcome::<()>::Err(failure(format!("`{name}` is not available")));
    for (name, _) in FORBIDDEN {
        engine.register_fn(name, refuse(name));
        let one = refuse(name);
        engine.register_fn(name, move |_: Dynamic| one());
    }
    // The exact types of the package's own versions, which are found before `Dynamic`.
    for name in ["sleep", "get_fn_metadata_list"] {
        let (int, float, text) = (refuse(name), refuse(name), refuse(name));
        engine.register_fn(name, move |_: i64| int());
        engine.register_fn(name, move |_: f64| float());
        engine.register_fn(name, move |_: ImmutableString| text());
    }
    engine.register_fn("get_fn_metadata_list", |_: ImmutableString, _: i64| {
        Outcome::<()>::Err(failure("`get_fn_metadata_list` is not available"))
    });
}

/// Makes secrets opaque: whatever would show one fails.
fn seal(engine: &mut Engine) {
    opaque(engine, "secret", |_: &Sealed| SECRET_TEXT.to_owned());
    engine.register_fn("to_json", |map: rhai::Map| match convert::from_dynamic(&Dynamic::from_map(map)) {
        Ok(value) if value.has_secret() => Err(failure(SECRET_TEXT)),
        Ok(value) => Ok(value.to_json().to_string()),
        Err(why) => Err(failure(why)),
    });
}

/// A type whose every use as text, or as a part of one, fails with what it answers.
fn opaque<T: Clone + Send + Sync + 'static>(
    engine: &mut Engine,
    name: &'static str,
    answer: impl Fn(&T) -> String + Copy + Send + Sync + 'static,
) {
    engine.register_type_with_name::<T>(name);
    for name in ["to_string", "to_debug", "print", "debug"] {
        // Rhai swallows errors of these while it formats text, so the evaluation is ended from outside.
        engine.register_fn(name, move |context: NativeCallContext, hidden: T| {
            session::raise(&answer(&hidden), context.call_position());
            Outcome::<ImmutableString>::Err(failure(answer(&hidden)))
        });
    }
    let refuse = move |hidden: &T| Outcome::<Dynamic>::Err(failure(answer(hidden)));
    for name in ["+", "+=", "-", "contains", "append", "split", "index_of", "starts_with", "ends_with"] {
        engine.register_fn(name, move |_: ImmutableString, hidden: T| refuse(&hidden));
        engine.register_fn(name, move |hidden: T, _: ImmutableString| refuse(&hidden));
        engine.register_fn(name, move |hidden: T, _: T| refuse(&hidden));
    }
    for name in ["len", "chars", "bytes", "to_json", "to_blob", "to_upper", "to_lower", "trim", "is_empty"] {
        engine.register_fn(name, move |hidden: T| refuse(&hidden));
    }
}

/// `act`, `note` and `secret`.
fn calls(engine: &mut Engine) {
    fn act(action: &str, args: &rhai::Map) -> Outcome<Dynamic> {
        let result = session::args_of(args).and_then(|args| session::act(action, args));
        if session::cancelled() {
            return Err(Box::new(EvalAltResult::ErrorTerminated(session::CANCELLED.into(), Position::NONE)));
        }
        result.map(|value| convert::to_dynamic(&value)).map_err(failure)
    }
    engine.register_fn("act", |action: ImmutableString, args: rhai::Map| act(&action, &args));
    engine.register_fn("act", |action: ImmutableString| act(&action, &rhai::Map::new()));
    engine.register_fn("secret", |name: ImmutableString| {
        session::secret(&name).map(|value| convert::to_dynamic(&value)).map_err(failure)
    });
    engine.register_fn("note", |text: Dynamic| match convert::from_dynamic(&text) {
        Ok(value) if value.has_secret() => Err(failure(SECRET_TEXT)),
        Ok(value) => {
            session::note(&value.to_string());
            Ok(())
        }
        Err(why) => Err(failure(why)),
    });
}

/// Registers a function over [`Value`]s, for `f(a, b)` and `a.f(b)`. A panic in it becomes an error.
fn native(
    engine: &mut Engine,
    name: &str,
    arity: usize,
    call: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'static,
) {
    let label = name.to_owned();
    engine.register_raw_fn(name, vec![TypeId::of::<Dynamic>(); arity], move |_context, args| {
        let mut values = Vec::with_capacity(args.len());
        for (number, arg) in args.iter().enumerate() {
            let value = convert::from_dynamic(arg)
                .map_err(|why| failure(format!("`{label}`, argument {}: {why}", number + 1)))?;
            values.push(value);
        }
        let result = session::contain(|| call(&values)).and_then(|result| result);
        result.map(|value| convert::to_dynamic(&value)).map_err(|why| failure(format!("`{label}`: {why}")))
    });
}
