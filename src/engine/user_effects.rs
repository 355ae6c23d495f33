//! User effects (T3): what is usual for a user, learnt from the old version before the candidate appeared.
//!
//! Where users stick to an arm, most of the spread of latency lies between users, not between requests. What a user
//! usually sees is therefore taken from what is measured: a value y counts as y - a(user). Only windows in which the control
//! alone serves are learnt from, up to the one in which the comparison opens; then effects are frozen. So no request that
//! shares a window with one of the candidate is in them, they are blind to what it does, and however badly they fit they
//! cost power and never validity.
//!
//! Units share [`CELLS`] cells by 16 bits of a keyed hash. With n values of a cell, a = (their sum - n times the mean of
//! all) / (n + kappa): the fewer there are, the closer to 0 (statistics design 4.3).
//!
//! Learning takes a unit's first request of each window: that is what rows of a window tell of single requests. Users with
//! many requests in one window count less, which shrinks their effect and biases nothing. A request with several attempts
//! counts in the window in which it is complete; an outcome that carries no arm only where its unit was exposed before it in
//! the same window.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::latency_tests::Level;
use crate::engine::memory;
use crate::event::{self, KEY_EFFECTS};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::{Histogram, log2_fixed};
use crate::sketch::rows::UnitRow;
use crate::time::{MINUTE, Micros, Timestamp};

/// Cells that units share. With 2,048 for 20,000 users a fifth of small shifts would be missed.
const CELLS: usize = 1 << 16;
/// Shortest history from which effects are taken.
const HISTORY: Micros = 24 * 60 * MINUTE;
/// Time and requests after which thresholds freeze; requests above them are learnt from then on.
const THRESHOLDS_AFTER: Micros = 6 * 60 * MINUTE;
const THRESHOLDS_REQUESTS: u64 = 1_000;
/// Requests of another arm, alone, after which the service is that arm's: fewer are stray ones, and only pause learning.
const OTHER_ALONE: u64 = 1_000;
/// Values that pull an effect half way to 0: mean of the logarithm, and shares above p50, p90, p99.
const KAPPA_MEAN: f64 = 3.0;
const KAPPA: [f64; Level::ALL.len()] = [10.0, 10.0, 100.0];
/// Fraction bits of the effect on a share.
const FRACTION: u32 = 30;

/// What was seen of the units of one cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Seen {
    /// Requests.
    n: u32,
    /// Requests since thresholds are known.
    since: u32,
    /// Binary logarithms of latencies, 2^-16.
    sum: i64,
    /// Of `since`: those above p50, p90, p99.
    above: [u32; Level::ALL.len()],
}

/// Cells of which more than this are in use take their place in a list of all.
const FEW_CELLS: usize = 4_096;

/// What is known of cells; of a service with few users only of theirs.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Cells<T> {
    Few(BTreeMap<u16, T>),
    All(Vec<T>),
}

impl<T: Copy + Default + PartialEq> Cells<T> {
    const NONE: Cells<T> = Cells::Few(BTreeMap::new());

    /// Those of a list of all that are not as they were at first.
    fn of_all(all: impl Iterator<Item = T>) -> Cells<T> {
        let mut cells = Cells::NONE;
        for (at, of) in (0..=u16::MAX).zip(all) {
            if of != T::default() {
                *cells.get_mut(at) = of;
            }
        }
        cells
    }

    #[inline]
    fn get(&self, at: u16) -> T {
        match self {
            Cells::Few(few) => few.get(&at),
            Cells::All(all) => all.get(usize::from(at)),
        }
        .copied()
        .unwrap_or_default()
    }

    #[inline]
    fn get_mut(&mut self, at: u16) -> &mut T {
        if let Cells::Few(few) = self
            && few.len() >= FEW_CELLS
            && !few.contains_key(&at)
        {
            let mut all = vec![T::default(); CELLS];
            few.iter().for_each(|(at, of)| all[usize::from(*at)] = *of);
            *self = Cells::All(all);
        }
        match self {
            Cells::Few(few) => few.entry(at).or_default(),
            Cells::All(all) => &mut all[usize::from(at)],
        }
    }

