//! Segments: groups of units (region, device, tier, ...) that are tested by themselves, and told beside the verdict.
//!
//! A cell is one value of one field. Cells enter in order of first appearance: by window, within a window those that most
//! units come with first, whatever happened to them. For each there is a share test of units with a failed request and a
//! bucket test of mean latency (statistics design 4.4); both count in the error budget with a fixed weight. A unit is in the
//! segments that it names first in a stratum, for units at risk and for failures alike, as its arm is; N are all distinct
//! units of the segment in the stratum (4.1). Whoever names none is in no cell.
//!
//! Where the arms are not made of the same units (more of the candidate's come from a region than of the control's), a
//! difference between the arms may be one between regions. That is seen from units alone, and then nothing fails by more
//! than what is left within segments: see [`Segments::unequal`].

pub(in crate::engine) mod explain;

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::compare::bucket::{self, ArmStats, Variance};
use crate::compare::share::{self, Stratum};
use crate::compare::{budget, margin};
use crate::engine::bucket_sums::{BucketSums, Values, View};
use crate::engine::comparison::{Activity, WindowInput};
use crate::engine::first_events::FirstEvents;
use crate::engine::memory;
use crate::engine::units::{Arm, UnitStore};
use crate::event::{self, NO_NAME, Names, SEGMENT_FIELDS_MAX};
use crate::math;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::{OTHER, pair_hash};
use crate::sketch::rows::SegmentRow;

pub use explain::{Adjusted, Member, Mix, Rest, Told};

/// Cells of a comparison that are tested (statistics design 4.4); units of further ones are counted together.
pub const CELLS_MAX: usize = 50;
/// Units whose segments are remembered; past it a hash sample halves.
pub const SEGMENT_UNITS_MAX: usize = 1 << 20;
/// Ratio of shares of a segment that is not called another mix of units.
const MIX_TOLERANCE: f64 = 1.2;
/// Units of the control that a segment has at least, to be compared with; and share of the candidate's units in such segments
/// from which on a field divides units, and does not tell the arm.
const SUPPORT_UNITS: u64 = 20;
const SUPPORT_MIN: f64 = 0.9;
/// A value is the candidate's own where it has so many units there, and so many times the control's share; such values may
/// hold so much of its units.
const OWN_UNITS: u64 = 10;
const OWN_TIMES: f64 = 10.0;
const OWN_MAX: f64 = 0.01;

/// A unit that has not named a value of a field in the stratum.
const UNKNOWN: u8 = u8::MAX;
/// A unit whose value is no cell.
const NO_CELL: u8 = u8::MAX - 1;

/// What is tested of a cell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SegmentTest {
    /// Units with a failed request, share test.
    Errors,
    /// Mean of the logarithm of latency, bucket test.
    Latency,
}

impl SegmentTest {
    /// Every test, in order.
    pub const ALL: [SegmentTest; 2] = [SegmentTest::Errors, SegmentTest::Latency];

    /// The word that ledgers and reports use.
    pub fn name(self) -> &'static str {
        match self {
            SegmentTest::Errors => "errors",
            SegmentTest::Latency => "latency",
        }
    }
}

/// One test of one cell: the cell's place, and which test.
pub type SegmentCell = (usize, SegmentTest);

/// What a cell says at a look: ln e of each test, `None` below its minimum.
pub type SegmentLook = [Option<f64>; SegmentTest::ALL.len()];

/// ln of the weight of one test of one cell.
pub fn log_weight() -> f64 {
    math::ln(weight())
}

/// Weight of one test of one cell.
pub fn weight() -> f64 {
    budget::segment_weight((CELLS_MAX * SegmentTest::ALL.len()) as u32)
}

