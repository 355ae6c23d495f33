//! Groups of templates that differ in one word: a value that the mask cannot tell from a word.
//!
//! A function of the set of canonical texts, so order, process and restart do not matter. Groups are for showing and never
//! tested: they grow with the data.

use std::collections::BTreeMap;

use crate::event;

/// Distinct texts that must differ in one place alone before that place is taken for a value.
pub const GROUP_MIN: usize = 5;
/// Words of a text below which its words are no frame for a value.
const WORDS_MIN: usize = 3;

/// For each of `texts` the index of the first text of its group. Texts must be distinct.
pub fn groups(texts: &[&str]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..texts.len()).collect();
    // Texts by all their words but one: number of words, place of the one, hash of the others.
    let mut frames: BTreeMap<(usize, usize, u64), Vec<usize>> = BTreeMap::new();
    for (at, text) in texts.iter().enumerate() {
        let words: Vec<u64> = text.split(' ').map(|word| event::identity_hash(word.as_bytes())).collect();
        if words.len() < WORDS_MIN {
            continue;
        }
        let part = |place: usize, word: u64| event::mix(word, place as u64);
        let all = words.iter().enumerate().fold(0u64, |sum, (place, word)| sum.wrapping_add(part(place, *word)));
        // The first word is what statements differ in.
        for (place, word) in words.iter().enumerate().skip(1) {
            let others = all.wrapping_sub(part(place, *word));
            frames.entry((words.len(), place, others)).or_default().push(at);
        }
    }
    for same in frames.values().filter(|same| same.len() >= GROUP_MIN) {
        if let [first, rest @ ..] = same.as_slice() {
            rest.iter().for_each(|other| join(&mut parents, *first, *other));
        }
    }
    (0..texts.len()).map(|at| root(&mut parents, at)).collect()
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while let Some(&parent) = parents.get(at) {
        if parent == at {
            break;
        }
        let above = parents.get(parent).copied().unwrap_or(parent);
        if let Some(slot) = parents.get_mut(at) {
            *slot = above;
        }
        at = above;
    }
    at
}

fn join(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    if let Some(slot) = parents.get_mut(a.max(b)) {
        *slot = a.min(b);
    }
}
