//! How a difference changes with the time since units were first seen in their arm: novelty passes, and some harm grows with use.
//!
//! Descriptive, a single look (statistics design 4.11): no error level holds for it, and no verdict rests on it.
//!
//! A unit's clock starts with its first window in the comparison, in either arm, so both arms are asked at the same age. Arms are compared
//! within the stratum in which units came: under a ramp those who come late are others than those who were there from the start. A unit
//! that changes its arm has two ages and is left out from then on; that looks at no outcome. At each age a unit counts once: it had a
//! failed request or not, and its first request there took so long. So units are the sample, whoever makes most requests. Where each
//! request is routed by itself, or is its own unit, nobody has an age.

use crate::compare::share::Stratum;
use crate::engine::comparison::Activity;
use crate::engine::memory;
use crate::engine::segments::explain;
use crate::engine::units::{Arm, UnitStore};
use crate::event::{self, KEY_STORE};
use crate::math;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::log2_fixed;
use crate::time::{DAY, HOUR, Micros, SECOND};

/// Units that are followed (16 bytes each, and empty places); past it a hash sample.
pub const UNITS_MAX: usize = 32_768;
/// Strata in which units came that are told apart; who comes later is of the last.
pub const STRATA_MAX: usize = 8;
/// Units of each arm that say something of an age.
const UNITS_MIN: u64 = 20;
/// Normal quantile of an interval of .95.
const Z_95: f64 = 1.959_963_984_540_054;
/// Standard errors by which ages differ before a word is said of it (p of .001), as several things are looked at.
const DEVIATIONS: f64 = 3.3;
/// Part of a difference, as a logarithm, that may be left where it is told to be gone.
const LEFT: f64 = 0.5;

/// Time since a unit was first seen in its arm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Age {
    /// Less than an hour.
    FirstHour,
    /// Less than a day.
    FirstDay,
    /// Less than two.
    SecondDay,
    /// Less than seven.
    FirstWeek,
    /// Longer.
    Later,
}

impl Age {
    /// Every age, in order.
    pub const ALL: [Age; 5] = [Age::FirstHour, Age::FirstDay, Age::SecondDay, Age::FirstWeek, Age::Later];

    /// The words that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Age::FirstHour => "first hour",
            Age::FirstDay => "rest of first day",
            Age::SecondDay => "second day",
            Age::FirstWeek => "third to seventh day",
            Age::Later => "later",
        }
    }

    fn of(time: Micros) -> Age {
        match time {
            _ if time < HOUR => Age::FirstHour,
            _ if time < DAY => Age::FirstDay,
            _ if time < 2 * DAY => Age::SecondDay,
            _ if time < 7 * DAY => Age::FirstWeek,
            _ => Age::Later,
        }
    }
}

/// Units of one arm at one age.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cell {
    /// Units that were active at this age.
    pub units: u64,
    /// Those of them with a failed request there.
    pub erring: u64,
    /// Their requests.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
    /// Units whose first request there has a latency.
    pub timed: u64,
    /// Sum of its logarithms (to the base 2, in 256ths), and of their squares.
    log2: u64,
    log2_squares: u64,
}

impl Cell {
    fn counts(&mut self) -> [&mut u64; 7] {
        let [units, erring] = [&mut self.units, &mut self.erring];
        let [requests, failed, timed] = [&mut self.requests, &mut self.failed, &mut self.timed];
        [units, erring, requests, failed, timed, &mut self.log2, &mut self.log2_squares]
    }

    fn add(&mut self, mut other: Cell) {
        self.counts().into_iter().zip(other.counts()).for_each(|(to, from)| *to += *from);
    }

    /// Mean of ln of the latency of first requests, and the variance of the mean.
    fn latency(&self) -> Option<(f64, f64)> {
        let n = self.timed as f64;
        let scale = core::f64::consts::LN_2 / 256.0;
        let mean = self.log2 as f64 / n;
        let variance = (self.log2_squares as f64 / n - mean * mean).max(0.0) * n / (n - 1.0);
        (self.timed >= UNITS_MIN).then(|| (mean * scale, variance * scale * scale / n))
    }
}

