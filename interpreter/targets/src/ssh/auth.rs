//! Logging in: keys, then the password, until the server is content.

use super::algorithms::rsa_hash;
use super::connect::Client;
use super::keys::{self, KeyFile};
use super::known_hosts::fingerprint;
use super::settings::{Resolved, SshSettings};
use keybook_api::{Fault, Secret};
use russh::MethodKind;
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// Servers allow six attempts as a rule (MaxAuthTries); the last is left for a password.
const KEY_ATTEMPTS: usize = 5;
/// How long the agent may take to list its keys.
const AGENT_LIMIT: Duration = Duration::from_secs(5);
/// How many rounds of questions a server may ask.
const ROUNDS: usize = 6;

type Agent = AgentClient<UnixStream>;

/// A key to try.
enum Candidate {
    File { name: String, key: Arc<PrivateKey> },
    Agent { name: String, identity: Box<AgentIdentity> },
}

impl Candidate {
    fn name(&self) -> &str {
        match self {
            Self::File { name, .. } | Self::Agent { name, .. } => name,
        }
    }

    fn public(&self) -> PublicKey {
        match self {
            Self::File { key, .. } => key.public_key().clone(),
            Self::Agent { identity, .. } => identity.public_key().into_owned(),
        }
    }
}

/// One attempt to log in, and what was found on the way.
struct Login<'a> {
    host: &'a Resolved,
    handle: &'a mut Handle<Client>,
    agent: Option<Agent>,
    /// What the server still accepts.
    offered: Vec<MethodKind>,
    tried: Vec<String>,
    notes: Vec<String>,
}

/// Logs in.
///
/// # Errors
/// `Usage` for a key file that the inventory names and that is of no use; `Unreachable` when the server refuses
/// everything, with what was tried.
pub(crate) async fn log_in(
    host: &Resolved,
    settings: &SshSettings,
    handle: &mut Handle<Client>,
) -> Result<(), Fault> {
    // Read before anything is sent: a wrong key file is the operator's to mend, whatever the server would say.
    let named = match &host.key {
        Some(path) => Some((path, keys::load(path, host.passphrase.as_ref()).map_err(|f| f.on(&host.name))?)),
        None => None,
    };
    let mut login =
        Login { host, handle, agent: None, offered: Vec::new(), tried: Vec::new(), notes: Vec::new() };
    match login.handle.authenticate_none(host.user.clone()).await {
        Ok(AuthResult::Success) => return Ok(()),
        Ok(AuthResult::Failure { remaining_methods, .. }) => login.offered = remaining_methods.to_vec(),
        Err(e) => return Err(login.lost(&e)),
    }
    let held = login.agent_identities(settings.agent.as_deref()).await;
    let candidates = login.candidates(named, held);
    if login.keys(candidates).await? || login.password().await? || login.questions().await? {
        return Ok(());
    }
    Err(login.refused())
}

