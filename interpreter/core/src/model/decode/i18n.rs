//! Translations: `i18n/LANG.yaml`, read when the runbook is.

use super::{Decoder, InputNames};
use crate::model::{
    Gate, Runbook, Step,
    i18n::{self, Place, StepText, StepTexts, Translation},
};
use indexmap::{IndexMap, IndexSet};
use keybook_api::{Diagnostic, Located, Severity, Span, returns::Holds};
use keybook_script::{NameUse, Template};
use keybook_source::{Key, MapReader, Node, read, suggest};

/// How many texts that are not translated are named.
const MOST_NAMED: usize = 20;

/// The names that the question of a gate may use, so that its translations are held to the same.
pub(super) struct AskScope {
    registered: IndexMap<String, Holds>,
    facts: IndexMap<String, Holds>,
    inputs: IndexMap<String, Option<Span>>,
}

impl Decoder<'_> {
    /// Keeps what the question of the gate at a place may use.
    pub(super) fn remember_names(&mut self, gate: &Span) {
        let scope = AskScope {
            registered: self.registered.clone(),
            facts: self.facts.clone(),
            inputs: self.inputs.declared.clone(),
        };
        self.asks.insert(gate.clone(), scope);
    }

    /// Decodes the files of `i18n/` by their names, after the runbook. What is missing, or for nothing, is only told when
    /// the runbook itself was read without an error.
    pub fn translations(
        &mut self,
        roots: &IndexMap<String, Node>,
        runbook: &Runbook,
    ) -> IndexMap<String, Translation> {
        let places = i18n::places(runbook);
        let whole = !self.problems.errors();
        let mut translations = IndexMap::new();
        for (name, root) in roots {
            let before = self.problems.as_slice().len();
            let mut reading = Reading { decoder: self, places: &places, whole };
            let Some(translation) = reading.file(name, root, runbook) else { continue };
            // A text whose key is misspelt is not missing as well.
            let read = self.problems.as_slice().iter().skip(before);
            if whole && !read.clone().any(|problem| problem.severity == Severity::Error) {
                self.problems.extend(missing(&translation, runbook));
            }
            translations.insert(name.clone(), translation);
        }
        translations
    }

    /// The runbook's own language.
    pub(super) fn own_language(&mut self, node: &Node) -> Option<Located<String>> {
        let lang = read::string(node, &mut self.problems)?;
        if !i18n::is_tag(&lang) {
            self.problems.push(no_tag(&lang, &node.span));
            return None;
        }
        Some(Located::new(lang, node.span.clone()))
    }
}

fn no_tag(lang: &str, at: &Span) -> Diagnostic {
    Diagnostic::error("bad-language", format!("`{lang}` is no language"), at.clone())
        .help("write its tag, such as zh, zh-CN or pt-BR")
}

/// One translation under way.
struct Reading<'t, 'd, 'r> {
    decoder: &'t mut Decoder<'d>,
    places: &'t [Place<'r>],
    /// Is the runbook known as a whole? Otherwise a step may be there that could not be read.
    whole: bool,
}

