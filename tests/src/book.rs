//! Pages of the book that are made from the program.

use crate::cli::root;
use std::fs;

/// Panics unless this is the text of a page of `book/src/reference`. With `UPDATE_BOOK=1` it is written there.
#[track_caller]
pub fn check(page: &str, text: &str) {
    let path = root().join("book/src/reference").join(page);
    if std::env::var_os("UPDATE_BOOK").is_some() {
        fs::write(&path, text).expect("a page of the book");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "book/src/reference/{page} is not what the program says: run with UPDATE_BOOK=1"
    );
}
