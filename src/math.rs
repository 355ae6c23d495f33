//! Pinned elementary functions.
//!
//! A replay must give the same bits on every machine, and the platform's `f64::ln` does not promise that. So the core
//! takes logarithms, exponentials and the error function from here, where they come from one pinned pure-Rust library.
//! (`sqrt`, `abs`, `min`, `max` and `floor` are exact by IEEE 754 and may be used directly.)
//!
//! These functions follow IEEE 754: a NaN goes in and comes out. What a test does with a useless number is its own
//! business; the tests in `compare` answer with "no evidence".

use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

/// ln sqrt(2 pi), the constant of the normal density and of Stirling's formula.
const LN_SQRT_2_PI: f64 = 0.918_938_533_204_672_8;

/// Natural logarithm.
#[inline]
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// ln(1 + x), exact for small x.
#[inline]
pub fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}

/// e^x.
#[inline]
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// e^x - 1, exact for small x.
#[inline]
pub fn exp_m1(x: f64) -> f64 {
    libm::expm1(x)
}

/// `base` to the power of `exponent`.
#[inline]
pub fn pow(base: f64, exponent: f64) -> f64 {
    libm::pow(base, exponent)
}

/// ln |Gamma(x)|.
#[inline]
pub fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// What Stirling's formula leaves out: ln Gamma(x) - [(x - 1/2) ln x - x + 1/2 ln(2 pi)], for x > 0.
///
/// Differences of ln Gamma at large counts lose all their digits (ln Gamma(10^9) is 2 x 10^10). Whoever needs such a
/// difference cancels the large parts on paper and adds these small rests.
pub fn stirling_rest(x: f64) -> f64 {
    if x < 10.0 {
        return ln_gamma(x) - ((x - 0.5) * ln(x) - x + LN_SQRT_2_PI);
    }
    // Bernoulli numbers B_2k / (2k (2k - 1)); at x = 10 the first term left out is 6e-16.
    const TERMS: [f64; 6] = [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0];
    let inverse = 1.0 / x;
    let step = inverse * inverse;
    TERMS.iter().rev().fold(0.0, |rest, term| rest * step + term) * inverse
}

/// ln B(a, b) = ln Gamma(a) + ln Gamma(b) - ln Gamma(a + b), for a, b > 0; keeps its digits when one or both are large.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    let (small, large) = if a < b { (a, b) } else { (b, a) };
    if small >= 10.0 {
        let ratio = small / large;
        // ln of small / (small + large), and of large / (small + large).
        let (ln_small, ln_large) = (ln(ratio / (1.0 + ratio)), -ln_1p(ratio));
        let rest = stirling_rest(small) + stirling_rest(large) - stirling_rest(small + large);
        return LN_SQRT_2_PI - 0.5 * ln(large) + (small - 0.5) * ln_small + large * ln_large + rest;
    }
    if large >= 10.0 {
        // ln Gamma(large) - ln Gamma(small + large), with the terms of size `large` cancelled.
        let shift = small - (large - 0.5) * ln_1p(small / large) - small * ln(small + large);
        return ln_gamma(small) + shift + stirling_rest(large) - stirling_rest(small + large);
    }
    ln_gamma(small) + ln_gamma(large) - ln_gamma(small + large)
}

/// Complementary error function.
#[inline]
pub fn erfc(x: f64) -> f64 {
    libm::erfc(x)
}

/// Phi(x), the normal distribution function.
#[inline]
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// ln Phi(x), to a relative 1e-10 or better at every x (Phi itself underflows near x = -38.5; this does not).
pub fn ln_normal_cdf(x: f64) -> f64 {
    if x >= 0.0 {
        return ln_1p(-normal_cdf(-x));
    }
    if x > -10.0 {
        return ln(normal_cdf(x));
    }
    // Phi(x) = phi(x) / -x * (1 - 1/x^2 + 3/x^4 - 15/x^6 ...), an asymptotic series; at x = -10 twelve terms leave an
    // error of 3e-12 of Phi, that is 6e-14 of its logarithm.
    let step = 1.0 / (x * x);
    let series = (0..12_u32).rev().fold(1.0, |series, k| 1.0 - f64::from(2 * k + 1) * step * series);
    -0.5 * x * x - ln(-x) - LN_SQRT_2_PI + ln(series)
}