impl Reading<'_, '_, '_> {
    fn file(&mut self, name: &str, root: &Node, runbook: &Runbook) -> Option<Translation> {
        let problems = &mut self.decoder.problems;
        let mut map = MapReader::new(root, "a translation", problems)?;
        let (language, lang) = (map.required("keybook", problems), map.required("lang", problems));
        let title = map.optional("title");
        let [inputs, hosts, steps, libraries] =
            ["inputs", "hosts", "steps", "libraries"].map(|key| map.optional(key));
        map.finish(problems);
        self.decoder.language(language)?;
        language?;
        let lang = self.lang(name, lang?, runbook)?;
        let title = title.and_then(|node| self.text(node));
        let input_names: Vec<&str> = runbook.inputs.keys().map(String::as_str).collect();
        let group_names: Vec<&str> = runbook.hosts.keys().map(String::as_str).collect();
        let inputs = self.helps(inputs, "`inputs`", ("unknown-input", "input"), &input_names);
        let hosts = self.helps(hosts, "`hosts`", ("unknown-group", "group"), &group_names);
        let steps = steps.map(|node| self.steps(node, None)).unwrap_or_default();
        let libraries = libraries.map(|node| self.libraries(node)).unwrap_or_default();
        Some(Translation { lang, title, inputs, hosts, steps, libraries })
    }

    /// The language must be that of the file's name, and not the runbook's own.
    fn lang(&mut self, name: &str, node: &Node, runbook: &Runbook) -> Option<Located<String>> {
        let lang = self.decoder.own_language(node)?;
        if lang.value != name {
            let message = format!("this file is the translation into `{name}`");
            self.push(
                Diagnostic::error("translation-language", message, node.span.clone())
                    .label("its language is that of its file")
                    .help(format!("write `lang: {name}`, or rename the file to {}.yaml", lang.value)),
            );
            return None;
        }
        if lang.value == runbook.lang.value {
            let message = format!("the runbook itself is in `{}`", lang.value);
            self.push(
                Diagnostic::error("translation-language", message, node.span.clone())
                    .help("say in runbook.yaml which language is its own, with `lang: …`"),
            );
            return None;
        }
        Some(lang)
    }

    fn push(&mut self, problem: Diagnostic) {
        self.decoder.problems.push(problem);
    }

    /// A text that says something; an empty one counts as missing.
    fn text(&mut self, node: &Node) -> Option<String> {
        read::string(node, &mut self.decoder.problems).filter(|text| !text.trim().is_empty())
    }

    fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(&'n Key, &'n Node)> {
        let map = MapReader::new(node, what, &mut self.decoder.problems);
        map.map(|mut map| map.rest()).unwrap_or_default()
    }

    fn helps(
        &mut self,
        node: Option<&Node>,
        section: &str,
        (code, what): (&'static str, &str),
        known: &[&str],
    ) -> IndexMap<String, String> {
        let mut helps = IndexMap::new();
        let Some(node) = node else { return helps };
        for (key, value) in self.entries(node, section) {
            if self.whole && !known.contains(&key.name.as_str()) {
                let message = format!("the runbook has no {what} `{}`", key.name);
                self.push(advised(code, message, key, known.iter().copied()));
                continue;
            }
            if let Some(text) = self.text(value) {
                helps.insert(key.name.clone(), text);
            }
        }
        helps
    }

    fn libraries(&mut self, node: &Node) -> IndexMap<String, StepTexts> {
        let known: IndexSet<&str> = self.places.iter().filter_map(|place| place.library).collect();
        let mut libraries = IndexMap::new();
        for (key, value) in self.entries(node, "`libraries`") {
            if self.whole && !known.contains(key.name.as_str()) {
                let message = format!("the runbook uses no library `{}`", key.name);
                self.push(advised("unknown-library", message, key, known.iter().copied()));
                continue;
            }
            libraries.insert(key.name.clone(), self.steps(value, Some(&key.name)));
        }
        libraries
    }

    fn steps(&mut self, node: &Node, library: Option<&str>) -> StepTexts {
        let mut texts = StepTexts::new();
        for (key, value) in self.entries(node, "the steps of a translation") {
            let found = self.places.iter().find(|place| place.library == library && place.path == key.name);
            let step = found.map(|place| place.step);
            if step.is_none() && self.whole {
                let problem = self.unknown_step(key, library);
                self.push(problem);
                continue;
            }
            if let Some(text) = self.step(key, value, step) {
                texts.insert(key.name.clone(), text);
            }
        }
        texts
    }

    fn unknown_step(&self, key: &Key, library: Option<&str>) -> Diagnostic {
        let whose = library.map_or("the runbook".to_owned(), |name| format!("the library `{name}`"));
        let message = format!("{whose} has no step `{}`", key.name);
        let beside = self.places.iter().filter(|place| place.library == library);
        let problem = advised("unknown-step", message, key, beside.clone().map(|place| place.path.as_str()));
        let outer = beside.clone().find_map(|place| {
            let inside = key.name.strip_prefix(&place.path)?.strip_prefix('/')?;
            Some((&place.step.library.as_ref()?.name.value, inside))
        });
        match outer {
            Some((name, inside)) => problem.help(format!(
                "the step is the library's: write it as `{inside}` under `libraries`, `{name}`"
            )),
            None => problem,
        }
    }

    fn step(&mut self, key: &Key, node: &Node, step: Option<&Step>) -> Option<StepText> {
        let problems = &mut self.decoder.problems;
        let mut map = MapReader::new(node, "the text of a step", problems)?;
        let [title, why] = ["title", "why"].map(|name| map.optional(name));
        let [ask, irreversible] = ["ask", "irreversible"].map(|name| map.entry(name));
        map.finish(problems);
        let mut text = StepText {
            title: title.and_then(|node| self.text(node)),
            why: why.and_then(|node| self.text(node)),
            ..StepText::default()
        };
        if let Some((name, node)) = irreversible {
            text.irreversible = self.text(node);
            if self.whole && step.is_some_and(|step| step.irreversible.is_none()) {
                let message = format!("`{}` is not irreversible", key.name);
                self.push(nothing_to_say(message, name));
            }
        }
        if let Some((name, node)) = ask {
            match step.map(|step| step.gate.as_ref()) {
                Some(Some(gate)) => text.ask = self.ask(node, gate),
                // A gate that could not be read is none.
                Some(None) if self.whole => {
                    let message = format!("`{}` has no gate, so nothing is asked", key.name);
                    self.push(nothing_to_say(message, name));
                }
                Some(None) | None => {}
            }
        }
        Some(text)
    }

    /// The question of a gate, with the names that are known where the gate stands.
    fn ask(&mut self, node: &Node, gate: &Gate) -> Option<Template> {
        let decoder = &mut *self.decoder;
        let text = read::text(node, &mut decoder.problems)?;
        if text.as_str().trim().is_empty() {
            return None;
        }
        let scope = decoder.asks.get(&gate.span)?;
        decoder.registered.clone_from(&scope.registered);
        decoder.facts.clone_from(&scope.facts);
        decoder.inputs = InputNames { declared: scope.inputs.clone(), ..InputNames::default() };
        let before = decoder.problems.as_slice().len();
        let ask = decoder.template(text, &["facts"])?;
        let misspelt = decoder.problems.as_slice().len() > before;
        let lost = if misspelt { Vec::new() } else { lost(&gate.ask, &ask) };
        if !lost.is_empty() {
            let message = format!("this question says nothing of {}", lost.join(", "));
            self.push(
                Diagnostic::warning("translation-loses", message, node.span.clone())
                    .label("the question in runbook.yaml does")
                    .help("who reads the translation decides the same, and has to know as much"),
            );
        }
        Some(ask)
    }
}

