//! Other rollouts that ran at the same time over the same units, a table each.

use super::comparison::NAME_MAX;
use super::markup::Markup;
use crate::cli::report::{Judged, OVERLAP_COLUMNS};

/// Tables of one comparison.
const TABLES_MAX: usize = 8;

/// Writes the tables; nothing where there is no other rollout.
pub(super) fn write(m: &mut Markup, judged: &Judged<'_>) {
    if judged.beside.is_empty() {
        return;
    }
    m.words("h3", "", "Rollouts at the same time");
    for of in judged.beside.iter().take(TABLES_MAX) {
        let heading = judged.overlap_heading(of);
        m.element("div", &[("class", "wide"), ("tabindex", "0"), ("role", "region"), ("aria-label", &heading)], |m| {
            m.element("table", &[("class", "overlaps")], |m| {
                m.words("caption", "", &heading);
                m.element("thead", &[], |m| {
                    m.element("tr", &[], |m| {
                        for (at, column) in OVERLAP_COLUMNS.into_iter().enumerate() {
                            let class = if at > 1 { "number" } else { "" };
                            m.element("th", &[("scope", "col"), ("class", class)], |m| m.text(column));
                        }
                    });
                });
                m.element("tbody", &[], |m| {
                    for [here, there, numbers @ ..] in judged.overlap_cells(of) {
                        m.element("tr", &[], |m| {
                            m.element("th", &[("scope", "row")], |m| m.name(&here, NAME_MAX));
                            m.element("td", &[], |m| m.name(&there, NAME_MAX));
                            numbers.iter().for_each(|number| m.words("td", "number", number));
                        });
                        m.line();
                    }
                });
            });
        });
        m.words("p", "note", &judged.overlap_words(of));
    }
    if judged.beside.len() > TABLES_MAX {
        m.words("p", "note", &format!("And {} more rollouts beside it.", judged.beside.len() - TABLES_MAX));
    }
}
