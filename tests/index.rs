//! The life of an index: each line once whatever ends the program, parts that begin and go, pages that stay in order, a part that is damaged.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serin::index::{
    Aliases, Asked, ColumnKind, Columns, Counted, Cursor, Figure, Group, Index, Metric, Page, Partial, Positions,
    Settings, Told, Total, Writer,
};
use serin::query::{Node, Query};
use serin::time::{HOUR, MINUTE, SECOND, Timestamp};

/// 2026-06-01T10:00:00Z.
const START: i64 = 1_780_308_000 * SECOND;

fn settings() -> Settings {
    Settings { memory: 16 << 20, ..Settings::default() }
}

fn columns() -> Columns {
    let list = [("service", ColumnKind::Text), ("status", ColumnKind::Number), ("user", ColumnKind::Id)];
    Columns {
        list: list.into_iter().map(|(path, kind)| (path.to_owned(), kind)).collect(),
        messages: vec!["message".to_owned()],
        tables: Vec::new(),
    }
}

fn opened(folder: &Path) -> Arc<Index> {
    Arc::new(Index::open(folder).unwrap())
}

fn writer(index: &Arc<Index>) -> Writer {
    Writer::open(Arc::clone(index), settings(), columns()).unwrap()
}

fn told(at: i64) -> Told<'static> {
    Told { kind: "log", ..Told::none(Timestamp(at), None) }
}

/// Adds numbered lines, each a second behind the one before.
fn add(writer: &mut Writer, stream: &str, numbers: std::ops::Range<u64>) -> usize {
    let mut added = 0;
    for number in numbers {
        let line = format!(r#"{{"number":{number},"service":"s{}","message":"line {number}"}}"#, number % 3);
        added += usize::from(writer.add(stream, number, &line, &told(START + number as i64 * SECOND)).unwrap());
    }
    added
}

fn tree(text: &str) -> Node {
    Query::parse(text).unwrap().tree().clone()
}

fn search(index: &Index, text: &str, limit: usize, before: Option<Cursor>) -> Page {
    let tree = tree(text);
    index.search(&Asked { tree: &tree, limit, before, count_to: u64::MAX, stop: &|| false }).unwrap()
}

fn positions(page: &Page) -> Vec<(String, u64)> {
    page.lines.iter().map(|line| (line.at.stream.clone(), line.at.position)).collect()
}

/// Every line of streams, each once.
fn assert_has(index: &Index, expect: &[(&str, u64)]) {
    let mut found = positions(&search(index, "*", 100_000, None));
    found.sort();
    let all = expect.iter().flat_map(|(stream, lines)| (0..*lines).map(|at| ((*stream).to_owned(), at)));
    let mut all: Vec<(String, u64)> = all.collect();
    all.sort();
    assert_eq!(found, all);
}

#[test]
fn each_line_is_there_once_wherever_writing_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = 0;
    // It is let go between two commits, each time a little later, and goes on from what is there.
    for round in 0..6u64 {
        let index = opened(folder.path());
        let mut writer = writer(&index);
        let next = writer.next("a");
        assert_eq!((next, writer.next("b")), (last, last / 2), "round {round}");
        // What was read before comes again: nothing of it is added.
        let from = next.saturating_sub(20);
        assert_eq!(add(&mut writer, "a", from..next + 50), 50);
        let of_b = writer.next("b");
        add(&mut writer, "b", of_b..next / 2 + 25);
        writer.commit().unwrap();
        last = next + 50;
        // These are lost with the writer, and come again in the next round.
        add(&mut writer, "a", last..last + round * 10);
    }
    let index = opened(folder.path());
    assert_has(&index, &[("a", 300), ("b", 150)]);
    let mut reached = Positions::default();
    reached.reach("a", 300);
    reached.reach("b", 150);
    assert_eq!(index.positions().unwrap(), reached);
}

