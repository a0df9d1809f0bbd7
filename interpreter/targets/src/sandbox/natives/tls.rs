//! What TLS clients and servers would say to each other's certificates.

use super::calls::{Call, arg, said};
use crate::sandbox::daemons;
use crate::sandbox::paths;
use crate::sandbox::serve;
use keybook_api::{Secret, Value};
use keybook_pki::{Certificate, PrivateKey, San, Usage, VerifyFailure, covers, verify};

/// Go's word for an untrusted certificate.
const UNKNOWN: &str = "x509: certificate signed by unknown authority";

pub(super) fn trusted(_call: &Call, args: &[Value]) -> Result<Value, String> {
    let usage = match arg(args, 2)? {
        "server" => Usage::Server,
        "client" => Usage::Client,
        other => return Err(format!("`{other}` is no usage; write \"server\" or \"client\"")),
    };
    let chain = Certificate::load_all_pem(arg(args, 0)?.as_bytes());
    let roots = Certificate::load_all_pem(arg(args, 1)?.as_bytes());
    // What cannot be read is trusted by nobody.
    let (Ok(chain), Ok(roots)) = (chain, roots) else { return Ok(false.into()) };
    Ok(judge(&chain, &roots, usage).is_ok().into())
}

fn judge(chain: &[Certificate], roots: &[Certificate], usage: Usage) -> Result<(), String> {
    let (leaf, between) = chain.split_first().ok_or(UNKNOWN)?;
    let now = jiff::Timestamp::now().as_second();
    verify(leaf, between, roots, now, usage).map_err(|failure| match failure {
        VerifyFailure::Expired { .. } | VerifyFailure::NotYetValid { .. } => {
            "x509: certificate has expired or is not yet valid".to_owned()
        }
        VerifyFailure::WrongUsage { .. } => {
            "x509: certificate specifies an incompatible key usage".to_owned()
        }
        _ => UNKNOWN.to_owned(),
    })
}

pub(super) fn dial(call: &Call, args: &[Value]) -> Result<Value, String> {
    let address = arg(args, 0)?;
    let port = args.get(1).and_then(Value::as_int).ok_or("the port must be a whole number")?;
    let files = (arg(args, 2)?, arg(args, 3)?, arg(args, 4)?);
    Ok(connect(call, address, port, files)?.err().into())
}

/// The outer error is the scenario's own; the inner one is the client's.
fn connect(
    call: &Call,
    address: &str,
    port: i64,
    files: (&str, &str, &str),
) -> Result<Result<(), String>, String> {
    let (roots, chain) = match client(call, files)? {
        Ok(client) => client,
        Err(why) => return Ok(Err(why)),
    };
    let refused = || Ok(Err(format!("dial tcp {address}:{port}: connect: connection refused")));
    let Some(server) = serve::host_of(call.sandbox.scenario(), &call.host, address).map(str::to_owned) else {
        return Ok(Err(format!("dial tcp: lookup {address}: no such host")));
    };
    let there = Call { sandbox: call.sandbox.clone(), host: server };
    let spec =
        there.sandbox.scenario().daemons_of(&there.host).find(|spec| spec.port.map(i64::from) == Some(port));
    let Some(spec) = spec else { return refused() };
    let (_, record) = there.record(&spec.name)?;
    if !record.running {
        return refused();
    }
    let host = there.sandbox.host(&there.host);
    let loaded = |what: &str| -> Result<Vec<Certificate>, String> {
        let bytes = daemons::loaded(&host, &spec.name, &record, what).map_err(said)?.unwrap_or_default();
        Ok(Certificate::load_all_pem(bytes.expose()).unwrap_or_default())
    };
    let served = loaded("certificate")?;
    if served.is_empty() {
        return Ok(Err("tls: first record does not look like a TLS handshake".to_owned()));
    }
    if let Err(why) = judge(&served, &roots, Usage::Server) {
        return Ok(Err(why));
    }
    if let Some(leaf) = served.first().filter(|leaf| !covers(leaf, address)) {
        let names = leaf.sans().iter().map(San::to_string).collect::<Vec<_>>().join(", ");
        return Ok(Err(format!("x509: certificate is valid for {names}, not {address}")));
    }
    let client_ca = loaded("client_ca")?;
    if spec.reads.contains_key("client_ca") && judge(&chain, &client_ca, Usage::Client).is_err() {
        return Ok(Err("remote error: tls: bad certificate".to_owned()));
    }
    Ok(Ok(()))
}

/// The client's CAs and its own certificates, read as it starts.
#[allow(clippy::type_complexity)]
fn client(
    call: &Call,
    (ca, certificate, key): (&str, &str, &str),
) -> Result<Result<(Vec<Certificate>, Vec<Certificate>), String>, String> {
    let root = call.sandbox.host(&call.host).root;
    let read = |path: &str| -> Result<Result<Secret, String>, String> {
        let bytes = paths::read(&root, path).map_err(said)?;
        Ok(bytes.map(Secret::new).ok_or_else(|| format!("open {path}: no such file or directory")))
    };
    let files = (read(ca)?, read(certificate)?, read(key)?);
    Ok((|| {
        let (ca, certificate, key) = (files.0?, files.1?, files.2?);
        let roots = Certificate::load_all_pem(ca.expose()).map_err(|error| format!("cacert: {error}"))?;
        let chain =
            Certificate::load_all_pem(certificate.expose()).map_err(|error| format!("tls: {error}"))?;
        let key = PrivateKey::load(&key, None).map_err(|error| format!("tls: {error}"))?;
        if !chain.first().is_some_and(|leaf| key.matches(leaf)) {
            return Err("tls: private key does not match public key".to_owned());
        }
        Ok((roots, chain))
    })())
}
