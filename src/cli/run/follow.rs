//! Files that are followed: what they get goes into the write-ahead log, together with how far each was read, and from there the way
//! of what comes over HTTP. So each line counts once, whatever crashes, and is there for a replay when its file is long gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::cli::run::hooks::clock_ms;
use crate::cli::run::http::Shared;
use crate::cli::run::log::{say, warn};
use crate::cli::terminal::harmless;
use crate::source::tail::Tail;
use crate::source::wal::{AppendError, Wal};

/// Between two looks at files that have nothing new.
const LOOK: Duration = Duration::from_millis(250);
/// After a refusal of the disk, or a file that cannot be read.
const AGAIN: Duration = Duration::from_secs(1);
/// Bytes in the write-ahead log that were not read yet, past which files wait.
const AHEAD: u64 = 64 << 20;

/// How files are, for those who ask.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Files {
    /// Files that are followed.
    pub followed: usize,
    /// Files past the bound.
    pub not_followed: usize,
    /// Bytes that are there and were not read.
    pub unread: u64,
    /// Why they cannot be read, where that is so.
    pub trouble: Option<String>,
}

/// Follows files until the program stops.
pub(super) fn start(mut tail: Tail, wal: Wal, runtime: Handle, shared: Arc<Shared>) {
    std::thread::spawn(move || {
        let mut said_none = false;
        while !shared.stop.is_told() {
            if wal.unread() > AHEAD {
                shared.stop.wait(LOOK);
                continue;
            }
            let brought = match tail.look(clock_ms()) {
                Ok(brought) => brought,
                Err(error) => {
                    let words = harmless(&error.to_string(), 400);
                    if shared.files(|files| files.trouble.replace(words.clone())).as_deref() != Some(&words) {
                        warn(&words);
                    }
                    shared.stop.wait(AGAIN);
                    continue;
                }
            };
            brought.notices.iter().for_each(|words| say(&harmless(words, 400)));
            shared.files(|files| {
                let (followed, not_followed) = (tail.files(), tail.not_followed());
                *files = Files { followed, not_followed, unread: brought.unread, trouble: None };
            });
            if tail.files() == 0 && !std::mem::replace(&mut said_none, true) {
                say(
                    "no file is there yet that is to be followed; those that come are. What is packed (.gz, .zst) is not followed: send it with curl --data-binary @FILE, or judge it with serin compare FILE",
                );
            }
            let more = brought.more;
            if !brought.lines.is_empty() && !append(&wal, &runtime, &shared, brought.note, brought.lines) {
                return;
            }
            if !more {
                shared.stop.wait(LOOK);
            }
        }
    });
}

/// Appends until it lasts; false when the program stops before.
fn append(wal: &Wal, runtime: &Handle, shared: &Shared, note: Vec<u8>, lines: Vec<u8>) -> bool {
    loop {
        match runtime.block_on(wal.append_noted(0, note.clone(), lines.clone())) {
            Ok(_) => return true,
            Err(AppendError::Stopping) => return false,
            Err(AppendError::Full | AppendError::Disk(_)) if shared.stop.wait(AGAIN) => return false,
            Err(AppendError::Full | AppendError::Disk(_)) => {}
        }
    }
}
