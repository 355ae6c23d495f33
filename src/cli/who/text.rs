//! What `who` says, for people.

use std::fmt::Write as _;

use crate::adoption::intervals::{self, Estimate};
use crate::adoption::{Adopted, Adoption, Count, Point, Segment};
use crate::cli::report::{grouped, percent, span, wrap_words};
use crate::cli::terminal::harmless;
use crate::cli::who::Told;
use crate::time::Micros;

/// Columns of running text.
const WIDTH: usize = 98;
/// Segments that are shown of those that were not found.
const NOT_FOUND_SHOWN: usize = 5;
/// Characters of a bar.
const BAR: usize = 40;
/// Marks of a course.
const LEVELS: [char; 8] =
    ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];

fn units(of: Count, what: &str) -> String {
    let plural = if of.units() == 1 { "" } else { "s" };
    match of.one_of {
        0 | 1 => format!("{} {what}{plural}", grouped(of.units())),
        _ => format!("about {} \u{b1} {} {what}{plural}", grouped(of.units()), grouped(of.error().round() as u64)),
    }
}

fn range(of: &Estimate) -> String {
    format!("{} [{}, {}]", percent(of.value), percent(of.low), percent(of.high))
}

fn rate(of: &Adopted) -> String {
    of.rate().map_or_else(|| "-".to_owned(), |rate| range(&rate))
}

