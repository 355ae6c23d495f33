//! Kayenta's `NetflixACAJudge`: a rank test per metric, a score per group, two thresholds.
//!
//! Source: spinnaker/kayenta, commit a69573b (judge, Mann-Whitney classifier, weighted-sum scorer, effect sizes). What
//! is judged is the difference of minutes, not of users or requests, and absence of evidence counts as a pass.
//!
//! Left out: the `muted` flag and the removal of outliers (both off by default), metrics in several groups. One thing is
//! replaced: Kayenta adds random noise to two constant samples so that the rank test can run; here the same small
//! amount of noise is spread evenly over its quantiles, because a rule that is replayed must not be random.

use std::collections::{BTreeMap, VecDeque};

use super::mann_whitney::{CONTINUITY, SortedPair, upper_quantile};
use super::{Latch, Minute, State, normal_quantile};

/// Which way a metric may not move.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Direction {
    /// Only an increase is bad.
    Increase,
    /// Only a decrease is bad.
    Decrease,
    /// Both are bad; Kayenta's default.
    #[default]
    Either,
}

/// What is done with a point that has no value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum NanStrategy {
    /// Leave the point out; Kayenta's default.
    #[default]
    Remove,
    /// Take it as 0. An arm without any point then passes.
    Replace,
}

/// How the size of an effect is measured.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum EffectMeasure {
    /// Experiment mean by control mean; not computable (and then ignored) when either is 0. Kayenta's default.
    #[default]
    MeanRatio,
    /// Probability that a random experiment point is above a random control point, ties by half ("cles").
    CommonLanguage,
}

/// Configuration of one metric. The default is Kayenta's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MetricConfig {
    /// The interval must be away from zero by this multiple of the estimate. Default 0.25.
    pub tolerance: f64,
    /// Confidence of the two-sided interval of the shift. Default 0.98.
    pub confidence: f64,
    /// Which way the metric may not move. Default either.
    pub direction: Direction,
    /// What is done with points without value. Default remove.
    pub nan_strategy: NanStrategy,
    /// Measure that the four thresholds below refer to. Default mean ratio.
    pub effect_measure: EffectMeasure,
    /// High needs an effect of at least this. Default 1.0.
    pub allowed_increase: f64,
    /// Low needs an effect of at most this. Default 1.0.
    pub allowed_decrease: f64,
    /// A High of a critical metric is critical from this effect on. Default 1.0.
    pub critical_increase: f64,
    /// A Low of a critical metric is critical from this effect down. Default 1.0.
    pub critical_decrease: f64,
    /// A critical High, Low or Nodata of this metric makes the whole score 0. Default false.
    pub critical: bool,
    /// Missing data of a metric that is not critical counts as a failure. Default false.
    pub must_have_data: bool,
}

impl Default for MetricConfig {
    fn default() -> Self {
        MetricConfig {
            tolerance: 0.25,
            confidence: 0.98,
            direction: Direction::Either,
            nan_strategy: NanStrategy::Remove,
            effect_measure: EffectMeasure::MeanRatio,
            allowed_increase: 1.0,
            allowed_decrease: 1.0,
            critical_increase: 1.0,
            critical_decrease: 1.0,
            critical: false,
            must_have_data: false,
        }
    }
}

impl MetricConfig {
    /// The default for the common-language effect size, whose neutral value is one half.
    pub fn common_language() -> MetricConfig {
        MetricConfig {
            effect_measure: EffectMeasure::CommonLanguage,
            allowed_increase: 0.5,
            allowed_decrease: 0.5,
            critical_increase: 0.5,
            critical_decrease: 0.5,
            ..MetricConfig::default()
        }
    }
}

/// What Kayenta calls a metric.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Label {
    /// Nothing found; also "could not have found anything".
    Pass,
    /// The experiment is above the control.
    High,
    /// The experiment is below the control.
    Low,
    /// One arm has no points.
    Nodata,
    /// One arm has no points and the metric must have data.
    NodataFail,
    /// The rank test could not be computed; the metric is left out of the score.
    Error,
}

/// The judgement of one metric.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Classification {
    /// What the metric is called.
    pub label: Label,
    /// Whether this makes the whole score 0.
    pub critical: bool,
}

