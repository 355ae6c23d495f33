//! Fields whose values are segments: groups of units that are looked at by themselves.
//!
//! A segment must say who a unit is, and nothing of what happened to it: a field whose value changes from request to
//! request may follow from the outcome, and one that says which arm a line belongs to would compare an arm with nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Intern, Kind, SEGMENT_FIELDS_MAX};
use crate::pipeline::decode::{Decoded, Decoder, is_no_segment, without_mark};
use crate::pipeline::json;
use crate::pipeline::plan::{ArmRule, EVENT_NAME_FIELDS, Plan, UnitKind};
use crate::pipeline::roles::{self, Role};
use crate::pipeline::survey::Head;
use crate::pipeline::survey::arms::scalar_text;
use crate::pipeline::survey::fields::Seen;

/// How the fields of segments were chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SegmentsFrom {
    /// The user named them, or wants none.
    Named,
    /// The first lines show them.
    #[default]
    Found,
}

/// Segments of a survey.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SegmentFields {
    /// How they were chosen.
    pub from: SegmentsFrom,
    /// Fields that might have been segments, with why they are none.
    pub left_out: Vec<(String, String)>,
    /// Fields that the user named and that can be none, with the reason.
    pub refused: Vec<(String, String)>,
}

/// Most distinct values of a field that is found.
const VALUES_MAX: usize = 50;
/// Fields that are looked at closely.
const LOOKED_AT_MAX: usize = 32;
/// Fields that were left out and are listed.
const LEFT_OUT_MAX: usize = 8;
/// Share of a sample's lines that a field is on at least.
const COVERAGE_MIN: f64 = 0.2;
/// Lines of the sample with a value that is not the most frequent one, at least.
const MINORITY_MIN: u64 = 10;
/// Units of several lines that tell whether a value stays.
const UNITS_MIN: u64 = 20;
/// How far the later lines of a unit must agree with its first beyond chance (Cohen's kappa): of a field that is found, and of
/// one that the user names. What follows from the outcome of a request agrees about as often as chance has it, however rare
/// one of its values is.
const STAYS_MIN: f64 = 0.7;
const NAMED_STAYS_MIN: f64 = 0.3;
/// Lines of arms other than the largest that tell whether a field says the arm.
const ARM_LINES_MIN: u64 = 10;
/// Lines of a value that tell in which arms it is.
const VALUE_LINES_MIN: u64 = 5;
/// Share of these lines whose value the largest arm never has, from which on the field says the arm.
const APART_MIN: f64 = 0.9;
/// Share of each arm's lines with one value, from which on the arm says the value.
const FOLLOWS_MIN: f64 = 0.95;

/// Last parts of the names of fields that are usually segments, the most telling first, in lower case and without marks.
const KNOWN: [&str; 34] = [
    "country",
    "countrycode",
    "countryisocode",
    "geo",
    "region",
    "market",
    "city",
    "zone",
    "availabilityzone",
    "cell",
    "cellid",
    "shard",
    "tenant",
    "tenantid",
    "org",
    "plan",
    "tier",
    "segment",
    "customertype",
    "usertype",
    "device",
    "devicetype",
    "devicemodel",
    "platform",
    "os",
    "osname",
    "ostype",
    "appversion",
    "clientversion",
    "sdkversion",
    "browser",
    "browsername",
    "locale",
    "language",
];

/// Place of a field among the known ones, by the last parts of its path.
fn rank(path: &str) -> usize {
    let letters = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let mut parts = path.rsplit('.').map(letters);
    let last = parts.next().unwrap_or_default();
    let two = format!("{}{last}", parts.next().unwrap_or_default());
    let place = |name: &str| KNOWN.iter().position(|known| *known == name);
    place(&two).or_else(|| place(&last)).unwrap_or(KNOWN.len())
}

/// The name is that of an identity: `user_id`, `spanId`.
fn is_id(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    let lower = last.to_ascii_lowercase();
    lower == "id" || last.ends_with("Id") || last.ends_with("ID") || lower.ends_with("_id") || lower.ends_with("-id")
}

/// What the sample shows of one field.
#[derive(Debug, Default)]
struct Field {
    lines: u64,
    /// Lines by value and arm; arms as the decoder of the stream names them.
    values: BTreeMap<String, BTreeMap<String, u64>>,
    /// Of each unit: its first value, and whether it had several lines.
    units: BTreeMap<u64, (String, bool)>,
    /// Later lines of units, and those of them with their unit's first value.
    again: [u64; 2],
    /// Order in which values first came, line by line: equal for fields that say the same.
    partition: u64,
}

/// Why a field is none that changes with each request.
const CHANGES: &str = "changes from request to request of one unit";

