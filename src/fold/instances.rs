//! Counters of instances while lines of one window are folded.

use crate::event::{self, Event, NameId};
use crate::sketch::rows::{InstanceRow, Rows};

/// Instances of a chunk whose rows are found by index; those of further ones are looked up by hash.
const INDEXED_MAX: usize = 256;

/// No row yet.
const NONE: u32 = u32::MAX;

/// Rows by (service, arm, instance), in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct InstanceCounts {
    rows: Vec<InstanceRow>,
    /// Place in `rows` by cell, then by instance.
    index: Vec<Vec<u32>>,
    /// Place in `rows` of the keys that the index does not have.
    places: hashbrown::HashTable<u32>,
}

impl InstanceCounts {
    /// Counts a line that is on time; `cell`: number of its (service, arm) in this window of the chunk.
    #[inline]
    pub(super) fn count(&mut self, cell: usize, event: &Event) {
        let indexed = self.index.get(cell).and_then(|of| of.get(usize::from(event.instance)));
        let place = match indexed {
            Some(place) if *place != NONE => *place as usize,
            _ => self.place_of(cell, event),
        };
        if let Some(row) = self.rows.get_mut(place) {
            row.count(event);
        }
    }

    /// A chunk has fewer lines than 32 bits count.
    fn place_of(&mut self, cell: usize, event: &Event) -> usize {
        let instance = usize::from(event.instance);
        let place = self.rows.len();
        if instance < INDEXED_MAX {
            if self.index.len() <= cell {
                self.index.resize(cell + 1, Vec::new());
            }
            if self.index[cell].len() <= instance {
                self.index[cell].resize(instance + 1, NONE);
            }
            self.index[cell][instance] = place as u32;
        } else {
            let key = (event.service, event.arm, event.instance);
            let rows = &self.rows;
            let row_of = |place: &u32| rows.get(*place as usize).map(key_of).unwrap_or_default();
            if let Some(place) = self.places.find(hash_of(key), |place| row_of(place) == key) {
                return *place as usize;
            }
            self.places.insert_unique(hash_of(key), place as u32, |place| hash_of(row_of(place)));
        }
        self.rows.push(InstanceRow::new(event.service, event.arm, event.instance));
        place
    }

    /// Takes the rows out; they must be settled.
    pub(super) fn take(&mut self) -> Rows<InstanceRow> {
        let mut rows = Rows::default();
        std::mem::take(self).rows.into_iter().for_each(|row| rows.add(row));
        rows
    }
}

fn key_of(row: &InstanceRow) -> (NameId, NameId, NameId) {
    (row.service, row.arm, row.instance)
}

fn hash_of((service, arm, instance): (NameId, NameId, NameId)) -> u64 {
    event::mix(u64::from(service) << 32 | u64::from(arm) << 16 | u64::from(instance), 0)
}
