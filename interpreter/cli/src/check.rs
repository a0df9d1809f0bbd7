//! `keybook validate`: reads files of every kind and gathers all that is wrong with them.

use crate::{assemble, error::CliError};
use keybook_api::{Diagnostic, Fault, Severity, Span, Value};
use keybook_core::model::{Answers, Inventory, Loaded, Runbook, yaml_files};
use keybook_script::Limits;
use keybook_source::{MapReader, Node, Problems, suggest};
use keybook_targets::sandbox::Scenario;
use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

/// What was found in the files.
#[derive(Default)]
pub struct Findings {
    /// Every problem, file by file.
    pub problems: Vec<Diagnostic>,
    /// What was read, by the name used in spans.
    pub sources: HashMap<String, String>,
    /// What was read without an error: its name and what it is.
    pub valid: Vec<(String, String)>,
}

/// The runbooks' folders in a folder that is none itself, by name.
fn runbooks_in(path: &Path) -> Vec<PathBuf> {
    if assemble::is_runbook(path) {
        return Vec::new();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|folder| assemble::is_runbook(folder)).collect();
    folders.sort();
    folders
}

/// What a file is, by the key that only its kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Runbook,
    /// Hooks, a library or a translation: what it means only its runbook says.
    Part,
    Answers,
    Scenario,
    Inventory,
}

