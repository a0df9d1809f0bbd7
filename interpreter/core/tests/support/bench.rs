//! A runbook, an inventory and the parts of a run, ready to begin.

use super::{
    Scripted, World, actions,
    judge::WordForWord,
    tape::{Shot, Tape},
    target::FakeConnector,
};
use indexmap::IndexMap;
use keybook_api::{Cancel, Event, Fault, HostSpec, Map, Record, Redactor, RunId, UnitId, Value};
use keybook_core::{
    journal::reader,
    model::{Answers, Inventory, Loaded, load, load::LoadError},
    run::{
        engine::{self, Outcome, Setup},
        log::Watcher,
        person::{Doubt, Verdict},
        session::Options,
    },
};
use keybook_script::{Limits, ScriptHost};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

pub const RUN: &str = "20230110-101532-9f3a";

/// Head of every runbook here: hosts `a`, `b` and `c` in the group `master`, `m` in `manager`.
pub const HEAD: &str = "keybook: 1
name: test
version: 1.0.0
title: A test
hosts:
  master: { min: 1 }
  manager: { min: 0 }
  added: { min: 0 }
";

/// Declares the inputs that a text reads, after its end so that no line moves, each of the type of what is given.
fn declared_inputs(yaml: &str, given: &Map) -> String {
    let names = yaml
        .split("inputs.")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>());
    let names: std::collections::BTreeSet<String> = names.collect();
    if names.is_empty() || yaml.contains("\ninputs:") {
        return String::new();
    }
    let kind = |name: &str| match given.get(name) {
        Some(value @ (Value::Int(_) | Value::Bool(_) | Value::List(_))) => value.type_name(),
        _ => "string",
    };
    let lines = names.iter().map(|name| format!("\n  {name}: {{ type: {}, optional: true }}", kind(name)));
    format!("\ninputs:{}\n", lines.collect::<String>())
}

pub struct Bench {
    pub dir: tempfile::TempDir,
    pub world: Arc<World>,
    pub person: Arc<Scripted>,
    pub yaml: String,
    pub inputs: Map,
    pub answers: String,
    pub options: Options,
    pub limit: Vec<String>,
    pub groups: IndexMap<String, Vec<String>>,
    pub cancel: Cancel,
    pub watchers: Vec<Arc<dyn Watcher>>,
}

impl Bench {
    /// A bench whose runbook is [`HEAD`] and this.
    pub fn new(rest: &str) -> Self {
        Self::whole(&format!("{HEAD}{rest}"))
    }

