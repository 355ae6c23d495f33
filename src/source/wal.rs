//! The write-ahead log: what comes over HTTP is on disk before it is answered, and everything is read from there.
//!
//! A folder of segments, each named by the position of its first record. A position is the number of payload bytes before: that
//! of a line is its record's and its own place in the payload. A segment begins with [`MAGIC`] and [`VERSION`]. A record is
//! [`MARK`], its length and that of its note (32 bits each), an XXH3 check sum of all that follows (64 bits), its position, its
//! group, its key (64 bits each), all little-endian, the note and the payload. A note is for whoever brings payloads from elsewhere:
//! how far it has come there, in the same write as what it brought ([`Opened::note`]).
//!
//! One thread writes ([`Wal::append`] hands it payloads): all that has come meanwhile is one group, written and synced together,
//! and only then answered. Whoever reads sees synced records alone. When a log is opened, what is not whole of its last group is
//! cut off and told of: most likely a write that the power cut short, and never answered. Damage before that is an error: a record
//! of a later group was written after the damaged one was synced. What nothing here can tell is an answered last group whose
//! bytes are damaged later from one that never came to disk, and that whole records are missing at the end.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use xxhash_rust::xxh3::Xxh3;

use crate::source::keys::{Keys, Repeats};

mod erase;

pub use self::erase::{Erasable, erasable, erase};

/// First bytes of a segment.
const MAGIC: &[u8; 8] = b"SERINWAL";
/// Version of the segments, behind the magic.
const VERSION: u8 = 1;
const HEADER: u64 = 9;
/// First bytes of a record.
const MARK: [u8; 4] = [0xf5, b'R', b'E', b'C'];
/// Mark, lengths, check sum, position, group and key of a record.
const RECORD_HEADER: usize = 4 + 4 + 4 + 4 * 8;
/// Longest note.
pub const NOTE_MAX: usize = 1 << 20;
/// Bytes from which on a new segment begins.
const SEGMENT_BYTES: u64 = 64 << 20;
/// Longest payload: what an answered request can bring, decoded.
pub const PAYLOAD_MAX: usize = 64 << 20;
/// Bytes of payloads that wait to be written; what comes beyond is told to come again.
pub const WAITING_BYTES: usize = 128 << 20;
/// Payloads that wait.
const WAITING: usize = 4_096;
/// Payloads that are written and synced together.
const TOGETHER: usize = 1_024;
/// Bytes of a buffer that is kept for the next use: fresh megabytes cost a page fault every 4 KiB, and a kept one its memory.
const KEPT: usize = 4 << 20;
/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// A file cannot be read or written.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// A segment is not what it should be.
    #[error(
        "{0}: the record at {1} is damaged; those before it are whole. Restore the file, or begin anew with another --state"
    )]
    Damaged(String, u64),
    /// The segment is of another kind or version.
    #[error("{0}: not a segment that this version can read")]
    Unknown(String),
    /// A segment is missing.
    #[error("{0}: begins at {1}, and the segment before it ends at {2}: a file is missing")]
    Gap(String, u64, u64),
}

/// Why a payload was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Too much waits to be written.
    #[error("too much waits to be written")]
    Full,
    /// The disk refused.
    #[error("the write-ahead log cannot be written: {0}")]
    Disk(Arc<io::Error>),
    /// The program is stopping.
    #[error("stopping")]
    Stopping,
}

/// What became of a payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appended {
    /// It is the record at this position.
    Record(u64),
    /// A payload with the same key is there already, at this position.
    Repeated(u64),
}

/// What is handed to the thread that writes.
enum Handed {
    Payload(Waiting),
    /// What comes from now on goes to a segment of its own.
    Cut(oneshot::Sender<Result<u64, AppendError>>),
}

struct Waiting {
    key: u64,
    note: Vec<u8>,
    payload: Vec<u8>,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
    _room: OwnedSemaphorePermit,
}

