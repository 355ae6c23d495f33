//! What `serin calibrate` found, as a page: false rollbacks and promotions of each rule, and how soon a change is seen.

use super::chart::number;
use super::markup::Markup;
use crate::cli::report::grouped;

/// Everything that the page says; made by the command.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Calibrated {
    /// What was split, in a sentence.
    pub intro: String,
    /// Splits without a change, and with the planted one.
    pub splits: [usize; 2],
    /// The planted change in words.
    pub planted: String,
    /// The rules, Serin first.
    pub rules: Vec<Rule>,
    /// Share of splits, in per cent, that must be rolled back before a change counts as visible.
    pub visible_percent: f64,
    /// Changes by size.
    pub visible: Vec<Visible>,
    /// Splits of each change.
    pub visible_splits: u32,
    /// What to bear in mind.
    pub notes: Vec<String>,
    /// The command that was run.
    pub command: String,
}

/// What one rule did.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Rule {
    /// Its name.
    pub name: &'static str,
    /// Healthy splits: rolled back (false), promoted, invalid.
    pub healthy: [usize; 3],
    /// Splits with the planted change: promoted (false), rolled back.
    pub planted: [usize; 2],
    /// It rolls back healthy code too often for its speed to mean anything.
    pub is_noisy: bool,
}

/// How soon each rule sees a change.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Visible {
    /// The change in words.
    pub change: String,
    /// Of each rule: the words, and the seconds where there are any.
    pub by_rule: Vec<(String, Option<f64>)>,
}

/// The page.
pub(in crate::cli) fn page(of: &Calibrated) -> String {
    let mut m = Markup::default();
    super::whole(&mut m, "calibration", None, |m| {
        verdict(m, of);
        wrong(m, of);
        soon(m, of);
        m.words("h3", "", "To bear in mind");
        m.element("ul", &[("class", "notes")], |m| of.notes.iter().for_each(|note| m.words("li", "", note)));
        if !of.command.is_empty() {
            m.words("h3", "", "The same again");
            m.element("pre", &[("tabindex", "0")], |m| m.element("code", &[], |m| m.text(&of.command)));
        }
    });
    m.finish()
}

/// Serin's own result in words.
fn verdict(m: &mut Markup, of: &Calibrated) {
    let Some(own) = of.rules.first() else { return };
    let [healthy, planted] = of.splits;
    let wrong = own.healthy[0] + own.planted[0];
    let invalid = own.healthy[2];
    let (class, sign) = match (wrong, invalid) {
        (0, 0) => ("verdict pass", "\u{2713}"),
        (0, _) => ("verdict open", "\u{25cb}"),
        _ => ("verdict held-back", "\u{25c6}"),
    };
    m.element("div", &[("class", class)], |m| {
        m.words("p", "between", "Proof on your own logs");
        m.element("h2", &[("class", "head")], |m| {
            m.element("span", &[("class", "sign"), ("aria-hidden", "true")], |m| m.text(sign));
            m.text(&format!(
                "{} of {} healthy canaries rolled back, {} of {} broken ones promoted",
                grouped(own.healthy[0] as u64),
                grouped(healthy as u64),
                grouped(own.planted[0] as u64),
                grouped(planted as u64)
            ));
        });
        m.words("p", "lead", &of.intro);
        let at_most = format!(
            "With {} of {} wrong, the true share of false rollbacks lies below {} (95 %). The program promises at most 1 %.",
            grouped(own.healthy[0] as u64),
            grouped(healthy as u64),
            crate::cli::report::percent(upper_limit(own.healthy[0], healthy))
        );
        m.words("p", "", &at_most);
        if invalid > 0 {
            m.words("p", "", &format!("{} splits could not be judged: they prove nothing.", grouped(invalid as u64)));
        }
    });
}

