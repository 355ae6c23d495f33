//! Streams that are followed: lines become windows, windows decisions, and decisions the ledger, the page and checkpoints.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::cli::clock;
use crate::cli::html::Courses;
use crate::cli::output::quoted;
use crate::cli::report::{Noticed, Report};
use crate::cli::report_json;
use crate::cli::run::api::placebos_json;
use crate::cli::run::checkpoint::{Checkpoint, Place, Shown};
use crate::cli::run::course;
use crate::cli::run::gate::Gate;
use crate::cli::run::inputs::{self, Heard, Inputs};
use crate::cli::run::log::{say, warn};
use crate::cli::run::metrics::Lag;
use crate::cli::run::reader::Reader;
use crate::cli::run::rejects::Rejects;
use crate::cli::run::stalls::{Bounds, Stalls, Standing, standing};
use crate::cli::run::state::{Move, State, To};
#[cfg(feature = "kafka")]
use crate::cli::run::streams::Row;
use crate::cli::run::{WAL, kept, links, page};
use crate::cli::terminal::harmless;
use crate::compare::verdict::Verdict;
use crate::engine::{Engine, Output};
use crate::fold::JUMP;
use crate::outbox::Placebo;
use crate::pipeline::survey::Survey;
use crate::sketch::partial::WindowPartial;
use crate::source::fold_chunk::KeptReject;
#[cfg(feature = "kafka")]
use crate::source::kafka::StreamName;
use crate::source::lines::Chunk;
use crate::source::run::{Observer, PushedStreams};
use crate::source::wal;
use crate::time::Timestamp;

/// Records are folded together for so long.
const TOGETHER: Duration = Duration::from_millis(200);
/// Between two reports so long passes, and so many times what the last one took, up to a bound: while much is read at once, reports take
/// a tenth of the time.
const SHOW: Duration = Duration::from_millis(500);
const SHOW_TIMES: u32 = 9;
const SHOW_MOST: Duration = Duration::from_secs(5);
/// Between two looks for partitions from which nothing comes.
const LOOK_FOR_IDLE: Duration = Duration::from_secs(1);
/// Bytes of the ledger that may wait to be written.
const LEDGER_WAITING: usize = 1 << 20;

/// Streams that are being followed.
pub(super) struct Live<'a> {
    pub reader: &'a Reader<'a>,
    pub names: Vec<String>,
    pub inputs: Inputs,
    pub pushed: PushedStreams<'a>,
    /// When the last record of each stream came.
    pub last: Vec<Instant>,
    /// Moves of earlier runs that are still to be made again.
    pub moves: Vec<VecDeque<Move>>,
    /// Times that each stream was moved on.
    pub moves_made: Vec<u64>,
    /// Which partitions stall.
    pub stalls: Stalls,
    /// Partitions that have come and are not read yet.
    #[cfg(feature = "kafka")]
    pub coming: Vec<StreamName>,
}

