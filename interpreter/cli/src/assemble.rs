//! Puts a run together: runbook, hosts, inputs, actions, person, watchers.

use crate::{
    args::{Answering, Format, Sources},
    error::CliError,
    inputs::{self, Given},
    output::Output,
    people::{guided::Guided, unattended::Unattended},
    runs::{RunDir, operator},
    watch::{Human, Jsonl, Screen},
};
use keybook_api::{Cancel, Connector, Fault, FaultKind, Map, Record, Redactor, Registry, Value};
use keybook_core::{
    model::{self, Answers, Inventory, Loaded, load::LoadError},
    run::{engine::Setup, log::Watcher, person::Person, session::Options},
};
use keybook_script::Limits;
use keybook_source::{Node, Problems};
use keybook_targets::sandbox::{Sandbox, SandboxConnector, Scenario};
use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The actions of this program.
pub fn registry() -> Registry {
    keybook_stdlib::registry()
}

/// Reads a runbook's folder. It is known by its whole path: a run may be gone on with from another folder.
pub fn load(folder: &Path, shown: &str) -> Result<Loaded, CliError> {
    let script = keybook_stdlib::script_host(Limits::default());
    let mut loaded = model::load(folder, shown, &registry(), &script).map_err(not_loaded)?;
    loaded.folder = std::path::absolute(folder)
        .map_err(|error| Fault::failed(format!("find where {} is", folder.display()), error))?;
    Ok(loaded)
}

/// Reads the copy that a run keeps of its runbook.
pub fn load_copy(folder: &Path, shown: &str) -> Result<Loaded, CliError> {
    let script = keybook_stdlib::script_host(Limits::default());
    model::load_copy(folder, shown, &registry(), &script).map_err(not_loaded)
}

fn not_loaded(error: LoadError) -> CliError {
    match error {
        LoadError::Fault(fault) => CliError::Fault(fault),
        LoadError::Invalid { problems, sources } => CliError::Invalid { problems, sources },
    }
}

/// Is this the folder of a runbook?
pub fn is_runbook(folder: &Path) -> bool {
    folder.join("runbook.yaml").is_file()
}

