//! Rollouts that are live at once and share units: who was in which arm of both. Descriptive only; no verdict rests on it.
//!
//! Arms of two rollouts that are assigned apart lie across each other, and then neither bends the other. Where they do not,
//! a difference may come from the other rollout.

use crate::engine::comparison::Comparison;
use crate::engine::units::Arm;

/// Units of the largest rollout that are looked at, about; a hash sample, the same units in every rollout.
const SAMPLE: usize = 4_096;

/// Rollouts that are looked at; further ones are not listed.
pub const LIVE_MAX: usize = 64;

/// Two rollouts with units in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedUnits {
    /// (release, comparison) of the first.
    pub first: (usize, usize),
    /// (release, comparison) of the second.
    pub second: (usize, usize),
    /// Units of the sample by [arm in the first][arm in the second], each (control, candidate).
    pub units: [[u64; 2]; 2],
    /// The sample is one of so many units.
    pub one_of: u64,
}

/// Pairs of live rollouts of different services that share units. Rollouts that assign each request alone bind no unit to
/// an arm and are left out, as are those that are over.
pub(super) fn shared_units<'c>(
    comparisons: impl Iterator<Item = ((usize, usize), &'c Comparison)>,
) -> Vec<SharedUnits> {
    let live: Vec<((usize, usize), &Comparison)> = comparisons
        .filter(|(_, comparison)| comparison.end.is_none() && !comparison.unit.is_once() && !comparison.by_request())
        .take(LIVE_MAX)
        .collect();
    let mut list = Vec::new();
    if live.len() < 2 {
        return list;
    }
    let largest = live.iter().map(|(_, comparison)| comparison.units_followed()).max().unwrap_or(0);
    let mut halvings = 0;
    while largest >> halvings > SAMPLE {
        halvings += 1;
    }
    let samples: Vec<Vec<(u64, Arm)>> = live.iter().map(|(_, comparison)| comparison.sample(halvings)).collect();
    for (a, ((first, _), of_first)) in live.iter().zip(&samples).enumerate() {
        for ((second, _), of_second) in live.iter().zip(&samples).skip(a + 1) {
            // Candidates of one service share their control: that is no accident.
            if first.0 == second.0 {
                continue;
            }
            let mut units = [[0; 2]; 2];
            for (unit, arm) in of_first {
                if let Ok(at) = of_second.binary_search_by_key(unit, |(unit, _)| *unit)
                    && let Some((_, other)) = of_second.get(at)
                {
                    units[arm.at()][other.at()] += 1;
                }
            }
            if units != [[0; 2]; 2] {
                list.push(SharedUnits { first: *first, second: *second, units, one_of: 1 << halvings });
            }
        }
    }
    list
}
