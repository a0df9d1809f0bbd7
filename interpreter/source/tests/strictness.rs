//! What is refused, where, and with which advice.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Diagnostic, Severity};
use keybook_source::{MAX_BYTES, MapReader, Problems, decode, parse, read, surprises};

/// `code line:column message | help` of every problem.
fn problems(text: &str) -> Vec<String> {
    parse("f", text).err().unwrap_or_default().iter().map(line).collect()
}

fn line(problem: &Diagnostic) -> String {
    let help = problem.help.as_deref().unwrap_or("");
    let span = &problem.span;
    format!("{} {}:{} {} | {help}", problem.code, span.line, span.column, problem.message)
}

#[test]
fn each_kind_of_wrong_document_has_its_message() {
    for (text, expected) in [
        ("a: 1\nb: 2\na: 3\n", "duplicate-key 3:1 the key `a` stands here twice | remove one of the two"),
        ("a: {x: 1, x: 2}", "duplicate-key 1:11 the key `x` stands here twice | remove one of the two"),
        (
            "a: 1\n---\nb: 2\n",
            "several-documents 2:1 the file has more than one YAML document | keep one; remove this `---`",
        ),
        ("a:\n\t- b\n", "yaml-tab 2:2 a tab is used for indentation | YAML is indented with spaces only"),
        (
            "a: &x {b: 1}\nc:\n  <<: *x\n",
            "yaml-merge 3:3 merge keys (`<<`) are not supported | write the keys out, or use an alias for the whole value",
        ),
        ("1: a\n", "key-not-text 1:1 a key must be text, this is a whole number | put it in quotes: \"1\""),
        (
            "true: a\n",
            "key-not-text 1:1 a key must be text, this is true or false | put it in quotes: \"true\"",
        ),
        ("? [a]\n: b\n", "key-not-text 1:3 a key must be text, this is a list | "),
        (
            "a: 99999999999999999999\n",
            "number-too-large 1:4 the number does not fit into 64 bits | if it is text, put it in quotes: \"99999999999999999999\"",
        ),
        ("a: !env X\n", "yaml-tag 1:4 the tag `!env` is not supported here | remove it"),
        (
            "a: *nope\n",
            "yaml-syntax 1:4 this is not YAML: while parsing node, found unknown anchor | define the anchor (`&name`) before its alias (`*name`)",
        ),
        ("a: &x [*x]\n", "yaml-alias 1:8 the alias stands inside what it refers to | write the value out"),
        (
            "a: b: c\n",
            "yaml-syntax 1:5 this is not YAML: mapping values are not allowed in this context | put a text that has `: ` in it in quotes",
        ),
        (
            "- a: 1\n    b: { x: 1 }\n",
            "yaml-syntax 2:6 this is not YAML: mapping values are not allowed in this context | this line is indented differently from its neighbours: begin it in the same column as the lines that it goes with",
        ),
        (
            "- a: 1\n    b: x: 1\n",
            "yaml-syntax 2:6 this is not YAML: mapping values are not allowed in this context | this line is indented differently from its neighbours: begin it in the same column as the lines that it goes with",
        ),
        (
            "a: \"é ${[\"x\"]}\"\n",
            "yaml-syntax 1:11 this is not YAML: invalid trailing content after double-quoted scalar | the `\"` inside `${…}` closed the text: put the whole text in '…', or write backticks inside",
        ),
        (
            "a: '${x[\"it's\"]}'\n",
            "yaml-syntax 1:13 this is not YAML: invalid trailing content after double-quoted scalar | the `'` inside `${…}` closed the text: write it twice (`''`)",
        ),
        (
            "a: \"${x}\" b\n",
            "yaml-syntax 1:11 this is not YAML: invalid trailing content after double-quoted scalar | a closing quote is missing before this place",
        ),
        (
            "a: [\"x\" \"y\"]\n",
            "yaml-syntax 1:9 this is not YAML: invalid trailing content after double-quoted scalar | a `,` or a closing quote is missing before this place",
        ),
        (
            "a: { b: c[1] }\n",
            "yaml-syntax 1:10 this is not YAML: while parsing a flow mapping, did not find expected ',' or '}' | a `,` or a closing bracket is missing; inside { } and [ ], a text with brackets stands in quotes",
        ),
        (
            "a:\n  b: \"x\n  c: 1\n",
            "yaml-syntax 2:6 this is not YAML: invalid indentation in quoted scalar | the quote that opens here is not closed",
        ),
        (
            "a: 'x\n",
            "yaml-syntax 1:4 this is not YAML: while scanning a quoted scalar, found unexpected end of stream | the closing quote is missing",
        ),
        (
            "a: 1\nb\n",
            "yaml-syntax 2:2 this is not YAML: simple key expect ':' | a `:` is missing on this line or the one before",
        ),
    ] {
        assert_eq!(problems(text), [expected], "{text}");
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = problems("a: 1\na: 2\n3: x\nb: {<<: 1}\n");
    let codes: Vec<&str> = found.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(codes, ["duplicate-key", "key-not-text", "yaml-merge"]);
}

#[test]
fn alias_bombs_and_deep_nesting_end_with_a_message() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = level - 1;
        let items = vec![format!("*a{before}"); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    assert!(problems(&bomb)[0].starts_with("too-large"), "{:?}", problems(&bomb));
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    assert!(problems(&deep)[0].starts_with("too-deep 1:"), "{:?}", problems(&deep));
    let chain: String = (1..40).map(|n| format!("a{n}: &a{n} [[*a{}]]\n", n - 1)).collect();
    assert!(problems(&format!("a0: &a0 x\n{chain}"))[0].starts_with("too-deep"));
    assert!(problems(&"- ".repeat(100_000))[0].starts_with("too-deep"));
}

#[test]
fn large_and_foreign_bytes_have_messages() {
    let large = vec![b'a'; MAX_BYTES + 1];
    assert_eq!(decode("f", &large).unwrap_err().code, "too-large");
    assert!(problems(&"a".repeat(MAX_BYTES + 1))[0].starts_with("too-large"));
    let foreign = decode("f", b"a: b\nc: \xff\n").unwrap_err();
    assert_eq!(line(&foreign), "not-utf8 2:4 the file is not UTF-8 text | save it as UTF-8");
    assert_eq!(decode("f", "ü".as_bytes()).unwrap(), "ü");
}

#[test]
fn an_empty_document_is_null() {
    for text in ["", "\n", "# only a comment\n", "---\n"] {
        assert!(parse("f", text).unwrap().is_null(), "{text:?}");
    }
}

#[test]
fn surprises_are_warned_about_where_they_stand() {
    let text = "a: yes\nb: 'yes'\nc: [on, 0644, 12:30, 1e3, 1_000, 0o17]\nd: true\ne: v1e3\nf: 10.5e1\n";
    let found: Vec<String> = surprises(&parse("f", text).unwrap()).iter().map(line).collect();
    assert_eq!(
        found,
        [
            "yaml-surprise 1:4 `yes` is text here, not true | write true, or \"yes\" if text is meant",
            "yaml-surprise 3:5 `on` is text here, not true | write true, or \"on\" if text is meant",
            "yaml-surprise 3:9 `0644` is text here; other readers take it for a number, often octal | write \"0644\"",
            "yaml-surprise 3:15 `12:30` is text here; other readers take it for a number of base 60 | write \"12:30\"",
            "yaml-surprise 3:22 `1e3` is a number here | write \"1e3\" if text is meant, or the number with a point",
            "yaml-surprise 3:27 `1_000` is text here; other readers take it for a number | write 1000, or \"1_000\" if text is meant",
            "yaml-surprise 3:34 `0o17` is the number 15 here | write 15, or \"0o17\" if a file mode is meant",
        ]
    );
    assert!(surprises(&parse("f", text).unwrap()).iter().all(|found| found.severity == Severity::Warning));
}

#[test]
fn maps_are_read_with_strict_keys() {
    let node = parse("f", "name: x\nstep: []\nextra: 1\n").unwrap();
    let mut problems = Problems::default();
    let mut reader = MapReader::new(&node, "the runbook", &mut problems).unwrap();
    assert!(reader.required("name", &mut problems).is_some());
    assert!(reader.optional("title").is_none());
    assert!(reader.required("steps", &mut problems).is_none());
    assert!(reader.required("hosts", &mut problems).is_none());
    reader.finish(&mut problems);
    assert!(problems.errors());
    let found: Vec<String> = problems.into_vec().iter().map(line).collect();
    assert_eq!(
        found,
        [
            "missing-key 1:1 the runbook needs `hosts` | add `hosts: …`",
            // A required key that is misspelt is not missed as well.
            "unknown-key 2:1 the runbook has no key `step` | did you mean `steps`?",
            "unknown-key 3:1 the runbook has no key `extra` | known keys: `name`, `title`, `steps`, `hosts`",
        ]
    );
    let mut reader = MapReader::new(&node, "a step", &mut Problems::default()).unwrap();
    reader.optional("name");
    let rest: Vec<&str> = reader.rest().iter().map(|(key, _)| key.name.as_str()).collect();
    assert_eq!(rest, ["step", "extra"]);
    let mut problems = Problems::default();
    reader.finish(&mut problems);
    assert!(!problems.errors());
    assert!(MapReader::new(node.get("extra").unwrap(), "a step", &mut problems).is_none());
    assert_eq!(
        line(&problems.as_slice()[0]),
        "wrong-type 3:8 a step must be a map, this is a whole number | "
    );
}

#[test]
fn scalar_readers_say_what_they_wanted() {
    let text = "t: 0o17\nb: yes\ni: '12'\nj: 99\nd: 30\ne: 30x\nl: x\ns: [a, 1]\nw: paralel\nn: My Step\nx: true\nz:\n";
    let node = parse("f", text).unwrap();
    let get = |key: &str| node.get(key).unwrap();
    let mut problems = Problems::default();
    assert!(read::text(get("t"), &mut problems).is_none());
    assert!(read::bool(get("b"), &mut problems).is_none());
    assert!(read::int(get("i"), 0..=9, &mut problems).is_none());
    assert!(read::int(get("j"), 0..=9, &mut problems).is_none());
    assert!(read::duration(get("d"), &mut problems).is_none());
    assert!(read::duration(get("e"), &mut problems).is_none());
    assert!(read::list(get("l"), &mut problems).is_none());
    assert!(read::strings(get("s"), &mut problems).is_none());
    assert!(read::enum_word(get("w"), &["serial", "parallel"], "order", &mut problems).is_none());
    assert!(read::identifier(get("n"), "step id", &mut problems).is_none());
    assert!(read::expression(get("z"), &mut problems).is_none());
    let found: Vec<String> = problems.into_vec().iter().map(line).collect();
    assert_eq!(
        found,
        [
            "wrong-type 1:4 expected text, this is a whole number | put it in quotes: \"0o17\"",
            "wrong-type 2:4 expected true or false, this is a string | write true",
            "wrong-type 3:4 expected a whole number, this is a string | write 12, without quotes",
            "out-of-range 4:4 99 is out of range; write 0 to 9 | ",
            "wrong-type 5:4 expected a duration, this is a whole number | add the unit: 30s, 30m, 30h or 30ms",
            "bad-duration 6:4 `30x` is not a duration; write a number and ms, s, m, h or d, such as 30s | ",
            "wrong-type 7:4 expected a list, this is a string | write `- ` before each item, or [a, b]",
            "wrong-type 8:8 expected text, this is a whole number | put it in quotes: \"1\"",
            "unknown-word 9:4 `paralel` is no order | did you mean `parallel`?",
            "bad-name 10:4 `My Step` is no step id | use lower-case letters, digits, `-` and `_`, at most 64, beginning with a letter or digit; for example `my-step`",
            "wrong-type 12:3 expected an expression, this is empty | ",
        ]
    );
    let mut problems = Problems::default();
    assert_eq!(read::expression(get("x"), &mut problems).unwrap().as_str(), "true");
    assert_eq!(read::strings(get("l"), &mut problems).unwrap().len(), 1);
    assert!(!problems.errors());
}
