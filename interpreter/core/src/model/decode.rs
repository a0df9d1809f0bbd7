//! From located YAML to the model. Reports every problem it finds, each at its place.

use super::{
    Args, Call, Dynamic, Gate, HostChoice, HostNeed, Input, InputKind, LANGUAGE, Order, Owes, Pick, Retry,
    Runbook, Show, Step, Work,
};
use indexmap::{IndexMap, IndexSet};
use keybook_api::{Diagnostic, Effect, Located, Registry, SourceText, Value};
use keybook_script::{Expr, ScriptHost, Template};
use keybook_source::{Key, MapReader, Node, NodeValue, Problems, read, suggest};

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
    registered: IndexSet<String>,
    /// Groups the runbook declares.
    groups: IndexSet<String>,
}

impl<'d> Decoder<'d> {
    /// Begins.
    pub fn new(registry: &'d Registry, script: &'d ScriptHost) -> Self {
        Self {
            registry,
            script,
            problems: Problems::default(),
            registered: IndexSet::new(),
            groups: IndexSet::new(),
        }
    }

    /// Decodes a whole runbook; `None` when it is too damaged to go on. Look at `problems` in either case.
    pub fn runbook(&mut self, root: &Node) -> Option<Runbook> {
        let mut map = MapReader::new(root, "a runbook", &mut self.problems)?;
        let language = map.required("keybook", &mut self.problems);
        self.language(language?)?;
        let name = map.required("name", &mut self.problems);
        let version =
            map.required("version", &mut self.problems).and_then(|n| read::string(n, &mut self.problems));
        let title =
            map.required("title", &mut self.problems).and_then(|n| read::string(n, &mut self.problems));
        let requires = map.optional("requires").map(|n| self.requires(n)).unwrap_or_default();
        let inputs = map.optional("inputs").map(|n| self.inputs(n)).unwrap_or_default();
        let hosts = map.optional("hosts").map(|n| self.needs(n)).unwrap_or_default();
        self.groups = hosts.keys().cloned().collect();
        let phases = map.optional("phases").map(|n| strings(n, &mut self.problems)).unwrap_or_default();
        let steps = map.required("steps", &mut self.problems);
        let finally = map.optional("finally");
        map.finish(&mut self.problems);
        let steps = steps.map(|n| self.steps(n, false, &phases)).unwrap_or_default();
        let finally = finally.map(|n| self.steps(n, false, &phases)).unwrap_or_default();
        self.no_gates(&finally);
        let name = name?;
        Some(Runbook {
            name: Located::new(
                read::identifier(name, "name of a runbook", &mut self.problems)?,
                name.span.clone(),
            ),
            version: version?,
            title: title?,
            requires,
            inputs,
            hosts,
            phases,
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

    fn language(&mut self, node: &Node) -> Option<()> {
        match node.value {
            NodeValue::Int(LANGUAGE) => Some(()),
            NodeValue::Int(other) => {
                let message = format!("this runbook is written in language version {other}");
                self.problems.push(
                    Diagnostic::error("language-version", message, node.span.clone())
                        .label(format!("this program reads version {LANGUAGE}")),
                );
                None
            }
            _ => {
                let message = format!("expected the language version {LANGUAGE}, got {}", node.type_name());
                self.problems.push(Diagnostic::error("language-version", message, node.span.clone()));
                None
            }
        }
    }

    fn requires(&mut self, node: &Node) -> Vec<Located<String>> {
        let Some(mut map) = MapReader::new(node, "`requires`", &mut self.problems) else { return Vec::new() };
        let keybook = map.optional("keybook");
        let actions = map.optional("actions");
        map.finish(&mut self.problems);
        if let Some(node) = keybook
            && let Some(text) = read::string(node, &mut self.problems)
            && let Err(why) = check_requirement(&text)
        {
            self.problems.push(Diagnostic::error("requires", why, node.span.clone()));
        }
        let mut families = Vec::new();
        for item in actions.and_then(|n| read::list(n, &mut self.problems)).unwrap_or_default() {
            let Some(family) = read::string(item, &mut self.problems) else { continue };
            let known: IndexSet<&str> = self.registry.names().filter_map(|n| n.split('.').next()).collect();
            if !known.contains(family.as_str()) {
                let mut problem = Diagnostic::error(
                    "unknown-action",
                    format!("there are no `{family}` actions"),
                    item.span.clone(),
                );
                problem.help = suggest(&family, known.iter().copied());
                self.problems.push(problem);
            }
            families.push(Located::new(family, item.span.clone()));
        }
        families
    }

    fn inputs(&mut self, node: &Node) -> IndexMap<String, Input> {
        let mut inputs = IndexMap::new();
        for (key, value) in self.entries(node, "`inputs`") {
            if let Some(input) = self.input(value) {
                inputs.insert(key.name.clone(), input);
            }
        }
        inputs
    }

    /// The entries of a map whose keys are names chosen by the author.
    fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n Key, &'n Node)> {
        let entries =
            MapReader::new(node, what, &mut self.problems).map(|mut map| map.rest()).unwrap_or_default();
        for (key, _) in &entries {
            read::check_identifier(&key.name, "name", &key.span, &mut self.problems);
        }
        entries
    }

    fn input(&mut self, node: &Node) -> Option<Input> {
        let mut map = MapReader::new(node, "an input", &mut self.problems)?;
        let kind = map.required("type", &mut self.problems);
        let values = map.optional("values");
        let default = map.optional("default");
        let optional = map.optional("optional");
        let help = map.optional("help");
        let (min, max) = (map.optional("min"), map.optional("max"));
        map.finish(&mut self.problems);
        let problems = &mut self.problems;
        let words = ["string", "int", "bool", "enum", "path", "duration", "list", "secret"];
        let kind = match read::enum_word(kind?, &words, "an input type", problems)? {
            "int" => InputKind::Int,
            "bool" => InputKind::Bool,
            "enum" => InputKind::Enum(values.map(|n| strings(n, problems)).unwrap_or_default()),
            "path" => InputKind::Path,
            "duration" => InputKind::Duration,
            "list" => InputKind::List,
            "secret" => InputKind::Secret,
            _ => InputKind::Text,
        };
        let number = |node: Option<&Node>, problems: &mut Problems| {
            node.and_then(|n| read::int(n, i64::MIN..=i64::MAX, problems))
        };
        let mut input = Input {
            kind,
            default: None,
            optional: optional.and_then(|n| read::bool(n, problems)).unwrap_or(false),
            help: help.and_then(|n| read::string(n, problems)).unwrap_or_default(),
            min: number(min, problems),
            max: number(max, problems),
            span: node.span.clone(),
        };
        if let Some(node) = default {
            match input.check(node.to_value()) {
                Ok(value) => input.default = Some(value),
                Err(why) => problems.push(Diagnostic::error("wrong-type", why, node.span.clone())),
            }
        }
        Some(input)
    }

    fn needs(&mut self, node: &Node) -> IndexMap<String, HostNeed> {
        let mut needs = IndexMap::new();
        for (key, value) in self.entries(node, "`hosts`") {
            if let Some(need) = self.need(value) {
                needs.insert(key.name.clone(), need);
            }
        }
        needs
    }

    fn need(&mut self, node: &Node) -> Option<HostNeed> {
        let mut map = MapReader::new(node, "a group of hosts", &mut self.problems)?;
        let keys = ["min", "max", "exactly", "free_mib"].map(|key| map.optional(key));
        let help = map.optional("help");
        let tools = map.optional("tools");
        let replaceable = map.optional("replaceable");
        map.finish(&mut self.problems);
        let problems = &mut self.problems;
        let [min, max, exactly, free] = keys.map(|node| {
            node.and_then(|n| read::int(n, 0..=1_000_000, problems)).and_then(|n| usize::try_from(n).ok())
        });
        Some(HostNeed {
            min: exactly.or(min).unwrap_or(1),
            max: exactly.or(max),
            help: help.and_then(|n| read::string(n, problems)).unwrap_or_default(),
            tools: tools.map(|n| strings(n, problems)).unwrap_or_default(),
            free_mib: free.unwrap_or(64) as u64,
            replaceable: replaceable.and_then(|n| read::bool(n, problems)).unwrap_or(false),
            span: node.span.clone(),
        })
    }

    fn steps(&mut self, node: &Node, inside: bool, phases: &[String]) -> Vec<Step> {
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

    fn step(&mut self, node: &Node, inside: bool, phases: &[String], place: usize) -> Option<Step> {
        let mut map = MapReader::new(node, "a step", &mut self.problems)?;
        let id = map.optional("id");
        let fields = StepNodes::take(&mut map);
        let children = map.optional("steps");
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
        if children.is_some() {
            fields.refuse_with_steps(&mut self.problems);
        }
        let shell = self.shell(&fields, &id, phases);
        let work = self.work(node, children, &actions, inside_now, phases)?;
        let registered = fields.register.and_then(|n| self.register(n));
        let (title, why) = titles;
        Some(Step {
            title: if title.is_empty() { id.value.clone() } else { title },
            why,
            hosts,
            work,
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

    fn choice(&mut self, node: &Node, inside: bool) -> Option<HostChoice> {
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

    fn known_group(&mut self, group: &str, node: &Node) {
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

    fn work(
        &mut self,
        node: &Node,
        children: Option<&Node>,
        actions: &[(&Key, &Node)],
        inside: bool,
        phases: &[String],
    ) -> Option<Work> {
        match (children, actions) {
            (Some(list), []) => Some(Work::Steps(self.steps(list, inside, phases))),
            (None, [(key, value)]) => self.call(key, value, &["facts"]).map(Work::Action),
            (None, []) => {
                self.problems.push(
                    Diagnostic::error("missing-action", "this step does nothing", node.span.clone())
                        .help("give it an action such as `file.put:`, or `steps:`"),
                );
                None
            }
            (_, [.., (key, _)]) => {
                self.problems.push(
                    Diagnostic::error("two-actions", "a step does exactly one thing", key.span.clone())
                        .help("make two steps of it, or put both under `steps:`"),
                );
                None
            }
        }
    }

    fn call(&mut self, key: &Key, node: &Node, more: &[&str]) -> Option<Call> {
        let Some(action) = self.registry.get(&key.name) else {
            let mut problem = Diagnostic::error(
                "unknown-action",
                format!("there is no action `{}`", key.name),
                key.span.clone(),
            );
            problem.help = suggest(&key.name, self.registry.names());
            self.problems.push(problem);
            return None;
        };
        let spec = action.spec();
        let mut args = IndexMap::new();
        let entries: Vec<(&Key, &Node)> = match &node.value {
            NodeValue::Null => Vec::new(),
            _ => MapReader::new(node, &format!("`{}`", key.name), &mut self.problems)?.rest(),
        };
        for (name, value) in &entries {
            let Some(arg) = spec.args.iter().find(|arg| arg.name == name.name) else {
                let message = format!("`{}` has no argument `{}`", spec.name, name.name);
                let mut problem = Diagnostic::error("unknown-argument", message, name.span.clone());
                problem.help = suggest(&name.name, spec.args.iter().map(|arg| arg.name));
                self.problems.push(problem);
                continue;
            };
            let Some(dynamic) = self.dynamic(value, more) else { continue };
            if let Some(fixed) = dynamic.fixed()
                && !matches!(fixed, Value::Null)
                && let Err(why) = keybook_api::action::fits(arg.kind, &fixed)
            {
                let message = format!("the argument `{}`: {why}", arg.name);
                self.problems.push(Diagnostic::error("wrong-type", message, value.span.clone()));
            }
            args.insert(name.name.clone(), dynamic);
        }
        let given = |wanted: &str| entries.iter().any(|(name, _)| name.name == wanted);
        for arg in spec.args.iter().filter(|arg| arg.required && !given(arg.name)) {
            let message = format!("`{}` needs the argument `{}`", spec.name, arg.name);
            self.problems
                .push(Diagnostic::error("missing-argument", message, key.span.clone()).label(arg.doc));
        }
        Some(Call { action: key.name.clone(), args: Args(args), span: key.span.clone() })
    }

    fn register(&mut self, node: &Node) -> Option<Located<String>> {
        let name = read::string(node, &mut self.problems)?;
        let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let reserved = NAMES.iter().chain(&["facts", "result"]).any(|taken| *taken == name);
        if !fits || reserved || !self.registered.insert(name.clone()) {
            let message = if !fits {
                format!("`{name}` is no name for a result: lower-case letters, digits and `_`")
            } else {
                format!("the name `{name}` is taken")
            };
            self.problems.push(Diagnostic::error("register", message, node.span.clone()));
            return None;
        }
        Some(Located::new(name, node.span.clone()))
    }

    fn names<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        NAMES
            .iter()
            .copied()
            .chain(more.iter().copied())
            .chain(self.registered.iter().map(String::as_str))
            .collect()
    }

    fn expr(&mut self, node: &Node, more: &[&str]) -> Option<Expr> {
        let text = read::expression(node, &mut self.problems)?.clone();
        let compiled = self.script.expr(&text, &self.names(more));
        compiled.map_err(|found| found.into_iter().for_each(|problem| self.problems.push(problem))).ok()
    }

    fn template(&mut self, text: &SourceText, more: &[&str]) -> Option<Template> {
        let compiled = self.script.template(text, &self.names(more));
        compiled.map_err(|found| found.into_iter().for_each(|problem| self.problems.push(problem))).ok()
    }

    fn dynamic(&mut self, node: &Node, more: &[&str]) -> Option<Dynamic> {
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

/// Texts without their places.
pub(super) fn strings(node: &Node, problems: &mut Problems) -> Vec<String> {
    let texts = read::strings(node, problems).unwrap_or_default();
    texts.into_iter().map(|text| text.as_str().to_owned()).collect()
}

/// `>=0.1` against this program's version.
fn check_requirement(text: &str) -> Result<(), String> {
    let numbers =
        |text: &str| -> Option<Vec<u64>> { text.split('.').map(|part| part.parse().ok()).collect() };
    let wanted = text.strip_prefix(">=").and_then(|rest| numbers(rest.trim()));
    let Some(wanted) = wanted else { return Err(format!("`{text}` is no requirement; write \">=0.1\"")) };
    let own = env!("CARGO_PKG_VERSION");
    match numbers(own) {
        Some(have) if have >= wanted => Ok(()),
        _ => Err(format!("this runbook needs keybook {text}; this is {own}")),
    }
}

mod parts;
use parts::StepNodes;
