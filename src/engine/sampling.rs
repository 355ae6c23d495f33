//! Whether both arms are sampled alike: weights of lines, compared among requests that a sampler may treat alike.
//!
//! A sampler looks at what a request is (route), how it ended, and how long it took, and at a healthy service both arms
//! have the same mix of these only on average. So weights are compared within strata of (route, outcome, latency) and
//! within blocks of time, and only what is left there says that one arm is sampled at other rates.
//!
//! Within a stratum s let m be the mean weight of all its requests, and R(a, b) the sum of (weight / m - 1) over requests of
//! arm a whose unit falls into bucket b. The comparison is that of Mantel and Haenszel:
//! Z(b) = sum over s of (n0 R(1, b) - n1 R(0, b)) / (n0 + n1), and sum Z(b) / sum (n0 n1 / (n0 + n1)) is the relative
//! difference of the mean weights. Whether it is chance is asked of Y(b) = Z(b) / c(b), where
//! c(b) = sum over s of (n0 n(1, b) + n1 n(0, b)) / (n0 + n1) is the bucket's part of the requests: a few heavy users then weigh
//! no more than all others.
//!
//! Where both arms are sampled alike, Y(b) of different buckets are independent, and as likely positive as negative. Then
//! sum Y >= x sqrt(sum Y^2) with probability at most exp(-x^2 / 2), whatever their sizes (Efron 1969; Hoeffding's bound for
//! random signs): with x = 5 in either direction at most 7.5e-6 a look. sum Y <= sqrt(k sum Y^2) where k buckets carry it, so
//! fewer than 25 users never make a difference, however heavy. The sum of squares is not taken to be smaller than
//! independent requests would make it, for samplers that know only one rate.
//!
//! What this module does not know: flaws, and which of them matter.

use std::collections::BTreeMap;

use crate::compare::bucket::BUCKETS;
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::event::WEIGHT_ONE;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::weights::{StratumKey, WeightTable};
use crate::time::{MINUTE, Micros, Timestamp};

/// Requests that complete a block, at the close of their window.
const BLOCK_REQUESTS: u64 = 200;
/// Longest block in event time.
const BLOCK_TIME: Micros = 10 * MINUTE;
/// One in the fixed point of sums.
const ONE: f64 = (1_u64 << 32) as f64;
/// Standard errors of a difference that is no chance (see the module text).
const DEVIATIONS: f64 = 5.0;
/// Relative difference of mean weights below which nothing is said: a rate of 1 in 20 beside 1 in 21.
const LEAST: f64 = 0.05;
/// Pairs of requests (n0 n1 / (n0 + n1) over strata) before weights are compared: 100 requests in each arm.
const PAIRS_MIN: f64 = 50.0;
/// The same of failed requests: 40 in each arm.
const FAILED_PAIRS_MIN: f64 = 20.0;

/// One comparison of weights between two groups of requests, in 2^-32.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Contrast {
    z: [i128; BUCKETS],
    c: [i128; BUCKETS],
    /// Sum of n0 n1 / (n0 + n1).
    pairs: i128,
    /// Variance of the sum of `z` if requests were independent.
    independent: i128,
}

impl Default for Contrast {
    fn default() -> Self {
        NO_CONTRAST
    }
}

/// Requests and weights of two groups of one stratum, by bucket.
struct Stratum {
    n: [[f64; BUCKETS]; 2],
    weight: [[f64; BUCKETS]; 2],
    squares: f64,
}

impl Default for Stratum {
    fn default() -> Self {
        Stratum { n: [[0.0; BUCKETS]; 2], weight: [[0.0; BUCKETS]; 2], squares: 0.0 }
    }
}

impl Stratum {
    fn add(&mut self, group: usize, bucket: usize, weight: f64, count: u64) {
        let count = count as f64;
        self.n[group & 1][bucket % BUCKETS] += count;
        self.weight[group & 1][bucket % BUCKETS] += weight * count;
        self.squares += weight * weight * count;
    }
}

