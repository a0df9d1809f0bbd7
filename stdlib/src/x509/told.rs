//! What results tell of a certificate.

use keybook_api::returns::{Key, Keys};

/// What is told of one in a file.
pub const OF_FILE: &[Key] = &[
    Key::plain("path", "The file."),
    Key::plain("kind", "`certificate`."),
    Key::plain("pem", "The certificate itself."),
    Key::plain("subject", "Whose it is."),
    Key::plain("issuer", "Who signed it."),
    Key::plain("serial", "Decimal."),
    Key::plain("not_before", "RFC 3339."),
    Key::plain("not_after", "RFC 3339."),
    Key::plain("not_before_unix", "In seconds since 1970."),
    Key::plain("not_after_unix", "In seconds since 1970."),
    Key::plain("sans", "The alternative names, such as `DNS:a.example` and `IP:10.0.0.1`."),
    Key::plain("is_ca", "Whether it is a CA."),
    Key::plain("ski", "The subject key identifier in hexadecimal, or null."),
    Key::plain("aki", "The authority key identifier in hexadecimal, or null."),
    Key::plain("key", "The kind of its key, such as `RSA-2048`."),
    Key::plain("signature", "The signature's algorithm."),
    Key::plain("usages", "What its key may be used for."),
    Key::plain("sha256", "Of the certificate, in hexadecimal."),
    Key::plain("spki_sha256", "Of its public key, in hexadecimal."),
    Key::plain("self_signed", "Whether its own key signed it."),
];

/// The same, where the reference has them already.
pub const CERTIFICATE_FILE: Keys = Keys::of("`x509.read`", OF_FILE);

/// The same of one that is in no file.
pub const CERTIFICATE: Keys = Keys::of("`x509.read` without `path`", without_path());

const fn without_path() -> &'static [Key] {
    match OF_FILE {
        [_, rest @ ..] => rest,
        [] => &[],
    }
}
