//! Chunks of whole lines from a stream.

use std::io::Read;

use crate::pipeline::continued::{self, line_at, records};
use crate::pipeline::decode::LINE_MAX;
use crate::source::files::{self, FilesError, Part, Stream};

/// Whole lines of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// The text: every line ends with a newline, but for the last of a file.
    pub bytes: Vec<u8>,
    /// Offset of the first byte in the stream's decoded text.
    pub from: u64,
    /// Nothing comes after this chunk.
    pub last: bool,
    /// The first line is longer than the longest that is read; only its start is here. (Its length, in bytes.)
    pub too_long: Option<u64>,
    /// Of a stream whose lines have positions of their own: the position of each line, in order; empty for text, whose
    /// lines lie where their first byte does. `from` is then the first of them.
    pub positions: Vec<u64>,
}

/// Reads a stream chunk by chunk.
pub struct ChunkReader {
    parts: std::vec::IntoIter<Part>,
    current: Option<(Box<dyn Read + Send>, String)>,
    /// Bytes read and not yet handed out.
    rest: Vec<u8>,
    offset: u64,
    chunk_bytes: usize,
    ended: bool,
    /// Buffers of chunks that are done with.
    spare: Vec<Vec<u8>>,
}

/// Buffers that are kept for reuse: fresh megabytes cost a page fault every 4 KiB.
const SPARE_MAX: usize = 8;

impl ChunkReader {
    /// A reader that has opened nothing yet.
    pub fn new(stream: &Stream, chunk_bytes: usize) -> ChunkReader {
        ChunkReader {
            parts: stream.parts.clone().into_iter(),
            current: None,
            rest: Vec::new(),
            offset: 0,
            chunk_bytes: chunk_bytes.max(1),
            ended: false,
            spare: Vec::new(),
        }
    }

    /// A reader of text that is already at hand.
    pub fn from_reader(reader: Box<dyn Read + Send>, name: &str, chunk_bytes: usize) -> ChunkReader {
        let nothing = Stream { name: name.to_owned(), parts: Vec::new() };
        ChunkReader { current: Some((reader, name.to_owned())), ..ChunkReader::new(&nothing, chunk_bytes) }
    }

