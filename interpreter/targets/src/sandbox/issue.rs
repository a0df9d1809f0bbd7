//! Makes a scenario's certificates. The keys live in memory only until they are in the hosts' folders.

use super::scenario::{CertificateSpec, Scenario};
use super::world::Sandbox;
use indexmap::IndexMap;
use keybook_api::{Fault, Map, Value};
use keybook_pki::{
    CaRequest, Certificate, LeafRequest, PkiError, PrivateKey, San, Subject, issue_ca, issue_leaf,
};

/// A certificate with its key.
pub(crate) struct Issued {
    pub certificate: Certificate,
    pub key: PrivateKey,
}

/// Everything that was issued, by name.
pub(crate) type All = IndexMap<String, Issued>;

/// Issues all certificates, CAs first; `now` in seconds since 1970.
///
/// # Errors
/// What cannot be issued, at its place in the scenario.
pub(crate) fn all(scenario: &Scenario, now: i64) -> Result<All, Fault> {
    // Names in certificates may be those of any host; `host` itself means nothing here.
    let mut variables = Sandbox::variables(scenario, "");
    variables.shift_remove("host");
    let mut issued = All::new();
    let by_rank =
        |rank: bool| scenario.certificates.iter().filter(move |(_, spec)| spec.issuer.is_none() == rank);
    for (name, spec) in by_rank(true).chain(by_rank(false)) {
        let one =
            one(scenario, spec, &variables, &issued, now).map_err(|problem| problem.fault(name, spec))?;
        issued.insert(name.clone(), one);
    }
    Ok(issued)
}

enum Problem {
    Pki(PkiError),
    Fault(Fault),
}

impl Problem {
    fn fault(self, name: &str, spec: &CertificateSpec) -> Fault {
        let fault = match self {
            Self::Pki(error) => Fault::failed(format!("issue the certificate `{name}`"), error),
            Self::Fault(fault) => fault,
        };
        fault.at(&spec.span).now("there is no sandbox yet")
    }
}

impl From<PkiError> for Problem {
    fn from(error: PkiError) -> Self {
        Self::Pki(error)
    }
}

fn one(
    scenario: &Scenario,
    spec: &CertificateSpec,
    variables: &Map,
    issued: &All,
    now: i64,
) -> Result<Issued, Problem> {
    let key = PrivateKey::generate(spec.kind)?;
    let subject = Subject::Attributes(spec.subject.clone());
    let (not_before, not_after) = (now.saturating_add(spec.from), now.saturating_add(spec.to));
    let certificate = match spec.issuer.as_ref().and_then(|name| issued.get(name)) {
        None => issue_ca(&CaRequest { subject, path_len: spec.path_len, not_before, not_after }, &key)?,
        Some(ca) => {
            let sans = sans(scenario, spec, variables)?;
            let request = LeafRequest { subject, sans, usages: spec.usages.clone(), not_before, not_after };
            issue_leaf(&request, &ca.certificate, &ca.key, &key)?
        }
    };
    Ok(Issued { certificate, key })
}

/// The alternative names; a template may give one or a list.
fn sans(scenario: &Scenario, spec: &CertificateSpec, variables: &Map) -> Result<Vec<San>, Problem> {
    let mut sans = Vec::new();
    for template in &spec.sans {
        let value = scenario.engine.render(template, variables).map_err(|error| {
            Problem::Fault(Fault::failed("fill in `sans`", &error.message).at(&error.span))
        })?;
        let items = match &value {
            Value::List(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        for item in items {
            sans.push(item.to_string().parse()?);
        }
    }
    Ok(sans)
}
