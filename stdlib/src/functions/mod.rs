//! Functions that expressions and scripts can call: pure, from values to a value.

mod certificates;
mod dates;
#[cfg(test)]
mod tests;
mod text;

use keybook_api::Value;
use keybook_script::Function;

/// Every function of the standard library, in the order of the reference.
pub fn functions() -> Vec<Function> {
    vec![
        certificates::VERIFIES,
        certificates::VERIFIES_AT,
        certificates::COVERS,
        certificates::SANS_MISSING,
        certificates::SAME_KEY,
        dates::DAYS_UNTIL,
        dates::EXPIRED_AT,
        dates::LATER,
        text::SHA256,
        text::BASENAME,
        text::DIRNAME,
        text::VERSION_AT_LEAST,
        text::IS_IP,
        text::UNIQUE,
        text::FLATTEN,
    ]
}

/// The argument at a place; the caller has counted them.
fn arg(args: &[Value], at: usize) -> &Value {
    args.get(at).unwrap_or(&Value::Null)
}

/// A text argument.
fn text_arg<'a>(args: &'a [Value], at: usize, what: &str) -> Result<&'a str, String> {
    let value = arg(args, at);
    value.as_str().ok_or_else(|| format!("expected {what}, got {}", value.type_name()))
}

/// A list argument.
fn list_arg(args: &[Value], at: usize) -> Result<&[Value], String> {
    let value = arg(args, at);
    value.as_list().ok_or_else(|| format!("expected a list, got {}", value.type_name()))
}
