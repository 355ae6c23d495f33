//! What a pipeline says of which lines are kept for search.

use crate::cli::yaml::{Fields, Problems};
use crate::pipeline::kept::{Keep, KeepRule};

use super::Pipeline;
use super::parse::{at_most, query};

/// Rules of one pipeline.
const RULES_MAX: usize = 64;
/// Of how many units one is kept, where that is not said.
const ONE_IN: u32 = 10;
/// The same: most.
const ONE_IN_MAX: u32 = 10_000;

/// Reads `index`.
pub(super) fn index(fields: &mut Fields<'_>, pipeline: &mut Pipeline, problems: &mut Problems) {
    let Some((list, at)) = fields.list("index", problems) else { return };
    at_most(RULES_MAX, list.len(), "index", at, problems);
    for node in list {
        let mut of = Fields::of(node, "index", problems);
        let (when, keep, one_in) =
            (of.text("when", problems), of.text("keep", problems), of.number("one_in", problems));
        of.finish(problems);
        let is_limited = when.is_some();
        #[cfg(feature = "index")]
        let at_when = when.as_ref().map(|(_, at)| *at);
        let when = when.and_then(|text| query(text, "index.when", problems));
        // It would never fit, whatever lines come.
        #[cfg(feature = "index")]
        if let (Some(query), Some(at)) = (&when, at_when)
            && let Some(error) = crate::index::impossible(query)
        {
            problems.add(
                at,
                format!(
                    "index.when: {}{}",
                    error.message,
                    error.help.map(|help| format!("; there are {help}")).unwrap_or_default()
                ),
            );
        }
        let number = one_in.and_then(|(number, at)| {
            let fits = number.fract() == 0.0 && (1.0..=f64::from(ONE_IN_MAX)).contains(&number);
            if !fits {
                problems.add(at, format!("index.one_in: a whole number from 1 to {ONE_IN_MAX} is needed"));
            }
            fits.then_some(number as u32)
        });
        let keep = match keep {
            Some((word, _)) if word == "all" => Keep::All,
            Some((word, _)) if word == "sampled" => Keep::Sampled(number.unwrap_or(ONE_IN)),
            Some((word, _)) if word == "off" => Keep::Off,
            Some((word, at)) => {
                problems.add(at, format!("index.keep: `{word}` is unknown; there are all, sampled, off"));
                continue;
            }
            None => {
                problems.add(node.at, "index: `keep` is needed: all, sampled or off");
                continue;
            }
        };
        if let Some((_, at)) = one_in
            && !matches!(keep, Keep::Sampled(_))
        {
            problems.add(at, "index.one_in: only with `keep: sampled`");
        }
        // A rule without its query would be one for all lines.
        if is_limited && when.is_none() {
            continue;
        }
        pipeline.index.push(KeepRule { streams: Vec::new(), when, keep });
    }
}
