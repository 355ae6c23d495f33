//! Is a unit (user, session, client) routed as a whole, or is each of its requests routed anew?
//!
//! The share test counts units. If requests are routed one by one, every unit is soon in both arms and the request is the
//! unit. This rule reads only the first two requests of each unit, so units that ask often weigh no more than others.

/// How requests of one unit are routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Too few units so far. Tests run with the named unit (valid under both), PASS waits.
    Undecided,
    /// A unit stays in its arm.
    Sticky,
    /// Each request is routed by itself: the unit of the tests is the request.
    PerRequest,
    /// Neither: nothing can be compared until it is configured.
    Mixed,
}

/// Decides from units with at least two requests in a stratum: `first_small` had the first one in the smaller arm, and
/// `second_other` of those had the second one in the other arm. `share` is the share of first requests of either arm.
///
/// Returned with it, once decided: the share of units that moved, relative to what routing by request would give (about 0
/// when sticky, about 1 when per request).
pub fn unit_rule(first_small: u64, second_other: u64, share: f64) -> (Routing, Option<f64>) {
    /// Units needed when the other arm gets everything that is routed anew; at most 16 times as many at even shares.
    const UNITS_MIN: f64 = 50.0;
    const STICKY_MAX: f64 = 0.25;
    const PER_REQUEST_MIN: f64 = 0.75;
    if !(share > 0.0 && share < 1.0) {
        return (Routing::Undecided, None);
    }
    // A unit that is routed anew meets the other arm with this probability; 1/2 or more.
    let other_share = share.max(1.0 - share);
    let scale = other_share.max(0.25);
    let num_units = first_small as f64;
    if num_units < UNITS_MIN / (scale * scale) {
        return (Routing::Undecided, None);
    }
    let moved = second_other.min(first_small) as f64 / num_units / other_share;
    let routing = if moved <= STICKY_MAX {
        Routing::Sticky
    } else if moved >= PER_REQUEST_MIN {
        Routing::PerRequest
    } else {
        Routing::Mixed
    };
    (routing, Some(moved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_the_decision() {
        let check = |first_small, second_other, share, want| {
            let (routing, moved) = unit_rule(first_small, second_other, share);
            assert_eq!(routing, want, "{second_other} of {first_small} at {share}");
            assert_eq!(moved.is_none(), want == Routing::Undecided);
        };
        check(199, 0, 0.5, Routing::Undecided);
        check(200, 0, 0.5, Routing::Sticky);
        check(200, 25, 0.5, Routing::Sticky);
        check(200, 26, 0.5, Routing::Mixed);
        check(200, 74, 0.5, Routing::Mixed);
        check(200, 75, 0.5, Routing::PerRequest);
        check(200, u64::MAX, 0.5, Routing::PerRequest);
        check(u64::MAX, 0, 0.05, Routing::Sticky);
        for share in [0.0, 1.0, -0.5, 2.0, f64::NAN, f64::INFINITY] {
            check(1000, 0, share, Routing::Undecided);
        }
    }
}
