//! Tests and verdicts.
