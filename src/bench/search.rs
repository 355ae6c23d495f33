//! Indexing and queries, measured: indexing beside tantivy by itself with the same schema and the same documents, in one run.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use rustix::time::ClockId;

use crate::bench::{clock, resident_max_mib};
use crate::event::Intern;
use crate::index::{Aliases, Asked, Columns, Counted, Index, Metric, Raw, Settings, Table, Told, Total, Writer};
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::plan::Plan;
use crate::pipeline::survey::{Head, Wishes, survey};
use crate::query::Query;
use crate::source::files::{Part, Stream};
use crate::source::fold_chunk::ChunkFolder;
use crate::source::lines::{Chunk, ChunkReader, lines};
use crate::time::{MINUTE, Timestamp};

/// Bytes of a chunk.
const CHUNK: usize = 1 << 20;
/// Between two commits, as in `serin run`.
const COMMIT: Duration = Duration::from_millis(800);
/// Lines that show what lines are.
const HEAD: usize = 4_000;
/// Times that a query is asked.
const TIMES: usize = 5;

/// What indexing cost.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexFigures {
    /// Lines.
    pub lines: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Reading the file, seconds of CPU for a million lines.
    pub read_s: f64,
    /// Decoding and folding into windows, the same.
    pub fold_s: f64,
    /// Decoding, documents, tantivy, commits and merges, the same.
    pub index_s: f64,
    /// tantivy alone with the same documents, commits and merges, the same.
    pub raw_s: f64,
    /// Lines a second of wall time while indexing, merges included.
    pub lines_per_second: f64,
    /// Commits, and the longest, in milliseconds.
    pub commits: u64,
    /// The longest commit, in milliseconds.
    pub commit_max_ms: f64,
    /// Bytes of the index, after merges.
    pub index_bytes: u64,
    /// Bytes of tantivy's.
    pub raw_bytes: u64,
    /// What of the index they are: lines, columns, terms, and the rest.
    pub kinds: Vec<(&'static str, u64)>,
    /// Questions that were asked meanwhile, where any were: name, how often, half of the answers and 99 of 100 within so many milliseconds.
    pub meanwhile: Vec<(&'static str, usize, f64, f64)>,
    /// Most memory resident while indexing, MiB, where the system tells.
    pub resident_max_mib: Option<f64>,
}

/// A query that was measured.
#[derive(Clone, PartialEq, Debug)]
pub struct QueryFigures {
    /// What is asked.
    pub name: &'static str,
    /// First answer, in milliseconds.
    pub first_ms: f64,
    /// Best of some further ones.
    pub best_ms: f64,
    /// CPU of the best one, in milliseconds.
    pub cpu_ms: f64,
    /// Lines that match.
    pub lines: u64,
}

/// Bytes on disk by what they hold.
fn kinds(folder: &Path) -> Vec<(&'static str, u64)> {
    let mut sums = [("lines", 0), ("columns", 0), ("terms, postings and positions", 0), ("all else", 0)];
    let files = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    for file in files(folder).flat_map(|part| files(&part.path())) {
        let at = match file.path().extension().and_then(|kind| kind.to_str()) {
            Some("store") => 0,
            Some("fast") => 1,
            Some("idx" | "pos" | "term") => 2,
            Some(_) | None => 3,
        };
        if let Some((_, sum)) = sums.get_mut(at) {
            *sum += file.metadata().map_or(0, |of| of.len());
        }
    }
    sums.to_vec()
}

/// Questions that are asked while lines are indexed.
const MEANWHILE: [(&str, &str); 3] = [
    ("newest 50 of a frequent word", "completed"),
    ("a rare word, counted", "quarantined"),
    ("lines with status 500 and more, by minute and version", "status:>=500"),
];

/// Between two questions.
const ASKED_EVERY: Duration = Duration::from_millis(100);

/// Asks until it is told to stop; times in milliseconds, and the CPU that it took.
fn ask_meanwhile(index: &Index, aliases: &Aliases, stop: &std::sync::atomic::AtomicBool) -> (Vec<Vec<f64>>, u64) {
    let mut times = vec![Vec::new(); MEANWHILE.len()];
    let from = clock(ClockId::ThreadCPUTime);
    let by = ["version".to_owned()];
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        for ((at, (_, text)), times) in MEANWHILE.iter().enumerate().zip(&mut times) {
            let Ok(query) = Query::parse(text) else { continue };
            let began = Instant::now();
            let Ok(Ok(tree)) = index.resolve(&query, aliases) else { continue };
            let done = if at == 2 {
                let asked = Counted {
                    tree: &tree,
                    by: &by,
                    ranges: None,
                    every: Some((MINUTE, 0)),
                    metrics: &[],
                    stop: &|| false,
                };
                index.aggregate(&asked).is_ok()
            } else {
                let limit = if at == 0 { 50 } else { 0 };
                let asked = Asked { tree: &tree, limit, before: None, count_to: 10_000, stop: &|| false };
                index.search(&asked).is_ok()
            };
            if done {
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
        // Whoever looks on does not ask without a pause.
        std::thread::sleep(ASKED_EVERY);
    }
    (times, clock(ClockId::ThreadCPUTime) - from)
}

/// What lines are, and which fields have columns.
fn plan_of(stream: &Stream) -> anyhow::Result<(Plan, Columns)> {
    let mut reader = ChunkReader::new(stream, CHUNK);
    let mut text = String::new();
    while text.lines().count() < HEAD
        && let Some(chunk) = reader.next_chunk()?
    {
        text.push_str(&String::from_utf8_lossy(&chunk.bytes));
    }
    let head: Vec<&str> = text.lines().take(HEAD).collect();
    let plan = survey(&[Head { stream: &stream.name, lines: head.clone() }], &Wishes::default()).plan;
    let columns = Columns::find(&plan, head.into_iter());
    Ok((plan, columns))
}

/// Calls `see` with each line of a chunk and what decoding says of it.
fn each(
    decoder: &mut Decoder<'_>,
    chunk: &Chunk,
    see: &mut dyn FnMut(u64, &str, &Told<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    decoder.begin_chunk();
    let mut count = 0;
    for (line, offset, _) in lines(&chunk.bytes, chunk.from) {
        let Ok(text) = std::str::from_utf8(line) else { continue };
        if text.trim().is_empty() {
            continue;
        }
        count += 1;
        let text = &*decoder.prepared(text);
        match decoder.decode_prepared(text, offset) {
            Ok(Decoded::Event(event)) => see(offset, text, &Told::of(&event, Intern::names(decoder.interner())))?,
            Ok(Decoded::Outside) => see(offset, text, &Told::none(Timestamp(0), None))?,
            Err(reason) => see(offset, text, &Told::none(Timestamp(0), Some(reason)))?,
        }
    }
    Ok(count)
}

/// Indexes a file, and again with tantivy alone; the index stays in `folder`.
///
/// # Errors
/// A file that cannot be read, or a folder that cannot be written.
pub fn index(file: &Path, folder: &Path, most: u64, (raw_too, ask): (bool, bool)) -> anyhow::Result<IndexFigures> {
    let stream = Stream { name: "corpus".to_owned(), parts: vec![Part::File(file.to_owned())] };
    let (plan, columns) = plan_of(&stream)?;
    let process = || clock(ClockId::ProcessCPUTime);
    let settings = Settings { lines_max: u64::MAX, span: i64::MAX, ..Settings::default() };

    let index = Arc::new(Index::open(&folder.join("index"))?);
    let mut writer = Writer::open(Arc::clone(&index), settings, columns.clone())?;
    let (mut decoder, mut folder_of_chunks) = (Decoder::new(&plan, &stream.name), ChunkFolder::new(&plan, false));
    let mut reader = ChunkReader::new(&stream, CHUNK);
    let (mut count, mut bytes, mut read_ns, mut fold_ns) = (0u64, 0u64, 0u64, 0u64);
    let (mut commits, mut commit_max) = (0u64, Duration::ZERO);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asks = ask.then(|| {
        let (index, aliases, stop) = (Arc::clone(&index), Aliases::of(&plan), Arc::clone(&stop));
        std::thread::spawn(move || ask_meanwhile(&index, &aliases, &stop))
    });
    let (began, cpu) = (Instant::now(), process());
    let (mut committed, mut aside) = (Instant::now(), Duration::ZERO);
    // Behind which lines it was committed: tantivy alone does so too.
    let mut cuts = std::collections::VecDeque::new();
    while count < most {
        let from = clock(ClockId::ThreadCPUTime);
        let Some(chunk) = reader.next_chunk()? else { break };
        let read = clock(ClockId::ThreadCPUTime);
        let folding = Instant::now();
        std::hint::black_box(folder_of_chunks.fold(&stream.name, &chunk));
        aside += folding.elapsed();
        let folded = clock(ClockId::ThreadCPUTime);
        (read_ns, fold_ns) = (read_ns + (read - from), fold_ns + (folded - read));
        bytes += chunk.bytes.len() as u64;
        count += each(&mut decoder, &chunk, &mut |position, line, told| {
            writer.add("corpus", position, line, told)?;
            Ok(())
        })?;
        reader.recycle(chunk.bytes);
        if committed.elapsed() >= COMMIT {
            let commit = Instant::now();
            writer.commit()?;
            (commits, commit_max) = (commits + 1, commit_max.max(commit.elapsed()));
            cuts.push_back(count);
            committed = Instant::now();
        }
    }
    writer.finish()?;
    let wall = began.elapsed() - aside;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let (times, asked_ns) = asks.and_then(|asks| asks.join().ok()).unwrap_or_default();
    let ours = (process() - cpu).saturating_sub(read_ns + fold_ns + asked_ns);
    let resident = resident_max_mib();

    let (mut raw_ns, mut raw_bytes) = (0, 0);
    if raw_too {
        let mut raw = Raw::create(&folder.join("raw"), &columns, settings.memory)?;
        let mut decoder = Decoder::new(&plan, &stream.name);
        let mut reader = ChunkReader::new(&stream, CHUNK);
        let (cpu, mut aside) = (process(), 0);
        let mut again = 0;
        while again < count {
            let from = clock(ClockId::ThreadCPUTime);
            let Some(chunk) = reader.next_chunk()? else { break };
            again += each(&mut decoder, &chunk, &mut |position, line, told| {
                raw.make("corpus", position, line, told);
                Ok(())
            })?;
            reader.recycle(chunk.bytes);
            aside += clock(ClockId::ThreadCPUTime) - from;
            raw.add()?;
            if cuts.front().is_some_and(|cut| *cut <= again) {
                cuts.pop_front();
                raw.commit()?;
            }
        }
        raw.commit()?;
        raw_bytes = raw.finish()?;
        raw_ns = process() - cpu - aside;
    }
    let meanwhile = MEANWHILE.iter().zip(times).map(|((name, _), mut times)| {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get(((times.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(0.0);
        (*name, times.len(), at(0.5), at(0.99))
    });
    let of_million = |ns: u64| ns as f64 / 1e3 / count.max(1) as f64;
    Ok(IndexFigures {
        lines: count,
        bytes,
        read_s: of_million(read_ns),
        fold_s: of_million(fold_ns),
        index_s: of_million(ours),
        raw_s: of_million(raw_ns),
        lines_per_second: count as f64 / wall.as_secs_f64(),
        commits,
        commit_max_ms: commit_max.as_secs_f64() * 1e3,
        index_bytes: index.bytes(),
        raw_bytes,
        kinds: kinds(&folder.join("index")),
        meanwhile: meanwhile.collect(),
        resident_max_mib: resident,
    })
}

/// What is asked: name, query, and what of the lines that match.
enum Ask {
    Count,
    Newest,
    Table { by: &'static [&'static str], every: bool, metrics: Vec<Metric> },
}

/// Asks the questions of the peers' report of an index of their corpus. Gives the time from opening to the first answer too, in milliseconds.
/// `cold`: files of the index are not in the page cache before the first answer to each.
///
/// # Errors
/// An index that cannot be read.
pub fn queries(file: &Path, folder: &Path, cold: bool) -> anyhow::Result<(f64, Vec<QueryFigures>)> {
    let stream = Stream { name: "corpus".to_owned(), parts: vec![Part::File(file.to_owned())] };
    let (plan, _) = plan_of(&stream)?;
    if cold {
        forget_pages(&folder.join("index"))?;
    }
    let opening = Instant::now();
    let index = Index::open(&folder.join("index"))?;
    let aliases = Aliases::of(&plan);
    let first = Query::parse("status:>=500").map_err(|error| anyhow!("{error}"))?;
    let tree = index.resolve(&first, &aliases)?.map_err(|error| anyhow!("{error}"))?;
    index.search(&Asked { tree: &tree, limit: 50, before: None, count_to: u64::MAX, stop: &|| false })?;
    let start_ms = opening.elapsed().as_secs_f64() * 1e3;
    let quantiles = vec![Metric::Quantiles("latency_ms".to_owned(), vec![0.5, 0.99])];
    let users = || vec![Metric::Distinct("_unit".to_owned())];
    // The middle line has a trace of its own.
    let trace = middle_trace(&index)?;
    let table = |by, every, metrics| Ask::Table { by, every, metrics };
    let asked: Vec<(&'static str, String, Ask)> = vec![
        ("a: count of all", "*".to_owned(), Ask::Count),
        ("b: a trace id", format!("trace_id:{trace}"), Ask::Newest),
        ("c1: a rare word", "quarantined".to_owned(), Ask::Count),
        ("c2: a rare phrase", "\"checksum mismatch in block\"".to_owned(), Ask::Count),
        ("d: newest 50 of a frequent word", "completed".to_owned(), Ask::Newest),
        ("e: errors by minute and version", "status:>=500".to_owned(), table(&["version"], true, Vec::new())),
        ("f: p50 and p99 by version", "*".to_owned(), table(&["version"], false, quantiles)),
        ("g: distinct users by version", "*".to_owned(), table(&["version"], false, users())),
        ("h: lines by route", "*".to_owned(), table(&["route"], false, Vec::new())),
        ("i: distinct users with an error by version", "status:>=500".to_owned(), table(&["version"], false, users())),
        ("a prefix", "route:/api/v1/*".to_owned(), Ask::Count),
        ("an infix in the message", "msg:*uarantin*".to_owned(), Ask::Count),
        ("an expression on the route", "route:/\\/api\\/v[12]\\/.*/".to_owned(), Ask::Count),
    ];
    let mut figures = Vec::new();
    for (name, text, ask) in asked {
        if cold {
            forget_pages(&folder.join("index"))?;
        }
        let query = Query::parse(&text).map_err(|error| anyhow!("{error}"))?;
        let tree = index.resolve(&query, &aliases)?.map_err(|error| anyhow!("{error}"))?;
        let (mut first_ms, mut best_ms, mut cpu_ms, mut matching) = (0.0, f64::INFINITY, 0.0, 0);
        for time in 0..TIMES {
            let (began, cpu) = (Instant::now(), clock(ClockId::ThreadCPUTime));
            matching = match &ask {
                Ask::Count | Ask::Newest => {
                    let limit = if matches!(ask, Ask::Newest) { 50 } else { 0 };
                    let Total { lines, .. } = index
                        .search(&Asked { tree: &tree, limit, before: None, count_to: u64::MAX, stop: &|| false })?
                        .total;
                    lines
                }
                Ask::Table { by, every, metrics } => {
                    let by: Vec<String> = by.iter().map(|name| (*name).to_owned()).collect();
                    let every = every.then_some((MINUTE, 0));
                    let Table { lines, .. } = index.aggregate(&Counted {
                        tree: &tree,
                        by: &by,
                        ranges: None,
                        every,
                        metrics,
                        stop: &|| false,
                    })?;
                    lines
                }
            };
            let ms = began.elapsed().as_secs_f64() * 1e3;
            if time == 0 {
                first_ms = ms;
            }
            if ms < best_ms {
                (best_ms, cpu_ms) = (ms, (clock(ClockId::ThreadCPUTime) - cpu) as f64 / 1e6);
            }
        }
        figures.push(QueryFigures { name, first_ms, best_ms, cpu_ms, lines: matching });
    }
    Ok((start_ms, figures))
}

/// Takes the files of an index out of the page cache, as far as nobody else uses them.
fn forget_pages(folder: &Path) -> anyhow::Result<()> {
    for part in std::fs::read_dir(folder)? {
        for file in std::fs::read_dir(part?.path())? {
            let file = std::fs::File::open(file?.path())?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// The trace of a line that is there.
fn middle_trace(index: &Index) -> anyhow::Result<String> {
    let all = Query::parse("_exists_:trace_id").map_err(|error| anyhow!("{error}"))?;
    let asked = Asked { tree: all.tree(), limit: 1, before: None, count_to: 0, stop: &|| false };
    let page = index.search(&asked)?;
    let line = page.lines.first().map_or("", |line| line.line.as_str());
    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    Ok(value.get("trace_id").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned())
}