/// Upper limit of a share (one-sided, 95 %) when `wrong` of `all` were: Clopper and Pearson, by halving.
fn upper_limit(wrong: usize, all: usize) -> f64 {
    if wrong >= all {
        return 1.0;
    }
    // P(at most `wrong` of `all`) at a share p, by its terms.
    let at_most = |p: f64| {
        let mut log_term = all as f64 * (1.0 - p).ln();
        let mut sum = log_term.exp();
        for k in 1..=wrong {
            log_term += ((all - k + 1) as f64 / k as f64).ln() + (p / (1.0 - p)).ln();
            sum += log_term.exp();
        }
        sum
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if at_most(middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}

fn wrong(m: &mut Markup, of: &Calibrated) {
    let [healthy, planted] = of.splits;
    m.words("h3", "", "Wrong decisions");
    let first = "Nothing differs between the halves of a healthy split: every rollback is false.";
    rules(m, of, "healthy code rolled back", first, healthy, |rule| {
        (rule.healthy[0], format!("{} promoted", of_n(rule.healthy[1], healthy)))
    });
    let second = format!("Into one half a change was planted ({}): every promotion is false.", of.planted);
    rules(m, of, "broken code promoted", &second, planted, |rule| {
        (rule.planted[0], format!("{} rolled back", of_n(rule.planted[1], planted)))
    });
}

fn rules(
    m: &mut Markup,
    of: &Calibrated,
    head: &str,
    caption: &str,
    all: usize,
    value: impl Fn(&Rule) -> (usize, String),
) {
    m.element("table", &[("class", "rules")], |m| {
        m.words("caption", "", caption);
        m.element("thead", &[], |m| {
            m.element("tr", &[], |m| {
                m.element("th", &[("scope", "col")], |m| m.text("rule"));
                m.element("th", &[("scope", "col"), ("class", "number")], |m| m.text(head));
                m.element("th", &[("scope", "col"), ("class", "bar")], |m| m.words("span", "unseen", "share"));
                m.element("th", &[("scope", "col")], |m| m.text("decided rightly"));
            });
        });
        m.element("tbody", &[], |m| {
            for rule in &of.rules {
                let (wrong, beside) = value(rule);
                m.element("tr", &[], |m| {
                    m.element("th", &[("scope", "row")], |m| m.text(rule.name));
                    m.words("td", "number", &of_n(wrong, all));
                    m.element("td", &[("class", "bar")], |m| bar(m, wrong as f64 / all.max(1) as f64, "bad"));
                    m.words("td", "", &beside);
                });
            }
        });
    });
}

fn bar(m: &mut Markup, share: f64, class: &'static str) {
    let width = format!("{}%", number(100.0 * share.clamp(0.0, 1.0)));
    m.element("svg", &[("width", "100%"), ("height", "10"), ("aria-hidden", "true")], |m| {
        m.empty("rect", &[("class", "whole"), ("width", "100%"), ("height", "10"), ("rx", "5")]);
        if share > 0.0 {
            m.empty("rect", &[("class", class), ("width", &width), ("height", "10"), ("rx", "5")]);
        }
    });
}

fn soon(m: &mut Markup, of: &Calibrated) {
    m.words("h3", "", "How soon a change is seen, at your traffic");
    let note = format!(
        "Time until {:.0} % of splits are rolled back. * the rule rolls back healthy code too, so its speed says little. \u{201c}N of {}\u{201d}: so many were rolled back by the end of the log.",
        of.visible_percent, of.visible_splits
    );
    m.words("p", "note", &note);
    m.element("div", &[("class", "wide"), ("tabindex", "0"), ("role", "region"), ("aria-label", "How soon")], |m| {
        m.element("table", &[("class", "soon")], |m| {
            m.element("thead", &[], |m| {
                m.element("tr", &[], |m| {
                    m.element("th", &[("scope", "col")], |m| m.text("change"));
                    for rule in &of.rules {
                        m.element("th", &[("scope", "col"), ("class", "number")], |m| m.text(rule.name));
                    }
                });
            });
            m.element("tbody", &[], |m| {
                for change in &of.visible {
                    m.element("tr", &[], |m| {
                        m.element("th", &[("scope", "row")], |m| m.text(&change.change));
                        // The fastest of those that can be trusted stands out.
                        let trusted = change.by_rule.iter().zip(&of.rules).filter(|(_, rule)| !rule.is_noisy);
                        let best = trusted.filter_map(|((_, seconds), _)| *seconds).fold(f64::INFINITY, f64::min);
                        for ((words, seconds), rule) in change.by_rule.iter().zip(&of.rules) {
                            let is_best = !rule.is_noisy && *seconds == Some(best);
                            m.element("td", &[("class", "number")], |m| {
                                if is_best { m.words("strong", "", words) } else { m.text(words) }
                            });
                        }
                    });
                }
            });
        });
    });
}

fn of_n(count: usize, of: usize) -> String {
    format!("{} of {}", grouped(count as u64), grouped(of as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_limit_is_the_known_one() {
        assert!((upper_limit(0, 100) - (1.0 - 0.05f64.powf(0.01))).abs() < 1e-9);
        // 2 of 100: 6.16 % (Clopper and Pearson, one-sided 95 %).
        assert!((upper_limit(2, 100) - 0.0616).abs() < 5e-4);
        assert_eq!(upper_limit(3, 3), 1.0);
    }
}
