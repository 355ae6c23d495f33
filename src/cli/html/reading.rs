//! How the logs were read: what became of every line, and which field plays which role.

use super::comparison::NAME_MAX;
use super::markup::Markup;
use crate::cli::report::{Report, fates, grouped, rejects};

/// Writes the section.
pub(super) fn write(m: &mut Markup, report: &Report<'_>) {
    let t = &report.tally;
    m.element("section", &[("class", "reading")], |m| {
        m.words("h3", "", "How the logs were read");
        let reasons = rejects(t);
        let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        m.words("p", "", &format!("{} lines read: {}{reasons}.", grouped(t.records), fates(t)));
        if let Some(words) = report.repeated() {
            m.words("p", "", &words);
        }
        report.kafka.words().iter().for_each(|words| m.words("p", "", words));
        roles(m, report);
        if !report.survey.notes.is_empty() {
            m.element("ul", &[("class", "notes")], |m| {
                report.survey.notes.iter().for_each(|note| m.words("li", "", note));
            });
        }
    });
    m.line();
}

fn roles(m: &mut Markup, report: &Report<'_>) {
    let s = report.survey;
    let shown: Vec<_> = s.roles.iter().filter(|role| role.lines > 0).collect();
    if shown.is_empty() {
        return;
    }
    m.element("details", &[], |m| {
        m.words("summary", "", "Fields: which plays which role, and on how many lines");
        m.element("div", &[("class", "wide"), ("tabindex", "0"), ("role", "region"), ("aria-label", "Fields")], |m| {
            m.element("table", &[], |m| {
                m.element("thead", &[], |m| {
                    m.element("tr", &[], |m| {
                        for (class, words) in [("", "role"), ("", "field"), ("number", "lines")] {
                            m.element("th", &[("scope", "col"), ("class", class)], |m| m.text(words));
                        }
                    });
                });
                m.element("tbody", &[], |m| {
                    for role in shown {
                        m.element("tr", &[], |m| {
                            m.words("td", "", role.role.name());
                            m.element("td", &[], |m| {
                                let used = role.fields.iter().filter(|(_, lines)| *lines > 0);
                                for (at, (field, _)) in used.enumerate() {
                                    if at > 0 {
                                        m.text(", ");
                                    }
                                    m.name(&field.path, NAME_MAX);
                                    if let Some(unit) = field.unit {
                                        m.text(&format!(" ({})", unit.name()));
                                    }
                                }
                            });
                            let share = 100.0 * role.lines as f64 / s.lines.max(1) as f64;
                            m.words("td", "number", &format!("{share:.0} %"));
                        });
                    }
                });
            });
        });
    });
}
