//! A report: what was found, in words first.

use std::fmt::Write as _;

use crate::compare::unit_rule::Routing;
use crate::compare::verdict::{Behaviour, Cell, Finding, Flaw, Verdict};
use crate::compare::{bucket, margin, share};
use crate::engine::comparison::{Comparison, ControlFrom, Evidence};
use crate::engine::forecast::{Need, needs};
use crate::engine::latency_tests::Level;
use crate::engine::look::{LOG_PASS, Margins};
use crate::engine::pair_test::Ranked;
use crate::engine::policy::Policy;
use crate::engine::shared_units::SharedUnits;
use crate::engine::totals::Totals;
use crate::engine::units::Arm;
use crate::engine::{Engine, Settings};
use crate::event::{RejectReason, ServiceKey};
use crate::math;
use crate::pipeline::plan::{ArmRule, UnitKind};
use crate::pipeline::survey::Survey;
use crate::sketch::latency::{Histogram, bin_low, bin_middle};
use crate::sketch::partial::Tally;
use crate::time::{DAY, HOUR, MINUTE, Micros, SECOND};

use super::terminal::harmless;

/// Time without a request or exposure after which an arm is called silent.
const SILENT: Micros = 5 * MINUTE;
/// Error level of displayed intervals.
const ALPHA_SHOWN: f64 = 0.05;

/// Forecasts beyond it are no forecasts.
pub(super) const FORECAST_MAX: Micros = 90 * DAY;
/// Columns of the table of guardrails.
pub(super) const GUARDRAIL_COLUMNS: [&str; 6] =
    ["guardrail", "baseline", "canary", "difference (95 %, always valid)", "evidence", "finding"];
/// Services of one release that are listed.
const SERVICES_MAX: usize = 20;
/// ln 3: below it evidence is none to speak of.
const LOG_WEAK: f64 = 1.098_612_288_668_109_8;
/// Ratios beyond it (and below one in it) are said to be beyond: the estimate is searched only up to 10,000.
const RATIO_LIMIT: f64 = 1_000.0;

/// Everything a report says.
#[derive(Debug)]
pub(super) struct Report<'a> {
    /// The comparisons.
    pub comparisons: Vec<Judged<'a>>,
    /// Releases without a comparison.
    pub alone: Vec<Alone>,
    /// The worst verdict over all comparisons; INVALID when there is nothing to compare.
    pub verdict: Verdict,
    /// Services whose comparison has that verdict.
    pub carried_by: Vec<String>,
    /// Services of the declared release.
    pub release: &'a [String],
    /// What became of every record.
    pub tally: Tally,
    /// What the survey found; absent in a replay.
    pub survey: &'a Survey,
}

/// A release in which nothing is compared with anything.
#[derive(Debug)]
pub(super) struct Alone {
    /// The entry service.
    pub service: String,
    /// Arms that were seen, with their requests.
    pub arms: Vec<(String, u64)>,
    /// Other releases are compared, so this one is merely not rolled out.
    pub beside_others: bool,
}

impl Alone {
    /// Why, in words.
    pub(super) fn reason(&self) -> String {
        match self.arms.as_slice() {
            [] => "no line says which version or cohort it belongs to".to_owned(),
            [(arm, requests)] => format!("only `{}` was seen, {} requests", harmless(arm, 60), grouped(*requests)),
            several => format!("no arm is large enough beside the control; seen: {}", list_of_arms(several)),
        }
    }
}

/// Arms with their requests, the first twenty.
fn list_of_arms(arms: &[(String, u64)]) -> String {
    let list: Vec<String> =
        arms.iter().take(20).map(|(arm, n)| format!("{} ({})", harmless(arm, 60), grouped(*n))).collect();
    let more = if arms.len() > 20 { format!(" and {} more", arms.len() - 20) } else { String::new() };
    format!("{}{more}", list.join(", "))
}

/// One comparison, judged.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    /// The entry service.
    pub service: String,
    /// All services of the release.
    pub services: &'a [ServiceKey],
    /// State and latest look.
    pub comparison: &'a Comparison,
    /// Guardrails, in order.
    pub rows: Vec<Row>,
    /// What PASS still needs.
    pub needs: Vec<Need>,
    /// Bounds of the release and of the comparison that were met.
    pub bounds: Vec<String>,
    /// Arms that are large enough and were not compared.
    pub not_judged: Vec<String>,
    /// Other live rollouts with units in common.
    pub shared: Vec<Shared>,
    /// Lines of level warn or worse of its services that name neither a unit nor an arm.
    pub unattributed_warnings: u64,
    /// Arms that were seen at any time, with their requests.
    pub arms_seen: Vec<(String, u64)>,
    /// What it was judged by.
    pub policy: &'a Policy,
    /// How lines were read.
    pub survey: &'a Survey,
}

/// Units that another live rollout has in common with this one.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    /// Entry service and candidate of the other.
    pub service: String,
    pub candidate: String,
    /// By [arm here][arm there], each (control, candidate).
    pub units: [[u64; 2]; 2],
    /// They are a sample, one of so many.
    pub one_of: u64,
}

/// Other live rollouts that share units with the one at (release, comparison).
fn shared_with(engine: &Engine, all: &[SharedUnits], place: (usize, usize)) -> Vec<Shared> {
    all.iter()
        .filter_map(|pair| {
            let [[a, b], [c, d]] = pair.units;
            let (other, units) = match place {
                _ if place == pair.first => (pair.second, pair.units),
                _ if place == pair.second => (pair.first, [[a, c], [b, d]]),
                _ => return None,
            };
            let service = engine.releases().nth(other.0).and_then(|(services, _)| services.first())?.to_string();
            let candidate = engine.comparison(other.0, other.1)?.candidate.clone();
            Some(Shared { service, candidate, units, one_of: pair.one_of })
        })
        .collect()
}

