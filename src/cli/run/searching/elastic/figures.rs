//! Aggregations of Elasticsearch's DSL: buckets within buckets, and figures of each.
//!
//! Each level of buckets is counted with one question to the index, by all fields down to it; then the levels are put together.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Failed;
use super::query::{self, Reader, TIME};
use crate::cli::compare;
use crate::index::{Counted, Figure, Index, KnownField, Metric, Partial};
use crate::query::Node;
use crate::time::{DAY, HOUR, MINUTE, Micros, SECOND, Timestamp};

/// Levels of buckets, and aggregations in all.
const LEVELS_MAX: usize = 4;
const AGGREGATIONS_MAX: usize = 32;
/// Filters of one aggregation.
const FILTERS_MAX: usize = 20;
/// Buckets of one list.
const BUCKETS_MAX: usize = 10_000;
/// Shares that are asked where none is named.
const PERCENTS: [f64; 7] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0];

type Read<T> = Result<T, Failed>;

/// How a figure is shown.
#[derive(Clone, Debug)]
enum Shown {
    /// Of times: in milliseconds, and as text.
    Time(bool),
    Average,
    Least,
    Most,
    Sum,
    Count,
    Stats,
    Distinct,
    Percentiles {
        percents: Vec<f64>,
        is_keyed: bool,
    },
}

/// Buckets.
#[derive(Debug)]
enum Buckets {
    Terms { field: String, size: usize, order: Vec<(String, bool)>, least: u64 },
    Dates { every: Micros, ahead: Micros, least: u64, bounds: Option<(Micros, Micros)>, as_millis: bool },
    Filters(Vec<(String, Node)>),
}

/// Figures and buckets of one level.
#[derive(Debug, Default)]
pub(super) struct Level {
    metrics: Vec<(String, Shown, Metric)>,
    buckets: Vec<(String, Buckets, Level)>,
}

/// One part of the key of a bucket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Part {
    Time(Micros),
    Text(String),
}

/// How keys are made of what the index says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dimension {
    Time,
    Field,
}

/// What was counted of a level.
struct Table {
    lines: BTreeMap<Vec<Part>, (u64, Vec<Figure>)>,
    inner: Vec<Inner>,
}

enum Inner {
    One(Table),
    Filters(Vec<Table>),
}

/// Reads aggregations.
pub(super) struct Levels<'t, 'r> {
    pub reader: &'r mut Reader<'t>,
    /// Fields that there are.
    pub known: &'r BTreeMap<String, &'static str>,
    /// Makes trees of filters.
    pub resolve: &'r dyn Fn(&Node) -> Read<Node>,
    /// A field may hold numbers.
    pub may_be_number: &'r dyn Fn(&KnownField) -> bool,
    count: usize,
}

