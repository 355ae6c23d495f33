//! From bytes to events.

pub mod json;
