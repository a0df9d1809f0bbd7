//! Verification beside `openssl verify -partial_chain`.

use crate::tools::{CA, LEAF, Work};
use keybook_pki::{Certificate, Usage, VerifyFailure, verify};

/// One question, put to openssl and to us. `expected` is openssl's error number; 0 for OK.
struct Case<'a> {
    leaf: &'a str,
    between: &'a [&'a str],
    roots: &'a [&'a str],
    at: i64,
    usage: Usage,
}

impl Case<'_> {
    fn load(work: &Work, names: &[&str]) -> Vec<Certificate> {
        names.iter().map(|name| work.certificate(&format!("{name}.pem"))).collect()
    }

    fn openssl(&self, work: &Work) -> u32 {
        let pem = |names| keybook_pki::bundle(&Self::load(work, names));
        work.write("roots", pem(self.roots));
        work.write("between", pem(self.between));
        let purpose = match self.usage {
            Usage::Server => "-purpose sslserver",
            Usage::Client => "-purpose sslclient",
            Usage::Any => "",
        };
        let between = if self.between.is_empty() { "" } else { "-untrusted between" };
        let output = work.run(
            "openssl",
            &format!(
                "verify -partial_chain -no-CApath -attime {} {purpose} -CAfile roots {between} {}.pem",
                self.at, self.leaf
            ),
        );
        if output.status.success() {
            return 0;
        }
        let text = String::from_utf8(output.stderr).unwrap();
        let number = text.split("error ").nth(1).and_then(|rest| rest.split(' ').next());
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
    }

    /// Asks both; returns our answer.
    fn ask(&self, work: &Work, expected: u32) -> Result<(), VerifyFailure> {
        assert_eq!(self.openssl(work), expected, "openssl about {} under {:?}", self.leaf, self.roots);
        let (between, roots) = (Self::load(work, self.between), Self::load(work, self.roots));
        let leaf = work.certificate(&format!("{}.pem", self.leaf));
        let ours = verify(&leaf, &between, &roots, self.at, self.usage);
        assert_eq!(ours.is_ok(), expected == 0, "{} under {:?}: {ours:?}", self.leaf, self.roots);
        ours
    }

    fn ok(&self, work: &Work) {
        self.ask(work, 0).unwrap();
    }

    fn fails(&self, work: &Work, expected: u32) -> String {
        self.ask(work, expected).unwrap_err().to_string()
    }
}

fn case<'a>(work: &Work, leaf: &'a str, roots: &'a [&'a str]) -> Case<'a> {
    let at = work.certificate(&format!("{leaf}.pem")).not_before() + 60;
    Case { leaf, between: &[], roots, at, usage: Usage::Server }
}

/// A CA and a leaf of it; keys are P-256, for speed.
fn pair(extensions: &str, leaf: &str) -> Work {
    let work = Work::new();
    work.make_key("ca", "P-256");
    work.make_root("ca", "/CN=ca", "sha256", extensions);
    work.make_key("leaf", "P-256");
    work.make_issued("leaf", "/CN=etcd", "ca", "sha256", leaf);
    work
}

fn more(work: &Work, name: &str, subject: &str, ca: &str, extensions: &str) {
    work.make_key(name, "P-256");
    work.make_issued(name, subject, ca, "sha256", extensions);
}

#[test]
fn a_valid_leaf_verifies() {
    let work = pair(CA, LEAF);
    case(&work, "leaf", &["ca"]).ok(&work);
    Case { usage: Usage::Client, ..case(&work, "leaf", &["ca"]) }.ok(&work);
    Case { usage: Usage::Any, ..case(&work, "leaf", &["ca"]) }.ok(&work);
}

#[test]
fn another_key_of_the_same_name_is_a_wrong_signature() {
    let plain = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none";
    let work = pair(plain, "subjectAltName=DNS:x\nauthorityKeyIdentifier=none");
    work.make_key("other", "P-256");
    work.make_root("other", "/CN=ca", "sha256", plain);
    assert_eq!(
        case(&work, "leaf", &["other"]).fails(&work, 7),
        "`CN=etcd` was signed by another key: the trusted `CN=ca` only has the same name as its issuer"
    );
    // Beside the right one it does no harm here, though it does in some verifiers.
    let leaf = work.certificate("leaf.pem");
    for roots in [["other", "ca"], ["ca", "other"]] {
        let roots = Case::load(&work, &roots);
        assert_eq!(verify(&leaf, &[], &roots, leaf.not_before(), Usage::Server), Ok(()));
    }
}

