//! What each service of a release did, side by side.

use std::fmt::Write as _;

use super::guardrails::ratio;
use super::text::{grouped, millis, percent};
use super::{Judged, paragraph};
use crate::cli::terminal::harmless;
use crate::engine::totals::Totals;

/// Services of one release that are listed.
pub(super) const SERVICES_MAX: usize = 20;

impl Judged<'_> {
    pub(super) fn write_services(&self, out: &mut String) {
        let mut table = vec![
            [
                "services of this release",
                "",
                "requests",
                "failed",
                "4xx",
                "error lines",
                "warn lines",
                "lines",
                "spans",
                "events",
                "p50",
                "p99",
            ]
            .map(str::to_owned),
        ];
        let seen = self.services.iter().zip(&self.comparison.totals).filter(|(_, [a, b])| a.lines + b.lines > 0);
        for (key, pair) in seen.clone().take(SERVICES_MAX) {
            for (at, (arm, totals)) in ["baseline", "canary"].into_iter().zip(pair).enumerate() {
                let name = if at == 0 { harmless(&key.to_string(), 40) } else { String::new() };
                table.push(row(name, arm, totals));
            }
        }
        let widths: Vec<usize> =
            (0..12).map(|column| table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0)).collect();
        out.push('\n');
        for cells in &table {
            let mut line = String::from(" ");
            for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                match at {
                    0 | 1 => line.push_str(&format!(" {cell:<width$}")),
                    _ => line.push_str(&format!("  {cell:>width$}")),
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        let judged = if self.services.len() > 1 { "; only the first service is judged" } else { "" };
        paragraph(
            out,
            &format!(
                "(lines, spans and business events a request, or a span where there are no requests; of lines that name \
                 their arm{judged})"
            ),
        );
        if seen.clone().count() > SERVICES_MAX {
            let _infallible = writeln!(out, "  and {} more services", seen.count() - SERVICES_MAX);
        }
    }
}

/// A service under one arm.
fn row(name: String, arm: &str, totals: &Totals) -> [String; 12] {
    let done = Done::of(totals);
    let share = |value: Option<f64>| value.map_or("-".to_owned(), percent);
    let each = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    let time = |value: Option<f64>| value.map_or("-".to_owned(), millis);
    let count = match (totals.requests, totals.spans) {
        (0, spans @ 1..) => format!("{} spans", grouped(spans)),
        (requests, _) => grouped(requests),
    };
    [
        name,
        arm.to_owned(),
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
    ]
}

/// What a service did under one arm, by request: by span where it has no requests.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(in crate::cli) struct Done {
    /// Share of requests that failed.
    pub failed: Option<f64>,
    /// Share of requests with a status from 400 to 499, of those with a status.
    pub status_4xx: Option<f64>,
    /// Lines of level error or worse.
    pub error_lines: Option<f64>,
    /// Lines of level warn.
    pub warn_lines: Option<f64>,
    /// Lines.
    pub lines: Option<f64>,
    /// Spans; none where these are what is counted by.
    pub spans: Option<f64>,
    /// Business events.
    pub business: Option<f64>,
    /// Median latency in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds.
    pub p99_ms: Option<f64>,
}

impl Done {
    /// From the sums of a service under an arm.
    pub(in crate::cli) fn of(totals: &Totals) -> Done {
        let by = if totals.requests > 0 { totals.requests } else { totals.spans };
        let each = |count: u64| ratio(count as f64, by);
        let quantile = |share: f64| totals.shown_latency().quantile_us(share).map(|us| us / 1000.0);
        let [_, with_status @ ..] = totals.status;
        Done {
            failed: ratio(totals.errors as f64, totals.requests),
            status_4xx: ratio(totals.status[4] as f64, with_status.iter().sum()),
            error_lines: each(totals.error_lines),
            warn_lines: each(totals.warn_lines),
            lines: each(totals.lines),
            spans: ratio(totals.spans as f64, totals.requests),
            business: each(totals.business),
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
        }
    }
}
