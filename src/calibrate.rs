//! Proof on the user's own logs.
