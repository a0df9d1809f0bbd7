//! Of a list with everything in it.

use super::*;

fn one(path: &str, subject: &str, not_after: i64, loaded: Loaded) -> FoundCertificate {
    FoundCertificate {
        host: "node-1".to_owned(),
        path: Some(path.to_owned()),
        links: Vec::new(),
        entry: None,
        index: 0,
        subject: subject.to_owned(),
        issuer: "CN=ca".to_owned(),
        serial: "7".to_owned(),
        sans: vec!["DNS:node-1".to_owned(), "IP:10.0.0.1".to_owned()],
        not_before: 0,
        not_after,
        is_ca: false,
        sha256: "00".to_owned(),
        loaded,
    }
}

/// Now is 1970-01-12, 13:46:40.
pub(in super::super) fn listing() -> Listing {
    let now = 1_000_000;
    let ca = FoundCertificate {
        is_ca: true,
        issuer: "CN=ca".to_owned(),
        sans: Vec::new(),
        entry: Some("cluster k".to_owned()),
        ..one("/etc/kubernetes/admin.conf", "CN=ca", now + 4_000 * DAY, Loaded::Unknown)
    };
    let served = FoundCertificate {
        path: None,
        ..one("", "CN=gone", now - 2 * DAY, Loaded::Served { ports: vec![10257] })
    };
    let mut listing = Listing {
        certificates: vec![
            ca,
            one("/pki/a.crt", "CN=a \"b\\c", now + 3 * DAY, Loaded::Served { ports: vec![2379, 2380] }),
            one("/pki/b.crt", "CN=b", now + 300 * DAY, Loaded::Stale { port: 6443, not_after: now + DAY }),
            served,
        ],
        unread: vec![Unread { host: "node-2".to_owned(), problem: "no route".to_owned() }],
        now,
    };
    listing.sort();
    listing
}

#[test]
fn what_ends_first_is_in_front() {
    let text = listing().render(false, 110);
    let expected = "\
DAYS   ENDS (UTC)  CERTIFICATE
-2     1970-01-10  CN=gone
       node-1: in no file, only at port 10257
       signed by CN=ca, serial 7, from 1970-01-01
       DNS:node-1, IP:10.0.0.1
3      1970-01-15  CN=a \"b\\c
       node-1: /pki/a.crt
       signed by CN=ca, serial 7, from 1970-01-01
       DNS:node-1, IP:10.0.0.1
       loaded: served at ports 2379, 2380
300    1970-11-08  CN=b
       node-1: /pki/b.crt
       signed by CN=ca, serial 7, from 1970-01-01
       DNS:node-1, IP:10.0.0.1
       NOT LOADED: port 6443 serves another one with these names, until 1970-01-13; restart the server
4000   1980-12-25  CN=ca (CA)
       node-1: /etc/kubernetes/admin.conf, cluster k
       signed by itself, serial 7, from 1970-01-01

4 certificates, 1 ended, 1 more within 30 days, 1 not loaded by the server, 1 not read
";
    assert_eq!(text, expected);
}

#[test]
fn json_holds_all_of_it() {
    let read: serde_json::Value = serde_json::from_str(&listing().to_json().unwrap()).unwrap();
    assert_eq!((&read["v"], &read["now"]), (&1.into(), &1_000_000.into()));
    let first = &read["certificates"][0];
    assert_eq!(
        (&first["subject"], &first["days_left"], &first["path"]),
        (&"CN=gone".into(), &(-2).into(), &serde_json::Value::Null)
    );
    assert_eq!(first["not_after_time"], "1970-01-10T13:46:40Z");
    assert_eq!(
        read["certificates"][2]["loaded"],
        serde_json::json!({ "is": "stale", "port": 6443, "not_after": 1_086_400 })
    );
    assert_eq!(read["unread"][0]["host"], "node-2");
}

#[test]
fn a_threshold_counts_what_has_ended_too() {
    let listing = listing();
    assert_eq!([0, 3 * DAY, 3 * DAY + 1].map(|within| listing.ending_within(within)), [1, 1, 2]);
    assert_eq!(listing.ending_within(i64::MAX), 4);
}
