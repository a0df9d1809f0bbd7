//! One API server, asked by the kube crate's client over connections that go through the host.

use super::{
    config::Access,
    dial::{Carried, Dialer},
};
use crate::support::tell::{failed, stopped};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use keybook_api::{Args, Ctx, Fault, FaultKind, duration};
use kube::{Client, client::Body};
use rustls::Error as TlsError;
use serde_json::Value as Json;
use std::{error::Error, time::Duration};

/// How long one request may take, and how long connecting may.
pub const REQUEST: Duration = Duration::from_secs(30);

/// The largest answer that is read.
const LARGEST: usize = 16 << 20;

/// What is true after a change of which no clear answer came.
const UNSURE: &str = "what was asked for may or may not have happened";

/// The part of a query that makes a request a rehearsal: the server does everything but keep it.
pub const REHEARSAL: &str = "dryRun=All";

/// An API server.
pub struct Api {
    /// The kube crate's client.
    pub client: Client,
    /// How it is reached.
    pub access: Access,
    request: Duration,
}

/// What is asked.
pub struct Ask<'a> {
    /// What it is for, such as `get pods/a in n`.
    pub doing: &'a str,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The body and its media type.
    pub body: Option<(&'a str, Json)>,
}

impl<'a> Ask<'a> {
    /// A GET.
    pub fn get(doing: &'a str, path: impl Into<String>) -> Self {
        Self { doing, method: Method::GET, path: path.into(), body: None }
    }

    /// A request with a body of JSON.
    pub fn send(doing: &'a str, method: Method, path: impl Into<String>, body: Json) -> Self {
        Self { doing, method, path: path.into(), body: Some(("application/json", body)) }
    }
}

/// What the server answered, whether it did what was asked or not.
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body as it came.
    pub bytes: Vec<u8>,
    /// The body as JSON; null when it is none.
    pub json: Json,
    /// Could what was asked for have changed something: neither a look nor a rehearsal?
    changes: bool,
}

impl Answer {
    /// Is it that the object, or its kind, is not there?
    pub fn is_absent(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// Is it that the object is another by now than the one that was read?
    pub fn is_conflict(&self) -> bool {
        self.status == StatusCode::CONFLICT
    }

    /// Is it that server-side apply would take a field over from another manager? That is a conflict, too.
    pub fn is_others_field(&self) -> bool {
        let causes = self.json.pointer("/details/causes").and_then(Json::as_array).into_iter().flatten();
        self.is_conflict()
            && causes.filter_map(|one| one.get("reason")).any(|reason| reason == "FieldManagerConflict")
    }

    /// Is it a server that failed in the middle (5xx), so that what was asked for may have happened all the same?
    fn is_unsure(&self) -> bool {
        self.changes && self.status.is_server_error()
    }

    /// What the server says of what it refuses: its reason and message (`Status` of meta/v1), or the beginning of what it
    /// sent instead.
    pub fn says(&self) -> String {
        let text = |key: &str| self.json.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let plain = || {
            let text = String::from_utf8_lossy(&self.bytes);
            text.trim().chars().take(300).collect::<String>()
        };
        let message = text("message").map_or_else(plain, str::to_owned);
        let reason = text("reason").or(self.status.canonical_reason()).unwrap_or("refused");
        format!("the server says {} {reason}: {message}", self.status.as_u16())
    }
}

impl Api {
    /// Reads the kubeconfig; connects to nothing yet.
    pub async fn from_args(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        Self::with_timeout(ctx, args, REQUEST).await
    }

    /// The same, with another time for each request.
    pub async fn with_timeout(ctx: &Ctx, args: &Args, request: Duration) -> Result<Self, Fault> {
        let access = Access::read(ctx, args).await?;
        let client = Client::new(Dialer::new(ctx, &access, request)?, access.namespace.clone());
        Ok(Self { client, access, request })
    }

