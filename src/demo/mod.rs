//! Traffic with known truth, and what becomes of it.

pub mod archive;
pub mod corpus;
pub mod course;
pub mod others;
pub mod random;
mod text;
pub mod traffic;
