//! The book's page of messages quotes only what the program can print.
#![allow(clippy::unwrap_used, clippy::panic)]

use keybook_tests::cli::root;
use std::{fs, path::Path};

/// The source text of a folder, without tests, each run of white space as one space.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if path.is_dir() && !matches!(name.as_str(), "tests" | "testing") {
            sources(&path, into);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn troubleshooting_quotes_messages_that_exist() {
    let mut code = String::new();
    for folder in ["interpreter", "stdlib/src"] {
        sources(&root().join(folder), &mut code);
    }
    let page = fs::read_to_string(root().join("book/src/troubleshooting.md")).unwrap();
    let quoted: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(quoted.len() > 15, "{quoted:?}");
    for heading in quoted {
        let message = heading
            .strip_prefix('`')
            .and_then(|rest| rest.strip_suffix('`'))
            .unwrap_or_else(|| panic!("{heading}"));
        for fixed in message
            .split('…')
            .map(|part| part.trim_end_matches([':', ' ']).trim())
            .filter(|part| !part.is_empty())
        {
            assert!(code.contains(fixed), "no message of the program has `{fixed}` ({heading})");
        }
    }
}