/// State of one cell.
#[derive(Clone, PartialEq, Debug)]
pub struct Cell {
    /// Index of the field.
    pub field: usize,
    /// The value.
    pub value: String,
    /// Distinct units of the segment, and those of them whose first failed request came, by stratum.
    pub units: FirstEvents,
    /// Latency of their requests; none before the first.
    pub latency: Option<Box<BucketSums>>,
    /// What was said when its counts changed last.
    said: SegmentLook,
    /// Counts have changed since: of units, of latencies.
    dirty: [bool; SegmentTest::ALL.len()],
    /// ln e of "its share of units differs between the arms", and of how many units of the field.
    mix: (f64, u64),
}

impl Cell {
    fn new(field: usize, value: &str) -> Cell {
        Cell {
            field,
            value: value.to_owned(),
            units: FirstEvents::default(),
            latency: None,
            said: [None; SegmentTest::ALL.len()],
            dirty: [false; SegmentTest::ALL.len()],
            mix: (0.0, 0),
        }
    }

    /// Evaluates what has changed.
    fn evaluate(&mut self) {
        let [errors, latency] = &mut self.dirty;
        if std::mem::take(errors) {
            let [(control, a), (candidate, b)] = self.units.totals();
            let has_data = control > 0 && candidate > 0;
            self.said[0] = has_data.then(|| match a + b {
                0 => 0.0,
                _ => share::log_e_fail(self.units.strata(), 1.0),
            });
        }
        if std::mem::take(latency)
            && let Some(sums) = &self.latency
        {
            self.said[1] = latency_stats(&sums.view()).map(log_e_latency);
        }
    }

    /// (control, candidate) of its latency; `None` below the minimum of the test.
    pub fn latency_stats(&self) -> Option<[ArmStats; 2]> {
        self.latency.as_ref().and_then(|sums| latency_stats(&sums.view()))
    }
}

/// Minimum rule of a mean latency (statistics design 4.2).
fn latency_stats(view: &View) -> Option<[ArmStats; 2]> {
    let [control, candidate] = view.events();
    (control.min(candidate) >= 200).then(|| view.stats())
}

fn log_e_latency([control, candidate]: [ArmStats; 2]) -> f64 {
    bucket::log_e_fail(&candidate, &control, margin::LATENCY_MEAN, Variance::Adjusted)
}

/// What is remembered of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct OfUnit {
    stratum: u16,
    /// It had a failed request.
    erred: bool,
    /// Cell of each field, [`UNKNOWN`], or [`NO_CELL`].
    cells: [u8; SEGMENT_FIELDS_MAX],
}

type Units = HashMap<u64, OfUnit, foldhash::fast::FixedState>;

/// A unit's rows of a window, as a comparison sees them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentInput {
    /// What the window says.
    pub row: SegmentRow,
    /// Arm that the row names: `None` where it names none. Rows of other arms are left out.
    pub arm: Option<Arm>,
}

/// Segments of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    /// Fields, as the plan names them.
    pub fields: Vec<String>,
    /// Cells in the order in which they entered.
    pub cells: Vec<Cell>,
    /// Units that named a value of any field, by stratum.
    pub all: FirstEvents,
    units: Units,
    /// Units whose keyed hash is above this are not followed any more; `None` while all are.
    range: Option<u64>,
    /// Units of values that are no cell.
    pub past_bound: u64,
    /// (control, candidate) units in two cells at once, and those of them with a failed request: by the places of both.
    pairs: BTreeMap<(u8, u8), [[u64; 2]; 2]>,
}

impl Segments {
    /// Segments of these fields; nothing was seen yet.
    pub fn new(fields: &[String]) -> Segments {
        Segments { fields: fields.iter().take(SEGMENT_FIELDS_MAX).cloned().collect(), ..Segments::default() }
    }

    /// There are no fields.
    pub fn is_none(&self) -> bool {
        self.fields.is_empty()
    }

    /// A cell in words: `region = jp`.
    pub fn name(&self, cell: usize) -> String {
        let Some(cell) = self.cells.get(cell) else { return String::new() };
        let field = self.fields.get(cell.field).map_or("", String::as_str);
        format!("{field} = {}", cell.value)
    }

