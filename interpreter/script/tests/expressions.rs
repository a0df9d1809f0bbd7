//! Expressions and templates: values, places of errors, what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Diagnostic, Map, SourceText, Value, value::map};
use keybook_script::{Function, Limits, ScriptError, ScriptHost, is_variable_name, names_used};
use proptest::prelude::*;

const FUNCTIONS: &[Function] = &[
    Function {
        name: "days_left",
        params: &["cert"],
        doc: "Days until a certificate expires.",
        returns: "int",
        example: "days_left(#{ days: 3 }) == 3",
        call: |args| args[0].get("days").cloned().ok_or_else(|| "this is no certificate".to_owned()),
    },
    Function {
        name: "broken",
        params: &[],
        doc: "Panics.",
        returns: "nothing",
        example: "true",
        call: |_| panic!("a bug"),
    },
];

const NAMES: &[&str] = &["inputs", "facts", "item", "host", "number"];

fn host() -> ScriptHost {
    ScriptHost::new(Limits::default(), FUNCTIONS)
}

fn scope() -> Map {
    map([
        ("inputs", map([("flavor", "tdh".into()), ("wait", Value::Null)]).into()),
        ("facts", map([("leaf", map([("days", 12.into()), ("sans", vec!["a", "b"].into())]).into())]).into()),
        ("item", "etcd.pem".into()),
        ("number", 5.into()),
        ("host", map([("name", "m1".into())]).into()),
    ])
}

fn text(source: &str) -> SourceText {
    SourceText::verbatim(source, "f.yaml", 1, 1)
}

fn eval(source: &str) -> Result<Value, ScriptError> {
    let host = host();
    let expr = host.expr(&text(source), NAMES).unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
    host.eval(&expr, &scope())
}

fn refused(source: &str) -> Vec<String> {
    let problems = host().expr(&text(source), NAMES).expect_err(source);
    problems.iter().map(line).collect()
}

fn line(problem: &Diagnostic) -> String {
    let span = &problem.span;
    let help = problem.help.as_deref().unwrap_or("");
    format!("{} {}:{}+{} {} | {help}", problem.code, span.line, span.column, span.length, problem.message)
}

fn failure(source: &str) -> String {
    let error = eval(source).expect_err(source);
    format!("{}:{} {}", error.span.line, error.span.column, error.message)
}

#[test]
fn expressions_have_values() {
    for (source, value) in [
        ("1 + 2 * 3", "7"),
        ("inputs.flavor == \"tdh\" && item.ends_with(\".pem\")", "true"),
        ("facts.leaf.days_left() == 12", "true"),
        ("days_left(facts.leaf) > 10.5", "true"),
        ("facts.leaf.sans.map(|name| `${name}.local`)", "[\"a.local\",\"b.local\"]"),
        ("facts.leaf.sans.filter(|name| name != item).len", "2"),
        ("facts.leaf.sans.contains(\"b\")", "true"),
        ("\"b\" in facts.leaf.sans", "true"),
        ("if number > 3 { \"many\" } else { \"few\" }", "many"),
        ("switch inputs.flavor { \"tdh\" => 1, _ => 2 }", "1"),
        ("#{ a: [1, ()], b: 'x' }", "{\"a\":[1,null],\"b\":\"x\"}"),
        ("inputs.wait ?? \"30s\"", "30s"),
        ("inputs.wait == ()", "true"),
        ("() != 3", "true"),
        ("1..=3", "[1,2,3]"),
        ("'a' == \"a\"", "true"),
        ("1 == 1.0 && 2 > 1.5 && \"b\" > \"a\"", "true"),
        ("9007199254740993 == 9007199254740992.0", "false"),
        ("[1, #{ a: 2 }] == [1, #{ a: 2 }]", "true"),
        ("type_of(item)", "string"),
        ("facts.leaf.keys().len", "2"),
        ("parse_json(\"[1]\")[0]", "1"),
    ] {
        assert_eq!(eval(source).unwrap_or_else(|e| panic!("{source}: {e}")).to_string(), value, "{source}");
    }
}

