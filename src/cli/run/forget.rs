//! `serin forget`: the lines of a unit are taken out of the write-ahead log, of the lines that could not be read, of the first lines that are
//! kept, and of the index.
//!
//! What is asked is written down first (`erasing.json`, with the unit's id), and goes on after a restart wherever it was; each file is
//! replaced as a whole, so it is the old one or the new one. At the end one row stands in `erased.ndjson`, with the id's hash in place
//! of the id, how many lines are gone, and where the first of them was: decisions made from them cannot be made again, and
//! `serin replay` says so.
//!
//! Nothing is taken out of the log before a checkpoint has it behind it, since a restart reads on from there, and must decide alike.

mod register;
mod unit;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

#[cfg(feature = "index")]
use anyhow::bail;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use self::register::{Asked, OfLog};
pub(super) use self::register::{Erased, read};
pub(super) use self::unit::OfUnit;
#[cfg(feature = "index")]
pub(super) use self::unit::query;
use crate::cli::run::api::{Api, actor_of, may_command, problem};
use crate::cli::run::http::Shared;
use crate::cli::run::log::{say, warn};
use crate::cli::run::{WAL, checkpoint, inputs, rejects, server};
use crate::event::identity_hash;
#[cfg(feature = "index")]
use crate::pipeline::plan::Plan;
use crate::source::wal;

/// Between two looks whether something can go on.
const LOOK: Duration = Duration::from_millis(300);
/// Requests that wait.
const WAITING_MAX: usize = 64;
/// Longest id, in bytes.
const UNIT_MAX: usize = 1_024;
/// Longest question.
const BODY_MAX: usize = 16 << 10;

/// What is to be forgotten, and what was.
#[derive(Default)]
pub(super) struct Forgetting {
    folder: OnceLock<PathBuf>,
    known: Mutex<Known>,
    /// Where each stream goes on, as the last checkpoint says.
    places: Mutex<BTreeMap<String, u64>>,
    /// Changes when the files of rejected lines were replaced; whoever writes them holds it.
    rejects: Arc<Mutex<u64>>,
    /// Why nothing goes on, where that is so.
    trouble: Mutex<Option<String>>,
    number: AtomicU64,
}

#[derive(Default)]
struct Known {
    asked: Vec<Asked>,
    erased: Vec<Erased>,
}

fn locked<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Forgetting {
    /// A checkpoint was written, or read, that has everything before these places behind it.
    pub(super) fn checkpointed(&self, places: impl Iterator<Item = (String, u64)>) {
        *locked(&self.places) = places.collect();
    }

    /// Who writes rejected lines.
    pub(super) fn rejects(&self) -> Arc<Mutex<u64>> {
        Arc::clone(&self.rejects)
    }

    /// What was forgotten.
    #[cfg(feature = "index")]
    pub(super) fn erased(&self) -> Vec<Erased> {
        locked(&self.known).erased.clone()
    }

    fn first(&self) -> Option<Asked> {
        locked(&self.known).asked.first().cloned()
    }

    /// What is known of a request from now on; it lasts when this returns.
    fn note(&self, folder: &std::path::Path, asked: &Asked) -> anyhow::Result<()> {
        let mut known = locked(&self.known);
        let mut list = known.asked.clone();
        match list.iter_mut().find(|known| known.number == asked.number) {
            Some(place) => *place = asked.clone(),
            None => list.push(asked.clone()),
        }
        register::write_asked(folder, &list)?;
        known.asked = list;
        Ok(())
    }

    /// A request is at its end.
    fn done(&self, folder: &std::path::Path, erased: Erased) -> anyhow::Result<()> {
        let mut known = locked(&self.known);
        register::append(folder, &erased)?;
        let list: Vec<Asked> = known.asked.iter().filter(|asked| asked.number != erased.number).cloned().collect();
        register::write_asked(folder, &list)?;
        known.asked = list;
        known.erased.push(erased);
        Ok(())
    }
}

/// Reads what was asked, and goes on with it on a thread of its own.
pub(super) fn start(folder: &std::path::Path, shared: &Arc<Shared>, runtime: Handle) -> anyhow::Result<()> {
    let erased = read(folder)?;
    // A program that ended behind the row has done all of it.
    let asked: Vec<Asked> = register::read_asked(folder)?;
    let asked: Vec<Asked> =
        asked.into_iter().filter(|asked| erased.iter().all(|erased| erased.number != asked.number)).collect();
    let numbers = asked.iter().map(|asked| asked.number).chain(erased.iter().map(|erased| erased.number));
    let of = &shared.forgetting;
    of.number.store(numbers.max().map_or(0, |most| most + 1), Ordering::Relaxed);
    *locked(&of.known) = Known { asked, erased };
    // It is set once.
    let _set = of.folder.set(folder.to_owned());
    let (folder, shared) = (folder.to_owned(), Arc::clone(shared));
    std::thread::spawn(move || {
        server::step_back();
        let mut said = String::new();
        while !shared.stop.wait(LOOK) {
            let Some(asked) = shared.forgetting.first() else { continue };
            let trouble = match go_on(&folder, &shared, &runtime, asked) {
                Ok(()) => None,
                Err(error) => Some(format!("forget: {error:#}; it is tried again")),
            };
            if let Some(words) = trouble.as_ref().filter(|words| **words != said) {
                warn(words);
                said.clone_from(words);
            }
            *locked(&shared.forgetting.trouble) = trouble;
        }
    });
    Ok(())
}

