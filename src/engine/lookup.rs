//! Names and rows of a merged window, by service.

use crate::event::NameId;
use crate::sketch::partial::{Cell, WindowPartial};

/// Environment that the service of a row names.
pub(super) fn row_environment(merged: &WindowPartial, service: NameId) -> Option<&str> {
    merged.names.services.get(usize::from(service)).map(|key| key.environment.as_str()).filter(|of| !of.is_empty())
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
