//! One run a cluster: a lock record on every host, with holder, run and time, kept while the run rests.

use super::{session::STATE_ROOT, session::Session, stop::Stop};
use futures::future::join_all;
use keybook_api::{Event, Fault, FaultKind, Secret, Target, Write};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// How often a lock record is written anew when another run is at it at the same moment.
const TRIES: u32 = 4;

/// The pause between.
const PAUSE: Duration = Duration::from_millis(100);

/// What a lock record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// The run.
    pub run: String,
    /// The cluster.
    pub cluster: String,
    /// `user@machine` that began the run.
    pub holder: String,
    /// When: RFC 3339, UTC.
    pub since: String,
}

/// Where the record of a cluster is.
pub fn lock_path(cluster: &str) -> String {
    format!("{STATE_ROOT}/lock-{cluster}.json")
}

/// The record on a host; `None` when there is none.
pub async fn read(target: &Arc<dyn Target>, cluster: &str) -> Result<Option<LockRecord>, Fault> {
    let path = lock_path(cluster);
    let file = match target.look(&path, 64 * 1024).await {
        Ok(found) => found.file,
        // Whoever held it gives it back at this very moment.
        Err(_) if target.stat(&path).await?.is_none() => None,
        Err(fault) => return Err(fault),
    };
    let Some((_, bytes)) = file else {
        return Ok(None);
    };
    let record = serde_json::from_slice(bytes.expose()).map_err(|error| {
        Fault::failed(format!("read the lock record {path}"), error).on(target.name()).hint(
            "look at it; when no run holds the cluster, `keybook unlock -i INVENTORY --run RUN` removes it",
        )
    })?;
    Ok(Some(record))
}

impl Session {
    /// Takes the lock on every host, all or none: on the first host alone, so that of two runs that begin at once one gets
    /// it, then on the others together. Hosts that hold it for this run already are fine.
    pub async fn lock(&self, cluster: &str, holder: &str) -> Result<(), Stop> {
        let record = LockRecord {
            run: self.id.to_string(),
            cluster: cluster.to_owned(),
            holder: holder.to_owned(),
            since: crate::journal::writer::now_text(),
        };
        let hosts = self.hosts_to_lock();
        let (first, others) = hosts.split_at(hosts.len().min(1));
        let mut taken: Vec<String> = Vec::new();
        for together in [first, others] {
            let outcomes = join_all(together.iter().map(|host| self.lock_host(host, cluster, &record))).await;
            let mut failed = None;
            for (host, outcome) in together.iter().zip(outcomes) {
                // The write may have happened although its answer was lost.
                let held = || self.log.state(|state| state.locked.contains(host));
                if matches!(outcome, Ok(true)) || outcome.is_err() && !held() {
                    taken.push(host.clone());
                }
                failed = failed.or(outcome.err());
            }
            if let Some(fault) = failed {
                return Err(self.give_back(&taken, cluster, fault).await.into());
            }
        }
        self.log.run(Event::LockTaken { hosts })?;
        Ok(())
    }

    /// A host that was found while running: the preflight's checks, then the lock.
    pub async fn take_in(&self, host: &str) -> Result<(), Fault> {
        if self.log.state(|state| state.locked.contains(host)) {
            return Ok(());
        }
        let findings = self.look_at(host).await?;
        self.record(&findings)?;
        let bad: Vec<String> = findings.iter().filter(|found| !found.ok).map(ToString::to_string).collect();
        if !bad.is_empty() {
            return Err(Fault::failed(format!("take {host} in"), bad.join("; "))
                .on(host)
                .now("the run knows the host, and no step worked on it")
                .hint("mend what is named, then resume"));
        }
        let cluster = self.hosts.cluster();
        let record = LockRecord {
            run: self.id.to_string(),
            cluster: cluster.clone(),
            holder: self.person.name(),
            since: crate::journal::writer::now_text(),
        };
        self.lock_host(host, &cluster, &record).await?;
        self.log.run(Event::LockTaken { hosts: vec![host.to_owned()] })
    }

    /// Gives back what was taken before the lock failed; the failure says where that did not work.
    async fn give_back(&self, taken: &[String], cluster: &str, mut fault: Fault) -> Fault {
        let outcomes = join_all(taken.iter().map(|host| self.unlock_host(host, cluster))).await;
        for (host, outcome) in taken.iter().zip(outcomes) {
            if outcome.is_err() {
                fault = fault
                    .hint(format!("the lock record may still be on {host}; `keybook unlock -i INVENTORY --run RUN` removes it"));
            }
        }
        fault
    }

