//! The keys of a step besides its work.

use super::{
    Call, Decoder, Demand, Diagnostic, Effect, Gate, IndexMap, Key, Located, MapReader, Node, NodeValue,
    Order, Owes, Problems, Retry, Show, Step, Work, read, strings, suggest,
};
use keybook_api::{Value, args::plain_path, returns::Holds};
use std::time::Duration;

/// The nodes of a step's keys, asked for so that none of them counts as unknown.
pub(super) struct StepNodes<'n> {
    title: Option<&'n Node>,
    why: Option<&'n Node>,
    pub(super) hosts: Option<&'n Node>,
    when: Option<&'n Node>,
    pub(super) for_each: Option<&'n Node>,
    order: Option<&'n Node>,
    batch: Option<&'n Node>,
    max_failures: Option<&'n Node>,
    facts: Option<&'n Node>,
    check: Option<&'n Node>,
    expect: Option<&'n Node>,
    pub(super) register: Option<&'n Node>,
    retry: Option<&'n Node>,
    timeout: Option<&'n Node>,
    gate: Option<&'n Node>,
    backup: Option<&'n Node>,
    undo: Option<&'n Node>,
    irreversible: Option<&'n (Key, Node)>,
    atomic: Option<&'n Node>,
    owes: Option<&'n Node>,
    settles: Option<&'n Node>,
    breaks: Option<&'n Node>,
    phase: Option<&'n Node>,
    tags: Option<&'n Node>,
    secret: Option<&'n Node>,
}

impl<'n> StepNodes<'n> {
    pub(super) fn take(map: &mut MapReader<'n>) -> Self {
        Self {
            title: map.optional("title"),
            why: map.optional("why"),
            hosts: map.optional("hosts"),
            when: map.optional("when"),
            for_each: map.optional("for_each"),
            order: map.optional("order"),
            batch: map.optional("batch"),
            max_failures: map.optional("max_failures"),
            facts: map.optional("facts"),
            check: map.optional("check"),
            expect: map.optional("expect"),
            register: map.optional("register"),
            retry: map.optional("retry"),
            timeout: map.optional("timeout"),
            gate: map.optional("gate"),
            backup: map.optional("backup"),
            undo: map.optional("undo"),
            irreversible: map.entry("irreversible"),
            atomic: map.optional("atomic"),
            owes: map.optional("owes"),
            settles: map.optional("settles"),
            breaks: map.optional("breaks"),
            phase: map.optional("phase"),
            tags: map.optional("tags"),
            secret: map.optional("secret"),
        }
    }

    /// Keys that mean something only for an action are not silently ignored beside `steps`.
    /// `beside` is `steps` or `use`.
    pub(super) fn refuse_with_steps(&self, beside: &str, problems: &mut Problems) {
        let keys = [
            ("expect", self.expect),
            ("register", self.register),
            ("retry", self.retry),
            ("timeout", self.timeout),
            ("secret", self.secret),
        ];
        for (key, node) in keys {
            let Some(node) = node else { continue };
            let message = format!("`{key}` does not go with `{beside}`");
            problems.push(
                Diagnostic::error("with-steps", message, node.span.clone())
                    .help(format!("give `{key}` to the steps inside")),
            );
        }
    }

    /// A script that failed has done a part, and would do it again.
    pub(super) fn refuse_with_script(&self, problems: &mut Problems) {
        let Some(node) = self.retry else { return };
        problems.push(
            Diagnostic::error("retry-with-script", "`retry` does not go with `script`", node.span.clone())
                .label("what the script did before it failed would be done again")
                .help("repeat what may be repeated inside the script, in a loop with `try`"),
        );
    }

    pub(super) fn titles(&self, problems: &mut Problems) -> (String, String) {
        let mut text = |node: Option<&Node>| node.and_then(|n| read::string(n, problems)).unwrap_or_default();
        (text(self.title), text(self.why))
    }
}

