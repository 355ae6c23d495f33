//! Every group of `golden/statistics.json` through the public functions (see `golden/README.md`).

#![expect(clippy::unwrap_used, reason = "a golden file of another shape is a failed test")]

use std::collections::BTreeSet;

use serde_json::Value;
use serin::compare::bucket::{self, ArmStats, Difference, Sides, Variance};
use serin::compare::share::{self, Stratum};
use serin::compare::unit_rule::{Routing, unit_rule};
use serin::compare::{arrivals, budget, lists, margin, normal_mixture, sample_ratio};
use serin::math;

/// One group of vectors and the check of one of its cases.
type Check = (&'static str, fn(&Case<'_>));

const CHECKS: [Check; 20] = [
    ("bucket_ratio_variance", bucket_ratio_variance),
    ("budget", budget_sum),
    ("e_bh", e_bh),
    ("engine_share_test", engine_share_test),
    ("lindon_malek_multinomial", lindon_malek_multinomial),
    ("margins", margins),
    ("mean_of_log_e", mean_of_log_e),
    ("normal_log_mixture", normal_log_mixture),
    ("normal_mixture_bound", normal_mixture_bound),
    ("notify", notify),
    ("pass_r0", pass_r0),
    ("running_max_adjuster", running_max_adjuster),
    ("share_cut", share_cut),
    ("t1_strata", t1_strata),
    ("t2", t2),
    ("t2_changed", t2_changed),
    ("t2_cs", t2_cs),
    ("t_mixture", t_mixture),
    ("t_mixture_grid", t_mixture_grid),
    ("unit_rule", check_unit_rule),
];

#[test]
fn every_golden_group_agrees() {
    let golden = golden();
    for (group, check) in CHECKS {
        let cases = golden[group]["cases"].as_array().unwrap_or_else(|| panic!("group {group} is not in the file"));
        assert!(!cases.is_empty(), "group {group} is empty");
        for (index, value) in cases.iter().enumerate() {
            check(&Case { group, index, value });
        }
    }
}

#[test]
fn every_golden_group_has_a_check() {
    let golden = golden();
    let in_file: BTreeSet<&str> = golden.as_object().unwrap().keys().map(String::as_str).collect();
    let checked: BTreeSet<&str> = CHECKS.iter().map(|(group, _)| *group).collect();
    assert_eq!(in_file, checked);
}

fn bucket_ratio_variance(case: &Case<'_>) {
    let num_buckets = case.count("B") as usize;
    let u = minstd(case.count("seed"), 2 * num_buckets);
    let (u_den, u_num) = u.split_at(num_buckets);
    let den: Vec<f64> = u_den.iter().map(|u| (100.0 + 900.0 * u).floor()).collect();
    let burst = |u: f64| if u > 0.95 { 40.0 } else { 0.0 };
    let num: Vec<f64> =
        den.iter().zip(u_num).map(|(den, u)| (den * 0.01 * (0.2 + 1.6 * u) + burst(*u)).floor()).collect();
    let (num_total, den_total): (f64, f64) = (num.iter().sum(), den.iter().sum());
    case.near("num_total", num_total);
    case.near("den_total", den_total);

    let (ratio, variance) = bucket::ratio(&num, &den);
    case.near("ratio", ratio);
    case.near("variance", variance);
    let naive = ratio * (1.0 - ratio) / den_total;
    case.near("naive_binomial_variance", naive);
    case.near("design_effect", variance / naive);

    // The jackknife is another route to nearly the same variance; it shows that the generated inputs are the right ones.
    let without: Vec<f64> = num.iter().zip(&den).map(|(n, d)| (num_total - n) / (den_total - d)).collect();
    let buckets = num_buckets as f64;
    let mean = without.iter().sum::<f64>() / buckets;
    let squares: f64 = without.iter().map(|ratio| (ratio - mean) * (ratio - mean)).sum();
    case.near("variance_jackknife", (buckets - 1.0) / buckets * squares);
}

fn budget_sum(case: &Case<'_>) {
    let parts: Vec<(f64, f64)> = case.rows("parts").iter().map(|row| (row[0], row[1])).collect();
    case.near("out", budget::log_sum(&parts, case.number("idle")));
}

