//! Decodes a chunk of lines and folds it. One parse feeds everything.

use std::collections::BTreeMap;

use crate::event::RejectReason;
use crate::fold::{ChunkFold, ClockGuard, FoldedChunk, Refold};
use crate::pipeline::continued::records;
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::plan::Plan;
use crate::source::lines::Chunk;

/// A line that could not become an event, kept for the file of rejects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptReject {
    /// Why.
    pub reason: RejectReason,
    /// Offset of the line in its stream.
    pub offset: u64,
    /// Its start, as far as it is UTF-8.
    pub line: String,
}

/// Bytes of a rejected line that are kept.
const KEPT_BYTES: usize = 4096;

impl KeptReject {
    /// A line that is rejected.
    pub fn new(reason: RejectReason, offset: u64, line: &[u8]) -> KeptReject {
        let start = line.get(..KEPT_BYTES).unwrap_or(line);
        KeptReject { reason, offset, line: String::from_utf8_lossy(start).into_owned() }
    }
}

/// Lines of a stream whose clock is not believed yet, so that they can be kept when they become rejects.
#[derive(Clone, Debug, Default)]
pub struct HeldLines(BTreeMap<u64, KeptReject>);

impl HeldLines {
    /// A chunk was taken: the rejects for lines that were given up, of this chunk or held before.
    ///
    /// `held`: offsets of lines that are held now. `prepared`: a line as it is kept.
    pub fn settle(
        &mut self,
        chunk: &Chunk,
        quarantined: &[u64],
        held: impl Iterator<Item = u64>,
        prepared: &mut dyn FnMut(&[u8]) -> Vec<u8>,
    ) -> Vec<KeptReject> {
        let mut find = |known: &BTreeMap<u64, KeptReject>, offset: u64| {
            known.get(&offset).cloned().or_else(|| {
                let line = match chunk.positions.as_slice() {
                    [] => {
                        let at = usize::try_from(offset.checked_sub(chunk.from)?).ok()?;
                        records(chunk.bytes.get(at..)?, offset).next()?.text
                    }
                    positions => {
                        let number = positions.binary_search(&offset).ok()?;
                        chunk.bytes.split(|byte| *byte == b'\n').nth(number)?
                    }
                };
                Some(KeptReject::new(RejectReason::Quarantined, offset, &prepared(line)))
            })
        };
        let rejects = quarantined.iter().filter_map(|offset| find(&self.0, *offset)).collect();
        self.0 = held.filter_map(|offset| Some((offset, find(&self.0, offset)?))).collect();
        rejects
    }
}

/// Folds chunks of streams; keeps the decoder of the stream it saw last, since making one costs more than a few lines.
pub struct ChunkFolder<'p> {
    plan: &'p Plan,
    decoder: Option<(String, Decoder<'p>)>,
    keep: bool,
}

