//! A rollout before it begins: how many units and minutes a guardrail needs, and what harm is accepted meanwhile.
//!
//! The tests are those of the engine, and so is the rule of thumb for how much data they need (statistics design 4.7,
//! [`forecast::EVIDENCE`]). What a log cannot tell comes from the traffic model of that design, section 3: a few users send
//! most requests (weight 1 / (rank + 10)), errors are spread over users like a gamma variable of shape 1/4, three of ten
//! errors come from retry loops of single users. `tests/plan.rs` compares the minutes with those of simulated rollouts.

use crate::compare::verdict::Cell;
use crate::compare::{budget, margin};
use crate::engine::comparison::Comparison;
use crate::engine::forecast::EVIDENCE;
use crate::engine::growth;
use crate::engine::latency_tests::Level;
use crate::engine::look::LOG_PASS;
use crate::engine::pass::{error_floor, units_to_pass};
use crate::engine::policy::Policy;
use crate::math;
use crate::sketch::latency::bin_middle;
use crate::time::MINUTE;

/// Longest time that is looked at: 90 days, in minutes.
pub const MINUTES_MAX: f64 = 129_600.0;
/// Offset of the rank in the weight of a user.
const RANK_OFFSET: f64 = 10.0;
/// Shape of the gamma variable by which users differ in errors.
const ERROR_SHAPE: f64 = 0.25;
/// Share of errors that come from retry loops: they hit no further user.
const LOOP_SHARE: f64 = 0.3;
/// How many times noisier the number of errors is than that of independent ones, through retry loops and error-prone users.
const ERROR_NOISE: f64 = 5.0;
/// The same for first requests that are slow.
const SLOW_NOISE: f64 = 1.3;
/// Variance of the logarithm of latency between requests of a user, and between users.
const LATENCY_VARIANCE: [f64; 2] = [0.9, 0.12];
/// First requests of a unit that count for a pass on latency, at most one a window.
const FIRST_REQUESTS: f64 = 8.0;
/// Standard errors that a single test must spare so that four of five runs reach their line.
const MOST: f64 = 0.84;
/// The same where every guardrail must reach it at the same look.
const MOST_OF_ALL: f64 = 1.6;
/// What a mixture of likelihood ratios costs, in ln e.
const MIXTURE: f64 = 1.0;
/// Errors below which a rate is not known; 25 more are what the volume test waits for.
const ERRORS_MIN: f64 = 25.0;

/// How a number of things grows with time.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Growth {
    /// By the traffic model: units, and the length of a window in minutes.
    Model { units: f64, window: f64 },
    /// As a log has shown, a minute: units, those with an error, and first requests.
    Seen { units: f64, erring: f64, first: f64, minutes: f64 },
}

/// Traffic that will meet a rollout.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Traffic {
    /// Requests a minute, of both arms.
    pub requests: f64,
    /// Share of requests that fail.
    pub error_rate: f64,
    growth: Growth,
    /// Variance of one request in the difference of arms, noise of users included: errors, above p90, above p99.
    variance: [f64; 3],
    /// Variance of the logarithm of latency: what more requests lessen, and what only more units would.
    latency: [f64; 2],
}

impl Traffic {
    /// Traffic of which only its size is known. `window`: in minutes.
    pub fn assumed(requests: f64, units: f64, error_rate: f64, window: f64) -> Traffic {
        let p = error_rate;
        let slow = |level: Level| level.exceedance() * (1.0 - level.exceedance()) * SLOW_NOISE;
        // Sum of squared shares: how few users make the mean.
        let weights = ranks(units).map(|(count, weight)| (count * weight, count * weight * weight));
        let (sum, squares) = weights.fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        let between = if sum > 0.0 { LATENCY_VARIANCE[1] * squares / (sum * sum) } else { 0.0 };
        Traffic {
            requests,
            error_rate,
            growth: Growth::Model { units, window },
            variance: [p * (1.0 - p) * ERROR_NOISE, slow(Level::P90), slow(Level::P99)],
            latency: [LATENCY_VARIANCE[0], between],
        }
    }

