//! Puts folded chunks of one stream back in order: lateness, watermark, and windows that the stream has passed.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{NO_NAME, NameId, Names};
use crate::fold::clock_guard::ClockGuard;
use crate::fold::{FoldedChunk, JUMP, Segment};
use crate::sketch::partial::{Cell, LoosePartial, Tally, WindowPartial};
use crate::sketch::rows::InstanceRow;
use crate::time::Windowing;

/// A window that a stream's watermark has passed: nothing on time can follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// What the stream contributes to the window.
    pub partial: WindowPartial,
    /// Offset after the line that brought the watermark past the end of the window; the end of the stream for the rest.
    pub at: u64,
}

/// State of one stream between chunks.
#[derive(Debug)]
pub struct StreamFold {
    pub(super) windowing: Windowing,
    /// Greatest event time taken, `i64::MIN` before the first.
    pub(super) high: i64,
    pub(super) guard: ClockGuard,
    /// Windows that are still open.
    pub(super) open: BTreeMap<i64, OpenWindow>,
    pub(super) ended: bool,
}

/// What chunks have added to a window that is still open.
#[derive(Debug, Default)]
pub(super) struct OpenWindow {
    parts: Vec<LoosePartial>,
    /// Rows of all parts, and those that were left when they were last merged.
    pub(super) rows: usize,
    merged: usize,
}

/// Rows that come to a window before it is merged early: its memory follows distinct units, and not lines.
pub(super) const MERGE_EVERY: usize = 1 << 19;

impl OpenWindow {
    fn add(&mut self, partial: WindowPartial, names: &Arc<Names>) {
        self.rows += partial.len();
        self.parts.push(LoosePartial { partial, names: Arc::clone(names) });
        if self.rows >= self.merged.saturating_mul(2) + MERGE_EVERY {
            let window = self.parts.first().map_or(0, |part| part.partial.window);
            self.merge(window);
        }
    }

    fn merge(&mut self, window: i64) {
        let merged = LoosePartial::merge(window, std::mem::take(&mut self.parts));
        *self = OpenWindow::of(merged);
    }

    /// A window that holds a canonical partial.
    pub(super) fn of(merged: WindowPartial) -> OpenWindow {
        let rows = merged.len();
        OpenWindow { parts: vec![LoosePartial::of(merged)], rows, merged: rows }
    }

    /// All parts as one canonical partial.
    pub(super) fn merged(&mut self, window: i64) -> WindowPartial {
        let merged = LoosePartial::merge(window, std::mem::take(&mut self.parts));
        *self = OpenWindow::of(merged.clone());
        merged
    }
}

/// How a chunk must be folded again: line by line behind the guard.
#[derive(Clone, Debug)]
pub struct Refold {
    /// Greatest event time before the chunk.
    pub high: i64,
    /// The guard before the chunk.
    pub guard: ClockGuard,
}

impl StreamFold {
    /// A stream of which nothing has been read.
    pub fn new(windowing: Windowing) -> StreamFold {
        StreamFold { windowing, high: i64::MIN, guard: ClockGuard::default(), open: BTreeMap::new(), ended: false }
    }

    /// Oldest window that this stream can still add to; `i64::MAX` once it has ended.
    pub fn oldest_open(&self) -> i64 {
        if self.ended { i64::MAX } else { self.windowing.oldest_open(self.high) }
    }

    /// Moves the stream on to a window without a line of it: what comes later and lies before is late. `at`: the offset
    /// from which on. Returns the windows that are passed so.
    pub fn advance(&mut self, oldest_open: i64, at: u64) -> Vec<Passed> {
        let mut passed = Vec::new();
        if oldest_open > self.oldest_open() && oldest_open < i64::MAX {
            self.high = self.windowing.start_of(oldest_open).0.saturating_add(self.windowing.lateness);
            self.pass(self.oldest_open(), at, &mut passed);
        }
        passed
    }

    /// Lines that were counted in windows which are still open here.
    pub fn waiting_records(&self) -> u64 {
        self.open.values().flat_map(|open| &open.parts).map(|part| part.partial.tally.records).sum()
    }

