//! `GET /metrics`: what Prometheus and its like scrape, in its text format (version 0.0.4).
//!
//! What the reader of logs knows it leaves here when it shows a report; the rest is looked up when it is asked for. How many series
//! there are is bounded: rollouts past [`ROLLOUTS_MAX`] and sources past [`SOURCES_MAX`] are counted, and shown together or not at
//! all. Names of services and arms come from logs: they stand in labels, cut to [`LABEL_MAX`] characters.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::cli::report::{Judged, Report};
use crate::cli::run::api::Api;
use crate::cli::run::desk::View;
use crate::cli::run::hooks::clock_ms;
use crate::compare::verdict::Verdict;
use crate::engine::Engine;
use crate::event::RejectReason;
use crate::outbox::{HookState, Standing};
use crate::source::wal::WAITING_BYTES;
use crate::time::{SECOND, Timestamp};

/// Rollouts that have series of their own: those that run first, then those that ended last.
const ROLLOUTS_MAX: usize = 200;
/// Sources that have series of their own.
const SOURCES_MAX: usize = 100;
/// Characters of a label that comes from logs.
const LABEL_MAX: usize = 120;
/// The source of what comes past the bound.
const OTHERS: &str = "(other)";
/// Upper ends of the histogram of times until a verdict, in seconds.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What the reader of logs leaves for those who ask.
#[derive(Default)]
pub(super) struct Metrics(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By the number of the stream.
    source_of: Vec<String>,
    sources: BTreeMap<String, Source>,
    windows: u64,
    times: Times,
    /// Event time up to which windows have closed.
    closed_until: Option<Timestamp>,
    /// Families that only the engine can tell.
    of_report: String,
}

/// What came from a source since the program started.
#[derive(Clone, Copy, Default)]
struct Source {
    records: u64,
    lines: u64,
    bytes: u64,
    /// What is there and was not read yet.
    lag_bytes: Option<u64>,
    lag_records: Option<u64>,
}

/// How long verdicts took.
#[derive(Clone, Copy, Default)]
struct Times {
    counts: [u64; BUCKETS.len()],
    all: u64,
    sum: f64,
}

/// How far reading a stream is behind what is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Lag {
    pub bytes: Option<u64>,
    pub records: Option<u64>,
}

/// The source of a stream: a topic, or what it is named by.
fn source_of(stream: &str) -> &str {
    match stream.rsplit_once('/') {
        Some((topic, partition)) if partition.bytes().all(|byte| byte.is_ascii_digit()) => topic,
        _ => stream,
    }
}

impl Metrics {
    fn with<T>(&self, what: impl FnOnce(&mut Known) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The streams that are read, those that joined later behind the others.
    pub(super) fn streams(&self, names: &[String]) {
        self.with(|known| {
            known.source_of.clear();
            for name in names {
                let mut source = source_of(name);
                if !known.sources.contains_key(source) && known.sources.len() >= SOURCES_MAX {
                    source = OTHERS;
                }
                known.sources.entry(source.to_owned()).or_default();
                known.source_of.push(source.to_owned());
            }
        });
    }

    /// A record of a stream came.
    pub(super) fn came(&self, stream: usize, lines: usize, bytes: usize) {
        self.with(|known| {
            let source = known.source_of.get(stream).and_then(|name| known.sources.get_mut(name));
            if let Some(source) = source {
                source.records += 1;
                source.lines += lines as u64;
                source.bytes += bytes as u64;
            }
        });
    }

    /// How far reading is behind, by stream.
    pub(super) fn lags(&self, lags: &[Lag]) {
        self.with(|known| {
            for source in known.sources.values_mut() {
                (source.lag_bytes, source.lag_records) = (None, None);
            }
            for (stream, lag) in lags.iter().enumerate() {
                let Some(source) = known.source_of.get(stream).and_then(|name| known.sources.get_mut(name)) else {
                    continue;
                };
                for (sum, more) in [(&mut source.lag_bytes, lag.bytes), (&mut source.lag_records, lag.records)] {
                    *sum = more.map_or(*sum, |more| Some(sum.unwrap_or(0) + more));
                }
            }
        });
    }

    /// A window was closed.
    pub(super) fn window(&self) {
        self.with(|known| known.windows += 1);
    }

    /// Lines became verdicts that last and are shown, in so long.
    pub(super) fn took(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        self.with(|known| {
            for (count, end) in known.times.counts.iter_mut().zip(BUCKETS) {
                *count += u64::from(seconds <= end);
            }
            known.times.all += 1;
            known.times.sum += seconds;
        });
    }

    /// There is a report.
    pub(super) fn report(&self, report: &Report<'_>, engine: &Engine) {
        let text = of_report(report, engine);
        self.with(|known| {
            known.of_report = text;
            known.closed_until = engine.closed_until();
        });
    }
}

/// What a family of series is.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Families in the text format: each once, with its help and type.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: Kind, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _infallible = write!(self.0, "# HELP serin_{name} {help}\n# TYPE serin_{name} {kind}\n");
        Family { text: &mut self.0, name: format!("serin_{name}") }
    }

    /// A family of one series.
    fn one(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).add(&[], value);
    }
}

