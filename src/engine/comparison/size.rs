//! What a comparison costs in memory, part by part, and what it can do without.

use std::collections::VecDeque;

use crate::compare::arrivals::{Block, ShareCuts};
use crate::engine::bucket_sums::BucketSums;
use crate::engine::comparison::{Comparison, Evidence};
use crate::engine::conversions::Conversion;
use crate::engine::instances::Instances;
use crate::engine::latency_tests::LatencyTests;
use crate::engine::limits::Watch;
use crate::engine::look::Look;
use crate::engine::memory;
use crate::engine::metrics::MetricTest;
use crate::engine::pair_test::PairTest;
use crate::engine::restarts::Restarts;
use crate::engine::sampling::Sampling;
use crate::engine::steps::SinceCut;
use crate::engine::totals::Totals;
use crate::sketch::latency::Histogram;

impl Comparison {
    /// Bytes of each part on the heap, by name. A new part of a comparison has its line here.
    pub fn parts(&self) -> [(&'static str, u64); 14] {
        let pair_tests = [&self.called, &self.routes, &self.statuses];
        let share_tests = [&self.error_units, &self.slow_units, &self.crossover];
        let plain = [&self.error_volume, &self.lines, &self.retried, &self.warnings, &self.other_lines];
        let sums = plain.into_iter().chain(&self.early).chain(&self.gaps);
        let of_metrics =
            memory::list::<MetricTest>(self.metrics.len()) + self.metrics.iter().map(MetricTest::bytes).sum::<u64>();
        let of_totals = |pair: &[Totals; 2]| pair.iter().map(Totals::bytes).sum::<u64>();
        let of_line = |line: &Evidence| memory::text(&line.stream) + memory::text(&line.route);
        let of_evidence =
            |list: &Vec<Evidence>| memory::list::<Evidence>(list.len()) + list.iter().map(of_line).sum::<u64>();
        [
            ("units", self.store.bytes() + memory::list::<(u64, u16)>(self.waiting_slow.len())),
            (
                "pairs",
                pair_tests.into_iter().map(PairTest::bytes).sum::<u64>()
                    + self.storms.bytes()
                    + self.unanswered.bytes(),
            ),
            (
                "share tests",
                share_tests.into_iter().map(|cell| cell.bytes()).sum::<u64>()
                    + self.calls.bytes()
                    + memory::list::<Conversion>(self.conversions.len())
                    + self.conversions.iter().map(Conversion::bytes).sum::<u64>(),
            ),
            ("bucket tests", sums.map(BucketSums::bytes).sum::<u64>() + self.since_cut.bytes() + of_metrics),
            ("latency tests", self.latency.bytes()),
            ("restarts", self.restarts.bytes()),
            ("sampling", self.sampling.bytes()),
            (
                "totals",
                memory::exact::<[Totals; 2]>(self.totals.len()) + self.totals.iter().map(of_totals).sum::<u64>(),
            ),
            ("instances", self.instances.bytes()),
            ("evidence", self.evidence.iter().map(of_evidence).sum()),
            (
                "looks and course",
                memory::text(&self.control)
                    + memory::text(&self.candidate)
                    + self.look.bytes()
                    + memory::boxed(&self.heard)
                    + self.heard.iter().flat_map(|heard| heard.iter()).map(Look::bytes).sum::<u64>()
                    + self.presence.bytes()
                    + self.missed.bytes()
                    + self.growth.bytes()
                    + memory::list::<Block>(self.cuts.len())
                    + memory::queue(&self.recent_crossover)
                    + self.limits.as_ref().map_or(0, Watch::bytes)
                    + self.failure.as_ref().map_or(0, |failure| memory::list::<u64>(failure.templates.len())),
            ),
            ("templates", self.templates.bytes()),
            ("segments", self.segments.bytes()),
            ("ages", self.ages.bytes()),
        ]
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        self.parts().iter().map(|(_, bytes)| bytes).sum()
    }

    /// Units and pairs that are remembered.
    pub fn remembered(&self) -> [usize; 2] {
        let pairs: usize = [&self.called, &self.routes, &self.statuses].into_iter().map(PairTest::entries).sum();
        [self.store.len(), pairs + self.templates.entries()]
    }

    /// Pair tests stop where they are.
    pub fn stop_pairs(&mut self) {
        [&mut self.called, &mut self.routes, &mut self.statuses].into_iter().for_each(PairTest::stop);
        self.templates.stop();
    }

    /// Of all units only every second goes on.
    pub fn halve_units(&mut self) {
        self.store.halve();
        self.ages.halve();
    }

    /// What a comparison that is over said, and counts of what it saw, stay; sums, instances and evidence lines go.
    pub fn keep_the_gist(&mut self) {
        let sums =
            [&mut self.error_volume, &mut self.lines, &mut self.retried, &mut self.warnings, &mut self.other_lines];
        sums.into_iter().chain(&mut self.early).chain(&mut self.gaps).for_each(BucketSums::forget);
        self.latency = LatencyTests::default();
        self.metrics.iter_mut().for_each(MetricTest::keep_the_gist);
        self.restarts = Restarts::default();
        self.since_cut = SinceCut::default();
        self.sampling = Sampling::default();
        for totals in self.totals.iter_mut().flatten() {
            (totals.latency, totals.span_latency) = (Histogram::default(), Histogram::default());
        }
        self.instances = Instances::default();
        self.evidence = Default::default();
        self.cuts = ShareCuts::default();
        self.recent_crossover = VecDeque::new();
        for test in [&mut self.called, &mut self.routes, &mut self.statuses] {
            *test = PairTest::new(self.unit.is_once());
        }
        let failing = self.failure.as_ref().map_or(&[][..], |failure| &failure.templates);
        self.templates.keep_only(failing);
        self.segments.keep_the_gist();
        self.is_gist = true;
    }

    /// Only the gist of it is left.
    pub fn is_gist(&self) -> bool {
        self.is_gist
    }
}
