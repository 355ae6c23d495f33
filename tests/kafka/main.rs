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