/// Agreement of the later lines of units with their first, beyond chance; `None` where too few units come again, or there is
/// but one value.
fn stays(field: &Field) -> Option<f64> {
    let units = field.units.values().filter(|(_, again)| *again).count() as u64;
    let share = |lines: u64| lines as f64 / field.lines.max(1) as f64;
    let by_chance: f64 = field.values.values().map(|arms| share(arms.values().sum::<u64>())).map(|p| p * p).sum();
    let [again, same] = field.again;
    let enough = units >= UNITS_MIN && by_chance < 1.0;
    enough.then(|| (same as f64 / again as f64 - by_chance) / (1.0 - by_chance))
}

/// Why a field is no segment.
fn problem(field: &Field, requests: u64, path: &str, has_numbers: bool) -> Option<String> {
    let known = rank(path) < KNOWN.len();
    if field.values.len() > VALUES_MAX {
        return Some(format!("more than {VALUES_MAX} values"));
    }
    if is_id(path) && !known {
        return Some("an id".to_owned());
    }
    if (field.lines as f64) < COVERAGE_MIN * requests as f64 {
        return Some("on few requests".to_owned());
    }
    if let Some(problem) = of_arm(field) {
        return Some(problem);
    }
    let of_value = |arms: &BTreeMap<String, u64>| arms.values().sum::<u64>();
    let most = field.values.values().map(of_value).max().unwrap_or(0);
    if field.lines - most < MINORITY_MIN {
        return Some("nearly always the same value".to_owned());
    }
    match stays(field) {
        Some(kappa) if kappa < STAYS_MIN => return Some(CHANGES.to_owned()),
        Some(_) => {}
        None if known => {}
        None => return Some("nothing shows that it stays with its unit".to_owned()),
    }
    (has_numbers && !known).then(|| "a number".to_owned())
}

/// The field says which arm a line belongs to, or the arm says its value.
fn of_arm(field: &Field) -> Option<String> {
    let mut arms: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    // A value that comes once is in one arm, whatever it says.
    let often = field.values.iter().filter(|(_, of_arms)| of_arms.values().sum::<u64>() >= VALUE_LINES_MIN);
    for (value, of_arms) in often {
        for (arm, lines) in of_arms.iter().filter(|(arm, _)| !arm.is_empty()) {
            *arms.entry(arm).or_default().entry(value).or_default() += lines;
        }
    }
    let lines = |of: &BTreeMap<&str, u64>| of.values().sum::<u64>();
    let (largest, of_largest) = arms.iter().max_by_key(|(arm, of)| (lines(of), std::cmp::Reverse(**arm)))?;
    let others = || arms.iter().filter(|(arm, _)| *arm != largest);
    let of_others: u64 = others().map(|(_, of)| lines(of)).sum();
    if of_others < ARM_LINES_MIN {
        return None;
    }
    let apart = others().flat_map(|(_, of)| of).filter(|(value, _)| !of_largest.contains_key(*value));
    let apart: u64 = apart.map(|(_, lines)| lines).sum();
    let top = |of: &BTreeMap<&str, u64>| {
        of.iter().max_by_key(|(_, lines)| **lines).map(|(value, n)| ((*value).to_owned(), *n))
    };
    let tops: Vec<(String, bool)> = arms
        .values()
        .filter(|of| lines(of) >= ARM_LINES_MIN)
        .filter_map(|of| top(of).map(|(value, n)| (value, n as f64 >= FOLLOWS_MIN * lines(of) as f64)))
        .collect();
    let distinct: BTreeSet<&String> = tops.iter().map(|(value, _)| value).collect();
    let follows = tops.len() > 1 && tops.iter().all(|(_, follows)| *follows) && distinct.len() > 1;
    (apart as f64 >= APART_MIN * of_others as f64 || follows).then(|| "it says which arm a line belongs to".to_owned())
}

/// Fields that give the arms or the unit.
fn taken(plan: &Plan) -> BTreeSet<&str> {
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    match &plan.arms {
        ArmRule::Field(path) | ArmRule::PodTemplate { path, .. } => {
            taken.insert(path);
        }
        ArmRule::None | ArmRule::Queries { .. } | ArmRule::Hash { .. } => {}
    }
    if let Some((_, role)) = UnitKind::BY_ROLE.into_iter().find(|(unit, _)| *unit == plan.unit) {
        taken.extend(plan.fields(role).iter().map(|field| field.path.as_str()));
    }
    taken
}

/// A field of the sample that may be a segment.
fn may_be(path: &str, plan: &Plan) -> bool {
    let of_role = plan.roles.iter().any(|(role, fields)| {
        *role != Role::Version && *role != Role::Variant && fields.iter().any(|field| field.path == path)
    });
    let known = roles::role_of_known(path).is_none_or(|role| role == Role::Version);
    !of_role && known && !taken(plan).contains(path) && !EVENT_NAME_FIELDS.contains(&path)
}

