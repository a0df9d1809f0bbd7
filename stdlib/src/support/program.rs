//! Programs that actions call.

use keybook_api::{Args, Fault};

/// The words that begin a command: a list argument that names the program, `own` when it is not given or empty.
pub fn words(args: &Args, name: &str, own: &str) -> Result<Vec<String>, Fault> {
    let words = args.texts(name)?;
    Ok(if words.is_empty() { vec![own.to_owned()] } else { words })
}
