//! One split, judged.

use crate::calibrate::change::Change;
use crate::calibrate::log::{Chunks, DecodedChunk, Log};
use crate::calibrate::minutes::{Limits, Minutes, RULE_NAMES};
use crate::compare::verdict::Verdict;
use crate::engine::{Engine, Input, Settings};
use crate::event::{Intern, Kind, NO_NAME};
use crate::fold::{ChunkFold, ClockGuard, FoldedChunk, Refold, StreamFold};
use crate::pipeline::decode::{in_split, split_key};
use crate::pipeline::plan::{BASELINE, CANARY};
use crate::source::files::FilesError;
use crate::time::Windowing;

/// When a rule rolled back and when it promoted, in seconds after it had first seen both arms.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Outcome {
    /// It rolled back.
    pub failed_after: Option<f64>,
    /// It promoted.
    pub passed_after: Option<f64>,
}

impl Outcome {
    /// It promoted before it rolled back, if it ever did that: the new code would have been with everybody.
    pub fn promoted(&self) -> bool {
        match (self.passed_after, self.failed_after) {
            (Some(passed), Some(failed)) => passed < failed,
            (passed, _) => passed.is_some(),
        }
    }
}

/// What was said of one split.
#[derive(Clone, PartialEq, Debug)]
pub struct Split {
    /// Seed of the hash.
    pub seed: u32,
    /// Serin's last verdict; `None` when the split left nothing to compare.
    pub verdict: Option<Verdict>,
    /// Serin. It does not stop watching after a pass, so both times can be there.
    pub serin: Outcome,
    /// The other rules, in the order of [`RULE_NAMES`].
    pub rules: [Outcome; RULE_NAMES.len()],
}

/// How events find their arm, and what is planted.
#[derive(Clone, Copy)]
struct Labels {
    key: u64,
    salt: u64,
    share_ppm: u32,
    change: Change,
}

/// A stream on its way through the fold.
struct Running<'a> {
    name: &'a str,
    chunks: Chunks<'a>,
    fold: StreamFold,
    ended: bool,
}

/// Judges the split with a seed.
pub(super) fn judge(
    log: &Log,
    settings: &Settings,
    seed: u32,
    share_ppm: u32,
    change: Change,
    limits: Limits,
) -> Result<Split, FilesError> {
    let labels = Labels { key: split_key(&seed.to_string()), salt: u64::from(seed), share_ppm, change };
    let mut engine = Engine::new(settings.clone());
    let mut minutes = Minutes::default();
    let mut passed_after = None;
    let mut streams: Vec<Running<'_>> = log
        .streams()
        .into_iter()
        .map(|(name, chunks)| Running { name, chunks, fold: StreamFold::new(settings.windowing), ended: false })
        .collect();
    for stream in &streams {
        engine.apply(Input::Stream { name: stream.name.to_owned() });
    }
    // The stream that is furthest behind comes next, so that few windows wait.
    while let Some(stream) =
        streams.iter_mut().filter(|stream| !stream.ended).min_by_key(|stream| stream.fold.oldest_open())
    {
        let Some(chunk) = stream.chunks.next()? else {
            stream.ended = true;
            continue;
        };
        count_minutes(&mut minutes, &chunk, labels, log, &settings.windowing);
        let folded = fold(&chunk, stream.name, labels, &settings.windowing, None);
        let end = chunk.last.then_some(chunk.end);
        let passed =
            stream.fold.push(folded, end, |state| fold(&chunk, stream.name, labels, &settings.windowing, Some(state)));
        for passed in passed {
            let oldest_open = passed.partial.window.saturating_add(1);
            engine.apply(Input::Partial { stream: stream.name.to_owned(), partial: passed.partial, at: passed.at });
            engine.apply(Input::Progress { stream: stream.name.to_owned(), oldest_open });
            passed_after = passed_after.or_else(|| seconds_to_pass(&engine));
        }
        engine.apply(Input::Progress { stream: stream.name.to_owned(), oldest_open: stream.fold.oldest_open() });
        passed_after = passed_after.or_else(|| seconds_to_pass(&engine));
    }
    engine.apply(Input::Finish);
    passed_after = passed_after.or_else(|| seconds_to_pass(&engine));
    let failed_after = engine.comparison(0, 0).and_then(|comparison| {
        let failure = comparison.failure.as_ref()?;
        Some((failure.at.0 - comparison.started_at.0) as f64 / 1e6)
    });
    Ok(Split {
        seed,
        verdict: engine.verdict(),
        serin: Outcome { failed_after, passed_after },
        rules: minutes.judge(limits),
    })
}

fn seconds_to_pass(engine: &Engine) -> Option<f64> {
    let comparison = engine.comparison(0, 0)?;
    (comparison.look.verdict == Verdict::Pass).then(|| (comparison.ended_at.0 - comparison.started_at.0) as f64 / 1e6)
}

/// Folds a chunk under the labels of a split; with a `state` line by line behind the clock guard.
fn fold(
    chunk: &DecodedChunk,
    stream: &str,
    labels: Labels,
    windowing: &Windowing,
    state: Option<Refold>,
) -> FoldedChunk {
    let mut names = chunk.names.clone();
    let arms = [names.arm(BASELINE), names.arm(CANARY)];
    let mut fold = match state {
        Some(Refold { high, guard }) => ChunkFold::with_guard(windowing, stream, chunk.from, high, guard),
        None if chunk.from == 0 => ChunkFold::with_guard(windowing, stream, 0, i64::MIN, ClockGuard::default()),
        None => ChunkFold::new(windowing, stream, chunk.from),
    };
    for (reason, count) in chunk.rejects() {
        (0..count).for_each(|_| fold.reject(reason));
    }
    (0..chunk.outside).for_each(|_| fold.outside());
    for event in &chunk.events {
        let mut event = *event;
        event.arm = NO_NAME;
        if event.unit != 0 {
            let is_canary = in_split(event.unit, labels.key, labels.share_ppm);
            event.arm = arms[usize::from(is_canary)];
            if is_canary {
                labels.change.plant(&mut event, labels.salt);
            }
        }
        fold.event(&event, event.offset + 1, &mut names);
    }
    fold.finish(&mut names, chunk.last)
}

fn count_minutes(minutes: &mut Minutes, chunk: &DecodedChunk, labels: Labels, log: &Log, windowing: &Windowing) {
    let services = &chunk.names.names().services;
    for event in &chunk.events {
        let ours = event.kind == Kind::Request && services.get(usize::from(event.service)) == Some(&log.entry);
        if !ours || event.unit == 0 || windowing.outside(event.time) {
            continue;
        }
        let is_canary = in_split(event.unit, labels.key, labels.share_ppm);
        let mut event = *event;
        if is_canary {
            labels.change.plant(&mut event, labels.salt);
        }
        minutes.add(&event, is_canary);
    }
}
