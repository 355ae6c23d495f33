//! Windows, lateness and the clock guard, on hand-made and on random streams.

use super::stream::MERGE_EVERY;
use super::*;
use crate::event::{Kind, Level, NO_LATENCY, NOT_SAMPLED};
use crate::sketch::codec::{Reader, Writer};
use crate::sketch::partial::LoosePartial;
use crate::time::{SECOND, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Names that are only ever looked up in a list.
#[derive(Default)]
struct Plain(Names);

impl Intern for Plain {
    fn names(&self) -> &Names {
        &self.0
    }
    fn shared(&self) -> Arc<Names> {
        Arc::new(self.0.clone())
    }
    fn service(&mut self, environment: &str, cell: &str, service: &str) -> NameId {
        let key =
            crate::event::ServiceKey { environment: environment.into(), cell: cell.into(), service: service.into() };
        at(&mut self.0.services, key)
    }
    fn arm(&mut self, arm: &str) -> NameId {
        at(&mut self.0.arms, arm.to_owned())
    }
    fn route(&mut self, route: &str) -> NameId {
        at(&mut self.0.routes, route.to_owned())
    }
    fn instance(&mut self, instance: &str) -> NameId {
        at(&mut self.0.instances, instance.to_owned())
    }
    fn template(&mut self, id: u64, text: &[u8]) {
        at(&mut self.0.templates, crate::event::TemplateText::new(id, text));
    }
    fn segment(&mut self, field: usize, value: &str) -> NameId {
        at(&mut self.0.segments[field], value.to_owned())
    }
}

impl Plain {
    fn some_template(&mut self, unit: u64) -> u64 {
        let id = 2 + unit % 4;
        self.template(id, format!("text {id}").as_bytes());
        id
    }
}

fn at<T: PartialEq>(list: &mut Vec<T>, item: T) -> NameId {
    let at = list.iter().position(|x| *x == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    });
    at as NameId
}

/// A line of a test stream: seconds, unit, arm, or `None` for a line that is no event.
type Line = Option<(i64, u64, u8)>;

fn event(line: (i64, u64, u8), offset: u64, names: &mut Plain) -> Event {
    let (seconds, unit, arm) = line;
    Event {
        time: Timestamp(seconds * SECOND + offset as i64 % 1000),
        offset,
        unit,
        trace: unit / 3 + 1,
        request: 0,
        call: unit % 5 + 1,
        latency_us: if unit % 5 == 0 { NO_LATENCY } else { unit * 37 % 10_000 },
        service: names.service("", "", ["a", "b"][unit as usize % 2]),
        arm: names.arm(["base", "canary"][usize::from(arm)]),
        route: names.route(["/x", "/y", "/z"][unit as usize % 3]),
        // Three of five units are served by a pod that says its name.
        instance: match unit % 5 {
            pod @ 0..3 => names.instance(["pod-1", "pod-2", "pod-3"][pod as usize]),
            _ => crate::event::NO_NAME,
        },
        weight: crate::event::WEIGHT_ONE,
        sampling: NOT_SAMPLED,
        rate_unread: false,
        conversion: 0,
        metrics: crate::event::NO_METRICS,
        segments: [
            names.segment(0, ["jp", "us", "de"][unit as usize % 3]),
            names.segment(1, ["old", "new"][(seconds / 30) as usize % 2]),
            crate::event::NO_NAME,
            crate::event::NO_NAME,
        ],
        latency_form: crate::event::FieldForm::Absent,
        status_form: crate::event::FieldForm::Absent,
        kind: if unit % 7 == 0 { Kind::Log } else { Kind::Request },
        level: Level::Info,
        status_class: 2,
        error: unit % 11 == 0,
        template: if unit % 7 == 0 { names.some_template(unit) } else { crate::event::NO_TEMPLATE },
    }
}

/// The first window of a chunk.
fn first_window(chunk: FoldedChunk) -> Option<WindowPartial> {
    let names = chunk.names;
    chunk.windows.into_iter().next().map(|partial| LoosePartial::merge(0, vec![LoosePartial { partial, names }]))
}

