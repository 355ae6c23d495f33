//! The one way to commit: with positions.

use tantivy::indexer::IndexWriterOptions;
use tantivy::merge_policy::LogMergePolicy;
use tantivy::{Index, IndexWriter, TantivyDocument, TantivyError};

use crate::index::positions::Positions;

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
    writer: IndexWriter,
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
    pub(super) fn open(index: &Index, memory: usize) -> Result<Committing, TantivyError> {
        // One thread that indexes and one that merges: the other core is for those who answer.
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .memory_budget_per_thread(memory)
            .num_merge_threads(1)
            .build();
        let writer: IndexWriter = index.writer_with_options(options)?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_layer_size(SMALL_SEGMENT);
        policy.set_min_num_segments(MERGED);
        writer.set_merge_policy(Box::new(policy));
        Ok(Committing { writer })
    }

    /// Adds a document. It waits where those before it have not been taken in yet.
    ///
    /// # Errors
    /// A writer that has died, of a full disk for instance.
    pub(super) fn add(&mut self, document: TantivyDocument) -> Result<(), TantivyError> {
        self.writer.add_document(document).map(|_| ())
    }

    /// Makes everything last that was added, with the positions of streams behind it.
    ///
    /// # Errors
    /// A disk that refuses. What was added since the last commit is then in no index.
    pub fn commit(&mut self, positions: &Positions) -> Result<(), TantivyError> {
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
