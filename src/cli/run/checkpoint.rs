//! Checkpoints: everything that was decided from, with the place of each stream where reading goes on, in one file.
//!
//! State and places are of one moment, and the file replaces the one before at once: whatever happens, a program that starts
//! again counts no line twice and leaves none out. Entries that the ledger has beyond are computed again, and must agree.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::cli::html::Courses;
use crate::cli::report::Noticed;
use crate::sketch::codec::{Damaged, Reader, Writer};

/// First bytes of a checkpoint, and its version.
const MAGIC: &[u8; 8] = b"SERINCKP";
const VERSION: u8 = 1;
const FILE: &str = "checkpoint";
/// The first lines of each stream, which show what lines are.
const HEADS: &str = "heads.json";

/// One stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Its name.
    pub name: String,
    /// Position of the first line that has not been read.
    pub next: u64,
    /// Times that it was moved on while nothing came from it.
    pub moves: u64,
    /// Time of the record that was read last, in milliseconds; 0 where it has none.
    pub millis: i64,
}

/// How much of the ledger is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Written {
    /// Bytes.
    pub bytes: u64,
    /// XXH3 of them.
    pub sum: u64,
}

/// What a reader knows beside verdicts, for whoever looks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Shown {
    pub noticed: Noticed,
    pub courses: Courses,
}

/// See the module text.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub written: Written,
    pub places: Vec<Place>,
    /// The engine's snapshot.
    pub engine: Vec<u8>,
    /// Open windows and clocks of the streams.
    pub streams: Vec<u8>,
    pub shown: Shown,
}

impl Checkpoint {
    /// Bytes of a file.
    fn encode(&self) -> anyhow::Result<Vec<u8>> {
        let mut w = Writer::default();
        w.bytes.extend_from_slice(MAGIC);
        w.byte(VERSION);
        w.uint(self.written.bytes);
        w.fixed(self.written.sum);
        w.length(self.places.len());
        for Place { name, next, moves, millis } in &self.places {
            w.text(name);
            w.uint(*next);
            w.uint(*moves);
            w.int(*millis);
        }
        let shown = serde_json::to_vec(&self.shown)?;
        for part in [&self.engine, &self.streams, &shown] {
            w.length(part.len());
            w.bytes.extend_from_slice(part);
        }
        let sum = xxh3_64(&w.bytes);
        w.fixed(sum);
        Ok(w.bytes)
    }

    fn decode(bytes: &[u8]) -> Result<Checkpoint, Damaged> {
        let (bytes, sum) = bytes.split_last_chunk::<8>().ok_or(Damaged("ends early"))?;
        if xxh3_64(bytes) != u64::from_le_bytes(*sum) {
            return Err(Damaged("wrong check sum"));
        }
        let rest = bytes.strip_prefix(MAGIC).ok_or(Damaged("no checkpoint"))?;
        let mut r = Reader::new(rest);
        if r.byte()? != VERSION {
            return Err(Damaged("checkpoint of another version"));
        }
        let written = Written { bytes: r.uint()?, sum: r.fixed()? };
        let mut places = Vec::new();
        for _ in 0..r.length()? {
            places.push(Place { name: r.text()?, next: r.uint()?, moves: r.uint()?, millis: r.int()? });
        }
        let mut part = || {
            let length = r.length()?;
            Ok(r.bytes(length)?.to_vec())
        };
        let (engine, streams, shown) = (part()?, part()?, part()?);
        let shown = serde_json::from_slice(&shown).map_err(|_| Damaged("what is shown"))?;
        r.end()?;
        Ok(Checkpoint { written, places, engine, streams, shown })
    }

    /// Replaces the checkpoint of a folder; it lasts when this returns.
    pub(super) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(FILE);
        replace(&path, &self.encode()?).with_context(|| format!("{}: cannot be written", path.display()))
    }

    /// The checkpoint of a folder, where there is one. The inner error says why it is of no use.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Option<Result<Checkpoint, Damaged>>> {
        Ok(content(&folder.join(FILE))?.map(|bytes| Checkpoint::decode(&bytes)))
    }
}

/// First lines of each stream by name, as they were when the plan was made.
pub(super) type Heads = Vec<(String, String)>;

/// Keeps the first lines; they last when this returns.
pub(super) fn write_heads(folder: &Path, heads: &Heads) -> anyhow::Result<()> {
    let path = folder.join(HEADS);
    replace(&path, &serde_json::to_vec(heads)?).with_context(|| format!("{}: cannot be written", path.display()))
}

/// The first lines, where they were kept.
pub(super) fn read_heads(folder: &Path) -> anyhow::Result<Option<Heads>> {
    let path = folder.join(HEADS);
    let Some(bytes) = content(&path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| anyhow!("{}: {error}", path.display()))
}

fn content(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{}: cannot be read", path.display())),
    }
}

/// A file is either the old one or the new one, whatever happens.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside: PathBuf = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_back_and_any_other_bytes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Checkpoint::read(folder.path()).unwrap().is_none());
        let place = |name: &str, next| Place { name: name.to_owned(), next, moves: next / 2, millis: -5 };
        let checkpoint = Checkpoint {
            written: Written { bytes: 7, sum: 9 },
            places: vec![place("http", 1 << 40), place("t/0", 0)],
            engine: vec![1, 2, 3],
            streams: Vec::new(),
            shown: Shown::default(),
        };
        checkpoint.write(folder.path()).unwrap();
        let read = Checkpoint::read(folder.path()).unwrap().unwrap().unwrap();
        assert_eq!((read.written, &read.places), (checkpoint.written, &checkpoint.places));
        assert_eq!((read.engine, read.streams), (checkpoint.engine.clone(), checkpoint.streams.clone()));
        let whole = std::fs::read(folder.path().join(FILE)).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert!(Checkpoint::decode(&bytes).is_err(), "byte {at}");
            assert!(Checkpoint::decode(&whole[..at]).is_err(), "first {at} bytes");
        }
        // A program that was killed while it wrote the next one has left that beside it.
        std::fs::write(folder.path().join("checkpoint.new"), b"half").unwrap();
        assert!(Checkpoint::read(folder.path()).unwrap().unwrap().is_ok());
        checkpoint.write(folder.path()).unwrap();
    }
}
