//! Traffic with known truth.

pub mod corpus;
pub mod random;
mod text;
pub mod traffic;
