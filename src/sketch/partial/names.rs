//! Names of a partial in their canonical form: sorted, used, and no more than their bound.

use std::borrow::Cow;
use std::hash::BuildHasher;

use crate::event::{self, NO_NAME, NameId, Names, SEGMENT_FIELDS_MAX, ServiceKey};
use crate::sketch::partial::{
    ARMS_MAX, ARMS_OF_SERVICE_MAX, CELLS_OF_SERVICE_MAX, INSTANCES_MAX, OTHER, ROUTES_MAX, SEGMENT_VALUES_MAX,
    SERVICES_MAX, WindowPartial,
};
use crate::sketch::rows::Renaming;

impl WindowPartial {
    /// Sorts names, drops those that nothing refers to, and folds names past their bound into [`OTHER`].
    pub(super) fn settle_names(&mut self, names: &Names, streams: &[String]) {
        let mut used = Used::new(names, streams);
        let past = self.arms_past_their_bound(names);
        for (service, arm, _) in &self.cells {
            Used::mark(&mut used.services, *service);
            if past.is_empty() || past.binary_search(&(*service, *arm)).is_err() {
                Used::mark(&mut used.arms, *arm);
            }
        }
        // Services and arms of rows are those of cells: each line that makes a row also counts in a cell.
        self.instances.iter().for_each(|row| Used::mark(&mut used.instances, row.instance));
        self.pairs.iter().for_each(|row| Used::mark(&mut used.routes, row.route));
        for row in self.evidence.iter() {
            Used::mark(&mut used.routes, row.route);
            Used::mark(&mut used.streams, row.stream);
        }
        for row in self.templates.iter() {
            Used::mark(&mut used.instances, row.instance);
            Used::mark(&mut used.streams, row.stream);
        }
        self.mark_segments(&mut used.segments);
        let text_hash = |name: &String| event::identity_hash(name.as_bytes());
        let service_hash = |key: &ServiceKey| {
            event::identity_hash(key.service.as_bytes())
                ^ event::mix(event::identity_hash(key.environment.as_bytes()), 1)
                ^ if key.cell.is_empty() { 0 } else { event::mix(event::identity_hash(key.cell.as_bytes()), 2) }
        };
        let bounded = within_cells(&names.services, &used.services);
        let (services, new_services) = settle_list(&bounded, &used.services, SERVICES_MAX, false, service_hash);
        let (arms, new_arms) = settle_list(&names.arms, &used.arms, ARMS_MAX, !past.is_empty(), text_hash);
        let (routes, new_routes) = settle_list(&names.routes, &used.routes, ROUTES_MAX, false, text_hash);
        let (instances, new_instances) =
            settle_list(&names.instances, &used.instances, INSTANCES_MAX, false, text_hash);
        let (streams, new_streams) = settle_list(streams, &used.streams, usize::from(NO_NAME) - 1, false, text_hash);
        let other_arm = arms.binary_search_by(|name| name.as_str().cmp(OTHER)).map_or(NO_NAME, |at| at as NameId);
        let templates = self.texts_of_templates(&names.templates);
        let mut segments: [Vec<String>; SEGMENT_FIELDS_MAX] = Default::default();
        let mut new_segments: [Vec<NameId>; SEGMENT_FIELDS_MAX] = Default::default();
        for (field, values) in names.segments.iter().enumerate() {
            (segments[field], new_segments[field]) =
                settle_list(values, &used.segments[field], SEGMENT_VALUES_MAX, false, text_hash);
        }
        self.names = Names { services, arms, routes, instances, templates, segments };
        self.streams = streams;
        let renaming = Renaming {
            services: new_services,
            arms: new_arms,
            past,
            other_arm,
            routes: new_routes,
            instances: new_instances,
            streams: new_streams,
            segments: new_segments,
        };
        if !renaming.is_identity() {
            self.rename(&renaming);
        }
    }

