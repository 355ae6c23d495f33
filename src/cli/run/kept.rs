//! Reports as they were, for whoever follows a link later (`asof`).
//!
//! Closed windows are not kept, so an earlier report cannot be computed while the program runs: it is kept as it was shown, with the
//! courses of its charts and the rollouts as they stood. On disk are a report for each change of a verdict, one for every ten
//! minutes in which there was another one, and each that somebody made a link to. That somebody does is seen by the question for it:
//! what was shown in the last minutes is in memory, and what is asked for of that is written down.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use crate::cli::report::{Judged, Report};
use crate::cli::run::course::{self, CourseOf};
use crate::cli::run::hooks::clock_ms;
use crate::cli::run::http::Shared;
use crate::compare::verdict::Finding;
use crate::pipeline::clock::parse_time;
use crate::time::Timestamp;

/// The header of a report by which it can be asked for later.
pub(super) const HEADER: &str = "serin-asof";
/// Where they are in the folder of the state.
const FOLDER: &str = "reports";
/// Bytes of them on disk; the oldest go first.
const BYTES_MAX: u64 = 1 << 30;
/// While no verdict changes, one is written so often.
const EVERY_MS: i64 = 10 * 60_000;
/// Bytes of those that were shown lately, packed.
const RECENT_BYTES: usize = 24 << 20;
/// Longest document.
const DOCUMENT_MAX: usize = 256 << 20;
/// How they are packed: little work, since it is done while a report is shown.
const LEVEL: i32 = 1;

/// A report as it is shown.
#[derive(Clone)]
pub(super) struct Shown {
    /// The clock when it was made, in milliseconds since 1970; no two have the same.
    pub at_ms: i64,
    pub report: Arc<str>,
    pub courses: Arc<[CourseOf]>,
}

/// Tells how rollouts stand, and how many events of timelines there were.
type Rollouts = dyn Fn() -> (Value, u64) + Send + Sync;

/// Reports as they were.
#[derive(Default)]
pub(super) struct Kept {
    rollouts: OnceLock<Box<Rollouts>>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Where; nowhere before it is opened.
    folder: Option<PathBuf>,
    keep_ms: i64,
    /// Bytes of each on disk, by its time.
    files: BTreeMap<i64, u64>,
    bytes: u64,
    /// What was shown lately, packed.
    recent: VecDeque<(i64, Arc<[u8]>)>,
    recent_bytes: usize,
    /// What verdicts were at the last that was written for its own sake, and when that was.
    written: Option<(u64, i64)>,
    /// The last time that was given.
    stamp: i64,
    /// Why the last one was not written, where that is so.
    trouble: Option<String>,
}

impl Inner {
    fn path(&self, at_ms: i64) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{at_ms}.json.zst")))
    }

    fn write(&mut self, at_ms: i64, packed: &[u8]) -> std::io::Result<()> {
        let Some(path) = self.path(at_ms) else { return Ok(()) };
        if self.files.contains_key(&at_ms) {
            return Ok(());
        }
        let part = path.with_extension("part");
        let done = write_own(&part, packed).and_then(|()| std::fs::rename(&part, &path));
        self.trouble = done.as_ref().err().map(|error| format!("a report could not be kept: {error}"));
        done?;
        self.files.insert(at_ms, packed.len() as u64);
        self.bytes += packed.len() as u64;
        self.tidy(clock_ms());
        Ok(())
    }

    /// Removes what is too old, and the oldest while there is too much; the latest stays.
    fn tidy(&mut self, now_ms: i64) {
        while let Some((&first, &bytes)) = self.files.first_key_value() {
            let is_old = first < now_ms.saturating_sub(self.keep_ms);
            if self.files.len() <= 1 || !(is_old || self.bytes > BYTES_MAX) {
                return;
            }
            if let Some(path) = self.path(first) {
                // One that cannot be removed is looked for again after a restart.
                let _may_be_gone = std::fs::remove_file(path);
            }
            self.files.remove(&first);
            self.bytes -= bytes;
        }
    }

    fn remember(&mut self, at_ms: i64, packed: &Arc<[u8]>) {
        if self.recent.back().is_some_and(|(last, _)| *last >= at_ms) {
            return;
        }
        self.recent_bytes += packed.len();
        self.recent.push_back((at_ms, Arc::clone(packed)));
        while self.recent_bytes > RECENT_BYTES && self.recent.len() > 1 {
            let Some((_, gone)) = self.recent.pop_front() else { return };
            self.recent_bytes -= gone.len();
        }
    }
}

