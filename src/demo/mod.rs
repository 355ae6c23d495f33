//! Traffic with known truth.

pub mod random;
mod text;
pub mod traffic;
