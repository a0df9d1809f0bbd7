//! Distinguished names: RFC 4514 text from their DER, and DER from a list of attributes. A name keeps its own
//! DER, because two names that read alike may be encoded differently and then do not chain.

use crate::{error::PkiError, hex, tlv};
use der::asn1::ObjectIdentifier;

/// A distinguished name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub der: Vec<u8>,
    pub text: String,
}

/// Short names as RFC 4514 section 3 and OpenSSL have them. The first of each OID is the one that is written.
const ATTRIBUTES: [(&str, ObjectIdentifier); 16] = [
    ("CN", ObjectIdentifier::new_unwrap("2.5.4.3")),
    ("SN", ObjectIdentifier::new_unwrap("2.5.4.4")),
    ("serialNumber", ObjectIdentifier::new_unwrap("2.5.4.5")),
    ("C", ObjectIdentifier::new_unwrap("2.5.4.6")),
    ("L", ObjectIdentifier::new_unwrap("2.5.4.7")),
    ("ST", ObjectIdentifier::new_unwrap("2.5.4.8")),
    ("STREET", ObjectIdentifier::new_unwrap("2.5.4.9")),
    ("O", ObjectIdentifier::new_unwrap("2.5.4.10")),
    ("OU", ObjectIdentifier::new_unwrap("2.5.4.11")),
    ("title", ObjectIdentifier::new_unwrap("2.5.4.12")),
    ("postalCode", ObjectIdentifier::new_unwrap("2.5.4.17")),
    ("GN", ObjectIdentifier::new_unwrap("2.5.4.42")),
    ("DC", ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25")),
    ("UID", ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.1")),
    ("emailAddress", ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1")),
    ("email", ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1")),
];

impl Name {
    /// Reads the DER of a Name (RFC 5280 section 4.1.2.4).
    pub(crate) fn read(der: &[u8]) -> der::Result<Self> {
        let mut parts = Vec::new();
        for rdn in tlv::children(der)? {
            let attributes =
                tlv::children(rdn)?.into_iter().map(attribute_text).collect::<Result<Vec<_>, _>>()?;
            parts.push(attributes.join("+"));
        }
        parts.reverse();
        Ok(Self { der: der.to_vec(), text: parts.join(",") })
    }

    /// The DER of a Name with one attribute in each RDN, in the given order; repeated attributes stay.
    pub(crate) fn from_attributes(attributes: &[(String, String)]) -> Result<Vec<u8>, PkiError> {
        let mut rdns = Vec::new();
        for (key, value) in attributes {
            let oid = attribute_oid(key)?;
            let (tag, fits) = string_type(oid, value);
            if value.is_empty() || !fits {
                let why = if value.is_empty() { "is empty" } else { "has characters that it may not have" };
                return Err(PkiError::Refused(format!("the attribute {key} of the subject {why}")));
            }
            let pair = tlv::sequence(&[&tlv::oid(oid), &tlv::wrap(tag, &[value.as_bytes()])]);
            rdns.extend(tlv::wrap(tlv::SET, &[&pair]));
        }
        Ok(tlv::sequence(&[&rdns]))
    }

    /// The first common name, when it is text.
    pub(crate) fn common_name(&self) -> Option<String> {
        let rdns = tlv::children(&self.der).ok()?;
        rdns.into_iter().filter_map(|rdn| tlv::children(rdn).ok()).flatten().find_map(|attribute| {
            match tlv::children(attribute).ok()?.as_slice() {
                [key, value] if attribute_key(key).as_deref() == Some("CN") => string_value(value),
                _ => None,
            }
        })
    }
}

fn attribute_key(oid: &[u8]) -> Option<String> {
    let oid = tlv::read_oid(oid).ok()?;
    let known = ATTRIBUTES.iter().find(|(_, known)| *known == oid);
    Some(known.map_or_else(|| oid.to_string(), |(key, _)| (*key).to_owned()))
}

fn attribute_oid(key: &str) -> Result<ObjectIdentifier, PkiError> {
    ATTRIBUTES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(key))
        .map(|(_, oid)| *oid)
        .or_else(|| ObjectIdentifier::new(key).ok())
        .ok_or_else(|| PkiError::Refused(format!("`{key}` is not an attribute of a subject")))
}

/// PrintableString where the value allows it, as Go and cfssl write names; UTF8String else; IA5String and
/// PrintableString where RFC 5280 appendix A demands them.
fn string_type(oid: ObjectIdentifier, value: &str) -> (u8, bool) {
    let printable = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte));
    match oid.to_string().as_str() {
        "2.5.4.6" => (tlv::PRINTABLE_STRING, printable && value.len() == 2),
        "2.5.4.5" => (tlv::PRINTABLE_STRING, printable),
        "0.9.2342.19200300.100.1.25" | "1.2.840.113549.1.9.1" => (tlv::IA5_STRING, value.is_ascii()),
        _ if printable => (tlv::PRINTABLE_STRING, true),
        _ => (tlv::UTF8_STRING, true),
    }
}

fn attribute_text(attribute: &[u8]) -> der::Result<String> {
    let [key, value] = tlv::children(attribute)?[..] else {
        return Err(der::ErrorKind::Failed.into());
    };
    let oid = tlv::read_oid(key)?;
    let name = ATTRIBUTES.iter().find(|(_, known)| *known == oid).map(|(name, _)| *name);
    Ok(match (name, string_value(value)) {
        (Some(name), Some(text)) => format!("{name}={}", escape(&text)),
        _ => format!("{oid}=#{}", hex(value)),
    })
}

/// The text of an ASN.1 string; `None` for other types and for bytes that do not fit the type.
fn string_value(tlv: &[u8]) -> Option<String> {
    const NUMERIC_STRING: u8 = 0x12;
    const TELETEX_STRING: u8 = 0x14;
    const BMP_STRING: u8 = 0x1e;
    let content = tlv::content(tlv).ok()?;
    match tlv::tag(tlv) {
        tlv::UTF8_STRING | tlv::PRINTABLE_STRING | tlv::IA5_STRING | NUMERIC_STRING => {
            String::from_utf8(content.to_vec()).ok()
        }
        // Read as Latin-1, as OpenSSL does: nobody writes real T.61.
        TELETEX_STRING => Some(content.iter().map(|byte| char::from(*byte)).collect()),
        BMP_STRING => {
            let units: Vec<u16> = content
                .chunks(2)
                .map(|pair| match pair {
                    [high, low] => Some(u16::from_be_bytes([*high, *low])),
                    _ => None,
                })
                .collect::<Option<_>>()?;
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// RFC 4514 section 2.4.
fn escape(text: &str) -> String {
    let last = text.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (index, char) in text.chars().enumerate() {
        match char {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', char]),
            '#' if index == 0 => out.push_str("\\#"),
            ' ' if index == 0 || index == last => out.push_str("\\ "),
            control if control.is_ascii_control() => out.push_str(&format!("\\{:02X}", control as u32)),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn repeated_attributes_and_escapes_are_kept() {
        let der = Name::from_attributes(&pairs(&[
            ("C", "CN"),
            ("dc", "example"),
            ("OU", "one"),
            ("OU", "two, or \"three\""),
            ("CN", " #运维+x "),
            ("1.2.3.4", "odd"),
        ]))
        .unwrap();
        let name = Name::read(&der).unwrap();
        assert_eq!(
            name.text,
            "1.2.3.4=#13036f6464,CN=\\ #运维\\+x\\ ,OU=two\\, or \\\"three\\\",OU=one,DC=example,C=CN"
        );
        assert_eq!(name.common_name().as_deref(), Some(" #运维+x "));
    }

    #[test]
    fn wrong_attributes_are_refused() {
        let message = |key, value| Name::from_attributes(&pairs(&[(key, value)])).unwrap_err().to_string();
        assert_eq!(message("CNN", "x"), "`CNN` is not an attribute of a subject");
        assert_eq!(
            message("C", "China"),
            "the attribute C of the subject has characters that it may not have"
        );
        assert_eq!(message("CN", ""), "the attribute CN of the subject is empty");
    }
}
