//! Units of latency fields whose name does not tell.
//!
//! In this order: what else the same lines say of the same work (its start and end, another latency whose unit is known);
//! then the usual unit of such values, unless more requests would be in flight at once than is plausible: how many are, is
//! their rate times their mean latency (Little's law).

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::decode::without_mark;
use crate::pipeline::json::{self, Value};
use crate::pipeline::plan::FieldRef;
use crate::pipeline::roles::{self, LatencyUnit, Role};
use crate::pipeline::survey::Head;
use crate::pipeline::survey::fields::PathCount;
use crate::pipeline::{clock, number};
use crate::time::Timestamp;

/// Integers from this median on are nanoseconds: as milliseconds half of the requests would take longer than a quarter
/// of an hour.
const NANOS_FROM: f64 = 1_000_000.0;

/// A median from here on is doubtful, in microseconds.
const DOUBTFUL_US: f64 = 600e6;

/// Requests in flight at once above which another unit is more plausible, where half of them would take longer than
/// [`LONG_US`]; and however long they take.
const IN_FLIGHT_MAX: [f64; 2] = [200.0, 5_000.0];

/// A second, in microseconds.
const LONG_US: f64 = 1e6;

/// Lines on which two statements about one piece of work are compared, at least.
const COMPARED_MIN: usize = 10;

/// Fields that say how long the work behind a proxy took, in seconds: a part of the whole.
const PARTS_IN_SECONDS: [&str; 2] = ["upstream_response_time", "upstream_time"];

/// What to log where whole seconds are too coarse.
pub(super) const COARSE_ADVICE: &str =
    "Log it finer: %D or %{ms}T in Apache, $request_time in nginx, milliseconds in a program";

/// Whole seconds tell nothing of latencies where half of them are 0 or 1: a request three times as slow is still 0.
/// `small`: values of 0 or 1, of `all`.
pub(super) fn is_too_coarse(small: u64, all: u64) -> bool {
    all > 0 && small * 2 >= all
}

/// The note on a unit that is a guess: which other units the values may be in.
pub(super) fn other_units(path: &str, unit: LatencyUnit) -> String {
    let mut others = LatencyUnit::ALL.into_iter().filter(|other| *other != unit).map(LatencyUnit::name);
    let first = others.next().unwrap_or_default();
    let rest: Vec<&str> = others.collect();
    format!("--role latency={path}:{first} (or :{})", rest.join(", :"))
}

/// What the lines of the sample say beside the values of a field.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Of each field without a known unit, by path: its value beside what the same line says of the same work in
    /// microseconds, by the name of what says it.
    beside: BTreeMap<String, BTreeMap<String, Vec<(f64, f64)>>>,
    /// Of the same fields: sum of values, first and last time of the lines that have one.
    sums: BTreeMap<String, Sum>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    values: f64,
    span: Option<(Timestamp, Timestamp)>,
}