    /// Share of units whose segments are followed.
    pub fn followed(&self) -> f64 {
        self.range.map_or(1.0, |range| range as f64 / u64::MAX as f64)
    }

    /// A new stratum begins.
    pub(super) fn cut(&mut self) {
        self.all.cut_with(self.cells.iter_mut().map(|cell| &mut cell.units));
    }

    /// Nothing more comes: what is remembered of units goes.
    pub(super) fn forget_units(&mut self) {
        self.units = Units::default();
    }

    /// Of a rollout that is over what each segment counted and said stays; latencies and pairs of segments go.
    pub(super) fn keep_the_gist(&mut self) {
        self.forget_units();
        self.cells.iter_mut().for_each(|cell| cell.latency = None);
        self.pairs = BTreeMap::new();
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        let of_latency = |cell: &Cell| cell.latency.as_ref().map_or(0, |sums| sums.bytes());
        let of_cell = |cell: &Cell| {
            memory::text(&cell.value) + cell.units.bytes() + memory::boxed(&cell.latency) + of_latency(cell)
        };
        memory::list::<String>(self.fields.len())
            + self.fields.iter().map(|field| memory::text(field)).sum::<u64>()
            + memory::list::<Cell>(self.cells.len())
            + self.cells.iter().map(of_cell).sum::<u64>()
            + self.all.bytes()
            + memory::table::<(u64, OfUnit)>(self.units.len())
            + memory::tree::<(u8, u8), [[u64; 2]; 2]>(self.pairs.len())
    }

    /// A window closes. The store has taken its units; `stratum`: the current one. `by_request`: each request counts by
    /// itself.
    pub(super) fn close_window(
        &mut self,
        input: &WindowInput<'_>,
        (store, stratum): (&UnitStore, u16),
        by_request: bool,
    ) {
        if self.fields.is_empty() {
            return;
        }
        let (rows, activities) = (input.segments.as_slice(), input.activities);
        let cells = self.cells_of(rows, input.names);
        let (mut at, mut done) = (0, 0);
        while at < rows.len() || done < activities.len() {
            let next = |row: Option<u64>, activity: Option<u64>| row.into_iter().chain(activity).min();
            let Some(unit) = next(rows.get(at).map(|row| row.row.unit), activities.get(done).map(|of| of.unit)) else {
                break;
            };
            let of_rows = rows[at..].iter().take_while(|row| row.row.unit == unit).count();
            let of_activities = activities[done..].iter().take_while(|of| of.unit == unit).count();
            let (rows, activities) = (&rows[at..at + of_rows], &activities[done..done + of_activities]);
            (at, done) = (at + of_rows, done + of_activities);
            if by_request {
                self.requests(unit, rows, activities, &cells);
            } else if let Some(entry) = store.get(unit)
                && entry.stratum == stratum
            {
                self.unit(unit, entry.arm(), stratum, rows, activities, &cells);
            }
        }
        for sums in self.cells.iter_mut().filter_map(|cell| cell.latency.as_mut()) {
            sums.close_window(input.start, input.end);
        }
        while self.units.len() > SEGMENT_UNITS_MAX {
            let range = self.range.unwrap_or(u64::MAX) >> 1;
            self.range = Some(range);
            self.units.retain(|unit, _| pair_hash(*unit) <= range);
        }
    }

