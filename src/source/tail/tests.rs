use std::fs::OpenOptions;
use std::io::Write;

use super::*;

struct World {
    folder: tempfile::TempDir,
    tail: Tail,
    note: Vec<u8>,
    now: i64,
    read: Vec<String>,
    notices: Vec<String>,
}

impl World {
    fn new(pattern: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        let pattern = folder.path().join(pattern).display().to_string();
        let tail = Tail::new(&[pattern], false, b"").unwrap();
        World { folder, tail, note: Vec::new(), now: 0, read: Vec::new(), notices: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn look(&mut self) -> Brought {
        self.now += 250;
        let brought = self.tail.look(self.now).unwrap();
        self.read.extend(String::from_utf8(brought.lines.clone()).unwrap().lines().map(str::to_owned));
        self.notices.extend(brought.notices.clone());
        if !brought.note.is_empty() {
            self.note.clone_from(&brought.note);
        }
        assert_eq!(brought.note.is_empty(), brought.lines.is_empty());
        brought
    }

    /// What was read since this was last asked.
    fn all(&mut self) -> Vec<String> {
        while self.look().more {}
        std::mem::take(&mut self.read)
    }

    /// A program that starts again.
    fn restart(&mut self) {
        let patterns = self.tail.patterns.clone();
        self.tail = Tail::new(&patterns, false, &self.note).unwrap();
    }
}

/// Lines that no other call gives.
fn lines(from: usize, to: usize) -> String {
    (from..to).map(|number| format!("{{\"line\":{number},\"filled\":\"{}\"}}\n", "x".repeat(number % 40))).collect()
}

fn of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn whole_lines_come_once_also_after_a_restart_in_between() {
    let mut world = World::new("app.log");
    assert_eq!(world.all(), Vec::<String>::new(), "there is no file yet");
    let text = lines(0, 50);
    for (at, piece) in text.as_bytes().chunks(7).enumerate() {
        world.append("app.log", std::str::from_utf8(piece).unwrap());
        let before = world.read.len();
        world.look();
        assert!(world.read.len() - before <= 1);
        if at % 5 == 0 {
            world.restart();
        }
    }
    assert_eq!(world.all(), of(&text));
    assert!(world.notices.is_empty());
    // What was brought and not stored comes again.
    world.append("app.log", &lines(50, 60));
    let note = world.note.clone();
    assert_eq!(world.all(), of(&lines(50, 60)));
    world.note = note;
    world.restart();
    assert_eq!(world.all(), of(&lines(50, 60)));
}

#[test]
fn a_file_that_was_renamed_is_read_to_its_end_and_the_new_one_too() {
    for pattern in ["app.log", "app.log*"] {
        let mut world = World::new(pattern);
        world.append("app.log", &lines(0, 30));
        assert_eq!(world.all(), of(&lines(0, 30)));
        world.append("app.log", &lines(30, 40));
        std::fs::rename(world.path("app.log"), world.path("app.log.1")).unwrap();
        world.append("app.log", &lines(40, 50));
        // Who writes has the old one open still.
        world.append("app.log.1", "late 1\n");
        let mut came = world.all();
        world.append("app.log.1", "late 2\nand without an end");
        came.extend(world.all());
        let mut expected = of(&lines(30, 50));
        expected.extend(["late 1", "late 2"].map(str::to_owned));
        came.sort();
        expected.sort();
        assert_eq!(came, expected, "{pattern}");
        world.restart();
        assert_eq!(world.all(), Vec::<String>::new(), "{pattern}");
        if pattern == "app.log" {
            continue;
        }
        // Removed: what nobody ended is a line after a while.
        std::fs::remove_file(world.path("app.log.1")).unwrap();
        world.look();
        world.now += GRACE_MS;
        assert_eq!(world.all(), ["and without an end"]);
        assert_eq!((world.tail.files(), world.tail.left.len()), (1, 1));
    }
}

#[test]
fn a_file_that_was_emptied_is_read_anew_and_its_copy_from_where_it_was() {
    for pattern in ["app.log", "app.log*"] {
        let mut world = World::new(pattern);
        world.append("app.log", &lines(0, 30));
        assert_eq!(world.all(), of(&lines(0, 30)));
        // copytruncate: what came between the last look and the copy is in the copy alone.
        world.append("app.log", &lines(30, 40));
        std::fs::copy(world.path("app.log"), world.path("app.log.1")).unwrap();
        File::create(world.path("app.log")).unwrap();
        world.append("app.log", &lines(100, 103));
        if pattern == "app.log" {
            assert_eq!(world.all(), of(&lines(100, 103)), "the copy is not looked at");
        } else {
            let mut came = world.all();
            came.sort();
            let mut expected = [of(&lines(30, 40)), of(&lines(100, 103))].concat();
            expected.sort();
            assert_eq!(came, expected);
        }
        assert!(world.notices.iter().any(|words| words.contains("was truncated")), "{:?}", world.notices);
        // Emptied and longer than before between two looks.
        File::create(world.path("app.log")).unwrap();
        world.append("app.log", &lines(200, 300));
        assert_eq!(world.all(), of(&lines(200, 300)));
        // While the program did not run.
        File::create(world.path("app.log")).unwrap();
        world.append("app.log", &lines(300, 310));
        world.restart();
        assert_eq!(world.all(), of(&lines(300, 310)));
    }
}

#[test]
fn a_packed_file_is_not_followed_in_silence() {
    for pattern in ["app.log.gz", "*.zst"] {
        let Err(error) = Tail::new(&[pattern.to_owned()], false, &[]) else { panic!("{pattern}") };
        assert!(error.to_string().starts_with(&format!("{pattern}: what is packed is not followed")), "{error}");
    }
}

#[test]
fn files_that_appear_are_followed_and_those_that_were_there_come_in_order() {
    let mut world = World::new("*.log*");
    world.append("b.log.2", &lines(0, 9_000));
    world.append("a.log.1", &lines(9_000, 20_000));
    let earlier = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
    File::open(world.path("b.log.2")).unwrap().set_modified(earlier).unwrap();
    world.append("packed.log.gz", "no line\n");
    assert_eq!(world.all(), of(&lines(0, 20_000)));
    world.append("c.log", &lines(5, 8));
    assert_eq!(world.all(), of(&lines(5, 8)));
    // Side by side from now on.
    world.append("a.log.1", "a\n");
    world.append("c.log", "c\n");
    let mut came = world.all();
    came.sort();
    assert_eq!(came, ["a", "c"]);
    std::os::unix::fs::symlink(world.path("c.log"), world.path("d.log")).unwrap();
    assert_eq!(world.all(), Vec::<String>::new(), "another name of the same file");
}

#[test]
fn a_line_that_is_too_long_is_cut_once_and_the_next_is_whole() {
    let mut world = World::new("app.log");
    world.append("app.log", "first\n");
    world.append("app.log", &"y".repeat(LINE_MAX + 10));
    let mut came = world.all();
    world.restart();
    world.append("app.log", &"y".repeat(100));
    came.extend(world.all());
    world.append("app.log", "\nnext\n");
    came.extend(world.all());
    let lengths: Vec<usize> = came.iter().map(String::len).collect();
    assert_eq!(lengths, [5, LINE_MAX + 1, 4]);
}

/// A copy of a large file takes a while, and is not taken for a new one meanwhile.
#[test]
fn a_copy_that_is_being_made_is_waited_for() {
    let mut world = World::new("app.log*");
    world.append("app.log", &lines(0, 100));
    assert_eq!(world.all(), of(&lines(0, 100)));
    world.append("app.log.1", &lines(0, 60));
    assert_eq!(world.all(), Vec::<String>::new());
    world.append("app.log.1", &lines(60, 105));
    File::create(world.path("app.log")).unwrap();
    assert_eq!(world.all(), of(&lines(100, 105)));
    // Not for ever: it may be a file that only begins alike.
    world.append("app.log.2", &lines(0, 60));
    assert_eq!(world.all(), Vec::<String>::new());
    world.now += GRACE_MS;
    assert_eq!(world.all(), of(&lines(0, 60)));
}

#[test]
fn from_the_end_on_only_what_comes_is_read_and_of_new_files_all() {
    let mut world = World::new("*.log");
    world.append("a.log", &(lines(0, 20) + "begun "));
    world.tail = Tail::new(&world.tail.patterns.clone(), true, b"").unwrap();
    assert_eq!(world.all(), Vec::<String>::new());
    world.append("a.log", "and ended\n");
    world.append("b.log", &lines(0, 3));
    let mut came = world.all();
    came.sort();
    let mut expected = [of(&lines(0, 3)), vec!["begun and ended".to_owned()]].concat();
    expected.sort();
    assert_eq!(came, expected);
}

#[test]
fn what_is_no_pattern_and_no_note_is_refused() {
    assert!(matches!(Tail::new(&["a[".to_owned()], false, b""), Err(TailError::Pattern(..))));
    assert!(matches!(Tail::new(&["a".to_owned()], false, b"{"), Err(TailError::Note)));
    let folder = tempfile::tempdir().unwrap();
    let shown = format!("{}/", folder.path().display());
    let refused = Tail::new(std::slice::from_ref(&shown), false, b"").err().unwrap().to_string();
    assert!(refused.contains(&format!("'{}*.log'", shown)), "{refused}");
}

/// A line without its end, which a writer that was killed has left, holds no other file back: none that was there, none that comes.
#[test]
fn a_line_that_is_never_ended_holds_nothing_back() {
    let mut world = World::new("*.log");
    world.append("a.log", &format!("{}{{\"killed\":", lines(0, 3)));
    world.append("b.log", &lines(3, 6));
    assert_eq!(world.all(), of(&lines(0, 6)));
    world.append("c.log", &format!("{}half", lines(6, 8)));
    world.append("b.log", &lines(8, 9));
    let mut came = world.all();
    came.sort();
    let mut expected = of(&lines(6, 9));
    expected.sort();
    assert_eq!(came, expected);
    world.restart();
    world.append("b.log", &lines(9, 10));
    assert_eq!(world.all(), of(&lines(9, 10)));
    world.append("a.log", "1}\n");
    assert_eq!(world.all(), ["{\"killed\":1}"]);
}
