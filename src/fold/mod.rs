//! Event-time windows: events of one stream, in order, become [`WindowPartial`]s.
//!
//! A stream may be folded in chunks on any number of threads ([`ChunkFold`]); [`StreamFold`] puts the chunks back in
//! order and decides lateness, so that the result depends on the stream alone (WN-1). The trick: within a chunk, all
//! lines of one window that are on time among themselves share their fate, which depends only on how far the stream
//! had come before the chunk.
//!
//! This module knows nothing about arms, tests or verdicts.

mod clock_guard;
mod instances;
mod saved;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{Event, Intern, NO_NAME, NO_TEMPLATE, NameId, Names, RejectReason};
use crate::fold::instances::InstanceCounts;
use crate::sketch::partial::{Keep, Tally, WindowPartial};
use crate::sketch::templates::TemplateCounts;
use crate::time::{MINUTE, Micros, Windowing};

pub use clock_guard::{AGREEING_LINES, ClockGuard, HeldEvent};
pub use stream::{Passed, Refold, StreamFold};

/// A line this far ahead of its stream's watermark is held back until other lines agree.
pub const JUMP: Micros = 5 * MINUTE;

/// What one chunk of a stream contributes, before it is known how far the stream had come.
#[derive(Debug)]
pub struct FoldedChunk {
    /// What the chunk adds to the windows that it touched, ascending; loose, with the names of the chunk.
    windows: Vec<WindowPartial>,
    /// Records by where the chunk's own watermark stood when they were read.
    segments: Vec<Segment>,
    /// Greatest event time, `i64::MIN` without events.
    high: i64,
    /// Time of the first event.
    first: Option<i64>,
    /// An event jumped ahead of the events before it: the clock guard must see the chunk line by line.
    jumped: bool,
    /// The guard's state, when the chunk was folded with it.
    guard: Option<ClockGuard>,
    /// The chunk was folded with the stream's state before it, so nothing is left to decide.
    exact: bool,
    /// Names that windows and `late` lists refer to.
    names: Arc<Names>,
    /// Offsets of lines that the guard gave up: of this chunk, or held since an earlier one.
    pub quarantined: Vec<u64>,
    /// Fields that nobody reads and that might matter, with the lines of the chunk that have them. Told by whoever decoded it.
    pub unread: BTreeMap<String, u64>,
}

impl FoldedChunk {
    /// Lines that were rejected for a reason.
    pub fn rejected(&self, reason: RejectReason) -> u64 {
        self.segments.iter().filter_map(|segment| segment.tally.rejects.get(reason as usize)).sum()
    }

    /// Arms that lines of the chunk name.
    pub fn arms(&self) -> &[String] {
        &self.names.arms
    }
}

/// Records between two steps of the chunk's own watermark.
#[derive(Clone, Debug)]
struct Segment {
    /// Oldest open window while these records were read.
    open: i64,
    /// Offset after the line that brought the watermark here.
    from: u64,
    tally: Tally,
    /// Late lines by (service, arm, instance).
    late: BTreeMap<(NameId, NameId, NameId), u64>,
    /// Lines that could not be read, by the arm that their text names.
    damaged: BTreeMap<NameId, u64>,
}

impl Segment {
    fn new(open: i64, from: u64) -> Segment {
        Segment { open, from, tally: Tally::default(), late: BTreeMap::new(), damaged: BTreeMap::new() }
    }
}

/// Folds a chunk of one stream.
#[derive(Debug)]
pub struct ChunkFold<'w> {
    windowing: &'w Windowing,
    stream: &'w str,
    stream_hash: u64,
    windows: Vec<OpenWindow>,
    /// Index of the window that was used last: neighbours in a log are neighbours in time.
    last: usize,
    /// (service, arm) to cell, the same in every window of this chunk.
    cells: CellIndex,
    segments: Vec<Segment>,
    high: i64,
    first: Option<i64>,
    jumped: bool,
    guard: Option<ClockGuard>,
    quarantined: Vec<u64>,
}

#[derive(Debug)]
struct OpenWindow {
    window: i64,
    start: i64,
    partial: WindowPartial,
    /// Place in the partial of each (service, arm) of the chunk: a window has only its own cells, however many the chunk has.
    places: Vec<u32>,
    keeps: Vec<Keep>,
    instances: InstanceCounts,
    templates: TemplateCounts,
}

impl OpenWindow {
    /// Place of the cell with this number in the chunk.
    #[inline]
    fn place(&mut self, cell: usize, keys: &[(NameId, NameId)]) -> usize {
        match self.places.get(cell) {
            Some(place) if *place != CellIndex::NONE => *place as usize,
            _ => self.add_cell(cell, keys),
        }
    }

