//! State of one bucket test: residuals from the common time course, by bucket of units and arm, in fixed point.
//!
//! A block is a run of windows with at least 50 events; its pooled mean is taken from each value, so that whatever
//! moves both arms alike (time of day, incidents, ramps) is gone. Sums are integers, so they are exact and free of
//! order. Source: the time adjustment of the bucket test, statistics design 4.2.

use crate::compare::bucket::{self, ArmStats, BUCKETS};
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

/// Sums of one arm.
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
}

impl Default for ArmSums {
    fn default() -> Self {
        ArmSums { residual: [0; BUCKETS], n: [0; BUCKETS], sum: [0; BUCKETS], square: 0 }
    }
}

/// The open block of one arm.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Block {
    n: [u64; BUCKETS],
    sum: [i64; BUCKETS],
    /// What is usual for the units, 2^-32.
    expected: [i128; BUCKETS],
    square: i128,
}

impl Default for Block {
    fn default() -> Self {
        Block { n: [0; BUCKETS], sum: [0; BUCKETS], expected: [0; BUCKETS], square: 0 }
    }
}

impl ArmSums {
    fn write(&self, w: &mut Writer) {
        for bucket in 0..BUCKETS {
            w.wide(self.residual[bucket]);
            w.uint(self.n[bucket]);
            w.int(self.sum[bucket]);
        }
        w.wide(self.square);
    }

    fn read(r: &mut Reader<'_>) -> Result<ArmSums, Damaged> {
        let mut sums = ArmSums::default();
        for bucket in 0..BUCKETS {
            sums.residual[bucket] = r.wide()?;
            sums.n[bucket] = r.uint()?;
            sums.sum[bucket] = r.int()?;
        }
        sums.square = r.wide()?;
        Ok(sums)
    }
}

/// The sums as they were when a restart began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark(Box<[ArmSums; 2]>);

impl Mark {
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketSums {
    values: Values,
    /// What is usual for each unit is taken from its values: they may vary less than independent events would.
    adjusted: bool,
    arms: [ArmSums; 2],
    block: [Block; 2],
    /// Start of the first window of the open block.
    block_start: Option<i64>,
}

impl BucketSums {
    /// Nothing counted.
    pub fn new(values: Values) -> BucketSums {
        BucketSums { values, adjusted: false, arms: Default::default(), block: Default::default(), block_start: None }
    }

    /// Nothing counted; what is usual for each unit will be told by [`BucketSums::expect`].
    pub fn adjusted(values: Values) -> BucketSums {
        BucketSums { adjusted: true, ..BucketSums::new(values) }
    }

    /// Takes from the values of a bucket what is usual for their units: `expected` in 2^-32.
    #[inline]
    pub fn expect(&mut self, arm: Arm, bucket: usize, expected: i128) {
        self.block[arm.at()].expected[bucket % BUCKETS] += expected;
    }

    /// Adds `n` events of a bucket whose values sum to `sum` and whose squares sum to `square`.
    #[inline]
    pub fn add(&mut self, arm: Arm, bucket: usize, n: u64, sum: i64, square: i128) {
        let block = &mut self.block[arm.at()];
        let bucket = bucket % BUCKETS;
        block.n[bucket] += n;
        block.sum[bucket] += sum;
        block.square += square;
    }

    /// A window closes; its events have been added.
    pub fn close_window(&mut self, start: Timestamp, end: Timestamp) {
        let events: u64 = self.block.iter().flat_map(|block| block.n).sum();
        if events == 0 {
            self.block_start = None;
            return;
        }
        let since = *self.block_start.get_or_insert(start.0);
        if events >= BLOCK_EVENTS || end.0 - since >= BLOCK_TIME {
            let block = std::mem::take(&mut self.block);
            Self::fold(&mut self.arms, &block);
            self.block_start = None;
        }
    }

