//! Latency metrics of one comparison: mean of the logarithm, and shares above thresholds that freeze early.
//!
//! Thresholds are the quantiles of the first requests of both arms pooled, blind to the arm. They freeze at the close
//! of the window in which enough requests have been seen; the windows before it are kept and enter then. With a history
//! (see [`crate::engine::user_effects`]) they are known from the start, and what is usual for each unit is taken from its
//! values.

use std::sync::{Arc, LazyLock};

use crate::compare::margin;
use crate::engine::bucket_sums::{BucketSums, Values};
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::engine::user_effects::Effects;
use crate::math;
use crate::pipeline::metric::GAUGE_PARTS;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::{BINS, Histogram, LatencyTable, bin_low, bin_middle, log2_fixed};
use crate::time::Timestamp;

/// A share of requests above a frozen threshold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Above the median.
    P50,
    /// Above the 90th percentile.
    P90,
    /// Above the 99th percentile.
    P99,
}

impl Level {
    /// Every level, in order.
    pub const ALL: [Level; 3] = [Level::P50, Level::P90, Level::P99];

    /// Share of requests below the threshold.
    pub fn quantile(self) -> f64 {
        match self {
            Level::P50 => 0.5,
            Level::P90 => 0.9,
            Level::P99 => 0.99,
        }
    }

    /// Share of requests above the threshold.
    pub fn exceedance(self) -> f64 {
        match self {
            Level::P50 => 0.5,
            Level::P90 => 0.1,
            Level::P99 => 0.01,
        }
    }

    /// Margin of the exceedance.
    pub fn margin(self) -> f64 {
        match self {
            Level::P50 => margin::EXCEEDANCE_P50,
            Level::P90 => margin::EXCEEDANCE_P90,
            Level::P99 => margin::EXCEEDANCE_P99,
        }
    }

    /// Pooled requests after which the threshold freezes (statistics design 4.3).
    fn requests(self) -> u64 {
        match self {
            Level::P50 | Level::P90 => 200,
            Level::P99 => 500,
        }
    }
}

/// A window whose requests wait for a threshold.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Waiting {
    start: i64,
    end: i64,
    tables: [Vec<(u32, u32)>; 2],
}

/// What of a value is averaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scale {
    /// Its binary logarithm.
    Log2,
    /// The binary logarithm of one more than it, of values in parts of a gauge: what is 0 has a place, and weighs no more than others.
    Log2OfOneMore,
}

/// [`Scale::Log2OfOneMore`] of the middle of each bin, in 16.16 fixed point.
static OF_ONE_MORE: LazyLock<Vec<i32>> = LazyLock::new(|| {
    let of = |bin: u16| {
        let value = if bin_low(bin) == 0 { 0.0 } else { bin_middle(bin) / GAUGE_PARTS as f64 };
        (math::ln(1.0 + value) / core::f64::consts::LN_2 * 65_536.0).round() as i32
    };
    (0..BINS as u16).map(of).collect()
});

impl Scale {
    #[inline]
    fn of(self, bin: u16) -> i32 {
        match self {
            Scale::Log2 => log2_fixed(bin),
            Scale::Log2OfOneMore => OF_ONE_MORE.get(usize::from(bin)).copied().unwrap_or(0),
        }
    }
}

/// State of the latency metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LatencyTests {
    /// Logarithm of latency, or what else the scale is.
    pub mean: BucketSums,
    scale: Scale,
    /// Shares above thresholds, in the order of [`Level::ALL`].
    pub above: [BucketSums; 3],
    /// Bins above which a request counts, once frozen.
    thresholds: [Option<u16>; 3],
    pooled: Histogram,
    waiting: Vec<Waiting>,
    /// What is usual for each unit, where a history tells it.
    effects: Option<Arc<Effects>>,
    /// Squares of the open window's values from which the usual was taken, of (control, candidate).
    squares: [i128; 2],
}

