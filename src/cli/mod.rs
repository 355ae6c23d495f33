//! The command line: what a person runs.

mod arguments;
mod backtest;
mod bench;
mod calibrate;
mod compare;
mod demo;
mod html;
mod output;
mod plan;
mod policy_file;
mod replay;
mod report;
mod report_json;
#[cfg(feature = "serve")]
mod run;
mod scoreboard;
mod show;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::arguments::{Arguments, Command};
use crate::compare::verdict::Verdict;

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
    let arguments = Arguments::parse();
    // Whose exit status is a judgement must not seem to pass because a pipe was closed.
    let judges = match &arguments.command {
        Command::Compare(_) | Command::Replay(_) => true,
        Command::Demo(arguments) => !arguments.archive,
        _ => false,
    };
    let done = match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        #[cfg(feature = "serve")]
        Command::Run(arguments) => run::run(arguments),
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
