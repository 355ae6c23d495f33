//! Metrics of one's own: shares of lines, lines for each request, and numbers that lines say.
//!
//! Each is a bucket test, as latency is (statistics design 4.2): residuals from the common time course by bucket of units, one-sided in
//! the direction that does harm. A gauge is the mean of the logarithm of one more than it and the shares above the quantiles of its first
//! values, blind to the arm, which are together one e-value: a mean of e-values is one.
//!
//! A value counts for the arm that its line names, where it is of a service of the release; else for that of its unit in the current
//! stratum, as business events do.

use crate::compare::bucket::{self, ArmStats, Variance};
use crate::compare::margin;
use crate::engine::bucket_sums::{BucketSums, Values, View};
use crate::engine::fail::enough_latencies;
use crate::engine::flaws::{UNIT_DIFFERENCE, differs_from};
use crate::engine::latency_tests::{LatencyTests, Level, Scale};
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::event;
use crate::math;
use crate::pipeline::metric::{GAUGE_PARTS, Metric, MetricKind};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::{BINS, Histogram, LatencyTable, bin_low, bin_middle};
use crate::time::Timestamp;

/// Lines of each arm before it is compared what they lack.
const LINES_MIN: u64 = 10;
/// Difference in the share of values that cannot be read that breaks a gauge, as of latencies that are missing.
const UNREAD_DIFFERENCE: f64 = 0.01;
/// Events of each arm below which nothing is tested.
const EVENTS_MIN: u64 = 200;
/// Of what is counted, and of lines of a ratio that are found and that are not, so many in all.
const HITS_MIN: i64 = 10;
/// Buckets of units with a value other than 0, over both arms: of fewer, a few units decide.
const BUCKETS_MIN: usize = 25;
/// Halvings of the sample that a count makes up for.
const WEIGHT_BITS_MAX: u32 = 20;
/// Margin of a count, in parts of its mean over both arms: 5 %, as of latency. It is the scale of the test.
const COUNT_MARGIN: f64 = 0.05;

/// What a window's lines say of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// Hash of the unit; 0 where the lines name none.
    pub unit: u64,
    /// Index of the metric in the policy.
    pub metric: u8,
    /// What they say: 0 or 1, of a gauge a bin of thousandths; `None` where that is no number from 0 on.
    pub bin: Option<u16>,
    /// Lines.
    pub lines: u32,
    /// Arm that they name, where they are of a service of the release.
    pub arm: Option<Arm>,
}

/// State of one metric.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetricTest {
    /// What is measured.
    pub metric: Metric,
    /// Values of a ratio or a count.
    values: BucketSums,
    /// Values of a gauge.
    gauge: Box<Gauge>,
    /// Lines since the comparison began.
    pub lines: u64,
    /// Lines among them that name no unit.
    pub without_unit: u64,
    /// Those of them that name (control, candidate).
    nobodys: [u64; 2],
    /// Lines that were counted for (control, candidate).
    pub counted: [u64; 2],
    /// Lines among them of units that were not active in the stratum.
    pub unassigned: u64,
    /// Values past the largest that can be told apart.
    pub beyond: u64,
    /// Lines of (control, candidate) whose value is no number from 0 on.
    pub unread: [u64; 2],
    /// The smallest sample of units that a window had, as the largest keyed hash in it.
    range: u64,
}

/// State of a gauge.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Gauge {
    tests: LatencyTests,
    /// Values of the open window of (control, candidate).
    window: [LatencyTable; 2],
    /// All values of (control, candidate).
    all: [Histogram; 2],
}

impl Default for Gauge {
    fn default() -> Gauge {
        Gauge { tests: LatencyTests::on(Scale::Log2OfOneMore), window: Default::default(), all: Default::default() }
    }
}

