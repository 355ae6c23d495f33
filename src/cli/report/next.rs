//! What to do next: what a pass still needs, and lines to look at after a failure.

use std::fmt::Write as _;

use super::Judged;
use super::text::{grouped, millis, span};
use crate::cli::terminal::harmless;
use crate::compare::verdict::{Cell, Finding, Verdict};
use crate::engine::comparison::Evidence;
use crate::engine::forecast::{Counted, Need};
use crate::engine::look::LOG_PASS;
use crate::sketch::latency::bin_middle;
use crate::time::{DAY, Micros};

/// Forecasts beyond it are no forecasts.
pub(in crate::cli) const FORECAST_MAX: Micros = 90 * DAY;

impl Judged<'_> {
    pub(super) fn write_needs(&self, out: &mut String) {
        let list = self.needs_words();
        if list.is_empty() {
            return;
        }
        out.push_str("\n  still needed for a pass, at this traffic\n");
        for (_, name, text) in list {
            let _infallible = writeln!(out, "    {name:<32} {text}");
        }
    }

    /// While nothing is decided: each guardrail that a pass still waits for, its name, and what it needs.
    pub(in crate::cli) fn needs_words(&self) -> Vec<(Cell, String, String)> {
        let mut list = Vec::new();
        for need in self.needs.iter().filter(|_| self.comparison.look.verdict == Verdict::Inconclusive) {
            let name = self.rows.iter().find(|row| row.cell == need.cell).map_or("", |row| row.name);
            let name = if need.cell == Cell::ErrorUnits { format!("{} {name}", self.units()) } else { name.to_owned() };
            let of = match need.counted {
                Counted::ErringUnits => format!("erring {}", self.units()),
                Counted::CandidateUnits => format!("{} of the canary", self.units()),
                Counted::CandidateRequests => "canary requests".to_owned(),
            };
            let evidence = self.comparison.look.cell(need.cell).log_pass.max(0.0) / LOG_PASS;
            let is_latency =
                matches!(need.cell, Cell::LatencyMean | Cell::LatencyP50 | Cell::LatencyP90 | Cell::LatencyP99);
            if is_latency && self.comparison.latency.mean.events() == [0; 2] {
                let words = "no request has a latency: name its field (--role latency=FIELD:UNIT), or ask for errors alone \
                             (guardrails: [errors] in the policy)";
                list.push((need.cell, name, words.to_owned()));
                continue;
            }
            if matches!(need.cell, Cell::ErrorUnits | Cell::ErrorVolume) && !self.comparison.tells_errors() {
                let words = "no request tells a failure: none has a status that is read, and none failed. \
                             Name the field (--role status=FIELD, or --role error=FIELD)";
                list.push((need.cell, name, words.to_owned()));
                continue;
            }
            let text = need_words(need, &of, evidence, self.units(), self.comparison.error_volume.events()[1]);
            list.push((need.cell, name, text));
        }
        list
    }

    pub(super) fn write_evidence(&self, out: &mut String) {
        if self.comparison.look.verdict != Verdict::Fail {
            return;
        }
        let slow = !self
            .rows
            .iter()
            .any(|row| row.finding == Finding::Regressed && matches!(row.cell, Cell::ErrorUnits | Cell::ErrorVolume));
        let lines: Vec<&Evidence> =
            self.comparison.evidence[1].iter().filter(|line| line.slow == slow).take(3).collect();
        if lines.is_empty() {
            return;
        }
        out.push_str("\n  lines to look at (canary)\n");
        for line in lines {
            let latency = if line.latency > 0 { millis(bin_middle(line.latency - 1) / 1000.0) } else { "-".to_owned() };
            let status = if line.status_class > 0 { format!("{}xx", line.status_class) } else { "-".to_owned() };
            let _infallible = writeln!(
                out,
                "    {} at byte {}  {}  {status}  {latency}  {}",
                harmless(&line.stream, 60),
                line.offset,
                line.time,
                harmless(&line.route, 60)
            );
        }
    }
}

/// What one guardrail still needs. `of`: of what; `evidence`: the part that there is; `requests`: of the canary.
fn need_words(need: &Need, of: &str, evidence: f64, units: &str, requests: u64) -> String {
    match need.time {
        Some(time) if time > FORECAST_MAX => "more than 90 days".to_owned(),
        Some(time) if need.needed > need.have => {
            format!("about {} more {of}, {}", grouped((need.needed - need.have).ceil() as u64), span(time))
        }
        Some(_) => format!(
            "evidence is {:.0} % of what is asked, with traffic enough for equal arms: either a small difference is there, or {units} differ too much",
            evidence * 100.0
        ),
        None if need.have == 0.0 && (need.cell == Cell::ErrorUnits || requests == 0) => {
            format!("there are no {of} yet")
        }
        None if need.counted == Counted::CandidateUnits && need.needed > need.have => {
            format!("about {} more {of}, and no new ones come", grouped((need.needed - need.have).ceil() as u64))
        }
        None => "cannot be told yet: there are too few requests".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    #[test]
    fn a_forecast_is_never_nonsense() {
        let said = |cell: Cell, needed: f64, have: f64, time: Option<Micros>, requests: u64| {
            need_words(
                &Need { cell, counted: Counted::CandidateRequests, needed, have, time },
                "canary requests",
                0.5,
                "users",
                requests,
            )
        };
        assert_eq!(said(Cell::LatencyP90, 4.8e8, 3.0, Some(4_037 * DAY), 9), "more than 90 days");
        assert_eq!(
            said(Cell::LatencyP90, 300.0, 100.0, Some(90 * SECOND), 100),
            "about 200 more canary requests, 1 min 30 s"
        );
        assert_eq!(said(Cell::LatencyP99, 1_000.0, 0.0, None, 0), "there are no canary requests yet");
        assert_eq!(
            said(Cell::LatencyP99, 1_000.0, 0.0, None, 107),
            "cannot be told yet: there are too few requests",
            "they freeze no threshold, but they are there"
        );
    }
}
