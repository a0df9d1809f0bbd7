//! DER as raw tag-length-value pieces: reading them without changing a byte, and writing new ones.
//! Reissuing a certificate keeps the pieces it does not change exactly as they were encoded (X.690).

use crate::error::{PkiError, Place};
use der::{AnyRef, Decode, Reader, SliceReader, asn1::ObjectIdentifier};

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const IA5_STRING: u8 = 0x16;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The context-specific tag `[number]`, primitive.
pub(crate) const fn context(number: u8) -> u8 {
    0x80 | number
}

/// The context-specific tag `[number]`, constructed.
pub(crate) const fn context_constructed(number: u8) -> u8 {
    0xa0 | number
}

/// The content of one TLV that fills `bytes` wholly.
pub(crate) fn content(bytes: &[u8]) -> der::Result<&[u8]> {
    Ok(AnyRef::from_der(bytes)?.value())
}

/// The TLVs inside one constructed TLV, each with its header.
pub(crate) fn children(bytes: &[u8]) -> der::Result<Vec<&[u8]>> {
    let mut reader = SliceReader::new(content(bytes)?)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(reader.tlv_bytes()?);
    }
    Ok(found)
}

/// The tag byte of a TLV; 0 for nothing.
pub(crate) fn tag(bytes: &[u8]) -> u8 {
    bytes.first().copied().unwrap_or_default()
}

/// The object identifier in an OID TLV.
pub(crate) fn read_oid(bytes: &[u8]) -> der::Result<ObjectIdentifier> {
    ObjectIdentifier::from_der(bytes)
}

/// Checks that `bytes` are exactly one SEQUENCE, neither cut off nor with data behind it.
pub(crate) fn check_extent(bytes: &[u8], place: Place) -> Result<(), PkiError> {
    if tag(bytes) != SEQUENCE {
        return Err(place.damaged("it is not a DER sequence"));
    }
    let have = bytes.len() as u64;
    let total = match bytes.get(1).copied() {
        None => 2,
        Some(short @ 0..=0x7f) => 2 + u64::from(short),
        Some(long @ 0x81..=0x84) => {
            let count = usize::from(long & 0x7f);
            match bytes.get(2..2 + count) {
                None => have + 1,
                Some(octets) => {
                    octets.iter().fold(0u64, |sum, octet| (sum << 8) | u64::from(*octet)) + 2 + count as u64
                }
            }
        }
        Some(_) => return Err(place.damaged("its DER length is not valid")),
    };
    match have.cmp(&total) {
        std::cmp::Ordering::Less => Err(PkiError::Truncated { what: place, missing: total - have }),
        std::cmp::Ordering::Greater => Err(PkiError::TrailingData { what: place, extra: have - total }),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// One TLV around the parts. The buffer is allocated once, so that a key in it leaves no copies behind.
pub(crate) fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let octets: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
    let mut out = Vec::with_capacity(length + octets.len() + 2);
    out.push(tag);
    if length < 0x80 {
        out.push(length as u8);
    } else {
        out.push(0x80 | octets.len() as u8);
        out.extend_from_slice(&octets);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    wrap(SEQUENCE, parts)
}

pub(crate) fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    wrap(OID, &[oid.as_bytes()])
}

/// A non-negative INTEGER from big-endian bytes.
pub(crate) fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = bytes.iter().copied().skip_while(|octet| *octet == 0).collect();
    match digits.first() {
        Some(first) if *first < 0x80 => wrap(INTEGER, &[&digits]),
        _ => wrap(INTEGER, &[&[0], &digits]),
    }
}

/// A BIT STRING of whole octets.
pub(crate) fn bit_string(octets: &[u8]) -> Vec<u8> {
    wrap(BIT_STRING, &[&[0], octets])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_tlvs_read_back() {
        for size in [0, 1, 127, 128, 255, 256, 65_536] {
            let body = vec![7u8; size];
            assert_eq!(content(&wrap(OCTET_STRING, &[&body])).unwrap(), body);
        }
        assert_eq!(unsigned(&[0, 0]), [INTEGER, 1, 0]);
        assert_eq!(unsigned(&[0, 0x80]), [INTEGER, 2, 0, 0x80]);
        assert_eq!(unsigned(&[0x7f]), [INTEGER, 1, 0x7f]);
    }

    #[test]
    fn extent_counts_bytes() {
        let place = Place::certificate(None);
        let whole = sequence(&[&[0u8; 300]]);
        assert_eq!(check_extent(&whole, place), Ok(()));
        assert_eq!(
            check_extent(&whole[..200], place),
            Err(PkiError::Truncated { what: place, missing: whole.len() as u64 - 200 })
        );
        assert_eq!(check_extent(&whole[..3], place), Err(PkiError::Truncated { what: place, missing: 1 }));
        let longer = [whole.as_slice(), b"\n"].concat();
        assert_eq!(check_extent(&longer, place), Err(PkiError::TrailingData { what: place, extra: 1 }));
        assert!(check_extent(&[SEQUENCE, 0x80, 0, 0], place).is_err());
    }
}