impl MetricTest {
    /// Nothing was seen yet.
    pub fn new(metric: Metric) -> MetricTest {
        let values = match metric.kind {
            MetricKind::Ratio | MetricKind::Gauge => Values::Indicator,
            MetricKind::Count => Values::Count,
        };
        MetricTest {
            metric,
            values: BucketSums::new(values),
            gauge: Box::default(),
            lines: 0,
            without_unit: 0,
            nobodys: [0; 2],
            counted: [0; 2],
            unassigned: 0,
            beyond: 0,
            unread: [0; 2],
            range: u64::MAX,
        }
    }

    /// The lines of the window that come next are those of the units whose keyed hash is at most `range`.
    pub fn sample(&mut self, range: u64) {
        self.range = self.range.min(range);
    }

    /// Share of units that were followed in the busiest window.
    pub fn followed(&self) -> f64 {
        self.range as f64 / u64::MAX as f64
    }

    /// Requests of the window: what a count is held against.
    pub fn requests(&mut self, arm: Arm, bucket: usize, requests: u64) {
        if self.metric.kind == MetricKind::Count {
            self.values.add(arm, bucket, requests, 0, 0);
        }
    }

    /// Lines say so; `arm`: of their unit, `None` where it has none; `range`: the sample of units of the window.
    pub fn add(&mut self, of: &Measured, arm: Option<Arm>, range: u64) {
        // Each unit of a sample stands for those that are not in it; lines of nobody are all here.
        let weight = if of.unit == 0 { 1 } else { 1u64 << range.leading_zeros().min(WEIGHT_BITS_MAX) };
        let lines = u64::from(of.lines) * weight;
        self.lines += lines;
        if of.unit == 0 {
            self.without_unit += lines;
            if let Some(arm) = of.arm {
                self.nobodys[arm.at()] += lines;
            }
            return;
        }
        let Some(arm) = of.arm.or(arm) else {
            self.unassigned += lines;
            return;
        };
        self.counted[arm.at()] += lines;
        let Some(bin) = of.bin else {
            self.unread[arm.at()] += lines;
            return;
        };
        let bucket = event::bucket_of(of.unit);
        let met = i64::from(bin.min(1)) * i64::from(of.lines);
        match self.metric.kind {
            MetricKind::Ratio => self.values.add(arm, bucket as usize, u64::from(of.lines), met, i128::from(met)),
            MetricKind::Count => {
                // All requests are counted.
                let weight = weight as i64;
                let square = i128::from(met) * i128::from(weight) * i128::from(weight);
                self.values.add(arm, bucket as usize, 0, met.saturating_mul(weight), square);
            }
            MetricKind::Gauge => {
                self.gauge.window[arm.at()].add_count(bucket, bin, of.lines);
                self.gauge.all[arm.at()].add(bin, u64::from(of.lines));
                self.beyond += if usize::from(bin) + 1 >= BINS { lines } else { 0 };
            }
        }
    }

    /// A window closes; what it brings has been added.
    pub fn close_window(&mut self, start: Timestamp, end: Timestamp) {
        if self.metric.kind != MetricKind::Gauge {
            self.values.close_window(start, end);
            return;
        }
        let Gauge { tests, window, .. } = &mut *self.gauge;
        window.iter_mut().for_each(LatencyTable::settle);
        let tables = std::mem::take(window);
        tests.close_window([&tables[0], &tables[1]], start, end);
    }

    /// The sums that are tested and shown: of a gauge, on its scale.
    fn sums(&self) -> &BucketSums {
        match self.metric.kind {
            MetricKind::Ratio | MetricKind::Count => &self.values,
            MetricKind::Gauge => &self.gauge.tests.mean,
        }
    }

