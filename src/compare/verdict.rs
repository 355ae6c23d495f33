//! Words for what the statistics say ([`Finding`]) and for what follows ([`Verdict`]).

use crate::compare::budget;

/// What is tested. In the order in which reports name it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Cell {
    /// Units with at least one failed request, share test.
    ErrorUnits,
    /// Failed requests per request, bucket test.
    ErrorVolume,
    /// Mean of the logarithm of latency, bucket test.
    LatencyMean,
    /// Share of requests slower than the pooled median at the start, bucket test.
    LatencyP50,
    /// Share slower than the 90th percentile, bucket test.
    LatencyP90,
    /// Share slower than the 99th percentile, bucket test.
    LatencyP99,
    /// Units with a first request slower than the 99th percentile, share test.
    LatencyP99Units,
    /// Fewer units in the candidate than its declared share.
    Deficit,
    /// Units with eight failed requests and more, share test.
    ErrorUnits8,
    /// Units with sixty-four and more.
    ErrorUnits64,
    /// Units that another service exposed and of which no request is logged, share test.
    Unanswered,
}

impl Cell {
    /// Every cell, in order.
    pub const ALL: [Cell; 11] = [
        Cell::ErrorUnits,
        Cell::ErrorVolume,
        Cell::LatencyMean,
        Cell::LatencyP50,
        Cell::LatencyP90,
        Cell::LatencyP99,
        Cell::LatencyP99Units,
        Cell::Deficit,
        Cell::ErrorUnits8,
        Cell::ErrorUnits64,
        Cell::Unanswered,
    ];

    /// The word that ledgers use.
    pub fn name(self) -> &'static str {
        match self {
            Cell::ErrorUnits => "error_units",
            Cell::ErrorVolume => "error_volume",
            Cell::LatencyMean => "latency_mean",
            Cell::LatencyP50 => "latency_p50",
            Cell::LatencyP90 => "latency_p90",
            Cell::LatencyP99 => "latency_p99",
            Cell::LatencyP99Units => "latency_p99_units",
            Cell::Deficit => "deficit",
            Cell::ErrorUnits8 => "error_units_8",
            Cell::ErrorUnits64 => "error_units_64",
            Cell::Unanswered => "unanswered",
        }
    }

    /// It is tested anew every six hours too (statistics design 4.6). The sample ratio weighs its strata instead.
    pub fn restarts(self) -> bool {
        match self {
            Cell::ErrorUnits
            | Cell::ErrorVolume
            | Cell::LatencyMean
            | Cell::LatencyP50
            | Cell::LatencyP90
            | Cell::LatencyP99
            | Cell::LatencyP99Units => true,
            Cell::Deficit | Cell::ErrorUnits8 | Cell::ErrorUnits64 | Cell::Unanswered => false,
        }
    }

    /// Its weight in the error budget; `own`: guardrails of one's own that share the part of the deficit.
    pub fn weight(self, own: usize) -> f64 {
        match self {
            Cell::ErrorUnits => budget::ERRORS_SHARE,
            Cell::ErrorVolume => budget::ERRORS_BUCKET,
            Cell::LatencyMean => budget::LATENCY_MEAN,
            Cell::LatencyP50 => budget::LATENCY_P50,
            Cell::LatencyP90 => budget::LATENCY_P90,
            Cell::LatencyP99 => budget::LATENCY_P99_BUCKET,
            Cell::LatencyP99Units => budget::LATENCY_P99_SHARE,
            Cell::Deficit => budget::other_guardrail_weight(own),
            Cell::ErrorUnits8 | Cell::ErrorUnits64 | Cell::Unanswered => budget::REST / 3.0,
        }
    }
}

/// Behaviour that may change without being worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Behaviour {
    /// Lines and spans of a trace.
    LinesPerTrace,
    /// Which services a trace calls.
    CalledServices,
    /// Which routes units request.
    Routes,
    /// Which templates below error units meet.
    Templates,
    /// Which status classes (2xx, 4xx, ...) units meet.
    StatusClasses,
    /// Requests that failed at first and succeeded when tried again.
    RecoveredByRetry,
    /// Lines of level warn or worse for each request, without the lines of failed requests.
    WarningLines,
    /// Requests are much faster.
    Faster,
}

impl Behaviour {
    /// Every group, in order.
    pub const ALL: [Behaviour; 8] = [
        Behaviour::LinesPerTrace,
        Behaviour::CalledServices,
        Behaviour::Routes,
        Behaviour::Templates,
        Behaviour::StatusClasses,
        Behaviour::RecoveredByRetry,
        Behaviour::WarningLines,
        Behaviour::Faster,
    ];

