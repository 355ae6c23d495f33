//! Where the share of the canary changed, found from arrivals alone.
//!
//! The share test needs stretches of constant share, and nobody may be asked for them: ramps are often not declared. A
//! cut looks only at which arms were active, never at an outcome, so it cannot bias a test.
//!
//! Windows are gathered into blocks of at least 50 active (unit, arm) pairs. After each block the last 1, 3, 10 and 30
//! blocks are compared with the up to 60 before them; the 10 and 30 also with the first 60 since the cut (the anchor),
//! because a share that creeps looks constant to its own recent past.

use std::collections::VecDeque;

use crate::math;

/// A block ends once it holds this many active (unit, arm) pairs: small enough to see a step within minutes, large enough
/// that a likelihood ratio means something.
const BLOCK_PAIRS: u64 = 50;

/// Numbers of newest blocks that are compared: the short ones see steps, the long ones see creeping.
const NEWEST: [usize; 4] = [1, 3, 10, 30];

/// From this many newest blocks on, the comparison is also made with the anchor.
const NEWEST_WITH_ANCHOR: usize = 10;

/// Fewest blocks to compare with.
const OLDER_MIN: usize = 3;

/// Most blocks to compare with.
const OLDER_MAX: usize = 60;

/// Blocks that the longest comparison reaches back.
const RECENT_MAX: usize = 30 + OLDER_MAX;

/// Likelihood ratio (2 ln) that makes a cut. Without any change it cuts about once in 50 rollouts of 10,000 blocks.
const CUT_AT: f64 = 25.0;

/// Active (unit, arm) pairs of a run of windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Pairs in the canary.
    pub canary: u64,
    /// Pairs in both arms.
    pub active: u64,
}

/// The machine that finds cuts. Its memory is bounded: 150 blocks at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareCuts {
    open: Block,
    num_blocks: u32,
    first: Vec<Block>,
    recent: VecDeque<Block>,
}

/// The whole state of [`ShareCuts`] as plain integers, for snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareCutsParts {
    /// The block that is not complete yet.
    pub open: Block,
    /// Complete blocks since the last cut.
    pub num_blocks: u32,
    /// The first blocks since the last cut, at most 60, oldest first.
    pub first: Vec<Block>,
    /// The newest blocks, at most 90, oldest first.
    pub recent: Vec<Block>,
}

impl ShareCuts {
    /// Blocks that are kept.
    pub fn len(&self) -> usize {
        self.first.len() + self.recent.len()
    }

    /// No block is complete.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes one closed window that was not empty: active (unit, arm) pairs in the canary and in both arms.
    ///
    /// Returns true when the share has changed; then all blocks are forgotten, and the new stratum begins with the *next*
    /// window.
    pub fn window(&mut self, canary_active: u64, active: u64) -> bool {
        self.open.canary = self.open.canary.saturating_add(canary_active.min(active));
        self.open.active = self.open.active.saturating_add(active);
        if self.open.active < BLOCK_PAIRS {
            return false;
        }
        self.complete_block();
        let cut = self.share_changed();
        if cut {
            self.reset();
        }
        cut
    }

    /// Forgets everything: a stage was declared, or a gap in the data has ended.
    pub fn reset(&mut self) {
        *self = ShareCuts::default();
    }

    /// Complete blocks since the last cut or reset.
    pub fn blocks_since_cut(&self) -> u32 {
        self.num_blocks
    }

    /// State for a snapshot.
    pub fn to_parts(&self) -> ShareCutsParts {
        ShareCutsParts {
            open: self.open,
            num_blocks: self.num_blocks,
            first: self.first.clone(),
            recent: self.recent.iter().copied().collect(),
        }
    }

    /// State from a snapshot; none if no machine can have been in that state.
    pub fn from_parts(parts: ShareCutsParts) -> Option<ShareCuts> {
        let ShareCutsParts { open, num_blocks, first, recent } = parts;
        let num_kept = num_blocks as usize;
        let complete = |block: &Block| block.active >= BLOCK_PAIRS && block.canary <= block.active;
        let sound = first.len() == num_kept.min(OLDER_MAX)
            && recent.len() == num_kept.min(RECENT_MAX)
            && first.iter().chain(&recent).all(complete)
            && open.active < BLOCK_PAIRS
            && open.canary <= open.active;
        sound.then(|| ShareCuts { open, num_blocks, first, recent: recent.into() })
    }

