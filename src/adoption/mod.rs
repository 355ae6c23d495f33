//! Who uses a feature: which units were exposed to it, which used it, how soon, who they are, whether they come back, and how far they come.
//!
//! Units count, not lines. Formulas are those of the design of templates, segments and adoption, section 3. Everything is told from integers
//! that do not depend on the order of lines. Up to [`units::UNITS_MAX`] units are exact; past them one in two, four, ... is followed, by
//! keyed hash, and every count is a multiple with an error that is told.
//!
//! What is called *found* has an interval that holds at whatever time it is looked (`choice`), over all segments that were asked
//! about (e-BH; its intervals at the level that e-BY gives, Xu, Wang and Ramdas 2022). Everything else describes, for a single look.
//! Nothing here is an effect: units chose.

mod choice;
mod funnel;
pub mod intervals;
mod segments;
pub mod survival;
pub mod units;

use crate::adoption::intervals::Estimate;
use crate::adoption::survival::FirstUse;
use crate::adoption::units::{OfUnit, Units};
use crate::time::{DAY, HOUR, MINUTE, Micros, SECOND, Timestamp};

pub use segments::{Grouped, Segment, USES_MAX};

/// Ages at which the part of units that have used is told.
const AGES: [Micros; 10] = [MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 2 * DAY, 3 * DAY, 7 * DAY, 14 * DAY, 30 * DAY];
/// Lengths of time of which a course may have its points.
const PACES: [Micros; 9] = [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY];
/// Points of a course.
const POINTS_MAX: i64 = 60;
/// Days of which first users are told, and days after which they are.
pub const RETENTION_DAYS: usize = 8;
/// Arms that are told.
const ARMS_MAX: usize = 8;
const SECONDS_OF_DAY: i64 = DAY / SECOND;

/// A number of units: exact, or estimated from those that are followed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Count {
    /// Units that are followed.
    pub followed: u64,
    /// Of how many units each stands for.
    pub one_of: u64,
}

impl Count {
    /// Units.
    pub fn units(self) -> u64 {
        self.followed.saturating_mul(self.one_of)
    }

    /// Standard error of [`Count::units`]: units are followed by hash, each with chance 1 / `one_of`.
    pub fn error(self) -> f64 {
        let one_of = self.one_of as f64;
        (self.followed as f64 * (1.0 - 1.0 / one_of.max(1.0))).sqrt() * one_of
    }
}

/// Exposed units and those of them that used.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Adopted {
    /// Exposed.
    pub exposed: Count,
    /// Those that used it then or later.
    pub used: Count,
}

impl Adopted {
    /// Part of exposed units that used (Wilson); `None` with none exposed.
    pub fn rate(&self) -> Option<Estimate> {
        intervals::share(self.used.followed, self.exposed.followed)
    }
}

/// One arm.
#[derive(Clone, PartialEq, Debug)]
pub struct OfArm {
    /// Its name.
    pub arm: String,
    /// Who was exposed and used.
    pub adopted: Adopted,
    /// Units that came through each step of the funnel.
    pub steps: Vec<Count>,
    /// Time to the first use.
    pub first_use: FirstUse,
}

/// A point of the course.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// End of its time.
    pub until: Timestamp,
    /// Exposed and used so far.
    pub so_far: Adopted,
    /// Units that were exposed, and that used for the first time, in it.
    pub new: [Count; 2],
}

/// Units whose first use fell on one day.
#[derive(Clone, PartialEq, Debug)]
pub struct Retention {
    /// Start of the day (UTC).
    pub day: Timestamp,
    /// Units.
    pub units: Count,
    /// Those that used again so many days later (0: the day itself, all of them), and whether that whole day was seen.
    pub again: Vec<(Count, bool)>,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Fields whose values are segments.
    pub segments: Vec<String>,
    /// Steps of the funnel.
    pub steps: usize,
    /// How long the whole way through the funnel may take.
    pub within: Micros,
    /// First uses that are weighed for segments; of more, those of every second unit, and so on. Usually [`USES_MAX`].
    pub uses_max: usize,
}

/// Who uses it.
#[derive(Clone, PartialEq, Debug)]
pub struct Adoption {
    /// Time of the first and the last line.
    pub span: [Timestamp; 2],
    /// All units.
    pub units: Count,
    /// Exposed, and used then or later.
    pub adopted: Adopted,
    /// Units that used and were never exposed, or only later.
    pub used_before: Count,
    /// By arm, those with most exposed units first.
    pub arms: Vec<OfArm>,
    /// Over time.
    pub course: Vec<Point>,
    /// Time to the first use.
    pub first_use: FirstUse,
    /// Ages within the log, at which [`Adoption::first_use`] tells something.
    pub ages: Vec<Micros>,
    /// The longest that somebody who was exposed was watched, or took to use it.
    pub longest: Micros,
    /// Adopters by number of uses: 1, 2 to 4, 5 to 9, 10 and more.
    pub uses: [Count; 4],
    /// Adopters by number of days with a use: 1, 2, 3 to 6, 7 and more.
    pub days: [Count; 4],
    /// By day of the first use; the latest days.
    pub retention: Vec<Retention>,
    /// Units that came through each step.
    pub steps: Vec<Count>,
    /// Segments, most telling first.
    pub segments: Vec<Segment>,
    /// Segments that were tested: what is found is found among so many.
    pub tested: u64,
    /// Units with so many uses that only the first are known.
    pub busy: u64,
}

