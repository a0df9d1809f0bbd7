//! Finds the certificates of a host: in files, and what its ports present. Changes nothing; private keys stay where they are.

mod answer;
mod served;

use crate::{support::files, x509::kubeconfig};
use answer::Answer;
use keybook_api::{Cancel, Command, Fault, FoundCertificate, HostListing, Loaded, Target};
use keybook_pki::Certificate;
use std::{collections::BTreeSet, time::Duration};

/// Where kubeadm, kubelets, AKS-engine and TOS keep certificates.
pub const DEFAULT_PATHS: [&str; 3] = ["/etc/kubernetes", "/var/lib/kubelet/pki", "/srv/kubernetes"];

/// Where API servers (also of a balancer on the same host), etcd (of TOS, too), kubelets, the controller manager and the scheduler
/// listen (kubernetes.io, Ports and Protocols).
pub const DEFAULT_PORTS: [u16; 9] = [443, 2379, 2380, 4001, 6443, 8443, 10250, 10257, 10259];

/// How long a host may take to look through its files.
const LIMIT: Duration = Duration::from_secs(300);
/// How much text the certificates of a host may be, in bytes.
const KEEP: usize = 256 << 20;

const FIND: &str = include_str!("find.sh");

/// What is looked for on a host.
#[derive(Clone, Debug)]
pub struct Search {
    /// Absolute paths of files and folders.
    pub paths: Vec<String>,
    /// What is at or below these paths is left out.
    pub exclude: Vec<String>,
    /// The ports to ask where a process listens at them.
    pub ports: Vec<u16>,
    /// List what they present and none of the files holds, too.
    pub unfiled: bool,
}

/// Lists what a host has, in no particular order.
///
/// # Errors
/// Those of running a command on the host; an answer of more than 256 MiB.
pub async fn list(target: &dyn Target, search: &Search, cancel: &Cancel) -> Result<HostListing, Fault> {
    let attempted = "look for certificates";
    let command = Command { keep_output: KEEP, ..Command::shell(FIND) };
    let command = command.args([search.paths.len().to_string()]).args(search.paths.clone());
    let command = command.args(search.exclude.clone()).timeout(LIMIT).cancel(cancel);
    let exit = target.exec(command, &|_, _| {}).await?;
    if exit.truncated {
        let why = format!("there is more than {} MiB of them", KEEP >> 20);
        return Err(Fault::failed(attempted, why).on(target.name()).hint("name fewer paths"));
    }
    if !exit.ok() {
        let why = format!("the host's shell ended with status {}: {}", exit.status, exit.err().trim());
        return Err(Fault::failed(attempted, why).on(target.name()));
    }
    let mut answer = Answer::read(&exit.out());
    let wanted = |path: &str| !search.exclude.iter().any(|out| is_at_or_below(path, out));
    answer.pem.retain(|(path, _)| wanted(path));
    answer.configs.retain(|path| wanted(path));
    answer.der.retain(|path| wanted(path));

    let mut listing =
        HostListing { missing: answer.missing, problems: answer.errors, ..HostListing::default() };
    for (path, blocks) in &answer.pem {
        let texts = blocks.iter().map(|block| (None, block.as_bytes()));
        add(target, path, texts, &mut listing);
    }
    for path in &answer.configs {
        in_kubeconfig(target, path, &mut listing).await;
    }
    for path in &answer.der {
        in_der(target, path, &mut listing).await;
    }
    for one in &mut listing.certificates {
        if let Some(links) = one.path.as_ref().and_then(|path| answer.links.get(path)) {
            one.links = links.iter().filter(|link| wanted(link)).cloned().collect();
        }
    }
    let asked: Vec<_> =
        answer.listening.into_iter().filter(|(_, port)| search.ports.contains(port)).collect();
    let mut presented: Vec<served::Served> = Vec::new();
    for (port, said) in served::ask(target, &asked).await {
        match said {
            // One that listens at several addresses presents it at each of them.
            Ok(served) if presented.iter().any(|known| served.is(known)) => {}
            Ok(served) => presented.push(served),
            Err(why) => listing.notes.push(format!("port {port} shows no certificate: {why}")),
        }
    }
    served::compare(target.name(), &mut listing.certificates, &presented, search.unfiled);
    Ok(listing)
}

fn is_at_or_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Adds the certificates of a file's PEM texts, each with the entry that it is in; what is damaged becomes a problem.
fn add<'t>(
    target: &dyn Target,
    path: &str,
    texts: impl Iterator<Item = (Option<&'t str>, &'t [u8])>,
    listing: &mut HostListing,
) {
    let mut index = 0;
    for (entry, text) in texts {
        match Certificate::load_all(text) {
            Ok(all) => {
                for certificate in all {
                    let (path, entry) = (Some(path.to_owned()), entry.map(str::to_owned));
                    let place = FoundCertificate { path, entry, index, ..row(target.name(), &certificate) };
                    listing.certificates.push(place);
                    index += 1;
                }
            }
            Err(error) => {
                listing.problems.push(format!("{path}: certificate {} cannot be read: {error}", index + 1));
                index += 1;
            }
        }
    }
}

async fn in_kubeconfig(target: &dyn Target, path: &str, listing: &mut HostListing) {
    let file = match files::need(target, path).await {
        Ok(file) => file,
        Err(fault) => return listing.problems.push(format!("{path}: {}", fault.cause)),
    };
    match kubeconfig::embedded(&file.content) {
        Ok(None) => {
            listing.problems.push(format!("{path}: it has certificates as a kubeconfig has, and is none"))
        }
        Ok(Some(entries)) => {
            let texts = entries.iter().map(|(entry, pem)| (Some(entry.as_str()), pem.as_slice()));
            add(target, path, texts, listing);
        }
        Err(why) => listing.problems.push(format!("{path}: {why}")),
    }
}

async fn in_der(target: &dyn Target, path: &str, listing: &mut HostListing) {
    match files::need(target, path).await {
        Ok(file) => add(target, path, std::iter::once((None, file.content.expose())), listing),
        Err(fault) => listing.problems.push(format!("{path}: {}", fault.cause)),
    }
}

/// A certificate without its place.
fn row(host: &str, certificate: &Certificate) -> FoundCertificate {
    let sans: BTreeSet<String> = certificate.sans().iter().map(ToString::to_string).collect();
    FoundCertificate {
        host: host.to_owned(),
        path: None,
        links: Vec::new(),
        entry: None,
        index: 0,
        subject: certificate.subject().to_owned(),
        issuer: certificate.issuer().to_owned(),
        serial: certificate.serial(),
        sans: sans.into_iter().collect(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        is_ca: certificate.is_ca(),
        sha256: certificate.sha256(),
        loaded: Loaded::Unknown,
    }
}

#[cfg(test)]
mod tests;
