//! Functions of the program that are written in Rhai.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Map, SourceText, Value};
use keybook_script::{Function, LibraryFile, Limits, ScriptHost};

const NATIVE: Function = Function {
    name: "halved",
    params: &["number"],
    doc: "Half of it.",
    returns: "int",
    example: "halved(4) == 2",
    call: |args| match args {
        [Value::Int(number)] if number % 2 == 0 => Ok(Value::Int(number / 2)),
        _ => Err("it is not even".to_owned()),
    },
};

const FIRST: LibraryFile = LibraryFile {
    name: "first.rhai",
    text: "// Numbers.\n\n/// Twice a number,\n/// whatever it is.\n///\n/// Returns: int\n/// Example: twice(2) == 4\n\
           fn twice(number) {\n    sum(number, number)\n}\n\nprivate fn sum(a, b) { a + b }\n\n\
           /// A quarter.\n/// Returns: int\n/// Example: quarter(8) == 2\nfn quarter(number) { halved(halved(number)) }\n\n\
           /// Each doubled.\n/// Returns: list\n/// Example: doubled([1]) == [2]\nfn doubled(list) { list.map(|one| twice(one)) }\n",
};

const SECOND: LibraryFile = LibraryFile {
    name: "second.rhai",
    text: "/// Counts down.\n/// Returns: int\n/// Example: down(3) == 0\nfn down(n) { if n == 0 { 0 } else { down(n - 1) } }\n\
           /// Uses the first file.\n/// Returns: int\n/// Example: fourfold(1) == 4\nfn fourfold(n) { twice(twice(n)) }\n",
};

fn host() -> ScriptHost {
    ScriptHost::with_library(Limits::default(), &[NATIVE], &[FIRST, SECOND]).unwrap()
}

fn text(text: &str) -> SourceText {
    SourceText::verbatim(text, "book/runbook.yaml", 3, 5)
}

fn eval(host: &ScriptHost, expression: &str) -> Result<String, String> {
    let expr = host.expr(&text(expression), &[]).map_err(|found| found[0].message.clone())?;
    let value = host.eval(&expr, &Map::new());
    value
        .map(|value| value.to_string())
        .map_err(|error| format!("{}:{} {}", error.span.line, error.span.column, error.message))
}

#[test]
fn library_functions_are_called_like_native_ones() {
    let host = host();
    for (expression, result) in [
        ("twice(4)", "8"),
        ("4.twice()", "8"),
        ("[1, 2].map(|n| n.twice())", "[2,4]"),
        ("[1, 2].doubled()", "[2,4]"),
        ("fourfold(1) + 1.fourfold()", "8"),
        ("quarter(8)", "2"),
    ] {
        assert_eq!(eval(&host, expression).as_deref(), Ok(result), "{expression}");
    }
    assert_eq!(eval(&host, "sum(1, 2)").unwrap_err(), "there is no function `sum`", "it is private");
    assert_eq!(eval(&host, "twice(1, 2)").unwrap_err(), "`twice` takes 1 argument, 2 given");
    let unknown = host.expr(&text("twise(1)"), &[]).unwrap_err();
    assert_eq!(unknown[0].help.as_deref(), Some("did you mean `twice`?"));
}

#[test]
fn an_error_in_a_library_is_told_at_its_call() {
    let host = host();
    assert_eq!(eval(&host, "1 + quarter(6)").unwrap_err(), "3:9 `quarter`: `halved`: it is not even");
    assert_eq!(eval(&host, "1 + 6.quarter()").unwrap_err(), "3:11 `quarter`: `halved`: it is not even");
    let deep = eval(&host, "1 + down(100)").unwrap_err();
    assert_eq!(deep, "3:9 functions call each other deeper than allowed");
    let endless = LibraryFile { name: "endless.rhai", text: "fn endless() { loop {} }" };
    let limits = Limits { operations: 1000, ..Limits::default() };
    let host = ScriptHost::with_library(limits, &[], &[endless]).unwrap();
    let error = eval(&host, "1 + endless()").unwrap_err();
    assert_eq!(error, "3:9 the script does more operations than allowed");
}

#[test]
fn own_functions_of_the_same_name_win() {
    let hooks =
        host().hooks(&SourceText::verbatim("fn twice(n) { `own ${n}` }", "hooks.rhai", 1, 1)).unwrap();
    let host = host().with_hooks(&hooks);
    assert_eq!(eval(&host, "twice(1)").as_deref(), Ok("own 1"));
    assert_eq!(eval(&host, "1.twice()").as_deref(), Ok("own 1"));
    assert_eq!(eval(&host, "fourfold(1)").as_deref(), Ok("4"), "the library goes on with its own");
    let broken = SourceText::verbatim("fn twice(n) {\n    n.none\n}", "hooks.rhai", 1, 1);
    let host = self::host().with_hooks(&self::host().hooks(&broken).unwrap());
    let expr = host.expr(&text("twice(#{})"), &[]).unwrap();
    let error = host.eval(&expr, &Map::new()).unwrap_err();
    assert_eq!((error.span.file.as_ref(), error.span.line), ("hooks.rhai", 2), "{error}");
}

#[test]
fn a_library_only_computes_and_is_checked() {
    let with = |text: &'static str| {
        let found = ScriptHost::with_library(Limits::default(), &[], &[LibraryFile { name: "l.rhai", text }]);
        let problem = found.unwrap_err().remove(0);
        format!("{} {}:{}:{}", problem.code, problem.span.file, problem.span.line, problem.span.column)
    };
    assert_eq!(with("fn f() {\n    act(\"x.y\")\n}"), "not-pure l.rhai:2:5");
    assert_eq!(with("fn f() { none() }"), "unknown-function l.rhai:1:10");
    assert_eq!(with("fn f() { 1 }\nf()"), "hooks-statement l.rhai:2:1");
    assert_eq!(with("fn f( { 1 }"), "script-syntax l.rhai:1:7");
}

#[test]
fn the_list_of_functions_has_them() {
    let functions = host().functions();
    let own: Vec<&str> = functions
        .iter()
        .filter(|function| !function.built_in)
        .map(|function| function.name.as_str())
        .collect();
    assert_eq!(own, ["halved", "twice", "quarter", "doubled", "down", "fourfold"]);
    let twice = &functions[1];
    assert_eq!((twice.doc.as_str(), twice.returns.as_str()), ("Twice a number, whatever it is.", "int"));
    assert_eq!(
        (twice.example.as_str(), twice.params.as_slice()),
        ("twice(2) == 4", &["number".to_owned()][..])
    );
}

#[test]
fn natives_of_one_script_see_the_library() {
    let host = host();
    let script = host.script_with(&text("twice(4)"), &[], &[]).unwrap();
    let value = host.run_with(&script, &Map::new(), &[], &keybook_api::Cancel::new()).unwrap();
    assert_eq!(value, Value::Int(8));
}
