//! Templates of a partial in their canonical form: no more ids and texts than their bounds, whichever way lines were cut.

use crate::event::{self, OVERFLOW_TEMPLATE, TemplateText};
use crate::sketch::partial::{WindowPartial, pair_hash, settle_sample};
use crate::sketch::templates::TemplatePairs;

/// Templates of one service and window that are counted by id; the others share [`OVERFLOW_TEMPLATE`].
pub const TEMPLATES_MAX: usize = 20_000;
/// Rows of one service and window: templates by arm, class of level and instance.
const TEMPLATE_ROWS_MAX: usize = 1 << 16;
/// Bytes of texts of one window; further templates are counted without a text.
pub const TEMPLATE_TEXTS_MAX: usize = 4 << 20;
/// Pairs of one window and class of level; past it the sample of units halves.
pub const TEMPLATE_PAIRS_MAX: usize = 1 << 16;

impl WindowPartial {
    /// Combines lines of templates and folds those past the bound. True when some were folded that named a stream or an
    /// instance.
    ///
    /// Those with the smallest id stay (ids are hashes): what a part of the lines has too many of, all of them have.
    pub(super) fn settle_templates(&mut self) -> bool {
        self.templates.settle();
        let (mut service, mut ids, mut rows, mut last) = (None, 0usize, 0usize, 0u64);
        let mut past = Vec::new();
        for row in self.templates.as_slice() {
            if service != Some(row.service) {
                (service, ids, rows, last) = (Some(row.service), 0, 0, 0);
            }
            if row.template == OVERFLOW_TEMPLATE {
                continue;
            }
            ids += usize::from(row.template != last);
            last = row.template;
            rows += 1;
            if ids > TEMPLATES_MAX || rows > TEMPLATE_ROWS_MAX {
                past.push((row.service, row.template));
            }
        }
        if past.is_empty() {
            return false;
        }
        // Of a template whose rows lie on both sides of the bound all go.
        past.dedup();
        self.templates.change(|row| {
            if past.binary_search(&(row.service, row.template)).is_ok() {
                row.fold_into(OVERFLOW_TEMPLATE);
            }
        });
        self.templates.settle();
        true
    }

    /// Units that met templates, no more than the bound.
    pub(super) fn settle_template_pairs(&mut self) {
        for TemplatePairs { rows, range } in &mut self.template_pairs {
            *range = settle_sample(rows, *range, TEMPLATE_PAIRS_MAX, |row| pair_hash(row.who));
        }
    }

    /// Texts of the templates that are counted by id, sorted, within their bound: those of the smallest ids stay.
    pub(super) fn texts_of_templates(&self, texts: &[TemplateText]) -> Vec<TemplateText> {
        if self.templates.is_empty() {
            return Vec::new();
        }
        let mut used: Vec<u64> = self.templates.iter().map(|row| row.template).collect();
        used.sort_unstable();
        used.dedup();
        let mut kept: Vec<&TemplateText> = texts.iter().filter(|text| used.binary_search(&text.id).is_ok()).collect();
        kept.sort_unstable_by_key(|text| text.id);
        let mut bytes = 0;
        let within = kept.into_iter().take_while(|text| {
            bytes += text.text.len();
            bytes <= TEMPLATE_TEXTS_MAX
        });
        within.cloned().collect()
    }

    /// Text of a template, where it is kept.
    pub fn template_text(&self, id: u64) -> Option<&str> {
        let texts = &self.names.templates;
        let at = texts.binary_search_by_key(&id, |text| text.id).ok()?;
        texts.get(at).map(|text| text.text.as_str())
    }

    /// Rows of templates: what their part of the memory grows with.
    pub(super) fn template_rows(&self) -> usize {
        self.templates.len() + self.template_pairs.iter().map(|pairs| pairs.rows.len()).sum::<usize>()
    }
}

/// An id of a template that is past no bound.
pub fn is_counted(template: u64) -> bool {
    template != event::NO_TEMPLATE && template != OVERFLOW_TEMPLATE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{NO_NAME, Names};
    use crate::sketch::rows::Rows;
    use crate::sketch::templates::{TemplatePairRow, TemplateRow};

    fn partial(ids: impl Iterator<Item = u64>, stream: &str) -> WindowPartial {
        let mut partial = WindowPartial::new(0);
        partial.cells.push((0, 0, Default::default()));
        partial.cells[0].2.lines = 1;
        partial.streams = vec![stream.to_owned()];
        let mut names = Names { arms: vec!["a".to_owned()], services: vec![Default::default()], ..Names::default() };
        let mut rows = Vec::new();
        for id in ids {
            let template = event::mix(id, 1).max(2);
            names.templates.push(TemplateText { id: template, text: format!("text of {id}") });
            let tie = event::mix(id, event::identity_hash(stream.as_bytes()));
            rows.push(TemplateRow {
                template,
                lines: 1,
                offset: id,
                tie,
                at: (id % 7) as u32,
                service: 0,
                arm: if id % 3 == 0 { NO_NAME } else { 0 },
                instance: NO_NAME,
                stream: 0,
                severe: id % 5 == 0,
            });
            let who = event::mix(id % 9_000, 2);
            let pair = TemplatePairRow { who, template, armless: 1, service: 0, is_trace: id % 2 == 0 };
            partial.template_pairs[usize::from(id % 5 == 0)].rows.add(pair);
        }
        partial.templates = Rows::from_vec(rows);
        partial.names = names;
        partial
    }

    #[test]
    fn past_the_bounds_the_same_stay_whichever_way_lines_were_cut() {
        let parts = || [partial(0..30_000, "b"), partial(20_000..50_000, "a"), partial(10..20, "c")];
        let once = WindowPartial::merge(0, parts());
        let [a, b, c] = parts();
        let twice = WindowPartial::merge(0, [WindowPartial::merge(0, [c, a]), WindowPartial::merge(0, [b])]);
        assert!(once == twice);
        assert!(once == WindowPartial::merge(0, [once.clone(), WindowPartial::new(0)]), "an empty one changes nothing");
        let ids: std::collections::BTreeSet<u64> = once.templates.as_slice().iter().map(|row| row.template).collect();
        assert_eq!(ids.len(), TEMPLATES_MAX + 1, "and one id for all others");
        let lines = once.templates.as_slice().iter().map(|row| row.lines).sum::<u64>();
        assert_eq!(lines, 60_010, "each line counts");
        let [below, severe] = &once.template_pairs;
        assert!(below.rows.len() <= TEMPLATE_PAIRS_MAX && below.range == u64::MAX && severe.range == u64::MAX);
        let decoded = WindowPartial::decode(&once.encode()).expect("it was encoded");
        assert!(decoded == once);
    }

    #[test]
    fn streams_of_lines_that_are_not_the_first_leave_no_name() {
        let merged = WindowPartial::merge(0, [partial(7..8, "late"), partial(7..8, "other")]);
        let again = WindowPartial::merge(0, [merged.clone(), WindowPartial::new(0)]);
        assert_eq!(merged.streams.len(), 1);
        assert!(merged == again);
        assert_eq!(merged.template_text(event::mix(7, 1)), Some("text of 7"));
    }
}
