//! Kinds of objects, found by what the server itself says that it has, so that every version of it is understood.

use super::api::{Api, Ask};
use crate::support::tell::{failed, missing};
use keybook_api::{Args, Ctx, Fault, FaultKind};
use serde_json::Value as Json;

/// A kind of objects that the server has.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// `v1`, or `apps/v1`.
    pub version: String,
    /// Its name in paths, such as `deployments`.
    pub plural: String,
    /// Its name in objects, such as `Deployment`.
    pub kind: String,
    /// Are its objects in namespaces?
    pub namespaced: bool,
}

/// What a runbook calls a kind: `pods`, `deployments.apps` or `certificatesigningrequests.v1.certificates.k8s.io`.
#[derive(Clone, Debug, PartialEq)]
struct Asked {
    name: String,
    group: Option<String>,
    version: Option<String>,
}

impl Asked {
    fn parse(text: &str) -> Result<Self, Fault> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        if text.is_empty() || !text.chars().all(plain) || text.starts_with(['.', '-']) {
            let why = format!("`{}` is no kind such as pods or deployments.apps", text.escape_debug());
            return Err(Fault::usage("read the argument `resource`", why));
        }
        let (name, rest) = text.split_once('.').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let Some(rest) = rest else {
            return Ok(Self { name: name.to_owned(), group: None, version: None });
        };
        let (first, more) = rest.split_once('.').unwrap_or((rest, ""));
        let (group, version) = if is_version(first) { (more, Some(first.to_owned())) } else { (rest, None) };
        Ok(Self { name: name.to_owned(), group: Some(group.to_owned()), version })
    }
}

/// `v1`, `v1beta1`, `v2alpha3`: as versions of Kubernetes are written.
fn is_version(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let Some(rest) = text.strip_prefix('v') else { return false };
    let parts = ["alpha", "beta"].iter().find_map(|word| rest.split_once(word));
    parts.map_or_else(|| digits(rest), |(major, minor)| digits(major) && digits(minor))
}

impl Kind {
    /// A kind of the core group in namespaces, which every server has.
    pub fn core(plural: &str, kind: &str) -> Self {
        Self { version: "v1".to_owned(), plural: plural.to_owned(), kind: kind.to_owned(), namespaced: true }
    }

    /// The path of all its objects in a namespace, or anywhere.
    pub fn collection(&self, namespace: Option<&str>) -> String {
        let place = namespace.filter(|_| self.namespaced);
        let place = place.map_or_else(String::new, |namespace| format!("/namespaces/{namespace}"));
        format!("{}{place}/{}", root(&self.version), self.plural)
    }

    /// The path of an object.
    pub fn object(&self, namespace: Option<&str>, name: &str) -> String {
        format!("{}/{name}", self.collection(namespace))
    }

    /// True for Secrets, of which nothing is shown.
    pub fn is_secret(&self) -> bool {
        self.version == "v1" && self.kind == "Secret"
    }

    /// An object in words, such as `deployments/web in n`.
    pub fn words(&self, namespace: Option<&str>, name: &str) -> String {
        let place = namespace.filter(|_| self.namespaced);
        format!("{}/{name}{}", self.plural, place.map_or_else(String::new, |place| format!(" in {place}")))
    }

    /// The kind that the argument `resource` names.
    pub async fn from_args(ctx: &Ctx, api: &Api, args: &Args) -> Result<Self, Fault> {
        Self::find(ctx, api, args.text("resource")?).await
    }

    /// The kind of a name.
    ///
    /// # Errors
    /// The server has none, or several and not one of them is of the core group, which comes first as for kubectl.
    pub async fn find(ctx: &Ctx, api: &Api, name: &str) -> Result<Self, Fault> {
        let asked = Asked::parse(name)?;
        let doing = format!("find what `{name}` is");
        if asked.group.as_deref().unwrap_or_default().is_empty() {
            let version = asked.version.as_deref().unwrap_or("v1");
            if let Some(found) = of(ctx, api, &doing, version, |one| called(one, &asked.name)).await? {
                return Ok(found);
            }
            if asked.group.is_some() {
                return Err(unknown(ctx, api, &doing, name));
            }
        }
        let mut found = Vec::new();
        for versions in groups(ctx, api, &doing, &asked).await? {
            for version in versions {
                // A group whose own server is away has nothing to offer; the others have theirs.
                let kind = match of(ctx, api, &doing, &version, |one| called(one, &asked.name)).await {
                    Err(fault) if asked.group.is_none() && fault.kind == FaultKind::Failed => None,
                    other => other?,
                };
                if let Some(kind) = kind {
                    found.push(kind);
                    break;
                }
            }
        }
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(unknown(ctx, api, &doing, name)),
            several => {
                let named: Vec<String> =
                    several.iter().map(|kind| format!("{} of {}", kind.plural, kind.version)).collect();
                let why = format!("the server has several: {}", named.join(", "));
                Err(failed(ctx, api.attempted(&doing), why).hint("Name its group, as in deployments.apps."))
            }
        }
    }

    /// The kind of an object that says what it is.
    pub async fn of_object(ctx: &Ctx, api: &Api, version: &str, kind: &str) -> Result<Self, Fault> {
        let doing = format!("find what {kind} of {version} is");
        let found =
            of(ctx, api, &doing, version, |one| one.get("kind").and_then(Json::as_str) == Some(kind)).await?;
        found.ok_or_else(|| unknown(ctx, api, &doing, kind))
    }
}