impl Default for LatencyTests {
    fn default() -> Self {
        LatencyTests {
            mean: BucketSums::new(Values::Log2),
            scale: Scale::Log2,
            above: [
                BucketSums::new(Values::Indicator),
                BucketSums::new(Values::Indicator),
                BucketSums::new(Values::Indicator),
            ],
            thresholds: [None; 3],
            pooled: Histogram::default(),
            waiting: Vec::new(),
            effects: None,
            squares: [0; 2],
        }
    }
}

impl LatencyTests {
    /// Tests of what differs from the usual of each unit; without `effects`, of plain values.
    pub fn new(effects: Option<Arc<Effects>>) -> LatencyTests {
        let Some(effects) = effects else { return LatencyTests::default() };
        LatencyTests {
            mean: BucketSums::adjusted(Values::Log2),
            above: [
                BucketSums::adjusted(Values::Indicator),
                BucketSums::adjusted(Values::Indicator),
                BucketSums::adjusted(Values::Indicator),
            ],
            thresholds: effects.thresholds.map(Some),
            effects: Some(effects),
            ..LatencyTests::default()
        }
    }

    /// Tests of plain values on a scale.
    pub fn on(scale: Scale) -> LatencyTests {
        LatencyTests { scale, ..LatencyTests::default() }
    }

    /// What is usual for each unit, where a history tells it.
    pub fn effects(&self) -> Option<&Arc<Effects>> {
        self.effects.as_ref()
    }

    /// A unit makes `requests` in the window that closes next, the first of them with latency `bin`.
    #[inline]
    pub fn unit(&mut self, arm: Arm, unit: u64, bucket: usize, requests: u32, bin: u16) {
        let Some(effects) = &self.effects else { return };
        let (effect, n) = (effects.of(unit), i128::from(requests));
        self.mean.expect(arm, bucket, (i128::from(effect.on_mean()) * n) << 32);
        for (level, sums) in Level::ALL.into_iter().zip(&mut self.above) {
            sums.expect(arm, bucket, i128::from(effect.on_share(level)) * n);
        }
        // Of the others of the window only their sum is known. The first stands for them: this is the floor of a variance.
        let value = i128::from(i64::from(log2_fixed(bin)) - effect.on_mean());
        self.squares[arm.at()] += value * value * n;
    }

    /// The bin above which a request counts at a level, once frozen.
    pub fn threshold(&self, level: Level) -> Option<u16> {
        self.thresholds[level as usize]
    }

    /// A window closes with these requests of (control, candidate).
    pub fn close_window(&mut self, tables: [&LatencyTable; 2], start: Timestamp, end: Timestamp) {
        let scale = self.scale;
        for (arm, table) in [Arm::Control, Arm::Candidate].into_iter().zip(tables) {
            for (bucket, bin, count) in table.iter() {
                let value = i64::from(scale.of(bin));
                let n = count as i64;
                let square = if self.effects.is_some() { 0 } else { i128::from(value * value) * i128::from(n) };
                self.mean.add(arm, bucket, count, value * n, square);
            }
            self.mean.add(arm, 0, 0, 0, std::mem::take(&mut self.squares[arm.at()]));
        }
        self.mean.close_window(start, end);
        let frozen_before = self.thresholds;
        if frozen_before[Level::P99 as usize].is_none() {
            for table in tables {
                table.iter().for_each(|(_, bin, count)| self.pooled.add(bin, count));
            }
            // A service that logs no latency must not fill this for ever.
            if tables.iter().any(|table| !table.is_empty()) {
                let tables = tables.map(|table| table.entries().to_vec());
                self.waiting.push(Waiting { start: start.0, end: end.0, tables });
            }
        }
        for level in Level::ALL {
            let at = level as usize;
            match frozen_before[at] {
                Some(threshold) => {
                    add_above(&mut self.above[at], threshold, tables);
                    self.above[at].close_window(start, end);
                }
                None if self.pooled.count >= level.requests() => self.freeze(level),
                None => {}
            }
        }
        if self.thresholds[Level::P99 as usize].is_some() {
            self.waiting = Vec::new();
            self.pooled = Histogram::default();
        }
    }

