//! Rollouts that run at once over the same units, laid across each other: which units of one are in which arm of the other, and what
//! failed there. No verdict rests on it.
//!
//! A harm of one rollout shows in the comparison of another where their units overlap. Arms that are assigned apart lie across each
//! other, and then neither bends the other. Where they do not, the two are told apart by units that have one candidate and not the
//! other ([`blame`]).
//!
//! Units join the two by their hash. Where each request is routed by itself, or logs no unit, what joins them is the call: the trace,
//! else the request id, of requests in one window. A unit counts from the window on in which its arm in both is known; it is at risk in
//! each stratum, a stretch in which the share of neither candidate changed, until its first failed request there
//! ([`crate::compare::share`]). All state is counts, and windows add to it in their order alone, so no order of reading changes it.

pub mod blame;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::engine::comparison::{Activity, Comparison};
use crate::engine::lookup::place;
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::event::{self, KEY_STORE, NO_NAME, NameId, ServiceKey};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::WindowPartial;
use crate::sketch::rows::CallRow;

/// Live rollouts of a window that are looked at; further ones are laid across no other.
pub const ROLLOUTS_MAX: usize = 32;
/// Pairs whose units are followed at a time.
pub const PAIRS_MAX: usize = 32;
/// Pairs that are kept, those that are over included; past it the one goes that was over first.
pub const KEPT_MAX: usize = 128;
/// Units of a pair that are followed (16 bytes each, and empty places: a table that stays in the cache of a core); past it a hash sample.
pub const UNITS_MAX: usize = 16_384;
/// Strata that are kept apart; past it the two neighbours with the nearest shares merge.
pub const STRATA_MAX: usize = 32;
/// Units of a rollout that are asked whether it has any in common with another. They are those of the smallest hash: a sample.
const ASKED: usize = 64;

/// Number of a release, and of its comparison.
pub type Place = (usize, usize);

/// What a unit did in a window in one rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    unit: u64,
    requests: u32,
    errors: u32,
}

impl Seen {
    pub(super) fn of(activity: &Activity) -> Seen {
        Seen { unit: activity.unit, requests: activity.requests, errors: activity.errors }
    }
}

/// A live rollout that a window brought something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live<'c> {
    pub(super) at: Place,
    pub(super) entry: &'c ServiceKey,
    pub(super) comparison: &'c Comparison,
}

/// Requests of one of the two services, by units that are in one pair of arms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cell {
    /// Units that were active and had no failed request before.
    pub at_risk: u64,
    /// Those of them that had one.
    pub erring: u64,
    /// Requests.
    pub requests: u64,
    /// Those that failed.
    pub failed: u64,
}

impl Cell {
    fn counts(&mut self) -> [&mut u64; 4] {
        [&mut self.at_risk, &mut self.erring, &mut self.requests, &mut self.failed]
    }

    fn add(&mut self, mut other: Cell) {
        self.counts().into_iter().zip(other.counts()).for_each(|(to, from)| *to += *from);
    }
}

/// Counts of one stratum by [whose requests][arm in the first][arm in the second], the first and the second, control and candidate.
pub type Table = [[[Cell; 2]; 2]; 2];

/// Units of two rollouts by their arms in both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crossed {
    /// Distinct units by [arm in the first][arm in the second], each where it was seen first.
    pub units: [[u64; 2]; 2],
    /// Closed strata and, last, the current one.
    strata: Vec<Table>,
}

impl Default for Crossed {
    fn default() -> Crossed {
        Crossed { units: [[0; 2]; 2], strata: vec![Table::default()] }
    }
}

impl Crossed {
    /// No unit is in both.
    pub fn is_empty(&self) -> bool {
        self.units == [[0; 2]; 2]
    }

    /// All strata.
    pub fn strata(&self) -> &[Table] {
        &self.strata
    }

    /// Sum over strata.
    pub fn total(&self) -> Table {
        let mut total = Table::default();
        self.strata.iter().for_each(|table| add(&mut total, table));
        total
    }

    fn current(&mut self) -> &mut Table {
        if self.strata.is_empty() {
            self.strata.push(Table::default());
        }
        let at = self.strata.len() - 1;
        &mut self.strata[at]
    }

