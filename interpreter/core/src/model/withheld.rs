//! Results that are not whole in another process, because the journal keeps no secrets.

use super::{Call, Dynamic, Step, Work};
use keybook_api::{Diagnostic, Registry, Span};
use keybook_script::NameUse;

/// Does this use of a step's result read what is, as far as can be told beforehand, a secret?
pub(super) fn reads_secret(used: &NameUse, of: &Step, registry: &Registry) -> bool {
    if of.secret {
        return true;
    }
    let Work::Action(call) = &of.work else { return false };
    // Without a key that is written out it may be any of them.
    let key = if used.name == "by_host" { used.path.get(2) } else { used.path.first() };
    secret_key(call, key, registry)
}

/// Is this key of a call's result, or any when it is not written out, a secret?
pub(super) fn secret_key(call: &Call, key: Option<&String>, registry: &Registry) -> bool {
    let Some(action) = registry.get(&call.action) else { return false };
    let keys = action.secret_results(&|arg| call.args.0.get(arg).and_then(Dynamic::fixed));
    key.map_or(!keys.is_empty(), |key| keys.contains(&key.as_str()))
}

/// A `reads-withheld` for a use of a result in what settles an obligation.
pub(super) fn problem(name: &str, at: &Span, from: &Step, what: &str) -> Diagnostic {
    let message = format!("`{name}` is not had any more when a rollback settles `{what}` again");
    let label = format!("a secret of the step `{}`, which the journal does not keep", from.id.value);
    Diagnostic::error("reads-withheld", message, at.clone())
        .label(label)
        .help("read what is needed in the settling step itself, with `facts`")
}
