//! Whom a kubeconfig means: the cluster and the user of its current context.

use serde_yaml::Value;

/// An entry of a list and its name.
pub type Named<'a> = (&'a str, &'a Value);

/// The cluster of the current context; without a current context the only one.
///
/// # Errors
/// Why there is none.
pub fn cluster(config: &Value) -> Result<Named<'_>, String> {
    entry(config, "clusters", "cluster")
}

/// The user of the current context; without a current context the only one.
///
/// # Errors
/// Why there is none.
pub fn user(config: &Value) -> Result<Named<'_>, String> {
    entry(config, "users", "user")
}

fn entry<'a>(config: &'a Value, list: &str, kind: &str) -> Result<Named<'a>, String> {
    let current = config.get("current-context").and_then(Value::as_str).filter(|name| !name.is_empty());
    let found = match current {
        Some(name) => {
            let context = named(config, "contexts", name).and_then(|entry| entry.get("context"));
            let context = context.ok_or_else(|| format!("it has no context `{name}`, its current one"))?;
            let name = context.get(kind).and_then(Value::as_str).unwrap_or_default();
            named(config, list, name)
                .ok_or_else(|| format!("it has no {kind} `{name}`, that of its context"))?
        }
        None => match all(config, list).collect::<Vec<_>>()[..] {
            [only] => only,
            [] => return Err(format!("it holds no {kind}")),
            _ => return Err(format!("it holds several {kind}s and no current-context")),
        },
    };
    let name = found.get("name").and_then(Value::as_str).unwrap_or_default();
    found.get(kind).map(|inner| (name, inner)).ok_or_else(|| format!("its {kind} is empty"))
}

fn all<'a>(config: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    config.get(list).and_then(Value::as_sequence).into_iter().flatten()
}

fn named<'a>(config: &'a Value, list: &str, name: &str) -> Option<&'a Value> {
    all(config, list).find(|one| one.get("name").and_then(Value::as_str) == Some(name))
}
