//! Keys, passwords and tokens.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// Bytes that must not be seen: it has no `Serialize`, `Debug` shows only `[secret]`, and the memory
/// is wiped on drop. Comparing two secrets takes time that depends only on their lengths.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; the caller's copy is moved, not copied.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes. Call it only where they are used, and do not keep the borrow.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as UTF-8, where they are.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// HMAC-SHA256 (RFC 2104) under a key, hexadecimal: the same for the same bytes, and nobody without the key can tell by
    /// trying which bytes they were, however few there may be.
    pub fn keyed_hash(&self, salt: &str) -> String {
        // HMAC takes a key of any length, so this cannot fail; an empty result would match nothing.
        Hmac::<Sha256>::new_from_slice(salt.as_bytes()).map_or_else(
            |_| String::new(),
            |mut mac| {
                mac.update(&self.0);
                mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
            },
        )
    }

    /// True when there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().zip(other.0.iter()).fold(0u8, |sum, (a, b)| sum | (a ^ b)) == 0
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn keyed_hashes_are_hmac() {
        assert_eq!(
            Secret::new("what do ya want for nothing?").keyed_hash("Jefe"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(secret, Secret::new("hunter2"));
        assert_ne!(secret, Secret::new("hunter3"));
    }
}
