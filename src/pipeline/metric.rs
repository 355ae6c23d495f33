//! Metrics of one's own: what a pipeline wants measured beside errors and latency.

use serde_json::{Value, json};

use crate::event::METRICS_MAX;

/// Parts of one that gauges are read to: values are counted in thousandths, and below a thousandth as 0.
pub const GAUGE_PARTS: u64 = 1_000;

/// How a metric is made of lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MetricKind {
    /// Of the lines that one query finds, the share that another finds too.
    Ratio,
    /// Lines for each request of their unit's arm.
    Count,
    /// A number that lines say.
    Gauge,
}

impl MetricKind {
    /// Every kind.
    pub const ALL: [MetricKind; 3] = [MetricKind::Ratio, MetricKind::Count, MetricKind::Gauge];

    /// The word for it, as files, ledgers and reports have it.
    pub fn name(self) -> &'static str {
        match self {
            MetricKind::Ratio => "ratio",
            MetricKind::Count => "count",
            MetricKind::Gauge => "gauge",
        }
    }

    fn from_name(name: &str) -> Option<MetricKind> {
        MetricKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One metric.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metric {
    /// Its name.
    pub name: String,
    /// How it is made of lines.
    pub kind: MetricKind,
    /// Field that holds what a line says: a number of a gauge; 1 of what is counted; of a ratio 0 or 1.
    pub field: String,
    /// It does harm when it rises; else when it falls.
    pub harms: bool,
}

/// Metrics as JSON.
pub fn to_json(metrics: &[Metric]) -> Value {
    let one = |of: &Metric| json!({ "name": of.name, "kind": of.kind.name(), "field": of.field, "harms": of.harms });
    metrics.iter().map(one).collect()
}

/// What [`to_json`] wrote; none where there is nothing. `None` for anything else.
pub fn from_json(value: Option<&Value>) -> Option<Vec<Metric>> {
    let Some(value) = value else { return Some(Vec::new()) };
    let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned);
    let one = |of: &Value| {
        Some(Metric {
            name: text(of, "name")?,
            kind: MetricKind::from_name(&text(of, "kind")?)?,
            field: text(of, "field")?,
            harms: of.get("harms")?.as_bool()?,
        })
    };
    let list: Option<Vec<Metric>> = value.as_array()?.iter().map(one).collect();
    list.filter(|list| list.len() <= METRICS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let of =
            |name: &str, kind, harms| Metric { name: name.to_owned(), kind, field: "serin.metric.a".to_owned(), harms };
        let list = vec![of("hits", MetricKind::Ratio, false), of("render", MetricKind::Gauge, true)];
        assert_eq!(from_json(Some(&to_json(&list))), Some(list));
        assert_eq!(from_json(None), Some(Vec::new()));
        for bad in
            [json!({}), json!([{ "name": "a" }]), json!([{ "name": "a", "kind": "sum", "field": "b", "harms": true }])]
        {
            assert_eq!(from_json(Some(&bad)), None, "{bad}");
        }
    }
}