    #[cold]
    fn add_cell(&mut self, cell: usize, keys: &[(NameId, NameId)]) -> usize {
        let place = self.keeps.len();
        if let Some((service, arm)) = keys.get(cell) {
            if self.places.len() <= cell {
                self.places.resize(keys.len(), CellIndex::NONE);
            }
            self.places[cell] = place as u32;
            self.partial.cells.push((*service, *arm, Default::default()));
            self.keeps.push(Keep::default());
        }
        place
    }
}

/// Dense numbering of (service, arm).
#[derive(Debug, Default)]
struct CellIndex {
    keys: Vec<(NameId, NameId)>,
    /// One row per service, one column per arm (column 0: no arm).
    table: Vec<Vec<u32>>,
}

impl CellIndex {
    const NONE: u32 = u32::MAX;

    #[inline]
    fn of(&mut self, service: NameId, arm: NameId) -> usize {
        let column = usize::from(arm.wrapping_add(1));
        if let Some(&id) = self.table.get(usize::from(service)).and_then(|row| row.get(column))
            && id != Self::NONE
        {
            return id as usize;
        }
        self.add(service, arm, column)
    }

    fn add(&mut self, service: NameId, arm: NameId, column: usize) -> usize {
        let row = usize::from(service);
        if self.table.len() <= row {
            self.table.resize(row + 1, Vec::new());
        }
        if self.table[row].len() <= column {
            self.table[row].resize(column + 1, Self::NONE);
        }
        let id = self.keys.len();
        self.table[row][column] = id as u32;
        self.keys.push((service, arm));
        id
    }
}

