//! From arguments to streams: files, folders, patterns and standard input; rotated files of one log are one stream.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// One file of a stream.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// Standard input, with what the survey has read of it.
    Stdin(Vec<u8>),
    /// A file.
    File(PathBuf),
}

/// A stream: one log, in order, however many files it was rotated into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    /// Logical name, from file names: never a whole path, so that a moved log replays.
    pub name: String,
    /// Its files, oldest first.
    pub parts: Vec<Part>,
}

/// Arguments that do not lead to logs.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Nothing of this name.
    #[error("{path}: no such file or folder")]
    Missing {
        /// What was asked for.
        path: String,
    },
    /// A pattern that matches nothing.
    #[error("{pattern}: no file matches this pattern")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A folder without logs.
    #[error("{path}: this folder has no files")]
    EmptyFolder {
        /// The folder.
        path: String,
    },
    /// A pipe or a device: the survey and the run would each read a part of it.
    #[error("{path}: not a file, so it can be read only once; give it on standard input: compare - < {path}")]
    NotAFile {
        /// What was asked for.
        path: String,
    },
    /// A file that cannot be read.
    #[error("{path}: cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// A file that ends in the middle of its compressed data, or is damaged.
    #[error(
        "{path}: damaged or truncated after {offset} bytes of text: {error}. If partial data will do, unpack what is there first and compare that"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Bytes of text that could be read.
        offset: u64,
        /// What the decompressor says.
        error: io::Error,
    },
}

/// Finds the streams that arguments stand for.
///
/// # Errors
/// The first argument that leads to nothing readable.
pub fn find(arguments: &[String]) -> Result<Vec<Stream>, FilesError> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut stdin = false;
    for argument in arguments {
        if argument == "-" || argument == "/dev/stdin" {
            stdin = true;
            continue;
        }
        let path = Path::new(argument);
        if path.is_dir() {
            let before = files.len();
            collect(path, &mut files)?;
            if files.len() == before {
                return Err(FilesError::EmptyFolder { path: argument.clone() });
            }
        } else if path.exists() {
            files.push(path.to_owned());
        } else if argument.contains(['*', '?', '[']) {
            let before = files.len();
            let found = glob::glob(argument).map_err(|_| FilesError::NoMatch { pattern: argument.clone() })?;
            for path in found.flatten() {
                if path.is_dir() {
                    collect(&path, &mut files)?;
                } else {
                    files.push(path);
                }
            }
            if files.len() == before {
                return Err(FilesError::NoMatch { pattern: argument.clone() });
            }
        } else {
            return Err(FilesError::Missing { path: argument.clone() });
        }
    }
    files.sort();
    let mut known = BTreeSet::new();
    let mut distinct = Vec::new();
    for path in files {
        let unreadable = |error| FilesError::Unreadable { path: path.display().to_string(), error };
        if !path.metadata().map_err(unreadable)?.is_file() {
            return Err(FilesError::NotAFile { path: path.display().to_string() });
        }
        // By another way, or by a link, it is the same file, and its lines count once.
        if !known.insert(path.canonicalize().map_err(unreadable)?) {
            continue;
        }
        File::open(&path).map_err(unreadable)?;
        distinct.push(path);
    }
    let mut streams = group(&distinct);
    if stdin {
        let mut name = "stdin".to_owned();
        while streams.iter().any(|stream| stream.name == name) {
            name = format!("standard input, {name}");
        }
        streams.push(Stream { name, parts: vec![Part::Stdin(Vec::new())] });
    }
    Ok(streams)
}

/// A path leads to a file of these streams.
pub fn is_among(path: &Path, streams: &[Stream]) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    streams.iter().flat_map(|stream| &stream.parts).any(|part| match part {
        Part::File(file) => file.canonicalize().is_ok_and(|file| file == path),
        Part::Stdin(_) => false,
    })
}

/// Files of a folder and the folders below it; hidden ones are left out.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), FilesError> {
    let unreadable = |error| FilesError::Unreadable { path: folder.display().to_string(), error };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Rotated files (`app.log`, `app.log.1`, `app.log.2.gz`) are one stream, read from the highest number down.
