//! Limits hold, secrets stay secret, nothing reaches outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Cancel, Map, Secret, SourceText, Value, value::map};
use keybook_script::{Limits, NativeFn, ScriptHost};
use std::time::Duration;

fn text(source: &str) -> SourceText {
    SourceText::verbatim(source, "f", 1, 1)
}

fn run(limits: &Limits, source: &str) -> Result<Value, String> {
    let host = ScriptHost::new(limits.clone(), &[]);
    let script = host.script_with(&text(source), &[], &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
    host.run_with(&script, &Map::new(), &[], &Cancel::new())
        .map_err(|error| format!("{}:{} {}", error.span.line, error.span.column, error.message))
}

#[test]
fn every_limit_ends_a_script_that_cannot_catch_it() {
    let small =
        Limits { operations: 20_000, string_size: 1000, array_size: 100, map_size: 10, ..Limits::default() };
    let loops = "let n = 0;\ntry { loop { n += 1; } } catch { }\n\"survived\"";
    assert!(run(&small, loops).unwrap_err().contains("more operations than allowed"));
    let long = Limits { operations: u64::MAX, wall: Duration::from_millis(50), ..Limits::default() };
    assert!(run(&long, loops).unwrap_err().contains("longer than allowed"));
    let recursion = "fn f(n) { f(n + 1) }\nf(0)";
    assert!(run(&small, recursion).unwrap_err().contains("deeper than allowed"));
    for bomb in [
        "let s = \"x\"; loop { s += s; }",
        "let a = [1]; loop { a += a; }",
        "let m = #{}; let n = 0; loop { m[n.to_string()] = n; n += 1; }",
        "let a = []; loop { a = [a, a]; }",
        "let s = \"x\"; s.pad(100000000, \"y\"); s",
        "let a = []; a.pad(100000000, 1); a",
        "let s = \"\"; for n in 0..1000 { s += `${n}${n}${n}`; } s",
    ] {
        let error = run(&small, bomb).unwrap_err();
        assert!(error.contains("larger than allowed") || error.contains("operations"), "{bomb}: {error}");
    }
    let caught = "let r = (); try { throw \"x\" } catch (e) { r = e; } r";
    assert_eq!(run(&small, caught).unwrap(), "x".into());
}

#[test]
fn a_cancelled_run_ends_its_script() {
    let limits = Limits { operations: u64::MAX, wall: Duration::from_secs(600), ..Limits::default() };
    let host = ScriptHost::new(limits, &[]);
    let script = host.script(&text("loop { }"), &[]).unwrap();
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let stopper = std::thread::spawn(move || stop.cancel());
    let error = host.run_with(&script, &Map::new(), &[], &cancel).unwrap_err();
    assert_eq!(error.message, "the run was stopped");
    stopper.join().unwrap();
}

#[test]
fn deep_nesting_is_refused_on_a_small_stack() {
    let work = || {
        let host = ScriptHost::new(Limits::default(), &[]);
        for open in ["(", "[", "-", "!", "#{a:", "{", "if true {", "|x| ", "f(", "`${"] {
            let source = open.repeat(3000);
            assert!(host.expr(&text(&source), &[]).is_err(), "{open}");
            assert!(host.script(&text(&source), &[]).is_err(), "{open}");
        }
        for (open, close) in [("(", ")"), ("[", "]"), ("abs(", ")")] {
            // As deep as the limit allows.
            let compiled: Vec<_> = (1..200)
                .map(|depth| format!("{}1{}", open.repeat(depth), close.repeat(depth)))
                .filter_map(|source| host.expr(&text(&source), &[]).ok())
                .collect();
            host.eval(compiled.last().unwrap(), &Map::new()).unwrap();
        }
        let recursion = "fn f(n) { if n == 0 { 0 } else { [1].map(|x| f(n - 1))[0] } }\nf(1000)";
        let script = host.script(&text(recursion), &[]).unwrap();
        assert!(host.run_with(&script, &Map::new(), &[], &Cancel::new()).is_err());
    };
    std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn nothing_of_a_secret_can_be_seen() {
    let host = ScriptHost::new(Limits::default(), &[]);
    let scope =
        map([("s", Value::Secret(Secret::new("hunter2"))), ("same", Value::Secret(Secret::new("hunter2")))]);
    let names = ["s", "same"];
    for source in [
        "\"\" + s",
        "s + \"\"",
        "s + s",
        "`${s}`",
        "`${[s]}`",
        "`${#{a: s}}`",
        "s.to_string()",
        "s.to_debug()",
        "[s].to_string()",
        "s.len",
        "s.len()",
        "#{a: s}.to_json()",
        "[s].reduce(|sum, x| sum + x, \"\")",
        "\"hunter2\".contains(s)",
        "\"hunter2\" == s",
        "s == \"hunter2\"",
        "s < same",
        "s.chars()",
        "\"x\".index_of(s)",
        "[s, \"a\"].sort()",
        "s.sub_string(0)",
        "s[0]",
        "s.split(\"u\")",
        "\"x\".replace(\"x\", s)",
        "parse_int(s)",
        "s in \"hunter2\"",
    ] {
        match host.expr(&text(source), &names) {
            Ok(expr) => {
                let error = host.eval(&expr, &scope).map(|value| value.to_string());
                let error = error.expect_err(source).message;
                assert!(!error.contains("hunter"), "{source}: {error}");
            }
            Err(problems) => assert_eq!(problems[0].code, "unknown-function", "{source}"),
        }
    }
    let eval = |source: &str| host.eval(&host.expr(&text(source), &names).unwrap(), &scope).unwrap();
    assert_eq!(eval("s == same"), Value::Bool(true));
    assert_eq!(eval("s != same"), Value::Bool(false));
    assert_eq!(eval("s == ()"), Value::Bool(false));
    assert_eq!(eval("type_of(s)"), "secret".into());
    assert_eq!(eval("#{ password: s }").get("password"), Some(&Value::Secret(Secret::new("hunter2"))));
}

#[test]
fn a_secret_makes_the_whole_template_secret() {
    let host = ScriptHost::new(Limits::default(), &[]);
    let scope = map([("s", Value::Secret(Secret::new("hunter2")))]);
    let render = |source: &str| host.render(&host.template(&text(source), &["s"]).unwrap(), &scope).unwrap();
    assert_eq!(render("${s}"), Value::Secret(Secret::new("hunter2")));
    assert_eq!(render("-p${s} ${1}"), Value::Secret(Secret::new("-phunter2 1")));
}

#[test]
fn nothing_reaches_outside() {
    for source in [
        "Fn(\"sleep\").call(1)",
        "Fn(\"exit\").call(1)",
        "let f = Fn(\"sleep\"); f.call(1.5)",
        "Fn(\"get_fn_metadata_list\").call(\"x\")",
        "Fn(\"act\").call(\"x\", #{})",
        "call(Fn(\"eval\"), \"1\")",
    ] {
        assert!(run(&Limits::default(), source).is_err(), "{source}");
    }
    let host = ScriptHost::new(Limits::default(), &[]);
    for source in ["import \"x\" as y;", "eval(\"1\")", "export x;", "timestamp()", "sleep(1)"] {
        assert!(host.script(&text(source), &[]).is_err(), "{source}");
    }
}

#[test]
fn native_functions_belong_to_one_script() {
    let host = ScriptHost::new(Limits::default(), &[]);
    let natives = [
        NativeFn::new("read", 1, |args| match args {
            [Value::Text(path)] if path == "/etc/hostname" => Ok("m1".into()),
            _ => Err("no such file".to_owned()),
        }),
        NativeFn::new("boom", 0, |_| panic!("a bug")),
    ];
    let known: Vec<(&str, usize)> =
        natives.iter().map(|native| (native.name.as_str(), native.arity)).collect();
    let source = text(
        "fn try_read(path) {\n  try { return read(path); } catch (e) { return e; }\n}\n#{ name: read(\"/etc/hostname\"), none: try_read(\"/x\"), words: words }",
    );
    let script = host.script_with(&source, &["words"], &known).unwrap_or_else(|p| panic!("{p:?}"));
    let value =
        host.run_with(&script, &map([("words", vec!["a"].into())]), &natives, &Cancel::new()).unwrap();
    assert_eq!(value.to_string(), "{\"name\":\"m1\",\"none\":\"`read`: no such file\",\"words\":[\"a\"]}");
    let problems = host.script(&source, &["words"]).unwrap_err();
    assert_eq!(problems[0].code, "unknown-function");
    let script = host.script_with(&text("1;\n  boom()"), &[], &known).unwrap();
    let error = host.run_with(&script, &Map::new(), &natives, &Cancel::new()).unwrap_err();
    assert_eq!(error.to_string(), "`boom`: an internal error happened (a panic) (f:2:3)");
}
