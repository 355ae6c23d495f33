//! What must hold for any input: no panic, no NaN, e-values that move the right way, and a mean of at most 1 when nothing
//! is wrong.
//!
//! Every run uses a fixed seed, printed on failure; `SERIN_TEST_SEED=7 cargo test` tries another one.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serin::compare::bucket::{self, ArmStats, BUCKETS, Sides, Variance};
use serin::compare::share::{self, Stratum};
use serin::compare::{arrivals, budget, lists, margin, normal_mixture, sample_ratio, unit_rule};
use serin::math;

const VARIANCES: [Variance; 2] = [Variance::RawCounts, Variance::Adjusted];

// Any input.

#[test]
fn share_test_takes_any_input() {
    let inputs = (proptest::collection::vec(any_stratum(), 0..5), any_number(), any_number());
    check(inputs, |(strata, r0, alpha)| {
        no_nan("fail", share::log_e_fail(&strata, r0))?;
        no_nan("pass", share::log_e_pass(&strata, r0))?;
        no_nan("changed", share::log_e_changed(&strata, r0))?;
        let interval = share::interval(&strata, alpha);
        prop_assert!(0.0 <= interval.low && interval.low <= interval.high, "{interval:?}");
        prop_assert!(1e-5 < interval.estimate && interval.estimate < 1e5, "{interval:?}");
        Ok(())
    });
}

#[test]
fn bucket_test_takes_any_input() {
    let inputs = (any_arm(), any_arm(), any_number(), any_number());
    check(inputs, |(canary, base, margin, other)| {
        for variance in VARIANCES {
            no_nan("fail", bucket::log_e_fail(&canary, &base, margin, variance))?;
        }
        no_nan("pass", bucket::log_e_pass(&canary, &base, margin, other))?;
        no_nan("changed", bucket::log_e_changed_arms(&canary, &base, margin))?;
        no_nan("changed", bucket::log_e_changed(canary.mean, canary.variance, canary.dof, margin))?;
        for sides in [Sides::One, Sides::Two] {
            no_nan("mixture", bucket::mixture(canary.mean, canary.variance, canary.dof, margin, sides))?;
            no_nan("normal", normal_mixture::normal_log_mixture(other, margin, base.n, base.mean, sides))?;
            let bound = normal_mixture::normal_mixture_bound(margin, other, base.n, base.mean, sides);
            prop_assert!(bound >= 0.0, "bound {bound}");
        }
        let (low, high) = bucket::interval(&canary, &base, margin, other);
        prop_assert!(low <= high, "{low} {high}");
        Ok(())
    });
}

#[test]
fn bucket_sums_may_be_anything() {
    let buckets = proptest::collection::vec((any_number(), any_number()), 0..70);
    check((buckets, any_number()), |(buckets, floor)| {
        let (residuals, n): (Vec<f64>, Vec<f64>) = buckets.into_iter().unzip();
        let stats = bucket::arm_stats(&residuals, &n, floor);
        prop_assert!(stats.mean.is_finite() && stats.n.is_finite() && stats.n >= 0.0, "{stats:?}");
        prop_assert!(stats.variance.is_finite() && stats.variance >= 0.0 && stats.dof >= 1.0, "{stats:?}");
        let (ratio, variance) = bucket::ratio(&residuals, &n);
        prop_assert!(ratio.is_finite() && variance >= 0.0);
        Ok(())
    });
}

#[test]
fn rules_and_lists_take_any_input() {
    let numbers = proptest::collection::vec(any_number(), 0..6);
    let counts = proptest::collection::vec(any_count(), 0..6);
    check((counts, numbers, any_number(), any_count()), |(counts, numbers, number, count)| {
        no_nan("sample ratio", sample_ratio::log_e(&counts, &numbers, number))?;
        let parts: Vec<(f64, f64)> = numbers.iter().map(|other| (number, *other)).collect();
        no_nan("sum", budget::log_sum(&parts, number))?;
        no_nan("margin", margin::error_margin(number))?;
        let few = counts.first().copied().unwrap_or(0);
        let rate = margin::running_base_rate(few, count);
        prop_assert!(rate > 0.0 && rate <= 1.0, "{rate}");
        prop_assert!((1.0..=4.0).contains(&margin::step_mult(number)));
        for other in &numbers {
            prop_assert!(margin::error_r0(*other, 1.0) >= 1.0);
            no_nan("pass_r0", margin::pass_r0(number.abs(), *other))?;
        }
        prop_assert_eq!(lists::e_bh(&numbers, number).len(), numbers.len());
        prop_assert!(lists::notify(&numbers, 64, number).len() <= numbers.len());
        if let (_, Some(moved)) = unit_rule::unit_rule(few, count, number) {
            prop_assert!((0.0..=2.0).contains(&moved), "{moved}");
        }
        let ratio = arrivals::cut_likelihood_ratio(few, count, count, few);
        prop_assert!(ratio >= 0.0 && ratio.is_finite(), "{ratio}");
        Ok(())
    });
}

