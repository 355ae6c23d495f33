//! `serin check`: what is wrong in files, whatever kind they are of.

use std::path::PathBuf;

use anyhow::Context;

use super::{DEFAULT_FILE, Outside, address, parse};
use crate::cli::arguments::CheckArguments;
use crate::cli::pipelines::{self, sources};
use crate::cli::report::count;
use crate::cli::run::dashboards;
use crate::cli::terminal;
use crate::cli::yaml::{Problem, Problems};

/// Runs `check`.
pub(in crate::cli) fn check(arguments: &CheckArguments) -> anyhow::Result<u8> {
    let files = match arguments.files.is_empty() {
        true => vec![PathBuf::from(DEFAULT_FILE)],
        false => arguments.files.clone(),
    };
    let mut is_wrong = false;
    for path in files {
        let texts: Vec<(String, String)> = match path.is_dir() {
            true => {
                sources(&path.display().to_string())?.into_iter().map(|source| (source.shown, source.text)).collect()
            }
            false => {
                let shown = path.display().to_string();
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("{shown}: cannot be read; name a file: serin check FILE"))?;
                vec![(shown, text)]
            }
        };
        for (shown, text) in texts {
            match checked(&text) {
                Ok(what) => terminal::print(&format!("{shown}: nothing is wrong: {what}.\n"))?,
                Err(problems) => {
                    is_wrong = true;
                    terminal::print(&pipelines::told(&shown, &problems))?;
                }
            }
        }
    }
    Ok(if is_wrong { crate::cli::STATUS_ERROR } else { 0 })
}

/// What a file is, in words.
fn checked(text: &str) -> Result<String, Vec<Problem>> {
    let is_empty = text.lines().all(|line| line.trim_ascii().is_empty() || line.trim_ascii_start().starts_with('#'));
    if is_empty {
        return Ok("nothing is in it, so `serin run` does as usual".to_owned());
    }
    if dashboards::is_one(text) {
        return dashboards::parse(text).map(|_| "a dashboard".to_owned());
    }
    if pipelines::is_one(text) {
        let pipeline = pipelines::parse(text)?;
        let tests = count(pipeline.tests.len() as u64, "test");
        return Ok(format!("the pipeline {}, with {tests}", pipeline.stage.name));
    }
    let config = parse(text, None, Outside::Looked)?;
    if let Some(written) = config.options.iter().find(|written| written.id == "listen")
        && written.values.first().is_some_and(|text| address(text).is_ok_and(|address| !address.ip().is_loopback()))
        && !config.options.iter().any(|written| written.id == "tokens")
    {
        let mut problems = Problems::default();
        let words =
            "listen: beyond this machine needs tokens as well, so that not everybody may ask (serin token --help)";
        problems.add(written.at, words.to_owned());
        return Err(problems.0);
    }
    let (rollouts, hooks) = (config.declared.len() as u64, config.hooks.len() as u64);
    Ok(format!("{} and {}", count(rollouts, "rollout"), count(hooks, "hook")))
}
