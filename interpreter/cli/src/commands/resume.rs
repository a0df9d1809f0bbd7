//! `keybook resume`

use super::{finish, pin};
use crate::{
    args::{Answering, ResumeArgs},
    assemble::{self, Company, Hosts, Parts},
    error::CliError,
    lang,
    output::Output,
    runs::RunDir,
    signals,
};
use keybook_api::{Event, Fault, Map, Record, Secret, Value};
use keybook_core::{
    journal::reader::Journal,
    model::{Files, Inventory, Loaded, Runbook},
    run::{
        drift,
        engine::{self, Setup},
    },
};
use std::path::PathBuf;

/// What a run pinned: its first record, and where differences were accepted later, what it went on with.
pub struct Opened {
    /// The folder of the copies.
    pub place: PathBuf,
    /// How often the run was resumed or begun to be taken back.
    pub turns: usize,
    /// The runbook's folder.
    pub folder: PathBuf,
    /// Digest of the runbook.
    pub digest: String,
    /// Inputs; secrets as keyed hashes.
    pub inputs: indexmap::IndexMap<String, serde_json::Value>,
    /// `--limit`.
    pub limit: Vec<String>,
    /// Salt of the keyed hashes.
    pub salt: String,
    /// Was it a sandbox?
    pub sandbox: bool,
}

/// Goes on with a run.
pub async fn resume(args: ResumeArgs, output: &Output) -> Result<i32, CliError> {
    let run = RunDir::find(&args.run)?;
    let _claim = run.claim()?;
    let journal = run.read()?;
    let opened = opened(&run, &journal)?;
    if opened.sandbox && args.inventory.is_some() {
        return Err(Fault::usage(
            format!("resume run {}", run.id),
            "it is a sandbox run, and -i names real hosts",
        )
        .now("nothing was changed")
        .into());
    }
    let pinned = pinned(&opened)?;
    let (mut loaded, mut differences) = current_runbook(&opened, pinned, args.accept_changes, output)?;
    lang::again(&run, &mut loaded, args.language.lang.as_deref())?;
    let (hosts, other, of_hosts) = current_hosts(&opened, args.inventory.clone())?;
    differences.extend(of_hosts);
    let known = known_inputs(&opened, &hosts, &loaded.runbook);
    let guided = !args.answering.unattended;
    let inputs = assemble::collect_inputs(&loaded, &args.inputs, &known, guided)?;
    if !args.accept_changes {
        check_all_there(&opened, &inputs)?;
    }
    differences.extend(drift::input_differences(&opened.inputs, &inputs, &opened.salt));
    if !differences.is_empty() && !args.accept_changes {
        return Err(refused(&run, &differences).into());
    }
    if !differences.is_empty() {
        pin_accepted(&run, &opened, &loaded, &hosts, other)?;
    }
    let (limit, salt) = (opened.limit, opened.salt);
    let parts = Parts { run: run.clone(), loaded, hosts, inputs, limit, salt };
    let (mut setup, company) = go_on(parts, &journal, &args.answering, output)?;
    (setup.options.settled, setup.options.again) = (args.settled, args.again);
    let outcome = engine::resume(setup, &run.journal(), &journal, differences).await;
    company.screen.finish();
    finish::report(&run, journal.records.len(), outcome?, output)
}

/// The setup of a run that has begun before, and who goes along: they know what has happened.
pub fn go_on(
    parts: Parts,
    journal: &Journal,
    answering: &Answering,
    output: &Output,
) -> Result<(Setup, Company), CliError> {
    let cancel = signals::listen(&parts.run.id);
    let mut past = journal.records.clone();
    lang::retitle(&mut past, &parts.loaded.runbook);
    let company = assemble::company(&parts.run, answering, output, &cancel, &past)?;
    let setup = assemble::setup(parts, answering, output, &company, cancel)?;
    Ok((setup, company))
}

