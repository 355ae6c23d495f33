//! When a discovered rollout is over: one of its arms is silent, or the other has taken over (semantics 3).
//!
//! Of one that was named nobody but its owner says when it is over.

use std::collections::VecDeque;

use crate::engine::comparison::GAP;
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::time::{MINUTE, Micros, Timestamp};

/// Event time for which an arm must be silent, or the other must hold nearly everything.
pub const ENDS_AFTER: Micros = 30 * MINUTE;

/// An arm has taken over when, of a hundred active units, it has more than this many.
const TAKEN_OVER_OF_100: u64 = 99;

/// (unit, window) pairs that a silent arm would have had by its share before: fewer, and its silence may be the accident of
/// thin traffic (with 7, that happens once in a thousand times).
const EXPECTED_SILENT: f64 = 7.0;

/// As many must have been expected of an arm that still has some, and it must have less than a quarter of them: a canary
/// that has always had less than one in a hundred is no rollout that is over (with 20, chance does that once in ten
/// thousand times). As many were seen of it before, else its share then was the accident of a minute.
const EXPECTED_FEW: f64 = 20.0;
const FEW: f64 = 0.25;

/// Units of other arms that show the silence of both: what a probe asks of a version that nobody uses tells nothing.
const OTHERS: u64 = 20;

/// A rest of an arm is one that was seen so lately; an arm of which only the oldest minutes are left falls silent.
const REST_SEEN: Micros = 10 * MINUTE;

/// Why a rollout is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// Nothing of the candidate, while the control was active.
    CandidateSilent,
    /// Nothing of the control, while the candidate was active.
    ControlSilent,
    /// Nothing of either, while other arms had users.
    BothSilent,
    /// The control holds more than 99 %.
    ControlTookOver,
    /// The candidate holds more than 99 %.
    CandidateTookOver,
    /// Memory was short, and others had more units.
    NoMemory,
}

impl EndReason {
    /// Every reason, in order.
    pub const ALL: [EndReason; 6] = [
        EndReason::CandidateSilent,
        EndReason::ControlSilent,
        EndReason::BothSilent,
        EndReason::ControlTookOver,
        EndReason::CandidateTookOver,
        EndReason::NoMemory,
    ];

    /// The word that ledgers and reports use.
    pub fn name(self) -> &'static str {
        match self {
            EndReason::CandidateSilent => "candidate_silent",
            EndReason::ControlSilent => "control_silent",
            EndReason::BothSilent => "both_silent",
            EndReason::ControlTookOver => "control_took_over",
            EndReason::CandidateTookOver => "candidate_took_over",
            EndReason::NoMemory => "no_memory",
        }
    }

    /// What happened, for people.
    pub fn words(self) -> &'static str {
        match self {
            EndReason::CandidateSilent => "the candidate was silent for 30 minutes",
            EndReason::ControlSilent => "the control was silent for 30 minutes",
            EndReason::BothSilent => "both arms were silent for 30 minutes while others were active",
            EndReason::ControlTookOver => "the control held more than 99 % for 30 minutes",
            EndReason::CandidateTookOver => "the candidate held more than 99 % for 30 minutes",
            EndReason::NoMemory => "memory was short, and other rollouts had more units",
        }
    }

    /// Arms that are gone.
    pub fn gone(self) -> &'static [Arm] {
        match self {
            EndReason::CandidateSilent | EndReason::ControlTookOver => &[Arm::Candidate],
            EndReason::ControlSilent | EndReason::CandidateTookOver => &[Arm::Control],
            EndReason::BothSilent => &[Arm::Control, Arm::Candidate],
            EndReason::NoMemory => &[],
        }
    }

    /// The arm that is gone was silent; otherwise a rest of it was left.
    pub fn is_silence(self) -> bool {
        match self {
            EndReason::CandidateSilent | EndReason::ControlSilent | EndReason::BothSilent => true,
            EndReason::ControlTookOver | EndReason::CandidateTookOver | EndReason::NoMemory => false,
        }
    }
}

/// A rollout is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RolloutEnd {
    /// End of the window that showed it.
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
}

/// How active two arms were, of late and before.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Presence {
    /// Active units of (control, candidate, others) in the windows of the latest [`ENDS_AFTER`], by start of the window.
    windows: VecDeque<(i64, [u64; 3])>,
    /// Their sum.
    recent: [u64; 3],
    /// Sum of all windows ever.
    all: [u64; 3],
    /// Start of the stretch without a gap in the log.
    since: i64,
    /// End of the last window.
    until: i64,
}

impl Presence {
    /// A window in which (control, candidate) had so many units.
    pub(super) fn note(&mut self, start: Timestamp, end: Timestamp, active: [u64; 2]) {
        self.add(start, end, [active[0], active[1], 0]);
    }

