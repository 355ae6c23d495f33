//! What the rules people use today would have said on the same traffic.
//!
//! Serin shows these beside its own verdict and never acts on them: they are copies of other people's rules, with their
//! weaknesses, and carry no error guarantee of ours. Each rule sees what it sees in its own home: one point per minute
//! and arm, no users, no units of assignment.
//!
//! A rule decides once. Its state is latched because the tool it stands for would have rolled back (or promoted) and
//! stopped; what the traffic does afterwards is no longer its business.

mod flagger;
pub mod kayenta;
pub mod mann_whitney;
mod sequential;
#[cfg(test)]
mod simulation;
mod watcher;
mod ztest;

pub use flagger::{Flagger, FlaggerConfig};
pub use kayenta::{Kayenta, KayentaConfig};
pub use sequential::{Sequential, SequentialConfig, SequentialTest};
pub use watcher::{Watcher, WatcherConfig};
pub use ztest::{ZTest, ZTestConfig};

/// One minute of one arm, as a metrics system would have stored it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Minute {
    /// Requests that ended in this minute.
    pub requests: u64,
    /// Those of them that failed. More errors than requests count as all requests failed.
    pub errors: u64,
    /// Median latency in milliseconds; `None` when no request had a duration.
    pub latency_p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds; `None` when no request had a duration.
    pub latency_p99_ms: Option<f64>,
    /// Mean latency in milliseconds; `None` when no request had a duration.
    pub latency_mean_ms: Option<f64>,
}

impl Minute {
    /// A minute of so many requests and failed ones, with the latencies of those that have one (in microseconds; sorted by
    /// this). A quantile is the smallest value that at least its share does not exceed.
    pub fn new(requests: u64, errors: u64, latencies_us: &mut [u64]) -> Minute {
        latencies_us.sort_unstable();
        let known = latencies_us.len();
        let quantile = |percent: usize| {
            let rank = (known * percent).div_ceil(100).max(1);
            latencies_us.get(rank - 1).map(|us| *us as f64 / 1_000.0)
        };
        let sum: u128 = latencies_us.iter().map(|us| u128::from(*us)).sum();
        Minute {
            requests,
            errors,
            latency_p50_ms: quantile(50),
            latency_p99_ms: quantile(99),
            latency_mean_ms: (known > 0).then(|| sum as f64 / known as f64 / 1_000.0),
        }
    }

    /// Share of failed requests, 0 to 1; `None` without traffic.
    pub fn error_rate(&self) -> Option<f64> {
        if self.requests == 0 { None } else { Some(self.errors.min(self.requests) as f64 / self.requests as f64) }
    }
}

/// What a rule has decided so far. Once it is not `Watching` it never changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum State {
    /// Nothing decided yet.
    #[default]
    Watching,
    /// The rule took the canary back.
    RolledBack,
    /// The rule promoted the canary.
    Passed,
}

/// One of the rules, so that a list of them can be fed the same minutes.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Fixed thresholds each minute and a budget of failed checks.
    Flagger(Flagger),
    /// Rank test on the last hour of one-minute points.
    Kayenta(Kayenta),
    /// Two-proportion z-test, looked at every minute.
    ZTest(ZTest),
    /// A person in front of a dashboard.
    Watcher(Watcher),
    /// A sequential test that takes each request for its own unit.
    Sequential(Sequential),
}

impl Rule {
    /// The rules with their defaults, in the order in which they are shown. Sequential tests are not among them: they
    /// need a scale or a share that fits the service.
    pub fn all() -> Vec<Rule> {
        vec![
            Rule::Flagger(Flagger::new(FlaggerConfig::default())),
            Rule::Kayenta(Kayenta::new(KayentaConfig::default())),
            Rule::ZTest(ZTest::new(ZTestConfig::default())),
            Rule::Watcher(Watcher::new(WatcherConfig::default())),
        ]
    }

    /// Short name for tables.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::Flagger(rule) => rule.name(),
            Rule::Kayenta(rule) => rule.name(),
            Rule::ZTest(rule) => rule.name(),
            Rule::Watcher(rule) => rule.name(),
            Rule::Sequential(rule) => rule.name(),
        }
    }

    /// Takes the next minute of both arms. Every minute must be given, also one without traffic: the rules count them.
    pub fn observe(&mut self, baseline: &Minute, canary: &Minute) -> State {
        match self {
            Rule::Flagger(rule) => rule.observe(baseline, canary),
            Rule::Kayenta(rule) => rule.observe(baseline, canary),
            Rule::ZTest(rule) => rule.observe(baseline, canary),
            Rule::Watcher(rule) => rule.observe(baseline, canary),
            Rule::Sequential(rule) => rule.observe(baseline, canary),
        }
    }

    /// What has been decided so far.
    pub fn state(&self) -> State {
        match self {
            Rule::Flagger(rule) => rule.state(),
            Rule::Kayenta(rule) => rule.state(),
            Rule::ZTest(rule) => rule.state(),
            Rule::Watcher(rule) => rule.state(),
            Rule::Sequential(rule) => rule.state(),
        }
    }

    /// The number of minutes that had been observed when the rule decided; `None` while it is watching.
    pub fn decided_after_minutes(&self) -> Option<u64> {
        match self {
            Rule::Flagger(rule) => rule.decided_after_minutes(),
            Rule::Kayenta(rule) => rule.decided_after_minutes(),
            Rule::ZTest(rule) => rule.decided_after_minutes(),
            Rule::Watcher(rule) => rule.decided_after_minutes(),
            Rule::Sequential(rule) => rule.decided_after_minutes(),
        }
    }
}

