//! `x509`: certificates in files.

mod bundle;
mod check_key;
mod expiry;
mod issue_leaf;
pub(crate) mod kubeconfig;
mod new_ca;
mod new_csr;
mod new_key;
pub(crate) mod pair;
mod read;
mod read_crl;
mod reissue_ca;
mod told;
mod verify;
pub(crate) mod wanted;

use crate::support::files::{self, Current};
use keybook_api::{Args, Ctx, Fault, Map, Registry, Secret, Target, Value, value::map};
use keybook_pki::{Certificate, PkiError, PrivateKey, parse_rfc3339, rfc3339};
use std::fmt;
pub(crate) use told::CERTIFICATE;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(read::Read);
    all.add(check_key::CheckKey);
    all.add(verify::Verify);
    all.add(expiry::Expiry);
    all.add(read_crl::ReadCrl);
    all.add(reissue_ca::ReissueCa);
    all.add(new_ca::NewCa);
    all.add(issue_leaf::IssueLeaf);
    all.add(new_csr::NewCsr);
    all.add(new_key::NewKey);
    all.add(bundle::Bundle);
}

const DAY: i64 = 86_400;

/// How far notBefore lies in the past, for hosts whose clocks are behind: cfssl's five minutes.
pub(crate) const BACKDATE: i64 = 300;

/// The certificate as a map.
pub(crate) fn certificate_map(certificate: &Certificate) -> Map {
    match certificate.to_value() {
        Value::Map(map) => map,
        _ => Map::new(),
    }
}

/// The certificate map of a file.
fn certificate_value(certificate: &Certificate, path: &str) -> Map {
    let mut value = certificate_map(certificate);
    value.insert("path".to_owned(), path.into());
    value
}

/// The fault for a certificate or key file that cannot be used.
pub(crate) fn fault(target: &dyn Target, attempted: String, error: &PkiError) -> Fault {
    let fault = Fault::failed(attempted, error).on(target.name());
    match error {
        PkiError::WrongPassphrase => fault.hint("Give the right passphrase in the argument `passphrase`."),
        PkiError::Encrypted { .. } => fault.hint("Give the key's passphrase in the argument `passphrase`."),
        _ => fault,
    }
}

/// The only certificate of a PEM file.
pub(crate) async fn one(target: &dyn Target, path: &str) -> Result<(Current, Certificate), Fault> {
    let file = files::need(target, path).await?;
    let certificate = Certificate::one_pem(file.content.expose())
        .map_err(|error| fault(target, format!("read the certificate {path}"), &error))?;
    Ok((file, certificate))
}

/// Every certificate of a PEM file.
pub(crate) async fn every(target: &dyn Target, path: &str) -> Result<Vec<Certificate>, Fault> {
    let file = files::need(target, path).await?;
    Certificate::load_all_pem(file.content.expose())
        .map_err(|error| fault(target, format!("read the certificates {path}"), &error))
}

/// Every certificate of several PEM files.
async fn every_of(target: &dyn Target, paths: &[String]) -> Result<Vec<Certificate>, Fault> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(every(target, path).await?);
    }
    Ok(all)
}

/// The same, each certificate once, in the order of their first places.
pub(crate) async fn each_of(target: &dyn Target, paths: &[String]) -> Result<Vec<Certificate>, Fault> {
    let mut once: Vec<Certificate> = Vec::new();
    for certificate in every_of(target, paths).await? {
        if !once.contains(&certificate) {
            once.push(certificate);
        }
    }
    Ok(once)
}

/// The only private key of a file.
pub(crate) async fn key(
    target: &dyn Target,
    path: &str,
    passphrase: Option<&Secret>,
) -> Result<(Current, PrivateKey), Fault> {
    let file = files::need(target, path).await?;
    let key = PrivateKey::load(&file.content, passphrase)
        .map_err(|error| fault(target, format!("read the private key {path}"), &error))?;
    Ok((file, key))
}

/// When a certificate ends.
#[derive(Clone, Copy)]
pub(crate) struct End {
    /// Seconds since 1970 (UTC).
    pub(crate) at: i64,
    /// The days from now, when it was given so.
    days: Option<i64>,
}

impl End {
    pub(crate) fn in_days(ctx: &Ctx, days: i64) -> Self {
        Self { at: ctx.now.saturating_add(days.saturating_mul(DAY)), days: Some(days) }
    }
}

/// As plans show it: an end in days without its time, so that a plan made a second later reads the same.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = rfc3339(self.at);
        match self.days {
            Some(days) => {
                write!(f, "{} (in {days} days)", text.split_once('T').map_or(text.as_str(), |(date, _)| date))
            }
            None => f.write_str(&text),
        }
    }
}

/// The end that the arguments `days` (from now) or `not_after` ask for; `None` when neither is given.
pub(crate) fn end(ctx: &Ctx, args: &Args) -> Result<Option<End>, Fault> {
    match (args.opt_int("days")?, args.opt_text("not_after")?) {
        (Some(_), Some(_)) => Err(Fault::usage("read the arguments", "give `days` or `not_after`, not both")),
        (Some(days), None) if days < 1 => {
            Err(Fault::usage("read the argument `days`", format!("{days} is not a number of days from 1")))
        }
        (Some(days), None) => Ok(Some(End::in_days(ctx, days))),
        (None, Some(text)) => {
            let at = date("not_after", text)?;
            if at <= ctx.now {
                let why = format!("{} is not in the future", rfc3339(at));
                return Err(Fault::usage("read the argument `not_after`", why));
            }
            Ok(Some(End { at, days: None }))
        }
        (None, None) => Ok(None),
    }
}

/// A date argument.
fn date(name: &str, text: &str) -> Result<i64, Fault> {
    parse_rfc3339(text).map_err(|error| Fault::usage(format!("read the argument `{name}`"), error))
}

/// A list argument of absolute paths, checked as [`Args::path`] does; never empty.
pub(crate) fn paths(args: &Args, name: &str) -> Result<Vec<String>, Fault> {
    let paths = args.texts(name)?;
    if paths.is_empty() {
        return Err(Fault::usage(format!("read the argument `{name}`"), "the list is empty"));
    }
    for path in &paths {
        Args(map([(name, path.as_str().into())])).path(name)?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests;
