//! Arbitrary data in every field: nothing breaks the layout, drives the terminal or becomes markup.

use crate::data::{self, Journal};
use keybook_api::{
    Change, Diff, Event, HowKnown, Record, Side, StreamName, TrustEdge, TrustVerdict, UnitId, event::*,
};
use keybook_report::{
    Card, HistoryRow, LiveText, RunSummary, history, history::Unreadable, html, human, live, render_card,
};
use proptest::prelude::*;
use serde_json::json;

/// Everything that a runbook, an inventory or a host can put into a journal is this text.
fn records(text: &str, number: i64) -> Vec<Record> {
    let mut journal = Journal::open(1, true);
    let own = || text.to_owned();
    if let Event::RunOpened { runbook, cluster, operator, hosts, steps, limit, inputs, .. } =
        &mut journal.records[0].event
    {
        (runbook.title, runbook.name, runbook.version) = (own(), own(), own());
        (*cluster, *operator, *limit) = (own(), own(), vec![own()]);
        inputs.insert(own(), json!(text));
        hosts[0].name = own();
        hosts[0].groups = vec![own(), own()];
        steps[0] = StepInfo { path: own(), title: own(), why: own(), action: own(), irreversible: true };
    }
    let fault = FaultInfo {
        cause: own(),
        attempted: own(),
        host: Some(own()),
        hints: vec![own()],
        now_true: Some(own()),
        ..data::fault()
    };
    let certificate = json!({"kind": "certificate", "path": text, "subject": text, "issuer": text, "sha256": text,
        "sans": [text], "not_before_unix": number, "not_after_unix": number.wrapping_mul(7)});
    let diff = Diff {
        path: own(),
        before: Some(own()),
        after: Some(format!("{text}\n{text}")),
        described: number % 2 == 0,
    };
    let owed = || vec![own()];
    let id = UnitId { step: own(), host: own(), item: Some(own()) };
    let unit_events = [
        Event::UnitFacts {
            facts: [(own(), certificate.clone())].into_iter().collect(),
            withheld: [(own(), own())].into_iter().collect(),
        },
        Event::UnitPlanned {
            change: Change::CannotKnow(own()),
            lines: vec![own()],
            diffs: vec![diff],
            basis: String::new(),
        },
        Event::UnitPlanChanged { detail: own() },
        Event::GateAsked { question: own(), irreversible: true },
        Event::GateAnswered { answer: Answer::Run, by: own(), via: Via::Inbox, why: own() },
        Event::UnitIntent {
            action: own(),
            args: Default::default(),
            args_digest: own(),
            memo: json!(null),
            touches: vec![],
        },
        Event::BackupTaken { host: own(), store: own(), paths: owed(), entries: vec![] },
        Event::UnitOutput { stream: StreamName::Stderr, line: own() },
        Event::UnitNote { text: own() },
        Event::UnitRetried { cause: own(), attempt: 1, of: 2, delay_ms: u64::MAX },
        Event::UnitApplied { result: certificate, changed: true },
        Event::UnitFailed {
            fault: fault.clone(),
            before_effect: true,
            only_trust: false,
            wrote: Vec::new(),
            took_ms: u64::MAX,
        },
        Event::UnitReconciled {
            verdict: own(),
            reason: own(),
            by: own(),
            result: json!(null),
            wrote: vec![],
        },
        Event::UnitSkipped { reason: SkipReason::When, detail: own() },
        Event::UnitUndoIntent { how: own(), paths: owed() },
        Event::UnitUndoFailed { fault },
    ];
    for event in unit_events {
        journal.add(event);
        let last = journal.records.last_mut().unwrap();
        (last.unit, last.attempt) = (Some(id.clone()), Some(1));
    }
    journal.add(Event::PreflightChecked { host: own(), check: own(), ok: false, detail: own() });
    journal.add(Event::HostAdded {
        group: own(),
        host: own(),
        address: own(),
        port: None,
        user: None,
        key: None,
        via: None,
        sudo: false,
        replaceable: false,
    });
    journal.add(Event::TrustChecked {
        first: false,
        edges: vec![TrustEdge {
            server: own(),
            client: own(),
            side: Side::Client,
            verdict: TrustVerdict::Broken,
            known: HowKnown::Unknown,
            reason: own(),
            answered: false,
            stale: true,
            until: Some(i64::MIN),
        }],
    });
    journal.add(Event::RollbackStarted { by: own(), reason: own(), accepted: vec![own()], pinned: None });
    journal.add(Event::RollbackVerified { compared: u64::MAX, differing: owed() });
    journal.add(Event::RunResumed {
        operator: own(),
        unattended: true,
        accepted: owed(),
        pinned: None,
        until: None,
    });
    journal.add(Event::RunEnded {
        status: RunStatus::RollbackIncomplete,
        exit: 6,
        reason: own(),
        owed: owed(),
    });
    let last = journal.records.last_mut().unwrap();
    last.time = text.to_owned();
    journal.records
}

