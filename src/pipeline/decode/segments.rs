//! The segments of a line: values of the fields that the plan names.

use crate::event::{Intern, Kind, NO_NAME, NO_SEGMENTS, NameId, OTHER, SEGMENT_FIELDS_MAX};
use crate::pipeline::decode::Decoder;
use crate::pipeline::decode::seen::Short;

/// Longest value that is a segment by itself, in bytes; longer ones share [`OTHER`].
const SEGMENT_VALUE_MAX: usize = 64;

impl Decoder<'_> {
    /// Values of the fields whose values are segments. Only requests and exposures say which segments a unit is in: what
    /// else it logs may be there only because something went wrong.
    #[inline]
    pub(super) fn segments(&mut self, line: &str, kind: Kind) -> [NameId; SEGMENT_FIELDS_MAX] {
        if self.segment_slots.is_empty() || !matches!(kind, Kind::Request | Kind::Exposure) {
            return NO_SEGMENTS;
        }
        let mut segments = NO_SEGMENTS;
        for (field, id) in segments.iter_mut().enumerate().take(self.segment_slots.len()) {
            *id = self.segment(field, line);
        }
        segments
    }

    #[inline]
    fn segment(&mut self, field: usize, line: &str) -> NameId {
        let slot = self.segment_slots.get(field).and_then(|slot| self.slots.get(usize::from(*slot)).copied());
        let Some(slot) = slot.filter(|slot| slot.is_scalar()) else { return NO_NAME };
        let short = Short::of(line, slot);
        if let (Some(short), Some(known)) = (short, self.short_segments.get(field))
            && let Some(id) = known.get(short.mixed(), &short)
        {
            return id;
        }
        let text = slot.text(line);
        let id = if is_no_segment(&text) {
            NO_NAME
        } else if text.len() > SEGMENT_VALUE_MAX {
            self.names.segment(field, OTHER)
        } else {
            self.names.segment(field, &text)
        };
        if let (Some(short), Some(known)) = (short, self.short_segments.get_mut(field)) {
            known.put(short.mixed(), short, id);
        }
        id
    }
}

/// What stands where there is no value. A `guest` is one, and so is tier `0`.
pub(crate) fn is_no_segment(text: &str) -> bool {
    matches!(text, "" | "-" | "null" | "undefined" | "nil")
}
