//! Reports as one page of HTML: the verdict in words first, then numbers, then drawings.
//!
//! The page loads nothing, runs nothing, and says so in its own policy. Text from logs becomes text ([`markup`]).

mod ages;
mod axis;
mod backtest;
mod calibration;
mod chart;
mod comparison;
mod course;
mod markup;
mod over_time;
mod overlaps;
mod reading;
mod segments;
mod services;
mod templates;

pub(super) use self::backtest::page as backtest;
pub(super) use self::calibration::{Calibrated, Rule, Visible, page as calibration};
pub(super) use self::course::Courses;
#[cfg(feature = "serve")]
pub(super) use self::course::Point;
use self::markup::Markup;
use crate::cli::report::{Alone, Report};
use crate::engine::Engine;

/// The style sheet.
const STYLE: &str = include_str!("style.css");
/// Comparisons that are shown in full; all are listed.
const SHOWN_MAX: usize = 32;

/// What stands around a report.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    /// The page asks again after so many seconds.
    pub refresh: Option<u32>,
    /// The lines come from Kafka: positions are those of records.
    pub is_live: bool,
    /// What stands above everything else.
    pub notices: Vec<String>,
    /// Where the same report is for programs.
    pub json: Option<&'static str>,
    /// How to come to the same report and decisions again: what for, and the command.
    pub again: Vec<(String, String)>,
}

/// The report as a page.
pub(super) fn report(report: &Report<'_>, engine: &Engine, courses: &Courses, around: &Around) -> String {
    let mut m = Markup::default();
    let title = match report.comparisons.as_slice() {
        [] => "nothing to compare yet".to_owned(),
        [one] => format!("{}: {}", report.verdict.name(), one.service),
        several => format!("{}: {} comparisons", report.verdict.name(), several.len()),
    };
    whole(&mut m, &title, around.refresh, |m| {
        around.notices.iter().for_each(|notice| m.words("p", "note", notice));
        if report.comparisons.len() > 1 {
            overview(m, report);
        }
        let places = engine
            .releases()
            .enumerate()
            .flat_map(|(release, (_, list))| list.numbered().map(move |(at, _)| (release, at)));
        for (number, (judged, (release, at))) in report.comparisons.iter().zip(places).enumerate().take(SHOWN_MAX) {
            comparison::write(m, judged, courses.points(release, at), &id(number), around.is_live);
        }
        if report.comparisons.len() > SHOWN_MAX {
            let left = report.comparisons.len() - SHOWN_MAX;
            m.words("p", "note", &format!("{left} more comparisons are only listed; --service NAME shows one."));
        }
        report.alone.iter().for_each(|alone| alone_section(m, alone));
        for deploy in report.other_cut_overs().take(SHOWN_MAX) {
            m.words("p", "note", &Report::took_over(deploy));
        }
        if report.comparisons.is_empty() && report.alone.is_empty() {
            nothing(m, "Nothing to compare yet", "No requests were found.");
        }
        reading::write(m, report);
        again(m, around);
    });
    m.finish()
}

/// What a pass allows of a guardrail, where it asks for it: a difference, or the logarithm of a ratio or change.
pub(super) fn margin(judged: &super::report::Judged<'_>, cell: crate::compare::verdict::Cell) -> Option<f64> {
    let allowed = comparison::allowed(judged, cell);
    allowed.is_asked.then_some(allowed.margin)
}

/// The page while there is no report.
#[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "only `run` waits"))]
pub(super) fn waiting(what: &str, refresh: u32) -> String {
    let mut m = Markup::default();
    whole(&mut m, "waiting", Some(refresh), |m| nothing(m, "No verdict yet", &format!("Waiting for {what}.")));
    m.finish()
}

