//! The options that are in force, and where each was said: what Status shows of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::{Value, json};

use crate::cli::config::{Config, DEFAULT_FILE};

/// Longest value that is shown, in characters.
const SHOWN_MAX: usize = 300;
/// Options that are for the development of the program alone.
const HIDDEN: [&str; 2] = ["read_at_most", "ui_dir"];

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Said {
    /// Options that were given, by the names of their fields.
    pub given: BTreeSet<String>,
    /// All options that have a value, also by default.
    values: BTreeMap<String, String>,
}

impl Said {
    /// Of the command that was called.
    pub(in crate::cli) fn of(matches: &ArgMatches) -> Said {
        let mut said = Said::default();
        let Some((_, of_command)) = matches.subcommand() else { return said };
        for id in of_command.ids().map(|id| id.as_str()) {
            // Groups of options, which have the names of types, have no value of their own.
            if id.starts_with(char::is_uppercase) {
                continue;
            }
            let Ok(Some(values)) = of_command.try_get_raw(id) else { continue };
            let values: Vec<String> = values.map(|value| value.to_string_lossy().into_owned()).collect();
            said.values.insert(id.to_owned(), values.join(", "));
            if of_command.value_source(id) == Some(ValueSource::CommandLine) {
                said.given.insert(id.to_owned());
            }
        }
        said
    }

    /// The configuration as JSON: its `file`, and each of the `settings` with its `name`, `value` and where it is `from`: `option`, `file`
    /// or `default`. Secrets are in files alone, whose paths these are.
    pub(super) fn in_force(&self, config: &Config, file: Option<&Path>) -> Value {
        let mut settings: BTreeMap<&str, (String, &str)> = BTreeMap::new();
        for (id, value) in &self.values {
            let from = if self.given.contains(id) { "option" } else { "default" };
            settings.insert(id, (value.clone(), from));
        }
        for (id, value) in config.written().filter(|(id, _)| !self.given.contains(*id)) {
            settings
                .entry(id)
                .and_modify(|(known, from)| match *from {
                    // Roles are one entry of the file each.
                    "file" => *known = format!("{known}, {value}"),
                    _ => (*known, *from) = (value.clone(), "file"),
                })
                .or_insert((value.clone(), "file"));
        }
        let settings: Vec<Value> = settings
            .into_iter()
            .filter(|(id, _)| !HIDDEN.contains(id))
            .map(|(id, (value, from))| {
                let value: String = value.chars().take(SHOWN_MAX).collect();
                json!({ "name": id.replace('_', "-"), "value": value, "from": from })
            })
            .collect();
        let default = Path::new(DEFAULT_FILE);
        let file = file.or_else(|| default.exists().then_some(default));
        json!({ "file": file.map(|file| file.display().to_string()), "settings": settings })
    }
}
