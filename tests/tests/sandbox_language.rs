//! Runs in the sandbox that speak another language than the runbook's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_api::Event;
use keybook_tests::{
    cli::{Ended, flat},
    sandbox::{Bench, FIRST, GATE},
};
use std::{fs, process::Stdio};

/// The titles of the steps that the latest run opened with.
fn titles(bench: &Bench) -> Vec<String> {
    let opened = bench.keybook.records().into_iter().find_map(|record| match record.event {
        Event::RunOpened { steps, .. } => Some(steps.into_iter().map(|step| step.title).collect()),
        _ => None,
    });
    opened.unwrap()
}

/// The gates' questions of the latest run.
fn questions(bench: &Bench) -> Vec<String> {
    let questions = bench.keybook.records().into_iter().filter_map(|record| match record.event {
        Event::GateAsked { question, .. } => Some(question),
        _ => None,
    });
    questions.collect()
}

/// What happened in the latest run, by event and unit. The preflight looks at all hosts at once.
fn trail(bench: &Bench) -> Vec<(String, String)> {
    let records = bench.keybook.records().into_iter();
    let entry = |event: &Event| serde_json::to_value(event).unwrap()["type"].as_str().unwrap().to_owned();
    records
        .map(|record| (entry(&record.event), record.unit.map_or_else(String::new, |unit| unit.to_string())))
        .collect()
}

/// Calls the program with these variables of the locale.
fn in_locale(bench: &Bench, variables: &[(&str, &str)], args: &[&str]) -> Ended {
    let mut command = bench.keybook.command(args);
    command.env_remove("LANG").envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn chinese(text: &str) -> bool {
    text.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter))
}

#[test]
fn language_run_speaks_chinese_and_ends_like_the_english_one() {
    let bench = Bench::new();
    let ended = bench.run("quick-one", &["--lang", "zh"]).with(0);
    ended.says(&format!("{FIRST}: 将新证书复制到节点"));
    let (spoken, in_chinese) = (titles(&bench), trail(&bench));
    assert!(spoken.iter().all(|title| chinese(title) || title.ends_with(".pem")), "{spoken:#?}");
    assert_eq!(
        questions(&bench),
        [
            format!("是否替换 {FIRST} 上的 etcd 证书？"),
            format!(
                "是否重启 {FIRST} 上的 etcd 和 apiserver？master 节点少于三个，重启期间集群不可用。\
                 这是最后一个节点，之后还会重启 flannel 的 pod。"
            )
        ]
    );
    bench.on_run("show", &[]).with(0).says("将新证书复制到节点");
    let english = bench.on_run("show", &["--lang", "en"]).with(0).says("Put the new files in place");
    assert!(!english.stdout.contains("将新证书复制到节点"), "{}", english.stdout);
    bench.on_run("show", &["--lang", "zh", "--format", "jsonl"]).with(2).says("stay as they were written");

    let own = Bench::new();
    own.run("quick-one", &[]).with(0);
    assert!(!titles(&own).iter().any(|title| chinese(title)), "{:#?}", titles(&own));
    assert_eq!(in_chinese, trail(&own));
}

#[test]
fn language_is_that_of_the_environment_unless_the_runbook_has_it_not() {
    let bench = Bench::new();
    let runbook = bench.runbook();
    let plan = ["plan", &runbook, "--sandbox", "quick-one"];
    let own = "Put the new files in place";
    for (variables, title) in [
        (&[("LANG", "zh_CN.UTF-8")][..], "将新证书复制到节点"),
        (&[("LANG", "en_GB.UTF-8"), ("LC_MESSAGES", "zh")], "将新证书复制到节点"),
        (&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")], own),
        (&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "")], "将新证书复制到节点"),
        (&[("LANG", "fr_FR.UTF-8")], own),
        (&[], own),
    ] {
        let ended = in_locale(&bench, variables, &plan).with(0).says(title);
        assert_eq!(chinese(&ended.stdout), title != own, "{variables:?}\n{}", ended.stdout);
        assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    }
    for (wish, spoken) in [("zh-CN", true), ("zh_TW", true), ("en", false)] {
        let args = [&plan[..], &["--lang", wish]].concat();
        let ended = in_locale(&bench, &[("LANG", "zh_CN.UTF-8")], &args).with(0);
        assert_eq!(chinese(&ended.stdout), spoken, "{wish}\n{}", ended.stdout);
    }
    let args = [&plan[..], &["--lang", "fr"]].concat();
    bench.keybook.call(args).with(2).says("use --lang fr").says("it has: en, zh (the first is its own)");
}

/// A translation is no part of what the runbook means: that it changed, or is wrong now, holds nothing back.
#[test]
fn language_of_a_run_is_kept_although_the_translation_changed() {
    let bench = Bench::new();
    let none = bench.answers_none();
    bench.run("quick-one", &["--lang", "zh", "--until", "issue"]).with(0);
    let file = bench.path("tos-etcd-ca/i18n/zh.yaml");
    let text = fs::read_to_string(&file).unwrap().replace("是否替换", "要不要替换");
    fs::write(&file, text).unwrap();
    let stopped = |more: &[&str], question: &str| {
        let args = [&["--unattended", "--answers", &none], more].concat();
        let ended = bench.on_run("resume", &args).with(3);
        assert!(questions(&bench).last().unwrap().starts_with(question), "{:#?}", questions(&bench));
        ended
    };
    stopped(&[], "是否替换").says(&format!("{FIRST}: 将新证书复制到节点"));
    let ended =
        stopped(&["--lang", "en"], "Replace the etcd certificates").says("Put the new files in place");
    assert!(!chinese(&ended.stderr), "{}", ended.stderr);
    fs::write(&file, "keybook: 1\nlang: [\n").unwrap();
    stopped(&[], "是否替换");
    bench.on_run("resume", &["--unattended", "--lang", "fr"]).with(2).says("it has: en, zh");
    bench.resume().with(0);
    bench.roll_back().with(5).says("重启");
}

/// Every row of a screen is measured in columns of a terminal, of which a Chinese character takes two.
#[test]
fn language_of_a_guided_run_keeps_to_the_terminals_columns() {
    let bench = Bench::new();
    let mut terminal = bench.guided("quick-one", &["--lang", "zh"]);
    let shown = flat(&terminal.prompted(GATE));
    for text in ["将新证书复制到节点", "每个节点使用同样的三个文件；etcd 在重启后才会读取它们。"]
    {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(shown.contains(&format!("是否替换 {FIRST} 上的 etcd 证书？")), "{shown}");
    terminal.answer("details");
    terminal.prompted(GATE);
    terminal.answer("r");
    // It would have room if each of its characters took one column.
    let why = "服务只在启动时读取证书。所有成员恢复健康之后才轮到下一个节点，以保证 etcd 不会失去多数派。";
    let shown = terminal.prompted(GATE);
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    assert!(why.chars().count() < 70 && !shown.contains(why) && bare(&shown).contains(&bare(why)), "{shown}");
    let question =
        format!("是否重启 {FIRST} 上的 etcd 和 apiserver？master 节点少于三个，重启期间集群不可用。");
    assert!(bare(&shown).contains(&bare(&question)), "{shown}");
    terminal.answer("q");
    let (code, screen) = terminal.end();
    assert_eq!(code, 8, "{screen:#?}");
}
