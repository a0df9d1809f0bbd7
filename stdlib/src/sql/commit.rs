//! The end of a transaction: did the server commit?

use super::xml;
use keybook_api::Exit;

/// What the client prints after the commit.
const COMMITTED: &str = "keybook_committed";

/// The last statements of a transaction. There is no branch in SQL outside of stored programs; before these, a PREPARE of
/// text that is no SQL ends the client, and its message says why.
pub fn commit() -> String {
    format!("COMMIT;\nSELECT 1 AS {COMMITTED};\n")
}

/// Did the client come to its end, after the commit?
pub fn committed(exit: &Exit) -> bool {
    let said = |rows: Vec<keybook_api::Value>| rows.iter().any(|row| row.get(COMMITTED) == Some(&"1".into()));
    exit.ok() && xml::rows(&exit.out()).is_ok_and(said)
}

/// The number of the server's error. `None` when there is none, or when it means that the connection was lost, perhaps while
/// the server was committing.
pub fn refusal(trouble: &str) -> Option<&str> {
    let number = trouble.split_once("ERROR ")?.1.split(' ').next()?;
    let lost = ["ERROR 2006", "ERROR 2013", "ERROR 2055"].iter().any(|lost| trouble.contains(lost));
    (!lost).then_some(number)
}
