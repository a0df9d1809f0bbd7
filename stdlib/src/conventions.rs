//! Conventions that every action keeps.

use keybook_api::{
    ActionSpec, ArgKind, Effect, Value, WayBack,
    action::check_args,
    returns::{Holds, Key, Keys},
};
use std::path::{Path, PathBuf};

fn specs() -> Vec<&'static ActionSpec> {
    crate::registry().iter().map(|action| action.spec()).collect()
}

#[test]
fn names_are_family_and_verb_and_unique() {
    let mut names: Vec<&str> = specs().iter().map(|spec| spec.name).collect();
    let plain = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    for name in &names {
        let parts: Vec<&str> = name.split('.').collect();
        assert!(parts.len() == 2 && parts.iter().all(|part| plain(part)), "{name}");
    }
    // A second one of a name would have replaced the first.
    let families = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().flatten();
    let lists = families.filter_map(|family| std::fs::read_to_string(family.path().join("mod.rs")).ok());
    assert_eq!(lists.map(|list| list.matches("    all.add(").count()).sum::<usize>(), names.len());
    names.dedup();
    assert_eq!(names.len(), crate::registry().names().count());
}

#[test]
fn everything_is_documented() {
    for spec in specs() {
        let sentence = |text: &str| text.ends_with('.') && !text.contains('\n');
        assert!(sentence(spec.summary), "{}: {}", spec.name, spec.summary);
        assert!(spec.doc.ends_with('.') || spec.doc.ends_with(")"), "{}: {}", spec.name, spec.doc);
        for arg in spec.args {
            assert!(arg.doc.ends_with('.'), "{}: {}: {}", spec.name, arg.name, arg.doc);
            assert!(!arg.required || arg.default.is_empty(), "{}: {}", spec.name, arg.name);
            assert_eq!(spec.args.iter().filter(|other| other.name == arg.name).count(), 1, "{}", spec.name);
        }
        if spec.effect == Effect::Changes {
            assert!(spec.doc.contains("Errors:"), "{}", spec.name);
        }
    }
}

/// Keys of a result that are described here, those inside them after each.
fn described(keys: &Keys) -> Vec<&'static Key> {
    let inside = |key: &'static Key| match key.holds {
        Holds::Map(keys) | Holds::List(keys) => described(&keys),
        Holds::Plain | Holds::Anything => Vec::new(),
    };
    keys.own.iter().flat_map(|key| [vec![key], inside(key)].concat()).collect()
}

#[test]
fn everybody_says_what_it_returns() {
    for action in crate::registry().iter() {
        let spec = action.spec();
        let Holds::Map(keys) = spec.returns.holds else { panic!("{} returns no map", spec.name) };
        for key in described(&keys) {
            assert!(
                key.doc.ends_with('.') && !key.doc.contains('\n'),
                "{}: {}: {}",
                spec.name,
                key.name,
                key.doc
            );
        }
        let mut names: Vec<&str> = keys.iter().map(|key| key.name).collect();
        names.sort_unstable();
        assert!(
            !names.is_empty() && names.windows(2).all(|two| two[0] != two[1]),
            "{}: {names:?}",
            spec.name
        );
        if let Some(argument) = spec.returns.list_with {
            assert!(spec.args.iter().any(|arg| arg.name == argument), "{}: {argument}", spec.name);
        }
        let secret = action.secret_results(&|_| None);
        assert!(secret.iter().all(|secret| names.contains(secret)), "{}: {secret:?}", spec.name);
    }
}

/// What the source of the action that has this line in its specification says.
fn source_with(line: &str) -> String {
    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    let texts = found.iter().map(|path| std::fs::read_to_string(path).unwrap());
    let having: Vec<String> = texts.filter(|text| text.contains(line)).collect();
    assert_eq!(having.len(), 1, "{line}");
    having.into_iter().next().unwrap()
}

#[test]
fn everybody_says_how_it_is_taken_back() {
    for spec in specs() {
        let (name, back) = (spec.name, spec.way_back);
        assert!(spec.effect == Effect::Changes || back == WayBack::Nothing, "{name}");
        let source = source_with(&format!("    name: \"{name}\",\n"));
        assert_eq!(
            source.contains("async fn undo("),
            back == WayBack::Undo,
            "{name}: undo and nothing else has one"
        );
        assert!(back != WayBack::Undo || spec.doc.contains("Undo "), "{name}: what does its undo do?");
        if let WayBack::NoneIf(arg) = back {
            let arg = spec.args.iter().find(|known| known.name == arg);
            assert!(arg.is_some_and(|arg| arg.kind == ArgKind::Bool && arg.default == "true"), "{name}");
        }
    }
}

#[test]
fn examples_are_steps_that_the_action_accepts() {
    for spec in specs() {
        let yaml: serde_json::Value =
            serde_yaml::from_str(spec.example).unwrap_or_else(|error| panic!("{}: {error}", spec.name));
        let step = yaml.as_object().unwrap();
        assert_eq!(step.keys().collect::<Vec<_>>(), [spec.name]);
        let args = Value::from_json(&step[spec.name]);
        check_args(spec, args.as_map().unwrap()).unwrap_or_else(|fault| panic!("{}: {fault}", spec.name));
    }
}
