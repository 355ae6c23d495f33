//! Rows of templates in a window: how many lines there are, and which units met one.
//!
//! Lines of level error or worse and others are counted apart: only the former may fail a rollout, and one text may be
//! written at both. A line that names no arm is counted under its unit or its trace too, or under its instance, so that the
//! engine can give it the arm that these have.

use crate::event::{self, Event, Level, NO_NAME, NameId};
use crate::sketch::partial::pair_hash;
use crate::sketch::rows::{NEVER, Renaming, Row, Rows};

/// Levels that are told apart: below error, and error or worse.
pub const CLASSES: usize = 2;

/// Class of a level, an index below [`CLASSES`].
#[inline]
pub fn class_of(level: Level) -> usize {
    usize::from(level >= Level::Error)
}

/// Lines of one template, as they name their arm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TemplateRow {
    /// Id of the template.
    pub template: u64,
    /// Lines.
    pub lines: u64,
    /// Offset of the earliest line in its stream.
    pub offset: u64,
    /// Which of several earliest lines is meant: a keyed hash of stream and offset.
    pub tie: u64,
    /// Time of the earliest line, microseconds after the start of the window; [`NEVER`] where it is not kept.
    pub at: u32,
    /// Service.
    pub service: NameId,
    /// Arm, or [`NO_NAME`].
    pub arm: NameId,
    /// Instance of lines that name neither an arm nor a unit nor a trace, else [`NO_NAME`].
    pub instance: NameId,
    /// Stream of the earliest line, or [`NO_NAME`].
    pub stream: NameId,
    /// The level is error or worse.
    pub severe: bool,
}

impl TemplateRow {
    /// The row of one line.
    pub fn of(event: &Event, at: u32, stream_hash: u64) -> TemplateRow {
        let is_nobodys = event.arm == NO_NAME && event.unit == 0 && event.trace == 0;
        TemplateRow {
            template: event.template,
            lines: 1,
            offset: event.offset,
            tie: event::mix(event.offset ^ stream_hash, event::KEY_EVIDENCE),
            at,
            service: event.service,
            arm: event.arm,
            instance: if is_nobodys { event.instance } else { NO_NAME },
            stream: 0,
            severe: class_of(event.level) == 1,
        }
    }

    /// Counts under another id, without a place.
    pub(crate) fn fold_into(&mut self, template: u64) {
        *self = TemplateRow {
            template,
            instance: NO_NAME,
            stream: NO_NAME,
            at: NEVER,
            tie: u64::MAX,
            offset: u64::MAX,
            ..*self
        };
    }

    fn place_in_logs(&self) -> (u32, u64, u64, NameId) {
        (self.at, self.tie, self.offset, self.stream)
    }
}

impl Row for TemplateRow {
    type Key = (NameId, u64, bool, NameId, NameId);
    #[inline]
    fn key(&self) -> Self::Key {
        (self.service, self.template, self.severe, self.arm, self.instance)
    }
    #[inline]
    fn place(&self) -> u64 {
        u64::from(self.service) << 48 | self.template >> 16
    }
    fn combine(&mut self, other: &Self) {
        let lines = self.lines.saturating_add(other.lines);
        if other.place_in_logs() < self.place_in_logs() {
            *self = *other;
        }
        self.lines = lines;
    }
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
        self.instance = names.instance(self.instance);
        self.stream = names.stream(self.stream);
    }
}

/// A unit, or a trace whose lines name no unit, met a template.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TemplatePairRow {
    /// Hash of the unit or of the trace.
    pub who: u64,
    /// Id of the template.
    pub template: u64,
    /// Lines that name no arm.
    pub armless: u32,
    /// Service.
    pub service: NameId,
    /// It is a trace.
    pub is_trace: bool,
}