    fn freeze(&mut self, level: Level) {
        let at = level as usize;
        let Some(threshold) = self.pooled.quantile_bin(level.quantile()) else { return };
        self.thresholds[at] = Some(threshold);
        for window in &self.waiting {
            let tables = window.tables.clone().map(LatencyTable::from_entries);
            add_above(&mut self.above[at], threshold, [&tables[0], &tables[1]]);
            self.above[at].close_window(Timestamp(window.start), Timestamp(window.end));
        }
    }

    /// Bytes on the heap, those of the effects included.
    pub fn bytes(&self) -> u64 {
        let of_table = |table: &Vec<(u32, u32)>| memory::list::<(u32, u32)>(table.len());
        self.mean.bytes()
            + self.above.iter().map(BucketSums::bytes).sum::<u64>()
            + memory::list::<u64>(self.pooled.len())
            + memory::list::<Waiting>(self.waiting.len())
            + self.waiting.iter().flat_map(|waiting| &waiting.tables).map(of_table).sum::<u64>()
            + self.effects.as_ref().map_or(0, |effects| effects.bytes())
    }

    /// Writes the state; of the effects only their hash, since they never change.
    pub fn write(&self, w: &mut Writer) {
        self.mean.write(w);
        self.above.iter().for_each(|sums| sums.write(w));
        self.thresholds.iter().for_each(|bin| w.uint(bin.map_or(0, |bin| u64::from(bin) + 1)));
        w.length(self.pooled.iter().count());
        for (bin, count) in self.pooled.iter() {
            w.uint(u64::from(bin));
            w.uint(count);
        }
        w.length(self.waiting.len());
        for window in &self.waiting {
            w.int(window.start);
            w.int(window.end);
            for table in &window.tables {
                w.length(table.len());
                for (key, count) in table {
                    w.uint(u64::from(*key));
                    w.uint(u64::from(*count));
                }
            }
        }
        w.fixed(self.effects.as_ref().map_or(0, |effects| effects.digest));
    }

    /// Reads what [`LatencyTests::write`] wrote. `effects`, `scale`: those that it had.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>, effects: Option<Arc<Effects>>, scale: Scale) -> Result<LatencyTests, Damaged> {
        let mut tests = LatencyTests { effects, scale, mean: BucketSums::read(r)?, ..LatencyTests::default() };
        for sums in &mut tests.above {
            *sums = BucketSums::read(r)?;
        }
        for threshold in &mut tests.thresholds {
            *threshold = match r.uint16()? {
                0 => None,
                bin => Some(bin - 1),
            };
        }
        for _ in 0..r.length()? {
            let bin = r.uint16()?;
            tests.pooled.add(bin, r.uint()?);
        }
        for _ in 0..r.length()? {
            let (start, end) = (r.int()?, r.int()?);
            let mut tables = [Vec::new(), Vec::new()];
            for table in &mut tables {
                for _ in 0..r.length()? {
                    table.push((r.uint32()?, r.uint32()?));
                }
            }
            tests.waiting.push(Waiting { start, end, tables });
        }
        if r.fixed()? != tests.effects.as_ref().map_or(0, |effects| effects.digest) {
            return Err(Damaged("other effects"));
        }
        Ok(tests)
    }
}

