//! hooks.rhai, `script:` steps, and their calls of actions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::{Cancel, Map, Secret, SourceText, Value, value::map};
use keybook_script::{HostCalls, Limits, ScriptHost};
use std::{cell::RefCell, time::Duration};

fn host() -> ScriptHost {
    ScriptHost::new(Limits::default(), &[])
}

fn rhai(source: &str) -> SourceText {
    SourceText::verbatim(source, "hooks.rhai", 1, 1)
}

fn yaml(source: &str) -> SourceText {
    SourceText::verbatim(source, "runbook.yaml", 9, 5)
}

/// Answers `x.read`, fails on `x.fail`, panics on `x.panic`, and remembers everything.
#[derive(Default)]
struct Calls {
    seen: RefCell<Vec<String>>,
    slow: Duration,
    cancel: Option<Cancel>,
}

impl HostCalls for Calls {
    fn call(&self, action: &str, args: Map) -> Result<Value, String> {
        self.seen.borrow_mut().push(format!("{action} {}", Value::Map(args.clone())));
        std::thread::sleep(self.slow);
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
        match action {
            "x.read" => Ok(args.get("path").cloned().unwrap_or_default()),
            "x.panic" => panic!("a bug"),
            _ => Err(format!("there is no action `{action}`")),
        }
    }

    fn note(&self, text: &str) {
        self.seen.borrow_mut().push(format!("note {text}"));
    }

    fn secret(&self, name: &str) -> Result<Value, String> {
        match name {
            "token" => Ok(Value::Secret(Secret::new("hunter22"))),
            _ => Err(format!("there is no secret input `{name}`")),
        }
    }
}

