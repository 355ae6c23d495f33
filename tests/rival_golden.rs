//! Kayenta's judge against its own expectations, and its interval against R.
//!
//! `golden/kayenta.ndjson`: inputs and expectations of the test-suite of spinnaker/kayenta (commit a69573b, Copyright
//! Netflix, Inc., Apache License 2.0). `golden/wilcox.json`: R 4.2 on generated data; the file names the call.

#![expect(clippy::unwrap_used, reason = "a record that cannot be read must fail the test")]

use serde_json::Value;
use serin::rival::kayenta::{Direction, Label, MetricConfig, NanStrategy, classify, classify_by_mean};
use serin::rival::mann_whitney::{Variant, shift_interval};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

fn records(kind: &str) -> Vec<Value> {
    let lines = include_str!("golden/kayenta.ndjson").lines();
    lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|record| record["kind"] == kind).collect()
}

/// Reads the arguments of Kayenta's classifier out of a line such as `tolerance = 0.10, effectSizeThresholds = (1, 5)`.
fn config(record: &Value) -> MetricConfig {
    let text = record["params"].as_str().unwrap().replace(' ', "");
    let after = |name: &str| text.split_once(&format!("{name}=")).map(|(_, rest)| rest);
    let number = |name: &str| after(name).map(|rest| rest.split(',').next().unwrap().parse::<f64>().unwrap());
    let pair = |name: &str| {
        let inner = after(name)?.strip_prefix('(')?.split(')').next()?;
        let (decrease, increase) = inner.split_once(',')?;
        Some((decrease.parse::<f64>().unwrap(), increase.parse::<f64>().unwrap()))
    };
    let base = match after("effectSizeMeasure") {
        Some(rest) => {
            assert_eq!(rest, "\"cles\"");
            MetricConfig::common_language()
        }
        None => MetricConfig::default(),
    };
    let (allowed_decrease, allowed_increase) = pair("effectSizeThresholds").unwrap_or((1.0, 1.0));
    let (critical_decrease, critical_increase) = pair("criticalThresholds").unwrap_or((1.0, 1.0));
    MetricConfig {
        tolerance: number("tolerance").unwrap_or(base.tolerance),
        confidence: number("confLevel").unwrap_or(base.confidence),
        direction: match record["direction"].as_str().unwrap() {
            "Increase" => Direction::Increase,
            "Decrease" => Direction::Decrease,
            "Either" => Direction::Either,
            other => panic!("unknown direction {other}"),
        },
        nan_strategy: match record["nan_strategy"].as_str() {
            None | Some("Remove") => NanStrategy::Remove,
            Some("Replace") => NanStrategy::Replace,
            Some(other) => panic!("unknown strategy {other}"),
        },
        allowed_decrease,
        allowed_increase,
        critical_decrease,
        critical_increase,
        critical: record["call"].as_str().unwrap().contains("isCriticalMetric = true"),
        ..base
    }
}

#[test]
fn all_classifications_of_kayenta() {
    let (ranks, means) = (records("MannWhitneyClassifier"), records("MeanInequalityClassifier"));
    assert_eq!(ranks.len() + means.len(), 18);
    for (records, judge) in [(ranks, classify as fn(&[f64], &[f64], &MetricConfig) -> _), (means, classify_by_mean)] {
        for record in records {
            let expect = match record["expected"].as_str().unwrap() {
                "Pass" => Label::Pass,
                "High" => Label::High,
                "Low" => Label::Low,
                "Nodata" => Label::Nodata,
                other => panic!("unknown label {other}"),
            };
            let got = judge(&numbers(&record["control"]), &numbers(&record["experiment"]), &config(&record));
            assert_eq!(got.label, expect, "{}", record["id"]);
            // Kayenta's two cases of a failed critical metric say so in their names.
            let name = record["id"].as_str().unwrap();
            let critical = name.contains("Critical Low") || name.contains("Critical Metric");
            assert_eq!(got.critical, critical, "{name}");
        }
    }
}

fn assert_near(got: f64, expect: &Value, tolerance: f64, name: &str) {
    let expect = expect.as_f64().unwrap();
    assert!((got - expect).abs() <= tolerance, "{name}: {got} is not {expect}");
}

#[test]
fn both_intervals_of_kayenta() {
    let records = records("MannWhitneyInterval");
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(record["first_argument"], "experiment");
        let (experiment, control) = (numbers(&record["experiment"]), numbers(&record["control"]));
        let confidence = record["confidence"].as_f64().unwrap();
        let name = record["id"].as_str().unwrap();
        let (expect, tolerance) = (&record["expected"], &record["tolerance"]);
        let got = shift_interval(&experiment, &control, confidence, Variant::Kayenta).unwrap();
        for (field, value) in [("low", got.lower), ("high", got.upper), ("estimate", got.estimate)] {
            assert_near(value, &expect[field], tolerance[field].as_f64().unwrap(), name);
        }
        // Kayenta took these numbers from R, and R's variant gives all of their digits.
        let got = shift_interval(&experiment, &control, confidence, Variant::R).unwrap();
        for (field, value) in [("low", got.lower), ("high", got.upper), ("estimate", got.estimate)] {
            assert_near(value, &expect[field], 1e-12, name);
        }
    }
}

#[test]
fn intervals_of_r() {
    let golden: Value = serde_json::from_str(include_str!("golden/wilcox.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let (x, y, confidence) = (numbers(&case["x"]), numbers(&case["y"]), case["confidence"].as_f64().unwrap());
        let name = case["set"].as_str().unwrap();
        let got = shift_interval(&x, &y, confidence, Variant::R).unwrap();
        for (field, value) in [("lower", got.lower), ("upper", got.upper), ("estimate", got.estimate)] {
            assert_near(value, &case[field], 1e-12, name);
        }
        // Kayenta's estimate is another point of the same flat step, hence the wide tolerance.
        let kayenta = shift_interval(&x, &y, confidence, Variant::Kayenta).unwrap();
        assert_eq!((kayenta.lower, kayenta.upper), (got.lower, got.upper), "{name}");
        assert_near(kayenta.estimate, &case["estimate"], 2e-2, name);
    }
}