fn ratio(value: f64) -> String {
    if value.is_infinite() {
        "\u{221e}".to_owned()
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

fn bar(part: f64) -> String {
    "\u{2588}".repeat((part.clamp(0.0, 1.0) * BAR as f64).round() as usize)
}

fn age(age: Micros) -> String {
    // Whole units read better than their parts.
    let text = span(age);
    text.replace(" 0 min", "").replace(" 0 s", "").replace(".0 days", " days")
}

/// A table whose columns are as wide as what stands in them; the first is to the left.
fn table(out: &mut String, rows: &[Vec<String>], markdown: bool) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (number, row) in rows.iter().enumerate() {
        if markdown {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _infallible = writeln!(out, "| {} |", cells.join(" | "));
            if number == 0 {
                let _infallible = writeln!(out, "| --- |{}", " ---: |".repeat(columns.saturating_sub(1)));
            }
            continue;
        }
        let mut line = String::from(" ");
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let (before, after) = if column == 0 { ("", pad.as_str()) } else { (pad.as_str(), "") };
            let _infallible = write!(line, " {before}{cell}{after} ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn paragraph(out: &mut String, text: &str) {
    for line in wrap_words(text, WIDTH) {
        out.push_str(&line);
        out.push('\n');
    }
}

fn heading(out: &mut String, text: &str, markdown: bool) {
    out.push('\n');
    if markdown {
        let _infallible = writeln!(out, "## {text}\n");
    } else {
        let _infallible = writeln!(out, "{text}");
    }
}

/// For people.
pub(super) fn text(adoption: &Adoption, told: &Told) -> String {
    whole(adoption, told, false)
}

/// For tickets.
pub(super) fn markdown(adoption: &Adoption, told: &Told) -> String {
    whole(adoption, told, true)
}

fn whole(adoption: &Adoption, told: &Told, markdown: bool) -> String {
    let mut out = String::new();
    let what = told.unit;
    let Adopted { exposed, used } = adoption.adopted;
    let headline = match adoption.adopted.rate() {
        Some(rate) => format!(
            "{} of {} used it: {} of those that were exposed, 95 % of single looks {} to {}",
            grouped(used.units()),
            units(exposed, what),
            percent(rate.value),
            percent(rate.low),
            percent(rate.high)
        ),
        None => format!("nobody was exposed: no {what} has a line of {}", harmless(&told.exposed, 200)),
    };
    if markdown {
        out.push_str(&format!("# {headline}\n\n"))
    } else {
        paragraph(&mut out, &headline)
    }
    let [from, to] = adoption.span;
    paragraph(
        &mut out,
        &format!(
            "Used: {}. Exposed: {}. {} lines from {from} to {to}.",
            harmless(&told.used, 300),
            harmless(&told.exposed, 300),
            grouped(told.lines[0]),
        ),
    );
    notes(&mut out, adoption, told);
    if exposed.followed == 0 {
        return out;
    }
    heading(&mut out, "Over time", markdown);
    course(&mut out, &adoption.course, markdown);
    first_use(&mut out, adoption, markdown);
    segments(&mut out, adoption, told, markdown);
    again(&mut out, adoption, markdown);
    funnel(&mut out, adoption, told, markdown);
    arms(&mut out, adoption, markdown);
    out
}

fn notes(out: &mut String, adoption: &Adoption, told: &Told) {
    let what = told.unit;
    let [lines, without, rejected] = told.lines;
    if without > 0 {
        paragraph(
            out,
            &format!(
                "{} lines name no {what}, and count nowhere ({}).",
                grouped(without),
                percent(without as f64 / lines.max(1) as f64)
            ),
        );
    }
    if rejected > 0 {
        paragraph(out, &format!("{} lines could not be read (serin compare --rejects says why).", grouped(rejected)));
    }
    if adoption.used_before.followed > 0 {
        paragraph(
            out,
            &format!(
                "{} used it without having been exposed before, and count nowhere.",
                units(adoption.used_before, what)
            ),
        );
    }
    if adoption.one_of() > 1 {
        let text = format!(
            "There are more than can be remembered: one {what} in {} is followed, by hash. Numbers are multiples with a standard error.",
            adoption.one_of()
        );
        paragraph(out, &text);
    }
    if adoption.busy > 0 {
        paragraph(
            out,
            &format!(
                "{} have so many uses that only the first are known: machines, most likely.",
                grouped(adoption.busy)
            ),
        );
    }
}

fn course(out: &mut String, points: &[Point], markdown: bool) {
    let most = points.iter().filter_map(|point| point.so_far.rate()).map(|rate| rate.value).fold(0.0, f64::max);
    let level = |point: &Point| {
        let part = point.so_far.rate().map_or(0.0, |rate| rate.value) / most.max(1e-12);
        LEVELS.get(((part * 7.0).round() as usize).min(7)).copied().unwrap_or(' ')
    };
    let line: String = points.iter().map(level).collect();
    if let (Some(first), Some(last)) = (points.first(), points.last()) {
        let quote = if markdown { "`" } else { "  " };
        let _infallible = writeln!(out, "{quote}{line}{}", quote.trim());
        paragraph(
            out,
            &format!(
                "  part of exposed units that have used it, {} to {}; the highest is {}",
                first.until,
                last.until,
                percent(most)
            ),
        );
    }
}

fn first_use(out: &mut String, adoption: &Adoption, markdown: bool) {
    if adoption.ages.is_empty() {
        return;
    }
    heading(out, "Time to the first use (Kaplan-Meier; single look)", markdown);
    let mut rows = vec![vec!["within".to_owned(), "have used it".to_owned()]];
    rows.extend(adoption.ages.iter().map(|at| vec![age(*at), range(&adoption.first_use.used_by(*at))]));
    table(out, &rows, markdown);
    let median = match adoption.first_use.age_of(0.5) {
        Some(median) => format!("Half have used it within {}.", age(median)),
        None => "Fewer than half have used it within the time of the log.".to_owned(),
    };
    out.push_str(if markdown { "\n" } else { "  " });
    paragraph(out, &median);
}

fn segment_row(of: &Segment) -> Vec<String> {
    let [value, low, high] = of.rate;
    vec![
        format!("{} = {}", harmless(&of.field, 40), harmless(&of.value, 40)),
        grouped(of.adopted.exposed.units()),
        of.adopted.rate().map_or_else(|| "-".to_owned(), |rate| percent(rate.value)),
        format!("{} [{}, {}]", ratio(value), ratio(low), ratio(high)),
        of.lift.map_or_else(
            || "-".to_owned(),
            |lift| format!("{} [{}, {}]", ratio(lift.value), ratio(lift.low), ratio(lift.high)),
        ),
        of.difference.map_or_else(|| "-".to_owned(), |of| format!("{:+.1} points", of.value * 100.0)),
    ]
}

fn segments(out: &mut String, adoption: &Adoption, told: &Told, markdown: bool) {
    if adoption.segments.is_empty() {
        return;
    }
    heading(out, "Who", markdown);
    let head = ["", "exposed", "used it", "rate, times others'", "lift", "difference"].map(str::to_owned).to_vec();
    let (found, others): (Vec<&Segment>, Vec<&Segment>) = adoption.segments.iter().partition(|of| of.found);
    // What has nearly the units of one that stands above it is told beside that one.
    let mut shown: Vec<&Segment> = Vec::new();
    for of in &found {
        let is_told =
            shown.iter().any(|other| other.same.iter().any(|same| same.field == of.field && same.value == of.value));
        if !is_told {
            shown.push(of);
        }
    }
    if shown.is_empty() {
        let text = format!(
            "No segment of {} takes it up sooner or later than others, as far as can be told.",
            told.segments.join(", ")
        );
        paragraph(out, &harmless(&text, 400));
    } else {
        let mut rows = vec![head.clone()];
        rows.extend(shown.iter().map(|of| segment_row(of)));
        table(out, &rows, markdown);
        if markdown {
            out.push('\n');
        }
        for of in &shown {
            let same: Vec<String> = of
                .same
                .iter()
                .map(|same| format!("{} = {}", harmless(&same.field, 40), harmless(&same.value, 40)))
                .collect();
            if !same.is_empty() {
                paragraph(
                    out,
                    &format!(
                        "  {} = {} has nearly the same units as {}.",
                        harmless(&of.field, 40),
                        harmless(&of.value, 40),
                        same.join(", ")
                    ),
                );
            }
        }
        let text = format!(
            "  Found, among {} that were looked at (at most one in twenty of such a list is there by chance, whenever it is looked at). Units \
             that were exposed for as long are compared. They chose it: this is selection, not an effect.",
            grouped(adoption.tested)
        );
        paragraph(out, &text);
    }
    if !others.is_empty() {
        let mut rows = vec![head];
        rows.extend(others.iter().take(NOT_FOUND_SHOWN).map(|of| segment_row(of)));
        out.push_str(if markdown { "\nNot found:\n\n" } else { "  Not found:\n" });
        table(out, &rows, markdown);
        if others.len() > NOT_FOUND_SHOWN {
            paragraph(out, &format!("  and {} more (--format json has them all)", others.len() - NOT_FOUND_SHOWN));
        }
    }
}

fn again(out: &mut String, adoption: &Adoption, markdown: bool) {
    let used = adoption.adopted.used.followed;
    if used == 0 {
        return;
    }
    heading(out, "How often, and whether they come back (single look)", markdown);
    let part = |of: &Count| percent(of.followed as f64 / used as f64);
    let row = |what: &str, names: [&str; 4], counts: &[Count; 4]| {
        let mut row = vec![what.to_owned()];
        row.extend(names.iter().zip(counts).map(|(name, count)| format!("{name}: {}", part(count))));
        row
    };
    let rows = [
        row("uses", ["1", "2 to 4", "5 to 9", "10 and more"], &adoption.uses),
        row("days", ["1", "2", "3 to 6", "7 and more"], &adoption.days),
    ];
    table(out, &rows, markdown);
    if adoption.retention.iter().all(|of| of.again.len() < 2) {
        return;
    }
    out.push('\n');
    let mut rows = vec![vec!["first use on".to_owned(), "units".to_owned()]];
    let days = adoption.retention.iter().map(|of| of.again.len()).max().unwrap_or(0);
    if let Some(head) = rows.first_mut() {
        head.extend((1..days).map(|day| format!("day {day}")));
    }
    for of in &adoption.retention {
        let mut row = vec![of.day.to_string().get(..10).unwrap_or_default().to_owned(), grouped(of.units.units())];
        row.extend(of.again.iter().skip(1).map(|(count, whole)| {
            let part = percent(count.followed as f64 / of.units.followed.max(1) as f64);
            if *whole { part } else { format!("{part}+") }
        }));
        rows.push(row);
    }
    table(out, &rows, markdown);
    paragraph(out, "  + the day is not over");
}

fn funnel(out: &mut String, adoption: &Adoption, told: &Told, markdown: bool) {
    let Some(first) = adoption.steps.first().filter(|_| adoption.steps.len() > 1) else { return };
    heading(out, &format!("Funnel, in order within {} (exposed units; single look)", told.within), markdown);
    let arms: Vec<_> = adoption.arms.iter().filter(|_| adoption.arms.len() > 1).collect();
    let mut head = ["step", "units", "of the first", "of the step before"].map(str::to_owned).to_vec();
    head.extend(arms.iter().map(|of| harmless(&of.arm, 30)));
    if !markdown {
        head.push(String::new());
    }
    let mut rows = vec![head];
    let mut before = *first;
    for (at, (name, count)) in told.steps.iter().zip(&adoption.steps).enumerate() {
        let of = |of: &Count| {
            intervals::share(count.followed, of.followed).map_or_else(|| "-".to_owned(), |share| range(&share))
        };
        let whole = count.followed as f64 / first.followed.max(1) as f64;
        let mut row = vec![
            harmless(name, 40),
            grouped(count.units()),
            percent(whole),
            if at == 0 { String::new() } else { of(&before) },
        ];
        row.extend(arms.iter().map(|arm| {
            let [step, last] = [at, at.saturating_sub(1)].map(|at| arm.steps.get(at).map_or(0, |count| count.followed));
            if at == 0 {
                grouped(arm.steps.first().map_or(0, |count| count.units()))
            } else {
                intervals::share(step, last).map_or_else(|| "-".to_owned(), |share| range(&share))
            }
        }));
        if !markdown {
            row.push(bar(whole));
        }
        rows.push(row);
        before = *count;
    }
    table(out, &rows, markdown);
}

fn arms(out: &mut String, adoption: &Adoption, markdown: bool) {
    if adoption.arms.len() < 2 {
        return;
    }
    heading(out, "By arm (single look)", markdown);
    let mut rows = vec![["arm", "exposed", "used it"].map(str::to_owned).to_vec()];
    for of in &adoption.arms {
        rows.push(vec![harmless(&of.arm, 40), grouped(of.adopted.exposed.units()), rate(&of.adopted)]);
    }
    table(out, &rows, markdown);
}
