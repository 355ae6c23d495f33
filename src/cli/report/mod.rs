//! A report: what was found, in words first.

mod ages;
mod checks;
mod conversions;
mod cut_overs;
mod guardrails;
mod limits;
mod markdown;
mod metrics;
mod next;
mod noticed;
mod overlaps;
pub(super) mod queries;
mod reading;
mod segments;
mod sentences;
mod services;
pub(super) mod templates;
mod text;

use std::fmt::Write as _;

pub(super) use self::conversions::ConversionRow;
pub(super) use self::guardrails::{Effect, EffectKind, Row, rows, show_effect, strength};
pub(super) use self::markdown::of_text as markdown_of_text;
pub(super) use self::metrics::MetricRow;
pub(super) use self::next::FORECAST_MAX;
pub(super) use self::noticed::Noticed;
use self::noticed::{Crashes, OfKafka};
pub(super) use self::overlaps::{Beside, OVERLAP_COLUMNS};
use self::reading::OTHER_ENVIRONMENT;
pub(super) use self::reading::{fates, rejects};
pub(super) use self::segments::{SEGMENT_COLUMNS, SegmentRow, SegmentRows};
pub(super) use self::services::Done;
use self::services::SERVICES_MAX;
pub(super) use self::text::{count, grouped, millis, percent, span, wrap_words};
use super::terminal::harmless;
use crate::backtest::Deploy;
use crate::compare::lists;
use crate::compare::verdict::{Cell, Verdict};
use crate::engine::Engine;
use crate::engine::comparison::Comparison;
use crate::engine::forecast::{Need, needs};
use crate::engine::policy::Policy;
use crate::engine::shared_units::SharedUnits;
use crate::event::ServiceKey;
use crate::pipeline::plan::{ArmRule, UnitKind};
use crate::pipeline::roles::Role;
use crate::pipeline::survey::Survey;
use crate::sketch::partial::Tally;
use crate::time::{MINUTE, Micros};

/// Time without a request or exposure after which an arm is called silent.
const SILENT: Micros = 5 * MINUTE;
/// Requests from which an arm that is too small has few units, and not few requests.
const MANY_REQUESTS: u64 = 100;
/// Columns of running text.
const WIDTH: usize = 98;
/// What a reader must see first comes first.
const WORST_FIRST: [Verdict; 4] = [Verdict::Fail, Verdict::Invalid, Verdict::Inconclusive, Verdict::Pass];

/// Everything a report says.
#[derive(Debug)]
pub(super) struct Report<'a> {
    /// The comparisons.
    pub comparisons: Vec<Judged<'a>>,
    /// Releases without a comparison.
    pub alone: Vec<Alone<'a>>,
    /// Services with requests that the plan did not see, which are not judged.
    pub unplanned: Vec<(ServiceKey, u64)>,
    /// Fields of known names that the plan does not read and the first lines did not show: path, role, lines.
    pub unread: Vec<(String, Role, u64)>,
    /// Bodies that most likely were sent again over HTTP, and their lines.
    pub repeats: (u64, u64),
    /// Records of topics by what they were read as, those that were deleted before they were read, and partitions whose topic was made
    /// anew.
    pub kafka: OfKafka,
    /// Lines that say that a program died, by stream, with the arm where the stream has only one.
    pub crashes: Vec<Crashes>,
    /// The worst verdict over all comparisons; INVALID when there is nothing to compare.
    pub verdict: Verdict,
    /// Services whose comparison has that verdict.
    pub carried_by: Vec<String>,
    /// Versions that replaced others at once: before and after are told, and are no verdict.
    pub cut_overs: Vec<Deploy>,
    /// Services of the declared release.
    pub release: &'a [String],
    /// Those of them that are not compared, and why.
    pub not_compared: Vec<(String, String)>,
    /// Services that carry the same new version together, though nobody said so.
    pub found_releases: Vec<FoundRelease>,
    /// What became of every record.
    pub tally: Tally,
    /// What the survey found; absent in a replay.
    pub survey: &'a Survey,
}

/// A release in which nothing is compared with anything.
#[derive(Debug)]
pub(super) struct Alone<'a> {
    /// The entry service.
    pub service: String,
    /// Arms that were seen, with their requests.
    pub arms: Vec<(String, u64)>,
    /// Other releases are compared, so this one is merely not rolled out.
    pub beside_others: bool,
    /// What gives the arms.
    rule: &'a ArmRule,
    /// Candidates that were named and are not among the arms.
    unseen: Vec<&'a str>,
    /// The service is in another environment too.
    elsewhere: bool,
    /// Services of the release that have several arms among the first lines: theirs could be compared.
    inner: Vec<(String, Vec<String>)>,
    /// What the units are.
    unit: UnitKind,
    /// Lines of all logs that came too late to count.
    late: u64,
    /// Arms most of whose requests name no unit, with their number.
    without_unit: Vec<(String, u64)>,
}

