//! What segments tell of a difference in failures: where it comes from, and how much of it is who the units are.
//!
//! Everything here is descriptive: it is looked at once, no error level holds for it, and no verdict rests on it
//! (statistics design 4.11).

use crate::compare::share::Stratum;
use crate::engine::segments::{Cell, SegmentCell, SegmentTest, Segments};
use crate::math;

/// Rows that are told.
const TOLD_MAX: usize = 12;
/// Overlap of the units of two cells (Jaccard) from which on they are told as one.
const SAME_UNITS: f64 = 0.8;
/// Part of the largest excess that a row has which says as much with fewer units.
const LEADS: f64 = 0.8;
/// Part of the units of each of its two cells that a pair has at most, to tell more than they do.
const PAIR_UNITS: f64 = 0.5;
/// Units of the candidate with a failed request from which on a pair of cells is told.
const PAIR_ERRING_MIN: u64 = 5;
/// Part of a difference from which on its mix names the field.
const MIX_LEADS: f64 = 0.1;
/// Normal quantile of an interval of .95.
const Z_95: f64 = 1.959_963_984_540_054;

/// One cell, or two whose units fail together.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// Places of its cells: one, or two of different fields.
    pub cells: Vec<usize>,
    /// Cells that have nearly the same units.
    pub same: Vec<usize>,
    /// Units of (control, candidate).
    pub units: [u64; 2],
    /// Those of them with a failed request.
    pub erring: [u64; 2],
    /// Units of the candidate with a failed request beyond those that the control's share of its units gives.
    pub excess: f64,
    /// Part of the excess of all units, where that is positive.
    pub of_excess: Option<f64>,
    /// Part of the candidate's units.
    pub of_units: f64,
}

/// A difference in the share of erring units, split by one field (Kitagawa 1955).
#[derive(Clone, PartialEq, Debug)]
pub struct Mix {
    /// Index of the field.
    pub field: usize,
    /// Share of erring units in the candidate less that in the control.
    pub difference: f64,
    /// What of it is the arms' being made of other segments.
    pub mix: f64,
    /// What of it is other shares within segments.
    pub rate: f64,
    /// Ratio of the shares, as they are.
    pub ratio: Option<f64>,
    /// Ratio within segments and strata (Mantel and Haenszel 1959), with its interval at .95 for a single look (Greenland and
    /// Robins 1985).
    pub adjusted: Option<Adjusted>,
    /// The cell whose share of units differs most, with its share of (control, candidate).
    pub shift: Option<(usize, [f64; 2])>,
}

/// See [`Mix::adjusted`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adjusted {
    /// The ratio.
    pub ratio: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Units of a field that are in none of its cells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rest {
    /// Index of the field.
    pub field: usize,
    /// Units of (control, candidate).
    pub units: [u64; 2],
    /// Those of them with a failed request.
    pub erring: [u64; 2],
}

/// Everything that is told of segments.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Told {
    /// Cells and pairs of cells: those that explain most with fewest units first, then by excess.
    pub members: Vec<Member>,
    /// Cells that are not among them.
    pub more: usize,
    /// The difference, split by the field that explains most; `None` without erring units in both or either arm.
    pub mix: Option<Mix>,
    /// By field, units in none of its cells.
    pub rests: Vec<Rest>,
}