/// One family.
struct Family<'a> {
    text: &'a mut String,
    name: String,
}

impl Family<'_> {
    fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        self.add_as("", labels, value);
    }

    /// A series of a histogram has its name with an ending.
    fn add_as(&mut self, ending: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(&self.name);
        self.text.push_str(ending);
        for (at, (label, of)) in labels.iter().enumerate() {
            let of: String = of.chars().take(LABEL_MAX).collect();
            let of = of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _infallible = write!(self.text, "{}{label}=\"{of}\"", if at == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _infallible = match value {
            value if value.is_nan() => writeln!(self.text, " NaN"),
            value if value.is_infinite() => writeln!(self.text, " {}Inf", if value > 0.0 { '+' } else { '-' }),
            value => writeln!(self.text, " {value}"),
        };
    }
}

/// What only the engine can tell.
fn of_report(report: &Report<'_>, engine: &Engine) -> String {
    use Kind::{Counter, Gauge};
    let mut text = Text::default();
    let tally = &report.tally;
    for (name, help, value) in [
        ("records_total", "Records that were read, in closed windows.", tally.records),
        ("events_total", "Records that are events.", tally.events),
        ("late_records_total", "Events that came too late for their window: in no test.", tally.late),
        ("outside_records_total", "Records that were asked to be left out.", tally.outside),
    ] {
        text.one(name, Counter, help, value as f64);
    }
    let mut rejects = text.family("rejected_records_total", Counter, "Records that are no events, by reason.");
    for (reason, count) in RejectReason::ALL.into_iter().zip(tally.rejects) {
        rejects.add(&[("reason", reason.name())], count as f64);
    }
    let lines = report.survey.lines.max(1) as f64;
    let mut roles =
        text.family("role_coverage_ratio", Gauge, "Share of the first lines that name a role (user, latency, ...).");
    for role in &report.survey.roles {
        roles.add(&[("role", role.role.name())], role.lines as f64 / lines);
    }
    let memory =
        "Bytes that the state of the engine takes, by part, as it counts them (bound: serin_memory_limit_bytes).";
    let mut parts = text.family("state_bytes", Gauge, memory);
    for (part, bytes) in engine.state_parts() {
        parts.add(&[("part", part)], bytes as f64);
    }
    rollouts(&mut text, report);
    text.0
}

/// The comparisons that have series, and how many have not.
fn shown<'a, 'r>(report: &'r Report<'a>) -> (Vec<&'r Judged<'a>>, usize) {
    let mut list: Vec<&Judged<'_>> = report.comparisons.iter().collect();
    // What met before and meets again is one rollout here: its latest comparison.
    list.sort_by_key(|judged| (judged.comparison.end.is_some(), std::cmp::Reverse(judged.comparison.started_at)));
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|judged| seen.insert((&judged.service, &judged.comparison.control, &judged.comparison.candidate)));
    let more = list.len().saturating_sub(ROLLOUTS_MAX);
    list.truncate(ROLLOUTS_MAX);
    (list, more)
}

