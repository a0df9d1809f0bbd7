//! Trust is judged before the first step, after every unit that may have touched it, at the end, and after a
//! rollback. What held and no longer does fails the unit, unless its step (or one around it) says `breaks`; at the end
//! nothing may be broken that was not broken before the first step. Inside an `atomic` step, where no run ever rests,
//! nothing is judged: the step as a whole is.

use super::{
    hosts::LOCAL,
    session::Session,
    stop::Stop,
    unit::{Attempt, millis},
};
use crate::{
    backup::inside,
    model::{
        Call, Dynamic, HostChoice, Step, Work, canonical,
        trust::{Bundle, Client, Reads, Server},
    },
};
use futures::future::join_all;
use keybook_api::{
    Bundle as Judged, Cancel, Effect, Event, Fault, HostAccess, Map, Reads as JudgedReads, Side, TrustClient,
    TrustEdge, TrustMatrix, TrustServer, TrustVerdict, UnitId, Value, event::Touched,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long the reading of when a process started may take.
const STARTED: Duration = Duration::from_secs(15);

/// When edges are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    AfterStep,
    AtEnd,
    TakenBack,
}

impl Session {
    /// What there is before the first step. Recorded once a run.
    pub(super) async fn trust_before(self: &Arc<Self>) -> Result<(), Stop> {
        if self.runbook.trust.is_empty() || self.log.state(|state| state.trust.judged()) {
            return Ok(());
        }
        let edges = self.judge(None, &self.cancel).await?;
        Ok(self.log.run(Event::TrustChecked { first: true, edges })?)
    }

    /// Every edge as it is now. Nothing is recorded.
    ///
    /// # Errors
    /// Only that it was cancelled, or that what is declared cannot be read.
    pub async fn trust_now(self: &Arc<Self>) -> Result<Vec<TrustEdge>, Fault> {
        self.judge(None, &self.cancel).await
    }

    /// What there is of a host that was just added, before any step works on it.
    pub(super) async fn trust_of_added(self: &Arc<Self>, host: &str) -> Result<(), Fault> {
        if !self.log.state(|state| state.trust.judged()) {
            return Ok(());
        }
        let mut edges = self.judge(Some(host), &Cancel::new()).await?;
        self.log.state(|state| edges.retain(|edge| state.trust.first(edge).is_none()));
        if edges.is_empty() { Ok(()) } else { self.log.run(Event::TrustChecked { first: true, edges }) }
    }

    /// Every edge once more: the run has not ended well, or is not wholly taken back, while one is worse than it was
    /// before the first step.
    pub(super) async fn trust_at_end(self: &Arc<Self>, taken_back: bool) -> Result<(), Stop> {
        if self.runbook.trust.is_empty() || !self.log.state(|state| state.trust.judged()) {
            return Ok(());
        }
        let edges = self.judge(None, &Cancel::new()).await?;
        let moment = if taken_back { Moment::TakenBack } else { Moment::AtEnd };
        self.tell_forgiven(&edges, moment)?;
        self.log.run(Event::TrustChecked { first: false, edges: edges.clone() })?;
        let mut worse: Vec<String> = self.newly_broken(&edges, &[], moment).iter().map(no_longer).collect();
        worse.extend(self.no_longer_seen(&edges));
        if worse.is_empty() {
            return Ok(());
        }
        let (attempted, now_true) = match taken_back {
            true => ("roll back wholly", "every file is as it was before the run"),
            false => ("end the run", "every step is done"),
        };
        Err(Fault::failed(attempted, worse.join("; "))
            .now(now_true)
            .hint("look at the servers and files that are named; when they are well, do the same again")
            .into())
    }

