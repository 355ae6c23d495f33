//! From records to figures: counts, confidence limits, and whether a target is met.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::simulate::exact;
use crate::simulate::rows::{Event, Line, Measure, Row, Target};
use crate::simulate::run::{Record, oracle_grid};
use crate::simulate::traffic::Traffic;

/// Whether a target is met.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Nothing is asked.
    Shown,
    /// Met, and the confidence limit leaves no doubt.
    Met,
    /// Met by the figure itself; the runs are too few to be sure.
    MetSoFar,
    /// Not met, and the confidence limit leaves no doubt.
    Missed,
    /// Not met by the figure itself; the runs are too few to be sure.
    MissedSoFar,
    /// No run.
    NotRun,
}

/// One figure.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Figure {
    /// What it is, in words.
    pub text: String,
    /// Of a rule that others use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rival: bool,
    /// Runs that it was read off.
    pub runs: u64,
    /// How many of them had the event.
    pub count: Option<u64>,
    /// The figure: a share, minutes, a multiple, a mean.
    pub value: Option<f64>,
    /// 95 % confidence limits: of a share after Clopper and Pearson, of a time by order statistics, of a mean by three
    /// standard errors. None: not reached.
    pub low: Option<f64>,
    /// See `low`.
    pub high: Option<f64>,
    /// `share`, `minutes`, `times`, `units` or `mean`.
    pub unit: String,
    /// What is asked, in words; empty when nothing is.
    pub target: String,
    /// Whether it is met.
    pub mark: Mark,
}

/// A row with its figures.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RowFigures {
    /// Short name.
    pub row: String,
    /// Part of the scoreboard.
    pub part: String,
    /// In words.
    pub title: String,
    /// Runs that the target asks for.
    pub asked: u64,
    /// Runs that there are.
    pub runs: u64,
    /// Their seeds, as ranges.
    pub seeds: Vec<[u64; 2]>,
    /// Requests simulated.
    pub requests: u64,
    /// Minutes simulated.
    pub minutes: u64,
    /// The figures.
    pub figures: Vec<Figure>,
}

/// Records by row and seed.
pub type Records = BTreeMap<String, BTreeMap<u64, Record>>;

/// Figures of rows from records.
pub fn figures(rows: &[Row], records: &Records) -> Vec<RowFigures> {
    rows.iter().map(|row| row_figures(row, records)).collect()
}

fn row_figures(row: &Row, records: &Records) -> RowFigures {
    let none = BTreeMap::new();
    let own = records.get(row.name).unwrap_or(&none);
    RowFigures {
        row: row.name.to_owned(),
        part: row.part.to_owned(),
        title: row.title.clone(),
        asked: row.runs,
        runs: own.len() as u64,
        seeds: ranges(own.keys().copied()),
        requests: own.values().map(|record| record.requests).sum(),
        minutes: own.values().map(|record| u64::from(record.minutes)).sum(),
        figures: row.lines.iter().map(|line| figure(row, line, own, records)).collect(),
    }
}

/// 1, 2, 3, 7 as 1..3, 7..7.
fn ranges(seeds: impl Iterator<Item = u64>) -> Vec<[u64; 2]> {
    let mut list: Vec<[u64; 2]> = Vec::new();
    for seed in seeds {
        match list.last_mut() {
            Some(range) if range[1] + 1 == seed => range[1] = seed,
            _ => list.push([seed, seed]),
        }
    }
    list
}

/// When each run that was asked had the event, in minutes after the onset; none: it had not.
fn times(row: &Row, event: Event, own: &BTreeMap<u64, Record>) -> Vec<Option<u32>> {
    own.iter()
        .filter_map(|(seed, record)| {
            let traffic: &Traffic = &row.plan(*seed).traffic;
            let at = event.asked(record).then(|| event.at(record, traffic))?;
            // What came before the onset is a false alarm and no detection.
            Some(at.and_then(|at| at.checked_sub(traffic.onset)).filter(|at| traffic.onset == 0 || *at > 0))
        })
        .collect()
}

