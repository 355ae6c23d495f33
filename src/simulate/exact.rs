//! Exact confidence limits of shares and quantiles: no normal approximation, since most counts are near zero.

use crate::math;

/// ln of the chance of exactly `k` of `n` at probability `p` inside (0, 1).
fn ln_chance(k: u64, n: u64, p: f64) -> f64 {
    let (k, n) = (k as f64, n as f64);
    math::ln_gamma(n + 1.0) - math::ln_gamma(k + 1.0) - math::ln_gamma(n - k + 1.0)
        + k * math::ln(p)
        + (n - k) * math::ln_1p(-p)
}

/// Chance of at most `k` of `n`.
fn at_most(k: u64, n: u64, p: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    (0..=k).map(|i| math::exp(ln_chance(i, n, p))).sum::<f64>().min(1.0)
}

/// Limits (low, high) that hold the true share with 95 % at least (Clopper and Pearson 1934), from `k` of `n`.
pub fn share_limits(k: u64, n: u64) -> (f64, f64) {
    const TAIL: f64 = 0.025;
    if n == 0 || k > n {
        return (0.0, 1.0);
    }
    // At the low limit so many or more have a chance of 2.5 %; at the high limit so many or fewer.
    let low = if k == 0 { 0.0 } else { math::bisect(0.0, 1.0, 60, |p| 1.0 - at_most(k - 1, n, inside(p)) < TAIL) };
    let high = if k == n { 1.0 } else { math::bisect(0.0, 1.0, 60, |p| at_most(k, n, inside(p)) > TAIL) };
    (low, high)
}

fn inside(p: f64) -> f64 {
    p.clamp(1e-15, 1.0 - 1e-15)
}

/// Index of the order statistic that is the quantile `share` of `n` values: at least this share lies at or below it.
pub fn quantile_index(n: usize, share: f64) -> usize {
    // A hair less, so that .8 of 10 is the 8th and not the 9th.
    ((n as f64 * share - 1e-9).ceil().max(1.0) as usize - 1).min(n.saturating_sub(1))
}

/// Indices of the order statistics that enclose the true quantile `share` with 95 % at least; `None` where that end is
/// beyond all values.
pub fn quantile_limits(n: usize, share: f64) -> (Option<usize>, Option<usize>) {
    const TAIL: f64 = 0.025;
    let n = n as u64;
    // The i-th smallest (from 0) lies above the quantile when at most i values lie below it, and below it otherwise.
    let low = (0..n).take_while(|i| at_most(*i, n, share) <= TAIL).last();
    let high = (0..n).find(|i| at_most(*i, n, share) >= 1.0 - TAIL);
    (low.map(|i| i as usize), high.map(|i| i as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_shares_as_tables_have_them() {
        // By bisection over sums of exact fractions.
        for (k, n, low, high) in [
            (0, 3_000, 0.0, 0.001_228_870_8),
            (0, 20, 0.0, 0.168_433_471),
            (1, 20, 0.001_265_089_5, 0.248_732_762_8),
            (10, 200, 0.024_234_165_5, 0.090_027_537_7),
            (5, 5, 0.478_176_249_9, 1.0),
        ] {
            let (got_low, got_high) = share_limits(k, n);
            assert!((got_low - low).abs() < 1e-9 && (got_high - high).abs() < 1e-9, "{k} of {n}: {got_low} {got_high}");
        }
        assert_eq!(share_limits(0, 0), (0.0, 1.0));
    }

    #[test]
    fn quantiles_are_order_statistics() {
        assert_eq!((quantile_index(10, 0.8), quantile_index(10, 0.5), quantile_index(1, 0.8)), (7, 4, 0));
        assert_eq!(quantile_index(50, 0.5), 24);
        // Of 10 values the 2nd and the 9th enclose the median (97.9 %).
        assert_eq!(quantile_limits(10, 0.5), (Some(1), Some(8)));
        // Of 3 the smallest lies below the 80 % quantile (99.2 %); none is surely above it.
        assert_eq!(quantile_limits(3, 0.8), (Some(0), None));
    }
}