/// Reads the first record.
pub fn opened(run: &RunDir, journal: &Journal) -> Result<Opened, Fault> {
    let Some(Record { event: Event::RunOpened { runbook, inputs, limit, sandbox, .. }, .. }) =
        journal.records.first()
    else {
        return Err(Fault::failed("read the run's beginning", "its journal has no `run.opened` record")
            .now("the run never began, so nothing is to be resumed or taken back"));
    };
    let mut opened = Opened {
        place: run.path.join("pinned"),
        turns: 0,
        folder: PathBuf::from(&runbook.folder),
        digest: runbook.digest.clone(),
        inputs: inputs.clone(),
        limit: limit.clone(),
        salt: read_salt(run)?,
        sandbox: *sandbox,
    };
    for record in &journal.records {
        let pinned = match &record.event {
            Event::RunResumed { pinned, .. } | Event::RollbackStarted { pinned, .. } => pinned,
            _ => continue,
        };
        opened.turns += 1;
        if let Some(pinned) = pinned {
            opened.place = accepted_place(run, opened.turns);
            opened.digest.clone_from(&pinned.digest);
            opened.inputs.clone_from(&pinned.inputs);
        }
    }
    Ok(opened)
}

/// Where copies of what the given resume or rollback of a run went on with are, counted from 1.
fn accepted_place(run: &RunDir, turn: usize) -> PathBuf {
    run.pinned(&turn.to_string())
}

/// The key of the hashes of secret inputs: kept apart from the journal, which may be shown around.
fn read_salt(run: &RunDir) -> Result<String, Fault> {
    std::fs::read_to_string(run.pinned("salt")).map_err(|error| {
        Fault::failed("read the key of the run's secret inputs", error).now("nothing was changed")
    })
}

/// The runbook as the run began with it, or as it was accepted last.
pub fn pinned(opened: &Opened) -> Result<Loaded, CliError> {
    let shown = opened.folder.display().to_string();
    let mut loaded = assemble::load_copy(&opened.place, &shown)?;
    if loaded.digest != opened.digest {
        return Err(Fault::failed(
            "read the run's copy of the runbook",
            "it is not the one that the journal names",
        )
        .now("nothing was changed")
        .hint(format!("restore {}", opened.place.display()))
        .into());
    }
    loaded.folder = opened.folder.clone();
    Ok(loaded)
}

/// Copies what was accepted: later resumes and a rollback go on with that.
pub fn pin_accepted(
    run: &RunDir,
    opened: &Opened,
    loaded: &Loaded,
    hosts: &Hosts,
    other_hosts: bool,
) -> Result<(), CliError> {
    let place = accepted_place(run, opened.turns + 1);
    let folder = if other_hosts { pin::folder_of(hosts)? } else { pinned_place(opened)?.1 };
    Ok(pin::again(&place, loaded, hosts, &folder)?)
}

/// The runbook to go on with: the pinned one, or the folder's when it changed and that was accepted.
pub fn current_runbook(
    opened: &Opened,
    pinned: Loaded,
    accept: bool,
    output: &Output,
) -> Result<(Loaded, Vec<String>), CliError> {
    if !assemble::is_runbook(&opened.folder) {
        output.say(&format!(
            "{} is gone, so nobody can tell whether the runbook changed; going on with the run's own copy.",
            opened.folder.display()
        ));
        return Ok((pinned, Vec::new()));
    }
    let shown = opened.folder.display().to_string();
    // Translations do not count: one that changed, or that is wrong now, does not hold the run back.
    if Files::read(&opened.folder, &shown)?.digest() == opened.digest {
        return Ok((pinned, Vec::new()));
    }
    let now = assemble::load(&opened.folder, &shown)?;
    let mut differences = vec![format!("the runbook {shown} changed since the run began")];
    for (file, text) in &now.sources {
        let before = pinned.sources.get(file).cloned().unwrap_or_default();
        if before != *text {
            let diff = keybook_api::Diff {
                path: file.clone(),
                before: Some(before),
                after: Some(text.clone()),
                described: false,
            };
            output.say(&keybook_report::render_diff(&diff, output.color, output.width));
            differences.push(format!("{file} differs"));
        }
    }
    Ok((if accept { now } else { pinned }, differences))
}

/// The hosts to go on with, whether they are others than those of the run's copy, and how they differ. Those that are given,
/// else those of the run's inventory or scenario, where that is still there and no longer says what the run's copy says: one that
/// is wrong now is reported, not passed over.
pub fn current_hosts(
    opened: &Opened,
    given: Option<PathBuf>,
) -> Result<(Hosts, bool, Vec<String>), CliError> {
    let before = pinned_hosts(opened)?;
    let own = own_place(opened)?.filter(|file| given.is_none() && file.exists());
    let Some(file) = given.as_ref().or(own.as_ref()) else { return Ok((before, false, Vec::new())) };
    let now = if opened.sandbox { Hosts::scenario(file)? } else { Hosts::inventory_file(file)? };
    let (was, is) = (before.inventory(), now.inventory());
    let same = match opened.sandbox {
        true => before.texts() == now.texts(),
        false => was.lines() == is.lines(),
    };
    if given.is_none() && same {
        return Ok((before, false, Vec::new()));
    }
    same_cluster(&was, &is)?;
    let mut differences = drift::inventory_differences(&was, &is);
    if opened.sandbox {
        differences.push(format!("the scenario {} changed since the run began", file.display()));
    }
    Ok((now, true, differences))
}

