//! Named invariants: one sentence each, checked in code where that is cheap, and each named by a test.

/// Every invariant with its sentence; tests and documentation refer to the identifier.
pub const INVARIANTS: [(&str, &str); 14] = [
    ("EV-1", "every record has exactly one (stream, offset), and offsets rise within a stream"),
    ("EV-2", "records = events + rejects, and events = on time + late + outside, whenever counts leave the fold"),
    ("WN-1", "what a closed window contains depends on the contents of streams alone"),
    ("WN-2", "windows close in ascending order and never reopen"),
    ("WN-3", "one line with a wrong clock does not make other lines late"),
    ("SK-1", "merging is commutative and associative with an identity, bit for bit"),
    ("CP-1", "no data is never called held"),
    ("CP-2", "with no true difference, a rollout fails with probability at most its alpha"),
    ("CP-3", "a failed verdict is never taken back"),
    ("CP-4", "strata are cut from arrivals alone, never from outcomes"),
    ("LG-1", "each ledger entry carries the hash of the entry before it"),
    ("LG-2", "replaying the same streams with the same plan gives the same ledger, byte for byte"),
    ("EN-1", "a restored engine goes on exactly as the one that was saved"),
    ("EN-2", "a partial that was applied before changes nothing when it comes again"),
];
