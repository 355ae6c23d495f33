//! Sequential tests on requests: valid at every look, if each request were its own unit.
//!
//! Three published rules, fed the only rows that a metrics system has: counts of requests and of failures, of both arms.
//! Where users stick to an arm these rows are not independent, and nothing in the rules can know that.
//!
//! * mSPRT: Johari, Pekelis, Walsh, "Always valid inference"; a normal mixture over the difference of two rates with the
//!   scale chosen beforehand (package `msprt` 0.1.2).
//! * GrowthBook: the sequential test of gbstats (growthbook/growthbook, commit 8f1db44) on the relative difference, tuned
//!   to 5,000 rows. GrowthBook itself feeds it one row a user; a log without units has none.
//! * Lindon and Malek (arXiv 2011.03567), as in savvi 0.3.1: each error is a draw of an arm, with a Dirichlet prior around
//!   the share that the canary should have of them.
//!
//! All three are two-sided; a rule takes the canary back when it rejects and the canary is the worse one.

use super::{Latch, Minute, State};
use crate::math;

/// Which of the tests.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum SequentialTest {
    /// Difference of two rates, prior N(0, `tau`^2).
    Msprt {
        /// Scale of the prior, as a rate: .93 times the smallest difference that matters is best at alpha .05.
        tau: f64,
    },
    /// Relative difference, tuned to be narrowest after `rows` rows.
    GrowthBook {
        /// Rows of both arms; GrowthBook's default is 5,000.
        rows: f64,
    },
    /// Which arm an error belongs to.
    LindonMalek {
        /// The canary's share of requests as it was configured (0 to 1); `None` takes the share that is seen.
        share: Option<f64>,
        /// Weight of the prior; savvi's default is 100.
        prior: f64,
    },
}

/// Test and error level.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SequentialConfig {
    /// The test.
    pub test: SequentialTest,
    /// Error level over all looks. Default .05.
    pub alpha: f64,
}

/// Requests of the canary, and failures of both arms, before mSPRT and GrowthBook are looked at: below it the normal
/// approximation says nothing.
const REQUESTS_MIN: u64 = 100;
const ERRORS_MIN: u64 = 10;

/// A test and its cumulative counts.
#[derive(Clone, Copy, Debug)]
pub struct Sequential {
    config: SequentialConfig,
    latch: Latch,
    /// Requests and failures of the baseline, and of the canary.
    counts: [(u64, u64); 2],
}

impl Sequential {
    /// A fresh test.
    pub fn new(config: SequentialConfig) -> Sequential {
        Sequential { config, latch: Latch::default(), counts: [(0, 0); 2] }
    }

