//! Connections to an API server, opened through the host and handed to the kube crate's client.

use super::{
    config::{Access, Server},
    trusted::Judge,
};
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, header};
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use keybook_api::{Ctx, Fault, FaultKind, Stream, Target};
use kube::client::Body;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio_rustls::TlsConnector;
use tower::{BoxError, Service};

/// What a query has that asks for a watch.
pub const WATCH: &str = "watch=true";

/// A fault on its way through the client.
#[derive(Debug)]
pub struct Carried(pub Box<Fault>);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Carried {}

/// Sends requests to one server: on a connection that is free, or else on a new one.
#[derive(Clone)]
pub struct Dialer(Arc<Line>);

/// What a connection is made of.
struct Line {
    target: Arc<dyn Target>,
    server: Server,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>, Arc<Judge>)>,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    free: Mutex<Option<SendRequest<Body>>>,
}

impl Dialer {
    /// A dialer for what `access` leads to; connects to nothing yet. `timeout` is for connecting.
    pub fn new(ctx: &Ctx, access: &Access, timeout: Duration) -> Result<Self, Fault> {
        let fault = |why: String| {
            Fault::failed(format!("use the identity for {}", access.server.url), why).on(ctx.target.name())
        };
        let tls = match access.server.tls {
            true => {
                let judge = Arc::new(Judge::new(access, ctx.now, ctx.sink.clone()));
                let config = judge.client(access).map_err(|error| fault(error.to_string()))?;
                let name = ServerName::try_from(access.name.clone())
                    .map_err(|_| fault(format!("`{}` is no host name", access.name.escape_debug())))?;
                Some((Arc::new(config), name, judge))
            }
            false => None,
        };
        let header = |value: &keybook_api::Secret| {
            let mut header = HeaderValue::from_bytes(value.expose()).map_err(|_| {
                fault("its token or password has characters that no header may have".to_owned())
            })?;
            header.set_sensitive(true);
            Ok::<_, Fault>(header)
        };
        let authorization = access.authorization.as_ref().map(header).transpose()?;
        let (target, server) = (ctx.target.clone(), access.server.clone());
        Ok(Self(Arc::new(Line { target, server, tls, authorization, timeout, free: Mutex::default() })))
    }
}

impl Line {
    /// The connection of the request before, whose answer has been read by now.
    async fn take(&self) -> Option<SendRequest<Body>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let ready = tokio::time::timeout(Duration::from_secs(1), free.ready()).await;
        matches!(ready, Ok(Ok(()))).then_some(free)
    }

    fn keep(&self, sender: SendRequest<Body>) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    }

    fn attempted(&self) -> String {
        format!("connect to the API server {}", self.server.url)
    }

    async fn connect(&self) -> Result<SendRequest<Body>, Fault> {
        let late = || {
            let cause = "no answer in time while the connection was made";
            Fault::new(FaultKind::TimedOut, self.attempted(), cause)
                .on(self.target.name())
                .now("nothing was sent")
        };
        tokio::time::timeout(self.timeout, self.connected()).await.unwrap_or_else(|_| Err(late()))
    }

    async fn connected(&self) -> Result<SendRequest<Body>, Fault> {
        let stream = self.target.open(&self.server.host, self.server.port, self.timeout).await?;
        match &self.tls {
            None => self.speak(stream).await,
            Some((config, name, judge)) => {
                let connecting = TlsConnector::from(config.clone()).connect(name.clone(), stream);
                match connecting.await {
                    Ok(stream) => self.speak(stream).await,
                    Err(error) => Err(self.no_tls(judge, &error)),
                }
            }
        }
    }

    fn no_tls(&self, judge: &Judge, error: &std::io::Error) -> Fault {
        let fault = |why: &str| {
            Fault::failed(self.attempted(), why).on(self.target.name()).now("nothing was sent to it")
        };
        match judge.refused() {
            Some(refused) if refused.hint.is_empty() => fault(&refused.why),
            Some(refused) => fault(&refused.why).hint(refused.hint),
            // A balancer whose server is away, or a server that ends, just hangs up.
            None if is_hung_up(error) => Fault::unreachable(self.attempted(), format!("no TLS: {error}"))
                .on(self.target.name())
                .now("nothing was sent to it"),
            None => fault(&format!("no TLS: {error}")),
        }
    }

    async fn speak(&self, stream: impl Stream + 'static) -> Result<SendRequest<Body>, Fault> {
        let made = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) =
            made.map_err(|error| Fault::unreachable(self.attempted(), error).on(self.target.name()))?;
        // It ends with the sender, or with the server; whoever waits for an answer learns of an error.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn address(&self, request: &mut Request<Body>) -> Result<(), BoxError> {
        let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        *request.uri_mut() = format!("{}{path}", self.server.prefix).parse()?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_str(&self.server.authority())?);
        if let Some(value) = &self.authorization {
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("keybook/", env!("CARGO_PKG_VERSION"))),
        );
        Ok(())
    }
}

impl Service<Request<Body>> for Dialer {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let line = self.0.clone();
        Box::pin(async move {
            line.address(&mut request)?;
            let watches = request.uri().query().is_some_and(|query| query.contains(WATCH));
            let mut sender = match line.take().await {
                Some(sender) => sender,
                None => line.connect().await.map_err(|fault| Carried(Box::new(fault)))?,
            };
            let answer = sender.send_request(request).await?;
            // The answer to a watch has no end that anybody waits for.
            if !watches {
                line.keep(sender);
            }
            Ok(answer)
        })
    }
}

/// Did the other side end the connection without a word?
fn is_hung_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}
