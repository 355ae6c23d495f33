//! Sampling weights of requests: sparse counts by what a sampler may look at, bucket of the unit, and weight.
//!
//! Only where a plan reads a sampling rate; other logs leave the table empty. A key has, from the top: route (8 bits of a hash),
//! whether the request failed (1), octave of its latency (4), bucket of the unit (6), weight (11 bits: none, then 32 steps an
//! octave from one on; 1 in N is exact for N up to 64).

use crate::event::{self, Event, WEIGHT_ONE};
use crate::sketch::latency::LatencyTable;

/// Bits below the stratum: bucket and weight.
const STRATUM_SHIFT: u32 = 17;
/// Bits of the latency's octave.
const LATENCY_BITS: u32 = 4;
/// Latencies below 2^11 us share the first octave, those from 2^25 us on the last; 0 is none.
const FIRST_OCTAVE: u32 = 11;
/// Steps of an octave of weights, as a power of two.
const STEP_BITS: u32 = 5;
/// Octave of [`WEIGHT_ONE`].
const ONE_OCTAVE: u32 = WEIGHT_ONE.ilog2();

/// Step of a weight: 0 for none, else 32 an octave.
fn step_of(weight: u32) -> u16 {
    if weight == 0 {
        return 0;
    }
    let weight = weight.max(WEIGHT_ONE);
    let octave = weight.ilog2();
    let step = weight >> (octave - STEP_BITS) & ((1 << STEP_BITS) - 1);
    (1 + ((octave - ONE_OCTAVE) << STEP_BITS) + step) as u16
}

/// Smallest weight of a step, in units of 1 / [`WEIGHT_ONE`].
fn weight_of(step: u32) -> u32 {
    let Some(step) = step.checked_sub(1) else { return 0 };
    let octave = (ONE_OCTAVE + (step >> STEP_BITS)).min(31);
    ((1 << STEP_BITS) + (step & ((1 << STEP_BITS) - 1))) << (octave - STEP_BITS)
}

/// Counts of requests by key.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WeightTable(LatencyTable);

impl WeightTable {
    /// Adds a request of a plan that reads sampling rates.
    #[inline]
    pub fn add(&mut self, event: &Event) {
        let latency = match event.latency_us {
            event::NO_LATENCY => 0,
            us => us.max(1).ilog2().clamp(FIRST_OCTAVE, FIRST_OCTAVE + 14) - FIRST_OCTAVE + 1,
        };
        let route = u32::from(event.sampling.saturating_sub(1)) & 0xff;
        let stratum = (route << 1 | u32::from(event.error)) << LATENCY_BITS | latency;
        self.0.add(stratum << 6 | event::bucket_of(event.unit), step_of(event.weight));
    }

    /// Appends another table; the result must be settled.
    pub fn append(&mut self, other: &WeightTable) {
        self.0.append(&other.0);
    }

    /// Takes another table in; the result must be settled.
    pub fn take_in(&mut self, other: WeightTable) {
        self.0.take_in(other.0);
    }

    /// The table as one of keys and counts.
    pub(super) fn table(&self) -> &LatencyTable {
        &self.0
    }

    /// The table as one of keys and counts.
    pub(super) fn table_mut(&mut self) -> &mut LatencyTable {
        &mut self.0
    }

    /// Sorts and adds up equal keys: the canonical form.
    pub fn settle(&mut self) {
        self.0.settle();
    }

    /// (key, requests), sorted; only of a settled table.
    pub fn entries(&self) -> &[(u32, u32)] {
        self.0.entries()
    }
}

/// What a key says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StratumKey {
    /// Route, outcome and latency.
    pub stratum: u32,
    /// Route.
    pub route: u32,
    /// The requests failed.
    pub failed: bool,
    /// Bucket of the units.
    pub bucket: usize,
    /// Weight of each request, in units of 1 / [`WEIGHT_ONE`].
    pub weight: u32,
}

impl StratumKey {
    /// Reads a key.
    pub fn of(key: u32) -> StratumKey {
        let stratum = key >> STRATUM_SHIFT;
        StratumKey {
            stratum,
            route: stratum >> (LATENCY_BITS + 1),
            failed: StratumKey::is_failed(stratum),
            bucket: (key >> 11 & 63) as usize,
            weight: weight_of(key & 0x7ff),
        }
    }

    /// Requests of a stratum failed.
    pub fn is_failed(stratum: u32) -> bool {
        stratum >> LATENCY_BITS & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::WEIGHT_MAX;

    #[test]
    fn weights_of_one_in_many_are_exact_and_none_is_far_off() {
        for times in 1..=64 {
            assert_eq!(weight_of(u32::from(step_of(times * WEIGHT_ONE))), times * WEIGHT_ONE);
        }
        assert_eq!(weight_of(u32::from(step_of(0))), 0);
        for weight in (WEIGHT_ONE..WEIGHT_MAX).step_by(7_654_321) {
            let read = weight_of(u32::from(step_of(weight)));
            assert!(read <= weight && weight - read <= weight / 32, "{weight} as {read}");
        }
        assert!(step_of(WEIGHT_MAX) < 1 << 11);
    }
}