/// Units at risk of a business event, and those that met it, of (control, candidate).
type Met = [[u64; 2]; 2];

/// Units that came in one stratum, by age and arm.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Came {
    cells: [[Cell; 2]; Age::ALL.len()],
    /// By business event of the policy.
    events: Vec<[Met; Age::ALL.len()]>,
}

/// Where a unit stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    /// Seconds from the start of the comparison to its first window.
    since: u32,
    /// The stratum in which it came.
    came: u8,
    /// Bits, see the constants.
    flags: u8,
}

const ARM: u8 = 1;
/// It changed its arm.
const MOVED: u8 = 1 << 1;
/// It had a failed request at its present age.
const ERRED: u8 = 1 << 2;
/// Three bits: its present age, and 1 more; 0 before it has one.
const AGE_SHIFT: u8 = 3;

impl State {
    fn arm(self) -> usize {
        usize::from(self.flags & ARM)
    }

    fn age(self) -> Option<usize> {
        usize::from(self.flags >> AGE_SHIFT).checked_sub(1)
    }

    fn set_age(&mut self, age: Age) {
        self.flags = self.flags & (ARM | MOVED) | (age as u8 + 1) << AGE_SHIFT;
    }
}

type Units = hashbrown::HashMap<u64, State, foldhash::fast::FixedState>;

/// State of a comparison.
#[derive(Clone, PartialEq, Debug)]
pub struct Ages {
    units: Units,
    /// Units whose keyed hash is above this are not followed.
    range: u64,
    came: Vec<Came>,
    /// Units that changed their arm.
    moved: u64,
}

impl Default for Ages {
    fn default() -> Ages {
        Ages { units: Units::default(), range: u64::MAX, came: Vec::new(), moved: 0 }
    }
}

/// A ratio of the candidate to the control, 95 % for a single look.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ratio {
    /// ln of it.
    pub log: f64,
    /// Standard error of that.
    pub error: f64,
}

impl Ratio {
    /// Lower end, estimate, upper end.
    pub fn interval(&self) -> [f64; 3] {
        let half = Z_95 * self.error;
        [self.log - half, self.log, self.log + half].map(math::exp)
    }

    fn is_none(&self) -> bool {
        self.log.abs() <= Z_95 * self.error
    }
}

/// What is compared at each age.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// Units with a failed request.
    Errors,
    /// Latency of a unit's first request.
    Latency,
    /// Units that meet a business event, by its place in the policy.
    Event(usize),
}

/// How a difference changes with age.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Course {
    /// Later nothing is left of it.
    Gone,
    /// Later less of it is left.
    Fades,
    /// Later there is more of it.
    Grows,
}

impl Course {
    /// The words that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Course::Gone => "gone",
            Course::Fades => "fades",
            Course::Grows => "grows",
        }
    }
}

/// A difference that is another at first than later.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Told {
    /// What differs.
    pub what: What,
    /// How it changes.
    pub course: Course,
    /// The first age that is later.
    pub later_from: Age,
    /// At first.
    pub first: Ratio,
    /// Later.
    pub later: Ratio,
}

