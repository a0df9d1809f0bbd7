//! Against real HTTP and HTTPS servers.

use super::webhook::Webhook;
use crate::testing::{Bench, Issue, args, ca, leaf};
use keybook_api::{Applied, Args, Fault, FaultKind, Secret, Value, value::map};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

const TOKEN: &str = "T0KEN/of-the-hook";

/// Answers each connection with the next of its answers, the last one again and again; keeps what it was sent.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: &[&str]) -> Self {
        Self::serve(answers, |stream| Box::new(stream))
    }

    /// With `leaf.pem` of the bench.
    fn tls(bench: &Bench) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = vec![CertificateDer::from_pem_slice(bench.read("leaf.pem").as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(bench.read("leaf-key.pem").as_bytes()).unwrap();
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = Arc::new(config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap());
        Self::serve(&[OK], move |stream| {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            Box::new(rustls::StreamOwned::new(session, stream))
        })
    }

    fn serve(answers: &[&str], wrap: impl Fn(TcpStream) -> Box<dyn ReadWrite> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let mut answers: Vec<String> = answers.iter().rev().map(|answer| (*answer).to_owned()).collect();
        let sink = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream = wrap(stream);
                let Some(request) = read(&mut *stream) else { continue };
                sink.lock().unwrap().push(request);
                let answer = if answers.len() > 1 { answers.pop().unwrap() } else { answers[0].clone() };
                let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
            }
        });
        Self { port, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

/// A whole request; `None` when there is none, as after a failed handshake.
fn read(stream: &mut dyn ReadWrite) -> Option<String> {
    let (mut request, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
        if body.len() >= length?.parse::<usize>().ok()? {
            return Some(text);
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
const BUSY: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

async fn sent(bench: &Bench, args: &Args) -> Result<Applied, Fault> {
    bench.describe(&Webhook, args).await?;
    bench.apply(&Webhook, args).await
}

fn to(url: &str) -> Args {
    args([("url", url.into())])
}

fn with(mut args: Args, name: &str, value: impl Into<Value>) -> Args {
    args.0.insert(name.to_owned(), value.into());
    args
}

fn secret(text: &str) -> Value {
    Value::Secret(Secret::new(text))
}

#[tokio::test]
async fn json_is_posted_with_headers_and_the_secrets_in_it() {
    let (bench, server) = (Bench::new(), Server::start(&[OK]));
    let headers = map([
        ("Authorization", Value::List(vec!["Bearer ".into(), secret("s3cret")])),
        ("X-Count", Value::Int(2)),
    ]);
    let body = map([
        ("text", "héllo".into()),
        ("to", Value::List(vec![Value::Int(1), Value::Null])),
        ("key", secret("r0uting")),
    ]);
    let order = with(with(to(&server.url("hook?a=b")), "headers", headers), "body", body);
    let applied = sent(&bench, &order).await.unwrap();
    let of = |name: &str| applied.value.get(name).cloned().unwrap();
    assert_eq!(
        (of("told"), of("status"), of("tries"), applied.changed),
        (true.into(), Value::Int(200), Value::Int(1), false)
    );
    assert_eq!(applied.value.get("answer"), None, "it might repeat a secret");
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    let (head, body) = seen[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{head}");
    let lines: Vec<String> = head.lines().map(str::to_lowercase).collect();
    for line in ["authorization: bearer s3cret", "x-count: 2", "content-type: application/json"] {
        assert!(lines.iter().any(|known| known == line), "{line}: {head}");
    }
    assert_eq!(body, r#"{"text":"héllo","to":[1,null],"key":"r0uting"}"#);
}

#[tokio::test]
async fn without_a_body_the_run_and_the_unit_are_told() {
    let (bench, server) = (Bench::new(), Server::start(&[OK]));
    sent(&bench, &to(&server.url("x"))).await.unwrap();
    let seen = server.seen();
    let body: serde_json::Value = serde_json::from_str(seen[0].split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(
        body,
        serde_json::json!({ "text": "Keybook run test: step@h1", "run": "test", "unit": "step@h1" })
    );
    let plan = bench.describe(&Webhook, &to(&server.url("x"))).await.unwrap();
    assert_eq!(plan.lines, ["post 66 bytes of JSON to a secret URL from this machine"]);
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let (bench, busy) = (Bench::new(), Server::start(&[BUSY, OK]));
    let applied = sent(&bench, &to(&busy.url("x"))).await.unwrap();
    assert_eq!((applied.value.get("tries"), busy.seen().len()), (Some(&Value::Int(2)), 2));
    let always = Server::start(&[BUSY]);
    let fault = sent(&bench, &to(&always.url("x"))).await.unwrap_err();
    assert_eq!((fault.cause.as_str(), always.seen().len()), ("it was refused (HTTP 503) (3 tries)", 3));
    let refusing = Server::start(&["HTTP/1.1 400 No\r\nContent-Length: 8\r\n\r\nno\nteam\u{7}"]);
    let fault = sent(&bench, &to(&refusing.url("x"))).await.unwrap_err();
    assert_eq!((fault.cause.as_str(), refusing.seen().len()), ("it was refused (HTTP 400) (one try)", 1));
    assert_eq!(fault.now_true.as_deref(), Some("nobody was told"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (bench, other) = (Bench::new(), Server::start(&[OK]));
    for code in ["301 Moved", "307 Elsewhere"] {
        let answer =
            format!("HTTP/1.1 {code}\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", other.url("stolen"));
        let server = Server::start(&[&answer]);
        let order = with(to(&server.url("x")), "headers", map([("Authorization", secret("s3cret"))]));
        let fault = sent(&bench, &order).await.unwrap_err();
        assert!(fault.cause.starts_with("it was sent elsewhere, and a redirect is not followed"), "{fault}");
    }
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn nothing_of_a_secret_url_is_told() {
    let bench = Bench::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let echo = format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{TOKEN}", TOKEN.len());
    let server = Server::start(&[&echo]);
    for (url, cause) in [
        (format!("http://127.0.0.1:{closed}/{TOKEN}"), "connection refused (3 tries)"),
        (format!("http://{}/{TOKEN}", silent.local_addr().unwrap()), "no answer in time (one try)"),
        (server.url(TOKEN), "it was refused (HTTP 403) (one try)"),
        (format!("ftp://127.0.0.1/{TOKEN}"), "the URL must be like https://host/path"),
        (format!("https://me:{TOKEN}@127.0.0.1/"), "the URL must be like https://host/path"),
        (
            format!("https://me:pass@127.0.0.1/{TOKEN}"),
            "the URL has a user name in it; send it in the header `Authorization`",
        ),
        (format!("https://a\n{TOKEN}"), "the URL must be like https://host/path"),
    ] {
        for url in [secret(&url), url.as_str().into()] {
            let order = with(with(args([("url", url)]), "timeout", "2s"), "body", map([("a", "b".into())]));
            let plan = bench.describe(&Webhook, &order).await.unwrap();
            let fault = bench.apply(&Webhook, &order).await.unwrap_err();
            assert_eq!(fault.cause, cause);
            let told = format!("{plan:?} {fault} {fault:?}");
            assert!(!told.contains("T0KEN") && !told.contains("127.0.0.1"), "{told}");
        }
    }
    let nowhere = with(args([("url", secret("http://t0ken.invalid/x"))]), "timeout", "5s");
    let fault = sent(&bench, &nowhere).await.unwrap_err();
    let causes = ["the host's name cannot be resolved", "no answer in time"];
    assert!(
        causes.iter().any(|cause| fault.cause.starts_with(cause)) && !fault.to_string().contains("t0ken"),
        "{fault}"
    );
}

#[tokio::test]
async fn the_server_must_prove_who_it_is() {
    let bench = Bench::new();
    let authority = ca(&bench, "ca", &Issue { cn: "webhook-ca", ..Issue::default() });
    ca(&bench, "stranger", &Issue { cn: "stranger", ..Issue::default() });
    leaf(&bench, &authority, "leaf", &Issue::default());
    let server = Server::tls(&bench);
    let url = |host: &str| to(&format!("https://{host}:{}/x", server.port));
    for host in ["127.0.0.1", "localhost"] {
        let applied = sent(&bench, &with(url(host), "ca", bench.path("ca.pem"))).await.unwrap();
        assert_eq!(applied.value.get("status"), Some(&Value::Int(200)));
    }
    assert!(server.seen()[0].starts_with("POST /x HTTP/1.1"));
    leaf(&bench, &authority, "leaf", &Issue { sans: &["DNS:other.example"], ..Issue::default() });
    let elsewhere = Server::tls(&bench);
    leaf(&bench, &authority, "leaf", &Issue { not_before: -86_400, not_after: -3600, ..Issue::default() });
    let late = Server::tls(&bench);
    let at = |server: &Server| to(&format!("https://127.0.0.1:{}/x", server.port));
    for (order, cause) in [
        (url("127.0.0.1"), "the server's certificate is from no CA that is trusted here"),
        (
            with(url("127.0.0.1"), "ca", bench.path("stranger.pem")),
            "the server's certificate is from no CA that is trusted here",
        ),
        (with(at(&elsewhere), "ca", bench.path("ca.pem")), "the server's certificate is for another name"),
        (with(at(&late), "ca", bench.path("ca.pem")), "the server's certificate has expired"),
        (with(url("127.0.0.1"), "ca", bench.path("none.pem")), "read "),
    ] {
        let fault = sent(&bench, &order).await.unwrap_err();
        assert!(fault.cause.starts_with(cause), "{cause}: {fault}");
    }
    assert_eq!((server.seen().len(), elsewhere.seen().len(), late.seen().len()), (2, 0, 0));
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let bench = Bench::new();
    let long = Server::start(&[&format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(8 << 20))]);
    let applied = sent(&bench, &to(&long.url("x"))).await.unwrap();
    assert_eq!(applied.value.get("status"), Some(&Value::Int(200)), "its text is not waited for");
    let heads = Server::start(&[&format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20))]);
    assert!(sent(&bench, &to(&heads.url("x"))).await.is_err());
}

#[tokio::test]
async fn what_cannot_be_sent_is_said() {
    let (bench, server) = (Bench::new(), Server::start(&[OK]));
    for (name, value, cause) in [
        ("Content-Length", "3".into(), "the header `Content-Length` is set by the program"),
        ("a b", "x".into(), "the header `a b` has no proper name"),
        ("x", "a\r\nb: c".into(), "the header `x` has characters that may not be sent"),
        ("x", Value::Null, "the header `x` must be text, a secret or a list of them, not null"),
    ] {
        let order = with(to(&server.url("x")), "headers", map([(name, value)]));
        assert_eq!(sent(&bench, &order).await.unwrap_err().cause, cause);
        let plan = bench.describe(&Webhook, &order).await.unwrap();
        assert_eq!(plan.lines, [format!("post nothing: {cause}")]);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_stop_of_the_run_ends_it() {
    let bench = Bench::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let order = with(to(&format!("http://{}/", silent.local_addr().unwrap())), "timeout", "2s");
    bench.cancel.cancel();
    assert_eq!(bench.apply(&Webhook, &order).await.unwrap_err().kind, FaultKind::Stopped);
}