/// Folds one stream cut at the given places.
fn fold(lines: &[Line], cuts: &[usize]) -> Vec<Passed> {
    fold_between(lines, cuts, |stream| stream)
}

/// The same; `between`: what becomes of the stream between two chunks.
fn fold_between(lines: &[Line], cuts: &[usize], between: impl Fn(StreamFold) -> StreamFold) -> Vec<Passed> {
    let windowing = Windowing::default();
    let mut stream = StreamFold::new(windowing);
    let mut passed = Vec::new();
    let mut edges: Vec<usize> = cuts.iter().copied().filter(|cut| *cut < lines.len()).collect();
    edges.push(lines.len());
    edges.sort_unstable();
    let mut from = 0;
    for (index, &until) in edges.iter().enumerate() {
        let last = index + 1 == edges.len();
        let run = |mut fold: ChunkFold<'_>| {
            let mut names = Plain::default();
            for (offset, line) in lines.iter().enumerate().take(until).skip(from) {
                match line {
                    Some(line) => {
                        let event = event(*line, offset as u64, &mut names);
                        fold.event(&event, offset as u64 + 1, &mut names);
                    }
                    None => fold.reject(RejectReason::Malformed),
                }
            }
            fold.finish(&mut names, last)
        };
        let chunk = run(ChunkFold::new(&windowing, "s", from as u64));
        passed.extend(stream.push(chunk, last.then_some(lines.len() as u64), |state| {
            run(ChunkFold::with_guard(&windowing, "s", from as u64, state.high, state.guard))
        }));
        stream = between(stream);
        from = until;
    }
    passed
}

/// A stream that was written, and read by another program.
fn saved(mut stream: StreamFold) -> StreamFold {
    let mut w = Writer::default();
    stream.write(&mut w);
    let mut r = Reader::new(&w.bytes);
    let again = StreamFold::read(Windowing::default(), &mut r).unwrap();
    r.end().unwrap();
    again
}

fn totals(passed: &[Passed]) -> Tally {
    let mut all = Tally::default();
    passed.iter().for_each(|p| all.add(&p.partial.tally));
    all
}

#[test]
fn a_line_behind_the_watermark_is_late_and_counted() {
    let mut lines: Vec<Line> = (0..40).map(|s| Some((1_000_000 + s, 1, 0))).collect();
    lines.push(Some((1_000_005, 2, 1)));
    let passed = fold(&lines, &[]);
    let tally = totals(&passed);
    assert_eq!((tally.records, tally.on_time, tally.late), (41, 40, 1));
    // Counted where it arrived: the oldest window open once 1,000,039 had been seen is that of 1,000,029.
    let arrival = passed.iter().find(|p| p.partial.cells.iter().any(|(_, _, c)| c.late > 0)).unwrap();
    assert_eq!(arrival.partial.window, 100_002);
    let windows: Vec<i64> = passed.iter().map(|p| p.partial.window).collect();
    assert_eq!(windows, [i64::MIN, 99_999, 100_000, 100_001, 100_002, 100_003], "records count where they arrive");
}

#[test]
fn wn_3_one_line_from_the_future_makes_nothing_late() {
    let mut lines: Vec<Line> = (0..30).map(|s| Some((1_000_000 + s, 1, 0))).collect();
    lines.insert(10, Some((4_000_000_000, 9, 0)));
    for cuts in [vec![], vec![5], vec![10], vec![11], vec![3, 10, 12, 20]] {
        let tally = totals(&fold(&lines, &cuts));
        assert_eq!((tally.on_time, tally.late, tally.rejects[RejectReason::Quarantined as usize]), (30, 0, 1));
    }
}

#[test]
fn wn_3_a_first_line_from_the_future_makes_nothing_late() {
    let mut lines: Vec<Line> = (0..30).map(|s| Some((1_000_000 + s, 1, 0))).collect();
    lines.insert(0, Some((4_000_000_000, 9, 0)));
    let tally = totals(&fold(&lines, &[1]));
    assert_eq!((tally.on_time, tally.late, tally.rejected()), (30, 0, 1));
}

