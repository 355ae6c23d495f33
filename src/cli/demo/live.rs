//! The demo in the web UI: `serin run` on a free port of this machine, to which the lines of several stories come at an accelerated
//! clock, and a deploy system that takes the canary back when it is told to.
//!
//! Nothing is played: the program is the one that judges real rollouts, its hook is signed and delivered, and the canary's lines end
//! because the hook came.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use clap::{CommandFactory, FromArgMatches};
use serde_json::Value;

use crate::cli::arguments::{Arguments, Command, DemoArguments, RunArguments};
use crate::cli::output::quoted;
use crate::cli::run;
use crate::cli::terminal::print;
use crate::demo::traffic::{Expect, Story, Traffic, stories};
use crate::pipeline::clock::parse_time;
use crate::time::{MINUTE, SECOND, Timestamp};

/// How much faster than the clock event time goes, unless `--speed` says otherwise: a rollout goes bad within half a minute.
const TIMES_FASTER: f64 = 12.0;
/// The window of `serin run`, in microseconds.
const WINDOW: i64 = 10 * SECOND;
/// How often it is looked whether the program answers, and the pause between two looks.
const ANSWER_TRIES: usize = 200;
const ANSWER_PAUSE: Duration = Duration::from_millis(50);
/// Parts in which the lines of a minute are sent.
const PARTS: usize = 12;
/// Longest body that the deploy system reads.
const BODY_MAX: usize = 1 << 20;
/// What stands before the name of its service.
const SERVICE: &[u8] = b"\"service\":\"";
/// Where the time stands in a line of the generator, which writes it first and in one form.
const TIME: std::ops::Range<usize> = 14..38;

/// Which stories are told at once, each as the rollout of a service of its own: name, service, versions.
const CAST: [(&str, &str, &str, &str); 4] = [
    ("few-users-broken", "checkout", "2.4.0", "2.5.0"),
    ("broken-assignment", "search", "1.9.0", "1.9.1"),
    ("faster-but-broken", "ranking", "8.0.2", "8.1.0"),
    ("healthy", "login", "5.2.0", "5.3.0"),
];

/// One of them.
struct Role {
    service: &'static str,
    canary: &'static str,
    /// Share of users that its rollout declares, where it does. Against one, a canary that was taken back looks like one that dies.
    share: Option<f64>,
    /// Minutes before its rollout begins.
    lead: u32,
    traffic: Traffic,
    /// What is added to each time, in microseconds.
    shift: i64,
    is_over: bool,
}

/// Services whose canary was taken back.
type TakenBack = Arc<Mutex<BTreeSet<String>>>;

