//! The configuration, read again on SIGHUP while the program runs: all of it or nothing.
//!
//! Hooks, tokens, owners, steps, deadlines, names of rollouts and `stale_after` may be others; that is journalled with its place in
//! the ledger, so that a restart decides alike. What everything was decided by stays as the ledger has it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, bail};

use crate::cli::config::{self, Config};
use crate::cli::policy_file;
use crate::cli::run::desk::{Answer, Desk};
use crate::cli::run::log::warn;
use crate::cli::tokens::{Access, Tokens};

/// What a configuration is read from, and what it is put into.
pub(super) struct Reloading {
    /// The file that was named.
    pub file: Option<PathBuf>,
    /// The policy that was named.
    pub policy: Option<PathBuf>,
    /// Options that were given, which stand before those of the file.
    pub given: BTreeSet<String>,
    /// The file of tokens, where one is in use.
    pub tokens: Option<PathBuf>,
    pub state: PathBuf,
    /// Other machines may ask.
    pub is_open: bool,
    /// The configuration that goes on.
    pub config: Config,
    pub access: Access,
    pub stale_after: Arc<AtomicI64>,
    pub desk: Desk,
}

impl Reloading {
    /// Reads everything again. An error says why all stays as it was.
    pub(super) fn reload(&mut self) -> anyhow::Result<()> {
        let policy = self.policy.as_deref().map(policy_file::read).transpose()?;
        let config = config::load(self.file.as_deref(), policy)?;
        let fixed = self.config.fixed_differences(&config, &self.given);
        if !fixed.is_empty() {
            bail!("{}", fixed.join("; "));
        }
        let file = match self.given.contains("tokens") {
            true => self.tokens.clone(),
            false => config.option("tokens").map(PathBuf::from),
        };
        if self.is_open && file.is_none() {
            bail!("tokens: other machines may ask here, so there must be a file of tokens");
        }
        let tokens = Tokens::load(file.as_deref(), config.operate_token.as_deref(), &self.state)?;
        // Whoever takes the next step takes all: what can be refused comes before.
        match self.desk.configure(&config) {
            Answer::Done => {}
            Answer::Refused(words) | Answer::NotNow(words) => bail!(words),
        }
        if let Err(error) = tokens.keep(&self.state) {
            // It counts all the same; without the file of the token a restart would not know it.
            warn(&format!("{error:#}"));
        }
        self.access.replace(tokens);
        self.stale_after.store(config.stale_after, Ordering::Release);
        (self.tokens, self.config) = (file, config);
        Ok(())
    }

    /// The same, in words for who looks; false: refused.
    pub(super) fn told(&mut self) -> (bool, String) {
        match self.reload().context("the configuration was not read again, and goes on as it was") {
            Ok(()) => {
                let entries = self.desk.view().book.read().entries;
                (true, format!("the configuration was read again, and counts from ledger entry {entries} on"))
            }
            Err(refused) => (false, format!("{refused:#}")),
        }
    }
}
