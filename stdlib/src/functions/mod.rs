//! Functions that expressions and scripts can call: pure, from values to a value. Those in Rhai are in `stdlib/rhai/`.

mod certificates;
mod dates;
#[cfg(test)]
mod tests;
mod text;

use keybook_api::Value;
use keybook_script::{Function, LibraryFile, Limits, ScriptHost};

/// Every function of the standard library, in the order of the reference.
fn functions() -> Vec<Function> {
    vec![
        certificates::VERIFIES,
        certificates::VERIFIES_AT,
        certificates::COVERS,
        certificates::SANS_MISSING,
        certificates::SAME_KEY,
        certificates::CERTIFICATE,
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

/// The functions that are written in Rhai.
const LIBRARY: [LibraryFile; 3] = [
    LibraryFile { name: "keybook/versions.rhai", text: include_str!("../../rhai/versions.rhai") },
    LibraryFile { name: "keybook/names.rhai", text: include_str!("../../rhai/names.rhai") },
    LibraryFile { name: "keybook/dates.rhai", text: include_str!("../../rhai/dates.rhai") },
];

/// A host for expressions and scripts with every function of the standard library, those in Rhai included.
pub fn script_host(limits: Limits) -> ScriptHost {
    let functions = functions();
    // The files are part of the program and a test compiles them; without them natives would still be there.
    ScriptHost::with_library(limits.clone(), &functions, &LIBRARY)
        .unwrap_or_else(|_| ScriptHost::new(limits, &functions))
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
