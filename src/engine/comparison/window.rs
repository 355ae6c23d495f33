//! What a closing window adds to a comparison: units, arms, risk, first events, and the cut that opens a new stratum.

use crate::compare::bucket::BUCKETS;
use crate::compare::unit_rule::{Routing, unit_rule};
use crate::engine::ages::Ages;
use crate::engine::comparison::{Activity, Comparison, CompleteTrace, WindowInput};
use crate::engine::latency_tests::Level;
use crate::engine::limits::Counts;
use crate::engine::restarts::Evidence;
use crate::engine::units::{Arm, Restarted, UNITS_MAX, Unit};
use crate::event;
use crate::math;
use crate::sketch::latency::LatencyTable;
use crate::sketch::partial::OTHER_LINE;
use crate::sketch::rows::NEVER;
use crate::sketch::weights::WeightTable;
use crate::time::{MINUTE, Micros, Timestamp};

/// Event time without a request after which a new stratum begins: nobody knows what was changed in between.
pub const GAP: Micros = 30 * MINUTE;

/// Blocks next to a share change in which a unit in both arms is no crossover: it moved with the change.
const CROSSOVER_BLOCKS: u32 = 3;

/// Status classes whose share of units is compared. What succeeds is the rest, and 5xx are errors.
const STATUS_CLASSES: [(u8, &str); 3] = [(1, "1xx"), (3, "3xx"), (4, "4xx")];

/// Windows of a stratum of which a unit's first request counts for PASS on latency.
const EARLY_WINDOWS: u16 = 8;

/// Units that are looked up together before they are counted.
const FETCHED: usize = 64;

/// Requests, failed ones, and those recovered by a further attempt, of a window by arm and bucket.
struct Volume([[[u64; 3]; BUCKETS]; 2]);

impl Default for Volume {
    fn default() -> Self {
        Volume([[[0; 3]; BUCKETS]; 2])
    }
}

/// Counts the first request of a unit in the stratum, or its second and whether that was in the other arm.
fn note_request(entry: &mut Unit, rule: &mut [(u64, u64, u64); 2], arm: Arm) {
    match entry.first_request() {
        None => {
            entry.set_first_request(arm);
            rule[arm.at()].0 += 1;
        }
        Some(first) => {
            entry.set_requested_again();
            rule[first.at()].1 += 1;
            rule[first.at()].2 += u64::from(arm != first);
        }
    }
}

impl Comparison {
    /// Begins the restart that is due after the look of the latest window; `said`: what those that run said there.
    pub fn restart(&mut self, said: &[Evidence]) {
        let Some(number) = self.restarts.due(self.started_at, self.ended_at) else { return };
        let [p50, p90, p99] = &mut self.latency.above;
        let marks = [self.error_volume.mark(), self.latency.mean.mark(), p50.mark(), p90.mark(), p99.mark()];
        let bit = self.restarts.begin(number, marks, said);
        self.store.clear_restart(bit);
    }

