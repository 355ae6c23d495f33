//! An archive of logs, judged deploy by deploy as it would have been judged while it was written.
//!
//! One pass through the same fold and engine as `compare`: the engine finds who is rolled out beside whom, and every look
//! that it takes is watched. Beside it stands what only an archive needs: who served when, so that a version that replaced
//! another is told of with its before and after (which is no verdict: everything else changed too), and which instances
//! came anew. What is told depends on the contents of windows alone, in the order in which they close.

mod cut_overs;
mod deploy;
mod restarts;
mod rollout;
mod served;

use std::collections::BTreeMap;

pub use cut_overs::CutOvers;
pub use deploy::{CutOver, Deploy, Judged, Outcome, RULES, Restart, Said, Side, Stop, What};

use crate::engine::comparison::Comparison;
use crate::engine::units::Arm;
use crate::engine::{Engine, Output};
use crate::event::{ServiceKey, name_at};
use crate::sketch::partial::{OTHER, WindowPartial};
use crate::time::{MINUTE, Micros, Timestamp};

use restarts::Instances;
use rollout::Rollout;
use served::{Counts, SIDE, SLOT, Served, Takeover};

/// Versions that served side by side for less were cut over: there was no time to judge.
pub const BESIDE_MIN: Micros = 10 * MINUTE;
/// A failure that was proved so long after one version was last seen was not proved side by side.
const BESIDE_UNTIL: Micros = 5 * MINUTE;
/// Services that are followed.
const SERVICES_MAX: usize = 256;

/// What a window brings of one service.
#[derive(Clone, Debug)]
struct OfWindow {
    service: ServiceKey,
    /// Counts by version.
    versions: Vec<(String, Counts)>,
    /// (version, instance).
    instances: Vec<(String, String)>,
}

/// What is followed of a service.
#[derive(Clone, Debug, Default)]
struct Service {
    served: Served,
    instances: Instances,
}

/// Watches an engine while it reads an archive.
#[derive(Clone, Debug, Default)]
pub struct Backtest {
    /// By start of a window that has not closed, from any stream.
    waiting: BTreeMap<i64, Vec<OfWindow>>,
    services: BTreeMap<ServiceKey, Service>,
    /// By (release, comparison).
    rollouts: BTreeMap<(usize, usize), Rollout>,
    /// Comparisons that the engine keeps no more.
    forgotten: BTreeMap<(usize, usize), Comparison>,
    /// First and last window with a request.
    span: Option<(Timestamp, Timestamp)>,
}

/// What an archive shows.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Found {
    /// Deploys in order of time.
    pub deploys: Vec<Deploy>,
    /// Restarts in order of time.
    pub restarts: Vec<Restart>,
    /// Time from the first window with a request to the end of the last.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Services with requests.
    pub services: Vec<String>,
    /// Versions that were large enough and were not compared because a bound was met, by service.
    pub not_judged: Vec<(String, Vec<String>)>,
    /// Other bounds that were met, in words.
    pub bounds: Vec<String>,
}

impl Backtest {
    /// A stream has passed a window; the engine is told next.
    pub fn window(&mut self, engine: &Engine, partial: &WindowPartial) {
        self.watch(engine, partial, true);
    }