    /// Units of other arms in a window; after [`Presence::note`] where that has the same window.
    pub(super) fn note_others(&mut self, start: Timestamp, end: Timestamp, units: u64) {
        self.add(start, end, [0, 0, units]);
    }

    fn add(&mut self, start: Timestamp, end: Timestamp, active: [u64; 3]) {
        // Where the log itself has a gap, nothing is known of either arm.
        if self.windows.is_empty() || start.0 - self.until >= GAP {
            self.windows.clear();
            self.recent = [0; 3];
            self.since = start.0;
        }
        match self.windows.back_mut().filter(|(same, _)| *same == start.0) {
            Some((_, known)) => known.iter_mut().zip(active).for_each(|(sum, count)| *sum += count),
            None => self.windows.push_back((start.0, active)),
        }
        for sums in [&mut self.recent, &mut self.all] {
            sums.iter_mut().zip(active).for_each(|(sum, count)| *sum += count);
        }
        self.until = end.0;
        while let Some((_, old)) = self.windows.pop_front_if(|(start, _)| *start < end.0 - ENDS_AFTER) {
            self.recent.iter_mut().zip(old).for_each(|(sum, count)| *sum -= count);
        }
    }

    /// Why the rollout is over, when it is. `served_before`: the control served most units until the candidate came.
    pub(super) fn end(&self, served_before: bool) -> Option<EndReason> {
        if self.until - self.since < ENDS_AFTER {
            return None;
        }
        if let [0, 0, others] = self.recent {
            let [control, candidate, before] = self.all;
            let expected = others as f64 * (control + candidate) as f64 / ((before - others) as f64).max(1.0);
            return (others >= OTHERS && expected >= EXPECTED_SILENT).then_some(EndReason::BothSilent);
        }
        [Arm::Candidate, Arm::Control].into_iter().find_map(|gone| {
            let stays = gone.other();
            let (few, many) = (self.recent[gone.at()], self.recent[stays.at()]);
            let before = |arm: Arm| (self.all[arm.at()] - self.recent[arm.at()]) as f64;
            // Without a time before there is no share from which to expect anything.
            let expected = many as f64 * before(gone) / before(stays).max(1.0);
            // Who served most units, and none since: everything was cut over at once.
            let cut_over = served_before && gone == Arm::Control && self.all[gone.at()] == 0;
            let silent = few == 0 && (expected >= EXPECTED_SILENT || cut_over && many as f64 >= EXPECTED_FEW);
            let taken_over = many > TAKEN_OVER_OF_100.saturating_mul(few)
                && expected >= EXPECTED_FEW
                && before(gone) >= EXPECTED_FEW
                && (few as f64) < FEW * expected
                && self.seen_since(gone, self.until - REST_SEEN);
            match (gone, few) {
                (Arm::Candidate, 0) if silent => Some(EndReason::CandidateSilent),
                (Arm::Control, 0) if silent => Some(EndReason::ControlSilent),
                (Arm::Candidate, 1..) if taken_over => Some(EndReason::ControlTookOver),
                (Arm::Control, 1..) if taken_over => Some(EndReason::CandidateTookOver),
                (Arm::Candidate | Arm::Control, _) => None,
            }
        })
    }

