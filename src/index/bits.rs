//! Sets of the documents of one segment.

/// A set of numbers below a bound.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bits {
    words: Vec<u64>,
    bound: u32,
}

impl Bits {
    /// None of the numbers below `bound`.
    pub(super) fn none(bound: u32) -> Bits {
        Bits { words: vec![0; bound.div_ceil(64) as usize], bound }
    }

    pub(super) fn insert(&mut self, at: u32) {
        if at < self.bound
            && let Some(word) = self.words.get_mut(at as usize / 64)
        {
            *word |= 1 << (at % 64);
        }
    }

    pub(super) fn has(&self, at: u32) -> bool {
        self.words.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    pub(super) fn and(mut self, other: &Bits) -> Bits {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= b);
        self
    }

    pub(super) fn or(mut self, other: &Bits) -> Bits {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a |= b);
        self
    }

    /// Those of this set that are not in the other.
    pub(super) fn without(mut self, other: &Bits) -> Bits {
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a &= !b);
        self
    }

    pub(super) fn not(mut self) -> Bits {
        self.words.iter_mut().for_each(|word| *word = !*word);
        let beyond = self.bound % 64;
        if beyond > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << beyond) - 1;
        }
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    pub(super) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The numbers, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros();
                    rest &= rest - 1;
                    at as u32 * 64 + bit
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_do_what_sets_do() {
        for bound in [0, 1, 63, 64, 65, 200] {
            let of = |keep: &dyn Fn(u32) -> bool| {
                let mut bits = Bits::none(bound);
                (0..bound).filter(|at| keep(*at)).for_each(|at| bits.insert(at));
                bits
            };
            let (two, three) = (of(&|at| at % 2 == 0), of(&|at| at % 3 == 0));
            assert_eq!(two.clone().and(&three), of(&|at| at % 6 == 0));
            assert_eq!(two.clone().or(&three), of(&|at| at % 2 == 0 || at % 3 == 0));
            assert_eq!(two.clone().without(&three), of(&|at| at % 2 == 0 && at % 3 != 0));
            assert_eq!(two.clone().not(), of(&|at| at % 2 == 1));
            assert_eq!(Bits::none(bound).not().count(), u64::from(bound));
            assert!(!two.has(bound) && two.has(0) == (bound > 0));
            assert!(three.iter().eq((0..bound).step_by(3)) && Bits::none(bound).is_empty());
        }
    }
}
