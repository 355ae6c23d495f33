//! Reads streams side by side, folds chunks on all cores, and feeds the engine in order.
//!
//! The stream that is furthest behind in event time is read next, so that few windows are open at once. What the
//! engine is told does not depend on threads, chunk sizes or the order of reading.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use crate::engine::{Engine, Input, Output};
use crate::event::RejectReason;
use crate::fold::{FoldedChunk, Passed, StreamFold};
use crate::pipeline::decode::Decoder;
use crate::pipeline::plan::Plan;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::WindowPartial;
use crate::source::files::{FilesError, Stream};
use crate::source::fold_chunk::{ChunkFolder, HeldLines, KeptReject, refold_chunk};
use crate::source::lines::{Chunk, ChunkReader};

/// Threads past which no more are started: each holds chunks, and none would have work.
const THREADS_MAX: usize = 256;

/// Chunks a thread that are read ahead: while a window is closed, which takes as long as folding several chunks, no thread
/// may run out of work. Many threads share [`CHUNKS_MAX`], but have two each: one in hand, one waiting.
const CHUNKS_AHEAD: usize = 8;
const CHUNKS_MAX: usize = 64;

/// How to read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Threads that decode and fold.
    pub threads: usize,
    /// Bytes of a chunk.
    pub chunk_bytes: usize,
    /// Rejected lines are handed to the observer.
    pub keep_rejects: bool,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options { threads, chunk_bytes: 1 << 20, keep_rejects: false }
    }
}

/// What happens while streams are read.
pub trait Observer {
    /// The engine has said something.
    fn outputs(&mut self, engine: &Engine, outputs: Vec<Output>) -> std::io::Result<()>;
    /// Lines were rejected.
    fn rejects(&mut self, stream: &str, rejects: Vec<KeptReject>) -> std::io::Result<()> {
        let _nobody_keeps_them = (stream, rejects);
        Ok(())
    }
    /// A stream has passed a window; the engine is told next.
    fn window(&mut self, engine: &Engine, partial: &WindowPartial) {
        let _nobody_counts_it = (engine, partial);
    }
    /// Lines had fields of known names that the plan does not read: each with the number of lines.
    fn unread(&mut self, fields: BTreeMap<String, u64>) {
        let _nobody_counts_them = fields;
    }
    /// A chunk of a stream names these arms, and so many of its lines say that a program died.
    fn crashes(&mut self, stream: &str, lines: u64, arms: &[String]) {
        let _nobody_counts_them = (stream, lines, arms);
    }
    /// So many bytes of text have been folded.
    fn progress(&mut self, bytes: u64) {
        let _nobody_counts_them = bytes;
    }
}

/// Why reading stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The observer could not write.
    #[error("could not write: {0}")]
    Write(#[from] std::io::Error),
}

/// A stream as far as its chunks have been taken, in order.
struct Taken {
    name: Arc<str>,
    fold: StreamFold,
    held: HeldLines,
}

/// One stream being read.
struct Reading {
    taken: Taken,
    reader: ChunkReader,
    /// Chunks handed out, and merged.
    sent: u64,
    merged: u64,
    waiting: BTreeMap<u64, Folded>,
    all_read: bool,
}

struct Work {
    stream: usize,
    number: u64,
    name: Arc<str>,
    chunk: Chunk,
}

struct Folded {
    chunk: Chunk,
    folded: FoldedChunk,
    rejects: Vec<KeptReject>,
}

type Results = (usize, u64, Folded);

/// Reads all streams to their end. The engine must be fresh; the ledger's first entry comes first.
///
/// # Errors
/// A file that cannot be read, or an observer that cannot write.
pub fn run(
    streams: &[Stream],
    plan: &Plan,
    engine: &mut Engine,
    plan_text: serde_json::Value,
    options: Options,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    let readers =
        streams.iter().map(|stream| (stream.name.clone(), ChunkReader::new(stream, options.chunk_bytes))).collect();
    run_readers(readers, plan, engine, plan_text, options, observer)
}

