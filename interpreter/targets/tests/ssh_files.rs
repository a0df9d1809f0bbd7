//! Files on real OpenSSH servers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use keybook_api::{FaultKind, FileKind, HostSpec, Owner, Secret, Target, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::sync::Arc;
use support::{Setup, Sshd, connect, mode, sh};

/// Every way in which content travels: SFTP's program, sshd's subsystem, a shell; each with sudo where it can.
async fn ways() -> Vec<(&'static str, Sshd, Arc<dyn Target>)> {
    // The programs are hidden from the server by an empty folder over theirs.
    let hide = "mkdir \"$1\"/empty; mount --bind \"$1\"/empty /usr/lib/openssh".to_owned();
    let internal = "Subsystem sftp internal-sftp\n".to_owned();
    let setups = [
        ("program", false, Setup::default()),
        ("program, sudo", true, Setup::default()),
        (
            "subsystem",
            false,
            Setup { prepare: Some(hide.clone()), config: internal, no_sftp: true, ..Setup::default() },
        ),
        ("shell", false, Setup { prepare: Some(hide.clone()), no_sftp: true, ..Setup::default() }),
        ("shell, sudo", true, Setup { prepare: Some(hide), no_sftp: true, ..Setup::default() }),
    ];
    let mut hosts = Vec::new();
    for (way, sudo, setup) in setups {
        let sshd = Sshd::with(setup);
        let host = connect(&HostSpec { sudo, ..sshd.spec() }).await.unwrap();
        hosts.push((way, sshd, host));
    }
    hosts
}

