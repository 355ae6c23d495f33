//! An index whose program is killed while it commits and merges, and one whose disk refuses: in the end each line is in it once.
#![cfg(all(unix, feature = "index"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serin::demo::random::Random;
use serin::index::{Asked, ColumnKind, Columns, Index, Settings, Told, Writer};
use serin::query::Query;
use serin::time::{SECOND, Timestamp};

/// Names the folder of a child, which is this program again.
const FOLDER: &str = "SERIN_TEST_INDEX";
/// Where a child kills itself: `STEP:TURNS`, so many turns of a loop after that step of its life. Each commit begins by one, and ends by one.
const END: &str = "SERIN_TEST_END";
/// Commits of a life: it ends in one of so many, and makes at most so many more, however late its end is.
const COMMITS: u64 = 12;
const MORE: u64 = 3;
/// Lines that a child indexes in all, and lines of a commit.
const LINES: u64 = 30_000;
const BATCH: u64 = 150;
/// Lives that are ended at most.
const KILLS: u64 = 40;
/// Status of a child whose disk refused.
const REFUSED: i32 = 7;

/// The end of a life, by its own hand: no clock and no other process has a part in it.
struct End {
    step: u64,
    turns: u64,
    /// Steps so far, which the file has a byte for each of.
    made: Arc<AtomicU64>,
    marks: std::fs::File,
}

impl End {
    /// As the environment says.
    fn asked(folder: &Path) -> Option<End> {
        let text = std::env::var(END).ok()?;
        let (step, turns) = text.split_once(':').unwrap();
        let (step, turns): (u64, u64) = (step.parse().unwrap(), turns.parse().unwrap());
        let made = Arc::new(AtomicU64::new(0));
        let marks = OpenOptions::new().append(true).create(true).open(marks(folder)).unwrap();
        let seen = Arc::clone(&made);
        // Without turns the step itself is the end.
        let waits = move || {
            while seen.load(Ordering::Acquire) < step {
                std::thread::yield_now();
            }
            for turn in 0..turns {
                std::hint::black_box(turn);
            }
            kill();
        };
        if turns > 0 {
            std::thread::spawn(waits);
        }
        Some(End { step, turns, made, marks })
    }

    /// A step. A life whose end is late goes no further than to the end of a commit.
    fn step(&mut self) {
        self.marks.write_all(b".").unwrap();
        let made = self.made.fetch_add(1, Ordering::Release) + 1;
        if made == self.step && self.turns == 0 {
            kill();
        }
        while made >= self.step + 2 * MORE && made.is_multiple_of(2) {
            std::thread::park();
        }
    }
}

fn kill() {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
}

fn marks(folder: &Path) -> PathBuf {
    folder.with_extension("marks")
}

fn index_to_the_end(folder: &Path) -> Result<(), serin::index::IndexError> {
    let columns = Columns {
        list: vec![("service".to_owned(), ColumnKind::Text), ("number".to_owned(), ColumnKind::Number)],
        messages: vec!["message".to_owned()],
        tables: Vec::new(),
    };
    let index = Arc::new(Index::open(folder)?);
    let settings = Settings { memory: 16 << 20, lines_max: 8_000, ..Settings::default() };
    let mut writer = Writer::open(index, settings, columns)?;
    let mut end = End::asked(folder);
    while writer.next("a") < LINES {
        let from = writer.next("a");
        for number in from..(from + BATCH).min(LINES) {
            let line =
                format!(r#"{{"number":{number},"service":"s{}","message":"line {number} of many"}}"#, number % 3);
            let told = Told { kind: "log", ..Told::none(Timestamp(number as i64 * SECOND / 100), None) };
            writer.add("a", number, &line, &told)?;
        }
        end.iter_mut().for_each(End::step);
        writer.commit()?;
        end.iter_mut().for_each(End::step);
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

/// Runs a child. `most`: blocks of 512 bytes of a file that it may write. `end`: where it kills itself.
fn run(folder: &Path, most: Option<u64>, end: Option<(u64, u64)>) -> Child {
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    // With the signal ignored a write past the limit is an error, as on a full disk.
    let limit = most.map(|blocks| format!("trap '' XFSZ; ulimit -f {blocks}; ")).unwrap_or_default();
    command.arg("-c").arg(format!("{limit}exec \"$0\" --exact child")).arg(own).env(FOLDER, folder);
    if let Some((step, turns)) = end {
        command.env(END, format!("{step}:{turns}"));
    }
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

/// Segments of all parts of an index, as their last commits have them.
fn segments(folder: &Path) -> u64 {
    let parts = std::fs::read_dir(folder).into_iter().flatten().map(|part| part.unwrap().path().join("meta.json"));
    let metas = parts.filter_map(|path| serde_json::from_slice::<serde_json::Value>(&std::fs::read(path).ok()?).ok());
    metas.map(|meta| meta["segments"].as_array().unwrap().len() as u64).sum()
}

#[test]
fn killed_at_any_moment_of_commits_and_merges_an_index_has_each_line_once() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("index");
    let mut random = Random::new(17);
    let (mut kills, mut inside, mut merged) = (0, 0, 0);
    loop {
        // From at once to long after a step, which is mostly inside a commit; or right behind a commit.
        let (step, most) = (1 + random.below(2 * COMMITS), 1 << random.below(26));
        let (step, turns) = match random.below(4) {
            0 => (step + step % 2, 0),
            _ => (step, 1 + random.below(most)),
        };
        let end = (kills < KILLS).then_some((step, turns));
        let before = segments(&folder);
        // There is none before the first life.
        let _none = std::fs::remove_file(marks(&folder));
        let status = run(&folder, None, end).wait().unwrap();
        if status.signal() != Some(9) {
            assert!(status.success(), "{status}");
            break;
        }
        kills += 1;
        // It may have been killed before its first commit.
        let marks = std::fs::read(marks(&folder)).map_or(0, |marks| marks.len() as u64);
        assert!(marks <= 2 * (COMMITS + MORE), "{marks}");
        inside += marks % 2;
        merged += u64::from(segments(&folder) < before + marks / 2);
    }
    println!("{kills} kills, {inside} of them inside a commit; in {merged} lives segments were merged");
    assert!(kills >= 10, "{kills}");
    let between = kills - inside;
    assert!(
        inside >= 3 && between >= 1 && merged >= 1,
        "{inside} inside, {between} between commits, {merged} with merges"
    );
    assert_whole(&folder);
}

#[test]
fn an_index_whose_disk_refused_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    for blocks in [1, 4, 8] {
        let status = run(folder.path(), Some(blocks), None).wait().unwrap();
        assert_eq!(status.code(), Some(REFUSED), "{blocks}");
        // What is there can be searched.
        if let Ok(index) = Index::open(folder.path()) {
            let tree = Query::parse("*").unwrap().tree().clone();
            let asked = Asked { tree: &tree, limit: 10, before: None, count_to: u64::MAX, stop: &|| false };
            assert_eq!(index.search(&asked).unwrap().partial, None, "{blocks}");
        }
    }
    assert!(run(folder.path(), None, None).wait().unwrap().success());
    assert_whole(folder.path());
}