#[test]
fn a_stretch_of_time_is_a_part_and_one_wrong_clock_decides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let index = opened(folder.path());
    let mut writer = writer(&index);
    // A line of the year 2100 comes first.
    writer.add("a", 0, "{\"message\":\"early\"}", &told(130 * 365 * 24 * HOUR)).unwrap();
    for minute in 1..=180u64 {
        for second in 0..4 {
            let at = START + minute as i64 * MINUTE + second * SECOND;
            writer.add("a", minute * 4 + second as u64, "{\"message\":\"x\"}", &told(at)).unwrap();
        }
        if minute % 10 == 0 {
            writer.commit().unwrap();
        }
    }
    writer.finish().unwrap();
    let parts: Vec<u64> = index.parts().iter().map(|part| part.lines()).collect();
    assert_eq!(parts.len(), 3, "{parts:?}");
    assert_eq!(parts.iter().sum::<u64>(), 721);
    let found = search(&index, "_time:[2026-06-01T11:30:00Z TO 2026-06-01T11:31:59Z]", 100, None);
    let exact = |lines| Total { lines, kept: lines, is_estimate: false, is_exact: true };
    assert_eq!((found.lines.len(), found.total), (8, exact(8)));
    assert_eq!(search(&index, "early", 10, None).lines[0].time().to_string(), "2099-11-30T00:00:00Z");
    // A new program goes on in the last part.
    let index = opened(folder.path());
    let mut writer = self::writer(&index);
    assert_eq!(writer.next("a"), 724);
    writer.add("a", 724, "{\"message\":\"later\"}", &told(START + 180 * MINUTE)).unwrap();
    writer.commit().unwrap();
    assert_eq!((index.parts().len(), index.lines()), (3, 722));
}

#[test]
fn old_parts_go_and_a_part_that_is_full_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let index = opened(folder.path());
    let one = Settings { lines_max: 100, keep_bytes: 1, ..settings() };
    let mut writer = Writer::open(Arc::clone(&index), one, columns()).unwrap();
    for round in 0..5 {
        add(&mut writer, "a", round * 100..(round + 1) * 100);
        writer.commit().unwrap();
        assert_eq!(index.parts().len(), 1, "the newest stays, though it is too large");
    }
    writer.finish().unwrap();
    assert_eq!(index.lines(), 100);
    let kept = Settings { lines_max: 100, keep: Duration::from_secs(3_600), ..settings() };
    let mut writer = Writer::open(Arc::clone(&index), kept, columns()).unwrap();
    for round in 5..7 {
        add(&mut writer, "a", round * 100..(round + 1) * 100);
        writer.commit().unwrap();
    }
    assert_eq!((index.parts().len(), index.lines()), (2, 300), "neither is old");
    // What goes never comes again, since positions are those of the newest part.
    assert_eq!(writer.next("a"), 700);
}