impl Alone<'_> {
    /// Why, in words.
    pub(super) fn reason(&self) -> String {
        match (self.arms.as_slice(), self.rule) {
            ([], ArmRule::Queries { .. }) => "no request matches --baseline, and none matches --canary".to_owned(),
            ([], ArmRule::None | ArmRule::Field(_) | ArmRule::PodTemplate { .. } | ArmRule::Hash { .. }) => {
                "no request says which version or cohort it belongs to".to_owned()
            }
            ([(arm, requests)], _) => {
                let inner = self.inner.iter().take(4).map(|(service, arms)| {
                    let arms: Vec<String> = arms.iter().take(4).map(|arm| harmless(arm, 40)).collect();
                    let service = harmless(service, 60);
                    format!(
                        "; `{service}`, which it calls or is called by, has {}: --service {service} compares those",
                        arms.join(" and ")
                    )
                });
                let seen = format!("only `{}` was seen, {}", harmless(arm, 60), count(*requests, "request"));
                seen + &inner.collect::<String>()
            }
            (several, _) if !self.unseen.is_empty() => {
                let unseen: Vec<String> = self.unseen.iter().map(|arm| format!("`{}`", harmless(arm, 60))).collect();
                format!("{} was not seen; seen: {}", unseen.join(" or "), list_of_arms(several))
            }
            (several, _) => {
                let unnamed = self.without_unit.iter().map(|(arm, requests)| {
                    format!("; {} of `{}` name no {}", count(*requests, "request"), harmless(arm, 60), self.unit.name())
                });
                format!(
                    "no arm is large enough beside the control; seen: {}{}",
                    list_of_arms(several),
                    unnamed.collect::<String>()
                )
            }
        }
    }

    /// What to do about it.
    fn remedy(&self) -> &'static str {
        if self.arms.len() > 1 && self.unseen.is_empty() && !self.without_unit.is_empty() {
            return "An arm is as large as its units: name them on the requests of every arm, name another unit that both \
                    arms have (--unit, or --role user=FIELD), or count each request by itself (--unit request).";
        }
        if self.arms.len() == 1 && self.elsewhere {
            return OTHER_ENVIRONMENT;
        }
        // The clock of one arm may be behind that of the other.
        let requests: u64 = self.arms.iter().map(|(_, requests)| *requests).sum();
        if self.late > 0 && self.late * 20 > requests {
            return "Many lines came too late to count (see below): the other arm may be among them. Give logs that run side by \
                    side apart from each other, or a longer --lateness.";
        }
        match (self.arms.len(), self.rule) {
            (0, ArmRule::Queries { .. }) => "Look at a line, and write queries that match the lines of each arm.",
            (0, ArmRule::None | ArmRule::Field(_) | ArmRule::PodTemplate { .. } | ArmRule::Hash { .. }) => {
                "Use --arm-by FIELD, or --baseline QUERY --canary QUERY."
            }
            (1, _) => "Give logs of the other arm too, or say which lines are which: --baseline QUERY --canary QUERY.",
            _ if self.arms.iter().all(|(_, requests)| *requests >= MANY_REQUESTS) => {
                "An arm is as large as its units. If these are few (the address of a load balancer, one user for all), name \
                 another (--unit, or --role user=FIELD), or count each request by itself (--unit request). To compare these \
                 arms all the same: --control ARM --candidate ARM."
            }
            _ => "Name them with --control ARM --candidate ARM.",
        }
    }

    fn write(&self, out: &mut String) {
        let (service, reason) = (harmless(&self.service, 80), self.reason());
        if self.beside_others {
            let what = if self.arms.len() < 2 { "not rolled out" } else { "not compared" };
            let _infallible = writeln!(out, "{service}: {what} ({reason})");
            return;
        }
        let _infallible = writeln!(out, "INVALID  {service}: there is nothing to compare");
        paragraph(out, &format!("{}. {}", capitalised(&reason), self.remedy()));
        out.push('\n');
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
    /// The candidate replaced the control at once.
    pub replaced: Option<Deploy>,
    /// Guardrails, in order.
    pub rows: Vec<Row>,
    /// Business events that may not become rarer.
    pub conversions: Vec<ConversionRow>,
    /// Metrics of one's own.
    pub metrics: Vec<MetricRow>,
    /// Segments, those that explain most first.
    pub segments: SegmentRows,
    /// What PASS still needs.
    pub needs: Vec<Need>,
    /// Bounds of the release and of the comparison that were met.
    pub bounds: Vec<String>,
    /// Event time before the rollout from which it is known what is usual for each unit.
    pub history: Option<Micros>,
    /// Arms that are large enough and were not compared.
    pub not_judged: Vec<String>,
    /// Other live rollouts with units in common.
    pub shared: Vec<Shared>,
    /// Other rollouts that ran at the same time, and what failed where both lie across each other.
    pub beside: Vec<Beside>,
    /// Somebody is to be told: among all rollouts that were discovered in its day, this one stands out. `None` where somebody
    /// said which arm is which.
    pub notified: Option<bool>,
    /// Lines of level warn or worse of its services that name neither a unit nor an arm.
    pub unattributed_warnings: u64,
    /// Arms that were seen at any time, with their requests.
    pub arms_seen: Vec<(String, u64)>,
    /// What it was judged by.
    pub policy: &'a Policy,
    /// How lines were read.
    pub survey: &'a Survey,
}