#[test]
fn every_documented_example_is_true() {
    let host = host();
    for function in host.functions().iter().filter(|function| !function.built_in) {
        let expr = host.expr(&text(&function.example), &[]).unwrap();
        assert_eq!(host.eval(&expr, &Map::new()).unwrap(), Value::Bool(true), "{}", function.name);
    }
    let built_in: Vec<String> = host.functions().into_iter().filter(|f| f.built_in).map(|f| f.name).collect();
    assert!(built_in.contains(&"filter".to_owned()), "{built_in:?}");
    for forbidden in ["sleep", "exit", "timestamp", "eval"] {
        assert!(!built_in.contains(&forbidden.to_owned()), "{forbidden}");
    }
}

#[test]
fn what_cannot_be_compiled_is_shown_at_its_place() {
    for (source, expected) in [
        (
            "number + nubmer",
            "unknown-variable 1:10+6 there is no variable `nubmer` here | did you mean `number`?",
        ),
        (
            "[1].map(|x| x + itme)",
            "unknown-variable 1:17+4 there is no variable `itme` here | did you mean `item`?",
        ),
        (
            "item.end_with(\"x\")",
            "unknown-function 1:6+8 there is no function `end_with` | did you mean `ends_with`?",
        ),
        (
            "day_left(facts.leaf)",
            "unknown-function 1:1+8 there is no function `day_left` | did you mean `days_left`?",
        ),
        ("days_left()", "wrong-arguments 1:1+9 `days_left` takes 1 argument, 0 given | "),
        ("facts.leaf.days_left(1)", "wrong-arguments 1:12+9 `days_left` takes 0 arguments, 1 given | "),
        ("[1].map(|x| foo(x))", "unknown-function 1:13+3 there is no function `foo` | "),
        ("number = 3", "script-syntax 1:8+1 "),
        ("let x = 1", "script-syntax 1:1+3 "),
        ("while true { }", "script-syntax 1:1+5 "),
        ("number and true", "script-syntax 1:8+3 "),
        ("(1 + 2", "script-syntax 1:"),
        ("", "script-syntax 1:1+1 the expression is incomplete"),
        ("eval(\"1\")", "script-syntax 1:1+4 "),
        ("import \"x\" as y", "script-syntax 1:1+6 "),
        ("sleep(1)", "unknown-function 1:1+5 `sleep` is not available | use the action `wait.for`"),
        ("exit()", "unknown-function 1:1+4 `exit` is not available | end with the value instead"),
        ("timestamp()", "unknown-function 1:1+9 `timestamp` is not available | scripts have no clock"),
        (
            "act(\"x509.read\", #{})",
            "not-pure 1:1+3 `act` cannot be used in an expression | expressions compute only",
        ),
        ("print(1)", "not-pure 1:1+5 "),
        ("a::b(1)", "script-module 1:"),
        ("18446744073709551615", "number-too-large 1:1+20 "),
    ] {
        let found = refused(source);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        assert!(found[0].starts_with(expected), "{source}:\n {}\n {expected}", found[0]);
    }
    assert!(refused("let x = 1")[0].contains("only an expression"), "{:?}", refused("let x = 1"));
    assert!(refused("number = 3")[0].contains("`==` compares"), "{:?}", refused("number = 3"));
    assert!(refused("number and true")[0].contains("`&&`"), "{:?}", refused("number and true"));
    let both = refused("foo(1) +\n  item.bar()");
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both[1].starts_with("unknown-function 2:8+3"), "{both:?}");
}

