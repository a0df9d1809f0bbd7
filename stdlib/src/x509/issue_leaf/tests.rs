use super::*;
use crate::testing::{Bench, Issue, args, ca, leaf};
use crate::x509::tests::openssl;
use keybook_api::{Change, value::map};
use keybook_pki::KeyKind;

const DAY: i64 = 86_400;

/// A CA `ca`, an expired certificate `old` of it, and arguments that take after it.
fn setup(bench: &Bench, kind: KeyKind) -> Args {
    let root = ca(bench, "ca", &Issue { cn: "etcd-ca", kind, not_after: DAY * 4000, ..Issue::default() });
    let sans = &["DNS:tdh-10", "IP:127.0.0.1", "IP:10.10.10.1"];
    let past = Issue { cn: "kubernetes", kind, sans, not_before: -DAY * 9, not_after: -DAY };
    leaf(bench, &root, "old", &past);
    args([
        ("ca", bench.path("ca.pem").into()),
        ("ca_key", bench.path("ca-key.pem").into()),
        ("like", bench.path("old.pem").into()),
        ("extra_sans", vec!["127.0.0.1", "tdh-11"].into()),
        ("out_cert", bench.path("etcd.pem").into()),
        ("out_key", bench.path("etcd-key.pem").into()),
    ])
}

#[tokio::test]
async fn a_certificate_takes_after_another() {
    let bench = Bench::new();
    let args = setup(&bench, KeyKind::Rsa(2048));
    let plan = bench.describe(&IssueLeaf, &args).await.unwrap();
    assert_eq!(plan.change, Change::Will);
    let staged = staged_path(&bench.ctx(), &bench.path("etcd-key.pem"));
    assert_eq!(plan.touches, [bench.path("etcd-key.pem"), bench.path("etcd.pem"), staged]);
    assert!(
        plan.lines.iter().any(|line| line == "names: DNS:tdh-10, IP:127.0.0.1, IP:10.10.10.1, DNS:tdh-11")
    );
    assert!(plan.diffs.iter().all(|diff| diff.described));
    let mut later = bench.ctx();
    later.now += 2;
    assert_eq!(IssueLeaf.describe(&later, &args).await.unwrap(), plan, "approved plans must stay true");

    let applied = bench.apply(&IssueLeaf, &args).await.unwrap();
    let text = |name: &str| applied.value.get(name).and_then(Value::as_str).unwrap().to_owned();
    assert_eq!((text("path"), text("key_path")), (bench.path("etcd.pem"), bench.path("etcd-key.pem")));
    assert_eq!((text("subject"), text("key")), ("CN=kubernetes,O=Keybook".to_owned(), "RSA-2048".to_owned()));
    assert_eq!((bench.mode("etcd-key.pem"), bench.mode("etcd.pem")), (0o600, 0o644));
    let key = bench.read("etcd-key.pem");
    assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert!(!format!("{:?}{:?}", plan, applied).contains("PRIVATE KEY"));
    assert!(std::fs::read_dir(bench.ctx().staging()).unwrap().next().is_none(), "the staged copy is removed");

    let (cert, key, root) = (bench.path("etcd.pem"), bench.path("etcd-key.pem"), bench.path("ca.pem"));
    openssl(&["verify", "-CAfile", &root, "-purpose", "sslserver", "-verify_ip", "10.10.10.1", &cert]);
    let public = openssl(&["x509", "-in", &cert, "-noout", "-pubkey"]);
    assert_eq!(openssl(&["pkey", "-in", &key, "-pubout"]), public);
}

#[tokio::test]
async fn reconcile_knows_its_own_certificate() {
    let bench = Bench::new();
    let args = setup(&bench, KeyKind::P256);
    let plan = bench.describe(&IssueLeaf, &args).await.unwrap();
    let reconcile = async || IssueLeaf.reconcile(&bench.ctx(), &args, &plan.memo).await.unwrap();
    assert_eq!(reconcile().await, Reconcile::NotDone);
    bench.file("etcd-key.pem", bench.read("old-key.pem"));
    assert_eq!(reconcile().await, Reconcile::NotDone, "only the key is there");
    bench.file("etcd.pem", bench.read("ca.pem"));
    assert!(matches!(reconcile().await, Reconcile::Unknown(_)), "not for this key");
    bench.file("etcd.pem", "");
    assert!(matches!(reconcile().await, Reconcile::Unknown(_)));
    let applied = bench.apply(&IssueLeaf, &args).await.unwrap();
    // As when the attempt ended just before it removed the staged copy.
    let staged = staged_path(&bench.ctx(), &bench.path("etcd-key.pem"));
    std::fs::copy(bench.path("etcd-key.pem"), &staged).unwrap();
    assert_eq!(reconcile().await, Reconcile::Done(applied.value));
    assert!(!std::path::Path::new(&staged).exists());
}

