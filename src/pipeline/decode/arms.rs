//! The arm of a line: by a field, by the name of its pod, by queries, by a split of the units; and of a line that could not be read.

use crate::event::{self, Intern, NO_NAME, NameId, RejectReason};
use crate::pipeline::decode::Decoder;
use crate::pipeline::decode::seen::Short;
use crate::pipeline::plan::{ArmRule, BASELINE, CANARY};
use crate::pipeline::values;

/// Key of the hash that splits units into arms.
const KEY_SPLIT: u64 = 0x5e71_4000_0000_00a1;

/// Bytes of the name of an arm in a damaged line; what is longer is no arm.
const ARM_TEXT_MAX: usize = 128;

impl Decoder<'_> {
    /// The arm that the text of a line names which could not be read, where a field gives the arms: the first scalar
    /// behind the field's name. By the line alone, so that it does not matter what was read before.
    pub fn arm_of_damaged(&mut self, line: &[u8]) -> Option<NameId> {
        let path = match &self.plan.arms {
            ArmRule::Field(path) | ArmRule::PodTemplate { path, .. } => path,
            ArmRule::None | ArmRule::Queries { .. } | ArmRule::Hash { .. } => return None,
        };
        let key = format!("\"{}\"", path.rsplit('.').next()?);
        let behind = line.get(memchr::memmem::find(line, key.as_bytes())? + key.len()..)?;
        let value = behind.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let value = match value.strip_prefix(b"\"") {
            Some(text) => {
                text.get(..memchr::memchr2(b'"', b'\\', text).filter(|end| text.get(*end) == Some(&b'"'))?)?
            }
            None => value.get(..value.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'.')?)?,
        };
        let text = std::str::from_utf8(value).ok().filter(|text| !text.is_empty() && text.len() <= ARM_TEXT_MAX)?;
        let arm = arm_in(&self.plan.arms, text);
        if arm.is_empty() {
            return None;
        }
        Some(self.names.arm(arm)).filter(|arm| *arm != NO_NAME)
    }

    #[inline]
    pub(super) fn arm(&mut self, line: &str, unit: u64) -> Result<NameId, RejectReason> {
        match &self.plan.arms {
            ArmRule::None => Ok(NO_NAME),
            ArmRule::Field(_) | ArmRule::PodTemplate { .. } => {
                let slot =
                    self.arm_slot.and_then(|slot| self.slots.get(usize::from(slot)).copied()).unwrap_or_default();
                if !slot.is_scalar() {
                    return Ok(NO_NAME);
                }
                let short = Short::of(line, slot);
                if let Some(short) = short
                    && let Some(id) = self.short_arms.get(short.mixed(), &short)
                {
                    return Ok(id);
                }
                let text = slot.text(line);
                let arm = arm_in(&self.plan.arms, &text);
                let id = if arm.is_empty() { NO_NAME } else { self.names.arm(arm) };
                if let Some(short) = short {
                    self.short_arms.put(short.mixed(), short, id);
                }
                Ok(id)
            }
            ArmRule::Hash { share_ppm, .. } => {
                if unit == 0 {
                    return Ok(NO_NAME);
                }
                let (baseline, canary) = self.two_arms();
                Ok(if in_split(unit, self.split_key, *share_ppm) { canary } else { baseline })
            }
            ArmRule::Queries { baseline, canary } => {
                let record = self.record(line);
                let matched = (baseline.matches(&record), canary.matches(&record));
                let (baseline, canary) = self.two_arms();
                match matched {
                    (true, false) => Ok(baseline),
                    (false, true) => Ok(canary),
                    (false, false) => Ok(NO_NAME),
                    (true, true) => Err(RejectReason::BothArms),
                }
            }
        }
    }

    fn two_arms(&mut self) -> (NameId, NameId) {
        if let Some(arms) = self.two_arms {
            return arms;
        }
        let arms = (self.names.arm(BASELINE), self.names.arm(CANARY));
        self.two_arms = Some(arms);
        arms
    }
}

/// The arm that the value of a field names; empty if none.
fn arm_in<'a>(rule: &ArmRule, value: &'a str) -> &'a str {
    match rule {
        ArmRule::PodTemplate { workloads, .. } => match values::pod_template(value) {
            Some((workload, hash)) if workloads.contains(workload) => hash,
            Some(_) | None => "",
        },
        ArmRule::Field(_) => value,
        ArmRule::None | ArmRule::Queries { .. } | ArmRule::Hash { .. } => "",
    }
}

/// A unit is in the canary of a split.
pub fn in_split(unit: u64, split_key: u64, share_ppm: u32) -> bool {
    let place = event::mix(unit, split_key);
    u128::from(place) * 1_000_000 < u128::from(share_ppm) << 64
}

/// Key of a split with a seed.
pub fn split_key(seed: &str) -> u64 {
    event::identity_hash(seed.as_bytes()) ^ KEY_SPLIT
}