#[test]
fn a_real_gap_is_believed_once_lines_agree() {
    let mut lines: Vec<Line> = (0..30).map(|s| Some((1_000_000 + s, 1, 0))).collect();
    lines.extend((0..30).map(|s| Some((1_010_000 + s, 1, 0))));
    let tally = totals(&fold(&lines, &[7, 35, 48]));
    assert_eq!((tally.on_time, tally.late, tally.rejected()), (60, 0, 0));
    // At the end of a stream two lines agree with each other; one alone is not believed.
    let tally = totals(&fold(&lines[..32], &[]));
    assert_eq!((tally.on_time, tally.rejected()), (32, 0));
    let tally = totals(&fold(&lines[..31], &[]));
    assert_eq!((tally.on_time, tally.rejected()), (30, 1));
}

#[test]
fn sparse_streams_lose_nothing() {
    let lines: Vec<Line> = (0..200).map(|i| Some((1_000_000 + i * 400, 1, 0))).collect();
    let tally = totals(&fold(&lines, &[50, 51, 120]));
    assert_eq!((tally.on_time, tally.rejected()), (200, 0));
}

#[test]
fn an_empty_stream_passes_its_rejects() {
    let tally = totals(&fold(&[None, None], &[1]));
    assert_eq!((tally.records, tally.rejects[RejectReason::Malformed as usize]), (2, 2));
    assert!(fold(&[], &[]).is_empty());
}

#[test]
fn what_chunks_saw_of_a_unit_is_joined() {
    let windowing = Windowing::default();
    let part = |classes: &[u8]| {
        let mut names = Plain::default();
        let mut fold = ChunkFold::new(&windowing, "s", 0);
        for (offset, class) in classes.iter().enumerate() {
            let plain = event((1_000_000, 1, 0), offset as u64, &mut names);
            fold.event(&Event { status_class: *class, level: Level::Warn, ..plain }, offset as u64 + 1, &mut names);
        }
        first_window(fold.finish(&mut names, false)).unwrap()
    };
    let merged = WindowPartial::merge(100_000, [part(&[2, 4]), part(&[5])]);
    let classes: Vec<u8> = merged.pairs.as_slice().iter().map(|row| row.classes).collect();
    assert_eq!(classes, [1 << 2 | 1 << 4 | 1 << 5]);
    let warned: u64 = merged.cells.iter().flat_map(|(_, _, cell)| cell.warnings.iter()).map(|(_, _, n)| n).sum();
    assert_eq!(warned, 3);
}