/// Counts minutes and remembers the one decision.
#[derive(Clone, Copy, Debug, Default)]
struct Latch {
    state: State,
    minutes: u64,
}

impl Latch {
    /// Counts one more minute and says whether the rule still has something to decide.
    fn tick(&mut self) -> bool {
        if self.state != State::Watching {
            return false;
        }
        self.minutes = self.minutes.saturating_add(1);
        true
    }

    fn decide(&mut self, state: State) -> State {
        self.state = state;
        state
    }

    fn decided_after_minutes(&self) -> Option<u64> {
        if self.state == State::Watching { None } else { Some(self.minutes) }
    }
}

/// Quantile of the standard normal distribution. Probabilities of 0 and 1 are pulled in to finite quantiles.
///
/// Newton's method on ln(Phi(z)) - ln(p) for the lower tail. The function is concave and increasing, and the start lies
/// left of the root (Phi(-t) <= exp(-t^2/2) / 2), so each step stays left of the root and the iteration cannot overshoot.
fn normal_quantile(p: f64) -> f64 {
    const SQRT_2_PI: f64 = 2.506_628_274_631_000_5;
    if p.is_nan() {
        return f64::NAN;
    }
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    let p = p.max(1e-300);
    let mut z = -(-2.0 * libm::log(p)).sqrt();
    // Quadratic convergence: 10 steps are plenty for the far tail, 100 is only a bound.
    for _ in 0..100 {
        let below = 0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
        let density = libm::exp(-0.5 * z * z) / SQRT_2_PI;
        let step = libm::log(p / below) * below / density;
        z += step;
        if step.abs() <= 1e-15 * z.abs().max(1.0) {
            break;
        }
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantile_matches_tables() {
        // R 4.2, qnorm.
        for (p, z) in [
            (0.5, 0.0),
            (0.05, -1.644_853_626_951_472_4),
            (0.01, -2.326_347_874_040_840_8),
            (0.975, 1.959_963_984_540_054),
            (1e-10, -6.361_340_902_404_056),
            (0.499_999, -2.506_628_274_633_636_5e-6),
        ] {
            let got = normal_quantile(p);
            assert!((got - z).abs() < 1e-13 * (1.0 + z.abs()), "p {p}: {got} is not {z}");
        }
        assert!(normal_quantile(0.0) < -37.0 && normal_quantile(0.0).is_finite());
        assert!(normal_quantile(1.0) > 8.0 && normal_quantile(2.0).is_finite());
        assert!(normal_quantile(f64::NAN).is_nan());
    }

    #[test]
    fn error_rate_needs_traffic_and_never_exceeds_one() {
        assert_eq!(Minute::default().error_rate(), None);
        assert_eq!(Minute { requests: 4, errors: 1, ..Minute::default() }.error_rate(), Some(0.25));
        assert_eq!(Minute { requests: 4, errors: 9, ..Minute::default() }.error_rate(), Some(1.0));
    }

    #[test]
    fn every_rule_takes_back_a_broken_canary_and_stays_there() {
        let good = Minute { requests: 1000, errors: 0, latency_p99_ms: Some(100.0), ..Minute::default() };
        let broken = Minute { requests: 1000, errors: 500, latency_p99_ms: Some(100.0), ..Minute::default() };
        for mut rule in Rule::all() {
            assert_eq!(rule.state(), State::Watching);
            assert_eq!(rule.decided_after_minutes(), None);
            for _ in 0..60 {
                rule.observe(&good, &broken);
            }
            let at = rule.decided_after_minutes();
            assert_eq!(rule.state(), State::RolledBack, "{}", rule.name());
            for _ in 0..300 {
                assert_eq!(rule.observe(&good, &good), State::RolledBack);
            }
            assert_eq!(rule.decided_after_minutes(), at, "{}", rule.name());
        }
    }

    #[test]
    fn no_input_panics() {
        let odd = [
            Minute::default(),
            Minute { requests: u64::MAX, errors: u64::MAX, ..Minute::default() },
            Minute { requests: 0, errors: u64::MAX, ..Minute::default() },
            Minute {
                requests: 1,
                errors: 0,
                latency_p50_ms: Some(f64::NAN),
                latency_p99_ms: Some(f64::INFINITY),
                latency_mean_ms: Some(f64::MAX),
            },
            Minute {
                requests: 1,
                errors: 1,
                latency_p50_ms: Some(-f64::MAX),
                latency_p99_ms: Some(f64::MAX),
                latency_mean_ms: Some(f64::NEG_INFINITY),
            },
        ];
        for every in [1, 3] {
            for mut rule in Rule::all() {
                for i in 0..400_usize {
                    rule.observe(&odd[i / every % odd.len()], &odd[(i * 7 + i / 5) % odd.len()]);
                }
            }
        }
    }
}
