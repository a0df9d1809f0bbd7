//! Lines of the tables that `tests/run --full` prints at its end (tests/tables).

use crate::cli::root;
use std::fs;

/// Puts a line into a table. Lines are printed in the order of their keys; one of the same key replaces an earlier one.
pub fn row(table: &str, key: &str, cells: &[&str]) {
    let folder = root().join("target/tables").join(table);
    fs::create_dir_all(&folder).expect("target/ is writable");
    let clean = |cell: &&str| cell.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let line = format!("| {} |\n", cells.iter().map(clean).collect::<Vec<_>>().join(" | "));
    fs::write(folder.join(key.replace('/', "-")), line).expect("target/ is writable");
}
