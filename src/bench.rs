//! Measurements: the whole fold beside stated lower bounds, in one run, on a fixed corpus.
//!
//! On one core the corpus is generated chunk by chunk and never held, and generating is timed apart from the fold. For the
//! run on all cores its first lines are generated before and held, so that the generator takes no core from the fold.

#[cfg(feature = "serve")]
mod child;
pub mod decode;
#[cfg(feature = "serve")]
pub mod hook;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "serve")]
pub mod live;
#[cfg(feature = "index")]
pub mod search;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use rustix::time::ClockId;
use serde::Deserialize;

use crate::compare::bucket::{self, Variance};
use crate::compare::{margin, share};
use crate::demo::corpus::Corpus;
use crate::engine::policy::Policy;
use crate::engine::shedding::STATE_MAX;
use crate::engine::{ArmChoice, Engine, Input, Output, Settings};
use crate::event;
use crate::fold::StreamFold;
use crate::pipeline::plan_text;
use crate::pipeline::survey::{Head, Survey, Wishes, survey};
use crate::pipeline::template::{Canonical, Writer};
use crate::source::fold_chunk::{ChunkFolder, KeptReject, refold_chunk};
use crate::source::lines::{Chunk, ChunkReader};
use crate::source::run::{Observer, Options, RunError, run_readers};

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 1 << 20;
/// Lines of the run on all cores, which are held in memory.
const ALL_CORES_LINES: u64 = 1_000_000;

/// What was measured.
#[derive(Clone, PartialEq, Debug)]
pub struct FoldFigures {
    /// Lines of the corpus.
    pub lines: u64,
    /// Fields whose segments are counted.
    pub segments: Vec<String>,
    /// Bytes of the corpus.
    pub bytes: u64,
    /// Generating the corpus, ns of CPU a line.
    pub generate_ns: f64,
    /// Newline scan, ns of CPU a line.
    pub newline_ns: f64,
    /// `serde_json::from_str` into a struct of 11 borrowed fields, ns of CPU a line: the bound.
    pub bound_ns: f64,
    /// Decoding alone, ns of CPU a line.
    pub decode_ns: f64,
    /// The whole fold with every default metric and every look, ns of CPU a line.
    pub fold_ns: f64,
    /// `fold_ns` over `bound_ns`.
    pub ratio: f64,
    /// Events a second on one core.
    pub events_per_second_one: f64,
    /// Threads of the run on all cores.
    pub threads: usize,
    /// Lines of that run.
    pub lines_all: u64,
    /// Events a second of wall time on all cores.
    pub events_per_second_all: f64,
    /// The run on all cores, ns of CPU of all threads a line.
    pub all_cpu_ns: f64,
    /// e-value of the share test (one stratum), microseconds.
    pub share_e_us: f64,
    /// e-value of the bucket test with its sums, microseconds.
    pub bucket_e_us: f64,
    /// Displayed interval of the share test, microseconds.
    pub share_interval_us: f64,
    /// Displayed interval of the bucket test, microseconds.
    pub bucket_interval_us: f64,
    /// Masking a log line and hashing its template, ns of CPU a line.
    pub mask_ns: f64,
    /// Mean bytes of the lines that were masked.
    pub mask_bytes: f64,
    /// Mean bytes of an encoded window partial, and of its lines.
    pub partial_bytes: f64,
    /// Mean bytes of the lines of a window.
    pub window_bytes: f64,
    /// Most memory resident, MiB, where the system tells.
    pub resident_max_mib: Option<f64>,
    /// The verdict, so that nothing can be left out of the measurement.
    pub verdict: String,
}

/// The 11 fields of the bound. A message may have escapes, so it is a `Cow`; the others have none in this corpus.
#[derive(Deserialize)]
struct Bound<'a> {
    #[serde(borrow)]
    timestamp: &'a str,
    level: &'a str,
    service: &'a str,
    version: &'a str,
    cohort: &'a str,
    user_id: &'a str,
    trace_id: &'a str,
    route: &'a str,
    status: u16,
    duration_ms: f64,
    #[serde(borrow)]
    message: Cow<'a, str>,
}