#[test]
fn another_key_identifier_is_another_issuer() {
    let work = pair(CA, LEAF);
    work.make_key("other", "P-256");
    work.make_root("other", "/CN=ca", "sha256", CA);
    assert_eq!(
        case(&work, "leaf", &["other"]).fails(&work, 20),
        "the trusted `CN=ca` has the issuer's name, but not the key identifier or serial number that the \
         certificate names"
    );
    case(&work, "leaf", &["other", "ca"]).ok(&work);
    case(&work, "leaf", &["ca", "other"]).ok(&work);
    work.make_root("other", "/CN=unrelated", "sha256", CA);
    assert_eq!(
        case(&work, "leaf", &["other"]).fails(&work, 20),
        "the issuer of `CN=etcd`, `CN=ca`, is not among the trusted certificates"
    );
}

#[test]
fn a_named_serial_number_must_be_the_issuers() {
    let leaf = LEAF.replace("authorityKeyIdentifier=keyid", "authorityKeyIdentifier=keyid,issuer:always");
    let work = pair(CA, &leaf);
    case(&work, "leaf", &["ca"]).ok(&work);
    // The same key and name with a new serial number, as a careless reissue makes it.
    work.write("renewed.key", work.read("ca.key"));
    work.make_root("renewed", "/CN=ca", "sha256", CA);
    case(&work, "leaf", &["renewed"]).fails(&work, 20);
}

#[test]
fn dates_count_for_leaf_and_root() {
    let work = pair(CA, LEAF);
    let leaf = work.certificate("leaf.pem");
    let end = keybook_pki::rfc3339(leaf.not_after());
    // The CA is older or as old, so it ends first or in the same second.
    let root = work.certificate("ca.pem");
    let long = keybook_pki::reissue(&root, &work.key("ca.key"), root.not_after() + 86_400, None).unwrap();
    work.write("long.pem", long.certificate.to_pem());
    assert_eq!(
        Case { at: leaf.not_after() + 2, ..case(&work, "leaf", &["long"]) }.fails(&work, 10),
        format!("`CN=etcd` expired at {end}")
    );
    let begin = keybook_pki::rfc3339(root.not_before());
    assert_eq!(
        Case { at: root.not_before() - 1, ..case(&work, "leaf", &["ca"]) }.fails(&work, 9),
        format!("`CN=ca` is not valid before {begin}")
    );
    work.make_key("young", "P-256");
    let request = keybook_pki::LeafRequest {
        subject: keybook_pki::Subject::Attributes(vec![("CN".into(), "young".into())]),
        sans: Vec::new(),
        usages: keybook_pki::Usages::default(),
        not_before: root.not_before() + 500,
        not_after: root.not_after() + 500,
    };
    let young =
        keybook_pki::issue_leaf(&request, &root, &work.key("ca.key"), &work.key("young.key")).unwrap();
    work.write("young.pem", young.to_pem());
    assert_eq!(
        Case { at: young.not_before() - 1, ..case(&work, "young", &["ca"]) }.fails(&work, 9),
        format!("`CN=young` is not valid before {}", keybook_pki::rfc3339(young.not_before()))
    );
    let over = root.not_after() + 2;
    assert_eq!(
        Case { at: over, ..case(&work, "young", &["ca"]) }.fails(&work, 10),
        format!("`CN=ca` expired at {}", keybook_pki::rfc3339(root.not_after()))
    );
    // An expired and a reissued CA of one key in one bundle.
    Case { at: over, ..case(&work, "young", &["ca", "long"]) }.ok(&work);
    Case { at: over, ..case(&work, "young", &["long", "ca"]) }.ok(&work);
}

