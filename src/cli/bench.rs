//! `serin bench`: figures beside a stated lower bound.

#[cfg(feature = "serve")]
mod live;

use std::io::Write;

#[cfg(feature = "index")]
use crate::bench::search;
use crate::bench::{self, FoldFigures};
#[cfg(feature = "index")]
use crate::cli::arguments::IndexBenchArguments;
use crate::cli::arguments::{BenchArguments, BenchCommand, CorpusArguments, DecodeBenchArguments, FoldBenchArguments};
use crate::cli::report::grouped;
use crate::cli::terminal::Progress;
use crate::demo::corpus::Corpus;

/// Runs `bench`.
pub(super) fn run(arguments: &BenchArguments) -> anyhow::Result<u8> {
    match &arguments.what {
        BenchCommand::Fold(arguments) => fold(arguments),
        BenchCommand::Decode(arguments) => decode(arguments),
        BenchCommand::Corpus(arguments) => corpus(arguments),
        #[cfg(feature = "serve")]
        BenchCommand::Live(arguments) => live::live(arguments),
        #[cfg(feature = "serve")]
        BenchCommand::Hook(arguments) => live::hook(arguments),
        #[cfg(feature = "index")]
        BenchCommand::Index(arguments) => index(arguments),
        #[cfg(feature = "index")]
        BenchCommand::Query(arguments) => queries(arguments),
    }
}

fn decode(arguments: &DecodeBenchArguments) -> anyhow::Result<u8> {
    let figures = bench::decode::decode(arguments.lines, arguments.seed);
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let forms: Vec<serde_json::Value> = figures
            .iter()
            .map(|form| {
                serde_json::json!({
                    "name": form.name,
                    "bytes_a_line": form.bytes,
                    "ns": form.ns,
                    "bound_ns": form.bound_ns,
                    "bound": form.bound,
                    "lines": form.lines,
                    "events": form.events,
                })
            })
            .collect();
        writeln!(out, "{:#}", serde_json::json!({ "version": 1, "forms": forms }))?;
        return Ok(0);
    }
    writeln!(out, "{:<28} {:>7} {:>8} {:>12} {:>8}  bound", "form", "bytes", "ns", "lines/s", "ratio")?;
    for form in &figures {
        let per_second = grouped((1e9 / form.ns.max(1.0)) as u64);
        let ratio = form.ns / form.bound_ns.max(1.0);
        let bound = format!("{} ({:.0} ns)", form.bound, form.bound_ns);
        writeln!(out, "{:<28} {:>7.0} {:>8.0} {per_second:>12} {ratio:>8.2}  {bound}", form.name, form.bytes, form.ns)?;
        if form.events < form.lines {
            writeln!(out, "  {} of {} lines were no events", grouped(form.lines - form.events), grouped(form.lines))?;
        }
    }
    Ok(0)
}

/// Bytes that are written at a time.
const PIECE: usize = 1 << 20;

fn corpus(arguments: &CorpusArguments) -> anyhow::Result<u8> {
    let mut corpus = Corpus::new(arguments.lines, arguments.users, arguments.seed);
    let (mut out, mut text) = (std::io::stdout().lock(), Vec::new());
    while corpus.chunk(&mut text, PIECE) {
        out.write_all(&text)?;
        text.clear();
    }
    out.flush()?;
    Ok(0)
}

fn fold(arguments: &FoldBenchArguments) -> anyhow::Result<u8> {
    let progress = Progress::bytes(arguments.lines.saturating_mul(470));
    let FoldBenchArguments { lines, users, seed, segments, .. } = *arguments;
    let figures = bench::fold(lines, users, seed, segments, |bytes| progress.add(bytes))?;
    progress.finish();
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{:#}", json(&figures))?;
    } else {
        text(&mut out, &figures)?;
    }
    Ok(0)
}