    /// An arm was active in a window that began then or later.
    fn seen_since(&self, arm: Arm, since: i64) -> bool {
        self.windows.iter().rev().take_while(|(start, _)| *start >= since).any(|(_, active)| active[arm.at()] > 0)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        memory::queue(&self.windows)
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.windows.len());
        for (start, active) in &self.windows {
            w.int(*start);
            active.iter().for_each(|count| w.uint(*count));
        }
        self.all.iter().for_each(|count| w.uint(*count));
        w.int(self.since);
        w.int(self.until);
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Presence, Damaged> {
        let mut presence = Presence::default();
        for _ in 0..r.length()? {
            let (start, active) = (r.int()?, [r.uint()?, r.uint()?, r.uint()?]);
            for (sum, count) in presence.recent.iter_mut().zip(active) {
                *sum = sum.checked_add(count).ok_or(Damaged("impossible units"))?;
            }
            presence.windows.push_back((start, active));
        }
        presence.all = [r.uint()?, r.uint()?, r.uint()?];
        if (0..3).any(|arm| presence.all[arm] < presence.recent[arm]) {
            return Err(Damaged("impossible units"));
        }
        presence.since = r.int()?;
        presence.until = r.int()?;
        Ok(presence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes in which (control, candidate) had so many units, a window each.
    fn after(minutes: &[(i64, [u64; 2])]) -> Presence {
        let mut presence = Presence::default();
        let mut at = 0;
        for (number, active) in minutes {
            for _ in 0..*number {
                presence.note(Timestamp(at), Timestamp(at + MINUTE), *active);
                at += MINUTE;
            }
        }
        presence
    }

    #[test]
    fn a_silence_of_thirty_minutes_is_the_end() {
        for (minutes, end) in [
            (vec![(60, [10, 10]), (29, [10, 0])], None),
            (vec![(60, [10, 10]), (30, [10, 0])], Some(EndReason::CandidateSilent)),
            (vec![(60, [10, 10]), (30, [0, 10])], Some(EndReason::ControlSilent)),
            // Nobody was heard at all.
            (vec![(60, [10, 10]), (30, [0, 0])], None),
            // A rollout of twenty minutes is over as well.
            (vec![(20, [10, 10]), (31, [10, 0])], Some(EndReason::CandidateSilent)),
            // Nobody knows what share it had.
            (vec![(60, [0, 10])], None),
            // A canary of which one unit is expected in that time may be silent by chance.
            (vec![(60, [20, 0]), (1, [20, 2]), (60, [20, 0])], None),
        ] {
            assert_eq!(after(&minutes).end(false), end, "{minutes:?}");
        }
    }

    #[test]
    fn a_control_that_left_when_its_candidate_came_has_been_replaced() {
        for (minutes, end) in [
            (vec![(29, [0, 10])], None),
            (vec![(30, [0, 10])], Some(EndReason::ControlSilent)),
            (vec![(30, [0, 0]), (19, [0, 1])], None),
            // It was heard once: the share it had then is all that is known.
            (vec![(10, [1, 10]), (40, [0, 10])], Some(EndReason::ControlSilent)),
            (vec![(60, [10, 0])], None),
        ] {
            assert_eq!(after(&minutes).end(true), end, "{minutes:?}");
        }
    }

    #[test]
    fn who_holds_nearly_everything_has_taken_over() {
        for (minutes, end) in [
            (vec![(60, [500, 500]), (30, [1, 1_000])], Some(EndReason::CandidateTookOver)),
            (vec![(60, [500, 500]), (30, [1_000, 1])], Some(EndReason::ControlTookOver)),
            (vec![(60, [500, 500]), (29, [1, 1_000])], None),
            (vec![(60, [500, 500]), (30, [20, 1_000])], None),
            // Its last minute lies 29 minutes back: it is about to be silent, and nobody has taken over from it.
            (vec![(60, [500, 5]), (29, [500, 0])], None),
            (vec![(60, [500, 5]), (30, [500, 0])], Some(EndReason::CandidateSilent)),
            // A canary that has always been this small is none that was rolled back.
            (vec![(600, [1_000, 5])], None),
            (vec![(60, [1_000, 5]), (30, [1_000, 4])], None),
            // Its first minute says nothing of its share.
            (vec![(1, [100, 4]), (30, [200, 1])], None),
        ] {
            assert_eq!(after(&minutes).end(false), end, "{minutes:?}");
        }
    }

    #[test]
    fn both_are_silent_only_where_others_have_users() {
        // Units of others a minute, before and in the silence.
        for (before, since, end) in [
            (0, 10, Some(EndReason::BothSilent)),
            (0, 1, Some(EndReason::BothSilent)),
            (5, 10, Some(EndReason::BothSilent)),
            // Nobody, or not enough to tell.
            (0, 0, None),
            (10_000, 10, None),
        ] {
            let minute = |at: i64| (Timestamp(at * MINUTE), Timestamp((at + 1) * MINUTE));
            let mut presence = (0..60).fold(Presence::default(), |mut presence, at| {
                presence.note(minute(at).0, minute(at).1, [10, 10]);
                presence.note_others(minute(at).0, minute(at).1, before);
                presence
            });
            for at in 60..90 {
                presence.note_others(minute(at).0, minute(at).1, since);
                assert!(presence.end(false).is_none() || at == 89, "{at}");
            }
            assert_eq!(presence.end(false), end, "{before} {since}");
        }
    }

    #[test]
    fn a_gap_in_the_log_is_no_silence() {
        let mut presence = after(&[(60, [10, 10])]);
        let back = 60 * MINUTE + 47 * MINUTE;
        for minute in 0..29 {
            presence.note(Timestamp(back + minute * MINUTE), Timestamp(back + (minute + 1) * MINUTE), [10, 0]);
            assert_eq!(presence.end(false), None, "{minute}");
        }
        presence.note(Timestamp(back + 29 * MINUTE), Timestamp(back + 30 * MINUTE), [10, 0]);
        assert_eq!(presence.end(false), Some(EndReason::CandidateSilent));
    }
}
