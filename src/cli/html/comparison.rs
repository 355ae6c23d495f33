//! One comparison: the verdict in words, guardrails with whiskers, the course, what changed, lines to look at, checks.

use super::chart::{Whisker, whisker, whisker_scale};
use super::course::Point;
use super::markup::Markup;
use super::over_time;
use crate::cli::report::{Effect, EffectKind, Judged, Row, grouped, millis, span, strength};
use crate::compare::margin;
use crate::compare::verdict::{Behaviour, Cell, Finding, Verdict};
use crate::engine::comparison::Evidence;
use crate::engine::latency_tests::Level;
use crate::engine::look::{LOG_PASS, Margins};
use crate::engine::pass::required;
use crate::math;
use crate::pipeline::metric::MetricKind;
use crate::sketch::latency::bin_middle;

/// Longest name of a service, arm, route or stream that is shown, in characters.
pub(super) const NAME_MAX: usize = 60;
/// Lines to look at that are listed.
const LINES_MAX: usize = 10;
/// ln 1.5: the scale of a ratio without a margin.
const LOG_HALF_MORE: f64 = 0.405_465_108_108_164_4;
/// Scale on which differences of shares of one's own are drawn: two points.
const POINTS_SHOWN: f64 = 0.02;

/// How a verdict looks: class, sign, word.
pub(super) fn looks(verdict: Verdict, held_back: bool) -> (&'static str, &'static str, &'static str) {
    match verdict {
        Verdict::Pass => ("pass", "\u{2713}", "PASS"),
        Verdict::Fail => ("fail", "\u{25b2}", "FAIL"),
        Verdict::Inconclusive if held_back => ("held-back", "\u{25c6}", "INCONCLUSIVE: held back"),
        Verdict::Inconclusive => ("open", "\u{25cb}", "INCONCLUSIVE"),
        Verdict::Invalid => ("invalid", "!", "INVALID"),
    }
}

/// What a pass allows of a guardrail, on the scale that its whisker is drawn on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Allowed {
    /// The margin as a difference, or as a logarithm of a ratio or change.
    pub margin: f64,
    /// A pass asks for this guardrail.
    pub is_asked: bool,
}

/// What a pass allows of each guardrail.
pub(super) fn allowed(judged: &Judged<'_>, cell: Cell) -> Allowed {
    let (comparison, policy) = (judged.comparison, judged.policy);
    let margins = Margins::of(comparison, policy);
    let has_volume = comparison.look.cell(Cell::ErrorVolume).has_data;
    let is_asked = required(comparison, policy, has_volume).contains(&cell);
    let margin = match cell {
        Cell::ErrorUnits => math::ln(margins.error_ratio),
        Cell::ErrorVolume => 4.0 * margins.mult * margins.errors,
        Cell::LatencyMean => margins.mult * margin::LATENCY_MEAN,
        Cell::LatencyP50 => margins.mult * Level::P50.margin(),
        Cell::LatencyP90 => margins.mult * Level::P90.margin(),
        Cell::LatencyP99 => margins.mult * Level::P99.margin(),
        Cell::LatencyP99Units | Cell::Deficit | Cell::ErrorUnits8 | Cell::ErrorUnits64 | Cell::Unanswered => {
            LOG_HALF_MORE
        }
    };
    let is_known = margin.is_finite() && margin > 0.0;
    Allowed { margin: if is_known { margin } else { LOG_HALF_MORE }, is_asked: is_asked && is_known }
}

/// The margin in words.
fn allowed_words(allowed: Allowed, effect: Option<EffectKind>, cell: Cell) -> String {
    let kind = effect.unwrap_or(match cell {
        Cell::ErrorUnits
        | Cell::LatencyP99Units
        | Cell::Deficit
        | Cell::ErrorUnits8
        | Cell::ErrorUnits64
        | Cell::Unanswered => EffectKind::Ratio,
        Cell::LatencyMean => EffectKind::Change,
        Cell::ErrorVolume | Cell::LatencyP50 | Cell::LatencyP90 | Cell::LatencyP99 => EffectKind::Difference,
    });
    match kind {
        _ if !allowed.is_asked => "not asked for a pass".to_owned(),
        EffectKind::Ratio => format!("a pass allows {:.2}x", math::exp(allowed.margin)),
        EffectKind::Difference => format!("a pass allows {:+.2} pp", allowed.margin * 100.0),
        EffectKind::Change => format!("a pass allows {:+.1} %", (math::exp(allowed.margin) - 1.0) * 100.0),
    }
}