fn only(of: &Map<String, Value>, name: &str, allowed: &[&str]) -> Read<()> {
    match of.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(other) => Err(Failed::parsing(&format!("[{name}] does not support [{other}] here"))),
        None => Ok(()),
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A whole number of a body, as number or text; `usual` where it is not said.
fn whole_number(body: &Map<String, Value>, name: &str, usual: u64) -> Read<u64> {
    body.get(name)
        .map_or(Some(usual), number)
        .ok_or_else(|| Failed::parsing(&format!("[{name}] is a whole number, and not negative")))
}

impl<'t, 'r> Levels<'t, 'r> {
    pub(super) fn new(
        reader: &'r mut Reader<'t>,
        known: &'r BTreeMap<String, &'static str>,
        resolve: &'r dyn Fn(&Node) -> Read<Node>,
        may_be_number: &'r dyn Fn(&KnownField) -> bool,
    ) -> Levels<'t, 'r> {
        Levels { reader, known, resolve, may_be_number, count: 0 }
    }

    /// What `aggs` asks.
    pub(super) fn read(&mut self, value: &Value) -> Read<Level> {
        self.level(value, 0)
    }

    fn field(&self, of: &Map<String, Value>, name: &str) -> Read<String> {
        let field = of.get("field").and_then(Value::as_str);
        let field = field.ok_or_else(|| Failed::parsing(&format!("[{name}] needs [field]")))?;
        let path = self.reader.path(field);
        if path != crate::index::UNIT && path != TIME && !self.known.contains_key(&path) {
            return Err(Failed::no_field(&path, self.known.keys().map(String::as_str)));
        }
        Ok(path)
    }

    fn level(&mut self, value: &Value, depth: usize) -> Read<Level> {
        let list = value.as_object().ok_or_else(|| Failed::parsing("[aggs] must be an object"))?;
        let mut level = Level::default();
        for (name, of) in list {
            self.count += 1;
            if self.count > AGGREGATIONS_MAX || depth > LEVELS_MAX {
                let words = format!("at most {AGGREGATIONS_MAX} aggregations, and {LEVELS_MAX} levels of buckets");
                return Err(Failed::of(400, "too_many_buckets_exception", &words));
            }
            let of = of.as_object().ok_or_else(|| Failed::parsing("an aggregation must be an object"))?;
            let inner = match (of.get("aggs"), of.get("aggregations")) {
                (Some(_), Some(_)) => return Err(Failed::parsing("[aggs] and [aggregations] are one; say it once")),
                (inner, other) => inner.or(other),
            };
            let mut kinds = of.iter().filter(|(key, _)| !["aggs", "aggregations", "meta"].contains(&key.as_str()));
            let (Some((kind, body)), None) = (kinds.next(), kinds.next()) else {
                return Err(Failed::parsing(&format!("aggregation [{name}] needs one type")));
            };
            let body = body.as_object().ok_or_else(|| Failed::parsing(&format!("[{kind}] must be an object")))?;
            if let Some((shown, metric)) = self.metric(kind, body)? {
                if inner.is_some() {
                    return Err(Failed::parsing(&format!(
                        "[{kind}] has no buckets, so there is nothing to aggregate in it"
                    )));
                }
                level.metrics.push((name.clone(), shown, metric));
                continue;
            }
            let buckets = self.buckets(kind, body)?;
            let inner = inner.map_or(Ok(Level::default()), |inner| self.level(inner, depth + 1))?;
            level.buckets.push((name.clone(), buckets, inner));
        }
        Ok(level)
    }

    fn metric(&self, kind: &str, body: &Map<String, Value>) -> Read<Option<(Shown, Metric)>> {
        let shown = match kind {
            "avg" => Shown::Average,
            "min" => Shown::Least,
            "max" => Shown::Most,
            "sum" => Shown::Sum,
            "value_count" => {
                only(body, kind, &["field"])?;
                return Ok(Some((Shown::Count, Metric::Values(self.field(body, kind)?))));
            }
            "stats" => Shown::Stats,
            "cardinality" => {
                only(body, kind, &["field", "precision_threshold"])?;
                return Ok(Some((Shown::Distinct, Metric::Distinct(self.field(body, kind)?))));
            }
            "percentiles" => {
                only(body, kind, &["field", "percents", "keyed", "tdigest", "hdr"])?;
                let percents = match body.get("percents") {
                    None => PERCENTS.to_vec(),
                    Some(Value::Array(list)) if list.len() <= 50 => {
                        let of = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
                        let list: Option<Vec<f64>> = list.iter().map(of).collect();
                        list.filter(|list| list.iter().all(|percent| (0.0..=100.0).contains(percent)))
                            .ok_or_else(|| Failed::parsing("[percents] are numbers from 0 to 100"))?
                    }
                    Some(_) => return Err(Failed::parsing("[percents] is a list of at most 50 numbers")),
                };
                let is_keyed = match body.get("keyed") {
                    None => true,
                    Some(Value::Bool(is)) => *is,
                    Some(_) => return Err(Failed::parsing("[keyed] is true or false")),
                };
                if let Some(way) =
                    ["tdigest", "hdr"].into_iter().find(|way| body.get(*way).is_some_and(|of| !of.is_object()))
                {
                    return Err(Failed::parsing(&format!("[{way}] is an object")));
                }
                let field = self.number_field(body, kind)?;
                if field == TIME || self.known.get(&field) == Some(&"date") {
                    return Err(Failed::parsing("[percentiles] are of numbers: of times they would be months off"));
                }
                let metric = Metric::Quantiles(field, percents.iter().map(|of| of / 100.0).collect());
                return Ok(Some((Shown::Percentiles { percents, is_keyed }, metric)));
            }
            "terms" | "date_histogram" | "filters" => return Ok(None),
            other => {
                return Err(Failed::parsing(&format!(
                    "unknown aggregation type [{other}]; there are avg, cardinality, date_histogram, filters, max, min, percentiles, stats, \
                     sum, terms, value_count"
                )));
            }
        };
        only(body, kind, &["field"])?;
        let field = self.number_field(body, kind)?;
        let is_time = field == TIME || self.known.get(&field) == Some(&"date");
        let shown = match shown {
            Shown::Least if is_time => Shown::Time(false),
            Shown::Most if is_time => Shown::Time(true),
            shown => shown,
        };
        Ok(Some((shown, Metric::Stats(field))))
    }

    /// A field of numbers or times.
    fn number_field(&self, body: &Map<String, Value>, kind: &str) -> Read<String> {
        let field = self.field(body, kind)?;
        let known = self.known.get(&field).map(|kind| KnownField { path: field.clone(), kind });
        if known.is_some_and(|known| !(self.may_be_number)(&known)) {
            return Err(Failed::parsing(&format!("[{kind}] needs a field of numbers, and [{field}] is none")));
        }
        Ok(field)
    }

    fn buckets(&mut self, kind: &str, body: &Map<String, Value>) -> Read<Buckets> {
        match kind {
            "terms" => {
                only(
                    body,
                    kind,
                    &["field", "size", "order", "min_doc_count", "shard_size", "show_term_doc_count_error"],
                )?;
                let size = body.get("size").map_or(Some(10), number).filter(|size| *size <= BUCKETS_MAX as u64);
                let size = size.ok_or_else(|| Failed::parsing(&format!("[size] is at most {BUCKETS_MAX}")))?;
                let least = whole_number(body, "min_doc_count", 1)?;
                if least == 0 {
                    return Err(Failed::parsing(
                        "[min_doc_count] of [terms] is at least 1: values without lines are not known",
                    ));
                }
                let mut order = Vec::new();
                let list: Option<Vec<&Map<String, Value>>> = match body.get("order") {
                    None => Some(Vec::new()),
                    Some(Value::Array(list)) => list.iter().map(Value::as_object).collect(),
                    Some(one) => one.as_object().map(|one| vec![one]),
                };
                let list = list.ok_or_else(|| Failed::parsing("[order] is an object, or a list of them"))?;
                for (key, way) in list.into_iter().flatten() {
                    let is_down = match way.as_str() {
                        Some("asc") => false,
                        Some("desc") => true,
                        _ => return Err(Failed::parsing("[order] is asc or desc")),
                    };
                    order.push((key.clone(), is_down));
                }
                if order.is_empty() {
                    order.push(("_count".to_owned(), true));
                }
                Ok(Buckets::Terms { field: self.field(body, kind)?, size: size as usize, order, least })
            }
            "date_histogram" => self.dates(body),
            _ => {
                only(body, kind, &["filters"])?;
                let list = body.get("filters").and_then(Value::as_object);
                let list = list.filter(|list| list.len() <= FILTERS_MAX);
                let list = list.ok_or_else(|| {
                    Failed::parsing(&format!("[filters] is an object with at most {FILTERS_MAX} named filters"))
                })?;
                let mut filters = Vec::new();
                for (name, filter) in list {
                    let node = self.reader.node(filter)?;
                    filters.push((name.clone(), (self.resolve)(&node)?));
                }
                Ok(Buckets::Filters(filters))
            }
        }
    }

    fn dates(&mut self, body: &Map<String, Value>) -> Read<Buckets> {
        let allowed = [
            "field",
            "fixed_interval",
            "calendar_interval",
            "interval",
            "min_doc_count",
            "extended_bounds",
            "format",
            "time_zone",
            "offset",
        ];
        only(body, "date_histogram", &allowed)?;
        if self.field(body, "date_histogram")? != TIME {
            return Err(Failed::parsing(
                "[date_histogram] is of the event time: @timestamp, or the field that lines have it in",
            ));
        }
        if body.get("offset").is_some_and(|offset| !matches!(offset.as_str(), Some("0" | "0s" | "0ms"))) {
            return Err(Failed::parsing("[offset] is not supported"));
        }
        let ahead = match body.get("time_zone") {
            None => 0,
            Some(zone) => zone
                .as_str()
                .and_then(|zone| if matches!(zone, "UTC" | "utc") { Some(0) } else { super::super::table::zone(zone) })
                .ok_or_else(|| {
                    Failed::parsing("[time_zone] is UTC or an offset like +02:00; names of zones are not known")
                })?,
        };
        let mut intervals = ["fixed_interval", "calendar_interval", "interval"]
            .into_iter()
            .filter_map(|key| Some((key, body.get(key)?)));
        let (key, interval) = match (intervals.next(), intervals.next()) {
            (Some((key, Value::String(interval))), None) => (key, interval.as_str()),
            _ => {
                return Err(Failed::parsing(
                    "[date_histogram] needs one of [fixed_interval], [calendar_interval]: a text like 1m",
                ));
            }
        };
        // Days of calendars are of one length where zones are offsets, and weeks begin on Monday.
        let (every, shift) = match (interval, key) {
            ("minute" | "1m", "calendar_interval") | ("minute", _) => (MINUTE, 0),
            ("hour" | "1h", "calendar_interval") | ("hour", _) => (HOUR, 0),
            ("day" | "1d", "calendar_interval") | ("day", _) => (DAY, 0),
            ("week" | "1w", _) => (7 * DAY, 3 * DAY),
            ("1M" | "month" | "1q" | "quarter" | "1y" | "year", _) => {
                return Err(Failed::parsing("[calendar_interval] is at most a week"));
            }
            (_, "calendar_interval") => {
                return Err(Failed::parsing(
                    "[calendar_interval] is 1m, 1h, 1d or 1w; [fixed_interval] takes any length",
                ));
            }
            (text, _) => {
                (compare::duration(text).map_err(|error| Failed::parsing(&format!("interval: {error:#}")))?, 0)
            }
        };
        if every < SECOND / 1_000 {
            return Err(Failed::parsing("[fixed_interval] is at least 1ms"));
        }
        let bounds = match body.get("extended_bounds") {
            None => None,
            Some(bounds) => Some(self.bounds(bounds)?),
        };
        let as_millis = match body.get("format").map(Value::as_str) {
            None | Some(Some("strict_date_optional_time" | "date_time" | "strict_date_time")) => false,
            Some(Some("epoch_millis")) => true,
            Some(_) => return Err(Failed::parsing("[format] is epoch_millis or strict_date_optional_time here")),
        };
        let least = whole_number(body, "min_doc_count", 0)?;
        Ok(Buckets::Dates { every, ahead: ahead + shift, least, bounds, as_millis })
    }
}

impl Levels<'_, '_> {
    /// Between which times there are to be stretches even without a line.
    fn bounds(&self, bounds: &Value) -> Read<(Micros, Micros)> {
        let wrong = || Failed::parsing("[extended_bounds] has [min] and [max]: milliseconds, or times as of RFC 3339");
        let fields = bounds.as_object().ok_or_else(wrong)?;
        only(fields, "extended_bounds", &["min", "max"])?;
        let of = |key: &str| match fields.get(key) {
            Some(Value::Number(number)) => number.as_i64().map(|millis| millis.saturating_mul(1_000)),
            Some(Value::String(text)) => match text.parse::<i64>() {
                Ok(millis) => Some(millis.saturating_mul(1_000)),
                Err(_) => crate::query::date_of(text),
            },
            _ => None,
        };
        Ok((of("min").ok_or_else(wrong)?, of("max").ok_or_else(wrong)?))
    }
}

/// Counts.
pub(super) struct Counting<'i> {
    pub index: &'i Index,
    pub stop: &'i dyn Fn() -> bool,
    pub known: &'i BTreeMap<String, &'static str>,
}

