//! Arguments and their help.

mod bench;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use bench::*;

/// Tells from your logs, while a rollout runs, whether the new code is worse.
#[derive(Debug, Parser)]
#[command(name = "serin", version, max_term_width = 110, propagate_version = true)]
pub(super) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the main job on generated traffic: rollouts, judged live from their log lines, in the web UI or the terminal
    Demo(DemoArguments),
    /// Say how the lines of a log are read: which field plays which role, and why a line counts nowhere
    Explain(crate::cli::explain::ExplainArguments),
    /// Run the tests that pipelines carry
    Test(crate::cli::pipelines::TestArguments),
    /// Judge a rollout from log files
    Compare(CompareArguments),
    /// Judge a rollout while its log lines come over HTTP or from Kafka, and show the verdict at an address
    #[cfg(feature = "serve")]
    Run(Box<RunArguments>),
    /// Say everything that is wrong in a configuration of `run`, with its place
    #[cfg(feature = "serve")]
    Check(CheckArguments),
    /// Say how a running `run` is, and its hooks
    #[cfg(feature = "serve")]
    Status(StatusArguments),
    /// List the rollouts of a running `run`
    #[cfg(feature = "serve")]
    Rollouts(RemoteArguments),
    /// Say what a running `run` says of a rollout, by exit status too
    #[cfg(feature = "serve")]
    Verdict(VerdictArguments),
    /// Let the step of a rollout pass, once its evidence says so
    #[cfg(feature = "serve")]
    Approve(CommandArguments),
    /// Promote nothing of a rollout until `resume`
    #[cfg(feature = "serve")]
    Hold(CommandArguments),
    /// End a hold
    #[cfg(feature = "serve")]
    Resume(CommandArguments),
    /// Roll a rollout back, now
    #[cfg(feature = "serve")]
    Rollback(CommandArguments),
    /// Accept a change of behaviour that holds a rollout back
    #[cfg(feature = "serve")]
    Accept(AcceptArguments),
    /// Take the lines of a unit (a user, a session) out of what a running `run` keeps: its log, its index, its rejected lines
    #[cfg(feature = "serve")]
    Forget(ForgetArguments),
    /// Find lines by a query, in log files or in a running `run`
    #[cfg(feature = "index")]
    Search(SearchArguments),
    /// List what a log says by statement, and how two arms differ in it
    #[cfg(feature = "index")]
    Templates(crate::cli::templates::TemplatesArguments),
    /// Show lines of a running `run` as they come
    #[cfg(all(feature = "serve", feature = "index"))]
    Tail(TailArguments),
    /// Say who uses a feature: who was exposed and who took it up, how soon, who they are, and whether they come back
    #[cfg(feature = "index")]
    Who(crate::cli::who::WhoArguments),
    /// Make a token for those who send to a `run` or ask it, and say what belongs into its file of tokens
    #[cfg(feature = "serve")]
    Token(TokenArguments),
    /// Recompute every decision of a ledger from the same logs and compare to the byte
    Replay(ReplayArguments),
    /// Print a ledger for people
    Show(ShowArguments),
    /// Prove on your own logs how often healthy code would be rolled back, and how soon a regression shows
    Calibrate(CalibrateArguments),
    /// Find every past deploy in an archive of logs, and say what would have been stopped, when, and who was spared
    Backtest(BacktestArguments),
    /// Say how long a rollout will need to be decided, and what harm is accepted meanwhile
    Plan(PlanArguments),
    /// Simulate rollouts of known truth through the engine: how rarely it errs, and how soon it decides
    Scoreboard(crate::cli::scoreboard::ScoreboardArguments),
    /// Measure speed against a stated lower bound
    Bench(BenchArguments),
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 every story came out as it should, 1 one did not, 2 usage or input error.")]
pub(super) struct DemoArguments {
    /// Seed of the traffic; the same seed gives the same log lines and verdicts
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Tell all five stories here, in the terminal, instead of in the web UI
    #[cfg(feature = "serve")]
    #[arg(long)]
    pub no_ui: bool,
    /// Serve the web UI from this folder instead of what is built in, for its development
    #[cfg(feature = "serve")]
    #[arg(long, hide = true, value_name = "DIR")]
    pub ui_dir: Option<PathBuf>,
    /// Open the web UI in the browser
    #[cfg(feature = "serve")]
    #[arg(long, conflicts_with_all = ["no_ui", "archive"])]
    pub open: bool,
    /// Hours of event time shown per second; 0 is as fast as the machine can (in the web UI: a minute in five seconds)
    #[arg(long, default_value_t = 0.0, value_name = "HOURS", allow_negative_numbers = true)]
    pub speed: f64,
    /// Keep logs and ledgers in this folder (default: `serin-demo` in the system's folder for temporary files)
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Only the stories whose name contains this word
    #[arg(long, value_name = "WORD")]
    pub story: Option<String>,
    /// Write the log of a month with forty deploys, six of them bad canaries, to standard output instead: something for
    /// `serin backtest -`
    #[arg(long, conflicts_with_all = ["story", "keep", "speed"])]
    pub archive: bool,
}

