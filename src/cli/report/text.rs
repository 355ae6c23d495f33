//! Numbers, lengths of time and lines, as people read them.

use crate::time::{HOUR, MINUTE, Micros, SECOND};

/// A share in per cent with three significant digits or so.
pub(in crate::cli) fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value != 0.0 && value.abs() < 0.1 {
        format!("{value:.3} %")
    } else if value.abs() < 10.0 {
        format!("{value:.2} %")
    } else {
        format!("{value:.1} %")
    }
}

/// A latency given in milliseconds.
pub(in crate::cli) fn millis(ms: f64) -> String {
    if ms >= 10_000.0 {
        format!("{:.1} s", ms / 1000.0)
    } else if ms >= 100.0 {
        format!("{ms:.0} ms")
    } else if ms >= 1.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.2} ms")
    }
}

/// A length of time in words.
pub(in crate::cli) fn span(time: Micros) -> String {
    let days = 24 * HOUR;
    if time >= 2 * days {
        format!("{:.1} days", time as f64 / days as f64)
    } else if time >= HOUR {
        format!("{} h {} min", time / HOUR, time % HOUR / MINUTE)
    } else if time >= MINUTE {
        format!("{} min {} s", time / MINUTE, time % MINUTE / SECOND)
    } else {
        format!("{} s", time / SECOND)
    }
}

pub(in crate::cli) use crate::words::grouped;

/// How many times as many.
pub(super) fn times(ratio: f64) -> String {
    if ratio >= 100.0 { format!("{ratio:.0}") } else { format!("{ratio:.2}") }
}

/// So many of a thing, in the singular or plural.
pub(in crate::cli) fn count(n: u64, what: &str) -> String {
    // A vowel before it keeps the y: deploys.
    let stem = what.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    match (n, stem) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{} {stem}ies", grouped(n)),
        (_, None) => format!("{} {what}s", grouped(n)),
    }
}

/// Joins items into lines of at most `most` characters.
pub(super) fn wrap(items: &[String], most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(line) if line.chars().count() + item.chars().count() + 3 <= most => {
                line.push_str(" \u{b7} ");
                line.push_str(item);
            }
            _ => lines.push(item.clone()),
        }
    }
    lines
}

/// Breaks a sentence into lines of at most `most` characters.
pub(in crate::cli) fn wrap_words(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(percent(0.0123), "1.23 %");
        assert_eq!(percent(0.0005), "0.050 %");
        assert_eq!(percent(0.5), "50.0 %");
        assert_eq!(millis(0.5), "0.50 ms");
        assert_eq!(millis(1234.0), "1234 ms");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!([0, 1, 2_000].map(|n| count(n, "entry")), ["0 entries", "1 entry", "2,000 entries"]);
        assert_eq!(span(90 * SECOND), "1 min 30 s");
        assert_eq!(span(26 * HOUR), "26 h 0 min");
    }
}
