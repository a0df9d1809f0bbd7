//! What a kubeconfig trusts (kubernetes.io, Config v1).

use crate::{kubeconfig::current, support::files};
use base64::{Engine, engine::general_purpose::STANDARD};
use keybook_api::Secret;
use serde_yaml::Value;

/// Where the CAs of a kubeconfig are.
pub enum Cas {
    /// In it, as PEM.
    Here(Vec<u8>),
    /// In the file of this path.
    In(String),
}

/// The CAs of the cluster that the current context names; without a current context those of the only cluster.
/// `path` is the kubeconfig's own: a file that it names is looked for beside it.
///
/// # Errors
/// Why it names no CAs.
pub fn cas(content: &Secret, path: &str) -> Result<Cas, String> {
    let parsed: Value = serde_yaml::from_slice(content.expose())
        .map_err(|_| "it is no kubeconfig: it is no YAML".to_owned())?;
    let (_, cluster) = current::cluster(&parsed)?;
    cas_of(cluster, path)
}

/// The CAs of a cluster of a kubeconfig, whose own path this is.
///
/// # Errors
/// Why it names no CAs.
pub fn cas_of(cluster: &Value, path: &str) -> Result<Cas, String> {
    let text = |key: &str| cluster.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    // kubectl takes the data when there are both.
    if let Some(data) = text("certificate-authority-data") {
        return STANDARD
            .decode(data.trim())
            .map(Cas::Here)
            .map_err(|_| "its CA data is no base64".to_owned());
    }
    match text("certificate-authority") {
        Some(file) if file.starts_with('/') => Ok(Cas::In(file.to_owned())),
        Some(file) => Ok(Cas::In(files::join(files::parent(path), file))),
        None => {
            Err("its cluster has neither certificate-authority-data nor certificate-authority".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTERS: &str = "clusters:
- { name: one, cluster: { certificate-authority-data: b25l } }
- { name: two, cluster: { certificate-authority: pki/ca.pem } }
- { name: far, cluster: { certificate-authority: /etc/ca.pem, certificate-authority-data: '' } }
- { name: bare, cluster: { server: x } }
contexts:
- { name: a, context: { cluster: one } }
- { name: b, context: { cluster: two } }
- { name: c, context: { cluster: far } }
- { name: d, context: { cluster: bare } }
- { name: e, context: { cluster: gone } }
";

    fn told(text: &str) -> String {
        match cas(&Secret::new(text), "/root/.kube/config") {
            Ok(Cas::Here(pem)) => format!("here {}", String::from_utf8(pem).unwrap()),
            Ok(Cas::In(path)) => format!("in {path}"),
            Err(why) => why,
        }
    }

    #[test]
    fn the_current_context_decides() {
        for (context, expected) in [
            ("a", "here one"),
            ("b", "in /root/.kube/pki/ca.pem"),
            ("c", "in /etc/ca.pem"),
            ("d", "its cluster has neither certificate-authority-data nor certificate-authority"),
            ("e", "it has no cluster `gone`"),
            ("f", "it has no context `f`"),
        ] {
            assert_eq!(told(&format!("{CLUSTERS}current-context: {context}\n")), expected);
        }
        assert_eq!(told(CLUSTERS), "it holds several clusters and no current-context");
        assert_eq!(told("clusters: []"), "it holds no cluster");
        assert_eq!(told("clusters: [{ cluster: { certificate-authority: ca } }]"), "in /root/.kube/ca");
        assert_eq!(
            told("clusters: [{ cluster: { certificate-authority-data: '%' } }]"),
            "its CA data is no base64"
        );
        assert_eq!(told("{"), "it is no kubeconfig: it is no YAML");
    }
}
