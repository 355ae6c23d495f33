//! The decisions of a state folder again, from the write-ahead log in it, while another program may be at work there.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::replay;
use crate::cli::run::WAL;
use crate::cli::run::inputs::HTTP;
use crate::cli::run::live::push_around_moves;
use crate::cli::run::state::moves_of;
use crate::engine::Engine;
use crate::pipeline::plan_text;
use crate::source::batch::Batch;
use crate::source::run::{Observer, PushedStreams};
use crate::source::wal::WalReader;

/// A ledger, and what is read again.
pub(in crate::cli) struct Again {
    /// The ledger's text, read before anything else: the program may write on.
    pub recorded: String,
    /// Its entries.
    pub entries: usize,
}

/// Reads a state folder again; `observer` hears the entries.
pub(in crate::cli) fn read_again(folder: &Path, observer: &mut dyn Observer) -> anyhow::Result<Again> {
    let path = folder.join("ledger.ndjson");
    let (recorded, entries) = replay::read_ledger(&path)?;
    let shown = folder.display();
    let Some(start) = entries.first() else { bail!("{}: empty", path.display()) };
    let (plan, settings, streams) = replay::ground(start).with_context(|| path.display().to_string())?;
    if streams != [HTTP] {
        bail!(
            "{shown}: its lines came from topics, which are not kept there; `serin run` with a new --state reads them again, and \
             its ledger can be compared"
        );
    }
    let mut reader = WalReader::of_whole(&folder.join(WAL))?;
    if reader.first()? > 0 {
        bail!(
            "{shown}: the beginning of the write-ahead log was removed (--keep-log of `serin run`): decisions before cannot be made again"
        );
    }
    let idle = std::fs::read_to_string(folder.join("idle.ndjson")).unwrap_or_default();
    // A line that is being written belongs to a move that is not made yet.
    let idle = idle.get(..idle.rfind('\n').map_or(0, |end| end + 1)).unwrap_or_default();
    let mut moves = moves_of(idle, &streams)?.pop().unwrap_or_default();
    let mut engine = Engine::new(settings);
    let mut pushed = PushedStreams::begin(&streams, &plan, &mut engine, plan_text::to_json(&plan), observer)?;
    let mut batch = Batch::default();
    while let Some((at, text)) = reader.next(Duration::ZERO)? {
        batch.add_text(at, &text);
        if batch.is_full() || reader.is_at_end() {
            for chunk in batch.chunks() {
                push_around_moves(&mut pushed, &mut moves, (0, chunk), &mut engine, observer)?;
            }
        }
    }
    for due in moves {
        pushed.advance(0, due.window, due.next, &mut engine, observer)?;
    }
    Ok(Again { recorded, entries: entries.len() })
}
