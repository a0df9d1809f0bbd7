//! `keybook man`: manual pages, made from the command line's own description.

use crate::{
    args::{Cli, ManArgs},
    error::CliError,
    output::Output,
};
use clap::{Command, CommandFactory};
use keybook_api::Fault;
use std::{fs, path::Path};

/// Prints the page of the program or of one verb, or writes all of them.
pub fn man(args: &ManArgs, output: &Output) -> Result<i32, CliError> {
    let program = built();
    if let Some(folder) = &args.into {
        return write_all(&program, folder, output);
    }
    let page = match &args.verb {
        None => page(program),
        Some(name) => page(verb(&program, name)?),
    }?;
    output.result(&String::from_utf8_lossy(&page));
    Ok(0)
}

/// The command line with what clap adds to every verb, such as the flags that all of them have.
fn built() -> Command {
    let mut program = Cli::command();
    program.build();
    program
}

fn verb(program: &Command, name: &str) -> Result<Command, Fault> {
    let found = verbs(program).find(|verb| verb.get_name() == name);
    found.map(named).ok_or_else(|| {
        let known: Vec<&str> = verbs(program).map(Command::get_name).collect();
        Fault::usage(format!("show the manual page of `{name}`"), "there is no such verb")
            .hint(format!("the verbs: {}", known.join(", ")))
    })
}

fn verbs(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
}

/// A verb under the name of its page: `keybook-run`.
fn named(verb: &Command) -> Command {
    let name = format!("keybook-{}", verb.get_name());
    verb.clone().name(name).disable_help_subcommand(true)
}

fn page(command: Command) -> Result<Vec<u8>, Fault> {
    let mut page = Vec::new();
    let written = clap_mangen::Man::new(command).render(&mut page);
    written.map_err(|error| Fault::failed("make a manual page", error))?;
    Ok(page)
}

fn write_all(program: &Command, folder: &Path, output: &Output) -> Result<i32, CliError> {
    let cannot =
        |error: std::io::Error| Fault::failed(format!("write manual pages into {}", folder.display()), error);
    fs::create_dir_all(folder).map_err(cannot)?;
    let pages = verbs(program).map(named).chain([program.clone()]);
    let mut names = Vec::new();
    for command in pages {
        let file = folder.join(format!("{}.1", command.get_name()));
        fs::write(&file, page(command)?).map_err(cannot)?;
        names.push(file.display().to_string());
    }
    names.sort();
    output.result(&names.join("\n"));
    Ok(0)
}