fn group(files: &[PathBuf]) -> Vec<Stream> {
    let mut streams: BTreeMap<PathBuf, Vec<(u64, PathBuf)>> = BTreeMap::new();
    for path in files {
        let (stem, age) = rotation(path);
        streams.entry(stem).or_default().push((age, path.clone()));
    }
    let mut named: BTreeMap<String, Stream> = BTreeMap::new();
    // Short paths first: they have the fewest names to choose from.
    let mut streams: Vec<_> = streams.into_iter().collect();
    streams.sort_by_cached_key(|(stem, _)| (stem.components().count(), stem.clone()));
    for (stem, mut parts) in streams {
        parts.sort_by(|a, b| b.cmp(a));
        // As few parts of the path as make the name unique.
        let most = stem.components().count();
        let mut depth = 1;
        let mut name = tail(&stem, depth);
        while named.contains_key(&name) {
            depth += 1;
            // Paths that are no UTF-8 may look alike to their last part.
            name = if depth <= most { tail(&stem, depth) } else { format!("{name}'") };
        }
        let parts = parts.into_iter().map(|(_, path)| Part::File(path)).collect();
        named.insert(name.clone(), Stream { name, parts });
    }
    named.into_values().collect()
}

/// The log that a file is a rotation of, and how old: 0 for the live file.
fn rotation(path: &Path) -> (PathBuf, u64) {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    match plain.rsplit_once('.') {
        Some((stem, number)) if !stem.is_empty() && number.len() <= 4 => match number.parse::<u64>() {
            Ok(age) => (path.with_file_name(stem), age.saturating_add(1)),
            Err(_) => (path.with_file_name(plain), 0),
        },
        _ => (path.with_file_name(plain), 0),
    }
}

fn tail(path: &Path, depth: usize) -> String {
    let parts: Vec<String> = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    let from = parts.len().saturating_sub(depth);
    parts.get(from..).unwrap_or(&[]).join("/")
}

/// Opens a part: gzip and zstd are recognised by their content.
///
/// # Errors
/// What the system says.
pub fn open(part: &Part) -> io::Result<Box<dyn Read + Send>> {
    match part {
        Part::Stdin(read) => unpack(io::Cursor::new(read.clone()).chain(io::stdin())),
        Part::File(path) => unpack(File::open(path)?),
    }
}

/// Text of what may be compressed.
///
/// # Errors
/// What the system or the decompressor says.
pub fn unpack(raw: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = BufReader::with_capacity(1 << 16, raw);
    let mut magic = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut magic)?;
    let kind = magic.clone();
    let whole = io::Cursor::new(magic).chain(reader);
    Ok(match kind.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}

/// Bytes on disk of a stream, for progress; 0 for standard input.
pub fn size_on_disk(stream: &Stream) -> u64 {
    stream
        .parts
        .iter()
        .map(|part| match part {
            Part::Stdin(_) => 0,
            Part::File(path) => std::fs::metadata(path).map_or(0, |meta| meta.len()),
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[&str]) -> Vec<(String, Vec<String>)> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        group(&files)
            .into_iter()
            .map(|stream| {
                let parts = stream.parts.iter().map(|part| match part {
                    Part::File(path) => path.display().to_string(),
                    Part::Stdin(_) => "-".to_owned(),
                });
                (stream.name, parts.collect())
            })
            .collect()
    }

    #[test]
    fn rotated_files_are_one_stream_oldest_first() {
        let streams = names(&["/l/app.log", "/l/app.log.1", "/l/app.log.10.gz", "/l/app.log.2.gz", "/l/web.log.zst"]);
        assert_eq!(streams[0].0, "app.log");
        assert_eq!(streams[0].1, ["/l/app.log.10.gz", "/l/app.log.2.gz", "/l/app.log.1", "/l/app.log"]);
        assert_eq!(streams[1].0, "web.log");
    }

    #[test]
    fn equal_file_names_stay_apart() {
        let streams = names(&["/l/a/app.log", "/l/b/app.log"]);
        assert_eq!(streams.iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["app.log", "b/app.log"]);
        let streams = names(&["a/app.log", "app.log", "b/a/app.log"]);
        assert_eq!(streams.iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["a/app.log", "app.log", "b/a/app.log"]);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let error = find(&["/nowhere/at/all.log".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "/nowhere/at/all.log: no such file or folder");
        assert!(find(&["/nowhere/*.log".to_owned()]).unwrap_err().to_string().contains("no file matches"));
        let folder = tempfile::tempdir().unwrap();
        let error = find(&[folder.path().display().to_string()]).unwrap_err().to_string();
        assert!(error.contains("has no files"), "{error}");
    }
}