/// One guardrail.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The cell.
    pub cell: Cell,
    /// Its name for people.
    pub name: &'static str,
    /// Value in the control and in the candidate.
    pub values: [Option<f64>; 2],
    /// Difference (of rates) or ratio, with its always-valid 95 % interval.
    pub effect: Option<Effect>,
    /// ln of the evidence against "not worse".
    pub log_e: f64,
    /// What the statistics say.
    pub finding: Finding,
    /// Units or requests of control and candidate.
    pub counts: [u64; 2],
    /// Of latency rows: the shares of requests above the frozen threshold, and the threshold in milliseconds.
    pub above: Option<([f64; 2], f64)>,
}

impl Row {
    /// The row carried a failure and would no longer: too little evidence, or an estimate on the good side.
    fn has_receded(&self) -> bool {
        self.log_e < LOG_WEAK || self.effect.is_some_and(|effect| !effect.is_worse())
    }

    /// What the finding is called for people.
    fn finding_words(&self) -> &'static str {
        match self.cell {
            _ if self.finding == Finding::Regressed && self.has_receded() => "regressed earlier",
            _ if self.finding != Finding::NoData || self.values.iter().any(Option::is_none) => self.finding.name(),
            Cell::ErrorUnits | Cell::ErrorVolume => "too few errors to test",
            _ => "too few to test",
        }
    }
}

/// Size of a difference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    /// How to read it.
    pub kind: EffectKind,
    /// Estimate.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Effect {
    /// The candidate looks worse than the control.
    fn is_worse(self) -> bool {
        match self.kind {
            EffectKind::Ratio => self.estimate > 1.0,
            EffectKind::Difference | EffectKind::Change => self.estimate > 0.0,
        }
    }

    /// The estimate is the end of the search, not a number that the data give.
    pub(super) fn is_at_limit(self) -> bool {
        self.kind == EffectKind::Ratio && (self.estimate > RATIO_LIMIT || self.estimate < 1.0 / RATIO_LIMIT)
    }
}

/// How an effect is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EffectKind {
    /// Candidate divided by control.
    Ratio,
    /// Candidate less control, of shares.
    Difference,
    /// Relative change.
    Change,
}

/// Strength of evidence in words: e is by how much the data multiply the odds against "not worse".
pub(super) fn strength(log_e: f64) -> &'static str {
    let e = math::exp(log_e.min(700.0));
    match e {
        e if e >= 10_000.0 => "decisive",
        e if e >= 1_000.0 => "very strong",
        e if e >= 100.0 => "strong",
        e if e >= 20.0 => "clear",
        e if e >= 3.0 => "weak",
        _ => "none",
    }
}

impl<'a> Report<'a> {
    /// The report of an engine that has read everything.
    pub(super) fn new(engine: &'a Engine, survey: &'a Survey) -> Report<'a> {
        let Settings { policy, .. } = engine.settings();
        let mut comparisons = Vec::new();
        let mut alone = Vec::new();
        let shared = engine.shared_units();
        for (at, (services, list)) in engine.releases().enumerate() {
            let service = services.first().map(ToString::to_string).unwrap_or_default();
            if list.is_empty() {
                alone.push(Alone { service: service.clone(), arms: engine.arms_seen(at), beside_others: false });
            }
            for (number, comparison) in list.iter().enumerate() {
                comparisons.push(Judged {
                    service: service.clone(),
                    services,
                    comparison,
                    rows: rows(comparison, policy),
                    needs: needs(comparison, policy),
                    bounds: comparison.bounds_met().into_iter().chain(engine.bounds_met(at)).collect(),
                    not_judged: engine.arms_not_judged(at),
                    shared: shared_with(engine, &shared, (at, number)),
                    unattributed_warnings: engine.unattributed_warnings(at),
                    arms_seen: engine.arms_seen(at),
                    policy,
                    survey,
                });
            }
        }
        alone.iter_mut().for_each(|alone| alone.beside_others = !comparisons.is_empty());
        let verdict = engine.verdict().unwrap_or(Verdict::Invalid);
        let mut carried_by: Vec<String> = comparisons
            .iter()
            .filter(|judged| judged.comparison.look.verdict == verdict)
            .map(|judged| judged.service.clone())
            .collect();
        carried_by.dedup();
        Report { comparisons, alone, verdict, carried_by, release: &policy.release, tally: *engine.tally(), survey }
    }

    /// For people: the verdict in words, then guardrails, checks, and what is still needed.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        if !self.release.is_empty() {
            let names = |list: &[String]| {
                list.iter().take(SERVICES_MAX).map(|name| harmless(name, 60)).collect::<Vec<_>>().join(", ")
            };
            let by = match self.carried_by.as_slice() {
                [] => "a service of it is not compared".to_owned(),
                list => format!("by {}", names(list)),
            };
            let verdict = self.verdict.name().to_uppercase();
            let _infallible = writeln!(out, "Release of {}: {verdict}, {by}\n", names(self.release));
        }
        for judged in &self.comparisons {
            judged.write(&mut out);
            out.push('\n');
        }
        for alone in &self.alone {
            let service = harmless(&alone.service, 80);
            let reason = alone.reason();
            if alone.beside_others {
                let what = if alone.arms.len() < 2 { "not rolled out" } else { "not compared" };
                let _infallible = writeln!(out, "{service}: {what} ({reason})");
                continue;
            }
            let todo = match alone.arms.len() {
                0 => "Use --arm-by FIELD, or --baseline QUERY --canary QUERY.",
                1 => "Give logs of the other arm too, or say which lines are which: --baseline QUERY --canary QUERY.",
                _ => "Name them with --control ARM --candidate ARM.",
            };
            let _infallible = writeln!(out, "{service}: INVALID");
            for line in wrap_words(&format!("There is nothing to compare: {reason}. {todo}"), 98) {
                let _infallible = writeln!(out, "  {line}");
            }
            out.push('\n');
        }
        if self.alone.iter().any(|alone| alone.beside_others) {
            out.push('\n');
        }
        if self.comparisons.is_empty() && self.alone.is_empty() {
            out.push_str("INVALID\n  There is nothing to compare: no requests were found.\n\n");
        }
        self.write_reading(&mut out);
        out
    }

    fn write_reading(&self, out: &mut String) {
        let t = &self.tally;
        let _infallible = writeln!(
            out,
            "Read {} lines: {} counted, {} late, {} rejected{}.",
            grouped(t.records),
            grouped(t.on_time),
            grouped(t.late),
            grouped(t.rejected()),
            if t.outside > 0 { format!(", {} left out as asked", grouped(t.outside)) } else { String::new() }
        );
        let reasons: Vec<String> = RejectReason::ALL
            .into_iter()
            .zip(t.rejects)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{} {}", grouped(count), reason.name().replace('_', " ")))
            .collect();
        if !reasons.is_empty() {
            let _infallible = writeln!(out, "  rejected: {} (--rejects FILE keeps them)", reasons.join(", "));
        }
        if t.late > t.on_time {
            out.push_str(
                "  most lines are late and in no test: lines are not in order of time. Give files that run side by side\n  apart from each other, or a longer --lateness.\n",
            );
        }
        let s = self.survey;
        let share = |n: u64, of: u64| if of == 0 { 0.0 } else { 100.0 * n as f64 / of as f64 };
        let roles: Vec<String> = s
            .roles
            .iter()
            .map(|role| {
                let fields: Vec<String> = role
                    .fields
                    .iter()
                    .filter(|(_, lines)| *lines > 0)
                    .map(|(field, _)| match field.unit {
                        Some(unit) => format!("{} ({})", harmless(&field.path, 60), unit.name()),
                        None => harmless(&field.path, 60),
                    })
                    .collect();
                format!("{} {} {:.0}%", role.role.name(), fields.join("+"), share(role.lines, s.lines))
            })
            .collect();
        out.push_str("Fields (share of lines that have them):\n");
        for line in wrap(&roles, 100) {
            let _infallible = writeln!(out, "  {line}");
        }
        let services: Vec<String> = s
            .services
            .iter()
            .take(20)
            .map(|(key, report)| {
                let source =
                    s.plan.sources.get(key).map(|source| format!(" from {}", source.name())).unwrap_or_default();
                format!(
                    "{} ({} requests{source}, {} spans, {} other lines in the sample)",
                    harmless(&key.to_string(), 60),
                    report.requests,
                    report.spans,
                    report.logs
                )
            })
            .collect();
        out.push_str("Services:\n");
        services.iter().for_each(|line| {
            let _infallible = writeln!(out, "  {line}");
        });
        if s.services.len() > 20 {
            let _infallible = writeln!(out, "  and {} more", s.services.len() - 20);
        }
        if !s.notes.is_empty() {
            out.push_str("Notes:\n");
            for note in &s.notes {
                for (at, line) in wrap_words(note, 98).into_iter().enumerate() {
                    let _infallible = writeln!(out, "  {} {line}", if at == 0 { "-" } else { " " });
                }
            }
        }
    }
}