/// A document with its head.
fn whole(m: &mut Markup, title: &str, refresh: Option<u32>, body: impl FnOnce(&mut Markup)) {
    m.doctype();
    m.element("html", &[("lang", "en")], |m| {
        m.element("head", &[], |m| {
            m.empty("meta", &[("charset", "utf-8")]);
            let policy = markup::content_policy(STYLE);
            m.empty("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &policy)]);
            m.empty("meta", &[("name", "viewport"), ("content", "width=device-width,initial-scale=1")]);
            m.empty("meta", &[("name", "referrer"), ("content", "no-referrer")]);
            if let Some(seconds) = refresh {
                m.empty("meta", &[("http-equiv", "refresh"), ("content", &seconds.to_string())]);
            }
            m.element("title", &[], |m| m.text(&format!("Serin: {title}")));
            m.style(STYLE);
        });
        m.line();
        m.element("body", &[], |m| {
            m.element("main", &[], |m| {
                m.words("h1", "unseen", &format!("Serin: {title}"));
                body(m);
            });
        });
    });
    m.line();
}

fn id(number: usize) -> String {
    format!("comparison-{}", number + 1)
}

fn overview(m: &mut Markup, report: &Report<'_>) {
    m.element("nav", &[("aria-label", "Comparisons")], |m| {
        m.words("h2", "", &format!("{} comparisons", report.comparisons.len()));
        m.element("ul", &[("class", "overview")], |m| {
            let mut order: Vec<usize> = (0..report.comparisons.len()).collect();
            let verdict = |at: usize| report.comparisons[at].comparison.look.verdict;
            order.sort_by_key(|at| {
                use crate::compare::verdict::Verdict;
                match verdict(*at) {
                    Verdict::Fail => 0,
                    Verdict::Invalid => 1,
                    Verdict::Inconclusive => 2,
                    Verdict::Pass => 3,
                }
            });
            for at in order {
                let judged = &report.comparisons[at];
                let look = &judged.comparison.look;
                let (class, sign, word) = comparison::looks(look.verdict, look.held_back);
                m.element("li", &[("class", class)], |m| {
                    let place = format!("#{}", id(at));
                    let inside = |m: &mut Markup| {
                        m.element("span", &[("class", "sign"), ("aria-hidden", "true")], |m| m.text(sign));
                        m.words("span", "word", word);
                        m.element("span", &[], |m| {
                            m.name(&judged.service, comparison::NAME_MAX);
                            m.text(": ");
                            m.name(&judged.comparison.candidate, comparison::NAME_MAX);
                            m.text(" against ");
                            m.name(&judged.comparison.control, comparison::NAME_MAX);
                        });
                    };
                    if at < SHOWN_MAX { m.element("a", &[("href", &place)], inside) } else { inside(m) }
                });
            }
        });
    });
}

fn alone_section(m: &mut Markup, alone: &Alone<'_>) {
    if alone.beside_others {
        m.element("p", &[("class", "note")], |m| {
            m.name(&alone.service, comparison::NAME_MAX);
            let what = if alone.arms.len() < 2 { "not rolled out" } else { "not compared" };
            m.text(&format!(": {what} ({}).", alone.reason()));
        });
        return;
    }
    m.element("section", &[("class", "comparison")], |m| {
        m.element("div", &[("class", "verdict invalid")], |m| {
            m.element("p", &[("class", "between")], |m| m.name(&alone.service, comparison::NAME_MAX));
            m.element("h2", &[], |m| {
                m.element("span", &[("class", "sign"), ("aria-hidden", "true")], |m| m.text("!"));
                m.text("INVALID");
            });
            m.words("p", "lead", &format!("Nothing to compare yet: {}.", alone.reason()));
        });
    });
}

fn nothing(m: &mut Markup, head: &str, what: &str) {
    m.element("section", &[("class", "comparison")], |m| {
        m.element("div", &[("class", "verdict open")], |m| {
            m.element("h2", &[], |m| {
                m.element("span", &[("class", "sign"), ("aria-hidden", "true")], |m| m.text("\u{25cb}"));
                m.text(head);
            });
            m.words("p", "lead", what);
        });
    });
}

fn again(m: &mut Markup, around: &Around) {
    if around.again.is_empty() && around.json.is_none() {
        return;
    }
    m.element("section", &[("class", "again")], |m| {
        m.words("h3", "", "The same again");
        for (what, command) in &around.again {
            m.words("p", "", what);
            if !command.is_empty() {
                m.element("pre", &[("tabindex", "0")], |m| m.element("code", &[], |m| m.text(command)));
            }
        }
        if let Some(json) = around.json {
            m.element("p", &[], |m| m.element("a", &[("href", json)], |m| m.text("All of it as JSON")));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red, green and blue of a colour such as `#1b7f4b` or `#fff`.
    fn rgb(colour: &str) -> [f64; 3] {
        let digits = colour.trim_start_matches('#');
        let wide: String =
            if digits.len() == 3 { digits.chars().flat_map(|c| [c, c]).collect() } else { digits.to_owned() };
        [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&wide[at..at + 2], 16).unwrap()) / 255.0)
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(colour: &str) -> f64 {
        let linear = |c: f64| if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        let [r, g, b] = rgb(colour).map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// Every colour of text has a contrast of 4.5 and more against every ground: light, dark, and on paper.
    #[test]
    fn text_can_be_read_on_every_ground() {
        let schemes: Vec<&str> = STYLE.split(":root{").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        assert_eq!(schemes.len(), 3);
        for scheme in schemes {
            let value = |name: &str| {
                let (_, rest) =
                    scheme.split_once(&format!("--{name}:")).unwrap_or_else(|| panic!("--{name}: {scheme}"));
                rest.split(';').next().unwrap().trim().to_owned()
            };
            for text in ["ink", "quiet", "baseline", "candidate", "good", "bad", "odd", "held"] {
                for ground in ["ground", "card"] {
                    let of = contrast(&value(text), &value(ground));
                    assert!(of >= 4.5, "--{text} on --{ground}: {of:.2}\n{scheme}");
                }
            }
        }
    }

    #[test]
    fn a_page_that_waits_asks_again_and_loads_nothing() {
        let page = waiting("a <broker>", 5);
        assert!(page.contains("<meta http-equiv=\"refresh\" content=\"5\"/>"), "{page}");
        assert!(page.contains("a &lt;broker&gt;") && page.contains("default-src &#39;none&#39;"), "{page}");
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains('<'));
    }
}