fn e_bh(case: &Case<'_>) {
    let rejected = lists::e_bh(&case.numbers("e"), case.number("alpha"));
    case.equal("reject", &Value::from(rejected));
}

fn engine_share_test(case: &Case<'_>) {
    // The shares of this group are whole per cents.
    let strata: Vec<Stratum> = case
        .rows("stages")
        .iter()
        .map(|row| {
            let (canary_first, base_first) = (row[1] as u64, row[2] as u64);
            let canary_units = (row[0] * 100.0).round() as u64;
            Stratum { canary_units, units: 100, canary_first, first: canary_first + base_first }
        })
        .collect();
    case.near("log_e_fail_rr1", share::log_e_fail(&strata, 1.0));
    case.near("log_e_fail_rr1_2", share::log_e_fail(&strata, 1.2));
    case.near("log_e_pass_rr1_5", share::log_e_pass(&strata, 1.5));
    case.near("log_e_pass_rr2", share::log_e_pass(&strata, 2.0));
    let interval = share::interval(&strata, 0.05);
    case.near("rr_mle", interval.estimate);
    case.near_all("rr_cs_95", &[interval.low, interval.high]);
}

fn lindon_malek_multinomial(case: &Case<'_>) {
    let log_e = sample_ratio::log_e(&case.counts("counts"), &case.numbers("theta0"), case.number("k"));
    case.near("log_e", log_e);
    case.near("p", math::exp(-log_e).min(1.0));
}

fn margins(case: &Case<'_>) {
    let p_base = case.number("p_base");
    case.near("margin", margin::error_margin(p_base));
    case.near("r0", margin::error_r0(p_base, 1.0));
    case.near("r0_4x", margin::error_r0(p_base, 4.0));
}

fn mean_of_log_e(case: &Case<'_>) {
    case.near("out", math::log_mean_exp(&case.numbers("log_e")));
}

fn normal_log_mixture(case: &Case<'_>) {
    let (s, v) = (case.number("s"), case.number("v"));
    let (v_opt, alpha_opt) = (case.number("v_opt"), case.number("alpha_opt"));
    case.near("out", normal_mixture::normal_log_mixture(s, v, v_opt, alpha_opt, case.sides()));
}

fn normal_mixture_bound(case: &Case<'_>) {
    let (v, alpha) = (case.number("v"), case.number("alpha"));
    let (v_opt, alpha_opt) = (case.number("v_opt"), case.number("alpha_opt"));
    case.near("out", normal_mixture::normal_mixture_bound(v, alpha, v_opt, alpha_opt, case.sides()));
}

fn notify(case: &Case<'_>) {
    let family = u32::try_from(case.count("family")).unwrap();
    let notified = lists::notify(&case.numbers("max_e"), family, case.number("alpha"));
    case.equal("out", &Value::from(notified));
}

fn pass_r0(case: &Case<'_>) {
    case.near("out", margin::pass_r0(case.number("r0"), case.number("f_base")));
}

fn running_max_adjuster(case: &Case<'_>) {
    case.near("out", lists::adjust_max(case.number("M")));
}

fn share_cut(case: &Case<'_>) {
    let (x, n, y, m) = (case.count("x"), case.count("n"), case.count("y"), case.count("m"));
    case.near("out", arrivals::cut_likelihood_ratio(x, n, y, m));
}

fn t1_strata(case: &Case<'_>) {
    let strata: Vec<Stratum> = case
        .rows("strata")
        .iter()
        .map(|row| Stratum {
            canary_units: row[0] as u64,
            units: row[1] as u64,
            canary_first: row[2] as u64,
            first: row[3] as u64,
        })
        .collect();
    case.near("log_e_fail", share::log_e_fail(&strata, 1.0));
    case.near("log_e_fail_rr1_2", share::log_e_fail(&strata, 1.2));
    case.near("log_e_pass_rr1_5", share::log_e_pass(&strata, 1.5));
    case.near("log_e_pass_rr3", share::log_e_pass(&strata, 3.0));
    case.near("log_e_changed_1_2", share::log_e_changed(&strata, 1.2));
}

