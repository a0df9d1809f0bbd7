//! Translations: `i18n/LANG.yaml` beside a runbook.

use crate::support::{Bench, actions};
use keybook_api::{Event, event::Answer};
use keybook_core::{
    journal::reader,
    model::{
        Files, Loaded,
        load::{LoadError, load},
    },
    run::engine,
};
use keybook_script::{Limits, ScriptHost};
use std::{fs, path::Path};

const RUNBOOK: &str = "keybook: 1
name: test
version: 1.0.0
title: A test
inputs:
  text: { type: string, default: new, help: what is written }
hosts:
  master: { min: 1, help: every master }
steps:
  - id: look
    hosts: master
    t.read: { path: /etc/f }
    register: seen
  - id: put
    title: Write it
    why: It is old.
    hosts: master
    facts: { now: { t.read: { path: /etc/f } } }
    gate: { ask: \"Write ${inputs.text} over ${facts.now} on ${host.name}?\" }
    t.put: { path: /etc/f, content: \"${inputs.text}\" }
  - id: mark
    hosts: master[0]
    use: mark
    with: { name: x }
finally:
  - { id: end, title: The end, t.note: { text: bye } }
";

const LIBRARY: &str = "keybook: 1
library: mark
inputs: { name: { type: string } }
steps:
  - id: burn
    title: Mark it
    irreversible: It stays.
    gate: { ask: \"Mark ${inputs.name}?\" }
    t.put: { path: /etc/mark, content: \"${inputs.name}\" }
";

const CHINESE: &str = "keybook: 1
lang: zh
title: 测试
inputs: { text: 写入的内容 }
hosts: { master: 所有 master 节点 }
steps:
  put:
    title: 写入
    why: 内容已过时。
    ask: 在 ${host.name} 上用 ${inputs.text} 覆盖 ${facts.now}（曾为 ${seen}）？
  finally/end: { title: 结束 }
libraries:
  mark:
    burn: { title: 标记, irreversible: 无法撤回。, ask: \"标记 ${inputs.name}？\" }
";

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn bench(translations: &[(&str, &str)]) -> Bench {
    let bench = Bench::whole(RUNBOOK).masters(&["a"]);
    write(bench.dir.path(), "lib/mark.yaml", LIBRARY);
    for (name, text) in translations {
        write(bench.dir.path(), &format!("i18n/{name}.yaml"), text);
    }
    bench
}

fn loaded(bench: &Bench) -> Result<Loaded, Vec<String>> {
    write(bench.dir.path(), "runbook.yaml", &bench.yaml);
    let script = ScriptHost::new(Limits::default(), &[]);
    load(bench.dir.path(), "book", &actions::registry(), &script).map_err(|error| match error {
        LoadError::Fault(fault) => vec![fault.to_string()],
        LoadError::Invalid { problems, .. } => problems.iter().map(told).collect(),
    })
}

fn told(problem: &keybook_api::Diagnostic) -> String {
    let help = problem.help.as_ref().map(|help| format!(" | {help}")).unwrap_or_default();
    format!("{} {} {}{help}", problem.code, problem.span, problem.message)
}

#[tokio::test(start_paused = true)]
async fn a_run_speaks_the_language_and_does_the_same() {
    let bench = bench(&[("zh", CHINESE)]);
    bench.world.put("a", "/etc/f", "old");
    bench.person.will_answer([Some(Answer::Run), Some(Answer::Run)]);
    let mut setup = bench.setup();
    assert!(setup.loaded.warnings.is_empty(), "{:?}", setup.loaded.warnings);
    setup.loaded.speak("zh");
    setup.inputs.insert("text".into(), "new".into());
    let outcome = engine::start(setup, &bench.journal()).await.unwrap();
    assert_eq!(outcome.exit, 0, "{}", outcome.reason);
    assert_eq!(bench.world.text("a", "/etc/f").unwrap(), "new");
    assert_eq!(bench.person.asked(), ["put@a", "mark/burn@a"]);
    let records = reader::read(&bench.journal()).unwrap().records;
    let questions: Vec<&str> = records
        .iter()
        .filter_map(|record| match &record.event {
            Event::GateAsked { question, .. } => Some(question.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(questions, ["在 a 上用 new 覆盖 old（曾为 old）？", "标记 x？"]);
    let Event::RunOpened { steps, runbook, .. } = &records[0].event else { panic!() };
    let titles: Vec<&str> = steps.iter().map(|step| step.title.as_str()).collect();
    assert_eq!(titles, ["look", "写入", "mark", "标记", "结束"]);
    assert_eq!((runbook.title.as_str(), steps[1].why.as_str()), ("测试", "内容已过时。"));
}

#[test]
fn every_text_is_put_into_the_language_and_another_one_changes_nothing() {
    let mut loaded = loaded(&bench(&[("zh", CHINESE)])).unwrap();
    assert_eq!(loaded.languages(), ["en", "zh"]);
    loaded.speak("fr");
    assert_eq!(loaded.runbook.title, "A test");
    loaded.speak("zh");
    let runbook = &loaded.runbook;
    assert_eq!(runbook.inputs["text"].help, "写入的内容");
    assert_eq!(runbook.hosts["master"].help, "所有 master 节点");
    let burn = runbook.step_at("mark/burn").unwrap();
    assert_eq!((burn.title.as_str(), burn.irreversible.as_deref()), ("标记", Some("无法撤回。")));
}

#[test]
fn a_language_is_found_by_its_tag_and_by_what_is_before_a_hyphen() {
    let loaded = loaded(&bench(&[("zh", CHINESE)])).unwrap();
    for (wish, found) in [
        ("zh", Some("zh")),
        ("zh-CN", Some("zh")),
        ("ZH-Hans-CN", Some("zh")),
        ("en-US", Some("en")),
        ("fr", None),
        ("z", None),
        ("", None),
    ] {
        assert_eq!(loaded.language_for(wish).as_deref(), found, "{wish}");
    }
    let own = Bench::whole(&RUNBOOK.replace("title: A test", "title: Ein Test\nlang: de"));
    write(own.dir.path(), "lib/mark.yaml", LIBRARY);
    assert_eq!(self::loaded(&own).unwrap().languages(), ["de"]);
}

#[test]
fn a_translation_is_among_the_files_and_not_in_the_digest() {
    let (without, with) = (bench(&[]), bench(&[("zh", CHINESE)]));
    let (before, now) = (loaded(&without).unwrap(), loaded(&with).unwrap());
    assert_eq!(before.digest, now.digest);
    assert!(now.files().any(|(file, text)| file == "i18n/zh.yaml" && text == CHINESE));
    assert_eq!(Files::read(with.dir.path(), "book").unwrap().digest(), now.digest);
    write(without.dir.path(), "lib/mark.yaml", &LIBRARY.replace("It stays.", "It remains."));
    assert_ne!(loaded(&without).unwrap().digest, now.digest);
}

#[test]
fn what_is_wrong_in_a_translation_is_told_at_its_place() {
    let head = "keybook: 1\nlang: zh\n";
    let place = "book/i18n/zh.yaml";
    for (text, wanted) in [
        ("stepz: {}\n", "unknown-key 3:1 a translation has no key `stepz` | did you mean `steps`?"),
        (
            "steps: { pt: { title: x } }\n",
            "unknown-step 3:10 the runbook has no step `pt` | did you mean `put`?",
        ),
        ("steps: { end: { title: x } }\n", "unknown-step 3:10 the runbook has no step `end`"),
        (
            "steps: { mark/burn: { title: x } }\n",
            "unknown-step 3:10 the runbook has no step `mark/burn` | the step is the library's: write it as `burn` \
             under `libraries`, `mark`",
        ),
        (
            "libraries: { mrak: { burn: { title: x } } }\n",
            "unknown-library 3:14 the runbook uses no library `mrak` | did you mean `mark`?",
        ),
        (
            "libraries: { mark: { brun: { title: x } } }\n",
            "unknown-step 3:22 the library `mark` has no step `brun` | did you mean `burn`?",
        ),
        (
            "steps: { put: { titel: x } }\n",
            "unknown-key 3:17 the text of a step has no key `titel` | did you mean `title`?",
        ),
        ("steps: { put: x }\n", "wrong-type 3:15 the text of a step must be a map, this is a string"),
        ("title: 1\n", "wrong-type 3:8 expected text, this is a whole number | put it in quotes: \"1\""),
        (
            "inputs: { txet: x }\n",
            "unknown-input 3:11 the runbook has no input `txet` | did you mean `text`?",
        ),
        (
            "hosts: { masters: x }\n",
            "unknown-group 3:10 the runbook has no group `masters` | did you mean `master`?",
        ),
        (
            "steps: { look: { ask: x } }\n",
            "nothing-to-translate 3:18 `look` has no gate, so nothing is asked | remove `ask` here, or add it to the step",
        ),
        (
            "steps: { look: { irreversible: x } }\n",
            "nothing-to-translate 3:18 `look` is not irreversible | remove `irreversible` here, or add it to the step",
        ),
        (
            "steps: { put: { ask: \"x ${inputs.txt}\" } }\n",
            "unknown-name 3:34 there is no input `txt` | did you mean `text`?",
        ),
        (
            "steps: { put: { ask: \"x ${facts.then}\" } }\n",
            "unknown-name 3:33 there is no fact of this step `then`",
        ),
        ("steps: { put: { ask: \"x ${sen}\" } }\n", "unknown-variable 3:27 there is no variable `sen`"),
        ("steps: { put: { ask: \"x ${result}\" } }\n", "unknown-variable 3:27 there is no variable `result`"),
        (
            "libraries: { mark: { burn: { ask: \"x ${seen}\" } } }\n",
            "unknown-variable 3:40 there is no variable `seen`",
        ),
        ("steps: { put: { ask: \"x ${\" } }\n", "template-syntax 3:25 this `${` is not closed"),
    ] {
        let found = loaded(&bench(&[("zh", &format!("{head}{text}"))])).err().unwrap();
        let (code, rest) = wanted.split_once(' ').unwrap();
        let wanted = format!("{code} {place}:{rest}");
        assert!(found[0].starts_with(&wanted), "{wanted}\n{found:#?}");
        let errors = found.iter().filter(|line| !line.starts_with("missing-translation"));
        assert_eq!(errors.count(), 1, "{found:#?}");
    }
}

#[test]
fn the_language_is_that_of_the_files_name() {
    for (name, lang, wanted) in [
        (
            "zh",
            "fr",
            "translation-language book/i18n/zh.yaml:2:7 this file is the translation into `zh` | write `lang: zh`, or \
             rename the file to fr.yaml",
        ),
        ("zh", "Chinese", "bad-language book/i18n/zh.yaml:2:7 `Chinese` is no language"),
        ("en", "en", "translation-language book/i18n/en.yaml:2:7 the runbook itself is in `en`"),
    ] {
        let text = CHINESE.replace("lang: zh", &format!("lang: {lang}"));
        let found = loaded(&bench(&[(name, &text)])).err().unwrap();
        assert!(found.len() == 1 && found[0].starts_with(wanted), "{wanted}\n{found:#?}");
    }
}

#[test]
fn what_is_not_translated_is_named_once_with_its_place() {
    let half = "keybook: 1\nlang: zh\ntitle: 测试\nsteps: { put: { title: 写入, why: \"\" } }\n";
    let found: Vec<String> = loaded(&bench(&[("zh", half)])).unwrap().warnings.iter().map(told).collect();
    assert_eq!(
        found,
        ["missing-translation book/i18n/zh.yaml:2:7 8 of 10 texts are not translated | add inputs.text \
          (runbook.yaml:6), hosts.master (runbook.yaml:8), steps.put.why (runbook.yaml:14), steps.put.ask \
          (runbook.yaml:19), libraries.mark.burn.title (mark.yaml:5), libraries.mark.burn.ask (mark.yaml:8), \
          libraries.mark.burn.irreversible (mark.yaml:5), steps.finally/end.title (runbook.yaml:26)"]
    );
}

/// A step that could not be read may be the one that a translation names.
#[test]
fn a_runbook_with_errors_brings_no_doubts_about_its_translation() {
    let mut bench = bench(&[("zh", &CHINESE.replace("title: 写入", "titel: 写入"))]);
    bench.yaml = bench.yaml.replace("t.read: { path: /etc/f }\n    register", "t.raed: {}\n    register");
    let found = loaded(&bench).err().unwrap();
    let codes: Vec<&str> = found.iter().filter_map(|line| line.split(' ').next()).collect();
    assert!(codes.contains(&"unknown-action") && codes.contains(&"unknown-key"), "{found:#?}");
    assert!(!codes.contains(&"unknown-step") && !codes.contains(&"missing-translation"), "{found:#?}");
}

#[test]
fn a_translated_question_says_all_that_the_original_says() {
    let said = |ask: &str| {
        let text = CHINESE.replace("${facts.now}", ask);
        assert_ne!(text, CHINESE, "{CHINESE}");
        problems(&text)
    };
    let found = said("");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("this question says nothing of `facts.now`"), "{found:?}");
    assert_eq!(said("${if facts.now == \"\" { \"空\" } else { \"旧\" }}"), Vec::<String>::new());
}

/// A misspelt key is a mistake, and its text is not missed as well.
#[test]
fn a_misspelt_key_is_not_missing_besides() {
    let text = CHINESE.replace("    ask:", "    aks:");
    assert_ne!(text, CHINESE, "{CHINESE}");
    let found = problems(&text);
    assert!(found.iter().all(|problem| problem.contains("aks")), "{found:?}");
}

/// Everything that is said of a runbook with this translation.
fn problems(translation: &str) -> Vec<String> {
    loaded(&bench(&[("zh", translation)]))
        .map_or_else(|problems| problems, |loaded| loaded.warnings.iter().map(told).collect())
}