#[test]
fn pages_stay_in_order_while_lines_come() {
    let folder = tempfile::tempdir().unwrap();
    let index = opened(folder.path());
    let mut writer = writer(&index);
    // Many lines have one time, in two streams, and in several segments.
    for number in 0..90u64 {
        let at = told(START + (number / 30) as i64 * SECOND);
        writer.add(if number % 2 == 0 { "a" } else { "b" }, number, "{\"message\":\"x\"}", &at).unwrap();
        if number % 20 == 0 {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    let all = search(&index, "x", 1_000, None);
    assert!(all.lines.windows(2).all(|pair| pair[0].at > pair[1].at));
    assert_eq!((all.lines.len(), all.next.clone()), (90, None));
    for limit in [1, 7, 89, 90] {
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = search(&index, "x", limit, before);
            assert_eq!(page.total.lines, search(&index, "x", 1, None).total.lines);
            seen.extend(page.lines);
            // Newer lines come meanwhile.
            let number = 1_000 + seen.len() as u64 + 100 * limit as u64;
            writer.add("a", number, "{\"message\":\"x\"}", &told(START + HOUR)).unwrap();
            writer.commit().unwrap();
            match page.next {
                Some(next) => before = Some(next),
                None => break,
            }
        }
        let old: Vec<&Cursor> = seen.iter().map(|line| &line.at).filter(|at| at.time < START + HOUR).collect();
        assert_eq!(old, all.lines.iter().map(|line| &line.at).collect::<Vec<_>>(), "{limit}");
    }
    let text = all.lines[5].at.to_string();
    assert_eq!(text.parse::<Cursor>().as_ref(), Ok(&all.lines[5].at));
    assert!("5.x".parse::<Cursor>().is_err());
    // A stream between two others, of which no line has the name.
    let between = Cursor { time: all.lines[0].at.time, stream: "aa".to_owned(), position: 0 };
    let rest = search(&index, "x", 1_000, Some(between.clone()));
    assert!(
        rest.lines.iter().all(|line| line.at < between) && rest.lines.iter().any(|line| line.at.time == between.time)
    );
}

#[test]
fn totals_are_exact_up_to_a_limit_and_a_search_stops_when_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let index = opened(folder.path());
    let mut writer = writer(&index);
    add(&mut writer, "a", 0..200);
    writer.commit().unwrap();
    // The expression is tried on each line.
    let slow = tree("message:/line\\ 1.*/");
    let page = |count_to, stop: &dyn Fn() -> bool| {
        index.search(&Asked { tree: &slow, limit: 5, before: None, count_to, stop }).unwrap()
    };
    let whole = page(1_000, &|| false);
    let exact = Total { lines: 111, kept: 111, is_estimate: false, is_exact: true };
    assert_eq!((whole.total, whole.lines.len()), (exact, 5));
    let some = page(20, &|| false);
    assert_eq!((some.total.is_exact, some.lines), (false, whole.lines.clone()));
    assert!(some.total.lines >= 20 && some.total.lines < 111);
    let stopped = page(1_000, &|| true);
    assert_eq!((stopped.partial, stopped.total.is_exact, stopped.lines.len()), (Some(Partial::Time), false, 0));
}

#[test]
fn lines_around_a_line_are_those_of_its_stream() {
    let folder = tempfile::tempdir().unwrap();
    let index = opened(folder.path());
    let mut writer = writer(&index);
    for round in 0..4 {
        add(&mut writer, "a", round * 10..(round + 1) * 10);
        add(&mut writer, "b", round * 10..(round + 1) * 10);
        writer.commit().unwrap();
    }
    let around = |at, before, behind| -> Vec<(String, u64)> {
        let lines = index.around("a", at, before, behind).unwrap();
        lines.into_iter().map(|line| (line.at.stream, line.at.position)).collect()
    };
    let of = |numbers: std::ops::Range<u64>| numbers.map(|at| ("a".to_owned(), at)).collect::<Vec<_>>();
    assert_eq!(around(19, 3, 2), of(16..22));
    assert_eq!(around(0, 3, 0), of(0..1));
    assert_eq!(around(39, 1, 9), of(38..40));
}

#[test]
fn new_lines_are_told_once_and_what_is_too_much_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let index = opened(folder.path());
    let mut writer = writer(&index);
    add(&mut writer, "a", 0..10);
    writer.commit().unwrap();
    let all = tree("service:s1");
    let after = |positions: &Positions, limit| index.after(positions, &all, limit, &|| false).unwrap();
    let first = after(&Positions::default(), 100);
    assert_eq!(first.lines.iter().map(|line| line.at.position).collect::<Vec<_>>(), [1, 4, 7]);
    assert!(after(&first.positions, 100).lines.is_empty());
    add(&mut writer, "a", 10..40);
    add(&mut writer, "b", 0..2);
    writer.commit().unwrap();
    let next = after(&first.positions, 4);
    let places: Vec<(String, u64)> = next.lines.iter().map(|line| (line.at.stream.clone(), line.at.position)).collect();
    assert_eq!(places, [("a", 31), ("a", 34), ("a", 37), ("b", 1)].map(|(stream, at)| (stream.to_owned(), at)));
    assert_eq!(next.left_out, 7);
    let id = next.positions.to_id();
    assert!(after(&Positions::from_id(&id).unwrap(), 100).lines.is_empty());
}