    /// Pairs of a service and an arm that are past [`ARMS_OF_SERVICE_MAX`], in order: of each service the arms with the smallest hashes
    /// stay, whichever way lines were cut up.
    fn arms_past_their_bound(&self, names: &Names) -> Vec<(NameId, NameId)> {
        if self.cells.len() <= ARMS_OF_SERVICE_MAX {
            return Vec::new();
        }
        let mut pairs: Vec<(NameId, NameId)> = self.cells.iter().map(|(service, arm, _)| (*service, *arm)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let mut past = Vec::new();
        for of_service in pairs.chunk_by(|one, next| one.0 == next.0) {
            if of_service.len() <= ARMS_OF_SERVICE_MAX {
                continue;
            }
            let name = |id: NameId| names.arms.get(usize::from(id)).map_or("", String::as_str);
            let mut by_hash = of_service.to_vec();
            by_hash.sort_by_cached_key(|(_, arm)| {
                let name = name(*arm);
                (name != OTHER, event::identity_hash(name.as_bytes()), name.to_owned())
            });
            let has_other = by_hash.first().is_some_and(|(_, arm)| name(*arm) == OTHER);
            past.extend(by_hash.drain(if has_other { ARMS_OF_SERVICE_MAX } else { ARMS_OF_SERVICE_MAX - 1 }..));
        }
        past.sort_unstable();
        past
    }

    pub(super) fn rename(&mut self, renaming: &Renaming) {
        for (service, arm, _) in &mut self.cells {
            *arm = renaming.arm(*service, *arm);
            *service = renaming.service(*service);
        }
        self.instances.rename(renaming);
        self.units.rename(renaming);
        self.exposures.rename(renaming);
        self.outcomes.rename(renaming);
        self.attempts.rename(renaming);
        self.conversions.rename(renaming);
        self.metrics.rename(renaming);
        self.pairs.rename(renaming);
        self.calls.rename(renaming);
        self.traces.rename(renaming);
        self.evidence.rename(renaming);
        self.templates.rename(renaming);
        self.template_pairs.iter_mut().for_each(|pairs| pairs.rows.rename(renaming));
        self.segments.rename(renaming);
    }
}

/// Services in which those cells of one that are past [`CELLS_OF_SERVICE_MAX`] are one, [`OTHER`]: of each service the cells with the
/// smallest hashes stay, whichever way lines were cut up.
fn within_cells<'n>(services: &'n [ServiceKey], used: &[bool]) -> Cow<'n, [ServiceKey]> {
    if services.len() <= CELLS_OF_SERVICE_MAX {
        return Cow::Borrowed(services);
    }
    let is_cell =
        |(at, key): &(usize, &ServiceKey)| used.get(*at) == Some(&true) && !key.cell.is_empty() && key.cell != OTHER;
    let mut cells: Vec<(usize, &ServiceKey)> = services.iter().enumerate().filter(is_cell).collect();
    fn of<'n>(cell: &(usize, &'n ServiceKey)) -> (&'n str, &'n str) {
        (cell.1.environment.as_str(), cell.1.service.as_str())
    }
    cells.sort_by_cached_key(|cell| (of(cell), event::identity_hash(cell.1.cell.as_bytes()), cell.1.cell.as_str()));
    let mut bounded = Cow::Borrowed(services);
    for of_service in cells.chunk_by(|one, next| of(one) == of(next)).filter(|of| of.len() > CELLS_OF_SERVICE_MAX) {
        for (at, key) in of_service.iter().skip(CELLS_OF_SERVICE_MAX) {
            if let Some(past) = bounded.to_mut().get_mut(*at) {
                *past = key.in_cell(OTHER);
            }
        }
    }
    bounded
}

/// Adds the names of `theirs` that `mine` lacks; returns the new index of each of theirs.
pub(super) fn union<T: Clone + Ord + std::hash::Hash>(mine: &mut Vec<T>, theirs: &[T]) -> Vec<NameId> {
    // A stream of one instance brings one name to hundreds: looking each up costs less than an index of all.
    if theirs.len() <= 8 {
        return theirs
            .iter()
            .map(|name| match mine.iter().position(|m| m == name) {
                Some(at) => at as NameId,
                None => {
                    mine.push(name.clone());
                    (mine.len() - 1) as NameId
                }
            })
            .collect();
    }
    let hasher = foldhash::fast::FixedState::default();
    let mut places = hashbrown::HashTable::with_capacity(mine.len() + theirs.len());
    for (at, name) in mine.iter().enumerate() {
        places
            .insert_unique(hasher.hash_one(name), at, |known| mine.get(*known).map_or(0, |name| hasher.hash_one(name)));
    }
    theirs
        .iter()
        .map(|name| {
            let hash = hasher.hash_one(name);
            let found = places.find(hash, |known| mine.get(*known) == Some(name)).copied();
            let id = found.unwrap_or_else(|| {
                let at = mine.len();
                mine.push(name.clone());
                // There is room for all of them.
                places.insert_unique(hash, at, |known| mine.get(*known).map_or(0, |name| hasher.hash_one(name)));
                at
            });
            id.min(usize::from(NO_NAME)) as NameId
        })
        .collect()
}