    /// A window closes.
    pub fn close_window(&mut self, mut input: WindowInput<'_>) {
        if input.start.0 - self.ended_at.0 >= GAP && self.looks > 0 {
            self.cuts.reset();
            self.cut();
        }
        let arms_active = self.join(&input);
        self.age(&input);
        self.convert(input.conversions);
        self.measure(input.metrics, input.start, input.end);
        self.take_templates(input.start, &input.templates);
        self.take_exposures(&input);
        let by_request = self.by_request();
        let units = (&self.store, self.stratum);
        self.segments.close_window(&input, units, by_request);
        self.presence.note(input.start, input.end, arms_active);
        if arms_active[Arm::Candidate.at()] > 0 && self.active_until[Arm::Candidate.at()].is_none() {
            self.first_window = self.distinct;
        }
        for (until, active) in self.active_until.iter_mut().zip(arms_active) {
            if active > 0 {
                *until = Some(input.end);
            }
        }
        for (arm, table) in [Arm::Control, Arm::Candidate].into_iter().zip(&mut input.warnings) {
            table.settle();
            for (bucket, bin, count) in table.iter() {
                let sums = if bin == OTHER_LINE { &mut self.other_lines } else { &mut self.warnings };
                sums.add(arm, bucket, 0, count as i64, 0);
            }
        }
        for (arm, table) in [Arm::Control, Arm::Candidate].into_iter().zip(&mut input.gaps) {
            table.settle();
            for (bucket, gap, count) in table.iter() {
                if let Some(sums) = self.gaps.get_mut(usize::from(gap)) {
                    sums.add(arm, bucket, 0, count as i64, i128::from(count));
                }
            }
        }
        input.weights.iter_mut().for_each(WeightTable::settle);
        self.sampling.close_window(&input.weights, input.start, input.end);
        self.count_routes(&input);
        input.traces.iter().for_each(|trace| self.count_trace(trace));
        self.error_volume.close_window(input.start, input.end);
        let [(_, erring), _] = self.error_units.totals();
        self.growth.close_window(erring);
        self.lines.close_window(input.start, input.end);
        self.early.iter_mut().for_each(|sums| sums.close_window(input.start, input.end));
        self.retried.close_window(input.start, input.end);
        self.gaps.iter_mut().for_each(|sums| sums.close_window(input.start, input.end));
        self.warnings.close_window(input.start, input.end);
        self.other_lines.close_window(input.start, input.end);
        let [control, candidate] = &mut input.latency;
        control.settle();
        candidate.settle();
        self.watch_limits(input.start, input.end, input.activities, input.without_unit, [control, candidate]);
        let known = self.latency.threshold(Level::P99);
        self.latency.close_window([control, candidate], input.start, input.end);
        match known {
            None => self.release_waiting_slow(),
            Some(threshold) if self.by_request() => self.count_slow_requests([control, candidate], threshold),
            Some(_) => {}
        }
        for (kept, new) in self.evidence.iter_mut().zip(input.evidence) {
            kept.extend(new);
            kept.sort_by(|a, b| (a.slow, a.rank, &a.stream, a.offset).cmp(&(b.slow, b.rank, &b.stream, b.offset)));
            let mut of_class = [0usize; 2];
            kept.retain(|line| {
                let count = &mut of_class[usize::from(line.slow)];
                *count += 1;
                *count <= crate::sketch::rows::EVIDENCE_MAX
            });
        }
        self.store.keep_bound(UNITS_MAX);
        self.storms.keep_bound();
        self.conversions.iter_mut().for_each(|of| of.keep_bound());
        self.routes.keep_bound();
        self.statuses.keep_bound();
        self.called.keep_bound();
        self.templates.keep_bound();
        self.window = input.window;
        self.ended_at = input.end;
        self.looks += 1;

        self.decide_routing();
        self.commit_crossover(false);
        let [active_control, active_candidate] = arms_active;
        if self.cuts.window(active_candidate, active_control + active_candidate) {
            self.cut();
        }
    }

    /// Units of the window by the time since they were first seen in their arm; requests that count by themselves have none.
    fn age(&mut self, input: &WindowInput<'_>) {
        match self.unit.is_once() || self.by_request() {
            true if !self.ages.is_empty() => self.ages = Ages::default(),
            true => {}
            false => self.ages.close_window(
                input.activities,
                input.start.0 - self.started_at.0,
                self.number_of_cuts,
                self.conversions.len(),
                &self.store,
            ),
        }
    }

    /// Requests of the window, held against absolute limits. `latency`: of (control, candidate), settled.
    fn watch_limits(
        &mut self,
        start: Timestamp,
        end: Timestamp,
        activities: &[Activity],
        without_unit: [[u64; 2]; 2],
        latency: [&LatencyTable; 2],
    ) {
        let Some(watch) = &mut self.limits else { return };
        let mut counts = Counts::default();
        let [errors, slow] = &mut counts;
        for activity in activities {
            errors[activity.arm.at()].add(u64::from(activity.errors), u64::from(activity.requests));
        }
        for (counted, [requests, failed]) in errors.iter_mut().zip(without_unit) {
            counted.add(failed, requests);
        }
        if let Some(threshold) = watch.slow_above() {
            for (counted, table) in slow.iter_mut().zip(latency) {
                table.iter().for_each(|(_, bin, count)| counted.add(if bin > threshold { count } else { 0 }, count));
            }
        }
        watch.close_window(start, end, counts);
    }

    /// Every window has closed: what waited for one more is decided.
    pub fn end(&mut self, traces: &[CompleteTrace]) {
        traces.iter().for_each(|trace| self.count_trace(trace));
        self.lines.close_window(self.ended_at, self.ended_at);
        self.called.keep_bound();
        self.commit_crossover(true);
        self.ended = true;
    }

