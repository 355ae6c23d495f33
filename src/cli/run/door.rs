//! The door through which bodies of log lines come in, whatever their dialect: read within bounds, unpacked and made lines of off
//! the thread that answers, and handed to the write-ahead log.

use std::future::poll_fn;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xxhash_rust::xxh3::xxh3_64;

use crate::cli::run::log::{say, warn};
use crate::cli::run::{ingest, server};
use crate::pipeline::survey::Wishes;
use crate::source::dialect::Unreadable;
use crate::source::wal::{AppendError, Appended, PAYLOAD_MAX, Wal};

/// Longest body as it is sent.
pub(super) const BODY_MAX: usize = 32 << 20;
/// How long a client may take to send a body.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Bytes of all bodies together, as sent and unpacked, that are not lines in the write-ahead log's queue yet.
const ROOM: usize = 256 << 20;
/// Bytes that are set aside for a body before any of it is there, at most.
const SET_ASIDE: usize = 4 << 20;
/// Bytes that room is given in.
const ROOM_UNIT: usize = 1 << 10;
/// Bodies that are unpacked and made lines of at a time.
const WORKERS: usize = 2;
/// Bytes that are unpacked between two questions for room.
const UNPACK_STEP: usize = 1 << 20;
/// How a body begins that is packed with snappy in frames, and not as one block.
const SNAPPY_FRAMES: &[u8] = b"\xff\x06\0\0sNaPpY";
/// Longest idempotency key.
const KEY_MAX: usize = 256;

/// Why a body was not taken, with the status that says so.
#[derive(Debug)]
pub(super) struct Refused(pub StatusCode, pub String);

impl Refused {
    /// Nothing is wrong with the body: it may come again.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.0, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Tells when to come again, where that helps.
    pub(super) fn mark(&self, mut response: Response) -> Response {
        if self.is_passing() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let response = (self.0, axum::Json(json!({ "error": self.1 }))).into_response();
        self.mark(response)
    }
}

impl From<Unreadable> for Refused {
    fn from(bad: Unreadable) -> Refused {
        let status = match bad {
            Unreadable::Malformed(_) => StatusCode::BAD_REQUEST,
            Unreadable::TooMany(_) | Unreadable::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
        };
        Refused(status, bad.to_string())
    }
}

/// A body, unpacked.
pub(super) struct Sent {
    /// The headers of the request.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Vec<u8>,
    /// It was packed with snappy, and a header said so.
    pub was_snappy: bool,
}

impl Sent {
    /// A header, without blanks around it; empty where there is none.
    pub(super) fn word(&self, name: header::HeaderName) -> &str {
        word(&self.headers, name)
    }

    /// The type of the body, without parameters, in lower case.
    pub(super) fn kind(&self) -> String {
        let kind = self.word(header::CONTENT_TYPE).split(';').next().unwrap_or_default();
        kind.trim().to_ascii_lowercase()
    }
}

/// What became of a body: its lines are stored.
pub(super) enum Taken<T> {
    /// With what its dialect found out.
    Stored(Appended, T),
    /// There were no lines.
    Nothing(T),
    /// Nothing was stored; this is what its lines are understood as.
    Looked(Value),
}

/// Where bodies come in. Clones lead to the same log.
#[derive(Clone)]
pub(super) struct Door {
    wal: Option<Wal>,
    room: Room,
    workers: Arc<Semaphore>,
    /// How lines are to be read, for who asks what his are understood as.
    wishes: Arc<Wishes>,
    /// It was said that the disk refuses, and it has taken nothing since.
    is_refused: Arc<AtomicBool>,
}

/// Room of all bodies together that are being read and unpacked.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Room {
        Room(Arc::new(Semaphore::new(ROOM / ROOM_UNIT)))
    }
}

impl Room {
    /// Bytes that are taken, and how many there are.
    pub(super) fn used(&self) -> (usize, usize) {
        (ROOM.saturating_sub(self.0.available_permits() * ROOM_UNIT), ROOM)
    }

    fn of_body(&self) -> OfBody {
        OfBody { all: Arc::clone(&self.0), taken: None }
    }
}

