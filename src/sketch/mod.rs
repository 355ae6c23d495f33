//! Mergeable integer state.
