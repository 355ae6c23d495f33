//! From bytes to events: decode, find the role of each field, tag with service and arm.
//!
//! This module knows nothing about windows beyond their length, and nothing about tests.

pub mod access;
pub mod clock;
pub mod continued;
pub mod decode;
pub mod intern;
pub mod json;
pub mod kept;
pub mod metric;
pub mod number;
pub mod plan;
pub mod plan_text;
pub mod prepare;
pub mod roles;
pub mod sampling;
pub mod shape;
pub mod survey;
pub mod template;
pub mod values;
