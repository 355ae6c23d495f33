//! A verdict in words: one sentence each, the verdict first.

use super::guardrails::{RATIO_LIMIT, Row, typical_ms};
use super::text::{grouped, millis, percent, span, times};
use super::{Judged, SILENT, list_of_arms};
use crate::cli::terminal::harmless;
use crate::compare::verdict::{Behaviour, Cell, Finding, Flaw, Verdict};
use crate::engine::bucket_sums::BucketSums;
use crate::engine::look::LOG_PASS;
use crate::engine::pair_test::Ranked;
use crate::engine::units::Arm;
use crate::math;
use crate::pipeline::plan::ArmRule;

impl Judged<'_> {
    /// The verdict and its reasons, one sentence each.
    pub(in crate::cli) fn sentences(&self) -> Vec<String> {
        let comparison = self.comparison;
        let look = &comparison.look;
        let mut list = Vec::new();
        match look.verdict {
            Verdict::Fail => {
                let mut leading: Vec<&Row> = self.rows.iter().filter(|row| row.finding == Finding::Regressed).collect();
                leading.sort_by(|a, b| b.log_e.total_cmp(&a.log_e));
                let (receded, lasting): (Vec<&Row>, Vec<&Row>) = leading.into_iter().partition(|row| row.has_receded());
                let mut worse: Vec<String> = lasting.iter().filter_map(|row| self.worse(row)).collect();
                if worse.is_empty() {
                    worse.extend(lasting.first().map(|row| format!("Worse: {}.", self.name_of(row))));
                }
                let when = comparison.failure.as_ref().map(|failure| {
                    format!("at {}, after {}", failure.at, span(failure.at.0 - comparison.started_at.0))
                });
                let when = when.unwrap_or_else(|| "at an earlier look".to_owned());
                if worse.is_empty() {
                    let by: Vec<String> = receded.iter().map(|row| self.name_of(row)).collect();
                    let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(" and ")) };
                    let assumption = self.assumption().map_or(String::new(), |words| format!(" ({words})"));
                    list.push(format!(
                        "The new code was worse{assumption}. The logs proved it {when},{by}; later numbers no longer show it."
                    ));
                } else if let Some(assumption) = self.assumption() {
                    list.push(format!("The new code is worse ({assumption}). If so, the logs prove it {when}."));
                } else {
                    list.push(format!("The new code is worse. The logs prove it {when}."));
                }
                list.extend(worse);
                list.extend(self.changes());
            }
            Verdict::Invalid => {
                list.push("The two arms cannot be compared.".to_owned());
                list.extend(look.flaws.iter().map(|flaw| self.flaw(*flaw)));
            }
            Verdict::Pass => {
                let assumption = self.assumption().map_or(String::new(), |words| format!(" ({words})"));
                list.push(format!(
                    "Every required guardrail is within its margin, after {}{assumption}.",
                    span(comparison.ended_at.0 - comparison.started_at.0)
                ));
                list.extend(self.changes());
            }
            Verdict::Inconclusive if look.held_back => {
                list.push(
                    "Not passed: the code behaves differently, and that is for people to accept or not.".to_owned(),
                );
                list.extend(self.changes());
                list.push(format!(
                    "To accept it, list it in a policy: expect: [{}]",
                    look.changed_groups().map(Behaviour::name).collect::<Vec<_>>().join(", ")
                ));
            }
            Verdict::Inconclusive => {
                list.push(format!(
                    "Not decided after {}: neither worse, nor shown to be within every margin.",
                    span(comparison.ended_at.0 - comparison.started_at.0)
                ));
                if let Some(until) = comparison.active_until[1]
                    && comparison.ended_at.0 - until.0 >= SILENT
                {
                    list.push(format!(
                        "`{}` has been silent since {until}: it was taken back, or it has died.",
                        harmless(&comparison.candidate, 60)
                    ));
                }
            }
        }
        list
    }

    /// What has to be true for the verdict to mean anything, where nothing in the logs can show it.
    pub(in crate::cli) fn assumption(&self) -> Option<String> {
        let unit = self.comparison.unit;
        // A hash of each request assigns requests: there it holds.
        let assigned_here = matches!(self.survey.plan.arms, ArmRule::Hash { .. });
        (unit.is_once() && !assigned_here).then(|| {
            format!(
                "each {} counts by itself: this holds if requests, not users, are assigned to arms; --role user=FIELD names users",
                unit.name()
            )
        })
    }

    /// How the candidate is worse; `None` when there are no numbers that show it.
    fn worse(&self, row: &Row) -> Option<String> {
        let pair = match row.values {
            [Some(control), Some(candidate)] if candidate > control => Some([control, candidate]),
            _ => None,
        };
        match row.cell {
            Cell::ErrorUnits | Cell::LatencyP99Units => {
                let what = if row.cell == Cell::ErrorUnits { "meet errors" } else { "meet a very slow request" };
                let units = self.units();
                let least = row.effect.filter(|effect| effect.low > 1.0).map_or(String::new(), |effect| {
                    format!(", at least {} times as many", times(effect.low.min(RATIO_LIMIT)))
                });
                match (pair, row.effect) {
                    (Some([control, candidate]), _) => Some(format!(
                        "More {units} {what}: {} instead of {}{least}.",
                        percent(candidate),
                        percent(control)
                    )),
                    // Where the canary's share was changed, plain shares of the whole time may say the opposite.
                    (None, Some(effect)) if !least.is_empty() => Some(format!(
                        "More {units} {what}: {} times as many at the same time{least}.",
                        if effect.is_at_limit() { "over 1,000".to_owned() } else { times(effect.estimate) }
                    )),
                    _ => None,
                }
            }
            Cell::ErrorVolume => pair.map(|[control, candidate]| {
                format!("More requests fail: {} instead of {}.", percent(candidate), percent(control))
            }),
            Cell::LatencyMean => pair.map(|[control, candidate]| {
                format!("Requests are slower: typically {} instead of {}.", millis(candidate), millis(control))
            }),
            Cell::LatencyP50 | Cell::LatencyP90 | Cell::LatencyP99 => match (pair, row.above) {
                (Some([control, candidate]), _) => Some(format!(
                    "Requests are slower: {} is {} instead of {}.",
                    row.name.trim_start_matches("latency "),
                    millis(candidate),
                    millis(control)
                )),
                (None, Some(([control, candidate], threshold))) if candidate > control => Some(format!(
                    "Requests are slower: {} take longer than {}, instead of {}.",
                    percent(candidate),
                    millis(threshold),
                    percent(control)
                )),
                _ => None,
            },
            Cell::Deficit => Some(format!(
                "{} of {} {} reach the candidate, far fewer than declared: it may die before it logs.",
                grouped(row.counts[1]),
                grouped(row.counts[0] + row.counts[1]),
                self.units()
            )),
        }
    }

    /// What changed, in words.
    pub(in crate::cli) fn changes(&self) -> Vec<String> {
        let comparison = self.comparison;
        let mut list = Vec::new();
        for group in comparison.look.changed_groups() {
            match group {
                Behaviour::LinesPerTrace => {
                    let [control, candidate] = [0, 1].map(|arm| self.lines_per_trace(arm));
                    list.push(format!(
                        "What changed: a trace has {candidate:.1} lines instead of {control:.1} (typical)."
                    ));
                }
                Behaviour::CalledServices => {
                    list.extend(pairs(&comparison.called.ranked(), "of traces call", "service"));
                }
                Behaviour::Routes => {
                    let of = format!("of {} request", self.units());
                    list.extend(pairs(&comparison.routes.ranked(), &of, "route"));
                }
                Behaviour::Templates => {}
                Behaviour::StatusClasses => {
                    list.extend(pairs(&comparison.statuses.ranked(), &format!("of {} meet", self.units()), "status"))
                }
                Behaviour::RecoveredByRetry => list.push(rates(
                    &comparison.retried,
                    "of requests fail at first and are recovered by a further attempt",
                )),
                Behaviour::WarningLines => {
                    let [control, candidate] = per_event(&comparison.warnings);
                    list.push(format!(
                        "What changed: a request has {candidate:.2} lines of level warn or worse instead of {control:.2}, failed requests left aside."
                    ));
                }
                Behaviour::Faster => {
                    let [control, candidate] = [0, 1].map(|arm| typical_ms(comparison, arm));
                    if let (Some(control), Some(candidate)) = (control, candidate) {
                        list.push(format!(
                            "What changed: requests are much faster, typically {} instead of {}. Does the new code do all of its work?",
                            millis(candidate),
                            millis(control)
                        ));
                    }
                }
            }
        }
        list
    }

    /// Typical number of lines of a trace (geometric mean).
    pub(in crate::cli) fn lines_per_trace(&self, arm: usize) -> f64 {
        let n = self.comparison.lines.events()[arm].max(1) as f64;
        let sum = self.comparison.lines.sums()[arm] as f64 / 65_536.0;
        math::exp(sum / n * core::f64::consts::LN_2)
    }

    fn flaw(&self, flaw: Flaw) -> String {
        let comparison = self.comparison;
        let [control, candidate] = comparison.units();
        let units = self.units();
        match flaw {
            Flaw::SampleRatio => format!(
                "{} of {} {units} are in the candidate ({}), but {} was declared: assignment is broken, and the arms hold different users.",
                grouped(candidate),
                grouped(control + candidate),
                percent(candidate as f64 / (control + candidate).max(1) as f64),
                self.policy.declared_share.map_or("?".to_owned(), percent)
            ),
            Flaw::MixedRouting => format!(
                "Some {units} stick to their arm and some do not, so neither {units} nor requests can be compared. Name the field that assignment goes by: --role user=FIELD."
            ),
            Flaw::Crossover => {
                let crossed: u64 = comparison.crossovers().iter().map(|(_, crossed)| crossed).sum();
                format!(
                    "{} {units} were in both arms: more than 5 %, so they are no longer two arms.",
                    grouped(crossed)
                )
            }
            Flaw::UnequalCrossover => {
                format!(
                    "{units} leave one arm for the other more often than the other way round: the arms select their users."
                )
            }
            Flaw::MissingArm => {
                let (arm, missing) = match comparison.missing() {
                    Some(Arm::Control) => (0, &comparison.control),
                    Some(Arm::Candidate) | None => (1, &comparison.candidate),
                };
                let nameless = comparison.totals.first().map_or(0, |totals| totals[arm].requests);
                if nameless > 0 {
                    return format!(
                        "There is nothing to compare: the {} requests of `{missing}` name no {}.",
                        grouped(nameless),
                        comparison.unit.name()
                    );
                }
                let before = self.arms_seen.iter().find(|(arm, requests)| arm == missing && *requests > 0);
                match before {
                    Some((_, requests)) => format!(
                        "There is nothing to compare: the {} requests of `{missing}` ended before those of the other arm began.",
                        grouped(*requests)
                    ),
                    None => match self.arms_seen.as_slice() {
                        [(only, requests)] => format!(
                            "There is nothing to compare: only `{}` was seen, {} requests.",
                            harmless(only, 60),
                            grouped(*requests)
                        ),
                        seen => format!(
                            "There is nothing to compare: `{missing}` was not seen. Seen: {}.",
                            list_of_arms(seen)
                        ),
                    },
                }
            }
            Flaw::UnitCoverage => format!("Requests of one arm name no {} far more often.", comparison.unit.name()),
            Flaw::LatencyCoverage => "Requests of one arm lack a latency far more often.".to_owned(),
            Flaw::StatusCoverage => "Requests of one arm lack a status far more often.".to_owned(),
            Flaw::Lateness => "Lines of one arm come too late far more often; give a longer --lateness.".to_owned(),
            Flaw::ErrorsWithoutUnit => {
                let [a, b] = self.comparison.totals.first().map_or([0.0; 2], |totals| {
                    totals.each_ref().map(|t| t.errors_without_unit as f64 / t.requests.max(1) as f64)
                });
                format!(
                    "{} of the candidate's requests fail and name no {}, {} of the control's: they are in no test, and would decide.",
                    percent(b),
                    comparison.unit.name(),
                    percent(a)
                )
            }
            Flaw::GuessedControl => format!(
                "Nothing certain says whether `{}` or `{}` is the new code. Name the old one: --control ARM.",
                comparison.control, comparison.candidate
            ),
            Flaw::MostlyLate => format!(
                "{} of {} lines came too late to count. Most likely they are not in order of time: give each log as a file of its own, or a longer --lateness.",
                grouped(comparison.read.late),
                grouped(comparison.read.events)
            ),
            Flaw::DamagedLines if comparison.damaged.iter().sum::<u64>() > 0 => format!(
                "{} lines of the candidate could not be read, {} of the control: they are in no test, and might decide. --rejects FILE keeps them.",
                grouped(comparison.damaged[1]),
                grouped(comparison.damaged[0])
            ),
            Flaw::DamagedLines => format!(
                "{} of {} lines are damaged or match both arms, and nobody knows whose they are. --rejects FILE keeps them.",
                grouped(comparison.read.damaged),
                grouped(comparison.read.records)
            ),
            Flaw::SamplingByArm => "The arms are sampled at different rates.".to_owned(),
            Flaw::SamplingByOutcome => {
                "Failed requests are sampled at another rate than others, so error rates mean nothing.".to_owned()
            }
        }
    }
}

/// Sum for each event of (control, candidate).
fn per_event(sums: &BucketSums) -> [f64; 2] {
    let (events, totals) = (sums.events(), sums.sums());
    [0, 1].map(|arm| totals[arm] as f64 / events[arm].max(1) as f64)
}

fn rates(sums: &BucketSums, what: &str) -> String {
    let [control, candidate] = per_event(sums);
    format!("What changed: {} {what} instead of {}.", percent(candidate), percent(control))
}

/// Categories that carry a change, at most four.
fn pairs(ranked: &[Ranked<'_>], of: &str, what: &str) -> Vec<String> {
    let strongest = ranked.first().map_or(0.0, |first| first.log_e);
    ranked
        .iter()
        .take(4)
        .filter(|ranked| ranked.log_e >= LOG_PASS && ranked.log_e >= strongest * 0.1)
        .map(|Ranked { name, totals: [(control, a), (candidate, b)], .. }| {
            let share = |part: u64, whole: u64| percent(part as f64 / whole.max(1) as f64);
            format!(
                "What changed: {} {of} {what} {} instead of {}.",
                share(*b, *candidate),
                harmless(if name.is_empty() { "(unnamed)" } else { name }, 80),
                share(*a, *control)
            )
        })
        .collect()
}