/// The x with Phi(x) = p; infinite at 0 and 1, NaN outside.
pub fn normal_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    if p == 0.0 {
        return f64::NEG_INFINITY;
    }
    // Newton on ln Phi, which is concave: from a start left of the root it climbs to it and never passes it. The start is
    // left of the root because Phi(x) <= exp(-x^2/2) / 2 for x <= 0.
    let target = ln(p);
    let mut x = -(-2.0 * target).sqrt();
    for _ in 0..64 {
        let ln_cdf = ln_normal_cdf(x);
        let slope = exp(-0.5 * x * x - LN_SQRT_2_PI - ln_cdf);
        let step = (target - ln_cdf) / slope;
        x += step;
        if step <= 1e-16 * (1.0 - x) {
            break;
        }
    }
    x
}

/// ln of the sum of exp(values), without overflow; minus infinity for no values.
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max.is_infinite() {
        return if values.iter().any(|value| value.is_nan()) { f64::NAN } else { max };
    }
    max + ln(values.iter().map(|value| exp(value - max)).sum())
}

/// ln of the mean of exp(values): the combined evidence of equally weighted e-values; 0 (no evidence) for no values.
pub fn log_mean_exp(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    log_sum_exp(values) - ln(values.len() as f64)
}

/// ln of (e^a + e^b) / 2: the two halves of a two-sided test.
#[inline]
pub fn log_mean_exp_2(a: f64, b: f64) -> f64 {
    log_sum_exp(&[a, b]) - LN_2
}

