//! `keybook new`

use crate::{args::NewArgs, error::CliError, output::Output};
use keybook_api::Fault;
use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The files of a new runbook: place, mode, text. `NAME` in a text is the runbook's name.
const FILES: [(&str, u32, &str); 5] = [
    ("runbook.yaml", 0o644, include_str!("../../templates/runbook.yaml")),
    ("README.md", 0o644, include_str!("../../templates/README.md")),
    ("test", 0o755, include_str!("../../templates/test")),
    ("scenarios/default.yaml", 0o644, include_str!("../../templates/scenarios/default.yaml")),
    ("scenarios/answers.yaml", 0o644, include_str!("../../templates/scenarios/answers.yaml")),
];

/// Makes a runbook's folder that is valid, runs in its sandbox, and has a test that passes.
pub fn new(args: &NewArgs, output: &Output) -> Result<i32, CliError> {
    let name = runbook_name(&args.folder)?;
    let failed = |path: &Path, error: std::io::Error| {
        Fault::usage(format!("make {}", path.display()), error).hint("name a folder that does not exist yet")
    };
    fs::create_dir(&args.folder).map_err(|error| failed(&args.folder, error))?;
    for (place, mode, text) in FILES {
        let path: PathBuf = args.folder.join(place);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        }
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        made.and_then(|mut file| file.write_all(text.replace("NAME", &name).as_bytes()))
            .map_err(|error| failed(&path, error))?;
    }
    let shown = args.folder.display();
    output.result(&format!("{shown}: a runbook with a sandbox, answers and a test"));
    output.say(&format!(
        "Next: keybook run {shown} --sandbox, then change {shown}/runbook.yaml, and {shown}/test"
    ));
    Ok(0)
}

/// The folder's name, when it can be a runbook's.
fn runbook_name(folder: &Path) -> Result<String, Fault> {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
    if fits {
        return Ok(name);
    }
    Err(Fault::usage(format!("name a runbook `{name}`"), "that is no name of a runbook")
        .now("nothing was made")
        .hint("lower-case letters, digits, `-` and `_`, beginning with a letter"))
}
