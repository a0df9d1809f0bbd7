//! The files of a runbook's folder, read before anything is made of them.

use crate::journal::format::sha256_hex;
use indexmap::IndexMap;
use keybook_api::Fault;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// What a runbook is written in.
pub struct Files {
    /// The folder's name in spans.
    pub shown: String,
    /// runbook.yaml
    pub runbook: String,
    /// hooks.rhai
    pub hooks: Option<String>,
    /// lib/NAME.yaml, by name.
    pub libraries: IndexMap<String, String>,
    /// i18n/LANG.yaml, by language.
    pub translations: IndexMap<String, String>,
}

impl Files {
    /// Reads a folder. Spans name the files as `shown/…`.
    ///
    /// # Errors
    /// A usage fault for a file that cannot be read or is not UTF-8.
    pub fn read(folder: &Path, shown: &str) -> Result<Self, Fault> {
        let shown = shown.trim_end_matches('/').to_owned();
        let place = |file: &str| format!("{shown}/{file}");
        let runbook = read_text(&folder.join("runbook.yaml"))
            .map_err(|error| not_readable(&place("runbook.yaml"), folder, &error))?;
        let wrong = |file: &str, error| Fault::usage(format!("read {}", place(file)), error);
        let hooks_path = folder.join("hooks.rhai");
        let hooks = hooks_path.exists().then(|| read_text(&hooks_path));
        let hooks = hooks.transpose().map_err(|error| wrong("hooks.rhai", error))?;
        let in_folder = |name: &str| {
            let mut texts = IndexMap::new();
            for path in yaml_files(&folder.join(name)) {
                let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
                let text = read_text(&path).map_err(|error| wrong(&format!("{name}/{stem}.yaml"), error))?;
                texts.insert(stem.to_owned(), text);
            }
            Ok::<_, Fault>(texts)
        };
        let (libraries, translations) = (in_folder("lib")?, in_folder("i18n")?);
        Ok(Self { shown, runbook, hooks, libraries, translations })
    }

    /// SHA-256 over runbook.yaml, hooks.rhai and the libraries: what the runbook means. Translations do not count.
    pub fn digest(&self) -> String {
        let mut all = self.runbook.clone();
        if let Some(hooks) = &self.hooks {
            all.push('\0');
            all.push_str(hooks);
        }
        for (name, text) in &self.libraries {
            all.push_str(&format!("\0{name}\0{text}"));
        }
        sha256_hex(all.as_bytes())
    }

    /// A file's name in spans, by its place in the folder.
    pub fn place(&self, file: &str) -> String {
        format!("{}/{file}", self.shown)
    }

    /// Every text by its file's name in spans.
    pub fn sources(&self) -> HashMap<String, String> {
        let mut sources = HashMap::from([(self.place("runbook.yaml"), self.runbook.clone())]);
        if let Some(hooks) = &self.hooks {
            sources.insert(self.place("hooks.rhai"), hooks.clone());
        }
        for (folder, texts) in [("lib", &self.libraries), ("i18n", &self.translations)] {
            for (name, text) in texts {
                sources.insert(self.place(&format!("{folder}/{name}.yaml")), text.clone());
            }
        }
        sources
    }
}

/// The YAML files of a folder, by name; none when there is no folder.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
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
