//! Files that grow: followed by looking at them again and again, whatever rotates them.
//!
//! A [`Tail`] follows the files of some patterns as one log. It hands out whole lines together with a note of how far it has come in
//! every file; whoever stores both in one write, and gives the last note back after a restart, has each line once. It knows no
//! clock: times are arguments, in milliseconds.
//!
//! A file is known by device and inode, and by prints of its first bytes and of those before the place where reading goes on. So a
//! file that was renamed is the same file; one that became shorter, or has other bytes there, was truncated and is read from its
//! beginning; and a copy of a file (as `copytruncate` makes it) is read from where its original had been read to. Where files are
//! found at once, they are read one after the other, the one that was changed first first: of rotated files that is their order.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::pipeline::continued;
use crate::pipeline::decode::LINE_MAX;

/// Files that are followed at a time.
pub const FILES_MAX: usize = 1_024;
/// Files whose places are remembered after they were left.
const LEFT_MAX: usize = 256;
/// Bytes of the first print, and of the one before the place.
const HEAD: u64 = 1_024;
const LAST: u64 = 256;
/// A file of fewer bytes is not told from another by its prints.
const PRINT_MIN: u64 = 128;
/// Bytes that are read of a file at a time, and about how many are handed out together.
const READ: usize = 256 << 10;
const TOGETHER: usize = 1 << 20;
/// A file that was renamed or removed is read on for so long after its end was reached: who writes may not know yet.
const GRACE_MS: i64 = 60_000;
/// Endings of files that are packed: a rotated file that is packed was read before.
const PACKED: [&str; 6] = [".gz", ".zst", ".bz2", ".xz", ".lz4", ".zip"];

/// A print of some bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Print {
    from: u64,
    bytes: u64,
    hash: u64,
}

impl Print {
    fn of(file: &File, from: u64, bytes: u64) -> io::Result<Print> {
        let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(0)];
        file.read_exact_at(&mut buffer, from)?;
        Ok(Print { from, bytes, hash: xxh3_64(&buffer) })
    }

    /// The file has these bytes there.
    fn is_of(&self, file: &File) -> io::Result<bool> {
        if self.bytes == 0 {
            return Ok(true);
        }
        match Print::of(file, self.from, self.bytes) {
            Ok(print) => Ok(print == *self),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// How far a file was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Place {
    device: u64,
    inode: u64,
    /// Bytes that were handed out or skipped.
    offset: u64,
    head: Print,
    last: Print,
    /// The rest of a line that is too long is skipped.
    skipping: bool,
}

impl Place {
    fn new(metadata: &Metadata) -> Place {
        let (head, last) = (Print::default(), Print::default());
        Place { device: metadata.dev(), inode: metadata.ino(), offset: 0, head, last, skipping: false }
    }

    fn is_at(&self, metadata: &Metadata) -> bool {
        (self.device, self.inode) == (metadata.dev(), metadata.ino())
    }

    /// What stands before the place is what was read.
    fn fits(&self, file: &File, length: u64) -> io::Result<bool> {
        Ok(self.offset <= length && self.head.is_of(file)? && self.last.is_of(file)?)
    }

    /// The same, moved on.
    fn moved_to(&self, file: &File, offset: u64, skipping: bool) -> io::Result<Place> {
        let head = if self.head.bytes < HEAD { Print::of(file, 0, offset.min(HEAD))? } else { self.head };
        let last = offset.min(LAST);
        Ok(Place { offset, head, last: Print::of(file, offset - last, last)?, skipping, ..*self })
    }

    /// Reading begins again; returns where it had come to, by which copies of what was there are known.
    fn begin_again(&mut self) -> Place {
        let before = Place { device: 0, inode: 0, ..self.clone() };
        (self.offset, self.skipping) = (0, false);
        (self.head, self.last) = (Print::default(), Print::default());
        before
    }
}

/// A file that is followed.
struct Followed {
    place: Place,
    file: File,
    path: PathBuf,
    /// Length when it was last looked at.
    length: u64,
    /// Its end was reached: it is read beside the others.
    is_live: bool,
    /// Since when no path of the pattern leads to it.
    gone_since: Option<i64>,
}

/// What a note holds.
#[derive(Default, Serialize, Deserialize)]
struct Note {
    places: Vec<Place>,
}

/// See the module text.
pub struct Tail {
    patterns: Vec<String>,
    /// Files that are there at the first look are read from their end.
    from_end: bool,
    followed: Vec<Followed>,
    /// Places of files that are not followed: of a note, or left.
    left: VecDeque<Place>,
    /// Files that may be copies that are being made: device, inode, and since when.
    copying: Vec<(u64, u64, i64)>,
    /// Files that cannot be opened.
    unreadable: BTreeSet<PathBuf>,
    /// Files past the bound, now.
    not_followed: usize,
}

/// What a look has brought.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Brought {
    /// Whole lines, each with its newline; empty where nothing came.
    pub lines: Vec<u8>,
    /// How far every file was read with them.
    pub note: Vec<u8>,
    /// What happened, in words.
    pub notices: Vec<String>,
    /// Bytes that are there and were not read, partial lines included.
    pub unread: u64,
    /// There is more to be had at once.
    pub more: bool,
}