/// (units, erring) of an arm over strata.
fn totals(strata: &[Stratum]) -> ([u64; 2], [u64; 2]) {
    let mut units = [0; 2];
    let mut erring = [0; 2];
    for of in strata {
        units[1] += of.canary_units;
        units[0] += of.units.saturating_sub(of.canary_units);
        erring[1] += of.canary_first;
        erring[0] += of.first.saturating_sub(of.canary_first);
    }
    (units, erring)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn excess(units: [u64; 2], erring: [u64; 2]) -> f64 {
    erring[1] as f64 - units[1] as f64 * share(erring[0], units[0])
}

impl Segments {
    /// Explains what was counted so far. `failing`: tests that carry a failure; their cells are told in any case, and before all
    /// others where it is latency that fails, of which an excess of failures knows nothing.
    pub fn explain(&self, failing: &[SegmentCell]) -> Told {
        let (all_units, all_erring) = totals(self.all.strata());
        let whole = excess(all_units, all_erring);
        let member = |cells: Vec<usize>, units: [u64; 2], erring: [u64; 2]| {
            let own = excess(units, erring);
            Member {
                cells,
                same: Vec::new(),
                units,
                erring,
                excess: own,
                of_excess: (whole > 0.0).then(|| own / whole),
                of_units: share(units[1], all_units[1]),
            }
        };
        let of_cell = |cell: &Cell| totals(cell.units.strata());
        let mut members: Vec<Member> = Vec::new();
        for (at, cell) in self.cells.iter().enumerate() {
            let (units, erring) = of_cell(cell);
            members.push(member(vec![at], units, erring));
        }
        members.sort_by(|a, b| b.excess.total_cmp(&a.excess).then(a.cells.cmp(&b.cells)));
        let mut singles: Vec<Member> = Vec::new();
        for next in members {
            let Some(&at) = next.cells.first() else { continue };
            let twin = singles.iter_mut().find(|known| known.cells.first().is_some_and(|of| self.are_same(*of, at)));
            match twin {
                Some(known) => known.same.push(at),
                None => singles.push(next),
            }
        }
        let single = |at: u8| singles.iter().find(|known| known.cells == [usize::from(at)]);
        let mut list: Vec<Member> = Vec::new();
        for ((a, b), counts) in &self.pairs {
            let (Some(one), Some(two)) = (single(*a), single(*b)) else { continue };
            let [[control, failed_control], [candidate, failed]] = *counts;
            let pair = member(vec![usize::from(*a), usize::from(*b)], [control, candidate], [failed_control, failed]);
            let least = one.excess.max(two.excess);
            let small = |of: &Member| candidate as f64 <= PAIR_UNITS * of.units[1] as f64;
            if failed >= PAIR_ERRING_MIN && least > 0.0 && pair.excess >= LEADS * least && small(one) && small(two) {
                list.push(pair);
            }
        }
        let cells = singles.len();
        list.extend(singles);
        let top = list.iter().map(|of| of.excess).fold(0.0, f64::max);
        let leads = |of: &Member| top > 0.0 && of.excess >= LEADS * top;
        list.sort_by(|a, b| match (leads(a), leads(b)) {
            (true, true) => a.units[1].cmp(&b.units[1]).then(b.excess.total_cmp(&a.excess)).then(a.cells.cmp(&b.cells)),
            (false, false) => b.excess.total_cmp(&a.excess).then(a.cells.cmp(&b.cells)),
            (a, b) => b.cmp(&a),
        });
        let is_of = |of: &Member, (cell, _): &SegmentCell| of.cells == [*cell] || of.same.contains(cell);
        let by_latency = |of: &Member| failing.iter().any(|next| next.1 == SegmentTest::Latency && is_of(of, next));
        let errors_fail = failing.iter().any(|(_, test)| *test == SegmentTest::Errors);
        // Whose sort is stable: within each the order stays.
        list.sort_by_key(|of| match (leads(of) && errors_fail, by_latency(of)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        });
        let mut rank = 0;
        list.retain(|of| {
            rank += 1;
            rank <= TOLD_MAX || failing.iter().any(|next| is_of(of, next))
        });
        let told = list.iter().filter(|of| of.cells.len() == 1).count();
        let first = list.iter().flat_map(|of| &of.cells).next().and_then(|at| self.cells.get(*at)).map(|of| of.field);
        Told {
            more: cells.saturating_sub(told),
            mix: self.mix(first),
            rests: (0..self.fields.len()).map(|field| self.rest(field)).collect(),
            members: list,
        }
    }

    /// Two cells of different fields have nearly the same units.
    fn are_same(&self, a: usize, b: usize) -> bool {
        let (Some(one), Some(two)) = (self.cells.get(a), self.cells.get(b)) else { return false };
        if one.field == two.field {
            return false;
        }
        let both = self
            .pairs
            .get(&(a.min(b) as u8, a.max(b) as u8))
            .map_or(0, |[control, candidate]| control[0] + candidate[0]);
        let units = |cell: &Cell| cell.units.strata().iter().map(|of| of.units).sum::<u64>();
        let either = (units(one) + units(two)).saturating_sub(both);
        either > 0 && both as f64 >= SAME_UNITS * either as f64
    }

    /// Units of a field that are in none of its cells, by stratum.
    fn rest_strata(&self, field: usize) -> Vec<Stratum> {
        let in_cells = self.of_field(field);
        let none = Stratum::default();
        let left = |(at, all): (usize, &Stratum)| {
            let of = in_cells.get(at).unwrap_or(&none);
            Stratum {
                canary_units: all.canary_units.saturating_sub(of.canary_units),
                units: all.units.saturating_sub(of.units),
                canary_first: all.canary_first.saturating_sub(of.canary_first),
                first: all.first.saturating_sub(of.first),
            }
        };
        self.all.strata().iter().enumerate().map(left).collect()
    }

    fn rest(&self, field: usize) -> Rest {
        let (units, erring) = totals(&self.rest_strata(field));
        Rest { field, units, erring }
    }

    /// The difference, split by the field whose mix is the largest part of it; where no mix matters, by `first`.
    fn mix(&self, first: Option<usize>) -> Option<Mix> {
        let splits: Vec<Mix> = (0..self.fields.len()).filter_map(|field| self.split(field)).collect();
        let most = splits.iter().max_by(|a, b| a.mix.abs().total_cmp(&b.mix.abs()).then(b.field.cmp(&a.field)))?;
        let matters = most.mix.abs() >= MIX_LEADS * most.difference.abs();
        let of_first = || splits.iter().find(|split| Some(split.field) == first);
        Some(if matters { most } else { of_first().unwrap_or(most) }.clone())
    }

    /// Kitagawa's split and the Mantel-Haenszel ratio by one field.
    pub fn split(&self, field: usize) -> Option<Mix> {
        let rest = self.rest_strata(field);
        let cells: Vec<(Option<usize>, &[Stratum])> = self
            .cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| cell.field == field)
            .map(|(at, cell)| (Some(at), cell.units.strata()))
            .chain([(None, rest.as_slice())])
            .collect();
        let sums: Vec<([u64; 2], [u64; 2])> = cells.iter().map(|(_, strata)| totals(strata)).collect();
        let all = [0, 1].map(|arm| sums.iter().map(|(units, _)| units[arm]).sum::<u64>());
        let erring = [0, 1].map(|arm| sums.iter().map(|(_, erring)| erring[arm]).sum::<u64>());
        if all.contains(&0) || erring == [0, 0] {
            return None;
        }
        let (mut mix, mut rate) = (0.0, 0.0);
        let mut shift: Option<(usize, [f64; 2])> = None;
        for ((at, _), (units, erring)) in cells.iter().zip(&sums) {
            let w = [0, 1].map(|arm| share(units[arm], all[arm]));
            // Where an arm has no units of the segment, nothing tells its share there: the difference is one of mix.
            let r = match units {
                [0, _] => [share(erring[1], units[1]); 2],
                [_, 0] => [share(erring[0], units[0]); 2],
                _ => [0, 1].map(|arm| share(erring[arm], units[arm])),
            };
            mix += (w[1] - w[0]) * (r[1] + r[0]) / 2.0;
            rate += (w[1] + w[0]) / 2.0 * (r[1] - r[0]);
            if let Some(at) = at
                && shift.is_none_or(|(_, known)| (w[1] - w[0]).abs() > (known[1] - known[0]).abs())
            {
                shift = Some((*at, w));
            }
        }
        let shares = [0, 1].map(|arm| share(erring[arm], all[arm]));
        Some(Mix {
            field,
            difference: shares[1] - shares[0],
            mix,
            rate,
            ratio: (shares[0] > 0.0).then(|| shares[1] / shares[0]),
            adjusted: adjusted(cells.iter().flat_map(|(_, strata)| strata.iter())),
            shift,
        })
    }
}

