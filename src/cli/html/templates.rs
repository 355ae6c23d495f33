//! Log lines that differ between the arms.

use super::markup::Markup;
use crate::cli::report::templates::{LISTED_MAX, place, shown};
use crate::cli::report::{Judged, grouped, strength};
use crate::engine::templates::{Change, Listed};

/// Characters of the name of a log that are shown.
const NAME_MAX: usize = 60;

/// Writes the lists; nothing where no line differs.
pub(super) fn write(m: &mut Markup, judged: &Judged<'_>, is_live: bool) {
    let list = judged.comparison.templates.list();
    if list.is_empty() {
        return;
    }
    m.words("h3", "", "Log lines that differ");
    m.words(
        "p",
        "note",
        "At this moment; of many moments, one in twenty of the lines listed may differ by chance. Values are left out of the \
         text (<*>). Only error lines can fail a rollout.",
    );
    m.element(
        "div",
        &[("class", "wide"), ("tabindex", "0"), ("role", "region"), ("aria-label", "Log lines that differ")],
        |m| {
            m.element("table", &[("class", "lines")], |m| {
                m.element("thead", &[], |m| {
                    m.element("tr", &[], |m| {
                        for (class, words) in [
                            ("", "change"),
                            ("", "level"),
                            ("", "line"),
                            ("number", "baseline"),
                            ("number", "canary"),
                            ("", "evidence"),
                            ("", "log"),
                            ("number", if is_live { "place" } else { "byte" }),
                        ] {
                            m.element("th", &[("scope", "col"), ("class", class)], |m| m.text(words));
                        }
                    });
                });
                m.element("tbody", &[], |m| {
                    for severe in [true, false] {
                        list.iter()
                            .filter(|listed| listed.severe == severe)
                            .take(LISTED_MAX)
                            .for_each(|listed| row(m, listed, is_live));
                    }
                });
            });
        },
    );
    let left = list.len() - [true, false].iter().map(|severe| shown_of(&list, *severe)).sum::<usize>();
    if left > 0 {
        m.words("p", "note", &format!("And {} more.", grouped(left as u64)));
    }
    m.words("p", "note", &format!("Numbers are {} that met the line first.", judged.units()));
}

fn shown_of(list: &[Listed<'_>], severe: bool) -> usize {
    list.iter().filter(|listed| listed.severe == severe).count().min(LISTED_MAX)
}

fn row(m: &mut Markup, listed: &Listed<'_>, is_live: bool) {
    let worse = listed.severe && matches!(listed.change, Change::New | Change::Up);
    let [control, candidate] = listed.template.units().map(grouped);
    let place = place(listed.template);
    m.element("tr", &[], |m| {
        m.words("td", if worse { "fail" } else { "" }, listed.change.name());
        m.words("td", "", if listed.severe { "error" } else { "below error" });
        m.words("td", "", &shown(listed.template));
        m.words("td", "number", &control);
        m.words("td", "number", &candidate);
        m.words("td", "", strength(listed.log_e));
        m.element("td", &[], |m| m.name(place.map_or("-", |place| &place.stream), NAME_MAX));
        // `tail -c +N` counts from 1.
        let at = place.map_or("-".to_owned(), |place| place.offset.saturating_add(u64::from(!is_live)).to_string());
        m.words("td", "number", &at);
    });
    m.line();
}