    /// Traffic as a log shows it whose units were split into two arms in which nothing differs. `None` where the log is
    /// too short to tell.
    pub fn seen(comparison: &Comparison) -> Option<Traffic> {
        let minutes = (comparison.ended_at.0 - comparison.started_at.0) as f64 / MINUTE as f64;
        let requests: f64 = comparison.error_volume.events().iter().sum::<u64>() as f64;
        let errors: f64 = comparison.error_volume.sums().iter().sum::<i64>() as f64;
        let [(_, a), (_, b)] = comparison.error_units.totals();
        let units: f64 = comparison.units().iter().sum::<u64>() as f64;
        if minutes <= 0.0 || requests < 1.0 || units < 2.0 {
            return None;
        }
        let first = comparison.pass_sums(Level::P90).events().iter().sum::<u64>() as f64;
        // Of one request, whatever the share of the canary was: v n_c (1 - q).
        let variance = |cell: Cell| -> Option<f64> {
            let [control, candidate] = match cell {
                Cell::ErrorVolume => comparison.error_volume.stats(),
                Cell::LatencyMean => comparison.latency.mean.stats(),
                Cell::LatencyP90 => comparison.pass_sums(Level::P90).stats(),
                _ => comparison.pass_sums(Level::P99).stats(),
            };
            let difference = crate::compare::bucket::Difference::pass(&candidate, &control)?;
            Some(difference.variance * candidate.n * control.n / (candidate.n + control.n))
        };
        let assumed = Traffic::assumed(requests / minutes, units, errors / requests, 1.0 / 6.0);
        let variances = [Cell::ErrorVolume, Cell::LatencyP90, Cell::LatencyP99];
        let [errors_of, p90, p99] = variances.map(variance);
        Some(Traffic {
            growth: Growth::Seen {
                units: units / minutes,
                erring: (a + b) as f64 / minutes,
                first: first / minutes,
                minutes,
            },
            variance: [
                errors_of.unwrap_or(assumed.variance[0]),
                p90.unwrap_or(assumed.variance[1]),
                p99.unwrap_or(assumed.variance[2]),
            ],
            latency: variance(Cell::LatencyMean)
                .map_or(assumed.latency, |seen| latency_parts(comparison, seen, assumed)),
            ..assumed
        })
    }

    /// The log is so short that its rates say little of the hours after it: minutes of it.
    pub fn minutes_seen(&self) -> Option<f64> {
        match self.growth {
            Growth::Model { .. } => None,
            Growth::Seen { minutes, .. } => Some(minutes),
        }
    }

    /// Units that have come after some minutes.
    pub fn units(&self, minutes: f64) -> f64 {
        match self.growth {
            Growth::Model { units, .. } => self.by_user(units, |rate| -math::exp_m1(-rate * minutes)),
            Growth::Seen { units, .. } => units * minutes,
        }
    }

    /// Units with an error by then.
    fn erring(&self, minutes: f64) -> f64 {
        match self.growth {
            Growth::Model { units, .. } => {
                let hazard = self.error_rate * (1.0 - LOOP_SHARE) * self.requests * minutes / units.max(1.0);
                -units * math::exp_m1(-ERROR_SHAPE * math::ln_1p(hazard / ERROR_SHAPE))
            }
            Growth::Seen { erring, .. } => erring * minutes,
        }
    }

    /// First requests of units in a window, by then.
    fn first_requests(&self, minutes: f64) -> f64 {
        match self.growth {
            Growth::Model { units, window } => self.by_user(units, |rate| {
                let a_window = -math::exp_m1(-rate * window);
                (minutes / window * a_window).min(FIRST_REQUESTS)
            }),
            Growth::Seen { first, .. } => first * minutes,
        }
    }

    /// Sum over users of what their requests a minute make.
    fn by_user(&self, units: f64, of: impl Fn(f64) -> f64) -> f64 {
        let sum: f64 = ranks(units).map(|(count, weight)| count * weight).sum();
        ranks(units).map(|(count, weight)| count * of(self.requests * weight / sum)).sum()
    }
}

/// Variance of the logarithm of latency, `seen` for one request at the end of a log: what further requests lessen, and what
/// is between users and stays. The first is the variance of single requests.
fn latency_parts(comparison: &Comparison, seen: f64, assumed: Traffic) -> [f64; 2] {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for histogram in comparison.totals.iter().take(1).flatten().map(|totals| &totals.latency) {
        for (bin, n) in histogram.iter() {
            let log = math::ln(bin_middle(bin).max(1.0));
            count += n as f64;
            sum += n as f64 * log;
            squares += n as f64 * log * log;
        }
    }
    if count < 2.0 {
        return [seen, assumed.latency[1]];
    }
    let single = (squares / count - sum * sum / (count * count)).max(0.0);
    [single.min(seen), (seen - single).max(0.0) / count]
}

