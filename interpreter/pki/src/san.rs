//! Subject alternative names (RFC 5280 section 4.2.1.6).

use crate::{Certificate, error::PkiError, hex, tlv};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// One subject alternative name. As text: `DNS:a.example`, `IP:10.0.0.1`, `email:a@b`, `URI:spiffe://x`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum San {
    /// A host name, possibly with `*` as its first label.
    Dns(String),
    /// An address.
    Ip(IpAddr),
    /// A mail address.
    Email(String),
    /// A URI.
    Uri(String),
    /// Any other kind, or a malformed one: the DER of the GeneralName, so that nothing is lost.
    Other(Vec<u8>),
}

const EMAIL: u8 = tlv::context(1);
const DNS: u8 = tlv::context(2);
const URI: u8 = tlv::context(6);
const IP: u8 = tlv::context(7);

impl San {
    /// Reads the content of the extension: a SEQUENCE of GeneralName.
    pub(crate) fn read_all(der: &[u8]) -> der::Result<Vec<Self>> {
        tlv::children(der)?.into_iter().map(Self::read).collect()
    }

    fn read(der: &[u8]) -> der::Result<Self> {
        let content = tlv::content(der)?;
        let text = || std::str::from_utf8(content).ok().filter(|text| text.is_ascii()).map(str::to_owned);
        let known = match tlv::tag(der) {
            EMAIL => text().map(Self::Email),
            DNS => text().map(Self::Dns),
            URI => text().map(Self::Uri),
            IP => address(content).map(Self::Ip),
            _ => None,
        };
        Ok(known.unwrap_or_else(|| Self::Other(der.to_vec())))
    }

    pub(crate) fn write_all(sans: &[Self]) -> Vec<u8> {
        let names: Vec<u8> = sans.iter().flat_map(Self::write).collect();
        tlv::sequence(&[&names])
    }

    fn write(&self) -> Vec<u8> {
        match self {
            Self::Dns(text) => tlv::wrap(DNS, &[text.as_bytes()]),
            Self::Email(text) => tlv::wrap(EMAIL, &[text.as_bytes()]),
            Self::Uri(text) => tlv::wrap(URI, &[text.as_bytes()]),
            Self::Ip(IpAddr::V4(address)) => tlv::wrap(IP, &[&address.octets()]),
            Self::Ip(IpAddr::V6(address)) => tlv::wrap(IP, &[&address.octets()]),
            Self::Other(der) => der.clone(),
        }
    }

    /// True when both name the same: host names without regard to case.
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dns(one), Self::Dns(two)) => one.eq_ignore_ascii_case(two),
            _ => self == other,
        }
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(octets).ok().map(|sixteen| Ipv6Addr::from(sixteen).into())
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Ip(address) => write!(f, "IP:{address}"),
            Self::Email(address) => write!(f, "email:{address}"),
            Self::Uri(uri) => write!(f, "URI:{uri}"),
            Self::Other(der) => write!(f, "other:{}", hex(der)),
        }
    }
}

/// Reads the text form. Without a prefix it is told apart as cfssl does for `-hostname`: an address, a mail
/// address, a URI, else a host name.
impl FromStr for San {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, PkiError> {
        let refuse = || PkiError::Refused(format!("`{text}` is not a subject alternative name"));
        let known = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        let (kind, rest) = match text.split_once(':') {
            Some((kind @ ("DNS" | "IP" | "email" | "URI"), rest)) => (kind, rest),
            _ if text.parse::<IpAddr>().is_ok() => ("IP", text),
            _ if text.contains("://") => ("URI", text),
            _ if text.contains('@') => ("email", text),
            _ => ("DNS", text),
        };
        if !known(rest) {
            return Err(refuse());
        }
        match kind {
            "IP" => rest.parse().map(Self::Ip).map_err(|_| refuse()),
            "email" => Ok(Self::Email(rest.to_owned())),
            "URI" => Ok(Self::Uri(rest.to_owned())),
            _ if rest.contains(['/', ':']) => Err(refuse()),
            _ => Ok(Self::Dns(rest.to_owned())),
        }
    }
}

/// The alternative names of `old` that `new` lacks, as text, in the order of `old`.
pub fn sans_missing(new: &Certificate, old: &Certificate) -> Vec<String> {
    let lacks = |san: &&San| !new.sans().iter().any(|other| other.same(san));
    old.sans().iter().filter(lacks).map(San::to_string).collect()
}

/// True when the certificate's alternative names cover a host name or address (RFC 6125: `*` stands for exactly
/// one first label). The common name does not count, as in Go since 1.15; see [`Certificate::common_name`].
pub fn covers(leaf: &Certificate, name_or_ip: &str) -> bool {
    if let Ok(address) = name_or_ip.parse::<IpAddr>() {
        return leaf.sans().contains(&San::Ip(address));
    }
    let name = name_or_ip.strip_suffix('.').unwrap_or(name_or_ip);
    !name.is_empty()
        && leaf.sans().iter().any(|san| match san {
            San::Dns(pattern) => dns_matches(pattern, name),
            _ => false,
        })
}

fn dns_matches(pattern: &str, name: &str) -> bool {
    let Some(domain) = pattern.strip_prefix("*.") else {
        return pattern.eq_ignore_ascii_case(name);
    };
    // `*.com` is refused as OpenSSL does: at least two labels must follow.
    name.split_once('.').is_some_and(|(first, rest)| {
        !first.is_empty() && domain.contains('.') && rest.eq_ignore_ascii_case(domain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        for text in ["DNS:a.example", "IP:10.0.0.1", "IP:fd00::1", "email:a@b", "URI:spiffe://x/y"] {
            let san: San = text.parse().unwrap();
            assert_eq!(san.to_string(), text);
            assert_eq!(San::read_all(&San::write_all(std::slice::from_ref(&san))).unwrap(), [san]);
        }
        assert_eq!("10.0.0.1".parse(), Ok(San::Ip([10, 0, 0, 1].into())));
        assert_eq!("a.example".parse(), Ok(San::Dns("a.example".to_owned())));
        assert_eq!("a@b".parse(), Ok(San::Email("a@b".to_owned())));
        for bad in ["", "DNS:", "IP:10.0.0", "a b", "a/b", "名字"] {
            assert_eq!(
                bad.parse::<San>().unwrap_err().to_string(),
                format!("`{bad}` is not a subject alternative name")
            );
        }
    }

    #[test]
    fn wildcards_stand_for_one_label() {
        assert!(dns_matches("*.Example.com", "a.example.COM"));
        assert!(!dns_matches("*.example.com", "example.com"));
        assert!(!dns_matches("*.example.com", "a.b.example.com"));
        assert!(!dns_matches("*.com", "example.com"));
        assert!(!dns_matches("a*.example.com", "ab.example.com"));
    }
}