/// Hosts of the run: the pinned copy. Messages name the scenario that somebody can mend.
pub fn pinned_hosts(opened: &Opened) -> Result<Hosts, CliError> {
    let (copy, folder) = pinned_place(opened)?;
    match own_place(opened)? {
        Some(own) if opened.sandbox => Hosts::scenario_copy(&copy, &own),
        _ => Hosts::inventory_from(&copy, &folder),
    }
}

/// Where the file was that the run's copy was made of.
fn own_place(opened: &Opened) -> Result<Option<PathBuf>, CliError> {
    let (copy, folder) = pinned_place(opened)?;
    Ok(copy.file_name().map(|name| folder.join(name)))
}

/// The copy of the file that says which hosts there are, and the folder that relative places in it start from.
fn pinned_place(opened: &Opened) -> Result<(PathBuf, PathBuf), CliError> {
    let place = std::fs::read_to_string(opened.place.join("hosts"))
        .map_err(|error| Fault::failed("find where the inventory came from", error))?;
    let (name, folder) = place.trim_end().split_once('\n').unwrap_or((place.trim_end(), "/"));
    Ok((opened.place.join("hosts.d").join(name), PathBuf::from(folder)))
}

/// Its lock is held under the cluster's name, so that cannot be accepted as a difference.
fn same_cluster(before: &Inventory, now: &Inventory) -> Result<(), Fault> {
    if before.cluster == now.cluster {
        return Ok(());
    }
    let cause =
        format!("the run is of the cluster `{}`, these hosts are of `{}`", before.cluster, now.cluster);
    Err(Fault::usage("go on with other hosts", cause)
        .now("nothing was changed")
        .hint("begin a new run for another cluster"))
}

/// The inputs that the journal knows, secrets left out: those are asked for again, or a sandbox's scenario gives them.
pub fn known_inputs(opened: &Opened, hosts: &Hosts, runbook: &Runbook) -> Map {
    let mut known = hosts.inputs(runbook);
    for (name, json) in &opened.inputs {
        if json.get("keyed_hash").is_none() {
            known.insert(name.clone(), Value::from_json(json));
        }
    }
    known
}

/// A secret that the run began with, an optional one too, is no null all of a sudden.
fn check_all_there(opened: &Opened, inputs: &Map) -> Result<(), Fault> {
    for (name, json) in &opened.inputs {
        let given = matches!(inputs.get(name), Some(Value::Secret(_)));
        if json.get("keyed_hash").is_some() && !given {
            let attempted = format!("read the input `{name}`");
            let variable = crate::inputs::variable(name);
            return Err(Fault::usage(attempted, "the run began with this secret, and it is not given now")
                .now("nothing was changed")
                .hint(format!("give it again: {variable} in the environment, or -e {name}=@FILE")));
        }
    }
    Ok(())
}

/// The secret inputs of a rollback must be those of the run.
pub fn check_secrets(opened: &Opened, inputs: &Map) -> Result<(), Fault> {
    check_all_there(opened, inputs)?;
    for (name, value) in inputs {
        let Value::Secret(secret) = value else { continue };
        if opened
            .inputs
            .get(name)
            .and_then(|json| json.get("keyed_hash"))
            .is_some_and(|hash| !same(hash, secret, &opened.salt))
        {
            return Err(Fault::usage(
                format!("read the input `{name}`"),
                "it is not the secret that the run began with",
            )
            .now("nothing was changed"));
        }
    }
    Ok(())
}

fn same(hash: &serde_json::Value, secret: &Secret, salt: &str) -> bool {
    hash.as_str() == Some(secret.keyed_hash(salt).as_str())
}

fn refused(run: &RunDir, differences: &[String]) -> Fault {
    Fault::usage(format!("resume run {}", run.id), differences.join("\n"))
        .now("nothing was changed; the run rests as before")
        .hint("put it back as it was, or go on with what is there now: --accept-changes")
}