    /// Those in use, or all.
    fn used(&self) -> Box<dyn Iterator<Item = T> + '_> {
        match self {
            Cells::Few(few) => Box::new(few.values().copied()),
            Cells::All(all) => Box::new(all.iter().copied()),
        }
    }

    /// Every one, in order.
    fn all(&self) -> impl Iterator<Item = T> + '_ {
        (0..=u16::MAX).map(|at| self.get(at))
    }

    fn bytes(&self) -> u64 {
        match self {
            Cells::Few(few) => memory::tree::<u16, T>(few.len()),
            Cells::All(all) => (all.len() * size_of::<T>()) as u64,
        }
    }
}

/// Learns the effects of one arm's users.
#[derive(Clone, PartialEq, Debug)]
pub struct Learning {
    /// The arm.
    pub arm: String,
    started: Timestamp,
    ended: Timestamp,
    pooled: Histogram,
    thresholds: Option<[u16; Level::ALL.len()]>,
    cells: Cells<Seen>,
}

#[inline]
fn cell_of(unit: u64) -> u16 {
    (event::mix(unit, KEY_EFFECTS) >> 48) as u16
}

impl Learning {
    /// Nothing learnt yet.
    pub fn new(arm: &str, started: Timestamp) -> Learning {
        Learning {
            arm: arm.to_owned(),
            started,
            ended: started,
            pooled: Histogram::default(),
            thresholds: None,
            cells: Cells::NONE,
        }
    }

    /// A unit's first request of a window took as long as its `bin` says.
    #[inline]
    pub fn request(&mut self, unit: u64, bin: u16) {
        let seen = self.cells.get_mut(cell_of(unit));
        if seen.n == u32::MAX {
            return;
        }
        seen.n += 1;
        seen.sum += i64::from(log2_fixed(bin));
        match self.thresholds {
            Some(thresholds) => {
                seen.since += 1;
                for (above, threshold) in seen.above.iter_mut().zip(thresholds) {
                    *above += u32::from(bin > threshold);
                }
            }
            None => self.pooled.add(bin, 1),
        }
    }

    /// A window closes in which the arm was the only one.
    pub fn close_window(&mut self, end: Timestamp) {
        self.ended = end;
        let known = self.ended.0 - self.started.0 >= THRESHOLDS_AFTER && self.pooled.count >= THRESHOLDS_REQUESTS;
        if self.thresholds.is_none() && known {
            let [p50, p90, p99] = Level::ALL.map(|level| self.pooled.quantile_bin(level.quantile()));
            if let (Some(p50), Some(p90), Some(p99)) = (p50, p90, p99) {
                self.thresholds = Some([p50, p90, p99]);
                self.pooled = Histogram::default();
            }
        }
    }

    /// The effects, when the history is long enough.
    pub fn effects(&self) -> Option<Arc<Effects>> {
        let thresholds = self.thresholds.filter(|_| self.ended.0 - self.started.0 >= HISTORY)?;
        let n: u64 = self.cells.used().map(|seen| u64::from(seen.n)).sum();
        let since: u64 = self.cells.used().map(|seen| u64::from(seen.since)).sum();
        if since < THRESHOLDS_REQUESTS {
            return None;
        }
        let mean = self.cells.used().map(|seen| seen.sum as f64).sum::<f64>() / n as f64;
        let levels = [0, 1, 2]
            .map(|level| self.cells.used().map(|seen| u64::from(seen.above[level])).sum::<u64>() as f64 / since as f64);
        let cells = self.cells.all().map(|seen| {
            let (n, since) = (f64::from(seen.n), f64::from(seen.since));
            let above = [0, 1, 2].map(|level| {
                let effect = (f64::from(seen.above[level]) - since * levels[level]) / (since + KAPPA[level]);
                (effect * f64::from(1u32 << FRACTION)).round() as i32
            });
            Effect { mean: ((seen.sum as f64 - n * mean) / (n + KAPPA_MEAN)).round() as i32, above }
        });
        Some(Arc::new(Effects::new(thresholds, self.ended.0 - self.started.0, Cells::of_all(cells))))
    }

