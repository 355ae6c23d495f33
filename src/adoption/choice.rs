//! Whether units of one segment take to a feature sooner than all others: evidence that may be looked at at any time.
//!
//! At each first use somebody of those at risk was the one: exposed, not yet a user, and exposed for about as long. If the segment did not
//! matter, each of them was as likely; if its rate is theta times that of the others, the odds are theta times theirs. The
//! product over first uses of a mixture of theta over 1 is an e-value at any time, and those thetas whose ratio stays small are an interval
//! at any time (the logrank test of ter Schure, Perez-Ortiz, Ly and Gruenwald 2024, with a mixture as in Robbins 1970). Ages are in
//! bands, so that a segment that was exposed later is not taken for one that is quicker.

use crate::math;

/// ln theta: so many steps of so much on both sides of 0.
const STEPS: i32 = 60;
const STEP: f64 = 0.05;
/// Spread of ln theta in the mixture: a factor of two.
const SPREAD: f64 = 0.7;
const GRID: usize = 2 * STEPS as usize + 1;

/// Evidence of one segment.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Choice {
    /// ln of the likelihood of each theta.
    log_likelihood: Vec<f64>,
}

fn ln_theta(at: usize) -> f64 {
    (at as i32 - STEPS) as f64 * STEP
}

/// The thetas of the mixture.
pub(super) struct Grid {
    theta: Vec<f64>,
    /// ln of each weight.
    log_weight: Vec<f64>,
}

impl Grid {
    pub(super) fn new() -> Grid {
        let theta: Vec<f64> = (0..GRID).map(|at| math::exp(ln_theta(at))).collect();
        let square = |at: usize| -0.5 * (ln_theta(at) / SPREAD) * (ln_theta(at) / SPREAD);
        let raw: Vec<f64> = (0..GRID).map(square).collect();
        let all = math::log_sum_exp(&raw);
        Grid { theta, log_weight: raw.into_iter().map(|weight| weight - all).collect() }
    }
}

impl Choice {
    pub(super) fn new() -> Choice {
        Choice { log_likelihood: vec![0.0; GRID] }
    }

    /// A first use. `own`: it was of the segment; at risk were `segment` of it and `others`, all three with the one that used.
    pub(super) fn first_use(&mut self, grid: &Grid, own: bool, segment: u64, others: u64) {
        if segment == 0 || others == 0 {
            return;
        }
        let (segment, others) = (segment as f64, others as f64);
        for (sum, theta) in self.log_likelihood.iter_mut().zip(&grid.theta) {
            let odds = theta * segment;
            *sum += math::ln(if own { odds } else { others } / (odds + others));
        }
    }

    fn mixture(&self, grid: &Grid) -> f64 {
        let parts = self.log_likelihood.iter().zip(&grid.log_weight);
        math::log_sum_exp(&parts.map(|(sum, weight)| sum + weight).collect::<Vec<_>>())
    }

    /// ln e against theta = 1.
    pub(super) fn log_e(&self, grid: &Grid) -> f64 {
        self.mixture(grid) - self.log_likelihood.get(STEPS as usize).copied().unwrap_or(0.0)
    }

    /// The thetas that are not refuted at this error level, at whatever time it is looked: estimate (most likely), low, high. Ends of the
    /// grid (20 times) are no ends.
    pub(super) fn interval(&self, grid: &Grid, alpha: f64) -> [f64; 3] {
        let bar = self.mixture(grid) + math::ln(alpha);
        let stands = |at: &usize| self.log_likelihood.get(*at).is_some_and(|sum| *sum > bar);
        let best = (0..GRID).max_by(|a, b| self.log_likelihood[*a].total_cmp(&self.log_likelihood[*b]));
        let best = best.unwrap_or(STEPS as usize);
        let low = (0..GRID).find(stands).unwrap_or(best);
        let high = (0..GRID).rev().find(stands).unwrap_or(best);
        // A step outward: what lies between two steps is not known to be refuted.
        let low = if low == 0 { 0.0 } else { math::exp(ln_theta(low - 1)) };
        let high = if high + 1 == GRID { f64::INFINITY } else { math::exp(ln_theta(high + 1)) };
        [math::exp(ln_theta(best)), low, high]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_a_ratio_of_likelihoods() {
        let grid = Grid::new();
        let mut choice = Choice::new();
        assert!(choice.log_e(&grid).abs() < 1e-12);
        // Of 10 and 90 at risk, one of the 10: theta / (10 theta + 90) x 10 over a tenth.
        choice.first_use(&grid, true, 10, 90);
        let by_hand: Vec<f64> = (0..GRID)
            .map(|at| {
                let theta = grid.theta[at];
                grid.log_weight[at] + math::ln(10.0 * theta / (10.0 * theta + 90.0) / 0.1)
            })
            .collect();
        assert!((choice.log_e(&grid) - math::log_sum_exp(&by_hand)).abs() < 1e-12);
        // Where only one kind is at risk nothing is learnt.
        let before = choice.clone();
        choice.first_use(&grid, true, 10, 0);
        choice.first_use(&grid, false, 0, 10);
        assert_eq!(choice, before);
    }

    #[test]
    fn a_rate_of_twice_is_found_and_lies_within_its_interval() {
        let grid = Grid::new();
        let mut choice = Choice::new();
        // 200 of 1,000 beside 100 of 1,000, in turn.
        let (mut segment, mut others) = (1_000, 1_000);
        for at in 0..300 {
            let own = at % 3 != 0;
            choice.first_use(&grid, own, segment, others);
            if own { segment -= 1 } else { others -= 1 }
        }
        let [value, low, high] = choice.interval(&grid, 0.05);
        assert!(
            choice.log_e(&grid) > 10.0 && low > 1.3 && high < 3.6 && (1.9..2.4).contains(&value),
            "{value} {low} {high}"
        );
    }
}