#[test]
fn what_fails_while_running_is_shown_at_its_place() {
    for (source, expected) in [
        ("true &&\n  inputs.flavour == \"x\"", "2:10 the map has no key `flavour`; did you mean `flavor`?"),
        ("host.x", "1:6 the map has no key `x`; it has `name`"),
        ("#{}.x", "1:5 the map has no key `x`; the map is empty"),
        ("host[\"x\"]", "1:6 the map has no key `x`; it has `name`"),
        ("number == \"5\"", "1:8 int and string cannot be compared; convert one of them first"),
        ("number != item", "1:8 int and string cannot be compared; convert one of them first"),
        ("\"10\" > 5", "1:6 string and int cannot be compared; convert one of them first"),
        ("[1] == [\"1\"]", "1:5 int and string cannot be compared; convert one of them first"),
        ("true < false", "1:6 a bool is neither greater nor less than another"),
        ("inputs.wait > 3", "1:13 null and int cannot be compared; convert one of them first"),
        ("facts.leaf.sans[5]", "1:17 the list has 2 items, there is no item 5"),
        ("1 / 0", "1:3 "),
        ("9223372036854775807 + 1", "1:21 "),
        ("item - 1", "1:6 `-` does not work with string and int"),
        ("item.floor()", "1:6 there is no function `floor` for string"),
        ("number.foo", "1:8 a int has no `foo`"),
        ("number[0][1]", "1:"),
        ("days_left(number)", "1:1 `days_left`: this is no certificate"),
        ("broken()", "1:1 `broken`: an internal error happened (a panic)"),
        ("[1, 2].map(|x|\n  x.foo)", "2:5 a int has no `foo`"),
        ("if number { 1 } else { 2 }", "1:4 expected bool, got int"),
        ("|x| x + 1", "1:1 this is a function, not a value"),
    ] {
        let found = failure(source);
        assert!(found.starts_with(expected), "{source}:\n {found}\n {expected}");
    }
}

#[test]
fn places_lead_into_the_yaml_file() {
    let yaml = "steps:\n  - when: |\n      number > 1 &&\n        host.nam == 1\n    check: \"number == \\\"\\u0041\\\" || nubmer\"\n    \
                args:\n      path: 'it''s ${inputs.flavr} here'\n      also: >-\n        folded\n        text ${nope(1)}\n";
    let tree = keybook_source::parse("r.yaml", yaml).unwrap();
    let step = &tree.get("steps").unwrap().items().unwrap()[0];
    let host = host();
    let when = host.expr(step.get("when").unwrap().as_text().unwrap(), NAMES).unwrap();
    let error = host.eval(&when, &scope()).unwrap_err();
    assert_eq!(error.span.to_string(), "r.yaml:4:14");
    let problems = host.expr(step.get("check").unwrap().as_text().unwrap(), NAMES).unwrap_err();
    assert_eq!(problems[0].span.to_string(), "r.yaml:5:37");
    let args = step.get("args").unwrap();
    let path = host.template(args.get("path").unwrap().as_text().unwrap(), NAMES).unwrap();
    let error = host.render(&path, &scope()).unwrap_err();
    assert_eq!(error.span.to_string(), "r.yaml:7:29");
    let problems = host.template(args.get("also").unwrap().as_text().unwrap(), NAMES).unwrap_err();
    assert_eq!(problems[0].span.to_string(), "r.yaml:10:16");
}

#[test]
fn templates_keep_types_and_make_text() {
    let host = host();
    let render = |source: &str| {
        let template = host.template(&text(source), NAMES).unwrap_or_else(|p| panic!("{source}: {p:?}"));
        host.render(&template, &scope())
            .map_err(|error| format!("{}:{} {}", error.span.line, error.span.column, error.message))
    };
    assert_eq!(render("${number}").unwrap(), Value::Int(5));
    assert_eq!(render("${facts.leaf.sans}").unwrap(), vec!["a", "b"].into());
    assert_eq!(render("${inputs.wait}").unwrap(), Value::Null);
    assert_eq!(render("/srv/${item}.${number}.${true}").unwrap(), "/srv/etcd.pem.5.true".into());
    assert_eq!(render("$${item} costs $5").unwrap(), "${item} costs $5".into());
    assert_eq!(render("${#{a: `x${\"}\"}`}.a}!").unwrap(), "x}!".into());
    assert_eq!(render("").unwrap(), "".into());
    assert_eq!(
        render("a ${inputs.wait}").unwrap_err(),
        "1:5 `inputs.wait` is a null, which cannot stand in a text"
    );
    assert_eq!(render("a ${facts}").unwrap_err(), "1:5 `facts` is a map, which cannot stand in a text");
    let problems = host.template(&text("${a} ${b}\n${item}"), NAMES).unwrap_err();
    let places: Vec<String> = problems.iter().map(|problem| problem.span.to_string()).collect();
    assert_eq!(places, ["f.yaml:1:3", "f.yaml:1:8"]);
    assert!(host.template(&text("a $${b}"), NAMES).unwrap().is_constant());
    assert!(!host.template(&text("${item}"), NAMES).unwrap().is_constant());
}

