//! What the sources of the program say of themselves.

use crate::cli::root;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Functions that pass a code on to `Diagnostic::error` or `Diagnostic::warning`, with the file that has them. Calls of
/// these count as well. A file with another such function is a failure of [`diagnostic_codes`].
const HELPERS: &[(&str, &[&str])] = &[
    ("interpreter/source/src/tree.rs", &["self.fail("]),
    ("interpreter/script/src/check.rs", &["error("]),
    // The code and the word for what is named, as one argument.
    ("interpreter/core/src/model/decode/i18n.rs", &["advised(", "("]),
];

/// Every code of a diagnostic that the sources can report.
pub fn diagnostic_codes() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for folder in ["interpreter", "stdlib"] {
        for file in rust_files(&root().join(folder)) {
            let name = file.strip_prefix(root()).expect("in the checkout").display().to_string();
            let text = fs::read_to_string(&file).expect("a source file");
            // Tests stand at the end of a file.
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            codes.extend(codes_of(&name, text));
        }
    }
    codes
}

fn codes_of(name: &str, text: &str) -> BTreeSet<String> {
    let helpers = HELPERS.iter().find(|(file, _)| *file == name).map_or(&[][..], |(_, helpers)| helpers);
    let mut codes = BTreeSet::new();
    for call in ["Diagnostic::error(", "Diagnostic::warning("] {
        for (at, _) in text.match_indices(call) {
            let code = literal(&text[at + call.len()..]);
            assert!(
                code.is_some() || !helpers.is_empty(),
                "{name} passes a code on: name the function in tests/src/sources.rs"
            );
            codes.extend(code);
        }
    }
    for helper in helpers {
        for (at, _) in text.match_indices(helper) {
            let found = literal(&text[at + helper.len()..]);
            codes.extend(found.filter(|code| code.contains('-')));
        }
    }
    codes
}

/// The code that an argument list begins with.
fn literal(arguments: &str) -> Option<String> {
    let code = arguments.trim_start().strip_prefix('"')?.split('"').next()?;
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    (!code.is_empty() && code.chars().all(fits)).then(|| code.to_owned())
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the sources").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "tests" {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && name != "tests.rs" {
            found.push(path);
        }
    }
    found
}