/// The folder that a path is in; `.` for a path that is only a name.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a YAML file.
pub fn read_yaml(file: &Path) -> Result<(Node, HashMap<String, String>), CliError> {
    let shown = file.display().to_string();
    let bytes = fs::read(file)
        .map_err(|error| Fault::usage(format!("read {shown}"), error).now("nothing was changed"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let sources = HashMap::from([(shown.clone(), text.clone())]);
    if let Err(problem) = keybook_source::decode(&shown, &bytes) {
        return Err(CliError::Invalid { problems: vec![*problem], sources });
    }
    match keybook_source::parse(&shown, &text) {
        Ok(root) => Ok((root, sources)),
        Err(problems) => Err(CliError::Invalid { problems, sources }),
    }
}

/// Gives the text as well.
fn decode<T>(
    file: &Path,
    decode: impl FnOnce(&Node, &mut Problems) -> Option<T>,
) -> Result<(T, String), CliError> {
    let (root, sources) = read_yaml(file)?;
    let mut problems = Problems::default();
    match decode(&root, &mut problems) {
        Some(value) if !problems.errors() => Ok((value, sources.into_values().collect())),
        _ => Err(CliError::Invalid { problems: problems.into_vec(), sources }),
    }
}

/// Decodes an inventory; `~/` is the operator's home, other relative paths are relative to a folder.
fn inventory(file: &Path, folder: &Path) -> Result<(Inventory, String), CliError> {
    let (mut inventory, text) = decode(file, Inventory::decode)?;
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let place = |path: &PathBuf| match (path.strip_prefix("~"), &home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => folder.join(path),
    };
    for spec in inventory.hosts.values_mut() {
        spec.key = spec.key.as_ref().map(place);
        spec.known_hosts = spec.known_hosts.iter().map(place).collect();
    }
    inventory.link_jumps();
    Ok((inventory, text))
}

/// Reads an answers file and checks that each of its units can exist in the runbook.
pub fn answers(file: Option<&Path>, loaded: &Loaded) -> Result<Answers, CliError> {
    let Some(file) = file else { return Ok(Answers::default()) };
    let (answers, text) = decode(file, Answers::decode)?;
    let problems = answers.review(&loaded.runbook, &loaded.script);
    if problems.iter().any(|problem| problem.severity == keybook_api::Severity::Error) {
        let sources = HashMap::from([(file.display().to_string(), text)]);
        return Err(CliError::Invalid { problems, sources });
    }
    Ok(answers)
}

/// Where a run's hosts come from.
#[allow(clippy::large_enum_variant)] // one of them exists in a process
pub enum Hosts {
    /// An inventory file.
    Inventory {
        /// The file.
        file: PathBuf,
        /// What it says.
        inventory: Inventory,
        /// Its text.
        text: String,
    },
    /// A scenario of the runbook.
    Sandbox {
        /// The file.
        file: PathBuf,
        /// What it says.
        scenario: Box<Scenario>,
    },
}

impl Hosts {
    /// From the command line: `--sandbox` or `-i`.
    pub fn find(sources: &Sources, runbook: &Path) -> Result<Self, CliError> {
        if let Some(name) = &sources.sandbox {
            return Self::scenario(&runbook.join("scenarios").join(format!("{name}.yaml")));
        }
        let Some(file) = &sources.inventory else {
            return Err(Fault::usage("find the hosts", "no inventory is named")
                .now("nothing was changed")
                .hint("name one with -i, or try the runbook with --sandbox")
                .into());
        };
        Self::inventory_file(file)
    }

    /// An inventory file; relative paths in it are relative to its folder.
    pub fn inventory_file(file: &Path) -> Result<Self, CliError> {
        Self::inventory_from(file, file.parent().unwrap_or(Path::new(".")))
    }

    /// An inventory file whose relative paths are relative to another folder than its own.
    pub fn inventory_from(file: &Path, folder: &Path) -> Result<Self, CliError> {
        let (inventory, text) = inventory(file, folder)?;
        Ok(Self::Inventory { file: file.to_owned(), inventory, text })
    }

    /// A scenario file.
    pub fn scenario(file: &Path) -> Result<Self, CliError> {
        Self::scenario_copy(file, file)
    }

    /// The copy of a scenario file; messages name the file itself.
    pub fn scenario_copy(file: &Path, own: &Path) -> Result<Self, CliError> {
        let shown = own.display().to_string();
        if !file.exists() {
            return Err(Fault::usage(format!("read the scenario {shown}"), "there is no such file")
                .now("nothing was changed")
                .hint("the runbook's folder scenarios/ holds those it ships; --sandbox takes a name without .yaml")
                .into());
        }
        let engine = keybook_stdlib::script_host(Limits::default());
        match Scenario::open(file, &shown, &engine) {
            Ok(scenario) => Ok(Self::Sandbox { file: file.to_owned(), scenario: Box::new(scenario) }),
            Err(invalid) => Err(CliError::Invalid { problems: invalid.problems, sources: invalid.sources }),
        }
    }

    /// Every file that was read, and its text: what a run keeps copies of.
    pub fn files(&self) -> Vec<(PathBuf, &str)> {
        match self {
            Self::Inventory { file, text, .. } => vec![(file.clone(), text)],
            Self::Sandbox { scenario, .. } => {
                scenario.sources.iter().map(|(file, text)| (PathBuf::from(file), text.as_str())).collect()
            }
        }
    }

    /// The texts of these files by the files' names, wherever they are.
    pub fn texts(&self) -> BTreeMap<OsString, String> {
        let named = |(file, text): (PathBuf, &str)| Some((file.file_name()?.to_owned(), text.to_owned()));
        self.files().into_iter().filter_map(named).collect()
    }

    /// The file it was read from.
    pub fn file(&self) -> &Path {
        match self {
            Self::Inventory { file, .. } | Self::Sandbox { file, .. } => file,
        }
    }

    /// Hosts and groups.
    pub fn inventory(&self) -> Inventory {
        match self {
            Self::Inventory { inventory, .. } => inventory.clone(),
            Self::Sandbox { scenario, .. } => Inventory {
                cluster: scenario.cluster.clone(),
                hosts: scenario.hosts.clone(),
                groups: scenario.groups.clone(),
                ..Inventory::default()
            },
        }
    }

    /// Input values that the scenario sets, for the sandbox; secret ones too.
    pub fn inputs(&self, runbook: &model::Runbook) -> Map {
        match self {
            Self::Inventory { .. } => Map::new(),
            Self::Sandbox { scenario, .. } => {
                let value = |name: &String, value: &Value| match runbook.inputs.get(name) {
                    Some(input) => input.made_up(value.clone()),
                    None => value.clone(),
                };
                scenario.inputs.iter().map(|(name, given)| (name.clone(), value(name, given))).collect()
            }
        }
    }

    /// Is it a sandbox?
    pub fn is_sandbox(&self) -> bool {
        matches!(self, Self::Sandbox { .. })
    }

    /// What reaches the hosts. The sandbox's folder is made when it is not there.
    pub fn connector(self, folder: &Path, ask: Option<Output>) -> Result<Arc<dyn Connector>, CliError> {
        match self {
            Self::Inventory { .. } => Ok(crate::commands::connector(ask)),
            Self::Sandbox { scenario, .. } => {
                let sandbox = if folder.exists() {
                    Sandbox::open(*scenario, folder)?
                } else {
                    Sandbox::create(*scenario, folder)?
                };
                Ok(Arc::new(SandboxConnector::new(sandbox)))
            }
        }
    }
}

/// Fills in the passwords and passphrases that the inventory takes from secret inputs.
pub fn fill_secrets(inventory: &mut Inventory, inputs: &Map) -> Result<(), Fault> {
    // What stands there is not repeated: somebody may have written the password itself.
    let secret =
        |host: &str, key: &str, name: &Option<String>| match name.as_ref().map(|name| inputs.get(name)) {
            None => Ok(None),
            Some(Some(Value::Secret(secret))) => Ok(Some(secret.clone())),
            Some(_) => {
                let why = format!("`{key}` of {host} names no secret input of the runbook");
                Err(Fault::usage("read the inventory", why).now("nothing was changed").hint(format!(
                    "`{key}` takes the name of an input of type secret, never the {key} itself"
                )))
            }
        };
    for (host, named) in inventory.secrets.clone() {
        let password = secret(&host, "password", &named.password)?;
        let passphrase = secret(&host, "passphrase", &named.passphrase)?;
        if let Some(spec) = inventory.hosts.get_mut(&host) {
            spec.password = password;
            spec.passphrase = passphrase;
        }
    }
    inventory.link_jumps();
    Ok(())
}

/// A person at the terminal, or nobody.
pub struct Company {
    /// Who answers.
    pub person: Arc<dyn Person>,
    /// Who watches.
    pub watchers: Vec<Arc<dyn Watcher>>,
    /// The spinner.
    pub screen: Arc<Screen>,
}

/// Guided when a person can be asked, otherwise unattended. A guided run without a terminal is refused.
pub fn company(
    run: &RunDir,
    answering: &Answering,
    output: &Output,
    cancel: &Cancel,
    past: &[Record],
) -> Result<Company, Fault> {
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !answering.unattended && !terminal {
        return Err(Fault::new(FaultKind::Usage, "guide a run", "there is no terminal to ask at")
            .now("nothing was changed")
            .hint("use --unattended, with --answers FILE for the gates"));
    }
    let screen = Screen::new(!answering.unattended && output.format != Format::Jsonl);
    let (inbox, name) = (run.path.join("inbox"), operator());
    let person: Arc<dyn Person> = if answering.unattended {
        Arc::new(Unattended { inbox, wait: answering.wait, cancel: cancel.clone(), name })
    } else {
        Arc::new(Guided {
            inbox,
            output: output.clone(),
            screen: Arc::clone(&screen),
            cancel: cancel.clone(),
            name,
            turn: tokio::sync::Mutex::default(),
        })
    };
    let watcher: Arc<dyn Watcher> = if output.format == Format::Jsonl {
        Arc::new(Jsonl)
    } else {
        let human = Human::new(output, Arc::clone(&screen), !answering.unattended);
        past.iter().for_each(|record| human.learn(record));
        Arc::new(human)
    };
    Ok(Company { person, watchers: vec![watcher], screen })
}

/// Everything but what differs between a new run and an old one.
pub struct Parts {
    /// The run's folder.
    pub run: RunDir,
    /// The runbook.
    pub loaded: Loaded,
    /// The hosts.
    pub hosts: Hosts,
    /// The inputs.
    pub inputs: Map,
    /// `--limit`.
    pub limit: Vec<String>,
    /// Salt of keyed hashes.
    pub salt: String,
}

/// The engine's setup from its parts.
pub fn setup(
    parts: Parts,
    answering: &Answering,
    output: &Output,
    company: &Company,
    cancel: Cancel,
) -> Result<Setup, CliError> {
    let Parts { run, loaded, hosts, inputs, limit, salt } = parts;
    let mut inventory = hosts.inventory();
    fill_secrets(&mut inventory, &inputs)?;
    for host in &limit {
        if !inventory.hosts.contains_key(host) {
            return Err(Fault::usage("use --limit", format!("there is no host `{host}`"))
                .now("nothing was changed")
                .into());
        }
    }
    model::input::check_hosts(&loaded.runbook.inputs, &inputs, inventory.hosts.keys().map(String::as_str))?;
    for (group, need) in &loaded.runbook.hosts {
        for host in inventory.groups.get(group).into_iter().flatten() {
            if let Some(spec) = inventory.hosts.get_mut(host) {
                spec.replaceable |= need.replaceable;
            }
        }
    }
    if let Some(phase) = &answering.until
        && !loaded.runbook.phases.contains(phase)
    {
        let phases = loaded.runbook.phases.join(", ");
        return Err(
            Fault::usage("use --until", format!("there is no phase `{phase}`; there are: {phases}")).into()
        );
    }
    let inventory_file = hosts.file().display().to_string();
    let sandbox = hosts.is_sandbox();
    let ask = (!answering.unattended).then(|| output.clone());
    let connector = hosts.connector(&run.path.join("sandbox"), ask)?;
    Ok(Setup {
        id: run.id.clone(),
        answers: answers(answering.answers.as_deref(), &loaded)?,
        loaded,
        inventory,
        inventory_file,
        inputs,
        registry: registry(),
        connector,
        trust: Arc::new(keybook_stdlib::Judge),
        person: Arc::clone(&company.person),
        options: Options {
            unattended: answering.unattended,
            ask_each: answering.step,
            until: answering.until.clone(),
            parallel: answering.parallel,
            sandbox,
            settled: Vec::new(),
            taken_back: Vec::new(),
            again: Vec::new(),
        },
        limit,
        watchers: company.watchers.clone(),
        redactor: Arc::new(Redactor::default()),
        cancel,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        salt,
    })
}

/// Collects inputs; a person is asked when there is one.
pub fn collect_inputs(loaded: &Loaded, args: &[String], known: &Map, ask: bool) -> Result<Map, CliError> {
    inputs::collect(&loaded.runbook, &Given { args, known, ask: ask && std::io::stdin().is_terminal() })
}
