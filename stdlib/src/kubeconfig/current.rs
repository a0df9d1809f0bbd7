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

/// The context of this name, or the current one.
///
/// # Errors
/// Why there is none.
pub fn context<'a>(config: &'a Value, wanted: Option<&str>) -> Result<&'a Value, String> {
    let name = wanted.or_else(|| current_name(config)).ok_or("it has no current-context")?;
    named(config, "contexts", "context", name)
}

/// The entry of this name in a list: its part `kind`.
///
/// # Errors
/// Why there is none.
pub fn named<'a>(config: &'a Value, list: &str, kind: &str, name: &str) -> Result<&'a Value, String> {
    let of_name = |one: &&Value| one.get("name").and_then(Value::as_str) == Some(name);
    let found = all(config, list)
        .find(of_name)
        .ok_or_else(|| format!("it has no {kind} `{}`", name.escape_debug()))?;
    found.get(kind).ok_or_else(|| format!("its {kind} `{}` is empty", name.escape_debug()))
}

fn current_name(config: &Value) -> Option<&str> {
    config.get("current-context").and_then(Value::as_str).filter(|name| !name.is_empty())
}

fn entry<'a>(config: &'a Value, list: &str, kind: &str) -> Result<Named<'a>, String> {
    if current_name(config).is_some() {
        let name = context(config, None)?.get(kind).and_then(Value::as_str).unwrap_or_default();
        return Ok((name, named(config, list, kind, name)?));
    }
    let only = match all(config, list).collect::<Vec<_>>()[..] {
        [only] => only,
        [] => return Err(format!("it holds no {kind}")),
        _ => return Err(format!("it holds several {kind}s and no current-context")),
    };
    let name = only.get("name").and_then(Value::as_str).unwrap_or_default();
    only.get(kind).map(|inner| (name, inner)).ok_or_else(|| format!("its {kind} is empty"))
}

fn all<'a>(config: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    config.get(list).and_then(Value::as_sequence).into_iter().flatten()
}
