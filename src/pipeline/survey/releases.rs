//! What is rolled out together.

use std::collections::BTreeMap;

use crate::event::ServiceKey;
use crate::pipeline::survey::cover::Covered;
use crate::pipeline::survey::{Release, Wishes};

/// Services that share traces are released together; services that do not stand alone.
pub(super) fn find_releases(covered: &Covered, wishes: &Wishes) -> Vec<Release> {
    let mut group: BTreeMap<ServiceKey, ServiceKey> =
        covered.services.keys().map(|key| (key.clone(), key.clone())).collect();
    let find = |group: &BTreeMap<ServiceKey, ServiceKey>, key: &ServiceKey| {
        let mut at = key.clone();
        while let Some(up) = group.get(&at).filter(|up| **up != at) {
            at = up.clone();
        }
        at
    };
    for (a, b) in covered.neighbours.keys() {
        if a.environment != b.environment {
            continue;
        }
        let (ra, rb) = (find(&group, a), find(&group, b));
        let (low, high) = if ra < rb { (ra, rb) } else { (rb, ra) };
        group.insert(high, low);
    }
    let mut members: BTreeMap<ServiceKey, Vec<ServiceKey>> = BTreeMap::new();
    for key in covered.services.keys() {
        members.entry(find(&group, key)).or_default().push(key.clone());
    }
    let mut releases = Vec::new();
    for services in members.into_values() {
        let rank = |key: &ServiceKey| {
            let service = covered.services.get(key).cloned().unwrap_or_default();
            let slowest = covered.slowest.get(key).copied().unwrap_or(0);
            let asked = wishes.service.as_deref() == Some(key.service.as_str());
            (asked, service.requests > 0, slowest, service.requests)
        };
        let Some(entry) = services.iter().max_by_key(|key| (rank(key), std::cmp::Reverse(*key))).cloned() else {
            continue;
        };
        if covered.services.get(&entry).is_none_or(|service| service.requests == 0) {
            continue;
        }
        if wishes.service.as_ref().is_some_and(|wanted| *wanted != entry.service) {
            continue;
        }
        let mut list = vec![entry.clone()];
        list.extend(services.into_iter().filter(|key| *key != entry));
        releases.push(Release { services: list });
    }
    releases
}
