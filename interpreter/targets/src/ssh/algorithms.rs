//! Which algorithms are offered, in which order.

use russh::keys::{Algorithm, HashAlg};
use russh::{Preferred, cipher, kex, mac};
use std::borrow::Cow;

/// For servers from before about 2014: tried only when nothing newer is shared, because the client's order counts.
const OLD_KEX: [kex::Name; 5] = [
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G14_SHA1,
    kex::DH_GEX_SHA1,
];
const OLD_CIPHERS: [cipher::Name; 3] = [cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC];
const OLD_MACS: [mac::Name; 2] = [mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// The library's own order, with the host's known key types first and the old algorithms last. Certificates are
/// asked for only where an authority is known that can vouch for them.
pub(crate) fn preferred(known: &[Algorithm], certificates: bool) -> Preferred {
    let all = Preferred::DEFAULT;
    let rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rsa { .. });
    let same = |a: &Algorithm, b: &Algorithm| a == b || (rsa(a) && rsa(b));
    let (mut first, rest): (Vec<Algorithm>, Vec<Algorithm>) =
        all.key.iter().cloned().partition(|offered| known.iter().any(|known| same(known, offered)));
    first.extend(rest);
    // SHA-1 signatures come last of all, also for a host that is known by an RSA key.
    first.sort_by_key(|algorithm| *algorithm == Algorithm::Rsa { hash: None });
    let signed = first.iter().filter(|a| **a != Algorithm::Rsa { hash: None }).cloned().collect();
    Preferred {
        kex: appended(&all.kex, &OLD_KEX),
        cipher: appended(&all.cipher, &OLD_CIPHERS),
        mac: appended(&all.mac, &OLD_MACS),
        host_key_certificates: if certificates { Cow::Owned(signed) } else { Cow::Borrowed(&[]) },
        key: Cow::Owned(first),
        ..all
    }
}

fn appended<T: Clone + PartialEq>(list: &[T], more: &[T]) -> Cow<'static, [T]> {
    let new = more.iter().filter(|name| !list.contains(name));
    Cow::Owned(list.iter().chain(new).cloned().collect())
}

/// The best signature for an RSA key, by what the server said it takes.
pub(crate) fn rsa_hash(said: Option<Option<HashAlg>>) -> Option<HashAlg> {
    // A server that says nothing may be old or not; one that takes SHA-512 is far likelier.
    said.unwrap_or(Some(HashAlg::Sha512))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_come_first_and_sha1_last() {
        let order = preferred(&[Algorithm::Rsa { hash: None }], true);
        let names: Vec<String> = order.key.iter().map(ToString::to_string).collect();
        assert_eq!(names.first().map(String::as_str), Some("rsa-sha2-512"));
        assert_eq!(names.last().map(String::as_str), Some("ssh-rsa"));
        assert_eq!(order.host_key_certificates.len(), names.len() - 1);
        assert!(preferred(&[], false).host_key_certificates.is_empty());
        assert_eq!(preferred(&[], false).key.first(), Some(&Algorithm::Ed25519));
    }
}
