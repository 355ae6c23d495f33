//! Proof on a log of one's own: the same units, split at random many times, judged by Serin and by the rules that
//! people use today.
//!
//! A split by a keyed hash of the unit is a rollout in which nothing was rolled out, so every rollback is a false one.
//! With a change planted into one half, every promotion is a false one, and the time until the rollback is the time
//! that such a change stays hidden at this traffic.
//!
//! The log is decoded once and kept; only what is too large is read again for each split. A split is judged by the very
//! fold and engine that `compare --arm-by 'hash(unit, ...)'` runs.

pub mod change;
pub mod log;
mod minutes;
pub mod placebo;
mod split;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::engine::Settings;
use crate::source::files::FilesError;

use change::Change;
use log::Log;
pub use minutes::{Limits, RULE_NAMES};
pub use split::{Outcome, Split};

/// How many splits, and of what kind.
#[derive(Clone, Debug)]
pub struct Options {
    /// Splits in which nothing is planted, and as many with [`Options::plant`].
    pub splits: u32,
    /// Share of units in the canary, in parts per million.
    pub share_ppm: u32,
    /// What is planted for the count of false promotions.
    pub plant: Change,
    /// Changes whose time to rollback is measured.
    pub ladder: Vec<Change>,
    /// Splits for each of them.
    pub ladder_splits: u32,
    /// Threads.
    pub threads: usize,
}

impl Options {
    /// Splits judged in all.
    pub fn judged(&self) -> u64 {
        2 * u64::from(self.splits) + self.ladder.len() as u64 * u64::from(self.ladder_splits)
    }
}

/// Splits with the same planted change, by seed.
#[derive(Clone, Debug)]
pub struct Group {
    /// What was planted.
    pub change: Change,
    /// One a seed, 0 first.
    pub splits: Vec<Split>,
}

/// All that was judged.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Nothing planted.
    pub healthy: Group,
    /// [`Options::plant`] planted.
    pub planted: Group,
    /// Each of [`Options::ladder`] planted.
    pub ladder: Vec<Group>,
    /// Limits that the threshold rule was given.
    pub limits: Limits,
}

/// Judges every split. `settings`: of the one release that is judged, with the arms of a split. `done` is told of each
/// split that has been judged.
///
/// # Errors
/// A log that must be read again and cannot be.
pub fn run(
    log: &Log,
    settings: &Settings,
    options: &Options,
    done: &(dyn Fn() + Sync),
) -> Result<Calibration, FilesError> {
    let limits = Limits::for_log(&log.facts);
    let mut groups = vec![(Change::None, options.splits), (options.plant, options.splits)];
    groups.extend(options.ladder.iter().map(|change| (*change, options.ladder_splits)));
    let jobs: Vec<(usize, u32)> = groups
        .iter()
        .enumerate()
        .flat_map(|(group, (_, splits))| (0..*splits).map(move |seed| (group, seed)))
        .collect();
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let results: Mutex<Vec<(usize, u32, Split)>> = Mutex::new(Vec::with_capacity(jobs.len()));
    let work = || -> Result<(), FilesError> {
        while !stop.load(Ordering::Relaxed) {
            let Some(&(group, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let change = groups.get(group).map_or(Change::None, |(change, _)| *change);
            let split = split::judge(log, settings, seed, options.share_ppm, change, limits)
                .inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
            if let Ok(mut results) = results.lock() {
                results.push((group, seed, split));
            }
            done();
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads.clamp(1, jobs.len().max(1))).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(group, seed, _)| (*group, *seed));
    let mut by_group: Vec<Group> =
        groups.iter().map(|(change, _)| Group { change: *change, splits: Vec::new() }).collect();
    for (group, _, split) in results {
        if let Some(group) = by_group.get_mut(group) {
            group.splits.push(split);
        }
    }
    let ladder = by_group.split_off(2);
    let [healthy, planted] = by_group.try_into().unwrap_or_else(|_| {
        let none = || Group { change: Change::None, splits: Vec::new() };
        [none(), none()]
    });
    Ok(Calibration { healthy, planted, ladder, limits })
}
