//! PEM text (RFC 7468) found anywhere in a file: what stands before, between and after the blocks is ignored,
//! as `openssl x509 -text` and kubelet write it. Decoded content is wiped when dropped, since it may be a key.

use crate::error::PkiError;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// One block, not yet decoded.
pub(crate) struct Block<'a> {
    pub label: &'a str,
    /// The BEGIN line, from 1.
    pub line: usize,
    body: Vec<&'a str>,
    /// Header lines such as `Proc-Type: 4,ENCRYPTED` (RFC 1421).
    pub headers: Vec<&'a str>,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// All blocks of a text, in order.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block<'_>>, PkiError> {
    let mut found = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (index, raw) in text.lines().enumerate() {
        let number = index + 1;
        let line = raw.trim_start_matches('\u{feff}').trim();
        if let Some(rest) = line.strip_prefix(BEGIN) {
            if let Some(block) = open {
                return Err(unfinished(&block));
            }
            let label = label(rest, number, "BEGIN")?;
            open = Some(Block { label, line: number, body: Vec::new(), headers: Vec::new() });
        } else if let Some(rest) = line.strip_prefix(END) {
            let label = label(rest, number, "END")?;
            match open.take() {
                Some(block) if block.label == label => found.push(block),
                Some(block) => {
                    let why = format!("the block begins as {} but ends as {label}", block.label);
                    return Err(PkiError::DamagedPem { line: number, why });
                }
                None => {
                    let why = format!("{label} ends here without a BEGIN line");
                    return Err(PkiError::DamagedPem { line: number, why });
                }
            }
        } else if let Some(block) = &mut open {
            if block.body.is_empty() && line.contains(':') {
                block.headers.push(line);
            } else {
                block.body.push(line);
            }
        }
    }
    match open {
        Some(block) => Err(unfinished(&block)),
        None => Ok(found),
    }
}

fn unfinished(block: &Block<'_>) -> PkiError {
    PkiError::DamagedPem {
        line: block.line,
        why: format!("the {} that begins here has no END line; the file is cut off or mixed up", block.label),
    }
}

fn label<'a>(rest: &'a str, line: usize, which: &str) -> Result<&'a str, PkiError> {
    rest.strip_suffix(DASHES).map(str::trim).filter(|label| !label.is_empty()).ok_or_else(|| {
        PkiError::DamagedPem { line, why: format!("the {which} line does not end with five dashes") }
    })
}

impl Block<'_> {
    /// The bytes inside.
    pub(crate) fn decode(&self) -> Result<Zeroizing<Vec<u8>>, PkiError> {
        let size = self.body.iter().map(|line| line.len()).sum();
        let mut joined = Zeroizing::new(Vec::with_capacity(size));
        for (offset, line) in self.body.iter().enumerate() {
            let number = self.line + self.headers.len() + offset + 1;
            if line.bytes().any(|byte| !is_base64(byte)) {
                let why = String::from("this line is not base64");
                return Err(PkiError::DamagedPem { line: number, why });
            }
            joined.extend(line.bytes().filter(|byte| !byte.is_ascii_whitespace()));
        }
        let mut out = Zeroizing::new(vec![0; base64::decoded_len_estimate(joined.len())]);
        let length =
            STANDARD.decode_slice(joined.as_slice(), &mut out).map_err(|_| PkiError::DamagedPem {
                line: self.line,
                why: format!("the base64 of the {} that begins here is incomplete or damaged", self.label),
            })?;
        out.truncate(length);
        if out.is_empty() {
            let why = format!("the {} that begins here is empty", self.label);
            return Err(PkiError::DamagedPem { line: self.line, why });
        }
        Ok(out)
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=') || byte.is_ascii_whitespace()
}

/// The PEM text of some DER, lines of 64, with a final newline. Wiped on drop; allocated once.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<Vec<u8>> {
    let size = base64::encoded_len(der.len(), true).unwrap_or_default();
    let mut base64 = Zeroizing::new(vec![0; size]);
    // The buffer has exactly the size that the encoder computes, so it cannot fail.
    let length = STANDARD.encode_slice(der, &mut base64).unwrap_or_default();
    let mut out = Zeroizing::new(Vec::with_capacity(length + length / 64 + 2 * label.len() + 40));
    out.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in base64.chunks(64) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    out
}

/// True when a file begins like a DER certificate or key: a SEQUENCE of more than 127 bytes. Text whose first
/// character happens to be `0` (0x30) goes on with a byte below 0x80.
pub(crate) fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, second, ..] if *second >= 0x80)
}

/// The file as text. Errors: [`PkiError::Empty`], [`PkiError::NotUtf8`].
pub(crate) fn text(bytes: &[u8]) -> Result<&str, PkiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| PkiError::NotUtf8 { at: error.valid_up_to() })?;
    if text.trim_start_matches('\u{feff}').trim().is_empty() { Err(PkiError::Empty) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_around_blocks_is_ignored() {
        let one = String::from_utf8(encode("CERTIFICATE", &[1; 100]).to_vec()).unwrap();
        let text =
            format!("\u{feff}Certificate:\n  Data\r\n{one}between\n  {}after", one.replace('\n', "\r\n  "));
        let found = blocks(&text).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].decode().unwrap().as_slice(), [1; 100]);
    }

    #[test]
    fn damage_is_located() {
        let message = |text: &str| match blocks(text).and_then(|all| all[0].decode().map(|_| ())) {
            Err(error) => error.to_string(),
            Ok(()) => String::new(),
        };
        assert_eq!(
            message("x\n-----BEGIN CERTIFICATE-----\nAAAA\nA*AA\n-----END CERTIFICATE-----\n"),
            "the PEM text is damaged at line 4: this line is not base64"
        );
        assert_eq!(
            message("-----BEGIN CERTIFICATE-----\nAAAA\nA\n-----END CERTIFICATE-----\n"),
            "the PEM text is damaged at line 1: the base64 of the CERTIFICATE that begins here is incomplete or damaged"
        );
        assert_eq!(
            message("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
            "the PEM text is damaged at line 1: the CERTIFICATE that begins here is empty"
        );
        assert_eq!(
            message("-----BEGIN CERTIFICATE-----\nAAAA\n"),
            "the PEM text is damaged at line 1: the CERTIFICATE that begins here has no END line; \
             the file is cut off or mixed up"
        );
        assert_eq!(
            message("-----BEGIN A-----\nAAAA\n-----END B-----\n"),
            "the PEM text is damaged at line 3: the block begins as A but ends as B"
        );
        assert_eq!(
            message("AAAA\n-----END CERTIFICATE-----\n"),
            "the PEM text is damaged at line 2: CERTIFICATE ends here without a BEGIN line"
        );
        assert_eq!(
            message("-----BEGIN CERTIFICATE---\n"),
            "the PEM text is damaged at line 1: the BEGIN line does not end with five dashes"
        );
    }
}