#[cfg(feature = "index")]
fn index(arguments: &IndexBenchArguments) -> anyhow::Result<u8> {
    let figures = search::index(&arguments.file, &arguments.keep, arguments.lines, (!arguments.alone, arguments.ask))?;
    let mut out = std::io::stdout().lock();
    let share = |bytes: u64| bytes as f64 / figures.bytes.max(1) as f64 * 100.0;
    let ratio = figures.index_s / figures.raw_s;
    if arguments.json {
        let json = serde_json::json!({
            "version": 1,
            "lines": figures.lines,
            "bytes": figures.bytes,
            "read_s": figures.read_s,
            "fold_s": figures.fold_s,
            "index_s": figures.index_s,
            "raw_s": figures.raw_s,
            "ratio": ratio,
            "lines_per_second": figures.lines_per_second,
            "commits": figures.commits,
            "commit_max_ms": figures.commit_max_ms,
            "index_bytes": figures.index_bytes,
            "raw_bytes": figures.raw_bytes,
            "kinds": figures.kinds.iter().map(|(name, bytes)| serde_json::json!({ "name": name, "bytes": bytes })).collect::<Vec<_>>(),
            "meanwhile": figures
                .meanwhile
                .iter()
                .map(|(name, asked, half, most)| serde_json::json!({ "name": name, "asked": asked, "half_ms": half, "p99_ms": most }))
                .collect::<Vec<_>>(),
            "resident_max_mib": figures.resident_max_mib,
        });
        writeln!(out, "{json:#}")?;
        return Ok(0);
    }
    let line = |out: &mut dyn Write, name: &str, value: String| writeln!(out, "  {name:<44} {value}");
    writeln!(
        out,
        "{} lines, {:.0} bytes a line",
        grouped(figures.lines),
        figures.bytes as f64 / figures.lines.max(1) as f64
    )?;
    let seconds = |seconds: f64| format!("{seconds:.2} CPU seconds a million lines");
    line(&mut out, "reading", seconds(figures.read_s))?;
    line(&mut out, "decoding and folding into windows", seconds(figures.fold_s))?;
    line(&mut out, "index: decode, documents, commits, merges", seconds(figures.index_s))?;
    if !arguments.alone {
        line(&mut out, "tantivy alone, same documents and schema", seconds(figures.raw_s))?;
        line(&mut out, "index over tantivy alone", format!("{ratio:.2}"))?;
    }
    line(&mut out, "lines a second while indexing (wall)", grouped(figures.lines_per_second as u64))?;
    line(&mut out, "commits, the longest", format!("{}, {:.0} ms", figures.commits, figures.commit_max_ms))?;
    line(
        &mut out,
        "on disk",
        format!("{} MB, {:.1} % of the lines", figures.index_bytes / 1_000_000, share(figures.index_bytes)),
    )?;
    for (name, bytes) in &figures.kinds {
        line(&mut out, &format!("  {name}"), format!("{} MB, {:.1} %", bytes / 1_000_000, share(*bytes)))?;
    }
    if !arguments.alone {
        line(
            &mut out,
            "tantivy alone on disk",
            format!("{} MB, {:.1} %", figures.raw_bytes / 1_000_000, share(figures.raw_bytes)),
        )?;
    }
    for (name, asked, half, most) in figures.meanwhile.iter().filter(|_| arguments.ask) {
        line(
            &mut out,
            &format!("meanwhile: {name}"),
            format!("{asked} times, half within {half:.1} ms, 99 of 100 within {most:.1} ms"),
        )?;
    }
    if let Some(mib) = figures.resident_max_mib {
        line(&mut out, "most memory resident", format!("{mib:.0} MiB"))?;
    }
    Ok(0)
}

#[cfg(feature = "index")]
fn queries(arguments: &IndexBenchArguments) -> anyhow::Result<u8> {
    let (start_ms, figures) = search::queries(&arguments.file, &arguments.keep, arguments.cold)?;
    let mut out = std::io::stdout().lock();
    if arguments.json {
        let list: Vec<serde_json::Value> = figures
            .iter()
            .map(|of| {
                serde_json::json!({
                    "name": of.name, "first_ms": of.first_ms, "best_ms": of.best_ms, "cpu_ms": of.cpu_ms, "lines": of.lines,
                })
            })
            .collect();
        writeln!(out, "{:#}", serde_json::json!({ "version": 1, "start_ms": start_ms, "queries": list }))?;
        return Ok(0);
    }
    writeln!(out, "  from opening to the first answer: {start_ms:.1} ms")?;
    writeln!(out, "  {:<44} {:>9} {:>9} {:>9} {:>12}", "one thread, ms", "first", "best of 5", "CPU", "lines")?;
    for of in figures {
        let lines = grouped(of.lines);
        writeln!(out, "  {:<44} {:>9.1} {:>9.2} {:>9.2} {lines:>12}", of.name, of.first_ms, of.best_ms, of.cpu_ms)?;
    }
    Ok(0)
}