    /// Difference of means that is the scale of the test.
    fn margin(&self, view: &View) -> f64 {
        let (events, sums) = (view.events(), view.sums());
        let [n, sum] = [events.iter().sum::<u64>(), sums.iter().sum::<i64>().max(0) as u64];
        match self.metric.kind {
            MetricKind::Ratio => margin::error_margin(margin::running_base_rate(sum, n)),
            MetricKind::Count => COUNT_MARGIN * sum as f64 / n.max(1) as f64,
            // The same relative change moves the logarithm of one more than a value by less where the value is small.
            MetricKind::Gauge => {
                let typical = typical(sum as f64 / n.max(1) as f64 * NATURAL);
                margin::LATENCY_MEAN * typical / (1.0 + typical)
            }
        }
    }

    /// ln e against "not worse", where there is enough to test.
    pub fn log_e(&self) -> Option<f64> {
        let view = self.sums().view();
        let margin = self.margin(&view);
        match self.metric.kind {
            MetricKind::Ratio | MetricKind::Count => {
                let stats = enough(&view, self.metric.kind)?;
                Some(self.worse(&stats, margin))
            }
            MetricKind::Gauge => {
                let mean = self.worse(&enough_latencies(&view, 1.0)?, margin);
                // That the greatest values become fewer is no harm by itself.
                let levels: &[Level] = if self.metric.harms { &Level::ALL } else { &[Level::P50] };
                let of_level = |level: &Level| {
                    let view = self.gauge.tests.above[*level as usize].view();
                    enough_latencies(&view, level.exceedance()).map_or(0.0, |stats| self.worse(&stats, level.margin()))
                };
                let all: Vec<f64> = std::iter::once(mean).chain(levels.iter().map(of_level)).collect();
                Some(math::log_mean_exp(&all))
            }
        }
    }

    /// ln e of one bucket test in the direction that does harm.
    fn worse(&self, [control, candidate]: &[ArmStats; 2], margin: f64) -> f64 {
        let turned = |of: &ArmStats| if self.metric.harms { *of } else { ArmStats { mean: -of.mean, ..*of } };
        bucket::log_e_fail(&turned(candidate), &turned(control), margin, Variance::Adjusted)
    }

    /// Lines of one arm lack their unit, or a value that can be read, more often: what they tell is in no test, and would decide.
    pub fn is_broken(&self) -> bool {
        let all = [0, 1].map(|arm| self.nobodys[arm].saturating_add(self.counted[arm]));
        differs_from(self.nobodys, all, UNIT_DIFFERENCE, LINES_MIN)
            || differs_from(self.unread, self.counted, UNREAD_DIFFERENCE, LINES_MIN)
    }

    /// What it is in (control, candidate): a share, lines for each request, or the typical value of a gauge: what one more than each value has
    /// as its geometric mean, less one.
    pub fn values(&self) -> [Option<f64>; 2] {
        let (events, sums) = (self.sums().events(), self.sums().sums());
        [0, 1].map(|arm| {
            let mean = (events[arm] > 0).then(|| sums[arm] as f64 / events[arm] as f64)?;
            Some(match self.metric.kind {
                MetricKind::Ratio | MetricKind::Count => mean,
                MetricKind::Gauge => typical(mean * NATURAL),
            })
        })
    }

    /// 50th, 90th and 99th percentile of a gauge in (control, candidate).
    pub fn quantiles(&self) -> [[Option<f64>; 3]; 2] {
        let of = |all: &Histogram| {
            let value = |bin: u16| if bin_low(bin) == 0 { 0.0 } else { bin_middle(bin) / GAUGE_PARTS as f64 };
            Level::ALL.map(|level| all.quantile_bin(level.quantile()).map(value))
        };
        self.gauge.all.each_ref().map(of)
    }

    /// Events behind the values of (control, candidate): lines, or requests of a count.
    pub fn events(&self) -> [u64; 2] {
        self.sums().events()
    }