impl Live<'_> {
    pub(super) fn follow(
        mut self,
        heads: Vec<Vec<Chunk>>,
        engine: &mut Engine,
        watch: &mut Watch<'_>,
    ) -> anyhow::Result<()> {
        // The first lines go the way of all others, so that moves among them are made in their places.
        for (stream, chunks) in heads.into_iter().enumerate() {
            for chunk in chunks {
                self.push_around_moves(stream, chunk, engine, watch)?;
            }
        }
        let (mut shown, mut looked_for_idle) = (None::<(Instant, Duration)>, Instant::now());
        // When the first lines came that are not shown yet.
        let mut unshown = None::<Instant>;
        let mut checkpoints =
            Checkpoints { every: self.reader.times.checkpoints, last: Instant::now(), took: Duration::ZERO };
        while !self.reader.stopping() {
            let began = Instant::now();
            let mut now = began;
            while now.duration_since(began) < TOGETHER && !self.reader.stopping() {
                let heard = self.reader.poll(&mut self.inputs)?;
                now = Instant::now();
                let mut at = None;
                if let Heard::Record { stream, .. } = heard {
                    self.last[stream] = now;
                    at = Some(stream);
                }
                self.reader.hear(&heard, &self.names, watch)?;
                #[cfg(feature = "kafka")]
                if let Heard::Anew { stream } = heard {
                    self.coming.extend(StreamName::parse(&self.names[stream]).map(|name| name.next()));
                }
                if at.is_none_or(|stream| self.inputs.batch(stream).is_none_or(|batch| batch.is_full())) {
                    break;
                }
            }
            for stream in 0..self.names.len() {
                for chunk in self.inputs.batch(stream).map(|batch| batch.chunks()).unwrap_or_default() {
                    self.push_around_moves(stream, chunk, engine, watch)?;
                }
            }
            if watch.looked {
                unshown.get_or_insert(began);
            }
            if looked_for_idle.elapsed() >= LOOK_FOR_IDLE {
                #[cfg(feature = "kafka")]
                self.look_at_topics(engine, watch)?;
                let metrics = &self.reader.shared.metrics;
                metrics.streams(&self.names);
                let lags: Vec<Lag> = (0..self.names.len()).map(|stream| self.inputs.lag(stream)).collect();
                metrics.lags(&lags);
                let waiting = self.pushed.waiting_records() + engine.waiting_records();
                self.reader.shared.lines_waiting.store(waiting, Ordering::Relaxed);
                self.move_on(looked_for_idle, engine, watch)?;
                looked_for_idle = Instant::now();
            }
            if watch.looked
                && watch.state.is_caught_up()
                && shown.is_none_or(|(at, took)| at.elapsed() >= between(took))
            {
                let begins = Instant::now();
                self.reader.lasts(watch.state, engine)?;
                watch.noticed.repeated(self.inputs.take_repeats());
                let report = Report::new(engine, watch.found, &watch.noticed);
                let state = quoted(&self.reader.arguments.state);
                let mut json = report_json::to_json(&report);
                let (placebos, notices) = {
                    let view = self.reader.desk.view();
                    let withheld = view.book.placebos().iter().filter(|of| of.is_exceeded()).map(Placebo::reason);
                    (placebos_json(view.book.placebos()), withheld.collect())
                };
                if let Some(json) = json.as_object_mut() {
                    json.insert("placebos".to_owned(), placebos);
                    let links = links::of(&report, &self.reader.shared.links(), &watch.found.plan);
                    json.insert("links".to_owned(), links);
                }
                #[cfg(feature = "index")]
                self.reader.shared.count_shares(crate::cli::run::counters::of(&report));
                self.reader.shared.show(
                    format!("{json:#}\n"),
                    page::of(&report, engine, &watch.courses, &state, notices),
                    course::of(&report, engine, &watch.courses),
                    Gate::of(&report),
                    kept::verdicts(&report),
                );
                let metrics = &self.reader.shared.metrics;
                metrics.report(&report, engine);
                metrics.took(unshown.take().unwrap_or(began).elapsed());
                watch.looked = false;
                shown = Some((Instant::now(), begins.elapsed()));
            }
            if watch.is_ahead && watch.state.is_caught_up() && checkpoints.is_due() {
                let began = Instant::now();
                // Without one a restart reads more; that the disk refuses it is no reason to stop.
                let saved = self.checkpoint(engine, watch);
                let why = saved.err().map(|error| format!("no checkpoint was written: {error:#}"));
                match (self.reader.shared.unsaved(why.clone()), why) {
                    (true, Some(why)) => warn(&format!("{why}. A restart would read more again; it is tried on")),
                    (true, None) => say("a checkpoint was written again"),
                    (false, _) => {}
                }
                checkpoints = Checkpoints { last: Instant::now(), took: began.elapsed(), ..checkpoints };
            }
        }
        self.reader.lasts(watch.state, engine)?;
        if watch.is_ahead && watch.state.is_caught_up() {
            self.checkpoint(engine, watch)?;
        }
        Ok(())
    }

    /// Saves state and places; then what lies far enough behind is removed from the write-ahead log.
    fn checkpoint(&mut self, engine: &Engine, watch: &mut Watch<'_>) -> anyhow::Result<()> {
        // A checkpoint must not know more than the ledger.
        self.reader.lasts(watch.state, engine)?;
        let mut places = Vec::with_capacity(self.names.len());
        for (stream, name) in self.names.iter().enumerate() {
            let next = self.inputs.batch(stream).map_or(0, |batch| batch.after());
            let millis = self.inputs.millis(stream);
            places.push(Place { name: name.clone(), next, moves: self.moves_made[stream], millis });
        }
        let http = places.iter().find(|place| place.name == inputs::HTTP).map(|place| place.next);
        watch.noticed.repeated(self.inputs.take_repeats());
        let checkpoint = Checkpoint {
            written: watch.state.written(),
            places,
            engine: engine.snapshot(),
            streams: self.pushed.save(),
            shown: Shown { noticed: watch.noticed.clone(), courses: watch.courses.clone() },
        };
        checkpoint.write(watch.state.folder())?;
        #[cfg(feature = "kafka")]
        self.reader.tell(&checkpoint.places);
        let behind = checkpoint.places.iter().map(|place| (place.name.clone(), place.next));
        self.reader.shared.forgetting.checkpointed(behind);
        watch.is_ahead = false;
        if let Some(before) = http {
            wal::trim(&watch.state.folder().join(WAL), before, self.reader.arguments.keep_log)?;
        }
        Ok(())
    }

    /// Pushes a chunk, cut where an earlier run moved the stream on.
    fn push_around_moves(
        &mut self,
        stream: usize,
        chunk: Chunk,
        engine: &mut Engine,
        watch: &mut Watch<'_>,
    ) -> anyhow::Result<()> {
        watch.came();
        let moves = &mut self.moves[stream];
        let due = moves.len();
        let buffer = push_around_moves(&mut self.pushed, moves, (stream, chunk), engine, watch)?;
        if let Some(batch) = self.inputs.batch(stream) {
            batch.recycle(buffer);
        }
        self.moves_made[stream] += (due - moves.len()) as u64;
        Ok(())
    }

    /// What brokers say beside records: how far there is to read, what is out of order, and partitions that have come. Those are
    /// read from their beginning; but what windows have closed already stay closed.
    #[cfg(feature = "kafka")]
    fn look_at_topics(&mut self, engine: &mut Engine, watch: &mut Watch<'_>) -> anyhow::Result<()> {
        self.reader.shared.lags(self.inputs.lags());
        self.reader.shared.source(self.inputs.standing());
        watch.noticed.read_as(self.inputs.take_formats());
        self.coming.extend(self.inputs.found(&mut |words| say(&words)));
        // What the ledger has already was decided without them.
        if !watch.state.is_caught_up() {
            return Ok(());
        }
        for name in std::mem::take(&mut self.coming) {
            let shown = name.to_string();
            if self.names.contains(&shown) {
                continue;
            }
            let Some((first, format)) = self.inputs.join(&name)? else {
                self.coming.push(name);
                continue;
            };
            // Windows before are closed as far as the others go, and after this none closes without it.
            let window = (0..self.names.len()).map(|stream| self.pushed.oldest_open(stream)).min().unwrap_or(i64::MIN);
            let row = Row { name: shown.clone(), first, format: format.name().to_owned(), joined: Some(window) };
            watch.state.joined(std::iter::once(&row));
            self.reader.lasts(watch.state, engine)?;
            self.pushed.join(&shown, window, engine, watch)?;
            say(&format!("{shown} has come, and is read from its beginning"));
            self.names.push(shown);
            self.last.push(Instant::now());
            self.stalls.add(true);
            self.moves.push(VecDeque::new());
            self.moves_made.push(0);
            watch.came();
        }
        Ok(())
    }

    /// All of a stream has come, and there is no more; `None` when nobody answers, now or a moment ago.
    fn is_at_end(&mut self, stream: usize) -> Option<bool> {
        if !self.stalls.is_to_be_asked(stream) {
            return None;
        }
        let at_end = self.inputs.is_at_end(stream);
        match at_end {
            Some(ended) => {
                self.reader.shared.trouble(None);
                if ended {
                    self.stalls.ended(stream);
                }
            }
            None => self.stalls.not_answered(stream),
        }
        at_end
    }

    /// Notes which partitions stall, in ascending order, and says where that is new.
    fn tell_stalls(&mut self, stalled: &[usize], watch: &mut Watch<'_>) {
        let now = clock::now();
        let mut is_new = false;
        for (stream, name) in self.names.iter().enumerate() {
            match self.stalls.set(stream, stalled.binary_search(&stream).is_ok(), now) {
                None => continue,
                Some(true) => warn(&format!(
                    "{name} stalls: for {} s nothing has come from it, and it is not known to have been read to its end, while others go \
                     on. They are judged without it; nothing passes that this bears on",
                    self.reader.times.stall.as_secs()
                )),
                Some(false) => {
                    say(&format!("{name} stalls no more: what it brings for windows that closed without it is late"))
                }
            }
            is_new = true;
        }
        if is_new {
            let each = |(stream, since): (usize, Timestamp)| (self.names[stream].clone(), since.to_string());
            let list: BTreeMap<String, String> = self.stalls.stalled().map(each).collect();
            self.reader.shared.stalls(list.clone());
            watch.noticed.stalled(list);
            watch.looked = true;
        }
    }

    /// A partition from which nothing has come for a while, and in which nothing is left to read, does not hold windows
    /// back: it is moved on to where the others are. What it brings later and lies before is late. So is one that stalls; windows that
    /// close meanwhile say that it was missing. `looked`: when this was done last.
    fn move_on(&mut self, looked: Instant, engine: &mut Engine, watch: &mut Watch<'_>) -> anyhow::Result<()> {
        let bounds = Bounds { idle: self.reader.times.idle, stall: self.reader.times.stall };
        self.stalls.passes(looked.elapsed());
        for stream in 0..self.names.len() {
            if self.last[stream] >= looked {
                self.stalls.came(stream);
            } else if self.inputs.answered(stream).is_some_and(|at| at >= looked) {
                self.stalls.answered(stream);
            }
        }
        self.make_due(engine, watch)?;
        let (mut idle, mut stalled) = (Vec::new(), Vec::new());
        let mut is_unknown = false;
        for stream in 0..self.names.len() {
            let quiet = self.last[stream].elapsed();
            if self.reader.stopping() {
                return Ok(());
            }
            if quiet < bounds.idle.min(bounds.stall) {
                continue;
            }
            let at_end = self.is_at_end(stream);
            if self.inputs.answered(stream).is_some_and(|at| at >= looked) {
                self.stalls.answered(stream);
            }
            match standing(self.stalls.silence(stream, quiet, at_end), bounds) {
                Standing::Awaited => {}
                // Whose broker does not answer may still have lines: nothing is moved on.
                Standing::Unknown => is_unknown = true,
                Standing::Idle => idle.push(stream),
                // What the ledger has was decided with what the stream had then.
                Standing::Stalled if !watch.state.is_caught_up() => is_unknown = true,
                Standing::Stalled => stalled.push(stream),
            }
        }
        self.tell_stalls(&stalled, watch);
        if is_unknown {
            return Ok(());
        }
        for stream in &idle {
            while let Some(due) = self.moves[*stream].pop_front() {
                self.moves_made[*stream] += 1;
                make(&mut self.pushed, *stream, due, engine, watch)?;
                watch.came();
            }
        }
        if idle.len() == self.names.len() && !watch.state.is_caught_up() {
            bail!(
                "the logs hold less than what the ledger rests on (were they emptied or made anew?); begin anew with \
                 another --state"
            );
        }
        let (now, come) = (clock::now().0, |stream: usize| self.pushed.held_until(stream));
        let high = (0..self.names.len()).map(|stream| come(stream).1).max().unwrap_or(i64::MIN);
        let believed = idle.iter().filter(|stream| come(**stream).0.is_some_and(|until| is_believed(until, high, now)));
        self.moved(believed.map(|stream| (*stream, To::Held)).collect(), engine, watch)?;
        let active = (0..self.names.len())
            .filter(|stream| [&idle, &stalled].iter().all(|list| list.binary_search(stream).is_err()));
        let to = match active.map(|stream| self.pushed.oldest_open(stream)).min() {
            Some(slowest) => slowest,
            // Nothing comes from anywhere: what has come is judged as far as the furthest stream allows.
            None => {
                idle.iter().chain(&stalled).map(|stream| self.pushed.oldest_open(*stream)).max().unwrap_or(i64::MIN)
            }
        };
        let moved = idle.into_iter().map(|stream| (stream, To::Window(to)));
        let moved = moved.chain(stalled.into_iter().map(|stream| (stream, To::Stalled(to))));
        let moved = moved.filter(|(stream, _)| self.pushed.oldest_open(*stream) < to).collect();
        self.moved(moved, engine, watch)
    }

    /// Makes moves of earlier runs that stand right behind what was read: a partition that stalled then may do so now, and no line of it
    /// comes that they would stand before.
    fn make_due(&mut self, engine: &mut Engine, watch: &mut Watch<'_>) -> anyhow::Result<()> {
        for stream in 0..self.names.len() {
            let after = self.inputs.batch(stream).map_or(0, |batch| batch.after());
            while let Some(due) = self.moves[stream].front().copied().filter(|due| due.next <= after) {
                self.moves[stream].pop_front();
                self.moves_made[stream] += 1;
                make(&mut self.pushed, stream, due, engine, watch)?;
                watch.came();
            }
        }
        Ok(())
    }

    /// Moves streams on, once it is durable that they are.
    fn moved(&mut self, moved: Vec<(usize, To)>, engine: &mut Engine, watch: &mut Watch<'_>) -> anyhow::Result<()> {
        if moved.is_empty() {
            return Ok(());
        }
        let moved: Vec<(usize, Move)> = moved
            .into_iter()
            .map(|(stream, to)| (stream, Move { next: self.inputs.batch(stream).map_or(0, |batch| batch.after()), to }))
            .collect();
        watch.state.moved(moved.iter().map(|(stream, to)| (self.names[*stream].as_str(), *to)));
        self.reader.lasts(watch.state, engine)?;
        for (stream, due) in moved {
            self.moves_made[stream] += 1;
            make(&mut self.pushed, stream, due, engine, watch)?;
        }
        watch.came();
        Ok(())
    }
}

