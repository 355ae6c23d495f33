//! Quantiles of numbers by bins of 1/64 octave: at most .8 % from the value. Those of latencies are the bins that verdicts count by,
//! so that both say the same of the same requests.

/// Numbers in bins of 1/64 octave.
#[derive(Clone, Default, Debug)]
pub(super) struct Histogram {
    above: Bins,
    zeros: u64,
    /// Numbers below zero without their sign.
    below: Bins,
    /// Values are milliseconds, and bins are of whole microseconds.
    is_latency: bool,
    min: f64,
    max: f64,
    values: u64,
}

/// Numbers above zero, by bin.
#[derive(Clone, Default, Debug)]
struct Bins {
    /// Bin of the first count.
    low: u32,
    counts: Vec<u64>,
}

/// Microseconds of a millisecond.
const MICROS: f64 = 1e3;

/// Bits of a number below its bin: sign, exponent and six bits of the fraction make the bin.
const BELOW_BIN: u32 = 52 - 6;

impl Bins {
    fn add(&mut self, value: f64, weight: u64) {
        let bin = (value.to_bits() >> BELOW_BIN) as u32;
        if self.counts.is_empty() {
            self.low = bin;
        }
        if bin < self.low {
            let more = (self.low - bin) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.low = bin;
        }
        let at = (bin - self.low) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(at) {
            *count += weight;
        }
    }

    fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The middle of the bin in which the value of this rank is, counted from 1.
    fn middle(&self, rank: u64) -> Option<f64> {
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        let edge = |bin: u32| f64::from_bits(u64::from(bin) << BELOW_BIN);
        let bin = self.low + at as u32;
        Some((edge(bin) + edge(bin + 1)) / 2.0)
    }
}

impl Histogram {
    /// Of latencies in milliseconds.
    pub(super) fn of_latencies() -> Histogram {
        Histogram { is_latency: true, ..Histogram::default() }
    }

    /// Counts a value so many times.
    pub(super) fn add(&mut self, value: f64, weight: u64) {
        (self.min, self.max) =
            if self.values == 0 { (value, value) } else { (self.min.min(value), self.max.max(value)) };
        self.values += weight;
        if value == 0.0 {
            self.zeros += weight;
        } else if value < 0.0 {
            self.below.add(-value, weight);
        } else {
            self.above.add(if self.is_latency { (value * MICROS).round().max(1.0) } else { value }, weight);
        }
    }

    /// The value with this share of values at or below it: the middle of its bin, and (but for latencies, of which a verdict says the
    /// middle) no further out than any value.
    pub(super) fn quantile(&self, share: f64) -> Option<f64> {
        if self.values == 0 {
            return None;
        }
        let rank = ((share * self.values as f64).ceil() as u64).clamp(1, self.values);
        let below = self.below.count();
        let middle = if rank <= below {
            // The least is the one that is furthest from zero.
            self.below.middle(below + 1 - rank).map(|middle| -middle)
        } else if rank <= below + self.zeros {
            Some(0.0)
        } else {
            self.above.middle(rank - below - self.zeros)
        };
        Some(match middle {
            Some(middle) if self.is_latency => middle / MICROS,
            Some(middle) => middle.clamp(self.min, self.max),
            None => self.max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::latency;

    #[test]
    fn quantiles_are_within_a_bin() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        let mut values: Vec<f64> = (0..10_000).map(|at| 1.0007f64.powi((at * 7_919) % 10_000)).collect();
        values.iter().for_each(|value| histogram.add(*value, 1));
        values.sort_by(f64::total_cmp);
        for share in [0.0, 0.01, 0.5, 0.9, 0.99, 1.0] {
            let rank = ((share * 10_000.0f64).ceil() as usize).clamp(1, 10_000);
            let (found, exact) = (histogram.quantile(share).unwrap(), values[rank - 1]);
            assert!((found / exact - 1.0).abs() < 0.008, "{share}: {found} for {exact}");
        }
        histogram.add(-3.0, 1);
        histogram.add(0.0, 1);
        assert_eq!(histogram.quantile(0.0), Some(-3.0));
    }

    #[test]
    fn values_below_zero_have_bins_of_their_own() {
        let mut histogram = Histogram::default();
        let mut values: Vec<f64> = (-5_000..5_000).map(|at| f64::from(at * 7_919 % 5_000) / 3.0).collect();
        values.iter().for_each(|value| histogram.add(*value, 1));
        values.sort_by(f64::total_cmp);
        for share in [0.0, 0.1, 0.25, 0.5, 0.75, 1.0] {
            let rank = ((share * 10_000.0f64).ceil() as usize).clamp(1, 10_000);
            let (found, exact) = (histogram.quantile(share).unwrap(), values[rank - 1]);
            assert!((found - exact).abs() <= 0.008 * exact.abs(), "{share}: {found} for {exact}");
        }
    }

    /// Whatever latencies there are, a search and a verdict say the same of them.
    #[test]
    fn latencies_have_the_bins_of_verdicts() {
        for us in (64..200_000u64).step_by(97).chain([1_000, 1_023, 1_024, 1_025, 30_847, 30_848, 99_999_999]) {
            let mut histogram = Histogram::of_latencies();
            histogram.add(us as f64 / 1e3, 1);
            let of_verdict = latency::bin_middle(latency::bin_of(us)) / 1e3;
            let said = histogram.quantile(0.5).unwrap();
            assert!((said - of_verdict).abs() < 1e-9 * of_verdict, "{us}: {said}, and {of_verdict} in a verdict");
        }
    }
}
