//! Reading, checking and verifying; bad input; openssl agrees.

use super::{bundle::Bundle, check_key::CheckKey, read::Read, reissue_ca::ReissueCa, verify::Verify, *};
use crate::testing::{Bench, Issue, args, ca, leaf};
use keybook_api::{Action, Change, Reconcile};
use keybook_pki::{KeyForm, KeyKind};
use std::process::Command;

const DAYS: i64 = super::DAY;

/// Runs openssl and gives its standard output; a failure is shown.
pub(super) fn openssl(words: &[&str]) -> String {
    let output = Command::new("openssl").args(words).output().expect("openssl is installed");
    assert!(output.status.success(), "openssl {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

async fn read(bench: &Bench, path: &str, all: bool) -> Result<Value, Fault> {
    let args = args([("path", path.into()), ("all", all.into())]);
    bench.describe(&Read, &args).await?;
    Ok(bench.apply(&Read, &args).await?.value)
}

#[tokio::test]
async fn a_certificate_is_read() {
    let bench = Bench::new();
    let root = ca(&bench, "ca", &Issue { cn: "root", ..Issue::default() });
    leaf(&bench, &root, "leaf", &Issue { not_before: -DAYS * 3, not_after: -DAYS, ..Issue::default() });
    let path = bench.path("leaf.pem");
    let value = read(&bench, &path, false).await.unwrap();
    assert_eq!((field(&value, "kind"), field(&value, "path")), ("certificate", path.as_str()));
    let end = openssl(&["x509", "-in", &path, "-noout", "-enddate", "-dateopt", "iso_8601"]);
    assert_eq!(end.trim().trim_start_matches("notAfter=").replace(' ', "T"), field(&value, "not_after"));

    let both = bench.file("both.pem", bench.read("ca.pem") + bench.read("leaf.pem").as_str());
    let list = read(&bench, &both, true).await.unwrap();
    assert_eq!(list.as_list().unwrap().len(), 2);
    let fault = read(&bench, &both, false).await.unwrap_err();
    assert_eq!(fault.cause, "the file holds 2 certificates where exactly one is expected");
    assert_eq!(fault.hints, ["With `all: true` it is read as a list."]);
}

#[tokio::test]
async fn bad_files_get_clear_errors() {
    let bench = Bench::new();
    let (certificate, _) = ca(&bench, "ca", &Issue::default());
    let pem = bench.read("ca.pem");
    bench.file("empty.pem", "");
    bench.file("der.pem", certificate.der());
    bench.file("text.pem", "hello\n");
    bench.file("cut.pem", &pem[..pem.len() / 2]);
    let mut trailing = certificate.der().to_vec();
    trailing.extend([0, 0, 0]);
    use base64::Engine;
    let coded = base64::engine::general_purpose::STANDARD.encode(&trailing);
    bench.file("trailing.pem", format!("-----BEGIN CERTIFICATE-----\n{coded}\n-----END CERTIFICATE-----\n"));
    for (name, message) in [
        ("empty.pem", "the file is empty"),
        ("der.pem", "DER (binary) where PEM (text) is required"),
        ("text.pem", "the file holds no certificate"),
        ("cut.pem", "damaged at line"),
        ("trailing.pem", "3 bytes follow the end of the certificate"),
        ("ca-key.pem", "a private key where a certificate is expected"),
        ("none.pem", "there is no "),
    ] {
        let fault = read(&bench, &bench.path(name), false).await.unwrap_err();
        assert!(fault.cause.contains(message), "{name}: {fault}");
        assert_eq!(fault.host.as_deref(), Some("h1"));
        assert!(fault.to_string().contains(name), "{fault}");
    }
}

#[tokio::test]
async fn a_key_is_compared_with_a_certificate() {
    let bench = Bench::new();
    ca(&bench, "ca", &Issue::default());
    ca(&bench, "other", &Issue { kind: KeyKind::Rsa(2048), ..Issue::default() });
    let plain = bench.path("ca-key.pem");
    let locked = bench.path("locked.pem");
    openssl(&[
        "pkcs8",
        "-topk8",
        "-in",
        &plain,
        "-out",
        &locked,
        "-passout",
        "pass:opensesame",
        "-v2",
        "aes-256-cbc",
    ]);
    let check = async |key: &str, passphrase: Option<&str>| {
        let passphrase = passphrase.map(|text| Value::Secret(Secret::new(text))).into();
        let args = args([
            ("cert", bench.path("ca.pem").into()),
            ("key", bench.path(key).into()),
            ("passphrase", passphrase),
        ]);
        bench.describe(&CheckKey, &args).await?;
        Ok::<_, Fault>(bench.apply(&CheckKey, &args).await?.value)
    };
    let own = check("ca-key.pem", None).await.unwrap();
    assert_eq!((own.get("matches"), own.get("encrypted")), (Some(&true.into()), Some(&false.into())));
    assert_eq!(
        (field(&own, "key"), field(&own, "form"), field(&own, "mode")),
        ("ECDSA-P256", "pkcs8", "0600")
    );
    assert!(bench.told.notes.lock().unwrap().is_empty());
    bench.chmod("other-key.pem", 0o640);
    assert_eq!(check("other-key.pem", None).await.unwrap().get("matches"), Some(&false.into()));
    assert!(bench.told.notes.lock().unwrap()[0].contains("others on the host may read"));

    let opened = check("locked.pem", Some("opensesame")).await.unwrap();
    assert_eq!((opened.get("matches"), opened.get("encrypted")), (Some(&true.into()), Some(&true.into())));
    for (passphrase, message) in [(None, "is encrypted"), (Some("wrong"), "does not open the private key")] {
        let fault = check("locked.pem", passphrase).await.unwrap_err();
        assert!(fault.cause.contains(message), "{fault}");
        assert!(fault.hints.iter().any(|hint| hint.contains("`passphrase`")), "{fault:?}");
    }
    assert!(check("ca.pem", None).await.unwrap_err().cause.contains("holds no private key"));
}

#[tokio::test]
async fn chains_are_verified_as_openssl_does() {
    let bench = Bench::new();
    let root = ca(&bench, "ca", &Issue { cn: "root", ..Issue::default() });
    ca(&bench, "twin", &Issue { cn: "root", ..Issue::default() });
    leaf(&bench, &root, "leaf", &Issue::default());
    leaf(&bench, &root, "old", &Issue { not_before: -DAYS * 3, not_after: -DAYS, ..Issue::default() });
    leaf(&bench, &root, "early", &Issue { not_before: DAYS, not_after: DAYS * 3, ..Issue::default() });
    for (cert, roots, ok, reason) in [
        ("leaf", "ca", true, ""),
        ("leaf", "twin", false, ""),
        ("old", "ca", false, "expired"),
        ("early", "ca", false, "is not valid before"),
    ] {
        let (cert, roots) = (bench.path(&format!("{cert}.pem")), bench.path(&format!("{roots}.pem")));
        let asked = args([
            ("cert", cert.as_str().into()),
            ("roots", roots.as_str().into()),
            ("usage", "server".into()),
        ]);
        bench.describe(&Verify, &asked).await.unwrap();
        let value = bench.apply(&Verify, &asked).await.unwrap().value;
        assert_eq!(value.get("ok"), Some(&ok.into()), "{value}");
        assert!(ok || field(&value, "reason").contains(reason), "{value}");
        let judged = Command::new("openssl").args(["verify", "-CAfile", &roots, &cert]).output().unwrap();
        assert_eq!(judged.status.success(), ok, "{cert} {roots}");
    }
    let at = rfc3339(bench.ctx().now - DAYS * 2);
    let asked = args([
        ("cert", bench.path("old.pem").into()),
        ("roots", bench.path("ca.pem").into()),
        ("at", at.into()),
    ]);
    assert_eq!(bench.apply(&Verify, &asked).await.unwrap().value.get("ok"), Some(&true.into()));
    let none = args([("cert", bench.path("leaf.pem").into()), ("roots", Value::List(vec![]))]);
    assert!(bench.apply(&Verify, &none).await.unwrap_err().cause.contains("the list is empty"));
}

fn reissue_args(bench: &Bench, out: &str) -> Args {
    args([
        ("cert", bench.path("ca.pem").into()),
        ("key", bench.path("ca-key.pem").into()),
        ("out", bench.path(out).into()),
        ("days", Value::Int(36_500)),
    ])
}

#[tokio::test]
async fn an_expired_ca_is_reissued_and_its_leaves_verify() {
    let bench = Bench::new();
    let past = Issue {
        cn: "etcd-ca",
        kind: KeyKind::Rsa(2048),
        not_before: -DAYS * 900,
        not_after: -DAYS,
        ..Issue::default()
    };
    let old = ca(&bench, "ca", &past);
    leaf(&bench, &old, "leaf", &Issue::default());
    let args = reissue_args(&bench, "ca-new.pem");
    let plan = bench.describe(&ReissueCa, &args).await.unwrap();
    assert_eq!(plan.change, Change::Will);
    assert!(
        plan.lines[1].starts_with(&format!("not after {} → 2", rfc3339(old.0.not_after()))),
        "{:?}",
        plan.lines
    );
    assert!(plan.diffs[0].described && plan.touches == [bench.path("ca-new.pem")]);
    let mut later = bench.ctx();
    later.now += 2;
    assert_eq!(ReissueCa.describe(&later, &args).await.unwrap(), plan, "approved plans must stay true");

    let reconcile = async || ReissueCa.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    let applied = bench.apply(&ReissueCa, &args).await.unwrap();
    assert_eq!(field(&applied.value, "serial"), old.0.serial());
    assert_eq!(field(&applied.value, "not_before"), rfc3339(old.0.not_before()));
    assert_eq!(bench.mode("ca-new.pem"), 0o644);
    openssl(&["verify", "-CAfile", &bench.path("ca-new.pem"), &bench.path("leaf.pem")]);
    assert_eq!(reconcile().await, Reconcile::Done(applied.value));
    assert_eq!(bench.describe(&ReissueCa, &args).await.unwrap().change, Change::Wont);
    assert!(!bench.apply(&ReissueCa, &args).await.unwrap().changed);
    ca(&bench, "ca-new", &Issue::default());
    assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
    bench.file("ca-new.pem", "garbage");
    assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
}

#[tokio::test]
async fn a_ca_can_be_reissued_in_place() {
    let bench = Bench::new();
    ca(&bench, "ca", &Issue::default());
    bench.chmod("ca.pem", 0o640);
    let args = reissue_args(&bench, "ca.pem");
    let plan = bench.describe(&ReissueCa, &args).await.unwrap();
    let reconcile = async || ReissueCa.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    bench.apply(&ReissueCa, &args).await.unwrap();
    assert_eq!(bench.mode("ca.pem"), 0o640);
    assert!(matches!(reconcile().await, Reconcile::Done(_)));
    assert_eq!(bench.describe(&ReissueCa, &args).await.unwrap().change, Change::Wont);
}

#[tokio::test]
async fn a_wrong_reissue_is_refused_and_writes_nothing() {
    let bench = Bench::new();
    let own = ca(&bench, "ca", &Issue { not_after: DAYS * 40, ..Issue::default() });
    ca(&bench, "other", &Issue::default());
    leaf(&bench, &own, "leaf", &Issue::default());
    bench.file("bundle.pem", bench.read("ca.pem") + bench.read("other.pem").as_str());
    let past = rfc3339(bench.ctx().now - 1);
    for (name, value, message) in [
        ("key", bench.path("other-key.pem").into(), "does not belong to it"),
        ("cert", bench.path("leaf.pem").into(), ""),
        ("cert", bench.path("bundle.pem").into(), "2 certificates where exactly one is expected"),
        ("days", Value::Int(10), "is not later than the present one"),
        ("days", Value::Int(0), "not a number of days"),
        ("days", Value::Null, "must be given"),
        ("not_after", past.as_str().into(), "not both"),
    ] {
        let mut args = reissue_args(&bench, "out.pem");
        args.0.insert(name.into(), value);
        for fault in [
            bench.describe(&ReissueCa, &args).await.unwrap_err(),
            bench.apply(&ReissueCa, &args).await.unwrap_err(),
        ] {
            assert!(fault.cause.contains(message), "{name}: {fault}");
        }
    }
    let mut args = reissue_args(&bench, "out.pem");
    args.0.shift_remove("days");
    args.0.insert("not_after".into(), past.into());
    assert!(bench.describe(&ReissueCa, &args).await.unwrap_err().cause.contains("not in the future"));
    assert!(!bench.exists("out.pem"));
    args.0.insert("cert".into(), bench.path("made-later.pem").into());
    args.0.insert("not_after".into(), "2999-01-01T00:00:00Z".into());
    let plan = ReissueCa.describe(&bench.planning(), &args).await.unwrap();
    assert!(matches!(plan.change, Change::CannotKnow(_)));
}

#[tokio::test]
async fn an_encrypted_ca_key_is_opened() {
    let bench = Bench::new();
    let (_, key) = ca(&bench, "ca", &Issue { kind: KeyKind::Rsa(2048), ..Issue::default() });
    bench.file("pkcs1.pem", key.to_pem(KeyForm::Pkcs1).unwrap().expose());
    let locked = bench.path("locked.pem");
    openssl(&[
        "pkcs8",
        "-topk8",
        "-in",
        &bench.path("pkcs1.pem"),
        "-out",
        &locked,
        "-passout",
        "pass:opensesame",
    ]);
    let mut args = reissue_args(&bench, "out.pem");
    args.0.insert("key".into(), locked.into());
    assert!(bench.apply(&ReissueCa, &args).await.unwrap_err().cause.contains("is encrypted"));
    args.0.insert("passphrase".into(), Value::Secret(Secret::new("opensesame")));
    bench.apply(&ReissueCa, &args).await.unwrap();
    openssl(&["verify", "-CAfile", &bench.path("out.pem"), &bench.path("out.pem")]);
}

#[tokio::test]
async fn a_bundle_holds_each_certificate_once() {
    let bench = Bench::new();
    ca(&bench, "a", &Issue { cn: "a", ..Issue::default() });
    ca(&bench, "b", &Issue { cn: "b", ..Issue::default() });
    let certs = vec![bench.path("a.pem"), bench.path("b.pem"), bench.path("a.pem")];
    let args = args([("certs", certs.into()), ("out", bench.path("both.pem").into())]);
    let plan = bench.describe(&Bundle, &args).await.unwrap();
    let reconcile = async || Bundle.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    let applied = bench.apply(&Bundle, &args).await.unwrap();
    assert_eq!(applied.value.get("count"), Some(&Value::Int(2)));
    assert_eq!(bench.read("both.pem"), bench.read("a.pem") + bench.read("b.pem").as_str());
    assert_eq!(bench.mode("both.pem"), 0o644);
    assert_eq!(reconcile().await, Reconcile::Done(applied.value));
    assert_eq!(bench.describe(&Bundle, &args).await.unwrap().change, Change::Wont);
    bench.file("both.pem", "x");
    assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
    bench.file("a.pem", "");
    assert!(bench.describe(&Bundle, &args).await.unwrap_err().cause.contains("empty"));
}