/// The answer, and why it is not whole.
pub(super) type Answer = (Map<String, Value>, Option<Partial>);

impl Counting<'_> {
    /// All figures of a level.
    pub(super) fn answer(&self, level: &Level, tree: &Node) -> Read<Answer> {
        let mut partial = None;
        let table = self.table(level, tree, &[], None, &[], &mut partial)?;
        Ok((self.shown(level, &table, &[])?, partial))
    }

    fn table(
        &self,
        level: &Level,
        tree: &Node,
        by: &[String],
        every: Option<(Micros, Micros)>,
        order: &[Dimension],
        partial: &mut Option<Partial>,
    ) -> Read<Table> {
        let metrics: Vec<Metric> = level.metrics.iter().map(|(_, _, metric)| metric.clone()).collect();
        let counted =
            self.index.aggregate(&Counted { tree, by, ranges: None, every, metrics: &metrics, stop: self.stop });
        let counted =
            counted.map_err(|error| Failed::of(500, "search_phase_execution_exception", &error.to_string()))?;
        if counted.not_listed > 0 {
            return Err(Failed::of(400, "too_many_buckets_exception", "there are too many different values to list"));
        }
        *partial = partial.take().or(counted.partial);
        let mut lines = BTreeMap::new();
        for group in counted.groups {
            let mut fields = group.key.into_iter();
            let key: Option<Vec<Part>> = order
                .iter()
                .map(|dimension| match dimension {
                    Dimension::Time => group.from.map(Part::Time),
                    Dimension::Field => fields.next()?.map(Part::Text),
                })
                .collect();
            // Lines without the field are in no bucket.
            if let Some(key) = key {
                lines.insert(key, (group.lines, group.figures));
            }
        }
        if order.is_empty() {
            // Without fields and figures there are no groups: all lines are one.
            lines.entry(Vec::new()).or_insert((counted.lines, Vec::new()));
        }
        let mut inner = Vec::new();
        for (_, buckets, below) in &level.buckets {
            let order_with = |dimension| [order, &[dimension]].concat();
            inner.push(match buckets {
                Buckets::Terms { field, .. } => {
                    let by = [by, std::slice::from_ref(field)].concat();
                    Inner::One(self.table(below, tree, &by, every, &order_with(Dimension::Field), partial)?)
                }
                Buckets::Dates { .. } if every.is_some() => {
                    return Err(Failed::parsing("one [date_histogram] in another is not supported"));
                }
                Buckets::Dates { every, ahead, .. } => {
                    let every = Some((*every, *ahead));
                    Inner::One(self.table(below, tree, by, every, &order_with(Dimension::Time), partial)?)
                }
                Buckets::Filters(filters) => {
                    let mut tables = Vec::new();
                    for (_, filter) in filters {
                        let tree = Node::And(vec![tree.clone(), filter.clone()]);
                        tables.push(self.table(below, &tree, by, every, order, partial)?);
                    }
                    Inner::Filters(tables)
                }
            });
        }
        Ok(Table { lines, inner })
    }

    /// A level under a key.
    fn shown(&self, level: &Level, table: &Table, under: &[Part]) -> Read<Map<String, Value>> {
        let mut out = Map::new();
        let own = table.lines.get(under);
        for (at, (name, shown, _)) in level.metrics.iter().enumerate() {
            out.insert(name.clone(), figure(shown, own.and_then(|(_, figures)| figures.get(at))));
        }
        for ((name, buckets, below), inner) in level.buckets.iter().zip(&table.inner) {
            let value = match (buckets, inner) {
                (Buckets::Filters(filters), Inner::Filters(tables)) => {
                    let mut list = Map::new();
                    for ((name, _), table) in filters.iter().zip(tables) {
                        let lines = table.lines.get(under).map_or(0, |(lines, _)| *lines);
                        let mut bucket = self.shown(below, table, under)?;
                        bucket.insert("doc_count".to_owned(), json!(lines));
                        list.insert(name.clone(), Value::Object(bucket));
                    }
                    json!({ "buckets": list })
                }
                (_, Inner::One(table)) => self.listed(buckets, below, table, under)?,
                (_, Inner::Filters(_)) => Value::Null,
            };
            out.insert(name.clone(), value);
        }
        Ok(out)
    }

    fn listed(&self, buckets: &Buckets, below: &Level, table: &Table, under: &[Part]) -> Read<Value> {
        // Keys stand in order, so those under one stand together.
        let here = table.lines.range(under.to_vec()..).take_while(|(key, _)| key.starts_with(under));
        let mut list: Vec<(Part, u64)> = here
            .filter(|(key, _)| key.len() == under.len() + 1)
            .filter_map(|(key, (lines, _))| Some((key.last()?.clone(), *lines)))
            .collect();
        let mut others = 0;
        match buckets {
            Buckets::Dates { every, ahead, least, bounds, .. } => {
                if *least == 0 {
                    filled(&mut list, (*every, *ahead), *bounds)?;
                } else {
                    list.retain(|(_, lines)| lines >= least);
                }
            }
            Buckets::Terms { size, order, least, .. } => {
                list.retain(|(_, lines)| lines >= least);
                let keys: Vec<Vec<f64>> = list
                    .iter()
                    .map(|(part, lines)| {
                        order.iter().map(|(by, _)| place(by, below, table, under, part, *lines)).collect()
                    })
                    .collect::<Read<_>>()?;
                let is_number = |part: &Part| matches!(part, Part::Text(text) if text.parse::<f64>().is_ok());
                let all_numbers = list.iter().all(|(part, _)| is_number(part));
                let mut sorted: Vec<(Vec<f64>, (Part, u64))> = keys.into_iter().zip(list).collect();
                sorted.sort_by(|(a, (a_part, _)), (b, (b_part, _))| {
                    let mut way = std::cmp::Ordering::Equal;
                    for (((by, is_down), a), b) in order.iter().zip(a).zip(b) {
                        let one = if by == "_key" || by == "_term" {
                            by_key(a_part, b_part, all_numbers)
                        } else {
                            a.total_cmp(b)
                        };
                        way = way.then(if *is_down { one.reverse() } else { one });
                    }
                    way.then_with(|| by_key(a_part, b_part, all_numbers))
                });
                list = sorted.into_iter().map(|(_, of)| of).collect();
                others = list.iter().skip(*size).map(|(_, lines)| lines).sum();
                list.truncate(*size);
            }
            Buckets::Filters(_) => {}
        }
        let mut shown = Vec::with_capacity(list.len());
        for (part, lines) in list {
            let key = [under, std::slice::from_ref(&part)].concat();
            let mut bucket = self.shown(below, table, &key)?;
            bucket.insert("doc_count".to_owned(), json!(lines));
            match (&part, buckets) {
                (Part::Time(micros), Buckets::Dates { as_millis, .. }) => {
                    let millis = micros.div_euclid(1_000);
                    bucket.insert("key".to_owned(), json!(millis));
                    let text = if *as_millis { millis.to_string() } else { super::iso(Timestamp(*micros)) };
                    bucket.insert("key_as_string".to_owned(), json!(text));
                }
                (Part::Text(text), Buckets::Terms { field, .. }) => {
                    let is_number = self.known.get(field) == Some(&"number");
                    let number = is_number.then(|| text.parse::<f64>().ok()).flatten();
                    bucket.insert("key".to_owned(), number.map_or_else(|| json!(text), whole));
                }
                _ => {}
            }
            shown.push(Value::Object(bucket));
        }
        Ok(match buckets {
            Buckets::Terms { .. } => {
                json!({ "doc_count_error_upper_bound": 0, "sum_other_doc_count": others, "buckets": shown })
            }
            Buckets::Dates { .. } | Buckets::Filters(_) => json!({ "buckets": shown }),
        })
    }
}

