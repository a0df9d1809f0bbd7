//! What hosts show: the files of the matrix, and handshakes.

use super::kubeconfig::{self, Cas};
use crate::{
    support::files,
    tls::handshake::{self, Identity, Seen, Versions, handshake},
};
use futures::future::join_all;
use keybook_api::{
    Bundle, Command, Fault, FaultKind, FileKind, HostAccess, Reads, Secret, Target, TrustClient, TrustServer,
    target::follow,
};
use keybook_pki::{Certificate, PkiError, PrivateKey};
use rustls::pki_types::ServerName;
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};
use tokio::time::{Instant, timeout, timeout_at};

/// How long a server may take to be connected to, and again to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one file may take.
const A_FILE: Duration = Duration::from_secs(30);

/// Prints when each symbolic link on the way to a file, and the file itself, was last changed (its status: it was
/// put where it is), one a line.
const CHANGES: &str = r#"
rest=$1 at= links=0
while [ -n "$rest" ]; do
  part=${rest%%/*}
  case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac
  case $part in
    '' | .) continue ;;
    ..) at=${at%/*}; continue ;;
  esac
  if [ -L "$at/$part" ]; then
    links=$((links + 1))
    [ "$links" -le 40 ] || exit 1
    stat -c %Z -- "$at/$part" || exit 1
    to=$(readlink -- "$at/$part") || exit 1
    case $to in /*) at= ;; esac
    rest=$to/$rest
  else
    at=$at/$part
  fi
done
exec stat -c %Z -- "$at"
"#;

/// Why a file says nothing.
#[derive(Clone, Debug)]
pub enum Lack {
    /// It, or its host, cannot be looked at.
    Unseen(String),
    /// It is not there, or not what it should be.
    Wrong(String),
}

/// A file of the matrix as it is now.
pub struct Seized {
    content: Secret,
    /// When it, or a link on the way to it, was last changed: seconds since 1970 by the host's clock. `None` where no
    /// process of the pairs reads it only when it starts, so that nobody needs to know.
    changed: Option<i64>,
}

/// What there is to know of a file.
#[derive(Default)]
struct Want<'m> {
    /// When it was changed.
    dated: bool,
    /// The bundles that it is or holds, which may name other files.
    bundles: Vec<&'m Bundle>,
}

/// The files of the matrix, by host and path. What could not be read is kept as the reason.
pub struct Files(HashMap<(String, String), Result<Seized, Lack>>);

impl Files {
    /// Reads each file of the pairs once, the hosts at the same time. What is not read by then is not seen.
    pub async fn read(hosts: &dyn HostAccess, pairs: &[(&TrustClient, &TrustServer)], by: Instant) -> Self {
        let read = wanted(pairs).into_iter().map(async |(host, files)| read_on(hosts, host, files, by).await);
        Self(join_all(read).await.into_iter().flatten().collect())
    }

    fn get(&self, host: &str, path: &str) -> Result<&Seized, Lack> {
        let told = |why: &str| format!("{path} on {host}: {why}");
        match self.0.get(&(host.to_owned(), path.to_owned())) {
            Some(Ok(file)) => Ok(file),
            Some(Err(Lack::Unseen(why))) => Err(Lack::Unseen(told(why))),
            Some(Err(Lack::Wrong(why))) => Err(Lack::Wrong(told(why))),
            None => Err(Lack::Unseen(told("it was not read"))),
        }
    }

    /// The certificates of a PEM file, in their order; one at least.
    pub fn chain(&self, host: &str, path: &str) -> Result<Vec<Certificate>, Lack> {
        certificates(self.get(host, path)?.content.expose(), host, path)
    }

    /// The CAs of a bundle.
    pub fn roots(&self, host: &str, bundle: &Bundle) -> Result<Vec<Certificate>, Lack> {
        let path = bundle.path();
        match held(bundle, &self.get(host, path)?.content) {
            None => self.chain(host, path),
            Some(Ok(Cas::Here(pem))) => certificates(&pem, host, path),
            Some(Ok(Cas::In(file))) => self.chain(host, &file),
            Some(Err(why)) => Err(Lack::Wrong(format!("{path} on {host}: {why}"))),
        }
    }

    /// When a file was last changed; the end of time where nobody knows.
    pub fn changed(&self, host: &str, path: &str) -> i64 {
        self.get(host, path).ok().and_then(|file| file.changed).unwrap_or(i64::MAX)
    }

    /// The same of a bundle, with the file that is named in it.
    pub fn bundle_changed(&self, host: &str, bundle: &Bundle) -> i64 {
        let own = self.changed(host, bundle.path());
        let named = self.get(host, bundle.path()).ok().and_then(|file| names(bundle, &file.content));
        named.map_or(own, |named| own.max(self.changed(host, &named)))
    }

    /// Is a key file there, and is it the key of the first certificate? A key that cannot be judged, because it is
    /// encrypted or of another kind, is not held against anybody.
    pub fn key_fits(&self, host: &str, path: &str, chain: &[Certificate]) -> Result<(), Lack> {
        let wrong = |why: String| Err(Lack::Wrong(format!("{path} on {host}: {why}")));
        match (PrivateKey::load(&self.get(host, path)?.content, None), chain.first()) {
            (Ok(key), Some(leaf)) if !key.matches(leaf) => {
                wrong(format!("it is not the key of the certificate `{}`", leaf.subject()))
            }
            (Ok(_), _) | (Err(PkiError::Encrypted { .. } | PkiError::Unsupported(_)), _) => Ok(()),
            (Err(why), _) => wrong(why.to_string()),
        }
    }

    /// What a client shows to servers; `None` when it has no certificate or key, or they cannot be used.
    fn identity(&self, client: &TrustClient) -> Option<Identity> {
        let chain = self.chain(&client.host, client.cert.as_deref()?).ok()?;
        let path = client.key.as_deref()?;
        self.key_fits(&client.host, path, &chain).ok()?;
        handshake::identity(&chain, &self.get(&client.host, path).ok()?.content).ok()
    }
}

/// Where the CAs are that a file which is no PEM file itself holds or names; `None` for a PEM file.
fn held(bundle: &Bundle, content: &Secret) -> Option<Result<Cas, String>> {
    match bundle {
        Bundle::File(_) => None,
        Bundle::Kubeconfig(path) => Some(kubeconfig::cas(content, path)),
        Bundle::Named { after, .. } => Some(named(content, after).map(Cas::In)),
    }
}

/// The file that a bundle's own file names, where it names one.
fn names(bundle: &Bundle, content: &Secret) -> Option<String> {
    match held(bundle, content) {
        Some(Ok(Cas::In(named))) => Some(named),
        _ => None,
    }
}

/// The path that stands right after some text.
fn named(content: &Secret, after: &str) -> Result<String, String> {
    let text = content.expose_str().ok_or("it is no text")?;
    let (_, rest) = text.split_once(after).ok_or_else(|| format!("`{after}` does not stand in it"))?;
    let end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';');
    let path = rest.trim_start_matches(['"', '\'', ' ']).split(end).next().unwrap_or_default();
    match path.starts_with('/') {
        true => Ok(path.to_owned()),
        false => Err(format!("after `{after}` stands no absolute path")),
    }
}

fn certificates(pem: &[u8], host: &str, path: &str) -> Result<Vec<Certificate>, Lack> {
    Certificate::load_all_pem(pem).map_err(|why| Lack::Wrong(format!("{path} on {host}: {why}")))
}

/// The files to read by host. The time of the last change counts of what a process read when it started.
fn wanted<'m>(pairs: &[(&'m TrustClient, &'m TrustServer)]) -> HashMap<&'m str, BTreeMap<String, Want<'m>>> {
    let mut wanted: HashMap<&str, BTreeMap<String, Want<'m>>> = HashMap::new();
    let mut want = |host, path: &str, dated, bundle: Option<&'m Bundle>| {
        let known = wanted.entry(host).or_default().entry(path.to_owned()).or_default();
        known.dated |= dated;
        if let Some(bundle) = bundle.filter(|bundle| !known.bundles.contains(bundle)) {
            known.bundles.push(bundle);
        }
    };
    let at_start = |reads: &Reads| matches!(reads, Reads::StartedAt(_));
    for (client, server) in pairs {
        let (own, served) = (at_start(&client.reads), at_start(&server.reads));
        want(client.host.as_str(), client.trusts.path(), own, Some(&client.trusts));
        if let Some(cert) = &client.cert {
            want(&client.host, cert, own, None);
        }
        if let Some(key) = client.key.as_deref().filter(|_| server.clients.is_some()) {
            want(&client.host, key, false, None);
        }
        want(&server.host, &server.cert, served, None);
        if let Some(key) = &server.key {
            want(&server.host, key, false, None);
        }
        if let Some(bundle) = &server.clients {
            want(&server.host, bundle.path(), served, Some(bundle));
        }
    }
    wanted
}

type Read = ((String, String), Result<Seized, Lack>);

async fn read_on(
    hosts: &dyn HostAccess,
    host: &str,
    files: BTreeMap<String, Want<'_>>,
    by: Instant,
) -> Vec<Read> {
    let mut found: BTreeMap<String, Result<Seized, Lack>> = BTreeMap::new();
    // Whether the date is asked for, by whoever asks for the file.
    let mut named: BTreeMap<String, bool> = BTreeMap::new();
    for (path, want) in files {
        let file = read_one(hosts, host, &path, want.dated, by).await;
        if let Ok(file) = &file {
            for other in want.bundles.iter().filter_map(|bundle| names(bundle, &file.content)) {
                *named.entry(other).or_default() |= want.dated;
            }
        }
        found.insert(path, file);
    }
    for (path, dated) in named {
        let enough =
            |file: &Result<Seized, Lack>| !dated || file.as_ref().is_ok_and(|file| file.changed.is_some());
        if !found.get(&path).is_some_and(enough) {
            let file = read_one(hosts, host, &path, dated, by).await;
            found.insert(path, file);
        }
    }
    found.into_iter().map(|(path, file)| ((host.to_owned(), path), file)).collect()
}

async fn read_one(
    hosts: &dyn HostAccess,
    host: &str,
    path: &str,
    dated: bool,
    by: Instant,
) -> Result<Seized, Lack> {
    let read = async {
        let target = hosts.target(host).await.map_err(|fault| Lack::Unseen(fault.cause))?;
        seize(&*target, path, dated).await
    };
    let by = by.min(Instant::now() + A_FILE);
    timeout_at(by, read)
        .await
        .unwrap_or_else(|_| Err(Lack::Unseen("the host does not answer in time".to_owned())))
}

async fn seize(target: &dyn Target, path: &str, dated: bool) -> Result<Seized, Lack> {
    let current = match files::look(target, path).await {
        Ok((_, Some(current))) => current,
        Ok((_, None)) => return Err(Lack::Wrong("there is no such file".to_owned())),
        Err(fault) => return Err(lack(target, path, fault).await),
    };
    let changed = match dated {
        true => Some(changed(target, path).await.unwrap_or(current.stat.modified).max(current.stat.modified)),
        false => None,
    };
    Ok(Seized { content: current.content, changed })
}

/// A host that answers and has a directory there is no riddle.
async fn lack(target: &dyn Target, path: &str, fault: Fault) -> Lack {
    let elsewhere = |kind| kind != FileKind::File;
    if fault.kind == FaultKind::Failed
        && let Ok((_, Some(stat))) = follow(target, path).await
        && elsewhere(stat.kind)
    {
        return Lack::Wrong(fault.cause);
    }
    Lack::Unseen(fault.cause)
}

/// When a file was put where it is: a file that was copied with its times, as a restored one, is younger than its
/// modification time says, and a link may have been pointed elsewhere. `None` where the host does not tell.
async fn changed(target: &dyn Target, path: &str) -> Option<i64> {
    if target.is_sandbox() {
        return links_changed(target, path).await;
    }
    let command = Command::shell(CHANGES).args([path]).timeout(PATIENCE);
    let exit = target.exec(command, &|_, _| {}).await.ok().filter(keybook_api::Exit::ok)?;
    exit.out().lines().map(|line| line.trim().parse().ok()).collect::<Option<Vec<i64>>>()?.into_iter().max()
}

/// A sandbox has no `stat`: when the links of the path's last part were made.
async fn links_changed(target: &dyn Target, path: &str) -> Option<i64> {
    let (mut at, mut latest) = (path.to_owned(), None);
    for _ in 0..keybook_api::target::MAX_LINKS {
        let stat = target.stat(&at).await.ok()??;
        latest = latest.max(Some(stat.modified));
        match stat.link {
            Some(link) if link.starts_with('/') => at = link,
            Some(link) => at = files::join(files::parent(&at), &link),
            None => return latest,
        }
    }
    None
}

/// What came of shaking hands.
pub struct Shaken {
    /// What was seen; the reason where there was no connection.
    pub seen: Result<Seen, String>,
    /// The client's own certificate was shown, to a server that judges it before the handshake ends.
    pub showed: bool,
    /// The server let it in, and refuses who shows none: it verifies certificates in its handshakes.
    pub verifies: bool,
}

impl Shaken {
    fn none(why: String) -> Self {
        Self { seen: Err(why), showed: false, verifies: false }
    }
}

/// Shakes hands with a server from the client's host, with the client's certificate where it has one.
pub async fn shake(
    hosts: &dyn HostAccess,
    files: &Files,
    client: &TrustClient,
    server: &TrustServer,
    by: Instant,
) -> Shaken {
    let shaken = timeout_at(by, shake_hands(hosts, files, client, server)).await;
    shaken.unwrap_or_else(|_| Shaken::none("there was no time left".to_owned()))
}

async fn shake_hands(
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
            let accepted = seen.as_ref().is_ok_and(|seen| seen.asked && seen.error.is_none());
            // Many servers ask for a certificate and look at it only later, or not at all.
            let verifies = accepted
                && once(hosts, client, server, None, Versions::Tls12).await.is_ok_and(|seen| seen.refused);
            return Shaken { seen, showed: true, verifies };
        }
    }
    let seen = once(hosts, client, server, identity, Versions::Both).await;
    Shaken { seen, showed: false, verifies: false }
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
    let target = timeout(PATIENCE, hosts.target(&client.host)).await;
    let target =
        target.map_err(|_| format!("{} does not answer", client.host))?.map_err(|fault| fault.cause)?;
    let opened = timeout(PATIENCE * 2, target.open(&server.address, server.port, PATIENCE)).await;
    let stream =
        opened.map_err(|_| format!("{} does not answer", client.host))?.map_err(|fault| fault.cause)?;
    handshake(stream, name, identity, versions, PATIENCE).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[tokio::test]
    async fn a_file_that_two_ask_for_is_known_once_and_with_its_date() {
        let bench = Bench::new().with_host("h1");
        let ca = bench.file("ca.pem", "x");
        let holder = bench.file("z.yaml", format!("ca: {ca}\n"));
        let named = Bundle::Named { holder: holder.clone(), after: "ca: ".to_owned() };
        let by = Instant::now() + PATIENCE;
        for (direct, by_holder) in [(true, false), (false, true)] {
            let files = BTreeMap::from([
                (ca.clone(), Want { dated: direct, bundles: Vec::new() }),
                (holder.clone(), Want { dated: by_holder, bundles: vec![&named] }),
            ]);
            let found = read_on(&*bench.ctx().hosts, "h1", files, by).await;
            let of_ca: Vec<_> = found.iter().filter(|((_, path), _)| *path == ca).collect();
            assert_eq!(of_ca.len(), 1);
            assert!(of_ca[0].1.as_ref().is_ok_and(|file| file.changed.is_some()), "{direct} {by_holder}");
        }
    }
}
