//! Templates of a comparison: which units meet which for the first time, and what that says.
//!
//! For each template a share test on first pairs (unit, template), statistics design 4.1 and 4.4. At risk are all distinct
//! units of a stratum, the same for every template; which of them meet one is chosen without looking at arms if the release
//! changes nothing. Only templates of level error or worse may fail a rollout: [`ERROR_SLOTS`] of them share their part of the
//! budget. Those below are behaviour. A text that is written at both levels is two templates here.
//!
//! Templates enter in order of first appearance over both arms: by window, then by id. Once all slots of level error or worse are
//! taken, of those that say little the one goes that was not written for longest, and its slot is used again: a log in which each line
//! is its own text has room for one that comes again. What the slot had become worth is where its next begins: a product of
//! e-values of which each begins when the other ends is one (optional continuation), whatever decides when that is. Lines of
//! units without an arm, and of no unit, are shown and not tested.
//!
//! An error that reads otherwise in the candidate (reworded, or with the arm's own name in it) is new there, and what it was is
//! gone, and nobody is worse off. So a template that is new is weighed together with one that is gone, its [`twin`]: what fails a
//! rollout is the smaller of two e-values, which is one. That another line is written is a change of behaviour all the same.

mod input;
mod list;
mod snapshot;
mod twin;

use std::collections::BTreeMap;

use hashbrown::HashSet;

use crate::compare::{budget, share};
use crate::engine::first_events::FirstEvents;
use crate::engine::memory;
use crate::engine::pair_test::TOLERANCE;
use crate::engine::units::Arm;
use crate::event;
use crate::math;
use crate::sketch::partial::{is_counted, pair_hash};
use crate::sketch::templates::CLASSES;
use crate::time::Timestamp;

pub use list::{Change, ERROR_FAMILY, FAMILY, Listed};

/// Templates of level error or worse that are tested: each has the same part of the budget.
pub const ERROR_SLOTS: usize = budget::TEMPLATE_SLOTS as usize;
/// Templates below level error that are tested. With those above they are what lists are made of.
pub const OTHER_SLOTS: usize = 4_096 - ERROR_SLOTS;
/// Pairs of a class past which only every second unit is followed; past half as many again every fourth, and so on.
const PAIRS_MAX: usize = 65_536;
/// Units that met a template, and evidence (ln e), up to which its slot may go to another.
const RARE: u64 = 2;
const TELLING: f64 = std::f64::consts::LN_2;
/// Places of the earliest lines that are kept of a template and arm.
const PLACES_MAX: usize = 3;
/// Templates that a failure names.
const NAMED_MAX: usize = 8;

/// Whose lines they are: (control, candidate), or nobody knows.
pub const SIDES: usize = 3;

type Set = HashSet<u64, foldhash::fast::FixedState>;

/// Where a line stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Event time.
    pub time: Timestamp,
    /// Which of several at that time comes first: a hash.
    pub tie: u64,
    /// Offset in its stream.
    pub offset: u64,
    /// Stream.
    pub stream: String,
}

/// What a window says of a template: lines of one side.
#[derive(Clone, Debug)]
pub struct TemplateLines<'a> {
    /// Id.
    pub id: u64,
    /// Level error or worse.
    pub severe: bool,
    /// Whose lines; `None` where they name no arm that is known.
    pub arm: Option<Arm>,
    /// Lines.
    pub lines: u64,
    /// Text, where it was kept.
    pub text: Option<&'a str>,
    /// The earliest of them, where it was kept: time, which of several at that time, offset, stream.
    pub place: Option<(Timestamp, u64, u64, &'a str)>,
}

/// A unit that met a template in a window.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TemplatePair {
    /// Hash of the unit.
    pub unit: u64,
    /// Id of the template.
    pub id: u64,
    /// Lines that name no arm: they have the arm of the unit.
    pub armless: u64,
}

/// What a window brings.
#[derive(Clone, Debug, Default)]
pub struct TemplateInput<'a> {
    /// Lines.
    pub lines: Vec<TemplateLines<'a>>,
    /// Pairs below level error, and of level error or worse.
    pub pairs: [Vec<TemplatePair>; CLASSES],
}

