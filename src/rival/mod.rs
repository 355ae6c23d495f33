//! Rules that other tools use.
