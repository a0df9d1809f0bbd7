//! What unquoted scalars mean: `serde_yaml` decides.

use crate::node::NodeValue;
use serde_yaml::Value as Yaml;

/// What an unquoted scalar without a tag is; `None` for text.
pub(crate) enum Plain {
    Text,
    Value(NodeValue),
    /// A whole number beyond 64 bits.
    TooLarge,
}

/// Types an unquoted scalar as `serde_yaml` does. It makes a parser for each: only words that can be something else than text
/// are shown to it, and of those not the plainest.
pub(crate) fn plain(text: &str) -> Plain {
    plainest(text).unwrap_or_else(|| asked(text))
}

fn plainest(text: &str) -> Option<Plain> {
    if !may_be_typed(text) {
        return Some(if text.is_empty() { Plain::Value(NodeValue::Null) } else { Plain::Text });
    }
    let value = match text {
        "true" => NodeValue::Bool(true),
        "false" => NodeValue::Bool(false),
        "null" => NodeValue::Null,
        // A zero in front may mean another base.
        _ if text.starts_with('0') && text.len() > 1 || text.len() > 9 => return None,
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => NodeValue::Int(text.parse().ok()?),
        _ => return None,
    };
    Some(Plain::Value(value))
}

fn asked(text: &str) -> Plain {
    match serde_yaml::from_str::<Yaml>(text) {
        Ok(Yaml::Null) => Plain::Value(NodeValue::Null),
        Ok(Yaml::Bool(truth)) => Plain::Value(NodeValue::Bool(truth)),
        Ok(Yaml::Number(number)) => match number.as_i64() {
            Some(whole) => Plain::Value(NodeValue::Int(whole)),
            None if number.is_u64() => Plain::TooLarge,
            None => Plain::Value(NodeValue::Float(number.as_f64().unwrap_or(f64::NAN))),
        },
        Ok(_) => Plain::Text,
        // It refuses numbers beyond 64 bits only after it saw that they are whole numbers.
        Err(_) if text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit()) => {
            Plain::TooLarge
        }
        Err(_) => Plain::Text,
    }
}

fn may_be_typed(text: &str) -> bool {
    const LONGEST: usize = 512;
    /// `false` is the longest word.
    const LONGEST_WORD: usize = 5;
    let longest = if text.starts_with(|c: char| c.is_ascii_alphabetic()) { LONGEST_WORD } else { LONGEST };
    text.len() <= longest
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'~'))
        && text.starts_with(|c: char| {
            c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '~' | 't' | 'T' | 'f' | 'F' | 'n' | 'N')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> String {
        shown(plain(text))
    }

    fn shown(plain: Plain) -> String {
        match plain {
            Plain::Text => "text".to_owned(),
            Plain::TooLarge => "too large".to_owned(),
            Plain::Value(value) => format!("{value:?}"),
        }
    }

    #[test]
    fn serde_yaml_decides() {
        for (text, meaning) in [
            ("true", "Bool(true)"),
            ("False", "Bool(false)"),
            ("yes", "text"),
            ("on", "text"),
            ("~", "Null"),
            ("", "Null"),
            ("null", "Null"),
            ("0644", "text"),
            ("0o644", "Int(420)"),
            ("0x1F", "Int(31)"),
            ("-7", "Int(-7)"),
            ("1e3", "Float(1000.0)"),
            (".inf", "Float(inf)"),
            ("12:30", "text"),
            ("1.2.3", "text"),
            ("9223372036854775807", "Int(9223372036854775807)"),
            ("9223372036854775808", "too large"),
            ("99999999999999999999", "too large"),
            ("-", "text"),
            ("nul", "text"),
        ] {
            assert_eq!(name(text), meaning, "{text}");
        }
    }

    proptest::proptest! {
        /// The shortcuts agree with asking serde_yaml about each word.
        #[test]
        fn the_shortcuts_agree(text in "[-+.~0-9a-zA-Z_:/ ]{1,8}|[0-9]{1,11}|[tfnTFN][ruealsnULOAE]{2,6}|true|false|null|True|NULL") {
            let text = text.trim();
            let plain_document = !text.is_empty() && !text.starts_with(['-', ':']) && !text.starts_with("...") && !text.contains(": ")
                && !text.ends_with(':');
            if plain_document {
                proptest::prop_assert_eq!(name(text), shown(asked(text)), "{}", text);
            }
        }
    }
}
