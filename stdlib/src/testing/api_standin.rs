//! A stand-in for a Kubernetes API server: a handful of objects, no authentication, no real watches.

use super::Bench;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// What it is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub url: String,
    pub head: String,
    pub body: Json,
}

/// What a test lets it answer instead.
pub enum Reply {
    /// A status, such as `403 Forbidden`, and a body.
    Json(&'static str, Json),
    /// The same with text.
    Text(&'static str, String),
    /// Lines in chunks, as for a watch; then the connection ends in the middle of the answer when the flag says so.
    Lines(Vec<Json>, bool),
    /// A body that is shorter than promised.
    Cut,
    /// Nothing, ever.
    Hang,
}

/// Answers instead of the stand-in; `None` leaves it to that.
pub type Instead = Box<dyn Fn(&Asked) -> Option<Reply> + Send + Sync>;

/// Objects by their path, such as `/api/v1/namespaces/n/pods/a`.
type Objects = Arc<Mutex<Vec<(String, Json)>>>;

/// Serves objects of the namespace `n` to a real kubectl and to the kube crate, which is all that it does as an API
/// server. Ends with the test's runtime.
pub struct ApiStandIn {
    pub objects: Objects,
    pub kubeconfig: String,
    pub port: u16,
    served: Arc<Served>,
    /// Apart from the bench, whose files only tests change, and from the home directory.
    cache: tempfile::TempDir,
}

/// What its connections share.
#[derive(Default)]
struct Served {
    objects: Objects,
    instead: Mutex<Option<Instead>>,
    asked: Mutex<Vec<Asked>>,
}

impl ApiStandIn {
    pub async fn start(bench: &Bench) -> Self {
        Self::serving(bench, None).await
    }

    /// The same over TLS, with the certificate `<server>.pem` of the bench and its key; clients are asked for a certificate
    /// of `<clients>.pem`, and may have none unless `demand`. Its kubeconfig trusts `<roots>.pem` and has the certificate
    /// `<user>.pem`.
    pub async fn start_tls(bench: &Bench, server: &str, clients: &str, demand: bool) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let pem = |name: &str| bench.read(&format!("{name}.pem")).into_bytes();
        let cert = |name: &str| CertificateDer::from_pem_slice(&pem(name)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert(clients)).unwrap();
        let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        if !demand {
            verifier = verifier.allow_unauthenticated();
        }
        let key = PrivateKeyDer::from_pem_slice(&pem(&format!("{server}-key"))).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::DEFAULT_VERSIONS)
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![cert(server)], key)
            .unwrap();
        Self::serving(bench, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serving(bench: &Bench, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served: Arc<Served> = Arc::default();
        let shared = served.clone();
        let scheme = if tls.is_some() { "https" } else { "http" };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accept(stream, tls.clone(), shared.clone()));
            }
        });
        let (cluster, user) = (format!("server: \"{scheme}://127.0.0.1:{port}\""), String::new());
        let kubeconfig = bench.file("admin.conf", kubeconfig(&cluster, &user));
        Self {
            objects: served.objects.clone(),
            kubeconfig,
            port,
            served,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    /// The words that begin a kubectl command.
    pub fn kubectl(&self) -> Vec<String> {
        vec!["kubectl".to_owned(), format!("--cache-dir={}", self.cache.path().display())]
    }

    /// Answers so from now on.
    pub fn instead(&self, instead: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) {
        *self.served.instead.lock().unwrap() = Some(Box::new(instead));
    }

    /// What it was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.served.asked.lock().unwrap().clone()
    }

    /// Adds an object of one of [`KINDS`].
    pub fn add(&self, resource: &str, name: &str, uid: &str, rest: Json) {
        let (version, plural, kind, namespaced) =
            KINDS.into_iter().find(|(_, plural, ..)| *plural == resource).unwrap();
        let mut object = json!({"apiVersion": version, "kind": kind,
            "metadata": {"name": name, "uid": uid, "labels": {"app": "x"}, "resourceVersion": "1"}});
        let place = if namespaced { "/namespaces/n" } else { "" };
        if namespaced {
            object["metadata"]["namespace"] = json!("n");
        }
        merge(&mut object, &rest);
        self.objects.lock().unwrap().push((format!("{}{place}/{plural}/{name}", root(version)), object));
    }

    pub fn has(&self, name: &str) -> bool {
        self.objects.lock().unwrap().iter().any(|(path, _)| path.ends_with(&format!("/{name}")))
    }

    /// The object of a name.
    pub fn object(&self, name: &str) -> Json {
        let objects = self.objects.lock().unwrap();
        objects.iter().find(|(path, _)| path.ends_with(&format!("/{name}"))).unwrap().1.clone()
    }
}

