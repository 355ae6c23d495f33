//! Pinned elementary functions.
