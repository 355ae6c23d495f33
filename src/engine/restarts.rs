//! Restarts of the guardrails: the same tests again, begun every six hours, so that a regression that begins late is not
//! diluted by the days before it.
//!
//! A guardrail counts with `.7 E(start) + sum_i .3 / (i (i + 1)) E(restart i)`; a restart that has not begun counts with
//! e = 1. Eight run at once; when another begins, the oldest is frozen at its value (statistics design 4.6). Restart i
//! begins with the first window after i times six hours of event time; one whose time fell into a gap counts with e = 1
//! for ever.
//!
//! Bucket tests keep a copy of their sums and test the difference. Share tests count anew: units at risk are those active
//! in the stratum since the restart that had no event since; one bit a restart in the unit store says which had.

use crate::compare::budget::{self, RESTART_HOURS, RESTARTS_ALIVE};
use crate::compare::verdict::Cell;
use crate::engine::bucket_sums::Mark;
use crate::engine::first_events::FirstEvents;
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::math;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::time::{MINUTE, Micros, Timestamp};

/// Event time between two restarts.
const EVERY: Micros = RESTART_HOURS as i64 * 60 * MINUTE;
/// Bucket tests that are guardrails: errors a request, mean latency, and the shares above p50, p90 and p99.
pub const BUCKET_TESTS: usize = 5;
/// ln e of every cell.
pub type Evidence = [f64; Cell::ALL.len()];

/// The tests since one restart.
#[derive(Clone, PartialEq, Debug)]
pub struct Restart {
    /// 1 for the first.
    number: u32,
    /// Units with an error.
    pub error_units: FirstEvents,
    /// Units with a slow request.
    pub slow_units: FirstEvents,
    /// Sums of the bucket tests when it began.
    pub marks: [Mark; BUCKET_TESTS],
}

impl Restart {
    /// Its bit in the unit store.
    fn bit(&self) -> u8 {
        1 << (self.number % RESTARTS_ALIVE)
    }
}

/// All restarts of one comparison.
#[derive(Clone, PartialEq, Debug)]
pub struct Restarts {
    /// Those that run, oldest first.
    running: Vec<Restart>,
    /// How many have begun.
    begun: u32,
    /// ln of the weighted sum of e of those that do not run any more; -inf for none.
    frozen: Evidence,
}

impl Default for Restarts {
    fn default() -> Self {
        Restarts { running: Vec::new(), begun: 0, frozen: [f64::NEG_INFINITY; Cell::ALL.len()] }
    }
}

impl Restarts {
    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        let of = |restart: &Restart| {
            restart.error_units.bytes() + restart.slow_units.bytes() + BUCKET_TESTS as u64 * Mark::BYTES
        };
        memory::list::<Restart>(self.running.len()) + self.running.iter().map(of).sum::<u64>()
    }

    /// Those that run, oldest first.
    pub fn running(&self) -> &[Restart] {
        &self.running
    }

    /// Bits of those that run.
    #[inline]
    pub fn mask(&self) -> u8 {
        self.running.iter().fold(0, |mask, restart| mask | restart.bit())
    }

    /// Share tests of the restarts of a mask.
    #[inline]
    pub fn of(&mut self, mask: u8) -> impl Iterator<Item = &mut Restart> {
        self.running.iter_mut().filter(move |restart| restart.bit() & mask != 0)
    }

    /// A new stratum begins.
    pub fn cut(&mut self) {
        for restart in &mut self.running {
            restart.error_units.cut();
            restart.slow_units.cut();
        }
    }

    /// Number of the restart that begins with the next window, when one does.
    pub fn due(&self, started: Timestamp, now: Timestamp) -> Option<u32> {
        let number = u32::try_from((now.0 - started.0) / EVERY).unwrap_or(0);
        (number > self.begun).then_some(number)
    }

    /// Restart `number` begins; `said`: what those that run have said at this look, oldest first. Returns its bit, which
    /// no unit may have set.
    pub fn begin(&mut self, number: u32, marks: [Mark; BUCKET_TESTS], said: &[Evidence]) -> u8 {
        let first_running = number.saturating_sub(RESTARTS_ALIVE - 1);
        let ending = self.running.iter().take_while(|restart| restart.number < first_running).count();
        for (restart, said) in self.running.drain(..ending).zip(said) {
            for (frozen, log_e) in self.frozen.iter_mut().zip(said) {
                *frozen = add(*frozen, budget::restart_weight(restart.number), *log_e);
            }
        }
        for skipped in self.begun + 1..number {
            for frozen in &mut self.frozen {
                *frozen = add(*frozen, budget::restart_weight(skipped), 0.0);
            }
        }
        self.begun = number;
        let restart =
            Restart { number, error_units: FirstEvents::default(), slow_units: FirstEvents::default(), marks };
        let bit = restart.bit();
        self.running.push(restart);
        bit
    }

    /// ln e of a guardrail: the test from the `start`, and what the restarts that run have `said`, oldest first.
    pub fn log_guardrail(&self, cell: Cell, start: f64, said: &[Evidence]) -> f64 {
        let mut terms = vec![
            add(f64::NEG_INFINITY, budget::RESTART_START, start),
            math::ln(budget::unopened_restarts_weight(self.begun)),
        ];
        let frozen = self.frozen[cell as usize];
        terms.extend(frozen.is_finite().then_some(frozen));
        let running = self.running.iter().zip(said);
        terms.extend(running.map(|(restart, said)| {
            add(f64::NEG_INFINITY, budget::restart_weight(restart.number), said[cell as usize])
        }));
        math::log_sum_exp(&terms)
    }

    /// Writes the restarts.
    pub fn write(&self, w: &mut Writer) {
        w.uint(u64::from(self.begun));
        self.frozen.iter().for_each(|log_e| w.float(*log_e));
        w.length(self.running.len());
        for restart in &self.running {
            w.uint(u64::from(restart.number));
            restart.error_units.write(w);
            restart.slow_units.write(w);
            restart.marks.iter().for_each(|mark| mark.write(w));
        }
    }

    /// Reads what [`Restarts::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Restarts, Damaged> {
        let mut restarts = Restarts { begun: r.uint32()?, ..Restarts::default() };
        for log_e in &mut restarts.frozen {
            *log_e = r.float()?;
        }
        for _ in 0..r.length()? {
            restarts.running.push(Restart {
                number: r.uint32()?,
                error_units: FirstEvents::read(r)?,
                slow_units: FirstEvents::read(r)?,
                marks: [Mark::read(r)?, Mark::read(r)?, Mark::read(r)?, Mark::read(r)?, Mark::read(r)?],
            });
        }
        Ok(restarts)
    }
}

