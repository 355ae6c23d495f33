//! Tests and verdicts.

pub mod arrivals;
pub mod bucket;
pub mod normal_mixture;
pub mod share;
