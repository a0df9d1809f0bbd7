//! The files that are broken, and the check of them.

use super::FileKind;
use crate::cli::root;
use keybook_api::{Diagnostic, Registry};
use keybook_core::model::{Answers, Loaded, load, load::LoadError};
use keybook_script::{Limits, ScriptHost};
use keybook_source::Problems;
use keybook_targets::sandbox::Scenario;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A runbook's folder, as texts.
pub struct Book {
    /// Its folder in the checkout.
    pub name: String,
    /// Its files by their place in the folder.
    pub files: BTreeMap<String, String>,
}

impl Book {
    /// Everything that is shipped: the runbooks, the book's examples, and what `keybook new` makes.
    pub fn shipped() -> Vec<Self> {
        let inside = |folder: &str| -> Vec<PathBuf> {
            let mut found: Vec<PathBuf> = fs::read_dir(root().join(folder))
                .expect("a folder of runbooks")
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.join("runbook.yaml").is_file())
                .collect();
            found.sort();
            found
        };
        let mut folders = inside("runbooks");
        folders.extend(inside("book/examples"));
        folders.push(root().join("interpreter/cli/templates"));
        folders.iter().map(|folder| Self::read(folder)).collect()
    }

    fn read(folder: &Path) -> Self {
        let name = folder.strip_prefix(root()).expect("in the checkout").display().to_string();
        let mut files = BTreeMap::new();
        let mut add = |path: &Path| {
            let place = path.strip_prefix(folder).expect("in the folder").display().to_string();
            // `keybook new` puts the runbook's name in the place of NAME.
            let text = fs::read_to_string(path).expect("a text").replace("NAME", "fresh");
            files.insert(place, text);
        };
        for part in ["", "lib", "i18n", "scenarios"] {
            let Ok(entries) = fs::read_dir(folder.join(part)) else { continue };
            for path in entries.flatten().map(|entry| entry.path()) {
                if path.extension().is_some_and(|ending| ending == "yaml" || ending == "rhai") {
                    add(&path);
                }
            }
        }
        Self { name, files }
    }

    /// What a file is.
    pub fn kind(&self, file: &str) -> FileKind {
        match file.split_once('/') {
            None if file.ends_with(".rhai") => FileKind::Hooks,
            None => FileKind::Runbook,
            Some(("lib", _)) => FileKind::Library,
            Some(("i18n", _)) => FileKind::Translation,
            _ if self.files[file].contains("\nscenario:") => FileKind::Scenario,
            _ => FileKind::Answers,
        }
    }

    /// Every word that stands in any of the files, and every function: a misspelt name must not be one of them.
    pub fn words(&self) -> BTreeSet<String> {
        let letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_');
        let words = self.files.values().flat_map(|text| text.split(move |other: char| !letter(other)));
        let functions = keybook_stdlib::script_host(Limits::default()).functions();
        words.map(str::to_owned).chain(functions.into_iter().map(|function| function.name)).collect()
    }
}

/// Checks one book at a time, in a folder of its own.
pub struct Checker<'b> {
    book: &'b Book,
    folder: TempDir,
    registry: Registry,
    script: ScriptHost,
    loaded: Loaded,
}

impl<'b> Checker<'b> {
    /// Writes the files down. The runbook must be valid.
    pub fn new(book: &'b Book) -> Self {
        let folder = TempDir::new().expect("a folder");
        for (file, text) in &book.files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("in the folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let (registry, script) = (keybook_stdlib::registry(), keybook_stdlib::script_host(Limits::default()));
        let loaded = load(folder.path(), "book", &registry, &script);
        let loaded = loaded.unwrap_or_else(|error| panic!("{} is not valid: {error:?}", book.name));
        Self { book, folder, registry, script, loaded }
    }

    /// What is reported when a file has this text.
    pub fn check(&self, file: &str, text: &str) -> Vec<Diagnostic> {
        let path = self.folder.path().join(file);
        fs::write(&path, text).expect("a file");
        let found = match self.book.kind(file) {
            FileKind::Scenario => match Scenario::open(&path, &format!("book/{file}"), &self.script) {
                Ok(scenario) => scenario.warnings,
                Err(invalid) => invalid.problems,
            },
            FileKind::Answers => self.answers(file, text),
            _ => match load(self.folder.path(), "book", &self.registry, &self.script) {
                Ok(loaded) => loaded.warnings,
                Err(LoadError::Invalid { problems, .. }) => problems,
                Err(LoadError::Fault(fault)) => panic!("{fault}"),
            },
        };
        fs::write(&path, &self.book.files[file]).expect("a file");
        found
    }

    fn answers(&self, file: &str, text: &str) -> Vec<Diagnostic> {
        let root = match keybook_source::parse(&format!("book/{file}"), text) {
            Ok(root) => root,
            Err(problems) => return problems,
        };
        let mut problems = Problems::default();
        let answers = Answers::decode(&root, &mut problems);
        let mut found = problems.into_vec();
        found.extend(
            answers
                .map(|answers| answers.review(&self.loaded.runbook, &self.loaded.script))
                .unwrap_or_default(),
        );
        found
    }
}