fn t2(case: &Case<'_>) {
    let num_buckets = case.count("B") as usize;
    let u = minstd(case.count("seed"), 4 * num_buckets);
    let part = |part: usize| u[part * num_buckets..(part + 1) * num_buckets].iter();
    let mult = case.number("mult");
    let base_den: Vec<f64> = part(0).map(|u| (1000.0 + 9000.0 * u).floor()).collect();
    let base_num: Vec<f64> =
        base_den.iter().zip(part(1)).map(|(den, u)| (den * 0.005 * (0.2 + 1.6 * u)).floor()).collect();
    let canary_den: Vec<f64> = part(2).map(|u| ((1000.0 + 9000.0 * u) / 19.0).floor()).collect();
    let canary_num: Vec<f64> =
        canary_den.iter().zip(part(3)).map(|(den, u)| (den * 0.005 * mult * (0.2 + 1.6 * u) + 0.5).floor()).collect();

    let sum = |values: &[f64]| values.iter().sum::<f64>();
    let pooled = (sum(&base_num) + sum(&canary_num)) / (sum(&base_den) + sum(&canary_den));
    let stats = |num: &[f64], den: &[f64]| {
        let residuals: Vec<f64> = num.iter().zip(den).map(|(num, den)| num - pooled * den).collect();
        let rate = sum(num) / sum(den);
        bucket::arm_stats(&residuals, den, rate * (1.0 - rate))
    };
    let (canary, base) = (stats(&canary_num, &canary_den), stats(&base_num, &base_den));
    for (name, arm) in [("canary", canary), ("base", base)] {
        case.near_all(name, &[arm.mean, arm.variance, arm.n, arm.dof]);
    }

    let base_rate = sum(&base_num) / sum(&base_den);
    let margin = margin::error_margin(base_rate);
    case.near("margin", margin);
    let pass = Difference::pass(&canary, &base).unwrap();
    for (name, variance) in [("raw", Variance::RawCounts), ("adjusted", Variance::Adjusted)] {
        let fail = Difference::fail(&canary, &base, variance).unwrap();
        let want = case.inner(name);
        want.near("diff", fail.diff);
        want.near("v_fail", fail.variance);
        want.near("nu_fail", fail.dof);
        want.near("v_pass", pass.variance);
        want.near("nu_pass", pass.dof);
        want.near("log_e_fail", bucket::log_e_fail(&canary, &base, margin, variance));
        want.near("log_e_pass", bucket::log_e_pass(&canary, &base, margin, 1.0));
    }
    case.near("pass_4x", bucket::log_e_pass(&canary, &base, margin, 4.0));
}

fn t2_changed(case: &Case<'_>) {
    let (d, v, nu, tolerance) = (case.number("d"), case.number("v"), case.number("nu"), case.number("tol"));
    case.near("out", bucket::log_e_changed(d, v, nu, tolerance));
    // Two arms of one event each, with half of the variance each, are the same difference.
    let arm = |mean| ArmStats { mean, variance: 0.5 * v, n: 1.0, dof: 0.5 * nu };
    case.near("out", bucket::log_e_changed_arms(&arm(d), &arm(0.0), tolerance));
}

fn t2_cs(case: &Case<'_>) {
    let arm = |name| {
        let numbers = case.numbers(name);
        ArmStats { mean: numbers[0], variance: numbers[1], n: numbers[2], dof: numbers[3] }
    };
    let (low, high) = bucket::interval(&arm("canary"), &arm("base"), case.number("margin"), case.number("alpha"));
    case.near_all("out", &[low, high]);
}

fn t_mixture(case: &Case<'_>) {
    let (d, v, nu, tau) = (case.number("d"), case.number("v"), case.number("nu"), case.number("tau"));
    let two_sided = bucket::t_log_e_two_sided(d, v, nu, tau);
    case.near("log_e_2s", two_sided);
    case.near("log_e_1s", bucket::t_log_e_one_sided(d, v, nu, tau));
    if !case.field("log_e_2s_by_integration").is_null() {
        case.near("log_e_2s_by_integration", two_sided);
    }
}

