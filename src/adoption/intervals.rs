//! Intervals for shares, their difference and their ratio: each for a single look.

use crate::math;

/// Normal quantile of an interval of .95.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A share of units (Wilson 1927); `None` of none.
pub fn share(count: u64, of: u64) -> Option<Estimate> {
    if of == 0 {
        return None;
    }
    let (n, p) = (of as f64, count as f64 / of as f64);
    let z2 = Z_95 * Z_95;
    let middle = p + z2 / (2.0 * n);
    let half = Z_95 * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    let (low, high) = ((middle - half) / scale, (middle + half) / scale);
    // Where all or none did, the end is that share, which rounding may miss.
    let low = if count == 0 { 0.0 } else { low };
    let high = if count == of { 1.0 } else { high };
    Some(Estimate { value: p, low, high })
}

/// A difference of two shares, the first less the second (Newcombe 1998, method 10: the squared distances of the Wilson intervals).
pub fn difference(first: (u64, u64), second: (u64, u64)) -> Option<Estimate> {
    let (a, b) = (share(first.0, first.1)?, share(second.0, second.1)?);
    let value = a.value - b.value;
    let low = value - (a.value - a.low).hypot(b.high - b.value);
    let high = value + (a.high - a.value).hypot(b.value - b.low);
    Some(Estimate { value, low, high })
}

/// A ratio of two shares, the first over the second (Katz et al. 1978). Where one of the two counts is 0, a half is added to each
/// count and to what it is of; `None` where nothing can be said.
pub fn ratio(first: (u64, u64), second: (u64, u64)) -> Option<Estimate> {
    if first.1 == 0 || second.1 == 0 || first.0 + second.0 == 0 {
        return None;
    }
    let half = if first.0 == 0 || second.0 == 0 { 0.5 } else { 0.0 };
    let [a, n, b, m] = [first.0, first.1, second.0, second.1].map(|count| count as f64 + half);
    let ln = math::ln(a / n) - math::ln(b / m);
    let sd = (1.0 / a - 1.0 / n + 1.0 / b - 1.0 / m).max(0.0).sqrt();
    Some(Estimate { value: math::exp(ln), low: math::exp(ln - Z_95 * sd), high: math::exp(ln + Z_95 * sd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nothing_has_no_interval() {
        assert_eq!(share(0, 0), None);
        assert_eq!(difference((1, 2), (0, 0)), None);
        assert_eq!(ratio((0, 10), (0, 10)), None);
        let none = share(0, 10).unwrap();
        assert!(none.low == 0.0 && none.high > 0.2 && none.high < 0.31, "{none:?}");
        assert_eq!(share(10, 10).unwrap().high, 1.0);
    }
}