    /// Writes what was learnt.
    pub fn write(&self, w: &mut Writer) {
        w.text(&self.arm);
        w.int(self.started.0);
        w.int(self.ended.0);
        w.length(self.pooled.iter().count());
        for (bin, count) in self.pooled.iter() {
            w.uint(u64::from(bin));
            w.uint(count);
        }
        write_thresholds(w, self.thresholds);
        for seen in self.cells.all() {
            w.uint(u64::from(seen.n));
            if seen.n > 0 {
                w.uint(u64::from(seen.since));
                w.int(seen.sum);
                seen.above.iter().for_each(|above| w.uint(u64::from(*above)));
            }
        }
    }

    /// Reads what [`Learning::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Learning, Damaged> {
        let arm = r.text()?;
        let mut learning = Learning::new(&arm, Timestamp(r.int()?));
        learning.ended = Timestamp(r.int()?);
        for _ in 0..r.length()? {
            let bin = r.uint16()?;
            learning.pooled.add(bin, r.uint()?);
        }
        learning.thresholds = read_thresholds(r)?;
        for at in 0..=u16::MAX {
            let n = r.uint32()?;
            if n > 0 {
                let (since, sum) = (r.uint32()?, r.int()?);
                *learning.cells.get_mut(at) = Seen { n, since, sum, above: [r.uint32()?, r.uint32()?, r.uint32()?] };
            }
        }
        Ok(learning)
    }
}

/// A request that is known when its window closes, under an arm.
#[derive(Clone, Copy, Debug)]
pub struct HistoryRequest<'w> {
    /// Hash of the unit.
    pub unit: u64,
    /// Microseconds after the start of the window.
    pub at: u32,
    /// Name of the arm.
    pub arm: &'w str,
    /// How many equal requests.
    pub count: u32,
    /// Latency bin plus one, 0 without a latency.
    pub latency: u16,
}

/// A window that closes while nothing is compared.
#[derive(Clone, Debug)]
pub struct HistoryWindow<'w> {
    /// Requests of the entry service.
    pub rows: &'w [UnitRow],
    /// Names of their arms.
    pub arms: &'w [String],
    /// Requests that are in no row, in any order.
    pub joined: Vec<HistoryRequest<'w>>,
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
}

impl HistoryWindow<'_> {
    /// The arm that serves alone; `None` where there are several, or lines without one.
    fn only_arm(&self) -> Option<&str> {
        let of_rows = match self.rows.first() {
            Some(first) if self.rows.iter().any(|row| row.arm != first.arm) => return None,
            Some(first) => Some(event::name_at(self.arms, first.arm)?.as_str()),
            None => None,
        };
        let arm = of_rows.or(self.joined.first().map(|request| request.arm))?;
        self.joined.iter().all(|request| request.arm == arm).then_some(arm)
    }

    fn requests(&self) -> u64 {
        let of_rows: u64 = self.rows.iter().map(|row| u64::from(row.requests)).sum();
        of_rows + self.joined.iter().map(|request| u64::from(request.count)).sum::<u64>()
    }

    /// Each unit's first request with its latency bin plus one.
    fn first_requests(&self, mut take: impl FnMut(u64, u16)) {
        if self.joined.is_empty() {
            return self.rows.iter().for_each(|row| take(row.unit, row.first_latency));
        }
        let of_rows = self.rows.iter().map(|row| (row.unit, row.first, row.first_latency));
        let joined = self.joined.iter().map(|request| (request.unit, request.at, request.latency));
        let mut all: Vec<(u64, u32, u16)> = of_rows.chain(joined).collect();
        all.sort_unstable();
        all.dedup_by_key(|(unit, _, _)| *unit);
        all.into_iter().for_each(|(unit, _, latency)| take(unit, latency));
    }
}

/// The history of one release: learns while a single arm serves, and is frozen when a candidate is compared with it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct History {
    learning: Option<Learning>,
    /// Another arm that has served alone since the learnt one last did, and its requests.
    other: Option<(String, u64)>,
    frozen: Option<(String, Arc<Effects>)>,
}

