//! State of one bucket test: residuals from the common time course, by bucket of units and arm, in fixed point.
//!
//! A block is a run of windows with at least 50 events; its pooled mean is taken from each value, so that whatever
//! moves both arms alike (time of day, incidents, ramps) is gone. Sums are integers, so they are exact and free of
//! order. Source: the time adjustment of the bucket test, statistics design 4.2.
//!
//! Where the share of the candidate changes, a part of a difference goes with it: in a block with the share q the pooled mean
//! holds q of the difference D, so residuals are (1 - q) D and -q D, and where most of the candidate's events come at a large
//! q and most of the control's at a small one, their means differ by [`View::kept`] times D. "No worse" is not touched by it, a
//! margin and an interval are.

use crate::compare::bucket::{self, ArmStats, BUCKETS};
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::time::{MINUTE, Micros, Timestamp};

/// Events that complete a block.
const BLOCK_EVENTS: u64 = 50;
/// Longest block in event time.
const BLOCK_TIME: Micros = 10 * MINUTE;
/// Fraction bits of residuals.
const FRACTION: u32 = 32;

/// What a value is, for the floor of the variance and for output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Values {
    /// 0 or 1: an error, an exceedance.
    Indicator,
    /// A binary logarithm in 16.16 fixed point.
    Log2,
    /// How many of something there are for each event.
    Count,
}

impl Values {
    /// One step of the integer value, in the metric's own unit (natural logarithm for [`Values::Log2`]).
    fn scale(self) -> f64 {
        match self {
            Values::Indicator | Values::Count => 1.0,
            Values::Log2 => core::f64::consts::LN_2 / 65_536.0,
        }
    }
}

/// Sums of one arm, as marks and looks have them.
#[derive(Clone, PartialEq, Eq, Debug)]
struct ArmSums {
    /// Residuals, 2^-32.
    residual: [i128; BUCKETS],
    /// Events.
    n: [u64; BUCKETS],
    /// Plain values.
    sum: [i64; BUCKETS],
    /// Squared residuals, 2^-32.
    square: i128,
    /// Sum over events of the candidate's share of the events of their block, 2^-32.
    share: i128,
}

impl Default for ArmSums {
    fn default() -> Self {
        ArmSums { residual: [0; BUCKETS], n: [0; BUCKETS], sum: [0; BUCKETS], square: 0, share: 0 }
    }
}

/// Events of both arms, closed and in the open block: all that there is while every value is 0.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Counts {
    closed: [[u64; BUCKETS]; 2],
    block: [[u64; BUCKETS]; 2],
    /// As [`ArmSums`] has it, of closed blocks.
    share: [i128; 2],
}

/// What values other than 0 have come to.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sums {
    /// Residuals of closed blocks, 2^-32.
    residual: [[i128; BUCKETS]; 2],
    /// Plain values of closed blocks.
    sum: [[i64; BUCKETS]; 2],
    /// Squared residuals of closed blocks, 2^-32.
    square: [i128; 2],
    /// Plain values of the open block.
    block: [[i64; BUCKETS]; 2],
    /// Their squares.
    block_square: [i128; 2],
}

/// What is usual for the units of the open block, 2^-32.
type Expected = [[i128; BUCKETS]; 2];

const NO_COUNTS: Counts = Counts { closed: [[0; BUCKETS]; 2], block: [[0; BUCKETS]; 2], share: [0; 2] };
const NO_SUMS: Sums = Sums {
    residual: [[0; BUCKETS]; 2],
    sum: [[0; BUCKETS]; 2],
    square: [0; 2],
    block: [[0; BUCKETS]; 2],
    block_square: [0; 2],
};
const NO_EXPECTED: Expected = [[0; BUCKETS]; 2];

impl ArmSums {
    fn write(&self, w: &mut Writer) {
        for bucket in 0..BUCKETS {
            w.wide(self.residual[bucket]);
            w.uint(self.n[bucket]);
            w.int(self.sum[bucket]);
        }
        w.wide(self.square);
        w.wide(self.share);
    }

    fn read(r: &mut Reader<'_>) -> Result<ArmSums, Damaged> {
        let mut sums = ArmSums::default();
        for bucket in 0..BUCKETS {
            sums.residual[bucket] = r.wide()?;
            sums.n[bucket] = r.uint()?;
            sums.sum[bucket] = r.int()?;
        }
        sums.square = r.wide()?;
        sums.share = r.wide()?;
        Ok(sums)
    }
}