/// A number as JSON; a whole one without a fraction.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { json!(number as i64) } else { json!(number) }
}

fn by_key(a: &Part, b: &Part, as_numbers: bool) -> std::cmp::Ordering {
    match (a, b) {
        (Part::Text(a), Part::Text(b)) if as_numbers => {
            let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
            number(a).total_cmp(&number(b))
        }
        _ => a.cmp(b),
    }
}

/// What a bucket is sorted by.
fn place(by: &str, below: &Level, table: &Table, under: &[Part], part: &Part, lines: u64) -> Read<f64> {
    if by == "_count" {
        return Ok(lines as f64);
    }
    if by == "_key" || by == "_term" {
        return Ok(0.0);
    }
    let (name, rest) = match by.split_once(['.', '[']) {
        Some((name, rest)) => (name, rest.trim_end_matches(']')),
        None => (by, "value"),
    };
    let at = below.metrics.iter().position(|(of, _, _)| of == name);
    let at = at
        .ok_or_else(|| Failed::parsing(&format!("[order] names [{by}], and no figure of the buckets has that name")))?;
    let key = [under, std::slice::from_ref(part)].concat();
    let figure_of = table.lines.get(&key).and_then(|(_, figures)| figures.get(at));
    let shown = below.metrics.get(at).map(|(_, shown, _)| figure(shown, figure_of)).unwrap_or_default();
    let wanted = rest.parse::<f64>().ok();
    let value = match shown.get("values") {
        Some(Value::Object(values)) => {
            values.iter().find(|(percent, _)| percent.parse::<f64>().ok() == wanted).map(|(_, value)| value.clone())
        }
        _ => shown.get(rest).cloned(),
    };
    Ok(value.and_then(|value| value.as_f64()).unwrap_or(f64::NEG_INFINITY))
}