/// Judges one metric from the points of the two arms. Points that are not finite have no value.
pub fn classify(control: &[f64], experiment: &[f64], config: &MetricConfig) -> Classification {
    classify_at(control, experiment, config, upper_quantile(config.confidence))
}

/// `classify` with the quantile that belongs to `config.confidence`; the rule computes it once, not at each look.
fn classify_at(control: &[f64], experiment: &[f64], config: &MetricConfig, z: f64) -> Classification {
    let mut control = prepare(control, config.nan_strategy);
    let mut experiment = prepare(experiment, config.nan_strategy);
    let harmless = |label| Classification { label, critical: false };

    let (Some(control_span), Some(experiment_span)) = (span(&control), span(&experiment)) else {
        return missing(config);
    };
    // Identical points, or one value everywhere.
    if control == experiment || (control_span == experiment_span && control_span.0 == control_span.1) {
        return harmless(Label::Pass);
    }
    if control_span.0 == control_span.1 && experiment_span.0 == experiment_span.1 {
        add_noise(&mut control);
        add_noise(&mut experiment);
    }
    let Some(label) = compare(&control, &experiment, config, z) else { return harmless(Label::Error) };
    let critical = config.critical
        && match label {
            Label::High => not_below(effect(&control, &experiment, config.effect_measure), config.critical_increase),
            Label::Low => not_above(effect(&control, &experiment, config.effect_measure), config.critical_decrease),
            _ => false,
        };
    Classification { label, critical }
}

/// Kayenta's `MeanInequalityClassifier`, its benchmark: any difference of the means is a High or a Low.
pub fn classify_by_mean(control: &[f64], experiment: &[f64], config: &MetricConfig) -> Classification {
    let control = prepare(control, config.nan_strategy);
    let experiment = prepare(experiment, config.nan_strategy);
    if control.is_empty() || experiment.is_empty() {
        return missing(config);
    }
    let (control, experiment) = (mean(&control), mean(&experiment));
    if config.direction != Direction::Decrease && experiment > control {
        Classification { label: Label::High, critical: config.critical }
    } else if config.direction != Direction::Increase && experiment < control {
        Classification { label: Label::Low, critical: config.critical }
    } else {
        Classification { label: Label::Pass, critical: false }
    }
}

/// High, Low or Pass by the interval of the shift; `None` when the rank test cannot be computed.
fn compare(control: &[f64], experiment: &[f64], config: &MetricConfig, z: f64) -> Option<Label> {
    let pair = SortedPair::new(experiment, control, CONTINUITY)?;
    // The roots are what costs, so each is computed only when the answer can still depend on it: with a tolerance that
    // is not negative an interval on the wrong side of zero settles the matter without the estimate.
    let outside = |distance: f64| {
        (distance > 0.0 || config.tolerance < 0.0) && distance > config.tolerance * pair.root(0.0).abs()
    };
    if config.direction != Direction::Decrease
        && outside(pair.root(z))
        && not_below(effect(control, experiment, config.effect_measure), config.allowed_increase)
    {
        return Some(Label::High);
    }
    if config.direction != Direction::Increase
        && outside(-pair.root(-z))
        && not_above(effect(control, experiment, config.effect_measure), config.allowed_decrease)
    {
        return Some(Label::Low);
    }
    Some(Label::Pass)
}

fn missing(config: &MetricConfig) -> Classification {
    if config.nan_strategy == NanStrategy::Replace {
        Classification { label: Label::Pass, critical: false }
    } else if config.must_have_data && !config.critical {
        Classification { label: Label::NodataFail, critical: false }
    } else {
        Classification { label: Label::Nodata, critical: config.critical }
    }
}