/// What a question reads and its translation does not.
fn lost(original: &Template, translated: &Template) -> Vec<String> {
    let name = |used: &NameUse| {
        let keys = used.path.iter().map(|key| format!(".{key}"));
        format!("`{}{}`", used.name, keys.collect::<String>())
    };
    let kept: IndexSet<String> = translated.names_used().map(name).collect();
    let asked: IndexSet<String> = original.names_used().map(name).collect();
    asked.into_iter().filter(|name| !kept.contains(name)).collect()
}

fn advised<'k>(
    code: &'static str,
    message: String,
    key: &Key,
    known: impl IntoIterator<Item = &'k str>,
) -> Diagnostic {
    let mut problem = Diagnostic::error(code, message, key.span.clone());
    problem.help = suggest(&key.name, known);
    problem
}

fn nothing_to_say(message: String, key: &Key) -> Diagnostic {
    Diagnostic::error("nothing-to-translate", message, key.span.clone())
        .help(format!("remove `{}` here, or add it to the step", key.name))
}

/// What the runbook says and a translation does not: one warning, which names each text and where it stands.
fn missing(translation: &Translation, runbook: &Runbook) -> Option<Diagnostic> {
    let (all, have) = (i18n::texts(runbook), translation.addresses());
    let missing: Vec<String> = all
        .iter()
        .filter(|(address, _)| !have.contains(address))
        .map(|(address, span)| {
            let file = span.file.rsplit('/').next().unwrap_or_default();
            format!("{address} ({file}:{})", span.line)
        })
        .collect();
    if missing.is_empty() {
        return None;
    }
    let message = format!("{} of {} texts are not translated", missing.len(), all.len());
    let mut named = missing.iter().take(MOST_NAMED).cloned().collect::<Vec<_>>().join(", ");
    if missing.len() > MOST_NAMED {
        named.push_str(&format!(" and {} more", missing.len() - MOST_NAMED));
    }
    Some(
        Diagnostic::warning("missing-translation", message, translation.lang.span.clone())
            .label("they are shown in the runbook's own language")
            .help(format!("add {named}")),
    )
}