impl Row for TemplatePairRow {
    type Key = (NameId, u64, bool, u64);
    #[inline]
    fn key(&self) -> Self::Key {
        (self.service, self.who, self.is_trace, self.template)
    }
    #[inline]
    fn place(&self) -> u64 {
        u64::from(self.service) << 48 | self.who >> 16
    }
    fn combine(&mut self, other: &Self) {
        self.armless = self.armless.saturating_add(other.armless);
    }
    fn rename(&mut self, names: &Renaming) {
        self.service = names.service(self.service);
    }
}

/// Pairs of a window: those of level error or worse are not crowded out by the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplatePairs {
    /// The pairs, of units in `range`.
    pub rows: Rows<TemplatePairRow>,
    /// Largest keyed hash of units and traces in `rows`.
    pub range: u64,
}

impl Default for TemplatePairs {
    fn default() -> Self {
        TemplatePairs { rows: Rows::default(), range: u64::MAX }
    }
}

/// Pairs that were seen last, as hashes: most lines of a unit repeat what it met before.
const RECENT: usize = 1_024;

/// Templates while lines of one window are folded.
#[derive(Clone, Debug, Default)]
pub struct TemplateCounts {
    rows: Vec<TemplateRow>,
    places: hashbrown::HashTable<u32>,
    /// Empty until the first pair.
    recent: Vec<u64>,
    pairs: [TemplatePairs; CLASSES],
}

impl TemplateCounts {
    /// Nothing yet. `bits`: how many times the sample of units is halved for templates below error.
    pub fn new(bits: u32) -> TemplateCounts {
        let mut counts = TemplateCounts::default();
        counts.pairs[0].range = u64::MAX >> bits.min(63);
        counts
    }

    /// Counts a line that is on time and has a template. `at`: its time after the start of the window, in microseconds.
    #[inline]
    pub fn count(&mut self, event: &Event, at: u32, stream_hash: u64) {
        let row = TemplateRow::of(event, at, stream_hash);
        let rows = &mut self.rows;
        let found =
            self.places.find(hash_of(&row), |place| rows.get(*place as usize).is_some_and(|r| r.key() == row.key()));
        match found.copied() {
            Some(place) => {
                if let Some(known) = rows.get_mut(place as usize) {
                    known.combine(&row);
                }
            }
            None => {
                // A chunk has fewer lines than 32 bits count.
                self.places.insert_unique(hash_of(&row), rows.len() as u32, |place| {
                    rows.get(*place as usize).map_or(0, hash_of)
                });
                rows.push(row);
            }
        }
        let (who, is_trace) = if event.unit != 0 { (event.unit, false) } else { (event.trace, true) };
        let class = class_of(event.level);
        if who == 0 || pair_hash(who) > self.pairs[class].range {
            return;
        }
        if event.arm != NO_NAME {
            let pair = event::mix(who, event.template ^ (class as u64) << 32 ^ u64::from(event.service)).max(1);
            if self.recent.is_empty() {
                self.recent.resize(RECENT, 0);
            }
            let place = (pair >> 54) as usize % RECENT;
            if let Some(recent) = self.recent.get_mut(place)
                && std::mem::replace(recent, pair) == pair
            {
                return;
            }
        }
        self.pairs[class].rows.add(TemplatePairRow {
            who,
            template: event.template,
            armless: u32::from(event.arm == NO_NAME),
            service: event.service,
            is_trace,
        });
    }

    /// Takes lines and pairs out; they must be settled.
    pub fn take(&mut self) -> (Rows<TemplateRow>, [TemplatePairs; CLASSES]) {
        let TemplateCounts { rows: counted, pairs, .. } = std::mem::take(self);
        let mut rows = Rows::default();
        counted.into_iter().for_each(|row| rows.add(row));
        (rows, pairs)
    }
}

#[inline]
fn hash_of(row: &TemplateRow) -> u64 {
    let names = u64::from(row.service) << 48 | u64::from(row.arm) << 32 | u64::from(row.instance) << 16;
    event::mix(row.template ^ u64::from(row.severe), names)
}