    /// Offsets of lines whose clock is not believed yet: they may still become rejects.
    pub fn held(&self) -> impl Iterator<Item = u64> + '_ {
        self.guard.offsets()
    }

    /// Greatest time of those lines, and the greatest that was taken (`i64::MIN` before the first).
    pub fn held_until(&self) -> (Option<i64>, i64) {
        (self.guard.until(), self.high)
    }

    /// Takes the lines whose clock was not believed so far; returns the windows that the stream has passed so.
    ///
    /// `fold` folds them: those of the guard, behind the time to which the stream has come.
    pub fn believe(&mut self, fold: impl FnOnce(Refold) -> FoldedChunk) -> Vec<Passed> {
        let chunk = fold(Refold { high: self.high, guard: self.guard.clone() });
        self.merge(chunk, None)
    }

    /// Takes the next chunk in order; returns the windows that the stream has passed, ascending.
    ///
    /// `refold` folds the same chunk again with the given state; it is called when the clock guard must look at it.
    /// `end`: offset of the end of the stream, when this is its last chunk.
    pub fn push(
        &mut self,
        chunk: FoldedChunk,
        end: Option<u64>,
        refold: impl FnOnce(Refold) -> FoldedChunk,
    ) -> Vec<Passed> {
        let needs_guard = !self.guard.is_idle()
            || chunk.jumped
            || chunk.first.is_some_and(|first| {
                self.high == i64::MIN || first > self.high.saturating_add(JUMP - self.windowing.lateness)
            });
        let chunk = if chunk.exact || !needs_guard {
            chunk
        } else {
            refold(Refold { high: self.high, guard: self.guard.clone() })
        };
        self.merge(chunk, end)
    }

    fn merge(&mut self, chunk: FoldedChunk, end: Option<u64>) -> Vec<Passed> {
        let FoldedChunk { windows, segments, high, guard, exact, names, .. } = chunk;
        if let Some(guard) = guard {
            self.guard = guard;
        }
        let open_before = self.windowing.oldest_open(self.high);
        // Windows that had closed before the chunk: on time among themselves, late in the stream. Their lines were read
        // while the chunk's own watermark stood before `open_before`, so that is where they arrived.
        let mut late_lines = 0;
        for partial in windows {
            if partial.window >= open_before || exact {
                self.open.entry(partial.window).or_default().add(partial, &names);
                continue;
            }
            let mut late = WindowPartial::new(open_before);
            for (service, arm, cell) in &partial.cells {
                late.cells.push((*service, *arm, Cell { late: cell.lines, ..Cell::default() }));
                late_lines += cell.lines;
            }
            for row in partial.instances.iter().filter(|row| row.instance != NO_NAME) {
                late.instances.add(late_lines_of(row.service, row.arm, row.instance, row.lines));
            }
            self.open.entry(open_before).or_default().add(late, &names);
        }
        let mut passed = Vec::new();
        let mut open = open_before;
        for mut segment in segments {
            if segment.open > open {
                self.pass(segment.open, segment.from, &mut passed);
                open = segment.open;
            } else {
                let moved = late_lines.min(segment.tally.on_time);
                segment.tally.on_time -= moved;
                segment.tally.late += moved;
                late_lines -= moved;
            }
            self.arrive(open, segment, &names);
        }
        self.high = self.high.max(high);
        if let Some(end) = end {
            self.ended = true;
            self.pass(i64::MAX, end, &mut passed);
        }
        passed
    }

    /// Hands on every open window before `before`.
    fn pass(&mut self, before: i64, at: u64, passed: &mut Vec<Passed>) {
        let rest = if before == i64::MAX { BTreeMap::new() } else { self.open.split_off(&before) };
        for (window, of) in std::mem::replace(&mut self.open, rest) {
            let partial = LoosePartial::merge(window, of.parts);
            debug_assert!(partial.tally.balances(), "EV-2");
            passed.push(Passed { partial, at });
        }
    }

    /// Counts records in the window that was oldest and open when they were read. Records before the first event count
    /// in a window of their own, `i64::MIN`, which is passed first.
    fn arrive(&mut self, open: i64, segment: Segment, names: &Arc<Names>) {
        if segment.tally == Tally::default() {
            return;
        }
        let mut partial = WindowPartial::new(open);
        partial.tally = segment.tally;
        for ((service, arm, instance), late) in segment.late {
            // In order of service and arm.
            match partial.cells.last_mut().filter(|(s, a, _)| (*s, *a) == (service, arm)) {
                Some((_, _, cell)) => cell.late += late,
                None => partial.cells.push((service, arm, Cell { late, ..Cell::default() })),
            }
            if instance != NO_NAME {
                partial.instances.add(late_lines_of(service, arm, instance, late));
            }
        }
        for (arm, damaged) in segment.damaged {
            partial.cells.push((NO_NAME, arm, Cell { damaged, ..Cell::default() }));
        }
        self.open.entry(open).or_default().add(partial, names);
    }
}

/// Late lines of an instance, counted where they arrived.
fn late_lines_of(service: NameId, arm: NameId, instance: NameId, late: u64) -> InstanceRow {
    InstanceRow { late, ..InstanceRow::new(service, arm, instance) }
}