/// What is said of rollouts.
fn rollouts(text: &mut Text, report: &Report<'_>) {
    use Kind::Gauge;
    let (list, more) = shown(report);
    let labels = |judged: &Judged<'_>| -> [(&'static str, String); 5] {
        let key = judged.services.first();
        [
            ("environment", key.map(|key| key.environment.clone()).unwrap_or_default()),
            ("cell", key.map(|key| key.cell.clone()).unwrap_or_default()),
            ("service", key.map(|key| key.service.clone()).unwrap_or_default()),
            ("control", judged.comparison.control.clone()),
            ("candidate", judged.comparison.candidate.clone()),
        ]
    };
    let labelled: Vec<([(&str, String); 5], &Judged<'_>)> = list.into_iter().map(|of| (labels(of), of)).collect();
    let with = |labels: &'_ [(&'static str, String); 5], more: &[(&'static str, &'static str)]| {
        let own = labels.iter().map(|(name, value)| (*name, value.clone()));
        own.chain(more.iter().map(|(name, value)| (*name, (*value).to_owned()))).collect::<Vec<_>>()
    };
    fn add(family: &mut Family<'_>, labels: &[(&'static str, String)], value: f64) {
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
        family.add(&labels, value);
    }
    text.one("rollouts_not_exported", Gauge, "Rollouts without series, for there are too many.", more as f64);
    let mut family = text.family("rollout_verdict", Gauge, "1 for the verdict of a rollout, 0 for the others.");
    for (labels, judged) in &labelled {
        for verdict in Verdict::ALL {
            let is = judged.comparison.look.verdict == verdict;
            add(&mut family, &with(labels, &[("verdict", verdict.name())]), f64::from(u8::from(is)));
        }
    }
    let help = "ln of the evidence against 'not worse', over all guardrails; a FAIL from about 4.6 (ln 100).";
    let mut family = text.family("rollout_log_e", Gauge, help);
    for (labels, judged) in &labelled {
        add(&mut family, labels, judged.comparison.look.log_sum);
    }
    let mut family = text.family("rollout_units", Gauge, "Units (users, sessions, ...) of an arm.");
    for (labels, judged) in &labelled {
        for (arm, units) in ["control", "candidate"].into_iter().zip(judged.comparison.distinct_units()) {
            add(&mut family, &with(labels, &[("arm", arm)]), units as f64);
        }
    }
    let mut family = text.family("guardrail_log_e", Gauge, "ln of the evidence against 'not worse', by guardrail.");
    for (labels, judged) in &labelled {
        for row in &judged.rows {
            add(&mut family, &with(labels, &[("guardrail", row.cell.name())]), row.log_e);
        }
    }
    let help = "Estimated difference of the candidate by guardrail, and the ends of its always-valid 95 % interval: kind \
                says whether it is a ratio, a difference of shares, or a relative change.";
    let mut family = text.family("guardrail_delta", Gauge, help);
    for (labels, judged) in &labelled {
        for row in &judged.rows {
            let Some(effect) = row.effect else { continue };
            for (end, value) in [("estimate", effect.estimate), ("low", effect.low), ("high", effect.high)] {
                let more = [("guardrail", row.cell.name()), ("kind", effect.kind.name()), ("end", end)];
                add(&mut family, &with(labels, &more), value);
            }
        }
    }
}

