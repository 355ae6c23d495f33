//! Latency: one log-linear histogram a bucket of units, kept sparse.
//!
//! Values are put into bins of 1/64 octave (at most 1.6 % wide). Thresholds of exceedance metrics lie on bin edges, so
//! "above the threshold" is an exact count; the mean of the logarithm is taken over bin middles. One table therefore
//! gives every latency metric, for any threshold, after the fact.

use std::sync::LazyLock;

use crate::math;
use crate::sketch::sort::sort_by_place;

/// Bins of one octave.
const BINS_PER_OCTAVE: u32 = 64;
/// Values from 2^36 us (19 hours) on share the last bin.
const OCTAVE_MAX: u32 = 35;
/// Number of bins.
pub const BINS: usize = ((OCTAVE_MAX - 4) * BINS_PER_OCTAVE) as usize;
/// Bits of a bin in a table key.
const BIN_BITS: u32 = 11;

/// Bin of a latency in microseconds: exact below 64 us, then 64 bins an octave.
pub fn bin_of(us: u64) -> u16 {
    if us < u64::from(BINS_PER_OCTAVE) {
        return us as u16;
    }
    let octave = 63 - us.leading_zeros();
    if octave > OCTAVE_MAX {
        return (BINS - 1) as u16;
    }
    ((octave - 5) * BINS_PER_OCTAVE + ((us >> (octave - 6)) as u32 & 63)) as u16
}

/// Smallest latency (us) of a bin.
pub fn bin_low(bin: u16) -> u64 {
    let bin = u64::from(bin);
    if bin < 64 {
        return bin;
    }
    let octave = bin / 64 + 5;
    (64 + bin % 64) << (octave - 6)
}

/// Middle of a bin in microseconds.
pub fn bin_middle(bin: u16) -> f64 {
    let low = bin_low(bin) as f64;
    let width = if bin < 128 { 1.0 } else { (1u64 << (u64::from(bin) / 64 - 1)) as f64 };
    low + width / 2.0
}

/// log2 of the middle of each bin in 16.16 fixed point: the value of the mean metric.
static LOG2: LazyLock<Vec<i32>> = LazyLock::new(|| {
    (0..BINS as u16)
        .map(|bin| (math::ln(bin_middle(bin)) / core::f64::consts::LN_2 * 65_536.0).round() as i32)
        .collect()
});

/// log2 (of microseconds) of the middle of a bin, 16.16 fixed point.
pub fn log2_fixed(bin: u16) -> i32 {
    LOG2.get(usize::from(bin)).copied().unwrap_or(0)
}

/// Sparse counts by (bucket of the unit, bin), sorted by key once [`LatencyTable::settle`]d.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LatencyTable {
    /// Sorted (bucket << 11 | bin, count).
    settled: Vec<(u32, u32)>,
    /// Keys not yet counted.
    loose: Vec<u32>,
    /// Such keys of tables that were taken in.
    parts: Vec<Vec<u32>>,
}

/// Loose keys from which on they are counted in place of being sorted: the places of all bins are then well used.
const COUNTED_MIN: usize = 1 << 12;
/// Places in which they are counted: those of 64 buckets.
const COUNTED_PLACES_MAX: usize = 64 << BIN_BITS;

impl LatencyTable {
    /// Adds one request.
    #[inline]
    pub fn add(&mut self, bucket: u32, bin: u16) {
        self.loose.push(bucket << BIN_BITS | u32::from(bin));
        if self.loose.len() >= 1 << 16 {
            self.settle();
        }
    }

    /// Adds a count of requests.
    pub fn add_count(&mut self, bucket: u32, bin: u16, count: u32) {
        self.settled.push((bucket << BIN_BITS | u32::from(bin), count));
    }

    /// Appends another table; the result must be settled.
    pub fn append(&mut self, other: &LatencyTable) {
        self.settled.extend_from_slice(&other.settled);
        self.loose.extend_from_slice(&other.loose);
        self.parts.extend_from_slice(&other.parts);
    }

    /// Takes another table in; the result must be settled.
    pub fn take_in(&mut self, other: LatencyTable) {
        if self.is_empty() {
            *self = other;
            return;
        }
        self.settled.extend(other.settled);
        self.parts.extend(std::iter::once(other.loose).chain(other.parts).filter(|keys| !keys.is_empty()));
    }

