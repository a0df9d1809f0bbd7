//! The values a runbook handles: what YAML, Rhai and actions exchange.

use crate::Secret;
use indexmap::IndexMap;
use std::fmt;

/// An ordered map from text to values.
pub type Map = IndexMap<String, Value>;

/// One value.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// Nothing; `()` in Rhai, `null` in YAML.
    #[default]
    Null,
    /// true or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A map.
    Map(Map),
    /// A secret; it cannot be turned into text or JSON.
    Secret(Secret),
    /// A value that there is and that cannot be had, and why. Only expressions ever see it, and every use of it there
    /// fails: what cannot be known is never taken for nothing.
    Unknown(String),
}

/// What stands in JSON and text where a secret was.
pub const REDACTED: &str = "[secret]";

impl Value {
    /// The name of the value's type, as messages use it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Secret(_) => "secret",
            Self::Unknown(_) => "unknown value",
        }
    }

    /// The text, when it is text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, when it is whole.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The truth value, when it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The list, when it is one.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The map, when it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// A key of a map; `None` when it is no map or has no such key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// JSON for journals and reports. Every secret becomes `"[secret]"`, as does what was one and cannot be had any
    /// more; a float without a JSON form becomes null.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(truth) => Json::Bool(*truth),
            Self::Int(number) => Json::from(*number),
            Self::Float(number) => Json::from(*number),
            Self::Text(text) => Json::String(text.clone()),
            Self::List(list) => Json::Array(list.iter().map(Self::to_json).collect()),
            Self::Map(map) => {
                Json::Object(map.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
            Self::Secret(_) | Self::Unknown(_) => Json::String(REDACTED.to_owned()),
        }
    }

    /// A value from JSON. Whole numbers beyond 64 bits become floats.
    pub fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(list) => Self::List(list.iter().map(Self::from_json).collect()),
            Json::Object(map) => {
                Self::Map(map.iter().map(|(key, value)| (key.clone(), Self::from_json(value))).collect())
            }
        }
    }

    /// True when a secret stands anywhere inside.
    pub fn has_secret(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::List(list) => list.iter().any(Self::has_secret),
            Self::Map(map) => map.values().any(Self::has_secret),
            _ => false,
        }
    }

    /// The first value inside that cannot be had: the keys of the maps that lead to it, and why.
    pub fn unknown(&self) -> Option<(Vec<&str>, &str)> {
        match self {
            Self::Unknown(why) => Some((Vec::new(), why)),
            Self::List(list) => list.iter().find_map(Self::unknown),
            Self::Map(map) => map.iter().find_map(|(key, item)| {
                let (mut keys, why) = item.unknown()?;
                keys.insert(0, key);
                Some((keys, why))
            }),
            _ => None,
        }
    }
}

/// Text for messages and interpolation: text as it is, the rest as JSON, secrets as `[secret]`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(list: Vec<T>) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

/// Builds a [`Map`] from pairs.
pub fn map<const N: usize>(pairs: [(&str, Value); N]) -> Map {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_everything_but_secrets() {
        let value =
            Value::Map(map([("n", Value::Null), ("i", Value::Int(-3)), ("l", vec!["a", "b"].into())]));
        assert_eq!(Value::from_json(&value.to_json()), value);
        let secret = Value::List(vec![Value::Secret(Secret::new("k"))]);
        assert!(secret.has_secret());
        assert_eq!(secret.to_string(), "[\"[secret]\"]");
    }
}