/// Runs the demo until it is stopped.
pub(super) fn run(arguments: &DemoArguments, folder: &Path) -> anyhow::Result<u8> {
    let word = arguments.story.as_deref().unwrap_or("");
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros()).unwrap_or(0);
    // A rollout that begins with a window has its whole share in it.
    let now = Timestamp(now - now.rem_euclid(WINDOW));
    let cast: Vec<Role> = CAST
        .iter()
        .filter(|(name, ..)| name.contains(word))
        .filter_map(|role| as_role(role, arguments.seed, now))
        .collect();
    if cast.is_empty() {
        bail!(
            "--story {word}: the web UI shows {}; the others are told with --no-ui",
            CAST.map(|role| role.0).join(", ")
        );
    }
    let folder = &folder.join("live");
    // What is left of a demo before: each is told from its beginning.
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{}: cannot be removed", folder.display()));
        }
        Ok(()) | Err(_) => {}
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{}: cannot be made; choose a folder with --keep DIR", folder.display()))?;
    let taken_back = TakenBack::default();
    let hook = deploy_system(Arc::clone(&taken_back))?;
    let token = format!("serin_{}", URL_SAFE_NO_PAD.encode(random::<24>()?));
    let config = configure(folder, &cast, hook, &token)?;
    // Somebody else could take it in between, which is said then.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    let (mut run_arguments, options) = as_run(&config, &address, &folder.join("state"))?;
    run_arguments.ui_dir.clone_from(&arguments.ui_dir);
    let speed = if arguments.speed > 0.0 { arguments.speed * 3_600.0 } else { TIMES_FASTER };
    let several =
        if cast.len() > 1 { format!("{} rollouts go on", cast.len()) } else { "A rollout goes on".to_owned() };
    let said = format!(
        "{several} at http://{address}/\n\n\
         Event time goes {speed:.0} times as fast as the clock. Serin gets nothing but the log lines. A hook tells a deploy system of a\n\
         proven failure, which then takes the canary back: with a failing story within a minute.\n\
         To act on a rollout yourself, log in there with this token: {token}\n\
         State, ledger and configuration are in {}. Ctrl-C ends it; `serin demo --no-ui` tells the\n\
         stories in the terminal.\n",
        quoted(folder)
    );
    let (of_page, open) = (address.clone(), arguments.open);
    std::thread::spawn(move || {
        // An address is told once it answers: whoever follows it at once is not to be refused.
        for _ in 0..ANSWER_TRIES {
            if std::net::TcpStream::connect(&of_page).is_ok() {
                break;
            }
            // What listens tells nobody unasked; ANSWER_TRIES bounds it.
            std::thread::sleep(ANSWER_PAUSE);
        }
        // Where nobody reads what is written, the page is there all the same.
        let _closed = print(&said);
        if open {
            open_browser(&format!("http://{of_page}/"));
        }
    });
    let feeder = Feeder { cast, taken_back, address, step: Duration::from_secs_f64(60.0 / speed / PARTS as f64) };
    std::thread::spawn(move || {
        // Without its lines there is no demo, and whoever looks at the page should know.
        if let Err(error) = feeder.feed() {
            eprintln!("serin demo: no more lines: {error:#}");
        }
    });
    run::run(run_arguments, &options)
}

fn as_role(
    &(name, service, version, canary): &(&str, &'static str, &'static str, &'static str),
    seed: u64,
    now: Timestamp,
) -> Option<Role> {
    let story = stories().into_iter().find(|story| story.name == name)?;
    let story = Story { service, version, canary_version: canary, ..story };
    // Its lines keep their time of day, by which traffic goes, and are moved to now: the rollout begins in a moment.
    let lead = i64::from(story.lead_minutes) * MINUTE;
    let shift = now.0 - story.start.0 - lead;
    let share = if matches!(story.expect, Expect::Invalid) { story.declared_share } else { None };
    let traffic = Traffic::new(&story, seed);
    Some(Role { service, canary, share, lead: story.lead_minutes, traffic, shift, is_over: false })
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("there is no randomness here: {error}"))?;
    Ok(bytes)
}

/// Writes what `serin run` goes by.
fn configure(folder: &Path, cast: &[Role], hook: u16, token: &str) -> anyhow::Result<std::path::PathBuf> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
        Ok::<_, anyhow::Error>(path)
    };
    let secret = write("hook.secret", &format!("whsec_{}\n", STANDARD.encode(random::<32>()?)))?;
    let token = write("operate.token", &format!("{token}\n"))?;
    let path = |path: &Path| Value::from(path.display().to_string()).to_string();
    let mut text = format!(
        "idle: 5s\noperate_token_file: {}\nhooks:\n- {{name: deploys, url: 'http://127.0.0.1:{hook}/', secret_file: {}}}\nrollouts:\n",
        path(&token),
        path(&secret)
    );
    for role in cast {
        let service = role.service;
        let share = role.share.map(|share| format!("share_percent: {}, ", share * 100.0)).unwrap_or_default();
        writeln!(
            text,
            "- {{name: {service}, environment: production, services: [{service}], owners: [team-{service}], \
             {share}steps: [{{share_percent: 20}}, {{share_percent: 100}}]}}"
        )?;
    }
    write("serin.yaml", &text)
}