    /// Cell of each value of a window, by field; new ones are made while there is room.
    fn cells_of(&mut self, rows: &[SegmentInput], names: &Names) -> [Vec<u8>; SEGMENT_FIELDS_MAX] {
        let mut cells: [Vec<u8>; SEGMENT_FIELDS_MAX] = std::array::from_fn(|field| {
            let place = |value: &String| {
                let is_it = |cell: &Cell| cell.field == field && cell.value == *value;
                self.cells.iter().position(is_it).map_or(NO_CELL, |at| at as u8)
            };
            names.segments[field].iter().map(place).collect()
        });
        if self.cells.len() >= CELLS_MAX {
            return cells;
        }
        // Rows of values that are no cell yet: most first, then by field and name, whatever order they came in.
        let mut fresh: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        for row in rows {
            for (field, value) in row.row.values.iter().enumerate().take(self.fields.len()) {
                let at = usize::from(*value);
                if *value != NO_NAME && cells[field].get(at) == Some(&NO_CELL) {
                    *fresh.entry((field, at)).or_default() += 1;
                }
            }
        }
        let mut fresh: Vec<((usize, usize), u64)> = fresh.into_iter().collect();
        fresh.sort_by_key(|(place, rows)| (std::cmp::Reverse(*rows), *place));
        for ((field, at), _) in fresh {
            let Some(value) = names.segments[field].get(at).filter(|value| *value != OTHER) else { continue };
            if self.cells.len() >= CELLS_MAX {
                break;
            }
            cells[field][at] = self.cells.len() as u8;
            self.cells.push(Cell { units: FirstEvents::beside(&self.all), ..Cell::new(field, value) });
        }
        cells
    }

    /// The value of a field that rows of a unit name first; at one microsecond the one whose name is smaller.
    fn first_cell(rows: &[SegmentInput], field: usize, cells: &[u8]) -> Option<u8> {
        let named = rows.iter().filter(|row| row.row.values[field] != NO_NAME);
        let first = named.min_by_key(|row| (row.row.at, row.row.values[field]))?;
        Some(cells.get(usize::from(first.row.values[field])).copied().unwrap_or(NO_CELL))
    }

    fn unit(
        &mut self,
        unit: u64,
        arm: Arm,
        stratum: u16,
        rows: &[SegmentInput],
        activities: &[Activity],
        cells: &[Vec<u8>; SEGMENT_FIELDS_MAX],
    ) {
        let errs = activities.iter().any(|of| of.errors > 0);
        if self.range.is_some_and(|range| pair_hash(unit) > range) {
            return;
        }
        let known = match self.units.get(&unit) {
            Some(known) => *known,
            None if rows.is_empty() => return,
            None => OfUnit { stratum: stratum.wrapping_add(1), erred: false, cells: [UNKNOWN; SEGMENT_FIELDS_MAX] },
        };
        let mut of = known;
        if of.stratum != stratum && !rows.is_empty() {
            of = OfUnit { stratum, cells: [UNKNOWN; SEGMENT_FIELDS_MAX], ..of };
            self.all.at_risk(arm, 1);
        }
        let is_first = errs && !of.erred;
        if of.stratum == stratum {
            for (field, cells) in cells.iter().enumerate().take(self.fields.len()) {
                if of.cells[field] != UNKNOWN {
                    continue;
                }
                let Some(cell) = Segments::first_cell(rows, field, cells) else { continue };
                of.cells[field] = cell;
                match self.cells.get_mut(usize::from(cell)) {
                    Some(entered) => {
                        entered.units.at_risk(arm, 1);
                        entered.dirty[0] = true;
                        self.meet(&of, field, arm);
                    }
                    None => self.past_bound += 1,
                }
            }
            if is_first {
                self.all.first(arm, 1);
                for cell in of.cells {
                    if let Some(cell) = self.cells.get_mut(usize::from(cell)) {
                        cell.units.first(arm, 1);
                        cell.dirty[0] = true;
                    }
                }
                self.count_pairs(&of, |counts| counts[arm.at()][1] += 1);
            }
        }
        of.erred |= errs;
        self.add_latencies(unit, Some(arm), rows, &of.cells);
        if of != known || !self.units.contains_key(&unit) {
            self.units.insert(unit, of);
        }
    }

