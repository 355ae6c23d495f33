//! What `serin backtest` found, as a page: what would have been stopped first, then every deploy.

use super::axis::{self, Scale};
use super::chart::number;
use super::comparison::NAME_MAX;
use super::markup::Markup;
use crate::backtest::{Deploy, Judged, Outcome, RULES, What};
use crate::cli::backtest::{Shown, before_after, by, decided_after, minute_of, remark, said, shares, short, word};
use crate::cli::report::{count, grouped};
use crate::time::Timestamp;

/// Deploys that are listed; further ones are in the JSON.
const DEPLOYS_MAX: usize = 2_000;
/// Height of the strip of deploys, and of a bar in it, in pixels.
const STRIP: f64 = 30.0;
const BAR: f64 = 22.0;
/// Least width of a bar, in per cent.
const WIDTH_MIN: f64 = 0.4;

/// The page.
pub(in crate::cli) fn page(of: &Shown<'_>) -> String {
    let mut m = Markup::default();
    super::whole(&mut m, "backtest", None, |m| {
        head(m, of);
        for service in &of.found.services {
            of_service(m, of, service);
        }
        if of.found.services.is_empty() {
            m.words("p", "note", "No request was found: lines need a status, a latency, or a root span.");
        }
        m.words("h3", "", "To bear in mind");
        m.element("ul", &[("class", "notes")], |m| of.notes().iter().for_each(|note| m.words("li", "", note)));
        m.words("h3", "", "The same again");
        m.element("pre", &[("tabindex", "0")], |m| m.element("code", &[], |m| m.text(&of.command)));
    });
    m.finish()
}

/// The whole in words.
fn head(m: &mut Markup, of: &Shown<'_>) {
    let stopped = of.outcomes().into_iter().find(|(outcome, _)| *outcome == Outcome::Stopped).map_or(0, |(_, n)| n);
    let (class, sign) = if stopped > 0 { ("verdict fail", "\u{2715}") } else { ("verdict open", "\u{25cb}") };
    m.element("div", &[("class", class)], |m| {
        m.words("p", "between", "Every deploy of an archive, judged as it would have been judged");
        m.element("h2", &[("class", "head")], |m| {
            m.element("span", &[("class", "sign"), ("aria-hidden", "true")], |m| m.text(sign));
            m.text(&format!(
                "{} of {} would have been stopped",
                grouped(stopped as u64),
                count(of.found.deploys.len() as u64, "deploy")
            ));
        });
        m.words("p", "lead", &of.intro());
        of.summary().iter().for_each(|sentence| m.words("p", "", sentence));
    });
}

fn of_service(m: &mut Markup, of: &Shown<'_>, service: &str) {
    m.element("section", &[("class", "comparison")], |m| {
        m.element("h3", &[], |m| m.name(service, NAME_MAX));
        let deploys: Vec<&Deploy> = of.found.deploys.iter().filter(|deploy| deploy.service == service).collect();
        if deploys.is_empty() {
            m.words("p", "note", "No deploy was seen.");
        } else {
            strip(m, of, &deploys);
            key(m, &deploys);
            table(m, of, &deploys);
        }
        let restarts = of.found.restarts.iter().filter(|restart| restart.service == service);
        let mut restarts = restarts.peekable();
        if restarts.peek().is_some() {
            m.words("h3", "", "Restarts");
            m.element("ul", &[("class", "notes")], |m| {
                for restart in restarts {
                    m.element("li", &[], |m| {
                        m.text(&format!("{} UTC: {} instances of ", minute_of(restart.at), restart.new));
                        m.name(&restart.version, NAME_MAX);
                        m.text(&format!(" came anew, {} old ones went; the version stayed.", restart.gone));
                    });
                }
            });
        }
    });
}

fn class_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Stopped => "fail",
        Outcome::Passed => "pass",
        Outcome::HeldBack => "held-back",
        Outcome::Undecided => "open",
        Outcome::Invalid => "invalid",
        Outcome::CutOver => "cut",
    }
}

/// Every deploy over the time of the archive.
fn strip(m: &mut Markup, of: &Shown<'_>, deploys: &[&Deploy]) {
    let Some((first, last)) = of.found.span else { return };
    let scale = Scale { low: first.0 as f64, high: last.0 as f64 };
    let words: Vec<String> = of
        .outcomes()
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(|(outcome, n)| format!("{n} {}", word(outcome).to_lowercase()))
        .collect();
    let words = format!("Deploys over time: {}", words.join(", "));
    let attributes =
        [("class", "strip"), ("role", "img"), ("aria-label", words.as_str()), ("width", "100%"), ("height", "52")];
    m.element("svg", &attributes, |m| {
        for deploy in deploys {
            let end = match &deploy.what {
                What::Judged(judged) => Timestamp(deploy.at.0 + judged.beside),
                What::CutOver(_) => deploy.at,
            };
            let from = 100.0 * scale.place(deploy.at.0 as f64);
            let width = (100.0 * scale.place(end.0 as f64) - from).max(WIDTH_MIN);
            let (x, width) = (format!("{}%", fine(from.min(100.0 - width))), format!("{}%", fine(width)));
            let (y, height) = (number((STRIP - BAR) / 2.0), number(BAR));
            let class = class_of(deploy.outcome());
            let what = format!("{} {} -> {}: {}", minute_of(deploy.at), deploy.from, deploy.to, word(deploy.outcome()));
            let place =
                [("class", class), ("x", x.as_str()), ("y", &y), ("width", width.as_str()), ("height", &height)];
            m.element("rect", &place, |m| m.element("title", &[], |m| m.text(&what)));
        }
        let base = number(STRIP);
        m.empty("line", &[("x1", "0"), ("x2", "100%"), ("y1", &base), ("y2", &base)]);
        for (at, words) in axis::round_times(first, last, 8) {
            let x = format!("{}%", fine(100.0 * scale.place(at.0 as f64)));
            m.empty("line", &[("x1", &x), ("x2", &x), ("y1", &base), ("y2", &number(STRIP + 4.0))]);
            let y = number(STRIP + 17.0);
            m.element("text", &[("x", x.as_str()), ("y", &y), ("text-anchor", "start")], |m| m.text(&words));
        }
    });
}

