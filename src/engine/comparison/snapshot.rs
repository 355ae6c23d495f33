//! A comparison as bytes: the digest of its counters, and the whole state for a snapshot.

use crate::compare::arrivals::{Block, ShareCuts, ShareCutsParts};
use crate::compare::unit_rule::Routing;
use crate::compare::verdict::Cell;
use crate::engine::ages::Ages;
use crate::engine::bucket_sums::BucketSums;
use crate::engine::calls::Calls;
use crate::engine::comparison::{Between, Comparison, ControlFrom, Evidence, Failure, ReadSoFar};
use crate::engine::conversions::Conversion;
use crate::engine::ending::{EndReason, Presence, RolloutEnd};
use crate::engine::first_events::FirstEvents;
use crate::engine::growth::Growth;
use crate::engine::instances::Instances;
use crate::engine::latency_tests::{LatencyTests, Scale};
use crate::engine::limits::{Limit, Watch};
use crate::engine::look::Look;
use crate::engine::metrics::MetricTest;
use crate::engine::pair_test::PairTest;
use crate::engine::restarts::Restarts;
use crate::engine::sampling::Sampling;
use crate::engine::segments::{SegmentTest, Segments};
use crate::engine::stalls::Missed;
use crate::engine::steps::SinceCut;
use crate::engine::storms::Storms;
use crate::engine::templates::Templates;
use crate::engine::totals::Totals;
use crate::engine::unanswered::Unanswered;
use crate::engine::units::UnitStore;
use crate::engine::user_effects::Effects;
use crate::pipeline::plan::UnitKind;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::time::Timestamp;

impl Comparison {
    /// Hash of the counters that a verdict rests on, but for the pair tests, whose evidence stands beside it.
    pub fn digest(&self) -> u64 {
        let mut w = Writer::default();
        self.write_counters(&mut w);
        if let Some(watch) = &self.limits {
            watch.write(&mut w);
        }
        self.conversions.iter().for_each(|conversion| conversion.write(&mut w));
        self.metrics.iter().for_each(|metric| metric.write(&mut w));
        self.segments.write_counters(&mut w);
        xxhash_rust::xxh3::xxh3_64(&w.bytes)
    }

    fn write_counters(&self, w: &mut Writer) {
        w.uint(self.looks);
        w.int(self.window);
        w.uint(u64::from(self.stratum));
        self.distinct.iter().for_each(|count| w.uint(*count));
        w.uint(self.exposed);
        self.error_units.write(w);
        self.error_volume.write(w);
        self.slow_units.write(w);
        self.latency.write(w);
        self.lines.write(w);
        self.crossover.write(w);
        self.early.iter().for_each(|sums| sums.write(w));
        self.since_cut.write(w);
        self.first_window.iter().for_each(|units| w.uint(*units));
        self.stratum_from.iter().for_each(|requests| w.uint(*requests));
        w.flag(self.activity_differed);
        self.retried.write(w);
        self.warnings.write(w);
        self.other_lines.write(w);
        self.gaps.iter().for_each(|sums| sums.write(w));
        self.calls.write(w);
        self.sampling.write(w);
        self.storms.write_counters(w);
        self.unanswered.write_counters(w);
        self.growth.write(w);
    }

