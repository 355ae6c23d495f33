//! Partitions that stall: nothing comes from one, it was not read to its end as far as anybody knows, and others go on.
//!
//! Times are of a clock that counts only while records are asked for ([`Stalls::passes`]): while the program itself is held up (by a disk
//! that refuses, or a machine that sleeps), nothing could have come.

use std::time::Duration;

use crate::time::Timestamp;

/// Of the time between two looks no more counts.
const PASSES_MAX: Duration = Duration::from_secs(3);
/// After a question that was not answered, which takes seconds and keeps everything from being read, so long none is put to a partition
/// that did not answer last time.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// How long a partition gives nothing until it is moved on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    /// One that was read to its end.
    pub idle: Duration,
    /// One of which that is not known, or that is known to have more.
    pub stall: Duration,
}

/// What is known of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Silence {
    /// Nothing has come from it for so long.
    pub quiet: Duration,
    /// So long records were asked for since one came, or since it was known to have no more; `None` of a stream that is no partition.
    pub listened: Option<Duration>,
    /// The latest word of any other partition, a record or an answer, is so old.
    pub others: Option<Duration>,
    /// It was read to its end; `None` where nobody answers.
    pub at_end: Option<bool>,
    /// It stalls already.
    pub stalls: bool,
}

/// What is done with a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Windows wait for it.
    Awaited,
    /// Whether there is more is not known yet: nothing is moved on.
    Unknown,
    /// There is nothing to read: it is moved on to where the others are.
    Idle,
    /// There may be, or is, and others go on: it is moved on, and what closes without it says so.
    Stalled,
}

/// What is done with a stream of which this is known.
pub(super) fn standing(silence: Silence, bounds: Bounds) -> Standing {
    let Silence { quiet, listened, others, at_end, stalls } = silence;
    // Where all brokers are gone at once, none was heard of in the latter half of the time. What stalls does so until it gives something.
    let go_on = stalls || others.is_some_and(|others| others <= bounds.stall / 2);
    match at_end {
        Some(true) if quiet >= bounds.idle => Standing::Idle,
        Some(true) => Standing::Awaited,
        Some(false) | None if go_on && listened.is_some_and(|listened| listened >= bounds.stall) => Standing::Stalled,
        None if quiet >= bounds.idle => Standing::Unknown,
        Some(false) | None => Standing::Awaited,
    }
}

/// One stream.
#[derive(Clone, Copy, Debug, Default)]
struct Of {
    is_partition: bool,
    /// When its latest record came, or it was known to have no more.
    given: Duration,
    /// When a question for its end was not answered, where the latest was not.
    unanswered: Option<Duration>,
    /// Since when nothing comes, of one that stalls.
    since: Option<Timestamp>,
}

/// All streams.
#[derive(Clone, Debug, Default)]
pub(super) struct Stalls {
    now: Duration,
    streams: Vec<Of>,
    /// The two partitions that were heard of last, and when, the latest first.
    heard: [Option<(usize, Duration)>; 2],
    /// When a question was not answered.
    unanswered: Option<Duration>,
}

impl Stalls {
    /// A further stream.
    pub(super) fn add(&mut self, is_partition: bool) {
        self.streams.push(Of { is_partition, given: self.now, unanswered: None, since: None });
    }

    /// So long records were asked for since the look before.
    pub(super) fn passes(&mut self, time: Duration) {
        self.now += time.min(PASSES_MAX);
    }

    /// A record of a stream has come since the look before.
    pub(super) fn came(&mut self, stream: usize) {
        if let Some(of) = self.streams.get_mut(stream) {
            of.given = self.now;
        }
        self.answered(stream);
    }

    /// A stream was read to its end, and its broker says that there is no more.
    pub(super) fn ended(&mut self, stream: usize) {
        if let Some(of) = self.streams.get_mut(stream) {
            of.given = self.now;
        }
    }

