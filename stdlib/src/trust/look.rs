//! What hosts show: the files of the matrix, and handshakes.

use crate::{
    support::files,
    tls::handshake::{self, Identity, Seen, Versions, handshake},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::future::join_all;
use keybook_api::{Bundle, Command, HostAccess, Reads, Secret, Target, TrustClient, TrustServer};
use keybook_pki::Certificate;
use rustls::pki_types::ServerName;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

/// How long a server may take to be connected to, and again to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file of the matrix as it is now.
pub struct Seized {
    content: Secret,
    /// When it, or where it is, was last changed: seconds since 1970 by the host's clock. `None` where no process of
    /// the pairs reads it only when it starts, so that nobody needs to know.
    pub changed: Option<i64>,
}

/// The files of the matrix, by host and path. What could not be read is kept as the reason.
pub struct Files(HashMap<(String, String), Result<Seized, String>>);

impl Files {
    /// Reads each file of the pairs once, the hosts at the same time.
    pub async fn read(hosts: &dyn HostAccess, pairs: &[(&TrustClient, &TrustServer)]) -> Self {
        let read = wanted(pairs).into_iter().map(async |(host, files)| {
            let target = hosts.target(host).await;
            let mut found = Vec::new();
            for (path, dated) in files {
                let file = match &target {
                    Ok(target) => seize(&**target, path, dated).await,
                    Err(fault) => Err(fault.cause.clone()),
                };
                found.push(((host.to_owned(), path.to_owned()), file));
            }
            found
        });
        Self(join_all(read).await.into_iter().flatten().collect())
    }

    /// A file.
    pub fn get(&self, host: &str, path: &str) -> Result<&Seized, String> {
        match self.0.get(&(host.to_owned(), path.to_owned())) {
            Some(Ok(file)) => Ok(file),
            Some(Err(why)) => Err(format!("{path} on {host}: {why}")),
            None => Err(format!("{path} on {host} was not read")),
        }
    }

    /// The certificates of a PEM file, in their order.
    pub fn chain(&self, host: &str, path: &str) -> Result<Vec<Certificate>, String> {
        let file = self.get(host, path)?;
        Certificate::load_all_pem(file.content.expose()).map_err(|why| format!("{path} on {host}: {why}"))
    }

    /// The CAs of a bundle.
    pub fn roots(&self, host: &str, bundle: &Bundle) -> Result<Vec<Certificate>, String> {
        match bundle {
            Bundle::File(path) => self.chain(host, path),
            Bundle::Kubeconfig(path) => {
                let file = self.get(host, path)?;
                kubeconfig_cas(&file.content).map_err(|why| format!("{path} on {host}: {why}"))
            }
        }
    }

    /// What a client shows to servers; `None` when it has no certificate or key, or they cannot be used.
    fn identity(&self, client: &TrustClient) -> Option<Identity> {
        let chain = self.chain(&client.host, client.cert.as_deref()?).ok()?;
        let key = self.get(&client.host, client.key.as_deref()?).ok()?;
        handshake::identity(&chain, &key.content).ok()
    }
}

/// The `certificate-authority-data` of every cluster of a kubeconfig (kubernetes.io, Config v1).
fn kubeconfig_cas(content: &Secret) -> Result<Vec<Certificate>, String> {
    let parsed: serde_yaml::Value =
        serde_yaml::from_slice(content.expose()).map_err(|_| "it is no YAML".to_owned())?;
    let clusters = parsed.get("clusters").and_then(serde_yaml::Value::as_sequence);
    let mut roots = Vec::new();
    for entry in clusters.into_iter().flatten() {
        let data = entry.get("cluster").and_then(|cluster| cluster.get("certificate-authority-data"));
        let Some(data) = data.and_then(serde_yaml::Value::as_str) else { continue };
        let pem = STANDARD.decode(data.trim()).map_err(|_| "its CA data is no base64".to_owned())?;
        roots.extend(Certificate::load_all_pem(&pem).map_err(|why| why.to_string())?);
    }
    if roots.is_empty() { Err("it holds no certificate-authority-data".to_owned()) } else { Ok(roots) }
}

/// The files to read by host, each with whether the time of its last change counts: for what a process read when it
/// started.
fn wanted<'m>(pairs: &[(&'m TrustClient, &'m TrustServer)]) -> HashMap<&'m str, BTreeMap<&'m str, bool>> {
    let mut wanted: HashMap<&str, BTreeMap<&str, bool>> = HashMap::new();
    let mut want = |host, path, dated| *wanted.entry(host).or_default().entry(path).or_default() |= dated;
    let at_start = |reads| matches!(reads, Reads::StartedAt(_));
    for (client, server) in pairs {
        let (own, served) = (at_start(client.reads), at_start(server.reads));
        for path in client.cert.as_deref().into_iter().chain([client.trusts.path()]) {
            want(client.host.as_str(), path, own);
        }
        if let Some(key) = client.key.as_deref().filter(|_| server.clients.is_some()) {
            want(&client.host, key, false);
        }
        for path in server.clients.as_ref().map(Bundle::path).into_iter().chain([server.cert.as_str()]) {
            want(&server.host, path, served);
        }
    }
    wanted
}

async fn seize(target: &dyn Target, path: &str, dated: bool) -> Result<Seized, String> {
    let file = files::need(target, path).await.map_err(|fault| fault.cause)?;
    let modified = file.stat.modified;
    let changed = match dated {
        true => Some(changed(target, &file.path).await.unwrap_or(modified).max(modified)),
        false => None,
    };
    Ok(Seized { content: file.content, changed })
}

/// When a file was put where it is: a file that was copied with its times, as a restored one, is younger than its
/// modification time says. `None` where `stat` does not tell, as in a sandbox.
async fn changed(target: &dyn Target, path: &str) -> Option<i64> {
    if target.is_sandbox() {
        return None;
    }
    let command = Command::argv(["stat", "-c", "%Z", "--", path]).timeout(PATIENCE);
    let exit = target.exec(command, &|_, _| {}).await.ok()?;
    exit.out().trim().parse().ok()
}

/// What came of shaking hands.
pub struct Shaken {
    /// What was seen; the reason where there was no connection.
    pub seen: Result<Seen, String>,
    /// The client's own certificate was shown, to a server that judges it before the handshake ends.
    pub showed: bool,
}

/// Shakes hands with a server from the client's host, with the client's certificate where it has one.
pub async fn shake(
    hosts: &dyn HostAccess,
    files: &Files,
    client: &TrustClient,
    server: &TrustServer,
) -> Shaken {
    let identity = files.identity(client).filter(|_| server.clients.is_some());
    if let Some(identity) = &identity {
        let own = Some((identity.0.clone(), identity.1.clone_key()));
        let seen = once(hosts, client, server, own, Versions::Tls12).await;
        if seen.as_ref().is_ok_and(|seen| !seen.chain.is_empty()) {
            return Shaken { seen, showed: true };
        }
    }
    Shaken { seen: once(hosts, client, server, identity, Versions::Both).await, showed: false }
}

async fn once(
    hosts: &dyn HostAccess,
    client: &TrustClient,
    server: &TrustServer,
    identity: Option<Identity>,
    versions: Versions,
) -> Result<Seen, String> {
    let name = server.server_name.as_deref().unwrap_or(&server.address);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| format!("`{name}` is no host name"))?;
    let target = hosts.target(&client.host).await.map_err(|fault| fault.cause)?;
    let stream = target.open(&server.address, server.port, PATIENCE).await.map_err(|fault| fault.cause)?;
    handshake(stream, name, identity, versions, PATIENCE).await.map_err(|error| error.to_string())
}
