//! Lines that could not be read, kept in the folder of `--state` for whoever looks into why: `rejects.ndjson`, rows of reason, stream,
//! position and the start of the line, as `compare --rejects` writes them. How many there were is counted in the report, also of those that
//! are kept no longer.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::cli::run::checkpoint::replace;
use crate::source::fold_chunk::KeptReject;

const FILE: &str = "rejects.ndjson";
/// What was kept before, when the file became too long.
const BEFORE: &str = "rejects-before.ndjson";
/// Bytes of the file from which on it is put aside, and the one before it removed.
pub(super) const REJECTS_BYTES: u64 = 16 << 20;

/// See the module text.
pub(super) struct Rejects {
    folder: PathBuf,
    file: Option<File>,
    bytes: u64,
    most: u64,
    /// The greatest position of each stream that was kept when the folder was opened: what is read again is not kept again.
    kept: BTreeMap<String, u64>,
    /// Changes when the files were replaced ([`erase`]), which is not done while it is held.
    generation: Arc<Mutex<u64>>,
    seen: u64,
}

impl Rejects {
    /// Goes on in a folder. What cannot be read there is no reason to stop.
    pub(super) fn open(folder: &Path, most: u64, generation: Arc<Mutex<u64>>) -> Rejects {
        let mut kept: BTreeMap<String, u64> = BTreeMap::new();
        for name in [BEFORE, FILE] {
            let Ok(file) = File::open(folder.join(name)) else { continue };
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                let Ok(row) = serde_json::from_str::<Value>(&line) else { continue };
                if let (Some(stream), Some(offset)) = (row["stream"].as_str(), row["offset"].as_u64()) {
                    let known = kept.entry(stream.to_owned()).or_default();
                    *known = offset.max(*known);
                }
            }
        }
        let bytes = std::fs::metadata(folder.join(FILE)).map_or(0, |file| file.len());
        let seen = *generation.lock().unwrap_or_else(PoisonError::into_inner);
        Rejects { folder: folder.to_owned(), file: None, bytes, most, kept, generation, seen }
    }

    /// Keeps lines.
    ///
    /// # Errors
    /// A disk that refuses.
    pub(super) fn keep(&mut self, stream: &str, rejects: Vec<KeptReject>) -> io::Result<()> {
        let before = self.kept.get(stream).copied();
        let mut text = String::new();
        for KeptReject { reason, offset, line } in rejects {
            if before.is_none_or(|before| offset > before) {
                let row = json!({ "reason": reason.name(), "stream": stream, "offset": offset, "line": line });
                text.push_str(&format!("{row}\n"));
            }
        }
        if text.is_empty() {
            return Ok(());
        }
        let generation = Arc::clone(&self.generation);
        let generation = generation.lock().unwrap_or_else(PoisonError::into_inner);
        if self.seen != *generation {
            self.seen = *generation;
            self.file = None;
            self.bytes = std::fs::metadata(self.folder.join(FILE)).map_or(0, |file| file.len());
        }
        if self.bytes >= self.most {
            self.file = None;
            std::fs::rename(self.folder.join(FILE), self.folder.join(BEFORE))?;
            self.bytes = 0;
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut options = OpenOptions::new();
                options.append(true).create(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                none.insert(options.open(self.folder.join(FILE))?)
            }
        };
        file.write_all(text.as_bytes())?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

/// Empties the rows whose lines are meant, and says how many there are. `only_counts`: leaves them as they are. Each file is replaced as a
/// whole; who writes them must not do so meanwhile.
///
/// # Errors
/// A disk that refuses.
pub(super) fn erase(folder: &Path, is_meant: &mut dyn FnMut(&str) -> bool, only_counts: bool) -> io::Result<u64> {
    let mut count = 0;
    for name in [BEFORE, FILE] {
        let path = folder.join(name);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let (mut new, mut of_file) = (String::with_capacity(text.len()), 0);
        for row in text.split_inclusive('\n') {
            let value = serde_json::from_str::<Value>(row).ok();
            let line = value.as_ref().and_then(|row| row["line"].as_str());
            match (value.clone(), line.filter(|line| !line.is_empty()).is_some_and(&mut *is_meant)) {
                (Some(mut row), true) => {
                    of_file += 1;
                    row["line"] = Value::from("");
                    row["erased"] = Value::from(true);
                    new.push_str(&format!("{row}\n"));
                }
                (_, false) | (None, true) => new.push_str(row),
            }
        }
        count += of_file;
        if of_file > 0 && !only_counts {
            replace(&path, new.as_bytes())?;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RejectReason;

    fn reject(offset: u64) -> Vec<KeptReject> {
        vec![KeptReject::new(RejectReason::Malformed, offset, b"{\"a\xff")]
    }

    #[test]
    fn a_line_is_kept_once_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let offsets = |name: &str| -> Vec<u64> {
            let text = std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["offset"].as_u64().unwrap()).collect()
        };
        let mut rejects = Rejects::open(folder.path(), 150, Arc::default());
        for offset in [9, 7] {
            rejects.keep("t/0", reject(offset)).unwrap();
        }
        assert_eq!(offsets(FILE), [9, 7]);
        // What is read again after a restart is there already; another stream has positions of its own.
        let mut rejects = Rejects::open(folder.path(), 150, Arc::default());
        rejects.keep("t/0", reject(9)).unwrap();
        rejects.keep("t/1", reject(3)).unwrap();
        rejects.keep("t/0", reject(11)).unwrap();
        rejects.keep("t/0", reject(12)).unwrap();
        assert_eq!((offsets(BEFORE), offsets(FILE)), (vec![9, 7, 3], vec![11, 12]));
        let mut rejects = Rejects::open(folder.path(), 150, Arc::default());
        rejects.keep("t/1", reject(3)).unwrap();
        assert_eq!(offsets(FILE), [11, 12]);
    }

    #[test]
    fn rows_are_emptied_and_writing_goes_on_behind_them() {
        let folder = tempfile::tempdir().unwrap();
        let generation: Arc<Mutex<u64>> = Arc::default();
        let mut rejects = Rejects::open(folder.path(), 1_000, Arc::clone(&generation));
        let row = |offset, line: &[u8]| vec![KeptReject::new(RejectReason::Malformed, offset, line)];
        rejects.keep("s", row(1, b"{ann")).unwrap();
        rejects.keep("s", row(2, b"{bob")).unwrap();
        let mut is_ann = |line: &str| line.contains("ann");
        assert_eq!(erase(folder.path(), &mut is_ann, true).unwrap(), 1);
        *generation.lock().unwrap() += 1;
        assert_eq!(erase(folder.path(), &mut is_ann, false).unwrap(), 1);
        assert_eq!(erase(folder.path(), &mut is_ann, false).unwrap(), 0);
        rejects.keep("s", row(3, b"{eve")).unwrap();
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        let lines: Vec<String> = text
            .lines()
            .map(|row| serde_json::from_str::<Value>(row).unwrap()["line"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(lines, ["", "{bob", "{eve"]);
    }
}
