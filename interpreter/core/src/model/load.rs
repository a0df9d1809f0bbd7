//! Reads a runbook's folder.

use super::{Runbook, decode::Decoder, review::review};
use crate::{journal::format::sha256_hex, run::hooks::HOOKS};
use indexmap::IndexMap;
use keybook_api::{Diagnostic, Fault, Registry, Severity, SourceText};
use keybook_script::{HookFn, Hooks, ScriptHost};
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
    /// Compiles and evaluates its expressions; knows hooks.rhai.
    pub script: Arc<ScriptHost>,
    /// Its folder.
    pub folder: PathBuf,
    /// SHA-256 over runbook.yaml, hooks.rhai and the libraries.
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

/// Reads `folder/runbook.yaml` and `folder/hooks.rhai`. Spans name the files as `shown/…`.
pub fn load(
    folder: &Path,
    shown: &str,
    registry: &Registry,
    script: &ScriptHost,
) -> Result<Loaded, LoadError> {
    let file = format!("{}/runbook.yaml", shown.trim_end_matches('/'));
    let text = read_text(&folder.join("runbook.yaml"))
        .map_err(|error| LoadError::Fault(not_readable(&file, folder, &error)))?;
    let mut sources = HashMap::from([(file.clone(), text.clone())]);
    let mut script = script.clone();
    let mut problems = Vec::new();
    let mut digest = text.clone();
    let hooks_path = folder.join("hooks.rhai");
    if hooks_path.exists() {
        let hooks_file = format!("{}/hooks.rhai", shown.trim_end_matches('/'));
        let hooks_text = read_text(&hooks_path)
            .map_err(|error| LoadError::Fault(Fault::usage(format!("read {hooks_file}"), error)))?;
        match script.hooks(&SourceText::verbatim(&hooks_text, hooks_file.as_str(), 1, 1)) {
            Ok(hooks) => {
                problems.extend(wrong_hooks(&hooks));
                script = script.with_hooks(&hooks);
            }
            Err(found) => problems.extend(found),
        }
        digest.push('\0');
        digest.push_str(&hooks_text);
        sources.insert(hooks_file, hooks_text);
    }
    let libraries = libraries(folder, shown, &mut sources, &mut digest, &mut problems)?;
    let runbook = match keybook_source::parse(&file, &text) {
        Err(found) => {
            problems.extend(found);
            None
        }
        Ok(root) => {
            let mut decoder = Decoder::new(registry, &script, &libraries);
            let runbook = decoder.runbook(&root);
            problems.extend(decoder.problems.into_vec());
            // A step that could not be read is not missed as well.
            let whole =
                runbook.as_ref().filter(|_| problems.iter().all(|known| known.severity != Severity::Error));
            problems.extend(whole.map(review).unwrap_or_default());
            runbook
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
    let (errors, warnings): (Vec<_>, Vec<_>) =
        problems.into_iter().partition(|problem| problem.severity == Severity::Error);
    match runbook {
        Some(runbook) if errors.is_empty() => Ok(Loaded {
            runbook,
            script: Arc::new(script),
            folder: folder.to_owned(),
            digest: sha256_hex(digest.as_bytes()),
            warnings,
            sources,
            shown: shown.trim_end_matches('/').to_owned(),
        }),
        _ => Err(LoadError::Invalid { problems: errors.into_iter().chain(warnings).collect(), sources }),
    }
}

/// Hooks with another number of parameters than they are called with.
fn wrong_hooks(hooks: &Hooks) -> Vec<Diagnostic> {
    let wrong = |function: &HookFn| {
        let (name, params) = HOOKS.iter().find(|(name, _)| *name == function.name)?;
        (function.params.len() != *params).then(|| {
            let message = format!("the hook `{name}` has {params} parameters, not {}", function.params.len());
            Diagnostic::error("hook-params", message, function.span.clone())
        })
    };
    hooks.functions().iter().filter_map(wrong).collect()
}

/// The step libraries beside a runbook: `lib/NAME.yaml`. They count for the digest, by name and text.
fn libraries(
    folder: &Path,
    shown: &str,
    sources: &mut HashMap<String, String>,
    digest: &mut String,
    problems: &mut Vec<Diagnostic>,
) -> Result<IndexMap<String, Node>, LoadError> {
    let mut libraries = IndexMap::new();
    for path in library_files(&folder.join("lib")) {
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        let file = format!("{}/lib/{name}.yaml", shown.trim_end_matches('/'));
        let text = read_text(&path)
            .map_err(|error| LoadError::Fault(Fault::usage(format!("read {file}"), error)))?;
        match keybook_source::parse(&file, &text) {
            Ok(root) => {
                libraries.insert(name.to_owned(), root);
            }
            Err(found) => problems.extend(found),
        }
        digest.push_str(&format!("\0{name}\0{text}"));
        sources.insert(file, text);
    }
    Ok(libraries)
}

/// The YAML files of a folder, by name; none when there is no folder.
fn library_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    files
}

fn read_text(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn not_readable(file: &str, folder: &Path, error: &str) -> Fault {
    let fault = Fault::usage(format!("read {file}"), error).now("nothing was started");
    if folder.is_file() {
        fault.hint("a runbook is named by its folder, not by its file")
    } else {
        fault.hint("name the folder that holds runbook.yaml")
    }
}