/// A number of threads: at least one.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one thread is needed".to_owned()),
        Ok(threads) => Ok(threads),
        Err(_) => Err("not a number of threads".to_owned()),
    }
}

/// Fewest bytes of state: less holds no rollout.
const MEMORY_MIN: u64 = 1 << 20;

/// A size in bytes: a whole number with KiB, MiB or GiB.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let of_unit = units.into_iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)));
    let (number, shift) = of_unit.ok_or("a size like 512MiB or 4GiB is needed")?;
    let number: u64 = number.trim().parse().map_err(|_| format!("`{number}` is no whole number"))?;
    match number.checked_mul(1 << shift) {
        Some(bytes) if bytes >= MEMORY_MIN => Ok(bytes),
        Some(_) => Err("at least 1MiB is needed".to_owned()),
        None => Err("more than there is".to_owned()),
    }
}

/// A name of a group of Kafka that a line can hold.
#[cfg(feature = "kafka")]
pub(super) fn group(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 249 || text.chars().any(char::is_control) {
        return Err("a name of 1 to 249 bytes is needed, or none".to_owned());
    }
    Ok(text.to_owned())
}

/// Which logs, and how to read them.
#[derive(Debug, Args)]
pub(super) struct LogArguments {
    /// Log files, folders, patterns, or - for standard input; plain, gzip or zstd
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// How to read them.
    #[command(flatten)]
    pub how: HowArguments,
    /// Threads that decode and fold (default: all cores)
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
}

