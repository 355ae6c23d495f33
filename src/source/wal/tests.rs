use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// Payloads of a log, in order.
fn all(reader: &mut WalReader) -> Vec<(u64, Vec<u8>)> {
    std::iter::from_fn(|| reader.next(Duration::ZERO).unwrap()).collect()
}

fn filled(folder: &Path, payloads: &[&str]) {
    let Opened { wal, mut reader, .. } = Wal::open(folder).unwrap();
    let mut at = 0;
    for payload in payloads {
        let appended = runtime().block_on(wal.append(0, payload.as_bytes().to_vec())).unwrap();
        assert_eq!(appended, Appended::Record(at));
        at += payload.len() as u64;
    }
    assert_eq!(all(&mut reader).len(), payloads.len());
}

#[test]
fn what_was_answered_is_there_after_every_way_to_tear_the_end() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), &["one", "two", "three"]);
    let path = segment(folder.path(), 0);
    let whole = std::fs::read(&path).unwrap();
    let last = whole.len() - (RECORD_HEADER + 5);
    for cut in last..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let Opened { wal, mut reader, torn, .. } = Wal::open(folder.path()).unwrap();
        assert_eq!(torn as usize, cut - last);
        assert_eq!(all(&mut reader), [(0, b"one".to_vec()), (3, b"two".to_vec())]);
        let appended = runtime().block_on(wal.append(0, b"next".to_vec())).unwrap();
        assert_eq!(appended, Appended::Record(6));
        assert_eq!(all(&mut reader), [(6, b"next".to_vec())]);
    }
    // Zeros behind the end, as a file system may leave them.
    std::fs::write(&path, [&whole[..last], &[0; 40]].concat()).unwrap();
    assert_eq!(Wal::open(folder.path()).map(|opened| opened.torn).unwrap(), 40);
}

#[test]
fn what_lies_behind_is_removed_and_reading_goes_on_where_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    // Each payload fills a segment.
    let payload = |letter: &str| letter.repeat(PAYLOAD_MAX - 1) + "\n";
    let payloads = ["a", "b", "c"].map(payload);
    filled(folder.path(), &payloads.each_ref().map(String::as_str));
    let size = PAYLOAD_MAX as u64;
    assert_eq!(segments(folder.path()).unwrap(), [0, size, 2 * size]);
    assert_eq!(trim(folder.path(), 2 * size, size + 1).unwrap(), 0, "more is to be kept");
    assert_eq!(trim(folder.path(), size - 1, 0).unwrap(), 0, "not all of it lies before");
    assert_eq!(trim(folder.path(), 3 * size, size).unwrap(), 2);
    let Opened { mut reader, .. } = Wal::open(folder.path()).unwrap();
    assert_eq!(reader.first().unwrap(), 2 * size);
    assert!(reader.skip_to(size).is_err() && reader.skip_to(2 * size + 7).is_err());
    reader.skip_to(3 * size).unwrap();
    assert!(reader.is_at_end());
    reader.skip_to(2 * size).unwrap();
    assert_eq!(all(&mut reader), [(2 * size, payloads[2].as_bytes().to_vec())]);
    assert_eq!(trim(folder.path(), u64::MAX, 0).unwrap(), 0, "the last segment stays");
}

#[test]
fn damage_before_the_end_is_an_error_and_never_a_shorter_log() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), &["one", "two", "three"]);
    let path = segment(folder.path(), 0);
    let whole = std::fs::read(&path).unwrap();
    // Any byte of the first two records.
    for at in HEADER as usize..whole.len() - (RECORD_HEADER + 5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        let opened = Wal::open(folder.path());
        let kept = opened.map(|opened| opened.torn);
        assert!(kept.is_err(), "byte {at}: {kept:?}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    std::fs::write(&path, b"SERINWAX\x01").unwrap();
    assert!(matches!(Wal::open(folder.path()), Err(WalError::Unknown(_))));
}

/// The last record is no last write that did not come to disk, once it has been read: it is damaged, and stays as it is.
#[test]
fn what_was_read_is_not_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), &["one", "two", "three"]);
    let path = segment(folder.path(), 0);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let refused = Wal::open_read(folder.path(), 11).err();
    assert!(matches!(refused, Some(WalError::Damaged(_, 6))), "{refused:?}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    let opened = Wal::open_read(folder.path(), 6).unwrap();
    assert!(opened.torn > 0 && std::fs::read(&path).unwrap().len() < bytes.len());
}

