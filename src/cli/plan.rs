//! `serin plan`: how long a rollout will need, before it begins.

use std::fmt::Write as _;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

use crate::calibrate::change::Change as Planted;
use crate::cli::arguments::{PlanArguments, PlanFormat};
use crate::cli::compare::{check_roles, duration, look_at, parts_per_million, settings, two_arms, wishes};
use crate::cli::policy_file;
use crate::cli::report::{grouped, percent, span, wrap_words};
use crate::cli::terminal::{self, Progress, harmless};
use crate::compare::verdict::Cell;
use crate::engine::comparison::Comparison;
use crate::engine::policy::Policy;
use crate::engine::{Engine, Output};
use crate::pipeline::plan::ArmRule;
use crate::pipeline::plan_text;
use crate::plan::{Change, Guardrail, Plan, Traffic, plan};
use crate::source::files;
use crate::source::fold_chunk::KeptReject;
use crate::source::run::{Observer, Options, run as run_streams};
use crate::time::{MINUTE, Micros};

/// Version of the JSON document; fields are added, never renamed.
const DOCUMENT_VERSION: u64 = 1;
/// Shares that are shown beside the one that was asked for.
const SHARES: [f64; 5] = [0.01, 0.05, 0.1, 0.25, 0.5];
/// Split of a log: even, so that both halves tell most.
const SPLIT_PPM: u32 = 500_000;
/// Columns of running text.
const WIDTH: usize = 98;

/// Runs `plan`.
pub(super) fn run(arguments: &PlanArguments) -> anyhow::Result<u8> {
    let share = f64::from(parts_per_million(&arguments.share).context("--share")?) / 1e6;
    let policy = match &arguments.policy {
        Some(path) => policy_file::read(path)?,
        None => Policy::default(),
    };
    let change = arguments.change.as_deref().map(change).transpose()?;
    let minutes = match &arguments.time {
        Some(text) => Some(duration(text).context("--for")? as f64 / MINUTE as f64),
        None => None,
    };
    if minutes.is_some_and(|minutes| minutes <= 0.0) {
        bail!("--for: some time is needed");
    }
    let (traffic, units, of) = match &arguments.traffic {
        Some(rate) => (assumed(arguments, rate)?, "users", String::new()),
        None if arguments.files.is_empty() => {
            bail!("give a log from before the rollout, or --traffic, --users and --errors")
        }
        None => seen(arguments)?,
    };
    let shown = Shown {
        traffic,
        units,
        of,
        policy,
        change,
        minutes,
        plan: plan(&traffic, &Policy::default(), share, None, None),
    };
    let shown = Shown { plan: plan(&shown.traffic, &shown.policy, share, change, minutes), ..shown };
    match arguments.format {
        PlanFormat::Text => terminal::print(&shown.text()?)?,
        PlanFormat::Json => terminal::print(&format!("{:#}\n", shown.json()))?,
    }
    Ok(0)
}

/// `errors:+0.5%` or `latency:+20%`.
fn change(text: &str) -> anyhow::Result<Change> {
    // The plus is how people write a change; `calibrate --plant` does without.
    let planted = Planted::parse(&text.replacen(":+", ":", 1)).map_err(|error| anyhow!("--change: {error}"))?;
    match planted {
        Planted::Errors { ppm } => Ok(Change::Errors(f64::from(ppm) / 1e6)),
        Planted::Slower { percent } => Ok(Change::Slower(f64::from(percent) / 100.0)),
        Planted::None => bail!("--change {text}: no change"),
    }
}