/// The sums as they were when a restart began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark(Box<[ArmSums; 2]>);

impl Mark {
    /// Bytes on the heap.
    pub const BYTES: u64 = size_of::<[ArmSums; 2]>() as u64;

    /// Writes the mark.
    pub fn write(&self, w: &mut Writer) {
        self.0.iter().for_each(|arm| arm.write(w));
    }

    /// Reads what [`Mark::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Mark, Damaged> {
        Ok(Mark(Box::new([ArmSums::read(r)?, ArmSums::read(r)?])))
    }
}

/// Sums of one metric of one comparison.
///
/// A metric without a value takes a few words, one whose values are all 0 (no error, nothing missing) 2 KiB, any other 6 KiB, and
/// 2 KiB more where the usual is taken from its values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketSums {
    values: Values,
    /// What is usual for each unit is taken from its values: they may vary less than independent events would.
    adjusted: bool,
    counts: Option<Box<Counts>>,
    sums: Option<Box<Sums>>,
    expected: Option<Box<Expected>>,
    /// Start of the first window of the open block.
    block_start: Option<i64>,
}

impl BucketSums {
    /// Nothing counted.
    pub fn new(values: Values) -> BucketSums {
        BucketSums { values, adjusted: false, counts: None, sums: None, expected: None, block_start: None }
    }

    /// Nothing counted; what is usual for each unit will be told by [`BucketSums::expect`].
    pub fn adjusted(values: Values) -> BucketSums {
        BucketSums { adjusted: true, ..BucketSums::new(values) }
    }

    /// What was counted goes.
    pub fn forget(&mut self) {
        *self = BucketSums { adjusted: self.adjusted, ..BucketSums::new(self.values) };
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::boxed(&self.counts) + memory::boxed(&self.sums) + memory::boxed(&self.expected)
    }

    /// Takes from the values of a bucket what is usual for their units: `expected` in 2^-32.
    #[inline]
    pub fn expect(&mut self, arm: Arm, bucket: usize, expected: i128) {
        if expected != 0 {
            let all = self.expected.get_or_insert_with(|| Box::new(NO_EXPECTED));
            all[arm.at()][bucket % BUCKETS] += expected;
        }
    }

    /// Adds `n` events of a bucket whose values sum to `sum` and whose squares sum to `square`.
    #[inline]
    pub fn add(&mut self, arm: Arm, bucket: usize, n: u64, sum: i64, square: i128) {
        let bucket = bucket % BUCKETS;
        if n != 0 {
            self.counts.get_or_insert_with(|| Box::new(NO_COUNTS)).block[arm.at()][bucket] += n;
        }
        if sum != 0 || square != 0 {
            let sums = self.sums.get_or_insert_with(|| Box::new(NO_SUMS));
            sums.block[arm.at()][bucket] += sum;
            sums.block_square[arm.at()] += square;
        }
    }

    /// A window closes; its events have been added.
    pub fn close_window(&mut self, start: Timestamp, end: Timestamp) {
        let events = self.block_events();
        if events == 0 {
            self.block_start = None;
            return;
        }
        let since = *self.block_start.get_or_insert(start.0);
        if events >= BLOCK_EVENTS || end.0 - since >= BLOCK_TIME {
            self.close_block();
        }
    }

    fn block_events(&self) -> u64 {
        self.counts.as_ref().map_or(0, |counts| counts.block.iter().flatten().sum())
    }

    /// The open block enters the sums, and another begins. What has come to it without any event is dropped: there is no mean
    /// that could be taken from it.
    fn close_block(&mut self) {
        if self.block_events() > 0 {
            let folded = self.closed(true);
            if let Some(counts) = &mut self.counts {
                counts.closed = folded.each_ref().map(|arm| arm.n);
                counts.share = folded.each_ref().map(|arm| arm.share);
            }
            if let Some(sums) = &mut self.sums {
                sums.residual = folded.each_ref().map(|arm| arm.residual);
                sums.sum = folded.each_ref().map(|arm| arm.sum);
                sums.square = folded.each_ref().map(|arm| arm.square);
            } else if self.expected.is_some() {
                // Every value is 0, but the usual is not.
                self.sums = Some(Box::new(Sums {
                    residual: folded.each_ref().map(|arm| arm.residual),
                    square: folded.each_ref().map(|arm| arm.square),
                    ..NO_SUMS
                }));
            }
        }
        if let Some(counts) = &mut self.counts {
            counts.block = NO_COUNTS.block;
        }
        if let Some(sums) = &mut self.sums {
            sums.block = NO_SUMS.block;
            sums.block_square = NO_SUMS.block_square;
        }
        if let Some(expected) = &mut self.expected {
            **expected = NO_EXPECTED;
        }
        self.block_start = None;
    }

