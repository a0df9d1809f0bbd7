use super::{
    accepts,
    handshake::{self, Identity, Seen, Versions, handshake},
    port,
};
use crate::{
    support::{files, tell},
    x509,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, Value, WayBack,
    returns::Key, value::map,
};
use keybook_pki::Certificate;
use rustls::pki_types::ServerName;
use std::time::Duration;

/// The certificate that a server presents.
pub struct Served;

const SPEC: ActionSpec = ActionSpec {
    name: "tls.served",
    summary: "Reads the certificate chain that a TLS server presents.",
    doc: "Connects from the host and shakes hands by TLS 1.2 or 1.3. The chain is read even when the server then refuses, for example \
because it demands a client certificate; `error` says so. With `roots` the chain is verified as `x509.verify` does, for a server, now; \
the name is compared when `server_name` or `host` is given; and the server must have proved that it holds the key. A chain that does not \
verify is no error: demand `result.verified`.\n\n\
In TLS 1.3 a client is through before the server has judged its certificate: that the handshake succeeds does not say that the client \
certificate was accepted. Servers that know only older versions, or only RSA key exchange, cannot be read.\n\n\
Errors: no connection, no TLS server, no certificate; what `x509.read` and `x509.check_key` refuse in the files \
([RFC 8446](https://www.rfc-editor.org/rfc/rfc8446), [RFC 5246](https://www.rfc-editor.org/rfc/rfc5246)).",
    effect: Effect::Reads,
    args: &[
        ArgSpec::optional("host", ArgKind::Text, "127.0.0.1", "Address or name, as the host resolves it."),
        ArgSpec::required("port", ArgKind::Int, "The port."),
        ArgSpec::optional("server_name", ArgKind::Text, "host", "The name to ask for (SNI) and to compare."),
        ArgSpec::optional("roots", ArgKind::Path, "", "A PEM file with the CAs to trust."),
        ArgSpec::optional(
            "client_cert",
            ArgKind::Path,
            "",
            "A PEM file with the client's certificate (chain).",
        ),
        ArgSpec::optional("client_key", ArgKind::Path, "", "The file with its key."),
        ArgSpec::optional(
            "timeout",
            ArgKind::Duration,
            "10s",
            "For connecting, and again for the handshake.",
        ),
    ],
    returns: Returns::map(&[
        Key::list("chain", "The certificates, the server's own first.", x509::CERTIFICATE),
        Key::map(
            "leaf",
            "The server's own certificate.",
            x509::CERTIFICATE.and(&[Key::plain("endpoint", "`host:port`.")]),
        ),
        Key::plain("verified", "Whether the chain verifies; null without `roots`."),
        Key::plain("reason", "Why it does not; null otherwise."),
        Key::plain("protocol", "The version of TLS."),
        Key::plain("error", "Why the handshake ended early; null otherwise."),
    ]),
    way_back: WayBack::Nothing,
    example: "tls.served:\n  port: 4001\n  roots: /srv/kubernetes/etcd-ca.pem\n",
};

#[async_trait]
impl Action for Served {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        Ok(tell::reads(format!("read the certificate served at {}", endpoint(args)?)))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let endpoint = endpoint(args)?;
        let attempted = || format!("read the certificate served at {endpoint}");
        let name = server_name(args)?;
        let roots = match args.opt_path("roots")? {
            Some(path) => Some(x509::every(&*ctx.target, path).await?),
            None => None,
        };
        let identity = identity(ctx, args).await?;
        let timeout = args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(10));
        let stream = ctx.target.open(host(args)?, port(args)?, timeout).await?;
        let seen = tokio::select! {
            seen = handshake(stream, name, identity, Versions::Both, timeout) => {
                seen.map_err(|error| tell::failed(ctx, "use the client certificate", error))?
            }
            () = ctx.cancel.cancelled() => return Err(tell::stopped(ctx, attempted())),
        };
        let chain: Vec<Certificate> = seen
            .chain
            .iter()
            .map(|der| Certificate::from_der(der))
            .collect::<Result<_, _>>()
            .map_err(|error| x509::fault(&*ctx.target, attempted(), &error))?;
        let Some((leaf, intermediates)) = chain.split_first() else {
            let why = seen.error.unwrap_or_else(|| "the server sent no certificate".to_owned());
            return Err(tell::failed(ctx, attempted(), why));
        };
        let verdict = match roots {
            Some(roots) => {
                let name = args.opt_text("server_name")?.or(args.opt_text("host")?);
                Some(accepts(leaf, intermediates, &roots, ctx.now, name).and_then(|()| proof(&seen)))
            }
            None => None,
        };
        let mut leaf_map = x509::certificate_map(leaf);
        leaf_map.insert("endpoint".to_owned(), endpoint.as_str().into());
        let chain = chain.iter().map(|one| Value::Map(x509::certificate_map(one))).collect();
        Ok(Applied::unchanged(map([
            ("chain", Value::List(chain)),
            ("leaf", Value::Map(leaf_map)),
            ("verified", verdict.as_ref().map(Result::is_ok).into()),
            ("reason", verdict.and_then(Result::err).into()),
            ("protocol", seen.protocol.into()),
            ("error", seen.error.into()),
        ])))
    }
}

fn host(args: &Args) -> Result<&str, Fault> {
    Ok(args.opt_text("host")?.unwrap_or("127.0.0.1"))
}

fn endpoint(args: &Args) -> Result<String, Fault> {
    let (host, port) = (host(args)?, port(args)?);
    Ok(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

fn server_name(args: &Args) -> Result<ServerName<'static>, Fault> {
    let name = args.opt_text("server_name")?.unwrap_or(host(args)?);
    ServerName::try_from(name.to_owned()).map_err(|_| {
        Fault::usage("read the argument `server_name`", format!("`{}` is no host name", name.escape_debug()))
    })
}

async fn identity(ctx: &Ctx, args: &Args) -> Result<Option<Identity>, Fault> {
    let (cert, key) = match (args.opt_path("client_cert")?, args.opt_path("client_key")?) {
        (None, None) => return Ok(None),
        (Some(cert), Some(key)) => (cert, key),
        _ => {
            return Err(Fault::usage("read the arguments", "`client_cert` and `client_key` belong together"));
        }
    };
    let chain = x509::every(&*ctx.target, cert).await?;
    let file = files::need(&*ctx.target, key).await?;
    handshake::identity(&chain, &file.content)
        .map(Some)
        .map_err(|error| x509::fault(&*ctx.target, format!("read the private key {key}"), &error))
}

/// Did the server prove that the certificate is its own?
fn proof(seen: &Seen) -> Result<(), String> {
    if seen.proved {
        return Ok(());
    }
    let why = seen.error.as_deref().unwrap_or("the handshake ended early");
    Err(format!("the server did not prove that it holds the key: {why}"))
}
