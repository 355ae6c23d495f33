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

/// A path, or another word of a command, as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=~".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The command that was given, as a shell takes it again.
pub(super) fn own_command() -> String {
    let words: Vec<String> = std::env::args_os().map(|word| quoted(Path::new(&word))).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(quoted(Path::new("/tmp/serin-demo/a.ndjson.zst")), "/tmp/serin-demo/a.ndjson.zst");
        assert_eq!(quoted(Path::new("/my logs/it's")), r"'/my logs/it'\''s'");
        assert_eq!((quoted(Path::new("50%")), quoted(Path::new(""))), ("50%".to_owned(), "''".to_owned()));
    }

    #[test]
    fn a_file_is_known_by_any_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        assert!(same_file(&at("l"), &at("sub/../l")) && same_file(Path::new("x.l"), Path::new("./x.l")));
        assert!(!same_file(&at("l"), &at("sub/l")) && !same_file(&at("l"), &at("no/such/l")));
    }
}
