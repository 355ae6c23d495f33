//! One comparison as it was seen while it ran: when it was decided, what share it had, and what other rules said.

use crate::backtest::deploy::{Judged, RULES, Said, Stop};
use crate::backtest::served::SLOT;
use crate::compare::verdict::Verdict;
use crate::demo::others::Points;
use crate::engine::comparison::Comparison;
use crate::engine::segments::SegmentCell;
use crate::engine::units::Arm;
use crate::rival::{Flagger, FlaggerConfig, Kayenta, KayentaConfig, Rule};
use crate::time::{Micros, Timestamp};

/// Steps of share that are kept.
const STEPS_MAX: usize = 64;
/// A share is another when it differs by so much of itself (or of what it leaves), and by so many standard errors; requests
/// of one user come together, which makes the variance larger than that of independent ones.
const STEP_LEAST: f64 = 0.25;
const STEP_ERRORS: f64 = 3.0;
const STEP_SPREAD: f64 = 3.0;

/// Shares over time.
#[derive(Clone, Debug, Default)]
struct Steps {
    list: Vec<(Timestamp, f64)>,
    slot: Option<i64>,
    /// Requests of (control, candidate) when the slot began, and now.
    before: [u64; 2],
    latest: [u64; 2],
    /// Requests of the latest step.
    step: [u64; 2],
    /// The latest slot did not fit into the step: its number and requests.
    odd: Option<(i64, [u64; 2])>,
}

impl Steps {
    fn look(&mut self, ended_at: Timestamp, requests: [u64; 2]) {
        let slot = (ended_at.0 - 1).div_euclid(SLOT);
        if let Some(open) = self.slot.filter(|open| *open != slot) {
            self.close(open);
        }
        self.slot = Some(slot);
        self.latest = requests;
    }

    fn close(&mut self, slot: i64) {
        let [control, candidate] = [0, 1].map(|arm| self.latest[arm] - self.before[arm]);
        self.before = self.latest;
        // An arm alone has no share: the rollout has not begun, or is over.
        if control == 0 || candidate == 0 {
            return;
        }
        if self.list.is_empty() {
            self.begin(slot, [control, candidate]);
            return;
        }
        if !differs(self.step, [control, candidate]) {
            self.odd = None;
            self.add([control, candidate]);
            return;
        }
        match self.odd.take() {
            Some((since, first)) if self.list.len() < STEPS_MAX => {
                self.begin(since, first);
                self.add([control, candidate]);
            }
            Some(_) | None => self.odd = Some((slot, [control, candidate])),
        }
    }

    fn begin(&mut self, slot: i64, requests: [u64; 2]) {
        self.list.push((Timestamp(slot * SLOT), 0.0));
        self.step = [0; 2];
        self.add(requests);
    }

    fn add(&mut self, requests: [u64; 2]) {
        self.step.iter_mut().zip(requests).for_each(|(sum, more)| *sum += more);
        if let Some((_, share)) = self.list.last_mut() {
            *share = share_of(self.step);
        }
    }
}

fn share_of([control, candidate]: [u64; 2]) -> f64 {
    candidate as f64 / (control + candidate).max(1) as f64
}

/// The share of a slot is not that of the step.
fn differs(step: [u64; 2], slot: [u64; 2]) -> bool {
    let (p, q) = (share_of(step), share_of(slot));
    let n = |of: [u64; 2]| (of[0] + of[1]).max(1) as f64;
    let variance = STEP_SPREAD * p * (1.0 - p) * (1.0 / n(step) + 1.0 / n(slot));
    let difference = (p - q).abs();
    difference > STEP_LEAST * p.min(1.0 - p) && difference > STEP_ERRORS * variance.sqrt()
}

/// See the module text.
#[derive(Clone, Debug)]
pub(super) struct Rollout {
    steps: Steps,
    points: Points,
    rules: [Rule; RULES.len()],
    passed_at: Option<Timestamp>,
    stop: Option<Stop>,
}