    /// Asks once. A refusal is an answer, too; a fault is that no whole answer came.
    pub async fn ask(&self, ctx: &Ctx, ask: Ask<'_>) -> Result<Answer, Fault> {
        let doing = ask.doing;
        let changes = ask.method != Method::GET && !ask.path.contains(REHEARSAL);
        let request = request(&ask).map_err(|error| failed(ctx, self.attempted(doing), error))?;
        let asked = async {
            let answer = self.client.send(request).await.map_err(|error| self.lost(ctx, doing, &error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LARGEST).collect().await;
            let bytes = body.map_err(|error| self.broken(ctx, doing, &*error))?.to_bytes().to_vec();
            let json = serde_json::from_slice(&bytes).unwrap_or_default();
            Ok(Answer { status, bytes, json, changes })
        };
        let answer = tokio::select! {
            answer = tokio::time::timeout(self.request, asked) => answer.unwrap_or_else(|_| {
                let cause = format!("no whole answer after {}", duration::format(self.request));
                Err(Fault::new(FaultKind::TimedOut, self.attempted(doing), cause).on(ctx.target.name()))
            }),
            () = ctx.cancel.cancelled() => Err(stopped(ctx, self.attempted(doing))),
        };
        match changes {
            true => answer.map_err(|fault| fault.now(UNSURE)),
            false => answer,
        }
    }

    /// The body of an answer that says that it was done.
    pub async fn need(&self, ctx: &Ctx, ask: Ask<'_>) -> Result<Json, Fault> {
        let doing = ask.doing.to_owned();
        let answer = self.ask(ctx, ask).await?;
        match answer.status.is_success() {
            true if answer.json.is_null() => {
                Err(failed(ctx, self.attempted(&doing), "the answer is no JSON: is it an API server?"))
            }
            true => Ok(answer.json),
            false => Err(self.refused(ctx, &doing, &answer)),
        }
    }

    /// The object; `None` when there is none.
    pub async fn find(&self, ctx: &Ctx, doing: &str, path: &str) -> Result<Option<Json>, Fault> {
        let answer = self.ask(ctx, Ask::get(doing, path)).await?;
        match answer.status.is_success() {
            true => Ok(Some(answer.json)),
            false if answer.is_absent() => Ok(None),
            false => Err(self.refused(ctx, doing, &answer)),
        }
    }

    /// The fault for a refusal. A server that failed at a change leaves it unknown whether that has happened: the engine then
    /// looks.
    pub fn refused(&self, ctx: &Ctx, doing: &str, answer: &Answer) -> Fault {
        if answer.is_unsure() {
            return Fault::new(FaultKind::Unknown, self.attempted(doing), answer.says())
                .on(ctx.target.name())
                .now(UNSURE);
        }
        let fault = failed(ctx, self.attempted(doing), answer.says());
        match answer.status {
            StatusCode::UNAUTHORIZED => fault.hint(format!(
                "The server does not know us. We are {}; perhaps that has ended, or another CA signed it than the server trusts.",
                self.access.who
            )),
            StatusCode::FORBIDDEN => fault.hint(format!("We are {}.", self.access.who)),
            _ => fault,
        }
    }

    /// What is attempted, and at which server.
    pub fn attempted(&self, doing: &str) -> String {
        format!("{doing} at {}", self.access.server.url)
    }

    /// The fault for a client that failed before an answer came.
    pub fn lost(&self, ctx: &Ctx, doing: &str, error: &kube::Error) -> Fault {
        if let kube::Error::Service(inner) = error
            && let Some(Carried(fault)) = inner.downcast_ref()
        {
            return (**fault).clone();
        }
        self.broken(ctx, doing, error)
    }

    fn broken(&self, ctx: &Ctx, doing: &str, error: &(dyn Error + 'static)) -> Fault {
        let attempted = self.attempted(doing);
        let causes: Vec<&(dyn Error + 'static)> =
            std::iter::successors(Some(error), |error| (*error).source()).collect();
        if causes.iter().any(|cause| cause.is::<LengthLimitError>()) {
            return failed(ctx, attempted, "the answer is larger than 16 MiB");
        }
        if let Some(alert) = causes.iter().find_map(|cause| alert(*cause)) {
            let hint = format!(
                "We are {}: perhaps that has ended, or another CA signed it than the server trusts.",
                self.access.who
            );
            return failed(ctx, attempted, format!("the server refused the client: {alert}")).hint(hint);
        }
        let last = causes.last().map_or_else(String::new, ToString::to_string);
        let cause = format!("the connection broke off: {last}");
        Fault::unreachable(attempted, cause).on(ctx.target.name())
    }
}

/// The alert of a TLS server that refuses; in TLS 1.3 it comes with the first answer.
fn alert(cause: &(dyn Error + 'static)) -> Option<TlsError> {
    let inside = cause.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
    let error = inside.and_then(|inner| inner.downcast_ref()).or_else(|| cause.downcast_ref::<TlsError>());
    error.filter(|error| matches!(error, TlsError::AlertReceived(_))).cloned()
}

fn request(ask: &Ask<'_>) -> Result<Request<Body>, http::Error> {
    let builder = Request::builder()
        .method(ask.method.clone())
        .uri(&ask.path)
        .header(header::ACCEPT, "application/json, */*");
    match &ask.body {
        Some((media, json)) => {
            builder.header(header::CONTENT_TYPE, *media).body(Body::from(json.to_string().into_bytes()))
        }
        None => builder.body(Body::empty()),
    }
}
