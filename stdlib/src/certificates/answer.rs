//! What find.sh prints.

use std::collections::BTreeMap;

/// The answer of a host, read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// Files with PEM certificates, and each block of them.
    pub pem: Vec<(String, Vec<String>)>,
    /// Files that may be kubeconfigs with certificates in them.
    pub configs: Vec<String>,
    /// Files that may be DER.
    pub der: Vec<String>,
    /// The symbolic links that lead to a file.
    pub links: BTreeMap<String, Vec<String>>,
    /// Paths that are not there.
    pub missing: Vec<String>,
    /// What went wrong.
    pub errors: Vec<String>,
    /// Listening addresses and ports.
    pub listening: Vec<(String, u16)>,
}

impl Answer {
    pub fn read(text: &str) -> Self {
        let mut answer = Self::default();
        let mut link = None;
        for line in text.lines() {
            let Some((letter, rest)) = line.split_once(' ') else { continue };
            let rest = rest.to_owned();
            match letter {
                "P" => answer.listening.extend(listening(&rest)),
                "M" => answer.missing.push(rest),
                "E" => answer.errors.push(rest),
                "L" => link = Some(rest),
                "T" => answer.links.entry(rest).or_default().extend(link.take()),
                "F" => answer.pem.push((rest, Vec::new())),
                "C" => answer.block(&rest),
                "K" => answer.configs.push(rest),
                "D" => answer.der.push(rest),
                _ => answer.errors.push(line.to_owned()),
            }
        }
        answer.listening.sort();
        answer.listening.dedup();
        answer
    }

    /// One line of a PEM block of the last file.
    fn block(&mut self, line: &str) {
        let Some((_, blocks)) = self.pem.last_mut() else { return };
        if line.contains("-----BEGIN ") {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
}

/// Address and port of a line of /proc/net/tcp or tcp6 (proc_pid_net(5)): hexadecimal, the address in words of the host's byte order,
/// which is little-endian on every machine that Kubernetes runs on but s390x.
fn listening(text: &str) -> Option<(String, u16)> {
    let (address, port) = text.trim().split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if ![8, 32].contains(&address.len()) {
        return None;
    }
    let mut bytes = Vec::new();
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_le_bytes());
    }
    let address = match (<[u8; 4]>::try_from(bytes.as_slice()), <[u8; 16]>::try_from(bytes.as_slice())) {
        (Ok(four), _) => std::net::Ipv4Addr::from(four).to_string(),
        (_, Ok(sixteen)) => match std::net::Ipv6Addr::from(sixteen) {
            any if any.is_unspecified() => any.to_string(),
            address => address.to_canonical().to_string(),
        },
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole() {
        let text = "P 0100007F:192B\nP 00000000000000000000000000000000:0947\nM /none\nE sh: odd\nL /pki/current.pem\nT /pki/now.pem\n\
F /pki/now.pem\nC -----BEGIN CERTIFICATE-----\nC AAAA\nC -----END CERTIFICATE-----\nC -----BEGIN CERTIFICATE-----\nC BBBB\n\
K /admin.conf\nD /a.der\nsomething else\n";
        let answer = Answer::read(text);
        assert_eq!(answer.listening, [("127.0.0.1".to_owned(), 6443), ("::".to_owned(), 2375)]);
        assert_eq!(answer.missing, ["/none"]);
        assert_eq!(answer.errors, ["sh: odd", "something else"]);
        assert_eq!(answer.links["/pki/now.pem"], ["/pki/current.pem"]);
        let (file, blocks) = &answer.pem[0];
        assert_eq!((file.as_str(), blocks.len()), ("/pki/now.pem", 2));
        assert!(blocks[0].ends_with("-----END CERTIFICATE-----\n") && blocks[1].ends_with("BBBB\n"));
        assert_eq!((&answer.configs[0][..], &answer.der[0][..]), ("/admin.conf", "/a.der"));
    }

    #[test]
    fn addresses_of_both_families_are_read() {
        let mapped = "0000000000000000FFFF00000A00000A:192B";
        assert_eq!(listening(mapped), Some(("10.0.0.10".to_owned(), 6443)));
        assert_eq!(listening("00000000000000000000000001000000:192B"), Some(("::1".to_owned(), 6443)));
        for odd in ["what", "0A:192B", "0100007F:1FFFF", ":192B"] {
            assert_eq!(listening(odd), None, "{odd}");
        }
    }
}