    /// A new stratum begins.
    fn cut(&mut self) {
        if *self.current() != Table::default() {
            self.strata.push(Table::default());
        }
        if self.strata.len() > STRATA_MAX {
            let closed = &self.strata[..self.strata.len() - 1];
            let shares: Vec<[f64; 2]> = closed.iter().map(shares).collect();
            let distance = |pair: &[[f64; 2]]| (pair[0][0] - pair[1][0]).abs() + (pair[0][1] - pair[1][1]).abs();
            let distances = shares.windows(2).map(distance).enumerate();
            if let Some((at, _)) = distances.min_by(|a, b| a.1.total_cmp(&b.1)) {
                let gone = self.strata.remove(at + 1);
                add(&mut self.strata[at], &gone);
            }
        }
    }

    fn write(&self, w: &mut Writer) {
        self.units.iter().flatten().for_each(|units| w.uint(*units));
        w.length(self.strata.len());
        for mut table in self.strata.iter().copied() {
            table.iter_mut().flatten().flatten().flat_map(Cell::counts).for_each(|count| w.uint(*count));
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Crossed, Damaged> {
        let mut crossed = Crossed { units: [[0; 2]; 2], strata: Vec::new() };
        for units in crossed.units.iter_mut().flatten() {
            *units = r.uint()?;
        }
        for _ in 0..r.length()? {
            let mut table = Table::default();
            for count in table.iter_mut().flatten().flatten().flat_map(Cell::counts) {
                *count = r.uint()?;
            }
            crossed.strata.push(table);
        }
        Ok(crossed)
    }
}

fn add(to: &mut Table, from: &Table) {
    let from = from.iter().flatten().flatten();
    to.iter_mut().flatten().flatten().zip(from).for_each(|(to, from)| to.add(*from));
}

/// Shares of requests under the candidate of the first, and of the second.
fn shares(table: &Table) -> [f64; 2] {
    let sum = |keep: fn(usize, usize) -> bool| {
        let of = |a: usize, b: usize| table.iter().map(|side| side[a][b].requests).sum::<u64>();
        let cells = [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().filter(|(a, b)| keep(*a, *b));
        cells.map(|(a, b)| of(a, b)).sum::<u64>() as f64
    };
    let all = sum(|_, _| true).max(1.0);
    [sum(|a, _| a == 1) / all, sum(|_, b| b == 1) / all]
}

/// Where a unit stands: its stratum, and bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct State {
    stratum: u16,
    flags: u8,
}

/// Its arms, whether it has entered the stratum, and whether it had a failed request: of the first, of the second.
const ARM: [u8; 2] = [1, 1 << 1];
const ENTERED: [u8; 2] = [1 << 2, 1 << 3];
const ERRED: [u8; 2] = [1 << 4, 1 << 5];

impl State {
    fn new(stratum: u16, arms: [Arm; 2], before: u8) -> State {
        let bits = ARM.into_iter().zip(arms).filter(|(_, arm)| *arm == Arm::Candidate).map(|(bit, _)| bit);
        State { stratum, flags: bits.fold(before & (ERRED[0] | ERRED[1]), |flags, bit| flags | bit) }
    }

    fn arms(self) -> [usize; 2] {
        ARM.map(|bit| usize::from(self.flags & bit != 0))
    }

    /// Sets a bit; true where it was not set.
    fn set(&mut self, bit: u8) -> bool {
        let is_new = self.flags & bit == 0;
        self.flags |= bit;
        is_new
    }
}

type Units = hashbrown::HashMap<u64, State, foldhash::fast::FixedState>;

/// Two rollouts of different services that run at once.
#[derive(Clone, PartialEq, Debug)]
pub struct Overlap {
    /// Units that both rollouts have.
    pub by_unit: Crossed,
    /// Calls with a request at both, where units do not join them.
    pub by_call: Crossed,
    /// One of the two is over.
    pub is_over: bool,
    units: Units,
    /// Units whose keyed hash is above this are not followed.
    range: u64,
    stratum: u16,
    /// Changes of share of each when the stratum began.
    cuts: [u32; 2],
    /// The last window that brought something.
    window: i64,
}

impl Default for Overlap {
    fn default() -> Overlap {
        Overlap {
            by_unit: Crossed::default(),
            by_call: Crossed::default(),
            is_over: false,
            units: Units::default(),
            range: u64::MAX,
            stratum: 0,
            cuts: [0; 2],
            window: i64::MIN,
        }
    }
}

/// What joins the requests of two rollouts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Joined {
    /// Their unit.
    Unit,
    /// The trace or request id that they have in common.
    Call,
}

impl Overlap {
    /// What the requests of both have in common, and how they lie across each other: by units where these have arms.
    pub fn crossed(&self) -> (Joined, &Crossed) {
        match self.by_unit.is_empty() {
            true => (Joined::Call, &self.by_call),
            false => (Joined::Unit, &self.by_unit),
        }
    }

