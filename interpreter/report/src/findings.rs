//! Diagnostics of source files for programs: JSON of our own, and SARIF.

use keybook_api::{Diagnostic, Severity};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The version of [`json`]'s form.
const VERSION: u32 = 1;

/// One JSON document: `{"v": 1, "errors": N, "warnings": N, "problems": […], "valid": […]}`. Lines and columns count
/// from 1, columns and lengths in characters.
pub fn json(problems: &[Diagnostic], valid: &[(String, String)]) -> String {
    let count = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let valid: Vec<Value> = valid.iter().map(|(name, what)| json!({ "path": name, "is": what })).collect();
    let document = json!({
        "v": VERSION,
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "problems": problems,
        "valid": valid,
    });
    format!("{document:#}")
}

/// A SARIF 2.1.0 log with one run (OASIS, Static Analysis Results Interchange Format).
pub fn sarif(problems: &[Diagnostic], program_version: &str) -> String {
    let rules: BTreeSet<&str> = problems.iter().map(|problem| problem.code).collect();
    let rules: Vec<Value> = rules.into_iter().map(|code| json!({ "id": code })).collect();
    let results: Vec<Value> = problems.iter().map(result).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "keybook", "version": program_version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}")
}

fn result(problem: &Diagnostic) -> Value {
    let level = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let parts = [Some(problem.message.as_str()), Some(problem.label.as_str()), problem.help.as_deref()];
    let text: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    let span = &problem.span;
    json!({
        "ruleId": problem.code,
        "level": level,
        "message": { "text": text.join("; ") },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&span.file) },
                "region": {
                    "startLine": span.line,
                    "startColumn": span.column,
                    "endColumn": span.column.saturating_add(span.length),
                },
            },
        }],
    })
}

/// A file's name as a URI reference (RFC 3986): what is not unreserved or a slash is escaped.
fn uri(file: &str) -> String {
    let mut out = String::new();
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use keybook_api::Span;

    fn problem() -> Diagnostic {
        let span = Span::new("my book/runbook.yaml", 3, 5, 4);
        Diagnostic::error("unknown-key", "a runbook has no key `stpes`", span).help("did you mean `steps`?")
    }

    #[test]
    fn json_counts_and_lists() {
        let text = json(&[problem()], &[("x".to_owned(), "inventory of c".to_owned())]);
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["v"], &read["errors"], &read["warnings"]), (&1.into(), &1.into(), &0.into()));
        assert_eq!(read["problems"][0]["code"], "unknown-key");
        assert_eq!(read["problems"][0]["span"]["line"], 3);
        assert_eq!(read["valid"][0]["is"], "inventory of c");
    }

    #[test]
    fn sarif_has_rule_place_and_whole_message() {
        let read: Value = serde_json::from_str(&sarif(&[problem(), problem()], "1.2.3")).unwrap();
        let run = &read["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 1);
        let result = &run["results"][1];
        assert_eq!((&result["ruleId"], &result["level"]), (&"unknown-key".into(), &"error".into()));
        assert_eq!(result["message"]["text"], "a runbook has no key `stpes`; did you mean `steps`?");
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20book/runbook.yaml");
        assert_eq!((&place["region"]["startColumn"], &place["region"]["endColumn"]), (&5.into(), &9.into()));
    }
}