/// Values in order, points without value handled.
fn prepare(values: &[f64], nan_strategy: NanStrategy) -> Vec<f64> {
    let mut values: Vec<f64> = match nan_strategy {
        NanStrategy::Remove => values.iter().copied().filter(|value| value.is_finite()).collect(),
        NanStrategy::Replace => values.iter().map(|value| if value.is_finite() { *value } else { 0.0 }).collect(),
    };
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn span(sorted: &[f64]) -> Option<(f64, f64)> {
    Some((*sorted.first()?, *sorted.last()?))
}

/// Spreads a constant sample as normal noise with a standard deviation of 1e-5 of its value would.
fn add_noise(values: &mut [f64]) {
    let num_values = values.len() as f64;
    for (i, value) in values.iter_mut().enumerate() {
        *value += value.abs() * 1e-5 * normal_quantile((i as f64 + 0.5) / num_values);
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The size of the effect from two sorted samples; `None` when it cannot be computed.
fn effect(control: &[f64], experiment: &[f64], measure: EffectMeasure) -> Option<f64> {
    let effect = match measure {
        EffectMeasure::MeanRatio => {
            let (control, experiment) = (mean(control), mean(experiment));
            if control == 0.0 || experiment == 0.0 {
                return None;
            }
            experiment / control
        }
        EffectMeasure::CommonLanguage => {
            let mut wins_twice = 0_u64;
            for value in experiment {
                let below = control.partition_point(|c| c < value);
                let not_above = control.partition_point(|c| c <= value);
                wins_twice += (below + not_above) as u64;
            }
            wins_twice as f64 / (2.0 * control.len() as f64 * experiment.len() as f64)
        }
    };
    if effect.is_nan() { None } else { Some(effect) }
}

// An effect that cannot be computed never excuses a metric.
fn not_below(effect: Option<f64>, threshold: f64) -> bool {
    effect.is_none_or(|effect| effect >= threshold)
}

fn not_above(effect: Option<f64>, threshold: f64) -> bool {
    effect.is_none_or(|effect| effect <= threshold)
}

/// One judged metric and the group it scores in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judged<'a> {
    /// Name of the group.
    pub group: &'a str,
    /// Its judgement.
    pub classification: Classification,
}

/// Share of Nodata metrics in per cent from which the whole score is 0.
const NODATA_PERCENT_MAX: f64 = 50.0;

/// Score of a canary, 0 to 100, rounded to two decimals.
///
/// A group scores the share of passes among its metrics that have a judgement, 100 when none has. Groups without a
/// weight (per cent) share what the weights leave of 100 equally. A critical failure, half the metrics without data, or
/// no metrics at all make the score 0.
pub fn score(metrics: &[Judged<'_>], weights: &[(&str, f64)]) -> f64 {
    let failed = |metric: &Judged<'_>| metric.classification.critical && metric.classification.label != Label::Pass;
    if metrics.is_empty() || metrics.iter().any(failed) {
        return 0.0;
    }
    let num_nodata = metrics.iter().filter(|metric| metric.classification.label == Label::Nodata).count();
    if num_nodata as f64 / metrics.len() as f64 * 100.0 >= NODATA_PERCENT_MAX {
        return 0.0;
    }

    // Passes and judged metrics of each group.
    let mut groups: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for metric in metrics {
        let (num_passed, num_judged) = groups.entry(metric.group).or_default();
        match metric.classification.label {
            Label::Pass => {
                *num_passed += 1;
                *num_judged += 1;
            }
            Label::High | Label::Low | Label::NodataFail => *num_judged += 1,
            Label::Nodata | Label::Error => {}
        }
    }
    let weight_of = |group: &str| weights.iter().find(|(name, _)| *name == group).map(|(_, weight)| *weight);
    let num_unweighted = groups.keys().filter(|group| weight_of(group).is_none()).count();
    let remaining = 100.0 - weights.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut sum = 0.0;
    for (group, (num_passed, num_judged)) in &groups {
        let group_score =
            if *num_judged == 0 { 100.0 } else { f64::from(*num_passed) / f64::from(*num_judged) * 100.0 };
        let weight = weight_of(group).unwrap_or(remaining / num_unweighted.max(1) as f64);
        sum += group_score * weight / 100.0;
    }
    (sum * 100.0).round() / 100.0
}

/// How the judge is run on a rollout.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KayentaConfig {
    /// How each metric is judged; the direction is always increase. Default Kayenta's.
    pub metric: MetricConfig,
    /// Makes the error rate a critical metric: a High of it alone takes the canary back. Default true; without it an
    /// error regression scores 50 (its group of two) and only the last judgement fails.
    pub critical_errors: bool,
    /// One-minute points of each arm that a judgement sees; 0 counts as 1. Default 60.
    pub window_minutes: usize,
    /// Minutes between judgements; 0 counts as 1. Default 1.
    pub every_minutes: u64,
    /// No judgement before each arm has this many points of the error rate in the window. Default 50, below which
    /// Kayenta's documentation advises against judging (the judge itself does not refuse). It does not hold up the
    /// last judgement.
    pub points_min: usize,
    /// Score that every judgement but the last must reach. Default 50.
    pub marginal: f64,
    /// Score that the last judgement must reach. Default 75.
    pub pass: f64,
    /// Minutes until the last judgement; `None` judges for ever and never passes. Default 180, the "several hours" of
    /// Kayenta's documentation.
    pub lifetime_minutes: Option<u64>,
}

impl Default for KayentaConfig {
    fn default() -> Self {
        KayentaConfig {
            metric: MetricConfig::default(),
            critical_errors: true,
            window_minutes: 60,
            every_minutes: 1,
            points_min: 50,
            marginal: 50.0,
            pass: 75.0,
            lifetime_minutes: Some(180),
        }
    }
}

/// What the rule reads from a minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Metric {
    ErrorRate,
    LatencyP50,
    LatencyP99,
}

impl Metric {
    const ALL: [Metric; 3] = [Metric::ErrorRate, Metric::LatencyP50, Metric::LatencyP99];

    fn group(self) -> &'static str {
        match self {
            Metric::ErrorRate => "errors",
            Metric::LatencyP50 | Metric::LatencyP99 => "latency",
        }
    }

    /// The point of one minute, NaN when there is none. The error rate is in per cent, not a share: the interval is only
    /// good to 1e-4 of the unit.
    fn point(self, minute: &Minute) -> f64 {
        let point = match self {
            Metric::ErrorRate => minute.error_rate().map(|rate| rate * 100.0),
            Metric::LatencyP50 => minute.latency_p50_ms,
            Metric::LatencyP99 => minute.latency_p99_ms,
        };
        point.unwrap_or(f64::NAN)
    }
}