/// State of one template.
#[derive(Clone, PartialEq, Debug)]
pub struct Template {
    /// Text with values masked; empty where it was not kept.
    pub text: String,
    /// Start of the window in which it was first seen.
    pub first_seen: Timestamp,
    /// Lines of (control, candidate, nobody that is known).
    pub lines: [u64; SIDES],
    /// Earliest lines of each side.
    pub places: [Vec<Place>; SIDES],
    /// Units of (candidate, both) that met it first in a stratum, as far as there were any.
    first: Vec<[u64; 2]>,
    /// ln e at the last look at which there were new pairs: against "not more often" where the level is error or worse, else
    /// against "about as often".
    log_e: f64,
    /// What it was weighed together with at that look.
    twin: Option<u64>,
    /// ln e of its own, where that is more than with its twin.
    alone: Option<f64>,
    dirty: bool,
    /// Start of the window in which it was last seen.
    last_seen: Timestamp,
    /// ln of what the slot was worth when it came.
    log_start: f64,
}

impl Template {
    fn new(text: &str, first_seen: Timestamp) -> Template {
        Template {
            text: text.to_owned(),
            first_seen,
            lines: [0; SIDES],
            places: Default::default(),
            first: Vec::new(),
            log_e: 0.0,
            twin: None,
            alone: None,
            dirty: false,
            last_seen: first_seen,
            log_start: 0.0,
        }
    }

    /// What the slot is worth, as ln; `is_expected`: what it says does not count.
    fn worth(&self, is_expected: bool) -> f64 {
        (self.log_start + if is_expected { 0.0 } else { self.log_e }).min(budget::LOG_E_MAX)
    }

    /// Units of (control, candidate) that met it.
    pub fn units(&self) -> [u64; 2] {
        self.first.iter().fold([0; 2], |[control, candidate], [in_candidate, all]| {
            [control + (all - in_candidate), candidate + in_candidate]
        })
    }

    /// ln e of the test whose evidence decides: see [`Templates::look`].
    pub fn log_e(&self) -> f64 {
        self.log_e
    }

    /// Template that the control has in its place, when that was weighed with it.
    pub fn twin(&self) -> Option<u64> {
        self.twin
    }

    /// Strata in which units met it.
    fn strata(&self, at_risk: &FirstEvents) -> Vec<share::Stratum> {
        let of = |(stratum, [in_candidate, all]): (&share::Stratum, &[u64; 2])| share::Stratum {
            canary_units: stratum.canary_units,
            units: stratum.units,
            canary_first: *in_candidate,
            first: *all,
        };
        at_risk.strata().iter().zip(&self.first).filter(|(_, [_, all])| *all > 0).map(of).collect()
    }
}

/// Keeps a place if it is among the earliest.
fn keep_place(places: &mut Vec<Place>, (time, tie, offset, stream): (Timestamp, u64, u64, &str)) {
    let before =
        |known: &Place| (known.time, known.tie, known.offset, known.stream.as_str()) < (time, tie, offset, stream);
    let at = places.partition_point(before);
    if at < PLACES_MAX {
        places.insert(at, Place { time, tie, offset, stream: stream.to_owned() });
        places.truncate(PLACES_MAX);
    }
}

/// Templates of one class of level.
#[derive(Clone, PartialEq, Debug)]
struct Class {
    slots: BTreeMap<u64, Template>,
    /// Pairs that were seen.
    pairs: Set,
    /// Units whose keyed hash is above this meet nothing new any more.
    range: u64,
    /// Lines of (control, candidate, nobody that is known) whose template came when all slots were taken, or was past the
    /// bound of a window.
    past_bound: [u64; SIDES],
    /// Slots that were used again.
    reused: u64,
}

impl Default for Class {
    fn default() -> Self {
        Class { slots: BTreeMap::new(), pairs: Set::default(), range: u64::MAX, past_bound: [0; SIDES], reused: 0 }
    }
}

impl Class {
    /// Templates whose slots may be used again in a window that starts at `now`, the one that is longest quiet last; `wanted`:
    /// new ones of the window.
    fn quiet(&self, now: Timestamp, wanted: usize) -> Vec<u64> {
        if self.slots.len() + wanted <= ERROR_SLOTS {
            return Vec::new();
        }
        let says_little = |of: &Template| of.units().iter().sum::<u64>() <= RARE || of.log_e < TELLING;
        let is_quiet = |of: &Template| of.last_seen < now && !of.dirty && says_little(of);
        let mut list: Vec<(Timestamp, u64)> =
            self.slots.iter().filter(|(_, of)| is_quiet(of)).map(|(id, of)| (of.last_seen, *id)).collect();
        list.sort_unstable_by(|a, b| b.cmp(a));
        list.into_iter().map(|(_, id)| id).collect()
    }

