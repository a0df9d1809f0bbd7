//! Why a certificate does not verify, in words for operators.

use super::Usage;
use crate::{Certificate, dates::rfc3339};
use std::fmt;

/// Why a certificate does not verify. Names are RFC 4514 text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyFailure {
    /// The certificate, or a CA above it, has expired.
    Expired {
        /// Whose certificate.
        subject: String,
        /// Its last second, seconds since 1970 UTC.
        not_after: i64,
    },
    /// The certificate, or a CA above it, is not yet valid.
    NotYetValid {
        /// Whose certificate.
        subject: String,
        /// Its first second, seconds since 1970 UTC.
        not_before: i64,
    },
    /// A CA of the issuer's name is there, but another key made the signature.
    WrongSignature {
        /// Whose certificate.
        subject: String,
        /// The issuer it names.
        issuer: String,
    },
    /// No CA of the issuer's name is there.
    UnknownIssuer {
        /// Whose certificate.
        subject: String,
        /// The issuer it names.
        issuer: String,
        /// True when it names itself.
        self_signed: bool,
    },
    /// A CA of the issuer's name is there, but its key identifier or serial number is not the one that is named.
    OtherKeyId {
        /// The CA.
        issuer: String,
    },
    /// The issuer is not a CA or may not sign certificates.
    NotACa {
        /// The issuer.
        issuer: String,
    },
    /// More intermediate CAs than a CA allows.
    PathLength {
        /// The CA.
        issuer: String,
        /// How many it allows.
        most: u32,
    },
    /// The certificate, or a CA above it, may not be used for this.
    WrongUsage {
        /// Whose certificate.
        subject: String,
        /// For what.
        usage: Usage,
        /// What it may be used for.
        has: Vec<String>,
    },
    /// The names of the leaf are outside of a CA's name constraints.
    NameConstraints {
        /// webpki's reason.
        why: String,
    },
    /// Something that cannot be judged, such as a critical extension that is not known.
    Unsupported(String),
    /// The path is too long, or there are too many CAs of one name.
    TooLong,
}

impl VerifyFailure {
    pub(super) fn unknown_issuer(subject: &Certificate) -> Self {
        Self::UnknownIssuer {
            subject: subject.subject().to_owned(),
            issuer: subject.issuer().to_owned(),
            self_signed: subject.subject.der == subject.issuer.der,
        }
    }

    pub(super) fn wrong_signature(subject: &Certificate) -> Self {
        Self::WrongSignature { subject: subject.subject().to_owned(), issuer: subject.issuer().to_owned() }
    }

    pub(super) fn wrong_usage(subject: &Certificate, usage: Usage) -> Self {
        Self::WrongUsage { subject: subject.subject().to_owned(), usage, has: subject.usages().words() }
    }

    /// How far validation came before it failed.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::UnknownIssuer { .. } => 0,
            Self::OtherKeyId { .. } => 1,
            Self::WrongSignature { .. } => 2,
            Self::Unsupported(_) | Self::TooLong => 3,
            Self::NotACa { .. } | Self::PathLength { .. } => 4,
            Self::WrongUsage { .. } | Self::NameConstraints { .. } => 5,
            Self::Expired { .. } | Self::NotYetValid { .. } => 6,
        }
    }
}

impl fmt::Display for VerifyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { subject, not_after } => {
                write!(f, "`{subject}` expired at {}", rfc3339(*not_after))
            }
            Self::NotYetValid { subject, not_before } => {
                write!(f, "`{subject}` is not valid before {}", rfc3339(*not_before))
            }
            Self::WrongSignature { subject, issuer } => write!(
                f,
                "`{subject}` was signed by another key: the trusted `{issuer}` only has the same name as its issuer"
            ),
            Self::UnknownIssuer { subject, self_signed: true, .. } => {
                write!(f, "`{subject}` is self-signed and not among the trusted certificates")
            }
            Self::UnknownIssuer { subject, issuer, .. } => {
                write!(f, "the issuer of `{subject}`, `{issuer}`, is not among the trusted certificates")
            }
            Self::OtherKeyId { issuer } => write!(
                f,
                "the trusted `{issuer}` has the issuer's name, but not the key identifier or serial number that \
                 the certificate names"
            ),
            Self::NotACa { issuer } => {
                write!(f, "the issuer `{issuer}` is not a CA that may sign certificates")
            }
            Self::PathLength { issuer, most } => {
                write!(f, "the CA `{issuer}` allows only {most} intermediate CAs below it")
            }
            Self::WrongUsage { subject, usage, has } => {
                let usage = match usage {
                    Usage::Server => "as a server's certificate",
                    Usage::Client => "as a client's certificate",
                    Usage::Any => "for this",
                };
                write!(f, "`{subject}` may not be used {usage}, only for: {}", has.join(", "))
            }
            Self::NameConstraints { why } => {
                write!(f, "a CA's name constraints do not allow the names: {why}")
            }
            Self::Unsupported(what) => f.write_str(what),
            Self::TooLong => {
                f.write_str("the certificates make too long a path, or too many have the same name")
            }
        }
    }
}

impl std::error::Error for VerifyFailure {}