    /// Short name for tables.
    pub fn name(&self) -> &'static str {
        match self.config.test {
            SequentialTest::Msprt { .. } => "mSPRT on requests",
            SequentialTest::GrowthBook { .. } => "GrowthBook formula on requests",
            SequentialTest::LindonMalek { .. } => "Lindon-Malek on errors",
        }
    }

    /// Takes the next minute and looks.
    pub fn observe(&mut self, baseline: &Minute, canary: &Minute) -> State {
        if !self.latch.tick() {
            return self.latch.state;
        }
        for ((requests, errors), minute) in self.counts.iter_mut().zip([baseline, canary]) {
            *requests = requests.saturating_add(minute.requests);
            *errors = errors.saturating_add(minute.errors.min(minute.requests));
        }
        if self.is_worse() && self.log_e() >= -math::ln(self.config.alpha) {
            return self.latch.decide(State::RolledBack);
        }
        State::Watching
    }

    /// What has been decided so far.
    pub fn state(&self) -> State {
        self.latch.state
    }

    /// The number of minutes that had been observed when the rule decided.
    pub fn decided_after_minutes(&self) -> Option<u64> {
        self.latch.decided_after_minutes()
    }

    /// ln of the evidence against "both arms are alike".
    pub fn log_e(&self) -> f64 {
        let [(n_b, x_b), (n_c, x_c)] = self.counts;
        let enough = n_c >= REQUESTS_MIN && n_b >= REQUESTS_MIN && x_b + x_c >= ERRORS_MIN;
        match self.config.test {
            SequentialTest::Msprt { tau } if enough => {
                let (p_b, p_c) = (rate(x_b, n_b), rate(x_c, n_c));
                let variance = p_b * (1.0 - p_b) / n_b as f64 + p_c * (1.0 - p_c) / n_c as f64;
                normal_mixture(p_c - p_b, variance, tau)
            }
            SequentialTest::GrowthBook { rows } if enough && x_b > 0 => {
                let (diff, variance) = relative_difference(self.counts);
                normal_mixture(diff, variance, growthbook_tau(variance, n_b + n_c, rows, self.config.alpha))
            }
            SequentialTest::Msprt { .. } | SequentialTest::GrowthBook { .. } => 0.0,
            SequentialTest::LindonMalek { prior, .. } => self.share().map_or(0.0, |share| {
                let (c, b) = (x_c as f64, x_b as f64);
                let (a_c, a_b) = (prior * share, prior * (1.0 - share));
                math::ln_beta(a_c + c, a_b + b)
                    - math::ln_beta(a_c, a_b)
                    - c * math::ln(share)
                    - b * math::ln_1p(-share)
            }),
        }
    }

    /// The share of errors that the canary should have.
    fn share(&self) -> Option<f64> {
        let SequentialTest::LindonMalek { share, .. } = self.config.test else { return None };
        let [(n_b, _), (n_c, _)] = self.counts;
        let seen = || (n_b > 0 && n_c > 0).then(|| n_c as f64 / (n_b as f64 + n_c as f64));
        share.or_else(seen).filter(|share| *share > 0.0 && *share < 1.0)
    }

    fn is_worse(&self) -> bool {
        let [(n_b, x_b), (n_c, x_c)] = self.counts;
        match self.config.test {
            SequentialTest::Msprt { .. } | SequentialTest::GrowthBook { .. } => rate(x_c, n_c) > rate(x_b, n_b),
            SequentialTest::LindonMalek { .. } => {
                self.share().is_some_and(|share| x_c as f64 > share * (x_b as f64 + x_c as f64))
            }
        }
    }
}