    /// A unit has come into a cell of a field: it is in that of each other field too.
    fn meet(&mut self, of: &OfUnit, field: usize, arm: Arm) {
        for (other, cell) in of.cells.iter().enumerate() {
            if other != field && usize::from(*cell) < self.cells.len() {
                let (low, high) = (of.cells[field].min(*cell), of.cells[field].max(*cell));
                self.pairs.entry((low, high)).or_default()[arm.at()][0] += 1;
            }
        }
    }

    fn count_pairs(&mut self, of: &OfUnit, mut count: impl FnMut(&mut [[u64; 2]; 2])) {
        for (field, a) in of.cells.iter().enumerate() {
            for b in of.cells.iter().skip(field + 1) {
                if let Some(counts) = self.pairs.get_mut(&(*a.min(b), *a.max(b))) {
                    count(counts);
                }
            }
        }
    }

    /// Requests of a unit where each counts by itself.
    fn requests(
        &mut self,
        unit: u64,
        rows: &[SegmentInput],
        activities: &[Activity],
        cells: &[Vec<u8>; SEGMENT_FIELDS_MAX],
    ) {
        let mut own = [UNKNOWN; SEGMENT_FIELDS_MAX];
        for (field, cell) in own.iter_mut().enumerate().take(self.fields.len()) {
            *cell = Segments::first_cell(rows, field, &cells[field]).unwrap_or(UNKNOWN);
        }
        if rows.is_empty() {
            return;
        }
        for of in activities {
            let (requests, errors) = (u64::from(of.requests), u64::from(of.errors));
            self.all.at_risk(of.arm, requests);
            self.all.first(of.arm, errors);
            for cell in own.iter().filter(|cell| **cell != UNKNOWN) {
                match self.cells.get_mut(usize::from(*cell)) {
                    Some(cell) => {
                        cell.units.at_risk(of.arm, requests);
                        cell.units.first(of.arm, errors);
                        cell.dirty[0] = true;
                    }
                    None => self.past_bound += requests,
                }
            }
            let count = self.cells.len();
            let in_cell: Vec<u8> = own.iter().copied().filter(|cell| usize::from(*cell) < count).collect();
            for (at, a) in in_cell.iter().enumerate() {
                for b in in_cell.iter().skip(at + 1) {
                    let counts = self.pairs.entry((*a.min(b), *a.max(b))).or_default();
                    counts[of.arm.at()][0] += requests;
                    counts[of.arm.at()][1] += errors;
                }
            }
        }
        // Without an arm of its own a request is its unit's, which nobody knows here.
        self.add_latencies(unit, None, rows, &own);
    }

    /// Latencies of rows, each in the arm that it names, else its unit's.
    fn add_latencies(&mut self, unit: u64, arm: Option<Arm>, rows: &[SegmentInput], cells: &[u8]) {
        let bucket = event::bucket_of(unit) as usize;
        for SegmentInput { row, arm: of_row } in rows.iter().filter(|row| row.row.latencies > 0) {
            let Some(arm) = of_row.or(arm) else { continue };
            for cell in cells {
                if let Some(cell) = self.cells.get_mut(usize::from(*cell)) {
                    let sums = cell.latency.get_or_insert_with(|| Box::new(BucketSums::new(Values::Log2)));
                    let sum = i64::try_from(row.sum).unwrap_or(i64::MAX);
                    sums.add(arm, bucket, u64::from(row.latencies), sum, i128::from(row.square));
                    cell.dirty[1] = true;
                }
            }
        }
    }

    /// What each cell says. Only cells with new data are evaluated again.
    pub(super) fn said(&mut self) -> Vec<SegmentLook> {
        self.cells.iter_mut().for_each(Cell::evaluate);
        self.cells.iter().map(|cell| cell.said).collect()
    }

