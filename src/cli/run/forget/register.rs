//! What is to be forgotten, and what was, on disk.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};

use crate::cli::run::checkpoint::replace;

/// Requests that are under way, with the ids of units.
const ASKED: &str = "erasing.json";
/// What was done: a row for each request, without ids.
const ERASED: &str = "erased.ndjson";

/// Lines of the write-ahead log that a request takes out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct OfLog {
    pub lines: u64,
    pub first: Option<u64>,
}

/// A request that is under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub number: u64,
    /// The id.
    pub unit: String,
    /// Lines in which it stands anywhere as a word, too.
    pub mentions: bool,
    pub actor: String,
    pub reason: String,
    pub asked_ms: i64,
    /// Lines of the write-ahead log before this place are meant.
    pub until: u64,
    /// What was found, before the first line was gone.
    pub log: Option<OfLog>,
    pub dead_letters: Option<u64>,
    pub index: Option<u64>,
}

/// A request that is at its end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::cli::run) struct Erased {
    pub number: u64,
    /// Hash of the id, 16 hexadecimal digits.
    pub unit: String,
    pub actor: String,
    pub reason: String,
    pub asked_ms: i64,
    pub done_ms: i64,
    /// Of each stream, lines before this place.
    pub until: BTreeMap<String, u64>,
    /// Place of the first line that is gone from the write-ahead log.
    pub first: Option<u64>,
    pub log_lines: u64,
    pub dead_letters: u64,
    /// `None`: there is no index.
    pub index_lines: Option<u64>,
}

#[cfg(feature = "index")]
impl Erased {
    /// A line of this stream, place and unit is meant.
    pub(in crate::cli::run) fn has(&self, stream: &str, position: u64, unit: u64) -> bool {
        self.until.get(stream).is_some_and(|until| position < *until) && self.unit == format!("{unit:016x}")
    }
}

pub(super) fn read_asked(folder: &Path) -> anyhow::Result<Vec<Asked>> {
    let path = folder.join(ASKED);
    match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| path.display().to_string()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Replaces what is under way; it lasts when this returns.
pub(super) fn write_asked(folder: &Path, asked: &[Asked]) -> anyhow::Result<()> {
    let path = folder.join(ASKED);
    replace(&path, &serde_json::to_vec(asked)?).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Everything that was forgotten. A row that is not whole was never acted on.
pub(in crate::cli::run) fn read(folder: &Path) -> anyhow::Result<Vec<Erased>> {
    let path = folder.join(ERASED);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let whole = text.get(..text.rfind('\n').map_or(0, |end| end + 1)).unwrap_or_default();
    let rows = whole.lines().enumerate().map(|(number, line)| {
        serde_json::from_str(line).map_err(|error| anyhow!("{}: line {}: {error}", path.display(), number + 1))
    });
    rows.collect()
}

/// A further row; it lasts when this returns.
pub(super) fn append(folder: &Path, erased: &Erased) -> anyhow::Result<()> {
    let path = folder.join(ERASED);
    let written = || -> std::io::Result<()> {
        let text = std::fs::read(&path).unwrap_or_default();
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path)?;
        // What a program left that ended while it wrote is no row.
        file.set_len(whole as u64)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))?;
        let row = serde_json::to_string(erased).map_err(std::io::Error::other)?;
        file.write_all(format!("{row}\n").as_bytes())?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    };
    written().with_context(|| format!("{}: cannot be written", path.display()))
}