/// Streams with disorder, gaps, jumps of single clocks and lines that are no events.
fn streams() -> impl Strategy<Value = Vec<Line>> {
    let step = prop_oneof![
        40 => 0i64..3,
        4 => -30i64..0,
        1 => 200i64..2000,
    ];
    proptest::collection::vec((step, 0u64..60, 0u8..2, 0u8..40, 0u8..60), 0..160).prop_map(|steps| {
        let mut now = 1_000_000i64;
        steps
            .into_iter()
            .map(|(step, unit, arm, bad, wrong)| {
                now += step;
                if bad == 0 {
                    None
                } else if wrong == 0 {
                    Some((now + 1_000_000, unit, arm))
                } else {
                    Some((now, unit, arm))
                }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(265), ..ProptestConfig::default() })]

    /// WN-1, EV-2, WN-2: what passes is the same however the stream is cut, and nothing vanishes.
    #[test]
    fn wn_1_chunks_do_not_matter(lines in streams(), cuts in proptest::collection::vec(0usize..160, 0..8)) {
        let whole = fold(&lines, &[]);
        let cut = fold(&lines, &cuts);
        prop_assert_eq!(&whole, &cut);
        prop_assert_eq!(&whole, &fold_between(&lines, &cuts, saved));
        let tally = totals(&whole);
        prop_assert!(tally.balances());
        prop_assert_eq!(tally.records, lines.len() as u64);
        let counted: u64 = whole.iter().flat_map(|p| &p.partial.cells).map(|(_, _, c)| c.lines).sum();
        let late: u64 = whole.iter().flat_map(|p| &p.partial.cells).map(|(_, _, c)| c.late).sum();
        prop_assert_eq!((counted, late), (tally.on_time, tally.late));
        prop_assert!(whole.is_sorted_by(|a, b| a.partial.window < b.partial.window && a.at <= b.at));
    }

    /// SK-1: merging in any grouping and order gives the same partial, and encoding loses nothing.
    #[test]
    fn sk_1_merge_is_commutative_and_associative(lines in streams(), order in proptest::collection::vec(any::<u32>(), 8)) {
        let parts: Vec<WindowPartial> = lines
            .chunks(20)
            .enumerate()
            .map(|(chunk, lines)| {
                let windowing = Windowing { window: 3_600 * SECOND, ..Windowing::default() };
                let mut names = Plain::default();
                let mut fold = ChunkFold::new(&windowing, "s", 0);
                for (offset, line) in lines.iter().enumerate() {
                    if let Some((_, unit, arm)) = line {
                        let offset = (chunk * 20 + offset) as u64;
                        let event = event((1_000_000, *unit, *arm), offset, &mut names);
                        fold.event(&event, offset + 1, &mut names);
                    }
                }
                first_window(fold.finish(&mut names, false)).unwrap_or_else(|| WindowPartial::new(277))
            })
            .collect();
        let together = WindowPartial::merge(277, parts.clone());
        let mut shuffled: Vec<_> = parts.clone().into_iter().zip(order.iter().cycle()).collect();
        shuffled.sort_by_key(|(_, key)| **key);
        let shuffled = WindowPartial::merge(277, shuffled.into_iter().map(|(p, _)| p));
        prop_assert_eq!(&together, &shuffled);
        let (left, right) = parts.split_at(parts.len() / 2);
        let nested = WindowPartial::merge(277, [
            WindowPartial::merge(277, right.to_vec()),
            WindowPartial::merge(277, left.to_vec()),
            WindowPartial::new(277),
        ]);
        prop_assert_eq!(&together, &nested);
        prop_assert_eq!(&WindowPartial::decode(&together.encode()).unwrap(), &together);
    }
}

#[test]
fn a_stream_that_was_moved_on_takes_what_lies_before_as_late() {
    let windowing = Windowing::default();
    let mut stream = StreamFold::new(windowing);
    let push = |stream: &mut StreamFold, lines: &[(i64, u64)], end: Option<u64>| {
        let run = |mut fold: ChunkFold<'_>| {
            let mut names = Plain::default();
            for (seconds, offset) in lines {
                fold.event(&event((*seconds, 1, 0), *offset, &mut names), offset + 1, &mut names);
            }
            fold.finish(&mut names, end.is_some())
        };
        let from = lines.first().map_or(0, |line| line.1);
        stream.push(run(ChunkFold::new(&windowing, "s", from)), end, |state| {
            run(ChunkFold::with_guard(&windowing, "s", from, state.high, state.guard))
        })
    };
    let window = |seconds: i64| windowing.window_of(Timestamp(seconds * SECOND));
    // A first line is believed once others agree.
    let lines: Vec<(i64, u64)> = (0..30).map(|offset| (1_000, offset)).collect();
    let mut all = push(&mut stream, &lines, None);
    let passed = stream.advance(window(1_100), 30);
    assert!(passed.iter().any(|p| p.partial.window == window(1_000)) && passed.iter().all(|p| p.at == 30));
    all.extend(passed);
    assert_eq!(stream.oldest_open(), window(1_100));
    assert!(stream.advance(window(1_050), 30).is_empty() && stream.oldest_open() == window(1_100), "never back");
    all.extend(push(&mut stream, &[(1_001, 30)], None));
    all.extend(push(&mut stream, &[(1_002, 31), (1_105, 32)], Some(33)));
    let count = |what: fn(&Tally) -> u64| all.iter().map(|p| what(&p.partial.tally)).sum::<u64>();
    assert_eq!((count(|t| t.late), count(|t| t.on_time), count(|t| t.records)), (2, 31, 33));
    assert!(all.windows(2).all(|pair| pair[0].partial.window < pair[1].partial.window), "ascending");
}

