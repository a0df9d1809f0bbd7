//! What a certificate may be used for: key usage and extended key usage, in the words of cfssl's configuration.

use crate::{error::PkiError, tlv};
use der::asn1::ObjectIdentifier;

/// Key usages (RFC 5280 section 4.2.1.3) and extended key usages (4.2.1.12) together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usages {
    /// Bit 0 is digitalSignature, bit 8 decipherOnly; `None` when the extension is absent.
    pub(crate) key: Option<u16>,
    /// `None` when the extension is absent.
    pub(crate) extended: Option<Vec<ObjectIdentifier>>,
}

pub(crate) const DIGITAL_SIGNATURE: u16 = 1;
pub(crate) const KEY_ENCIPHERMENT: u16 = 1 << 2;
pub(crate) const KEY_AGREEMENT: u16 = 1 << 4;
pub(crate) const CERT_SIGN: u16 = 1 << 5;
pub(crate) const CRL_SIGN: u16 = 1 << 6;

pub(crate) const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
pub(crate) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
pub(crate) const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// Words of cfssl's config.Usages; the first of each bit is the one that is written.
const KEY_WORDS: [(&str, u16); 10] = [
    ("digital signature", DIGITAL_SIGNATURE),
    ("signing", DIGITAL_SIGNATURE),
    ("content commitment", 1 << 1),
    ("key encipherment", KEY_ENCIPHERMENT),
    ("data encipherment", 1 << 3),
    ("key agreement", KEY_AGREEMENT),
    ("cert sign", CERT_SIGN),
    ("crl sign", CRL_SIGN),
    ("encipher only", 1 << 7),
    ("decipher only", 1 << 8),
];

const EXTENDED_WORDS: [(&str, ObjectIdentifier); 13] = [
    ("any", ANY),
    ("server auth", SERVER_AUTH),
    ("client auth", CLIENT_AUTH),
    ("code signing", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3")),
    ("email protection", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4")),
    ("s/mime", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4")),
    ("ipsec end system", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.5")),
    ("ipsec tunnel", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.6")),
    ("ipsec user", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.7")),
    ("timestamping", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8")),
    ("ocsp signing", ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9")),
    ("microsoft sgc", ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.3.3")),
    ("netscape sgc", ObjectIdentifier::new_unwrap("2.16.840.1.113730.4.1")),
];

impl Usages {
    /// Reads words such as `signing`, `key encipherment`, `server auth`, or dotted OIDs for extended usages.
    /// Errors name the word that is not known.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, PkiError> {
        let mut usages = Self::default();
        for word in words {
            if let Some((_, bit)) = KEY_WORDS.iter().find(|(known, _)| *known == word) {
                *usages.key.get_or_insert(0) |= bit;
                continue;
            }
            let known = EXTENDED_WORDS.iter().find(|(known, _)| *known == word).map(|(_, oid)| *oid);
            let oid = known
                .or_else(|| ObjectIdentifier::new(word).ok())
                .ok_or_else(|| PkiError::Refused(format!("`{word}` is not a usage of a certificate")))?;
            let list = usages.extended.get_or_insert_default();
            if !list.contains(&oid) {
                list.push(oid);
            }
        }
        Ok(usages)
    }

    /// The usages as words, key usages first; extended usages without a word are dotted OIDs.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut seen = 0;
        for (word, bit) in KEY_WORDS {
            if self.key.unwrap_or_default() & bit & !seen != 0 {
                words.push(word.to_owned());
                seen |= bit;
            }
        }
        for oid in self.extended.iter().flatten() {
            let word = EXTENDED_WORDS.iter().find(|(_, known)| known == oid).map(|(word, _)| *word);
            words.push(word.map_or_else(|| oid.to_string(), str::to_owned));
        }
        words
    }

    /// The DER of the KeyUsage BIT STRING, without trailing zero bits as DER demands.
    pub(crate) fn key_der(bits: u16) -> Vec<u8> {
        // ASN.1 counts bits from the most significant of the first octet.
        let [first, second] = bits.reverse_bits().to_be_bytes();
        let octets: &[u8] = if second == 0 { &[first] } else { &[first, second] };
        let unused = octets.last().map_or(0, |last| last.trailing_zeros()).min(7) as u8;
        tlv::wrap(tlv::BIT_STRING, &[&[unused], octets])
    }

    pub(crate) fn extended_der(oids: &[ObjectIdentifier]) -> Vec<u8> {
        let list: Vec<u8> = oids.iter().flat_map(|oid| tlv::oid(*oid)).collect();
        tlv::sequence(&[&list])
    }

    pub(crate) fn read_extended(der: &[u8]) -> der::Result<Vec<ObjectIdentifier>> {
        tlv::children(der)?.into_iter().map(tlv::read_oid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways() {
        let usages =
            Usages::from_words(["signing", "key encipherment", "server auth", "client auth", "1.2.3"])
                .unwrap();
        assert_eq!(
            usages.words(),
            ["digital signature", "key encipherment", "server auth", "client auth", "1.2.3"]
        );
        assert_eq!(
            Usages::from_words(["serverauth"]).unwrap_err().to_string(),
            "`serverauth` is not a usage of a certificate"
        );
    }

    #[test]
    fn bits_are_in_asn1_order() {
        assert_eq!(Usages::key_der(DIGITAL_SIGNATURE | KEY_ENCIPHERMENT), [3, 2, 5, 0xa0]);
        assert_eq!(Usages::key_der(CERT_SIGN | CRL_SIGN), [3, 2, 1, 0x06]);
        assert_eq!(Usages::key_der(1 << 8), [3, 3, 7, 0, 0x80]);
    }
}