#[test]
fn share_cuts_take_any_windows_and_survive_a_snapshot() {
    check(proptest::collection::vec((any_count(), any_count()), 0..300), |windows| {
        let mut share_cuts = arrivals::ShareCuts::default();
        for (canary_active, active) in windows {
            share_cuts.window(canary_active, active);
            let restored = arrivals::ShareCuts::from_parts(share_cuts.to_parts());
            prop_assert_eq!(restored.as_ref(), Some(&share_cuts));
        }
        Ok(())
    });
}

// Direction.

#[test]
fn share_evidence_moves_with_the_canary_count() {
    let inputs = (1..2000_u64, 1..2000_u64, 0..200_u64, 1..200_u64, 0.2..5.0_f64);
    check(inputs, |(canary_units, base_units, canary_first, base_first, r0)| {
        let units = canary_units + base_units;
        let stratum = |canary_first| [Stratum { canary_units, units, canary_first, first: canary_first + base_first }];
        let (fewer, more) = (stratum(canary_first), stratum(canary_first + 1));
        prop_assert!(share::log_e_fail(&more, r0) > share::log_e_fail(&fewer, r0));
        prop_assert!(share::log_e_pass(&more, r0) < share::log_e_pass(&fewer, r0));
        // A harder null is harder to reject.
        prop_assert!(share::log_e_fail(&more, 1.1 * r0) <= share::log_e_fail(&more, r0));
        prop_assert!(share::log_e_pass(&more, 1.1 * r0) >= share::log_e_pass(&more, r0));
        let (few, many) = (share::interval(&fewer, 0.05), share::interval(&more, 0.05));
        prop_assert!(few.low <= many.low && few.high <= many.high, "{few:?} {many:?}");
        prop_assert!(many.low <= many.estimate && many.estimate <= many.high, "{many:?}");
        Ok(())
    });
}

#[test]
fn interval_agrees_with_the_tests_it_inverts() {
    let inputs = (proptest::collection::vec((1..500_u64, 1..500_u64, 0..40_u64, 0..40_u64), 1..4), 0.001..0.3_f64);
    check(inputs, |(rows, alpha)| {
        let strata: Vec<Stratum> = rows
            .iter()
            .map(|(canary, base, canary_first, base_first)| Stratum {
                canary_units: *canary,
                units: canary + base,
                canary_first: *canary_first,
                first: canary_first + base_first,
            })
            .collect();
        let threshold = math::ln(2.0 / alpha);
        let interval = share::interval(&strata, alpha);
        if interval.low > 1e-4 {
            prop_assert!((share::log_e_fail(&strata, interval.low) - threshold).abs() < 1e-6);
        }
        if interval.high < 1e4 {
            prop_assert!((share::log_e_pass(&strata, interval.high) - threshold).abs() < 1e-6);
        }
        Ok(())
    });
}

#[test]
fn bucket_evidence_moves_with_the_difference() {
    // Margin in standard errors from 0.001 to 1000, difference in standard errors, degrees of freedom.
    let inputs = (-3.0..3.0_f64, -20.0..60.0_f64, 0.0..2.0_f64, 1.0..126.0_f64);
    check(inputs, |(log_10_margin, d, step, nu)| {
        let margin = math::pow(10.0, log_10_margin);
        let log_e = |d| bucket::mixture(d, 1.0, nu, margin, Sides::One);
        prop_assert!(log_e(d + step) >= log_e(d) - 1e-9, "{} after {}", log_e(d + step), log_e(d));
        let two_sided = |d: f64| bucket::mixture(d, 1.0, nu, margin, Sides::Two);
        prop_assert!((two_sided(d) - two_sided(-d)).abs() < 1e-12);
        prop_assert!(two_sided(d.abs() + step) >= two_sided(d) - 1e-12);
        // The two halves of an alternative weigh as much as the whole.
        let halves = math::log_mean_exp_2(log_e(d), log_e(-d));
        prop_assert!((halves - two_sided(d)).abs() < 1e-9);
        Ok(())
    });
}

