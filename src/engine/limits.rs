//! Absolute limits: how much the team allows of both arms together, whatever a comparison says (semantics design 6).
//!
//! A canary that overloads what both arms use harms both, and no concurrent comparison sees it. So the requests of control
//! and candidate together are held against a limit over the latest [`SPAN`] of observed windows. A limit is the team's own
//! line and no test of the new code: an incident breaks it too. While it is broken PASS is held back. Only where the policy
//! asks for it a break FAILs, and only one that lasts: the span that follows it is clearly beyond the limit too, and so are
//! windows that make up half of it, so that no single outburst fails a rollout.
//!
//! Broken: at least [`REQUESTS_MIN`] requests, at least [`OVER_MIN`] of them over, and more than [`ERRORS_OF_SHARE`]
//! standard errors of a binomial share above the allowed one. Mended: at or below the allowed share again. Between the two
//! what was said stays. All of it is integers.
//!
//! Thin traffic breaks a limit late, and by accident seems to have mended it. A failure can wait for proof, a pass cannot do
//! without: it is held back as well while the share over [`LONG`] lies above the allowed one at all. Two spans, one that is
//! quick and one that is sure, as alerts on burn rates have them (The Site Reliability Workbook, chapter 5).

use std::collections::VecDeque;

use crate::engine::comparison::GAP;
use crate::engine::memory;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::bin_of;
use crate::time::{MINUTE, Micros, Timestamp};

/// Event time of observed windows over which a limit is watched; one window where that is longer.
pub const SPAN: Micros = 5 * MINUTE;
/// Event time of observed windows whose share must be allowed for a pass.
pub const LONG: Micros = 30 * MINUTE;
/// Requests of both arms in the span before a limit can break.
pub const REQUESTS_MIN: u64 = 200;
/// Requests over the limit before it can break: a handful is no share.
pub const OVER_MIN: u64 = 10;
/// Standard errors by which the share must be above the allowed one for a limit to break.
pub const ERRORS_OF_SHARE: u64 = 3;

/// The whole, in parts per million.
const MILLION: u64 = 1_000_000;
/// Share of requests that may be slower than a limit on the 99th percentile, in parts per million.
const ABOVE_P99: u64 = 10_000;

/// What is held against a limit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Limit {
    /// Failed requests.
    Errors,
    /// Requests slower than the limit of the 99th percentile.
    P99,
}

impl Limit {
    /// Every limit, in order.
    pub const ALL: [Limit; 2] = [Limit::Errors, Limit::P99];

    /// The word that ledgers and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Errors => "errors",
            Limit::P99 => "p99",
        }
    }
}

/// What a policy allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Share of requests that may fail, in parts per million.
    pub errors_ppm: Option<u32>,
    /// Latency in microseconds that one request in a hundred may exceed; as everywhere, by bins of 1/64 octave.
    pub p99_us: Option<u64>,
    /// A break that lasts fails the rollout. Otherwise it holds back PASS, and no more.
    pub fails: bool,
}

impl Limits {
    /// Share of requests that may be over a limit, in parts per million; `None` where there is no such limit.
    pub fn allowed_ppm(&self, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Errors => self.errors_ppm.map(u64::from),
            Limit::P99 => self.p99_us.map(|_| ABOVE_P99),
        }
    }

    /// Nothing is limited.
    pub fn is_none(&self) -> bool {
        Limit::ALL.into_iter().all(|limit| self.allowed_ppm(limit).is_none())
    }
}

/// Requests of one arm that are over a limit, and all that could be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Over {
    /// Over the limit.
    pub over: u64,
    /// All.
    pub of: u64,
}

impl Over {
    /// Adds requests.
    pub fn add(&mut self, over: u64, of: u64) {
        self.over = self.over.saturating_add(over);
        self.of = self.of.saturating_add(of);
    }

    fn take(&mut self, other: Over) {
        self.over = self.over.saturating_sub(other.over);
        self.of = self.of.saturating_sub(other.of);
    }

    fn and(mut self, other: Over) -> Over {
        self.add(other.over, other.of);
        self
    }

