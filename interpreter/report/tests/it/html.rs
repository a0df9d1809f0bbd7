//! The HTML report: what is in it, and what never is.

use crate::{data, summary::summary};
use keybook_report::html;

/// The part from one marker up to (not including) the next.
fn part(page: &str, from: &str, to: &str) -> String {
    let start = page.find(from).unwrap_or_else(|| panic!("no {from}"));
    let end = page[start..].find(to).unwrap_or_else(|| panic!("no {to}"));
    // One tag a line, so that a change shows as a change of lines.
    page[start..start + end].replace("><", ">\n<")
}

#[test]
fn the_certificates_section() {
    let page = html::render(&summary(&data::success(1, true)));
    insta::assert_snapshot!(part(&page, "<section id=\"certificates\"", "<section id=\"steps\""));
}

#[test]
fn the_head_of_the_page() {
    let page = html::render(&summary(&data::failure()).with_head("4e".repeat(32)));
    insta::assert_snapshot!(part(&page, "<body>", "<section id=\"certificates\""));
    insta::assert_snapshot!(part(&page, "<section id=\"gates\"", "<section id=\"resumes\""));
    insta::assert_snapshot!(part(&page, "<footer>", "</body>"));
}

#[test]
fn the_title_names_the_run() {
    let page = html::render(&summary(&data::success(1, false)));
    assert!(page.contains("<title>Run 20230110-101532-9f3a: Renew the TOS etcd CA, keeping its key</title>"));
    assert!(page.contains("<html lang=\"en\">"));
}

#[test]
fn only_a_sandbox_run_has_the_banner() {
    assert!(html::render(&summary(&data::success(1, true))).contains("SANDBOX: no real host was touched"));
    assert!(!html::render(&summary(&data::success(1, false))).contains("SANDBOX"));
}

#[test]
fn the_page_asks_nobody_for_anything() {
    for records in [data::success(2, true), data::failure(), data::killed(), data::rolled_back(&["x"])] {
        let page = html::render(&summary(&records));
        // The namespace of SVG is a name, not an address that is asked.
        let page = page.replace("http://www.w3.org/2000/svg", "");
        for word in ["http:", "https:", "src=", "@import", "url(h", "<link", "<script", "onclick", "<iframe"]
        {
            assert!(!page.contains(word), "{word}");
        }
    }
}

#[test]
fn secrets_are_described_only() {
    let page = html::render(&summary(&data::success(1, false)));
    assert!(page.contains("an RSA key of 2048 bits"));
    assert!(page.contains("[secret]"));
    assert!(!page.contains(&"77".repeat(32)), "not even the keyed hash of an input");
}

#[test]
fn what_was_left_out_has_its_section() {
    let page = html::render(&summary(&data::success(1, false)));
    let section = part(&page, "<section id=\"skipped\"", "</section>");
    assert!(section.contains("left out by the operator: kept until Friday"), "{section}");
    assert!(!html::render(&summary(&data::killed())).contains("id=\"skipped\""));
}

#[test]
fn steps_inside_others_are_indented() {
    let page = html::render(&summary(&data::killed()));
    let indent = |title: &str| {
        let (before, _) = page.split_once(title).unwrap();
        before.rsplit_once("margin-left:").unwrap().1.split_once("rem").unwrap().0.to_owned()
    };
    let indents = ["4. Restart etcd node by node", "5. Stop the static pods"].map(indent);
    assert_eq!(indents, ["0", "1"]);
}

#[test]
fn tags_are_closed_in_order() {
    for records in [data::success(3, true), data::failure(), data::rolled_back(&["x"])] {
        let page = html::render(&summary(&records));
        let mut open: Vec<&str> = Vec::new();
        for tag in page.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').unwrap();
            let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
            if ["!doctype", "meta", "br"].contains(&name) || tag.ends_with('/') {
                continue;
            }
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else {
                open.push(name);
            }
        }
        assert_eq!(open, Vec::<&str>::new());
    }
}
