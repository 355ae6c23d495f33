//! Versions that replaced others at once: what was before, and what was after, which is no comparison.

use super::{Report, paragraph};
use crate::backtest::{BESIDE_MIN, Deploy, What};
use crate::cli::backtest::before_after as numbers;
use crate::cli::terminal::harmless;
use crate::time::MINUTE;

/// Cut-overs that are told.
const CUT_OVERS_MAX: usize = 20;

/// The time before and the time after in numbers, and that these are no verdict.
pub(in crate::cli) fn before_after(deploy: &Deploy) -> Option<String> {
    let What::CutOver(of) = &deploy.what else { return None };
    Some(format!(
        "They served beside each other for less than {} minutes. Before and after, an hour each at most: {}. This describes, and \
         decides nothing: the time of day, the users and everything else that is deployed may have changed too.",
        BESIDE_MIN / MINUTE,
        numbers(of)
    ))
}

impl Report<'_> {
    /// Those of which no comparison tells.
    pub(in crate::cli) fn other_cut_overs(&self) -> impl Iterator<Item = &Deploy> {
        let told = |deploy: &Deploy| self.comparisons.iter().any(|judged| judged.replaced.as_ref() == Some(deploy));
        self.cut_overs.iter().filter(move |deploy| !told(deploy))
    }

    /// A version that took over, in a sentence.
    pub(in crate::cli) fn took_over(deploy: &Deploy) -> String {
        let words = before_after(deploy).unwrap_or_default();
        let [from, to] = [&deploy.from, &deploy.to].map(|version| harmless(version, 60));
        format!("{}: {to} replaced {from} at once, about {}. {words}", harmless(&deploy.service, 60), deploy.at)
    }

    pub(super) fn write_cut_overs(&self, out: &mut String) {
        let list: Vec<&Deploy> = self.other_cut_overs().collect();
        for deploy in list.iter().take(CUT_OVERS_MAX) {
            paragraph(out, &Report::took_over(deploy));
        }
        if list.len() > CUT_OVERS_MAX {
            paragraph(out, &format!("{} more versions replaced others at once.", list.len() - CUT_OVERS_MAX));
        }
        if !list.is_empty() {
            out.push('\n');
        }
    }
}
