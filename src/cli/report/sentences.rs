//! A verdict in words: one sentence each, the verdict first.

use super::cut_overs;
use super::guardrails::{RATIO_LIMIT, Row, typical_ms};
use super::next::FORECAST_MAX;
use super::templates::shown;
use super::text::{count, grouped, millis, percent, span, times};
use super::{Judged, MetricRow, SILENT, list_of_arms};
use crate::cli::terminal::harmless;
use crate::compare::budget;
use crate::compare::verdict::{Behaviour, Cell, Finding, Flaw, Verdict};
use crate::engine::bucket_sums::BucketSums;
use crate::engine::flaws::breaks;
use crate::engine::look::LOG_PASS;
use crate::engine::pair_test::Ranked;
use crate::engine::units::Arm;
use crate::math;
use crate::pipeline::plan::ArmRule;
use crate::time::{DAY, Micros, Timestamp};

impl Judged<'_> {
    /// What the verdict means, in words that need no other.
    pub(super) fn headline(&self) -> String {
        let comparison = self.comparison;
        let [control, candidate] = [&comparison.control, &comparison.candidate].map(|arm| harmless(arm, 60));
        let condition = match self.conditions().len() {
            0 => "",
            1 => ", on one condition",
            _ => ", on two conditions",
        };
        match comparison.look.verdict {
            Verdict::Fail if self.is_by_limit_alone() => {
                format!("{candidate} and {control} broke a limit of the policy")
            }
            Verdict::Fail
                if self.leading().iter().any(|row| !row.has_receded())
                    || self.fallen().any(|row| !row.has_receded())
                    || self.failing_templates().iter().any(|(_, lasts)| *lasts)
                    || self.fails_in_a_segment() =>
            {
                format!("{candidate} is worse than {control}{condition}")
            }
            Verdict::Fail => format!("{candidate} was worse than {control}{condition}"),
            Verdict::Invalid => format!("{candidate} and {control} cannot be compared"),
            Verdict::Pass => {
                format!("{candidate} is no worse than {control}, within every margin asked for{condition}")
            }
            Verdict::Inconclusive if self.replaced.is_some() => {
                format!("{candidate} replaced {control} at once, so there is nothing to compare it with")
            }
            Verdict::Inconclusive if comparison.look.held_back => {
                format!("{candidate} behaves differently from {control}; people must decide")
            }
            Verdict::Inconclusive if comparison.look.limits_that_hold_back().next().is_some() => {
                format!("no pass beyond a limit of the policy; nothing proves that {candidate} is worse than {control}")
            }
            Verdict::Inconclusive if self.silent_since(1).is_some() => {
                format!("no decision, and {candidate} has gone silent")
            }
            Verdict::Inconclusive => {
                format!("no decision yet; nothing proves that {candidate} is worse than {control}")
            }
        }
    }

    /// The verdict and its reasons, one sentence each; the first is the headline.
    pub(in crate::cli) fn sentences(&self) -> Vec<String> {
        let comparison = self.comparison;
        let look = &comparison.look;
        let watched = span(comparison.ended_at.0 - comparison.started_at.0);
        let mut list = vec![format!("{}.", self.headline())];
        if look.verdict == Verdict::Inconclusive {
            list.extend(self.beyond_limits());
        }
        match look.verdict {
            Verdict::Fail => list.extend(self.failure()),
            Verdict::Invalid => list.extend(look.flaws.iter().map(|flaw| self.flaw(*flaw))),
            Verdict::Pass => {
                list.push(format!("Every required guardrail is within its margin, after {watched}."));
                list.extend(self.own_unasked(comparison.ended_at.0 - comparison.started_at.0));
                if let Some(until) = self.silent_since(1) {
                    list.push(format!("The canary has been silent since {until}."));
                }
                list.extend(self.changes());
            }
            Verdict::Inconclusive if self.replaced.is_some() => {}
            Verdict::Inconclusive if look.held_back => {
                list.push("It is not proven worse; a pass waits until somebody has accepted the change.".to_owned());
                list.extend(self.changes());
                list.push(format!(
                    "To accept it, --policy FILE with: expect: [{}]",
                    look.changed_groups().map(Behaviour::name).collect::<Vec<_>>().join(", ")
                ));
            }
            Verdict::Inconclusive if self.waits_for_limit() => {
                list.push(format!("Every required guardrail is within its margin, after {watched}."));
            }
            Verdict::Inconclusive => {
                list.push(format!(
                    "Watched for {watched}: not every guardrail is shown to be within its margin.{}",
                    self.time_to_pass()
                ));
                list.extend(self.silent_since(1).map(|until| {
                    let candidate = harmless(&comparison.candidate, 60);
                    format!("`{candidate}` has been silent since {until}: it was taken back, or it has died.")
                }));
            }
        }
        if look.verdict != Verdict::Invalid {
            list.extend(look.flaws.contains(&Flaw::UnequalSegments).then(|| self.flaw(Flaw::UnequalSegments)));
        }
        // The failure was proved before so much was missing.
        if look.verdict == Verdict::Fail {
            list.extend(look.flaws.contains(&Flaw::MostlyLate).then(|| self.flaw(Flaw::MostlyLate)));
            list.extend(look.flaws.contains(&Flaw::StalledPartition).then(|| self.flaw(Flaw::StalledPartition)));
        }
        if look.verdict == Verdict::Inconclusive {
            let of_pass = [
                Flaw::SomeLate,
                Flaw::CreepingShare,
                Flaw::UnequalActivity,
                Flaw::OwnMeasurement,
                Flaw::UnequalCalls,
                Flaw::StalledPartition,
            ];
            for flaw in of_pass {
                list.extend(look.flaws.contains(&flaw).then(|| self.flaw(flaw)));
            }
        } else {
            list.extend(self.beyond_limits());
        }
        if look.verdict != Verdict::Invalid {
            list.extend(self.overlap_sentences());
        }
        list.extend(self.age_sentences());
        if matches!(look.verdict, Verdict::Fail | Verdict::Pass) {
            let conditions = self.conditions();
            let name = if conditions.len() > 1 { "conditions" } else { "condition" };
            if !conditions.is_empty() {
                list.push(format!("The {name}: {}.", conditions.join("; and ")));
            }
        }
        list.extend(self.replaced.as_ref().and_then(cut_overs::before_after));
        if let Some(end) = comparison.end {
            list.push(format!("The rollout ended at {}: {}. This is its last verdict.", end.at, end.reason.words()));
        }
        list
    }

    /// Guardrails that carry a failure, the strongest first.
    pub(super) fn leading(&self) -> Vec<&Row> {
        let mut leading: Vec<&Row> = self.rows.iter().filter(|row| row.finding == Finding::Regressed).collect();
        leading.sort_by(|a, b| b.log_e.total_cmp(&a.log_e));
        leading
    }

    /// No comparison failed, only a limit.
    fn is_by_limit_alone(&self) -> bool {
        self.leading().is_empty()
            && self.fallen().next().is_none()
            && self.worsened().next().is_none()
            && self.failing_templates().is_empty()
            && self.failed_segments().is_empty()
            && self.failed_limits().is_some()
    }

    /// How the candidate is worse, since when that is proven, and what has changed besides.
    fn failure(&self) -> Vec<String> {
        let comparison = self.comparison;
        let by_limit = self.failed_limits();
        if self.is_by_limit_alone() {
            return by_limit.into_iter().chain(self.changes()).collect();
        }
        let (receded, lasting): (Vec<&Row>, Vec<&Row>) = self.leading().into_iter().partition(|row| row.has_receded());
        let mut list: Vec<String> = lasting.iter().filter_map(|row| self.worse(row)).collect();
        let fewer = self.fallen().filter(|row| !row.has_receded()).map(|row| self.fewer(row));
        let worse = self.worsened().filter(|row| !row.has_receded()).map(|row| self.worsening(row));
        let fewer: Vec<String> = fewer.chain(worse).collect();
        let failing = self.failing_templates();
        let lines: Vec<String> =
            failing.iter().filter(|(_, lasts)| *lasts).map(|(template, _)| self.failing_line(template)).collect();
        let of_segments = self.segment_sentences();
        let is_over = lasting.is_empty() && fewer.is_empty() && lines.is_empty() && of_segments.is_empty();
        list.extend(fewer);
        list.extend(lines);
        list.extend(of_segments);
        if list.is_empty() {
            list.extend(lasting.first().map(|row| format!("Worse: {}.", self.name_of(row))));
        }
        let when = comparison.failure.as_ref().map_or("at an earlier look".to_owned(), |failure| {
            format!("at {}, after {}", failure.at, span(failure.at.0 - comparison.started_at.0))
        });
        if is_over {
            let fallen = self.fallen().map(|row| self.conversion_name(row));
            let lines = failing.iter().map(|(template, _)| format!("the error line `{}`", shown(template)));
            let names = receded.iter().map(|row| self.name_of(row));
            let worsened = self.worsened().map(MetricRow::shown);
            let by: Vec<String> =
                names.chain(fallen).chain(worsened).chain(lines).chain(self.failed_segments()).collect();
            let by = if by.is_empty() { String::new() } else { format!(", by {}", by.join(" and ")) };
            let is_broken =
                |row: &&Row| comparison.look.flaws.iter().any(|flaw| breaks(comparison, *flaw).contains(&row.cell));
            if !receded.is_empty() && receded.iter().all(is_broken) {
                list.push(format!("The logs proved it {when}{by}. What came later counts neither for nor against it:"));
                let breaking = |flaw: &&Flaw| receded.iter().any(|row| breaks(comparison, **flaw).contains(&row.cell));
                list.extend(comparison.look.flaws.iter().filter(breaking).map(|flaw| self.flaw(*flaw)));
            } else {
                list.push(format!("The logs proved it {when}{by}; later numbers no longer show it."));
            }
        } else {
            list.push(format!("The logs proved it {when}."));
        }
        list.extend(self.automatic());
        list.extend(by_limit);
        list.extend(self.begun_late());
        list.extend(self.changes());
        list
    }

    /// Whether the evidence is enough to act on without a person, and since when.
    fn automatic(&self) -> Option<String> {
        let failure = self.comparison.failure.as_ref()?;
        let since = failure.automatic_at.map(|at| span(at.0 - failure.at.0));
        // A limit is the team's own line: no evidence is weighed.
        let is_by_evidence =
            !failure.cells.is_empty() || !failure.conversions.is_empty() || !failure.metrics.is_empty();
        match since {
            _ if !is_by_evidence => None,
            Some(later) if later == span(0) => None,
            Some(later) => {
                Some(format!("Enough to act on without a person (evidence of 1,000) was there {later} later."))
            }
            None if self.comparison.unit.is_once() && !self.policy.requests_assigned => Some(
                "Nobody should act on it without a person: that requests, not users, are assigned to arms is not known \
                 (`assignment: requests` in the policy says so)."
                    .to_owned(),
            ),
            None => Some("It is not enough to act on without a person: that asks for evidence of 1,000.".to_owned()),
        }
    }

    /// Since when the evidence counts, where that is not the start: plain numbers are of the whole time.
    fn begun_late(&self) -> Option<String> {
        let comparison = self.comparison;
        let leading = self.leading();
        let row = leading.iter().find(|row| !row.has_receded())?;
        let said = comparison.look.cell(row.cell);
        // The start alone would add this much.
        let from_start = said.log_start + math::ln(budget::RESTART_START);
        if said.log_e - from_start < math::ln(10.0) {
            return None;
        }
        let since =
            comparison.restarts.running().iter().map(|restart| restart.begun_at(comparison.started_at)).next()?;
        Some(format!(
            "It began late: tests that were begun anew, at {since} or after, prove it; the numbers are of the whole time."
        ))
    }

    /// No pass rests on business events and metrics of one's own, and those of less than a day say little: who comes at night is another,
    /// and what is new draws people for a while.
    fn own_unasked(&self, watched: Micros) -> Option<String> {
        let what = match (self.conversions.is_empty(), self.metrics.is_empty()) {
            (true, true) => return None,
            (false, true) => "business events",
            (true, false) => "metrics of one's own",
            (false, false) => "business events and metrics of one's own",
        };
        (watched < DAY).then(|| format!("No pass rests on {what}: they were compared for less than a full day."))
    }

    /// When a pass is to be expected, where that can be told.
    fn time_to_pass(&self) -> String {
        let waits: Option<Vec<Micros>> = self
            .needs
            .iter()
            .map(|need| need.time.filter(|time| *time <= FORECAST_MAX && need.needed > need.have))
            .collect();
        let longest = waits.and_then(|waits| waits.into_iter().max());
        longest.map_or(String::new(), |time| format!(" At this traffic, a pass needs about {} more.", span(time)))
    }

    /// Since when an arm (0 control, 1 candidate) has been silent, where it is.
    pub(super) fn silent_since(&self, arm: usize) -> Option<Timestamp> {
        let until = self.comparison.active_until[arm]?;
        (self.comparison.ended_at.0 - until.0 >= SILENT).then_some(until)
    }

    /// What has to be true for the verdict to mean what it says, where nothing in the logs can show it; at most two.
    pub(in crate::cli) fn conditions(&self) -> Vec<String> {
        let calls = self.calls_condition();
        self.assignment_condition().into_iter().chain(self.instance_condition()).chain(calls).collect()
    }

    /// The candidate ran on one instance alone: nothing tells its doing from that of the code. Semantics 6: one bad pod may
    /// fail a rollout, and where requests are routed one by one a pass of one pod says so.
    fn instance_condition(&self) -> Option<String> {
        let comparison = self.comparison;
        let lines = comparison.totals.first().map_or(0, |[_, candidate]| candidate.lines);
        let instance = comparison.instances.only(Arm::Candidate, lines)?;
        let by_request = comparison.by_request() || comparison.unit.is_once();
        let (candidate, instance) = (harmless(&comparison.candidate, 60), harmless(instance, 80));
        match comparison.look.verdict {
            Verdict::Fail => {
                Some(format!("`{candidate}` ran on one instance alone, `{instance}`: it is this pod or this version"))
            }
            Verdict::Pass if by_request => Some(format!(
                "`{candidate}` ran on one instance alone, `{instance}`: other pods of this version are taken to do as well"
            )),
            Verdict::Pass | Verdict::Invalid | Verdict::Inconclusive => None,
        }
    }

    /// Lines that look like requests were set aside as calls to others.
    fn calls_condition(&self) -> Option<String> {
        let (calls, requests) = self.survey.calls_set_aside;
        (calls * 10 > calls + requests).then(|| {
            format!(
                "{} of the lines that look like requests name a whole URL or a peer, and are taken for calls to others (see the notes)",
                percent(calls as f64 / (calls + requests) as f64)
            )
        })
    }

    /// Each request counts by itself.
    fn assignment_condition(&self) -> Option<String> {
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

    /// The instance that most late lines are of.
    pub(super) fn latest_instance(&self) -> Option<String> {
        let instances = &self.comparison.instances;
        let latest = |arm: Arm| instances.latest(arm).map(|(name, late)| (late, arm, name));
        let (late, arm, name) =
            [Arm::Control, Arm::Candidate].into_iter().filter_map(latest).max_by_key(|(late, ..)| *late)?;
        let all = self.comparison.totals.first().map_or(0, |totals| totals.iter().map(|t| t.late).sum());
        let arm = match arm {
            Arm::Control => "baseline",
            Arm::Candidate => "canary",
        };
        Some(format!("{} of {} late lines are of `{}` ({arm})", grouped(late), grouped(all), harmless(name, 80)))
    }

    /// How the candidate is worse; `None` when there are no numbers that show it.
    fn worse(&self, row: &Row) -> Option<String> {
        let pair = match row.values {
            [Some(control), Some(candidate)] if candidate > control => Some([control, candidate]),
            _ => None,
        };
        match row.cell {
            Cell::ErrorUnits | Cell::LatencyP99Units | Cell::ErrorUnits8 | Cell::ErrorUnits64 | Cell::Unanswered => {
                let what = match row.cell {
                    Cell::ErrorUnits => "meet errors",
                    Cell::ErrorUnits8 => "meet eight errors and more",
                    Cell::ErrorUnits64 => "meet sixty-four errors and more",
                    Cell::Unanswered => "are sent to the arm and never heard of by it",
                    _ => "meet a very slow request",
                };
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
            Cell::ErrorVolume => match (pair, row.effect) {
                (Some([control, candidate]), _) => {
                    Some(format!("More requests fail: {} instead of {}.", percent(candidate), percent(control)))
                }
                // Where the canary's share was changed, plain shares of the whole time may say the opposite.
                (None, Some(effect)) if effect.low > 0.0 => Some(format!(
                    "More requests fail: {} of them more than of the baseline at the same time.",
                    percent(effect.estimate)
                )),
                _ => None,
            },
            // What is usual for each unit is taken from its latency: plain means say something else.
            Cell::LatencyMean if self.history.is_some() => row.effect.map(|effect| {
                format!(
                    "Requests are slower: typically {} more than the same {} had before.",
                    percent(effect.estimate),
                    self.units()
                )
            }),
            Cell::LatencyMean => match (pair, row.effect) {
                (Some([control, candidate]), _) => Some(format!(
                    "Requests are slower: typically {} instead of {}.",
                    millis(candidate),
                    millis(control)
                )),
                (None, Some(effect)) if effect.low > 0.0 => Some(format!(
                    "Requests are slower: typically {} more than those of the baseline at the same time.",
                    percent(effect.estimate)
                )),
                _ => None,
            },
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
                    if comparison.lines.events() == [0; 2] {
                        let [control, candidate] = per_event(&comparison.other_lines);
                        list.push(format!(
                            "What changed: a request has {candidate:.2} further lines instead of {control:.2}."
                        ));
                    } else {
                        let [control, candidate] = [0, 1].map(|arm| self.lines_per_trace(arm));
                        list.push(match [0, 1].map(|arm| self.lines_per_request(arm)) {
                            [Some(control_mean), Some(candidate_mean)] => format!(
                                "What changed: requests {} {candidate_mean:.1} lines or spans in all services instead of {control_mean:.1} (typically {candidate:.1} instead of {control:.1}).",
                                if candidate_mean < control_mean { "end after" } else { "have" }
                            ),
                            _ => format!(
                                "What changed: a trace has {candidate:.1} lines instead of {control:.1} (typical)."
                            ),
                        });
                    }
                }
                Behaviour::CalledServices => {
                    list.extend(pairs(&comparison.called.ranked(), "of traces call", "service"));
                }
                Behaviour::Routes => {
                    let of = format!("of {} request", self.units());
                    list.extend(pairs(&comparison.routes.ranked(), &of, "route"));
                }
                Behaviour::Templates => list.extend(self.changed_lines()),
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

    /// Lines of all services for each request of the judged one (mean), where lines name their arm: of the same traces it is no less than
    /// what is typical.
    fn lines_per_request(&self, arm: usize) -> Option<f64> {
        let totals = &self.comparison.totals;
        let lines: u64 = totals.iter().map(|of| of[arm].lines).sum();
        let requests = totals.first()?[arm].requests;
        (requests > 0).then(|| lines as f64 / requests as f64).filter(|mean| *mean >= self.lines_per_trace(arm))
    }

    /// Why there is nothing of one arm.
    fn missing_arm(&self) -> String {
        let comparison = self.comparison;
        let (arm, missing) = match comparison.missing() {
            Some(Arm::Control) => (0, &comparison.control),
            Some(Arm::Candidate) | None => (1, &comparison.candidate),
        };
        let name = harmless(missing, 60);
        let nameless = comparison.totals.first().map_or(0, |totals| totals[arm].requests);
        if nameless > 0 {
            return format!(
                "There is nothing to compare: the {} of `{name}` name no {}.",
                count(nameless, "request"),
                comparison.unit.name()
            );
        }
        if let Some((_, requests)) = self.arms_seen.iter().find(|(arm, requests)| arm == missing && *requests > 0) {
            return format!(
                "There is nothing to compare: the {} of `{name}` ended before those of the other arm began.",
                count(*requests, "request")
            );
        }
        match self.arms_seen.as_slice() {
            [(only, requests)] => format!(
                "There is nothing to compare: only `{}` was seen, {}.",
                harmless(only, 60),
                count(*requests, "request")
            ),
            seen => format!("There is nothing to compare: `{name}` was not seen. Seen: {}.", list_of_arms(seen)),
        }
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
            Flaw::CreepingShare => {
                let crossed: u64 = comparison.crossovers().iter().map(|(_, crossed)| crossed).sum();
                format!(
                    "The canary's share crept up, and {} {units} moved to it on the way: more than 5 %. They count for the baseline, \
                     which makes any difference look smaller, so nothing passes. Raise the share in steps.",
                    grouped(crossed)
                )
            }
            Flaw::UnequalCrossover => format!(
                "{units} leave the canary for the baseline more often than any assignment explains: the arms select their {units}."
            ),
            Flaw::MissingArm => self.missing_arm(),
            Flaw::UnitCoverage => format!("Requests of one arm name no {} far more often.", comparison.unit.name()),
            Flaw::LatencyCoverage => "Requests of one arm lack a latency far more often.".to_owned(),
            Flaw::StatusCoverage => "Requests of one arm lack a status far more often.".to_owned(),
            Flaw::Lateness => format!(
                "Lines of one arm come too late far more often; give a longer --lateness.{}",
                self.latest_instance().map_or(String::new(), |words| format!(" {words}."))
            ),
            Flaw::SomeLate if comparison.read.ahead > comparison.totals.first().map_or(0, |of| of.iter().map(|t| t.late).sum()) => {
                format!(
                    "{} lines lie far ahead of those beside them and are in no test, more than the error rate may rise: failures may be among them, so nothing passes. If some are in local time and name no zone, say so: --zone.",
                    grouped(comparison.read.ahead)
                )
            }
            Flaw::SomeLate => format!(
                "More lines of one arm come too late than the error rate may rise: failures may be among them, so nothing passes. Give a longer --lateness.{}",
                self.latest_instance().map_or(String::new(), |words| format!(" {words}."))
            ),
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
            Flaw::MostlyLate => {
                let read = comparison.read;
                let late = (read.late > 0).then(|| format!("{} came too late to count", grouped(read.late)));
                let ahead =
                    (read.ahead > 0).then(|| format!("{} lie far ahead of those beside them", grouped(read.ahead)));
                let what: Vec<String> = late.into_iter().chain(ahead).collect();
                format!(
                    "Of {} lines, {}: they are in no test. Most likely they are not in order of time, or some are in local time and name no zone: give each log as a file of its own, a longer --lateness, or --zone.",
                    grouped(read.events + read.ahead),
                    what.join(" and ")
                )
            }
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
            Flaw::LatencyType => {
                "The arms write latencies in different types (numbers, texts, what cannot be read).".to_owned()
            }
            Flaw::StatusType => {
                "The arms write statuses in different types (numbers, texts, what cannot be read).".to_owned()
            }
            Flaw::UnequalActivity => {
                let (requests, units) = comparison.activity();
                let [control, candidate] = [0, 1].map(|arm| requests[arm] as f64 / units[arm].max(1) as f64);
                let units = self.units();
                let last = "one of them may count a user several times. No pass before they are counted alike.";
                match comparison.strata() {
                    0 | 1 => format!(
                        "Canary {units} make {candidate:.1} requests each, those of the baseline {control:.1}: {last}"
                    ),
                    // Those of the stratum before may be meant, as long as this one has few.
                    _ => format!(
                        "The {units} of one version make far more requests each than those of the other (since the share last changed \
                         {candidate:.1} in the canary, {control:.1} in the baseline): {last}"
                    ),
                }
            }
            Flaw::UnequalSegments => self.unequal_words(),
            Flaw::UnequalCalls if !comparison.calls.differ() => {
                let [control, candidate] = comparison.calls.got_over();
                let of = |(got_over, failed): (u64, u64)| format!("{} of {}", grouped(got_over), grouped(failed));
                format!(
                    "Where a request id (or trace) has a failed request, it has an earlier or longer one that succeeded in {} cases of the canary \
                     and {} of the baseline, which makes fewer requests of one: the canary may get over what fails, such as a call inside its \
                     requests. `serin explain` shows what counts as a request; `requests_from:` or a rule for those lines helps. No pass \
                     before both are counted alike.",
                    of(candidate),
                    of(control)
                )
            }
            Flaw::UnequalCalls => {
                let [control, candidate] = comparison.calls.shares().map(percent);
                format!(
                    "One request id (or trace) is that of several requests in {candidate} of cases in the canary and {control} in the baseline: \
                     calls and other work inside requests may be counted as requests. `serin explain` shows what counts; `requests_from:` \
                     or a rule for those lines helps. No pass before both are counted alike."
                )
            }
            Flaw::OwnMeasurement => {
                let events = comparison.conversions.iter().filter(|of| of.is_broken()).map(|of| &of.name);
                let metrics = comparison.metrics.iter().filter(|of| of.is_broken()).map(|of| &of.metric.name);
                let names: Vec<String> = events.chain(metrics).map(|name| format!("`{}`", harmless(name, 40))).collect();
                format!(
                    "{} cannot be compared: in one arm more of the lines behind it name no {}, or have a value that is no number from 0 on. No pass before both arms say it alike.",
                    names.join(" and "),
                    comparison.unit.name()
                )
            }
            Flaw::StalledPartition => {
                let names: Vec<&str> = comparison.missed.streams.iter().map(String::as_str).collect();
                let (from, until) = comparison.missed.between;
                format!(
                    "From {from} to {until} this was judged without {}, which had more lines and gave none: failures may be among them, \
                     so this rollout does not pass. One that begins later is not touched.",
                    harmless(&names.join(", "), 200)
                )
            }
            Flaw::SamplingByArm => "The arms are sampled at different rates.".to_owned(),
            Flaw::SamplingByOutcome => {
                "Failed requests are sampled at another rate than others in one arm, or fewer of them were kept: error rates cannot be compared.".to_owned()
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