    /// A new stratum begins with the next window.
    fn cut(&mut self) {
        (self.activity_differed, self.stratum_from) = (self.activity_differs(), self.error_volume.events());
        self.stratum = self.stratum.wrapping_add(1);
        self.number_of_cuts += 1;
        let [_, p90, p99] = &mut self.latency.above;
        let [early_p90, early_p99] = &mut self.early;
        self.since_cut.cut([&mut self.error_volume, &mut self.latency.mean, p90, p99, early_p90, early_p99]);
        self.error_units.cut();
        self.storms.cut();
        self.unanswered.cut();
        self.slow_units.cut();
        self.routes.cut();
        self.statuses.cut();
        self.called.cut();
        self.crossover.cut();
        self.segments.cut();
        for conversion in &mut self.conversions {
            conversion.units.cut();
        }
        self.calls.cut();
        self.restarts.cut();
        self.recent_crossover.clear();
        self.templates.cut();
        self.rule = [(0, 0, 0); 2];
    }

    /// Units of the window: arms, risk, first events. Returns active (unit, arm) pairs of (control, candidate).
    fn join(&mut self, input: &WindowInput<'_>) -> [u64; 2] {
        let by_request = self.by_request();
        let threshold = self.latency.threshold(Level::P99);
        let mut active = [0u64; 2];
        let mut volume = Volume::default();
        let activities = input.activities;
        let (mut at, mut fetched) = (0, 0);
        for group in activities.chunk_by(|a, b| a.unit == b.unit) {
            if at >= fetched && !by_request {
                fetched = activities.len().min(at + FETCHED);
                self.store.fetch(activities[at..fetched].iter().map(|activity| activity.unit));
            }
            at += group.len();
            self.unit(group, by_request, threshold, &mut active, &mut volume);
        }
        self.add_volume(&volume);
        active
    }

    /// Units that other services exposed, and who of them is heard.
    fn take_exposures(&mut self, input: &WindowInput<'_>) {
        if self.by_request() {
            return;
        }
        for (unit, arm, at) in &input.exposed_elsewhere {
            self.unanswered.expose(*unit, *arm, *at);
        }
        for activity in input.activities.iter().filter(|activity| activity.requests > 0) {
            self.unanswered.answer(activity.unit);
        }
        self.unanswered.close_window(input.end);
    }

    /// Requests of the window by bucket: the denominators of every rate.
    fn add_volume(&mut self, volume: &Volume) {
        for arm in [Arm::Control, Arm::Candidate] {
            for (bucket, [n, errors, recovered]) in
                volume.0[arm.at()].into_iter().enumerate().filter(|(_, of)| of[0] > 0)
            {
                self.error_volume.add(arm, bucket, n, errors as i64, i128::from(errors));
                self.retried.add(arm, bucket, n, recovered as i64, i128::from(recovered));
                self.metrics.iter_mut().for_each(|of| of.requests(arm, bucket, n));
                self.warnings.add(arm, bucket, n, 0, 0);
                self.other_lines.add(arm, bucket, n, 0, 0);
                // How a value is written is asked of requests that did not fail.
                for (gap, sums) in self.gaps.iter_mut().enumerate() {
                    let is_of_form = gap >= usize::from(crate::sketch::partial::GAP_LATENCY_TEXT);
                    sums.add(arm, bucket, if is_of_form { n.saturating_sub(errors) } else { n }, 0, 0);
                }
            }
        }
    }