/// Takes a request as far as it goes now.
fn go_on(folder: &std::path::Path, shared: &Arc<Shared>, runtime: &Handle, mut asked: Asked) -> anyhow::Result<()> {
    let Some(ground) = shared.ground() else { return Ok(()) };
    let plan = &ground.plan;
    let of = &shared.forgetting;
    let until = asked.until;
    if until > 0 {
        let behind = locked(&of.places).get(inputs::HTTP).copied().unwrap_or(0);
        if behind < until {
            return Ok(());
        }
    }
    let id = asked.unit.clone();
    let mut of_unit = OfUnit::new(plan, &id, asked.mentions);
    let wal_folder = folder.join(WAL);
    if let Some(wal) = shared.wal().filter(|_| until > 0) {
        runtime.block_on(wal.cut())?;
        let mut is_of = |_: u64, line: &[u8]| of_unit.is_of(line);
        if asked.log.is_none() {
            let found = wal::erasable(&wal_folder, until, &mut is_of)?;
            asked.log = Some(OfLog { lines: found.lines, first: found.first });
            of.note(folder, &asked)?;
        }
        wal::erase(&wal_folder, until, &mut is_of)?;
    }
    {
        let mut generation = locked(&of.rejects);
        if asked.dead_letters.is_none() {
            asked.dead_letters = Some(rejects::erase(folder, &mut |line| of_unit.is_of(line.as_bytes()), true)?);
            of.note(folder, &asked)?;
        }
        *generation += 1;
        rejects::erase(folder, &mut |line| of_unit.is_of(line.as_bytes()), false)?;
    }
    heads(folder, &id, &mut of_unit)?;
    let mut positions = BTreeMap::new();
    if until > 0 {
        positions.insert(inputs::HTTP.to_owned(), until);
    }
    #[cfg(feature = "index")]
    match of_index(folder, shared, plan, &mut asked)? {
        // The program stops.
        None => return Ok(()),
        Some(of_index) => positions.extend(of_index),
    }
    #[cfg(not(feature = "index"))]
    let _decided_by = plan;
    let log = asked.log.unwrap_or_default();
    let erased = Erased {
        number: asked.number,
        unit: format!("{:016x}", identity_hash(id.as_bytes())),
        actor: asked.actor,
        reason: asked.reason,
        asked_ms: asked.asked_ms,
        done_ms: super::hooks::clock_ms(),
        until: positions,
        first: log.first,
        log_lines: log.lines,
        dead_letters: asked.dead_letters.unwrap_or(0),
        index_lines: asked.index,
    };
    say(&format!(
        "forgotten: {} lines of a unit in the write-ahead log, {} in the index, {} that could not be read",
        erased.log_lines,
        erased.index_lines.unwrap_or(0),
        erased.dead_letters
    ));
    of.done(folder, erased)
}

/// Takes the unit's lines out of the index. `None`: the program stops.
#[cfg(feature = "index")]
fn of_index(
    folder: &std::path::Path,
    shared: &Arc<Shared>,
    plan: &Plan,
    asked: &mut Asked,
) -> anyhow::Result<Option<BTreeMap<String, u64>>> {
    use crate::cli::run::searching::Job;

    let (sender, receiver) = std::sync::mpsc::channel();
    let (of, mut noted, place) = (Arc::clone(shared), asked.clone(), folder.to_owned());
    let counted = move |lines: u64| {
        // What a program had found that ended meanwhile is not there any more.
        if noted.index.is_none() {
            noted.index = Some(lines);
            of.forgetting.note(&place, &noted)?;
        }
        Ok(())
    };
    let job = Job {
        unit: asked.unit.clone(),
        mentions: asked.mentions,
        until: asked.until,
        counted: Box::new(counted),
        done: sender,
    };
    shared.searching.forget(folder, plan, job);
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(Ok(positions)) => {
                let known = locked(&shared.forgetting.known);
                asked.index = known.asked.iter().find(|of| of.number == asked.number).and_then(|of| of.index);
                return Ok(Some(positions));
            }
            Ok(Err(words)) => bail!("{words}"),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) if shared.stop.is_told() => return Ok(None),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            // Whoever indexes begins anew, and is asked again.
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => bail!("the index begins anew"),
        }
    }
}

