//! A person watching a dashboard.
//!
//! A rule of thumb of ours, not measured on people: the error panel shows both arms over the last five minutes, and a
//! person acts when the canary's line is plainly above the baseline's, is not near zero, and stays there. It gives the
//! minute at which somebody who never looks away would have seen it, so it flatters people at night.

use std::collections::VecDeque;

use super::{Latch, Minute, State};

/// What counts as plainly worse, and for how long.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WatcherConfig {
    /// Width of the moving window of the panel in minutes; 0 counts as 1. Default 5.
    pub window_minutes: usize,
    /// The canary's error rate must be above this multiple of the baseline's. Default 2.
    pub ratio: f64,
    /// The canary's error rate must be above this share. Default 0.01.
    pub error_rate_min: f64,
    /// Minutes in a row for which both must hold; 0 counts as 1. Default 5.
    pub minutes_in_a_row: u64,
    /// Minutes after which the person lets the canary through; `None` never. Default `None`.
    pub horizon_minutes: Option<u64>,
}

impl Default for WatcherConfig {
    fn default() -> Self {
        WatcherConfig {
            window_minutes: 5,
            ratio: 2.0,
            error_rate_min: 0.01,
            minutes_in_a_row: 5,
            horizon_minutes: None,
        }
    }
}

/// The rule and the minutes on its panel.
#[derive(Clone, Debug)]
pub struct Watcher {
    config: WatcherConfig,
    latch: Latch,
    /// Baseline and canary, oldest first, at most `window_minutes`.
    panel: VecDeque<(Minute, Minute)>,
    num_in_a_row: u64,
}

impl Watcher {
    /// Somebody sits down.
    pub fn new(config: WatcherConfig) -> Watcher {
        Watcher { config, latch: Latch::default(), panel: VecDeque::new(), num_in_a_row: 0 }
    }

    /// Short name for tables.
    pub fn name(&self) -> &'static str {
        "dashboard"
    }

    /// Takes the next minute. A window without canary traffic shows no line and breaks the row; without baseline traffic
    /// there is nothing to compare with and only the absolute level counts.
    pub fn observe(&mut self, baseline: &Minute, canary: &Minute) -> State {
        if !self.latch.tick() {
            return self.latch.state;
        }
        if self.panel.len() >= self.config.window_minutes.max(1) {
            self.panel.pop_front();
        }
        self.panel.push_back((*baseline, *canary));
        let baseline_rate = error_rate(self.panel.iter().map(|(baseline, _)| baseline)).unwrap_or(0.0);
        let canary_rate = error_rate(self.panel.iter().map(|(_, canary)| canary)).unwrap_or(0.0);
        if canary_rate > self.config.error_rate_min && canary_rate > self.config.ratio * baseline_rate {
            self.num_in_a_row += 1;
        } else {
            self.num_in_a_row = 0;
        }
        if self.num_in_a_row >= self.config.minutes_in_a_row.max(1) {
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

    /// The number of minutes that had been observed when the person acted.
    pub fn decided_after_minutes(&self) -> Option<u64> {
        self.latch.decided_after_minutes()
    }
}

fn error_rate<'a>(minutes: impl Iterator<Item = &'a Minute>) -> Option<f64> {
    let mut sum = Minute::default();
    for minute in minutes {
        sum.requests = sum.requests.saturating_add(minute.requests);
        sum.errors = sum.errors.saturating_add(minute.errors.min(minute.requests));
    }
    sum.error_rate()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(minutes: &[(usize, u64, u64)], expect: Option<u64>) {
        let mut rule = Watcher::new(WatcherConfig::default());
        for &(times, baseline_errors, canary_errors) in minutes {
            for _ in 0..times {
                let baseline = Minute { requests: 1_000, errors: baseline_errors, ..Minute::default() };
                let canary = Minute { requests: 1_000, errors: canary_errors, ..Minute::default() };
                rule.observe(&baseline, &canary);
            }
        }
        assert_eq!(rule.decided_after_minutes(), expect, "{minutes:?}");
    }

    #[test]
    fn both_conditions_must_hold_for_five_minutes() {
        check(&[(4, 5, 30)], None);
        check(&[(5, 5, 30)], Some(5));
        check(&[(100, 5, 10)], None); // Exactly 1 %.
        check(&[(5, 5, 11)], Some(5));
        check(&[(100, 15, 30)], None); // Exactly twice.
        check(&[(5, 15, 31)], Some(5));
    }

    #[test]
    fn a_regression_shows_once_the_window_has_filled_with_it() {
        // 5 -> 30 in 1,000: the five-minute rate passes 1 % (and 2 x .5 %) with the second bad minute.
        check(&[(60, 5, 5), (5, 5, 30)], None);
        check(&[(60, 5, 5), (6, 5, 30)], Some(66));
    }

    #[test]
    fn silence_breaks_the_row() {
        let mut rule = Watcher::new(WatcherConfig { window_minutes: 1, ..WatcherConfig::default() });
        let bad = Minute { requests: 100, errors: 50, ..Minute::default() };
        for i in 0..100 {
            let canary = if i % 5 == 4 { Minute::default() } else { bad };
            assert_eq!(rule.observe(&Minute::default(), &canary), State::Watching);
        }
        for _ in 0..4 {
            assert_eq!(rule.observe(&Minute::default(), &bad), State::Watching);
        }
        assert_eq!(rule.observe(&Minute::default(), &bad), State::RolledBack);
    }
}
