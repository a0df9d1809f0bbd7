//! An inventory and an answers file of any text.
#![no_main]

use keybook_core::model::{Answers, Inventory};
use keybook_source::Problems;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut problems = Problems::default();
    match keybook_source::parse("inventory.yaml", text) {
        Err(found) => problems.extend(found),
        Ok(root) => {
            if let Some(mut inventory) = Inventory::decode(&root, &mut problems) {
                inventory.link_jumps();
                let _ = (inventory.digest(), inventory.lines());
            }
            let _ = Answers::decode(&root, &mut problems);
        }
    }
    let sources = |_: &str| Some(text.to_owned());
    let _ = keybook_report::diagnostics::render(problems.as_slice(), &sources, false, 80);
});
