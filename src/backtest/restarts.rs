//! Restart bursts: most instances of a version come anew within minutes, and the old ones are not seen again.
//!
//! Only what has a name of its own can be seen to come: a process that starts again under the name of its host, or a
//! container inside the same pod, does not show.

use std::collections::BTreeMap;

use crate::backtest::deploy::Restart;
use crate::backtest::served::SLOT;
use crate::time::{HOUR, MINUTE, Micros, Timestamp};

/// Time within which the instances come.
const BURST: Micros = 10 * MINUTE;
/// Instances that make a burst.
const NEW_MIN: usize = 3;
/// Time for which a version must have served before.
const SERVED_BEFORE: Micros = 30 * MINUTE;
/// Instances are forgotten after so long a silence.
const FORGOTTEN: Micros = 24 * HOUR;
/// Instances of one service that are told apart, and its versions.
const INSTANCES_MAX: usize = 4_096;
/// Restarts of one service that are kept.
const RESTARTS_MAX: usize = 4_096;

/// When an instance was seen.
#[derive(Clone, Copy, Debug)]
struct Seen {
    first: i64,
    last: i64,
}

/// A burst that may prove to be a restart.
#[derive(Clone, Debug)]
struct Burst {
    version: String,
    at: i64,
    new: usize,
    /// End of the slot in which it was noticed.
    noticed: i64,
}

/// Instances of one service.
#[derive(Clone, Debug, Default)]
pub(super) struct Instances {
    /// By version and name.
    seen: BTreeMap<(String, String), Seen>,
    /// First time of each version.
    versions: BTreeMap<String, i64>,
    slot: i64,
    bursts: Vec<Burst>,
    found: Vec<Restart>,
}

impl Instances {
    /// An instance logged in a window under a version.
    pub(super) fn add(&mut self, start: Timestamp, version: &str, instance: &str) {
        let slot = start.0.div_euclid(SLOT);
        if slot > self.slot {
            self.close(slot * SLOT);
            self.slot = slot;
        }
        // Past the bound a version is not known to have served before, and nothing of it is a burst.
        if !self.versions.contains_key(version) && self.versions.len() < INSTANCES_MAX {
            self.versions.insert(version.to_owned(), start.0);
        }
        let key = (version.to_owned(), instance.to_owned());
        let room = self.seen.len() < INSTANCES_MAX;
        match self.seen.get_mut(&key) {
            Some(seen) => seen.last = start.0,
            None if room => {
                self.seen.insert(key, Seen { first: start.0, last: start.0 });
            }
            None => {}
        }
    }

    /// The restarts that were found; `service`: whose instances these are.
    pub(super) fn finish(mut self, service: &str, end: Timestamp) -> Vec<Restart> {
        self.close(end.0);
        self.settle(end.0, 0);
        self.found.iter_mut().for_each(|restart| service.clone_into(&mut restart.service));
        self.found
    }

    /// A slot that ended at `now` is over.
    fn close(&mut self, now: i64) {
        self.seen.retain(|_, seen| seen.last >= now - FORGOTTEN);
        self.settle(now, BURST);
        let mut new: BTreeMap<&str, (usize, i64)> = BTreeMap::new();
        for ((version, _), seen) in self.seen.iter().filter(|(_, seen)| seen.first >= now - BURST) {
            let is_known = self.versions.get(version).is_some_and(|first| seen.first - first >= SERVED_BEFORE);
            let is_told = || {
                self.bursts.iter().any(|burst| burst.version == *version)
                    || self.found.iter().rev().any(|of| of.version == *version && now - of.at.0 <= 3 * BURST)
            };
            if is_known && !is_told() {
                let of = new.entry(version).or_insert((0, i64::MAX));
                *of = (of.0 + 1, of.1.min(seen.first));
            }
        }
        for (version, (new, at)) in new {
            if new >= NEW_MIN && 2 * new >= self.before(version, at).count() {
                self.bursts.push(Burst { version: version.to_owned(), at, new, noticed: now });
            }
        }
    }

    /// Instances of a version that served shortly before a time.
    fn before<'i>(&'i self, version: &'i str, at: i64) -> impl Iterator<Item = &'i Seen> {
        let of = self.seen.iter().filter(move |((of, _), _)| of == version).map(|(_, seen)| seen);
        of.filter(move |seen| seen.first < at && seen.last >= at - SERVED_BEFORE)
    }

    /// Bursts noticed so long ago are restarts where as many old instances are gone as half of those that came.
    fn settle(&mut self, now: i64, after: Micros) {
        for burst in std::mem::take(&mut self.bursts) {
            if now - burst.noticed < after {
                self.bursts.push(burst);
                continue;
            }
            let in_burst = |seen: &&Seen| seen.first >= burst.at && seen.first < burst.at + BURST;
            let of_version = self.seen.iter().filter(|((of, _), _)| *of == burst.version).map(|(_, seen)| seen);
            let new = of_version.filter(in_burst).count().max(burst.new);
            let gone = self.before(&burst.version, burst.at).filter(|seen| seen.last < burst.at + BURST).count();
            if gone >= NEW_MIN && 2 * gone >= new && self.found.len() < RESTARTS_MAX {
                let at = Timestamp(burst.at);
                self.found.push(Restart { service: String::new(), version: burst.version, at, new, gone });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each minute, instances `from..until` of version v log.
    fn found(minutes: &[(i64, std::ops::Range<u32>)]) -> Vec<(i64, usize, usize)> {
        let mut instances = Instances::default();
        let mut minute = 0;
        for (number, range) in minutes {
            for _ in 0..*number {
                range.clone().for_each(|at| instances.add(Timestamp(minute * MINUTE), "v", &format!("pod-{at}")));
                minute += 1;
            }
        }
        let restarts = instances.finish("shop", Timestamp(minute * MINUTE));
        restarts.iter().map(|restart| (restart.at.0 / MINUTE, restart.new, restart.gone)).collect()
    }

    #[test]
    fn instances_that_come_anew_are_a_restart_and_more_of_them_are_none() {
        assert_eq!(found(&[(60, 0..10), (60, 10..20)]), [(60, 10, 10)]);
        // One after the other.
        assert_eq!(found(&[(61, 0..10), (2, 3..13), (2, 6..16), (60, 10..20)]), [(61, 10, 10)]);
        // Scaled up, scaled down, one pod replaced, a new version.
        assert_eq!(found(&[(60, 0..10), (60, 0..20)]), []);
        assert_eq!(found(&[(60, 0..10), (60, 0..5)]), []);
        assert_eq!(found(&[(60, 0..10), (60, 1..11)]), []);
        assert_eq!(found(&[(10, 0..10), (60, 10..20)]), []);
        // Twice.
        assert_eq!(found(&[(60, 0..10), (90, 10..20), (90, 20..30)]), [(60, 10, 10), (150, 10, 10)]);
    }
}
