//! What a scenario asked for and did not come about. It is told to whoever wrote the scenario, and changes nothing.

use super::faults;
use super::world::Sandbox;
use std::io;

/// Daemons that do not start with the files that the scenario makes. Trouble with the sandbox's own files is met by whoever
/// works with them next.
pub(crate) fn of_the_start(sandbox: &Sandbox) -> Vec<String> {
    let look = || -> io::Result<Vec<String>> {
        let _lock = sandbox.lock()?;
        let mut notes = Vec::new();
        for host in sandbox.scenario().hosts.keys() {
            let records = sandbox.settle(host)?;
            for daemon in sandbox.scenario().daemons_of(host) {
                let why = records.get(&daemon.name).and_then(|record| record.error.as_deref());
                notes.extend(why.map(|why| {
                    let (name, span) = (&daemon.name, &daemon.span);
                    format!(
                        "the daemon `{name}` ({}:{}) does not start on {host}: {why}",
                        span.file, span.line
                    )
                }));
            }
        }
        Ok(notes)
    };
    look().unwrap_or_default()
}

/// Faults that struck on no host.
pub(crate) fn of_the_end(sandbox: &Sandbox) -> Vec<String> {
    let look = || -> io::Result<Vec<String>> {
        let _lock = sandbox.lock()?;
        let mut notes = Vec::new();
        for (number, rule) in sandbox.scenario().faults.iter().enumerate() {
            let met = faults::met(sandbox, number, rule)?;
            if met >= rule.nth {
                continue;
            }
            let (file, line) = (&rule.span.file, rule.span.line);
            let why = match met {
                0 => "nothing fitted it".to_owned(),
                met => format!("what it fits came {met} of {} times", rule.nth),
            };
            notes.push(format!("the fault at {file}:{line} did not strike in this run: {why}"));
        }
        Ok(notes)
    };
    look().unwrap_or_default()
}
