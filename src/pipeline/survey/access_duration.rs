//! Whether the whole number behind access lines is how long the request took, and in which unit.
//!
//! Apache writes a line when the request has ended, with the second in which it was received. So receipt and duration
//! together never go back by more than that second; a number that is none, or one in a wrong unit, lies before or behind
//! its neighbours.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::decode::{ACCESS_DURATION, without_mark};
use crate::pipeline::plan::FieldRef;
use crate::pipeline::roles::{LatencyUnit, Role};
use crate::pipeline::survey::{Head, Wishes};
use crate::pipeline::{access, clock, number};

/// From here on, in microseconds, a duration shows in the order of lines that tell whole seconds.
const LONG_US: f64 = 2e6;

/// Ends that differ by less, in microseconds, are in order: a whole second, and some time to write.
const SLACK_US: f64 = 1.5e6;

/// Lines before and behind, whose median end says where a line stands: one of them may be odd.
const BESIDE: usize = 3;

/// Lines that lie behind their neighbours in a unit: this many and more than one in [`ONE_IN`] of the long ones say no.
const AMISS_MIN: u64 = 2;
const ONE_IN: u64 = 10;

/// Pairs of lines with their times in the wrong order that tell something together.
const SWAPPED_MIN: u64 = 5;

/// Numbers that are looked at for how many distinct ones there are.
const NUMBERS_MAX: usize = 4_096;

/// Units that Apache writes, the shortest first.
const UNITS: [LatencyUnit; 3] = [LatencyUnit::Micros, LatencyUnit::Millis, LatencyUnit::Seconds];

/// How the lines stand in one unit.
#[derive(Clone, Copy, Debug, Default)]
struct Order {
    /// Lines with a long duration.
    long: u64,
    /// Those of them that end after the lines behind them: the number says too much.
    behind: u64,
    /// Lines that end before the lines in front of them: the number says too little.
    before: u64,
    /// Lines that were received before those in front of them, and end where they stand.
    explained: u64,
}

impl Order {
    fn is_contradicted(self) -> bool {
        self.behind >= AMISS_MIN && self.behind * ONE_IN > self.long
    }
}

/// Receipt in microseconds and number of each line, stream by stream.
struct Numbers(Vec<Vec<(f64, f64)>>);