    /// Keys that are counted one by one so far, and distinct ones that were.
    pub fn len(&self) -> usize {
        self.settled.len() + self.loose.len() + self.parts.iter().map(Vec::len).sum::<usize>()
    }

    /// Counts loose keys, of which there are many, by place; false where they lie too far apart for that.
    fn count_loose(&mut self) -> bool {
        let (bin, bucket) = (|key: u32| key & ((1 << BIN_BITS) - 1), |key: u32| key >> BIN_BITS);
        let keys = || self.parts.iter().flatten().chain(&self.loose).copied();
        let (low, high) = keys().fold((u32::MAX, 0), |(low, high), key| (low.min(bin(key)), high.max(bin(key))));
        let buckets = keys().map(bucket).max().map_or(0, |most| most as usize + 1);
        let width = high.saturating_sub(low) as usize + 1;
        if buckets.saturating_mul(width) > COUNTED_PLACES_MAX {
            return false;
        }
        let mut counts = vec![0u32; buckets * width];
        for key in keys() {
            if let Some(count) = counts.get_mut(bucket(key) as usize * width + (bin(key) - low) as usize) {
                *count = count.saturating_add(1);
            }
        }
        let counted = counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
        let key_of = |at: usize| ((at / width) as u32) << BIN_BITS | ((at % width) as u32 + low);
        self.settled.extend(counted.map(|(at, count)| (key_of(at), count)));
        (self.parts, self.loose) = (Vec::new(), Vec::new());
        true
    }

    /// Sorts and adds up equal keys: the canonical form.
    pub fn settle(&mut self) {
        let loose = self.loose.len() + self.parts.iter().map(Vec::len).sum::<usize>();
        let is_counted = loose >= COUNTED_MIN && self.count_loose();
        if loose > 0 && !is_counted {
            std::mem::take(&mut self.parts).into_iter().for_each(|keys| self.loose.extend(keys));
            sort_by_place(&mut self.loose, |key| u64::from(*key), |key| *key);
            self.settled.reserve(self.loose.len());
            let mut run = self.loose.iter().copied().peekable();
            while let Some(key) = run.next() {
                let mut count = 1u32;
                while run.next_if_eq(&key).is_some() {
                    count = count.saturating_add(1);
                }
                self.settled.push((key, count));
            }
            self.loose.clear();
        }
        if self.settled.is_sorted_by(|a, b| a.0 < b.0) {
            return;
        }
        sort_by_place(&mut self.settled, |entry| u64::from(entry.0), |entry| entry.0);
        self.settled.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
    }

    /// (bucket, bin, count) in order. Only of a settled table.
    pub fn iter(&self) -> impl Iterator<Item = (usize, u16, u64)> + '_ {
        debug_assert!(self.loose.is_empty() && self.parts.is_empty());
        self.settled.iter().map(|&(key, count)| {
            ((key >> BIN_BITS) as usize & 63, (key & ((1 << BIN_BITS) - 1)) as u16, u64::from(count))
        })
    }

    /// Raw sorted entries, for encoding.
    pub fn entries(&self) -> &[(u32, u32)] {
        &self.settled
    }

    /// Rebuilds a table from raw entries.
    pub fn from_entries(settled: Vec<(u32, u32)>) -> LatencyTable {
        let mut table = LatencyTable { settled, ..LatencyTable::default() };
        table.settle();
        table
    }

    /// No request with a latency.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whole-arm histogram for display: counts by bin.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Histogram {
    /// Counts from a first bin on, by whole octaves: those between the least and the greatest that was added.
    bins: Vec<u64>,
    /// The first bin.
    from: u16,
    /// All counts.
    pub count: u64,
}

impl Histogram {
    /// Adds `count` values of a bin.
    pub fn add(&mut self, bin: u16, count: u64) {
        if usize::from(bin) >= BINS {
            return;
        }
        let octave = bin / BINS_PER_OCTAVE as u16 * BINS_PER_OCTAVE as u16;
        if self.bins.is_empty() {
            self.from = octave;
        }
        if octave < self.from {
            let more = usize::from(self.from - octave);
            self.bins.splice(..0, std::iter::repeat_n(0, more));
            self.from = octave;
        }
        let at = usize::from(bin - self.from);
        if at >= self.bins.len() {
            self.bins.resize(usize::from(octave - self.from) + BINS_PER_OCTAVE as usize, 0);
        }
        if let Some(slot) = self.bins.get_mut(at) {
            *slot += count;
            self.count += count;
        }
    }

