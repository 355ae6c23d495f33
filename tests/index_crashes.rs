//! An index whose program is killed while it commits and merges, and one whose disk refuses: in the end each line is in it once.
#![cfg(all(unix, feature = "index"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serin::demo::random::Random;
use serin::index::{Asked, ColumnKind, Columns, Index, Settings, Told, Writer};
use serin::query::Query;
use serin::time::{SECOND, Timestamp};

/// Names the folder of a child, which is this program again.
const FOLDER: &str = "SERIN_TEST_INDEX";
/// Lines that a child indexes in all, and lines of a commit.
const LINES: u64 = 30_000;
const BATCH: u64 = 150;
/// Status of a child whose disk refused.
const REFUSED: i32 = 7;

fn index_to_the_end(folder: &Path) -> Result<(), serin::index::IndexError> {
    let columns = Columns {
        list: vec![("service".to_owned(), ColumnKind::Text), ("number".to_owned(), ColumnKind::Number)],
        messages: vec!["message".to_owned()],
        tables: Vec::new(),
    };
    let index = Arc::new(Index::open(folder)?);
    let settings = Settings { memory: 16 << 20, lines_max: 8_000, ..Settings::default() };
    let mut writer = Writer::open(index, settings, columns)?;
    while writer.next("a") < LINES {
        let from = writer.next("a");
        for number in from..(from + BATCH).min(LINES) {
            let line =
                format!(r#"{{"number":{number},"service":"s{}","message":"line {number} of many"}}"#, number % 3);
            let told = Told { kind: "log", ..Told::none(Timestamp(number as i64 * SECOND / 100), None) };
            writer.add("a", number, &line, &told)?;
        }
        writer.commit()?;
    }
    writer.finish()
}

/// What a child does; of itself it is no test.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    if index_to_the_end(Path::new(&folder)).is_err() {
        std::process::exit(REFUSED);
    }
}

/// Runs a child. `most`: blocks of 512 bytes of a file that it may write.
fn run(folder: &Path, most: Option<u64>) -> Child {
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    // With the signal ignored a write past the limit is an error, as on a full disk.
    let limit = most.map(|blocks| format!("trap '' XFSZ; ulimit -f {blocks}; ")).unwrap_or_default();
    command.arg("-c").arg(format!("{limit}exec \"$0\" --exact child")).arg(own).env(FOLDER, folder);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn assert_whole(folder: &Path) {
    let index = Index::open(folder).unwrap();
    assert!(index.damaged().is_empty(), "{:?}", index.damaged());
    for (text, expect) in [("*", LINES), ("service:s1", LINES / 3), ("many number:<1000", 1_000)] {
        let tree = Query::parse(text).unwrap().tree().clone();
        let asked = Asked { tree: &tree, limit: LINES as usize, before: None, count_to: u64::MAX, stop: &|| false };
        let page = index.search(&asked).unwrap();
        assert_eq!((page.total.lines, page.partial), (expect, None), "{text}");
        let mut positions: Vec<u64> = page.lines.iter().map(|line| line.at.position).collect();
        positions.sort_unstable();
        positions.dedup();
        assert_eq!(positions.len() as u64, expect, "each once: {text}");
    }
}

#[test]
fn killed_at_any_moment_of_commits_and_merges_an_index_has_each_line_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(17);
    let (mut kills, mut done) = (0, false);
    while !done {
        let mut child = run(folder.path(), None);
        let until = std::time::Instant::now() + Duration::from_millis(30 + random.below(700));
        // It is over, or its time has come.
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if std::time::Instant::now() >= until && kills < 40 {
                child.kill().unwrap();
                child.wait().unwrap();
                kills += 1;
                break None;
            }
            std::thread::yield_now();
        };
        done = ended.is_some_and(|status| {
            assert!(status.success(), "{status}");
            true
        });
    }
    assert!(kills >= 10, "{kills}");
    assert_whole(folder.path());
}

#[test]
fn an_index_whose_disk_refused_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    for blocks in [1, 4, 8] {
        let status = run(folder.path(), Some(blocks)).wait().unwrap();
        assert_eq!(status.code(), Some(REFUSED), "{blocks}");
        // What is there can be searched.
        if let Ok(index) = Index::open(folder.path()) {
            let tree = Query::parse("*").unwrap().tree().clone();
            let asked = Asked { tree: &tree, limit: 10, before: None, count_to: u64::MAX, stop: &|| false };
            assert_eq!(index.search(&asked).unwrap().partial, None, "{blocks}");
        }
    }
    assert!(run(folder.path(), None).wait().unwrap().success());
    assert_whole(folder.path());
}