    fn unit(
        &mut self,
        group: &[Activity],
        by_request: bool,
        threshold: Option<u16>,
        active: &mut [u64; 2],
        volume: &mut Volume,
    ) {
        let Some(head) = group.first() else { return };
        let unit = head.unit;
        let bucket = event::bucket_of(unit) as usize;
        // Order of activities of the unit; at the same microsecond by a hash, which favours no arm.
        let order = |a: &Activity| (a.first, event::mix(unit ^ a.arm.at() as u64, event::KEY_TIE));
        let first = match group {
            // Nearly always.
            [only] => only,
            _ => group.iter().min_by_key(|a| order(a)).unwrap_or(head),
        };
        let first_arm = first.arm;
        let mut requests = [0u64; 2];
        let mut errors = [0u64; 2];
        let mut recovered = [0u64; 2];
        let mut slowest = 0u16;
        for a in group {
            recovered[a.arm.at()] += u64::from(a.recovered);
            requests[a.arm.at()] += u64::from(a.requests);
            errors[a.arm.at()] += u64::from(a.errors);
            slowest = slowest.max(a.slowest);
        }
        for arm in [Arm::Control, Arm::Candidate] {
            let (n, x) = (requests[arm.at()], errors[arm.at()]);
            let sums = &mut volume.0[arm.at()][bucket % BUCKETS];
            sums[0] += n;
            sums[1] += x;
            sums[2] += recovered[arm.at()];
            if by_request {
                active[arm.at()] += n;
                self.error_units.at_risk(arm, n);
                self.error_units.first(arm, x);
                for restart in self.restarts.of(u8::MAX) {
                    restart.error_units.at_risk(arm, n);
                    restart.error_units.first(arm, x);
                }
            }
        }
        if self.latency.effects().is_some() {
            for a in group.iter().filter(|a| a.first_latency > 0) {
                self.latency.unit(a.arm, unit, bucket, a.requests, a.first_latency - 1);
            }
        }
        if by_request {
            return;
        }
        let in_arm = |arm: Arm| group.iter().any(|a| a.arm == arm);
        for arm in [Arm::Control, Arm::Candidate] {
            active[arm.at()] += u64::from(in_arm(arm));
        }

        let stratum = self.stratum;
        let Some((entry, is_new)) = self.store.get_or_insert(unit, stratum, first_arm) else { return };
        if is_new {
            self.distinct[first_arm.at()] += 1;
        }
        let enters = is_new || entry.stratum != stratum;
        if enters {
            entry.enter(stratum, first_arm);
            if !entry.erred() {
                self.error_units.at_risk(first_arm, 1);
            }
            if !entry.slow() {
                self.slow_units.at_risk(first_arm, 1);
            }
            self.storms.enter(unit, first_arm, entry.erred());
            self.crossover.at_risk(first_arm, 1);
            self.templates.at_risk(first_arm);
            let had = entry.conversions();
            for (at, conversion) in self.conversions.iter_mut().enumerate() {
                if had >> (at & 7) & 1 == 0 {
                    conversion.at_risk(unit, first_arm);
                }
            }
        }
        if !entry.exposed() && in_arm(Arm::Candidate) {
            entry.set_exposed();
            self.exposed += 1;
        }
        let restarts = self.restarts.mask();
        if restarts != 0 {
            let arm = entry.arm();
            let entered = entry.restarted(Restarted::Entered, restarts);
            let (erred, slow) = (entry.since(Restarted::Erred), entry.since(Restarted::Slow));
            self.restarts.of(entered & !erred).for_each(|restart| restart.error_units.at_risk(arm, 1));
            self.restarts.of(entered & !slow).for_each(|restart| restart.slow_units.at_risk(arm, 1));
        }
        if let (Some(above_p90), Some(above_p99)) = (self.latency.threshold(Level::P90), threshold)
            && entry.early() < EARLY_WINDOWS
            // An exposure before it is no request.
            && let Some(request) = group.iter().filter(|a| a.first_latency > 0).min_by_key(|a| order(a))
        {
            entry.add_early();
            for (sums, threshold) in self.early.iter_mut().zip([above_p90, above_p99]) {
                let above = i64::from(request.first_latency > threshold + 1);
                sums.add(request.arm, bucket, 1, above, i128::from(above));
            }
        }
        let arm = entry.arm();
        if errors[0] + errors[1] > 0 {
            if !entry.erred() {
                entry.set_erred();
                self.error_units.first(arm, 1);
            }
            let first = entry.restarted(Restarted::Erred, restarts);
            self.restarts.of(first).for_each(|restart| restart.error_units.first(arm, 1));
            self.storms.fail(unit, arm, errors[0] + errors[1]);
            self.growth.fail(u64::from(arm == Arm::Control));
        }
        match threshold {
            Some(threshold) if slowest > threshold + 1 => {
                if !entry.slow() {
                    entry.set_slow();
                    self.slow_units.first(arm, 1);
                }
                let first = entry.restarted(Restarted::Slow, restarts);
                self.restarts.of(first).for_each(|restart| restart.slow_units.first(arm, 1));
            }
            None if slowest > 0 => self.waiting_slow.push((unit, slowest)),
            _ => {}
        }
        if in_arm(arm.other()) && !entry.crossed() {
            entry.set_crossed();
            let block = self.cuts.blocks_since_cut();
            if block >= CROSSOVER_BLOCKS {
                match self.recent_crossover.back_mut() {
                    Some((last, counts)) if *last == block => counts[arm.at()] += 1,
                    _ => {
                        let mut counts = [0; 2];
                        counts[arm.at()] = 1;
                        self.recent_crossover.push_back((block, counts));
                    }
                }
            }
        }
        if !entry.requested_again() && requests[0] + requests[1] > 0 {
            if let [Activity { arm, second: NEVER, .. }] = group {
                note_request(entry, &mut self.rule, *arm);
                return;
            }
            let mut times: Vec<(u32, u64, Arm)> = Vec::new();
            for a in group.iter().filter(|a| a.requests > 0) {
                let (at, tie) = order(a);
                times.push((at, tie, a.arm));
                if a.second != NEVER {
                    times.push((a.second, tie, a.arm));
                }
            }
            times.sort_unstable();
            for (_, _, arm) in times {
                note_request(entry, &mut self.rule, arm);
                if entry.requested_again() {
                    break;
                }
            }
        }
    }

