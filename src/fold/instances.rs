//! Counters of instances while lines of one window are folded.

use crate::event::{self, Event, NameId};
use crate::sketch::rows::{InstanceRow, Rows};

/// Rows by (service, arm, instance), in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct InstanceCounts {
    rows: Vec<InstanceRow>,
    /// Place of each key in `rows`.
    places: hashbrown::HashTable<u32>,
    /// Place of the line before: neighbours in a log are mostly of one instance.
    last: usize,
}

impl InstanceCounts {
    /// Counts a line that is on time.
    #[inline]
    pub(super) fn count(&mut self, event: &Event) {
        let key = (event.service, event.arm, event.instance);
        if self.rows.get(self.last).is_none_or(|row| key_of(row) != key) {
            self.last = self.place_of(key);
        }
        if let Some(row) = self.rows.get_mut(self.last) {
            row.count(event);
        }
    }

    fn place_of(&mut self, key: (NameId, NameId, NameId)) -> usize {
        let rows = &self.rows;
        let same = |place: &u32| rows.get(*place as usize).is_some_and(|row| key_of(row) == key);
        if let Some(place) = self.places.find(hash_of(key), same) {
            return *place as usize;
        }
        // A chunk has fewer lines than 32 bits count.
        let place = self.rows.len();
        let (service, arm, instance) = key;
        self.rows.push(InstanceRow::new(service, arm, instance));
        let rows = &self.rows;
        self.places.insert_unique(hash_of(key), place as u32, |place| {
            rows.get(*place as usize).map_or(0, |row| hash_of(key_of(row)))
        });
        place
    }

    /// Takes the rows out.
    pub(super) fn take(&mut self) -> Rows<InstanceRow> {
        self.places.clear();
        Rows::from_vec(std::mem::take(&mut self.rows))
    }
}

fn key_of(row: &InstanceRow) -> (NameId, NameId, NameId) {
    (row.service, row.arm, row.instance)
}

fn hash_of((service, arm, instance): (NameId, NameId, NameId)) -> u64 {
    event::mix(u64::from(service) << 32 | u64::from(arm) << 16 | u64::from(instance), 0)
}
