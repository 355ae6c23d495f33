//! Queries that find exactly the lines behind a number of a report ([`crate::query`]; docs/search.md).
//!
//! They are text alone: whoever has the lines can ask, `serin search FILE... QUERY` or a running `serin run`.

use super::guardrails::Row;
use super::segments::SegmentRow;
use crate::compare::verdict::{Behaviour, Cell};
use crate::engine::bucket_sums::BucketSums;
use crate::engine::comparison::Comparison;
use crate::engine::latency_tests::Level;
use crate::engine::pair_test::Ranked;
use crate::engine::units::Arm;
use crate::event::ServiceKey;
use crate::pipeline::plan::{FieldRef, Plan};
use crate::pipeline::roles::Role;
use crate::sketch::latency::bin_low;
use crate::time::Timestamp;

/// Distinct units, as a figure of `/v1/aggregate` counts them.
const UNITS: &str = "_unit";

/// Lines behind a number, and the number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Lines {
    /// A query that finds them.
    pub query: String,
    /// What of them the number counts: `lines`, or the field whose distinct values it counts.
    pub counted: String,
    /// The number, as the verdict rests on it; `None` where it counts less than all of these lines.
    pub count: Option<u64>,
}

impl Lines {
    fn new(query: String, counted: &str, count: u64) -> Lines {
        Lines { query, counted: counted.to_owned(), count: Some(count) }
    }
}

/// Lines of a service between two times: of its environment and cell, where services are cut into cells.
fn of_service(plan: &Plan, service: &ServiceKey, from: Timestamp, until: Timestamp) -> String {
    let cells = plan.fields(Role::Cell);
    let mut place = String::new();
    if !cells.is_empty() {
        if !service.environment.is_empty() {
            place.push_str(&format!(" AND {}", of_role(plan.fields(Role::Environment), &service.environment)));
        }
        place.push_str(&format!(" AND {}", of_role(cells, &service.cell)));
    }
    let service = match service.service.as_str() {
        // Lines of a log that names no service have none.
        "" => "NOT _exists_:_service".to_owned(),
        name => format!("_service:{}", quoted(name)),
    };
    format!("{service}{place} AND _time:[{from} TO {until}}}")
}

/// Lines in which the first field of a role that has a value has this one; without a value, lines of which no field of it says anything.
pub(in crate::cli) fn of_role(fields: &[FieldRef], value: &str) -> String {
    let mut query = String::new();
    for field in fields.iter().rev() {
        let name = path(&field.path);
        query = match (value, query.as_str()) {
            ("", "") => format!("(NOT _exists_:{name} OR {name}:({NO_VALUES}))"),
            ("", rest) => format!("((NOT _exists_:{name} AND {rest}) OR {name}:({NO_VALUES}))"),
            (value, "") => format!("{name}:{}", quoted(value)),
            (value, rest) => format!("({name}:{} OR (NOT _exists_:{name} AND {rest}))", quoted(value)),
        };
    }
    query
}

/// What stands in a field of cells where there is none, as the decoder has it.
const NO_VALUES: &str = r#""" OR "-" OR "null" OR "undefined" OR "nil""#;

/// Requests of an arm, or those of them that failed.
pub(in crate::cli) fn of_requests(
    plan: &Plan,
    service: &ServiceKey,
    arm: &str,
    failed: bool,
    from: Timestamp,
    until: Timestamp,
) -> String {
    let failed = if failed { " AND _failed:true" } else { "" };
    let lines = of_service(plan, service, from, until);
    format!("_kind:request{failed} AND _arm:{} AND {lines}", quoted(arm))
}

/// Lines of a template at level error or worse, or below.
pub(in crate::cli) fn of_template(
    plan: &Plan,
    (template, severe): (u64, bool),
    service: &ServiceKey,
    from: Timestamp,
    until: Timestamp,
) -> String {
    let level = if severe { "_level>=error" } else { "NOT _level>=error" };
    let lines = of_service(plan, service, from, until);
    format!("_template:\"{template:016x}\" AND {level} AND {lines}")
}

