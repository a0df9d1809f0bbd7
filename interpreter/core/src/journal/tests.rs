use super::{reader, writer::Writer};
use keybook_api::{Event, RunId};
use std::{fs, path::PathBuf};

fn journal(lines: u32) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.jsonl");
    let mut writer = Writer::create(&path, &RunId::new("r1").unwrap()).unwrap();
    for number in 0..lines {
        let note = Event::UnitNote { text: format!("note {number}") };
        writer.append(None, None, note, true).unwrap();
    }
    (dir, path)
}

fn lines(path: &PathBuf) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn what_was_written_is_read_back() {
    let (_dir, path) = journal(3);
    let read = reader::read(&path).unwrap();
    assert_eq!(read.records.len(), 3);
    assert_eq!(read.torn_bytes, 0);
    assert_eq!(read.records[2].event, Event::UnitNote { text: "note 2".into() });
}

#[test]
fn a_torn_tail_is_cut_and_the_chain_goes_on() {
    let (_dir, path) = journal(3);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let read = reader::read(&path).unwrap();
    assert_eq!(read.records.len(), 2);
    assert!(read.torn_bytes > 0);
    let mut writer = Writer::append_to(&path, &read).unwrap();
    writer.append(None, None, Event::UnitNote { text: "again".into() }, true).unwrap();
    assert_eq!(reader::read(&path).unwrap().records.len(), 3);
}

#[test]
fn an_edited_line_is_refused_by_number() {
    let (_dir, path) = journal(3);
    let edited = fs::read_to_string(&path).unwrap().replace("note 0", "note X");
    fs::write(&path, edited).unwrap();
    let fault = reader::read(&path).unwrap_err();
    assert!(fault.cause.starts_with("line 2: its hash of the line before is wrong"), "{fault}");
}

#[test]
fn reordered_and_removed_lines_are_refused() {
    let (_dir, path) = journal(3);
    let mut kept = lines(&path);
    kept.swap(1, 2);
    fs::write(&path, kept.join("\n") + "\n").unwrap();
    assert!(reader::read(&path).unwrap_err().cause.starts_with("line 2:"));
    let mut kept = lines(&path);
    kept.remove(0);
    fs::write(&path, kept.join("\n") + "\n").unwrap();
    assert!(reader::read(&path).unwrap_err().cause.starts_with("line 1:"));
}

#[test]
fn a_newer_format_is_named() {
    let (_dir, path) = journal(1);
    let newer = fs::read_to_string(&path).unwrap().replace("\"v\":1", "\"v\":7");
    fs::write(&path, newer).unwrap();
    let fault = reader::read(&path).unwrap_err();
    assert!(fault.cause.contains("it is of format 7; this program reads up to 1"), "{fault}");
}

#[test]
fn a_journal_is_never_created_over_another() {
    let (_dir, path) = journal(1);
    assert!(Writer::create(&path, &RunId::new("r2").unwrap()).is_err());
}