/// An effect on the scale of its margin.
pub(super) fn on_scale(effect: Effect) -> [f64; 3] {
    let values = [effect.low, effect.estimate, effect.high];
    match effect.kind {
        EffectKind::Ratio if effect.is_at_limit() => {
            let far = if effect.estimate > 1.0 { f64::INFINITY } else { f64::NEG_INFINITY };
            [math::ln(effect.low), far, math::ln(effect.high)]
        }
        EffectKind::Ratio => values.map(math::ln),
        EffectKind::Difference => values,
        EffectKind::Change => values.map(|change| math::ln(1.0 + change)),
    }
}

fn row_whisker(effect: Effect, allowed: Allowed) -> Whisker {
    let [low, estimate, high] = on_scale(effect).map(|value| value / allowed.margin);
    Whisker { estimate, low, high }
}

/// How a finding looks: class and sign.
fn finding_looks(row: &Row) -> (&'static str, &'static str) {
    match row.finding {
        Finding::Held => ("pass", "\u{2713}"),
        Finding::Regressed if row.has_receded() => ("open", "\u{25b3}"),
        Finding::Regressed => ("fail", "\u{25b2}"),
        Finding::Changed => ("held-back", "\u{25c6}"),
        Finding::BrokenMeasurement => ("invalid", "!"),
        Finding::Undecided => ("open", "\u{25cb}"),
        Finding::NoData => ("open", "\u{2013}"),
    }
}

/// Writes the section of a comparison.
pub(super) fn write(m: &mut Markup, judged: &Judged<'_>, points: &[Point], id: &str, is_live: bool) {
    let (class, _, _) = looks(judged.comparison.look.verdict, judged.comparison.look.held_back);
    let labelled = format!("{id}-verdict");
    m.element("section", &[("class", "comparison"), ("id", id), ("aria-labelledby", &labelled)], |m| {
        verdict(m, judged, class, &labelled);
        guardrails(m, judged);
        super::templates::write(m, judged, is_live);
        super::segments::write(m, judged);
        super::overlaps::write(m, judged);
        super::ages::write(m, judged);
        over_time::write(m, judged, points);
        needs(m, judged);
        changes(m, judged);
        lines(m, judged, is_live);
        checks(m, judged);
        super::services::write(m, judged);
    });
    m.line();
}

fn verdict(m: &mut Markup, judged: &Judged<'_>, class: &'static str, id: &str) {
    let comparison = judged.comparison;
    let (_, sign, word) = looks(comparison.look.verdict, comparison.look.held_back);
    let classes = format!("verdict {class}");
    m.element("div", &[("class", &classes)], |m| {
        m.element("p", &[("class", "between")], |m| {
            m.element("strong", &[], |m| m.name(&judged.service, NAME_MAX));
            m.element("span", &[("class", "arms")], |m| {
                m.element("span", &[("class", "candidate")], |m| m.name(&comparison.candidate, NAME_MAX));
                m.text(" against ");
                m.element("span", &[("class", "baseline")], |m| m.name(&comparison.control, NAME_MAX));
            });
        });
        m.element("h2", &[("id", id)], |m| {
            m.element("span", &[("class", "sign"), ("aria-hidden", "true")], |m| m.text(sign));
            m.text(word);
        });
        let mut sentences = judged.sentences().into_iter();
        if let Some(first) = sentences.next() {
            m.words("p", "lead", &first);
        }
        for sentence in sentences {
            m.words("p", "", &sentence);
        }
        let [control, candidate] = comparison.distinct_units();
        let [before, now] = comparison.error_volume.events();
        let facts = [
            ("watched for".to_owned(), span(comparison.ended_at.0 - comparison.started_at.0)),
            (both(judged.units()), format!("{} + {}", grouped(control), grouped(candidate))),
            (both("requests"), format!("{} + {}", grouped(before), grouped(now))),
            ("data until".to_owned(), time_words(&comparison.ended_at.to_string())),
        ];
        m.element("dl", &[("class", "facts")], |m| {
            for (name, value) in facts {
                m.element("div", &[], |m| {
                    m.words("dt", "", &name);
                    m.words("dd", "", &value);
                });
            }
        });
    });
}

fn both(what: &str) -> String {
    format!("{what}, baseline + canary")
}

