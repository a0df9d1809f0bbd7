//! A stand-in for a Kubernetes API server: plain HTTP, a handful of objects, no authentication, no real watches.

use super::Bench;
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Serves pods, Secrets and deployments of the namespace `n` to a real kubectl, which is all that it does as an API
/// server. Ends with the test's runtime.
pub struct ApiStandIn {
    /// Objects by their path, such as `/api/v1/namespaces/n/pods/a`.
    pub objects: Arc<Mutex<Vec<(String, Json)>>>,
    pub kubeconfig: String,
    /// Apart from the bench, whose files only tests change, and from the home directory.
    cache: tempfile::TempDir,
}

impl ApiStandIn {
    pub async fn start(bench: &Bench) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let kubeconfig = bench.file(
            "admin.conf",
            format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"{server}\"}}}}]\n\
users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u, namespace: \"n\"}}}}]\n"
            ),
        );
        let objects: Arc<Mutex<Vec<(String, Json)>>> = Arc::default();
        let served = objects.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, served.clone()));
            }
        });
        Self { objects, kubeconfig, cache: tempfile::tempdir().unwrap() }
    }

    /// The words that begin a kubectl command.
    pub fn kubectl(&self) -> Vec<String> {
        vec!["kubectl".to_owned(), format!("--cache-dir={}", self.cache.path().display())]
    }

    /// Adds an object: `pods`, `secrets` or `deployments`.
    pub fn add(&self, resource: &str, name: &str, uid: &str, rest: Json) {
        let (prefix, version, kind) = match resource {
            "deployments" => ("/apis/apps/v1", "apps/v1", "Deployment"),
            "secrets" => ("/api/v1", "v1", "Secret"),
            _ => ("/api/v1", "v1", "Pod"),
        };
        let mut object = json!({"apiVersion": version, "kind": kind,
            "metadata": {"name": name, "namespace": "n", "uid": uid, "labels": {"app": "x"}}});
        merge(&mut object, &rest);
        self.objects.lock().unwrap().push((format!("{prefix}/namespaces/n/{resource}/{name}"), object));
    }

    pub fn has(&self, name: &str) -> bool {
        self.objects.lock().unwrap().iter().any(|(path, _)| path.ends_with(&format!("/{name}")))
    }
}

async fn serve(mut stream: TcpStream, objects: Arc<Mutex<Vec<(String, Json)>>>) {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    let (head, length) = loop {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
        seen.extend_from_slice(&buffer[..count]);
        let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&seen[..end]).into_owned();
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|text| text.parse().ok())
        });
        break (head, end + 4 + length.unwrap_or(0));
    };
    while seen.len() < length {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return };
        seen.extend_from_slice(&buffer[..count]);
    }
    let start = seen.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let body: Json = serde_json::from_slice(&seen[start..]).unwrap_or_default();
    let mut words = head.split(' ');
    let (method, url) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (status, answer) = answer(method, url, &body, &mut objects.lock().unwrap());
    let text = if answer.is_null() { String::new() } else { answer.to_string() };
    let reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let _ = stream.write_all(reply.as_bytes()).await;
}

fn answer(method: &str, url: &str, body: &Json, objects: &mut Vec<(String, Json)>) -> (&'static str, Json) {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let resource = |name: &str, kind: &str| json!({"name": name, "namespaced": true, "kind": kind, "verbs": ["get", "list", "delete", "patch"]});
    let found = match path {
        "/version" => json!({"major": "1", "minor": "32", "gitVersion": "v1.32.0"}),
        "/api" => json!({"kind": "APIVersions", "versions": ["v1"]}),
        "/apis" => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "apps",
            "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
            "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"}}]}),
        "/api/v1" => json!({"kind": "APIResourceList", "groupVersion": "v1",
            "resources": [resource("pods", "Pod"), resource("secrets", "Secret")]}),
        "/apis/apps/v1" => json!({"kind": "APIResourceList", "groupVersion": "apps/v1",
            "resources": [resource("deployments", "Deployment")]}),
        _ => return object(method, path, query, body, objects),
    };
    ("200 OK", found)
}

fn object(
    method: &str,
    path: &str,
    query: &str,
    body: &Json,
    objects: &mut Vec<(String, Json)>,
) -> (&'static str, Json) {
    if let Some(at) = objects.iter().position(|(own, _)| own == path) {
        match method {
            "DELETE" => return ("200 OK", objects.remove(at).1),
            "PATCH" => merge(&mut objects[at].1, body),
            _ => {}
        }
        return ("200 OK", objects[at].1.clone());
    }
    if let Some(list) = [("/pods", "v1", "PodList"), ("/deployments", "apps/v1", "DeploymentList")]
        .iter()
        .find(|(end, ..)| path.ends_with(end))
    {
        // A watch that ends at once: its client lists again.
        if query.contains("watch=true") {
            return ("200 OK", Json::Null);
        }
        let named = query.split('&').find_map(|part| part.strip_prefix("fieldSelector=metadata.name%3D"));
        let label = query.split('&').find_map(|part| part.strip_prefix("labelSelector=app%3D"));
        let fits = |object: &Json| {
            named.is_none_or(|name| object["metadata"]["name"] == name)
                && label.is_none_or(|label| object["metadata"]["labels"]["app"] == label)
        };
        let under = |own: &str| own.starts_with(&format!("{path}/"));
        let items: Vec<&Json> = objects
            .iter()
            .filter(|(own, object)| under(own) && fits(object))
            .map(|(_, object)| object)
            .collect();
        let metadata = json!({"resourceVersion": "1"});
        return (
            "200 OK",
            json!({"apiVersion": list.1, "kind": list.2, "metadata": metadata, "items": items}),
        );
    }
    let name = path.rsplit('/').next().unwrap_or("");
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound",
        "message": format!("\"{name}\" not found")});
    ("404 Not Found", status)
}

/// A merge patch (RFC 7396), as far as objects go.
fn merge(into: &mut Json, patch: &Json) {
    match (into, patch) {
        (Json::Object(into), Json::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key.clone()).or_insert(Json::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}