    /// Share that is over, 0 to 1; `None` without a request.
    pub fn share(&self) -> Option<f64> {
        (self.of > 0).then(|| self.over as f64 / self.of as f64)
    }

    fn write(self, w: &mut Writer) {
        w.uint(self.over);
        w.uint(self.of);
    }

    fn read(r: &mut Reader<'_>) -> Result<Over, Damaged> {
        Ok(Over { over: r.uint()?, of: r.uint()? })
    }
}

/// Requests by limit (in the order of [`Limit::ALL`]) and arm (control, candidate).
pub type Counts = [[Over; 2]; Limit::ALL.len()];

/// What a look says of one limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LimitLook {
    /// Requests of (control, candidate) in the span.
    pub arms: [Over; 2],
    /// Requests of (control, candidate) in [`LONG`].
    pub long: [Over; 2],
    /// It is broken.
    pub broken: bool,
    /// No pass: it is broken, or the share over [`LONG`] is above the allowed one.
    pub holds_back: bool,
    /// Its break lasts, and the policy makes that a failure.
    pub fails: bool,
}

impl LimitLook {
    /// Requests of both arms.
    pub fn both(&self) -> Over {
        let [control, candidate] = self.arms;
        control.and(candidate)
    }

    /// Requests of both arms in [`LONG`].
    pub fn both_long(&self) -> Over {
        let [control, candidate] = self.long;
        control.and(candidate)
    }

    /// Writes it.
    pub fn write(&self, w: &mut Writer) {
        self.arms.into_iter().chain(self.long).for_each(|counted| counted.write(w));
        w.flag(self.broken);
        w.flag(self.holds_back);
        w.flag(self.fails);
    }

    /// Reads what [`LimitLook::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<LimitLook, Damaged> {
        Ok(LimitLook {
            arms: [Over::read(r)?, Over::read(r)?],
            long: [Over::read(r)?, Over::read(r)?],
            broken: r.flag()?,
            holds_back: r.flag()?,
            fails: r.flag()?,
        })
    }
}

/// A window of the span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Observed {
    start: Timestamp,
    end: Timestamp,
    counts: Counts,
}

impl Observed {
    fn length(&self) -> Micros {
        self.end.0.saturating_sub(self.start.0)
    }
}

/// The latest windows, at most as long as a span together (one window where that is longer).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Span {
    windows: VecDeque<Observed>,
    /// Sum over the windows, and their length together.
    sums: Counts,
    length: Micros,
}

impl Span {
    fn push(&mut self, observed: Observed) {
        self.length = self.length.saturating_add(observed.length());
        each(&mut self.sums, &observed.counts, |sum, new| sum.add(new.over, new.of));
        self.windows.push_back(observed);
    }

    fn keep(&mut self, span: Micros, start: Timestamp) {
        while let Some(oldest) = self.windows.front().copied() {
            // Nobody knows what was done in a long pause.
            let before_pause = start.0.saturating_sub(oldest.end.0) >= GAP;
            if self.length.saturating_sub(oldest.length()) < span && !before_pause {
                break;
            }
            self.windows.pop_front();
            self.length = self.length.saturating_sub(oldest.length());
            each(&mut self.sums, &oldest.counts, |sum, old| sum.take(old));
        }
    }

    fn write(&self, w: &mut Writer) {
        w.length(self.windows.len());
        for observed in &self.windows {
            w.int(observed.start.0);
            w.int(observed.end.0);
            observed.counts.iter().flatten().for_each(|counted| counted.write(w));
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Span, Damaged> {
        let mut span = Span::default();
        for _ in 0..r.length()? {
            let (start, end) = (Timestamp(r.int()?), Timestamp(r.int()?));
            let mut counts = Counts::default();
            for counted in counts.iter_mut().flatten() {
                *counted = Over::read(r)?;
            }
            span.push(Observed { start, end, counts });
        }
        Ok(span)
    }
}

/// The latest windows of a comparison, held against its limits: at most [`SPAN`] and [`LONG`] divided by the length of a window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watch {
    limits: Limits,
    short: Span,
    long: Span,
    /// Observed time since a limit broke; `None` while it holds.
    broken: [Option<Micros>; Limit::ALL.len()],
}

impl Watch {
    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::queue(&self.short.windows) + memory::queue(&self.long.windows)
    }