fn t_mixture_grid(case: &Case<'_>) {
    let (d, v, nu, margin) = (case.number("d"), case.number("v"), case.number("nu"), case.number("margin"));
    case.near("log_e_1s", bucket::mixture(d, v, nu, margin, Sides::One));
    case.near("log_e_2s", bucket::mixture(d, v, nu, margin, Sides::Two));
}

fn check_unit_rule(case: &Case<'_>) {
    let (routing, moved) = unit_rule(case.count("first_small"), case.count("second_other"), case.number("share"));
    let word = match routing {
        Routing::Undecided => "undecided",
        Routing::Sticky => "sticky",
        Routing::PerRequest => "request",
        Routing::Mixed => "mixed",
    };
    case.equal("out", &Value::from(word));
    match moved {
        Some(moved) => case.near("ratio", moved),
        None => case.equal("ratio", &Value::Null),
    }
}

/// One vector, and who it is, for messages.
struct Case<'a> {
    group: &'static str,
    index: usize,
    value: &'a Value,
}

impl<'a> Case<'a> {
    fn field(&self, name: &str) -> &'a Value {
        self.value.get(name).unwrap_or_else(|| panic!("{} {}: no field {name}", self.group, self.index))
    }

    fn inner(&self, name: &str) -> Case<'a> {
        Case { value: self.field(name), ..*self }
    }

    fn number(&self, name: &str) -> f64 {
        self.field(name).as_f64().unwrap()
    }

    fn count(&self, name: &str) -> u64 {
        self.field(name).as_u64().unwrap()
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        numbers(self.field(name))
    }

    fn counts(&self, name: &str) -> Vec<u64> {
        self.field(name).as_array().unwrap().iter().map(|value| value.as_u64().unwrap()).collect()
    }

    fn rows(&self, name: &str) -> Vec<Vec<f64>> {
        self.field(name).as_array().unwrap().iter().map(numbers).collect()
    }

    fn sides(&self) -> Sides {
        if self.field("one_sided").as_bool().unwrap() { Sides::One } else { Sides::Two }
    }

    fn equal(&self, name: &str, got: &Value) {
        assert_eq!(got, self.field(name), "{} {}: {name}", self.group, self.index);
    }

    fn near(&self, name: &str, got: f64) {
        self.near_value(name, got, self.field(name));
    }

    fn near_all(&self, name: &str, got: &[f64]) {
        let want = self.field(name).as_array().unwrap();
        assert_eq!(got.len(), want.len(), "{} {}: {name}", self.group, self.index);
        for (got, want) in got.iter().zip(want) {
            self.near_value(name, *got, want);
        }
    }

    /// JSON has no infinity; the file says null for an upper bound that does not exist.
    fn near_value(&self, name: &str, got: f64, want: &Value) {
        let (group, index) = (self.group, self.index);
        if want.is_null() {
            assert_eq!(got, f64::INFINITY, "{group} {index}: {name}");
            return;
        }
        let want = want.as_f64().unwrap();
        let tolerance = ABSOLUTE + relative_tolerance(group) * want.abs();
        assert!((got - want).abs() <= tolerance, "{group} {index}: {name} is {got:e}, expected {want:e}");
    }
}

const ABSOLUTE: f64 = 1e-12;

/// Most groups agree to the last digits; the oracle of the multinomial and numerical integration keep fewer.
fn relative_tolerance(group: &str) -> f64 {
    match group {
        "lindon_malek_multinomial" => 1e-6,
        _ => 1e-9,
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/statistics.json")).unwrap()
}

/// The generator of the data rules: Lewis, Goodman and Miller's with the multiplier 48271.
fn minstd(seed: u64, length: usize) -> Vec<f64> {
    const MODULUS: u64 = 2_147_483_647;
    let mut x = seed;
    std::iter::repeat_with(|| {
        x = x * 48271 % MODULUS;
        x as f64 / MODULUS as f64
    })
    .take(length)
    .collect()
}