/// What the other threads know.
fn of_program(text: &mut Text, api: &Api) {
    use Kind::{Counter, Gauge};
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    text.family("build_info", Gauge, "1, with the version of the program.").add(&version, 1.0);
    let ready = api.shared.not_ready().is_none();
    text.one(
        "ready",
        Gauge,
        "1 while lines are taken and judged, or waited for (/readyz).",
        f64::from(u8::from(ready)),
    );
    let caught_up = f64::from(u8::from(api.desk.is_caught_up()));
    text.one("caught_up", Gauge, "1 once everything that the ledger held has been computed again.", caught_up);
    let refused = api.shared.connections_refused.load(Ordering::Relaxed) as f64;
    text.one("connections_refused_total", Counter, "Connections past the bound.", refused);
    let view = api.desk.view();
    let read = view.book.read();
    text.one("ledger_entries_total", Counter, "Entries of the ledger.", read.entries as f64);
    text.one("journal_rows_total", Counter, "Rows of the journal.", read.rows as f64);
    text.one("rollouts_not_listed", Gauge, "Found rollouts that are not listed.", view.book.not_listed() as f64);
    hooks(text, &view);
    drop(view);
    if let Some(files) = api.shared.files_followed() {
        text.one("files_followed", Gauge, "Files that are followed.", files.followed as f64);
        text.one(
            "files_not_followed",
            Gauge,
            "Files past the bound, which are not followed.",
            files.not_followed as f64,
        );
        let help = "Bytes of files that were not read yet, lines without an end included.";
        text.one("files_unread_bytes", Gauge, help, files.unread as f64);
    }
    let waiting = api.shared.lines_waiting.load(Ordering::Relaxed);
    text.one("lines_waiting", Gauge, "Lines that were read, whose windows wait for later lines.", waiting as f64);
    let owner = !api.shared.is_standby.load(Ordering::Relaxed);
    text.one("owner", Gauge, "1, or 0 while another program owns the topics.", f64::from(u8::from(owner)));
    let stalled = api.shared.stalled_partitions().len();
    text.one(
        "stalled_partitions",
        Gauge,
        "Partitions without which windows close, though they are not read to their end.",
        stalled as f64,
    );
    #[cfg(feature = "index")]
    of_search(text, api);
    let (queued, bodies, bodies_max) = api.shared.waiting_bytes();
    let mut family = text.family("buffer_bytes", Gauge, "Bytes in memory that are on their way, by buffer.");
    family.add(&[("buffer", "disk_queue")], queued as f64);
    family.add(&[("buffer", "bodies")], bodies as f64);
    let mut family = text.family("memory_limit_bytes", Gauge, "Bounds of memory, by what they bound.");
    family.add(&[("bound", "state")], api.shared.memory_limit() as f64);
    family.add(&[("bound", "disk_queue")], WAITING_BYTES as f64);
    family.add(&[("bound", "bodies")], bodies_max as f64);
    if let Some(bytes) = resident() {
        text.one(
            "process_resident_memory_bytes",
            Gauge,
            "Memory of the process, as the system counts it.",
            bytes as f64,
        );
    }
}

/// Resident memory, where the system tells it in a file.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// The outbox.
fn hooks(text: &mut Text, view: &View) {
    use Kind::Gauge;
    let targets: Vec<_> = view.deliveries.targets().collect();
    let mut family = text.family("hook_waiting_deliveries", Gauge, "Messages that a hook has not taken yet.");
    for (target, lane) in &targets {
        family.add(&[("hook", &target.name)], lane.waiting() as f64);
    }
    let mut family =
        text.family("hook_deliveries", Gauge, "Messages that are known to have come to their end, by end.");
    for (target, _) in &targets {
        let of = || view.deliveries.latest().filter(|delivery| delivery.target == target.name);
        let taken = of().filter(|delivery| matches!(delivery.standing, Standing::Taken(_))).count();
        let given_up = of().filter(|delivery| matches!(delivery.standing, Standing::GivenUp(..))).count();
        family.add(&[("hook", &target.name), ("end", "taken")], taken as f64);
        family.add(&[("hook", &target.name), ("end", "given_up")], given_up as f64);
    }
    let mut family = text.family("hook_state", Gauge, "1 for the state of a hook, 0 for the others.");
    for (target, lane) in &targets {
        for state in HookState::ALL {
            family.add(
                &[("hook", &target.name), ("state", state.name())],
                f64::from(u8::from(HookState::of(lane) == state)),
            );
        }
    }
}

/// What can be searched, once there is something.
#[cfg(feature = "index")]
fn of_search(text: &mut Text, api: &Api) {
    use Kind::{Counter, Gauge};
    let Some(of) = api.shared.searching.figures() else { return };
    for (name, kind, help, value) in [
        ("index_lines", Gauge, "Lines that can be searched.", of.lines as f64),
        ("index_bytes", Gauge, "Bytes on disk that they take.", of.bytes as f64),
        ("index_parts", Gauge, "Parts of the index.", of.parts as f64),
        ("index_damaged_parts", Gauge, "Parts that could not be read, and were put aside.", of.damaged as f64),
        ("index_lost_total", Counter, "Bytes or records that were gone before they were indexed.", of.lost as f64),
        ("index_commits_total", Counter, "Commits of the index since the start.", of.commits as f64),
        ("index_trouble", Gauge, "1 while lines cannot be indexed.", f64::from(u8::from(of.is_in_trouble))),
        ("searches_waiting", Gauge, "Searches that wait for their turn.", of.waiting as f64),
        ("searches_refused_total", Counter, "Searches that found too many waiting.", of.refused as f64),
    ] {
        text.one(name, kind, help, value);
    }
}

