//! `serin run` against real Kafka nodes, each test on a node of its own. They come by Maven and run on Java; where `mvn` or `java` is
//! missing a test says so and is skipped; in CI (`CI=true`) that is a failure.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(target_os = "linux")]
mod clients;
mod crashes;
mod live;
mod owners;
#[cfg(target_os = "linux")]
mod pressure;
mod stalls;
#[cfg(feature = "kafka-tls")]
mod tls;
mod topics;

use common::{Line, Traffic};
use serin::time::MINUTE;

/// Requests of which the canary's fail, and a line long after the others that closes their windows.
fn broken_canary() -> Vec<Line> {
    let errors = vec![0.01, 0.25];
    let traffic = Traffic { seed: 61, requests: 7_999, users: 2_000, minutes: 20, errors, ..Traffic::default() };
    let mut lines = traffic.lines();
    let last = lines[lines.len() - 1].at;
    lines.push(Line { at: last + 4 * MINUTE, ..lines[0].clone() });
    lines
}