/// Guardrails of a comparison.
fn rows(comparison: &Comparison, policy: &Policy) -> Vec<Row> {
    let look = &comparison.look;
    let margins = Margins::of(comparison, policy);
    Cell::ALL
        .into_iter()
        .filter(|cell| *cell != Cell::Deficit || policy.declared_share.is_some())
        .map(|cell| {
            let said = look.cell(cell);
            let mut above = None;
            let (name, values, effect, counts) = match cell {
                Cell::ErrorUnits => share_row("with errors", &comparison.error_units),
                Cell::LatencyP99Units => share_row("with a very slow request", &comparison.slow_units),
                Cell::ErrorVolume => {
                    let counts = comparison.error_volume.events();
                    let sums = comparison.error_volume.sums();
                    let values = [0, 1].map(|arm| ratio(sums[arm] as f64, counts[arm]));
                    let effect = said.has_data.then(|| difference(&comparison.error_volume, margins.errors));
                    ("errors per request", values, effect, counts)
                }
                Cell::LatencyMean => {
                    let [control, candidate] = comparison.latency.mean.stats();
                    let (low, high) = bucket::interval(&candidate, &control, margin::LATENCY_MEAN, ALPHA_SHOWN);
                    let change = |log: f64| math::exp(log) - 1.0;
                    let effect = said.has_data.then(|| Effect {
                        kind: EffectKind::Change,
                        estimate: change(candidate.mean - control.mean),
                        low: change(low),
                        high: change(high),
                    });
                    let values = [0, 1].map(|arm| typical_ms(comparison, arm));
                    ("latency, typical", values, effect, comparison.latency.mean.events())
                }
                Cell::LatencyP50 | Cell::LatencyP90 | Cell::LatencyP99 => {
                    let level = match cell {
                        Cell::LatencyP50 => Level::P50,
                        Cell::LatencyP90 => Level::P90,
                        _ => Level::P99,
                    };
                    above = shares_above(comparison, level);
                    latency_row(comparison, level, said.has_data)
                }
                Cell::Deficit => ("fewer units than declared", [None; 2], None, comparison.units()),
            };
            let finding = comparison.finding(cell);
            // Of an arm that was never seen nothing is undecided: there is nothing to decide.
            let unseen = counts.contains(&0) && cell != Cell::Deficit;
            Row {
                cell,
                name,
                values,
                effect: effect.filter(|_| said.has_data && !unseen),
                log_e: said.log_e,
                finding: if unseen && finding == Finding::Undecided { Finding::NoData } else { finding },
                counts,
                above,
            }
        })
        .collect()
}

