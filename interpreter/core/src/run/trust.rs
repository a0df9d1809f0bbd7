//! Trust is judged before the first step, after every unit that may have touched it, at the end, and after a
//! rollback. What held and no longer does fails the unit, unless its step (or one around it) says `breaks`; at the end
//! nothing may be broken that was not broken before the first step. Inside an `atomic` step, where no run ever rests,
//! nothing is judged: the step as a whole is.

use super::{hosts::LOCAL, session::Session, stop::Stop, unit::Attempt};
use crate::{
    backup::inside,
    model::{
        Call, Dynamic, HostChoice, Step, Work, canonical,
        trust::{Bundle, Client, Reads, Server},
    },
};
use keybook_api::{
    Args, Bundle as Judged, Cancel, Effect, Event, Fault, HostAccess, Map, Reads as JudgedReads, TrustClient,
    TrustEdge, TrustMatrix, TrustServer, TrustVerdict, UnitId, Value, event::Touched,
};
use std::sync::Arc;

impl Session {
    /// What there is before the first step. Recorded once a run.
    pub(super) async fn trust_before(self: &Arc<Self>) -> Result<(), Stop> {
        if self.runbook.trust.is_empty() || self.log.state(|state| state.trust.judged()) {
            return Ok(());
        }
        let edges = self.judge(None, &self.cancel).await?;
        Ok(self.log.run(Event::TrustChecked { edges })?)
    }

    /// Every edge once more: the run has not ended well while one is broken that was not.
    pub(super) async fn trust_at_end(self: &Arc<Self>, now_true: &str) -> Result<(), Stop> {
        if self.runbook.trust.is_empty() || !self.log.state(|state| state.trust.judged()) {
            return Ok(());
        }
        let edges = self.judge(None, &Cancel::new()).await?;
        self.log.run(Event::TrustChecked { edges: edges.clone() })?;
        match self.newly_broken(&edges, &[]) {
            broken if broken.is_empty() => Ok(()),
            broken => Err(fault("end the run", &broken).now(now_true.to_owned()).into()),
        }
    }

    /// Edges that are broken and were not before the first step, but for those that the names allow.
    fn newly_broken(&self, edges: &[TrustEdge], allowed: &[&str]) -> Vec<TrustEdge> {
        let may = |end: &str| end.split_once('@').is_some_and(|(name, _)| allowed.contains(&name));
        let new = |edge: &&TrustEdge| {
            edge.verdict == TrustVerdict::Broken
                && !may(&edge.server)
                && !may(&edge.client)
                && !self.log.state(|state| state.trust.was_broken(edge))
        };
        edges.iter().filter(new).cloned().collect()
    }

    async fn judge(self: &Arc<Self>, only: Option<&str>, cancel: &Cancel) -> Result<Vec<TrustEdge>, Fault> {
        let matrix = self.matrix(only).await?;
        let only = only.map(|host| vec![host.to_owned()]);
        let now = jiff::Timestamp::now().as_second();
        let hosts = Arc::clone(&self.hosts) as Arc<dyn HostAccess>;
        let mut edges = self.trust.judge(hosts, &matrix, only.as_deref(), now, cancel).await?;
        edges.iter_mut().for_each(|edge| edge.reason = self.redactor.text(&edge.reason));
        Ok(edges)
    }

    /// The declared servers and clients on the hosts of this run. When processes started is asked only where an edge
    /// of `only` needs it: on that host, and on those it has edges with.
    async fn matrix(self: &Arc<Self>, only: Option<&str>) -> Result<TrustMatrix, Fault> {
        let declared = &self.runbook.trust;
        let mut matrix = TrustMatrix::default();
        for (name, server) in &declared.servers {
            for host in self.hosts_on(&server.on, name)? {
                let users = declared.clients.values().filter(|client| client.uses.contains(name));
                let needed = only.is_none_or(|only| {
                    only == host || users.clone().any(|client| self.is_on(&client.on, only))
                });
                if needed {
                    matrix.servers.push(self.server(name, server, &host).await?);
                }
            }
        }
        for (name, client) in &declared.clients {
            for host in self.hosts_on(&client.on, name)? {
                let used = declared.servers.iter().filter(|(server, _)| client.uses.contains(server));
                let needed = only.is_none_or(|only| {
                    only == host || used.clone().any(|(_, server)| self.is_on(&server.on, only))
                });
                if needed {
                    matrix.clients.push(self.client(name, client, &host).await?);
                }
            }
        }
        Ok(matrix)
    }

