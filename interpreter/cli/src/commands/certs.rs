//! `keybook certs`

use crate::{
    args::{CertsArgs, Format},
    assemble::{self, Hosts},
    error::{CliError, exit_code},
    inputs,
    output::Output,
};
use keybook_api::{Cancel, Connector, Fault, FaultKind, HostListing, HostSpec};
use keybook_core::run::hosts::LOCAL;
use keybook_report::certificates::{Listing, Unread, prometheus};
use keybook_stdlib::certificates::{DEFAULT_PATHS, DEFAULT_PORTS, Search, list};
use std::{collections::BTreeSet, io::IsTerminal, path::Path, sync::Arc};
use tokio::task::JoinSet;

/// How many hosts are looked at at once.
const AT_ONCE: usize = 20;
/// The exit code for a threshold that was passed.
const THRESHOLD: i32 = 10;

/// Lists certificates, the most urgent first.
pub async fn certs(args: CertsArgs, output: &Output) -> Result<i32, CliError> {
    let hosts = hosts(&args)?;
    let search = search(&args)?;
    let connector = super::connector(std::io::stdin().is_terminal().then(|| output.clone()));
    let mut found = look(connector, hosts, &search).await;
    found.sort_by(|a, b| a.0.cmp(&b.0));

    let mut listing = Listing { now: jiff::Timestamp::now().as_second(), ..Listing::default() };
    let (mut exit, mut answered, asked) = (0, 0, found.len());
    // What was asked for by name must be somewhere.
    let mut nowhere: BTreeSet<&String> = search.paths.iter().filter(|_| !args.paths.is_empty()).collect();
    for (host, told) in found {
        match told {
            Ok(told) => {
                answered += 1;
                nowhere.retain(|path| told.missing.contains(path));
                exit = worse(exit, i32::from(!told.problems.is_empty()));
                let unread = told.problems.into_iter().map(|problem| Unread { host: host.clone(), problem });
                listing.unread.extend(unread);
                listing.certificates.extend(told.certificates);
                told.notes
                    .iter()
                    .filter(|_| output.verbosity > 1)
                    .for_each(|note| output.say(&format!("{host}: {note}")));
            }
            Err(fault) => {
                exit = worse(exit, exit_code(fault.kind));
                output.fault(&fault);
                listing.unread.push(Unread { host, problem: fault.cause });
            }
        }
    }
    // Of a host that did not answer nobody can tell; that is said already.
    for path in nowhere.iter().filter(|_| answered == asked) {
        output.fault(&Fault::failed(format!("look for certificates in {path}"), "it is on no host"));
        listing.unread.push(Unread { host: String::new(), problem: format!("{path} is on no host") });
        exit = worse(exit, 1);
    }
    listing.sort();
    show(&listing, output)?;
    if listing.certificates.is_empty() && exit == 0 {
        let why = format!("there is none in {}", search.paths.join(", "));
        return Err(Fault::failed("list certificates", why)
            .hint("name the files or folders that they are in")
            .into());
    }
    let passed = args
        .within
        .is_some_and(|within| listing.ending_within(i64::try_from(within.as_secs()).unwrap_or(i64::MAX)) > 0);
    Ok(if exit == 0 && passed { THRESHOLD } else { exit })
}

/// Unreachable before failed; both before a threshold.
fn worse(one: i32, other: i32) -> i32 {
    let rank = |code: i32| match code {
        0 => 0,
        4 => 2,
        _ => 1,
    };
    if rank(other) > rank(one) { other } else { one }
}

