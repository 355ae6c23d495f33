//! What a line becomes.
