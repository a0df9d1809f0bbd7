//! Every value, and every character of every text, knows its line and column.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_source::{Node, parse};
use proptest::prelude::*;

fn tree(text: &str) -> Node {
    parse("f.yaml", text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

fn at<'n>(node: &'n Node, path: &[&str]) -> &'n Node {
    path.iter().fold(node, |node, key| match key.parse::<usize>() {
        Ok(index) => &node.items().unwrap()[index],
        Err(_) => node.get(key).unwrap(),
    })
}

/// Line:column of every character of a text that occurs in it only once.
fn place(node: &Node, letter: char) -> String {
    let text = node.as_text().unwrap();
    let offset = text.as_str().chars().position(|c| c == letter).unwrap();
    let span = text.span(offset, 1);
    format!("{}:{}", span.line, span.column)
}

#[test]
fn nodes_and_keys_have_places() {
    let node = tree("a: 1\nb:\n- x\n- y: [p, {q: r}]\nc:\n");
    assert_eq!(at(&node, &["a"]).span.to_string(), "f.yaml:1:4");
    assert_eq!(at(&node, &["b"]).span.to_string(), "f.yaml:3:1");
    assert_eq!(at(&node, &["b", "0"]).span.to_string(), "f.yaml:3:3");
    assert_eq!(at(&node, &["b", "1"]).span.to_string(), "f.yaml:4:3");
    assert_eq!(at(&node, &["b", "1", "y"]).span.to_string(), "f.yaml:4:6");
    assert_eq!(at(&node, &["b", "1", "y", "1", "q"]).span.to_string(), "f.yaml:4:14");
    assert_eq!(at(&node, &["c"]).span.to_string(), "f.yaml:5:3");
    let keys: Vec<String> = node.entries().unwrap().iter().map(|(key, _)| key.span.to_string()).collect();
    assert_eq!(keys, ["f.yaml:1:1", "f.yaml:2:1", "f.yaml:5:1"]);
}

#[test]
fn plain_texts_on_one_and_several_lines() {
    let node = tree("k: ab Ü cd\nl: one\n   two\n\n   X\n");
    assert_eq!(place(at(&node, &["k"]), 'Ü'), "1:7");
    assert_eq!(place(at(&node, &["k"]), 'd'), "1:10");
    let long = at(&node, &["l"]);
    assert_eq!(long.as_text().unwrap().as_str(), "one two\nX");
    assert_eq!(place(long, ' '), "2:7");
    assert_eq!(place(long, 'w'), "3:5");
    assert_eq!(place(long, '\n'), "4:1");
    assert_eq!(place(long, 'X'), "5:4");
}

#[test]
fn quoted_texts_and_escapes() {
    let node =
        tree("a: 'it''s Q'\nb: \"x\\n\\u00e9\\x41Q \\\n   Z\"\nc: \"p\n\n  Q\"\nd: !!str 'Q'\ne: &n Q\n");
    assert_eq!(place(at(&node, &["a"]), 's'), "1:9");
    assert_eq!(place(at(&node, &["a"]), 'Q'), "1:11");
    let b = at(&node, &["b"]);
    assert_eq!(b.as_text().unwrap().as_str(), "x\néAQ Z");
    assert_eq!(place(b, '\n'), "2:6");
    assert_eq!(place(b, 'é'), "2:8");
    assert_eq!(place(b, 'A'), "2:14");
    assert_eq!(place(b, 'Q'), "2:18");
    assert_eq!(place(b, 'Z'), "3:4");
    assert_eq!(place(at(&node, &["c"]), 'Q'), "6:3");
    assert_eq!(place(at(&node, &["d"]), 'Q'), "7:11");
    assert_eq!(place(at(&node, &["e"]), 'Q'), "8:7");
}

#[test]
fn a_quoted_text_ends_at_its_quote() {
    let node = tree("a: { b: 'x' , c: \"y\"  }\nd: 'z'   # note\n");
    for path in [&["a", "b"][..], &["a", "c"], &["d"]] {
        assert_eq!(at(&node, path).span.length, 3, "{path:?}");
    }
}

#[test]
fn literal_blocks() {
    let node = tree("a:\n  s: |  # note\n\n    fi rst\n      Second\n\n    ${X}\nb: |2\n    Y\n  Z\n");
    let s = at(&node, &["a", "s"]);
    assert_eq!(s.as_text().unwrap().as_str(), "\nfi rst\n  Second\n\n${X}\n");
    assert_eq!(s.span.to_string(), "f.yaml:2:6");
    assert_eq!(place(s, 'f'), "4:5");
    assert_eq!(place(s, 'S'), "5:7");
    assert_eq!(place(s, 'X'), "7:7");
    let text = s.as_text().unwrap();
    assert_eq!(text.span(0, 1).line, 3, "the blank first line");
    assert_eq!(place(at(&node, &["b"]), 'Y'), "9:5");
    assert_eq!(place(at(&node, &["b"]), 'Z'), "10:3");
}

