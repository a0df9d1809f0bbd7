//! A runbook of any bytes: read as YAML, decoded with the real actions, reviewed, and every problem rendered.
#![no_main]

use keybook_core::model::{decode::Decoder, review::review};
use keybook_script::{Limits, ScriptHost};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SCRIPT: LazyLock<ScriptHost> = LazyLock::new(|| keybook_stdlib::script_host(Limits::default()));
static REGISTRY: LazyLock<keybook_api::Registry> = LazyLock::new(keybook_stdlib::registry);

fuzz_target!(|text: &str| {
    let problems = match keybook_source::parse("runbook.yaml", text) {
        Err(problems) => problems,
        Ok(root) => {
            let libraries = indexmap::IndexMap::new();
            let mut decoder = Decoder::new(&REGISTRY, &SCRIPT, &libraries);
            let runbook = decoder.runbook(&root);
            let mut problems = decoder.problems.into_vec();
            problems.extend(runbook.iter().flat_map(|runbook| review(runbook, &REGISTRY)));
            problems
        }
    };
    let sources = |_: &str| Some(text.to_owned());
    let _ = keybook_report::diagnostics::render(&problems, &sources, false, 80);
});
