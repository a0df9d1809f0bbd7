//! Results against what the actions say of them.

use keybook_api::{
    Action, Value,
    returns::{Holds, Keys},
};

/// Every key of the result is declared, and what is declared as there in every result is there.
pub fn check(action: &dyn Action, result: &Value) {
    let spec = action.spec();
    match (spec.returns.list_with, result) {
        (Some(_), Value::List(list)) => list.iter().for_each(|one| fits(spec.returns.holds, one, spec.name)),
        _ => fits(spec.returns.holds, result, spec.name),
    }
}

fn fits(holds: Holds, value: &Value, at: &str) {
    match (holds, value) {
        (Holds::Anything, _) | (_, Value::Null) => {}
        (Holds::Map(keys), Value::Map(_)) => same_keys(&keys, value, at),
        (Holds::List(keys), Value::List(list)) => list.iter().for_each(|one| same_keys(&keys, one, at)),
        (Holds::Plain, Value::List(list)) => list.iter().for_each(|one| fits(holds, one, at)),
        (Holds::Plain, value) => assert!(value.as_map().is_none(), "{at} is declared as one value: {value}"),
        (Holds::Map(_) | Holds::List(_), value) => panic!("{at} is not what is declared: {value}"),
    }
}

fn same_keys(keys: &Keys, value: &Value, at: &str) {
    let map = value.as_map().unwrap_or_else(|| panic!("{at} is declared as a map: {value}"));
    for name in map.keys() {
        assert!(keys.iter().any(|key| key.name == name), "{at}: `{name}` is not declared");
    }
    for key in keys.iter() {
        match map.get(key.name) {
            Some(inner) => fits(key.holds, inner, &format!("{at}: `{}`", key.name)),
            None => assert!(!key.always, "{at}: `{}` is declared, and not there", key.name),
        }
    }
}
