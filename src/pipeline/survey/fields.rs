//! Which field plays which role, by the names and values of all fields.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::decode::{ACCESS_DURATION, ACCESS_ROLES, PROXY_STATUS, without_mark};
use crate::pipeline::json::{self, Str, Value};
use crate::pipeline::plan::FieldRef;
use crate::pipeline::roles::{self, LatencyUnit, Role, StatusNotation};
use crate::pipeline::survey::units_of_latency::is_too_coarse;
use crate::pipeline::survey::{Head, Wishes};
use crate::pipeline::{access, clock, number, shape, values};

/// Distinct paths that are counted; further ones are not considered for roles.
const PATHS_MAX: usize = 4096;
/// Depth to which objects are looked into.
const DEPTH_MAX: usize = 5;

/// Counts of one path.
#[derive(Clone, Debug, Default)]
pub(super) struct PathCount {
    lines: u64,
    pub(super) scalars: u64,
    objects: u64,
    pub(super) numbers: Vec<f64>,
    pub(super) fractions: u64,
    /// Numbers in quotes.
    pub(super) quoted: Vec<f64>,
    /// Scalars that are whole numbers, also in quotes; and those of them that are 0 or 1.
    whole: u64,
    pub(super) zeros_and_ones: u64,
    texts: u64,
    /// Lines whose value could be a status.
    statuses: u64,
    /// Of these: 0, which is "no answer" in a proxy's log and "all is well" in others.
    zeros: u64,
    values: BTreeSet<String>,
}

impl PathCount {
    /// Distinct values, as far as they are counted.
    pub(super) fn distinct(&self) -> usize {
        self.values.len()
    }

    /// Nearly all are request lines: `GET /cart HTTP/1.1`. Whoever scans a server sends it other bytes too.
    fn is_request_line(&self) -> bool {
        let lines = self.values.iter().filter(|text| access::request_line(text).2.is_some()).count();
        lines > 0 && lines * 5 >= self.values.len() * 4
    }

    /// Some are times without a year.
    pub(super) fn has_yearless(&self) -> bool {
        self.values.iter().any(|text| clock::is_yearless(text))
    }

    /// All are dates in which the day and the month may be either of two numbers: `01/06/2026 10:00:00`.
    pub(super) fn has_ambiguous_dates(&self) -> bool {
        let is_number =
            |text: &str| text.len() <= 2 && text.parse::<u32>().is_ok_and(|number| (1..=31).contains(&number));
        let is_date = |text: &String| {
            let mut parts = text.split(['/', '.', '-']);
            let (day, month, rest) = (parts.next(), parts.next(), parts.next());
            let year = rest.and_then(|rest| rest.get(..4));
            day.is_some_and(is_number)
                && month.is_some_and(is_number)
                && year.is_some_and(|year| year.bytes().all(|byte| byte.is_ascii_digit()))
                && text.contains(':')
        };
        !self.values.is_empty() && self.values.iter().all(is_date)
    }

    /// In seconds, the values would tell nothing of latencies.
    pub(super) fn is_coarse(&self) -> bool {
        self.whole == self.scalars && is_too_coarse(self.zeros_and_ones, self.scalars)
    }

    /// Most lines have a status here. (Not most distinct values: a few odd lines have more of those than all healthy ones.)
    fn mostly_statuses(&self, path: &str) -> bool {
        let zero_is_status = path == PROXY_STATUS || StatusNotation::of_field(path) != StatusNotation::Http;
        let zeros_of_codes = if zero_is_status { 0 } else { self.zeros * 2 };
        self.statuses * 10 >= self.scalars * 8 && zeros_of_codes <= self.statuses
    }
}

/// What the lines of the sample are made of.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Counts of each path.
    pub(super) paths: BTreeMap<String, PathCount>,
    /// Lines that are JSON objects.
    pub(super) json_lines: u64,
    /// Lines of access logs.
    pub(super) access_lines: u64,
    /// Lines of access logs in which something wraps them; they are objects.
    pub(super) wrapped_access: u64,
    /// Lines of access logs with a request time as nginx writes it.
    pub(super) access_timed: u64,
}

