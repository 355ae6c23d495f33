//! What the team asks of a rollout. Error levels and weights are not settings: they belong to the engine.

use crate::compare::verdict::Behaviour;
use crate::engine::limits::Limits;
use crate::event::ServiceKey;
use crate::pipeline::metric::Metric;
use crate::pipeline::plan::Conversions;
use crate::time::{MINUTE, Micros};

/// What [`Policy::starts_within`] is where nobody says it: a candidate that dies at its start is missed within two minutes of its first
/// line, the time until its lack is proven included.
pub const STARTS_WITHIN: Micros = MINUTE;

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
    /// Shares of units of declared steps, in parts per million, rising. Where there are any, the share that is seen tells the step,
    /// and that the next share (`engine::steps`).
    pub steps: Vec<u32>,
    /// Shortest time under observation before PASS.
    pub minimum_time: Micros,
    /// Behaviours whose change is expected and accepted.
    pub expect: Vec<Behaviour>,
    /// Share of units that was meant for the candidate (0 to 1). Without it no sample ratio is checked.
    pub declared_share: Option<f64>,
    /// Share of units (0 to 1) of the first declared step, which a candidate has at least, in whichever step it is. What it has in
    /// excess of it is no wrong ratio.
    pub step_share: Option<f64>,
    /// Services that carry the new version together, by name, the entry first: each is judged, under one error budget.
    /// Empty: each release has its own.
    pub release: Vec<String>,
    /// Business events that may not become rarer in the candidate.
    pub conversions: Conversions,
    /// Metrics of one's own that may not become worse.
    pub metrics: Vec<Metric>,
    /// What both arms together may not exceed.
    pub limits: Limits,
    /// Templates, by id, whose change is expected and accepted; of level error or worse they fail nothing.
    pub expect_templates: Vec<u64>,
    /// Fields whose values are segments, as the plan has them.
    pub segments: Vec<String>,
    /// Arms that are candidates from their first line on, without the units that others need: a candidate may die before it has
    /// them.
    pub candidates: Vec<String>,
    /// Time from the first line of one of [`Policy::candidates`] within which it has a request: one that has none by then is missed.
    pub starts_within: Micros,
    /// Somebody said that each request is assigned to an arm by itself. Where no unit is logged that cannot be seen, and without it
    /// nobody acts on a failure without a person.
    pub requests_assigned: bool,
    /// What declared rollouts ask in place of all this. They have none of their own.
    pub rollouts: Vec<OfRollout>,
}

/// What one declared rollout asks.
#[derive(Clone, PartialEq, Debug)]
pub struct OfRollout {
    /// Its environment; every one without.
    pub environment: Option<String>,
    /// Names of its services, the entry first.
    pub services: Vec<String>,
    /// What it asks.
    pub policy: Policy,
}

impl OfRollout {
    /// A service is one of its own.
    pub fn has(&self, key: &ServiceKey) -> bool {
        self.environment.as_ref().is_none_or(|environment| *environment == key.environment)
            && self.services.contains(&key.service)
    }
}

impl Policy {
    /// What is asked of a release, by its entry service: of the first declared rollout that has it, else this.
    pub fn of(&self, entry: Option<&ServiceKey>) -> &Policy {
        let own = entry.and_then(|key| self.rollouts.iter().find(|rollout| rollout.has(key)));
        own.map_or(self, |rollout| &rollout.policy)
    }

    /// Share of units that the candidate has at least, where somebody said so (0 to 1): fewer are a deficit.
    pub fn least_share(&self) -> Option<f64> {
        self.declared_share.or(self.step_share)
    }

    /// A limit in milliseconds is set, here or for a rollout.
    pub fn limits_latency(&self) -> bool {
        self.limits.p99_us.is_some() || self.rollouts.iter().any(|rollout| rollout.policy.limits.p99_us.is_some())
    }

    /// Services of which somebody said that they carry the new version together, each with the environment that was said.
    pub fn released_together(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let of_rollouts = self.rollouts.iter().flat_map(|rollout| {
            rollout.policy.release.iter().map(|service| (rollout.environment.as_deref(), service.as_str()))
        });
        self.release.iter().map(|service| (None, service.as_str())).chain(of_rollouts)
    }

    /// Part of the release's error budget that a service has: half for the entry, the rest divided over the others
    /// (statistics design 4.6); all of it for a service that is in no declared release.
    ///
    /// Each service fails at ln (1 / alpha) less the ln of its part, so together they fail without cause with probability at
    /// most alpha.
    pub fn part_of_budget(&self, service: &str) -> f64 {
        match (self.release.iter().position(|name| name == service), self.release.len()) {
            (None, _) | (Some(_), ..=1) => 1.0,
            (Some(0), _) => 0.5,
            (Some(_), services) => 0.5 / (services - 1) as f64,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            errors: true,
            latency: true,
            next_share: 1.0,
            steps: Vec::new(),
            minimum_time: 5 * MINUTE,
            expect: Vec::new(),
            declared_share: None,
            step_share: None,
            release: Vec::new(),
            conversions: Conversions::default(),
            metrics: Vec::new(),
            limits: Limits::default(),
            expect_templates: Vec::new(),
            segments: Vec::new(),
            candidates: Vec::new(),
            starts_within: STARTS_WITHIN,
            requests_assigned: false,
            rollouts: Vec::new(),
        }
    }
}
