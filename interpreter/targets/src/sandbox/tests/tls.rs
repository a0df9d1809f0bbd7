//! Real handshakes with daemons.

use super::*;
use keybook_api::FaultKind;
use keybook_pki::Certificate;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

/// Shakes hands as a client of the host with its files, by TLS 1.2, where the client learns at once whether it was
/// accepted. Gives the served certificate's subject.
async fn shake(
    world: &World,
    from: &str,
    to: &str,
    identity: Option<(&str, &str)>,
) -> Result<String, String> {
    let read = |path: &str| std::fs::read(world.at(from, path)).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&read("/srv/ca.pem")).unwrap()).unwrap();
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(&read(certificate)).map(Result::unwrap).collect();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&read(key)).unwrap()).unwrap()
        }
    };
    let host = world.host(from).await;
    let stream = host.open(to, 4001, Duration::from_secs(5)).await.map_err(|fault| fault.cause)?;
    let name = ServerName::try_from("h1").unwrap();
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| error.to_string())?;
    let (_, session) = stream.get_ref();
    let served = session.peer_certificates().unwrap().first().unwrap();
    Ok(Certificate::from_der(served).unwrap().subject().to_owned())
}

const LEAF: Option<(&str, &str)> = Some(("/srv/leaf.pem", "/srv/leaf-key.pem"));

#[tokio::test]
async fn the_old_certificate_is_served_until_the_restart() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    assert_eq!(shake(&world, "h1", "127.0.0.1", LEAF).await.unwrap(), "CN=leaf");
    for (from, to) in [("/srv/new.pem", "/srv/leaf.pem"), ("/srv/new-key.pem", "/srv/leaf-key.pem")] {
        let content = host.read(from, 1 << 20).await.unwrap();
        host.write(to, Write::keep(content)).await.unwrap();
    }
    assert_eq!(shake(&world, "h1", "h1", LEAF).await.unwrap(), "CN=leaf");
    host.rename("/manifests/server", "/parked").await.unwrap();
    assert_eq!(shake(&world, "h1", "10.0.0.1", LEAF).await.unwrap_err(), "connection refused");
    host.rename("/parked", "/manifests/server").await.unwrap();
    let world = world.again();
    assert_eq!(shake(&world, "h2", "10.0.0.1", LEAF).await.unwrap(), "CN=other");
}

#[tokio::test]
async fn clients_are_judged_by_the_ca_that_was_read() {
    let world = World::new(WORLD);
    assert_eq!(
        shake(&world, "h1", "localhost", Some(("/srv/rsa.pem", "/srv/rsa-key.pem"))).await.unwrap(),
        "CN=leaf"
    );
    assert!(shake(&world, "h1", "localhost", None).await.is_err(), "no certificate");
    // The daemon is restarted with a CA of the same name and another key.
    let host = world.host("h1").await;
    let stranger = host.read("/srv/stranger.pem", 1 << 20).await.unwrap();
    let ca = host.read("/srv/ca.pem", 1 << 20).await.unwrap();
    host.write("/srv/ca.pem", Write::keep(stranger)).await.unwrap();
    put(&host, "/manifests/server", "v2").await;
    run(&host, "serves").await.unwrap();
    host.write("/srv/ca.pem", Write::keep(ca)).await.unwrap();
    let error = shake(&world, "h1", "localhost", LEAF).await.unwrap_err();
    assert!(error.contains("UnknownCA") || error.contains("alert"), "{error}");
    assert_eq!(
        shake(&world, "h1", "10.0.0.2", LEAF).await.unwrap(),
        "CN=leaf",
        "the other host is as before"
    );
}

#[tokio::test]
async fn connections_are_refused_where_nothing_listens() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    for (address, port, cause) in [
        ("127.0.0.1", 4002, "connection refused"),
        ("10.0.0.2", 80, "connection refused"),
        ("10.9.9.9", 4001, "no host of the sandbox has the name or address 10.9.9.9"),
    ] {
        let fault = host.open(address, port, Duration::from_secs(5)).await.err().unwrap();
        assert_eq!((fault.kind, fault.cause.as_str()), (FaultKind::Unreachable, cause));
    }
    let mut plain = host.open("h1", 80, Duration::from_secs(5)).await.unwrap();
    plain.write_all(b"GET /").await.unwrap();
    plain.shutdown().await.unwrap();
    assert_eq!(plain.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn answers_can_ask_whether_a_client_would_come_through() {
    let world = World::new(WORLD);
    let host = world.host("h1").await;
    let good = "/srv/ca.pem /srv/leaf.pem /srv/leaf-key.pem";
    for (command, answer) in [
        (format!("dial 10.0.0.1 {good}"), "ok"),
        (format!("dial h2 {good}"), "ok"),
        (
            format!("dial 10.0.0.2 {good}"),
            "x509: certificate is valid for DNS:h1, DNS:h2, IP:127.0.0.1, IP:10.0.0.1, not 10.0.0.2",
        ),
        (format!("dial 10.0.0.3 {good}"), "dial tcp: lookup 10.0.0.3: no such host"),
        (
            "dial h1 /srv/stranger.pem /srv/leaf.pem /srv/leaf-key.pem".into(),
            "x509: certificate signed by unknown authority",
        ),
        ("dial h1 /no /srv/leaf.pem /srv/leaf-key.pem".into(), "open /no: no such file or directory"),
        (
            "dial h1 /srv/ca.pem /srv/leaf.pem /srv/new-key.pem".into(),
            "tls: private key does not match public key",
        ),
        ("dial h1 /srv/ca.pem /srv/rsa.pem /srv/rsa-key.pem".into(), "ok"),
        ("trusted /srv/leaf.pem /srv/ca.pem server".into(), "true"),
        ("trusted /srv/rsa.pem /srv/ca.pem server".into(), "false"),
        ("trusted /srv/leaf.pem /srv/stranger.pem client".into(), "false"),
        ("trusted /srv/leaf-key.pem /srv/ca.pem client".into(), "false"),
    ] {
        assert_eq!(out(&host, &command).await, answer, "{command}");
    }
    let other = world.host("h2").await;
    other.rename("/manifests/server", "/parked").await.unwrap();
    assert_eq!(out(&host, &format!("dial h2 {good}")).await, "dial tcp h2:4001: connect: connection refused");
    assert!(
        run(&host, "trusted /srv/leaf.pem /srv/ca.pem peer")
            .await
            .unwrap_err()
            .cause
            .contains("`peer` is no usage")
    );
}
