//! What is planted into the canary of a split.

use crate::event::{self, Event, Kind, NO_LATENCY};

/// A regression of known size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Nothing.
    None,
    /// A share of the canary's requests fails, whoever sent them.
    Errors {
        /// Share in parts per million.
        ppm: u32,
    },
    /// Every request of the canary takes longer.
    Slower {
        /// By how many per cent.
        percent: u32,
    },
}

/// Key of the choice of requests that fail.
const KEY_PLANT: u64 = 0x0070_6c61_6e74;
/// Per cent past which "slower" says nothing any more.
const SLOWER_MAX: f64 = 10_000.0;

impl Change {
    /// `errors:2%` or `latency:20%`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Change, String> {
        let wrong = || format!("`{text}` is not a change: write errors:2% or latency:20%");
        let (what, size) = text.split_once(':').ok_or_else(wrong)?;
        let percent: f64 = size.trim().trim_end_matches('%').trim().parse().map_err(|_| wrong())?;
        match what.trim() {
            "errors" if percent > 0.0 && percent <= 100.0 => {
                Ok(Change::Errors { ppm: ((percent * 1e4).round() as u32).max(1) })
            }
            "latency" if (1.0..=SLOWER_MAX).contains(&percent) => {
                Ok(Change::Slower { percent: percent.round() as u32 })
            }
            "errors" => Err(format!("`{text}`: a share of requests lies between 0 and 100 %")),
            "latency" => Err(format!("`{text}`: latency can grow by 1 to {SLOWER_MAX} %")),
            _ => Err(wrong()),
        }
    }

    /// Changes an event of the canary. `salt` differs from split to split.
    pub(super) fn plant(self, event: &mut Event, salt: u64) {
        if event.kind != Kind::Request {
            return;
        }
        match self {
            Change::None => {}
            Change::Errors { ppm } => {
                let place = event::mix(event.offset ^ event.unit, KEY_PLANT ^ salt.rotate_left(32));
                if u128::from(place) * 1_000_000 < u128::from(ppm) << 64 {
                    event.error = true;
                    event.status_class = 5;
                }
            }
            Change::Slower { percent } => {
                if event.latency_us != NO_LATENCY {
                    let longer = u128::from(event.latency_us) * u128::from(100 + percent) / 100;
                    event.latency_us = u64::try_from(longer).unwrap_or(NO_LATENCY - 1).min(NO_LATENCY - 1);
                }
            }
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::None => f.write_str("nothing"),
            Change::Errors { ppm } => write!(f, "{} % more requests fail", f64::from(*ppm) / 1e4),
            Change::Slower { percent } => write!(f, "requests take {percent} % longer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn changes_as_people_write_them() {
        assert_eq!(Change::parse("errors:2%"), Ok(Change::Errors { ppm: 20_000 }));
        assert_eq!(Change::parse("errors: 0.25"), Ok(Change::Errors { ppm: 2_500 }));
        assert_eq!(Change::parse("latency:20%"), Ok(Change::Slower { percent: 20 }));
        for wrong in ["errors", "errors:", "errors:0", "errors:101%", "latency:0%", "latency:1e9", "crashes:1%", ""] {
            assert!(Change::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_share_that_is_planted_fails_and_each_split_chooses_anew() {
        let plain = Event {
            time: Timestamp(0),
            offset: 0,
            unit: 7,
            trace: 0,
            request: 0,
            call: 0,
            latency_us: 1_000,
            service: 0,
            arm: event::NO_NAME,
            route: event::NO_NAME,
            instance: event::NO_NAME,
            weight: event::WEIGHT_ONE,
            sampling: event::NOT_SAMPLED,
            rate_unread: false,
            conversion: 0,
            metrics: crate::event::NO_METRICS,
            segments: event::NO_SEGMENTS,
            latency_form: event::FieldForm::Absent,
            status_form: event::FieldForm::Absent,
            kind: Kind::Request,
            level: event::Level::Info,
            status_class: 2,
            error: false,
            template: event::NO_TEMPLATE,
        };
        let failing = |kind: Kind, salt: u64| -> Vec<u64> {
            let fails = |offset: &u64| {
                let mut event = Event { offset: *offset, kind, ..plain };
                Change::Errors { ppm: 20_000 }.plant(&mut event, salt);
                event.error
            };
            (0..100_000).filter(fails).collect()
        };
        let (one, two) = (failing(Kind::Request, 1), failing(Kind::Request, 2));
        for list in [&one, &two] {
            assert!((1_800..=2_200).contains(&list.len()), "{}", list.len());
        }
        let both = one.iter().filter(|offset| two.binary_search(offset).is_ok()).count();
        assert!(both < 100, "{both} of {}", one.len());
        assert!(failing(Kind::Log, 1).is_empty());
    }
}
