//! What can be wrong with a certificate or key file, said so that an operator can act.

use std::fmt;

/// Why a certificate or key cannot be read, made or used. No variant ever holds key material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PkiError {
    /// The file has no byte, or only white space.
    Empty,
    /// The file is DER, but the caller asked for PEM.
    DerGiven,
    /// The file is neither DER nor UTF-8 text.
    NotUtf8 {
        /// Offset of the first bad byte, from 0.
        at: usize,
    },
    /// There is no certificate in the file.
    NoCertificate {
        /// Labels of the PEM blocks that are in it.
        found: Vec<String>,
    },
    /// A private key stands where a certificate is expected.
    PrivateKeyGiven,
    /// There is no private key in the file.
    NoPrivateKey {
        /// Labels of the PEM blocks that are in it.
        found: Vec<String>,
    },
    /// More things of one kind than the one that is expected.
    Several {
        /// `certificates` or `private keys`.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// The PEM text itself is broken.
    DamagedPem {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// The DER structure ends early.
    Truncated {
        /// Which object.
        what: Place,
        /// How many bytes are missing.
        missing: u64,
    },
    /// Bytes follow the end of the DER structure.
    TrailingData {
        /// Which object.
        what: Place,
        /// How many bytes are too many.
        extra: u64,
    },
    /// The DER structure cannot be understood.
    Damaged {
        /// Which object.
        what: Place,
        /// What is wrong.
        why: String,
    },
    /// The private key is encrypted and no passphrase was given, or it is encrypted in a way that cannot be read.
    Encrypted {
        /// What the operator can do.
        hint: &'static str,
    },
    /// The passphrase does not open the private key.
    WrongPassphrase,
    /// A kind of key, curve or algorithm that is not supported.
    Unsupported(String),
    /// What was asked for would be wrong to make, such as a reissue with a key that is not the certificate's.
    Refused(String),
}

/// Which object of a file an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// `certificate` or `private key`.
    pub what: &'static str,
    /// The first line of its PEM block, from 1; `None` for DER.
    pub line: Option<usize>,
}

impl Place {
    pub(crate) const fn certificate(line: Option<usize>) -> Self {
        Self { what: "certificate", line }
    }

    pub(crate) const fn key(line: Option<usize>) -> Self {
        Self { what: "private key", line }
    }

    pub(crate) fn damaged(self, why: impl fmt::Display) -> PkiError {
        PkiError::Damaged { what: self, why: why.to_string() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "the {} in the PEM block at line {line}", self.what),
            None => write!(f, "the {}", self.what),
        }
    }
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty"),
            Self::DerGiven => f.write_str(
                "the file is DER (binary) where PEM (text) is required; `openssl x509 -inform der` converts it",
            ),
            Self::NotUtf8 { at } => {
                write!(f, "the file is neither DER nor text: the byte at offset {at} is not UTF-8")
            }
            Self::NoCertificate { found } => write!(f, "the file holds no certificate{}", but(found)),
            Self::PrivateKeyGiven => f.write_str("the file holds a private key where a certificate is expected"),
            Self::NoPrivateKey { found } => write!(f, "the file holds no private key{}", but(found)),
            Self::Several { what, count } => {
                write!(f, "the file holds {count} {what} where exactly one is expected")
            }
            Self::DamagedPem { line, why } => write!(f, "the PEM text is damaged at line {line}: {why}"),
            Self::Truncated { what, missing } => {
                write!(f, "{what} is cut off: {} missing at its end", bytes(*missing, "is", "are"))
            }
            Self::TrailingData { what, extra } => {
                write!(f, "{} the end of {what}", bytes(*extra, "follows", "follow"))
            }
            Self::Damaged { what, why } => write!(f, "{what} is damaged: {why}"),
            Self::Encrypted { hint } => write!(f, "the private key is encrypted; {hint}"),
            Self::WrongPassphrase => f.write_str("the passphrase does not open the private key"),
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for PkiError {}

fn but(found: &[String]) -> String {
    match found {
        [] => String::from(" (no PEM block and no DER)"),
        labels => format!(", only {}", labels.join(", ")),
    }
}

fn bytes(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 byte {one}") } else { format!("{count} bytes {many}") }
}
