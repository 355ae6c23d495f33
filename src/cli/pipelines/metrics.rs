//! Metrics of a pipeline: what their queries and fields are, and the rules that give lines what they say of them.

use crate::cli::yaml::{Fields, Problems};
use crate::event::METRICS_MAX;
use crate::pipeline::metric::{Metric, MetricKind};
use crate::pipeline::prepare::{Rule, Words};
use crate::query::Query;

use super::Pipeline;
use super::parse::{at_most, query};

/// Longest name of a metric, in bytes.
const NAME_MAX: usize = 60;

/// Reads `metrics`.
pub(super) fn metrics(fields: &mut Fields<'_>, pipeline: &mut Pipeline, problems: &mut Problems) {
    let Some((list, at)) = fields.list("metrics", problems) else { return };
    at_most(METRICS_MAX, list.len(), "metrics", at, problems);
    for node in list {
        let mut of = Fields::of(node, "metrics", problems);
        let name = of.text("name", problems);
        let (lines, whole, field) = (of.text("where", problems), of.text("of", problems), of.text("field", problems));
        let harm = of.text("harm", problems);
        of.finish(problems);
        let Some((name, name_at)) = name else {
            problems.add(node.at, "metrics: a name is needed");
            continue;
        };
        if name.trim().is_empty() || name.len() > NAME_MAX || name.contains("${") {
            problems.add(name_at, format!("metrics.name: a text of 1 to {NAME_MAX} bytes is needed"));
        }
        if pipeline.metrics.iter().any(|known| known.name == name) {
            problems.add(name_at, format!("metrics: `{name}` is there twice"));
        }
        let harms = match harm {
            Some((word, _)) if word == "rises" => true,
            Some((word, _)) if word == "falls" => false,
            Some((word, at)) => {
                problems.add(at, format!("metrics.harm: `{word}` is unknown; there are falls, rises"));
                continue;
            }
            None => {
                problems.add(node.at, format!("metrics: `{name}` needs `harm: rises` or `harm: falls`"));
                continue;
            }
        };
        let given = given(&name);
        let (kind, field, rules) = match (lines, whole, field) {
            (lines, None, Some((field, field_at))) => {
                if field.trim().is_empty() {
                    problems.add(field_at, "metrics.field: the field has no name");
                    continue;
                }
                let Some(lines) = lines else {
                    pipeline.metrics.push(Metric { name, kind: MetricKind::Gauge, field, harms });
                    continue;
                };
                let Some(lines) = query(lines, "metrics.where", problems) else { continue };
                (MetricKind::Gauge, given.clone(), vec![(Some(lines), format!("${{{field}}}"))])
            }
            (Some(lines), None, None) => {
                let Some(lines) = query(lines, "metrics.where", problems) else { continue };
                (MetricKind::Count, given.clone(), vec![(Some(lines), "1".to_owned())])
            }
            (Some(lines), Some(whole), None) => {
                let both = Query::parse(&format!("({}) AND ({})", whole.0, lines.0)).ok();
                let (lines, whole) = (query(lines, "metrics.where", problems), query(whole, "metrics.of", problems));
                let (Some(_), Some(whole)) = (lines, whole) else { continue };
                // Of a name that is given twice the last counts.
                (MetricKind::Ratio, given.clone(), vec![(Some(whole), "0".to_owned()), (both, "1".to_owned())])
            }
            (_, Some((_, of_at)), Some(_)) => {
                problems.add(of_at, "metrics: a ratio has `where` and `of`, a gauge has a `field`; this has both");
                continue;
            }
            (None, _, None) => {
                let words = format!(
                    "metrics: `{name}` needs `where` (a count), `where` and `of` (a ratio) or `field` (a gauge)"
                );
                problems.add(node.at, words);
                continue;
            }
        };
        for (when, words) in rules {
            match (when, Words::parse(&words)) {
                (Some(when), Ok(words)) => {
                    pipeline.stage.rules.push(Rule { when: Some(when), set: vec![(given.clone(), words)] });
                }
                _ => problems
                    .add(node.at, format!("metrics: `{name}` has queries or a field that cannot be put together")),
            }
        }
        pipeline.metrics.push(Metric { name, kind, field, harms });
    }
}

/// The field in which rules leave what a line says.
fn given(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    format!("serin.metric.{}", name.chars().map(plain).collect::<String>())
}
