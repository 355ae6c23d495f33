//! Ordered steps within a time, by unit.

use crate::adoption::units::Mark;

/// How many steps a unit came through in order, the whole way within `within` seconds: the most of any way that it went.
///
/// `marks` in order of time; of one second, all steps count as if they came in the asked order.
pub(super) fn steps_of(marks: &[Mark], steps: usize, within: i64) -> usize {
    // When the latest way began that has come so far.
    let mut begun: Vec<Option<i64>> = vec![None; steps];
    let mut most = 0;
    for of_second in marks.chunk_by(|a, b| a.second == b.second) {
        let bits = of_second.iter().fold(0, |bits, mark| bits | mark.steps);
        let Some(now) = of_second.first().map(|mark| mark.second) else { continue };
        for step in 0..steps {
            if bits >> step & 1 == 0 {
                continue;
            }
            let from = match step.checked_sub(1) {
                None => Some(now),
                Some(before) => begun.get(before).copied().flatten().filter(|from| now - from <= within),
            };
            if let (Some(from), Some(begun)) = (from, begun.get_mut(step)) {
                *begun = Some(begun.map_or(from, |known| known.max(from)));
                most = most.max(step + 1);
            }
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(marks: &[(i64, u8)], steps: usize, within: i64) -> usize {
        let marks: Vec<Mark> =
            marks.iter().map(|(second, steps)| Mark { second: *second, steps: *steps, used: 0 }).collect();
        steps_of(&marks, steps, within)
    }

    #[test]
    fn steps_count_in_order_and_in_time() {
        assert_eq!(way(&[], 3, 60), 0);
        assert_eq!(way(&[(0, 1), (10, 2), (20, 4)], 3, 60), 3);
        // The second before the first is none, and the third needs the second.
        assert_eq!(way(&[(0, 2), (10, 1), (20, 4)], 3, 60), 1);
        // Too late, but a later way began in time.
        assert_eq!(way(&[(0, 1), (100, 2)], 2, 60), 1);
        assert_eq!(way(&[(0, 1), (90, 1), (100, 2)], 2, 60), 2);
        // The whole way counts, not each step: 0 to 100 is too long, and the later beginning has no second step.
        assert_eq!(way(&[(0, 1), (50, 2), (60, 1), (100, 4)], 3, 60), 2);
        // All in one second; a step twice is one.
        assert_eq!(way(&[(5, 7)], 3, 60), 3);
        assert_eq!(way(&[(5, 1), (6, 1), (7, 2), (8, 2)], 2, 60), 2);
    }
}