impl Ages {
    /// Activities of a window, sorted by unit, `since` the comparison began. `stratum`: how many there were before. `events`: how many
    /// business events the policy names; `store` knows which of them a unit has met.
    pub(super) fn close_window(
        &mut self,
        activities: &[Activity],
        since: Micros,
        stratum: u32,
        events: usize,
        store: &UnitStore,
    ) {
        let now = since.max(0);
        let place = (stratum as usize).min(STRATA_MAX - 1);
        for group in activities.chunk_by(|a, b| a.unit == b.unit) {
            let Some(head) = group.first().filter(|head| hash(head.unit) <= self.range) else { continue };
            let arm = head.arm;
            let is_one = group.iter().all(|of| of.arm == arm);
            let state = self.units.entry(head.unit).or_insert_with(|| State {
                since: u32::try_from(now / SECOND).unwrap_or(u32::MAX),
                came: place as u8,
                flags: if arm == Arm::Candidate { ARM } else { 0 },
            });
            if state.flags & MOVED != 0 {
                continue;
            }
            if !is_one || state.arm() != arm.at() {
                state.flags |= MOVED;
                self.moved += 1;
                continue;
            }
            let came = usize::from(state.came);
            while self.came.len() <= came {
                self.came.push(Came { events: vec![Default::default(); events], ..Came::default() });
            }
            let Some(came) = self.came.get_mut(came) else { continue };
            let age = Age::of(now - i64::from(state.since) * SECOND);
            let cell = &mut came.cells[age as usize][arm.at()];
            if state.age().is_none_or(|known| known < age as usize) {
                state.set_age(age);
                cell.units += 1;
                let earliest = group.iter().filter(|of| of.first_latency > 0).min_by_key(|of| of.first);
                if let Some(bin) = earliest.map(|of| of.first_latency - 1) {
                    let log2 = u64::try_from(log2_fixed(bin)).unwrap_or(0) >> 8;
                    cell.timed += 1;
                    cell.log2 += log2;
                    cell.log2_squares += log2 * log2;
                }
                let had = store.get(head.unit).map_or(0, |unit| unit.conversions());
                for (at, met) in came.events.iter_mut().enumerate() {
                    let [at_risk, _] = &mut met[age as usize];
                    at_risk[arm.at()] += u64::from(had >> (at & 7) & 1 == 0);
                }
            }
            let errors: u64 = group.iter().map(|of| u64::from(of.errors)).sum();
            cell.requests += group.iter().map(|of| u64::from(of.requests)).sum::<u64>();
            cell.failed += errors;
            if errors > 0 && state.flags & ERRED == 0 {
                state.flags |= ERRED;
                cell.erring += 1;
            }
        }
        while self.units.len() > UNITS_MAX {
            self.halve();
        }
    }

    /// A unit meets a business event for the first time.
    pub(super) fn meet(&mut self, unit: u64, event: usize) {
        let Some(state) = self.units.get(&unit).filter(|state| state.flags & MOVED == 0) else { return };
        let came = self.came.get_mut(usize::from(state.came)).and_then(|came| came.events.get_mut(event));
        if let (Some(of), Some(age)) = (came, state.age())
            && let Some([_, met]) = of.get_mut(age)
        {
            met[state.arm()] += 1;
        }
    }

    /// Of the units only every second goes on.
    pub(super) fn halve(&mut self) {
        self.range >>= 1;
        let range = self.range;
        self.units.retain(|unit, _| hash(*unit) <= range);
        self.units.shrink_to_fit();
    }

    /// Units that are remembered.
    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    /// Nobody is followed any more; what was counted stays.
    pub(super) fn stop(&mut self) {
        self.units = Units::default();
        self.range = 0;
    }

    /// Nothing more comes: what is remembered of units goes, what was counted stays.
    pub(super) fn forget_units(&mut self) {
        self.units = Units::default();
    }

    /// Nobody was counted.
    pub fn is_empty(&self) -> bool {
        self.came.is_empty()
    }

    /// Share of units that are followed.
    pub fn followed(&self) -> f64 {
        self.range as f64 / u64::MAX as f64
    }

    /// Units that changed their arm and are left out since.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Units of (control, candidate) at an age.
    pub fn cells(&self, age: Age) -> [Cell; 2] {
        let mut sum = [Cell::default(); 2];
        for came in &self.came {
            sum.iter_mut().zip(came.cells[age as usize]).for_each(|(to, from)| to.add(from));
        }
        sum
    }

    /// Units of (control, candidate) at risk of a business event at an age, and those that met it.
    pub fn met(&self, event: usize, age: Age) -> Met {
        let mut sum = Met::default();
        for of in self.came.iter().filter_map(|came| came.events.get(event)) {
            let from = of[age as usize].iter().flatten();
            sum.iter_mut().flatten().zip(from).for_each(|(to, from)| *to += from);
        }
        sum
    }

    /// Ages at which both arms have units.
    pub fn seen(&self) -> Vec<Age> {
        let has_both = |age: &Age| self.cells(*age).iter().all(|cell| cell.units > 0);
        Age::ALL.into_iter().filter(has_both).collect()
    }

