//! Segments: which units a difference comes from, in one table.

use super::comparison::{NAME_MAX, with_minus};
use super::markup::Markup;
use crate::cli::report::{Judged, SEGMENT_COLUMNS};

/// Writes the table of segments; nothing where there are none.
pub(super) fn write(m: &mut Markup, judged: &Judged<'_>) {
    if judged.segments.rows.is_empty() {
        return;
    }
    m.words("h3", "", "Segments");
    let note = format!(
        "Groups of {units}, {fields}. Counts are {units} with errors of all; the excess is what they exceed the baseline\u{2019}s share by. Those that hold most of it with fewest {units} come first.",
        units = judged.units(),
        fields = judged.segment_fields()
    );
    m.words("p", "note", &note);
    m.element("div", &[("class", "wide"), ("tabindex", "0"), ("role", "region"), ("aria-label", "Segments")], |m| {
        m.element("table", &[("class", "segments")], |m| {
            m.element("thead", &[], |m| {
                m.element("tr", &[], |m| {
                    for (at, column) in SEGMENT_COLUMNS.into_iter().enumerate() {
                        let class = if matches!(at, 1 | 2 | 5) { "number" } else { "" };
                        m.element("th", &[("scope", "col"), ("class", class)], |m| m.text(column));
                    }
                });
            });
            m.element("tbody", &[], |m| {
                for [name, control, candidate, errors, latency, excess, finding] in judged.segment_cells() {
                    m.element("tr", &[], |m| {
                        m.element("th", &[("scope", "row")], |m| m.name(&name, NAME_MAX));
                        m.words("td", "number baseline", &control);
                        m.words("td", "number candidate", &candidate);
                        m.words("td", "", &with_minus(&errors));
                        m.words("td", "", &with_minus(&latency));
                        m.words("td", "number", &with_minus(&excess));
                        let class = if finding == "regressed" { "finding fail" } else { "finding open" };
                        m.words("td", class, &finding);
                    });
                    m.line();
                }
            });
        });
    });
    if judged.segments.told.more > 0 {
        m.words("p", "note", &format!("And {} more segments.", judged.segments.told.more));
    }
    if let Some(mix) = &judged.segments.told.mix {
        let words = format!("Descriptive, a single look: {}.", judged.mix_words(mix));
        m.words("p", "note", &with_minus(&words));
    }
}
