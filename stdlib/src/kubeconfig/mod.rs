//! `kubeconfig`: what a kubeconfig on the host trusts, and whom it shows (kubernetes.io, Config v1).

pub(crate) mod current;
mod renew;
mod trust;

use crate::support::files::Current;
use keybook_api::{Ctx, Fault, Registry, Secret};
use keybook_source::edit::{EditError, Step, set_yaml};
use serde_yaml::Value as Yaml;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(trust::Trust);
    all.add(renew::Renew);
}

/// A kubeconfig as it is on the host.
struct Kubeconfig {
    file: Current,
    content: Yaml,
}

impl Kubeconfig {
    fn of(ctx: &Ctx, path: &str, file: Current) -> Result<Self, Fault> {
        let content = serde_yaml::from_slice(file.content.expose())
            .map_err(|_| refused(ctx, path, "it is no kubeconfig: it is no YAML"))?;
        Ok(Self { file, content })
    }

    /// The same with other values for fields of one entry, such as the cluster of a name. All else stays byte by byte.
    fn with(
        &self,
        list: &str,
        name: &str,
        inner: &str,
        fields: &[(&str, &Secret)],
    ) -> Result<Secret, String> {
        let mut text = self.file.content.clone();
        for (field, value) in fields {
            let place = [
                Step::Key(list.to_owned()),
                Step::Match { key: "name".to_owned(), value: name.to_owned() },
                Step::Key(inner.to_owned()),
                Step::Key((*field).to_owned()),
            ];
            let value = value.expose_str().unwrap_or_default().into();
            let edited = set_yaml(text.expose_str().unwrap_or_default(), &place, &value);
            text = Secret::new(edited.map_err(|error: EditError| error.to_string())?);
        }
        Ok(text)
    }
}

/// The fault for a kubeconfig that cannot be changed so.
fn refused(ctx: &Ctx, path: &str, why: impl std::fmt::Display) -> Fault {
    crate::support::tell::failed(ctx, format!("change the kubeconfig {path}"), why)
        .now("the file is as it was")
}