impl History {
    /// A window closes while nothing is compared. Where more than one arm serves, nothing is learnt; another arm alone pauses
    /// learning, and is learnt anew once it has had 1,000 requests.
    pub fn close_window(&mut self, window: &HistoryWindow<'_>) {
        let Some(arm) = window.only_arm() else { return };
        if self.learning.as_ref().is_some_and(|learning| learning.arm != *arm) {
            let before = self.other.take().filter(|(other, _)| *other == *arm).map_or(0, |(_, requests)| requests);
            let requests = before + window.requests();
            if requests < OTHER_ALONE {
                self.other = Some((arm.to_owned(), requests));
                return;
            }
            self.learning = None;
        }
        self.other = None;
        let learning = self.learning.get_or_insert_with(|| Learning::new(arm, window.start));
        window.first_requests(|unit, latency| {
            if latency > 0 {
                learning.request(unit, latency - 1);
            }
        });
        learning.close_window(window.end);
    }

    /// Effects under a control with which a candidate is compared from now on.
    pub fn freeze(&mut self, control: &str) -> Option<Arc<Effects>> {
        self.other = None;
        if let Some(learning) = self.learning.take() {
            match learning.effects() {
                Some(effects) => self.frozen = Some((learning.arm, effects)),
                // Since the last rollout there was no whole day: what was known before it still is.
                None if self.frozen.as_ref().is_some_and(|(arm, _)| *arm == learning.arm) => {}
                None => self.frozen = None,
            }
        }
        self.frozen.as_ref().filter(|(arm, _)| arm == control).map(|(_, effects)| effects.clone())
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        let learning = |learning: &Learning| {
            memory::text(&learning.arm) + memory::list::<u64>(learning.pooled.len()) + learning.cells.bytes()
        };
        self.learning.as_ref().map_or(0, learning)
            + self.other.as_ref().map_or(0, |(arm, _)| memory::text(arm))
            + self.frozen.as_ref().map_or(0, |(arm, effects)| memory::text(arm) + effects.bytes())
    }

    /// When something was learnt last; of one that learns nothing now, never.
    pub fn learnt_at(&self) -> Timestamp {
        self.learning.as_ref().map_or(Timestamp(i64::MIN), |learning| learning.ended)
    }

    /// Writes the history.
    pub fn write(&self, w: &mut Writer) {
        w.flag(self.learning.is_some());
        if let Some(learning) = &self.learning {
            learning.write(w);
        }
        w.flag(self.other.is_some());
        if let Some((arm, requests)) = &self.other {
            w.text(arm);
            w.uint(*requests);
        }
        w.flag(self.frozen.is_some());
        if let Some((arm, effects)) = &self.frozen {
            w.text(arm);
            effects.write(w);
        }
    }

    /// Reads what [`History::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<History, Damaged> {
        let learning = if r.flag()? { Some(Learning::read(r)?) } else { None };
        let other = if r.flag()? { Some((r.text()?, r.uint()?)) } else { None };
        let frozen = if r.flag()? { Some((r.text()?, Effects::read(r)?)) } else { None };
        Ok(History { learning, other, frozen })
    }
}

/// What is usual for the users of one cell, beyond what is usual for all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Effect {
    /// On the binary logarithm of latency, 2^-16.
    mean: i32,
    /// On the shares above p50, p90, p99, 2^-30.
    above: [i32; Level::ALL.len()],
}

impl Effect {
    /// On the binary logarithm of latency, 2^-16.
    #[inline]
    pub fn on_mean(self) -> i64 {
        i64::from(self.mean)
    }

    /// On the share above a threshold, 2^-32.
    #[inline]
    pub fn on_share(self, level: Level) -> i64 {
        i64::from(self.above[level as usize]) << (32 - FRACTION)
    }
}

/// Frozen effects.
#[derive(PartialEq, Eq, Debug)]
pub struct Effects {
    /// Bins of p50, p90, p99 of the history.
    pub thresholds: [u16; Level::ALL.len()],
    /// Event time over which they were learnt.
    pub history: Micros,
    /// Hash of all of them.
    pub digest: u64,
    cells: Cells<Effect>,
}

impl Effects {
    fn new(thresholds: [u16; Level::ALL.len()], history: Micros, cells: Cells<Effect>) -> Effects {
        let mut effects = Effects { thresholds, history, digest: 0, cells };
        let mut w = Writer::default();
        effects.write(&mut w);
        effects.digest = xxhash_rust::xxh3::xxh3_64(&w.bytes);
        effects
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        size_of::<Effects>() as u64 + self.cells.bytes()
    }

