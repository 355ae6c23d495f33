//! The course of a comparison: evidence, and the difference by each guardrail with its always-valid band.

use super::axis::{Scale, powers_of_ten, round_factors, round_times, round_values};
use super::chart::{Chart, Drawn, Level, Moment, Tick};
use super::comparison::{Allowed, allowed, on_scale, with_minus};
use super::course::Point;
use super::markup::Markup;
use crate::cli::report::{Effect, EffectKind, Judged, Row, show_effect, span};
use crate::compare::verdict::{Finding, Verdict};
use crate::math;
use crate::time::{MINUTE, Timestamp};

/// Height of the first chart, and of the others, in pixels.
const TALL: u32 = 220;
const SMALL: u32 = 120;
/// Rows of the table behind a chart.
const NUMBERS: usize = 12;
/// ln 10: the least that the scale of evidence holds below 1.
const LOG_TEN: f64 = core::f64::consts::LN_10;

/// Writes the charts.
pub(super) fn write(m: &mut Markup, judged: &Judged<'_>, points: &[Point]) {
    let mut points = points.to_vec();
    // Whatever was left out: the last look is what the words rest on.
    let last = Point::from_rows(judged.comparison, &judged.rows);
    if points.last().is_none_or(|point| point.at < last.at) {
        points.push(last);
    } else if let Some(end) = points.last_mut() {
        *end = last;
    }
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    if points.len() < 2 || first.at >= last.at {
        return;
    }
    let time = Time { from: judged.comparison.started_at.min(first.at), to: last.at };
    let drawn: Vec<&Row> = ordered(judged)
        .into_iter()
        .filter(|row| points.iter().filter(|point| point.effects[row.cell as usize].is_some()).count() > 1)
        .collect();
    m.words("h3", "", "Over time");
    let note = "The line is the difference of the canary from the baseline, the band its 95 % interval: it holds at all looks at once, so in 19 of 20 rollouts the truth never leaves it. Red: more than a pass allows. Times are UTC.";
    m.words("p", "note", note);
    m.element("div", &[("class", "figures")], |m| {
        if let Some(row) = drawn.first() {
            difference(m, judged, row, &points, time, TALL);
        }
        evidence(m, judged, &points, time);
        for row in drawn.iter().skip(1) {
            difference(m, judged, row, &points, time, SMALL);
        }
    });
}

/// Rows as they are drawn: what carries the failure first, then the order of the table.
fn ordered<'a>(judged: &'a Judged<'_>) -> Vec<&'a Row> {
    let mut rows: Vec<&Row> = judged.rows.iter().collect();
    let carried = |row: &Row| {
        let of_failure = judged.comparison.failure.as_ref();
        let place = of_failure.and_then(|failure| failure.cells.iter().position(|cell| *cell == row.cell));
        (row.finding != Finding::Regressed, place.unwrap_or(usize::MAX))
    };
    rows.sort_by_key(|row| carried(row));
    rows
}

#[derive(Clone, Copy, Debug)]
struct Time {
    from: Timestamp,
    to: Timestamp,
}

impl Time {
    fn place(self, at: Timestamp) -> f64 {
        Scale { low: 0.0, high: (self.to.0 - self.from.0) as f64 }.place((at.0 - self.from.0) as f64)
    }

    /// Marks for a wide chart, and for one of half the width. Of a short time seconds are named, which takes more room.
    fn ticks(self, height: u32) -> Vec<Tick> {
        let is_long = self.to.0 - self.from.0 >= 8 * MINUTE;
        let about = if height == TALL && is_long { 7 } else { 4 };
        let list = round_times(self.from, self.to, about);
        list.into_iter().map(|(at, words)| Tick { at: self.place(at), words }).collect()
    }
}

/// Where the logs proved it.
fn moments(judged: &Judged<'_>, time: Time, named: bool) -> Vec<Moment> {
    let failed = judged.comparison.failure.as_ref().filter(|_| judged.comparison.look.verdict == Verdict::Fail);
    failed
        .map(|failure| Moment {
            at: time.place(failure.at),
            words: if named {
                let after = span(failure.at.0 - judged.comparison.started_at.0);
                format!("proved after {}", after.strip_suffix(" 0 s").unwrap_or(&after))
            } else {
                String::new()
            },
        })
        .into_iter()
        .collect()
}

