//! A difference by the time since users were first seen in their arm. Descriptive: a single look, and no verdict rests on it.

use std::fmt::Write as _;

use super::text::{grouped, percent, times};
use super::{Judged, paragraph};
use crate::cli::terminal::harmless;
use crate::compare::verdict::Verdict;
use crate::engine::ages::{Age, Course, Ratio, Told, What};

/// Characters of the name of a business event that are shown.
const NAME_SHOWN: usize = 40;
/// Ages with data of both arms from which on they are shown.
const AGES_MIN: usize = 2;

/// Columns of the table, before those of business events.
const AGE_COLUMNS: [&str; 6] =
    ["seen for", "baseline", "canary", "with errors", "latency of the first request", "requests each"];

impl Judged<'_> {
    /// Ages to be shown: nothing while there is one.
    pub(in crate::cli) fn ages(&self) -> Vec<Age> {
        let seen = self.comparison.ages.seen();
        if seen.len() < AGES_MIN { Vec::new() } else { seen }
    }

    /// What differs at first from what comes later.
    pub(in crate::cli) fn aged(&self) -> Vec<Told> {
        if self.ages().is_empty() { Vec::new() } else { self.comparison.ages.told(self.comparison.conversions.len()) }
    }

    /// What a measure is called.
    pub(in crate::cli) fn aged_name(&self, what: What) -> String {
        let units = self.units();
        match what {
            What::Errors => format!("{units} with a failed request"),
            What::Latency => format!("latency of the first request of {units}"),
            What::Event(at) => {
                let name = self.comparison.conversions.get(at).map_or("", |of| of.name.as_str());
                format!("{units} with `{}`", harmless(name, NAME_SHOWN))
            }
        }
    }

    /// How a difference changes with the time since users were first seen, where it clearly does.
    pub(super) fn age_sentences(&self) -> Vec<String> {
        if self.comparison.look.verdict == Verdict::Invalid {
            return Vec::new();
        }
        let units = self.units();
        let one = |told: &Told| {
            let long = if told.later_from == Age::FirstDay { "an hour" } else { "a day" };
            let young = if told.later_from == Age::FirstDay { "in their first hour" } else { "on their first day" };
            let what = self.aged_name(told.what);
            let (first, later) = (ratio(&told.first), ratio(&told.later));
            let said = match told.course {
                Course::Gone => {
                    format!(
                        "among {units} seen for more than {long} nothing is left of it that chance does not explain ({later}): novelty"
                    )
                }
                Course::Fades => {
                    format!("among {units} seen for more than {long} less of it is left ({later}): it fades with use")
                }
                Course::Grows => format!("among {units} seen for more than {long} it is {later}: it grows with use"),
            };
            format!(
                "By the time since they were first seen (descriptive, a single look): {what} {young}, {first}; {said}."
            )
        };
        self.aged().iter().map(one).collect()
    }

    /// What the table is of.
    pub(in crate::cli) fn age_heading(&self) -> String {
        let units = self.units();
        let ages = &self.comparison.ages;
        let moved = match ages.moved() {
            0 => String::new(),
            n => format!("; {} {units} that changed their arm are left out since", grouped(n)),
        };
        let sample = match ages.followed() {
            share if share < 1.0 => format!("; a sample, {} of {units}", percent(share)),
            _ => String::new(),
        };
        format!(
            "By the time since {units} were first seen in their arm: {units} at each age, canary to baseline (95 %, descriptive, a single \
             look{moved}{sample})"
        )
    }

    /// Heads of its columns.
    pub(in crate::cli) fn age_columns(&self) -> Vec<String> {
        let events = self.comparison.conversions.iter().map(|of| harmless(&of.name, NAME_SHOWN));
        AGE_COLUMNS.into_iter().map(str::to_owned).chain(events).collect()
    }

    /// Its rows.
    pub(in crate::cli) fn age_rows(&self) -> Vec<Vec<String>> {
        let ages = &self.comparison.ages;
        let row = |age: Age| {
            let [control, candidate] = ages.cells(age);
            let of = |what: What| ages.ratio(what, &[age]).as_ref().map_or("-".to_owned(), ratio);
            let each = [control, candidate].map(|cell| cell.requests as f64 / cell.units.max(1) as f64);
            let mut cells = vec![
                age.name().to_owned(),
                grouped(control.units),
                grouped(candidate.units),
                of(What::Errors),
                of(What::Latency),
                format!("{:.2} and {:.2}", each[0], each[1]),
            ];
            cells.extend((0..self.comparison.conversions.len()).map(|at| of(What::Event(at))));
            cells
        };
        self.ages().into_iter().map(row).collect()
    }

    pub(super) fn write_ages(&self, out: &mut String) {
        let rows = self.age_rows();
        if rows.is_empty() {
            return;
        }
        let _infallible = writeln!(out);
        paragraph(out, &self.age_heading());
        let table: Vec<Vec<String>> = std::iter::once(self.age_columns()).chain(rows).collect();
        let width = |column: usize| {
            table.iter().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        for cells in &table {
            let mut line = " ".to_owned();
            for (at, cell) in cells.iter().enumerate() {
                let width = width(at);
                let _infallible = match at {
                    1 | 2 => write!(line, " {cell:>width$} "),
                    _ => write!(line, " {cell:<width$} "),
                };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

/// `2.10x (1.40 to 3.20)`.
fn ratio(of: &Ratio) -> String {
    let [low, estimate, high] = of.interval();
    format!("{}x ({} to {})", times(estimate), times(low), times(high))
}