impl<'p> ChunkFolder<'p> {
    /// A folder of chunks. `keep`: rejected lines are returned too.
    pub fn new(plan: &'p Plan, keep: bool) -> ChunkFolder<'p> {
        ChunkFolder { plan, decoder: None, keep }
    }

    /// Folds a chunk of a stream.
    pub fn fold(&mut self, stream: &str, chunk: &Chunk) -> (FoldedChunk, Vec<KeptReject>) {
        let windowing = &self.plan.windowing;
        let fold = if chunk.from == 0 && chunk.positions.is_empty() {
            // How far the stream has come is known: not at all.
            ChunkFold::with_guard(windowing, stream, 0, i64::MIN, ClockGuard::default())
        } else {
            ChunkFold::new(windowing, stream, chunk.from)
        };
        self.run(stream, chunk, fold)
    }

    /// Folds a chunk again, line by line behind the stream's clock guard.
    pub fn refold(&mut self, stream: &str, chunk: &Chunk, state: Refold) -> (FoldedChunk, Vec<KeptReject>) {
        let fold = ChunkFold::with_guard(&self.plan.windowing, stream, chunk.from, state.high, state.guard);
        self.run(stream, chunk, fold)
    }

    /// Folds the lines that a stream's clock guard holds, since they are believed. `from`: where the stream stands.
    pub fn believe(&mut self, stream: &str, from: u64, state: Refold) -> FoldedChunk {
        let mut decoder = Decoder::new(self.plan, stream);
        let mut fold = ChunkFold::with_guard(&self.plan.windowing, stream, from, state.high, state.guard);
        fold.believe(decoder.interner());
        fold.finish(decoder.interner(), false)
    }

    fn run(&mut self, stream: &str, chunk: &Chunk, mut fold: ChunkFold<'_>) -> (FoldedChunk, Vec<KeptReject>) {
        let mut decoder = match self.decoder.take() {
            Some((name, mut decoder)) if name == stream => {
                decoder.begin_chunk();
                decoder
            }
            _ => Decoder::new(self.plan, stream),
        };
        let mut rejects = Vec::new();
        let mut reject =
            |fold: &mut ChunkFold<'_>, decoder: &mut Decoder<'_>, reason: RejectReason, line: &[u8], offset: u64| {
                match decoder.arm_of_damaged(line) {
                    Some(arm) => fold.reject_of_arm(reason, arm),
                    None => fold.reject(reason),
                }
                if self.keep {
                    // What is taken out of lines is taken out of those that are kept.
                    let kept = decoder.prepared_bytes(line);
                    rejects.push(KeptReject::new(reason, offset, &kept));
                }
            };
        if chunk.too_long.is_some() {
            reject(&mut fold, &mut decoder, RejectReason::TooLong, &chunk.bytes, chunk.from);
        } else {
            // One check of the whole chunk is faster than one a line; only a chunk with bad bytes is looked at by line.
            let valid = std::str::from_utf8(&chunk.bytes).ok();
            for (number, (line, offset, after)) in chunk.records().enumerate() {
                let at = (offset - chunk.from) as usize;
                let position = chunk.positions.get(number);
                let (offset, after) = position.map_or((offset, after), |position| (*position, position + 1));
                if line.trim_ascii().is_empty() {
                    // Between lines of a text there is room; a record with a position that holds nothing is one.
                    if position.is_some() {
                        reject(&mut fold, &mut decoder, RejectReason::UnknownFormat, line, offset);
                    }
                    continue;
                }
                let text = match valid.and_then(|text| text.get(at..at + line.len())) {
                    Some(text) => text,
                    None => match std::str::from_utf8(line) {
                        Ok(text) => text,
                        Err(_) => {
                            reject(&mut fold, &mut decoder, not_utf8(line), line, offset);
                            continue;
                        }
                    },
                };
                match decoder.decode(text, offset) {
                    Ok(Decoded::Event(event)) => fold.event(&event, after, decoder.interner()),
                    Ok(Decoded::Outside) => fold.outside(),
                    Err(reason) => reject(&mut fold, &mut decoder, reason, line, offset),
                }
            }
        }
        let mut folded = fold.finish(decoder.interner(), chunk.last);
        folded.unread = decoder.take_unread();
        self.decoder = Some((stream.to_owned(), decoder));
        (folded, rejects)
    }
}

/// Why a line that is no UTF-8 is rejected: only what began as a record is a damaged one.
pub fn not_utf8(line: &[u8]) -> RejectReason {
    if line.trim_ascii_start().starts_with(b"{") { RejectReason::NotUtf8 } else { RejectReason::UnknownFormat }
}

/// Folds one chunk with a decoder of its own.
pub fn fold_chunk(plan: &Plan, stream: &str, chunk: &Chunk, keep: bool) -> (FoldedChunk, Vec<KeptReject>) {
    ChunkFolder::new(plan, keep).fold(stream, chunk)
}

/// Folds one chunk again with a decoder of its own.
pub fn refold_chunk(
    plan: &Plan,
    stream: &str,
    chunk: &Chunk,
    keep: bool,
    state: Refold,
) -> (FoldedChunk, Vec<KeptReject>) {
    ChunkFolder::new(plan, keep).refold(stream, chunk, state)
}