    fn complete_block(&mut self) {
        let block = std::mem::take(&mut self.open);
        self.num_blocks = self.num_blocks.saturating_add(1);
        if self.first.len() < OLDER_MAX {
            self.first.push(block);
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(block);
    }

    fn share_changed(&self) -> bool {
        let num_blocks = self.num_blocks as usize;
        NEWEST.into_iter().filter(|newest| num_blocks >= newest + OLDER_MIN).any(|num_newest| {
            let newest = sum(self.recent.iter().rev().take(num_newest));
            let before = sum(self.recent.iter().rev().skip(num_newest).take(OLDER_MAX));
            // The anchor never overlaps the newest blocks.
            let anchor = || sum(self.first.iter().take(num_blocks - num_newest));
            differs(newest, before) || (num_newest >= NEWEST_WITH_ANCHOR && differs(newest, anchor()))
        })
    }
}

/// Likelihood ratio (2 ln) of two shares against one: x canary pairs of n in the newest blocks, y of m in older ones.
///
/// 2 [ f(x, n, x/n) + f(y, m, y/m) - f(x, n, p) - f(y, m, p) ], p = (x + y)/(n + m), f(a, b, p) = a ln p + (b - a) ln(1 - p).
/// 0 when a side is empty or counts contradict each other.
pub fn cut_likelihood_ratio(x: u64, n: u64, y: u64, m: u64) -> f64 {
    if n == 0 || m == 0 || x > n || y > m {
        return 0.0;
    }
    let (n_others, m_others) = ((n - x) as f64, (m - y) as f64);
    let (x, n, y, m) = (x as f64, n as f64, y as f64, m as f64);
    let (share, share_others) = ((x + y) / (n + m), (n_others + m_others) / (n + m));
    // Each term is count x ln(own share / common share); nothing large cancels.
    let term = |count: f64, own: f64, common: f64| if count > 0.0 { count * math::ln(own / common) } else { 0.0 };
    let sum = term(x, x / n, share)
        + term(n_others, n_others / n, share_others)
        + term(y, y / m, share)
        + term(m_others, m_others / m, share_others);
    (2.0 * sum).max(0.0)
}

fn differs(newest: Block, older: Block) -> bool {
    cut_likelihood_ratio(newest.canary, newest.active, older.canary, older.active) >= CUT_AT
}

fn sum<'a>(blocks: impl Iterator<Item = &'a Block>) -> Block {
    blocks.fold(Block::default(), |sum, block| Block {
        canary: sum.canary.saturating_add(block.canary),
        active: sum.active.saturating_add(block.active),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds windows of 100 pairs; returns the 1-based windows at which a cut was due.
    fn cuts(canary_of_100: impl IntoIterator<Item = u64>) -> Vec<usize> {
        let mut share_cuts = ShareCuts::default();
        (1..)
            .zip(canary_of_100)
            .filter(|(_, canary)| share_cuts.window(*canary, 100))
            .map(|(window, _)| window)
            .collect()
    }

    #[test]
    fn constant_share_is_never_cut() {
        assert!(cuts([5; 5000]).is_empty());
        assert!(cuts([0; 500]).is_empty());
        assert!(cuts([100; 500]).is_empty());
        assert!(cuts([4, 6, 5, 3, 7, 5, 8, 2].repeat(100)).is_empty());
    }

    #[test]
    fn steps_are_cut_soon() {
        let steps = [1, 5, 25, 50].into_iter().flat_map(|canary| [canary; 200]);
        let found = cuts(steps);
        // From 1 to 5 % takes hundreds of pairs to see; the later steps show in one block.
        assert_eq!(found, [206, 401, 601]);
    }

    #[test]
    fn creeping_share_is_cut_by_the_anchor() {
        // 1 to 50 % in 1,440 windows of 100 pairs: no neighbouring stretches differ by much.
        let creeping = (0..1440_u64).map(|window| 1 + window * 49 / 1440);
        let found = cuts(creeping);
        assert!((5..=15).contains(&found.len()), "{found:?}");
    }

    #[test]
    fn windows_are_gathered_into_blocks_of_50_pairs() {
        let mut share_cuts = ShareCuts::default();
        for _ in 0..4 {
            assert!(!share_cuts.window(1, 12));
        }
        assert_eq!(share_cuts.blocks_since_cut(), 0);
        assert!(!share_cuts.window(1, 2));
        assert_eq!(share_cuts.blocks_since_cut(), 1);
        share_cuts.reset();
        assert_eq!(share_cuts, ShareCuts::default());
    }

    #[test]
    fn snapshot_keeps_the_machine_and_refuses_nonsense() {
        let mut share_cuts = ShareCuts::default();
        for window in 0..400_u64 {
            share_cuts.window(window % 5, 30 + window % 40);
            let parts = share_cuts.to_parts();
            assert!(parts.first.len() <= 60 && parts.recent.len() <= 90);
            assert_eq!(ShareCuts::from_parts(parts), Some(share_cuts.clone()));
        }
        let parts = share_cuts.to_parts();
        let broken = [
            ShareCutsParts { num_blocks: 3, ..parts.clone() },
            ShareCutsParts { open: Block { canary: 1, active: 50 }, ..parts.clone() },
            ShareCutsParts { open: Block { canary: 2, active: 1 }, ..parts.clone() },
            ShareCutsParts { first: vec![Block { canary: 0, active: 1 }; 60], ..parts.clone() },
            ShareCutsParts { recent: Vec::new(), ..parts },
        ];
        for parts in broken {
            assert_eq!(ShareCuts::from_parts(parts.clone()), None, "{parts:?}");
        }
    }

    #[test]
    fn huge_and_contradictory_windows_do_no_harm() {
        let mut share_cuts = ShareCuts::default();
        for window in [(u64::MAX, u64::MAX), (u64::MAX, 1), (0, u64::MAX), (7, 0), (u64::MAX, u64::MAX)] {
            share_cuts.window(window.0, window.1);
        }
        assert_eq!(cut_likelihood_ratio(0, 0, 1, 2), 0.0);
        assert_eq!(cut_likelihood_ratio(3, 2, 1, 2), 0.0);
    }
}