    /// Offset after what has been handed out.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Gives back the buffer of a chunk that is done with.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// The next chunk; `None` after the last.
    ///
    /// # Errors
    /// A file that cannot be read to its end.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, FilesError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            if self.rest.len() >= self.chunk_bytes
                && let Some(end) = self.last_record()
            {
                let mut tail = self.spare.pop().unwrap_or_default();
                tail.extend_from_slice(self.rest.get(end..).unwrap_or(&[]));
                self.rest.truncate(end);
                return Ok(Some(self.hand_out(tail, None, false)));
            }
            if self.rest.len() > LINE_MAX {
                // A whole line with nothing behind it that is one: longer than any record, so that nothing goes on with it.
                let Some(end) = memchr::memchr(b'\n', &self.rest).map(|newline| newline + 1) else {
                    return self.skip_long_line().map(Some);
                };
                let tail = self.rest.split_off(end);
                return Ok(Some(self.hand_out(tail, None, false)));
            }
            if !self.fill()? {
                self.ended = true;
                let chunk = self.hand_out(Vec::new(), None, true);
                return Ok(Some(chunk));
            }
        }
    }

    /// Where the last record begins whose first line is here as a whole; nowhere, where it is the only one.
    fn last_record(&self) -> Option<usize> {
        let whole = self.rest.get(..=memchr::memrchr(b'\n', &self.rest)?)?;
        let start_before = |end: usize| memchr::memrchr(b'\n', whole.get(..end)?).map_or(Some(0), |at| Some(at + 1));
        // A line that begins one whatever stands before it: nearly always the last.
        let mut at = start_before(whole.len() - 1)?;
        while at > 0 && whole.len() - at < continued::RECORD_MAX {
            let before = start_before(at - 1)?;
            if continued::begins(line_at(whole, at), line_at(whole, before)) {
                return Some(at);
            }
            at = before;
        }
        // Else from the front. A line that is longer than any record ends the one before it.
        if self.rest.len() - whole.len() > continued::RECORD_MAX {
            return Some(whole.len());
        }
        records(whole, 0).last().map(|record| record.at as usize).filter(|at| *at > 0)
    }

    fn hand_out(&mut self, tail: Vec<u8>, too_long: Option<u64>, last: bool) -> Chunk {
        let bytes = std::mem::replace(&mut self.rest, tail);
        let from = self.offset;
        self.offset += too_long.unwrap_or(bytes.len() as u64);
        Chunk { bytes, from, last, too_long, positions: Vec::new() }
    }

    /// Reads on to the end of a line that is too long, keeping only its start.
    fn skip_long_line(&mut self) -> Result<Chunk, FilesError> {
        let mut length = 0u64;
        let start = self.rest.get(..256).unwrap_or(&[]).to_vec();
        loop {
            if let Some(newline) = memchr::memchr(b'\n', &self.rest) {
                let tail = self.rest.split_off(newline + 1);
                length += self.rest.len() as u64;
                self.rest = start;
                return Ok(self.hand_out(tail, Some(length), false));
            }
            length += self.rest.len() as u64;
            self.rest.clear();
            if !self.fill()? {
                self.ended = true;
                self.rest = start;
                return Ok(self.hand_out(Vec::new(), Some(length), true));
            }
        }
    }

    /// Reads more; false at the end of the last part.
    fn fill(&mut self) -> Result<bool, FilesError> {
        loop {
            let Some((reader, name)) = &mut self.current else {
                let Some(part) = self.parts.next() else { return Ok(false) };
                let name = match &part {
                    Part::Stdin(_) => "standard input".to_owned(),
                    Part::File(path) => path.display().to_string(),
                };
                let opened =
                    files::open(&part).map_err(|error| FilesError::Unreadable { path: name.clone(), error })?;
                self.current = Some((opened, name));
                continue;
            };
            let before = self.rest.len();
            let want = self.chunk_bytes.clamp(1 << 12, 1 << 20);
            self.rest.resize(before + want, 0);
            match reader.read(&mut self.rest[before..]) {
                Ok(0) => {
                    self.rest.truncate(before);
                    // A file without a newline at its end does not run into the next one.
                    if self.rest.last().is_some_and(|byte| *byte != b'\n') && self.parts.len() > 0 {
                        self.rest.push(b'\n');
                    }
                    self.current = None;
                    if self.parts.len() == 0 {
                        return Ok(false);
                    }
                }
                Ok(n) => {
                    self.rest.truncate(before + n);
                    return Ok(true);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => self.rest.truncate(before),
                Err(error) => {
                    let offset = self.offset + before as u64;
                    return Err(FilesError::Damaged { path: name.clone(), offset, error });
                }
            }
        }
    }
}

/// Lines of a chunk with the offset of each and the offset after it; without their newline and carriage return.
pub fn lines(bytes: &[u8], from: u64) -> impl Iterator<Item = (&[u8], u64, u64)> {
    let mut start = 0;
    memchr::memchr_iter(b'\n', bytes)
        .chain((bytes.last().is_some_and(|byte| *byte != b'\n')).then_some(bytes.len()))
        .map(move |end| {
            let line = bytes.get(start..end).unwrap_or(&[]);
            let at = from + start as u64;
            start = end + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            (line, at, from + (end as u64 + 1))
        })
}

