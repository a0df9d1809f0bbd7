//! From located YAML to the model. Reports every problem it finds, each at its place.

use super::{
    Call, Demand, Dynamic, Gate, HostChoice, InputKind, Order, Owes, Pick, Retry, Runbook, Show, Step, Work,
};
use indexmap::{IndexMap, IndexSet};
use keybook_api::{Diagnostic, Effect, Located, Registry, SourceText, Span, returns::Holds};
use keybook_script::{Expr, NameUse, ScriptHost, Template};
use keybook_source::{Key, MapReader, Node, NodeValue, Problems, read, suggest};
use std::collections::{BTreeSet, HashMap};

/// Names every expression may use.
pub const NAMES: &[&str] = &["inputs", "host", "item", "hosts", "groups", "run", "by_host"];

/// What decoding needs besides the tree.
pub struct Decoder<'d> {
    /// The actions there are.
    pub registry: &'d Registry,
    /// Compiles expressions (knows the functions of hooks.rhai).
    pub script: &'d ScriptHost,
    /// Everything found so far.
    pub problems: Problems,
    /// Names registered by the steps so far.
    registered: IndexMap<String, Holds>,
    /// Groups the runbook declares.
    groups: IndexSet<String>,
    /// Step libraries by name.
    libraries: &'d IndexMap<String, Node>,
    /// The libraries that are being read, outermost first.
    using: Vec<String>,
    /// Libraries that some step uses.
    used_libraries: BTreeSet<String>,
    /// Inputs of the runbook or of the library that is being read.
    inputs: InputNames,
    /// The facts of the step that is being read.
    facts: IndexMap<String, Holds>,
    /// What the result of the step that is being read holds.
    result: Holds,
    /// Is a step with `for_each` being read, or one inside it? A registered result may be a map by items then.
    looped: bool,
    /// What the question of each gate may use, by the gate's place.
    asks: HashMap<Span, AskScope>,
    /// The names that the step that is being read uses.
    reads: Vec<NameUse>,
}

/// Declared inputs, and those that some expression reads.
#[derive(Default)]
struct InputNames {
    declared: IndexMap<String, Option<Span>>,
    /// The types of those that could be read.
    kinds: IndexMap<String, InputKind>,
    used: BTreeSet<String>,
    /// `inputs` itself is handed on, so each of them may be read.
    all_used: bool,
}

impl<'d> Decoder<'d> {
    /// Begins.
    pub fn new(
        registry: &'d Registry,
        script: &'d ScriptHost,
        libraries: &'d IndexMap<String, Node>,
    ) -> Self {
        Self {
            registry,
            script,
            problems: Problems::default(),
            registered: IndexMap::new(),
            groups: IndexSet::new(),
            libraries,
            using: Vec::new(),
            used_libraries: BTreeSet::new(),
            inputs: InputNames::default(),
            facts: IndexMap::new(),
            result: Holds::Anything,
            looped: false,
            asks: HashMap::new(),
            reads: Vec::new(),
        }
    }

    /// Decodes a whole runbook; `None` when it is too damaged to go on. Look at `problems` in either case.
    pub fn runbook(&mut self, root: &Node) -> Option<Runbook> {
        let mut map = MapReader::new(root, "a runbook", &mut self.problems)?;
        let language = map.required("keybook", &mut self.problems);
        self.language(language)?;
        let name = map.required("name", &mut self.problems);
        let version =
            map.required("version", &mut self.problems).and_then(|n| read::string(n, &mut self.problems));
        let title =
            map.required("title", &mut self.problems).and_then(|n| read::string(n, &mut self.problems));
        let lang = map.optional("lang");
        let requires = map.optional("requires").map(|n| self.requires(n)).unwrap_or_default();
        let (input_nodes, host_nodes) = (map.optional("inputs"), map.optional("hosts"));
        let inputs = input_nodes.map(|n| self.inputs(n)).unwrap_or_default();
        let hosts = host_nodes.map(|n| self.needs(n)).unwrap_or_default();
        self.groups = hosts.keys().cloned().collect();
        self.groups.extend(keys_of(host_nodes));
        self.inputs.declared = names_of(&inputs, input_nodes);
        self.inputs.kinds = kinds_of(&inputs);
        let phases = map.optional("phases").map(|n| strings(n, &mut self.problems)).unwrap_or_default();
        let trust = map.optional("trust");
        let steps = map.required("steps", &mut self.problems);
        let finally = map.optional("finally");
        map.finish(&mut self.problems);
        let trust = trust.map(|n| self.trust(n)).unwrap_or_default();
        let steps = steps.map(|n| self.steps(n, false, &phases)).unwrap_or_default();
        let finally = finally.map(|n| self.steps(n, false, &phases)).unwrap_or_default();
        self.no_gates(&finally);
        self.known_breaks(&trust, &steps);
        self.known_breaks(&trust, &finally);
        self.read_too_early(&root.span.file);
        self.unused_inputs();
        self.unused_libraries();
        let lang = lang.and_then(|n| self.own_language(n));
        let name = name?;
        Some(Runbook {
            name: Located::new(
                read::identifier(name, "name of a runbook", &mut self.problems)?,
                name.span.clone(),
            ),
            version: version?,
            title: title?,
            lang: lang.unwrap_or_else(|| Located::new(super::i18n::DEFAULT.to_owned(), name.span.clone())),
            requires,
            inputs,
            hosts,
            phases,
            trust,
            steps,
            finally,
        })
    }