impl Login<'_> {
    /// The keys in the order they are tried: the one that the inventory names, the agent's, the configured or
    /// default files. The named one goes first because a server cuts the connection after a few wrong keys.
    fn candidates(
        &mut self,
        named: Option<(&std::path::PathBuf, KeyFile)>,
        mut held: Vec<AgentIdentity>,
    ) -> Vec<Candidate> {
        let mut list = Vec::new();
        if let Some((path, file)) = named {
            list.extend(self.file_candidate(path, file, &mut held));
        }
        let files: Vec<Candidate> = self
            .host
            .other_keys
            .iter()
            .filter(|path| Some(*path) != self.host.key.as_ref())
            .filter_map(|path| match keys::load(path, None) {
                Ok(file) => self.file_candidate(path, file, &mut held),
                Err(fault) => {
                    self.notes.push(format!("{}: {}", path.display(), fault.cause));
                    None
                }
            })
            .collect::<Vec<_>>();
        if !self.host.identities_only {
            list.extend(held.into_iter().map(agent_candidate));
        }
        list.extend(files);
        list
    }

    /// A key file, or the agent's copy of it when the file is locked.
    fn file_candidate(
        &mut self,
        path: &Path,
        file: KeyFile,
        held: &mut Vec<AgentIdentity>,
    ) -> Option<Candidate> {
        match file {
            KeyFile::Usable(key) => {
                held.retain(|identity| identity.public_key().key_data() != key.public_key().key_data());
                Some(Candidate::File { name: path.display().to_string(), key: Arc::from(key) })
            }
            KeyFile::Locked(public) => {
                let at = public.and_then(|public| {
                    held.iter().position(|identity| identity.public_key().key_data() == public.key_data())
                });
                match at {
                    Some(at) => Some(agent_candidate(held.remove(at))),
                    None => {
                        self.notes.push(format!("{} needs a passphrase, and none is given", path.display()));
                        None
                    }
                }
            }
        }
    }

    async fn agent_identities(&mut self, socket: Option<&Path>) -> Vec<AgentIdentity> {
        let Some(socket) = socket else { return Vec::new() };
        let listing = async {
            let mut agent = AgentClient::connect_uds(socket).await?;
            let identities = agent.request_identities().await?;
            Ok::<_, russh::keys::Error>((agent, identities))
        };
        match timeout(AGENT_LIMIT, listing).await {
            Ok(Ok((agent, identities))) => {
                self.agent = Some(agent);
                identities
            }
            Ok(Err(e)) => {
                self.notes.push(format!("the SSH agent at {} does not answer: {e}", socket.display()));
                Vec::new()
            }
            Err(_) => {
                self.notes.push(format!("the SSH agent at {} does not answer", socket.display()));
                Vec::new()
            }
        }
    }

    fn offers(&self, method: MethodKind) -> bool {
        self.offered.contains(&method)
    }

    async fn keys(&mut self, candidates: Vec<Candidate>) -> Result<bool, Fault> {
        let left_out = candidates.len().saturating_sub(KEY_ATTEMPTS);
        for candidate in candidates.into_iter().take(KEY_ATTEMPTS) {
            if !self.offers(MethodKind::PublicKey) {
                return Ok(false);
            }
            let name = candidate.name().to_owned();
            let result = self.key(candidate).await;
            self.tried.push(name);
            if self.judge(result)? {
                return Ok(true);
            }
        }
        if left_out > 0 {
            self.notes
                .push(format!("{left_out} more keys were not tried, because servers allow few attempts"));
        }
        Ok(false)
    }

    async fn key(&mut self, candidate: Candidate) -> Result<AuthResult, String> {
        let hash = match candidate.public().algorithm().is_rsa() {
            true => rsa_hash(self.handle.best_supported_rsa_hash().await.map_err(|e| e.to_string())?),
            false => None,
        };
        let user = self.host.user.clone();
        match candidate {
            Candidate::File { key, .. } => {
                let key = PrivateKeyWithHashAlg::new(key, hash);
                self.handle.authenticate_publickey(user, key).await.map_err(|e| e.to_string())
            }
            Candidate::Agent { identity, .. } => self.agent_key(user, *identity, hash).await,
        }
    }

    async fn agent_key(
        &mut self,
        user: String,
        identity: AgentIdentity,
        hash: Option<HashAlg>,
    ) -> Result<AuthResult, String> {
        let Some(agent) = &mut self.agent else { return Err("the agent is gone".into()) };
        let result = match identity {
            AgentIdentity::PublicKey { key, .. } => {
                self.handle.authenticate_publickey_with(user, key, hash, agent).await
            }
            AgentIdentity::Certificate { certificate, .. } => {
                self.handle.authenticate_certificate_with(user, certificate, hash, agent).await
            }
        };
        result.map_err(|e| e.to_string())
    }

    async fn password(&mut self) -> Result<bool, Fault> {
        let Some(password) = self.host.password.as_ref().and_then(Secret::expose_str) else {
            return Ok(false);
        };
        if !self.offers(MethodKind::Password) {
            return Ok(false);
        }
        let result = self.handle.authenticate_password(self.host.user.clone(), password).await;
        self.tried.push("the password".into());
        self.judge(result.map_err(|e| e.to_string()))
    }

    /// Keyboard-interactive: the password answers what is asked without echo.
    async fn questions(&mut self) -> Result<bool, Fault> {
        let Some(password) = self.host.password.as_ref().and_then(Secret::expose_str) else {
            return Ok(false);
        };
        if !self.offers(MethodKind::KeyboardInteractive) {
            return Ok(false);
        }
        self.tried.push("the password, as an answer".into());
        let start = self.handle.authenticate_keyboard_interactive_start(self.host.user.clone(), None);
        let mut reply = start.await.map_err(|e| self.lost(&e))?;
        for _ in 0..ROUNDS {
            match reply {
                KeyboardInteractiveAuthResponse::Success => return Ok(true),
                KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    if let Some(prompt) = prompts.iter().find(|prompt| prompt.echo) {
                        self.notes.push(format!(
                            "the server asks `{}`, which cannot be answered",
                            prompt.prompt.trim()
                        ));
                        return Ok(false);
                    }
                    let answers = prompts.iter().map(|_| password.to_owned()).collect();
                    let next = self.handle.authenticate_keyboard_interactive_respond(answers);
                    reply = next.await.map_err(|e| self.lost(&e))?;
                }
            }
        }
        Ok(false)
    }

    /// True when the login is complete. A key that the agent will not sign with is no reason to stop; a lost
    /// connection is.
    fn judge(&mut self, result: Result<AuthResult, String>) -> Result<bool, Fault> {
        match result {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure { remaining_methods, .. }) if !self.handle.is_closed() => {
                self.offered = remaining_methods.to_vec();
                Ok(false)
            }
            Err(why) if !self.handle.is_closed() => {
                self.notes.push(why);
                Ok(false)
            }
            _ => {
                self.notes.push("the server closed the connection after too many attempts".into());
                Err(self.refused())
            }
        }
    }

    fn lost(&self, error: &russh::Error) -> Fault {
        Fault::unreachable(self.attempted(), format!("the connection was lost while logging in: {error}"))
            .on(&self.host.name)
    }

    fn attempted(&self) -> String {
        format!("log in as {} at {}:{}", self.host.user, self.host.host, self.host.port)
    }

    fn refused(&self) -> Fault {
        let tried = if self.tried.is_empty() { "nothing".to_owned() } else { self.tried.join(", ") };
        let offered: Vec<&str> = self.offered.iter().map(<&str>::from).collect();
        let mut cause = format!("the server refused; tried: {tried}; it accepts: {}", offered.join(", "));
        for note in &self.notes {
            cause.push_str("; ");
            cause.push_str(note);
        }
        Fault::unreachable(self.attempted(), cause)
            .on(&self.host.name)
            .now("nothing was run on the host")
            .hint("give this host a `key` or `user` in the inventory, or add the key to the SSH agent (ssh-add)")
    }
}

fn agent_candidate(identity: AgentIdentity) -> Candidate {
    let comment = match &identity {
        AgentIdentity::PublicKey { comment, .. } | AgentIdentity::Certificate { comment, .. } => {
            comment.clone()
        }
    };
    let name = format!("the agent's {} ({comment})", fingerprint(&identity.public_key()));
    Candidate::Agent { name, identity: Box::new(identity) }
}
