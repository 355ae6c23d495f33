//! Arguments of `bench`.

#[cfg(feature = "index")]
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub(in crate::cli) struct BenchArguments {
    /// What to measure
    #[command(subcommand)]
    pub what: BenchCommand,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BenchCommand {
    /// Fold log lines into windows and verdicts, beside a newline scan and a bare parse of the same lines
    Fold(FoldBenchArguments),
    /// Decode lines of each form, beside its parser alone or what stands inside
    Decode(DecodeBenchArguments),
    /// Write the generated corpus of `bench fold` to standard output, for other measurements of it
    Corpus(CorpusArguments),
    /// Run as `run` does, with its files, and measure CPU time for a line by each way in, beside lower bounds of the same run
    #[cfg(feature = "serve")]
    Live(LiveBenchArguments),
    /// Measure the time from a total failure to the first byte of the hook, whole and in parts
    #[cfg(feature = "serve")]
    Hook(HookBenchArguments),
    /// Index a file of JSON lines, beside tantivy by itself with the same documents
    #[cfg(feature = "index")]
    Index(IndexBenchArguments),
    /// Ask an index that `bench index` made the questions of a corpus with the fields service, version, route, status, latency_ms,
    /// user_id, trace_id and msg
    #[cfg(feature = "index")]
    Query(IndexBenchArguments),
}

/// Arguments of `bench decode`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DecodeBenchArguments {
    /// Lines of each form, which are held in memory
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    pub lines: u64,
    /// Seed
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Print figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench corpus`.
#[derive(Debug, Args)]
pub(in crate::cli) struct CorpusArguments {
    /// Lines (about 470 bytes each)
    #[arg(long, default_value_t = 5_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub lines: u64,
    /// Users
    #[arg(long, default_value_t = 500_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub users: u32,
    /// Seed
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

/// Arguments of `bench index` and `bench query`.
#[cfg(feature = "index")]
#[derive(Debug, Args)]
pub(in crate::cli) struct IndexBenchArguments {
    /// JSON lines; plain, gzip or zstd
    pub file: PathBuf,
    /// Where the index is, or will be: an empty folder
    #[arg(long, value_name = "DIR")]
    pub keep: PathBuf,
    /// Lines at most
    #[arg(long, default_value_t = u64::MAX, value_name = "N", hide_default_value = true)]
    pub lines: u64,
    /// Without tantivy by itself
    #[arg(long)]
    pub alone: bool,
    /// `index`: ask while lines are indexed, and say how long answers take
    #[arg(long)]
    pub ask: bool,
    /// `query`: with the index's files out of the page cache before the first answer
    #[arg(long)]
    pub cold: bool,
    /// Print figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench live`.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
pub(in crate::cli) struct LiveBenchArguments {
    /// Lines by each way (about 470 bytes each, held in memory)
    #[arg(long, default_value_t = 500_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=20_000_000))]
    pub lines: u64,
    /// Users of the generated corpus
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub users: u32,
    /// Seed of the generated corpus
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Brokers on this machine, for Kafka; a topic is made there
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "HOST:PORT")]
    pub brokers: Option<String>,
    /// The broker's process, whose CPU time is told apart
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "PID", requires = "brokers")]
    pub broker_pid: Option<u32>,
    /// Figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench hook`.
#[cfg(feature = "serve")]
#[derive(Debug, Args)]
pub(in crate::cli) struct HookBenchArguments {
    /// Rollouts, side by side
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub runs: u16,
    /// Seconds for which the canary is well
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub healthy: u64,
    /// Brokers on this machine: lines go there, each run to a topic of its own (without them over HTTP)
    #[cfg(feature = "kafka")]
    #[arg(long, value_name = "HOST:PORT")]
    pub brokers: Option<String>,
    /// Figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench fold`.
#[derive(Debug, Args)]
pub(in crate::cli) struct FoldBenchArguments {
    /// Lines of the generated corpus (about 470 bytes each)
    #[arg(long, default_value_t = 5_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub lines: u64,
    /// Users of the generated corpus
    #[arg(long, default_value_t = 500_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub users: u32,
    /// Seed of the generated corpus
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Count segments too, of the fields that are found (two in this corpus)
    #[arg(long)]
    pub segments: bool,
    /// Print figures as JSON
    #[arg(long)]
    pub json: bool,
}