/// Groups of users of similar rank: how many, and the weight of each.
fn ranks(units: f64) -> impl Iterator<Item = (f64, f64)> + Clone {
    let units = units.max(1.0);
    let mut from = 0.0;
    std::iter::from_fn(move || {
        if from >= units {
            return None;
        }
        // Groups a twentieth wide: their weights hardly differ.
        let count = (0.05 * (from + RANK_OFFSET)).max(1.0).min(units - from);
        let weight = 1.0 / (from + 0.5 * count + RANK_OFFSET);
        from += count;
        Some((count, weight))
    })
}

/// A change that is to be found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Change {
    /// This share of the canary's requests fails in addition.
    Errors(f64),
    /// Its requests take longer by this part.
    Slower(f64),
}

/// What one guardrail needs for a pass.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Guardrail {
    /// The guardrail.
    pub cell: Cell,
    /// Of what it needs so many: erring units for error units, canary requests else.
    pub needed: f64,
    /// Error units are held without a base rate: of canary units it needs so many, whether they err or not.
    pub whole_units: bool,
    /// Minutes until half of healthy canaries have it; `None` beyond [`MINUTES_MAX`].
    pub half: Option<f64>,
    /// What a pass excludes: a ratio of erring units, else a difference.
    pub margin: f64,
    /// The smallest of these that can be excluded in the time that was asked for.
    pub margin_in_time: Option<f64>,
}

/// Harm until a decision, at the worst: the canary is worse by just what a pass allows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Harm {
    /// Minutes until then.
    pub minutes: f64,
    /// Units that meet the canary.
    pub units: f64,
    /// Requests that fail in addition.
    pub requests: f64,
    /// Units that meet an error in addition.
    pub affected: f64,
}

/// What a rollout will need.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Share of units in the canary.
    pub share: f64,
    /// The guardrails that a pass asks for.
    pub guardrails: Vec<Guardrail>,
    /// Minutes until half of healthy canaries have passed, and four of five; `None` beyond [`MINUTES_MAX`].
    pub pass: [Option<f64>; 2],
    /// Minutes until half and four of five rollouts with the change have failed, where one was named.
    pub find: Option<[Option<f64>; 2]>,
    /// Harm until four of five healthy canaries have passed; where that takes too long, in the time that was asked for, or
    /// until half have passed.
    pub harm: Option<Harm>,
}

/// Plans a rollout. `share`: of units in the canary (above 0, below 1); `minutes`: the time that there is.
pub fn plan(traffic: &Traffic, policy: &Policy, share: f64, change: Option<Change>, minutes: Option<f64>) -> Plan {
    let planner = Planner { traffic, policy, share };
    let guardrails: Vec<Guardrail> =
        planner.required().into_iter().map(|cell| planner.guardrail(cell, minutes)).collect();
    let least = policy.minimum_time as f64 / MINUTE as f64;
    let pass = [EVIDENCE, information(LOG_PASS, MOST_OF_ALL)].map(|evidence| {
        guardrails.iter().try_fold(least, |until, guardrail| {
            planner.minutes(|t| planner.has(guardrail.cell, t, evidence)).map(|t| t.max(until))
        })
    });
    let find = change.map(|change| [0.0, MOST].map(|spared| planner.minutes(|t| planner.finds(change, t, spared))));
    let until = pass[1].or(minutes).or(pass[0]);
    Plan { share, pass, find, harm: until.map(|minutes| planner.harm(minutes)), guardrails }
}

/// ln-likelihood ratio, doubled, that must be expected so that the evidence reaches a threshold (ln e) though it falls
/// `spared` standard errors behind: x^2 with x^2 / 2 - spared x = threshold + [`MIXTURE`].
fn information(threshold: f64, spared: f64) -> f64 {
    let x = spared + (spared * spared + 2.0 * (threshold + MIXTURE)).sqrt();
    x * x
}

struct Planner<'a> {
    traffic: &'a Traffic,
    policy: &'a Policy,
    share: f64,
}

