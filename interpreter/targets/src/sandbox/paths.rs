//! Paths of a sandbox host, for what this program itself reads and writes there. A link never leads out of the
//! host's folder; the POSIX layer's scripts walk in the same way.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

/// As many as Linux follows.
const MOST_LINKS: usize = 40;

/// The place of an absolute path of the host, links followed; the last part need not exist.
///
/// # Errors
/// `InvalidInput` for a path that is not absolute, and what reading a link gives.
pub(crate) fn real(root: &Path, path: &str) -> io::Result<PathBuf> {
    if !path.starts_with('/') || path.contains('\0') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("`{path}` is not an absolute path")));
    }
    let mut rest: VecDeque<String> = parts(path);
    let mut out: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            out.pop();
            continue;
        }
        let place = root.join(out.join("/")).join(&part);
        let is_link = std::fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_symlink());
        if !is_link {
            out.push(part);
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(io::Error::other(format!("{path}: too many levels of symbolic links")));
        }
        let to = std::fs::read_link(&place)?;
        let to = to.to_str().ok_or_else(|| io::Error::other(format!("{path}: a link that is not UTF-8")))?;
        if to.starts_with('/') {
            out.clear();
        }
        for part in parts(to).into_iter().rev() {
            rest.push_front(part);
        }
    }
    Ok(root.join(out.join("/")))
}

fn parts(path: &str) -> VecDeque<String> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

/// Reads a regular file; `None` when there is none.
///
/// # Errors
/// Whatever else keeps it from being read.
pub(crate) fn read(root: &Path, path: &str) -> io::Result<Option<Vec<u8>>> {
    let place = real(root, path)?;
    match std::fs::metadata(&place) {
        Ok(meta) if meta.is_file() => std::fs::read(&place).map(Some),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/f"), "inside").unwrap();
        std::fs::write(folder.path().join("f"), "outside").unwrap();
        symlink("/a", root.join("abs")).unwrap();
        symlink("../../../../f", root.join("a/b/up")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(read(&root, "/abs/f").unwrap().unwrap(), b"inside");
        assert_eq!(read(&root, "/a/b/../f").unwrap().unwrap(), b"inside");
        assert_eq!(real(&root, "/a/b/up").unwrap(), root.join("f"));
        assert_eq!(read(&root, "/a/b/up").unwrap(), None);
        assert_eq!(read(&root, "/../../f").unwrap(), None);
        assert_eq!(read(&root, "/a").unwrap(), None);
        assert!(read(&root, "/loop").is_err());
        assert!(real(&root, "a").is_err());
    }
}