/// Numbers with a minus that is as wide as a plus.
pub(super) fn with_minus(numbers: &str) -> String {
    let mut out = String::with_capacity(numbers.len());
    let mut rest = numbers.chars().peekable();
    while let Some(c) = rest.next() {
        let negative =
            c == '-' && rest.peek().is_some_and(char::is_ascii_digit) && !out.ends_with(char::is_alphanumeric);
        out.push(if negative { '\u{2212}' } else { c });
    }
    out
}

/// RFC 3339 as a person reads it: `2026-06-01 10:00:00 UTC`.
pub(super) fn time_words(time: &str) -> String {
    match time.strip_suffix('Z') {
        Some(time) => format!("{} UTC", time.replacen('T', " ", 1)),
        None => time.to_owned(),
    }
}

fn guardrails(m: &mut Markup, judged: &Judged<'_>) {
    m.words("h3", "", "Guardrails");
    m.element("table", &[("class", "guardrails"), ("role", "table")], |m| {
        let caption =
            "Difference: canary against baseline, with an interval that holds at all looks at once with 95 %.";
        let of_times = judged.of_several_shares().map_or(String::new(), |words| format!(" {words}."));
        m.words("caption", "", &format!("{caption}{of_times}"));
        m.element("thead", &[("role", "rowgroup")], |m| {
            m.element("tr", &[("role", "row")], |m| {
                let head = |m: &mut Markup, class: &str, words: &str| {
                    m.element("th", &[("scope", "col"), ("role", "columnheader"), ("class", class)], |m| m.text(words));
                };
                head(m, "", "guardrail");
                head(m, "number baseline", "baseline");
                head(m, "number candidate", "canary");
                m.element("th", &[("scope", "col"), ("role", "columnheader"), ("class", "drawing")], |m| {
                    m.words("span", "unseen", "difference, drawn");
                    whisker_scale(m);
                });
                head(m, "", "difference");
                head(m, "", "evidence");
                head(m, "", "finding");
            });
        });
        m.element("tbody", &[("role", "rowgroup")], |m| {
            let all = judged.guardrails();
            for (row, cells) in judged.rows.iter().zip(&all) {
                let allowed = allowed(judged, row.cell);
                let words = allowed_words(allowed, row.effect.map(|effect| effect.kind), row.cell);
                guardrail(m, (row.effect, allowed, &words), finding_looks(row), cells);
            }
            for (row, cells) in judged.conversions.iter().zip(all.iter().skip(judged.rows.len())) {
                let allowed = Allowed { margin: LOG_HALF_MORE, is_asked: false };
                let looks = own_looks(row.finding, row.has_receded());
                let words = match row.harms {
                    true => "business event that does harm: fails when it rises",
                    false => "business event: fails when it falls",
                };
                guardrail(m, (row.effect, allowed, words), looks, cells);
            }
            let metrics = all.iter().skip(judged.rows.len() + judged.conversions.len());
            for (row, cells) in judged.metrics.iter().zip(metrics) {
                let margin = if row.kind == MetricKind::Ratio { POINTS_SHOWN } else { margin::LATENCY_MEAN };
                let words = match row.harms {
                    true => "metric of one\u{2019}s own: fails when it rises",
                    false => "metric of one\u{2019}s own: fails when it falls",
                };
                let looks = own_looks(row.finding, row.has_receded());
                guardrail(m, (row.effect, Allowed { margin, is_asked: false }, words), looks, cells);
            }
        });
    });
    m.words(
        "p",
        "note",
        "Red: more than a pass allows. Held is a test of its own (of one side, and for latency of users\u{2019} first requests), so an interval may reach a little past the border. The border stands at the same place for each guardrail; the scale is compressed further out, and an arrow points beyond it. Evidence is the factor by which the data speak against \u{201c}not worse\u{201d}: none below 3, weak from 3, clear from 20, strong from 100, very strong from 1,000, decisive from 10,000.",
    );
    if let Some(above) = judged.rows.iter().find(|row| row.cell == Cell::LatencyP99).and_then(|row| row.above) {
        let very_slow = format!(
            "Latency differences are differences of the share of requests above the first quantiles; very slow is above {}.",
            millis(above.1)
        );
        m.words("p", "note", &very_slow);
    }
}

/// Class and sign of the finding of a guardrail of one's own.
fn own_looks(finding: Finding, has_receded: bool) -> (&'static str, &'static str) {
    match finding {
        Finding::Regressed if has_receded => ("open", "\u{25b3}"),
        Finding::Regressed => ("fail", "\u{25b2}"),
        Finding::NoData => ("open", "\u{2013}"),
        Finding::BrokenMeasurement => ("invalid", "!"),
        Finding::Undecided | Finding::Held | Finding::Changed => ("open", "\u{25cb}"),
    }
}