/// Takes the unit's lines out of the first lines that are kept. Where those alone would say otherwise what lines are, the id alone goes.
fn heads(folder: &std::path::Path, id: &str, of_unit: &mut OfUnit<'_>) -> anyhow::Result<()> {
    use crate::cli::compare::look_at_heads;
    use crate::pipeline::survey::Wishes;

    let Some(heads) = checkpoint::read_heads(folder)? else { return Ok(()) };
    let (mut any, mut without, mut masked) = (false, Vec::new(), Vec::new());
    for (stream, text) in &heads {
        let (mut kept, mut all) = (String::new(), String::new());
        for line in text.split_inclusive('\n') {
            if of_unit.is_of(line.trim_end().as_bytes()) {
                any = true;
                all.push_str(&line.replace(id, &"x".repeat(id.chars().count())));
            } else {
                kept.push_str(line);
                all.push_str(line);
            }
        }
        without.push((stream.clone(), kept));
        masked.push((stream.clone(), all));
    }
    if !any {
        return Ok(());
    }
    let plan =
        |heads: &checkpoint::Heads| look_at_heads(heads, &Wishes::default()).map(|looked| looked.found.plan).ok();
    let is_same = plan(&without) == plan(&heads);
    checkpoint::write_heads(folder, if is_same { &without } else { &masked })
}

/// A request as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Forget {
    unit: String,
    reason: String,
    actor: Option<String>,
    #[serde(default)]
    mentions: bool,
}

/// Takes a request; it lasts when it is answered, and is carried out meanwhile.
pub(super) async fn ask(State(api): State<Api>, request: Request) -> Response {
    let session = match may_command(&api, &request) {
        Ok(session) => session,
        Err(refused) => return *refused,
    };
    let Ok(body) = axum::body::to_bytes(request.into_body(), BODY_MAX).await else {
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long, or did not come whole");
    };
    let Forget { unit, reason, actor, mentions } = match serde_json::from_slice(&body) {
        Ok(forget) => forget,
        Err(error) => {
            let example = r#"{"unit":"u-7","actor":"ann","reason":"asked to"}"#;
            return problem(StatusCode::BAD_REQUEST, &format!("no request ({error}); for example {example}"));
        }
    };
    let actor = match actor_of(&api, session.as_ref(), actor, &reason) {
        Ok(actor) => actor,
        Err(words) => return problem(StatusCode::BAD_REQUEST, &words),
    };
    if unit.trim().is_empty() || unit.len() > UNIT_MAX {
        return problem(StatusCode::BAD_REQUEST, &format!("unit: 1 to {UNIT_MAX} bytes are needed"));
    }
    let of = &api.shared.forgetting;
    let Some(folder) = of.folder.get().cloned() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the program is starting");
    };
    if locked(&of.known).asked.len() >= WAITING_MAX {
        return problem(StatusCode::TOO_MANY_REQUESTS, "too many requests wait");
    }
    let asked = Asked {
        number: of.number.fetch_add(1, Ordering::Relaxed),
        unit,
        mentions,
        actor,
        reason,
        asked_ms: super::hooks::clock_ms(),
        until: api.shared.wal().map_or(0, wal::Wal::end),
        log: None,
        dead_letters: None,
        index: None,
    };
    let (shared, number) = (Arc::clone(&api.shared), asked.number);
    // It waits for the disk.
    let noted = tokio::task::spawn_blocking(move || shared.forgetting.note(&folder, &asked)).await;
    match noted {
        Ok(Ok(())) => (StatusCode::ACCEPTED, axum::Json(json!({ "number": number }))).into_response(),
        Ok(Err(error)) => problem(StatusCode::SERVICE_UNAVAILABLE, &format!("{error:#}")),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "it has died"),
    }
}

/// What is being forgotten, and what was. Nobody's id stands in it.
pub(super) async fn list(State(api): State<Api>) -> Response {
    let of = &api.shared.forgetting;
    let known = locked(&of.known);
    let asked = known.asked.iter().map(|asked| {
        json!({ "number": asked.number, "actor": asked.actor, "reason": asked.reason, "asked_ms": asked.asked_ms, "done": false })
    });
    let erased = known.erased.iter().map(|erased| {
        let mut row = serde_json::to_value(erased).unwrap_or_default();
        if let Some(row) = row.as_object_mut() {
            row.insert("done".to_owned(), Value::Bool(true));
        }
        row
    });
    let list: Vec<Value> = erased.chain(asked).collect();
    let trouble = locked(&of.trouble).clone();
    axum::Json(json!({ "requests": list, "trouble": trouble })).into_response()
}