/// The position up to which all is synced, and who waits for more.
#[derive(Default)]
struct Synced {
    end: Mutex<u64>,
    more: Condvar,
    /// How far it was read.
    read: AtomicU64,
}

impl Synced {
    fn get(&self) -> u64 {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, end: u64) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        self.more.notify_all();
    }
}

/// Where payloads are handed in. Clones hand them to the same log.
#[derive(Clone)]
pub struct Wal {
    sender: mpsc::Sender<Handed>,
    room: Arc<Semaphore>,
    failure: Failure,
    synced: Arc<Synced>,
}

/// Why the last write failed, where it did.
type Failure = Arc<Mutex<Option<Arc<io::Error>>>>;

/// What was found when a log was opened.
pub struct Opened {
    /// Where payloads are handed in.
    pub wal: Wal,
    /// Reads from the first record.
    pub reader: WalReader,
    /// Bytes of a record at the end that was not whole, and was cut off.
    pub torn: u64,
    /// The note of the last record that has one; empty where none has.
    pub note: Vec<u8>,
}

impl Wal {
    /// Opens a log, or makes one, and starts the thread that writes.
    ///
    /// # Errors
    /// A folder that cannot be used, or a log that is damaged.
    pub fn open(folder: &Path) -> Result<Opened, WalError> {
        Wal::open_read(folder, 0)
    }

    /// The same, where everything before this position has been read: a record there that is broken is damage, and no last write that
    /// did not come to disk.
    ///
    /// # Errors
    /// As of [`Wal::open`].
    pub fn open_read(folder: &Path, read: u64) -> Result<Opened, WalError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|error| at(folder, error))?;
        let mut segments = segments(folder)?;
        let mut note = Vec::new();
        // Segments that nothing rests on any more were removed.
        let (mut keys, mut next, mut torn) = (Keys::default(), segments.first().copied().unwrap_or(0), 0);
        for (number, first) in segments.iter().enumerate() {
            if *first != next {
                return Err(WalError::Gap(segment(folder, *first).display().to_string(), *first, next));
            }
            let is_last = number + 1 == segments.len();
            (next, torn) = check(&segment(folder, *first), next, is_last.then_some(read), &mut keys, &mut note)?;
        }
        // A segment that was begun and has no record is begun again: what lies before it stays the last, and is not removed.
        if segments.len() > 1
            && let Some(empty) = segments.pop_if(|first| *first == next)
        {
            let path = segment(folder, empty);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path, error)),
                Ok(()) | Err(_) => {}
            }
        }
        let synced = Arc::new(Synced::default());
        synced.set(next);
        let first = segments.first().copied().unwrap_or(0);
        let open = segments.last().copied().filter(|first| segment(folder, *first).exists());
        let failure = Failure::default();
        let known = (keys, note.clone());
        let writer = Writer::new(folder, open, next, known, Arc::clone(&synced), Arc::clone(&failure))?;
        let (sender, receiver) = mpsc::channel(WAITING);
        std::thread::spawn(move || writer.run(receiver));
        let room = Arc::new(Semaphore::new(WAITING_BYTES));
        let wal = Wal { sender, room, failure, synced: Arc::clone(&synced) };
        Ok(Opened { wal, reader: WalReader::new(folder, first, synced), torn, note })
    }

    /// Position behind everything that is synced.
    pub fn end(&self) -> u64 {
        self.synced.get()
    }

    /// Begins a new segment, so that nothing more is written to those before. Gives its position: everything before it lies in
    /// segments that are closed.
    ///
    /// # Errors
    /// As of [`Wal::append`].
    pub async fn cut(&self) -> Result<u64, AppendError> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(Handed::Cut(answer)).await.map_err(|_| AppendError::Stopping)?;
        answered.await.unwrap_or(Err(AppendError::Stopping))
    }

    /// Bytes that are synced and that nobody has read yet.
    pub fn unread(&self) -> u64 {
        self.synced.get().saturating_sub(self.synced.read.load(Ordering::Acquire))
    }

    /// Bytes of payloads that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        WAITING_BYTES.saturating_sub(self.room.available_permits())
    }

    /// Why the last write failed, where it did.
    pub fn failure(&self) -> Option<Arc<io::Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands in a payload that is not empty; the answer comes once it is synced. `key`: 0, or one by which a payload that comes again is known.
    ///
    /// # Errors
    /// A full queue, a disk that refuses, or a program that stops.
    pub async fn append(&self, key: u64, payload: Vec<u8>) -> Result<Appended, AppendError> {
        self.append_noted(key, Vec::new(), payload).await
    }

    /// The same, with a note of at most [`NOTE_MAX`] bytes.
    ///
    /// # Errors
    /// As of [`Wal::append`].
    pub async fn append_noted(&self, key: u64, note: Vec<u8>, payload: Vec<u8>) -> Result<Appended, AppendError> {
        let bytes = u32::try_from(payload.len().clamp(1, PAYLOAD_MAX)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| AppendError::Full)?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { key, note, payload, answer, _room: room };
        self.sender.try_send(Handed::Payload(waiting)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => AppendError::Full,
            mpsc::error::TrySendError::Closed(_) => AppendError::Stopping,
        })?;
        answered.await.unwrap_or(Err(AppendError::Stopping))
    }
}

