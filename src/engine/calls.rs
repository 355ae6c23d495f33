//! What calls from outside made: one request, or several of different routes.
//!
//! Work inside requests may be logged as requests are, and count as such where nothing tells it: then one id is that of several requests, and
//! what failed among them may be what the request got over. As long as that is so in both arms alike, it makes no difference between
//! them. Where one arm has more of it, its failures are not those that the other's are.
//!
//! Calls of which a request failed are left out: who falls back on something else makes two requests of one, and that is what is
//! asked about.

use crate::engine::flaws;
use crate::engine::units::Arm;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::rows::CallRow;

/// Difference in the share of calls with several requests from which on requests are not counted alike, and calls of each arm that it takes.
const DIFFERENCE: f64 = 0.05;
const CALLS_MIN: u64 = 10;

/// Calls of which no request failed, of (control, candidate).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Calls {
    /// All that are followed.
    pub all: [u64; 2],
    /// Those that made requests of several routes.
    pub several: [u64; 2],
}

impl Calls {
    /// A call of a window.
    pub fn add(&mut self, arm: Arm, row: &CallRow) {
        if !row.failed {
            self.all[arm.at()] += 1;
            self.several[arm.at()] += u64::from(row.several);
        }
    }

    /// Calls of one arm make several requests more often than those of the other.
    pub fn differ(&self) -> bool {
        flaws::differs_from(self.several, self.all, DIFFERENCE, CALLS_MIN)
    }

    /// Share of calls of (control, candidate) that make several requests.
    pub fn shares(&self) -> [f64; 2] {
        [0, 1].map(|arm| self.several[arm] as f64 / self.all[arm].max(1) as f64)
    }

    /// Writes the state.
    pub fn write(&self, w: &mut Writer) {
        self.all.into_iter().chain(self.several).for_each(|count| w.uint(count));
    }

    /// Reads the state.
    ///
    /// # Errors
    /// The bytes end too early.
    pub fn read(r: &mut Reader<'_>) -> Result<Calls, Damaged> {
        Ok(Calls { all: [r.uint()?, r.uint()?], several: [r.uint()?, r.uint()?] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::rows::Row;

    fn row(route: u32, failed: bool) -> CallRow {
        CallRow { call: 7, unit: 1, service: 0, arm: 0, route, several: false, failed }
    }

    #[test]
    fn a_call_of_several_routes_is_one_whatever_comes_first() {
        let all = [row(3, false), row(3, false), row(4, false), row(3, false)];
        for turned in 0..all.len() {
            let mut list = all;
            list.rotate_left(turned);
            let mut sum = list[0];
            list[1..].iter().for_each(|row| sum.combine(row));
            assert!(sum.several && !sum.failed && sum.route == 0, "{sum:?}");
        }
        let mut again = row(3, false);
        again.combine(&row(3, true));
        assert!(!again.several && again.failed, "what is tried again is one request: {again:?}");
    }

    #[test]
    fn arms_differ_by_calls_that_did_not_fail() {
        let mut calls = Calls::default();
        for at in 0..200 {
            calls.add(Arm::Control, &row(3, at % 2 == 0));
            calls.add(Arm::Candidate, &CallRow { several: true, ..row(3, true) });
            calls.add(Arm::Candidate, &row(3, false));
        }
        // What failed is not asked; 200 and 100 calls that made one request each are left.
        assert!(!calls.differ(), "{calls:?}");
        (0..60).for_each(|_| calls.add(Arm::Candidate, &CallRow { several: true, ..row(3, false) }));
        assert!(calls.differ(), "{calls:?}");
    }
}