    /// A template goes: its lines are no longer tested. Returns ln of what its slot is worth.
    fn end(&mut self, id: u64) -> f64 {
        let Some(old) = self.slots.remove(&id) else { return 0.0 };
        self.reused += 1;
        self.past_bound.iter_mut().zip(old.lines).for_each(|(all, lines)| *all += lines);
        old.log_start + old.log_e
    }
}

/// What a look says of templates.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct TemplatesLook {
    /// ln of the mean e over all slots of level error or worse; `None` before the first template of such a level.
    pub log_errors: Option<f64>,
    /// ln of the mean e of templates below error against "about as often".
    pub log_changed: f64,
    /// The same, where those that were expected count with e = 1.
    pub log_unexpected: f64,
}

/// State of all templates of a comparison.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Templates {
    /// Distinct units of each stratum.
    at_risk: FirstEvents,
    classes: [Class; CLASSES],
    /// Units come once: what is remembered of them may be forgotten.
    once: bool,
    /// Memory was short: nothing more is tested, lines are still counted.
    stopped: bool,
    /// Lines of units without an arm in the stratum.
    unassigned: u64,
    /// The latest look, while no pair has come since.
    look: TemplatesLook,
    changed_since: bool,
}

/// An error line that is new in the candidate, and one that is gone there.
#[derive(Clone, Copy, Debug)]
pub struct Reworded<'t> {
    /// The new one.
    pub now: &'t Template,
    /// What is gone.
    pub before: &'t Template,
    /// There is evidence that more units meet the new one than met the other: it may be no replacement.
    pub is_more: bool,
}

impl Templates {
    /// Nothing seen. `once`: every unit comes once (traces, requests).
    pub fn new(once: bool) -> Templates {
        Templates { once, ..Templates::default() }
    }

    /// A unit is active in the stratum for the first time.
    #[inline]
    pub fn at_risk(&mut self, arm: Arm) {
        if !self.stopped {
            self.at_risk.at_risk(arm, 1);
        }
    }