/// Sorts a list of names, drops unused ones and folds those past `most` into [`OTHER`]; returns the list and the new
/// index of each old one.
///
/// Those with the smallest hash stay: whichever way lines were cut up, the same names stay. `needs_other`: the name of the others is needed
/// in any case.
fn settle_list<T: Clone + Ord + FromOther>(
    list: &[T],
    used: &[bool],
    most: usize,
    needs_other: bool,
    hash: impl Fn(&T) -> u64,
) -> (Vec<T>, Vec<NameId>) {
    let mut kept: Vec<(&T, usize)> =
        list.iter().enumerate().filter(|(at, _)| used.get(*at) == Some(&true)).map(|(at, n)| (n, at)).collect();
    let mut new = vec![NO_NAME; list.len()];
    let other = T::other();
    let mut dropped = Vec::new();
    if kept.len() > most {
        kept.sort_by_cached_key(|(name, _)| (**name != other, hash(name), (*name).clone()));
        // One place is for the name of the others, whether it is there already or comes now.
        let has_other = kept.first().is_some_and(|(name, _)| **name == other);
        dropped = kept.split_off(if has_other { most } else { most.saturating_sub(1) });
    }
    kept.sort();
    let mut names: Vec<T> = kept.iter().map(|(name, _)| (*name).clone()).collect();
    // Cells past their bound share a name.
    names.dedup();
    if (needs_other || !dropped.is_empty())
        && let Err(at) = names.binary_search(&other)
    {
        names.insert(at, other.clone());
    }
    for (name, at) in kept.into_iter().chain(dropped.iter().map(|(_, at)| (&other, *at))) {
        if let (Some(slot), Ok(id)) = (new.get_mut(at), names.binary_search(name)) {
            *slot = id as NameId;
        }
    }
    (names, new)
}

/// Which names something refers to.
struct Used {
    services: Vec<bool>,
    arms: Vec<bool>,
    routes: Vec<bool>,
    instances: Vec<bool>,
    streams: Vec<bool>,
    segments: [Vec<bool>; SEGMENT_FIELDS_MAX],
}

impl Used {
    fn new(names: &Names, streams: &[String]) -> Used {
        Used {
            services: vec![false; names.services.len()],
            arms: vec![false; names.arms.len()],
            routes: vec![false; names.routes.len()],
            instances: vec![false; names.instances.len()],
            streams: vec![false; streams.len()],
            segments: names.segments.each_ref().map(|values| vec![false; values.len()]),
        }
    }

    #[inline]
    fn mark(list: &mut [bool], id: NameId) {
        if let Some(slot) = list.get_mut(usize::from(id)) {
            *slot = true;
        }
    }
}

/// Makes the name that stands for names past a bound.
trait FromOther {
    fn other() -> Self;
}

impl FromOther for String {
    fn other() -> Self {
        OTHER.to_owned()
    }
}

impl FromOther for ServiceKey {
    fn other() -> Self {
        ServiceKey { environment: String::new(), cell: String::new(), service: OTHER.to_owned() }
    }
}

impl Renaming {
    /// Every name keeps its place.
    pub(super) fn none(names: &Names) -> Renaming {
        let all = |len: usize| (0..).take(len).collect();
        Renaming {
            services: all(names.services.len()),
            arms: all(names.arms.len()),
            past: Vec::new(),
            other_arm: NO_NAME,
            routes: all(names.routes.len()),
            instances: all(names.instances.len()),
            streams: Vec::new(),
            segments: names.segments.each_ref().map(|values| all(values.len())),
        }
    }

