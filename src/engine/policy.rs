//! What the team asks of a rollout. Error levels and weights are not settings: they belong to the engine.

use crate::compare::verdict::Behaviour;
use crate::time::{MINUTE, Micros};

/// Which guardrails PASS needs, and how soon it may come.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    /// PASS needs request errors to be held.
    pub errors: bool,
    /// PASS needs latency to be held.
    pub latency: bool,
    /// Share of units that the next step will expose (0 to 1): an early step may leave a wider margin open. 1: the last
    /// step, with the full margin.
    pub next_share: f64,
    /// Shortest time under observation before PASS.
    pub minimum_time: Micros,
    /// Behaviours whose change is expected and accepted.
    pub expect: Vec<Behaviour>,
    /// Share of units that was meant for the candidate (0 to 1). Without it no sample ratio is checked.
    pub declared_share: Option<f64>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            errors: true,
            latency: true,
            next_share: 1.0,
            minimum_time: 5 * MINUTE,
            expect: Vec::new(),
            declared_share: None,
        }
    }
}