#[test]
fn folded_blocks() {
    let node = tree("a: >-\n   one\n   Two\n\n   tHree\n     spaCed\n   end\n\n\nb: >+\n  x\n\n");
    let a = at(&node, &["a"]);
    assert_eq!(a.as_text().unwrap().as_str(), "one Two\ntHree\n  spaCed\nend");
    assert_eq!(place(a, ' '), "2:7", "the space stands for the line's end");
    assert_eq!(place(a, 'T'), "3:4");
    assert_eq!(place(a, 'H'), "5:5");
    assert_eq!(place(a, 'C'), "6:9");
    assert_eq!(place(a, 'd'), "6:11");
    assert_eq!(at(&node, &["b"]).as_text().unwrap().as_str(), "x\n\n");
    let blank = tree("a: |+\n\n\n");
    let text = at(&blank, &["a"]).as_text().unwrap().clone();
    assert_eq!((text.as_str(), text.span(0, 1).line, text.span(1, 1).line), ("\n\n", 2, 3));
}

#[test]
fn windows_line_ends_and_byte_order_marks() {
    let node = tree("\u{feff}a: |\r\n  one\r\n  Two\r\nb: \"x\r\n  Y\"\r\nc: Z\r\n");
    assert_eq!(at(&node, &["a"]).as_text().unwrap().as_str(), "one\nTwo\n");
    assert_eq!(place(at(&node, &["a"]), 'T'), "3:3");
    assert_eq!(place(at(&node, &["b"]), 'Y'), "5:3");
    assert_eq!(at(&node, &["c"]).span.to_string(), "f.yaml:6:4");
    assert_eq!(node.entries().unwrap()[0].0.span.to_string(), "f.yaml:1:1");
}

#[test]
fn aliases_stand_where_their_anchor_does() {
    let node = tree("a: &x\n  b: Q\nc: *x\n");
    assert_eq!(at(&node, &["c", "b"]).span.to_string(), "f.yaml:2:6");
    assert_eq!(place(at(&node, &["c", "b"]), 'Q'), "2:6");
}

/// A scalar's text in one of the five styles, behind a key, with the line and column of each visible letter.
fn scalar() -> impl Strategy<Value = String> {
    let line = "[a-zA-Zü€][a-zA-Z0-9ü€ ]{0,12}[a-z]";
    let lines = || prop::collection::vec(prop_oneof![4 => line, 1 => Just(String::new())], 1..5);
    prop_oneof![
        line.prop_map(|text| format!("k: {text}\n")),
        (lines(), any::<bool>()).prop_map(|(lines, single)| {
            let quote = if single { '\'' } else { '"' };
            format!("k: {quote}{}{quote}\n", lines.join("\n   "))
        }),
        (lines(), prop::sample::select(vec!["|", "|-", "|+", ">", ">-", ">+"]), 1usize..5).prop_map(
            |(lines, header, indent)| {
                let pad = " ".repeat(indent);
                let body: String = lines.iter().map(|line| format!("{pad}{line}\n")).collect();
                format!("k: {header}\n{body}last: 1\n")
            }
        ),
    ]
}

proptest! {
    /// Each letter of a decoded text is the letter that stands at its place in the file.
    #[test]
    fn every_letter_stands_at_its_place(text in scalar(), windows in any::<bool>()) {
        let text = if windows { text.replace('\n', "\r\n") } else { text };
        let node = tree(&text);
        let value = at(&node, &["k"]);
        if let Some(decoded) = value.as_text() {
            let lines: Vec<Vec<char>> = text.split('\n').map(|line| line.chars().collect()).collect();
            let mut before = (0, 0);
            for (offset, letter) in decoded.as_str().chars().enumerate() {
                let span = decoded.span(offset, 1);
                let here = (span.line, span.column);
                prop_assert!(here > before, "{offset} {letter:?} at {here:?} after {before:?}\n{text}");
                before = here;
                let written = lines[span.line as usize - 1].get(span.column as usize - 1).copied();
                if !matches!(letter, ' ' | '\n') {
                    prop_assert_eq!(written, Some(letter), "{}", text);
                }
            }
        }
    }

    /// No input makes the parser panic, and what both readers accept they read alike.
    #[test]
    fn arbitrary_input_never_panics(text in "[-:#&*!|>'\"%@`{}\\[\\],?~ \t\r\n\\\\a-c0-2<.=ü]{0,60}") {
        if let Ok(node) = parse("f", &text) {
            keybook_source::surprises(&node);
        }
    }

    /// As above with any characters at all.
    #[test]
    fn any_characters_never_panic(text in any::<String>()) {
        let _ = parse("f", &text);
    }
}
