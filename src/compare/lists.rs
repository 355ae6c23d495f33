//! Lists of findings: which of many e-values may be called found.
//!
//! e-BH (Wang and Ramdas 2022, arXiv 2009.02824) holds the share of false findings at alpha under any dependence. It may
//! not be fed with running maxima, which are no e-values; `adjust_max` turns one into an e-value first (Tavyrikov, Goeman
//! and de Heide 2025, arXiv 2501.19360).

use crate::math;

/// Exponent of the adjuster: the price of keeping the maximum is a factor 10 and a tenth of the logarithm.
pub const ADJUST_KAPPA: f64 = 0.1;

/// Error level of notifications and of template lists: share of false ones among those shown.
pub const ALPHA_LIST: f64 = 0.05;

/// e-BH: true for the k largest, k the greatest number with the k-th largest e >= m / (`alpha` k), m = the length of `e`.
pub fn e_bh(e: &[f64], alpha: f64) -> Vec<bool> {
    let mut rejected = vec![false; e.len()];
    for index in largest(e, e.len() as f64, alpha) {
        rejected[index] = true;
    }
    rejected
}

/// e-BH in a family whose size was fixed beforehand, of which `e` are those that have data; the others count as 1.
pub fn e_bh_of(e: &[f64], family: u32, alpha: f64) -> Vec<bool> {
    let mut rejected = vec![false; e.len()];
    for index in largest(e, f64::from(family), alpha) {
        rejected[index] = true;
    }
    rejected
}

/// e-value from a running maximum M of e-values: kappa M^(1 - kappa), 0 below 1. Valid because the integral of
/// kappa M^(1 - kappa) / M^2 from 1 to infinity is 1.
pub fn adjust_max(max_e: f64) -> f64 {
    if max_e >= 1.0 { ADJUST_KAPPA * math::pow(max_e, 1.0 - ADJUST_KAPPA) } else { 0.0 }
}

/// Rollouts to notify, as indices in rising order, from the running maxima of their sums. `family` is the number of
/// rollouts for which the day was planned, fixed at its start: so whoever was notified stays notified.
pub fn notify(max_e: &[f64], family: u32, alpha: f64) -> Vec<usize> {
    let adjusted: Vec<f64> = max_e.iter().map(|max_e| adjust_max(*max_e)).collect();
    let mut indices = largest(&adjusted, f64::from(family), alpha);
    indices.sort_unstable();
    indices
}

/// Indices of the k largest values; equal ones in order of their index. What is no number comes last.
fn largest(e: &[f64], family: f64, alpha: f64) -> Vec<usize> {
    let value = |index: usize| if e[index].is_nan() { f64::NEG_INFINITY } else { e[index] };
    let mut order: Vec<usize> = (0..e.len()).collect();
    order.sort_by(|a, b| value(*b).total_cmp(&value(*a)));
    let mut num_largest = 0;
    if alpha > 0.0 && family > 0.0 {
        for (rank, index) in (1..).zip(&order) {
            if value(*index) >= family / (alpha * f64::from(rank)) {
                num_largest = rank as usize;
            }
        }
    }
    order.truncate(num_largest);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn useless_values_are_never_found() {
        assert_eq!(e_bh(&[], 0.05), Vec::<bool>::new());
        assert_eq!(e_bh(&[f64::NAN, 1e9, f64::NEG_INFINITY], 0.05), [false, true, false]);
        assert_eq!(e_bh(&[1e9], 0.0), [false]);
        assert_eq!(e_bh(&[1e9], f64::NAN), [false]);
        assert_eq!(notify(&[f64::NAN, f64::INFINITY], 64, 0.05), [1]);
        assert_eq!(notify(&[1e9], 0, 0.05), Vec::<usize>::new());
        assert_eq!(adjust_max(0.999), 0.0);
        assert_eq!(adjust_max(f64::NAN), 0.0);
    }

    #[test]
    fn last_rejected_and_first_kept() {
        assert_eq!(e_bh(&[20.0], 0.05), [true]);
        assert_eq!(e_bh(&[19.999_999], 0.05), [false]);
    }
}
