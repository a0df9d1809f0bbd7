//! Every shape of cluster, with its manager's database, there and back. Only `tests/run --full` runs these: a shape takes minutes,
//! and what tells the shapes apart is also in `lab_unattended`, `lab_whole` and the sandbox.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_tests::{
    cli::Keybook,
    lab::{Lab, answers},
    manager::{only_flannel_restarted, rows_are_the_files, table},
    proof::{Before, Trio, one_healthy_cluster},
    tables::row,
};

const GATES: [&str; 7] = [
    "install@*: run",
    "bounce@*: run",
    "flannel-nodes/install@*: run",
    "database/write@*: run",
    "database/script@*: run",
    "outage@*: run",
    "rollback: run",
];

struct Shape<'s> {
    index: u8,
    nodes: &'s str,
    ca: &'s str,
    manager: &'s str,
    flannel: &'s str,
    database: &'s str,
}

impl Shape<'_> {
    fn up(&self, more: &[&str]) -> Lab {
        let mut options =
            vec!["--nodes", self.nodes, "--ca", self.ca, "--flannel", self.flannel, "--database", "1"];
        options.extend(["--manager", self.manager]);
        options.extend(more);
        Lab::up(self.index, &options)
    }

    fn run(&self, lab: &Lab, keybook: &Keybook, more: &[&str]) {
        let (answers, inventory) = (answers(lab.scratch(), &GATES), lab.inventory());
        let (database, socket) = (format!("database={}", self.database), "db_socket=/run/mysqld/mysqld.sock");
        let mut args = vec![
            "run",
            "runbooks/tos-etcd-ca",
            "-i",
            inventory.to_str().unwrap(),
            "--unattended",
            "--answers",
        ];
        args.extend([
            answers.to_str().unwrap(),
            "-e",
            "settle=1s",
            "-e",
            &database,
            "-e",
            "db_user=root",
            "-e",
            socket,
        ]);
        args.extend(more);
        keybook.call(args).with(0);
    }

    fn roll_back(lab: &Lab, keybook: &Keybook) {
        let (answers, run) = (answers(lab.scratch(), &GATES), keybook.latest());
        keybook.call(["rollback", &run, "--unattended", "--answers", answers.to_str().unwrap()]).with(5);
    }

    fn there_and_back(&self) {
        let lab = self.up(&[]);
        let keybook = Keybook::new(lab.scratch());
        let (before, rows) = (Before::of(&lab), table(&lab, "manager_info"));
        self.run(&lab, &keybook, &[]);
        before.renewed(&lab);
        rows_are_the_files(&lab);
        only_flannel_restarted(&lab, 1);
        Self::roll_back(&lab, &keybook);
        before.restored(&lab);
        assert_eq!(table(&lab, "manager_info"), rows);
        only_flannel_restarted(&lab, 2);
        self.told("renewed (exit 0), client certificates, quorum and data proven; taken back (exit 5), all as before");
    }

    fn told(&self, outcome: &str) {
        let Self { nodes, ca, manager, flannel, database, index } = self;
        let shape = format!(
            "{nodes} masters, {ca}, manager {manager}, {flannel} flannel-only nodes, database by {database}"
        );
        row("shapes", &index.to_string(), &[&shape, "2", outcome]);
    }

    /// With certificates that have ended; the rollback puts back files that serve nobody, and does not wait for what cannot be.
    fn expired(&self) {
        let lab = self.up(&["--ca-days", "0", "--leaf-days", "0"]);
        let keybook = Keybook::new(lab.scratch());
        let (before, rows) = (lab.files(), table(&lab, "manager_info"));
        self.run(&lab, &keybook, &["-e", "tos_version=v2.1.0-tos-final-tdh"]);
        one_healthy_cluster(&lab, &Trio::of(&lab, &lab.masters[0]));
        rows_are_the_files(&lab);
        only_flannel_restarted(&lab, 1);
        Self::roll_back(&lab, &keybook);
        assert_eq!(lab.files(), before);
        assert_eq!(table(&lab, "manager_info"), rows);
        self.told("expired: renewed (exit 0), healthy; taken back (exit 5), files and rows as before");
    }
}

macro_rules! shapes {
    ($($name:ident: $how:ident $index:literal $nodes:literal $ca:literal $manager:literal $flannel:literal $database:literal;)+) => {
        $(#[test]
        fn $name() {
            Shape { index: $index, nodes: $nodes, ca: $ca, manager: $manager, flannel: $flannel, database: $database }.$how();
        })+
    };
}

shapes! {
    full_lab_one_rsa_first_script: there_and_back 120 "1" "rsa" "first" "0" "script";
    full_lab_one_rsa_separate_sql: there_and_back 121 "1" "rsa" "separate" "1" "sql";
    full_lab_one_ecdsa_first_sql: there_and_back 122 "1" "ecdsa" "first" "1" "sql";
    full_lab_one_ecdsa_separate_script: there_and_back 123 "1" "ecdsa" "separate" "0" "script";
    full_lab_three_rsa_first_sql: there_and_back 124 "3" "rsa" "first" "1" "sql";
    full_lab_three_rsa_separate_script: there_and_back 125 "3" "rsa" "separate" "1" "script";
    full_lab_three_ecdsa_first_script: there_and_back 126 "3" "ecdsa" "first" "0" "script";
    full_lab_three_ecdsa_separate_sql: there_and_back 127 "3" "ecdsa" "separate" "1" "sql";
    full_lab_five_rsa_first_sql: there_and_back 128 "5" "rsa" "first" "1" "sql";
    full_lab_five_rsa_separate_script: there_and_back 129 "5" "rsa" "separate" "0" "script";
    full_lab_five_ecdsa_first_script: there_and_back 130 "5" "ecdsa" "first" "1" "script";
    full_lab_five_ecdsa_separate_sql: there_and_back 131 "5" "ecdsa" "separate" "1" "sql";
    full_lab_expired_one_rsa_script: expired 132 "1" "rsa" "separate" "1" "script";
    full_lab_expired_three_ecdsa_sql: expired 133 "3" "ecdsa" "first" "1" "sql";
    full_lab_expired_five_rsa_sql: expired 134 "5" "rsa" "separate" "0" "sql";
}
