//! What the rules that people use today say on the same minutes.
//!
//! They are fed with what the engine has counted in the log lines, one point a minute and arm, as a metrics system would
//! have stored it. What the traffic was made to be is not known here.

use crate::engine::comparison::Comparison;
use crate::engine::totals::Totals;
use crate::rival::{Flagger, FlaggerConfig, Kayenta, KayentaConfig, Minute, Rule, State, Watcher, WatcherConfig};
use crate::sketch::latency::Histogram;
use crate::time::MINUTE;

/// Flagger's limit of the 99th percentile: the demo's shop has about 560 ms, and nobody sets a limit below that.
const FLAGGER_P99_MS_MAX: f64 = 1_000.0;

/// Sums of one arm at the end of a window.
#[derive(Clone, Debug, Default)]
struct Sums {
    requests: u64,
    errors: u64,
    latency_sum_us: u64,
    latency: Histogram,
}

/// Cuts what a comparison has counted into minutes, one point for each arm.
#[derive(Clone, Debug, Default)]
pub(crate) struct Points {
    /// The minute that is not over yet.
    open: Option<i64>,
    /// Sums of (baseline, canary) when that minute began.
    before: [Sums; 2],
    /// Sums at the latest look.
    latest: [Sums; 2],
}

impl Points {
    /// Takes the latest look of a comparison; `observe` is given each minute that is over by then.
    pub(crate) fn look(&mut self, comparison: &Comparison, observe: impl FnMut(&Minute, &Minute)) {
        let Some(totals) = comparison.totals.first() else { return };
        // The end of a window belongs to the minute before.
        let minute = (comparison.ended_at.0 - 1).div_euclid(MINUTE);
        self.take(minute, totals, observe);
    }

    fn take(&mut self, minute: i64, totals: &[Totals; 2], mut observe: impl FnMut(&Minute, &Minute)) {
        if let Some(open) = self.open
            && minute > open
        {
            // Minutes without a single request leave no look, but the rules count them.
            for _ in open..minute {
                let [baseline, canary] = [0, 1].map(|arm| self.latest[arm].since(&self.before[arm]));
                self.before = self.latest.clone();
                observe(&baseline, &canary);
            }
        }
        self.open = Some(minute);
        self.latest = totals.each_ref().map(Sums::of);
    }
}

/// The rules, and how far they have been fed.
#[derive(Clone, Debug)]
pub struct Others {
    /// A person watching a dashboard, Flagger, Kayenta.
    rules: [Rule; 3],
    points: Points,
    minutes: u64,
}

impl Default for Others {
    fn default() -> Self {
        let flagger = FlaggerConfig { latency_p99_ms_max: Some(FLAGGER_P99_MS_MAX), ..FlaggerConfig::default() };
        Others {
            rules: [
                Rule::Watcher(Watcher::new(WatcherConfig::default())),
                Rule::Flagger(Flagger::new(flagger)),
                Rule::Kayenta(Kayenta::new(KayentaConfig::default())),
            ],
            points: Points::default(),
            minutes: 0,
        }
    }
}

impl Others {
    /// Takes the latest look of a comparison.
    pub fn look(&mut self, comparison: &Comparison) {
        let Others { rules, points, minutes } = self;
        points.look(comparison, |baseline, canary| {
            *minutes += 1;
            rules.iter_mut().for_each(|rule| {
                rule.observe(baseline, canary);
            });
        });
    }

    /// Minutes that the rules have seen.
    pub fn minutes(&self) -> u64 {
        self.minutes
    }

    /// What a person at a dashboard has decided, and after how many minutes.
    pub fn dashboard(&self) -> (State, Option<u64>) {
        let [dashboard, ..] = &self.rules;
        (dashboard.state(), dashboard.decided_after_minutes())
    }