/// This machine, or the hosts of an inventory.
fn hosts(args: &CertsArgs) -> Result<Vec<HostSpec>, CliError> {
    let Some(file) = &args.inventory else {
        return Ok(vec![HostSpec { local: true, ..HostSpec::named(LOCAL) }]);
    };
    let mut inventory = Hosts::inventory_file(file)?.inventory();
    if let Some(odd) = args.limit.iter().find(|name| !inventory.hosts.contains_key(*name)) {
        let why = format!("`{odd}` is no host of {}", file.display());
        return Err(Fault::usage("choose the hosts", why).hint(known(&inventory.hosts)).into());
    }
    let chosen = |name: &String| args.limit.is_empty() || args.limit.contains(name);
    inventory.secrets.retain(|name, _| chosen(name));
    let named = inventory.secrets.values().flat_map(|host| host.password.iter().chain(&host.passphrase));
    let secrets = inputs::secrets(named, &args.inputs, std::io::stdin().is_terminal())?;
    assemble::fill_secrets(&mut inventory, &secrets)?;
    let hosts: Vec<HostSpec> = inventory.hosts.into_values().filter(|spec| chosen(&spec.name)).collect();
    if hosts.is_empty() {
        return Err(Fault::usage("choose the hosts", format!("{} names none", file.display())).into());
    }
    Ok(hosts)
}

fn known<V>(hosts: &indexmap::IndexMap<String, V>) -> String {
    let names: Vec<&str> = hosts.keys().map(String::as_str).collect();
    format!("it has {}", names.join(", "))
}

/// On this machine relative paths are relative to the working directory; elsewhere there is none.
fn search(args: &CertsArgs) -> Result<Search, Fault> {
    let whole = |path: &String| {
        if path.starts_with('/') {
            return Ok(path.clone());
        }
        if args.inventory.is_some() {
            return Err(Fault::usage("look for certificates", format!("`{path}` is no absolute path"))
                .hint("on the hosts of an inventory paths begin with a slash"));
        }
        let path = std::path::absolute(Path::new(path))
            .map_err(|error| Fault::usage(format!("find {path}"), error))?;
        path.into_os_string()
            .into_string()
            .map_err(|path| Fault::usage(format!("look in {}", path.display()), "its name is not UTF-8"))
    };
    let named = args.paths.iter().map(whole).collect::<Result<Vec<_>, _>>()?;
    let paths = if named.is_empty() { DEFAULT_PATHS.map(str::to_owned).to_vec() } else { named };
    let exclude = args.exclude.iter().map(whole).collect::<Result<_, _>>()?;
    let ports = DEFAULT_PORTS.into_iter().chain(args.ports.iter().copied()).collect();
    // Who names places asks for what is in them.
    Ok(Search { paths, exclude, ports, unfiled: args.paths.is_empty() })
}

/// Looks at all hosts, some at once.
async fn look(
    connector: Arc<dyn Connector>,
    hosts: Vec<HostSpec>,
    search: &Search,
) -> Vec<(String, Result<HostListing, Fault>)> {
    let turns = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut all = JoinSet::new();
    for spec in hosts {
        let (connector, search, turns) = (Arc::clone(&connector), search.clone(), Arc::clone(&turns));
        all.spawn(async move {
            let _turn = turns.acquire().await;
            let told = async {
                let target = connector.connect(&spec).await?;
                let listing = list(&*target, &search, &Cancel::new()).await;
                target.close().await;
                listing
            };
            (spec.name.clone(), told.await)
        });
    }
    let mut found = Vec::new();
    while let Some(one) = all.join_next().await {
        match one {
            Ok(one) => found.push(one),
            Err(error) => {
                let fault = Fault::new(FaultKind::Failed, "look at a host", error);
                found.push((String::new(), Err(fault)));
            }
        }
    }
    found
}

fn show(listing: &Listing, output: &Output) -> Result<(), Fault> {
    match output.format {
        Format::Json => {
            output.result(&listing.to_json().map_err(|error| Fault::failed("write the list", error))?);
        }
        Format::Prometheus => output.result(&prometheus(listing)),
        _ => {
            output.result(&listing.render(output.color_out, output.width));
            for unread in listing.unread.iter().filter(|unread| !unread.host.is_empty()) {
                output.say(&format!("not read: {}: {}", unread.host, unread.problem));
            }
        }
    }
    Ok(())
}
