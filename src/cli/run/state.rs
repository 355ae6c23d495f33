//! What `serin run` keeps on disk: the ledger, which streams there are, and which of them were moved on while nothing came from them.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(feature = "kafka")]
use anyhow::bail;
use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use xxhash_rust::xxh3::Xxh3;

use crate::cli::run::appended::Appended;
#[cfg(feature = "kafka")]
use crate::cli::run::checkpoint;
use crate::cli::run::checkpoint::Written;
use crate::cli::run::streams::{self, Row};
use crate::ledger;

/// A stream was moved on, before any line at or behind a position had come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Move {
    /// The stream's next position then.
    pub next: u64,
    pub to: To,
}

/// Where a stream was moved on to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum To {
    /// Its oldest open window since.
    Window(i64),
    /// The same of a stream that has more and gives none: windows before close without it.
    Stalled(i64),
    /// To the lines of it that the clock guard had held: they were believed.
    Held,
}

/// Moves of each stream that a file of them tells of, in order.
pub(super) fn moves_of(text: &str, names: &[String]) -> anyhow::Result<Vec<VecDeque<Move>>> {
    let mut moves = vec![VecDeque::new(); names.len()];
    for (number, line) in text.lines().enumerate() {
        let wrong = || anyhow!("idle.ndjson: line {} is not what it should be", number + 1);
        let value: Value = serde_json::from_str(line).map_err(|_| wrong())?;
        let stream = value.get("stream").and_then(Value::as_str).ok_or_else(wrong)?;
        let next = value.get("next").and_then(Value::as_u64).ok_or_else(wrong)?;
        let to = match (value.get("window").map(Value::as_i64), value.get("held"), value.get("stalled")) {
            (Some(window), None, None) => To::Window(window.ok_or_else(wrong)?),
            (Some(window), None, Some(Value::Bool(true))) => To::Stalled(window.ok_or_else(wrong)?),
            (None, Some(Value::Bool(true)), None) => To::Held,
            _ => return Err(wrong()),
        };
        if let Some(at) = names.iter().position(|name| name == stream) {
            moves[at].push_back(Move { next, to });
        }
    }
    Ok(moves)
}

/// The folder of `--state`.
pub(super) struct State {
    ledger: Appended,
    /// Bytes of the held ledger that have been computed again.
    agreed: usize,
    idle: Appended,
    streams: Appended,
    /// All entries so far: bytes, and their sum.
    written: u64,
    sum: Xxh3,
    /// The ledger was made from other lines, and where that shows.
    differs: Option<String>,
    folder: PathBuf,
}