#[test]
fn variables_that_are_read_are_known() {
    let host = host();
    let expr = host
        .expr(&text("facts.leaf.days > number || [1].some(|x| item == host.name) || inputs[\"x\"]"), NAMES)
        .unwrap();
    let used: Vec<String> = names_used(&expr)
        .iter()
        .map(|used| {
            format!(
                "{}@{} {}",
                std::iter::once(&used.name).chain(&used.path).cloned().collect::<Vec<_>>().join("."),
                used.span.column,
                used.span.length
            )
        })
        .collect();
    assert!(used.contains(&"facts.leaf.days@1 5".to_owned()), "{used:?}");
    assert!(used.contains(&"number@19 6".to_owned()), "{used:?}");
    assert!(used.iter().any(|name| name.starts_with("item@")), "{used:?}");
    assert!(used.iter().any(|name| name.starts_with("host")), "{used:?}");
    assert!(used.iter().any(|name| name.starts_with("inputs@")), "{used:?}");
    let template = host.template(&text("${item}-${facts.leaf}"), NAMES).unwrap();
    let names: Vec<&str> = template.names_used().map(|used| used.name.as_str()).collect();
    assert_eq!(names, ["item", "facts"]);
}

/// A closure's own parameter is another thing than what has its name outside.
#[test]
fn a_parameter_of_a_closure_is_no_use_of_a_name() {
    let keys_of_host = |source: &str| -> Vec<String> {
        let expr = host().expr(&text(source), NAMES).unwrap();
        let hosts = names_used(&expr).iter().filter(|used| used.name == "host");
        hosts.map(|used| used.path.join(".")).collect()
    };
    assert_eq!(keys_of_host("host.name == item && [1].all(|host| host.port > 0)"), ["name"]);
    assert_eq!(keys_of_host("[1].all(|x| x == host.name)"), ["name"]);
    assert_eq!(keys_of_host("[1].all(|x| x > 0) && [2].all(|x| host.a == x || x == host.b)"), ["a", "b"]);
    let nested = keys_of_host("[1].all(|x| [x].some(|y| y == host.name))");
    assert!(nested.iter().all(|path| path.is_empty() || path == "name") && !nested.is_empty(), "{nested:?}");
}

#[test]
fn names_of_variables_are_checked() {
    for (name, fine) in [
        ("new_ca", true),
        ("_x1", true),
        ("1x", false),
        ("a-b", false),
        ("let", false),
        ("", false),
        ("this", false),
        ("Fn", false),
        ("eval", false),
    ] {
        assert_eq!(is_variable_name(name), fine, "{name}");
    }
}

proptest! {
    /// No text makes the compiler or an evaluation panic.
    #[test]
    fn arbitrary_input_never_panics(source in "[a-c0-9.+*/=<>!&|?:;,(){}\\[\\]\"'`$# \n\\\\-]{0,40}") {
        let host = ScriptHost::new(Limits { operations: 1000, ..Limits::default() }, &[]);
        let names = ["a", "b"];
        let scope = map([("a", 1.into()), ("b", "x".into())]);
        if let Ok(expr) = host.expr(&text(&source), &names) {
            let _ = host.eval(&expr, &scope);
        }
        if let Ok(template) = host.template(&text(&source), &names) {
            let _ = host.render(&template, &scope);
        }
        let _ = host.hooks(&text(&source));
    }

    /// The same for any characters.
    #[test]
    fn any_characters_never_panic(source in any::<String>()) {
        let host = ScriptHost::new(Limits::default(), &[]);
        let _ = host.expr(&text(&source), &[]);
        let _ = host.template(&text(&source), &[]);
    }
}
