//! Serin tells, straight from logs and while a rollout runs, whether the new code is worse.
//!
//! Modules in reading order; each may use only what stands above it (a test checks that).
//! The core (everything that is not behind the feature `edge`) is pure: no clock, no IO, no threads, no randomness.

// Layer 0: words that everything else is built from.
pub mod invariant;
pub mod math;
pub mod time;
pub mod words;

// Layer 1: what a line becomes.
pub mod event;

// Layer 2: from bytes to events, and what is counted.
pub mod pipeline;
pub mod query;
pub mod sketch;

// Layer 3: event-time windows; tests and verdicts.
pub mod compare;
pub mod fold;
pub mod rival;

// Layer 4: where a rollout stands, and what follows.
pub mod rollout;

// Layer 5: the record of decisions; the one pure machine that makes them; what it will need; who uses a feature.
pub mod adoption;
pub mod engine;
pub mod ledger;
pub mod outbox;
pub mod plan;

// Layer 6 and above: files, threads, terminal.
#[cfg(feature = "edge")]
pub mod backtest;
#[cfg(feature = "edge")]
pub mod bench;
#[cfg(feature = "edge")]
pub mod calibrate;
#[cfg(feature = "edge")]
pub mod cli;
#[cfg(feature = "edge")]
pub mod demo;
#[cfg(feature = "index")]
pub mod index;
#[cfg(feature = "edge")]
pub mod simulate;
#[cfg(feature = "edge")]
pub mod source;
