//! What surrounds the renewal, on real nodes: the vendor's archive, the manager's database by SQL and by script and back,
//! certificates that have ended already, and what must be refused before anything is changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use keybook_tests::{
    cli::{Ended, Keybook},
    lab::{Lab, answers, run},
    manager::{deleted, only_flannel_restarted, rows_are_the_files, table, tables},
    proof::{Before, Trio, one_healthy_cluster},
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

struct Scene {
    lab: Lab,
    keybook: Keybook,
}

impl Scene {
    fn up(index: u8, options: &[&str]) -> Self {
        let lab = Lab::up(index, options);
        let keybook = Keybook::new(lab.scratch());
        Self { lab, keybook }
    }

    /// An unattended run with these gates answered and these inputs.
    fn run(&self, gates: &[&str], inputs: &[&str]) -> Ended {
        let answers = answers(self.lab.scratch(), gates);
        let inventory = self.lab.inventory();
        let mut args = vec!["run", "runbooks/tos-etcd-ca", "-i", inventory.to_str().unwrap(), "--unattended"];
        args.extend(["--answers", answers.to_str().unwrap(), "-e", "settle=1s"]);
        args.extend(inputs.iter().flat_map(|input| ["-e", *input]));
        self.keybook.call(args)
    }

    fn roll_back(&self) -> Ended {
        let answers = answers(self.lab.scratch(), &["bounce@*: run", "rollback: run"]);
        let run = self.keybook.latest();
        self.keybook.call(["rollback", &run, "--unattended", "--answers", answers.to_str().unwrap()])
    }

