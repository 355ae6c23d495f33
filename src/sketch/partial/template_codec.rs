//! Templates of a partial as bytes.

use crate::event::TemplateText;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::WindowPartial;
use crate::sketch::rows::Rows;
use crate::sketch::templates::{TemplatePairRow, TemplateRow};

impl WindowPartial {
    /// Texts, lines, then both classes of pairs.
    pub(super) fn encode_templates(&self, w: &mut Writer) {
        w.length(self.names.templates.len());
        for TemplateText { id, text } in &self.names.templates {
            w.fixed(*id);
            w.text(text);
        }
        w.length(self.templates.as_slice().len());
        for row in self.templates.as_slice() {
            w.fixed(row.template);
            w.uint(row.lines);
            w.uint(row.offset);
            w.fixed(row.tie);
            w.uint(u64::from(row.at));
            [row.service, row.arm, row.instance, row.stream].iter().for_each(|name| w.uint(u64::from(*name)));
            w.flag(row.severe);
        }
        for pairs in &self.template_pairs {
            w.fixed(pairs.range);
            w.length(pairs.rows.as_slice().len());
            for row in pairs.rows.as_slice() {
                w.fixed(row.who);
                w.fixed(row.template);
                w.uint(u64::from(row.armless));
                w.uint(u64::from(row.service));
                w.flag(row.is_trace);
            }
        }
    }

    pub(super) fn decode_templates(&mut self, r: &mut Reader<'_>) -> Result<(), Damaged> {
        for _ in 0..r.length()? {
            self.names.templates.push(TemplateText { id: r.fixed()?, text: r.text()? });
        }
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(TemplateRow {
                template: r.fixed()?,
                lines: r.uint()?,
                offset: r.uint()?,
                tie: r.fixed()?,
                at: r.uint32()?,
                service: r.uint16()?,
                arm: r.uint16()?,
                instance: r.uint16()?,
                stream: r.uint16()?,
                severe: r.flag()?,
            });
        }
        self.templates = Rows::from_vec(rows);
        for pairs in &mut self.template_pairs {
            pairs.range = r.fixed()?;
            let mut rows = Vec::new();
            for _ in 0..r.length()? {
                rows.push(TemplatePairRow {
                    who: r.fixed()?,
                    template: r.fixed()?,
                    armless: r.uint32()?,
                    service: r.uint16()?,
                    is_trace: r.flag()?,
                });
            }
            pairs.rows = Rows::from_vec(rows);
        }
        Ok(())
    }
}