type RowParts = (&'static str, [Option<f64>; 2], Option<Effect>, [u64; 2]);

fn share_row(name: &'static str, cell: &crate::engine::first_events::FirstEvents) -> RowParts {
    let totals = cell.totals();
    let interval = share::interval(cell.strata(), ALPHA_SHOWN);
    let effect = (totals[0].1 + totals[1].1 > 0).then_some(Effect {
        kind: EffectKind::Ratio,
        estimate: interval.estimate,
        low: interval.low,
        high: interval.high,
    });
    (name, totals.map(|(units, with)| ratio(with as f64, units)), effect, totals.map(|(units, _)| units))
}

fn latency_row(comparison: &Comparison, level: Level, has_data: bool) -> RowParts {
    let sums = &comparison.latency.above[level as usize];
    let effect = has_data.then(|| difference(sums, level.margin()));
    let name = match level {
        Level::P50 => "latency p50",
        Level::P90 => "latency p90",
        Level::P99 => "latency p99",
    };
    let values = [0, 1].map(|arm| {
        let histogram = histogram(comparison, arm)?;
        histogram.quantile_us(level.quantile()).map(|us| us / 1000.0)
    });
    (name, values, effect, sums.events())
}

/// Shares of requests above the frozen threshold, which is what is tested, and the threshold in milliseconds.
fn shares_above(comparison: &Comparison, level: Level) -> Option<([f64; 2], f64)> {
    let threshold = comparison.latency.threshold(level)?;
    let sums = &comparison.latency.above[level as usize];
    let (above, events) = (sums.sums(), sums.events());
    let [Some(control), Some(candidate)] = [0, 1].map(|arm| ratio(above[arm] as f64, events[arm])) else {
        return None;
    };
    Some(([control, candidate], bin_low(threshold + 1) as f64 / 1000.0))
}

fn difference(sums: &crate::engine::bucket_sums::BucketSums, margin: f64) -> Effect {
    let [control, candidate] = sums.stats();
    let (low, high) = bucket::interval(&candidate, &control, margin, ALPHA_SHOWN);
    Effect { kind: EffectKind::Difference, estimate: candidate.mean - control.mean, low, high }
}

fn ratio(part: f64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part / whole as f64)
}

/// Latencies of requests of the entry service under an arm (0 control, 1 candidate), when they are all there and no
/// others are: the latency test has counted the same requests.
fn histogram(comparison: &Comparison, arm: usize) -> Option<&Histogram> {
    let histogram = &comparison.totals.first()?[arm].latency;
    let tested = comparison.latency.mean.events()[arm];
    (histogram.count <= tested && histogram.count * 10 >= tested * 9).then_some(histogram)
}

/// Geometric mean in milliseconds of the requests that the latency test has counted.
fn typical_ms(comparison: &Comparison, arm: usize) -> Option<f64> {
    let sums = &comparison.latency.mean;
    let log2 = ratio(sums.sums()[arm] as f64 / 65_536.0, sums.events()[arm])?;
    Some(math::exp(log2 * core::f64::consts::LN_2) / 1000.0)
}

