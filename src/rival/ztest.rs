//! The pooled two-proportion z-test, looked at every minute.
//!
//! A textbook test for one look at a sample of planned size, used the way dashboards invite people to use it. That misuse
//! is the point of this rule: with enough looks it alarms on nothing. No project is copied here.

use super::{Latch, Minute, State, normal_quantile};

/// Error level and duration of the rule.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ZTestConfig {
    /// One-sided error level of a single look. Default 0.05.
    pub alpha: f64,
    /// Also compare mean latency by Welch's test with the per-minute means as observations. Default false.
    pub latency: bool,
    /// Minutes after which the canary is promoted when no look was significant; `None` never promotes. Default 1,440,
    /// the usual "give it a day".
    pub horizon_minutes: Option<u64>,
}

impl Default for ZTestConfig {
    fn default() -> Self {
        ZTestConfig { alpha: 0.05, latency: false, horizon_minutes: Some(1_440) }
    }
}

/// Minutes of latency each arm needs before Welch's test is looked at: from there on the normal quantile is within 4 %
/// of the t quantile, and nobody reads such a test earlier.
const LATENCY_MINUTES_MIN: u64 = 30;

/// The rule and its cumulative counts.
#[derive(Clone, Copy, Debug)]
pub struct ZTest {
    config: ZTestConfig,
    critical_z: f64,
    latch: Latch,
    baseline: Arm,
    canary: Arm,
}

#[derive(Clone, Copy, Debug, Default)]
struct Arm {
    requests: u64,
    errors: u64,
    latency: Moments,
}

/// Count, mean and sum of squared deviations, updated one observation at a time (Welford).
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// Variance of the mean.
    fn variance_of_mean(&self) -> f64 {
        let count = self.count as f64;
        self.squares / (count - 1.0) / count
    }
}

impl Arm {
    fn add(&mut self, minute: &Minute) {
        self.requests = self.requests.saturating_add(minute.requests);
        self.errors = self.errors.saturating_add(minute.errors.min(minute.requests));
        if let Some(mean) = minute.latency_mean_ms.filter(|mean| mean.is_finite()) {
            self.latency.add(mean);
        }
    }
}

impl ZTest {
    /// A fresh test.
    pub fn new(config: ZTestConfig) -> ZTest {
        ZTest {
            config,
            critical_z: normal_quantile(1.0 - config.alpha),
            latch: Latch::default(),
            baseline: Arm::default(),
            canary: Arm::default(),
        }
    }

    /// Short name for tables.
    pub fn name(&self) -> &'static str {
        "z-test each minute"
    }

    /// Takes the next minute and looks at everything so far.
    pub fn observe(&mut self, baseline: &Minute, canary: &Minute) -> State {
        if !self.latch.tick() {
            return self.latch.state;
        }
        self.baseline.add(baseline);
        self.canary.add(canary);
        // No statistic means no alarm; so does a statistic that is not a number.
        let significant = |z: Option<f64>| z.is_some_and(|z| z > self.critical_z);
        if significant(self.error_z()) || (self.config.latency && significant(self.latency_z())) {
            return self.latch.decide(State::RolledBack);
        }
        if self.config.horizon_minutes.is_some_and(|horizon| self.latch.minutes >= horizon) {
            return self.latch.decide(State::Passed);
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

    /// z of the canary's error rate against the baseline's with the pooled variance, positive when the canary is worse;
    /// `None` without traffic in both arms, or while all requests so far ended the same way.
    pub fn error_z(&self) -> Option<f64> {
        pooled_z(self.canary.errors, self.canary.requests, self.baseline.errors, self.baseline.requests)
    }

    /// Welch's statistic of mean latency, positive when the canary is slower; `None` before 30 minutes of both arms.
    pub fn latency_z(&self) -> Option<f64> {
        let (canary, baseline) = (&self.canary.latency, &self.baseline.latency);
        if canary.count.min(baseline.count) < LATENCY_MINUTES_MIN {
            return None;
        }
        let variance = canary.variance_of_mean() + baseline.variance_of_mean();
        if variance > 0.0 { Some((canary.mean - baseline.mean) / variance.sqrt()) } else { None }
    }
}

fn pooled_z(canary_errors: u64, canary_requests: u64, baseline_errors: u64, baseline_requests: u64) -> Option<f64> {
    if canary_requests == 0 || baseline_requests == 0 {
        return None;
    }
    let (xc, nc) = (canary_errors as f64, canary_requests as f64);
    let (xb, nb) = (baseline_errors as f64, baseline_requests as f64);
    let pooled = (xc + xb) / (nc + nb);
    let variance = pooled * (1.0 - pooled) * (1.0 / nc + 1.0 / nb);
    if variance > 0.0 { Some((xc / nc - xb / nb) / variance.sqrt()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooled_z_matches_hand_arithmetic() {
        // 30/1000 against 100/10000: pooled 130/11000, variance p(1-p)(1/1000 + 1/10000).
        let p: f64 = 130.0 / 11_000.0;
        let expect = 0.02 / (p * (1.0 - p) * 0.0011).sqrt();
        let got = pooled_z(30, 1_000, 100, 10_000);
        assert!(got.is_some_and(|z| (z - expect).abs() < 1e-12), "{got:?} is not {expect}");
        assert_eq!(pooled_z(0, 10, 0, 10), None);
        assert_eq!(pooled_z(10, 10, 10, 10), None);
        assert_eq!(pooled_z(0, 0, 1, 10), None);
    }

    #[test]
    fn passes_at_the_horizon_only_when_never_significant() {
        let quiet = Minute { requests: 100, errors: 1, ..Minute::default() };
        let mut rule = ZTest::new(ZTestConfig { horizon_minutes: Some(3), ..ZTestConfig::default() });
        assert_eq!(rule.observe(&quiet, &quiet), State::Watching);
        assert_eq!(rule.observe(&quiet, &quiet), State::Watching);
        assert_eq!(rule.observe(&quiet, &quiet), State::Passed);
        assert_eq!(rule.decided_after_minutes(), Some(3));
    }

    #[test]
    fn latency_counts_only_when_asked_for_and_after_thirty_minutes() {
        let run = |latency| {
            let mut rule = ZTest::new(ZTestConfig { latency, ..ZTestConfig::default() });
            for i in 0..60 {
                let wobble = f64::from(i % 7);
                let baseline = Minute { requests: 10, latency_mean_ms: Some(100.0 + wobble), ..Minute::default() };
                let canary = Minute { requests: 10, latency_mean_ms: Some(150.0 + wobble), ..Minute::default() };
                rule.observe(&baseline, &canary);
            }
            (rule.state(), rule.decided_after_minutes())
        };
        assert_eq!(run(false), (State::Watching, None));
        assert_eq!(run(true), (State::RolledBack, Some(30)));
    }
}