/// Empty stretches of time between those with lines, and up to the bounds.
fn filled(list: &mut Vec<(Part, u64)>, (every, ahead): (Micros, Micros), bounds: Option<(Micros, Micros)>) -> Read<()> {
    let start = |at: Micros| (at.saturating_add(ahead)).div_euclid(every).saturating_mul(every).saturating_sub(ahead);
    let times: BTreeMap<Micros, u64> = list
        .iter()
        .filter_map(|(part, lines)| match part {
            Part::Time(at) => Some((*at, *lines)),
            Part::Text(_) => None,
        })
        .collect();
    let mut ends: Vec<Micros> = times.keys().next().into_iter().chain(times.keys().next_back()).copied().collect();
    ends.extend(bounds.into_iter().flat_map(|(low, high)| [start(low), start(high)]));
    let (Some(first), Some(last)) = (ends.iter().min().copied(), ends.iter().max().copied()) else { return Ok(()) };
    if last.saturating_sub(first) / every >= BUCKETS_MAX as i64 {
        let words = format!("more than {BUCKETS_MAX} stretches of time; take a longer interval");
        return Err(Failed::of(400, "too_many_buckets_exception", &words));
    }
    list.clear();
    let mut at = first;
    while at <= last {
        list.push((Part::Time(at), times.get(&at).copied().unwrap_or(0)));
        at = at.saturating_add(every);
    }
    Ok(())
}

