//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Rotates the certificates of Kubernetes platforms by carrying out runbooks.
#[derive(Debug, Parser)]
#[command(name = "keybook", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Verb,
}

/// Flags that every verb has.
#[derive(Debug, Args, Clone)]
pub struct Global {
    /// How results are printed
    #[arg(long, value_enum, default_value = "human", global = true)]
    pub format: Format,
    /// Show more (twice: even more)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// While something runs, show only gates, their answers and what went wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// No colours (the environment variable NO_COLOR says the same)
    #[arg(long, global = true)]
    pub no_color: bool,
}

/// The form of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Human,
    /// One JSON document (run, resume, rollback, plan, status, history, show, verify, validate, certs, trust)
    Json,
    /// One JSON object a line, as things happen (run, resume, rollback, show)
    Jsonl,
    /// A self-contained HTML page (show)
    Html,
    /// SARIF 2.1.0, for code hosts and editors (validate)
    Sarif,
    /// Prometheus' text format (certs)
    Prometheus,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Carry a runbook out
    Run(RunArgs),
    /// Show what a run would do, and change nothing
    Plan(PlanArgs),
    /// Check runbooks without running them
    Validate(ValidateArgs),
    /// Make the folder of a new runbook, with a sandbox and a test
    New(NewArgs),
    /// Print a shell's completions
    Completions(CompletionsArgs),
    /// Print a manual page, or write all of them
    Man(ManArgs),
    /// Print a JSON Schema (draft 2020-12), for editors
    Schema(SchemaArgs),
    /// Go on with a run that stopped or was killed
    Resume(ResumeArgs),
    /// Take a run back
    Rollback(RollbackArgs),
    /// How a run stands (the latest, when none is named)
    Status(RunName),
    /// List the runs on this machine
    History,
    /// Report what a run did
    Show(ShowArgs),
    /// Check a run's journal: is it whole and unbroken?
    Verify(VerifyArgs),
    /// Answer a waiting gate from elsewhere
    Approve(ApproveArgs),
    /// Remove the lock record of a run that is lost
    Unlock(UnlockArgs),
    /// Judge who verifies whom now, by what a runbook declares; changes nothing
    Trust(PlanArgs),
    /// List certificates, the most urgent first, and say which of them servers present
    Certs(CertsArgs),
}

impl Verb {
    /// The forms that its results can have.
    pub fn formats(&self) -> &'static [Format] {
        match self {
            Self::Run(_) | Self::Resume(_) | Self::Rollback(_) => {
                &[Format::Human, Format::Json, Format::Jsonl]
            }
            Self::Plan(_) | Self::Trust(_) | Self::Status(_) | Self::History | Self::Verify(_) => {
                &[Format::Human, Format::Json]
            }
            Self::Validate(_) => &[Format::Human, Format::Json, Format::Sarif],
            Self::Certs(_) => &[Format::Human, Format::Json, Format::Prometheus],
            Self::Show(_) => &[Format::Human, Format::Json, Format::Jsonl, Format::Html],
            Self::New(_)
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Schema(_)
            | Self::Approve(_)
            | Self::Unlock(_) => &[Format::Human],
        }
    }
}

/// Where hosts and inputs come from.
#[derive(Debug, Args, Clone, Default)]
pub struct Sources {
    /// The inventory: which hosts there are
    #[arg(short, long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Run in a sandbox: hosts are folders made by scenarios/NAME.yaml (default: `default`)
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "default", conflicts_with = "inventory")]
    pub sandbox: Option<String>,
    /// An input, or a file of inputs (repeatable)
    #[arg(short = 'e', long = "input", value_name = "KEY=VALUE|@FILE")]
    pub inputs: Vec<String>,
    /// Only these hosts (comma-separated)
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub limit: Vec<String>,
}

/// The language of the runbook's texts.
#[derive(Debug, Args, Clone, Default)]
pub struct Language {
    /// Show the runbook's texts in this language (default: what LC_ALL, LC_MESSAGES or LANG says, where there is one)
    #[arg(long, value_name = "LANG")]
    pub lang: Option<String>,
}

/// The language of a run that began already.
#[derive(Debug, Args, Clone, Default)]
pub struct OtherLanguage {
    /// Show the runbook's texts in this language (default: what the run began with)
    #[arg(long, value_name = "LANG")]
    pub lang: Option<String>,
}

/// How gates are answered.
#[derive(Debug, Args, Clone, Default)]
pub struct Answering {
    /// Nobody is at the terminal: never prompt; what is not answered stops the run
    #[arg(long)]
    pub unattended: bool,
    /// Answers by unit
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// Unattended: how long to wait at a gate for `keybook approve`
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = keybook_api::duration::parse)]
    pub wait: std::time::Duration,
    /// Ask before every step that changes something, gate or not
    #[arg(long)]
    pub step: bool,
    /// Hosts at once for steps with `order: parallel` that name no batch
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub parallel: usize,
    /// Stop after this phase
    #[arg(long, value_name = "PHASE")]
    pub until: Option<String>,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The runbook's folder
    pub runbook: PathBuf,
    #[command(flatten)]
    pub sources: Sources,
    #[command(flatten)]
    pub answering: Answering,
    #[command(flatten)]
    pub language: Language,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The runbook's folder
    pub runbook: PathBuf,
    #[command(flatten)]
    pub sources: Sources,
    #[command(flatten)]
    pub language: Language,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Runbook folders, folders of these, or single files: runbook.yaml, scenarios, answers, inventories
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileKind {
    /// runbook.yaml
    Runbook,
    /// lib/NAME.yaml
    Library,
    /// An inventory
    Inventory,
    /// Answers for an unattended run
    Answers,
    /// scenarios/NAME.yaml
    Scenario,
    /// i18n/LANG.yaml
    Translation,
}

