//! `serin explain`: how the lines of a log are read, line by line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::arguments::HowArguments;
use crate::cli::compare::{check_roles, heads, look_at_heads, sample, wishes};
use crate::cli::report::{grouped, percent};
use crate::cli::terminal::{self, harmless};
use crate::event::{Event, Intern, Kind, NO_LATENCY, Names, RejectReason, name_at};
use crate::pipeline::decode::fields::FieldReader;
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::plan::{ArmRule, Plan, RequestSource};
use crate::pipeline::roles::Role;
use crate::pipeline::shape;
use crate::query::{Record as _, Value as FieldValue};
use crate::source::files;

/// Characters of a line that are shown.
const SHOWN: usize = 400;

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "The first lines of each stream are looked at, as every command does before it reads. Of each way in which lines are \
read one is shown, with the field that plays each role and what it says; of lines that count nowhere, why.\n\nExamples:\n  serin explain \
app.log\n  kubectl logs --prefix -l app=cart | serin explain -\n  serin explain app.log --role user=account.id --lines 20"
)]
pub(in crate::cli) struct ExplainArguments {
    /// Log files, folders, patterns, or - for standard input; plain, gzip or zstd
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Lines that are shown
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub lines: usize,
    /// Print an object of JSON
    #[arg(long)]
    pub json: bool,
    /// How to read them.
    #[command(flatten)]
    pub how: HowArguments,
}