/// A text as the value of a query.
pub(in crate::cli) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Lines of both arms.
type Both = [Lines; 2];

/// The judged service and time of a comparison, and what of a query is the same for everything that is asked.
struct Asked<'c> {
    plan: &'c Plan,
    comparison: &'c Comparison,
    service: &'c ServiceKey,
}

impl Asked<'_> {
    fn arm(&self, arm: usize) -> &str {
        if arm == Arm::Control.at() { &self.comparison.control } else { &self.comparison.candidate }
    }

    /// Lines of an arm of the judged service that meet `what`.
    fn of(&self, what: &str, arm: usize) -> String {
        let lines = of_service(self.plan, self.service, self.comparison.started_at, self.comparison.ended_at);
        format!("{what} AND _arm:{} AND {lines}", quoted(self.arm(arm)))
    }

    /// The same of both arms, with what is counted of them.
    fn both(&self, what: &str, counted: &str, counts: [u64; 2]) -> Both {
        [0, 1].map(|arm| Lines::new(self.of(what, arm), counted, counts[arm]))
    }

    /// Requests that the tests count have a unit.
    fn requests(&self, what: &str, counted: &str, counts: [u64; 2]) -> Both {
        self.both(&format!("_kind:request AND _exists_:_unit{what}"), counted, counts)
    }
}

fn sums(of: &BucketSums) -> [u64; 2] {
    of.sums().map(|sum| u64::try_from(sum).unwrap_or(0))
}

/// The lowest latency, in milliseconds, that lies above a threshold.
fn above(threshold: u16) -> String {
    let us = bin_low(threshold + 1);
    format!(" AND _latency:>={}.{:03}ms", us / 1_000, us % 1_000)
}

/// Lines of control and candidate behind the numbers of a guardrail; `None` where no query can say them: how often one unit has failed,
/// and who never came.
pub(in crate::cli) fn of_guardrail(
    plan: &Plan,
    comparison: &Comparison,
    service: &ServiceKey,
    row: &Row,
) -> Option<Both> {
    let asked = Asked { plan, comparison, service };
    let latency = |level: Level| {
        let threshold = comparison.latency.threshold(level)?;
        let counts = sums(&comparison.latency.above[level as usize]);
        Some(asked.requests(&above(threshold), "lines", counts))
    };
    match row.cell {
        Cell::ErrorUnits => {
            let counts = comparison.error_units.totals().map(|(_, erring)| erring);
            Some(asked.requests(" AND _failed:true", UNITS, counts))
        }
        Cell::ErrorVolume => Some(asked.requests(" AND _failed:true", "lines", sums(&comparison.error_volume))),
        Cell::LatencyMean => Some(asked.requests(" AND _exists_:_latency", "lines", comparison.latency.mean.events())),
        Cell::LatencyP50 => latency(Level::P50),
        Cell::LatencyP90 => latency(Level::P90),
        Cell::LatencyP99 => latency(Level::P99),
        Cell::LatencyP99Units => {
            let threshold = comparison.latency.threshold(Level::P99)?;
            // Units count from when the threshold was known.
            Some(asked.requests(&above(threshold), UNITS, [0; 2]).map(|lines| Lines { count: None, ..lines }))
        }
        Cell::Deficit => Some(asked.requests("", UNITS, comparison.units())),
        Cell::ErrorUnits8 | Cell::ErrorUnits64 | Cell::Unanswered => None,
    }
}

/// Requests of a segment's units: all of them, and those that failed. A unit is in the segment that it names first, so of units that
/// name several there may be fewer or more.
pub(in crate::cli) fn of_segment(
    plan: &Plan,
    comparison: &Comparison,
    service: &ServiceKey,
    row: &SegmentRow,
) -> [Both; 2] {
    let asked = Asked { plan, comparison, service };
    let mut what = String::new();
    for (field, value) in &row.parts {
        what.push_str(&format!(" AND {}:{}", path(field), quoted(value)));
    }
    let of = |failed: &str, counts: [u64; 2]| asked.requests(&format!("{what}{failed}"), UNITS, counts);
    [of("", row.member.units), of(" AND _failed:true", row.member.erring)]
}