    /// Writes the whole state.
    pub fn write(&self, w: &mut Writer) {
        w.text(&self.control);
        w.text(&self.candidate);
        w.byte(self.control_from as u8);
        w.text(self.unit.name());
        w.float(self.log_fail);
        w.int(self.started);
        w.int(self.started_at.0);
        w.int(self.ended_at.0);
        w.byte(routing_code(self.routing));
        w.flag(self.failure.is_some());
        if let Some(failure) = &self.failure {
            w.int(failure.window);
            w.int(failure.at.0);
            w.flag(failure.automatic_at.is_some());
            w.int(failure.automatic_at.map_or(0, |at| at.0));
            w.length(failure.cells.len());
            failure.cells.iter().for_each(|cell| w.byte(*cell as u8));
            w.length(failure.conversions.len());
            failure.conversions.iter().for_each(|at| w.uint(*at as u64));
            w.length(failure.metrics.len());
            failure.metrics.iter().for_each(|at| w.uint(*at as u64));
            w.length(failure.limits.len());
            failure.limits.iter().for_each(|limit| w.byte(*limit as u8));
            w.length(failure.templates.len());
            failure.templates.iter().for_each(|id| w.fixed(*id));
            w.length(failure.segments.len());
            for (cell, test) in &failure.segments {
                w.uint(*cell as u64);
                w.byte(*test as u8);
            }
        }
        w.flag(self.ended);
        w.flag(self.is_gist);
        w.flag(self.regressed_while_invalid.is_some());
        w.int(self.regressed_while_invalid.unwrap_or(0));
        self.store.write(w);
        let parts = self.cuts.to_parts();
        w.uint(parts.open.canary);
        w.uint(parts.open.active);
        w.uint(u64::from(parts.num_blocks));
        for list in [&parts.first, &parts.recent] {
            w.length(list.len());
            for block in list {
                w.uint(block.canary);
                w.uint(block.active);
            }
        }
        w.uint(u64::from(self.number_of_cuts));
        for (first, second, other) in self.rule {
            w.uint(first);
            w.uint(second);
            w.uint(other);
        }
        w.length(self.recent_crossover.len());
        for (block, counts) in &self.recent_crossover {
            w.uint(u64::from(*block));
            counts.iter().for_each(|count| w.uint(*count));
        }
        w.length(self.waiting_slow.len());
        for (unit, slowest) in &self.waiting_slow {
            w.fixed(*unit);
            w.uint(u64::from(*slowest));
        }
        self.called.write(w);
        self.routes.write(w);
        self.statuses.write(w);
        self.storms.write_units(w);
        self.unanswered.write_units(w);
        for until in self.active_until {
            w.flag(until.is_some());
            w.int(until.map_or(0, |until| until.0));
        }
        let ReadSoFar { records, damaged, ahead, events, late } = self.read;
        [records, damaged, ahead, events, late].into_iter().chain(self.damaged).for_each(|count| w.uint(count));
        self.missed.write(w);
        w.uint(self.unassigned);
        self.recovered.iter().for_each(|count| w.uint(*count));
        w.length(self.totals.len());
        self.totals.iter().flatten().for_each(|totals| totals.write(w));
        self.instances.write(w);
        for list in &self.evidence {
            w.length(list.len());
            for line in list {
                w.byte(line.rank.0);
                w.fixed(line.rank.1);
                w.flag(line.slow);
                w.text(&line.stream);
                w.uint(line.offset);
                w.int(line.time.0);
                w.text(&line.route);
                w.uint(u64::from(line.latency));
                w.byte(line.status_class);
            }
        }
        w.length(self.conversions.len());
        for conversion in &self.conversions {
            conversion.write(w);
            conversion.write_units(w);
        }
        w.length(self.metrics.len());
        self.metrics.iter().for_each(|metric| metric.write(w));
        w.flag(self.limits.is_some());
        if let Some(watch) = &self.limits {
            watch.write(w);
        }
        self.look.write(w);
        self.restarts.write(w);
        w.flag(self.latency.effects().is_some());
        if let Some(effects) = self.latency.effects() {
            effects.write(w);
        }
        w.flag(self.end.is_some());
        if let Some(RolloutEnd { at, reason }) = self.end {
            w.int(at.0);
            w.byte(reason as u8);
        }
        self.presence.write(w);
        w.flag(self.heard.is_some());
        self.heard.iter().flat_map(|heard| heard.iter()).for_each(|look| look.write(w));
        self.write_counters(w);
        self.templates.write(w);
        self.segments.write(w);
        self.ages.write(w);
    }

