//! How fast units that have failed become more, as failures do.
//!
//! PASS on errors asks for the ratio of erring units that a margin of the error *rate* stands for. A unit can fail for the
//! first time only once, so with `r` times the rate there are fewer than `r` times as many such units. How many fewer needs no
//! assumption about users: a canary at `r` times the rate has as many as the control has once its units have failed `r` times
//! as often. Around here that number grows like a power of the failures; the exponent is measured between half of them and all.
//!
//! Failures are counted once a unit and window, so that a unit that tries again and again does not make the time. Counting
//! requests instead would take a day on which failures become more frequent for users who are new.

use std::collections::VecDeque;

use crate::engine::memory;
use crate::math;
use crate::sketch::codec::{Damaged, Reader, Writer};

/// Erring units of the control from which their growth is measured.
const ERRING_MIN: u64 = 10;
/// The exponent is never taken to be smaller: where the same few units fail all the time, the share of erring units says little
/// of the rate, and their requests are compared by the volume of errors.
pub const SLOWEST: f64 = 0.5;
/// A point is kept each time the failures have grown by one in so many.
const STEP: u64 = 8;

/// State.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Growth {
    now: Point,
    /// The course back to half of the failures.
    course: VecDeque<Point>,
}

/// What the control had after some window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Point {
    /// Times that a unit failed in a window.
    failures: u64,
    /// Units that had failed.
    erring: u64,
}

impl Growth {
    /// A unit of the control has failed in the window.
    #[inline]
    pub fn fail(&mut self, times: u64) {
        self.now.failures = self.now.failures.saturating_add(times);
    }

    /// A window has closed; `erring`: units of the control that have failed so far.
    pub fn close_window(&mut self, erring: u64) {
        self.now.erring = erring;
        let last = self.course.back().map_or(0, |point| point.failures);
        if self.now.failures > last.saturating_add(last / STEP) {
            self.course.push_back(self.now);
        }
        // The point before the half stays, to find the half between it and the next.
        while self.course.get(1).is_some_and(|second| second.failures <= self.now.failures / 2) {
            self.course.pop_front();
        }
    }

    /// Exponent with which erring units grow with failures, [`SLOWEST`] to 1; 1 as long as too few have failed to tell.
    pub fn exponent(&self) -> f64 {
        let half = self.now.failures / 2;
        let next = self.course.iter().position(|point| point.failures > half);
        let (below, above) = match next {
            // Before the first point it grows from nothing.
            Some(at) => (at.checked_sub(1).map_or(Point::default(), |before| self.course[before]), self.course[at]),
            None => (self.course.back().copied().unwrap_or_default(), self.now),
        };
        let width = above.failures.saturating_sub(below.failures);
        if self.now.erring < ERRING_MIN || width == 0 {
            return 1.0;
        }
        let part = half.saturating_sub(below.failures) as f64 / width as f64;
        let at_half = below.erring as f64 + part * above.erring.saturating_sub(below.erring) as f64;
        if at_half <= 0.0 {
            return 1.0;
        }
        (math::ln(self.now.erring as f64 / at_half) / std::f64::consts::LN_2).clamp(SLOWEST, 1.0)
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::queue(&self.course)
    }

    /// Writes it.
    pub fn write(&self, w: &mut Writer) {
        w.length(self.course.len());
        for Point { failures, erring } in self.course.iter().chain([&self.now]) {
            w.uint(*failures);
            w.uint(*erring);
        }
    }

    /// Reads what [`Growth::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Growth, Damaged> {
        let point = |r: &mut Reader<'_>| Ok(Point { failures: r.uint()?, erring: r.uint()? });
        let mut course = VecDeque::new();
        for _ in 0..r.length()? {
            course.push_back(point(r)?);
        }
        Ok(Growth { course, now: point(r)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exponent after a course of erring units by failures, so many a window.
    fn exponent(windows: u64, failures: u64, erring: impl Fn(f64) -> f64) -> f64 {
        let mut growth = Growth::default();
        for window in 1..=windows {
            growth.fail(failures);
            growth.close_window(erring((window * failures) as f64) as u64);
        }
        growth.exponent()
    }

    #[test]
    fn the_exponent_of_a_power_is_found() {
        for power in [0.6, 0.75, 0.9, 1.0] {
            let found = exponent(700, 20, |failures| 10.0 * failures.powf(power));
            assert!((found - power).abs() < 0.01, "{found} of {power}");
        }
        assert_eq!(exponent(700, 20, |_| 40.0), SLOWEST, "the same forty units");
        assert_eq!(exponent(700, 20, |failures| failures * failures), 1.0, "not faster than the failures");
        assert_eq!(exponent(700, 20, |_| 9.0), 1.0, "too few to tell");
        assert_eq!(exponent(700, 0, |_| 0.0), 1.0);
        let one_window = exponent(1, 1_000, |_| 700.0);
        assert_eq!(one_window, 1.0, "nothing is known of the half");
    }

    #[test]
    fn a_course_is_short_and_comes_back_as_it_was() {
        let mut growth = Growth::default();
        for window in 1..=100_000u64 {
            growth.fail(20);
            growth.close_window(window / 3);
        }
        assert!(growth.course.len() < 12, "{}", growth.course.len());
        let mut w = Writer::default();
        growth.write(&mut w);
        let mut r = Reader::new(&w.bytes);
        assert_eq!(Growth::read(&mut r), Ok(growth));
        assert_eq!(r.end(), Ok(()));
    }
}