    /// Sums of closed blocks; with `block`, the open one added.
    fn closed(&self, block: bool) -> [ArmSums; 2] {
        let mut arms: [ArmSums; 2] = Default::default();
        for (at, arm) in arms.iter_mut().enumerate() {
            if let Some(counts) = &self.counts {
                arm.n = counts.closed[at];
                arm.share = counts.share[at];
            }
            if let Some(sums) = &self.sums {
                arm.residual = sums.residual[at];
                arm.sum = sums.sum[at];
                arm.square = sums.square[at];
            }
        }
        if block {
            self.fold(&mut arms);
        }
        arms
    }

    /// Takes the pooled mean of the open block, in 2^-32, from its values, and adds them. The squares of an adjusted block are
    /// of values from which the usual was taken.
    fn fold(&self, arms: &mut [ArmSums; 2]) {
        let events = self.block_events();
        let Some(counts) = self.counts.as_ref().filter(|_| events > 0) else { return };
        let of_arm = counts.block.each_ref().map(|n| i128::from(n.iter().sum::<u64>()));
        let share = (of_arm[Arm::Candidate.at()] << FRACTION).div_euclid(i128::from(events));
        arms.iter_mut().zip(of_arm).for_each(|(arm, n)| arm.share += n * share);
        if self.sums.is_none() && self.expected.is_none() {
            // Values of 0 have a mean of 0, and leave no residual.
            for (arm, n) in arms.iter_mut().zip(&counts.block) {
                arm.n.iter_mut().zip(n).for_each(|(sum, n)| *sum += n);
            }
            return;
        }
        let sums = self.sums.as_deref().unwrap_or(&NO_SUMS);
        let expected = self.expected.as_deref().unwrap_or(&NO_EXPECTED);
        let value = |at: usize, bucket: usize| (i128::from(sums.block[at][bucket]) << FRACTION) - expected[at][bucket];
        let total: i128 =
            (0..2).flat_map(|at| (0..BUCKETS).map(move |bucket| (at, bucket))).map(|(at, b)| value(at, b)).sum();
        let mean = total.div_euclid(i128::from(events));
        for (at, arm) in arms.iter_mut().enumerate() {
            let (mut n, mut sum) = (0i128, 0i128);
            for bucket in 0..BUCKETS {
                let events = counts.block[at][bucket];
                arm.residual[bucket] += value(at, bucket) - mean * i128::from(events);
                arm.n[bucket] += events;
                arm.sum[bucket] += sums.block[at][bucket];
                n += i128::from(events);
                sum += value(at, bucket);
            }
            // Sum of (y - mean)^2 = sum y^2 - 2 mean sum y + n mean^2.
            let product = |a: i128, b: i128| (a >> (FRACTION / 2)) * (b >> (FRACTION / 2));
            arm.square += (sums.block_square[at] << FRACTION) - 2 * product(mean, sum) + product(n * mean, mean);
        }
    }

    /// Events of (control, candidate), the open block included.
    pub fn events(&self) -> [u64; 2] {
        let Some(counts) = &self.counts else { return [0; 2] };
        [0, 1].map(|at| counts.closed[at].iter().chain(&counts.block[at]).sum())
    }

    /// Sum of values of (control, candidate), the open block included.
    pub fn sums(&self) -> [i64; 2] {
        let Some(sums) = &self.sums else { return [0; 2] };
        [0, 1].map(|at| sums.sum[at].iter().chain(&sums.block[at]).sum())
    }

    /// Closes the open block, so that what comes later shares no mean with what came before.
    pub fn mark(&mut self) -> Mark {
        self.close_block();
        Mark(Box::new(self.closed(false)))
    }

    /// All sums, the open block added provisionally.
    pub fn view(&self) -> View {
        View { values: self.values, adjusted: self.adjusted, arms: self.closed(true) }
    }

