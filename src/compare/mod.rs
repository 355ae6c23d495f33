//! Tests and verdicts.

pub mod arrivals;
pub mod share;
