//! Units of latency fields whose name does not tell.

use std::collections::BTreeMap;

use crate::pipeline::plan::FieldRef;
use crate::pipeline::roles::{LatencyUnit, Role};
use crate::pipeline::survey::fields::PathCount;

/// Integers from this median on are nanoseconds: as milliseconds half of the requests would take longer than a quarter
/// of an hour.
const NANOS_FROM: f64 = 1_000_000.0;

/// A median from here on is doubtful, in microseconds.
const DOUBTFUL_US: f64 = 600e6;

/// Latency fields without a telling name: the unit is guessed from the values, and that is said.
pub(super) fn name_latency_units(
    roles: &mut BTreeMap<Role, Vec<FieldRef>>,
    paths: &BTreeMap<String, PathCount>,
    notes: &mut Vec<String>,
) {
    for field in roles.get_mut(&Role::Latency).into_iter().flatten() {
        let count = paths.get(&field.path).cloned().unwrap_or_default();
        let mut numbers = count.numbers;
        numbers.sort_by(f64::total_cmp);
        let median = numbers.get(numbers.len() / 2).copied().unwrap_or(0.0);
        let path = &field.path;
        let named = field.unit.or(LatencyUnit::of_field(path));
        let unit = match named {
            Some(unit) => unit,
            None if count.fractions == 0 && median >= NANOS_FROM => LatencyUnit::Nanos,
            None if count.fractions * 2 > numbers.len() as u64 && median < 5.0 => LatencyUnit::Seconds,
            None => LatencyUnit::Millis,
        };
        field.unit = Some(unit);
        if named.is_none() && !numbers.is_empty() {
            notes.push(format!(
                "latency: `{path}` does not name its unit; read as {unit} (median {median}). If that is wrong: --role latency={path}:us",
                unit = unit.name(),
            ));
        }
        let seconds = median * unit.micros() / 1e6;
        if seconds * 1e6 > DOUBTFUL_US {
            notes.push(format!(
                "latency: half of `{path}` would be above {:.0} minutes when read as {}; that is doubtful. Name its unit with --role latency={path}:us, or another field",
                seconds / 60.0,
                unit.name(),
            ));
        }
    }
}
