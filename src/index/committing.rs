//! The one way to commit: with positions.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tantivy::indexer::{IndexWriterOptions, UserOperation};
use tantivy::merge_policy::LogMergePolicy;
use tantivy::schema::{Document, Field};
use tantivy::{Index, IndexWriter, TantivyDocument, TantivyError};

use crate::index::layout::Layout;
use crate::index::lines::{self, GROUP_BYTES, GROUP_LINES};
use crate::index::positions::Positions;

/// Groups that wait for the thread that indexes.
const WAITING: usize = 4;
/// How long is waited for it at most: then it has died.
const PATIENCE: Duration = Duration::from_secs(60);

/// Places of groups that wait.
#[derive(Default)]
struct Room {
    waiting: Mutex<usize>,
    fewer: Condvar,
}

/// A place, until the thread that indexes takes what stands there.
struct Place(Arc<Room>);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.fewer.notify_one();
    }
}

impl Room {
    /// Waits for a place.
    fn place(room: &Arc<Room>) -> Result<Place, TantivyError> {
        let waiting = room.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = room.fewer.wait_timeout_while(waiting, PATIENCE, |waiting| *waiting >= WAITING);
        let (mut waiting, late) = waited.unwrap_or_else(PoisonError::into_inner);
        if late.timed_out() {
            return Err(TantivyError::SystemError("the thread that indexes takes nothing".to_owned()));
        }
        *waiting += 1;
        Ok(Place(Arc::clone(room)))
    }
}

/// A document that may hold a place while it waits.
struct Held {
    document: TantivyDocument,
    _place: Option<Place>,
}

impl Document for Held {
    type Value<'a> = <TantivyDocument as Document>::Value<'a>;
    type FieldsValuesIter<'a> = <TantivyDocument as Document>::FieldsValuesIter<'a>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        self.document.iter_fields_and_values()
    }

    fn into_tantivy_document(self) -> TantivyDocument {
        self.document
    }
}

/// Writes documents; a commit makes them last together with the positions of streams, in one step.
///
/// The writer inside is out of reach, so there is no commit without positions:
///
/// ```compile_fail
/// fn commits(mut writer: serin::index::Committing) {
///     writer.commit();
/// }
/// ```
///
/// ```
/// fn commits(mut writer: serin::index::Committing, positions: &serin::index::Positions) {
///     let _done = writer.commit(positions);
/// }
/// ```
pub struct Committing {
    writer: IndexWriter<Held>,
    /// Documents of the group that is being filled, and their lines.
    group: Vec<TantivyDocument>,
    lines: Vec<String>,
    bytes: usize,
    /// Fields of the lines of a group, and of a line's number in it.
    line: Field,
    in_group: Field,
    room: Arc<Room>,
}

/// Segments of at most so many lines are merged with each other as if they were of one size: commits come every second.
const SMALL_SEGMENT: u32 = 50_000;
/// Segments of one size that are merged.
const MERGED: usize = 8;

impl Committing {
    /// Writes an index, which nobody else may write meanwhile.
    ///
    /// # Errors
    /// Another writer, or a folder that cannot be used.
    pub(super) fn open(index: &Index, layout: &Layout, memory: usize) -> Result<Committing, TantivyError> {
        let writer: IndexWriter<Held> = Committing::of(index, memory)?;
        Ok(Committing {
            writer,
            group: Vec::new(),
            lines: Vec::new(),
            bytes: 0,
            line: layout.line,
            in_group: layout.in_group,
            room: Arc::default(),
        })
    }

    /// tantivy's own, for whoever measures it by itself.
    pub(super) fn plain(index: &Index, memory: usize) -> Result<IndexWriter, TantivyError> {
        Committing::of(index, memory)
    }

    fn of<D: Document>(index: &Index, memory: usize) -> Result<IndexWriter<D>, TantivyError> {
        // One thread that indexes and one that merges: the other core is for those who answer.
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .memory_budget_per_thread(memory)
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter<D> = index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_layer_size(SMALL_SEGMENT);
        policy.set_min_num_segments(MERGED);
        writer.set_merge_policy(Box::new(policy));
        Ok(writer)
    }

    /// Adds a document with its line. It waits where many of those before have not been taken in yet.
    ///
    /// # Errors
    /// A writer that has died, of a full disk for instance.
    pub(super) fn add(&mut self, document: TantivyDocument, line: &str) -> Result<(), TantivyError> {
        if !self.lines.is_empty() && self.bytes + line.len() > GROUP_BYTES {
            self.put_group()?;
        }
        self.group.push(document);
        self.lines.push(line.to_owned());
        self.bytes += line.len();
        if self.lines.len() >= GROUP_LINES { self.put_group() } else { Ok(()) }
    }

    /// Hands a group over, as one: it comes to lie in one segment, in its order, and merges keep both.
    fn put_group(&mut self) -> Result<(), TantivyError> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let packed = lines::pack(self.lines.iter().map(String::as_str))
            .map_err(|error| TantivyError::IoError(Arc::new(io::Error::other(error))))?;
        let mut place = Some(Room::place(&self.room)?);
        let mut operations = Vec::with_capacity(self.group.len());
        for (number, mut document) in self.group.drain(..).enumerate() {
            document.add_u64(self.in_group, number as u64);
            if number == 0 {
                document.add_bytes(self.line, &packed);
            }
            operations.push(UserOperation::Add(Held { document, _place: place.take() }));
        }
        self.lines.clear();
        self.bytes = 0;
        self.writer.run(operations).map(|_| ())
    }

    /// Makes everything last that was added, with the positions of streams behind it.
    ///
    /// # Errors
    /// A disk that refuses. What was added since the last commit is then in no index.
    pub fn commit(&mut self, positions: &Positions) -> Result<(), TantivyError> {
        self.put_group()?;
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&positions.to_payload());
        prepared.commit().map(|_| ())
    }

    /// Waits for merges that are under way; then nothing more is written.
    ///
    /// # Errors
    /// A merge that failed.
    pub(super) fn close(self) -> Result<(), TantivyError> {
        self.writer.wait_merging_threads()
    }
}