#[test]
fn a_group_that_came_to_disk_in_parts_was_never_answered() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), &["one"]);
    let path = segment(folder.path(), 0);
    let before = std::fs::read(&path).unwrap();
    let mut group = Vec::new();
    for at in [3, 4, 5] {
        put_record(&mut group, &Place { at, group: 3, key: 0 }, b"", b"x");
    }
    // The page with the second record was lost.
    let one = RECORD_HEADER + 1;
    group[one..2 * one].fill(0);
    std::fs::write(&path, [before.clone(), group.clone()].concat()).unwrap();
    let Opened { mut reader, torn, .. } = Wal::open(folder.path()).unwrap();
    assert_eq!((torn as usize, all(&mut reader).len()), (2 * one, 2));
    // With a later group behind it, it was.
    put_record(&mut group, &Place { at: 6, group: 6, key: 0 }, b"", b"y");
    std::fs::write(&path, [before, group].concat()).unwrap();
    assert!(matches!(Wal::open(folder.path()), Err(WalError::Damaged(_, 4))));
}

#[test]
fn a_payload_that_comes_again_is_known_by_its_key_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let append = |wal: &Wal, key| runtime().block_on(wal.append(key, b"x".to_vec())).unwrap();
    let Opened { wal, .. } = Wal::open(folder.path()).unwrap();
    assert_eq!(
        (append(&wal, 7), append(&wal, 8), append(&wal, 7)),
        (Appended::Record(0), Appended::Record(1), Appended::Repeated(0))
    );
    assert_eq!((append(&wal, 0), append(&wal, 0)), (Appended::Record(2), Appended::Record(3)));
    let Opened { wal, mut reader, .. } = Wal::open(folder.path()).unwrap();
    assert_eq!(append(&wal, 8), Appended::Repeated(1));
    assert_eq!(all(&mut reader).len(), 4);
}

#[test]
fn segments_follow_each_other_and_a_missing_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let big = vec![b'x'; 40 << 20];
    let Opened { wal, mut reader, .. } = Wal::open(folder.path()).unwrap();
    let places = [0, 1, 2, 3].map(|number| number * big.len() as u64);
    for at in places {
        let appended = runtime().block_on(wal.append(0, big.clone())).unwrap();
        assert_eq!(appended, Appended::Record(at));
    }
    assert_eq!(all(&mut reader).iter().map(|(at, _)| *at).collect::<Vec<_>>(), places);
    assert_eq!(segments(folder.path()).unwrap(), [0, places[2]]);
    let Opened { mut reader, .. } = Wal::open(folder.path()).unwrap();
    assert_eq!(all(&mut reader).len(), 4);
    std::fs::rename(segment(folder.path(), places[2]), segment(folder.path(), places[2] + 1)).unwrap();
    assert!(matches!(Wal::open(folder.path()), Err(WalError::Gap(..))));
}

#[test]
fn more_than_may_wait_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let Opened { wal, .. } = Wal::open(folder.path()).unwrap();
    let held = Arc::clone(&wal.room).try_acquire_many_owned((WAITING_BYTES - 2) as u32).unwrap();
    let refused = runtime().block_on(wal.append(0, b"three".to_vec()));
    assert!(matches!(refused, Err(AppendError::Full)));
    drop(held);
    assert!(runtime().block_on(wal.append(0, b"three".to_vec())).is_ok());
}

