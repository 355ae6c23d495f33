//! Commands that talk to a running `serin run` over HTTP: what stands, and what is to be done.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

use crate::cli::arguments::{
    CommandArguments, ForgetArguments, IfUndecided, RemoteArguments, StatusArguments, VerdictArguments,
};
use crate::cli::report::count;
use crate::cli::terminal::{self, harmless};
use crate::cli::{compare, exit_status};
use crate::compare::verdict::Verdict;
use crate::rollout::Command;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two questions of `verdict --wait`.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// Between two questions of `forget`.
const FORGET_AGAIN: Duration = Duration::from_millis(500);
/// Longest answer, in bytes.
const ANSWER_MAX: u64 = 64 << 20;

/// A running program.
pub(super) struct Remote<'a> {
    address: &'a str,
    agent: ureq::Agent,
    token: Option<String>,
}

impl<'a> Remote<'a> {
    pub(super) fn new(of: &'a RemoteArguments) -> anyhow::Result<Remote<'a>> {
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        let token = of.token_file.as_deref().map(token).transpose()?;
        Ok(Remote { address: &of.address, agent: config.new_agent(), token })
    }

    fn read(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> anyhow::Result<(u16, Value)> {
        let mut answer = answer.map_err(|error| {
            anyhow!(
                "nothing answers at {} ({error}). Is `serin run` running there? Another address: --address HOST:PORT",
                harmless(self.address, 100)
            )
        })?;
        let status = answer.status().as_u16();
        let text =
            answer.body_mut().with_config().limit(ANSWER_MAX).read_to_string().context("the answer broke off")?;
        if matches!(status, 401 | 403) && self.token.is_none() {
            bail!(
                "{}: {}; name a file that holds a token with --token-file, or SERIN_TOKEN_FILE in the environment",
                self.address,
                harmless(text.trim(), 200)
            );
        }
        let value = serde_json::from_str(&text)
            .map_err(|_| anyhow!("{}: this is no `serin run`: {}", self.address, harmless(text.trim(), 200)))?;
        Ok((status, value))
    }

    pub(super) fn get(&self, path: &str) -> anyhow::Result<(u16, Value)> {
        let mut request = self.agent.get(format!("http://{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.read(request.call())
    }

    /// An answer that is read as it comes, however long that takes.
    #[cfg(feature = "index")]
    pub(super) fn stream(&self, path: &str) -> anyhow::Result<impl std::io::BufRead> {
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .build();
        let mut request = config.new_agent().get(format!("http://{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request.call();
        match answer {
            Ok(answer) if answer.status() == 200 => Ok(std::io::BufReader::new(answer.into_body().into_reader())),
            answer => self.read(answer).and_then(|(status, body)| Err(refused(status, &body))),
        }
    }

    fn post(&self, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        let mut request =
            self.agent.post(format!("http://{}{path}", self.address)).header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.read(request.send(body.to_string().as_bytes()))
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// An id as it can stand in an address.
fn id(id: &str) -> anyhow::Result<String> {
    // Environments and cells have names of any letters; the name of a rollout, which comes first, has not.
    let name = id.split('@').next().unwrap_or_default();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_part) || id.chars().any(char::is_control) {
        bail!("`{}` is no id of a rollout; `serin rollouts` lists them", harmless(id, 80));
    }
    let one = |byte: u8| match is_part(byte) || byte == b'@' {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    Ok(id.bytes().map(one).collect())
}

/// An answer that is no success, in words.
pub(super) fn refused(status: u16, body: &Value) -> anyhow::Error {
    match text(body, "error") {
        "" => anyhow!("status {status}"),
        words => anyhow!("{}", harmless(words, 600)),
    }
}

/// Runs `status`.
pub(super) fn status(arguments: &StatusArguments) -> anyhow::Result<u8> {
    let StatusArguments { ready, remote: arguments } = arguments;
    if *ready {
        let (status, body) = Remote::new(arguments)?.get("/readyz")?;
        let is_ready = status == 200;
        let words = if is_ready { "ready".to_owned() } else { format!("not ready: {}", text(&body, "reason")) };
        terminal::print(&format!("{}\n", harmless(&words, 600)))?;
        return Ok(u8::from(!is_ready));
    }
    let (status, body) = Remote::new(arguments)?.get("/v1/status")?;
    if status != 200 {
        return Err(refused(status, &body));
    }
    let mut out = String::new();
    let state = text(&body, "status");
    writeln!(out, "serin {} at {}: {state}", text(&body, "version"), arguments.address)?;
    for (key, words) in [("trouble", "trouble"), ("waiting_for", "waiting for"), ("not_reloaded", "SIGHUP")] {
        match text(&body, key) {
            "" => {}
            what => writeln!(out, "  {words}: {}", harmless(what, 300))?,
        }
    }
    let number = |key: &str| body.get(key).and_then(Value::as_u64).unwrap_or(0);
    let until = match text(&body, "data_until") {
        "" => "no entry yet".to_owned(),
        until => format!("the last tells of {until}"),
    };
    writeln!(out, "  ledger: {} entries, {until}", number("ledger_entries"))?;
    writeln!(out, "  rollouts: {} declared, {} found", number("declared"), number("found"))?;
    if number("not_listed") > 0 {
        writeln!(out, "  {} more were found and are not listed", number("not_listed"))?;
    }
    for of in body.get("placebos").and_then(Value::as_array).into_iter().flatten() {
        match text(of, "withheld") {
            "" => {}
            withheld => writeln!(out, "  {}", harmless(withheld, 400))?,
        }
    }
    for hook in body.get("hooks").and_then(Value::as_array).into_iter().flatten() {
        let count = |key: &str| hook.get(key).and_then(Value::as_u64).unwrap_or(0);
        write!(
            out,
            "  hook {}: {}, {} taken, {} waiting, {} given up",
            harmless(text(hook, "name"), 60),
            text(hook, "state"),
            count("taken"),
            count("waiting"),
            count("given_up")
        )?;
        match text(hook, "last_answer") {
            "" => writeln!(out)?,
            last => writeln!(out, "; last answer: {}", harmless(last, 100))?,
        }
        if let Some(lost) = hook.get("last_given_up").filter(|lost| !lost.is_null()) {
            writeln!(out, "    given up: {} of {}: {}", text(lost, "id"), text(lost, "rollout"), text(lost, "why"))?;
        }
    }
    terminal::print(&out)?;
    Ok(if state == "trouble" { 1 } else { 0 })
}

/// Runs `rollouts`.
pub(super) fn rollouts(arguments: &RemoteArguments) -> anyhow::Result<u8> {
    let (status, body) = Remote::new(arguments)?.get("/v1/rollouts")?;
    if status != 200 {
        return Err(refused(status, &body));
    }
    let list = body.get("rollouts").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut out = String::new();
    if list.is_empty() {
        writeln!(out, "No rollout is declared, and none was found yet.")?;
    }
    for rollout in &list {
        let phase = match text(rollout, "phase") {
            "" => "found, only watched",
            phase => phase,
        };
        let services: Vec<&str> =
            rollout.get("services").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let arms = match (text(rollout, "candidate"), text(rollout, "control")) {
            ("", _) => String::new(),
            (candidate, control) => format!(", {} against {}", harmless(candidate, 40), harmless(control, 40)),
        };
        let environment = match (text(rollout, "environment"), text(rollout, "cell")) {
            ("", "") => String::new(),
            (environment, "") => format!(" in {}", harmless(environment, 40)),
            ("", cell) => format!(" in cell {}", harmless(cell, 40)),
            (environment, cell) => format!(" in {}, cell {}", harmless(environment, 40), harmless(cell, 40)),
        };
        writeln!(
            out,
            "{:<13} {:<20} {phase}: {}{environment}{arms}",
            text(rollout, "verdict").to_uppercase(),
            harmless(text(rollout, "id"), 60),
            harmless(&services.join(", "), 100),
        )?;
        match text(rollout, "waits_for") {
            "" => {}
            cell => writeln!(out, "  {} comes first", harmless(cell, 60))?,
        }
        match text(rollout, "reason") {
            "" => {}
            reason => writeln!(out, "  {}", harmless(reason, 300))?,
        }
    }
    terminal::print(&out)?;
    Ok(0)
}

/// Runs `verdict`.
pub(super) fn verdict(arguments: &VerdictArguments) -> anyhow::Result<u8> {
    let timeout = compare::duration(&arguments.timeout).context("--timeout")?;
    let timeout = Duration::from_micros(u64::try_from(timeout).unwrap_or(0));
    let remote = Remote::new(&arguments.remote)?;
    let began = Instant::now();
    let step = arguments.step.map(|step| format!("?step={step}")).unwrap_or_default();
    let path = format!("/v1/rollouts/{}/gate{step}", id(&arguments.id)?);
    let mut said_once = false;
    loop {
        let asked = remote.get(&path);
        let left = timeout.checked_sub(began.elapsed()).filter(|left| arguments.wait && !left.is_zero());
        let (status, body) = match (asked, left) {
            (Ok(asked), _) => asked,
            // It may be starting again.
            (Err(_), Some(left)) if said_once => {
                // Nothing here hears when it listens again; it is asked until --timeout.
                std::thread::sleep(ASK_AGAIN.min(left));
                continue;
            }
            (Err(error), _) => return Err(error),
        };
        if status != 200 {
            return Err(refused(status, &body));
        }
        said_once = true;
        let data = body.get("data").unwrap_or(&Value::Null);
        let word = text(data, "verdict");
        let verdict = Verdict::ALL
            .into_iter()
            .find(|verdict| verdict.name() == word)
            .ok_or_else(|| anyhow!("{}: this is no `serin run`", arguments.remote.address))?;
        if let (Verdict::Inconclusive, Some(left)) = (verdict, left) {
            // The gate answers at once, also what is undecided; what comes later it tells nobody who has not asked.
            std::thread::sleep(ASK_AGAIN.min(left));
            continue;
        }
        terminal::print(&format!("{}: {}\n", word.to_uppercase(), harmless(text(data, "reason"), 800)))?;
        let counts = match (verdict, arguments.inconclusive) {
            (Verdict::Inconclusive, Some(IfUndecided::Pass)) => Verdict::Pass,
            (Verdict::Inconclusive, Some(IfUndecided::Fail)) => Verdict::Fail,
            (verdict, _) => verdict,
        };
        return Ok(exit_status(counts));
    }
}

/// The token of a file.
fn token(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}: cannot be read", file.display()))?;
    Ok(text.trim().to_owned())
}

/// Runs a command on a rollout.
pub(super) fn command(command: Command, arguments: &CommandArguments, finding: Option<&str>) -> anyhow::Result<u8> {
    if arguments.remote.token_file.is_none() {
        bail!("commands need the operate token: --token-file FILE, or SERIN_TOKEN_FILE in the environment");
    }
    let actor = actor(arguments.actor.as_deref())?;
    let body = json!({ "actor": actor, "reason": arguments.reason, "finding": finding });
    let path = format!("/v1/rollouts/{}/{}", id(&arguments.id)?, command.name());
    let (status, said) = Remote::new(&arguments.remote)?.post(&path, &body)?;
    if status != 200 {
        let error = refused(status, &said);
        return match status {
            409 => {
                terminal::print(&format!("Refused: {error}.\n"))?;
                Ok(1)
            }
            _ => Err(error),
        };
    }
    terminal::print(&format!(
        "{} is {} now; its verdict is {}.\n",
        harmless(&arguments.id, 60),
        text(&said, "phase"),
        text(&said, "verdict")
    ))?;
    Ok(0)
}

/// Who commands.
fn actor(given: Option<&str>) -> anyhow::Result<String> {
    let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
    given.map(str::to_owned).or_else(user).ok_or_else(|| anyhow!("who commands? --actor NAME"))
}

/// Runs `forget`.
pub(super) fn forget(arguments: &ForgetArguments) -> anyhow::Result<u8> {
    if arguments.remote.token_file.is_none() {
        bail!("commands need the operate token: --token-file FILE, or SERIN_TOKEN_FILE in the environment");
    }
    let actor = actor(arguments.actor.as_deref())?;
    let remote = Remote::new(&arguments.remote)?;
    let body = json!({
        "unit": arguments.unit, "actor": actor, "reason": arguments.reason, "mentions": arguments.mentions,
    });
    let (status, said) = remote.post("/v1/forget", &body)?;
    if status != 202 {
        return Err(refused(status, &said));
    }
    let number = said.get("number").and_then(Value::as_u64).unwrap_or(0);
    if arguments.no_wait {
        terminal::print(&format!("Written down as request {number}; it goes on also after a restart.\n"))?;
        return Ok(0);
    }
    let mut trouble = String::new();
    loop {
        let (status, body) = remote.get("/v1/forget")?;
        if status != 200 {
            return Err(refused(status, &body));
        }
        let of_number = |of: &&Value| of.get("number").and_then(Value::as_u64) == Some(number);
        let request = body.get("requests").and_then(Value::as_array).into_iter().flatten().find(of_number);
        if let Some(request) = request.filter(|request| request.get("done").and_then(Value::as_bool) == Some(true)) {
            let lines = |key: &str| request.get(key).and_then(Value::as_u64).unwrap_or(0);
            terminal::print(&format!(
                "Forgotten: {} in the write-ahead log, {} in the index, {} that could not be read.\n",
                count(lines("log_lines"), "line"),
                count(lines("index_lines"), "line"),
                count(lines("dead_letters"), "line"),
            ))?;
            return Ok(0);
        }
        if text(&body, "trouble") != trouble {
            trouble = text(&body, "trouble").to_owned();
            terminal::print(&format!("Waiting: {}\n", harmless(&trouble, 400)))?;
        }
        // Nobody tells when it is done; it is asked until then.
        std::thread::sleep(FORGET_AGAIN);
    }
}
