//! What `cfssl gencert` reads: a request (`kubernetes-csr.json`) and a profile of its configuration (`config.json`).
//!
//! Whatever stands there and would make cfssl's certificate another one than ours is refused, never passed over.

use super::super::BACKDATE;
use crate::support::{change::basis, files};
use keybook_api::{Args, Ctx, Fault, duration};
use keybook_pki::{San, Usages};
use serde_json::{Map, Value as Json};

/// The arguments' values from cfssl's files; all `None` and empty when they are not given.
#[derive(Default)]
pub struct Cfssl {
    /// Attributes of the subject, in the order of the file.
    pub subject: Option<Vec<(String, String)>>,
    /// The names under `hosts`.
    pub hosts: Vec<San>,
    /// As the argument `key_kind` names it.
    pub key_kind: Option<String>,
    /// What the profile allows.
    pub profile: Option<Profile>,
    /// Digests of the files.
    pub basis: String,
}

/// A profile of cfssl's configuration.
pub struct Profile {
    pub usages: Usages,
    /// From the certificate's beginning to its end, in seconds.
    pub expiry: i64,
    /// How long before now it begins, in seconds.
    pub backdate: i64,
}

impl Cfssl {
    /// Reads the files that `cfssl_csr` and `cfssl_config` name.
    pub async fn load(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let mut all = Self::default();
        if let Some(path) = args.opt_path("cfssl_csr")? {
            let csr = all.json(ctx, path).await?;
            all.request(&csr).map_err(|why| wrong(ctx, path, why))?;
        }
        match (args.opt_path("cfssl_config")?, args.opt_text("cfssl_profile")?) {
            (Some(path), Some(name)) => {
                let config = all.json(ctx, path).await?;
                all.profile = Some(profile(&config, name).map_err(|why| wrong(ctx, path, why))?);
            }
            (None, None) => {}
            _ => return Err(Fault::usage("read the arguments", "`cfssl_config` goes with `cfssl_profile`")),
        }
        Ok(all)
    }

    async fn json(&mut self, ctx: &Ctx, path: &str) -> Result<Json, Fault> {
        let file = files::need(&*ctx.target, path).await?;
        self.basis.push_str(&format!("; {}", basis(&file.mark())));
        serde_json::from_slice(file.content.expose())
            .map_err(|error| wrong(ctx, path, format!("it is no JSON: {error}")))
    }

    fn request(&mut self, csr: &Json) -> Result<(), String> {
        let csr = Fields::of(csr, "the request")?;
        // `ca` counts only for `gencert -initca`.
        csr.only(&["CN", "hosts", "key", "names", "ca"])?;
        let mut subject = Vec::new();
        for names in csr.list("names")? {
            let names = Fields::of(names, "`names`")?;
            names.only(&["C", "ST", "L", "O", "OU"])?;
            for key in ["C", "ST", "L", "O", "OU"] {
                let Some(text) = names.text(key)? else { continue };
                if subject.iter().any(|(known, _)| known == key) {
                    return Err(format!(
                        "`names` has `{key}` twice, which cfssl joins in one part of the subject"
                    ));
                }
                subject.push((key.to_owned(), text.to_owned()));
            }
        }
        subject.extend(csr.text("CN")?.map(|text| ("CN".to_owned(), text.to_owned())));
        self.subject = Some(subject);
        for host in csr.list("hosts")? {
            let text = host.as_str().ok_or("`hosts` is not a list of texts")?;
            self.hosts.push(text.parse().map_err(|error| format!("`hosts`: {error}"))?);
        }
        self.key_kind = Some(key_kind(csr.get("key"))?);
        Ok(())
    }
}

/// cfssl's own default is ecdsa-256.
fn key_kind(key: Option<&Json>) -> Result<String, String> {
    let Some(key) = key else { return Ok("ECDSA-P256".to_owned()) };
    let key = Fields::of(key, "`key`")?;
    key.only(&["algo", "size"])?;
    let size = key.get("size").and_then(Json::as_u64);
    match (key.text("algo")?, size) {
        (Some("rsa"), Some(size)) => Ok(format!("RSA-{size}")),
        (Some("ecdsa"), Some(size)) => Ok(format!("ECDSA-P{size}")),
        _ => Err("`key` must have `algo` (rsa or ecdsa) and `size`".to_owned()),
    }
}