impl Seen {
    /// Looks at every line.
    pub(super) fn of(heads: &[Head<'_>]) -> Seen {
        let mut seen = Seen::default();
        let known: BTreeSet<&str> = Role::ALL.iter().flat_map(|role| role.known_names().iter().copied()).collect();
        for line in heads.iter().flat_map(|head| head.lines.iter()).map(|line| without_mark(line)) {
            if line.trim_ascii_start().starts_with('{') {
                let mut values = Vec::new();
                if collect(line, "", 0, &mut values).is_ok() {
                    seen.json_lines += 1;
                    if let Some(text) = shape::access_in(line)
                        && let Some(access) = access::parse_access(&text)
                    {
                        seen.wrapped_access += 1;
                        seen.access_timed += u64::from(access.request_time.is_some());
                    }
                    values.iter().for_each(|(path, value)| count_path(&mut seen.paths, &known, path, value));
                }
            } else if let Some(access) = access::parse_access(line) {
                seen.access_lines += 1;
                seen.access_timed += u64::from(access.request_time.is_some());
                if let Some(duration) = access.duration {
                    count_path(&mut seen.paths, &known, ACCESS_DURATION, &Value::Number(duration));
                }
            }
        }
        seen
    }

    /// Access lines end in how long the request took: nearly all end in one whole number, and none has nginx's time.
    pub(super) fn has_durations(&self) -> bool {
        let durations = self.paths.get(ACCESS_DURATION).map_or(0, |count| count.scalars);
        self.access_timed == 0 && durations > 0 && durations * 10 >= (self.access_lines + self.wrapped_access) * 9
    }
}
fn collect<'a>(
    text: &'a str,
    prefix: &str,
    depth: usize,
    seen: &mut Vec<(String, Value<'a>)>,
) -> Result<(), json::Malformed> {
    let mut nested = Vec::new();
    json::scan_object(text, &mut |key: Str<'a>, value: Value<'a>| {
        let path = if prefix.is_empty() { key.get().into_owned() } else { format!("{prefix}.{}", key.get()) };
        if let Value::Object(raw) = value {
            nested.push((path.clone(), raw));
        }
        if seen.len() < PATHS_MAX {
            seen.push((path, value));
        }
    })?;
    if depth < DEPTH_MAX {
        for (path, raw) in nested {
            collect(raw, &path, depth + 1, seen)?;
        }
    }
    Ok(())
}

fn count_path(paths: &mut BTreeMap<String, PathCount>, known: &BTreeSet<&str>, path: &str, value: &Value<'_>) {
    // One line with very many fields must not hide those that play a role in all others.
    if !paths.contains_key(path) && paths.len() >= PATHS_MAX && !known.contains(path) {
        return;
    }
    let count = paths.entry(path.to_owned()).or_default();
    count.lines += 1;
    let text = match value {
        Value::Null => return,
        Value::Object(_) | Value::Array(_) => {
            count.objects += 1;
            return;
        }
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => {
            if let Some(number) = number::parse_f64(n) {
                if count.numbers.len() < 4096 {
                    count.numbers.push(number);
                }
                count.fractions += u64::from(number.fract() != 0.0);
            }
            (*n).to_owned()
        }
        Value::String(s) => {
            count.texts += 1;
            let text = s.get().into_owned();
            if count.quoted.len() < 4096 {
                count.quoted.extend(number::parse_f64(text.trim_ascii()));
            }
            text
        }
    };
    count.scalars += 1;
    // nginx writes `0.000`, which is finer than a second.
    let is_whole = |number: &f64| number.fract() == 0.0 && (!text.contains('.') || text.ends_with(".0"));
    if let Some(number) = number::parse_f64(&text).filter(is_whole) {
        count.whole += 1;
        count.zeros_and_ones += u64::from((0.0..=1.0).contains(&number));
    }
    count.statuses += u64::from(values::status_in(&text, StatusNotation::of_field(path)).is_some());
    count.zeros += u64::from(text == "0");
    if count.values.len() < 64 && text.len() < 200 {
        count.values.insert(text);
    }
}

/// Numbers of seconds since 1970, from 2001 to 2099, read as milliseconds, in microseconds.
const SECONDS_AS_MILLIS: std::ops::Range<u64> = 1_000_000_000_000..4_100_000_000_000;

/// What nginx calls the line of a request in full; it says method and route.
const REQUEST_LINE: &str = "request";

/// Fields of every line of bunyan, whose name is that of the service.
const BUNYAN: [&str; 5] = ["v", "pid", "hostname", "level", BUNYAN_NAME];
const BUNYAN_NAME: &str = "name";

/// When MongoDB wrote a line, and its severity.
const MONGO_TIME: &str = "t.$date";
const MONGO_LEVEL: &str = "s";

/// Fields of known names in the objects in which loggers put them.
fn wrapped_fields(role: Role, paths: &BTreeMap<String, PathCount>) -> Vec<FieldRef> {
    let wrappers = roles::WRAPPERS.iter().filter(|wrapper| paths.contains_key(**wrapper));
    let names = wrappers.flat_map(|wrapper| role.known_names().iter().map(move |name| format!("{wrapper}.{name}")));
    names
        .filter(|path| !role.known_names().contains(&path.as_str()))
        .filter(|path| paths.get(path).is_some_and(|count| count.scalars > 0))
        .map(|path| FieldRef { path, unit: None })
        .collect()
}

pub(super) fn choose_fields(seen: &Seen, wishes: &Wishes) -> BTreeMap<Role, Vec<FieldRef>> {
    let (paths, access) = (&seen.paths, seen.access_lines + seen.wrapped_access > 0);
    let mut roles: BTreeMap<Role, Vec<FieldRef>> = BTreeMap::new();
    for role in Role::ALL {
        if let Some(fields) = wishes.roles.get(&role) {
            roles.insert(role, fields.clone());
            continue;
        }
        let preferred = wishes.preferred.get(&role).into_iter().flatten();
        let mut fields: Vec<FieldRef> = role
            .known_names()
            .iter()
            .filter(|path| {
                // What failed may be told in an object; and where nothing has failed yet, the field is null.
                let told = |count: &PathCount| count.scalars > 0 || (role == Role::Error && count.lines > 0);
                paths.get(**path).is_some_and(told)
            })
            .map(|path| FieldRef { path: (*path).to_owned(), unit: None })
            .collect();
        if role == Role::Latency {
            // API Gateway calls the time of a request `requestTime`.
            let is_read = |text: &String| values::latency_us(text, LatencyUnit::Millis).is_some();
            let is_there =
                |count: &PathCount| count.scalars > 0 && (count.values.is_empty() || count.values.iter().any(is_read));
            let by_rule = paths.iter().filter(|(path, count)| is_there(count) && roles::is_latency(path));
            fields.extend(by_rule.map(|(path, _)| FieldRef { path: path.clone(), unit: None }));
        }
        if matches!(role, Role::Route | Role::Method)
            && fields.is_empty()
            && paths.get(REQUEST_LINE).is_some_and(PathCount::is_request_line)
        {
            fields.push(FieldRef { path: REQUEST_LINE.to_owned(), unit: None });
        }
        if role.may_be_wrapped() && (role != Role::Time || fields.is_empty()) {
            fields.extend(wrapped_fields(role, paths));
        }
        if role == Role::Service && fields.is_empty() && BUNYAN.iter().all(|path| paths.contains_key(*path)) {
            fields.push(FieldRef { path: BUNYAN_NAME.to_owned(), unit: None });
        }
        if role == Role::Level && fields.is_empty() && paths.contains_key(MONGO_TIME) {
            fields.push(FieldRef { path: MONGO_LEVEL.to_owned(), unit: None });
        }
        if role == Role::Route {
            // Logstash calls the file so that it read.
            let is_file = |count: &PathCount| count.values.iter().all(|text| text.ends_with(".log"));
            fields.retain(|field| field.path != "path" || !paths.get("path").is_some_and(is_file));
        }
        fields.splice(0..0, preferred.cloned());
        let mut known = BTreeSet::new();
        fields.retain(|field| known.insert(field.path.clone()));
        if role == Role::Time {
            // nginx calls a time so, others a duration.
            let is_time = |text: &String| clock::parse_time(text).is_ok();
            fields.retain(|f| {
                f.path != "msec" || paths.get("msec").is_some_and(|count| count.values.iter().all(is_time))
            });
        }
        if role == Role::Latency {
            // Some call the time of a request so, and its latency otherwise.
            let is_preferred = |path: &String| {
                wishes.preferred.get(&role).is_some_and(|list| list.iter().any(|field| field.path == *path))
            };
            let is_no_latency = |count: &PathCount| {
                !count.values.is_empty()
                    && count.values.iter().all(|text| {
                        values::latency_us(text, LatencyUnit::Millis).is_none_or(|us| SECONDS_AS_MILLIS.contains(&us))
                    })
            };
            let is_told = |path: &String| !is_preferred(path) && paths.get(path).is_some_and(is_no_latency);
            if fields.iter().any(|field| !is_told(&field.path)) {
                fields.retain(|field| !is_told(&field.path));
            }
        }
        if role == Role::Status {
            // A field of this name that holds no statuses ("status": "shipped") must not hide one that does.
            let is_preferred = |path: &String| {
                wishes.preferred.get(&role).is_some_and(|list| list.iter().any(|field| field.path == *path))
            };
            let is_status = |path: &String| paths.get(path).is_some_and(|count| count.mostly_statuses(path));
            fields.retain(|field| is_preferred(&field.path) || is_status(&field.path));
        }
        for (_, path) in ACCESS_ROLES.iter().filter(|(of, _)| access && *of == role) {
            if fields.iter().any(|field| field.path == *path) {
                continue;
            }
            let unit = (role == Role::Latency).then_some(LatencyUnit::Seconds);
            fields.push(FieldRef { path: (*path).to_owned(), unit });
            if role == Role::Latency && seen.has_durations() {
                fields.push(FieldRef { path: ACCESS_DURATION.to_owned(), unit: None });
            }
        }
        fields.truncate(6);
        if !fields.is_empty() {
            roles.insert(role, fields);
        }
    }
    // `log` and `event` are texts of a line only when nothing better is.
    roles
}
