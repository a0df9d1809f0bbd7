//! A runbook with its hosts that are looked at, without a run.

use super::run::draw_salt;
use crate::{
    args::{Answering, Language, Sources},
    assemble::{self, Company, Hosts, Parts},
    error::CliError,
    lang,
    output::Output,
    people::unattended::Unattended,
    runs::{RunDir, operator},
    watch::Screen,
};
use keybook_api::{Cancel, Fault, RunId};
use keybook_core::run::{engine, session::Session};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What looks. What has to be kept meanwhile is in a temporary folder that goes away with it.
pub struct Looking {
    /// Looks, and changes neither hosts nor the state directory.
    pub session: Arc<Session>,
    /// The hosts are a sandbox's.
    pub sandbox: bool,
    _folder: tempfile::TempDir,
}

impl Looking {
    /// Reads the runbook, its inputs and its hosts.
    pub fn begin(
        runbook: PathBuf,
        sources: Sources,
        language: Language,
        output: &Output,
    ) -> Result<Self, CliError> {
        let shown = runbook.display().to_string();
        let mut loaded = assemble::load(&runbook, &shown)?;
        output.problems_if_any(&loaded.warnings, &loaded.sources);
        lang::choose(&mut loaded, language.lang.as_deref())?;
        let hosts = Hosts::find(&sources, &runbook)?;
        let sandbox = hosts.is_sandbox();
        let inputs =
            assemble::collect_inputs(&loaded, &sources.inputs, &hosts.inputs(&loaded.runbook), true)?;
        let folder = tempfile::tempdir().map_err(|error| Fault::failed("make a temporary folder", error))?;
        let id =
            RunId::new("plan").ok_or_else(|| Fault::failed("name the plan", "the name is not allowed"))?;
        let run = RunDir { id, path: folder.path().to_owned() };
        let cancel = Cancel::new();
        let company = Company {
            person: Arc::new(Unattended {
                inbox: run.path.join("inbox"),
                wait: Duration::ZERO,
                cancel: cancel.clone(),
                name: operator(),
            }),
            watchers: Vec::new(),
            screen: Screen::new(false),
        };
        let parts =
            Parts { run: run.clone(), loaded, hosts, inputs, limit: sources.limit, salt: draw_salt()? };
        let setup = assemble::setup(parts, &Answering::default(), output, &company, cancel)?;
        let session = engine::look(setup, &run.journal())?;
        Ok(Self { session, sandbox, _folder: folder })
    }
}
