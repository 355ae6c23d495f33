//! What the clock of the machine shows, for the edges that may ask it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::time::{DAY, Timestamp};

/// The time of the clock.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// When the day begins that the clock shows.
pub(super) fn today() -> Timestamp {
    let now = now().0;
    Timestamp(now - now.rem_euclid(DAY))
}