impl Bound<'_> {
    /// Something that depends on every field, so that none is optimised away.
    fn weight(&self) -> usize {
        self.timestamp.len()
            + self.level.len()
            + self.service.len()
            + self.version.len()
            + self.cohort.len()
            + self.user_id.len()
            + self.trace_id.len()
            + self.route.len()
            + usize::from(self.status)
            + self.duration_ms as usize
            + self.message.len()
    }
}

/// Measures the fold. `segments`: those that are found are counted too.
///
/// # Errors
/// Only what reading generated text could bring.
pub fn fold(
    lines: u64,
    users: u32,
    seed: u64,
    segments: bool,
    mut progress: impl FnMut(u64),
) -> Result<FoldFigures, RunError> {
    let mut found = survey_of(lines, users, seed);
    if !segments {
        found.plan.segments.clear();
    }
    let settings = settings_of(&found);
    let stream = "corpus";

    let mut corpus = Corpus::new(lines, users, seed);
    let mut text = Vec::with_capacity(CHUNK_BYTES + 4096);
    let (mut generate, mut newline, mut bound, mut decode, mut folding) = (0u64, 0u64, 0u64, 0u64, 0u64);
    let (mut from, mut weight, mut newlines) = (0u64, 0usize, 0u64);
    let mut engine = Engine::new(settings.clone());
    engine.apply(Input::Stream { name: stream.to_owned() });
    engine.start(plan_text::to_json(&found.plan));
    let mut fold = StreamFold::new(found.plan.windowing);
    let mut folder = ChunkFolder::new(&found.plan, false);
    let mut decoder = crate::pipeline::decode::Decoder::new(&found.plan, stream);
    let (mut partial_bytes, mut windows) = (0u64, 0u64);
    loop {
        text.clear();
        let at = cpu();
        let more = corpus.chunk(&mut text, CHUNK_BYTES);
        generate += cpu() - at;
        if !more {
            break;
        }
        let at = cpu();
        newlines += memchr::memchr_iter(b'\n', &text).count() as u64;
        newline += cpu() - at;

        let at = cpu();
        if let Ok(text) = std::str::from_utf8(&text) {
            for line in text.lines() {
                if let Ok(parsed) = serde_json::from_str::<Bound<'_>>(line) {
                    weight = weight.wrapping_add(parsed.weight());
                }
            }
        }
        bound += cpu() - at;

        let at = cpu();
        if let Ok(text) = std::str::from_utf8(&text) {
            for line in text.lines() {
                if let Ok(crate::pipeline::decode::Decoded::Event(event)) = decoder.decode(line, from) {
                    weight = weight.wrapping_add(event.unit as usize);
                }
            }
        }
        decode += cpu() - at;

        let bytes = text.len() as u64;
        let chunk =
            Chunk { bytes: std::mem::take(&mut text), from, last: false, too_long: None, positions: Vec::new() };
        let at = cpu();
        let (folded, _) = folder.fold(stream, &chunk);
        let passed = fold.push(folded, None, |state| refold_chunk(&found.plan, stream, &chunk, false, state).0);
        folding += cpu() - at;
        for window in &passed {
            // A few are encoded to tell their size; that is not part of the fold.
            if windows % 16 == 0 {
                partial_bytes += window.partial.encode().len() as u64;
            }
            windows += 1;
        }
        let at = cpu();
        for window in passed {
            engine.apply(Input::Partial { stream: stream.to_owned(), partial: window.partial, at: window.at });
        }
        engine.apply(Input::Progress { stream: stream.to_owned(), oldest_open: fold.oldest_open() });
        folding += cpu() - at;
        from += bytes;
        text = chunk.bytes;
        progress(bytes);
    }
    let at = cpu();
    engine.apply(Input::Finish);
    folding += cpu() - at;
    std::hint::black_box(weight);
    let verdict = engine.verdict().map_or("none", |verdict| verdict.name()).to_owned();
    // The run on all cores holds its lines in memory, so memory is told before it.
    let resident_max_mib = resident_max_mib();
    drop((engine, fold, corpus));

    let all = on_all_cores(&found, &settings, lines.min(ALL_CORES_LINES), users, seed)?;
    let per_line = |ns: u64| ns as f64 / newlines.max(1) as f64;
    let evidence = evidence();
    let (mask_ns, mask_bytes) = mask(seed);
    Ok(FoldFigures {
        lines: newlines,
        segments: found.plan.segments.clone(),
        bytes: from,
        generate_ns: per_line(generate),
        newline_ns: per_line(newline),
        bound_ns: per_line(bound),
        decode_ns: per_line(decode),
        fold_ns: per_line(folding),
        ratio: folding as f64 / bound.max(1) as f64,
        events_per_second_one: 1e9 / per_line(folding).max(1e-9),
        threads: all.threads,
        lines_all: all.lines,
        events_per_second_all: all.lines as f64 / all.wall.as_secs_f64(),
        all_cpu_ns: all.cpu_ns as f64 / all.lines.max(1) as f64,
        share_e_us: evidence[0],
        bucket_e_us: evidence[1],
        share_interval_us: evidence[2],
        bucket_interval_us: evidence[3],
        mask_ns,
        mask_bytes,
        partial_bytes: partial_bytes as f64 / windows.div_ceil(16).max(1) as f64,
        window_bytes: from as f64 / windows.max(1) as f64,
        resident_max_mib,
        verdict,
    })
}

