//! [`Value`] ↔ Rhai's `Dynamic`.

use keybook_api::{Map, Secret, Value};
use rhai::{Dynamic, ImmutableString};
use std::ops::{Range, RangeInclusive};

/// A secret inside Rhai: an opaque type without any function that shows it.
#[derive(Clone)]
pub(crate) struct Sealed(pub Secret);

/// A value inside Rhai that cannot be had, and why: no function takes it.
#[derive(Clone)]
pub(crate) struct Absent(pub String);

/// What is said of a value that there is and that nobody has.
pub(crate) const CANNOT: &str = "cannot be had";

/// The name of its type.
pub(crate) const UNKNOWN_VALUE: &str = "unknown value";

impl Absent {
    /// What it answers to every use.
    pub fn message(&self) -> String {
        format!("a part of this {CANNOT}: {}", self.0)
    }
}

/// Most items that a range becomes when it is returned as a list.
const LONGEST_RANGE: i64 = 100_000;

/// A value for Rhai. Maps lose the order of their keys, which Rhai sorts by name.
pub(crate) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(truth) => Dynamic::from_bool(*truth),
        Value::Int(number) => Dynamic::from_int(*number),
        Value::Float(number) => Dynamic::from_float(*number),
        Value::Text(text) => Dynamic::from(ImmutableString::from(text.as_str())),
        Value::List(list) => Dynamic::from_array(list.iter().map(to_dynamic).collect()),
        Value::Map(map) => {
            Dynamic::from_map(map.iter().map(|(key, item)| (key.as_str().into(), to_dynamic(item))).collect())
        }
        Value::Secret(secret) => Dynamic::from(Sealed(secret.clone())),
        Value::Unknown(why) => Dynamic::from(Absent(why.clone())),
    }
}

/// A value from Rhai. The error names what cannot be one (functions, bytes).
pub(crate) fn from_dynamic(dynamic: &Dynamic) -> Result<Value, String> {
    if dynamic.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(truth) = dynamic.as_bool() {
        return Ok(Value::Bool(truth));
    }
    if let Ok(number) = dynamic.as_int() {
        return Ok(Value::Int(number));
    }
    if let Ok(number) = dynamic.as_float() {
        return Ok(Value::Float(number));
    }
    if let Ok(letter) = dynamic.as_char() {
        return Ok(Value::Text(letter.to_string()));
    }
    if let Some(text) = dynamic.read_lock::<ImmutableString>() {
        return Ok(Value::Text(text.to_string()));
    }
    if let Some(list) = dynamic.read_lock::<rhai::Array>() {
        return list.iter().map(from_dynamic).collect::<Result<Vec<_>, _>>().map(Value::List);
    }
    if let Some(map) = dynamic.read_lock::<rhai::Map>() {
        let entries = map.iter().map(|(key, item)| Ok((key.to_string(), from_dynamic(item)?)));
        return entries.collect::<Result<Map, String>>().map(Value::Map);
    }
    if let Some(secret) = dynamic.read_lock::<Sealed>() {
        return Ok(Value::Secret(secret.0.clone()));
    }
    if let Some(absent) = dynamic.read_lock::<Absent>() {
        return Err(absent.message());
    }
    if let Some(range) = dynamic.read_lock::<Range<i64>>() {
        return list_of(range.start, range.end.saturating_sub(1));
    }
    if let Some(range) = dynamic.read_lock::<RangeInclusive<i64>>() {
        return list_of(*range.start(), *range.end());
    }
    Err(format!("this is a {}, not a value", type_word(dynamic.type_name())))
}

fn list_of(first: i64, last: i64) -> Result<Value, String> {
    if last.saturating_sub(first) >= LONGEST_RANGE {
        return Err(format!("the range has more than {LONGEST_RANGE} items"));
    }
    Ok(Value::List((first..=last).map(Value::Int).collect()))
}

/// Keybook's word for a type that Rhai names.
pub(crate) fn type_word(name: &str) -> &str {
    match name.trim() {
        "()" => "null",
        "i64" | "INT" => "int",
        "f64" | "FLOAT" => "float",
        "array" | "Array" | "alloc::vec::Vec<rhai::types::dynamic::Dynamic>" => "list",
        "char" => "character",
        "Fn" | "FnPtr" => "function",
        "blob" | "Blob" => "blob of bytes",
        "Map" | "map" => "map",
        other if other.contains("Sealed") => "secret",
        other if other.contains("Absent") => UNKNOWN_VALUE,
        other if other.contains("str") || other.contains("String") => "string",
        other if other.contains("Range") => "range",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybook_api::value::map;

    #[test]
    fn values_come_back_as_they_went() {
        let value = Value::Map(map([
            ("a", Value::List(vec![Value::Null, Value::Bool(true), Value::Int(i64::MIN), Value::Float(0.5)])),
            ("b", Value::Text("ü".into())),
            ("c", Value::Secret(Secret::new("k"))),
        ]));
        assert_eq!(from_dynamic(&to_dynamic(&value)).unwrap(), value);
    }

    #[test]
    fn what_is_no_value_is_named() {
        let function = Dynamic::from(rhai::FnPtr::new("f").unwrap());
        assert_eq!(from_dynamic(&function).unwrap_err(), "this is a function, not a value");
        assert_eq!(from_dynamic(&Dynamic::from(1i64..3)).unwrap().to_string(), "[1,2]");
        assert!(from_dynamic(&Dynamic::from(i64::MIN..i64::MAX)).is_err());
    }
}