#[test]
fn usages_are_judged() {
    let work = pair(CA, LEAF);
    let client = LEAF.replace("serverAuth,clientAuth", "clientAuth");
    more(&work, "client", "/CN=client", "ca", &client);
    let only = Case { usage: Usage::Client, ..case(&work, "client", &["ca"]) };
    only.ok(&work);
    assert_eq!(
        case(&work, "client", &["ca"]).fails(&work, 26),
        "`CN=client` may not be used as a server's certificate, only for: digital signature, key encipherment, \
         client auth"
    );
    more(&work, "server", "/CN=server", "ca", &LEAF.replace("serverAuth,clientAuth", "serverAuth"));
    assert_eq!(
        Case { usage: Usage::Client, ..case(&work, "server", &["ca"]) }.fails(&work, 26),
        "`CN=server` may not be used as a client's certificate, only for: digital signature, key encipherment, \
         server auth"
    );
    let encipher = LEAF.replace("digitalSignature,keyEncipherment", "keyEncipherment");
    more(&work, "encipher", "/CN=x", "ca", &encipher);
    case(&work, "encipher", &["ca"]).ok(&work);
    Case { usage: Usage::Client, ..case(&work, "encipher", &["ca"]) }.fails(&work, 26);
    // A CA whose own extended usages do not allow it.
    more(&work, "narrow", "/CN=narrow", "ca", &format!("{CA}\nextendedKeyUsage=clientAuth"));
    more(&work, "below", "/CN=below", "narrow", LEAF);
    let below = Case { between: &["narrow"], ..case(&work, "below", &["ca"]) };
    below.fails(&work, 26);
    Case { usage: Usage::Client, ..below }.ok(&work);
}

#[test]
fn the_usage_any_is_good_for_all_as_in_go() {
    let work = pair(CA, &LEAF.replace("serverAuth,clientAuth", "anyExtendedKeyUsage"));
    let question = case(&work, "leaf", &["ca"]);
    // The one place where OpenSSL's answer is not taken.
    assert_eq!(question.openssl(&work), 26);
    let roots = Case::load(&work, &["ca"]);
    assert_eq!(verify(&work.certificate("leaf.pem"), &[], &roots, question.at, Usage::Server), Ok(()));
}

#[test]
fn intermediate_cas_are_judged() {
    let work = pair(CA, LEAF);
    more(&work, "sub", "/CN=sub", "ca", &CA.replace("CA:TRUE", "CA:TRUE,pathlen:0"));
    more(&work, "one", "/CN=one", "sub", LEAF);
    Case { between: &["sub"], ..case(&work, "one", &["ca"]) }.ok(&work);
    case(&work, "one", &["ca"]).fails(&work, 20);
    work.make_key("away", "P-256");
    work.make_root("away", "/CN=away", "sha256", CA);
    assert_eq!(
        Case { between: &["sub"], ..case(&work, "one", &["away"]) }.fails(&work, 20),
        "the issuer of `CN=sub`, `CN=ca`, is not among the trusted certificates"
    );
    // Trusted as it is, without its root, as Go does.
    case(&work, "one", &["sub"]).ok(&work);
    more(&work, "deep", "/CN=deep", "sub", CA);
    more(&work, "two", "/CN=two", "deep", LEAF);
    assert_eq!(
        Case { between: &["sub", "deep"], ..case(&work, "two", &["ca"]) }.fails(&work, 25),
        "the CA `CN=sub` allows only 0 intermediate CAs below it"
    );
    more(&work, "three", "/CN=three", "leaf", LEAF);
    let said = Case { between: &["leaf"], ..case(&work, "three", &["ca"]) }.ask(&work, 79).unwrap_err();
    assert_eq!(said.to_string(), "the issuer `CN=etcd` is not a CA that may sign certificates");
    more(&work, "nosign", "/CN=nosign", "ca", &CA.replace("keyCertSign,", ""));
    more(&work, "four", "/CN=four", "nosign", LEAF);
    let said = Case { between: &["nosign"], ..case(&work, "four", &["ca"]) }.ask(&work, 79).unwrap_err();
    assert_eq!(said.to_string(), "the issuer `CN=nosign` is not a CA that may sign certificates");
    more(&work, "bare", "/CN=bare", "ca", "basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash");
    more(&work, "five", "/CN=five", "bare", LEAF);
    let said = Case { between: &["bare"], ..case(&work, "five", &["ca"]) }.ask(&work, 79).unwrap_err();
    assert_eq!(said.to_string(), "the issuer `CN=bare` is not a CA that may sign certificates");
    case(&work, "five", &["bare"]).ask(&work, 79).unwrap_err();
    // A CA as the leaf.
    Case { usage: Usage::Any, ..case(&work, "sub", &["ca"]) }.ok(&work);
}