    /// Ratio over some ages, within strata: of shares by Mantel and Haenszel, of latencies the mean of ln weighted by its variance.
    pub fn ratio(&self, what: What, ages: &[Age]) -> Option<Ratio> {
        let cells = || self.came.iter().flat_map(|came| ages.iter().map(|age| came.cells[*age as usize]));
        match what {
            What::Errors => {
                let strata: Vec<Stratum> =
                    cells().map(|[a, b]| stratum([a.units, b.units], [a.erring, b.erring])).collect();
                of_shares(&strata)
            }
            What::Event(event) => {
                let of = self.came.iter().filter_map(|came| came.events.get(event));
                let strata: Vec<Stratum> = of
                    .flat_map(|of| ages.iter().map(|age| of[*age as usize]))
                    .map(|[at_risk, met]| stratum(at_risk, met))
                    .collect();
                of_shares(&strata)
            }
            What::Latency => {
                let (mut weights, mut sum) = (0.0, 0.0);
                for [a, b] in cells() {
                    if let (Some((a, of_a)), Some((b, of_b))) = (a.latency(), b.latency())
                        && of_a + of_b > 0.0
                    {
                        weights += 1.0 / (of_a + of_b);
                        sum += (b - a) / (of_a + of_b);
                    }
                }
                (weights > 0.0).then(|| Ratio { log: sum / weights, error: 1.0 / weights.sqrt() })
            }
        }
    }

    /// What is another at first than later. `events`: business events of the policy.
    pub fn told(&self, events: usize) -> Vec<Told> {
        let all = [What::Errors, What::Latency].into_iter().chain((0..events).map(What::Event));
        all.filter_map(|what| [Age::SecondDay, Age::FirstDay].into_iter().find_map(|from| self.told_from(what, from)))
            .collect()
    }

    /// ln of the ratio of failed requests to all, candidate to control, within strata (Mantel-Haenszel).
    fn failed_requests(&self, ages: &[Age]) -> Option<f64> {
        let (mut there, mut here) = (0.0, 0.0);
        for [a, b] in self.came.iter().flat_map(|came| ages.iter().map(|age| came.cells[*age as usize])) {
            let all = (a.requests + b.requests).max(1) as f64;
            there += b.failed as f64 * a.requests as f64 / all;
            here += a.failed as f64 * b.requests as f64 / all;
        }
        (there > 0.0 && here > 0.0).then(|| libm::log(there / here))
    }

    fn told_from(&self, what: What, later_from: Age) -> Option<Told> {
        let (first, later): (Vec<Age>, Vec<Age>) = Age::ALL.into_iter().partition(|age| *age < later_from);
        let enough = |ages: &[Age]| {
            (0..2).all(|arm| ages.iter().map(|age| self.cells(*age)[arm].units).sum::<u64>() >= UNITS_MIN)
        };
        if !enough(&first) || !enough(&later) {
            return None;
        }
        let of_requests = [self.failed_requests(&first), self.failed_requests(&later)];
        let (first, later) = (self.ratio(what, &first)?, self.ratio(what, &later)?);
        // Most units are in both, which makes the difference surer than this says.
        let error = (first.error * first.error + later.error * later.error).sqrt();
        if (first.log - later.log).abs() <= DEVIATIONS * error {
            return None;
        }
        // The longer an age and the busier its units, the more of them meet a failure in either arm, and the nearer their ratio comes to
        // 1 by itself: what is said of users must be half as much of their requests.
        if what == What::Errors {
            let [Some(at_first), Some(at_last)] = of_requests else { return None };
            let (of_units, of_requests) = (later.log - first.log, at_last - at_first);
            if of_units * of_requests <= 0.0 || of_requests.abs() < LEFT * of_units.abs() {
                return None;
            }
        }
        let course = match (first.is_none(), later.is_none()) {
            (false, true) if later.log.abs() <= LEFT * first.log.abs() => Course::Gone,
            (_, false) if later.log.abs() > first.log.abs() => Course::Grows,
            (false, false) if later.log * first.log > 0.0 => Course::Fades,
            _ => return None,
        };
        Some(Told { what, course, later_from, first, later })
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        let of = |came: &Came| memory::exact::<[Met; Age::ALL.len()]>(came.events.len());
        memory::table::<(u64, State)>(self.units.len())
            + memory::list::<Came>(self.came.len())
            + self.came.iter().map(of).sum::<u64>()
    }

