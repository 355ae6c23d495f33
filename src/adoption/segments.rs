//! Which segments choose a feature more than others.

use std::cmp::Reverse;

use hashbrown::HashMap;

use crate::adoption::choice::{Choice, Grid};
use crate::adoption::intervals::{self, Estimate};
use crate::adoption::units::{NONE, OTHER, Units};
use crate::adoption::{Adopted, Asked, Count, Exposed};
use crate::compare::lists;
use crate::event;
use crate::math;

/// Units of a value below which it is told with others.
const UNITS_MIN: u64 = 30;
/// Part of all adopters, or of all exposed, that a value needs to be told by itself.
const PART_MIN: f64 = 0.01;
/// Values of a field that are told by themselves.
const VALUES_MAX: usize = 50;
/// First uses that are weighed, where nobody says otherwise.
pub const USES_MAX: usize = 16_384;
/// Share of false ones among what is found.
const ALPHA: f64 = 0.05;
/// Overlap of the units of two values (Jaccard) from which on they are told as one.
const SAME_UNITS: f64 = 0.8;
/// Ends of the bands of age in which units are compared, in seconds.
const BANDS: [i64; 7] = [60, 600, 3_600, 21_600, 86_400, 259_200, 604_800];
/// What is told together.
const OTHERS: &str = "(others)";
/// A unit that names no value.
const NO_VALUE: &str = "(none)";

/// A value of a field, and whether its units use the feature more than all others.
#[derive(Clone, PartialEq, Debug)]
pub struct Segment {
    /// Field.
    pub field: String,
    /// Value; `(others)` for values that are too small, `(none)` for units that name none.
    pub value: String,
    /// Its units.
    pub adopted: Adopted,
    /// Part of the adopters over part of those that did not adopt (lift); for a single look.
    pub lift: Option<Estimate>,
    /// Its rate of adoption less that of all other units; for a single look.
    pub difference: Option<Estimate>,
    /// Rate of first uses, in multiples of that of other units that were exposed for as long: most likely, low, high. At whatever time it
    /// is looked.
    pub rate: [f64; 3],
    /// ln e against a rate of 1.
    pub log_e: f64,
    /// Found, among all that were tested.
    pub found: bool,
    /// Values with nearly the same units.
    pub same: Vec<Grouped>,
}

/// A value whose units are nearly those of another.
#[derive(Clone, PartialEq, Debug)]
pub struct Grouped {
    /// Field.
    pub field: String,
    /// Value.
    pub value: String,
    /// Units of both over units of either.
    pub overlap: f64,
}

/// Values of one field: which are told by themselves.
struct Field {
    at: usize,
    /// Names of what is told.
    told: Vec<String>,
    /// What is told of a value: a place in `told`.
    place: Vec<usize>,
    none: usize,
    /// Exposed and adopters of each that is told.
    units: Vec<[u64; 2]>,
}

impl Field {
    fn of(exposed: &[Exposed<'_>], units: &Units, at: usize) -> Option<Field> {
        let names = &units.segments.get(at)?.names;
        let mut counts = vec![[0u64; 2]; names.len() + 1];
        let slot = |of: &Exposed<'_>| match of.of.segments.get(at).map_or(NONE, |named| named.name) {
            NONE => names.len(),
            name => usize::from(name),
        };
        for of in exposed {
            if let Some(count) = counts.get_mut(slot(of)) {
                count[0] += 1;
                count[1] += u64::from(of.used.is_some());
            }
        }
        let all = counts.iter().fold([0; 2], |sum, count| [sum[0] + count[0], sum[1] + count[1]]);
        let is_large = |count: &[u64; 2]| {
            let part = |of: usize| count[of] as f64 >= PART_MIN * all[of] as f64;
            count[0] >= UNITS_MIN && (part(0) || count[1] > 0 && part(1))
        };
        let name = |at: usize| names.get(at).map_or(NO_VALUE, String::as_str);
        let mut order: Vec<usize> =
            (0..counts.len()).filter(|at| is_large(&counts[*at]) && name(*at) != OTHER).collect();
        order.sort_by(|a, b| (Reverse(counts[*a]), name(*a)).cmp(&(Reverse(counts[*b]), name(*b))));
        order.truncate(VALUES_MAX);
        let others = order.len();
        let mut place = vec![others; counts.len()];
        let mut told: Vec<String> = Vec::new();
        for (at, of) in order.iter().enumerate() {
            place[*of] = at;
            told.push(name(*of).to_owned());
        }
        told.push(OTHERS.to_owned());
        let mut of_told = vec![[0u64; 2]; told.len()];
        for (count, place) in counts.iter().zip(&place) {
            of_told[*place][0] += count[0];
            of_told[*place][1] += count[1];
        }
        // Of units that all are alike there is nothing to tell.
        let has_two = of_told.iter().filter(|count| count[0] > 0).count() > 1;
        has_two.then_some(Field { at, told, none: names.len(), place, units: of_told })
    }