    /// Edges that held before the first step and that nobody can see now; servers that answered then and do not.
    fn no_longer_seen(&self, edges: &[TrustEdge]) -> Vec<String> {
        self.log.state(|state| {
            let with_first = edges.iter().filter_map(|edge| Some((edge, state.trust.first(edge)?)));
            let told = with_first.filter_map(|(edge, first)| match edge.verdict {
                TrustVerdict::Unknown if first.verdict == TrustVerdict::Holds => {
                    Some(format!("nobody can tell any more whether {}: {}", edge.title(), edge.reason))
                }
                TrustVerdict::Holds if first.answered && !edge.answered && edge.side == Side::Server => {
                    Some(format!("{} no longer answers {}: {}", edge.server, edge.client, edge.reason))
                }
                _ => None,
            });
            told.collect()
        })
    }

    /// Edges that are broken and were not before the first step, but for those that the names allow, and those that
    /// are nobody's fault.
    fn newly_broken(&self, edges: &[TrustEdge], allowed: &[&str], moment: Moment) -> Vec<TrustEdge> {
        let may = |end: &str| end.split_once('@').is_some_and(|(name, _)| allowed.contains(&name));
        let new = |edge: &&TrustEdge| {
            edge.verdict == TrustVerdict::Broken
                && !may(&edge.server)
                && !may(&edge.client)
                && !self.log.state(|state| state.trust.was_broken(edge))
                && self.forgiven(edge, moment).is_none()
        };
        edges.iter().filter(new).cloned().collect()
    }