const HOOKS: &str = "\
// Functions for expressions.
fn is_leader(member) {
    member.role == \"leader\"
}
fn leaders(members) {
    members.filter(|member| is_leader(member))
}
fn risky(x) {
    let y = x;
    y.missing
}
fn after_step(step, result) {
    let found = act(\"x.read\", #{ path: `/tmp/${step.id}` });
    note(`read ${found}`);
    print(\"printed\");
    found
}
fn indirect() { after_step(#{ id: 1 }, 2) }
fn by_pointer() { [1].map(|x| note(x)) }
";

#[test]
fn expressions_call_functions_of_the_hooks() {
    let hooks = host().hooks(&rhai(HOOKS)).unwrap_or_else(|problems| panic!("{problems:?}"));
    let host = host().with_hooks(&hooks);
    let members =
        Value::List(vec![map([("role", "leader".into())]).into(), map([("role", "follower".into())]).into()]);
    let scope = map([("members", members)]);
    let expr = host.expr(&yaml("leaders(members).len == 1"), &["members"]).unwrap();
    assert_eq!(host.eval(&expr, &scope).unwrap(), Value::Bool(true));
    let template = host.template(&yaml("n=${leaders(members).len}"), &["members"]).unwrap();
    assert_eq!(host.render(&template, &scope).unwrap(), "n=1".into());
    let acts: Vec<(&str, bool)> = hooks.functions().iter().map(|f| (f.name.as_str(), f.acts)).collect();
    assert_eq!(
        acts,
        [
            ("after_step", true),
            ("by_pointer", true),
            ("indirect", true),
            ("is_leader", false),
            ("leaders", false),
            ("risky", false)
        ]
    );
    assert_eq!(hooks.params_of("after_step"), Some(2));
    assert_eq!(hooks.functions()[0].span.to_string(), "hooks.rhai:12:4");
    for name in ["after_step(1, 2)", "indirect()", "by_pointer()"] {
        let problems = host.expr(&yaml(name), &[]).unwrap_err();
        assert_eq!(problems[0].code, "not-pure", "{name}");
    }
    let problems = host.expr(&yaml("is_leder(1)"), &[]).unwrap_err();
    assert_eq!(problems[0].help.as_deref(), Some("did you mean `is_leader`?"));
}

#[test]
fn errors_are_shown_where_the_failing_code_stands() {
    let hooks = host().hooks(&rhai(HOOKS)).unwrap();
    let host = host().with_hooks(&hooks);
    let fail = |source: &str| {
        let expr = host.expr(&yaml(source), &["members"]).unwrap();
        let members = Value::List(vec![map([("rolle", "x".into())]).into()]);
        let error = host.eval(&expr, &map([("members", members)])).unwrap_err();
        format!("{} {}", error.span, error.message)
    };
    assert_eq!(
        fail("true &&\n risky(#{ a: 1 })"),
        "hooks.rhai:10:7 the map has no key `missing`; it has `a`"
    );
    assert_eq!(fail("leaders(members)"), "hooks.rhai:3:12 the map has no key `role`; did you mean `rolle`?");
    assert_eq!(fail("[1].map(|x| x.y)"), "runbook.yaml:9:19 a int has no `y`");
    assert_eq!(fail("members[0].rol"), "runbook.yaml:9:16 the map has no key `rol`; it has `rolle`");
}

#[test]
fn wrong_hooks_are_refused_at_their_place() {
    for (source, expected) in [
        ("fn a() {\n  let x = y;\n}\n", "unknown-variable 2:11"),
        ("fn a() {\n  foo(1)\n}\n", "unknown-function 2:3"),
        ("fn a(x) { x }\nfn b() { a() }\n", "wrong-arguments 2:10"),
        ("fn a() { 1 }\nlet x = 1;\n", "hooks-statement 2:1"),
        ("fn a() {\n  import \"x\" as y;\n}", "script-syntax 2:3"),
        ("fn a( {", "script-syntax 1:7"),
        ("fn a() { sleep(1) }", "unknown-function 1:10"),
    ] {
        let problems = host().hooks(&rhai(source)).unwrap_err();
        let found = format!("{} {}:{}", problems[0].code, problems[0].span.line, problems[0].span.column);
        assert_eq!(found, expected, "{source}: {problems:?}");
    }
}

#[test]
fn hooks_call_actions_and_take_notes() {
    let host = host();
    let hooks = host.hooks(&rhai(HOOKS)).unwrap();
    let calls = Calls::default();
    let step: Value = map([("id", "s1".into())]).into();
    let value = host.call_hook(&hooks, "after_step", vec![step.clone(), Value::Null], &calls, &Cancel::new());
    assert_eq!(value.unwrap(), Some("/tmp/s1".into()));
    assert_eq!(*calls.seen.borrow(), ["x.read {\"path\":\"/tmp/s1\"}", "note read /tmp/s1", "note printed"]);
    assert_eq!(host.call_hook(&hooks, "before_run", vec![], &calls, &Cancel::new()).unwrap(), None);
    let error = host.call_hook(&hooks, "after_step", vec![step], &calls, &Cancel::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the hook `after_step` must take 1 parameters, it takes 2 (hooks.rhai:12:4)"
    );
}

#[test]
fn failing_actions_are_errors_at_the_call() {
    let host = host();
    let hooks = host
        .hooks(&rhai("fn a() {\n  act(\"x.fail\")\n}\nfn b() {\n  try { act(\"x.fail\"); } catch (e) { return e; }\n}\nfn c() { act(\"x.panic\", #{}) }\nfn d() { act(\"x.read\", #{ path: |x| x }) }"))
        .unwrap();
    let call = |name: &str| host.call_hook(&hooks, name, vec![], &Calls::default(), &Cancel::new());
    assert_eq!(call("a").unwrap_err().to_string(), "there is no action `x.fail` (hooks.rhai:2:3)");
    assert_eq!(call("b").unwrap(), Some("there is no action `x.fail`".into()));
    assert!(call("c").unwrap_err().message.contains("internal error"));
    assert_eq!(call("d").unwrap_err().message, "this is a function, not a value");
}

#[test]
fn scripts_run_with_variables_and_actions() {
    let hooks = host().hooks(&rhai(HOOKS)).unwrap();
    let host = host().with_hooks(&hooks);
    let source = yaml(
        "let all = [];\nfor name in inputs.names {\n  all.push(act(\"x.read\", #{ path: name, s: secret }));\n}\nall.len + leaders([]).len",
    );
    let script = host.script(&source, &["inputs", "secret"]).unwrap();
    let calls = Calls::default();
    let scope = map([
        ("inputs", map([("names", vec!["a", "b"].into())]).into()),
        ("secret", Value::Secret(Secret::new("hunter2"))),
    ]);
    assert_eq!(host.run_script(&script, &scope, &calls, &Cancel::new()).unwrap(), Value::Int(2));
    assert_eq!(calls.seen.borrow()[0], "x.read {\"path\":\"a\",\"s\":\"[secret]\"}");
    let broken = host.script(&yaml("let x = 1;\nx.foo"), &[]).unwrap();
    let error = host.run_script(&broken, &Map::new(), &calls, &Cancel::new()).unwrap_err();
    assert_eq!(error.span.to_string(), "runbook.yaml:10:3");
    let noted = host.script(&yaml("note(secret)"), &["secret"]).unwrap();
    let error = host.run_script(&noted, &scope, &calls, &Cancel::new()).unwrap_err();
    assert!(error.message.contains("secret"), "{error}");
    assert!(!calls.seen.borrow().iter().any(|seen| seen.contains("hunter")));
}

#[test]
fn the_time_of_actions_does_not_count() {
    let host = ScriptHost::new(Limits { wall: Duration::from_millis(150), ..Limits::default() }, &[]);
    let script =
        host.script(&yaml("act(\"x.read\", #{});\nlet n = 0;\nwhile n < 100 { n += 1; }\nn"), &[]).unwrap();
    let calls = Calls { slow: Duration::from_millis(400), ..Calls::default() };
    assert_eq!(host.run_script(&script, &Map::new(), &calls, &Cancel::new()).unwrap(), Value::Int(100));
}

#[test]
fn a_stop_during_an_action_ends_the_script_even_if_it_catches() {
    let host = host();
    let cancel = Cancel::new();
    let calls = Calls { cancel: Some(cancel.clone()), ..Calls::default() };
    let script = host.script(&yaml("try { act(\"x.fail\"); } catch { }\nact(\"x.read\", #{})"), &[]).unwrap();
    let error = host.run_script(&script, &Map::new(), &calls, &cancel).unwrap_err();
    assert_eq!(error.message, "the run was stopped");
    assert_eq!(calls.seen.borrow().len(), 1);
}

#[test]
fn the_calls_that_a_script_writes_out_are_known() {
    let source = yaml(
        "let name = \"x.read\";\nact(name, #{ path: \"/a\" });\nact(\"x.read\", #{ path: `/${item}`, mode: \"0600\", list: [1, 2] });\nfn helper(p) { act(\"x.put@b\", p) }\nlet done = act(\"x.fail\");\n[1].map(|n| act(\"x.read\", #{ n: n }));\ndone",
    );
    let script = host().script(&source, &["item"]).unwrap();
    let shown: Vec<String> = script
        .acts()
        .iter()
        .map(|call| {
            let args = call.args.as_ref().map(|args| {
                args.iter()
                    .map(|(key, arg)| format!("{key}@{}={:?}", arg.span.column, arg.value))
                    .collect::<Vec<_>>()
            });
            format!("{}:{}+{} {} {args:?}", call.span.line, call.span.column, call.span.length, call.action)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "11:5+8 x.read Some([\"path@18=None\", \"mode@36=Some(Text(\\\"0600\\\"))\", \"list@50=Some(List([Int(1), Int(2)]))\"])",
            "12:20+9 x.put@b None",
            "13:16+8 x.fail Some([])",
            "14:17+8 x.read Some([\"n@30=None\"])",
        ]
    );
    let names: Vec<&str> = script.names_used().iter().map(|used| used.name.as_str()).collect();
    assert_eq!(names, ["item"], "what it declares itself is its own");
}

#[test]
fn a_judge_of_calls_speaks_together_with_the_checks() {
    let judge = |call: &keybook_script::ActCall| {
        vec![keybook_api::Diagnostic::error("judged", call.action.clone(), call.span.clone())]
    };
    let problems =
        host().script_judged(&yaml("act(\"x.a\");\nnone(1);\nact(\"x.b\")"), &[], &judge).unwrap_err();
    let shown: Vec<String> =
        problems.iter().map(|problem| format!("{} {}", problem.code, problem.span.line)).collect();
    assert_eq!(shown, ["judged 9", "unknown-function 10", "judged 11"]);
}

#[test]
fn hooks_ask_for_secrets_by_name_and_nothing_else_does() {
    let source = "fn after_run(run) { act(\"x.read\", #{ path: secret(\"token\") }) }\nfn two(x) { secret(x) }\nfn three() { two(`no`) }";
    let hooks = host().hooks(&rhai(source)).unwrap();
    let asked: Vec<_> =
        hooks.secrets().iter().map(|asked| (asked.text.as_str(), asked.span.to_string())).collect();
    assert_eq!(asked, [("token", "hooks.rhai:1:51".to_owned())], "as far as it is written out");
    let acting: Vec<_> =
        hooks.functions().iter().map(|function| (function.name.as_str(), function.acts)).collect();
    assert_eq!(acting, [("after_run", true), ("three", true), ("two", true)]);
    let (calls, host) = (Calls::default(), host().with_hooks(&hooks));
    let call = |name, args| host.call_hook(&hooks, name, args, &calls, &Cancel::new());
    let handed_on = call("after_run", vec![Value::Null]).unwrap().unwrap();
    assert_eq!(handed_on, Value::Secret(Secret::new("hunter22")));
    assert_eq!(calls.seen.borrow().as_slice(), ["x.read {\"path\":\"[secret]\"}"]);
    let refused = call("three", Vec::new()).unwrap_err();
    assert_eq!(refused.message, "there is no secret input `no`");

    for text in ["secret(\"token\")", "two(\"token\")"] {
        let problems = host.expr(&yaml(text), &[]).unwrap_err();
        assert_eq!(problems[0].code, "not-pure", "{text}");
    }
    let problems = host.script(&yaml("secret(\"token\");"), &[]).unwrap_err();
    assert_eq!((problems[0].code, problems[0].span.to_string().as_str()), ("hooks-only", "runbook.yaml:9:5"));
}

/// As a script is served: it has its inputs already.
struct OfScript;

impl HostCalls for OfScript {
    fn call(&self, _action: &str, _args: Map) -> Result<Value, String> {
        Ok(Value::Null)
    }

    fn note(&self, _text: &str) {}
}

#[test]
fn a_script_gets_no_secret_through_a_function_of_the_hooks() {
    let hooks = host().hooks(&rhai("fn tell() { secret(\"token\") }")).unwrap();
    let host = host().with_hooks(&hooks);
    let script = host.script(&yaml("tell()"), &[]).unwrap();
    let refused = host.run_script(&script, &Map::new(), &OfScript, &Cancel::new()).unwrap_err();
    assert_eq!(refused.message, "`secret` is for hooks; a script reads `inputs.token`");
}
