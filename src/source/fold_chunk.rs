//! Decodes a chunk of lines and folds it. One parse feeds everything.

use crate::event::RejectReason;
use crate::fold::{ChunkFold, ClockGuard, FoldedChunk, Refold};
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::plan::Plan;
use crate::source::lines::{Chunk, lines};

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

/// Folds a chunk of a stream. `keep`: rejected lines are returned too.
pub fn fold_chunk(plan: &Plan, stream: &str, chunk: &Chunk, keep: bool) -> (FoldedChunk, Vec<KeptReject>) {
    let fold = if chunk.from == 0 {
        // How far the stream has come is known: not at all.
        ChunkFold::with_guard(&plan.windowing, stream, 0, i64::MIN, ClockGuard::default())
    } else {
        ChunkFold::new(&plan.windowing, stream, chunk.from)
    };
    run(plan, stream, chunk, keep, fold)
}

/// Folds a chunk again, line by line behind the stream's clock guard.
pub fn refold_chunk(
    plan: &Plan,
    stream: &str,
    chunk: &Chunk,
    keep: bool,
    state: Refold,
) -> (FoldedChunk, Vec<KeptReject>) {
    let fold = ChunkFold::with_guard(&plan.windowing, stream, chunk.from, state.high, state.guard);
    run(plan, stream, chunk, keep, fold)
}

fn run(
    plan: &Plan,
    stream: &str,
    chunk: &Chunk,
    keep: bool,
    mut fold: ChunkFold<'_>,
) -> (FoldedChunk, Vec<KeptReject>) {
    let mut decoder = Decoder::new(plan, stream);
    let mut rejects = Vec::new();
    let mut reject = |fold: &mut ChunkFold<'_>, reason: RejectReason, line: &[u8], offset: u64| {
        fold.reject(reason);
        if keep {
            let start = line.get(..KEPT_BYTES).unwrap_or(line);
            rejects.push(KeptReject { reason, offset, line: String::from_utf8_lossy(start).into_owned() });
        }
    };
    if chunk.too_long.is_some() {
        reject(&mut fold, RejectReason::TooLong, &chunk.bytes, chunk.from);
        return (fold.finish(decoder.interner(), chunk.last), rejects);
    }
    // One check of the whole chunk is faster than one a line; only a chunk with bad bytes is looked at line by line.
    let valid = std::str::from_utf8(&chunk.bytes).ok();
    for (line, offset, after) in lines(&chunk.bytes, chunk.from) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let at = (offset - chunk.from) as usize;
        let text = match valid.and_then(|text| text.get(at..at + line.len())) {
            Some(text) => text,
            None => match std::str::from_utf8(line) {
                Ok(text) => text,
                Err(_) => {
                    reject(&mut fold, RejectReason::NotUtf8, line, offset);
                    continue;
                }
            },
        };
        match decoder.decode(text, offset) {
            Ok(Decoded::Event(event)) => fold.event(&event, after, decoder.interner()),
            Ok(Decoded::Outside) => fold.outside(),
            Err(reason) => reject(&mut fold, reason, line, offset),
        }
    }
    (fold.finish(decoder.interner(), chunk.last), rejects)
}