/// An exposed unit.
struct Exposed<'u> {
    unit: u64,
    of: &'u OfUnit,
    /// Seconds.
    at: i64,
    used: Option<i64>,
}

impl Exposed<'_> {
    /// Age at the first use, or the age up to which it was watched without one.
    fn age(&self, end: i64) -> Result<Micros, Micros> {
        match self.used {
            Some(used) => Ok((used - self.at) * SECOND),
            None => Err((end - self.at) * SECOND),
        }
    }
}

/// What is counted of an arm.
#[derive(Clone, Default)]
struct Arm {
    exposed: usize,
    used: usize,
    steps: Vec<usize>,
    ages: Vec<Result<Micros, Micros>>,
}

impl Adoption {
    /// From everything that was read.
    pub fn of(mut units: Units, asked: &Asked) -> Adoption {
        units.settle();
        let one_of = 1u64 << units.halved;
        let count = |followed: usize| Count { followed: followed as u64, one_of };
        let first = units.first.unwrap_or(units.last);
        let end = units.last;
        let mut exposed: Vec<Exposed<'_>> = Vec::new();
        let mut used_before = 0;
        for (unit, of) in &units.of {
            let used = of.exposed().and_then(|at| of.used_from(at));
            exposed.extend(of.exposed().map(|at| Exposed { unit: *unit, of, at, used }));
            used_before += usize::from(used.is_none() && of.used_from(i64::MIN).is_some());
        }
        // The table is in an order of its own.
        exposed.sort_unstable_by_key(|of| (of.at, of.unit));
        let adopters: Vec<&Exposed<'_>> = exposed.iter().filter(|of| of.used.is_some()).collect();
        let adopted = |exposed: usize, used: usize| Adopted { exposed: count(exposed), used: count(used) };
        let steps_of: Vec<(&OfUnit, usize)> = match asked.steps {
            0 => Vec::new(),
            steps => {
                let of = |of: &'_ Exposed<'_>| funnel::steps_of(&of.of.marks, steps, asked.within / SECOND);
                exposed.iter().map(|exposed| (exposed.of, of(exposed))).collect()
            }
        };
        let came_to = |list: &[(&OfUnit, usize)]| -> Vec<Count> {
            (1..=asked.steps).map(|step| count(list.iter().filter(|(_, most)| *most >= step).count())).collect()
        };
        let mut ages: Vec<Result<Micros, Micros>> = Vec::with_capacity(exposed.len());
        ages.extend(exposed.iter().map(|of| of.age(end)));
        let longest = ages.iter().map(|age| age.unwrap_or_else(|age| age)).max().unwrap_or(0);
        let by = |counts: [usize; 4]| counts.map(count);
        let (mut uses, mut days) = ([0; 4], [0; 4]);
        for of in &adopters {
            let since = of.used.unwrap_or(i64::MAX);
            let later = of.of.marks.iter().filter(|mark| mark.used > 0 && mark.second >= since);
            let all: u64 = later.clone().map(|mark| u64::from(mark.used)).sum();
            uses[match all {
                0 | 1 => 0,
                2..=4 => 1,
                5..=9 => 2,
                _ => 3,
            }] += 1;
            let mut on: Vec<i64> = later.map(|mark| mark.second.div_euclid(SECONDS_OF_DAY)).collect();
            on.dedup();
            days[match on.len() {
                0 | 1 => 0,
                2 => 1,
                3..=6 => 2,
                _ => 3,
            }] += 1;
        }
        let (segments, tested) = segments::segments(&exposed, &units, asked, end, one_of);
        Adoption {
            span: [first, end].map(|second| Timestamp(second * SECOND)),
            units: count(units.of.len()),
            adopted: adopted(exposed.len(), adopters.len()),
            used_before: count(used_before),
            arms: arms(&exposed, &steps_of, &units, asked.steps, (end, one_of)),
            course: course(&exposed, [first, end], one_of),
            first_use: FirstUse::new(ages),
            ages: AGES.into_iter().filter(|age| *age <= longest).collect(),
            longest,
            uses: by(uses),
            days: by(days),
            retention: retention(&adopters, end, one_of),
            steps: came_to(&steps_of),
            segments,
            tested,
            busy: units.of.values().filter(|unit| unit.is_busy).count() as u64,
        }
    }