    /// What each of them says, in one sentence.
    pub fn sentences(&self) -> Vec<String> {
        let minutes = self.minutes;
        self.rules
            .iter()
            .map(|rule| {
                let at = rule.decided_after_minutes().unwrap_or(minutes);
                match (rule, rule.state()) {
                    (Rule::Watcher(_), State::RolledBack) => {
                        format!("A person who never leaves the dashboard sees the error rate stand out after {at} min.")
                    }
                    (Rule::Watcher(_), _) => {
                        format!("A person at a dashboard of error rates would have seen nothing in {minutes} min.")
                    }
                    (rule, State::RolledBack) => format!("{} rolls back after {at} min.", who(rule)),
                    (rule, State::Passed) => format!("{} promotes after {at} min.", who(rule)),
                    (rule, State::Watching) => format!("{} has not decided after {minutes} min.", who(rule)),
                }
            })
            .collect()
    }
}

/// The rules as the demo runs them, in one line each.
pub const RULES: [&str; 3] = [
    "dashboard: the canary's error rate is above 1 % and twice the baseline's over 5 min, for 5 min in a row",
    "Flagger: 10 minutes with a success rate below 99 % or a p99 above 1 s; promotes after 60 good ones",
    "Kayenta: its judge on the last hour, every minute from the 50th on; promotes after 3 h",
];

fn who(rule: &Rule) -> String {
    format!("{}'s rule", rule.name())
}

impl Sums {
    fn of(totals: &Totals) -> Sums {
        Sums {
            requests: totals.requests,
            errors: totals.errors,
            latency_sum_us: totals.latency_sum_us,
            latency: totals.latency.clone(),
        }
    }

    fn since(&self, before: &Sums) -> Minute {
        let mut latency = Histogram::default();
        // Both have all bins with a count, in order.
        let mut old = before.latency.iter().peekable();
        for (bin, count) in self.latency.iter() {
            let known = old.next_if(|(known, _)| *known == bin).map_or(0, |(_, known)| known);
            if count > known {
                latency.add(bin, count - known);
            }
        }
        let millis = |us: f64| us / 1_000.0;
        let sum_us = self.latency_sum_us.saturating_sub(before.latency_sum_us) as f64;
        Minute {
            requests: self.requests.saturating_sub(before.requests),
            errors: self.errors.saturating_sub(before.errors),
            latency_p50_ms: latency.quantile_us(0.5).map(millis),
            latency_p99_ms: latency.quantile_us(0.99).map(millis),
            latency_mean_ms: (latency.count > 0).then(|| millis(sum_us / latency.count as f64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::latency::bin_of;

    fn totals(requests: u64, errors: u64) -> Totals {
        let mut totals = Totals { requests, errors, latency_sum_us: requests * 30_000, ..Totals::default() };
        totals.latency.add(bin_of(30_000), requests);
        totals
    }

    #[test]
    fn points_are_what_each_minute_adds() {
        let minute = Sums::of(&totals(300, 6)).since(&Sums::of(&totals(100, 5)));
        assert_eq!((minute.requests, minute.errors), (200, 1));
        assert!((minute.latency_p99_ms.unwrap() - 30.0).abs() < 0.5);
        assert_eq!(minute.latency_mean_ms, Some(30.0));
        let silent = Sums::default().since(&Sums::default());
        assert_eq!(silent, Minute::default());
    }

    #[test]
    fn a_minute_is_fed_when_the_next_one_begins() {
        let (mut points, mut seen) = (Points::default(), Vec::new());
        // Six windows a minute: half of the canary's requests fail, from the first minute on.
        let mut n = 0;
        for window in 0..60 {
            n += 100;
            points.take(window / 6, &[totals(n, 0), totals(n, n / 2)], |_, canary| seen.push(*canary));
        }
        assert_eq!(seen.iter().map(|minute| (minute.requests, minute.errors)).collect::<Vec<_>>(), [(600, 300); 9]);
        points.take(19, &[totals(n + 1, 0), totals(n + 1, n / 2)], |_, canary| seen.push(*canary));
        assert_eq!(seen.len(), 19);
        assert_eq!((seen[9].requests, seen[10].requests, seen[18]), (600, 0, Minute::default()));
    }
}
