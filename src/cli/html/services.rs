//! What each service of a release did, side by side.

use super::comparison::NAME_MAX;
use super::markup::Markup;
use crate::cli::report::{Done, Judged, grouped, millis, percent};

/// Services of one release that are listed.
const SERVICES_MAX: usize = 20;
/// Columns behind the name and the arm.
const COLUMNS: [&str; 10] =
    ["requests", "failed", "4xx", "error lines", "warn lines", "lines", "spans", "events", "p50", "p99"];

/// Writes the table of services.
pub(super) fn write(m: &mut Markup, judged: &Judged<'_>) {
    let seen: Vec<_> =
        judged.services.iter().zip(&judged.comparison.totals).filter(|(_, [a, b])| a.lines + b.lines > 0).collect();
    if seen.is_empty() {
        return;
    }
    m.words("h3", "", "Services of this release");
    let what = if seen.len() > 1 { " Only the first is judged." } else { "" };
    let note = format!(
        "Lines, spans and business events of a request, or of a span where there are no requests; of lines that name their arm.{what}"
    );
    m.words("p", "note", &note);
    m.element("div", &[("class", "wide"), ("tabindex", "0"), ("role", "region"), ("aria-label", "Services")], |m| {
        m.element("table", &[("class", "services")], |m| {
            m.element("thead", &[], |m| {
                m.element("tr", &[], |m| {
                    m.element("th", &[("scope", "col")], |m| m.text("service"));
                    m.element("th", &[("scope", "col")], |m| m.text("arm"));
                    for column in COLUMNS {
                        m.element("th", &[("scope", "col"), ("class", "number")], |m| m.text(column));
                    }
                });
            });
            for (key, pair) in seen.iter().take(SERVICES_MAX) {
                m.element("tbody", &[], |m| {
                    for (arm, totals) in ["baseline", "canary"].into_iter().zip(pair.iter()) {
                        let done = Done::of(totals);
                        let share = |value: Option<f64>| value.map_or("-".to_owned(), percent);
                        let each = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
                        let time = |value: Option<f64>| value.map_or("-".to_owned(), millis);
                        let count = match (totals.requests, totals.spans) {
                            (0, spans @ 1..) => format!("{} spans", grouped(spans)),
                            (requests, _) => grouped(requests),
                        };
                        let cells = [
                            count,
                            share(done.failed),
                            share(done.status_4xx),
                            each(done.error_lines),
                            each(done.warn_lines),
                            each(done.lines),
                            each(done.spans),
                            each(done.business),
                            time(done.p50_ms),
                            time(done.p99_ms),
                        ];
                        m.element("tr", &[], |m| {
                            if arm == "baseline" {
                                m.element("th", &[("scope", "rowgroup"), ("rowspan", "2")], |m| {
                                    m.name(&key.to_string(), NAME_MAX);
                                });
                            }
                            m.words("td", if arm == "baseline" { "baseline" } else { "candidate" }, arm);
                            cells.iter().for_each(|cell| m.words("td", "number", cell));
                        });
                    }
                });
                m.line();
            }
        });
    });
    if seen.len() > SERVICES_MAX {
        m.words("p", "note", &format!("And {} more services.", seen.len() - SERVICES_MAX));
    }
}