    /// The same; `instances`: those are followed too.
    fn watch(&mut self, engine: &Engine, partial: &WindowPartial, instances: bool) {
        self.take_closed(engine);
        let has_room = self.services.len() < SERVICES_MAX;
        let is_followed = |service: &ServiceKey| has_room || self.services.contains_key(service);
        let names = &partial.names;
        let mut found: BTreeMap<&ServiceKey, OfWindow> = BTreeMap::new();
        fn of<'p, 'f>(found: &'f mut BTreeMap<&'p ServiceKey, OfWindow>, service: &'p ServiceKey) -> &'f mut OfWindow {
            found.entry(service).or_insert_with(|| OfWindow {
                service: service.clone(),
                versions: Vec::new(),
                instances: Vec::new(),
            })
        }
        for (service, arm, cell) in partial.cells.iter().filter(|(_, _, cell)| cell.requests > 0) {
            let arm = name_at(&names.arms, *arm).filter(|arm| *arm != OTHER);
            if let (Some(service), Some(arm)) = (names.services.get(usize::from(*service)), arm)
                && is_followed(service)
            {
                of(&mut found, service).versions.push((arm.clone(), Counts::of(cell)));
            }
        }
        for row in partial.instances.as_slice().iter().filter(|row| instances && row.lines > 0) {
            let arm = name_at(&names.arms, row.arm);
            let instance = name_at(&names.instances, row.instance).filter(|instance| *instance != OTHER);
            if let (Some(service), Some(arm), Some(instance)) =
                (names.services.get(usize::from(row.service)), arm, instance)
                && is_followed(service)
            {
                of(&mut found, service).instances.push((arm.clone(), instance.clone()));
            }
        }
        if !found.is_empty() {
            let start = engine.settings().windowing.start_of(partial.window).0;
            self.waiting.entry(start).or_default().extend(found.into_values());
        }
    }

    /// The engine has said something.
    pub fn outputs(&mut self, engine: &Engine, outputs: &[Output]) {
        self.take_closed(engine);
        for output in outputs {
            let place = match output {
                Output::Entry(_) => continue,
                Output::Forgotten { release, number, comparison } => {
                    self.forgotten.insert((*release, *number), Comparison::clone(comparison));
                    continue;
                }
                Output::Looked { release, comparison } => (*release, *comparison),
            };
            let Some(comparison) = engine.comparison(place.0, place.1) else { continue };
            let services = &self.services;
            let rollout = self.rollouts.entry(place).or_insert_with(|| {
                let entry = engine.releases().nth(place.0).and_then(|(services, _)| services.first());
                let served = entry.and_then(|entry| services.get(entry));
                Rollout::new(served.map(|service| service.served.flagger()).unwrap_or_default())
            });
            rollout.look(comparison);
        }
    }

    /// What was found, once the engine has read everything.
    pub fn finish(mut self, engine: &Engine) -> Found {
        self.take_all();
        let length = engine.settings().windowing.window;
        let span = self.span.map(|(first, last)| (first, Timestamp(last.0.saturating_add(length))));
        let end = span.map_or(Timestamp(0), |(_, end)| end);
        let mut found = Found { span, ..Found::default() };
        for (release, (services, comparisons)) in engine.releases().enumerate() {
            let Some(entry) = services.first() else { continue };
            let name = entry.to_string();
            let of_service = self.services.remove(entry).unwrap_or_default();
            let mut takeovers: Vec<Option<Takeover>> = of_service.served.finish().into_iter().map(Some).collect();
            found.restarts.extend(of_service.instances.finish(&name, end));
            let forgotten = self.forgotten.range((release, 0)..(release + 1, 0)).map(|(place, of)| (place.1, of));
            for (at, comparison) in forgotten.chain(comparisons.numbered()) {
                let Some(rollout) = self.rollouts.remove(&(release, at)) else { continue };
                let what = tell(rollout, comparison, &mut takeovers);
                found.deploys.push(Deploy {
                    service: name.clone(),
                    from: comparison.control.clone(),
                    to: comparison.candidate.clone(),
                    at: comparison.started_at,
                    what,
                });
            }
            let not_judged = engine.arms_not_judged(release);
            // Who took over without ever being compared; where that is for want of room, nobody knows how it came.
            for takeover in takeovers.into_iter().flatten().filter(|takeover| !not_judged.contains(&takeover.to)) {
                let what = What::CutOver(cut_over(Some(&takeover)));
                let Takeover { from, to, at, .. } = takeover;
                found.deploys.push(Deploy { service: name.clone(), from, to, at, what });
            }
            if !not_judged.is_empty() {
                found.not_judged.push((name.clone(), not_judged));
            }
            found.bounds.extend(engine.bounds_met(release).into_iter().map(|bound| format!("{name}: {bound}")));
            found.services.push(name);
        }
        found.deploys.sort_by(|a, b| (a.at, &a.service, &a.to).cmp(&(b.at, &b.service, &b.to)));
        found.restarts.sort_by(|a, b| (a.at, &a.service).cmp(&(b.at, &b.service)));
        found
    }

    /// Every window, in order; those that have not closed may still grow.
    fn take_all(&mut self) {
        for (start, windows) in std::mem::take(&mut self.waiting) {
            self.take(Timestamp(start), windows);
        }
    }

    /// Windows that have closed, in order.
    fn take_closed(&mut self, engine: &Engine) {
        let Some(closed) = engine.closed_until() else { return };
        while let Some((start, windows)) = self.waiting.pop_first() {
            if start >= closed.0 {
                self.waiting.insert(start, windows);
                return;
            }
            self.take(Timestamp(start), windows);
        }
    }

    fn take(&mut self, start: Timestamp, windows: Vec<OfWindow>) {
        for OfWindow { service, versions, instances } in windows {
            if !self.services.contains_key(&service) && self.services.len() >= SERVICES_MAX {
                continue;
            }
            if !versions.is_empty() {
                self.span = Some(self.span.map_or((start, start), |(first, _)| (first, start)));
            }
            let known = self.services.entry(service).or_default();
            versions.iter().for_each(|(version, counts)| known.served.add(start, version, counts));
            instances.iter().for_each(|(version, instance)| known.instances.add(start, version, instance));
        }
    }
}

/// What is told of a comparison; changes of versions that belong to it are taken out.
fn tell(rollout: Rollout, comparison: &Comparison, takeovers: &mut [Option<Takeover>]) -> What {
    let beside = Rollout::beside(comparison);
    let (started, ended) = (comparison.started_at.0, comparison.end.map_or(i64::MAX, |end| end.at.0));
    let proved_beside =
        comparison.failure.as_ref().is_some_and(|failure| failure.at.0 <= started + beside + BESIDE_UNTIL);
    let within = |takeover: &Takeover| {
        let two = [&comparison.control, &comparison.candidate];
        let ours = two.contains(&&takeover.from) && two.contains(&&takeover.to);
        ours && takeover.at.0 >= started - SLOT && takeover.at.0 <= ended
    };
    let mut ours: Vec<Takeover> =
        takeovers.iter_mut().filter(|of| of.as_ref().is_some_and(within)).filter_map(Option::take).collect();
    ours.retain(|takeover| takeover.from == comparison.control);
    let replaced = comparison.end.is_some_and(|end| end.reason.gone().contains(&Arm::Control));
    if beside < BESIDE_MIN && !proved_beside && (replaced || !ours.is_empty()) {
        return What::CutOver(cut_over(ours.first()));
    }
    What::Judged(rollout.judged(comparison))
}

fn cut_over(takeover: Option<&Takeover>) -> CutOver {
    let [before, after] = takeover.map_or([None, None], Takeover::sides);
    CutOver { before, after, span: SIDE }
}