impl Decoder<'_> {
    /// Everything of a step but its id, titles, hosts, register and work.
    pub(super) fn shell(&mut self, nodes: &StepNodes<'_>, id: &Located<String>, phases: &[String]) -> Step {
        let problems = &mut self.problems;
        let timeout = nodes.timeout.and_then(|n| read::duration(n, problems));
        let atomic = nodes.atomic.and_then(|n| read::bool(n, problems)).unwrap_or(false);
        let secret = nodes.secret.and_then(|n| read::bool(n, problems)).unwrap_or(false);
        let tags = nodes.tags.map(|n| strings(n, problems)).unwrap_or_default();
        let irreversible = nodes.irreversible.and_then(|entry| read_irreversible(entry, nodes, problems));
        let phase = nodes.phase.and_then(|n| read_phase(n, phases, problems));
        let settles = nodes
            .settles
            .and_then(|n| Some(Located::new(read::identifier(n, "obligation", problems)?, n.span.clone())));
        let order = read_order(nodes, problems);
        self.facts.clear();
        Step {
            id: id.clone(),
            title: String::new(),
            why: String::new(),
            hosts: None,
            when: nodes.when.and_then(|n| self.condition(n, &[])),
            for_each: nodes.for_each.and_then(|n| self.list_expr(n, &[])),
            order,
            facts: nodes.facts.map(|n| self.facts(n)).unwrap_or_default(),
            check: nodes.check.and_then(|n| self.condition(n, &["facts"])),
            expect: nodes.expect.map(|n| self.expects(n)).unwrap_or_default(),
            register: None,
            retry: nodes.retry.and_then(|n| self.retry(n)),
            timeout,
            gate: nodes.gate.and_then(|n| self.gate(n)),
            backup: nodes.backup.map(|n| self.backups(n)).unwrap_or_default(),
            undo: nodes.undo.and_then(|n| self.single_call(n, "`undo`", &["facts", "result"])),
            irreversible,
            atomic,
            owes: nodes.owes.and_then(|n| self.owes(n)),
            settles,
            reads: Vec::new(),
            breaks: nodes.breaks.map(|n| self.breaks(n)).unwrap_or_default(),
            phase,
            tags,
            secret,
            work: Work::Steps(Vec::new()),
            library: None,
            span: id.span.clone(),
        }
    }

    fn facts(&mut self, node: &Node) -> IndexMap<String, Call> {
        let mut facts = IndexMap::new();
        for (key, value) in self.entries(node, "`facts`") {
            let call = self.single_call(value, "a fact", &[]);
            let holds = call.as_ref().map_or(Holds::Anything, |call| self.result_of_call(call));
            self.facts.insert(key.name.clone(), holds);
            let Some(call) = call else { continue };
            if let Some(action) = self.registry.get(&call.action)
                && action.spec().effect != Effect::Reads
            {
                let message = format!("`{}` is not read-only, so it cannot be a fact", call.action);
                self.problems.push(Diagnostic::error("fact-changes", message, call.span.clone()));
            }
            facts.insert(key.name.clone(), call);
        }
        facts
    }

    /// A map with one action as its only key.
    pub(super) fn single_call(&mut self, node: &Node, what: &str, more: &[&str]) -> Option<Call> {
        let entries = MapReader::new(node, what, &mut self.problems)?.rest();
        match entries.as_slice() {
            [(key, value)] => self.call(key, value, more),
            _ => {
                let message = format!("{what} is exactly one action with its arguments");
                self.problems.push(Diagnostic::error("one-action", message, node.span.clone()));
                None
            }
        }
    }

    fn expects(&mut self, node: &Node) -> Vec<Demand> {
        let nodes: Vec<&Node> = match &node.value {
            NodeValue::List(list) => list.iter().collect(),
            _ => vec![node],
        };
        nodes.into_iter().filter_map(|n| self.demand(n)).collect()
    }

    /// An expression, or one with what is said when it is false.
    fn demand(&mut self, node: &Node) -> Option<Demand> {
        const SEEN: [&str; 2] = ["facts", "result"];
        let worded = match &node.value {
            NodeValue::Map(map) => map.iter().any(|(key, _)| matches!(key.name.as_str(), "that" | "else")),
            _ => false,
        };
        if !worded {
            return Some(Demand { that: self.condition(node, &SEEN)?, otherwise: None });
        }
        let mut map = MapReader::new(node, "what is demanded of the result", &mut self.problems)?;
        let that = map.required("that", &mut self.problems);
        let otherwise = map.required("else", &mut self.problems);
        map.finish(&mut self.problems);
        let that = that.and_then(|n| self.condition(n, &SEEN));
        let text = read::text(otherwise?, &mut self.problems)?.clone();
        let otherwise = self.template(&text, &SEEN);
        Some(Demand { that: that?, otherwise })
    }

    fn retry(&mut self, node: &Node) -> Option<Retry> {
        let mut map = MapReader::new(node, "`retry`", &mut self.problems)?;
        let times = map.required("times", &mut self.problems);
        let delay = map.optional("delay");
        let until = map.optional("until");
        map.finish(&mut self.problems);
        let times = read::int(times?, 1..=1_000_000, &mut self.problems)?;
        Some(Retry {
            times: u32::try_from(times).unwrap_or(u32::MAX),
            delay: delay
                .and_then(|n| read::duration(n, &mut self.problems))
                .unwrap_or(Duration::from_secs(1)),
            until: until.and_then(|n| self.demand(n)),
        })
    }

    fn gate(&mut self, node: &Node) -> Option<Gate> {
        let mut map = MapReader::new(node, "`gate`", &mut self.problems)?;
        let ask = map.required("ask", &mut self.problems);
        let show = map.optional("show");
        map.finish(&mut self.problems);
        let asked = ask?;
        let text = read::text(asked, &mut self.problems)?.clone();
        if text.as_str().trim().is_empty() {
            let problem =
                Diagnostic::error("gate-without-question", "the gate asks nothing", asked.span.clone());
            self.problems.push(problem.help("write what a person decides here, as a question"));
        }
        let ask = self.template(&text, &["facts"])?;
        self.remember_names(&node.span);
        let mut shown = Vec::new();
        for item in show.and_then(|n| read::list(n, &mut self.problems)).unwrap_or_default() {
            match read::enum_word(
                item,
                &["diff", "facts", "trust"],
                "part of what a gate shows",
                &mut self.problems,
            ) {
                Some("facts") => shown.push(Show::Facts),
                Some("trust") => shown.push(Show::Trust),
                Some(_) => shown.push(Show::Diff),
                None => {}
            }
        }
        Some(Gate { ask, show: shown, span: node.span.clone() })
    }

    fn backups(&mut self, node: &Node) -> Vec<super::Dynamic> {
        let nodes: Vec<&Node> = match &node.value {
            NodeValue::List(list) => list.iter().collect(),
            _ => vec![node],
        };
        nodes.into_iter().filter_map(|n| self.backed_up(n)).collect()
    }

    fn backed_up(&mut self, node: &Node) -> Option<super::Dynamic> {
        let path = self.dynamic(node, &["facts"])?;
        let got = |what: &str| Some(format!("expected a path, got {what}"));
        let wrong = match (self.inputs.kind_of(&path), path.shape()) {
            (Some(kind), _) if kind.value_type() != "string" => got(kind.value_type()),
            (_, Some(Value::Text(text))) => plain_path(&text).and_then(|()| no_pattern(&text)).err(),
            (_, Some(other)) => got(other.type_name()),
            (_, None) => None,
        };
        if let Some(why) = wrong {
            self.problems.push(Diagnostic::error("bad-path", why, node.span.clone()));
        }
        Some(path)
    }

    fn owes(&mut self, node: &Node) -> Option<Owes> {
        let mut map = MapReader::new(node, "`owes`", &mut self.problems)?;
        let what = map.required("what", &mut self.problems);
        let on = map.optional("on");
        map.finish(&mut self.problems);
        let what = what?;
        let name = read::identifier(what, "obligation", &mut self.problems)?;
        let on = on.and_then(|n| {
            let group = read::string(n, &mut self.problems)?;
            self.known_group(&group, n);
            Some(Located::new(group, n.span.clone()))
        });
        Some(Owes { what: Located::new(name, what.span.clone()), on })
    }
}