/// The same for streams that are open already, with their names.
///
/// # Errors
/// As [`run`].
pub fn run_readers(
    readers: Vec<(String, ChunkReader)>,
    plan: &Plan,
    engine: &mut Engine,
    plan_text: serde_json::Value,
    options: Options,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    for (name, _) in &readers {
        engine.apply(Input::Stream { name: name.clone() });
    }
    let outputs = engine.start(plan_text);
    observer.outputs(engine, outputs)?;
    let mut readings: Vec<Reading> = readers
        .into_iter()
        .map(|(name, reader)| Reading {
            taken: Taken::new(&name, plan),
            reader,
            sent: 0,
            merged: 0,
            waiting: BTreeMap::new(),
            all_read: false,
        })
        .collect();
    let options = Options { threads: options.threads.min(THREADS_MAX), ..options };
    if options.threads <= 1 {
        let mut folder = ChunkFolder::new(plan, options.keep_rejects);
        while let Some(work) = next_chunk(&mut readings)? {
            let folded = fold(&mut folder, work.chunk, &work.name);
            take(plan, engine, &mut readings, (work.stream, work.number, folded), options, observer)?;
        }
    } else {
        in_parallel(plan, engine, &mut readings, options, observer)?;
    }
    let outputs = engine.apply(Input::Finish);
    observer.outputs(engine, outputs)?;
    Ok(())
}