/// Text that attackers and the world produce.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "(<script>|</script|<!--|&lt;|\"|'|\u{1b}\\[2J|\u{9b}|\r|\n|\t|证书|🔐|\u{202e}|e\u{301}|a{90}| ){0,20}",
    ]
}

fn assert_safe(text: &str, width: usize) -> Result<(), TestCaseError> {
    for line in text.lines() {
        prop_assert!(console::measure_text_width(line) <= width, "{line:?}");
    }
    let bare = text.chars().find(|letter| letter.is_control() && *letter != '\n');
    prop_assert!(bare.is_none(), "{bare:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn text_stays_within_its_width(text in text(), number in any::<i64>(), width in 20usize..100) {
        let records = records(&text, number);
        let run = RunSummary::from_records(records.iter()).unwrap();
        assert_safe(&human::render(&run, false, width), width)?;
        assert_safe(&human::render(&run, false, 80), 80)?;
        let lost = Unreadable { run: run.run.clone(), problem: text.clone() };
        assert_safe(&history::render(&[HistoryRow::from(&run)], &[lost], false, width), width)?;
        let mut lines = LiveText::new(live::ALL, false, width);
        for record in &records {
            assert_safe(&lines.text(record), width)?;
        }
    }

    #[test]
    fn colour_is_all_that_a_terminal_is_sent(text in text()) {
        let records = records(&text, 5);
        let run = RunSummary::from_records(records.iter()).unwrap();
        let coloured = human::render(&run, true, 80);
        prop_assert_eq!(console::strip_ansi_codes(&coloured), human::render(&run, false, 80));
    }

    #[test]
    fn cards_stay_within_their_width(text in text(), width in 20usize..100) {
        let own = || text.clone();
        let step = StepInfo { path: own(), title: own(), why: own(), action: own(), irreversible: true };
        let diffs = [
            Diff { path: own(), before: Some(own()), after: Some(own() + "\nx"), described: false },
            Diff { path: own(), before: None, after: Some(own()), described: true },
        ];
        let card = Card {
            step: &step, position: None, hosts: &[own(), own()], item: Some(&text), at: None,
            change: &Change::CannotKnow(own()), lines: &[own()], diffs: &diffs, sandbox: false, trust: &[],
        };
        assert_safe(&render_card(&card, false, width), width)?;
    }

    #[test]
    fn data_never_becomes_markup(text in text(), number in any::<i64>()) {
        let page = |text: &str| html::render(&RunSummary::from_records(records(text, number).iter()).unwrap());
        let shown = page(&text);
        prop_assert!(!shown.to_lowercase().contains("<script"), "{shown}");
        // As many tags as a harmless text of as many lines gives, so no data opened one.
        let harmless: String = text.chars().map(|letter| if letter.is_alphanumeric() || letter == '\n' { letter } else { 'x' }).collect();
        let tags = |page: &str| page.matches('<').count();
        if number % 2 == 0 {
            prop_assert_eq!(tags(&shown), tags(&page(&harmless)));
        }
    }
}