fn guardrail(
    m: &mut Markup,
    (effect, allowed, words): (Option<Effect>, Allowed, &str),
    (class, sign): (&'static str, &'static str),
    cells: &[String; 6],
) {
    let [name, control, candidate, difference, evidence, finding] = cells;
    m.element("tr", &[("role", "row")], |m| {
        m.element("th", &[("scope", "row"), ("role", "rowheader")], |m| {
            m.text(name);
            m.words("small", "", words);
        });
        let value = |m: &mut Markup, class: &str, label: &str, words: &str| {
            m.element("td", &[("role", "cell"), ("class", class), ("data-label", label)], |m| m.text(words));
        };
        value(m, "number baseline", "baseline", control);
        value(m, "number candidate", "canary", candidate);
        m.element("td", &[("role", "cell"), ("class", "drawing")], |m| {
            let words = format!("{name}: {}", with_minus(difference));
            let drawn = effect.map(|effect| row_whisker(effect, allowed));
            whisker(m, drawn, allowed.is_asked, class, &words);
        });
        value(m, "difference", "difference", &with_minus(difference));
        value(m, "", "evidence", evidence);
        let finding_class = format!("finding {class}");
        m.element("td", &[("role", "cell"), ("class", &finding_class), ("data-label", "finding")], |m| {
            m.element("span", &[("class", "sign"), ("aria-hidden", "true")], |m| m.text(sign));
            m.text(finding);
        });
    });
    m.line();
}

fn needs(m: &mut Markup, judged: &Judged<'_>) {
    let list = judged.needs_words();
    if list.is_empty() {
        return;
    }
    m.words("h3", "", "Still needed for a pass, at this traffic");
    m.element("table", &[("class", "needs")], |m| {
        m.element("thead", &[("class", "unseen")], |m| {
            m.element("tr", &[], |m| {
                for words in ["guardrail", "evidence so far", "still needed"] {
                    m.element("th", &[("scope", "col")], |m| m.text(words));
                }
            });
        });
        m.element("tbody", &[], |m| {
            for (cell, name, words) in list {
                let share = (judged.comparison.look.cell(cell).log_pass / LOG_PASS).clamp(0.0, 1.0);
                m.element("tr", &[], |m| {
                    m.element("th", &[("scope", "row")], |m| m.text(&name));
                    m.element("td", &[("class", "meter")], |m| {
                        let (width, said) =
                            (format!("{:.0}%", share * 100.0), format!("{:.0} % of the evidence", share * 100.0));
                        m.element(
                            "svg",
                            &[("width", "100%"), ("height", "8"), ("role", "img"), ("aria-label", &said)],
                            |m| {
                                m.empty("rect", &[("class", "whole"), ("width", "100%"), ("height", "8"), ("rx", "4")]);
                                m.empty("rect", &[("class", "part"), ("width", &width), ("height", "8"), ("rx", "4")]);
                            },
                        );
                    });
                    m.words("td", "", &words);
                });
            }
        });
    });
}

/// What a behaviour is called for people.
fn behaviour_words(behaviour: Behaviour) -> &'static str {
    match behaviour {
        Behaviour::LinesPerTrace => "lines of a trace",
        Behaviour::CalledServices => "services that are called",
        Behaviour::Routes => "routes that are requested",
        Behaviour::Templates => "log lines that are met",
        Behaviour::StatusClasses => "status classes",
        Behaviour::RecoveredByRetry => "requests saved by a retry",
        Behaviour::WarningLines => "warnings of a request",
        Behaviour::Faster => "much faster",
    }
}

fn changes(m: &mut Markup, judged: &Judged<'_>) {
    let look = &judged.comparison.look;
    m.words("h3", "", "What changed");
    // What the verdict has said is not said again.
    let said = judged.sentences();
    for sentence in judged.changes().into_iter().filter(|sentence| !said.contains(sentence)) {
        m.words("p", "", sentence.strip_prefix("What changed: ").unwrap_or(&sentence));
    }
    m.element("ul", &[("class", "behaviours")], |m| {
        for behaviour in Behaviour::ALL {
            let changed = look.changed_groups().any(|group| group == behaviour);
            let expected = judged.policy.expect.contains(&behaviour);
            let (class, sign, words) = match (changed, expected) {
                (true, true) => ("pass", "\u{2713}", "changed, as expected"),
                (true, false) => ("held-back", "\u{25c6}", "changed"),
                (false, _) => ("open", "\u{25cb}", "no change found"),
            };
            m.element("li", &[("class", class)], |m| {
                m.element("span", &[("class", "sign"), ("aria-hidden", "true")], |m| m.text(sign));
                m.words("span", "", behaviour_words(behaviour));
                let evidence = match strength(look.changed[behaviour as usize]) {
                    "none" => String::new(),
                    word => format!(", evidence {word}"),
                };
                m.words("small", "", &format!("{words}{evidence}"));
            });
        }
    });
}