#[tokio::test]
async fn a_key_is_made_once_for_a_unit() {
    let bench = Bench::new();
    let args = setup(&bench, KeyKind::P256);
    // The certificate cannot be written, as after a crash between key and certificate.
    std::fs::create_dir(bench.path("etcd.pem")).unwrap();
    assert!(bench.apply(&IssueLeaf, &args).await.is_err());
    std::fs::remove_dir(bench.path("etcd.pem")).unwrap();
    let ctx = bench.ctx();
    let order = Order::load(&ctx, &args).await.unwrap();
    let out = bench.path("etcd-key.pem");
    let (staged, first) = staged_key(&ctx, order.key_kind, order.key_form, &out).await.unwrap();
    assert_eq!(
        std::fs::metadata(&staged).map(|meta| std::os::unix::fs::MetadataExt::mode(&meta) & 0o777).unwrap(),
        0o600
    );
    let second = bench.apply(&IssueLeaf, &args).await.unwrap();
    assert_eq!(second.value.get("spki_sha256"), Some(&first.spki_sha256().into()));
    let third = bench.apply(&IssueLeaf, &args).await.unwrap();
    assert_ne!(
        third.value.get("spki_sha256"),
        Some(&first.spki_sha256().into()),
        "a new run of it makes a new key"
    );
}

#[tokio::test]
async fn everything_can_be_said_by_arguments() {
    let bench = Bench::new();
    let mut asked = setup(&bench, KeyKind::P256);
    for (name, value) in [
        ("like", Value::Null),
        ("extra_sans", Value::Null),
        (
            "subject",
            Value::List(vec![Value::Map(map([("OU", "a".into())])), Value::Map(map([("OU", "b".into())]))]),
        ),
        ("sans", "a.example".into()),
        ("usages", vec!["client auth"].into()),
        ("key_kind", "ECDSA-P384".into()),
        ("key_form", "pkcs8".into()),
        ("days", Value::Int(5000)),
    ] {
        asked.0.insert(name.into(), value);
    }
    let plan = bench.describe(&IssueLeaf, &asked).await.unwrap();
    assert!(
        plan.lines.last().unwrap().starts_with("warning: the certificate is issued until"),
        "{:?}",
        plan.lines
    );
    let applied = bench.apply(&IssueLeaf, &asked).await.unwrap().value;
    assert_eq!(applied.get("subject"), Some(&"OU=b,OU=a".into()));
    assert_eq!(applied.get("sans"), Some(&vec!["DNS:a.example"].into()));
    assert_eq!(applied.get("usages"), Some(&vec!["client auth"].into()));
    assert_eq!(applied.get("key"), Some(&"ECDSA-P384".into()));
    assert!(bench.read("etcd-key.pem").starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(bench.told.notes.lock().unwrap()[0].contains("but its CA ends"));
}

#[tokio::test]
async fn a_wrong_order_is_refused_and_writes_nothing() {
    let bench = Bench::new();
    let good = setup(&bench, KeyKind::P256);
    ca(&bench, "other", &Issue::default());
    for (name, value, message) in [
        ("ca_key", bench.path("other-key.pem").into(), "does not belong to it"),
        ("ca", bench.path("old.pem").into(), "does not belong to it"),
        ("like", bench.path("old-key.pem").into(), "a private key where a certificate is expected"),
        ("like", Value::Null, "no usages"),
        ("sans", "a b".into(), "not a subject alternative name"),
        ("subject", Value::Int(1), "expected a map or a list of maps"),
        ("usages", vec!["flying"].into(), "is not a usage"),
        ("key_kind", "DSA-1024".into(), "is not supported"),
        ("key_form", "pkcs1".into(), "has no pkcs1 encoding"),
        ("out_key", bench.path("etcd.pem").into(), "are the same file"),
        ("out_key", bench.path("none/key.pem").into(), "there is no directory"),
    ] {
        let mut args = good.clone();
        args.0.insert(name.into(), value);
        for fault in [
            bench.describe(&IssueLeaf, &args).await.unwrap_err(),
            bench.apply(&IssueLeaf, &args).await.unwrap_err(),
        ] {
            assert!(fault.cause.contains(message), "{name}: {fault}");
        }
    }
    let mut own = good.clone();
    own.0.insert("ca".into(), bench.path("old.pem").into());
    own.0.insert("ca_key".into(), bench.path("old-key.pem").into());
    assert!(bench.describe(&IssueLeaf, &own).await.unwrap_err().cause.contains("is not a CA"));
    assert!(!bench.exists("etcd.pem") && !bench.exists("etcd-key.pem"));
    let mut later = good;
    later.0.insert("ca".into(), bench.path("made-later.pem").into());
    let plan = IssueLeaf.describe(&bench.planning(), &later).await.unwrap();
    assert!(matches!(plan.change, Change::CannotKnow(_)));
}

#[tokio::test]
async fn the_runs_own_folder_need_not_be_there_while_planning() {
    let bench = Bench::new();
    let mut args = setup(&bench, KeyKind::P256);
    let staging = bench.ctx().staging();
    args.0.insert("out_cert".into(), format!("{staging}/etcd.pem").into());
    args.0.insert("out_key".into(), format!("{staging}/etcd-key.pem").into());
    let plan = IssueLeaf.describe(&bench.planning(), &args).await.unwrap();
    assert_eq!(plan.change, Change::Will);
    bench.apply(&IssueLeaf, &args).await.unwrap();
    assert_eq!(bench.mode("state/staging"), 0o700);
}

/// The vendor's files, as their package has them.
const CSR: &str = r#"{ "CN": "etcd", "hosts": [], "key": { "algo": "ALGO", "size": SIZE },
  "names": [ { "C": "CN", "ST": "Shanghai", "L": "Shanghai", "O": "k8s", "OU": "System" } ] }"#;