/// A kubeconfig of one cluster and one user, by what is in their maps.
pub fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{{cluster}}}}}]\n\
users: [{{name: u, user: {{{user}}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u, namespace: \"n\"}}}}]\n"
    )
}

/// What it knows: version, plural, kind, in namespaces.
const KINDS: [(&str, &str, &str, bool); 12] = [
    ("v1", "pods", "Pod", true),
    ("v1", "secrets", "Secret", true),
    ("v1", "configmaps", "ConfigMap", true),
    ("v1", "nodes", "Node", false),
    ("apps/v1", "deployments", "Deployment", true),
    ("apps/v1", "daemonsets", "DaemonSet", true),
    ("policy/v1beta1", "poddisruptionbudgets", "PodDisruptionBudget", true),
    ("certificates.k8s.io/v1beta1", "certificatesigningrequests", "CertificateSigningRequest", false),
    ("coordination.k8s.io/v1", "leases", "Lease", true),
    ("extensions/v1beta1", "ingresses", "Ingress", true),
    ("networking.k8s.io/v1", "ingresses", "Ingress", true),
    ("metrics.k8s.io/v1beta1", "pods", "PodMetrics", true),
];

fn root(version: &str) -> String {
    if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") }
}

async fn accept(stream: TcpStream, tls: Option<TlsAcceptor>, served: Arc<Served>) {
    match tls {
        None => serve(stream, served).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream, served).await;
            }
        }
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, served: Arc<Served>) {
    let Some(asked) = read(&mut stream).await else { return };
    served.asked.lock().unwrap().push(asked.clone());
    let instead = served.instead.lock().unwrap().as_ref().and_then(|instead| instead(&asked));
    let reply = instead.unwrap_or_else(|| {
        let (status, json) = answer(&asked, &mut served.objects.lock().unwrap());
        Reply::Json(status, json)
    });
    let head = |status: &str, rest: String| {
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n{rest}\r\n\r\n")
    };
    let whole = |status: &str, text: String| {
        format!("{}{text}", head(status, format!("Content-Length: {}", text.len())))
    };
    let text = match reply {
        Reply::Json(status, json) if json.is_null() => whole(status, String::new()),
        Reply::Json(status, json) => whole(status, json.to_string()),
        Reply::Text(status, text) => whole(status, text),
        Reply::Lines(lines, cut) => {
            let lines = lines.iter().map(|line| format!("{line}\n"));
            let chunks: String = lines.map(|line| format!("{:x}\r\n{line}\r\n", line.len())).collect();
            let end = if cut { "" } else { "0\r\n\r\n" };
            format!("{}{chunks}{end}", head("200 OK", "Transfer-Encoding: chunked".to_owned()))
        }
        Reply::Cut => head("200 OK", "Content-Length: 1000".to_owned()) + "{\"kind\":",
        Reply::Hang => std::future::pending().await,
    };
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    let (head, start, length) = loop {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return None };
        seen.extend_from_slice(&buffer[..count]);
        let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&seen[..end]).into_owned();
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|text| text.parse().ok())
        });
        break (head, end + 4, end + 4 + length.unwrap_or(0));
    };
    while seen.len() < length {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else { return None };
        seen.extend_from_slice(&buffer[..count]);
    }
    let mut words = head.split(' ');
    let mut word = || words.next().unwrap_or("").to_owned();
    let (method, url) = (word(), word());
    Some(Asked { method, url, body: serde_json::from_slice(&seen[start..]).unwrap_or_default(), head })
}