/// Something that changed, with the lines behind it.
pub(in crate::cli) struct Changed {
    /// The group.
    pub group: Behaviour,
    /// What of the group: a service, a route, a class of status; empty where the group says it.
    pub what: String,
    /// Lines of control and candidate.
    pub lines: Both,
}

/// Categories of a group that are listed.
const CATEGORIES_LISTED: usize = 20;

/// What changed, with the lines behind it. Templates have their own list; of requests that a further attempt recovered no query can say
/// which they are.
pub(in crate::cli) fn of_changes(comparison: &Comparison, service: &ServiceKey, plan: &Plan) -> Vec<Changed> {
    let asked = Asked { plan, comparison, service };
    let trace = plan.fields(Role::Trace).first().map(|field| field.path.clone());
    let mut uncut = plan.clone();
    uncut.roles.remove(&Role::Cell);
    let mut list = Vec::new();
    for group in comparison.look.changed_groups() {
        let mut add = |what: &str, lines: Both| list.push(Changed { group, what: what.to_owned(), lines });
        let ranked = |of: &Ranked<'_>| of.totals.map(|(_, met)| met);
        match group {
            Behaviour::LinesPerTrace => {
                let Some(trace) = trace.as_deref().filter(|_| comparison.lines.events() != [0; 2]) else { continue };
                // All lines of the arm that name a trace, of whatever service.
                let time = format!("_time:[{} TO {}}}", comparison.started_at, comparison.ended_at);
                let lines = [0, 1].map(|arm| {
                    let query = format!("_exists_:{} AND _arm:{} AND {time}", path(trace), quoted(asked.arm(arm)));
                    Lines::new(query, trace, comparison.lines.events()[arm])
                });
                add("", lines);
            }
            Behaviour::CalledServices => {
                let Some(trace) = trace.as_deref() else { continue };
                for of in comparison.called.ranked().iter().take(CATEGORIES_LISTED) {
                    // Whether those that are called name the cell nobody knows; their traces are those of its requests.
                    let called = ServiceKey { service: of.name.to_owned(), ..ServiceKey::default() };
                    let of_called = Asked { plan: &uncut, comparison, service: &called };
                    add(of.name, of_called.both(&format!("_exists_:{}", path(trace)), trace, ranked(of)));
                }
            }
            Behaviour::Routes => {
                for of in comparison.routes.ranked().iter().take(CATEGORIES_LISTED) {
                    let route = match of.name {
                        "" => " AND NOT _exists_:_route".to_owned(),
                        name => format!(" AND _route:{}", quoted(name)),
                    };
                    add(of.name, asked.requests(&route, UNITS, ranked(of)));
                }
            }
            Behaviour::StatusClasses => {
                for of in comparison.statuses.ranked().iter().take(CATEGORIES_LISTED) {
                    add(of.name, asked.requests(&format!(" AND _status:{}", quoted(of.name)), UNITS, ranked(of)));
                }
            }
            Behaviour::WarningLines => {
                let what = "_level>=warn AND NOT (_kind:request AND _failed:true)";
                add("", asked.both(what, "lines", sums(&comparison.warnings)));
            }
            Behaviour::Faster => {
                let counts = comparison.latency.mean.events();
                add("", asked.requests(" AND _exists_:_latency", "lines", counts));
            }
            Behaviour::Templates | Behaviour::RecoveredByRetry => {}
        }
    }
    list
}

