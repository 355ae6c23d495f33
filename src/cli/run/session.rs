//! A browser's way to be somebody: a token, given once, becomes a cookie that scripts cannot read.
//!
//! A session stands for the token it was made with, for what that is allowed now: a token that is taken out of its file ends its
//! sessions. What changes something needs, beside the cookie, a word that only a page of this address can have read
//! ([`CSRF`]): a cookie alone goes with requests that another page makes. Sessions are kept in memory: a restart ends them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cli::run::api::Api;
use crate::cli::run::hooks::clock_ms;
use crate::cli::tokens::{Allowed, Hash, Scope, Tokens};

/// The header with the word.
pub(super) const CSRF: &str = "x-csrf-token";
/// The cookie.
const COOKIE: &str = "serin_session";
/// How long a session lasts, in milliseconds: a working day.
const LIFE_MS: i64 = 12 * 3_600_000;
/// Sessions at a time; the one that ends first makes room.
const SESSIONS_MAX: usize = 1_000;
/// Random bytes of a session's name, and of its word.
const RANDOM: usize = 32;
/// Longest body of a login.
const LOGIN_MAX: usize = 4 << 10;

/// A browser that has given a token.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Session {
    /// Its token.
    pub token: Hash,
    csrf: String,
    ends_ms: i64,
}

/// All of them, by the hash of what stands in the cookie.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions(Arc<Mutex<BTreeMap<[u8; 32], Session>>>);

/// What a cookie is worth for a request.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Asked {
    /// There is none, or none that is known.
    Nobody,
    /// It is this one.
    Session(Session),
    /// It is one, but the word is missing that a request that changes something needs.
    WithoutWord,
}

fn random() -> Option<String> {
    let mut bytes = [0; RANDOM];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

fn name_of(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie.as_bytes()).into()
}

/// The value of the cookie of a request.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}

