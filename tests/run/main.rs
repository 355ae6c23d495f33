//! `serin run` as a program of its own, with all that comes to it and is asked of it. Most of these tests wait most of the time, so they
//! stand in one program, and run beside each other.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod acting;
mod daemon;
#[cfg(feature = "index")]
mod dashboards;
#[cfg(feature = "index")]
mod forget;
#[cfg(feature = "index")]
mod grafana;
mod hooks;
mod ingest;
#[cfg(feature = "index")]
mod openapi;
mod placebo;
#[cfg(feature = "index")]
mod search;
#[cfg(feature = "index")]
mod search_hard;
#[cfg(target_os = "linux")]
mod shippers;
mod tail;
mod ui;
mod ui_kept;
mod ways_in;
#[cfg(feature = "index")]
mod who;
mod wire;
#[cfg(feature = "index")]
mod wire_search;
