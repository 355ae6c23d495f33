//! Named invariants: one sentence each, checked in code where that is cheap, and each named by a test.
