//! The files of a runbook's folder, read before anything is made of them.

use crate::journal::format::sha256_hex;
use indexmap::IndexMap;
use keybook_api::{Diagnostic, Fault};
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
    /// Files that are not UTF-8, or too large; what is no text in them stands as `\u{FFFD}`.
    pub damaged: Vec<Diagnostic>,
}

impl Files {
    /// Reads a folder. Spans name the files as `shown/…`.
    ///
    /// # Errors
    /// A usage fault for a file that cannot be read.
    pub fn read(folder: &Path, shown: &str) -> Result<Self, Fault> {
        let shown = shown.trim_end_matches('/').to_owned();
        let place = |file: &str| format!("{shown}/{file}");
        let mut damaged = Vec::new();
        let mut read_text = |file: &str| {
            let bytes = std::fs::read(folder.join(file))?;
            Ok::<_, std::io::Error>(text_of(&place(file), bytes, &mut damaged))
        };
        let runbook = read_text("runbook.yaml")
            .map_err(|error| not_readable(&place("runbook.yaml"), folder, &error.to_string()))?;
        let wrong = |file: &str, error| Fault::usage(format!("read {}", place(file)), error);
        let hooks = folder.join("hooks.rhai").exists().then(|| read_text("hooks.rhai"));
        let hooks = hooks.transpose().map_err(|error| wrong("hooks.rhai", error))?;
        let mut in_folder = |name: &str| {
            let mut texts = IndexMap::new();
            for path in yaml_files(&folder.join(name)) {
                let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
                let file = format!("{name}/{stem}.yaml");
                let text = read_text(&file).map_err(|error| wrong(&file, error))?;
                texts.insert(stem.to_owned(), text);
            }
            Ok::<_, Fault>(texts)
        };
        let (libraries, translations) = (in_folder("lib")?, in_folder("i18n")?);
        Ok(Self { shown, runbook, hooks, libraries, translations, damaged })
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

/// The files of a folder whose names end in `.yaml`, sorted by name; none when the folder cannot be read.
pub fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    files
}

fn text_of(file: &str, bytes: Vec<u8>, damaged: &mut Vec<Diagnostic>) -> String {
    damaged.extend(keybook_source::decode(file, &bytes).err().map(|problem| *problem));
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn not_readable(file: &str, folder: &Path, error: &str) -> Fault {
    let fault = Fault::usage(format!("read {file}"), error).now("nothing was changed");
    if folder.is_file() {
        fault.hint("a runbook is named by its folder, not by its file")
    } else {
        fault.hint("name the folder that holds runbook.yaml")
    }
}