fn add_above(sums: &mut BucketSums, threshold: u16, tables: [&LatencyTable; 2]) {
    for (arm, table) in [Arm::Control, Arm::Candidate].into_iter().zip(tables) {
        for (bucket, bin, count) in table.iter() {
            let above = if bin > threshold { count as i64 } else { 0 };
            sums.add(arm, bucket, count, above, i128::from(above));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::bucket;
    use crate::engine::user_effects::Learning;
    use crate::event;
    use crate::sketch::latency::bin_of;
    use crate::time::MINUTE;

    fn table(latencies: impl Iterator<Item = u64>) -> LatencyTable {
        let mut table = LatencyTable::default();
        latencies.enumerate().for_each(|(i, us)| table.add(i as u32 % 64, bin_of(us)));
        table.settle();
        table
    }

    #[test]
    fn thresholds_freeze_once_and_waiting_requests_enter() {
        let mut tests = LatencyTests::default();
        let empty = LatencyTable::default();
        let first = table((1..=150).map(|i| i * 1000));
        tests.close_window([&first, &empty], Timestamp(0), Timestamp(10));
        assert_eq!(Level::ALL.map(|level| tests.threshold(level)), [None; 3]);
        assert_eq!(tests.above[0].events(), [0, 0]);
        let second = table((1..=60).map(|i| i * 1000));
        tests.close_window([&empty, &second], Timestamp(10), Timestamp(20));
        assert!(tests.threshold(Level::P50).is_some() && tests.threshold(Level::P99).is_none());
        assert_eq!(tests.above[0].events(), [150, 60]);
        let before = tests.threshold(Level::P50);
        let third = table((1..=400).map(|i| i * 3000));
        tests.close_window([&third, &empty], Timestamp(20), Timestamp(30));
        assert_eq!(tests.threshold(Level::P50), before);
        assert!(tests.threshold(Level::P99).is_some());
        assert_eq!(tests.above.each_ref().map(BucketSums::events), [[550, 60]; 3]);
        let mut w = Writer::default();
        tests.write(&mut w);
        assert_eq!(LatencyTests::read(&mut Reader::new(&w.bytes), None, Scale::Log2).unwrap(), tests);
    }

    #[test]
    fn with_a_history_slow_users_do_not_hide_slow_code() {
        // Half of the users are ten times as slow; by chance more of them are in the control. The candidate adds a tenth.
        let user = |i: u64| event::mix(i, 55);
        let usual = |i: u64| if i.is_multiple_of(2) { 20_000.0 } else { 200_000.0 };
        let mut learning = Learning::new("old", Timestamp(0));
        for quarter in 0..100 {
            (0..2_000).for_each(|i| learning.request(user(i), bin_of(usual(i) as u64 + i)));
            learning.close_window(Timestamp((quarter + 1) * 15 * MINUTE));
        }
        let in_candidate = |i: u64| i.is_multiple_of(3) && (i.is_multiple_of(2) || i % 5 > 1);
        let log_e = |effects: Option<Arc<Effects>>| {
            let mut tests = LatencyTests::new(effects);
            for window in 0..20i64 {
                let mut tables = [LatencyTable::default(), LatencyTable::default()];
                for i in 0..2_000 {
                    let arm = if in_candidate(i) { Arm::Candidate } else { Arm::Control };
                    let us = usual(i) * if arm == Arm::Candidate { 1.1 } else { 1.0 };
                    let (bin, bucket) = (bin_of(us as u64 + i), event::bucket_of(user(i)));
                    tests.unit(arm, user(i), bucket as usize, 1, bin);
                    tables[arm.at()].add(bucket, bin);
                }
                tables.iter_mut().for_each(LatencyTable::settle);
                tests.close_window(
                    [&tables[0], &tables[1]],
                    Timestamp(window * MINUTE),
                    Timestamp((window + 1) * MINUTE),
                );
            }
            let [control, candidate] = tests.mean.stats();
            let difference = candidate.mean - control.mean;
            (difference, bucket::log_e_fail(&candidate, &control, margin::LATENCY_MEAN, bucket::Variance::Adjusted))
        };
        let (raw, plain) = log_e(None);
        let (adjusted, with_history) = log_e(learning.effects());
        assert!(raw < -0.1, "slow users weigh on the control: {raw}");
        assert!(
            (adjusted - 0.0953).abs() < 0.03,
            "a tenth slower, less what shrinking and shared cells leave: {adjusted}"
        );
        assert!(plain < 1.0 && with_history > 15.0, "{plain} {with_history}");
    }

    #[test]
    fn thresholds_wait_for_their_requests() {
        let mut tests = LatencyTests::default();
        let empty = LatencyTable::default();
        for (pooled, more, frozen) in [
            (199, 199, [false, false, false]),
            (200, 1, [true, true, false]),
            (499, 299, [true, true, false]),
            (500, 1, [true, true, true]),
        ] {
            let requests = table((1..=more).map(|i| i * 1_000));
            tests.close_window([&requests, &empty], Timestamp(0), Timestamp(10));
            assert_eq!(Level::ALL.map(|level| tests.threshold(level).is_some()), frozen, "{pooled} requests");
        }
    }
}