fn in_parallel(
    plan: &Plan,
    engine: &mut Engine,
    readings: &mut [Reading],
    options: Options,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    let ahead = (options.threads * CHUNKS_AHEAD).min(CHUNKS_MAX).max(options.threads * 2);
    let (work_in, work_out): (SyncSender<Work>, Receiver<Work>) = sync_channel(ahead);
    let (done_in, done_out): (SyncSender<Results>, Receiver<Results>) = sync_channel(ahead);
    let work_out = Arc::new(Mutex::new(work_out));
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            let work_out = Arc::clone(&work_out);
            let done_in = done_in.clone();
            scope.spawn(move || {
                let mut folder = ChunkFolder::new(plan, options.keep_rejects);
                loop {
                    let next = match work_out.lock() {
                        Ok(queue) => queue.recv(),
                        Err(_) => return,
                    };
                    let Ok(work) = next else { return };
                    let folded = fold(&mut folder, work.chunk, &work.name);
                    if done_in.send((work.stream, work.number, folded)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done_in);
        let mut in_flight = 0;
        let mut more = true;
        loop {
            while more && in_flight < ahead {
                match next_chunk(readings)? {
                    Some(work) => {
                        if work_in.send(work).is_err() {
                            more = false;
                        } else {
                            in_flight += 1;
                        }
                    }
                    None => more = false,
                }
            }
            if in_flight == 0 {
                break;
            }
            let Ok(result) = done_out.recv() else { break };
            in_flight -= 1;
            take(plan, engine, readings, result, options, observer)?;
        }
        drop(work_in);
        Ok(())
    })
}

fn fold(folder: &mut ChunkFolder<'_>, chunk: Chunk, name: &str) -> Folded {
    let (folded, rejects) = folder.fold(name, &chunk);
    Folded { chunk, folded, rejects }
}

/// The next chunk of the stream that is furthest behind.
fn next_chunk(readings: &mut [Reading]) -> Result<Option<Work>, FilesError> {
    loop {
        let next = readings
            .iter()
            .enumerate()
            .filter(|(_, reading)| !reading.all_read)
            .min_by_key(|(at, reading)| (reading.taken.fold.oldest_open(), reading.sent - reading.merged, *at))
            .map(|(at, _)| at);
        let Some(at) = next else { return Ok(None) };
        let reading = &mut readings[at];
        match reading.reader.next_chunk()? {
            Some(chunk) => {
                reading.all_read = chunk.last;
                let number = reading.sent;
                reading.sent += 1;
                return Ok(Some(Work { stream: at, number, name: Arc::clone(&reading.taken.name), chunk }));
            }
            None => reading.all_read = true,
        }
    }
}

/// Merges what has come in order, and tells the engine.
fn take(
    plan: &Plan,
    engine: &mut Engine,
    readings: &mut [Reading],
    (at, number, folded): Results,
    options: Options,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    let Some(reading) = readings.get_mut(at) else { return Ok(()) };
    reading.waiting.insert(number, folded);
    while let Some(folded) = reading.waiting.remove(&reading.merged) {
        reading.merged += 1;
        let bytes = reading.taken.take(plan, engine, folded, options.keep_rejects, observer)?;
        reading.reader.recycle(bytes);
    }
    Ok(())
}

impl Taken {
    fn new(name: &str, plan: &Plan) -> Taken {
        Taken { name: Arc::from(name), fold: StreamFold::new(plan.windowing), held: HeldLines::default() }
    }

    /// Takes the next chunk, and tells the engine window by window, so that an observer sees each look when it is the
    /// latest. Returns the chunk's bytes for another use.
    fn take(
        &mut self,
        plan: &Plan,
        engine: &mut Engine,
        Folded { chunk, mut folded, mut rejects }: Folded,
        keep_rejects: bool,
        observer: &mut dyn Observer,
    ) -> Result<Vec<u8>, RunError> {
        let bytes = chunk.too_long.unwrap_or(chunk.bytes.len() as u64);
        let end = chunk.last.then_some(chunk.from + bytes);
        let mut quarantined = folded.quarantined.clone();
        let mut unread = std::mem::take(&mut folded.unread);
        observer.crashes(&self.name, folded.rejected(RejectReason::CrashText), folded.arms());
        let passed = self.fold.push(folded, end, |state| {
            let (mut folded, again) = refold_chunk(plan, &self.name, &chunk, keep_rejects, state);
            rejects = again;
            unread = std::mem::take(&mut folded.unread);
            quarantined.clone_from(&folded.quarantined);
            folded
        });
        if keep_rejects {
            // Made where a line is kept, which is seldom.
            let mut preparer = None;
            let mut prepared = |line: &[u8]| {
                let preparer = preparer.get_or_insert_with(|| Decoder::new(plan, &self.name));
                preparer.prepared_bytes(line).into_owned()
            };
            rejects.extend(self.held.settle(&chunk, &quarantined, self.fold.held(), &mut prepared));
            rejects.sort_by_key(|reject| reject.offset);
        }
        observer.progress(bytes);
        if !unread.is_empty() {
            observer.unread(unread);
        }
        if !rejects.is_empty() {
            observer.rejects(&self.name, rejects)?;
        }
        self.pass(passed, engine, observer)?;
        Ok(chunk.bytes)
    }

    /// Tells the engine what the stream has passed, and how far it has come.
    fn pass(&self, passed: Vec<Passed>, engine: &mut Engine, observer: &mut dyn Observer) -> Result<(), RunError> {
        for Passed { partial, at } in passed {
            let oldest_open = partial.window.saturating_add(1);
            observer.window(engine, &partial);
            engine.apply(Input::Partial { stream: self.name.to_string(), partial, at });
            progress(engine, &self.name, oldest_open, observer)?;
        }
        progress(engine, &self.name, self.fold.oldest_open(), observer)
    }
}

/// Tells the engine how far a stream has come, in steps: many windows may have waited for this stream alone.
fn progress(engine: &mut Engine, name: &str, oldest_open: i64, observer: &mut dyn Observer) -> Result<(), RunError> {
    let mut step = |engine: &mut Engine, oldest_open: i64| -> Result<(), RunError> {
        let outputs = engine.apply(Input::Progress { stream: name.to_owned(), oldest_open });
        if outputs.is_empty() { Ok(()) } else { Ok(observer.outputs(engine, outputs)?) }
    };
    while let Some(waiting) = engine.oldest_waiting().filter(|window| *window < oldest_open) {
        step(engine, waiting.saturating_add(1))?;
        // Another stream holds it back, and all after it.
        if engine.oldest_waiting() == Some(waiting) {
            break;
        }
    }
    step(engine, oldest_open)
}

/// The streams of an engine whose chunks are handed over as they come, instead of read from files.
pub struct PushedStreams<'a> {
    plan: &'a Plan,
    streams: Vec<(Taken, ChunkFolder<'a>)>,
    /// Rejected lines are handed to the observer.
    keep: bool,
}

impl<'a> PushedStreams<'a> {
    /// Tells a fresh engine of the streams; the ledger's first entry comes first.
    ///
    /// # Errors
    /// An observer that cannot write.
    pub fn begin(
        names: &[String],
        plan: &'a Plan,
        engine: &mut Engine,
        plan_text: serde_json::Value,
        observer: &mut dyn Observer,
    ) -> Result<PushedStreams<'a>, RunError> {
        for name in names {
            engine.apply(Input::Stream { name: name.clone() });
        }
        let outputs = engine.start(plan_text);
        observer.outputs(engine, outputs)?;
        let streams = names.iter().map(|name| (Taken::new(name, plan), ChunkFolder::new(plan, false))).collect();
        Ok(PushedStreams { plan, streams, keep: false })
    }

    /// Hands rejected lines to the observer from now on.
    pub fn keep_rejects(&mut self) {
        self.keep = true;
        self.streams.iter_mut().for_each(|(_, folder)| *folder = ChunkFolder::new(self.plan, true));
    }

    /// Streams that go on as those that were saved, of an engine that was restored from the same moment.
    ///
    /// # Errors
    /// [`Damaged`] for bytes that are not of these streams.
    pub fn resume(names: &[String], plan: &'a Plan, saved: &[u8]) -> Result<PushedStreams<'a>, Damaged> {
        let mut r = Reader::new(saved);
        let mut streams = Vec::with_capacity(names.len());
        for name in names {
            let fold = StreamFold::read(plan.windowing, &mut r)?;
            let taken = Taken { fold, ..Taken::new(name, plan) };
            streams.push((taken, ChunkFolder::new(plan, false)));
        }
        r.end()?;
        Ok(PushedStreams { plan, streams, keep: false })
    }

    /// Takes a further stream, which comes while others are read: it adds to no window before `oldest_open`. Nothing that the
    /// others bring has to wait for it until there, so that it is all the same whether this is known from the beginning.
    ///
    /// # Errors
    /// An observer that cannot write.
    pub fn join(
        &mut self,
        name: &str,
        oldest_open: i64,
        engine: &mut Engine,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        engine.apply(Input::Join { name: name.to_owned(), oldest_open });
        self.streams.push((Taken::new(name, self.plan), ChunkFolder::new(self.plan, self.keep)));
        self.advance(self.streams.len() - 1, oldest_open, 0, engine, observer)
    }

    /// What [`PushedStreams::resume`] needs.
    pub fn save(&mut self) -> Vec<u8> {
        let mut w = Writer::default();
        self.streams.iter_mut().for_each(|(taken, _)| taken.fold.write(&mut w));
        w.bytes
    }

    /// Takes the next chunk of the stream with this index; returns the chunk's bytes for another use.
    ///
    /// # Errors
    /// An observer that cannot write.
    pub fn push(
        &mut self,
        stream: usize,
        chunk: Chunk,
        engine: &mut Engine,
        observer: &mut dyn Observer,
    ) -> Result<Vec<u8>, RunError> {
        let Some((taken, folder)) = self.streams.get_mut(stream) else { return Ok(chunk.bytes) };
        let folded = fold(folder, chunk, &taken.name);
        taken.take(self.plan, engine, folded, self.keep, observer)
    }

    /// Lines of all streams that were counted in windows which are still open.
    pub fn waiting_records(&self) -> u64 {
        self.streams.iter().map(|(taken, _)| taken.fold.waiting_records()).sum()
    }

    /// Oldest window that a stream can still add to.
    pub fn oldest_open(&self, stream: usize) -> i64 {
        self.streams.get(stream).map_or(i64::MAX, |(taken, _)| taken.fold.oldest_open())
    }

    /// Moves a stream on to a window, though none of its lines has come so far. `at`: where the stream stands.
    ///
    /// # Errors
    /// An observer that cannot write.
    pub fn advance(
        &mut self,
        stream: usize,
        oldest_open: i64,
        at: u64,
        engine: &mut Engine,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        let Some((taken, _)) = self.streams.get_mut(stream) else { return Ok(()) };
        let passed = taken.fold.advance(oldest_open, at);
        taken.pass(passed, engine, observer)
    }

    /// The same for a stream that has more and gives none: windows before close without those lines, and say so.
    ///
    /// # Errors
    /// An observer that cannot write.
    pub fn stall(
        &mut self,
        stream: usize,
        oldest_open: i64,
        at: u64,
        engine: &mut Engine,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        if let Some((taken, _)) = self.streams.get(stream).filter(|_| oldest_open < i64::MAX) {
            engine.apply(Input::Stall { stream: taken.name.to_string(), oldest_open });
        }
        self.advance(stream, oldest_open, at, engine, observer)
    }

    /// Greatest time of the lines of a stream whose clock is not believed yet, and the greatest that was taken of it.
    pub fn held_until(&self, stream: usize) -> (Option<i64>, i64) {
        self.streams.get(stream).map_or((None, i64::MIN), |(taken, _)| taken.fold.held_until())
    }

    /// Takes the lines of a stream whose clock was not believed so far. `at`: where the stream stands.
    ///
    /// # Errors
    /// An observer that cannot write.
    pub fn believe(
        &mut self,
        stream: usize,
        at: u64,
        engine: &mut Engine,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        let Some((taken, folder)) = self.streams.get_mut(stream) else { return Ok(()) };
        let passed = taken.fold.believe(|state| folder.believe(&taken.name, at, state));
        taken.held = HeldLines::default();
        taken.pass(passed, engine, observer)
    }
}

/// The one stream of an engine whose text is handed over as it comes.
pub struct PushedStream<'a> {
    one: PushedStreams<'a>,
    /// Bytes handed over so far.
    offset: u64,
}