fn figure(shown: &Shown, figure: Option<&Figure>) -> Value {
    let (count, min, max, sum) = match figure {
        Some(Figure::Stats { count, min, max, sum }) if *count > 0 => (*count, Some(*min), Some(*max), *sum),
        _ => (0, None, None, 0.0),
    };
    let average = (count > 0).then(|| sum / count as f64);
    match shown {
        Shown::Time(is_most) => match if *is_most { max } else { min } {
            // As Elasticsearch has them: whole milliseconds.
            Some(millis) => {
                let millis = millis.floor() as i64;
                json!({ "value": millis, "value_as_string": super::iso(Timestamp(millis.saturating_mul(1_000))) })
            }
            None => json!({ "value": null }),
        },
        Shown::Average => json!({ "value": average }),
        Shown::Least => json!({ "value": min }),
        Shown::Most => json!({ "value": max }),
        Shown::Sum => json!({ "value": sum }),
        Shown::Count => match figure {
            Some(Figure::Values(count)) => json!({ "value": count }),
            _ => json!({ "value": 0 }),
        },
        Shown::Stats => json!({ "count": count, "min": min, "max": max, "avg": average, "sum": sum }),
        Shown::Distinct => match figure {
            Some(Figure::Distinct(count)) => json!({ "value": count }),
            _ => json!({ "value": 0 }),
        },
        Shown::Percentiles { percents, is_keyed } => {
            let of = |at: usize| match figure {
                Some(Figure::Quantiles(values)) => json!(values.get(at).copied().flatten()),
                _ => Value::Null,
            };
            if *is_keyed {
                let values: Map<String, Value> =
                    percents.iter().enumerate().map(|(at, percent)| (format!("{percent:?}"), of(at))).collect();
                json!({ "values": values })
            } else {
                let values =
                    percents.iter().enumerate().map(|(at, percent)| json!({ "key": percent, "value": of(at) }));
                json!({ "values": values.collect::<Vec<_>>() })
            }
        }
    }
}

/// Names that stand for the event time: those of lines, and the one that data sources begin with.
pub(super) fn times(fields: impl Iterator<Item = String>) -> BTreeSet<String> {
    fields.chain(["@timestamp".to_owned(), query::TIME.to_owned()]).collect()
}
