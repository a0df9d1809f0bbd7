//! One file a verb.

mod approve;
mod certs;
mod finish;
mod history;
mod looking;
mod man;
mod new;
mod pin;
mod plan;
mod resume;
mod rollback;
mod run;
mod schema;
mod show;
mod status;
mod trust;
mod unlock;
mod validate;
mod verify;

use crate::{
    args::{Cli, Format, Verb},
    error::CliError,
    output::Output,
    people::prompt::Question,
};
use async_trait::async_trait;
use clap::{CommandFactory, ValueEnum};
use keybook_api::{Connector, Fault};
use keybook_targets::{HostKeyPolicy, RefuseUnknown, SshSettings, SystemConnector};
use std::sync::Arc;

/// Carries a verb out; the number is the exit code.
pub async fn dispatch(cli: Cli, output: &Output) -> Result<i32, CliError> {
    check_format(&cli.command, output.format)?;
    match cli.command {
        Verb::Run(args) => run::run(args, output).await,
        Verb::Plan(args) => plan::plan(args, output).await,
        Verb::Validate(args) => validate::validate(&args, output),
        Verb::New(args) => new::new(&args, output),
        Verb::Completions(args) => completions(args.shell, output),
        Verb::Man(args) => man::man(&args, output),
        Verb::Schema(args) => schema::schema(&args, output),
        Verb::Resume(args) => resume::resume(args, output).await,
        Verb::Rollback(args) => rollback::rollback(args, output).await,
        Verb::Status(args) => status::status(&args, output),
        Verb::History => history::history(output),
        Verb::Show(args) => show::show(&args, output),
        Verb::Verify(args) => verify::verify(&args, output),
        Verb::Approve(args) => approve::approve(&args, output),
        Verb::Unlock(args) => unlock::unlock(args, output).await,
        Verb::Trust(args) => trust::trust(args, output).await,
        Verb::Certs(args) => certs::certs(args, output).await,
    }
}

/// `keybook completions`
fn completions(shell: clap_complete::Shell, output: &Output) -> Result<i32, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "keybook", &mut script);
    output.result(&String::from_utf8_lossy(&script));
    Ok(0)
}

/// A form that a verb does not have is refused, not replaced by another.
fn check_format(verb: &Verb, asked: Format) -> Result<(), Fault> {
    let formats = verb.formats();
    if formats.contains(&asked) {
        return Ok(());
    }
    let word = |format: &Format| {
        format.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    };
    let words: Vec<String> = formats.iter().map(word).collect();
    Err(Fault::usage(format!("print {}", word(&asked)), "this verb has no such form")
        .now("nothing was changed")
        .hint(format!("--format takes here: {}", words.join(", "))))
}

/// Reaches real hosts. With a terminal, unknown host keys may be accepted there.
pub fn connector(ask: Option<Output>) -> Arc<dyn Connector> {
    let policy: Arc<dyn HostKeyPolicy> = match ask {
        None => Arc::new(RefuseUnknown),
        Some(output) => Arc::new(AskAboutHostKeys { output, one_at_a_time: tokio::sync::Mutex::new(()) }),
    };
    Arc::new(SystemConnector::new(SshSettings::from_env(), policy))
}

/// Shows the fingerprint of a host that is not known yet; only a typed `yes` accepts it.
struct AskAboutHostKeys {
    output: Output,
    one_at_a_time: tokio::sync::Mutex<()>,
}

#[async_trait]
impl HostKeyPolicy for AskAboutHostKeys {
    async fn unknown_host(&self, host: &str, fingerprint: &str) -> bool {
        let _turn = self.one_at_a_time.lock().await;
        let question = Question::begin();
        self.output.tell(&format!(
            "\nThe host key of {host} is not known yet: {fingerprint}\n\
             Compare it with what the host's console shows (for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done)."
        ));
        let asked = tokio::task::spawn_blocking(move || {
            question.ask("Accept this key? Type yes").is_ok_and(|typed| typed == "yes")
        });
        asked.await.unwrap_or(false)
    }
}
