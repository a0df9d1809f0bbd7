//! The manifest files and the pods they make.

use super::containers::Container;
use crate::support::{files, tell};
use keybook_api::{Args, Ctx, Fault, FileKind, Value};

/// One manifest file.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// How `pods` names it; its file name without extension when nothing does.
    pub asked: String,
    /// Its file name.
    pub file: String,
    /// SHA-256 of its content.
    pub sha256: String,
    /// `metadata.name`, or what `match` says instead; the pod's name begins with it.
    pub pod: String,
    /// `metadata.namespace`; any namespace when it cannot be read.
    pub namespace: Option<String>,
    /// How many containers the pod has; at least one.
    pub containers: usize,
}

/// Every manifest of a directory, as the kubelet reads it: regular files (and links to them) whose name does not
/// begin with a dot. A directory that does not exist is a fault.
pub async fn every(ctx: &Ctx, dir: &str) -> Result<Vec<Manifest>, Fault> {
    let mut all = Vec::new();
    for file in ctx.target.list(dir).await? {
        if !file.starts_with('.') && is_file(ctx, dir, &file).await? {
            all.push(read(ctx, dir, file).await?);
        }
    }
    Ok(all)
}

/// The manifest of this name in a directory: a file of exactly this name, else the only one that is called so
/// without its extension. A directory that does not exist is a fault.
pub async fn find(ctx: &Ctx, dir: &str, name: &str) -> Result<Option<Manifest>, Fault> {
    let mut found: Vec<String> = Vec::new();
    for file in ctx.target.list(dir).await? {
        if (file == name || stem(&file) == name) && is_file(ctx, dir, &file).await? {
            found.push(file);
        }
    }
    if let Some(exact) = found.iter().position(|file| file == name) {
        found = vec![found.swap_remove(exact)];
    }
    match (found.pop(), found.pop()) {
        (Some(one), Some(other)) => Err(tell::failed(
            ctx,
            format!("find the manifest `{name}` in {dir}"),
            format!("{other} and {one} both have this name"),
        )
        .hint("Name the file with its extension.")),
        (Some(one), None) => Ok(Some(read(ctx, dir, one).await?)),
        _ => Ok(None),
    }
}

async fn is_file(ctx: &Ctx, dir: &str, file: &str) -> Result<bool, Fault> {
    let (_, stat) = files::follow(&*ctx.target, &files::join(dir, file)).await?;
    Ok(stat.is_some_and(|stat| stat.kind == FileKind::File))
}

/// Which of the manifests a container's pod comes from: the one with the longest fitting name, so that
/// `etcd-events` is not taken for `etcd`.
pub fn owner<'a>(manifests: &'a [Manifest], container: &Container) -> Option<&'a Manifest> {
    let fits = |manifest: &&Manifest| {
        let rest = container.pod.strip_prefix(&manifest.pod);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            && manifest.namespace.as_ref().is_none_or(|namespace| *namespace == container.namespace)
    };
    manifests.iter().filter(fits).max_by_key(|manifest| manifest.pod.len())
}

/// A file name without its last extension.
pub fn stem(file: &str) -> &str {
    match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    }
}

async fn read(ctx: &Ctx, dir: &str, file: String) -> Result<Manifest, Fault> {
    let path = files::join(dir, &file);
    let content = ctx.target.read(&path, files::MAX_FILE).await?;
    let tree = content.expose_str().and_then(|text| keybook_source::parse(&path, text).ok());
    let metadata = |key: &str| {
        let text = tree.as_ref()?.get("metadata")?.get(key)?.as_text()?;
        Some(text.as_str().to_owned())
    };
    let name = metadata("name");
    // Without one in the manifest the kubelet takes `default`.
    let namespace = name.as_ref().map(|_| metadata("namespace").unwrap_or_else(|| "default".to_owned()));
    let containers =
        tree.as_ref().and_then(|tree| tree.get("spec")?.get("containers")?.items().map(<[_]>::len));
    let asked = stem(&file).to_owned();
    Ok(Manifest {
        pod: name.unwrap_or_else(|| asked.clone()),
        asked,
        file,
        sha256: files::sha256(content.expose()),
        namespace,
        containers: containers.unwrap_or(1).max(1),
    })
}

/// The argument `pods`: at least one plain file name, each once.
pub fn pods(args: &Args) -> Result<Vec<String>, Fault> {
    let pods = args.texts("pods")?;
    let wrong = |why: String| Err(Fault::usage("read the argument `pods`", why));
    if pods.is_empty() {
        return wrong("the list is empty".to_owned());
    }
    for (at, pod) in pods.iter().enumerate() {
        if pod.is_empty() || pod.starts_with('.') || pod.contains('/') || pod.contains(char::is_control) {
            return wrong(format!("`{}` is not the name of a manifest", pod.escape_debug()));
        }
        if pods.iter().skip(at + 1).any(|other| other == pod) {
            return wrong(format!("`{pod}` stands there twice"));
        }
    }
    Ok(pods)
}

/// Names a manifest as `pods` does and applies the argument `match`.
pub fn named(args: &Args, asked: &str, mut manifest: Manifest) -> Result<Manifest, Fault> {
    manifest.asked = asked.to_owned();
    match args.get("match").and_then(|map| map.get(asked)) {
        None => {}
        Some(Value::Text(pod)) if !pod.is_empty() => {
            manifest.pod.clone_from(pod);
            manifest.namespace = None;
        }
        Some(other) => {
            let why = format!("`{asked}`: expected a string, got {}", other.type_name());
            return Err(Fault::usage("read the argument `match`", why));
        }
    }
    Ok(manifest)
}

/// Where stopped manifests are parked: `given`, else the parent of `dir`; never in `dir` or below it, where the
/// kubelet would read them.
pub fn parking<'a>(dir: &'a str, name: &str, given: Option<&'a str>) -> Result<&'a str, Fault> {
    let parking = given.unwrap_or_else(|| files::parent(dir));
    if parking == dir || parking.starts_with(&format!("{}/", dir.trim_end_matches('/'))) {
        return Err(Fault::usage(
            format!("read the argument `{name}`"),
            format!(
                "{parking} is in the manifest directory; the kubelet would go on reading what is put there"
            ),
        ));
    }
    Ok(parking)
}
