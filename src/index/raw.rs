//! tantivy by itself, with the schema and the documents of an index: what a measurement stands beside.

use std::path::Path;

use tantivy::{IndexWriter, TantivyDocument};

use crate::index::IndexError;
use crate::index::committing::Committing;
use crate::index::document::{Maker, Told};
use crate::index::layout::Columns;
use crate::index::store::Part;

/// Bytes of lines that are compressed together.
const PLAIN_BLOCK: usize = 256 << 10;

/// Documents that are made first, and indexed then.
pub struct Raw {
    part: Part,
    writer: IndexWriter,
    maker: Maker,
    made: Vec<TantivyDocument>,
}

impl Raw {
    /// Begins in an empty folder.
    ///
    /// # Errors
    /// A folder that cannot be used.
    pub fn create(folder: &Path, columns: &Columns, memory: usize) -> Result<Raw, IndexError> {
        // Lines one by one, in blocks of the size that served lines best.
        let part = Part::create_with(folder.join("0"), 0, columns, PLAIN_BLOCK)?;
        let writer = Committing::plain(&part.index, memory)?;
        Ok(Raw { part, writer, maker: Maker::new(&columns.tables), made: Vec::new() })
    }

    /// Makes a document.
    pub fn make(&mut self, stream: &str, position: u64, line: &str, told: &Told<'_>) {
        let mut document = self.maker.document(&self.part.layout, stream, position, line, told);
        document.add_bytes(self.part.layout.line, line.as_bytes());
        self.made.push(document);
    }

    /// Indexes what was made.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn add(&mut self) -> Result<(), IndexError> {
        for document in self.made.drain(..) {
            self.writer.add_document(document)?;
        }
        Ok(())
    }

    /// Commits.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn commit(&mut self) -> Result<(), IndexError> {
        self.writer.commit()?;
        Ok(())
    }

    /// Waits for merges; bytes on disk.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn finish(self) -> Result<u64, IndexError> {
        self.writer.wait_merging_threads()?;
        Ok(self.part.bytes())
    }
}
