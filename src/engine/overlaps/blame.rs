//! Which of two rollouts that run at once does the harm that both show.
//!
//! What the requests of one service say is asked four times, as the ratio of its units with a failed request in the candidate to those
//! in the control: by its own arms, as they are and among units with the same arm of the other rollout; and by the arms of the other,
//! as they are and among units with the same arm of this one. Strata are those of the table, so each is the share test with its
//! interval, which holds at all looks at once ([`share`]). A harm is the other's where nothing of it is left among units with the
//! same arm there, and the other's stays among units with the same arm here.
//!
//! Where one rollout changes nothing, its units are no worse by its own arms within the other's, so it is told to be the cause with
//! probability at most half of [`ALPHA`]. That nothing is left is no proof: it is said where the interval leaves out what was seen
//! before, and with its numbers.

use crate::compare::share::{self, Interval, Stratum};
use crate::engine::overlaps::Crossed;

/// Level of the intervals.
pub const ALPHA: f64 = 0.05;
/// Part of an excess that may be left where it is told to be gone.
const LEFT: f64 = 0.5;
/// Part of the failures beyond those of the control that units in both rollouts must have, for the other to be told to be their cause.
const WITHIN: f64 = 0.5;
/// Part of the units of either candidate that are in one alone, up to which they are the same units.
const SAME: f64 = 0.05;

/// Ratios of units with a failed request, candidate to control, of what the requests of one of two services say.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Effects {
    /// By the arms of its own rollout.
    pub own: Interval,
    /// The same among units with the same arm of the other.
    pub own_within: Interval,
    /// By the arms of the other rollout.
    pub other: Interval,
    /// The same among units with the same arm of its own.
    pub other_within: Interval,
}

/// What the two tell of a harm that the requests of one show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// No harm is seen, or the other rollout has no part in it.
    Nothing,
    /// The other rollout does it.
    Other,
    /// It stays among units with the same arm of the other.
    Own,
    /// Both do harm, each among units with the same arm of the other.
    Both,
    /// Nearly all units of one candidate are in the other.
    SameUnits,
    /// Units that are in one candidate alone are too few to tell.
    TooFew,
}

impl Blame {
    /// The words of reports for programs; nothing where there is nothing to tell.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Blame::Nothing => None,
            Blame::Other => Some("explained_by_it"),
            Blame::Own => Some("its_own"),
            Blame::Both => Some("both"),
            Blame::SameUnits => Some("same_units"),
            Blame::TooFew => Some("too_few"),
        }
    }
}

impl Crossed {
    /// Share tests of what the requests of one (`side`: 0 the first, 1 the second) say by the arms of one of the two (`by`), among units
    /// with the same arm of the other where `within`.
    fn share_strata(&self, side: usize, by: usize, within: bool) -> Vec<Stratum> {
        let mut list = Vec::new();
        for table in self.strata() {
            let cell = |arm: usize, other: usize| match by {
                0 => table[side][arm][other],
                _ => table[side][other][arm],
            };
            let stratum = |others: &[usize]| {
                let sum = |arm: usize| {
                    let cells = others.iter().map(|other| cell(arm, *other));
                    cells.fold((0, 0), |(units, erring), cell| (units + cell.at_risk, erring + cell.erring))
                };
                let ((control, failed), (candidate, failed_there)) = (sum(0), sum(1));
                Stratum {
                    canary_units: candidate,
                    units: control + candidate,
                    canary_first: failed_there,
                    first: failed + failed_there,
                }
            };
            match within {
                true => list.extend([stratum(&[0]), stratum(&[1])]),
                false => list.push(stratum(&[0, 1])),
            }
        }
        list
    }

    /// What the requests of one of the two (`side`: 0 the first, 1 the second) say.
    pub fn effects(&self, side: usize) -> Effects {
        let of = |by: usize, within: bool| share::interval(&self.share_strata(side, by, within), ALPHA);
        let other = 1 - side.min(1);
        Effects {
            own: of(side, false),
            own_within: of(side, true),
            other: of(other, false),
            other_within: of(other, true),
        }
    }

    /// Units that are in one of the two candidates alone, and those that are in either.
    pub fn apart(&self) -> (u64, u64) {
        let [[_, second], [first, both]] = self.units;
        (first + second, first + second + both)
    }

    /// Units in both rollouts have most of what fails in the candidate of one (`side`) beyond its control: what fails before it could reach
    /// the other is not in the table. `all`: requests of that comparison, and those of them that failed, (control, candidate);
    /// `followed`: share of units in the table.
    pub fn has_most(&self, side: usize, all: [(u64, u64); 2], followed: f64) -> bool {
        let excess = |[control, candidate]: [(u64, u64); 2]| {
            let share = control.1 as f64 / control.0.max(1) as f64;
            candidate.1 as f64 - candidate.0 as f64 * share
        };
        let total = self.total();
        let inside = [0, 1].map(|arm| {
            let cells = [0, 1].map(|other| if side == 0 { total[side][arm][other] } else { total[side][other][arm] });
            (cells.iter().map(|cell| cell.requests).sum(), cells.iter().map(|cell| cell.failed).sum())
        });
        excess(inside) >= WITHIN * followed * excess(all)
    }

    /// Who does the harm that the requests of one show.
    pub fn blame(&self, effects: &Effects) -> Blame {
        let Effects { own, own_within, other, other_within } = effects;
        let is_harm = |of: &Interval| of.low > 1.0;
        // What only its own arms show is not of the other, and what neither shows is none.
        if !is_harm(own) || !is_harm(other) {
            return Blame::Nothing;
        }
        let is_gone = own_within.high < own.estimate && own_within.estimate - 1.0 <= LEFT * (own.estimate - 1.0);
        let (alone, either) = self.apart();
        match (is_harm(own_within), is_harm(other_within)) {
            (true, true) => Blame::Both,
            (true, false) => Blame::Own,
            (false, true) if is_gone => Blame::Other,
            _ if alone as f64 <= SAME * either as f64 => Blame::SameUnits,
            (false, _) => Blame::TooFew,
        }
    }
}
