use super::{fault, one};
use crate::support::{
    files::{self, mode_text},
    tell,
};
use async_trait::async_trait;
use keybook_api::{
    Action, ActionSpec, Applied, ArgKind, ArgSpec, Args, Ctx, Effect, Fault, Plan, Returns, WayBack,
    returns::Key, value::map,
};
use keybook_pki::{PkiError, PrivateKey};

/// Does a key belong to a certificate?
pub struct CheckKey;

const SPEC: ActionSpec = ActionSpec {
    name: "x509.check_key",
    summary: "Tells whether a private key belongs to a certificate.",
    doc: "Compares the public keys. The key passes through this program's memory and is wiped. A key that does not belong is no error: \
demand `result.matches`. A key file that others on the host may read is noted for the operator.\n\n\
Errors: what `x509.read` refuses; a key that is encrypted and no passphrase given, or the wrong one; an encoding other than PKCS#1, \
PKCS#8 and SEC1; a kind other than RSA and ECDSA.",
    effect: Effect::Reads,
    args: &[
        ArgSpec::required("cert", ArgKind::Path, "The PEM file with the certificate."),
        ArgSpec::required("key", ArgKind::Path, "The file with the private key."),
        ArgSpec::optional("passphrase", ArgKind::Secret, "", "Opens an encrypted key."),
    ],
    returns: Returns::map(&[
        Key::plain("matches", "Whether the key is the certificate's."),
        Key::plain("key", "The key's kind, such as `RSA-2048`."),
        Key::plain("form", "How the key is written: `pkcs1`, `pkcs8` or `sec1`."),
        Key::plain("mode", "The key file's, such as `\"0600\"`."),
        Key::plain("encrypted", "Whether the key is encrypted."),
        Key::plain("spki_sha256", "Of its public key."),
    ]),
    way_back: WayBack::Nothing,
    example: "x509.check_key:\n  cert: /srv/kubernetes/etcd-ca.pem\n  key: /root/gencerts/etcd-ca-key.pem\n",
};

#[async_trait]
impl Action for CheckKey {
    fn spec(&self) -> &'static ActionSpec {
        &SPEC
    }

    async fn describe(&self, _ctx: &Ctx, args: &Args) -> Result<Plan, Fault> {
        let (cert, key) = (args.path("cert")?, args.path("key")?);
        Ok(tell::reads(format!("compare the public keys of {cert} and {key}")))
    }

    async fn apply(&self, ctx: &Ctx, args: &Args) -> Result<Applied, Fault> {
        let (_, certificate) = one(&*ctx.target, args.path("cert")?).await?;
        let path = args.path("key")?;
        let file = files::need(&*ctx.target, path).await?;
        let (key, encrypted) = match PrivateKey::load(&file.content, None) {
            Err(PkiError::Encrypted { .. }) => {
                (PrivateKey::load(&file.content, args.opt_secret("passphrase")?.as_ref()), true)
            }
            other => (other, false),
        };
        let key = key.map_err(|error| fault(&*ctx.target, format!("read the private key {path}"), &error))?;
        let mode = mode_text(file.stat.mode);
        if file.stat.mode & 0o044 != 0 {
            ctx.sink.note(&format!(
                "{}: others on the host may read the private key {path} (mode {mode})",
                ctx.target.name()
            ));
        }
        Ok(Applied::unchanged(map([
            ("matches", key.matches(&certificate).into()),
            ("key", key.kind().to_string().into()),
            ("form", key.original_form().to_string().into()),
            ("mode", mode.into()),
            ("encrypted", encrypted.into()),
            ("spki_sha256", key.spki_sha256().into()),
        ])))
    }
}
