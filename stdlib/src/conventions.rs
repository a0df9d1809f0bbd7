//! Conventions that every action keeps.

use keybook_api::{ActionSpec, Effect, Value, action::check_args};

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
    assert_eq!(include_str!("lib.rs").matches("all.add(").count(), names.len());
    names.dedup();
    assert_eq!(names.len(), crate::registry().names().count());
}

#[test]
fn everything_is_documented() {
    for spec in specs() {
        let sentence = |text: &str| text.ends_with('.') && !text.contains('\n');
        assert!(sentence(spec.summary), "{}: {}", spec.name, spec.summary);
        assert!(spec.doc.ends_with('.') || spec.doc.ends_with(")"), "{}: {}", spec.name, spec.doc);
        assert!(!spec.returns.is_empty(), "{}", spec.name);
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

#[test]
fn only_changes_have_an_undo() {
    for spec in specs() {
        assert!(!spec.undo || spec.effect == Effect::Changes, "{}", spec.name);
        assert!(!spec.undo || spec.doc.contains("Undo "), "{}", spec.name);
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
