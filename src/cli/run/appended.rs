//! A file to which lines are appended, and which tells what of it lasts.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::report::count;
use crate::cli::run::log::say;

/// Where bytes go: a file, or in tests something that refuses.
trait Disk: Send {
    /// Writes at the end, and syncs.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Takes back what is behind this length.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Disk for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::End(0)).map(|_| ())
    }
}

/// An append-only file, for the eyes of its owner, with what it held when it was opened.
pub(super) struct Appended {
    disk: Box<dyn Disk>,
    /// What it held when it was opened.
    pub held: String,
    /// Bytes that last.
    durable: u64,
    /// Lines that do not last yet.
    pending: String,
    /// There may be more on disk than lasts: a write that did not come to its end.
    torn: bool,
}

impl Appended {
    pub(super) fn open(path: &Path) -> anyhow::Result<Appended> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let shown = path.display();
        let refused =
            || format!("{shown}: cannot be written; give this user the folder, or choose another with --state DIR");
        let mut file = options.open(path).with_context(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{shown}: another `serin run` uses it; give each its own --state"),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("{shown}: cannot be locked")),
        }
        let mut held = String::new();
        file.read_to_string(&mut held).with_context(|| format!("{shown}: cannot be read"))?;
        // A line that was being written when the power went was never acted on.
        let whole = held.rfind('\n').map_or(0, |end| end + 1);
        if whole < held.len() {
            let bytes = count((held.len() - whole) as u64, "byte");
            say(&format!(
                "{shown}: {bytes} at the end are no whole line (a write that did not come to disk), and are cut off"
            ));
        }
        held.truncate(whole);
        file.cut(held.len() as u64).with_context(|| format!("{shown}: cannot be written"))?;
        let durable = held.len() as u64;
        Ok(Appended { disk: Box::new(file), held, durable, pending: String::new(), torn: false })
    }

    /// A further line; it lasts once [`Appended::sync`] has returned.
    pub(super) fn append(&mut self, line: &str) {
        self.pending.push_str(line);
    }

    /// Bytes that wait to be written.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of the file that last.
    pub(super) fn durable(&self) -> u64 {
        self.durable
    }

    /// Everything lasts; or nothing more than before, and it can be tried again.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.torn {
            self.disk.cut(self.durable)?;
            self.torn = false;
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.disk.write(self.pending.as_bytes()) {
            // What was written of it, and what a failed sync leaves, is not trusted: it is written again.
            self.torn = self.disk.cut(self.durable).is_err();
            return Err(error);
        }
        self.durable += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Puts other lines in place of all that is there: the file is either the old one or the new one, whatever happens. Nothing
    /// may be pending.
    pub(super) fn replace(&mut self, path: &Path, text: &str) -> io::Result<()> {
        let beside = path.with_extension("new");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // Nobody else is there: whoever comes is kept away by the ledger.
        file.try_lock()?;
        std::fs::rename(&beside, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        self.disk = Box::new(file);
        (self.durable, self.torn) = (text.len() as u64, false);
        Ok(())
    }

    /// Forgets what does not last.
    pub(super) fn take_back(&mut self) {
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A disk with room for so many bytes, which writes what fits before it refuses.
    struct Full {
        bytes: Arc<Mutex<Vec<u8>>>,
        room: Arc<Mutex<usize>>,
    }

    impl Disk for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            let mut on_disk = self.bytes.lock().unwrap();
            let fits = bytes.len().min(self.room.lock().unwrap().saturating_sub(on_disk.len()));
            on_disk.extend_from_slice(&bytes[..fits]);
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn cut(&mut self, length: u64) -> io::Result<()> {
            self.bytes.lock().unwrap().truncate(length as usize);
            Ok(())
        }
    }

    #[test]
    fn a_file_that_was_replaced_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut file = Appended::open(&path).unwrap();
        file.append("one\ntwo\n");
        file.sync().unwrap();
        file.replace(&path, "short\n").unwrap();
        assert!(Appended::open(&path).is_err(), "one at a time");
        file.append("three\n");
        file.sync().unwrap();
        assert_eq!(file.durable(), 12);
        drop(file);
        assert_eq!(Appended::open(&path).unwrap().held, "short\nthree\n");
    }

    #[test]
    fn what_a_full_disk_refused_is_written_whole_later() {
        let (bytes, room) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(10)));
        let disk = Box::new(Full { bytes: Arc::clone(&bytes), room: Arc::clone(&room) });
        let mut file = Appended { disk, held: String::new(), durable: 0, pending: String::new(), torn: false };
        file.append("12345\n");
        file.sync().unwrap();
        file.append("abcdef\n");
        assert!(file.sync().is_err());
        assert_eq!((file.durable(), bytes.lock().unwrap().as_slice()), (6, &b"12345\n"[..]), "no half line is left");
        file.append("ghi\n");
        assert!(file.sync().is_err());
        *room.lock().unwrap() = 100;
        file.sync().unwrap();
        assert_eq!(bytes.lock().unwrap().as_slice(), b"12345\nabcdef\nghi\n");
        assert_eq!((file.durable(), file.pending()), (17, 0));
    }
}