impl Contrast {
    /// Adds a stratum in which both groups are.
    fn add(&mut self, stratum: &Stratum) {
        let [n0, n1] = stratum.n.each_ref().map(|n| n.iter().sum::<f64>());
        let n = n0 + n1;
        let mean = stratum.weight.iter().flatten().sum::<f64>() / n;
        if n0 < 1.0 || n1 < 1.0 || mean <= 0.0 {
            return;
        }
        let residual = |group: usize, bucket: usize| stratum.weight[group][bucket] / mean - stratum.n[group][bucket];
        for (bucket, (z, c)) in self.z.iter_mut().zip(&mut self.c).enumerate() {
            *z += ((n0 * residual(1, bucket) - n1 * residual(0, bucket)) / n * ONE) as i128;
            *c += ((n0 * stratum.n[1][bucket] + n1 * stratum.n[0][bucket]) / n * ONE) as i128;
        }
        let pairs = n0 * n1 / n;
        let variance = (stratum.squares / (mean * mean * n) - 1.0).max(0.0);
        self.pairs += (pairs * ONE) as i128;
        self.independent += (pairs * variance * ONE) as i128;
    }

    fn pairs(&self) -> f64 {
        self.pairs as f64 / ONE
    }

    fn parts(&self) -> Parts {
        let pairs = self.pairs.max(1) as f64;
        let variance = self.independent as f64 * ONE / (pairs * pairs);
        // Sum of c is twice the pairs.
        let share = self.c.map(|c| c as f64 / (2.0 * pairs));
        Parts { values: self.z.map(|z| z as f64 / pairs), share, variances: share.map(|share| share * variance) }
    }

    fn write(&self, w: &mut Writer) {
        self.z.iter().chain(&self.c).chain([&self.pairs, &self.independent]).for_each(|sum| w.wide(*sum));
    }

    fn read(r: &mut Reader<'_>) -> Result<Contrast, Damaged> {
        let mut contrast = Contrast::default();
        let Contrast { z, c, pairs, independent } = &mut contrast;
        for sum in z.iter_mut().chain(c).chain([pairs, independent]) {
            *sum = r.wide()?;
        }
        Ok(contrast)
    }
}

/// What buckets add to a relative difference.
struct Parts {
    values: [f64; BUCKETS],
    /// Part of the requests.
    share: [f64; BUCKETS],
    /// Variances if requests were independent.
    variances: [f64; BUCKETS],
}

impl Parts {
    /// This difference less another one.
    fn less(&self, other: &Parts) -> Parts {
        Parts {
            values: std::array::from_fn(|bucket| self.values[bucket] - other.values[bucket]),
            share: std::array::from_fn(|bucket| (self.share[bucket] + other.share[bucket]) / 2.0),
            variances: std::array::from_fn(|bucket| self.variances[bucket] + other.variances[bucket]),
        }
    }

    /// The whole difference, where it is none of chance and no small one.
    fn difference(&self) -> Option<f64> {
        let whole: f64 = self.values.iter().sum();
        let (mut sum, mut squares, mut independent) = (0.0, 0.0, 0.0);
        for ((value, share), variance) in self.values.iter().zip(self.share).zip(self.variances) {
            if share > 0.0 {
                sum += value / share;
                squares += value * value / (share * share);
                independent += variance / (share * share);
            }
        }
        let beyond = sum * sum >= DEVIATIONS * DEVIATIONS * f64::max(squares, independent);
        (beyond && whole.is_finite() && whole.abs() > LEAST && (sum > 0.0) == (whole > 0.0)).then_some(whole)
    }
}

/// Weights of requests of both arms.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sampling {
    /// Requests of (control, candidate) in the open block, by what a sampler may look at, bucket and weight.
    block: BTreeMap<u32, [u64; 2]>,
    in_block: u64,
    /// Start of the first window of the open block.
    since: Option<i64>,
    /// Sums of closed blocks; none where no line tells a weight.
    sums: Option<Box<Contrasts>>,
}

/// What closed blocks have come to.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Contrasts {
    /// Arms, among requests that did not fail.
    fine: Contrast,
    /// Arms, among those that failed.
    failed: Contrast,
    /// Failed requests beside others of the same route, both arms together.
    outcome: Contrast,
}

const NO_CONTRAST: Contrast = Contrast { z: [0; BUCKETS], c: [0; BUCKETS], pairs: 0, independent: 0 };
const NO_CONTRASTS: Contrasts = Contrasts { fine: NO_CONTRAST, failed: NO_CONTRAST, outcome: NO_CONTRAST };

