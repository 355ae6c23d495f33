//! Links to another search (OpenSearch Dashboards, Grafana with Loki) of the lines behind a comparison: for who keeps lines elsewhere.
//!
//! That search knows no word of ours, so fields are named as lines have them, and what failed is said by the fields that say so.

use serde_json::{Value, json};

use crate::cli::config::Link;
use crate::cli::report::Report;
use crate::engine::comparison::Comparison;
use crate::pipeline::plan::{ArmRule, Plan};
use crate::pipeline::roles::Role;
use crate::query::{Query, to_elastic};

/// A text in quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The fields by which lines name their service and their arm, and how a failure shows.
struct Named<'p> {
    service: Option<&'p str>,
    arm: Option<&'p str>,
    status: Option<&'p str>,
    level: Option<&'p str>,
    error: Option<&'p str>,
}

impl<'p> Named<'p> {
    fn of(plan: &'p Plan) -> Named<'p> {
        let first = |role: Role| plan.fields(role).first().map(|field| field.path.as_str());
        let arm = match &plan.arms {
            ArmRule::Field(path) => Some(path.as_str()),
            ArmRule::None | ArmRule::PodTemplate { .. } | ArmRule::Queries { .. } | ArmRule::Hash { .. } => None,
        };
        Named {
            service: first(Role::Service),
            arm,
            status: first(Role::Status),
            level: first(Role::Level),
            error: first(Role::Error),
        }
    }

    /// A query of Lucene: requests of an arm that failed, or all of its lines where nothing says what failed.
    fn lucene(&self, service: &str, arm: &str) -> String {
        let path = |path: &str| path.replace(' ', "\\ ");
        let mut parts = Vec::new();
        for (field, value) in [(self.service, service), (self.arm, arm)] {
            if let Some(field) = field.filter(|_| !value.is_empty()) {
                parts.push(format!("{}:{}", path(field), quoted(value)));
            }
        }
        let failed: Vec<String> = [
            self.status.map(|status| format!("{}:>=500", path(status))),
            self.error.map(|error| format!("{}:true", path(error))),
            self.level.map(|level| format!("{}:(error OR ERROR OR fatal OR FATAL)", path(level))),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !failed.is_empty() {
            parts.push(format!("({})", failed.join(" OR ")));
        }
        if parts.is_empty() { "*".to_owned() } else { parts.join(" AND ") }
    }

    /// The same as Loki has it: labels are names of letters, digits and `_`, and the service is a label of the stream.
    fn logql(&self, service: &str, arm: &str) -> String {
        let label =
            |path: &str| -> String { path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect() };
        let mut text = format!("{{service_name={}}} | json", quoted(service));
        if let Some(field) = self.arm {
            text.push_str(&format!(" | {}={}", label(field), quoted(arm)));
        }
        let failed: Vec<String> = [
            self.status.map(|status| format!("{} >= 500", label(status))),
            self.error.map(|error| format!("{}=\"true\"", label(error))),
            self.level.map(|level| format!("{}=~\"(?i)(error|fatal)\"", label(level))),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !failed.is_empty() {
            text.push_str(&format!(" | ({})", failed.join(" or ")));
        }
        text
    }
}

/// Links of each comparison of a report and both of its arms.
pub(super) fn of(report: &Report<'_>, links: &[Link], plan: &Plan) -> Value {
    let named = Named::of(plan);
    let mut list = Vec::new();
    for judged in &report.comparisons {
        let comparison: &Comparison = judged.comparison;
        let service = judged.services.first().map(|key| key.service.as_str()).unwrap_or_default();
        for arm in [&comparison.control, &comparison.candidate] {
            for link in links {
                let url = link.filled(|hole| match hole {
                    "lucene" => named.lucene(service, arm),
                    "dsl" => {
                        let query = Query::parse(&named.lucene(service, arm));
                        query.map_or_else(|_| json!({ "match_all": {} }), |query| to_elastic(query.tree())).to_string()
                    }
                    "logql" => named.logql(service, arm),
                    "service" => service.to_owned(),
                    "arm" => arm.clone(),
                    "from" => comparison.started_at.to_string(),
                    "to" => comparison.ended_at.to_string(),
                    "from_ms" => comparison.started_at.0.div_euclid(1_000).to_string(),
                    "to_ms" => comparison.ended_at.0.div_euclid(1_000).to_string(),
                    // There are no others.
                    _ => String::new(),
                });
                list.push(json!({
                    "name": link.name,
                    "service": judged.service,
                    "candidate": comparison.candidate,
                    "arm": arm,
                    "url": url,
                }));
            }
        }
    }
    Value::Array(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_asked_by_the_names_that_lines_have() {
        let named = Named {
            service: Some("service.name"),
            arm: Some("k8s.version"),
            status: Some("http.status"),
            level: None,
            error: Some("error"),
        };
        assert_eq!(
            named.lucene("shop", "2 \"x\""),
            "service.name:\"shop\" AND k8s.version:\"2 \\\"x\\\"\" AND (http.status:>=500 OR error:true)"
        );
        assert_eq!(
            named.logql("shop", "2"),
            "{service_name=\"shop\"} | json | k8s_version=\"2\" | (http_status >= 500 or error=\"true\")"
        );
        let none = Named { service: None, arm: None, status: None, level: None, error: None };
        assert_eq!(none.lucene("shop", "2"), "*");
    }
}
