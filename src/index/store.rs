//! Parts of an index on disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tantivy::index::{IndexSettings, SegmentReader};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::{IndexReader, ReloadPolicy, Searcher};

use crate::index::IndexError;
use crate::index::layout::{Columns, Layout, names};
use crate::index::positions::Positions;

/// Bytes of stored documents that are compressed together: a group of lines, which is compressed already, and those behind it that hold none.
const BLOCK: usize = 16 << 10;
const LEVEL: i32 = 1;
/// Blocks that are kept unpacked for each segment; groups of lines are kept by who reads them.
const BLOCKS_KEPT: usize = 4;

/// One stretch of an index.
pub struct Part {
    /// Rises from part to part.
    pub number: u64,
    pub(super) folder: PathBuf,
    pub(super) layout: Layout,
    pub(super) index: tantivy::Index,
    pub(super) reader: IndexReader,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({})", self.number)
    }
}

impl Part {
    /// Begins a part.
    pub(super) fn create(folder: &Path, number: u64, columns: &Columns) -> Result<Part, IndexError> {
        Part::create_in(part_folder(folder, number), number, columns)
    }

    /// Begins a part in a folder of another name.
    pub(super) fn create_in(folder: PathBuf, number: u64, columns: &Columns) -> Result<Part, IndexError> {
        Part::create_with(folder, number, columns, BLOCK)
    }

    /// The same, with other blocks of stored documents.
    pub(super) fn create_with(
        folder: PathBuf,
        number: u64,
        columns: &Columns,
        block: usize,
    ) -> Result<Part, IndexError> {
        let layout = Layout::new(columns).ok_or(IndexError::Columns)?;
        std::fs::create_dir_all(&folder).map_err(|error| IndexError::Io(folder.display().to_string(), error))?;
        let settings = IndexSettings {
            docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(LEVEL) }),
            docstore_blocksize: block,
            ..IndexSettings::default()
        };
        let index =
            tantivy::Index::builder().schema(layout.schema.clone()).settings(settings).create_in_dir(&folder)?;
        Part::with(number, folder, layout, index)
    }

    pub(super) fn open(folder: PathBuf, number: u64) -> Result<Part, IndexError> {
        let index = tantivy::Index::open_in_dir(&folder)?;
        let layout = Layout::of(index.schema()).ok_or(IndexError::Columns)?;
        Part::with(number, folder, layout, index)
    }

    fn with(number: u64, folder: PathBuf, layout: Layout, index: tantivy::Index) -> Result<Part, IndexError> {
        Layout::register(&index);
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(BLOCKS_KEPT)
            .try_into()?;
        Ok(Part { number, folder, layout, index, reader })
    }

    /// Positions of the last commit; `None` where there was none yet.
    pub(super) fn positions(&self) -> Result<Option<Positions>, IndexError> {
        Ok(self.index.load_metas()?.payload.as_deref().and_then(Positions::of_payload))
    }

    /// The fields that have a column, and those with tokens.
    pub fn columns(&self) -> Columns {
        Columns {
            list: self.layout.columns.iter().map(|column| (column.path.clone(), column.kind)).collect(),
            messages: self.layout.messages.iter().map(|message| message.path.clone()).collect(),
            tables: self.layout.tables.clone(),
        }
    }

    pub(super) fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// Lines of the last commit.
    pub fn lines(&self) -> u64 {
        self.searcher().num_docs()
    }

    /// How long ago it was written last; `None` where the file system does not say.
    pub(super) fn age(&self) -> Option<std::time::Duration> {
        let written = std::fs::metadata(self.folder.join("meta.json")).ok()?.modified().ok()?;
        std::time::SystemTime::now().duration_since(written).ok()
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
    }
}

/// First and last event time of a segment, in microseconds.
pub(super) fn times(segment: &SegmentReader) -> tantivy::Result<(i64, i64)> {
    let time = segment.fast_fields().i64(names::TIME)?;
    Ok((time.min_value(), time.max_value()))
}

pub(super) fn part_folder(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}"))
}

/// A part of which neither a list of segments nor a segment was written.
fn is_unbegun(folder: &Path) -> bool {
    let has_lines = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|kind| kind == "store"))
    };
    !folder.join("meta.json").exists() && std::fs::read_dir(folder).is_ok_and(|mut files| !files.any(has_lines))
}

/// An index: what searches ask.
#[derive(Debug)]
pub struct Index {
    folder: PathBuf,
    parts: RwLock<Vec<Arc<Part>>>,
    /// Parts that could not be opened, and why. They were put aside.
    damaged: Vec<(u64, String)>,
}

impl Index {
    /// Opens an index, or begins one. A part that cannot be opened is put aside and told of: the others serve, and what can be read again
    /// is indexed again where it was the newest.
    ///
    /// # Errors
    /// A folder that cannot be used.
    pub fn open(folder: &Path) -> Result<Index, IndexError> {
        let io = |error| IndexError::Io(folder.display().to_string(), error);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(io)?;
        super::forget::settle(folder)?;
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            numbers.extend(name.to_str().filter(|name| name.len() == 10).and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        let (mut parts, mut damaged) = (Vec::new(), Vec::new());
        for number in numbers {
            let path = part_folder(folder, number);
            if is_unbegun(&path) {
                // The program ended while it made the part; where it cannot be removed it is told of.
                let _removed = std::fs::remove_dir_all(&path);
            }
            if !path.exists() {
                continue;
            }
            match Part::open(path.clone(), number) {
                Ok(part) => parts.push(Arc::new(part)),
                Err(error) => {
                    damaged.push((number, error.to_string()));
                    let aside = path.with_extension("damaged");
                    // Where it cannot be put aside it is told of again.
                    let _stays = std::fs::rename(&path, aside);
                }
            }
        }
        Ok(Index { folder: folder.to_owned(), parts: RwLock::new(parts), damaged })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Parts that could not be opened, with the reason.
    pub fn damaged(&self) -> &[(u64, String)] {
        &self.damaged
    }

    /// The parts, oldest first.
    pub fn parts(&self) -> Vec<Arc<Part>> {
        self.parts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn push(&self, part: Arc<Part>) {
        self.parts.write().unwrap_or_else(PoisonError::into_inner).push(part);
    }

    /// Puts a part in place of the one of the same number. Searches that are under way go on with that.
    pub(super) fn replace(&self, part: Arc<Part>) {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = parts.iter_mut().find(|known| known.number == part.number) {
            *place = part;
        }
    }

    /// Takes the oldest part out. Searches that are under way go on with it.
    pub(super) fn remove_oldest(&self) -> Option<Arc<Part>> {
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        (parts.len() > 1).then(|| parts.remove(0))
    }

    /// Where streams go on: as the newest commit says.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub fn positions(&self) -> Result<Positions, IndexError> {
        for part in self.parts().iter().rev() {
            if let Some(positions) = part.positions()? {
                return Ok(positions);
            }
        }
        Ok(Positions::default())
    }

    /// Lines of all parts.
    pub fn lines(&self) -> u64 {
        self.parts().iter().map(|part| part.lines()).sum()
    }

    /// Bytes of all parts on disk.
    pub fn bytes(&self) -> u64 {
        self.parts().iter().map(|part| part.bytes()).sum()
    }
}