/// Why files cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The pattern is none.
    #[error("{0}: {1}")]
    Pattern(String, String),
    /// What it names is packed.
    #[error(
        "{0}: what is packed is not followed. Send it (gunzip < FILE | curl --data-binary @- http://ADDRESS/ingest), or judge it at once \
         (serin compare FILE)"
    )]
    Packed(String),
    /// A folder.
    #[error("{0} is a folder: name the files in it that are to be followed, for example '{0}/*.log'")]
    Folder(String),
    /// The note is none of this version.
    #[error(
        "how far files were read is written in a way that this version cannot read; begin anew with another --state"
    )]
    Note,
    /// A file.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
}

/// Whether files can be followed by these names and patterns.
///
/// # Errors
/// What is no pattern, and what finds nothing that would ever be read.
pub fn are_fit(patterns: &[String]) -> Result<(), TailError> {
    for pattern in patterns {
        glob::Pattern::new(pattern).map_err(|error| TailError::Pattern(pattern.clone(), error.to_string()))?;
        if PACKED.iter().any(|ending| pattern.ends_with(ending)) {
            return Err(TailError::Packed(pattern.clone()));
        }
        if Path::new(pattern).is_dir() {
            return Err(TailError::Folder(pattern.trim_end_matches('/').to_owned()));
        }
    }
    Ok(())
}

impl Tail {
    /// Follows the files of patterns (or single files), from where a note says. `from_end`: what stands in files that are there when
    /// there is no note yet is not read.
    ///
    /// # Errors
    /// What is no pattern, or of packed files, or no note.
    pub fn new(patterns: &[String], from_end: bool, note: &[u8]) -> Result<Tail, TailError> {
        are_fit(patterns)?;
        let is_first = note.is_empty();
        let note: Note = match note {
            [] => Note::default(),
            note => serde_json::from_slice(note).map_err(|_| TailError::Note)?,
        };
        let mut left: VecDeque<Place> = note.places.into();
        left.drain(..left.len().saturating_sub(FILES_MAX + LEFT_MAX));
        Ok(Tail {
            patterns: patterns.to_vec(),
            from_end: from_end && is_first,
            followed: Vec::new(),
            left,
            copying: Vec::new(),
            unreadable: BTreeSet::new(),
            not_followed: 0,
        })
    }

    /// Files that are followed now.
    pub fn files(&self) -> usize {
        self.followed.len()
    }

    /// Files of the patterns that are not followed, for there are too many.
    pub fn not_followed(&self) -> usize {
        self.not_followed
    }

    /// Looks for files and for what they have got since.
    ///
    /// # Errors
    /// A file that is there and cannot be read; looking again may succeed, and nothing is lost.
    pub fn look(&mut self, now_ms: i64) -> Result<Brought, TailError> {
        let mut brought = Brought::default();
        self.find(now_ms, &mut brought.notices)?;
        self.check(&mut brought.notices)?;
        // What was renamed has the older lines; what was found with lines in it is caught up with in order, before what is new.
        let count = self.followed.len();
        let is_catching_up = |of: &Followed| !of.is_live && of.gone_since.is_none();
        let first_behind = self.followed.iter().position(is_catching_up);
        let mut order: Vec<usize> = (0..count).filter(|at| self.followed[*at].gone_since.is_some()).collect();
        match first_behind {
            Some(at) => order.push(at),
            None => order.extend((0..count).filter(|at| self.followed[*at].gone_since.is_none())),
        }
        let mut moved = false;
        loop {
            let mut progress = false;
            for at in &order {
                let of = &mut self.followed[*at];
                let before = of.place.offset;
                if let Err(error) = read(of, now_ms, &mut brought) {
                    // What others have brought is not to be lost; it is said again if it stays so.
                    if brought.lines.is_empty() {
                        return Err(io_error(&of.path, error));
                    }
                    continue;
                }
                progress |= of.place.offset != before;
            }
            moved |= progress;
            if !progress || brought.lines.len() >= TOGETHER {
                brought.more = progress;
                break;
            }
        }
        // It has been caught up with, too, where it gives nothing more: its last line has no end, and the others do not wait for that.
        if let Some(at) = first_behind
            && (!brought.more || self.followed[at].place.offset >= self.followed[at].length)
        {
            self.followed[at].is_live = true;
            brought.more = true;
        }
        self.leave(now_ms);
        brought.unread = self.followed.iter().map(|of| of.length.saturating_sub(of.place.offset)).sum();
        if moved && !brought.lines.is_empty() {
            brought.note = self.note();
        }
        Ok(brought)
    }