    /// The word that ledgers and policies use.
    pub fn name(self) -> &'static str {
        match self {
            Behaviour::LinesPerTrace => "lines_per_trace",
            Behaviour::CalledServices => "called_services",
            Behaviour::Routes => "routes",
            Behaviour::Templates => "templates",
            Behaviour::StatusClasses => "status_classes",
            Behaviour::RecoveredByRetry => "recovered_by_retry",
            Behaviour::WarningLines => "warning_lines",
            Behaviour::Faster => "faster",
        }
    }

    /// The group of a word.
    pub fn from_name(name: &str) -> Option<Behaviour> {
        Behaviour::ALL.into_iter().find(|group| group.name() == name)
    }
}

/// What the statistics say of one metric.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
pub enum Finding {
    /// Nothing, or too little, to test. Never the same as held (CP-1).
    NoData,
    /// Neither worse nor shown to be within its margin.
    Undecided,
    /// Shown to be within its margin.
    Held,
    /// Worse.
    Regressed,
    /// Different, and not for us to call worse.
    Changed,
    /// The two arms are not measured alike.
    BrokenMeasurement,
}

impl Finding {
    /// The words that ledgers and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Finding::NoData => "no data",
            Finding::Undecided => "undecided",
            Finding::Held => "held",
            Finding::Regressed => "regressed",
            Finding::Changed => "changed",
            Finding::BrokenMeasurement => "broken measurement",
        }
    }
}

/// What follows for the rollout.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
pub enum Verdict {
    /// Every required guardrail is shown to be within its margin.
    Pass,
    /// The new code is worse. Latched.
    Fail,
    /// Not yet, or held by a changed behaviour.
    Inconclusive,
    /// The comparison itself is broken.
    Invalid,
}

impl Verdict {
    /// Every verdict, in order.
    pub const ALL: [Verdict; 4] = [Verdict::Pass, Verdict::Fail, Verdict::Inconclusive, Verdict::Invalid];

    /// The word that ledgers and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Invalid => "invalid",
        }
    }

    /// Of several the worst counts: fail, then invalid, then inconclusive, then pass (0).
    pub fn badness(self) -> u8 {
        match self {
            Verdict::Fail => 3,
            Verdict::Invalid => 2,
            Verdict::Inconclusive => 1,
            Verdict::Pass => 0,
        }
    }
}

/// Why a comparison is invalid, or why a measurement is broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Flaw {
    /// More units in the candidate than its declared share.
    SampleRatio,
    /// Part of the units stick to an arm, part do not.
    MixedRouting,
    /// Too many units in both arms.
    Crossover,
    /// Too many units moved to the candidate while its share crept up: no PASS, and nothing invalid.
    CreepingShare,
    /// Units in both arms are not spread evenly over the arms.
    UnequalCrossover,
    /// Only one arm was seen.
    MissingArm,
    /// One arm's requests lack a unit more often.
    UnitCoverage,
    /// One arm's requests lack a latency more often.
    LatencyCoverage,
    /// One arm's requests lack a status more often.
    StatusCoverage,
    /// One arm's lines are late more often.
    Lateness,
    /// So many more lines of one arm are late that they may hide failures beyond the margin: no PASS, and nothing invalid.
    SomeLate,
    /// One arm is sampled more.
    SamplingByArm,
    /// Failed requests are sampled differently from others in one arm, or are thinned more than others in both.
    SamplingByOutcome,
    /// Failed requests of one arm name no unit more often: they are in no test.
    ErrorsWithoutUnit,
    /// Nothing says which arm is the new code.
    GuessedControl,
    /// Too many lines of the logs came after their window had closed, or lie far ahead of those beside them.
    MostlyLate,
    /// Too many lines of the logs are damaged or match both arms: nobody knows whose they were.
    DamagedLines,
    /// One arm writes latencies as texts, or as what cannot be read, more often.
    LatencyType,
    /// One arm writes statuses as texts, or as what cannot be read, more often.
    StatusType,
    /// Units of one arm make twice the requests of the other's, and more: they may not be the same kind of unit. No PASS, and nothing
    /// invalid.
    UnequalActivity,
    /// The units of the arms differ by a field of segments: no PASS, nothing invalid, and no FAIL by more than what differs
    /// within segments.
    UnequalSegments,
    /// Lines behind a business event or a metric of one's own lack their unit, or a value that can be read, more often in one arm: it is not
    /// tested. No PASS, and nothing invalid.
    OwnMeasurement,
    /// One id is that of several requests more often in one arm: work inside requests may be counted as requests there. No PASS, nothing
    /// invalid, and no FAIL by what counts requests unless calls fail as a whole.
    UnequalCalls,
    /// Windows closed without a partition that had more and gave none: failures may be among what is missing. No PASS, and nothing
    /// invalid.
    StalledPartition,
}

