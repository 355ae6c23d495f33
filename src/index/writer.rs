//! Adding lines: which part they go to, when parts begin, and when old ones go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::index::IndexError;
use crate::index::committing::Committing;
use crate::index::document::{Maker, Told};
use crate::index::layout::Columns;
use crate::index::positions::Positions;
use crate::index::store::{Index, Part};
use crate::time::{HOUR, Micros};

/// How an index is cut and kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Stretch of event time of a part.
    pub span: Micros,
    /// Lines of a part.
    pub lines_max: u64,
    /// How long a part is kept after its last line came.
    pub keep: Duration,
    /// Bytes on disk that are kept.
    pub keep_bytes: u64,
    /// Bytes of memory of the thread that indexes.
    pub memory: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            span: HOUR,
            lines_max: 20_000_000,
            keep: Duration::from_secs(7 * 86_400),
            keep_bytes: 50 << 30,
            memory: 128 << 20,
        }
    }
}

/// The part that lines are added to.
struct Open {
    part: Arc<Part>,
    writer: Committing,
    lines: u64,
    /// Number of the stretch that most lines of its first commit lay in: one wrong clock decides nothing.
    stretch: Option<i64>,
}

/// Stretches of event time that are counted between two commits.
const STRETCHES_MAX: usize = 64;

/// Adds lines to an index.
pub struct Writer {
    index: Arc<Index>,
    settings: Settings,
    columns: Columns,
    maker: Maker,
    open: Option<Open>,
    positions: Positions,
    /// Positions of the last commit.
    committed: Positions,
    /// Lines of each stretch since the last commit.
    stretches: BTreeMap<i64, u64>,
    /// Closed parts whose merges are still under way.
    closing: Vec<std::thread::JoinHandle<()>>,
}

impl Writer {
    /// Goes on where the newest commit ends. `columns`: of parts that begin from now on.
    ///
    /// # Errors
    /// A part that another program writes, or that cannot be read.
    pub fn open(index: Arc<Index>, settings: Settings, columns: Columns) -> Result<Writer, IndexError> {
        let positions = index.positions()?;
        let mut open = None;
        if let Some(part) = index.parts().last() {
            let writer = Committing::open(&part.index, &part.layout, settings.memory)?;
            part.reader.reload()?;
            open = Some(Open { part: Arc::clone(part), writer, lines: part.lines(), stretch: None });
        }
        let mut writer = Writer {
            index,
            settings,
            maker: Maker::new(&columns.tables),
            columns,
            open,
            committed: positions.clone(),
            positions,
            stretches: BTreeMap::new(),
            closing: Vec::new(),
        };
        // What is not of these columns is closed: a part has one schema.
        if writer.open.as_ref().is_some_and(|open| open.part.columns() != writer.columns) {
            writer.close()?;
        }
        Ok(writer)
    }

    /// Where a stream goes on.
    pub fn next(&self, stream: &str) -> u64 {
        self.positions.next(stream)
    }

    /// Where all streams go on.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Adds a line. False: it is there already.
    ///
    /// # Errors
    /// A disk that refuses; the writer is then of no use, and the next one goes on from the last commit.
    pub fn add(&mut self, stream: &str, position: u64, line: &str, told: &Told<'_>) -> Result<bool, IndexError> {
        if position < self.positions.next(stream) {
            return Ok(false);
        }
        let stretch = told.time.0.div_euclid(self.settings.span.max(1));
        self.begin()?;
        let Some(open) = &mut self.open else { return Ok(false) };
        let document = self.maker.document(&open.part.layout, stream, position, line, told);
        open.writer.add(document, line)?;
        open.lines += 1;
        if self.stretches.len() < STRETCHES_MAX || self.stretches.contains_key(&stretch) {
            *self.stretches.entry(stretch).or_default() += 1;
        }
        self.positions.reach(stream, position + 1);
        Ok(true)
    }

    /// Opens a part where none is open.
    fn begin(&mut self) -> Result<(), IndexError> {
        if self.open.is_none() {
            let number = self.index.parts().last().map_or(0, |part| part.number + 1);
            let part = Arc::new(Part::create(self.index.folder(), number, &self.columns)?);
            let writer = Committing::open(&part.index, &part.layout, self.settings.memory)?;
            self.index.push(Arc::clone(&part));
            self.maker.anew();
            self.open = Some(Open { part, writer, lines: 0, stretch: None });
        }
        Ok(())
    }

    /// A stream was read up to a position, behind its last line.
    pub fn reach(&mut self, stream: &str, next: u64) {
        self.positions.reach(stream, next);
    }

    /// Makes everything last and be found that was added.
    ///
    /// # Errors
    /// A disk that refuses; the writer is then of no use, and the next one goes on from the last commit.
    pub fn commit(&mut self) -> Result<(), IndexError> {
        if self.positions == self.committed {
            return Ok(());
        }
        // Where rules leave every line out, how far streams were read lasts all the same.
        self.begin()?;
        if let Some(open) = &mut self.open {
            open.writer.commit(&self.positions)?;
            open.part.reader.reload()?;
            self.committed = self.positions.clone();
            let most = self.stretches.iter().max_by_key(|(_, lines)| **lines).map(|(stretch, _)| *stretch);
            self.stretches.clear();
            let began = most.map(|most| *open.stretch.get_or_insert(most));
            let is_over = most.is_some_and(|most| began.is_some_and(|began| most > began))
                || open.lines >= self.settings.lines_max;
            if is_over {
                self.close()?;
                self.retire();
            }
        }
        Ok(())
    }

    /// Closes the part that is open, and waits for merges: nobody writes any part then.
    pub(super) fn rest(&mut self) -> Result<(), IndexError> {
        self.commit()?;
        self.close()?;
        for closing in self.closing.drain(..) {
            // It says nothing that would matter here.
            let _ended = closing.join();
        }
        Ok(())
    }

    /// The index, and bytes of memory for writing.
    pub(super) fn index(&self) -> (&Index, usize) {
        (&self.index, self.settings.memory)
    }

    /// Closes the part that is open; what was added must have been committed.
    fn close(&mut self) -> Result<(), IndexError> {
        if let Some(open) = self.open.take() {
            self.closing.retain(|closing| !closing.is_finished());
            let part = open.part;
            self.closing.push(std::thread::spawn(move || {
                // A merge that fails leaves the segments that it would have merged.
                let _stays_as_it_is = open.writer.close();
                let _old_segments_serve = part.reader.reload();
            }));
        }
        Ok(())
    }

    /// Removes parts that are too old, or beyond the size.
    fn retire(&mut self) {
        loop {
            let parts = self.index.parts();
            let Some(oldest) = parts.first() else { return };
            let is_old = oldest.age().is_some_and(|age| age > self.settings.keep);
            if !is_old && self.index.bytes() <= self.settings.keep_bytes {
                return;
            }
            let Some(part) = self.index.remove_oldest() else { return };
            // Files that a search still reads go when it ends.
            let _removed_later = std::fs::remove_dir_all(&part.folder);
        }
    }

    /// Commits, and waits for merges.
    ///
    /// # Errors
    /// A disk that refuses.
    pub fn finish(mut self) -> Result<(), IndexError> {
        self.rest()
    }
}