/// Services that carry the same candidate together.
#[derive(Clone, Debug)]
pub(super) struct FoundRelease {
    pub candidate: String,
    pub services: Vec<String>,
    /// The worst verdict of its services.
    pub verdict: Verdict,
    /// Those that have it.
    pub carried_by: Vec<String>,
}

/// Releases of several services that nobody declared.
fn found_releases(engine: &Engine) -> Vec<FoundRelease> {
    let name = |release: usize| {
        let entry = engine.releases().nth(release).and_then(|(services, _)| services.first());
        entry.map(ToString::to_string).unwrap_or_default()
    };
    let one = |group: Vec<(usize, usize)>| {
        let of = |(release, number): &(usize, usize)| Some((name(*release), engine.comparison(*release, *number)?));
        let compared: Vec<(String, &Comparison)> = group.iter().filter_map(of).collect();
        let has = |verdict: &Verdict| compared.iter().any(|(_, comparison)| comparison.look.verdict == *verdict);
        let verdict = WORST_FIRST.into_iter().find(has)?;
        let carried_by = compared.iter().filter(|(_, comparison)| comparison.look.verdict == verdict);
        Some(FoundRelease {
            candidate: compared.first()?.1.candidate.clone(),
            services: compared.iter().map(|(service, _)| service.clone()).collect(),
            verdict,
            carried_by: carried_by.map(|(service, _)| service.clone()).collect(),
        })
    };
    engine.found_releases().into_iter().filter_map(one).collect()
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

/// A release without a comparison.
fn alone_of<'a>(engine: &'a Engine, at: usize, survey: &'a Survey) -> Alone<'a> {
    let service = engine.releases().nth(at).and_then(|(services, _)| services.first());
    let arms = engine.arms_seen(at);
    let named = engine.settings().arms.candidates.iter().map(String::as_str);
    let unseen = named.filter(|name| arms.iter().all(|(arm, _)| arm != name)).collect();
    let unit = engine.settings().unit;
    let mut without_unit = engine.arms_without_unit(at);
    let requests_of = |name: &String| arms.iter().find(|(arm, _)| arm == name).map_or(0, |(_, requests)| *requests);
    without_unit.retain(|(arm, unnamed)| *unnamed > 0 && *unnamed * 2 > requests_of(arm));
    let mut known = survey.services.keys();
    let elsewhere =
        service.is_some_and(|key| known.any(|of| of.service == key.service && of.environment != key.environment));
    let of_release = engine.releases().nth(at).map_or(&[][..], |(services, _)| services);
    let inner = of_release.iter().skip(1).filter_map(|key| {
        let arms = &survey.services.get(&key.without_cell())?.arms;
        (arms.len() > 1).then(|| (key.service.clone(), arms.keys().cloned().collect()))
    });
    let inner = inner.collect();
    Alone {
        inner,
        elsewhere,
        unit,
        late: engine.tally().late,
        without_unit,
        service: service.map(ToString::to_string).unwrap_or_default(),
        arms,
        beside_others: false,
        rule: &survey.plan.arms,
        unseen,
    }
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

impl<'a> Report<'a> {
    /// The report of an engine that has read everything.
    pub(super) fn new(engine: &'a Engine, survey: &'a Survey, noticed: &Noticed) -> Report<'a> {
        let mut comparisons = Vec::new();
        let mut alone = Vec::new();
        let shared = engine.shared_units();
        let cut_overs = noticed.cut_overs(engine);
        for (at, (services, list)) in engine.releases().enumerate() {
            let service = services.first().map(ToString::to_string).unwrap_or_default();
            let policy = engine.settings().policy.of(services.first());
            // Where every line names its cell, the service as a whole has none.
            let is_in_cells = services.first().is_some_and(|of| of.cell.is_empty() && engine.is_cut(of));
            if list.is_empty() && !(is_in_cells && engine.arms_seen(at).is_empty()) {
                alone.push(alone_of(engine, at, survey));
            }
            for (number, comparison) in list.numbered() {
                let replaced = cut_overs.iter().find(|deploy| {
                    deploy.service == service && deploy.from == comparison.control && deploy.to == comparison.candidate
                });
                comparisons.push(Judged {
                    service: service.clone(),
                    replaced: replaced.cloned(),
                    services,
                    comparison,
                    rows: rows(comparison, policy),
                    conversions: conversions::rows(comparison),
                    metrics: metrics::rows(comparison),
                    segments: segments::rows(comparison),
                    // What is over passes no more.
                    needs: if comparison.end.is_none() { needs(comparison, policy) } else { Vec::new() },
                    bounds: comparison.bounds_met().into_iter().chain(engine.bounds_met(at)).collect(),
                    history: comparison.latency.effects().map(|effects| effects.history),
                    not_judged: engine.arms_not_judged(at),
                    shared: shared_with(engine, &shared, (at, number)),
                    beside: overlaps::beside(engine, (at, number)),
                    notified: engine.is_notified(at, number),
                    unattributed_warnings: engine.unattributed_warnings(at),
                    arms_seen: engine.arms_seen(at),
                    policy,
                    survey,
                });
            }
        }
        alone.iter_mut().for_each(|alone| alone.beside_others = !comparisons.is_empty());
        let verdict = engine.verdict().unwrap_or(Verdict::Invalid);
        // Who asks for one service knows that others are there.
        let others = engine.unplanned().iter().filter(|_| survey.plan.service.is_none());
        let unplanned = others.map(|(key, requests)| (key.clone(), *requests)).collect();
        let mut carried_by: Vec<String> = comparisons
            .iter()
            .filter(|judged| judged.comparison.look.verdict == verdict)
            .map(|judged| judged.service.clone())
            .collect();
        carried_by.dedup();
        let (release, tally) = (&engine.settings().policy.release, *engine.tally());
        let found_releases = if release.is_empty() { found_releases(engine) } else { Vec::new() };
        let not_compared = engine.not_compared().into_iter().map(|(key, of)| {
            let arms = of.map(|at| alone_of(engine, at, survey));
            let why = arms.map_or_else(
                || match engine.unplanned().get(&key) {
                    Some(_) => "the first lines did not show it".to_owned(),
                    None => "nothing of it was seen".to_owned(),
                },
                |alone| alone.reason(),
            );
            (key.to_string(), why)
        });
        let not_compared = not_compared.collect();
        Report {
            comparisons,
            alone,
            unplanned,
            unread: noticed.roles(survey),
            repeats: noticed.repeats,
            kafka: noticed.kafka.clone(),
            crashes: noticed.crashed(),
            verdict,
            carried_by,
            cut_overs,
            release,
            not_compared,
            found_releases,
            tally,
            survey,
        }
    }

    /// For people: the verdict in words, the worst first; then guardrails, checks, and what is still needed.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        if !self.release.is_empty() {
            self.write_release(&mut out);
        }
        if self.comparisons.len() > 1 {
            self.write_overall(&mut out);
        }
        for verdict in WORST_FIRST {
            for judged in self.comparisons.iter().filter(|judged| judged.comparison.look.verdict == verdict) {
                judged.write(&mut out);
                out.push('\n');
            }
        }
        self.alone.iter().for_each(|alone| alone.write(&mut out));
        self.write_cut_overs(&mut out);
        if self.alone.iter().any(|alone| alone.beside_others) {
            out.push('\n');
        }
        if self.comparisons.is_empty() && self.alone.is_empty() {
            out.push_str("INVALID  there is nothing to compare\n");
            paragraph(&mut out, "No request was found: lines need a status, a latency, or a root span.");
            out.push('\n');
        }
        self.write_reading(&mut out);
        out
    }

    /// Verdict of a declared release, and which of its services carry it.
    fn write_release(&self, out: &mut String) {
        let names = |list: &[String]| {
            list.iter().take(SERVICES_MAX).map(|name| harmless(name, 60)).collect::<Vec<_>>().join(", ")
        };
        // Where all that is compared would pass, what is not compared holds the pass back.
        let by = match self.carried_by.as_slice() {
            [] => String::new(),
            list => format!(", by {}", names(list)),
        };
        let verdict = self.verdict.name().to_uppercase();
        let _infallible = writeln!(out, "Release of {}: {verdict}{by}", names(self.release));
        for (service, why) in self.not_compared.iter().take(SERVICES_MAX) {
            paragraph(out, &format!("{} is not compared, so the release cannot pass: {why}.", harmless(service, 60)));
        }
        out.push('\n');
    }

    /// One line over all comparisons.
    fn write_overall(&self, out: &mut String) {
        let each: Vec<String> = WORST_FIRST
            .into_iter()
            .filter_map(|verdict| {
                let of = |judged: &&Judged<'_>| judged.comparison.look.verdict == verdict;
                let n = self.comparisons.iter().filter(of).count();
                (n > 0).then(|| format!("{n} {}", verdict.name()))
            })
            .collect();
        let (overall, n) = (self.verdict.name().to_uppercase(), self.comparisons.len());
        let _infallible = writeln!(out, "{overall} overall, the worst of {n} comparisons: {}", each.join(", "));
        let found = self.comparisons.iter().filter(|judged| judged.notified.is_some()).count();
        let notified = self.comparisons.iter().filter(|judged| judged.notified == Some(true)).count();
        if found > 1 {
            let of_them = if notified == 1 { "stands" } else { "stand" };
            paragraph(
                out,
                &format!(
                    "Each verdict is right by itself. Of the {found} rollouts that were found in the log, {notified} {of_them} \
                     out among all that began in a day; about {:.2} healthy ones are to be expected among these.",
                    lists::ALPHA_LIST * notified as f64
                ),
            );
        }
        for found in &self.found_releases {
            let names = |list: &[String]| {
                let names: Vec<String> = list.iter().take(SERVICES_MAX).map(|name| harmless(name, 60)).collect();
                names.join(", ")
            };
            let verdict = found.verdict.name();
            paragraph(
                out,
                &format!(
                    "Release `{}` of {}, which took it within ten minutes: {verdict}, by {}. They share one error level, most of it \
                     for the first; `--release` divides it beforehand.",
                    harmless(&found.candidate, 60),
                    names(&found.services),
                    names(&found.carried_by)
                ),
            );
        }
        out.push('\n');
    }
}

