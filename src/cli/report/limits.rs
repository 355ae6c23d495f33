//! Absolute limits in words: what both arms together are held against, whatever the comparison says.

use super::Judged;
use super::text::{grouped, millis, percent, span};
use crate::engine::limits::{LONG, Limit, LimitLook, Over, REQUESTS_MIN, SPAN};
use crate::engine::pass::{all_held, conditions_of_pass};
use crate::time::{MINUTE, Micros};

impl Judged<'_> {
    /// The span over which limits are watched: one window where that is longer.
    fn limit_span(&self) -> String {
        self.span_in_words(SPAN)
    }

    fn span_in_words(&self, of: Micros) -> String {
        let window = self.survey.plan.windowing.window;
        if window > of { span(window) } else { format!("{} minutes", of / MINUTE) }
    }

    /// Limits of the policy, with what the latest look says of each.
    pub(in crate::cli) fn limits(&self) -> Vec<(Limit, LimitLook)> {
        let look = &self.comparison.look;
        Limit::ALL.into_iter().filter_map(|limit| Some((limit, look.limit(limit)?))).collect()
    }

    /// The allowed share (0 to 1) of a limit.
    pub(in crate::cli) fn allowed(&self, limit: Limit) -> f64 {
        self.policy.limits.allowed_ppm(limit).map_or(0.0, |ppm| ppm as f64 / 1e6)
    }

    /// What is counted against a limit in (control, candidate), and the limit.
    fn limit_words(&self, limit: Limit, arms: [Over; 2]) -> String {
        let share = |counted: Over| counted.share().map_or("-".to_owned(), percent);
        let [control, candidate] = arms.map(share);
        let both = share(LimitLook { arms, ..LimitLook::default() }.both());
        let allowed = percent(self.allowed(limit));
        let arms = format!("baseline {control}, canary {candidate}");
        match limit {
            Limit::Errors => format!("errors {both} (limit {allowed}; {arms})"),
            Limit::P99 => {
                let threshold = self.policy.limits.p99_us.map_or(0.0, |us| us as f64 / 1e3);
                format!("p99 above {}, which {both} of requests exceed (limit {allowed}; {arms})", millis(threshold))
            }
        }
    }

    /// Limits that are broken, and what follows; nothing while all hold.
    pub(super) fn beyond_limits(&self) -> Option<String> {
        let broken: Vec<(Limit, LimitLook)> = self.limits().into_iter().filter(|(_, said)| said.broken).collect();
        if broken.is_empty() {
            return self.not_within_limits();
        }
        let is_over = |limit: Limit, counted: &Over| counted.share().is_some_and(|share| share > self.allowed(limit));
        let each = broken.iter().all(|(limit, said)| said.arms.iter().all(|counted| is_over(*limit, counted)));
        let who = if each { "Both arms are" } else { "Both arms taken together are" };
        let what: Vec<String> = broken.iter().map(|(limit, said)| self.limit_words(*limit, said.arms)).collect();
        let name = if what.len() > 1 { "limits" } else { "limit" };
        let cause = if each {
            "nothing says that the new code is the cause, and nothing says that it is not: it may overload what both \
             arms use"
        } else {
            "a limit is no comparison, and says nothing of the cause"
        };
        let follows = if self.policy.limits.fails {
            format!("the policy makes it a failure when the next {} are beyond it as well", self.limit_span())
        } else {
            "a pass waits until the limit is met again".to_owned()
        };
        Some(format!("{who} beyond the {name} of the policy: {}; {cause}; {follows}.", what.join(", and ")))
    }

    /// Limits that are not broken, and hold back a pass by what the longer span shows.
    fn not_within_limits(&self) -> Option<String> {
        let doubtful: Vec<String> = self
            .limits()
            .into_iter()
            .filter(|(_, said)| said.holds_back)
            .map(|(limit, said)| self.limit_words(limit, said.long))
            .collect();
        (!doubtful.is_empty()).then(|| {
            format!(
                "Both arms taken together are not within the policy's limits over {}: {}; too little to call it broken, and a \
                 pass waits until they are.",
                self.span_in_words(LONG),
                doubtful.join(", and ")
            )
        })
    }

    /// Nothing but a limit holds back a pass.
    pub(super) fn waits_for_limit(&self) -> bool {
        let (comparison, policy) = (self.comparison, self.policy);
        comparison.look.limits_that_hold_back().next().is_some()
            && conditions_of_pass(comparison, policy)
            && all_held(&comparison.look, comparison, policy)
    }

    /// Limits whose lasting break was made a failure.
    pub(super) fn failed_limits(&self) -> Option<String> {
        let failure = self.comparison.failure.as_ref()?;
        let names: Vec<&str> = failure.limits.iter().map(|limit| limit.name()).collect();
        (!names.is_empty()).then(|| {
            format!(
                "By policy (on_break: fail): at {} both arms taken together were beyond the limit of {} in the {} after it broke too.",
                failure.at,
                names.join(" and of "),
                self.limit_span()
            )
        })
    }

    /// What a check says of one limit.
    pub(super) fn limit_check(&self, limit: Limit, said: &LimitLook) -> String {
        let both = said.both();
        let state = match said {
            LimitLook { fails: true, .. } => "broken, and a failure by policy",
            LimitLook { broken: true, .. } => "broken",
            LimitLook { holds_back: true, .. } => "not broken, and above it over the longer span: no pass",
            LimitLook { broken: false, .. } if both.of < REQUESTS_MIN => "too few requests to tell",
            LimitLook { broken: false, .. } => "holds",
        };
        let share = |counted: Over| counted.share().map_or("-".to_owned(), percent);
        let [control, candidate] = said.arms.map(share);
        let what = match (limit, self.policy.limits.p99_us) {
            (Limit::P99, Some(us)) => format!("slower than {}", millis(us as f64 / 1e3)),
            (Limit::Errors | Limit::P99, _) => "failed".to_owned(),
        };
        format!(
            "{}: {state}; of {} requests of both arms in {}, {} {what} (baseline {control}, canary {candidate}), {} allowed",
            limit.name(),
            grouped(both.of),
            self.limit_span(),
            share(both),
            percent(self.allowed(limit))
        )
    }
}