fn rate(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// ln of sqrt(v / (v + tau^2)) exp( d^2 tau^2 / (2 v (v + tau^2)) ).
fn normal_mixture(diff: f64, variance: f64, tau: f64) -> f64 {
    let square = tau * tau;
    if !(variance > 0.0 && square > 0.0) {
        return 0.0;
    }
    0.5 * math::ln(variance / (variance + square)) + 0.5 * diff * diff * square / (variance * (variance + square))
}

/// (p_c - p_b) / p_b and its variance by the delta method.
fn relative_difference([(n_b, x_b), (n_c, x_c)]: [(u64, u64); 2]) -> (f64, f64) {
    let (p_b, p_c) = (rate(x_b, n_b), rate(x_c, n_c));
    let of_canary = p_c * (1.0 - p_c) / n_c as f64 / (p_b * p_b);
    let of_baseline = p_c * p_c * p_b * (1.0 - p_b) / n_b as f64 / (p_b * p_b * p_b * p_b);
    ((p_c - p_b) / p_b, of_canary + of_baseline)
}

/// The scale that is narrowest after `rows` rows: rho^2 = (-2 ln alpha + ln(1 - 2 ln alpha)) / rows, tau^2 = rho^2 SE^2 N.
fn growthbook_tau(variance: f64, seen: u64, rows: f64, alpha: f64) -> f64 {
    let log = -2.0 * math::ln(alpha);
    ((log + math::ln(1.0 + log)) / rows * variance * seen as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(test: SequentialTest, alpha: f64, [(n_b, x_b), (n_c, x_c)]: [(u64, u64); 2]) -> Sequential {
        let mut rule = Sequential::new(SequentialConfig { test, alpha });
        let minute = |requests, errors| Minute { requests, errors, ..Minute::default() };
        rule.observe(&minute(n_b, x_b), &minute(n_c, x_c));
        rule
    }

    #[test]
    fn growthbook_as_gbstats_computes_it() {
        // gbstats 0.8.0, SequentialTwoSidedTTest on proportions, relative difference: point, variance, p = min(1, 1/E).
        for (counts, point, variance, p) in [
            (
                [(3_000, 1_396), (3_461, 2_422)],
                0.503_863_351_682_149_6,
                0.001_146_514_146_182_357,
                5.174_716_682_839_852e-44,
            ),
            ([(100_000, 500), (5_000, 40)], 0.6, 0.068_582_4, 0.953_172_864_012_117_4),
            ([(100_000, 500), (5_000, 75)], 1.999_999_999_999_999_6, 0.136_11, 5.871_569_082_502_443e-6),
        ] {
            let (diff, v) = relative_difference(counts);
            assert!((diff - point).abs() < 1e-9 && (v / variance - 1.0).abs() < 1e-9, "{counts:?}: {diff} {v}");
            let got = fed(SequentialTest::GrowthBook { rows: 5_000.0 }, 0.05, counts).log_e();
            assert!((got + f64::ln(p)).abs() < 1e-6 * got.abs().max(1.0), "{counts:?}: {got} is not {}", -f64::ln(p));
        }
    }

    #[test]
    fn lindon_malek_as_savvi_computes_it() {
        // savvi 0.3.1, Multinomial(theta_0 = (share, 1 - share), k).update((canary, baseline)).
        for (canary, baseline, share, prior, log_e) in [
            (12, 188, 0.05, 100.0, -0.485_329_595_422_626_9),
            (30, 170, 0.05, 100.0, 9.423_349_856_138_202),
            (5, 0, 0.05, 1.0, 10.475_925_780_491_433),
            (560, 440, 0.5, 100.0, 5.363_268_896_000_932),
            (1_100, 18_900, 0.05, 1_000.0, 3.301_758_436_971_795),
        ] {
            let test = SequentialTest::LindonMalek { share: Some(share), prior };
            let got = fed(test, 0.05, [(1_000_000, baseline), (1_000_000, canary)]).log_e();
            assert!((got - log_e).abs() < 1e-8, "{canary} {baseline}: {got} is not {log_e}");
        }
    }

    #[test]
    fn msprt_is_the_normal_mixture_of_the_unpooled_variance() {
        // sqrt(v / (v + t^2)) exp(d^2 t^2 / (2 v (v + t^2))) with v = .008 x .992 / 5000 + .005 x .995 / 100000.
        let got = fed(SequentialTest::Msprt { tau: 0.0025 }, 0.05, [(100_000, 500), (5_000, 40)]).log_e();
        let (v, square) = (1.636_95e-6_f64, 6.25e-6_f64);
        let expect = (v / (v + square)).sqrt().ln() + 9e-6 * square / (2.0 * v * (v + square));
        assert!((got - expect).abs() < 1e-9, "{got} is not {expect}");
    }

    #[test]
    fn only_the_worse_canary_is_taken_back() {
        for test in [
            SequentialTest::Msprt { tau: 0.0047 },
            SequentialTest::GrowthBook { rows: 5_000.0 },
            SequentialTest::LindonMalek { share: Some(0.5), prior: 100.0 },
            SequentialTest::LindonMalek { share: None, prior: 100.0 },
        ] {
            let state = |counts| fed(test, 0.05, counts).state();
            assert_eq!(state([(10_000, 50), (10_000, 200)]), State::RolledBack, "{test:?}");
            assert_eq!(state([(10_000, 200), (10_000, 50)]), State::Watching, "{test:?}");
            assert_eq!(state([(10_000, 50), (10_000, 55)]), State::Watching, "{test:?}");
            assert_eq!(state([(0, 0), (0, 0)]), State::Watching, "{test:?}");
        }
    }
}
