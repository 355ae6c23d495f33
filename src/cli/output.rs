//! Files that are written: for the eyes of their owner, and never one over another.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Creates a file that only its owner may read: ledgers and rejected lines tell of users.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Two names lead to one file, whether it is there yet or not.
pub(super) fn same_file(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| -> Option<PathBuf> {
        if let Ok(whole) = path.canonicalize() {
            return Some(whole);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    a == b || whole(a).is_some_and(|a| whole(b) == Some(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        assert!(same_file(&at("l"), &at("sub/../l")) && same_file(Path::new("x.l"), Path::new("./x.l")));
        assert!(!same_file(&at("l"), &at("sub/l")) && !same_file(&at("l"), &at("no/such/l")));
    }
}