/// Requests a minute: `3000/min`, `50/s`, `20000/h`.
fn rate(text: &str) -> anyhow::Result<f64> {
    let wrong = || anyhow!("--traffic {}: write 3000/min, 50/s or 20000/h", harmless(text, 60));
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let minutes = match unit.trim() {
        "s" | "sec" | "second" => 1.0 / 60.0,
        "m" | "min" | "minute" => 1.0,
        "h" | "hour" => 60.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim().replace('_', "").parse().map_err(|_| wrong())?;
    let rate = number / minutes;
    if !(rate > 0.0 && rate <= 1e10) {
        bail!("--traffic {}: must be above 0 and at most 10,000,000,000 a minute", harmless(text, 60));
    }
    Ok(rate)
}

fn assumed(arguments: &PlanArguments, text: &str) -> anyhow::Result<Traffic> {
    let requests = rate(text)?;
    let users = arguments.users.unwrap_or(0);
    if !(2..=10_000_000_000).contains(&users) {
        bail!("--users {users}: from 2 to 10,000,000,000");
    }
    let errors = arguments.errors.as_deref().unwrap_or("0");
    let none = errors.trim().trim_end_matches('%').trim().parse::<f64>() == Ok(0.0);
    let errors = if none { 0.0 } else { f64::from(parts_per_million(errors).context("--errors")?) / 1e6 };
    let window = duration(&arguments.how.window).context("--window")?;
    Ok(Traffic::assumed(requests, users as f64, errors, window as f64 / MINUTE as f64))
}

/// Traffic of a log whose units are split at random.
fn seen(arguments: &PlanArguments) -> anyhow::Result<(Traffic, &'static str, String)> {
    let mut streams = files::find(&arguments.files)?;
    let arms = ArmRule::Hash { share_ppm: SPLIT_PPM, seed: "0".to_owned() };
    let found = look_at(&mut streams, &wishes(&arguments.how, Some(arms))?)?.found;
    check_roles(&found, &arguments.how)?;
    let mut engine = Engine::new(settings(&found, two_arms(), Policy::default()));
    let mut quiet = Quiet { progress: Progress::bytes(streams.iter().map(files::size_on_disk).sum()) };
    let plan_text = plan_text::to_json(&found.plan);
    let done = run_streams(&streams, &found.plan, &mut engine, plan_text, Options::default(), &mut quiet);
    quiet.progress.finish();
    done?;
    // The release with the most requests: `--service` leaves one.
    let all = engine.releases().flat_map(|(services, list)| list.iter().map(move |one| (services, one)));
    let requests = |one: &Comparison| one.error_volume.events().iter().sum::<u64>();
    let (services, comparison) = all
        .max_by_key(|(_, one)| requests(one))
        .ok_or_else(|| anyhow!("no requests were found, or too few to plan from: lines need a time, and a status, a latency, or a root span"))?;
    let traffic = Traffic::seen(comparison)
        .ok_or_else(|| anyhow!("{} requests are too few to plan from", grouped(requests(comparison))))?;
    let service = services.first().map_or(String::new(), ToString::to_string);
    Ok((traffic, comparison.unit.plural(), format!(" of {}", harmless(&service, 60))))
}

/// Nothing is kept while a log is read.
struct Quiet {
    progress: Progress,
}

impl Observer for Quiet {
    fn outputs(&mut self, _: &Engine, _: Vec<Output>) -> std::io::Result<()> {
        Ok(())
    }

    fn rejects(&mut self, _: &str, _: Vec<KeptReject>) -> std::io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, bytes: u64) {
        self.progress.add(bytes);
    }
}

/// Everything that is printed.
struct Shown {
    traffic: Traffic,
    units: &'static str,
    of: String,
    policy: Policy,
    change: Option<Change>,
    minutes: Option<f64>,
    plan: Plan,
}

fn micros(minutes: f64) -> Micros {
    // Whole minutes: more digits would pretend to know.
    let minutes = if minutes < 10.0 { (minutes * 6.0).ceil() / 6.0 } else { minutes.ceil() };
    (minutes * MINUTE as f64) as Micros
}

fn time(minutes: Option<f64>) -> String {
    let Some(minutes) = minutes else { return "not in 90 days".to_owned() };
    let text = span(micros(minutes));
    [" 0 s", " 0 min"].into_iter().find_map(|end| text.strip_suffix(end)).unwrap_or(&text).to_owned()
}

fn count(n: f64) -> String {
    grouped(n.ceil().max(0.0) as u64)
}

impl Shown {
    fn name(&self, cell: Cell) -> String {
        match cell {
            Cell::ErrorUnits => format!("{} with errors", self.units),
            Cell::ErrorVolume => "errors per request".to_owned(),
            Cell::LatencyMean => "latency, typical".to_owned(),
            Cell::LatencyP50 => "latency p50".to_owned(),
            Cell::LatencyP90 => "latency p90".to_owned(),
            Cell::LatencyP99 => "latency p99".to_owned(),
            Cell::LatencyP99Units => format!("{} with a very slow request", self.units),
            Cell::Deficit => "fewer units than declared".to_owned(),
            Cell::ErrorUnits8 => format!("{} with 8 errors and more", self.units),
            Cell::ErrorUnits64 => format!("{} with 64 errors and more", self.units),
            Cell::Unanswered => format!("exposed {} without a request", self.units),
        }
    }