    fn place(&self, of: &Exposed<'_>) -> usize {
        let slot = match of.of.segments.get(self.at).map_or(NONE, |named| named.name) {
            NONE => self.none,
            name => usize::from(name),
        };
        self.place.get(slot).copied().unwrap_or(0)
    }
}

/// Something that happens to an exposed unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Change {
    /// Its first use: before who is exposed at that second.
    Uses,
    /// Its age comes into a band.
    Enters(usize),
}

/// Evidence of each value of each field.
fn evidence(exposed: &[Exposed<'_>], fields: &[Field], grid: &Grid, (end, uses_max): (i64, usize)) -> Vec<Vec<Choice>> {
    let mut followed: Vec<&Exposed<'_>> = exposed.iter().collect();
    let mut mask = 0u64;
    while followed.iter().filter(|of| of.used.is_some()).count() > uses_max && mask < u64::MAX {
        mask = mask << 1 | 1;
        followed.retain(|of| event::mix(of.unit, event::KEY_ADOPTION_USES) & mask == 0);
    }
    // Who, when, what; a unit that uses in the second of its exposure was at risk in it.
    let mut changes: Vec<(i64, Change, usize)> = Vec::new();
    for (at, of) in followed.iter().enumerate() {
        let until = of.used.unwrap_or(end);
        let edges = BANDS.into_iter().take_while(|edge| of.at + edge < until).enumerate();
        changes.extend(edges.map(|(band, edge)| (of.at + edge, Change::Enters(band + 1), at)));
        changes.push((of.at, Change::Enters(0), at));
        changes.extend(of.used.map(|used| (used.max(of.at), Change::Uses, at)));
    }
    // Entries of a second come before uses of it: who used at once had been exposed.
    changes.sort_unstable_by_key(|(second, change, at)| (*second, matches!(change, Change::Uses), *at));
    let mut found = Vec::new();
    for field in fields {
        let mut list = vec![Choice::new(); field.told.len()];
        let mut at_risk = vec![vec![0u64; field.told.len()]; BANDS.len() + 1];
        let mut band_of = vec![0usize; followed.len()];
        let places: Vec<usize> = followed.iter().map(|of| field.place(of)).collect();
        for (_, change, at) in &changes {
            let place = places[*at];
            match change {
                Change::Enters(band) => {
                    if *band > 0 {
                        at_risk[*band - 1][place] -= 1;
                    }
                    at_risk[*band][place] += 1;
                    band_of[*at] = *band;
                }
                Change::Uses => {
                    let counts = &mut at_risk[band_of[*at]];
                    let all: u64 = counts.iter().sum();
                    for (value, choice) in list.iter_mut().enumerate() {
                        choice.first_use(grid, value == place, counts[value], all - counts[value]);
                    }
                    counts[place] -= 1;
                }
            }
        }
        found.push(list);
    }
    found
}

/// Every value, those that are found and tell most first; and how many were tested.
pub(super) fn segments(
    exposed: &[Exposed<'_>],
    units: &Units,
    asked: &Asked,
    end: i64,
    one_of: u64,
) -> (Vec<Segment>, u64) {
    let fields: Vec<Field> = (0..asked.segments.len()).filter_map(|at| Field::of(exposed, units, at)).collect();
    let grid = Grid::new();
    let evidence = evidence(exposed, &fields, &grid, (end, asked.uses_max));
    let all = exposed.iter().fold([0u64; 2], |sum, of| [sum[0] + 1, sum[1] + u64::from(of.used.is_some())]);
    // Values that are too small to be told by themselves are no segment.
    let is_tested = |field: &Field, place: usize| place + 1 < field.told.len() && field.units[place][0] > 0;
    let mut tested: Vec<(usize, usize, f64)> = Vec::new();
    for (number, field) in fields.iter().enumerate() {
        for place in (0..field.told.len()).filter(|place| is_tested(field, *place)) {
            tested.push((number, place, evidence[number][place].log_e(&grid)));
        }
    }
    let e: Vec<f64> = tested.iter().map(|(.., log_e)| math::exp(*log_e)).collect();
    let found = lists::e_bh(&e, ALPHA);
    let many = found.iter().filter(|found| **found).count();
    let level = |found: bool| if found { ALPHA * many as f64 / tested.len() as f64 } else { ALPHA };
    let mut list: Vec<Segment> = Vec::new();
    for (number, field) in fields.iter().enumerate() {
        for (place, value) in field.told.iter().enumerate() {
            let [n, a] = field.units[place];
            if n == 0 {
                continue;
            }
            let at = tested.iter().position(|(of, at, _)| (*of, *at) == (number, place));
            let is_found = at.is_some_and(|at| found[at]);
            let count = |followed: u64| Count { followed, one_of };
            list.push(Segment {
                field: asked.segments.get(field.at).cloned().unwrap_or_default(),
                value: value.clone(),
                adopted: Adopted { exposed: count(n), used: count(a) },
                lift: intervals::ratio((a, all[1]), (n - a, all[0] - all[1])),
                difference: intervals::difference((a, n), (all[1] - a, all[0] - n)),
                rate: evidence[number][place].interval(&grid, level(is_found)),
                log_e: if at.is_some() { evidence[number][place].log_e(&grid) } else { 0.0 },
                found: is_found,
                same: same(exposed, &fields, (number, place), asked),
            });
        }
    }
    // The end that is nearer to 1 says how much is certain.
    let certain = |of: &Segment| {
        let [_, low, high] = of.rate;
        math::ln(low.max(1e-9)).max(-math::ln(high.min(1e9))).max(0.0)
    };
    list.sort_by(|a, b| {
        let key = |of: &Segment| (of.found, certain(of));
        let (x, y) = (key(a), key(b));
        let size = b.adopted.exposed.cmp(&a.adopted.exposed);
        y.0.cmp(&x.0).then(y.1.total_cmp(&x.1)).then(size).then_with(|| (&a.field, &a.value).cmp(&(&b.field, &b.value)))
    });
    (list, tested.len() as u64)
}

/// Values of other fields with nearly the same units.
fn same(exposed: &[Exposed<'_>], fields: &[Field], of: (usize, usize), asked: &Asked) -> Vec<Grouped> {
    let Some(own) = fields.get(of.0) else { return Vec::new() };
    if of.1 + 1 == own.told.len() {
        return Vec::new();
    }
    let mut both: HashMap<(usize, usize), u64, foldhash::fast::FixedState> = HashMap::default();
    for unit in exposed.iter().filter(|unit| own.place(unit) == of.1) {
        for (number, field) in fields.iter().enumerate().filter(|(number, _)| *number != of.0) {
            *both.entry((number, field.place(unit))).or_default() += 1;
        }
    }
    let mut list = Vec::new();
    for ((number, place), both) in both {
        let Some(field) = fields.get(number).filter(|field| place + 1 < field.told.len()) else { continue };
        let either = own.units[of.1][0] + field.units[place][0] - both;
        let overlap = both as f64 / either.max(1) as f64;
        if overlap >= SAME_UNITS {
            let name = asked.segments.get(field.at).cloned().unwrap_or_default();
            list.push(Grouped { field: name, value: field.told[place].clone(), overlap });
        }
    }
    list.sort_by(|a, b| (&a.field, &a.value).cmp(&(&b.field, &b.value)));
    list
}