#[test]
fn arms_may_be_scaled_and_shuffled() {
    let rows = proptest::collection::vec((-50.0..50.0_f64, 1.0..200.0_f64), BUCKETS);
    check((rows, 0.01..100.0_f64), |(rows, scale)| {
        let (residuals, n): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
        let stats = bucket::arm_stats(&residuals, &n, 0.0);
        let scaled: Vec<f64> = residuals.iter().rev().map(|residual| residual * scale).collect();
        let reversed: Vec<f64> = n.iter().rev().copied().collect();
        let other = bucket::arm_stats(&scaled, &reversed, 0.0);
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (a.abs() + b.abs() + 1e-3);
        prop_assert!(near(stats.mean * scale, other.mean), "{stats:?} {other:?}");
        prop_assert!(near(stats.variance * scale * scale, other.variance), "{stats:?} {other:?}");
        prop_assert!(near(stats.dof, other.dof) && near(stats.n, other.n), "{stats:?} {other:?}");
        Ok(())
    });
}

#[test]
fn raising_e_never_shrinks_a_list() {
    let inputs = (proptest::collection::vec(0.0..1e4_f64, 1..30), any::<prop::sample::Index>(), 1.0..100.0_f64);
    check(inputs, |(e, index, factor)| {
        let mut raised = e.clone();
        raised[index.index(e.len())] *= factor;
        let (before, after) = (lists::e_bh(&e, 0.05), lists::e_bh(&raised, 0.05));
        prop_assert!(before.iter().zip(&after).all(|(before, after)| *after || !before), "{before:?} {after:?}");
        let (before, after) = (lists::notify(&e, 64, 0.05), lists::notify(&raised, 64, 0.05));
        prop_assert!(before.iter().all(|rollout| after.contains(rollout)), "{before:?} {after:?}");
        Ok(())
    });
}

// Mean of at most 1 when nothing is wrong.

#[test]
fn share_e_value_has_mean_at_most_one_whatever_the_split() {
    // Exact: given N_c, N and x the canary count is hypergeometric, so the mean is a finite sum.
    for (canary_units, units, first) in
        [(1, 20, 3), (5, 100, 10), (50, 1000, 40), (10, 20, 20), (300, 400, 60), (2, 4000, 30)]
    {
        let mut fail = Vec::new();
        let mut pass = Vec::new();
        let mut probability = Vec::new();
        for canary_first in 0..=first.min(canary_units) {
            if first - canary_first > units - canary_units {
                continue;
            }
            let ln_probability = ln_choose(canary_units, canary_first)
                + ln_choose(units - canary_units, first - canary_first)
                - ln_choose(units, first);
            let stratum = [Stratum { canary_units, units, canary_first, first }];
            probability.push(ln_probability);
            fail.push(ln_probability + share::log_e_fail(&stratum, 1.0));
            pass.push(ln_probability + share::log_e_pass(&stratum, 1.0));
        }
        assert!(math::log_sum_exp(&probability).abs() < 1e-9);
        for (name, terms) in [("fail", &fail), ("pass", &pass)] {
            let mean = math::exp(math::log_sum_exp(terms));
            assert!(mean <= 1.0 + 1e-9, "{name} with {canary_units} of {units} units, {first} events: mean {mean}");
        }
    }
}

