//! Templates of a comparison as bytes.

use crate::engine::first_events::FirstEvents;
use crate::engine::templates::{Class, Place, Template, Templates, TemplatesLook};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::time::Timestamp;

impl Template {
    fn write(&self, w: &mut Writer) {
        w.text(&self.text);
        w.int(self.first_seen.0);
        self.lines.iter().for_each(|lines| w.uint(*lines));
        for places in &self.places {
            w.length(places.len());
            for place in places {
                w.int(place.time.0);
                w.fixed(place.tie);
                w.uint(place.offset);
                w.text(&place.stream);
            }
        }
        w.length(self.first.len());
        self.first.iter().flatten().for_each(|count| w.uint(*count));
        w.float(self.log_e);
        w.flag(self.twin.is_some());
        w.fixed(self.twin.unwrap_or(0));
        w.flag(self.dirty);
        w.int(self.last_seen.0);
        w.float(self.log_start);
    }

    fn read(r: &mut Reader<'_>) -> Result<Template, Damaged> {
        let text = r.text()?;
        let mut template = Template::new(&text, Timestamp(r.int()?));
        for lines in &mut template.lines {
            *lines = r.uint()?;
        }
        for places in &mut template.places {
            for _ in 0..r.length()? {
                let (time, tie) = (Timestamp(r.int()?), r.fixed()?);
                places.push(Place { time, tie, offset: r.uint()?, stream: r.text()? });
            }
        }
        for _ in 0..r.length()? {
            template.first.push([r.uint()?, r.uint()?]);
        }
        template.log_e = r.float()?;
        let (has_twin, twin) = (r.flag()?, r.fixed()?);
        template.twin = has_twin.then_some(twin);
        template.dirty = r.flag()?;
        template.last_seen = Timestamp(r.int()?);
        template.log_start = r.float()?;
        Ok(template)
    }
}

impl Class {
    fn write(&self, w: &mut Writer) {
        w.length(self.slots.len());
        for (id, template) in &self.slots {
            w.fixed(*id);
            template.write(w);
        }
        let mut pairs: Vec<u64> = self.pairs.iter().copied().collect();
        pairs.sort_unstable();
        w.length(pairs.len());
        pairs.into_iter().for_each(|pair| w.fixed(pair));
        w.fixed(self.range);
        self.past_bound.iter().for_each(|lines| w.uint(*lines));
        w.uint(self.reused);
    }

    fn read(r: &mut Reader<'_>) -> Result<Class, Damaged> {
        let mut class = Class::default();
        for _ in 0..r.length()? {
            class.slots.insert(r.fixed()?, Template::read(r)?);
        }
        for _ in 0..r.length()? {
            class.pairs.insert(r.fixed()?);
        }
        class.range = r.fixed()?;
        for lines in &mut class.past_bound {
            *lines = r.uint()?;
        }
        class.reused = r.uint()?;
        Ok(class)
    }
}

impl TemplatesLook {
    /// Writes what was said.
    pub fn write(&self, w: &mut Writer) {
        w.flag(self.log_errors.is_some());
        w.float(self.log_errors.unwrap_or(0.0));
        w.float(self.log_changed);
        w.float(self.log_unexpected);
    }

    /// Reads what [`TemplatesLook::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<TemplatesLook, Damaged> {
        let (has_errors, log_errors) = (r.flag()?, r.float()?);
        Ok(TemplatesLook {
            log_errors: has_errors.then_some(log_errors),
            log_changed: r.float()?,
            log_unexpected: r.float()?,
        })
    }
}

impl Templates {
    /// Writes the state.
    pub fn write(&self, w: &mut Writer) {
        self.at_risk.write(w);
        self.classes.iter().for_each(|class| class.write(w));
        w.flag(self.once);
        w.flag(self.stopped);
        w.uint(self.unassigned);
        self.look.write(w);
        w.flag(self.changed_since);
    }

    /// Reads what [`Templates::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Templates, Damaged> {
        Ok(Templates {
            at_risk: FirstEvents::read(r)?,
            classes: [Class::read(r)?, Class::read(r)?],
            once: r.flag()?,
            stopped: r.flag()?,
            unassigned: r.uint()?,
            look: TemplatesLook::read(r)?,
            changed_since: r.flag()?,
        })
    }
}
