//! `keybook run`

use super::{finish, pin};
use crate::{
    args::RunArgs,
    assemble::{self, Hosts, Parts},
    error::CliError,
    lang,
    output::Output,
    runs::RunDir,
    signals,
};
use keybook_api::Fault;
use keybook_core::{journal::format::hex, run::engine};
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt};

/// Begins a run.
pub async fn run(args: RunArgs, output: &Output) -> Result<i32, CliError> {
    let shown = args.runbook.display().to_string();
    let mut loaded = assemble::load(&args.runbook, &shown)?;
    output.problems_if_any(&loaded.warnings, &loaded.sources);
    let language = lang::choose(&mut loaded, args.language.lang.as_deref())?;
    let hosts = Hosts::find(&args.sources, &args.runbook)?;
    let guided = !args.answering.unattended;
    let inputs =
        assemble::collect_inputs(&loaded, &args.sources.inputs, &hosts.inputs(&loaded.runbook), guided)?;
    if let Some(file) = &args.answering.answers {
        let answers = assemble::answers(Some(file), &loaded)?;
        let strangers = answers.unknown_hosts(hosts.inventory().hosts.keys(), "now");
        let text = fs::read_to_string(file).unwrap_or_default();
        output.problems_if_any(&strangers, &[(file.display().to_string(), text)].into());
    }
    let run = RunDir::create()?;
    let _claim = run.claim()?;
    pin::whole(&run.path.join("pinned"), &loaded, &hosts)?;
    pin::language(&run.pinned("lang"), &language)?;
    let cancel = signals::listen(&run.id);
    let company = assemble::company(&run, &args.answering, output, &cancel, &[])?;
    let parts =
        Parts { run: run.clone(), loaded, hosts, inputs, limit: args.sources.limit, salt: salt(&run)? };
    let setup = assemble::setup(parts, &args.answering, output, &company, cancel)?;
    output.say(&format!("run {}", run.id));
    let outcome = engine::start(setup, &run.journal()).await;
    company.screen.finish();
    finish::report(&run, 0, outcome?, output)
}

/// Draws the key of a run's keyed hashes.
pub fn draw_salt() -> Result<String, Fault> {
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).map_err(|error| Fault::failed("draw random numbers", error))?;
    Ok(hex(&salt))
}

/// Draws the key of the run's keyed hashes and keeps it beside the journal, 0600.
fn salt(run: &RunDir) -> Result<String, Fault> {
    let salt = draw_salt()?;
    let failed = |error: std::io::Error| {
        Fault::failed("keep the key of the run's secret inputs", error).now("nothing was changed")
    };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(run.pinned("salt"))
        .map_err(failed)?;
    file.write_all(salt.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(salt)
}