    /// True when the record was written now, false when this run held it already.
    async fn lock_host(&self, host: &str, cluster: &str, record: &LockRecord) -> Result<bool, Fault> {
        let target = self.hosts.get(host).await?;
        // With it the folders above it, each of which is looked at before anything is made in it.
        target.make_dir(&format!("{}/staging", self.state_dir()), 0o700).await?;
        let content = serde_json::to_vec_pretty(record)
            .map_err(|error| Fault::failed("write the lock record", error))?;
        let write = Write { content: Secret::new(content), mode: Some(0o600), owner: None, create_new: true };
        for left in (0..TRIES).rev() {
            let there = target.list(STATE_ROOT).await?;
            if there.contains(&format!("lock-{cluster}.json"))
                && let Some(other) = read(&target, cluster).await?
            {
                // After the first look it is what this call wrote, although it heard of a failure.
                let ours_now = left + 1 < TRIES;
                return if other.run == record.run {
                    Ok(ours_now)
                } else {
                    Err(locked(host, cluster, &other))
                };
            }
            self.refuse_other_clusters(&target, cluster, there).await?;
            match target.write(&lock_path(cluster), write.clone()).await {
                Ok(_) => break,
                // Somebody else is at it: a write removes what it takes for the rest of an earlier one. The next look tells.
                Err(fault) if fault.kind == FaultKind::Failed && left > 0 => tokio::time::sleep(PAUSE).await,
                Err(fault) => return Err(fault),
            }
        }
        // Two that began at once with other names for the cluster saw nothing of each other: now at least one of them does.
        let there = target.list(STATE_ROOT).await?;
        if let Err(fault) = self.refuse_other_clusters(&target, cluster, there).await {
            self.unlock_host(host, cluster).await?;
            return Err(fault);
        }
        Ok(true)
    }

    /// A host that a run holds for a cluster of another name is no host of this one, or that run is about the same
    /// cluster.
    async fn refuse_other_clusters(
        &self,
        target: &Arc<dyn Target>,
        cluster: &str,
        there: Vec<String>,
    ) -> Result<(), Fault> {
        for name in there {
            let other = name.strip_prefix("lock-").and_then(|rest| rest.strip_suffix(".json"));
            let Some(other) = other.filter(|other| *other != cluster) else { continue };
            if let Some(record) = read(target, other).await?
                && record.run != self.id.as_str()
            {
                return Err(locked(target.name(), cluster, &record));
            }
        }
        Ok(())
    }

    async fn unlock_host(&self, host: &str, cluster: &str) -> Result<(), Fault> {
        let target = self.hosts.get(host).await?;
        match read(&target, cluster).await? {
            Some(record) if record.run == self.id.as_str() => target.remove(&lock_path(cluster)).await,
            _ => Ok(()),
        }
    }

    /// Gives the lock back on every host.
    pub async fn unlock(&self, cluster: &str) -> Result<(), Stop> {
        self.unlock_hosts(self.locked(), cluster).await
    }

    /// The hosts that hold this run's record, as the journal knows.
    pub fn locked(&self) -> Vec<String> {
        self.log.state(|state| state.locked.iter().cloned().collect())
    }

    /// Removes this run's record from these hosts; one that cannot be asked keeps it, and does not hold the others up.
    pub async fn unlock_hosts(&self, hosts: Vec<String>, cluster: &str) -> Result<(), Stop> {
        let outcomes = join_all(hosts.iter().map(|host| self.unlock_host(host, cluster))).await;
        let (mut released, mut failed) = (Vec::new(), None);
        for (host, outcome) in hosts.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => released.push(host),
                Err(fault) => failed = failed.or(Some(fault)),
            }
        }
        self.log.run(Event::LockReleased { hosts: released })?;
        failed.map_or(Ok(()), |fault| Err(fault.into()))
    }
}

fn locked(host: &str, cluster: &str, other: &LockRecord) -> Fault {
    let held = if other.cluster == cluster {
        "it".to_owned()
    } else {
        format!("this host for the cluster {}", other.cluster)
    };
    Fault::new(
        FaultKind::Locked,
        format!("lock the cluster {cluster}"),
        format!("run {} of {} holds {held} since {}", other.run, other.holder, other.since),
    )
    .on(host)
    .now("nothing was changed on any host")
    .hint(format!("go on with that run (`keybook resume {0}` or `keybook rollback {0}`)", other.run))
    .hint("when its journal is lost and you know that nothing is under way, `keybook unlock -i INVENTORY --run RUN`")
}