#[test]
fn share_e_value_has_mean_one_at_the_margin() {
    // Independent events: the canary gets each with probability q r0 / (1 - q + q r0), and the mean is exactly 1.
    for (canary_units, units, first, r0) in [(5, 100, 12, 1.0), (50, 100, 30, 1.5), (900, 1000, 25, 2.0)] {
        let odds = r0 * canary_units as f64 / (units - canary_units) as f64;
        let share_of_canary = odds / (1.0 + odds);
        let mean = |log_e: &dyn Fn(&[Stratum]) -> f64| {
            let terms: Vec<f64> = (0..=first)
                .map(|canary_first| {
                    let stratum = [Stratum { canary_units, units, canary_first, first }];
                    ln_choose(first, canary_first)
                        + canary_first as f64 * math::ln(share_of_canary)
                        + (first - canary_first) as f64 * math::ln_1p(-share_of_canary)
                        + log_e(&stratum)
                })
                .collect();
            math::exp(math::log_sum_exp(&terms))
        };
        let (fail, pass) =
            (mean(&|strata| share::log_e_fail(strata, r0)), mean(&|strata| share::log_e_pass(strata, r0)));
        assert!((fail - 1.0).abs() < 1e-9 && (pass - 1.0).abs() < 1e-9, "{fail} {pass}");
    }
}

#[test]
fn t_e_value_has_mean_one_without_an_effect() {
    // Exact: the integral of e over the density of t. With z = sinh(u) the trapezoid rule converges fast, and the tails
    // beyond |u| = 36 hold nothing.
    for nu in [1.0, 2.5, 10.0, 63.0, 126.0] {
        let ln_density_at_0 =
            math::ln_gamma(0.5 * (nu + 1.0)) - math::ln_gamma(0.5 * nu) - 0.5 * math::ln(nu * std::f64::consts::PI);
        for margin in [0.1, 1.0, 10.0] {
            let step = 1.0 / 256.0;
            let mut means = [0.0; 2];
            for point in -9216..=9216 {
                let (up, down) = (math::exp(f64::from(point) * step), math::exp(f64::from(-point) * step));
                let (z, jacobian) = (0.5 * (up - down), 0.5 * (up + down));
                let ln_density = ln_density_at_0 - 0.5 * (nu + 1.0) * math::ln_1p(z * z / nu);
                for (mean, sides) in means.iter_mut().zip([Sides::One, Sides::Two]) {
                    *mean += step * jacobian * math::exp(ln_density + bucket::mixture(z, 1.0, nu, margin, sides));
                }
            }
            for mean in means {
                assert!((mean - 1.0).abs() < 1e-8, "nu {nu}, margin {margin}: means {means:?}");
            }
        }
    }
}

#[test]
fn bucket_e_value_has_mean_at_most_one_on_gaussian_buckets() {
    let mut random = Random::from_environment();
    for (canary_events, base_events) in [(20.0, 380.0), (100.0, 100.0), (380.0, 20.0)] {
        let mut fail_raw = Mean::default();
        let mut fail_adjusted = Mean::default();
        let mut pass = Mean::default();
        for _ in 0..20_000 {
            let canary = gaussian_arm(&mut random, canary_events);
            let base = gaussian_arm(&mut random, base_events);
            // Of the size of a standard error of the difference.
            let margin = 0.03;
            fail_raw.add(math::exp(bucket::log_e_fail(&canary, &base, margin, Variance::RawCounts)));
            fail_adjusted.add(math::exp(bucket::log_e_fail(&canary, &base, margin, Variance::Adjusted)));
            let worse = ArmStats { mean: canary.mean + margin, ..canary };
            pass.add(math::exp(bucket::log_e_pass(&worse, &base, margin, 1.0)));
        }
        for (name, mean) in [("raw", fail_raw), ("adjusted", fail_adjusted), ("pass", pass)] {
            assert!(
                mean.value() <= 1.0 + 4.0 * mean.standard_error(),
                "{name} with {canary_events} and {base_events} events: mean {} +- {}, seed {}",
                mean.value(),
                mean.standard_error(),
                seed()
            );
        }
    }
}

#[test]
fn sample_ratio_e_value_has_mean_one_and_rarely_rejects() {
    // 400 looks of 50 units each, at the declared share.
    let mut random = Random::from_environment();
    let (share, alpha, num_runs) = ([0.05, 0.95], 0.05, 400);
    let mut mean_at_end = Mean::default();
    let mut rejected = 0;
    for _ in 0..num_runs {
        let mut counts = [0, 0];
        let mut max: f64 = 0.0;
        for _ in 0..400 {
            for _ in 0..50 {
                counts[usize::from(random.uniform() >= share[0])] += 1;
            }
            max = max.max(sample_ratio::log_e(&counts, &share, 100.0));
        }
        mean_at_end.add(math::exp(sample_ratio::log_e(&counts, &share, 100.0)));
        rejected += u32::from(max >= -math::ln(alpha));
    }
    assert!(
        mean_at_end.value() <= 1.0 + 4.0 * mean_at_end.standard_error(),
        "mean {}, seed {}",
        mean_at_end.value(),
        seed()
    );
    // 20 expected at most, standard deviation 4.4.
    assert!(rejected <= 38, "{rejected} of {num_runs} rejected, seed {}", seed());
}