fn figure(row: &Row, line: &Line, own: &BTreeMap<u64, Record>, records: &Records) -> Figure {
    let mut figure = Figure {
        text: line.text.clone(),
        rival: line.rival,
        runs: 0,
        count: None,
        value: None,
        low: None,
        high: None,
        unit: String::new(),
        target: words(line.target),
        mark: Mark::NotRun,
    };
    match line.measure {
        Measure::Share(event) => {
            let times = times(row, event, own);
            share(&mut figure, times.iter().filter(|at| at.is_some()).count(), times.len());
        }
        Measure::Within(event, minutes) => {
            let times = times(row, event, own);
            let within = times.iter().flatten().filter(|at| **at <= minutes).count();
            share(&mut figure, within, times.len());
        }
        Measure::Time(event, part) => {
            figure.unit = "minutes".to_owned();
            let times = times(row, event, own);
            (figure.value, figure.low, figure.high) = quantile(&times, part);
            figure.runs = times.len() as u64;
            figure.count = Some(times.iter().flatten().count() as u64);
        }
        Measure::Oracle(event, null) => {
            figure.unit = "times".to_owned();
            let times = times(row, event, own);
            // Without the row that says what is usual there is no oracle.
            let oracle = records.get(null).and_then(|null| oracle_minutes(own, null, 0.8));
            if let Some(oracle) = oracle {
                figure.runs = times.len() as u64;
                figure.count = Some(times.iter().flatten().count() as u64);
                let multiple = |minutes: f64| minutes / f64::from(oracle);
                let (value, low, high) = quantile(&times, 0.8);
                (figure.value, figure.low, figure.high) = (value.map(multiple), low.map(multiple), high.map(multiple));
                figure.text = format!("{} ({oracle} min)", figure.text);
            }
        }
        Measure::Units(what, part) => {
            figure.unit = "units".to_owned();
            let units: Vec<Option<u32>> =
                own.values().map(|record| record.lines.get(what).map(|[_, units]| *units)).collect();
            (figure.value, figure.low, figure.high) = quantile(&units, part);
            figure.runs = units.len() as u64;
            figure.count = Some(units.iter().flatten().count() as u64);
        }
        Measure::MeanE(curve, stop) => {
            figure.unit = "mean".to_owned();
            let values: Vec<f64> = own.values().filter_map(|record| record.e_at(curve, stop)).collect();
            figure.runs = values.len() as u64;
            if values.len() >= 2 {
                let (mean, error) = mean_and_error(&values);
                figure.value = Some(mean);
                figure.low = Some(mean - 3.0 * error);
                figure.high = Some(mean + 3.0 * error);
            }
        }
    }
    figure.mark = mark(&figure, line.target);
    figure
}

fn share(figure: &mut Figure, count: usize, runs: usize) {
    figure.unit = "share".to_owned();
    figure.runs = runs as u64;
    if runs > 0 {
        let (low, high) = exact::share_limits(count as u64, runs as u64);
        figure.count = Some(count as u64);
        figure.value = Some(count as f64 / runs as f64);
        figure.low = Some(low);
        figure.high = Some(high);
    }
}

/// Mean, and its standard error.
pub fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, (squares / (n - 1.0) / n).sqrt())
}

/// The quantile of times with its limits; none where too few runs had it.
pub fn quantile(times: &[Option<u32>], part: f64) -> (Option<f64>, Option<f64>, Option<f64>) {
    if times.is_empty() {
        return (None, None, None);
    }
    // Runs that never had it come last.
    let mut sorted: Vec<u32> = times.iter().map(|at| at.unwrap_or(u32::MAX)).collect();
    sorted.sort_unstable();
    let at = |index: usize| sorted.get(index).filter(|at| **at != u32::MAX).map(|at| f64::from(*at));
    let (low, high) = exact::quantile_limits(sorted.len(), part);
    (at(exact::quantile_index(sorted.len(), part)), low.and_then(at), high.and_then(at))
}