/// How log lines are read.
#[derive(Debug, Args)]
pub(super) struct HowArguments {
    /// The field that plays a role, as ROLE=FIELD; several fields with commas. Latency may name its unit: latency=took:ms.
    /// Roles: time, start, environment, cell, service, cohort, variant, version, user, session, client, request_id, trace,
    /// parent, root, kind, latency, status, error, level, route, method, message, template, stack, instance, sample_rate
    #[arg(long = "role", value_name = "ROLE=FIELD")]
    pub roles: Vec<String>,
    /// Where the requests of a service are taken from, where several lines tell of one: SERVICE=access-log, root-span,
    /// application, timed or outgoing (default: the outermost that is logged)
    #[arg(long = "requests-from", value_name = "SERVICE=SOURCE")]
    pub requests_from: Vec<String>,
    /// A pipeline, which says how lines of one kind of log are read: one that is part of the program (nginx, kubernetes, ...;
    /// `serin test` lists them), a file, or a folder of files. May be given several times (docs/pipelines.md)
    #[arg(long = "pipeline", value_name = "NAME|FILE")]
    pub pipelines: Vec<String>,
    /// File with the secret that redaction keys its hashes with, 16 bytes or more
    #[arg(long, value_name = "FILE")]
    pub redaction_key: Option<PathBuf>,
    /// What is assigned to an arm and counts once: user, session, client, trace, instance, request
    /// (default: the best that the requests name)
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<String>,
    /// A field whose values are segments (region, tier, device): each is tested by itself, and told beside the verdict; up to
    /// four, or `none` (default: found in the first lines)
    #[arg(long = "segment", value_name = "FIELD")]
    pub segments: Vec<String>,
    /// The service whose rollout is judged (default: every service that is an entry)
    #[arg(long)]
    pub service: Option<String>,
    /// The environment whose lines are read (default: all, each judged by itself)
    #[arg(long)]
    pub environment: Option<String>,
    /// Length of a window (10s, 1m)
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    pub window: String,
    /// How far behind its stream a line may be and still count (10s, 1m)
    #[arg(long, default_value = "10s", value_name = "DURATION")]
    pub lateness: String,
    /// Leave out events before this time
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Leave out events from this time on
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Times that name no year, as in syslog, lie within the year from this day on (default: by the times in full beside them,
    /// else the year that ends tomorrow)
    #[arg(long = "year-from", value_name = "DATE")]
    pub year_from: Option<String>,
    /// The zone of times that name none: UTC, +02:00, Europe/Berlin (default: UTC; a pipeline may name that of its streams)
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub zone: Option<String>,
}

impl HowArguments {
    /// Nothing is asked.
    #[cfg(feature = "serve")]
    pub(super) fn plain() -> HowArguments {
        HowArguments {
            roles: Vec::new(),
            requests_from: Vec::new(),
            pipelines: Vec::new(),
            redaction_key: None,
            unit: None,
            segments: Vec::new(),
            service: None,
            environment: None,
            window: "10s".to_owned(),
            lateness: "10s".to_owned(),
            since: None,
            until: None,
            year_from: None,
            zone: None,
        }
    }
}

/// How a report is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For people, as a comment on a change.
    Markdown,
    /// For people, as one page that needs nothing else.
    Html,
}

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 pass, 1 fail, 2 usage or input error, 3 inconclusive (also when a changed behaviour holds \
back a pass), 4 invalid.\n\nWithout options, fields are recognised by the names that OpenTelemetry, ECS, pino, zap, \
logrus, structlog, Envoy and Istio use; Apache and nginx access logs, logfmt, syslog, text that begins with a time, and what \
kubectl, Docker, journalctl, logcli, kcat and Elasticsearch put around a line by their shape (serin explain FILE shows it).\n\nExamples:\n  serin compare \
app.log\n  serin compare pod-a.log pod-b.log --baseline 'file:pod-a.log' --canary 'file:pod-b.log'\n  serin compare logs/ \
--baseline 'version:1.4.2' --canary 'version:1.5.0' --share 5%\n  kubectl logs --prefix --timestamps --tail=-1 -l app=cart | sort -sk2,2 | serin compare -\n\nBoth arms must have run in the same \
hours: pod-a.log and pod-b.log are of two pods that served at once. Logs from before and after a deploy cannot be \
judged against each other.\n\nQueries: field:value, field:>=500, field:a*b, _exists_:field, file:NAME, a word or \"a phrase\" of the message, AND, \
OR, NOT, ( ). All of it in docs/compare.md."
)]
pub(super) struct CompareArguments {
    /// Which logs.
    #[command(flatten)]
    pub logs: LogArguments,
    /// What is compared with what.
    #[command(flatten)]
    pub judge: JudgeArguments,
    /// Write the record of decisions here, for `replay` and `show`
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Text for people, JSON for programs, Markdown for a comment, or one HTML page that needs nothing else (redirect it into a file)
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write rejected lines with their reason here
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Write the tables behind the bucket tests here, as CSV for a notebook (docs/report.md)
    #[arg(long, value_name = "FILE")]
    pub buckets: Option<PathBuf>,
}

/// What is compared with what, and what the team asks.
#[derive(Debug, Args)]
pub(super) struct JudgeArguments {
    /// Lines of the baseline, as a query (version:1.4.2)
    #[arg(long, value_name = "QUERY", requires = "canary", conflicts_with = "arm_by")]
    pub baseline: Option<String>,
    /// Lines of the canary, as a query (version:1.5.0)
    #[arg(long, value_name = "QUERY", requires = "baseline", conflicts_with = "arm_by")]
    pub canary: Option<String>,
    /// The field whose values are the arms, or 'hash(unit, 5%, seed)' to split units as an A/A test
    #[arg(long, value_name = "FIELD")]
    pub arm_by: Option<String>,
    /// The arm that is the control, where --arm-by or a recognised field gives the arms
    #[arg(long, value_name = "ARM", conflicts_with = "baseline")]
    pub control: Option<String>,
    /// Only this arm is compared with the control (may be given several times)
    #[arg(long = "candidate", value_name = "ARM", conflicts_with = "baseline")]
    pub candidates: Vec<String>,
    /// Share of units meant for the canary (5%); without it no sample ratio is checked
    #[arg(long, value_name = "PERCENT")]
    pub share: Option<String>,
    /// Services that carry the new version together, the entry first (web,api,worker): each is judged, under one error budget
    #[arg(long, value_name = "SERVICES", value_delimiter = ',', conflicts_with = "service")]
    pub release: Vec<String>,
    /// What the team asks, in YAML: guardrails, next_share_percent, minimum_minutes, expect, share_percent, release,
    /// limits, conversions, segments (docs/compare.md)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// How much of services, users and rollouts is remembered (512MiB, 4GiB); past it something is given up, in a fixed order
    /// (docs/compare.md), and said. Windows that are still being read come on top
    #[arg(long, default_value = "4GiB", value_name = "SIZE", value_parser = memory)]
    pub memory: u64,
}

