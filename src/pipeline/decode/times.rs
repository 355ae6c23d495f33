//! When the work ended, and how long it took where only its start and end are logged.

use crate::event::{NO_LATENCY, RejectReason};
use crate::pipeline::clock;
use crate::pipeline::decode::Decoder;
use crate::pipeline::decode::slots::{Form, Slot};
use crate::pipeline::roles::Role;
use crate::time::{Micros, SECOND, Timestamp};

impl Decoder<'_> {
    #[inline]
    pub(super) fn time(&mut self, line: &str, latency_us: u64) -> Result<Timestamp, RejectReason> {
        let (of_time, of_start) = (self.first(Role::Time), self.first(Role::Start));
        let mut parse = |slot: Slot| match slot.form {
            Form::Plain | Form::Number => self.clock.parse_time(slot.raw(line)),
            Form::Escaped => self.clock.parse_time(&slot.text(line)),
            Form::Absent | Form::True | Form::False | Form::Nested => Err(clock::TimeError::NotATime),
        };
        let rejected = |error| match error {
            clock::TimeError::NotATime => RejectReason::BadTime,
            clock::TimeError::OutOfRange => RejectReason::TimeOutOfRange,
        };
        if let Some((slot, _)) = of_time {
            return parse(slot).map_err(rejected);
        }
        let (slot, _) = of_start.ok_or(RejectReason::NoTime)?;
        let start = parse(slot).map_err(rejected)?;
        if latency_us == NO_LATENCY { Ok(start) } else { after(start, latency_us) }
    }

    /// Latency of a line that has no field for it, but says when the work started and when it ended.
    pub(super) fn since_start(&mut self, line: &str, end: Timestamp) -> u64 {
        if !self.first(Role::Time).is_some_and(|(_, at)| self.end_times[at]) {
            return NO_LATENCY;
        }
        let start = self.text(Role::Start, line).and_then(|text| self.clock.parse_time(&text).ok());
        // Whole seconds tell nothing of a request that takes less.
        let is_coarse = |time: Timestamp| time.0 % SECOND == 0;
        let start = start.filter(|start| !(is_coarse(*start) && is_coarse(end)));
        start.and_then(|start| u64::try_from(end.0 - start.0).ok()).unwrap_or(NO_LATENCY)
    }
}

/// When work ended that began then and took so long.
pub(super) fn after(start: Timestamp, latency_us: u64) -> Result<Timestamp, RejectReason> {
    let end = Timestamp(start.0.saturating_add(Micros::try_from(latency_us).unwrap_or(Micros::MAX)));
    if clock::is_in_range(end) { Ok(end) } else { Err(RejectReason::TimeOutOfRange) }
}