impl Judged<'_> {
    /// The verdict and its reasons, one sentence each.
    pub(super) fn sentences(&self) -> Vec<String> {
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
        if let Some(end) = comparison.end {
            list.push(format!("The rollout ended at {}: {}. This is its last verdict.", end.at, end.reason.words()));
        }
        list
    }

    /// What has to be true for the verdict to mean anything, where nothing in the logs can show it.
    pub(super) fn assumption(&self) -> Option<String> {
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

    /// What gave the arms, and which other fields could have.
    fn arms_words(&self) -> String {
        let plan = &self.survey.plan;
        match &plan.arms {
            ArmRule::None => "no field and no query gives them".to_owned(),
            ArmRule::Field(path) => {
                let others: Vec<String> = self
                    .survey
                    .arm_candidates
                    .iter()
                    .filter(|(other, values)| other != path && *values >= 2)
                    .map(|(other, values)| format!("`{}` ({values} values)", harmless(other, 60)))
                    .collect();
                let others = if others.is_empty() {
                    String::new()
                } else {
                    format!("; not used: {}; --arm-by FIELD takes another", others.join(", "))
                };
                format!("by field `{}`{others}", harmless(path, 60))
            }
            ArmRule::Queries { baseline, canary } => format!(
                "by queries: baseline `{}`, canary `{}`",
                harmless(baseline.source(), 100),
                harmless(canary.source(), 100)
            ),
            ArmRule::Hash { share_ppm, seed } => format!(
                "by a hash of the {}: {} into the canary, seed {}",
                plan.unit.name(),
                percent(f64::from(*share_ppm) / 1e6),
                harmless(seed, 40)
            ),
        }
    }

    fn units(&self) -> &'static str {
        if self.comparison.by_request() { UnitKind::Request.plural() } else { self.comparison.unit.plural() }
    }

    /// Name of a guardrail for people.
    fn name_of(&self, row: &Row) -> String {
        match row.cell {
            Cell::ErrorUnits | Cell::LatencyP99Units => format!("{} {}", self.units(), row.name),
            _ => row.name.to_owned(),
        }
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
    fn changes(&self) -> Vec<String> {
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
    pub(super) fn lines_per_trace(&self, arm: usize) -> f64 {
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

    fn write(&self, out: &mut String) {
        let comparison = self.comparison;
        let title = format!(
            "{}: {} against {}",
            harmless(&self.service, 60),
            harmless(&comparison.candidate, 60),
            harmless(&comparison.control, 60)
        );
        let verdict = comparison.look.verdict.name().to_uppercase();
        let _infallible = writeln!(
            out,
            "{title}{}{verdict}",
            " ".repeat(96usize.saturating_sub(title.chars().count() + verdict.len()).max(2))
        );
        for sentence in self.sentences() {
            for line in wrap_words(&sentence, 98) {
                let _infallible = writeln!(out, "  {}", harmless(&line, 200));
            }
        }
        self.write_guardrails(out);
        self.write_checks(out);
        self.write_needs(out);
        self.write_evidence(out);
        self.write_services(out);
    }

    fn write_guardrails(&self, out: &mut String) {
        out.push('\n');
        let mut table = vec![GUARDRAIL_COLUMNS.map(str::to_owned)];
        table.extend(self.guardrails());
        let width = |column: usize, least: usize| {
            table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0).max(least)
        };
        let widths = [width(0, 32), width(1, 10), width(2, 10), width(3, 31), width(4, 11)];
        for [name, control, candidate, effect, evidence, finding] in &table {
            let [a, b, c, d, e] = widths;
            let row = format!("  {name:<a$} {control:>b$} {candidate:>c$}  {effect:<d$} {evidence:<e$} {finding}");
            out.push_str(row.trim_end());
            out.push('\n');
        }
        if let Some(bin) = comparison_threshold(self.comparison) {
            let _infallible = writeln!(
                out,
                "  (very slow: above {}; latency differences are shares of requests above the first quantiles)",
                millis(bin_low(bin + 1) as f64 / 1000.0)
            );
        }
    }

    /// Guardrails for people, in the columns of [`GUARDRAIL_COLUMNS`].
    pub(super) fn guardrails(&self) -> Vec<[String; 6]> {
        let cells = |row: &Row| {
            let show = |value: Option<f64>| match (row.cell, value) {
                (_, None) => "-".to_owned(),
                (Cell::ErrorUnits | Cell::ErrorVolume | Cell::LatencyP99Units, Some(value)) => percent(value),
                (_, Some(value)) => millis(value),
            };
            let [control, candidate] = match row.cell {
                Cell::Deficit => row.counts.map(grouped),
                _ => row.values.map(show),
            };
            let effect = row.effect.map_or("-".to_owned(), |effect| show_effect(effect, row.values));
            let evidence = if row.finding == Finding::NoData { "-" } else { strength(row.log_e) };
            [self.name_of(row), control, candidate, effect, evidence.to_owned(), row.finding_words().to_owned()]
        };
        self.rows.iter().map(cells).collect()
    }

    fn write_checks(&self, out: &mut String) {
        let comparison = self.comparison;
        let look = &comparison.look;
        let [control, candidate] = comparison.units();
        let units = comparison.unit.plural();
        out.push('\n');
        let mut check = |name: &str, text: String| {
            for (at, line) in wrap_words(&text, 76).into_iter().enumerate() {
                let _infallible = writeln!(out, "  {:<22} {line}", if at == 0 { name } else { "" });
            }
        };
        let [requests_control, requests_candidate] = comparison.error_volume.events();
        check("arms", self.arms_words());
        check(
            "compared",
            format!(
                "{} and {} {units}, {} and {} requests, {} looks, {} strat{}",
                grouped(control),
                grouped(candidate),
                grouped(requests_control),
                grouped(requests_candidate),
                grouped(comparison.looks),
                comparison.strata(),
                if comparison.strata() == 1 { "um" } else { "a (its share changed, or traffic paused)" }
            ),
        );
        let in_canary = |pair: [u64; 2]| match pair[0] + pair[1] {
            0 => "-".to_owned(),
            all => percent(pair[1] as f64 / all as f64),
        };
        check(
            "traffic",
            format!(
                "{} of {units} and {} of requests are the canary's",
                in_canary(comparison.units()),
                in_canary(comparison.error_volume.events())
            ),
        );
        check(
            "sample ratio",
            match (look.sample_ratio, self.policy.declared_share) {
                (Some(log_e), Some(share)) if log_e >= crate::engine::look::LOG_BROKEN => {
                    format!(
                        "wrong: {} declared, {} seen",
                        percent(share),
                        percent(candidate as f64 / (control + candidate).max(1) as f64)
                    )
                }
                (Some(_), Some(share)) => format!("nothing against the declared {}", percent(share)),
                _ => "not checkable: no share was declared (--share)".to_owned(),
            },
        );
        check(
            "routing",
            match comparison.routing {
                _ if comparison.unit.is_once() => format!("each {} counts by itself", comparison.unit.name()),
                Routing::Undecided => format!("not known yet whether {units} stick to their arm; a pass waits for it"),
                Routing::Sticky => format!("{units} stick to their arm"),
                Routing::PerRequest => "requests are routed one by one, so requests are the unit".to_owned(),
                Routing::Mixed => format!("mixed: some {units} stick to their arm, some do not"),
            },
        );
        let crossed: u64 = comparison.crossovers().iter().map(|(_, crossed)| crossed).sum();
        if crossed > 0 && comparison.routing == Routing::Sticky {
            check(
                "crossover",
                format!(
                    "{} {units} were in both arms ({})",
                    grouped(crossed),
                    percent(crossed as f64 / (control + candidate).max(1) as f64)
                ),
            );
        }
        let measurement: Vec<String> = look.flaws.iter().map(|flaw| flaw.name().replace('_', " ")).collect();
        check(
            "measurement",
            if measurement.is_empty() { "both arms are measured alike".to_owned() } else { measurement.join(", ") },
        );
        let changed: Vec<&str> = look.changed_groups().map(Behaviour::name).collect();
        for (name, until) in [&comparison.control, &comparison.candidate].into_iter().zip(comparison.active_until) {
            if let Some(until) = until
                && comparison.ended_at.0 - until.0 >= SILENT
            {
                check(
                    "silent",
                    format!("`{}` since {until}, for {}", harmless(name, 60), span(comparison.ended_at.0 - until.0)),
                );
            }
        }
        check(
            "control",
            format!("`{}`: {}", harmless(&comparison.control, 60), control_words(comparison.control_from)),
        );
        check(
            "behaviour",
            if changed.is_empty() {
                "no change found in lines of a trace, calls, routes, statuses, retries, speed, warnings that name a unit".to_owned()
            } else {
                format!("changed: {}", changed.join(", ").replace('_', " "))
            },
        );
        let pair = |name: &'static str, what: &str, counts: [u64; 2], of: [u64; 2]| {
            let side = |arm: usize| match of[arm] {
                0 => grouped(counts[arm]),
                all => format!("{} ({})", grouped(counts[arm]), percent(counts[arm] as f64 / all as f64)),
            };
            (counts != [0; 2]).then(|| (name, format!("{} {what} of the baseline, {} of the canary", side(0), side(1))))
        };
        if let Some(entry) = comparison.totals.first() {
            let of = |count: fn(&Totals) -> u64| [count(&entry[0]), count(&entry[1])];
            let requests = of(|t| t.requests);
            let unit = comparison.unit.name();
            let named = format!("requests without a {unit}");
            let without_unit = pair("without a unit", &named, of(|t| t.without_unit), requests);
            let late = pair("late", "lines", of(|t| t.late), of(|t| t.lines + t.late));
            [without_unit, late].into_iter().flatten().for_each(|(name, text)| check(name, text));
        }
        if comparison.unassigned > 0 {
            check(
                "without an arm",
                format!("{} requests of {units} that no exposure names", grouped(comparison.unassigned)),
            );
        }
        let [control, candidate] = comparison.recovered;
        if control + candidate > 0 {
            let [a, b] = comparison.error_volume.events();
            check(
                "recovered by retry",
                format!(
                    "{} of the baseline's requests, {} of the canary's",
                    percent(control as f64 / a.max(1) as f64),
                    percent(candidate as f64 / b.max(1) as f64)
                ),
            );
        }
        for Shared { service, candidate, units: [[cc, ck], [kc, kk]], one_of } in &self.shared {
            let sample = if *one_of > 1 { format!(" (a sample, one of {one_of})") } else { String::new() };
            check(
                "another rollout",
                format!(
                    "`{}` of {} shares {units}{sample}: of the baseline's here {} are in its baseline and {} in its canary, of the canary's {} and {}",
                    harmless(candidate, 60),
                    harmless(service, 60),
                    grouped(*cc),
                    grouped(*ck),
                    grouped(*kc),
                    grouped(*kk)
                ),
            );
        }
        if self.unattributed_warnings > 0 {
            check(
                "unattributed",
                format!(
                    "{} lines of level warn or worse name neither a {} nor an arm: they count for neither",
                    grouped(self.unattributed_warnings),
                    comparison.unit.name()
                ),
            );
        }
        if !self.bounds.is_empty() {
            check("bounds met", self.bounds.join("; "));
        }
        if !self.not_judged.is_empty() {
            let names: Vec<String> = self.not_judged.iter().take(20).map(|name| harmless(name, 40)).collect();
            check(
                "not compared",
                format!(
                    "{} more arms, the control has as many candidates as it may: {}. Name those that matter: --candidate ARM",
                    self.not_judged.len(),
                    names.join(", ")
                ),
            );
        }
        check(
            "small latency shifts",
            "not found: there is no history of this service to compare users with themselves".to_owned(),
        );
    }

    fn write_needs(&self, out: &mut String) {
        if self.comparison.look.verdict != Verdict::Inconclusive || self.needs.is_empty() {
            return;
        }
        out.push_str("\n  still needed for a pass, at this traffic\n");
        for need in &self.needs {
            let name = self.rows.iter().find(|row| row.cell == need.cell).map_or("", |row| row.name);
            let name = if need.cell == Cell::ErrorUnits { format!("{} {name}", self.units()) } else { name.to_owned() };
            let of = if need.cell == Cell::ErrorUnits {
                format!("erring {}", self.units())
            } else {
                "canary requests".to_owned()
            };
            let evidence = self.comparison.look.cell(need.cell).log_pass.max(0.0) / LOG_PASS;
            let text = need_words(need, &of, evidence, self.units(), self.comparison.error_volume.events()[1]);
            let _infallible = writeln!(out, "    {name:<32} {text}");
        }
    }

    fn write_evidence(&self, out: &mut String) {
        if self.comparison.look.verdict != Verdict::Fail {
            return;
        }
        let slow = !self
            .rows
            .iter()
            .any(|row| row.finding == Finding::Regressed && matches!(row.cell, Cell::ErrorUnits | Cell::ErrorVolume));
        let lines: Vec<&Evidence> =
            self.comparison.evidence[1].iter().filter(|line| line.slow == slow).take(3).collect();
        if lines.is_empty() {
            return;
        }
        out.push_str("\n  lines to look at (canary)\n");
        for line in lines {
            let latency = if line.latency > 0 { millis(bin_middle(line.latency - 1) / 1000.0) } else { "-".to_owned() };
            let status = if line.status_class > 0 { format!("{}xx", line.status_class) } else { "-".to_owned() };
            let _infallible = writeln!(
                out,
                "    {} at byte {}  {}  {status}  {latency}  {}",
                harmless(&line.stream, 60),
                line.offset,
                line.time,
                harmless(&line.route, 60)
            );
        }
    }

    fn write_services(&self, out: &mut String) {
        let mut table = vec![
            [
                "services of this release",
                "",
                "requests",
                "failed",
                "4xx",
                "error lines",
                "warn lines",
                "lines",
                "spans",
                "events",
                "p50",
                "p99",
            ]
            .map(str::to_owned),
        ];
        let seen = self.services.iter().zip(&self.comparison.totals).filter(|(_, [a, b])| a.lines + b.lines > 0);
        for (key, pair) in seen.clone().take(SERVICES_MAX) {
            for (at, (arm, totals)) in ["baseline", "canary"].into_iter().zip(pair).enumerate() {
                let done = Done::of(totals);
                let share = |value: Option<f64>| value.map_or("-".to_owned(), percent);
                let each = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
                let time = |value: Option<f64>| value.map_or("-".to_owned(), millis);
                let count = match (totals.requests, totals.spans) {
                    (0, spans @ 1..) => format!("{} spans", grouped(spans)),
                    (requests, _) => grouped(requests),
                };
                table.push([
                    if at == 0 { harmless(&key.to_string(), 40) } else { String::new() },
                    arm.to_owned(),
                    count,
                    share(done.failed),
                    share(done.status_4xx),
                    each(done.error_lines),
                    each(done.warn_lines),
                    each(done.lines),
                    each(done.spans),
                    each(done.business),
                    time(done.p50_ms),
                    time(done.p99_ms),
                ]);
            }
        }
        let widths: Vec<usize> =
            (0..12).map(|column| table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0)).collect();
        out.push('\n');
        for cells in &table {
            let mut line = String::from(" ");
            for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                match at {
                    0 | 1 => line.push_str(&format!(" {cell:<width$}")),
                    _ => line.push_str(&format!("  {cell:>width$}")),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out.push_str("  (lines, spans and business events a request, or a span where there are no requests; of lines that name their arm");
        out.push_str(if self.services.len() > 1 { "; only the first service is judged)\n" } else { ")\n" });
        if seen.clone().count() > SERVICES_MAX {
            let _infallible = writeln!(out, "  and {} more services", seen.count() - SERVICES_MAX);
        }
    }
}

/// What a service did under one arm, by request: by span where it has no requests.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Done {
    /// Share of requests that failed.
    pub failed: Option<f64>,
    /// Share of requests with a status from 400 to 499, of those with a status.
    pub status_4xx: Option<f64>,
    /// Lines of level error or worse.
    pub error_lines: Option<f64>,
    /// Lines of level warn.
    pub warn_lines: Option<f64>,
    /// Lines.
    pub lines: Option<f64>,
    /// Spans; none where these are what is counted by.
    pub spans: Option<f64>,
    /// Business events.
    pub business: Option<f64>,
    /// Median latency in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds.
    pub p99_ms: Option<f64>,
}

