//! Times that name no zone and seem to be local.

use super::cover::Covered;
use crate::pipeline::clock::Zone;
use crate::time::{HOUR, MINUTE, Micros, Timestamp};

/// Nearly all zones differ by whole halves of an hour.
const HALF_HOUR: Micros = 30 * MINUTE;
/// How well lines that are of one time must agree to be taken for lines of another zone.
const APART_MAX: Micros = 2 * MINUTE;
/// Farthest that a zone is from UTC.
const ZONE_MAX: Micros = 14 * HOUR;

/// Says that times which name no zone are probably local: where they lie a zone away from those which name theirs, or, of lines that are
/// read as they are written, from `now`.
pub(super) fn note(read: &Covered, now: Option<Timestamp>) -> Option<String> {
    let (unzoned, zoned) = (&read.unzoned, &read.zoned);
    let (ahead, of_what) = match (zoned.first, now) {
        // What is written while others are is of the same zone.
        (Some(first), _) if unzoned.first? <= zoned.last? && first <= unzoned.last? => return None,
        // Each stream's first lines are of about the time at which the log begins.
        (Some(first), _) => (unzoned.first?.0 - first.0, "the lines that name theirs"),
        (None, Some(now)) => (unzoned.last?.0 - now.0, "the clock"),
        (None, None) => return None,
    };
    let away = (ahead + HALF_HOUR / 2).div_euclid(HALF_HOUR) * HALF_HOUR;
    if away == 0 || away.abs() > ZONE_MAX || (ahead - away).abs() > APART_MAX {
        return None;
    }
    let zone = Zone::ahead(away);
    Some(format!(
        "time: {} of {} lines name no zone and are read as UTC; so they lie {} {} {of_what}. If they are local, say so: --zone {}, or `zone: {}` in the pipeline of their streams",
        unzoned.lines,
        unzoned.lines + zoned.lines,
        hours(away.abs()),
        if away > 0 { "ahead of" } else { "behind" },
        zone.name(),
        zone.name(),
    ))
}

fn hours(away: Micros) -> String {
    match (away / HOUR, away % HOUR / MINUTE) {
        (hours, 0) => format!("{hours} h"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}
