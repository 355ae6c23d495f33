//! What is remembered of each unit while lines are read, whatever order they come in.

use hashbrown::HashMap;

use crate::event::{self, SEGMENT_FIELDS_MAX};
use crate::time::{SECOND, Timestamp};

/// Units that are remembered; past them every second goes, by keyed hash, and again.
pub const UNITS_MAX: usize = 1 << 20;
/// Marks of all units that are remembered; past them, too, every second unit goes.
pub const MARKS_MAX: usize = 1 << 23;
/// Marks of one unit: what has more is a machine, and of its uses only the first is known.
pub const MARKS_OF_UNIT: usize = 10_000;
/// Steps of a funnel.
pub const STEPS_MAX: usize = 8;
/// Names of a field's values, and of arms.
const NAMES_MAX: usize = 4_096;
/// What stands for all names past the bound.
pub const OTHER: &str = event::OTHER;
/// No name.
pub(super) const NONE: u16 = u16::MAX;
/// Never.
const NEVER: i64 = i64::MAX;

/// What a line says of its unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line<'a> {
    /// Hash of the unit; not 0.
    pub unit: u64,
    /// Event time.
    pub time: Timestamp,
    /// It shows that the unit was exposed to the feature.
    pub exposed: bool,
    /// It is a use of the feature.
    pub used: bool,
    /// Steps of the funnel that it is, as bits.
    pub steps: u8,
    /// The arm that it names.
    pub arm: Option<&'a str>,
    /// The value of each field of segments that it has.
    pub segments: [Option<&'a str>; SEGMENT_FIELDS_MAX],
}

/// What a unit did in a second.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Mark {
    /// Seconds since 1970.
    pub(super) second: i64,
    /// Steps of the funnel, as bits.
    pub(super) steps: u8,
    /// Uses.
    pub(super) used: u32,
}

/// The value of the earliest line that names one; of several at that time the least name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Named {
    at: i64,
    pub(super) name: u16,
}

const UNNAMED: Named = Named { at: NEVER, name: NONE };

/// One unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OfUnit {
    /// First second in which it was exposed.
    pub(super) exposed: i64,
    pub(super) arm: Named,
    pub(super) segments: [Named; SEGMENT_FIELDS_MAX],
    /// By second once all were read; while they come, as they come.
    pub(super) marks: Vec<Mark>,
    /// Length up to which marks are in order, one a second.
    settled: usize,
    /// It had more marks than are kept: the earliest stay.
    pub(super) is_busy: bool,
}

impl Default for OfUnit {
    fn default() -> OfUnit {
        OfUnit {
            exposed: NEVER,
            arm: UNNAMED,
            segments: [UNNAMED; SEGMENT_FIELDS_MAX],
            marks: Vec::new(),
            settled: 0,
            is_busy: false,
        }
    }
}

impl OfUnit {
    /// Second of the first exposure.
    pub(super) fn exposed(&self) -> Option<i64> {
        (self.exposed != NEVER).then_some(self.exposed)
    }

    /// Second of the first use at this time or later.
    pub(super) fn used_from(&self, second: i64) -> Option<i64> {
        self.marks.iter().find(|mark| mark.used > 0 && mark.second >= second).map(|mark| mark.second)
    }

    /// Puts marks in order, one a second.
    fn settle(&mut self) {
        if self.settled == self.marks.len() {
            return;
        }
        self.marks.sort_unstable();
        self.marks.dedup_by(|next, kept| {
            let same = next.second == kept.second;
            if same {
                kept.steps |= next.steps;
                kept.used = kept.used.saturating_add(next.used);
            }
            same
        });
        if self.marks.len() > MARKS_OF_UNIT {
            self.marks.truncate(MARKS_OF_UNIT);
            self.is_busy = true;
        }
        self.settled = self.marks.len();
    }
}

/// Names of one kind, as they came.
#[derive(Clone, Debug, Default)]
pub(super) struct NameList {
    pub(super) names: Vec<String>,
    ids: HashMap<String, u16, foldhash::fast::FixedState>,
}

