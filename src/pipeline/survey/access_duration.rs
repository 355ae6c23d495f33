//! Whether the whole number behind access lines is how long the request took, and in which unit.
//!
//! Apache writes a line when the request has ended, with the second in which it was received. So receipt and duration
//! together never go back by more than that second; a number that is none, or one in a wrong unit, lies before or behind
//! its neighbours. What neither the user nor the order of the lines says to be a duration is none: response bytes, ports and
//! lengths stand in the same place.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::decode::{ACCESS_DURATION, without_mark};
use crate::pipeline::plan::FieldRef;
use crate::pipeline::roles::{LatencyUnit, Role};
use crate::pipeline::survey::units_of_latency::{COARSE_ADVICE, is_too_coarse};
use crate::pipeline::survey::{Head, Wishes};
use crate::pipeline::{access, clock, number, shape};

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

/// Pairs of lines with their times in the wrong order that confirm a duration: random numbers, of which each second one is
/// larger, do so by chance once in 256 logs.
const CONFIRMING_MIN: u64 = 8;

/// Factor by which lines in the wrong order may outnumber those that durations in a unit bring about: units lie a factor of
/// 1,000 apart.
const SWAPS_FACTOR: f64 = 5.0;

/// Bytes of an answer from which on the number of a line is not near them by chance, and what headers add to them.
const LARGE_ANSWER: f64 = 4_096.0;
const HEADERS: f64 = 2_048.0;

/// Lines with bytes that tell something together.
const BYTES_MIN: u64 = 10;

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
    /// Lines in the wrong order that such durations can bring about at most: one that took a second longer than the line in
    /// front of it was received in an earlier second, one that took a tenth longer in one of ten cases.
    swaps: f64,
}

impl Order {
    /// `swapped`: lines in the wrong order, where they tell something.
    fn is_contradicted(self, swapped: u64) -> bool {
        let is_too_much = self.behind >= AMISS_MIN && self.behind * ONE_IN > self.long;
        let is_too_little = swapped >= CONFIRMING_MIN && self.swaps * SWAPS_FACTOR < swapped as f64;
        is_too_much || is_too_little
    }
}

/// Lines whose number is beside the bytes of their answer.
#[derive(Clone, Copy, Debug, Default)]
struct BesideBytes {
    lines: u64,
    /// The number is the bytes.
    same: u64,
    /// Lines with a large answer.
    large: u64,
    /// Of these: the number is the bytes and what headers add.
    with_headers: u64,
}

impl BesideBytes {
    fn add(&mut self, bytes: f64, number: f64) {
        if bytes == 0.0 && number == 0.0 {
            return;
        }
        self.lines += 1;
        self.same += u64::from(bytes == number);
        if bytes >= LARGE_ANSWER {
            self.large += 1;
            self.with_headers += u64::from((bytes..=bytes + HEADERS).contains(&number));
        }
    }

    /// Why the number is no duration but the size of the answer.
    fn says(self) -> Option<String> {
        let nearly_all = |part: u64, all: u64| all >= BYTES_MIN && part * 10 >= all * 9;
        if nearly_all(self.same, self.lines) {
            return Some(format!("in {} of {} lines it is the bytes of the answer", self.same, self.lines));
        }
        nearly_all(self.with_headers, self.large).then(|| {
            format!(
                "in {} of {} lines with a large answer it is the bytes of the answer and what headers add",
                self.with_headers, self.large
            )
        })
    }
}

/// Receipt in microseconds and number of each line, stream by stream.
struct Numbers {
    streams: Vec<Vec<(f64, f64)>>,
    beside_bytes: BesideBytes,
}

impl Numbers {
    fn of(heads: &[Head<'_>]) -> Numbers {
        let mut beside_bytes = BesideBytes::default();
        let mut read = |line: &&str| {
            let wrapped = shape::access_in(line);
            let line = access::parse_access(wrapped.as_deref().unwrap_or(without_mark(line)))?;
            let received = clock::parse_time(line.time).ok()?;
            let number = number::parse_f64(line.duration?)?;
            if let Some(bytes) = line.bytes {
                beside_bytes.add(bytes as f64, number);
            }
            Some((received.0 as f64, number))
        };
        let streams = heads.iter().map(|head| head.lines.iter().filter_map(&mut read).collect()).collect();
        Numbers { streams, beside_bytes }
    }

    fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.streams.iter().flatten().map(|(_, value)| *value).take(NUMBERS_MAX).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// Neighbours whose times are in the wrong order and whose numbers differ; and those of them where the later line has
    /// the larger number, as it must be with durations, whatever their unit.
    fn swapped(&self) -> (u64, u64) {
        let (mut swapped, mut larger) = (0, 0);
        for stream in &self.streams {
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
        for stream in &self.streams {
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
            for pair in stream.windows(2) {
                if let [(_, first), (_, second)] = pair {
                    order.swaps += ((second - first) * unit.micros() / 1e6).clamp(0.0, 1.0);
                }
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
    let correlates = swapped >= CONFIRMING_MIN && larger * 10 >= swapped * 9;
    let sorted = numbers.sorted();
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    let number = format!("latency: the whole number at the end of access lines (`{ACCESS_DURATION}`, median {median})");
    if named.is_none()
        && !is_asked
        && let Some(why) = numbers.beside_bytes.says()
    {
        notes.push(format!("{number} is not how long the request took: {why}"));
        fields.remove(place);
        return false;
    }
    let found = match named {
        Some(unit) => Ok(unit),
        None => unit_of(&numbers, (swapped, larger)),
    };
    let (unit, mut why_not) = match found {
        Ok(unit) => (unit, None),
        Err(why) => (LatencyUnit::Micros, Some(why)),
    };
    let order = numbers.order(unit);
    let in_order = order.behind * ONE_IN <= order.long;
    let adds = in_order && ((named.is_some() && is_asked) || correlates || order.explained >= AMISS_MIN);
    let small = sorted.iter().filter(|value| **value <= 1.0).count();
    // Without a name and out of order, it would be in seconds: nothing takes less than a millisecond.
    let may_be_seconds = unit == LatencyUnit::Seconds || (named.is_none() && !adds);
    if may_be_seconds && is_too_coarse(small as u64, sorted.len() as u64) {
        notes.push(format!(
            "{number} is not read: it is 0 or 1 in {small} of {} lines, which is too coarse for a latency in whole seconds. {COARSE_ADVICE}",
            sorted.len()
        ));
        fields.remove(place);
        return false;
    }
    if !adds {
        why_not.get_or_insert_with(|| {
            "neither a name beside it (`rt=0.054`) nor the order of the lines tells that it is a duration".to_owned()
        });
    }
    if let Some(why) = why_not.filter(|_| !is_asked) {
        let others = UNITS.into_iter().filter(|other| *other != unit).map(LatencyUnit::name).collect::<Vec<_>>();
        notes.push(format!(
            "{number} is not taken for how long the request took: {why}. If it is: --role latency={ACCESS_DURATION}:{} (or :{})",
            unit.name(),
            others.join(", :")
        ));
        fields.remove(place);
        return false;
    }
    if let Some(field) = fields.get_mut(place) {
        field.unit = Some(unit);
    }
    if named.is_none() {
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
    let fitting: Vec<&(LatencyUnit, Order)> =
        orders.iter().filter(|(_, order)| !order.is_contradicted(swapped)).collect();
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
