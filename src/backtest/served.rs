//! Who served: requests of each version of a service in slots of five minutes, and when one version took over from another.
//!
//! Counts come from closed windows, in order of event time; nothing here is a test.

use std::collections::{BTreeMap, VecDeque};

use crate::backtest::deploy::Side;
use crate::rival::FlaggerConfig;
use crate::sketch::latency::{BINS, bin_middle};
use crate::sketch::partial::Cell;
use crate::time::{MINUTE, Micros, Timestamp};

/// Length of a slot.
pub(super) const SLOT: Micros = 5 * MINUTE;
/// Slots before and after a change of versions that are told of: an hour each.
const SIDE_SLOTS: usize = 12;
/// Time that each side covers at most.
pub(super) const SIDE: Micros = SIDE_SLOTS as Micros * SLOT;
/// Requests of a slot below which it tells nothing.
const REQUESTS_MIN: u64 = 20;
/// Share of requests from which a version holds the service: no canary has as much.
const HOLDS: f64 = 0.8;
/// Changes of versions of one service that are kept.
const TAKEOVERS_MAX: usize = 4_096;

/// Counts of requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    requests: u64,
    errors: u64,
    /// (bin of latency, requests), ascending.
    latency: Vec<(u16, u64)>,
}

impl Counts {
    /// What a window says of one service and version.
    pub(super) fn of(cell: &Cell) -> Counts {
        let mut counts = Counts { requests: cell.requests, errors: cell.errors, latency: Vec::new() };
        // Of many services each has few entries; clearing all bins for them would cost more than sorting.
        if cell.latency.len() < BINS {
            counts.latency.extend(cell.latency.iter().map(|(_, bin, count)| (bin, count)));
            counts.gather();
            return counts;
        }
        let mut by_bin = [0u64; BINS];
        for (_, bin, count) in cell.latency.iter() {
            by_bin[usize::from(bin)] += count;
        }
        counts.latency.extend((0..).zip(by_bin).filter(|(_, count)| *count > 0));
        counts
    }

    pub(super) fn add(&mut self, other: &Counts) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.latency.extend_from_slice(&other.latency);
        self.gather();
    }

    /// One entry a bin, ascending.
    fn gather(&mut self) {
        self.latency.sort_unstable_by_key(|(bin, _)| *bin);
        self.latency.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
    }

    fn quantile_ms(&self, percent: u64) -> Option<f64> {
        let rank = (self.latency.iter().map(|(_, count)| count).sum::<u64>() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let bin = self.latency.iter().find(|(_, count)| {
            seen += *count;
            seen >= rank
        });
        bin.map(|(bin, _)| bin_middle(*bin) / 1_000.0)
    }

    fn side(&self) -> Option<Side> {
        (self.requests > 0).then(|| Side {
            requests: self.requests,
            errors: self.errors,
            p50_ms: self.quantile_ms(50),
            p99_ms: self.quantile_ms(99),
        })
    }

    /// Flagger's documented limits (99 %, 500 ms), or where what is usual would itself be past them, the limits that a team
    /// would have set instead: twice the share of errors, one and a half times the p99. The same as of `calibrate`.
    fn flagger(&self) -> FlaggerConfig {
        let usual = FlaggerConfig::default();
        let errors_percent = 100.0 * self.errors as f64 / self.requests.max(1) as f64;
        let success = usual.success_rate_percent_min.min(100.0 - 2.0 * errors_percent).max(0.0);
        let p99 = self.quantile_ms(99).map(|ms| usual.latency_p99_ms_max.unwrap_or(0.0).max((1.5 * ms).ceil()));
        FlaggerConfig { success_rate_percent_min: success, latency_p99_ms_max: p99, ..usual }
    }
}

/// One version took over from another.
#[derive(Clone, Debug)]
pub(super) struct Takeover {
    pub(super) from: String,
    pub(super) to: String,
    /// Start of the slot from which on the new version held the service.
    pub(super) at: Timestamp,
    before: Counts,
    after: Counts,
}

impl Takeover {
    /// The old version before, and the new one after.
    pub(super) fn sides(&self) -> [Option<Side>; 2] {
        [self.before.side(), self.after.side()]
    }
}

/// Requests of a slot by version.
#[derive(Clone, Debug, Default)]
struct Slot {
    number: i64,
    versions: BTreeMap<String, Counts>,
}

/// One service.
#[derive(Clone, Debug, Default)]
pub(super) struct Served {
    /// All that it served so far.
    all: Counts,
    open: Slot,
    /// The latest slots that are over.
    past: VecDeque<Slot>,
    holder: Option<String>,
    /// Who held the latest slot, where that is not the holder, since which slot.
    rising: Option<(String, i64)>,
    takeovers: Vec<Takeover>,
}

impl Served {
    /// Takes what a window says of a version.
    pub(super) fn add(&mut self, start: Timestamp, version: &str, counts: &Counts) {
        let number = start.0.div_euclid(SLOT);
        if number > self.open.number {
            self.close();
            self.open.number = number;
        }
        self.all.add(counts);
        match self.open.versions.get_mut(version) {
            Some(known) => known.add(counts),
            None => {
                self.open.versions.insert(version.to_owned(), counts.clone());
            }
        }
    }