impl Sampling {
    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::tree::<u32, [u64; 2]>(self.block.len()) + memory::boxed(&self.sums)
    }

    fn sums(&self) -> &Contrasts {
        self.sums.as_deref().unwrap_or(&NO_CONTRASTS)
    }

    /// Adds the requests of a window, of (control, candidate).
    pub fn close_window(&mut self, tables: &[WeightTable; 2], start: Timestamp, end: Timestamp) {
        for (arm, table) in [Arm::Control, Arm::Candidate].into_iter().zip(tables) {
            for &(key, count) in table.entries() {
                self.block.entry(key).or_default()[arm.at()] += u64::from(count);
                self.in_block += u64::from(count);
            }
        }
        if self.in_block == 0 {
            self.since = None;
            return;
        }
        let since = *self.since.get_or_insert(start.0);
        if self.in_block >= BLOCK_REQUESTS || end.0 - since >= BLOCK_TIME {
            let block = std::mem::take(&mut self.block);
            (self.in_block, self.since) = (0, None);
            self.fold(&block);
        }
    }

    fn fold(&mut self, block: &BTreeMap<u32, [u64; 2]>) {
        let mut arms: BTreeMap<u32, Stratum> = BTreeMap::new();
        let mut outcomes: BTreeMap<u32, Stratum> = BTreeMap::new();
        for (key, counts) in block {
            let key = StratumKey::of(*key);
            let weight = f64::from(key.weight) / f64::from(WEIGHT_ONE);
            for (arm, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                arms.entry(key.stratum).or_default().add(arm, key.bucket, weight, *count);
                outcomes.entry(key.route).or_default().add(usize::from(key.failed), key.bucket, weight, *count);
            }
        }
        let Contrasts { fine, failed, outcome } = &mut **self.sums.get_or_insert_with(|| Box::new(NO_CONTRASTS));
        for (stratum, sums) in &arms {
            if StratumKey::is_failed(*stratum) { failed.add(sums) } else { fine.add(sums) }
        }
        outcomes.values().for_each(|sums| outcome.add(sums));
    }

    /// Requests that did not fail are sampled at another rate in one arm.
    pub fn differs_by_arm(&self) -> bool {
        let fine = &self.sums().fine;
        fine.pairs() >= PAIRS_MIN && fine.parts().difference().is_some()
    }

    /// Failed requests are sampled at another rate than others, and more so in one arm than in the other: their rates cannot be
    /// compared.
    pub fn outcome_differs_by_arm(&self) -> bool {
        let Contrasts { fine, failed, .. } = self.sums();
        fine.pairs() >= FAILED_PAIRS_MIN
            && failed.pairs() >= FAILED_PAIRS_MIN
            && failed.parts().less(&fine.parts()).difference().is_some()
    }

    /// Of failed requests fewer lines were kept than of others of the same route, in both arms alike.
    pub fn failures_are_thinned(&self) -> bool {
        let outcome = &self.sums().outcome;
        outcome.pairs() >= FAILED_PAIRS_MIN && outcome.parts().difference().is_some_and(|more| more > 0.0)
    }

    /// Writes the sums.
    pub fn write(&self, w: &mut Writer) {
        w.length(self.block.len());
        for (key, counts) in &self.block {
            w.uint(u64::from(*key));
            counts.iter().for_each(|count| w.uint(*count));
        }
        w.uint(self.in_block);
        w.flag(self.since.is_some());
        w.int(self.since.unwrap_or(0));
        w.flag(self.sums.is_some());
        if let Some(Contrasts { fine, failed, outcome }) = self.sums.as_deref() {
            [fine, failed, outcome].into_iter().for_each(|contrast| contrast.write(w));
        }
    }

    /// Reads what [`Sampling::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Sampling, Damaged> {
        let mut sampling = Sampling::default();
        for _ in 0..r.length()? {
            let key = r.uint32()?;
            sampling.block.insert(key, [r.uint()?, r.uint()?]);
        }
        sampling.in_block = r.uint()?;
        let (open, since) = (r.flag()?, r.int()?);
        sampling.since = open.then_some(since);
        if r.flag()? {
            let (fine, failed, outcome) = (Contrast::read(r)?, Contrast::read(r)?, Contrast::read(r)?);
            sampling.sums = Some(Box::new(Contrasts { fine, failed, outcome }));
        }
        Ok(sampling)
    }
}
