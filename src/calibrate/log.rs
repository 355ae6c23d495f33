//! A log, decoded once and kept, or decoded again for each split when it is too large to keep.

use std::borrow::Cow;

use crate::event::{Event, Intern, Kind, NO_LATENCY, RejectReason, ServiceKey};
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::intern::Interner;
use crate::pipeline::plan::{ArmRule, CANARY, Plan};
use crate::sketch::latency::{Histogram, bin_of};
use crate::source::files::{FilesError, Part, Stream};
use crate::source::fold_chunk::not_utf8;
use crate::source::lines::{Chunk, ChunkReader};
use crate::time::Timestamp;

/// Bytes of text of a chunk.
const CHUNK_BYTES: usize = 1 << 22;

/// Events that are kept in memory, 72 bytes each: 1.4 GiB.
pub const EVENTS_MAX: usize = 20_000_000;

/// Lines of one chunk.
#[derive(Clone, Debug, Default)]
pub(super) struct DecodedChunk {
    /// Offset of its first byte.
    pub(super) from: u64,
    /// Offset after its last byte.
    pub(super) end: u64,
    /// Nothing follows.
    pub(super) last: bool,
    /// Events in order.
    pub(super) events: Vec<Event>,
    /// Names that the events refer to.
    pub(super) names: Interner,
    rejects: [u64; RejectReason::ALL.len()],
    /// Lines that were asked to be left out.
    pub(super) outside: u64,
}

impl DecodedChunk {
    /// Rejected lines by reason.
    pub(super) fn rejects(&self) -> impl Iterator<Item = (RejectReason, u64)> + '_ {
        RejectReason::ALL.into_iter().zip(self.rejects)
    }
}

/// What is known of the log as a whole.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Lines read.
    pub lines: u64,
    /// Lines that could not become events.
    pub rejected: u64,
    /// Events that were left out because they are not of the baseline.
    pub other_arms: u64,
    /// Requests of the judged service.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Distinct units with a request.
    pub units: u64,
    /// Requests without a unit: they belong to no arm of a split.
    pub without_unit: u64,
    /// Latencies of requests.
    pub latency: Histogram,
    /// First and last time of a request.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// A stream, with its chunks when they are kept.
#[derive(Debug)]
struct LogStream {
    stream: Stream,
    chunks: Vec<DecodedChunk>,
}

/// See the module text.
#[derive(Debug)]
pub struct Log {
    plan: Plan,
    /// The service whose requests are judged.
    pub entry: ServiceKey,
    streams: Vec<LogStream>,
    /// False when each split reads the files again.
    pub in_memory: bool,
    /// What is known of it as a whole.
    pub facts: Facts,
}

/// Why a log cannot be calibrated with.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// More than fits into memory, and it cannot be read twice.
    #[error("standard input has more than {0} lines, too many to keep; write it to a file, which can be read again")]
    StandardInput(usize),
}

impl Log {
    /// Reads streams. `plan`: splits by hash take every line; with two queries only lines of the baseline are taken.
    /// `read` is told of bytes of text as they are decoded; at most `events_max` events are kept.
    ///
    /// # Errors
    /// What cannot be read, or cannot be read twice.
    pub fn read(
        streams: Vec<Stream>,
        plan: Plan,
        entry: ServiceKey,
        events_max: usize,
        read: &mut dyn FnMut(u64),
    ) -> Result<Log, LogError> {
        let mut facts = Facts::default();
        let mut units: hashbrown::HashSet<u64, foldhash::fast::FixedState> = hashbrown::HashSet::default();
        let mut kept_events = 0usize;
        let mut in_memory = true;
        let mut logs: Vec<LogStream> = Vec::new();
        let once = streams.iter().any(|stream| stream.parts.iter().any(|part| matches!(part, Part::Stdin(_))));
        for stream in streams {
            let mut source = Files::new(&stream, &plan);
            let mut chunks = Vec::new();
            while let Some((chunk, other_arms)) = source.next()? {
                read(chunk.end - chunk.from);
                facts.other_arms += other_arms;
                facts.add(&chunk, other_arms, &entry, &plan, &mut units);
                kept_events = kept_events.saturating_add(chunk.events.len());
                if in_memory && kept_events > events_max {
                    if once {
                        return Err(LogError::StandardInput(events_max));
                    }
                    in_memory = false;
                    chunks.clear();
                    logs.iter_mut().for_each(|log| log.chunks.clear());
                }
                if in_memory {
                    chunks.push(chunk);
                }
            }
            drop(source);
            logs.push(LogStream { stream, chunks });
        }
        facts.units = units.len() as u64;
        Ok(Log { plan, entry, streams: logs, in_memory, facts })
    }

