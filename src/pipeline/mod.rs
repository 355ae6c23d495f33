//! From bytes to events.

pub mod access;
pub mod clock;
pub mod json;
pub mod number;
