//! `sql`: MySQL and MariaDB, by the client on the node.

mod backup_table;
mod commit;
mod copy_rows;
mod put_files;
mod query;
mod rows;
mod statement;
mod transaction;
mod xml;

use crate::support::{
    program,
    tell::{command_line, failed, tail},
};
use keybook_api::{ArgKind, ArgSpec, Args, Command, Ctx, Exit, Fault, ReceiptId, Registry, Secret, Value};
use std::time::Duration;

/// The actions of the family, in the order of the reference.
pub fn register(all: &mut Registry) {
    all.add(query::Query);
    all.add(transaction::Transaction);
    all.add(backup_table::BackupTable);
    all.add(put_files::PutFiles);
    all.add(copy_rows::CopyRows);
}

const DATABASE: ArgSpec = ArgSpec::optional("database", ArgKind::Text, "", "The database to use.");
const USER: ArgSpec = ArgSpec::optional("user", ArgKind::Text, "as the client's own files say", "Login.");
const PASSWORD: ArgSpec = ArgSpec::optional(
    "password",
    ArgKind::Secret,
    "as the client's own files say",
    "Its password. When it is given, the client reads none of its own option files.",
);
const HOST: ArgSpec =
    ArgSpec::optional("host", ArgKind::Text, "the local socket", "The server, as seen from the node.");
const PORT: ArgSpec = ArgSpec::optional("port", ArgKind::Int, "3306", "Its port.");
const SOCKET: ArgSpec =
    ArgSpec::optional("socket", ArgKind::Path, "the client's own", "The server's Unix socket on the node.");
const CLIENT: ArgSpec = ArgSpec::optional(
    "client",
    ArgKind::Texts,
    "mysql",
    "The program, or a list of words that begins the command, such as `[docker, exec, -i, db, mysql]`.",
);
const TIMEOUT: ArgSpec =
    ArgSpec::optional("timeout", ArgKind::Duration, "60s", "End the client after this time.");

/// How a server is asked.
struct Client {
    words: Vec<String>,
    password: Option<Secret>,
    timeout: Duration,
}

/// $1: how many bytes of the input are the option file; the rest is the command. The option file goes to the
/// client through a pipe, and the rest of the input is what the client reads: neither is ever in a file, in an
/// argument or in the environment.
const WITH_PASSWORD: &str = r#"bytes=$1; shift
exec 5<&0
head -c "$bytes" <&5 | { exec 3<&0; exec "$@" <&5 5<&-; }"#;

impl Client {
    fn from_args(args: &Args) -> Result<Self, Fault> {
        let mut words = program::words(args, "client", "mysql")?;
        let password = args.opt_secret("password")?;
        // The client takes it only as the first of its options.
        words.extend(password.is_some().then(|| "--defaults-file=/dev/fd/3".to_owned()));
        let rest =
            ["--batch", "--xml", "--binary-mode", "--skip-reconnect", "--default-character-set=utf8mb4"];
        words.extend(rest.map(str::to_owned));
        for name in ["user", "host", "database"] {
            words.extend(args.opt_text(name)?.map(|text| format!("--{name}={text}")));
        }
        words.extend(args.opt_path("socket")?.map(|path| format!("--socket={path}")));
        match args.opt_int("port")? {
            Some(port @ 1..=65_535) => words.push(format!("--port={port}")),
            Some(port) => return Err(Fault::usage("read the argument `port`", format!("{port} is no port"))),
            None => {}
        }
        let timeout = args.opt_duration("timeout")?.unwrap_or(Duration::from_secs(60));
        Ok(Self { words, password, timeout })
    }

    /// The command as it may be shown.
    fn line(&self) -> String {
        command_line(&self.words)
    }

    /// Runs SQL in one session; the client ends at the first error.
    async fn run(&self, ctx: &Ctx, sql: &[u8], receipt: Option<ReceiptId>) -> Result<Exit, Fault> {
        let mut command = match &self.password {
            None => Command::argv(self.words.clone()).stdin(Secret::new(sql)),
            Some(password) => {
                let mut input = option_file(password)?;
                let bytes = input.len().to_string();
                input.extend_from_slice(sql);
                Command::shell(WITH_PASSWORD).args([bytes]).args(self.words.clone()).stdin(Secret::new(input))
            }
        };
        command.receipt = receipt;
        command.keep_output = 8 << 20;
        let exit = ctx.target.exec(command.timeout(self.timeout).cancel(&ctx.cancel), &|_, _| {}).await?;
        if exit.truncated {
            return Err(failed(ctx, "read the client's answer", "it is more than 8 MiB"));
        }
        Ok(exit)
    }

    /// Runs SQL that only reads; an error of the server is a fault. The rows of all its result sets.
    async fn rows(&self, ctx: &Ctx, doing: &str, sql: &str) -> Result<Vec<Value>, Fault> {
        let exit = self.run(ctx, sql.as_bytes(), None).await?;
        if !exit.ok() {
            return Err(failed(ctx, doing, trouble(&exit)));
        }
        xml::rows(&exit.out()).map_err(|why| failed(ctx, doing, why))
    }
}

/// What the client says went wrong.
fn trouble(exit: &Exit) -> String {
    tail(&exit.err(), &format!("the client ended with status {}", exit.status))
}

/// An option file with only the password
/// ([option files](https://dev.mysql.com/doc/refman/8.0/en/option-files.html)).
fn option_file(password: &Secret) -> Result<Vec<u8>, Fault> {
    let bytes = password.expose();
    if bytes.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r')) {
        return Err(Fault::usage("read the argument `password`", "it holds a line break or a NUL byte"));
    }
    let mut file = Vec::with_capacity(2 * bytes.len() + 32);
    file.extend_from_slice(b"[client]\npassword=\"");
    for byte in bytes {
        if *byte == b'\\' {
            file.push(b'\\');
        }
        file.push(*byte);
    }
    file.extend_from_slice(b"\"\n");
    Ok(file)
}

#[cfg(test)]
mod tests;