    /// What is done in any case cannot depend on an answer.
    fn no_gates(&mut self, steps: &[Step]) {
        for step in steps {
            if let Some(gate) = &step.gate {
                self.problems.push(
                    Diagnostic::error(
                        "gate-in-finally",
                        "a step of `finally` has no gate",
                        gate.span.clone(),
                    )
                    .label("it is carried out in any case, also when nobody is there to answer"),
                );
            }
            self.no_gates(step.children());
        }
    }

    pub(super) fn steps(&mut self, node: &Node, inside: bool, phases: &[String]) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for item in read::list(node, &mut self.problems).unwrap_or_default() {
            let Some(step) = self.step(item, inside, phases, steps.len()) else { continue };
            if let Some(first) = steps.iter().find(|other| other.id.value == step.id.value) {
                let message = format!("the id `{}` is taken", step.id.value);
                self.problems.push(
                    Diagnostic::error("duplicate-id", message, step.id.span.clone())
                        .label(format!("first used at line {}", first.id.span.line)),
                );
            }
            steps.push(step);
        }
        if steps.is_empty() && !self.problems.errors() {
            self.problems.push(Diagnostic::error("empty", "there is no step here", node.span.clone()));
        }
        steps
    }

    pub(super) fn step(
        &mut self,
        node: &Node,
        inside: bool,
        phases: &[String],
        place: usize,
    ) -> Option<Step> {
        let around = std::mem::take(&mut self.reads);
        let step = self.step_alone(node, inside, phases, place);
        let reads = std::mem::replace(&mut self.reads, around);
        Some(Step { reads, ..step? })
    }

    fn step_alone(&mut self, node: &Node, inside: bool, phases: &[String], place: usize) -> Option<Step> {
        let mut map = MapReader::new(node, "a step", &mut self.problems)?;
        let id = map.optional("id");
        let fields = StepNodes::take(&mut map);
        let children = map.optional("steps");
        let (uses, with) = (map.optional("use"), map.entry("with"));
        let script = map.optional("script");
        let actions = map.rest_where(|name| name.contains('.'));
        map.finish(&mut self.problems);
        let id = match id {
            Some(node) => {
                Located::new(read::identifier(node, "step id", &mut self.problems)?, node.span.clone())
            }
            None => self.implied_id(node, &actions, place)?,
        };
        let (titles, hosts) = (fields.titles(&mut self.problems), fields.hosts);
        let hosts = hosts.and_then(|n| self.choice(n, inside));
        let inside_now = inside || hosts.is_some();
        if children.is_some() || uses.is_some() {
            let beside = if children.is_some() { "steps" } else { "use" };
            fields.refuse_with_steps(beside, &mut self.problems);
        }
        if script.is_some() {
            fields.refuse_with_script(&mut self.problems);
        }
        let result = self.result_of(&actions);
        self.result = result;
        let shell = self.shell(&fields, &id, phases);
        let nodes = WorkNodes { step: node, children, uses, script, with, actions: &actions };
        let around = self.looped;
        self.looped |= fields.for_each.is_some();
        let work = self.work(&nodes, inside_now, phases);
        // Before a step that cannot be read is given up: what later steps say of its result is not wrong.
        let registered = fields.register.and_then(|n| self.register(n, result));
        self.looped = around;
        let (work, library) = work?;
        let (title, why) = titles;
        Some(Step {
            title: if title.is_empty() { id.value.clone() } else { title },
            why,
            hosts,
            work,
            library,
            register: registered,
            span: node.span.clone(),
            id,
            ..shell
        })
    }

    /// A step may leave its id out where its action says it (`wait.for` → `wait-for`, then `wait-for-2`).
    fn implied_id(
        &mut self,
        node: &Node,
        actions: &[(&Key, &Node)],
        place: usize,
    ) -> Option<Located<String>> {
        match actions.first() {
            Some((key, _)) => {
                let base = key.name.replace(['.', '_'], "-");
                let id = if place == 0 { base } else { format!("{base}-{}", place + 1) };
                Some(Located::new(id, key.span.clone()))
            }
            None => {
                self.problems.push(
                    Diagnostic::error("missing-key", "this step has no `id`", node.span.clone())
                        .help("only a step with an action may leave its id out"),
                );
                None
            }
        }
    }

    pub(super) fn choice(&mut self, node: &Node, inside: bool) -> Option<HostChoice> {
        if inside {
            self.problems.push(
                Diagnostic::error(
                    "nested-hosts",
                    "a step inside a step with `hosts` has none of its own",
                    node.span.clone(),
                )
                .label("it runs on each host of the outer step")
                .help("move it out, or give `hosts` to the inner steps only"),
            );
            return None;
        }
        let texts: Vec<&Node> = match &node.value {
            NodeValue::List(list) => list.iter().collect(),
            _ => vec![node],
        };
        let mut picks = Vec::new();
        for item in texts {
            let Some(text) = read::string(item, &mut self.problems) else { continue };
            match Pick::parse(&text) {
                Ok(pick) => {
                    self.known_group(&pick.group, item);
                    picks.push(pick);
                }
                Err(why) => self.problems.push(Diagnostic::error("hosts", why, item.span.clone())),
            }
        }
        Some(HostChoice { picks, span: node.span.clone() })
    }

    pub(super) fn known_group(&mut self, group: &str, node: &Node) {
        if !self.groups.contains(group) {
            let mut problem = Diagnostic::error(
                "unknown-group",
                format!("no group `{group}` is declared under `hosts`"),
                node.span.clone(),
            );
            problem.help = suggest(group, self.groups.iter().map(String::as_str));
            self.problems.push(problem);
        }
    }

    fn names<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        NAMES
            .iter()
            .copied()
            .chain(more.iter().copied())
            .chain(self.registered.keys().map(String::as_str))
            .collect()
    }

    pub(super) fn expr(&mut self, node: &Node, more: &[&str]) -> Option<Expr> {
        let text = read::expression(node, &mut self.problems)?.clone();
        let compiled = self.script.expr(&text, &self.names(more));
        let compiled = compiled.map_err(|found| {
            found
                .into_iter()
                .for_each(|problem| self.problems.push(with_comment_advice(elsewhere(problem), node)));
        });
        let expr = compiled.ok()?;
        keybook_script::names_used(&expr).iter().for_each(|used| self.known_name(used));
        self.never_equal(&expr);
        Some(expr)
    }

    pub(super) fn template(&mut self, text: &SourceText, more: &[&str]) -> Option<Template> {
        let compiled = self.script.template(text, &self.names(more));
        let compiled = compiled
            .map_err(|found| found.into_iter().for_each(|problem| self.problems.push(elsewhere(problem))));
        let template = compiled.ok()?;
        template.names_used().for_each(|used| self.known_name(used));
        template.exprs().for_each(|expr| self.never_equal(expr));
        Some(template)
    }

    pub(super) fn dynamic(&mut self, node: &Node, more: &[&str]) -> Option<Dynamic> {
        Some(match &node.value {
            NodeValue::Text(text) if text.as_str().contains("${") => {
                Dynamic::Template(self.template(text, more)?, node.span.clone())
            }
            NodeValue::List(list) => {
                Dynamic::List(list.iter().map(|item| self.dynamic(item, more)).collect::<Option<_>>()?)
            }
            NodeValue::Map(map) => Dynamic::Map(
                map.iter()
                    .map(|(key, item)| Some((key.name.clone(), self.dynamic(item, more)?)))
                    .collect::<Option<_>>()?,
            ),
            _ => Dynamic::Fixed(node.to_value()),
        })
    }
}

/// In YAML, ` #` begins a comment, so an unquoted expression with a map in it (`#{ … }`) ends too early.
fn with_comment_advice(problem: Diagnostic, node: &Node) -> Diagnostic {
    if problem.help.is_none() && problem.message.ends_with("is incomplete") && node.plain.is_some() {
        return problem.help("in YAML, ` #` begins a comment; put an expression that has one in quotes");
    }
    problem
}

/// Texts without their places.
pub(super) fn strings(node: &Node, problems: &mut Problems) -> Vec<String> {
    let texts = read::strings(node, problems).unwrap_or_default();
    texts.into_iter().map(|text| text.as_str().to_owned()).collect()
}

mod calls;
mod foreseen;
mod head;
mod i18n;
mod input;
mod library;
mod names;
mod parts;
mod script;
mod trust;
use calls::WorkNodes;
use foreseen::elsewhere;
use i18n::AskScope;
pub(super) use names::no_such_key;
use names::{keys_of, kinds_of, names_of};
use parts::StepNodes;
pub(super) use script::{called, misfit, stray_key};