/// A line, and what became of it.
struct Explained {
    stream: String,
    line: String,
    /// What it was made, where it is no object.
    made: Option<String>,
    /// What it counts as, or why it does not.
    fate: String,
    /// Role, field, value.
    roles: Vec<(Role, String, String)>,
    /// What decoding says.
    says: Vec<(&'static str, String)>,
}

/// Runs `explain`.
pub(super) fn run(arguments: &ExplainArguments) -> anyhow::Result<u8> {
    let mut streams = files::find(&arguments.files)?;
    let texts = heads(&mut streams)?;
    let found = look_at_heads(&texts, &wishes(&arguments.how, None)?)?.found;
    check_roles(&found, &arguments.how)?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut shown: Vec<Explained> = Vec::new();
    let mut ways: BTreeMap<String, u64> = BTreeMap::new();
    let mut reader = FieldReader::of_tables(&found.plan.tables);
    for (stream, text) in &texts {
        let mut decoder = Decoder::new(&found.plan, stream);
        for line in sample(text) {
            let explained = explain(&found.plan, &mut decoder, &mut reader, (stream, line));
            *counts.entry(explained.fate.clone()).or_default() += 1;
            let fields: Vec<&str> = explained.roles.iter().map(|(_, field, _)| field.as_str()).collect();
            let way = format!("{} {} {}", explained.fate, explained.made.is_some(), fields.join(" "));
            let times = ways.entry(way).or_default();
            *times += 1;
            if *times == 1 && shown.len() < arguments.lines {
                shown.push(explained);
            }
        }
    }
    let text = if arguments.json {
        format!("{:#}\n", document(&counts, &shown, &found))
    } else {
        in_words(&counts, &shown, &found, ways.len())
    };
    terminal::print(&text)?;
    Ok(0)
}

fn explain(
    plan: &Plan,
    decoder: &mut Decoder<'_>,
    reader: &mut FieldReader,
    (stream, line): (&str, &str),
) -> Explained {
    let prepared = decoder.prepared(line);
    let made = match (shape::of(&prepared, &plan.tables), &prepared) {
        (Cow::Owned(made), _) => Some(made),
        (Cow::Borrowed(_), Cow::Owned(made)) => Some(made.clone()),
        (Cow::Borrowed(_), Cow::Borrowed(_)) => None,
    };
    // At the front, where a file may have a byte order mark.
    let decoded = decoder.decode_prepared(&prepared, 0);
    let covered = decoder.covered(&prepared);
    let fields = reader.read(&prepared).unwrap_or_default();
    let record = reader.record(&fields, stream);
    let role = |(role, at): (Role, Option<usize>)| {
        let field = plan.fields(role).get(at?)?;
        let value = record.field(&field.path).map(|value| shown_value(&value)).unwrap_or_default();
        Some((role, field.path.clone(), value))
    };
    let roles = covered.into_iter().filter_map(role).collect();
    let (fate, says) = match &decoded {
        Ok(Decoded::Event(event)) => {
            let (is_probe, is_aside) = (decoder.is_probe(), decoder.is_aside());
            let fate = match decoder.source() {
                _ if is_probe => "a probe of health, which is no request",
                RequestSource::Timed if is_aside => "work inside a request",
                RequestSource::Outgoing if is_aside => "a call to another service",
                _ if is_aside => "a request as another source tells it, which counts once",
                _ => kind(event.kind),
            };
            (fate.to_owned(), says(event, Intern::names(decoder.interner())))
        }
        Ok(Decoded::Outside) => ("left out as asked".to_owned(), Vec::new()),
        Err(reason) => (format!("rejected: {}", why(*reason)), Vec::new()),
    };
    // Where something is taken out of lines, they are shown without it.
    let redacts = plan.preparation.stages.iter().any(|stage| !stage.redact.is_empty());
    let shown = if redacts { prepared.into_owned() } else { line.to_owned() };
    Explained { stream: stream.to_owned(), line: shown, made, fate, roles, says }
}

fn shown_value(value: &FieldValue<'_>) -> String {
    match value {
        FieldValue::Str(text) => text.to_string(),
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Bool(b) => b.to_string(),
        FieldValue::List(values) => values.iter().map(shown_value).collect::<Vec<_>>().join(", "),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "a request",
        Kind::Span => "work inside a request",
        Kind::Log => "a log line",
        Kind::Exposure => "an exposure",
        Kind::Business => "a business event",
    }
}

/// Why a line counts nowhere, and what helps.
fn why(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::NotUtf8 => "it is not UTF-8",
        RejectReason::TooLong => "it is longer than 16 MiB",
        RejectReason::Malformed => "it begins like a JSON object and is none, or was cut",
        RejectReason::UnknownFormat => {
            "no known form: neither JSON, an access log, logfmt, syslog, a line of a table whose header is known, nor text that begins with a time"
        }
        RejectReason::NoTime => "no field with a time; name it with --role time=FIELD",
        RejectReason::BadTime => "its time is in no known notation; name another field with --role time=FIELD",
        RejectReason::TimeOutOfRange => "its time lies outside 1980 to 2200",
        RejectReason::Quarantined => "its time lies far ahead, and no other line agrees",
        RejectReason::TooManyNames => "there are too many services",
        RejectReason::BothArms => "both arm queries match it",
        RejectReason::CrashText => "text that a runtime writes when a program dies",
    }
}

fn says(event: &Event, names: &Names) -> Vec<(&'static str, String)> {
    let mut list = vec![("time", event.time.to_string())];
    if let Some(service) = names.services.get(usize::from(event.service)) {
        list.push(("service", service.to_string()));
    }
    for (what, name) in [("arm", name_at(&names.arms, event.arm)), ("route", name_at(&names.routes, event.route))] {
        list.extend(name.map(|name| (what, name.clone())));
    }
    list.push(("unit", if event.unit == 0 { "none".to_owned() } else { "named".to_owned() }));
    if event.status_class > 0 {
        list.push(("status", format!("{}xx", event.status_class)));
    }
    if event.latency_us != NO_LATENCY {
        list.push(("latency", format!("{} ms", event.latency_us as f64 / 1e3)));
    }
    if event.error {
        list.push(("failed", "yes".to_owned()));
    }
    list
}

