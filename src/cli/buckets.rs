//! The tables behind the bucket tests as CSV, for a notebook: units are dealt over 64 buckets by a keyed hash, and each bucket of each
//! arm has how many events it saw, what their values add up to, and what is left of that once the common time course is taken out.

use std::io::{self, Write};

use crate::engine::Engine;
use crate::engine::bucket_sums::BucketSums;
use crate::engine::comparison::Comparison;

/// The columns.
const HEADER: &str = "service,control,candidate,metric,arm,bucket,events,sum,residual";

/// Writes the tables of all comparisons. No unit can be told from them.
pub(super) fn write(engine: &Engine, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{HEADER}")?;
    for (services, comparisons) in engine.releases() {
        let service = services.first().map(ToString::to_string).unwrap_or_default();
        for comparison in comparisons.iter() {
            of_comparison(&service, comparison, out)?;
        }
    }
    Ok(())
}

fn of_comparison(service: &str, comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let latency = &comparison.latency;
    let [p50, p90, p99] = &latency.above;
    let metrics: [(&str, &BucketSums); 6] = [
        ("errors", &comparison.error_volume),
        ("ln_latency", &latency.mean),
        ("above_p50", p50),
        ("above_p90", p90),
        ("above_p99", p99),
        ("warnings", &comparison.warnings),
    ];
    let names = [service, &comparison.control, &comparison.candidate].map(quoted).join(",");
    for (metric, sums) in metrics {
        let view = sums.view();
        for (arm, bucket, of) in view.buckets().filter(|(_, _, of)| of.events > 0) {
            let arm = ["control", "candidate"].get(arm).copied().unwrap_or_default();
            writeln!(out, "{names},{metric},{arm},{bucket},{},{},{}", of.events, of.sum, of.residual)?;
        }
    }
    Ok(())
}

/// A text as a cell of CSV (RFC 4180); what a spreadsheet would take for a formula is none.
fn quoted(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_what_they_say() {
        for (text, cell) in [("a", "a"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("=1+1", "'=1+1")] {
            assert_eq!(quoted(text), cell);
        }
    }
}