#[test]
fn a_damaged_part_is_told_of_and_the_others_serve() {
    let folder = tempfile::tempdir().unwrap();
    let index = opened(folder.path());
    let full = Settings { lines_max: 100, ..settings() };
    let mut writer = Writer::open(Arc::clone(&index), full, columns()).unwrap();
    for round in 0..3 {
        add(&mut writer, "a", round * 100..(round + 1) * 100);
        writer.commit().unwrap();
    }
    writer.finish().unwrap();
    drop(index);
    let newest = folder.path().join("0000000002");
    let victim = std::fs::read_dir(&newest).unwrap().map(|entry| entry.unwrap().path());
    let victim = victim.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "fast")).unwrap();
    std::fs::remove_file(victim).unwrap();
    let index = opened(folder.path());
    assert_eq!(index.damaged().len(), 1);
    assert_eq!((index.damaged()[0].0, index.lines()), (2, 200));
    // A program that ended while it made a part has left an empty folder, which is nothing to tell of.
    std::fs::create_dir(folder.path().join("0000000007")).unwrap();
    let index = opened(folder.path());
    assert_eq!((index.damaged().len(), index.lines()), (0, 200));
    // What is read again is indexed again.
    let mut writer = self::writer(&index);
    assert_eq!(writer.next("a"), 200);
    add(&mut writer, "a", 0..300);
    writer.commit().unwrap();
    assert_has(&index, &[("a", 300)]);
    assert!(newest.with_extension("damaged").exists());
}

