//! From bytes to events.

pub mod clock;
pub mod json;
pub mod number;