const CONFIG: &str = r#"{ "signing": { "default": { "expiry": "87600h" }, "profiles": { "etcd": {
  "usages": [ "signing", "key encipherment", "server auth", "client auth" ], "expiry": "87600h" } } } }"#;

/// What openssl says of a certificate, without what differs between any two: serial number, dates, key and signature.
fn profile_of(cert: &str) -> String {
    let all =
        openssl(&["x509", "-in", cert, "-noout", "-text", "-certopt", "no_serial,no_validity,no_sigdump"]);
    let mut key = false;
    let line = |line: &&str| {
        // Of the key only its kind and size; of extensions not the key's own identifier.
        key = line.trim() == "Subject Public Key Info:" || (key && !line.contains("X509v3 extensions"));
        !key || line.contains("Public")
    };
    let text: Vec<&str> = all.lines().filter(line).collect();
    let own = openssl(&["x509", "-in", cert, "-noout", "-ext", "subjectKeyIdentifier"]);
    text.join("\n").replace(own.lines().last().unwrap().trim(), "OWN")
}

fn seconds_valid(cert: &str) -> i64 {
    let pem = std::fs::read(cert).unwrap();
    let certificate = keybook_pki::Certificate::one_pem(&pem).unwrap();
    certificate.not_after() - certificate.not_before()
}

#[tokio::test]
async fn cfssls_own_files_give_cfssls_own_certificate() {
    for (kind, algo, size) in [(KeyKind::Rsa(2048), "rsa", "2048"), (KeyKind::P256, "ecdsa", "384")] {
        let bench = Bench::new();
        ca(&bench, "ca", &Issue { cn: "kubernetes", kind, not_after: DAY * 4000, ..Issue::default() });
        bench.file("kubernetes-csr.json", CSR.replace("ALGO", algo).replace("SIZE", size));
        bench.file("config.json", CONFIG);
        let hosts = "jiujiu-tdh-10,jiujiu-tdh-11,jiujiu-tdh-12,127.0.0.1,10.10.10.1,172.22.25.10,172.22.25.11,172.22.25.12";
        let script = format!(
            "cd '{}' && cfssl gencert -ca=ca.pem -ca-key=ca-key.pem -config=config.json -profile=etcd \
             -hostname={hosts} kubernetes-csr.json 2>/dev/null | cfssljson -bare theirs",
            bench.path("")
        );
        assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let args = args([
            ("ca", bench.path("ca.pem").into()),
            ("ca_key", bench.path("ca-key.pem").into()),
            ("cfssl_csr", bench.path("kubernetes-csr.json").into()),
            ("cfssl_config", bench.path("config.json").into()),
            ("cfssl_profile", "etcd".into()),
            ("sans", hosts.split(',').collect::<Vec<_>>().into()),
            ("out_cert", bench.path("etcd.pem").into()),
            ("out_key", bench.path("etcd-key.pem").into()),
        ]);
        let plan = bench.describe(&IssueLeaf, &args).await.unwrap();
        let mut later = bench.ctx();
        later.now += 2;
        assert_eq!(IssueLeaf.describe(&later, &args).await.unwrap(), plan, "approved plans must stay true");
        bench.apply(&IssueLeaf, &args).await.unwrap();
        let (ours, theirs) = (bench.path("etcd.pem"), bench.path("theirs.pem"));
        assert_eq!(profile_of(&ours), profile_of(&theirs), "{algo}");
        assert_eq!(seconds_valid(&ours), seconds_valid(&theirs), "{algo}");
        assert_eq!(seconds_valid(&ours), 87_600 * 3600);
        let first = |name: &str| bench.read(name).lines().next().unwrap().to_owned();
        assert_eq!(first("etcd-key.pem"), first("theirs-key.pem"));
        let subject = |file: &str| {
            openssl(&["x509", "-in", file, "-noout", "-subject", "-nameopt", "RFC2253,show_type"])
        };
        assert_eq!(subject(&ours), subject(&theirs));
    }
}

