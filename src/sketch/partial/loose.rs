//! Partials that are not settled yet, and how they become one.

use std::sync::Arc;

use crate::event::{NO_NAME, NameId, Names};
use crate::sketch::partial::names::union;
use crate::sketch::partial::{Cell, WindowPartial};
use crate::sketch::rows::Renaming;

/// A partial whose names stand in a list that it shares with others: chunks of one stream mostly name the same.
#[derive(Clone, Debug)]
pub struct LoosePartial {
    /// Rows and cells, in any order; without names of its own.
    pub partial: WindowPartial,
    /// What they refer to.
    pub names: Arc<Names>,
}

impl LoosePartial {
    /// A partial with names of its own.
    pub fn of(mut partial: WindowPartial) -> LoosePartial {
        let names = Arc::new(std::mem::take(&mut partial.names));
        LoosePartial { partial, names }
    }

    /// Merges a list of partials of one window into one canonical partial.
    ///
    /// Lists are handed over whole and settled once at the end, so each row is moved once, however many partials.
    pub fn merge(window: i64, partials: Vec<LoosePartial>) -> WindowPartial {
        let mut partials = partials.into_iter();
        let Some(LoosePartial { partial: mut merged, names: shared }) = partials.next() else {
            return WindowPartial::new(window);
        };
        // What the rows refer to: the first one's names, and those that others add.
        let mut names = Arc::clone(&shared);
        let mut streams = std::mem::take(&mut merged.streams);
        let mut places = CellPlaces::default();
        // The last list that was not the first one, with the new places of its names: it may come again.
        let mut renamed: Option<(Arc<Names>, Renaming)> = None;
        // The rows refer to that list, and not to one that was made anew.
        let mut is_first_list = true;
        for LoosePartial { mut partial, names: theirs } in partials {
            debug_assert_eq!(merged.window, partial.window);
            // Counts of records alone name no stream.
            if streams.is_empty() {
                streams = std::mem::take(&mut partial.streams);
            }
            let is_new = !partial.streams.is_empty() && partial.streams != streams;
            let new_streams = is_new.then(|| union(&mut streams, &partial.streams));
            let is_shared = is_first_list && Arc::ptr_eq(&theirs, &shared);
            if !is_shared || new_streams.is_some() {
                let mut renaming = match renamed.take() {
                    Some((known, renaming)) if Arc::ptr_eq(&known, &theirs) => renaming,
                    _ if is_shared => Renaming::none(&theirs),
                    _ => {
                        let all = Arc::make_mut(&mut names);
                        // Rows name templates by their id.
                        union(&mut all.templates, &theirs.templates);
                        Renaming {
                            services: union(&mut all.services, &theirs.services),
                            arms: union(&mut all.arms, &theirs.arms),
                            past: Vec::new(),
                            other_arm: NO_NAME,
                            routes: union(&mut all.routes, &theirs.routes),
                            instances: union(&mut all.instances, &theirs.instances),
                            streams: Vec::new(),
                            segments: std::array::from_fn(|field| {
                                union(&mut all.segments[field], &theirs.segments[field])
                            }),
                        }
                    }
                };
                renaming.streams = new_streams.unwrap_or_else(|| (0..).take(streams.len()).collect());
                if !renaming.is_identity() {
                    partial.rename(&renaming);
                }
                renamed = Some((theirs, renaming));
            }
            merged.append(partial, &mut places);
            if has_too_many(&names) {
                // Names past their bounds go, before there is no index for others.
                merged.settle_with(&names, &streams);
                (names, streams) = (Arc::new(std::mem::take(&mut merged.names)), std::mem::take(&mut merged.streams));
                (places, renamed, is_first_list) = (CellPlaces::default(), None, false);
            }
        }
        merged.settle_with(&names, &streams);
        merged
    }
}

/// Names of a kind that are held while partials are merged: the next partial brings fewer than there are indices left.
const NAMES_HELD_MAX: usize = 49_152;

fn has_too_many(names: &Names) -> bool {
    let lists = [names.services.len(), names.arms.len(), names.routes.len(), names.instances.len()];
    lists.into_iter().chain(names.segments.iter().map(Vec::len)).any(|len| len > NAMES_HELD_MAX)
}

/// Cells of a partial that grows; more than a few are found by hash.
#[derive(Default)]
struct CellPlaces {
    table: hashbrown::HashMap<(NameId, NameId), usize, foldhash::fast::FixedState>,
    /// Cells that the table has.
    known: usize,
}

impl CellPlaces {
    /// Cells that are looked through one by one: most logs have as few.
    const FEW: usize = 16;

    fn of(&mut self, cells: &[(NameId, NameId, Cell)], service: NameId, arm: NameId) -> Option<usize> {
        if cells.len() <= Self::FEW {
            return cells.iter().position(|(s, a, _)| (*s, *a) == (service, arm));
        }
        for (at, (service, arm, _)) in cells.iter().enumerate().skip(self.known) {
            self.table.entry((*service, *arm)).or_insert(at);
        }
        self.known = cells.len();
        self.table.get(&(service, arm)).copied()
    }
}

impl WindowPartial {
    /// Appends another partial of the same window, whose names have the same places; the result must be settled.
    fn append(&mut self, other: WindowPartial, places: &mut CellPlaces) {
        for (service, arm, cell) in other.cells {
            match places.of(&self.cells, service, arm).and_then(|at| self.cells.get_mut(at)) {
                Some((_, _, known)) => known.add(cell),
                None => self.cells.push((service, arm, cell)),
            }
        }
        self.instances.append(other.instances);
        self.units.append(other.units);
        self.exposures.append(other.exposures);
        self.outcomes.append(other.outcomes);
        self.attempts.append(other.attempts);
        self.conversions.append(other.conversions);
        self.metrics.append(other.metrics);
        self.pairs.append(other.pairs);
        self.calls.append(other.calls);
        self.traces.append(other.traces);
        self.evidence.append(other.evidence);
        self.metric_range = self.metric_range.min(other.metric_range);
        self.pair_range = self.pair_range.min(other.pair_range);
        self.call_range = self.call_range.min(other.call_range);
        self.trace_range = self.trace_range.min(other.trace_range);
        self.tally.add(&other.tally);
        self.templates.append(other.templates);
        for (mine, theirs) in self.template_pairs.iter_mut().zip(other.template_pairs) {
            mine.rows.append(theirs.rows);
            mine.range = mine.range.min(theirs.range);
        }
        self.segments.append(other.segments);
        self.segment_range = self.segment_range.min(other.segment_range);
    }
}
