//! Names and rows of a merged window, by service.

use crate::event::NameId;
use crate::sketch::partial::WindowPartial;

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

pub(super) fn position<T: Ord>(list: &[T], item: &T) -> Option<NameId> {
    // Lists of a partial are sorted; the list of a release has its entry first, so it is searched in order.
    list.iter().position(|known| known == item).map(|at| at as NameId)
}
