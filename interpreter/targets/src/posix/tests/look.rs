//! Looking at a file at once must give what looking at it step by step gives.

use super::*;
use keybook_api::target::{Found, MAX_LINKS, follow};

/// As [`Target::look`] is for targets that have nothing better.
async fn step_by_step(host: &dyn Target, path: &str, limit: u64) -> Result<Found, Fault> {
    let (real, stat) = follow(host, path).await?;
    let Some(stat) = stat else { return Ok(Found { path: real, file: None }) };
    if stat.kind != FileKind::File {
        return Err(Fault::failed(format!("read {path}"), "it is not a regular file").on(host.name()));
    }
    Ok(Found { path: real, file: Some((stat, host.read(path, limit).await?)) })
}

/// Both ways at once: they must agree.
async fn look(host: &dyn Target, path: &str) -> Result<Found, String> {
    let (one, many) = (host.look(path, 100).await, step_by_step(host, path, 100).await);
    match (one, many) {
        (Ok(one), Ok(many)) => {
            assert_eq!(one, many, "{path}");
            Ok(one)
        }
        (Err(one), Err(many)) => {
            assert_eq!((one.kind, &one.attempted, &one.cause), (many.kind, &many.attempted, &many.cause));
            Err(one.cause)
        }
        (one, many) => panic!("{path}: {one:?}, but {many:?}"),
    }
}

/// Puts files and links of all kinds into the folder `/d`.
fn furnish(lab: &Lab, root: &str) {
    lab.put("/d/file", "text\0\n", 0o4640);
    std::os::unix::fs::chown(lab.at("/d/file"), Some(12), Some(34)).unwrap();
    std::fs::set_permissions(lab.at("/d/file"), PermissionsExt::from_mode(0o4640)).unwrap();
    lab.put("/d/empty", "", 0o600);
    lab.put("/d/large", &"x".repeat(101), 0o600);
    lab.put("/d/sub/file", "below", 0o600);
    let link = |to: &str, at: &str| symlink(to, lab.at(at)).unwrap();
    link("file", "/d/relative");
    link(&format!("{root}/d/file"), "/d/absolute");
    link("sub", "/d/dir");
    link("../file", "/d/sub/up");
    link("sub/up", "/d/chain");
    link("nothing", "/d/dangling");
    link("loop", "/d/loop");
    link("file", "/d/link 1");
    for number in 2..=MAX_LINKS {
        link(&format!("link {}", number - 1), &format!("/d/link {number}"));
    }
    for name in ODD {
        lab.put(&format!("/d/odd/{name}"), name, 0o600);
        link(name, &format!("/d/odd/to {name}"));
    }
    assert!(std::process::Command::new("mkfifo").arg(lab.at("/d/pipe")).status().unwrap().success());
}

async fn judge(lab: &Lab, host: &dyn Target, root: &str) {
    let at = |path: &str| format!("{root}{path}");
    let real = async |path: &str| look(host, &at(path)).await.map(|found| found.path);
    let found = look(host, &at("/d/relative")).await.unwrap();
    assert_eq!(found.path, at("/d/file"));
    let (stat, content) = found.file.unwrap();
    assert_eq!((stat.mode, stat.size, stat.owner), (0o4640, 6, Owner { uid: 12, gid: 34 }));
    assert_eq!(stat.modified, std::fs::metadata(lab.at("/d/file")).unwrap().mtime());
    assert_eq!(content, Secret::new("text\0\n"));
    assert_eq!(look(host, &at("/d/empty")).await.unwrap().file.unwrap().1, Secret::new(""));
    for (path, end) in [
        ("/d/absolute", "/d/file"),
        ("/d/dir/file", "/d/dir/file"),
        ("/d/dir/up", "/d/dir/../file"),
        ("/d/chain", "/d/sub/../file"),
        ("/d//file", "/d//file"),
    ] {
        assert_eq!(real(path).await.unwrap(), at(end));
    }
    for (path, end) in [("/d/none", "/d/none"), ("/d/dangling", "/d/nothing"), ("/d/file/x", "/d/file/x")] {
        assert_eq!(look(host, &at(path)).await.unwrap(), Found { path: at(end), file: None });
    }
    for path in ["/d", "/d/dir", "/d/pipe", "/"] {
        assert_eq!(real(path).await.unwrap_err(), "it is not a regular file");
    }
    assert_eq!(real(&format!("/d/link {}", MAX_LINKS - 1)).await.unwrap(), at("/d/file"));
    for path in [&format!("/d/link {MAX_LINKS}"), "/d/loop"] {
        assert_eq!(real(path).await.unwrap_err(), "too many symbolic links in a row");
    }
    assert!(real("/d/large").await.unwrap_err().contains("101 bytes, more than the 100 allowed"));
    for name in ODD {
        let path = format!("/d/odd/to {name}");
        assert_eq!(look(host, &at(&path)).await.unwrap().file.unwrap().1, Secret::new(name));
    }
}

#[tokio::test]
async fn at_once_and_step_by_step_agree_in_a_folder() {
    let lab = Lab::new().await;
    furnish(&lab, "");
    judge(&lab, &lab.host, "").await;
    assert_eq!(lab.host.look("d/file", 9).await.unwrap_err().kind, FaultKind::Usage);
}

#[tokio::test]
async fn at_once_and_step_by_step_agree_on_a_machine() {
    let lab = Lab::new().await;
    let root = lab.folder.path().to_str().unwrap().to_owned();
    furnish(&lab, &root);
    judge(&lab, &machine().await, &root).await;
}

#[tokio::test]
async fn looking_never_leads_out_of_the_folder() {
    let lab = Lab::new().await;
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "outside").unwrap();
    symlink(outside.path().join("secret"), lab.at("/secret")).unwrap();
    symlink("../../../../../../../..", lab.at("/up")).unwrap();
    let up = format!("/up{}/secret", outside.path().display());
    for path in ["/secret", up.as_str()] {
        assert_eq!(look(&lab.host, path).await.unwrap().file, None);
    }
}
