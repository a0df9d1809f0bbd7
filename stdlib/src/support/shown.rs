//! What may be shown of a file's content.

use super::files::{Current, base, sha256};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use keybook_api::{Diff, Secret};

/// Longer texts are described instead of shown.
const MAX_SHOWN: usize = 256 << 10;

/// What may be shown of some content.
enum Shown {
    Text(String),
    Described(String),
}

/// The diff of one file. When either side may not be shown, both are only described.
pub fn diff(path: &str, before: Option<&Current>, after: Option<(&Secret, u32)>, secret: bool) -> Diff {
    let show = |content: &Secret, mode: u32| show(path, content, mode, secret);
    let old = before.map(|file| (&file.content, file.stat.mode));
    let sides = [old, after].map(|side| side.map(|(content, mode)| (show(content, mode), content, mode)));
    let described = sides.iter().flatten().any(|(shown, ..)| matches!(shown, Shown::Described(_)));
    let [before, after] = sides.map(|side| {
        side.map(|(shown, content, _)| match shown {
            Shown::Text(_) if described => describe(content),
            Shown::Text(text) | Shown::Described(text) => text,
        })
    });
    Diff { path: path.to_owned(), before, after, described }
}

/// A description of a file that shows nothing of its content but certificates' names and dates.
pub fn described(file: &Current) -> String {
    match show(&file.path, &file.content, file.stat.mode, false) {
        Shown::Text(_) => describe(&file.content),
        Shown::Described(text) => text,
    }
}

/// True when the content holds a private key, or the name and mode say that it is meant to.
pub fn is_key(path: &str, content: &Secret, mode: u32) -> bool {
    holds_key(content.expose()) || (mode & 0o044 == 0 && base(path).to_ascii_lowercase().contains("key"))
}

fn show(path: &str, content: &Secret, mode: u32, secret: bool) -> Shown {
    if is_key(path, content, mode) {
        return Shown::Described(describe_key(content));
    }
    if secret {
        return Shown::Described(format!("secret content, {} bytes", content.expose().len()));
    }
    if let Some(text) = super::certs::summary(content) {
        return Shown::Described(text);
    }
    match content.expose_str() {
        Some(text) if text.len() <= MAX_SHOWN => Shown::Text(text.to_owned()),
        _ => Shown::Described(describe(content)),
    }
}

fn describe(content: &Secret) -> String {
    format!("{} bytes, sha256 {}", content.expose().len(), sha256(content.expose()))
}

fn describe_key(content: &Secret) -> String {
    let size = content.expose().len();
    match super::certs::public_digest(content) {
        Some(digest) => format!("key material, {size} bytes, public key sha256 {digest}"),
        None => format!("key material, {size} bytes"),
    }
}

/// Looks for `-----BEGIN … PRIVATE KEY-----`, also inside base64 as kubeconfig files hold it.
pub fn holds_key(bytes: &[u8]) -> bool {
    const LABEL: &[u8] = b"PRIVATE KEY-----";
    // base64 of `-----BEGIN `.
    const CODED: &[u8] = b"LS0tLS1CRUdJTi";
    if find(bytes, LABEL).is_some() {
        return true;
    }
    let mut rest = bytes;
    while let Some(at) = find(rest, CODED) {
        let coded: Vec<u8> = rest
            .iter()
            .skip(at)
            .take(64)
            .copied()
            .take_while(|b| b.is_ascii_alphanumeric() || b"+/".contains(b))
            .collect();
        let whole = coded.get(..coded.len() / 4 * 4).unwrap_or_default();
        if STANDARD_NO_PAD.decode(whole).is_ok_and(|plain| find(&plain, b"PRIVATE KEY").is_some()) {
            return true;
        }
        rest = rest.get(at + CODED.len()..).unwrap_or_default();
    }
    false
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrandom\n-----END EC PRIVATE KEY-----\n";

    fn after(path: &str, text: &str, mode: u32) -> Diff {
        diff(path, None, Some((&Secret::new(text), mode)), false)
    }

    #[test]
    fn text_is_shown() {
        let diff = after("/etc/motd", "hello\n", 0o644);
        assert_eq!((diff.after.as_deref(), diff.described), (Some("hello\n"), false));
    }

    #[test]
    fn keys_are_never_shown() {
        let kubeconfig = format!("client-key-data: {}\n", STANDARD.encode(KEY));
        for (path, text, mode) in [
            ("/a.pem", KEY, 0o644),
            ("/admin.conf", kubeconfig.as_str(), 0o600),
            ("/x-key.bin", "random", 0o600),
        ] {
            let diff = after(path, text, mode);
            assert!(diff.described, "{path}");
            let shown = diff.after.unwrap();
            assert!(shown.starts_with("key material"), "{shown}");
            assert!(!shown.contains("random") && !shown.contains("MHcC"), "{shown}");
        }
    }

    #[test]
    fn a_certificate_in_a_kubeconfig_is_no_key() {
        let text = format!("ca: {}", STANDARD.encode("-----BEGIN CERTIFICATE-----\nMIIB"));
        assert!(!after("/admin.conf", &text, 0o600).described);
    }

    #[test]
    fn binary_and_secret_content_is_described() {
        let binary = diff("/b", None, Some((&Secret::new([0xff, 0]), 0o644)), false);
        assert!(binary.after.unwrap().starts_with("2 bytes, sha256 "));
        let secret = diff("/b", None, Some((&Secret::new("hunter2"), 0o644)), true);
        assert_eq!(secret.after.as_deref(), Some("secret content, 7 bytes"));
    }
}
