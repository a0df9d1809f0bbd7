//! `use:`: the steps of a library in the place of a step.

use super::{
    Decoder, InputNames,
    names::{kinds_of, names_of},
};
use crate::model::{Args, Dynamic, Input, InputKind, Library, Step};
use indexmap::IndexMap;
use keybook_api::{Diagnostic, Located, Value};
use keybook_source::{Key, MapReader, Node, advice, read, suggest};

impl Decoder<'_> {
    /// The library that a step names, with what it is given, and its steps.
    pub(super) fn library(
        &mut self,
        node: &Node,
        with: Option<&(Key, Node)>,
        inside: bool,
        phases: &[String],
    ) -> Option<(Library, Vec<Step>)> {
        let name = read::string(node, &mut self.problems)?;
        let Some(root) = self.libraries.get(&name) else {
            let message = format!("there is no library `{name}`");
            let mut problem = Diagnostic::error("unknown-library", message, node.span.clone());
            problem.help = suggest(&name, self.libraries.keys().map(String::as_str))
                .or_else(|| Some(format!("it would be lib/{name}.yaml beside runbook.yaml")));
            self.problems.push(problem);
            return None;
        };
        if self.using.contains(&name) {
            let message = format!("the library `{name}` uses itself");
            let chain = format!("{} → {name}", self.using.join(" → "));
            self.problems.push(Diagnostic::error("library-cycle", message, node.span.clone()).label(chain));
            return None;
        }
        self.used_libraries.insert(name.clone());
        let with: Vec<(&Key, &Node)> = match with {
            Some((_, node)) => MapReader::new(node, "`with`", &mut self.problems)?.rest(),
            None => Vec::new(),
        };
        let mut args = IndexMap::new();
        for (key, value) in &with {
            args.insert(key.name.clone(), self.dynamic(value, &[])?);
        }
        let (inputs, steps) = self.library_steps(&name, root, inside, phases)?;
        self.fit_inputs(&name, node, &with, &args, &inputs);
        let name = Located::new(name, node.span.clone());
        Some((Library { name, with: Args(args), inputs }, steps))
    }

    /// Reads a library's own file. Its steps see its inputs and its results, and none of the runbook's.
    fn library_steps(
        &mut self,
        name: &str,
        root: &Node,
        inside: bool,
        phases: &[String],
    ) -> Option<(IndexMap<String, Input>, Vec<Step>)> {
        let mut map = MapReader::new(root, "a step library", &mut self.problems)?;
        let language = map.required("keybook", &mut self.problems);
        let own = map.required("library", &mut self.problems);
        let (title, input_nodes) = (map.optional("title"), map.optional("inputs"));
        let steps = map.required("steps", &mut self.problems);
        map.finish(&mut self.problems);
        self.language(language)?;
        title.map(|node| read::string(node, &mut self.problems));
        language?;
        let own = own?;
        if read::identifier(own, "name of a library", &mut self.problems)? != name {
            let message = format!("this file is the library `{name}`");
            self.problems.push(
                Diagnostic::error("library-name", message, own.span.clone())
                    .label("its name is that of its file"),
            );
        }
        let inputs = input_nodes.map(|node| self.inputs(node)).unwrap_or_default();
        let declared = names_of(&inputs, input_nodes);
        let own_names = InputNames { declared, kinds: kinds_of(&inputs), ..InputNames::default() };
        let outer_names = std::mem::replace(&mut self.inputs, own_names);
        let outer_results = std::mem::take(&mut self.registered);
        self.using.push(name.to_owned());
        let steps = self.steps(steps?, inside, phases);
        self.using.pop();
        self.read_too_early(&root.span.file);
        self.registered = outer_results;
        self.unused_inputs();
        self.inputs = outer_names;
        Some((inputs, steps))
    }

    /// What a template gives, where that is known and is no value for an input: an input of another type, or text.
    fn other_kind(&self, given: &Dynamic, input: &Input) -> Option<&'static str> {
        let Dynamic::Template(template, _) = given else { return None };
        if !template.is_one_expr() {
            let wants_text = !matches!(input.kind, InputKind::Int | InputKind::Bool | InputKind::List);
            return (!wants_text).then_some("string");
        }
        let kind = self.inputs.kind_of(given)?;
        (kind.value_type() != input.kind.value_type()).then(|| kind.value_type())
    }

    /// Does `with` give what the library asks for?
    fn fit_inputs(
        &mut self,
        library: &str,
        at: &Node,
        with: &[(&Key, &Node)],
        args: &IndexMap<String, crate::model::Dynamic>,
        inputs: &IndexMap<String, Input>,
    ) {
        let mut misspelt = Vec::new();
        for (key, value) in with {
            let Some(input) = inputs.get(&key.name) else {
                let message = format!("the library `{library}` has no input `{}`", key.name);
                let mut problem = Diagnostic::error("unknown-argument", message, key.span.clone());
                problem.help = advice(&key.name, inputs.keys().map(String::as_str));
                misspelt.push(key.name.as_str());
                self.problems.push(problem);
                continue;
            };
            let fixed = args.get(&key.name).and_then(crate::model::Dynamic::fixed);
            if let Some(value_now) = fixed.filter(|fixed| !matches!(fixed, Value::Null))
                && let Err(why) = input.check(value_now)
            {
                let message = format!("the input `{}`: {why}", key.name);
                self.problems.push(Diagnostic::error("wrong-type", message, value.span.clone()));
            }
            let other = args.get(&key.name).and_then(|given| self.other_kind(given, input));
            if let Some(other) = other {
                let wanted = input.type_name();
                let message = format!("the input `{}`: expected {wanted}, got {other}", key.name);
                self.problems.push(Diagnostic::error("wrong-type", message, value.span.clone()));
            }
        }
        let missing = |(name, input): &(&String, &Input)| {
            let meant = misspelt.iter().any(|word| suggest(word, [name.as_str()]).is_some());
            input.default.is_none() && !input.optional && !args.contains_key(*name) && !meant
        };
        for (name, input) in inputs.iter().filter(missing) {
            let message = format!("the library `{library}` needs the input `{name}`");
            let problem = Diagnostic::error("missing-argument", message, at.span.clone());
            self.problems.push(problem.label(input.help.clone()));
        }
    }
}
