//! Against real servers: etcd and openssl.

use super::{served::Served, *};
use crate::testing::{Bench, EtcdMember, Issue, args, ca, leaf};
use keybook_api::Value;
use std::process::{Child, Command, Stdio};

async fn served(bench: &Bench, args: &Args) -> Result<Value, Fault> {
    bench.describe(&Served, args).await?;
    Ok(bench.apply(&Served, args).await?.value)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test]
async fn the_chain_of_a_server_that_demands_a_client_certificate_is_read() {
    let bench = Bench::new();
    let member = EtcdMember::start(&bench).await;
    let port = Value::Int(member.port.into());
    let plain = args([("port", port.clone()), ("roots", member.pki("ca.pem").into())]);
    let value = served(&bench, &plain).await.unwrap();
    let own = keybook_pki::Certificate::one(bench.read("leaf.pem").as_bytes()).unwrap();
    let leaf = value.get("leaf").unwrap();
    assert_eq!(text(leaf, "sha256"), own.sha256());
    assert_eq!(text(leaf, "endpoint"), format!("127.0.0.1:{}", member.port));
    assert_eq!(value.get("verified"), Some(&true.into()), "{value}");
    assert!(text(&value, "protocol").starts_with("TLSv1."), "{value}");

    let with = |pairs: [(&str, Value); 2]| {
        let mut args = plain.clone();
        args.0.extend(pairs.map(|(name, value)| (name.to_owned(), value)));
        args
    };
    let mutual = with([
        ("client_cert", member.pki("leaf.pem").into()),
        ("client_key", member.pki("leaf-key.pem").into()),
    ]);
    assert_eq!(served(&bench, &mutual).await.unwrap().get("error"), Some(&Value::Null));
    let stranger = with([("roots", member.pki("stranger.pem").into()), ("host", "127.0.0.1".into())]);
    let value = served(&bench, &stranger).await.unwrap();
    assert_eq!(value.get("verified"), Some(&false.into()));
    let other = with([("server_name", "other.example".into()), ("host", "127.0.0.1".into())]);
    assert_eq!(
        text(&served(&bench, &other).await.unwrap(), "reason"),
        "the certificate does not name other.example"
    );
    let without = args([("port", port)]);
    assert_eq!(served(&bench, &without).await.unwrap().get("verified"), Some(&Value::Null));
}

/// `openssl s_server`, ended on drop.
struct Server(Child, u16);

impl Server {
    fn start(bench: &Bench, options: &[&str]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &port.to_string()])
            .args(["-cert", &bench.path("leaf.pem"), "-key", &bench.path("leaf-key.pem")])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child, port)
    }

    async fn ask(&self, bench: &Bench) -> Value {
        let asked = args([("port", Value::Int(self.1.into())), ("roots", bench.path("ca.pem").into())]);
        for _ in 0..200 {
            match served(bench, &asked).await {
                Ok(value) => return value,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(25)).await,
            }
        }
        panic!("openssl s_server did not answer");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn tls_1_2_and_1_3_and_refusals_show_the_chain() {
    let bench = Bench::new();
    let root = ca(&bench, "ca", &Issue { cn: "root", ..Issue::default() });
    leaf(&bench, &root, "leaf", &Issue::default());
    for (options, protocol, refuses) in [
        (&["-tls1_2"][..], "TLSv1.2", false),
        (&["-tls1_3"], "TLSv1.3", false),
        (&["-tls1_2", "-Verify", "1"], "TLSv1.2", true),
    ] {
        let value = Server::start(&bench, options).ask(&bench).await;
        assert_eq!(text(&value, "protocol"), protocol);
        assert_eq!(value.get("verified"), Some(&true.into()), "{value}");
        assert_eq!(!text(&value, "error").is_empty(), refuses, "{value}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_read_and_does_not_verify() {
    let bench = Bench::new();
    let root = ca(&bench, "ca", &Issue { cn: "root", ..Issue::default() });
    leaf(&bench, &root, "leaf", &Issue { not_before: -9000, not_after: -3600, ..Issue::default() });
    let value = Server::start(&bench, &[]).ask(&bench).await;
    assert_eq!(value.get("verified"), Some(&false.into()));
    assert!(text(&value, "reason").contains("expired"), "{value}");
}

#[tokio::test]
async fn what_is_no_tls_server_is_a_fault() {
    let bench = Bench::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = args([
        ("port", Value::Int(listener.local_addr().unwrap().port().into())),
        ("timeout", "200ms".into()),
    ]);
    let talk = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
        stream
    };
    let (fault, _stream) = tokio::join!(served(&bench, &asked), talk);
    assert!(fault.unwrap_err().attempted.starts_with("read the certificate served at 127.0.0.1:"));
    drop(listener);
    assert!(served(&bench, &asked).await.unwrap_err().cause.contains("refused"));
    for (name, value, message) in [
        ("server_name", "not a name".into(), "no host name"),
        ("client_cert", "/c.pem".into(), "belong together"),
        ("port", Value::Int(0), "0 is no port"),
    ] {
        let mut wrong = asked.clone();
        wrong.0.insert(name.into(), value);
        let fault = served(&bench, &wrong).await.unwrap_err();
        assert!(fault.cause.contains(message), "{fault}");
    }
}
