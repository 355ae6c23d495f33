//! Looks at the first lines of streams and finds the plan: which field plays which role, which services and arms there
//! are, where requests come from, and what is missing.

mod access_duration;
mod arms;
mod cover;
mod fields;
mod inside;
mod releases;
mod segments;
mod unit;
mod units_of_latency;
mod zones;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::event::{RejectReason, ServiceKey};
use crate::pipeline::clock::Zone;
use crate::pipeline::decode::without_mark;
use crate::pipeline::metric::Metric;
use crate::pipeline::plan::{ArmRule, Conversions, FieldRef, Mark, Plan, RequestSource, UnitKind, WorkForm};
use crate::pipeline::prepare::{Preparation, Preparer, Redact};
use crate::pipeline::roles::{self, Role};
use crate::pipeline::shape;
use crate::pipeline::shape::table::{self, TABLES_MAX, Table};
use crate::time::{DAY, Micros, Timestamp, Windowing};

use arms::{choose_arms, choose_sources, look_at_services};
use cover::{Covered, cover};
use fields::{PathCount, Seen, choose_fields};
use releases::find_releases;
use segments::choose_segments;
use unit::choose_unit;
use units_of_latency::{Evidence, name_latency_units};

pub use segments::{SegmentFields, SegmentsFrom};

/// Rows of one window that samples of pairs and traces aim at.
const ROWS_AIM: f64 = 8_192.0;

/// What the user has said; the survey finds the rest.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wishes {
    /// Fields of roles as given.
    pub roles: BTreeMap<Role, Vec<FieldRef>>,
    /// Fields that are tried first for roles, before those that are recognised.
    pub preferred: BTreeMap<Role, Vec<FieldRef>>,
    /// How lines find their arm.
    pub arms: Option<ArmRule>,
    /// Request sources of services, by name.
    pub sources: BTreeMap<String, RequestSource>,
    /// Names of business events.
    pub events: Vec<String>,
    /// Those of them that do harm.
    pub harms: BTreeSet<String>,
    /// How many times a unit meets one before it counts, where that is not once.
    pub at_least: BTreeMap<String, u16>,
    /// Metrics of one's own.
    pub metrics: Vec<Metric>,
    /// What the unit of assignment is.
    pub unit: Option<UnitKind>,
    /// The service whose rollout is judged.
    pub service: Option<String>,
    /// The environment whose lines are read.
    pub environment: Option<String>,
    /// Fields whose values are segments; none of them where the list is empty, and found where there is no list.
    pub segments: Option<Vec<String>>,
    /// What is done to lines before they are read.
    pub preparation: Preparation,
    /// How events are cut into windows.
    pub windowing: Windowing,
    /// When the year begins in which times lie that name none.
    pub years_from: Option<Timestamp>,
    /// The user says so: nothing in the lines counts more.
    pub names_years: bool,
    /// The zone of times that name none.
    pub zone: Zone,
    /// When the lines are read, where they are read as they are written: then a time that lies hours away is of another zone.
    pub now: Option<Timestamp>,
}

/// First lines of one stream.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// Name of the stream.
    pub stream: &'a str,
    /// Whole lines, decoded text.
    pub lines: Vec<&'a str>,
}

/// How well a role is covered.
#[derive(Clone, PartialEq, Debug)]
pub struct RoleReport {
    /// The role.
    pub role: Role,
    /// Fields that play it, with the lines each was used for.
    pub fields: Vec<(FieldRef, u64)>,
    /// Lines that have it.
    pub lines: u64,
    /// Request lines that have it.
    pub requests: u64,
}

/// What one service's sample looks like.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ServiceReport {
    /// Requests.
    pub requests: u64,
    /// Spans.
    pub spans: u64,
    /// Other lines.
    pub logs: u64,
    /// Lines by arm.
    pub arms: BTreeMap<String, u64>,
    /// Requests by source.
    pub sources: BTreeMap<RequestSource, u64>,
}

/// Services that carry a new version together; its first service takes the user's requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Release {
    /// Entry service first, then the others by name.
    pub services: Vec<ServiceKey>,
}

impl Release {
    /// The service whose requests are judged.
    pub fn entry(&self) -> ServiceKey {
        self.services.first().cloned().unwrap_or_default()
    }
}