impl Done {
    /// From the sums of a service under an arm.
    pub(super) fn of(totals: &Totals) -> Done {
        let by = if totals.requests > 0 { totals.requests } else { totals.spans };
        let each = |count: u64| ratio(count as f64, by);
        let quantile = |share: f64| totals.shown_latency().quantile_us(share).map(|us| us / 1000.0);
        let [_, with_status @ ..] = totals.status;
        Done {
            failed: ratio(totals.errors as f64, totals.requests),
            status_4xx: ratio(totals.status[4] as f64, with_status.iter().sum()),
            error_lines: each(totals.error_lines),
            warn_lines: each(totals.warn_lines),
            lines: each(totals.lines),
            spans: ratio(totals.spans as f64, totals.requests),
            business: each(totals.business),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
        }
    }
}

/// What one guardrail still needs. `of`: of what; `evidence`: the part that there is; `requests`: of the canary.
fn need_words(need: &Need, of: &str, evidence: f64, units: &str, requests: u64) -> String {
    match need.time {
        Some(time) if time > FORECAST_MAX => "more than 90 days".to_owned(),
        Some(time) if need.needed > need.have => {
            format!("about {} more {of}, {}", grouped((need.needed - need.have).ceil() as u64), span(time))
        }
        Some(_) => format!(
            "evidence is {:.0} % of what is asked, with traffic enough for equal arms: either a small difference is there, or {units} differ too much",
            evidence * 100.0
        ),
        None if need.have == 0.0 && (need.cell == Cell::ErrorUnits || requests == 0) => {
            format!("there are no {of} yet")
        }
        None => "cannot be told yet: there are too few requests".to_owned(),
    }
}

