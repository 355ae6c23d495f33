//! The scoreboard in words: for a terminal, and as a page of documentation.

use std::fmt::Write;

use crate::simulate::board::{Figure, Mark, RowFigures, percent};
use crate::simulate::rows::{DECIDED, ELSEWHERE};
use crate::words::grouped;

/// Width of the first column.
const TEXT_WIDTH: usize = 60;

/// For a terminal. Rows without a run are left out when others have some.
pub fn text(rows: &[RowFigures]) -> String {
    let mut out = String::new();
    let mut part = "";
    for row in rows {
        if row.part != part {
            part = &row.part;
            let _infallible = writeln!(out, "\n{part}");
        }
        let _infallible = writeln!(out, "\n  {}: {}", row.row, row.title);
        let _infallible = writeln!(out, "  {}", runs(row));
        for figure in row.figures.iter().filter(|_| row.runs > 0) {
            let name = if figure.rival { format!("({})", figure.text) } else { figure.text.clone() };
            let target = if figure.target.is_empty() { String::new() } else { format!("  target {}", figure.target) };
            let line = format!(
                "    {name:<TEXT_WIDTH$} {:>22}  {:<18}{target}{}",
                value(figure),
                limits(figure),
                match mark(figure.mark) {
                    "" => String::new(),
                    word => format!("  {word}"),
                }
            );
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out.push_str("\nNot simulated here\n\n");
    for row in ELSEWHERE {
        let _infallible = writeln!(out, "  {} (target {}): {}", row.title, row.target, row.why);
    }
    let misses = misses(rows);
    let _infallible = writeln!(
        out,
        "\n{}",
        if misses == 0 { "No target is missed.".to_owned() } else { format!("{misses} targets are missed.") }
    );
    out
}

fn misses(rows: &[RowFigures]) -> usize {
    rows.iter()
        .flat_map(|row| &row.figures)
        .filter(|figure| matches!(figure.mark, Mark::Missed | Mark::MissedSoFar))
        .count()
}

/// As a page of documentation.
pub fn markdown(rows: &[RowFigures]) -> String {
    let mut out = String::from(HEAD);
    let (run, not_run): (Vec<&RowFigures>, Vec<&RowFigures>) = rows.iter().partition(|row| row.runs > 0);
    let few = run.iter().filter(|row| row.runs < row.asked).count();
    let runs_of: u64 = run.iter().map(|row| row.runs).sum();
    let asked: u64 = rows.iter().map(|row| row.asked).sum();
    let _infallible = writeln!(
        out,
        "## State\n\n{} of {} rows were run: {} of the {} runs that the targets ask for, {} requests in {} simulated minutes. {few} rows have \
         fewer runs than asked; the column *runs* says how many. {} figures miss their target.\n",
        run.len(),
        rows.len(),
        grouped(runs_of),
        grouped(asked),
        grouped(run.iter().map(|row| row.requests).sum()),
        grouped(run.iter().map(|row| row.minutes).sum()),
        misses(rows),
    );
    automatic(&mut out, &run);
    let mut part = "";
    for row in &run {
        if row.part != part {
            part = &row.part;
            let _infallible = writeln!(out, "## {part}\n");
            if row.part == DECIDED {
                let decided: Vec<&RowFigures> = run.iter().copied().filter(|row| row.part == DECIDED).collect();
                decided_table(&mut out, &decided);
            }
        }
        if row.part == DECIDED {
            continue;
        }
        let _infallible = writeln!(out, "### {}\n\n{}. {}\n", row.row, row.title, runs(row));
        out.push_str("| figure | runs | value | 95 % limits | target | |\n| --- | ---: | ---: | --- | --- | --- |\n");
        for figure in &row.figures {
            let name = if figure.rival { format!("*{}*", figure.text) } else { figure.text.clone() };
            let word = match figure.mark {
                Mark::Missed => "**MISSED**",
                Mark::MissedSoFar => "**missed so far**",
                other => mark(other),
            };
            let _infallible = writeln!(
                out,
                "| {name} | {} | {} | {} | {} | {word} |",
                grouped(figure.runs),
                value(figure),
                limits(figure),
                figure.target,
            );
        }
        out.push('\n');
    }
    out.push_str("## Not simulated here\n\n| row | target | |\n| --- | --- | --- |\n");
    for row in ELSEWHERE {
        let _infallible = writeln!(out, "| {} | {} | {} |", row.title, row.target, row.why);
    }
    if !not_run.is_empty() {
        let names: Vec<String> = not_run.iter().map(|row| format!("`{}`", row.row)).collect();
        let _infallible = writeln!(out, "\nNot run yet: {}.", names.join(", "));
    }
    out
}

/// What the default of automatic actions ([`crate::compare::budget::AUTOMATIC`]) rests on, and what it costs.
fn automatic(out: &mut String, rows: &[&RowFigures]) {
    let figure = |row: &RowFigures, text: &str| row.figures.iter().find(|figure| figure.text == text).map(value);
    let (fail, acts, strict) = (
        "whole rollout FAILs (alpha .01)",
        "whole rollout, S >= 1,000 (automatic rollback)",
        "whole rollout, S >= 10,000",
    );
    let Some(healthy) = rows.iter().find(|row| figure(row, acts).is_some()) else { return };
    out.push_str("## The bar of automatic actions\n\n");
    let of_healthy = |text: &str| figure(healthy, text).unwrap_or_default();
    let _infallible = writeln!(
        out,
        "A failure is told once the evidence S reaches 100 (1 / alpha), and acted on without a person once it reaches 1,000 \
         (`automatic_at`). By the same inequality a sound release is rolled back so with a probability of at most .1 %, a tenth of \
         that of a FAIL. Where nothing has changed (`{}`, {} runs): FAIL {}, S >= 1,000 {}, S >= 10,000 {}. What it costs is the time \
         between the columns; S >= 10,000 would cost more of it, and what is told is in front of a person all the while: that is why \
         1,000 is the default.\n",
        healthy.row,
        grouped(healthy.runs),
        of_healthy(fail),
        of_healthy(acts),
        of_healthy(strict),
    );
    out.push_str("| change, by which half / four of five of the runs are found | FAIL | S >= 1,000 | S >= 10,000 |\n| --- | ---: | ---: | ---: |\n");
    for row in rows {
        let both = |text: &str| {
            let at = |share: &str| figure(row, &format!("{text}: {share} % of runs"));
            Some(format!("{} / {}", at("50")?, at("80")?))
        };
        if let (Some(fail), Some(acts), Some(strict)) = (both(fail), both(acts), both(strict)) {
            let _infallible = writeln!(out, "| {} | {fail} | {acts} | {strict} |", row.title);
        }
    }
    out.push('\n');
}

/// All rows of this part in one table: what was done to the canary, by its requests a minute.
fn decided_table(out: &mut String, rows: &[&RowFigures]) {
    if rows.is_empty() {
        return;
    }
    let split = |row: &&RowFigures| row.title.split_once(", ").map(|(kind, rate)| (kind.to_owned(), rate.to_owned()));
    let mut kinds: Vec<String> = Vec::new();
    let mut rates: Vec<String> = Vec::new();
    for (kind, rate) in rows.iter().filter_map(split) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        if !rates.contains(&rate) {
            rates.push(rate);
        }
    }
    out.push_str("Per cent of runs in which a healthy canary PASSes, or a broken one FAILs, within 5 / 30 / 120 minutes. Behind it the runs, and those in which it came out the wrong way.\n\n");
    let _infallible = writeln!(out, "| | {} |", rates.join(" | "));
    let _infallible = writeln!(out, "| --- |{}", " --- |".repeat(rates.len()));
    for kind in &kinds {
        let cell = |rate: &String| {
            let row = rows.iter().find(|row| split(row).is_some_and(|(k, r)| k == *kind && r == *rate));
            row.map_or(String::new(), |row| {
                let shares: Vec<String> = row
                    .figures
                    .iter()
                    .take(3)
                    .map(|figure| figure.value.map_or("-".to_owned(), |share| format!("{:.0}", share * 100.0)))
                    .collect();
                let wrong = row.figures.get(3).and_then(|figure| figure.count).unwrap_or(0);
                format!("{} ({}, {wrong} wrong)", shares.join(" / "), row.runs)
            })
        };
        let cells: Vec<String> = rates.iter().map(cell).collect();
        let _infallible = writeln!(out, "| {kind} | {} |", cells.join(" | "));
    }
    out.push('\n');
}

const HEAD: &str = "# Scoreboard

How rarely Serin errs and how soon it decides, by simulation: rollouts whose truth is known, through `Engine::apply` as in
production, beside the rules that people use today on the same traffic (in italics). Nothing on this page is written by hand: the commands
below write it and its figures, `scoreboard.json`, from the results of runs, and a test compares the two.

```sh
serin scoreboard --runs 5000 --results scoreboard.ndjson         # hours; may be stopped and started again
serin scoreboard --runs 0 --results scoreboard.ndjson --format json > docs/scoreboard.json
serin scoreboard --runs 0 --results scoreboard.ndjson --format markdown > docs/scoreboard.md
```

`--runs N` runs at most N seeds of a row, and never more than its target asks for; `--row NAME` picks rows. A seed that stands in
the results is not run again. The traffic model, the rows and their targets are in `src/simulate`.

* *Runs* are seeds; one run is one rollout. Limits of a share are those of Clopper and Pearson, of a time by order statistics, of a
  mean three standard errors. A time is that by which the said share of all runs had it, from the start of the rollout or
  the onset of the change; `-` says that fewer had it before the run ended. All times rest on one-minute windows.
* *met*: the limit lies within the target. *met so far*: the figure does, its limit does not: too few runs to be sure.
  **MISSED** and **missed so far** are the same on the other side; both are misses.
* An *oracle* knows what to look for and looks once: the time from which on a test of fixed size on the share of erring users,
  at the critical value that 5 % of healthy runs exceed at that minute, finds the change in 80 % of runs. No rule that may
  look at any time can be as fast. The design has 457, 125 and 20 minutes; with few runs the critical value is rough.
* The rules of others watch for as long as the rollout runs and never promote. Error rules are shown errors alone; mSPRT has
  the scale that finds a doubled error rate soonest, Lindon-Malek the configured share. They take each request for independent.

";

/// How many runs there are, and which.
fn runs(row: &RowFigures) -> String {
    let seeds: Vec<String> = row
        .seeds
        .iter()
        .map(|[from, to]| if from == to { from.to_string() } else { format!("{from} to {to}") })
        .collect();
    if row.runs == 0 {
        return format!("Not run ({} asked)", grouped(row.asked));
    }
    let fewer = if row.runs < row.asked { ", fewer than asked" } else { "" };
    format!(
        "{} of {} runs{fewer}; seeds {}; {} requests in {} minutes",
        grouped(row.runs),
        grouped(row.asked),
        seeds.join(", "),
        grouped(row.requests),
        grouped(row.minutes)
    )
}

fn one(value: f64, unit: &str) -> String {
    match unit {
        "share" => percent(value),
        "minutes" => format!("{value:.0} min"),
        "units" => format!("{value:.0} units"),
        _ => format!("{value:.2}"),
    }
}

fn value(figure: &Figure) -> String {
    let Some(value) = figure.value else {
        return match figure.count {
            Some(count) => format!("- ({count} of {})", figure.runs),
            None => "-".to_owned(),
        };
    };
    match figure.unit.as_str() {
        "share" => format!("{} ({} of {})", one(value, "share"), figure.count.unwrap_or(0), figure.runs),
        unit => one(value, unit),
    }
}

fn limits(figure: &Figure) -> String {
    if figure.low.is_none() && figure.high.is_none() {
        return String::new();
    }
    let end = |end: Option<f64>| end.map_or("-".to_owned(), |end| one(end, &figure.unit));
    let low = end(figure.low);
    let unit = [" %", " min", " units"].into_iter().find(|unit| low.ends_with(unit) && figure.high.is_some());
    format!("{} to {}", unit.and_then(|unit| low.strip_suffix(unit)).unwrap_or(&low), end(figure.high))
}

fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::Shown => "",
        Mark::Met => "met",
        Mark::MetSoFar => "met so far",
        Mark::Missed => "MISSED",
        Mark::MissedSoFar => "MISSED so far",
        Mark::NotRun => "not run",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(mark: Mark, unit: &str, value: Option<f64>, low: Option<f64>, high: Option<f64>) -> Figure {
        Figure {
            text: "rolled back".to_owned(),
            rival: false,
            runs: 20,
            count: Some(1),
            value,
            low,
            high,
            unit: unit.to_owned(),
            target: "<= 1 %".to_owned(),
            mark,
        }
    }

    #[test]
    fn misses_cannot_be_overlooked() {
        let row = RowFigures {
            row: "aa".to_owned(),
            part: "False alarms".to_owned(),
            title: "nothing".to_owned(),
            asked: 3_000,
            runs: 20,
            seeds: vec![[1, 20]],
            requests: 1_000,
            minutes: 100,
            figures: vec![
                figure(Mark::Missed, "share", Some(0.05), Some(0.001), Some(0.25)),
                figure(Mark::Met, "minutes", Some(12.0), Some(9.0), None),
                figure(Mark::MetSoFar, "minutes", None, None, None),
            ],
        };
        let text = text(std::slice::from_ref(&row));
        assert!(text.contains("5 % (1 of 20)  0.1 to 25 %") && text.contains("MISSED"), "{text}");
        assert!(text.contains("12 min  9 min to -") && text.contains("- (1 of 20)"), "{text}");
        assert!(text.ends_with("1 targets are missed.\n"), "{text}");
        let page = markdown(&[row.clone(), RowFigures { row: "bb".to_owned(), runs: 0, ..row }]);
        assert!(page.contains("| rolled back | 20 | 5 % (1 of 20) | 0.1 to 25 % | <= 1 % | **MISSED** |"), "{page}");
        assert!(
            page.contains("20 of 3,000 runs, fewer than asked; seeds 1 to 20") && page.contains("Not run yet: `bb`.")
        );
        assert!(page.contains("tests/statistics_golden.rs"), "what is shown elsewhere is said");
    }
}
