//! Conventions of the whole tree, held by tests rather than by review.
#![allow(clippy::unwrap_used, clippy::panic)]

use keybook_tests::cli::root;
use serde_json::Value;
use std::{collections::BTreeSet, process::Command};

/// Which of our crates each of our crates may depend on (see the decision 0002 in the book).
const ARROWS: &[(&str, &[&str])] = &[
    ("keybook-api", &[]),
    ("keybook-source", &["keybook-api"]),
    ("keybook-script", &["keybook-api", "keybook-source"]),
    ("keybook-pki", &["keybook-api"]),
    ("keybook-core", &["keybook-api", "keybook-script", "keybook-source"]),
    ("keybook-targets", &["keybook-api", "keybook-pki", "keybook-script", "keybook-source"]),
    ("keybook-stdlib", &["keybook-api", "keybook-pki", "keybook-script", "keybook-source"]),
    ("keybook-report", &["keybook-api"]),
];

#[test]
fn crates_depend_only_on_those_below_them() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (name, allowed) in ARROWS {
        let package = metadata["packages"].as_array().unwrap().iter().find(|p| p["name"] == *name);
        let package = package.unwrap_or_else(|| panic!("there is no crate {name}"));
        let used: BTreeSet<&str> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|dependency| dependency.starts_with("keybook-"))
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert!(used.is_subset(&allowed), "{name} depends on {:?}", used.difference(&allowed));
    }
}

fn tracked(ending: &str) -> Vec<std::path::PathBuf> {
    let output = Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "the tree must be a git checkout");
    let files = String::from_utf8(output.stdout).unwrap();
    files.lines().filter(|file| file.ends_with(ending)).map(|file| root().join(file)).collect()
}

#[test]
fn no_source_file_is_longer_than_600_lines() {
    let files = tracked(".rs");
    assert!(files.len() > 50, "only {} files were found", files.len());
    for file in files.iter().filter(|file| file.exists()) {
        let lines = std::fs::read_to_string(file).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines", file.display());
    }
}

#[test]
fn every_page_of_the_book_is_in_its_summary_and_every_link_leads_somewhere() {
    let source = root().join("book/src");
    let summary = std::fs::read_to_string(source.join("SUMMARY.md")).unwrap();
    for file in tracked(".md").iter().filter(|file| file.starts_with(&source) && file.exists()) {
        let name = file.strip_prefix(&source).unwrap().to_str().unwrap().to_owned();
        assert!(
            name == "SUMMARY.md" || summary.contains(&format!("({name})")),
            "{name} is not in the summary"
        );
        let text = std::fs::read_to_string(file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if path.contains("://") {
                continue;
            }
            let to = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            assert!(to.exists(), "{name} links to {link}, which is not there");
            if !anchor.is_empty() {
                let there = anchors(&std::fs::read_to_string(&to).unwrap());
                assert!(
                    there.iter().any(|known| known == anchor),
                    "{name} links to {link}: there is no such heading"
                );
            }
        }
    }
}

/// The ids that mdBook gives the headings of a page; the second of a name has `-1`.
fn anchors(page: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for heading in page.lines().filter(|line| line.starts_with('#')) {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = |letter: char| match letter {
            ' ' => Some('-'),
            letter if letter.is_alphanumeric() || matches!(letter, '-' | '_') => Some(letter),
            _ => None,
        };
        let id: String = heading.chars().filter_map(kept).collect();
        let taken = ids
            .iter()
            .filter(|known| known.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit()) == id)
            .count();
        ids.push(if taken > 0 { format!("{id}-{taken}") } else { id });
    }
    ids
}