fn answer(asked: &Asked, objects: &mut Vec<(String, Json)>) -> (&'static str, Json) {
    let (path, _) = asked.url.split_once('?').unwrap_or((&asked.url, ""));
    let mut versions: Vec<&str> =
        KINDS.iter().map(|(version, ..)| *version).filter(|version| version.contains('/')).collect();
    versions.dedup();
    let found = match path {
        "/version" => json!({"major": "1", "minor": "32", "gitVersion": "v1.32.0"}),
        "/api" => json!({"kind": "APIVersions", "versions": ["v1"]}),
        "/apis" => {
            let group = |version: &&str| {
                let (group, short) = version.split_once('/').unwrap();
                let version = json!({"groupVersion": version, "version": short});
                json!({"name": group, "versions": [version], "preferredVersion": version})
            };
            let groups: Vec<Json> = versions.iter().map(group).collect();
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
        }
        path if ["v1"].iter().chain(&versions).any(|version| root(version) == path) => {
            let resources: Vec<Json> = KINDS
                .iter()
                .filter(|(version, ..)| root(version) == path)
                .map(|(_, plural, kind, namespaced)| {
                    json!({"name": plural, "singularName": kind.to_lowercase(), "namespaced": namespaced, "kind": kind,
                        "verbs": ["get", "list", "delete", "patch"]})
                })
                .collect();
            let version = path.trim_start_matches("/apis/").trim_start_matches("/api/");
            json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources})
        }
        _ => return object(asked, objects),
    };
    ("200 OK", found)
}

fn status(code: &'static str, reason: &str, message: &str) -> (&'static str, Json) {
    let number: u16 = code.split(' ').next().unwrap().parse().unwrap();
    let answer = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": number, "reason": reason,
        "message": message});
    (code, answer)
}

fn object(asked: &Asked, objects: &mut Vec<(String, Json)>) -> (&'static str, Json) {
    let (path, query) = asked.url.split_once('?').unwrap_or((&asked.url, ""));
    let path = path.trim_end_matches("/approval");
    let dry = query.contains("dryRun=All");
    let kind = KINDS.iter().find(|(version, plural, ..)| {
        path.starts_with(&format!("{}/", root(version))) && path.ends_with(&format!("/{plural}"))
    });
    let at = objects.iter().position(|(own, _)| own == path);
    match (asked.method.as_str(), at, kind) {
        ("GET", None, Some((version, _, kind, _))) => list(path, query, version, kind, objects),
        ("POST", None, Some(_)) => {
            let name = asked.body["metadata"]["name"].as_str().unwrap_or("");
            let path = format!("{path}/{name}");
            if objects.iter().any(|(own, _)| *own == path) {
                return status("409 Conflict", "AlreadyExists", &format!("\"{name}\" already exists"));
            }
            create(path, &asked.body, dry, objects)
        }
        ("PATCH", None, _) if asked.head.contains("apply-patch") => {
            create(path.to_owned(), &asked.body, dry, objects)
        }
        ("DELETE", Some(at), _) => delete(asked, at, objects),
        ("PATCH" | "PUT", Some(at), _) => change(asked, at, dry, objects),
        (_, Some(at), _) => ("200 OK", objects[at].1.clone()),
        _ => {
            let name = path.rsplit('/').next().unwrap_or("");
            status("404 Not Found", "NotFound", &format!("\"{name}\" not found"))
        }
    }
}

