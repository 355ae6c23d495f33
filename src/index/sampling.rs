//! Which lines are kept where not all are: everything that went wrong and everything of new code, and of the rest one unit in so many.
//!
//! What is kept of the rest says for how many lines it stands, so that counts can be scaled ([`crate::index::Told::weight`]). It is chosen
//! by the unit, so that a unit's lines are there together and units can be counted; a line without one by itself. The choice is the same
//! whoever makes it, so nothing has to be remembered.

use std::collections::BTreeMap;

use crate::event::{Level, identity_hash, mix};
use crate::index::document::{OUTSIDE, REJECT, Told, level_name};
use crate::pipeline::kept::Keep;
use crate::time::{MINUTE, Micros, Timestamp};

/// Key of the sample: it is independent of all others.
const KEY: u64 = 0x5e71_0001;
/// How long all lines of an arm are kept that was not seen before: until somebody says what it is.
const NEW: Micros = 10 * MINUTE;
/// Arms of services that are remembered; those beyond are taken for new.
const ARMS_MAX: usize = 16_384;

/// Chooses lines.
#[derive(Clone, Debug, Default)]
pub struct Sampling {
    /// Arms by service and name: when they were seen first.
    first_seen: BTreeMap<(String, String), Timestamp>,
    /// Arms of new code that is being judged.
    candidates: Vec<String>,
    left_out: u64,
}

impl Sampling {
    /// Arms of new code that is being judged, of whatever service.
    pub fn candidates(&mut self, candidates: Vec<String>) {
        self.candidates = candidates;
    }

    /// Lines that were left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// For how many lines a line stands; `None`: it is not kept. `keep`: what is kept of lines like this one.
    pub fn weight(&mut self, keep: Keep, stream: &str, position: u64, told: &Told<'_>) -> Option<u32> {
        let one_in = match keep {
            Keep::All => return Some(1),
            Keep::Off => {
                self.left_out += 1;
                return None;
            }
            Keep::Sampled(one_in) => one_in.max(1),
        };
        if self.is_kept(told) {
            return Some(1);
        }
        let key = if told.unit == 0 { mix(identity_hash(stream.as_bytes()), position) } else { told.unit };
        if mix(key, KEY).is_multiple_of(u64::from(one_in)) {
            return Some(one_in);
        }
        self.left_out += 1;
        None
    }

    /// A line is kept whatever its unit is.
    fn is_kept(&mut self, told: &Told<'_>) -> bool {
        let severe = [Level::Error, Level::Fatal].map(level_name);
        if told.failed || told.kind == REJECT || severe.contains(&told.level) {
            return true;
        }
        if told.arm.is_empty() || told.kind == OUTSIDE {
            return false;
        }
        if self.candidates.iter().any(|arm| arm == told.arm) {
            return true;
        }
        let key = (told.service.to_owned(), told.arm.to_owned());
        match self.first_seen.get(&key) {
            Some(first) => told.time.0 < first.0.saturating_add(NEW),
            None if self.first_seen.len() >= ARMS_MAX => true,
            None => {
                self.first_seen.insert(key, told.time);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    fn told(unit: u64, arm: &'static str, at: i64) -> Told<'static> {
        Told { service: "shop", arm, kind: "request", unit, ..Told::none(Timestamp(at), None) }
    }

    #[test]
    fn what_is_wrong_or_new_is_kept_and_of_the_rest_whole_units() {
        let mut sampling = Sampling::default();
        let (later, units) = (NEW + 5 * SECOND, 20_000u64);
        for arm in ["1", "2"] {
            assert_eq!(sampling.weight(Keep::Sampled(10), "s", 0, &told(7, arm, 0)), Some(1), "an arm that is new");
        }
        sampling.candidates(vec!["2".to_owned()]);
        let mut kept = 0;
        for unit in 1..=units {
            let unit = identity_hash(&unit.to_le_bytes());
            let weights: Vec<_> =
                (0..3).map(|at| sampling.weight(Keep::Sampled(10), "s", at, &told(unit, "1", later))).collect();
            assert!(weights.iter().all(|weight| *weight == weights[0]), "a unit is kept as a whole");
            kept += u64::from(weights[0] == Some(10));
            assert_eq!(sampling.weight(Keep::Sampled(10), "s", 0, &told(unit, "2", later)), Some(1), "a candidate");
            let failed = Told { failed: true, ..told(unit, "1", later) };
            assert_eq!(sampling.weight(Keep::Sampled(10), "s", 0, &failed), Some(1));
            let severe = Told { level: "error", kind: "log", ..told(unit, "1", later) };
            assert_eq!(sampling.weight(Keep::Sampled(10), "s", 0, &severe), Some(1));
        }
        // Five standard errors of a share of one tenth.
        assert!(kept.abs_diff(units / 10) < 220, "{kept}");
        assert_eq!(sampling.left_out(), (units - kept) * 3);
        let mut weight = |keep, at| sampling.weight(keep, "s", at, &told(0, "", later));
        let without = (0..units).filter(|at| weight(Keep::Sampled(10), *at).is_some()).count() as u64;
        assert!(without.abs_diff(units / 10) < 220, "{without}");
        assert_eq!((weight(Keep::All, 0), weight(Keep::Off, 0)), (Some(1), None));
    }
}