fn read_phase(node: &Node, phases: &[String], problems: &mut Problems) -> Option<String> {
    let phase = read::string(node, problems)?;
    if !phases.contains(&phase) {
        let mut problem =
            Diagnostic::error("unknown-phase", format!("no phase `{phase}` is declared"), node.span.clone());
        problem.help = suggest(&phase, phases.iter().map(String::as_str));
        problems.push(problem);
    }
    Some(phase)
}

/// What cannot be taken back is asked about first.
fn read_irreversible(
    (key, value): &(Key, Node),
    nodes: &StepNodes<'_>,
    problems: &mut Problems,
) -> Option<String> {
    if nodes.gate.is_none() {
        problems.push(
            Diagnostic::error(
                "irreversible-without-gate",
                "a step that cannot be taken back needs a `gate`",
                key.span.clone(),
            )
            .help("add `gate: { ask: … }` to this step, so that a person says yes to it"),
        );
    }
    read::string(value, problems)
}

fn read_order(nodes: &StepNodes<'_>, problems: &mut Problems) -> Order {
    let word = nodes.order.and_then(|n| read::enum_word(n, &["serial", "parallel"], "order", problems));
    let mut number = |node: Option<&Node>| {
        node.and_then(|n| read::int(n, 0..=1_000_000, problems))
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(0)
    };
    let (batch, max_failures) = (number(nodes.batch), number(nodes.max_failures));
    match word {
        Some("parallel") => Order::Parallel { batch, max_failures },
        _ => {
            for node in [nodes.batch, nodes.max_failures].into_iter().flatten() {
                problems.push(Diagnostic::error(
                    "order",
                    "`batch` and `max_failures` go with `order: parallel`",
                    node.span.clone(),
                ));
            }
            Order::Serial
        }
    }
}

/// A backup is of files and folders as they are named: nobody looks for others.
fn no_pattern(path: &str) -> Result<(), String> {
    if path.contains(['*', '?']) {
        return Err(format!(
            "`{path}` is a pattern, which nothing matches here; name the files, or the folder that they are in"
        ));
    }
    Ok(())
}