    /// A margin as the report says differences.
    fn margin(cell: Cell, margin: f64) -> String {
        match cell {
            Cell::ErrorUnits if margin < 100.0 => format!("{margin:.2}x"),
            Cell::ErrorUnits => "over 100x".to_owned(),
            _ => format!("+{:.2} pp", margin * 100.0),
        }
    }

    fn needed(&self, guardrail: &Guardrail) -> String {
        let what = match guardrail.cell {
            Cell::ErrorUnits if guardrail.whole_units => format!("canary {}", self.units),
            Cell::ErrorUnits => format!("{} that err", self.units),
            Cell::ErrorVolume => "canary requests".to_owned(),
            _ => format!("first requests of canary {}", self.units),
        };
        if guardrail.needed.is_finite() { format!("{} {what}", count(guardrail.needed)) } else { "-".to_owned() }
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        let paragraph = |out: &mut String, indent: &str, text: &str| {
            for line in wrap_words(text, WIDTH) {
                out.push_str(indent);
                out.push_str(&line);
                out.push('\n');
            }
        };
        let t = &self.traffic;
        let mut intro = format!(
            "{} requests a minute{}, {} of them fail; {} of {} in the canary.",
            count(t.requests.round()),
            self.of,
            percent(t.error_rate),
            percent(self.plan.share),
            self.units
        );
        if let Some(minutes) = t.minutes_seen() {
            write!(intro, " Read off {} of log; the same rates are taken to go on.", time(Some(minutes)))?;
        }
        paragraph(&mut out, "", &intro);
        out.push('\n');

        let [half, most] = self.plan.pass;
        writeln!(out, "  {:<34} {:>18} {:>18}", "", "half are decided", "four of five")?;
        writeln!(out, "  {:<34} {:>18} {:>18}", "a healthy canary passes after", time(half), time(most))?;
        if let (Some(change), Some([half, most])) = (self.change, self.plan.find) {
            let what = match change {
                Change::Errors(added) => format!("{} more requests fail: found after", percent(added)),
                Change::Slower(part) => format!("{} slower: found after", percent(part)),
            };
            writeln!(out, "  {what:<34} {:>18} {:>18}", time(half), time(most))?;
        }
        out.push('\n');

        writeln!(out, "  {:<22} {:<12} {:<42} half by", "to exclude", "at least", "takes about")?;
        for guardrail in &self.plan.guardrails {
            writeln!(
                out,
                "  {:<22} {:<12} {:<42} {}",
                self.name(guardrail.cell),
                Shown::margin(guardrail.cell, guardrail.margin),
                self.needed(guardrail),
                time(guardrail.half)
            )?;
        }
        out.push('\n');
        self.in_time().iter().for_each(|line| paragraph(&mut out, "  ", line));
        if let Some(harm) = &self.plan.harm {
            let words = format!(
                "Accepted in {}: {} {} meet the canary. If it is worse by just what a pass allows, {} requests more fail than on the old code, and {} {} more meet an error.",
                time(Some(harm.minutes)),
                count(harm.units),
                self.units,
                count(harm.requests),
                count(harm.affected),
                self.units
            );
            paragraph(&mut out, "  ", &words);
        }
        out.push('\n');
        self.write_shares(&mut out)?;
        Ok(out)
    }

    /// What can be decided in the time that was asked for.
    fn in_time(&self) -> Vec<String> {
        let Some(minutes) = self.minutes else { return Vec::new() };
        let late: Vec<&Guardrail> =
            self.plan.guardrails.iter().filter(|one| one.half.is_none_or(|half| half > minutes)).collect();
        let mut list = Vec::new();
        for guardrail in &late {
            let possible =
                guardrail.margin_in_time.filter(|margin| margin.is_finite()).map_or(String::new(), |margin| {
                    format!("; in that time only {} or more can be excluded", Shown::margin(guardrail.cell, margin))
                });
            list.push(format!("Not decided in {}: {}{possible}.", time(Some(minutes)), self.name(guardrail.cell)));
        }
        if late.is_empty() {
            let most = self.plan.pass[1].is_some_and(|most| most <= minutes);
            let words = if most {
                "four of five healthy canaries pass"
            } else {
                "every margin can be decided, for half of healthy canaries or more"
            };
            list.push(format!("In {}: {words}.", time(Some(minutes))));
        } else {
            list.push(
                "A larger share, a longer step, or (early steps) next_share_percent in the policy would decide it."
                    .to_owned(),
            );
        }
        list
    }