fn survey_of(lines: u64, users: u32, seed: u64) -> Survey {
    let mut text = Vec::new();
    Corpus::new(lines, users, seed).chunk(&mut text, CHUNK_BYTES);
    let text = String::from_utf8_lossy(&text);
    let head = Head { stream: "corpus", lines: text.lines().collect() };
    survey(&[head], &Wishes::default())
}

fn settings_of(found: &Survey) -> Settings {
    Settings {
        windowing: found.plan.windowing,
        releases: found.releases.iter().map(|release| release.services.clone()).collect(),
        arms: ArmChoice::default(),
        unit: found.plan.unit,
        policy: Policy { segments: found.plan.segments.clone(), ..Policy::default() },
        memory: STATE_MAX,
    }
}

/// The run on all cores.
struct AllCores {
    threads: usize,
    lines: u64,
    wall: Duration,
    /// CPU time of all threads.
    cpu_ns: u64,
}

/// Folds lines that were generated before, so that the generator takes no core from the fold.
fn on_all_cores(found: &Survey, settings: &Settings, lines: u64, users: u32, seed: u64) -> Result<AllCores, RunError> {
    let mut text = Vec::new();
    let mut corpus = Corpus::new(lines, users, seed);
    while corpus.chunk(&mut text, CHUNK_BYTES) {}
    let lines = memchr::memchr_iter(b'\n', &text).count() as u64;
    let options = Options { chunk_bytes: CHUNK_BYTES, ..Options::default() };
    let reader = ChunkReader::from_reader(Box::new(std::io::Cursor::new(text)), "corpus", CHUNK_BYTES);
    let mut engine = Engine::new(settings.clone());
    let (start, cpu_start) = (Instant::now(), clock(ClockId::ProcessCPUTime));
    let readers = vec![("corpus".to_owned(), reader)];
    run_readers(readers, &found.plan, &mut engine, plan_text::to_json(&found.plan), options, &mut NothingObserved)?;
    Ok(AllCores {
        threads: options.threads,
        lines,
        wall: start.elapsed(),
        cpu_ns: clock(ClockId::ProcessCPUTime) - cpu_start,
    })
}

/// The figures are all that is looked at.
struct NothingObserved;

impl Observer for NothingObserved {
    fn outputs(&mut self, _: &Engine, _: Vec<Output>) -> std::io::Result<()> {
        Ok(())
    }
    fn rejects(&mut self, _: &str, _: Vec<KeptReject>) -> std::io::Result<()> {
        Ok(())
    }
    fn progress(&mut self, _: u64) {}
}