impl Numbers {
    fn of(heads: &[Head<'_>]) -> Numbers {
        let read = |line: &&str| {
            let line = access::parse_access(without_mark(line))?;
            let received = clock::parse_time(line.time).ok()?;
            Some((received.0 as f64, number::parse_f64(line.duration?)?))
        };
        Numbers(heads.iter().map(|head| head.lines.iter().filter_map(read).collect()).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.0.iter().flatten().map(|(_, value)| *value).take(NUMBERS_MAX).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// Neighbours whose times are in the wrong order and whose numbers differ; and those of them where the later line has
    /// the larger number, as it must be with durations, whatever their unit.
    fn swapped(&self) -> (u64, u64) {
        let (mut swapped, mut larger) = (0, 0);
        for stream in &self.0 {
            for pair in stream.windows(2) {
                if let [(earlier, first), (later, second)] = pair
                    && later < earlier
                    && first != second
                {
                    swapped += 1;
                    larger += u64::from(second > first);
                }
            }
        }
        (swapped, larger)
    }

    fn order(&self, unit: LatencyUnit) -> Order {
        let mut order = Order::default();
        let slack = SLACK_US + unit.micros();
        for stream in &self.0 {
            let ends: Vec<f64> = stream.iter().map(|(received, value)| received + value * unit.micros()).collect();
            for (at, ((received, value), end)) in stream.iter().zip(&ends).enumerate() {
                let in_front = median(ends.get(at.saturating_sub(BESIDE)..at));
                let behind = median(ends.get(at + 1..ends.len().min(at + 1 + BESIDE)));
                let is_behind = behind.is_some_and(|behind| *end > behind + slack);
                let is_before = in_front.is_some_and(|in_front| *end < in_front - slack);
                if value * unit.micros() >= LONG_US {
                    order.long += 1;
                    order.behind += u64::from(is_behind);
                    let is_early = in_front.is_some_and(|in_front| *received < in_front - slack);
                    order.explained += u64::from(is_early && !is_before && !is_behind);
                }
                order.before += u64::from(is_before);
            }
        }
        order
    }
}

fn median(values: Option<&[f64]>) -> Option<f64> {
    let mut values = values?.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Decides on the number behind access lines, where it is among the latencies: takes it out, or sets its unit. `true`: the
/// order of the lines says that they tell when requests were received, so that what they took is to be added.
pub(super) fn decide(
    heads: &[Head<'_>],
    wishes: &Wishes,
    roles: &mut BTreeMap<Role, Vec<FieldRef>>,
    guessed: &mut BTreeSet<String>,
    notes: &mut Vec<String>,
) -> bool {
    let Some(fields) = roles.get_mut(&Role::Latency) else { return false };
    let Some(place) = fields.iter().position(|field| field.path == ACCESS_DURATION) else { return false };
    let numbers = Numbers::of(heads);
    let is_asked = wishes.roles.contains_key(&Role::Latency);
    let named = fields.get(place).and_then(|field| field.unit);
    let (swapped, larger) = numbers.swapped();
    let correlates = swapped >= SWAPPED_MIN && larger * 10 >= swapped * 9;
    let found = match named {
        Some(unit) => Ok(unit),
        None => unit_of(&numbers, (swapped, larger)),
    };
    let unit = match found {
        Ok(unit) => unit,
        Err(_) if is_asked => LatencyUnit::Micros,
        Err(why) => {
            notes.push(format!(
                "latency: access lines end in a whole number that is not taken for how long the request took: {why}. If it is: --role latency={ACCESS_DURATION}:us"
            ));
            fields.remove(place);
            return false;
        }
    };
    let order = numbers.order(unit);
    let in_order = order.behind * ONE_IN <= order.long;
    let adds = in_order && ((named.is_some() && is_asked) || correlates || order.explained >= AMISS_MIN);
    if let Some(field) = fields.get_mut(place) {
        field.unit = Some(unit);
    }
    if named.is_none() {
        let sorted = numbers.sorted();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
        let why = if adds {
            "by the order of the lines"
        } else {
            guessed.insert(ACCESS_DURATION.to_owned());
            "a guess: the order of the lines does not tell, so their times stay as they are"
        };
        let other = if unit == LatencyUnit::Micros { LatencyUnit::Millis } else { LatencyUnit::Micros };
        notes.insert(
            0,
            format!(
                "latency: `{ACCESS_DURATION}` does not name its unit; read as {unit} (median {median}), {why}. If that is wrong: --role latency={ACCESS_DURATION}:{other}",
                unit = unit.name(),
                other = other.name(),
            ),
        );
    }
    if adds {
        notes.push(format!(
            "time: access lines end in how long the request took (`{ACCESS_DURATION}`), as Apache writes it: their time is when it was received, and what it took is added"
        ));
    }
    adds
}

/// The unit that fits the order of lines best, or why the number is no duration.
fn unit_of(numbers: &Numbers, (swapped, larger): (u64, u64)) -> Result<LatencyUnit, String> {
    let sorted = numbers.sorted();
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let distinct = sorted.iter().map(|value| value.to_bits()).collect::<BTreeSet<u64>>().len();
    // Durations spread over as many numbers as they are large: ports and processes do not.
    if (distinct as f64) < (sorted.len() as f64 / 10.0).min(median / 4.0) {
        return Err(format!("{} lines have {distinct} different ones", sorted.len()));
    }
    if swapped >= SWAPPED_MIN && larger * 10 < swapped * 8 {
        return Err(format!(
            "of {swapped} lines that were received before the line in front of them, {larger} have a larger number"
        ));
    }
    // `%D` is far more common than `%{ms}T`; but nothing takes less than a tenth of a millisecond, and `%T` is mostly 0.
    let usual = if median < 1.0 {
        LatencyUnit::Seconds
    } else if median < 100.0 {
        LatencyUnit::Millis
    } else {
        LatencyUnit::Micros
    };
    let orders = UNITS.map(|unit| (unit, numbers.order(unit)));
    let fitting: Vec<&(LatencyUnit, Order)> = orders.iter().filter(|(_, order)| !order.is_contradicted()).collect();
    let mut chosen = fitting
        .iter()
        .find(|(unit, _)| *unit == usual)
        .or_else(|| fitting.first())
        .ok_or("in no unit do requests end in the order of the lines")?;
    for longer in &fitting {
        // A longer unit must explain lines that a shorter one does not.
        if longer.0.micros() > chosen.0.micros()
            && longer.1.before + SWAPPED_MIN <= chosen.1.before
            && longer.1.before * 2 <= chosen.1.before
        {
            chosen = longer;
        }
    }
    Ok(chosen.0)
}