/// What the survey found.
#[derive(Clone, PartialEq, Debug)]
pub struct Survey {
    /// The plan to read everything with.
    pub plan: Plan,
    /// Lines looked at.
    pub lines: u64,
    /// Lines that were no events, by reason.
    pub rejects: BTreeMap<RejectReason, u64>,
    /// Request lines among them.
    pub requests: u64,
    /// Coverage of roles that some field plays.
    pub roles: Vec<RoleReport>,
    /// Services.
    pub services: BTreeMap<ServiceKey, ServiceReport>,
    /// What is rolled out together.
    pub releases: Vec<Release>,
    /// Fields whose values may be arms, the one that gives them first, with the most distinct values in one service.
    pub arm_candidates: Vec<(String, usize)>,
    /// How the fields of segments, which stand in the plan, were chosen, and which are none.
    pub segments: SegmentFields,
    /// What is missing or doubtful, and how to supply it.
    pub notes: Vec<String>,
    /// Latency fields whose unit is a guess by the size of their values.
    pub guessed_units: BTreeSet<String>,
    /// Paths that were seen, for "did you mean".
    pub paths: BTreeSet<String>,
    /// Access-log lines among those looked at.
    pub access_lines: u64,
    /// Lines that look like requests and are taken for calls to others, and those that are requests beside them, of the same services.
    pub calls_set_aside: (u64, u64),
    /// Lines that both arm queries match.
    pub both_queries: u64,
    /// Fields whose dates do not tell day and month apart.
    pub ambiguous_dates: BTreeSet<String>,
    /// The first line, for when nothing could be read.
    pub first_line: Option<String>,
}

impl Survey {
    /// Latency fields in use whose unit is a guess.
    pub fn guessed_latencies(&self) -> impl Iterator<Item = &FieldRef> {
        let latencies = self.roles.iter().filter(|report| report.role == Role::Latency);
        let used = latencies.flat_map(|report| &report.fields).filter(|(_, lines)| *lines > 0);
        used.map(|(field, _)| field).filter(|field| self.guessed_units.contains(&field.path))
    }

    /// Arms beside one control that the sample shows, in the release that has most of them.
    pub fn candidates_seen(&self) -> usize {
        let arms = |release: &Release| self.services.get(&release.entry()).map_or(0, |service| service.arms.len());
        self.releases.iter().map(arms).max().unwrap_or(0).saturating_sub(1).max(1)
    }
}