/// A sentence in lines, indented.
fn paragraph(out: &mut String, sentence: &str) {
    for line in wrap_words(sentence, WIDTH) {
        let _infallible = writeln!(out, "  {}", harmless(&line, 200));
    }
}

/// With a capital letter at its start.
fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or(String::new(), |first| first.to_uppercase().chain(rest).collect())
}

impl Judged<'_> {
    /// The verdict, on what, and what it means, in one line.
    pub(super) fn title(&self) -> String {
        let verdict = self.comparison.look.verdict.name().to_uppercase();
        format!("{verdict}  {}: {}", harmless(&self.service, 60), self.headline())
    }

    /// What is counted, in the plural.
    pub(super) fn units(&self) -> &'static str {
        if self.comparison.by_request() { UnitKind::Request.plural() } else { self.comparison.unit.plural() }
    }

    /// Name of a guardrail for people.
    pub(super) fn name_of(&self, row: &Row) -> String {
        match row.cell {
            Cell::ErrorUnits | Cell::LatencyP99Units | Cell::ErrorUnits8 | Cell::ErrorUnits64 => {
                format!("{} {}", self.units(), row.name)
            }
            Cell::Unanswered => format!("exposed {} {}", self.units(), row.name),
            _ => row.name.to_owned(),
        }
    }

    fn write(&self, out: &mut String) {
        let _infallible = writeln!(out, "{}", self.title());
        self.sentences().iter().skip(1).for_each(|sentence| paragraph(out, sentence));
        self.write_guardrails(out);
        self.write_templates(out);
        self.write_segments(out);
        self.write_overlaps(out);
        self.write_ages(out);
        self.write_checks(out);
        self.write_needs(out);
        self.write_evidence(out);
        self.write_services(out);
    }
}