fn comparison_threshold(comparison: &Comparison) -> Option<u16> {
    comparison.latency.threshold(Level::P99)
}

/// How it is known which arm is the old code.
fn control_words(from: ControlFrom) -> &'static str {
    match from {
        ControlFrom::Named => "as you said",
        ControlFrom::Label => "by its name",
        ControlFrom::ServedBefore => "it served before the candidate was first seen",
        ControlFrom::OlderVersion => "the older version; both were there from the beginning",
        ControlFrom::Guess => "a guess",
    }
}

/// Sum for each event of (control, candidate).
fn per_event(sums: &crate::engine::bucket_sums::BucketSums) -> [f64; 2] {
    let (events, totals) = (sums.events(), sums.sums());
    [0, 1].map(|arm| totals[arm] as f64 / events[arm].max(1) as f64)
}

fn rates(sums: &crate::engine::bucket_sums::BucketSums, what: &str) -> String {
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

/// A difference with its interval. `values`: of control and candidate.
fn show_effect(effect: Effect, values: [Option<f64>; 2]) -> String {
    let bound = |value: f64, show: &dyn Fn(f64) -> String| if value.is_finite() { show(value) } else { "?".to_owned() };
    match effect.kind {
        EffectKind::Ratio => {
            let show = |value: f64| match value {
                value if value > RATIO_LIMIT => "> 1,000x".to_owned(),
                value => format!("{}x", times(value)),
            };
            let has_none = |arm: usize| values[arm] == Some(0.0);
            match effect.is_at_limit() {
                true if has_none(0) && effect.low > 1.0 => {
                    format!("only the canary has them (at least {})", show(effect.low))
                }
                true if has_none(0) => "only the canary has them".to_owned(),
                true if has_none(1) && effect.high < 1.0 => {
                    format!("only the baseline has them (at most {})", show(effect.high))
                }
                true if has_none(1) => "only the baseline has them".to_owned(),
                _ => format!("{} ({} to {})", show(effect.estimate), show(effect.low), bound(effect.high, &show)),
            }
        }
        EffectKind::Difference => {
            let show = |value: f64| format!("{:+.2}", value * 100.0);
            format!("{} pp ({} to {})", show(effect.estimate), bound(effect.low, &show), bound(effect.high, &show))
        }
        EffectKind::Change => {
            let show = |value: f64| format!("{:+.1}", value * 100.0);
            format!("{} % ({} to {})", show(effect.estimate), bound(effect.low, &show), bound(effect.high, &show))
        }
    }
}

/// How many times as many.
fn times(ratio: f64) -> String {
    if ratio >= 100.0 { format!("{ratio:.0}") } else { format!("{ratio:.2}") }
}

/// A share in per cent with three significant digits or so.
pub(super) fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value != 0.0 && value.abs() < 0.1 {
        format!("{value:.3} %")
    } else if value.abs() < 10.0 {
        format!("{value:.2} %")
    } else {
        format!("{value:.1} %")
    }
}