fn profile(config: &Json, name: &str) -> Result<Profile, String> {
    let signing = Fields::of(config.get("signing").ok_or("it has no `signing`")?, "`signing`")?;
    let default =
        signing.get("default").map(|default| Fields::of(default, "`signing.default`")).transpose()?;
    let profiles = signing.get("profiles").ok_or("it has no `signing.profiles`")?;
    let profile = profiles.get(name).ok_or_else(|| format!("it has no profile `{name}`"))?;
    let profile = Fields::of(profile, "the profile")?;
    profile.only(&["usages", "expiry", "backdate", "ca_constraint"])?;
    if profile.get("ca_constraint").is_some_and(|ca| ca.get("is_ca") == Some(&Json::Bool(true))) {
        return Err(format!("the profile `{name}` makes CAs"));
    }
    // These a profile inherits.
    for key in ["issuer_urls", "ocsp_url", "crl_url"] {
        if default.as_ref().is_some_and(|default| default.get(key).is_some()) {
            return Err(format!("`signing.default` has `{key}`, which is not supported"));
        }
    }
    let words = profile.list("usages")?;
    let words: Vec<&str> = words.iter().filter_map(|word| word.as_str()).collect();
    let usages = Usages::from_words(words).map_err(|error| error.to_string())?;
    if usages.words().is_empty() {
        return Err(format!("the profile `{name}` has no usages"));
    }
    let time = |key: &str| -> Result<Option<i64>, String> {
        let Some(text) = profile.text(key)? else { return Ok(None) };
        let seconds = duration::parse(text).map_err(|why| format!("`{key}`: {why}"))?.as_secs();
        i64::try_from(seconds).map(Some).map_err(|_| format!("`{key}`: `{text}` is too long"))
    };
    let expiry = time("expiry")?.filter(|expiry| *expiry > 0);
    let expiry = expiry.ok_or_else(|| format!("the profile `{name}` has no `expiry`"))?;
    Ok(Profile { usages, expiry, backdate: time("backdate")?.unwrap_or(BACKDATE) })
}

/// The fields of a JSON object. As in Go, upper and lower case are the same in their names; what is null or empty is
/// not there.
struct Fields<'j> {
    map: &'j Map<String, Json>,
    what: &'static str,
}

impl<'j> Fields<'j> {
    fn of(json: &'j Json, what: &'static str) -> Result<Self, String> {
        let map = json.as_object().ok_or_else(|| format!("{what} is no JSON object"))?;
        Ok(Self { map, what })
    }

    fn get(&self, key: &str) -> Option<&'j Json> {
        let found = self.map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        found.filter(|value| !is_empty(value))
    }

    fn only(&self, known: &[&str]) -> Result<(), String> {
        let other = self.map.iter().find(|(name, value)| {
            !is_empty(value) && !known.iter().any(|known| name.eq_ignore_ascii_case(known))
        });
        other.map_or(Ok(()), |(name, _)| Err(format!("{} has `{name}`, which is not supported", self.what)))
    }

    fn text(&self, key: &str) -> Result<Option<&'j str>, String> {
        let text =
            |value: &'j Json| value.as_str().ok_or_else(|| format!("`{key}` in {} is no text", self.what));
        self.get(key).map(text).transpose()
    }

    fn list(&self, key: &str) -> Result<&'j [Json], String> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Json::Array(list)) => Ok(list),
            Some(_) => Err(format!("`{key}` in {} is no list", self.what)),
        }
    }
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::String(text) => text.is_empty(),
        Json::Array(list) => list.is_empty(),
        Json::Object(map) => map.is_empty(),
        Json::Bool(_) | Json::Number(_) => false,
    }
}

fn wrong(ctx: &Ctx, path: &str, why: String) -> Fault {
    Fault::failed(format!("read cfssl's file {path}"), why).on(ctx.target.name()).now("nothing was written")
}
