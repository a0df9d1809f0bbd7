//! The pods that a call names: where their manifests are and which containers run.

use super::{
    containers::{self, Container},
    manifests::{self, Manifest},
    ps,
};
use crate::support::{files, tell};
use keybook_api::{Args, Ctx, Fault, Value, value::map};

/// Where a manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the manifest directory.
    Dir,
    /// In the parking directory.
    Parked,
    /// In both: someone else put one of them there.
    Both,
}

/// The named pods.
pub struct Pods {
    pub dir: String,
    pub parking: String,
    /// In the order of the argument.
    pub pods: Vec<(Manifest, Place)>,
    /// The other manifests in the directory.
    others: Vec<Manifest>,
}

impl Pods {
    /// Looks for every pod's manifest. `parking_arg` names the argument with the parking directory.
    /// Faults: a manifest that is in neither place, a directory that does not exist.
    pub async fn look(ctx: &Ctx, args: &Args, parking_arg: &str) -> Result<Self, Fault> {
        let dir = args.path("dir")?;
        let parking = manifests::parking(dir, parking_arg, args.opt_path(parking_arg)?)?;
        let mut pods = Vec::new();
        for name in manifests::pods(args)? {
            let running = manifests::find(ctx, dir, &name).await?;
            // Once the file's name is known, only that name counts in the parking place.
            let parked_name = running.as_ref().map_or(name.as_str(), |manifest| &manifest.file);
            let parked = manifests::find(ctx, parking, parked_name).await?;
            let (manifest, place) = match (running, parked) {
                (Some(manifest), None) => (manifest, Place::Dir),
                (None, Some(manifest)) => (manifest, Place::Parked),
                (Some(manifest), Some(_)) => (manifest, Place::Both),
                (None, None) => {
                    let why = format!("it is neither in {dir} nor in {parking}");
                    return Err(tell::failed(ctx, format!("find the manifest `{name}`"), why));
                }
            };
            pods.push((manifests::named(args, &name, manifest)?, place));
        }
        let ours = |other: &Manifest| pods.iter().any(|(manifest, _)| manifest.file == other.file);
        let others = manifests::every(ctx, dir).await?.into_iter().filter(|other| !ours(other)).collect();
        Ok(Self { dir: dir.to_owned(), parking: parking.to_owned(), pods, others })
    }

    /// The manifest's path in the manifest directory.
    pub fn live(&self, manifest: &Manifest) -> String {
        files::join(&self.dir, &manifest.file)
    }

    /// The manifest's path where it is parked.
    pub fn parked(&self, manifest: &Manifest) -> String {
        files::join(&self.parking, &manifest.file)
    }

    /// The names, as asked for.
    pub fn names(&self) -> Vec<String> {
        self.pods.iter().map(|(manifest, _)| manifest.asked.clone()).collect()
    }

    /// The pods whose manifest is at a place.
    pub fn at(&self, place: Place) -> impl Iterator<Item = &Manifest> {
        self.pods.iter().filter(move |(_, at)| *at == place).map(|(manifest, _)| manifest)
    }

    /// A fault when a manifest is in both places.
    pub fn refuse_both(&self, ctx: &Ctx) -> Result<(), Fault> {
        match self.at(Place::Both).next() {
            None => Ok(()),
            Some(manifest) => {
                let (live, parked) = (self.live(manifest), self.parked(manifest));
                Err(tell::failed(ctx, format!("move {live}"), format!("{parked} exists, too"))
                    .now("nothing was moved")
                    .hint(format!("Compare {live} and {parked}, and remove the one that is not wanted.")))
            }
        }
    }

    /// Digests of the manifests, for a plan's basis.
    pub fn basis(&self) -> String {
        let one = |(manifest, place): &(Manifest, Place)| {
            format!("{} {place:?} {}", manifest.file, manifest.sha256)
        };
        self.pods.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// The running containers of the named pods, each with its pod's name as asked for.
    pub async fn containers(&self, ctx: &Ctx, args: &Args) -> Result<Vec<(String, Container)>, Fault> {
        let ours: Vec<Manifest> = self.pods.iter().map(|(manifest, _)| manifest.clone()).collect();
        let all: Vec<Manifest> = ours.iter().chain(&self.others).cloned().collect();
        let listed = containers::parse(&ps(ctx, args).await?.out());
        Ok(listed
            .into_iter()
            .filter_map(|container| {
                let owner = manifests::owner(&all, &container)?;
                let own = ours.iter().any(|manifest| manifest.file == owner.file);
                own.then(|| (owner.asked.clone(), container))
            })
            .collect())
    }
}

/// Containers in a result.
pub fn values(containers: &[(String, Container)]) -> Value {
    let one = |(pod, container): &(String, Container)| {
        Value::Map(map([
            ("pod", pod.as_str().into()),
            ("name", container.name.as_str().into()),
            ("id", container.id.as_str().into()),
        ]))
    };
    Value::List(containers.iter().map(one).collect())
}
