//! `POST /loki/api/v1/push`: what Promtail, Alloy, Vector and Fluent Bit send to Loki.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::cli::run::door::{Door, Refused, Sent, Taken, unsnap};
use crate::source::dialect::{Made, loki};
use crate::source::wal::PAYLOAD_MAX;

/// Takes entries.
pub(super) async fn take(State(door): State<Door>, request: Request) -> Response {
    let taken = door.take(request, |sent| {
        let mut made = made(sent)?;
        Ok((std::mem::take(&mut made.lines), made))
    });
    match taken.await {
        Ok(Taken::Looked(looked)) => axum::Json(looked).into_response(),
        Ok(Taken::Nothing(made) | Taken::Stored(_, made)) => match made.why {
            None => StatusCode::NO_CONTENT.into_response(),
            // As Loki does it: what can be taken is taken, and 400 tells of the rest, which no client sends again.
            Some(why) => {
                let Made { refused, records, .. } = made;
                let words = format!("{refused} of {records} entries: {why}; kept as rejects, the others are taken\n");
                (StatusCode::BAD_REQUEST, words).into_response()
            }
        },
        Err(refused) => refused.mark((refused.0, format!("{}\n", refused.1)).into_response()),
    }
}

fn made(sent: &Sent) -> Result<Made, Refused> {
    if sent.kind() == "application/json" {
        return Ok(loki::of_json(&sent.bytes, PAYLOAD_MAX)?);
    }
    // Whatever calls itself otherwise is protobuf packed with snappy, whether a header says so or not.
    if sent.was_snappy {
        return Ok(loki::of_proto(&sent.bytes, PAYLOAD_MAX)?);
    }
    Ok(loki::of_proto(&unsnap(&sent.bytes)?, PAYLOAD_MAX)?)
}

/// Whether lines may be sent: asked by Vector before it starts.
pub(super) async fn ready() -> &'static str {
    "ready\n"
}