#[test]
fn share_test_rarely_fails_over_a_whole_rollout_without_a_regression() {
    // 2,000 sticky units; heavy ones arrive first and err more often. One look after every 20 arrivals.
    let mut random = Random::from_environment();
    let (num_runs, num_units, alpha) = (400, 2000, 0.05);
    let mut failed = 0;
    for _ in 0..num_runs {
        let mut stratum = Stratum::default();
        let mut max: f64 = 0.0;
        for unit in 0..num_units {
            let canary = u64::from(random.uniform() < 0.1);
            let errs = u64::from(random.uniform() < 0.3 / (1.0 + 0.01 * f64::from(unit)));
            stratum.units += 1;
            stratum.canary_units += canary;
            stratum.first += errs;
            stratum.canary_first += errs * canary;
            if unit % 20 == 19 {
                max = max.max(share::log_e_fail(&[stratum], 1.0));
            }
        }
        failed += u32::from(max >= -math::ln(alpha));
    }
    assert!(failed <= 38, "{failed} of {num_runs} failed, seed {}", seed());
}

// Inputs.

/// Small counts, where the edges are, and huge ones.
fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, 0..200_u64, any::<u64>(), Just(u64::MAX)]
}

/// All floats there are, with the usual ones and the evil ones often enough.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        -3.0..3.0_f64,
        0.0..1.0_f64,
        any::<f64>(),
        any::<u64>().prop_map(f64::from_bits),
        prop::sample::select(vec![0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324]),
    ]
}

fn any_stratum() -> impl Strategy<Value = Stratum> {
    (any_count(), any_count(), any_count(), any_count())
        .prop_map(|(canary_units, units, canary_first, first)| Stratum { canary_units, units, canary_first, first })
}

fn any_arm() -> impl Strategy<Value = ArmStats> {
    (any_number(), any_number(), any_number(), any_number()).prop_map(|(mean, variance, n, dof)| ArmStats {
        mean,
        variance,
        n,
        dof,
    })
}

fn no_nan(name: &str, value: f64) -> Result<(), TestCaseError> {
    prop_assert!(!value.is_nan(), "{name} is NaN");
    Ok(())
}

#[track_caller]
fn check<S: Strategy>(inputs: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases: 1000, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new_with_rng(config, random).run(&inputs, property) {
        panic!("seed {}: {failure}", seed());
    }
}

fn seed() -> u64 {
    std::env::var("SERIN_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_240_117)
}

/// ln of the binomial coefficient n over k.
fn ln_choose(n: u64, k: u64) -> f64 {
    let ln_factorial = |n: u64| math::ln_gamma(n as f64 + 1.0);
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// One arm whose values have mean 0 and variance 1 per event; bucket sums are Gaussian.
fn gaussian_arm(random: &mut Random, events_per_bucket: f64) -> ArmStats {
    let n = [events_per_bucket; BUCKETS];
    let residuals = n.map(|n| n.sqrt() * random.normal());
    bucket::arm_stats(&residuals, &n, 0.0)
}

/// The splitmix64 generator (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn from_environment() -> Random {
        Random(seed())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in (0, 1).
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    fn normal(&mut self) -> f64 {
        math::normal_quantile(self.uniform())
    }
}

/// Mean of a sample and its standard error.
#[derive(Clone, Copy, Default)]
struct Mean {
    count: f64,
    sum: f64,
    sum_of_squares: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.sum_of_squares += value * value;
    }

    fn value(&self) -> f64 {
        self.sum / self.count
    }

    fn standard_error(&self) -> f64 {
        let mean = self.value();
        ((self.sum_of_squares / self.count - mean * mean) / self.count).sqrt()
    }
}