/// Arguments of `run`.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
#[command(
    after_help = "Without options lines are taken over HTTP, as one log named http: POST /ingest with JSON objects or access-log \
lines, one a line, or a JSON array; gzip, deflate, zstd and snappy; or as the clients of Elasticsearch (_bulk), OpenTelemetry \
(OTLP) and Loki send. A request is answered once its lines are on disk in DIR/wal; with an \
Idempotency-Key it counts once however often it is sent; with ?debug=1 nothing is stored, and the answer says what the lines \
are understood as. Lines of several hosts that lie further apart in time than --lateness come late: give a longer one.\n\nWith \
--brokers every partition is a log of its own, named TOPIC/PARTITION, and is read from its earliest record; each \
record is one JSON or access-log line, or several. No consumer group is joined and nothing is committed. State is saved \
every --checkpoint: a program that starts again goes on from there, or reads everything from its beginning where there is \
none, and must come to what the ledger has. If a topic has lost records that are needed for it, it says so and ends. \
Partitions that are added later are found, and read from their beginning.\n\nA partition from which nothing has come for --idle, though it was \
read to its end, does not hold the others back; lines it brings later for times that are judged by then count as late. So long a few \
lines wait, too, whose times no others bear out. \
DIR/idle.ndjson says when that was.\n\nA partition whose broker is gone, or that has records and gives none, stalls: after --stall, while other partitions go on, windows close \
without it. What they bear on may fail, and does not pass; it is said here, by /healthz and in the report. While no broker answers \
nothing is moved on.\n\nSIGINT and SIGTERM stop it within 10 s, a second one at once. SIGHUP: serin.yaml, policy, tokens and secrets are read again, all or \
nothing; hooks, tokens, owners, steps and deadlines may be others, and what cannot is said and refused (docs/rollouts.md). Exit \
status: 0 stopped, 2 usage, input or broker error; the verdict is in the report.\n\nOver HTTP, without --tokens on this \
machine alone: / for people, /v1/report as of `compare --format json`, /healthz and /readyz, /ingest, and /v1/verdict for rollout \
controllers (docs/ingest.md).\n\nExamples:\n  serin run\n  serin run '/var/log/app/*.log'\n  curl --data-binary @app.log http://127.0.0.1:7878/ingest\n  serin run \
--brokers localhost:9092 --topic logs --arm-by version"
)]
pub(super) struct RunArguments {
    /// Files to follow, and patterns of files ('/var/log/app/*.log'), through rotation and restarts; new ones are found
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
    /// Of files that are there at the very first start, read only what comes from then on
    #[arg(long)]
    pub from_end: bool,
    /// What stands for options, and rollouts and hooks, in YAML (docs/rollouts.md); options override it (default: serin.yaml
    /// in the working directory, if it is there)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Brokers to ask first; several with commas. Without TLS and without a password, unless --kafka-properties says how
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "HOST:PORT")]
    pub brokers: Option<String>,
    /// A topic of log lines, or a pattern of topics that begins with ^ (may be given several times); with =json, =otlp_proto,
    /// =otlp_json, =syslog or =raw behind it what its records hold (default: each tells by itself)
    #[cfg(feature = "kafka")]
    #[arg(long = "topic", id = "topics", value_name = "NAME[=FORMAT]")]
    pub topics: Vec<String>,
    /// A file with properties of Kafka's client, KEY=VALUE, with librdkafka's names: TLS, SASL. ${NAME} is an environment variable
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "FILE")]
    pub kafka_properties: Option<PathBuf>,
    /// The group by which one program owns the topics, while a second waits as standby; `none`: without one, beside whoever else reads
    /// them (default: made of the topics)
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "NAME", value_parser = group)]
    pub group: Option<String>,
    /// Read at most so many records a second, for tests of what happens when lines come faster than they are read
    #[arg(long, hide = true, value_name = "N")]
    pub read_at_most: Option<u64>,
    /// Serve the web UI from this folder instead of what is built in, for its development
    #[arg(long, hide = true, value_name = "DIR")]
    pub ui_dir: Option<PathBuf>,
    /// The demo runs it: where to send lines is not told.
    #[arg(skip)]
    pub is_demo: bool,
    /// Take lines over HTTP beside those of topics (without topics they always are)
    #[cfg(feature = "kafka")]
    #[arg(long)]
    pub http: bool,
    /// Keep ledger and write-ahead log in this folder
    #[arg(long, value_name = "DIR", default_value = "serin-state")]
    pub state: PathBuf,
    /// Where lines are taken and the verdict is shown; with --tokens also another address than one of this machine alone
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7878")]
    pub listen: String,
    /// Who may send and ask: a file with lines of NAME, SCOPES (ingest, read, operate, with commas) and the SHA-256 of a secret
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
    /// Save state and places of reading so often, so that a restart reads only what came since (0s: after every batch of lines)
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub checkpoint: String,
    /// Keep at least so much of the write-ahead log behind the last checkpoint
    #[arg(long, default_value = "10GiB", value_name = "SIZE", value_parser = memory)]
    pub keep_log: u64,
    /// What is kept for search.
    #[cfg(feature = "index")]
    #[command(flatten)]
    pub index: IndexArguments,
    /// Keep reports so long as they were when somebody made a link to them or a verdict changed (at most 1 GiB)
    #[arg(long, default_value = "30d", value_name = "DURATION", value_parser = length_of_time)]
    pub keep_reports: std::time::Duration,
    /// A folder of dashboards beside those that are built in (docs/ui.md)
    #[arg(long, value_name = "DIR")]
    pub dashboards: Option<PathBuf>,
    /// A partition from which nothing comes for so long does not hold the others back (at least 1s)
    #[arg(long, default_value = "30s", value_name = "DURATION")]
    pub idle: String,
    /// A partition that was not read to its end and gives nothing for so long, while others go on, is left out: no verdict that closed without it
    /// passes (at least 1s)
    #[arg(long, default_value = "2m", value_name = "DURATION")]
    pub stall: String,
    /// How events are written on standard error: for people, or an object of JSON a line
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// How lines are read.
    #[command(flatten)]
    pub how: HowArguments,
    /// What is compared with what.
    #[command(flatten)]
    pub judge: JudgeArguments,
}