/// Room that is taken by one body.
struct OfBody {
    all: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl OfBody {
    fn more(&mut self, bytes: usize) -> Result<(), Refused> {
        let units = u32::try_from(bytes.div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(&self.all).try_acquire_many_owned(units) else {
            let words = format!("bodies of more than {} MiB are being read", ROOM >> 20);
            return Err(Refused(StatusCode::TOO_MANY_REQUESTS, words));
        };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

impl Door {
    /// A door to a log. Without one everything is refused.
    pub(super) fn new(wal: Option<Wal>, room: &Room, wishes: Arc<Wishes>) -> Door {
        let workers = Arc::new(Semaphore::new(WORKERS));
        Door { wal, room: room.clone(), workers, wishes, is_refused: Arc::default() }
    }

    /// Says, where that is new, that the disk refuses or takes again.
    fn tell(&self, refused: Option<&AppendError>) {
        if self.is_refused.swap(refused.is_some(), Ordering::AcqRel) != refused.is_some() {
            match refused {
                Some(error) => warn(&format!("{error}. Whoever sends is answered 503 and sends again")),
                None => say("the write-ahead log can be written again"),
            }
        }
    }

    /// Takes a body: `lines` makes lines of it, each ended by a newline, and whatever else the answer needs.
    ///
    /// # Errors
    /// The body is not what it should be, or there is no room for it, or the disk refuses: nothing of it is stored.
    pub(super) async fn take<T: Send + 'static>(
        &self,
        request: Request,
        lines: impl FnOnce(&mut Sent) -> Result<(Vec<u8>, T), Refused> + Send + 'static,
    ) -> Result<Taken<T>, Refused> {
        let Some(wal) = &self.wal else {
            let words = "lines are taken from Kafka alone; start with --http to take them here too";
            return Err(Refused(StatusCode::NOT_FOUND, words.to_owned()));
        };
        let (head, body) = request.into_parts();
        let is_debug = head.uri.query().is_some_and(|query| query.split('&').any(|part| part == "debug=1"));
        let key = key(&head.headers)?;
        let mut room = self.room.of_body();
        let packed = read(&head.headers, body, &mut room).await?;
        let Ok(working) = Arc::clone(&self.workers).acquire_owned().await else { return Err(stopping()) };
        let headers = head.headers;
        let wishes = Arc::clone(&self.wishes);
        let made = tokio::task::spawn_blocking(move || {
            let _working = working;
            server::step_back();
            let mut room = room;
            let encoding = word(&headers, header::CONTENT_ENCODING).to_ascii_lowercase();
            let is_protobuf = word(&headers, header::CONTENT_TYPE).contains("protobuf");
            let encoding = match packing_of(&packed).filter(|_| encoding.is_empty() && !is_protobuf) {
                Some(found) => found.to_owned(),
                None => encoding,
            };
            let bytes = unpack(&encoding, packed, &mut room)?;
            let mut sent = Sent { headers, bytes, was_snappy: encoding.contains("snappy") };
            let (text, rest) = lines(&mut sent)?;
            if text.len() > PAYLOAD_MAX {
                return Err(Refused::from(Unreadable::TooLong(PAYLOAD_MAX)));
            }
            let looked = (is_debug && !text.trim_ascii().is_empty()).then(|| ingest::understood(&text, &wishes));
            Ok((text, rest, looked))
        });
        let (text, rest, looked) = made.await.map_err(|_| stopping())??;
        if let Some(looked) = looked {
            return Ok(Taken::Looked(looked));
        }
        if text.trim_ascii().is_empty() {
            return Ok(Taken::Nothing(rest));
        }
        match wal.append(key, text).await {
            Ok(appended) => {
                self.tell(None);
                Ok(Taken::Stored(appended, rest))
            }
            Err(error @ AppendError::Full) => Err(Refused(StatusCode::TOO_MANY_REQUESTS, error.to_string())),
            Err(error @ (AppendError::Disk(_) | AppendError::Stopping)) => {
                if matches!(error, AppendError::Disk(_)) {
                    self.tell(Some(&error));
                }
                Err(Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
            }
        }
    }
}

fn stopping() -> Refused {
    Refused(StatusCode::SERVICE_UNAVAILABLE, AppendError::Stopping.to_string())
}

fn word(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim()
}

/// By what a body is known when it is sent again; 0 without a key.
fn key(headers: &HeaderMap) -> Result<u64, Refused> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(0) };
    if value.is_empty() || value.len() > KEY_MAX {
        let words = format!("an idempotency key has 1 to {KEY_MAX} bytes");
        return Err(Refused(StatusCode::BAD_REQUEST, words));
    }
    Ok(xxh3_64(value.as_bytes()).max(1))
}

/// A body as it was sent.
async fn read(headers: &HeaderMap, body: Body, room: &mut OfBody) -> Result<Vec<u8>, Refused> {
    let too_large = || {
        let words = format!(
            "longer than {} MiB; send fewer lines at a time (split -C {}M app.log)",
            BODY_MAX >> 20,
            BODY_MAX >> 21
        );
        Refused(StatusCode::PAYLOAD_TOO_LARGE, words)
    };
    let declared = word(headers, header::CONTENT_LENGTH).parse::<usize>().ok();
    if declared.is_some_and(|length| length > BODY_MAX) {
        return Err(too_large());
    }
    let mut body = body;
    let all = async {
        let mut bytes = Vec::with_capacity(declared.unwrap_or(0).min(SET_ASIDE));
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let broken = || Refused(StatusCode::BAD_REQUEST, "the body ended before its end".to_owned());
            let Ok(data) = frame.map_err(|_| broken())?.into_data() else { continue };
            if bytes.len() + data.len() > BODY_MAX {
                return Err(too_large());
            }
            room.more(data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    };
    match tokio::time::timeout(BODY_TIME, all).await {
        Err(_) => Err(Refused(StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned())),
        Ok(read) => read,
    }
}

fn shown(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_graphic()).take(40).collect()
}

fn damaged(error: &dyn std::fmt::Display) -> Refused {
    Refused(StatusCode::BAD_REQUEST, format!("the body cannot be unpacked: {error}"))
}

/// How a body is packed that does not say so, as `curl --data-binary @app.log.gz` sends it: no text begins like this (RFC 1952, RFC 8878).
fn packing_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1f, 0x8b, 8, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        _ => None,
    }
}