    /// Reads what [`Comparison::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Comparison, Damaged> {
        let (control, candidate) = (r.text()?, r.text()?);
        let control_from = ControlFrom::ALL.get(usize::from(r.byte()?)).copied().ok_or(Damaged("unknown origin"))?;
        let unit = UnitKind::from_name(&r.text()?).ok_or(Damaged("unknown unit"))?;
        let log_fail = r.float()?;
        let started = r.int()?;
        let started_at = Timestamp(r.int()?);
        let between = Between { control: &control, candidate: &candidate, control_from };
        let mut c = Comparison::new(between, unit, log_fail, 0, started, started_at);
        c.ended_at = Timestamp(r.int()?);
        c.routing = routing_of_code(r.byte()?)?;
        if r.flag()? {
            let mut failure = Failure {
                window: r.int()?,
                at: Timestamp(r.int()?),
                automatic_at: {
                    let (known, at) = (r.flag()?, r.int()?);
                    known.then_some(Timestamp(at))
                },
                cells: Vec::new(),
                conversions: Vec::new(),
                metrics: Vec::new(),
                limits: Vec::new(),
                templates: Vec::new(),
                segments: Vec::new(),
            };
            for _ in 0..r.length()? {
                let cell = Cell::ALL.get(usize::from(r.byte()?)).copied();
                failure.cells.push(cell.ok_or(Damaged("unknown cell"))?);
            }
            for _ in 0..r.length()? {
                failure.conversions.push(usize::from(r.uint16()?));
            }
            for _ in 0..r.length()? {
                failure.metrics.push(usize::from(r.uint16()?));
            }
            for _ in 0..r.length()? {
                let limit = Limit::ALL.get(usize::from(r.byte()?)).copied();
                failure.limits.push(limit.ok_or(Damaged("unknown limit"))?);
            }
            for _ in 0..r.length()? {
                failure.templates.push(r.fixed()?);
            }
            for _ in 0..r.length()? {
                let cell = usize::from(r.uint16()?);
                let test = SegmentTest::ALL.get(usize::from(r.byte()?)).copied();
                failure.segments.push((cell, test.ok_or(Damaged("unknown test of a segment"))?));
            }
            c.failure = Some(failure);
        }
        c.ended = r.flag()?;
        c.is_gist = r.flag()?;
        let regressed = r.flag()?;
        let at = r.int()?;
        c.regressed_while_invalid = regressed.then_some(at);
        c.store = UnitStore::read(r)?;
        let block = |r: &mut Reader<'_>| Ok::<Block, Damaged>(Block { canary: r.uint()?, active: r.uint()? });
        let open = block(r)?;
        let num_blocks = r.uint32()?;
        let mut lists = [Vec::new(), Vec::new()];
        for list in &mut lists {
            for _ in 0..r.length()? {
                list.push(block(r)?);
            }
        }
        let [first, recent] = lists;
        let parts = ShareCutsParts { open, num_blocks, first, recent };
        c.cuts = ShareCuts::from_parts(parts).ok_or(Damaged("impossible blocks"))?;
        c.number_of_cuts = r.uint32()?;
        for (first, second, other) in &mut c.rule {
            *first = r.uint()?;
            *second = r.uint()?;
            *other = r.uint()?;
        }
        for _ in 0..r.length()? {
            let at = r.uint32()?;
            c.recent_crossover.push_back((at, [r.uint()?, r.uint()?]));
        }
        for _ in 0..r.length()? {
            c.waiting_slow.push((r.fixed()?, r.uint16()?));
        }
        c.called = PairTest::read(r)?;
        c.routes = PairTest::read(r)?;
        c.statuses = PairTest::read(r)?;
        c.storms = Storms::read_units(r)?;
        c.unanswered = Unanswered::read_units(r)?;
        for until in &mut c.active_until {
            let (known, at) = (r.flag()?, r.int()?);
            *until = known.then_some(Timestamp(at));
        }
        c.read =
            ReadSoFar { records: r.uint()?, damaged: r.uint()?, ahead: r.uint()?, events: r.uint()?, late: r.uint()? };
        c.damaged = [r.uint()?, r.uint()?];
        c.missed = Missed::read(r)?;
        c.unassigned = r.uint()?;
        c.recovered = [r.uint()?, r.uint()?];
        for _ in 0..r.length()? {
            c.totals.push([Totals::read(r)?, Totals::read(r)?]);
        }
        c.totals.shrink_to_fit();
        c.instances = Instances::read(r)?;
        for list in &mut c.evidence {
            for _ in 0..r.length()? {
                list.push(Evidence {
                    rank: (r.byte()?, r.fixed()?),
                    slow: r.flag()?,
                    stream: r.text()?,
                    offset: r.uint()?,
                    time: Timestamp(r.int()?),
                    route: r.text()?,
                    latency: r.uint16()?,
                    status_class: r.byte()?,
                });
            }
        }
        for _ in 0..r.length()? {
            let mut conversion = Conversion::read(r)?;
            conversion.read_units(r)?;
            c.conversions.push(conversion);
        }
        for _ in 0..r.length()? {
            c.metrics.push(MetricTest::read(r)?);
        }
        c.limits = if r.flag()? { Some(Watch::read(r)?) } else { None };
        c.look = Look::read(r)?;
        c.restarts = Restarts::read(r)?;
        let effects = if r.flag()? { Some(Effects::read(r)?) } else { None };
        if r.flag()? {
            let at = Timestamp(r.int()?);
            let reason = EndReason::ALL.get(usize::from(r.byte()?)).copied().ok_or(Damaged("unknown end"))?;
            c.end = Some(RolloutEnd { at, reason });
        }
        c.presence = Presence::read(r)?;
        c.heard = if r.flag()? { Some(Box::new([Look::read(r)?, Look::read(r)?])) } else { None };
        c.looks = r.uint()?;
        c.window = r.int()?;
        c.stratum = r.uint16()?;
        c.distinct = [r.uint()?, r.uint()?];
        c.exposed = r.uint()?;
        c.error_units = FirstEvents::read(r)?;
        c.error_volume = BucketSums::read(r)?;
        c.slow_units = FirstEvents::read(r)?;
        c.latency = LatencyTests::read(r, effects, Scale::Log2)?;
        c.lines = BucketSums::read(r)?;
        c.crossover = FirstEvents::read(r)?;
        c.early = [BucketSums::read(r)?, BucketSums::read(r)?];
        c.since_cut = SinceCut::read(r)?;
        c.first_window = [r.uint()?, r.uint()?];
        c.stratum_from = [r.uint()?, r.uint()?];
        c.activity_differed = r.flag()?;
        c.retried = BucketSums::read(r)?;
        c.warnings = BucketSums::read(r)?;
        c.other_lines = BucketSums::read(r)?;
        for sums in &mut c.gaps {
            *sums = BucketSums::read(r)?;
        }
        c.calls = Calls::read(r)?;
        c.sampling = Sampling::read(r)?;
        c.storms.read_counters(r)?;
        c.unanswered.read_counters(r)?;
        c.growth = Growth::read(r)?;
        c.templates = Templates::read(r)?;
        c.segments = Segments::read(r)?;
        c.ages = Ages::read(r)?;
        Ok(c)
    }
}

fn routing_code(routing: Routing) -> u8 {
    match routing {
        Routing::Undecided => 0,
        Routing::Sticky => 1,
        Routing::PerRequest => 2,
        Routing::Mixed => 3,
    }
}

fn routing_of_code(code: u8) -> Result<Routing, Damaged> {
    match code {
        0 => Ok(Routing::Undecided),
        1 => Ok(Routing::Sticky),
        2 => Ok(Routing::PerRequest),
        3 => Ok(Routing::Mixed),
        _ => Err(Damaged("unknown routing")),
    }
}