/// Arguments of `search`.
#[cfg(feature = "index")]
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 lines were found, 1 none was, 2 usage or input error.\n\nExamples:\n  \
serin search app.log 'status:>=500 AND \"card declined\"'\n  serin search '_arm:2.5.0 level>=error _time:>now-15m'\n\n\
A field is named by its path (`geo.country`), or by the role that it plays (`status`, `user`, `route`). What decoding says of a \
line is asked by _time, _service, _arm, _route, _kind, _failed, _template, _reject, _stream and _position.")]
pub(super) struct SearchArguments {
    /// Log files, folders, patterns, or -; without any, a running `run` is asked. The query comes last
    #[arg(required = true, value_name = "FILE... QUERY")]
    pub words: Vec<String>,
    /// Lines that are shown, the newest first
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// Print each line as a JSON object, with its time, place and what decoding says of it
    #[arg(long)]
    pub json: bool,
    /// Go on with lines of a running `run` as they come, until it ends or Ctrl-C
    #[cfg(feature = "serve")]
    #[arg(long, short)]
    pub follow: bool,
    /// How files are read.
    #[command(flatten)]
    pub how: HowArguments,
    /// Which `serin run`.
    #[cfg(feature = "serve")]
    #[command(flatten)]
    pub remote: RemoteArguments,
}

/// Arguments of `tail`.
#[cfg(all(feature = "serve", feature = "index"))]
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 2 usage error, or nothing answers any more; it goes on until then, or Ctrl-C.\n\nExamples:\n  \
serin tail\n  serin tail '_arm:2.5.0 level>=warn'"
)]
pub(super) struct TailArguments {
    /// Only lines that match; without it all
    pub query: Option<String>,
    /// Print each line as a JSON object, with its time, place and what decoding says of it
    #[arg(long)]
    pub json: bool,
    /// Go on behind this event of an earlier answer of /v1/tail, and not with what comes from now on
    #[arg(long, value_name = "ID")]
    pub after: Option<String>,
    /// Colours; a terminal has some, unless NO_COLOR is set
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Colours::Auto)]
    pub color: Colours,
    /// Which `serin run`.
    #[command(flatten)]
    pub remote: RemoteArguments,
}