impl<'w> ChunkFold<'w> {
    /// Folds a chunk whose stream has come an unknown way. `from`: offset of its first line.
    pub fn new(windowing: &'w Windowing, stream: &'w str, from: u64) -> ChunkFold<'w> {
        ChunkFold {
            windowing,
            stream,
            stream_hash: crate::event::identity_hash(stream.as_bytes()),
            windows: Vec::new(),
            last: 0,
            cells: CellIndex::default(),
            segments: vec![Segment::new(i64::MIN, from)],
            high: i64::MIN,
            first: None,
            jumped: false,
            guard: None,
            quarantined: Vec::new(),
        }
    }

    /// Folds a chunk line by line behind the stream's clock guard; `high`: greatest event time so far.
    pub fn with_guard(
        windowing: &'w Windowing,
        stream: &'w str,
        from: u64,
        high: i64,
        guard: ClockGuard,
    ) -> ChunkFold<'w> {
        let mut fold = ChunkFold::new(windowing, stream, from);
        fold.high = high;
        fold.segments = vec![Segment::new(windowing.oldest_open(high), from)];
        fold.guard = Some(guard);
        fold
    }

    /// Counts a line that could not become an event.
    pub fn reject(&mut self, reason: RejectReason) {
        let tally = &mut self.segment().tally;
        tally.records += 1;
        tally.reject(reason);
    }

    /// Counts a line that could not become an event, and whose text names an arm all the same.
    pub fn reject_of_arm(&mut self, reason: RejectReason, arm: NameId) {
        self.reject(reason);
        *self.segment().damaged.entry(arm).or_default() += 1;
    }

    /// Counts an event that was asked to be left out.
    pub fn outside(&mut self) {
        let tally = &mut self.segment().tally;
        tally.records += 1;
        tally.events += 1;
        tally.outside += 1;
    }

    /// Takes an event; `after`: offset after its line; `names`: what it refers to.
    #[inline]
    pub fn event(&mut self, event: &Event, after: u64, names: &mut impl Intern) {
        if self.guard.is_some() {
            return self.guarded(event, after, names);
        }
        let time = event.time.0;
        match self.first {
            None => self.first = Some(time),
            Some(_) => self.jumped |= time > self.high.saturating_add(JUMP - self.windowing.lateness),
        }
        self.accept(event, after);
    }

    #[cold]
    fn guarded(&mut self, event: &Event, after: u64, names: &mut impl Intern) {
        let Some(mut guard) = self.guard.take() else { return };
        let held = HeldEvent::new(event, after, names);
        let watermark = if self.high == i64::MIN { i64::MIN } else { self.high - self.windowing.lateness };
        let released = guard.offer(held, watermark);
        self.quarantine(released.quarantined);
        for held in released.accepted {
            let event = held.intern(names);
            self.accept(&event, held.after);
        }
        self.guard = Some(guard);
    }

    /// The stream ends here: lines that the guard still holds are judged by those that agree.
    fn end_of_stream(&mut self, names: &mut impl Intern) {
        let Some(mut guard) = self.guard.take() else { return };
        let released = guard.end(self.high);
        self.quarantine(released.quarantined);
        for held in released.accepted {
            let event = held.intern(names);
            self.accept(&event, held.after);
        }
        self.guard = Some(guard);
    }

    /// Takes all lines that the guard holds.
    pub fn believe(&mut self, names: &mut impl Intern) {
        for held in self.guard.as_mut().map(ClockGuard::believe).unwrap_or_default() {
            let event = held.intern(names);
            self.accept(&event, held.after);
        }
    }

    fn quarantine(&mut self, offsets: Vec<u64>) {
        offsets.iter().for_each(|_| self.reject(RejectReason::Quarantined));
        self.quarantined.extend(offsets);
    }

    #[inline]
    fn segment(&mut self) -> &mut Segment {
        if self.segments.is_empty() {
            self.segments.push(Segment::new(i64::MIN, 0));
        }
        let at = self.segments.len() - 1;
        &mut self.segments[at]
    }

    #[inline]
    fn accept(&mut self, event: &Event, after: u64) {
        let windowing = self.windowing;
        let segment = self.segment();
        segment.tally.records += 1;
        segment.tally.events += 1;
        let open = segment.open;
        if windowing.outside(event.time) {
            segment.tally.outside += 1;
        } else {
            let time = event.time.0;
            let cached = self.windows.get(self.last).filter(|w| time >= w.start && time < w.start + windowing.window);
            let window = match cached {
                Some(open) => open.window,
                None => windowing.window_of(event.time),
            };
            if window < open {
                let segment = self.segment();
                segment.tally.late += 1;
                *segment.late.entry((event.service, event.arm, event.instance)).or_default() += 1;
            } else {
                self.segment().tally.on_time += 1;
                self.count(event, window);
            }
        }
        if event.time.0 > self.high {
            self.high = event.time.0;
            let open_now = windowing.oldest_open(self.high);
            if open_now > open {
                self.segments.push(Segment::new(open_now, after));
            }
        }
    }

    #[inline]
    fn count(&mut self, event: &Event, window: i64) {
        if self.windows.get(self.last).is_none_or(|w| w.window != window) {
            self.last = match self.windows.iter().rposition(|w| w.window == window) {
                Some(at) => at,
                None => self.open(window),
            };
        }
        let cell = self.cells.of(event.service, event.arm);
        let Some(open) = self.windows.get_mut(self.last) else { return };
        let cell = open.place(cell, &self.cells.keys);
        if event.instance != NO_NAME || event.warns_for_arm() {
            open.instances.count(cell, event);
        }
        let offset = (event.time.0 - open.start) as u32;
        if event.template != NO_TEMPLATE {
            open.templates.count(event, offset, self.stream_hash);
        }
        open.partial.count(cell, event, offset, self.stream_hash, &mut open.keeps[cell]);
    }

    fn open(&mut self, window: i64) -> usize {
        let mut partial = WindowPartial::new(window);
        partial.pair_range = u64::MAX >> self.windowing.pair_bits.min(63);
        partial.call_range = u64::MAX >> self.windowing.pair_bits.min(63);
        partial.trace_range = u64::MAX >> self.windowing.trace_bits.min(63);
        let start = self.windowing.start_of(window).0;
        self.windows.push(OpenWindow {
            window,
            start,
            partial,
            places: Vec::new(),
            keeps: Vec::new(),
            instances: InstanceCounts::default(),
            templates: TemplateCounts::new(self.windowing.pair_bits),
        });
        self.windows.len() - 1
    }

    /// Hands on what was counted. `last`: the stream ends with this chunk.
    pub fn finish(mut self, names: &mut impl Intern, last: bool) -> FoldedChunk {
        if last {
            self.end_of_stream(names);
        }
        let mut windows: Vec<WindowPartial> = self
            .windows
            .drain(..)
            .map(|mut open| {
                let mut partial = open.partial;
                open.keeps.iter_mut().for_each(|keep| partial.take_evidence(keep));
                partial.instances = open.instances.take();
                (partial.templates, partial.template_pairs) = open.templates.take();
                partial.streams = vec![self.stream.to_owned()];
                partial
            })
            .collect();
        windows.sort_by_key(|partial| partial.window);
        FoldedChunk {
            windows,
            exact: self.guard.is_some(),
            segments: self.segments,
            high: self.high,
            first: self.first,
            jumped: self.jumped,
            guard: self.guard,
            quarantined: self.quarantined,
            unread: BTreeMap::new(),
            names: names.shared(),
        }
    }
}

#[cfg(test)]
mod tests;
