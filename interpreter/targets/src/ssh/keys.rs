//! Private key files.

use keybook_api::{Fault, Secret};
use russh::keys::{Error, PrivateKey, PublicKey, decode_secret_key};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Larger than any key.
const LARGEST: u64 = 1 << 20;

/// What a key file holds.
pub(crate) enum KeyFile {
    /// A key that can sign.
    Usable(Box<PrivateKey>),
    /// A key that needs a passphrase which is not given; its public half, where the file tells it.
    Locked(Option<PublicKey>),
}

/// Reads a key file.
///
/// # Errors
/// A missing or unreadable file, one that others may read, a wrong passphrase, a format that is not known.
pub(crate) fn load(path: &Path, passphrase: Option<&Secret>) -> Result<KeyFile, Fault> {
    let attempted = format!("read the SSH key {}", path.display());
    let metadata = std::fs::metadata(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Fault::usage(&attempted, "there is no such file"),
        _ => Fault::usage(&attempted, e),
    })?;
    if metadata.mode() & 0o077 != 0 {
        let cause = format!("others may read it (mode {:04o}), so it is not used", metadata.mode() & 0o7777);
        return Err(Fault::usage(attempted, cause).hint(format!("chmod 600 '{}'", path.display())));
    }
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(Fault::usage(attempted, "it is not a key file"));
    }
    let bytes = Zeroizing::new(std::fs::read(path).map_err(|e| Fault::usage(&attempted, e))?);
    let text = std::str::from_utf8(&bytes).map_err(|_| Fault::usage(&attempted, "it is not a key in PEM"))?;
    let phrase = passphrase.and_then(Secret::expose_str);
    match decode_secret_key(text, phrase) {
        Ok(key) if key.is_encrypted() => Ok(KeyFile::Locked(Some(key.public_key().clone()))),
        Ok(key) => Ok(KeyFile::Usable(Box::new(key))),
        Err(_) if phrase.is_none() && encrypted(text) => Ok(KeyFile::Locked(public_half(path, text))),
        Err(Error::KeyIsEncrypted) => Ok(KeyFile::Locked(public_half(path, text))),
        Err(_) if encrypted(text) => Err(Fault::usage(attempted, "the passphrase is wrong")),
        Err(e) => Err(Fault::usage(attempted, format!("it is not a private key in a known format: {e}"))),
    }
}

fn encrypted(text: &str) -> bool {
    text.contains("Proc-Type: 4,ENCRYPTED")
        || text.contains("BEGIN ENCRYPTED PRIVATE KEY")
        || PrivateKey::from_openssh(text).is_ok_and(|key| key.is_encrypted())
}

/// OpenSSH's own format tells the public key without a passphrase; for others there may be a `.pub` beside.
fn public_half(path: &Path, text: &str) -> Option<PublicKey> {
    if let Ok(key) = PrivateKey::from_openssh(text) {
        return Some(key.public_key().clone());
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    PublicKey::from_openssh(std::fs::read_to_string(beside).ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    fn keygen(args: &[&str]) {
        assert!(Command::new("ssh-keygen").arg("-q").args(args).status().unwrap().success());
    }

    #[test]
    fn keys_of_ssh_keygen_load() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, format) in [
            ("ed25519", "RFC4716"),
            ("ecdsa", "RFC4716"),
            ("rsa", "RFC4716"),
            ("rsa", "PEM"),
            ("ecdsa", "PKCS8"),
        ] {
            for phrase in ["", "open sesame"] {
                let path = folder.path().join(format!("{kind}-{format}-{}", phrase.len()));
                let name = path.to_str().unwrap();
                keygen(&["-t", kind, "-m", format, "-N", phrase, "-f", name]);
                let given = Secret::new(phrase);
                let given = Some(&given).filter(|_| !phrase.is_empty());
                assert!(matches!(load(&path, given).unwrap(), KeyFile::Usable(_)), "{name}");
                if !phrase.is_empty() {
                    assert!(matches!(load(&path, None).unwrap(), KeyFile::Locked(Some(_))), "{name}");
                    let wrong = load(&path, Some(&Secret::new("no"))).err().unwrap();
                    assert!(wrong.cause.contains("passphrase is wrong"), "{name}: {wrong}");
                }
            }
        }
    }

    #[test]
    fn files_that_are_no_use_say_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        let cause = || load(&path, None).err().unwrap();
        assert!(cause().cause.contains("no such file"));
        keygen(&["-t", "ed25519", "-N", "", "-f", path.to_str().unwrap()]);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let open = cause();
        assert!(open.cause.contains("0644") && open.hints[0].starts_with("chmod 600 "), "{open}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(&path, "nonsense").unwrap();
        assert!(cause().cause.contains("not a private key"));
        std::fs::write(&path, [0xff, 0]).unwrap();
        assert!(cause().cause.contains("PEM"));
    }
}
