//! Comparisons that do not hide mistakes: Rhai says that `1 == "1"` is false and `"10" > 5` too; here both are
//! errors. Only null may be compared with anything.

use crate::convert::{Absent, Sealed, UNKNOWN_VALUE};
use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Position};
use std::cmp::Ordering;

type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// Registers `==`, `!=`, `<`, `<=`, `>` and `>=` for all types.
pub(crate) fn register(engine: &mut Engine) {
    engine.register_fn("==", |a: Dynamic, b: Dynamic| equal(&a, &b));
    engine.register_fn("!=", |a: Dynamic, b: Dynamic| equal(&a, &b).map(|same| !same));
    engine.register_fn("<", |a: Dynamic, b: Dynamic| order(&a, &b).map(|o| o == Some(Ordering::Less)));
    engine.register_fn(">", |a: Dynamic, b: Dynamic| order(&a, &b).map(|o| o == Some(Ordering::Greater)));
    engine.register_fn("<=", |a: Dynamic, b: Dynamic| order(&a, &b).map(|o| o.is_some_and(Ordering::is_le)));
    engine.register_fn(">=", |a: Dynamic, b: Dynamic| order(&a, &b).map(|o| o.is_some_and(Ordering::is_ge)));
}

fn fail<T>(message: String) -> Outcome<T> {
    Err(Box::new(EvalAltResult::ErrorRuntime(message.into(), Position::NONE)))
}

fn kind(value: &Dynamic) -> &'static str {
    if value.is_unit() {
        "null"
    } else if value.is_bool() {
        "bool"
    } else if value.is_int() {
        "int"
    } else if value.is_float() {
        "float"
    } else if value.is_string() || value.is_char() {
        "string"
    } else if value.is_array() {
        "list"
    } else if value.is_map() {
        "map"
    } else if value.is::<Sealed>() {
        "secret"
    } else if value.is::<Absent>() {
        UNKNOWN_VALUE
    } else {
        "function or range"
    }
}

fn text(value: &Dynamic) -> Option<ImmutableString> {
    value
        .as_char()
        .map(|letter| ImmutableString::from(letter.to_string()))
        .ok()
        .or_else(|| value.clone().try_cast())
}

fn equal(a: &Dynamic, b: &Dynamic) -> Outcome<bool> {
    if a.is_unit() || b.is_unit() {
        return Ok(a.is_unit() && b.is_unit());
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return Ok(a == b);
    }
    if let Some(order) = numbers(a, b) {
        return Ok(order == Some(Ordering::Equal));
    }
    if let (Some(a), Some(b)) = (text(a), text(b)) {
        return Ok(a == b);
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Sealed>(), b.read_lock::<Sealed>()) {
        return Ok(a.0 == b.0);
    }
    if let (Some(a), Some(b)) = (a.read_lock::<rhai::Array>(), b.read_lock::<rhai::Array>()) {
        if a.len() != b.len() {
            return Ok(false);
        }
        return a.iter().zip(b.iter()).try_fold(true, |same, (a, b)| Ok(same && equal(a, b)?));
    }
    if let (Some(a), Some(b)) = (a.read_lock::<rhai::Map>(), b.read_lock::<rhai::Map>()) {
        if !a.keys().eq(b.keys()) {
            return Ok(false);
        }
        return a.values().zip(b.values()).try_fold(true, |same, (a, b)| Ok(same && equal(a, b)?));
    }
    fail(mixed(a, b))
}

fn mixed(a: &Dynamic, b: &Dynamic) -> String {
    if let Some(absent) = [a, b].into_iter().find_map(|side| side.read_lock::<Absent>()) {
        return absent.message();
    }
    format!("{} and {} cannot be compared; convert one of them first", kind(a), kind(b))
}

/// How two numbers compare; `None` when one of them is no number.
fn numbers(a: &Dynamic, b: &Dynamic) -> Option<Option<Ordering>> {
    match (a.as_int(), b.as_int(), a.as_float(), b.as_float()) {
        (Ok(a), Ok(b), ..) => Some(Some(a.cmp(&b))),
        (_, _, Ok(a), Ok(b)) => Some(a.partial_cmp(&b)),
        (Ok(a), _, _, Ok(b)) => Some(mixed_numbers(a, b)),
        (_, Ok(b), Ok(a), _) => Some(mixed_numbers(b, a).map(Ordering::reverse)),
        _ => None,
    }
}

/// A whole number against a float, exactly: the float is cut to its whole part first.
fn mixed_numbers(a: i64, b: f64) -> Option<Ordering> {
    const TOO_LARGE: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() {
        return None;
    }
    if b >= TOO_LARGE {
        return Some(Ordering::Less);
    }
    if b < -TOO_LARGE {
        return Some(Ordering::Greater);
    }
    // Exact: the value lies within i64 and its fraction is cut.
    #[allow(clippy::cast_possible_truncation)]
    let whole = b.trunc() as i64;
    Some(a.cmp(&whole).then_with(|| 0.0.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal)))
}

fn order(a: &Dynamic, b: &Dynamic) -> Outcome<Option<Ordering>> {
    if let Some(order) = numbers(a, b) {
        return Ok(order);
    }
    if let (Some(a), Some(b)) = (text(a), text(b)) {
        return Ok(Some(a.as_str().cmp(b.as_str())));
    }
    if kind(a) == kind(b) && !a.is::<Absent>() {
        return fail(format!("a {} is neither greater nor less than another", kind(a)));
    }
    fail(mixed(a, b))
}