    /// Takes the lines of a window that starts at `start`. Templates that come new enter by id.
    pub fn take_lines(&mut self, start: Timestamp, input: &[TemplateLines<'_>]) {
        let mut new: Vec<(usize, u64, &str)> = input
            .iter()
            .filter(|lines| is_counted(lines.id))
            .map(|lines| (usize::from(lines.severe), lines.id, lines.text.unwrap_or_default()))
            .filter(|(class, id, _)| !self.classes[*class].slots.contains_key(id))
            .collect();
        new.sort_unstable();
        new.dedup();
        let of_errors = new.iter().filter(|(class, ..)| *class == 1).count();
        let mut quiet = self.classes[1].quiet(start, of_errors);
        for (class, id, text) in new {
            let of_class = &mut self.classes[class];
            let template = Template::new(text, start);
            if of_class.slots.len() < [OTHER_SLOTS, ERROR_SLOTS][class] {
                of_class.slots.insert(id, template);
            } else if class == 1
                && let Some(old) = quiet.pop()
            {
                let log_start = of_class.end(old);
                of_class.slots.insert(id, Template { log_start, ..template });
            }
        }
        for lines in input {
            let class = &mut self.classes[usize::from(lines.severe)];
            let side = lines.arm.map_or(SIDES - 1, Arm::at);
            let Some(template) = class.slots.get_mut(&lines.id) else {
                class.past_bound[side] += lines.lines;
                continue;
            };
            template.lines[side] += lines.lines;
            template.last_seen = template.last_seen.max(start);
            if template.text.is_empty() {
                template.text = lines.text.unwrap_or_default().to_owned();
            }
            if let Some(place) = lines.place {
                keep_place(&mut template.places[side], place);
            }
        }
    }

    /// A unit that is at risk under an arm in the current stratum, or of which no arm is known, met a template in a window.
    pub fn meet(&mut self, class: usize, pair: &TemplatePair, arm: Option<Arm>) {
        let Some(of_class) = self.classes.get_mut(class) else { return };
        let Some(template) = of_class.slots.get_mut(&pair.id) else { return };
        // Lines that name no arm were counted as nobody's.
        let armless = pair.armless.min(template.lines[SIDES - 1]);
        let Some(arm) = arm else {
            self.unassigned += 1;
            return;
        };
        template.lines[SIDES - 1] -= armless;
        template.lines[arm.at()] += armless;
        if self.stopped
            || pair_hash(pair.unit) > of_class.range
            || !of_class.pairs.insert(event::mix(pair.unit, pair.id))
        {
            return;
        }
        let stratum = self.at_risk.strata().len().saturating_sub(1);
        if template.first.len() <= stratum {
            template.first.resize(stratum + 1, [0; 2]);
        }
        if let Some([in_candidate, all]) = template.first.get_mut(stratum) {
            *all += 1;
            *in_candidate += u64::from(arm == Arm::Candidate);
        }
        template.dirty = true;
        self.changed_since = true;
    }

    /// Called at the close of a window.
    pub fn keep_bound(&mut self) {
        for class in &mut self.classes {
            let room = PAIRS_MAX + PAIRS_MAX / 2 * class.range.leading_zeros() as usize;
            if class.pairs.len() > room {
                // Units that come once are over; of others those that are followed must stay known.
                if self.once {
                    class.pairs.clear();
                } else {
                    class.range >>= 1;
                }
            }
        }
    }

    /// A new stratum begins.
    pub fn cut(&mut self) {
        let Some((kept, merged)) = self.at_risk.cut() else { return };
        for template in self.classes.iter_mut().flat_map(|class| class.slots.values_mut()) {
            if merged < template.first.len() {
                let [in_candidate, all] = template.first.remove(merged);
                if let Some(counts) = template.first.get_mut(kept) {
                    counts[0] += in_candidate;
                    counts[1] += all;
                }
                template.dirty = true;
                self.changed_since = true;
            }
        }
    }

    /// Nothing more comes: what is remembered of units goes, what was counted stays.
    pub fn forget_units(&mut self) {
        self.classes.iter_mut().for_each(|class| class.pairs = Set::default());
    }

    /// Memory is short: pairs are forgotten, evidence stays what it is.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.forget_units();
    }

    /// Of a rollout that is over only those of level error or worse that it failed by stay.
    pub fn keep_only(&mut self, failing: &[u64]) {
        let [below, errors] = &mut self.classes;
        below.slots.clear();
        errors.slots.retain(|id, _| failing.contains(id));
        self.stop();
    }

    /// Pairs that are remembered.
    pub fn entries(&self) -> usize {
        self.classes.iter().map(|class| class.pairs.len()).sum()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        let of_places = |places: &Vec<Place>| {
            memory::list::<Place>(places.len()) + places.iter().map(|place| memory::text(&place.stream)).sum::<u64>()
        };
        let of = |template: &Template| {
            memory::text(&template.text)
                + memory::list::<[u64; 2]>(template.first.len())
                + template.places.iter().map(of_places).sum::<u64>()
        };
        let of_class = |class: &Class| {
            memory::tree::<u64, Template>(class.slots.len())
                + class.slots.values().map(of).sum::<u64>()
                + memory::table::<u64>(class.pairs.len())
        };
        self.at_risk.bytes() + self.classes.iter().map(of_class).sum::<u64>()
    }

    /// What is said now. Only templates with new pairs are evaluated again.
    pub fn look(&mut self, expected: &[u64]) -> TemplatesLook {
        if !std::mem::take(&mut self.changed_since) {
            return self.look;
        }
        let Templates { at_risk, classes, .. } = self;
        for (class, of_class) in classes.iter_mut().enumerate() {
            for template in of_class.slots.values_mut().filter(|template| template.dirty) {
                let strata = template.strata(at_risk);
                template.log_e = match class {
                    0 => share::log_e_changed(&strata, TOLERANCE),
                    _ => share::log_e_fail(&strata, 1.0),
                };
                template.dirty = false;
            }
        }
        twin::weigh(&mut classes[1].slots, at_risk);
        let [others, errors] = &*classes;
        let e_of = |(id, template): (&u64, &Template)| template.worth(expected.contains(id));
        let log_errors = (!errors.slots.is_empty()).then(|| {
            let idle = ERROR_SLOTS.saturating_sub(errors.slots.len());
            let mut terms: Vec<f64> = errors.slots.iter().map(e_of).collect();
            if idle > 0 {
                terms.push(math::ln(idle as f64));
            }
            math::log_sum_exp(&terms) - math::ln(ERROR_SLOTS as f64)
        });
        let mut all: Vec<f64> = others.slots.values().map(|template| template.log_e.min(budget::LOG_E_MAX)).collect();
        let mut unexpected: Vec<f64> = others.slots.iter().map(e_of).collect();
        for (id, alone) in errors.slots.iter().filter_map(|(id, of)| Some((id, of.alone?))) {
            let alone = alone.min(budget::LOG_E_MAX);
            all.push(alone);
            unexpected.push(if expected.contains(id) { 0.0 } else { alone });
        }
        self.look = TemplatesLook {
            log_errors,
            log_changed: math::log_mean_exp(&all),
            log_unexpected: math::log_mean_exp(&unexpected),
        };
        self.look
    }

