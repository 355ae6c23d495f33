//! `serin bench live` and `serin bench hook`: figures of the running program.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

use crate::bench;
use crate::bench::hook::{HookTimes, OverHttp, Send};
use crate::bench::live::{AtMost, WayFigures};
use crate::cli::arguments::{HookBenchArguments, LiveBenchArguments};
use crate::cli::report::grouped;

/// Runs `bench live`.
pub(in crate::cli) fn live(arguments: &LiveBenchArguments) -> anyhow::Result<u8> {
    let LiveBenchArguments { lines, users, seed, json, .. } = *arguments;
    // Segments are counted as `run` counts them.
    let fold = bench::fold(lines, users, seed, true, |_| {})?;
    let ways = bench::live::http(lines, users, seed, fold.fold_ns).context("over HTTP")?;
    #[cfg(feature = "kafka")]
    let ways = match &arguments.brokers {
        None => ways,
        Some(brokers) => {
            let of_kafka = bench::kafka::kafka(brokers, arguments.broker_pid, lines, users, seed).context("Kafka")?;
            ways.into_iter().chain([of_kafka]).collect()
        }
    };
    let mut out = std::io::stdout().lock();
    if json {
        let ways: Vec<Value> = ways.iter().map(way_json).collect();
        writeln!(out, "{:#}", json!({ "version": 1, "lines": lines, "ways": ways }))?;
        return Ok(0);
    }
    writeln!(
        out,
        "{} lines by each way; CPU time a line, all threads of `serin run`, user and system",
        grouped(lines)
    )?;
    for way in &ways {
        writeln!(out, "  {:<26} {:>6.0} ns = {}", way.name, way.run_ns, held(way))?;
        writeln!(out, "  {:<26} {:>6.0} ns bound: {}", "", way.bound_ns, way.bound)?;
        writeln!(out, "  {:<26} {} lines a second of wall time", "", grouped(way.lines_per_second as u64))?;
        if let Some(broker) = way.broker_ns {
            writeln!(out, "  {:<26} {broker:>6.0} ns of the broker beside", "")?;
        }
    }
    Ok(0)
}

/// What a figure is beside its bound, and whether that is what was asked.
fn held(way: &WayFigures) -> String {
    let ratio = way.run_ns / way.bound_ns.max(1e-9);
    match way.at_most {
        AtMost::Times(most) => format!("{ratio:.2} x bound (asked: at most {most}; {})", met(ratio <= most)),
        AtMost::Beyond(most) => {
            let beyond = way.run_ns - way.bound_ns;
            format!("bound + {beyond:.0} ns (asked: at most {most:.0} more; {})", met(beyond <= most))
        }
    }
}

fn met(is: bool) -> &'static str {
    if is { "met" } else { "not met" }
}

fn way_json(way: &WayFigures) -> Value {
    let (times, beyond) = match way.at_most {
        AtMost::Times(most) => (Some(most), None),
        AtMost::Beyond(most) => (None, Some(most)),
    };
    json!({
        "name": way.name,
        "bound": way.bound,
        "bound_ns": way.bound_ns,
        "run_ns": way.run_ns,
        "ratio": way.run_ns / way.bound_ns.max(1e-9),
        "lines_per_second": way.lines_per_second,
        "broker_ns": way.broker_ns,
        "asked_times": times,
        "asked_ns_beyond": beyond,
    })
}

/// A part of what a run took, and its name.
type Part = (&'static str, fn(&HookTimes) -> f64);

/// Runs `bench hook`.
pub(in crate::cli) fn hook(arguments: &HookBenchArguments) -> anyhow::Result<u8> {
    let mut ways: Vec<Box<dyn Send>> = Vec::new();
    for _ in 0..arguments.runs {
        #[cfg(feature = "kafka")]
        if let Some(brokers) = &arguments.brokers {
            ways.push(bench::kafka::over_kafka(brokers).context("Kafka")?);
            continue;
        }
        ways.push(Box::new(OverHttp));
    }
    let times = bench::hook::hook(ways, Duration::from_secs(arguments.healthy))?;
    let parts: [Part; 4] = [
        ("evidence: first failing request to the end of the window that proves it", |of| of.evidence),
        ("decision: from there, lateness and what is on its way included", |of| of.decision),
        ("delivery: from there to the first byte of the hook", |of| of.delivery),
        ("whole", |of| of.whole),
    ];
    let of = |part: fn(&HookTimes) -> f64| {
        let mut list: Vec<f64> = times.iter().map(part).collect();
        list.sort_by(f64::total_cmp);
        [0.5, 0.99].map(|share| list[((list.len() as f64 * share).ceil() as usize).clamp(1, list.len()) - 1])
    };
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let parts: Vec<Value> = parts
            .iter()
            .map(|(name, part)| {
                let [p50, p99] = of(*part);
                json!({ "part": name, "p50_s": p50, "p99_s": p99 })
            })
            .collect();
        writeln!(out, "{:#}", json!({ "version": 1, "runs": times.len(), "parts": parts }))?;
        return Ok(0);
    }
    writeln!(
        out,
        "{} rollouts side by side; seconds on the wall clock, half of the runs and 99 of 100 at most",
        times.len()
    )?;
    for (name, part) in parts {
        let [p50, p99] = of(part);
        writeln!(out, "  {name:<75} {p50:>6.2} {p99:>6.2}")?;
    }
    Ok(0)
}