/// A path as queries have it.
pub(in crate::cli) fn path(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    path.chars().map(|c| if plain(c) { c.to_string() } else { format!("\\{c}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::survey::{Wishes, survey};
    use crate::query::{self, Query, Record};
    use serde_json::Value;

    struct Fields(Value);

    impl Record for Fields {
        fn field(&self, path: &str) -> Option<query::Value<'_>> {
            self.0.get(path)?.as_str().map(|text| query::Value::Str(text.into()))
        }
    }

    /// A plan in which these fields name the cell.
    fn plan(cells: &[&str]) -> Plan {
        let of = |path: &&str| FieldRef { path: (*path).to_owned(), unit: None };
        let mut plan = survey(&[], &Wishes::default()).plan;
        plan.roles.insert(Role::Environment, vec![of(&"env")]);
        plan.roles.insert(Role::Cell, cells.iter().map(of).collect());
        plan
    }

    #[test]
    fn lines_of_a_cell_are_those_that_name_it_first() {
        let key = |environment: &str, cell: &str| ServiceKey {
            environment: environment.to_owned(),
            cell: cell.to_owned(),
            service: "shop".to_owned(),
        };
        let lines = [
            (r#"{"_service":"shop","city":"geneva"}"#, ["", "geneva"]),
            (r#"{"_service":"shop","city":"basel","region":"geneva","env":"prod"}"#, ["prod", "basel"]),
            (r#"{"_service":"shop","city":null,"region":"geneva"}"#, ["", "geneva"]),
            (r#"{"_service":"shop","region":"-"}"#, ["", ""]),
            (r#"{"_service":"shop","city":"","region":"geneva"}"#, ["", ""]),
            (r#"{"_service":"shop","env":"prod"}"#, ["prod", ""]),
        ];
        let places = [["", "geneva"], ["prod", "basel"], ["", ""], ["prod", ""], ["", "basel"]];
        let (cut, uncut) = (plan(&["city", "region"]), plan(&[]));
        for [environment, cell] in places {
            let query = of_service(&cut, &key(environment, cell), Timestamp(0), Timestamp(1));
            let query = Query::parse(query.split(" AND _time").next().unwrap()).unwrap();
            for (line, [of_environment, of_cell]) in lines {
                let is_it = cell == of_cell && (environment.is_empty() || environment == of_environment);
                let fields = Fields(serde_json::from_str(line).unwrap());
                assert_eq!(query.matches(&fields), is_it, "{line} and {environment}/{cell}: {}", query.source());
            }
        }
        assert!(!of_service(&uncut, &key("prod", ""), Timestamp(0), Timestamp(1)).contains("prod"));
    }

    #[test]
    fn a_latency_above_a_threshold_is_written_to_the_microsecond() {
        assert_eq!(above(0), format!(" AND _latency:>=0.{:03}ms", bin_low(1)));
        let (threshold, us) = (600, bin_low(601));
        let text = above(threshold);
        let query = Query::parse(text.trim_start_matches(" AND ")).unwrap();
        assert!(query.tree().to_string().contains(&format!("{}ms", us as f64 / 1e3)), "{text} is {}", query.tree());
        assert_eq!(path("a-b.c d"), "a\\-b.c\\ d");
    }

    #[test]
    fn any_name_can_stand_in_a_query() {
        let key =
            |service: &str| ServiceKey { environment: String::new(), cell: String::new(), service: service.to_owned() };
        let (from, until) = (Timestamp(0), Timestamp(1_000_000));
        let plan = plan(&[]);
        for name in ["shop", "a \"b\" \\", "", "(x)"] {
            for text in [
                of_requests(&plan, &key(name), name, true, from, until),
                of_template(&plan, (7, true), &key(name), from, until),
            ] {
                assert!(Query::parse(&text).is_ok(), "{text}");
            }
        }
        assert_eq!(
            of_requests(&plan, &key("shop"), "2.0", true, from, until),
            "_kind:request AND _failed:true AND _arm:\"2.0\" AND _service:\"shop\" AND \
             _time:[1970-01-01T00:00:00Z TO 1970-01-01T00:00:01Z}"
        );
    }
}
