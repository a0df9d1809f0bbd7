//! The `keybook` binary: reads the command line and the environment, calls the engine, prints, asks.

mod args;
mod assemble;
mod check;
mod commands;
mod error;
mod inputs;
mod lang;
mod output;
mod people;
mod runs;
mod signals;
mod watch;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let output = output::Output::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.fault(&keybook_api::Fault::failed("start", error));
            return ExitCode::from(1);
        }
    };
    let code = runtime.block_on(async {
        signals::watch();
        match commands::dispatch(cli, &output).await {
            Ok(code) => code,
            Err(error) => error.report(&output),
        }
    });
    // A prompt that nobody answered must not hold the process back.
    runtime.shutdown_background();
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
