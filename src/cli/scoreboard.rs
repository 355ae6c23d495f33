//! `serin scoreboard`: simulated rollouts, their results on disk, and the table.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};

use crate::cli::terminal::{self, Progress};
use crate::engine::ENGINE_VERSION;
use crate::simulate::board::{self, Records};
use crate::simulate::rows::{self, Row};
use crate::simulate::run::Record;
use crate::simulate::{self, print};

/// How often progress is told where no person looks.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Arguments of `scoreboard`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each run is one rollout of known truth, made by a seed and judged by the engine as in production, beside \
the rules that people use today. Results are appended to --results as they come, one JSON line a run; a seed that stands \
there already is not run again, so a long board can be stopped and started, and --seeds lets several machines share it.\n\n\
Exit status: 0 done (also when targets are missed: the table says so), 2 usage or input error.\n\nExamples:\n  serin \
scoreboard --runs 50 --row delay-1-3 --row delay-null-1\n  serin scoreboard --runs 5000 --results scoreboard.ndjson\n  serin \
scoreboard --runs 0 --results scoreboard.ndjson --format markdown"
)]
pub(super) struct ScoreboardArguments {
    /// A row, or all whose names begin so; several by repeating it (default: every row)
    #[arg(long = "row", value_name = "NAME")]
    pub rows: Vec<String>,
    /// Runs of each row, and never more than its target asks for; 0 only prints what is there
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub runs: u64,
    /// Seeds to run instead, both ends included
    #[arg(long, value_name = "FROM..TO", value_parser = seeds)]
    pub seeds: Option<(u64, u64)>,
    /// File of results, one JSON line a run; made when it is not there
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Threads (default: all cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
    /// Text for people, JSON for programs, or the page of the documentation
    #[arg(long, value_enum, default_value_t = BoardFormat::Text)]
    pub format: BoardFormat,
}

/// How the board is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum BoardFormat {
    /// A table.
    Text,
    /// Figures.
    Json,
    /// A page.
    Markdown,
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("`{text}` is no range of seeds: write 1..200");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
    match (number(from)?, number(to.trim_start_matches('='))?) {
        (from, to) if from <= to => Ok((from, to)),
        _ => Err(wrong()),
    }
}

/// Runs `scoreboard`.
pub(super) fn run(arguments: &ScoreboardArguments) -> anyhow::Result<u8> {
    let rows = choose(&arguments.rows)?;
    let mut results = Results::open(arguments.results.as_deref())?;
    let wanted = |row: &Row| match arguments.seeds {
        Some((from, to)) => from..=to,
        None => 1..=arguments.runs.min(row.runs),
    };
    let mut jobs: Vec<(usize, u64)> = Vec::new();
    for (at, row) in rows.iter().enumerate().filter(|_| arguments.runs > 0 || arguments.seeds.is_some()) {
        let known = results.records.get(row.name);
        let missing = wanted(row).filter(|seed| known.is_none_or(|known| !known.contains_key(seed)));
        let before = jobs.len();
        jobs.extend(missing.map(|seed| (at, seed)));
        if jobs.len() > before
            && let Some((seed, record)) = known.and_then(BTreeMap::first_key_value)
        {
            // New runs beside those of other decisions would be a table of nothing.
            if simulate::simulate(row, *seed) != *record {
                bail!(
                    "the results were made by other decisions: seed {seed} of {} no longer comes to the same; begin a new file",
                    row.name
                );
            }
        }
    }
    let threads = match arguments.threads {
        Some(threads) => usize::from(threads),
        None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    if !jobs.is_empty() {
        let spent = run_jobs(&rows, &jobs, threads, &mut results)?;
        tell_cost(&rows, &spent, threads);
    }
    let figures = board::figures(&rows, &results.records);
    let text = match arguments.format {
        BoardFormat::Text => print::text(&figures),
        BoardFormat::Json => format!("{}\n", serde_json::to_string_pretty(&figures)?),
        BoardFormat::Markdown => print::markdown(&figures),
    };
    terminal::print(&text)?;
    Ok(0)
}

fn choose(names: &[String]) -> anyhow::Result<Vec<Row>> {
    let all = rows::rows();
    for name in names {
        if !all.iter().any(|row| row.name.starts_with(name.as_str())) {
            let known: Vec<&str> = all.iter().map(|row| row.name).collect();
            bail!("--row {}: no row begins so. Rows: {}", terminal::harmless(name, 60), known.join(", "));
        }
    }
    let chosen = |row: &Row| {
        // An exact name means that row alone, though others begin with it.
        names.is_empty()
            || names.iter().any(|name| {
                row.name == name || (!all.iter().any(|row| row.name == name) && row.name.starts_with(name.as_str()))
            })
    };
    Ok(all.iter().filter(|row| chosen(row)).cloned().collect())
}

/// Results so far, and the file that keeps them.
struct Results {
    records: Records,
    file: Option<File>,
}

impl Results {
    fn open(path: Option<&Path>) -> anyhow::Result<Results> {
        let Some(path) = path else { return Ok(Results { records: Records::new(), file: None }) };
        let shown = || terminal::harmless(&path.display().to_string(), 200);
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).with_context(shown)?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(shown)?;
        // A run that was killed while it wrote has left half a line: it is written again.
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let mut records = Records::new();
        for (number, line) in text[..whole].lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let record: Record = serde_json::from_str(line)
                .map_err(|error| anyhow!("{}, line {}: no result of a run: {error}", shown(), number + 1))?;
            if record.engine != ENGINE_VERSION {
                bail!(
                    "{}, line {}: made by engine {}, this is {ENGINE_VERSION}; begin a new file",
                    shown(),
                    number + 1,
                    record.engine
                );
            }
            records.entry(record.row.clone()).or_default().insert(record.seed, record);
        }
        file.set_len(whole as u64).with_context(shown)?;
        file.seek(SeekFrom::End(0)).with_context(shown)?;
        Ok(Results { records, file: Some(file) })
    }

    fn add(&mut self, record: Record) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            let mut line = serde_json::to_string(&record)?;
            line.push('\n');
            file.write_all(line.as_bytes()).context("results")?;
        }
        self.records.entry(record.row.clone()).or_default().insert(record.seed, record);
        Ok(())
    }
}