    /// Fields by whose values the units of the arms differ by more than chance: the release, or who assigns units, has
    /// chosen them by it.
    ///
    /// For each cell "a unit is in it" is a category of the two-sided share test with a tolerance, as routes are; the
    /// evidence of a field is the mean over its cells. A field whose segments mostly have units of one arm alone tells the arm (a
    /// version that writes values another way), and nothing of a mix. It sees arrivals alone. A cell is evaluated again when a twentieth
    /// more units have come: when that is follows from arrivals too.
    pub(super) fn unequal(&mut self, log_e_min: f64) -> Vec<usize> {
        let mut unequal = Vec::new();
        for field in 0..self.fields.len() {
            let whole = self.of_field(field);
            let units: u64 = whole.iter().map(|stratum| stratum.units).sum();
            for cell in self.cells.iter_mut().filter(|cell| cell.field == field) {
                if units * 20 < cell.mix.1 * 21 || units == cell.mix.1 {
                    continue;
                }
                let as_events: Vec<Stratum> = cell
                    .units
                    .strata()
                    .iter()
                    .zip(&whole)
                    .map(|(of, all)| Stratum {
                        canary_units: all.canary_units,
                        units: all.units,
                        canary_first: of.canary_units,
                        first: of.units,
                    })
                    .collect();
                cell.mix = (share::log_e_changed(&as_events, MIX_TOLERANCE), units);
            }
            let said: Vec<f64> = self.of(field).map(|cell| cell.mix.0.min(budget::LOG_E_MAX)).collect();
            if math::log_mean_exp(&said) >= log_e_min && self.is_supported(field) {
                unequal.push(field);
            }
        }
        unequal
    }

    /// The control has units wherever the candidate has most, and no value is the candidate's alone: what its code writes there
    /// (a device that it no longer knows) may be what it broke, and is no mix of traffic.
    fn is_supported(&self, field: usize) -> bool {
        let totals: Vec<[u64; 2]> = self.of(field).map(|cell| cell.units.totals().map(|(units, _)| units)).collect();
        let all = [0, 1].map(|arm| totals.iter().map(|units| units[arm]).sum::<u64>());
        let [all_control, all_candidate] = all.map(|units| units as f64);
        let (mut supported, mut own) = (0, 0);
        for [control, candidate] in totals {
            supported += if control >= SUPPORT_UNITS { candidate } else { 0 };
            let is_own =
                candidate >= OWN_UNITS && OWN_TIMES * control as f64 * all_candidate < candidate as f64 * all_control;
            own += if is_own { candidate } else { 0 };
        }
        supported as f64 >= SUPPORT_MIN * all_candidate && own as f64 <= OWN_MAX * all_candidate
    }