fn evidence(m: &mut Markup, judged: &Judged<'_>, points: &[Point], time: Time) {
    let log_fail = judged.comparison.log_fail;
    let most = points.iter().map(|point| point.log_sum).fold(log_fail, f64::max);
    let least = points.iter().map(|point| point.log_sum).fold(0.0, f64::min);
    let scale = Scale { low: least.max(-LOG_TEN) - 0.3, high: (most * 1.06).max(log_fail + 1.2) };
    let values: Vec<Tick> =
        powers_of_ten(scale, 5).into_iter().map(|(at, words)| Tick { at: scale.place(at), words }).collect();
    let drawn: Vec<Option<Drawn>> = points
        .iter()
        .map(|point| Some(Drawn { x: time.place(point.at), y: scale.place(point.log_sum), band: None }))
        .collect();
    let line = format!("FAIL from {}", factor(log_fail));
    let levels = [Level { at: scale.place(log_fail), words: line.clone(), class: "limit" }];
    let now = points.last().map_or(0.0, |point| point.log_sum);
    let words = format!("Evidence that the new code is worse, over time. {line}. At the end {}.", factor(now));
    m.element("figure", &[("class", "evidence")], |m| {
        m.element("figcaption", &[], |m| {
            m.words("b", "", "evidence that the new code is worse");
            m.words("span", "", &factor(now));
        });
        let chart = Chart {
            height: SMALL,
            points: &drawn,
            values: &values,
            times: &time.ticks(SMALL),
            levels: &levels,
            beyond: None,
            moments: &moments(judged, time, true),
            words: &words,
        };
        chart.draw(m);
        let rows = thinned(points).map(|point| [clock(point.at), factor(point.log_sum), String::new()]);
        numbers(m, ["time (UTC)", "evidence", ""], rows);
    });
}

/// A factor of evidence.
fn factor(log_e: f64) -> String {
    let e = math::exp(log_e.min(700.0));
    match e {
        e if e >= 1e6 => "over 1,000,000".to_owned(),
        e if e >= 100.0 => crate::cli::report::grouped(e.round() as u64),
        e => format!("{e:.1}"),
    }
}

fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(5..19).unwrap_or(&text).replacen('T', " ", 1)
}

/// The scale of a difference: what the later part of the course, and the margin, need.
fn scale_of(values: &[[f64; 3]], allowed: Allowed) -> Scale {
    let later = &values[values.len() / 2..];
    let margin = if allowed.is_asked { allowed.margin } else { 0.0 };
    let finite = |value: f64| value.is_finite().then_some(value.abs());
    let last = values.last().copied().unwrap_or_default();
    let ends = last.iter().filter_map(|value| finite(*value)).fold(1.3 * margin, f64::max);
    let estimates = later.iter().filter_map(|[_, estimate, _]| finite(*estimate)).fold(0.0, f64::max);
    // Early bands are as wide as one likes; what is past this is cut off at the border.
    let all = values.iter().filter_map(|[_, estimate, _]| finite(*estimate)).fold(0.0, f64::max);
    let reach = (1.25 * ends).max(1.1 * estimates).max((1.1 * all).min(2.0 * ends));
    let reach = if reach > 0.0 { reach } else { 1.0 };
    let lowest =
        values.iter().flat_map(|value| [value[0], value[1]]).filter(|value| value.is_finite()).fold(0.0, f64::min);
    let highest =
        values.iter().flat_map(|value| [value[1], value[2]]).filter(|value| value.is_finite()).fold(0.0, f64::max);
    Scale {
        low: (1.05 * lowest).max(-reach).min(-0.15 * reach),
        high: (1.05 * highest).max(1.15 * margin).min(reach).max(0.15 * reach),
    }
}

fn difference(m: &mut Markup, judged: &Judged<'_>, row: &Row, points: &[Point], time: Time, height: u32) {
    let allowed = allowed(judged, row.cell);
    let effects: Vec<(Timestamp, Option<Effect>)> =
        points.iter().map(|point| (point.at, point.effects[row.cell as usize])).collect();
    let values: Vec<[f64; 3]> = effects.iter().filter_map(|(_, effect)| effect.map(on_scale)).collect();
    let Some(latest) = effects.iter().rev().find_map(|(_, effect)| *effect) else { return };
    let scale = scale_of(&values, allowed);
    let drawn: Vec<Option<Drawn>> = effects
        .iter()
        .map(|(at, effect)| {
            let [low, estimate, high] = on_scale((*effect)?);
            let band = (scale.place(finite_or(low, f64::MIN)), scale.place(finite_or(high, f64::MAX)));
            let y = scale.place(finite_or(estimate, if estimate > 0.0 { f64::MAX } else { f64::MIN }));
            Some(Drawn { x: time.place(*at), y, band: Some(band) })
        })
        .collect();
    let about = if height == TALL { 5 } else { 3 };
    let zero = Level { at: scale.place(0.0), words: String::new(), class: "zero" };
    let mut levels = vec![zero];
    if allowed.is_asked && scale.holds(allowed.margin) {
        levels.push(Level { at: scale.place(allowed.margin), words: "margin".to_owned(), class: "margin" });
    }
    let name = judged.name_of(row);
    let said = with_minus(&show_effect(latest, row.values));
    let words = format!("{name}, canary against baseline, over time with its interval. At the end {said}.");
    m.element("figure", &[("class", if height == TALL { "tall" } else { "" })], |m| {
        m.element("figcaption", &[], |m| {
            m.words("b", "", &name);
            m.words("span", "", &said);
        });
        let chart = Chart {
            height,
            points: &drawn,
            values: &value_ticks(latest.kind, scale, about),
            times: &time.ticks(height),
            levels: &levels,
            beyond: allowed.is_asked.then(|| scale.place(allowed.margin)),
            moments: &moments(judged, time, height == TALL),
            words: &words,
        };
        chart.draw(m);
        let with: Vec<(Timestamp, Effect)> =
            effects.iter().filter_map(|(at, effect)| Some((*at, (*effect)?))).collect();
        let rows = thinned(&with).map(|(at, effect)| {
            let shown = with_minus(&show_effect(*effect, [None; 2]));
            match shown.split_once(" (") {
                Some((estimate, interval)) => {
                    [clock(*at), estimate.to_owned(), interval.trim_end_matches(')').to_owned()]
                }
                None => [clock(*at), shown, String::new()],
            }
        });
        numbers(m, ["time (UTC)", "difference", "interval (95 %)"], rows);
    });
}