    fn hosts_on(&self, choice: &HostChoice, name: &str) -> Result<Vec<String>, Fault> {
        choice.resolve(&self.hosts.groups()).map_err(|why| {
            Fault::failed(format!("find the hosts of `{name}` in `trust`"), why)
                .at(&choice.span)
                .hint("an empty selection never passes: check the inventory's groups")
        })
    }

    fn is_on(&self, choice: &HostChoice, host: &str) -> bool {
        choice.resolve(&self.hosts.groups()).is_ok_and(|hosts| hosts.iter().any(|own| own == host))
    }

    async fn server(self: &Arc<Self>, name: &str, server: &Server, host: &str) -> Result<TrustServer, Fault> {
        let asking = asking(host);
        let scope = self.scope(&asking, &Value::Null);
        let text = |value: &Dynamic| self.text(value, &scope);
        let own = || self.hosts.spec(host).map_or_else(|| host.to_owned(), |spec| spec.address);
        let port = server.port.render(&self.script, &scope)?;
        let number = port.as_int().or_else(|| port.as_str().and_then(|text| text.parse().ok()));
        let number = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
        Ok(TrustServer {
            name: name.to_owned(),
            host: host.to_owned(),
            address: server.address.as_ref().map_or_else(|| Ok(own()), text)?,
            port: number.ok_or_else(|| {
                Fault::failed(format!("find the port of `{name}`"), format!("`{port}` is no port"))
                    .at(&server.span)
            })?,
            server_name: server.server_name.as_ref().map(text).transpose()?,
            cert: text(&server.cert)?,
            clients: server.clients.as_ref().map(|bundle| self.bundle(bundle, &scope)).transpose()?,
            reads: self.reads(&server.reads, &asking, &scope).await?,
        })
    }

    async fn client(self: &Arc<Self>, name: &str, client: &Client, host: &str) -> Result<TrustClient, Fault> {
        let asking = asking(host);
        let scope = self.scope(&asking, &Value::Null);
        let text = |value: &Dynamic| self.text(value, &scope);
        Ok(TrustClient {
            name: name.to_owned(),
            host: host.to_owned(),
            uses: client.uses.clone(),
            trusts: self.bundle(&client.trusts, &scope)?,
            cert: client.cert.as_ref().map(text).transpose()?,
            key: client.key.as_ref().map(text).transpose()?,
            reads: self.reads(&client.reads, &asking, &scope).await?,
        })
    }

    /// The files on a host that edges depend on.
    fn trust_paths(&self, host: &str) -> Result<Vec<String>, Fault> {
        let scope = self.scope(&asking(host), &Value::Null);
        let declared = &self.runbook.trust;
        let mut paths = Vec::new();
        for server in declared.servers.values().filter(|server| self.is_on(&server.on, host)) {
            paths.push(self.text(&server.cert, &scope)?);
            if let Some(bundle) = &server.clients {
                paths.push(self.bundle(bundle, &scope)?.path().to_owned());
            }
        }
        for client in declared.clients.values().filter(|client| self.is_on(&client.on, host)) {
            paths.push(self.bundle(&client.trusts, &scope)?.path().to_owned());
            for file in client.cert.iter().chain(&client.key) {
                paths.push(self.text(file, &scope)?);
            }
        }
        Ok(paths)
    }

    fn text(&self, value: &Dynamic, scope: &Map) -> Result<String, Fault> {
        Ok(value.render(&self.script, scope)?.to_string())
    }

    fn bundle(&self, bundle: &Bundle, scope: &Map) -> Result<Judged, Fault> {
        Ok(match bundle {
            Bundle::File(path) => Judged::File(self.text(path, scope)?),
            Bundle::Kubeconfig(path) => Judged::Kubeconfig(self.text(path, scope)?),
        })
    }

    async fn reads(
        self: &Arc<Self>,
        reads: &Reads,
        asking: &UnitId,
        scope: &Map,
    ) -> Result<JudgedReads, Fault> {
        Ok(match reads {
            Reads::EachTime => JudgedReads::EachTime,
            Reads::CannotTell => JudgedReads::CannotTell,
            // A process that is not there, or a host that cannot be reached, is for the verdict to say.
            Reads::Started(call) => match self.started(call, asking, scope).await {
                Ok(at) => JudgedReads::StartedAt(at),
                Err(_) => JudgedReads::CannotTell,
            },
        })
    }