    /// What is usual for a unit.
    #[inline]
    pub fn of(&self, unit: u64) -> Effect {
        self.cells.get(cell_of(unit))
    }

    /// Writes the effects.
    pub fn write(&self, w: &mut Writer) {
        write_thresholds(w, Some(self.thresholds));
        w.int(self.history);
        for effect in self.cells.all() {
            w.int(i64::from(effect.mean));
            effect.above.iter().for_each(|above| w.int(i64::from(*above)));
        }
    }

    /// Reads what [`Effects::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Arc<Effects>, Damaged> {
        let thresholds = read_thresholds(r)?.ok_or(Damaged("effects without thresholds"))?;
        let history = r.int()?;
        let mut cells = Vec::with_capacity(CELLS);
        let mut effect = || i32::try_from(r.int()?).map_err(|_| Damaged("impossible effect"));
        for _ in 0..CELLS {
            cells.push(Effect { mean: effect()?, above: [effect()?, effect()?, effect()?] });
        }
        Ok(Arc::new(Effects::new(thresholds, history, Cells::of_all(cells.into_iter()))))
    }
}

fn write_thresholds(w: &mut Writer, thresholds: Option<[u16; Level::ALL.len()]>) {
    w.flag(thresholds.is_some());
    thresholds.unwrap_or_default().into_iter().for_each(|bin| w.uint(u64::from(bin)));
}

fn read_thresholds(r: &mut Reader<'_>) -> Result<Option<[u16; Level::ALL.len()]>, Damaged> {
    let known = r.flag()?;
    let thresholds = [r.uint16()?, r.uint16()?, r.uint16()?];
    Ok(known.then_some(thresholds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::latency::bin_of;

    const HOUR: Micros = 60 * MINUTE;

    /// Users whose latency is 20 or 200 ms, by turns; a history of so many hours.
    fn history(hours: i64) -> Learning {
        let mut learning = Learning::new("old", Timestamp(0));
        for hour in 0..hours {
            for user in 0..400u64 {
                let us = if user % 2 == 0 { 20_000 } else { 200_000 };
                learning.request(event::mix(user, 77), bin_of(us + user * 3 + (hour as u64 * 7) % 50));
            }
            learning.close_window(Timestamp((hour + 1) * HOUR));
        }
        learning
    }

    #[test]
    fn a_day_is_needed() {
        assert!(history(23).effects().is_none());
        let effects = history(24).effects().unwrap();
        assert_eq!(effects.history, 24 * HOUR);
    }

    #[test]
    fn effects_are_what_is_usual_shrunk_by_how_little_is_known() {
        let effects = history(30).effects().unwrap();
        let octaves = |user: u64| effects.of(event::mix(user, 77)).on_mean() as f64 / 65_536.0;
        // log2 of a tenfold difference, half of it to either side of the mean; 30 of 33 values count.
        let expected = math_log2(10.0) / 2.0 * 30.0 / 33.0;
        for user in [2, 100, 398] {
            assert!((octaves(user) + expected).abs() < 0.06, "{} {expected}", octaves(user));
            assert!((octaves(user + 1) - expected).abs() < 0.06, "{} {expected}", octaves(user + 1));
        }
        // One who was never seen is as all are.
        assert_eq!(octaves(1 << 40), 0.0);
        let share = |user: u64| effects.of(event::mix(user, 77)).on_share(Level::P50) as f64 / 2f64.powi(32);
        assert!(share(2) < -0.3 && share(3) > 0.3, "{} {}", share(2), share(3));
    }

    fn math_log2(x: f64) -> f64 {
        crate::math::ln(x) / core::f64::consts::LN_2
    }

    #[test]
    fn learning_and_effects_come_back_as_they_were() {
        for hours in [2, 30] {
            let learning = history(hours);
            let mut w = Writer::default();
            learning.write(&mut w);
            assert_eq!(Learning::read(&mut Reader::new(&w.bytes)).unwrap(), learning);
        }
        let effects = history(30).effects().unwrap();
        let mut w = Writer::default();
        effects.write(&mut w);
        assert_eq!(Effects::read(&mut Reader::new(&w.bytes)).unwrap(), effects);
    }
}