    fn note(&self) -> Vec<u8> {
        let places = self.followed.iter().map(|of| &of.place).chain(&self.left).cloned().collect();
        serde_json::to_vec(&Note { places }).unwrap_or_default()
    }

    /// Looks which files there are.
    fn find(&mut self, now_ms: i64, notices: &mut Vec<String>) -> Result<(), TailError> {
        let mut paths = Vec::new();
        for pattern in &self.patterns {
            let found = glob::glob(pattern).map_err(|error| TailError::Pattern(pattern.clone(), error.to_string()))?;
            // Folders that cannot be read have no files for us.
            paths.extend(found.filter_map(Result::ok));
        }
        let mut seen = vec![false; self.followed.len()];
        let mut new: Vec<(i64, i64, PathBuf)> = Vec::new();
        for path in paths {
            // What is gone since it was listed is not there.
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            let name = path.to_string_lossy();
            if !metadata.is_file() || PACKED.iter().any(|ending| name.ends_with(ending)) {
                continue;
            }
            match self.followed.iter().position(|of| of.place.is_at(&metadata)) {
                Some(at) => {
                    if let Some(seen) = seen.get_mut(at) {
                        *seen = true;
                    }
                    self.followed[at].path = path;
                }
                None => new.push((metadata.mtime(), metadata.mtime_nsec(), path)),
            }
        }
        for (of, seen) in self.followed.iter_mut().zip(seen) {
            if seen {
                of.gone_since = None;
            } else {
                of.gone_since.get_or_insert(now_ms);
            }
        }
        new.sort();
        self.not_followed = 0;
        for (_, _, path) in new {
            if self.followed.len() >= FILES_MAX {
                self.not_followed += 1;
                continue;
            }
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    if self.unreadable.len() < FILES_MAX && self.unreadable.insert(path.clone()) {
                        notices.push(format!("{}: cannot be read: {error}", path.display()));
                    }
                    continue;
                }
            };
            self.unreadable.remove(&path);
            let metadata = file.metadata().map_err(|error| io_error(&path, error))?;
            // Two names of one file.
            if self.followed.iter().any(|of| of.place.is_at(&metadata)) {
                continue;
            }
            let place = self.place_of(&file, &metadata, (&path, now_ms), notices);
            let Some(place) = place.map_err(|error| io_error(&path, error))? else { continue };
            let length = metadata.len();
            let place = match self.from_end && place.offset == 0 {
                true => at_the_end(&place, &file, length).map_err(|error| io_error(&path, error))?,
                false => place,
            };
            self.followed.push(Followed { place, file, path, length, is_live: false, gone_since: None });
        }
        self.from_end = false;
        Ok(())
    }

    /// Where reading a file begins that was not followed until now; `None` when that is not known yet.
    fn place_of(
        &mut self,
        file: &File,
        metadata: &Metadata,
        (path, now_ms): (&Path, i64),
        notices: &mut Vec<String>,
    ) -> io::Result<Option<Place>> {
        let length = metadata.len();
        if let Some(at) = self.left.iter().position(|place| place.is_at(metadata)) {
            let fits = self.left[at].fits(file, length)?;
            if let Some(place) = self.left.remove(at).filter(|_| fits) {
                return Ok(Some(place));
            }
        }
        let mut is_copying = false;
        for known in self.followed.iter().map(|of| &of.place).chain(&self.left) {
            if known.head.bytes >= PRINT_MIN && known.fits(file, length)? {
                notices.push(format!(
                    "{}: is a copy of a file that was read up to byte {}, and is read from there",
                    path.display(),
                    known.offset
                ));
                return Ok(Some(Place { device: metadata.dev(), inode: metadata.ino(), ..known.clone() }));
            }
            is_copying |= known.head.bytes == HEAD && length < known.offset && known.head.is_of(file)?;
        }
        let id = (metadata.dev(), metadata.ino());
        let since = self.copying.iter().find(|(device, inode, _)| (*device, *inode) == id).map(|(_, _, since)| *since);
        if is_copying && since.is_none_or(|since| now_ms - since < GRACE_MS) {
            if since.is_none() && self.copying.len() < FILES_MAX {
                self.copying.push((id.0, id.1, now_ms));
            }
            return Ok(None);
        }
        self.copying.retain(|(_, _, since)| now_ms - since < GRACE_MS);
        Ok(Some(Place::new(metadata)))
    }

    /// Looks which files have changed, and how.
    fn check(&mut self, notices: &mut Vec<String>) -> Result<(), TailError> {
        for of in &mut self.followed {
            let length = of.file.metadata().map_err(|error| io_error(&of.path, error))?.len();
            if length == of.length && length == of.place.offset {
                continue;
            }
            of.length = length;
            if !of.place.fits(&of.file, length).map_err(|error| io_error(&of.path, error))? {
                notices.push(format!("{}: was truncated, and is read from its beginning", of.path.display()));
                let before = of.place.begin_again();
                if before.offset >= PRINT_MIN {
                    remember(&mut self.left, before);
                }
            }
        }
        Ok(())
    }

    /// Leaves files that are gone and to which nobody writes any more.
    fn leave(&mut self, now_ms: i64) {
        let is_over = |of: &Followed| is_over(of, now_ms) && of.place.offset >= of.length;
        for place in self.followed.iter().filter(|of| is_over(of)).map(|of| of.place.clone()) {
            remember(&mut self.left, place);
        }
        self.followed.retain(|of| !is_over(of));
    }
}