/// Arguments as the command line takes them, so that no default differs.
fn as_run(config: &Path, address: &str, state: &Path) -> anyhow::Result<(RunArguments, run::Said)> {
    let [config, state] = [config, state].map(|path| path.display().to_string());
    let words = ["serin", "run", "--config", &config, "--listen", address, "--state", &state];
    let matches = Arguments::command().try_get_matches_from(words)?;
    match Arguments::from_arg_matches(&matches)?.command {
        Command::Run(mut arguments) => {
            arguments.is_demo = true;
            Ok((*arguments, run::Said::of(&matches)))
        }
        _ => bail!("not `run`"),
    }
}

/// A deploy system that takes a canary back when it is told to; where it listens.
fn deploy_system(taken_back: TakenBack) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("the demo's deploy system")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            // What is no delivery is none of its business.
            let _not_told = told(stream, &taken_back);
        }
    });
    Ok(port)
}

fn told(mut stream: TcpStream, taken_back: &TakenBack) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.by_ref().take(1 << 14).read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; std::cmp::min(length, BODY_MAX)];
    reader.read_exact(&mut body)?;
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    if message["data"]["action"] == "rollback"
        && let Some(compared) = message["data"]["compared"].as_array()
    {
        let services = compared.iter().filter_map(|of| of["service"].as_str()).map(str::to_owned);
        taken_back.lock().unwrap_or_else(PoisonError::into_inner).extend(services);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

/// Sends lines.
struct Feeder {
    cast: Vec<Role>,
    taken_back: TakenBack,
    address: String,
    /// Between two parts of a minute.
    step: Duration,
}

impl Feeder {
    fn feed(mut self) -> anyhow::Result<()> {
        let agent = ureq::Agent::new_with_defaults();
        self.wait_until_ready(&agent)?;
        let lead = self.cast.iter().map(|role| role.lead).max().unwrap_or(0);
        let mut due = Instant::now();
        for minute in 0u32.. {
            let mut parts = vec![Vec::new(); PARTS];
            for role in &mut self.cast {
                let mut bytes = Vec::new();
                role.is_over = role.is_over || !role.traffic.minute(&mut bytes);
                let is_back = self.taken_back.lock().unwrap_or_else(PoisonError::into_inner).contains(role.service);
                spread(&bytes, role, is_back, &mut parts);
            }
            if self.cast.iter().all(|role| role.is_over) {
                return Ok(());
            }
            for part in parts {
                if !part.is_empty() {
                    let sent = agent.post(format!("http://{}/ingest", self.address)).send(&part[..]);
                    sent.context("the demo's lines are not taken")?;
                }
                // What comes before the rollouts is no story.
                if minute + 1 < lead {
                    continue;
                }
                due = (due + self.step).max(Instant::now());
                // The pace of the demo; it decides nothing.
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
        Ok(())
    }

    fn wait_until_ready(&self, agent: &ureq::Agent) -> anyhow::Result<()> {
        let mut last = None;
        for _ in 0..100 {
            match agent.get(format!("http://{}/healthz", self.address)).call() {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
            // Another process opens its state and listens; it tells nobody unasked, and ten seconds bound it.
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("it does not answer: {}", last.map(|error| error.to_string()).unwrap_or_default())
    }
}

/// Deals the lines of a minute over parts, with their times moved. A canary that was taken back says nothing. What a service calls
/// is its own (`login-accounts`): services that call the same ones would be parts of one release.
fn spread(bytes: &[u8], role: &Role, is_back: bool, parts: &mut [Vec<u8>]) {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let canary = format!("\"service\":\"{}\",\"version\":\"{}\"", role.service, role.canary);
    let count = parts.len();
    for (at, line) in lines.iter().enumerate() {
        if is_back && memchr::memmem::find(line, canary.as_bytes()).is_some() {
            continue;
        }
        let Some(part) = parts.get_mut(at * count / lines.len()) else { continue };
        let moved = line
            .get(TIME)
            .and_then(|time| std::str::from_utf8(time).ok())
            .and_then(|time| parse_time(time).ok())
            .map(|time| Timestamp(time.0 + role.shift).to_string());
        match moved {
            Some(time) => {
                part.extend_from_slice(&line[..TIME.start]);
                part.extend_from_slice(time.as_bytes());
                let rest = &line[TIME.end..];
                let name = memchr::memmem::find(rest, SERVICE).map_or(0, |at| at + SERVICE.len());
                let is_own =
                    rest[name..].strip_prefix(role.service.as_bytes()).is_some_and(|rest| rest.starts_with(b"\""));
                part.extend_from_slice(&rest[..name]);
                if name > 0 && !is_own {
                    part.extend_from_slice(role.service.as_bytes());
                    part.push(b'-');
                }
                part.extend_from_slice(&rest[name..]);
            }
            None => part.extend_from_slice(line),
        }
    }
}

fn open_browser(address: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = std::process::Command::new(program);
    command
        .arg(address)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    // The address stands above.
    if command.spawn().is_err() {
        eprintln!("serin demo: {program} cannot be run; open {address}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_moved_to_now_and_a_canary_that_was_taken_back_is_silent() {
        let now = Timestamp(1_800_000_000 * SECOND);
        let mut role = as_role(&CAST[0], 7, now).unwrap();
        let mut minutes = Vec::new();
        // The last minute before the rollout, and its first.
        for _ in 0..=role.lead {
            minutes.clear();
            assert!(role.traffic.minute(&mut minutes));
        }
        let of = |is_back: bool| {
            let mut parts = vec![Vec::new(); PARTS];
            spread(&minutes, &role, is_back, &mut parts);
            assert!(parts.iter().all(|part| !part.is_empty()));
            String::from_utf8(parts.concat()).unwrap()
        };
        let text = of(false);
        let times: Vec<Timestamp> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["timestamp"]
                    .as_str()
                    .and_then(|at| parse_time(at).ok())
                    .unwrap()
            })
            .collect();
        assert_eq!(text.lines().count(), minutes.split(|byte| *byte == b'\n').count() - 1);
        let (first, last) = (times.iter().min().unwrap().0, times.iter().max().unwrap().0);
        // A line may come a few seconds before the end of the request that it belongs to.
        assert!(now.0 - 10 * SECOND <= first && last < now.0 + 2 * MINUTE, "{first} {last}");
        assert!(text.contains("\"version\":\"2.5.0\""));
        assert!(text.contains("\"service\":\"checkout\"") && text.contains("\"service\":\"checkout-accounts\""));
        assert!(!text.contains("\"service\":\"accounts\""));
        let after = of(true);
        assert!(!after.contains("\"version\":\"2.5.0\"") && after.contains("\"version\":\"2.4.0\""));
    }

    #[test]
    fn a_rollback_is_heard() {
        let taken_back = TakenBack::default();
        let port = deploy_system(Arc::clone(&taken_back)).unwrap();
        let body = r#"{"type":"rollback","data":{"action":"rollback","compared":[{"service":"checkout"}]}}"#;
        let said = ureq::post(format!("http://127.0.0.1:{port}/")).send(body).unwrap();
        assert_eq!(said.status(), 200);
        assert!(taken_back.lock().unwrap().contains("checkout"));
    }

    #[test]
    fn what_it_writes_is_a_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let cast: Vec<Role> = CAST.iter().filter_map(|role| as_role(role, 7, Timestamp(0))).collect();
        assert_eq!(cast.len(), CAST.len(), "each story is there");
        let config = configure(folder.path(), &cast, 9, "serin_a_token_that_is_long_enough").unwrap();
        let loaded = crate::cli::config::load(Some(&config), None).unwrap();
        assert_eq!(loaded.declared.len(), CAST.len());
        assert_eq!(loaded.hooks.len(), 1);
    }
}
