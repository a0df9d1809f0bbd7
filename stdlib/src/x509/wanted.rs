//! What the arguments that issuing actions share ask for.

use keybook_api::{ArgKind, ArgSpec, Args, Fault, Map, Value};
use keybook_pki::{Certificate, KeyForm, KeyKind, PkiError, San, Subject};

pub const DAYS: ArgSpec = ArgSpec::optional("days", ArgKind::Int, "3650", "The end, in days from now.");
pub const NOT_AFTER: ArgSpec =
    ArgSpec::optional("not_after", ArgKind::Text, "", "The end, as RFC 3339 text, instead of `days`.");
pub const KEY_KIND: ArgSpec = ArgSpec::optional(
    "key_kind",
    ArgKind::Text,
    "that of `like`; else RSA-2048",
    "`RSA-2048`, `RSA-3072`, `RSA-4096`, `ECDSA-P256`, `ECDSA-P384` or `ECDSA-P521`.",
);
pub const KEY_FORM: ArgSpec = ArgSpec::optional(
    "key_form",
    ArgKind::Enum(&["pkcs1", "pkcs8", "sec1"]),
    "pkcs1 for RSA, sec1 for ECDSA",
    "The encoding of the key file.",
);

/// The fault for a wrong argument.
pub fn usage(name: &'static str) -> impl Fn(PkiError) -> Fault {
    move |error| Fault::usage(format!("read the argument `{name}`"), error)
}

/// The kind of a new key: `key_kind`, else that of `like`, else RSA-2048.
pub fn key_kind(args: &Args, like: Option<&Certificate>) -> Result<KeyKind, Fault> {
    let text = args.opt_text("key_kind")?.or(like.map(Certificate::key)).unwrap_or("RSA-2048");
    text.parse().map_err(usage("key_kind"))
}

/// The encoding of a new key: `key_form`, else the one that suits its kind.
pub fn key_form(args: &Args, kind: KeyKind) -> Result<KeyForm, Fault> {
    let rsa = matches!(kind, KeyKind::Rsa(_));
    let form = match args.opt_text("key_form")? {
        Some(text) => text.parse().map_err(usage("key_form"))?,
        None if rsa => KeyForm::Pkcs1,
        None => KeyForm::Sec1,
    };
    match (form, rsa) {
        (KeyForm::Pkcs1, false) | (KeyForm::Sec1, true) => {
            Err(Fault::usage("read the argument `key_form`", format!("an {kind} key has no {form} encoding")))
        }
        _ => Ok(form),
    }
}

/// The subject and its text: `subject`, else that of `like`, else empty.
pub fn subject(args: &Args, like: Option<&Certificate>) -> Result<(Subject, String), Fault> {
    let wrong = |why: String| Fault::usage("read the argument `subject`", why);
    let maps: Vec<&Map> = match (args.get("subject"), like) {
        (None, Some(like)) => {
            return Ok((Subject::Der(like.subject_der().to_vec()), like.subject().to_owned()));
        }
        (None, None) => Vec::new(),
        (Some(Value::Map(map)), _) => vec![map],
        (Some(Value::List(list)), _) => list
            .iter()
            .map(|item| {
                item.as_map().ok_or_else(|| wrong(format!("expected maps, got {}", item.type_name())))
            })
            .collect::<Result<_, _>>()?,
        (Some(other), _) => {
            return Err(wrong(format!("expected a map or a list of maps, got {}", other.type_name())));
        }
    };
    let mut attributes = Vec::new();
    for (name, value) in maps.into_iter().flatten() {
        let text = value
            .as_str()
            .ok_or_else(|| wrong(format!("`{name}`: expected a string, got {}", value.type_name())))?;
        attributes.push((name.clone(), text.to_owned()));
    }
    let text =
        attributes.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ");
    Ok((Subject::Attributes(attributes), text))
}

/// The alternative names: `sans`, else those of `like`; and `extra_sans`.
pub fn sans(args: &Args, like: Option<&Certificate>) -> Result<Vec<San>, Fault> {
    let read = |name: &'static str| -> Result<Vec<San>, Fault> {
        args.texts(name)?.iter().map(|text| text.parse().map_err(usage(name))).collect()
    };
    let mut sans = match (args.get("sans"), like) {
        (None, Some(like)) => like.sans().to_vec(),
        _ => read("sans")?,
    };
    for extra in read("extra_sans")? {
        if !sans.contains(&extra) {
            sans.push(extra);
        }
    }
    Ok(sans)
}