/// How long nothing further is shown after a report that took so long.
fn between(took: Duration) -> Duration {
    took.saturating_mul(SHOW_TIMES).clamp(SHOW, SHOW_MOST)
}

/// The clock guard waits for further lines to agree with those that it holds. None come now; so they are believed where they reach hardly
/// further than the furthest stream has come, or are of now by our own clock.
///
/// `until`: greatest time of those lines. `high`: the greatest that was taken of any stream, `i64::MIN` where none was.
fn is_believed(until: i64, high: i64, now: i64) -> bool {
    let is_of_now = until.abs_diff(now) <= JUMP.unsigned_abs();
    is_of_now || until <= if high == i64::MIN { now } else { high.saturating_add(JUMP) }
}

/// Moves a stream on.
pub(super) fn make(
    pushed: &mut PushedStreams<'_>,
    stream: usize,
    Move { next, to }: Move,
    engine: &mut Engine,
    observer: &mut dyn Observer,
) -> anyhow::Result<()> {
    match to {
        To::Window(window) => pushed.advance(stream, window, next, engine, observer)?,
        To::Stalled(window) => pushed.stall(stream, window, next, engine, observer)?,
        To::Held => pushed.believe(stream, next, engine, observer)?,
    }
    Ok(())
}

/// Pushes a chunk of a stream, and makes each move that stands before one of its lines in its place. Returns the
/// bytes of its last part for another use.
pub(super) fn push_around_moves(
    pushed: &mut PushedStreams<'_>,
    moves: &mut VecDeque<Move>,
    (stream, chunk): (usize, Chunk),
    engine: &mut Engine,
    observer: &mut dyn Observer,
) -> anyhow::Result<Vec<u8>> {
    let mut chunk = chunk;
    while let Some(due) = moves.front().copied() {
        let before = chunk.positions.partition_point(|position| *position < due.next);
        if before == chunk.positions.len() {
            break;
        }
        if before > 0 {
            let end = memchr::memchr_iter(b'\n', &chunk.bytes).nth(before - 1).map_or(0, |newline| newline + 1);
            let rest = Chunk {
                bytes: chunk.bytes.split_off(end),
                from: chunk.positions[before],
                positions: chunk.positions.split_off(before),
                ..chunk
            };
            pushed.push(stream, chunk, engine, observer)?;
            chunk = rest;
        }
        moves.pop_front();
        make(pushed, stream, due, engine, observer)?;
    }
    Ok(pushed.push(stream, chunk, engine, observer)?)
}

