//! Time to the first use: the part of exposed units that have used by an age, when some were exposed too lately to tell.

use crate::adoption::intervals::{Estimate, Z_95};
use crate::math;
use crate::time::Micros;

/// Of units of one age at which something ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Step {
    /// Age.
    age: Micros,
    /// Units that were watched up to this age and had not used before.
    at_risk: u64,
    /// Those of them that used at this age.
    used: u64,
}

/// Kaplan and Meier's estimate (1958).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FirstUse {
    steps: Vec<Step>,
}

impl FirstUse {
    /// From each unit's age at its first use, or `Err` with the age up to which it was watched without one.
    pub fn new(mut ages: Vec<Result<Micros, Micros>>) -> FirstUse {
        let age_of = |age: &Result<Micros, Micros>| match age {
            Ok(age) | Err(age) => *age,
        };
        ages.sort_unstable_by_key(age_of);
        let mut at_risk = ages.len() as u64;
        let mut steps: Vec<Step> = Vec::new();
        for same in ages.chunk_by(|a, b| age_of(a) == age_of(b)) {
            let used = same.iter().filter(|age| age.is_ok()).count() as u64;
            // Who was watched up to the age at which others used was at risk with them.
            if let Some(first) = same.first().filter(|_| used > 0) {
                steps.push(Step { age: age_of(first), at_risk, used });
            }
            at_risk -= same.len() as u64;
        }
        FirstUse { steps }
    }

    /// [`FirstUse::used_by`] at each of these ages, which rise, in one go.
    pub fn curve(&self, ages: &[Micros]) -> Vec<Estimate> {
        let mut steps = self.steps.iter().peekable();
        let mut sums = Sums::default();
        let mut at = |age: &Micros| {
            while let Some(step) = steps.next_if(|step| step.age <= *age) {
                sums.add(step);
            }
            sums.estimate()
        };
        ages.iter().map(&mut at).collect()
    }

    /// Part of units that have used by an age, with its interval (Greenwood's variance on the scale of ln(-ln S), Kalbfleisch and
    /// Prentice 1980). With nobody watched so long the estimate is that of the last age at which somebody was.
    pub fn used_by(&self, age: Micros) -> Estimate {
        let mut sums = Sums::default();
        self.steps.iter().take_while(|step| step.age <= age).for_each(|step| sums.add(step));
        sums.estimate()
    }

    /// The age by which this part of units have used; `None` when so many did not.
    pub fn age_of(&self, part: f64) -> Option<Micros> {
        let mut survival = 1.0;
        self.steps.iter().find_map(|step| {
            survival *= 1.0 - step.used as f64 / step.at_risk as f64;
            (1.0 - survival >= part - 1e-12).then_some(step.age)
        })
    }
}

/// Products and sums up to an age.
struct Sums {
    survival: f64,
    /// Greenwood's.
    variance: f64,
}

impl Default for Sums {
    fn default() -> Sums {
        Sums { survival: 1.0, variance: 0.0 }
    }
}

impl Sums {
    fn add(&mut self, Step { at_risk, used, .. }: &Step) {
        let (n, d) = (*at_risk as f64, *used as f64);
        self.survival *= 1.0 - d / n;
        self.variance += if used == at_risk { f64::INFINITY } else { d / (n * (n - d)) };
    }

    fn estimate(&self) -> Estimate {
        let value = 1.0 - self.survival;
        if self.survival <= 0.0 || self.survival >= 1.0 {
            return Estimate { value, low: value, high: value };
        }
        let ln = math::ln(self.survival);
        let theta = Z_95 * self.variance.sqrt() / ln.abs();
        let end = |theta: f64| 1.0 - math::exp(ln * math::exp(theta));
        Estimate { value, low: end(-theta), high: end(theta) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_what_is_said_of_each_age() {
        let ages = (0..500i64).map(|at| if at % 3 == 0 { Ok(at * at % 97) } else { Err(at % 89) }).collect();
        let first_use = FirstUse::new(ages);
        let asked: Vec<Micros> = (-1..120).collect();
        let each: Vec<Estimate> = asked.iter().map(|age| first_use.used_by(*age)).collect();
        assert_eq!(first_use.curve(&asked), each);
        assert!(each.windows(2).all(|pair| pair[0].value <= pair[1].value) && each[120].value > 0.3);
    }
}