fn lines(m: &mut Markup, judged: &Judged<'_>, is_live: bool) {
    let of_canary = &judged.comparison.evidence[1];
    if of_canary.is_empty() {
        return;
    }
    // What carries a failure comes first.
    let slow_first = judged.rows.iter().any(|row| row.finding == Finding::Regressed)
        && !judged
            .rows
            .iter()
            .any(|row| row.finding == Finding::Regressed && matches!(row.cell, Cell::ErrorUnits | Cell::ErrorVolume));
    let of_class = |slow: bool| of_canary.iter().filter(move |line| line.slow == slow);
    let shown: Vec<&Evidence> =
        of_class(slow_first).take(LINES_MAX * 6 / 10).chain(of_class(!slow_first).take(LINES_MAX * 4 / 10)).collect();
    m.words("h3", "", "Lines to look at");
    let place = if is_live {
        "Its place is 4,096 times the offset of its record, plus the number of the line in it."
    } else {
        "It stands at the byte of its log (unpacked): tail -c +BYTE FILE | head -n 1."
    };
    let note = format!(
        "A sample of the canary\u{2019}s failed and slow requests. {place} The text of a line stays in the log."
    );
    m.words("p", "note", &note);
    m.element(
        "div",
        &[("class", "wide"), ("tabindex", "0"), ("role", "region"), ("aria-label", "Lines to look at")],
        |m| {
            m.element("table", &[("class", "lines")], |m| {
                m.element("thead", &[], |m| {
                    m.element("tr", &[], |m| {
                        for (class, words) in [
                            ("", "class"),
                            ("", "time (UTC)"),
                            ("", "route"),
                            ("number", "status"),
                            ("number", "latency"),
                            ("", "log"),
                            ("number", if is_live { "place" } else { "byte" }),
                        ] {
                            m.element("th", &[("scope", "col"), ("class", class)], |m| m.text(words));
                        }
                    });
                });
                m.element("tbody", &[], |m| {
                    for line in &shown {
                        evidence(m, line, is_live);
                    }
                });
            });
        },
    );
}

fn evidence(m: &mut Markup, line: &Evidence, is_live: bool) {
    let status = if line.status_class > 0 { format!("{}xx", line.status_class) } else { "-".to_owned() };
    let latency = line.latency.checked_sub(1).map_or("-".to_owned(), |bin| millis(bin_middle(bin) / 1000.0));
    m.element("tr", &[], |m| {
        m.words("td", if line.slow { "" } else { "fail" }, if line.slow { "slow" } else { "failed" });
        m.words("td", "", time_words(&line.time.to_string()).trim_end_matches(" UTC"));
        m.element("td", &[("class", "route")], |m| {
            m.name(if line.route.is_empty() { "-" } else { &line.route }, NAME_MAX)
        });
        m.words("td", "number", &status);
        m.words("td", "number", &latency);
        m.element("td", &[], |m| m.name(&line.stream, NAME_MAX));
        // `tail -c +N` counts from 1.
        m.words("td", "number", &line.offset.saturating_add(u64::from(!is_live)).to_string());
    });
    m.line();
}

fn checks(m: &mut Markup, judged: &Judged<'_>) {
    m.words("h3", "", "Checks");
    m.element("dl", &[("class", "checks")], |m| {
        for (name, words) in judged.checks() {
            m.element("div", &[], |m| {
                m.words("dt", "", name);
                m.words("dd", "", &words);
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minus_is_no_hyphen() {
        assert_eq!(with_minus("+0.11 pp (-0.47 to +0.70)"), "+0.11 pp (\u{2212}0.47 to +0.70)");
        assert_eq!(with_minus("-"), "-");
        assert_eq!(with_minus("p-99 well-1"), "p-99 well-1");
    }

    #[test]
    fn times_are_as_people_write_them() {
        assert_eq!(time_words("2026-06-01T10:00:00Z"), "2026-06-01 10:00:00 UTC");
    }
}