    /// Watches limits; `None` where there are none.
    pub fn new(limits: Limits) -> Option<Watch> {
        (!limits.is_none()).then(|| Watch {
            limits,
            short: Span::default(),
            long: Span::default(),
            broken: [None; Limit::ALL.len()],
        })
    }

    /// Latency bin above which a request is over the limit of the 99th percentile.
    pub fn slow_above(&self) -> Option<u16> {
        self.limits.p99_us.map(bin_of)
    }

    /// A window closes with these requests.
    pub fn close_window(&mut self, start: Timestamp, end: Timestamp, counts: Counts) {
        let observed = Observed { start, end, counts };
        for (span, length) in [(&mut self.short, SPAN), (&mut self.long, LONG)] {
            span.push(observed);
            span.keep(length, start);
        }
        for limit in Limit::ALL {
            let Some(allowed) = self.limits.allowed_ppm(limit) else { continue };
            let [control, candidate] = self.short.sums[limit as usize];
            let both = control.and(candidate);
            let since = &mut self.broken[limit as usize];
            *since = match *since {
                None => is_broken(both, allowed).then_some(0),
                Some(_) if is_mended(both, allowed) => None,
                Some(time) => Some(time.saturating_add(observed.length())),
            };
        }
    }

    /// What it says of a limit; `None` where there is no such limit.
    pub fn look(&self, limit: Limit) -> Option<LimitLook> {
        let allowed = self.limits.allowed_ppm(limit)?;
        let broken = self.broken[limit as usize];
        let arms = self.short.sums[limit as usize];
        let mut said = LimitLook {
            arms,
            long: self.long.sums[limit as usize],
            broken: broken.is_some(),
            holds_back: false,
            fails: false,
        };
        said.holds_back = said.broken || is_above(said.both_long(), allowed);
        // By then every window of the span is later than the break.
        let lasts = broken.is_some_and(|time| time >= SPAN) && is_broken(said.both(), allowed) && {
            // Not what is left of one outburst: half of the time is beyond the limit.
            let is_beyond = |observed: &&Observed| {
                let [control, candidate] = observed.counts[limit as usize];
                !is_mended(control.and(candidate), allowed)
            };
            let beyond: Micros = self.short.windows.iter().filter(is_beyond).map(Observed::length).sum();
            beyond.saturating_mul(2) >= self.short.length
        };
        Some(LimitLook { fails: self.limits.fails && lasts, ..said })
    }

    /// Writes limits and state.
    pub fn write(&self, w: &mut Writer) {
        w.flag(self.limits.errors_ppm.is_some());
        w.uint(u64::from(self.limits.errors_ppm.unwrap_or(0)));
        w.flag(self.limits.p99_us.is_some());
        w.uint(self.limits.p99_us.unwrap_or(0));
        w.flag(self.limits.fails);
        self.short.write(w);
        self.long.write(w);
        for broken in self.broken {
            w.flag(broken.is_some());
            w.int(broken.unwrap_or(0));
        }
    }

    /// Reads what [`Watch::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Watch, Damaged> {
        let (has_errors, errors) = (r.flag()?, r.uint32()?);
        let (has_p99, p99) = (r.flag()?, r.uint()?);
        let limits =
            Limits { errors_ppm: has_errors.then_some(errors), p99_us: has_p99.then_some(p99), fails: r.flag()? };
        let mut watch = Watch::new(limits).ok_or(Damaged("a watch without a limit"))?;
        watch.short = Span::read(r)?;
        watch.long = Span::read(r)?;
        for broken in &mut watch.broken {
            let (is_broken, time) = (r.flag()?, r.int()?);
            *broken = is_broken.then_some(time);
        }
        Ok(watch)
    }
}