    /// How lines are read.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Each stream's name with its chunks in order.
    pub(super) fn streams(&self) -> Vec<(&str, Chunks<'_>)> {
        self.streams
            .iter()
            .map(|log| {
                let chunks = if self.in_memory {
                    Chunks::Kept(log.chunks.iter())
                } else {
                    Chunks::Again(Box::new(Files::new(&log.stream, &self.plan)))
                };
                (log.stream.name.as_str(), chunks)
            })
            .collect()
    }
}

impl Facts {
    fn add(
        &mut self,
        chunk: &DecodedChunk,
        other_arms: u64,
        entry: &ServiceKey,
        plan: &Plan,
        units: &mut hashbrown::HashSet<u64, foldhash::fast::FixedState>,
    ) {
        let rejected: u64 = chunk.rejects.iter().sum();
        self.lines += chunk.events.len() as u64 + other_arms + rejected + chunk.outside;
        self.rejected += rejected;
        let services = &chunk.names.names().services;
        for event in &chunk.events {
            let ours = event.kind == Kind::Request && services.get(usize::from(event.service)) == Some(entry);
            if !ours || plan.windowing.outside(event.time) {
                continue;
            }
            self.requests += 1;
            self.errors += u64::from(event.error);
            if event.unit == 0 {
                self.without_unit += 1;
            } else {
                units.insert(event.unit);
            }
            if event.latency_us != NO_LATENCY {
                self.latency.add(bin_of(event.latency_us), 1);
            }
            self.span = Some(match self.span {
                None => (event.time, event.time),
                Some((first, last)) => (first.min(event.time), last.max(event.time)),
            });
        }
    }
}

/// The chunks of one stream, in order.
pub(super) enum Chunks<'a> {
    /// Kept in memory.
    Kept(std::slice::Iter<'a, DecodedChunk>),
    /// Decoded again.
    Again(Box<Files<'a>>),
}

impl<'a> Chunks<'a> {
    /// The next chunk; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Cow<'a, DecodedChunk>>, FilesError> {
        match self {
            Chunks::Kept(chunks) => Ok(chunks.next().map(Cow::Borrowed)),
            Chunks::Again(files) => Ok(files.next()?.map(|(chunk, _)| Cow::Owned(chunk))),
        }
    }
}

/// Reads and decodes a stream.
pub(super) struct Files<'a> {
    reader: ChunkReader,
    decoder: Decoder<'a>,
    /// Lines that are not of the baseline are left out.
    baseline_only: bool,
}

impl<'a> Files<'a> {
    fn new(stream: &Stream, plan: &'a Plan) -> Files<'a> {
        Files {
            reader: ChunkReader::new(stream, CHUNK_BYTES),
            decoder: Decoder::new(plan, &stream.name),
            baseline_only: matches!(plan.arms, ArmRule::Queries { .. }),
        }
    }

    /// The next chunk, with the number of events that belong to another arm and are not in it.
    fn next(&mut self) -> Result<Option<(DecodedChunk, u64)>, FilesError> {
        let Some(text) = self.reader.next_chunk()? else { return Ok(None) };
        let decoded = self.decode(&text);
        self.reader.recycle(text.bytes);
        Ok(Some(decoded))
    }

    fn decode(&mut self, text: &Chunk) -> (DecodedChunk, u64) {
        let mut out = DecodedChunk {
            from: text.from,
            end: text.from + text.too_long.unwrap_or(text.bytes.len() as u64),
            last: text.last,
            ..DecodedChunk::default()
        };
        let mut other_arms = 0;
        if text.too_long.is_some() {
            out.rejects[RejectReason::TooLong as usize] += 1;
            return (out, 0);
        }
        for (line, offset, _) in text.records() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let decoded = match std::str::from_utf8(line) {
                Ok(line) => self.decoder.decode(line, offset),
                Err(_) => Err(not_utf8(line)),
            };
            match decoded {
                Ok(Decoded::Event(event)) => {
                    if self.baseline_only && event.arm == self.decoder.interner().arm(CANARY) {
                        other_arms += 1;
                    } else {
                        out.events.push(event);
                    }
                }
                Ok(Decoded::Outside) => out.outside += 1,
                Err(reason) => out.rejects[reason as usize] += 1,
            }
        }
        out.names = self.decoder.take_names();
        (out, other_arms)
    }
}
