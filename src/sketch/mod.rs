//! Mergeable integer state: what a worker counts in one window, and nothing that depends on order.
//!
//! Every type here merges by addition, union or a total order, so merging is commutative, associative and equal to the
//! bit (invariant SK-1). Nothing here knows about tests or verdicts.

pub mod codec;
pub mod latency;
pub mod partial;
pub mod rows;
mod sort;
pub mod templates;
pub mod weights;