/// A latency given in milliseconds.
pub(super) fn millis(ms: f64) -> String {
    if ms >= 10_000.0 {
        format!("{:.1} s", ms / 1000.0)
    } else if ms >= 100.0 {
        format!("{ms:.0} ms")
    } else if ms >= 1.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.2} ms")
    }
}

/// A length of time in words.
pub(super) fn span(time: Micros) -> String {
    let days = 24 * HOUR;
    if time >= 2 * days {
        format!("{:.1} days", time as f64 / days as f64)
    } else if time >= HOUR {
        format!("{} h {} min", time / HOUR, time % HOUR / MINUTE)
    } else if time >= MINUTE {
        format!("{} min {} s", time / MINUTE, time % MINUTE / SECOND)
    } else {
        format!("{} s", time / SECOND)
    }
}

/// A count with thin groups of three.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Joins items into lines of at most `most` characters.
fn wrap(items: &[String], most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(line) if line.chars().count() + item.chars().count() + 3 <= most => {
                line.push_str(" \u{b7} ");
                line.push_str(item);
            }
            _ => lines.push(item.clone()),
        }
    }
    lines
}

/// Breaks a sentence into lines of at most `most` characters.
pub(super) fn wrap_words(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(percent(0.0123), "1.23 %");
        assert_eq!(percent(0.0005), "0.050 %");
        assert_eq!(percent(0.5), "50.0 %");
        assert_eq!(millis(0.5), "0.50 ms");
        assert_eq!(millis(1234.0), "1234 ms");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(span(90 * SECOND), "1 min 30 s");
        assert_eq!(span(26 * HOUR), "26 h 0 min");
    }

    fn ratio_of(estimate: f64, low: f64, high: f64) -> Effect {
        Effect { kind: EffectKind::Ratio, estimate, low, high }
    }

    #[test]
    fn a_ratio_at_the_end_of_the_search_is_no_number() {
        let shown =
            |effect: Effect, control: f64, candidate: f64| show_effect(effect, [Some(control), Some(candidate)]);
        assert_eq!(shown(ratio_of(1.5, 1.1, 2.0), 0.1, 0.15), "1.50x (1.10x to 2.00x)");
        assert_eq!(
            shown(ratio_of(9_999.9, 259.4, f64::INFINITY), 0.0, 0.3),
            "only the canary has them (at least 259x)"
        );
        assert_eq!(shown(ratio_of(9_999.9, 0.5, f64::INFINITY), 0.0, 0.001), "only the canary has them");
        assert_eq!(shown(ratio_of(9_999.9, 2.0, f64::INFINITY), 0.000_1, 0.001), "> 1,000x (2.00x to ?)");
        assert_eq!(shown(ratio_of(0.000_1, 0.0, 0.9), 0.01, 0.0), "only the baseline has them (at most 0.90x)");
    }

    #[test]
    fn a_forecast_is_never_nonsense() {
        let said = |cell: Cell, needed: f64, have: f64, time: Option<Micros>, requests: u64| {
            need_words(&Need { cell, needed, have, time }, "canary requests", 0.5, "users", requests)
        };
        assert_eq!(said(Cell::LatencyP90, 4.8e8, 3.0, Some(4_037 * DAY), 9), "more than 90 days");
        assert_eq!(
            said(Cell::LatencyP90, 300.0, 100.0, Some(90 * SECOND), 100),
            "about 200 more canary requests, 1 min 30 s"
        );
        assert_eq!(said(Cell::LatencyP99, 1_000.0, 0.0, None, 0), "there are no canary requests yet");
        assert_eq!(
            said(Cell::LatencyP99, 1_000.0, 0.0, None, 107),
            "cannot be told yet: there are too few requests",
            "they freeze no threshold, but they are there"
        );
    }

    #[test]
    fn what_has_receded_is_known() {
        let row = |log_e: f64, effect: Option<Effect>| Row {
            cell: Cell::ErrorUnits,
            name: "with errors",
            values: [Some(0.1), Some(0.2)],
            effect,
            log_e,
            finding: Finding::Regressed,
            counts: [10, 10],
            above: None,
        };
        assert!(!row(9.0, Some(ratio_of(2.0, 1.5, 3.0))).has_receded());
        assert!(row(1.0, Some(ratio_of(2.0, 0.5, 3.0))).has_receded(), "e below 3");
        assert!(row(9.0, Some(ratio_of(0.9, 0.5, 3.0))).has_receded(), "fewer than in the baseline");
        let no_data = |cell: Cell, values: [Option<f64>; 2]| {
            Row { cell, values, finding: Finding::NoData, ..row(0.0, None) }.finding_words()
        };
        assert_eq!(no_data(Cell::ErrorVolume, [Some(0.0), Some(0.008)]), "too few errors to test");
        assert_eq!(no_data(Cell::LatencyP99, [Some(1.0), Some(2.0)]), "too few to test");
        assert_eq!(no_data(Cell::LatencyP99, [Some(1.0), None]), "no data");
    }

    #[test]
    fn strength_of_evidence_follows_the_documented_scale() {
        for (e, word) in [
            (1.0, "none"),
            (3.5, "weak"),
            (20.5, "clear"),
            (101.0, "strong"),
            (1001.0, "very strong"),
            (1e5, "decisive"),
        ] {
            assert_eq!(strength(math::ln(e)), word);
        }
    }
}