fn at(path: &Path, error: io::Error) -> WalError {
    WalError::Io(path.display().to_string(), error)
}

fn segment(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.wal"))
}

/// First records of the segments of a folder, ascending.
fn segments(folder: &Path) -> Result<Vec<u64>, WalError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| at(folder, error))? {
        let name = entry.map_err(|error| at(folder, error))?.file_name();
        let first = name.to_str().and_then(|name| name.strip_suffix(".wal")).and_then(|name| name.parse::<u64>().ok());
        found.extend(first);
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes the oldest segments of a log of which everything lies before `before`, as far as those that stay have at least `keep`
/// bytes of payload before it. Returns how many were removed.
///
/// # Errors
/// A folder that cannot be read, or a segment that cannot be removed.
pub fn trim(folder: &Path, before: u64, keep: u64) -> Result<usize, WalError> {
    let segments = segments(folder)?;
    let mut removed = 0;
    for pair in segments.windows(2) {
        let [first, next] = *pair else { break };
        if next > before.saturating_sub(keep) {
            break;
        }
        let path = segment(folder, first);
        std::fs::remove_file(&path).map_err(|error| at(&path, error))?;
        removed += 1;
    }
    Ok(removed)
}

/// Where a record stands, and what belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    /// Its position.
    at: u64,
    /// Position of the first record that was written with it.
    group: u64,
    /// By which it is known when it comes again, or 0.
    key: u64,
}

impl Place {
    fn bytes(&self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let words = [self.at, self.group, self.key];
        bytes.chunks_exact_mut(8).zip(words).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_le_bytes()));
        bytes
    }
}

fn sum(place: &Place, note: &[u8], payload: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&place.bytes());
    hasher.update(note);
    hasher.update(payload);
    hasher.digest()
}

/// Appends a record to bytes that are to be written.
fn put_record(bytes: &mut Vec<u8>, place: &Place, note: &[u8], payload: &[u8]) {
    bytes.extend_from_slice(&MARK);
    for length in [payload.len(), note.len()] {
        bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }
    bytes.extend_from_slice(&sum(place, note, payload).to_le_bytes());
    bytes.extend_from_slice(&place.bytes());
    bytes.extend_from_slice(note);
    bytes.extend_from_slice(payload);
}

/// What a place in a segment holds.
enum Found {
    Record {
        place: Place,
        note: Vec<u8>,
        payload: Vec<u8>,
    },
    /// The file ends here.
    End,
    /// The file ends within a record, or the record is not what its check sum says.
    Broken,
}

