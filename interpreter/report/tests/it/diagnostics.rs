//! Diagnostics of source files.

use keybook_api::{Diagnostic, Span};
use keybook_report::diagnostics::render;
use proptest::prelude::*;

const FILE: &str = "runbooks/x/runbook.yaml";
const TEXT: &str =
    "keybook: 1\nname: x\nstepps:\n  - 标题: 更新 etcd 证书\n\tbad: tab\n\r\n  - id: a\u{1b}[31mb\n";

fn show(diagnostics: &[Diagnostic]) -> String {
    render(diagnostics, &|file| (file == FILE).then(|| TEXT.to_owned()), false, 80)
}

fn at(line: u32, column: u32, length: u32) -> Diagnostic {
    Diagnostic::error("unknown-key", "unknown key", Span::new(FILE, line, column, length)).label("here")
}

#[test]
fn place_source_label_and_advice() {
    let one = at(3, 1, 6).help("did you mean \"steps\"?");
    let wide = at(4, 9, 2);
    let tab = at(5, 2, 3);
    let control = at(7, 9, 3);
    let warning = Diagnostic::warning("unused-input", "the input `x` is not used", Span::new(FILE, 2, 7, 1));
    insta::assert_snapshot!(show(&[one, wide, tab, control, warning]));
}

#[test]
fn places_that_do_not_exist() {
    let missing =
        Diagnostic::error("no-file", "cannot read it", Span::new("gone.yaml", 1, 1, 1)).help("make it");
    insta::assert_snapshot!(show(&[
        at(99, 1, 1),
        at(2, 99, 5),
        at(6, 1, 1),
        at(8, 1, 1),
        at(0, 0, 0),
        missing
    ]));
}

#[test]
fn long_texts_are_wrapped_and_long_lines_cut() {
    let long = "word ".repeat(40);
    let source = format!("{}key: value{}", "x".repeat(300), "y".repeat(300));
    let one = Diagnostic::error("long", long.clone(), Span::new("f", 1, 301, 3)).help(long);
    let text = render(&[one], &|_| Some(source.clone()), false, 80);
    assert!(text.lines().all(|line| console::measure_text_width(line) <= 80), "{text}");
    assert!(text.contains("key: value"), "{text}");
}

#[test]
fn nothing_gives_nothing_and_colour_is_forced() {
    assert_eq!(show(&[]), "");
    let coloured = render(&[at(3, 1, 6)], &|_| Some(TEXT.to_owned()), true, 80);
    assert!(coloured.contains("\u{1b}["));
    assert_eq!(
        console::strip_ansi_codes(&coloured),
        render(&[at(3, 1, 6)], &|_| Some(TEXT.to_owned()), false, 80)
    );
}

proptest! {
    #[test]
    fn no_place_and_no_text_can_break_it(
        text in any::<String>(), message in any::<String>(), label in any::<String>(), help in any::<String>(),
        line in 0u32..9, column in prop_oneof![0u32..40, Just(u32::MAX)], length in prop_oneof![0u32..40, Just(u32::MAX)],
        width in 0usize..120,
    ) {
        let span = Span { file: "a\u{1b}b".into(), line, column, length };
        let one = Diagnostic::error("x", message, span).label(label).help(help);
        let shown = render(&[one], &|_| Some(text.clone()), false, width);
        prop_assert!(!shown.chars().any(|letter| letter.is_control() && letter != '\n'), "{shown:?}");
    }
}