    /// Limits that a team would have given to Flagger by now.
    pub(super) fn flagger(&self) -> FlaggerConfig {
        self.all.flagger()
    }

    /// Nothing more comes.
    pub(super) fn finish(mut self) -> Vec<Takeover> {
        self.close();
        self.takeovers
    }

    /// The slot that is open is over.
    pub(super) fn end_slot(&mut self) {
        self.close();
    }

    /// Changes of versions so far, in slots that are over.
    pub(super) fn takeovers(&self) -> &[Takeover] {
        &self.takeovers
    }

    fn close(&mut self) {
        let slot = Slot { number: self.open.number, versions: std::mem::take(&mut self.open.versions) };
        let slots_of = |takeover: &Takeover| takeover.at.0.div_euclid(SLOT);
        for takeover in self.takeovers.iter_mut().rev() {
            if slot.number - slots_of(takeover) >= SIDE_SLOTS as i64 {
                break;
            }
            if let Some(counts) = slot.versions.get(&takeover.to) {
                takeover.after.add(counts);
            }
        }
        let requests: u64 = slot.versions.values().map(|counts| counts.requests).sum();
        let holds = |counts: &Counts| counts.requests as f64 > HOLDS * requests as f64;
        let held_by = slot.versions.iter().find(|(_, counts)| requests >= REQUESTS_MIN && holds(counts));
        let held_by = held_by.map(|(version, _)| version.clone());
        let number = slot.number;
        self.past.push_back(slot);
        // One more than are told of: the slot in which both served is neither.
        if self.past.len() > SIDE_SLOTS + 2 {
            self.past.pop_front();
        }
        let Some(version) = held_by else { return };
        let Some(holder) = &self.holder else {
            self.holder = Some(version);
            return;
        };
        if version == *holder {
            self.rising = None;
            return;
        }
        match self.rising.take() {
            Some((rising, since)) if rising == version => self.take_over(version, since),
            Some(_) | None => self.rising = Some((version, number)),
        }
    }

    /// A version has held the service for two slots.
    fn take_over(&mut self, to: String, since: i64) {
        let Some(from) = self.holder.replace(to.clone()) else { return };
        if self.takeovers.len() >= TAKEOVERS_MAX {
            return;
        }
        let (mut before, mut after) = (Counts::default(), Counts::default());
        for slot in &self.past {
            // In the slot before the first that it held, both may have served.
            let (side, version) = if slot.number >= since { (&mut after, &to) } else { (&mut before, &from) };
            if let Some(counts) = slot.versions.get(version)
                && since - slot.number <= SIDE_SLOTS as i64
            {
                side.add(counts);
            }
        }
        self.takeovers.push(Takeover { from, to, at: Timestamp(since * SLOT), before, after });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, errors: u64) -> Counts {
        Counts { requests, errors, latency: vec![(crate::sketch::latency::bin_of(30_000), requests)] }
    }

    /// Slots of 100 requests; of each the share of `b`, in per cent; one request of `b` in ten fails.
    fn served(shares: &[u64]) -> Vec<Takeover> {
        let mut served = Served::default();
        for (slot, share) in (0..).zip(shares) {
            let at = Timestamp(slot * SLOT);
            served.add(at, "a", &counts(100 - share, 0));
            served.add(at, "b", &counts(*share, share / 10));
        }
        served.finish()
    }

    #[test]
    fn a_version_that_holds_two_slots_has_taken_over() {
        for (shares, at) in [
            (vec![0, 0, 0, 100, 100, 100], Some(3)),
            // In the slot between, both served.
            (vec![0, 0, 0, 40, 100, 100], Some(4)),
            (vec![0, 0, 0, 100, 0, 0], None),
            (vec![0, 0, 0, 50, 60, 70], None),
        ] {
            let takeovers = served(&shares);
            assert_eq!(takeovers.first().map(|of| of.at.0 / SLOT), at, "{shares:?}");
            assert!(takeovers.len() <= 1);
        }
    }

    #[test]
    fn before_and_after_are_an_hour_of_one_version_each() {
        let shares: Vec<u64> = [vec![0; 40], vec![30], vec![100; 40]].concat();
        let takeovers = served(&shares);
        let [before, after] = takeovers[0].sides().map(Option::unwrap);
        // Twelve slots before, the last of which is shared.
        assert_eq!((before.requests, before.errors), (1_170, 0));
        assert_eq!((after.requests, after.errors, after.error_rate()), (1_200, 120, 0.1));
        assert!((after.p99_ms.unwrap() - 30.0).abs() < 0.5);
    }

    #[test]
    fn limits_of_flagger_leave_room_for_what_is_usual() {
        let limits = counts(1_000, 20).flagger();
        assert_eq!((limits.success_rate_percent_min, limits.latency_p99_ms_max), (96.0, Some(500.0)));
        let limits = Counts::default().flagger();
        assert_eq!((limits.success_rate_percent_min, limits.latency_p99_ms_max), (99.0, None));
    }
}