#[tokio::test]
async fn a_write_is_atomic_and_keeps_owner_mode_and_link() {
    for (way, sshd, host) in ways().await {
        std::fs::create_dir(sshd.path("etc")).unwrap();
        let (file, link) = (sshd.path("etc/it's a\nfile"), sshd.path("etc/link"));
        std::fs::write(&file, "old").unwrap();
        chown(&file, Some(12), Some(34)).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        symlink("it's a\nfile", &link).unwrap();
        let content: Vec<u8> =
            (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        host.write(link.to_str().unwrap(), Write::keep(Secret::new(content.clone()))).await.unwrap();
        assert!(std::fs::read(&file).unwrap() == content, "{way}");
        let stat = host.stat(file.to_str().unwrap()).await.unwrap().unwrap();
        assert_eq!((stat.mode, stat.owner), (0o640, Owner { uid: 12, gid: 34 }), "{way}");
        assert_eq!(host.stat(link.to_str().unwrap()).await.unwrap().unwrap().kind, FileKind::Symlink);
        assert!(host.read(link.to_str().unwrap(), 1 << 22).await.unwrap() == Secret::new(content), "{way}");

        let new = sshd.text("etc/new");
        host.write(&new, Write { create_new: true, ..Write::keep(Secret::new("n")) }).await.unwrap();
        assert_eq!(mode(new.as_ref()), 0o600, "{way}");
        let fault =
            host.write(&new, Write { create_new: true, ..Write::keep(Secret::new("m")) }).await.unwrap_err();
        assert!(fault.cause.contains("File exists"), "{way}: {fault}");
        let fault = host.write(&sshd.text("none/new"), Write::keep(Secret::new("m"))).await.unwrap_err();
        assert!(fault.cause.contains("does not exist"), "{way}: {fault}");
        assert_eq!(host.list(&sshd.text("etc")).await.unwrap(), ["it's a\nfile", "link", "new"], "{way}");
    }
}

#[tokio::test]
async fn a_full_disk_leaves_the_old_file() {
    let mount =
        "mkdir \"$1\"/small; mount -t tmpfs -o size=64k tmpfs \"$1\"/small; echo old >\"$1\"/small/file";
    for no_sftp in [false, true] {
        let hide = "mkdir \"$1\"/empty; mount --bind \"$1\"/empty /usr/lib/openssh";
        let prepare = if no_sftp { format!("{mount}\n{hide}") } else { mount.to_owned() };
        let sshd = Sshd::with(Setup { prepare: Some(prepare), no_sftp, ..Setup::default() });
        let host = connect(&sshd.spec()).await.unwrap();
        let file = sshd.text("small/file");
        let fault = host.write(&file, Write::keep(Secret::new(vec![1; 500_000]))).await.unwrap_err();
        assert_eq!(fault.cause, "the disk is full: no space left on device");
        assert_eq!(fault.now_true.as_deref(), Some("the old file is still in place"));
        assert_eq!(host.read(&file, 10).await.unwrap(), Secret::new("old\n"));
        assert_eq!(host.list(&sshd.text("small")).await.unwrap(), ["file"], "nothing is left over");
        host.write(&file, Write::keep(Secret::new("new"))).await.unwrap();
    }
}

#[tokio::test]
async fn trees_copies_and_replacements_cross_the_connection() {
    let sshd = Sshd::start();
    let host = connect(&HostSpec { sudo: true, ..sshd.spec() }).await.unwrap();
    let (source, backup) = (sshd.text("src"), sshd.text("backup"));
    host.make_dir(&format!("{source}/sub dir"), 0o711).await.unwrap();
    let key = format!("{source}/sub dir/key\nfile");
    host.write(&key, Write { owner: Some(Owner { uid: 3, gid: 4 }), ..Write::keep(Secret::new("k")) })
        .await
        .unwrap();
    let before = host.tree(std::slice::from_ref(&source)).await.unwrap();
    assert_eq!(before.len(), 3);
    // printf k | sha256sum
    let sum = support::must("sh", &["-c", "printf k | sha256sum"]);
    assert_eq!(Some(before[2].sha256.as_str()), sum.split_whitespace().next());
    host.copy(&source, &backup).await.unwrap();
    host.write(&key, Write::keep(Secret::new("changed"))).await.unwrap();
    host.replace(&format!("{backup}/sub dir/key\nfile"), &key).await.unwrap();
    host.replace(&format!("{backup}/sub dir"), &format!("{source}/sub dir")).await.unwrap();
    assert_eq!(host.tree(&[source]).await.unwrap(), before);
}

#[tokio::test]
async fn a_connection_lost_half_way_leaves_the_old_file() {
    let sshd = Sshd::start();
    let host = connect(&sshd.spec()).await.unwrap();
    let file = sshd.path("file");
    std::fs::write(&file, "old").unwrap();
    let path = sshd.text("file");
    let large = Write::keep(Secret::new(vec![b'x'; 64 << 20]));
    let (result, ()) = tokio::join!(host.write(&path, large), async {
        // The temporary file shows that the content is on its way.
        while !std::fs::read_dir(sshd.folder.path())
            .unwrap()
            .flatten()
            .any(|entry| entry.file_name().to_str().unwrap().starts_with(".keybook-"))
        {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        sshd.cut();
    });
    let fault = result.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unreachable);
    assert!(fault.now_true.as_deref().unwrap().contains("the old file is still in place"), "{fault:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
}

/// sudo's own pseudo-terminal (sudoers(5), `use_pty`) puts what it runs into a process group of its own; without, it
/// shares sudo's. Either way, nothing of the content is changed on its way.
#[tokio::test]
async fn files_are_read_through_sudo_with_and_without_its_terminal() {
    for option in ["use_pty", "!use_pty"] {
        let prepare = format!(
            "printf 'Defaults {option}\nroot ALL=(ALL:ALL) NOPASSWD: ALL\n' >\"$1\"/sudoers\n\
             chmod 440 \"$1\"/sudoers; mount --bind \"$1\"/sudoers /etc/sudoers"
        );
        let sshd = Sshd::with(Setup { prepare: Some(prepare), ..Setup::default() });
        let host = connect(&HostSpec { sudo: true, ..sshd.spec() }).await.unwrap();
        let content: Vec<u8> =
            (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::create_dir(sshd.path("etc")).unwrap();
        std::fs::write(sshd.path("etc/file"), &content).unwrap();
        assert!(
            host.read(&sshd.text("etc/file"), 1 << 20).await.unwrap() == Secret::new(content),
            "{option}"
        );
        let stat = host.stat(&sshd.text("etc/file")).await.unwrap().unwrap();
        assert_eq!((stat.kind, stat.size), (FileKind::File, 300_000), "{option}");
        let found = host.look(&sshd.text("etc/file"), 1 << 20).await.unwrap().file.unwrap();
        assert!(found.0 == stat && found.1.expose().len() == 300_000, "{option}");
        assert_eq!(host.stat(&sshd.text("etc/none")).await.unwrap(), None, "{option}");
        assert_eq!(host.list(&sshd.text("etc")).await.unwrap(), ["file"], "{option}");
        let fault = host.read(&sshd.text("etc"), 9).await.unwrap_err();
        assert!(fault.cause.contains("Not a regular file"), "{option}: {fault}");
    }
}

#[tokio::test]
async fn sudo_that_asks_for_a_password_is_told() {
    let sshd = Sshd::with(Setup { environment: vec!["PATH=FAKE:/usr/bin:/bin".into()], ..Setup::default() });
    // Root may always use sudo, so a program of this name stands for one that asks.
    let fake = sshd.path("fake");
    std::fs::create_dir(&fake).unwrap();
    std::fs::write(fake.join("sudo"), "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
        .unwrap();
    std::fs::set_permissions(fake.join("sudo"), PermissionsExt::from_mode(0o755)).unwrap();
    let keys = std::fs::read_to_string(sshd.path("authorized_keys")).unwrap();
    std::fs::write(sshd.path("authorized_keys"), keys.replace("FAKE", fake.to_str().unwrap())).unwrap();
    let plain = connect(&sshd.spec()).await.unwrap();
    assert!(sh(&*plain, "command -v sudo").await.unwrap().out().starts_with(fake.to_str().unwrap()));
    let fault = support::refusal(&HostSpec { sudo: true, ..sshd.spec() }).await;
    assert_eq!(fault.cause, "sudo: a password is required");
    assert_eq!(fault.now_true.as_deref(), Some("the command did not begin"));
    assert!(fault.hints[0].contains("NOPASSWD"), "{fault:?}");
}