    /// Units are followed in part.
    pub fn one_of(&self) -> u64 {
        self.units.one_of
    }
}

fn arms(
    exposed: &[Exposed<'_>],
    steps_of: &[(&OfUnit, usize)],
    units: &Units,
    steps: usize,
    (end, one_of): (i64, u64),
) -> Vec<OfArm> {
    let mut by = vec![Arm { steps: vec![0; steps], ..Arm::default() }; units.arms.names.len()];
    for (at, of) in exposed.iter().enumerate() {
        let Some(arm) = by.get_mut(usize::from(of.of.arm.name)) else { continue };
        arm.exposed += 1;
        arm.used += usize::from(of.used.is_some());
        arm.ages.push(of.age(end));
        let most = steps_of.get(at).map_or(0, |(_, most)| *most);
        arm.steps.iter_mut().take(most).for_each(|step| *step += 1);
    }
    let count = |followed: usize| Count { followed: followed as u64, one_of };
    let mut list: Vec<OfArm> = by
        .into_iter()
        .zip(&units.arms.names)
        .filter(|(of, _)| of.exposed > 0)
        .map(|(of, arm)| OfArm {
            arm: arm.clone(),
            adopted: Adopted { exposed: count(of.exposed), used: count(of.used) },
            steps: of.steps.into_iter().map(count).collect(),
            first_use: FirstUse::new(of.ages),
        })
        .collect();
    list.sort_by(|a, b| b.adopted.exposed.cmp(&a.adopted.exposed).then_with(|| a.arm.cmp(&b.arm)));
    list.truncate(ARMS_MAX);
    list
}

fn course(exposed: &[Exposed<'_>], [first, end]: [i64; 2], one_of: u64) -> Vec<Point> {
    let span = (end - first + 1).max(1) * SECOND;
    let pace = PACES.into_iter().find(|pace| span / pace <= POINTS_MAX).unwrap_or(span / POINTS_MAX) / SECOND;
    let start = first.div_euclid(pace);
    let points = (end.div_euclid(pace) - start + 1).clamp(0, 2 * POINTS_MAX) as usize;
    let mut new = vec![[0u64; 2]; points];
    let place = |second: i64| (second.div_euclid(pace) - start).clamp(0, points as i64 - 1) as usize;
    for of in exposed {
        for (kind, second) in [Some(of.at), of.used].into_iter().enumerate() {
            if let Some(slot) = second.and_then(|second| new.get_mut(place(second))) {
                slot[kind] += 1;
            }
        }
    }
    let mut so_far = [0u64; 2];
    let count = |followed: u64| Count { followed, one_of };
    let point = |(at, new): (usize, [u64; 2])| {
        so_far = [so_far[0] + new[0], so_far[1] + new[1]];
        Point {
            until: Timestamp((start + at as i64 + 1) * pace * SECOND),
            so_far: Adopted { exposed: count(so_far[0]), used: count(so_far[1]) },
            new: new.map(count),
        }
    };
    new.into_iter().enumerate().map(point).collect()
}

fn retention(adopters: &[&Exposed<'_>], end: i64, one_of: u64) -> Vec<Retention> {
    let last = end.div_euclid(SECONDS_OF_DAY);
    let first = last - RETENTION_DAYS as i64 + 1;
    let mut by_day = vec![(0u64, [0u64; RETENTION_DAYS]); RETENTION_DAYS];
    for of in adopters {
        let Some(used) = of.used else { continue };
        let day = used.div_euclid(SECONDS_OF_DAY);
        let place = usize::try_from(day - first).ok();
        let Some((units, again)) = place.and_then(|at| by_day.get_mut(at)) else { continue };
        *units += 1;
        let mut before = i64::MIN;
        for mark in of.of.marks.iter().filter(|mark| mark.used > 0 && mark.second >= used) {
            let later = mark.second.div_euclid(SECONDS_OF_DAY) - day;
            if later != before
                && let Some(slot) = usize::try_from(later).ok().and_then(|at| again.get_mut(at))
            {
                *slot += 1;
            }
            before = later;
        }
    }
    let count = |followed: u64| Count { followed, one_of };
    let row = |(at, (units, again)): (usize, (u64, [u64; RETENTION_DAYS]))| {
        let day = first + at as i64;
        // A day is seen whole when something came after it.
        let seen = (0..RETENTION_DAYS).take_while(|later| day + *later as i64 <= last);
        Retention {
            day: Timestamp(day * DAY),
            units: count(units),
            again: seen.map(|later| (count(again[later]), day + (later as i64) < last)).collect(),
        }
    };
    by_day.into_iter().enumerate().map(row).filter(|row| row.units.followed > 0).collect()
}
