//! Windows that closed without a stream that had more.
//!
//! A stream that stalls is moved on to where the others are ([`Input::Stall`](crate::engine::Input::Stall)): the windows that it is moved
//! past close without its lines. Nothing of those comes back, since what it brings for them later is late. So a comparison that such a
//! window lies in cannot pass any more ([`Flaw::StalledPartition`](crate::compare::verdict::Flaw::StalledPartition)): what is missing may be
//! what failed.
//!
//! Which services the lines would have been of nobody knows; so each comparison counts as touched.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{StreamState, memory};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::time::{Timestamp, Windowing};

/// Streams of a comparison that are named; which, depends on their names alone.
const NAMED_MAX: usize = 16;

/// Windows `from..until` that a stream was moved past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Gap {
    pub from: i64,
    pub until: i64,
}

/// Windows that a stream was moved past and that have not closed yet, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Gaps(Vec<Gap>);

impl Gaps {
    /// The stream is moved from its oldest open window to a later one.
    pub(super) fn add(&mut self, from: i64, until: i64) {
        match self.0.last_mut() {
            Some(last) if last.until >= from => last.until = last.until.max(until),
            _ if from < until => self.0.push(Gap { from, until }),
            _ => {}
        }
    }

    /// The first and the last of these windows that have closed once this one has, which are asked for once.
    pub(super) fn take_closed(&mut self, window: i64) -> Option<Gap> {
        let after = window.saturating_add(1);
        let mut closed: Option<Gap> = None;
        for gap in self.0.iter_mut().filter(|gap| gap.from < after) {
            let end = gap.until.min(after);
            closed = Some(Gap { from: closed.map_or(gap.from, |closed| closed.from), until: end });
            gap.from = end;
        }
        self.0.retain(|gap| gap.from < gap.until);
        closed
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.0.len());
        for gap in &self.0 {
            w.int(gap.from);
            w.int(gap.until);
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Gaps, Damaged> {
        let mut gaps = Gaps::default();
        for _ in 0..r.length()? {
            gaps.0.push(Gap { from: r.int()?, until: r.int()? });
        }
        Ok(gaps)
    }
}

/// Streams that windows up to this one closed without, since it was asked before.
pub(super) fn take_missing(streams: &mut BTreeMap<String, StreamState>, window: i64) -> Vec<(String, Gap)> {
    let missing = |(name, state): (&String, &mut StreamState)| Some((name.clone(), state.gaps.take_closed(window)?));
    streams.iter_mut().filter_map(missing).collect()
}

/// What a comparison did without.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Missed {
    /// Streams that had more; those of the smallest names, where they are many.
    pub streams: BTreeSet<String>,
    /// Start of the first window that closed without one of them, and end of the last; both 0 where there are none.
    pub between: (Timestamp, Timestamp),
}

impl Missed {
    /// Every window closed with all that there was.
    pub fn is_nothing(&self) -> bool {
        self.streams.is_empty()
    }

    /// Windows of a comparison that began with `started` closed without this stream. Whether that is the first time.
    pub(super) fn add(&mut self, stream: &str, gap: Gap, started: i64, windowing: &Windowing) -> bool {
        if gap.until <= started {
            return false;
        }
        let is_first = self.is_nothing();
        let (from, until) = (windowing.start_of(gap.from.max(started)), windowing.start_of(gap.until));
        self.between = match self.between {
            _ if is_first => (from, until),
            (first, last) => (first.min(from), last.max(until)),
        };
        self.streams.insert(stream.to_owned());
        if self.streams.len() > NAMED_MAX {
            self.streams.pop_last();
        }
        is_first
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        memory::list::<String>(self.streams.len()) + self.streams.iter().map(|name| memory::text(name)).sum::<u64>()
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.streams.len());
        self.streams.iter().for_each(|name| w.text(name));
        w.int(self.between.0.0);
        w.int(self.between.1.0);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Missed, Damaged> {
        let mut missed = Missed::default();
        for _ in 0..r.length()? {
            missed.streams.insert(r.text()?);
        }
        missed.between = (Timestamp(r.int()?), Timestamp(r.int()?));
        Ok(missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(from: i64, until: i64) -> Gap {
        Gap { from, until }
    }

    #[test]
    fn windows_that_a_stream_was_moved_past_are_told_once_they_have_closed() {
        let mut gaps = Gaps::default();
        gaps.add(5, 8);
        // Moved on step by step, as far as others come.
        gaps.add(8, 9);
        gaps.add(20, 22);
        gaps.add(30, 30);
        assert_eq!(gaps.take_closed(4), None);
        assert_eq!(gaps.take_closed(6), Some(gap(5, 7)));
        assert_eq!(gaps.take_closed(6), None, "once");
        // Windows without a line never close by themselves; they have once a later one does.
        assert_eq!(gaps.take_closed(20), Some(gap(7, 21)));
        assert_eq!((gaps.take_closed(30), gaps), (Some(gap(21, 22)), Gaps::default()));
        // How the steps were made is all the same.
        let mut at_once = Gaps::default();
        at_once.add(5, 9);
        assert_eq!(at_once.take_closed(8), Some(gap(5, 9)));
    }

    #[test]
    fn a_comparison_misses_what_closed_since_it_began() {
        let mut missed = Missed::default();
        let windowing = Windowing::default();
        let add = |missed: &mut Missed, stream: &str, gap| missed.add(stream, gap, 10, &windowing);
        assert!(!add(&mut missed, "t/1", gap(2, 10)) && missed.is_nothing(), "before it began");
        assert!(add(&mut missed, "t/1", gap(i64::MIN, 11)) && !add(&mut missed, "t/0", gap(14, 16)));
        assert_eq!(missed.between, (windowing.start_of(10), windowing.start_of(16)));
        assert_eq!(missed.streams, ["t/0", "t/1"].map(str::to_owned).into());
        (0..100).for_each(|at| {
            add(&mut missed, &format!("u/{at:03}"), gap(16, 17));
        });
        assert_eq!((missed.streams.len(), missed.streams.last().map(String::as_str)), (16, Some("u/013")));
        let mut w = Writer::default();
        missed.write(&mut w);
        assert_eq!(Missed::read(&mut Reader::new(&w.bytes)).unwrap(), missed);
    }
}