impl State {
    /// Opens the folder, or makes it.
    pub(super) fn open(folder: &Path) -> anyhow::Result<State> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let shown = folder.display();
        builder.create(folder).with_context(|| format!("{shown}: cannot be made; choose a folder with --state DIR"))?;
        let ledger = Appended::open(&folder.join("ledger.ndjson"))?;
        let idle = Appended::open(&folder.join("idle.ndjson"))?;
        let streams = Appended::open(&folder.join(streams::FILE))?;
        if !ledger.held.is_empty() {
            ledger::read(&ledger.held).with_context(|| format!("{shown}: ledger.ndjson"))?;
        }
        // The names of new files last as long as what is in them.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .with_context(|| format!("{shown}: cannot be synced"))?;
        let (written, sum, folder) = (0, Xxh3::new(), folder.to_owned());
        Ok(State { ledger, agreed: 0, idle, streams, written, sum, differs: None, folder })
    }

    /// The first entry, when there is one: what everything was decided by.
    pub(super) fn start(&self) -> anyhow::Result<Option<serde_json::Map<String, Value>>> {
        let Some(line) = self.ledger.held.lines().next() else { return Ok(None) };
        Ok(Some(serde_json::from_str(line)?))
    }

    /// Up to where the ledger's latest entry that says so has read a stream; 0 where none does.
    pub(super) fn position(&self, stream: &str) -> anyhow::Result<u64> {
        for line in self.ledger.held.lines().rev() {
            let entry: Value = serde_json::from_str(line)?;
            if let Some(positions) = entry.get("positions").and_then(Value::as_object) {
                return Ok(positions.get(stream).and_then(Value::as_u64).unwrap_or(0));
            }
        }
        Ok(0)
    }

    /// Takes the next entry: it must be the one that the ledger has in this place, or becomes its next.
    pub(super) fn entry(&mut self, line: &str) -> io::Result<()> {
        let held = &self.ledger.held.as_bytes()[self.agreed..];
        if held.is_empty() {
            self.ledger.append(line);
            self.count(line);
            return Ok(());
        }
        if !held.starts_with(line.as_bytes()) {
            let number = self.ledger.held[..self.agreed].lines().count() + 1;
            let words = format!(
                "entry {number} of the ledger was made from other lines than the topics have now (have they lost their \
                 oldest records?); begin anew with another --state"
            );
            self.differs = Some(words.clone());
            return Err(io::Error::other(words));
        }
        self.agreed += line.len();
        self.count(line);
        Ok(())
    }

    fn count(&mut self, line: &str) {
        self.written += line.len() as u64;
        self.sum.update(line.as_bytes());
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The identity of the folder among those that own topics: made once, and the same at every start.
    #[cfg(feature = "kafka")]
    pub(super) fn instance(&self) -> anyhow::Result<String> {
        use crate::source::kafka::{fresh_instance, is_instance};
        let path = self.folder.join("instance");
        let shown = path.display();
        match std::fs::read_to_string(&path) {
            Ok(text) if is_instance(text.trim_end()) => Ok(text.trim_end().to_owned()),
            Ok(_) => bail!("{shown}: this is no identity of a state folder; remove the file, and one is made"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut random = [0; 16];
                getrandom::fill(&mut random).map_err(|error| anyhow!("there is no randomness here: {error}"))?;
                let instance = fresh_instance(random);
                checkpoint::replace(&path, format!("{instance}\n").as_bytes())
                    .with_context(|| format!("{shown}: cannot be written"))?;
                Ok(instance)
            }
            Err(error) => Err(error).with_context(|| format!("{shown}: cannot be read")),
        }
    }

    /// Entries so far; of those that were held, as far as they were computed again.
    pub(super) fn written(&self) -> Written {
        Written { bytes: self.written, sum: self.sum.digest() }
    }

    /// Goes on behind entries that a checkpoint rests on. False when the ledger does not begin with them.
    pub(super) fn resume(&mut self, written: Written) -> bool {
        let Some(held) = usize::try_from(written.bytes).ok().and_then(|end| self.ledger.held.as_bytes().get(..end))
        else {
            return false;
        };
        self.sum.update(held);
        self.written = written.bytes;
        self.agreed = held.len();
        self.written() == written
    }

    /// What was read is not what the ledger was made from, in words.
    pub(super) fn differs(&self) -> Option<&str> {
        self.differs.as_deref()
    }

    /// Everything that the ledger held has been computed again.
    pub(super) fn is_caught_up(&self) -> bool {
        self.agreed == self.ledger.held.len()
    }

    /// Entries that were held.
    pub(super) fn entries_held(&self) -> usize {
        self.ledger.held.lines().count()
    }

    /// Everything that was written lasts; where the disk refuses, nothing is lost, and it can be tried again.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        // Whatever the ledger may rest on lasts before it does.
        self.streams.sync()?;
        self.ledger.sync()?;
        self.idle.sync()
    }

    /// Bytes of the ledger that last.
    pub(super) fn durable(&self) -> u64 {
        self.ledger.durable()
    }

    /// Bytes of the ledger that wait to be written.
    pub(super) fn pending(&self) -> usize {
        self.ledger.pending()
    }

    /// Moves of each stream that were made in earlier runs, in order.
    pub(super) fn moves(&self, names: &[String]) -> anyhow::Result<Vec<VecDeque<Move>>> {
        moves_of(&self.idle.held, names)
    }

    /// Streams that were read in earlier runs, in the order in which they came.
    pub(super) fn rows(&self) -> anyhow::Result<Vec<Row>> {
        streams::rows(&self.streams.held)
    }

    /// Writes down that there are further streams; they last after [`State::sync`].
    #[cfg(feature = "kafka")]
    pub(super) fn joined<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) {
        rows.for_each(|row| self.streams.append(&row.line()));
    }

    /// Writes moves down; they last after [`State::sync`].
    pub(super) fn moved<'a>(&mut self, moves: impl Iterator<Item = (&'a str, Move)>) {
        for (stream, Move { next, to }) in moves {
            let row = match to {
                To::Window(window) => json!({ "stream": stream, "next": next, "window": window }),
                To::Stalled(window) => json!({ "stream": stream, "next": next, "window": window, "stalled": true }),
                To::Held => json!({ "stream": stream, "next": next, "held": true }),
            };
            self.idle.append(&format!("{row}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Chain;
    use serde_json::Map;

    #[test]
    fn a_ledger_goes_on_where_it_ended_and_takes_no_other_past() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("state");
        let mut chain = Chain::default();
        let lines: Vec<String> = ["start", "look", "look"].iter().map(|kind| chain.append(kind, Map::new())).collect();
        let mut state = State::open(&at).unwrap();
        assert!(state.is_caught_up() && state.start().unwrap().is_none());
        assert!(State::open(&at).is_err(), "one at a time");
        lines[..2].iter().for_each(|line| state.entry(line).unwrap());
        let there = Move { next: 8, to: To::Window(-3) };
        let stalled = Move { next: 9, to: To::Stalled(4) };
        state.moved([("t/0", there), ("t/0", stalled)].into_iter());
        state.sync().unwrap();
        drop(state);

        // The third entry was being written.
        let path = at.join("ledger.ndjson");
        std::fs::write(&path, format!("{}{}{}", lines[0], lines[1], &lines[2][..20])).unwrap();
        let mut state = State::open(&at).unwrap();
        assert_eq!(state.start().unwrap().unwrap()["kind"], "start");
        assert_eq!(state.moves(&["t/1".to_owned(), "t/0".to_owned()]).unwrap(), [vec![], vec![there, stalled]]);
        state.entry(&lines[0]).unwrap();
        assert!(!state.is_caught_up());
        assert!(state.entry(&lines[2]).unwrap_err().to_string().starts_with("entry 2 "));
        state.entry(&lines[1]).unwrap();
        assert!(state.is_caught_up());
        state.entry(&lines[2]).unwrap();
        state.sync().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines.concat());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&at), mode(&path)), (0o700, 0o600));
        }
    }
}