    /// Writes the state.
    pub(super) fn write(&self, w: &mut Writer) {
        w.fixed(self.range);
        w.uint(self.moved);
        w.length(self.came.len());
        for came in &self.came {
            let mut cells = came.cells;
            cells.iter_mut().flatten().flat_map(Cell::counts).for_each(|count| w.uint(*count));
            w.length(came.events.len());
            came.events.iter().flatten().flatten().flatten().for_each(|count| w.uint(*count));
        }
        let mut units: Vec<(u64, State)> = self.units.iter().map(|(unit, state)| (*unit, *state)).collect();
        units.sort_unstable_by_key(|(unit, _)| *unit);
        w.length(units.len());
        for (unit, State { since, came, flags }) in units {
            w.fixed(unit);
            w.uint(u64::from(since));
            w.byte(came);
            w.byte(flags);
        }
    }

    /// Reads what [`Ages::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Ages, Damaged> {
        let mut ages = Ages { range: r.fixed()?, moved: r.uint()?, ..Ages::default() };
        for _ in 0..r.length()? {
            let mut came = Came::default();
            for count in came.cells.iter_mut().flatten().flat_map(Cell::counts) {
                *count = r.uint()?;
            }
            for _ in 0..r.length()? {
                let mut of = <[Met; Age::ALL.len()]>::default();
                for count in of.iter_mut().flatten().flatten() {
                    *count = r.uint()?;
                }
                came.events.push(of);
            }
            came.events.shrink_to_fit();
            ages.came.push(came);
        }
        for _ in 0..r.length()? {
            let unit = r.fixed()?;
            ages.units.insert(unit, State { since: r.uint32()?, came: r.byte()?, flags: r.byte()? });
        }
        Ok(ages)
    }
}

fn hash(unit: u64) -> u64 {
    event::mix(unit, KEY_STORE)
}

/// Counts of (control, candidate) as those of a share test.
fn stratum(units: [u64; 2], met: [u64; 2]) -> Stratum {
    Stratum { canary_units: units[1], units: units[0] + units[1], canary_first: met[1], first: met[0] + met[1] }
}