/// Reads the record at the place where a file stands. `payload`: a buffer for it.
fn read_record(file: &mut impl Read, mut payload: Vec<u8>) -> io::Result<Found> {
    let mut header = [0u8; RECORD_HEADER];
    let mut have = 0;
    while have < RECORD_HEADER {
        match file.read(&mut header[have..]) {
            Ok(0) if have == 0 => return Ok(Found::End),
            Ok(0) => return Ok(Found::Broken),
            Ok(more) => have += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let word = |from: usize| u64::from_le_bytes(std::array::from_fn(|at| header[from + at]));
    let half = |from: usize| u32::from_le_bytes(std::array::from_fn(|at| header[from + at])) as usize;
    let (length, of_note) = (half(4), half(8));
    let (check, place) = (word(12), Place { at: word(20), group: word(28), key: word(36) });
    if header[..4] != MARK || length > PAYLOAD_MAX || of_note > NOTE_MAX {
        return Ok(Found::Broken);
    }
    let mut note = Vec::new();
    payload.clear();
    // What the header says may be damaged: no more than is usual is set aside before it is there.
    payload.reserve(length.min(KEPT));
    file.take(of_note as u64).read_to_end(&mut note)?;
    file.take(length as u64).read_to_end(&mut payload)?;
    let whole = note.len() == of_note && payload.len() == length && sum(&place, &note, &payload) == check;
    Ok(if whole { Found::Record { place, note, payload } } else { Found::Broken })
}

/// The same, where the record must have a position.
fn read_record_at(file: &mut impl Read, at: u64, payload: Vec<u8>) -> io::Result<Found> {
    Ok(match read_record(file, payload)? {
        Found::Record { place, .. } if place.at != at => Found::Broken,
        found => found,
    })
}

fn read_header(file: &mut impl Read) -> io::Result<bool> {
    let mut header = [0u8; HEADER as usize];
    match file.read_exact(&mut header) {
        Ok(()) => Ok(header.starts_with(MAGIC) && header[MAGIC.len()] == VERSION),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads a segment whole. `last`: of the last segment, up to where it has been read. Returns the position after its last record, and how
/// many bytes were cut off its end.
fn check(
    path: &Path,
    first: u64,
    last: Option<u64>,
    keys: &mut Keys,
    last_note: &mut Vec<u8>,
) -> Result<(u64, u64), WalError> {
    let io_error = |error| at(path, error);
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(io_error)?;
    let length = file.metadata().map_err(io_error)?.len();
    let mut reader = io::BufReader::with_capacity(1 << 20, &file);
    if !read_header(&mut reader).map_err(io_error)? {
        // A segment that was being made when the power went has no record.
        if last.is_some_and(|read| read <= first) && length < HEADER {
            drop(reader);
            std::fs::remove_file(path).map_err(io_error)?;
            return Ok((first, length));
        }
        return Err(WalError::Unknown(path.display().to_string()));
    }
    let (mut next, mut end, mut buffer) = (first, HEADER, Vec::new());
    loop {
        match read_record_at(&mut reader, next, std::mem::take(&mut buffer)).map_err(io_error)? {
            Found::Record { place, note, payload } => {
                keys.add(place.key, next);
                next += payload.len() as u64;
                end += (RECORD_HEADER + note.len() + payload.len()) as u64;
                if !note.is_empty() {
                    *last_note = note;
                }
                buffer = payload;
            }
            Found::End => return Ok((next, 0)),
            Found::Broken
                if last.is_some_and(|read| read <= next) && !is_followed(&file, end, next).map_err(io_error)? =>
            {
                drop(reader);
                file.set_len(end).and_then(|()| file.sync_all()).map_err(io_error)?;
                return Ok((next, length - end));
            }
            Found::Broken => return Err(WalError::Damaged(path.display().to_string(), next)),
        }
    }
}

/// Whether anything behind the broken record at byte `end`, whose position is `next`, was written after it had been synced.
fn is_followed(file: &File, end: u64, next: u64) -> io::Result<bool> {
    let mut file = file;
    file.seek(SeekFrom::Start(end))?;
    // A segment is at most as long as its size and one group.
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    for found in memchr::memmem::find_iter(&rest, &MARK) {
        if let Found::Record { place, .. } = read_record(&mut rest.get(found..).unwrap_or_default(), Vec::new())?
            && place.group > next
        {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Writer {
    folder: PathBuf,
    file: File,
    length: u64,
    next: u64,
    keys: Keys,
    /// The last note: each segment begins with it, so that it stays when those before are removed.
    note: Vec<u8>,
    /// For the next group.
    buffer: Vec<u8>,
    synced: Arc<Synced>,
    /// A write has failed: what the file holds is not known any more.
    broken: Option<Arc<io::Error>>,
    failure: Failure,
}

impl Writer {
    fn new(
        folder: &Path,
        open: Option<u64>,
        next: u64,
        (keys, note): (Keys, Vec<u8>),
        synced: Arc<Synced>,
        failure: Failure,
    ) -> Result<Writer, WalError> {
        let (file, length) = match open {
            Some(first) => {
                let path = segment(folder, first);
                let file = OpenOptions::new().append(true).open(&path).map_err(|error| at(&path, error))?;
                let length = file.metadata().map_err(|error| at(&path, error))?.len();
                (file, length)
            }
            None => (begin(folder, next).map_err(|error| at(folder, error))?, HEADER),
        };
        let (folder, buffer) = (folder.to_owned(), Vec::new());
        Ok(Writer { folder, file, length, next, keys, note, buffer, synced, broken: None, failure })
    }

    fn run(mut self, mut receiver: mpsc::Receiver<Handed>) {
        let (mut list, mut cuts) = (Vec::new(), Vec::new());
        while let Some(first) = receiver.blocking_recv() {
            let mut next = Some(first);
            while let Some(handed) = next.take() {
                match handed {
                    Handed::Payload(waiting) => list.push(waiting),
                    Handed::Cut(answer) => cuts.push(answer),
                }
                if list.len() < TOGETHER {
                    next = receiver.try_recv().ok();
                }
            }
            if !list.is_empty() {
                self.write(list.drain(..));
            }
            for answer in cuts.drain(..) {
                // Who asked may have gone.
                let _nobody_waits = answer.send(self.cut().map_err(|error| AppendError::Disk(Arc::new(error))));
            }
        }
    }

    /// Begins a segment, where the one that is written has records.
    fn cut(&mut self) -> io::Result<u64> {
        if self.length > HEADER {
            self.file = begin(&self.folder, self.next)?;
            self.length = HEADER;
        }
        Ok(self.next)
    }

    /// Writes payloads, syncs once, answers all.
    fn write(&mut self, list: impl Iterator<Item = Waiting>) {
        let mut bytes = std::mem::take(&mut self.buffer);
        bytes.clear();
        let mut answers = Vec::new();
        let group = self.next;
        let (mut next, mut new) = (group, Vec::new());
        let mut last_note = self.note.clone();
        for Waiting { key, note, payload, answer, _room } in list {
            if let Some(known) = self.keys.get(key) {
                answers.push((answer, Appended::Repeated(known)));
                continue;
            }
            if !note.is_empty() {
                last_note = note;
                put_record(&mut bytes, &Place { at: next, group, key }, &last_note, &payload);
            } else {
                let begins = bytes.is_empty() && (self.length >= SEGMENT_BYTES || self.length == HEADER);
                let note = if begins { last_note.as_slice() } else { b"" };
                put_record(&mut bytes, &Place { at: next, group, key }, note, &payload);
            }
            new.push(key);
            self.keys.add(key, next);
            answers.push((answer, Appended::Record(next)));
            next += payload.len() as u64;
        }
        let done = match &self.broken {
            Some(error) => Err(Arc::clone(error)),
            None => self.put(&bytes, next).map_err(Arc::new),
        };
        if bytes.capacity() <= KEPT {
            self.buffer = bytes;
        }
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = done.as_ref().err().cloned();
        if done.is_ok() {
            self.note = last_note;
        } else {
            new.iter().for_each(|key| self.keys.remove(*key));
        }
        for (answer, appended) in answers {
            let said = match &done {
                Ok(()) => Ok(appended),
                Err(error) => Err(AppendError::Disk(Arc::clone(error))),
            };
            // Who asked may have gone.
            let _nobody_waits = answer.send(said);
        }
    }

    fn put(&mut self, bytes: &[u8], next: u64) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if self.length >= SEGMENT_BYTES {
            self.file = begin(&self.folder, self.next)?;
            self.length = HEADER;
        }
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What came to disk of it was never answered. A full disk may have room again; where the file cannot even be cut
            // back, nobody knows what it holds, and nothing more is written.
            let undone = self.file.set_len(self.length).and_then(|()| self.file.sync_data());
            if let Err(undone) = undone {
                self.broken = Some(Arc::new(undone));
            }
            return Err(error);
        }
        self.length += bytes.len() as u64;
        self.next = next;
        self.synced.set(next);
        Ok(())
    }
}

/// Begins a segment; its name lasts when this returns.
fn begin(folder: &Path, first: u64) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(segment(folder, first))?;
    file.set_len(0)?;
    file.write_all(MAGIC)?;
    file.write_all(&[VERSION])?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// Reads synced records in order.
pub struct WalReader {
    folder: PathBuf,
    synced: Arc<Synced>,
    /// The segment that is being read. Nothing is read ahead: what is not synced yet may be cut off again, and stand there
    /// otherwise later.
    file: Option<File>,
    next: u64,
    repeats: Repeats,
    /// For the next payload.
    buffer: Vec<u8>,
}

impl WalReader {
    fn new(folder: &Path, first: u64, synced: Arc<Synced>) -> WalReader {
        let (folder, repeats) = (folder.to_owned(), Repeats::default());
        WalReader { folder, synced, file: None, next: first, repeats, buffer: Vec::new() }
    }

    /// Takes the buffer of a payload that is done with, for one to come.
    pub fn recycle(&mut self, payload: Vec<u8>) {
        if payload.capacity() <= KEPT {
            self.buffer = payload;
        }
    }

    /// Another reader of the same log, from the same record on.
    pub fn again(&self) -> WalReader {
        WalReader {
            folder: self.folder.clone(),
            synced: Arc::clone(&self.synced),
            file: None,
            next: self.next,
            repeats: Repeats::default(),
            buffer: Vec::new(),
        }
    }

    /// Bodies, and their lines, that were most likely sent again, among the records since this was last asked.
    pub fn take_repeats(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.repeats.bodies), std::mem::take(&mut self.repeats.lines))
    }

    /// Reads a log that another program may be writing, as far as it is whole now; nothing is changed.
    ///
    /// # Errors
    /// A log that cannot be read, or that is damaged before its end.
    pub fn of_whole(folder: &Path) -> Result<WalReader, WalError> {
        let all = segments(folder)?;
        let synced = Arc::new(Synced::default());
        let first = all.first().copied().unwrap_or(0);
        let mut next = first;
        for (number, begins) in all.iter().enumerate() {
            if *begins != next {
                return Err(WalError::Gap(segment(folder, *begins).display().to_string(), *begins, next));
            }
            let is_last = number + 1 == all.len();
            let path = segment(folder, *begins);
            let mut reader =
                io::BufReader::with_capacity(1 << 20, File::open(&path).map_err(|error| at(&path, error))?);
            if !read_header(&mut reader).map_err(|error| at(&path, error))? {
                if is_last {
                    break;
                }
                return Err(WalError::Unknown(path.display().to_string()));
            }
            let mut buffer = Vec::new();
            loop {
                match read_record_at(&mut reader, next, std::mem::take(&mut buffer))
                    .map_err(|error| at(&path, error))?
                {
                    Found::Record { payload, .. } => {
                        next += payload.len() as u64;
                        buffer = payload;
                    }
                    Found::End => break,
                    Found::Broken if is_last => break,
                    Found::Broken => return Err(WalError::Damaged(path.display().to_string(), next)),
                }
            }
        }
        synced.set(next);
        Ok(WalReader::new(folder, first, synced))
    }

    /// Goes on at a position at which a record begins, or that is the end.
    ///
    /// # Errors
    /// A log that has no record there, or that cannot be read.
    pub fn skip_to(&mut self, position: u64) -> Result<(), WalError> {
        let damaged = || WalError::Damaged(self.folder.display().to_string(), position);
        let first = segments(&self.folder)?.into_iter().rev().find(|first| *first <= position).ok_or_else(damaged)?;
        (self.file, self.next) = (None, first);
        while self.next < position {
            if self.next(Duration::ZERO)?.is_none() {
                break;
            }
        }
        // Those before are remembered, and were counted when they were read first.
        self.take_repeats();
        if self.next == position { Ok(()) } else { Err(WalError::Damaged(self.folder.display().to_string(), position)) }
    }

    /// Goes on in the segment behind which there are at most about so many bytes of payload.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn skip_near(&mut self, most: u64) -> Result<(), WalError> {
        let from = self.synced.get().saturating_sub(most);
        let all = segments(&self.folder)?;
        if let Some(first) = all.iter().copied().find(|first| *first >= from).or(all.last().copied()) {
            (self.file, self.next) = (None, first);
        }
        Ok(())
    }

    /// Position of the first record that is still there.
    pub fn first(&self) -> Result<u64, WalError> {
        Ok(segments(&self.folder)?.first().copied().unwrap_or(0))
    }

    /// Bytes that are synced and were not read yet.
    pub fn behind(&self) -> u64 {
        self.synced.get().saturating_sub(self.next)
    }

    /// All that is synced has been read.
    pub fn is_at_end(&self) -> bool {
        self.next >= self.synced.get()
    }

    /// The next record and its position; waits for it at most so long.
    ///
    /// # Errors
    /// A segment that cannot be read, or is damaged.
    pub fn next(&mut self, wait: Duration) -> Result<Option<(u64, Vec<u8>)>, WalError> {
        if self.is_at_end() {
            let end = self.synced.end.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self.synced.more.wait_timeout_while(end, wait, |end| *end <= self.next);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            if self.is_at_end() {
                return Ok(None);
            }
        }
        let (here, mut opened) = (self.next, false);
        loop {
            let Some(file) = &mut self.file else {
                // It goes on in the next segment.
                let path = segment(&self.folder, here);
                let mut file = File::open(&path).map_err(|error| at(&path, error))?;
                if !read_header(&mut file).map_err(|error| at(&path, error))? {
                    return Err(WalError::Unknown(path.display().to_string()));
                }
                self.file = Some(file);
                opened = true;
                continue;
            };
            let buffer = std::mem::take(&mut self.buffer);
            match read_record_at(file, here, buffer).map_err(|error| at(&self.folder, error))? {
                Found::Record { payload, place, .. } => {
                    self.next = here + payload.len() as u64;
                    self.synced.read.fetch_max(self.next, Ordering::AcqRel);
                    if place.key == 0 {
                        self.repeats.add(&payload);
                    }
                    return Ok(Some((here, payload)));
                }
                Found::End if !opened => self.file = None,
                Found::End | Found::Broken => return Err(WalError::Damaged(self.folder.display().to_string(), here)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