/// A body as it was before it was packed.
fn unpack(encoding: &str, packed: Vec<u8>, room: &mut OfBody) -> Result<Vec<u8>, Refused> {
    let bytes = &*packed;
    match encoding {
        "" | "identity" => Ok(packed),
        "gzip" | "x-gzip" => unpacked(flate2::read::MultiGzDecoder::new(bytes), room),
        // By name zlib; some clients send the bare format.
        "deflate" => match unpacked(flate2::read::ZlibDecoder::new(bytes), room) {
            Err(Refused(StatusCode::BAD_REQUEST, _)) => unpacked(flate2::read::DeflateDecoder::new(bytes), room),
            done => done,
        },
        "zstd" => unpacked(zstd::Decoder::new(bytes).map_err(|error| damaged(&error))?, room),
        "snappy" | "x-snappy-framed" if bytes.starts_with(SNAPPY_FRAMES) => {
            unpacked(snap::read::FrameDecoder::new(bytes), room)
        }
        "snappy" => {
            room.more(unsnapped_len(bytes)?)?;
            unsnap(bytes)
        }
        other => {
            let words =
                format!("content encoding `{}` is not known; use gzip, deflate, zstd, snappy or none", shown(other));
            Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words))
        }
    }
}

/// Length of a block of snappy, once unpacked: as it says itself.
fn unsnapped_len(bytes: &[u8]) -> Result<usize, Refused> {
    let length = snap::raw::decompress_len(bytes).map_err(|error| damaged(&error))?;
    if length > PAYLOAD_MAX { Err(too_long_unpacked()) } else { Ok(length) }
}

/// Unpacks a block of snappy.
pub(super) fn unsnap(bytes: &[u8]) -> Result<Vec<u8>, Refused> {
    unsnapped_len(bytes)?;
    snap::raw::Decoder::new().decompress_vec(bytes).map_err(|error| damaged(&error))
}

fn too_long_unpacked() -> Refused {
    let words = format!("longer than {} MiB once unpacked; send fewer lines at a time", PAYLOAD_MAX >> 20);
    Refused(StatusCode::PAYLOAD_TOO_LARGE, words)
}

fn unpacked(mut reader: impl Read, room: &mut OfBody) -> Result<Vec<u8>, Refused> {
    let mut out = Vec::new();
    loop {
        let before = out.len();
        let step = reader.by_ref().take(UNPACK_STEP as u64).read_to_end(&mut out);
        step.map_err(|error| damaged(&error))?;
        match out.len() - before {
            0 => return Ok(out),
            more => room.more(more)?,
        }
        if out.len() >= PAYLOAD_MAX {
            return Err(too_long_unpacked());
        }
    }
}

#[cfg(test)]
impl Door {
    /// A door behind which there is no room.
    pub(super) fn full(wal: Wal) -> Door {
        Door::new(Some(wal), &Room(Arc::new(Semaphore::new(0))), Arc::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> OfBody {
        Room::default().of_body()
    }

    #[test]
    fn a_bomb_is_refused_and_not_unpacked() {
        let bomb = zstd::encode_all(&vec![b' '; PAYLOAD_MAX + 1][..], 1).unwrap();
        let Refused(status, _) = unpack("zstd", bomb, &mut room()).unwrap_err();
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    /// What is unpacked takes room of all bodies together, and gives it back.
    #[test]
    fn bodies_share_one_room() {
        let all = Arc::new(Semaphore::new(3 << 10));
        let take = || Room(Arc::clone(&all)).of_body();
        let packed = zstd::encode_all(&vec![b'x'; 2 << 20][..], 1).unwrap();
        let mut first = take();
        assert_eq!(unpack("zstd", packed.clone(), &mut first).unwrap().len(), 2 << 20);
        let refused = unpack("zstd", packed.clone(), &mut take()).unwrap_err();
        assert!(refused.0 == StatusCode::TOO_MANY_REQUESTS && refused.is_passing());
        assert!(refused.into_response().headers().contains_key(header::RETRY_AFTER));
        drop(first);
        assert_eq!(all.available_permits(), 3 << 10);
        assert!(unpack("zstd", packed, &mut take()).is_ok());
    }

    /// `curl --data-binary @app.log.gz` does not say how its body is packed.
    #[test]
    fn a_packed_body_tells_by_itself() {
        let packed = |bytes: &[u8]| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut gzip, bytes).and_then(|()| gzip.finish()).unwrap_or_default()
        };
        assert_eq!(packing_of(&packed(b"{}")), Some("gzip"));
        assert_eq!(packing_of(&zstd::encode_all(&b"{}"[..], 1).unwrap_or_default()), Some("zstd"));
        for text in [&b"{\"a\":1}"[..], b"10.0.0.7 - - [", b"", b"\x1f\x8b", b"\x1f"] {
            assert_eq!(packing_of(text), None);
        }
    }
}