impl Restart {
    /// When it began, at the earliest.
    pub fn begun_at(&self, started: Timestamp) -> Timestamp {
        Timestamp(started.0 + i64::from(self.number) * EVERY)
    }

    /// A unit, or `units` requests, is at risk of both events.
    pub fn at_risk(&mut self, arm: Arm, units: u64) {
        self.error_units.at_risk(arm, units);
        self.slow_units.at_risk(arm, units);
    }
}

/// ln of (e^`sum` + `weight` e^`log_e`).
fn add(sum: f64, weight: f64, log_e: f64) -> f64 {
    let term = math::ln(weight) + if log_e.is_nan() { 0.0 } else { log_e.min(budget::LOG_E_MAX) };
    if sum == f64::NEG_INFINITY { term } else { math::log_sum_exp(&[sum, term]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::bucket_sums::{BucketSums, Values};

    fn marks() -> [Mark; BUCKET_TESTS] {
        std::array::from_fn(|_| BucketSums::new(Values::Indicator).mark())
    }

    fn hours(n: i64) -> Timestamp {
        Timestamp(n * 60 * MINUTE)
    }

    #[test]
    fn a_restart_is_due_every_six_hours() {
        let mut restarts = Restarts::default();
        assert_eq!(restarts.due(hours(0), Timestamp(hours(6).0 - 1)), None);
        assert_eq!(restarts.due(hours(0), hours(6)), Some(1));
        restarts.begin(1, marks(), &[]);
        assert_eq!(restarts.due(hours(0), hours(11)), None);
        // Nothing was seen for a while: three are due, one begins.
        assert_eq!(restarts.due(hours(0), hours(25)), Some(4));
        let before: Vec<Evidence> = vec![[0.0; Cell::ALL.len()]; 1];
        restarts.begin(4, marks(), &before);
        assert_eq!(restarts.running().len(), 2);
        assert_eq!(restarts.due(hours(0), hours(29)), None);
    }

    #[test]
    fn weights_sum_to_one_at_every_time() {
        let mut restarts = Restarts::default();
        for number in 1..40 {
            if number % 7 == 3 {
                continue; // fell into a gap
            }
            let said = vec![[0.0; Cell::ALL.len()]; restarts.running().len()];
            restarts.begin(number, marks(), &said);
            let said = vec![[0.0; Cell::ALL.len()]; restarts.running().len()];
            for cell in Cell::ALL {
                let neutral = restarts.log_guardrail(cell, 0.0, &said);
                assert!(neutral.abs() < 1e-12, "{number}: {neutral:e}");
            }
            assert!(restarts.running().len() <= 8);
            assert_eq!(restarts.mask().count_ones() as usize, restarts.running().len());
        }
    }

    #[test]
    fn evidence_of_a_restart_counts_with_its_weight_and_stays_when_it_is_frozen() {
        let mut restarts = Restarts::default();
        let mut said: Vec<Evidence> = Vec::new();
        for number in 1..=3 {
            restarts.begin(number, marks(), &said);
            said = vec![[0.0; Cell::ALL.len()]; restarts.running().len()];
        }
        let log_e = 20.0;
        said[1][Cell::ErrorUnits as usize] = log_e;
        let expected = math::ln(0.3 / 6.0) + log_e;
        let got = restarts.log_guardrail(Cell::ErrorUnits, 0.0, &said);
        assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        for number in 4..=30 {
            restarts.begin(number, marks(), &said);
            if number == 10 {
                assert_eq!(restarts.running()[0].number, 3, "the second is frozen");
            }
            let two_runs = number < 10;
            let two_at = restarts.running().iter().position(|restart| restart.number == 2);
            assert_eq!(two_at.is_some(), two_runs);
            said = vec![[0.0; Cell::ALL.len()]; restarts.running().len()];
            if let Some(at) = two_at {
                said[at][Cell::ErrorUnits as usize] = log_e;
            }
            let now = restarts.log_guardrail(Cell::ErrorUnits, 0.0, &said);
            assert!((now - got).abs() < 1e-6, "{number}: {now} {got}");
        }
        let mut w = Writer::default();
        restarts.write(&mut w);
        assert_eq!(Restarts::read(&mut Reader::new(&w.bytes)).unwrap(), restarts);
    }
}
