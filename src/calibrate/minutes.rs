//! The rules that people use today, on the same splits: each minute of both arms, as a metrics system would have
//! stored it, straight from the events.

use std::collections::BTreeMap;

use crate::calibrate::log::Facts;
use crate::event::{Event, NO_LATENCY};
use crate::rival::{Flagger, FlaggerConfig, Kayenta, KayentaConfig, Minute, Rule, State, ZTest, ZTestConfig};
use crate::time::MINUTE;

use super::Outcome;

/// Names of the rules, in the order of their outcomes.
pub const RULE_NAMES: [&str; 3] = ["Flagger's rule", "Kayenta's judge", "z-test each minute"];

/// Minutes in a row without a request that the rules are shown; a longer pause is cut to this.
const EMPTY_MINUTES_MAX: i64 = 1_440;

/// Limits of the threshold rule.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// A minute fails below this success rate in per cent.
    pub success_rate_percent_min: f64,
    /// A minute fails when its 99th percentile is above this.
    pub latency_p99_ms_max: f64,
}

impl Limits {
    /// Flagger's documented limits (99 %, 500 ms), or where this log's healthy traffic would itself be past them, the
    /// limits that a team would have set instead: twice the log's share of errors, one and a half times its p99.
    pub fn for_log(facts: &Facts) -> Limits {
        let errors_percent = 100.0 * facts.errors as f64 / facts.requests.max(1) as f64;
        let p99_ms = facts.latency.quantile_us(0.99).unwrap_or(0.0) / 1_000.0;
        let limits = FlaggerConfig::default();
        Limits {
            success_rate_percent_min: limits.success_rate_percent_min.min(100.0 - 2.0 * errors_percent).max(0.0),
            latency_p99_ms_max: limits.latency_p99_ms_max.unwrap_or(0.0).max((1.5 * p99_ms).ceil()),
        }
    }
}

/// One minute of one arm while it is counted.
#[derive(Clone, Debug, Default)]
struct Counts {
    requests: u64,
    errors: u64,
    latencies_us: Vec<u64>,
}

impl Counts {
    fn minute(mut self) -> Minute {
        Minute::new(self.requests, self.errors, &mut self.latencies_us)
    }
}

/// The minutes of one split.
#[derive(Debug, Default)]
pub(super) struct Minutes(BTreeMap<i64, [Counts; 2]>);

impl Minutes {
    /// Counts a request.
    pub(super) fn add(&mut self, event: &Event, is_canary: bool) {
        let minute = self.0.entry(event.time.0.div_euclid(MINUTE)).or_default();
        let counts = &mut minute[usize::from(is_canary)];
        counts.requests += 1;
        counts.errors += u64::from(event.error);
        if event.latency_us != NO_LATENCY {
            counts.latencies_us.push(event.latency_us);
        }
    }

    /// What the rules say once they have seen every minute.
    pub(super) fn judge(self, limits: Limits) -> [Outcome; RULE_NAMES.len()] {
        let has_latency = self.0.values().flatten().any(|counts| !counts.latencies_us.is_empty());
        let mut rules = [
            Rule::Flagger(Flagger::new(FlaggerConfig {
                success_rate_percent_min: limits.success_rate_percent_min,
                latency_p99_ms_max: has_latency.then_some(limits.latency_p99_ms_max),
                ..FlaggerConfig::default()
            })),
            Rule::Kayenta(Kayenta::new(KayentaConfig::default())),
            Rule::ZTest(ZTest::new(ZTestConfig::default())),
        ];
        let mut next = None;
        for (minute, [baseline, canary]) in self.0 {
            let empty = next.map_or(0, |next: i64| minute.saturating_sub(next).clamp(0, EMPTY_MINUTES_MAX));
            next = Some(minute.saturating_add(1));
            let (baseline, canary) = (baseline.minute(), canary.minute());
            for rule in &mut rules {
                for _ in 0..empty {
                    rule.observe(&Minute::default(), &Minute::default());
                }
                rule.observe(&baseline, &canary);
            }
        }
        rules.map(|rule| {
            let seconds = rule.decided_after_minutes().map(|minutes| minutes as f64 * 60.0);
            match rule.state() {
                State::RolledBack => Outcome { failed_after: seconds, passed_after: None },
                State::Passed => Outcome { failed_after: None, passed_after: seconds },
                State::Watching => Outcome::default(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_its_own_quantiles() {
        let counts = Counts { requests: 4, errors: 1, latencies_us: vec![4_000, 1_000, 3_000, 2_000] };
        let minute = counts.minute();
        assert_eq!((minute.requests, minute.errors), (4, 1));
        assert_eq!((minute.latency_p50_ms, minute.latency_p99_ms), (Some(2.0), Some(4.0)));
        assert_eq!(minute.latency_mean_ms, Some(2.5));
        assert_eq!(Counts::default().minute(), Minute::default());
    }

    #[test]
    fn limits_leave_room_for_what_is_usual() {
        let mut facts = Facts { requests: 1_000, errors: 20, ..Facts::default() };
        assert_eq!(Limits::for_log(&facts), Limits { success_rate_percent_min: 96.0, latency_p99_ms_max: 500.0 });
        facts.errors = 0;
        facts.latency.add(crate::sketch::latency::bin_of(1_000_000), 100);
        let limits = Limits::for_log(&facts);
        assert_eq!(limits.success_rate_percent_min, 99.0);
        assert!((1_480.0..1_520.0).contains(&limits.latency_p99_ms_max), "{limits:?}");
    }
}