    /// A broker has said something of a stream since the look before.
    pub(super) fn answered(&mut self, stream: usize) {
        let Some(of) = self.streams.get_mut(stream).filter(|of| of.is_partition) else { return };
        of.unanswered = None;
        if self.heard[0].is_none_or(|(latest, _)| latest != stream) {
            self.heard[1] = self.heard[0];
        }
        self.heard[0] = Some((stream, self.now));
    }

    /// A question for the end of a stream was not answered.
    pub(super) fn not_answered(&mut self, stream: usize) {
        if let Some(of) = self.streams.get_mut(stream) {
            (of.unanswered, self.unanswered) = (Some(self.now), Some(self.now));
        }
    }

    /// A question for the end of a stream is to be put. One at a look may stay without an answer; which, goes round.
    pub(super) fn is_to_be_asked(&self, stream: usize) -> bool {
        let rests = |bound: Duration| self.unanswered.is_some_and(|at| self.now - at < bound);
        match self.streams.get(stream).map(|of| of.unanswered) {
            None => false,
            Some(None) => self.unanswered != Some(self.now),
            Some(at) => !rests(ASK_AGAIN) && self.streams.iter().filter_map(|of| of.unanswered).min() == at,
        }
    }

    /// What is known of a stream.
    pub(super) fn silence(&self, stream: usize, quiet: Duration, at_end: Option<bool>) -> Silence {
        let of = self.streams.get(stream).filter(|of| of.is_partition);
        let other = self.heard.iter().flatten().find(|(at, _)| *at != stream);
        Silence {
            quiet,
            listened: of.map(|of| self.now - of.given),
            others: other.map(|(_, at)| self.now - *at),
            at_end,
            stalls: of.is_some_and(|of| of.since.is_some()),
        }
    }

    /// A stream stalls now, or does not; `now`: our own clock. Where that is new: true where it begins, false where it ends.
    pub(super) fn set(&mut self, stream: usize, stalls: bool, now: Timestamp) -> Option<bool> {
        let quiet = self.silence(stream, Duration::ZERO, None).listened.unwrap_or_default();
        let of = self.streams.get_mut(stream)?;
        if of.since.is_some() == stalls {
            return None;
        }
        let quiet = i64::try_from(quiet.as_micros()).unwrap_or(i64::MAX);
        of.since = stalls.then(|| Timestamp(now.0.saturating_sub(quiet)));
        Some(stalls)
    }