fn json(figures: &FoldFigures) -> serde_json::Value {
    serde_json::json!({
        "version": 1,
        "lines": figures.lines,
        "segments": figures.segments,
        "bytes": figures.bytes,
        "generate_ns": figures.generate_ns,
        "newline_ns": figures.newline_ns,
        "bound_ns": figures.bound_ns,
        "decode_ns": figures.decode_ns,
        "fold_ns": figures.fold_ns,
        "ratio": figures.ratio,
        "events_per_second_one": figures.events_per_second_one,
        "threads": figures.threads,
        "events_per_second_all": figures.events_per_second_all,
        "lines_all": figures.lines_all,
        "all_cpu_ns": figures.all_cpu_ns,
        "share_e_us": figures.share_e_us,
        "bucket_e_us": figures.bucket_e_us,
        "share_interval_us": figures.share_interval_us,
        "bucket_interval_us": figures.bucket_interval_us,
        "mask_ns": figures.mask_ns,
        "mask_bytes": figures.mask_bytes,
        "partial_bytes": figures.partial_bytes,
        "window_bytes": figures.window_bytes,
        "resident_max_mib": figures.resident_max_mib,
        "verdict": figures.verdict,
    })
}

fn text(out: &mut impl Write, figures: &FoldFigures) -> std::io::Result<()> {
    let line = |out: &mut dyn Write, name: &str, value: String| writeln!(out, "  {name:<44} {value}");
    writeln!(
        out,
        "{} lines, {:.0} bytes a line; CPU time of one core",
        grouped(figures.lines),
        figures.bytes as f64 / figures.lines.max(1) as f64
    )?;
    let segments = match figures.segments.as_slice() {
        [] => "none; --segments counts those that are found".to_owned(),
        fields => fields.join(", "),
    };
    line(out, "segments", segments)?;
    line(out, "generating the corpus, not part of the fold", format!("{:.0} ns a line", figures.generate_ns))?;
    line(out, "newline scan", format!("{:.0} ns a line", figures.newline_ns))?;
    line(out, "bound: serde_json into 11 borrowed fields", format!("{:.0} ns a line", figures.bound_ns))?;
    line(out, "decode: roles, names, hashes", format!("{:.0} ns a line", figures.decode_ns))?;
    line(
        out,
        "whole fold: decode, windows, tests, verdicts",
        format!("{:.0} ns a line = {:.2} x bound", figures.fold_ns, figures.ratio),
    )?;
    line(out, "events a second, one core", grouped(figures.events_per_second_one as u64))?;
    line(
        out,
        "events a second, all cores (wall)",
        format!(
            "{} on {} threads, {} lines",
            grouped(figures.events_per_second_all as u64),
            figures.threads,
            grouped(figures.lines_all)
        ),
    )?;
    line(out, "CPU time of that, all threads", format!("{:.0} ns a line", figures.all_cpu_ns))?;
    line(
        out,
        "e-value of one look",
        format!("share test {:.2} us, bucket test {:.2} us", figures.share_e_us, figures.bucket_e_us),
    )?;
    line(
        out,
        "displayed interval",
        format!("share test {:.0} us, bucket test {:.0} us", figures.share_interval_us, figures.bucket_interval_us),
    )?;
    line(
        out,
        "template of a log line: mask and hash",
        format!(
            "{:.0} ns a line of {:.0} bytes, {} lines a second",
            figures.mask_ns,
            figures.mask_bytes,
            grouped((1e9 / figures.mask_ns.max(1e-9)) as u64)
        ),
    )?;
    line(
        out,
        "window partial, encoded",
        format!(
            "{} bytes for {} bytes of lines",
            grouped(figures.partial_bytes as u64),
            grouped(figures.window_bytes as u64)
        ),
    )?;
    if let Some(mib) = figures.resident_max_mib {
        line(out, "most memory resident", format!("{mib:.0} MiB"))?;
    }
    line(out, "verdict of the corpus", figures.verdict.clone())?;
    Ok(())
}