    /// Difference of the candidate's mean to the control's with its interval that holds at any time: (estimate, low, high), of a gauge
    /// in parts of the control's typical value. `None` where there is too little.
    pub fn difference(&self, alpha: f64) -> Option<(f64, f64, f64)> {
        let view = self.sums().view();
        let [control, candidate] = match self.metric.kind {
            MetricKind::Ratio | MetricKind::Count => enough(&view, self.metric.kind)?,
            MetricKind::Gauge => enough_latencies(&view, 1.0)?,
        };
        let kept = view.kept();
        let (low, high) = bucket::interval(&candidate, &control, self.margin(&view) * kept, alpha);
        let all = [(candidate.mean - control.mean) / kept, low / kept, high / kept];
        let [estimate, low, high] = match self.metric.kind {
            MetricKind::Ratio | MetricKind::Count => all,
            MetricKind::Gauge => {
                let mean = self.sums().sums()[0] as f64 / self.sums().events()[0].max(1) as f64 * NATURAL;
                let base = Some(typical(mean)).filter(|base| *base > 0.0)?;
                all.map(|more| typical(mean + more).max(0.0) / base - 1.0)
            }
        };
        Some((estimate, low, high))
    }

    /// Nothing more comes: what only further values need goes.
    pub fn keep_the_gist(&mut self) {
        let empty = LatencyTests::on(Scale::Log2OfOneMore);
        let mean = std::mem::replace(&mut self.gauge.tests, empty).mean;
        self.gauge.tests.mean = mean;
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::text(&self.metric.name)
            + memory::text(&self.metric.field)
            + self.values.bytes()
            + size_of::<Gauge>() as u64
            + self.gauge.tests.bytes()
            + self.gauge.all.iter().map(|all| memory::list::<u64>(all.len())).sum::<u64>()
    }

    /// Writes the state, between windows.
    pub fn write(&self, w: &mut Writer) {
        w.text(&self.metric.name);
        w.byte(self.metric.kind as u8);
        w.text(&self.metric.field);
        w.flag(self.metric.harms);
        [self.lines, self.without_unit, self.unassigned, self.beyond].into_iter().for_each(|count| w.uint(count));
        self.nobodys.into_iter().chain(self.counted).chain(self.unread).for_each(|count| w.uint(count));
        w.fixed(self.range);
        if self.metric.kind != MetricKind::Gauge {
            self.values.write(w);
            return;
        }
        self.gauge.tests.write(w);
        for all in &self.gauge.all {
            w.length(all.iter().count());
            for (bin, count) in all.iter() {
                w.uint(u64::from(bin));
                w.uint(count);
            }
        }
    }

    /// Reads what [`MetricTest::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<MetricTest, Damaged> {
        let name = r.text()?;
        let kind = MetricKind::ALL.get(usize::from(r.byte()?)).copied().ok_or(Damaged("unknown kind of metric"))?;
        let mut of = MetricTest::new(Metric { name, kind, field: r.text()?, harms: r.flag()? });
        [of.lines, of.without_unit, of.unassigned, of.beyond] = [r.uint()?, r.uint()?, r.uint()?, r.uint()?];
        of.nobodys = [r.uint()?, r.uint()?];
        of.counted = [r.uint()?, r.uint()?];
        of.unread = [r.uint()?, r.uint()?];
        of.range = r.fixed()?;
        if kind != MetricKind::Gauge {
            of.values = BucketSums::read(r)?;
            return Ok(of);
        }
        of.gauge.tests = LatencyTests::read(r, None, Scale::Log2OfOneMore)?;
        for all in &mut of.gauge.all {
            for _ in 0..r.length()? {
                let bin = r.uint16()?;
                all.add(bin, r.uint()?);
            }
        }
        Ok(of)
    }
}

/// One step of [`Scale`] as a natural logarithm.
const NATURAL: f64 = core::f64::consts::LN_2 / 65_536.0;

/// The value whose natural logarithm of one more this is.
fn typical(ln_of_one_more: f64) -> f64 {
    math::exp(ln_of_one_more) - 1.0
}

