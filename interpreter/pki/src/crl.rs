//! Reading certificate revocation lists (RFC 5280 section 5).

use crate::{
    error::{PkiError, Place},
    name::Name,
    pem, tlv,
};
use x509_parser::{
    prelude::{CertificateRevocationList, FromDer},
    revocation_list::RevokedCertificate,
};

const LABELS: [&str; 2] = ["X509 CRL", "CRL"];

/// What a revocation list says. Its signature is not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// The issuer as RFC 4514 text.
    pub issuer: String,
    /// When it was issued, seconds since 1970 UTC.
    pub this_update: i64,
    /// When the next one is due, seconds since 1970 UTC.
    pub next_update: Option<i64>,
    /// Its number in decimal, when it has one.
    pub number: Option<String>,
    /// What it revokes, in its order.
    pub revoked: Vec<Revoked>,
}

/// One revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// The certificate's serial number in decimal.
    pub serial: String,
    /// When it was revoked, seconds since 1970 UTC.
    pub date: i64,
    /// Why, in RFC 5280's words, such as `keyCompromise`, where it says so.
    pub reason: Option<&'static str>,
}

/// RFC 5280 section 5.3.1, by number; 7 is not used.
const REASONS: [&str; 11] = [
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "",
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
];

impl RevocationList {
    /// The only list of a file, PEM with any text around it, or DER. Errors: none, several, damage.
    pub fn one(file: &[u8]) -> Result<Self, PkiError> {
        if pem::is_der(file) {
            return Self::from_der(file, Place { what: "revocation list", line: None });
        }
        let blocks = pem::blocks(pem::text(file)?)?;
        let lists: Vec<_> = blocks.iter().filter(|block| LABELS.contains(&block.label)).collect();
        match lists.as_slice() {
            [one] => Self::from_der(&one.decode()?, Place { what: "revocation list", line: Some(one.line) }),
            [] => Err(PkiError::Refused(String::from("the file holds no revocation list"))),
            several => Err(PkiError::Several { what: "revocation lists", count: several.len() }),
        }
    }

    fn from_der(der: &[u8], place: Place) -> Result<Self, PkiError> {
        tlv::check_extent(der, place)?;
        let (_, parsed) = CertificateRevocationList::from_der(der)
            .map_err(|_| place.damaged("it cannot be taken apart"))?;
        let issuer =
            Name::read(parsed.issuer().as_raw()).map_err(|_| place.damaged("its issuer cannot be read"))?;
        Ok(Self {
            issuer: issuer.text,
            this_update: parsed.last_update().timestamp(),
            next_update: parsed.next_update().map(|date| date.timestamp()),
            number: parsed.crl_number().map(|number| number.to_str_radix(10)),
            revoked: parsed.iter_revoked_certificates().map(revoked).collect(),
        })
    }
}

fn revoked(entry: &RevokedCertificate<'_>) -> Revoked {
    let reason = entry.reason_code().and_then(|(_, code)| REASONS.get(usize::from(code.0)).copied());
    Revoked {
        serial: entry.serial().to_str_radix(10),
        date: entry.revocation_date.timestamp(),
        reason: reason.filter(|word| !word.is_empty()),
    }
}