impl Sessions {
    fn with<T>(&self, what: impl FnOnce(&mut BTreeMap<[u8; 32], Session>) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A new one; what stands in its cookie.
    fn open(&self, token: Hash, now_ms: i64) -> Option<(String, Session)> {
        let (cookie, csrf) = (random()?, random()?);
        let session = Session { token, csrf, ends_ms: now_ms.saturating_add(LIFE_MS) };
        self.with(|all| {
            all.retain(|_, of| of.ends_ms > now_ms);
            if all.len() >= SESSIONS_MAX
                && let Some(first) = all.iter().min_by_key(|(_, of)| of.ends_ms).map(|(name, _)| *name)
            {
                all.remove(&first);
            }
            all.insert(name_of(&cookie), session.clone());
        });
        Some((cookie, session))
    }

    fn find(&self, headers: &HeaderMap, now_ms: i64) -> Option<Session> {
        let name = name_of(cookie(headers)?);
        self.with(|all| all.get(&name).filter(|of| of.ends_ms > now_ms).cloned())
    }

    /// Whose request this is, as far as its cookie tells.
    pub(super) fn of(&self, method: &Method, headers: &HeaderMap) -> Asked {
        let Some(session) = self.find(headers, clock_ms()) else { return Asked::Nobody };
        let is_harmless = matches!(*method, Method::GET | Method::HEAD);
        let word = headers.get(CSRF).and_then(|word| word.to_str().ok());
        if is_harmless || word == Some(&session.csrf) { Asked::Session(session) } else { Asked::WithoutWord }
    }

    fn close(&self, headers: &HeaderMap) {
        if let Some(cookie) = cookie(headers) {
            let name = name_of(cookie);
            self.with(|all| all.remove(&name));
        }
    }
}

/// What a page needs to know of who it is.
fn told(tokens: &Tokens, session: Option<&Session>) -> Value {
    let known = session.and_then(|session| tokens.known(&session.token).map(|known| (session, known)));
    json!({
        "name": known.map(|(_, known)| known.name.as_str()),
        "scopes": known.map(|(_, known)| known.scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>()).unwrap_or_default(),
        "csrf": known.map(|(session, _)| session.csrf.as_str()),
        "ends_ms": known.map(|(session, _)| session.ends_ms),
        "read_needs_token": tokens.for_all(),
        "commands": tokens.may_operate(),
    })
}

/// `GET /v1/session`: who this is.
pub(super) async fn who(State(api): State<Api>, headers: HeaderMap) -> Response {
    let session = api.sessions.find(&headers, clock_ms());
    axum::Json(told(&api.access.tokens(), session.as_ref())).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

fn cookie_header(value: &str, seconds: i64, is_https: bool) -> Option<HeaderValue> {
    let secure = if is_https { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"))
        .ok()
}

/// A browser says by which scheme it came, which this program behind a proxy does not know.
fn is_https(headers: &HeaderMap) -> bool {
    headers.get(header::ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// `POST /v1/session`: a token, and from then on a cookie.
pub(super) async fn login(State(api): State<Api>, request: Request) -> Response {
    let problem = |status: StatusCode, words: &str| (status, axum::Json(json!({ "error": words }))).into_response();
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LOGIN_MAX).await else {
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "no token is that long");
    };
    let Ok(Login { token }) = serde_json::from_slice(&body) else {
        return problem(StatusCode::BAD_REQUEST, r#"a token is needed: {"token":"serin_..."}"#);
    };
    let tokens = api.access.tokens();
    let hash = Hash::of(token.trim().as_bytes());
    if tokens.allow_known(&hash, &[Scope::Read]) != Allowed::Yes {
        return problem(StatusCode::UNAUTHORIZED, "this token is not known here, or it has not the scope `read`");
    }
    let opened = api.sessions.open(hash, clock_ms());
    let header =
        opened.as_ref().and_then(|(cookie, _)| cookie_header(cookie, LIFE_MS / 1_000, is_https(&head.headers)));
    let (Some((_, session)), Some(header)) = (opened, header) else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "there is no randomness here");
    };
    let mut response = axum::Json(told(&tokens, Some(&session))).into_response();
    response.headers_mut().insert(header::SET_COOKIE, header);
    response
}

/// `DELETE /v1/session`: nobody again.
pub(super) async fn logout(State(api): State<Api>, headers: HeaderMap) -> Response {
    api.sessions.close(&headers);
    let mut response = axum::Json(told(&api.access.tokens(), None)).into_response();
    if let Some(header) = cookie_header("", 0, is_https(&headers)) {
        response.headers_mut().insert(header::SET_COOKIE, header);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cookie: &str, csrf: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(&format!("a=b; {COOKIE}={cookie}; c=d")).unwrap());
        if let Some(csrf) = csrf {
            headers.insert(CSRF, HeaderValue::from_str(csrf).unwrap());
        }
        headers
    }

    #[test]
    fn what_changes_something_needs_the_word() {
        let sessions = Sessions::default();
        let (cookie, session) = sessions.open(Hash::of(b"secret"), clock_ms()).unwrap();
        let asked = |method: Method, headers: &HeaderMap| sessions.of(&method, headers);
        let known = Asked::Session(session.clone());
        assert_eq!(asked(Method::GET, &with(&cookie, None)), known);
        assert_eq!(asked(Method::POST, &with(&cookie, Some(&session.csrf))), known);
        assert_eq!(asked(Method::POST, &with(&cookie, None)), Asked::WithoutWord);
        assert_eq!(asked(Method::DELETE, &with(&cookie, Some(&cookie))), Asked::WithoutWord);
        assert_eq!(asked(Method::GET, &with("other", None)), Asked::Nobody);
        assert_eq!(asked(Method::GET, &HeaderMap::new()), Asked::Nobody);
        sessions.close(&with(&cookie, None));
        assert_eq!(asked(Method::GET, &with(&cookie, None)), Asked::Nobody);
    }

    #[test]
    fn sessions_end_and_are_bounded() {
        let sessions = Sessions::default();
        let (cookie, session) = sessions.open(Hash::of(b"secret"), 0).unwrap();
        let find = |cookie: &str, now: i64| sessions.find(&with(cookie, None), now);
        assert_eq!(find(&cookie, LIFE_MS - 1), Some(session));
        assert_eq!(find(&cookie, LIFE_MS), None);
        for at in 1..=SESSIONS_MAX as i64 {
            sessions.open(Hash::of(b"secret"), at).unwrap();
        }
        assert_eq!(sessions.with(|all| all.len()), SESSIONS_MAX);
        assert_eq!(find(&cookie, 1), None, "the one that ends first has made room");
    }

    #[test]
    fn the_cookie_is_for_this_address_alone() {
        let header = cookie_header("x", 60, true).unwrap();
        assert_eq!(header, "serin_session=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure");
    }
}
