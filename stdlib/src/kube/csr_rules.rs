//! What a certificate signing request may ask for before it is approved, signer by signer
//! ([signers](https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers)). Whoever
//! holds the certificate of an approved request is what its subject says, so everything that is not known to be right is refused.
//!
//! The signers of Kubernetes take subject, alternative names and public key from the request itself, the usages from
//! `spec.usages`, and nothing else: they never sign a CA. What the request itself asks for beside alternative names, such as
//! extended key usages, [`CertificateRequest`] does not read; a signer of somebody else's may heed it.

use super::csr::Csr;
use keybook_api::duration;
use keybook_pki::{CertificateRequest, San};
use std::time::Duration;

/// Signs client certificates that API servers honour. Any subject, so that whoever approves must know it; any alternative
/// names; the usage `client auth`, and beside it only `digital signature` and `key encipherment`.
pub const CLIENT: &str = "kubernetes.io/kube-apiserver-client";
/// Signs client certificates of kubelets. The organization is `system:nodes` and no other, the common name begins with
/// `system:node:`; no alternative names; the usages as of [`CLIENT`].
pub const KUBELET_CLIENT: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Signs serving certificates of kubelets. The subject as of [`KUBELET_CLIENT`]; host names and addresses, one at least, and
/// no other alternative names; the usage `server auth`, and beside it only `digital signature` and `key encipherment`.
pub const KUBELET_SERVING: &str = "kubernetes.io/kubelet-serving";

/// The group of all nodes.
const NODES: &str = "system:nodes";
/// The group that authorization does not bind.
const MASTERS: &str = "system:masters";

/// What an approval is for.
#[derive(Clone)]
pub struct Rule {
    /// The node whose request it must be; without one it is a user's.
    pub node: Option<String>,
    /// Who must have asked.
    pub username: String,
    /// The signer that it must be for; without one, the one that suits.
    pub signer: Option<String>,
    /// The organizations (groups) that a user's subject must have, exactly.
    pub organizations: Vec<String>,
    /// The longest validity that may be asked for; without one, what the signer gives.
    pub longest: Option<Duration>,
    /// The alternative names that it may have, those of the node among them.
    pub sans: Vec<San>,
}

impl Rule {
    /// Is the request what it must be? The error says why it is not.
    pub fn check(&self, csr: &Csr) -> Result<(), String> {
        let request = csr.request.as_ref().map_err(|why| format!("the request cannot be read: {why}"))?;
        if csr.username != self.username {
            return Err(format!("{} asks, not {}", csr.username, self.username));
        }
        let signer = self.signer(csr)?;
        if let (Some(longest), Some(asked)) = (self.longest, csr.expiration)
            && asked > longest
        {
            let words = [asked, longest].map(duration::format);
            return Err(format!("it asks for {}, and the longest allowed is {}", words[0], words[1]));
        }
        match &self.node {
            Some(node) => self.check_node(csr, request, signer, node),
            None => self.check_user(csr, request, signer),
        }
    }

