//! What is wrong in a runbook's files.

use super::actions;
use keybook_api::Diagnostic;
use keybook_core::model::load::{LoadError, load};
use keybook_script::{Limits, ScriptHost};

/// The problems of a folder with these files, by their names; its warnings, where there is no error. That a group is idle is not among them:
/// the heads of these tests have groups for all.
pub fn problems(files: &[(&str, &str)]) -> Vec<Diagnostic> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let script = ScriptHost::new(Limits::default(), &[]);
    let mut found = match load(dir.path(), "book", &actions::registry(), &script) {
        Ok(loaded) => loaded.warnings,
        Err(LoadError::Invalid { problems, .. }) => problems,
        Err(LoadError::Fault(fault)) => panic!("{fault}"),
    };
    found.retain(|problem| problem.code != "idle-group");
    found
}

/// The same, each as `code line:column+length message | help`.
pub fn told(files: &[(&str, &str)]) -> Vec<String> {
    let show = |problem: Diagnostic| {
        let (code, at, help) = (problem.code, problem.span, problem.help.unwrap_or_default());
        format!("{code} {}:{}+{} {} | {help}", at.line, at.column, at.length, problem.message)
    };
    problems(files).into_iter().map(show).collect()
}
