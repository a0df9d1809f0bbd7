//! What is to be sent, checked.

use keybook_api::{Args, Ctx, Map, Secret, Value};
use serde::{Serialize, Serializer, ser::Error};
use std::{net::IpAddr, path::PathBuf, time::Duration};
use ureq::http::{HeaderName, HeaderValue, Uri, header};
use zeroize::Zeroizing;

/// Header fields that the client sets by itself.
const OWN: [HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::EXPECT];

/// What plans and faults call the URL: nothing of it is told, for the URL of a webhook is as good as a password.
pub const SHOWN: &str = "a secret URL";

/// A checked order. It has no `Debug`: most of it may be secret.
pub struct Order {
    pub url: Uri,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Zeroizing<Vec<u8>>,
    pub timeout: Duration,
    pub ca: Option<PathBuf>,
}

impl Order {
    /// The error says what is wrong, without a word of what may be secret.
    pub fn from_args(ctx: &Ctx, args: &Args) -> Result<Self, String> {
        let text = |fault: keybook_api::Fault| format!("{}: {}", fault.attempted, fault.cause);
        let given = args.opt_secret("url").map_err(text)?.unwrap_or_default();
        let headers = headers(args.get("headers").and_then(Value::as_map));
        let own = said(ctx);
        let body = args.get("body").unwrap_or(&own);
        let json = serde_json::to_vec(&Sent(body)).map_err(|error| format!("the body: {error}"))?;
        Ok(Self {
            url: url(&given)?,
            headers: headers?,
            body: Zeroizing::new(json),
            timeout: args.opt_duration("timeout").map_err(text)?.unwrap_or(Duration::from_secs(10)),
            ca: args.opt_path("ca").map_err(text)?.map(PathBuf::from),
        })
    }

    /// For plans.
    pub fn line(&self) -> String {
        format!("post {} bytes of JSON to {SHOWN} from this machine", self.body.len())
    }

    /// Is it sent to this machine itself?
    pub fn is_local(&self) -> bool {
        let host = self.url.host().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

fn url(given: &Secret) -> Result<Uri, String> {
    let wrong = "the URL must be like https://host/path";
    let url: Uri = given.expose_str().and_then(|url| url.trim().parse().ok()).ok_or(wrong)?;
    if !matches!(url.scheme_str(), Some("http" | "https")) || url.host().is_none_or(str::is_empty) {
        return Err(wrong.to_owned());
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err("the URL has a user name in it; send it in the header `Authorization`".to_owned());
    }
    if url.host() != Some(authority) && url.port_u16().is_none() {
        return Err(wrong.to_owned());
    }
    Ok(url)
}

fn headers(given: Option<&Map>) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut headers = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::USER_AGENT, HeaderValue::from_static(concat!("keybook/", env!("CARGO_PKG_VERSION")))),
    ];
    for (name, value) in given.into_iter().flatten() {
        let wrong = |why: &str| format!("the header `{}` {why}", name.escape_debug());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("has no proper name"))?;
        if OWN.contains(&key) {
            return Err(wrong("is set by the program"));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        pieces(value, &mut bytes).map_err(|why| wrong(&why))?;
        let mut value =
            HeaderValue::from_bytes(&bytes).map_err(|_| wrong("has characters that may not be sent"))?;
        value.set_sensitive(true);
        headers.retain(|(known, _)| *known != key);
        headers.push((key, value));
    }
    Ok(headers)
}

fn pieces(value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    match value {
        Value::Secret(secret) => out.extend_from_slice(secret.expose()),
        Value::Text(_) | Value::Int(_) | Value::Bool(_) => {
            out.extend_from_slice(value.to_string().as_bytes())
        }
        Value::List(list) => return list.iter().try_for_each(|item| pieces(item, out)),
        other => return Err(format!("must be text, a secret or a list of them, not {}", other.type_name())),
    }
    Ok(())
}

/// The body when none is given.
fn said(ctx: &Ctx) -> Value {
    let (run, unit) = (ctx.run.as_str(), ctx.unit.to_string());
    Value::Map(keybook_api::value::map([
        ("text", format!("Keybook run {run}: {unit}").into()),
        ("run", run.into()),
        ("unit", unit.into()),
    ]))
}

/// A value as JSON with its secrets as they are, unlike [`Value::to_json`].
struct Sent<'v>(&'v Value);

impl Serialize for Sent<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Secret(secret) => match secret.expose_str() {
                Some(text) => to.serialize_str(text),
                None => Err(S::Error::custom("a secret in it is no text")),
            },
            Value::List(list) => to.collect_seq(list.iter().map(Sent)),
            Value::Map(map) => to.collect_map(map.iter().map(|(key, value)| (key, Sent(value)))),
            plain => plain.to_json().serialize(to),
        }
    }
}