/// Minutes after which a test of fixed size on the candidate's share of erring users, at the critical value that 5 % of
/// healthy runs exceed at that minute, finds the effect in this share of runs and in every later minute.
///
/// It is the oracle of the design (457, 125 and 20 minutes there). A test on failed requests would be sooner where some
/// users fail every time, and later where retry loops make the noise.
pub fn oracle_minutes(effect: &BTreeMap<u64, Record>, null: &BTreeMap<u64, Record>, power: f64) -> Option<u32> {
    const USERS: usize = 1;
    let minutes = effect.values().map(|record| record.minutes).min()?;
    let grid: Vec<u32> = oracle_grid(minutes).collect();
    let column = |records: &BTreeMap<u64, Record>, at: usize| -> Vec<i64> {
        records.values().filter_map(|record| record.oracle.get(at).map(|pair| pair[USERS])).collect()
    };
    let mut enough_from = 0;
    for at in 0..grid.len() {
        let (mut usual, found) = (column(null, at), column(effect, at));
        if usual.is_empty() || found.is_empty() {
            return None;
        }
        usual.sort_unstable();
        let critical = usual[exact::quantile_index(usual.len(), 0.95)];
        let above = found.iter().filter(|value| **value > critical).count();
        if (above as f64) < power * found.len() as f64 {
            enough_from = at + 1;
        }
    }
    grid.get(enough_from).copied()
}

fn words(target: Target) -> String {
    match target {
        Target::None => String::new(),
        Target::ShareAtMost(share, upper) if upper < 1.0 && upper != share => {
            format!("<= {}, upper limit <= {}", percent(share), percent(upper))
        }
        Target::ShareAtMost(share, upper) if upper < 1.0 => format!("<= {} with its upper limit", percent(share)),
        Target::ShareAtMost(0.0, _) => "none".to_owned(),
        Target::ShareAtMost(share, _) => format!("<= {}", percent(share)),
        Target::ShareAtLeast(share) => format!(">= {}", percent(share)),
        Target::Minutes(minutes) => format!("<= {minutes} min"),
        Target::Times(times) => format!("<= {times}"),
        Target::Units(units) => format!("<= {units} units"),
        Target::MeanOne => "<= 1 + 3 standard errors".to_owned(),
    }
}

