//! Sorting of lists whose keys start with a hash.
//!
//! The first bits of such keys are spread evenly, so they tell where an element belongs almost exactly: dealing the
//! elements into buckets costs a few nanoseconds each, where a sort by comparison costs five to ten times that.

/// Lists up to this length are sorted by comparison alone.
const SHORT: usize = 48;
/// Elements of a bucket that are aimed at: few enough to sort at once, and not more buckets than a cache has room for.
const IN_BUCKET: usize = 8;
/// Most buckets.
const BUCKETS_MAX: usize = 1 << 13;

/// Sorts by `key`. `place` gives the first bits of the key: what has the smaller place has the smaller key.
///
/// Any keys are sorted; uneven ones only more slowly. Not stable: elements with equal keys must be interchangeable.
pub(super) fn sort_by_place<T: Copy, K: Ord>(list: &mut Vec<T>, place: impl Fn(&T) -> u64, key: impl Fn(&T) -> K) {
    if list.is_sorted_by_key(&key) {
        return;
    }
    if list.len() <= SHORT {
        return list.sort_unstable_by_key(key);
    }
    *list = deal(&[list.as_slice()], place, key);
}

/// All elements of several lists, sorted like [`sort_by_place`].
pub(super) fn gather_by_place<T: Copy, K: Ord>(
    lists: &[Vec<T>],
    place: impl Fn(&T) -> u64,
    key: impl Fn(&T) -> K,
) -> Vec<T> {
    if lists.iter().map(Vec::len).sum::<usize>() <= SHORT {
        let mut all = lists.concat();
        all.sort_unstable_by_key(key);
        return all;
    }
    let lists: Vec<&[T]> = lists.iter().map(Vec::as_slice).collect();
    deal(&lists, place, key)
}

/// Deals the elements of lists into buckets of one new list, and sorts each bucket.
fn deal<T: Copy, K: Ord>(lists: &[&[T]], place: impl Fn(&T) -> u64, key: impl Fn(&T) -> K) -> Vec<T> {
    let elements = || lists.iter().copied().flatten();
    let Some(first) = elements().next() else { return Vec::new() };
    let len = lists.iter().map(|list| list.len()).sum::<usize>();
    let (low, high) = elements().map(&place).fold((u64::MAX, 0), |(low, high), at| (low.min(at), high.max(at)));
    let buckets = (len / IN_BUCKET).next_power_of_two().min(BUCKETS_MAX);
    let shift = (u64::BITS - (high - low).leading_zeros()).saturating_sub(buckets.trailing_zeros());
    let bucket_of = |element: &T| ((place(element) - low) >> shift) as usize & (buckets - 1);
    // Where the next element of each bucket goes; in the end, where each bucket ends.
    let mut next = vec![0u32; buckets];
    elements().for_each(|element| next[bucket_of(element)] += 1);
    let mut from = 0;
    for slot in &mut next {
        from += std::mem::replace(slot, from);
    }
    let mut dealt = vec![*first; len];
    for list in lists {
        for element in *list {
            let slot = &mut next[bucket_of(element)];
            dealt[*slot as usize] = *element;
            *slot += 1;
        }
    }
    let mut from = 0;
    for until in next {
        let until = until as usize;
        if until > from + 1 {
            dealt[from..until].sort_unstable_by_key(&key);
        }
        from = until;
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(81), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn sorts_even_and_uneven_keys(
            spread in proptest::collection::vec(any::<u64>(), 0..2_000),
            narrow in proptest::collection::vec(0u64..50, 0..2_000),
            bits in 0u32..64,
        ) {
            for keys in [spread.clone(), narrow.clone(), [spread, narrow].concat()] {
                let mut expected = keys.clone();
                expected.sort_unstable();
                let mut sorted = keys;
                let parts: Vec<Vec<u64>> = sorted.chunks(300).map(<[u64]>::to_vec).collect();
                prop_assert_eq!(&gather_by_place(&parts, |key| key >> bits, |key| *key), &expected);
                sort_by_place(&mut sorted, |key| key >> bits, |key| *key);
                prop_assert_eq!(sorted, expected);
            }
        }
    }
}
