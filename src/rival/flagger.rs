//! Flagger: fixed thresholds on one minute of the canary, and a budget of failed checks.
//!
//! Source: fluxcd/flagger, commit 15bd6ad (built-in metrics `request-success-rate` and `request-duration`, and the
//! scheduler that counts `failedChecks`). The baseline plays no part in it.
//!
//! | minute of the canary | Flagger | here |
//! | --- | --- | --- |
//! | both metrics within their thresholds | advances by one iteration | the same |
//! | a metric out of its threshold | failed check, no advance | the same |
//! | no value (no traffic in the minute) | "no values found", counted as a failed check | the same |
//! | before the first canary request | no check while the canary's weight is 0 | not counted |
//! | traffic, but the log has no durations | failed check | only the success rate is checked |
//!
//! The last row is ours: a team whose traffic has no durations would not have asked for `request-duration`.
//! Failed checks are never forgiven during an analysis. Flagger acts at the start of the interval after the last failed
//! check; here the decision is dated on the minute of that check.

use super::{Latch, Minute, State};

/// Thresholds and counts of the rule.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FlaggerConfig {
    /// A minute fails below this success rate in per cent. Default 99, the value of Flagger's examples.
    pub success_rate_percent_min: f64,
    /// A minute fails when the 99th percentile of latency, cut to whole milliseconds, is above this. `None` leaves the
    /// metric out. Default 500, the value of Flagger's examples.
    pub latency_p99_ms_max: Option<f64>,
    /// Failed checks that take the canary back; 0 counts as 1, as in Flagger. Default 10, the value of its examples
    /// (Flagger's own default is 1).
    pub threshold: u64,
    /// Successful checks after which the canary is promoted; `None` never promotes. Default 60, one hour at one check a
    /// minute. Only successful checks advance the analysis, so a noisy canary takes longer.
    pub iterations: Option<u64>,
}

impl Default for FlaggerConfig {
    fn default() -> Self {
        FlaggerConfig {
            success_rate_percent_min: 99.0,
            latency_p99_ms_max: Some(500.0),
            threshold: 10,
            iterations: Some(60),
        }
    }
}

/// The rule and its two counters.
#[derive(Clone, Copy, Debug)]
pub struct Flagger {
    config: FlaggerConfig,
    latch: Latch,
    canary_seen: bool,
    num_failed: u64,
    num_succeeded: u64,
}

impl Flagger {
    /// A fresh analysis.
    pub fn new(config: FlaggerConfig) -> Flagger {
        Flagger { config, latch: Latch::default(), canary_seen: false, num_failed: 0, num_succeeded: 0 }
    }

    /// Short name for tables.
    pub fn name(&self) -> &'static str {
        "Flagger"
    }

    /// Takes the next minute; the baseline is ignored, as Flagger ignores it.
    pub fn observe(&mut self, _baseline: &Minute, canary: &Minute) -> State {
        if !self.latch.tick() {
            return self.latch.state;
        }
        self.canary_seen |= canary.requests > 0;
        if !self.canary_seen {
            return State::Watching;
        }
        if self.check(canary) {
            self.num_succeeded += 1;
            if self.config.iterations.is_some_and(|iterations| self.num_succeeded >= iterations) {
                return self.latch.decide(State::Passed);
            }
        } else {
            self.num_failed += 1;
            if self.num_failed >= self.config.threshold.max(1) {
                return self.latch.decide(State::RolledBack);
            }
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

    /// Failed checks so far.
    pub fn num_failed(&self) -> u64 {
        self.num_failed
    }

    fn check(&self, canary: &Minute) -> bool {
        let Some(error_rate) = canary.error_rate() else { return false };
        // From counts rather than from 1 - rate: the boundary case (exactly 99 %) must come out exact.
        let succeeded = canary.requests.saturating_sub(canary.errors) as f64;
        let success_rate_percent = if error_rate >= 1.0 { 0.0 } else { succeeded / canary.requests as f64 * 100.0 };
        if success_rate_percent < self.config.success_rate_percent_min {
            return false;
        }
        match (self.config.latency_p99_ms_max, canary.latency_p99_ms) {
            (Some(max), Some(latency)) => latency.trunc() <= max,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(requests: u64, errors: u64, latency_p99_ms: Option<f64>) -> Minute {
        Minute { requests, errors, latency_p99_ms, ..Minute::default() }
    }

    fn run(config: FlaggerConfig, minutes: &[(usize, Minute)]) -> (State, Option<u64>) {
        let mut rule = Flagger::new(config);
        for (times, canary) in minutes {
            for _ in 0..*times {
                rule.observe(&Minute::default(), canary);
            }
        }
        (rule.state(), rule.decided_after_minutes())
    }

    #[test]
    fn thresholds_at_their_edges() {
        let config = FlaggerConfig { threshold: 1, iterations: None, ..FlaggerConfig::default() };
        let check = |canary, expect| assert_eq!(run(config, &[(1, canary)]).0, expect, "{canary:?}");
        for requests in (100..100_000).step_by(100) {
            check(minute(requests, requests / 100, None), State::Watching);
            check(minute(requests, requests / 100 + 1, None), State::RolledBack);
        }
        check(minute(100, 0, Some(500.9)), State::Watching);
        check(minute(100, 0, Some(501.0)), State::RolledBack);
        check(minute(3, 7, None), State::RolledBack);
    }

    #[test]
    fn tenth_failed_check_rolls_back_even_with_good_minutes_between() {
        let (good, bad) = (minute(50, 0, Some(80.0)), minute(50, 1, Some(80.0)));
        let config = FlaggerConfig::default();
        assert_eq!(run(config, &[(9, bad), (30, good)]), (State::Watching, None));
        assert_eq!(run(config, &[(9, bad), (30, good), (1, bad)]), (State::RolledBack, Some(40)));
    }

    #[test]
    fn sixtieth_successful_check_promotes() {
        let (good, bad) = (minute(50, 0, Some(80.0)), minute(50, 1, Some(80.0)));
        assert_eq!(run(FlaggerConfig::default(), &[(5, bad), (59, good)]), (State::Watching, None));
        assert_eq!(run(FlaggerConfig::default(), &[(5, bad), (60, good), (50, bad)]), (State::Passed, Some(65)));
    }

    #[test]
    fn silence_fails_once_the_canary_has_had_traffic() {
        let (good, silent) = (minute(50, 0, Some(80.0)), Minute::default());
        assert_eq!(run(FlaggerConfig::default(), &[(500, silent)]), (State::Watching, None));
        assert_eq!(
            run(FlaggerConfig::default(), &[(500, silent), (1, good), (10, silent)]),
            (State::RolledBack, Some(511))
        );
    }
}
