//! Versions that replaced others at once: there was no time in which both served, so nothing could be compared.

use crate::backtest::deploy::{Deploy, What};
use crate::backtest::rollout::Rollout;
use crate::backtest::{BESIDE_MIN, Backtest, cut_over};
use crate::engine::Engine;
use crate::sketch::partial::WindowPartial;
use crate::time::Timestamp;

/// Watches who serves while an engine reads.
#[derive(Clone, Debug, Default)]
pub struct CutOvers(Backtest);

impl CutOvers {
    /// A stream has passed a window; the engine is told next.
    pub fn window(&mut self, engine: &Engine, partial: &WindowPartial) {
        self.0.watch(engine, partial, false);
    }

    /// Nothing more comes.
    pub fn finish(&mut self) {
        self.0.take_all();
        self.0.services.values_mut().for_each(|service| service.served.end_slot());
    }

    /// Every version that took over from another without having served beside it for [`BESIDE_MIN`], in order of time. What is
    /// told of them is no verdict.
    pub fn found(&self, engine: &Engine) -> Vec<Deploy> {
        let mut found = Vec::new();
        for (at, (services, comparisons)) in engine.releases().enumerate() {
            let Some((entry, served)) = services.first().and_then(|entry| self.0.services.get_key_value(entry)) else {
                continue;
            };
            let not_judged = engine.arms_not_judged(at);
            // Who served beside whom before the oldest rollout that is kept, nobody knows.
            let first = comparisons.iter().next().filter(|_| comparisons.forgotten().count > 0);
            let since = first.map_or(Timestamp(i64::MIN), |first| first.started_at);
            for takeover in served.served.takeovers() {
                let two = [&takeover.from, &takeover.to];
                let were_beside = comparisons.iter().any(|known| {
                    two.contains(&&known.control)
                        && two.contains(&&known.candidate)
                        && Rollout::beside(known) >= BESIDE_MIN
                });
                if takeover.at >= since && !were_beside && !not_judged.contains(&takeover.to) {
                    found.push(Deploy {
                        service: entry.to_string(),
                        from: takeover.from.clone(),
                        to: takeover.to.clone(),
                        at: takeover.at,
                        what: What::CutOver(cut_over(Some(takeover))),
                    });
                }
            }
        }
        found.sort_by(|a, b| (a.at, &a.service, &a.to).cmp(&(b.at, &b.service, &b.to)));
        found
    }
}
