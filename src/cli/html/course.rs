//! The course of each comparison: a bounded number of points, taken while it runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cli::report::{Effect, Row, rows};
use crate::compare::verdict::{Cell, Finding};
use crate::engine::Engine;
use crate::engine::comparison::Comparison;
use crate::engine::policy::Policy;
use crate::time::Timestamp;

/// Points that are kept of a comparison; past it every other one goes, and only every other look gives one.
pub(in crate::cli) const POINTS_MAX: usize = 400;
/// Comparisons whose course is kept.
pub(in crate::cli) const COURSES_MAX: usize = 64;

/// What one look said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Point {
    /// End of its window.
    pub at: Timestamp,
    /// ln of the weighted sum of all evidence.
    pub log_sum: f64,
    /// The difference by each guardrail, in the order of [`Cell::ALL`].
    pub effects: [Option<Effect>; Cell::ALL.len()],
    /// ln of the evidence of each, and what was said of it; nothing of looks that an earlier version took.
    #[serde(default)]
    pub said: [Option<(f64, Finding)>; Cell::ALL.len()],
}

impl Point {
    /// The latest look of a comparison.
    pub(in crate::cli) fn of(comparison: &Comparison, policy: &Policy) -> Point {
        Point::from_rows(comparison, &rows(comparison, policy))
    }

    /// The same, where its rows are at hand.
    pub(in crate::cli) fn from_rows(comparison: &Comparison, rows: &[Row]) -> Point {
        let (mut effects, mut said) = ([None; Cell::ALL.len()], [None; Cell::ALL.len()]);
        for row in rows {
            effects[row.cell as usize] = row.effect;
            said[row.cell as usize] = Some((row.log_e, row.finding));
        }
        Point { at: comparison.ended_at, log_sum: comparison.look.log_sum, effects, said }
    }
}

/// Points of one comparison, evenly spread over its looks.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Course {
    points: Vec<Point>,
    /// The latest look.
    latest: Option<Timestamp>,
    looks: u64,
    every: u64,
}

impl Course {
    fn new() -> Course {
        Course { points: Vec::new(), latest: None, looks: 0, every: 1 }
    }

    /// Counts a look, and takes the point that `make` gives where its turn has come. Windows that close together are
    /// told of together, and seen once.
    fn look(&mut self, at: Timestamp, make: impl FnOnce() -> Point) {
        if self.latest.is_some_and(|latest| latest >= at) {
            return;
        }
        self.latest = Some(at);
        let turn = self.looks.is_multiple_of(self.every);
        self.looks += 1;
        if !turn {
            return;
        }
        if self.points.len() == POINTS_MAX {
            let mut at = 0;
            self.points.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.every *= 2;
            // The first that is left out now is the next that would have been kept.
            if !(self.looks - 1).is_multiple_of(self.every) {
                return;
            }
        }
        self.points.push(make());
    }
}

/// Courses by release and comparison.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<((usize, usize), Course)>", into = "Vec<((usize, usize), Course)>")]
pub(in crate::cli) struct Courses(BTreeMap<(usize, usize), Course>);

impl From<Vec<((usize, usize), Course)>> for Courses {
    fn from(list: Vec<((usize, usize), Course)>) -> Courses {
        Courses(list.into_iter().collect())
    }
}

impl From<Courses> for Vec<((usize, usize), Course)> {
    fn from(courses: Courses) -> Vec<((usize, usize), Course)> {
        courses.0.into_iter().collect()
    }
}

impl Courses {
    /// A comparison was looked at.
    pub(in crate::cli) fn look(&mut self, engine: &Engine, release: usize, at: usize) {
        let Some(comparison) = engine.comparison(release, at) else { return };
        if self.0.len() >= COURSES_MAX && !self.0.contains_key(&(release, at)) {
            return;
        }
        let course = self.0.entry((release, at)).or_insert_with(Course::new);
        let entry = engine.releases().nth(release).and_then(|(services, _)| services.first());
        course.look(comparison.ended_at, || Point::of(comparison, engine.settings().policy.of(entry)));
    }

    /// A comparison is kept no more.
    pub(in crate::cli) fn forget(&mut self, release: usize, at: usize) {
        self.0.remove(&(release, at));
    }

    /// Points of a comparison so far.
    pub(in crate::cli) fn points(&self, release: usize, at: usize) -> &[Point] {
        self.0.get(&(release, at)).map_or(&[], |course| &course.points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_is_bounded_and_evenly_spread() {
        for looks in [0u64, 1, 399, 400, 401, 800, 801, 10_000, 123_457] {
            let mut course = Course::new();
            for look in 0..looks {
                let at = Timestamp(look as i64);
                course.look(at, || Point { at, log_sum: 0.0, effects: Default::default(), said: Default::default() });
                course.look(at, || unreachable!("the same look"));
            }
            let times: Vec<i64> = course.points.iter().map(|point| point.at.0).collect();
            let wanted: Vec<i64> = (0..looks as i64).step_by(course.every as usize).collect();
            assert_eq!(times, wanted, "{looks} looks");
            assert!(times.len() <= POINTS_MAX && times.len() as u64 >= looks.min(POINTS_MAX as u64 / 2));
        }
    }
}