/// RR = sum(a n_B / N) / sum(b n_A / N); Var ln RR = sum((m n_A n_B - a b N) / N^2) / (the two sums multiplied); a, n_A: the
/// candidate's erring units and units of a stratum; b, n_B: the control's; m = a + b.
pub(in crate::engine) fn adjusted<'s>(strata: impl Iterator<Item = &'s Stratum>) -> Option<Adjusted> {
    let (mut top, mut bottom, mut spread) = (0.0, 0.0, 0.0);
    for of in strata {
        let whole = of.units as f64;
        let (n_a, a) = (of.canary_units as f64, of.canary_first as f64);
        let (n_b, b) = (whole - n_a, of.first as f64 - a);
        if n_a <= 0.0 || n_b <= 0.0 {
            continue;
        }
        top += a * n_b / whole;
        bottom += b * n_a / whole;
        spread += ((a + b) * n_a * n_b - a * b * whole) / (whole * whole);
    }
    if top <= 0.0 || bottom <= 0.0 {
        return None;
    }
    let ratio = top / bottom;
    let half = Z_95 * (spread.max(0.0) / (top * bottom)).sqrt();
    Some(Adjusted { ratio, low: ratio * math::exp(-half), high: ratio * math::exp(half) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two-by-two tables of Kelsey et al., as in Rothman's text: hand-computed here from the formulas in their doc comment.
    #[test]
    fn ratio_within_strata_by_hand() {
        let of = |a: u64, n_a: u64, b: u64, n_b: u64| Stratum {
            canary_units: n_a,
            units: n_a + n_b,
            canary_first: a,
            first: a + b,
        };
        // Within each stratum twice the share; the candidate has more of the second, which fails often.
        let strata = [of(10, 100, 45, 900), of(180, 900, 10, 100)];
        let said = adjusted(strata.iter()).unwrap();
        // (10 x 900 + 180 x 100) / (45 x 100 + 10 x 900), all over 1,000.
        assert!((said.ratio - 2.0).abs() < 1e-12, "{said:?}");
        assert!(said.low < 2.0 && said.low > 1.2 && said.high > 2.0 && said.high < 3.4, "{said:?}");
        assert_eq!(adjusted([of(0, 10, 0, 10)].iter()), None);
    }
}