    /// The vendor's archive, as `tar -zxvf` unpacks it; its programs are real ones of this machine, or of another one.
    fn archive(&self, name: &str, other_machine: bool) -> PathBuf {
        let work = self.lab.scratch().join(name);
        let folder = work.join("gencerts");
        fs::create_dir_all(&folder).unwrap();
        for file in ["etcd-ca.pem", "etcd-ca-key.pem", "config.json", "kubernetes-csr.json"] {
            fs::copy(self.lab.dir().join("gencerts").join(file), folder.join(file)).unwrap();
        }
        for program in ["cfssl", "cfssljson"] {
            let mut bytes = fs::read(Path::new("/usr/bin").join(program)).unwrap();
            if other_machine {
                // e_machine of an ELF header: 0xb7 is AArch64, 0x3e x86-64.
                bytes[18] = if bytes[18] == 0xb7 { 0x3e } else { 0xb7 };
            }
            fs::write(folder.join(program), bytes).unwrap();
            fs::set_permissions(folder.join(program), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let archive = work.join("gencerts.tar.gz");
        run(Command::new("tar").arg("-C").arg(&work).arg("-czf").arg(&archive).arg("gencerts"));
        archive
    }
}

const GATES: [&str; 5] =
    ["install@*: run", "bounce@*: run", "database/write@*: run", "database/script@*: run", "outage@*: run"];

#[test]
fn lab_whole_archive_and_database_there_and_back() {
    let scene = Scene::up(115, &["--nodes", "1", "--database", "1"]);
    let lab = &scene.lab;
    let (before, rows) = (Before::of(lab), table(lab, "manager_info"));
    refusals(&scene);
    before.untouched(lab);
    assert_eq!(deleted(lab, ""), Vec::<String>::new());

    // By the vendor's script, signing with what the archive holds; the node's own folder does not count then.
    lab.node(&lab.masters[0], &["mv", "/root/gencerts", "/root/elsewhere"]);
    let archive = format!("archive={}", scene.archive("good", false).display());
    scene
        .run(&GATES, &["database=script", &archive])
        .with(0)
        .says("status done (exit 0)")
        .says("manager_info etcd.pem");
    lab.node(&lab.masters[0], &["mv", "/root/elsewhere", "/root/gencerts"]);
    before.renewed(lab);
    rows_are_the_files(lab);
    only_flannel_restarted(lab, 1);
    let copy = format!("manager_info_bak{}", scene.keybook.latest());
    assert_eq!(table(lab, &copy), rows, "the copy holds the old rows");

    scene.roll_back().with(5).says("paths equal their originals");
    before.restored(lab);
    assert_eq!(table(lab, "manager_info"), rows);
    assert_eq!(tables(lab), ["manager_info"], "the copy went with the rollback");
    only_flannel_restarted(lab, 2);
    let left = lab.node(&lab.masters[0], &["sh", "-c", "find /var/lib/keybook -path '*staging*' -type f"]);
    assert_eq!(left, "", "keys of the run are left");

    // Once more, by SQL: copies of both runs stand beside each other, and nothing is nested.
    scene.run(&GATES, &["database=sql", "db_user=root"]).with(0);
    before.renewed(lab);
    rows_are_the_files(lab);
    only_flannel_restarted(lab, 3);
    let nested = lab.node(
        &lab.masters[0],
        &["sh", "-c", "ls -d /srv/kubernetes* /srv/kubernetes/kubernetes 2>/dev/null || true"],
    );
    assert_eq!(nested.trim(), "/srv/kubernetes");
    let kept = lab.node(&lab.masters[0], &["sh", "-c", "ls -d /var/lib/keybook/2* | wc -l"]);
    assert!(kept.trim().parse::<usize>().unwrap() >= 2, "one folder of originals for each run: {kept}");
}

/// Nothing is changed by a run that must not be.
fn refusals(scene: &Scene) {
    let lab = &scene.lab;
    let refused = |inputs: &[&str], why: &str| {
        scene.run(&GATES, &[["database=none"].as_slice(), inputs].concat()).with(1).says(why);
        scene.roll_back().with(5);
    };
    refused(&["flavor=tdc"], "TOS v2.1.0-tos-final-build-20220805-tdh is outside of 1.9.x to 2.0.x");
    let archive = format!("archive={}", scene.archive("other", true).display());
    refused(&[&archive], "are not for x86_64");
    // An etcd pod on a node that the inventory does not have.
    let key = "/registry/lab/pods/kube-system/tos-etcd-tos-stranger";
    let pod = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"tos-etcd-tos-stranger","namespace":"kube-system","uid":"s"},"spec":{"nodeName":"stranger","containers":[{"name":"c","image":"x"}]},"status":{"phase":"Running","hostIP":"10.9.9.9"}}"#;
    let first = Trio::first(lab);
    keybook_tests::proof::etcdctl(lab, &first, &["put", key, pod]);
    refused(&[], "etcd pods run on stranger, which no master of the inventory is");
    keybook_tests::proof::etcdctl(lab, &first, &["del", key]);
}

#[test]
fn lab_whole_expired() {
    let scene = Scene::up(116, &["--nodes", "3", "--ca-days", "0", "--leaf-days", "0"]);
    let lab = &scene.lab;
    let first = &lab.masters[0];
    let before = lab.files();
    // Nobody announced the outage: nothing is changed.
    let inputs = ["database=none", "tos_version=v2.1.0-tos-final-tdh"];
    scene.run(&GATES[..2], &inputs).with(3).says("A certificate has ended: go on without health checks");
    assert_eq!(lab.files(), before);
    let run = scene.keybook.latest();
    let gates = answers(lab.scratch(), &GATES);
    scene.keybook.call(["resume", &run, "--unattended", "--answers", gates.to_str().unwrap()]).with(0);
    let new = Trio::of(lab, first);
    one_healthy_cluster(lab, &new);
    for name in &lab.masters {
        let address = lab.address(name);
        assert_eq!(keybook_tests::proof::served(&address, &new, &new), new.fingerprint(), "{name} serves");
        assert_eq!(lab.starts(name, "tos-etcd-tos"), 2, "{name}: with the lab, and by the run");
    }
    only_flannel_restarted(lab, 1);
}
