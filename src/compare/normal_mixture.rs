//! Normal-mixture boundary of Howard, Ramdas, McAuliffe and Sekhon ("Time-uniform, nonparametric, nonasymptotic confidence
//! sequences", Annals of Statistics 2021): what the bucket test tends to as its degrees of freedom grow, with one scale.
//!
//! No verdict rests on it. It anchors the bucket test to an outside package and serves rivals on the scoreboard.

use std::f64::consts::LN_2;

use crate::compare::bucket::Sides;
use crate::math;

/// ln of the mixture martingale of a sum `s` with variance process `v`, tuned to be tightest at `v_opt` for error level
/// `alpha_opt`. No evidence (0) outside v >= 0, v_opt > 0, 0 < alpha_opt < 1 (1/2 for one side).
pub fn normal_log_mixture(s: f64, v: f64, v_opt: f64, alpha_opt: f64, sides: Sides) -> f64 {
    let Some(rho) = rho(v, v_opt, alpha_opt, sides) else { return 0.0 };
    let log_mixture = log_mixture(s, v, rho, sides);
    if log_mixture.is_finite() { log_mixture } else { 0.0 }
}

/// Boundary at error level `alpha`: the smallest s at which the mixture reaches 1/`alpha`. Infinite where the arguments
/// make no sense.
pub fn normal_mixture_bound(v: f64, alpha: f64, v_opt: f64, alpha_opt: f64, sides: Sides) -> f64 {
    let Some(rho) = rho(v, v_opt, alpha_opt, sides).filter(|_| alpha > 0.0 && alpha < 1.0) else {
        return f64::INFINITY;
    };
    // E = 1/alpha solved for s. For one side E is larger at every s >= 0, so its boundary lies below.
    let two_sided = ((v + rho) * (math::ln((v + rho) / rho) - 2.0 * math::ln(alpha))).sqrt();
    if !two_sided.is_finite() {
        return f64::INFINITY;
    }
    match sides {
        Sides::Two => two_sided,
        Sides::One => {
            let threshold = -math::ln(alpha);
            math::bisect(0.0, two_sided, 200, |s| log_mixture(s, v, rho, Sides::One) < threshold)
        }
    }
}

fn log_mixture(s: f64, v: f64, rho: f64, sides: Sides) -> f64 {
    let two_sided = 0.5 * math::ln(rho / (v + rho)) + 0.5 * s * s / (v + rho);
    match sides {
        Sides::Two => two_sided,
        Sides::One => two_sided + LN_2 + math::ln_normal_cdf(s / (v + rho).sqrt()),
    }
}

/// Precision of the prior that makes the boundary tightest at `v_opt`; a one-sided test at alpha is tuned like a
/// two-sided one at 2 alpha.
fn rho(v: f64, v_opt: f64, alpha_opt: f64, sides: Sides) -> Option<f64> {
    let alpha = match sides {
        Sides::One => 2.0 * alpha_opt,
        Sides::Two => alpha_opt,
    };
    let sound = v >= 0.0 && v.is_finite() && v_opt > 0.0 && v_opt.is_finite() && alpha > 0.0 && alpha < 1.0;
    let twice_log = -2.0 * math::ln(alpha);
    sound.then(|| v_opt / (twice_log + math::ln_1p(twice_log)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_without_sense_are_no_evidence() {
        for (v, v_opt, alpha_opt) in [(-1.0, 1.0, 0.05), (1.0, 0.0, 0.05), (1.0, 1.0, 0.0), (1.0, 1.0, 1.0)] {
            for sides in [Sides::One, Sides::Two] {
                assert_eq!(normal_log_mixture(3.0, v, v_opt, alpha_opt, sides), 0.0);
                assert_eq!(normal_mixture_bound(v, 0.05, v_opt, alpha_opt, sides), f64::INFINITY);
            }
        }
        assert_eq!(normal_mixture_bound(1.0, 0.0, 1.0, 0.05, Sides::Two), f64::INFINITY);
        assert_eq!(normal_log_mixture(f64::NAN, 1.0, 1.0, 0.05, Sides::Two), 0.0);
    }

    #[test]
    fn mixture_at_the_boundary_is_one_over_alpha() {
        for sides in [Sides::One, Sides::Two] {
            for (v, alpha) in [(1.0, 0.05), (250.0, 0.01), (1e6, 1e-4)] {
                let bound = normal_mixture_bound(v, alpha, 100.0, 0.05, sides);
                let log_e = normal_log_mixture(bound, v, 100.0, 0.05, sides);
                assert!((log_e + math::ln(alpha)).abs() < 1e-9, "{sides:?} v {v} alpha {alpha}: {log_e}");
            }
        }
    }
}