    pub(super) fn is_identity(&self) -> bool {
        self.past.is_empty()
            && [&self.services, &self.arms, &self.routes, &self.instances, &self.streams]
                .into_iter()
                .chain(&self.segments)
                .all(|list| list.iter().enumerate().all(|(at, id)| at == usize::from(*id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::partial::Cell;

    /// Cells of a service with very many arms, and of another with two; those of a part of the numbers.
    fn wild(numbers: std::ops::Range<u16>) -> WindowPartial {
        let mut partial = WindowPartial::new(0);
        let key =
            |service: &str| ServiceKey { environment: String::new(), cell: String::new(), service: service.to_owned() };
        partial.names.services = vec![key("wild"), key("shop")];
        partial.names.arms = vec!["baseline".to_owned(), "canary".to_owned()];
        partial.names.arms.extend(numbers.clone().map(|number| format!("v{number}")));
        let one = || Cell { lines: 1, ..Cell::default() };
        partial.cells = vec![(1, 0, one()), (1, 1, one())];
        partial.cells.extend((2..).zip(numbers).map(|(arm, _)| (0, arm, one())));
        partial
    }

    /// Cells of a service, each with a line, and two of another.
    fn of_cells(numbers: std::ops::Range<u16>) -> WindowPartial {
        let mut partial = WindowPartial::new(0);
        let key = |service: &str, cell: &str| {
            ServiceKey { service: service.to_owned(), ..ServiceKey::default() }.in_cell(cell)
        };
        partial.names.services = vec![key("shop", ""), key("shop", "geneva"), key("wild", "")];
        partial.names.services.extend(numbers.clone().map(|number| key("wild", &format!("u{number}"))));
        partial.names.arms = vec!["1".to_owned()];
        let one = || Cell { lines: 1, ..Cell::default() };
        partial.cells = (0..).zip(&partial.names.services).map(|(service, _)| (service, 0, one())).collect();
        partial
    }

    #[test]
    fn cells_of_a_service_that_runs_wild_take_no_others_place() {
        let whole = WindowPartial::merge(0, [of_cells(0..3_000), of_cells(0..0)]);
        let count = |service: &str| whole.names.services.iter().filter(|key| key.service == service).count();
        // Those within the bound, the one of all others, and lines that name none.
        assert_eq!((count("wild"), count("shop")), (CELLS_OF_SERVICE_MAX + 2, 2));
        let lines: u64 = whole.cells.iter().map(|(_, _, cell)| cell.lines).sum();
        assert_eq!(lines, 3_000 + 6, "those past the bound are counted together");
        let parts = [of_cells(0..700), of_cells(700..701), of_cells(701..3_000)].map(|mut part| {
            part.settle();
            part
        });
        let [a, b, c] = parts;
        let merged = WindowPartial::merge(0, [WindowPartial::merge(0, [c, a]), b]);
        assert_eq!(merged.names, whole.names, "however the lines were cut");
        let of_other = |partial: &WindowPartial| -> u64 {
            let other = partial.names.services.iter().position(|key| key.cell == OTHER);
            partial.cells.iter().filter(|cell| Some(usize::from(cell.0)) == other).map(|(_, _, cell)| cell.lines).sum()
        };
        assert_eq!((of_other(&merged), of_other(&whole)), (3_000 - 256, 3_000 - 256));
    }

    #[test]
    fn arms_of_a_service_that_runs_wild_take_no_others_place() {
        let whole = WindowPartial::merge(0, [wild(0..3_000), wild(0..0)]);
        let count = |service: &str| {
            let of = |cell: &&(NameId, NameId, Cell)| whole.names.services[usize::from(cell.0)].service == service;
            whole.cells.iter().filter(of).count()
        };
        assert_eq!((count("wild"), count("shop")), (ARMS_OF_SERVICE_MAX, 2));
        let lines: u64 = whole.cells.iter().map(|(_, _, cell)| cell.lines).sum();
        assert_eq!(lines, 3_000 + 4, "those past the bound are counted together");
        // However the lines were cut, and merged.
        let parts = || {
            [wild(0..700), wild(700..701), wild(701..3_000)].map(|mut part| {
                part.settle();
                part
            })
        };
        let [a, b, c] = parts();
        let merged = WindowPartial::merge(0, [WindowPartial::merge(0, [c, a]), b]);
        assert_eq!(merged.names, whole.names);
        let of_wild = |partial: &WindowPartial| -> Vec<(NameId, u64)> {
            let wild = partial.names.services.iter().position(|key| key.service == "wild");
            let cells = partial.cells.iter().filter(|cell| Some(usize::from(cell.0)) == wild);
            cells.map(|(_, arm, cell)| (*arm, cell.lines)).collect()
        };
        assert_eq!(of_wild(&merged), of_wild(&whole));
    }
}
