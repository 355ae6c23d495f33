//! Seeded random numbers for made-up traffic: the same seed gives the same bytes on every platform.
//!
//! Only integer arithmetic, the four exact operations of IEEE 754, the exact square root and the pinned logarithm and
//! exponential of `libm` are used; the functions of the platform's own C library differ in the last bit, and one bit
//! is enough to move a golden hash.

/// Generator xoshiro256++, seeded by splitmix64 (Blackman and Vigna, "Scrambled linear pseudorandom number
/// generators", 2021).
#[derive(Clone, Debug)]
pub struct Random {
    state: [u64; 4],
    /// The polar method makes normal numbers in pairs; the second waits here.
    spare_normal: Option<f64>,
}

impl Random {
    /// A generator for this seed. Seeds that differ in one bit give unrelated sequences.
    pub fn new(seed: u64) -> Self {
        let mut counter = seed;
        let state = std::array::from_fn(|_| {
            counter = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
            mix(counter)
        });
        Self { state, spare_normal: None }
    }

    /// The next 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let s = &mut self.state;
        let bits = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        bits
    }

    /// Uniform in [0, 1), with 53 random bits.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        unit_from_bits(self.bits())
    }

    /// Uniform in `0..n`; 0 when `n` is 0. Off by at most n/2^64, which no sample of ours can see.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }

    /// True with probability `p`.
    #[inline]
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Standard normal (Marsaglia's polar method).
    pub fn normal(&mut self) -> f64 {
        if let Some(z) = self.spare_normal.take() {
            return z;
        }
        loop {
            let a = 2.0 * self.unit() - 1.0;
            let b = 2.0 * self.unit() - 1.0;
            let square = a * a + b * b;
            if square > 0.0 && square < 1.0 {
                let scale = libm::sqrt(-2.0 * libm::log(square) / square);
                self.spare_normal = Some(b * scale);
                return a * scale;
            }
        }
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        // 1 - unit() lies in (0, 1], so the logarithm is finite.
        -libm::log(1.0 - self.unit())
    }

    /// Poisson with this mean; 0 when the mean is not positive. The work grows with the mean, which is therefore cut
    /// at a million.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        // Exact by products of uniforms; a large mean is taken in pieces, since exp(-mean) would lose its digits.
        const PIECE: f64 = 30.0;
        let mut left = if mean > 0.0 { mean.min(1e6) } else { 0.0 };
        let mut count = 0;
        while left > 0.0 {
            let limit = libm::exp(-left.min(PIECE));
            let mut product = self.unit();
            while product > limit {
                count += 1;
                product *= self.unit();
            }
            left -= PIECE;
        }
        count
    }

    /// Gamma with shape 1/2 and scale 1: mean 1/2, most values near zero and a few large. Half a squared normal is one.
    pub fn gamma_half(&mut self) -> f64 {
        let z = self.normal();
        0.5 * z * z
    }
}

