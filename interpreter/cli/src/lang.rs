//! In which language a runbook's texts are shown: `--lang`, else what the run began with, else the environment.

use crate::{error::CliError, runs::RunDir};
use keybook_api::{Event, Fault, Record};
use keybook_core::model::{Loaded, Runbook};

/// The variables that name the language of messages, the strongest first (POSIX, Environment Variables).
const VARIABLES: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

/// Puts the runbook's texts into the language that is wished for; gives it.
///
/// # Errors
/// A usage fault when `--lang` names a language that the runbook has not. The environment's is only a wish.
pub fn choose(loaded: &mut Loaded, explicit: Option<&str>) -> Result<String, CliError> {
    let wish = explicit.map(str::to_owned).or_else(from_environment);
    speak(loaded, explicit, wish)
}

/// The same for a run that began already: without `--lang` it goes on in the language that it began with.
pub fn again(run: &RunDir, loaded: &mut Loaded, explicit: Option<&str>) -> Result<(), CliError> {
    let kept = std::fs::read_to_string(run.pinned("lang")).ok();
    let wish = explicit.map(str::to_owned).or(kept);
    speak(loaded, explicit, wish).map(drop)
}

/// Puts the titles that a run's first record tells into the language that the runbook now speaks.
pub fn retitle(records: &mut [Record], now: &Runbook) {
    let Some(Record { event: Event::RunOpened { runbook, steps, .. }, .. }) = records.first_mut() else {
        return;
    };
    runbook.title.clone_from(&now.title);
    for info in steps {
        if let Some(step) = now.step_at(&info.path) {
            *info = now.info(&info.path, step);
        }
    }
}

fn speak(loaded: &mut Loaded, explicit: Option<&str>, wish: Option<String>) -> Result<String, CliError> {
    let found = wish.and_then(|wish| loaded.language_for(&tag(&wish)));
    let Some(found) = found else {
        return match explicit {
            Some(wish) => Err(unknown(loaded, wish).into()),
            None => Ok(loaded.runbook.lang.value.clone()),
        };
    };
    loaded.speak(&found);
    Ok(found)
}

fn unknown(loaded: &Loaded, wish: &str) -> Fault {
    let there = loaded.languages().join(", ");
    Fault::usage(format!("use --lang {wish}"), "the runbook is not in that language")
        .now("nothing was changed")
        .hint(format!("it has: {there} (the first is its own)"))
}

/// The language that messages are wished in, as its variable says it: the first that is set and not empty.
fn from_environment() -> Option<String> {
    VARIABLES.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// `zh_CN.UTF-8` → `zh-CN`. `C` and `POSIX` become tags that no runbook has.
fn tag(locale: &str) -> String {
    locale.split(['.', '@']).next().unwrap_or_default().trim().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn locales_become_tags() {
        for (locale, wanted) in [
            ("zh_CN.UTF-8", "zh-CN"),
            ("de_DE@euro", "de-DE"),
            ("zh", "zh"),
            ("C.UTF-8", "C"),
            ("POSIX", "POSIX"),
            ("", ""),
        ] {
            assert_eq!(tag(locale), wanted);
        }
    }
}