fn create(path: String, body: &Json, dry: bool, objects: &mut Vec<(String, Json)>) -> (&'static str, Json) {
    let mut made = body.clone();
    merge(&mut made, &json!({"metadata": {"uid": format!("new-{}", objects.len()), "resourceVersion": "1"}}));
    if !dry {
        objects.push((path, made.clone()));
    }
    ("201 Created", made)
}

fn delete(asked: &Asked, at: usize, objects: &mut Vec<(String, Json)>) -> (&'static str, Json) {
    let metadata = &mut objects[at].1["metadata"];
    for key in ["uid", "resourceVersion"] {
        let wanted = &asked.body["preconditions"][key];
        if !wanted.is_null() && *wanted != metadata[key] {
            return status("409 Conflict", "Conflict", "the precondition does not match");
        }
    }
    if metadata["finalizers"].is_array() {
        metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        return ("200 OK", objects[at].1.clone());
    }
    ("200 OK", objects.remove(at).1)
}

fn change(asked: &Asked, at: usize, dry: bool, objects: &mut [(String, Json)]) -> (&'static str, Json) {
    let mut now = objects[at].1.clone();
    let version = now["metadata"]["resourceVersion"].clone();
    match &asked.body {
        Json::Array(operations) => {
            for one in operations {
                let (parent, key) = one["path"].as_str().unwrap().rsplit_once('/').unwrap();
                let Some(into) = now.pointer_mut(parent).and_then(Json::as_object_mut) else {
                    return status(
                        "422 Unprocessable Entity",
                        "Invalid",
                        "the patch names what is not there",
                    );
                };
                match one["op"].as_str().unwrap() {
                    "remove" => drop(into.remove(key)),
                    _ => drop(into.insert(key.to_owned(), one["value"].clone())),
                }
            }
        }
        body if asked.method == "PUT" => now = body.clone(),
        body => merge(&mut now, body),
    }
    for key in ["uid", "resourceVersion"] {
        if now["metadata"][key] != objects[at].1["metadata"][key] {
            return status("409 Conflict", "Conflict", "the object has been modified");
        }
    }
    if now != objects[at].1 {
        let number: u64 = version.as_str().unwrap_or("1").parse().unwrap_or(1);
        now["metadata"]["resourceVersion"] = json!((number + 1).to_string());
    }
    if !dry {
        objects[at].1 = now.clone();
    }
    ("200 OK", now)
}

fn list(
    path: &str,
    query: &str,
    version: &str,
    kind: &str,
    objects: &[(String, Json)],
) -> (&'static str, Json) {
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
    let (root, plural) = path.rsplit_once('/').unwrap();
    let under = |own: &str| {
        own.starts_with(&format!("{path}/"))
            || (own.starts_with(root) && own.contains(&format!("/{plural}/")))
    };
    // Objects of a list do not say what they are.
    let mut items: Vec<Json> = objects
        .iter()
        .filter(|(own, object)| under(own) && fits(object))
        .map(|(_, object)| object.clone())
        .collect();
    for item in &mut items {
        let item = item.as_object_mut().unwrap();
        item.remove("kind");
        item.remove("apiVersion");
    }
    let metadata = json!({"resourceVersion": "1"});
    (
        "200 OK",
        json!({"apiVersion": version, "kind": format!("{kind}List"), "metadata": metadata, "items": items}),
    )
}

/// A merge patch (RFC 7396).
fn merge(into: &mut Json, patch: &Json) {
    match (into, patch) {
        (Json::Object(into), Json::Object(patch)) => {
            for (key, value) in patch {
                match value {
                    Json::Null => drop(into.remove(key)),
                    value => merge(into.entry(key.clone()).or_insert(Json::Null), value),
                }
            }
        }
        (into, Json::Object(patch)) => {
            *into = json!({});
            for (key, value) in patch.iter().filter(|(_, value)| !value.is_null()) {
                let mut inner = Json::Null;
                merge(&mut inner, value);
                into[key] = inner;
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}
