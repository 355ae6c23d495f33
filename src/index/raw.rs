//! tantivy by itself, with the schema and the documents of an index: what a measurement stands beside.

use std::path::Path;

use tantivy::TantivyDocument;

use crate::index::IndexError;
use crate::index::committing::Committing;
use crate::index::document::{Maker, Told};
use crate::index::layout::Columns;
use crate::index::positions::Positions;
use crate::index::store::Part;

/// Documents that are made first, and indexed then.
pub struct Raw {
    part: Part,
    writer: Committing,
    maker: Maker,
    made: Vec<TantivyDocument>,
}

impl Raw {
    /// Begins in an empty folder.
    ///
    /// # Errors
    /// A folder that cannot be used.
    pub fn create(folder: &Path, columns: &Columns, memory: usize) -> Result<Raw, IndexError> {
        let part = Part::create(folder, 0, columns)?;
        let writer = Committing::open(&part.index, memory)?;
        Ok(Raw { part, writer, maker: Maker::new(), made: Vec::new() })
    }

    /// Makes a document.
    pub fn make(&mut self, stream: &str, position: u64, line: &str, told: &Told<'_>) {
        self.made.push(self.maker.document(&self.part.layout, stream, position, line, told));
    }

    /// Indexes what was made.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn add(&mut self) -> Result<(), IndexError> {
        for document in self.made.drain(..) {
            self.writer.add(document)?;
        }
        Ok(())
    }

    /// Commits.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn commit(&mut self) -> Result<(), IndexError> {
        Ok(self.writer.commit(&Positions::default())?)
    }

    /// Waits for merges; bytes on disk.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn finish(self) -> Result<u64, IndexError> {
        self.writer.close()?;
        Ok(self.part.bytes())
    }
}