/// What the runs of a row took.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    runs: u64,
    time: Duration,
    minutes: u64,
    requests: u64,
}

fn run_jobs(
    rows: &[Row],
    jobs: &[(usize, u64)],
    threads: usize,
    results: &mut Results,
) -> anyhow::Result<BTreeMap<String, Spent>> {
    let progress = Progress::items(jobs.len() as u64, "runs");
    let told = Mutex::new((results, BTreeMap::<String, Spent>::new(), 0u64, Instant::now()));
    let started = Instant::now();
    let quiet = std::io::stderr().is_terminal();
    simulate::run_all(rows, jobs, threads, &|record, time| {
        let mut told = told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (results, spent, done, last) = &mut *told;
        let of_row = spent.entry(record.row.clone()).or_default();
        of_row.runs += 1;
        of_row.time += time;
        of_row.minutes += u64::from(record.minutes);
        of_row.requests += record.requests;
        results.add(record)?;
        *done += 1;
        progress.add(1);
        if !quiet && last.elapsed() >= TELL_EVERY {
            *last = Instant::now();
            let rate = *done as f64 / started.elapsed().as_secs_f64();
            let left = (jobs.len() as f64 - *done as f64) / rate / 60.0;
            eprintln!("{done} of {} runs, {rate:.1} a second, {left:.0} min left", jobs.len());
        }
        Ok::<(), anyhow::Error>(())
    })?;
    progress.finish();
    let (_, spent, _, _) = told.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok(spent)
}

/// What a run costs, and what the runs would that the targets ask for.
fn tell_cost(rows: &[Row], spent: &BTreeMap<String, Spent>, threads: usize) {
    let mut hours = 0.0;
    for row in rows {
        let Some(of_row) = spent.get(row.name).filter(|of_row| of_row.runs > 0) else { continue };
        let seconds = of_row.time.as_secs_f64();
        let each = seconds / of_row.runs as f64;
        hours += each * row.runs as f64 / 3_600.0;
        eprintln!(
            "{}: {each:.2} s a run, {:.0} windows/s and {:.2} M requests/s a thread; all {} runs: {:.2} h of one thread",
            row.name,
            of_row.minutes as f64 / seconds.max(1e-9),
            of_row.requests as f64 / seconds.max(1e-9) / 1e6,
            row.runs,
            each * row.runs as f64 / 3_600.0
        );
    }
    eprintln!(
        "All runs of these {} rows: {hours:.2} h of one thread, {:.2} h of {threads}",
        spent.len(),
        hours / threads as f64
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_seeds_as_people_write_them() {
        assert_eq!(seeds("1..200"), Ok((1, 200)));
        assert_eq!(seeds("5..=5"), Ok((5, 5)));
        for wrong in ["", "5", "7..3", "a..b", "1.."] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_by_name_and_by_beginning() {
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            choose(&wanted).map(|rows| rows.iter().map(|row| row.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["pods"]).unwrap(), ["pods"]);
        assert_eq!(names(&["margin"]).unwrap().len(), 4);
        assert_eq!(names(&["delay-1-3", "aa-a0"]).unwrap(), ["aa-a0", "delay-1-3"]);
        assert!(names(&["no such"]).unwrap_err().to_string().contains("aa-a2"));
    }
}
