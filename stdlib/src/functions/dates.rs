//! Dates: RFC 3339 text, or a certificate where its end is meant.

use super::{arg, certificates::one};
use keybook_api::Value;
use keybook_pki::{parse_rfc3339, rfc3339};
use keybook_script::Function;

pub const DAYS_UNTIL: Function = Function {
    name: "days_until",
    params: &["date", "now"],
    doc: "Whole days from `now` to a date, or to a certificate's end; negative when it has passed.",
    returns: "int",
    example: "days_until(\"2023-03-10T10:30:00Z\", \"2023-03-01T10:30:00Z\") == 9 && \
days_until(\"2023-03-01T00:00:00Z\", \"2023-03-01T00:00:01Z\") == -1 && leaf.days_until(leaf.not_after) == 0",
    call: |args| {
        let left = end(arg(args, 0))?.saturating_sub(date(arg(args, 1))?);
        Ok(Value::Int(left.div_euclid(86_400)))
    },
};

pub const EXPIRED_AT: Function = Function {
    name: "expired_at",
    params: &["certificate", "date"],
    doc: "Has the certificate ended before this time?",
    returns: "bool",
    example: "leaf.expired_at(\"9999-01-01T00:00:00Z\") && !leaf.expired_at(leaf.not_after)",
    call: |args| Ok((one(arg(args, 0))?.not_after() < date(arg(args, 1))?).into()),
};

pub const LATER: Function = Function {
    name: "later",
    params: &["a", "b"],
    doc: "The later of two dates; of a certificate its end counts.",
    returns: "RFC 3339 text in UTC.",
    example: "later(\"2023-01-01T00:00:00Z\", \"2023-01-01T08:00:00+09:00\") == \"2023-01-01T00:00:00Z\" && \
later(old_ca, new_ca) == new_ca.not_after",
    call: |args| Ok(rfc3339(end(arg(args, 0))?.max(end(arg(args, 1))?)).into()),
};

/// A date as text.
pub fn date(value: &Value) -> Result<i64, String> {
    match value {
        Value::Text(text) => parse_rfc3339(text).map_err(|error| error.to_string()),
        other => Err(format!("expected a date such as 2031-05-06T07:08:09Z, got {}", other.type_name())),
    }
}

/// A date as text, or a certificate's end.
fn end(value: &Value) -> Result<i64, String> {
    match value {
        Value::Map(_) => one(value).map(|certificate| certificate.not_after()),
        other => date(other),
    }
}
