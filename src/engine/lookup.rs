//! Names and rows of a merged window, by service.

use crate::event::{NameId, ServiceKey};
use crate::sketch::partial::{Cell, WindowPartial};

/// Whether a row of a service is of the service that is judged, which logs it or not ([`ServiceKey::concerns`]).
pub(super) fn concerns(merged: &WindowPartial, service: NameId, judged: Option<&ServiceKey>) -> bool {
    let Some(key) = merged.names.services.get(usize::from(service)) else { return true };
    judged.is_some_and(|judged| key.concerns(judged))
}

/// Rows of one service; rows are sorted by service first.
pub(super) fn of_service<R>(rows: &[R], service: Option<NameId>, of: impl Fn(&R) -> NameId) -> &[R] {
    let Some(service) = service else { return &[] };
    let from = rows.partition_point(|row| of(row) < service);
    let until = rows.partition_point(|row| of(row) <= service);
    rows.get(from..until).unwrap_or(&[])
}

/// Place in a list of a partial, which is sorted.
pub(super) fn place<T: Ord>(list: &[T], item: &T) -> Option<NameId> {
    list.binary_search(item).ok().map(|at| at as NameId)
}

/// Counters of one service.
pub(super) fn cells_of(merged: &WindowPartial, service: Option<NameId>) -> &[(NameId, NameId, Cell)] {
    of_service(&merged.cells, service, |(service, _, _)| *service)
}
