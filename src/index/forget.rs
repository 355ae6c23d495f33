//! Taking lines out of an index.
//!
//! A part that has some is written anew without them, and put in place of the old one: a folder `.building` while it is written, `.rewritten`
//! once it is whole (a rename, which is the step that counts), then its own name. Whatever happens in between, [`settle`] ends it when the
//! index is opened: the part is the old one or the new one.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::event::{NO_LATENCY, RejectReason};
use crate::index::IndexError;
use crate::index::committing::Committing;
use crate::index::derived::{Derived, DerivedColumns};
use crate::index::document::{Maker, Told};
use crate::index::layout::UNIT_BITS;
use crate::index::reading::{Reading, Stopped};
use crate::index::search::LineReader;
use crate::index::store::{Part, part_folder};
use crate::index::writer::Writer;
use crate::query::{Node, Value};
use crate::time::Timestamp;

const BUILDING: &str = "building";
const REWRITTEN: &str = "rewritten";
const DAMAGED: &str = "damaged";

fn at(path: &Path, error: io::Error) -> IndexError {
    IndexError::Io(path.display().to_string(), error)
}

/// Ends what a program has begun that ended within it.
pub(super) fn settle(folder: &Path) -> Result<(), IndexError> {
    for entry in std::fs::read_dir(folder).map_err(|error| at(folder, error))? {
        let path = entry.map_err(|error| at(folder, error))?.path();
        if path.extension().is_some_and(|kind| kind == BUILDING) {
            std::fs::remove_dir_all(&path).map_err(|error| at(&path, error))?;
        } else if path.extension().is_some_and(|kind| kind == REWRITTEN) {
            take_place(&path)?;
        }
    }
    Ok(())
}

/// A part that was written anew takes the place of the old one.
fn take_place(rewritten: &Path) -> Result<(), IndexError> {
    let place = rewritten.with_extension("");
    match std::fs::remove_dir_all(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&place, error)),
        Ok(()) | Err(_) => {}
    }
    std::fs::rename(rewritten, &place).map_err(|error| at(&place, error))?;
    synced(place.parent().unwrap_or(&place))
}

fn synced(folder: &Path) -> Result<(), IndexError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| at(folder, error))
}

/// Which lines are to go: their stream, position and text, and the bits of their unit's hash that are kept.
pub type IsForgotten<'a> = &'a mut dyn FnMut(&str, u64, &str, Option<u64>) -> bool;

impl Writer {
    /// Takes lines out. `tree`: no others can be meant; it must be certain of that without reading lines, or leave it open. `counted`
    /// hears how many there are before the first is gone. Parts that could not be read, and lie aside, go as a whole, since nobody knows
    /// what they hold.
    ///
    /// # Errors
    /// A part that cannot be read or written. Each part is then as it was, or without the lines.
    pub fn forget(
        &mut self,
        tree: &Node,
        is_forgotten: IsForgotten<'_>,
        counted: &mut dyn FnMut(u64) -> Result<(), IndexError>,
    ) -> Result<u64, IndexError> {
        self.rest()?;
        let (index, memory) = self.index();
        let (mut lines, mut of_parts) = (0, Vec::new());
        for part in index.parts() {
            let count = count(&part, tree, is_forgotten)?;
            if count > 0 {
                lines += count;
                of_parts.push(part);
            }
        }
        counted(lines)?;
        for part in of_parts {
            let part = rewrite(index.folder(), &part, memory, is_forgotten)?;
            index.replace(Arc::new(part));
        }
        let folder = index.folder();
        for entry in std::fs::read_dir(folder).map_err(|error| at(folder, error))? {
            let path = entry.map_err(|error| at(folder, error))?.path();
            if path.extension().is_some_and(|kind| kind == DAMAGED) {
                std::fs::remove_dir_all(&path).map_err(|error| at(&path, error))?;
            }
        }
        Ok(lines)
    }
}