#[test]
fn a_note_stays_when_the_segment_is_removed_in_which_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let Opened { wal, .. } = Wal::open(folder.path()).unwrap();
    let big = vec![b'x'; PAYLOAD_MAX];
    runtime().block_on(wal.append_noted(0, b"place".to_vec(), big.clone())).unwrap();
    for _ in 0..2 {
        runtime().block_on(wal.append(0, big.clone())).unwrap();
    }
    assert_eq!(trim(folder.path(), u64::MAX, 0).unwrap(), 2);
    assert_eq!(Wal::open(folder.path()).unwrap().note, b"place");
}

/// How far somebody has come elsewhere lasts with what was brought, and as long.
#[test]
fn the_last_note_is_that_of_the_last_whole_record() {
    let folder = tempfile::tempdir().unwrap();
    let append = |wal: &Wal, note: &str, payload: &str| {
        runtime().block_on(wal.append_noted(0, note.as_bytes().to_vec(), payload.as_bytes().to_vec())).unwrap()
    };
    let Opened { wal, note, mut reader, .. } = Wal::open(folder.path()).unwrap();
    assert!(note.is_empty());
    append(&wal, "first", "a\n");
    append(&wal, "", "b\n");
    append(&wal, "second", "c\n");
    assert_eq!(wal.unread(), 6);
    assert_eq!(all(&mut reader).len(), 3);
    assert_eq!(wal.unread(), 0);
    let path = segment(folder.path(), 0);
    let whole = std::fs::read(&path).unwrap();
    // Any byte of the last record is missing: then its note is too.
    for cut in 1..RECORD_HEADER + 8 {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        assert_eq!(Wal::open(folder.path()).unwrap().note, b"first");
    }
    std::fs::write(&path, &whole).unwrap();
    // A segment that was begun before the power went holds none, and what holds it is not taken for old.
    begin(folder.path(), 6).unwrap();
    let Opened { note, .. } = Wal::open(folder.path()).unwrap();
    assert_eq!(note, b"second");
    assert_eq!(trim(folder.path(), u64::MAX, 0).unwrap(), 0);
    assert_eq!(Wal::open(folder.path()).unwrap().note, b"second");
}

#[test]
fn lines_that_are_erased_are_blanks_and_all_others_keep_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let Opened { wal, reader, .. } = Wal::open(folder.path()).unwrap();
    let put = |text: &str, note: &str| {
        runtime().block_on(wal.append_noted(0, note.as_bytes().to_vec(), text.as_bytes().to_vec())).unwrap()
    };
    put("ann 1\nbob 2\n", "places");
    put("ann 3\n", "");
    let end = wal.end();
    assert_eq!(runtime().block_on(wal.cut()).unwrap(), end);
    assert_eq!(runtime().block_on(wal.cut()).unwrap(), end, "a segment without a record is begun once");
    put("ann 4\n", "");
    let is_ann = |_: u64, line: &[u8]| line.starts_with(b"ann");
    let found = erasable(folder.path(), end, &mut { is_ann }).unwrap();
    assert_eq!(found, Erasable { lines: 2, first: Some(0) });
    // A file beside that a program left which ended there is written over.
    std::fs::write(segment(folder.path(), 0).with_extension("erasing"), "half").unwrap();
    assert_eq!(erase(folder.path(), end, &mut { is_ann }).unwrap(), 1);
    assert_eq!(erase(folder.path(), end, &mut { is_ann }).unwrap(), 0, "there is nothing more");
    let expect = [(0, b"     \nbob 2\n".to_vec()), (12, b"     \n".to_vec()), (18, b"ann 4\n".to_vec())];
    assert_eq!(all(&mut reader.again()), expect);
    put("bob 5\n", "");
    drop(wal);
    let Opened { mut reader, note, torn, .. } = Wal::open(folder.path()).unwrap();
    assert_eq!((note.as_slice(), torn), (&b"places"[..], 0), "the note lasts");
    assert_eq!(all(&mut reader).len(), 4);
    assert!(std::fs::read(segment(folder.path(), 0)).unwrap().windows(3).all(|three| three != b"ann"));
}
