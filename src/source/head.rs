//! The first text of a stream, for the survey.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};

use crate::source::files::{self, FilesError, Part, Stream};

/// Lines that a head has room for at least: longer ones are passed over.
const LINES_MIN: usize = 8;
/// How many times the head may be passed over in long lines before the survey makes do with what there is.
const PASSED_OVER_MAX: usize = 64;

/// Reads about `most` bytes of text from the start of a stream. What is read of standard input is put back.
///
/// Parts without text are passed over, and so are lines that would fill a good part of it.
///
/// # Errors
/// A part that cannot be read.
pub fn read_head(stream: &mut Stream, most: usize) -> Result<Vec<u8>, FilesError> {
    let mut text = Vec::new();
    for part in &mut stream.parts {
        text.clear();
        let (name, kept, opened) = match part {
            Part::File(path) => (path.display().to_string(), None, files::open(part)),
            Part::Stdin(read) => {
                let kept = Arc::new(Mutex::new(Vec::new()));
                let again = io::Cursor::new(std::mem::take(read));
                let raw = again.chain(Kept { source: io::stdin(), bytes: Arc::clone(&kept) });
                ("standard input".to_owned(), Some(kept), files::unpack(raw))
            }
        };
        let read = match opened {
            Ok(mut reader) => fill(&mut reader, most, &mut text).map_err(|error| FilesError::Damaged {
                path: name,
                offset: text.len() as u64,
                error,
            }),
            Err(error) => Err(FilesError::Unreadable { path: name, error }),
        };
        if let (Some(kept), Part::Stdin(read)) = (kept, part)
            && let Ok(mut bytes) = kept.lock()
        {
            *read = std::mem::take(&mut bytes);
        }
        read?;
        if !text.trim_ascii().is_empty() {
            break;
        }
    }
    Ok(text)
}

/// Fills `text` with whole lines. Long ones are passed over: a few of them must not hide what all others look like.
fn fill(reader: &mut dyn Read, most: usize, text: &mut Vec<u8>) -> io::Result<()> {
    let longest = (most / LINES_MIN) as u64;
    let mut reader = BufReader::new(reader);
    let mut first_long = Vec::new();
    let mut passed_over = 0;
    while text.len() < most && passed_over < most * PASSED_OVER_MAX {
        let before = text.len();
        let read = reader.by_ref().take(longest).read_until(b'\n', text)?;
        if read == 0 {
            break;
        }
        if read as u64 == longest && text.last() != Some(&b'\n') {
            let start = text.split_off(before);
            passed_over += start.len() + skip_line(&mut reader)?;
            if first_long.is_empty() {
                first_long = start;
            }
        }
    }
    if text.trim_ascii().is_empty() && !first_long.is_empty() {
        *text = first_long;
    }
    Ok(())
}

/// Reads to the end of a line; how many bytes that was.
fn skip_line(reader: &mut impl BufRead) -> io::Result<usize> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let (n, ends) = match memchr::memchr(b'\n', buffer) {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(n);
        skipped += n;
        if ends {
            return Ok(skipped);
        }
    }
}

/// A reader that keeps what it has read.
struct Kept<R> {
    source: R,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl<R: Read> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        if let (Ok(mut bytes), Some(read)) = (self.bytes.lock(), buffer.get(..n)) {
            bytes.extend_from_slice(read);
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &[u8], most: usize) -> String {
        let mut head = Vec::new();
        fill(&mut &text[..], most, &mut head).unwrap();
        String::from_utf8(head).unwrap()
    }

    #[test]
    fn long_lines_are_passed_over() {
        assert_eq!(head(b"ab\ncd\nef", 80), "ab\ncd\nef");
        assert_eq!(head(b"a\n".repeat(100).as_slice(), 16), "a\n".repeat(8));
        assert_eq!(head(b"abcdefghijklm\nop\nabcdefghijklm\nqr", 80), "op\nqr");
        assert_eq!(head(b"abcdefghi\nop\n", 80), "abcdefghi\nop\n", "the longest that is read");
        assert_eq!(head(b"abcdefghijklm", 80), "abcdefghij", "a single line is what there is");
        assert_eq!(head(b"", 80), "");
        let long = [&b"x".repeat(200)[..], b"\n"].concat().repeat(100);
        assert_eq!(head(&[&long[..], b"op\n"].concat(), 80), "x".repeat(10), "not for ever");
    }
}
