//! The public scoreboard: simulated rollouts through the same engine as in production, beside the rules of others.
//!
//! A seeded world of users makes window partials and hands them to [`crate::engine::Engine::apply`]; nothing here reaches
//! past it. Each run is a line of its own, so the runs of a long night add up, and no seed is run twice.

pub mod board;
pub mod exact;
pub mod print;
pub mod rows;
pub mod run;
pub mod traffic;
pub mod world;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::time::ClockId;

use rows::Row;
use run::Record;

/// Seeds up to which the rules of others look on: their figures need fewer runs than ours.
const RIVAL_SEEDS: u64 = 200;

/// One run of a row.
pub fn simulate(row: &Row, seed: u64) -> Record {
    let mut plan = row.plan(seed).clone();
    plan.rivals &= seed <= RIVAL_SEEDS;
    run::simulate(row.name, &plan, seed)
}

/// Runs jobs (row, seed) on threads; `done` is told of each as it ends, and of the processor time that it took, in
/// no order. Ends early where `done` fails.
///
/// # Errors
/// What `done` says.
pub fn run_all<E: Send>(
    rows: &[Row],
    jobs: &[(usize, u64)],
    threads: usize,
    done: &(dyn Fn(Record, Duration) -> Result<(), E> + Sync),
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let work = || -> Result<(), E> {
        while !stop.load(Ordering::Relaxed) {
            let Some((row, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            if let Some(row) = rows.get(*row) {
                let before = thread_time();
                let record = simulate(row, *seed);
                done(record, thread_time().saturating_sub(before))
                    .inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.clamp(1, jobs.len().max(1))).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// Processor time of this thread: other work on the machine does not enter.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