#[derive(Debug, Args)]
pub struct NewArgs {
    /// The folder to make; its name is the runbook's
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub struct ManArgs {
    /// Of which verb; of the program when absent
    pub verb: Option<String>,
    /// Write every page (keybook.1, keybook-run.1, …) into this folder
    #[arg(long, value_name = "FOLDER", conflicts_with = "verb")]
    pub into: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of which kind of file
    pub of: FileKind,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The run
    pub run: String,
    #[command(flatten)]
    pub answering: Answering,
    /// Another inventory than the one the run began with
    #[arg(short, long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Secret inputs again, or inputs to change (repeatable)
    #[arg(short = 'e', long = "input", value_name = "KEY=VALUE|@FILE")]
    pub inputs: Vec<String>,
    /// Go on although runbook, inputs or inventory changed; the differences are journaled
    #[arg(long)]
    pub accept_changes: bool,
    /// What is still owed was done by hand, such as `restart@etcd-1` (repeatable); journaled with your name
    #[arg(long, value_name = "WHAT@HOST")]
    pub settled: Vec<String>,
    /// Ask again about a unit that was skipped, such as `install@etcd-1` (repeatable)
    #[arg(long, value_name = "UNIT")]
    pub again: Vec<String>,
    #[command(flatten)]
    pub language: OtherLanguage,
}

#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The run
    pub run: String,
    #[command(flatten)]
    pub answering: Answering,
    /// Secret inputs again (repeatable)
    #[arg(short = 'e', long = "input", value_name = "KEY=VALUE|@FILE")]
    pub inputs: Vec<String>,
    /// Go back with the runbook as it is in its folder now, which was mended since; the differences are journaled
    #[arg(long)]
    pub accept_changes: bool,
    /// What is still owed was done by hand, such as `restart@etcd-1` (repeatable); journaled with your name
    #[arg(long, value_name = "WHAT@HOST")]
    pub settled: Vec<String>,
    /// A unit that could not be taken back was taken back by hand, such as `install@etcd-1` (repeatable); journaled with your name
    #[arg(long, value_name = "UNIT")]
    pub taken_back: Vec<String>,
    /// Why, for the journal
    #[arg(long, default_value = "asked for on the command line")]
    pub reason: String,
    #[command(flatten)]
    pub language: OtherLanguage,
}

#[derive(Debug, Args)]
pub struct RunName {
    /// The run; the latest when absent
    pub run: Option<String>,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The run; the latest when absent
    pub run: Option<String>,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Show the steps' titles in this language (default: that of the run). What was asked stays as it was asked
    #[arg(long, value_name = "LANG")]
    pub lang: Option<String>,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The run; the latest when absent
    pub run: Option<String>,
    /// The head that was printed when the run ended, kept elsewhere: proves that nothing was rewritten since
    #[arg(long, value_name = "HASH")]
    pub head: Option<String>,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The run
    pub run: String,
    /// The unit whose gate waits: step@host#item
    pub unit: String,
    /// The answer
    #[arg(long, value_enum, default_value = "run")]
    pub answer: Reply,
    /// The reason (needed for skip)
    #[arg(long, default_value = "")]
    pub why: String,
}

/// An answer from elsewhere.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Reply {
    /// Run the unit
    Run,
    /// Leave it out
    Skip,
    /// Stop the run
    Stop,
    /// Roll the run back
    RollBack,
}

#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// The inventory of the cluster
    #[arg(short, long, value_name = "FILE")]
    pub inventory: PathBuf,
    /// The run whose lock is to go, exactly as the lock record names it
    #[arg(long, value_name = "RUN")]
    pub run: String,
    /// A secret that the inventory names, from a file (repeatable)
    #[arg(short = 'e', long = "input", value_name = "NAME=@FILE")]
    pub inputs: Vec<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct CertsArgs {
    /// Files and folders to look in (default: /etc/kubernetes, /var/lib/kubelet/pki and /srv/kubernetes, where they are)
    pub paths: Vec<String>,
    /// Look on these hosts (default: on this machine)
    #[arg(short, long, value_name = "FILE")]
    pub inventory: Option<PathBuf>,
    /// Only these hosts of the inventory (comma-separated)
    #[arg(long, value_name = "HOSTS", value_delimiter = ',', requires = "inventory")]
    pub limit: Vec<String>,
    /// Leave out what is at or below this path (repeatable)
    #[arg(long, value_name = "PATH")]
    pub exclude: Vec<String>,
    /// Ask this port, too, which certificate it presents, besides 443, 2379, 2380, 4001, 6443, 8443, 10250, 10257 and 10259 (repeatable)
    #[arg(long = "port", value_name = "PORT")]
    pub ports: Vec<u16>,
    /// Exit with 10 when a certificate ends within this time (0s: when one has ended)
    #[arg(long, value_name = "DURATION", value_parser = keybook_api::duration::parse)]
    pub within: Option<std::time::Duration>,
    /// A secret that the inventory names, from a file (repeatable)
    #[arg(short = 'e', long = "input", value_name = "NAME=@FILE", requires = "inventory")]
    pub inputs: Vec<String>,
}
