//! A known_hosts file of any bytes, asked for a host.
#![no_main]

use keybook_targets::KnownHosts;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let known = KnownHosts::parse(Path::new("known_hosts"), &String::from_utf8_lossy(bytes));
    for (host, port) in [("node-1.example", 22), ("10.0.0.1", 2222), ("::1", 22)] {
        for line in known.matching(host, port) {
            let _ = line.to_string();
        }
    }
});
