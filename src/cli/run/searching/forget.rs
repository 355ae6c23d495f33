//! Taking the lines of a unit out of the index: done by the thread that indexes, which alone writes there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};

use anyhow::anyhow;

use crate::cli::run::forget::{self, OfUnit};
use crate::cli::run::inputs;
use crate::cli::run::searching::{FOLDER, Searching};
use crate::index::{Columns, Index, IndexError, Settings, Writer};
use crate::pipeline::plan::Plan;
use crate::query::{Node, Query};

/// Hears how many lines there are, before the first is gone.
type Counted = Box<dyn FnMut(u64) -> anyhow::Result<()> + Send>;

/// What is to be taken out.
pub(in crate::cli::run) struct Job {
    pub unit: String,
    pub mentions: bool,
    /// Lines of the write-ahead log before this place.
    pub until: u64,
    pub counted: Counted,
    /// Hears how far streams are in the index then, or why it was not done.
    pub done: Sender<Result<BTreeMap<String, u64>, String>>,
}

impl Job {
    /// Does it, and tells who waits.
    pub(super) fn carry_out(self, writer: &mut Writer, plan: &Plan) -> anyhow::Result<()> {
        let Job { unit, mentions, until, mut counted, done } = self;
        let tree = match forget::query(plan, &unit, mentions).map(|text| Query::parse(&text)) {
            Some(Ok(query)) => query.tree().clone(),
            // Each line is looked at.
            None | Some(Err(_)) => Node::All,
        };
        let mut of_unit = OfUnit::new(plan, &unit, mentions);
        let mut is_forgotten = |stream: &str, position: u64, line: &str, _: Option<u64>| {
            (stream != inputs::HTTP || position < until) && of_unit.is_of(line.as_bytes())
        };
        let mut counted = |lines: u64| {
            counted(lines).map_err(|error| IndexError::Io("erasing.json".to_owned(), std::io::Error::other(error)))
        };
        let forgotten = writer.forget(&tree, &mut is_forgotten, &mut counted);
        let said = match &forgotten {
            Ok(_) => Ok(writer.positions().iter().map(|(name, next)| (name.to_owned(), next)).collect()),
            Err(error) => Err(error.to_string()),
        };
        // The program may be stopping.
        let _nobody_waits = done.send(said);
        forgotten.map(|_| ()).map_err(|error| anyhow!("{error}"))
    }
}

impl Searching {
    /// Hands a job to the thread that indexes; where there is none, what an earlier one has left is opened.
    pub(in crate::cli::run) fn forget(&self, folder: &Path, plan: &Plan, job: Job) {
        if !self.is_off() {
            *self.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
            return;
        }
        let folder = folder.join(FOLDER);
        if !folder.exists() {
            let _nobody_waits = job.done.send(Ok(BTreeMap::new()));
            return;
        }
        let opened = Index::open(&folder).and_then(|index| {
            let columns = index.parts().last().map_or_else(Columns::default, |part| part.columns());
            Writer::open(Arc::new(index), Settings::default(), columns)
        });
        match opened {
            // Who waits hears what is wrong.
            Ok(mut writer) => {
                let _said = job.carry_out(&mut writer, plan);
            }
            Err(error) => {
                let _nobody_waits = job.done.send(Err(error.to_string()));
            }
        }
    }

    /// A job whose lines have all come.
    pub(super) fn job(&self, next: u64) -> Option<Job> {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        if job.as_ref().is_some_and(|job| job.until <= next) { job.take() } else { None }
    }
}