    fn write_shares(&self, out: &mut String) -> std::fmt::Result {
        let found = if self.change.is_some() { "change found" } else { "" };
        writeln!(
            out,
            "  {:<16} {:>18} {:>18} {:>18}",
            "share of canary", "passes (4 of 5)", "users until then", found
        )?;
        for share in self.shares() {
            let of = plan(&self.traffic, &self.policy, share, self.change, None);
            let found = of.find.map_or(String::new(), |[_, most]| time(most));
            let users = of.harm.filter(|_| of.pass[1].is_some()).map_or("-".to_owned(), |harm| count(harm.units));
            let line = format!("  {:<16} {:>18} {:>18} {:>18}", percent(share), time(of.pass[1]), users, found);
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }

    /// Shares that are shown: the usual ones, and the one that was asked for.
    fn shares(&self) -> Vec<f64> {
        let mut shares = SHARES.to_vec();
        if !shares.contains(&self.plan.share) {
            shares.push(self.plan.share);
            shares.sort_by(f64::total_cmp);
        }
        shares
    }

    fn json(&self) -> Value {
        let seconds = |minutes: Option<f64>| minutes.map(|minutes| (minutes * 60.0).ceil());
        let number = |value: f64| if value.is_finite() { Value::from(value) } else { Value::Null };
        let of = |plan: &Plan| {
            json!({
                "share": plan.share,
                "seconds_to_pass": plan.pass.map(seconds),
                "seconds_to_find": plan.find.map(|find| find.map(seconds)),
                "harm": plan.harm.map(|harm| json!({
                    "seconds": seconds(Some(harm.minutes)),
                    "units_exposed": harm.units.ceil(),
                    "requests_failed_more": harm.requests.ceil(),
                    "units_affected_more": harm.affected.ceil(),
                })),
            })
        };
        let guardrails: Vec<Value> = self
            .plan
            .guardrails
            .iter()
            .map(|one| {
                json!({
                    "guardrail": one.cell.name(),
                    "margin": number(one.margin),
                    "needed": number(one.needed.ceil()),
                    "seconds_half": seconds(one.half),
                    "margin_in_time": one.margin_in_time.map(number),
                })
            })
            .collect();
        let shares: Vec<Value> = self
            .shares()
            .into_iter()
            .map(|share| of(&plan(&self.traffic, &self.policy, share, self.change, None)))
            .collect();
        let mut value = of(&self.plan);
        let change = self.change.map(|change| match change {
            Change::Errors(added) => json!({ "errors": added }),
            Change::Slower(part) => json!({ "latency": part }),
        });
        let rest = json!({
            "version": DOCUMENT_VERSION,
            "requests_per_minute": self.traffic.requests,
            "error_rate": self.traffic.error_rate,
            "unit": self.units,
            "minutes_of_log": self.traffic.minutes_seen(),
            "change": change,
            "guardrails": guardrails,
            "shares": shares,
        });
        if let (Value::Object(value), Value::Object(rest)) = (&mut value, rest) {
            value.extend(rest);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_changes_are_written_as_people_do() {
        assert_eq!(rate("3000/min").unwrap(), 3_000.0);
        assert_eq!(rate("50/s").unwrap(), 3_000.0);
        assert_eq!(rate("180_000 / h").unwrap(), 3_000.0);
        for wrong in ["3000", "x/min", "3000/day", "0/s", "-1/s", "inf/s", "nan/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(change("errors:+0.5%").unwrap(), Change::Errors(0.005));
        assert_eq!(change("latency:20%").unwrap(), Change::Slower(0.2));
        assert!(change("errors:-1%").is_err() && change("speed:1%").is_err());
    }

    #[test]
    fn times_have_no_digits_that_nobody_knows() {
        assert_eq!(time(Some(1.21)), "1 min 20 s");
        assert_eq!(time(Some(52.3)), "53 min");
        assert_eq!(time(Some(60.0)), "1 h");
        assert_eq!(time(None), "not in 90 days");
    }
}
