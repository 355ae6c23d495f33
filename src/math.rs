//! Pinned elementary functions.

/// Natural logarithm.
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}