/// Writes a file that its owner alone reads.
fn write_own(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

impl Kept {
    fn with<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        what(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Finds what is in the folder of a state. `rollouts`: how they stand.
    pub(super) fn open(
        &self,
        state: &Path,
        keep: Duration,
        rollouts: impl Fn() -> (Value, u64) + Send + Sync + 'static,
    ) -> std::io::Result<()> {
        // It is opened once.
        let _first = self.rollouts.set(Box::new(rollouts));
        let folder = state.join(FOLDER);
        std::fs::create_dir_all(&folder)?;
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let at = name.to_str().and_then(|name| name.strip_suffix(".json.zst")?.parse::<i64>().ok());
            if let Some(at) = at {
                files.insert(at, entry.metadata()?.len());
            }
        }
        self.with(|inner| {
            inner.bytes = files.values().sum();
            inner.files = files;
            inner.folder = Some(folder);
            inner.keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
            inner.tidy(clock_ms());
        });
        Ok(())
    }

    /// The time of a report that is made now.
    pub(super) fn stamp(&self) -> i64 {
        self.with(|inner| {
            inner.stamp = clock_ms().max(inner.stamp + 1);
            inner.stamp
        })
    }

    fn packed(&self, of: &Shown) -> Option<Arc<[u8]>> {
        let (rollouts, events) = self.rollouts.get()?();
        let head = json!({
            "asof": time_of(of.at_ms),
            "events": events,
            "courses": of.courses.iter().map(course::to_json).collect::<Vec<_>>(),
            "rollouts": rollouts,
        })
        .to_string();
        // The report is text already.
        let open = head.strip_suffix('}').unwrap_or(&head);
        let text = format!("{open},\"report\":{}}}", of.report.trim_end());
        zstd::bulk::compress(text.as_bytes(), LEVEL).ok().map(Arc::from)
    }

    /// Somebody was shown this.
    pub(super) fn seen(&self, of: &Shown) {
        let is_known = |inner: &mut Inner| inner.recent.back().is_some_and(|(last, _)| *last >= of.at_ms);
        if self.with(is_known) {
            return;
        }
        if let Some(packed) = self.packed(of) {
            self.with(|inner| inner.remember(of.at_ms, &packed));
        }
    }

    /// There is another report. `verdicts`: what it says, as a hash.
    pub(super) fn judged(&self, of: &Shown, verdicts: u64) {
        let is_due = |inner: &mut Inner| {
            inner.folder.is_some()
                && inner.written.is_none_or(|(before, at)| before != verdicts || of.at_ms - at >= EVERY_MS)
        };
        if !self.with(is_due) {
            return;
        }
        let Some(packed) = self.packed(of) else { return };
        self.with(|inner| {
            inner.remember(of.at_ms, &packed);
            // Trouble is told where it is asked for; no decision waits for this.
            if inner.write(of.at_ms, &packed).is_ok() {
                inner.written = Some((verdicts, of.at_ms));
            }
        });
    }

    /// The latest one that is not from after a time, and its document; once it was asked for it is on disk.
    fn find(&self, at_ms: i64) -> std::io::Result<Option<Vec<u8>>> {
        let packed = self.with(|inner| {
            let recent = inner.recent.iter().rev().find(|(of, _)| *of <= at_ms).cloned();
            let file = inner.files.range(..=at_ms).next_back().map(|(of, _)| *of);
            match (recent, file) {
                (Some((of, packed)), file) if file.is_none_or(|file| file <= of) => {
                    inner.write(of, &packed)?;
                    Ok(Some(packed.to_vec()))
                }
                (_, Some(of)) => inner.path(of).map(std::fs::read).transpose(),
                (_, None) => Ok(None),
            }
        })?;
        packed.map(|packed| zstd::bulk::decompress(&packed, DOCUMENT_MAX)).transpose()
    }

    /// What Status shows.
    pub(super) fn status(&self) -> Value {
        self.with(|inner| {
            json!({
                "kept": inner.files.len(),
                "bytes": inner.bytes,
                "oldest": inner.files.first_key_value().map(|(at, _)| time_of(*at)),
                "keep_seconds": inner.keep_ms / 1_000,
                "bytes_max": BYTES_MAX,
                "trouble": inner.trouble,
            })
        })
    }
}

/// What a report says, as a hash: which verdicts there are, and what each rests on.
pub(super) fn verdicts(report: &Report<'_>) -> u64 {
    let one = |judged: &Judged<'_>| {
        let of = judged.comparison;
        let findings: Vec<Finding> = judged.rows.iter().map(|row| row.finding).collect();
        format!("{:?}", (&judged.service, &of.candidate, of.look.verdict, of.end.is_some(), findings))
    };
    xxh3_64(report.comparisons.iter().map(one).collect::<Vec<_>>().join("\n").as_bytes())
}