fn each(sums: &mut Counts, counts: &Counts, change: impl Fn(&mut Over, Over)) {
    for (sum, counted) in sums.iter_mut().flatten().zip(counts.iter().flatten()) {
        change(sum, *counted);
    }
}

/// Clearly above what is allowed: see the module text.
fn is_broken(Over { over, of }: Over, allowed_ppm: u64) -> bool {
    if of < REQUESTS_MIN || over < OVER_MIN {
        return false;
    }
    let [over, of, allowed, whole, errors] = [over, of, allowed_ppm, MILLION, ERRORS_OF_SHARE].map(u128::from);
    let Some(excess) = over.saturating_mul(whole).checked_sub(of.saturating_mul(allowed)) else { return false };
    // (over - n p)^2 > z^2 n p (1 - p), times 10^12.
    let variance = of.saturating_mul(allowed).saturating_mul(whole.saturating_sub(allowed));
    excess.saturating_mul(excess) > variance.saturating_mul(errors * errors)
}

/// At or below what is allowed. Without a request nothing is mended.
fn is_mended(Over { over, of }: Over, allowed_ppm: u64) -> bool {
    let [over, of, allowed, whole] = [over, of, allowed_ppm, MILLION].map(u128::from);
    of > 0 && over.saturating_mul(whole) <= of.saturating_mul(allowed)
}

