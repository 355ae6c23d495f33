//! What state costs in memory, told from counts alone.
//!
//! The engine bounds its state by what this module says. A decision that followed the allocator (capacities of lists, load
//! of tables) would depend on how the state came about: an engine that was restored would decide otherwise than the one that
//! was saved (EN-1). So each container is taken for as large as one that was filled entry by entry to its present number;
//! `tests/state_size.rs` holds that against a counting allocator.

use std::collections::VecDeque;
use std::fmt;

use crate::event::ServiceKey;

/// Entries of a node of [`std::collections::BTreeMap`].
const NODE: usize = 11;

/// A number of bytes, written for people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bytes(bytes) = *self;
        match bytes {
            0..=9_999 => write!(f, "{bytes} B"),
            10_000..=9_999_999 => write!(f, "{} KiB", bytes >> 10),
            10_000_000..=9_999_999_999 => write!(f, "{} MiB", bytes >> 20),
            _ => write!(f, "{} GiB", bytes >> 30),
        }
    }
}

/// A box, where there is one.
pub(super) fn boxed<T>(of: &Option<Box<T>>) -> u64 {
    if of.is_some() { size_of::<T>() as u64 } else { 0 }
}

/// A list of so many entries: room doubles, from four on, or from one where entries are large.
pub(super) fn list<T>(len: usize) -> u64 {
    let least = if size_of::<T>() <= 1_024 { 4 } else { 1 };
    let room = if len == 0 { 0 } else { len.next_power_of_two().max(least) };
    (room * size_of::<T>()) as u64
}

/// A list that has room for what is in it and no more.
pub(super) fn exact<T>(len: usize) -> u64 {
    (len * size_of::<T>()) as u64
}

/// A list of so many entries, that of a queue.
pub(super) fn queue<T>(of: &VecDeque<T>) -> u64 {
    list::<T>(of.len())
}

/// A text as long as this.
pub(super) fn text(of: &str) -> u64 {
    of.len() as u64
}

/// The texts of a service.
pub(super) fn key(of: &ServiceKey) -> u64 {
    text(&of.environment) + text(&of.cell) + text(&of.service)
}

/// A sorted map or set of so many entries: nodes of eleven, on average two thirds full, and one node above of every seven.
pub(super) fn tree<K, V>(len: usize) -> u64 {
    let entry = size_of::<K>() + size_of::<V>();
    let leaf = NODE * entry + 16;
    let leaves = if len <= NODE { usize::from(len > 0) } else { len.div_ceil(7) };
    let inner = if leaves > 1 { leaves.div_ceil(7) } else { 0 };
    (leaves * leaf + inner * (leaf + 96)) as u64
}

/// A hash table of so many entries: at most seven places of eight are taken, and each has one byte more.
pub(super) fn table<T>(len: usize) -> u64 {
    let places = match len {
        0 => return 0,
        1..=3 => 4,
        4..=7 => 8,
        _ => (len * 8 / 7).next_power_of_two(),
    };
    (places * (size_of::<T>() + 1) + 16) as u64
}
