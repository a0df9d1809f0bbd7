//! Translations: `i18n/LANG.yaml` beside a runbook says its texts in another language, by the paths of its steps. They
//! change what people read, and nothing that a run does.

use super::{Loaded, Runbook, Step, Work};
use indexmap::{IndexMap, IndexSet};
use keybook_api::{Located, Span};
use keybook_script::Template;

/// The language of a runbook that does not say which is its own.
pub const DEFAULT: &str = "en";

/// The texts of steps, by path.
pub type StepTexts = IndexMap<String, StepText>;

/// A runbook's texts in one language. What is absent stays in the runbook's own.
#[derive(Clone, Debug)]
pub struct Translation {
    /// The language: `zh`, `pt-BR`.
    pub lang: Located<String>,
    /// The runbook's title.
    pub title: Option<String>,
    /// Help of inputs, by name.
    pub inputs: IndexMap<String, String>,
    /// Help of groups of hosts, by name.
    pub hosts: IndexMap<String, String>,
    /// Texts of the runbook's own steps, by path; those of `finally` under `finally/`.
    pub steps: StepTexts,
    /// Texts of the steps of libraries, by the library's name and the path in it.
    pub libraries: IndexMap<String, StepTexts>,
}

/// The texts of one step.
#[derive(Clone, Debug, Default)]
pub struct StepText {
    /// What it does.
    pub title: Option<String>,
    /// Why.
    pub why: Option<String>,
    /// Its gate's question.
    pub ask: Option<Template>,
    /// Why it cannot be taken back.
    pub irreversible: Option<String>,
}

/// Is this a language tag, such as `zh` or `pt-BR`?
pub fn is_tag(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    let fits = (2..=3).contains(&language.len()) && language.chars().all(|c| c.is_ascii_lowercase());
    fits && parts.all(|part| (2..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric()))
}

impl Loaded {
    /// The runbook's own language, then those of its translations.
    pub fn languages(&self) -> Vec<&str> {
        let own = std::iter::once(self.runbook.lang.value.as_str());
        own.chain(self.translations.keys().map(String::as_str)).collect()
    }

    /// The language there is for a wish: `zh-CN`, and where that is not there, `zh` (RFC 4647, lookup). Letters may be
    /// of any case.
    pub fn language_for(&self, wish: &str) -> Option<String> {
        let mut wish = wish;
        loop {
            if let Some(found) = self.languages().into_iter().find(|known| known.eq_ignore_ascii_case(wish)) {
                return Some(found.to_owned());
            }
            wish = wish.rsplit_once('-')?.0;
        }
    }

    /// Puts the runbook's texts into one of [`Loaded::languages`]; any other leaves them as they are.
    pub fn speak(&mut self, language: &str) {
        if let Some(translation) = self.translations.get(language) {
            translation.apply(&mut self.runbook);
        }
    }
}

impl Translation {
    fn apply(&self, runbook: &mut Runbook) {
        put(&mut runbook.title, self.title.as_ref());
        for (name, input) in &mut runbook.inputs {
            put(&mut input.help, self.inputs.get(name));
        }
        for (name, group) in &mut runbook.hosts {
            put(&mut group.help, self.hosts.get(name));
        }
        self.apply_to(&mut runbook.steps, "", Some(&self.steps));
        self.apply_to(&mut runbook.finally, "finally/", Some(&self.steps));
    }

    fn apply_to(&self, steps: &mut [Step], prefix: &str, texts: Option<&StepTexts>) {
        for step in steps {
            let path = format!("{prefix}{}", step.id.value);
            if let Some(text) = texts.and_then(|texts| texts.get(&path)) {
                text.apply(step);
            }
            let library = step.library.as_ref().map(|library| library.name.value.clone());
            let Work::Steps(children) = &mut step.work else { continue };
            match library {
                Some(library) => self.apply_to(children, "", self.libraries.get(&library)),
                None => self.apply_to(children, &format!("{path}/"), texts),
            }
        }
    }