/// Looks at fields of the requests of a sample; returns them with the number of requests that have a unit.
fn look_at(heads: &[Head<'_>], plan: &Plan, paths: &[String]) -> (Vec<Field>, u64) {
    let mut fields: Vec<Field> = paths.iter().map(|_| Field::default()).collect();
    let mut labels: Vec<BTreeMap<String, u64>> = vec![BTreeMap::new(); paths.len()];
    let mut requests = 0;
    for head in heads {
        let mut decoder = Decoder::new(plan, head.stream);
        for (at, line) in head.lines.iter().enumerate() {
            let Ok(Decoded::Event(event)) = decoder.decode(line, at as u64) else { continue };
            if event.kind != Kind::Request || event.unit == 0 {
                continue;
            }
            requests += 1;
            let arm = crate::event::name_at(&decoder.interner().names().arms, event.arm).cloned().unwrap_or_default();
            for ((path, field), labels) in paths.iter().zip(&mut fields).zip(&mut labels) {
                let value = json::lookup(without_mark(line), path).and_then(scalar_text);
                let Some(value) = value.filter(|value| !is_no_segment(value)) else {
                    field.partition = crate::event::mix(field.partition, 0);
                    continue;
                };
                field.lines += 1;
                let next = labels.len() as u64 + 1;
                let label = *labels.entry(value.clone()).or_insert(next);
                field.partition = crate::event::mix(field.partition, label);
                match field.units.get_mut(&event.unit) {
                    Some((first, again)) => {
                        *again = true;
                        field.again[0] += 1;
                        field.again[1] += u64::from(*first == value);
                    }
                    None => {
                        field.units.insert(event.unit, (value.clone(), false));
                    }
                }
                // One more than may be: past it there are too many.
                if field.values.len() <= VALUES_MAX || field.values.contains_key(&value) {
                    *field.values.entry(value).or_default().entry(arm.clone()).or_default() += 1;
                }
            }
        }
    }
    (fields, requests)
}

/// Chooses the fields of segments. `asked`: what the user named; an empty list wants none.
pub(super) fn choose_segments(
    heads: &[Head<'_>],
    seen: &Seen,
    plan: &mut Plan,
    asked: Option<&Vec<String>>,
) -> SegmentFields {
    let mut segments = SegmentFields::default();
    if let Some(asked) = asked {
        segments.from = SegmentsFrom::Named;
        let (fields, _) = look_at(heads, plan, asked);
        for (path, field) in asked.iter().zip(&fields) {
            let why = match taken(plan).contains(path.as_str()) {
                true => Some("it gives the arm or the unit of a line".to_owned()),
                false => of_arm(field).or_else(|| {
                    let kappa = stays(field).filter(|_| field.values.len() <= VALUES_MAX);
                    kappa.filter(|kappa| *kappa < NAMED_STAYS_MIN).map(|_| CHANGES.to_owned())
                }),
            };
            segments.refused.extend(why.map(|why| (path.clone(), why)));
        }
        plan.segments = asked.iter().take(SEGMENT_FIELDS_MAX).cloned().collect();
        return segments;
    }
    if plan.arms == ArmRule::None {
        return segments;
    }
    let mut paths: Vec<String> = Vec::new();
    for (path, count) in &seen.paths {
        let many = count.scalars as f64 >= COVERAGE_MIN * seen.json_lines as f64;
        if !may_be(path, plan) || !many || count.distinct() < 2 || count.fractions > 0 {
            continue;
        }
        if count.distinct() <= VALUES_MAX {
            paths.push(path.clone());
        } else {
            segments.left_out.push((path.clone(), format!("more than {VALUES_MAX} values")));
        }
    }
    paths.sort_by_key(|path| (rank(path), path.clone()));
    paths.truncate(LOOKED_AT_MAX);
    if !paths.is_empty() {
        let (fields, requests) = look_at(heads, plan, &paths);
        let mut chosen: Vec<(u64, String)> = Vec::new();
        for (path, field) in paths.iter().zip(&fields) {
            let has_numbers = seen.paths.get(path).is_some_and(|count| !count.numbers.is_empty());
            let same = chosen.iter().find(|(partition, _)| *partition == field.partition).map(|(_, other)| other);
            let why = problem(field, requests, path, has_numbers)
                .or_else(|| same.map(|other| format!("it says the same as `{other}`")))
                .or_else(|| {
                    (chosen.len() >= SEGMENT_FIELDS_MAX).then(|| format!("{SEGMENT_FIELDS_MAX} fields come before it"))
                });
            match why {
                Some(why) => segments.left_out.push((path.clone(), why)),
                None => chosen.push((field.partition, path.clone())),
            }
        }
        plan.segments = chosen.into_iter().map(|(_, path)| path).collect();
    }
    segments.left_out.sort_by_key(|(path, _)| (rank(path), path.clone()));
    segments.left_out.truncate(LEFT_OUT_MAX);
    segments
}