/// A time of the clock as text.
pub(super) fn time_of(at_ms: i64) -> String {
    Timestamp(at_ms.saturating_mul(1_000)).to_string()
}

/// Which time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    at: String,
}

/// `GET /v1/asof`.
pub(super) async fn answer(State(shared): State<Arc<Shared>>, Query(asked): Query<Asked>) -> Response {
    let problem = |status: StatusCode, words: String| (status, axum::Json(json!({ "error": words }))).into_response();
    let Ok(at) = parse_time(&asked.at) else {
        return problem(StatusCode::BAD_REQUEST, "at: a time is needed, for example 2026-06-01T10:00:00Z".to_owned());
    };
    // It reads from disk.
    let of = Arc::clone(&shared);
    let found = tokio::task::spawn_blocking(move || of.kept.find(at.0.div_euclid(1_000))).await;
    match found {
        Ok(Ok(Some(document))) => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
        Ok(Ok(None)) => {
            let status = shared.kept.status();
            let oldest = status["oldest"].as_str().map_or_else(
                || "none is kept yet".to_owned(),
                |oldest| format!("the oldest that is kept is of {oldest}"),
            );
            problem(StatusCode::NOT_FOUND, format!("no report of that time or before is kept; {oldest}"))
        }
        Ok(Err(error)) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, format!("the report cannot be kept or read: {error}"))
        }
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the reading has died".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path, keep: Duration) -> Kept {
        let kept = Kept::default();
        kept.open(folder, keep, || (json!([{ "id": "web" }]), 7)).unwrap();
        kept
    }

    fn shown(at_ms: i64, words: &str) -> Shown {
        Shown { at_ms, report: format!("{{\"words\":\"{words}\"}}\n").into(), courses: Arc::new([]) }
    }

    fn words(kept: &Kept, at_ms: i64) -> Option<String> {
        let document = kept.find(at_ms).unwrap()?;
        let value: Value = serde_json::from_slice(&document).unwrap();
        assert_eq!((&value["events"], &value["rollouts"][0]["id"]), (&json!(7), &json!("web")));
        value["report"]["words"].as_str().map(str::to_owned)
    }

    /// What was asked for by its time is the same after a restart, and what nobody asked for is not there.
    #[test]
    fn what_somebody_links_to_lasts() {
        let folder = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(86_400);
        let now = clock_ms();
        let kept = open(folder.path(), day);
        for (after, text) in [(0, "a"), (10, "b"), (20, "c")] {
            kept.seen(&shown(now + after, text));
        }
        assert_eq!(words(&kept, now + 15).as_deref(), Some("b"), "the latest that is not from after it");
        let again = open(folder.path(), day);
        assert_eq!(words(&again, now + 1_000).as_deref(), Some("b"));
        assert_eq!(words(&again, now + 5), None);
    }

    #[test]
    fn changes_of_verdict_are_kept_and_every_ten_minutes_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let now = clock_ms();
        let kept = open(folder.path(), Duration::from_secs(86_400));
        for (after, verdicts) in [(0, 1), (1_000, 1), (2_000, 2), (3_000, 2), (2_000 + EVERY_MS, 2)] {
            kept.judged(&shown(now + after, &after.to_string()), verdicts);
        }
        let at: Vec<i64> = kept.with(|inner| inner.files.keys().map(|at| at - now).collect());
        assert_eq!(at, [0, 2_000, 2_000 + EVERY_MS]);
        assert_eq!(kept.status()["kept"], 3);
        kept.with(|inner| inner.tidy(now + 86_400_000 + 1_000));
        assert_eq!(kept.status()["kept"], 2);
        kept.with(|inner| inner.tidy(now + 30 * 86_400_000));
        assert_eq!(kept.status()["kept"], 1, "the latest stays");
        assert_eq!(std::fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 1);
    }
}
