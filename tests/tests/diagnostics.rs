//! What `keybook validate` says, word for word: a fixture for every diagnostic code, and a page of the book from them.
//!
//! A fixture is a folder of `tests/fixtures/diagnostics`, named by the code that it shows, with a number where one code
//! has messages that differ: `in/` holds the smallest files that show it, `out.txt` what `keybook validate in` prints (or
//! `keybook validate in/FILE` where there is no runbook). `KEYBOOK_BLESS=1` writes what is printed now;
//! after that `UPDATE_BOOK=1` writes the page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::{
    book,
    cli::{Keybook, root},
    sources,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};
use tempfile::TempDir;

/// A fixture, a file in it, and what makes the file.
type Made = (&'static str, &'static str, fn() -> Vec<u8>);

/// What a fixture's files cannot hold: made where it is run.
const MADE: &[Made] = &[("too-large-2", "scenarios/default.yaml", || {
    let mut text = b"keybook: 1\nscenario: default\ntitle: ".to_vec();
    text.resize(keybook_source::MAX_BYTES + 1, b'x');
    text
})];

/// Codes that `keybook validate` cannot show, each with the reason.
const NEVER_SHOWN: &[(&str, &str)] =
    &[("script-library", "the functions in stdlib/rhai come with the program; its own tests compile them")];

/// One fixture.
struct Fixture {
    name: String,
    folder: PathBuf,
}

impl Fixture {
    fn all() -> Vec<Self> {
        let folder = root().join("tests/fixtures/diagnostics");
        let mut all: Vec<Self> = fs::read_dir(folder)
            .unwrap()
            .flatten()
            .map(|entry| Self { name: entry.file_name().into_string().unwrap(), folder: entry.path() })
            .collect();
        all.sort_by_key(|fixture| (fixture.code().to_owned(), fixture.number()));
        all
    }

    fn number(&self) -> u32 {
        self.name.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).unwrap_or(1)
    }

    fn code(&self) -> &str {
        match self.name.rsplit_once('-') {
            Some((code, number)) if number.parse::<u32>().is_ok() => code,
            _ => &self.name,
        }
    }

    fn wanted(&self) -> String {
        fs::read_to_string(self.folder.join("out.txt")).unwrap_or_default()
    }

    /// What `keybook validate` prints: first the problems, then what is valid.
    fn run(&self, keybook: &Keybook) -> (String, Option<i32>) {
        let made: Vec<_> = MADE.iter().filter(|(name, ..)| *name == self.name).collect();
        let copy = TempDir::new().unwrap();
        let folder = if made.is_empty() { &self.folder } else { copy.path() };
        if !made.is_empty() {
            copy_files(&self.folder.join("in"), &copy.path().join("in"));
        }
        for (_, file, text) in made {
            let path = copy.path().join("in").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text()).unwrap();
        }
        let mut paths = vec!["in".to_owned()];
        if !folder.join("in/runbook.yaml").exists() {
            paths = files(&folder.join("in"));
            paths.iter_mut().for_each(|path| path.insert_str(0, "in/"));
        }
        let args = ["validate".to_owned()].into_iter().chain(paths);
        let ended = keybook.command(args).current_dir(folder).stdin(Stdio::null()).output().unwrap();
        let Output { status, stdout, stderr } = ended;
        (String::from_utf8([stderr, stdout].concat()).unwrap(), status.code())
    }
}

/// The files below a folder, by their place in it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

fn copy_files(from: &Path, to: &Path) {
    for file in files(from) {
        fs::create_dir_all(to.join(&file).parent().unwrap()).unwrap();
        fs::copy(from.join(&file), to.join(&file)).unwrap();
    }
}

#[test]
fn every_diagnostic_is_shown_exactly_so() {
    let home = TempDir::new().unwrap();
    let keybook = Keybook::new(home.path());
    let fixtures = Fixture::all();
    let next = AtomicUsize::new(0);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let mut wrong = Vec::new();
            while let Some(fixture) = fixtures.get(next.fetch_add(1, Ordering::Relaxed)) {
                wrong.extend(judge(fixture, &keybook));
            }
            wrong
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}\nKEYBOOK_BLESS=1 writes what is printed now", wrong.join("\n"));
}

/// What is wrong with a fixture, if anything.
fn judge(fixture: &Fixture, keybook: &Keybook) -> Option<String> {
    let (printed, code) = fixture.run(keybook);
    let (name, wanted) = (&fixture.name, fixture.wanted());
    let shows = |level: &str| printed.lines().any(|line| line.starts_with(level));
    if !shows(&format!("error[{}]", fixture.code())) && !shows(&format!("warning[{}]", fixture.code())) {
        return Some(format!("{name} does not show `{}`:\n{printed}", fixture.code()));
    }
    let expected = if shows("error[") { 2 } else { 0 };
    if code != Some(expected) {
        return Some(format!("{name} ended with {code:?}, not {expected}:\n{printed}"));
    }
    if printed != wanted && std::env::var_os("KEYBOOK_BLESS").is_some() {
        fs::write(fixture.folder.join("out.txt"), printed).unwrap();
        return None;
    }
    (printed != wanted).then(|| format!("{name} prints\n{printed}\ninstead of\n{wanted}"))
}

#[test]
fn every_code_in_the_sources_has_a_fixture() {
    let written = sources::diagnostic_codes();
    let shown: BTreeSet<String> = Fixture::all().iter().map(|fixture| fixture.code().to_owned()).collect();
    for code in &written {
        let never = NEVER_SHOWN.iter().any(|(never, _)| never == code);
        assert!(shown.contains(code) != never, "`{code}` needs a folder in tests/fixtures/diagnostics");
    }
    let gone: Vec<&String> = shown.iter().filter(|code| !written.contains(*code)).collect();
    assert!(gone.is_empty(), "nothing in the sources reports {gone:?}");
    let never: Vec<_> = NEVER_SHOWN.iter().filter(|(code, _)| !written.contains(*code)).collect();
    assert!(never.is_empty(), "nothing in the sources reports {never:?}");
}

/// The renderings for the book, without the folder of the fixture and the lines about valid files.
fn rendering(fixture: &Fixture) -> String {
    let said = fixture.wanted();
    let problems = said.lines().filter(|line| !line.starts_with("in: ") && !line.ends_with(" is valid"));
    problems.collect::<Vec<_>>().join("\n").replace("--> in/", "--> ").trim_end().to_owned()
}

#[test]
fn the_book_shows_every_diagnostic() {
    let mut by_code: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for fixture in Fixture::all() {
        by_code.entry(fixture.code().to_owned()).or_default().push(rendering(&fixture));
    }
    let mut text = String::from(
        "# Diagnostics by message\n\nEverything that `keybook validate` says about files, with an example of each message, \
         by its code. An error ends it with the exit code 2; warnings alone with 0. Made from `tests/fixtures/diagnostics`, \
         which hold the files of each example.\n",
    );
    for (code, renderings) in by_code {
        write!(text, "\n## {code}\n").unwrap();
        for rendering in renderings {
            write!(text, "\n```text\n{rendering}\n```\n").unwrap();
        }
    }
    book::check("diagnostics.md", &text);
}