    pub fn whole(yaml: &str) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Self {
            dir: folder(),
            world: World::with(&["a", "b", "c", "m", "n1"]),
            person: Arc::new(Scripted::new()),
            yaml: yaml.to_owned(),
            inputs: Map::new(),
            answers: String::new(),
            options: Options::default(),
            limit: Vec::new(),
            groups: IndexMap::from([
                ("master".to_owned(), names(&["a", "b", "c"])),
                ("manager".to_owned(), names(&["m"])),
            ]),
            cancel: Cancel::new(),
            watchers: Vec::new(),
        }
    }

    /// With only these hosts in the group `master`.
    pub fn masters(mut self, names: &[&str]) -> Self {
        self.groups.insert("master".into(), names.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// The same runbook and inventory, on other hosts and with another journal: after a crash.
    pub fn after(&self, journal: &[u8], world: Arc<World>) -> Self {
        let bench = Self {
            inputs: self.inputs.clone(),
            answers: self.answers.clone(),
            options: self.options.clone(),
            groups: self.groups.clone(),
            world,
            ..Self::whole(&self.yaml)
        };
        std::fs::write(bench.journal(), journal).unwrap();
        bench
    }

    /// The same at an instant that a tape recorded: after a crash there.
    pub fn killed_at(&self, shot: &Shot) -> Self {
        self.after(&shot.journal, World::from_hosts(&shot.hosts))
    }

    /// Records every instant from now on.
    pub fn tape(&mut self) -> Arc<Tape> {
        let tape = Tape::new(self.journal(), &self.world);
        self.watchers.push(Arc::clone(&tape) as Arc<_>);
        tape
    }

    /// Runs to a good end, and gives every state that a crash could have left on the way.
    pub async fn shots(&mut self) -> Vec<Shot> {
        let tape = self.tape();
        let outcome = self.start().await;
        assert_eq!(outcome.exit, 0, "{}", outcome.reason);
        tape.shots()
    }

    /// From now on the person answers doubts by looking at the host: an effect that happened is done.
    pub fn looks_at_hosts(&self) {
        let world = Arc::clone(&self.world);
        let decide = move |doubt: &Doubt| {
            let effect = doubt.lines[0].split("effect ").nth(1).unwrap();
            let effect: String =
                effect.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            let happened = world.effects(&doubt.unit.host, &effect) > 0;
            Some(if happened { Verdict::Done } else { Verdict::NotDone })
        };
        *self.person.on_doubt.lock().unwrap() = Some(Box::new(decide));
    }

    pub fn journal(&self) -> PathBuf {
        self.dir.path().join("journal.jsonl")
    }

    pub fn loaded(&self) -> Loaded {
        let yaml = format!("{}{}", self.yaml, declared_inputs(&self.yaml, &self.inputs));
        std::fs::write(self.dir.path().join("runbook.yaml"), yaml).unwrap();
        static SCRIPT: LazyLock<ScriptHost> = LazyLock::new(|| ScriptHost::new(Limits::default(), &[]));
        load(self.dir.path(), "book", &actions::registry(), &SCRIPT).unwrap_or_else(|error| match error {
            LoadError::Fault(fault) => panic!("{fault}"),
            LoadError::Invalid { problems, .. } => panic!("{problems:#?}"),
        })
    }

    pub fn inventory(&self) -> Inventory {
        let names = self.groups.values().flatten();
        Inventory {
            cluster: "c1".into(),
            hosts: names.map(|name| (name.clone(), HostSpec::named(name.as_str()))).collect(),
            groups: self.groups.clone(),
            secrets: IndexMap::new(),
            jumps: IndexMap::new(),
        }
    }

    pub fn setup(&self) -> Setup {
        let mut problems = keybook_source::Problems::default();
        let answers = if self.answers.is_empty() {
            Answers::default()
        } else {
            let text = format!("keybook: 1\nanswers:\n{}", self.answers);
            Answers::decode(&keybook_source::parse("answers", &text).unwrap(), &mut problems).unwrap()
        };
        assert!(!problems.errors(), "{problems:?}");
        Setup {
            id: RunId::new(RUN).unwrap(),
            loaded: self.loaded(),
            inventory: self.inventory(),
            inventory_file: "inventory.yaml".into(),
            inputs: self.inputs.clone(),
            registry: actions::registry(),
            connector: Arc::new(FakeConnector(Arc::clone(&self.world))),
            trust: Arc::new(WordForWord),
            person: Arc::clone(&self.person) as Arc<_>,
            answers,
            options: self.options.clone(),
            limit: self.limit.clone(),
            watchers: self.watchers.clone(),
            redactor: Arc::new(Redactor::default()),
            cancel: self.cancel.clone(),
            version: "0.1.0".into(),
            salt: "00ff".into(),
        }
    }

    pub async fn start(&self) -> Outcome {
        engine::start(self.setup(), &self.journal()).await.unwrap()
    }

    pub async fn resume(&self) -> Outcome {
        self.try_resume().await.unwrap()
    }

    pub async fn try_resume(&self) -> Result<Outcome, Fault> {
        let journal = reader::read(&self.journal()).unwrap();
        engine::resume(self.setup(), &self.journal(), &journal, Vec::new()).await
    }

    pub async fn roll_back(&self) -> Outcome {
        self.try_roll_back().await.unwrap()
    }

    pub async fn try_roll_back(&self) -> Result<Outcome, Fault> {
        let journal = reader::read(&self.journal()).unwrap();
        engine::roll_back(self.setup(), &self.journal(), &journal, "asked for", Vec::new()).await
    }

    pub fn records(&self) -> Vec<Record> {
        reader::read(&self.journal()).unwrap().records
    }

    /// The names of all events, of a unit's only when one is named.
    pub fn trail(&self, unit: &str) -> Vec<String> {
        let wanted = UnitId::parse(unit);
        self.records().iter().filter(|record| unit.is_empty() || record.unit == wanted).map(name).collect()
    }

    /// All units' ends, in order: `done a@h`, `skipped b@h`, …
    pub fn ends(&self) -> Vec<String> {
        let ends = ["unit.done", "unit.skipped", "unit.failed", "unit.undone", "unit.undo_failed"];
        let show = |record: &Record| {
            let name = name(record);
            ends.contains(&name.as_str())
                .then(|| format!("{} {}", name.trim_start_matches("unit."), record.unit.as_ref().unwrap()))
        };
        self.records().iter().filter_map(show).collect()
    }

    pub fn events(&self, of: &str) -> Vec<Event> {
        self.records().into_iter().filter(|record| name(record) == of).map(|record| record.event).collect()
    }
}

/// In memory where that is possible: every record is synced, and thousands of runs are made.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// The stable name of a record's event.
pub fn name(record: &Record) -> String {
    serde_json::to_value(&record.event).unwrap()["type"].as_str().unwrap().to_owned()
}

/// A secret value.
pub fn secret(text: &str) -> Value {
    Value::Secret(keybook_api::Secret::new(text))
}