/// A share in per cent with as many digits as it needs.
pub fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn mark(figure: &Figure, target: Target) -> Mark {
    if figure.runs == 0 {
        return Mark::NotRun;
    }
    // Whether the figure meets its target, and whether the limit on the other side says the same.
    let sure = |met: bool, surely_met: bool, surely_missed: bool| match met {
        true if surely_met => Mark::Met,
        true => Mark::MetSoFar,
        false if surely_missed => Mark::Missed,
        false => Mark::MissedSoFar,
    };
    let (low, high) = (figure.low, figure.high);
    match target {
        Target::None => Mark::Shown,
        Target::ShareAtMost(share, upper) => {
            let (value, high) = (figure.value.unwrap_or(1.0), high.unwrap_or(1.0));
            // A count of none has an upper limit above none, however many the runs.
            let bound = if upper < 1.0 { upper } else { share };
            let none_of_many = share == 0.0 && upper >= 1.0 && figure.runs >= 1_000;
            sure(value <= share, high <= bound || none_of_many, low.is_some_and(|low| low > share))
        }
        Target::ShareAtLeast(share) => {
            let (value, low) = (figure.value.unwrap_or(0.0), low.unwrap_or(0.0));
            sure(value >= share, low >= share, high.is_some_and(|high| high < share))
        }
        Target::Minutes(most) | Target::Times(most) | Target::Units(most) => {
            let within = |value: Option<f64>| value.is_some_and(|value| value <= most);
            // A limit that lies beyond the end of the runs is beyond the target.
            sure(within(figure.value), within(high), !within(low))
        }
        Target::MeanOne => match figure.low {
            None => Mark::NotRun,
            Some(low) => sure(low <= 1.0, figure.value.is_some_and(|mean| mean <= 1.0), true),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::rows;
    use crate::simulate::run::Curve;

    fn with_fail(row: &str, seed: u64, at: Option<u32>) -> Record {
        let mut record = Record { row: row.to_owned(), seed, minutes: 100, ..Record::default() };
        if let Some(at) = at {
            record.verdicts.insert("fail".to_owned(), at);
            let mut curve = Curve { max: 0, ..Curve::default() };
            curve.first[0] = Some(at);
            record.curves.insert("errors".to_owned(), curve);
        }
        record
    }

    fn records(row: &str, times: &[Option<u32>]) -> Records {
        let of = times.iter().enumerate().map(|(at, time)| (at as u64 + 1, with_fail(row, at as u64 + 1, *time)));
        Records::from([(row.to_owned(), of.collect())])
    }

    fn row_of(name: &str) -> Row {
        rows::rows().into_iter().find(|row| row.name == name).unwrap()
    }

    #[test]
    fn a_share_beyond_its_target_is_a_miss() {
        let row = row_of("aa-a0");
        let figure = |alarms: usize, runs: usize| {
            let times: Vec<Option<u32>> = (0..runs).map(|run| (run < alarms).then_some(50)).collect();
            row_figures(&row, &records("aa-a0", &times)).figures.remove(0)
        };
        assert_eq!(figure(0, 0).mark, Mark::NotRun);
        assert_eq!((figure(0, 10).mark, figure(0, 10).count), (Mark::MetSoFar, Some(0)));
        assert_eq!(figure(0, 200).mark, Mark::Met);
        assert_eq!((figure(2, 20).mark, figure(2, 20).value), (Mark::MissedSoFar, Some(0.1)));
        assert_eq!(figure(10, 20).mark, Mark::Missed);
        assert_eq!(figure(1, 20).mark, Mark::MetSoFar);
    }

    #[test]
    fn times_that_never_came_are_not_hidden() {
        let (value, low, high) = quantile(&[Some(5), None, Some(3), None, Some(4)], 0.5);
        assert_eq!((value, low, high), (Some(5.0), None, None));
        assert_eq!(quantile(&[Some(5), None, Some(3), None, Some(4)], 0.8).0, None);
        assert_eq!(quantile(&[], 0.5).0, None);
    }

    #[test]
    fn an_alarm_before_the_onset_is_no_detection() {
        let row = row_of("late-onset");
        let records = records("late-onset", &[Some(4_000), Some(5_700), Some(5_600), Some(5_650)]);
        let times = times(&row, Event::Said(crate::compare::verdict::Verdict::Fail), &records["late-onset"]);
        assert_eq!(times, [None, Some(700), Some(600), Some(650)]);
    }

    #[test]
    fn the_oracle_finds_what_is_above_most_healthy_runs_from_then_on() {
        let make = |value: &dyn Fn(u64, u32) -> i64| -> BTreeMap<u64, Record> {
            (1..=20)
                .map(|seed| {
                    let oracle = (1..=30).map(|minute| [0, value(seed, minute)]).collect();
                    (seed, Record { seed, minutes: 30, oracle, ..Record::default() })
                })
                .collect()
        };
        let null = make(&|seed, _| seed as i64);
        // The critical value is 19; 80 % of 20 runs lie above it from minute 12 on, and for a moment at minute 5.
        let effect = make(&|seed, minute| if (minute >= 12 || minute == 5) && seed > 4 { 20 } else { 0 });
        assert_eq!(oracle_minutes(&effect, &null, 0.8), Some(12));
        assert_eq!(oracle_minutes(&make(&|_, _| 0), &null, 0.8), None);
    }

    #[test]
    fn seeds_are_shown_as_ranges() {
        assert_eq!(ranges([1, 2, 3, 7, 9, 10].into_iter()), [[1, 3], [7, 7], [9, 10]]);
    }
}