/// Where `is_left` turns from true to false between `low` and `high`: at most `halvings` halvings, fewer once the
/// interval is one float wide.
pub fn bisect(mut low: f64, mut high: f64, halvings: u32, is_left: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..halvings {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if is_left(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// Root of `f` between `low` and `high`, at which its signs differ, to `tolerance` on either side (not finer than floats are): the ITP
/// method (Oliveira and Takahashi, ACM Transactions on Mathematical Software 47(1), 2021) with k1 = 0.2 / (high - low), k2 = 2, n0 = 1. At
/// most one step more than bisection takes, and about a fifth as many where `f` is smooth.
pub fn root(low: f64, high: f64, tolerance: f64, f: impl Fn(f64) -> f64) -> f64 {
    /// Steps of bisection from the widest range of floats to the finest.
    const HALVINGS_MAX: u32 = 200;
    let (mut at, mut value) = ([low, high], [f(low), f(high)]);
    let is_above_left = value[0] > 0.0;
    let truncation = 0.2 / (high - low);
    // The width that bisection, one step later, would have come to.
    let mut allowed = 2.0 * tolerance;
    let mut halvings = 0;
    while allowed < high - low && halvings < HALVINGS_MAX {
        allowed *= 2.0;
        halvings += 1;
    }
    for _ in 0..=halvings + 1 {
        let width = at[1] - at[0];
        let half = 0.5 * (at[0] + at[1]);
        if width <= 2.0 * tolerance || half <= at[0] || half >= at[1] {
            break;
        }
        let secant = (value[1] * at[0] - value[0] * at[1]) / (value[1] - value[0]);
        let secant = if secant.is_finite() { secant } else { half };
        let towards = if half >= secant { 1.0 } else { -1.0 };
        let shift = truncation * width * width;
        let truncated = if shift <= (half - secant).abs() { secant + towards * shift } else { half };
        let radius = (allowed - 0.5 * width).max(0.0);
        let next = if (truncated - half).abs() <= radius { truncated } else { half - towards * radius };
        let next = if next > at[0] && next < at[1] { next } else { half };
        let of_next = f(next);
        let side = usize::from((of_next > 0.0) != is_above_left);
        (at[side], value[side]) = (next, of_next);
        allowed *= 0.5;
    }
    0.5 * (at[0] + at[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values in this module were computed with mpmath at 60 digits and rounded to the nearest f64.
    #[track_caller]
    fn check(name: &str, x: f64, got: f64, want: f64, tolerance: f64) {
        let close = got == want || (got - want).abs() <= tolerance * want.abs();
        assert!(close, "{name}({x}) = {got:e}, expected {want:e}");
    }

    #[test]
    fn logarithms() {
        for (x, want) in [
            (1e-300, -690.7755278982137),
            (1e-5, -11.512925464970229),
            (0.7, -0.35667494393873245),
            (1.0, 0.0),
            (1.0000001, 9.999999505838704e-8),
            (10.0, std::f64::consts::LN_10),
            (1e300, 690.7755278982137),
        ] {
            check("ln", x, ln(x), want, 1e-15);
        }
        for (x, want) in [
            (-0.999, -6.907755278982136),
            (-0.5, -LN_2),
            (-1e-10, -1.00000000005e-10),
            (1e-15, 9.999999999999995e-16),
            (0.5, 0.4054651081081644),
            (1e20, 46.051701859880914),
        ] {
            check("ln_1p", x, ln_1p(x), want, 1e-15);
        }
    }

    #[test]
    fn exponentials() {
        for (x, want, want_m1) in [
            (-700.0, 9.85967654375977e-305, -1.0),
            (-20.0, 2.061153622438558e-9, -0.9999999979388464),
            (-1e-9, 0.999999999, -9.999999995e-10),
            (0.0, 1.0, 0.0),
            (1e-9, 1.000000001, 1.0000000005000001e-9),
            (0.5, 1.6487212707001282, 0.6487212707001282),
            (700.0, 1.0142320547350045e304, 1.0142320547350045e304),
        ] {
            check("exp", x, exp(x), want, 1e-15);
            check("exp_m1", x, exp_m1(x), want_m1, 1e-15);
        }
        for (base, exponent, want) in [
            (2.0, 0.5, std::f64::consts::SQRT_2),
            (10.0, -3.5, 0.00031622776601683794),
            (0.5, 100.25, 6.633503073341491e-31),
            (1.5, -4.0, 0.19753086419753085),
        ] {
            check("pow", base, pow(base, exponent), want, 1e-15);
        }
    }

    #[test]
    fn gamma_and_beta() {
        for (x, want) in [
            (0.05, 2.9688792010517306),
            (0.5, 0.5723649429247001),
            (1.0, 0.0),
            (1.5, -0.12078223763524522),
            (10.0, 12.801827480081469),
            (1000.5, 5908.674175848678),
            (1e9, 19723265827.503716),
        ] {
            check("ln_gamma", x, ln_gamma(x), want, 1e-14);
            let stirling = (x - 0.5) * ln(x) - x + LN_SQRT_2_PI + stirling_rest(x);
            assert!((stirling - want).abs() <= 1e-13 * want.abs().max(1.0), "Stirling at {x}: {stirling}");
        }
        for (a, b, want) in [
            (0.001, 0.001, 7.600900817008347),
            (0.5, 0.5, 1.1447298858494002),
            (1.0, 1.0, 0.0),
            (2.0, 3.0, -2.4849066497880004),
            (0.05, 0.95, 2.9998479962897036),
            (5.0, 95.0, -19.694969560028976),
            (50.0, 950.0, -199.52499863777675),
            (0.3, 1e6, -3.0488550675711994),
            (1e9, 3.0, -61.47665033327929),
            (20.0, 30.0, -33.968820791977386),
            (12.0, 1e12, -314.0699455453347),
            (1e6, 1e6, -1386300.003362921),
            (1e9, 2e9, -1909542514.1244004),
        ] {
            check("ln_beta", a, ln_beta(a, b), want, 1e-13);
        }
    }

    #[test]
    fn normal_distribution() {
        for (x, want) in [
            (-6.0, 2.0),
            (-1.0, 1.8427007929497148),
            (0.25, 0.7236736098317631),
            (3.0, 2.209049699858544e-5),
            (10.0, 2.088487583762545e-45),
            (26.0, 5.663192408856143e-296),
        ] {
            check("erfc", x, erfc(x), want, 1e-14);
        }
        for (x, want) in [
            (-1e5, -5000000012.431864),
            (-1000.0, -500007.82669481216),
            (-100.0, -5005.524208694205),
            (-60.0, -1805.0135606805673),
            (-40.0, -804.6084420137538),
            (-38.5, -745.695270290411),
            (-38.0, -726.5572160188201),
            (-37.0, -689.0305855768906),
            (-20.0, -203.91715537109727),
            (-12.0, -75.4106730015688),
            (-10.5, -58.404187061073245),
            (-10.0, -53.23128515051247),
            (-9.999, -53.22118755255553),
            (-8.0, -35.01343715991455),
            (-5.0, -15.064998393988725),
            (-1.5, -2.7059444008238898),
            (-0.001, -0.6939453834669652),
            (0.0, -LN_2),
            (0.001, -0.6923496142726883),
            (1.0, -0.17275377902344988),
            (5.0, -2.866516129637636e-7),
            (8.0, -6.220960574271786e-16),
            (20.0, -2.7536241186062337e-89),
            (37.0, -5.725571222524577e-300),
        ] {
            check("ln_normal_cdf", x, ln_normal_cdf(x), want, 1e-12);
        }
        assert_eq!(ln_normal_cdf(f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(ln_normal_cdf(f64::INFINITY), 0.0);
        assert!(ln_normal_cdf(f64::NAN).is_nan());
    }

    #[test]
    fn normal_quantiles() {
        for (p, want) in [
            (1e-300, -37.0470962993612),
            (1e-20, -9.262340089798407),
            (0.001, -3.0902323061678136),
            (0.01, -2.326347874040841),
            (0.3, -0.5244005127080408),
            (0.6, 0.2533471031357997),
            (0.975, 1.9599639845400538),
            (0.999999, 4.753424308817087),
        ] {
            check("normal_quantile", p, normal_quantile(p), want, 1e-14);
        }
        assert!(normal_quantile(0.5).abs() < 1e-15);
        assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
        assert!(normal_quantile(-0.1).is_nan() && normal_quantile(f64::NAN).is_nan());
    }

    #[test]
    fn sums_of_exponentials() {
        check("log_sum_exp", 0.0, log_sum_exp(&[700.0, 710.0]), 710.0000453988992, 1e-15);
        check("log_mean_exp", 0.0, log_mean_exp(&[1.5, 1.5, 1.5]), 1.5, 1e-15);
        check("log_mean_exp_2", 0.0, log_mean_exp_2(-2000.0, 3.0), 3.0 - LN_2, 1e-15);
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(log_mean_exp(&[]), 0.0);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY, f64::NEG_INFINITY]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[1.0, f64::INFINITY]), f64::INFINITY);
        assert!(log_sum_exp(&[f64::NAN]).is_nan() && log_sum_exp(&[1.0, f64::NAN]).is_nan());
    }

    #[test]
    fn a_root_is_found_in_few_steps_and_never_many() {
        let steps = std::cell::Cell::new(0);
        let found = |f: &dyn Fn(f64) -> f64, low, high| {
            steps.set(0);
            root(low, high, 1e-14, |x| {
                steps.set(steps.get() + 1);
                f(x)
            })
        };
        let smooth = found(&|x| x * x - 2.0, 0.0, 4.0);
        assert!(
            (smooth - std::f64::consts::SQRT_2).abs() < 2e-14 && steps.get() <= 16,
            "{smooth}, {} steps",
            steps.get()
        );
        // Falling, and with a root far from the middle.
        let falling = found(&|x| 1e-3 - x, 0.0, 1.0);
        assert!((falling - 1e-3).abs() < 2e-14);
        // Hostile: flat, a step, and nowhere finite.
        let step = found(&|x| if x < 0.75 { -1.0 } else { 1e300 }, 0.0, 1.0);
        assert!((step - 0.75).abs() < 2e-14 && steps.get() <= 52, "{step}, {} steps", steps.get());
        let endless = found(&|x| if x < 0.75 { f64::NEG_INFINITY } else { f64::INFINITY }, 0.0, 1.0);
        assert!((endless - 0.75).abs() < 2e-14 && steps.get() <= 52, "{endless}, {} steps", steps.get());
        let ninth = found(&|x| (x - 0.3).powi(9), 0.0, 1.0);
        assert!((ninth - 0.3).abs() < 1e-3 && steps.get() <= 52);
    }

    #[test]
    fn bisection_stops_at_neighbouring_floats() {
        check("bisect", 2.0, bisect(0.0, 4.0, 200, |x| x * x < 2.0), std::f64::consts::SQRT_2, 1e-15);
    }
}