/// When output is coloured.
#[cfg(all(feature = "serve", feature = "index"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Colours {
    /// On a terminal.
    Auto,
    /// Also elsewhere.
    Always,
    /// Nowhere.
    Never,
}

/// What is kept for search.
#[cfg(all(feature = "serve", feature = "index"))]
#[derive(Debug, Args)]
pub(super) struct IndexArguments {
    /// Which lines are kept for search
    #[arg(long = "index", id = "index", value_enum, value_name = "LINES", default_value_t = Indexed::All)]
    pub what: Indexed,
    /// With `--index sampled`: of what is neither wrong nor new code, the lines of one unit of so many are kept
    #[arg(long = "index-sample", id = "index_sample", default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub sample: u32,
    /// How long lines can be searched after they came (1h, 7d)
    #[arg(long = "index-keep", id = "index_keep", default_value = "7d", value_name = "DURATION", value_parser = length_of_time)]
    pub keep: std::time::Duration,
    /// Bytes on disk that lines may take for search; the oldest go
    #[arg(long = "index-size", id = "index_size", default_value = "50GiB", value_name = "SIZE", value_parser = memory)]
    pub bytes: u64,
}

/// Which lines are kept for search.
#[cfg(all(feature = "serve", feature = "index"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Indexed {
    /// Each.
    All,
    /// Errors and new code fully, and of the rest a sample (--index-sample); counts are scaled, and said to be estimates.
    Sampled,
    /// None.
    Off,
}

/// A length of time, as options have it.
#[cfg(feature = "serve")]
pub(super) fn length_of_time(text: &str) -> Result<std::time::Duration, String> {
    let hours =
        text.strip_suffix('d').and_then(|days| days.parse::<f64>().ok()).map(|days| format!("{}h", days * 24.0));
    let text = hours.as_deref().unwrap_or(text);
    let micros = crate::cli::compare::duration(text).map_err(|error| format!("{error:#}"))?;
    u64::try_from(micros).map(std::time::Duration::from_micros).map_err(|_| "a length of time is needed".to_owned())
}

/// How events are written.
#[cfg(feature = "serve")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Arguments of `check`.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 nothing is wrong, 2 something is, or the file cannot be read.")]
pub(super) struct CheckArguments {
    /// Configurations, pipelines, dashboards, and folders of pipelines (default: serin.yaml)
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Which `serin run` is asked.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 as it should be, 1 something is out of order, 2 usage error, or nothing answers."
)]
pub(super) struct RemoteArguments {
    /// Where it listens
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7878")]
    pub address: String,
    /// A file that holds a token: for commands that of an operator, elsewhere where `run` asks for one (default: SERIN_TOKEN_FILE)
    #[arg(long, value_name = "FILE", env = "SERIN_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
}

/// Arguments of `status`.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    /// Say only whether it is ready to take lines and to judge them; needs no token
    #[arg(long)]
    pub ready: bool,
    /// Which `serin run`.
    #[command(flatten)]
    pub remote: RemoteArguments,
}

/// What an undecided rollout counts as.
#[cfg(feature = "serve")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum IfUndecided {
    /// As one that passed.
    Pass,
    /// As one that failed.
    Fail,
}

/// Arguments of `verdict`.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 pass, 1 fail, 2 usage error, or nothing answers, 3 inconclusive, 4 invalid.\n\nExamples:\n  \
serin verdict checkout\n  serin verdict checkout --wait --timeout 30m --inconclusive fail"
)]
pub(super) struct VerdictArguments {
    /// The rollout, as `serin rollouts` names it
    pub id: String,
    /// Wait until it is decided
    #[arg(long)]
    pub wait: bool,
    /// Wait no longer than this
    #[arg(long, value_name = "DURATION", default_value = "1h", requires = "wait")]
    pub timeout: String,
    /// What an undecided rollout counts as, for the exit status
    #[arg(long, value_enum, value_name = "VERDICT")]
    pub inconclusive: Option<IfUndecided>,
    /// Whether this step has passed, from 0 (default: the whole rollout)
    #[arg(long, value_name = "N")]
    pub step: Option<usize>,
    /// Which `serin run`.
    #[command(flatten)]
    pub remote: RemoteArguments,
}