    /// Streams that stall, and since when nothing comes from each.
    pub(super) fn stalled(&self) -> impl Iterator<Item = (usize, Timestamp)> {
        self.streams.iter().enumerate().filter_map(|(at, of)| Some((at, of.since?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { idle: Duration::from_secs(30), stall: Duration::from_secs(120) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn of(quiet: u64, others: Option<u64>, at_end: Option<bool>) -> Standing {
        let (quiet, others) = (seconds(quiet), others.map(seconds));
        standing(Silence { quiet, listened: Some(quiet), others, at_end, stalls: false }, BOUNDS)
    }

    #[test]
    fn a_partition_that_is_not_read_to_its_end_stalls_while_others_go_on() {
        for (at_end, before) in [(Some(false), Standing::Awaited), (None, Standing::Unknown)] {
            assert_eq!((of(119, Some(0), at_end), of(120, Some(60), at_end)), (before, Standing::Stalled));
            // Nobody was heard of in the latter half of the time, or there is nobody else.
            assert_eq!((of(600, Some(61), at_end), of(600, None, at_end)), (before, before));
            // The program itself was held up.
            let others = Some(seconds(0));
            let held_up = Silence { quiet: seconds(600), listened: Some(seconds(3)), others, at_end, stalls: false };
            assert_eq!(standing(held_up, BOUNDS), before);
            let of_http = Silence { listened: None, ..held_up };
            assert_eq!(standing(of_http, BOUNDS), before);
            // It does so until it gives something, though nobody else does any more.
            let alone = Silence { listened: Some(seconds(600)), others: Some(seconds(600)), stalls: true, ..held_up };
            assert_eq!(standing(alone, BOUNDS), Standing::Stalled);
            assert_eq!(standing(Silence { listened: Some(seconds(1)), ..alone }, BOUNDS), before);
        }
        assert_eq!(
            [29, 30, 600].map(|quiet| of(quiet, None, Some(true))),
            [Standing::Awaited, Standing::Idle, Standing::Idle]
        );
        assert_eq!(of(29, Some(0), None), Standing::Awaited);
        // A bound below --idle holds all the same.
        let bounds = Bounds { stall: seconds(2), ..BOUNDS };
        let quiet = seconds(2);
        let silence = Silence { quiet, listened: Some(quiet), others: Some(seconds(1)), at_end: None, stalls: false };
        assert_eq!(standing(silence, bounds), Standing::Stalled);
    }

    #[test]
    fn time_counts_while_records_are_asked_for() {
        let mut stalls = Stalls::default();
        [true, true, false].into_iter().for_each(|is_partition| stalls.add(is_partition));
        let listened = |stalls: &Stalls, stream| stalls.silence(stream, seconds(9), None);
        stalls.passes(seconds(2));
        stalls.came(1);
        stalls.came(2);
        stalls.passes(seconds(600));
        let said = listened(&stalls, 0);
        assert_eq!((said.listened, said.others), (Some(seconds(5)), Some(seconds(3))));
        assert_eq!((listened(&stalls, 1).listened, listened(&stalls, 1).others), (Some(seconds(3)), None));
        assert_eq!(listened(&stalls, 2).listened, None, "no partition");
        stalls.answered(0);
        assert_eq!((listened(&stalls, 0).others, listened(&stalls, 1).others), (Some(seconds(3)), Some(seconds(0))));
        stalls.answered(1);
        assert_eq!((listened(&stalls, 1).listened, listened(&stalls, 0).others), (Some(seconds(3)), Some(seconds(0))));
        // Whose broker has said that there is no more, and says nothing now, has been silent since then.
        stalls.ended(1);
        stalls.passes(seconds(1));
        assert_eq!(listened(&stalls, 1).listened, Some(seconds(1)));

        let now = Timestamp(60_000_000);
        assert_eq!((stalls.set(0, false, now), stalls.set(0, true, now)), (None, Some(true)));
        assert_eq!(stalls.set(0, true, Timestamp(70_000_000)), None);
        assert_eq!(stalls.stalled().collect::<Vec<_>>(), [(0, Timestamp(54_000_000))]);
        assert_eq!((stalls.set(0, false, now), stalls.stalled().count()), (Some(false), 0));
    }

    #[test]
    fn questions_that_stay_without_an_answer_are_few() {
        let mut stalls = Stalls::default();
        (0..3).for_each(|_| stalls.add(true));
        let asked = |stalls: &Stalls| -> Vec<usize> { (0..3).filter(|at| stalls.is_to_be_asked(*at)).collect() };
        assert_eq!(asked(&stalls), [0, 1, 2]);
        stalls.not_answered(0);
        assert_eq!(asked(&stalls), [] as [usize; 0], "one at a look");
        stalls.passes(seconds(1));
        assert_eq!(asked(&stalls), [1, 2]);
        stalls.not_answered(1);
        (0..9).for_each(|_| stalls.passes(seconds(1)));
        assert_eq!(asked(&stalls), [2]);
        stalls.passes(seconds(1));
        assert_eq!(asked(&stalls), [0, 2], "the one that was asked first");
        stalls.not_answered(0);
        (0..4).for_each(|_| stalls.passes(seconds(3)));
        assert_eq!(asked(&stalls), [1, 2]);
        stalls.answered(1);
        assert_eq!(asked(&stalls), [0, 1, 2]);
    }
}