/// Minimum rule of ratios and counts: of what is counted some, over users enough.
fn enough(view: &View, kind: MetricKind) -> Option<[ArmStats; 2]> {
    let [control, candidate] = view.events();
    let met: i64 = view.sums().iter().sum();
    let missed = match kind {
        MetricKind::Ratio => i64::try_from(control + candidate).unwrap_or(i64::MAX) - met,
        MetricKind::Count | MetricKind::Gauge => i64::MAX,
    };
    let hit: usize = view.buckets_hit().iter().sum();
    (control.min(candidate) >= EVENTS_MIN && met.min(missed) >= HITS_MIN && hit >= BUCKETS_MIN).then(|| view.stats())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::latency::bin_of;
    use crate::time::MINUTE;

    fn metric(kind: MetricKind, harms: bool) -> MetricTest {
        MetricTest::new(Metric { name: "m".to_owned(), kind, field: "f".to_owned(), harms })
    }

    /// 60 windows of 200 units, every second of them in the candidate; `value` of (unit, window, arm).
    fn run(of: &mut MetricTest, value: impl Fn(u64, i64, Arm) -> u16) {
        for window in 0..60i64 {
            for n in 0..200u64 {
                let arm = if n.is_multiple_of(2) { Arm::Control } else { Arm::Candidate };
                let unit = event::mix(n, 9);
                of.requests(arm, event::bucket_of(unit) as usize, 4);
                let bin = value(event::mix(unit ^ window as u64, 3), window, arm);
                of.add(&Measured { unit, metric: 0, bin: Some(bin), lines: 1, arm: None }, Some(arm), u64::MAX);
            }
            of.close_window(Timestamp(window * MINUTE), Timestamp((window + 1) * MINUTE));
        }
    }

    #[test]
    fn each_kind_says_when_the_candidate_is_worse_and_only_then() {
        type Value = fn(u64, i64, Arm) -> u16;
        let hit = |random: u64, percent: u64| u16::from(random % 100 < percent);
        let hit: fn(u64, u64) -> u16 = hit;
        let worse_ratio: Value = |random, _, arm| u16::from(random % 100 < if arm == Arm::Candidate { 80 } else { 90 });
        let same_ratio: Value = |random, window, _| u16::from(random % 100 < 90 - (window as u64 % 3) * 20);
        let more: Value = |random, _, arm| u16::from(random % 100 < if arm == Arm::Candidate { 40 } else { 20 });
        let slower: Value = |random, _, arm| bin_of((100 + random % 900) * if arm == Arm::Candidate { 14 } else { 10 });
        let same: Value = |random, window, _| bin_of((100 + random % 900) * (10 + window as u64));
        assert_eq!(hit(5, 6), 1);
        for (kind, harms, worse, alike) in [
            (MetricKind::Ratio, false, worse_ratio, same_ratio),
            (MetricKind::Count, true, more, same_ratio),
            (MetricKind::Gauge, true, slower, same),
        ] {
            let mut of = metric(kind, harms);
            run(&mut of, worse);
            let log_e = of.log_e().unwrap();
            assert!(log_e > 8.0, "{kind:?}: {log_e}");
            // The other way round it is no harm.
            let mut other = metric(kind, !harms);
            run(&mut other, worse);
            assert!(other.log_e().unwrap() < 0.0, "{kind:?}: {:?}", other.log_e());
            let mut of = metric(kind, harms);
            run(&mut of, alike);
            assert!(of.log_e().unwrap() < 2.0, "{kind:?}: {:?}", of.log_e());
            let (_, low, high) = of.difference(0.05).unwrap();
            assert!(low < 0.0 && high > 0.0, "{kind:?}: {low} {high}");
        }
    }

    /// Users differ a lot, and a few do most of all; arms are theirs for ever. Nothing is worse, and every look may tell otherwise.
    #[test]
    fn a_healthy_candidate_is_hardly_ever_found_worse() {
        const RUNS: u64 = 150;
        let uniform = |of: u64| (of >> 11) as f64 / (1u64 << 53) as f64;
        for (kind, harms) in MetricKind::ALL.into_iter().flat_map(|kind| [(kind, true), (kind, false)]) {
            let mut found = 0;
            for seed in 0..RUNS {
                let mut of = metric(kind, harms);
                let mut most = 0.0f64;
                for window in 0..40i64 {
                    for n in 0..150u64 {
                        let unit = event::mix(n, seed + 1_000);
                        let random = event::mix(unit ^ window as u64, 3);
                        let level = uniform(event::mix(unit, 8));
                        // A tenth of users is there in each window, the others in one of four.
                        if n >= 15 && random.is_multiple_of(4) {
                            continue;
                        }
                        let arm = if event::mix(unit, 4).is_multiple_of(3) { Arm::Candidate } else { Arm::Control };
                        let lines = if n < 15 { 6 } else { 1 };
                        of.requests(arm, event::bucket_of(unit) as usize, u64::from(lines));
                        let is_met = uniform(event::mix(random, 5)) < 0.1 + 0.3 * level;
                        let bin = match kind {
                            MetricKind::Gauge => {
                                bin_of((100.0 * (1.0 + 9.0 * level) * (0.3 + uniform(event::mix(random, 6)))) as u64)
                            }
                            MetricKind::Ratio | MetricKind::Count => u16::from(is_met),
                        };
                        if kind != MetricKind::Count || is_met {
                            of.add(
                                &Measured { unit, metric: 0, bin: Some(bin), lines, arm: None },
                                Some(arm),
                                u64::MAX,
                            );
                        }
                    }
                    of.close_window(Timestamp(window * MINUTE), Timestamp((window + 1) * MINUTE));
                    most = most.max(of.log_e().unwrap_or(0.0));
                }
                found += u64::from(most >= math::ln(20.0));
            }
            // One in twenty at most, by what an e-value is.
            assert!(found * 20 <= RUNS, "{kind:?} {harms}: {found} of {RUNS}");
        }
    }

    #[test]
    fn values_are_in_the_words_of_the_log() {
        let mut of = metric(MetricKind::Gauge, true);
        run(&mut of, |_, _, arm| bin_of(if arm == Arm::Candidate { 3_000 } else { 2_500 }));
        let [Some(control), Some(candidate)] = of.values() else { panic!("no values") };
        assert!((control - 2.5).abs() < 0.03 && (candidate - 3.0).abs() < 0.03, "{control} {candidate}");
        let [[p50, ..], _] = of.quantiles();
        assert!((p50.unwrap() - 2.5).abs() < 0.03, "{p50:?}");
        let mut of = metric(MetricKind::Count, true);
        run(&mut of, |_, _, arm| u16::from(arm == Arm::Candidate));
        assert_eq!(of.values(), [Some(0.0), Some(0.25)]);
    }

    #[test]
    fn what_is_written_is_read() {
        for kind in MetricKind::ALL {
            let mut of = metric(kind, true);
            run(&mut of, |random, _, _| (random % 2) as u16);
            let mut w = Writer::default();
            of.write(&mut w);
            assert_eq!(MetricTest::read(&mut Reader::new(&w.bytes)).unwrap(), of);
        }
    }

    #[test]
    fn lines_of_nobody_are_in_no_test_and_break_it_where_one_arm_has_them() {
        let mut of = metric(MetricKind::Ratio, true);
        run(&mut of, |random, _, _| (random % 2) as u16);
        let before = of.log_e();
        for _ in 0..2_000 {
            let nobody = Measured { unit: 0, metric: 0, bin: Some(1), lines: 1, arm: Some(Arm::Candidate) };
            of.add(&nobody, None, u64::MAX);
        }
        of.add(&Measured { unit: 7, metric: 0, bin: Some(1), lines: 3, arm: None }, None, u64::MAX);
        assert_eq!((of.log_e(), of.without_unit, of.unassigned), (before, 2_000, 3));
        assert!(of.is_broken());
    }
}