impl Evidence {
    /// Looks at every line once more, where a field does not name its unit.
    pub(super) fn of(heads: &[Head<'_>], roles: &BTreeMap<Role, Vec<FieldRef>>) -> Evidence {
        let mut evidence = Evidence::default();
        let fields = |role: Role| roles.get(&role).map_or(&[][..], Vec::as_slice);
        let (unnamed, named): (Vec<&FieldRef>, Vec<&FieldRef>) =
            fields(Role::Latency).iter().partition(|field| unit_of(field).is_none());
        if unnamed.is_empty() {
            return evidence;
        }
        for line in heads.iter().flat_map(|head| head.lines.iter()).map(|line| without_mark(line)) {
            if !line.trim_ascii_start().starts_with('{') {
                // An access line: its units are known by now.
                continue;
            }
            let time_of = |field: &FieldRef| {
                json::lookup(line, &field.path).and_then(text_of).and_then(|text| clock::parse_time(&text).ok())
            };
            let end = fields(Role::Time).iter().find_map(|field| Some((time_of(field)?, field)));
            let start = fields(Role::Start).iter().find_map(time_of);
            for field in &unnamed {
                let Some(value) = json::lookup(line, &field.path).and_then(number_of).filter(|value| *value > 0.0)
                else {
                    continue;
                };
                evidence.add(&field.path, value, end.map(|(time, _)| time).or(start));
                let mut beside = |name: &str, micros: f64| {
                    if micros > 0.0 {
                        let of_field = evidence.beside.entry(field.path.clone()).or_default();
                        of_field.entry(name.to_owned()).or_default().push((value, micros));
                    }
                };
                if let (Some(start), Some((end, of_end))) = (start, end)
                    && roles::is_end_time(&of_end.path)
                {
                    beside("the time from its start to its end", (end.0 - start.0) as f64);
                }
                for other in &named {
                    let unit = unit_of(other).unwrap_or(LatencyUnit::Millis);
                    if let Some(latency) = json::lookup(line, &other.path).and_then(number_of) {
                        beside(&format!("`{}`", other.path), latency * unit.micros());
                    }
                }
                for part in PARTS_IN_SECONDS {
                    if let Some(latency) = json::lookup(line, part).and_then(number_of) {
                        beside(&format!("`{part}`"), latency * 1e6);
                    }
                }
            }
        }
        evidence
    }

    fn add(&mut self, path: &str, value: f64, time: Option<Timestamp>) {
        let sum = self.sums.entry(path.to_owned()).or_default();
        sum.values += value;
        if let Some(time) = time {
            let (first, last) = sum.span.unwrap_or((time, time));
            sum.span = Some((first.min(time), last.max(time)));
        }
    }

    /// The unit in which a field says what its lines say elsewhere, and what that is: within a factor of 5 in the median,
    /// where units lie a factor of 1,000 apart.
    fn agreeing(&self, path: &str) -> Option<(LatencyUnit, &str)> {
        self.beside.get(path)?.iter().find_map(|(name, pairs)| {
            let mut ratios: Vec<f64> = pairs.iter().map(|(value, micros)| micros / value).collect();
            ratios.sort_by(f64::total_cmp);
            let median = ratios.get(ratios.len() / 2).copied().filter(|_| ratios.len() >= COMPARED_MIN)?;
            let unit = LatencyUnit::ALL
                .into_iter()
                .find(|unit| (unit.micros() / 5.0..=unit.micros() * 5.0).contains(&median))?;
            Some((unit, name.as_str()))
        })
    }

    /// Requests that would be in flight at once, were the values in this unit; `None` when the times do not tell.
    fn in_flight(&self, path: &str, unit: LatencyUnit) -> Option<f64> {
        let sum = self.sums.get(path)?;
        let (first, last) = sum.span.filter(|(first, last)| last > first)?;
        Some(sum.values * unit.micros() / (last.0 - first.0) as f64)
    }
}

fn unit_of(field: &FieldRef) -> Option<LatencyUnit> {
    field.unit.or(LatencyUnit::of_field(&field.path))
}

/// The unit of a field that a known logger writes, told by the fields beside it.
fn unit_of_logger(path: &str, paths: &BTreeMap<String, PathCount>) -> Option<LatencyUnit> {
    let has = |names: &[&str]| names.iter().all(|name| paths.contains_key(*name));
    let last = path.rsplit('.').next().unwrap_or(path);
    match last {
        // Traefik writes Go's durations.
        "Duration" if has(&["DownstreamStatus"]) => Some(LatencyUnit::Nanos),
        // Serilog's log of requests, whose template says so too.
        "Elapsed" if has(&["@mt"]) || has(&["MessageTemplate"]) => Some(LatencyUnit::Millis),
        "duration" if has(&["resp_headers"]) || has(&["err_trace"]) => Some(LatencyUnit::Seconds),
        // Lograge.
        "duration" if has(&["controller", "action", "format"]) => Some(LatencyUnit::Millis),
        // Lines of logback's encoder for accesses.
        "elapsed_time" if has(&["requested_uri"]) => Some(LatencyUnit::Millis),
        // Azure's gateway of the first version; that of the second has fractions of a second.
        "timeTaken" if has(&["category"]) && paths.get(path).is_some_and(|count| count.fractions > 0) => {
            Some(LatencyUnit::Seconds)
        }
        _ => None,
    }
}

fn text_of(value: Value<'_>) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_owned()),
        Value::String(text) => Some(text.get().into_owned()),
        Value::Null | Value::Bool(_) | Value::Object(_) | Value::Array(_) => None,
    }
}

