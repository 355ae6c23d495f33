//! What came lately, and may come again.

use std::collections::{BTreeMap, VecDeque};

use xxhash_rust::xxh3::xxh3_64;

/// Keys of payloads that are remembered: the latest.
pub const KEYS_MAX: usize = 65_536;

/// Keys of the latest payloads, with their places.
#[derive(Debug, Default)]
pub(super) struct Keys {
    known: BTreeMap<u64, u64>,
    order: VecDeque<u64>,
}

impl Keys {
    /// The place of a key; the key 0 is none.
    pub(super) fn get(&self, key: u64) -> Option<u64> {
        if key == 0 { None } else { self.known.get(&key).copied() }
    }

    /// A payload was not written after all.
    pub(super) fn remove(&mut self, key: u64) {
        if self.known.remove(&key).is_some() {
            self.order.retain(|known| *known != key);
        }
    }

    /// Remembers a key, unless it is known; the oldest goes.
    pub(super) fn add(&mut self, key: u64, at: u64) {
        if key != 0 && self.known.insert(key, at).is_none() {
            self.order.push_back(key);
            if self.order.len() > KEYS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
    }
}

/// Bodies that came without a key, and are the same as one of the latest: most likely sent again, since their answer was lost.
/// They count twice all the same: two equal bodies may be two.
#[derive(Debug, Default)]
pub struct Repeats {
    latest: Keys,
    /// Such bodies.
    pub bodies: u64,
    /// Their lines.
    pub lines: u64,
}

impl Repeats {
    /// A body came without a key.
    pub(super) fn add(&mut self, body: &[u8]) {
        let hash = xxh3_64(body).max(1);
        if self.latest.get(hash).is_some() {
            self.bodies += 1;
            let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
            self.lines += lines as u64;
        }
        self.latest.add(hash, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_keys_are_known() {
        let mut keys = Keys::default();
        (1..=KEYS_MAX as u64 + 1).for_each(|key| keys.add(key, key * 10));
        assert_eq!((keys.get(1), keys.get(2), keys.get(KEYS_MAX as u64 + 1)), (None, Some(20), Some(655_370)));
        keys.add(0, 5);
        keys.remove(2);
        assert_eq!((keys.get(0), keys.get(2)), (None, None));
    }

    #[test]
    fn equal_bodies_are_counted_with_their_lines() {
        let mut repeats = Repeats::default();
        for body in ["a\nb\n", "c\n", "a\nb\n", "a\n\nb\n", "a\nb\n"] {
            repeats.add(body.as_bytes());
        }
        assert_eq!((repeats.bodies, repeats.lines), (2, 4));
    }
}