/// Keeps the ledger, and tells of verdicts.
pub(super) struct Watch<'a> {
    pub reader: &'a Reader<'a>,
    pub state: &'a mut State,
    pub found: &'a Survey,
    /// The verdict of each comparison that was told last.
    pub verdicts: BTreeMap<(usize, usize), Verdict>,
    /// The course of comparisons, for the page.
    pub courses: Courses,
    /// What is no part of any verdict, and to be told.
    pub noticed: Noticed,
    /// Something has come since the last report, and since the last checkpoint.
    pub looked: bool,
    pub is_ahead: bool,
    /// Lines that could not be read, for whoever looks into why.
    pub rejects: Rejects,
    /// The disk has refused some, which was said.
    pub rejects_refused: bool,
}

impl Watch<'_> {
    fn came(&mut self) {
        (self.looked, self.is_ahead) = (true, true);
    }
}

/// When the next checkpoint is due. A large state takes long to save: nineteen parts of twenty of the time are for reading.
struct Checkpoints {
    every: Duration,
    last: Instant,
    took: Duration,
}

impl Checkpoints {
    const READING: u32 = 19;

    fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every.max(self.took.saturating_mul(Self::READING))
    }
}

impl Observer for Watch<'_> {
    fn unread(&mut self, fields: BTreeMap<String, u64>) {
        self.noticed.unread(fields);
    }

    fn crashes(&mut self, stream: &str, lines: u64, arms: &[String]) {
        self.noticed.crashes(stream, lines, arms);
    }

    fn rejects(&mut self, stream: &str, rejects: Vec<KeptReject>) -> std::io::Result<()> {
        // They are counted all the same.
        if let Err(error) = self.rejects.keep(stream, rejects)
            && !std::mem::replace(&mut self.rejects_refused, true)
        {
            say(&format!("rejected lines cannot be kept: {error}"));
        }
        Ok(())
    }

    fn window(&mut self, engine: &Engine, partial: &WindowPartial) {
        self.noticed.window(engine, partial);
        self.reader.shared.metrics.window();
    }

    fn outputs(&mut self, engine: &Engine, outputs: Vec<Output>) -> std::io::Result<()> {
        for output in &outputs {
            if let Output::Entry(line) = output {
                self.state.entry(line)?;
            }
        }
        for output in &outputs {
            match output {
                Output::Entry(_) => {}
                Output::Looked { release, comparison } => self.courses.look(engine, *release, *comparison),
                Output::Forgotten { release, number, .. } => {
                    self.courses.forget(*release, *number);
                    self.verdicts.remove(&(*release, *number));
                }
            }
        }
        if !self.state.is_caught_up() {
            return Ok(());
        }
        if self.state.pending() > LEDGER_WAITING {
            self.reader.lasts(self.state, engine).map_err(std::io::Error::other)?;
        }
        for output in outputs {
            let Output::Looked { release, comparison: at } = output else { continue };
            let Some(comparison) = engine.comparison(release, at) else { continue };
            let verdict = comparison.look.verdict;
            if self.verdicts.insert((release, at), verdict) == Some(verdict) {
                continue;
            }
            self.reader.lasts(self.state, engine).map_err(std::io::Error::other)?;
            let report = Report::new(engine, self.found, &self.noticed);
            let judged = report.comparisons.iter().find(|judged| std::ptr::eq(judged.comparison, comparison));
            let Some(judged) = judged else { continue };
            // The headline, and the first reason for it.
            let words = judged.sentences().into_iter().nth(1).unwrap_or_default();
            say(&format!("{}. {}", judged.title(), harmless(&words, 300)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{HOUR, MINUTE};

    #[test]
    fn lines_that_wait_alone_are_believed_by_other_streams_or_by_the_clock() {
        let now = 1_000 * HOUR;
        // Nothing was taken of anything: old lines are, and those of a clock that is minutes ahead.
        assert!(is_believed(now - 500 * HOUR, i64::MIN, now) && is_believed(now + 4 * MINUTE, i64::MIN, now));
        assert!(!is_believed(now + HOUR, i64::MIN, now));
        // An old log: as far as other streams have come, and little further.
        let high = now - 500 * HOUR;
        assert!(is_believed(high - HOUR, high, now) && is_believed(high + 4 * MINUTE, high, now));
        assert!(!is_believed(high + HOUR, high, now) && !is_believed(now + HOUR, high, now));
        // A quiet service: its last line is an hour old, and this one is of now.
        assert!(is_believed(now - 3, now - HOUR, now));
    }
}