/// What the colours of the strip mean, as far as they are there.
fn key(m: &mut Markup, deploys: &[&Deploy]) {
    m.element("p", &[("class", "note key")], |m| {
        for outcome in Outcome::ALL {
            let n = deploys.iter().filter(|deploy| deploy.outcome() == outcome).count();
            if n > 0 {
                let sign = if outcome == Outcome::CutOver { "\u{25a1}" } else { "\u{25a0}" };
                m.element("span", &[("class", class_of(outcome))], |m| {
                    m.element("span", &[("class", "sign"), ("aria-hidden", "true")], |m| m.text(sign));
                    m.text(&format!("{n} {}", word(outcome)));
                });
            }
        }
    });
}

/// A place in per cent, finer than a tenth: a day is a small part of a year.
fn fine(percent: f64) -> String {
    format!("{percent:.3}")
}

fn table(m: &mut Markup, of: &Shown<'_>, deploys: &[&Deploy]) {
    m.element("div", &[("class", "wide"), ("tabindex", "0"), ("role", "region"), ("aria-label", "Deploys")], |m| {
        m.element("table", &[("class", "deploys")], |m| {
            m.element("thead", &[], |m| {
                m.element("tr", &[], |m| {
                    for column in ["when (UTC)", "from", "to", "share", "verdict"] {
                        m.element("th", &[("scope", "col")], |m| m.text(column));
                    }
                    m.element("th", &[("scope", "col"), ("class", "number")], |m| m.text("after"));
                    m.element("th", &[("scope", "col")], |m| m.text("by"));
                    for column in [&format!("{} that met it", of.units()), "spared", RULES[0], RULES[1]] {
                        m.element("th", &[("scope", "col"), ("class", "number")], |m| m.text(column));
                    }
                    m.element("th", &[("scope", "col")], |m| m.text("what became of it"));
                });
            });
            m.element("tbody", &[], |m| {
                for deploy in deploys.iter().take(DEPLOYS_MAX) {
                    m.element("tr", &[], |m| row(m, deploy));
                    m.line();
                }
            });
        });
    });
    if deploys.len() > DEPLOYS_MAX {
        m.words("p", "note", &format!("And {} more, which --format json has.", deploys.len() - DEPLOYS_MAX));
    }
}

fn row(m: &mut Markup, deploy: &Deploy) {
    m.element("th", &[("scope", "row")], |m| m.text(&minute_of(deploy.at)));
    m.element("td", &[], |m| m.name(&deploy.from, NAME_MAX));
    m.element("td", &[], |m| m.name(&deploy.to, NAME_MAX));
    let outcome = deploy.outcome();
    match &deploy.what {
        What::CutOver(cut_over) => {
            m.words("td", "open", "all at once");
            m.words("td", "open", word(outcome));
            m.element("td", &[("colspan", "7")], |m| m.text(&before_after(cut_over)));
        }
        What::Judged(judged) => judged_row(m, deploy, judged),
    }
}

fn judged_row(m: &mut Markup, deploy: &Deploy, judged: &Judged) {
    m.words("td", "", &shares(judged));
    m.element("td", &[("class", class_of(deploy.outcome()))], |m| m.words("span", "word", word(deploy.outcome())));
    m.words("td", "number", &decided_after(deploy, judged).map_or("-".to_owned(), short));
    m.words("td", "", &judged.stop.as_ref().map_or("-".to_owned(), by));
    let star = if judged.is_estimate { "*" } else { "" };
    m.words("td", "number", &format!("{}{star}", grouped(judged.exposed)));
    m.words("td", "number", &judged.spared().map_or("-".to_owned(), |spared| format!("{}{star}", grouped(spared))));
    judged.rules.iter().for_each(|rule| m.words("td", "number", &said(*rule)));
    let after = judged.end.map(|end| short(end.at.0 - deploy.at.0));
    let fate = after.map_or(judged.fate().to_owned(), |after| format!("{}; over after {after}", judged.fate()));
    let remark = remark(deploy, judged);
    let all = if remark.is_empty() { fate } else { format!("{fate}; {remark}") };
    m.words("td", "remark", &all);
}
