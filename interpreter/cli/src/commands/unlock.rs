//! `keybook unlock`

use crate::{
    args::UnlockArgs,
    assemble::{self, Hosts},
    error::CliError,
    inputs,
    output::Output,
    people::prompt::Question,
};
use keybook_api::{Fault, FaultKind};
use keybook_core::run::lock::{lock_path, read};
use keybook_report::text;
use std::io::IsTerminal;

/// Removes the lock records of one run from every host that has them. Records of other runs stay.
pub async fn unlock(args: UnlockArgs, output: &Output) -> Result<i32, CliError> {
    let mut inventory = Hosts::inventory_file(&args.inventory)?.inventory();
    let terminal = std::io::stdin().is_terminal();
    let named = inventory.secrets.values().flat_map(|host| host.password.iter().chain(&host.passphrase));
    let secrets = inputs::secrets(named, &args.inputs, terminal && !args.yes)?;
    assemble::fill_secrets(&mut inventory, &secrets)?;
    if !args.yes {
        if !terminal {
            return Err(Fault::usage("unlock the cluster", "there is no terminal to ask at")
                .hint("--yes says that you are sure")
                .into());
        }
        let question = Question::begin();
        output.tell("Make sure that the run is lost and nothing of it is under way: the lock is what keeps two runs apart.");
        let typed = question.ask(&format!(
            "Type the cluster's name ({}) to remove the lock of {}",
            inventory.cluster, args.run
        ));
        if !typed.is_ok_and(|typed| typed == inventory.cluster) {
            return Err(Fault::new(FaultKind::Waiting, "unlock the cluster", "it was not confirmed")
                .now("nothing was changed")
                .into());
        }
    }
    let connector = super::connector(terminal.then(|| output.clone()));
    let (mut removed, mut worst) = (0, None);
    for spec in inventory.hosts.values() {
        let outcome = async {
            let target = connector.connect(spec).await?;
            let found = read(&target, &inventory.cluster).await?;
            match found {
                Some(record) if record.run == args.run => {
                    target.remove(&lock_path(&inventory.cluster)).await?;
                    output.result(&format!(
                        "{}: removed the lock of {}",
                        spec.name,
                        text::clean(&record.holder)
                    ));
                    removed += 1;
                }
                Some(record) => output.say(&format!(
                    "{}: held by another run, {}; left alone",
                    spec.name,
                    text::clean(&record.run)
                )),
                None => {}
            }
            target.close().await;
            Ok::<(), Fault>(())
        };
        if let Err(fault) = outcome.await {
            output.fault(&fault);
            worst = Some(fault);
        }
    }
    match worst {
        Some(fault) => Ok(crate::error::exit_code(fault.kind)),
        None if removed == 0 => {
            Err(Fault::usage("unlock the cluster", format!("no host holds a lock of run {}", args.run))
                .into())
        }
        None => Ok(0),
    }
}