#[test]
fn self_signed_leaves_are_good_only_when_trusted() {
    let work = pair(CA, LEAF);
    work.make_key("own", "P-256");
    work.make_root("own", "/CN=own", "sha256", "subjectAltName=DNS:own");
    case(&work, "own", &["own"]).ok(&work);
    assert_eq!(
        case(&work, "own", &["ca"]).fails(&work, 18),
        "`CN=own` is self-signed and not among the trusted certificates"
    );
    Case { usage: Usage::Any, ..case(&work, "ca", &["ca"]) }.ok(&work);
    // Trusted itself, though its issuer is not there.
    case(&work, "leaf", &["leaf"]).ok(&work);
}

#[test]
fn old_certificates_are_judged() {
    let work = pair(CA, LEAF);
    more(&work, "v1", "/CN=v1", "ca", "");
    case(&work, "v1", &["ca"]).ok(&work);
    work.make_key("oldca", "rsa:2048");
    work.make_root("oldca", "/CN=oldca", "sha1", CA);
    work.make_key("sha1", "rsa:1024");
    work.make_issued("sha1", "/CN=sha1", "oldca", "sha1", LEAF);
    case(&work, "sha1", &["oldca"]).ok(&work);
    work.make_key("tiny", "rsa:1024");
    work.make_root("tiny", "/CN=tiny", "sha256", CA);
    work.make_key("below", "P-256");
    work.make_issued("below", "/CN=below", "tiny", "sha256", LEAF);
    case(&work, "below", &["tiny"]).ok(&work);
    // A root of version 1, as `openssl x509 -req -signkey` makes it.
    work.make_key("one", "P-256");
    work.openssl("req -new -key one.key -subj /CN=one -out one.csr");
    work.openssl("x509 -req -in one.csr -signkey one.key -out one.pem");
    more(&work, "under", "/CN=under", "one", "subjectAltName=DNS:x");
    case(&work, "under", &["one"]).ok(&work);
}

#[test]
fn what_is_not_understood_fails() {
    let critical = format!("{LEAF}\n1.2.3.4=critical,ASN1:UTF8:x");
    let work = pair(CA, &critical);
    assert_eq!(
        case(&work, "leaf", &["ca"]).fails(&work, 34),
        "the critical extension 1.2.3.4 of `CN=etcd` is not known"
    );
    let plain = pair(CA, LEAF);
    let flipped = {
        let mut der = plain.certificate("leaf.pem").der().to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        Certificate::from_der(&der).unwrap()
    };
    plain.write("flipped.pem", flipped.to_pem());
    case(&plain, "flipped", &["ca"]).fails(&plain, 7);
}

#[test]
fn name_constraints_are_judged() {
    let work = pair(
        &format!("{CA}\nnameConstraints=critical,permitted;DNS:example,permitted;IP:10.0.0.0/255.0.0.0"),
        LEAF,
    );
    case(&work, "leaf", &["ca"]).ok(&work);
    more(&work, "away", "/CN=away", "ca", &LEAF.replace("etcd.example", "etcd.elsewhere"));
    assert_eq!(
        case(&work, "away", &["ca"]).fails(&work, 47),
        "a CA's name constraints do not allow the names: NameConstraintViolation"
    );
}

#[test]
fn nothing_trusted_means_no() {
    let work = pair(CA, LEAF);
    let leaf = work.certificate("leaf.pem");
    assert!(verify(&leaf, &[], &[], leaf.not_before(), Usage::Any).is_err());
    // An intermediate is never trusted by itself.
    let ca = work.certificate("ca.pem");
    assert!(verify(&leaf, &[ca], &[], leaf.not_before(), Usage::Any).is_err());
}