/// Microseconds of: share test, bucket test with its sums, and the displayed interval of each.
fn evidence() -> [f64; 4] {
    let strata = [share::Stratum { canary_units: 1_000, units: 20_000, canary_first: 30, first: 400 }];
    let mut sums = crate::engine::bucket_sums::BucketSums::new(crate::engine::bucket_sums::Values::Indicator);
    for bucket in 0..bucket::BUCKETS {
        sums.add(crate::engine::units::Arm::Control, bucket, 1_000 + bucket as u64, (bucket % 7) as i64, 0);
        sums.add(crate::engine::units::Arm::Candidate, bucket, 100 + bucket as u64, (bucket % 3) as i64, 0);
    }
    let [control, candidate] = sums.stats();
    [
        micros(20_000, || share::log_e_fail(&strata, 1.0)),
        micros(20_000, || {
            let [control, candidate] = sums.stats();
            bucket::log_e_fail(&candidate, &control, margin::EXCEEDANCE_P90, Variance::Adjusted)
        }),
        micros(500, || share::interval(&strata, 0.05).high),
        micros(500, || bucket::interval(&candidate, &control, margin::EXCEEDANCE_P90, 0.05).1),
    ]
}

/// Lines that are masked over and over; together they fit no cache of the nearest level.
const MASKED_LINES: u64 = 2_000;

/// Nanoseconds to mask a log line of about 150 bytes and to hash what is left, and the mean bytes of such lines.
fn mask(seed: u64) -> (f64, f64) {
    let random = |line: u64, part: u64, below: u64| event::mix(event::mix(line, seed), part) % below;
    let text = |line: u64| {
        let number = |part: u64, below: u64| random(line, part, below);
        match line % 4 {
            0 => format!(
                "Received block blk_{} of size {} src: /10.{}.{}.{}:{} dest: /10.251.9.{}:50010 by worker thread in pool while replicating to peers",
                number(0, u64::MAX), number(1, 1 << 26), number(2, 256), number(3, 256), number(4, 256), number(5, 1 << 16), number(6, 256)
            ),
            1 => format!(
                "level=error msg=\"request failed\" user={} order={:016x} reason=timeout attempt={} elapsed={}ms upstream=payments-{} will be retried later on another host",
                number(0, 1_000_000), number(1, u64::MAX), number(2, 5), number(3, 9_000), number(4, 40)
            ),
            2 => format!(
                "Cart {:08x} of session {:032x} recalculated: {} items, total {}.{:02} EUR, shipping by {} from warehouse /eu/central/{} (cached)",
                number(0, 1 << 32), number(1, u64::MAX), number(2, 40), number(3, 900), number(4, 100), number(5, 9), number(6, 30)
            ),
            _ => "The connection pool is full and the oldest idle connection was closed; waiting requests are served in the order in which they came from clients".to_owned(),
        }
    };
    let texts: Vec<String> = (0..MASKED_LINES).map(text).collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    let per_round = micros(200, || {
        let mut canonical = Canonical::default();
        let mut sum = 0u64;
        for text in &texts {
            canonical.mask(text.as_bytes(), Writer::Message);
            sum = sum.wrapping_add(canonical.id());
        }
        sum as f64
    });
    (per_round * 1_000.0 / MASKED_LINES as f64, bytes as f64 / MASKED_LINES as f64)
}

fn micros(times: u32, run: impl Fn() -> f64) -> f64 {
    let at = cpu();
    for _ in 0..times {
        std::hint::black_box(run());
    }
    (cpu() - at) as f64 / 1000.0 / f64::from(times)
}

/// CPU time of this thread in nanoseconds.
fn cpu() -> u64 {
    clock(ClockId::ThreadCPUTime)
}

fn clock(id: ClockId) -> u64 {
    let time = rustix::time::clock_gettime(id);
    (time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64)
}

/// Most memory resident, from the system's own account.
fn resident_max_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}