    /// (control, candidate) as the tests take them, the open block added provisionally.
    pub fn stats(&self) -> [ArmStats; 2] {
        self.view().stats()
    }

    /// Writes the sums.
    pub fn write(&self, w: &mut Writer) {
        w.byte(self.values as u8);
        w.flag(self.adjusted);
        w.flag(self.counts.is_some());
        w.flag(self.sums.is_some());
        w.flag(self.expected.is_some());
        for at in 0..2 {
            if let Some(counts) = &self.counts {
                counts.closed[at].iter().chain(&counts.block[at]).for_each(|n| w.uint(*n));
                w.wide(counts.share[at]);
            }
            if let Some(sums) = &self.sums {
                sums.residual[at].iter().for_each(|residual| w.wide(*residual));
                sums.sum[at].iter().chain(&sums.block[at]).for_each(|sum| w.int(*sum));
                w.wide(sums.square[at]);
                w.wide(sums.block_square[at]);
            }
            if let Some(expected) = &self.expected {
                expected[at].iter().for_each(|expected| w.wide(*expected));
            }
        }
        w.flag(self.block_start.is_some());
        w.int(self.block_start.unwrap_or(0));
    }

    /// Reads what [`BucketSums::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<BucketSums, Damaged> {
        let values = match r.byte()? {
            0 => Values::Indicator,
            1 => Values::Log2,
            2 => Values::Count,
            _ => return Err(Damaged("unknown values")),
        };
        let mut of = BucketSums { adjusted: r.flag()?, ..BucketSums::new(values) };
        of.counts = r.flag()?.then(|| Box::new(NO_COUNTS));
        of.sums = r.flag()?.then(|| Box::new(NO_SUMS));
        of.expected = r.flag()?.then(|| Box::new(NO_EXPECTED));
        for at in 0..2 {
            if let Some(counts) = &mut of.counts {
                for n in counts.closed[at].iter_mut().chain(&mut counts.block[at]) {
                    *n = r.uint()?;
                }
                counts.share[at] = r.wide()?;
            }
            if let Some(sums) = &mut of.sums {
                for residual in &mut sums.residual[at] {
                    *residual = r.wide()?;
                }
                for sum in sums.sum[at].iter_mut().chain(&mut sums.block[at]) {
                    *sum = r.int()?;
                }
                sums.square[at] = r.wide()?;
                sums.block_square[at] = r.wide()?;
            }
            if let Some(expected) = &mut of.expected {
                for expected in &mut expected[at] {
                    *expected = r.wide()?;
                }
            }
        }
        let open = r.flag()?;
        let start = r.int()?;
        of.block_start = open.then_some(start);
        Ok(of)
    }
}

/// One bucket of one arm.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OfBucket {
    /// Events.
    pub events: u64,
    /// Sum of their values, in the metric's own unit.
    pub sum: f64,
    /// What is left of it once the common time course is taken out.
    pub residual: f64,
}

/// Sums as a look sees them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    values: Values,
    adjusted: bool,
    arms: [ArmSums; 2],
}

impl View {
    /// What was added since a mark of these sums.
    pub fn since(&self, mark: &Mark) -> View {
        let mut view = self.clone();
        for (arm, before) in view.arms.iter_mut().zip(&*mark.0) {
            for bucket in 0..BUCKETS {
                arm.residual[bucket] -= before.residual[bucket];
                // A mark is never ahead of its sums; of damaged ones nothing is claimed.
                arm.n[bucket] = arm.n[bucket].saturating_sub(before.n[bucket]);
                arm.sum[bucket] -= before.sum[bucket];
            }
            arm.square -= before.square;
            arm.share -= before.share;
        }
        view
    }

    /// Both together, of the same kind of values.
    #[must_use]
    pub fn plus(mut self, other: View) -> View {
        for (arm, more) in self.arms.iter_mut().zip(&other.arms) {
            for bucket in 0..BUCKETS {
                arm.residual[bucket] += more.residual[bucket];
                arm.n[bucket] += more.n[bucket];
                arm.sum[bucket] += more.sum[bucket];
            }
            arm.square += more.square;
            arm.share += more.share;
        }
        self
    }