impl Findings {
    /// Reads what a path names: a runbook's folder with everything in it, a folder of such folders, or one file.
    pub fn path(&mut self, path: &Path) -> Result<(), Fault> {
        if path.is_dir() {
            return match runbooks_in(path).as_slice() {
                [] => self.folder(path),
                folders => folders.iter().try_for_each(|folder| self.folder(folder)),
            };
        }
        let missing = |cause: String| {
            Fault::usage(format!("read {}", path.display()), cause)
                .hint("name a runbook's folder, or one file")
        };
        if !path.exists() {
            return Err(missing("there is no such file or folder".to_owned()));
        }
        let kind = match path.extension() {
            Some(ending) if ending == "rhai" => Some(Kind::Part),
            _ => self.kind(path),
        };
        match kind {
            Some(Kind::Runbook) => self.folder(assemble::folder_of(path)),
            Some(Kind::Part) => match runbook_of(path) {
                Some(folder) => self.folder(&folder),
                None => {
                    let at = Span::new(path.display().to_string(), 1, 1, 1);
                    let problem = Diagnostic::error("no-runbook", "this is a part of a runbook", at);
                    self.push(problem.help(
                        "hooks.rhai stands beside runbook.yaml, a library in its folder lib/, a translation in i18n/",
                    ));
                    Ok(())
                }
            },
            Some(kind) => {
                let runbook = self.runbook_around(path);
                self.file(path, kind, runbook.as_ref());
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A runbook, and what stands beside it.
    fn folder(&mut self, folder: &Path) -> Result<(), Fault> {
        let shown = folder.display().to_string();
        let loaded = match assemble::load(folder, &shown) {
            Ok(loaded) => Some(self.runbook(&shown, loaded)),
            Err(CliError::Fault(fault)) => return Err(fault),
            Err(CliError::Invalid { problems, sources }) => {
                self.add(problems, sources);
                None
            }
        };
        for file in yaml_files(&folder.join("scenarios")) {
            if let Some(kind) = self.kind(&file) {
                self.file(&file, kind, loaded.as_ref());
            }
        }
        Ok(())
    }

    fn runbook(&mut self, shown: &str, loaded: Loaded) -> Loaded {
        let what = format!("runbook {} {}", loaded.runbook.name.value, loaded.runbook.version);
        self.valid.push((shown.to_owned(), what));
        self.add(loaded.warnings.clone(), loaded.sources.clone());
        loaded
    }

    /// The runbook whose `scenarios/` a file is in, when it can be read. Its own problems are not reported here.
    fn runbook_around(&self, file: &Path) -> Option<Loaded> {
        let folder = folder_around(file, &["scenarios"])?;
        assemble::load(&folder, &folder.display().to_string()).ok()
    }

    /// What a file is. A file that cannot be read, or that is nothing of ours, is a problem.
    fn kind(&mut self, file: &Path) -> Option<Kind> {
        let (root, sources) = match assemble::read_yaml(file) {
            Ok(read) => read,
            Err(CliError::Invalid { problems, sources }) => {
                self.add(problems, sources);
                return None;
            }
            Err(CliError::Fault(fault)) => {
                let at = Span::new(file.display().to_string(), 1, 1, 1);
                let message = format!("this cannot be read: {}", fault.cause);
                self.add(vec![Diagnostic::error("not-readable", message, at)], HashMap::new());
                return None;
            }
        };
        let found = kind_of(&root);
        if found.is_none() {
            let problem = Diagnostic::error("unknown-kind", "this is no file of a runbook", root.span.clone())
                .label("a runbook has `steps`, a scenario `scenario`, an answers file `answers`, an inventory `cluster`");
            self.add(vec![problem], sources);
        }
        found
    }

    fn file(&mut self, file: &Path, kind: Kind, loaded: Option<&Loaded>) {
        let before = self.errors();
        let runbook = loaded.map(|loaded| &loaded.runbook);
        let what = match kind {
            Kind::Runbook | Kind::Part => return,
            Kind::Answers => self.answers(file, loaded),
            Kind::Scenario => self.scenario(file, runbook),
            Kind::Inventory => self.inventory(file, runbook),
        };
        if let Some(what) = what
            && self.errors() == before
        {
            self.valid.push((file.display().to_string(), what));
        }
    }

    fn answers(&mut self, file: &Path, loaded: Option<&Loaded>) -> Option<String> {
        let answers = self.decoded(file, Answers::decode)?;
        if let Some(loaded) = loaded {
            self.add(answers.review(&loaded.runbook, &loaded.script), HashMap::new());
            let hosts = hosts_beside(file);
            if !hosts.is_empty() {
                self.add(answers.unknown_hosts(hosts.iter(), "in a scenario here"), HashMap::new());
            }
        }
        Some("answers file".to_owned())
    }

    fn inventory(&mut self, file: &Path, runbook: Option<&Runbook>) -> Option<String> {
        let inventory = self.decoded(file, Inventory::decode)?;
        if let Some(runbook) = runbook {
            let groups = inventory.groups.iter().map(|(name, hosts)| (name.clone(), hosts.len())).collect();
            self.groups(file, runbook, &groups);
        }
        Some(format!("inventory of {}", inventory.cluster))
    }

    fn scenario(&mut self, file: &Path, runbook: Option<&Runbook>) -> Option<String> {
        let engine = keybook_stdlib::script_host(Limits::default());
        match Scenario::open(file, &file.display().to_string(), &engine) {
            Ok(scenario) => {
                self.add(scenario.warnings.clone(), scenario.sources.clone());
                if let Some(runbook) = runbook {
                    let groups =
                        scenario.groups.iter().map(|(name, hosts)| (name.clone(), hosts.len())).collect();
                    self.groups(file, runbook, &groups);
                    self.inputs(&scenario, runbook);
                    self.tools(&scenario, runbook);
                }
                Some(format!("scenario {}", scenario.name))
            }
            Err(invalid) => {
                self.add(invalid.problems, invalid.sources);
                None
            }
        }
    }

    /// Does a set of hosts have what the runbook needs?
    fn groups(&mut self, file: &Path, runbook: &Runbook, groups: &HashMap<String, usize>) {
        let file = file.display().to_string();
        for (name, need) in &runbook.hosts {
            let have = groups.get(name).copied().unwrap_or(0);
            let most = need.max.unwrap_or(usize::MAX);
            if have < need.min || have > most {
                let wanted = need.counts();
                let message = format!("the runbook needs {wanted} in `{name}`; there are {have}");
                let at = self.place(&file, "groups", name);
                self.push(Diagnostic::error("host-count", message, at));
            }
        }
        for name in groups.keys().filter(|name| !runbook.hosts.contains_key(*name)) {
            let at = self.place(&file, "groups", name);
            let mut problem =
                Diagnostic::warning("unused-group", format!("the runbook has no group `{name}`"), at);
            problem.help = suggest(name, runbook.hosts.keys().map(String::as_str));
            self.push(problem);
        }
    }

    /// Do a scenario's inputs fit those of the runbook?
    fn inputs(&mut self, scenario: &Scenario, runbook: &Runbook) {
        for (name, value) in &scenario.inputs {
            let at = self.place(&scenario.file, "inputs", name);
            let Some(input) = runbook.inputs.get(name) else {
                let message = format!("the runbook has no input `{name}`");
                let mut problem = Diagnostic::error("unknown-input", message, at);
                problem.help = suggest(name, runbook.inputs.keys().map(String::as_str));
                self.push(problem);
                continue;
            };
            if let Err(why) = input.check(input.made_up(value.clone())) {
                let message = format!("the input `{name}`: {why}");
                let at = self.value_place(&scenario.file, "inputs", name);
                self.push(Diagnostic::error("wrong-type", message, at));
                continue;
            }
            let hosts = scenario.hosts.keys().map(String::as_str);
            if let Some((why, advice)) = input.unknown_host(value, hosts) {
                let message = format!("the input `{name}`: {why}");
                let at = self.value_place(&scenario.file, "inputs", name);
                let mut problem = Diagnostic::error("unknown-host", message, at);
                problem.help = advice;
                self.push(problem);
            }
        }
        for (name, input) in &runbook.inputs {
            let given = scenario.inputs.contains_key(name) || input.default.is_some() || input.optional;
            if !given && !matches!(input.check(Value::Null), Ok(Value::Secret(_))) {
                let at = self.place(&scenario.file, "inputs", name);
                let message = format!("the input `{name}` has neither a default nor a value here");
                self.push(Diagnostic::warning("missing-input", message, at));
            }
        }
    }

    /// Has a scenario the programs that the preflight looks for on its hosts?
    fn tools(&mut self, scenario: &Scenario, runbook: &Runbook) {
        let there = |name: &String| scenario.groups.get(name).is_some_and(|hosts| !hosts.is_empty());
        for (group, need) in runbook.hosts.iter().filter(|(name, _)| there(name)) {
            for tool in need.tools.iter().filter(|tool| !scenario.tools.contains(tool)) {
                let message =
                    format!("the runbook needs `{tool}` on the hosts of `{group}`; it is not there");
                let at = self.place(&scenario.file, "tools", tool);
                let problem = Diagnostic::warning("missing-tool", message, at);
                self.push(
                    problem
                        .label("a run here ends with the preflight")
                        .help(format!("add `{tool}` to `tools`")),
                );
            }
        }
    }

    /// Where a name stands under a key, in the file or, for a scenario, in one beside it that it extends; else the key,
    /// else the file's first line.
    fn place(&self, file: &str, key: &str, name: &str) -> Span {
        self.entry(file, key, name).map_or_else(|beside| beside, |(named, _)| named)
    }

    /// As [`Findings::place`], of the value.
    fn value_place(&self, file: &str, key: &str, name: &str) -> Span {
        self.entry(file, key, name).map_or_else(|beside| beside, |(_, value)| value)
    }

    fn entry(&self, file: &str, key: &str, name: &str) -> Result<(Span, Span), Span> {
        let folder = Path::new(file).parent();
        let mut files: Vec<&String> =
            self.sources.keys().filter(|other| Path::new(other).parent() == folder).collect();
        files.sort_by_key(|other| (other.as_str() != file, *other));
        let roots =
            files.into_iter().filter_map(|file| keybook_source::parse(file, self.sources.get(file)?).ok());
        let mut beside = None;
        for root in roots {
            let under = root.entries().unwrap_or_default().iter().find(|(found, _)| found.name == key);
            let Some((found, node)) = under else { continue };
            let entries = node.entries().unwrap_or_default();
            if let Some((named, value)) = entries.iter().find(|(named, _)| named.name == name) {
                return Ok((named.span.clone(), value.span.clone()));
            }
            beside = beside.or_else(|| (&*found.span.file == file).then(|| found.span.clone()));
        }
        Err(beside.unwrap_or_else(|| Span::new(file, 1, 1, 1)))
    }

    fn decoded<T>(
        &mut self,
        file: &Path,
        decode: impl FnOnce(&Node, &mut Problems) -> Option<T>,
    ) -> Option<T> {
        let (root, sources) = assemble::read_yaml(file).ok()?;
        let mut problems = Problems::default();
        let decoded = decode(&root, &mut problems);
        self.add(problems.into_vec(), sources);
        decoded
    }

    fn add(&mut self, problems: Vec<Diagnostic>, sources: HashMap<String, String>) {
        problems.into_iter().for_each(|problem| self.push(problem));
        self.sources.extend(sources);
    }

    /// A scenario that several others extend is read with each of them, so a problem may be found twice.
    fn push(&mut self, problem: Diagnostic) {
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }
}

/// The hosts of the scenarios beside a file.
fn hosts_beside(file: &Path) -> BTreeSet<String> {
    let engine = keybook_stdlib::script_host(Limits::default());
    let scenarios = yaml_files(assemble::folder_of(file)).into_iter();
    let scenarios = scenarios.filter_map(|beside| Scenario::open(&beside, "", &engine).ok());
    scenarios.flat_map(|scenario| scenario.hosts.into_keys()).collect()
}

fn kind_of(root: &Node) -> Option<Kind> {
    let mut ignored = Problems::default();
    let keys = MapReader::new(root, "a file", &mut ignored)?.rest();
    let has = |wanted: &str| keys.iter().any(|(key, _)| key.name == wanted);
    match () {
        () if has("scenario") => Some(Kind::Scenario),
        () if has("library") || has("lang") && !has("name") => Some(Kind::Part),
        () if has("steps") => Some(Kind::Runbook),
        () if has("answers") => Some(Kind::Answers),
        () if has("cluster") => Some(Kind::Inventory),
        () => None,
    }
}

/// The folder of the runbook that a file in lib/ or i18n/ belongs to.
fn runbook_of(part: &Path) -> Option<PathBuf> {
    let folder =
        folder_around(part, &["lib", "i18n"]).unwrap_or_else(|| assemble::folder_of(part).to_owned());
    assemble::is_runbook(&folder).then_some(folder)
}

/// The folder around that of a file, when the file's folder has one of these names: also where the path does not say so,
/// since it begins in there.
fn folder_around(file: &Path, names: &[&str]) -> Option<PathBuf> {
    let beside = assemble::folder_of(file);
    if names.iter().any(|name| beside.ends_with(name)) {
        return Some(assemble::folder_of(beside).to_owned());
    }
    let whole = beside.canonicalize().ok()?;
    let outer = || if beside == Path::new(".") { PathBuf::from("..") } else { beside.join("..") };
    names.iter().any(|name| whole.ends_with(name)).then(outer)
}