    /// Bins that are kept.
    pub fn len(&self) -> usize {
        self.bins.len()
    }

    /// Nothing was added.
    pub fn is_empty(&self) -> bool {
        self.bins.is_empty()
    }

    /// Counts by bin in order, without empty bins.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        (self.from..).zip(&self.bins).filter(|(_, count)| **count > 0).map(|(bin, count)| (bin, *count))
    }

    /// Smallest bin with at least `share` of the values at or below it.
    pub fn quantile_bin(&self, share: f64) -> Option<u16> {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        self.iter().find_map(|(bin, count)| {
            seen += count;
            (seen >= rank).then_some(bin)
        })
    }

    /// Quantile in microseconds (middle of its bin).
    pub fn quantile_us(&self, share: f64) -> Option<f64> {
        self.quantile_bin(share).map(bin_middle)
    }

    /// Values in bins above `bin`.
    pub fn above(&self, bin: u16) -> u64 {
        self.iter().filter(|(b, _)| *b > bin).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_ordered_and_narrow() {
        let mut last = 0;
        for us in (0..4_000u64).chain((4_000..1 << 37).step_by(7_654_321)) {
            let bin = bin_of(us);
            assert!(bin >= last, "bin of {us}");
            assert!((usize::from(bin)) < BINS);
            if us < 1 << 36 {
                assert!(bin_low(bin) <= us, "{us} in bin {bin} from {}", bin_low(bin));
                assert!(us < bin_low(bin + 1) || usize::from(bin) == BINS - 1);
                assert!((bin_middle(bin) - us as f64).abs() <= us as f64 / 128.0 + 0.5);
            }
            last = bin;
        }
        assert_eq!(bin_of(u64::MAX - 1), (BINS - 1) as u16);
    }

    #[test]
    fn settles_to_the_same_table_in_any_order() {
        let mut forward = LatencyTable::default();
        let mut backward = LatencyTable::default();
        for keys in [1_000u32, 50_000] {
            let keys: Vec<(u32, u16)> = (0..keys).map(|i| (i * 7 % 64, 20 + (i * i % 300) as u16)).collect();
            keys.iter().for_each(|&(b, v)| forward.add(b, v));
            let (left, right) = keys.split_at(400);
            for part in [right, left] {
                let mut taken = LatencyTable::default();
                part.iter().rev().for_each(|&(b, v)| taken.add_count(b, v, 1));
                backward.take_in(taken);
            }
            let mut parts = LatencyTable::default();
            for part in keys.chunks(3_000) {
                let mut taken = LatencyTable::default();
                part.iter().for_each(|&(b, v)| taken.add(b, v));
                parts.take_in(taken);
            }
            [&mut forward, &mut backward, &mut parts].into_iter().for_each(LatencyTable::settle);
            assert_eq!(forward, backward);
            assert_eq!(forward, parts);
            assert_eq!(forward.iter().map(|(_, _, n)| n).sum::<u64>(), keys.len() as u64);
            (forward, backward) = Default::default();
        }
        // Keys far apart are many places, and are sorted.
        let mut far = LatencyTable::default();
        (0..50_000u32).for_each(|i| far.add((i % 2) << 20, (i % 3) as u16));
        far.settle();
        assert_eq!(far.entries().iter().map(|entry| entry.1).sum::<u32>(), 50_000);
        assert_eq!(far.entries().len(), 6);
    }

    #[test]
    fn quantiles_of_a_known_sample() {
        let mut h = Histogram::default();
        (1..=1000u64).for_each(|us| h.add(bin_of(us), 1));
        assert!((h.quantile_us(0.5).unwrap() - 500.0).abs() < 8.0);
        assert!((h.quantile_us(0.99).unwrap() - 990.0).abs() < 16.0);
        assert_eq!(Histogram::default().quantile_bin(0.5), None);
        // In any order it is the same, and no larger than what lies between.
        let mut back = Histogram::default();
        (1..=1000u64).rev().for_each(|us| back.add(bin_of(us), 1));
        assert_eq!(back, h);
        assert_eq!(h.len() % 64, 0);
        assert!(h.len() <= usize::from(bin_of(1000)) + 64);
        back.add(bin_of(u64::MAX), 1);
        back.add(u16::MAX, 1);
        assert_eq!((back.len(), back.count), (BINS, 1_001));
    }
}
