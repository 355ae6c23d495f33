//! The command line: what a person runs.

mod arguments;
mod backtest;
mod bench;
mod buckets;
mod calibrate;
mod clock;
mod compare;
#[cfg(feature = "serve")]
mod config;
mod demo;
#[cfg(feature = "index")]
mod each_line;
mod explain;
mod html;
mod output;
mod pipelines;
mod plan;
mod policy_file;
#[cfg(feature = "serve")]
mod remote;
mod replay;
mod report;
mod report_json;
#[cfg(feature = "serve")]
mod run;
mod scoreboard;
#[cfg(feature = "index")]
mod search;
mod show;
#[cfg(all(feature = "serve", feature = "index"))]
mod tail;
#[cfg(feature = "index")]
mod templates;
mod terminal;
#[cfg(feature = "serve")]
mod tokens;
#[cfg(feature = "index")]
mod who;
mod yaml;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::arguments::{Arguments, Command};
use crate::compare::verdict::Verdict;
#[cfg(feature = "serve")]
use crate::rollout;

/// Exit status for a verdict; usage and input errors are 2.
pub fn exit_status(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Fail => 1,
        Verdict::Inconclusive => 3,
        Verdict::Invalid => 4,
    }
}

/// Exit status of usage and input errors.
pub const STATUS_ERROR: u8 = 2;

/// Runs the program and gives its exit status.
pub fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // Whose exit status is a judgement must not seem to pass because a pipe was closed.
    let judges = match &arguments.command {
        Command::Compare(_) | Command::Replay(_) => true,
        #[cfg(feature = "serve")]
        Command::Verdict(_) => true,
        Command::Demo(arguments) => !arguments.archive,
        _ => false,
    };
    let done = match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Test(arguments) => pipelines::test(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        #[cfg(feature = "serve")]
        Command::Run(arguments) => run::run(*arguments, &run::Said::of(&matches)),
        #[cfg(feature = "serve")]
        Command::Check(arguments) => config::check(&arguments),
        #[cfg(feature = "serve")]
        Command::Status(arguments) => remote::status(&arguments),
        #[cfg(feature = "serve")]
        Command::Rollouts(arguments) => remote::rollouts(&arguments),
        #[cfg(feature = "serve")]
        Command::Verdict(arguments) => remote::verdict(&arguments),
        #[cfg(feature = "serve")]
        Command::Approve(arguments) => remote::command(rollout::Command::Approve, &arguments, None),
        #[cfg(feature = "serve")]
        Command::Hold(arguments) => remote::command(rollout::Command::Hold, &arguments, None),
        #[cfg(feature = "serve")]
        Command::Resume(arguments) => remote::command(rollout::Command::Resume, &arguments, None),
        #[cfg(feature = "serve")]
        Command::Rollback(arguments) => remote::command(rollout::Command::RollBack, &arguments, None),
        #[cfg(feature = "serve")]
        Command::Accept(arguments) => {
            remote::command(rollout::Command::Accept, &arguments.of, Some(&arguments.finding))
        }
        #[cfg(feature = "serve")]
        Command::Forget(arguments) => remote::forget(&arguments),
        #[cfg(feature = "index")]
        Command::Search(arguments) => search::run(&arguments),
        #[cfg(all(feature = "serve", feature = "index"))]
        Command::Tail(arguments) => tail::run(&arguments),
        #[cfg(feature = "index")]
        Command::Templates(arguments) => templates::run(&arguments),
        #[cfg(feature = "index")]
        Command::Who(arguments) => who::run(&arguments),
        #[cfg(feature = "serve")]
        Command::Token(arguments) => tokens::make(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Calibrate(arguments) => calibrate::run(&arguments),
        Command::Backtest(arguments) => backtest::run(&arguments),
        Command::Scoreboard(arguments) => scoreboard::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(error) if !judges && is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&error);
            ExitCode::from(STATUS_ERROR)
        }
    }
}

/// The reader of our output has gone (`| head`): that is no error of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe))
}
