//! Records of lines become chunks: a record of Kafka, or of the write-ahead log, holds one line or several.
//!
//! In Kafka, where records are numbered, the position of a line is 65,536 times the record's offset, plus its number in the record;
//! in the write-ahead log, whose records have positions in bytes, it is the place of the line's first byte.

use crate::pipeline::decode::LINE_MAX;
use crate::source::lines::Chunk;

/// Lines of one record that have a position of their own; what is beyond is one line that is too long.
pub const RECORD_LINES: u64 = 65_536;
/// Bytes from which on a chunk is handed out.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes that are kept of a line that is too long.
const TOO_LONG_KEPT: usize = 256;

/// Lines of one stream that wait to become a chunk.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    positions: Vec<u64>,
    done: Vec<Chunk>,
    /// Position after the last line.
    after: u64,
    /// The buffer of a chunk that is done with: fresh megabytes cost a page fault every 4 KiB.
    spare: Vec<u8>,
}

impl Batch {
    /// Of a stream that was read up to a position before.
    pub fn starting_at(after: u64) -> Batch {
        Batch { after, ..Batch::default() }
    }

    /// Takes a record. Without a payload, or with an empty one, it is one empty line, which becomes a reject.
    pub fn add(&mut self, offset: u64, payload: Option<&[u8]>) {
        let first = offset.saturating_mul(RECORD_LINES);
        let payload = payload.unwrap_or_default();
        let mut rest = payload;
        let mut number = 0;
        while !rest.is_empty() {
            let last = number == RECORD_LINES - 1;
            let end = if last { None } else { memchr::memchr(b'\n', rest) };
            let (line, others) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            rest = others;
            if line.trim_ascii().is_empty() {
                continue;
            }
            if line.len() > LINE_MAX || (last && memchr::memchr(b'\n', line).is_some()) {
                self.too_long(first + number, line);
            } else {
                self.line(first + number, line);
            }
            number += 1;
        }
        if number == 0 {
            self.line(first, b"");
        }
        if self.bytes.len() >= CHUNK_BYTES {
            self.close();
        }
    }

    /// Takes a record whose first byte has a position, and which ends with a whole line. Empty lines are none.
    pub fn add_text(&mut self, at: u64, text: &[u8]) {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
            let line = text.get(from..end).unwrap_or_default();
            if !line.trim_ascii().is_empty() {
                let position = at + from as u64;
                if line.len() > LINE_MAX { self.too_long(position, line) } else { self.line(position, line) }
            }
            from = end + 1;
        }
        self.after = self.after.max(at + text.len() as u64);
        if self.bytes.len() >= CHUNK_BYTES {
            self.close();
        }
    }

    /// Position after the last line that was added.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// A chunk is full.
    pub fn is_full(&self) -> bool {
        !self.done.is_empty()
    }

    /// Takes the buffer of a chunk that is done with, for one to come.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        // None is much longer than a chunk; a shorter one would grow again.
        if buffer.capacity() > self.spare.capacity() {
            buffer.clear();
            self.spare = buffer;
        }
    }

    /// What has come since it was last asked, as chunks in order.
    pub fn chunks(&mut self) -> Vec<Chunk> {
        self.close();
        std::mem::take(&mut self.done)
    }

    fn line(&mut self, position: u64, line: &[u8]) {
        // A chunk stays below twice its size, whatever the lines are.
        if self.bytes.len() + line.len() > CHUNK_BYTES {
            self.close();
        }
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.positions.push(position);
        self.after = position + 1;
    }

    fn too_long(&mut self, position: u64, line: &[u8]) {
        self.close();
        let bytes = line.get(..TOO_LONG_KEPT).unwrap_or(line).to_vec();
        let too_long = Some(line.len() as u64);
        self.done.push(Chunk { bytes, from: position, last: false, too_long, positions: vec![position] });
        self.after = position + 1;
    }

    fn close(&mut self) {
        if let Some(from) = self.positions.first().copied() {
            let bytes = std::mem::replace(&mut self.bytes, std::mem::take(&mut self.spare));
            let positions = std::mem::take(&mut self.positions);
            self.done.push(Chunk { bytes, from, last: false, too_long: None, positions });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_record_has_a_position_of_its_own() {
        let mut batch = Batch::default();
        batch.add(7, Some(b"one"));
        batch.add(9, Some(b"two\r\n\nthree\n"));
        batch.add(10, None);
        batch.add(11, Some(b"\n"));
        let chunks = batch.chunks();
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].bytes, b"one\ntwo\r\nthree\n\n\n");
        assert_eq!(chunks[0].positions, [7 << 16, 9 << 16, (9 << 16) + 1, 10 << 16, 11 << 16]);
        assert_eq!((chunks[0].from, batch.after()), (7 << 16, (11 << 16) + 1));
        assert!(batch.chunks().is_empty());
    }

    #[test]
    fn lines_past_the_bound_of_a_record_are_one_that_is_too_long() {
        let mut batch = Batch::default();
        batch.add(1, Some("x\n".repeat(70_000).as_bytes()));
        batch.add(2, Some(b"after"));
        let chunks = batch.chunks();
        assert_eq!(chunks.iter().map(|chunk| chunk.positions.len()).collect::<Vec<_>>(), [65_535, 1, 1]);
        assert_eq!(chunks[1].too_long, Some(2 * (70_000 - 65_535)));
        assert_eq!(chunks[1].from, 65_536 + 65_535);
        assert_eq!(chunks[2].from, 2 * 65_536);
    }

    #[test]
    fn chunks_are_cut_at_their_size() {
        let mut batch = Batch::default();
        (0..3).for_each(|offset| batch.add(offset, Some(&vec![b'x'; CHUNK_BYTES / 2 + 1])));
        assert!(batch.is_full());
        assert_eq!(batch.chunks().len(), 3);
    }
}
