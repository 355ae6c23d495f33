//! The list of templates that differ between the arms, at the moment at which it is asked for.
//!
//! e-BH on the current e-values (statistics design 4.9): of what is listed at one moment about one in twenty may be false. The
//! size of a family is fixed, however many templates there are.

use crate::compare::lists::{ALPHA_LIST, e_bh_of};
use crate::compare::share;
use crate::engine::templates::{Template, Templates};
use crate::math;

/// Size of the family of templates below level error.
pub const FAMILY: u32 = 4_096;
/// Size of the family of templates of level error or worse.
pub const ERROR_FAMILY: u32 = 1_024;

/// How a template differs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Change {
    /// Units of the candidate meet it, and none of the control.
    New,
    /// Units of the control meet it, and none of the candidate.
    Gone,
    /// More of the candidate's units meet it.
    Up,
    /// Fewer do.
    Down,
}

impl Change {
    /// Every change, in order.
    pub const ALL: [Change; 4] = [Change::New, Change::Gone, Change::Up, Change::Down];

    /// The word that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Change::New => "new",
            Change::Gone => "gone",
            Change::Up => "up",
            Change::Down => "down",
        }
    }
}

/// A template that differs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Listed<'t> {
    /// Its id.
    pub id: u64,
    /// Level error or worse.
    pub severe: bool,
    /// How.
    pub change: Change,
    /// ln e against "as often as in the control", in either direction.
    pub log_e: f64,
    /// What was counted.
    pub template: &'t Template,
}

impl Templates {
    /// Templates that differ at this moment: of level error or worse first, then strongest evidence first.
    pub fn list(&self) -> Vec<Listed<'_>> {
        let mut list = self.list_of(true);
        list.extend(self.list_of(false));
        list
    }

    /// Those of one class of level, strongest evidence first.
    pub fn list_of(&self, severe: bool) -> Vec<Listed<'_>> {
        let class = &self.classes[usize::from(severe)];
        let met: Vec<(&u64, &Template, f64)> = class
            .slots
            .iter()
            .filter(|(_, template)| !template.first.is_empty())
            .map(|(id, template)| (id, template, self.log_e_either_way(template)))
            .collect();
        let e: Vec<f64> = met.iter().map(|(_, _, log_e)| math::exp(*log_e)).collect();
        let family = if severe { ERROR_FAMILY } else { FAMILY };
        let found = met.into_iter().zip(e_bh_of(&e, family, ALPHA_LIST)).filter(|(_, found)| *found);
        let mut list: Vec<Listed<'_>> = found
            .map(|((id, template, log_e), _)| Listed {
                id: *id,
                severe,
                change: self.change_of(template),
                log_e,
                template,
            })
            .collect();
        list.sort_by(|a, b| b.log_e.total_cmp(&a.log_e).then(a.id.cmp(&b.id)));
        list
    }

    /// ln e against "as often": the mean of both directions.
    fn log_e_either_way(&self, template: &Template) -> f64 {
        let strata = template.strata(&self.at_risk);
        math::log_mean_exp(&[share::log_e_fail(&strata, 1.0), share::log_e_pass(&strata, 1.0)])
    }

    fn change_of(&self, template: &Template) -> Change {
        let [control, candidate] = template.units();
        // Lines that belong to no unit may have shown it before.
        let [in_control, in_candidate, _] = template.lines;
        match (control + in_control, candidate + in_candidate) {
            (0, _) => Change::New,
            (_, 0) => Change::Gone,
            (_, _) => {
                let strata = template.strata(&self.at_risk);
                if share::rises(&strata) { Change::Up } else { Change::Down }
            }
        }
    }
}
