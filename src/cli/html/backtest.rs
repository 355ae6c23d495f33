//! What `serin backtest` found, as a page.

use super::markup::Markup;
use crate::cli::backtest::Shown;

/// The page.
pub(in crate::cli) fn page(of: &Shown<'_>) -> String {
    let mut m = Markup::default();
    super::whole(&mut m, "backtest", None, |m| {
        m.words("p", "lead", &of.intro());
    });
    m.finish()
}
