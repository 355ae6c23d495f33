//! A difference by the time since users were first seen in their arm, in one table.

use super::markup::Markup;
use crate::cli::report::Judged;

/// Writes the table; nothing while there is one age.
pub(super) fn write(m: &mut Markup, judged: &Judged<'_>) {
    let rows = judged.age_rows();
    if rows.is_empty() {
        return;
    }
    let units = judged.units();
    m.words("h3", "", "By age");
    m.words("p", "note", &format!("{}.", judged.age_heading()));
    let label = format!("By the time since {units} were first seen");
    m.element("div", &[("class", "wide"), ("tabindex", "0"), ("role", "region"), ("aria-label", &label)], |m| {
        m.element("table", &[("class", "ages")], |m| {
            m.element("thead", &[], |m| {
                m.element("tr", &[], |m| {
                    for (at, column) in judged.age_columns().iter().enumerate() {
                        let class = if matches!(at, 1 | 2) { "number" } else { "" };
                        m.element("th", &[("scope", "col"), ("class", class)], |m| m.text(column));
                    }
                });
            });
            m.element("tbody", &[], |m| {
                for cells in &rows {
                    m.element("tr", &[], |m| {
                        for (at, cell) in cells.iter().enumerate() {
                            match at {
                                0 => m.element("th", &[("scope", "row")], |m| m.text(cell)),
                                1 => m.words("td", "number baseline", cell),
                                2 => m.words("td", "number candidate", cell),
                                _ => m.words("td", "", cell),
                            }
                        }
                    });
                    m.line();
                }
            });
        });
    });
}