fn arms(plan: &Plan) -> String {
    match &plan.arms {
        ArmRule::None => {
            "no field tells the arms apart; name one with --arm-by FIELD, or give --baseline and --canary".to_owned()
        }
        ArmRule::Field(field) => format!("the values of `{}`", harmless(field, 80)),
        ArmRule::PodTemplate { path, .. } => format!("the pod template in `{}`", harmless(path, 80)),
        ArmRule::Queries { .. } => "the two queries that were given".to_owned(),
        ArmRule::Hash { .. } => "a random split of units".to_owned(),
    }
}

fn in_words(
    counts: &BTreeMap<String, u64>,
    shown: &[Explained],
    found: &crate::pipeline::survey::Survey,
    ways: usize,
) -> String {
    let mut out = String::new();
    let all: u64 = counts.values().sum();
    let _infallible = writeln!(out, "The first {} lines:", grouped(all));
    let mut fates: Vec<(&String, &u64)> = counts.iter().collect();
    fates.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for (fate, count) in fates {
        let _infallible = writeln!(out, "  {:>7}  {fate}", percent(*count as f64 / all.max(1) as f64));
    }
    let _infallible = writeln!(out, "\nFields that play a role (--role ROLE=FIELD names another):");
    for report in &found.roles {
        for (field, lines) in report.fields.iter().filter(|(_, lines)| *lines > 0) {
            let part = percent(*lines as f64 / all.max(1) as f64);
            let _infallible =
                writeln!(out, "  {:<12} {:<32} in {part} of lines", report.role.name(), harmless(&field.path, 60));
        }
    }
    let _infallible = writeln!(out, "  unit         {}", found.plan.unit.name());
    let _infallible = writeln!(out, "  arms         {}", arms(&found.plan));
    for note in &found.notes {
        let _infallible = writeln!(out, "  note: {}", harmless(note, 400));
    }
    for (number, of) in shown.iter().enumerate() {
        let _infallible = writeln!(out, "\n{}. {} ({})", number + 1, of.fate, harmless(&of.stream, 80));
        let _infallible = writeln!(out, "   {}", harmless(&of.line, SHOWN));
        if let Some(made) = &of.made {
            let _infallible = writeln!(out, "   is read as {}", harmless(made, SHOWN));
        }
        let said = of.says.iter().map(|(what, value)| format!("{what} {}", harmless(value, 80))).collect::<Vec<_>>();
        if !said.is_empty() {
            let _infallible = writeln!(out, "   says: {}", said.join(", "));
        }
        let from = of.roles.iter().map(|(role, field, value)| {
            format!("{} from {} = {}", role.name(), harmless(field, 60), harmless(value, 60))
        });
        let from = from.collect::<Vec<_>>();
        if !from.is_empty() {
            let _infallible = writeln!(out, "   {}", from.join("\n   "));
        }
    }
    if ways > shown.len() {
        let _infallible =
            writeln!(out, "\n{} more ways in which lines are read are not shown (--lines N)", ways - shown.len());
    }
    out
}

fn document(counts: &BTreeMap<String, u64>, shown: &[Explained], found: &crate::pipeline::survey::Survey) -> Value {
    let one = |of: &Explained| {
        let roles =
            of.roles.iter().map(|(role, field, value)| json!({ "role": role.name(), "field": field, "value": value }));
        let says: Map<String, Value> =
            of.says.iter().map(|(what, value)| ((*what).to_owned(), Value::from(value.as_str()))).collect();
        json!({
            "stream": of.stream,
            "line": of.line,
            "read_as": of.made,
            "fate": of.fate,
            "says": says,
            "roles": roles.collect::<Vec<_>>(),
        })
    };
    let fields = found.roles.iter().flat_map(|report| {
        let of = report.fields.iter().filter(|(_, lines)| *lines > 0);
        of.map(|(field, lines)| json!({ "role": report.role.name(), "field": field.path, "lines": lines }))
    });
    json!({
        "document": "explain",
        "version": 1,
        "lines": counts,
        "fields": fields.collect::<Vec<_>>(),
        "unit": found.plan.unit.name(),
        "arms": arms(&found.plan),
        "notes": found.notes,
        "examples": shown.iter().map(one).collect::<Vec<_>>(),
    })
}