impl Rollout {
    /// A rollout that was just found. `flagger`: what a team would have told Flagger by then.
    pub(super) fn new(flagger: FlaggerConfig) -> Rollout {
        let rules = [Rule::Flagger(Flagger::new(flagger)), Rule::Kayenta(Kayenta::new(KayentaConfig::default()))];
        Rollout { steps: Steps::default(), points: Points::default(), rules, passed_at: None, stop: None }
    }

    /// Takes the latest look.
    pub(super) fn look(&mut self, comparison: &Comparison) {
        let requests = requests(comparison);
        if comparison.end.is_none() {
            self.steps.look(comparison.ended_at, requests);
            let Rollout { points, rules, .. } = self;
            points.look(comparison, |baseline, canary| {
                rules.iter_mut().for_each(|rule| {
                    rule.observe(baseline, canary);
                });
            });
            if comparison.look.verdict == Verdict::Pass && self.passed_at.is_none() {
                self.passed_at = Some(comparison.ended_at);
            }
        }
        if self.stop.is_none()
            && let Some(failure) = &comparison.failure
        {
            let [_, requests] = requests;
            let (at, cells) = (failure.at, failure.cells.clone());
            let name = |(cell, test): &SegmentCell| format!("{} in {}", test.name(), comparison.segments.name(*cell));
            let segments = failure.segments.iter().map(name).collect();
            self.stop = Some(Stop { at, cells, segments, exposed: comparison.exposed(), requests });
        }
    }

    /// Time for which both arms were seen.
    pub(super) fn beside(comparison: &Comparison) -> Micros {
        let [control, candidate] = comparison.active_until;
        let until = control.zip(candidate).map(|(control, candidate)| control.min(candidate));
        until.map_or(0, |until| (until.0 - comparison.started_at.0).max(0))
    }

    /// What is told of it once the log has ended.
    pub(super) fn judged(mut self, comparison: &Comparison) -> Judged {
        if let Some(open) = self.steps.slot.take() {
            self.steps.close(open);
        }
        let [_, requests] = requests(comparison);
        let said = |rule: &Rule| Said { state: rule.state(), after_minutes: rule.decided_after_minutes() };
        Judged {
            control_from: comparison.control_from,
            beside: Rollout::beside(comparison),
            steps: self.steps.list,
            verdict: comparison.look.verdict,
            held_back: comparison.look.held_back,
            passed_at: self.passed_at,
            stop: self.stop,
            flaws: comparison.look.flaws.clone(),
            end: comparison.end,
            exposed: comparison.exposed(),
            is_estimate: comparison.followed() < 1.0 && !comparison.by_request(),
            requests,
            rules: self.rules.each_ref().map(said),
        }
    }
}

/// Requests of (control, candidate) so far.
fn requests(comparison: &Comparison) -> [u64; 2] {
    comparison
        .totals
        .first()
        .map_or([0; 2], |totals| [Arm::Control, Arm::Candidate].map(|arm| totals[arm.at()].requests))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of slots of 100 requests with so many of the candidate.
    fn steps(candidate: &[u64]) -> Vec<(i64, u32)> {
        let (mut steps, mut sums) = (Steps::default(), [0; 2]);
        for (slot, candidate) in (0..).zip(candidate) {
            sums = [sums[0] + 100 - candidate, sums[1] + candidate];
            steps.look(Timestamp((slot + 1) * SLOT), sums);
        }
        steps.look(Timestamp(i64::MAX), sums);
        steps.list.iter().map(|(at, share)| (at.0 / SLOT, (share * 100.0).round() as u32)).collect()
    }

    #[test]
    fn a_share_that_changes_and_stays_is_a_step() {
        assert_eq!(steps(&[[5; 6], [50; 6]].concat()), [(0, 5), (6, 50)]);
        assert_eq!(steps(&[30]), [(0, 30)]);
        // A slot of chance, a noisy share, nobody, and an arm alone are none.
        assert_eq!(steps(&[20, 20, 60, 20, 20, 20]), [(0, 20)]);
        assert_eq!(steps(&[20, 24, 17, 22, 19, 25, 14]), [(0, 20)]);
        assert_eq!(steps(&[0, 0, 50, 50, 100, 100]), [(2, 50)]);
        assert_eq!(steps(&[]), []);
    }
}