impl NameList {
    fn id(&mut self, name: &str) -> u16 {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let name = if self.names.len() < NAMES_MAX { name } else { OTHER };
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.names.len() as u16;
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), id);
        id
    }

    pub(super) fn name(&self, id: u16) -> Option<&str> {
        self.names.get(usize::from(id)).map(String::as_str)
    }

    fn take(&mut self, known: &mut Named, at: i64, name: Option<&str>) {
        let Some(name) = name.filter(|_| at <= known.at) else { return };
        let id = self.id(name);
        let is_less = |names: &NameList| names.name(id) < names.name(known.name);
        if at < known.at || is_less(self) {
            *known = Named { at, name: id };
        }
    }
}

/// All units. See the module text.
#[derive(Clone, Debug)]
pub struct Units {
    /// Units, and marks of all of them, that are remembered.
    bounds: [usize; 2],
    pub(super) of: HashMap<u64, OfUnit, foldhash::fast::FixedState>,
    /// One unit in 2^`halved` is followed.
    pub(super) halved: u32,
    marks: usize,
    pub(super) arms: NameList,
    pub(super) segments: [NameList; SEGMENT_FIELDS_MAX],
    /// Last event time.
    pub(super) last: i64,
    pub(super) first: Option<i64>,
}

/// Second of a time.
pub(super) fn second_of(time: Timestamp) -> i64 {
    time.0.div_euclid(SECOND)
}

impl Default for Units {
    /// With [`UNITS_MAX`] and [`MARKS_MAX`].
    fn default() -> Units {
        Units::bounded(UNITS_MAX, MARKS_MAX)
    }
}

impl Units {
    /// None yet, and so many at most that are followed, with so many marks at most.
    pub fn bounded(units: usize, marks: usize) -> Units {
        Units {
            bounds: [units, marks],
            of: HashMap::default(),
            halved: 0,
            marks: 0,
            arms: NameList::default(),
            segments: Default::default(),
            last: 0,
            first: None,
        }
    }

    /// Takes a line. Lines of no unit are none of this.
    pub fn take(&mut self, line: &Line<'_>) {
        let second = second_of(line.time);
        self.last = if self.first.is_none() { second } else { self.last.max(second) };
        self.first = Some(self.first.map_or(second, |first| first.min(second)));
        if !self.follows(line.unit) {
            return;
        }
        let names_something = line.arm.is_some() || line.segments.iter().any(Option::is_some);
        let is_mark = line.used || line.steps > 0;
        if !(line.exposed || is_mark || names_something) {
            return;
        }
        let Units { of, arms, segments, marks, .. } = self;
        let unit = of.entry(line.unit).or_default();
        if line.exposed {
            unit.exposed = unit.exposed.min(second);
        }
        arms.take(&mut unit.arm, line.time.0, line.arm);
        for ((known, names), name) in unit.segments.iter_mut().zip(segments).zip(line.segments) {
            names.take(known, line.time.0, name);
        }
        if is_mark {
            let mark = Mark { second, steps: line.steps, used: u32::from(line.used) };
            let before = unit.marks.len();
            match unit.marks.last_mut() {
                Some(last) if last.second == second => {
                    last.steps |= mark.steps;
                    last.used = last.used.saturating_add(mark.used);
                }
                _ => unit.marks.push(mark),
            }
            // As many again wait to be put in order.
            if unit.marks.len() > 2 * MARKS_OF_UNIT {
                unit.settle();
            }
            *marks = *marks + unit.marks.len() - before;
        }
        while self.of.len() > self.bounds[0] {
            self.halve();
        }
        // Marks that wait to be put in order may be fewer than they are.
        if self.marks > 2 * self.bounds[1] {
            self.settle();
        }
    }

    fn follows(&self, unit: u64) -> bool {
        event::mix(unit, event::KEY_ADOPTION) & ((1 << self.halved) - 1) == 0
    }

    fn halve(&mut self) {
        self.halved += 1;
        let mask = (1u64 << self.halved) - 1;
        self.of.retain(|unit, _| event::mix(*unit, event::KEY_ADOPTION) & mask == 0);
        self.of.shrink_to_fit();
        self.marks = self.of.values().map(|unit| unit.marks.len()).sum();
    }

    /// Puts marks in order. How many units are followed after it depends on what was read, and not on its order.
    pub(super) fn settle(&mut self) {
        self.of.values_mut().for_each(OfUnit::settle);
        self.marks = self.of.values().map(|unit| unit.marks.len()).sum();
        while self.marks > self.bounds[1] && self.halved < 63 {
            self.halve();
        }
    }
}