fn finite_or(value: f64, other: f64) -> f64 {
    if value.is_finite() { value } else { other }
}

fn value_ticks(kind: EffectKind, scale: Scale, about: usize) -> Vec<Tick> {
    let at = |place: f64, words: String| Tick { at: scale.place(place), words };
    match kind {
        EffectKind::Ratio => round_factors(scale, about)
            .into_iter()
            .map(|factor| {
                let words = if factor >= 1_000.0 {
                    crate::cli::report::grouped(factor as u64)
                } else {
                    format!("{}", (factor * 1_000.0).round() / 1_000.0)
                };
                at(factor.ln(), format!("{words}x"))
            })
            .collect(),
        EffectKind::Difference => {
            let per_cent = Scale { low: scale.low * 100.0, high: scale.high * 100.0 };
            round_values(per_cent, about).into_iter().map(|value| at(value / 100.0, signed(value, "pp"))).collect()
        }
        EffectKind::Change => {
            let change = |log: f64| (math::exp(log) - 1.0) * 100.0;
            let per_cent = Scale { low: change(scale.low), high: change(scale.high) };
            round_values(per_cent, about)
                .into_iter()
                .map(|value| at(math::ln(1.0 + value / 100.0), signed(value, "%")))
                .collect()
        }
    }
}

/// A number with its sign and unit, without digits that say nothing.
fn signed(value: f64, unit: &str) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if rounded == 0.0 { format!("0 {unit}") } else { with_minus(&format!("{rounded:+} {unit}")) }
}

/// Points for the table: as many as fit, evenly spread, the last among them.
fn thinned<T>(points: &[T]) -> impl Iterator<Item = &T> {
    let step = points.len().div_ceil(NUMBERS).max(1);
    let after = points.len().saturating_sub(1) % step;
    points.iter().skip(after).step_by(step)
}

fn numbers<'a>(m: &mut Markup, head: [&'static str; 3], rows: impl Iterator<Item = [String; 3]> + 'a) {
    let columns = if head[2].is_empty() { 2 } else { 3 };
    m.element("details", &[], |m| {
        m.words("summary", "", "Numbers");
        m.element("table", &[("class", "numbers")], |m| {
            m.element("thead", &[], |m| {
                m.element("tr", &[], |m| {
                    for (at, words) in head.into_iter().take(columns).enumerate() {
                        let class = if at == 0 { "" } else { "number" };
                        m.element("th", &[("scope", "col"), ("class", class)], |m| m.text(words));
                    }
                });
            });
            m.element("tbody", &[], |m| {
                for cells in rows {
                    m.element("tr", &[], |m| {
                        for (at, words) in cells.iter().take(columns).enumerate() {
                            m.words("td", if at == 0 { "" } else { "number" }, words);
                        }
                    });
                }
            });
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_the_end_of_the_course_and_the_margin() {
        let asked = Allowed { margin: 0.02, is_asked: true };
        let scale = scale_of(&[[-9.0, 1.0, 9.0], [-0.1, 0.0, 0.1], [-0.01, 0.001, 0.012]], asked);
        assert!(scale.holds(0.02) && scale.holds(-0.01) && scale.holds(0.012) && scale.high < 0.06, "{scale:?}");
        let broken = scale_of(&[[f64::NEG_INFINITY, f64::INFINITY, f64::INFINITY]], asked);
        assert!(broken.low < 0.0 && broken.high > 0.0 && broken.high.is_finite(), "{broken:?}");
    }

    #[test]
    fn the_last_point_is_in_the_table() {
        for n in [1usize, 2, 11, 12, 13, 100, 399, 400] {
            let list: Vec<usize> = (0..n).collect();
            let kept: Vec<&usize> = thinned(&list).collect();
            assert!(kept.len() <= NUMBERS && kept.last() == Some(&&(n - 1)), "{n}: {kept:?}");
        }
    }

    #[test]
    fn labels_have_a_sign_and_a_unit() {
        assert_eq!(signed(0.5, "pp"), "+0.5 pp");
        assert_eq!(signed(-0.30000000000000004, "%"), "\u{2212}0.3 %");
        assert_eq!(signed(0.0, "pp"), "0 pp");
    }
}