impl Flaw {
    /// Every flaw, in order.
    pub const ALL: [Flaw; 24] = [
        Flaw::SampleRatio,
        Flaw::MixedRouting,
        Flaw::Crossover,
        Flaw::CreepingShare,
        Flaw::UnequalCrossover,
        Flaw::MissingArm,
        Flaw::UnitCoverage,
        Flaw::LatencyCoverage,
        Flaw::StatusCoverage,
        Flaw::Lateness,
        Flaw::SomeLate,
        Flaw::SamplingByArm,
        Flaw::SamplingByOutcome,
        Flaw::ErrorsWithoutUnit,
        Flaw::GuessedControl,
        Flaw::MostlyLate,
        Flaw::DamagedLines,
        Flaw::LatencyType,
        Flaw::StatusType,
        Flaw::UnequalActivity,
        Flaw::UnequalSegments,
        Flaw::OwnMeasurement,
        Flaw::UnequalCalls,
        Flaw::StalledPartition,
    ];

    /// The word that ledgers use.
    pub fn name(self) -> &'static str {
        match self {
            Flaw::SampleRatio => "sample_ratio",
            Flaw::MixedRouting => "mixed_routing",
            Flaw::Crossover => "crossover",
            Flaw::CreepingShare => "creeping_share",
            Flaw::UnequalCrossover => "unequal_crossover",
            Flaw::MissingArm => "missing_arm",
            Flaw::UnitCoverage => "unit_coverage",
            Flaw::LatencyCoverage => "latency_coverage",
            Flaw::StatusCoverage => "status_coverage",
            Flaw::Lateness => "lateness",
            Flaw::SomeLate => "some_late",
            Flaw::SamplingByArm => "sampling_by_arm",
            Flaw::SamplingByOutcome => "sampling_by_outcome",
            Flaw::ErrorsWithoutUnit => "errors_without_unit",
            Flaw::GuessedControl => "guessed_control",
            Flaw::MostlyLate => "mostly_late",
            Flaw::DamagedLines => "damaged_lines",
            Flaw::LatencyType => "latency_type",
            Flaw::StatusType => "status_type",
            Flaw::UnequalActivity => "unequal_activity",
            Flaw::UnequalSegments => "unequal_segments",
            Flaw::OwnMeasurement => "own_measurement",
            Flaw::UnequalCalls => "unequal_calls",
            Flaw::StalledPartition => "stalled_partition",
        }
    }
}

/// Facts from which a verdict follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// FAIL was reached at an earlier look, while nothing was invalid.
    pub failed_before: bool,
    /// The evidence reaches the FAIL line at this look.
    pub regressed: bool,
    /// The break of an absolute limit lasts, and the policy makes that a failure.
    pub limit_failed: bool,
    /// The comparison is broken.
    pub invalid: bool,
    /// A behaviour has changed and nobody has accepted it.
    pub changed: bool,
    /// An absolute limit holds back a pass.
    pub beyond_limit: bool,
    /// Every guardrail is held, and every other condition of PASS is met.
    pub held: bool,
}

impl Facts {
    /// FAIL > INVALID > changed, or beyond a limit (held back) > PASS > INCONCLUSIVE.
    ///
    /// A FAIL that was reached earlier stands (CP-3); one that is first reached while the comparison is invalid does not
    /// count.
    pub fn verdict(self) -> Verdict {
        match self {
            Facts { failed_before: true, .. } => Verdict::Fail,
            Facts { invalid: true, .. } => Verdict::Invalid,
            Facts { regressed: true, .. } | Facts { limit_failed: true, .. } => Verdict::Fail,
            Facts { changed: true, .. } | Facts { beyond_limit: true, .. } => Verdict::Inconclusive,
            Facts { held: true, .. } => Verdict::Pass,
            Facts { .. } => Verdict::Inconclusive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence() {
        let none = Facts::default();
        for (facts, verdict) in [
            (none, Verdict::Inconclusive),
            (Facts { held: true, ..none }, Verdict::Pass),
            (Facts { held: true, changed: true, ..none }, Verdict::Inconclusive),
            (Facts { regressed: true, changed: true, held: true, ..none }, Verdict::Fail),
            (Facts { regressed: true, invalid: true, ..none }, Verdict::Invalid),
            (Facts { failed_before: true, invalid: true, ..none }, Verdict::Fail),
            (Facts { failed_before: true, ..none }, Verdict::Fail),
            (Facts { invalid: true, held: true, ..none }, Verdict::Invalid),
            (Facts { beyond_limit: true, held: true, ..none }, Verdict::Inconclusive),
            (Facts { limit_failed: true, beyond_limit: true, held: true, ..none }, Verdict::Fail),
            (Facts { limit_failed: true, invalid: true, ..none }, Verdict::Invalid),
        ] {
            assert_eq!(facts.verdict(), verdict, "{facts:?}");
        }
    }

    #[test]
    fn guardrails_have_their_part_of_the_budget() {
        for conversions in 0..=8 {
            let cells: f64 = Cell::ALL.iter().map(|cell| cell.weight(conversions)).sum();
            let sum = cells + conversions as f64 * budget::other_guardrail_weight(conversions);
            let rest = budget::SEGMENTS + budget::TEMPLATES;
            assert!((sum - 0.7).abs() < 1e-12 && (sum + rest - 1.0).abs() < 1e-12);
        }
    }
}