#[test]
fn lines_that_were_held_are_believed_as_one_that_agrees_with_them() {
    let windowing = Windowing::default();
    let run = |mut fold: ChunkFold<'_>, lines: &[(i64, u64)]| {
        let mut names = Plain::default();
        for (seconds, offset) in lines {
            fold.event(&event((*seconds, 1, 0), *offset, &mut names), offset + 1, &mut names);
        }
        fold.finish(&mut names, false)
    };
    let lines: Vec<(i64, u64)> = (0..12).map(|at| (1_000 + at * 20, at as u64)).collect();
    let mut stream = StreamFold::new(windowing);
    let guarded = ChunkFold::with_guard(&windowing, "s", 0, i64::MIN, ClockGuard::default());
    let held = stream.push(run(guarded, &lines), None, |_| unreachable!("it was folded behind the guard"));
    assert_eq!((held.len(), stream.held_until()), (0, (Some(1_220 * SECOND + 11), i64::MIN)));
    let passed = stream.believe(|state| {
        let mut names = Plain::default();
        let mut fold = ChunkFold::with_guard(&windowing, "s", 12, state.high, state.guard);
        fold.believe(&mut names);
        fold.finish(&mut names, false)
    });
    assert_eq!(stream.held_until(), (None, 1_220 * SECOND + 11));
    assert_eq!(stream.held().count(), 0);
    // Each is counted where it arrived: the last while the window before its own was open.
    let taken: u64 = passed.iter().map(|p| p.partial.tally.on_time).sum();
    assert_eq!(taken, 12);
    // It goes on as if each had been believed when it came.
    let mut another = StreamFold::new(windowing);
    let more: Vec<(i64, u64)> = (12..40).map(|at| (1_000 + at * 20, at as u64)).collect();
    let together: Vec<(i64, u64)> = lines.iter().chain(&more).copied().collect();
    let of = |stream: &mut StreamFold, lines: &[(i64, u64)]| {
        let from = lines[0].1;
        stream.push(run(ChunkFold::new(&windowing, "s", from), lines), Some(40), |state| {
            run(ChunkFold::with_guard(&windowing, "s", from, state.high, state.guard), lines)
        })
    };
    let records =
        |passed: &[Passed]| passed.iter().map(|p| (p.partial.window, p.partial.tally.on_time)).collect::<Vec<_>>();
    let parts = [passed, of(&mut stream, &more)].concat();
    assert_eq!(records(&parts), records(&of(&mut another, &together)));
}

#[test]
fn a_long_window_is_merged_early_and_is_the_same() {
    let lines: Vec<Line> =
        (0..150_000).map(|at| Some((1_000_800 + at / 50, at as u64 * 7 % 500, (at % 500 / 250) as u8))).collect();
    let windowing = Windowing { window: 3_600 * SECOND, ..Windowing::default() };
    let fold = |chunk: usize| {
        let mut stream = StreamFold::new(windowing);
        let mut most_rows = 0;
        let mut passed = Vec::new();
        let chunks = lines.chunks(chunk).count();
        for (number, lines) in lines.chunks(chunk).enumerate() {
            let from = number * chunk;
            let last = number + 1 == chunks;
            let run = |mut fold: ChunkFold<'_>| {
                let mut names = Plain::default();
                for (offset, line) in (from as u64..).zip(lines) {
                    if let Some(line) = line {
                        let event = event(*line, offset, &mut names);
                        fold.event(&event, offset + 1, &mut names);
                    }
                }
                fold.finish(&mut names, last)
            };
            let folded = run(ChunkFold::new(&windowing, "s", from as u64));
            passed.extend(stream.push(folded, last.then_some(150_000), |state| {
                run(ChunkFold::with_guard(&windowing, "s", from as u64, state.high, state.guard))
            }));
            most_rows = most_rows.max(stream.open.values().map(|window| window.rows).max().unwrap_or(0));
        }
        (passed, most_rows)
    };
    let (whole, _) = fold(150_000);
    let (cut, most_rows) = fold(10_000);
    assert_eq!(whole, cut);
    assert!(most_rows < MERGE_EVERY + 100_000, "{most_rows}");
}