    /// Why a broken edge that was whole is not the run's doing.
    fn forgiven(&self, edge: &TrustEdge, moment: Moment) -> Option<&'static str> {
        let (ran_out, was_stale) = self.log.state(|state| {
            let was_stale = state.trust.first(edge).is_some_and(|first| first.stale);
            (state.trust.ran_out(edge), was_stale)
        });
        // What the run renewed and nobody started again is not renewed.
        let renewed_in_vain = moment == Moment::AtEnd && edge.stale && !was_stale;
        if ran_out && !renewed_in_vain {
            return Some("time alone broke it");
        }
        let as_it_was = moment == Moment::TakenBack && !edge.stale;
        as_it_was.then_some("every file that the run touched is as it was")
    }

    /// Notes what broke while the run was under way and is held against no step.
    fn tell_forgiven(&self, edges: &[TrustEdge], moment: Moment) -> Result<(), Fault> {
        for edge in edges.iter().filter(|edge| edge.verdict == TrustVerdict::Broken) {
            let known = self.log.state(|state| {
                let mut last = state.trust.last.iter();
                let told = last.any(|last| last.key() == edge.key() && last.verdict == TrustVerdict::Broken);
                told || state.trust.was_broken(edge)
            });
            if let Some(why) = self.forgiven(edge, moment).filter(|_| !known) {
                let text = format!("{}, and no step is blamed: {why}", no_longer(edge));
                self.log.run(Event::RunNote { text })?;
            }
        }
        Ok(())
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
    /// of `only` needs it: on that host, and on those it has edges with. A group without hosts gives none.
    async fn matrix(self: &Arc<Self>, only: Option<&str>) -> Result<TrustMatrix, Fault> {
        let declared = &self.runbook.trust;
        let (mut servers, mut clients) = (Vec::new(), Vec::new());
        for (name, server) in &declared.servers {
            let mut users = declared.clients.values().filter(|client| client.uses.contains(name));
            let used_here = only.is_some_and(|only| users.any(|client| self.is_on(&client.on, only)));
            for host in self.hosts_on(&server.on) {
                if used_here || only.is_none_or(|only| only == host) {
                    servers.push(self.server(name, server, host));
                }
            }
        }
        for (name, client) in &declared.clients {
            let mut used = declared.servers.iter().filter(|(server, _)| client.uses.contains(server));
            let uses_here = only.is_some_and(|only| used.any(|(_, server)| self.is_on(&server.on, only)));
            for host in self.hosts_on(&client.on) {
                if uses_here || only.is_none_or(|only| only == host) {
                    clients.push(self.client(name, client, host));
                }
            }
        }
        let (servers, clients) = futures::future::join(join_all(servers), join_all(clients)).await;
        Ok(TrustMatrix {
            servers: servers.into_iter().collect::<Result<_, _>>()?,
            clients: clients.into_iter().collect::<Result<_, _>>()?,
        })
    }

    fn hosts_on(&self, choice: &HostChoice) -> Vec<String> {
        choice.there(&self.hosts.groups())
    }

    fn is_on(&self, choice: &HostChoice, host: &str) -> bool {
        self.hosts_on(choice).iter().any(|own| own == host)
    }

    async fn server(
        self: &Arc<Self>,
        name: &str,
        server: &Server,
        host: String,
    ) -> Result<TrustServer, Fault> {
        let asking = asking(&host);
        let scope = self.scope(&asking, &Value::Null);
        let text = |value: &Dynamic| self.text(value, &scope);
        let own = || self.hosts.spec(&host).map_or_else(|| host.clone(), |spec| spec.address);
        let port = server.port.render(&self.script, &scope)?;
        let number = port.as_int().or_else(|| port.as_str().and_then(|text| text.parse().ok()));
        let number = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
        Ok(TrustServer {
            name: name.to_owned(),
            host: host.clone(),
            address: server.address.as_ref().map_or_else(|| Ok(own()), text)?,
            port: number.ok_or_else(|| {
                Fault::failed(format!("find the port of `{name}`"), format!("`{port}` is no port"))
                    .at(&server.span)
            })?,
            server_name: server.server_name.as_ref().map(text).transpose()?,
            cert: text(&server.cert)?,
            key: server.key.as_ref().map(text).transpose()?,
            clients: server.clients.as_ref().map(|bundle| self.bundle(bundle, &scope)).transpose()?,
            reads: self.reads(&server.reads, &asking, &scope).await?,
        })
    }

    async fn client(
        self: &Arc<Self>,
        name: &str,
        client: &Client,
        host: String,
    ) -> Result<TrustClient, Fault> {
        let asking = asking(&host);
        let scope = self.scope(&asking, &Value::Null);
        let text = |value: &Dynamic| self.text(value, &scope);
        Ok(TrustClient {
            name: name.to_owned(),
            host,
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
            for file in [Some(&server.cert), server.key.as_ref()].into_iter().flatten() {
                paths.push(self.text(file, &scope)?);
            }
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
            Bundle::Named { holder, after } => {
                Judged::Named { holder: self.text(holder, scope)?, after: self.text(after, scope)? }
            }
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
            Reads::CannotTell => JudgedReads::CannotTell(String::new()),
            // A process that is not there, or a host that cannot be reached, is for the verdict to say.
            Reads::Started(call) => {
                let cancel = self.cancel.child_token();
                let asked = self.started(call, asking, scope, &cancel);
                let told = tokio::time::timeout(STARTED, asked).await;
                cancel.cancel();
                let why = match told {
                    Ok(Ok(at)) => return Ok(JudgedReads::StartedAt(at)),
                    Ok(Err(fault)) => fault.cause,
                    Err(_) => format!("it took longer than {}", keybook_api::duration::format(STARTED)),
                };
                JudgedReads::CannotTell(format!("`{}` does not tell when it started: {why}", call.action))
            }
        })
    }

    /// When a process started, as a reading says: a number, or a map that holds it as `started` or, as of a command,
    /// as `stdout`.
    async fn started(
        self: &Arc<Self>,
        call: &Call,
        asking: &UnitId,
        scope: &Map,
        cancel: &Cancel,
    ) -> Result<i64, Fault> {
        let failed = |why: String| Fault::failed("find out when a process started", why).at(&call.span);
        let action = self.registry.get(&call.action).cloned();
        let action = action.ok_or_else(|| failed("there is no such action".to_owned()))?;
        let args = self.args(call, action.spec(), scope)?;
        let target = self.hosts.get(&asking.host).await?;
        let ctx = self.ctx(target, asking, 1, false, cancel.clone());
        let told = action.apply(&ctx, &args).await?.value;
        let told = told.get("started").or(told.get("stdout")).cloned().unwrap_or(told);
        let number = told.as_int().or_else(|| told.as_str()?.trim().parse().ok());
        number.ok_or_else(|| failed(format!("`{}` is no second since 1970", shortened(&told))))
    }
}

