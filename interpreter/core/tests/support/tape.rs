//! Takes a picture of journal and hosts after every record and after every change on a host: the states that a
//! crash can leave behind.

use super::world::{Hosts, World};
use keybook_api::Record;
use keybook_core::run::log::Watcher;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

/// What a crash at one instant leaves.
#[derive(Clone)]
pub struct Shot {
    pub journal: Vec<u8>,
    pub hosts: Hosts,
    /// What had just happened.
    pub after: String,
}

pub struct Tape {
    journal: PathBuf,
    world: Arc<World>,
    shots: Mutex<Vec<Shot>>,
}

impl Tape {
    pub fn new(journal: PathBuf, world: &Arc<World>) -> Arc<Self> {
        let tape = Arc::new(Self { journal, world: Arc::clone(world), shots: Mutex::default() });
        let weak = Arc::downgrade(&tape);
        world.hook(move |hosts| {
            if let Some(tape) = weak.upgrade() {
                tape.shoot("a change on a host".into(), hosts.clone());
            }
        });
        tape
    }

    fn shoot(&self, after: String, hosts: Hosts) {
        let journal = std::fs::read(&self.journal).unwrap();
        self.shots.lock().unwrap().push(Shot { journal, hosts, after });
    }

    pub fn shots(&self) -> Vec<Shot> {
        self.shots.lock().unwrap().clone()
    }
}

impl Watcher for Tape {
    fn record(&self, record: &Record) {
        let name = super::bench::name(record);
        let unit = record.unit.as_ref().map(ToString::to_string).unwrap_or_default();
        self.shoot(format!("record {} {name} {unit}", record.seq), self.world.hosts());
    }
}