impl<'a> PushedStream<'a> {
    /// Tells a fresh engine of the stream; the ledger's first entry comes first.
    ///
    /// # Errors
    /// An observer that cannot write.
    pub fn begin(
        name: &str,
        plan: &'a Plan,
        engine: &mut Engine,
        plan_text: serde_json::Value,
        observer: &mut dyn Observer,
    ) -> Result<PushedStream<'a>, RunError> {
        let one = PushedStreams::begin(&[name.to_owned()], plan, engine, plan_text, observer)?;
        Ok(PushedStream { one, offset: 0 })
    }

    /// Takes the next whole lines; returns the bytes for another use.
    ///
    /// # Errors
    /// An observer that cannot write.
    pub fn push(
        &mut self,
        bytes: Vec<u8>,
        engine: &mut Engine,
        observer: &mut dyn Observer,
    ) -> Result<Vec<u8>, RunError> {
        self.chunk(bytes, false, engine, observer)
    }

    /// Nothing more comes.
    ///
    /// # Errors
    /// An observer that cannot write.
    pub fn end(mut self, engine: &mut Engine, observer: &mut dyn Observer) -> Result<(), RunError> {
        self.chunk(Vec::new(), true, engine, observer)?;
        let outputs = engine.apply(Input::Finish);
        observer.outputs(engine, outputs)?;
        Ok(())
    }

    fn chunk(
        &mut self,
        bytes: Vec<u8>,
        last: bool,
        engine: &mut Engine,
        observer: &mut dyn Observer,
    ) -> Result<Vec<u8>, RunError> {
        let chunk = Chunk { bytes, from: self.offset, last, too_long: None, positions: Vec::new() };
        self.offset += chunk.bytes.len() as u64;
        self.one.push(0, chunk, engine, observer)
    }
}