    /// Pooled mean of a block in 2^-32, and its folding into the sums. `square` of an adjusted block is one of values from
    /// which the usual was taken.
    fn fold(arms: &mut [ArmSums; 2], block: &[Block; 2]) {
        let events: u64 = block.iter().flat_map(|block| block.n).sum();
        if events == 0 {
            return;
        }
        let value = |block: &Block, bucket: usize| (i128::from(block.sum[bucket]) << FRACTION) - block.expected[bucket];
        let total: i128 = block.iter().flat_map(|block| (0..BUCKETS).map(|bucket| value(block, bucket))).sum();
        let mean = total.div_euclid(i128::from(events));
        for (arm, block) in arms.iter_mut().zip(block) {
            let (mut n, mut sum) = (0i128, 0i128);
            for bucket in 0..BUCKETS {
                arm.residual[bucket] += value(block, bucket) - mean * i128::from(block.n[bucket]);
                arm.n[bucket] += block.n[bucket];
                arm.sum[bucket] += block.sum[bucket];
                n += i128::from(block.n[bucket]);
                sum += value(block, bucket);
            }
            // Sum of (y - mean)^2 = sum y^2 - 2 mean sum y + n mean^2.
            let product = |a: i128, b: i128| (a >> (FRACTION / 2)) * (b >> (FRACTION / 2));
            arm.square += (block.square << FRACTION) - 2 * product(mean, sum) + product(n * mean, mean);
        }
    }

    /// Events of (control, candidate), the open block included.
    pub fn events(&self) -> [u64; 2] {
        [0, 1].map(|arm| self.arms[arm].n.iter().chain(&self.block[arm].n).sum())
    }

    /// Sum of values of (control, candidate), the open block included.
    pub fn sums(&self) -> [i64; 2] {
        [0, 1].map(|arm| self.arms[arm].sum.iter().chain(&self.block[arm].sum).sum())
    }

    /// Closes the open block, so that what comes later shares no mean with what came before.
    pub fn mark(&mut self) -> Mark {
        let block = std::mem::take(&mut self.block);
        Self::fold(&mut self.arms, &block);
        self.block_start = None;
        Mark(Box::new(self.arms.clone()))
    }

    /// All sums, the open block added provisionally.
    pub fn view(&self) -> View {
        let mut arms = self.arms.clone();
        Self::fold(&mut arms, &self.block);
        View { values: self.values, adjusted: self.adjusted, arms }
    }

    /// (control, candidate) as the tests take them, the open block added provisionally.
    pub fn stats(&self) -> [ArmStats; 2] {
        self.view().stats()
    }

    /// Writes the sums.
    pub fn write(&self, w: &mut Writer) {
        w.byte(self.values as u8);
        w.flag(self.adjusted);
        for (arm, block) in self.arms.iter().zip(&self.block) {
            arm.write(w);
            for bucket in 0..BUCKETS {
                w.uint(block.n[bucket]);
                w.int(block.sum[bucket]);
                w.wide(block.expected[bucket]);
            }
            w.wide(block.square);
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
        let mut sums = BucketSums { adjusted: r.flag()?, ..BucketSums::new(values) };
        for (arm, block) in sums.arms.iter_mut().zip(&mut sums.block) {
            *arm = ArmSums::read(r)?;
            for bucket in 0..BUCKETS {
                block.n[bucket] = r.uint()?;
                block.sum[bucket] = r.int()?;
                block.expected[bucket] = r.wide()?;
            }
            block.square = r.wide()?;
        }
        let open = r.flag()?;
        let start = r.int()?;
        sums.block_start = open.then_some(start);
        Ok(sums)
    }
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
        }
        self
    }

    /// Events of (control, candidate).
    pub fn events(&self) -> [u64; 2] {
        self.arms.each_ref().map(|arm| arm.n.iter().sum())
    }

    /// Sum of values of (control, candidate).
    pub fn sums(&self) -> [i64; 2] {
        self.arms.each_ref().map(|arm| arm.sum.iter().sum())
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
        assert_eq!(sums.block, <[Block; 2]>::default());
        assert_eq!(sums.events(), [6, 4]);
    }
}