#[tokio::test]
async fn what_would_make_cfssls_certificate_another_one_is_refused() {
    let bench = Bench::new();
    let mut good = setup(&bench, KeyKind::P256);
    let csr = CSR.replace("ALGO", "ecdsa").replace("SIZE", "256");
    good.0.insert("cfssl_csr".into(), bench.path("csr.json").into());
    good.0.insert("cfssl_config".into(), bench.path("config.json").into());
    good.0.insert("cfssl_profile".into(), "etcd".into());
    for (request, config, message) in [
        (csr.replace("\"OU\"", "\"E\""), CONFIG.to_owned(), "`names` has `E`"),
        (csr.replace("} ]", "}, { \"C\": \"DE\" } ]"), CONFIG.to_owned(), "has `C` twice"),
        (csr.replace("256", "100"), CONFIG.to_owned(), "is not supported"),
        (csr.replace("ecdsa", "dsa"), CONFIG.to_owned(), "must have `algo`"),
        (csr.replace("\"CN\": \"etcd\"", "\"crl_url\": \"x\""), CONFIG.to_owned(), "`crl_url`"),
        ("{".to_owned(), CONFIG.to_owned(), "it is no JSON"),
        (csr.clone(), CONFIG.replace("\"etcd\"", "\"other\""), "no profile `etcd`"),
        (csr.clone(), CONFIG.replace("\"signing\",", "\"flying\","), "is not a usage"),
        (csr.clone(), CONFIG.replace("87600h\" } }", "\" } }"), "no `expiry`"),
        (csr.clone(), CONFIG.replace("87600h\" }, ", "87600h\", \"crl_url\": \"http://x\" }, "), "`crl_url`"),
        (
            csr.clone(),
            CONFIG.replace("\"usages\"", "\"ca_constraint\": {\"is_ca\": true}, \"usages\""),
            "makes CAs",
        ),
        (csr.clone(), CONFIG.replace("\"usages\"", "\"not_after\": \"2030\", \"usages\""), "`not_after`"),
    ] {
        bench.file("csr.json", &request);
        bench.file("config.json", &config);
        let fault = bench.describe(&IssueLeaf, &good).await.unwrap_err();
        assert!(fault.cause.contains(message), "{message}: {fault}");
        assert!(bench.apply(&IssueLeaf, &good).await.is_err());
    }
    good.0.shift_remove("cfssl_profile");
    bench.file("csr.json", &csr);
    bench.file("config.json", CONFIG);
    assert!(bench.describe(&IssueLeaf, &good).await.unwrap_err().cause.contains("goes with"));
    // Arguments go before the files; names under `hosts` count without `sans`.
    good.0.insert("cfssl_profile".into(), "etcd".into());
    bench.file("csr.json", csr.replace("[]", "[\"a.example\"]"));
    good.0.insert("days".into(), Value::Int(10));
    good.0.insert("usages".into(), vec!["client auth"].into());
    let applied = bench.apply(&IssueLeaf, &good).await.unwrap().value;
    assert_eq!(applied.get("usages"), Some(&vec!["client auth"].into()));
    assert_eq!(applied.get("sans"), Some(&vec!["DNS:a.example", "IP:127.0.0.1", "DNS:tdh-11"].into()));
    assert_eq!(seconds_valid(&bench.path("etcd.pem")), DAY * 10 + 300);
}