impl Chunk {
    /// What is decoded together, with its offset and the offset after it: in files a line with those that go on with what it said, and
    /// where each line has a position of its own, each line.
    pub fn records(&self) -> impl Iterator<Item = (&[u8], u64, u64)> {
        let (by_line, by_record) = match self.positions.is_empty() {
            true => (None, Some(records(&self.bytes, self.from))),
            false => (Some(lines(&self.bytes, self.from)), None),
        };
        let records = by_record.into_iter().flatten().map(|of| (of.text, of.at, of.after));
        by_line.into_iter().flatten().chain(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the size of chunks, the records are the same.
    #[test]
    fn records_do_not_depend_on_chunks() {
        let text = "2026-06-01T10:00:00Z ERROR it failed\n\njava.lang.Exception: x\n\tat a\n\n2026-06-01T10:00:00Z INFO b\n{\"a\":1}\n{\"b\":2}\n it is\n up\nTraceback (most recent call last):\n  File a\nKeyError: b\nplain\n2026-06-01T10:00:00Z stdout P {\n2026-06-01T10:00:00Z stdout F }\nlast\n\tat b";
        let many: String =
            (0..40).map(|_| format!("{text}\n")).collect::<String>() + &"\tat x\n".repeat(30_000) + "{\"c\":1}\n";
        let (_folder, stream) = stream_of(&[many.as_bytes()]);
        let of = |chunk_bytes: usize| -> Vec<(Vec<u8>, u64)> {
            let chunks = all(&stream, chunk_bytes);
            let list = chunks
                .iter()
                .flat_map(|chunk| chunk.records().map(|(text, at, _)| (text.to_vec(), at)).collect::<Vec<_>>());
            list.filter(|(text, _)| !text.trim_ascii().is_empty()).collect()
        };
        let whole = of(1 << 20);
        assert_eq!(records(many.as_bytes(), 0).filter(|of| !of.text.trim_ascii().is_empty()).count(), whole.len());
        assert_eq!(whole.len(), 40 * 8 + 2 + 1, "the frames at the end are three records, the first of which goes on");
        for chunk_bytes in [4_096, 10_000, 33_333, 70_000] {
            assert_eq!(of(chunk_bytes), whole, "{chunk_bytes}");
        }
    }
    use std::io::Write;

    fn stream_of(parts: &[&[u8]]) -> (tempfile::TempDir, Stream) {
        let folder = tempfile::tempdir().unwrap();
        let parts = parts
            .iter()
            .enumerate()
            .map(|(at, bytes)| {
                let path = folder.path().join(format!("part{at}"));
                std::fs::write(&path, bytes).unwrap();
                Part::File(path)
            })
            .collect();
        (folder, Stream { name: "s".to_owned(), parts })
    }

    fn all(stream: &Stream, chunk_bytes: usize) -> Vec<Chunk> {
        let mut reader = ChunkReader::new(stream, chunk_bytes);
        let mut chunks = Vec::new();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            chunks.push(chunk);
        }
        chunks
    }

    #[test]
    fn chunks_are_whole_lines_and_offsets_add_up() {
        let (_folder, stream) = stream_of(&[b"one\ntwo\nthree", b"four\r\nfive"]);
        for chunk_bytes in [1, 5, 100] {
            let chunks = all(&stream, chunk_bytes);
            assert!(chunks.last().unwrap().last);
            let mut next = 0;
            let mut text = Vec::new();
            for chunk in &chunks {
                assert_eq!(chunk.from, next);
                next += chunk.bytes.len() as u64;
                text.extend(lines(&chunk.bytes, chunk.from).map(|(line, at, _)| (line.to_vec(), at)));
            }
            let expect: Vec<(Vec<u8>, u64)> = [("one", 0), ("two", 4), ("three", 8), ("four", 14), ("five", 20)]
                .iter()
                .map(|(line, at)| (line.as_bytes().to_vec(), *at))
                .collect();
            assert_eq!(text, expect);
        }
    }

    #[test]
    fn an_empty_file_is_one_last_chunk() {
        let (_folder, stream) = stream_of(&[b""]);
        let chunks = all(&stream, 100);
        assert_eq!((chunks.len(), chunks[0].last, chunks[0].bytes.len()), (1, true, 0));
    }

    #[test]
    fn gzip_and_zstd_are_recognised_by_content() {
        let text = b"{\"a\":1}\n".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        for packed in [gzip.clone(), zstd] {
            let (_folder, stream) = stream_of(&[&packed]);
            let read: Vec<u8> = all(&stream, 1 << 12).into_iter().flat_map(|chunk| chunk.bytes).collect();
            assert_eq!(read, text);
        }
        let (_folder, stream) = stream_of(&[&gzip[..gzip.len() / 2]]);
        let mut reader = ChunkReader::new(&stream, 1 << 20);
        let error = reader.next_chunk().unwrap_err().to_string();
        assert!(error.contains("damaged or truncated"), "{error}");
    }

    #[test]
    fn a_line_past_the_bound_is_skipped_with_its_length() {
        let mut text = b"short\n".to_vec();
        text.resize(text.len() + LINE_MAX + 5_000_000, b'x');
        text.extend_from_slice(b"\nafter\n");
        let (_folder, stream) = stream_of(&[&text]);
        let chunks = all(&stream, 1 << 20);
        let long = chunks.iter().find(|chunk| chunk.too_long.is_some()).unwrap();
        assert!(long.too_long.unwrap() > LINE_MAX as u64 && long.bytes.len() == 256);
        let end = chunks.last().unwrap();
        assert_eq!(end.from + end.bytes.len() as u64, text.len() as u64);
        assert!(chunks.iter().any(|chunk| chunk.bytes.ends_with(b"after\n")));
    }
}