/// What came and how it was read.
fn of_reading(text: &mut Text, known: &Known) {
    use Kind::{Counter, Gauge, Histogram};
    let of = |pick: fn(&Source) -> u64| {
        known.sources.iter().map(move |(name, source)| (name.as_str(), pick(source) as f64)).collect::<Vec<_>>()
    };
    for (name, help, list) in [
        ("source_records_total", "Records (bodies, messages of a topic) since the start.", of(|of| of.records)),
        ("source_lines_total", "Lines since the start of the program.", of(|of| of.lines)),
        ("source_bytes_total", "Bytes of lines since the start of the program.", of(|of| of.bytes)),
    ] {
        let mut family = text.family(name, Counter, help);
        list.into_iter().for_each(|(source, value)| family.add(&[("source", source)], value));
    }
    let mut family = text.family("source_lag_bytes", Gauge, "Bytes that are there and were not read yet.");
    for (source, lag) in known.sources.iter().filter_map(|(name, of)| Some((name, of.lag_bytes?))) {
        family.add(&[("source", source)], lag as f64);
    }
    let mut family = text.family("source_lag_records", Gauge, "Records that are there and were not read yet.");
    for (source, lag) in known.sources.iter().filter_map(|(name, of)| Some((name, of.lag_records?))) {
        family.add(&[("source", source)], lag as f64);
    }
    let lag = known.closed_until.map_or(f64::NAN, |until| {
        let now = clock_ms().saturating_mul(1_000);
        now.saturating_sub(until.0) as f64 / SECOND as f64
    });
    text.one("data_lag_seconds", Gauge, "How long ago the last window ended that was judged.", lag);
    text.one("windows_total", Counter, "Windows that were closed since the start.", known.windows as f64);
    let help = "How long lines took, once they were read, until the verdicts that they brought were durable and shown.";
    let mut family = text.family("verdict_seconds", Histogram, help);
    for (count, end) in known.times.counts.into_iter().zip(BUCKETS) {
        family.add_as("_bucket", &[("le", &end.to_string())], count as f64);
    }
    family.add_as("_bucket", &[("le", "+Inf")], known.times.all as f64);
    family.add_as("_sum", &[], known.times.sum);
    family.add_as("_count", &[], known.times.all as f64);
}

/// Answers `GET /metrics`.
pub(super) async fn scrape(State(api): State<Api>) -> Response {
    let mut text = Text::default();
    of_program(&mut text, &api);
    api.shared.metrics.with(|known| {
        of_reading(&mut text, known);
        text.0.push_str(&known.of_report);
    });
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.0).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_numbers_are_those_of_the_format() {
        let mut text = Text::default();
        let mut family = text.family("x_total", Kind::Counter, "Help.");
        family.add(&[("a", "q\"\\\nz"), ("b", "")], 3.0);
        family.add(&[], f64::INFINITY);
        family.add(&[("a", &"x".repeat(500))], f64::NAN);
        let long = "x".repeat(LABEL_MAX);
        let expected = format!(
            "# HELP serin_x_total Help.\n# TYPE serin_x_total counter\nserin_x_total{{a=\"q\\\"\\\\\\nz\",b=\"\"}} 3\n\
             serin_x_total +Inf\nserin_x_total{{a=\"{long}\"}} NaN\n"
        );
        assert_eq!(text.0, expected);
    }

    #[test]
    fn sources_past_the_bound_share_one() {
        let metrics = Metrics::default();
        let names: Vec<String> = (0..SOURCES_MAX + 50).flat_map(|n| [format!("t{n}/0"), format!("t{n}/1")]).collect();
        metrics.streams(&names);
        (0..names.len()).for_each(|stream| metrics.came(stream, 2, 10));
        metrics.lags(&vec![Lag { bytes: Some(7), records: None }; names.len()]);
        metrics.with(|known| {
            assert_eq!(known.sources.len(), SOURCES_MAX + 1);
            assert_eq!((known.sources["t0"].lines, known.sources["t0"].lag_bytes), (4, Some(14)));
            assert_eq!((known.sources[OTHERS].bytes, known.sources[OTHERS].lag_records), (1_000, None));
        });
    }
}
