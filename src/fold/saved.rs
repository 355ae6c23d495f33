//! A stream between two chunks as bytes: whoever reads on from there comes to the same windows.

use std::collections::BTreeMap;

use crate::fold::stream::{OpenWindow, StreamFold};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::WindowPartial;
use crate::time::Windowing;

impl StreamFold {
    /// Writes the whole state. Parts of open windows are merged for it, which changes nothing (SK-1).
    pub fn write(&mut self, w: &mut Writer) {
        w.int(self.high);
        w.flag(self.ended);
        // Held lines are few, and rarely any.
        w.text(&serde_json::to_string(&self.guard).unwrap_or_default());
        w.length(self.open.len());
        for (window, open) in &mut self.open {
            w.int(*window);
            let bytes = open.merged(*window).encode();
            w.length(bytes.len());
            w.bytes.extend_from_slice(&bytes);
        }
    }

    /// A stream that goes on as the one that was written. `windowing`: the same.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(windowing: Windowing, r: &mut Reader<'_>) -> Result<StreamFold, Damaged> {
        let (high, ended) = (r.int()?, r.flag()?);
        let guard = serde_json::from_str(&r.text()?).map_err(|_| Damaged("held lines"))?;
        let mut open = BTreeMap::new();
        for _ in 0..r.length()? {
            let window = r.int()?;
            let length = r.length()?;
            open.insert(window, OpenWindow::of(WindowPartial::decode(r.bytes(length)?)?));
        }
        Ok(StreamFold { windowing, high, guard, open, ended })
    }
}