fn unknown(ctx: &Ctx, api: &Api, doing: &str, name: &str) -> Fault {
    failed(ctx, api.attempted(doing), missing(format!("kind `{name}` at this server")))
}

/// The path under which a version's kinds are.
fn root(version: &str) -> String {
    if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") }
}

/// The versions of each group to look in, the server's own preference first.
async fn groups(ctx: &Ctx, api: &Api, doing: &str, asked: &Asked) -> Result<Vec<Vec<String>>, Fault> {
    if let (Some(group), Some(version)) = (&asked.group, &asked.version) {
        return Ok(vec![vec![format!("{group}/{version}")]]);
    }
    let all = api.need(ctx, Ask::get(doing, "/apis")).await?;
    let groups = all.get("groups").and_then(Json::as_array).into_iter().flatten();
    let wanted = |group: &&Json| match &asked.group {
        Some(name) => group.get("name").and_then(Json::as_str) == Some(name),
        None => true,
    };
    Ok(groups.filter(wanted).map(versions).collect())
}

fn versions(group: &Json) -> Vec<String> {
    let preferred = group.pointer("/preferredVersion/groupVersion").and_then(Json::as_str);
    let all = group.get("versions").and_then(Json::as_array).into_iter().flatten();
    let all = all.filter_map(|one| one.get("groupVersion").and_then(Json::as_str));
    let rest = all.filter(|one| Some(*one) != preferred);
    preferred.into_iter().chain(rest).map(str::to_owned).collect()
}

/// The first kind of a version that fits; subresources, which have a slash in their names, never do.
async fn of(
    ctx: &Ctx,
    api: &Api,
    doing: &str,
    version: &str,
    fits: impl Fn(&Json) -> bool,
) -> Result<Option<Kind>, Fault> {
    let Some(list) = api.find(ctx, doing, &root(version)).await? else { return Ok(None) };
    let mut all = list.get("resources").and_then(Json::as_array).into_iter().flatten();
    let found = all.find(|one| {
        one.get("name").and_then(Json::as_str).is_some_and(|name| !name.contains('/')) && fits(one)
    });
    let text = |one: &Json, key: &str| one.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    Ok(found.map(|one| Kind {
        version: version.to_owned(),
        plural: text(one, "name"),
        kind: text(one, "kind"),
        namespaced: one.get("namespaced").and_then(Json::as_bool).unwrap_or(false),
    }))
}

/// Does a kind go by this name: plural, singular, short or that of its objects?
fn called(one: &Json, name: &str) -> bool {
    let short = one.get("shortNames").and_then(Json::as_array).into_iter().flatten();
    let names = ["name", "singularName", "kind"].iter().filter_map(|key| one.get(*key)).chain(short);
    names.filter_map(Json::as_str).any(|own| own.eq_ignore_ascii_case(name))
}

/// Is this one name that may stand in a path?
pub fn check_name(argument: &str, name: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if name.is_empty() || name == "." || name == ".." || !name.chars().all(plain) {
        let why = format!("`{}` is not one name", name.escape_debug());
        return Err(Fault::usage(format!("read the argument `{argument}`"), why));
    }
    Ok(())
}

/// An optional argument that is one name.
pub fn opt_name<'a>(args: &'a Args, argument: &str) -> Result<Option<&'a str>, Fault> {
    let Some(name) = args.opt_text(argument)? else { return Ok(None) };
    check_name(argument, name).map(|()| Some(name))
}

/// A required argument that is one name.
pub fn name<'a>(args: &'a Args, argument: &str) -> Result<&'a str, Fault> {
    let name = args.text(argument)?;
    check_name(argument, name).map(|()| name)
}

/// A query from pairs; those without a value are left out.
pub fn query(pairs: &[(&str, Option<&str>)]) -> String {
    let words: Vec<String> = pairs
        .iter()
        .filter_map(|(key, value)| value.map(|value| format!("{key}={}", encoded(value))))
        .collect();
    if words.is_empty() { String::new() } else { format!("?{}", words.join("&")) }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let byte = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_for_kubectl() {
        let parse = |text: &str| Asked::parse(text).map(|asked| (asked.name, asked.group, asked.version));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parse("pods").unwrap(), ("pods".into(), None, None));
        assert_eq!(parse("pods.v1").unwrap(), ("pods".into(), some(""), some("v1")));
        assert_eq!(parse("deployments.apps").unwrap(), ("deployments".into(), some("apps"), None));
        assert_eq!(
            parse("certificatesigningrequests.v1beta1.certificates.k8s.io").unwrap(),
            ("certificatesigningrequests".into(), some("certificates.k8s.io"), some("v1beta1"))
        );
        // A group whose name only begins like a version.
        assert_eq!(parse("things.v1x.example").unwrap().1, some("v1x.example"));
        for wrong in ["", "-A", "pods,secrets", "../x", "a/b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(
            query(&[("a", Some("x=y,z in (q)")), ("b", None), ("c", Some("1"))]),
            "?a=x%3Dy%2Cz%20in%20%28q%29&c=1"
        );
        assert_eq!(query(&[("b", None)]), "");
    }
}