/// Says how many lines of text no pattern fits: what a pattern was written for, and misses, counts otherwise than was meant.
fn note_misses(heads: &[Head<'_>], wishes: &Wishes, tables: &[Table], notes: &mut Vec<String>) {
    let (mut misses, mut all) = (0, 0);
    for head in heads {
        let Some(preparer) = Preparer::of(&wishes.preparation, tables, head.stream) else { continue };
        let is_text = |line: &&&str| !line.trim_ascii().is_empty() && !line.trim_ascii_start().starts_with('{');
        for fits in head.lines.iter().filter(is_text).filter_map(|line| preparer.fits(line)) {
            all += 1;
            misses += u64::from(!fits);
        }
    }
    if misses > 0 {
        notes.push(format!(
            "pattern: {misses} of {all} lines of text fit no pattern of the pipelines, and count by what else is known of them or not at all. `serin explain` shows them; a pattern for each kind makes requests of those that are some"
        ));
    }
}

/// Lines that are taken for calls to others, and the requests beside them.
fn set_aside(
    seen: &BTreeMap<ServiceKey, BTreeMap<RequestSource, u64>>,
    chosen: &BTreeMap<ServiceKey, RequestSource>,
) -> (u64, u64) {
    let mut all = (0, 0);
    for (service, by_source) in seen {
        let Some(source) = chosen.get(service).filter(|source| **source != RequestSource::Outgoing) else { continue };
        if let Some(calls) = by_source.get(&RequestSource::Outgoing) {
            let own: u64 = by_source.iter().filter(|(of, _)| source.takes(**of)).map(|(_, lines)| lines).sum();
            all = (all.0 + calls, all.1 + own);
        }
    }
    all
}

/// Says which fields that tell users apart are taken out of lines.
fn note_removed_units(plan: &Plan, wishes: &Wishes, notes: &mut Vec<String>) {
    let redact = wishes.preparation.stages.iter().fold(Redact::default(), |all, stage| all.and(&stage.redact));
    let fields = [Role::User, Role::Session, Role::Client].into_iter().flat_map(|role| plan.fields(role));
    for field in fields.filter(|field| redact.removes(&field.path)) {
        notes.push(format!(
            "unit: `{}` is taken out of lines (redact.fields), so nobody is told apart by it; under redact.hash instead, those whom it names stay as many as they are",
            field.path
        ));
    }
}

/// What marks work inside requests, as a query would say it.
fn mark_words(mark: &Mark) -> String {
    match &mark.value {
        None => format!("`{}`", mark.path),
        Some(value) => format!("`{}` = `{value}`", mark.path),
    }
}

/// Finds the plan.
pub fn survey(heads: &[Head<'_>], wishes: &Wishes) -> Survey {
    let mut notes = Vec::new();
    let tables = tables(heads, &mut notes);
    // Lines as the decoder reads them.
    let as_read = |head: &Head<'_>| -> Vec<String> {
        let mut preparer = Preparer::of(&wishes.preparation, &tables, head.stream);
        let prepared = |line: &&str| match &mut preparer {
            Some(preparer) => shape::of(&preparer.line(line), &tables).into_owned(),
            None => shape::of(without_mark(line), &tables).into_owned(),
        };
        head.lines.iter().map(prepared).collect()
    };
    note_misses(heads, wishes, &tables, &mut notes);
    let shaped: Vec<Vec<String>> = heads.iter().map(as_read).collect();
    let heads: Vec<Head<'_>> = heads
        .iter()
        .zip(&shaped)
        .map(|(head, lines)| Head { stream: head.stream, lines: lines.iter().map(String::as_str).collect() })
        .collect();
    let heads = heads.as_slice();
    let seen = Seen::of(heads);
    let mut roles = choose_fields(&seen, wishes);
    let mut guessed_units = BTreeSet::new();
    let adds_duration = access_duration::decide(heads, wishes, &mut roles, &mut guessed_units, &mut notes);
    let evidence = Evidence::of(heads, &roles);
    name_latency_units(&mut roles, &seen.paths, &evidence, &mut guessed_units, &mut notes);

    let mut plan = Plan {
        roles,
        unit: UnitKind::Request,
        arms: ArmRule::None,
        sources: BTreeMap::new(),
        inside: BTreeMap::new(),
        service: wishes.service.clone(),
        environment: wishes.environment.clone(),
        follow_traces: true,
        join_attempts: false,
        adds_duration,
        years_from: None,
        zone: wishes.zone.clone(),
        tables,
        conversions: Conversions::default(),
        metrics: Vec::new(),
        segments: Vec::new(),
        // The lines here have been prepared.
        preparation: wishes.preparation.of_prepared(),
        windowing: wishes.windowing,
    };
    plan.years_from = years_from(&seen, &cover(heads, &plan), &plan, wishes, &mut notes);
    let (arm_candidates, sources, inside) = look_at_services(heads, &plan, &mut notes);
    plan.sources = choose_sources(&sources, &wishes.sources, &mut notes);
    let answered = plan.sources.iter().filter(|(_, source)| **source == RequestSource::Answered);
    for (key, _) in answered {
        let mut forms = inside.found(key).0;
        let room = inside::KEPT_MAX.saturating_sub(plan.inside.values().map(BTreeSet::len).sum());
        if forms.len() > room {
            notes.push(format!(
                "requests: {} more forms of lines of {key} are work inside requests; they are too many and count as requests \
                 (`requests_from:` or a rule for them helps)",
                forms.len() - room
            ));
            forms = forms.into_iter().take(room).collect();
        }
        if !forms.is_empty() {
            let all = |form: &WorkForm| form.marks.iter().map(mark_words).collect::<Vec<_>>().join(" and ");
            let words: Vec<String> = forms.iter().take(inside::NAMED_MAX).map(all).collect();
            let more = match forms.len() - words.len() {
                0 => String::new(),
                more => format!(", or {more} more"),
            };
            notes.push(format!("requests: lines of {key} with {}{more} are work inside requests", words.join(", or ")));
            plan.inside.insert(key.clone(), forms);
        }
    }
    let calls_set_aside = set_aside(&sources, &plan.sources);
    plan.arms = match &wishes.arms {
        Some(arms) => arms.clone(),
        None => choose_arms(&arm_candidates, wishes.service.as_ref(), &mut notes),
    };
    let covered = cover(heads, &plan);
    plan.unit = choose_unit(&covered, wishes, &mut notes);
    note_removed_units(&plan, wishes, &mut notes);
    plan.follow_traces = covered.shared_traces > 0;
    let segments = choose_segments(heads, &seen, &mut plan, wishes.segments.as_ref());
    let ambiguous_dates: BTreeSet<String> =
        seen.paths.iter().filter(|(_, count)| count.has_ambiguous_dates()).map(|(path, _)| path.clone()).collect();
    let Seen { paths, json_lines, access_lines, .. } = seen;
    let rate = covered.events_per_second();
    let bits = |per_window: f64| (per_window / ROWS_AIM).max(1.0).log2_ceil();
    let per_window = rate * (plan.windowing.window as f64 / 1e6);
    plan.windowing.pair_bits = bits(per_window);
    plan.windowing.trace_bits = bits(per_window);

    // Read the sample once more, as everything will be read.
    let read = cover(heads, &plan);
    // Ids count within their unit, which the first reading did not know.
    // Where what has succeeded is mostly followed by more, ids are those of pages or sessions, and each request is one.
    plan.join_attempts = read.repeated_request_ids > 2 * read.after_success;
    if read.rates_unread > 0 {
        let fields: Vec<String> =
            plan.fields(Role::SampleRate).iter().map(|field| format!("`{}`", field.path)).collect();
        notes.push(format!(
            "sampling: {} of {} lines have a rate that is none ({}); they count as not sampled",
            read.rates_unread,
            read.events,
            fields.join(", ")
        ));
    }
    notes.extend(zones::note(&read, wishes.now));
    let releases = find_releases(&read, wishes);
    plan.preparation = wishes.preparation.clone();
    let reports = Role::ALL
        .into_iter()
        .filter_map(|role| {
            let fields = plan.fields(role);
            if fields.is_empty() {
                return None;
            }
            let counts = read.roles.get(&role).cloned().filter(|counts| counts.lines > 0)?;
            Some(RoleReport {
                role,
                fields: fields
                    .iter()
                    .enumerate()
                    .map(|(at, field)| (field.clone(), counts.by_field.get(&at).copied().unwrap_or(0)))
                    .collect(),
                lines: counts.lines,
                requests: counts.requests,
            })
        })
        .collect();
    let mut survey = Survey {
        plan,
        lines: json_lines + access_lines,
        rejects: read.rejects.clone(),
        requests: read.requests,
        roles: reports,
        services: read.services.clone(),
        releases,
        arm_candidates: arm_candidates.into_iter().map(|candidate| (candidate.path, candidate.values.len())).collect(),
        segments,
        notes,
        guessed_units,
        paths: paths.into_keys().collect(),
        access_lines,
        calls_set_aside,
        ambiguous_dates,
        both_queries: read.rejects.get(&RejectReason::BothArms).copied().unwrap_or(0),
        first_line: heads.iter().find_map(|head| head.lines.first()).map(|line| (*line).to_owned()),
    };
    say_what_is_missing(&mut survey, read.timed);
    survey
}

/// The headers of streams that are tables.
fn tables(heads: &[Head<'_>], notes: &mut Vec<String>) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for head in heads {
        let first: Vec<&str> = head.lines.iter().take(32).map(|line| without_mark(line)).collect();
        let Some(table) = Table::of(&first) else {
            let is_known = |line: &&str| !matches!(shape::of(line, &[]), Cow::Borrowed(_)) || line.starts_with('{');
            if let Some(columns) = table::headless(&first).filter(|_| !first.iter().any(is_known)) {
                notes.push(format!(
                    "table: the lines of {} have {columns} columns each, and no header tells what they are; put one in front of them",
                    head.stream
                ));
            }
            continue;
        };
        let is_like = |known: &Table| known.separator == table.separator && known.columns.len() == table.columns.len();
        match tables.iter().find(|known| is_like(known)) {
            Some(known) if *known == table => {}
            Some(_) => notes.push(format!(
                "table: {} has as many columns as another stream, under other names; its lines are read by the header of that one. Read it by itself",
                head.stream
            )),
            None if tables.len() < TABLES_MAX => tables.push(table),
            None => notes.push(format!("table: the header of {} is not read by: {TABLES_MAX} are known", head.stream)),
        }
    }
    tables
}

/// How far back from the latest time in full the year begins in which times without one lie.
const HALF_A_YEAR: Micros = 183 * DAY;

/// When the year begins in which times lie that name none, where the lines have such times.
fn years_from(
    seen: &Seen,
    in_full: &Covered,
    plan: &Plan,
    wishes: &Wishes,
    notes: &mut Vec<String>,
) -> Option<Timestamp> {
    let is_yearless = |field: &&FieldRef| seen.paths.get(&field.path).is_some_and(PathCount::has_yearless);
    let field = plan.fields(Role::Time).iter().chain(plan.fields(Role::Start)).find(is_yearless)?;
    let (from, why) = match (wishes.years_from, in_full.last) {
        (Some(from), _) if wishes.names_years => (from, "as asked"),
        (_, Some(last)) => (Timestamp(last.0 - HALF_A_YEAR), "by the times in full beside them"),
        (Some(from), None) => (from, "by today's date"),
        (None, None) => {
            notes.push(format!("time: `{}` names no year, and nothing tells which is meant", field.path));
            return None;
        }
    };
    let day = |time: Timestamp| time.to_string().chars().take(10).collect::<String>();
    notes.push(format!(
        "time: `{}` names no year; it is read as of the year from {} on, {why}. If that is wrong: --year-from DATE",
        field.path,
        day(from)
    ));
    Some(from)
}

/// Ceiling of the binary logarithm, without floating-point logarithms.
trait Log2Ceil {
    fn log2_ceil(self) -> u32;
}

impl Log2Ceil for f64 {
    fn log2_ceil(self) -> u32 {
        let mut bits = 0;
        let mut reach = 1.0;
        while reach < self && bits < 40 {
            reach *= 2.0;
            bits += 1;
        }
        bits
    }
}

/// What notes about arms begin with.
const ARMS_NOTE: &str = "arms: ";
/// Why there are no arms, where nothing else is known.
const NO_ARMS: &str =
    "no field says which version or cohort a line belongs to; use --arm-by FIELD, or --baseline QUERY --canary QUERY";

impl Survey {
    /// Why the log tells no arms, and what to do; `None` where it does.
    pub fn no_arms(&self) -> Option<&str> {
        let note = self.notes.iter().find_map(|note| note.strip_prefix(ARMS_NOTE));
        note.filter(|_| self.plan.arms == ArmRule::None)
    }
}

/// `timed`: requests whose latency is told.
fn say_what_is_missing(survey: &mut Survey, timed: u64) {
    let mut notes = Vec::new();
    let has = |role: Role| survey.roles.iter().any(|report| report.role == role);
    if !has(Role::Time) && !has(Role::Start) {
        notes.push("time: no field is recognised as a time; name it with --role time=FIELD".to_owned());
    }
    if survey.requests == 0 && survey.lines > 0 {
        notes.push(
            "requests: no line looks like a finished request (a status, or a latency with a route); name the fields with --role status=FIELD or --role latency=FIELD"
                .to_owned(),
        );
    }
    if survey.plan.arms == ArmRule::None && survey.no_arms().is_none() {
        notes.push(format!("{ARMS_NOTE}{NO_ARMS}"));
    }
    let is_end =
        |role: &RoleReport| role.fields.iter().any(|(field, lines)| *lines > 0 && roles::is_end_time(&field.path));
    let has_ends = has(Role::Start) && survey.roles.iter().any(|role| role.role == Role::Time && is_end(role));
    if !has(Role::Latency) && !has_ends && survey.requests > 0 {
        notes.push("latency: no field is recognised; it is not judged. Name it with --role latency=FIELD".to_owned());
    }
    if !has(Role::Latency) && has_ends && timed == 0 && survey.requests > 0 {
        notes.push(
            "latency: requests say when they began and ended in whole seconds alone, which tells nothing of their latency; it is not judged. Name a field with --role latency=FIELD"
                .to_owned(),
        );
    }
    if !has(Role::Status) && !has(Role::Error) && survey.requests > 0 {
        notes.push(
            "errors: no status and no error field is recognised; requests logged at level error count as failed. Name one with --role status=FIELD or --role error=FIELD"
                .to_owned(),
        );
    }
    let mut times = survey.plan.fields(Role::Time).iter().map(|field| &field.path);
    if let Some(path) = times.find(|path| survey.ambiguous_dates.contains(*path)) {
        notes.push(format!(
            "time: `{path}` has dates like 01/06/2026, in which day and month cannot be told apart; they are not read. Name another field with --role time=FIELD"
        ));
    }
    survey.notes.splice(0..0, notes);
}

#[cfg(test)]
mod tests;