/// Lines of a part that are meant.
fn count(part: &Arc<Part>, tree: &Node, is_forgotten: IsForgotten<'_>) -> Result<u64, IndexError> {
    let searcher = part.searcher();
    let mut count = 0;
    for (ord, segment) in searcher.segment_readers().iter().enumerate() {
        let columns = DerivedColumns::open(segment)?;
        let reading = Reading { layout: &part.layout, segment, columns: &columns, stop: &|| false };
        let maybe = match reading.read(tree) {
            Ok(sides) => sides.upper,
            // Nobody tells it to stop.
            Err(Stopped::Late) => continue,
            Err(Stopped::Broken(error)) => return Err(error.into()),
        };
        let mut lines = LineReader::open(&part.layout, &searcher, ord as u32)?;
        for document in maybe.iter() {
            let line = lines.line(document)?;
            let (stream, position) = place(&columns, document);
            let unit = columns.unit().and_then(|units| units.first(document));
            count += u64::from(is_forgotten(&stream, position, line, unit));
        }
        columns.broken()?;
    }
    Ok(count)
}

fn place(columns: &DerivedColumns, document: u32) -> (String, u64) {
    (text(columns, Derived::Stream, document), columns.position.first(document).unwrap_or(0))
}

fn text(columns: &DerivedColumns, field: Derived, document: u32) -> String {
    match columns.value(field, document) {
        Some(Value::Str(text)) => text.into_owned(),
        Some(Value::Number(_) | Value::Bool(_) | Value::List(_)) | None => String::new(),
    }
}

/// Writes a part anew without the lines that are meant. What decoding said of the others is as it was.
fn rewrite(folder: &Path, old: &Part, memory: usize, is_forgotten: IsForgotten<'_>) -> Result<Part, IndexError> {
    let place_of = part_folder(folder, old.number);
    let (building, rewritten) = (place_of.with_extension(BUILDING), place_of.with_extension(REWRITTEN));
    if building.exists() {
        std::fs::remove_dir_all(&building).map_err(|error| at(&building, error))?;
    }
    let new = Part::create_in(building.clone(), old.number, &old.columns())?;
    let mut writer = Committing::open(&new.index, &new.layout, memory)?;
    let mut maker = Maker::new(&old.layout.tables);
    let searcher = old.searcher();
    for (ord, segment) in searcher.segment_readers().iter().enumerate() {
        let columns = DerivedColumns::open(segment)?;
        let mut lines = LineReader::open(&old.layout, &searcher, ord as u32)?;
        for document in 0..segment.max_doc() {
            let line = lines.line(document)?;
            let (stream, position) = place(&columns, document);
            let unit = columns.unit().and_then(|units| units.first(document));
            if is_forgotten(&stream, position, line, unit) {
                continue;
            }
            let of = |field: Derived| text(&columns, field, document);
            let [service, arm, route, kind] = [Derived::Service, Derived::Arm, Derived::Route, Derived::Kind].map(of);
            let [level, status, template, reject] =
                [Derived::Level, Derived::Status, Derived::Template, Derived::Reject].map(of);
            let told = Told {
                time: Timestamp(columns.time.first(document).unwrap_or(0)),
                kind: &kind,
                failed: columns.failed().is_some_and(|failed| failed.first(document).is_some()),
                level: &level,
                service: &service,
                arm: &arm,
                route: &route,
                template: u64::from_str_radix(&template, 16).unwrap_or(0),
                // The bits that are kept are the upper ones; those below say that there is a unit.
                unit: unit.map_or(0, |bits| bits << (64 - UNIT_BITS) | 1),
                latency_us: columns.latency().and_then(|latency| latency.first(document)).unwrap_or(NO_LATENCY),
                status: &status,
                reject: RejectReason::ALL.into_iter().find(|reason| reason.name() == reject),
                weight: columns.weight().and_then(|weights| u32::try_from(weights.first(document)?).ok()).unwrap_or(1),
            };
            writer.add(maker.document(&new.layout, &stream, position, line, &told), line)?;
        }
        columns.broken()?;
    }
    writer.commit(&old.positions()?.unwrap_or_default())?;
    writer.close()?;
    // Its age is that of its lines, not that of this.
    let metas = building.join("meta.json");
    if let Ok(written) = std::fs::metadata(old.folder.join("meta.json")).and_then(|metas| metas.modified()) {
        File::options()
            .append(true)
            .open(&metas)
            .and_then(|file| file.set_modified(written))
            .map_err(|error| at(&metas, error))?;
    }
    drop(new);
    synced(&building)?;
    std::fs::rename(&building, &rewritten).map_err(|error| at(&rewritten, error))?;
    synced(folder)?;
    take_place(&rewritten)?;
    Part::open(place_of, old.number)
}