    /// The request's signer. API servers before 1.18 know none; there the usages tell what a node asks for.
    fn signer<'a>(&self, csr: &'a Csr) -> Result<&'a str, String> {
        let serves = csr.usages.iter().any(|usage| usage == "server auth");
        let signer = match (csr.signer.as_str(), &self.node) {
            ("", Some(_)) if serves => KUBELET_SERVING,
            ("", Some(_)) => KUBELET_CLIENT,
            ("", None) => CLIENT,
            (signer, _) => signer,
        };
        let of_nodes = [KUBELET_CLIENT, KUBELET_SERVING];
        let fits = match (&self.signer, &self.node) {
            (Some(wanted), _) if wanted != signer => {
                return Err(format!("it is for the signer {signer}, not for {wanted}"));
            }
            (_, Some(_)) => of_nodes.contains(&signer),
            (None, None) => signer == CLIENT,
            (Some(_), None) => !of_nodes.contains(&signer),
        };
        match (fits, &self.node) {
            (true, _) => Ok(signer),
            (false, Some(_)) => {
                Err(format!("it is for the signer {signer}, and a node's are for {}", of_nodes.join(" or ")))
            }
            (false, None) if of_nodes.contains(&signer) => {
                Err(format!("it is for the signer {signer}: name the `node` whose it must be"))
            }
            (false, None) => Err(format!(
                "it is for the signer {signer}, not for {CLIENT}; another one is named in `signer`"
            )),
        }
    }

    fn check_node(
        &self,
        csr: &Csr,
        request: &CertificateRequest,
        signer: &str,
        node: &str,
    ) -> Result<(), String> {
        let own = format!("system:node:{node}");
        check_subject(request, &own, &[NODES.to_owned()])?;
        if signer == KUBELET_CLIENT {
            check_usages(csr, "client auth")?;
            return match request.sans() {
                [] => Ok(()),
                [first, ..] => {
                    Err(format!("it asks for {first}, and a kubelet's client certificate has no names"))
                }
            };
        }
        if self.username != own {
            return Err(format!("{} asks, and only {own} itself may ask for what it serves", self.username));
        }
        check_usages(csr, "server auth")?;
        if request.sans().is_empty() {
            return Err("it asks for no name and no address".to_owned());
        }
        if let Some(odd) = request.sans().iter().find(|san| !matches!(san, San::Dns(_) | San::Ip(_))) {
            return Err(format!("it asks for {odd}, which is neither a host name nor an address"));
        }
        self.check_sans(request, &format!("an address of the node {node}"))
    }

    fn check_user(&self, csr: &Csr, request: &CertificateRequest, signer: &str) -> Result<(), String> {
        for (group, hint) in [(MASTERS, "nobody can take that away again"), (NODES, "name the `node`")] {
            if self.organizations.iter().any(|one| one == group) {
                return Err(format!("`organizations` names {group}: {hint}"));
            }
        }
        check_subject(request, &self.username, &self.organizations)?;
        match signer {
            CLIENT => check_usages(csr, "client auth")?,
            // What other signers make of usages is theirs; but nobody gets a CA this way.
            _ => {
                if let Some(odd) =
                    csr.usages.iter().find(|usage| ["cert sign", "crl sign", "any"].contains(&usage.as_str()))
                {
                    return Err(format!("it asks for the usage {odd}"));
                }
            }
        }
        self.check_sans(request, "one of `sans`")
    }

    fn check_sans(&self, request: &CertificateRequest, whose: &str) -> Result<(), String> {
        let same = |one: &San, two: &San| match (one, two) {
            (San::Dns(one), San::Dns(two)) => one.eq_ignore_ascii_case(two),
            (one, two) => one == two,
        };
        let strange = request.sans().iter().find(|san| !self.sans.iter().any(|one| same(one, san)));
        strange.map_or(Ok(()), |san| Err(format!("it asks for {san}, which is not {whose}")))
    }
}

/// The usages of a kubelet's or user's certificate: the one that it is for must be there, and only what goes with it.
fn check_usages(csr: &Csr, wanted: &str) -> Result<(), String> {
    let with = ["digital signature", "key encipherment", wanted];
    if let Some(odd) = csr.usages.iter().find(|usage| !with.contains(&usage.as_str())) {
        return Err(format!("it asks for the usage {odd}, which does not go with {wanted}"));
    }
    match csr.usages.iter().any(|usage| usage == wanted) {
        true => Ok(()),
        false => Err(format!("it does not ask for the usage {wanted}")),
    }
}

/// Has the subject one common name, and exactly these organizations, each once, and nothing else? It is RFC 4514 text: where
/// nothing is escaped, a comma is between two attributes and nowhere else.
fn check_subject(request: &CertificateRequest, name: &str, organizations: &[String]) -> Result<(), String> {
    let subject = request.subject();
    let mut wanted: Vec<String> = organizations.iter().map(|one| format!("O={one}")).collect();
    wanted.push(format!("CN={name}"));
    wanted.sort_unstable();
    wanted.dedup();
    let mut parts: Vec<&str> = subject.split(',').collect();
    let plain = !subject.contains(['\\', '+', '#', '"']);
    parts.sort_unstable();
    match plain && parts.iter().eq(wanted.iter()) {
        true => Ok(()),
        false => {
            wanted.reverse();
            wanted.sort_by_key(|part| !part.starts_with("CN="));
            let subject = if subject.is_empty() { "empty" } else { subject };
            Err(format!("its subject is {subject}, not {}", wanted.join(",")))
        }
    }
}