    /// Each bucket of (control, candidate), with the place of the arm and its own.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, usize, OfBucket)> + '_ {
        let scale = self.values.scale();
        self.arms.iter().enumerate().flat_map(move |(at, arm)| {
            let sums = arm.n.iter().zip(&arm.sum).zip(&arm.residual).enumerate();
            sums.map(move |(bucket, ((n, sum), residual))| {
                let residual = *residual as f64 * scale / (1u64 << FRACTION) as f64;
                (at, bucket, OfBucket { events: *n, sum: *sum as f64 * scale, residual })
            })
        })
    }

    /// Events of (control, candidate).
    pub fn events(&self) -> [u64; 2] {
        self.arms.each_ref().map(|arm| arm.n.iter().sum())
    }

    /// Sum of values of (control, candidate).
    pub fn sums(&self) -> [i64; 2] {
        self.arms.each_ref().map(|arm| arm.sum.iter().sum())
    }

    /// Part of a difference of the arms that is left between their means, above 0 and at most 1: one less what the mean share of
    /// the candidate, as its own events see it, is above that which the control's see.
    pub fn kept(&self) -> f64 {
        const LEAST: f64 = 0.01;
        let seen = self.arms.each_ref().map(|arm| {
            let events: u64 = arm.n.iter().sum();
            (events > 0).then(|| arm.share as f64 / (1u64 << FRACTION) as f64 / events as f64)
        });
        let [Some(control), Some(candidate)] = seen else { return 1.0 };
        (1.0 - (candidate - control)).clamp(LEAST, 1.0)
    }

    /// Buckets with a value other than 0, of (control, candidate).
    pub fn buckets_hit(&self) -> [usize; 2] {
        self.arms.each_ref().map(|arm| arm.sum.iter().filter(|sum| **sum != 0).count())
    }

    /// (control, candidate) as the tests take them.
    pub fn stats(&self) -> [ArmStats; 2] {
        let unit = self.values.scale() / (1u64 << FRACTION) as f64;
        self.arms.each_ref().map(|arm| {
            let n = arm.n.map(|n| n as f64);
            let total: f64 = n.iter().sum();
            if total < 1.0 {
                return ArmStats::EMPTY;
            }
            let residual = arm.residual.map(|r| r as f64 * unit);
            let floor = match self.values {
                Values::Indicator if self.adjusted => 0.0,
                Values::Indicator => {
                    let p = arm.sum.iter().sum::<i64>() as f64 / total;
                    p * (1.0 - p)
                }
                // The variance of a Poisson count is its mean.
                Values::Count => arm.sum.iter().sum::<i64>() as f64 / total,
                Values::Log2 => {
                    let mean: f64 = residual.iter().sum::<f64>() / total;
                    let square = arm.square as f64 * self.values.scale() * unit / total;
                    (square - mean * mean).max(0.0)
                }
            };
            bucket::arm_stats(&residual, &n, floor)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = crate::time::SECOND;

    #[test]
    fn what_moves_both_arms_alike_leaves_no_difference() {
        let mut sums = BucketSums::new(Values::Indicator);
        for window in 0..100i64 {
            // Error rate swings between 0 and 50 %, and the share of the candidate with it.
            let rate = (window % 5) as u64;
            for bucket in 0..BUCKETS {
                let (nb, nc) = (10 + 10 * rate, 10);
                sums.add(Arm::Control, bucket, nb, (nb * rate / 10) as i64, 0);
                sums.add(Arm::Candidate, bucket, nc, (nc * rate / 10) as i64, 0);
            }
            sums.close_window(Timestamp(window * 10 * SECOND), Timestamp((window + 1) * 10 * SECOND));
        }
        let [control, candidate] = sums.stats();
        assert!(control.mean.abs() < 1e-9 && candidate.mean.abs() < 1e-9, "{} {}", control.mean, candidate.mean);
        assert_eq!(sums.events()[1], 64_000);
    }

    #[test]
    fn a_difference_within_blocks_is_measured() {
        let mut sums = BucketSums::new(Values::Log2);
        let (a, b) = (10 << 16, (10 << 16) + 4552); // 4552 / 65536 of an octave is 4.9 %
        for window in 0..20i64 {
            for bucket in 0..BUCKETS {
                sums.add(Arm::Control, bucket, 5, 5 * a, 5 * i128::from(a) * i128::from(a));
                sums.add(Arm::Candidate, bucket, 5, 5 * b, 5 * i128::from(b) * i128::from(b));
            }
            sums.close_window(Timestamp(window * 10 * SECOND), Timestamp((window + 1) * 10 * SECOND));
        }
        let [control, candidate] = sums.stats();
        let difference = candidate.mean - control.mean;
        assert!((difference - 0.048_145).abs() < 1e-5, "{difference}");
    }

    #[test]
    fn what_a_changing_share_takes_from_a_difference_is_known() {
        // One in a hundred, then one in two; the candidate's values are one octave more throughout.
        let ramp = |shares: &[(i64, u64, u64)]| {
            let mut sums = BucketSums::new(Values::Log2);
            let mut at = 0;
            for (windows, control, candidate) in shares {
                for _ in 0..*windows {
                    for bucket in 0..BUCKETS {
                        let of = |octaves: i64, n: u64| {
                            (n as i64 * (octaves << 16), n as i128 * i128::from(octaves << 16).pow(2))
                        };
                        let ((a, aa), (b, bb)) = (of(10, *control), of(11, *candidate));
                        sums.add(Arm::Control, bucket, *control, a, aa);
                        sums.add(Arm::Candidate, bucket, *candidate, b, bb);
                    }
                    sums.close_window(Timestamp(at * 10 * SECOND), Timestamp((at + 1) * 10 * SECOND));
                    at += 1;
                }
            }
            let view = sums.view();
            let [control, candidate] = view.stats();
            ((candidate.mean - control.mean) / core::f64::consts::LN_2, view.kept())
        };
        let (seen, kept) = ramp(&[(50, 10, 10)]);
        assert!((seen - 1.0).abs() < 1e-4 && (kept - 1.0).abs() < 1e-9, "{seen} {kept}");
        let (seen, kept) = ramp(&[(50, 99, 1), (50, 50, 50)]);
        assert!(seen < 0.7 && (seen / kept - 1.0).abs() < 1e-4, "{seen} {kept}");
        assert_eq!(BucketSums::new(Values::Log2).view().kept(), 1.0);
    }

    #[test]
    fn since_a_mark_only_what_came_later_counts() {
        let mut sums = BucketSums::new(Values::Indicator);
        let mut later = BucketSums::new(Values::Indicator);
        let add = |sums: &mut BucketSums, window: i64, errors: i64| {
            for bucket in 0..BUCKETS {
                sums.add(Arm::Control, bucket, 4, 1, 1);
                sums.add(Arm::Candidate, bucket, 2, errors, i128::from(errors));
            }
            sums.close_window(Timestamp(window * 10 * SECOND), Timestamp((window + 1) * 10 * SECOND));
        };
        add(&mut sums, 0, 0);
        // The block is still open.
        sums.add(Arm::Candidate, 7, 1, 1, 1);
        sums.close_window(Timestamp(10 * SECOND), Timestamp(20 * SECOND));
        let mark = sums.mark();
        assert_eq!(sums.view().since(&mark), BucketSums::new(Values::Indicator).view());
        for window in 2..5 {
            add(&mut sums, window, 2);
            add(&mut later, window, 2);
        }
        assert_eq!(sums.view().since(&mark), later.view());
        assert_eq!(sums.view().since(&mark).stats(), later.stats());
        let mut w = Writer::default();
        mark.write(&mut w);
        assert_eq!(Mark::read(&mut Reader::new(&w.bytes)).unwrap(), mark);
    }

    #[test]
    fn the_open_block_counts_and_round_trips() {
        let mut sums = BucketSums::new(Values::Indicator);
        sums.add(Arm::Candidate, 3, 4, 1, 1);
        sums.add(Arm::Control, 9, 6, 2, 2);
        sums.close_window(Timestamp(0), Timestamp(10 * SECOND));
        assert_eq!((sums.events(), sums.sums(), sums.view().buckets_hit()), ([6, 4], [2, 1], [1, 1]));
        let mut w = Writer::default();
        sums.write(&mut w);
        assert_eq!(BucketSums::read(&mut Reader::new(&w.bytes)).unwrap(), sums);
        // Ten minutes later the block is closed although it is small.
        sums.close_window(Timestamp(0), Timestamp(10 * MINUTE));
        assert_eq!(sums.block_events(), 0);
        assert_eq!(sums.events(), [6, 4]);
    }
}