/// The place after the last whole line of a file.
fn at_the_end(place: &Place, file: &File, length: u64) -> io::Result<Place> {
    let most = length.min(LINE_MAX as u64);
    let mut bytes = vec![0; usize::try_from(most).unwrap_or(0)];
    file.read_exact_at(&mut bytes, length - most)?;
    let end = memchr::memrchr(b'\n', &bytes).map_or(0, |end| end as u64 + 1);
    place.moved_to(file, length - most + end, false)
}

fn remember(left: &mut VecDeque<Place>, place: Place) {
    if left.len() >= LEFT_MAX {
        left.pop_front();
    }
    left.push_back(place);
}

fn io_error(path: &Path, error: io::Error) -> TailError {
    TailError::Io(path.display().to_string(), error)
}

/// Nobody writes to the file any more.
fn is_over(of: &Followed, now_ms: i64) -> bool {
    of.gone_since.is_some_and(|since| now_ms - since >= GRACE_MS)
}

/// Reads what a file has, up to the end of a line.
fn read(of: &mut Followed, now_ms: i64, brought: &mut Brought) -> io::Result<()> {
    let there = of.length.saturating_sub(of.place.offset);
    if there == 0 {
        return Ok(());
    }
    let mut bytes = Vec::new();
    let mut most = READ;
    let end = loop {
        let want = usize::try_from(there).unwrap_or(most).min(most);
        let have = bytes.len();
        bytes.resize(want, 0);
        let mut filled = have;
        while filled < want {
            match of.file.read_at(&mut bytes[filled..], of.place.offset + filled as u64) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        match memchr::memrchr(b'\n', &bytes) {
            Some(end) => break Some(end + 1),
            // It is shorter than it was said to be: looked at again.
            None if filled < want => break None,
            // A line that is too long is handed out as far as it must be to be seen as such.
            None if filled > LINE_MAX => break None,
            None if (filled as u64) < there => most = (most * 4).min(LINE_MAX + 1),
            None => break None,
        }
    };
    let is_too_long = end.is_none() && bytes.len() > LINE_MAX;
    // Who wrote the last line has not ended it, and will not any more.
    let is_last = end.is_none() && is_over(of, now_ms) && bytes.len() as u64 == there;
    if end.is_none() && !is_too_long && !is_last && !of.place.skipping {
        return Ok(());
    }
    let end = end.unwrap_or(bytes.len());
    bytes.truncate(end);
    let (mut text, mut skipping) = (bytes.as_slice(), of.place.skipping);
    if skipping {
        match memchr::memchr(b'\n', text) {
            Some(newline) => (skipping, text) = (false, &text[newline + 1..]),
            None => text = &[],
        }
    }
    let is_open = !text.is_empty() && !text.ends_with(b"\n");
    match of.place.moved_to(&of.file, of.place.offset + end as u64, skipping || (is_open && is_too_long)) {
        Ok(place) => of.place = place,
        // It was truncated since it was read, which is looked at next.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
        Err(error) => return Err(error),
    }
    let from = brought.lines.len();
    brought.lines.extend_from_slice(text);
    continued::join(brought.lines.get_mut(from..).unwrap_or_default());
    if is_open {
        brought.lines.push(b'\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests;