/// Arguments of commands on a rollout.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 done, 1 the rollout does not allow it now, 2 usage error, no or a wrong token, or nothing \
answers."
)]
pub(super) struct CommandArguments {
    /// The rollout, as `serin rollouts` names it
    pub id: String,
    /// Why; it stands in the journal
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who; it stands in the journal (default: USER)
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Which `serin run`.
    #[command(flatten)]
    pub remote: RemoteArguments,
}

/// Arguments of `accept`.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
pub(super) struct AcceptArguments {
    /// What is accepted: lines_per_trace, called_services, routes, templates, status_classes, recovered_by_retry, warning_lines,
    /// faster
    pub finding: String,
    /// Of which rollout.
    #[command(flatten)]
    pub of: CommandArguments,
}

/// Arguments of `forget`.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
#[command(
    after_help = "Lines that came before are meant. What Kafka topics and followed files hold stays there. Decisions that rest on \
the lines cannot be made again: `serin replay` says so.\n\nExit status: 0 done (with --no-wait: written down), 2 usage error, or nothing \
answers."
)]
pub(super) struct ForgetArguments {
    /// The unit's id, as lines have it
    #[arg(long, value_name = "ID")]
    pub unit: String,
    /// Lines in which the id stands anywhere as a word, too; each line that is kept is read for it
    #[arg(long)]
    pub mentions: bool,
    /// Why; it is kept with what was done
    #[arg(long, value_name = "TEXT", default_value = "asked to")]
    pub reason: String,
    /// Who; it is kept with what was done (default: USER)
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Do not wait until it is done
    #[arg(long)]
    pub no_wait: bool,
    /// Which `serin run`.
    #[command(flatten)]
    pub remote: RemoteArguments,
}

/// Arguments of `token`.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
#[command(
    after_help = "The token is printed once and kept nowhere. With --tokens its line (its name, what it is for, and its SHA-256) \
is added to that file, and only the token is printed; a running `serin run` reads the file again on SIGHUP.\n\nExit status: 0 \
done, 2 usage error, or a file that cannot be used.\n\nExamples:\n  serin token web --for ingest\n  serin token ann --for \
operate --tokens /etc/serin/tokens > ann.token"
)]
pub(super) struct TokenArguments {
    /// Whose it is; one word
    pub name: String,
    /// What it is for: ingest (sending lines), read (verdicts, reports, metrics), operate (calls that change rollouts, and read);
    /// several with commas
    #[arg(long = "for", value_name = "SCOPES")]
    pub scopes: String,
    /// Add its line to this file
    #[arg(long, value_name = "FILE")]
    pub tokens: Option<PathBuf>,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 every byte agrees, 1 a decision differs, 2 usage or input error, 3 the lines are erased (serin forget) that it would rest on."
)]
pub(super) struct ReplayArguments {
    /// The ledger, as `compare --ledger` wrote it; or the state folder of `run`, which has its log beside it
    pub ledger: PathBuf,
    /// The logs that it was made from; of a state folder none
    #[arg(value_name = "FILE")]
    pub files: Vec<String>,
    /// Where the topics are whose lines a state folder's ledger was made from; they are read again
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "files")]
    pub brokers: Option<String>,
    /// As in `run`
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "FILE", requires = "brokers")]
    pub kafka_properties: Option<PathBuf>,
    /// File with the secret that redaction keyed its hashes with
    #[arg(long, value_name = "FILE")]
    pub redaction_key: Option<PathBuf>,
    /// Threads that decode and fold (default: all cores)
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<usize>,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    /// The ledger, as `compare --ledger` or `run` wrote it
    pub ledger: PathBuf,
}