fn of_shares(strata: &[Stratum]) -> Option<Ratio> {
    let of = explain::adjusted(strata.iter())?;
    Some(Ratio { log: math::ln(of.ratio), error: math::ln(of.high / of.low) / (2.0 * Z_95) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(unit: u64, arm: Arm, errors: u32) -> Activity {
        let unit = event::mix(unit, 99);
        Activity {
            unit,
            arm,
            first: 0,
            second: u32::MAX,
            requests: 2,
            errors,
            slowest: 700,
            first_latency: 700,
            recovered: 0,
        }
    }

    fn window(ages: &mut Ages, at: Micros, mut of: Vec<Activity>) {
        of.sort_by_key(|of| of.unit);
        ages.close_window(&of, at, 0, 1, &UnitStore::default());
    }

    #[test]
    fn an_age_begins_with_its_time() {
        let times = [0, HOUR - 1, HOUR, DAY - 1, DAY, 2 * DAY, 7 * DAY - 1, 7 * DAY];
        assert_eq!(times.map(|time| Age::of(time) as usize), [0, 0, 1, 1, 2, 3, 3, 4]);
    }

    #[test]
    fn a_unit_counts_once_at_each_age_and_not_once_it_has_moved() {
        let mut ages = Ages::default();
        window(&mut ages, 0, vec![activity(1, Arm::Control, 1), activity(2, Arm::Candidate, 0)]);
        window(&mut ages, HOUR / 2, vec![activity(1, Arm::Control, 1)]);
        ages.meet(event::mix(2, 99), 0);
        window(&mut ages, HOUR, vec![activity(1, Arm::Control, 1), activity(3, Arm::Candidate, 0)]);
        let of =
            |ages: &Ages, age: Age| ages.cells(age).map(|cell| [cell.units, cell.erring, cell.requests, cell.timed]);
        assert_eq!(of(&ages, Age::FirstHour), [[1, 1, 4, 1], [2, 0, 4, 2]]);
        assert_eq!(of(&ages, Age::FirstDay), [[1, 1, 2, 1], [0; 4]]);
        assert_eq!(ages.met(0, Age::FirstHour), [[1, 2], [0, 1]]);
        // It goes to the other arm: it is of neither.
        window(&mut ages, HOUR, vec![activity(1, Arm::Candidate, 1)]);
        window(&mut ages, HOUR, vec![activity(1, Arm::Control, 1)]);
        assert_eq!((of(&ages, Age::FirstDay), ages.moved()), ([[1, 1, 2, 1], [0; 4]], 1));
        assert_eq!(ages.seen(), [Age::FirstHour]);
        let mut w = Writer::default();
        ages.write(&mut w);
        assert_eq!(Ages::read(&mut Reader::new(&w.bytes)).unwrap(), ages);
    }

    /// A share of units fails by age and arm, in the first hour and on the second day.
    fn aged(shares: [[u64; 2]; 2]) -> Ages {
        let mut ages = Ages::default();
        for (at, shares) in [0, DAY + HOUR].into_iter().zip(shares) {
            let of = (0..2_000u64).map(|unit| {
                let arm = if unit % 2 == 0 { Arm::Control } else { Arm::Candidate };
                activity(unit, arm, u32::from(unit / 2 % 1_000 < shares[arm.at()]))
            });
            window(&mut ages, at, of.collect());
        }
        ages
    }

    #[test]
    fn what_passes_and_what_grows_is_told() {
        let courses = |shares| aged(shares).told(1).iter().map(|told| (told.what, told.course)).collect::<Vec<_>>();
        assert_eq!(courses([[50, 150], [50, 52]]), [(What::Errors, Course::Gone)]);
        assert_eq!(courses([[50, 52], [50, 150]]), [(What::Errors, Course::Grows)]);
        assert_eq!(courses([[50, 400], [50, 120]]), [(What::Errors, Course::Fades)]);
        assert_eq!(courses([[50, 150], [50, 150]]), []);
        assert_eq!(courses([[50, 50], [60, 50]]), []);
        let [told] = aged([[50, 150], [50, 52]]).told(1).try_into().unwrap();
        // 150 of 1,000 by 50 of 1,000; its variance 1/150 + 1/50 - 2/1,000 (Katz, as of one stratum).
        let [low, estimate, high] = told.first.interval();
        let half = Z_95 * (1.0f64 / 150.0 + 1.0 / 50.0 - 2.0 / 1_000.0).sqrt();
        assert!((estimate - 3.0).abs() < 1e-9 && (high / low - (2.0 * half).exp()).abs() < 1e-9);
        assert_eq!(told.later_from, Age::SecondDay);
    }

    /// Where nothing differs hardly anything is said: of 200 comparisons, each asked at two borders, at one in a thousand.
    #[test]
    fn nothing_is_said_where_nothing_differs() {
        let mut said = 0;
        for seed in 0..200u64 {
            let mut ages = Ages::default();
            for (at, time) in [0, 2 * HOUR, DAY + HOUR].into_iter().enumerate() {
                let of = (0..1_000u64).map(|unit| {
                    let random = event::mix(event::mix(unit, seed), 100 + at as u64);
                    let arm = if event::mix(unit, seed) % 10 < 3 { Arm::Candidate } else { Arm::Control };
                    let latency = 600 + (random >> 32) as u16 % 200;
                    Activity { first_latency: latency, ..activity(unit, arm, u32::from(random % 100 < 5)) }
                });
                window(&mut ages, time, of.collect());
            }
            said += ages.told(1).len();
        }
        assert!(said <= 3, "{said}");
    }

    #[test]
    fn past_the_bound_a_hash_sample_goes_on() {
        let mut ages = Ages::default();
        window(&mut ages, 0, (0..UNITS_MAX as u64 + 10).map(|unit| activity(unit, Arm::Control, 0)).collect());
        assert!((ages.followed() - 0.5).abs() < 1e-9 && ages.units.len() < UNITS_MAX * 6 / 10);
        assert!(ages.bytes() < 2 << 20);
    }
}
