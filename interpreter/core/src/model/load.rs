//! Reads a runbook's folder.

use super::{Files, Runbook, Translation, decode::Decoder, families, hooks, questions, review::review};
use indexmap::IndexMap;
use keybook_api::{Diagnostic, Fault, Registry, Severity, SourceText};
use keybook_script::ScriptHost;
use keybook_source::Node;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A runbook that was read without an error.
pub struct Loaded {
    /// The runbook.
    pub runbook: Runbook,
    /// Its texts in other languages, by language.
    pub translations: IndexMap<String, Translation>,
    /// Compiles and evaluates its expressions; knows hooks.rhai.
    pub script: Arc<ScriptHost>,
    /// Its folder.
    pub folder: PathBuf,
    /// SHA-256 over runbook.yaml, hooks.rhai and the libraries, see [`Files::digest`].
    pub digest: String,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// What was read, by the name used in spans.
    pub sources: HashMap<String, String>,
    /// The folder's name in spans.
    pub shown: String,
}

impl Loaded {
    /// Every file that was read, by its place in the folder, and its text: a folder with these is the same runbook.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let inside = |file: &'_ String| file.len().min(self.shown.len() + 1);
        self.sources.iter().map(move |(file, text)| (file.get(inside(file)..).unwrap_or(file), text.as_str()))
    }
}

/// Why a runbook cannot be run.
#[derive(Debug)]
pub enum LoadError {
    /// The folder or a file in it cannot be read.
    Fault(Fault),
    /// What is in it is wrong.
    Invalid {
        /// Every problem.
        problems: Vec<Diagnostic>,
        /// What was read, for showing lines.
        sources: HashMap<String, String>,
    },
}

/// What is wrong of names and values of expressions: the run itself meets it, where they stand.
const MET_IN_THE_RUN: [&str; 2] = ["unknown-name", "wrong-value"];

/// As [`load`], of the copy that a run keeps of its runbook. An earlier version may have begun it, which did not know yet what
/// is wrong of its names and values: that is a warning, and does not keep the run from being gone on with or taken back.
pub fn load_copy(
    folder: &Path,
    shown: &str,
    registry: &Registry,
    script: &ScriptHost,
) -> Result<Loaded, LoadError> {
    read(folder, shown, registry, script, true)
}

/// Reads a runbook's folder: runbook.yaml, hooks.rhai, lib/ and i18n/. Spans name the files as `shown/…`.
pub fn load(
    folder: &Path,
    shown: &str,
    registry: &Registry,
    script: &ScriptHost,
) -> Result<Loaded, LoadError> {
    read(folder, shown, registry, script, false)
}

fn read(
    folder: &Path,
    shown: &str,
    registry: &Registry,
    script: &ScriptHost,
    copy: bool,
) -> Result<Loaded, LoadError> {
    let files = Files::read(folder, shown).map_err(LoadError::Fault)?;
    let sources = files.sources();
    let mut script = script.clone();
    let mut problems = files.damaged.clone();
    let mut broken_hooks = false;
    if let Some(text) = &files.hooks {
        match script.hooks(&SourceText::verbatim(text, files.place("hooks.rhai"), 1, 1)) {
            Ok(read) => {
                problems.extend(hooks::review(&read, &files, registry));
                script = script.with_hooks(&read);
            }
            Err(found) => {
                broken_hooks = true;
                problems.extend(found);
            }
        }
    }
    let known_hooks = script.hooks_in_use();
    let libraries = parsed(&files, "lib", &files.libraries, &mut problems);
    let translations = parsed(&files, "i18n", &files.translations, &mut problems);
    let read = match keybook_source::parse(&files.place("runbook.yaml"), &files.runbook) {
        Err(found) => {
            problems.extend(found);
            None
        }
        Ok(root) => {
            let mut decoder = Decoder::new(registry, &script, &libraries);
            let runbook = decoder.runbook(&root);
            problems.extend(runbook.iter().flat_map(|runbook| hooks::wrong_secrets(known_hooks, runbook)));
            let read = runbook.map(|runbook| (decoder.translations(&translations, &runbook), runbook));
            for root in std::iter::once(&root).chain(libraries.values()) {
                keybook_source::read::warn_surprises(root, &mut decoder.problems);
            }
            let broken = files.libraries.keys().filter(|name| !libraries.contains_key(*name));
            let follows = |problem: &Diagnostic| follows(problem, broken_hooks, broken.clone());
            problems.extend(decoder.problems.into_vec().into_iter().filter(|problem| !follows(problem)));
            // A step that could not be read is not missed as well.
            let whole =
                read.as_ref().filter(|_| problems.iter().all(|known| known.severity != Severity::Error));
            problems.extend(whole.into_iter().flat_map(|(translations, runbook)| {
                let asked =
                    translations.values().flat_map(|one| questions::translated(one, runbook, registry));
                let found = review(runbook, registry).into_iter().chain(asked);
                found.chain(families::unlisted(runbook, known_hooks)).collect::<Vec<_>>()
            }));
            read
        }
    };
    // A library that is used twice is read twice.
    let mut seen = Vec::new();
    problems.retain(|problem| {
        let new = !seen.contains(problem);
        if new {
            seen.push(problem.clone());
        }
        new
    });
    for problem in problems.iter_mut().filter(|problem| copy && MET_IN_THE_RUN.contains(&problem.code)) {
        problem.severity = Severity::Warning;
    }
    let (errors, warnings): (Vec<_>, Vec<_>) =
        problems.into_iter().partition(|problem| problem.severity == Severity::Error);
    match read {
        Some((translations, runbook)) if errors.is_empty() => Ok(Loaded {
            runbook,
            translations,
            script: Arc::new(script),
            folder: folder.to_owned(),
            digest: files.digest(),
            warnings,
            sources,
            shown: files.shown,
        }),
        _ => Err(LoadError::Invalid { problems: errors.into_iter().chain(warnings).collect(), sources }),
    }
}

/// Is it wrong only because another file is: a function of the hooks, or a library, could not be read?
fn follows<'f>(
    problem: &Diagnostic,
    broken_hooks: bool,
    mut broken_libraries: impl Iterator<Item = &'f String>,
) -> bool {
    match problem.code {
        "unknown-function" => broken_hooks,
        "unknown-library" => broken_libraries.any(|name| problem.message.contains(&format!("`{name}`"))),
        _ => false,
    }
}

/// The files of a folder that can be read as YAML, by name.
fn parsed(
    files: &Files,
    folder: &str,
    texts: &IndexMap<String, String>,
    problems: &mut Vec<Diagnostic>,
) -> IndexMap<String, Node> {
    let mut roots = IndexMap::new();
    for (name, text) in texts {
        match keybook_source::parse(&files.place(&format!("{folder}/{name}.yaml")), text) {
            Ok(root) => {
                roots.insert(name.clone(), root);
            }
            Err(found) => problems.extend(found),
        }
    }
    roots
}
