//! A folder to work in, and the real programs.

use keybook_api::Secret;
use keybook_pki::{Certificate, PrivateKey};
use std::{
    path::PathBuf,
    process::{Command, Output},
};
use tempfile::TempDir;

/// A temporary folder in which the programs run, so that file names are short.
pub struct Work(TempDir);

impl Work {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn certificate(&self, name: &str) -> Certificate {
        Certificate::one(&self.read(name)).unwrap()
    }

    pub fn key(&self, name: &str) -> PrivateKey {
        PrivateKey::load(&Secret::new(self.read(name)), None).unwrap()
    }

    /// Runs a program; a missing one fails the test.
    pub fn run(&self, program: &str, arguments: &str) -> Output {
        Command::new(program)
            .args(words(arguments))
            .current_dir(self.0.path())
            .output()
            .unwrap_or_else(|why| panic!("{program} is needed for this test: {why}"))
    }

    /// Runs a program that must succeed; its standard output.
    pub fn ok(&self, program: &str, arguments: &str) -> String {
        let output = self.run(program, arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn openssl(&self, arguments: &str) -> String {
        self.ok("openssl", arguments)
    }

    /// `NAME.key` by `openssl genpkey`; `spec` is `rsa:2048` or a curve.
    pub fn make_key(&self, name: &str, spec: &str) {
        match spec.strip_prefix("rsa:") {
            Some(bits) => {
                self.openssl(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out {name}.key"))
            }
            None => self.openssl(&format!(
                "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{spec} -pkeyopt ec_param_enc:named_curve -out {name}.key"
            )),
        };
    }

    /// `NAME.pem`, a self-signed certificate of `NAME.key`, with just these extensions.
    pub fn make_root(&self, name: &str, subject: &str, digest: &str, extensions: &str) {
        self.write("root.cnf", format!("[req]\ndistinguished_name=dn\n[dn]\n[x]\n{extensions}\n"));
        let arguments = format!(
            "req -x509 -new -config root.cnf -extensions x -key {name}.key -out {name}.pem -days 30 -{digest} -utf8 -subj '{subject}'"
        );
        self.openssl(&arguments);
    }

    /// `NAME.pem`, a certificate of `NAME.key` signed by `CA.key`; version 1 without extensions.
    pub fn make_issued(&self, name: &str, subject: &str, ca: &str, digest: &str, extensions: &str) {
        self.openssl(&format!("req -new -key {name}.key -out {name}.csr -utf8 -subj '{subject}'"));
        self.write("leaf.cnf", extensions);
        let extfile = if extensions.is_empty() { "" } else { "-extfile leaf.cnf" };
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -out {name}.pem -days 30 -{digest} {extfile}"
        ));
    }
}

/// Splits at blanks outside of single quotes.
fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            found.push(part.to_owned());
        } else {
            found.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    found
}

pub const CA: &str =
    "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nkeyUsage=critical,keyCertSign,cRLSign";
pub const LEAF: &str = "basicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n\
    keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\n\
    subjectAltName=DNS:etcd.example,IP:10.0.0.1";
