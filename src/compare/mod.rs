//! Tests and verdicts.

pub mod arrivals;
pub mod bucket;
pub mod budget;
pub mod lists;
pub mod margin;
pub mod normal_mixture;
pub mod sample_ratio;
pub mod share;
pub mod unit_rule;
pub mod verdict;