    /// The address of every text that it has.
    pub(super) fn addresses(&self) -> IndexSet<String> {
        let helps = |section: &str, names: &IndexMap<String, String>| -> Vec<String> {
            names.keys().map(|name| format!("{section}.{name}")).collect()
        };
        let steps = |library: Option<&str>, texts: &StepTexts| -> Vec<String> {
            let each = texts.iter().flat_map(|(path, text)| text.keys().map(move |key| (path, key)));
            each.map(|(path, key)| address(library, path, key)).collect()
        };
        let title = self.title.iter().map(|_| "title".to_owned());
        let libraries = self.libraries.iter().flat_map(|(name, texts)| steps(Some(name), texts));
        title
            .chain(helps("inputs", &self.inputs))
            .chain(helps("hosts", &self.hosts))
            .chain(steps(None, &self.steps))
            .chain(libraries)
            .collect()
    }
}

impl StepText {
    fn apply(&self, step: &mut Step) {
        put(&mut step.title, self.title.as_ref());
        put(&mut step.why, self.why.as_ref());
        if let (Some(gate), Some(ask)) = (&mut step.gate, &self.ask) {
            gate.ask = ask.clone();
        }
        if let (Some(why), Some(text)) = (&mut step.irreversible, &self.irreversible) {
            why.clone_from(text);
        }
    }

    fn keys(&self) -> impl Iterator<Item = &'static str> {
        let has = [
            ("title", self.title.is_some()),
            ("why", self.why.is_some()),
            ("ask", self.ask.is_some()),
            ("irreversible", self.irreversible.is_some()),
        ];
        has.into_iter().filter(|(_, has)| *has).map(|(key, _)| key)
    }
}

fn put(text: &mut String, translated: Option<&String>) {
    if let Some(translated) = translated {
        text.clone_from(translated);
    }
}

/// A step, and how a translation names it.
pub(super) struct Place<'r> {
    /// The library whose step it is.
    pub library: Option<&'r str>,
    /// The path of ids, inside the library for one of its steps.
    pub path: String,
    /// The step.
    pub step: &'r Step,
}

/// Every step in its order. A library's steps come once, however often it is used.
pub(super) fn places(runbook: &Runbook) -> Vec<Place<'_>> {
    fn add<'r>(list: &mut Vec<Place<'r>>, library: Option<&'r str>, prefix: &str, steps: &'r [Step]) {
        for step in steps {
            let path = format!("{prefix}{}", step.id.value);
            if list.iter().any(|known| known.library == library && known.path == path) {
                continue;
            }
            list.push(Place { library, path: path.clone(), step });
            match &step.library {
                Some(used) => add(list, Some(&used.name.value), "", step.children()),
                None => add(list, library, &format!("{path}/"), step.children()),
            }
        }
    }
    let mut list = Vec::new();
    add(&mut list, None, "", &runbook.steps);
    add(&mut list, None, "finally/", &runbook.finally);
    list
}

/// Every text of a runbook that a translation can say: its address, and where it stands.
pub(super) fn texts(runbook: &Runbook) -> Vec<(String, &Span)> {
    let mut texts = vec![("title".to_owned(), &runbook.name.span)];
    let inputs = runbook.inputs.iter().map(|(name, input)| ("inputs", name, &input.help, &input.span));
    let groups = runbook.hosts.iter().map(|(name, group)| ("hosts", name, &group.help, &group.span));
    let helps = inputs.chain(groups).filter(|(_, _, help, _)| !help.is_empty());
    texts.extend(helps.map(|(section, name, _, span)| (format!("{section}.{name}"), span)));
    for Place { library, path, step } in places(runbook) {
        let has = [
            ("title", step.title != step.id.value, &step.span),
            ("why", !step.why.is_empty(), &step.span),
            ("ask", step.gate.is_some(), step.gate.as_ref().map_or(&step.span, |gate| &gate.span)),
            ("irreversible", step.irreversible.is_some(), &step.span),
        ];
        let has = has.into_iter().filter(|(_, has, _)| *has);
        texts.extend(has.map(|(key, _, span)| (address(library, &path, key), span)));
    }
    texts
}

fn address(library: Option<&str>, path: &str, key: &str) -> String {
    match library {
        Some(library) => format!("libraries.{library}.{path}.{key}"),
        None => format!("steps.{path}.{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_tag;

    #[test]
    fn tags_of_languages() {
        for tag in ["zh", "zh-CN", "pt-BR", "zh-Hans-CN", "yue"] {
            assert!(is_tag(tag), "{tag}");
        }
        for other in ["", "z", "ZH", "chinese", "zh_CN", "zh-", "-CN", "zh-C", "zh.UTF-8"] {
            assert!(!is_tag(other), "{other}");
        }
    }
}