    /// Templates of level error or worse that carry the evidence, strongest first: those that would fail the rollout alone,
    /// and any that makes up a tenth of the sum.
    pub fn leading(&self, expected: &[u64], log_fail: f64, log_sum: f64) -> Vec<u64> {
        let least = log_fail.min(log_sum - math::ln(10.0));
        let weight = math::ln(budget::TEMPLATES / f64::from(budget::TEMPLATE_SLOTS));
        let [_, errors] = &self.classes;
        let mut list: Vec<(&u64, f64)> = errors
            .slots
            .iter()
            .filter(|(id, template)| weight + template.log_e >= least && !expected.contains(id))
            .map(|(id, template)| (id, template.log_e))
            .collect();
        list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        list.into_iter().take(NAMED_MAX).map(|(id, _)| *id).collect()
    }

    /// A template that has a slot; `severe`: of level error or worse.
    pub fn get(&self, id: u64, severe: bool) -> Option<&Template> {
        self.classes[usize::from(severe)].slots.get(&id)
    }

    /// Distinct units of (control, candidate), those of several strata in each.
    pub fn units_at_risk(&self) -> [u64; 2] {
        self.at_risk.totals().map(|(units, _)| units)
    }

    /// Error lines that were weighed with what is gone, each with that, strongest first.
    pub fn reworded(&self) -> Vec<Reworded<'_>> {
        let [_, errors] = &self.classes;
        let of = |of: &'_ Template| Some((of.alone?, of.twin?));
        let mut list: Vec<(f64, &u64, &Template, &Template)> = errors
            .slots
            .iter()
            .filter_map(|(id, template)| of(template).map(|(alone, twin)| (alone, id, template, twin)))
            .filter_map(|(alone, id, template, twin)| Some((alone, id, template, errors.slots.get(&twin)?)))
            .collect();
        list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let told = |(_, _, now, before): (f64, &u64, _, _)| (now, before);
        let told = list.into_iter().map(told);
        told.map(|(now, before)| Reworded { now, before, is_more: now.log_e >= twin::LOUD }).collect()
    }

    /// Templates below error with at least such an ln e against "about as often", strongest first.
    pub fn strongest_below_error(&self, least: f64) -> Vec<&Template> {
        let [below, _] = &self.classes;
        let mut list: Vec<(&u64, &Template)> = below.slots.iter().filter(|(_, of)| of.log_e >= least).collect();
        list.sort_by(|a, b| b.1.log_e.total_cmp(&a.1.log_e).then(a.0.cmp(b.0)));
        list.into_iter().map(|(_, template)| template).collect()
    }

    /// Templates with a slot, below error and of level error or worse.
    pub fn tested(&self) -> [usize; CLASSES] {
        self.classes.each_ref().map(|class| class.slots.len())
    }

    /// Lines whose template has no slot, of (control, candidate, nobody that is known), by class of level.
    pub fn past_bound(&self) -> [[u64; SIDES]; CLASSES] {
        self.classes.each_ref().map(|class| class.past_bound)
    }

    /// Share of units that is followed, by class of level.
    pub fn followed(&self) -> [f64; CLASSES] {
        self.classes.each_ref().map(|class| class.range as f64 / u64::MAX as f64)
    }

    /// Pairs whose unit had no arm.
    pub fn unassigned(&self) -> u64 {
        self.unassigned
    }
}

#[cfg(test)]
mod tests;