    fn of(&self, field: usize) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(move |cell| cell.field == field)
    }

    /// Units of all cells of a field, by stratum.
    fn of_field(&self, field: usize) -> Vec<Stratum> {
        let mut whole = vec![Stratum::default(); self.all.strata().len()];
        for cell in self.of(field) {
            for (all, of) in whole.iter_mut().zip(cell.units.strata()) {
                all.canary_units += of.canary_units;
                all.units += of.units;
                all.canary_first += of.canary_first;
                all.first += of.first;
            }
        }
        whole
    }

    /// ln e of (errors, mean latency) against "no worse within the segments of a field", all of its segments together.
    ///
    /// Errors: the share test with each segment of each stratum as a stratum. Latency: the bucket test of what differs from
    /// the time course of the own segment, over all segments. Units that named no value are in neither.
    pub(super) fn within(&self, field: usize) -> SegmentLook {
        let strata: Vec<Stratum> = self.of(field).flat_map(|cell| cell.units.strata()).copied().collect();
        let views = self.of(field).filter_map(|cell| cell.latency.as_ref()).map(|sums| sums.view());
        let latency = views.reduce(View::plus).and_then(|view| latency_stats(&view)).map(log_e_latency);
        [Some(share::log_e_fail(&strata, 1.0)), latency]
    }

    /// Writes the state.
    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.fields.len());
        if self.fields.is_empty() {
            return;
        }
        self.fields.iter().for_each(|field| w.text(field));
        w.length(self.cells.len());
        for cell in &self.cells {
            w.byte(cell.field as u8);
            w.text(&cell.value);
            cell.units.write(w);
            w.flag(cell.latency.is_some());
            if let Some(sums) = &cell.latency {
                sums.write(w);
            }
            for said in cell.said {
                w.flag(said.is_some());
                w.float(said.unwrap_or(0.0));
            }
            cell.dirty.iter().for_each(|dirty| w.flag(*dirty));
            w.float(cell.mix.0);
            w.uint(cell.mix.1);
        }
        self.all.write(w);
        let mut units: Vec<(u64, OfUnit)> = self.units.iter().map(|(unit, of)| (*unit, *of)).collect();
        units.sort_unstable_by_key(|(unit, _)| *unit);
        w.length(units.len());
        for (unit, of) in units {
            w.fixed(unit);
            w.uint(u64::from(of.stratum));
            w.flag(of.erred);
            of.cells.iter().for_each(|cell| w.byte(*cell));
        }
        w.flag(self.range.is_some());
        w.fixed(self.range.unwrap_or(u64::MAX));
        w.uint(self.past_bound);
        w.length(self.pairs.len());
        for ((a, b), counts) in &self.pairs {
            w.byte(*a);
            w.byte(*b);
            counts.iter().flatten().for_each(|count| w.uint(*count));
        }
    }

    /// Reads what [`Segments::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Segments, Damaged> {
        let mut segments = Segments::default();
        let fields = r.length()?;
        if fields > SEGMENT_FIELDS_MAX {
            return Err(Damaged("too many fields of segments"));
        }
        if fields == 0 {
            return Ok(segments);
        }
        for _ in 0..fields {
            segments.fields.push(r.text()?);
        }
        let cells = r.length()?;
        if cells > CELLS_MAX {
            return Err(Damaged("too many segments"));
        }
        for _ in 0..cells {
            let field = usize::from(r.byte()?);
            if field >= fields {
                return Err(Damaged("a segment of no field"));
            }
            let mut cell = Cell::new(field, &r.text()?);
            cell.units = FirstEvents::read(r)?;
            cell.latency = if r.flag()? { Some(Box::new(BucketSums::read(r)?)) } else { None };
            for said in &mut cell.said {
                let has_data = r.flag()?;
                let log_e = r.float()?;
                *said = has_data.then_some(log_e);
            }
            cell.dirty = [r.flag()?, r.flag()?];
            cell.mix = (r.float()?, r.uint()?);
            segments.cells.push(cell);
        }
        segments.all = FirstEvents::read(r)?;
        for _ in 0..r.length()? {
            let unit = r.fixed()?;
            let mut of = OfUnit { stratum: r.uint16()?, erred: r.flag()?, cells: [UNKNOWN; SEGMENT_FIELDS_MAX] };
            for cell in &mut of.cells {
                *cell = r.byte()?;
            }
            segments.units.insert(unit, of);
        }
        let is_sample = r.flag()?;
        let range = r.fixed()?;
        segments.range = is_sample.then_some(range);
        segments.past_bound = r.uint()?;
        for _ in 0..r.length()? {
            let pair = (r.byte()?, r.byte()?);
            segments.pairs.insert(pair, [[r.uint()?, r.uint()?], [r.uint()?, r.uint()?]]);
        }
        Ok(segments)
    }

    /// Counters that decisions rest on, with what they said: for the digest of a look.
    pub(super) fn write_counters(&self, w: &mut Writer) {
        for cell in &self.cells {
            w.text(&cell.value);
            cell.units.write(w);
            cell.said.iter().for_each(|said| w.float(said.unwrap_or(0.0)));
            w.float(cell.mix.0);
        }
        w.uint(self.past_bound);
    }
}
