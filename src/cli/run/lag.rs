//! How far reading is behind what brokers have.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::source::kafka::Lag;

/// Partitions that are named, those furthest behind first.
const NAMED_MAX: usize = 100;

/// The clock, in milliseconds since 1970.
pub(super) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Whole seconds between the record that was read last and the clock; 0 where nothing waits.
pub(super) fn seconds(lag: &Lag, now: i64) -> Option<u64> {
    match lag.records()? {
        0 => Some(0),
        _ => u64::try_from(now.saturating_sub(lag.millis?)).ok().map(|millis| millis / 1_000),
    }
}

/// For programs: records and seconds over all partitions (a partition of which nothing is known is left out), and each partition.
pub(super) fn lag_json(lags: &[Lag], now: i64) -> Value {
    let mut sorted: Vec<&Lag> = lags.iter().collect();
    sorted.sort_by_key(|lag| (std::cmp::Reverse(lag.records()), &lag.stream));
    let each: Vec<Value> = sorted
        .iter()
        .take(NAMED_MAX)
        .map(|lag| {
            json!({
                "stream": lag.stream,
                "next": lag.next,
                "end": lag.end,
                "records": lag.records(),
                "seconds": seconds(lag, now),
            })
        })
        .collect();
    json!({
        "records": lags.iter().filter_map(Lag::records).sum::<u64>(),
        "seconds": lags.iter().filter_map(|lag| seconds(lag, now)).max().unwrap_or(0),
        "partitions": each,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_and_how_old_it_is() {
        let lag = |stream: &str, next, end, millis| Lag { stream: stream.to_owned(), next, end, millis };
        let lags =
            [lag("t/0", 5, Some(5), Some(1_000)), lag("t/1", 2, Some(9), Some(4_000)), lag("t/2", 0, None, None)];
        let said = lag_json(&lags, 9_999);
        assert_eq!((&said["records"], &said["seconds"]), (&7.into(), &5.into()));
        let first = json!({ "stream": "t/1", "next": 2, "end": 9, "records": 7, "seconds": 5 });
        assert_eq!(said["partitions"][0], first);
        assert_eq!(said["partitions"][2]["records"], Value::Null);
    }
}