    /// Share of units that are followed.
    pub fn followed(&self) -> f64 {
        self.range as f64 / u64::MAX as f64
    }

    /// The share of either candidate has changed, or nobody was heard for long: who comes is at risk anew.
    fn keep_strata(&mut self, of: [Live<'_>; 2]) {
        let cuts = of.map(|live| live.comparison.strata());
        if cuts != self.cuts {
            self.cuts = cuts;
            self.stratum = self.stratum.wrapping_add(1);
            self.by_unit.cut();
            self.by_call.cut();
        }
    }

    /// Units of a window, of each of the two.
    fn take_units(&mut self, of: [Live<'_>; 2], seen: [&[Seen]; 2]) {
        let Overlap { by_unit, units, range, stratum, .. } = self;
        for (side, list) in seen.into_iter().enumerate() {
            for Seen { unit, requests, errors } in list.iter().filter(|seen| hash(seen.unit) <= *range) {
                let known = units.get_mut(unit);
                let state = match known {
                    Some(state) if state.stratum == *stratum => state,
                    before => {
                        let arms = of.map(|live| live.comparison.arm_in_stratum(*unit));
                        let [Some(first), Some(second)] = arms else { continue };
                        let had = before.as_deref().map_or(0, |state| state.flags);
                        let state = State::new(*stratum, [first, second], had);
                        match before {
                            Some(known) => {
                                *known = state;
                                known
                            }
                            None => {
                                by_unit.units[first.at()][second.at()] += 1;
                                units.entry(*unit).insert(state).into_mut()
                            }
                        }
                    }
                };
                let [a, b] = state.arms();
                let cell = &mut by_unit.current()[side][a][b];
                let is_first = state.flags & ERRED[side] == 0;
                cell.at_risk += u64::from(state.set(ENTERED[side]) && is_first);
                cell.erring += u64::from(*errors > 0 && state.set(ERRED[side]));
                cell.requests += u64::from(*requests);
                cell.failed += u64::from(*errors);
            }
        }
        while self.units.len() > UNITS_MAX {
            self.halve();
        }
    }

    /// Calls of a window that have requests at both; `all`: those whose requests have units too.
    fn take_calls(&mut self, of: [Live<'_>; 2], merged: &WindowPartial, all: bool) {
        let sides = of.map(|live| Side::of(live, merged));
        if sides.iter().any(|side| side.entry.is_none()) {
            return;
        }
        for rows in merged.calls.as_slice().chunk_by(|a, b| a.call == b.call) {
            let Some([first, second]) = joined(&sides, rows) else { continue };
            if !all && first.has_unit && second.has_unit {
                continue;
            }
            let (a, b) = (first.arm.at(), second.arm.at());
            self.by_call.units[a][b] += 1;
            for (side, done) in [first, second].into_iter().enumerate() {
                self.by_call.current()[side][a][b].add(Cell {
                    at_risk: 1,
                    erring: u64::from(done.failed > 0),
                    requests: done.requests,
                    failed: done.failed,
                });
            }
        }
    }

    /// Requests are routed one by one, as is known now: the arm that a unit had says nothing.
    fn forget_arms(&mut self) {
        if !self.by_unit.is_empty() {
            (self.by_unit, self.units) = (Crossed::default(), Units::default());
        }
    }

    /// Of the units only every second goes on.
    fn halve(&mut self) {
        self.range >>= 1;
        let range = self.range;
        self.units.retain(|unit, _| hash(*unit) <= range);
        self.units.shrink_to_fit();
    }

    /// Nothing more comes: what was counted stays.
    fn end(&mut self) {
        self.is_over = true;
        self.units = Units::default();
    }

    fn bytes(&self) -> u64 {
        let strata = [&self.by_unit, &self.by_call].map(|crossed| memory::list::<Table>(crossed.strata.len()));
        memory::table::<(u64, State)>(self.units.len()) + strata.iter().sum::<u64>()
    }

    fn write(&self, w: &mut Writer) {
        self.by_unit.write(w);
        self.by_call.write(w);
        w.flag(self.is_over);
        w.fixed(self.range);
        w.uint(u64::from(self.stratum));
        self.cuts.iter().for_each(|cuts| w.uint(u64::from(*cuts)));
        w.int(self.window);
        let mut units: Vec<(u64, State)> = self.units.iter().map(|(unit, state)| (*unit, *state)).collect();
        units.sort_unstable_by_key(|(unit, _)| *unit);
        w.length(units.len());
        for (unit, State { stratum, flags }) in units {
            w.fixed(unit);
            w.uint(u64::from(stratum));
            w.byte(flags);
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Overlap, Damaged> {
        let (by_unit, by_call) = (Crossed::read(r)?, Crossed::read(r)?);
        let mut overlap = Overlap {
            by_unit,
            by_call,
            is_over: r.flag()?,
            range: r.fixed()?,
            stratum: r.uint16()?,
            cuts: [r.uint32()?, r.uint32()?],
            window: r.int()?,
            ..Overlap::default()
        };
        for _ in 0..r.length()? {
            let unit = r.fixed()?;
            overlap.units.insert(unit, State { stratum: r.uint16()?, flags: r.byte()? });
        }
        Ok(overlap)
    }
}

fn hash(unit: u64) -> u64 {
    event::mix(unit, KEY_STORE)
}

/// One of two rollouts in the names of a window.
struct Side<'c> {
    comparison: &'c Comparison,
    entry: Option<NameId>,
    arms: [Option<NameId>; 2],
}

/// What one call did at one of two rollouts.
struct Done {
    arm: Arm,
    requests: u64,
    failed: u64,
    has_unit: bool,
}

impl<'c> Side<'c> {
    fn of(live: Live<'c>, merged: &WindowPartial) -> Side<'c> {
        let Live { entry, comparison, .. } = live;
        Side {
            comparison,
            entry: place(&merged.names.services, entry),
            arms: [&comparison.control, &comparison.candidate].map(|arm| place(&merged.names.arms, arm)),
        }
    }

    /// The one arm of a call's requests here; `None` where they have none, or several.
    fn done(&self, rows: &[CallRow]) -> Option<Done> {
        let mut done: Option<Done> = None;
        for row in rows.iter().filter(|row| Some(row.service) == self.entry) {
            let named = [Arm::Control, Arm::Candidate].into_iter().find(|arm| self.arms[arm.at()] == Some(row.arm));
            let of_unit = || self.comparison.arm_of(row.unit).filter(|_| !self.comparison.by_request());
            let arm = if row.arm == NO_NAME { of_unit() } else { named }?;
            let done = done.get_or_insert(Done { arm, requests: 0, failed: 0, has_unit: row.unit != 0 });
            if done.arm != arm {
                return None;
            }
            done.requests += u64::from(row.requests);
            done.failed += u64::from(row.failed);
        }
        done
    }
}

fn joined(sides: &[Side<'_>; 2], rows: &[CallRow]) -> Option<[Done; 2]> {
    let [first, second] = sides;
    Some([first.done(rows)?, second.done(rows)?])
}

/// All pairs.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Overlaps {
    pairs: BTreeMap<(Place, Place), Overlap>,
    /// Windows in which rollouts, or pairs of them, were more than are followed.
    past_bound: u64,
    /// What units did in the window that is being closed, by rollout, in order.
    seen: Vec<(Place, Vec<Seen>)>,
}

impl Overlaps {
    /// What units of a release did in the window that is being closed.
    pub(super) fn collect(&mut self, release: usize, seen: &mut Vec<(usize, Vec<Seen>)>) {
        self.seen.extend(seen.drain(..).map(|(comparison, list)| ((release, comparison), list)));
    }

    /// A window has closed for all releases. `live`: rollouts to which it brought something, in order. `known`: any rollout.
    pub(super) fn close_window<'c>(
        &mut self,
        live: &[Live<'c>],
        known: impl Fn(Place) -> Option<&'c Comparison>,
        merged: &WindowPartial,
    ) {
        let seen = std::mem::take(&mut self.seen);
        self.pairs.retain(|(first, second), _| known(*first).is_some() && known(*second).is_some());
        for ((first, second), overlap) in self.pairs.iter_mut().filter(|(_, overlap)| !overlap.is_over) {
            if [first, second].into_iter().any(|of| known(*of).is_some_and(|of| of.end.is_some())) {
                overlap.end();
            }
        }
        let mut is_past = live.len() > ROLLOUTS_MAX;
        let live = live.get(..ROLLOUTS_MAX).unwrap_or(live);
        let has_unitless = merged.calls.as_slice().iter().any(|row| row.unit == 0);
        let mut followed = self.pairs.values().filter(|overlap| !overlap.is_over).count();
        for (at, first) in live.iter().enumerate() {
            for second in live.iter().skip(at + 1) {
                // Candidates of one service share their control: that is no accident.
                if first.at.0 == second.at.0 || !may_share_users(first.entry, second.entry) {
                    continue;
                }
                let of = [*first, *second];
                let by_call = of.iter().any(|live| live.comparison.unit.is_once() || live.comparison.by_request());
                let lists = of.map(|live| {
                    let at = seen.binary_search_by_key(&live.at, |(at, _)| *at);
                    at.ok().and_then(|at| seen.get(at)).map_or(&[][..], |(_, list)| list.as_slice())
                });
                let overlap = match self.pairs.entry((first.at, second.at)) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(vacant) => {
                        let has_some = match by_call {
                            true => {
                                let sides = of.map(|live| Side::of(live, merged));
                                let mut calls = merged.calls.as_slice().chunk_by(|a, b| a.call == b.call);
                                calls.any(|rows| joined(&sides, rows).is_some())
                            }
                            false => {
                                let is_there = |seen: &Seen| second.comparison.arm_in_stratum(seen.unit).is_some();
                                let from_other = |seen: &Seen| first.comparison.arm_in_stratum(seen.unit).is_some();
                                let [ours, theirs] = lists;
                                ours.iter().take(ASKED).any(is_there) || theirs.iter().take(ASKED).any(from_other)
                            }
                        };
                        if !has_some {
                            continue;
                        }
                        if followed >= PAIRS_MAX {
                            is_past = true;
                            continue;
                        }
                        followed += 1;
                        let cuts = of.map(|live| live.comparison.strata());
                        vacant.insert(Overlap { cuts, ..Overlap::default() })
                    }
                };
                overlap.keep_strata(of);
                overlap.window = merged.window;
                if by_call {
                    overlap.forget_arms();
                    overlap.take_calls(of, merged, true);
                } else {
                    overlap.take_units(of, lists);
                    if has_unitless {
                        overlap.take_calls(of, merged, false);
                    }
                }
            }
        }
        self.past_bound += u64::from(is_past);
        while self.pairs.len() > KEPT_MAX {
            let over = self.pairs.iter().filter(|(_, overlap)| overlap.is_over);
            let Some(oldest) = over.min_by_key(|(key, overlap)| (overlap.window, **key)).map(|(key, _)| *key) else {
                break;
            };
            self.pairs.remove(&oldest);
        }
    }

    /// Every pair that has something in common.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, Place, &Overlap)> {
        let has_some = |overlap: &Overlap| !overlap.by_unit.is_empty() || !overlap.by_call.is_empty();
        let pairs = self.pairs.iter().filter(move |(_, overlap)| has_some(overlap));
        pairs.map(|((first, second), overlap)| (*first, *second, overlap))
    }

    /// Windows in which rollouts, or pairs of them, were more than are followed.
    pub(super) fn past_bound(&self) -> u64 {
        self.past_bound
    }

    /// Of the pair with most units only every second goes on, where it has more than so many; false where none has.
    pub(super) fn halve_largest(&mut self, least: usize) -> bool {
        let largest = self.pairs.values_mut().max_by_key(|overlap| overlap.units.len());
        match largest.filter(|overlap| overlap.units.len() > least) {
            Some(overlap) => {
                overlap.halve();
                true
            }
            None => false,
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        memory::tree::<(Place, Place), Overlap>(self.pairs.len()) + self.pairs.values().map(Overlap::bytes).sum::<u64>()
    }

    /// Writes the state.
    pub(super) fn write(&self, w: &mut Writer) {
        w.uint(self.past_bound);
        w.length(self.pairs.len());
        for ((first, second), overlap) in &self.pairs {
            [first.0, first.1, second.0, second.1].into_iter().for_each(|number| w.uint(number as u64));
            overlap.write(w);
        }
    }

    /// Reads what [`Overlaps::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Overlaps, Damaged> {
        let mut overlaps = Overlaps { past_bound: r.uint()?, ..Overlaps::default() };
        for _ in 0..r.length()? {
            let mut number = || Ok::<usize, Damaged>(r.uint32()? as usize);
            let key = ((number()?, number()?), (number()?, number()?));
            overlaps.pairs.insert(key, Overlap::read(r)?);
        }
        Ok(overlaps)
    }
}

/// Two services of one environment and cell; one without a name is any. Cells of one service have users of their own.
fn may_share_users(a: &ServiceKey, b: &ServiceKey) -> bool {
    let one = |a: &str, b: &str| a == b || a.is_empty() || b.is_empty();
    a.service != b.service && one(&a.environment, &b.environment) && one(&a.cell, &b.cell)
}