/// Enough of an answer to know it again.
fn shortened(value: &Value) -> String {
    value.to_string().trim().escape_debug().to_string().chars().take(80).collect()
}

impl Session {
    /// A unit that worked, and then failed only because of the trust that it left.
    pub(super) fn failed_only_trust(&self, unit: &UnitId) -> bool {
        self.log.state(|state| state.unit(unit).is_some_and(|known| known.only_trust))
    }

    /// Has somebody agreed to another runbook, other inputs or hosts since this unit's last record? Then it may be
    /// carried out another way.
    pub(super) fn revised_since(&self, unit: &UnitId) -> bool {
        self.log.state(|state| state.unit(unit).is_some_and(|known| known.seq < state.revised))
    }
}

impl Attempt<'_> {
    /// Judges the edges of this unit's host when what it did may have touched them.
    pub(super) async fn trust_after(&self, wrote: &[Touched], named_all: bool) -> Result<(), Fault> {
        // `finally` and a rollback stand on their own: what they leave is judged at their end.
        let own = canonical(&self.unit.step) == self.unit.step;
        // What is inside an atomic step without hosts was on hosts of its own, and nobody judged it there.
        let edges = self.unit.host != LOCAL || self.step.atomic && matches!(self.step.work, Work::Steps(_));
        if !own || !edges || !self.session.log.state(|state| state.trust.judged()) {
            return Ok(());
        }
        if self.inside_atomic() || !self.may_touch(wrote, named_all)? {
            return Ok(());
        }
        self.judge_own().await
    }

    /// The edges of this unit's host, as its effect left them; all of them after a step without hosts.
    async fn judge_own(&self) -> Result<(), Fault> {
        let host = Some(self.unit.host.as_str()).filter(|host| *host != LOCAL);
        // The effect has happened: a stop waits for the judgement, which is bounded in time.
        let edges = self.session.judge(host, &Cancel::new()).await?;
        self.session.tell_forgiven(&edges, Moment::AfterStep)?;
        self.write(Event::TrustChecked { first: false, edges: edges.clone() })?;
        let broken = self.session.newly_broken(&edges, &self.breaks(), Moment::AfterStep);
        if broken.is_empty() {
            return Ok(());
        }
        let told: Vec<String> = broken.iter().map(no_longer).collect();
        Err(Fault::failed(format!("keep trust whole in {}", self.unit), told.join("; "))
            .now("the step's effect has happened; nothing after it was begun")
            .hint("roll back, or mend the cause and resume; a step that has to break an edge for a while says `breaks`"))
    }

    /// A unit that worked and left trust broken is not carried out again: when its edges hold now, it is done.
    pub(super) async fn judge_again(&self) -> Result<(), Stop> {
        let begun = Instant::now();
        self.judge_own().await?;
        let known = self.session.log.state(|state| state.unit(&self.unit).cloned());
        let Some(known) = known else { return Ok(()) };
        let (result, changed, wrote) = (known.result, known.changed, known.wrote);
        self.write_synced(Event::UnitDone { result, changed, wrote, took_ms: millis(begun) }).await?;
        Ok(self.settle()?)
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
            Work::Steps(_) => self.step.atomic && self.steps_inside_changed(),
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

/// What is said of an edge that is broken now.
fn no_longer(edge: &TrustEdge) -> String {
    format!("{} no longer: {}", edge.title(), edge.reason)
}