impl Planner<'_> {
    /// Guardrails that a pass asks for where units stick to their arm, as [`crate::engine::look::required`].
    fn required(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        if self.policy.errors {
            cells.push(Cell::ErrorUnits);
            // Without errors the volume cannot be tested, and is not asked for.
            let errors = self.traffic.requests * self.traffic.error_rate * MINUTES_MAX;
            if self.policy.next_share >= 1.0 && errors >= ERRORS_MIN {
                cells.push(Cell::ErrorVolume);
            }
        }
        if self.policy.latency {
            cells.extend([Cell::LatencyP90, Cell::LatencyP99]);
        }
        cells
    }

    fn mult(&self) -> f64 {
        margin::step_mult(self.policy.next_share)
    }

    /// Margin of a guardrail after some minutes: the ratio of erring units narrows as more of them have erred.
    fn margin(&self, cell: Cell, minutes: f64) -> f64 {
        let rate = self.base_rate(minutes);
        match cell {
            Cell::ErrorUnits => {
                let units = self.traffic.units(minutes);
                let affected = if units > 0.0 { (self.traffic.erring(minutes) / units).min(1.0) } else { 0.0 };
                let rate_ratio = margin::error_r0(rate, self.mult());
                margin::pass_r0(rate_ratio, affected).min(margin::affected_r0(rate_ratio, self.growth(minutes)))
            }
            Cell::ErrorVolume => 4.0 * self.mult() * margin::error_margin(rate),
            Cell::LatencyMean => self.mult() * margin::LATENCY_MEAN,
            Cell::LatencyP50 => self.mult() * Level::P50.margin(),
            Cell::LatencyP90 => self.mult() * Level::P90.margin(),
            Cell::LatencyP99
            | Cell::LatencyP99Units
            | Cell::Deficit
            | Cell::ErrorUnits8
            | Cell::ErrorUnits64
            | Cell::Unanswered => self.mult() * Level::P99.margin(),
        }
    }

    /// Exponent with which erring units grow with requests, as [`crate::engine::growth`] will measure it.
    fn growth(&self, minutes: f64) -> f64 {
        let [half, now] = [minutes / 2.0, minutes].map(|minutes| self.traffic.erring(minutes));
        if half > 0.0 { (math::ln(now / half) / std::f64::consts::LN_2).clamp(growth::SLOWEST, 1.0) } else { 1.0 }
    }

    /// The control's error rate as the engine will know it by then.
    fn base_rate(&self, minutes: f64) -> f64 {
        let requests = self.traffic.requests * minutes * (1.0 - self.share);
        margin::running_base_rate((requests * self.traffic.error_rate) as u64, requests as u64)
    }

    /// What there is of what a guardrail counts.
    fn have(&self, cell: Cell, minutes: f64) -> f64 {
        match cell {
            Cell::ErrorUnits => self.traffic.erring(minutes),
            Cell::ErrorVolume | Cell::LatencyMean => self.share * self.traffic.requests * minutes,
            Cell::LatencyP50
            | Cell::LatencyP90
            | Cell::LatencyP99
            | Cell::LatencyP99Units
            | Cell::Deficit
            | Cell::ErrorUnits8
            | Cell::ErrorUnits64
            | Cell::Unanswered => self.share * self.traffic.first_requests(minutes),
        }
    }

    /// Variance times canary events.
    fn variance(&self, cell: Cell) -> f64 {
        let [errors, p90, p99] = self.traffic.variance;
        let of_one = match cell {
            Cell::ErrorUnits | Cell::ErrorVolume => errors,
            Cell::LatencyMean => self.traffic.latency[0],
            Cell::LatencyP50 | Cell::LatencyP90 => p90,
            Cell::LatencyP99
            | Cell::LatencyP99Units
            | Cell::Deficit
            | Cell::ErrorUnits8
            | Cell::ErrorUnits64
            | Cell::Unanswered => p99,
        };
        of_one / (1.0 - self.share)
    }

    /// What a guardrail needs of what it counts, to exclude a margin with some evidence.
    fn needed(&self, cell: Cell, margin: f64, evidence: f64) -> f64 {
        match cell {
            Cell::ErrorUnits => {
                let ln_ratio = math::ln(margin.max(1.000_1));
                evidence / (ln_ratio * ln_ratio * self.share * (1.0 - self.share))
            }
            Cell::ErrorVolume => (self.variance(cell) * evidence / (margin * margin)).max(100.0),
            Cell::LatencyMean | Cell::LatencyP50 => (self.variance(cell) * evidence / (margin * margin)).max(200.0),
            Cell::LatencyP90 => (self.variance(cell) * evidence / (margin * margin)).max(200.0),
            Cell::LatencyP99
            | Cell::LatencyP99Units
            | Cell::Deficit
            | Cell::ErrorUnits8
            | Cell::ErrorUnits64
            | Cell::Unanswered => (self.variance(cell) * evidence / (margin * margin)).max(1_000.0),
        }
    }

    fn has(&self, cell: Cell, minutes: f64, evidence: f64) -> bool {
        if cell == Cell::ErrorUnits && self.canary_units(minutes) >= self.units_without_base(minutes) {
            return true;
        }
        let enough = self.have(cell, minutes) >= self.needed(cell, self.margin(cell, minutes), evidence);
        // The minimum rule of the volume test.
        let errors = self.traffic.requests * minutes * self.traffic.error_rate;
        enough && (cell != Cell::ErrorVolume || errors >= ERRORS_MIN)
    }

    fn canary_units(&self, minutes: f64) -> f64 {
        self.share * self.traffic.units(minutes)
    }

    /// Canary units with which error units are held though (nearly) nothing fails, as the engine says; infinite once the
    /// control has a base rate.
    fn units_without_base(&self, minutes: f64) -> f64 {
        let errors_of_control = self.traffic.requests * minutes * (1.0 - self.share) * self.traffic.error_rate;
        let floor = error_floor(self.mult());
        if errors_of_control >= margin::ERRORS_MIN as f64 || self.traffic.error_rate > floor {
            return f64::INFINITY;
        }
        let (units, erring) = (self.canary_units(minutes), self.share * self.traffic.erring(minutes));
        units_to_pass(units.ceil() as u64, erring.ceil() as u64, floor)
    }

    fn guardrail(&self, cell: Cell, minutes: Option<f64>) -> Guardrail {
        let half = self.minutes(|t| self.has(cell, t, EVIDENCE));
        let at = half.unwrap_or(MINUTES_MAX);
        let margin = self.margin(cell, at);
        let margin_in_time = minutes.map(|minutes| {
            let have = self.have(cell, minutes);
            match cell {
                Cell::ErrorUnits => math::exp((self.needed(cell, core::f64::consts::E, EVIDENCE) / have).sqrt()),
                _ => (self.variance(cell) * EVIDENCE / have).sqrt(),
            }
        });
        let whole_units = cell == Cell::ErrorUnits && self.canary_units(at) >= self.units_without_base(at);
        let needed = if whole_units { self.units_without_base(at) } else { self.needed(cell, margin, EVIDENCE) };
        Guardrail { cell, needed, whole_units, half, margin, margin_in_time }
    }

    /// Some test finds the change by then. Only errors are tested twice; of latency the mean stands for all.
    fn finds(&self, change: Change, minutes: f64, spared: f64) -> bool {
        let q = self.share;
        let line = |weight: f64| math::ln(1.0 / (budget::ALPHA_FAIL * weight * budget::RESTART_START));
        let canary = q * self.traffic.requests * minutes;
        match change {
            Change::Errors(added) => {
                let erring = self.traffic.erring(minutes);
                let more = self.more_erring(added, minutes);
                let all = erring + more;
                let share = (q * erring + more) / all.max(f64::MIN_POSITIVE);
                let by_units =
                    2.0 * all * divergence(share.min(1.0), q) >= information(line(budget::ERRORS_SHARE), spared);
                let variance = (self.traffic.variance[0] + q * added) / (1.0 - q);
                let by_volume = canary * added * added / variance >= information(line(budget::ERRORS_BUCKET), spared);
                by_units || by_volume
            }
            Change::Slower(part) => {
                let [within, between] = self.traffic.latency;
                let difference = math::ln_1p(part);
                let one = 1.0 / q + 1.0 / (1.0 - q);
                let variance = one * (within / (self.traffic.requests * minutes).max(1.0) + between);
                canary >= 200.0 && difference * difference / variance >= information(line(budget::LATENCY_MEAN), spared)
            }
        }
    }

    /// Canary units that err only because a share of requests more fails, whoever sent them.
    fn more_erring(&self, added: f64, minutes: f64) -> f64 {
        let q = self.share;
        match self.traffic.growth {
            Growth::Model { units, .. } => {
                let spared = 1.0 - self.traffic.erring(minutes) / units.max(1.0);
                q * spared * self.traffic.by_user(units, |rate| -math::exp_m1(-rate * added * minutes))
            }
            // A unit of a log errs about as often as it comes: not more units than there are.
            Growth::Seen { units, .. } => {
                let requests = self.traffic.requests * minutes;
                let seen = (units * minutes).max(1.0);
                q * seen * -math::exp_m1(-added * requests / seen)
            }
        }
    }

    fn harm(&self, minutes: f64) -> Harm {
        let units = self.share * self.traffic.units(minutes);
        let margin = self.mult() * margin::error_margin(self.base_rate(minutes));
        let affected = self.share * self.traffic.erring(minutes);
        Harm {
            minutes,
            units,
            requests: self.share * self.traffic.requests * minutes * margin,
            affected: affected * (self.margin(Cell::ErrorUnits, minutes) - 1.0),
        }
    }

    /// First minute at which `is_enough` holds. It need not hold for ever: once most units have erred, the margin of
    /// erring units narrows faster than further ones come.
    fn minutes(&self, is_enough: impl Fn(f64) -> bool) -> Option<f64> {
        const FIRST: f64 = 0.1;
        const STEP: f64 = 1.1;
        let mut low = 0.0;
        let mut high = FIRST;
        while !is_enough(high) {
            if high >= MINUTES_MAX {
                return None;
            }
            low = high;
            high = (high * STEP).min(MINUTES_MAX);
        }
        for _ in 0..20 {
            let middle = 0.5 * (low + high);
            if is_enough(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }
}

/// Kullback-Leibler divergence of two shares.
fn divergence(p: f64, q: f64) -> f64 {
    let term = |p: f64, q: f64| if p > 0.0 { p * math::ln(p / q) } else { 0.0 };
    term(p, q) + term(1.0 - p, 1.0 - q)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: f64 = 60.0;

    #[test]
    fn more_traffic_or_an_even_split_decides_sooner() {
        let minutes = |requests: f64, share: f64| {
            let traffic = Traffic::assumed(requests, 20_000.0, 0.005, 1.0 / 6.0);
            plan(&traffic, &Policy::default(), share, None, None).pass[0].unwrap()
        };
        assert!(minutes(3_000.0, 0.5) < minutes(1_000.0, 0.5));
        assert!(minutes(3_000.0, 0.5) < minutes(3_000.0, 0.05));
        let early = Policy { next_share: 0.25, ..Policy::default() };
        let traffic = Traffic::assumed(3_000.0, 20_000.0, 0.005, 1.0 / 6.0);
        let wide = plan(&traffic, &early, 0.05, None, None).pass[0].unwrap();
        assert!(wide < minutes(3_000.0, 0.05), "an early step has wider margins");
    }

    #[test]
    fn a_larger_change_is_found_sooner_and_a_tiny_one_never() {
        let traffic = Traffic::assumed(3_000.0, 20_000.0, 0.005, 1.0 / 6.0);
        let find = |change: Change| plan(&traffic, &Policy::default(), 0.5, Some(change), None).find.unwrap()[1];
        let [small, large] = [0.005, 0.02].map(|added| find(Change::Errors(added)).unwrap());
        assert!(large < small && small < HOUR, "{large} {small}");
        assert!(find(Change::Slower(0.2)).is_some_and(|minutes| minutes < 10.0));
        assert_eq!(find(Change::Slower(0.01)), None, "few users make the mean: no traffic is enough");
    }

    #[test]
    fn without_errors_units_pass_and_no_rate_of_errors_is_tested() {
        let traffic = Traffic::assumed(3_000.0, 20_000.0, 0.0, 1.0 / 6.0);
        let plan = plan(&traffic, &Policy::default(), 0.5, None, Some(HOUR));
        assert!(plan.pass.iter().all(Option::is_some), "{:?}", plan.pass);
        assert!(plan.guardrails.iter().all(|guardrail| guardrail.cell != Cell::ErrorVolume));
    }

    #[test]
    fn what_is_possible_in_time_is_the_margin_once_the_time_is_enough() {
        let traffic = Traffic::assumed(3_000.0, 20_000.0, 0.005, 1.0 / 6.0);
        for cell in [Cell::LatencyP90, Cell::LatencyP99, Cell::ErrorVolume] {
            let of = |minutes: Option<f64>| {
                let plan = plan(&traffic, &Policy::default(), 0.2, None, minutes);
                plan.guardrails.into_iter().find(|guardrail| guardrail.cell == cell).unwrap()
            };
            let half = of(None).half.unwrap();
            let there = of(Some(half));
            assert!(there.margin_in_time.unwrap() <= there.margin * 1.01, "{there:?}");
        }
    }

    #[test]
    fn ranks_are_all_users() {
        for units in [1.0, 7.0, 20_000.0, 5e6] {
            let all: f64 = ranks(units).map(|(count, _)| count).sum();
            assert!((all - units).abs() < 1e-6 * units, "{units}: {all}");
        }
    }
}