/// The judge, run again and again on the last hour of a rollout.
///
/// Error rate is one group, median and 99th percentile of latency are the other; they weigh the same. A metric for which
/// neither arm has a point in the window is left out, since nobody would have configured it.
#[derive(Clone, Debug)]
pub struct Kayenta {
    config: KayentaConfig,
    z: f64,
    latch: Latch,
    /// Baseline and canary, oldest first, at most `window_minutes`.
    window: VecDeque<(Minute, Minute)>,
    last_score: Option<f64>,
}

impl Kayenta {
    /// A canary analysis that starts now.
    pub fn new(config: KayentaConfig) -> Kayenta {
        Kayenta {
            config,
            z: upper_quantile(config.metric.confidence),
            latch: Latch::default(),
            window: VecDeque::new(),
            last_score: None,
        }
    }

    /// Short name for tables.
    pub fn name(&self) -> &'static str {
        "Kayenta"
    }

    /// Takes the next minute and judges when it is time to.
    pub fn observe(&mut self, baseline: &Minute, canary: &Minute) -> State {
        if !self.latch.tick() {
            return self.latch.state;
        }
        if self.window.len() >= self.config.window_minutes.max(1) {
            self.window.pop_front();
        }
        self.window.push_back((*baseline, *canary));

        let minutes = self.latch.minutes;
        let last = self.config.lifetime_minutes.is_some_and(|lifetime| minutes >= lifetime);
        let due = minutes.is_multiple_of(self.config.every_minutes.max(1));
        if !(last || due && self.has_enough_points()) {
            return State::Watching;
        }
        let score = self.judge();
        self.last_score = Some(score);
        match last {
            true if score >= self.config.pass => self.latch.decide(State::Passed),
            true => self.latch.decide(State::RolledBack),
            false if score < self.config.marginal => self.latch.decide(State::RolledBack),
            false => State::Watching,
        }
    }

    /// What has been decided so far.
    pub fn state(&self) -> State {
        self.latch.state
    }

    /// The number of minutes that had been observed when the rule decided.
    pub fn decided_after_minutes(&self) -> Option<u64> {
        self.latch.decided_after_minutes()
    }

    /// Score of the last judgement, 0 to 100.
    pub fn last_score(&self) -> Option<f64> {
        self.last_score
    }

    fn has_enough_points(&self) -> bool {
        let num_baseline = self.window.iter().filter(|(baseline, _)| baseline.requests > 0).count();
        let num_canary = self.window.iter().filter(|(_, canary)| canary.requests > 0).count();
        num_baseline.min(num_canary) >= self.config.points_min
    }

    fn judge(&self) -> f64 {
        let mut judged = Vec::with_capacity(Metric::ALL.len());
        for metric in Metric::ALL {
            let control: Vec<f64> = self.window.iter().map(|(baseline, _)| metric.point(baseline)).collect();
            let experiment: Vec<f64> = self.window.iter().map(|(_, canary)| metric.point(canary)).collect();
            if !control.iter().chain(&experiment).any(|value| value.is_finite()) {
                continue;
            }
            let critical = self.config.metric.critical || (metric == Metric::ErrorRate && self.config.critical_errors);
            let config = MetricConfig { direction: Direction::Increase, critical, ..self.config.metric };
            let classification = classify_at(&control, &experiment, &config, self.z);
            judged.push(Judged { group: metric.group(), classification });
        }
        score(&judged, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(labels: &[(&'static str, Label)]) -> Vec<Judged<'static>> {
        let judged = |&(group, label)| Judged { group, classification: Classification { label, critical: false } };
        labels.iter().map(judged).collect()
    }

    #[test]
    fn labels_in_the_order_of_definition() {
        let ramp: Vec<f64> = (0..60).map(f64::from).collect();
        let up: Vec<f64> = ramp.iter().map(|value| value + 100.0).collect();
        let plain = MetricConfig::default();
        let must = MetricConfig { must_have_data: true, ..plain };
        let replace = MetricConfig { nan_strategy: NanStrategy::Replace, ..plain };
        let check = |control: &[f64], experiment: &[f64], config: &MetricConfig, label, critical| {
            assert_eq!(classify(control, experiment, config), Classification { label, critical });
        };
        check(&ramp, &ramp, &plain, Label::Pass, false);
        check(&ramp, &up, &MetricConfig { direction: Direction::Decrease, ..plain }, Label::Pass, false);
        check(&ramp, &up, &plain, Label::High, false);
        check(&ramp, &up, &MetricConfig { critical: true, ..plain }, Label::High, true);
        check(&ramp, &up, &MetricConfig { critical: true, critical_increase: 9.0, ..plain }, Label::High, false);
        check(&ramp, &up, &MetricConfig { allowed_increase: 9.0, ..plain }, Label::Pass, false);
        check(&up, &ramp, &plain, Label::Low, false);
        check(&up, &ramp, &MetricConfig { direction: Direction::Increase, ..plain }, Label::Pass, false);
        check(&ramp, &[], &plain, Label::Nodata, false);
        check(&[f64::NAN], &up, &plain, Label::Nodata, false);
        check(&[], &up, &MetricConfig { critical: true, ..must }, Label::Nodata, true);
        check(&[], &up, &must, Label::NodataFail, false);
        check(&[], &up, &replace, Label::Pass, false);
        check(&[1.0], &[2.0], &plain, Label::Error, false);
    }

    #[test]
    fn common_language_effect_needs_its_own_thresholds() {
        let control: Vec<f64> = (0..60).map(f64::from).collect();
        let experiment: Vec<f64> = control.iter().map(|value| value + 40.0).collect();
        let effect = effect(&control, &experiment, EffectMeasure::CommonLanguage);
        // 20 * 19 / 2 pairs lose, 20 tie.
        let expect = 1.0 - (190.0 + 10.0) / 3600.0;
        assert!(effect.is_some_and(|effect| (effect - expect).abs() < 1e-12), "{effect:?} is not {expect}");
        let config = MetricConfig::common_language();
        assert_eq!(classify(&control, &experiment, &config).label, Label::High);
        let config = MetricConfig { allowed_increase: 0.95, ..config };
        assert_eq!(classify(&control, &experiment, &config).label, Label::Pass);
    }

    #[test]
    fn scores() {
        let check = |metrics: &[(&'static str, Label)], weights: &[(&str, f64)], expect: f64| {
            assert_eq!(score(&labels(metrics), weights), expect, "{metrics:?} {weights:?}");
        };
        let (pass, high, low, nodata) = (Label::Pass, Label::High, Label::Low, Label::Nodata);
        check(&[], &[], 0.0);
        check(&[("a", pass)], &[], 100.0);
        check(&[("a", pass), ("a", high), ("a", low)], &[], 33.33);
        check(&[("a", pass), ("a", high), ("b", pass)], &[], 75.0);
        check(&[("a", pass), ("a", high), ("b", pass)], &[("a", 80.0)], 60.0);
        check(&[("a", pass), ("b", high), ("c", pass)], &[("a", 40.0)], 70.0);
        // A group without data counts as passed, but not when half of all metrics have none.
        check(&[("a", nodata), ("b", pass), ("b", high)], &[], 75.0);
        check(&[("a", nodata), ("b", pass)], &[], 0.0);
        check(&[("a", Label::NodataFail), ("b", pass)], &[], 50.0);
        check(&[("a", Label::Error), ("a", pass)], &[], 100.0);
        let critical = Classification { label: high, critical: true };
        let mut metrics = labels(&[("a", pass), ("a", pass)]);
        metrics.push(Judged { group: "b", classification: critical });
        assert_eq!(score(&metrics, &[]), 0.0);
    }

    /// Minutes whose error rate and latency wander a little and never tie.
    fn minute(i: u64, errors: u64, latency_ms: f64) -> Minute {
        let wobble = (i * 37 % 101) as f64 / 101.0;
        Minute {
            requests: 10_000 + i * 13 % 97,
            errors: errors + i * 17 % 11,
            latency_p50_ms: Some(latency_ms + wobble),
            latency_p99_ms: Some(latency_ms * 5.0 + wobble),
            latency_mean_ms: None,
        }
    }

    fn run(config: KayentaConfig, canary: impl Fn(u64) -> Minute) -> (State, Option<u64>) {
        let mut rule = Kayenta::new(config);
        for i in 0..400 {
            rule.observe(&minute(i + 5, 100, 50.0), &canary(i));
        }
        (rule.state(), rule.decided_after_minutes())
    }

    #[test]
    fn an_unchanged_canary_passes_at_the_end() {
        let config = KayentaConfig::default();
        assert_eq!(run(config, |i| minute(i, 100, 50.0)), (State::Passed, Some(180)));
        let for_ever = KayentaConfig { lifetime_minutes: None, ..config };
        assert_eq!(run(for_ever, |i| minute(i, 100, 50.0)), (State::Watching, None));
    }

    #[test]
    fn a_worse_error_rate_is_taken_back_with_the_first_judgement() {
        let config = KayentaConfig::default();
        assert_eq!(run(config, |i| minute(i, 200, 50.0)), (State::RolledBack, Some(50)));
        let tenth = KayentaConfig { every_minutes: 20, ..config };
        assert_eq!(run(tenth, |i| minute(i, 200, 50.0)), (State::RolledBack, Some(60)));
        // Not critical: 50 of 100 is marginal until the last judgement.
        let lenient = KayentaConfig { critical_errors: false, ..config };
        assert_eq!(run(lenient, |i| minute(i, 200, 50.0)), (State::RolledBack, Some(180)));
        // An improvement is no failure.
        assert_eq!(run(config, |i| minute(i, 20, 50.0)), (State::Passed, Some(180)));
    }

    #[test]
    fn worse_latency_is_marginal_until_the_end() {
        assert_eq!(run(KayentaConfig::default(), |i| minute(i, 100, 90.0)), (State::RolledBack, Some(180)));
    }

    #[test]
    fn a_log_without_durations_is_judged_by_errors_alone() {
        let strip = |minute: Minute| Minute { latency_p50_ms: None, latency_p99_ms: None, ..minute };
        let mut rule = Kayenta::new(KayentaConfig::default());
        for i in 0..180 {
            rule.observe(&strip(minute(i + 5, 100, 50.0)), &strip(minute(i, 100, 50.0)));
        }
        assert_eq!((rule.state(), rule.last_score()), (State::Passed, Some(100.0)));
    }

    #[test]
    fn a_canary_without_traffic_fails_at_the_end() {
        assert_eq!(run(KayentaConfig::default(), |_| Minute::default()), (State::RolledBack, Some(180)));
    }
}
