//! The record of decisions.