    async fn started(self: &Arc<Self>, call: &Call, asking: &UnitId, scope: &Map) -> Result<i64, Fault> {
        let attempted =
            || Fault::failed("find out when a process started", "there is no answer").at(&call.span);
        let action = self.registry.get(&call.action).cloned().ok_or_else(attempted)?;
        let args = call.args.render(&self.script, scope)?;
        keybook_api::action::check_args(action.spec(), &args)?;
        let target = self.hosts.get(&asking.host).await?;
        let ctx = self.ctx(target, asking, 1, false, self.cancel.clone());
        let told = action.apply(&ctx, &Args(args)).await?.value;
        let told = told.get("started").cloned().unwrap_or(told);
        told.as_int().or_else(|| told.as_str()?.trim().parse().ok()).ok_or_else(attempted)
    }
}

impl Attempt<'_> {
    /// Judges the edges of this unit's host when what it did may have touched them.
    pub(super) async fn trust_after(&self, wrote: &[Touched], named_all: bool) -> Result<(), Fault> {
        let host = &self.unit.host;
        // `finally` and a rollback stand on their own: what they leave is judged at their end.
        let own = canonical(&self.unit.step) == self.unit.step && host != LOCAL;
        if !own || !self.session.log.state(|state| state.trust.judged()) {
            return Ok(());
        }
        if self.inside_atomic() || !self.may_touch(wrote, named_all)? {
            return Ok(());
        }
        // The effect has happened: a stop waits for the judgement, which is bounded in time.
        let edges = self.session.judge(Some(host), &Cancel::new()).await?;
        self.write(Event::TrustChecked { edges: edges.clone() })?;
        let allowed = self.breaks();
        let broken = self.session.newly_broken(&edges, &allowed);
        if broken.is_empty() {
            return Ok(());
        }
        Err(fault(format!("keep trust whole in {}", self.unit), &broken)
            .now("the step's effect has happened; nothing after it was begun")
            .hint("roll back, or mend the cause and resume; a step that has to break an edge for a while says `breaks`"))
    }

    /// A unit that failed and now finds everything done has left trust as it left it: that is judged once more.
    pub(super) async fn trust_again(&self) -> Result<(), Fault> {
        let failed = self.session.log.state(|state| {
            state.unit(&self.unit).is_some_and(|known| known.failure.is_some() && !known.intents.is_empty())
        });
        if failed { self.trust_after(&[], false).await } else { Ok(()) }
    }

    fn may_touch(&self, wrote: &[Touched], named_all: bool) -> Result<bool, Fault> {
        let changes = match &self.step.work {
            Work::Action(call) => {
                self.session.registry.get(&call.action).is_some_and(|a| a.spec().effect == Effect::Changes)
            }
            // A call that named no paths may have changed any.
            Work::Script(_) => true,
            // What is inside an atomic step is judged when it is through.
            Work::Steps(_) => self.step.atomic && self.changed_inside(),
        };
        if self.step.settles.is_some() || (changes && !named_all) {
            return Ok(true);
        }
        if wrote.is_empty() {
            return Ok(false);
        }
        let paths = self.session.trust_paths(&self.unit.host)?;
        let near =
            |touch: &Touched| paths.iter().any(|path| inside(path, &touch.path) || inside(&touch.path, path));
        Ok(wrote.iter().any(near))
    }

    fn inside_atomic(&self) -> bool {
        self.around().iter().any(|step| step.atomic)
    }

    /// Did a step inside this one change anything on this host?
    fn changed_inside(&self) -> bool {
        let inner = format!("{}/", self.unit.step);
        self.session.log.state(|state| {
            let mut own = state.units.iter().filter(|(id, _)| id.host == self.unit.host);
            own.any(|(id, unit)| id.step.starts_with(&inner) && unit.changed)
        })
    }

    /// The steps around this one.
    fn around(&self) -> Vec<&Step> {
        let path = &self.unit.step;
        let outer = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        outer.filter_map(|outer| self.session.runbook.step_at(outer)).collect()
    }

    /// What this step and those around it may break.
    fn breaks(&self) -> Vec<&str> {
        let steps = self.around().into_iter().chain([self.step]);
        steps.flat_map(|step| &step.breaks).map(|name| name.value.as_str()).collect()
    }
}

fn asking(host: &str) -> UnitId {
    UnitId { step: "trust".to_owned(), host: host.to_owned(), item: None }
}

fn fault(attempted: impl Into<String>, broken: &[TrustEdge]) -> Fault {
    let told: Vec<String> =
        broken.iter().map(|edge| format!("{} no longer: {}", edge.title(), edge.reason)).collect();
    Fault::failed(attempted, told.join("; "))
}
