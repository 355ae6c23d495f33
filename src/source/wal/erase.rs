//! Taking lines out of a log. Their bytes become blanks, so that every other line keeps its position, and a line of blanks is none.
//!
//! A segment is written anew beside the old one and put in its place by a rename: whatever happens, it is the one or the other. Whoever
//! has opened the old one reads on in it.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use crate::source::wal::{
    Found, MAGIC, Place, VERSION, WalError, at, put_record, read_header, read_record_at, segment, segments,
};

/// What is to be taken out of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Erasable {
    /// Lines.
    pub lines: u64,
    /// Position of the first one.
    pub first: Option<u64>,
}

/// Which line is meant, by its position and its bytes.
type IsMeant<'a> = &'a mut dyn FnMut(u64, &[u8]) -> bool;

/// Counts the lines before `until` that are meant; segments that begin behind it are not looked at.
///
/// # Errors
/// A segment that cannot be read, or is damaged.
pub fn erasable(folder: &Path, until: u64, is_meant: IsMeant<'_>) -> Result<Erasable, WalError> {
    let mut found = Erasable::default();
    for first in segments(folder)?.into_iter().filter(|first| *first < until) {
        let mut see = |position: u64, line: &[u8]| {
            if position < until && is_meant(position, line) {
                found.lines += 1;
                found.first = Some(found.first.map_or(position, |first| first.min(position)));
            }
            false
        };
        each(folder, first, &mut see, &mut |_, _, _| Ok(()))?;
    }
    Ok(found)
}

/// Takes the lines before `until` out that are meant. Everything before `until` must lie in closed segments ([`super::Wal::cut`]). Returns
/// how many segments were written anew.
///
/// # Errors
/// A segment that cannot be read or written: it is then as it was.
pub fn erase(folder: &Path, until: u64, is_meant: IsMeant<'_>) -> Result<u64, WalError> {
    let mut anew = 0;
    for first in segments(folder)?.into_iter().filter(|first| *first < until) {
        let path = segment(folder, first);
        let mut any = false;
        let mut see = |position: u64, line: &[u8]| {
            any |= position < until && is_meant(position, line);
            false
        };
        each(folder, first, &mut see, &mut |_, _, _| Ok(()))?;
        if !any {
            continue;
        }
        let beside = path.with_extension("erasing");
        let io = |error| at(&beside, error);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut out = BufWriter::with_capacity(1 << 20, options.open(&beside).map_err(io)?);
        out.write_all(MAGIC).and_then(|()| out.write_all(&[VERSION])).map_err(io)?;
        let mut bytes = Vec::new();
        let mut see = |position: u64, line: &[u8]| position < until && is_meant(position, line);
        each(folder, first, &mut see, &mut |place, note, payload| {
            bytes.clear();
            put_record(&mut bytes, place, note, payload);
            out.write_all(&bytes).map_err(io)
        })?;
        let file = out.into_inner().map_err(|error| io(error.into_error()))?;
        file.sync_all().map_err(io)?;
        std::fs::rename(&beside, &path).map_err(io)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        anew += 1;
    }
    Ok(anew)
}

/// Takes a record: its place, its note, its payload.
type Put<'a> = &'a mut dyn FnMut(&Place, &[u8], &[u8]) -> Result<(), WalError>;

/// Reads a segment. `see` is asked of each line whether it becomes blanks; `put` gets each record, with the payload as it is then.
fn each(folder: &Path, first: u64, see: IsMeant<'_>, put: Put<'_>) -> Result<(), WalError> {
    let path = segment(folder, first);
    let io = |error| at(&path, error);
    let mut reader = BufReader::with_capacity(1 << 20, File::open(&path).map_err(io)?);
    if !read_header(&mut reader).map_err(io)? {
        return Err(WalError::Unknown(path.display().to_string()));
    }
    let (mut next, mut buffer) = (first, Vec::new());
    loop {
        match read_record_at(&mut reader, next, std::mem::take(&mut buffer)).map_err(io)? {
            Found::Record { place, note, mut payload } => {
                let mut from = 0;
                while from < payload.len() {
                    let rest = payload.get(from..).unwrap_or_default();
                    let end = from + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                    let line = payload.get_mut(from..end).unwrap_or_default();
                    if !line.trim_ascii().is_empty() && see(next + from as u64, line) {
                        line.fill(b' ');
                    }
                    from = end + 1;
                }
                put(&place, &note, &payload)?;
                next += payload.len() as u64;
                buffer = payload;
            }
            Found::End => return Ok(()),
            Found::Broken => return Err(WalError::Damaged(path.display().to_string(), next)),
        }
    }
}
