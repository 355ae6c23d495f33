//! `serin bench`.
use crate::cli::arguments::*;
pub(super) fn run(_: &BenchArguments)->anyhow::Result<u8>{Ok(0)}