#[test]
fn highlights_show_where_words_stand() {
    let folder = tempfile::tempdir().unwrap();
    let index = opened(folder.path());
    let mut writer = writer(&index);
    writer.add("a", 0, r#"{"message":"caf\u00e9: Card declined, card DECLINED"}"#, &told(START)).unwrap();
    writer.add("a", 1, "no JSON, but a card declined", &Told { kind: "reject", ..told(START) }).unwrap();
    writer.commit().unwrap();
    let asked = tree("\"card declined\" OR (caf\u{e9} AND NOT nowhere)");
    let page = search(&index, "declined", 10, None);
    let marks = |at: usize| -> Vec<(usize, usize)> {
        page.lines[at].highlights(&asked).into_iter().map(|(_, range)| (range.start, range.end)).collect()
    };
    assert_eq!(marks(1), [(0, 5), (7, 20), (22, 35)]);
    assert_eq!(marks(0), [(15, 28)]);
}

/// Lines with figures that are known.
fn figures(folder: &Path) -> Arc<Index> {
    let index = opened(folder);
    let mut writer = writer(&index);
    for number in 0..1_000u64 {
        let (arm, user) = (if number % 10 == 0 { "canary" } else { "stable" }, number % 50);
        let status = if number % 20 == 0 { "503" } else { "200" };
        let text = format!(
            r#"{{"service":"s{}","status":{status},"took":{number},"user":"u{user}","zone":"z{}","odd":"{}"}}"#,
            number % 3,
            number % 4,
            if number % 2 == 0 { "x".repeat(300) } else { "short".to_owned() }
        );
        let at = START + number as i64 * HOUR;
        writer
            .add("a", number, &text, &Told { arm, unit: serin::event::identity_hash(&user.to_le_bytes()), ..told(at) })
            .unwrap();
        if number % 300 == 0 {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    index
}

fn counted(index: &Index, text: &str, by: &[&str], every: Option<(i64, i64)>, metrics: &[Metric]) -> Vec<Group> {
    let (tree, by) = (tree(text), by.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let table =
        index.aggregate(&Counted { tree: &tree, by: &by, ranges: None, every, metrics, stop: &|| false }).unwrap();
    assert_eq!((table.partial, table.not_listed), (None, 0));
    assert_eq!(table.groups.iter().map(|group| group.lines).sum::<u64>(), table.lines);
    table.groups
}

#[test]
fn figures_are_those_of_the_lines() {
    let folder = tempfile::tempdir().unwrap();
    let index = figures(folder.path());
    let list = |groups: Vec<Group>| -> Vec<(Vec<String>, u64)> {
        let key = |group: &Group| group.key.iter().map(|key| key.clone().unwrap_or_default()).collect();
        groups.iter().map(|group| (key(group), group.lines)).collect()
    };
    let of = |list: &[(&[&str], u64)]| -> Vec<(Vec<String>, u64)> {
        list.iter().map(|(key, lines)| (key.iter().map(|key| (*key).to_owned()).collect(), *lines)).collect()
    };
    assert_eq!(list(counted(&index, "*", &["_arm"], None, &[])), of(&[(&["stable"], 900), (&["canary"], 100)]));
    assert_eq!(list(counted(&index, "status:>=500", &["_arm"], None, &[])), of(&[(&["canary"], 50)]));
    // A column of numbers, a field without a column, one whose values are partly in the line alone, and a missing one.
    assert_eq!(list(counted(&index, "*", &["status"], None, &[])), of(&[(&["200"], 950), (&["503"], 50)]));
    let zones = of(&[(&["z0"], 250), (&["z1"], 250), (&["z2"], 250), (&["z3"], 250)]);
    assert_eq!(list(counted(&index, "*", &["zone"], None, &[])), zones);
    let long = "x".repeat(300);
    assert_eq!(list(counted(&index, "_arm:canary", &["odd"], None, &[])), of(&[(&[long.as_str()], 100)]));
    assert_eq!(list(counted(&index, "*", &["nothing"], None, &[])), of(&[(&[""], 1_000)]));
    assert_eq!(
        list(counted(&index, "service:s1 AND zone:z2", &["service", "zone"], None, &[])),
        of(&[(&["s1", "z2"], 83)])
    );
    // Ranges of a column of numbers, within groups: each bound belongs to what lies above it.
    let (tree, by) = (tree("*"), ["_arm".to_owned()]);
    let asked = Counted {
        tree: &tree,
        by: &by,
        ranges: Some(("took", &[100.0, 500.0])),
        every: None,
        metrics: &[],
        stop: &|| false,
    };
    let ranges = of(&[
        (&["stable", "500.."], 450),
        (&["stable", "100..500"], 360),
        (&["stable", "..100"], 90),
        (&["canary", "500.."], 50),
        (&["canary", "100..500"], 40),
        (&["canary", "..100"], 10),
    ]);
    assert_eq!(list(index.aggregate(&asked).unwrap().groups), ranges);
    let of_text = Counted { ranges: Some(("zone", &[1.0])), by: &[], ..asked };
    assert_eq!(list(index.aggregate(&of_text).unwrap().groups), of(&[(&[""], 1_000)]), "a text lies in no range");
    // The canary's are each tenth: 0, 10, ..., 990.
    let metrics = [
        Metric::Quantiles("took".to_owned(), vec![0.5, 0.99, 1.0]),
        Metric::Distinct("user".to_owned()),
        Metric::Distinct("_unit".to_owned()),
        Metric::Stats("took".to_owned()),
        Metric::Distinct("zone".to_owned()),
    ];
    let groups = counted(&index, "*", &["_arm"], None, &metrics);
    let canary = groups.iter().find(|group| group.key == [Some("canary".to_owned())]).unwrap();
    assert_eq!(canary.figures[1..3], [Figure::Distinct(5), Figure::Distinct(5)]);
    assert_eq!(canary.figures[3], Figure::Stats { count: 100, min: 0.0, max: 990.0, sum: 49_500.0 });
    assert_eq!(canary.figures[4], Figure::Distinct(2));
    let Figure::Quantiles(quantiles) = &canary.figures[0] else { panic!("{canary:?}") };
    for (found, exact) in quantiles.iter().zip([490.0, 980.0, 990.0]) {
        assert!((found.unwrap() / exact - 1.0).abs() < 0.01, "{found:?} for {exact}");
    }
}

/// A line whose field holds a list is in the group of each of its values, and each value is one of a figure: as many lines as a search for
/// that value finds.
#[test]
fn each_value_of_a_list_counts() {
    let folder = tempfile::tempdir().unwrap();
    let index = opened(folder.path());
    let mut writer = writer(&index);
    let lines = [
        r#"{"service":["a","b"],"took":[1,20,300],"user":["u1","u2"],"tags":["x","y","x"],"n":[5,7]}"#,
        r#"{"service":"b","took":[300,1],"user":"u2","tags":"y","n":7}"#,
        r#"{"service":["c"],"took":2,"user":["u3",7],"tags":[],"n":[]}"#,
        r#"{"message":"none"}"#,
    ];
    for (position, line) in lines.iter().enumerate() {
        writer.add("a", position as u64, line, &told(START)).unwrap();
    }
    writer.commit().unwrap();
    let (all, stop) = (tree("*"), || false);
    let table = |by: &[&str], ranges: Option<(&str, &[f64])>, metrics: &[Metric]| {
        let by: Vec<String> = by.iter().map(|name| (*name).to_owned()).collect();
        index.aggregate(&Counted { tree: &all, by: &by, ranges, every: None, metrics, stop: &stop }).unwrap()
    };
    let groups = |by: &[&str], ranges: Option<(&str, &[f64])>| -> Vec<String> {
        let table = table(by, ranges, &[]);
        assert_eq!((table.lines, table.not_listed), (4, 0));
        let key =
            |group: &Group| group.key.iter().map(|key| key.as_deref().unwrap_or("-").to_owned()).collect::<Vec<_>>();
        let mut shown: Vec<String> =
            table.groups.iter().map(|group| format!("{} {}", key(group).join(","), group.lines)).collect();
        shown.sort();
        shown
    };
    // A column of texts, one of numbers, terms.
    assert_eq!(groups(&["service"], None), ["- 1", "a 1", "b 2", "c 1"]);
    assert_eq!(groups(&["took"], None), ["- 1", "1 2", "2 1", "20 1", "300 2"]);
    assert_eq!(groups(&["tags"], None), ["- 2", "x 1", "y 2"]);
    assert_eq!(groups(&["n", "tags"], None), ["-,- 2", "5,x 1", "5,y 1", "7,x 1", "7,y 2"]);
    assert_eq!(groups(&[], Some(("took", &[10.0, 100.0]))), ["- 1", "..10 3", "10..100 1", "100.. 2"]);
    for (path, values) in [("service", "a b c"), ("tags", "x y"), ("n", "5 7"), ("user", "u1 u2 u3 7")] {
        for value in values.split(' ') {
            let page = search(&index, &format!("{path}:{value}"), 10, None);
            let of_group = groups(&[path], None);
            assert!(of_group.contains(&format!("{value} {}", page.total.lines)), "{path} {value}: {of_group:?}");
        }
    }
    let metrics = [
        Metric::Stats("took".to_owned()),
        Metric::Stats("n".to_owned()),
        Metric::Distinct("user".to_owned()),
        Metric::Distinct("tags".to_owned()),
        Metric::Values("tags".to_owned()),
        Metric::Values("user".to_owned()),
        Metric::Stats("_time".to_owned()),
    ];
    let millis = START as f64 / 1e3;
    assert_eq!(
        table(&[], None, &metrics).groups[0].figures,
        [
            Figure::Stats { count: 6, min: 1.0, max: 300.0, sum: 624.0 },
            Figure::Stats { count: 3, min: 5.0, max: 7.0, sum: 19.0 },
            Figure::Distinct(4),
            Figure::Distinct(2),
            Figure::Values(3),
            Figure::Values(5),
            Figure::Stats { count: 4, min: millis, max: millis, sum: 4.0 * millis },
        ]
    );
    // Also those that are written as text.
    writer.add("a", 4, r#"{"service":"7","took":"9","n":"-0.5","user":"1"}"#, &told(START)).unwrap();
    writer.commit().unwrap();
    let as_text = ["took", "n", "service"].map(|path| Metric::Stats(path.to_owned()));
    assert_eq!(
        table(&[], None, &as_text).groups[0].figures,
        [
            Figure::Stats { count: 7, min: 1.0, max: 300.0, sum: 633.0 },
            Figure::Stats { count: 4, min: -0.5, max: 7.0, sum: 18.5 },
            Figure::Stats { count: 1, min: 7.0, max: 7.0, sum: 7.0 },
        ]
    );
}

/// Lines with names that no term can have are asked themselves, so that a name that nothing has is an error all the same.
#[test]
fn a_name_that_nothing_has_is_an_error_beside_odd_lines_too() {
    let folder = tempfile::tempdir().unwrap();
    let index = opened(folder.path());
    let mut writer = writer(&index);
    let long = "k".repeat(300);
    let lines = [r#"{"status":500}"#.to_owned(), r#"{"":"v"}"#.to_owned(), format!(r#"{{"{long}":"v","a\u0000b":1}}"#)];
    for (position, line) in lines.iter().enumerate() {
        writer.add("a", position as u64, line, &told(START)).unwrap();
    }
    writer.commit().unwrap();
    let resolved = |text: &str| index.resolve(&Query::parse(text).unwrap(), &Aliases::default()).unwrap();
    let unknown = resolved("staus:500").unwrap_err();
    assert_eq!(unknown.help.as_deref(), Some("did you mean `status`?"));
    for (text, lines) in [("status:500", 1), (&*format!("{long}:v"), 1)] {
        resolved(text).unwrap();
        assert_eq!(search(&index, text, 10, None).total.lines, lines, "{text}");
    }
    // A time is one however it is written.
    let exact = resolved(&format!("_time:\"{}\"", "2026-06-01T10:00:00.000Z")).unwrap();
    let asked = Asked { tree: &exact, limit: 10, before: None, count_to: 10, stop: &|| false };
    assert_eq!(index.search(&asked).unwrap().total.lines, 3);
    // A value that decoding never gives finds nothing, whatever lines there are.
    for (text, at, help) in [
        ("_kind:foo", 6..9, "request, span, log, exposure, event, reject, outside"),
        ("status:1 OR _level:ERROR", 19..24, "trace, debug, info, warn, error, fatal"),
        ("_status:500", 8..11, "1xx, 2xx, 3xx, 4xx, 5xx"),
        ("_status:>=500", 10..13, "1xx, 2xx, 3xx, 4xx, 5xx"),
        ("_latency:250ms", 9..14, "500, 1.5; in a range 250ms, 2s, too"),
        ("NOT _failed:maybe", 12..17, "true, false"),
        ("_latency:>=abc", 11..14, "500, 1.5; in a range 250ms, 2s, too"),
        ("_time:val", 6..9, "2026-06-01T10:00:00Z, now-15m"),
        ("_time:>=1767225600", 8..18, "2026-06-01T10:00:00Z, now-15m"),
        ("_latency:>=2026-01-01", 11..21, "500, 1.5; in a range 250ms, 2s, too"),
        ("user:500 AND _status:500", 21..24, "1xx, 2xx, 3xx, 4xx, 5xx"),
        ("_unit:u5", 6..8, "10 digits from 0 to f"),
    ] {
        let error = resolved(text).unwrap_err();
        assert_eq!((error.at.clone(), error.help.as_deref()), (at, Some(help)), "{text}: {error}");
    }
    for text in [
        "_kind:request",
        "_kind:re*",
        "_level:error",
        "_status:5xx",
        "_failed:false",
        "_latency:100",
        "_latency:>=1s",
        "_level>=warn",
        "_level:[warn TO error]",
    ] {
        resolved(text).unwrap();
    }
}

#[test]
fn stretches_of_time_begin_in_the_midnight_of_the_zone() {
    let folder = tempfile::tempdir().unwrap();
    let index = figures(folder.path());
    // A thousand hours from 10:00 on.
    let days = |ahead| counted(&index, "*", &[], Some((24 * HOUR, ahead)), &[]);
    let utc = days(0);
    assert_eq!((utc[0].from, utc[0].lines), (Some(START - 10 * HOUR), 14));
    assert_eq!((utc[1].from, utc[1].lines), (Some(START + 14 * HOUR), 24));
    let ahead = days(2 * HOUR);
    assert_eq!((ahead[0].from, ahead[0].lines), (Some(START - 12 * HOUR), 12));
    assert!(ahead.windows(2).all(|pair| pair[0].from < pair[1].from));
    assert_eq!(ahead.iter().map(|group| group.lines).sum::<u64>(), 1_000);
}