fn number_of(value: Value<'_>) -> Option<f64> {
    text_of(value).and_then(|text| number::parse_f64(&text))
}

/// Latency fields without a telling name: the unit is taken from all that the lines say, and that is told.
pub(super) fn name_latency_units(
    roles: &mut BTreeMap<Role, Vec<FieldRef>>,
    paths: &BTreeMap<String, PathCount>,
    evidence: &Evidence,
    guessed: &mut BTreeSet<String>,
    notes: &mut Vec<String>,
) {
    let Some(fields) = roles.get_mut(&Role::Latency) else { return };
    let mut coarse = Vec::new();
    for field in fields.iter_mut() {
        let count = paths.get(&field.path).cloned().unwrap_or_default();
        let (is_coarse, zeros_and_ones, scalars) = (count.is_coarse(), count.zeros_and_ones, count.scalars);
        // A number in quotes is one, as nginx writes them.
        let fractions = count.fractions + count.quoted.iter().filter(|number| number.fract() != 0.0).count() as u64;
        let mut numbers = [count.numbers, count.quoted].concat();
        numbers.sort_by(f64::total_cmp);
        let median = numbers.get(numbers.len() / 2).copied().unwrap_or(0.0);
        let path = &field.path;
        let named = unit_of(field).or(unit_of_logger(path, paths));
        let usual = if fractions == 0 && median >= NANOS_FROM {
            LatencyUnit::Nanos
        } else if fractions * 2 > numbers.len() as u64 && median < 5.0 {
            LatencyUnit::Seconds
        } else {
            LatencyUnit::Millis
        };
        let mut why = String::new();
        let unit = if let Some(unit) = named {
            unit
        } else if let Some((unit, name)) = evidence.agreeing(path) {
            why = format!(", by {name} of the same lines");
            unit
        } else {
            if !numbers.is_empty() {
                guessed.insert(path.clone());
            }
            let is_plausible = |unit: &LatencyUnit| {
                // A busy service has many short requests in flight.
                let [most, most_of_all] = IN_FLIGHT_MAX;
                let most = if median * unit.micros() >= LONG_US { most } else { most_of_all };
                evidence.in_flight(path, *unit).is_none_or(|number| number <= most)
            };
            let from = LatencyUnit::ALL.iter().position(|unit| *unit == usual).unwrap_or(0);
            let unit = LatencyUnit::ALL.into_iter().skip(from).find(is_plausible).unwrap_or(usual);
            if unit != usual {
                let number = evidence.in_flight(path, usual).unwrap_or(0.0);
                why = format!(", since as {} {number:.0} requests would be in flight at once", usual.name());
            }
            unit
        };
        field.unit = Some(unit);
        if unit == LatencyUnit::Seconds && is_coarse {
            notes.push(format!(
                "latency: `{path}` is not read: it is in whole seconds, and 0 or 1 in {zeros_and_ones} of {scalars} lines, which is too coarse. {COARSE_ADVICE}"
            ));
            guessed.remove(path);
            coarse.push(path.clone());
            continue;
        }
        if named.is_none() && !numbers.is_empty() {
            notes.push(format!(
                "latency: `{path}` does not name its unit; read as {unit} (median {median}){why}. If that is wrong: {others}",
                unit = unit.name(),
                others = other_units(path, unit),
            ));
        }
        let seconds = median * unit.micros() / 1e6;
        if seconds * 1e6 > DOUBTFUL_US {
            notes.push(format!(
                "latency: half of `{path}` would be above {:.0} minutes when read as {}; that is doubtful. Name its unit with {}, or another field",
                seconds / 60.0,
                unit.name(),
                other_units(path, unit),
            ));
        }
    }
    fields.retain(|field| !coarse.contains(&field.path));
}