/// Above what is allowed at all.
fn is_above(counted: Over, allowed_ppm: u64) -> bool {
    counted.of > 0 && !is_mended(counted, allowed_ppm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SECOND;

    const TWO_PERCENT: Limits = Limits { errors_ppm: Some(20_000), p99_us: None, fails: true };

    /// Feeds windows of ten seconds from `at`, each with so many failed of so many requests of both arms.
    fn feed(watch: &mut Watch, at: &mut i64, windows: usize, over: u64, of: u64) {
        for _ in 0..windows {
            let mut counts = Counts::default();
            counts[Limit::Errors as usize][0].add(over - over / 10, of - of / 10);
            counts[Limit::Errors as usize][1].add(over / 10, of / 10);
            watch.close_window(Timestamp(*at), Timestamp(*at + 10 * SECOND), counts);
            *at += 10 * SECOND;
        }
    }

    fn errors(watch: &Watch) -> LimitLook {
        watch.look(Limit::Errors).unwrap()
    }

    #[test]
    fn a_limit_breaks_clearly_above_it_and_not_by_one_request() {
        let two_percent = |over, of| is_broken(Over { over, of }, 20_000);
        // 3,000 requests: 60 are allowed, and three standard errors are 23.003.
        assert!(!two_percent(61, 3_000) && !two_percent(83, 3_000) && two_percent(84, 3_000));
        assert!(!two_percent(199, 199) && two_percent(199, 200));
        // One failure of a thousand is ten times a limit of .01 %, and no share yet.
        assert!(!is_broken(Over { over: 1, of: 1_000 }, 100) && is_broken(Over { over: 10, of: 1_000 }, 100));
        assert!(is_broken(Over { over: u64::MAX, of: u64::MAX }, 20_000), "no overflow");
        assert!(!is_broken(Over { over: 0, of: u64::MAX }, 999_999));
    }

    #[test]
    fn a_broken_limit_stays_broken_until_it_is_met_again() {
        let mut watch = Watch::new(TWO_PERCENT).unwrap();
        let mut at = 0;
        feed(&mut watch, &mut at, 30, 2, 100);
        assert!(!errors(&watch).broken);
        feed(&mut watch, &mut at, 30, 4, 100);
        assert!(errors(&watch).broken);
        assert_eq!(errors(&watch).both(), Over { over: 120, of: 3_000 }, "five minutes, no more");
        // A little above the limit is not mended; at the limit it is, once the bad windows are out of the span.
        feed(&mut watch, &mut at, 30, 3, 101);
        assert!(errors(&watch).broken);
        feed(&mut watch, &mut at, 29, 2, 100);
        assert!(errors(&watch).broken);
        feed(&mut watch, &mut at, 1, 2, 100);
        assert!(!errors(&watch).broken);
    }

    #[test]
    fn only_a_break_that_lasts_fails_and_only_where_that_is_asked() {
        for fails in [true, false] {
            let mut watch = Watch::new(Limits { fails, ..TWO_PERCENT }).unwrap();
            let mut at = 0;
            feed(&mut watch, &mut at, 3, 10, 100);
            assert!(errors(&watch).broken && !errors(&watch).fails);
            // It broke with the second window.
            feed(&mut watch, &mut at, 28, 10, 100);
            assert!(!errors(&watch).fails);
            feed(&mut watch, &mut at, 1, 10, 100);
            assert_eq!(errors(&watch).fails, fails);
        }
    }

    #[test]
    fn one_outburst_does_not_last() {
        let mut watch = Watch::new(TWO_PERCENT).unwrap();
        let mut at = 0;
        feed(&mut watch, &mut at, 30, 0, 100);
        feed(&mut watch, &mut at, 4, 100, 100);
        assert!(errors(&watch).broken);
        // The rest of it keeps the span clearly beyond the limit.
        for _ in 0..40 {
            feed(&mut watch, &mut at, 1, 0, 100);
            assert!(!errors(&watch).fails);
        }
        assert!(!errors(&watch).broken);
    }

    /// Twenty requests a minute, twice as many of them over as are allowed: never enough in five minutes for a break.
    #[test]
    fn where_a_break_cannot_be_seen_a_pass_is_held_back_all_the_same() {
        let mut watch = Watch::new(TWO_PERCENT).unwrap();
        let mut at = 0;
        let minute = |watch: &mut Watch, at: &mut i64, over: u64| {
            feed(watch, at, 5, 0, 3);
            feed(watch, at, 1, over, 5);
        };
        for _ in 0..30 {
            minute(&mut watch, &mut at, 0);
            assert!(!errors(&watch).holds_back);
        }
        for number in 0..100 {
            minute(&mut watch, &mut at, u64::from(number % 5 < 4));
            assert!(!errors(&watch).broken);
            // 12 of 600 are allowed: the thirteenth is above.
            assert_eq!(errors(&watch).holds_back, number >= 15, "{number}");
        }
        for number in 0..30 {
            minute(&mut watch, &mut at, 0);
            assert_eq!(errors(&watch).holds_back, number < 13, "{number}");
        }
    }

    #[test]
    fn a_long_pause_forgets_what_was_before_and_an_empty_span_says_nothing_new() {
        let mut watch = Watch::new(TWO_PERCENT).unwrap();
        let mut at = 0;
        feed(&mut watch, &mut at, 5, 50, 100);
        assert!(errors(&watch).broken);
        at += GAP;
        feed(&mut watch, &mut at, 1, 0, 0);
        assert!(errors(&watch).broken, "nobody has seen that it is mended");
        feed(&mut watch, &mut at, 1, 0, 20);
        assert!(!errors(&watch).broken);
        assert_eq!(errors(&watch).both(), Over { over: 0, of: 20 });
    }

    #[test]
    fn state_is_bounded_and_survives_a_snapshot() {
        let limits = Limits { p99_us: Some(800_000), ..TWO_PERCENT };
        let mut watch = Watch::new(limits).unwrap();
        let mut at = 0;
        feed(&mut watch, &mut at, 1_000, 3, 100);
        assert_eq!((watch.short.windows.len(), watch.long.windows.len()), (30, 180));
        let mut w = Writer::default();
        watch.write(&mut w);
        let mut r = Reader::new(&w.bytes);
        let mut again = Watch::read(&mut r).unwrap();
        r.end().unwrap();
        assert_eq!(again, watch);
        let mut at_again = at;
        feed(&mut watch, &mut at, 40, 1, 100);
        feed(&mut again, &mut at_again, 40, 1, 100);
        assert_eq!(again, watch);
        assert_eq!(Watch::new(Limits { fails: true, ..Limits::default() }), None);
    }
}
