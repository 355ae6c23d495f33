//! Names seen lately, by their bytes: most lines name what lines before them named, and need no hash table.

use crate::event::{Intern, NO_NAME, NameId};
use crate::pipeline::decode::scan::words;
use crate::pipeline::decode::slots::{Form, Slot};
use crate::pipeline::intern::Interner;
use crate::pipeline::values;

/// A value of at most 32 bytes, its bytes as numbers, zeros behind: equal numbers and lengths are equal values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Short {
    words: [u64; 4],
    len: u32,
}

/// Longest value that is remembered by its bytes.
const SHORT_MAX: usize = 32;

/// All ones in front, by how many.
const FRONT: [[u8; SHORT_MAX]; SHORT_MAX + 1] = {
    let mut masks = [[0; SHORT_MAX]; SHORT_MAX + 1];
    let mut len = 0;
    while len <= SHORT_MAX {
        let mut at = 0;
        while at < len {
            masks[len][at] = u8::MAX;
            at += 1;
        }
        len += 1;
    }
    masks
};

impl Short {
    /// The value of a slot, read with what follows it in the line; `None` when it is long, escaped, or near the end.
    #[inline]
    pub(super) fn of(line: &str, slot: Slot) -> Option<Short> {
        if slot.form == Form::Absent {
            return Some(Short::default());
        }
        let len = slot.until.wrapping_sub(slot.from);
        if !matches!(slot.form, Form::Plain | Form::Number) {
            return None;
        }
        let mask = FRONT.get(len as usize)?;
        let block = line.as_bytes().get(slot.from as usize..)?.first_chunk::<SHORT_MAX>()?;
        let (block, mask) = (words(block), words(mask));
        Some(Short { words: std::array::from_fn(|at| block[at] & mask[at]), len })
    }

    /// Any number that is mostly different for different values.
    #[inline]
    pub(super) fn mixed(&self) -> u64 {
        let [a, b, c, d] = self.words;
        (a ^ b.rotate_left(17) ^ c.rotate_left(31) ^ d.rotate_left(47)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Direct-mapped memory of short names; `K` is one value or several. It has 2^`BITS` places.
#[derive(Debug)]
pub(super) struct ShortNames<K, const BITS: u32 = 6> {
    /// Empty until the first name.
    entries: Vec<Option<(K, NameId)>>,
}

impl<K, const BITS: u32> Default for ShortNames<K, BITS> {
    fn default() -> Self {
        ShortNames { entries: Vec::new() }
    }
}

impl<K: Copy + PartialEq, const BITS: u32> ShortNames<K, BITS> {
    #[inline]
    fn place(mixed: u64) -> usize {
        (mixed >> (64 - BITS)) as usize
    }

    #[inline]
    pub(super) fn get(&self, mixed: u64, key: &K) -> Option<NameId> {
        match self.entries.get(Self::place(mixed))? {
            Some((known, id)) if known == key => Some(*id),
            _ => None,
        }
    }

    pub(super) fn put(&mut self, mixed: u64, key: K, id: NameId) {
        if self.entries.is_empty() {
            self.entries = vec![None; 1 << BITS];
        }
        if let Some(entry) = self.entries.get_mut(Self::place(mixed)) {
            *entry = Some((key, id));
        }
    }
}

/// Routes by their text as written: masking is done once a text.
#[derive(Debug, Default)]
pub(super) struct RouteCache {
    seen: crate::pipeline::intern::Table,
    texts: Vec<String>,
    ids: Vec<NameId>,
    masked: String,
}

/// Texts that are remembered; paths with ids in them would fill memory otherwise.
const ROUTE_TEXTS_MAX: usize = 4_096;

impl RouteCache {
    #[inline]
    pub(super) fn id_of(&mut self, text: &str, names: &mut Interner) -> NameId {
        let hash = self.seen.hash(text);
        if let Some(at) = self.seen.get(hash, &self.texts, |known| known == text) {
            return self.ids.get(usize::from(at)).copied().unwrap_or(NO_NAME);
        }
        self.masked.clear();
        let id = if values::mask_route(text, &mut self.masked) { names.route(&self.masked) } else { names.route(text) };
        if self.texts.len() < ROUTE_TEXTS_MAX {
            self.seen.add(hash, &mut self.texts, text.to_owned());
            self.ids.push(id);
        }
        id
    }
}
