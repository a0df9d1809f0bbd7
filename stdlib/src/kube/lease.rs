//! Leases (coordination.k8s.io) as locks: whoever holds one names itself in it, for a while.

use super::{
    api::{Answer, Api, Ask},
    change::MANAGER,
    objects::set,
    resource::{Kind, name, opt_name, query},
};
use crate::{kubectl, support::tell::failed};
use http::Method;
use keybook_api::{ArgKind, ArgSpec, Args, Ctx, Fault, Value, value::map};
use keybook_pki::{parse_rfc3339, rfc3339};
use serde_json::{Value as Json, json};

/// The argument `name`.
pub const NAME: ArgSpec = ArgSpec::required("name", ArgKind::Text, "The lease's name.");
/// The argument `namespace`.
pub const NAMESPACE: ArgSpec =
    ArgSpec::optional("namespace", ArgKind::Text, "kube-system", "The lease's namespace.");
/// The argument `holder`.
pub const HOLDER: ArgSpec =
    ArgSpec::required("holder", ArgKind::Text, "Who holds it, such as `keybook-${run.id}`.");

/// One lease, and who wants it.
pub struct Lease {
    api: Api,
    kind: Kind,
    namespace: String,
    name: String,
    /// Who wants it.
    pub holder: String,
}

/// A lease as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// The object.
    pub object: Json,
    /// Who holds it; empty for nobody.
    pub holder: String,
    /// When it was renewed, as it says.
    pub renewed: String,
    /// When it ends, in seconds since 1970; `None` when it does not say.
    pub ends: Option<i64>,
}

impl From<Json> for Held {
    fn from(object: Json) -> Self {
        let text = |pointer| kubectl::text(&object, pointer).to_owned();
        let (holder, renewed) = (text("/spec/holderIdentity"), text("/spec/renewTime"));
        let lasts = object.pointer("/spec/leaseDurationSeconds").and_then(Json::as_i64);
        let ends = parse_rfc3339(&renewed).ok().zip(lasts).map(|(at, lasts)| at.saturating_add(lasts));
        Self { object, holder, renewed, ends }
    }
}

impl Held {
    /// Does somebody else hold it now?
    pub fn is_taken(&self, by: &str, now: i64) -> bool {
        !self.holder.is_empty() && self.holder != by && self.ends.is_none_or(|ends| ends >= now)
    }

    /// Who holds it and until when.
    pub fn words(&self) -> String {
        let until = self.ends.map_or("with no end".to_owned(), |ends| format!("until {}", rfc3339(ends)));
        format!("{} holds it {until}", self.holder)
    }
}

impl Lease {
    /// The lease that the arguments name.
    pub async fn from_args(ctx: &Ctx, args: &Args) -> Result<Self, Fault> {
        let (wanted, holder) = (name(args, "name")?.to_owned(), args.text("holder")?.to_owned());
        if holder.trim().is_empty() {
            return Err(Fault::usage("read the argument `holder`", "it is empty"));
        }
        let namespace = opt_name(args, "namespace")?.unwrap_or("kube-system").to_owned();
        // coordination.k8s.io/v1 is there since 1.14.
        let kind = Kind { version: "coordination.k8s.io/v1".to_owned(), ..Kind::core("leases", "Lease") };
        Ok(Self { api: Api::from_args(ctx, args).await?, kind, namespace, name: wanted, holder })
    }

    /// In words.
    pub fn words(&self) -> String {
        self.kind.words(Some(&self.namespace), &self.name)
    }

    /// What is there.
    pub async fn find(&self, ctx: &Ctx) -> Result<Option<Held>, Fault> {
        let path = self.kind.object(Some(&self.namespace), &self.name);
        Ok(self.api.find(ctx, &format!("get {}", self.words()), &path).await?.map(Held::from))
    }

    /// Writes who holds it, unless it is another one by now; then the answer is a conflict.
    pub async fn write(
        &self,
        ctx: &Ctx,
        doing: &str,
        old: Option<&Held>,
        spec: Json,
    ) -> Result<Answer, Fault> {
        let words = query(&[("fieldManager", Some(MANAGER))]);
        match old {
            Some(old) => {
                let mut body = old.object.clone();
                for (key, value) in spec.as_object().into_iter().flatten() {
                    set(&mut body, &["spec".to_owned(), key.clone()], value.clone());
                }
                let path = format!("{}{words}", self.kind.object(Some(&self.namespace), &self.name));
                self.api.ask(ctx, Ask::send(doing, Method::PUT, path, body)).await
            }
            None => {
                let body = json!({"apiVersion": self.kind.version, "kind": "Lease", "spec": spec,
                    "metadata": {"name": self.name, "namespace": self.namespace}});
                let path = format!("{}{words}", self.kind.collection(Some(&self.namespace)));
                self.api.ask(ctx, Ask::send(doing, Method::POST, path, body)).await
            }
        }
    }

    /// Gives it back when this holder has it; says whether it had.
    pub async fn release(&self, ctx: &Ctx) -> Result<bool, Fault> {
        let doing = format!("release {}", self.words());
        for _ in 0..TRIES {
            let Some(held) = self.find(ctx).await?.filter(|held| held.holder == self.holder) else {
                return Ok(false);
            };
            // As client-go's leader election leaves one behind: a second is the shortest that servers take.
            let spec = json!({"holderIdentity": "", "leaseDurationSeconds": 1});
            let answer = self.write(ctx, &doing, Some(&held), spec).await?;
            if answer.status.is_success() {
                return Ok(true);
            }
            self.go_on(ctx, &doing, &answer)?;
        }
        Err(failed(ctx, self.api.attempted(&doing), "it is changed all the time"))
    }

    /// A conflict is tried again; anything else is a fault.
    pub fn go_on(&self, ctx: &Ctx, doing: &str, answer: &Answer) -> Result<(), Fault> {
        if answer.is_conflict() { Ok(()) } else { Err(self.api.refused(ctx, doing, answer)) }
    }

    /// What is attempted, and at which server.
    pub fn attempted(&self, doing: &str) -> String {
        self.api.attempted(doing)
    }

    /// The result of an action that holds it now.
    pub fn result(&self, held: &Held) -> Value {
        Value::Map(map([
            ("name", self.name.as_str().into()),
            ("holder", held.holder.as_str().into()),
            ("until", held.ends.map(rfc3339).into()),
        ]))
    }
}

/// How often something is tried again when somebody else changes the lease meanwhile.
pub const TRIES: u32 = 5;