/// The finaliser of splitmix64: a bijection of 64 bits in which each input bit moves half of the output bits.
#[inline]
pub fn mix(bits: u64) -> u64 {
    let mut z = bits;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The upper 53 bits as a number in [0, 1): turns a hash into a position, for assignments that must stick.
#[inline]
pub fn unit_from_bits(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// Draws an index with given weights in constant time (Walker's alias method, set up as Vose did in 1991).
#[derive(Clone, Debug)]
pub struct Alias {
    slots: Vec<Slot>,
}

/// Kept together, so that a draw touches one cache line.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The slot keeps its own index when 32 random bits lie below this, else `other` is drawn.
    cut: u32,
    other: u32,
}

impl Alias {
    /// Weights need not sum to one; negative ones and not-a-number count as zero. If all are zero, every index is
    /// equally likely. Entries past 2^32 are never drawn.
    pub fn new(weights: &[f64]) -> Self {
        let weights = &weights[..weights.len().min(u32::MAX as usize)];
        let total: f64 = weights.iter().map(|w| w.max(0.0)).sum();
        let mean = total / weights.len().max(1) as f64;
        let mut heights: Vec<f64> = match mean > 0.0 {
            true => weights.iter().map(|w| w.max(0.0) / mean).collect(),
            false => vec![1.0; weights.len()],
        };
        // A slot that is never paired (height 1 up to rounding) refers to itself.
        let mut slots: Vec<Slot> = (0..weights.len() as u32).map(|i| Slot { cut: u32::MAX, other: i }).collect();
        let (mut low, mut high): (Vec<usize>, Vec<usize>) = (0..heights.len()).partition(|&i| heights[i] < 1.0);
        while let (Some(&giver), Some(taker)) = (high.last(), low.pop()) {
            slots[taker] = Slot { cut: (heights[taker] * 4_294_967_296.0) as u32, other: giver as u32 };
            heights[giver] -= 1.0 - heights[taker];
            if heights[giver] < 1.0 {
                high.pop();
                low.push(giver);
            }
        }
        Self { slots }
    }

    /// One index; 0 when there are no weights.
    #[inline]
    pub fn draw(&self, random: &mut Random) -> usize {
        // One product serves twice: its upper half picks the slot, its lower half is uniform inside the slot.
        let wide = u128::from(random.bits()) * self.slots.len() as u128;
        let index = (wide >> 64) as usize;
        match self.slots.get(index) {
            Some(slot) if ((wide as u64) >> 32) as u32 >= slot.cut => slot.other as usize,
            _ => index,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 200_000;

    /// Mean and variance of N draws.
    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let (mut sum, mut square) = (0.0, 0.0);
        for _ in 0..N {
            let x = draw();
            sum += x;
            square += x * x;
        }
        let mean = sum / N as f64;
        (mean, square / N as f64 - mean * mean)
    }

    #[track_caller]
    fn check_moments(draw: impl FnMut() -> f64, mean: f64, variance: f64) {
        let (m, v) = moments(draw);
        let error = 5.0 * (variance / N as f64).sqrt();
        assert!((m - mean).abs() < error, "mean {m}, expected {mean} +- {error}");
        assert!((v / variance - 1.0).abs() < 0.03, "variance {v}, expected {variance}");
    }

    #[test]
    fn generator_matches_the_published_one() {
        // xoshiro256++ from the state 1, 2, 3, 4: the first numbers of the authors' C code, as used by the crate `rand_xoshiro`.
        let mut random = Random { state: [1, 2, 3, 4], spare_normal: None };
        let first: Vec<u64> = (0..4).map(|_| random.bits()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
        // splitmix64 from 1234567, the authors' test value.
        let seeded = Random::new(1_234_567);
        assert_eq!(seeded.state[..2], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut r = Random::new(7);
        check_moments(|| r.unit(), 0.5, 1.0 / 12.0);
        check_moments(|| r.normal(), 0.0, 1.0);
        check_moments(|| r.exponential(), 1.0, 1.0);
        check_moments(|| r.gamma_half(), 0.5, 0.5);
        check_moments(|| r.poisson(0.3) as f64, 0.3, 0.3);
        check_moments(|| r.poisson(97.0) as f64, 97.0, 97.0);
        check_moments(|| r.below(6) as f64, 2.5, 35.0 / 12.0);
    }

    #[test]
    fn edges_do_not_panic() {
        let mut r = Random::new(0);
        assert_eq!(r.below(0), 0);
        assert_eq!(r.below(1), 0);
        assert_eq!(r.poisson(0.0), 0);
        assert_eq!(r.poisson(-1.0), 0);
        assert_eq!(r.poisson(f64::NAN), 0);
        assert_eq!(Alias::new(&[]).draw(&mut r), 0);
        assert_eq!(Alias::new(&[3.0]).draw(&mut r), 0);
        let flat = Alias::new(&[0.0, f64::NAN, -1.0]);
        assert!((0..100).map(|_| flat.draw(&mut r)).all(|i| i < 3));
    }

    #[test]
    fn alias_draws_by_weight() {
        let weights = [0.0, 1.0, 2.0, 3.0, 94.0];
        let alias = Alias::new(&weights);
        let mut r = Random::new(11);
        let mut counts = [0u32; 5];
        for _ in 0..N {
            counts[alias.draw(&mut r)] += 1;
        }
        assert_eq!(counts[0], 0);
        for (count, weight) in counts.iter().zip(weights) {
            let expected = N as f64 * weight / 100.0;
            assert!((f64::from(*count) - expected).abs() < 5.0 * expected.sqrt() + 1.0, "{counts:?}");
        }
    }
}
