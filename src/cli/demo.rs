//! `serin demo`.
use crate::cli::arguments::*;
pub(super) fn run(_: &DemoArguments) -> anyhow::Result<u8> {
    Ok(0)
}