    /// The p99 threshold is known now: units that had passed it before count as slow in this stratum.
    fn release_waiting_slow(&mut self) {
        let Some(threshold) = self.latency.threshold(Level::P99) else { return };
        let stratum = self.stratum;
        for (unit, slowest) in std::mem::take(&mut self.waiting_slow) {
            if slowest <= threshold + 1 || self.store.get(unit).is_none() {
                continue;
            }
            if let Some((entry, _)) = self.store.get_or_insert(unit, stratum, Arm::Control)
                && !entry.slow()
            {
                entry.set_slow();
                // A unit of an earlier stratum is not among those at risk in this one.
                if entry.stratum == stratum {
                    let arm = entry.arm();
                    self.slow_units.first(arm, 1);
                }
            }
        }
    }

    fn count_routes(&mut self, input: &WindowInput<'_>) {
        for group in input.routes.chunk_by(|a, b| a.0 == b.0) {
            let Some((unit, _, _)) = group.first() else { continue };
            if let Some(arm) = self.arm_of(*unit) {
                self.routes.meet(*unit, arm, group.iter().filter_map(|(_, route, _)| *route));
                let classes = group.iter().fold(0, |classes, (_, _, more)| classes | more);
                let met = STATUS_CLASSES.iter().filter(|(bit, _)| classes & (1 << bit) != 0);
                self.statuses.meet(*unit, arm, met.map(|(_, name)| *name));
            }
        }
    }

    fn count_trace(&mut self, trace: &CompleteTrace) {
        let Some(arm) = trace.arm.or_else(|| self.arm_of(trace.unit)) else { return };
        let unit = if trace.unit == 0 { trace.hash } else { trace.unit };
        let log2 = (math::ln(trace.lines.max(1) as f64) / core::f64::consts::LN_2 * 65_536.0).round() as i64;
        self.lines.add(arm, event::bucket_of(unit) as usize, 1, log2, i128::from(log2 * log2));
        // The unit's arm in the stratum is the arm that its pairs count for.
        let arm = self.arm_of(trace.unit).unwrap_or(arm);
        self.called.meet(unit, arm, trace.services.iter().map(String::as_str));
    }

    /// Requests count one by one: so do those above the p99 threshold.
    fn count_slow_requests(&mut self, tables: [&LatencyTable; 2], threshold: u16) {
        for (arm, table) in [Arm::Control, Arm::Candidate].into_iter().zip(tables) {
            for (_, bin, count) in table.iter() {
                let above = if bin > threshold { count } else { 0 };
                self.slow_units.at_risk(arm, count);
                self.slow_units.first(arm, above);
                for restart in self.restarts.of(u8::MAX) {
                    restart.slow_units.at_risk(arm, count);
                    restart.slow_units.first(arm, above);
                }
            }
        }
    }

    fn decide_routing(&mut self) {
        if self.unit.is_once() || self.routing != Routing::Undecided {
            return;
        }
        let [control, candidate] = self.rule;
        let small = if candidate.0 <= control.0 { candidate } else { control };
        let first: u64 = control.0 + candidate.0;
        if first == 0 {
            return;
        }
        let share = small.0 as f64 / first as f64;
        let (routing, _) = unit_rule(small.1, small.2, share);
        if routing == Routing::Undecided {
            return;
        }
        self.routing = routing;
        if routing == Routing::PerRequest {
            self.cut();
        }
    }

    /// Crossovers far enough from the last cut, and not just before another, count.
    fn commit_crossover(&mut self, all: bool) {
        let now = self.cuts.blocks_since_cut();
        while let Some((block, [control, candidate])) = self.recent_crossover.front().copied() {
            if !all && block + CROSSOVER_BLOCKS > now {
                return;
            }
            self.recent_crossover.pop_front();
            self.crossover.first(Arm::Control, control);
            self.crossover.first(Arm::Candidate, candidate);
        }
    }
}
