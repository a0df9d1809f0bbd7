//! The certificates that a kubeconfig holds (kubernetes.io, Config v1).

use base64::{Engine, engine::general_purpose::STANDARD};
use keybook_api::Secret;
use serde_json::Value as Json;

/// Where a kubeconfig holds certificates: the list, what an entry of it is, its map, the field.
pub(super) const KINDS: [(&str, &str, &str); 2] =
    [("clusters", "cluster", "certificate-authority-data"), ("users", "user", "client-certificate-data")];

/// An entry of a kubeconfig, and its PEM text.
pub(crate) type Embedded = (String, Vec<u8>);

/// The certificates embedded in a kubeconfig, each with its entry's name; `None` when the file is none.
pub(crate) fn embedded(file: &Secret) -> Result<Option<Vec<Embedded>>, String> {
    let text = file.expose_str().filter(|text| text.contains("clusters") && text.contains("users"));
    let Some(config) = text.and_then(|text| serde_yaml::from_str::<Json>(text).ok()) else {
        return Ok(None);
    };
    // Clients do without it.
    if config.get("kind").is_some_and(|kind| kind.as_str() != Some("Config")) || !config.is_object() {
        return Ok(None);
    }
    let mut found = Vec::new();
    for (list, kind, field) in KINDS {
        for entry in config.get(list).and_then(Json::as_array).into_iter().flatten() {
            let name = entry.get("name").and_then(Json::as_str).unwrap_or("");
            let data = entry.get(kind).and_then(|inner| inner.get(field)).and_then(Json::as_str);
            let Some(data) = data.filter(|data| !data.is_empty()) else { continue };
            let pem =
                STANDARD.decode(data).map_err(|_| format!("the {field} of {kind} {name} is not base64"))?;
            found.push((format!("{kind} {name}"), pem));
        }
    }
    Ok(Some(found))
}
