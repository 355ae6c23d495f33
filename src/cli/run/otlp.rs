//! `POST /v1/logs`: OTLP over HTTP, as protobuf or JSON. A record that cannot be taken is said by partial success, and kept.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::cli::run::door::{Door, Refused, Taken};
use crate::source::dialect::otlp::Notation;
use crate::source::wal::PAYLOAD_MAX;

/// Codes of `google.rpc.Code`.
const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAVAILABLE: i32 = 14;

/// Takes log records.
pub(super) async fn take(State(door): State<Door>, request: Request) -> Response {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some(notation) = Notation::of(&kind) else {
        let words = "the content type must be application/x-protobuf or application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return answer(status, Notation::Json, Notation::Json.refused(INVALID_ARGUMENT, words));
    };
    let taken = door.take(request, move |sent| {
        let mut made = notation.lines(&sent.bytes, PAYLOAD_MAX)?;
        Ok((std::mem::take(&mut made.lines), made))
    });
    let (status, body) = match taken.await {
        Ok(Taken::Looked(looked)) => return axum::Json(looked).into_response(),
        Ok(Taken::Nothing(made) | Taken::Stored(_, made)) => (StatusCode::OK, notation.taken(&made)),
        Err(refused) => {
            let Refused(status, words) = &refused;
            let code = match *status {
                StatusCode::TOO_MANY_REQUESTS => RESOURCE_EXHAUSTED,
                StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
                _ => INVALID_ARGUMENT,
            };
            return refused.mark(answer(*status, notation, notation.refused(code, words)));
        }
    };
    answer(status, notation, body)
}

fn answer(status: StatusCode, notation: Notation, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static(notation.media_type()))], body).into_response()
}