/// Arguments of `calibrate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Splits the units of the log (users, sessions, clients) at random, many times. Nothing differs between \
the halves, so every rollback is false; then a known regression is planted into one half, so every promotion is false. \
Serin is shown beside rules that people use today, on the same splits.\n\nSplit number N is the one that `compare \
--arm-by 'hash(unit, 50%, N)'` judges.\n\nExit status: 0 done, 2 usage or input error.\n\nExamples:\n  serin calibrate \
access.log\n  serin calibrate logs/ --splits 1000 --plant latency:20%\n  serin calibrate app.log --baseline \
'version:1.4.2'"
)]
pub(super) struct CalibrateArguments {
    /// Which logs.
    #[command(flatten)]
    pub logs: LogArguments,
    /// Only lines that match this query (version:1.4.2); without it all lines are split
    #[arg(long, value_name = "QUERY")]
    pub baseline: Option<String>,
    /// Random splits without a change, and as many with --plant
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub splits: u32,
    /// Share of units in the canary of each split
    #[arg(long, default_value = "50%", value_name = "PERCENT")]
    pub share: String,
    /// The regression planted into the canary: errors:2% (of requests fail) or latency:20% (longer)
    #[arg(long, default_value = "errors:2%", value_name = "CHANGE")]
    pub plant: String,
    /// What the team asks, in YAML: guardrails, next_share_percent, minimum_minutes, expect, share_percent, release,
    /// limits, conversions, segments (docs/compare.md)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Text for people, JSON for programs, or one HTML page that needs nothing else (redirect it into a file)
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `backtest`.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the logs once and finds who was rolled out beside whom, as `compare` does, for as many deploys as there \
are. Each is judged by itself as it would have been judged while it ran: when it would have passed or been stopped, by \
what, and how many users met the new version only after that. Beside it stands what Flagger's and Kayenta's rules would have \
said on the same minutes. A version that replaced another within minutes is told of with its before and after, which is \
no verdict: everything else changed too. A burst of new instances without a new version is listed as a restart.\n\nExit \
status: 0 done, whatever was found, 2 usage or input error.\n\nExamples:\n  serin backtest logs/\n  serin backtest \
'app-2026-05-*.ndjson.gz' --format html > may.html\n  serin backtest app.log --since 2026-05-01T00:00:00Z --until \
2026-06-01T00:00:00Z\n  serin demo --archive | serin backtest -"
)]
pub(super) struct BacktestArguments {
    /// Which logs.
    #[command(flatten)]
    pub logs: LogArguments,
    /// The field whose values are the versions (default: the one that is recognised)
    #[arg(long, value_name = "FIELD")]
    pub arm_by: Option<String>,
    /// What the team asks, in YAML: guardrails, next_share_percent, minimum_minutes, expect, share_percent, release,
    /// limits, conversions, segments (docs/compare.md)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Text for people, JSON for programs, or one HTML page that needs nothing else (redirect it into a file)
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without FILE the traffic is assumed to be like that of a shop: a few users send most requests, some err \
often, retry loops make three of ten errors, users stick to their arm. With FILE it is read off a log in which nothing \
is rolled out (its users are split at random, as `calibrate` does), and goes on at the same rates.\n\nMinutes are those \
of steady traffic, until half and until four of five rollouts are decided. A pass is what `compare` says with the same \
policy.\n\nExit status: 0 done (also when something cannot be decided in time), 2 usage or input error.\n\nExamples:\n  \
serin plan --traffic 3000/min --users 20000 --errors 0.5% --share 5%\n  serin plan --traffic 50/s --users 2000000 \
--errors 0.1% --share 1% --change errors:+0.5% --for 1h\n  serin plan last-week.log --share 10% --policy policy.yaml"
)]
pub(super) struct PlanArguments {
    /// Log files, folders, patterns, or - for standard input, from before the rollout
    #[arg(value_name = "FILE", conflicts_with_all = ["traffic", "users", "errors"])]
    pub files: Vec<String>,
    /// Requests of both arms together, as 3000/min, 50/s or 20000/h
    #[arg(long, value_name = "RATE", requires = "users", requires = "errors")]
    pub traffic: Option<String>,
    /// Users (sessions, clients) that come in all
    #[arg(long, value_name = "N")]
    pub users: Option<u64>,
    /// Share of requests that fail
    #[arg(long, value_name = "PERCENT")]
    pub errors: Option<String>,
    /// Share of users in the canary
    #[arg(long, default_value = "50%", value_name = "PERCENT")]
    pub share: String,
    /// A change that is to be found: errors:+0.5% (of requests fail in addition) or latency:+20% (longer)
    #[arg(long, value_name = "CHANGE")]
    pub change: Option<String>,
    /// The time that the step has (1h): says which margins cannot be decided in it
    #[arg(long = "for", value_name = "DURATION")]
    pub time: Option<String>,
    /// What the team asks: guardrails, step (YAML)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// How lines are read.
    #[command(flatten)]
    pub how: HowArguments,
    /// Text for people or JSON for programs
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub format: PlanFormat,
}

/// How a plan is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum PlanFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}
