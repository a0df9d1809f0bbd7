//! What `keybook validate` says of translations, exactly as it is shown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use keybook_tests::sandbox::Bench;

const RUNBOOK: &str = "keybook: 1
name: small
version: 1.0.0
title: A small runbook
inputs:
  text: { type: string, default: x, help: what is written }
hosts:
  node: { min: 1, help: any host }
steps:
  - id: write
    title: Write the file
    why: It is old.
    hosts: node
    gate: { ask: \"Write ${inputs.text} on ${host.name}?\" }
    file.put: { path: /etc/x, content: \"${inputs.text}\" }
  - id: mark
    hosts: node
    use: mark
";

const LIBRARY: &str = "keybook: 1
library: mark
steps:
  - { id: tell, title: Say so, note.write: { text: done } }
";

/// What is said of a runbook whose Chinese translation is this.
fn said(translation: &str, code: i32) -> String {
    let bench = Bench::new();
    bench.write("small/runbook.yaml", RUNBOOK);
    bench.write("small/lib/mark.yaml", LIBRARY);
    bench.write("small/i18n/zh.yaml", translation);
    let folder = bench.text("small");
    let ended = bench.keybook.call(["validate", &folder]).with(code);
    // A library and a translation are judged with their runbook.
    for part in ["i18n/zh.yaml", "lib/mark.yaml"] {
        let alone = bench.keybook.call(["validate", &format!("{folder}/{part}")]).with(code);
        assert_eq!(alone.stderr, ended.stderr);
    }
    ended.stderr.replace(&format!("{folder}/"), "")
}

#[test]
fn validate_shows_every_mistake_of_a_translation() {
    let translation = "keybook: 1
lang: zh
title: 小手册
titel: 小手册
inputs: { txet: 写入的内容 }
hosts: { nodes: 任意主机 }
steps:
  wirte: { title: 写文件 }
  mark/tell: { title: 说明 }
  mark: { ask: 现在可以吗？ }
  write:
    title: 写文件
    because: 已过时
    irreversible: 无法撤回
    ask: 在 ${host.name} 上写入 ${inputs.txt} 吗？
libraries:
  mrak: {}
";
    let wanted = r"error[unknown-key]: a translation has no key `titel`
 --> i18n/zh.yaml:4:1
  |
4 | titel: 小手册
  | ^^^^^ not known here
  |
  = help: did you mean `title`?

error[unknown-input]: the runbook has no input `txet`
 --> i18n/zh.yaml:5:11
  |
5 | inputs: { txet: 写入的内容 }
  |           ^^^^
  |
  = help: did you mean `text`?

error[unknown-group]: the runbook has no group `nodes`
 --> i18n/zh.yaml:6:10
  |
6 | hosts: { nodes: 任意主机 }
  |          ^^^^^
  |
  = help: did you mean `node`?

error[unknown-step]: the runbook has no step `wirte`
 --> i18n/zh.yaml:8:3
  |
8 |   wirte: { title: 写文件 }
  |   ^^^^^
  |
  = help: did you mean `write`?

error[unknown-step]: the runbook has no step `mark/tell`
 --> i18n/zh.yaml:9:3
  |
9 |   mark/tell: { title: 说明 }
  |   ^^^^^^^^^
  |
  = help: the step is the library's: write it as `tell` under `libraries`,
          `mark`

error[nothing-to-translate]: `mark` has no gate, so nothing is asked
  --> i18n/zh.yaml:10:11
   |
10 |   mark: { ask: 现在可以吗？ }
   |           ^^^
   |
   = help: remove `ask` here, or add it to the step

error[unknown-key]: the text of a step has no key `because`
  --> i18n/zh.yaml:13:5
   |
13 |     because: 已过时
   |     ^^^^^^^ not known here
   |
   = help: known keys: `title`, `why`, `ask`, `irreversible`

error[nothing-to-translate]: `write` is not irreversible
  --> i18n/zh.yaml:14:5
   |
14 |     irreversible: 无法撤回
   |     ^^^^^^^^^^^^
   |
   = help: remove `irreversible` here, or add it to the step

error[unknown-name]: there is no input `txt`
  --> i18n/zh.yaml:15:38
   |
15 |     ask: 在 ${host.name} 上写入 ${inputs.txt} 吗？
   |                                          ^^^
   |
   = help: did you mean `text`?

error[unknown-library]: the runbook uses no library `mrak`
  --> i18n/zh.yaml:17:3
   |
17 |   mrak: {}
   |   ^^^^
   |
   = help: did you mean `mark`?

10 errors
";
    assert_eq!(said(translation, 2), wanted);
}

#[test]
fn validate_shows_a_translation_that_is_not_whole() {
    let wanted = r"warning[missing-translation]: 6 of 7 texts are not translated
 --> i18n/zh.yaml:2:7
  |
2 | lang: zh
  |       ^^ they are shown in the runbook's own language
  |
  = help: add inputs.text (runbook.yaml:6), hosts.node (runbook.yaml:8),
          steps.write.title (runbook.yaml:10), steps.write.why
          (runbook.yaml:10), steps.write.ask (runbook.yaml:14),
          libraries.mark.tell.title (mark.yaml:4)

1 warning
";
    assert_eq!(said("keybook: 1\nlang: zh\ntitle: 小手册\n", 0), wanted);
}

#[test]
fn validate_shows_a_language_that_is_not_the_files() {
    let wanted = r"error[translation-language]: this file is the translation into `zh`
 --> i18n/zh.yaml:2:7
  |
2 | lang: fr
  |       ^^ its language is that of its file
  |
  = help: write `lang: zh`, or rename the file to fr.yaml

1 error
";
    assert_eq!(said("keybook: 1\nlang: fr\ntitle: x\n", 2), wanted);
    let wanted = r"error[bad-language]: `chinese` is no language
 --> i18n/zh.yaml:2:7
  |
2 | lang: chinese
  |       ^^^^^^^
  |
  = help: write its tag, such as zh, zh-CN or pt-BR

1 error
";
    assert_eq!(said("keybook: 1\nlang: chinese\ntitle: x\n", 2), wanted);
}

#[test]
fn validate_wants_a_translation_beside_its_runbook() {
    let bench = Bench::new();
    let file = bench.write("zh.yaml", "keybook: 1\nlang: zh\nsteps: {}\n");
    let ended = bench.keybook.call(["validate", &file]).with(2).says("this is a part of a runbook");
    ended.says("a translation in i18n/");
}

/// What an author says about inputs holds for scenarios, and the program's refusal names it.
#[test]
fn validate_and_run_hold_inputs_to_their_types() {
    let bench = Bench::new();
    let inputs = "inputs:\n  signer: { type: host, help: who signs }\n  unit: { type: string, pattern: '[a-z]+', \
                  default: etcd, help: the unit }\n";
    let runbook = RUNBOOK.replace("inputs:\n", inputs).replace("    why: It is old.\n", "").replace(
        "content: \"${inputs.text}\"",
        "content: \"${inputs.text} ${inputs.unit} ${hosts[inputs.signer].address}\"",
    );
    bench.small_scenario("inputs: { signer: n11 }\n");
    bench.write("small/runbook.yaml", runbook);
    bench.write("small/lib/mark.yaml", LIBRARY);
    let folder = bench.text("small");
    let found = bench.keybook.call(["validate", &folder]).with(2);
    found.says("unknown-host").says("there is no host `n11` in the inventory").says("did you mean `n1`?");
    let run =
        |more: &[&str]| bench.keybook.call([&["run", &folder, "--sandbox", "--unattended"], more].concat());
    run(&[]).with(2).says("read the input `signer`").says("did you mean `n1`?");
    assert!(bench.keybook.runs().iter().all(|run| !run.join("journal.jsonl").exists()));
    run(&["-e", "signer=n1", "-e", "unit=tos-etcd"])
        .with(2)
        .says("`tos-etcd` does not match the pattern `[a-z]+` (the unit)");
    run(&["-e", "signer=n1"]).with(3).says("write@n1");
}
